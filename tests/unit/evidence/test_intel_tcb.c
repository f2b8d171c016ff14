/* SPDX-License-Identifier: Apache-2.0 */
/* Each rule of the evaluation of Intel's TCB info and QE identity, on documents made by hand. */
#include "intel_forge.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The claim @p name after authentication, "refused: <check>" when it was refused. */
static void
status_of(struct intel_forge *f, const char *name, char out[BH_VALUE_MAX])
{
    struct ev_report report = {0};
    struct ev_evidence *ev = NULL;
    struct intel_pieces p;
    struct ev_trust trust;
    json_t *claims;

    intel_forge_make(f, &p);
    intel_forge_trust(f, &trust, false);
    if (intel_judge(&p, &trust, &report, &ev) == BH_OK) {
        claims = ev_claims(ev);
        (void)snprintf(out, BH_VALUE_MAX, "%s", json_string_value(json_object_get(claims, name)));
        json_decref(claims);
    } else {
        (void)snprintf(out, BH_VALUE_MAX, "refused: %s", report.diag.check);
    }
    ev_evidence_free(ev);
    intel_pieces_clear(&p);
}

static void
expect(struct intel_forge *f, const char *want, const char *why)
{
    char have[BH_VALUE_MAX];

    status_of(f, "tcbStatus", have);
    cr_expect_str_eq(have, want, "%s: %s", why, have);
}

/* Every one of the 16 components counts, and the PCE; the first level that fits is taken. */
Test(intel_tcb, components_of_sgx)
{
    struct intel_forge f;

    intel_forge_init(&f, false);
    memset(f.plan.svn, 5, 16);
    memset(f.plan.levels[0].sgx, 5, 16);
    memset(f.plan.levels[1].sgx, 3, 16);
    expect(&f, "UpToDate", "all equal");
    for (int v2 = 0; v2 < 2; v2++)
        for (size_t i = 0; i < 16; i++) {
            f.plan.info_v2 = v2 == 1;
            f.plan.svn[i] = 4;
            expect(&f, "OutOfDate", "one below the first level");
            f.plan.svn[i] = 2;
            expect(&f, "refused: intel-sgx.tcb_level", "one below both");
            f.plan.svn[i] = 5;
        }
    f.plan.pce_svn = 12;
    expect(&f, "OutOfDate", "PCE below the first level");
    f.plan.pce_svn = 10;
    expect(&f, "refused: intel-sgx.tcb_level", "PCE below both");
    f.plan.pce_svn = 200;
    expect(&f, "UpToDate", "PCE above");
    intel_forge_clear(&f);
}

Test(intel_tcb, components_of_tdx)
{
    struct intel_forge f;

    intel_forge_init(&f, true);
    expect(&f, "UpToDate", "as planned");
    for (size_t i = 2; i < 16; i++) {
        f.plan.levels[0].tdx[i] = 9;
        f.plan.tee_tcb_svn[i] = 8;
        f.plan.levels[1].tdx[i] = 8;
        expect(&f, "OutOfDate", "one below the first level");
        f.plan.tee_tcb_svn[i] = 7;
        expect(&f, "refused: intel-tdx.tcb_level", "one below both");
        f.plan.tee_tcb_svn[i] = 9;
        expect(&f, "UpToDate", "equal");
    }
    /* From module version 1 on, components 0 and 1 are judged by the module's own levels. */
    f.plan.levels[0].tdx[0] = f.plan.levels[1].tdx[0] = 200;
    f.plan.levels[0].tdx[1] = f.plan.levels[1].tdx[1] = 200;
    expect(&f, "UpToDate", "components of the module");
    /* Before it, they count. */
    f.plan.tee_tcb_svn[1] = 0;
    expect(&f, "refused: intel-tdx.tcb_level", "module version 0");
    f.plan.tee_tcb_svn[0] = 200;
    f.plan.levels[0].tdx[1] = f.plan.levels[1].tdx[1] = 0;
    expect(&f, "UpToDate", "module version 0, high enough");
    intel_forge_clear(&f);
}

