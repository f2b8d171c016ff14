/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store's insides, shared by its files and by nobody else. */
#ifndef PAS_STORE_SQLITE_H
#define PAS_STORE_SQLITE_H

#include "store.h"

#include <sqlite3.h>

enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_PUT_CERTIFICATE,
    ST_GET_CERTIFICATE,
    ST_SPEND,
    ST_PUT_REFUSAL,
    ST_GET_ENDORSED,
    ST_PUT_ENDORSED,
    ST_DROP_ENDORSED,
    ST_COUNT_ENDORSED,
    ST_GET_META,
    ST_PUT_META,
    ST_PUT_POLICY,
    ST_GET_POLICY,
    ST_GET_SECRET,
    ST_PUT_SECRET,
    ST_RENEW_SECRET,
    ST_STATS,
    ST_CLEAN_CERTIFICATES,
    ST_SPENT_BOUND,
    ST_SPENT_LAST,
    ST_CLEAN_SPENT,
    ST_CLEAN_REFUSALS,
    ST_STATEMENTS,
};

struct pas_store {
    sqlite3 *db;
    sqlite3_stmt *st[ST_STATEMENTS];
    bool open_tx;
    bool failed;          /* a transaction was not committed, and none with a certificate since */
    bool has_certificate; /* the open transaction has one */
    struct bh_diag why;   /* the first failure inside the open transaction */
    int64_t import;       /* generation of the import under way */
    int64_t forgotten;    /* the latest expiry among spent challenges that were dropped */
};

/** The text of each statement, and the schema they are for (sqlite_schema.c). */
extern const char *const pas_sql[ST_STATEMENTS];
extern const char pas_sql_schema[];
/** The VFS through which a store is written (sqlite_wal.c); NULL: SQLite's own. */
const char *pas_sql_vfs(void);
#define PAS_STORE_APPLICATION_ID 0x42484453 /* "BHDS" */
#define PAS_STORE_VERSION 1

/** Compile every statement; fails when the schema is not the one they are for. */
BH_MUST_USE enum bh_err pas_sql_prepare(struct pas_store *store, struct bh_diag *diag);
/** The error of the connection's last failure: "store: @p doing: ..."; spoils an open transaction.
 */
enum bh_err pas_sql_fail(struct pas_store *store, const char *doing, struct bh_diag *diag);
/** The first 100 bytes of the file say that it is ours; nothing is opened through SQLite. */
BH_MUST_USE enum bh_err pas_sql_header(const char *path, struct bh_diag *diag);

/** Bind from 1 on. The bytes must live until the statement is reset. */
void pas_sql_bind_blob(sqlite3_stmt *st, int at, struct bh_span bytes);
void pas_sql_bind_text(sqlite3_stmt *st, int at, struct bh_span text);
/** Run a statement that answers nothing, reset it. */
BH_MUST_USE enum bh_err pas_sql_run(
    struct pas_store *store, enum statement which, const char *doing, struct bh_diag *diag);
/** Step a query: SQLITE_ROW or SQLITE_DONE in @p ret_row. The caller resets. */
BH_MUST_USE enum bh_err pas_sql_row(struct pas_store *store, enum statement which, bool *ret_row,
    const char *doing, struct bh_diag *diag);
/** Reset and forget what was bound. */
void pas_sql_reset(struct pas_store *store, enum statement which);
/** A column's bytes, borrowed until the reset. */
struct bh_span pas_sql_column(sqlite3_stmt *st, int at);
/** A row of meta; the number is 0 and the digest zero when there is none. */
BH_MUST_USE enum bh_err pas_sql_get_meta(struct pas_store *store, const char *name,
    uint8_t ret_digest[PAS_STORE_HASH_LEN], int64_t *ret_number, struct bh_diag *diag);
BH_MUST_USE enum bh_err pas_sql_put_meta(struct pas_store *store, const char *name,
    const uint8_t digest[PAS_STORE_HASH_LEN], int64_t number, struct bh_diag *diag);
/** A put outside a transaction is a mistake of the caller's. */
BH_MUST_USE enum bh_err pas_sql_inside(const struct pas_store *store, struct bh_diag *diag);

#endif
