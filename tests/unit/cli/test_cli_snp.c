/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded SEV-SNP reports through the real command, with certificates and lists in a folder. */
#include "run.h"

#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MILAN "snp/milan-v3-vcek-aci"

/* Copy a vector into the folder under a name; the path is valid for a while. */
static const char *
give(const char *vector, const char *name)
{
    size_t len;
    uint8_t *bytes = bh_vector(vector, &len);
    const char *path = put(name, bh_span(bytes, len));

    free(bytes);
    return path;
}

static const char *
report_of(const char *vector)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/report.bin", vector);
    return give(path, "report");
}

static const json_t *
check_of(const struct ran *r, const char *name)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(r->json, "checks"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "check")), name) == 0)
            return row;
    }
    return NULL;
}

Test(snp, genuine_with_a_folder_of_collateral, .fini = end_folder)
{
    static const struct {
        const char *folder, *kind, *at, *version;
    } cases[] = {
        {"snp/milan-v2-vcek", "vcek", "2024-01-01T00:00:00Z", "Milan"},
        {MILAN, "vcek", "2026-03-01T00:00:00Z", "Milan"},
        {"snp/genoa-v3-vcek-aci", "vcek", "2026-03-01T00:00:00Z", "Genoa"},
        {"snp/turin-v5-vcek-aci", "vcek", "2026-03-01T00:00:00Z", "Turin"},
        {"snp/milan-v3-vlek-aws", "vlek", "2025-06-01T00:00:00Z", "Milan"},
    };
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char vector[256], name[16];

        (void)snprintf(name, sizeof(name), "%s.der", cases[i].kind);
        (void)snprintf(vector, sizeof(vector), "%s/%s", cases[i].folder, name);
        (void)give(vector, name);
        const char *report = report_of(cases[i].folder);
        RUN(&r, "inspect", "--json", "--verify", "--at", cases[i].at, "--collateral", folder(),
            report);
        expect_json(&r, 0);
        cr_expect_str_eq(text_of(&r, "platform"), "amd-sev-snp");
        cr_expect(json_is_true(json_object_get(r.json, "authentic")), "%s", cases[i].folder);
        cr_expect_str_eq(
            json_string_value(json_object_get(json_object_get(r.json, "claims"), "product")),
            cases[i].version);
        const json_t *revocation = check_of(&r, "amd-sev-snp.revocation");
        cr_expect_str_eq(json_string_value(json_object_get(revocation, "source")), "not given");
    }
    ran_clear(&r);
}

Test(snp, what_is_missing_is_named, .fini = end_folder)
{
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    const char *report = report_of("snp/turin-v5-vcek-aci");
    RUN(&r, "inspect", "--json", report);
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.vcek");
    RUN(&r, "inspect", "--verify", report);
    expect_run(&r, 1,
        "https://kdsintf.amd.com/vcek/v1/Turin/"
        "59790fb1c39f35c1?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81");
    ran_clear(&r);
}

Test(snp, collateral_of_another, .fini = end_folder)
{
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    (void)give("snp/milan-v2-vcek/vcek.der", "vcek.der");
    const char *report = report_of(MILAN);
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-03-01T00:00:00Z", "--collateral",
        folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.chip_id");
    (void)put("vcek.der", bh_span_str("no certificate"));
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-03-01T00:00:00Z", "--collateral",
        folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.vcek");
    ran_clear(&r);
}

Test(snp, revocation_list_in_the_folder, .fini = end_folder)
{
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    (void)give(MILAN "/vcek.der", "vcek.der");
    (void)give("snp/ca/milan_crl.der", "crl.der");
    const char *report = report_of(MILAN);
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-03-01T00:00:00Z", "--collateral",
        folder(), report);
    expect_json(&r, 0);
    const json_t *revocation = check_of(&r, "amd-sev-snp.revocation");
    cr_expect_str_eq(json_string_value(json_object_get(revocation, "source")), "collateral");
    /* Given but stale. */
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-06-01T00:00:00Z", "--collateral",
        folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.crl");
    /* Another product's. */
    (void)give("snp/milan-v2-vcek/vcek.der", "vcek.der");
    (void)give("snp/ca/genoa_crl.der", "crl.der");
    report = report_of("snp/milan-v2-vcek");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2025-06-01T00:00:00Z", "--collateral",
        folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.crl");
    ran_clear(&r);
}

Test(snp, a_file_too_large_is_no_collateral, .fini = end_folder)
{
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    uint8_t *big = calloc(1, 70000);
    (void)put("vcek.der", bh_span(big, 70000));
    free(big);
    const char *report = report_of(MILAN);
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), report);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.vcek");
    ran_clear(&r);
}

/* A leaf alone is enough: what AMD's ARKs signed above it is built in, and is no anchor. */
Test(snp, certificates, .fini = end_folder)
{
    static const struct {
        const char *file, *at;
        int status;
    } cases[] = {
        {"snp/milan-v2-vcek/vcek.der", "2024-01-01T00:00:00Z", 0},
        {"snp/genoa-v3-vcek-aci/vcek.der", "2026-03-01T00:00:00Z", 0},
        {"snp/turin-v5-vcek-aci/vcek.der", "2026-03-01T00:00:00Z", 0},
        {"snp/milan-v3-vlek-aws/vlek.der", "2025-06-01T00:00:00Z", 0},
        {"snp/milan-v3-vlek-aws/vlek.der", "2026-01-01T00:00:00Z", 1},
        {"snp/neg-vcek-fake-legacy/vcek.der", "2024-01-01T00:00:00Z", 1},
        {"snp/neg-vcek-fake-hwid-octets/vcek.der", "2024-01-01T00:00:00Z", 1},
    };
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < COUNT(cases); i++) {
        RUN(&r, "inspect", "--json", "--verify", "--at", cases[i].at,
            give(cases[i].file, "cert.der"));
        expect_json(&r, cases[i].status);
        cr_expect_str_eq(
            failed_check(&r), cases[i].status == 0 ? "" : "certificate.chain", "%s", cases[i].file);
    }
    RUN(&r, "inspect", "--json", "--verify", "--at", "2024-01-01T00:00:00Z", "--trust-anchor",
        BH_SOURCE_DIR "/certs/amd-sev-snp-ark-genoa.pem",
        give("snp/milan-v2-vcek/vcek.der", "cert.der"));
    expect_json(&r, 1);
    ran_clear(&r);
}
