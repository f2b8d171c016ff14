/* SPDX-License-Identifier: Apache-2.0 */
/* One trust for many: threads, and deployments side by side. */
#include "sdk.h"

#include "beachhead/tls.h"

#include <pthread.h>

#define THREADS 8
#define TURNS 16

struct shared {
    struct setup *s;
    const unsigned char *ders[2];
    size_t lens[2];
    unsigned good;
};

static void *
verify_often(void *arg)
{
    struct shared *shared = arg;
    struct setup *s = shared->s;
    bh_failure *failure = bh_failure_new();

    for (int i = 0; i < TURNS && failure != NULL; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        bh_peer *peer = NULL;

        if (ctx != NULL &&
            bh_ssl_ctx_attach(ctx, s->trust, s->expectation, failure) == BH_RESULT_OK &&
            bh_verify_chain(s->trust, s->expectation, shared->ders, shared->lens, 2, s->now, &peer,
                failure) == BH_RESULT_OK)
            shared->good++;
        bh_peer_free(peer);
        SSL_CTX_free(ctx);
    }
    bh_failure_free(failure);
    return NULL;
}

Test(sharing, one_trust_in_many_threads)
{
    struct shared shared[THREADS];
    pthread_t threads[THREADS];
    unsigned char *ders[2] = {NULL};
    size_t lens[2];
    struct setup s;
    X509 *leaf;

    begin(&s, NULL);
    leaf = bh_test_leaf_issue(&s.ca, &s.leaf);
    cr_assert_eq(bh_x509_to_der(leaf, &ders[0], &lens[0]), BH_OK);
    cr_assert_eq(bh_x509_to_der(s.ca.issuing, &ders[1], &lens[1]), BH_OK);
    for (size_t i = 0; i < THREADS; i++) {
        shared[i] =
            (struct shared){.s = &s, .ders = {ders[0], ders[1]}, .lens = {lens[0], lens[1]}};
        cr_assert_eq(pthread_create(&threads[i], NULL, verify_often, &shared[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_expect_eq(shared[i].good, TURNS);
    }
    OPENSSL_free(ders[0]);
    OPENSSL_free(ders[1]);
    X509_free(leaf);
    finish(&s);
}

/* Trust in two deployments: each may speak for its own trust domain alone. */
static void
crossing(const char *san, const char *check)
{
    struct bh_test_ca other;
    char both[16384];
    struct setup s;

    begin(&s, &(struct bh_test_root){.domain = "a.example"});
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "b.example"});
    (void)snprintf(both, sizeof(both), "%s%s", other.root_pem, s.ca.root_pem);
    bh_trust_free(s.trust);
    cr_assert_eq(bh_trust_new(both, strlen(both), &s.trust, s.failure), BH_RESULT_OK);
    s.leaf.san = san;
    if (check != NULL)
        refused(&s, check);
    else
        cr_assert_eq(verify_at(&s, s.now, NULL), BH_RESULT_OK, "%s", bh_failure_detail(s.failure));
    bh_test_ca_clear(&other);
    finish(&s);
}

Test(sharing, trust_domains_do_not_cross)
{
    crossing("URI:spiffe://a.example/payments", NULL);
    crossing("URI:spiffe://b.example/payments", "certificate.chain");
    crossing("URI:spiffe://a.example.b.example/payments", "certificate.chain");
    crossing("URI:spiffe://x.a.example/payments", "certificate.chain");
    crossing("URI:spiffe://a.example,URI:spiffe://b.example/payments", "certificate.chain");
}

/* What OpenSSL takes for the host a.example and is another name all the same. */
Test(sharing, spellings_of_a_domain)
{
    static const char *const sans[] = {"URI:spiffe://A.example/payments",
        "URI:spiffe://a.example:443/payments", "URI:spiffe://a.example/payments/",
        "URI:spiffe://a.example//payments", "URI:spiffe://a.example/Payments",
        "URI:spiffe://a.example/payments?x", "URI:spiffe://a.example/payments#x",
        "URI:SPIFFE://a.example/payments", "URI:https://a.example/payments",
        "URI:spiffe://a.example/payments,URI:spiffe://a.example/other",
        "URI:spiffe://a.example/beachhead/server"};

    for (size_t i = 0; i < BH_COUNT(sans); i++)
        crossing(sans[i], "certificate.spiffe_id");
}
