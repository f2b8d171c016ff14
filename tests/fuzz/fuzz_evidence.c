/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ev_decode, ev_decode_raw, ev_bind, ev_authenticate, ev_claims of one platform: FUZZ_TYPE is its
 * media type. Nothing that is invented here may be authentic.
 */
#include "judge.h"

#include <stdio.h>

#define NOW 1767225600

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_cmw cmw;

    cmw = (struct bh_cmw){.count = 1};
    (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", FUZZ_TYPE);
    cmw.records[0].value = bh_span(data, size);
    fuzz_judge_cmw(&cmw, NOW);
    fuzz_judge_raw(bh_span(data, size), NULL, NOW);
    return 0;
}
