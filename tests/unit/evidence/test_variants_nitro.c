/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nitro documents by chance, of enclaves and of NitroTPMs: whatever AWS's text and real documents
 * allow is authentic, and one fault anywhere in it is refused by the name of what is wrong. A
 * failure names its seed.
 */
#include "arm_tokens.h"
#include "nitro_forge.h"
#include "variants.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define RIGHT_ONES 240
#define ROUNDS 6

enum fault {
    RIGHT,
    KEY_UNKNOWN,
    KEY_IS_INT,
    KEY_TWICE,
    PAYLOAD_TRAILING,
    MODULE_EMPTY,
    MODULE_BYTES,
    MODULE_OTHER,
    DIGEST_OTHER,
    TIMESTAMP_0,
    TIMESTAMP_FLOAT,
    TIMESTAMP_NEGATIVE,
    TIMESTAMP_HUGE,
    PCRS_NONE,
    PCRS_BOTH,
    PCRS_NEITHER,
    PCR_32,
    PCR_TWICE,
    PCR_47,
    PCR_NULL,
    CERTIFICATE_NULL,
    CERTIFICATE_EMPTY,
    CERTIFICATE_TRAILING,
    BUNDLE_EMPTY,
    BUNDLE_TRAILING,
    BUNDLE_LEAF_FIRST,
    BUNDLE_WITHOUT_REGION,
    BUNDLE_SWAPPED,
    BUNDLE_ENTRY_EMPTY,
    BUNDLE_9,
    PUBLIC_KEY_EMPTY,
    PUBLIC_KEY_1025,
    USER_DATA_1025,
    USER_DATA_CHUNKED,
    NONCE_1025,
    NONCE_TEXT,
    TRAILING,
    TAG_17,
    HEADERS,
    ALG_OTHER,
    NO_ALG,
    ALG_OUTSIDE,
    FLIP,
    CUT,
    R_0,
    R_N,
    S_0,
    S_N,
    OTHER_KEY,
    FAULTS,
};

