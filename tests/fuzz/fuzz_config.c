/* SPDX-License-Identifier: Apache-2.0 */
/* pas_config_parse: what is read is written, and read again. */
#include "fuzz.h"

#include "config.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pas_config config, again;
    struct bh_diag diag = {0};
    char *text = NULL;
    const enum bh_err e = pas_config_parse(bh_span(data, size), &config, &diag);

    must_explain(e, &diag);
    if (e == BH_OK && pas_config_text(&config, &text, NULL) == BH_OK)
        must(pas_config_parse(bh_span_str(text), &again, NULL) == BH_OK);
    free(text);
    return 0;
}
