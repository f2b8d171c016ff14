/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CCA tokens by chance: every container, profile and form of the realm's key is authentic, and one
 * fault anywhere in it is refused by the name of what is wrong. A failure names its seed.
 */
#include "arm_tokens.h"
#include "variants.h"

#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define RIGHT_ONES 240
#define ROUNDS 6

#define PLATFORM "arm-cca.platform_token."
#define REALM "arm-cca.realm."

enum fault {
    RIGHT,
    CONTAINER_TAG,
    CONTAINER_TRAILING,
    CONTAINER_NO_REALM,
    CONTAINER_TWICE,
    RECORD_TYPE,
    TOKEN_UNTAGGED,
    PLATFORM_PROFILE,
    PLATFORM_IS_PSA,
    PLATFORM_CHALLENGE_33,
    PLATFORM_INSTANCE_32,
    PLATFORM_INSTANCE_TYPE,
    PLATFORM_IMPLEMENTATION_33,
    PLATFORM_NO_CONFIG,
    PLATFORM_NO_HASH,
    PLATFORM_LIFECYCLE,
    PLATFORM_CLIENT_MISSING,
    PLATFORM_CLIENT_OTHER,
    PLATFORM_TWICE,
    PLATFORM_TRAILING,
    REALM_PROFILE_FAULT,
    REALM_CHALLENGE_32,
    REALM_PERSONALIZATION_63,
    REALM_INITIAL_33,
    REALM_REMS_3,
    REALM_REMS_5,
    REALM_REM_31,
    REALM_NO_HASH,
    REALM_KEY_HASH_UNKNOWN,
    REALM_MEC_2,
    REALM_TWICE,
    RAK_OTHER_FORM,
    RAK_P256,
    RAK_PRIVATE,
    RAK_COMPRESSED,
    RAK_OFF_CURVE,
    RAK_ALG,
    RAK_TWICE,
    PLATFORM_NO_ALG,
    PLATFORM_FLIP,
    REALM_NO_ALG,
    REALM_ALG_OUTSIDE,
    REALM_FLIP,
    REALM_R_0,
    REALM_S_N,
    REALM_OTHER_SIGNER,
    BINDING_OTHER_HASH,
    BINDING_PADDED,
    BINDING_OTHER_KEY,
    FAULTS,
};