Test(intel_tcb, module)
{
    struct intel_forge f;
    char have[BH_VALUE_MAX];

    intel_forge_init(&f, true);
    status_of(&f, "tdxModuleTcbStatus", have);
    cr_expect_str_eq(have, "UpToDate");
    f.plan.tee_tcb_svn[0] = 3;
    expect(&f, "OutOfDate", "an old module");
    f.plan.tee_tcb_svn[0] = 1;
    expect(&f, "refused: intel-tdx.tdx_module", "a module older than all levels");
    f.plan.tee_tcb_svn[0] = 4;
    f.plan.module_version = 3;
    expect(&f, "refused: intel-tdx.tdx_module", "another major version");
    f.plan.tee_tcb_svn[1] = 0x1a;
    f.plan.module_version = 0x1a;
    expect(&f, "UpToDate", "TDX_1A");
    f.plan.mrsignerseam[47] = 1;
    expect(&f, "refused: intel-tdx.tdx_module", "another signer");
    f.plan.mrsignerseam[47] = 0;
    f.plan.seam_attributes[7] = 1;
    expect(&f, "refused: intel-tdx.tdx_module", "other attributes");
    f.plan.tee_tcb_svn[1] = 0;
    expect(&f, "refused: intel-tdx.tdx_module", "other attributes of version 0");
    f.plan.seam_attributes[7] = 0;
    f.plan.tee_tcb_svn[1] = 1;
    f.plan.module = "[]";
    expect(&f, "refused: intel-tdx.tdx_module", "no identities");
    f.plan.module = "[{\"id\":\"TDX_01\"}]";
    expect(&f, "refused: intel-tdx.tcb_info", "an identity of nothing");
    f.plan.module = "{}";
    expect(&f, "refused: intel-tdx.tdx_module", "identities that are no list");
    f.plan.module = NULL;
    f.plan.module_version = 1;
    f.plan.module_levels[0].status = "ConfigurationNeeded";
    expect(&f, "refused: intel-tdx.tcb_info", "a status that a module cannot have");
    intel_forge_clear(&f);
}

/* Status of the platform's level, of module or QE beside it, and of both together. */
Test(intel_tcb, converges)
{
    static const struct {
        const char *level, *out_of_date, *revoked;
    } rows[] = {
        {"UpToDate", "OutOfDate", "Revoked"},
        {"SWHardeningNeeded", "OutOfDate", "Revoked"},
        {"ConfigurationNeeded", "OutOfDateConfigurationNeeded", "Revoked"},
        {"ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded", "Revoked"},
        {"OutOfDate", "OutOfDate", "Revoked"},
        {"OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded", "Revoked"},
        {"Revoked", "Revoked", "Revoked"},
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++)
        for (int tdx = 0; tdx < 2; tdx++) {
            struct intel_forge f;

            intel_forge_init(&f, tdx == 1);
            f.plan.levels[0].status = rows[i].level;
            expect(&f, rows[i].level, "alone");
            f.plan.qe_isv_svn = 7;
            expect(&f, rows[i].out_of_date, "with an old QE");
            f.plan.qe_levels[1].status = "Revoked";
            expect(&f, rows[i].revoked, "with a revoked QE");
            f.plan.qe_isv_svn = 8;
            if (tdx == 1) {
                f.plan.tee_tcb_svn[0] = 3;
                expect(&f, rows[i].out_of_date, "with an old module");
                f.plan.module_levels[1].status = "Revoked";
                expect(&f, rows[i].revoked, "with a revoked module");
            }
            intel_forge_clear(&f);
        }
}

/* TDX 1.5: the module was updated under the running TD. */
Test(intel_tcb, td_relaunch)
{
    struct intel_forge f;

    intel_forge_init(&f, true);
    f.plan.version = 5;
    f.plan.body_type = 3;
    expect(&f, "UpToDate", "nothing was updated");
    f.plan.tee_tcb_svn[0] = 3;
    f.plan.tee_tcb_svn2[0] = 3;
    expect(&f, "OutOfDate", "an old module, not updated");
    f.plan.tee_tcb_svn2[0] = 4;
    expect(&f, "TDRelaunchAdvised", "updated to the newest");
    f.plan.levels[0].status = "SWHardeningNeeded";
    expect(&f, "TDRelaunchAdvised", "on a platform that wants hardening");
    f.plan.levels[0].status = "ConfigurationNeeded";
    expect(&f, "TDRelaunchAdvisedConfigurationNeeded", "on one that wants configuration");
    f.plan.levels[0].status = "ConfigurationAndSWHardeningNeeded";
    expect(&f, "TDRelaunchAdvisedConfigurationNeeded", "on one that wants both");
    f.plan.levels[0].status = "OutOfDate";
    expect(&f, "OutOfDate", "on one that is out of date");
    f.plan.levels[0].status = "UpToDate";
    f.plan.qe_isv_svn = 7;
    expect(&f, "OutOfDate", "with an old QE");
    f.plan.qe_isv_svn = 8;
    f.plan.tee_tcb_svn2[1] = 3;
    expect(&f, "OutOfDate", "to a module that has no identity");
    f.plan.tee_tcb_svn2[1] = 1;
    f.plan.tee_tcb_svn2[2] = 3;
    expect(&f, "OutOfDate", "with an older component 2");
    f.plan.tee_tcb_svn2[2] = 5;
    /* The microcode was updated under it as well: the SGX part reaches the first level. */
    f.plan.tee_tcb_svn[2] = 2;
    expect(&f, "TDRelaunchAdvised", "microcode and module updated");
    f.plan.tee_tcb_svn[2] = 5;
    f.plan.body_type = 2;
    expect(&f, "OutOfDate", "a report of TDX 1.0 tells nothing of it");
    intel_forge_clear(&f);
}

