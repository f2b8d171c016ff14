/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ev_decode, ev_decode_raw, ev_bind, ev_authenticate and ev_claims of Intel's quotes, alone and in
 * a collection with collateral. Nothing that is invented here may be authentic.
 */
#include "fuzz.h"

#include "evidence/evidence.h"

#include <stdio.h>

static void
judge(struct ev_evidence *ev)
{
    static const uint8_t binding[BH_BINDING_LEN] = {0x5a, 0xa5, 1, 2, 3};
    static struct ev_trust trust;
    static struct ev_report report;

    if (trust.now == 0) {
        trust.now = 1767225600;
        must(ev_trust_add_vendor_roots(&trust, NULL) == BH_OK);
    }
    json_decref(ev_claims(ev));
    ev_report_init(&report, true);
    must((ev_bind(ev, binding, bh_span_none(), &report) == BH_OK) == (report.err == BH_OK));
    ev_report_init(&report, true);
    must(ev_authenticate(ev, &trust, &report) != BH_OK);
    must(report.err != BH_OK && report.diag.check[0] != '\0');
    json_decref(ev_report_json(&report));
    json_decref(ev_claims(ev));
}

/* The first byte says how many of the rest are the quote, in 32nds; then come label and bytes. */
static void
in_collection(struct bh_span in)
{
    static const char *const labels[] = {"tcb_info", "qe_identity", "tcb_signing_chain", "pck_crl",
        "pck_crl_chain", "root_crl", "event_log", "other"};
    static struct ev_report report;
    static struct bh_cmw cmw;
    struct ev_evidence *ev = NULL;

    if (in.len < 2)
        return;
    const struct bh_span rest = bh_span(in.ptr + 2, in.len - 2);
    const size_t cut = rest.len * (in.ptr[0] & 31U) / 32;
    cmw = (struct bh_cmw){.count = 2, .collection = true};
    (void)snprintf(
        cmw.collection_type, sizeof(cmw.collection_type), "tag:beachhead,2026:intel-dcap");
    (void)snprintf(cmw.records[0].label, sizeof(cmw.records[0].label), "quote");
    cmw.records[0].value = bh_span(rest.ptr, rest.len - cut);
    (void)snprintf(cmw.records[1].label, sizeof(cmw.records[1].label), "%s", labels[in.ptr[1] & 7]);
    cmw.records[1].value = bh_span(rest.ptr + rest.len - cut, cut);
    ev_report_init(&report, true);
    if (ev_decode(&cmw, &report, &ev) == BH_OK)
        judge(ev);
    else
        must(report.err != BH_OK && report.diag.check[0] != '\0');
    ev_evidence_free(ev);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;

    ev_report_init(&report, true);
    if (ev_decode_raw(bh_span(data, size), &report, &ev) == BH_OK)
        judge(ev);
    else
        must(ev == NULL && report.err != BH_OK && report.diag.check[0] != '\0');
    ev_evidence_free(ev);
    in_collection(bh_span(data, size));
    return 0;
}