#define MALFORMED BH_ERR_EVIDENCE_MALFORMED
static const struct {
    const char *check;
    enum bh_err err;
} faults[FAULTS] = {
    [CONTAINER_TAG] = {"arm-cca.encoding", MALFORMED},
    [CONTAINER_TRAILING] = {"arm-cca.encoding", MALFORMED},
    [CONTAINER_NO_REALM] = {"arm-cca.encoding", MALFORMED},
    [CONTAINER_TWICE] = {"arm-cca.encoding", MALFORMED},
    [RECORD_TYPE] = {"arm-cca.encoding", MALFORMED},
    [TOKEN_UNTAGGED] = {PLATFORM "encoding", MALFORMED},
    [PLATFORM_PROFILE] = {PLATFORM "profile", MALFORMED},
    [PLATFORM_IS_PSA] = {PLATFORM "profile", MALFORMED},
    [PLATFORM_CHALLENGE_33] = {PLATFORM "challenge", MALFORMED},
    [PLATFORM_INSTANCE_32] = {PLATFORM "instance_id", MALFORMED},
    [PLATFORM_INSTANCE_TYPE] = {PLATFORM "instance_id", MALFORMED},
    [PLATFORM_IMPLEMENTATION_33] = {PLATFORM "implementation_id", MALFORMED},
    [PLATFORM_NO_CONFIG] = {PLATFORM "config", MALFORMED},
    [PLATFORM_NO_HASH] = {PLATFORM "hash_algorithm", MALFORMED},
    [PLATFORM_LIFECYCLE] = {PLATFORM "lifecycle", MALFORMED},
    [PLATFORM_CLIENT_MISSING] = {PLATFORM "client_id", MALFORMED},
    [PLATFORM_CLIENT_OTHER] = {PLATFORM "client_id", MALFORMED},
    [PLATFORM_TWICE] = {PLATFORM "claims", MALFORMED},
    [PLATFORM_TRAILING] = {PLATFORM "claims", MALFORMED},
    [REALM_PROFILE_FAULT] = {REALM "profile", MALFORMED},
    [REALM_CHALLENGE_32] = {REALM "challenge", MALFORMED},
    [REALM_PERSONALIZATION_63] = {REALM "personalization", MALFORMED},
    [REALM_INITIAL_33] = {REALM "initial_measurement", MALFORMED},
    [REALM_REMS_3] = {REALM "extensible_measurements", MALFORMED},
    [REALM_REMS_5] = {REALM "extensible_measurements", MALFORMED},
    [REALM_REM_31] = {REALM "extensible_measurements", MALFORMED},
    [REALM_NO_HASH] = {REALM "hash_algorithm", MALFORMED},
    [REALM_KEY_HASH_UNKNOWN] = {REALM "public_key_hash_algorithm", MALFORMED},
    [REALM_MEC_2] = {REALM "mec_policy", MALFORMED},
    [REALM_TWICE] = {REALM "claims", MALFORMED},
    [RAK_OTHER_FORM] = {REALM "public_key", MALFORMED},
    [RAK_P256] = {REALM "public_key", MALFORMED},
    [RAK_PRIVATE] = {REALM "public_key", MALFORMED},
    [RAK_COMPRESSED] = {REALM "public_key", MALFORMED},
    [RAK_OFF_CURVE] = {REALM "public_key", MALFORMED},
    [RAK_ALG] = {REALM "public_key", MALFORMED},
    [RAK_TWICE] = {REALM "public_key", MALFORMED},
    [PLATFORM_NO_ALG] = {"arm-cca.platform.alg", BH_ERR_NOT_AUTHENTIC},
    [PLATFORM_FLIP] = {"arm-cca.platform.signature", BH_ERR_NOT_AUTHENTIC},
    [REALM_NO_ALG] = {REALM "alg", BH_ERR_NOT_AUTHENTIC},
    [REALM_ALG_OUTSIDE] = {REALM "alg", BH_ERR_NOT_AUTHENTIC},
    [REALM_FLIP] = {REALM "signature", BH_ERR_NOT_AUTHENTIC},
    [REALM_R_0] = {REALM "signature", BH_ERR_NOT_AUTHENTIC},
    [REALM_S_N] = {REALM "signature", BH_ERR_NOT_AUTHENTIC},
    [REALM_OTHER_SIGNER] = {REALM "signature", BH_ERR_NOT_AUTHENTIC},
    [BINDING_OTHER_HASH] = {"arm-cca.rak_binding", BH_ERR_NOT_AUTHENTIC},
    [BINDING_PADDED] = {"arm-cca.rak_binding", BH_ERR_NOT_AUTHENTIC},
    [BINDING_OTHER_KEY] = {"arm-cca.rak_binding", BH_ERR_NOT_AUTHENTIC},
};

static EVP_PKEY *cpaks[2], *rak, *other;

static void
make_keys(void)
{
    cpaks[0] = make_key("P-256");
    cpaks[1] = make_key("P-384");
    rak = make_key("P-384");
    other = make_key("P-384");
}

static void
free_keys(void)
{
    EVP_PKEY_free(cpaks[0]);
    EVP_PKEY_free(cpaks[1]);
    EVP_PKEY_free(rak);
    EVP_PKEY_free(other);
}

/* What the parts of one token must agree on. */
struct draft {
    struct chance c;
    enum fault fault;
    enum software_fault software;
    unsigned platform_profile; /* of platform_profiles */
    unsigned realm_profile;    /* of realm_profiles; 0: none */
    unsigned hash;             /* of hashes, for the realm's key */
    struct item rak;           /* content of the realm's key claim */
};

