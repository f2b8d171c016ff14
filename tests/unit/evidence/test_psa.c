/* SPDX-License-Identifier: Apache-2.0 */
/* PSA tokens made here: what must be refused, by error and check name, and what must hold. */
#include "arm_tokens.h"

#include "core/x509.h"

#include <criterion/criterion.h>

#define TYPE "application/psa-attestation-token"
#define RFC_TYPE "application/eat+cwt; eat_profile=\"tag:psacertified.org,2023:psa#tfm\""
#define X32(byte)                                                                                  \
    byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte \
        byte byte byte byte byte byte byte byte byte byte byte byte byte
#define IMPLEMENTATION "\"implementation_id\":[\"" X32("11") "\"]"
#define C0 "{\"type\":\"C0\",\"measurement\":[\"" X32("30") "\"],\"signer\":[\"" X32("44") "\"]}"
#define C1 "{\"type\":\"C1\",\"measurement\":[\"" X32("31") "\"],\"signer\":[\"" X32("44") "\"]}"
#define C2 "{\"type\":\"C2\",\"measurement\":[\"" X32("32") "\"],\"signer\":[\"" X32("44") "\"]}"
#define ENTRY(key_class, lifecycle, software)                                                      \
    "{\"platform\":\"psa\",\"key_class\":[\"" key_class "\"]," IMPLEMENTATION                      \
    ",\"lifecycle\":[\"" lifecycle "\"],\"software\":" software "}"
#define GOOD ENTRY("silicon", "secured", "[" C0 "," C1 "]")

static EVP_PKEY *device;
static struct endorser endorser;
static struct ev_trust trust;

static void
setup(void)
{
    device = make_key("P-256");
    endorser = endorser_of_key(device);
    trust = trust_in(&endorser);
}

static void
teardown(void)
{
    EVP_PKEY_free(device);
}

TestSuite(psa, .init = setup, .fini = teardown);

static struct bytes
token_of(const struct psa_shape *shape)
{
    const struct bytes payload = psa_payload(shape);

    return sign(span_of(&payload), device);
}

static void
shape_refused(const struct psa_shape *shape, const char *check)
{
    const struct bytes token = token_of(shape);

    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, check, check);
}

Test(psa, every_profile_holds)
{
    struct psa_shape s = psa_shape();

    for (s.family = 0; s.family < 3; s.family++) {
        const struct bytes token = token_of(&s);
        must_hold(span_of(&token), TYPE, &trust, "a good token");
        must_hold(span_of(&token), NULL, &trust, "a good token by its form");
    }
    s.family = 0;
    s.profile = "";
    const struct bytes unnamed = token_of(&s);
    must_hold(span_of(&unnamed), TYPE, &trust, "profile 1 without a profile claim");
    s.components = 0;
    const struct bytes none = token_of(&s);
    must_hold(span_of(&none), TYPE, &trust, "the no-measurements claim");
}

Test(psa, media_types)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    must_hold(span_of(&token), RFC_TYPE, &trust, "eat+cwt with its profile");
    must_hold(span_of(&token), "Application/PSA-Attestation-Token", &trust, "another case");
    must_refuse(span_of(&token), "application/eat+cwt; eat_profile=\"http://arm.com/psa/2.0.0\"",
        &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile", "media type of another profile");
    must_refuse(span_of(&token), "application/eat+cwt", &trust, BH_ERR_UNSUPPORTED, "evidence.type",
        "eat+cwt without a profile");
    must_refuse(span_of(&token), "application/eat+cwt; eat_profile=\"http://example.com\"", &trust,
        BH_ERR_UNSUPPORTED, "evidence.type", "eat+cwt of somebody else's profile");
    must_refuse(span_of(&token), "application/psa-attestation-tokens", &trust, BH_ERR_UNSUPPORTED,
        "evidence.type", "a longer type");
}

/* What IANA registered for RFC 9783: the first profile has another name there than in its tokens,
 * and both have a CoAP content-format, by which a CMW may name its type too. */
