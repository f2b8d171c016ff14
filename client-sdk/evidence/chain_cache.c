/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_cache.h"

#include "core/x509.h"

#include <stdlib.h>

#define NONE SIZE_MAX

struct entry {
    uint8_t path[EV_PATH_HASH_LEN];
    EVP_PKEY *key;       /* NULL: not remembered */
    uint8_t *conclusion; /* malloc'ed; NULL: none */
    size_t conclusion_len;
    int64_t not_after;
    size_t next_in_bucket;
    size_t newer, older; /* the list of use */
};

struct ev_chain_cache {
    size_t cap, len;
    size_t newest, oldest;
    size_t *buckets; /* cap of them; index of the first entry or NONE */
    struct entry *entries;
};

struct ev_chain_cache *
ev_chain_cache_new(size_t entries)
{
    struct ev_chain_cache *cache;

    if (entries == 0 || (cache = calloc(1, sizeof(*cache))) == NULL)
        return NULL;
    cache->cap = entries;
    cache->newest = cache->oldest = NONE;
    cache->buckets = calloc(entries, sizeof(*cache->buckets));
    cache->entries = calloc(entries, sizeof(*cache->entries));
    if (cache->buckets == NULL || cache->entries == NULL) {
        ev_chain_cache_free(cache);
        return NULL;
    }
    for (size_t i = 0; i < entries; i++)
        cache->buckets[i] = NONE;
    return cache;
}

void
ev_chain_cache_free(struct ev_chain_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->len; i++) {
        EVP_PKEY_free(cache->entries[i].key);
        free(cache->entries[i].conclusion);
    }
    free(cache->buckets);
    free(cache->entries);
    free(cache);
}

enum bh_err
ev_chain_path(uint8_t path[EV_PATH_HASH_LEN], struct bh_span cert)
{
    uint8_t both[EV_PATH_HASH_LEN * 2];
    enum bh_err e;

    /* Two fixed-size hashes: no path can be read as another one. */
    memcpy(both, path, EV_PATH_HASH_LEN);
    if ((e = bh_sha2(256, cert, both + EV_PATH_HASH_LEN)) != BH_OK)
        return e;
    return bh_sha2(256, bh_span(both, sizeof(both)), path);
}

static size_t *
bucket_of(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN])
{
    uint64_t h;

    memcpy(&h, path, sizeof(h));
    return &cache->buckets[h % cache->cap];
}

static size_t
find(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN])
{
    size_t i = *bucket_of(cache, path);

    while (i != NONE && memcmp(cache->entries[i].path, path, EV_PATH_HASH_LEN) != 0)
        i = cache->entries[i].next_in_bucket;
    return i;
}

static void
take_from_use(struct ev_chain_cache *cache, size_t i)
{
    const struct entry *e = &cache->entries[i];

    if (e->newer != NONE)
        cache->entries[e->newer].older = e->older;
    else
        cache->newest = e->older;
    if (e->older != NONE)
        cache->entries[e->older].newer = e->newer;
    else
        cache->oldest = e->newer;
}

static void
put_newest(struct ev_chain_cache *cache, size_t i)
{
    struct entry *e = &cache->entries[i];

    e->newer = NONE;
    e->older = cache->newest;
    if (cache->newest != NONE)
        cache->entries[cache->newest].newer = i;
    else
        cache->oldest = i;
    cache->newest = i;
}

static void
take_from_bucket(struct ev_chain_cache *cache, size_t i)
{
    size_t *at = bucket_of(cache, cache->entries[i].path);

    while (*at != i)
        at = &cache->entries[*at].next_in_bucket;
    *at = cache->entries[i].next_in_bucket;
}

/* The entry of a path that is still valid, now the newest one; or NONE. */
static size_t
known(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now)
{
    size_t i;

    if (cache == NULL || (i = find(cache, path)) == NONE || now > cache->entries[i].not_after)
        return NONE;
    take_from_use(cache, i);
    put_newest(cache, i);
    return i;
}

EVP_PKEY *
ev_chain_cache_get(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now)
{
    size_t i;

    if ((i = known(cache, path, now)) == NONE || cache->entries[i].key == NULL ||
        EVP_PKEY_up_ref(cache->entries[i].key) != 1)
        return NULL;
    return cache->entries[i].key;
}

bool
ev_chain_cache_knows(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now)
{
    return known(cache, path, now) != NONE;
}

/* Takes over the reference to the key, which may be NULL. The new entry. */
static struct entry *
add(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], EVP_PKEY *key,
    int64_t not_after)
{
    size_t *bucket;
    size_t i;

    if (cache->len < cache->cap) {
        i = cache->len++;
    } else {
        i = cache->oldest;
        take_from_use(cache, i);
        take_from_bucket(cache, i);
        EVP_PKEY_free(cache->entries[i].key);
        free(cache->entries[i].conclusion);
    }
    bucket = bucket_of(cache, path);
    cache->entries[i] =
        (struct entry){.key = key, .not_after = not_after, .next_in_bucket = *bucket};
    memcpy(cache->entries[i].path, path, EV_PATH_HASH_LEN);
    *bucket = i;
    put_newest(cache, i);
    return &cache->entries[i];
}

void
ev_chain_cache_put(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN],
    EVP_PKEY *key, int64_t not_after)
{
    if (cache != NULL && find(cache, path) == NONE && EVP_PKEY_up_ref(key) == 1)
        (void)add(cache, path, key, not_after);
}

void
ev_chain_cache_remember(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t not_after)
{
    if (cache != NULL && find(cache, path) == NONE)
        (void)add(cache, path, NULL, not_after);
}

struct bh_span
ev_chain_cache_conclusion(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now)
{
    const size_t i = known(cache, path, now);

    return i == NONE ? bh_span_none()
                     : bh_span(cache->entries[i].conclusion, cache->entries[i].conclusion_len);
}

void
ev_chain_cache_conclude(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN],
    struct bh_span conclusion, int64_t not_after)
{
    struct entry *entry;
    uint8_t *copy;

    if (cache == NULL || find(cache, path) != NONE || conclusion.len == 0 ||
        conclusion.len > EV_CONCLUSION_MAX || (copy = malloc(conclusion.len)) == NULL)
        return;
    memcpy(copy, conclusion.ptr, conclusion.len);
    entry = add(cache, path, NULL, not_after);
    entry->conclusion = copy;
    entry->conclusion_len = conclusion.len;
}
