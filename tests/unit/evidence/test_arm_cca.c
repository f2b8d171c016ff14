/* SPDX-License-Identifier: Apache-2.0 */
/* CCA tokens made here: what must be refused, by error and check name, and what must hold. */
#include "arm_tokens.h"

#include <criterion/criterion.h>

#include <stdio.h>

#define TYPE "application/eat-collection; profile=\"http://arm.com/CCA-SSD/1.0.0\""
#define X32(byte)                                                                                  \
    byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte \
        byte byte byte byte byte byte byte byte byte byte byte byte byte
#define RIM "\"initial_measurement\":[\"" X32("77") "\"]"
#define IMPLEMENTATION "\"implementation_id\":[\"" X32("11") "\"]"
#define C0 "{\"type\":\"C0\",\"measurement\":[\"" X32("30") "\"]}"
#define C1 "{\"type\":\"C1\",\"measurement\":[\"" X32("31") "\"]}"
#define ENTRY(realm, platform)                                                                     \
    "{\"platform\":\"arm-cca\",\"realm\":{" realm "},\"platform_token\":{" platform "}}"
#define SECURED "\"lifecycle\":[\"secured\"]"
#define GOOD ENTRY(RIM, SECURED "," IMPLEMENTATION)

static EVP_PKEY *cpak, *rak;
static struct endorser endorser;
static struct ev_trust trust;

static void
setup(void)
{
    cpak = make_key("P-256");
    rak = make_key("P-384");
    endorser = endorser_of_key(cpak);
    trust = trust_in(&endorser);
}

static void
teardown(void)
{
    EVP_PKEY_free(cpak);
    EVP_PKEY_free(rak);
}

TestSuite(arm_cca, .init = setup, .fini = teardown);

static void
shape_refused(const struct cca_shape *shape, enum bh_err err, const char *check)
{
    const struct bytes token = cca_token(shape);

    must_refuse(span_of(&token), TYPE, &trust, err, check, check);
}

Test(arm_cca, containers_and_profiles_vary_independently)
{
    static const int containers[] = {399, 907};
    static const char *const platforms[] = {
        "tag:arm.com,2023:cca_platform#1.0.0", "http://arm.com/CCA-SSD/1.0.0"};
    static const char *const realms[] = {
        NULL, "tag:arm.com,2023:realm#1.0.0", "tag:arm.com,2024:realm#2.0.0"};
    struct cca_shape s = cca_shape(cpak, rak);

    for (size_t i = 0; i < BH_COUNT(containers) * BH_COUNT(platforms) * BH_COUNT(realms); i++) {
        s.container = containers[i % 2];
        s.platform_profile = platforms[i / 2 % 2];
        s.realm_profile = realms[i / 4];
        const struct bytes token = cca_token(&s);
        must_hold(span_of(&token), TYPE, &trust, "a good token");
        must_hold(span_of(&token), NULL, &trust, "a good token by its form");
        s.odd_rak = true;
        shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.public_key");
        s.odd_rak = false;
    }
}

Test(arm_cca, rak_hashes)
{
    struct cca_shape s = cca_shape(cpak, rak);

    s.rak_hash = "sha-384";
    const struct bytes a = cca_token(&s);
    must_hold(span_of(&a), TYPE, &trust, "SHA-384 over the RAK");
    s.rak_hash = "sha-512";
    const struct bytes b = cca_token(&s);
    must_hold(span_of(&b), TYPE, &trust, "SHA-512 over the RAK");
    s.rak_hash = "sha-1";
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.public_key_hash_algorithm");
}

Test(arm_cca, rak_not_bound)
{
    struct cca_shape s = cca_shape(cpak, rak);

    s.unbound = true;
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.rak_binding");
}

Test(arm_cca, realm_signed_by_another)
{
    struct cca_shape s = cca_shape(cpak, rak);

    s.realm_signer = make_key("P-384");
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.realm.signature");
    EVP_PKEY_free(s.realm_signer);
}

