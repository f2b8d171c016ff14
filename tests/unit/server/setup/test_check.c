/* SPDX-License-Identifier: Apache-2.0 */
/* `check` finds each broken thing, by file and field, and changes nothing. */
#include "folder.h"

#include "commands.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/text.h"
#include "core/x509.h"
#include "setup/tree.h"
#include "signer/issuing.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

static struct folder f;

#define HEX32 "1111111111111111111111111111111111111111111111111111111111111111"
#define PSA(extra)                                                                                 \
    "{\"platform\":\"psa\"," extra                                                                 \
    "\"owner\":\"any\",\"key_class\":[\"silicon\"],\"implementation_id\":[\"" HEX32                \
    "\"],\"lifecycle\":[\"secured\"],\"software\":\"none\"}"

static void
setup(void)
{
    folder_init(&f);
    cr_assert_eq(
        folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example", "--dns",
            "attest.fleet.example", "--root-out", folder_path(&f, "offline"), NULL),
        0, "%s", f.out);
}

static void
teardown(void)
{
    folder_clear(&f);
}

TestSuite(check, .init = setup, .fini = teardown);

static json_t *
check(int code)
{
    json_t *json = NULL;

    cr_assert_eq(
        folder_run(&f, pas_check_command, "--dir", f.dir, "--json", NULL), code, "%s", f.out);
    cr_assert_eq(bh_json_parse(bh_span_str(f.out), sizeof(f.out), &json, NULL), BH_OK, "%s", f.out);
    cr_assert_eq(json_is_true(json_object_get(json, "ok")), code == 0);
    return json;
}

static bool
has(const json_t *json, const char *file, const char *field, const char *severity)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(json, "problems"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "file")), file) == 0 &&
            strcmp(json_string_value(json_object_get(one, "field")), field) == 0 &&
            strcmp(json_string_value(json_object_get(one, "severity")), severity) == 0 &&
            json_string_value(json_object_get(one, "detail"))[0] != '\0')
            return true;
    }
    return false;
}

static void
finds(const char *file, const char *field, const char *severity)
{
    json_t *json = check(strcmp(severity, "error") == 0 ? 1 : 0);

    cr_assert(
        has(json, file, field, severity), "no %s at %s: %s\n%s", severity, file, field, f.out);
    json_decref(json);
}

Test(check, a_fresh_deployment_is_ready)
{
    json_t *json = check(0);

    cr_assert_eq(json_array_size(json_object_get(json, "problems")), 0);
    json_decref(json);
    cr_assert_eq(folder_run(&f, pas_check_command, "--dir", folder_path(&f, "none"), NULL), 2);
    cr_assert_eq(folder_run(&f, pas_check_command, NULL), 2);
}

Test(check, all_problems_of_the_configuration)
{
    json_t *json;

    folder_write(server_path(&f, "server.json"), "{\"listen\":\"x\",\"unheard\":1,\"tls12\":3}");
    json = check(1);
    cr_assert(has(json, "server.json", "listen", "error"));
    cr_assert(has(json, "server.json", "unheard", "error"));
    cr_assert(has(json, "server.json", "tls12", "error"));
    cr_assert(has(json, "server.json", "trust_domain", "error"));
    json_decref(json);
    cr_assert_eq(unlink(server_path(&f, "server.json")), 0);
    finds("server.json", "", "error");
}

Test(check, policies)
{
    json_t *json;

    folder_write(
        server_path(&f, "policy/good.json"), "{\"workload\":\"good\",\"accept\":[" PSA("") "]}");
    json_decref(check(0));
    folder_write(server_path(&f, "policy/broken.json"), "{");
    folder_write(server_path(&f, "policy/other.json"),
        "{\"workload\":\"another\",\"accept\":[" PSA("") "]}");
    folder_write(server_path(&f, "policy/simulated.json"),
        "{\"workload\":\"simulated\",\"accept\":[" PSA("\"simulated\":true,") "]}");
    folder_write(server_path(&f, "policy/names.json"),
        "{\"workload\":\"names\",\"certificate\":{\"lifetime\":\"30d\",\"dns\":[\"a.elsewhere\","
        "\"attest.fleet.example\",\"names.fleet.example\"]},\"accept\":[" PSA("") "]}");
    folder_write(server_path(&f, "policy/beachhead-x.json"),
        "{\"workload\":\"beachhead-x\",\"accept\":[" PSA("") "]}");
    folder_write(server_path(&f, "policy/notes.txt"), "x");
    json = check(1);
    cr_assert(has(json, "policy/broken.json", "policy", "error"), "%s", f.out);
    cr_assert(has(json, "policy/other.json", "workload", "error"), "%s", f.out);
    cr_assert(has(json, "policy/simulated.json", "accept", "error"), "%s", f.out);
    cr_assert(has(json, "policy/names.json", "certificate.lifetime", "error"), "%s", f.out);
    cr_assert(has(json, "policy/names.json", "certificate.dns[0]", "error"), "%s", f.out);
    cr_assert(has(json, "policy/names.json", "certificate.dns[1]", "error"), "%s", f.out);
    cr_assert_not(has(json, "policy/names.json", "certificate.dns[2]", "error"), "%s", f.out);
    cr_assert(has(json, "policy/beachhead-x.json", "workload", "error"), "%s", f.out);
    cr_assert(has(json, "policy/notes.txt", "", "warning"), "%s", f.out);
    json_decref(json);
}

