/* SPDX-License-Identifier: Apache-2.0 */
/* The chain and the profile of the leaf: each rule broken on its own. */
#include "sdk.h"

#include <stdio.h>
#include <stdlib.h>

Test(chain, regular)
{
    struct setup s;
    bh_peer *peer = NULL;
    size_t len = 99;

    begin(&s, NULL);
    s.leaf.ear.context_len = 3;
    memcpy(s.leaf.ear.context, "abc", 3);
    cr_assert_eq(verify_at(&s, s.now, &peer), BH_RESULT_OK, "%s: %s", bh_failure_check(s.failure),
        bh_failure_detail(s.failure));
    cr_expect_str_eq(bh_peer_workload(peer), "payments");
    cr_expect_str_eq(bh_peer_spiffe_id(peer), "spiffe://fleet.example/payments");
    cr_expect_str_eq(bh_peer_platform(peer), "aws-nitro");
    cr_expect_str_eq(bh_peer_status(peer), "affirming");
    cr_expect_str_eq(bh_peer_owner(peer), "pinned");
    cr_expect_str_eq(bh_peer_revocation(peer), "not checked");
    cr_expect_str_eq(bh_peer_issuer(peer), "OU=issuing,O=fleet.example");
    cr_expect_eq(strlen(bh_peer_serial(peer)), 32);
    cr_expect_eq(strncmp(bh_peer_measurement(peer), "abab", 4), 0);
    cr_expect_str_eq(bh_peer_claim(peer, "module_id"), "i-01");
    cr_expect_str_eq(bh_peer_claim(peer, "pcr0"), bh_peer_measurement(peer));
    cr_expect_null(bh_peer_claim(peer, "pcr9"));
    cr_expect_not(bh_peer_simulated(peer));
    cr_expect_not(bh_peer_debug(peer));
    cr_expect_eq(bh_peer_not_before(peer), s.now - 60);
    cr_expect_eq(bh_peer_not_after(peer), s.now + 3600);
    cr_expect_eq(memcmp(bh_peer_context(peer, &len), "abc", 3), 0);
    cr_expect_eq(len, 3);
    bh_peer_free(peer);
    bh_peer_free(NULL);
    finish(&s);
}

