/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation results that must not be read: written by hand, right but for one thing; and results
 * of others, in their own profiles, where recorded ones are at hand.
 */
#include "core/cose.h"
#include "core/ear.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdlib.h>

enum fault {
    NONE,
    OTHER_PROFILE,
    NO_PROFILE,
    NO_IAT,
    NO_EXP,
    NO_CNF,
    NO_SUBMODS,
    EMPTY_SUBMODS,
    NO_SUBJECT,
    NO_WORKLOAD,
    LONG_WORKLOAD,
    LONG_CONTEXT,
    LONG_NONCE,
    PROFILE_AS_NUMBER,
    FLOAT_IAT,
    PRIVATE_KEY,
    KEY_TYPE,
    KEY_CURVE,
    KEY_LENGTH,
    UNKNOWN_STATUS,
    NO_STATUS,
    NO_POLICY,
    POLICY_FORM,
    TWO_POLICIES,
    VECTOR_KEY,
    VECTOR_VALUE,
    BETTER_STATUS,
    MANY_CLAIMS,
    LONG_CLAIM,
    LONG_CLAIM_NAME,
    NUMBER_CLAIM,
    MANY_SUBMODS,
    LONG_PLATFORM,
    TWICE,
    TRAILING,
};

static const char urn[] =
    "urn:beachhead:policy:sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char long_text[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01"
                                "23456789abcdef0123456789abcdef"
                                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void
put_claims(struct bh_writer *w, enum fault f)
{
    const size_t n = f == MANY_CLAIMS ? BH_EAR_CLAIMS_MAX + 1 : 1;
    char name[32];

    bh_writer_cbor_int(w, BH_EAR_KEY_ATTESTER_CLAIMS);
    bh_writer_cbor_map(w, n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "pcr%zu", i);
        bh_writer_cbor_tstr(w, f == LONG_CLAIM_NAME ? long_text : name);
        if (f == NUMBER_CLAIM)
            bh_writer_cbor_uint(w, 7);
        else
            bh_writer_cbor_tstr(w, f == LONG_CLAIM ? long_text : "x");
    }
}

static void
put_submod(struct bh_writer *w, enum fault f)
{
    bh_writer_cbor_map(w, f == NO_STATUS || f == NO_POLICY ? 3 : 4);
    if (f != NO_STATUS) {
        bh_writer_cbor_uint(w, 1000);
        bh_writer_cbor_uint(w, f == UNKNOWN_STATUS ? 3 : 2);
    }
    bh_writer_cbor_uint(w, 1001);
    bh_writer_cbor_map(w, 1);
    bh_writer_cbor_uint(w, f == VECTOR_KEY ? 8 : 4);
    bh_writer_cbor_int(w, f == VECTOR_VALUE ? 128 : f == BETTER_STATUS ? 96 : 2);
    if (f != NO_POLICY) {
        bh_writer_cbor_uint(w, 1003);
        bh_writer_cbor_array(w, f == TWO_POLICIES ? 2 : 1);
        for (int i = 0; i < (f == TWO_POLICIES ? 2 : 1); i++)
            bh_writer_cbor_tstr(w, f == POLICY_FORM ? "policy:1" : urn);
    }
    put_claims(w, f);
}

static void
put_cnf(struct bh_writer *w, enum fault f)
{
    static const uint8_t x[32] = {1};

    bh_writer_cbor_uint(w, 8);
    bh_writer_cbor_map(w, 1);
    bh_writer_cbor_uint(w, 1);
    bh_writer_cbor_map(w, f == PRIVATE_KEY ? 4 : 3);
    bh_writer_cbor_int(w, 1);
    bh_writer_cbor_int(w, f == KEY_TYPE ? 4 : 1);
    bh_writer_cbor_int(w, -1);
    bh_writer_cbor_int(w, f == KEY_CURVE ? 7 : 6);
    bh_writer_cbor_int(w, -2);
    bh_writer_cbor_bstr(w, bh_span(x, f == KEY_LENGTH ? 31 : 32));
    if (f == PRIVATE_KEY) {
        bh_writer_cbor_int(w, -4);
        bh_writer_cbor_bstr(w, bh_span(x, 32));
    }
}

static void
put_subject(struct bh_writer *w, enum fault f)
{
    bh_writer_cbor_int(w, BH_EAR_KEY_SUBJECT);
    bh_writer_cbor_map(w, 4);
    bh_writer_cbor_tstr(w, f == NO_WORKLOAD ? "other" : "workload");
    bh_writer_cbor_tstr(w, f == LONG_WORKLOAD ? long_text : "payments");
    bh_writer_cbor_tstr(w, "owner");
    bh_writer_cbor_tstr(w, "any");
    bh_writer_cbor_tstr(w, "context");
    bh_writer_cbor_bstr(w, bh_span(long_text, f == LONG_CONTEXT ? 65 : 64));
    bh_writer_cbor_tstr(w, "simulated");
    bh_writer_cbor_bool(w, true);
}

