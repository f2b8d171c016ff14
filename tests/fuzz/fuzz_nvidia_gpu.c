/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA GPUs: ev_decode_raw of a report, ev_decode of a collection that the input divides,
 * ev_bind, ev_authenticate, ev_claims of what decodes; the readers of report, chain and firmware
 * digest alone. Nothing is authentic before NVIDIA's root began.
 */
#include "judge.h"

#include "evidence/nvidia_gpu.h"

#define NOW 1000000000

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
        fuzz_must_fail(report.err, &report);
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
    static const char *const labels[] = {"report", "cert_chain"};
    const struct bh_span in = bh_span(data, size);

    fuzz_judge_raw(in, EV_NVGPU_NAME, NOW);
    fuzz_judge_divided("tag:beachhead,2026:nvidia-gpu", labels, BH_COUNT(labels), in, NOW);
    read_readers(in);
    return 0;
}
