/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP evidence that is wrong in one way each: the report, its certificate, its chain. */
#include "snp_forge.h"

#include "support/mutate.h"

#include <criterion/criterion.h>

static struct snp_keys keys;

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

TestSuite(snp_forged, .init = setup, .fini = teardown);

static const char *const products[] = {"Milan", "Genoa", "Turin"};

Test(snp_forged, every_product_version_and_key)
{
    struct snp_plan plan;

    for (size_t i = 0; i < BH_COUNT(products); i++)
        for (unsigned version = 2; version <= 5; version++)
            for (int vlek = 0; vlek < 2; vlek++) {
                snp_plan(&plan, &keys, products[i], version, vlek != 0);
                if (version == 2 && i == 2)
                    snp_forge_refused(&keys, &plan, BH_ERR_EVIDENCE_MALFORMED,
                        "amd-sev-snp.reserved", "Turin in version 2");
                else
                    snp_forge_holds(&keys, &plan, products[i]);
            }
    snp_plan(&plan, &keys, "Milan", 3, false);
    plan.leaf.leaf.hwid_wrapped = true;
    snp_forge_holds(&keys, &plan, "hwid in an OCTET STRING");
    snp_plan(&plan, &keys, "Milan", 2, false);
    plan.leaf.leaf.product = "Milan-B0";
    snp_forge_holds(&keys, &plan, "a product with its stepping");
    snp_plan(&plan, &keys, "Genoa", 4, false);
    plan.report[AT_CPUID + 1] = 0xa0; /* Bergamo and Siena are of this product */
    snp_forge_holds(&keys, &plan, "Genoa, model A0h");
    snp_plan(&plan, &keys, "Milan", 3, true);
    memset(plan.report + AT_CHIP_ID, 0x77, 64);
    snp_forge_holds(&keys, &plan, "a chip id beside a VLEK");
    plan.leaf.not_before = SNP_NOW;
    plan.leaf.not_after = SNP_NOW;
    snp_forge_holds(&keys, &plan, "the last second");
}

/* ---- reports that are not well-formed ---- */

struct patch {
    const char *what;
    size_t at;
    uint8_t value;
    enum bh_err err;
    const char *check;
};

#define MALFORMED BH_ERR_EVIDENCE_MALFORMED
#define SNP(name) "amd-sev-snp." name

static void
try_patches(const struct patch *patches, size_t count, unsigned version)
{
    for (size_t i = 0; i < count; i++) {
        struct snp_plan plan;

        snp_plan(&plan, &keys, "Milan", version, false);
        plan.report[patches[i].at] = patches[i].value;
        snp_forge_refused(&keys, &plan, patches[i].err, patches[i].check, patches[i].what);
    }
}

