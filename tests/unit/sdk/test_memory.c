/* SPDX-License-Identifier: Apache-2.0 */
/* What the library does when memory runs out: no peer is verified, nothing leaks, the reason is
 * said. */
#include "sdk.h"

#include "beachhead/curl.h"
#include "beachhead/tls.h"
#include "src/internal.h"
#include "support/starve.h"

#include <openssl/ssl.h>

#define MOST 400
#define ALL (BH_STARVE_CODE | BH_STARVE_OPENSSL)

struct starving {
    struct setup setup;
    unsigned char *leaf_der, *issuing_der;
    size_t leaf_len, issuing_len;
    SSL_CTX *client_ctx, *server_ctx;
};

static enum bh_err
told(enum bh_result r, const bh_failure *failure, struct bh_diag *diag)
{
    if (r == BH_RESULT_OK)
        return BH_OK;
    *diag = failure->diag;
    return diag->err == BH_OK ? BH_ERR_INTERNAL : diag->err;
}

static enum bh_err
trust(void *arg, struct bh_diag *diag)
{
    struct setup *s = arg;
    bh_trust *made = NULL;
    const enum bh_result r =
        bh_trust_new(s->ca.root_pem, strlen(s->ca.root_pem), &made, s->failure);

    cr_expect_eq(r == BH_RESULT_OK, made != NULL);
    bh_trust_free(made);
    return told(r, s->failure, diag);
}

static enum bh_err
expectation(void *arg, struct bh_diag *diag)
{
    static const unsigned char bytes[48] = {1};
    struct setup *s = arg;
    bh_expectation *x = NULL, *copy = NULL;
    enum bh_result r;

    if ((r = bh_expectation_new("payments", &x, s->failure)) == BH_RESULT_OK &&
        (r = bh_expectation_platform(x, "psa", s->failure)) == BH_RESULT_OK &&
        (r = bh_expectation_measurement(x, bytes, sizeof(bytes), s->failure)) == BH_RESULT_OK &&
        (copy = bh_expectation_copy(x)) == NULL) {
        bh_expectation_free(x);
        return bh_fail(diag, BH_ERR_NOMEM, "copy");
    }
    bh_expectation_free(x);
    bh_expectation_free(copy);
    return told(r, s->failure, diag);
}