Test(psa, registered_media_types)
{
    static const char legacy[] =
        "application/eat+cwt; eat_profile=\"tag:psacertified.org,2019:psa#legacy\"";
    struct psa_shape s = psa_shape();
    const struct bytes rfc = token_of(&s);
    s.family = 0;
    const struct bytes first = token_of(&s);

    must_hold(span_of(&rfc), "10003", &trust, "the RFC's profile by its number");
    must_hold(span_of(&first), legacy, &trust, "the first profile by its registered name");
    must_hold(span_of(&first), "10004", &trust, "the first profile by its number");
    must_refuse(span_of(&rfc), legacy, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile",
        "the RFC's profile as the first");
    must_refuse(span_of(&rfc), "10004", &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile",
        "the RFC's profile as the first, by number");
    must_refuse(span_of(&first), "10003", &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.profile",
        "the first profile as the RFC's, by number");
    must_refuse(span_of(&rfc), "10005", &trust, BH_ERR_UNSUPPORTED, "evidence.type",
        "a number of somebody else's");
}

Test(psa, unknown_instance)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    endorser.unknown = true;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_ENDORSEMENT_UNKNOWN, "psa.instance",
        "an instance that nobody endorsed");
    trust.lookup = NULL;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_ENDORSEMENT_UNKNOWN, "psa.instance",
        "no endorsements at all");
}

static enum bh_err
exact_lookup(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    uint8_t instance[33], expected[32];

    (void)diag;
    memset(instance, 0x22, sizeof(instance));
    instance[0] = 0x01;
    ev_endorsement_key("psa", bh_span_none(), bh_span(instance, sizeof(instance)), expected);
    cr_expect_str_eq(platform, "psa");
    cr_expect_arr_eq(key, expected, 32, "the key of the lookup is not that of the instance");
    *ret_e = ((struct endorser *)arg)->endorsement;
    return BH_OK;
}

Test(psa, looks_up_by_instance)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    trust.lookup = exact_lookup;
    must_hold(span_of(&token), TYPE, &trust, "found by the instance id");
}

Test(psa, profiles_refused)
{
    struct psa_shape s = psa_shape();

    s.profile = "http://example.com";
    shape_refused(&s, "psa.profile");
    s.family = 0;
    shape_refused(&s, "psa.profile");
    s.profile = "PSA_IoT_PROFILE_1";
    shape_refused(&s, "psa.profile");
    s.profile = "tag:psacertified.org,2023:psa#tfm";
    shape_refused(&s, "psa.profile");
    s = psa_shape();
    s.profile = "";
    shape_refused(&s, "psa.profile");
    s.profile = "PSA_IOT_PROFILE_1";
    shape_refused(&s, "psa.profile");
}

Test(psa, mixed_profiles_refused)
{
    static const int64_t p2[] = {10, 256, 265, 268, 2394, 2396, 2397, 2400};
    struct psa_shape s = psa_shape();

    for (int64_t key = -75010; key <= -75000; key++) {
        s.mixed_key = key;
        shape_refused(&s, "psa.profile");
    }
    s.family = 0;
    for (size_t i = 0; i < BH_COUNT(p2); i++) {
        s.mixed_key = p2[i];
        shape_refused(&s, "psa.profile");
    }
}

Test(psa, alg_must_be_protected)
{
    struct psa_shape s = psa_shape();
    const struct bytes payload = psa_payload(&s);
    const struct bytes token = sign_without_alg(span_of(&payload), device);

    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.alg",
        "no alg in the protected header");
}

Test(psa, envelope)
{
    struct psa_shape s = psa_shape();
    struct bytes token = token_of(&s);

    must_refuse(bh_span(token.buf + 1, token.len - 1), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED,
        "psa.encoding", "no COSE tag");
    token.buf[token.len++] = 0;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.encoding",
        "a trailing byte");
    memmove(token.buf + 2, token.buf, --token.len);
    token.buf[0] = 0xd8;
    token.buf[1] = 61;
    token.len += 2;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.encoding",
        "the CWT tag around it");
    must_refuse(bh_span_none(), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.encoding", "nothing");
}

