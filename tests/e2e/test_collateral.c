/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence that comes without its collateral, judged with what stands in the server's folder
 * collateral/: found, missing, expired, and never outlived by a certificate.
 */
#include "own.h"
#include "refused.h"

#include "simulator/simulator.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <openssl/rsa.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR 3600
#define SNP_ARK 0 /* slots of keys */

static struct own o;
static struct client c;

static void
begin(const char *platform)
{
    struct bh_diag diag = {0};

    own_init(&o);
    client_open(&c, platform, NULL);
    cr_assert_eq(
        agent_device_admit(c.device, o.server.home, "w", DOMAIN, &diag), BH_OK, "%s", diag.detail);
    own_start(&o);
    client_connect(&c, o.server.url, bh_span(o.server.roots, o.server.roots_len));
}

static void
end(void)
{
    own_end(&o);
    client_close(&c);
}

static void
path_of(const char *name, char path[400])
{
    char file[128];

    (void)snprintf(file, sizeof(file), "collateral/%s", name);
    cr_assert_eq(bh_test_server_path(&o.server, file, path, 400), BH_OK);
}

static void
put(const char *name, struct bh_span bytes)
{
    char path[400];

    path_of(name, path);
    cr_assert_eq(bh_file_write(path, bytes, 0600, NULL), BH_OK);
}

static void
drop(const char *name)
{
    char path[400];

    path_of(name, path);
    cr_assert_eq(unlink(path), 0);
}

/* A request whose evidence lost these records; they go into the folder where @p keep. */
static json_t *
stripped(const char *const *labels, const char *const *files, bool keep)
{
    const struct enrolment how = {0};
    json_t *body = client_request(&c, &how), *evidence = json_object_get(body, "evidence");
    uint8_t *bytes = malloc(BH_COLLATERAL_MAX);
    size_t len = 0;

    for (size_t i = 0; labels[i] != NULL; i++) {
        const char *text =
            json_string_value(json_array_get(json_object_get(evidence, labels[i]), 1));

        cr_assert_not_null(text, "%s", labels[i]);
        cr_assert_eq(bh_unbase64url(bh_span_str(text), bytes, BH_COLLATERAL_MAX, &len), BH_OK, "%s",
            labels[i]);
        if (keep)
            put(files[i], bh_span(bytes, len));
        cr_assert_eq(json_object_del(evidence, labels[i]), 0);
    }
    free(bytes);
    return body;
}

static void
post(json_t *body, struct reply *r)
{
    client_post_json(&c, "/v1/certificates", body, r);
}

/* ---- SEV-SNP ---- */

static const char *const vcek[] = {"vcek", NULL};
static const char *const vcek_file[] = {"of-machine-7.der"};

static void
setup_snp(void)
{
    begin("amd-sev-snp");
}

TestSuite(collateral_snp, .init = setup_snp, .fini = end);

static void
must_enrol(void)
{
    struct reply r;

    post(stripped(vcek, vcek_file, false), &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
}

static void
must_refuse(long status, const char *code, const char *check)
{
    struct reply r;

    post(stripped(vcek, vcek_file, false), &r);
    assert_refused(&r, status, code, check);
    if (status == 424) {
        cr_assert_not_null(strstr(r.text, "fetch https://kdsintf.amd.com/vcek/v1/Milan/"));
        cr_assert_not_null(strstr(r.text, "the server's collateral/"), "%s", r.text);
        cr_assert_not_null(strstr(r.text, "SIGHUP"), "%s", r.text);
    }
    reply_clear(&r);
}

/* A list of the device's ARK. */
static void
put_list(const char *name, int64_t from, int64_t to)
{
    X509_CRL *crl = X509_CRL_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL;
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)from);
    uint8_t *der = NULL;
    int len;

    cr_assert_eq(X509_CRL_set_version(crl, 1), 1);
    cr_assert_eq(X509_CRL_set_issuer_name(crl, X509_get_subject_name(c.device->root)), 1);
    cr_assert_eq(X509_CRL_set1_lastUpdate(crl, t), 1);
    cr_assert_not_null(ASN1_TIME_set(t, (time_t)to));
    cr_assert_eq(X509_CRL_set1_nextUpdate(crl, t), 1);
    cr_assert_eq(
        EVP_DigestSignInit(ctx, &params, bh_sha2_md(384), NULL, c.device->keys[SNP_ARK]), 1);
    cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING), 1);
    cr_assert_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(params, 48), 1);
    cr_assert_gt(X509_CRL_sign_ctx(crl, ctx), 0);
    cr_assert_gt(len = i2d_X509_CRL(crl, &der), 0);
    put(name, bh_span(der, (size_t)len));
    OPENSSL_free(der);
    ASN1_TIME_free(t);
    EVP_MD_CTX_free(ctx);
    X509_CRL_free(crl);
}

static int64_t
not_after(const struct reply *r)
{
    int64_t at = 0;

    cr_assert_eq(r->status, 201, "%s", r->text);
    cr_assert_eq(bh_time_read(reply_string(r, "not_after"), &at), BH_OK);
    return at;
}

