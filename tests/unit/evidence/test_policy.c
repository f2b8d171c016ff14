/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: each rule that must refuse, by the name of the field at fault. */
#include "evidence/platform.h"

#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define X16(byte) byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte
#define X32(byte) X16(byte) X16(byte)
#define X48(byte) X32(byte) X16(byte)
#define X64(byte) X32(byte) X32(byte)
#define HEX(bytes) "[\"" bytes "\"]"

#define ITEM "{\"type\":\"PRoT\",\"measurement\":" HEX(X32("aa")) ",\"signer\":" HEX(X32("bb")) "}"
#define PSA_WITH(more)                                                                             \
    "{\"platform\":\"psa\",\"key_class\":[\"silicon\"],\"implementation_id\":" HEX(                \
        X32("11")) ",\"lifecycle\":[\"secured\"],\"software\":[" ITEM "]" more "}"
#define PSA PSA_WITH("")
#define CCA_OF(realm, platform, more)                                                              \
    "{\"platform\":\"arm-cca\",\"realm\":{" realm "},\"platform_token\":{" platform "}" more "}"
#define CCA_REALM "\"initial_measurement\":" HEX(X32("77"))
#define CCA_PLATFORM "\"lifecycle\":[\"secured\"],\"implementation_id\":" HEX(X32("11"))
#define CCA CCA_OF(CCA_REALM, CCA_PLATFORM, "")
#define PCR(n) "\"" n "\":" HEX(X48("c" n))
#define NITRO "{\"platform\":\"aws-nitro\",\"pcrs\":{" PCR("0") "," PCR("3") "}}"

static enum bh_err
parse(const char *text, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL;
    enum bh_err e;

    bh_diag_clear(diag);
    if ((e = ev_policy_parse(bh_span_str(text), &policy, diag)) == BH_OK)
        ev_policy_free(policy);
    return e;
}

static void
refused(const char *text, const char *check)
{
    struct bh_diag diag;
    const enum bh_err e = parse(text, &diag);

    cr_expect_neq(e, BH_OK, "%s: accepted: %s", check, text);
    cr_expect_eq(diag.err, e);
    cr_expect_str_eq(
        diag.check, check, "check %s, expected %s (%s): %s", diag.check, check, diag.detail, text);
    cr_expect_neq(diag.detail[0], '\0');
}

static void
entry_refused(const char *entry, const char *field)
{
    char text[8192], check[BH_CHECK_MAX];

    (void)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", entry);
    (void)snprintf(check, sizeof(check), "policy.accept[0].%s", field);
    refused(text, check);
}

static void
entry_taken(const char *entry)
{
    struct bh_diag diag;
    char text[8192];

    (void)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", entry);
    cr_expect_eq(parse(text, &diag), BH_OK, "%s: %s: %s", diag.check, diag.detail, entry);
}

Test(policy, accepts)
{
    entry_taken(PSA);
    entry_taken(CCA);
    entry_taken(NITRO);
    entry_taken(PSA "," CCA "," NITRO);
    entry_taken(PSA_WITH(",\"owner\":\"any\",\"simulated\":true,\"context\":[\"00ff\"]"));
    entry_taken(PSA_WITH(",\"client_id\":[-1,5]"));
    entry_taken(CCA_OF(CCA_REALM, CCA_PLATFORM, ",\"owner\":\"any\""));
}

Test(policy, reads_the_profile)
{
    static const char text[] =
        "{\"workload\":\"payments\",\"certificate\":{\"lifetime\":\"24h\",\"dns\":[\"a.example\","
        "\"b.example\"],\"keys\":[\"P-384\",\"Ed25519\"]},\"accept\":[" PSA "]}";
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};

    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s", diag.detail);
    const struct ev_profile *profile = ev_policy_profile(policy);
    cr_expect_str_eq(ev_policy_workload(policy), "payments");
    cr_expect_eq(profile->lifetime, 86400);
    cr_assert_eq(profile->dns_len, 2);
    cr_expect_str_eq(profile->dns[1], "b.example");
    cr_expect_not(profile->key_p256);
    cr_expect(profile->key_p384 && profile->key_ed25519);
    cr_expect_not(ev_policy_simulated(policy));
    cr_expect(ev_policy_has_platform(policy, "psa"));
    cr_expect_not(ev_policy_has_platform(policy, "arm-cca"));
    cr_expect_eq(ev_policy_entries(policy), 1);
    cr_expect_null(ev_policy_entry(policy, 1));
    ev_policy_free(policy);
    ev_policy_free(NULL);
}