static const char *const platform_profiles[] = {"http://arm.com/CCA-SSD/1.0.0",
    "tag:arm.com,2023:cca_platform#1.0.0", "tag:arm.com,2024:cca_platform#2.0.0"};
static const char *const realm_profiles[] = {
    NULL, "tag:arm.com,2023:realm#1.0.0", "tag:arm.com,2024:realm#2.0.0"};
static const char *const hashes[] = {"sha-256", "sha-384", "sha-512"};

static void
make_cose_key(struct draft *d, struct bh_span point)
{
    const size_t half = (point.len - 1) / 2;
    static struct map m;
    uint8_t y[66];

    memcpy(y, point.ptr + 1 + half, half);
    y[half - 1] ^= d->fault == RAK_OFF_CURVE ? 1 : 0;
    map_init(&m, &d->c);
    put_int(map_key(&m, 1), &d->c, 2);
    put_int(map_key(&m, -1), &d->c, half == 48 ? 2 : 1);
    put_bytes(map_key(&m, -2), &d->c, point.ptr + 1, half);
    if (d->fault == RAK_COMPRESSED)
        bh_writer_cbor_bool(map_key(&m, -3), true);
    else
        put_bytes(map_key(&m, -3), &d->c, y, half);
    if (d->fault == RAK_PRIVATE)
        put_random(map_key(&m, -4), &d->c, -1, half);
    if (d->fault == RAK_ALG)
        put_int(map_key(&m, 3), &d->c, BH_COSE_ES256);
    else if (chance_half(&d->c))
        put_int(map_key(&m, 3), &d->c, BH_COSE_ES384);
    if (chance_half(&d->c))
        put_random(map_key(&m, 2), &d->c, -1, 8);
    if (chance_half(&d->c))
        put_anything(map_text_key(&m, "vendor"), &d->c);
    if (d->fault == RAK_TWICE)
        put_int(map_key(&m, -1), &d->c, 2);
    map_end(&m, false, &d->rak);
}

static void
make_rak(struct draft *d)
{
    uint8_t spki[BH_SPKI_MAX];
    struct bh_span point;
    const char *name;
    size_t len;

    cr_assert_eq(
        bh_spki_encode(d->fault == RAK_P256 ? cpaks[0] : rak, spki, sizeof(spki), &len, NULL),
        BH_OK);
    cr_assert_eq(bh_spki_point(bh_span(spki, len), &name, &point), BH_OK);
    if ((d->realm_profile > 0) != (d->fault == RAK_OTHER_FORM)) {
        make_cose_key(d, point);
        return;
    }
    memcpy(d->rak.buf, point.ptr, point.len);
    d->rak.len = point.len;
}

static void
put_binding(struct bh_writer *w, struct draft *d)
{
    const unsigned hash = d->fault == BINDING_OTHER_HASH ? (d->hash + 1) % 3 : d->hash;
    uint8_t digest[64] = {0};

    if (d->fault == PLATFORM_CHALLENGE_33) {
        put_random(w, &d->c, -1, 33);
        return;
    }
    cr_assert_eq(bh_sha2(256 + 128 * hash, item_span(&d->rak), digest), BH_OK);
    digest[0] ^= d->fault == BINDING_OTHER_KEY ? 0x80 : 0;
    put_bytes(w, &d->c, digest, d->fault == BINDING_PADDED ? 64 : 32 + 16 * (size_t)hash);
}

static void
put_client(struct map *m, struct draft *d)
{
    /* RMM 2.0: 1 is the realm management's domain; nobody else may ask for such a token. */
    if (d->fault == PLATFORM_CLIENT_OTHER)
        put_int(map_key(m, 2394), &d->c, chance_half(&d->c) ? -1 : 2);
    else if (d->platform_profile == 2 && d->fault != PLATFORM_CLIENT_MISSING)
        put_int(map_key(m, 2394), &d->c, 1);
}

