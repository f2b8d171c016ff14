/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that wait for the signer or the disk, found by sequence number and by challenge. */
#include "authority.h"

#include <stdlib.h>

struct pas_pending *
pas_pending_new(struct pas_authority *a, struct bh_span record, struct bh_diag *diag)
{
    struct pas_pending *p;

    if (a->pending_len >= PAS_PENDING_MAX || a->slots[a->seq % PAS_PENDING_MAX] != NULL) {
        (void)bh_refuse(diag, BH_ERR_OVERLOADED, "authority.pending", NULL, NULL,
            "too many requests are under way");
        bh_hint(diag, "try again in a moment");
        return NULL;
    }
    if ((p = calloc(1, sizeof(*p) + record.len)) == NULL) {
        (void)bh_fail(diag, BH_ERR_NOMEM, "request");
        return NULL;
    }
    if (record.len > 0)
        memcpy(p->record, record.ptr, record.len);
    p->record_len = record.len;
    return p;
}

static struct pas_pending **
bucket_of(struct pas_authority *a, const uint8_t *hash)
{
    return &a->buckets[((size_t)hash[0] << 8 | hash[1]) % PAS_PENDING_BUCKETS];
}

void
pas_pending_add(struct pas_authority *a, struct pas_pending *p)
{
    struct pas_pending **bucket = bucket_of(a, p->hash);

    p->seq = a->seq++;
    p->with_signer = true;
    p->sent_us = pas_clock_us();
    a->slots[p->seq % PAS_PENDING_MAX] = p;
    p->next_in_bucket = *bucket;
    *bucket = p;
    a->pending_len++;
}

void
pas_pending_drop(struct pas_authority *a, struct pas_pending *p)
{
    struct pas_pending **at;

    if (p == NULL)
        return;
    if (a->slots[p->seq % PAS_PENDING_MAX] == p) {
        a->slots[p->seq % PAS_PENDING_MAX] = NULL;
        for (at = bucket_of(a, p->hash); *at != p; at = &(*at)->next_in_bucket)
            ;
        *at = p->next_in_bucket;
        a->pending_len--;
    }
    free(p->jwt_input);
    free(p->from_signer);
    free(p);
}

struct pas_pending *
pas_pending_by_seq(struct pas_authority *a, uint64_t seq)
{
    struct pas_pending *p = a->slots[seq % PAS_PENDING_MAX];

    return p != NULL && p->seq == seq && p->with_signer ? p : NULL;
}

static size_t
place_of(const uint8_t *hash)
{
    return ((size_t)hash[0] << 8 | hash[1]) % PAS_SPENT_KEPT;
}

void
pas_spent_remember(struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN])
{
    memcpy(a->spent[place_of(hash)], hash, PAS_SPENT_LEN);
}

bool
pas_spent_lately(const struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN])
{
    return memcmp(a->spent[place_of(hash)], hash, PAS_SPENT_LEN) == 0;
}

bool
pas_pending_has(const struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN])
{
    const struct pas_pending *p =
        a->buckets[((size_t)hash[0] << 8 | hash[1]) % PAS_PENDING_BUCKETS];

    for (; p != NULL; p = p->next_in_bucket)
        if (memcmp(p->hash, hash, PAS_STORE_HASH_LEN) == 0)
            return true;
    return false;
}