Test(check, every_broken_entry_of_a_policy)
{
    json_t *json;
    size_t in_file = 0, i;
    const json_t *one;

    folder_write(server_path(&f, "policy/three.json"),
        "{\"workload\":\"three\",\"accept\":[{\"platform\":\"unheard\"}," PSA("") "," PSA(
            "\"unheard\":1,") "]}");
    json = check(1);
    json_array_foreach(json_object_get(json, "problems"), i, one)
    {
        const char *field = json_string_value(json_object_get(one, "field"));

        in_file++;
        cr_assert(strncmp(field, "accept[0]", 9) == 0 || strncmp(field, "accept[2]", 9) == 0, "%s",
            field);
    }
    cr_assert_eq(in_file, 2, "%s", f.out);
    json_decref(json);
}

/* ---- trust ---- */

/* A certificate under any name and life, in PEM; of the key @p of, or one that is self-signed. */
static void
write_root(const char *path, const char *name, EVP_PKEY *of, int from_days, int to_days)
{
    EVP_PKEY *key = NULL;
    X509 *cert = X509_new();
    struct pas_tree tree = {0};

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_days * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_days * 86400L);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(cert), "O", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, of != NULL ? of : key);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    (void)snprintf(tree.dir, sizeof(tree.dir), "/");
    cr_assert_eq(pas_tree_write_certs(&tree, path + 1, cert, NULL, NULL), BH_OK);
    X509_free(cert);
    EVP_PKEY_free(key);
}

Test(check, trust_anchors)
{
    json_t *json;

    write_root(server_path(&f, "trust/psa-good.pem"), "Vendor", NULL, -1, 100);
    json_decref(check(0));
    write_root(server_path(&f, "trust/psa-old.pem"), "Vendor", NULL, -9, -1);
    write_root(server_path(&f, "trust/psa-soon.pem"), "Vendor", NULL, -9, 5);
    write_root(server_path(&f, "trust/psa-future.pem"), "Vendor", NULL, 5, 99);
    write_root(server_path(&f, "trust/unheard.pem"), "Vendor", NULL, -1, 99);
    write_root(server_path(&f, "trust/psa-played.pem"), "SIMULATED Vendor", NULL, -1, 99);
    write_root(server_path(&f, "trust/simulated/psa.pem"), "SIMULATED Vendor", NULL, -1, 99);
    folder_write(server_path(&f, "trust/psa-text.pem"), "no certificate");
    json = check(1);
    cr_assert(has(json, "trust/psa-old.pem", "notAfter", "error"), "%s", f.out);
    cr_assert(has(json, "trust/psa-soon.pem", "notAfter", "warning"), "%s", f.out);
    cr_assert(has(json, "trust/psa-future.pem", "notBefore", "error"), "%s", f.out);
    cr_assert(has(json, "trust/unheard.pem", "name", "error"), "%s", f.out);
    cr_assert(has(json, "trust/psa-played.pem", "subject", "error"), "%s", f.out);
    cr_assert(has(json, "trust/simulated/psa.pem", "", "error"), "%s", f.out);
    cr_assert(has(json, "trust/psa-text.pem", "", "error"), "%s", f.out);
    json_decref(json);
}

/* The example key of a specification, whose private half is printed there. */
Test(check, published_keys)
{
    EVP_PKEY *key = NULL;
    char *text = NULL, *pem = NULL;
    uint8_t *file;
    size_t len = 0;
    json_t *json, *entry;
    BIO *bio;

    if (bh_vectors() == NULL)
        return;
    file = bh_vector("psa/iak-tfm-es.pub.pem", &len);
    pem = strndup((char *)file, len);
    bio = BIO_new_mem_buf(pem, -1);
    cr_assert_not_null(key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL));
    write_root(server_path(&f, "trust/psa-example.pem"), "Vendor", key, -1, 99);
    entry = json_pack("{s:s, s:s, s:s, s:s}", "platform", "psa", "instance_id", "01" HEX32, "class",
        "silicon", "key", pem);
    text = bh_json_text(entry, true);
    folder_write(server_path(&f, "endorsed/example.json"), text);
    json = check(1);
    cr_assert(has(json, "trust/psa-example.pem", "key", "error"), "%s", f.out);
    cr_assert_eq(json_array_size(json_object_get(json, "problems")), 2, "%s", f.out);
    cr_assert_not_null(strstr(f.out, "published"), "%s", f.out);
    cr_assert_not_null(strstr(f.out, "endorsed/example.json"), "%s", f.out);
    json_decref(json);
    json_decref(entry);
    BIO_free(bio);
    EVP_PKEY_free(key);
    free(text);
    free(pem);
    free(file);
}