Test(policy, defaults)
{
    struct ev_policy *policy = NULL;

    cr_assert_eq(ev_policy_parse(bh_span_str("{\"workload\":\"w\",\"accept\":[" PSA_WITH(
                                     ",\"simulated\":true,\"debug\":true") "]}"),
                     &policy, NULL),
        BH_OK);
    const struct ev_profile *profile = ev_policy_profile(policy);
    cr_expect_eq(profile->lifetime, 0);
    cr_expect(profile->key_p256 && profile->key_p384 && profile->key_ed25519);
    cr_expect(ev_policy_simulated(policy));
    cr_expect(ev_policy_entry(policy, 0)->debug);
    cr_expect_eq(ev_policy_entry(policy, 0)->contexts_len, 0);
    ev_policy_free(policy);
}

/* Order of members and white space do not matter to the digest; a value does. */
Test(policy, digest_is_of_the_canonical_form)
{
    static const char *const same[] = {
        "{\"workload\":\"w\",\"accept\":[" PSA "]}",
        " { \"accept\" : [ " PSA " ] ,\n \"workload\" : \"w\" } ",
    };
    uint8_t digests[3][32];
    struct ev_policy *policy;
    char hex[65];

    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(ev_policy_parse(
                         bh_span_str(i < 2 ? same[i] : "{\"workload\":\"v\",\"accept\":[" PSA "]}"),
                         &policy, NULL),
            BH_OK);
        memcpy(digests[i], ev_policy_digest(policy), 32);
        if (i == 0) {
            uint8_t own[32];
            cr_assert_eq(bh_sha2(256, bh_span_str(ev_policy_canonical(policy)), own), BH_OK);
            cr_expect_arr_eq(own, digests[0], 32, "%s", bh_hex(bh_span(own, 32), hex, sizeof(hex)));
            cr_expect_eq(
                strncmp(ev_policy_canonical(policy), "{\"accept\":[{\"implementation_id\":", 32),
                0);
        }
        ev_policy_free(policy);
    }
    cr_expect_arr_eq(digests[0], digests[1], 32);
    cr_expect_arr_neq(digests[0], digests[2], 32);
}

Test(policy, contexts)
{
    struct ev_policy *policy = NULL;

    cr_assert_eq(ev_policy_parse(bh_span_str("{\"workload\":\"w\",\"accept\":[" PSA_WITH(
                                     ",\"context\":[\"00ff\",\"" X64("01") "\"]") "]}"),
                     &policy, NULL),
        BH_OK);
    const struct ev_entry *entry = ev_policy_entry(policy, 0);
    cr_assert_eq(entry->contexts_len, 2);
    cr_expect_eq(entry->contexts[0].len + entry->contexts[1].len, 66);
    ev_policy_free(policy);
    entry_refused(PSA_WITH(",\"context\":[]"), "context");
    entry_refused(PSA_WITH(",\"context\":[\"\"]"), "context");
    entry_refused(PSA_WITH(",\"context\":[\"" X64("01") "01\"]"), "context");
    entry_refused(PSA_WITH(",\"context\":[\"0011\",\"0011\"]"), "context");
    entry_refused(PSA_WITH(",\"context\":\"0011\""), "context");
}

Test(policy, whole)
{
    refused("", "policy");
    refused("[]", "policy");
    refused("{\"workload\":\"w\",\"accept\":[" PSA "]} x", "policy");
    refused("{\"workload\":\"w\",\"workload\":\"w\",\"accept\":[" PSA "]}", "policy");
    refused(
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"psa\",\"platform\":\"psa\"}]}", "policy");
    refused("{\"accept\":[" PSA "]}", "policy.workload");
    refused("{\"workload\":\"W\",\"accept\":[" PSA "]}", "policy.workload");
    refused("{\"workload\":\"\",\"accept\":[" PSA "]}", "policy.workload");
    refused("{\"workload\":\"beachhead\",\"accept\":[" PSA "]}", "policy.workload");
    refused("{\"workload\":\"beachhead-x\",\"accept\":[" PSA "]}", "policy.workload");
    refused("{\"workload\":\"w\"}", "policy.accept");
    refused("{\"workload\":\"w\",\"accept\":[]}", "policy.accept");
    refused("{\"workload\":\"w\",\"accept\":{}}", "policy.accept");
    refused("{\"workload\":\"w\",\"extra\":1,\"accept\":[" PSA "]}", "policy.extra");
    refused("{\"workload\":\"w\",\"accept\":[" PSA ",7]}", "policy.accept[1].platform");
}