static enum bh_err
chain(void *arg, struct bh_diag *diag)
{
    struct starving *w = arg;
    struct setup *s = &w->setup;
    unsigned char *ders[2] = {NULL};
    bh_peer *peer = NULL, *copy = NULL;
    size_t lens[2] = {0};
    enum bh_result r = BH_RESULT_INTERNAL;
    enum bh_err e = BH_OK;

    /* Made with plenty before: only the verification starves. */
    ders[0] = w->leaf_der;
    lens[0] = w->leaf_len;
    ders[1] = w->issuing_der;
    lens[1] = w->issuing_len;
    r = bh_verify_chain(s->trust, s->expectation, (const unsigned char *const *)ders, lens, 2,
        s->now, &peer, s->failure);
    cr_expect_eq(r == BH_RESULT_OK, peer != NULL);
    if (r == BH_RESULT_OK && (copy = bh_peer_copy(peer)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "copy");
    bh_peer_free(peer);
    bh_peer_free(copy);
    return e != BH_OK ? e : told(r, s->failure, diag);
}

static enum bh_err
attach(void *arg, struct bh_diag *diag)
{
    struct setup *s = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    enum bh_result r;

    if (ctx == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "context");
    r = bh_ssl_ctx_attach(ctx, s->trust, s->expectation, s->failure);
    if (r == BH_RESULT_OK)
        r = bh_ssl_ctx_attach(ctx, s->trust, s->expectation, s->failure);
    SSL_CTX_free(ctx);
    return told(r, s->failure, diag);
}

static enum bh_err
curl(void *arg, struct bh_diag *diag)
{
    struct setup *s = arg;
    CURL *easy = curl_easy_init();
    bh_curl *attached = NULL;
    const enum bh_result r = bh_curl_attach(easy, s->trust, s->expectation, &attached, s->failure);

    cr_expect_eq(r == BH_RESULT_OK, attached != NULL);
    curl_easy_cleanup(easy);
    bh_curl_free(attached);
    return told(r, s->failure, diag);
}

/* A handshake in memory: where memory runs out on the client, it fails and there is no peer. */
static enum bh_err
handshake(void *arg, struct bh_diag *diag)
{
    struct starving *w = arg;
    SSL *client = SSL_new(w->client_ctx), *server = SSL_new(w->server_ctx);
    BIO *a = NULL, *b = NULL;
    int c = 0, d = 0;
    enum bh_err e = BH_OK;

    if (client == NULL || server == NULL || BIO_new_bio_pair(&a, 0, &b, 0) != 1) {
        e = bh_fail(diag, BH_ERR_NOMEM, "ends");
        goto out;
    }
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    for (int i = 0; i < 20 && (c != 1 || d != 1); i++) {
        c = SSL_do_handshake(client);
        d = SSL_do_handshake(server);
    }
    if (c != 1 || d != 1)
        e = bh_fail(diag, BH_ERR_NOMEM, "handshake");
    if (c == 1)
        cr_expect_not_null(bh_ssl_peer(client), "a handshake without a peer");
out:
    SSL_free(client);
    SSL_free(server);
    return e;
}

Test(memory, verification, .timeout = 200)
{
    struct starving w = {0};
    struct setup *s = &w.setup;

    begin(s, NULL);
    X509 *leaf = bh_test_leaf_issue(&s->ca, &s->leaf);
    cr_assert_eq(bh_x509_to_der(leaf, &w.leaf_der, &w.leaf_len), BH_OK);
    cr_assert_eq(bh_x509_to_der(s->ca.issuing, &w.issuing_der, &w.issuing_len), BH_OK);
    cr_expect_gt(bh_starve(ALL, MOST, trust, s), 50);
    cr_expect_gt(bh_starve(ALL, MOST, expectation, s), 1);
    cr_expect_gt(bh_starve(ALL, MOST, chain, &w), 50);
    X509_free(leaf);
    OPENSSL_free(w.leaf_der);
    OPENSSL_free(w.issuing_der);
    finish(s);
}

Test(memory, attachments, .timeout = 200)
{
    struct setup s;

    begin(&s, NULL);
    cr_expect_gt(bh_starve(BH_STARVE_CODE, MOST, attach, &s), 2);
    cr_expect_gt(bh_starve(BH_STARVE_CODE, MOST, curl, &s), 1);
    finish(&s);
}

Test(memory, handshakes, .timeout = 200)
{
    struct starving w = {0};
    struct setup *s = &w.setup;

    begin(s, NULL);
    X509 *leaf = bh_test_leaf_issue(&s->ca, &s->leaf);
    w.client_ctx = SSL_CTX_new(TLS_client_method());
    w.server_ctx = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate(w.server_ctx, leaf), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(w.server_ctx, s->leaf.key), 1);
    cr_assert_eq(SSL_CTX_add1_chain_cert(w.server_ctx, s->ca.issuing), 1);
    cr_assert_eq(
        bh_ssl_ctx_attach(w.client_ctx, s->trust, s->expectation, s->failure), BH_RESULT_OK);
    cr_expect_gt(bh_starve(BH_STARVE_CODE, MOST, handshake, &w), 2);
    SSL_CTX_free(w.client_ctx);
    SSL_CTX_free(w.server_ctx);
    X509_free(leaf);
    finish(s);
}

/* A copy of a connection has verified nothing, whatever the first one has. */
Test(memory, duplicates)
{
    struct starving w = {0};
    struct setup *s = &w.setup;
    BIO *a = NULL, *b = NULL;
    int c = 0;

    begin(s, NULL);
    X509 *leaf = bh_test_leaf_issue(&s->ca, &s->leaf);
    w.client_ctx = SSL_CTX_new(TLS_client_method());
    w.server_ctx = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate(w.server_ctx, leaf), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(w.server_ctx, s->leaf.key), 1);
    cr_assert_eq(SSL_CTX_add1_chain_cert(w.server_ctx, s->ca.issuing), 1);
    cr_assert_eq(
        bh_ssl_ctx_attach(w.client_ctx, s->trust, s->expectation, s->failure), BH_RESULT_OK);
    SSL *client = SSL_new(w.client_ctx), *server = SSL_new(w.server_ctx);
    cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 20 && c != 1; i++) {
        c = SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    cr_assert_not_null(bh_ssl_peer(client));
    cr_assert_eq(SSL_clear(client), 1);
    SSL *copy = SSL_dup(client);
    cr_assert(copy != NULL && copy != client);
    cr_expect_null(bh_ssl_peer(copy));
    cr_expect_null(bh_ssl_failure(copy));
    SSL_free(copy);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(w.client_ctx);
    SSL_CTX_free(w.server_ctx);
    X509_free(leaf);
    finish(s);
}
