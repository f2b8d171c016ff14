/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include "json_plain.h"
#include "limits.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

#define SAFE_INTEGER (INT64_C(1) << 53)

/* jansson's own depth limit is for its stack; ours is for what we are willing to look at. */
static bool
too_deep(struct bh_span text)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > BH_JSON_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

enum bh_err
bh_json_parse(struct bh_span text, size_t max, json_t **ret_json, struct bh_diag *diag)
{
    json_error_t error;
    json_t *json;

    if (text.len > max)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "JSON of %zu bytes; at most %zu", text.len, max);
    if (text.len == 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "JSON expected, found nothing");
    if ((json = bh_json_plain(text)) != NULL) {
        *ret_json = json;
        return BH_OK;
    }
    if (too_deep(text))
        return bh_fail(diag, BH_ERR_MALFORMED, "JSON nested deeper than %d", BH_JSON_DEPTH_MAX);
    json = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return bh_fail(diag, BH_ERR_MALFORMED, "JSON, line %d column %d: %s", error.line,
            error.column, error.text);
    *ret_json = json;
    return BH_OK;
}

static const char *
type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

enum bh_err
bh_json_member(const json_t *object, const char *name, json_type type, bool optional,
    json_t **ret_member, struct bh_diag *diag)
{
    json_t *member = json_object_get(object, name);
    json_type found;

    if (member == NULL) {
        if (!optional)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, type_name(type), "nothing",
                "the member \"%s\" is missing", name);
        *ret_member = NULL;
        return BH_OK;
    }
    found = json_typeof(member) == JSON_FALSE ? JSON_TRUE : json_typeof(member);
    if (found != type)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, type_name(type), type_name(found),
            "the member \"%s\" is of another type", name);
    *ret_member = member;
    return BH_OK;
}

enum bh_err
bh_json_string(const json_t *object, const char *name, bool optional, const char **ret_text,
    struct bh_diag *diag)
{
    json_t *member = NULL;
    enum bh_err e;

    if ((e = bh_json_member(object, name, JSON_STRING, optional, &member, diag)) != BH_OK)
        return e;
    *ret_text = member != NULL ? json_string_value(member) : NULL;
    return BH_OK;
}

enum bh_err
bh_json_int(const json_t *object, const char *name, bool optional, int64_t min, int64_t max,
    int64_t *ret_value, struct bh_diag *diag)
{
    json_t *member = NULL;
    int64_t value;
    enum bh_err e;

    if ((e = bh_json_member(object, name, JSON_INTEGER, optional, &member, diag)) != BH_OK ||
        member == NULL)
        return e;
    value = json_integer_value(member);
    if (value < min || value > max)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, NULL, NULL,
            "the member \"%s\" is %lld; expected %lld to %lld", name, (long long)value,
            (long long)min, (long long)max);
    *ret_value = value;
    return BH_OK;
}

enum bh_err
bh_json_bool(
    const json_t *object, const char *name, bool optional, bool *ret_value, struct bh_diag *diag)
{
    json_t *member = NULL;
    enum bh_err e;

    if ((e = bh_json_member(object, name, JSON_TRUE, optional, &member, diag)) == BH_OK &&
        member != NULL)
        *ret_value = json_is_true(member);
    return e;
}

enum bh_err
bh_json_only(
    const json_t *object, const char *const *names, const char *where, struct bh_diag *diag)
{
    /* jansson iterates over what it does not change, but takes no const. */
    union {
        const json_t *in;
        json_t *out;
    } o = {.in = object};

    for (void *i = json_object_iter(o.out); i != NULL; i = json_object_iter_next(o.out, i)) {
        const char *key = json_object_iter_key(i);
        size_t n = 0;

        while (names[n] != NULL && strcmp(names[n], key) != 0)
            n++;
        if (names[n] == NULL)
            return bh_refuse(diag, BH_ERR_MALFORMED, where, "known members only", key,
                "%s has no member \"%.60s\"", where, key);
    }
    return BH_OK;
}

/* ---- RFC 8785 ---- */

struct text {
    char *buf;
    size_t len, cap;
    bool bad;
};

static void
add(struct text *t, const char *s, size_t len)
{
    char *grown;

    if (t->bad)
        return;
    if (t->cap - t->len <= len) {
        const size_t cap = (t->cap + len + 1) * 2;
        if ((grown = realloc(t->buf, cap)) == NULL) {
            t->bad = true;
            return;
        }
        t->buf = grown;
        t->cap = cap;
    }
    memcpy(t->buf + t->len, s, len);
    t->len += len;
    t->buf[t->len] = '\0';
}

static void
add_string(struct text *t, const char *s, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "btn.fr"; /* U+0008 to U+000D; U+000B has none */

    add(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)s[i];
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            add(t, escape, 2);
        } else if (c >= 8 && c <= 13 && c != 11) {
            escape[1] = shorts[c - 8];
            add(t, escape, 2);
        } else if (c < 0x20) {
            add(t, escape, 6);
        } else {
            add(t, s + i, 1);
        }
    }
    add(t, "\"", 1);
}

/* The next UTF-16 code unit's sort weight: code points above U+FFFF sort by their surrogates, below
 * U+E000. */
