/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSA and CCA tokens by chance: whatever their specifications allow is authentic, and one fault
 * anywhere in it is refused by the name of what is wrong. A failure names its seed.
 */
#include "arm_tokens.h"
#include "variants.h"

#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define RIGHT_ONES 240
#define ROUNDS 6

static const char *const curves[] = {"P-256", "P-384", "P-521"};
static EVP_PKEY *keys[3], *rak;

static void
make_keys(void)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++)
        keys[i] = make_key(curves[i]);
    rak = make_key("P-384");
}

static void
free_keys(void)
{
    for (size_t i = 0; i < BH_COUNT(keys); i++)
        EVP_PKEY_free(keys[i]);
    EVP_PKEY_free(rak);
}

/* ---- PSA ---- */

enum psa_fault {
    PSA_RIGHT,
    PSA_NONCE_31,
    PSA_NONCE_ARRAY,
    PSA_NONCE_MISSING,
    PSA_INSTANCE_32,
    PSA_INSTANCE_OTHER_TYPE,
    PSA_INSTANCE_9,
    PSA_IMPLEMENTATION_31,
    PSA_CLIENT_0,
    PSA_CLIENT_33_BITS,
    PSA_LIFECYCLE_BETWEEN,
    PSA_LIFECYCLE_7000,
    PSA_LIFECYCLE_NEGATIVE,
    PSA_SEED_7,
    PSA_SEED_33,
    PSA_PROFILE_UNKNOWN,
    PSA_PROFILE_BYTES,
    PSA_MIXED,
    PSA_TWICE,
    PSA_PAYLOAD_TRAILING,
    PSA_TRAILING,
    PSA_UNTAGGED,
    PSA_NO_ALG,
    PSA_ALG_OUTSIDE,
    PSA_ALG_OTHER,
    PSA_FLIP,
    PSA_CUT,
    PSA_R_0,
    PSA_S_0,
    PSA_R_N,
    PSA_S_N,
    PSA_FAULTS,
};

static const struct {
    const char *check;
    enum bh_err err;
} psa_faults[PSA_FAULTS] = {
    [PSA_NONCE_31] = {"psa.nonce", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_NONCE_ARRAY] = {"psa.nonce", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_NONCE_MISSING] = {"psa.nonce", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_INSTANCE_32] = {"psa.instance_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_INSTANCE_OTHER_TYPE] = {"psa.instance_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_INSTANCE_9] = {"psa.instance_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_IMPLEMENTATION_31] = {"psa.implementation_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_CLIENT_0] = {"psa.client_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_CLIENT_33_BITS] = {"psa.client_id", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_LIFECYCLE_BETWEEN] = {"psa.lifecycle", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_LIFECYCLE_7000] = {"psa.lifecycle", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_LIFECYCLE_NEGATIVE] = {"psa.lifecycle", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_SEED_7] = {"psa.boot_seed", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_SEED_33] = {"psa.boot_seed", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_PROFILE_UNKNOWN] = {"psa.profile", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_PROFILE_BYTES] = {"psa.profile", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_MIXED] = {"psa.profile", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_TWICE] = {"psa.claims", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_PAYLOAD_TRAILING] = {"psa.claims", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_TRAILING] = {"psa.encoding", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_UNTAGGED] = {"psa.encoding", BH_ERR_EVIDENCE_MALFORMED},
    [PSA_NO_ALG] = {"psa.alg", BH_ERR_NOT_AUTHENTIC},
    [PSA_ALG_OUTSIDE] = {"psa.alg", BH_ERR_NOT_AUTHENTIC},
    [PSA_ALG_OTHER] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_FLIP] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_CUT] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_R_0] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_S_0] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_R_N] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
    [PSA_S_N] = {"psa.signature", BH_ERR_NOT_AUTHENTIC},
};

/* The keys of the three families, in the order of enum. */
enum psa_key {
    NONCE,
    INSTANCE,
    PROFILE,
    CLIENT,
    LIFECYCLE,
    IMPLEMENTATION,
    SEED,
    CERTIFICATION,
    SOFTWARE,
    SERVICE,
};
static const int64_t psa_keys[3][10] = {
    {-75008, -75009, -75000, -75001, -75002, -75003, -75004, -75005, -75006, -75010},
    {10, 256, 265, 2394, 2395, 2396, 2397, 2398, 2399, 2400},
    {10, 256, 265, 2394, 2395, 2396, 268, 2398, 2399, 2400},
};
static const char *const psa_names[] = {
    "PSA_IOT_PROFILE_1", "http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"};

