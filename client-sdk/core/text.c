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

static int
base64url_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

enum bh_err
bh_unbase64url(struct bh_span text, uint8_t *out, size_t cap, size_t *ret_len)
{
    const size_t len = text.len / 4 * 3 + (text.len % 4 == 0 ? 0 : text.len % 4 - 1);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    if (text.len % 4 == 1)
        return BH_ERR_MALFORMED;
    if (len > cap)
        return BH_ERR_TOO_LARGE;
    for (size_t i = 0; i < text.len; i++) {
        const int d = base64url_digit(text.ptr[i]);
        if (d < 0)
            return BH_ERR_MALFORMED;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[at++] = (uint8_t)(bits >> have);
        }
    }
    if ((bits & ((1u << have) - 1)) != 0)
        return BH_ERR_MALFORMED;
    *ret_len = at;
    return BH_OK;
}

char *
bh_time_text(int64_t unix_seconds, char out[BH_TIME_MAX])
{
    const time_t t = (time_t)unix_seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, BH_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, BH_TIME_MAX, "invalid");
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
        const size_t more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint32_t v;

        if (c >= 0xf8 || (c & 0xc0) == 0x80 || more >= text.len - i)
            return false;
        v = more == 0 ? c : c & (0x3fu >> more);
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