Test(intel_tcb, dates_numbers_and_advisories)
{
    struct ev_report report = {0};
    struct ev_evidence *ev = NULL;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;
    char have[BH_VALUE_MAX];
    json_t *claims;

    intel_forge_init(&f, true);
    f.plan.levels[0].advisory = "INTEL-SA-00001";
    status_of(&f, "tcbDate", have);
    cr_expect_str_eq(have, "2026-11-01T00:00:00Z");
    f.plan.tee_tcb_svn[2] = 2;
    status_of(&f, "tcbDate", have);
    cr_expect_str_eq(have, "2026-01-01T00:00:00Z");
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    cr_assert_eq(intel_judge(&p, &trust, &report, &ev), BH_OK);
    claims = ev_claims(ev);
    cr_expect_eq(json_integer_value(json_object_get(claims, "tcbEvaluationDataNumber")), 19);
    cr_expect_eq(json_array_size(json_object_get(claims, "advisoryIDs")), 1);
    json_decref(claims);
    ev_evidence_free(ev);
    intel_pieces_clear(&p);
    f.plan.levels[1].advisory = "INTEL-SA-0000000000000000000000000000";
    status_of(&f, "tcbStatus", have);
    cr_expect_str_eq(have, "refused: intel-tdx.tcb_info", "an advisory that is too long: %s", have);
    intel_forge_clear(&f);
}

Test(intel_tcb, misc_mask_of_the_qe)
{
    struct intel_forge f;

    intel_forge_init(&f, false);
    f.plan.qe_misc = 1;
    f.plan.qe_misc_mask = "FEFFFFFF";
    expect(&f, "UpToDate", "under the mask, bytes as they stand");
    f.plan.qe_misc_mask = "FFFFFFFE";
    expect(&f, "refused: intel-sgx.qe_identity", "under the mask, another byte");
    f.plan.qe_misc_mask = "FFFFFF";
    expect(&f, "refused: intel-sgx.qe_identity", "a short mask");
    intel_forge_clear(&f);
}

/* A warm cache changes no verdict: the same pieces, then one document exchanged. */
Test(intel_tcb, cache)
{
    struct ev_report report = {0};
    struct intel_forge f;
    struct intel_pieces p, old;
    struct ev_trust trust;

    intel_forge_init(&f, true);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    trust.cache = ev_chain_cache_new(16);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", report.diag.detail);
    trust.now = f.plan.crl_next;
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", report.diag.detail);
    trust.now++;
    intel_must_refuse(&p, &trust, BH_ERR_COLLATERAL_EXPIRED, "intel-tdx.pck_crl", "it ended");
    intel_pieces_clear(&p);
    intel_forge_make(&f, &p);
    trust.now = INTEL_NOW;
    trust.anchors[0].cert = f.certs[INTEL_ROOT];
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", report.diag.detail);
    f.plan.info_signed_by_stranger = true;
    intel_forge_make(&f, &old);
    intel_put(&p, "tcb_info", intel_get(&old, "tcb_info"));
    trust.anchors[0].cert = f.certs[INTEL_ROOT];
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_info", "by a stranger");
    intel_pieces_clear(&old);
    intel_pieces_clear(&p);
    ev_chain_cache_free(trust.cache);
    intel_forge_clear(&f);
}

/* A quote whose certificates and collateral were met before is judged by what was concluded then,
 * and only by that: each byte that went in makes it another one. */
Test(intel_tcb, what_was_met_before)
{
    static const char *const pieces[] = {
        "tcb_info", "qe_identity", "tcb_signing_chain", "pck_crl", "root_crl"};
    struct ev_report report = {0};
    struct ev_evidence *ev = NULL;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;
    json_t *claims;

    intel_forge_init(&f, true);
    f.plan.levels[0].advisory = "INTEL-SA-00001";
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    trust.cache = ev_chain_cache_new(32);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(intel_judge(&p, &trust, &report, &ev), BH_OK, "%s", report.diag.detail);
        claims = ev_claims(ev);
        cr_expect_str_eq(json_string_value(json_object_get(claims, "tcbStatus")), "UpToDate");
        cr_expect_eq(json_array_size(json_object_get(claims, "advisoryIDs")), 1);
        json_decref(claims);
        ev_evidence_free(ev);
    }
    for (size_t i = 0; i < BH_COUNT(pieces); i++) {
        const size_t middle = intel_get(&p, pieces[i]).len / 2;

        intel_bytes(&p, pieces[i])[middle] ^= 1;
        cr_expect_neq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", pieces[i]);
        cr_expect(
            strstr(report.diag.check, pieces[i]) != NULL, "%s: %s", pieces[i], report.diag.check);
        intel_bytes(&p, pieces[i])[middle] ^= 1;
    }
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK);
    /* The clock set back behind the documents. */
    trust.now = INTEL_NOW - 2 * INTEL_DAY;
    intel_must_refuse(&p, &trust, BH_ERR_COLLATERAL_EXPIRED, "intel-tdx.pck_crl", "not yet");
    trust.now = INTEL_NOW;
    ev_chain_cache_free(trust.cache);
    trust.cache = NULL;
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}
