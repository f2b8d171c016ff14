/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP: what a policy entry may say, and what each of its rules refuses. */
#include "snp_forge.h"

#include "evidence/policy.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define SNP(name) "amd-sev-snp." name
#define HEX16(x) x x x x x x x x x x x x x x x x
#define H32(x) HEX16(x) HEX16(x)
#define H48(x) H32(x) HEX16(x)
#define H64(x) H32(x) H32(x)

/* Members that together make a right entry. */
#define PRODUCT "\"product\":[\"Milan\"]"
#define TCB "\"tcb_min\":{\"Milan\":{\"bootloader\":4,\"tee\":0,\"snp\":22,\"microcode\":213}}"
#define VMPL "\"vmpl\":[0]"
#define CODE "\"measurement\":[\"" H48("a1") "\"]"
#define OWNER "\"owner\":\"any\""
#define PERMIT "\"guest_policy\":{\"smt\":true}"
#define RIGHT PRODUCT "," TCB "," VMPL "," CODE "," OWNER "," PERMIT
#define STATE PRODUCT "," TCB "," VMPL "," PERMIT

static struct ev_policy *
parse(const char *members, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL;
    char text[4096];

    (void)snprintf(text, sizeof(text),
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"amd-sev-snp\",\"simulated\":true,%s}]}",
        members);
    *diag = (struct bh_diag){0};
    if (ev_policy_parse(bh_span_str(text), &policy, diag) != BH_OK)
        return NULL;
    return policy;
}

/* ---- what an entry may say ---- */

static void
entry_refused(const char *members, const char *field)
{
    char check[BH_CHECK_MAX];
    struct bh_diag diag;
    struct ev_policy *policy = parse(members, &diag);

    (void)snprintf(check, sizeof(check), "policy.accept[0].%s", field);
    cr_expect_null(policy, "%s", members);
    cr_expect_str_eq(diag.check, check, "%s: %s", members, diag.detail);
    cr_expect(diag.detail[0] != '\0');
    ev_policy_free(policy);
}

Test(snp_policy, entries_that_are_right)
{
    static const char *const right[] = {
        RIGHT,
        STATE ",\"id_key_digest\":[\"" H48("c3") "\"],\"guest_svn_min\":0," OWNER,
        STATE "," CODE ",\"chip_id\":[\"" H64("77") "\",\"7777777777777777\"]",
        STATE "," CODE ",\"csp_id\":[\"" SNP_CSP "\"]",
        RIGHT ",\"debug\":true,\"context\":[\"01\"],\"host_data\":[\"" H32("b2") "\"]",
        RIGHT ",\"platform_info\":{\"alias_check_complete\":true,\"tsme\":false}",
        "\"product\":[\"Turin\",\"Genoa\"]," VMPL "," CODE "," OWNER
        ",\"tcb_min\":{\"Genoa\":{\"bootloader\":1,\"tee\":0,\"snp\":0,\"microcode\":0},"
        "\"Turin\":{\"fmc\":1,\"bootloader\":1,\"tee\":0,\"snp\":0,\"microcode\":255}}"
        ",\"launch_tcb_min\":{\"Genoa\":{\"bootloader\":1,\"tee\":0,\"snp\":0,\"microcode\":0}}",
    };

    for (size_t i = 0; i < BH_COUNT(right); i++) {
        struct bh_diag diag;
        struct ev_policy *policy = parse(right[i], &diag);

        cr_expect_not_null(policy, "%s: %s %s", right[i], diag.check, diag.detail);
        ev_policy_free(policy);
    }
}

Test(snp_policy, entries_that_do_not_pin)
{
    entry_refused(STATE "," OWNER, "measurement");
    entry_refused(STATE "," OWNER ",\"guest_svn_min\":4", "measurement");
    entry_refused(STATE "," OWNER ",\"id_key_digest\":[\"" H48("c3") "\"]", "guest_svn_min");
    entry_refused(STATE "," OWNER ",\"author_key_digest\":[\"" H48("c3") "\"]", "measurement");
    entry_refused(STATE "," CODE, "owner");
    entry_refused(TCB "," VMPL "," CODE "," OWNER, "product");
    entry_refused(PRODUCT "," VMPL "," CODE "," OWNER, "tcb_min");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER, "vmpl");
    entry_refused(
        "\"product\":[\"Milan\",\"Genoa\"]," TCB "," VMPL "," CODE "," OWNER, "tcb_min.Genoa");
}

