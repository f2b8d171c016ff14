/* SPDX-License-Identifier: Apache-2.0 */
#include "mutate.h"

#include <stdlib.h>

size_t
bh_mutate(struct bh_span input, size_t from, size_t to, size_t stride, bh_mutant_fn show, void *arg)
{
    static const struct {
        uint8_t mask;
        const char *how;
    } flips[] = {{0x01, "XOR 01"}, {0x80, "XOR 80"}, {0xff, "XOR FF"}};
    uint8_t *copy = malloc(input.len + 1);
    size_t shown = 0;
    bool go_on = copy != NULL;

    if (go_on)
        memcpy(copy, input.ptr, input.len);
    for (size_t i = from; go_on && i < to; i += stride) {
        for (size_t k = 0; go_on && k < BH_COUNT(flips); k++) {
            copy[i] ^= flips[k].mask;
            go_on = show(arg, bh_span(copy, input.len), i, flips[k].how);
            copy[i] ^= flips[k].mask;
            shown++;
        }
    }
    for (size_t len = from; go_on && len < to; len += stride, shown++)
        go_on = show(arg, bh_span(input.ptr, len), len, "truncated");
    free(copy);
    return shown;
}
