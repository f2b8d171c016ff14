/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation result in the leaf, and what a caller expects. */
#include "sdk.h"

#include "core/cmw.h"
#include "core/cose.h"

#include <stdio.h>
#include <stdlib.h>

Test(ear, envelope)
{
    static const uint8_t junk[] = {0x04, 0x02, 0xff, 0xff}, not_der[] = {0x30};
    struct setup s;

    begin(&s, NULL);
    s.leaf.no_ear = true;
    refused(&s, "ear.missing");
    s.leaf.no_ear = false;
    s.leaf.ear_twice = true;
    cr_expect_eq(verify_at(&s, s.now, NULL), BH_RESULT_REFUSED);
    s.leaf.ear_twice = false;
    s.leaf.ear_type = "application/eat+cwt";
    refused(&s, "ear.type");
    s.leaf.ear_type = NULL;
    s.leaf.ext_raw = bh_span(junk, sizeof(junk));
    cr_expect_eq(verify_at(&s, s.now, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "ear.malformed");
    s.leaf.ext_raw = bh_span(not_der, sizeof(not_der));
    cr_expect_eq(verify_at(&s, s.now, NULL), BH_RESULT_REFUSED);
    cr_expect_str_eq(bh_failure_check(s.failure), "ear.malformed");
    s.leaf.ext_raw = bh_span_none();
    s.leaf.ear_raw = bh_span(junk, sizeof(junk));
    refused(&s, "ear.malformed");
    finish(&s);
}

Test(ear, signature)
{
    struct setup s;

    begin(&s, NULL);
    s.leaf.ear_signer = s.key; /* the isolate itself */
    refused(&s, "ear.signature");
    s.leaf.ear_signer = s.ca.root_key;
    refused(&s, "ear.signature");
    finish(&s);
}

Test(ear, json_form)
{
    uint8_t claims[BH_EAR_MAX], cwt[BH_EAR_MAX], ext[BH_EAR_MAX * 3];
    struct bh_cmw cmw = {.count = 1};
    size_t claims_len = 0, cwt_len = 0;
    char *text = NULL;
    struct setup s;

    begin(&s, NULL);
    cr_assert_eq(bh_ear_encode(&s.leaf.ear, claims, sizeof(claims), &claims_len, NULL), BH_OK);
    cr_assert_eq(bh_cose_sign(bh_span(claims, claims_len), s.ca.issuing_key, true, cwt, sizeof(cwt),
                     &cwt_len, NULL),
        BH_OK);
    (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", BH_EAR_CWT_TYPE);
    cmw.records[0].value = bh_span(cwt, cwt_len);
    cr_assert_eq(bh_cmw_to_json(&cmw, &text, NULL), BH_OK);
    const size_t len = strlen(text);
    cr_assert(len > 255 && len + 4 < sizeof(ext));
    ext[0] = 0x0c; /* UTF8String */
    ext[1] = 0x82;
    ext[2] = (uint8_t)(len >> 8);
    ext[3] = (uint8_t)len;
    memcpy(ext + 4, text, len);
    s.leaf.ext_raw = bh_span(ext, len + 4);
    accepted(&s);
    free(text);
    finish(&s);
}

Test(ear, speaks_of_something_else)
{
    struct setup s;
    EVP_PKEY *other = bh_test_key("P-256");

    begin(&s, NULL);
    cr_assert_eq(
        bh_spki_encode(other, s.leaf.ear.spki, sizeof(s.leaf.ear.spki), &s.leaf.ear.spki_len, NULL),
        BH_OK);
    refused(&s, "ear.key");
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, s.now, 3600);
    (void)snprintf(s.leaf.ear.workload, sizeof(s.leaf.ear.workload), "%s", "other");
    refused(&s, "ear.workload");
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, s.now, 3600);
    s.leaf.ear.exp = s.now;
    refused(&s, "ear.validity");
    s.leaf.ear.exp = s.now + 3600;
    s.leaf.ear.iat = s.now - 61;
    refused(&s, "ear.validity");
    s.leaf.ear.iat = s.now + 3601;
    s.leaf.ear.exp = s.now + 3602;
    refused(&s, "ear.validity");
    EVP_PKEY_free(other);
    finish(&s);
}

Test(ear, combined)
{
    struct setup s;
    bh_peer *peer = NULL;

    begin(&s, NULL);
    s.leaf.ear.submods_len = 2;
    s.leaf.ear.submods[1] = s.leaf.ear.submods[0];
    (void)snprintf(
        s.leaf.ear.submods[1].platform, sizeof(s.leaf.ear.submods[1].platform), "%s", "nvidia-gpu");
    cr_assert_eq(verify_at(&s, s.now, &peer), BH_RESULT_OK, "%s", bh_failure_detail(s.failure));
    cr_expect_str_eq(bh_peer_platform(peer), "aws-nitro+nvidia-gpu");
    bh_peer_free(peer);
    cr_assert_eq(bh_expectation_platform(s.expectation, "aws-nitro", s.failure), BH_RESULT_OK);
    refused(&s, "platform"); /* every part must be of an allowed platform */
    finish(&s);
}

/* ---- expectations ---- */

Test(expect, workload)
{
    struct setup s;

    begin(&s, NULL);
    bh_expectation_free(s.expectation);
    cr_assert_eq(bh_expectation_new("other", &s.expectation, s.failure), BH_RESULT_OK);
    refused(&s, "workload");
    cr_expect_str_eq(bh_failure_expected(s.failure), "other");
    cr_expect_str_eq(bh_failure_found(s.failure), "payments");
    bh_expectation_free(s.expectation);
    cr_assert_eq(bh_expectation_new_insecure_any_workload(&s.expectation, s.failure), BH_RESULT_OK);
    accepted(&s);
    finish(&s);
}