static int
compare_utf16(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    const unsigned char x = (unsigned char)*a;
    const unsigned char y = (unsigned char)*b;
    /* UTF-8 sorts as code points; only four-byte forms against U+E000..U+FFFF (EE, EF) differ. */
    if (x >= 0xf0 && y >= 0xee && y < 0xf0)
        return -1;
    if (y >= 0xf0 && x >= 0xee && x < 0xf0)
        return 1;
    return x < y ? -1 : x > y;
}

static int
compare_keys(const void *a, const void *b)
{
    return compare_utf16(*(const char *const *)a, *(const char *const *)b);
}

static enum bh_err add_value(struct text *t, const json_t *json, struct bh_diag *diag);

static enum bh_err
add_object(struct text *t, json_t *object, struct bh_diag *diag)
{
    const size_t n = json_object_size(object);
    const char **keys = calloc(n + 1, sizeof(*keys));
    enum bh_err e = BH_OK;
    size_t i = 0;

    if (keys == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "canonical JSON");
    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it))
        keys[i++] = json_object_iter_key(it);
    qsort(keys, n, sizeof(*keys), compare_keys);
    add(t, "{", 1);
    for (i = 0; i < n && e == BH_OK; i++) {
        if (i > 0)
            add(t, ",", 1);
        add_string(t, keys[i], strlen(keys[i]));
        add(t, ":", 1);
        e = add_value(t, json_object_get(object, keys[i]), diag);
    }
    add(t, "}", 1);
    free(keys);
    return e;
}

/* Recursion is bounded by BH_JSON_DEPTH_MAX, which the parser checked. */
static enum bh_err
add_value(struct text *t, const json_t *json, struct bh_diag *diag)
{
    union {
        const json_t *in;
        json_t *out;
    } v = {.in = json};
    char number[24];
    enum bh_err e = BH_OK;
    size_t i;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return add_object(t, v.out, diag);
    case JSON_ARRAY:
        add(t, "[", 1);
        for (i = 0; i < json_array_size(json) && e == BH_OK; i++) {
            if (i > 0)
                add(t, ",", 1);
            e = add_value(t, json_array_get(json, i), diag);
        }
        add(t, "]", 1);
        return e;
    case JSON_STRING:
        add_string(t, json_string_value(json), json_string_length(json));
        return BH_OK;
    case JSON_INTEGER:
        if (llabs(json_integer_value(json)) > SAFE_INTEGER)
            return bh_fail(diag, BH_ERR_MALFORMED, "canonical JSON: an integer beyond 2^53");
        (void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(json));
        add(t, number, strlen(number));
        return BH_OK;
    case JSON_REAL:
        return bh_fail(diag, BH_ERR_MALFORMED, "canonical JSON: a number with a fraction");
    case JSON_TRUE:
        add(t, "true", 4);
        return BH_OK;
    case JSON_FALSE:
        add(t, "false", 5);
        return BH_OK;
    default:
        add(t, "null", 4);
        return BH_OK;
    }
}

enum bh_err
bh_json_canonical(const json_t *json, char **ret_text, struct bh_diag *diag)
{
    struct text t = {0};
    enum bh_err e;

    if ((e = add_value(&t, json, diag)) == BH_OK && t.bad)
        e = bh_fail(diag, BH_ERR_NOMEM, "canonical JSON");
    if (e != BH_OK) {
        free(t.buf);
        return e;
    }
    *ret_text = t.buf;
    return BH_OK;
}

char *
bh_json_text(const json_t *json, bool indent)
{
    return json_dumps(json, JSON_ENCODE_ANY | (indent ? JSON_INDENT(2) : JSON_COMPACT));
}

json_t *
bh_json_lossy(const char *text)
{
    const size_t len = strlen(text);
    json_t *json;
    char *copy;

    if (bh_is_utf8(bh_span_str(text)))
        return json_string(text);
    if ((copy = malloc(len + 1)) == NULL)
        return NULL;
    for (size_t i = 0; i <= len; i++)
        copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    json = json_string(copy);
    free(copy);
    return json;
}

static void
set_text(json_t *object, const char *name, const char *text)
{
    /* What was found may be bytes of anybody's: JSON takes UTF-8 only. */
    if (text != NULL && text[0] != '\0' && bh_is_utf8(bh_span_str(text)))
        (void)json_object_set_new(object, name, json_string(text));
}

json_t *
bh_json_problem(const struct bh_diag *diag, const char *request_id)
{
    const char *code = bh_err_code(diag->err);
    json_t *p = json_pack("{s:s+, s:s, s:i}", "type", "urn:beachhead:error:", code, "title",
        bh_err_title(diag->err), "status", bh_err_status(diag->err));

    if (p == NULL)
        return NULL;
    set_text(p, "detail", diag->detail);
    set_text(p, "check", diag->check);
    set_text(p, "expected", diag->expected);
    set_text(p, "found", diag->found);
    set_text(p, "hint", diag->hint[0] != '\0' ? diag->hint : bh_err_hint(diag->err));
    set_text(p, "request_id", request_id);
    return p;
}
