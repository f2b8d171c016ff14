/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results and the one diagnostic that explains a failure.
 *
 * A function that can fail returns enum bh_err and takes a struct bh_diag,
 * which may be NULL. The first failure written into a diag stays; the callers
 * above may add nothing but return the same error. Core code never logs.
 */
#ifndef BH_ERR_H
#define BH_ERR_H

#include "span.h"

/*
 * The values are stable: 1xx malformed input, 2xx refused, 3xx collateral and
 * network, 4xx resources, 5xx internal. Each has one CODE of the HTTP API.
 */
enum bh_err {
    BH_OK = 0,

    BH_ERR_MALFORMED = 100,          /* malformed */
    BH_ERR_TOO_LARGE = 101,          /* too-large */
    BH_ERR_CSR_INVALID = 102,        /* csr-invalid */
    BH_ERR_EVIDENCE_MALFORMED = 103, /* evidence-malformed */
    BH_ERR_UNSUPPORTED = 104,        /* evidence-unsupported */
    BH_ERR_USAGE = 105,              /* malformed: wrong arguments or configuration */

    BH_ERR_CHALLENGE_INVALID = 200,   /* challenge-invalid */
    BH_ERR_CHALLENGE_EXPIRED = 201,   /* challenge-expired */
    BH_ERR_CHALLENGE_USED = 202,      /* challenge-used */
    BH_ERR_NOT_AUTHENTIC = 203,       /* evidence-not-authentic */
    BH_ERR_BINDING = 204,             /* binding-mismatch */
    BH_ERR_REFERENCE_MISSING = 205,   /* reference-missing */
    BH_ERR_POLICY = 206,              /* policy-refused */
    BH_ERR_ENDORSEMENT_UNKNOWN = 207, /* endorsement-unknown */
    BH_ERR_SIMULATED = 208,           /* simulated-refused */
    BH_ERR_DENIED = 209,              /* denied */
    BH_ERR_WORKLOAD_UNKNOWN = 210,    /* workload-unknown */
    BH_ERR_UNAUTHORIZED = 211,        /* unauthorized */
    BH_ERR_FORBIDDEN = 212,           /* forbidden */
    BH_ERR_NOT_FOUND = 213,           /* not-found */

    BH_ERR_COLLATERAL_MISSING = 300, /* collateral-missing */
    BH_ERR_COLLATERAL_EXPIRED = 301, /* collateral-expired */
    BH_ERR_NETWORK = 310,            /* overloaded: the other side could not be reached */

    BH_ERR_RATE_LIMITED = 400, /* rate-limited */
    BH_ERR_OVERLOADED = 401,   /* overloaded */

    BH_ERR_INTERNAL = 500, /* internal */
    BH_ERR_IO = 501,       /* internal: file, disk, database */
    BH_ERR_NOMEM = 502,    /* internal */
};

#define BH_CHECK_MAX 80
#define BH_VALUE_MAX 200
#define BH_TEXT_MAX 320

/** What failed, said once. Strings are NUL-terminated and cut when too long. */
struct bh_diag {
    enum bh_err err;             /* BH_OK while nothing failed */
    char check[BH_CHECK_MAX];    /* dotted name: "aws-nitro.signature"; may be empty */
    char expected[BH_VALUE_MAX]; /* may be empty */
    char found[BH_VALUE_MAX];    /* may be empty */
    char detail[BH_TEXT_MAX];    /* one sentence: what, where, specification section */
    char hint[BH_TEXT_MAX];      /* what to do; may be empty */
};

/** Make @p diag empty. */
void bh_diag_clear(struct bh_diag *diag);

/**
 * Record a failure and return @p err, so that callers write `return bh_fail(...)`.
 * @p diag may be NULL. Only the first failure is kept.
 */
enum bh_err bh_fail(struct bh_diag *diag, enum bh_err err, const char *fmt, ...) BH_PRINTF(3, 4);

/**
 * bh_fail() for a named check. @p expected and @p found may be NULL; the
 * detail is the printf form @p fmt.
 */
enum bh_err bh_refuse(struct bh_diag *diag, enum bh_err err, const char *check,
    const char *expected, const char *found, const char *fmt, ...) BH_PRINTF(6, 7);

/** Say what to do about the failure in @p diag, if it has no hint yet. */
void bh_hint(struct bh_diag *diag, const char *fmt, ...) BH_PRINTF(2, 3);

/** Name the check of the failure in @p diag, if it has none yet. */
void bh_name_check(struct bh_diag *diag, const char *fmt, ...) BH_PRINTF(2, 3);

/** The CODE of the HTTP API ("binding-mismatch"); "internal" for anything unknown. */
const char *bh_err_code(enum bh_err err);

/** The error of a CODE; BH_ERR_INTERNAL when there is none of that name. */
enum bh_err bh_err_from_code(const char *code);

/** The HTTP status that goes with the CODE. */
int bh_err_status(enum bh_err err);

/** A short title for people ("Binding mismatch"). */
const char *bh_err_title(enum bh_err err);

/** What to do about an error of which nothing more is known; never empty. */
const char *bh_err_hint(enum bh_err err);

/**
 * The exit code of a command that ends with @p err: 0 done, 1 refused or
 * malformed, 2 usage or unreadable file, 3 the other side was not reached.
 */
int bh_err_exit(enum bh_err err);

#endif