#define MILAN_TCB(members) "\"tcb_min\":{\"Milan\":{" members "}}"
#define WITH_TCB(tcb) PRODUCT "," VMPL "," CODE "," OWNER "," tcb

Test(snp_policy, entries_that_are_wrong)
{
    entry_refused(RIGHT ",\"report_id\":[\"" H32("01") "\"]", "report_id");
    entry_refused(PRODUCT "," TCB "," VMPL "," OWNER ",\"measurement\":[]", "measurement");
    entry_refused(
        PRODUCT "," TCB "," VMPL "," OWNER ",\"measurement\":[\"" H32("a1") "\"]", "measurement");
    entry_refused(
        PRODUCT "," TCB "," VMPL "," OWNER ",\"measurement\":[\"" H48("00") "\"]", "measurement");
    entry_refused(RIGHT ",\"host_data\":[\"" H48("a1") "\"]", "host_data");
    entry_refused(RIGHT ",\"chip_id\":[\"" H32("a1") "\"]", "chip_id");
    entry_refused(RIGHT ",\"chip_id\":[\"a1\"]", "chip_id");
    entry_refused(RIGHT ",\"csp_id\":[]", "csp_id");
    entry_refused(RIGHT ",\"csp_id\":[\"\"]", "csp_id");
    entry_refused(RIGHT ",\"csp_id\":[7]", "csp_id");
    entry_refused(RIGHT ",\"csp_id\":\"x\"", "csp_id");
    entry_refused(RIGHT ",\"guest_svn_min\":-1", "guest_svn_min");
    entry_refused(RIGHT ",\"guest_svn_min\":4294967296", "guest_svn_min");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":[]", "vmpl");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":[4]", "vmpl");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":[-1]", "vmpl");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":[\"0\"]", "vmpl");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":[1,1]", "vmpl");
    entry_refused(PRODUCT "," TCB "," CODE "," OWNER ",\"vmpl\":0", "vmpl");
    entry_refused("\"product\":[\"Rome\"]," TCB "," VMPL "," CODE "," OWNER, "product");
    entry_refused("\"product\":[]," TCB "," VMPL "," CODE "," OWNER, "product");
    entry_refused(WITH_TCB("\"tcb_min\":4"), "tcb_min");
    entry_refused(WITH_TCB("\"tcb_min\":{}"), "tcb_min.Milan");
    entry_refused(WITH_TCB("\"tcb_min\":{\"Milan\":4}"), "tcb_min.Milan");
    entry_refused(WITH_TCB("\"tcb_min\":{\"Turin\":{}}"), "tcb_min.Turin");
    entry_refused(
        WITH_TCB(MILAN_TCB("\"bootloader\":4,\"tee\":0,\"snp\":22")), "tcb_min.Milan.microcode");
    entry_refused(
        WITH_TCB(MILAN_TCB("\"bootloader\":4,\"tee\":0,\"snp\":22,\"microcode\":1,\"fmc\":1")),
        "tcb_min.Milan.fmc");
    entry_refused(WITH_TCB(MILAN_TCB("\"bootloader\":256,\"tee\":0,\"snp\":22,\"microcode\":1")),
        "tcb_min.Milan.bootloader");
    entry_refused(WITH_TCB(MILAN_TCB("\"bootloader\":0,\"tee\":0,\"snp\":0,\"microcode\":0")),
        "tcb_min.Milan.bootloader");
    entry_refused(
        RIGHT ",\"launch_tcb_min\":{\"Milan\":{\"bootloader\":4}}", "launch_tcb_min.Milan.tee");
    entry_refused(RIGHT ",\"tcb_current_min\":{\"Genoa\":{}}", "tcb_current_min.Genoa");
    entry_refused(PRODUCT "," TCB "," VMPL "," CODE "," OWNER ",\"guest_policy\":{\"debug\":true}",
        "guest_policy.debug");
    entry_refused(PRODUCT "," TCB "," VMPL "," CODE "," OWNER ",\"guest_policy\":{\"smt\":1}",
        "guest_policy.smt");
    entry_refused(RIGHT ",\"platform_info\":{\"rapl\":true}", "platform_info.rapl");
    entry_refused(RIGHT ",\"platform_info\":{\"ecc\":\"yes\"}", "platform_info.ecc");
    entry_refused(RIGHT ",\"platform_info\":[]", "platform_info");
}

