/* SPDX-License-Identifier: Apache-2.0 */
/* The mutation walker: every byte changed in three ways, and every truncation. */
#ifndef BH_TEST_MUTATE_H
#define BH_TEST_MUTATE_H

#include "core/span.h"

/** Told of one mutant; @p at is the changed byte, or the length of a truncation. Return false to
 * stop. */
typedef bool (*bh_mutant_fn)(void *arg, struct bh_span mutant, size_t at, const char *how);

/**
 * Each byte of [from, to) of @p input XOR 01, 80 and FF, every @p stride-th; then each truncation
 * to a length in [from, to). Returns the number of mutants shown.
 */
size_t bh_mutate(
    struct bh_span input, size_t from, size_t to, size_t stride, bh_mutant_fn show, void *arg);

#endif
