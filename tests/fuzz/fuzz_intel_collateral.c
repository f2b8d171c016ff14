/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind signatures in Intel's collateral: ev_intel_judge_tcb and ev_intel_judge_qe on
 * any JSON, ev_intel_chain_read on any PEM, ev_crl_read on any DER.
 */
#include "fuzz.h"

#include "core/json.h"
#include "evidence/intel.h"

static uint8_t zeros[648];

/* A platform of SVNs 7 that the documents may or may not speak of. */
static void
fill(struct ev_intel *q, bool tdx)
{
    static uint8_t tee[16] = {4, 1, 5}, tee2[16] = {5, 1, 5};

    *q = (struct ev_intel){.platform = tdx ? &ev_intel_tdx : &ev_intel_sgx, .tdx = tdx};
    memset(q->pck.svn, 7, sizeof(q->pck.svn));
    q->pck.pce_svn = 13;
    q->pck.fmspc = bh_span(zeros, 6);
    q->pck.pce_id = bh_span(zeros, 2);
    q->qe.raw = bh_span(zeros, 384);
    q->qe.attributes = bh_span(zeros, 16);
    q->qe.mrsigner = bh_span(zeros, 32);
    q->td.tee_tcb_svn = bh_span(tee, sizeof(tee));
    q->td.tee_tcb_svn2 = bh_span(tee2, sizeof(tee2));
    q->td.mrsignerseam = bh_span(zeros, 48);
    q->td.seam_attributes = bh_span(zeros, 8);
    q->tcb.oldest = INT64_MAX;
    q->tcb.evaluation = 1000;
}

static void
judge(struct bh_span text, bool tdx)
{
    static struct ev_report report;
    static struct ev_trust trust;
    static struct ev_intel q;
    struct ev_intel_trial t = {.q = &q, .trust = &trust, .report = &report};
    json_t *json = NULL;

    if (bh_json_parse(text, BH_COLLATERAL_MAX, &json, NULL) != BH_OK)
        return;
    fill(&q, tdx);
    ev_report_init(&report, true);
    must((ev_intel_judge_qe(&t, json) == BH_OK) == (report.err == BH_OK));
    ev_report_init(&report, true);
    must((ev_intel_judge_tcb(&t, json) == BH_OK) == (report.err == BH_OK));
    must(report.err != BH_OK || q.tcb.evaluated);
    json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct ev_intel_chain chain = {0};
    struct bh_diag diag = {0};
    struct ev_crl crl;

    judge(in, false);
    judge(in, true);
    if (ev_intel_chain_read(in, &chain, &diag) == BH_OK)
        must(chain.len > 0);
    ev_intel_chain_clear(&chain);
    bh_diag_clear(&diag);
    if (ev_crl_read(in, &crl, &diag) == BH_OK)
        (void)ev_crl_revokes(&crl, bh_span(zeros, 1));
    else
        must(diag.err != BH_OK);
    return 0;
}
