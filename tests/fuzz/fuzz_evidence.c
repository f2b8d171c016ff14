/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ev_decode, ev_decode_raw, ev_bind, ev_authenticate, ev_claims of one platform: FUZZ_TYPE is its
 * media type. Nothing that is invented here may be authentic.
 */
#include "fuzz.h"

#include "evidence/evidence.h"

#include <stdio.h>

static void
must_fail(enum bh_err e, const struct ev_report *report)
{
    must(e != BH_OK && report->err == e && report->diag.check[0] != '\0');
}

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
    /* A fuzzer that watches comparisons finds the binding: it is no secret, and proves nothing
     * alone. */
    must((ev_bind(ev, binding, bh_span_none(), &report) == BH_OK) == (report.err == BH_OK));
    ev_report_init(&report, true);
    must_fail(ev_authenticate(ev, &trust, &report), &report);
    json_decref(ev_report_json(&report));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ev_report report;
    static struct bh_cmw cmw;
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    cmw = (struct bh_cmw){.count = 1};
    (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", FUZZ_TYPE);
    cmw.records[0].value = bh_span(data, size);
    ev_report_init(&report, true);
    e = ev_decode(&cmw, &report, &ev);
    if (e != BH_OK)
        must_fail(e, &report);
    else
        judge(ev);
    ev_evidence_free(ev);
    ev = NULL;
    ev_report_init(&report, false);
    e = ev_decode_raw(bh_span(data, size), &report, &ev);
    must((e == BH_OK) == (ev != NULL));
    ev_evidence_free(ev);
    return 0;
}
