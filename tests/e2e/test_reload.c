/* SPDX-License-Identifier: Apache-2.0 */
/* Reload without a lost request, drain, and what a folder keeps over a restart. */
#include "own.h"
#include "refused.h"

#include "core/cmw.h"
#include "core/ear.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

static struct own o;

static void
setup(void)
{
    own_init(&o);
    own_start(&o);
}

static void
teardown(void)
{
    own_end(&o);
}

TestSuite(reload, .init = setup, .fini = teardown);

static void
expect_refusal(struct client *c, long status, const char *code, const char *check)
{
    const struct enrolment how = {0};
    struct reply r;

    client_enrol(c, &how, &r);
    assert_refused(&r, status, code, check);
    reply_clear(&r);
}

/* ---- under load ---- */

struct load {
    struct client *client;
    _Atomic bool stop;
    _Atomic unsigned done, failed;
    char first[512]; /* failure; written before failed is */
};

static void
note(struct load *l, const char *text)
{
    if (atomic_load(&l->failed) == 0)
        (void)snprintf(l->first, sizeof(l->first), "%s", text);
    atomic_fetch_add(&l->failed, 1);
}

static void
one_enrolment(struct load *l)
{
    const struct bh_span empty = bh_span_str("{}");
    struct bh_http_reply reply = {0};
    struct bh_diag diag = {0};
    struct enrolment how = {0};
    json_t *json;
    char *text;

    if (bh_http_request(l->client->http, "/v1/challenges", "application/json", &empty, &reply,
            &diag) != BH_OK) {
        note(l, diag.detail);
        return;
    }
    json = json_loads(reply.body, 0, NULL);
    how.challenge = json_string_value(json_object_get(json, "challenge"));
    if (reply.status != 201 || how.challenge == NULL) {
        note(l, reply.body);
        json_decref(json);
        bh_http_reply_clear(&reply);
        return;
    }
    json_t *body = client_request(l->client, &how);
    text = bh_json_text(body, false);
    json_decref(body);
    json_decref(json);
    bh_http_reply_clear(&reply);
    const struct bh_span span = bh_span_str(text);
    if (bh_http_request(
            l->client->http, "/v1/certificates", "application/json", &span, &reply, &diag) != BH_OK)
        note(l, diag.detail);
    else if (reply.status != 201)
        note(l, reply.body);
    else
        atomic_fetch_add(&l->done, 1);
    bh_http_reply_clear(&reply);
    free(text);
}

static void *
load_main(void *arg)
{
    struct load *l = arg;

    while (!atomic_load(&l->stop))
        one_enrolment(l);
    return NULL;
}

static void
one_after_the_other(void)
{
    for (int i = 0; i < 5; i++)
        own_reload(&o, "reloaded");
}

/* Faster than the server can follow: it takes the last one. */
static void
in_a_burst(void)
{
    const size_t from = bh_test_server_log_len(&o.server);

    for (int i = 0; i < 20; i++) {
        cr_assert_eq(kill(o.server.parent, SIGHUP), 0);
        (void)usleep(20000);
    }
    cr_assert(bh_test_server_logged(&o.server, from, "\"event\":\"reloaded\"", 20000));
    (void)usleep(500000);
}

static void
under_load(void (*reload)(void))
{
    struct load loads[] = {{.client = &o.psa}, {.client = &o.nitro}};
    pthread_t threads[BH_COUNT(loads)];

    for (size_t i = 0; i < BH_COUNT(loads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, load_main, &loads[i]), 0);
    reload();
    for (size_t i = 0; i < BH_COUNT(loads); i++) {
        atomic_store(&loads[i].stop, true);
        (void)pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < BH_COUNT(loads); i++) {
        cr_assert_eq(
            loads[i].failed, 0, "%u failed, the first: %s", loads[i].failed, loads[i].first);
        cr_assert_gt(loads[i].done, 0);
    }
}

Test(reload, loses_no_request)
{
    under_load(one_after_the_other);
}

Test(reload, loses_no_request_in_a_burst)
{
    under_load(in_a_burst);
}

/* ---- policy ---- */

static void
digest_of(struct client *c, uint8_t out[32], int64_t *ret_lifetime)
{
    const struct enrolment how = {0};
    struct bh_diag diag = {0};
    X509 *leaf, *issuer;
    uint8_t cwt[BH_EAR_MAX];
    struct bh_ear ear;
    struct reply r;
    int64_t from = 0, to = 0;
    size_t len = 0;

    client_enrol(c, &how, &r);
    reply_chain(&r, &leaf, &issuer);
    cr_assert_eq(
        bh_unbase64url(bh_span_str(reply_string(&r, "ear")), cwt, sizeof(cwt), &len), BH_OK);
    cr_assert_eq(bh_ear_verify(bh_span(cwt, len), X509_get0_pubkey(issuer), &ear, &diag), BH_OK);
    memcpy(out, ear.submods[0].policy_digest, 32);
    cr_assert_eq(bh_time_read(reply_string(&r, "not_before"), &from), BH_OK);
    cr_assert_eq(bh_time_read(reply_string(&r, "not_after"), &to), BH_OK);
    *ret_lifetime = to - from;
    X509_free(leaf);
    X509_free(issuer);
    reply_clear(&r);
}

