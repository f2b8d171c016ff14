/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP: genuine recorded reports and what each must yield, and mutants of two of them. */
#include "snp_judge.h"

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