static int64_t
psa_lifecycle(struct chance *c, enum psa_fault fault)
{
    switch (fault) {
    case PSA_LIFECYCLE_BETWEEN:
        return 0x3100;
    case PSA_LIFECYCLE_7000:
        return 0x7000;
    case PSA_LIFECYCLE_NEGATIVE:
        return -1;
    default:
        return any_lifecycle(c);
    }
}

static int64_t
psa_client(struct chance *c, enum psa_fault fault)
{
    static const int64_t clients[] = {1, -1, INT32_MAX, INT32_MIN, 3002};

    if (fault == PSA_CLIENT_0)
        return 0;
    if (fault == PSA_CLIENT_33_BITS)
        return chance_half(c) ? (int64_t)INT32_MAX + 1 : (int64_t)INT32_MIN - 1;
    return clients[chance_of(c, BH_COUNT(clients))];
}

static void
psa_identity(struct map *m, struct chance *c, const int64_t *k, enum psa_fault fault)
{
    if (fault == PSA_NONCE_ARRAY) {
        struct bh_writer *w = map_key(m, k[NONCE]);

        put_head(w, c, 4, 1);
        put_random(w, c, -1, 32);
    } else if (fault != PSA_NONCE_MISSING) {
        put_random(map_key(m, k[NONCE]), c, -1, fault == PSA_NONCE_31 ? 31 : chance_hash(c));
    }
    if (fault == PSA_INSTANCE_9) /* as Silicon Labs has it */
        put_random(map_key(m, k[INSTANCE]), c, 6, 9);
    else
        put_random(map_key(m, k[INSTANCE]), c, fault == PSA_INSTANCE_OTHER_TYPE ? 2 : 1,
            fault == PSA_INSTANCE_32 ? 32 : 33);
    put_random(map_key(m, k[IMPLEMENTATION]), c, -1, fault == PSA_IMPLEMENTATION_31 ? 31 : 32);
    put_int(map_key(m, k[CLIENT]), c, psa_client(c, fault));
    put_int(map_key(m, k[LIFECYCLE]), c, psa_lifecycle(c, fault));
}

static void
psa_profile(struct map *m, struct chance *c, unsigned family, enum psa_fault fault)
{
    const int64_t key = psa_keys[family][PROFILE];

    if (fault == PSA_PROFILE_UNKNOWN)
        put_text(map_key(m, key), c, chance_half(c) ? "SILABS_1" : "PSA_IoT_PROFILE_1");
    else if (fault == PSA_PROFILE_BYTES)
        put_random(map_key(m, key), c, -1, 8);
    else if (family > 0 || chance_half(c))
        put_text(map_key(m, key), c, psa_names[family]);
    if (fault == PSA_MIXED)
        put_random(map_key(m, psa_keys[family == 0 ? 1 : 0][INSTANCE]), c, 1, 33);
}

/* One payload of a family: every optional claim there or not, and claims of nobody's. */
static void
psa_claims(struct chance *c, unsigned family, enum psa_fault fault, enum software_fault software,
    struct item *ret_payload)
{
    const int64_t *k = psa_keys[family];
    static struct map m;

    map_init(&m, c);
    psa_identity(&m, c, k, fault);
    psa_profile(&m, c, family, fault);
    if (fault == PSA_SEED_7 || fault == PSA_SEED_33)
        put_random(map_key(&m, k[SEED]), c, -1, fault == PSA_SEED_7 ? 7 : 33);
    else if (family == 0 || chance_half(c))
        put_random(map_key(&m, k[SEED]), c, -1, family == 0 ? 32 : 8 + chance_of(c, 25));
    if (chance_half(c))
        put_text(map_key(&m, k[CERTIFICATION]), c,
            chance_half(c) ? "0604565272829" : "0604565272829-10010");
    if (chance_half(c))
        put_text(map_key(&m, k[SERVICE]), c, chance_half(c) ? "https://psa-verifier.org" : "");
    if (family == 0 && software == SOFTWARE_RIGHT && chance_half(c))
        put_int(map_key(&m, -75007), c, 1);
    else
        put_software(map_key(&m, k[SOFTWARE]), c, software);
    if (chance_half(c))
        put_anything(map_key(&m, -80000 - (int64_t)chance_of(c, 1000)), c);
    if (chance_half(c))
        put_anything(map_key(&m, 1000000), c);
    if (chance_half(c))
        put_anything(map_text_key(&m, "vendor-claim"), c);
    if (fault == PSA_TWICE)
        put_random(map_key(&m, k[INSTANCE]), c, 1, 33);
    map_end(&m, family == 0 && chance_half(c), ret_payload);
    if (fault == PSA_PAYLOAD_TRAILING)
        ret_payload->buf[ret_payload->len++] = 0;
}

