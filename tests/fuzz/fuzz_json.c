/* SPDX-License-Identifier: Apache-2.0 */
/* bh_json_parse, bh_json_canonical: the canonical form is a fixed point, and what is read without
 * jansson is what jansson reads. */
#include "fuzz.h"

#include "core/json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_diag diag = {0};
    char *text = NULL, *again = NULL;
    json_t *json = NULL, *back = NULL;
    enum bh_err e;

    e = bh_json_parse(bh_span(data, size), 64 * 1024, &json, &diag);
    must_explain(e, &diag);
    if (e == BH_OK) {
        json_t *expected = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        must(expected != NULL && json_equal(json, expected));
        json_decref(expected);
    }
    if (e == BH_OK && bh_json_canonical(json, &text, NULL) == BH_OK) {
        must(bh_json_parse(bh_span_str(text), 1024 * 1024, &back, NULL) == BH_OK);
        must(bh_json_canonical(back, &again, NULL) == BH_OK);
        must(strcmp(text, again) == 0);
    }
    json_decref(json);
    json_decref(back);
    free(text);
    free(again);
    return 0;
}
