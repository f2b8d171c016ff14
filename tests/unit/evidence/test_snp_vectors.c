/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP: genuine recorded reports and what each must yield, and mutants of two of them. */
#include "snp_judge.h"

#include "evidence/crl.h"
#include "evidence/policy.h"
#include "evidence/vendor_roots.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define Y2024 INT64_C(1704067200) /* 2024-01-01 */
#define Y2025_06 INT64_C(1748736000)
#define Y2026_01 INT64_C(1767225600)
#define Y2026_03 INT64_C(1772323200)

/* A folder of the vectors, loaded. */
struct vector {
    uint8_t *report, *cert;
    struct snp_parts parts;
};

static void
load(struct vector *v, const char *folder, const char *cert)
{
    char name[128];
    size_t len;

    *v = (struct vector){0};
    (void)snprintf(name, sizeof(name), "snp/%s/report.bin", folder);
    v->report = bh_vector(name, &len);
    v->parts.report = bh_span(v->report, len);
    if (cert == NULL)
        return;
    (void)snprintf(name, sizeof(name), "snp/%s.der", cert);
    v->cert = bh_vector(name, &len);
    if (strstr(cert, "vlek") != NULL)
        v->parts.vlek = bh_span(v->cert, len);
    else
        v->parts.vcek = bh_span(v->cert, len);
}

static void
unload(struct vector *v)
{
    free(v->report);
    free(v->cert);
}

static const struct {
    const char *folder, *cert, *product;
    int64_t at;
    unsigned version;
} genuine[] = {
    {"milan-v2-vcek", "milan-v2-vcek/vcek", "Milan", Y2024, 2},
    {"milan-v2-vcek-debug", "milan-v2-vcek-debug/vcek", "Milan", Y2024, 2},
    {"milan-v3-vcek-aci", "milan-v3-vcek-aci/vcek", "Milan", Y2026_03, 3},
    {"genoa-v3-vcek-aci", "genoa-v3-vcek-aci/vcek", "Genoa", Y2026_03, 3},
    {"turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek", "Turin", Y2026_03, 5},
    {"milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek", "Milan", Y2025_06, 3},
};

Test(snp_vectors, genuine_reports)
{
    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(genuine); i++) {
        struct vector v;

        load(&v, genuine[i].folder, genuine[i].cert);
        snp_must_hold(&v.parts, genuine[i].at, genuine[i].folder);
        unload(&v);
    }
}

/* ---- what else the table of the vectors says ---- */

static json_t *
claims_of(const struct vector *v)
{
    struct ev_report report;
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw;
    json_t *claims;

    snp_cmw(&v->parts, &cmw);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_OK, "%s", report.diag.detail);
    cr_assert_not_null(claims = ev_claims(ev));
    ev_evidence_free(ev);
    return claims;
}

static void
claim_is(const json_t *claims, const char *name, const char *begins)
{
    const char *text = json_string_value(json_object_get(claims, name));

    cr_assert_not_null(text, "%s", name);
    cr_assert_eq(strncmp(text, begins, strlen(begins)), 0, "%s is %s", name, text);
}

static void
number_is(const json_t *claims, const char *group, const char *name, json_int_t want)
{
    const json_t *from = group != NULL ? json_object_get(claims, group) : claims;

    cr_assert_eq(json_integer_value(json_object_get(from, name)), want, "%s.%s",
        group != NULL ? group : "", name);
}