Test(psa, indefinite_map_refused)
{
    struct psa_shape s = psa_shape();
    struct bytes payload = psa_payload(&s);

    payload.buf[0] = 0xbf;
    payload.buf[payload.len++] = 0xff;
    struct bytes token = sign(span_of(&payload), device);
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "psa.claims",
        "RFC 9783: definite lengths only");
}

Test(psa, duplicate_claim_refused)
{
    struct psa_shape s = psa_shape();

    s.mixed_key = 256;
    shape_refused(&s, "psa.claims");
}

Test(psa, another_key)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);
    EVP_PKEY *other = make_key("P-256");
    EVP_PKEY *larger = make_key("P-384");

    endorser = endorser_of_key(other);
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature",
        "signed by another key than the endorsed one");
    endorser = endorser_of_key(larger);
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature",
        "alg of another curve than the key's");
    EVP_PKEY_free(other);
    EVP_PKEY_free(larger);
}

Test(psa, the_token_does_not_choose_the_key_type)
{
    static const uint8_t secret[32] = "thirty-two bytes of shared keys";
    struct psa_shape s = psa_shape();
    const struct bytes payload = psa_payload(&s);
    const struct bytes signed_ = sign(span_of(&payload), device);
    struct bytes mac = {0};

    /* The public key's bytes as a MAC key: what an attacker has. */
    cr_assert_eq(bh_cose_mac(span_of(&payload),
                     bh_span(endorser.endorsement.key, endorser.endorsement.key_len), BH_COSE_HS256,
                     true, mac.buf, sizeof(mac.buf), &mac.len, NULL),
        BH_OK);
    must_refuse(span_of(&mac), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature",
        "a COSE_Mac0 where a public key is endorsed");
    endorser.endorsement.symmetric = true;
    memcpy(endorser.endorsement.key, secret, sizeof(secret));
    endorser.endorsement.key_len = sizeof(secret);
    must_refuse(span_of(&signed_), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature",
        "a COSE_Sign1 where a symmetric key is endorsed");
    cr_assert_eq(bh_cose_mac(span_of(&payload), bh_span(secret, sizeof(secret)), BH_COSE_HS256,
                     true, mac.buf, sizeof(mac.buf), &mac.len, NULL),
        BH_OK);
    must_hold(span_of(&mac), TYPE, &trust, "a COSE_Mac0 under the endorsed symmetric key");
}

Test(psa, endorsed_for_another_implementation)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    memset(endorser.endorsement.implementation_id, 0x11, 32);
    must_hold(span_of(&token), TYPE, &trust, "endorsed for this implementation");
    endorser.endorsement.implementation_id[5] = 0x12;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_NOT_AUTHENTIC, "psa.implementation_id",
        "endorsed for another implementation");
}

Test(psa, simulated_needs_permission)
{
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    endorser.endorsement.simulated = true;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_SIMULATED, "simulated",
        "a simulated device where none may be");
    trust.allow_simulated = true;
    must_hold(span_of(&token), TYPE, &trust, "a simulated device where they may be");
}

Test(psa, claim_rules)
{
    static const struct {
        int family;
        int64_t drop;
        const char *check;
    } missing[] = {
        {0, -75008, "psa.nonce"},
        {0, -75009, "psa.instance_id"},
        {0, -75001, "psa.client_id"},
        {0, -75002, "psa.lifecycle"},
        {0, -75003, "psa.implementation_id"},
        {0, -75004, "psa.boot_seed"},
        {0, -75006, "psa.software"},
        {1, 10, "psa.nonce"},
        {1, 2399, "psa.software"},
        {2, 10, "psa.nonce"},
        {2, 256, "psa.instance_id"},
        {2, 265, "psa.profile"},
        {2, 2394, "psa.client_id"},
        {2, 2395, "psa.lifecycle"},
        {2, 2396, "psa.implementation_id"},
        {2, 2399, "psa.software"},
    };

    for (size_t i = 0; i < BH_COUNT(missing); i++) {
        struct psa_shape s = psa_shape();
        s.family = missing[i].family;
        s.drop = missing[i].drop;
        shape_refused(&s, missing[i].check);
    }
}