/* ---- appraisal ---- */

static struct snp_keys keys;
static struct ev_verdict verdict;

static void
setup(void)
{
    snp_keys_make(&keys);
}

static void
teardown(void)
{
    snp_keys_clear(&keys);
}

TestSuite(snp_appraise, .init = setup, .fini = teardown);

static enum bh_err
appraise(const struct snp_plan *plan, const char *members, struct snp_collateral *collateral,
    struct ev_report *report)
{
    struct bh_diag diag;
    struct ev_policy *policy = parse(members, &diag);
    struct ev_evidence *ev = NULL;
    struct snp_forged f;
    struct ev_trust trust;
    uint8_t *crl = NULL;
    enum bh_err e;

    cr_assert_not_null(policy, "%s: %s", members, diag.detail);
    snp_forge(&f, &keys, plan);
    snp_trust(&trust, f.ark, true);
    if (collateral != NULL) {
        crl = snp_crl(f.ark, keys.ark, SNP_NOW, SNP_NOW + SNP_DAY, 0, &collateral->crl.len);
        collateral->crl.ptr = crl;
        snp_use(&trust, collateral);
    }
    cr_assert_eq(snp_judge(&f.parts, &trust, report, &ev), BH_OK, "%s", report->diag.detail);
    memset(&verdict, 0, sizeof(verdict));
    e = ev_appraise(ev, policy, bh_span_none(), report, &verdict);
    OPENSSL_free(crl);
    ev_evidence_free(ev);
    snp_forged_clear(&f);
    ev_policy_free(policy);
    return e;
}

static void
accepted(const struct snp_plan *plan, const char *members)
{
    struct ev_report report;

    ev_report_init(&report, true);
    cr_assert_eq(
        appraise(plan, members, NULL, &report), BH_OK, "%s: %s", members, report.diag.detail);
}

static void
refused(const struct snp_plan *plan, const char *members, const char *check)
{
    struct ev_report report;

    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        cr_assert_eq(
            appraise(plan, members, NULL, &report), BH_ERR_POLICY, "%s: %s", members, check);
        cr_assert_str_eq(report.diag.check, check, "%s", report.diag.detail);
        cr_assert(report.diag.expected[0] != '\0' && report.diag.found[0] != '\0');
        cr_assert(report.diag.hint[0] != '\0');
    }
}

static const struct bh_ear_claim *
claim(const char *name)
{
    for (size_t i = 0; i < verdict.submod.claims_len; i++)
        if (strcmp(verdict.submod.claims[i].name, name) == 0)
            return &verdict.submod.claims[i];
    return NULL;
}

Test(snp_appraise, the_verdict)
{
    struct snp_collateral collateral = {0};
    struct snp_plan plan;
    struct ev_report report;

    snp_plan(&plan, &keys, "Milan", 3, false);
    accepted(&plan, RIGHT);
    cr_expect_str_eq(verdict.submod.platform, "amd-sev-snp");
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING); /* simulated */
    cr_expect_not(verdict.debug);
    cr_expect_eq(verdict.measurement_len, 48);
    cr_expect_eq(verdict.measurement[0], 0xa1);
    cr_expect_eq(verdict.hardware_id_len, 64);
    cr_expect_eq(verdict.hardware_id[63], 0x77);
    cr_expect_eq(verdict.not_after, SNP_NOW + 300 * SNP_DAY, "the VCEK's end");
    cr_expect_not_null(claim("measurement"));
    cr_expect_not_null(claim("reported_tcb"));
    cr_expect_eq(memcmp(claim("product")->value, "Milan", 5), 0);
    cr_expect_null(claim("chip_id"), "certificates carry no hardware identity");
    ev_report_init(&report, false);
    cr_expect_eq(appraise(&plan, RIGHT, &collateral, &report), BH_OK);
    cr_expect_eq(verdict.not_after, SNP_NOW + SNP_DAY, "the revocation list's nextUpdate");
    snp_plan(&plan, &keys, "Milan", 3, true);
    accepted(&plan, RIGHT);
    cr_expect_eq(verdict.hardware_id_len, 0, "a VLEK is of no chip");
    cr_expect_not_null(claim("csp_id"));
    plan.ask.not_after = SNP_NOW + 7;
    accepted(&plan, RIGHT);
    cr_expect_eq(verdict.not_after, SNP_NOW + 7, "the ASVK's end");
}

