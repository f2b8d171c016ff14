/* SPDX-License-Identifier: Apache-2.0 */
/* Policy entries of intel-sgx and intel-tdx: what they must pin, and how they judge. */
#include "intel_forge.h"

#include "core/text.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define X2(b) b b
#define X4(b) X2(b) X2(b)
#define X8(b) X4(b) X4(b)
#define X16(b) X8(b) X8(b)
#define X32(b) X16(b) X16(b)
#define X48(b) X32(b) X16(b)
#define X64(b) X32(b) X32(b)

#define UTD "\"tcb_status\":[\"UpToDate\"]"
#define ANY "\"owner\":\"any\"," UTD
#define SGX(more) "{\"platform\":\"intel-sgx\",\"mrenclave\":[\"" X32("e1") "\"]," more "}"
#define SIGNED(more) "{\"platform\":\"intel-sgx\",\"mrsigner\":[\"" X32("51") "\"]," more "}"
#define TDX(more)                                                                                  \
    "{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"],\"rtmr\":{\"1\":[\"" X48(            \
        "a1") "\"],\"2\":[\"" X48("a2") "\"]}," more "}"

/* ---- what an entry must say ---- */

Test(intel_policy, entries_that_do_not_parse)
{
    static const struct {
        const char *entry, *check;
    } rows[] = {
        {"{\"platform\":\"intel-sgx\"," ANY "}", "mrenclave"},
        {SIGNED(ANY), "mrsigner"},
        {SIGNED("\"isv_prod_id\":3," ANY), "mrsigner"},
        {SIGNED("\"isv_svn_min\":3," ANY), "mrsigner"},
        {SGX("\"owner\":\"any\""), "tcb_status"},
        {SGX(UTD), "owner"},
        {SGX("\"owner\":\"any\",\"tcb_status\":[]"), "tcb_status"},
        {SGX("\"owner\":\"any\",\"tcb_status\":[\"Revoked\"]"), "tcb_status"},
        {SGX("\"owner\":\"any\",\"tcb_status\":[\"uptodate\"]"), "tcb_status"},
        {SGX("\"owner\":\"any\",\"tcb_status\":\"UpToDate\""), "tcb_status"},
        {SGX("\"mrtd\":[\"" X48("d1") "\"]," ANY), "mrtd"},
        {SGX("\"out_of_date_grace\":30," ANY), "out_of_date_grace"},
        {SGX("\"out_of_date_grace\":\"30\"," ANY), "out_of_date_grace"},
        {SGX("\"advisories_allowed\":[\"00615\"]," ANY), "advisories_allowed"},
        {SGX("\"advisories_refused\":[1]," ANY), "advisories_refused"},
        {SGX("\"tcb_evaluation_data_number_min\":0," ANY), "tcb_evaluation_data_number_min"},
        {SGX("\"revocation\":\"never\"," ANY), "revocation"},
        {SGX("\"revocation\":false," ANY), "revocation"},
        {SGX("\"fmspc\":[\"0080\"]," ANY), "fmspc"},
        {SGX("\"ppid\":[\"" X16("00") "\"]," UTD), "ppid"},
        {SGX("\"ppid\":[\"" X8("77") "\"]," UTD), "ppid"},
        {SGX("\"isv_prod_id\":[]," ANY), "isv_prod_id"},
        {SGX("\"isv_prod_id\":65536," ANY), "isv_prod_id"},
        {SGX("\"isv_prod_id\":\"3\"," ANY), "isv_prod_id"},
        {SGX("\"isv_svn_min\":-1," ANY), "isv_svn_min"},
        {SGX("\"config_id\":[\"" X32("c1") "\"]," ANY), "config_id"},
        {SGX("\"attributes\":{\"debug\":true}," ANY), "attributes.debug"},
        {SGX("\"attributes\":{\"kss\":1}," ANY), "attributes.kss"},
        {SGX("\"attributes\":[]," ANY), "attributes"},
        {"{\"platform\":\"intel-tdx\"," ANY "}", "mrtd"},
        {"{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"]," ANY "}", "rtmr.1"},
        {"{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"],\"rtmr\":{\"1\":[\"" X48(
             "a1") "\"]}," ANY "}",
            "rtmr.2"},
        {"{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"],\"rtmr\":{\"4\":[\"" X48(
             "a1") "\"]}," ANY "}",
            "rtmr.4"},
        {"{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("00") "\"]," ANY "}", "mrtd"},
        {TDX("\"owner\":\"any\""), "tcb_status"},
        {TDX(UTD), "owner"},
        {TDX("\"mrenclave\":[\"" X32("e1") "\"]," ANY), "mrenclave"},
        {TDX("\"td_attributes\":{\"debug\":true}," ANY), "td_attributes.debug"},
        {TDX("\"mrseam\":[\"" X32("5e") "\"]," ANY), "mrseam"},
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct ev_policy *policy = NULL;
        struct bh_diag diag = {0};
        char text[4096], check[BH_CHECK_MAX];

        (void)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", rows[i].entry);
        (void)snprintf(check, sizeof(check), "policy.accept[0].%s", rows[i].check);
        cr_expect_neq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s", text);
        cr_expect_str_eq(diag.check, check, "%s", text);
        cr_expect_neq(diag.detail[0], '\0');
        ev_policy_free(policy);
    }
}

