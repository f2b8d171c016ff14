/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain part of JSON, which nearly every text is wholly made of: ASCII, escapes of one letter,
 * whole numbers. jansson reads byte by byte, and of a long base64 text that is most of what the
 * text costs. Whatever is not plain, or wrong, or a member twice is given up here and left to
 * jansson, whose verdict and words then hold; so what is taken must be a part of what jansson
 * takes.
 */
#include "json_plain.h"

#include "limits.h"

#include <stdlib.h>

#define KEY_MAX 64
#define DIGITS_MAX 18 /* of a number that fits for certain */

struct plain {
    const uint8_t *at, *end;
};

static json_t *read_value(struct plain *p, unsigned depth);

/* The next byte that is no white space, not taken; NUL at the end, which is no JSON either. */
static uint8_t
next(struct plain *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
        p->at++;
    return p->at < p->end ? *p->at : '\0';
}

static bool
take(struct plain *p, uint8_t c)
{
    if (next(p) != c)
        return false;
    p->at++;
    return true;
}

/* Printable ASCII only; @p ret_escapes: with backslashes. One pass without branches. */
static bool
is_plain(struct bh_span s, bool *ret_escapes)
{
    unsigned bad = 0, escapes = 0;

    for (size_t i = 0; i < s.len; i++) {
        bad |= (unsigned)(s.ptr[i] < 0x20) | (unsigned)(s.ptr[i] > 0x7e);
        escapes |= (unsigned)(s.ptr[i] == '\\');
    }
    *ret_escapes = escapes != 0;
    return bad == 0;
}

/* A string's content, behind its first quote; the last one is taken. */
static bool
read_string(struct plain *p, struct bh_span *ret_raw, bool *ret_escapes)
{
    const uint8_t *quote = p->at;

    for (;; quote++) {
        size_t backslashes = 0;

        if ((quote = memchr(quote, '"', (size_t)(p->end - quote))) == NULL)
            return false;
        while (quote - backslashes > p->at && quote[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            break;
    }
    *ret_raw = bh_span(p->at, (size_t)(quote - p->at));
    p->at = quote + 1;
    return is_plain(*ret_raw, ret_escapes);
}

static json_t *
unescape(struct bh_span raw)
{
    static const char letters[] = "\"\\/nrt", bytes[] = "\"\\/\n\r\t";
    char *text = malloc(raw.len + 1);
    json_t *json = NULL;
    size_t len = 0;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < raw.len; i++) {
        const char *letter;

        if (raw.ptr[i] != '\\') {
            text[len++] = (char)raw.ptr[i];
            continue;
        }
        /* A backslash is never the last byte: the quote behind it would not have ended the string.
         */
        if ((letter = strchr(letters, raw.ptr[++i])) == NULL)
            goto out;
        text[len++] = bytes[letter - letters];
    }
    json = json_stringn_nocheck(text, len);
out:
    free(text);
    return json;
}

static json_t *
read_text(struct plain *p)
{
    struct bh_span raw;
    bool escapes;

    if (!read_string(p, &raw, &escapes))
        return NULL;
    return escapes ? unescape(raw) : json_stringn_nocheck((const char *)raw.ptr, raw.len);
}

static bool
read_member(struct plain *p, json_t *object, unsigned depth)
{
    char key[KEY_MAX];
    struct bh_span raw;
    json_t *value;
    bool escapes;

    if (!take(p, '"') || !read_string(p, &raw, &escapes) || escapes || raw.len >= sizeof(key) ||
        !take(p, ':'))
        return false;
    memcpy(key, raw.ptr, raw.len);
    key[raw.len] = '\0';
    if (json_object_get(object, key) != NULL || (value = read_value(p, depth)) == NULL)
        return false;
    return json_object_set_new_nocheck(object, key, value) == 0;
}

static json_t *
read_object(struct plain *p, unsigned depth)
{
    json_t *object = json_object();

    if (object == NULL || take(p, '}'))
        return object;
    do {
        if (!read_member(p, object, depth)) {
            json_decref(object);
            return NULL;
        }
    } while (take(p, ','));
    if (take(p, '}'))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *
read_array(struct plain *p, unsigned depth)
{
    json_t *array = json_array();

    if (array == NULL || take(p, ']'))
        return array;
    do {
        json_t *value = read_value(p, depth);

        if (value == NULL || json_array_append_new(array, value) != 0) {
            json_decref(array);
            return NULL;
        }
    } while (take(p, ','));
    if (take(p, ']'))
        return array;
    json_decref(array);
    return NULL;
}

/* Fractions and exponents are not plain; a leading zero is not JSON. */
static json_t *
read_number(struct plain *p)
{
    const uint8_t *first = p->at;
    json_int_t n = 0;

    while (p->at < p->end && *p->at >= '0' && *p->at <= '9' && p->at - first < DIGITS_MAX)
        n = n * 10 + (*p->at++ - '0');
    if (p->at == first || (*first == '0' && p->at - first > 1) ||
        (p->at < p->end && strchr(",]} \t\r\n", *p->at) == NULL))
        return NULL;
    return json_integer(n);
}

/* What follows is looked at by the caller: a letter there makes the text no JSON. */
static json_t *
read_word(struct plain *p, const char *word, json_t *value)
{
    const size_t len = strlen(word);

    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return NULL;
    p->at += len;
    return value;
}

/* Recursion is bounded by BH_JSON_DEPTH_MAX. */
static json_t *
read_value(struct plain *p, unsigned depth)
{
    const uint8_t c = next(p);

    if ((c == '{' || c == '[') && depth == BH_JSON_DEPTH_MAX)
        return NULL;
    switch (c) {
    case '{':
        p->at++;
        return read_object(p, depth + 1);
    case '[':
        p->at++;
        return read_array(p, depth + 1);
    case '"':
        p->at++;
        return read_text(p);
    case 't':
        return read_word(p, "true", json_true());
    case 'f':
        return read_word(p, "false", json_false());
    case 'n':
        return read_word(p, "null", json_null());
    default:
        return read_number(p);
    }
}

json_t *
bh_json_plain(struct bh_span text)
{
    struct plain p = {.at = text.ptr, .end = text.ptr + text.len};
    const uint8_t c = next(&p);
    json_t *json;

    if ((c != '{' && c != '[') || (json = read_value(&p, 0)) == NULL)
        return NULL;
    (void)next(&p);
    if (p.at == p.end)
        return json;
    json_decref(json);
    return NULL;
}