Test(snp_appraise, debug)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_put64(&plan, AT_POLICY, 0xb001f);
    refused(&plan, RIGHT, SNP("debug"));
    refused(&plan, RIGHT ",\"debug\":false", SNP("debug"));
    accepted(&plan, RIGHT ",\"debug\":true");
    cr_expect(verdict.debug);
    cr_expect_eq(verdict.submod.trust[BH_TRUST_CONFIGURATION], 32);
}

Test(snp_appraise, privilege_level)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    for (uint32_t level = 1; level < 5; level++) {
        snp_put32(&plan, AT_VMPL, level);
        refused(&plan, RIGHT, SNP("vmpl"));
    }
    snp_put32(&plan, AT_VMPL, 1);
    accepted(&plan, PRODUCT "," TCB "," CODE "," OWNER "," PERMIT ",\"vmpl\":[0,1]");
    /* What the host may ask for by itself. */
    snp_put32(&plan, AT_VMPL, UINT32_MAX);
    refused(
        &plan, PRODUCT "," TCB "," CODE "," OWNER "," PERMIT ",\"vmpl\":[0,1,2,3]", SNP("vmpl"));
    snp_put32(&plan, AT_VMPL, 32);
    refused(&plan, RIGHT, SNP("vmpl"));
}

#define TURIN_TCB(fmc, bl, tee, snp, ucode)                                                        \
    "\"product\":[\"Turin\"],\"tcb_min\":{\"Turin\":{\"fmc\":" #fmc ",\"bootloader\":" #bl         \
    ",\"tee\":" #tee ",\"snp\":" #snp ",\"microcode\":" #ucode "}}," VMPL "," CODE "," OWNER       \
    "," PERMIT
#define MILAN_MIN(name, bl, tee, snp, ucode)                                                       \
    ",\"" name "\":{\"Milan\":{\"bootloader\":" #bl ",\"tee\":" #tee ",\"snp\":" #snp              \
    ",\"microcode\":" #ucode "}}"

Test(snp_appraise, tcb_minimums)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Turin", 5, false);
    accepted(&plan, TURIN_TCB(1, 4, 2, 22, 213));
    refused(&plan, TURIN_TCB(2, 4, 2, 22, 213), SNP("tcb.fmc"));
    refused(&plan, TURIN_TCB(1, 5, 2, 22, 213), SNP("tcb.bootloader"));
    refused(&plan, TURIN_TCB(1, 4, 3, 22, 213), SNP("tcb.tee"));
    refused(&plan, TURIN_TCB(1, 4, 2, 23, 213), SNP("tcb.snp"));
    refused(&plan, TURIN_TCB(1, 4, 2, 22, 214), SNP("tcb.microcode"));
    refused(&plan, RIGHT, SNP("product"));
    snp_plan(&plan, &keys, "Milan", 3, false);
    refused(&plan, TURIN_TCB(1, 4, 2, 22, 213), SNP("product"));
    accepted(&plan, RIGHT MILAN_MIN("launch_tcb_min", 4, 2, 22, 213));
    refused(&plan, RIGHT MILAN_MIN("launch_tcb_min", 4, 2, 22, 214), SNP("launch_tcb.microcode"));
    accepted(&plan, RIGHT MILAN_MIN("tcb_current_min", 5, 2, 24, 215));
    refused(&plan, RIGHT MILAN_MIN("tcb_current_min", 5, 2, 25, 215), SNP("current_tcb.snp"));
}

Test(snp_appraise, order_of_tcbs)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_tcb(&plan, AT_COMMITTED_TCB, 0, 4, 2, 21, 214);
    refused(&plan, RIGHT, SNP("tcb.order"));
    snp_tcb(&plan, AT_COMMITTED_TCB, 0, 4, 2, 23, 216);
    refused(&plan, RIGHT, SNP("tcb.order"));
    /* As one number the right order, by components not. */
    snp_tcb(&plan, AT_COMMITTED_TCB, 0, 3, 2, 30, 214);
    snp_tcb(&plan, AT_CURRENT_TCB, 0, 9, 9, 99, 220);
    refused(&plan, RIGHT, SNP("tcb.order"));
    snp_tcb(&plan, AT_COMMITTED_TCB, 0, 4, 2, 22, 213);
    snp_tcb(&plan, AT_CURRENT_TCB, 0, 4, 2, 22, 213);
    accepted(&plan, RIGHT);
}

