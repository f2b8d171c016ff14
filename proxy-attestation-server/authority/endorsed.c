/* SPDX-License-Identifier: Apache-2.0 */
/* The files of endorsed/ into the store: all or none, replaced as a whole. */
#include "authority.h"

#include "core/x509.h"

struct import {
    struct pas_store *store;
    struct bh_diag *diag;
};

static enum bh_err
put_each(void *arg, const uint8_t key[32], const struct ev_endorsement *endorsement)
{
    const struct import *import = arg;
    uint8_t value[EV_ENDORSEMENT_MAX];
    size_t len = 0;
    enum bh_err e;

    if ((e = ev_endorsement_encode(endorsement, value, sizeof(value), &len)) != BH_OK)
        return bh_fail(import->diag, e, "the endorsed key does not fit");
    return pas_store_endorse(import->store, key, bh_span(value, len), import->diag);
}

/* Over names and bytes, and over the version: what a new version would refuse is read again. */
static enum bh_err
digest_of(struct bh_span snapshot, uint8_t out[32])
{
    struct pas_snapshot_record record;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct bh_reader r;
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, bh_sha2_md(256), NULL) == 1 &&
              EVP_DigestUpdate(ctx, BH_VERSION, sizeof(BH_VERSION)) == 1;

    bh_reader_init(&r, snapshot);
    while (ok && pas_snapshot_next(&r, &record)) {
        const uint64_t lens[2] = {record.name.len, record.bytes.len};
        if (record.kind == PAS_SNAPSHOT_ENDORSED)
            ok = EVP_DigestUpdate(ctx, lens, sizeof(lens)) == 1 &&
                 EVP_DigestUpdate(ctx, record.name.ptr, record.name.len) == 1 &&
                 EVP_DigestUpdate(ctx, record.bytes.ptr, record.bytes.len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? BH_OK : BH_ERR_INTERNAL;
}

enum bh_err
pas_endorsed_import(struct pas_store *store, struct bh_span snapshot, struct bh_diag *diag)
{
    struct import import = {.store = store, .diag = diag};
    struct pas_snapshot_record record;
    uint8_t before[32], source[32];
    struct bh_reader r;
    int64_t count;
    enum bh_err e;

    if ((e = digest_of(snapshot, source)) != BH_OK)
        return bh_fail(diag, e, "endorsed keys");
    if ((e = pas_store_endorsed(store, before, &count, diag)) != BH_OK)
        return e;
    if (memcmp(before, source, sizeof(source)) == 0)
        return BH_OK;
    if ((e = pas_store_endorse_start(store, diag)) != BH_OK)
        return e;
    bh_reader_init(&r, snapshot);
    while (pas_snapshot_next(&r, &record)) {
        if (record.kind != PAS_SNAPSHOT_ENDORSED)
            continue;
        if ((e = ev_endorsement_file(record.bytes, put_each, &import, diag)) != BH_OK) {
            pas_name_file(diag, "endorsed", record.name);
            return e;
        }
    }
    return pas_store_endorse_finish(store, source, diag);
}
