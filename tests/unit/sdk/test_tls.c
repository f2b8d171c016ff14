/* SPDX-License-Identifier: Apache-2.0 */
/* The verification inside a handshake, between two ends in memory. */
#include "sdk.h"

#include <openssl/ssl.h>

struct ends {
    SSL_CTX *client_ctx, *server_ctx;
    SSL *client, *server;
};

static void
use_leaf(struct setup *s, SSL_CTX *ctx)
{
    X509 *leaf = bh_test_leaf_issue(&s->ca, &s->leaf);

    cr_assert_eq(SSL_CTX_use_certificate(ctx, leaf), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(ctx, s->leaf.key), 1);
    cr_assert_eq(SSL_CTX_add1_chain_cert(ctx, s->ca.issuing), 1);
    X509_free(leaf);
}

static void
open_ends(struct setup *s, struct ends *e, bool attach)
{
    BIO *a = NULL, *b = NULL;

    e->client_ctx = SSL_CTX_new(TLS_client_method());
    e->server_ctx = SSL_CTX_new(TLS_server_method());
    use_leaf(s, e->server_ctx);
    if (attach)
        cr_assert_eq(
            bh_ssl_ctx_attach(e->client_ctx, s->trust, s->expectation, s->failure), BH_RESULT_OK);
    e->client = SSL_new(e->client_ctx);
    e->server = SSL_new(e->server_ctx);
    SSL_set_connect_state(e->client);
    SSL_set_accept_state(e->server);
    cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(e->client, a, a);
    SSL_set_bio(e->server, b, b);
}

/* True when the client's handshake came to its end. */
static bool
shake(struct ends *e)
{
    int client = 0, server = 0;

    for (int i = 0; i < 20 && (client != 1 || server != 1); i++) {
        client = SSL_do_handshake(e->client);
        if (client != 1 && SSL_get_error(e->client, client) != SSL_ERROR_WANT_READ)
            return false;
        server = SSL_do_handshake(e->server);
        if (server != 1 && SSL_get_error(e->server, server) != SSL_ERROR_WANT_READ)
            return false;
    }
    return client == 1 && server == 1;
}

static void
close_ends(struct ends *e)
{
    SSL_free(e->client);
    SSL_free(e->server);
    SSL_CTX_free(e->client_ctx);
    SSL_CTX_free(e->server_ctx);
}

Test(tls, verified)
{
    struct setup s;
    struct ends e;

    begin(&s, NULL);
    open_ends(&s, &e, true);
    cr_expect_null(bh_ssl_peer(e.client));
    cr_expect_null(bh_ssl_failure(e.client));
    /* Both may go at once. */
    bh_expectation_free(s.expectation);
    bh_trust_free(s.trust);
    s.expectation = NULL;
    s.trust = NULL;
    cr_assert(shake(&e));
    cr_assert_not_null(bh_ssl_peer(e.client));
    cr_expect_str_eq(bh_peer_workload(bh_ssl_peer(e.client)), "payments");
    cr_expect_null(bh_ssl_failure(e.client));
    cr_expect_null(bh_ssl_peer(e.server));
    cr_expect_str_eq(SSL_get_version(e.client), "TLSv1.3");
    close_ends(&e);
    finish(&s);
}

Test(tls, refused_before_any_data)
{
    struct setup s;
    struct ends e;
    char byte;

    begin(&s, NULL);
    s.leaf.ear_signer = s.key;
    open_ends(&s, &e, true);
    cr_assert_not(shake(&e));
    cr_expect_null(bh_ssl_peer(e.client));
    cr_assert_not_null(bh_ssl_failure(e.client));
    cr_expect_str_eq(bh_failure_check(bh_ssl_failure(e.client)), "ear.signature");
    cr_expect_eq(bh_failure_result(bh_ssl_failure(e.client)), BH_RESULT_REFUSED);
    cr_expect_leq(SSL_write(e.client, "x", 1), 0);
    cr_expect_leq(SSL_read(e.server, &byte, 1), 0);
    close_ends(&e);
    finish(&s);
}

Test(tls, alerts)
{
    static const char *const checks[] = {"certificate.validity", "certificate.chain", "workload"};
    struct bh_test_ca other;

    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    for (size_t i = 0; i < BH_COUNT(checks); i++) {
        struct setup s;
        struct ends e;
        begin(&s, NULL);
        if (i == 0)
            s.leaf.not_after = s.now - 1;
        if (i == 1) {
            bh_trust_free(s.trust);
            cr_assert_eq(bh_trust_new(other.root_pem, strlen(other.root_pem), &s.trust, s.failure),
                BH_RESULT_OK);
        }
        if (i == 2) {
            bh_expectation_free(s.expectation);
            cr_assert_eq(bh_expectation_new("other", &s.expectation, s.failure), BH_RESULT_OK);
        }
        open_ends(&s, &e, true);
        cr_assert_not(shake(&e));
        cr_expect_str_eq(bh_failure_check(bh_ssl_failure(e.client)), checks[i]);
        close_ends(&e);
        finish(&s);
    }
    bh_test_ca_clear(&other);
}

