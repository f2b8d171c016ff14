/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out on purpose. Programs that link bh_test_starve have their malloc(), calloc(),
 * realloc(), strdup() and strndup() wrapped, and OpenSSL's and jansson's with them: the project's
 * code asks through these, one allocation after the other fails, and each failure must end as an
 * error that is named, without a crash and without a leak.
 */
#ifndef BH_TEST_STARVE_H
#define BH_TEST_STARVE_H

#include "core/err.h"

enum bh_starved {
    BH_STARVE_CODE = 1,    /* the project's own allocations */
    BH_STARVE_JSON = 2,    /* jansson's */
    BH_STARVE_OPENSSL = 4, /* OpenSSL's */
};

/** Do something that allocates, and undo it: everything that it made is freed when it returns. */
typedef enum bh_err (*bh_hungry_fn)(void *arg, struct bh_diag *diag);

/**
 * Run @p hungry with plenty; then with the first, the second, ... allocation of @p kinds (enum
 * bh_starved, or-ed) failing, until a run needs none that fails. Each run must end with BH_OK or
 * with an error that its diag says too. Returns how many runs there were; asserts the rest. At most
 * @p most runs: later allocations are then not tried.
 */
size_t bh_starve(unsigned kinds, size_t most, bh_hungry_fn hungry, void *arg);

#endif