Test(snp_appraise, guest_policy)
{
    static const struct {
        uint64_t bit;
        const char *check, *permitted;
    } bits[] = {
        {16, SNP("policy.smt"), "\"smt\":true"},
        {18, SNP("policy.migrate_ma"), "\"migrate_ma\":true"},
        {21, SNP("policy.cxl"), "\"cxl\":true"},
    };
    static const struct {
        uint64_t bit;
        const char *check, *demanded;
    } demands[] = {
        {20, SNP("policy.single_socket"), "\"single_socket\":true"},
        {22, SNP("policy.aes_256_xts"), "\"aes_256_xts\":true"},
        {23, SNP("policy.rapl_dis"), "\"rapl_dis\":true"},
        {24, SNP("policy.ciphertext_hiding"), "\"ciphertext_hiding\":true"},
        {25, SNP("policy.page_swap_disable"), "\"page_swap_disable\":true"},
    };
    static const char base[] = PRODUCT "," TCB "," VMPL "," CODE "," OWNER;
    struct snp_plan plan;
    char members[1024];

    snp_plan(&plan, &keys, "Milan", 3, false);
    for (size_t i = 0; i < BH_COUNT(bits); i++) {
        snp_put64(&plan, AT_POLICY, UINT64_C(1) << bits[i].bit | 0x2001f);
        refused(&plan, base, bits[i].check);
        (void)snprintf(
            members, sizeof(members), "%s,\"guest_policy\":{%s}", base, bits[i].permitted);
        accepted(&plan, members);
    }
    for (size_t i = 0; i < BH_COUNT(demands); i++) {
        (void)snprintf(
            members, sizeof(members), "%s,\"guest_policy\":{%s}", base, demands[i].demanded);
        snp_put64(&plan, AT_POLICY, 0x2001f);
        refused(&plan, members, demands[i].check);
        snp_put64(&plan, AT_POLICY, UINT64_C(1) << demands[i].bit | 0x2001f);
        accepted(&plan, members);
        accepted(&plan, base); /* stricter than what was asked for */
    }
    for (uint64_t bit = 26; bit < 64; bit += 37) {
        snp_put64(&plan, AT_POLICY, UINT64_C(1) << bit | 0x3001f);
        refused(&plan, RIGHT, SNP("policy.reserved"));
    }
}

Test(snp_appraise, platform_info)
{
    static const struct {
        unsigned bit;
        const char *name;
    } bits[] = {{0, "smt"}, {1, "tsme"}, {2, "ecc"}, {3, "rapl_dis"}, {4, "ciphertext_hiding"},
        {5, "alias_check_complete"}, {7, "tio"}};
    struct snp_plan plan;
    char want_set[1024], want_clear[1024], check[BH_CHECK_MAX];

    snp_plan(&plan, &keys, "Milan", 3, false);
    for (size_t i = 0; i < BH_COUNT(bits); i++) {
        (void)snprintf(check, sizeof(check), SNP("platform_info.%s"), bits[i].name);
        (void)snprintf(
            want_set, sizeof(want_set), "%s,\"platform_info\":{\"%s\":true}", RIGHT, bits[i].name);
        (void)snprintf(want_clear, sizeof(want_clear), "%s,\"platform_info\":{\"%s\":false}", RIGHT,
            bits[i].name);
        snp_put64(&plan, AT_PLATFORM_INFO, ~(UINT64_C(1) << bits[i].bit));
        refused(&plan, want_set, check);
        accepted(&plan, want_clear);
        snp_put64(&plan, AT_PLATFORM_INFO, UINT64_C(1) << bits[i].bit);
        accepted(&plan, want_set);
        refused(&plan, want_clear, check);
    }
    /* Bits that no specification explains are set in genuine reports. */
    snp_put64(&plan, AT_PLATFORM_INFO, UINT64_MAX);
    accepted(&plan, RIGHT);
}

