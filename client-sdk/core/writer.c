/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <stdarg.h>
#include <stdio.h>

void
bh_writer_init(struct bh_writer *w, void *buf, size_t cap)
{
    *w = (struct bh_writer){.buf = buf, .cap = cap};
}

void
bh_writer_put(struct bh_writer *w, struct bh_span bytes)
{
    if (w->bad || bytes.len > w->cap - w->len) {
        w->bad = true;
        return;
    }
    if (bytes.len != 0)
        memcpy(w->buf + w->len, bytes.ptr, bytes.len);
    w->len += bytes.len;
}

static void
put_be(struct bh_writer *w, uint64_t v, size_t width)
{
    uint8_t b[8];

    for (size_t i = 0; i < width; i++)
        b[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    bh_writer_put(w, bh_span(b, width));
}

void
bh_writer_u8(struct bh_writer *w, uint8_t v)
{
    put_be(w, v, 1);
}

void
bh_writer_u16be(struct bh_writer *w, uint16_t v)
{
    put_be(w, v, 2);
}

void
bh_writer_u32be(struct bh_writer *w, uint32_t v)
{
    put_be(w, v, 4);
}

void
bh_writer_u64be(struct bh_writer *w, uint64_t v)
{
    put_be(w, v, 8);
}

void
bh_writer_str(struct bh_writer *w, const char *s)
{
    bh_writer_put(w, bh_span_str(s));
}

void
bh_writer_printf(struct bh_writer *w, const char *fmt, ...)
{
    const size_t left = w->bad ? 0 : w->cap - w->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(left > 0 ? (char *)w->buf + w->len : NULL, left, fmt, ap);
    va_end(ap);
    /* The NUL needs a byte too, though it is not part of what was written. */
    if (n < 0 || (size_t)n >= left)
        w->bad = true;
    else
        w->len += (size_t)n;
}

void
bh_writer_vec16(struct bh_writer *w, struct bh_span bytes)
{
    if (bytes.len > UINT16_MAX)
        w->bad = true;
    bh_writer_u16be(w, (uint16_t)bytes.len);
    bh_writer_put(w, bytes);
}

void
bh_writer_vec32(struct bh_writer *w, struct bh_span bytes)
{
    if (bytes.len > UINT32_MAX)
        w->bad = true;
    bh_writer_u32be(w, (uint32_t)bytes.len);
    bh_writer_put(w, bytes);
}

static void
cbor_head(struct bh_writer *w, uint8_t major, uint64_t v)
{
    const uint8_t m = (uint8_t)(major << 5);

    if (v < 24) {
        bh_writer_u8(w, (uint8_t)(m | v));
    } else if (v <= UINT8_MAX) {
        bh_writer_u8(w, m | 24);
        put_be(w, v, 1);
    } else if (v <= UINT16_MAX) {
        bh_writer_u8(w, m | 25);
        put_be(w, v, 2);
    } else if (v <= UINT32_MAX) {
        bh_writer_u8(w, m | 26);
        put_be(w, v, 4);
    } else {
        bh_writer_u8(w, m | 27);
        put_be(w, v, 8);
    }
}

void
bh_writer_cbor_uint(struct bh_writer *w, uint64_t v)
{
    cbor_head(w, 0, v);
}

void
bh_writer_cbor_int(struct bh_writer *w, int64_t v)
{
    if (v >= 0)
        cbor_head(w, 0, (uint64_t)v);
    else
        cbor_head(w, 1, (uint64_t)(-(v + 1)));
}

void
bh_writer_cbor_bstr(struct bh_writer *w, struct bh_span bytes)
{
    cbor_head(w, 2, bytes.len);
    bh_writer_put(w, bytes);
}

void
bh_writer_cbor_tspan(struct bh_writer *w, struct bh_span utf8)
{
    cbor_head(w, 3, utf8.len);
    bh_writer_put(w, utf8);
}

void
bh_writer_cbor_tstr(struct bh_writer *w, const char *s)
{
    bh_writer_cbor_tspan(w, bh_span_str(s));
}

void
bh_writer_cbor_array(struct bh_writer *w, size_t items)
{
    cbor_head(w, 4, items);
}

void
bh_writer_cbor_map(struct bh_writer *w, size_t pairs)
{
    cbor_head(w, 5, pairs);
}

void
bh_writer_cbor_tag(struct bh_writer *w, uint64_t tag)
{
    cbor_head(w, 6, tag);
}

void
bh_writer_cbor_bool(struct bh_writer *w, bool v)
{
    bh_writer_u8(w, v ? 0xf5 : 0xf4);
}

void
bh_writer_cbor_null(struct bh_writer *w)
{
    bh_writer_u8(w, 0xf6);
}

size_t
bh_writer_der_open(struct bh_writer *w, uint8_t tag)
{
    bh_writer_u8(w, tag);
    return w->len;
}

void
bh_writer_der_close(struct bh_writer *w, size_t mark)
{
    uint8_t head[5];
    size_t n = 0;
    size_t len;

    if (w->bad || mark > w->len) {
        w->bad = true;
        return;
    }
    len = w->len - mark;
    if (len < 0x80) {
        head[n++] = (uint8_t)len;
    } else {
        size_t width = len > 0xffffff ? 4 : len > 0xffff ? 3 : len > 0xff ? 2 : 1;
        head[n++] = (uint8_t)(0x80 | width);
        while (width > 0)
            head[n++] = (uint8_t)(len >> (8 * --width));
    }
    if (len > UINT32_MAX || n > w->cap - w->len) {
        w->bad = true;
        return;
    }
    memmove(w->buf + mark + n, w->buf + mark, len);
    memcpy(w->buf + mark, head, n);
    w->len += n;
}

void
bh_writer_der(struct bh_writer *w, uint8_t tag, struct bh_span content)
{
    const size_t mark = bh_writer_der_open(w, tag);

    bh_writer_put(w, content);
    bh_writer_der_close(w, mark);
}

void
bh_writer_spoil(struct bh_writer *w)
{
    w->bad = true;
}

bool
bh_writer_ok(const struct bh_writer *w)
{
    return !w->bad;
}

size_t
bh_writer_len(const struct bh_writer *w)
{
    return w->len;
}

enum bh_err
bh_writer_end(const struct bh_writer *w, struct bh_span *ret_out)
{
    if (w->bad)
        return BH_ERR_TOO_LARGE;
    *ret_out = bh_span(w->buf, w->len);
    return BH_OK;
}
