/* SPDX-License-Identifier: Apache-2.0 */
/* bh_ear_decode: what was read is written again and means the same. */
#include "fuzz.h"

#include "core/ear.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_ear ear, back;
    static uint8_t out[BH_EAR_MAX];
    struct bh_diag diag = {0};
    size_t len;
    enum bh_err e;

    e = bh_ear_decode(bh_span(data, size), &ear, &diag);
    must_explain(e, &diag);
    if (e == BH_OK && bh_ear_encode(&ear, out, sizeof(out), &len, NULL) == BH_OK) {
        must(bh_ear_decode(bh_span(out, len), &back, NULL) == BH_OK);
        must(back.submods_len == ear.submods_len && back.exp == ear.exp);
        json_decref(bh_ear_json(&ear));
    }
    return 0;
}
