/* SPDX-License-Identifier: Apache-2.0 */
#include "cmw.h"

#include "cbor.h"
#include "json.h"
#include "text.h"
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

#define COLLECTION_TYPE "__cmwc_t"

static enum bh_err
malformed(struct bh_diag *diag, const char *what)
{
    return bh_fail(diag, BH_ERR_MALFORMED, "CMW (RFC 9999, 3): %s", what);
}

#define BAD_LABEL "a collection's labels are printable texts of 1 to 31 bytes, each of them once"

/* A media type (printable, no control characters), copied. */
static bool
take_type(struct bh_span text, char out[BH_CMW_TYPE_MAX])
{
    if (text.len == 0 || text.len >= BH_CMW_TYPE_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* The storage grows by what is left of one allocation made beforehand. */
struct storage {
    uint8_t *bytes;
    size_t used, cap;
};

static enum bh_err
json_record(const json_t *json, struct storage *st, struct bh_cmw_record *r, struct bh_diag *diag)
{
    const json_t *type = json_array_get(json, 0);
    const json_t *value = json_array_get(json, 1);
    const json_t *ind = json_array_get(json, 2);
    const size_t n = json_array_size(json);
    size_t len;
    enum bh_err e;

    if (!json_is_array(json) || n < 2 || n > 3)
        return malformed(diag, "a record is [type, value] or [type, value, indicator]");
    if (json_is_integer(type) && json_integer_value(type) >= 0 && json_integer_value(type) <= 65535)
        (void)snprintf(r->type, sizeof(r->type), "%lld", (long long)json_integer_value(type));
    else if (!json_is_string(type) || !take_type(bh_span_str(json_string_value(type)), r->type))
        return malformed(diag, "a record's type is a media type or a content-format number");
    if (n == 3 && (!json_is_integer(ind) || json_integer_value(ind) <= 0))
        return malformed(diag, "a record's indicator is a positive number");
    if (!json_is_string(value))
        return malformed(diag, "a record's value is a text");
    e = bh_unbase64url(bh_span(json_string_value(value), json_string_length(value)),
        st->bytes + st->used, st->cap - st->used, &len);
    if (e == BH_ERR_TOO_LARGE)
        return bh_fail(diag, e, "CMW (RFC 9999, 3): values of more than %d bytes", BH_EVIDENCE_MAX);
    if (e != BH_OK)
        return malformed(diag, "a record's value is base64url without padding");
    r->value = bh_span(st->bytes + st->used, len);
    st->used += len;
    return BH_OK;
}

/* Printable, and one of its kind: a number and the text of the same digits would share a label
 * here. */
static bool
take_label(struct bh_span text, const struct bh_cmw *cmw, struct bh_cmw_record *r)
{
    if (text.len == 0 || text.len >= sizeof(r->label))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    for (size_t i = 0; i < cmw->count; i++)
        if (bh_span_is(text, cmw->records[i].label))
            return false;
    memcpy(r->label, text.ptr, text.len);
    r->label[text.len] = '\0';
    return true;
}

static enum bh_err
json_collection(json_t *json, struct storage *st, struct bh_cmw *cmw, struct bh_diag *diag)
{
    const char *label;
    json_t *value;
    enum bh_err e;

    cmw->collection = true;
    json_object_foreach(json, label, value)
    {
        struct bh_cmw_record *r = &cmw->records[cmw->count];

        if (strcmp(label, COLLECTION_TYPE) == 0) {
            if (!json_is_string(value) ||
                !take_type(bh_span_str(json_string_value(value)), cmw->collection_type))
                return malformed(diag, "__cmwc_t is a text of 1 to 159 bytes");
            continue;
        }
        if (json_is_object(value))
            return malformed(diag, "a collection inside a collection is not taken");
        if (cmw->count == BH_CMW_RECORDS_MAX)
            return malformed(diag, "a collection of more than 16 records");
        if (!take_label(bh_span_str(label), cmw, r))
            return malformed(diag, BAD_LABEL);
        if ((e = json_record(value, st, r, diag)) != BH_OK)
            return e;
        cmw->count++;
    }
    return cmw->count > 0 ? BH_OK : malformed(diag, "an empty collection");
}

enum bh_err
bh_cmw_from_value(json_t *json, size_t text_len, struct bh_cmw *ret_cmw, struct bh_diag *diag)
{
    struct storage st = {.cap = text_len / 4 * 3 + 3};
    struct bh_cmw *cmw;
    enum bh_err e;

    if (st.cap > BH_EVIDENCE_MAX)
        st.cap = BH_EVIDENCE_MAX;
    cmw = calloc(1, sizeof(*cmw));
    st.bytes = malloc(st.cap);
    if (cmw == NULL || st.bytes == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "CMW");
    } else if (json_is_object(json)) {
        e = json_collection(json, &st, cmw, diag);
    } else {
        cmw->count = 1;
        e = json_record(json, &st, &cmw->records[0], diag);
    }
    if (e == BH_OK) {
        *ret_cmw = *cmw;
        ret_cmw->storage = st.bytes;
        st.bytes = NULL;
    }
    free(st.bytes);
    free(cmw);
    return e;
}

enum bh_err
bh_cmw_from_json(struct bh_span text, struct bh_cmw *ret_cmw, struct bh_diag *diag)
{
    json_t *json = NULL;
    enum bh_err e;

    if ((e = bh_json_parse(text, BH_BODY_MAX, &json, diag)) != BH_OK)
        return e;
    e = bh_cmw_from_value(json, text.len, ret_cmw, diag);
    json_decref(json);
    return e;
}

static void
cbor_record(struct bh_cbor *c, struct storage *st, struct bh_cmw_record *r)
{
    struct bh_span value;

    bh_cbor_array(c);
    if (bh_cbor_peek(c) == BH_CBOR_UINT)
        (void)snprintf(r->type, sizeof(r->type), "%llu", (unsigned long long)bh_cbor_uint(c));
    else if (!take_type(bh_cbor_tstr(c), r->type))
        bh_cbor_spoil(c, "a record's type is a media type or a content-format number");
    value = bh_cbor_bstr(c);
    if (bh_cbor_more(c)) {
        if (bh_cbor_uint(c) == 0)
            bh_cbor_spoil(c, "a record's indicator is a positive number");
        bh_cbor_leave(c);
    }
    if (!bh_cbor_ok(c) || value.len > st->cap - st->used) {
        bh_cbor_spoil(c, "a record's value is too large");
        return;
    }
    if (value.len > 0)
        memcpy(st->bytes + st->used, value.ptr, value.len);
    r->value = bh_span(st->bytes + st->used, value.len);
    st->used += value.len;
}

/* The tag form: TN(content format) before a byte string (RFC 9277, 4.3). */
static void
cbor_tag(struct bh_cbor *c, struct storage *st, struct bh_cmw_record *r)
{
    const uint64_t first = 0x63740101;
    const uint64_t tag = bh_cbor_tag(c);
    const struct bh_span value = bh_cbor_bstr(c);

    if (!bh_cbor_ok(c) || tag < first || tag - first > 0xfeff || (tag - first) % 256 == 255 ||
        value.len > st->cap) {
        bh_cbor_spoil(c, "a tag that stands for no content format");
        return;
    }
    (void)snprintf(r->type, sizeof(r->type), "%u",
        (unsigned)((tag - first) / 256 * 255 + (tag - first) % 256));
    if (value.len > 0)
        memcpy(st->bytes, value.ptr, value.len);
    r->value = bh_span(st->bytes, value.len);
    st->used = value.len;
}

static void
cbor_collection(struct bh_cbor *c, struct storage *st, struct bh_cmw *cmw)
{
    cmw->collection = true;
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        struct bh_span text;
        char digits[24];

        if (bh_cbor_peek(c) == BH_CBOR_TSTR) {
            const struct bh_span label = bh_cbor_tstr(c);
            if (bh_span_is(label, COLLECTION_TYPE)) {
                if (!take_type(bh_cbor_tstr(c), cmw->collection_type))
                    bh_cbor_spoil(c, "__cmwc_t is a text of 1 to 159 bytes");
                continue;
            }
            text = label;
        } else {
            (void)snprintf(digits, sizeof(digits), "%lld", (long long)bh_cbor_int(c));
            text = bh_span_str(digits);
        }
        if (cmw->count == BH_CMW_RECORDS_MAX) {
            bh_cbor_spoil(c, "a collection of more than 16 records");
            return;
        }
        struct bh_cmw_record *r = &cmw->records[cmw->count];
        if (bh_cbor_ok(c) && !take_label(text, cmw, r))
            bh_cbor_spoil(c, BAD_LABEL);
        if (bh_cbor_peek(c) == BH_CBOR_MAP) {
            bh_cbor_spoil(c, "a collection inside a collection is not taken");
            return;
        }
        cbor_record(c, st, r);
        cmw->count++;
    }
    if (bh_cbor_ok(c) && cmw->count == 0)
        bh_cbor_spoil(c, "an empty collection");
}