#define MALFORMED BH_ERR_EVIDENCE_MALFORMED
static const struct {
    const char *check;
    enum bh_err err;
} faults[FAULTS] = {
    [KEY_UNKNOWN] = {"aws-nitro.payload", MALFORMED},
    [KEY_IS_INT] = {"aws-nitro.payload", MALFORMED},
    [KEY_TWICE] = {"aws-nitro.payload", MALFORMED},
    [PAYLOAD_TRAILING] = {"aws-nitro.payload", MALFORMED},
    [MODULE_EMPTY] = {"aws-nitro.module_id", MALFORMED},
    [MODULE_BYTES] = {"aws-nitro.module_id", MALFORMED},
    [MODULE_OTHER] = {"aws-nitro.module_id", BH_ERR_NOT_AUTHENTIC},
    [DIGEST_OTHER] = {"aws-nitro.digest", MALFORMED},
    [TIMESTAMP_0] = {"aws-nitro.timestamp", MALFORMED},
    [TIMESTAMP_FLOAT] = {"aws-nitro.timestamp", MALFORMED},
    [TIMESTAMP_NEGATIVE] = {"aws-nitro.timestamp", MALFORMED},
    [TIMESTAMP_HUGE] = {"aws-nitro.timestamp", MALFORMED},
    [PCRS_NONE] = {"aws-nitro.pcrs", MALFORMED},
    [PCRS_BOTH] = {"aws-nitro.pcrs", MALFORMED},
    [PCRS_NEITHER] = {"aws-nitro.pcrs", MALFORMED},
    [PCR_32] = {"aws-nitro.pcrs", MALFORMED},
    [PCR_TWICE] = {"aws-nitro.pcrs", MALFORMED},
    [PCR_47] = {"aws-nitro.pcrs", MALFORMED},
    [PCR_NULL] = {"aws-nitro.pcrs", MALFORMED},
    [CERTIFICATE_NULL] = {"aws-nitro.certificate", MALFORMED},
    [CERTIFICATE_EMPTY] = {"aws-nitro.certificate", MALFORMED},
    [CERTIFICATE_TRAILING] = {"aws-nitro.certificate", MALFORMED},
    [BUNDLE_EMPTY] = {"aws-nitro.cabundle", MALFORMED},
    [BUNDLE_TRAILING] = {"aws-nitro.cabundle", MALFORMED},
    [BUNDLE_LEAF_FIRST] = {"aws-nitro.chain", BH_ERR_NOT_AUTHENTIC},
    [BUNDLE_WITHOUT_REGION] = {"aws-nitro.chain", BH_ERR_NOT_AUTHENTIC},
    [BUNDLE_SWAPPED] = {"aws-nitro.chain", BH_ERR_NOT_AUTHENTIC},
    [BUNDLE_ENTRY_EMPTY] = {"aws-nitro.cabundle", MALFORMED},
    [BUNDLE_9] = {"aws-nitro.cabundle", MALFORMED},
    [PUBLIC_KEY_EMPTY] = {"aws-nitro.public_key", MALFORMED},
    [PUBLIC_KEY_1025] = {"aws-nitro.public_key", MALFORMED},
    [USER_DATA_1025] = {"aws-nitro.user_data", MALFORMED},
    [USER_DATA_CHUNKED] = {"aws-nitro.payload", MALFORMED},
    [NONCE_1025] = {"aws-nitro.nonce", MALFORMED},
    [NONCE_TEXT] = {"aws-nitro.nonce", MALFORMED},
    [TRAILING] = {"aws-nitro.envelope", MALFORMED},
    [TAG_17] = {"aws-nitro.envelope", MALFORMED},
    [HEADERS] = {"aws-nitro.protected", MALFORMED},
    [ALG_OTHER] = {"aws-nitro.protected", MALFORMED},
    [NO_ALG] = {"aws-nitro.protected", MALFORMED},
    [ALG_OUTSIDE] = {"aws-nitro.protected", MALFORMED},
    [FLIP] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
    [CUT] = {"aws-nitro.envelope", MALFORMED},
    [R_0] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
    [R_N] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
    [S_0] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
    [S_N] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
    [OTHER_KEY] = {"aws-nitro.signature", BH_ERR_NOT_AUTHENTIC},
};

static struct forge_chain chain;

static void
make_chain(void)
{
    forge_chain_right(&chain, "aws.nitro-enclaves");
}

static void
clear_chain(void)
{
    forge_chain_clear(&chain);
}

static bool tpm; /* the last document was a NitroTPM's */

static void
put_pcrs(struct bh_writer *w, struct chance *c, enum fault fault)
{
    /* An enclave has 16, one that extends PCR16 has 17, a NitroTPM 24; none need be there. */
    const uint32_t which =
        fault == PCRS_NONE ? 0 : (chance_of(c, 0x10000) << 16 | 1) | chance_of(c, 0x10000);
    static struct map m;
    static struct item pcrs;
    size_t n = 0;

    map_init(&m, c);
    for (unsigned i = 0; i < (tpm ? 24 : 32) && n < PAIRS_MAX - 2; i++) {
        if ((which >> i & 1) == 0)
            continue;
        n++;
        if (fault == PCR_NULL && n == 1)
            bh_writer_cbor_null(map_key(&m, i));
        else
            put_random(map_key(&m, i), c, -1, fault == PCR_47 && n == 1 ? 47 : chance_hash(c));
    }
    if (fault == PCR_32)
        put_random(map_key(&m, 32), c, -1, 48);
    if (fault == PCR_TWICE)
        put_random(map_key(&m, 0), c, -1, 48);
    map_end(&m, chance_of(c, 4) == 0, &pcrs);
    bh_writer_put(w, item_span(&pcrs));
}

static void
put_cert(struct bh_writer *w, struct chance *c, size_t i, size_t trailing)
{
    uint8_t buf[1024 + 1] = {0};

    memcpy(buf, chain.der[i], chain.der_len[i]);
    put_bytes(w, c, buf, chain.der_len[i] + trailing);
}

