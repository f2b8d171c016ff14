/* SPDX-License-Identifier: Apache-2.0 */
/* Changed PSA and CCA tokens: nothing that is signed survives a change, and nothing crashes. */
#include "arm_tokens.h"

#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdlib.h>

struct walk {
    const char *type;
    struct ev_trust trust;
    size_t survived;
};

static bool
must_fail(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct ev_report report;
    struct walk *walk = arg;

    if (judge(mutant, walk->type, &walk->trust, &report, NULL) == BH_OK) {
        walk->survived++;
        cr_expect_fail("%s at byte %zu survives", how, at);
    } else {
        cr_expect(report.err != BH_ERR_INTERNAL && report.diag.check[0] != '\0',
            "%s at byte %zu: %s", how, at, report.diag.check);
    }
    return walk->survived < 5;
}

static void
walk_token(const char *file, const char *key, const char *type, size_t stride)
{
    struct endorser endorser;
    struct walk walk = {.type = type};

    if (bh_vectors() == NULL)
        return;
    endorser = endorser_of(key);
    walk.trust = trust_in(&endorser);
    size_t len;
    uint8_t *bytes = bh_vector(file, &len);
    must_hold(bh_span(bytes, len), type, &walk.trust, file);
    cr_expect_gt(bh_mutate(bh_span(bytes, len), 0, len, stride, must_fail, &walk), len / stride);
    cr_expect_eq(walk.survived, 0, "%s", file);
    free(bytes);
}

#define PSA "application/psa-attestation-token"
#define CCA "application/eat-collection"

Test(arm_mutations, psa_rfc9783)
{
    walk_token("psa/rfc9783-sign1.cbor", "psa/iak-tfm-es.pub.pem", PSA, 1);
}

Test(arm_mutations, psa_rfc9783_mac)
{
    walk_token("psa/rfc9783-mac0.cbor", "psa/rfc9783-hs256.key.bin", PSA, 1);
}

Test(arm_mutations, psa_pre_rfc)
{
    walk_token("psa/tfm-p2-sign1.cbor", "psa/iak-tfm-builtin.pub.pem", PSA, 1);
}

Test(arm_mutations, psa_profile_1)
{
    walk_token("psa/veraison-p1.cbor", "psa/iak-tfm-es.pub.pem", PSA, 1);
}

Test(arm_mutations, cca_es256)
{
    walk_token("cca/veraison-tag399-es256.cbor", "cca/cpak-veraison-acme-p256.pub.pem", CCA, 1);
}

Test(arm_mutations, cca_cose_key)
{
    walk_token("cca/veraison-scheme-good.cbor", "cca/cpak-veraison-acme-p256.pub.pem", CCA, 1);
}

Test(arm_mutations, cca_legacy)
{
    walk_token("cca/rmm-tag399-legacy.cbor", "cca/cpak-fvp-p384.pub.pem", CCA, 7);
}

Test(arm_mutations, cca_cmw)
{
    walk_token("cca/tfm-cmw907-realm2.cbor", "cca/cpak-fvp-p384.pub.pem", CCA, 13);
}

Test(arm_mutations, cca_parsec)
{
    walk_token("cca/parsec-cca-evidence.cbor", "cca/cpak-veraison-acme-p256.pub.pem", NULL, 13);
}

/* ---- claims that a signer may choose freely ---- */

/* What is well-formed prints its claims, and what is not says why; neither crashes. */
static bool
decodes_or_says_why(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;
    EVP_PKEY *key = arg;
    const struct bytes token = sign(mutant, key);

    ev_report_init(&report, true);
    if (ev_decode_raw(span_of(&token), &report, &ev) == BH_OK) {
        json_t *claims = ev_claims(ev);
        cr_expect_not_null(claims, "%s at byte %zu", how, at);
        json_decref(claims);
    } else {
        cr_expect(report.diag.check[0] != '\0' && report.diag.found[0] != '\0', "%s at byte %zu",
            how, at);
    }
    ev_evidence_free(ev);
    return true;
}

Test(arm_mutations, psa_claims_signed_again)
{
    EVP_PKEY *key = make_key("P-256");
    struct psa_shape s = psa_shape();

    for (s.family = 0; s.family < 3; s.family++) {
        const struct bytes payload = psa_payload(&s);
        cr_expect_gt(
            bh_mutate(span_of(&payload), 0, payload.len, 1, decodes_or_says_why, key), 1000);
    }
    EVP_PKEY_free(key);
}

Test(arm_mutations, cca_platform_claims_signed_again)
{
    EVP_PKEY *key = make_key("P-256");

    if (bh_vectors() != NULL) {
        size_t len;
        uint8_t *bytes = bh_vector("cca/claims/platform-all.cbor", &len);
        cr_expect_gt(bh_mutate(bh_span(bytes, len), 0, len, 1, decodes_or_says_why, key), 1000);
        free(bytes);
    }
    EVP_PKEY_free(key);
}