static void
psa_envelope(struct chance *c, enum psa_fault fault, struct cose_plan *plan)
{
    cose_right(plan, c);
    plan->tagged = fault != PSA_UNTAGGED;
    plan->no_alg = fault == PSA_NO_ALG;
    plan->alg_outside = fault == PSA_ALG_OUTSIDE;
    plan->flip = fault == PSA_FLIP;
    plan->cut = fault == PSA_CUT;
    plan->trailing = fault == PSA_TRAILING ? 1 : 0;
    plan->r = fault == PSA_R_0 ? "0" : fault == PSA_R_N ? "n" : NULL;
    plan->s = fault == PSA_S_0 ? "0" : fault == PSA_S_N ? "n" : NULL;
}

static struct endorser
psa_variant(
    uint64_t seed, enum psa_fault fault, enum software_fault software, struct item *ret_token)
{
    static struct item payload;
    static uint8_t mac_key[128];
    struct endorser endorser;
    struct cose_plan plan;
    struct chance c;

    chance_init(&c, seed);
    c.wide = chance_half(&c);
    const unsigned family = (unsigned)(seed % 3), curve = chance_of(&c, 3);
    const bool signature = fault >= PSA_NO_ALG;
    psa_claims(&c, family, fault, software, &payload);
    psa_envelope(&c, fault, &plan);
    endorser = endorser_of_key(keys[curve]);
    if (fault == PSA_ALG_OTHER)
        plan.alg = curve == 0 ? BH_COSE_ES384 : BH_COSE_ES256;
    if (!signature && chance_of(&c, 4) == 0) {
        const size_t len = 16 + chance_of(&c, 113);

        for (size_t i = 0; i < len; i++)
            mac_key[i] = (uint8_t)chance_of(&c, 256);
        plan.mac = bh_span(mac_key, len);
        plan.mac_alg = BH_COSE_HS256 + (int64_t)chance_of(&c, 3);
        endorser.endorsement.symmetric = true;
        memcpy(endorser.endorsement.key, mac_key, len);
        endorser.endorsement.key_len = len;
    }
    cose_make(&plan, &c, keys[curve], item_span(&payload), ret_token);
    return endorser;
}

static const char *const psa_type = "application/psa-attestation-token";

Test(variants, psa_right_ones, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (uint64_t seed = 1; seed <= RIGHT_ONES; seed++) {
        struct endorser endorser = psa_variant(seed, PSA_RIGHT, SOFTWARE_RIGHT, &token);
        const struct ev_trust trust = trust_in(&endorser);
        char what[64];

        (void)snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
        must_hold(item_span(&token), seed % 2 == 0 ? psa_type : NULL, &trust, what);
    }
}

Test(variants, psa_one_fault, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (unsigned fault = PSA_RIGHT + 1; fault < PSA_FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            struct endorser endorser =
                psa_variant(seed + 1000 * fault, fault, SOFTWARE_RIGHT, &token);
            const struct ev_trust trust = trust_in(&endorser);
            char what[64];

            (void)snprintf(what, sizeof(what), "fault %u, seed %llu", fault,
                (unsigned long long)(seed + 1000 * fault));
            must_refuse(item_span(&token), psa_type, &trust, psa_faults[fault].err,
                psa_faults[fault].check, what);
        }
    }
}

Test(variants, psa_software_faults, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (unsigned fault = SOFTWARE_RIGHT + 1; fault < SOFTWARE_FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            const bool first_family = (seed + 1002 * fault) % 3 == 0;
            struct endorser endorser = psa_variant(seed + 1002 * fault, PSA_RIGHT, fault, &token);
            const struct ev_trust trust = trust_in(&endorser);
            char what[64];

            (void)snprintf(what, sizeof(what), "fault %u, seed %llu", fault,
                (unsigned long long)(seed + 1002 * fault));
            /* RFC 9783, 5.1: definite lengths only, all the way down. */
            if (fault == SOFTWARE_INDEFINITE && first_family)
                must_hold(item_span(&token), psa_type, &trust, what);
            else
                must_refuse(item_span(&token), psa_type, &trust, BH_ERR_EVIDENCE_MALFORMED,
                    fault == SOFTWARE_INDEFINITE ? "psa.claims" : "psa.software", what);
        }
    }
}