static void
put_bundle(struct bh_writer *w, struct chance *c, enum fault fault)
{
    static const size_t right[] = {0, 1, 2, 3}, reversed[] = {3, 2, 1, 0}, holed[] = {0, 2, 3},
                        swapped[] = {0, 2, 1, 3}, nine[] = {0, 0, 0, 0, 0, 0, 1, 2, 3};
    const size_t *order = right;
    unsigned n = 4;

    if (fault == BUNDLE_LEAF_FIRST)
        order = reversed;
    else if (fault == BUNDLE_SWAPPED)
        order = swapped;
    else if (fault == BUNDLE_WITHOUT_REGION)
        order = holed, n = 3;
    else if (fault == BUNDLE_9)
        order = nine, n = 9;
    else if (fault == BUNDLE_EMPTY)
        n = 0;
    put_head(w, c, 4, n);
    for (unsigned i = 0; i < n; i++)
        if (fault == BUNDLE_ENTRY_EMPTY && i == 2)
            put_bytes(w, c, "", 0);
        else
            put_cert(w, c, order[i], fault == BUNDLE_TRAILING && i == 1 ? 1 : 0);
}

/* Absent, null, empty, or up to 1024 bytes: what the caller of the NSM put there. */
static void
put_optional(
    struct map *m, const char *key, bool may_be_empty, enum fault fault, enum fault too_long)
{
    struct chance *c = m->c;

    if (fault == too_long)
        put_random(map_text_key(m, key), c, -1, 1025);
    else if (chance_half(c))
        put_random(map_text_key(m, key), c, -1,
            chance_half(c) ? 1 + chance_of(c, 1024)
            : may_be_empty ? 0
                           : 1024);
    else if (chance_half(c))
        bh_writer_cbor_null(map_text_key(m, key));
}

static void
put_free_fields(struct map *m, enum fault fault)
{
    struct chance *c = m->c;

    if (fault == PUBLIC_KEY_EMPTY)
        put_bytes(map_text_key(m, "public_key"), c, "", 0);
    else
        put_optional(m, "public_key", false, fault, PUBLIC_KEY_1025);
    if (fault == USER_DATA_CHUNKED)
        bh_writer_str(map_text_key(m, "user_data"), "\x5f\x41x\xff");
    else
        put_optional(m, "user_data", true, fault, USER_DATA_1025);
    if (fault == NONCE_TEXT)
        put_text(map_text_key(m, "nonce"), c, "00ff");
    else
        put_optional(m, "nonce", true, fault, NONCE_1025);
}

static void
put_identity(struct map *m, enum fault fault)
{
    struct chance *c = m->c;

    if (fault == MODULE_BYTES)
        put_random(map_text_key(m, "module_id"), c, -1, 20);
    else
        put_text(map_text_key(m, "module_id"), c,
            fault == MODULE_EMPTY   ? ""
            : fault == MODULE_OTHER ? "i-0123456789abcdef0-enc0123456789abcdee"
                                    : FORGE_MODULE);
    put_text(map_text_key(m, "digest"), c, fault == DIGEST_OTHER ? "SHA256" : "SHA384");
    if (fault == TIMESTAMP_FLOAT)
        bh_writer_str(map_text_key(m, "timestamp"), "\xfb\x42\x78\xbc\xfe\x56\x80\x01\x01");
    else if (fault == TIMESTAMP_HUGE)
        put_head(map_text_key(m, "timestamp"), c, 0, UINT64_MAX);
    else
        put_int(map_text_key(m, "timestamp"), c,
            fault == TIMESTAMP_0          ? 0
            : fault == TIMESTAMP_NEGATIVE ? -1
                                          : FORGE_NOW * 1000 + (int64_t)chance_of(c, 1000));
}

