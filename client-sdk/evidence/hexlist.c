/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of alternatives that policy entries are made of, and the names of their fields. */
#include "platform.h"

#include "core/json.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_MAX 4096

void
ev_field_prefix(struct bh_diag *diag, const char *fmt, ...)
{
    char prefix[BH_CHECK_MAX];
    char name[BH_CHECK_MAX];
    va_list ap;

    if (diag == NULL || diag->check[0] == '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    memcpy(name, diag->check, sizeof(name));
    const size_t len = strlen(prefix);
    const size_t rest = strnlen(name, sizeof(name) - 1 - len);
    memcpy(diag->check, prefix, len);
    memcpy(diag->check + len, name, rest);
    diag->check[len + rest] = '\0';
}

enum bh_err
ev_members_only(const json_t *object, const char *const *names, struct bh_diag *diag)
{
    struct bh_diag own = {0};
    enum bh_err e;

    if ((e = bh_json_only(object, names, "this", &own)) == BH_OK)
        return BH_OK;
    /* bh_json_only() finds the key; here the key itself is the field at fault. */
    return bh_refuse(
        diag, e, own.found, "a known member", own.found, "there is no member of this name here");
}

/* A list member: an array of at least one and at most LIST_MAX items, or NULL. */
static enum bh_err
read_list(
    const json_t *object, const char *name, bool optional, json_t **ret_list, struct bh_diag *diag)
{
    json_t *list;
    enum bh_err e;

    if ((e = bh_json_member(object, name, JSON_ARRAY, optional, &list, diag)) != BH_OK)
        return e;
    if (list != NULL && json_array_size(list) == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "at least one alternative", "[]",
            "an empty list would match nothing");
    if (list != NULL && json_array_size(list) > LIST_MAX)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, name, NULL, NULL, "%zu alternatives; at most %d",
            json_array_size(list), LIST_MAX);
    *ret_list = list;
    return BH_OK;
}

static int
compare_items(const void *a, const void *b)
{
    const struct ev_hexitem *x = a;
    const struct ev_hexitem *y = b;

    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->len);
}

static enum bh_err
read_item(const json_t *value, const char *name, size_t min, size_t max, struct ev_hexitem *item,
    struct bh_diag *diag)
{
    const char *text = json_string_value(value);

    if (text == NULL)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "hex strings", "another type",
            "each alternative is a string of lower-case hex");
    for (const char *c = text; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'F')
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "lower-case hex", text,
                "upper-case hex: there is one way to write a value");
    if (json_string_length(value) != strlen(text) ||
        bh_unhex(bh_span_str(text), item->bytes, sizeof(item->bytes), &item->len) != BH_OK)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "hex of at most 64 bytes", text,
            "this is not hex, or too long");
    if (item->len < min || item->len > max)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, NULL, text, "%zu bytes; expected %zu to %zu",
            item->len, min, max);
    if (bh_span_is_zero(bh_span(item->bytes, item->len)))
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "a measured value", text,
            "an all-zero value is what absent or debug measurements look like");
    return BH_OK;
}

enum bh_err
ev_hexlist_read(const json_t *object, const char *name, bool optional, size_t min, size_t max,
    struct ev_hexlist *ret_list, struct bh_diag *diag)
{
    struct ev_hexlist list = {0};
    json_t *array = NULL;
    enum bh_err e;

    if ((e = read_list(object, name, optional, &array, diag)) != BH_OK)
        return e;
    if (array == NULL) {
        *ret_list = list;
        return BH_OK;
    }
    list.len = json_array_size(array);
    if ((list.items = calloc(list.len, sizeof(*list.items))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    for (size_t i = 0; e == BH_OK && i < list.len; i++)
        e = read_item(json_array_get(array, i), name, min, max, &list.items[i], diag);
    if (e != BH_OK)
        goto out;
    qsort(list.items, list.len, sizeof(*list.items), compare_items);
    for (size_t i = 1; i < list.len; i++)
        if (compare_items(&list.items[i - 1], &list.items[i]) == 0) {
            e = bh_refuse(diag, BH_ERR_MALFORMED, name, "each value once", "a value twice",
                "the same alternative stands twice in this list");
            goto out;
        }
    *ret_list = list;
    list.items = NULL;
out:
    free(list.items);
    return e;
}

void
ev_hexlist_clear(struct ev_hexlist *list)
{
    free(list->items);
    list->items = NULL;
    list->len = 0;
}

bool
ev_hexlist_has(const struct ev_hexlist *list, struct bh_span bytes)
{
    struct ev_hexitem key = {.len = bytes.len};

    if (list->len == 0 || bytes.len == 0 || bytes.len > sizeof(key.bytes))
        return false;
    memcpy(key.bytes, bytes.ptr, bytes.len);
    return bsearch(&key, list->items, list->len, sizeof(*list->items), compare_items) != NULL;
}

char *
ev_hexlist_text(const struct ev_hexlist *list, char *out, size_t size)
{
    size_t at = 0;

    if (size == 0)
        return out;
    out[0] = '\0';
    for (size_t i = 0; i < list->len; i++) {
        if (i > 0) {
            if (size - at < 8) /* " | " and at least a byte's hex with its "..." */
                break;
            (void)snprintf(out + at, size - at, " | ");
            at += 3;
        }
        (void)bh_hex(bh_span(list->items[i].bytes, list->items[i].len), out + at, size - at);
        at += strlen(out + at);
    }
    return out;
}

enum bh_err
ev_words_read(const json_t *object, const char *name, bool optional, const char *const *words,
    size_t count, uint32_t *ret_mask, struct bh_diag *diag)
{
    char known[BH_VALUE_MAX] = "";
    json_t *array = NULL;
    uint32_t mask = 0;
    enum bh_err e;

    if ((e = read_list(object, name, optional, &array, diag)) != BH_OK)
        return e;
    for (size_t i = 0, at = 0; i < count && at < sizeof(known); i++)
        at +=
            (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i > 0 ? " | " : "", words[i]);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *word = json_string_value(json_array_get(array, i));
        size_t k = 0;

        while (k < count && (word == NULL || strcmp(word, words[k]) != 0))
            k++;
        if (k == count)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, known,
                word != NULL ? word : "another type", "not one of the words that may stand here");
        if ((mask & (UINT32_C(1) << k)) != 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "each word once", word,
                "the same alternative stands twice in this list");
        mask |= UINT32_C(1) << k;
    }
    *ret_mask = mask;
    return BH_OK;
}
