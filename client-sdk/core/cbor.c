/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor.h"

#include "text.h"

/* The head of one item, read but not yet acted on. */
struct head {
    uint8_t major;
    uint8_t info;
    uint64_t value;
    size_t next; /* offset behind the head */
};

enum {
    MAJOR_UINT,
    MAJOR_NINT,
    MAJOR_BSTR,
    MAJOR_TSTR,
    MAJOR_ARRAY,
    MAJOR_MAP,
    MAJOR_TAG,
    MAJOR_SIMPLE,
};

#define INFO_INDEFINITE 31
#define BREAK 0xff

static void
fail(struct bh_cbor *c, const char *why)
{
    if (!c->bad)
        c->why = why;
    c->bad = true;
}

/* Read the head at @p off; NULL on success, else why not. */
static const char *
read_head(struct bh_span in, size_t off, struct head *h)
{
    size_t width;

    if (off >= in.len)
        return "the input ends early";
    h->major = in.ptr[off] >> 5;
    h->info = in.ptr[off] & 31;
    h->value = h->info;
    h->next = off + 1;
    if (h->info < 24 || h->info == INFO_INDEFINITE)
        return NULL;
    if (h->info > 27)
        return "reserved additional information";
    width = (size_t)1 << (h->info - 24);
    if (width > in.len - h->next)
        return "the input ends early";
    h->value = 0;
    for (size_t i = 0; i < width; i++)
        h->value = h->value << 8 | in.ptr[h->next + i];
    h->next += width;
    return NULL;
}

static bool
is_break(struct bh_span in, size_t off)
{
    return off < in.len && in.ptr[off] == BREAK;
}

void
bh_cbor_init(struct bh_cbor *c, struct bh_span in)
{
    memset(c, 0, sizeof(*c));
    c->in = in;
}

/* The innermost container has no further item. */
static bool
at_end(const struct bh_cbor *c)
{
    if (c->depth == 0)
        return c->off >= c->in.len;
    if (c->stack[c->depth - 1].indefinite)
        return is_break(c->in, c->off);
    return c->stack[c->depth - 1].left == 0;
}

enum bh_cbor_type
bh_cbor_peek(const struct bh_cbor *c)
{
    struct head h;

    if (c->bad || at_end(c) || read_head(c->in, c->off, &h) != NULL)
        return BH_CBOR_NONE;
    if (h.major != MAJOR_SIMPLE) {
        static const enum bh_cbor_type types[] = {BH_CBOR_UINT, BH_CBOR_NINT, BH_CBOR_BSTR,
            BH_CBOR_TSTR, BH_CBOR_ARRAY, BH_CBOR_MAP, BH_CBOR_TAG};
        return types[h.major];
    }
    switch (h.info) {
    case 20:
    case 21:
        return BH_CBOR_BOOL;
    case 22:
        return BH_CBOR_NULL;
    case 23:
        return BH_CBOR_UNDEFINED;
    case 25:
    case 26:
    case 27:
        return BH_CBOR_FLOAT;
    default:
        return BH_CBOR_NONE;
    }
}

/* One item of the innermost container is being consumed. */
static void
count_item(struct bh_cbor *c)
{
    if (c->depth == 0)
        return;
    if (!c->stack[c->depth - 1].indefinite)
        c->stack[c->depth - 1].left--;
    c->stack[c->depth - 1].value_next = !c->stack[c->depth - 1].value_next;
}

/* Take the next item's head, which must be of @p major. A tag counts with the item it stands
 * before. */
static bool
take(struct bh_cbor *c, uint8_t major, struct head *h)
{
    const char *why;

    memset(h, 0, sizeof(*h));
    if (c->bad)
        return false;
    if (at_end(c)) {
        fail(c, c->depth == 0 ? "the input ends early" : "an item is missing");
        return false;
    }
    if ((why = read_head(c->in, c->off, h)) != NULL) {
        fail(c, why);
        return false;
    }
    if (h->major != major) {
        fail(c, "an item of another type was expected");
        return false;
    }
    if (h->info == INFO_INDEFINITE && major != MAJOR_ARRAY && major != MAJOR_MAP) {
        fail(c, major == MAJOR_BSTR || major == MAJOR_TSTR ? "a chunked string"
                                                           : "reserved additional information");
        return false;
    }
    c->off = h->next;
    if (major != MAJOR_TAG)
        count_item(c);
    return true;
}