static void
put_time(struct bh_writer *w, uint64_t key, int64_t value, bool as_float)
{
    bh_writer_cbor_uint(w, key);
    if (as_float) {
        bh_writer_u8(w, 0xfa);
        bh_writer_u32be(w, 0x447a0000);
    } else {
        bh_writer_cbor_int(w, value);
    }
}

static void
put_submods(struct bh_writer *w, enum fault f)
{
    const size_t n = f == EMPTY_SUBMODS ? 0 : f == MANY_SUBMODS ? BH_EAR_SUBMODS_MAX + 1 : 1;
    char name[32];

    bh_writer_cbor_uint(w, 266);
    bh_writer_cbor_map(w, n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "psa%zu", i);
        bh_writer_cbor_tstr(w, f == LONG_PLATFORM ? long_text : name);
        put_submod(w, f);
    }
}

static struct bh_span
build(enum fault f, uint8_t *out, size_t cap)
{
    const bool left_out = f == NO_PROFILE || f == NO_IAT || f == NO_EXP || f == NO_CNF ||
                          f == NO_SUBMODS || f == NO_SUBJECT;
    struct bh_span claims = bh_span_none();
    struct bh_writer w;

    bh_writer_init(&w, out, cap);
    bh_writer_cbor_map(&w, left_out ? 7 : f == TWICE ? 9 : 8);
    if (f != NO_EXP)
        put_time(&w, 4, 2000, false);
    if (f != NO_IAT)
        put_time(&w, 6, 1000, f == FLOAT_IAT);
    if (f == TWICE)
        put_time(&w, 6, 1000, false);
    if (f != NO_CNF)
        put_cnf(&w, f);
    bh_writer_cbor_uint(&w, 10);
    bh_writer_cbor_bstr(&w, bh_span(long_text, f == LONG_NONCE ? 65 : 64));
    if (f != NO_PROFILE) {
        bh_writer_cbor_uint(&w, 265);
        if (f == PROFILE_AS_NUMBER)
            bh_writer_cbor_uint(&w, 4);
        else
            bh_writer_cbor_tstr(
                &w, f == OTHER_PROFILE ? "tag:github.com,2023:veraison/ear" : BH_EAR_PROFILE);
    }
    if (f != NO_SUBMODS)
        put_submods(&w, f);
    bh_writer_cbor_int(&w, 99999); /* unknown: ignored */
    bh_writer_cbor_tstr(&w, "x");
    if (f != NO_SUBJECT)
        put_subject(&w, f);
    if (f == TRAILING)
        bh_writer_u8(&w, 0);
    cr_assert_eq(bh_writer_end(&w, &claims), BH_OK);
    return claims;
}

Test(ear_refused, one_thing_wrong)
{
    static const struct {
        enum fault fault;
        const char *why;
    } cases[] = {
        {OTHER_PROFILE, "another profile"},
        {NO_PROFILE, "is missing"},
        {NO_IAT, "is missing"},
        {NO_EXP, "is missing"},
        {NO_CNF, "is missing"},
        {NO_SUBMODS, "is missing"},
        {EMPTY_SUBMODS, "is missing"},
        {NO_SUBJECT, "is missing"},
        {NO_WORKLOAD, "is missing"},
        {LONG_WORKLOAD, ""},
        {LONG_CONTEXT, ""},
        {LONG_NONCE, ""},
        {PROFILE_AS_NUMBER, ""},
        {FLOAT_IAT, ""},
        {PRIVATE_KEY, "unknown member of the confirmation key"},
        {KEY_TYPE, "none of P-256, P-384 and Ed25519"},
        {KEY_CURVE, "none of P-256, P-384 and Ed25519"},
        {KEY_LENGTH, "none of P-256, P-384 and Ed25519"},
        {UNKNOWN_STATUS, "an unknown status"},
        {NO_STATUS, "without status or appraisal policy"},
        {NO_POLICY, "without status or appraisal policy"},
        {POLICY_FORM, "policy id of another form"},
        {TWO_POLICIES, ""},
        {VECTOR_KEY, "out of range"},
        {VECTOR_VALUE, "out of range"},
        {BETTER_STATUS, "better than its worst"},
        {MANY_CLAIMS, "too many attester claims"},
        {LONG_CLAIM, ""},
        {LONG_CLAIM_NAME, ""},
        {NUMBER_CLAIM, ""},
        {MANY_SUBMODS, "too many submodules"},
        {LONG_PLATFORM, ""},
        {TWICE, ""},
        {TRAILING, ""},
    };
    static struct bh_ear ear;
    uint8_t claims[BH_EAR_MAX];

    cr_assert_eq(bh_ear_decode(build(NONE, claims, sizeof(claims)), &ear, NULL), BH_OK);
    cr_expect_str_eq(ear.workload, "payments");
    cr_expect_eq(ear.nonce_len, 64);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_diag diag = {0};
        const enum bh_err e =
            bh_ear_decode(build(cases[i].fault, claims, sizeof(claims)), &ear, &diag);

        cr_expect_eq(e, BH_ERR_MALFORMED, "fault %d is read", (int)cases[i].fault);
        cr_expect_not_null(
            strstr(diag.detail, cases[i].why), "fault %d: %s", (int)cases[i].fault, diag.detail);
        cr_expect_eq(ear.submods_len, 0, "fault %d leaves something", (int)cases[i].fault);
    }
}