static void
make_platform(struct draft *d, struct item *ret_payload)
{
    static struct map m;
    struct chance *c = &d->c;

    map_init(&m, c);
    put_text(map_key(&m, 265), c,
        d->fault == PLATFORM_PROFILE  ? "tag:arm.com,2026:cca_platform#2.0.0"
        : d->fault == PLATFORM_IS_PSA ? "tag:psacertified.org,2023:psa#tfm"
                                      : platform_profiles[d->platform_profile]);
    put_binding(map_key(&m, 10), d);
    put_random(map_key(&m, 2396), c, -1, d->fault == PLATFORM_IMPLEMENTATION_33 ? 33 : 32);
    put_random(map_key(&m, 256), c, d->fault == PLATFORM_INSTANCE_TYPE ? 2 : 1,
        d->fault == PLATFORM_INSTANCE_32 ? 32 : 33);
    if (d->fault != PLATFORM_NO_CONFIG)
        put_random(map_key(&m, 2401), c, -1, chance_half(c) ? chance_of(c, 257) : 1024);
    put_int(map_key(&m, 2395), c, d->fault == PLATFORM_LIFECYCLE ? 0x30100 : any_lifecycle(c));
    put_software(map_key(&m, 2399), c, d->software);
    if (chance_half(c))
        put_text(map_key(&m, 2400), c, "whatever.com");
    if (d->fault != PLATFORM_NO_HASH)
        put_text(map_key(&m, 2402), c, chance_half(c) ? "sha-256" : "sha3-512");
    put_client(&m, d);
    if (chance_half(c)) /* manufacturing config, extension, keys of trusted boot */
        put_anything(map_key(&m, 2403 + (int64_t)chance_of(c, 4)), c);
    if (chance_half(c))
        put_anything(map_text_key(&m, "vendor"), c);
    if (d->fault == PLATFORM_TWICE)
        put_int(map_key(&m, 2395), c, 0x3000);
    map_end(&m, chance_of(c, 4) == 0, ret_payload);
    if (d->fault == PLATFORM_TRAILING)
        ret_payload->buf[ret_payload->len++] = 0;
}

static void
put_rems(struct bh_writer *w, struct draft *d)
{
    const unsigned n = d->fault == REALM_REMS_3 ? 3 : d->fault == REALM_REMS_5 ? 5 : 4;

    put_head(w, &d->c, 4, n);
    for (unsigned i = 0; i < n; i++)
        put_random(w, &d->c, -1, i == 2 && d->fault == REALM_REM_31 ? 31 : chance_hash(&d->c));
}

static void
make_realm(struct draft *d, struct item *ret_payload)
{
    static struct map m;
    struct chance *c = &d->c;

    map_init(&m, c);
    if (d->fault == REALM_PROFILE_FAULT)
        put_text(map_key(&m, 265), c, "tag:arm.com,2026:realm#2.0.0");
    else if (d->realm_profile > 0)
        put_text(map_key(&m, 265), c, realm_profiles[d->realm_profile]);
    put_random(map_key(&m, 10), c, -1, d->fault == REALM_CHALLENGE_32 ? 32 : 64);
    put_random(map_key(&m, 44235), c, -1, d->fault == REALM_PERSONALIZATION_63 ? 63 : 64);
    put_random(map_key(&m, 44238), c, -1, d->fault == REALM_INITIAL_33 ? 33 : chance_hash(c));
    put_rems(map_key(&m, 44239), d);
    if (d->fault != REALM_NO_HASH)
        put_text(map_key(&m, 44236), c, hashes[chance_of(c, 3)]);
    put_bytes(map_key(&m, 44237), c, d->rak.buf, d->rak.len);
    put_text(map_key(&m, 44240), c, d->fault == REALM_KEY_HASH_UNKNOWN ? "sha-1" : hashes[d->hash]);
    if (d->realm_profile == 2 && chance_of(c, 4) > 0)
        put_random(map_key(&m, 256), c, 1, 33);
    if (d->fault == REALM_MEC_2 || (d->realm_profile == 2 && chance_of(c, 4) > 0))
        put_int(map_key(&m, 44243), c, d->fault == REALM_MEC_2 ? 2 : (int64_t)chance_of(c, 2));
    if (chance_half(c)) /* policy of live activation; hash of the devices' token */
        put_anything(map_key(&m, chance_half(c) ? 44244 : 44257), c);
    if (chance_half(c))
        put_anything(map_text_key(&m, "vendor"), c);
    if (d->fault == REALM_TWICE)
        put_random(map_key(&m, 10), c, -1, 64);
    map_end(&m, chance_of(c, 4) == 0, ret_payload);
}