Test(psa, values_refused)
{
    struct psa_shape s = psa_shape();

    s.binding_len = 63;
    shape_refused(&s, "psa.nonce");
    s = psa_shape();
    s.instance_first = 0x06;
    shape_refused(&s, "psa.instance_id");
    s = psa_shape();
    s.instance_len = 9;
    shape_refused(&s, "psa.instance_id");
    s = psa_shape();
    s.client = 0;
    shape_refused(&s, "psa.client_id");
    s.client = INT64_C(2147483648);
    shape_refused(&s, "psa.client_id");
    s = psa_shape();
    s.lifecycle = 0x3100;
    shape_refused(&s, "psa.lifecycle");
    s.lifecycle = -1;
    shape_refused(&s, "psa.lifecycle");
    s = psa_shape();
    s.no_signer = true;
    shape_refused(&s, "psa.software");
    s = psa_shape();
    s.family = 0;
    s.both_software = true;
    shape_refused(&s, "psa.software");
}

Test(psa, binding)
{
    static struct ev_report report;
    struct psa_shape s = psa_shape();
    struct ev_evidence *ev = NULL;
    uint8_t binding[BH_BINDING_LEN];

    s.binding_len = 64;
    struct bytes token = token_of(&s);
    cr_assert_eq(judge(span_of(&token), TYPE, &trust, &report, &ev), BH_OK);
    memcpy(binding, s.binding, sizeof(binding));
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_OK);
    binding[63] ^= 1;
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
    cr_expect_str_eq(report.diag.check, "psa.binding");
    ev_evidence_free(ev);
    /* A shorter nonce is well-formed and never the binding. */
    s.binding_len = 32;
    token = token_of(&s);
    cr_assert_eq(judge(span_of(&token), TYPE, &trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, s.binding, bh_span_none(), &report), BH_ERR_BINDING);
    cr_expect_str_eq(report.diag.check, "psa.binding");
    ev_evidence_free(ev);
}

/* ---- appraisal ---- */

static void
must_not_appraise(const struct psa_shape *shape, const char *entry, const char *check)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    const struct bytes token = token_of(shape);

    cr_expect_eq(appraise(span_of(&token), TYPE, &trust, entry, &report, &verdict), BH_ERR_POLICY,
        "%s", check);
    cr_expect_str_eq(
        report.diag.check, check, "%s: found %s", report.diag.check, report.diag.found);
}

Test(psa, verdict)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    cr_assert_eq(appraise(span_of(&token), TYPE, &trust, GOOD, &report, &verdict), BH_OK, "%s: %s",
        report.diag.check, report.diag.found);
    cr_expect_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_expect(verdict.owner_pinned);
    cr_expect_not(verdict.debug);
    cr_expect_eq(verdict.measurement_len, 32);
    cr_expect_eq(verdict.measurement[0], 0x30);
    cr_expect_eq(verdict.hardware_id_len, 33);
    cr_expect_eq(verdict.hardware_id[0], 0x01);
    cr_assert_eq(verdict.submod.claims_len, 4);
    cr_expect_str_eq(verdict.submod.claims[0].name, "implementation_id");
    cr_expect_str_eq(verdict.submod.claims[1].name, "lifecycle");
    cr_expect(verdict.submod.claims[1].text);
    cr_expect_str_eq(verdict.submod.claims[2].name, "software.C0");
    cr_expect_str_eq(verdict.submod.claims[3].name, "software.C1");
}

Test(psa, key_class_lowers_the_status)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    endorser.endorsement.key_class = EV_KEY_FILE;
    must_not_appraise(&s, GOOD, "psa.key_class");
    cr_expect_eq(appraise(span_of(&token), TYPE, &trust,
                     ENTRY("file", "secured", "[" C0 "," C1 "]"), &report, &verdict),
        BH_OK);
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
}

