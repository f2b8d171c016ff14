/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-SNP: ev_decode of a report, a certificate, a certificate table, and of a collection that the
 * input divides; ev_bind, ev_authenticate, ev_claims of what decodes. Nothing that is invented here
 * may be authentic.
 */
#include "judge.h"

#include "evidence/amd_sev_snp.h"
#include "evidence/crl.h"

#define TYPE "tag:beachhead,2026:amd-sev-snp"
#define NOW 1767225600

/* A report that is well-formed, for inputs that stand beside one. */
static void
make_report(uint8_t out[EV_SNP_REPORT_LEN], bool vlek)
{
    memset(out, 0, EV_SNP_REPORT_LEN);
    out[0x00] = 3;
    out[0x0a] = 0x02;
    out[0x34] = 1;
    out[0x48] = vlek ? 1 << 2 : 0;
    out[0x188] = 0x19;
    out[0x189] = 1;
    out[0x1a0] = 0xc3;
}

static void
read_readers(struct bh_span in)
{
    struct ev_snp_endorser endorser;
    struct ev_snp_table table;
    struct ev_crl crl;

    for (int vlek = 0; vlek < 2; vlek++) {
        struct bh_diag diag = {0};
        must_explain(ev_snp_endorser_read(in, vlek != 0, &endorser, &diag), &diag);
    }
    struct bh_diag table_diag = {0}, crl_diag = {0};
    must_explain(ev_snp_table_read(in, &table, &table_diag), &table_diag);
    if (ev_crl_read(in, &crl, &crl_diag) == BH_OK)
        (void)ev_crl_revokes(&crl, bh_span(in.ptr, 1));
    else
        must(crl_diag.detail[0] != '\0');
    (void)ev_snp_is_pss384(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"report", "vcek", "vlek", "auxblob"};
    static uint8_t plain[EV_SNP_REPORT_LEN];
    const struct bh_span in = bh_span(data, size), beside = bh_span(plain, sizeof(plain));

    fuzz_judge_raw(in, EV_SNP_NAME, NOW);
    if (size > UINT16_MAX)
        return 0;
    for (int vlek = 0; vlek < 2; vlek++) {
        const struct bh_span cert[] = {
            beside, vlek ? bh_span_none() : in, vlek ? in : bh_span_none(), bh_span_none()};
        const struct bh_span table[] = {beside, bh_span_none(), bh_span_none(), in};

        make_report(plain, vlek != 0);
        fuzz_judge_parts(TYPE, labels, cert, BH_COUNT(labels), NOW);
        fuzz_judge_parts(TYPE, labels, table, BH_COUNT(labels), NOW);
    }
    fuzz_judge_divided(TYPE, labels, BH_COUNT(labels), in, NOW);
    read_readers(in);
    return 0;
}