Test(snp_vectors, claims)
{
    struct vector v;
    json_t *claims;

    if (bh_vectors() == NULL)
        return;
    load(&v, "milan-v2-vcek", "milan-v2-vcek/vcek");
    claims = claims_of(&v);
    claim_is(claims, "measurement", "a1f39304");
    claim_is(claims, "chip_id", "c38427a3");
    claim_is(claims, "report_data", "ec6c52d7533c");
    number_is(claims, "reported_tcb", "bootloader", 3);
    number_is(claims, "reported_tcb", "tee", 0);
    number_is(claims, "reported_tcb", "snp", 8);
    number_is(claims, "reported_tcb", "microcode", 115);
    number_is(claims, "current_tcb", "microcode", 206);
    cr_assert_null(json_object_get(claims, "cpuid_fam_id"), "version 2 says no CPUID");
    json_decref(claims);
    unload(&v);
    load(&v, "turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek");
    claims = claims_of(&v);
    claim_is(claims, "measurement", "6d6c3545");
    claim_is(claims, "launch_mit_vector", "0x3f");
    claim_is(claims, "current_mit_vector", "0x3f");
    claim_is(claims, "product", "Turin");
    number_is(claims, "reported_tcb", "fmc", 1);
    number_is(claims, "reported_tcb", "bootloader", 1);
    number_is(claims, "reported_tcb", "tee", 1);
    number_is(claims, "reported_tcb", "snp", 4);
    number_is(claims, "reported_tcb", "microcode", 81);
    json_decref(claims);
    unload(&v);
    load(&v, "genoa-v3-vcek-aci", "genoa-v3-vcek-aci/vcek");
    claims = claims_of(&v);
    number_is(claims, "reported_tcb", "bootloader", 10);
    number_is(claims, "reported_tcb", "snp", 23);
    number_is(claims, "reported_tcb", "microcode", 84);
    claim_is(claims, "measurement", "5feee30d");
    json_decref(claims);
    unload(&v);
    load(&v, "milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek");
    claims = claims_of(&v);
    claim_is(claims, "signing_key", "VLEK");
    claim_is(json_object_get(claims, "vlek"), "csp_id", "CN=cc-us-east-2.amazonaws.com");
    number_is(claims, NULL, "vmpl", 1);
    json_decref(claims);
    unload(&v);
}

/* A report alone is well-formed, whether or not its certificate was ever published. */
Test(snp_vectors, a_report_without_certificate)
{
    struct vector v;
    json_t *claims;

    if (bh_vectors() == NULL)
        return;
    load(&v, "milan-v4-vcek-gce-nocert", NULL);
    claims = claims_of(&v);
    number_is(claims, NULL, "version", 4);
    number_is(claims, NULL, "cpuid_fam_id", 0x19);
    number_is(claims, NULL, "cpuid_mod_id", 1);
    json_decref(claims);
    snp_must_refuse(&v.parts, Y2026_03, BH_ERR_COLLATERAL_MISSING, "amd-sev-snp.vcek", "v4");
    unload(&v);
}