Test(check, endorsed_files)
{
    json_t *json;

    folder_write(server_path(&f, "endorsed/broken.json"), "{\"platform\":\"psa\"}");
    json = check(1);
    cr_assert_eq(json_array_size(json_object_get(json, "problems")), 1, "%s", f.out);
    cr_assert_not_null(strstr(f.out, "endorsed/broken.json"));
    json_decref(json);
}

/* ---- keys ---- */

static void
copy_file(const char *from, const char *to, unsigned mode)
{
    char *text = folder_read(from);

    folder_write(to, text);
    cr_assert_eq(chmod(to, mode), 0);
    free(text);
}

Test(check, modes)
{
    json_t *json;

    cr_assert_eq(chmod(server_path(&f, "ca/issuing.key"), 0640), 0);
    cr_assert_eq(chmod(server_path(&f, "tls/server.key"), 0604), 0);
    cr_assert_eq(chmod(f.dir, 0755), 0);
    json = check(1);
    cr_assert(has(json, "ca/issuing.key", "issuing.key.mode", "error"), "%s", f.out);
    cr_assert(has(json, "tls/server.key", "tls.key.mode", "error"), "%s", f.out);
    cr_assert(has(json, ".", "mode", "error"), "%s", f.out);
    json_decref(json);
    /* It told, and changed nothing. */
    cr_assert_eq(folder_mode(server_path(&f, "ca/issuing.key")), 0640);
    cr_assert_eq(folder_mode(f.dir), 0755);
}

Test(check, keys_of_something_else)
{
    json_t *json;

    copy_file(server_path(&f, "tls/server.key"), server_path(&f, "ca/issuing.key"), 0600);
    copy_file(folder_path(&f, "offline/root.key"), server_path(&f, "tls/server.key"), 0600);
    json = check(1);
    cr_assert(has(json, "ca/issuing.key", "issuing.key", "error"), "%s", f.out);
    cr_assert(has(json, "tls/server.key", "tls.key", "error"), "%s", f.out);
    json_decref(json);
    copy_file(folder_path(&f, "offline/root.key"), server_path(&f, "ca/issuing.key"), 0600);
    copy_file(folder_path(&f, "offline/root.key"), server_path(&f, "ca/root.key"), 0600);
    json = check(1);
    cr_assert(has(json, "ca/issuing.key", "issuing.key.type", "error"), "%s", f.out);
    cr_assert(has(json, "ca/root.key", "root.key", "error"), "%s", f.out);
    json_decref(json);
}

Test(check, certificates_of_something_else)
{
    struct folder other;
    json_t *json;

    folder_init(&other);
    cr_assert_eq(folder_run(&other, pas_init_command, "--dir", other.dir, "--trust-domain",
                     "other.example", "--allow-simulated", NULL),
        0);
    copy_file(server_path(&other, "ca/root.crt"), server_path(&f, "ca/root.crt"), 0644);
    copy_file(server_path(&other, "tls/server.crt"), server_path(&f, "tls/server.crt"), 0644);
    json = check(1);
    cr_assert(has(json, "ca/issuing.crt", "issuing.chain", "error"), "%s", f.out);
    cr_assert(has(json, "tls/server.crt", "subjectAltName", "error"), "%s", f.out);
    json_decref(json);
    copy_file(server_path(&other, "ca/issuing.crt"), server_path(&f, "ca/issuing.crt"), 0644);
    json = check(1);
    cr_assert(has(json, "ca/issuing.crt", "issuing.simulated", "error"), "%s", f.out);
    json_decref(json);
    folder_clear(&other);
}

Test(check, simulation_is_allowed_at_init_only)
{
    char *text = folder_read(server_path(&f, "server.json")), *at;

    at = strstr(text, "\"allow_simulated\": false");
    cr_assert_not_null(at);
    memcpy(at, "\"allow_simulated\": true ", 24);
    folder_write(server_path(&f, "server.json"), text);
    finds("ca/issuing.crt", "issuing.simulated", "error");
    free(text);
}