Test(arm_cca, rak_of_another_curve)
{
    EVP_PKEY *small = make_key("P-256");
    struct cca_shape s = cca_shape(cpak, small);

    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.public_key");
    s.realm_profile = NULL;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.public_key");
    EVP_PKEY_free(small);
}

Test(arm_cca, unknown_platform_key)
{
    struct cca_shape s = cca_shape(cpak, rak);

    endorser.unknown = true;
    shape_refused(&s, BH_ERR_ENDORSEMENT_UNKNOWN, "arm-cca.instance");
    endorser = endorser_of_key(rak);
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.platform.signature");
    endorser.endorsement.symmetric = true;
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.platform.signature");
    endorser = endorser_of_key(cpak);
    memset(endorser.endorsement.implementation_id, 0x12, 32);
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.platform_token.implementation_id");
    endorser = endorser_of_key(cpak);
    endorser.endorsement.simulated = true;
    shape_refused(&s, BH_ERR_SIMULATED, "simulated");
}

static enum bh_err
exact_lookup(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    uint8_t instance[33], implementation[32], expected[32];

    (void)diag;
    memset(implementation, 0x11, sizeof(implementation));
    memset(instance, 0x22, sizeof(instance));
    instance[0] = 0x01;
    ev_endorsement_key("arm-cca", bh_span(implementation, sizeof(implementation)),
        bh_span(instance, sizeof(instance)), expected);
    cr_expect_str_eq(platform, "arm-cca");
    cr_expect_arr_eq(key, expected, 32, "the key is not that of implementation and instance");
    *ret_e = ((struct endorser *)arg)->endorsement;
    return BH_OK;
}

Test(arm_cca, looks_up_by_implementation_and_instance)
{
    struct cca_shape s = cca_shape(cpak, rak);
    const struct bytes token = cca_token(&s);

    trust.lookup = exact_lookup;
    must_hold(span_of(&token), TYPE, &trust, "found by implementation and instance id");
}

Test(arm_cca, alg_must_be_protected)
{
    struct cca_shape s = cca_shape(cpak, rak);

    s.platform_without_alg = true;
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.platform.alg");
    s.platform_without_alg = false;
    s.realm_without_alg = true;
    shape_refused(&s, BH_ERR_NOT_AUTHENTIC, "arm-cca.realm.alg");
}

Test(arm_cca, profiles_refused)
{
    struct cca_shape s = cca_shape(cpak, rak);

    s.platform_profile = "";
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.platform_token.profile");
    s.platform_profile = "tag:arm.com,2023:realm#1.0.0";
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.platform_token.profile");
    s = cca_shape(cpak, rak);
    s.realm_profile = "tag:arm.com,2025:realm#3.0.0";
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.profile");
}

Test(arm_cca, container_refused)
{
    struct cca_shape s = cca_shape(cpak, rak);
    struct bytes token;

    s.container = 907;
    s.record_type = 264;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding");
    s.container = 398;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding");
    s = cca_shape(cpak, rak);
    token = cca_token(&s);
    token.buf[token.len++] = 0;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding",
        "a trailing byte");
    /* 399 with the records of 907, and the reverse: only the tag differs. */
    s.container = 907;
    token = cca_token(&s);
    token.buf[1] = 399 >> 8;
    token.buf[2] = 399 & 0xff;
    must_refuse(span_of(&token), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding",
        "records in an EAT collection");
    must_refuse(
        bh_span_none(), TYPE, &trust, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding", "nothing");
}