static void
digest_of_file(uint8_t out[32])
{
    json_t *policy = own_read(&o, "policy/w.json");
    char *text = NULL;

    cr_assert_eq(bh_json_canonical(policy, &text, NULL), BH_OK);
    cr_assert_eq(bh_sha2(256, bh_span_str(text), out), BH_OK);
    free(text);
    json_decref(policy);
}

Test(reload, new_policy_is_in_force)
{
    uint8_t before[32], after[32], file[32];
    int64_t lifetime = 0;
    json_t *policy;

    digest_of(&o.psa, before, &lifetime);
    digest_of_file(file);
    cr_assert_arr_eq(before, file, 32);
    cr_assert_eq(lifetime, 86400 + 60);
    policy = own_read(&o, "policy/w.json");
    (void)json_object_set_new(
        json_object_get(policy, "certificate"), "lifetime", json_string("10m"));
    own_write(&o, "policy/w.json", policy);
    own_reload(&o, "reloaded");
    digest_of(&o.psa, after, &lifetime);
    digest_of_file(file);
    cr_assert_arr_eq(after, file, 32);
    cr_assert_arr_neq(before, after, 32);
    cr_assert_eq(lifetime, 600 + 60);
}

static void
refused_reload(const char *name, const char *text, const char *named)
{
    const size_t from = bh_test_server_log_len(&o.server);

    own_write_text(&o, name, text);
    own_reload(&o, "reload-refused");
    cr_assert(bh_test_server_logged(&o.server, from, named, 2000), "%s is not in the log", named);
    own_enrol(&o.psa);
}

Test(reload, broken_policy_is_refused_by_name)
{
    uint8_t before[32], after[32];
    int64_t lifetime = 0;

    digest_of(&o.psa, before, &lifetime);
    refused_reload("policy/w.json", "{\"workload\":\"w\",\"accept\":[]}", "policy/w.json");
    refused_reload("policy/w.json", "{", "policy/w.json");
    digest_of(&o.psa, after, &lifetime);
    cr_assert_arr_eq(before, after, 32);
    /* And it does not start with it. */
    struct bh_diag diag = {0};
    own_stop(&o);
    cr_assert_neq(bh_test_server_start(&o.server, &diag), BH_OK);
}

Test(reload, removed_workload_is_unknown)
{
    char path[400];

    own_enrol(&o.psa);
    cr_assert_eq(bh_test_server_path(&o.server, "policy/w.json", path, sizeof(path)), BH_OK);
    cr_assert_eq(unlink(path), 0);
    own_reload(&o, "reloaded");
    expect_refusal(&o.psa, 404, "workload-unknown", "workload");
}

static int
remove_psa(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    return type == FTW_F && strstr(path, "simulated-psa-") != NULL ? unlink(path) : 0;
}

Test(reload, removed_endorsement_is_unknown)
{
    char path[400];

    own_enrol(&o.psa);
    cr_assert_eq(bh_test_server_path(&o.server, "endorsed", path, sizeof(path)), BH_OK);
    cr_assert_eq(nftw(path, remove_psa, 8, FTW_PHYS), 0);
    own_reload(&o, "reloaded");
    expect_refusal(&o.psa, 403, "endorsement-unknown", "psa.instance");
    own_enrol(&o.cca);
}

/* ---- TLS ---- */

static EVP_PKEY *
read_key(const char *name)
{
    char path[400];
    FILE *f;

    cr_assert_eq(bh_test_server_path(&o.server, name, path, sizeof(path)), BH_OK);
    cr_assert_not_null(f = fopen(path, "re"));
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    cr_assert_not_null(key);
    return key;
}

static X509 *
read_cert(const char *name)
{
    char path[400];
    FILE *f;

    cr_assert_eq(bh_test_server_path(&o.server, name, path, sizeof(path)), BH_OK);
    cr_assert_not_null(f = fopen(path, "re"));
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    cr_assert_not_null(cert);
    return cert;
}

/* The server's certificate once more, under another serial number. */
static void
renew_tls(long serial)
{
    EVP_PKEY *key = read_key("ca/issuing.key");
    X509 *cert = read_cert("tls/server.crt"), *issuer = read_cert("ca/issuing.crt");
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    cr_assert_eq(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial), 1);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    cr_assert_eq(PEM_write_bio_X509(bio, cert), 1);
    cr_assert_eq(PEM_write_bio_X509(bio, issuer), 1);
    cr_assert_eq(BIO_write(bio, "", 1), 1);
    (void)BIO_get_mem_data(bio, &text);
    own_write_text(&o, "tls/server.crt", text);
    BIO_free(bio);
    X509_free(cert);
    X509_free(issuer);
    EVP_PKEY_free(key);
}