uint64_t
bh_cbor_uint(struct bh_cbor *c)
{
    struct head h;

    return take(c, MAJOR_UINT, &h) ? h.value : 0;
}

int64_t
bh_cbor_int(struct bh_cbor *c)
{
    const bool negative = bh_cbor_peek(c) == BH_CBOR_NINT;
    struct head h;

    if (!take(c, negative ? MAJOR_NINT : MAJOR_UINT, &h))
        return 0;
    if (h.value > INT64_MAX) {
        fail(c, "an integer beyond 64 bits with sign");
        return 0;
    }
    return negative ? -1 - (int64_t)h.value : (int64_t)h.value;
}

static struct bh_span
take_string(struct bh_cbor *c, uint8_t major)
{
    struct head h;
    struct bh_span s;

    if (!take(c, major, &h))
        return bh_span_none();
    if (h.value > c->in.len - c->off) {
        fail(c, "a string longer than the input");
        return bh_span_none();
    }
    s = h.value == 0 ? bh_span(c->in.ptr + c->off, 0)
                     : bh_span(c->in.ptr + c->off, (size_t)h.value);
    c->off += (size_t)h.value;
    if (major == MAJOR_TSTR && !bh_is_utf8(s)) {
        fail(c, "text that is not UTF-8");
        return bh_span_none();
    }
    return s;
}

struct bh_span
bh_cbor_bstr(struct bh_cbor *c)
{
    return take_string(c, MAJOR_BSTR);
}

struct bh_span
bh_cbor_tstr(struct bh_cbor *c)
{
    return take_string(c, MAJOR_TSTR);
}

uint64_t
bh_cbor_tag(struct bh_cbor *c)
{
    struct head h;

    if (!take(c, MAJOR_TAG, &h))
        return 0;
    /* What a tag stands before must be there. */
    if (c->off >= c->in.len || is_break(c->in, c->off))
        fail(c, "a tag without an item");
    return h.value;
}

static uint8_t
take_simple(struct bh_cbor *c, enum bh_cbor_type type)
{
    struct head h;

    if (c->bad)
        return 0;
    if (bh_cbor_peek(c) != type) {
        fail(c, "an item of another type was expected");
        return 0;
    }
    return take(c, MAJOR_SIMPLE, &h) ? h.info : 0;
}

bool
bh_cbor_bool(struct bh_cbor *c)
{
    return take_simple(c, BH_CBOR_BOOL) == 21;
}

void
bh_cbor_null(struct bh_cbor *c)
{
    (void)take_simple(c, BH_CBOR_NULL);
}

static double
half_to_double(uint64_t half)
{
    const int exponent = (int)(half >> 10 & 31);
    double value = (double)(half & 0x3ff);
    int shift = exponent == 0 ? -24 : exponent - 25;

    if (exponent == 31)
        return value == 0 ? (half >> 15 ? -__builtin_inf() : __builtin_inf()) : __builtin_nan("");
    if (exponent != 0)
        value += 1024;
    for (; shift < 0; shift++)
        value /= 2;
    for (; shift > 0; shift--)
        value *= 2;
    return half >> 15 ? -value : value;
}

double
bh_cbor_float(struct bh_cbor *c)
{
    struct head h;
    uint32_t bits32;
    float single;
    double value;

    if (c->bad)
        return 0;
    if (bh_cbor_peek(c) != BH_CBOR_FLOAT) {
        fail(c, "an item of another type was expected");
        return 0;
    }
    if (!take(c, MAJOR_SIMPLE, &h))
        return 0;
    if (h.info == 25)
        return half_to_double(h.value);
    if (h.info == 26) {
        bits32 = (uint32_t)h.value;
        memcpy(&single, &bits32, sizeof(single));
        return (double)single;
    }
    memcpy(&value, &h.value, sizeof(value));
    return value;
}