/* By the command, which believes whom the server believes. */
static void
must_import(const char *file)
{
    char path[400], *output = NULL;
    const char *const import[] = {
        "beachhead", "collateral", "import", "--dir", o.server.home, path, NULL};
    const char *const check[] = {"beachhead-server", "check", "--dir", o.server.home, NULL};

    cr_assert_eq(bh_test_server_path(&o.server, file, path, sizeof(path)), BH_OK);
    cr_assert_eq(bh_test_server_run(&o.server, import, &output), 0, "%s", output);
    cr_assert_not_null(strstr(output, "simulated-crl-milan.der: crl.der"), "%s", output);
    free(output);
    output = NULL;
    cr_assert_eq(bh_test_server_run(&o.server, check, &output), 0, "%s", output);
    cr_assert_not_null(strstr(output, "collateral/simulated-crl-milan.der"), "%s", output);
    free(output);
}

Test(collateral_snp, a_vcek_from_the_folder)
{
    must_refuse(424, "collateral-missing", "amd-sev-snp.vcek");
    json_decref(stripped(vcek, vcek_file, true));
    must_refuse(424, "collateral-missing", "amd-sev-snp.vcek"); /* not imported yet */
    own_reload(&o, "reloaded");
    must_enrol();
    own_stop(&o);
    own_start(&o);
    client_connect(&c, o.server.url, bh_span(o.server.roots, o.server.roots_len));
    must_enrol();
    drop(vcek_file[0]);
    own_reload(&o, "reloaded");
    must_refuse(424, "collateral-missing", "amd-sev-snp.vcek");
}

Test(collateral_snp, a_certificate_does_not_outlive_the_list)
{
    const int64_t now = bh_time_now();
    struct reply r;
    int64_t end_of_it;

    json_decref(stripped(vcek, vcek_file, true));
    own_reload(&o, "reloaded");
    post(stripped(vcek, vcek_file, false), &r);
    cr_assert_gt(not_after(&r), now + 23 * HOUR);
    reply_clear(&r);

    put_list("crl-milan.der", now - HOUR, now + 2 * HOUR);
    own_reload(&o, "reloaded");
    post(stripped(vcek, vcek_file, false), &r);
    end_of_it = not_after(&r);
    cr_assert_leq(end_of_it, now + 2 * HOUR);
    cr_assert_geq(end_of_it, now + 2 * HOUR - 1);
    reply_clear(&r);

    /* A later list, as an administrator brings it, answers beside it. */
    put_list("../later.der", now - HOUR, now + 5 * HOUR);
    must_import("later.der");
    own_reload(&o, "reloaded");
    post(stripped(vcek, vcek_file, false), &r);
    end_of_it = not_after(&r);
    cr_assert_geq(end_of_it, now + 5 * HOUR - 1);
    cr_assert_leq(end_of_it, now + 5 * HOUR);
    reply_clear(&r);
}

Test(collateral_snp, a_list_that_has_expired)
{
    const int64_t now = bh_time_now();

    json_decref(stripped(vcek, vcek_file, true));
    put_list("crl-milan.der", now - 2 * HOUR, now - HOUR);
    own_reload(&o, "reloaded");
    must_refuse(403, "collateral-expired", "amd-sev-snp.crl");
    put_list("crl-milan.der", now - HOUR, now + HOUR);
    own_reload(&o, "reloaded");
    must_enrol();
}

Test(collateral_snp, a_file_that_is_none_refuses_the_reload)
{
    struct bh_diag diag = {0};
    size_t from = bh_test_server_log_len(&o.server);

    json_decref(stripped(vcek, vcek_file, true));
    own_reload(&o, "reloaded");
    put("notes.json", bh_span_str("{}"));
    own_reload(&o, "reload-refused");
    cr_assert(bh_test_server_logged(&o.server, from, "collateral/notes.json", 0));
    cr_assert(bh_test_server_logged(&o.server, from, "collateral.kind", 0));
    must_enrol();
    own_stop(&o);
    from = bh_test_server_log_len(&o.server);
    cr_assert_neq(bh_test_server_start(&o.server, &diag), BH_OK);
    cr_assert(bh_test_server_logged(&o.server, from, "collateral/notes.json", 0));
    drop("notes.json");
    own_start(&o);
    client_connect(&c, o.server.url, bh_span(o.server.roots, o.server.roots_len));
    must_enrol();
}

/* ---- SGX ---- */

static void
setup_sgx(void)
{
    begin("intel-sgx");
}

TestSuite(collateral_sgx, .init = setup_sgx, .fini = end);

Test(collateral_sgx, all_of_it_from_the_folder)
{
    static const char *const labels[] = {
        "tcb_info", "qe_identity", "tcb_signing_chain", "pck_crl", "root_crl", NULL};
    static const char *const files[] = {"tcb_info.json", "qe_identity.json",
        "tcb_signing_chain.pem", "pck_crl.der", "root_crl.der"};
    static const char *const missing[] = {"intel-sgx.tcb_info", "intel-sgx.qe_identity",
        "intel-sgx.tcb_signing_chain", "intel-sgx.pck_crl", "intel-sgx.root_crl"};
    struct reply r;

    json_decref(stripped(labels, files, true));
    own_reload(&o, "reloaded");
    post(stripped(labels, files, false), &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        json_decref(stripped(labels, files, true));
        drop(files[i]);
        own_reload(&o, "reloaded");
        post(stripped(labels, files, false), &r);
        assert_refused(&r, 424, "collateral-missing", missing[i]);
        cr_assert_not_null(strstr(r.text, "the server's collateral/"), "%s", r.text);
        reply_clear(&r);
    }
}
