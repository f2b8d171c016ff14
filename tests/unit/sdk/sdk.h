/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the library have in common. */
#ifndef BH_TEST_SDK_H
#define BH_TEST_SDK_H

#include "beachhead/beachhead.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/ca.h"

#include <criterion/criterion.h>

/** A CA, trust in it, one expectation, one failure, one key. */
struct setup {
    struct bh_test_ca ca;
    bh_trust *trust;
    bh_expectation *expectation;
    bh_failure *failure;
    EVP_PKEY *key;
    int64_t now;
    struct bh_test_leaf leaf;
};

static inline void
begin(struct setup *s, const struct bh_test_root *root)
{
    static const struct bh_test_root regular = {.domain = "fleet.example"};

    memset(s, 0, sizeof(*s));
    bh_test_ca_make(&s->ca, root != NULL ? root : &regular);
    s->failure = bh_failure_new();
    cr_assert_not_null(s->failure);
    cr_assert_eq(bh_trust_new(s->ca.root_pem, strlen(s->ca.root_pem), &s->trust, s->failure),
        BH_RESULT_OK, "%s", bh_failure_detail(s->failure));
    cr_assert_eq(bh_expectation_new("payments", &s->expectation, s->failure), BH_RESULT_OK);
    s->key = bh_test_key("P-256");
    s->now = bh_time_now();
    bh_test_leaf_init(&s->ca, &s->leaf, "payments", s->key, s->now, 3600);
}

static inline void
finish(struct setup *s)
{
    bh_test_ca_clear(&s->ca);
    bh_trust_free(s->trust);
    bh_expectation_free(s->expectation);
    bh_failure_free(s->failure);
    EVP_PKEY_free(s->key);
}

/** Issue the leaf and verify its chain as of @p at; the peer goes to @p ret_peer (may be NULL). */
static inline enum bh_result
verify_at(struct setup *s, int64_t at, bh_peer **ret_peer)
{
    X509 *leaf = bh_test_leaf_issue(&s->ca, &s->leaf);
    unsigned char *ders[2] = {NULL};
    size_t lens[2] = {0};

    cr_assert_eq(bh_x509_to_der(leaf, &ders[0], &lens[0]), BH_OK);
    cr_assert_eq(bh_x509_to_der(s->ca.issuing, &ders[1], &lens[1]), BH_OK);
    const enum bh_result r = bh_verify_chain(s->trust, s->expectation,
        (const unsigned char *const *)ders, lens, 2, at, ret_peer, s->failure);
    OPENSSL_free(ders[0]);
    OPENSSL_free(ders[1]);
    X509_free(leaf);
    return r;
}

/** The leaf as it is now must be refused by @p check, and no peer come out. */
static inline void
refused(struct setup *s, const char *check)
{
    bh_peer *peer = NULL;
    const enum bh_result r = verify_at(s, s->now, &peer);

    cr_expect_eq(r, BH_RESULT_REFUSED, "%s: result %d", check, (int)r);
    cr_expect_str_eq(bh_failure_check(s->failure), check, "found %s: %s",
        bh_failure_check(s->failure), bh_failure_detail(s->failure));
    cr_expect_str_neq(bh_failure_hint(s->failure), "", "%s has no hint", check);
    cr_expect_str_neq(bh_failure_code(s->failure), "");
    cr_expect_null(peer);
    bh_peer_free(peer);
}

static inline void
accepted(struct setup *s)
{
    cr_expect_eq(verify_at(s, s->now, NULL), BH_RESULT_OK, "%s: %s", bh_failure_check(s->failure),
        bh_failure_detail(s->failure));
}

#endif