Test(expect, platform_and_measurement)
{
    unsigned char expected[48];
    struct setup s;

    begin(&s, NULL);
    cr_assert_eq(bh_expectation_platform(s.expectation, "psa", s.failure), BH_RESULT_OK);
    cr_assert_eq(bh_expectation_platform(s.expectation, "arm-cca", s.failure), BH_RESULT_OK);
    refused(&s, "platform");
    cr_expect_str_eq(bh_failure_expected(s.failure), "psa, arm-cca");
    cr_expect_str_eq(bh_failure_found(s.failure), "aws-nitro");
    cr_assert_eq(bh_expectation_platform(s.expectation, "aws-nitro", s.failure), BH_RESULT_OK);
    accepted(&s);
    memset(expected, 0xac, sizeof(expected));
    cr_assert_eq(bh_expectation_measurement(s.expectation, expected, 48, s.failure), BH_RESULT_OK);
    refused(&s, "measurement");
    cr_expect_eq(strncmp(bh_failure_found(s.failure), "abab", 4), 0);
    memset(expected, 0xab, sizeof(expected));
    cr_assert_eq(bh_expectation_measurement(s.expectation, expected, 47, s.failure), BH_RESULT_OK);
    refused(&s, "measurement"); /* a part of it does not do */
    cr_assert_eq(bh_expectation_measurement(s.expectation, expected, 48, s.failure), BH_RESULT_OK);
    accepted(&s);
    /* Bytes of a claim that measures no code, and a result without measurements, do not do. */
    (void)snprintf(s.leaf.ear.submods[0].claims[0].name,
        sizeof(s.leaf.ear.submods[0].claims[0].name), "%s", "pcr4");
    refused(&s, "measurement");
    cr_expect_str_eq(bh_failure_found(s.failure), "none");
    finish(&s);
}

Test(expect, measurement_names_of_platforms)
{
    static const struct {
        const char *platform, *claim;
    } cases[] = {
        {"arm-cca", "realm.initial_measurement"},
        {"psa", "software.PRoT"},
    };
    unsigned char expected[48];

    memset(expected, 0xab, sizeof(expected));
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct setup s;
        begin(&s, NULL);
        (void)snprintf(s.leaf.ear.submods[0].platform, sizeof(s.leaf.ear.submods[0].platform), "%s",
            cases[i].platform);
        (void)snprintf(s.leaf.ear.submods[0].claims[0].name,
            sizeof(s.leaf.ear.submods[0].claims[0].name), "%s", cases[i].claim);
        cr_assert_eq(
            bh_expectation_measurement(s.expectation, expected, 48, s.failure), BH_RESULT_OK);
        accepted(&s);
        (void)snprintf(s.leaf.ear.submods[0].platform, sizeof(s.leaf.ear.submods[0].platform), "%s",
            "aws-nitro");
        refused(&s, "measurement");
        finish(&s);
    }
}

static void
make_simulated(struct bh_ear *ear)
{
    ear->simulated = true;
    ear->submods[0].status = BH_EAR_WARNING;
    ear->submods[0].trust[BH_TRUST_HARDWARE] = 0;
}

Test(expect, status)
{
    struct setup s;

    begin(&s, NULL);
    s.leaf.ear.submods[0].status = BH_EAR_WARNING;
    s.leaf.ear.submods[0].trust[BH_TRUST_CONFIGURATION] = 32;
    refused(&s, "ear.status");
    bh_expectation_accept_warning(s.expectation);
    accepted(&s);
    s.leaf.ear.submods[0].status = BH_EAR_CONTRAINDICATED;
    s.leaf.ear.submods[0].trust[BH_TRUST_CONFIGURATION] = 96;
    refused(&s, "ear.status");
    cr_expect_str_eq(bh_failure_found(s.failure), "contraindicated");
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, s.now, 3600);
    s.leaf.ear.submods[0].status = BH_EAR_NONE;
    s.leaf.ear.submods[0].has_vector = false;
    refused(&s, "ear.status");
    finish(&s);
}

/* Simulation alone passes only where the root says SIMULATED. */
Test(expect, simulated)
{
    struct setup s;
    bh_peer *peer = NULL;

    begin(&s, NULL);
    make_simulated(&s.leaf.ear);
    refused(&s, "ear.status");
    finish(&s);

    begin(&s, &(struct bh_test_root){.domain = "fleet.example", .simulated = true});
    make_simulated(&s.leaf.ear);
    cr_assert_eq(verify_at(&s, s.now, &peer), BH_RESULT_OK, "%s", bh_failure_detail(s.failure));
    cr_expect(bh_peer_simulated(peer));
    cr_expect_str_eq(bh_peer_status(peer), "warning");
    bh_peer_free(peer);
    s.leaf.ear.debug = true;
    refused(&s, "ear.status");
    s.leaf.ear.debug = false;
    s.leaf.ear.submods[0].trust[BH_TRUST_CONFIGURATION] = 32;
    refused(&s, "ear.status");
    s.leaf.ear.submods[0].trust[BH_TRUST_CONFIGURATION] = 0;
    s.leaf.ear.submods[0].trust[BH_TRUST_HARDWARE] = 32;
    refused(&s, "ear.status");
    s.leaf.ear.submods[0].trust[BH_TRUST_HARDWARE] = 0;
    s.leaf.ear.simulated = false;
    refused(&s, "ear.status");
    finish(&s);
}

Test(expect, log)
{
    struct setup s;

    begin(&s, NULL);
    bh_expectation_require_log(s.expectation);
    refused(&s, "log");
    finish(&s);
}
