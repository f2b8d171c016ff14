/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdio.h>

char *
bh_hex(struct bh_span bytes, char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const bool cut = bytes.len * 2 + 1 > size;
    size_t n = bytes.len;
    size_t at = 0;

    if (size == 0)
        return out;
    if (cut)
        n = size >= 4 ? (size - 4) / 2 : 0;
    for (size_t i = 0; i < n; i++) {
        out[at++] = digits[bytes.ptr[i] >> 4];
        out[at++] = digits[bytes.ptr[i] & 15];
    }
    if (cut && size >= 4) {
        memcpy(out + at, "...", 3);
        at += 3;
    }
    out[at] = '\0';
    return out;
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum bh_err
bh_unhex(struct bh_span text, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (text.len % 2 != 0)
        return BH_ERR_MALFORMED;
    if (text.len / 2 > cap)
        return BH_ERR_TOO_LARGE;
    for (size_t i = 0; i < text.len / 2; i++) {
        const int hi = hex_digit(text.ptr[2 * i]);
        const int lo = hex_digit(text.ptr[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return BH_ERR_MALFORMED;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    *ret_len = text.len / 2;
    return BH_OK;
}

size_t
bh_base64url_len(size_t len)
{
    return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

char *
bh_base64url(struct bh_span bytes, char *out, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const size_t len = bh_base64url_len(bytes.len);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    if (size <= len) {
        if (size > 0)
            out[0] = '\0';
        return out;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.ptr[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            out[at++] = digits[bits >> have & 63];
        }
    }
    if (have > 0)
        out[at++] = digits[bits << (6 - have) & 63];
    out[at] = '\0';
    return out;
}

/* One more than what the digit stands for; 0: no digit. */
static const uint8_t base64url_digits[256] = {['A'] = 1,
    ['B'] = 2,
    ['C'] = 3,
    ['D'] = 4,
    ['E'] = 5,
    ['F'] = 6,
    ['G'] = 7,
    ['H'] = 8,
    ['I'] = 9,
    ['J'] = 10,
    ['K'] = 11,
    ['L'] = 12,
    ['M'] = 13,
    ['N'] = 14,
    ['O'] = 15,
    ['P'] = 16,
    ['Q'] = 17,
    ['R'] = 18,
    ['S'] = 19,
    ['T'] = 20,
    ['U'] = 21,
    ['V'] = 22,
    ['W'] = 23,
    ['X'] = 24,
    ['Y'] = 25,
    ['Z'] = 26,
    ['a'] = 27,
    ['b'] = 28,
    ['c'] = 29,
    ['d'] = 30,
    ['e'] = 31,
    ['f'] = 32,
    ['g'] = 33,
    ['h'] = 34,
    ['i'] = 35,
    ['j'] = 36,
    ['k'] = 37,
    ['l'] = 38,
    ['m'] = 39,
    ['n'] = 40,
    ['o'] = 41,
    ['p'] = 42,
    ['q'] = 43,
    ['r'] = 44,
    ['s'] = 45,
    ['t'] = 46,
    ['u'] = 47,
    ['v'] = 48,
    ['w'] = 49,
    ['x'] = 50,
    ['y'] = 51,
    ['z'] = 52,
    ['0'] = 53,
    ['1'] = 54,
    ['2'] = 55,
    ['3'] = 56,
    ['4'] = 57,
    ['5'] = 58,
    ['6'] = 59,
    ['7'] = 60,
    ['8'] = 61,
    ['9'] = 62,
    ['-'] = 63,
    ['_'] = 64};

enum bh_err
bh_unbase64url(struct bh_span text, uint8_t *out, size_t cap, size_t *ret_len)
{
    const size_t whole = text.len / 4, rest = text.len % 4;
    const uint8_t *in = text.ptr;
    uint8_t *to = out;
    uint32_t bits = 0;

    if (rest == 1)
        return BH_ERR_MALFORMED;
    if (whole * 3 + (rest == 0 ? 0 : rest - 1) > cap)
        return BH_ERR_TOO_LARGE;
    for (size_t i = 0; i < whole; i++, in += 4, to += 3) {
        const uint32_t a = base64url_digits[in[0]], b = base64url_digits[in[1]],
                       c = base64url_digits[in[2]], d = base64url_digits[in[3]];

        if (a == 0 || b == 0 || c == 0 || d == 0)
            return BH_ERR_MALFORMED;
        bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    bits = 0;
    for (size_t i = 0; i < rest; i++) {
        const uint32_t digit = base64url_digits[in[i]];

        if (digit == 0)
            return BH_ERR_MALFORMED;
        bits = bits << 6 | (digit - 1);
    }
    /* Two digits hold 12 bits and three 18: the last 4 or 2 must be zero. */
    if ((rest == 2 && (bits & 15) != 0) || (rest == 3 && (bits & 3) != 0))
        return BH_ERR_MALFORMED;
    if (rest == 2)
        *to++ = (uint8_t)(bits >> 4);
    if (rest == 3) {
        *to++ = (uint8_t)(bits >> 10);
        *to++ = (uint8_t)(bits >> 2);
    }
    *ret_len = (size_t)(to - out);
    return BH_OK;
}

static void
put_digits(char *out, size_t width, int value)
{
    for (size_t i = width; i > 0; i--, value /= 10)
        out[i - 1] = (char)('0' + value % 10);
}

char *
bh_time_text(int64_t unix_seconds, char out[BH_TIME_MAX])
{
    const time_t t = (time_t)unix_seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        (void)snprintf(out, BH_TIME_MAX, "invalid");
        return out;
    }
    /* By hand: this stands in each certificate, reply and log line. */
    memcpy(out, "0000-00-00T00:00:00Z", sizeof("0000-00-00T00:00:00Z"));
    put_digits(out, 4, tm.tm_year + 1900);
    put_digits(out + 5, 2, tm.tm_mon + 1);
    put_digits(out + 8, 2, tm.tm_mday);
    put_digits(out + 11, 2, tm.tm_hour);
    put_digits(out + 14, 2, tm.tm_min);
    put_digits(out + 17, 2, tm.tm_sec);
    return out;
}

enum bh_err
bh_time_read(const char *text, int64_t *ret_unix_seconds)
{
    char again[BH_TIME_MAX];
    struct tm tm;
    const char *end;
    int64_t t;

    memset(&tm, 0, sizeof(tm));
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0')
        return BH_ERR_MALFORMED;
    t = timegm(&tm);
    /* strptime takes short fields and the 31st of any month; writing it back shows both. */
    if (strcmp(bh_time_text(t, again), text) != 0)
        return BH_ERR_MALFORMED;
    *ret_unix_seconds = t;
    return BH_OK;
}

int64_t
bh_time_now(void)
{
    return (int64_t)time(NULL);
}

enum bh_err
bh_duration_read(const char *text, int64_t *ret_seconds)
{
    const int64_t most = INT64_C(10) * 366 * 86400;
    int64_t n = 0;
    int64_t unit;
    size_t i = 0;

    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        n = n * 10 + (text[i] - '0');
        if (n > most)
            return BH_ERR_MALFORMED;
    }
    if (i == 0 || n == 0 || text[0] == '0' || text[i] == '\0' || text[i + 1] != '\0')
        return BH_ERR_MALFORMED;
    switch (text[i]) {
    case 's':
        unit = 1;
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = 86400;
        break;
    default:
        return BH_ERR_MALFORMED;
    }
    if (n > most / unit)
        return BH_ERR_MALFORMED;
    *ret_seconds = n * unit;
    return BH_OK;
}

static bool
is_lower_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
bh_is_workload(struct bh_span text)
{
    if (text.len < 1 || text.len > 63 || !is_lower_alnum(text.ptr[0]))
        return false;
    for (size_t i = 1; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        if (!is_lower_alnum(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool
bh_is_dns_name(struct bh_span text)
{
    size_t label = 0;

    if (text.len < 1 || text.len > 253)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        if (c == '.') {
            if (label == 0 || text.ptr[i - 1] == '-')
                return false;
            label = 0;
        } else if (is_lower_alnum(c) || (c == '-' && label > 0)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return label > 0 && text.ptr[text.len - 1] != '-';
}

bool
bh_is_utf8(struct bh_span text)
{
    size_t i = 0;

    while (i < text.len) {
        const uint8_t c = text.ptr[i];
        const size_t more = (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint32_t v;

        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xf8 || (c & 0xc0) == 0x80 || more >= text.len - i)
            return false;
        v = c & (0x3fu >> more);
        for (size_t k = 1; k <= more; k++) {
            if ((text.ptr[i + k] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (text.ptr[i + k] & 0x3fu);
        }
        if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}
