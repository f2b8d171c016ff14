/* SPDX-License-Identifier: Apache-2.0 */
#include "isolate-agent/proxy/context.h"
#include "isolate-agent/proxy/identity.h"
#include "isolate-agent/proxy/status.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct made {
    struct bh_test_ca ca;
    bh_trust *trust;
    EVP_PKEY *key;
    struct bh_test_leaf leaf;
};

static void
begin(struct made *m)
{
    bh_failure *failure = bh_failure_new();

    bh_test_ca_make(&m->ca, &(struct bh_test_root){.domain = "fleet.example"});
    cr_assert_eq(
        bh_trust_new(m->ca.root_pem, strlen(m->ca.root_pem), &m->trust, failure), BH_RESULT_OK);
    bh_failure_free(failure);
    m->key = bh_test_key("P-256");
    bh_test_leaf_init(&m->ca, &m->leaf, "payments", m->key, bh_time_now(), 3600);
}

static void
finish(struct made *m)
{
    bh_trust_free(m->trust);
    EVP_PKEY_free(m->key);
    bh_test_ca_clear(&m->ca);
}

static enum bh_err
make(struct made *m, EVP_PKEY *key, int64_t now, struct agent_identity **ret, struct bh_diag *diag)
{
    X509 *cert = bh_test_leaf_issue(&m->ca, &m->leaf);
    char *pem = bh_test_chain_pem(&m->ca, cert);
    const enum bh_err e = agent_identity_make(m->trust, "payments", key, pem, now, ret, diag);

    free(pem);
    X509_free(cert);
    return e;
}