enum bh_err
bh_cmw_from_cbor(struct bh_span in, struct bh_cmw *ret_cmw, struct bh_diag *diag)
{
    struct storage st = {.cap = in.len};
    struct bh_cmw *cmw;
    struct bh_cbor c;
    enum bh_err e;

    if (in.len == 0 || in.len > BH_EVIDENCE_MAX)
        return malformed(diag, "its size is not 1 byte to 128 KiB");
    cmw = calloc(1, sizeof(*cmw));
    st.bytes = malloc(st.cap);
    if (cmw == NULL || st.bytes == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "CMW");
        goto out;
    }
    bh_cbor_init(&c, in);
    cmw->count = 1;
    if (bh_cbor_peek(&c) == BH_CBOR_TAG) {
        cbor_tag(&c, &st, &cmw->records[0]);
    } else if (bh_cbor_peek(&c) == BH_CBOR_ARRAY) {
        cbor_record(&c, &st, &cmw->records[0]);
    } else {
        cmw->count = 0;
        cbor_collection(&c, &st, cmw);
    }
    if ((e = bh_cbor_end(&c)) != BH_OK) {
        e = malformed(diag, bh_cbor_why(&c));
        goto out;
    }
    *ret_cmw = *cmw;
    ret_cmw->storage = st.bytes;
    st.bytes = NULL;
