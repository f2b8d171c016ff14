/* SPDX-License-Identifier: Apache-2.0 */
/* libbeachhead.so as a program of somebody else sees it: by its public headers and exports alone.
 */
#include "beachhead/beachhead.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

Test(library, version)
{
    cr_expect_str_eq(bh_version(), BH_VERSION);
}

Test(library, verifies_a_chain)
{
    const int64_t now = (int64_t)time(NULL);
    bh_failure *failure = bh_failure_new();
    bh_expectation *expectation = NULL;
    EVP_PKEY *key = bh_test_key("P-256");
    unsigned char *ders[2] = {NULL};
    bh_trust *trust = NULL;
    bh_peer *peer = NULL;
    struct bh_test_leaf spec;
    struct bh_test_ca ca;
    size_t lens[2];

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    bh_test_leaf_init(&ca, &spec, "payments", key, now, 3600);
    X509 *leaf = bh_test_leaf_issue(&ca, &spec);
    lens[0] = (size_t)i2d_X509(leaf, &ders[0]);
    lens[1] = (size_t)i2d_X509(ca.issuing, &ders[1]);
    cr_assert_eq(bh_trust_new(ca.root_pem, strlen(ca.root_pem), &trust, failure), BH_RESULT_OK);
    cr_assert_eq(bh_expectation_new("payments", &expectation, failure), BH_RESULT_OK);
    cr_expect_eq(bh_verify_chain(trust, expectation, (const unsigned char *const *)ders, lens, 2,
                     now, &peer, failure),
        BH_RESULT_OK, "%s", bh_failure_detail(failure));
    cr_expect_str_eq(bh_peer_workload(peer), "payments");
    bh_peer_free(peer);
    peer = NULL;
    cr_expect_eq(bh_verify_chain(trust, expectation, (const unsigned char *const *)ders, lens, 2,
                     now + 7200, &peer, failure),
        BH_RESULT_REFUSED);
    cr_expect_null(peer);
    cr_expect_str_eq(bh_failure_check(failure), "certificate.validity");
    OPENSSL_free(ders[0]);
    OPENSSL_free(ders[1]);
    X509_free(leaf);
    EVP_PKEY_free(key);
    bh_expectation_free(expectation);
    bh_trust_free(trust);
    bh_failure_free(failure);
    bh_test_ca_clear(&ca);
}
