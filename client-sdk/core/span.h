/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bh_span: bytes that belong to somebody else. A span never owns; who made it
 * says how long the bytes live.
 */
#ifndef BH_SPAN_H
#define BH_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BH_MUST_USE __attribute__((warn_unused_result))
#define BH_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define BH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct bh_span {
    const uint8_t *ptr; /* NULL only when len is 0 */
    size_t len;
};

/** A span over @p len bytes at @p ptr, borrowed. */
static inline struct bh_span
bh_span(const void *ptr, size_t len)
{
    return (struct bh_span){.ptr = ptr, .len = len};
}

/** A span over the characters of a string, without its NUL. */
static inline struct bh_span
bh_span_str(const char *s)
{
    return bh_span(s, strlen(s));
}

/** The empty span. */
static inline struct bh_span
bh_span_none(void)
{
    return bh_span(NULL, 0);
}

/** Same length and same bytes. Not constant time: use bh_span_equal_ct() for secrets. */
static inline bool
bh_span_equal(struct bh_span a, struct bh_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** The span's bytes are exactly the characters of @p s. */
static inline bool
bh_span_is(struct bh_span a, const char *s)
{
    return bh_span_equal(a, bh_span_str(s));
}

/** bh_span_equal() whose duration depends on the length only. */
bool bh_span_equal_ct(struct bh_span a, struct bh_span b);

/** Every byte is zero; true for the empty span. */
bool bh_span_is_zero(struct bh_span a);

#endif