/* The head of an item without items: *off goes over what follows it. */
static const char *
step_over_leaf(struct bh_span in, const struct head *h, size_t *off)
{
    if (h->info == INFO_INDEFINITE)
        return h->major == MAJOR_SIMPLE ? "a break outside an indefinite container"
               : h->major == MAJOR_BSTR || h->major == MAJOR_TSTR
                   ? "a chunked string"
                   : "reserved additional information";
    if (h->major == MAJOR_BSTR || h->major == MAJOR_TSTR) {
        if (h->value > in.len - *off)
            return "a string longer than the input";
        if (h->major == MAJOR_TSTR && !bh_is_utf8(bh_span(in.ptr + *off, (size_t)h->value)))
            return "text that is not UTF-8";
        *off += (size_t)h->value;
    } else if (h->major == MAJOR_SIMPLE && (h->info < 20 || h->info == 24)) {
        return "an unassigned simple value";
    }
    return NULL;
}

/*
 * Step over one item at *off without the stack of the cursor: a walk over heads that keeps the
 * open containers in a small array of its own.
 */
static const char *
walk_over(struct bh_span in, size_t *off, unsigned depth)
{
    struct {
        uint64_t left;
        bool indefinite, map, odd;
    } open[BH_CBOR_DEPTH_MAX];
    unsigned n = 0;
    bool tagged = false;

    do {
        struct head h;
        const char *why;

        if (n > 0 && open[n - 1].indefinite && is_break(in, *off)) {
            if (tagged)
                return "a tag without an item";
            if (open[n - 1].odd)
                return "a map key without a value";
            (*off)++;
            n--;
            goto close;
        }
        if ((why = read_head(in, *off, &h)) != NULL)
            return why;
        *off = h.next;
        if (n > 0 && !tagged) {
            open[n - 1].odd = open[n - 1].map && !open[n - 1].odd;
            if (!open[n - 1].indefinite)
                open[n - 1].left--;
        }
        tagged = h.major == MAJOR_TAG;
        if (h.major != MAJOR_ARRAY && h.major != MAJOR_MAP) {
            if ((why = step_over_leaf(in, &h, off)) != NULL)
                return why;
        } else {
            if (n + depth >= BH_CBOR_DEPTH_MAX)
                return "nested too deeply";
            if (h.info != INFO_INDEFINITE && h.value > in.len - *off)
                return "a count larger than the bytes left";
            open[n].indefinite = h.info == INFO_INDEFINITE;
            open[n].map = h.major == MAJOR_MAP;
            open[n].odd = false;
            open[n].left = open[n].map ? h.value * 2 : h.value;
            n++;
        }
    close:
        while (n > 0 && !open[n - 1].indefinite && open[n - 1].left == 0 && !tagged)
            n--;
    } while (n > 0 || tagged);
    return NULL;
}

/* Most items are leaves and need no array. */
static const char *
step_over(struct bh_span in, size_t *off, unsigned depth)
{
    const char *why;
    struct head h;

    if ((why = read_head(in, *off, &h)) != NULL)
        return why;
    if (h.major == MAJOR_ARRAY || h.major == MAJOR_MAP || h.major == MAJOR_TAG)
        return walk_over(in, off, depth);
    *off = h.next;
    return step_over_leaf(in, &h, off);
}

/* Two keys name the same thing: integers by value, strings by type and content. Others do not pass.
 */
static bool
same_key(struct bh_span in, const struct head *a, const struct head *b)
{
    if (a->value != b->value || a->major != b->major)
        return false;
    if (a->major == MAJOR_UINT || a->major == MAJOR_NINT)
        return true;
    return bh_span_equal(
        bh_span(in.ptr + a->next, (size_t)a->value), bh_span(in.ptr + b->next, (size_t)b->value));
}

/* Walk all pairs of the map that was just entered: its structure holds and no key stands twice. */
static const char *
check_keys(const struct bh_cbor *c, bool indefinite, uint64_t pairs)
{
    struct head keys[BH_CBOR_PAIRS_MAX];
    size_t off = c->off;
    size_t n = 0;
    const char *why;

    while (indefinite ? !is_break(c->in, off) : n < pairs) {
        if (n == BH_CBOR_PAIRS_MAX)
            return "a map of too many pairs";
        if ((why = read_head(c->in, off, &keys[n])) != NULL)
            return why;
        if (keys[n].major > MAJOR_TSTR)
            return "a map key that is neither integer nor string";
        if ((why = step_over(c->in, &off, c->depth)) != NULL)
            return why;
        for (size_t i = 0; i < n; i++)
            if (same_key(c->in, &keys[i], &keys[n]))
                return "a map key that stands twice";
        n++;
        if (indefinite && is_break(c->in, off))
            return "a map key without a value";
        if ((why = step_over(c->in, &off, c->depth)) != NULL)
            return why;
    }
    return NULL;
}