/* ---- how an entry judges ---- */

struct row {
    const char *what;
    const char *entry;
    void (*make)(struct intel_plan *p); /* NULL: as planned */
    enum bh_err err;
    const char *check; /* NULL: accepted */
};

static void
debug(struct intel_plan *p)
{
    if (p->tdx)
        p->attributes[0] = 1;
    else
        p->attributes[0] |= 2;
}

static void
reserved_tud(struct intel_plan *p)
{
    p->attributes[0] = 0x80;
}

static void
no_crls(struct intel_plan *p)
{
    p->no_crls = true;
}

static void
old(struct intel_plan *p)
{
    p->pce_svn = 12; /* the level of 2026-01-01, which has an advisory */
}

static void
old_and_configuration(struct intel_plan *p)
{
    old(p);
    p->levels[1].status = "OutOfDateConfigurationNeeded";
}

static void
old_qe(struct intel_plan *p)
{
    p->qe_isv_svn = 7; /* the level of 2026-03-01 */
}

static void
provision_key(struct intel_plan *p)
{
    p->attributes[0] |= 0x10;
}

static void
not_initialised(struct intel_plan *p)
{
    p->attributes[0] = 4;
}

static void
reserved_attribute(struct intel_plan *p)
{
    p->attributes[7] = 0x80;
}

static void
migratable(struct intel_plan *p)
{
    p->attributes[3] |= 0x20;
}

static void
perfmon(struct intel_plan *p)
{
    p->attributes[7] |= 0x80;
}

static void
pks_without_sept(struct intel_plan *p)
{
    p->attributes[3] = 0x40;
}

static void
reserved_td_attribute(struct intel_plan *p)
{
    p->attributes[5] = 1;
}

static void
other_rtmr3(struct intel_plan *p)
{
    p->rtmr[3][0] = 1;
}

static void
try_row(const struct row *row, bool tdx)
{
    struct ev_report report = {0};
    struct ev_verdict verdict;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, tdx);
    if (row->make != NULL)
        row->make(&f.plan);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    cr_expect_eq(intel_appraise(&p, &trust, row->entry, &report, &verdict), row->err, "%s: %s",
        row->what, report.diag.detail);
    cr_expect_str_eq(report.diag.check, row->check != NULL ? row->check : "", "%s: %s", row->what,
        report.diag.detail);
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

#define OOD "\"owner\":\"any\",\"tcb_status\":[\"UpToDate\",\"OutOfDate\"]"
#define REFUSED(what, entry, make, check)                                                          \
    {                                                                                              \
        what, entry, make, BH_ERR_POLICY, check                                                    \
    }