Test(snp_forged, reports_that_are_not_well_formed)
{
    static const struct patch any[] = {
        {"version 1", AT_VERSION, 1, BH_ERR_UNSUPPORTED, SNP("version")},
        {"version 6", AT_VERSION, 6, BH_ERR_UNSUPPORTED, SNP("version")},
        {"version 259", AT_VERSION + 1, 1, BH_ERR_UNSUPPORTED, SNP("version")},
        {"another algorithm", AT_ALGO, 2, MALFORMED, SNP("signature_algo")},
        {"no algorithm", AT_ALGO, 0, MALFORMED, SNP("signature_algo")},
        {"a signing key that is reserved", AT_FLAGS, 2 << 2, MALFORMED, SNP("signing_key")},
        {"a reserved flag", AT_FLAGS, 0x20, MALFORMED, SNP("reserved")},
        {"a reserved flag above", AT_FLAGS + 3, 0x80, MALFORMED, SNP("reserved")},
        {"reserved behind the flags", AT_FLAGS + 4, 1, MALFORMED, SNP("reserved")},
        {"policy without bit 17", AT_POLICY + 2, 1, MALFORMED, SNP("policy")},
        {"a reserved byte of REPORTED_TCB", AT_REPORTED_TCB + 2, 1, MALFORMED, SNP("reserved")},
        {"a reserved byte of COMMITTED_TCB", AT_COMMITTED_TCB + 5, 1, MALFORMED, SNP("reserved")},
        {"a reserved byte of CURRENT_TCB", AT_CURRENT_TCB + 4, 1, MALFORMED, SNP("reserved")},
        {"a reserved byte of LAUNCH_TCB", AT_LAUNCH_TCB + 3, 1, MALFORMED, SNP("reserved")},
        {"behind the CPUID", AT_CPUID + 3, 1, MALFORMED, SNP("reserved")},
        {"before the chip id", AT_CHIP_ID - 1, 1, MALFORMED, SNP("reserved")},
        {"behind the current version", 0x1eb, 1, MALFORMED, SNP("reserved")},
        {"behind the committed version", 0x1ef, 1, MALFORMED, SNP("reserved")},
        {"behind the mitigation vectors", 0x208, 1, MALFORMED, SNP("reserved")},
        {"before the signature", 0x29f, 1, MALFORMED, SNP("reserved")},
        {"behind the signature", 0x330, 1, MALFORMED, SNP("reserved")},
        {"the last byte", 0x49f, 1, MALFORMED, SNP("reserved")},
    };
    static const struct patch before_5[] = {
        {"a launch mitigation vector", AT_MIT_VECTORS, 1, MALFORMED, SNP("reserved")},
        {"a current mitigation vector", AT_MIT_VECTORS + 15, 1, MALFORMED, SNP("reserved")},
    };
    static const struct patch before_3[] = {
        {"a family", AT_CPUID, 0x19, MALFORMED, SNP("reserved")},
    };
    static const struct patch since_3[] = {
        {"an unknown family", AT_CPUID, 0x1b, BH_ERR_UNSUPPORTED, SNP("product")},
        {"no family", AT_CPUID, 0, BH_ERR_UNSUPPORTED, SNP("product")},
        {"an unknown model", AT_CPUID + 1, 0x20, BH_ERR_UNSUPPORTED, SNP("product")},
    };

    for (unsigned version = 2; version <= 5; version++) {
        try_patches(any, BH_COUNT(any), version);
        if (version < 5)
            try_patches(before_5, BH_COUNT(before_5), version);
        if (version < 3)
            try_patches(before_3, BH_COUNT(before_3), version);
        else
            try_patches(since_3, BH_COUNT(since_3), version);
    }
}

Test(snp_forged, a_signature_that_is_none)
{
    struct snp_plan plan;
    struct snp_forged f;
    struct ev_trust trust;
    struct ev_report report;

    snp_plan(&plan, &keys, "Milan", 3, false);
    plan.unsigned_report = true;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("signature"), "zeros");
    snp_plan(&plan, &keys, "Milan", 3, false);
    plan.signs = keys.stranger_ec;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("signature"), "another key's");
    /* R and S end where 48 bytes end; and each must count. */
    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_forge(&f, &keys, &plan);
    snp_trust(&trust, f.ark, true);
    for (size_t i = 48; i < 72; i += 23)
        for (size_t k = 0; k < 2; k++) {
            f.report[AT_SIGNATURE + 72 * k + i] = 1;
            ev_report_init(&report, false);
            cr_assert_eq(snp_judge(&f.parts, &trust, &report, NULL), MALFORMED);
            cr_assert_str_eq(report.diag.check, SNP("signature"));
            f.report[AT_SIGNATURE + 72 * k + i] = 0;
        }
    for (size_t k = 0; k < 2; k++) {
        uint8_t kept[48];

        memcpy(kept, f.report + AT_SIGNATURE + 72 * k, sizeof(kept));
        for (int fill = 0; fill < 2; fill++) {
            memset(f.report + AT_SIGNATURE + 72 * k, fill != 0 ? 0xff : 0, sizeof(kept));
            ev_report_init(&report, false);
            cr_assert_eq(snp_judge(&f.parts, &trust, &report, NULL), BH_ERR_NOT_AUTHENTIC);
            cr_assert_str_eq(report.diag.check, SNP("signature"));
        }
        memcpy(f.report + AT_SIGNATURE + 72 * k, kept, sizeof(kept));
    }
    ev_report_init(&report, false);
    cr_assert_eq(snp_judge(&f.parts, &trust, &report, NULL), BH_OK);
    snp_forged_clear(&f);
}