Test(policy, certificate)
{
#define CERT(members) "{\"workload\":\"w\",\"certificate\":{" members "},\"accept\":[" PSA "]}"
    refused("{\"workload\":\"w\",\"certificate\":[],\"accept\":[" PSA "]}", "policy.certificate");
    refused(CERT("\"x\":1"), "policy.certificate.x");
    refused(CERT("\"lifetime\":24"), "policy.certificate.lifetime");
    refused(CERT("\"lifetime\":\"24\""), "policy.certificate.lifetime");
    refused(CERT("\"lifetime\":\"0h\""), "policy.certificate.lifetime");
    refused(CERT("\"lifetime\":\"-1h\""), "policy.certificate.lifetime");
    refused(CERT("\"lifetime\":\"1h30m\""), "policy.certificate.lifetime");
    refused(CERT("\"lifetime\":\"99999999d\""), "policy.certificate.lifetime");
    refused(CERT("\"dns\":\"a.example\""), "policy.certificate.dns");
    refused(CERT("\"dns\":[\"A.example\"]"), "policy.certificate.dns");
    refused(CERT("\"dns\":[\"*.example\"]"), "policy.certificate.dns");
    refused(CERT("\"dns\":[\"a.example\",\"a.example\"]"), "policy.certificate.dns");
    refused(CERT("\"dns\":[1]"), "policy.certificate.dns");
    refused(CERT("\"dns\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\","
                 "\"m\",\"n\",\"o\",\"p\",\"q\"]"),
        "policy.certificate.dns");
    refused(CERT("\"keys\":[]"), "policy.certificate.keys");
    refused(CERT("\"keys\":[\"RSA-2048\"]"), "policy.certificate.keys");
    refused(CERT("\"keys\":[\"P-256\",\"P-256\"]"), "policy.certificate.keys");
    refused(CERT("\"keys\":\"P-256\""), "policy.certificate.keys");
}

Test(policy, entry_common)
{
    struct bh_diag diag;

    entry_refused("{}", "platform");
    entry_refused("{\"platform\":5}", "platform");
    entry_refused("{\"platform\":\"sev\"}", "platform");
    entry_refused(PSA_WITH(",\"simulated\":1"), "simulated");
    entry_refused(PSA_WITH(",\"debug\":\"yes\""), "debug");
    entry_refused(PSA_WITH(",\"owner\":\"me\""), "owner");
    entry_refused(PSA_WITH(",\"owner\":true"), "owner");
    entry_refused(PSA_WITH(",\"pcrs\":{}"), "pcrs");
    refused("{\"workload\":\"w\",\"accept\":[" PSA "," PSA_WITH(",\"simulated\":true") "]}",
        "policy.accept[1].simulated");
    cr_expect_eq(parse("{\"workload\":\"w\",\"accept\":[{\"platform\":\"aws-nitro\",\"pcrs\":{},"
                       "\"simulated\":false}]}",
                     &diag),
        BH_ERR_MALFORMED);
}

Test(policy, devices_beside_a_cpu_are_refused_by_name)
{
    static const char *const devices[] = {"nvidia-gpu"};

    for (size_t i = 0; i < BH_COUNT(devices); i++) {
        struct bh_diag diag;
        char text[1024];

        (void)snprintf(text, sizeof(text),
            "{\"workload\":\"w\",\"accept\":[" PSA ",{\"platform\":\"%s\",\"owner\":\"any\"}]}",
            devices[i]);
        cr_expect_eq(parse(text, &diag), BH_ERR_UNSUPPORTED);
        cr_expect_str_eq(diag.check, "policy.accept[1].platform");
        cr_expect_str_eq(diag.found, devices[i]);
        cr_expect(strstr(diag.detail, "beside a CPU's evidence only") != NULL, "%s", diag.detail);
    }
}

