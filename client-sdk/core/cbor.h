/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bh_cbor: a strict cursor over CBOR (RFC 8949) we do not trust.
 *
 * Sticky like bh_reader: after the first bad get everything fails. Accepts
 * definite and indefinite maps and arrays, and integers that are not in the
 * shortest form; refuses chunked strings, reserved and simple values other
 * than false, true, null and undefined, floats where no caller asks for one,
 * duplicate keys (int and text keys compared by value), nesting beyond
 * BH_CBOR_DEPTH_MAX, counts larger than the bytes left, and text that is not
 * UTF-8. No recursion, no allocation. Spans borrow from the input.
 *
 *     bh_cbor_init(&c, in);
 *     bh_cbor_map(&c);
 *     while (bh_cbor_more(&c)) {
 *         switch (bh_cbor_int(&c)) {          key
 *         case 10: nonce = bh_cbor_bstr(&c); break;
 *         default: bh_cbor_skip(&c);          value
 *         }
 *     }
 *     err = bh_cbor_end(&c);
 */
#ifndef BH_CBOR_H
#define BH_CBOR_H

#include "err.h"
#include "limits.h"

enum bh_cbor_type {
    BH_CBOR_NONE, /* the end of the container or input, or a failed cursor */
    BH_CBOR_UINT,
    BH_CBOR_NINT,
    BH_CBOR_BSTR,
    BH_CBOR_TSTR,
    BH_CBOR_ARRAY,
    BH_CBOR_MAP,
    BH_CBOR_TAG,
    BH_CBOR_BOOL,
    BH_CBOR_NULL,
    BH_CBOR_UNDEFINED,
    BH_CBOR_FLOAT,
};

struct bh_cbor { /* private; use the functions */
    struct bh_span in;
    size_t off;
    bool bad;
    const char *why; /* static text: the first reason */
    unsigned depth;
    struct {
        uint64_t left; /* items left (pairs count twice); unused when indefinite */
        bool indefinite;
        bool map;
        bool value_next; /* in a map: the key was read */
    } stack[BH_CBOR_DEPTH_MAX];
};

/** Start at the one item of @p in, which is borrowed. */
void bh_cbor_init(struct bh_cbor *c, struct bh_span in);

/** The type of the next item, without moving. */
enum bh_cbor_type bh_cbor_peek(const struct bh_cbor *c);

/** Getters: fail unless the next item is of the type. */
uint64_t bh_cbor_uint(struct bh_cbor *c);
int64_t bh_cbor_int(struct bh_cbor *c);
struct bh_span bh_cbor_bstr(struct bh_cbor *c);
struct bh_span bh_cbor_tstr(struct bh_cbor *c);
bool bh_cbor_bool(struct bh_cbor *c);
void bh_cbor_null(struct bh_cbor *c);
double bh_cbor_float(struct bh_cbor *c);
uint64_t bh_cbor_tag(struct bh_cbor *c);

/** Enter a map (its keys are checked for duplicates here) or an array. */
void bh_cbor_map(struct bh_cbor *c);
void bh_cbor_array(struct bh_cbor *c);
/**
 * True while the innermost open container has another item. At its end the
 * container is left and false returned. False once failed.
 */
bool bh_cbor_more(struct bh_cbor *c);
/** For arrays of a fixed count: fails unless the innermost container is at its end; leaves it. */
void bh_cbor_leave(struct bh_cbor *c);

/** Step over one whole item. */
void bh_cbor_skip(struct bh_cbor *c);
/** Step over one whole item, checked as skip does, and return its encoded bytes. */
struct bh_span bh_cbor_item(struct bh_cbor *c);

/** No string, array or map in the well-formed @p items is of indefinite length. */
bool bh_cbor_is_definite(struct bh_span items);

/** Fail the cursor; @p why is a static string. */
void bh_cbor_spoil(struct bh_cbor *c, const char *why);
bool bh_cbor_ok(const struct bh_cbor *c);
size_t bh_cbor_off(const struct bh_cbor *c);
/** Why it failed ("trailing bytes", "duplicate map key"); NULL while it has not. */
const char *bh_cbor_why(const struct bh_cbor *c);
/** BH_OK only if nothing failed, every container was left and no byte is left over. */
BH_MUST_USE enum bh_err bh_cbor_end(struct bh_cbor *c);

#endif