#define PIN(name, value) STATE "," OWNER "," CODE ",\"" name "\":[\"" value "\"]"

Test(snp_appraise, claims)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    refused(&plan, STATE "," OWNER ",\"measurement\":[\"" H48("a2") "\"]", SNP("measurement"));
    accepted(&plan, STATE "," OWNER ",\"measurement\":[\"" H48("a2") "\",\"" H48("a1") "\"]");
    accepted(&plan, PIN("host_data", H32("b2")));
    refused(&plan, PIN("host_data", H32("b3")), SNP("host_data"));
    accepted(&plan, PIN("id_key_digest", H48("c3")));
    refused(&plan, PIN("id_key_digest", H48("c4")), SNP("id_key_digest"));
    accepted(&plan, PIN("author_key_digest", H48("d4")));
    refused(&plan, PIN("author_key_digest", H48("d5")), SNP("author_key_digest"));
    accepted(&plan, PIN("family_id", HEX16("e5")));
    refused(&plan, PIN("family_id", HEX16("e6")), SNP("family_id"));
    accepted(&plan, PIN("image_id", HEX16("f6")));
    refused(&plan, PIN("image_id", HEX16("f7")), SNP("image_id"));
    accepted(&plan, RIGHT ",\"guest_svn_min\":7");
    refused(&plan, RIGHT ",\"guest_svn_min\":8", SNP("guest_svn"));
    accepted(&plan, STATE "," OWNER ",\"id_key_digest\":[\"" H48("c3") "\"],\"guest_svn_min\":7");
    memset(plan.report + AT_HOST_DATA, 0, 32);
    refused(&plan, PIN("host_data", H32("b2")), SNP("host_data"));
}

#define OWNED STATE "," CODE

Test(snp_appraise, owners)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    accepted(&plan, OWNED ",\"chip_id\":[\"" H64("77") "\"]");
    refused(&plan, OWNED ",\"chip_id\":[\"" H64("78") "\"]", SNP("chip_id"));
    refused(&plan, OWNED ",\"chip_id\":[\"7777777777777777\"]", SNP("chip_id"));
    refused(&plan, OWNED ",\"csp_id\":[\"" SNP_CSP "\"]", SNP("csp_id"));
    snp_plan(&plan, &keys, "Milan", 3, true);
    accepted(&plan, OWNED ",\"csp_id\":[\"another\",\"" SNP_CSP "\"]");
    refused(&plan, OWNED ",\"csp_id\":[\"another\"]", SNP("csp_id"));
    refused(&plan, OWNED ",\"csp_id\":[\"" SNP_CSP "x\"]", SNP("csp_id"));
    refused(&plan, OWNED ",\"chip_id\":[\"" H64("77") "\"]", SNP("chip_id"));
    /* All claims of an entry hold: the chip's and the provider's. */
    memset(plan.report + AT_CHIP_ID, 0x77, 64);
    accepted(&plan, OWNED ",\"csp_id\":[\"" SNP_CSP "\"],\"chip_id\":[\"" H64("77") "\"]");
    refused(&plan, OWNED ",\"csp_id\":[\"" SNP_CSP "\"],\"chip_id\":[\"" H64("78") "\"]",
        SNP("chip_id"));
    refused(&plan, OWNED ",\"csp_id\":[\"x\"],\"chip_id\":[\"" H64("77") "\"]", SNP("csp_id"));
}

#define TURIN                                                                                      \
    "\"product\":[\"Turin\"],\"tcb_min\":{\"Turin\":{\"fmc\":1,\"bootloader\":1,\"tee\":1,"        \
    "\"snp\":1,\"microcode\":1}}," VMPL "," CODE "," PERMIT

Test(snp_appraise, chip_of_a_turin)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Turin", 5, false);
    accepted(&plan, TURIN ",\"chip_id\":[\"7777777777777777\"]");
    cr_expect_eq(verdict.hardware_id_len, 8);
    accepted(&plan, TURIN ",\"chip_id\":[\"7777777777777777" H48("00") "0000000000000000\"]");
    refused(&plan, TURIN ",\"chip_id\":[\"7777777777777778\"]", SNP("chip_id"));
    refused(&plan, TURIN ",\"chip_id\":[\"" H64("77") "\"]", SNP("chip_id"));
}