Test(check, missing_files)
{
    static const char *const files[] = {
        "ca/root.crt", "ca/issuing.crt", "ca/issuing.key", "tls/server.crt", "tls/server.key"};
    json_t *json;

    for (size_t i = 0; i < BH_COUNT(files); i++)
        cr_assert_eq(unlink(server_path(&f, files[i])), 0);
    json = check(1);
    for (size_t i = 0; i < BH_COUNT(files); i++)
        cr_assert(has(json, files[i], "", "error"), "%s: %s", files[i], f.out);
    json_decref(json);
}

Test(check, store)
{
    json_t *json;

    folder_write(
        server_path(&f, "store/state.db"), "no database at all, but long enough to be read");
    json = check(1);
    cr_assert_not_null(strstr(f.out, "store/state.db"));
    json_decref(json);
    cr_assert_eq(unlink(server_path(&f, "store/state.db")), 0);
    finds("store/state.db", "store.missing", "error");
}

Test(check, for_people)
{
    folder_write(server_path(&f, "policy/broken.json"), "{");
    cr_assert_eq(folder_run(&f, pas_check_command, "--dir", f.dir, NULL), 1);
    cr_assert_not_null(strstr(f.out, "error: policy/broken.json: "), "%s", f.out);
    cr_assert_not_null(strstr(f.out, "not ready to run, 1 error, 0 warnings"), "%s", f.out);
}

/* ---- collateral ---- */

#define IDENTITY(id, from, until)                                                                  \
    "{\"enclaveIdentity\":{\"id\":\"" id "\",\"issueDate\":\"" from "\",\"nextUpdate\":\"" until   \
    "\"},\"signature\":\"00\"}"

Test(check, collateral_is_listed)
{
    const json_t *one;
    json_t *json;

    folder_write(server_path(&f, "collateral/a.json"),
        IDENTITY("TD_QE", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"));
    json = check(0);
    cr_assert_eq(json_array_size(json_object_get(json, "problems")), 0, "%s", f.out);
    cr_assert_eq(json_array_size(json_object_get(json, "collateral")), 1, "%s", f.out);
    one = json_array_get(json_object_get(json, "collateral"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(one, "file")), "collateral/a.json");
    cr_assert_str_eq(json_string_value(json_object_get(one, "kind")), "qe_identity.json");
    cr_assert_str_eq(json_string_value(json_object_get(one, "about")), "quoting enclave of TDX");
    cr_assert_str_eq(json_string_value(json_object_get(one, "until")), "2099-01-01T00:00:00Z");
    json_decref(json);
    cr_assert_eq(folder_run(&f, pas_check_command, "--dir", f.dir, NULL), 0);
    cr_assert_not_null(
        strstr(f.out, "collateral/a.json: qe_identity.json: quoting enclave of TDX, until 2099"),
        "%s", f.out);
}

Test(check, collateral_that_is_old_or_early)
{
    char soon[160], until[BH_TIME_MAX];

    folder_write(server_path(&f, "collateral/old.json"),
        IDENTITY("QE", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"));
    finds("collateral/old.json", "until", "warning");
    folder_write(server_path(&f, "collateral/early.json"),
        IDENTITY("TD_QE", "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z"));
    finds("collateral/early.json", "from", "warning");
    cr_assert_eq(unlink(server_path(&f, "collateral/old.json")), 0);
    (void)snprintf(soon, sizeof(soon), IDENTITY("QE", "2020-01-01T00:00:00Z", "%s"),
        bh_time_text(bh_time_now() + 86400, until));
    folder_write(server_path(&f, "collateral/soon.json"), soon);
    finds("collateral/soon.json", "until", "warning");
}

Test(check, collateral_that_nobody_gets)
{
    folder_write(server_path(&f, "collateral/a.json"),
        IDENTITY("QE", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"));
    folder_write(server_path(&f, "collateral/b.json"),
        IDENTITY("QE", "2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"));
    finds("collateral/b.json", "", "warning");
    folder_write(server_path(&f, "collateral/a.crt"), "x");
    finds("collateral/a.crt", "", "warning");
}

Test(check, what_is_no_collateral)
{
    char *big = malloc(BH_COLLATERAL_MAX + 2);

    folder_write(server_path(&f, "collateral/notes.json"), "{}");
    finds("collateral/notes.json", "kind", "error");
    folder_write(server_path(&f, "collateral/half.json"), "{\"tcbInfo\":{},\"signature\":\"\"}");
    finds("collateral/half.json", "form", "error");
    memset(big, ' ', BH_COLLATERAL_MAX + 1);
    big[BH_COLLATERAL_MAX + 1] = '\0';
    folder_write(server_path(&f, "collateral/big.json"), big);
    finds("collateral/big.json", "", "error");
    free(big);
}