/* A raw TLS connection; ssl_close() it. */
static SSL *
ssl_open(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    BIO *bio = BIO_new_connect(o.server.url + strlen("https://"));

    cr_assert_eq(BIO_do_connect(bio), 1);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_bio(ssl, bio, bio);
    cr_assert_eq(SSL_connect(ssl), 1);
    return ssl;
}

static long
served_serial(void)
{
    SSL *ssl = ssl_open();
    X509 *cert = SSL_get1_peer_certificate(ssl);
    const long serial = ASN1_INTEGER_get(X509_get0_serialNumber(cert));

    X509_free(cert);
    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    return serial;
}

static void
wait_for_serial(long serial)
{
    for (int i = 0; i < 200 && served_serial() != serial; i++)
        (void)usleep(10000);
    cr_assert_eq(served_serial(), serial);
}

Test(reload, tls_certificate_is_replaced)
{
    cr_assert_neq(served_serial(), 4711);
    renew_tls(4711);
    own_enrol(&o.psa);
    own_reload(&o, "reloaded");
    wait_for_serial(4711);
    own_enrol(&o.psa); /* over the connection of before */
    own_enrol(&o.cca); /* over a new one */
}

Test(reload, tls_certificate_that_does_not_fit_is_not_taken)
{
    struct bh_diag diag = {0};
    EVP_PKEY *key = NULL;
    char *pem = NULL;
    const long before = served_serial();

    cr_assert_eq(bh_key_generate("P-256", &key, &diag), BH_OK);
    cr_assert_eq(bh_key_to_pem(key, NULL, &pem, &diag), BH_OK);
    const size_t from = bh_test_server_log_len(&o.server);
    own_write_text(&o, "tls/server.key", pem);
    cr_assert_eq(kill(o.server.parent, SIGHUP), 0);
    cr_assert(bh_test_server_logged(&o.server, from, "tls", 5000));
    (void)usleep(300000);
    cr_assert_eq(served_serial(), before);
    own_enrol(&o.psa);
    EVP_PKEY_free(key);
    free(pem);
}

/* ---- drain ---- */

static void
write_all(SSL *ssl, const char *text, size_t len)
{
    while (len > 0) {
        const int n = SSL_write(ssl, text, (int)len);

        cr_assert_gt(n, 0);
        text += n;
        len -= (size_t)n;
    }
}

/* Half of the body is there when the server is told to stop. */
Test(reload, drain_finishes_what_is_under_way)
{
    const struct enrolment how = {0};
    json_t *json = client_request(&o.psa, &how);
    char *body = bh_json_text(json, false), head[256], answer[16384];
    const size_t len = strlen(body);
    SSL *ssl = ssl_open();
    int status, n, got = 0;

    (void)snprintf(head, sizeof(head),
        "POST /v1/certificates HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        len);
    write_all(ssl, head, strlen(head));
    write_all(ssl, body, len / 2);
    (void)usleep(100000);
    const size_t from = bh_test_server_log_len(&o.server);
    cr_assert_eq(kill(o.server.parent, SIGTERM), 0);
    cr_assert(bh_test_server_logged(&o.server, from, "draining", 5000));
    (void)usleep(200000);
    write_all(ssl, body + len / 2, len - len / 2);
    while (got < (int)sizeof(answer) - 1 &&
           (n = SSL_read(ssl, answer + got, (int)sizeof(answer) - 1 - got)) > 0)
        got += n;
    answer[got] = '\0';
    cr_assert_eq(strncmp(answer, "HTTP/1.1 201 ", 13), 0, "%s", answer);
    cr_assert_not_null(strstr(answer, "-----END CERTIFICATE-----"));
    cr_assert_eq(waitpid(o.server.parent, &status, 0), o.server.parent);
    o.server.parent = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    SSL_free(ssl);
    json_decref(json);
    free(body);
}

/* ---- restart ---- */

Test(reload, folder_remembers)
{
    struct enrolment how = {0};
    struct reply first, r;
    char path[80], *used, *unused;

    used = client_challenge(&o.psa);
    unused = client_challenge(&o.psa);
    how.challenge = used;
    client_enrol(&o.psa, &how, &first);
    cr_assert_eq(first.status, 201, "%s", first.text);
    own_stop(&o);
    own_start(&o);
    (void)snprintf(path, sizeof(path), "/v1/certificates/%s", reply_string(&first, "serial"));
    client_get(&o.psa, path, &r);
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "serial"), reply_string(&first, "serial"));
    reply_clear(&r);
    client_enrol(&o.psa, &how, &r);
    assert_refused(&r, 409, "challenge-used", "challenge.single_use");
    reply_clear(&r);
    how.challenge = unused;
    client_enrol(&o.psa, &how, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
    reply_clear(&first);
    free(used);
    free(unused);
}

Test(reload, one_server_to_a_folder)
{
    const char *const argv[] = {"beachhead-server", "run", "--dir", o.server.home, NULL};

    cr_assert_eq(bh_test_server_run(&o.server, argv, NULL), 1);
    cr_assert(bh_test_server_logged(&o.server, 0, "another server runs", 0));
    own_enrol(&o.psa);
}
