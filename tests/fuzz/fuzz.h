/* SPDX-License-Identifier: Apache-2.0 */
/* The contract that every target asserts: success sets the output, failure explains itself. */
#ifndef BH_FUZZ_H
#define BH_FUZZ_H

#include "core/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
must(bool holds)
{
    if (!holds)
        abort();
}

/** A failed call left @p diag with its error and a word for people. */
static inline void
must_explain(enum bh_err e, const struct bh_diag *diag)
{
    must(e == BH_OK || (diag->err == e && (diag->detail[0] != '\0' || diag->check[0] != '\0')));
}

#endif
