/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded PSA and CCA evidence of others, each with its reason: what holds, and what must not. */
#include "arm_tokens.h"

#include "core/cbor.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define PSA_TYPE "application/psa-attestation-token"
#define CCA_TYPE "application/eat-collection"
#define FVP "cca/cpak-fvp-p384.pub.pem"
#define ACME "cca/cpak-veraison-acme-p256.pub.pem"
#define ISLET "cca/cpak-islet-p384.pub.pem"
#define TFM_ES "psa/iak-tfm-es.pub.pem"
#define BUILTIN "psa/iak-tfm-builtin.pub.pem"
#define PSA_ACME "psa/iak-veraison-acme-p256.pub.pem"
#define CMC_CERT "psa/cmc-iak-cert.pem"

enum shape {
    TOKEN,      /* evidence as it is */
    PARSEC,     /* a map of a key attestation and a CCA token */
    PSA_CLAIMS, /* claims-sets without signature: signed here */
    REALM_CLAIMS,
    PLATFORM_CLAIMS,
};

static const struct vector {
    const char *file;
    const char *key; /* NULL: nothing is endorsed, or made here */
    enum shape shape;
    enum bh_err err;
    const char *check; /* NULL: holds */
} vectors[] = {
    {"psa/rfc9783-sign1.cbor", TFM_ES, TOKEN, BH_OK, NULL},
    {"psa/rfc9783-mac0.cbor", "psa/rfc9783-hs256.key.bin", TOKEN, BH_OK, NULL},
    {"psa/tfm-p2-sign1.cbor", BUILTIN, TOKEN, BH_OK, NULL},
    {"psa/veraison-p1.cbor", TFM_ES, TOKEN, BH_OK, NULL},
    {"psa/veraison-p2-good.cbor", PSA_ACME, TOKEN, BH_OK, NULL},
    {"psa/veraison-p2-e2e.cbor", PSA_ACME, TOKEN, BH_OK, NULL},
    {"psa/cmc-p1-certified-iak.cbor", CMC_CERT, TOKEN, BH_OK, NULL},
    /* The MAC keys of these two are not known. */
    {"psa/tfm-p1-mac0.cbor", NULL, TOKEN, BH_ERR_ENDORSEMENT_UNKNOWN, "psa.instance"},
    {"psa/tfm-p2-mac0.cbor", NULL, TOKEN, BH_ERR_ENDORSEMENT_UNKNOWN, "psa.instance"},
    /* One byte of the implementation id was changed. */
    {"psa/bad-cmc-p1-altered-claim.cbor", CMC_CERT, TOKEN, BH_ERR_NOT_AUTHENTIC, "psa.signature"},
    /* Spelt PSA_IoT_PROFILE_1. */
    {"psa/draft00-2019-p1.cbor", "psa/iak-draft00-2019.pub.pem", TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    {"psa/bad-tfm-odd-profile.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED, "psa.profile"},
    {"psa/bad-tfm-odd-profile-mac0.cbor", "psa/tfm-tools-hs256.key.bin", TOKEN,
        BH_ERR_EVIDENCE_MALFORMED, "psa.profile"},
    /* Good claims; the signature holds only if ES256 is assumed. */
    {"psa/bad-tfm-p2-no-alg-header.cbor", TFM_ES, TOKEN, BH_ERR_NOT_AUTHENTIC, "psa.alg"},
    /* No alg either, and claims that are refused before it. */
    {"psa/bad-tfm-profile-claim-type.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    {"psa/bad-tfm-missing-claim.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.implementation_id"},
    {"psa/bad-tfm-missing-sw-components.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    {"psa/bad-tfm-no-sw-measurements.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    /* The "signature" is a digest written twice. */
    {"psa/bad-tcose-short-circuit.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.instance_id"},
    /* No PSA claims; three with a tag around the payload's map. */
    {"psa/synthetic/tfm-correct-tagging.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.claims"},
    {"psa/synthetic/tfm-invalid-tags.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED, "psa.claims"},
    {"psa/synthetic/tfm-unexpected-tags.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.claims"},
    {"psa/synthetic/tfm-unknown-claims.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.claims"},
    {"psa/synthetic/tfm-missing-tags.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    {"psa/synthetic/tfm-p-header-off.cbor", TFM_ES, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "psa.profile"},
    {"psa/claims/p1-all.cbor", NULL, PSA_CLAIMS, BH_OK, NULL},
    {"psa/claims/p1-all-no-sw.cbor", NULL, PSA_CLAIMS, BH_OK, NULL},
    {"psa/claims/p1-mandatory.cbor", NULL, PSA_CLAIMS, BH_OK, NULL},
    {"psa/claims/p2-all.cbor", NULL, PSA_CLAIMS, BH_OK, NULL},
    {"psa/claims/p2-mandatory.cbor", NULL, PSA_CLAIMS, BH_OK, NULL},
    {"psa/claims/bad-p1-missing-nonce.cbor", NULL, PSA_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "psa.nonce"},
    {"psa/claims/bad-p2-missing-nonce.cbor", NULL, PSA_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "psa.nonce"},
    {"psa/claims/bad-p2-multi-nonce.cbor", NULL, PSA_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "psa.nonce"},

    {"cca/tfm-cmw907-realm2.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/tfm-cmw907-legacy-profiles.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/rmm-tag399-legacy.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/draftffm00-tag399-cosekey.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/trustee-example.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/veraison-tag399-es256.cbor", ACME, TOKEN, BH_OK, NULL},
    {"cca/veraison-e2e-tag399.cbor", ACME, TOKEN, BH_OK, NULL},
    {"cca/veraison-scheme-good.cbor", ACME, TOKEN, BH_OK, NULL},
    {"cca/islet-realm-verifier.cbor", ISLET, TOKEN, BH_OK, NULL},
    {"cca/platform-only-fvp.cbor", FVP, TOKEN, BH_OK, NULL},
    {"cca/parsec-cca-evidence.cbor", ACME, PARSEC, BH_OK, NULL},
    /* Values of a CMW that are no byte strings. */
    {"cca/bad-veraison-cmw907-unwrapped.cbor", ACME, TOKEN, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.encoding"},
    /* Both signatures hold; the platform vouches for another realm key. */
    {"cca/bad-binding-rust-ccatoken-33.cbor", FVP, TOKEN, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.rak_binding"},
    {"cca/claims/platform-all.cbor", NULL, PLATFORM_CLAIMS, BH_OK, NULL},
    {"cca/claims/bad-platform-missing-nonce.cbor", NULL, PLATFORM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.platform_token.challenge"},
    {"cca/claims/bad-platform-multi-nonce.cbor", NULL, PLATFORM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.platform_token.challenge"},
    /* Well-formed; nobody has the private half of the key inside, so the signature made here fails.
     */
    {"cca/claims/realm-all.cbor", NULL, REALM_CLAIMS, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.realm.signature"},
    {"cca/claims/realm-legacy-all.cbor", NULL, REALM_CLAIMS, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.realm.signature"},
    {"cca/claims/realm-spurious-numeric-key.cbor", NULL, REALM_CLAIMS, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.realm.signature"},
    {"cca/claims/realm-spurious-text-key.cbor", NULL, REALM_CLAIMS, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.realm.signature"},
    {"cca/claims/bad-realm-missing-rak.cbor", NULL, REALM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.public_key"},
    {"cca/claims/bad-realm-missing-rem.cbor", NULL, REALM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.extensible_measurements"},
    {"cca/claims/bad-realm-missing-rim.cbor", NULL, REALM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.initial_measurement"},
    {"cca/claims/bad-realm-missing-challenge.cbor", NULL, REALM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.challenge"},
    {"cca/claims/bad-realm-missing-hash-alg.cbor", NULL, REALM_CLAIMS, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.hash_algorithm"},
};

static EVP_PKEY *own;

static void
setup(void)
{
    own = make_key("P-384");
}

static void
teardown(void)
{
    EVP_PKEY_free(own);
}

TestSuite(arm_vectors, .init = setup, .fini = teardown);

/* The two halves of PARSEC evidence: the challenge of the token is the SHA-512 of the attestation
 * of a key. */
static void
split_parsec(struct bh_span in, struct bh_span *ret_kat, struct bh_span *ret_pat)
{
    struct bh_cbor c;

    bh_cbor_init(&c, in);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const struct bh_span name = bh_cbor_tstr(&c);
        *(bh_span_is(name, "kat") ? ret_kat : ret_pat) = bh_cbor_item(&c);
    }
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

/* A good platform token around foreign realm claims. */
static struct bytes
around_realm(struct bh_span claims)
{
    uint8_t buf[TOKEN_MAX];
    const struct cca_shape s = cca_shape(own, own);
    const struct bytes good = cca_token(&s);
    const struct bytes realm = sign(claims, own);
    struct bytes out = {0};
    struct bh_span written;
    struct bh_writer w;
    struct bh_cbor c;

    bh_cbor_init(&c, span_of(&good));
    (void)bh_cbor_tag(&c);
    bh_cbor_map(&c);
    (void)bh_cbor_more(&c);
    (void)bh_cbor_int(&c);
    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_tag(&w, 399);
    bh_writer_cbor_map(&w, 2);
    bh_writer_cbor_int(&w, 44234);
    bh_writer_cbor_bstr(&w, bh_cbor_bstr(&c));
    bh_writer_cbor_int(&w, 44241);
    bh_writer_cbor_bstr(&w, span_of(&realm));
    cr_assert_eq(bh_writer_end(&w, &written), BH_OK);
    memcpy(out.buf, written.ptr, written.len);
    out.len = written.len;
    return out;
}

/* The evidence of a vector, and who endorses its instance. */
static struct bytes
evidence_of(const struct vector *v, struct endorser *endorser)
{
    struct bh_span kat = bh_span_none(), pat = bh_span_none();
    struct bytes out = {0};
    size_t len;
    uint8_t *file = bh_vector(v->file, &len);
    const struct bh_span in = bh_span(file, len);

    *endorser = (struct endorser){.unknown = true};
    if (v->shape == PSA_CLAIMS || v->shape == PLATFORM_CLAIMS) {
        out = sign(in, own);
        *endorser = endorser_of_key(own);
    } else if (v->shape == REALM_CLAIMS) {
        out = around_realm(in);
        *endorser = endorser_of_key(own);
    } else {
        if (v->shape == PARSEC)
            split_parsec(in, &kat, &pat);
        else
            pat = in;
        cr_assert_leq(pat.len, sizeof(out.buf));
        memcpy(out.buf, pat.ptr, pat.len);
        out.len = pat.len;
        if (v->key != NULL)
            *endorser = endorser_of(v->key);
    }
    free(file);
    return out;
}

static const char *
type_of(const struct vector *v)
{
    return strncmp(v->file, "psa/", 4) == 0 ? PSA_TYPE : CCA_TYPE;
}

Test(arm_vectors, each_with_its_reason)
{
    struct endorser endorser;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        const struct bytes evidence = evidence_of(v, &endorser);
        const struct ev_trust trust = trust_in(&endorser);

        if (v->check != NULL) {
            must_refuse(span_of(&evidence), type_of(v), &trust, v->err, v->check, v->file);
            continue;
        }
        must_hold(span_of(&evidence), type_of(v), &trust, v->file);
        must_hold(span_of(&evidence), NULL, &trust, v->file);
    }
}

/* A vector that no test knows would prove nothing. */
Test(arm_vectors, all_are_here)
{
    json_t *manifest, *row;
    size_t i, corims = 0;

    if (bh_vectors() == NULL)
        return;
    manifest = bh_vector_json("manifest-ncp.json");
    json_array_foreach(manifest, i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        const char *kind = json_string_value(json_object_get(row, "kind"));
        bool known = false;

        if (strncmp(file, "psa/", 4) != 0 && strncmp(file, "cca/", 4) != 0)
            continue;
        if (strstr(kind, "corim") != NULL) {
            corims++;
            continue;
        }
        if (strcmp(kind, "pubkey") == 0 || strcmp(kind, "sec1") == 0 ||
            strcmp(kind, "hmac-key") == 0 || strcmp(kind, "cert-pem") == 0 ||
            strcmp(kind, "json") == 0)
            continue; /* keys of the others, and stores of other verifiers */
        for (size_t k = 0; k < BH_COUNT(vectors); k++)
            known |= strcmp(vectors[k].file, file) == 0;
        cr_expect(known, "%s (%s) is in no test", file, kind);
    }
    (void)fprintf(stderr,
        "note: %zu CoRIM files are endorsements, read by later work: they are no evidence\n",
        corims);
    json_decref(manifest);
}

/* ---- what verification yields ---- */

static void
expect_value(
    const json_t *claims, const char *name, const json_t *row, const char *key, const char *file)
{
    const char *expected = json_string_value(json_object_get(row, key));
    const char *found = json_string_value(json_object_get(claims, name));

    if (expected == NULL)
        return;
    cr_expect_not_null(found, "%s: no claim %s", file, name);
    if (found != NULL)
        cr_expect_str_eq(found, expected, "%s: %s is %s, expected %s", file, name, found, expected);
}

static void
compare_claims(const json_t *claims, const json_t *row, const char *file)
{
    const json_t *platform = json_object_get(claims, "cca-platform-token");
    const json_t *realm = json_object_get(claims, "cca-realm-delegated-token");

    if (platform == NULL) {
        expect_value(claims, "psa-nonce", row, "nonce", file);
        expect_value(claims, "psa-instance-id", row, "inst", file);
        return;
    }
    expect_value(platform, "cca-platform-instance-id", row, "inst", file);
    expect_value(platform, "cca-platform-implementation-id", row, "impl", file);
    expect_value(realm, "cca-realm-challenge", row, "challenge", file);
    expect_value(realm, "cca-realm-initial-measurement", row, "rim", file);
}

Test(arm_vectors, claims_are_the_expected_ones)
{
    static struct ev_report report;
    json_t *expected, *row;
    size_t i, compared = 0;

    if (bh_vectors() == NULL)
        return;
    expected = bh_vector_json("expected-ncp.json");
    for (size_t k = 0; k < BH_COUNT(vectors); k++) {
        const struct vector *v = &vectors[k];
        struct ev_evidence *ev = NULL;
        struct endorser endorser;

        if (v->check != NULL || (v->shape != TOKEN && v->shape != PARSEC))
            continue;
        const struct bytes evidence = evidence_of(v, &endorser);
        const struct ev_trust trust = trust_in(&endorser);
        cr_assert_eq(judge(span_of(&evidence), type_of(v), &trust, &report, &ev), BH_OK);
        json_t *claims = ev_claims(ev);
        json_array_foreach(expected, i,
            row) if (strcmp(json_string_value(json_object_get(row, "file")), v->file) == 0)
        {
            compare_claims(claims, row, v->file);
            compared++;
        }
        json_decref(claims);
        ev_evidence_free(ev);
    }
    cr_expect_eq(compared, 18, "%zu vectors compared", compared);
    json_decref(expected);
}

/* The tokens whose MAC keys are not known are well-formed and say what they say. */
Test(arm_vectors, without_a_key)
{
    static const char *const files[] = {"psa/tfm-p1-mac0.cbor", "psa/tfm-p2-mac0.cbor"};
    static struct ev_report report;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        struct ev_evidence *ev = NULL;
        size_t len;
        uint8_t *file = bh_vector(files[i], &len);
        struct endorser endorser = endorser_of(BUILTIN);
        const struct ev_trust trust = trust_in(&endorser);

        ev_report_init(&report, true);
        cr_assert_eq(ev_decode_raw(bh_span(file, len), &report, &ev), BH_OK, "%s", files[i]);
        json_t *claims = ev_claims(ev);
        cr_expect_str_eq(json_string_value(json_object_get(claims, "psa-instance-id")),
            "01bfe8a99b25d95ca842256bef147a5922b69fbc78faa9ef9f94113d182aaf7c6f");
        json_decref(claims);
        ev_evidence_free(ev);
        must_refuse(bh_span(file, len), PSA_TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature",
            "a COSE_Mac0 under a public key");
        free(file);
    }
}

/* Each genuine token under the key of another device. */
Test(arm_vectors, under_another_key)
{
    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct endorser endorser;

        if (v->check != NULL || v->shape != TOKEN)
            continue;
        const struct bytes evidence = evidence_of(v, &endorser);
        endorser = endorser_of_key(own);
        const struct ev_trust trust = trust_in(&endorser);
        must_refuse(span_of(&evidence), type_of(v), &trust, BH_ERR_NOT_AUTHENTIC,
            type_of(v)[12] == 'p' ? "psa.signature" : "arm-cca.platform.signature", v->file);
    }
}

Test(arm_vectors, a_platform_token_alone_binds_nothing)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    static const char entry[] =
        "{\"platform\":\"arm-cca\",\"realm\":{\"initial_measurement\":[\"311314ab73620350cf758834"
        "ae5c65d9e8c2dc7febe6e7d9654bbe864e300d49\"]},\"platform_token\":{\"lifecycle\":[\"secured"
        "\"],\"implementation_id\":[\"7f454c4602010100000000000000000003003e0001000000505800000000"
        "0000\"]}}";
    struct ev_evidence *ev = NULL;
    struct endorser endorser;
    uint8_t binding[BH_BINDING_LEN] = {0};

    if (bh_vectors() == NULL)
        return;
    endorser = endorser_of(FVP);
    const struct ev_trust trust = trust_in(&endorser);
    size_t len;
    uint8_t *file = bh_vector("cca/platform-only-fvp.cbor", &len);
    cr_assert_eq(judge(bh_span(file, len), NULL, &trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
    cr_expect_str_eq(report.diag.check, "arm-cca.binding");
    ev_evidence_free(ev);
    cr_expect_eq(
        appraise(bh_span(file, len), NULL, &trust, entry, &report, &verdict), BH_ERR_POLICY);
    cr_expect_str_eq(report.diag.check, "arm-cca.realm");
    free(file);
    /* The same policy is satisfied by the whole token of the same platform. */
    file = bh_vector("cca/tfm-cmw907-realm2.cbor", &len);
    cr_expect_eq(appraise(bh_span(file, len), NULL, &trust, entry, &report, &verdict), BH_OK,
        "%s: %s", report.diag.check, report.diag.found);
    free(file);
}

/* PARSEC's own form, for people who look at such a file; an enrolment cannot use it. */
Test(arm_vectors, parsec_as_it_is)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;
    struct endorser endorser;
    uint8_t binding[BH_BINDING_LEN] = {0};

    if (bh_vectors() == NULL)
        return;
    endorser = endorser_of(ACME);
    const struct ev_trust trust = trust_in(&endorser);
    size_t len;
    uint8_t *file = bh_vector("cca/parsec-cca-evidence.cbor", &len);
    cr_assert_eq(judge(bh_span(file, len), NULL, &trust, &report, &ev), BH_OK, "%s: %s",
        report.diag.check, report.diag.found);
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
    ev_evidence_free(ev);
    must_refuse(bh_span(file, len), CCA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding",
        "PARSEC's map as an EAT collection");
    for (size_t i = 0; i + 8 < len; i++)
        if (memcmp(file + i, "\x00\x01\x02\x03\x04\x05", 6) == 0) {
            file[i] ^= 1; /* the nonce of the key attestation */
            break;
        }
    must_refuse(bh_span(file, len), NULL, &trust, BH_ERR_NOT_AUTHENTIC, "arm-cca.key_attestation",
        "another key attestation");
    free(file);
}

Test(arm_vectors, parsec_challenge_is_the_hash_of_the_key_attestation)
{
    static struct ev_report report;
    struct bh_span kat = bh_span_none(), pat = bh_span_none();
    struct ev_evidence *ev = NULL;
    struct endorser endorser;
    uint8_t digest[64];

    if (bh_vectors() == NULL)
        return;
    endorser = endorser_of(ACME);
    const struct ev_trust trust = trust_in(&endorser);
    size_t len;
    uint8_t *file = bh_vector("cca/parsec-cca-evidence.cbor", &len);
    split_parsec(bh_span(file, len), &kat, &pat);
    cr_assert_eq(bh_sha2(512, kat, digest), BH_OK);
    cr_assert_eq(judge(pat, NULL, &trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, digest, bh_span_none(), &report), BH_OK, "%s", report.diag.found);
    ev_evidence_free(ev);
    free(file);
}
