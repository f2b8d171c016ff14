/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSA attestation tokens: RFC 9783 (tag:psacertified.org,2023:psa#tfm), the profile before
 * it (http://arm.com/psa/2.0.0) and PSA_IOT_PROFILE_1. The profile is decided once and
 * decides which claims there are; a mix of claims of two profiles is refused.
 */
#include "psa.h"

#include "core/cbor.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#define PREFIX "psa"
#define TOKEN_MAX 16384

#define P1_FIRST (-75010)
#define P1_LAST (-75000)
#define P1_PROFILE (-75000)
#define P2_PROFILE 265

static const struct ev_arm_rule rules_p1[] = {
    [EV_PSA_NONCE] = {-75008, "nonce", EV_ARM_HASH, 0, 0, false},
    [EV_PSA_INSTANCE] = {-75009, "instance_id", EV_ARM_INSTANCE, 0, 0, false},
    [EV_PSA_PROFILE] = {P1_PROFILE, "profile", EV_ARM_TEXT, 1, 64, true},
    [EV_PSA_CLIENT] = {-75001, "client_id", EV_ARM_INT, INT32_MIN, INT32_MAX, false},
    [EV_PSA_LIFECYCLE] = {-75002, "lifecycle", EV_ARM_INT, 0, 0x60ff, false},
    [EV_PSA_IMPLEMENTATION] = {-75003, "implementation_id", EV_ARM_BYTES, 32, 32, false},
    [EV_PSA_BOOT_SEED] = {-75004, "boot_seed", EV_ARM_BYTES, 32, 32, false},
    [EV_PSA_CERTIFICATION] = {-75005, "certification_reference", EV_ARM_TEXT, 0, 256, true},
    [EV_PSA_SOFTWARE] = {-75006, "software", EV_ARM_ARRAY, 0, 0, true},
    [EV_PSA_VERIFICATION] = {-75010, "verification_service", EV_ARM_TEXT, 0, 1024, true},
    [EV_PSA_NO_SOFTWARE] = {-75007, "software", EV_ARM_INT, 1, 1, true},
};

/* The two others differ in the key of the boot seed. */
#define RULES_P2(boot_seed)                                                                        \
    {                                                                                              \
        [EV_PSA_NONCE] = {10, "nonce", EV_ARM_HASH, 0, 0, false},                                  \
        [EV_PSA_INSTANCE] = {256, "instance_id", EV_ARM_INSTANCE, 0, 0, false},                    \
        [EV_PSA_PROFILE] = {P2_PROFILE, "profile", EV_ARM_TEXT, 1, 64, false},                     \
        [EV_PSA_CLIENT] = {2394, "client_id", EV_ARM_INT, INT32_MIN, INT32_MAX, false},            \
        [EV_PSA_LIFECYCLE] = {2395, "lifecycle", EV_ARM_INT, 0, 0x60ff, false},                    \
        [EV_PSA_IMPLEMENTATION] = {2396, "implementation_id", EV_ARM_BYTES, 32, 32, false},        \
        [EV_PSA_BOOT_SEED] = {boot_seed, "boot_seed", EV_ARM_BYTES, 8, 32, true},                  \
        [EV_PSA_CERTIFICATION] = {2398, "certification_reference", EV_ARM_TEXT, 0, 256, true},     \
        [EV_PSA_SOFTWARE] = {2399, "software", EV_ARM_ARRAY, 0, 0, false},                         \
        [EV_PSA_VERIFICATION] = {2400, "verification_service", EV_ARM_TEXT, 0, 1024, true},        \
    }
static const struct ev_arm_rule rules_pre_rfc[] = RULES_P2(2397);
static const struct ev_arm_rule rules_rfc[] = RULES_P2(268);

/* CoAP content-formats (RFC 9783, IANA considerations): in a CMW they may stand for the type. */
static const struct {
    const char *number, *profile;
} content_formats[] = {
    {"10003", "tag:psacertified.org,2023:psa#tfm"},
    {"10004", "PSA_IOT_PROFILE_1"},
};
/* The name of the first profile in media types, which take no name that is not a URI. */
#define LEGACY "tag:psacertified.org,2019:psa#legacy"

static const struct ev_psa_profile profiles[] = {
    {"PSA_IOT_PROFILE_1", rules_p1, BH_COUNT(rules_p1), true},
    {"http://arm.com/psa/2.0.0", rules_pre_rfc, BH_COUNT(rules_pre_rfc), false},
    {"tag:psacertified.org,2023:psa#tfm", rules_rfc, BH_COUNT(rules_rfc), false},
};
#define PROFILE_NAMES                                                                              \
    "PSA_IOT_PROFILE_1 | http://arm.com/psa/2.0.0 | tag:psacertified.org,2023:psa#tfm"

/* ---- decode ---- */

/* What decides the profile: its claim, and which families of claim keys there are. */
struct survey {
    bool p1, p2;
    bool named; /* a profile claim is there */
    bool text;  /* and is text */
    struct bh_span name;
};

static bool
is_p1_key(int64_t key)
{
    return key >= P1_FIRST && key <= P1_LAST;
}

static bool
is_p2_key(int64_t key)
{
    return key == 10 || key == 256 || key == P2_PROFILE || key == 268 ||
           (key >= 2394 && key <= 2400);
}

static enum bh_err
survey_claims(struct bh_span payload, struct survey *ret_survey, struct ev_report *report)
{
    struct survey s = {0};
    struct bh_cbor c;

    bh_cbor_init(&c, payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        int64_t key = 0;

        if (bh_cbor_peek(&c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(&c);
        else
            key = bh_cbor_int(&c);
        s.p1 |= is_p1_key(key);
        s.p2 |= is_p2_key(key);
        if (key != P1_PROFILE && key != P2_PROFILE) {
            bh_cbor_skip(&c);
            continue;
        }
        s.named = true;
        if ((s.text = bh_cbor_peek(&c) == BH_CBOR_TSTR))
            s.name = bh_cbor_tstr(&c);
        else
            bh_cbor_skip(&c);
    }
    if (bh_cbor_end(&c) != BH_OK)
        return ev_arm_malformed(
            report, EV_PSA_SOURCE, PREFIX, "claims", "a map of claims", bh_cbor_why(&c));
    *ret_survey = s;
    return BH_OK;
}

static enum bh_err
bad_profile(struct ev_report *report, const char *found)
{
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, EV_PSA_SOURCE, PREFIX ".profile",
        PROFILE_NAMES, found,
        "the token's maker must declare one of these profiles and use its claims only");
}

static const char *
content_format_profile(const char *media_type)
{
    for (size_t i = 0; i < BH_COUNT(content_formats); i++)
        if (strcmp(media_type, content_formats[i].number) == 0)
            return content_formats[i].profile;
    return NULL;
}

/* The profile that a media type or content-format names. */
static bool
declared_profile(const char *media_type, char *out, size_t size)
{
    const char *name = content_format_profile(media_type);

    if (name == NULL && !ev_media_type_profile(media_type, out, size))
        return false;
    if (name == NULL && strcmp(out, LEGACY) == 0)
        name = "PSA_IOT_PROFILE_1";
    if (name != NULL)
        (void)snprintf(out, size, "%s", name);
    return true;
}

static enum bh_err
decide_profile(struct bh_span payload, const char *media_type,
    const struct ev_psa_profile **ret_profile, struct ev_report *report)
{
    const struct ev_psa_profile *profile = NULL;
    char found[96], declared[96];
    struct survey s = {0};
    enum bh_err e;

    if ((e = survey_claims(payload, &s, report)) != BH_OK)
        return e;
    if (s.p1 && s.p2)
        return bad_profile(report, "claims of PSA_IOT_PROFILE_1 mixed with those of another");
    if (s.named && !s.text)
        return bad_profile(report, "a profile claim that is no text");
    if (!s.named && !s.p1)
        return bad_profile(report, s.p2 ? "no profile claim" : "no claim of any profile");
    for (size_t i = 0; i < BH_COUNT(profiles) && profile == NULL; i++)
        if (profiles[i].p1 == s.p1 && (!s.named || bh_span_is(s.name, profiles[i].name)))
            profile = &profiles[i];
    if (profile == NULL)
        return bad_profile(report, ev_arm_printable(s.name, found, sizeof(found)));
    if (media_type != NULL && declared_profile(media_type, declared, sizeof(declared)) &&
        strcmp(declared, profile->name) != 0)
        return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, EV_PSA_SOURCE, PREFIX ".profile",
            declared, profile->name, "media type and token declare different profiles");
    *ret_profile = profile;
    return BH_OK;
}

static enum bh_err
read_software(struct ev_psa_token *t, struct ev_report *report)
{
    const bool some = t->claims[EV_PSA_SOFTWARE].present;
    const bool none = t->claims[EV_PSA_NO_SOFTWARE].present;

    if (some == none)
        return ev_arm_malformed(report, EV_PSA_SOURCE, PREFIX, "software",
            "software components or the no-measurements claim", some ? "both" : "neither");
    if (none)
        return BH_OK;
    return ev_arm_components(
        t->claims[EV_PSA_SOFTWARE].bytes, PREFIX, "software", EV_PSA_SOURCE, report, &t->software);
}

static enum bh_err
read_claims(struct ev_psa_token *t, const char *media_type, struct ev_report *report)
{
    enum ev_arm_lifecycle state;
    char found[24];
    enum bh_err e;

    if ((e = decide_profile(t->cose.payload, media_type, &t->profile, report)) != BH_OK)
        return e;
    /* 5.1: definite lengths only. Profile 1 does not say. */
    if (!t->profile->p1 && !bh_cbor_is_definite(t->cose.payload))
        return ev_arm_malformed(report, EV_PSA_SOURCE, PREFIX, "claims",
            "maps and arrays of definite length", "one of indefinite length");
    if ((e = ev_arm_claims(t->cose.payload, t->profile->rules, t->profile->rules_len, PREFIX,
             EV_PSA_SOURCE, report, t->claims)) != BH_OK)
        return e;
    if (t->claims[EV_PSA_CLIENT].number == 0)
        return ev_arm_malformed(
            report, EV_PSA_SOURCE, PREFIX, "client_id", "a number other than 0", "0");
    if (!ev_arm_lifecycle(t->claims[EV_PSA_LIFECYCLE].number, &state)) {
        (void)snprintf(found, sizeof(found), "0x%04llx",
            (unsigned long long)t->claims[EV_PSA_LIFECYCLE].number);
        return ev_arm_malformed(
            report, EV_PSA_SOURCE, PREFIX, "lifecycle", "a state of section 4.3.1", found);
    }
    return read_software(t, report);
}

static enum bh_err
psa_decode(struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state)
{
    struct bh_diag diag = {0};
    struct ev_psa_token *t;
    enum bh_err e;

    if (raw.len > TOKEN_MAX)
        return ev_arm_malformed(
            report, EV_PSA_SOURCE, PREFIX, "encoding", "at most 16384 bytes", "a larger token");
    if ((t = calloc(1, sizeof(*t))) == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", PREFIX ".memory", "memory", "none", NULL);
    if (bh_cose_decode(
            raw, BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_TAGGED_MAC0, &t->cose, &diag) != BH_OK)
        e = ev_arm_malformed(report, EV_PSA_SOURCE, PREFIX, "encoding",
            "a COSE_Sign1 or COSE_Mac0 with its tag", diag.detail);
    else
        e = read_claims(t, media_type, report);
    if (e != BH_OK) {
        free(t);
        return e;
    }
    ev_pass(report, EV_PSA_SOURCE, PREFIX ".profile", PROFILE_NAMES, t->profile->name);
    *ret_state = t;
    return BH_OK;
}

static void
psa_free(void *state)
{
    free(state);
}

static bool
psa_takes(const char *media_type)
{
    char profile[96];

    if (ev_media_type_is(media_type, "application/psa-attestation-token") ||
        content_format_profile(media_type) != NULL)
        return true;
    if (!ev_media_type_is(media_type, "application/eat+cwt") ||
        !declared_profile(media_type, profile, sizeof(profile)))
        return false;
    for (size_t i = 0; i < BH_COUNT(profiles); i++)
        if (strcmp(profile, profiles[i].name) == 0)
            return true;
    return false;
}

/* Other tokens are COSE messages with tags too: this one has claims that only PSA has, or a map
 * that no one else's reader knows. CCA platform tokens share the keys from 2394 on and are told by
 * their profile. */
static bool
psa_recognises(struct bh_span raw)
{
    struct bh_cose cose;
    struct bh_cbor c;
    bool psa = false;

    if (bh_cose_decode(raw, BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_TAGGED_MAC0, &cose, NULL) !=
        BH_OK)
        return false;
    bh_cbor_init(&c, cose.payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        int64_t key = 0;

        if (bh_cbor_peek(&c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(&c);
        else
            key = bh_cbor_int(&c);
        psa |= is_p1_key(key) || (key >= 2394 && key <= 2400);
        bh_cbor_skip(&c);
    }
    return psa;
}

/* ---- bind and authenticate ---- */

static enum bh_err
psa_bind(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_psa_token *t = state;
    char expected[2 * BH_BINDING_LEN + 1], found[2 * BH_BINDING_LEN + 1];
    const struct bh_span nonce = t->claims[EV_PSA_NONCE].bytes;

    (void)spki; /* a PSA token carries no key */
    (void)bh_hex(bh_span(binding, BH_BINDING_LEN), expected, sizeof(expected));
    (void)bh_hex(nonce, found, sizeof(found));
    if (!bh_span_equal(nonce, bh_span(binding, BH_BINDING_LEN)))
        return ev_refuse(report, BH_ERR_BINDING, "challenge", PREFIX ".binding", expected, found,
            "the token must be made over the binding of this challenge, key and context");
    ev_pass(report, "challenge", PREFIX ".binding", expected, found);
    return BH_OK;
}

static enum bh_err
verify_signature(const struct ev_psa_token *t, const struct ev_endorsement *e, struct bh_diag *diag)
{
    const struct bh_span bytes = bh_span(e->key, e->key_len);

    /* The endorsement says what kind of key it is; a token must not choose. */
    if (e->symmetric)
        return bh_cose_verify_mac(&t->cose, bytes, diag);
    return bh_cose_verify_spki(&t->cose, bytes, diag);
}

static enum bh_err
psa_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    const struct ev_psa_token *t = state;
    struct ev_endorsement endorsement = {0};
    struct bh_diag diag = {0};
    enum bh_err e;

    if (t->cose.alg == 0)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, EV_PSA_SOURCE, PREFIX ".alg",
            "alg in the protected header", "none",
            "an algorithm that is not signed, or assumed, proves nothing");
    if ((e = ev_arm_endorsement(trust, PREFIX, t->claims[EV_PSA_IMPLEMENTATION].bytes,
             t->claims[EV_PSA_INSTANCE].bytes, PREFIX ".instance", PREFIX ".implementation_id",
             report, &endorsement)) != BH_OK)
        return e;
    e = verify_signature(t, &endorsement, &diag);
    const struct ev_authenticity auth = {
        .simulated = endorsement.simulated,
        .key_class = endorsement.key_class,
    };
    const bool symmetric = endorsement.symmetric;
    OPENSSL_cleanse(&endorsement, sizeof(endorsement));
    const char *expected = symmetric ? "a COSE_Mac0 by the endorsed symmetric key"
                                     : "a COSE_Sign1 by the endorsed key";
    if (e != BH_OK)
        return ev_refuse(report,
            e == BH_ERR_NOMEM || e == BH_ERR_INTERNAL ? e : BH_ERR_NOT_AUTHENTIC, "signature",
            PREFIX ".signature", expected, diag.detail, NULL);
    ev_pass(report, "signature", PREFIX ".signature", expected, "it verifies");
    *ret_auth = auth;
    return BH_OK;
}

/* ---- claims ---- */

static json_t *
value_json(enum ev_arm_type type, const struct ev_arm_value *v)
{
    char hex[2 * 64 + 1];

    switch (type) {
    case EV_ARM_TEXT:
        return json_stringn((const char *)v->bytes.ptr, v->bytes.len);
    case EV_ARM_INT:
        return json_integer(v->number);
    default:
        return json_string(bh_hex(v->bytes, hex, sizeof(hex)));
    }
}

static json_t *
psa_claims(const void *state)
{
    static const char *const names[EV_PSA_CLAIMS] = {"psa-nonce", "psa-instance-id", "psa-profile",
        "psa-client-id", "psa-lifecycle", "psa-implementation-id", "psa-boot-seed",
        "psa-certification-reference", "psa-software-components",
        "psa-verification-service-indicator", "psa-no-sw-measurement"};
    const struct ev_psa_token *t = state;
    enum ev_arm_lifecycle life = EV_ARM_UNKNOWN;
    json_t *o = json_object();

    for (size_t i = 0; i < t->profile->rules_len; i++)
        if (t->claims[i].present && i != EV_PSA_SOFTWARE)
            (void)json_object_set_new(
                o, names[i], value_json(t->profile->rules[i].type, &t->claims[i]));
    if (t->software.len > 0)
        (void)json_object_set_new(o, names[EV_PSA_SOFTWARE], ev_arm_components_json(&t->software));
    if (!t->claims[EV_PSA_PROFILE].present)
        (void)json_object_set_new(o, names[EV_PSA_PROFILE], json_string(t->profile->name));
    (void)ev_arm_lifecycle(t->claims[EV_PSA_LIFECYCLE].number, &life);
    (void)json_object_set_new(
        o, "psa-lifecycle-state", json_string(ev_arm_lifecycle_name(life, false)));
    return o;
}

const struct ev_platform ev_psa = {
    .name = PREFIX,
    .takes = psa_takes,
    .recognises = psa_recognises,
    .decode = psa_decode,
    .free = psa_free,
    .bind = psa_bind,
    .authenticate = psa_authenticate,
    .entry_parse = ev_psa_entry_parse,
    .entry_free = ev_psa_entry_free,
    .appraise = ev_psa_appraise,
    .claims = psa_claims,
};
