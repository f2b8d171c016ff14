/* SPDX-License-Identifier: Apache-2.0 */
/* The real command, as a shell sees it: exit code, standard output, standard error. */
#ifndef BH_TEST_CLI_RUN_H
#define BH_TEST_CLI_RUN_H

#include "core/span.h"

#include <jansson.h>

struct ran {
    int status; /* 128 and the signal when one ended it */
    char *out;  /* NUL-terminated */
    char *err;
    json_t *json; /* of standard output, when it is one JSON document */
};

/** Run @p program of the bin folder (or "sh") with the NULL-terminated @p args; @p input is its
 * standard input. ran_clear() frees. */
void run(struct ran *r, const char *program, struct bh_span input, const char *const *args);
void ran_clear(struct ran *r);

/** Run `beachhead` anew into @p r, which holds an earlier run or {0}. */
#define RUN(r, ...)                                                                                \
    (ran_clear(r), run(r, "beachhead", bh_span_none(), (const char *const[]){__VA_ARGS__, NULL}))

/** The exit code is @p status; @p in_err stands on standard error; no control character anywhere.
 */
void expect_run(const struct ran *r, int status, const char *in_err);
/** The exit code is @p status, and there is one document. */
void expect_json(const struct ran *r, int status);
/** One member of the document, as text; "" when it is absent or none. */
const char *text_of(const struct ran *r, const char *name);
/** The check of the document's failed check; "" when none failed. */
const char *failed_check(const struct ran *r);
/** The document has exactly the members of the NULL-terminated @p names. */
void expect_members(const json_t *object, const char *const *names);

/** A temporary folder of this process, removed by end_folder(). */
const char *folder(void);
void end_folder(void);
/** Write a file there; the path is valid until 64 more were written. */
const char *put(const char *name, struct bh_span bytes);

#endif
