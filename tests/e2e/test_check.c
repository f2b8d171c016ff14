/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies that `beachhead-server check` must refuse, each rule by its file and field, by the real
 * program on a real folder.
 */
#include "own.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define X16(byte) byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte
#define H32 "[\"" X16("a1") X16("a1") "\"]"
#define H48 "[\"" X16("a1") X16("a1") X16("a1") "\"]"
#define ZERO32 "[\"" X16("00") X16("00") "\"]"
#define ZERO48 "[\"" X16("00") X16("00") X16("00") "\"]"

#define POLICY(entries) "{\"workload\":\"p\",\"accept\":[" entries "]}"
#define WITH(certificate)                                                                          \
    "{\"workload\":\"p\",\"certificate\":{" certificate "},\"accept\":[" NITRO "]}"

#define NITRO_OF(pcrs, more) "{\"platform\":\"aws-nitro\",\"pcrs\":{" pcrs "}" more "}"
#define NITRO NITRO_OF("\"0\":" H48 ",\"3\":" H48, "")
#define PSA_OF(members) "{\"platform\":\"psa\"" members "}"
#define CLASS ",\"key_class\":[\"silicon\"]"
#define IMPL ",\"implementation_id\":" H32
#define LIFE ",\"lifecycle\":[\"secured\"]"
#define SOFT ",\"software\":[{\"type\":\"PRoT\",\"measurement\":" H32 ",\"signer\":" H32 "}]"
#define PSA PSA_OF(CLASS IMPL LIFE SOFT)
#define CCA_OF(realm, platform, more)                                                              \
    "{\"platform\":\"arm-cca\",\"realm\":{" realm "},\"platform_token\":{" platform "}" more "}"
#define RIM "\"initial_measurement\":" H32
#define PLATFORM "\"lifecycle\":[\"secured\"],\"implementation_id\":" H32
#define CCA CCA_OF(RIM, PLATFORM, "")

static struct own o;

static void
setup(void)
{
    own_init(&o);
}

static void
teardown(void)
{
    own_end(&o);
}

TestSuite(check, .init = setup, .fini = teardown);

static int
check(const char *policy, json_t **ret_report)
{
    const char *const argv[] = {
        "beachhead-server", "check", "--dir", o.server.home, "--json", NULL};
    char *output = NULL;
    int rc;

    own_write_text(&o, "policy/p.json", policy);
    rc = bh_test_server_run(&o.server, argv, &output);
    *ret_report = json_loads(output, 0, NULL);
    cr_assert_not_null(*ret_report, "%s", output);
    free(output);
    return rc;
}

static void
must_take(const char *policy)
{
    json_t *report;
    const int rc = check(policy, &report);
    char *text = json_dumps(report, 0);

    cr_expect_eq(rc, 0, "%d: %s", rc, text);
    free(text);
    json_decref(report);
}

/* One error, in this file and field, that says what is wrong. */
static void
must_refuse(const char *policy, const char *field)
{
    json_t *report, *one;
    const int rc = check(policy, &report);
    char *text = json_dumps(report, 0);
    size_t i, found = 0;

    cr_expect_eq(rc, 1, "%d: %s: %s", rc, policy, text);
    json_array_foreach(json_object_get(report, "problems"), i, one)
    {
        cr_expect_str_eq(json_string_value(json_object_get(one, "file")), "policy/p.json");
        cr_expect_gt(strlen(json_string_value(json_object_get(one, "detail"))), 5);
        found += strcmp(json_string_value(json_object_get(one, "field")), field) == 0 &&
                 strcmp(json_string_value(json_object_get(one, "severity")), "error") == 0;
    }
    cr_expect_eq(found, 1, "%s: %s", field, text);
    free(text);
    json_decref(report);
}

Test(check, takes_what_is_right)
{
    must_take(POLICY(NITRO));
    must_take(POLICY(PSA "," CCA "," NITRO));
    must_take(POLICY(NITRO_OF("\"8\":" H48 ",\"1\":" H48 ",\"2\":" H48, ",\"owner\":\"any\"")));
    must_take(POLICY(PSA_OF(CLASS IMPL LIFE ",\"software\":\"none\"")));
}

Test(check, code_is_pinned)
{
    must_refuse(POLICY(NITRO_OF("\"3\":" H48, "")), "accept[0].pcrs");
    must_refuse(POLICY(NITRO_OF("\"8\":" H48 ",\"1\":" H48 ",\"3\":" H48, "")), "accept[0].pcrs");
    must_refuse(POLICY(CCA_OF("", PLATFORM, "")), "accept[0].realm.initial_measurement");
    must_refuse(POLICY(CCA_OF(RIM, "\"implementation_id\":" H32, "")),
        "accept[0].platform_token.lifecycle");
    must_refuse(POLICY(CCA_OF(RIM, "\"lifecycle\":[\"secured\"]", "")),
        "accept[0].platform_token.implementation_id");
    must_refuse(POLICY(PSA_OF(CLASS LIFE SOFT)), "accept[0].implementation_id");
    must_refuse(POLICY(PSA_OF(CLASS IMPL SOFT)), "accept[0].lifecycle");
    must_refuse(POLICY(PSA_OF(CLASS IMPL LIFE)), "accept[0].software");
    must_refuse(POLICY(PSA_OF(CLASS IMPL LIFE ",\"software\":[]")), "accept[0].software");
    must_refuse(POLICY(PSA_OF(IMPL LIFE SOFT)), "accept[0].key_class");
}

Test(check, owner_is_pinned)
{
    must_refuse(POLICY(NITRO_OF("\"0\":" H48, "")), "accept[0].owner");
    must_refuse(POLICY(NITRO_OF("\"0\":" H48, ",\"owner\":\"me\"")), "accept[0].owner");
}

