/* SPDX-License-Identifier: Apache-2.0 */
/* ev_endorsement_file, ev_endorsement_from_key, ev_endorsement_decode. */
#include "fuzz.h"

#include "evidence/evidence.h"

static enum bh_err
each(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    uint8_t out[EV_ENDORSEMENT_MAX];
    struct ev_endorsement back;
    size_t len;

    (void)arg;
    (void)key;
    must(ev_endorsement_encode(e, out, sizeof(out), &len) == BH_OK);
    must(ev_endorsement_decode(bh_span(out, len), &back, NULL) == BH_OK);
    must(back.key_len == e->key_len && back.key_class == e->key_class);
    return BH_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct bh_diag diag = {0};
    struct ev_endorsement e;

    must_explain(ev_endorsement_file(in, each, NULL, &diag), &diag);
    bh_diag_clear(&diag);
    must_explain(ev_endorsement_from_key(in, &e, &diag), &diag);
    bh_diag_clear(&diag);
    must_explain(ev_endorsement_decode(in, &e, &diag), &diag);
    return 0;
}