Test(snp_forged, nobody_signed)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_put32(&plan, AT_FLAGS, 7 << 2 | 2);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("signing_key"), "key 7");
}

/* ---- certificates that are not of the report ---- */

Test(snp_forged, another_chip)
{
    static const uint8_t other[64] = {1};
    struct snp_plan plan;

    for (size_t i = 0; i < BH_COUNT(products); i++) {
        snp_plan(&plan, &keys, products[i], 3, false);
        plan.leaf.leaf.hwid.ptr = other;
        snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chip_id"), products[i]);
    }
    snp_plan(&plan, &keys, "Milan", 3, false);
    memset(plan.report + AT_CHIP_ID, 0, 64);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chip_id"), "masked");
    snp_put32(&plan, AT_FLAGS, 2);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chip_id"), "masked, and says so");
    snp_plan(&plan, &keys, "Turin", 5, false);
    plan.report[AT_CHIP_ID + 8] = 1;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chip_id"), "more than 8 bytes");
}

Test(snp_forged, another_product)
{
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    plan.report[AT_CPUID + 1] = 0x11;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("product"), "Genoa with Milan's");
    /* All of the chain says Genoa, but the leaf is of Milan. */
    snp_plan(&plan, &keys, "Genoa", 2, false);
    plan.leaf.leaf.product = "Milan";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "Milan under Genoa");
    snp_plan(&plan, &keys, "Milan", 2, false);
    plan.ark.cn = "ARK-Genoa";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "under Genoa's ARK");
    /* Version 2 says no product: Turin does not make it. */
    snp_plan(&plan, &keys, "Turin", 3, false);
    snp_put32(&plan, AT_VERSION, 2);
    memset(plan.report + AT_CPUID, 0, 3);
    for (size_t at = AT_CURRENT_TCB; at != 0; at = at == AT_CURRENT_TCB     ? AT_REPORTED_TCB
                                                   : at == AT_REPORTED_TCB  ? AT_COMMITTED_TCB
                                                   : at == AT_COMMITTED_TCB ? AT_LAUNCH_TCB
                                                                            : 0)
        memset(plan.report + at, 0, 8);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("product"), "Turin in version 2");
}

Test(snp_forged, another_tcb)
{
    static const struct {
        int number;
        const char *check;
    } cases[] = {{1, SNP("tcb.bootloader")}, {2, SNP("tcb.tee")}, {3, SNP("tcb.snp")},
        {8, SNP("tcb.microcode")}, {9, SNP("tcb.fmc")}};

    for (size_t i = 0; i < BH_COUNT(cases); i++)
        for (size_t p = 0; p < BH_COUNT(products); p++)
            for (int by = -1; by <= 1; by += 2) {
                struct snp_plan plan;

                snp_plan(&plan, &keys, products[p], 3, false);
                if (plan.leaf.leaf.spl[cases[i].number] == AGENT_AMD_NO_SPL)
                    continue;
                plan.leaf.leaf.spl[cases[i].number] += by;
                snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, cases[i].check, products[p]);
            }
}

Test(snp_forged, another_kind_of_key)
{
    struct snp_plan plan;

    /* A VLEK's report with a VCEK of the same firmware, and the reverse. */
    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_put32(&plan, AT_FLAGS, 1 << 2);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("signing_key"), "VCEK for VLEK");
    snp_plan(&plan, &keys, "Milan", 3, true);
    snp_put32(&plan, AT_FLAGS, 0);
    memset(plan.report + AT_CHIP_ID, 0x77, 64);
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("signing_key"), "VLEK for VCEK");
    /* Each under the other's CA. */
    snp_plan(&plan, &keys, "Milan", 3, false);
    plan.ask.cn = "SEV-VLEK-Milan";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "VCEK under the ASVK");
    snp_plan(&plan, &keys, "Milan", 3, true);
    plan.ask.cn = "SEV-Milan";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "VLEK under the ASK");
}