static void
put_token(struct map *m, struct draft *d, bool cmw, int64_t key, const struct item *token)
{
    struct bh_writer *w = map_key(m, key);

    if (cmw) {
        put_head(w, &d->c, 4, 2);
        put_int(w, &d->c, d->fault == RECORD_TYPE ? 262 : 263);
    }
    put_bytes(w, &d->c, token->buf, token->len);
}

static void
make_container(
    struct draft *d, const struct item *platform, const struct item *realm, struct item *ret_token)
{
    const bool cmw = d->fault == RECORD_TYPE || chance_half(&d->c);
    static struct item members;
    static struct map m;
    struct bh_writer w;
    struct bh_span s;

    map_init(&m, &d->c);
    put_token(&m, d, cmw, 44234, platform);
    if (d->fault != CONTAINER_NO_REALM)
        put_token(&m, d, cmw, 44241, realm);
    if (d->fault == CONTAINER_TWICE)
        put_token(&m, d, cmw, 44241, realm);
    if (chance_half(&d->c))
        put_anything(map_key(&m, 44250), &d->c);
    if (chance_half(&d->c))
        put_anything(map_text_key(&m, "__cmwc_t"), &d->c);
    map_end(&m, chance_of(&d->c, 4) == 0, &members);
    bh_writer_init(&w, ret_token->buf, sizeof(ret_token->buf));
    put_head(&w, &d->c, 6, d->fault == CONTAINER_TAG ? 400 : cmw ? 907 : 399);
    bh_writer_put(&w, item_span(&members));
    if (d->fault == CONTAINER_TRAILING)
        bh_writer_u8(&w, 0);
    cr_assert_eq(bh_writer_end(&w, &s), BH_OK);
    ret_token->len = s.len;
}

static void
make_token(struct draft *d, EVP_PKEY *cpak, struct item *ret_token)
{
    static struct item payload, platform, realm;
    struct cose_plan plan;

    make_rak(d);
    make_platform(d, &payload);
    cose_right(&plan, &d->c);
    plan.tagged = d->fault != TOKEN_UNTAGGED;
    plan.no_alg = d->fault == PLATFORM_NO_ALG;
    plan.flip = d->fault == PLATFORM_FLIP;
    cose_make(&plan, &d->c, cpak, item_span(&payload), &platform);
    make_realm(d, &payload);
    cose_right(&plan, &d->c);
    plan.no_alg = d->fault == REALM_NO_ALG;
    plan.alg_outside = d->fault == REALM_ALG_OUTSIDE;
    plan.flip = d->fault == REALM_FLIP;
    plan.r = d->fault == REALM_R_0 ? "0" : NULL;
    plan.s = d->fault == REALM_S_N ? "n" : NULL;
    cose_make(
        &plan, &d->c, d->fault == REALM_OTHER_SIGNER ? other : rak, item_span(&payload), &realm);
    make_container(d, &platform, &realm, ret_token);
}