/* Without attachment nothing passes for verified. */
Test(tls, not_attached)
{
    struct setup s;
    struct ends e;

    begin(&s, NULL);
    open_ends(&s, &e, false);
    SSL_set_verify(e.client, SSL_VERIFY_NONE, NULL);
    cr_assert(shake(&e));
    cr_expect_null(bh_ssl_peer(e.client));
    cr_expect_null(bh_ssl_failure(e.client));
    close_ends(&e);
    finish(&s);
}

/* Who asks why without asking whether: whoever breaks off a handshake must not end the program. */
Test(tls, no_failure_has_no_texts)
{
    struct setup s;
    struct ends e;

    begin(&s, NULL);
    open_ends(&s, &e, true);
    cr_assert_neq(SSL_do_handshake(e.client), 1, "nobody has answered yet");
    const bh_failure *none = bh_ssl_failure(e.client);
    cr_assert_null(none);
    cr_expect_eq(bh_failure_result(none), BH_RESULT_INTERNAL, "not to be taken for success");
    cr_expect_str_eq(bh_failure_code(none), "");
    cr_expect_str_eq(bh_failure_check(none), "");
    cr_expect_str_eq(bh_failure_expected(none), "");
    cr_expect_str_eq(bh_failure_found(none), "");
    cr_expect_str_eq(bh_failure_detail(none), "");
    cr_expect_str_eq(bh_failure_hint(none), "");
    close_ends(&e);
    finish(&s);
}

Test(tls, server_side_demands_a_client)
{
    struct setup s;
    struct ends e;

    begin(&s, NULL);
    open_ends(&s, &e, true);
    SSL_free(e.server);
    cr_assert_eq(bh_ssl_ctx_attach(e.server_ctx, s.trust, s.expectation, s.failure), BH_RESULT_OK);
    /* Attaching again takes the place of what was there. */
    cr_assert_eq(bh_ssl_ctx_attach(e.server_ctx, s.trust, s.expectation, s.failure), BH_RESULT_OK);
    SSL_free(e.client);
    SSL_CTX_free(e.client_ctx);
    for (int with = 0; with < 2; with++) {
        BIO *a = NULL, *b = NULL;
        e.client_ctx = SSL_CTX_new(TLS_client_method());
        cr_assert_eq(
            bh_ssl_ctx_attach(e.client_ctx, s.trust, s.expectation, s.failure), BH_RESULT_OK);
        if (with == 1)
            use_leaf(&s, e.client_ctx);
        e.client = SSL_new(e.client_ctx);
        e.server = SSL_new(e.server_ctx);
        SSL_set_connect_state(e.client);
        SSL_set_accept_state(e.server);
        cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
        SSL_set_bio(e.client, a, a);
        SSL_set_bio(e.server, b, b);
        cr_expect_eq(shake(&e), with == 1);
        cr_expect_eq(bh_ssl_peer(e.server) != NULL, with == 1);
        SSL_free(e.client);
        SSL_free(e.server);
        SSL_CTX_free(e.client_ctx);
    }
    SSL_CTX_free(e.server_ctx);
    finish(&s);
}

/* A client certificate that is for servers only. */
Test(tls, usage_of_clients)
{
    struct setup s;
    struct ends e;

    begin(&s, NULL);
    s.leaf.ext_key_usage = "serverAuth";
    open_ends(&s, &e, true);
    use_leaf(&s, e.client_ctx);
    cr_assert_eq(bh_ssl_ctx_attach(e.server_ctx, s.trust, s.expectation, s.failure), BH_RESULT_OK);
    SSL_free(e.client);
    SSL_free(e.server);
    BIO *a = NULL, *b = NULL;
    e.client = SSL_new(e.client_ctx);
    e.server = SSL_new(e.server_ctx);
    SSL_set_connect_state(e.client);
    SSL_set_accept_state(e.server);
    cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(e.client, a, a);
    SSL_set_bio(e.server, b, b);
    cr_expect_not(shake(&e));
    cr_assert_not_null(bh_ssl_failure(e.server));
    cr_expect_str_eq(bh_failure_check(bh_ssl_failure(e.server)), "certificate.chain");
    close_ends(&e);
    finish(&s);
}