Test(snp_forged, certificates_that_are_not_well_formed)
{
    static const uint8_t short_id[63] = {1};
    static const int mandatory[] = {1, 2, 3, 8};
    struct snp_plan plan, right;

    snp_plan(&right, &keys, "Milan", 3, false);
    for (size_t i = 0; i < BH_COUNT(mandatory); i++) {
        plan = right;
        plan.leaf.leaf.spl[mandatory[i]] = AGENT_AMD_NO_SPL;
        snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a component left out");
    }
    plan = right;
    plan.leaf.leaf.spl[9] = 1;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "fmc of Milan");
    plan = right;
    plan.leaf.leaf.spl[5] = 1;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a spare component");
    plan = right;
    plan.leaf.leaf.product = NULL;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "no product");
    plan.leaf.leaf.product = "Milano";
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "another product");
    plan = right;
    plan.leaf.leaf.hwid = bh_span_none();
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "no hwid");
    plan.leaf.leaf.hwid = bh_span(short_id, sizeof(short_id));
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a short hwid");
    plan = right;
    plan.leaf.leaf.csp_id = SNP_CSP;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a provider in a VCEK");
    plan = right;
    plan.leaf.cn = "SEV-VLEK";
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a VLEK's name");
    snp_plan(&plan, &keys, "Milan", 3, true);
    plan.leaf.leaf.csp_id = NULL;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vlek"), "no provider");
    snp_plan(&plan, &keys, "Milan", 3, true);
    plan.leaf.leaf.hwid = right.leaf.leaf.hwid;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vlek"), "a chip in a VLEK");
    snp_plan(&plan, &keys, "Turin", 5, false);
    plan.leaf.leaf.spl[9] = AGENT_AMD_NO_SPL;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "no fmc of Turin");
    plan.leaf.leaf.spl[9] = 1;
    plan.leaf.leaf.spl[4] = 3;
    snp_forge_refused(&keys, &plan, MALFORMED, SNP("vcek"), "a spare component of Turin");
}

/* ---- chains ---- */

Test(snp_forged, chains)
{
    struct snp_plan plan, right;

    snp_plan(&right, &keys, "Milan", 3, false);
    plan = right;
    plan.ask.issuer_key = keys.stranger_rsa;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a stranger's ASK");
    plan = right;
    plan.leaf.issuer_key = keys.stranger_rsa;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a stranger's VCEK");
    plan = right;
    plan.ark.basic_constraints = "critical,CA:FALSE";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "an ARK that is no CA");
    plan = right;
    plan.ask.basic_constraints = "critical,CA:FALSE";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "an ASK that is no CA");
    plan = right;
    plan.ark.basic_constraints = "critical,CA:TRUE,pathlen:0";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "pathLen of the ARK");
    plan = right;
    plan.ask.key_usage = "critical,cRLSign";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "no keyCertSign");
    plan = right;
    plan.ask.key_usage = "";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "no key usage");
    plan = right;
    plan.leaf.basic_constraints = "critical,CA:TRUE";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a VCEK that is a CA");
    plan = right;
    plan.leaf.key_usage = "critical,keyAgreement";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a VCEK for other use");
    plan = right;
    plan.leaf.salt_len = 32;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "another salt");
    plan = right;
    plan.ask.salt_len = 32;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "the ASK's salt");
    plan = right;
    plan.leaf.key = keys.stranger_rsa;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a VCEK of RSA");
    plan = right;
    plan.ask.cn = "SEV-Rome";
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "an ASK of no product");
}

Test(snp_forged, validity)
{
    struct snp_plan plan, right;

    snp_plan(&right, &keys, "Genoa", 4, false);
    plan = right;
    plan.leaf.not_after = SNP_NOW - 1;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("validity"), "an old VCEK");
    plan = right;
    plan.leaf.not_before = SNP_NOW + 1;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("validity"), "a VCEK to come");
    plan = right;
    plan.ask.not_after = SNP_NOW - 1;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("validity"), "an old ASK");
    plan = right;
    plan.ark.not_after = SNP_NOW - 1;
    snp_forge_refused(&keys, &plan, BH_ERR_NOT_AUTHENTIC, SNP("validity"), "an old ARK");
}
