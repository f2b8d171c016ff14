/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON over jansson: depth cap, no duplicate keys, nothing after the
 * text, and readers that name the field that is wrong. RFC 8785 canonical form.
 */
#ifndef BH_JSON_H
#define BH_JSON_H

#include "err.h"

#include <jansson.h>

/**
 * Parse one JSON text that fills @p text exactly. BH_ERR_MALFORMED names line and column;
 * BH_ERR_TOO_LARGE over @p max bytes. The caller releases with json_decref().
 */
BH_MUST_USE enum bh_err bh_json_parse(
    struct bh_span text, size_t max, json_t **ret_json, struct bh_diag *diag);

/**
 * Read one member of @p object. The returned values are borrowed from it. Fail with
 * BH_ERR_MALFORMED and the member's name when it is absent (unless @p optional, then
 * the output is NULL or untouched) or of another type.
 */
BH_MUST_USE enum bh_err bh_json_string(const json_t *object, const char *name, bool optional,
    const char **ret_text, struct bh_diag *diag);
BH_MUST_USE enum bh_err bh_json_int(const json_t *object, const char *name, bool optional,
    int64_t min, int64_t max, int64_t *ret_value, struct bh_diag *diag);
BH_MUST_USE enum bh_err bh_json_bool(
    const json_t *object, const char *name, bool optional, bool *ret_value, struct bh_diag *diag);
BH_MUST_USE enum bh_err bh_json_member(const json_t *object, const char *name, json_type type,
    bool optional, json_t **ret_member, struct bh_diag *diag);

/** Fails, naming the key, when @p object has a member that is not in the NULL-terminated @p names.
 */
BH_MUST_USE enum bh_err bh_json_only(
    const json_t *object, const char *const *names, const char *where, struct bh_diag *diag);

/** RFC 8785 form, for digests; numbers must be integers within 2^53. The caller frees the text. */
BH_MUST_USE enum bh_err bh_json_canonical(
    const json_t *json, char **ret_text, struct bh_diag *diag);

/** Compact or indented text of @p json, NUL-terminated; NULL when out of memory. The caller frees.
 */
char *bh_json_text(const json_t *json, bool indent);

/** A JSON string of @p text, which may be bytes of anybody's: what is not UTF-8 becomes '?' per
 * byte. NULL when out of memory. */
json_t *bh_json_lossy(const char *text);

/** Problem details (RFC 9457) of @p diag in a new object, with the error's own hint where the diag
 * has none; @p request_id may be NULL. */
json_t *bh_json_problem(const struct bh_diag *diag, const char *request_id);

#endif
