/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arm CCA attestation tokens (draft-ffm-rats-cca-token, and RMM 1.0 before it): a platform
 * token under an endorsed key, and a realm token under a key that the platform token
 * vouches for by its challenge. Container and claim profiles vary independently.
 */
#include "arm_cca.h"

#include "core/cbor.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#define NAME "arm-cca"
#define PLATFORM NAME ".platform_token"
#define REALM NAME ".realm"
#define TOKEN_MAX 65536

#define TAG_COLLECTION 399 /* the EAT collection of RMM 1.0 and draft-00 */
#define TAG_CMW 907
#define KEY_PLATFORM 44234
#define KEY_REALM 44241
#define TYPE_EAT_CWT 263 /* CoAP content-format of application/eat+cwt */
#define KEY_PROFILE 265
#define RAK_POINT_LEN 97

static const struct ev_arm_rule platform_rules[EV_CCA_P_CLAIMS] = {
    [EV_CCA_P_PROFILE] = {KEY_PROFILE, "profile", EV_ARM_TEXT, 1, 64, false},
    [EV_CCA_P_CHALLENGE] = {10, "challenge", EV_ARM_HASH, 0, 0, false},
    [EV_CCA_P_IMPLEMENTATION] = {2396, "implementation_id", EV_ARM_BYTES, 32, 32, false},
    [EV_CCA_P_INSTANCE] = {256, "instance_id", EV_ARM_INSTANCE, 0, 0, false},
    [EV_CCA_P_CONFIG] = {2401, "config", EV_ARM_BYTES, 0, EV_CCA_CONFIG_MAX, false},
    [EV_CCA_P_LIFECYCLE] = {2395, "lifecycle", EV_ARM_INT, 0, 0x60ff, false},
    [EV_CCA_P_SOFTWARE] = {2399, "software", EV_ARM_ARRAY, 0, 0, false},
    [EV_CCA_P_VERIFICATION] = {2400, "verification_service", EV_ARM_TEXT, 0, 1024, true},
    [EV_CCA_P_HASH] = {2402, "hash_algorithm", EV_ARM_TEXT, 1, 64, false},
    /* 1: the realm management asked for the token, the only one whose challenge is a key's hash. */
    [EV_CCA_P_CLIENT] = {2394, "client_id", EV_ARM_INT, 1, 1, false},
};
/* Before the second profile there is no client id. */
#define PLATFORM_RULES_BEFORE_2 EV_CCA_P_CLIENT

static const struct ev_arm_rule realm_rules[EV_CCA_R_CLAIMS] = {
    [EV_CCA_R_PROFILE] = {KEY_PROFILE, "profile", EV_ARM_TEXT, 1, 64, true},
    [EV_CCA_R_CHALLENGE] = {10, "challenge", EV_ARM_BYTES, 64, 64, false},
    [EV_CCA_R_PERSONALIZATION] = {44235, "personalization", EV_ARM_BYTES, 64, 64, false},
    [EV_CCA_R_INITIAL] = {44238, "initial_measurement", EV_ARM_HASH, 0, 0, false},
    [EV_CCA_R_EXTENSIBLE] = {44239, "extensible_measurements", EV_ARM_ARRAY, 0, 0, false},
    [EV_CCA_R_HASH] = {44236, "hash_algorithm", EV_ARM_TEXT, 1, 64, false},
    [EV_CCA_R_KEY] = {44237, "public_key", EV_ARM_BYTES, 1, 256, false},
    [EV_CCA_R_KEY_HASH] = {44240, "public_key_hash_algorithm", EV_ARM_TEXT, 1, 64, false},
    [EV_CCA_R_INSTANCE] = {256, "instance_id", EV_ARM_BYTES, 33, 33, true},
    [EV_CCA_R_MEC] = {44243, "mec_policy", EV_ARM_INT, 0, 1, true},
};
/* Before the second profile the last two keys meant nothing. */
#define REALM_RULES_BEFORE_2 EV_CCA_R_INSTANCE