out:
    free(st.bytes);
    free(cmw);
    return e;
}

void
bh_cmw_clear(struct bh_cmw *cmw)
{
    free(cmw->storage);
    memset(cmw, 0, sizeof(*cmw));
}

const struct bh_cmw_record *
bh_cmw_find(const struct bh_cmw *cmw, const char *label)
{
    for (size_t i = 0; i < cmw->count; i++)
        if (strcmp(cmw->records[i].label, label) == 0)
            return &cmw->records[i];
    return NULL;
}

static json_t *
record_json(const struct bh_cmw_record *r)
{
    const size_t size = bh_base64url_len(r->value.len) + 1;
    char *text = malloc(size);
    json_t *json = NULL;

    if (text != NULL)
        json = json_pack("[s, s]", r->type, bh_base64url(r->value, text, size));
    free(text);
    return json;
}

enum bh_err
bh_cmw_to_json(const struct bh_cmw *cmw, char **ret_text, struct bh_diag *diag)
{
    json_t *json = cmw->collection ? json_object() : record_json(&cmw->records[0]);
    char *text = NULL;

    if (cmw->collection && cmw->collection_type[0] != '\0')
        (void)json_object_set_new(json, COLLECTION_TYPE, json_string(cmw->collection_type));
    for (size_t i = 0; cmw->collection && i < cmw->count; i++)
        (void)json_object_set_new(json, cmw->records[i].label, record_json(&cmw->records[i]));
    if (json != NULL)
        text = bh_json_text(json, false);
    json_decref(json);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "CMW");
    *ret_text = text;
    return BH_OK;
}

enum bh_err
bh_cmw_record_cbor(
    const char *type, struct bh_span value, uint64_t ind, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct bh_writer w;
    struct bh_span all;
    enum bh_err e;

    bh_writer_init(&w, out, cap);
    bh_writer_cbor_array(&w, ind != 0 ? 3 : 2);
    bh_writer_cbor_tstr(&w, type);
    bh_writer_cbor_bstr(&w, value);
    if (ind != 0)
        bh_writer_cbor_uint(&w, ind);
    if ((e = bh_writer_end(&w, &all)) == BH_OK)
        *ret_len = all.len;
    return e;
}

enum bh_err
bh_cmw_ext_encode(struct bh_span cbor, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct bh_writer w;
    struct bh_span all;
    enum bh_err e;

    bh_writer_init(&w, out, cap);
    bh_writer_der(&w, 0x04, cbor);
    if ((e = bh_writer_end(&w, &all)) == BH_OK)
        *ret_len = all.len;
    return e;
}

enum bh_err
bh_cmw_ext_decode(
    struct bh_span ext, struct bh_span *ret_json, struct bh_span *ret_cbor, struct bh_diag *diag)
{
    size_t head = 2, len = 0;
    struct bh_span content;

    if (ext.len >= 2 && ext.ptr[1] < 0x80) {
        len = ext.ptr[1];
    } else if (ext.len >= 3 && ext.ptr[1] == 0x81 && ext.ptr[2] >= 0x80) {
        head = 3;
        len = ext.ptr[2];
    } else if (ext.len >= 4 && ext.ptr[1] == 0x82 && ext.ptr[2] != 0) {
        head = 4;
        len = (size_t)ext.ptr[2] << 8 | ext.ptr[3];
    }
    if (len == 0 || ext.len != head + len || (ext.ptr[0] != 0x04 && ext.ptr[0] != 0x0c))
        return bh_fail(diag, BH_ERR_MALFORMED,
            "id-pe-cmw (RFC 9999): expected one UTF8String or OCTET STRING that fills the "
            "extension");
    content = bh_span(ext.ptr + head, len);
    *ret_json = ext.ptr[0] == 0x0c ? content : bh_span_none();
    *ret_cbor = ext.ptr[0] == 0x04 ? content : bh_span_none();
    return BH_OK;
}