static struct endorser
cca_variant(uint64_t seed, enum fault fault, enum software_fault software, struct item *ret_token)
{
    static struct draft d;

    chance_init(&d.c, seed);
    d.c.wide = chance_half(&d.c);
    d.fault = fault;
    d.software = software;
    d.platform_profile = chance_of(&d.c, 3);
    d.realm_profile = chance_of(&d.c, 3);
    d.hash = chance_of(&d.c, 3);
    if (fault == PLATFORM_CLIENT_MISSING || fault == PLATFORM_CLIENT_OTHER)
        d.platform_profile = 2;
    if (fault == REALM_MEC_2)
        d.realm_profile = 2;
    if (fault >= RAK_PRIVATE && fault <= RAK_TWICE)
        d.realm_profile = 1 + chance_of(&d.c, 2);
    if (fault == BINDING_PADDED)
        d.hash = chance_of(&d.c, 2);
    EVP_PKEY *cpak = cpaks[chance_of(&d.c, 2)];
    make_token(&d, cpak, ret_token);
    return endorser_of_key(cpak);
}

static const char *const type = "application/eat-collection";

Test(variants_cca, right_ones, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (uint64_t seed = 1; seed <= RIGHT_ONES; seed++) {
        struct endorser endorser = cca_variant(seed, RIGHT, SOFTWARE_RIGHT, &token);
        const struct ev_trust trust = trust_in(&endorser);
        char what[64];

        (void)snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
        must_hold(item_span(&token), seed % 2 == 0 ? type : NULL, &trust, what);
    }
}

Test(variants_cca, one_fault, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (unsigned fault = RIGHT + 1; fault < FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            struct endorser endorser =
                cca_variant(seed + 1000 * fault, fault, SOFTWARE_RIGHT, &token);
            const struct ev_trust trust = trust_in(&endorser);
            char what[64];

            (void)snprintf(what, sizeof(what), "fault %u, seed %llu", fault,
                (unsigned long long)(seed + 1000 * fault));
            must_refuse(
                item_span(&token), type, &trust, faults[fault].err, faults[fault].check, what);
        }
    }
}

Test(variants_cca, software_faults, .init = make_keys, .fini = free_keys)
{
    static struct item token;

    for (unsigned fault = SOFTWARE_RIGHT + 1; fault < SOFTWARE_FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            struct endorser endorser = cca_variant(seed + 1000 * fault, RIGHT, fault, &token);
            const struct ev_trust trust = trust_in(&endorser);
            char what[64];

            (void)snprintf(what, sizeof(what), "fault %u, seed %llu", fault,
                (unsigned long long)(seed + 1000 * fault));
            if (fault == SOFTWARE_INDEFINITE)
                must_hold(item_span(&token), type, &trust, what);
            else
                must_refuse(item_span(&token), type, &trust, MALFORMED, PLATFORM "software", what);
        }
    }
}

/* What is shown is whole, however long it is. */
Test(variants_cca, claims_are_whole, .init = make_keys, .fini = free_keys)
{
    static struct ev_report report;
    static struct item token;
    size_t longest = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct endorser endorser = cca_variant(seed, RIGHT, SOFTWARE_RIGHT, &token);
        const struct ev_trust trust = trust_in(&endorser);
        struct ev_evidence *ev = NULL;

        cr_assert_eq(judge(item_span(&token), type, &trust, &report, &ev), BH_OK);
        json_t *claims = ev_claims(ev);
        const char *config = json_string_value(
            json_object_get(json_object_get(claims, "cca-platform-token"), "cca-platform-config"));
        cr_assert_neq(config, NULL);
        cr_expect_eq(strspn(config, "0123456789abcdef"), strlen(config), "seed %llu: %s",
            (unsigned long long)seed, config);
        longest = strlen(config) > longest ? strlen(config) : longest;
        json_decref(claims);
        ev_evidence_free(ev);
    }
    cr_expect_eq(longest, 2048);
}