#define ACCEPTED(what, entry, make)                                                                \
    {                                                                                              \
        what, entry, make, BH_OK, NULL                                                             \
    }

Test(intel_policy, sgx)
{
    static const struct row rows[] = {
        ACCEPTED("right", SGX(ANY), NULL),
        ACCEPTED("by signer", SIGNED("\"isv_prod_id\":3,\"isv_svn_min\":4," ANY), NULL),
        ACCEPTED("products", SIGNED("\"isv_prod_id\":[1,3],\"isv_svn_min\":0," ANY), NULL),
        ACCEPTED("owner", SGX("\"ppid\":[\"" X16("77") "\"]," UTD), NULL),
        ACCEPTED("model", SGX("\"fmspc\":[\"00806f050000\"]," ANY), NULL),
        ACCEPTED("configuration",
            SGX("\"config_id\":[\"" X64("c1") "\"],\"config_svn_min\":2,\"isv_family_id\":[\"" X16(
                "fa") "\"]," ANY),
            NULL),
        ACCEPTED("xfrm", SGX("\"xfrm\":[\"e700000000000000\"]," ANY), NULL),
        REFUSED("another enclave",
            "{\"platform\":\"intel-sgx\",\"mrenclave\":[\"" X32("e2") "\"]," ANY "}", NULL,
            "intel-sgx.mrenclave"),
        REFUSED("another signer", SGX("\"mrsigner\":[\"" X32("52") "\"]," ANY), NULL,
            "intel-sgx.mrsigner"),
        REFUSED("another product", SIGNED("\"isv_prod_id\":2,\"isv_svn_min\":4," ANY), NULL,
            "intel-sgx.isv_prod_id"),
        REFUSED("an old version", SIGNED("\"isv_prod_id\":3,\"isv_svn_min\":5," ANY), NULL,
            "intel-sgx.isv_svn"),
        REFUSED("another configuration", SGX("\"config_id\":[\"" X64("c2") "\"]," ANY), NULL,
            "intel-sgx.config_id"),
        REFUSED(
            "an old configuration", SGX("\"config_svn_min\":3," ANY), NULL, "intel-sgx.config_svn"),
        REFUSED("another family", SGX("\"isv_family_id\":[\"" X16("fb") "\"]," ANY), NULL,
            "intel-sgx.isv_family_id"),
        REFUSED("no extended product", SGX("\"isv_ext_prod_id\":[\"" X16("fb") "\"]," ANY), NULL,
            "intel-sgx.isv_ext_prod_id"),
        REFUSED(
            "another XFRM", SGX("\"xfrm\":[\"0300000000000000\"]," ANY), NULL, "intel-sgx.xfrm"),
        REFUSED(
            "another machine", SGX("\"ppid\":[\"" X16("78") "\"]," UTD), NULL, "intel-sgx.ppid"),
        REFUSED("another model", SGX("\"fmspc\":[\"00906ed50000\"]," ANY), NULL, "intel-sgx.fmspc"),
        REFUSED("debug", SGX(ANY), debug, "intel-sgx.debug"),
        ACCEPTED("debug that is allowed", SGX("\"debug\":true," ANY), debug),
        REFUSED(
            "the provisioning key", SGX(ANY), provision_key, "intel-sgx.attributes.provision_key"),
        ACCEPTED("permitted", SGX("\"attributes\":{\"provision_key\":true}," ANY), provision_key),
        REFUSED("KSS is required", SGX("\"attributes\":{\"kss\":true}," ANY), NULL,
            "intel-sgx.attributes.kss"),
        ACCEPTED("64 bits are required", SGX("\"attributes\":{\"mode64bit\":true}," ANY), NULL),
        REFUSED("not initialised", SGX(ANY), not_initialised, "intel-sgx.attributes.init"),
        REFUSED("a reserved bit", SGX(ANY), reserved_attribute, "intel-sgx.attributes.reserved"),
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++)
        try_row(&rows[i], false);
}