Test(policy, psa)
{
#define PSA_OF(members) "{\"platform\":\"psa\"" members "}"
#define CLASS ",\"key_class\":[\"silicon\"]"
#define IMPL ",\"implementation_id\":" HEX(X32("11"))
#define LIFE ",\"lifecycle\":[\"secured\"]"
#define SOFT ",\"software\":[" ITEM "]"
#define WITH_SOFTWARE(software) PSA_OF(CLASS IMPL LIFE ",\"software\":" software)
    entry_refused(PSA_OF(IMPL LIFE SOFT), "key_class");
    entry_refused(PSA_OF(",\"key_class\":[]" IMPL LIFE SOFT), "key_class");
    entry_refused(PSA_OF(",\"key_class\":\"silicon\"" IMPL LIFE SOFT), "key_class");
    entry_refused(PSA_OF(",\"key_class\":[\"hsm\"]" IMPL LIFE SOFT), "key_class");
    entry_refused(PSA_OF(CLASS LIFE SOFT), "implementation_id");
    entry_refused(PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":[]"), "implementation_id");
    entry_refused(
        PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":" HEX(X32("00"))), "implementation_id");
    entry_refused(
        PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":" HEX(X16("11"))), "implementation_id");
    entry_refused(
        PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":" HEX(X32("AA"))), "implementation_id");
    entry_refused(
        PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":" HEX(X32("1x"))), "implementation_id");
    entry_refused(PSA_OF(CLASS IMPL SOFT), "lifecycle");
    entry_refused(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[]"), "lifecycle");
    entry_refused(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"unknown\"]"), "lifecycle");
    entry_refused(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"decommissioned\"]"), "lifecycle");
    entry_refused(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"non-psa-rot-debug\"]"), "lifecycle");
    entry_refused(
        PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"non-cca-platform-rot-debug\"]"), "lifecycle");
    entry_refused(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"secured\",\"secured\"]"), "lifecycle");
    entry_taken(PSA_OF(
        CLASS IMPL SOFT ",\"debug\":true,\"lifecycle\":[\"secured\",\"non-psa-rot-debug\"]"));
    entry_refused(PSA_OF(CLASS IMPL LIFE), "software");
    entry_refused(WITH_SOFTWARE("[]"), "software");
    entry_refused(WITH_SOFTWARE("\"any\""), "software");
    entry_taken(WITH_SOFTWARE("\"none\""));
    entry_refused(WITH_SOFTWARE("[1]"), "software[0]");
    entry_refused(WITH_SOFTWARE("[" ITEM ",{\"type\":\"x\"}]"), "software[1].measurement");
    entry_refused(WITH_SOFTWARE("[{\"measurement\":[]}]"), "software[0].measurement");
    entry_refused(
        WITH_SOFTWARE("[{\"measurement\":" HEX(X32("00")) "}]"), "software[0].measurement");
    entry_refused(
        WITH_SOFTWARE("[{\"measurement\":" HEX(X32("aa") "aa") "}]"), "software[0].measurement");
    entry_refused(WITH_SOFTWARE("[{\"measurement\":[\"" X32("aa") "\",\"" X32("aa") "\"]}]"),
        "software[0].measurement");
    entry_refused(WITH_SOFTWARE("[{\"measurement\":" HEX(X32("aa")) ",\"signer\":[]}]"),
        "software[0].signer");
    entry_refused(
        WITH_SOFTWARE("[{\"measurement\":" HEX(X32("aa")) ",\"name\":\"x\"}]"), "software[0].name");
    entry_refused(PSA_WITH(",\"client_id\":[]"), "client_id");
    entry_refused(PSA_WITH(",\"client_id\":[0]"), "client_id");
    entry_refused(PSA_WITH(",\"client_id\":[2147483648]"), "client_id");
    entry_refused(PSA_WITH(",\"client_id\":[1,1]"), "client_id");
    entry_refused(PSA_WITH(",\"client_id\":[1.5]"), "client_id");
}