Test(arm_cca, claim_rules)
{
    static const struct {
        int64_t platform, realm;
        const char *check;
    } missing[] = {
        {10, 0, "arm-cca.platform_token.challenge"},
        {2396, 0, "arm-cca.platform_token.implementation_id"},
        {256, 0, "arm-cca.platform_token.instance_id"},
        {2401, 0, "arm-cca.platform_token.config"},
        {2395, 0, "arm-cca.platform_token.lifecycle"},
        {2399, 0, "arm-cca.platform_token.software"},
        {2402, 0, "arm-cca.platform_token.hash_algorithm"},
        {0, 10, "arm-cca.realm.challenge"},
        {0, 44235, "arm-cca.realm.personalization"},
        {0, 44238, "arm-cca.realm.initial_measurement"},
        {0, 44239, "arm-cca.realm.extensible_measurements"},
        {0, 44236, "arm-cca.realm.hash_algorithm"},
        {0, 44237, "arm-cca.realm.public_key"},
        {0, 44240, "arm-cca.realm.public_key_hash_algorithm"},
    };
    struct cca_shape s;

    for (size_t i = 0; i < BH_COUNT(missing); i++) {
        s = cca_shape(cpak, rak);
        s.platform_drop = missing[i].platform;
        s.realm_drop = missing[i].realm;
        shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, missing[i].check);
    }
    s = cca_shape(cpak, rak);
    s.binding_len = 32;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.challenge");
    s = cca_shape(cpak, rak);
    s.rems = 3;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.extensible_measurements");
    s.rems = 5;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.realm.extensible_measurements");
    s = cca_shape(cpak, rak);
    s.components = 0;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.platform_token.software");
    s = cca_shape(cpak, rak);
    s.lifecycle = 0x3100;
    shape_refused(&s, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.platform_token.lifecycle");
}

Test(arm_cca, binding)
{
    static struct ev_report report;
    struct cca_shape s = cca_shape(cpak, rak);
    const struct bytes token = cca_token(&s);
    struct ev_evidence *ev = NULL;

    cr_assert_eq(judge(span_of(&token), TYPE, &trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, s.binding, bh_span_none(), &report), BH_OK);
    for (size_t i = 0; i < sizeof(s.binding); i++) {
        ev_report_init(&report, true);
        s.binding[i] ^= 0x80;
        cr_expect_eq(ev_bind(ev, s.binding, bh_span_none(), &report), BH_ERR_BINDING);
        cr_expect_str_eq(report.diag.check, "arm-cca.binding");
        s.binding[i] ^= 0x80;
    }
    ev_evidence_free(ev);
}

Test(arm_cca, whole_report_after_a_failure)
{
    static struct ev_report report;
    struct cca_shape s = cca_shape(cpak, rak);
    size_t failed = 0;

    s.unbound = true;
    s.realm_signer = cpak;
    const struct bytes token = cca_token(&s);
    endorser.unknown = true;
    cr_expect_eq(judge(span_of(&token), TYPE, &trust, &report, NULL), BH_ERR_ENDORSEMENT_UNKNOWN);
    for (size_t i = 0; i < report.len; i++)
        failed += report.checks[i].ok ? 0 : 1;
    cr_expect_eq(failed, 3, "%zu failed checks", failed);
}

/* ---- appraisal ---- */

static void
must_not_appraise(const struct cca_shape *shape, const char *entry, const char *check)
{
    static struct ev_report report;
    static struct ev_verdict verdict;
    const struct bytes token = cca_token(shape);

    cr_expect_eq(appraise(span_of(&token), TYPE, &trust, entry, &report, &verdict), BH_ERR_POLICY,
        "%s", check);
    cr_expect_str_eq(
        report.diag.check, check, "%s: found %s", report.diag.check, report.diag.found);
}

Test(arm_cca, verdict)
{
    static const char *const names[] = {"realm.initial_measurement",
        "realm.extensible_measurements.0", "realm.extensible_measurements.1",
        "realm.extensible_measurements.2", "realm.extensible_measurements.3",
        "realm.personalization", "platform_token.lifecycle", "platform_token.implementation_id",
        "platform_token.software.C0", "platform_token.software.C1"};
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct cca_shape s = cca_shape(cpak, rak);
    const struct bytes token = cca_token(&s);

    cr_assert_eq(appraise(span_of(&token), TYPE, &trust, GOOD, &report, &verdict), BH_OK, "%s: %s",
        report.diag.check, report.diag.found);
    cr_expect_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_expect(verdict.owner_pinned);
    cr_expect_eq(verdict.measurement_len, 32);
    cr_expect_eq(verdict.measurement[0], 0x77);
    cr_expect_eq(verdict.hardware_id_len, 33);
    cr_assert_eq(verdict.submod.claims_len, BH_COUNT(names));
    for (size_t i = 0; i < BH_COUNT(names); i++)
        cr_expect_str_eq(verdict.submod.claims[i].name, names[i]);
}