Test(intel_policy, tdx)
{
    static const struct row rows[] = {
        ACCEPTED("right", TDX(ANY), NULL),
        ACCEPTED("all",
            TDX("\"mrseam\":[\"" X48("5e") "\"],\"mrconfigid\":[\"" X48(
                "d2") "\"],\"mrowner\":[\"" X48("d3") "\"],\"mrownerconfig\":[\"" X48("d4") "\"],"
                                                                                            "\"xfam"
                                                                                            "\":["
                                                                                            "\"e700"
                                                                                            "000000"
                                                                                            "000000"
                                                                                            "\"]"
                                                                                            "," ANY),
            NULL),
        REFUSED(
            "another module", TDX("\"mrseam\":[\"" X48("5f") "\"]," ANY), NULL, "intel-tdx.mrseam"),
        REFUSED("another configuration", TDX("\"mrconfigid\":[\"" X48("d3") "\"]," ANY), NULL,
            "intel-tdx.mrconfigid"),
        REFUSED("another owner", TDX("\"mrowner\":[\"" X48("d4") "\"]," ANY), NULL,
            "intel-tdx.mrowner"),
        REFUSED("another owner's configuration", TDX("\"mrownerconfig\":[\"" X48("d5") "\"]," ANY),
            NULL, "intel-tdx.mrownerconfig"),
        REFUSED(
            "another XFAM", TDX("\"xfam\":[\"0300000000000000\"]," ANY), NULL, "intel-tdx.xfam"),
        REFUSED("a service TD where there is none", TDX("\"mrservicetd\":[\"" X48("d5") "\"]," ANY),
            NULL, "intel-tdx.mrservicetd"),
        REFUSED("another firmware",
            "{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d0") "\"],\"rtmr\":{\"1\":[\"" X48(
                "a1") "\"],\"2\":[\"" X48("a2") "\"]}," ANY "}",
            NULL, "intel-tdx.mrtd"),
        REFUSED("another kernel",
            "{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"],\"rtmr\":{\"1\":[\"" X48(
                "a0") "\"],\"2\":[\"" X48("a2") "\"]}," ANY "}",
            NULL, "intel-tdx.rtmr1"),
        REFUSED("another RTMR3",
            "{\"platform\":\"intel-tdx\",\"mrtd\":[\"" X48("d1") "\"],\"rtmr\":{\"1\":[\"" X48(
                "a1") "\"],\"2\":[\"" X48("a2") "\"],\"3\":[\"" X48("a3") "\"]}," ANY "}",
            other_rtmr3, "intel-tdx.rtmr3"),
        REFUSED("debug", TDX(ANY), debug, "intel-tdx.debug"),
        REFUSED("a reserved bit of the debug group", TDX(ANY), reserved_tud, "intel-tdx.debug"),
        ACCEPTED("debug that is allowed", TDX("\"debug\":true," ANY), debug),
        REFUSED("migratable", TDX(ANY), migratable, "intel-tdx.td_attributes.migratable"),
        ACCEPTED("permitted", TDX("\"td_attributes\":{\"migratable\":true}," ANY), migratable),
        REFUSED("perfmon", TDX(ANY), perfmon, "intel-tdx.td_attributes.perfmon"),
        ACCEPTED("permitted too", TDX("\"td_attributes\":{\"perfmon\":true}," ANY), perfmon),
        REFUSED("without SEPT_VE_DISABLE", TDX(ANY), pks_without_sept,
            "intel-tdx.td_attributes.sept_ve_disable"),
        ACCEPTED(
            "waived", TDX("\"td_attributes\":{\"sept_ve_disable\":false}," ANY), pks_without_sept),
        REFUSED(
            "a reserved bit", TDX(ANY), reserved_td_attribute, "intel-tdx.td_attributes.reserved"),
        REFUSED(
            "another machine", TDX("\"ppid\":[\"" X16("78") "\"]," UTD), NULL, "intel-tdx.ppid"),
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++)
        try_row(&rows[i], true);
}

