/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and clean-up, in steps whose work is bounded. */
#include "sqlite.h"

enum bh_err
pas_store_stats(struct pas_store *store, struct pas_store_stats *ret_stats, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_STATS];
    enum bh_err e;
    bool row;

    if ((e = pas_sql_row(store, ST_STATS, &row, "be read", diag)) == BH_OK) {
        ret_stats->certificates = sqlite3_column_int64(st, 0);
        ret_stats->refusals = sqlite3_column_int64(st, 1);
        ret_stats->endorsed = sqlite3_column_int64(st, 2);
    }
    pas_sql_reset(store, ST_STATS);
    return e;
}

/* What is about to be dropped must not be good again when the clock goes back. */
static enum bh_err
note_forgotten(struct pas_store *store, int64_t end, struct bh_span hash, int64_t *forgotten,
    struct bh_diag *diag)
{
    static const uint8_t none[PAS_STORE_HASH_LEN];
    sqlite3_stmt *last = store->st[ST_SPENT_LAST];
    int64_t expires_at = 0;
    enum bh_err e;
    bool row;

    (void)sqlite3_bind_int64(last, 1, end);
    pas_sql_bind_blob(last, 2, hash);
    if ((e = pas_sql_row(store, ST_SPENT_LAST, &row, "look for old challenges", diag)) == BH_OK &&
        row)
        expires_at = sqlite3_column_int64(last, 0);
    pas_sql_reset(store, ST_SPENT_LAST);
    if (e != BH_OK || expires_at <= store->forgotten)
        return e;
    *forgotten = expires_at;
    return pas_sql_put_meta(store, "forgotten", none, expires_at, diag);
}

/* Everything before the row behind the first @p rows, or before @p end when there are not so many.
 */
static enum bh_err
clean_spent(struct pas_store *store, int64_t end, unsigned rows, int64_t *forgotten, bool *more,
    struct bh_diag *diag)
{
    sqlite3_stmt *bound = store->st[ST_SPENT_BOUND];
    sqlite3_stmt *clean = store->st[ST_CLEAN_SPENT];
    uint8_t hash[PAS_STORE_HASH_LEN];
    size_t hash_len = 0;
    enum bh_err e;
    bool row;

    (void)sqlite3_bind_int64(bound, 1, end);
    (void)sqlite3_bind_int64(bound, 2, rows);
    if ((e = pas_sql_row(store, ST_SPENT_BOUND, &row, "look for old challenges", diag)) == BH_OK &&
        row) {
        const struct bh_span found = pas_sql_column(bound, 1);
        end = sqlite3_column_int64(bound, 0);
        if (found.len <= sizeof(hash)) {
            memcpy(hash, found.ptr, found.len);
            hash_len = found.len;
        }
        *more = true;
    }
    pas_sql_reset(store, ST_SPENT_BOUND);
    if (e != BH_OK)
        return e;
    if ((e = note_forgotten(store, end, bh_span(hash, hash_len), forgotten, diag)) != BH_OK)
        return e;
    (void)sqlite3_bind_int64(clean, 1, end);
    pas_sql_bind_blob(clean, 2, bh_span(hash, hash_len));
    return pas_sql_run(store, ST_CLEAN_SPENT, "drop old challenges", diag);
}

static enum bh_err
clean_rows(struct pas_store *store, enum statement which, int64_t end, unsigned rows, bool *more,
    struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[which];
    enum bh_err e;

    (void)sqlite3_bind_int64(st, 1, end);
    (void)sqlite3_bind_int64(st, 2, rows);
    if (which == ST_CLEAN_REFUSALS)
        (void)sqlite3_bind_int64(st, 3, PAS_STORE_REFUSALS_MAX);
    if ((e = pas_sql_run(store, which, "drop old records", diag)) == BH_OK &&
        sqlite3_changes(store->db) > (int)(rows / 2))
        *more = true;
    return e;
}

enum bh_err
pas_store_clean(struct pas_store *store, int64_t now, int64_t retention, unsigned rows,
    bool *ret_more, struct bh_diag *diag)
{
    int64_t forgotten = store->forgotten;
    bool more = false;
    enum bh_err e;

    if ((e = pas_store_begin(store, diag)) != BH_OK)
        return e;
    if ((e = clean_spent(store, now - PAS_STORE_SPENT_KEEP, rows, &forgotten, &more, diag)) !=
            BH_OK ||
        (e = clean_rows(store, ST_CLEAN_CERTIFICATES, now - retention, rows, &more, diag)) !=
            BH_OK ||
        (e = clean_rows(store, ST_CLEAN_REFUSALS, now - retention, rows, &more, diag)) != BH_OK) {
        store->failed = true;
        pas_store_rollback(store);
        return e;
    }
    if ((e = pas_store_commit(store, diag)) != BH_OK)
        return e;
    store->forgotten = forgotten;
    *ret_more = more;
    return BH_OK;
}