Test(policy, arm_cca)
{
#define REM(value) CCA_OF(CCA_REALM ",\"extensible_measurements\":" value, CCA_PLATFORM, "")
    entry_refused("{\"platform\":\"arm-cca\",\"platform_token\":{" CCA_PLATFORM "}}", "realm");
    entry_refused("{\"platform\":\"arm-cca\",\"realm\":{" CCA_REALM "}}", "platform_token");
    entry_refused(CCA_OF("", CCA_PLATFORM, ""), "realm.initial_measurement");
    entry_refused(CCA_OF("\"initial_measurement\":" HEX(X32("00")), CCA_PLATFORM, ""),
        "realm.initial_measurement");
    entry_refused(CCA_OF("\"initial_measurement\":" HEX(X16("aa")), CCA_PLATFORM, ""),
        "realm.initial_measurement");
    entry_refused(CCA_OF(CCA_REALM ",\"rim\":1", CCA_PLATFORM, ""), "realm.rim");
    entry_refused(REM("{}"), "realm.extensible_measurements");
    entry_refused(REM("[]"), "realm.extensible_measurements");
    entry_refused(REM("{\"4\":" HEX(X32("aa")) "}"), "realm.extensible_measurements.4");
    entry_refused(REM("{\"0\":[]}"), "realm.extensible_measurements.0");
    entry_refused(REM("{\"3\":" HEX(X32("00")) "}"), "realm.extensible_measurements.3");
    entry_taken(REM("{\"3\":" HEX(X48("aa")) "}"));
    entry_refused(CCA_OF(CCA_REALM ",\"personalization\":" HEX(X32("aa")), CCA_PLATFORM, ""),
        "realm.personalization");
    entry_refused(CCA_OF(CCA_REALM ",\"hash_algorithm\":[\"sha-1\"]", CCA_PLATFORM, ""),
        "realm.hash_algorithm");
    entry_refused(
        CCA_OF(CCA_REALM, "\"implementation_id\":" HEX(X32("11")), ""), "platform_token.lifecycle");
    entry_refused(
        CCA_OF(CCA_REALM, "\"lifecycle\":[\"secured\"]", ""), "platform_token.implementation_id");
    entry_refused(
        CCA_OF(CCA_REALM,
            "\"lifecycle\":[\"non-cca-platform-rot-debug\"],\"implementation_id\":" HEX(X32("11")),
            ""),
        "platform_token.lifecycle");
    entry_refused(
        CCA_OF(CCA_REALM, CCA_PLATFORM ",\"software\":\"none\"", ""), "platform_token.software");
    entry_refused(CCA_OF(CCA_REALM, CCA_PLATFORM ",\"software\":[{}]", ""),
        "platform_token.software[0].measurement");
    entry_refused(CCA_OF(CCA_REALM, CCA_PLATFORM ",\"x\":1", ""), "platform_token.x");
    entry_refused(CCA_OF(CCA_REALM, CCA_PLATFORM, ",\"key_class\":[\"silicon\"]"), "key_class");
}

Test(policy, aws_nitro)
{
#define NITRO_OF(pcrs, more) "{\"platform\":\"aws-nitro\",\"pcrs\":{" pcrs "}" more "}"
    entry_refused("{\"platform\":\"aws-nitro\",\"owner\":\"any\"}", "pcrs");
    entry_refused(NITRO_OF(PCR("0") ",\"32\":" HEX(X48("aa")), ",\"owner\":\"any\""), "pcrs.32");
    entry_refused(NITRO_OF("\"0\":" HEX(X48("00")), ",\"owner\":\"any\""), "pcrs.0");
    entry_refused(NITRO_OF("\"0\":[]", ",\"owner\":\"any\""), "pcrs.0");
    entry_taken(NITRO_OF(PCR("0"), ",\"owner\":\"any\""));
    entry_taken(NITRO_OF(PCR("0") "," PCR("4"), ""));
    entry_taken(NITRO_OF(PCR("1") "," PCR("2") "," PCR("8"), ",\"owner\":\"any\""));
    entry_refused(NITRO_OF(PCR("0"), ""), "owner");
}

Test(policy, every_truncation_is_refused)
{
    static const char text[] = "{\"workload\":\"w\",\"accept\":[" PSA "," CCA "," NITRO "]}";

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct ev_policy *policy = NULL;
        cr_expect_neq(ev_policy_parse(bh_span(text, len), &policy, NULL), BH_OK, "at %zu", len);
    }
}