Test(psa, components)
{
    struct psa_shape s = psa_shape();

    s.components = 1;
    must_not_appraise(&s, GOOD, "psa.software"); /* one of the policy is missing */
    s.components = 3;
    must_not_appraise(&s, GOOD, "psa.software"); /* one is extra */
    s.components = 2;
    must_not_appraise(&s, ENTRY("silicon", "secured", "[" C0 "," C2 "]"), "psa.software");
    must_not_appraise(&s, ENTRY("silicon", "secured", "\"none\""), "psa.software");
    /* An item that two components match is matched twice; one that none can match, never. */
    must_not_appraise(&s,
        ENTRY("silicon", "secured", "[{\"measurement\":[\"" X32("30") "\",\"" X32("31") "\"]}]"),
        "psa.software");
    must_not_appraise(&s,
        ENTRY("silicon", "secured", "[" C0 "," C1 ",{\"measurement\":[\"" X32("30") "\"]}]"),
        "psa.software");
    must_not_appraise(&s,
        ENTRY("silicon", "secured",
            "[" C0 ",{\"type\":\"C1\",\"version\":\"2.0\",\"measurement\":[\"" X32("31") "\"]}]"),
        "psa.software");
    s.family = 0;
    s.components = 0;
    must_not_appraise(&s, GOOD, "psa.software");
}

Test(psa, no_measurements_claim)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct psa_shape s = psa_shape();

    s.family = 0;
    s.components = 0;
    const struct bytes token = token_of(&s);
    cr_expect_eq(appraise(span_of(&token), TYPE, &trust, ENTRY("silicon", "secured", "\"none\""),
                     &report, &verdict),
        BH_OK);
    cr_expect_eq(verdict.measurement_len, 0);
}

Test(psa, lifecycle)
{
    static const int64_t others[] = {0x0000, 0x1000, 0x2000, 0x4000, 0x50ff, 0x6000};
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct psa_shape s = psa_shape();

    for (size_t i = 0; i < BH_COUNT(others); i++) {
        s.lifecycle = others[i];
        const struct bytes token = token_of(&s);
        must_hold(span_of(&token), TYPE, &trust, "authentic in any defined state");
        must_not_appraise(&s, GOOD, "psa.lifecycle");
    }
    s.lifecycle = 0x4001;
    const struct bytes token = token_of(&s);
    cr_expect_eq(
        appraise(span_of(&token), TYPE, &trust,
            "{\"debug\":true," /* and the rest of the entry */
            "\"platform\":\"psa\",\"key_class\":[\"silicon\"]," IMPLEMENTATION
            ",\"lifecycle\":[\"secured\",\"non-psa-rot-debug\"],\"software\":[" C0 "," C1 "]}",
            &report, &verdict),
        BH_OK);
    cr_expect(verdict.debug);
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
}

Test(psa, implementation_and_client)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct psa_shape s = psa_shape();
    const struct bytes token = token_of(&s);

    must_not_appraise(&s,
        "{\"platform\":\"psa\",\"key_class\":[\"silicon\"],\"implementation_id\":[\"" X32(
            "12") "\"],\"lifecycle\":[\"secured\"],\"software\":[" C0 "," C1 "]}",
        "psa.implementation_id");
    must_not_appraise(&s,
        "{\"platform\":\"psa\",\"key_class\":[\"silicon\"]," IMPLEMENTATION
        ",\"lifecycle\":[\"secured\"],\"client_id\":[1,2],\"software\":[" C0 "," C1 "]}",
        "psa.client_id");
    cr_expect_eq(
        appraise(span_of(&token), TYPE, &trust,
            "{\"platform\":\"psa\",\"owner\":\"any\",\"key_class\":[\"silicon\"]," IMPLEMENTATION
            ",\"lifecycle\":[\"secured\"],\"client_id\":[-1],\"software\":[" C0 "," C1 "]}",
            &report, &verdict),
        BH_OK);
    cr_expect_not(verdict.owner_pinned, "the entry says that any owner will do");
}