Test(ear_refused, size)
{
    static struct bh_ear ear;
    static uint8_t large[BH_EAR_MAX + 1];
    struct bh_diag diag = {0};

    cr_expect_eq(bh_ear_decode(bh_span(large, sizeof(large)), &ear, &diag), BH_ERR_TOO_LARGE);
    cr_expect_eq(bh_ear_decode(bh_span_none(), &ear, NULL), BH_ERR_MALFORMED);
}

static EVP_PKEY *
vector_key(const char *name)
{
    size_t len = 0;
    uint8_t *pem = bh_vector(name, &len);
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    cr_assert_not_null(key, "%s", name);
    BIO_free(bio);
    free(pem);
    return key;
}

/* Results in Veraison's profile: well-formed CBOR of another dialect, refused by their profile. */
Test(ear_vectors, claims_of_another_profile)
{
    static const char *const files[] = {"ear/rust-ear-claims-1.cbor", "ear/rust-ear-claims-2.cbor"};
    static struct bh_ear ear;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        struct bh_diag diag = {0};
        size_t len = 0;
        uint8_t *bytes = bh_vector(files[i], &len);

        cr_expect_eq(bh_ear_decode(bh_span(bytes, len), &ear, &diag), BH_ERR_MALFORMED);
        cr_expect_not_null(
            strstr(diag.detail, "another profile than"), "%s: %s", files[i], diag.detail);
        free(bytes);
    }
}

/* Signatures of other implementations: raw r || s over the bytes as they are. */
Test(ear_vectors, signatures_of_jwts)
{
    static const char *const files[] = {"ear/c-ear-parsec-tpm.jwt", "ear/veraison-ear-arc-ok.jwt",
        "ear/veraison-ear-embedded-jwk.jwt", "ear/veraison-ear-annotated.jwt",
        "ear/veraison-ear-nbf-jti.jwt", "ear/rust-ear-parsec-key-attestation.jwt",
        "ear/trustee-cpu0-embedded-jwk.jwt"};
    static struct bh_ear ear;

    if (bh_vectors() == NULL)
        return;
    EVP_PKEY *key = vector_key("ear/veraison-test-signer.pub.pem");
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        size_t len = 0, signature_len = 0;
        uint8_t signature[132], *jwt = bh_vector(files[i], &len);
        const uint8_t *dot = memrchr(jwt, '.', len);
        const bool foreign = strstr(files[i], "trustee") != NULL;
        struct bh_span input, raw;

        cr_assert_not_null(dot);
        while (len > 0 && jwt[len - 1] == '\n')
            len--;
        input = bh_span(jwt, (size_t)(dot - jwt));
        cr_assert_eq(bh_unbase64url(bh_span(dot + 1, len - input.len - 1), signature,
                         sizeof(signature), &signature_len),
            BH_OK);
        raw = bh_span(signature, signature_len);
        cr_expect_eq(bh_ecdsa_verify(key, input, raw, NULL), foreign ? BH_ERR_NOT_AUTHENTIC : BH_OK,
            "%s", files[i]);
        jwt[10] ^= 1;
        cr_expect_eq(bh_ecdsa_verify(key, input, raw, NULL), BH_ERR_NOT_AUTHENTIC);
        /* A JWT is no CWT. */
        cr_expect_neq(bh_ear_verify(bh_span(jwt, len), key, &ear, NULL), BH_OK);
        free(jwt);
    }
    EVP_PKEY_free(key);
}

/* A signed CoRIM is a good COSE_Sign1, and no attestation result. */
Test(ear_vectors, signed_corim)
{
    static struct bh_ear ear;
    struct bh_diag diag = {0};
    struct bh_cose cose;
    size_t len = 0;

    if (bh_vectors() == NULL)
        return;
    EVP_PKEY *key = vector_key("ear/corim-signer.pub.pem");
    uint8_t *bytes = bh_vector("ear/signed-example-corim.cbor", &len);
    cr_assert_eq(
        bh_cose_decode(bh_span(bytes, len), BH_COSE_FORM_TAGGED_SIGN1, &cose, NULL), BH_OK);
    cr_expect_eq(bh_cose_verify(&cose, key, NULL), BH_OK);
    cr_expect_eq(bh_ear_verify(bh_span(bytes, len), key, &ear, &diag), BH_ERR_MALFORMED);
    cr_expect_str_neq(diag.detail, "");
    free(bytes);
    EVP_PKEY_free(key);
}
