/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text forms of bytes, times, durations and names that the interfaces use:
 * lower-case hex, base64url without padding (RFC 4648, 5), RFC 3339 UTC.
 * All readers are strict: one way to write a thing, nothing before or after it.
 */
#ifndef BH_TEXT_H
#define BH_TEXT_H

#include "err.h"

#include <time.h>

/** Hex of @p bytes with NUL; @p size must be at least 2 * len + 1, else the text is cut
 * at a whole byte and ends in "...". Returns @p out. */
char *bh_hex(struct bh_span bytes, char *out, size_t size);
/** Reads lower- or upper-case hex of even length. BH_ERR_MALFORMED, or BH_ERR_TOO_LARGE over @p
 * cap. */
BH_MUST_USE enum bh_err bh_unhex(struct bh_span text, uint8_t *out, size_t cap, size_t *ret_len);

/** Characters that base64url of @p len bytes takes, without NUL. */
size_t bh_base64url_len(size_t len);
/** base64url with NUL; @p size must be at least bh_base64url_len() + 1, else out is "". */
char *bh_base64url(struct bh_span bytes, char *out, size_t size);
/** Refuses padding, other alphabets, white space and non-zero spare bits. */
BH_MUST_USE enum bh_err bh_unbase64url(
    struct bh_span text, uint8_t *out, size_t cap, size_t *ret_len);

#define BH_TIME_MAX 32
/** "2026-11-23T18:06:00Z". @p out holds BH_TIME_MAX bytes. Returns @p out. */
char *bh_time_text(int64_t unix_seconds, char out[BH_TIME_MAX]);
/** Reads exactly the form that bh_time_text() writes. */
BH_MUST_USE enum bh_err bh_time_read(const char *text, int64_t *ret_unix_seconds);
/** Seconds since 1970 now. For main() and what stands right below it. */
int64_t bh_time_now(void);

/** "90s", "15m", "24h", "30d": a positive number and one unit. At most ten years. */
BH_MUST_USE enum bh_err bh_duration_read(const char *text, int64_t *ret_seconds);

/** A workload name: [a-z0-9][a-z0-9._-]{0,62}. */
bool bh_is_workload(struct bh_span text);
/** A DNS name of letters, digits, hyphens and dots, lower case, at most 253 bytes, labels 1..63. */
bool bh_is_dns_name(struct bh_span text);
/** Valid UTF-8 without surrogates and overlong forms (RFC 3629). */
bool bh_is_utf8(struct bh_span text);

#endif
