/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cose.h"
#include "core/ear.h"
#include "core/x509.h"
#include "support/mutate.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void
fill(struct bh_ear *ear, const char *curve)
{
    struct bh_ear_submod *s = &ear->submods[0];
    EVP_PKEY *key;

    memset(ear, 0, sizeof(*ear));
    ear->iat = 1000;
    ear->exp = 2000;
    (void)snprintf(ear->workload, sizeof(ear->workload), "payments");
    (void)snprintf(ear->owner, sizeof(ear->owner), "any");
    ear->context_len = 3;
    memcpy(ear->context, "abc", 3);
    cr_assert_eq(bh_key_generate(curve, &key, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, ear->spki, sizeof(ear->spki), &ear->spki_len, NULL), BH_OK);
    EVP_PKEY_free(key);
    ear->submods_len = 1;
    (void)snprintf(s->platform, sizeof(s->platform), "psa");
    s->status = BH_EAR_AFFIRMING;
    s->has_vector = true;
    s->trust[BH_TRUST_HARDWARE] = 2;
    s->trust[BH_TRUST_EXECUTABLES] = 2;
    s->policy_digest[0] = 7;
    s->claims_len = 2;
    (void)snprintf(s->claims[0].name, sizeof(s->claims[0].name), "lifecycle");
    s->claims[0].text = true;
    s->claims[0].len = 7;
    memcpy(s->claims[0].value, "secured", 7);
    (void)snprintf(s->claims[1].name, sizeof(s->claims[1].name), "pcr0");
    s->claims[1].len = 48;
}

Test(ear, round_trip)
{
    static const char *const curves[] = {"P-256", "P-384", "Ed25519"};

    for (size_t i = 0; i < BH_COUNT(curves); i++) {
        struct bh_diag diag = {0};
        struct bh_ear ear, back;
        uint8_t out[BH_EAR_MAX];
        size_t len;

        fill(&ear, curves[i]);
        cr_assert_eq(bh_ear_encode(&ear, out, sizeof(out), &len, &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(bh_ear_decode(bh_span(out, len), &back, &diag), BH_OK, "%s", diag.detail);
        cr_assert(
            bh_span_equal(bh_span(ear.spki, ear.spki_len), bh_span(back.spki, back.spki_len)));
        cr_assert_str_eq(back.workload, "payments");
        cr_assert_str_eq(back.submods[0].platform, "psa");
        cr_assert_eq(back.submods[0].status, BH_EAR_AFFIRMING);
        cr_assert_eq(back.submods[0].trust[BH_TRUST_HARDWARE], 2);
        cr_assert_eq(back.submods[0].claims_len, 2);
        /* deterministic: the shorter name first */
        cr_assert_str_eq(back.submods[0].claims[0].name, "pcr0");
        cr_assert_eq(back.exp, 2000);
        cr_assert_eq(back.context_len, 3);
    }
}

Test(ear, status_may_not_be_better_than_the_vector)
{
    struct bh_diag diag = {0};
    struct bh_ear ear, back;
    uint8_t out[BH_EAR_MAX];
    size_t len;

    fill(&ear, "P-256");
    ear.submods[0].trust[BH_TRUST_HARDWARE] = 33;
    cr_assert_eq(bh_ear_encode(&ear, out, sizeof(out), &len, NULL), BH_OK);
    cr_assert_eq(bh_ear_decode(bh_span(out, len), &back, &diag), BH_ERR_MALFORMED);
    cr_assert_not_null(strstr(diag.detail, "better than"));
    ear.submods[0].status = BH_EAR_WARNING;
    cr_assert_eq(bh_ear_encode(&ear, out, sizeof(out), &len, NULL), BH_OK);
    cr_assert_eq(bh_ear_decode(bh_span(out, len), &back, NULL), BH_OK);
}

Test(ear, tiers_have_shifted_negative_edges)
{
    cr_assert_eq(bh_ear_tier(1), BH_EAR_NONE);
    cr_assert_eq(bh_ear_tier(-1), BH_EAR_NONE);
    cr_assert_eq(bh_ear_tier(2), BH_EAR_AFFIRMING);
    cr_assert_eq(bh_ear_tier(31), BH_EAR_AFFIRMING);
    cr_assert_eq(bh_ear_tier(-2), BH_EAR_AFFIRMING);
    cr_assert_eq(bh_ear_tier(-32), BH_EAR_AFFIRMING);
    cr_assert_eq(bh_ear_tier(32), BH_EAR_WARNING);
    cr_assert_eq(bh_ear_tier(-33), BH_EAR_WARNING);
    cr_assert_eq(bh_ear_tier(95), BH_EAR_WARNING);
    cr_assert_eq(bh_ear_tier(-96), BH_EAR_WARNING);
    cr_assert_eq(bh_ear_tier(96), BH_EAR_CONTRAINDICATED);
    cr_assert_eq(bh_ear_tier(-97), BH_EAR_CONTRAINDICATED);
    cr_assert_eq(bh_ear_tier(-128), BH_EAR_CONTRAINDICATED);
}

static bool
must_not_verify(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct bh_ear ear;

    cr_assert_neq(bh_ear_verify(mutant, arg, &ear, NULL), BH_OK, "byte %zu %s", at, how);
    return true;
}

Test(ear, signed_form)
{
    struct bh_ear ear, back;
    uint8_t claims[BH_EAR_MAX], cwt[BH_EAR_MAX];
    size_t len, cwt_len;
    EVP_PKEY *issuer;

    fill(&ear, "P-256");
    cr_assert_eq(bh_key_generate("P-256", &issuer, NULL), BH_OK);
    cr_assert_eq(bh_ear_encode(&ear, claims, sizeof(claims), &len, NULL), BH_OK);
    cr_assert_eq(
        bh_cose_sign(bh_span(claims, len), issuer, true, cwt, sizeof(cwt), &cwt_len, NULL), BH_OK);
    cr_assert_eq(bh_ear_verify(bh_span(cwt, cwt_len), issuer, &back, NULL), BH_OK);
    cr_assert_gt(bh_mutate(bh_span(cwt, cwt_len), 0, cwt_len, 3, must_not_verify, issuer), 300);
    EVP_PKEY_free(issuer);
}

Test(ear, json)
{
    struct bh_ear ear;
    json_t *json;
    char *input;

    fill(&ear, "P-256");
    json = bh_ear_json(&ear);
    cr_assert_not_null(json);
    cr_assert_str_eq(json_string_value(json_object_get(json, "eat_profile")), BH_EAR_PROFILE);
    cr_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(json_object_get(json, "submods"), "psa"), "ear_status")),
        "affirming");
    cr_assert_eq(bh_ear_jwt_input(&ear, &input, NULL), BH_OK);
    cr_assert_not_null(strchr(input, '.'));
    json_decref(json);
    free(input);
}

Test(ear, confirmation_key_without_coordinates)
{
    struct bh_ear ear;

    /* {8: {1: {1: 2}}}: an EC2 key of no curve */
    cr_assert_eq(
        bh_ear_decode(bh_span("\xa1\x08\xa1\x01\xa1\x01\x02", 7), &ear, NULL), BH_ERR_MALFORMED);
}

Test(ear, does_not_fit)
{
    struct bh_ear ear;
    uint8_t out[64];
    size_t len;

    fill(&ear, "P-256");
    cr_assert_eq(bh_ear_encode(&ear, out, sizeof(out), &len, NULL), BH_ERR_TOO_LARGE);
}
