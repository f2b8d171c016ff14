/* SPDX-License-Identifier: Apache-2.0 */
/* Files of collateral by kind and key: a sorted table, sorted when it is first asked. */
#include "collateral.h"

#include <stdlib.h>

struct entry {
    enum ev_collateral_kind kind;
    bool simulated;
    bool narrowed; /* meant for this kind of keys alone */
    int64_t until;
    uint8_t key[EV_COLLATERAL_KEY_MAX];
    size_t key_len;
    struct bh_span bytes;
};

struct ev_collateral_set {
    size_t files;
    size_t total;
    bool sorted;
    size_t len, cap;
    struct entry *entries;
};

struct ev_collateral_set *
ev_collateral_set_new(void)
{
    return calloc(1, sizeof(struct ev_collateral_set));
}

void
ev_collateral_set_free(struct ev_collateral_set *set)
{
    if (set == NULL)
        return;
    free(set->entries);
    free(set);
}

size_t
ev_collateral_set_len(const struct ev_collateral_set *set)
{
    return set != NULL ? set->files : 0;
}

static enum bh_err
check_room(const struct ev_collateral_set *set, size_t more, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    if (set->files == BH_COLLATERAL_FILES_MAX)
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.files", "at most 4096 files", "more",
            "too many files of collateral");
    else if (more > BH_COLLATERAL_TOTAL_MAX - set->total)
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.total", "at most 64 MiB", "more",
            "too much collateral");
    if (e != BH_OK)
        bh_hint(diag, "remove what has expired and what is of machines that are gone");
    return e;
}

static enum bh_err
put(struct ev_collateral_set *set, const struct ev_collateral *what, size_t key, bool narrowed,
    struct bh_span bytes, struct bh_diag *diag)
{
    struct entry *at;

    if (set->len == set->cap) {
        const size_t cap = set->cap == 0 ? 16 : 2 * set->cap;
        struct entry *grown = realloc(set->entries, cap * sizeof(*grown));

        if (grown == NULL)
            return bh_fail(diag, BH_ERR_NOMEM, "collateral");
        set->entries = grown;
        set->cap = cap;
    }
    at = &set->entries[set->len++];
    *at = (struct entry){.kind = what->kind,
        .simulated = what->simulated,
        .narrowed = narrowed,
        .until = what->until,
        .key_len = what->keys[key].len,
        .bytes = bytes};
    memcpy(at->key, what->keys[key].bytes, what->keys[key].len);
    set->sorted = false;
    return BH_OK;
}

/* A list whose file is named for one of the two kinds of keys answers for that kind alone. */
static bool
is_narrowed_out(const struct ev_collateral *what, size_t key, const char *narrow)
{
    const char *mine = key == 0 ? "vcek" : "vlek", *other = key == 0 ? "vlek" : "vcek";

    return what->kind == EV_COLLATERAL_AMD_CRL && narrow != NULL && strstr(narrow, mine) == NULL &&
           strstr(narrow, other) != NULL;
}

enum bh_err
ev_collateral_set_add(struct ev_collateral_set *set, struct bh_span bytes, const char *narrow,
    struct ev_collateral *ret_what, struct bh_diag *diag)
{
    const size_t before = set->len;
    struct ev_collateral what;
    enum bh_err e;

    if ((e = check_room(set, bytes.len, diag)) != BH_OK ||
        (e = ev_collateral_read(bytes, &what, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < what.keys_len; i++) {
        /* Its other key is another kind's. */
        const bool narrowed = is_narrowed_out(&what, 1 - i, narrow);

        if (!is_narrowed_out(&what, i, narrow) &&
            (e = put(set, &what, i, narrowed, bytes, diag)) != BH_OK) {
            set->len = before; /* the caller drops the bytes */
            return e;
        }
    }
    set->files++;
    set->total += bytes.len;
    if (ret_what != NULL)
        *ret_what = what;
    return BH_OK;
}

static int
order(enum ev_collateral_kind kind, struct bh_span key, const struct entry *e)
{
    const size_t len = key.len < e->key_len ? key.len : e->key_len;
    int n;

    if (kind != e->kind)
        return kind < e->kind ? -1 : 1;
    if (len > 0 && (n = memcmp(key.ptr, e->key, len)) != 0)
        return n;
    return key.len < e->key_len ? -1 : key.len > e->key_len;
}

/* Of one key, the one that answers comes first; bytes decide last, so that order of adding never
 * does. */
static int
by_preference(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int n = order(x->kind, bh_span(x->key, x->key_len), y);
    const size_t len = x->bytes.len < y->bytes.len ? x->bytes.len : y->bytes.len;

    if (n != 0)
        return n;
    if (x->simulated != y->simulated)
        return x->simulated ? 1 : -1;
    if (x->narrowed != y->narrowed)
        return x->narrowed ? -1 : 1;
    if (x->until != y->until)
        return x->until > y->until ? -1 : 1;
    return memcmp(x->bytes.ptr, y->bytes.ptr, len);
}

static const struct entry *
find(struct ev_collateral_set *set, enum ev_collateral_kind kind, struct bh_span key)
{
    size_t low = 0, high = set->len;

    if (!set->sorted && set->len > 0)
        qsort(set->entries, set->len, sizeof(*set->entries), by_preference);
    set->sorted = true;
    while (low < high) {
        const size_t at = low + (high - low) / 2;

        if (order(kind, key, &set->entries[at]) > 0)
            low = at + 1;
        else
            high = at;
    }
    return low < set->len && order(kind, key, &set->entries[low]) == 0 ? &set->entries[low] : NULL;
}

enum bh_err
ev_collateral_set_find(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    enum ev_collateral_kind k = 0;
    const struct entry *e = NULL;

    while (k < EV_COLLATERAL_KINDS && strcmp(ev_collateral_kind_name(k), kind) != 0)
        k++;
    if (k < EV_COLLATERAL_KINDS)
        e = find(arg, k, key);
    if (e == NULL)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "no %s of this key", kind);
    *ret_bytes = e->bytes;
    return BH_OK;
}

bool
ev_collateral_set_shadows(
    struct ev_collateral_set *set, const struct ev_collateral *what, struct bh_span bytes)
{
    for (size_t i = 0; i < what->keys_len; i++) {
        const struct entry *e =
            find(set, what->kind, bh_span(what->keys[i].bytes, what->keys[i].len));

        if (e != NULL && e->bytes.ptr == bytes.ptr)
            return false;
    }
    return true;
}