#define PLATFORM_2 "tag:arm.com,2024:cca_platform#2.0.0"
static const char *const platform_profiles[] = {
    "tag:arm.com,2023:cca_platform#1.0.0",
    "http://arm.com/CCA-SSD/1.0.0",
    PLATFORM_2,
};
#define REALM_1 "tag:arm.com,2023:realm#1.0.0"
#define REALM_2 "tag:arm.com,2024:realm#2.0.0"

/* ---- decode: containers ---- */

static enum bh_err
bad_container(struct ev_report *report, const char *found)
{
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, EV_CCA_SOURCE, NAME ".encoding",
        "tag 399 or 907 around a map with the tokens 44234 and 44241", found, NULL);
}

/* The bytes of one token: bare in tag 399, a CMW record [263, bstr] in tag 907. */
static struct bh_span
read_record(struct bh_cbor *c, bool cmw)
{
    struct bh_span token;

    if (!cmw)
        return bh_cbor_bstr(c);
    bh_cbor_array(c);
    if (bh_cbor_uint(c) != TYPE_EAT_CWT)
        bh_cbor_spoil(c, "a CMW record of another type than 263 (application/eat+cwt)");
    token = bh_cbor_bstr(c);
    bh_cbor_leave(c);
    return token;
}

static enum bh_err
read_container(struct bh_span raw, struct bh_span *ret_platform, struct bh_span *ret_realm,
    struct ev_report *report)
{
    struct bh_span platform = bh_span_none(), realm = bh_span_none();
    struct bh_cbor c;

    bh_cbor_init(&c, raw);
    const uint64_t tag = bh_cbor_tag(&c);
    if (bh_cbor_ok(&c) && tag != TAG_COLLECTION && tag != TAG_CMW)
        return bad_container(report, "another tag");
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        int64_t key = 0;

        if (bh_cbor_peek(&c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(&c);
        else
            key = bh_cbor_int(&c);
        if (key == KEY_PLATFORM)
            platform = read_record(&c, tag == TAG_CMW);
        else if (key == KEY_REALM)
            realm = read_record(&c, tag == TAG_CMW);
        else
            bh_cbor_skip(&c);
    }
    if (bh_cbor_end(&c) != BH_OK)
        return bad_container(report, bh_cbor_why(&c));
    if (platform.len == 0 || realm.len == 0)
        return bad_container(report, platform.len == 0 ? "no platform token" : "no realm token");
    *ret_platform = platform;
    *ret_realm = realm;
    return BH_OK;
}

/*
 * PARSEC's evidence: a key attestation "kat" and a CCA token "pat" whose realm challenge is the
 * SHA-512 of the former as it is encoded. For people who look at such files: no media type names
 * this form, and its challenge is never a binding.
 */
static enum bh_err
read_parsec(
    struct bh_span raw, struct bh_span *ret_kat, struct bh_span *ret_pat, struct ev_report *report)
{
    struct bh_span kat = bh_span_none(), pat = bh_span_none();
    struct bh_cbor c;

    bh_cbor_init(&c, raw);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const struct bh_span name = bh_cbor_tstr(&c);
        const struct bh_span item = bh_cbor_item(&c);

        if (bh_span_is(name, "kat"))
            kat = item;
        else if (bh_span_is(name, "pat"))
            pat = item;
    }
    if (bh_cbor_end(&c) != BH_OK || kat.len == 0 || pat.len == 0)
        return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, "PARSEC", NAME ".encoding",
            "a map of \"kat\" and \"pat\"",
            bh_cbor_why(&c) != NULL ? bh_cbor_why(&c) : "one of them is missing", NULL);
    *ret_kat = kat;
    *ret_pat = pat;
    return BH_OK;
}

static bool
is_parsec(struct bh_span raw)
{
    struct bh_span name;
    struct bh_cbor c;

    bh_cbor_init(&c, raw);
    bh_cbor_map(&c);
    if (!bh_cbor_more(&c))
        return false;
    name = bh_cbor_tstr(&c);
    return bh_span_is(name, "kat") || bh_span_is(name, "pat");
}