Test(snp_vectors, times)
{
    struct vector v;

    if (bh_vectors() == NULL)
        return;
    load(&v, "milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek");
    snp_must_refuse(
        &v.parts, Y2026_01, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.validity", "an expired VLEK");
    snp_must_refuse(
        &v.parts, Y2024, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.validity", "a VLEK to come");
    unload(&v);
}

/* Self-made certificates with plausible extensions, and ones of other chips and products. */
Test(snp_vectors, certificates_of_others)
{
    static const struct {
        const char *folder, *cert, *check;
        int64_t at;
    } cases[] = {
        {"milan-v2-vcek", "neg-vcek-fake-legacy/vcek", "amd-sev-snp.chip_id", Y2024},
        {"milan-v2-vcek", "neg-vcek-fake-hwid-octets/vcek", "amd-sev-snp.chip_id", Y2024},
        {"milan-v2-vcek", "milan-v2-vcek-debug/vcek", "amd-sev-snp.chip_id", Y2024},
        {"milan-v3-vcek-aci", "milan-v2-vcek/vcek", "amd-sev-snp.chip_id", Y2026_03},
        {"milan-v3-vcek-aci", "genoa-v3-vcek-aci/vcek", "amd-sev-snp.product", Y2026_03},
        {"genoa-v3-vcek-aci", "milan-v3-vcek-aci/vcek", "amd-sev-snp.product", Y2026_03},
        {"turin-v5-vcek-aci", "genoa-v3-vcek-aci/vcek", "amd-sev-snp.product", Y2026_03},
        {"milan-v3-vcek-aci", "milan-v3-vlek-aws/vlek", "amd-sev-snp.signing_key", Y2025_06},
        {"milan-v3-vlek-aws", "milan-v3-vcek-aci/vcek", "amd-sev-snp.signing_key", Y2025_06},
    };

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct vector v;

        load(&v, cases[i].folder, cases[i].cert);
        snp_must_refuse(&v.parts, cases[i].at, BH_ERR_NOT_AUTHENTIC, cases[i].check, cases[i].cert);
        unload(&v);
    }
}

/* The fakes fit a report that was made for them, and still nobody at AMD signed them. */
Test(snp_vectors, self_made_certificates)
{
    static const char *const fakes[] = {
        "neg-vcek-fake-legacy/vcek", "neg-vcek-fake-hwid-octets/vcek"};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(fakes); i++) {
        struct ev_report report;
        struct vector v;
        json_t *claims, *tcb;

        load(&v, "milan-v2-vcek", fakes[i]);
        claims = claims_of(&v);
        tcb = json_object_get(json_object_get(claims, "vcek"), "tcb");
        for (size_t k = 0; k < 64; k++)
            v.report[0x1a0 + k] = (uint8_t)k;
        cr_assert_str_eq(
            json_string_value(json_object_get(json_object_get(claims, "vcek"), "hwid")) + 124,
            "3e3f");
        v.report[0x180] = (uint8_t)json_integer_value(json_object_get(tcb, "bootloader"));
        v.report[0x181] = (uint8_t)json_integer_value(json_object_get(tcb, "tee"));
        v.report[0x186] = (uint8_t)json_integer_value(json_object_get(tcb, "snp"));
        v.report[0x187] = (uint8_t)json_integer_value(json_object_get(tcb, "microcode"));
        json_decref(claims);
        snp_must_refuse(&v.parts, Y2024, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.chain", fakes[i]);
        ev_report_init(&report, true);
        cr_assert_eq(snp_judge_at(&v.parts, Y2024, NULL, &report), BH_ERR_NOT_AUTHENTIC);
        cr_assert(
            strstr(snp_check(&report, "amd-sev-snp.chain")->found, "does not verify") != NULL);
        unload(&v);
    }
}

static enum bh_err
with_crl(const char *folder, const char *cert, const char *crl, int64_t at, const char **ret_check)
{
    static struct ev_report report;
    struct snp_collateral collateral = {0};
    struct vector v;
    uint8_t *der;
    enum bh_err e;

    load(&v, folder, cert);
    der = bh_vector(crl, &collateral.crl.len);
    collateral.crl.ptr = der;
    ev_report_init(&report, true);
    e = snp_judge_at(&v.parts, at, &collateral, &report);
    *ret_check = report.diag.check;
    free(der);
    unload(&v);
    return e;
}

Test(snp_vectors, revocation_lists)
{
    static const struct {
        const char *folder, *cert, *crl, *check;
        int64_t at;
        enum bh_err err;
    } cases[] = {
        {"milan-v3-vcek-aci", "milan-v3-vcek-aci/vcek", "snp/ca/milan_crl.der", "", Y2026_03,
            BH_OK},
        {"milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek", "snp/ca/milan_crl.der", "", Y2025_06,
            BH_OK},
        {"milan-v2-vcek", "milan-v2-vcek/vcek", "snp/ca/milan_crl.der", "amd-sev-snp.crl", Y2024,
            BH_ERR_COLLATERAL_EXPIRED},
        {"genoa-v3-vcek-aci", "genoa-v3-vcek-aci/vcek", "snp/ca/genoa_crl.der", "amd-sev-snp.crl",
            Y2026_03, BH_ERR_COLLATERAL_EXPIRED},
        {"genoa-v3-vcek-aci", "genoa-v3-vcek-aci/vcek", "snp/ca/milan_crl.der", "amd-sev-snp.crl",
            Y2026_03, BH_ERR_NOT_AUTHENTIC},
    };

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *check;

        cr_assert_eq(with_crl(cases[i].folder, cases[i].cert, cases[i].crl, cases[i].at, &check),
            cases[i].err, "%zu: %s", i, check);
        cr_assert_str_eq(check, cases[i].check, "%zu", i);
    }
}

/* AMD revoked Genoa's first ASK, not the name that its second one bears. */
Test(snp_vectors, a_revoked_serial)
{
    static const uint8_t first[] = {0x02, 0x00, 0x01}, second[] = {0x02, 0x00, 0x02};
    struct bh_diag diag = {0};
    struct ev_crl crl;
    uint8_t *der;
    size_t len;

    if (bh_vectors() == NULL)
        return;
    der = bh_vector("snp/ca/genoa_crl.der", &len);
    cr_assert_eq(ev_crl_read(bh_span(der, len), &crl, &diag), BH_OK, "%s", diag.detail);
    cr_assert(ev_crl_revokes(&crl, bh_span(first, sizeof(first))));
    cr_assert_not(ev_crl_revokes(&crl, bh_span(second, sizeof(second))));
    free(der);
}