Test(chain, validity)
{
    struct setup s;

    begin(&s, NULL);
    cr_expect_eq(verify_at(&s, s.now + 3601, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.validity");
    cr_expect_eq(verify_at(&s, s.now - 61, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.validity");
    cr_expect_neq(strstr(bh_failure_hint(s.failure), "clock"), NULL);
    finish(&s);
}

Test(chain, another_root)
{
    struct setup s;
    struct bh_test_ca other;

    begin(&s, NULL);
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    bh_trust_free(s.trust);
    cr_assert_eq(
        bh_trust_new(other.root_pem, strlen(other.root_pem), &s.trust, s.failure), BH_RESULT_OK);
    refused(&s, "certificate.chain");
    bh_test_ca_clear(&other);
    finish(&s);
}

/* A name outside the CA's constraints, even if everything else is right. */
Test(chain, outside_the_trust_domain)
{
    struct setup s;

    begin(&s, NULL);
    s.leaf.san = "URI:spiffe://other.example/payments";
    refused(&s, "certificate.chain");
    s.leaf.san = "URI:spiffe://fleet.example/payments,DNS:www.other.example";
    refused(&s, "certificate.chain");
    finish(&s);
}

Test(chain, shapes)
{
    struct setup s;
    unsigned char *der = NULL;
    const unsigned char *ders[17];
    size_t len = 0, lens[17];

    begin(&s, NULL);
    cr_assert_eq(bh_x509_to_der(s.ca.root, &der, &len), BH_OK);
    for (size_t i = 0; i < 17; i++) {
        ders[i] = der;
        lens[i] = len;
    }
    cr_expect_eq(bh_verify_chain(s.trust, s.expectation, ders, lens, 0, s.now, NULL, s.failure),
        BH_RESULT_USAGE);
    cr_expect_eq(bh_verify_chain(s.trust, s.expectation, ders, lens, 17, s.now, NULL, s.failure),
        BH_RESULT_USAGE);
    cr_expect_eq(bh_verify_chain(s.trust, s.expectation, ders, lens, 1, s.now, NULL, s.failure),
        BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.chain");
    lens[0] = len - 1;
    cr_expect_eq(bh_verify_chain(s.trust, s.expectation, ders, lens, 2, s.now, NULL, s.failure),
        BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.malformed");
    OPENSSL_free(der);
    finish(&s);
}

Test(leaf, profile)
{
    static const struct {
        const char *basic, *key_usage, *ext_key_usage, *san, *check;
    } cases[] = {
        {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth",
            "URI:spiffe://fleet.example/payments", "certificate.chain"},
        {"critical,CA:FALSE", "critical,digitalSignature", NULL,
            "URI:spiffe://fleet.example/payments", "certificate.extended_key_usage"},
        {"critical,CA:FALSE", NULL, "serverAuth", "URI:spiffe://fleet.example/payments",
            "certificate.key_usage"},
        {"critical,CA:FALSE", "critical,digitalSignature,keyAgreement", "serverAuth",
            "URI:spiffe://fleet.example/payments", "certificate.key_usage"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth", NULL,
            "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth", "DNS:fleet.example",
            "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
            "URI:spiffe://fleet.example/payments,URI:spiffe://fleet.example/other",
            "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
            "URI:https://fleet.example/payments", "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
            "URI:spiffe://fleet.example/beachhead/server", "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
            "URI:spiffe://fleet.example/", "certificate.spiffe_id"},
        {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
            "URI:spiffe://fleet.example/PAYMENTS", "certificate.spiffe_id"},
    };

    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct setup s;
        begin(&s, NULL);
        s.leaf.basic = cases[i].basic;
        s.leaf.key_usage = cases[i].key_usage;
        s.leaf.ext_key_usage = cases[i].ext_key_usage;
        s.leaf.san = cases[i].san;
        refused(&s, cases[i].check);
        finish(&s);
    }
}

/* What a workload may never be: a CA. The issuing CA's pathLen 0 does not stop it as a leaf. */
Test(leaf, ca)
{
    struct setup s;

    begin(&s, NULL);
    s.leaf.basic = "critical,CA:TRUE";
    s.leaf.key_usage = "critical,digitalSignature,keyCertSign";
    refused(&s, "certificate.ca");
    finish(&s);
}

Test(leaf, weak_key)
{
    struct setup s;
    EVP_PKEY *rsa = EVP_RSA_gen(1024);

    begin(&s, NULL);
    s.leaf.key = rsa;
    refused(&s, "certificate.chain");
    EVP_PKEY_free(rsa);
    finish(&s);
}

/* ---- revocation ---- */

static void
give_crl(struct setup *s, const X509 *revoked, int64_t last, int64_t next)
{
    size_t len = 0;
    uint8_t *crl = bh_test_crl(&s->ca, revoked, last, next, &len);

    cr_assert_eq(bh_expectation_crl(s->expectation, crl, len, s->failure), BH_RESULT_OK);
    free(crl);
}

static enum bh_result
verify_cert(struct setup *s, X509 *leaf, bh_peer **ret_peer)
{
    unsigned char *ders[2] = {NULL};
    size_t lens[2] = {0};

    cr_assert_eq(bh_x509_to_der(leaf, &ders[0], &lens[0]), BH_OK);
    cr_assert_eq(bh_x509_to_der(s->ca.issuing, &ders[1], &lens[1]), BH_OK);
    const enum bh_result r = bh_verify_chain(s->trust, s->expectation,
        (const unsigned char *const *)ders, lens, 2, s->now, ret_peer, s->failure);
    OPENSSL_free(ders[0]);
    OPENSSL_free(ders[1]);
    return r;
}

Test(revocation, lists)
{
    struct setup s;
    bh_peer *peer = NULL;

    begin(&s, NULL);
    X509 *leaf = bh_test_leaf_issue(&s.ca, &s.leaf);
    bh_expectation_require_revocation(s.expectation);
    cr_expect_eq(verify_cert(&s, leaf, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "revocation");
    give_crl(&s, NULL, s.now - 10, s.now + 100);
    cr_assert_eq(verify_cert(&s, leaf, &peer), BH_RESULT_OK, "%s", bh_failure_detail(s.failure));
    cr_expect_str_eq(bh_peer_revocation(peer), "good");
    bh_peer_free(peer);
    give_crl(&s, leaf, s.now - 10, s.now + 100);
    cr_expect_eq(verify_cert(&s, leaf, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.revocation");
    cr_expect_str_eq(bh_failure_found(s.failure), "revoked");
    give_crl(&s, NULL, s.now - 100, s.now - 10);
    cr_expect_eq(verify_cert(&s, leaf, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.revocation");
    give_crl(&s, NULL, s.now + 100, s.now + 200);
    cr_expect_eq(verify_cert(&s, leaf, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "certificate.revocation");
    X509_free(leaf);
    finish(&s);
}

Test(revocation, list_of_another_ca)
{
    struct setup s;
    struct bh_test_ca other;
    size_t len = 0;

    begin(&s, NULL);
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    uint8_t *crl = bh_test_crl(&other, NULL, s.now - 10, s.now + 100, &len);
    cr_assert_eq(bh_expectation_crl(s.expectation, crl, len, s.failure), BH_RESULT_OK);
    refused(&s, "certificate.revocation");
    cr_expect_eq(bh_expectation_crl(s.expectation, crl, len - 1, s.failure), BH_RESULT_USAGE);
    uint8_t *longer = calloc(1, len + 1);
    memcpy(longer, crl, len);
    cr_expect_eq(bh_expectation_crl(s.expectation, longer, len + 1, s.failure), BH_RESULT_USAGE);
    free(longer);
    free(crl);
    bh_test_ca_clear(&other);
    finish(&s);
}
