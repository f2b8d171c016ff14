/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conceptual Message Wrappers (RFC 9999): the typed envelope in which evidence
 * and attestation results travel. Record forms in JSON and CBOR, collections, and
 * the X.509 extension id-pe-cmw.
 */
#ifndef BH_CMW_H
#define BH_CMW_H

#include "err.h"
#include "limits.h"

#include <jansson.h>

#define BH_CMW_TYPE_MAX 160
#define BH_CMW_LABEL_MAX 32
#define BH_OID_PE_CMW "1.3.6.1.5.5.7.1.35"

struct bh_cmw_record {
    char label[BH_CMW_LABEL_MAX]; /* "" for a record that stands alone */
    char type[BH_CMW_TYPE_MAX];   /* media type; a CoAP content-format number as its decimal text */
    struct bh_span value;         /* decoded; borrowed from struct bh_cmw's storage */
};

/** One record, or a collection of them (not nested: nested ones are refused by name). */
struct bh_cmw {
    bool collection;
    char collection_type[BH_CMW_TYPE_MAX]; /* __cmwc_t, or "" */
    size_t count;
    struct bh_cmw_record records[BH_CMW_RECORDS_MAX];
    uint8_t *storage; /* private */
};

/** Read a CMW in JSON: `["type", "base64url"]` or `["type", "value", ind]`, or a collection object.
 * Values are bounded by BH_EVIDENCE_MAX in sum. bh_cmw_clear() frees. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err bh_cmw_from_json(
    struct bh_span text, struct bh_cmw *ret_cmw, struct bh_diag *diag);
/** Read a CMW in CBOR: record array, collection map, or CBOR tag form. */
BH_MUST_USE enum bh_err bh_cmw_from_cbor(
    struct bh_span in, struct bh_cmw *ret_cmw, struct bh_diag *diag);
/** bh_cmw_from_json() of a JSON value that was parsed already, as part of a text of @p text_len
 * bytes. */
BH_MUST_USE enum bh_err bh_cmw_from_value(
    json_t *json, size_t text_len, struct bh_cmw *ret_cmw, struct bh_diag *diag);
void bh_cmw_clear(struct bh_cmw *cmw);
/** The record with @p label in a collection, or NULL. */
const struct bh_cmw_record *bh_cmw_find(const struct bh_cmw *cmw, const char *label);

/** JSON text of a CMW, malloc'ed. */
BH_MUST_USE enum bh_err bh_cmw_to_json(
    const struct bh_cmw *cmw, char **ret_text, struct bh_diag *diag);
/** A CBOR record array [type, bstr, ?ind] of one value; @p ind 0 leaves the indicator out. */
BH_MUST_USE enum bh_err bh_cmw_record_cbor(const char *type, struct bh_span value, uint64_t ind,
    uint8_t *out, size_t cap, size_t *ret_len);

/**
 * The value of the X.509 extension id-pe-cmw: CHOICE { json UTF8String, cbor OCTET STRING }.
 * Write the cbor choice around a CBOR CMW; read either choice (the other output stays empty).
 */
BH_MUST_USE enum bh_err bh_cmw_ext_encode(
    struct bh_span cbor, uint8_t *out, size_t cap, size_t *ret_len);
BH_MUST_USE enum bh_err bh_cmw_ext_decode(
    struct bh_span ext, struct bh_span *ret_json, struct bh_span *ret_cbor, struct bh_diag *diag);

#endif
