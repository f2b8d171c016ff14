/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody would try: lengths that overflow, nesting without end, one format's token as
 * another's, certificates of a stranger under the right names, and a cache that was warmed by what
 * is not trusted any more.
 */
#include "arm_tokens.h"
#include "nitro_forge.h"

#include "core/ear.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PSA_TYPE "application/psa-attestation-token"
#define CCA_TYPE "application/eat-collection"
#define NITRO_TYPE "application/aws-nitro-document"

/* ---- lengths and nesting ---- */

/* Heads of strings, arrays, maps and tags whose lengths wrap somewhere. */
static size_t
huge_head(unsigned i, uint8_t out[9])
{
    static const uint64_t lengths[] = {UINT64_C(0x7fffffff), UINT64_C(0xffffffff),
        UINT64_C(0x100000000), UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000),
        UINT64_C(0x8000000000000001), UINT64_C(0xfffffffffffffff6), UINT64_MAX};
    static const uint8_t majors[] = {2, 3, 4, 5};
    uint64_t length;

    if (i >= BH_COUNT(lengths) * BH_COUNT(majors))
        return 0;
    length = lengths[i / BH_COUNT(majors)];
    out[0] = (uint8_t)(majors[i % BH_COUNT(majors)] << 5 | 27);
    for (unsigned k = 0; k < 8; k++)
        out[1 + k] = (uint8_t)(length >> (56 - 8 * k));
    return 9;
}

static struct bytes
one_claim(int64_t key, struct bh_span encoded)
{
    struct claims c;

    claims_init(&c);
    claim_raw(&c, key, encoded);
    return claims_end(&c);
}

Test(attacks, lengths_that_overflow)
{
    static const uint8_t envelope[] = {0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0};
    EVP_PKEY *key = make_key("P-384");
    struct endorser endorser = endorser_of_key(key);
    const struct ev_trust trust = trust_in(&endorser);
    static const char *const types[] = {PSA_TYPE, CCA_TYPE, NITRO_TYPE};
    static const char *const outer[] = {"psa.encoding", "arm-cca.encoding", "aws-nitro.envelope"};
    uint8_t head[9], raw[64];
    size_t len;

    for (unsigned i = 0; (len = huge_head(i, head)) > 0; i++) {
        for (size_t t = 0; t < BH_COUNT(types); t++)
            must_refuse(bh_span(head, len), types[t], &trust, BH_ERR_EVIDENCE_MALFORMED, outer[t],
                "a length as the whole");
        /* Where the payload stands: the length of the payload itself, too. */
        memcpy(raw, envelope, sizeof(envelope));
        memcpy(raw + sizeof(envelope), head, len);
        memset(raw + sizeof(envelope) + len, 0, 20);
        must_refuse(bh_span(raw, sizeof(envelope) + len + 20), PSA_TYPE, &trust,
            BH_ERR_EVIDENCE_MALFORMED, "psa.encoding", "a length for the payload");
        /* In a claim that nobody knows, in a payload that is signed. */
        const struct bytes payload = one_claim(-99999, bh_span(head, len));
        const struct bytes token = sign(span_of(&payload), key);
        must_refuse(span_of(&token), PSA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.claims",
            "a length in a claim");
    }
    EVP_PKEY_free(key);
}

Test(attacks, nesting)
{
    EVP_PKEY *key = make_key("P-256");
    struct endorser endorser = endorser_of_key(key);
    const struct ev_trust trust = trust_in(&endorser);
    const struct psa_shape shape = psa_shape();
    static const uint8_t openers[] = {0x81, 0xc1};
    uint8_t deep[4001];

    for (size_t o = 0; o < BH_COUNT(openers); o++)
        for (size_t depth = 1; depth <= 4000; depth = depth < 20 ? depth + 1 : depth * 4) {
            const struct bytes good = psa_payload(&shape);
            struct bytes payload = good;
            char what[40];

            memset(deep, openers[o], depth);
            deep[depth] = 0;
            /* One more pair in the map: a claim that nobody knows. */
            cr_assert_lt(payload.buf[0], 0xb7);
            payload.buf[0]++;
            memcpy(payload.buf + payload.len, "\x19\x9c\x40", 3);
            memcpy(payload.buf + payload.len + 3, deep, depth + 1);
            payload.len += 3 + depth + 1;
            const struct bytes token = sign(span_of(&payload), key);
            (void)snprintf(what, sizeof(what), "%02x, %zu deep", openers[o], depth);
            if (openers[o] == 0xc1 || depth < BH_CBOR_DEPTH_MAX)
                must_hold(span_of(&token), PSA_TYPE, &trust, what);
            else
                must_refuse(span_of(&token), PSA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED,
                    "psa.claims", what);
        }
    EVP_PKEY_free(key);
}