static enum bh_err
read_cose(struct bh_span in, const char *prefix, struct bh_cose *cose, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (bh_cose_decode(in, BH_COSE_FORM_TAGGED_SIGN1, cose, &diag) != BH_OK)
        return ev_arm_malformed(
            report, EV_CCA_SOURCE, prefix, "encoding", "a COSE_Sign1 with its tag", diag.detail);
    return BH_OK;
}

/* ---- decode: platform token ---- */

/* The profile claim, before the rules that depend on it are known. */
static bool
find_profile(struct bh_span payload, struct bh_span *ret_profile)
{
    bool found = false;
    struct bh_cbor c;

    *ret_profile = bh_span_none();
    bh_cbor_init(&c, payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        int64_t key = 0;

        if (bh_cbor_peek(&c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(&c);
        else
            key = bh_cbor_int(&c);
        if (key == KEY_PROFILE) {
            found = true;
            if (bh_cbor_peek(&c) == BH_CBOR_TSTR) {
                *ret_profile = bh_cbor_tstr(&c);
                continue;
            }
        }
        bh_cbor_skip(&c);
    }
    return found;
}

static bool
is_platform_profile(struct bh_span profile)
{
    for (size_t i = 0; i < BH_COUNT(platform_profiles); i++)
        if (bh_span_is(profile, platform_profiles[i]))
            return true;
    return false;
}

static enum bh_err
read_platform(struct ev_cca_token *t, struct ev_report *report)
{
    enum ev_arm_lifecycle state;
    struct bh_span profile;
    char found[96];
    enum bh_err e;

    const bool named = find_profile(t->platform_cose.payload, &profile);
    const bool second = bh_span_is(profile, PLATFORM_2);
    /* A claims-set that cannot be read, or has no profile, is refused below as what it is. */
    if (named && !is_platform_profile(profile))
        return ev_arm_malformed(report, EV_CCA_SOURCE, PLATFORM, "profile",
            "tag:arm.com,2023:cca_platform#1.0.0 | http://arm.com/CCA-SSD/1.0.0 | " PLATFORM_2,
            ev_arm_printable(profile, found, sizeof(found)));
    if ((e = ev_arm_claims(t->platform_cose.payload, platform_rules,
             second ? EV_CCA_P_CLAIMS : PLATFORM_RULES_BEFORE_2, PLATFORM, EV_CCA_SOURCE, report,
             t->platform)) != BH_OK)
        return e;
    if (!ev_arm_lifecycle(t->platform[EV_CCA_P_LIFECYCLE].number, &state)) {
        (void)snprintf(found, sizeof(found), "0x%04llx",
            (unsigned long long)t->platform[EV_CCA_P_LIFECYCLE].number);
        return ev_arm_malformed(
            report, EV_CCA_SOURCE, PLATFORM, "lifecycle", "a defined state", found);
    }
    return ev_arm_components(t->platform[EV_CCA_P_SOFTWARE].bytes, PLATFORM, "software",
        EV_CCA_SOURCE, report, &t->software);
}

/* ---- decode: realm token ---- */

static enum bh_err
read_extensible(struct ev_cca_token *t, struct ev_report *report)
{
    struct bh_cbor c;

    bh_cbor_init(&c, t->realm[EV_CCA_R_EXTENSIBLE].bytes);
    bh_cbor_array(&c);
    for (size_t i = 0; i < EV_CCA_REMS; i++) {
        t->extensible[i] = bh_cbor_bstr(&c);
        const size_t len = t->extensible[i].len;
        if (bh_cbor_ok(&c) && len != 32 && len != 48 && len != 64)
            bh_cbor_spoil(&c, "one that is not 32, 48 or 64 bytes long");
    }
    bh_cbor_leave(&c);
    if (bh_cbor_end(&c) != BH_OK)
        return ev_arm_malformed(report, EV_CCA_SOURCE, REALM, "extensible_measurements",
            "four measurements", bh_cbor_why(&c));
    return BH_OK;
}

/* The profile says how the key is encoded; its form is not a hint. */
static enum bh_err
read_rak(struct ev_cca_token *t, bool cose_key, struct ev_report *report)
{
    const struct bh_span in = t->realm[EV_CCA_R_KEY].bytes;
    const char *expected =
        cose_key ? "a COSE_Key of type EC2 on P-384" : "an uncompressed point on P-384";
    struct bh_diag diag = {0};
    enum bh_err e;

    if (cose_key)
        e = bh_cose_key_decode(in, &t->rak, &diag);
    else if (in.len != RAK_POINT_LEN)
        e = bh_fail(&diag, BH_ERR_MALFORMED, "%zu bytes", in.len);
    else
        e = bh_ec_point_decode(in, &t->rak, &diag);
    if (e == BH_OK && strcmp(bh_key_name(t->rak), "P-384") != 0)
        e = bh_fail(&diag, BH_ERR_MALFORMED, "a %s key", bh_key_name(t->rak));
    if (e != BH_OK)
        return ev_arm_malformed(report, EV_CCA_SOURCE, REALM, "public_key", expected, diag.detail);
    return BH_OK;
}

static enum bh_err
read_rak_hash(struct ev_cca_token *t, struct ev_report *report)
{
    static const struct {
        const char *name;
        unsigned bits;
    } hashes[] = {{"sha-256", 256}, {"sha-384", 384}, {"sha-512", 512}};
    const struct bh_span name = t->realm[EV_CCA_R_KEY_HASH].bytes;
    char found[72];

    for (size_t i = 0; i < BH_COUNT(hashes); i++)
        if (bh_span_is(name, hashes[i].name)) {
            t->rak_hash_bits = hashes[i].bits;
            return BH_OK;
        }
    return ev_arm_malformed(report, EV_CCA_SOURCE, REALM, "public_key_hash_algorithm",
        "sha-256 | sha-384 | sha-512", ev_arm_printable(name, found, sizeof(found)));
}

static enum bh_err
read_realm(struct ev_cca_token *t, struct ev_report *report)
{
    struct bh_span profile;
    char found[96];
    enum bh_err e;

    const bool named = find_profile(t->realm_cose.payload, &profile);
    const bool second = named && bh_span_is(profile, REALM_2);
    if (named && !second && !bh_span_is(profile, REALM_1))
        return ev_arm_malformed(report, EV_CCA_SOURCE, REALM, "profile",
            REALM_1 " | " REALM_2 " | none", ev_arm_printable(profile, found, sizeof(found)));
    if ((e = ev_arm_claims(t->realm_cose.payload, realm_rules,
             second ? EV_CCA_R_CLAIMS : REALM_RULES_BEFORE_2, REALM, EV_CCA_SOURCE, report,
             t->realm)) != BH_OK ||
        (e = read_extensible(t, report)) != BH_OK || (e = read_rak_hash(t, report)) != BH_OK)
        return e;
    return read_rak(t, named, report);
}

/* ---- decode ---- */

static void
cca_free(void *state)
{
    struct ev_cca_token *t = state;

    if (t == NULL)
        return;
    EVP_PKEY_free(t->rak);
    free(t);
}

static enum bh_err
read_token(struct bh_span raw, bool may_be_parsec, struct ev_cca_token *t, struct ev_report *report)
{
    struct bh_span platform, realm = bh_span_none();
    struct bh_cbor c;
    enum bh_err e;

    if (may_be_parsec && is_parsec(raw) &&
        (e = read_parsec(raw, &t->key_attestation, &raw, report)) != BH_OK)
        return e;
    platform = raw;
    bh_cbor_init(&c, raw);
    t->lone_platform = bh_cbor_peek(&c) == BH_CBOR_TAG && bh_cbor_tag(&c) == BH_COSE_SIGN1;
    if (!t->lone_platform && (e = read_container(raw, &platform, &realm, report)) != BH_OK)
        return e;
    if ((e = read_cose(platform, PLATFORM, &t->platform_cose, report)) != BH_OK ||
        (e = read_platform(t, report)) != BH_OK || t->lone_platform)
        return e;
    if ((e = read_cose(realm, REALM, &t->realm_cose, report)) != BH_OK)
        return e;
    return read_realm(t, report);
}

static enum bh_err
cca_decode(struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state)
{
    struct ev_cca_token *t;
    enum bh_err e;

    /* The type may have any profile parameter: the tokens inside say theirs themselves. */
    if (raw.len > TOKEN_MAX)
        return bad_container(report, "more than 65536 bytes");
    if ((t = calloc(1, sizeof(*t))) == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", NAME ".memory", "memory", "none", NULL);
    if ((e = read_token(raw, media_type == NULL, t, report)) != BH_OK) {
        cca_free(t);
        return e;
    }
    ev_pass(report, EV_CCA_SOURCE, NAME ".encoding", "a CCA token of known profiles",
        t->lone_platform ? "a platform token alone" : "a platform and a realm token");
    *ret_state = t;
    return BH_OK;
}

static bool
cca_takes(const char *media_type)
{
    return ev_media_type_is(media_type, "application/eat-collection");
}

static bool
cca_recognises(struct bh_span raw)
{
    struct bh_span profile;
    struct bh_cose cose;
    struct bh_cbor c;

    bh_cbor_init(&c, raw);
    if (bh_cbor_peek(&c) != BH_CBOR_TAG)
        return is_parsec(raw);
    const uint64_t tag = bh_cbor_tag(&c);
    if (tag == TAG_COLLECTION || tag == TAG_CMW)
        return bh_cbor_ok(&c);
    if (bh_cose_decode(raw, BH_COSE_FORM_TAGGED_SIGN1, &cose, NULL) != BH_OK ||
        !find_profile(cose.payload, &profile))
        return false;
    return is_platform_profile(profile);
}

/* ---- bind ---- */

static enum bh_err
cca_bind(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_cca_token *t = state;
    char expected[2 * BH_BINDING_LEN + 1], found[2 * BH_BINDING_LEN + 1];
    const struct bh_span challenge = t->realm[EV_CCA_R_CHALLENGE].bytes;

    (void)spki; /* the token's key is the realm's attestation key, not the one to be certified */
    (void)bh_hex(bh_span(binding, BH_BINDING_LEN), expected, sizeof(expected));
    (void)bh_hex(challenge, found, sizeof(found));
    if (t->lone_platform)
        return ev_refuse(report, BH_ERR_BINDING, "challenge", NAME ".binding", expected,
            "no realm token", "the platform token's challenge belongs to the realm's key");
    if (!bh_span_equal(challenge, bh_span(binding, BH_BINDING_LEN)))
        return ev_refuse(report, BH_ERR_BINDING, "challenge", NAME ".binding", expected, found,
            "the token must be made over the binding of this challenge, key and context");
    ev_pass(report, "challenge", NAME ".binding", expected, found);
    return BH_OK;
}

/* ---- authenticate ---- */

/* By @p key, or where that is NULL by @p spki. */
static enum bh_err
verify_token(const struct bh_cose *cose, EVP_PKEY *key, struct bh_span spki, const char *prefix,
    const char *expected, struct ev_report *report)
{
    char check[BH_CHECK_MAX];
    struct bh_diag diag = {0};
    enum bh_err e;

    if (cose->alg == 0) {
        (void)snprintf(check, sizeof(check), "%s.alg", prefix);
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, EV_CCA_SOURCE, check,
            "alg in the protected header", "none",
            "an algorithm that is not signed, or assumed, proves nothing");
    }
    (void)snprintf(check, sizeof(check), "%s.signature", prefix);
    e = key != NULL ? bh_cose_verify(cose, key, &diag) : bh_cose_verify_spki(cose, spki, &diag);
    if (e != BH_OK)
        return ev_refuse(
            report, BH_ERR_NOT_AUTHENTIC, "signature", check, expected, diag.detail, NULL);
    ev_pass(report, "signature", check, expected, "it verifies");
    return BH_OK;
}

static enum bh_err
verify_platform(const struct ev_cca_token *t, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth)
{
    struct ev_endorsement endorsement = {0};
    enum bh_err e;

    if ((e = ev_arm_endorsement(trust, NAME, t->platform[EV_CCA_P_IMPLEMENTATION].bytes,
             t->platform[EV_CCA_P_INSTANCE].bytes, NAME ".instance", PLATFORM ".implementation_id",
             report, &endorsement)) != BH_OK)
        return e;
    if (endorsement.symmetric)
        e = ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", NAME ".platform.signature",
            "an endorsed public key", "an endorsed symmetric key",
            "endorse the platform's public key (CPAK)");
    else
        e = verify_token(&t->platform_cose, NULL, bh_span(endorsement.key, endorsement.key_len),
            NAME ".platform", "a signature by the endorsed key", report);
    ret_auth->simulated = endorsement.simulated;
    ret_auth->key_class = endorsement.key_class;
    OPENSSL_cleanse(&endorsement, sizeof(endorsement));
    return e;
}

/* Only this makes the realm's key more than anybody's: its hash is what the platform signed. */
static enum bh_err
check_rak_binding(const struct ev_cca_token *t, struct ev_report *report)
{
    char expected[2 * 64 + 1], found[2 * 64 + 1];
    uint8_t digest[64];

    if (bh_sha2(t->rak_hash_bits, t->realm[EV_CCA_R_KEY].bytes, digest) != BH_OK)
        return ev_refuse(
            report, BH_ERR_INTERNAL, "signature", NAME ".rak_binding", "a digest", "none", NULL);
    const struct bh_span hash = bh_span(digest, t->rak_hash_bits / 8);
    const struct bh_span challenge = t->platform[EV_CCA_P_CHALLENGE].bytes;
    (void)bh_hex(hash, expected, sizeof(expected));
    (void)bh_hex(challenge, found, sizeof(found));
    if (!bh_span_equal(hash, challenge))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", NAME ".rak_binding", expected,
            found, "the realm's key is not the one that the platform vouches for");
    ev_pass(report, "signature", NAME ".rak_binding", expected, found);
    return BH_OK;
}

