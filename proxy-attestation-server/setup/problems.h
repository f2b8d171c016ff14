/* SPDX-License-Identifier: Apache-2.0 */
/* What `check` found, collected for people and as JSON. */
#ifndef PAS_PROBLEMS_H
#define PAS_PROBLEMS_H

#include "core/err.h"

#include <jansson.h>

struct pas_problems {
    json_t *list;       /* [{"file","field","severity","detail","hint"}] */
    json_t *collateral; /* [{"file","kind","about","from","until","simulated"}]: what is there */
    size_t errors, warnings;
    bool failed; /* out of memory: the list is not whole */
};

BH_MUST_USE bool pas_problems_init(struct pas_problems *p);
void pas_problems_clear(struct pas_problems *p);

/** Add one; @p field and @p hint may be NULL. @p file is relative to the server's folder. */
void pas_problem(struct pas_problems *p, bool error, const char *file, const char *field,
    const char *hint, const char *fmt, ...) BH_PRINTF(6, 7);
/** Add the failure in @p diag, its check as the field without @p prefix (may be NULL). */
void pas_problem_diag(
    struct pas_problems *p, const char *file, const char *prefix, const struct bh_diag *diag);

/** One JSON document on standard output, or lines on standard error. False when that fails. */
BH_MUST_USE bool pas_problems_print(const struct pas_problems *p, const char *dir, bool json);

#endif