/* ---- one format as another ---- */

Test(attacks, one_format_as_another)
{
    EVP_PKEY *key = make_key("P-384"), *rak = make_key("P-384");
    struct endorser endorser = endorser_of_key(key);
    const struct ev_trust trust = trust_in(&endorser);
    const struct psa_shape psa = psa_shape();
    const struct cca_shape cca = cca_shape(key, rak);
    const struct bytes payload = psa_payload(&psa);
    const struct bytes psa_token = sign(span_of(&payload), key);
    const struct bytes whole = cca_token(&cca);
    struct claims c;

    must_hold(span_of(&psa_token), PSA_TYPE, &trust, "a PSA token");
    must_hold(span_of(&whole), CCA_TYPE, &trust, "a CCA token");
    must_refuse(
        span_of(&whole), PSA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.encoding", "CCA as PSA");
    must_refuse(span_of(&whole), NITRO_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitro.envelope", "CCA as Nitro");
    must_refuse(span_of(&psa_token), CCA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.platform_token.profile", "PSA as a CCA platform token");
    must_refuse(span_of(&psa_token), NITRO_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitro.payload", "PSA as Nitro");

    /* The platform token inside, which the same key signed, as a PSA token. */
    cr_assert_eq(whole.buf[0], 0xd9);
    const struct bh_span rest = bh_span(whole.buf + 4 + 3, whole.len - 7); /* tag, map, 44234 */
    cr_assert_eq(rest.ptr[0], 0x59);
    const struct bh_span platform = bh_span(rest.ptr + 3, (size_t)rest.ptr[1] << 8 | rest.ptr[2]);
    must_hold(platform, NULL, &trust, "a platform token alone, by its form");
    must_refuse(platform, PSA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile",
        "a CCA platform token as PSA");

    /* A result is no evidence, whoever signed it. */
    claims_init(&c);
    claim_text(&c, 265, BH_EAR_PROFILE);
    claim_int(&c, 6, 1700000000);
    claim_bytes(&c, 10, "0123456789abcdef0123456789abcdef", 32);
    const struct bytes ear = claims_end(&c);
    const struct bytes result = sign(span_of(&ear), key);
    must_refuse(span_of(&result), PSA_TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile",
        "an EAR as PSA");
    must_refuse(
        span_of(&result), NULL, &trust, BH_ERR_UNSUPPORTED, "evidence.type", "an EAR by its form");
    EVP_PKEY_free(key);
    EVP_PKEY_free(rak);
}

/* ---- chains ---- */

static void
document_must_fail(const struct forge_chain *chain, const struct ev_trust *trust, enum bh_err err,
    const char *check, const char *what)
{
    struct forge_doc doc;
    uint8_t *bytes;
    size_t len;

    forge_document(&doc);
    bytes = forge_make(chain, &doc, &len);
    must_refuse(bh_span(bytes, len), NITRO_TYPE, trust, err, check, what);
    free(bytes);
}

static void
document_must_hold(const struct forge_chain *chain, const struct ev_trust *trust, const char *what)
{
    struct forge_doc doc;
    uint8_t *bytes;
    size_t len;

    forge_document(&doc);
    bytes = forge_make(chain, &doc, &len);
    must_hold(bh_span(bytes, len), NITRO_TYPE, trust, what);
    free(bytes);
}

/* A stranger's certificates from the i-th on, under the same names, serials and times. */
Test(attacks, a_strangers_chain_under_the_right_names)
{
    struct forge_chain right, stranger, mixed;
    struct ev_trust trust;
    char what[48];

    forge_chain_right(&right, "aws.nitro-enclaves");
    forge_chain_right(&stranger, "aws.nitro-enclaves");
    forge_trust(&trust, &right, false);
    trust.cache = ev_chain_cache_new(16);
    for (int warm = 0; warm < 2; warm++) {
        for (size_t i = 0; i < FORGE_CERTS; i++) {
            mixed = right;
            for (size_t k = i; k < FORGE_CERTS; k++) {
                memcpy(mixed.der[k], stranger.der[k], sizeof(mixed.der[k]));
                mixed.der_len[k] = stranger.der_len[k];
                mixed.keys[k] = stranger.keys[k];
            }
            (void)snprintf(what, sizeof(what), "from %zu on, cache %d", i, warm);
            document_must_fail(&mixed, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", what);
            /* The stranger's one certificate in between. */
            mixed = right;
            memcpy(mixed.der[i], stranger.der[i], sizeof(mixed.der[i]));
            mixed.der_len[i] = stranger.der_len[i];
            document_must_fail(&mixed, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", what);
        }
        document_must_hold(&right, &trust, "the right one, and it warms the cache");
        document_must_fail(
            &stranger, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "the stranger's own");
    }
    ev_chain_cache_free(trust.cache);
    forge_chain_clear(&right);
    forge_chain_clear(&stranger);
}

Test(attacks, a_warm_cache_trusts_nobody)
{
    struct forge_chain one, two;
    struct ev_trust trust, now;

    forge_chain_right(&one, "one");
    forge_chain_right(&two, "two");
    forge_trust(&trust, &one, false);
    trust.cache = ev_chain_cache_new(16);
    trust.anchors_len = 2;
    trust.anchors[1] = trust.anchors[0];
    trust.anchors[1].cert = two.certs[0];
    document_must_hold(&one, &trust, "one");
    document_must_hold(&two, &trust, "two");

    now = trust; /* the second anchor is withdrawn */
    now.anchors_len = 1;
    document_must_hold(&one, &now, "one, still");
    document_must_fail(&two, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "two, withdrawn");
    now.anchors_len = 0;
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "no anchor at all");

    now = trust; /* the anchor is for another platform */
    (void)snprintf(now.anchors[0].platform, sizeof(now.anchors[0].platform), "psa");
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "PSA's anchor");

    now = trust; /* the anchor turns out to be a simulated one */
    now.anchors[0].simulated = true;
    document_must_fail(&one, &now, BH_ERR_SIMULATED, "simulated", "a simulated anchor");

    now = trust; /* an intermediate certificate as the anchor, and the leaf */
    now.anchors_len = 1;
    now.anchors[0].cert = one.certs[1];
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "not the root");
    now.anchors[0].cert = one.certs[FORGE_LEAF];
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "the leaf");

    now = trust; /* time goes on, and back */
    now.max_age = 0;
    now.now = FORGE_NOW + 3 * 3600;
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.validity", "later");
    now.now = FORGE_NOW - 2 * 3600;
    document_must_fail(&one, &now, BH_ERR_NOT_AUTHENTIC, "aws-nitro.validity", "earlier");
    now.now = FORGE_NOW;
    document_must_hold(&one, &now, "and again");
    ev_chain_cache_free(trust.cache);
    forge_chain_clear(&one);
    forge_chain_clear(&two);
}

/* The anchor and nothing else: a root that signs documents itself, and a leaf that is its own. */
Test(attacks, documents_signed_by_a_ca)
{
    struct forge_chain right, mixed;
    struct ev_trust trust;

    forge_chain_right(&right, "aws.nitro-enclaves");
    forge_trust(&trust, &right, false);
    for (size_t i = 0; i < FORGE_LEAF; i++) {
        mixed = right;
        memcpy(mixed.der[FORGE_LEAF], right.der[i], sizeof(mixed.der[FORGE_LEAF]));
        mixed.der_len[FORGE_LEAF] = right.der_len[i];
        mixed.keys[FORGE_LEAF] = right.keys[i];
        document_must_fail(
            &mixed, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", "a CA's certificate as leaf");
    }
    forge_chain_clear(&right);
}