static void
enter(struct bh_cbor *c, uint8_t major, uint64_t most, const char *too_many)
{
    const char *why;
    struct head h;

    if (!take(c, major, &h))
        return;
    if (c->depth == BH_CBOR_DEPTH_MAX) {
        fail(c, "nested too deeply");
        return;
    }
    if (h.info != INFO_INDEFINITE && h.value > c->in.len - c->off) {
        fail(c, "a count larger than the bytes left");
        return;
    }
    if (h.info != INFO_INDEFINITE && h.value > most) {
        fail(c, too_many);
        return;
    }
    c->stack[c->depth].indefinite = h.info == INFO_INDEFINITE;
    c->stack[c->depth].map = major == MAJOR_MAP;
    c->stack[c->depth].value_next = false;
    c->stack[c->depth].left = major == MAJOR_MAP ? h.value * 2 : h.value;
    c->depth++;
    if (major == MAJOR_MAP && (why = check_keys(c, h.info == INFO_INDEFINITE, h.value)) != NULL)
        fail(c, why);
}

void
bh_cbor_map(struct bh_cbor *c)
{
    enter(c, MAJOR_MAP, BH_CBOR_PAIRS_MAX, "a map of too many pairs");
}

void
bh_cbor_array(struct bh_cbor *c)
{
    enter(c, MAJOR_ARRAY, BH_CBOR_ITEMS_MAX, "an array of too many items");
}

bool
bh_cbor_more(struct bh_cbor *c)
{
    if (c->bad || c->depth == 0)
        return false;
    if (!at_end(c)) {
        /* An indefinite container that the input does not end would be seen by the next get. */
        return true;
    }
    if (c->stack[c->depth - 1].map && c->stack[c->depth - 1].value_next) {
        fail(c, "a map key without a value");
        return false;
    }
    if (c->stack[c->depth - 1].indefinite)
        c->off++;
    c->depth--;
    return false;
}

void
bh_cbor_leave(struct bh_cbor *c)
{
    if (c->bad)
        return;
    if (c->depth == 0)
        fail(c, "no container is open");
    else if (bh_cbor_more(c))
        fail(c, "more items than expected");
}

struct bh_span
bh_cbor_item(struct bh_cbor *c)
{
    const size_t start = c->off;
    size_t off = c->off;
    const char *why;

    if (c->bad)
        return bh_span_none();
    if (at_end(c)) {
        fail(c, "an item is missing");
        return bh_span_none();
    }
    if ((why = step_over(c->in, &off, c->depth)) != NULL) {
        fail(c, why);
        return bh_span_none();
    }
    c->off = off;
    count_item(c);
    return bh_span(c->in.ptr + start, off - start);
}

void
bh_cbor_skip(struct bh_cbor *c)
{
    (void)bh_cbor_item(c);
}

bool
bh_cbor_is_definite(struct bh_span items)
{
    struct head h;

    /* Behind a head stands the next one, however deep, but for the content of strings. */
    for (size_t off = 0; off < items.len; off = h.next) {
        if (read_head(items, off, &h) != NULL || h.info == INFO_INDEFINITE)
            return false;
        if (h.major != MAJOR_BSTR && h.major != MAJOR_TSTR)
            continue;
        if (h.value > items.len - h.next)
            return false;
        h.next += (size_t)h.value;
    }
    return true;
}

void
bh_cbor_spoil(struct bh_cbor *c, const char *why)
{
    fail(c, why);
}

bool
bh_cbor_ok(const struct bh_cbor *c)
{
    return !c->bad;
}

size_t
bh_cbor_off(const struct bh_cbor *c)
{
    return c->off;
}

const char *
bh_cbor_why(const struct bh_cbor *c)
{
    return c->bad ? c->why : NULL;
}

enum bh_err
bh_cbor_end(struct bh_cbor *c)
{
    if (!c->bad && c->depth != 0)
        fail(c, "a container was not read to its end");
    if (!c->bad && c->off != c->in.len)
        fail(c, "trailing bytes");
    return c->bad ? BH_ERR_MALFORMED : BH_OK;
}
