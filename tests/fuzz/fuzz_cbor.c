/* SPDX-License-Identifier: Apache-2.0 */
/* bh_cbor_*: walking an item by its types ends where skipping it ends. */
#include "fuzz.h"

#include "core/cbor.h"

static void
read_one(struct bh_cbor *c, unsigned *open)
{
    switch (bh_cbor_peek(c)) {
    case BH_CBOR_UINT:
        (void)bh_cbor_uint(c);
        break;
    case BH_CBOR_NINT:
        (void)bh_cbor_int(c);
        break;
    case BH_CBOR_BSTR:
        (void)bh_cbor_bstr(c);
        break;
    case BH_CBOR_TSTR:
        (void)bh_cbor_tstr(c);
        break;
    case BH_CBOR_BOOL:
        (void)bh_cbor_bool(c);
        break;
    case BH_CBOR_NULL:
        bh_cbor_null(c);
        break;
    case BH_CBOR_FLOAT:
        (void)bh_cbor_float(c);
        break;
    case BH_CBOR_TAG:
        (void)bh_cbor_tag(c);
        read_one(c, open);
        break;
    case BH_CBOR_MAP:
        bh_cbor_map(c);
        (*open)++;
        break;
    case BH_CBOR_ARRAY:
        bh_cbor_array(c);
        (*open)++;
        break;
    default:
        bh_cbor_skip(c);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct bh_cbor skipping, walking;
    unsigned open = 0;

    bh_cbor_init(&skipping, in);
    const struct bh_span item = bh_cbor_item(&skipping);
    const enum bh_err skipped = bh_cbor_end(&skipping);
    must(skipped == BH_OK ? item.len == size : bh_cbor_why(&skipping) != NULL);

    bh_cbor_init(&walking, in);
    read_one(&walking, &open);
    while (open > 0 && bh_cbor_ok(&walking)) {
        if (bh_cbor_more(&walking))
            read_one(&walking, &open);
        else
            open--;
    }
    if (bh_cbor_end(&walking) == BH_OK)
        must(skipped == BH_OK);
    return 0;
}
