/* SPDX-License-Identifier: Apache-2.0 */
#include "src/internal.h"

#include <stdlib.h>

struct bh_failure *
bh_failure_new(void)
{
    return calloc(1, sizeof(struct bh_failure));
}

void
bh_failure_free(struct bh_failure *failure)
{
    free(failure);
}

static enum bh_result
result_of(enum bh_err err)
{
    switch (err) {
    case BH_OK:
        return BH_RESULT_OK;
    case BH_ERR_USAGE:
        return BH_RESULT_USAGE;
    case BH_ERR_NETWORK:
    case BH_ERR_OVERLOADED:
    case BH_ERR_RATE_LIMITED:
        return BH_RESULT_UNREACHABLE;
    case BH_ERR_INTERNAL:
    case BH_ERR_IO:
    case BH_ERR_NOMEM:
        return BH_RESULT_INTERNAL;
    default:
        return BH_RESULT_REFUSED;
    }
}

enum bh_result
bh_failure_set(struct bh_failure *failure, const struct bh_diag *diag, enum bh_err err)
{
    if (failure != NULL) {
        failure->diag = *diag;
        failure->diag.err = err;
    }
    return result_of(err);
}

enum bh_result
bh_failure_result(const struct bh_failure *failure)
{
    return failure != NULL ? result_of(failure->diag.err) : BH_RESULT_INTERNAL;
}

const char *
bh_failure_check(const struct bh_failure *failure)
{
    return failure != NULL ? failure->diag.check : "";
}

const char *
bh_failure_code(const struct bh_failure *failure)
{
    return failure == NULL || failure->diag.err == BH_OK ? "" : bh_err_code(failure->diag.err);
}

const char *
bh_failure_expected(const struct bh_failure *failure)
{
    return failure != NULL ? failure->diag.expected : "";
}

const char *
bh_failure_found(const struct bh_failure *failure)
{
    return failure != NULL ? failure->diag.found : "";
}

const char *
bh_failure_detail(const struct bh_failure *failure)
{
    return failure != NULL ? failure->diag.detail : "";
}

const char *
bh_failure_hint(const struct bh_failure *failure)
{
    return failure != NULL ? failure->diag.hint : "";
}