/* ---- genuine, and still a matter of policy ---- */

/* An entry that pins the report's own measurement, and @p rest. */
static enum bh_err
appraise(const char *folder, const char *cert, int64_t at, const char *rest,
    struct ev_report *report, struct ev_verdict *verdict)
{
    struct ev_trust trust = {.now = at};
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct bh_diag diag = {0};
    struct vector v;
    char text[2048], measurement[97];
    enum bh_err e;

    load(&v, folder, cert);
    (void)bh_hex(bh_span(v.report + 0x90, 48), measurement, sizeof(measurement));
    (void)snprintf(text, sizeof(text),
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"amd-sev-snp\",\"measurement\":[\"%s\"],%s}"
        "]}",
        measurement, rest);
    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s: %s", diag.check,
        diag.detail);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    ev_report_init(report, true);
    cr_assert_eq(snp_judge(&v.parts, &trust, report, &ev), BH_OK, "%s", report->diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), report, verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    ev_trust_clear(&trust);
    unload(&v);
    return e;
}

#define ANY_MILAN                                                                                  \
    "\"product\":[\"Milan\"],\"guest_policy\":{\"smt\":true},"                                     \
    "\"tcb_min\":{\"Milan\":{\"bootloader\":1,\"tee\":0,\"snp\":1,\"microcode\":1}}"
#define AWS ANY_MILAN ",\"csp_id\":[\"CN=cc-us-east-2.amazonaws.com\"]"
#define TURIN                                                                                      \
    "\"product\":[\"Turin\"],\"guest_policy\":{\"smt\":true},\"vmpl\":[0],"                        \
    "\"chip_id\":[\"59790fb1c39f35c1\"],\"platform_info\":{\"alias_check_complete\":true},"        \
    "\"tcb_min\":{\"Turin\":{\"fmc\":1,\"bootloader\":1,\"tee\":1,\"snp\":4,\"microcode\":%d}}"

Test(snp_vectors, appraised)
{
    static struct ev_report report;
    struct ev_verdict verdict = {0};
    char turin[1024];

    if (bh_vectors() == NULL)
        return;
    cr_assert_eq(appraise("milan-v2-vcek-debug", "milan-v2-vcek-debug/vcek", Y2024,
                     ANY_MILAN ",\"owner\":\"any\",\"vmpl\":[0]", &report, &verdict),
        BH_ERR_POLICY);
    cr_assert_str_eq(report.diag.check, "amd-sev-snp.debug");
    cr_assert_eq(appraise("milan-v2-vcek-debug", "milan-v2-vcek-debug/vcek", Y2024,
                     ANY_MILAN ",\"owner\":\"any\",\"vmpl\":[0],\"debug\":true", &report, &verdict),
        BH_OK, "%s", report.diag.detail);
    cr_assert(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_WARNING);
    cr_assert_eq(appraise("milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek", Y2025_06,
                     AWS ",\"vmpl\":[0]", &report, &verdict),
        BH_ERR_POLICY);
    cr_assert_str_eq(report.diag.check, "amd-sev-snp.vmpl");
    cr_assert_eq(appraise("milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek", Y2025_06,
                     AWS ",\"vmpl\":[1]", &report, &verdict),
        BH_OK, "%s", report.diag.detail);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_assert_not(verdict.simulated);
    cr_assert_eq(verdict.not_after, INT64_C(1765404861), "the VLEK's end, 2025-12-10T22:14:21Z");
    (void)snprintf(turin, sizeof(turin), TURIN, 81);
    cr_assert_eq(
        appraise("turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek", Y2026_03, turin, &report, &verdict),
        BH_OK, "%s", report.diag.detail);
    cr_assert_eq(verdict.hardware_id_len, 8);
    (void)snprintf(turin, sizeof(turin), TURIN, 82);
    cr_assert_eq(
        appraise("turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek", Y2026_03, turin, &report, &verdict),
        BH_ERR_POLICY);
    cr_assert_str_eq(report.diag.check, "amd-sev-snp.tcb.microcode");
}

