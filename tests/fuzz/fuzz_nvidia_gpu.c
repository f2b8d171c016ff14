/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA GPUs: ev_decode_raw of a report, ev_decode of a collection that the input divides,
 * ev_bind, ev_authenticate, ev_claims of what decodes; the readers of report, chain and firmware
 * digest alone. Nothing is authentic before NVIDIA's root began.
 */
#include "fuzz.h"

#include "core/reader.h"
#include "evidence/nvidia_gpu.h"

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
        trust.now = 1000000000;
        must(ev_trust_add_vendor_roots(&trust, EV_NVGPU_NAME) == BH_OK);
    }
    json_decref(ev_claims(ev));
    ev_report_init(&report, true);
    must((ev_bind(ev, binding, bh_span_none(), &report) == BH_OK) == (report.err == BH_OK));
    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        must_fail(ev_authenticate(ev, &trust, &report), &report);
    }
    json_decref(ev_report_json(&report));
}

/* Report and chain, each behind a length of two bytes. */
static void
judge_divided(struct bh_span in)
{
    static const char *const labels[] = {"report", "cert_chain"};
    static struct ev_report report;
    static struct bh_cmw cmw;
    struct ev_evidence *ev = NULL;
    struct bh_reader r;
    enum bh_err e;

    cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(
        cmw.collection_type, sizeof(cmw.collection_type), "%s", "tag:beachhead,2026:nvidia-gpu");
    bh_reader_init(&r, in);
    for (size_t i = 0; i < BH_COUNT(labels); i++) {
        const struct bh_span part = bh_reader_vec16(&r, 0, UINT16_MAX);

        if (part.len == 0)
            continue;
        (void)snprintf(cmw.records[cmw.count].label, BH_CMW_LABEL_MAX, "%s", labels[i]);
        cmw.records[cmw.count++].value = part;
    }
    if (!bh_reader_ok(&r))
        return;
    ev_report_init(&report, true);
    if ((e = ev_decode(&cmw, &report, &ev)) != BH_OK)
        must_fail(e, &report);
    else
        judge(ev);
    ev_evidence_free(ev);
}

static void
read_readers(struct bh_span in)
{
    static struct ev_nvgpu_report gpu;
    static struct ev_report report;
    struct ev_nvgpu_chain chain;
    struct ev_cert cert;
    struct bh_span fwid = bh_span_none();
    struct bh_diag diag = {0};

    ev_report_init(&report, false);
    if (ev_nvgpu_report_read(in, &gpu, &report) != BH_OK)
        must_fail(report.err, &report);
    const enum bh_err e = ev_nvgpu_chain_read(in, &chain, &diag);
    must_explain(e, &diag);
    if (e == BH_OK)
        ev_nvgpu_chain_clear(&chain);
    if (ev_cert_read(in, &cert, NULL) != BH_OK)
        return;
    diag = (struct bh_diag){0};
    must_explain(ev_nvgpu_leaf_fwid(&cert, &fwid, &diag), &diag);
    must(fwid.len == 0 || fwid.len == EV_NVGPU_DIGEST_LEN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ev_report report;
    const struct bh_span in = bh_span(data, size);
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(&report, false);
    e = ev_decode_raw(in, &report, &ev);
    must((e == BH_OK) == (ev != NULL));
    if (ev != NULL && strcmp(ev_platform(ev), EV_NVGPU_NAME) == 0)
        judge(ev);
    ev_evidence_free(ev);
    judge_divided(in);
    read_readers(in);
    return 0;
}