Test(identity, only_what_is_ours)
{
    struct agent_identity *identity = NULL;
    struct bh_diag diag = {0};
    struct made m;
    EVP_PKEY *other = bh_test_key("P-256");

    begin(&m);
    cr_expect_eq(make(&m, other, bh_time_now(), &identity, &diag), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(diag.check, "certificate.key");
    bh_diag_clear(&diag);
    cr_expect_eq(make(&m, m.key, bh_time_now() + 7200, &identity, &diag), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(diag.check, "certificate.validity");
    cr_expect_str_neq(diag.hint, "");
    bh_diag_clear(&diag);
    (void)snprintf(m.leaf.ear.workload, sizeof(m.leaf.ear.workload), "%s", "other");
    cr_expect_eq(make(&m, m.key, bh_time_now(), &identity, &diag), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(diag.check, "ear.workload");
    bh_diag_clear(&diag);
    cr_expect_eq(
        agent_identity_make(m.trust, "payments", m.key, "no PEM", bh_time_now(), &identity, &diag),
        BH_ERR_MALFORMED);
    cr_expect_null(identity);
    EVP_PKEY_free(other);
    finish(&m);
}

static mode_t
mode_of(const char *dir, const char *name)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_mode & 07777;
}

static char *
text_of(const char *dir, const char *name)
{
    char path[256];
    uint8_t *text = NULL;
    size_t len = 0;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(bh_file_read(path, 65536, &text, &len, NULL), BH_OK);
    return (char *)text;
}

static void
remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    char path[512];

    cr_assert_not_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

Test(identity, files)
{
    char base[] = "/tmp/bh-out-XXXXXX", dir[64];
    struct agent_identity *identity = NULL, *next = NULL;
    struct bh_diag diag = {0};
    struct made m;

    begin(&m);
    cr_assert_not_null(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/out", base);
    umask(0);
    cr_assert_eq(make(&m, m.key, bh_time_now(), &identity, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(agent_identity_write(identity, dir, bh_span_str(m.ca.root_pem), &diag), BH_OK);
    cr_expect_eq(mode_of(base, "out"), 0700);
    cr_expect_eq(mode_of(dir, "tls.key"), 0600);
    cr_expect_eq(mode_of(dir, "tls.crt"), 0644);
    cr_expect_eq(mode_of(dir, "root.crt"), 0644);
    char *crt = text_of(dir, "tls.crt"), *root = text_of(dir, "root.crt");
    char *key = text_of(dir, "tls.key");
    EVP_PKEY *read = NULL;
    cr_expect_str_eq(crt, identity->pem);
    cr_expect_str_eq(root, m.ca.root_pem);
    cr_assert_eq(bh_key_from_pem(bh_span_str(key), NULL, &read, NULL), BH_OK);
    cr_expect_eq(EVP_PKEY_eq(read, m.key), 1);
    free(crt);
    free(root);
    free(key);
    EVP_PKEY_free(read);
    /* Again: replaced, and no temporary file stays. */
    cr_assert_eq(make(&m, m.key, bh_time_now(), &next, &diag), BH_OK);
    cr_assert_eq(agent_identity_write(next, dir, bh_span_str(m.ca.root_pem), &diag), BH_OK);
    crt = text_of(dir, "tls.crt");
    cr_expect_str_eq(crt, next->pem);
    free(crt);
    size_t files = 0;
    DIR *d = opendir(dir);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        files += entry->d_name[0] != '.';
    closedir(d);
    cr_expect_eq(files, 3);
    cr_expect_eq(agent_identity_write(next, "/proc/no/such", bh_span_str(""), &diag), BH_ERR_IO);
    cr_expect_str_neq(diag.detail, "");
    remove_all(dir);
    rmdir(base);
    agent_identity_free(identity);
    agent_identity_free(next);
    finish(&m);
}

Test(context, canonical_text)
{
    char text[AGENT_CONTEXT_TEXT_MAX], both[8192], hex[65], expected[1024];
    uint8_t digest[AGENT_CONTEXT_LEN], again[AGENT_CONTEXT_LEN], root[32];
    struct bh_test_ca a, b;
    uint8_t *der = NULL;
    size_t len = 0;

    bh_test_ca_make(&a, &(struct bh_test_root){.domain = "a.example"});
    bh_test_ca_make(&b, &(struct bh_test_root){.domain = "b.example"});
    cr_assert_eq(agent_context("payments", "127.0.0.1:8080", false, bh_span_str(a.root_pem), text,
                     digest, NULL),
        BH_OK);
    cr_assert_eq(bh_x509_to_der(a.root, &der, &len), BH_OK);
    cr_assert_eq(bh_sha2(256, bh_span(der, len), root), BH_OK);
    OPENSSL_free(der);
    snprintf(expected, sizeof(expected),
        "beachhead-agent.config.v1\nworkload=payments\nupstream=127.0.0.1:8080\nkey-file=no\n"
        "root-sha256=%s\n",
        bh_hex(bh_span(root, 32), hex, sizeof(hex)));
    cr_expect_str_eq(text, expected);
    cr_assert_eq(bh_sha2(256, bh_span_str(expected), again), BH_OK);
    cr_expect_arr_eq(digest, again, 32);
    /* Each part counts; the order of the roots does not. */
    cr_assert_eq(
        agent_context("other", "127.0.0.1:8080", false, bh_span_str(a.root_pem), text, again, NULL),
        BH_OK);
    cr_expect_arr_neq(digest, again, 32);
    cr_assert_eq(
        agent_context("payments", NULL, true, bh_span_str(a.root_pem), text, again, NULL), BH_OK);
    cr_expect_neq(strstr(text, "upstream=none\nkey-file=yes\n"), NULL);
    snprintf(both, sizeof(both), "%s%s", a.root_pem, b.root_pem);
    cr_assert_eq(agent_context("p", NULL, true, bh_span_str(both), text, digest, NULL), BH_OK);
    snprintf(both, sizeof(both), "%s%s", b.root_pem, a.root_pem);
    cr_assert_eq(agent_context("p", NULL, true, bh_span_str(both), text, again, NULL), BH_OK);
    cr_expect_arr_eq(digest, again, 32);
    cr_expect_neq(agent_context("p", NULL, true, bh_span_str("x"), text, again, NULL), BH_OK);
    bh_test_ca_clear(&a);
    bh_test_ca_clear(&b);
}

Test(status, written)
{
    char base[] = "/tmp/bh-state-XXXXXX";
    struct agent_identity *identity = NULL;
    struct agent_status status = {.workload = "payments", .failed_at = 1800000000};
    struct bh_diag diag = {0};
    json_t *json = NULL;
    struct made m;

    begin(&m);
    cr_assert_not_null(mkdtemp(base));
    (void)bh_refuse(&status.failure, BH_ERR_POLICY, "psa.lifecycle", NULL, NULL, "no");
    cr_assert_eq(agent_status_write(&status, base, 1800000000, &diag), BH_OK);
    char *text = text_of(base, "status.json");
    cr_assert_eq(bh_json_parse(bh_span_str(text), 65536, &json, NULL), BH_OK);
    cr_expect_str_eq(json_string_value(json_object_get(json, "state")), "not serving");
    json_t *failure = json_object_get(json, "last_failure");
    cr_expect_str_eq(json_string_value(json_object_get(failure, "check")), "psa.lifecycle");
    cr_expect_str_eq(json_string_value(json_object_get(failure, "code")), "policy-refused");
    json_decref(json);
    free(text);

    cr_assert_eq(make(&m, m.key, bh_time_now(), &identity, &diag), BH_OK);
    status.peer = identity->peer;
    status.endpoint = "127.0.0.1:1";
    status.serving = true;
    cr_assert_eq(agent_status_write(&status, base, 1800000000, &diag), BH_OK);
    text = text_of(base, "status.json");
    cr_assert_eq(bh_json_parse(bh_span_str(text), 65536, &json, NULL), BH_OK);
    cr_expect_str_eq(json_string_value(json_object_get(json, "state")), "serving");
    cr_expect_str_eq(
        json_string_value(json_object_get(json, "serial")), bh_peer_serial(identity->peer));
    cr_expect_null(strstr(text, "PRIVATE"));
    cr_expect_eq(agent_status_write(&status, "/proc/no/such", 0, &diag), BH_ERR_IO);
    json_decref(json);
    free(text);
    agent_identity_free(identity);
    remove_all(base);
    finish(&m);
}
