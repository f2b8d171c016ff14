/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bh_writer: a bounded, sticky writer into a buffer of the caller's.
 *
 * A put that does not fit fails the writer; later puts do nothing. Take the
 * result with bh_writer_end() only. Also writes deterministic CBOR heads
 * (RFC 8949, 4.2) and DER lengths (X.690, 10.1).
 */
#ifndef BH_WRITER_H
#define BH_WRITER_H

#include "err.h"

struct bh_writer { /* private; use the functions */
    uint8_t *buf;
    size_t cap;
    size_t len;
    bool bad;
};

/** Write into @p cap bytes at @p buf, which must outlive @p w. */
void bh_writer_init(struct bh_writer *w, void *buf, size_t cap);

void bh_writer_u8(struct bh_writer *w, uint8_t v);
void bh_writer_u16be(struct bh_writer *w, uint16_t v);
void bh_writer_u32be(struct bh_writer *w, uint32_t v);
void bh_writer_u64be(struct bh_writer *w, uint64_t v);
void bh_writer_put(struct bh_writer *w, struct bh_span bytes);
void bh_writer_str(struct bh_writer *w, const char *s);
/** printf into the buffer, without the NUL. */
void bh_writer_printf(struct bh_writer *w, const char *fmt, ...) BH_PRINTF(2, 3);
/** Length and bytes; fails when the length does not fit the field. */
void bh_writer_vec16(struct bh_writer *w, struct bh_span bytes);
void bh_writer_vec32(struct bh_writer *w, struct bh_span bytes);

/** CBOR, shortest forms. */
void bh_writer_cbor_uint(struct bh_writer *w, uint64_t v);
void bh_writer_cbor_int(struct bh_writer *w, int64_t v);
void bh_writer_cbor_bstr(struct bh_writer *w, struct bh_span bytes);
void bh_writer_cbor_tstr(struct bh_writer *w, const char *s);
void bh_writer_cbor_tspan(struct bh_writer *w, struct bh_span utf8);
void bh_writer_cbor_array(struct bh_writer *w, size_t items);
void bh_writer_cbor_map(struct bh_writer *w, size_t pairs);
void bh_writer_cbor_tag(struct bh_writer *w, uint64_t tag);
void bh_writer_cbor_bool(struct bh_writer *w, bool v);
void bh_writer_cbor_null(struct bh_writer *w);

/**
 * DER: bh_writer_der_open() writes the tag and returns a mark;
 * bh_writer_der_close() puts the length of all that was written since in
 * front of it. Marks nest.
 */
size_t bh_writer_der_open(struct bh_writer *w, uint8_t tag);
void bh_writer_der_close(struct bh_writer *w, size_t mark);
/** Tag, length and content in one. */
void bh_writer_der(struct bh_writer *w, uint8_t tag, struct bh_span content);

/** Fail the writer. */
void bh_writer_spoil(struct bh_writer *w);
bool bh_writer_ok(const struct bh_writer *w);
size_t bh_writer_len(const struct bh_writer *w);
/** What was written, borrowed from the buffer; BH_ERR_TOO_LARGE if anything did not fit. */
BH_MUST_USE enum bh_err bh_writer_end(const struct bh_writer *w, struct bh_span *ret_out);

#endif