static enum bh_err
check_key_attestation(const struct ev_cca_token *t, struct ev_report *report)
{
    char expected[2 * 64 + 1], found[2 * 64 + 1];
    const struct bh_span challenge = t->realm[EV_CCA_R_CHALLENGE].bytes;
    uint8_t digest[64];

    if (bh_sha2(512, t->key_attestation, digest) != BH_OK)
        return ev_refuse(
            report, BH_ERR_INTERNAL, "PARSEC", NAME ".key_attestation", "a digest", "none", NULL);
    (void)bh_hex(bh_span(digest, sizeof(digest)), expected, sizeof(expected));
    (void)bh_hex(challenge, found, sizeof(found));
    if (!bh_span_equal(challenge, bh_span(digest, sizeof(digest))))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "PARSEC", NAME ".key_attestation", expected,
            found, "the token was made over another key attestation");
    ev_pass(report, "PARSEC", NAME ".key_attestation", expected, found);
    return BH_OK;
}

static enum bh_err
cca_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    const struct ev_cca_token *t = state;
    struct ev_authenticity auth = {0};
    enum bh_err first, e;

    first = verify_platform(t, trust, report, &auth);
    /* What follows reads nothing that the platform's signature protects but digests: a whole report
     * is worth more than an early end. */
    if (!t->lone_platform) {
        e = verify_token(&t->realm_cose, t->rak, bh_span_none(), NAME ".realm",
            "a signature by the realm's key", report);
        first = first != BH_OK ? first : e;
        e = check_rak_binding(t, report);
        first = first != BH_OK ? first : e;
    }
    if (t->key_attestation.len > 0) {
        e = t->lone_platform ? ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "PARSEC",
                                   NAME ".key_attestation", "a realm token", "none", NULL)
                             : check_key_attestation(t, report);
        first = first != BH_OK ? first : e;
    }
    if (first == BH_OK)
        *ret_auth = auth;
    return first;
}

const struct ev_platform ev_arm_cca = {
    .name = NAME,
    .takes = cca_takes,
    .recognises = cca_recognises,
    .decode = cca_decode,
    .free = cca_free,
    .bind = cca_bind,
    .authenticate = cca_authenticate,
    .entry_parse = ev_cca_entry_parse,
    .entry_free = ev_cca_entry_free,
    .appraise = ev_cca_appraise,
    .claims = ev_cca_claims,
};
