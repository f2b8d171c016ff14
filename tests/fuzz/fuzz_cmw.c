/* SPDX-License-Identifier: Apache-2.0 */
/* bh_cmw_from_json, bh_cmw_from_cbor, bh_cmw_ext_decode; what was read is written and read again.
 */
#include "fuzz.h"

#include "core/cmw.h"

static void
again(struct bh_cmw *cmw)
{
    struct bh_cmw back;
    char *text = NULL;

    if (bh_cmw_to_json(cmw, &text, NULL) == BH_OK) {
        must(bh_cmw_from_json(bh_span_str(text), &back, NULL) == BH_OK);
        must(back.count == cmw->count);
        for (size_t i = 0; i < back.count; i++)
            must(bh_span_equal(back.records[i].value, cmw->records[i].value));
        bh_cmw_clear(&back);
    }
    free(text);
    bh_cmw_clear(cmw);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct bh_diag diag = {0};
    struct bh_span json, cbor;
    struct bh_cmw cmw;
    enum bh_err e;

    e = bh_cmw_from_json(in, &cmw, &diag);
    must_explain(e, &diag);
    if (e == BH_OK)
        again(&cmw);
    bh_diag_clear(&diag);
    e = bh_cmw_from_cbor(in, &cmw, &diag);
    must_explain(e, &diag);
    if (e == BH_OK)
        again(&cmw);
    bh_diag_clear(&diag);
    must_explain(bh_cmw_ext_decode(in, &json, &cbor, &diag), &diag);
    return 0;
}
