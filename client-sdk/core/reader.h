/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bh_reader: a bounds-checked cursor over bytes we do not trust.
 *
 * After the first bad get it stays failed and every get returns zero or an
 * empty span. Call bh_reader_end() before acting on any value, and
 * bh_reader_ok() inside loops.
 */
#ifndef BH_READER_H
#define BH_READER_H

#include "err.h"

struct bh_reader { /* private; use the functions */
    struct bh_span in;
    size_t off;
    bool bad;
};

/** Start at the first byte of @p in, which is borrowed and must outlive @p r. */
void bh_reader_init(struct bh_reader *r, struct bh_span in);

/** Getters, big-endian. */
uint8_t bh_reader_u8(struct bh_reader *r);
uint16_t bh_reader_u16be(struct bh_reader *r);
uint32_t bh_reader_u32be(struct bh_reader *r);
uint64_t bh_reader_u64be(struct bh_reader *r);
/** Getters, little-endian. */
uint16_t bh_reader_u16le(struct bh_reader *r);
uint32_t bh_reader_u32le(struct bh_reader *r);
uint64_t bh_reader_u64le(struct bh_reader *r);

/** The next @p len bytes, borrowed from the input. */
struct bh_span bh_reader_take(struct bh_reader *r, size_t len);
/** Copy the next @p len bytes to @p out; zeroes it on failure. */
void bh_reader_copy(struct bh_reader *r, void *out, size_t len);
/** Bytes behind a big-endian u16 or u32 length; also fails unless min <= length <= max. */
struct bh_span bh_reader_vec16(struct bh_reader *r, size_t min, size_t max);
struct bh_span bh_reader_vec32(struct bh_reader *r, size_t min, size_t max);

/**
 * The content of one DER value (X.690) of the one-byte @p tag, whose length is in the shortest form
 * and below 64 KiB; @p ret_whole, when not NULL, gets the value with its head.
 */
struct bh_span bh_reader_der(struct bh_reader *r, uint8_t tag, struct bh_span *ret_whole);
/** The next byte is @p tag; false at the end and once failed. */
bool bh_reader_der_is(const struct bh_reader *r, uint8_t tag);

/** Fail the reader: a value was read that must not be. */
void bh_reader_spoil(struct bh_reader *r);

bool bh_reader_ok(const struct bh_reader *r);
size_t bh_reader_off(const struct bh_reader *r);
/** Bytes not read yet; 0 once failed. */
size_t bh_reader_left(const struct bh_reader *r);
/** BH_OK only if no get failed and no byte is left over; else BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err bh_reader_end(const struct bh_reader *r);

#endif