Test(intel_policy, state_of_the_platform)
{
    static const struct row rows[] = {
        {"no lists", SGX(ANY), no_crls, BH_ERR_COLLATERAL_MISSING, "intel-sgx.pck_crl"},
        {"required aloud", SGX("\"revocation\":\"required\"," ANY), no_crls,
            BH_ERR_COLLATERAL_MISSING, "intel-sgx.pck_crl"},
        ACCEPTED("lists only if given", SGX("\"revocation\":\"if-given\"," ANY), no_crls),
        ACCEPTED("evaluation", SGX("\"tcb_evaluation_data_number_min\":19," ANY), NULL),
        REFUSED("an old evaluation", SGX("\"tcb_evaluation_data_number_min\":20," ANY), NULL,
            "intel-sgx.tcb_evaluation_data_number"),
        REFUSED("out of date", SGX(ANY), old, "intel-sgx.tcb_status"),
        ACCEPTED("accepted so", SGX(OOD), old),
        /* INTEL_NOW is 379 days and 8 hours after the level's date, and 320 days after the QE's. */
        ACCEPTED("in grace", SGX("\"out_of_date_grace\":\"380d\"," ANY), old),
        REFUSED(
            "after grace", SGX("\"out_of_date_grace\":\"379d\"," ANY), old, "intel-sgx.tcb_status"),
        ACCEPTED("the QE in grace", SGX("\"out_of_date_grace\":\"321d\"," ANY), old_qe),
        REFUSED("the QE after grace", SGX("\"out_of_date_grace\":\"320d\"," ANY), old_qe,
            "intel-sgx.tcb_status"),
        REFUSED("grace is for what is out of date only", SGX("\"out_of_date_grace\":\"380d\"," ANY),
            old_and_configuration, "intel-sgx.tcb_status"),
        ACCEPTED("and counts as the rest",
            SGX("\"out_of_date_grace\":\"380d\",\"owner\":\"any\","
                "\"tcb_status\":[\"ConfigurationNeeded\"]"),
            old_and_configuration),
        REFUSED("an advisory", SGX("\"advisories_refused\":[\"INTEL-SA-00001\"]," OOD), old,
            "intel-sgx.advisories"),
        REFUSED("one that is not allowed", SGX("\"advisories_allowed\":[\"INTEL-SA-00002\"]," OOD),
            old, "intel-sgx.advisories"),
        REFUSED(
            "none is allowed", SGX("\"advisories_allowed\":[]," OOD), old, "intel-sgx.advisories"),
        ACCEPTED("one that is", SGX("\"advisories_allowed\":[\"INTEL-SA-00001\"]," OOD), old),
        ACCEPTED("no advisory", SGX("\"advisories_allowed\":[]," ANY), NULL),
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++)
        try_row(&rows[i], false);
}

/* Only the root's list is missing. */
Test(intel_policy, half_of_revocation)
{
    struct ev_report report = {0};
    struct ev_verdict verdict;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, false);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    intel_drop(&p, "root_crl");
    cr_expect_eq(
        intel_appraise(&p, &trust, SGX(ANY), &report, &verdict), BH_ERR_COLLATERAL_MISSING);
    cr_expect_str_eq(report.diag.check, "intel-sgx.root_crl");
    cr_expect(strstr(report.diag.hint, "IntelSGXRootCA.der") != NULL, "%s", report.diag.hint);
    intel_drop(&p, "pck_crl");
    cr_expect_eq(
        intel_appraise(&p, &trust, SGX(ANY), &report, &verdict), BH_ERR_COLLATERAL_MISSING);
    cr_expect(strstr(report.diag.hint, "pckcrl?ca=platform&encoding=der") != NULL, "%s",
        report.diag.hint);
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