static void
make_payload(struct chance *c, enum fault fault, struct item *ret_payload)
{
    static struct map m;

    tpm = chance_half(c);
    map_init(&m, c);
    put_identity(&m, fault);
    if (fault != PCRS_NEITHER)
        put_pcrs(map_text_key(&m, tpm ? "nitrotpm_pcrs" : "pcrs"), c, fault);
    if (fault == PCRS_BOTH)
        put_pcrs(map_text_key(&m, tpm ? "pcrs" : "nitrotpm_pcrs"), c, fault);
    if (fault == CERTIFICATE_NULL)
        bh_writer_cbor_null(map_text_key(&m, "certificate"));
    else if (fault == CERTIFICATE_EMPTY)
        put_bytes(map_text_key(&m, "certificate"), c, "", 0);
    else
        put_cert(
            map_text_key(&m, "certificate"), c, FORGE_LEAF, fault == CERTIFICATE_TRAILING ? 1 : 0);
    put_bundle(map_text_key(&m, "cabundle"), c, fault);
    put_free_fields(&m, fault);
    if (fault == KEY_UNKNOWN)
        put_anything(map_text_key(&m, "debug"), c);
    if (fault == KEY_IS_INT)
        put_anything(map_key(&m, 1), c);
    if (fault == KEY_TWICE)
        put_text(map_text_key(&m, "digest"), c, "SHA384");
    map_end(&m, chance_half(c), ret_payload);
    if (fault == PAYLOAD_TRAILING)
        ret_payload->buf[ret_payload->len++] = 0;
}

static void
nitro_variant(uint64_t seed, enum fault fault, struct item *ret_document)
{
    static struct item payload;
    struct cose_plan plan = {0};
    struct chance c;

    chance_init(&c, seed);
    c.wide = chance_half(&c);
    make_payload(&c, fault, &payload);
    plan.tagged = fault == TAG_17 || chance_half(&c);
    plan.headers = fault == HEADERS;
    plan.other_signature = chance_half(&c);
    plan.alg = fault == ALG_OTHER ? BH_COSE_ES256 : 0;
    plan.no_alg = fault == NO_ALG;
    plan.alg_outside = fault == ALG_OUTSIDE;
    plan.flip = fault == FLIP;
    plan.cut = fault == CUT;
    plan.trailing = fault == TRAILING ? 1 : 0;
    plan.r = fault == R_0 ? "0" : fault == R_N ? "n" : NULL;
    plan.s = fault == S_0 ? "0" : fault == S_N ? "n" : NULL;
    /* The protected header is these four bytes and no others. */
    c.wide = false;
    cose_make(&plan, &c, chain.keys[fault == OTHER_KEY ? FORGE_LEAF - 1 : FORGE_LEAF],
        item_span(&payload), ret_document);
    if (fault == TAG_17)
        ret_document->buf[0] = 0xd1;
}

static const char *
type(void)
{
    return tpm ? "application/aws-nitrotpm-document" : "application/aws-nitro-document";
}

/* The check of the kind of document at hand. */
static const char *
check_of(enum fault fault, char out[64])
{
    (void)snprintf(out, 64, "%s%s", tpm ? "aws-nitrotpm" : "aws-nitro",
        faults[fault].check + sizeof("aws-nitro") - 1);
    return out;
}

Test(variants_nitro, right_ones, .init = make_chain, .fini = clear_chain)
{
    static struct item document;
    struct ev_trust trust;

    forge_trust(&trust, &chain, false);
    trust.cache = ev_chain_cache_new(8);
    for (uint64_t seed = 1; seed <= RIGHT_ONES; seed++) {
        char what[64];

        nitro_variant(seed, RIGHT, &document);
        (void)snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
        must_hold(item_span(&document), seed % 2 == 0 ? type() : NULL, &trust, what);
    }
    ev_chain_cache_free(trust.cache);
}

Test(variants_nitro, one_fault, .init = make_chain, .fini = clear_chain)
{
    static struct item document;
    struct ev_trust trust;

    forge_trust(&trust, &chain, false);
    trust.cache = ev_chain_cache_new(8);
    for (unsigned fault = RIGHT + 1; fault < FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            char what[64], check[64];

            nitro_variant(seed + 1000 * fault, fault, &document);
            (void)snprintf(what, sizeof(what), "fault %u, seed %llu", fault,
                (unsigned long long)(seed + 1000 * fault));
            must_refuse(item_span(&document), type(), &trust, faults[fault].err,
                check_of(fault, check), what);
        }
    }
    ev_chain_cache_free(trust.cache);
}