Test(check, zeros_are_no_measurement)
{
    must_refuse(POLICY(NITRO_OF("\"0\":" ZERO48 ",\"3\":" H48, "")), "accept[0].pcrs.0");
    must_refuse(POLICY(CCA_OF("\"initial_measurement\":" ZERO32, PLATFORM, "")),
        "accept[0].realm.initial_measurement");
    must_refuse(POLICY(PSA_OF(CLASS LIFE SOFT ",\"implementation_id\":" ZERO32)),
        "accept[0].implementation_id");
    must_refuse(POLICY(PSA_OF(CLASS IMPL LIFE ",\"software\":[{\"measurement\":" ZERO32 "}]")),
        "accept[0].software[0].measurement");
}

Test(check, debug_is_said_aloud)
{
    must_refuse(POLICY(PSA_OF(CLASS IMPL SOFT ",\"lifecycle\":[\"non-psa-rot-debug\"]")),
        "accept[0].lifecycle");
    must_take(
        POLICY(PSA_OF(CLASS IMPL SOFT ",\"debug\":true,\"lifecycle\":[\"non-psa-rot-debug\"]")));
    must_refuse(
        POLICY(NITRO_OF("\"0\":" H48 ",\"3\":" H48, ",\"debug\":\"yes\"")), "accept[0].debug");
}

Test(check, one_kind_of_devices)
{
    must_refuse(POLICY(NITRO "," NITRO_OF("\"0\":" H48 ",\"3\":" H48, ",\"simulated\":true")),
        "accept[1].simulated");
    must_refuse(
        POLICY(NITRO_OF("\"0\":" H48 ",\"3\":" H48, ",\"simulated\":1")), "accept[0].simulated");
}

Test(check, platforms)
{
    must_refuse(POLICY("{\"platform\":\"amd-sev-snp\"}"), "accept[0].measurement");
    must_refuse(POLICY("{\"platform\":\"intel-sgx\"}"), "accept[0].mrenclave");
    must_refuse(POLICY("{\"platform\":\"intel-tdx\"}"), "accept[0].mrtd");
    must_refuse(POLICY("{\"platform\":\"nvidia-gpu\"}"), "accept[0].platform");
    must_refuse(POLICY("{\"platform\":\"abacus\"}"), "accept[0].platform");
    must_refuse(POLICY(NITRO ",{}"), "accept[1].platform");
}

Test(check, strict_reading)
{
    must_refuse(POLICY(NITRO_OF("\"0\":" H48 ",\"3\":" H48, ",\"pcr\":1")), "accept[0].pcr");
    must_refuse(POLICY(NITRO_OF("\"0\":" H48 ",\"32\":" H48, "")), "accept[0].pcrs.32");
    must_refuse(POLICY(NITRO_OF("\"0\":[\"A1\"],\"3\":" H48, "")), "accept[0].pcrs.0");
    must_refuse(POLICY(NITRO_OF("\"0\":[\"a1\"],\"3\":" H48, "")), "accept[0].pcrs.0");
    must_refuse(POLICY(NITRO_OF("\"0\":[],\"3\":" H48, "")), "accept[0].pcrs.0");
    must_refuse(
        POLICY(NITRO_OF("\"0\":" H48 ",\"3\":" H48, ",\"context\":[\"\"]")), "accept[0].context");
    must_refuse("{\"workload\":\"p\",\"accept\":[]}", "accept");
    must_refuse("{\"workload\":\"p\",\"surplus\":1,\"accept\":[" NITRO "]}", "surplus");
    must_refuse("{\"workload\":\"P\",\"accept\":[" NITRO "]}", "workload");
    must_refuse("{\"workload\":\"q\",\"accept\":[" NITRO "]}", "workload");
    must_refuse("{\"workload\":\"beachhead-x\",\"accept\":[" NITRO "]}", "workload");
}

Test(check, not_json)
{
    must_refuse("", "policy");
    must_refuse("{", "policy");
    must_refuse("{\"workload\":\"p\",\"workload\":\"p\",\"accept\":[" NITRO "]}", "policy");
    must_refuse(POLICY(NITRO) " {}", "policy");
    must_refuse(POLICY("{\"platform\":\"psa\",\"platform\":\"psa\"}"), "policy");
}

Test(check, certificate)
{
    must_refuse(WITH("\"lifetime\":\"24\""), "certificate.lifetime");
    must_refuse(WITH("\"lifetime\":\"0s\""), "certificate.lifetime");
    must_refuse(WITH("\"lifetime\":\"30d\""), "certificate.lifetime");
    must_refuse(WITH("\"keys\":[\"RSA-2048\"]"), "certificate.keys");
    must_refuse(WITH("\"keys\":[]"), "certificate.keys");
    must_refuse(WITH("\"dns\":[\"P.fleet.example\"]"), "certificate.dns");
    must_refuse(WITH("\"dns\":[\"*.fleet.example\"]"), "certificate.dns");
    must_refuse(WITH("\"dns\":[\"p.elsewhere.example\"]"), "certificate.dns[0]");
    must_refuse(WITH("\"ip\":[\"10.0.0.1\"]"), "certificate.ip");
}

/* Both are told, each by its own place. */
Test(check, every_problem_is_told)
{
    json_t *report;

    cr_expect_eq(check(POLICY(NITRO_OF("\"0\":" H48, "") "," PSA_OF(CLASS LIFE SOFT)), &report), 1);
    cr_expect_eq(json_array_size(json_object_get(report, "problems")), 2);
    json_decref(report);
}
