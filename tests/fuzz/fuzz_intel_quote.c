/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ev_decode, ev_decode_raw, ev_bind, ev_authenticate and ev_claims of Intel's quotes, alone and in
 * a collection with collateral. Nothing that is invented here may be authentic.
 */
#include "judge.h"

#include <stdio.h>

#define NOW 1767225600

/* The first byte says how many of the rest are the quote, in 32nds; then come label and bytes. */
static void
in_collection(struct bh_span in)
{
    static const char *const labels[] = {"tcb_info", "qe_identity", "tcb_signing_chain", "pck_crl",
        "pck_crl_chain", "root_crl", "event_log", "other"};
    static struct bh_cmw cmw;

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
    fuzz_judge_cmw(&cmw, NOW);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_judge_raw(bh_span(data, size), NULL, NOW);
    in_collection(bh_span(data, size));
    return 0;
}