Test(arm_cca, full_entry)
{
    static const char entry[] =
        "{\"platform\":\"arm-cca\",\"owner\":\"any\",\"realm\":{" RIM
        ",\"extensible_measurements\":{\"0\":[\"" X32("80") "\"],\"3\":[\"" X32(
            "83") "\"]},"
                  "\"personalization\":[\"" X32("66")
                      X32("66") "\"],\"hash_algorithm\":[\"sha-256\"]},"
                                "\"platform_token\":{" SECURED "," IMPLEMENTATION
                                ",\"config\":[\"cfcfcfcf\"],\"software\":[" C0 "," C1 "]}}";
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct cca_shape s = cca_shape(cpak, rak);
    const struct bytes token = cca_token(&s);

    cr_expect_eq(appraise(span_of(&token), TYPE, &trust, entry, &report, &verdict), BH_OK, "%s: %s",
        report.diag.check, report.diag.found);
    cr_expect_not(verdict.owner_pinned, "the entry says that any owner will do");
}

Test(arm_cca, references_refused)
{
    struct cca_shape s = cca_shape(cpak, rak);

    must_not_appraise(&s,
        ENTRY("\"initial_measurement\":[\"" X32("78") "\"]", SECURED "," IMPLEMENTATION),
        "arm-cca.realm.initial_measurement");
    must_not_appraise(&s,
        ENTRY(RIM ",\"extensible_measurements\":{\"2\":[\"" X32("80") "\"]}",
            SECURED "," IMPLEMENTATION),
        "arm-cca.realm.extensible_measurements.2");
    must_not_appraise(&s,
        ENTRY(RIM ",\"personalization\":[\"" X32("66") X32("67") "\"]", SECURED "," IMPLEMENTATION),
        "arm-cca.realm.personalization");
    must_not_appraise(&s,
        ENTRY(RIM ",\"hash_algorithm\":[\"sha-512\"]", SECURED "," IMPLEMENTATION),
        "arm-cca.realm.hash_algorithm");
    must_not_appraise(&s, ENTRY(RIM, SECURED ",\"implementation_id\":[\"" X32("12") "\"]"),
        "arm-cca.platform_token.implementation_id");
    must_not_appraise(&s, ENTRY(RIM, SECURED "," IMPLEMENTATION ",\"config\":[\"cfcfcf\"]"),
        "arm-cca.platform_token.config");
    must_not_appraise(&s, ENTRY(RIM, SECURED "," IMPLEMENTATION ",\"software\":[" C0 "]"),
        "arm-cca.platform_token.software");
    s.components = 1;
    must_not_appraise(&s, ENTRY(RIM, SECURED "," IMPLEMENTATION ",\"software\":[" C0 "," C1 "]"),
        "arm-cca.platform_token.software");
}

Test(arm_cca, lifecycle)
{
    static const int64_t others[] = {0x0000, 0x10ff, 0x2000, 0x4000, 0x5001, 0x6000};
    static struct ev_report report;
    static struct ev_verdict verdict;
    struct cca_shape s = cca_shape(cpak, rak);

    for (size_t i = 0; i < BH_COUNT(others); i++) {
        s.lifecycle = others[i];
        must_not_appraise(&s, GOOD, "arm-cca.platform_token.lifecycle");
    }
    s.lifecycle = 0x4000;
    const struct bytes token = cca_token(&s);
    cr_expect_eq(
        appraise(span_of(&token), TYPE, &trust,
            "{\"platform\":\"arm-cca\",\"debug\":true,\"realm\":{" RIM
            "},\"platform_token\":{\"lifecycle\":[\"non-cca-platform-rot-debug\"]," IMPLEMENTATION
            "}}",
            &report, &verdict),
        BH_OK);
    cr_expect(verdict.debug);
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
}
