/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

void
bh_reader_init(struct bh_reader *r, struct bh_span in)
{
    *r = (struct bh_reader){.in = in};
}

struct bh_span
bh_reader_take(struct bh_reader *r, size_t len)
{
    struct bh_span s;

    if (r->bad || len > r->in.len - r->off) {
        r->bad = true;
        return bh_span_none();
    }
    if (len == 0)
        return bh_span_none();
    s = bh_span(r->in.ptr + r->off, len);
    r->off += len;
    return s;
}

static uint64_t
read_be(struct bh_reader *r, size_t width)
{
    const struct bh_span s = bh_reader_take(r, width);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.ptr[i];
    return v;
}

static uint64_t
read_le(struct bh_reader *r, size_t width)
{
    const struct bh_span s = bh_reader_take(r, width);
    uint64_t v = 0;

    for (size_t i = s.len; i > 0; i--)
        v = v << 8 | s.ptr[i - 1];
    return v;
}

uint8_t
bh_reader_u8(struct bh_reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t
bh_reader_u16be(struct bh_reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t
bh_reader_u32be(struct bh_reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t
bh_reader_u64be(struct bh_reader *r)
{
    return read_be(r, 8);
}

uint16_t
bh_reader_u16le(struct bh_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t
bh_reader_u32le(struct bh_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t
bh_reader_u64le(struct bh_reader *r)
{
    return read_le(r, 8);
}

void
bh_reader_copy(struct bh_reader *r, void *out, size_t len)
{
    const struct bh_span s = bh_reader_take(r, len);

    memset(out, 0, len);
    if (s.len != 0)
        memcpy(out, s.ptr, s.len);
}

static struct bh_span
take_bounded(struct bh_reader *r, size_t len, size_t min, size_t max)
{
    if (len < min || len > max)
        r->bad = true;
    return bh_reader_take(r, len);
}

struct bh_span
bh_reader_vec16(struct bh_reader *r, size_t min, size_t max)
{
    return take_bounded(r, bh_reader_u16be(r), min, max);
}

struct bh_span
bh_reader_vec32(struct bh_reader *r, size_t min, size_t max)
{
    return take_bounded(r, bh_reader_u32be(r), min, max);
}

struct bh_span
bh_reader_der(struct bh_reader *r, uint8_t tag, struct bh_span *ret_whole)
{
    const size_t start = r->off;
    struct bh_span content;
    size_t len;

    if (bh_reader_u8(r) != tag)
        r->bad = true;
    len = bh_reader_u8(r);
    if (len > 0x80 && len <= 0x82) {
        const size_t width = len - 0x80;
        len = width == 1 ? bh_reader_u8(r) : bh_reader_u16be(r);
        /* DER has one length form for each length (X.690, 10.1). */
        if (len < (width == 1 ? 0x80u : 0x100u))
            r->bad = true;
    } else if (len >= 0x80) {
        r->bad = true;
    }
    content = bh_reader_take(r, len);
    if (ret_whole != NULL)
        *ret_whole = r->bad ? bh_span_none() : bh_span(r->in.ptr + start, r->off - start);
    return content;
}

bool
bh_reader_der_is(const struct bh_reader *r, uint8_t tag)
{
    return !r->bad && r->off < r->in.len && r->in.ptr[r->off] == tag;
}

void
bh_reader_spoil(struct bh_reader *r)
{
    r->bad = true;
}

bool
bh_reader_ok(const struct bh_reader *r)
{
    return !r->bad;
}

size_t
bh_reader_off(const struct bh_reader *r)
{
    return r->off;
}

size_t
bh_reader_left(const struct bh_reader *r)
{
    return r->bad ? 0 : r->in.len - r->off;
}

enum bh_err
bh_reader_end(const struct bh_reader *r)
{
    return !r->bad && r->off == r->in.len ? BH_OK : BH_ERR_MALFORMED;
}