/* ---- mutants ---- */

struct walk {
    struct vector v;
    struct ev_trust trust;
    struct bh_span *changed; /* of the parts */
    size_t survived;
};

static bool
must_fail(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct ev_report report;
    struct walk *walk = arg;
    struct snp_parts parts = walk->v.parts;

    /* The same member of the copy. */
    *(struct bh_span *)((uint8_t *)&parts +
                        ((uint8_t *)walk->changed - (uint8_t *)&walk->v.parts)) = mutant;
    ev_report_init(&report, false);
    if (snp_judge(&parts, &walk->trust, &report, NULL) == BH_OK) {
        walk->survived++;
        cr_expect_fail("%s at byte %zu survives", how, at);
    } else {
        cr_expect(report.err != BH_ERR_INTERNAL && report.diag.check[0] != '\0' &&
                      report.diag.found[0] != '\0',
            "%s at byte %zu: %s", how, at, report.diag.check);
    }
    return walk->survived < 5;
}

static void
walk_vector(const char *folder, const char *cert, int64_t at, bool certificate, size_t stride)
{
    struct walk walk = {.trust = {.now = at}};

    if (bh_vectors() == NULL)
        return;
    load(&walk.v, folder, cert);
    snp_must_hold(&walk.v.parts, at, folder);
    cr_assert_eq(ev_trust_add_vendor_roots(&walk.trust, "amd-sev-snp"), BH_OK);
    walk.changed = certificate ? &walk.v.parts.vcek : &walk.v.parts.report;
    if (certificate && walk.changed->len == 0)
        walk.changed = &walk.v.parts.vlek;
    cr_expect_gt(bh_mutate(*walk.changed, 0, walk.changed->len, stride, must_fail, &walk),
        walk.changed->len / stride);
    cr_expect_eq(walk.survived, 0, "%s", folder);
    ev_trust_clear(&walk.trust);
    unload(&walk.v);
}

Test(snp_mutants, milan_report)
{
    walk_vector("milan-v2-vcek", "milan-v2-vcek/vcek", Y2024, false, 1);
}

Test(snp_mutants, milan_certificate)
{
    walk_vector("milan-v2-vcek", "milan-v2-vcek/vcek", Y2024, true, 1);
}

Test(snp_mutants, turin_report)
{
    walk_vector("turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek", Y2026_03, false, 1);
}

Test(snp_mutants, turin_certificate)
{
    walk_vector("turin-v5-vcek-aci", "turin-v5-vcek-aci/vcek", Y2026_03, true, 3);
}

Test(snp_mutants, vlek_certificate)
{
    walk_vector("milan-v3-vlek-aws", "milan-v3-vlek-aws/vlek", Y2025_06, true, 3);
}

/* ---- the built-in certificates above ---- */

Test(snp_certificates, intermediates_are_those_of_the_table)
{
    struct bh_diag diag = {0};
    uint8_t *readme, *der = NULL;
    size_t len, readme_len, der_len, count;
    const struct ev_vendor_root *all = ev_vendor_intermediates(&len);
    uint8_t digest[32];
    char hex[65], row[512];

    cr_assert_eq(bh_file_read(BH_SOURCE_DIR "/certs/README.md", 65536, &readme, &readme_len, &diag),
        BH_OK, "%s", diag.detail);
    cr_assert_geq(len, 6);
    for (size_t i = 0; i < len; i++) {
        X509 *cert = NULL;
        const char *line;

        cr_assert_eq(bh_x509_pem(bh_span_str(all[i].pem), &cert, 1, &count, &diag), BH_OK);
        cr_assert_eq(bh_x509_to_der(cert, &der, &der_len), BH_OK);
        cr_assert_eq(bh_sha2(256, bh_span(der, der_len), digest), BH_OK);
        (void)bh_hex(bh_span(digest, sizeof(digest)), hex, sizeof(hex));
        (void)snprintf(row, sizeof(row), "| `%s` |", all[i].file);
        line = memmem(readme, readme_len, row, strlen(row));
        cr_assert(line != NULL, "%s has no row", all[i].file);
        cr_assert(memmem(line, strcspn(line, "\n"), hex, 64) != NULL, "%s: %s", all[i].file, hex);
        OPENSSL_free(der);
        X509_free(cert);
    }
    free(readme);
}
