/* SPDX-License-Identifier: Apache-2.0 */
/* ev_collateral_read, ev_collateral_set_add and _find, ev_collateral_verify. */
#include "fuzz.h"

#include "evidence/collateral.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct ev_collateral_issuers issuers = {0};
    struct ev_collateral_set *set = ev_collateral_set_new();
    struct ev_collateral what;
    struct bh_diag diag = {0};
    struct bh_span found = bh_span_none();
    enum bh_err e;

    must(set != NULL);
    must_explain(e = ev_collateral_set_add(set, in, NULL, &what, &diag), &diag);
    if (e == BH_OK) {
        must(what.keys_len > 0 && what.file[0] != '\0');
        must(ev_collateral_set_find(set, ev_collateral_kind_name(what.kind),
                 bh_span(what.keys[0].bytes, what.keys[0].len), &found, NULL) == BH_OK);
        must(found.ptr == in.ptr && !ev_collateral_set_shadows(set, &what, in));
        issuers.at = what.from;
        /* Without anchors nobody signed it. */
        e = ev_collateral_verify(&what, in, &issuers, &diag);
        must(e != BH_OK);
        must_explain(e, &diag);
    }
    ev_collateral_set_free(set);
    return 0;
}