static const struct bh_ear_claim *
claim(const struct ev_verdict *verdict, const char *name)
{
    for (size_t i = 0; i < verdict->submod.claims_len; i++)
        if (strcmp(verdict->submod.claims[i].name, name) == 0)
            return &verdict->submod.claims[i];
    return NULL;
}

static void
expect_text(const struct ev_verdict *verdict, const char *name, const char *want)
{
    const struct bh_ear_claim *c = claim(verdict, name);

    cr_assert(c != NULL, "%s", name);
    cr_expect(c->text && bh_span_is(bh_span(c->value, c->len), want), "%s", name);
}

/* What the result says: statuses warn, debug warns, hardware ids stay out of the claims. */
Test(intel_policy, verdict)
{
    struct ev_report report = {.detailed = true};
    struct ev_verdict verdict;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;
    uint8_t ppid[16];

    memset(ppid, 0x77, sizeof(ppid));
    intel_forge_init(&f, false);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    cr_assert_eq(intel_appraise(&p, &trust, SGX(ANY), &report, &verdict), BH_OK);
    cr_expect_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_expect(claim(&verdict, "mrenclave") != NULL && claim(&verdict, "ppid") == NULL);
    expect_text(&verdict, "isvprodid", "3");
    expect_text(&verdict, "isvsvn", "4");
    expect_text(&verdict, "tcbStatus", "UpToDate");
    expect_text(&verdict, "tcbDate", "2026-11-01T00:00:00Z");
    expect_text(&verdict, "tcbEvaluationDataNumber", "19");
    cr_expect(bh_span_equal(
        bh_span(verdict.hardware_id, verdict.hardware_id_len), bh_span(ppid, sizeof(ppid))));
    cr_expect_eq(verdict.measurement_len, 32);
    cr_expect_eq(verdict.measurement[31], 0xe1);
    intel_pieces_clear(&p);
    old(&f.plan);
    debug(&f.plan);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    cr_assert_eq(intel_appraise(&p, &trust, SGX("\"debug\":true," OOD), &report, &verdict), BH_OK);
    cr_expect(verdict.debug);
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
    cr_expect_eq(verdict.submod.trust[BH_TRUST_HARDWARE], 32);
    expect_text(&verdict, "tcbStatus", "OutOfDate");
    expect_text(&verdict, "advisoryIDs", "INTEL-SA-00001");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

Test(intel_policy, statuses_that_warn)
{
    static const struct {
        const char *status;
        int8_t configuration, hardware;
    } rows[] = {
        {"UpToDate", 2, 2},
        {"SWHardeningNeeded", 2, 2},
        {"ConfigurationNeeded", 32, 2},
        {"ConfigurationAndSWHardeningNeeded", 32, 2},
        {"OutOfDate", 2, 32},
        {"OutOfDateConfigurationNeeded", 32, 32},
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct ev_report report = {0};
        struct ev_verdict verdict;
        struct intel_forge f;
        struct intel_pieces p;
        struct ev_trust trust;
        char entry[2048];

        intel_forge_init(&f, true);
        f.plan.levels[0].status = rows[i].status;
        intel_forge_make(&f, &p);
        intel_forge_trust(&f, &trust, false);
        (void)snprintf(
            entry, sizeof(entry), TDX("\"owner\":\"any\",\"tcb_status\":[\"%s\"]"), rows[i].status);
        cr_assert_eq(
            intel_appraise(&p, &trust, entry, &report, &verdict), BH_OK, "%s", report.diag.detail);
        cr_expect_eq(verdict.submod.trust[BH_TRUST_CONFIGURATION], rows[i].configuration);
        cr_expect_eq(verdict.submod.trust[BH_TRUST_HARDWARE], rows[i].hardware);
        cr_expect_eq(verdict.measurement_len, 48);
        cr_expect(claim(&verdict, "rtmr2") != NULL);
        intel_pieces_clear(&p);
        intel_forge_clear(&f);
    }
}
