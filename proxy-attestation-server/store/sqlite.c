/* SPDX-License-Identifier: Apache-2.0 */
/* The store on SQLite: made, examined, opened, closed; transactions. Records stand in
 * sqlite_records.c. */
#include "sqlite.h"

#include "core/file.h"
#include "core/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define BUSY_MS 2000
#define PROBE_LEN (160 * 1024)
#define PAGE_SIZE 4096
#define CACHE_KIB 8192
/* 12 MiB: pages that change with each certificate are copied to their place once in so many. */
#define LOG_PAGES 3000
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

static enum bh_err
store_path(const char *store_dir, const char *name, char out[PATH_SIZE], struct bh_diag *diag)
{
    if (bh_path_join(out, PATH_SIZE, store_dir, name) != BH_OK)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "store", NULL, NULL, "the path is too long");
    return BH_OK;
}

enum bh_err
pas_sql_fail(struct pas_store *store, const char *doing, struct bh_diag *diag)
{
    const int code = sqlite3_extended_errcode(store->db);
    const bool corrupt = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    const enum bh_err e = (code & 0xff) == SQLITE_NOMEM ? BH_ERR_NOMEM : BH_ERR_IO;
    struct bh_diag own;

    bh_diag_clear(&own);
    (void)bh_refuse(&own, e, corrupt ? "store.corrupt" : "store", NULL, NULL,
        "the store cannot %s: %s (SQLite %d)", doing, sqlite3_errmsg(store->db), code);
    if (corrupt)
        bh_hint(&own, "stop the server and restore state.db from a backup");
    else if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR)
        bh_hint(&own, "make room on the file system of the store; nothing needs a restart");
    if (store->open_tx && store->why.err == BH_OK)
        store->why = own;
    if (diag != NULL && diag->err == BH_OK)
        *diag = own;
    return e;
}

/* ---- statements ---- */

enum bh_err
pas_sql_prepare(struct pas_store *store, struct bh_diag *diag)
{
    for (size_t i = 0; i < ST_STATEMENTS; i++)
        if (sqlite3_prepare_v3(store->db, pas_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->st[i],
                NULL) != SQLITE_OK)
            return pas_sql_fail(store, "read its tables", diag);
    return BH_OK;
}

void
pas_sql_bind_blob(sqlite3_stmt *st, int at, struct bh_span bytes)
{
    /* A NULL pointer would bind NULL, which no column takes. */
    (void)sqlite3_bind_blob64(
        st, at, bytes.len > 0 ? (const void *)bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

void
pas_sql_bind_text(sqlite3_stmt *st, int at, struct bh_span text)
{
    (void)sqlite3_bind_text64(
        st, at, text.len > 0 ? (const char *)text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void
pas_sql_reset(struct pas_store *store, enum statement which)
{
    (void)sqlite3_reset(store->st[which]);
    (void)sqlite3_clear_bindings(store->st[which]);
}

struct bh_span
pas_sql_column(sqlite3_stmt *st, int at)
{
    const void *bytes = sqlite3_column_blob(st, at);

    return bh_span(bytes, bytes != NULL ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

enum bh_err
pas_sql_run(struct pas_store *store, enum statement which, const char *doing, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    if (sqlite3_step(store->st[which]) != SQLITE_DONE)
        e = pas_sql_fail(store, doing, diag);
    pas_sql_reset(store, which);
    return e;
}

enum bh_err
pas_sql_row(struct pas_store *store, enum statement which, bool *ret_row, const char *doing,
    struct bh_diag *diag)
{
    const int rc = sqlite3_step(store->st[which]);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return pas_sql_fail(store, doing, diag);
    *ret_row = rc == SQLITE_ROW;
    return BH_OK;
}

enum bh_err
pas_sql_inside(const struct pas_store *store, struct bh_diag *diag)
{
    if (!store->open_tx)
        return bh_refuse(
            diag, BH_ERR_INTERNAL, "store", NULL, NULL, "a record was put outside a transaction");
    if (store->why.err != BH_OK) {
        if (diag != NULL && diag->err == BH_OK)
            *diag = store->why;
        return store->why.err;
    }
    return BH_OK;
}

/* ---- open and close ---- */

static enum bh_err
execute(struct pas_store *store, const char *sql, const char *doing, struct bh_diag *diag)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return pas_sql_fail(store, doing, diag);
    return BH_OK;
}

static enum bh_err
connect_to(const char *uri, int flags, struct pas_store **ret_store, struct bh_diag *diag)
{
    struct pas_store *store = calloc(1, sizeof(*store));

    if (store == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "store");
    if (sqlite3_open_v2(uri, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
            pas_sql_vfs()) != SQLITE_OK) {
        const enum bh_err e = store->db != NULL ? pas_sql_fail(store, "be opened", diag)
                                                : bh_fail(diag, BH_ERR_NOMEM, "store");
        pas_store_close(store);
        return e;
    }
    (void)sqlite3_busy_timeout(store->db, BUSY_MS);
    *ret_store = store;
    return BH_OK;
}

void
pas_store_close(struct pas_store *store)
{
    if (store == NULL)
        return;
    pas_store_rollback(store);
    for (size_t i = 0; i < ST_STATEMENTS; i++)
        (void)sqlite3_finalize(store->st[i]);
    (void)sqlite3_close(store->db);
    free(store);
}

/*
 * The file format's header (sqlite.org/fileformat2.html, 1.3): read by ourselves, so that a file
 * that is not ours is never touched, not even for its recovery.
 */
enum bh_err
pas_sql_header(const char *path, struct bh_diag *diag)
{
    uint8_t head[100];
    struct bh_reader r;
    ssize_t n;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        const enum bh_err e =
            bh_refuse(diag, BH_ERR_IO, errno == ENOENT ? "store.missing" : "store", NULL, NULL,
                "%s: %s", path, strerror(errno));
        bh_hint(
            diag, "`beachhead-server init` makes the store; a lost one is restored from a backup");
        return e;
    }
    n = pread(fd, head, sizeof(head), 0);
    (void)close(fd);
    if (n != (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0)
        return bh_refuse(diag, BH_ERR_IO, "store.foreign", "a store of Beachhead", "another file",
            "%s is no database", path);
    bh_reader_init(&r, bh_span(head + 60, 12));
    const uint32_t version = bh_reader_u32be(&r);
    (void)bh_reader_u32be(&r);
    if (bh_reader_u32be(&r) != PAS_STORE_APPLICATION_ID)
        return bh_refuse(diag, BH_ERR_IO, "store.foreign", "a store of Beachhead",
            "a database of another program", "%s was not made by beachhead-server", path);
    if (version != PAS_STORE_VERSION) {
        char expected[16], found[16];
        (void)snprintf(expected, sizeof(expected), "%d", PAS_STORE_VERSION);
        (void)snprintf(found, sizeof(found), "%u", version);
        return bh_refuse(diag, BH_ERR_IO, "store.version", expected, found,
            "%s was made by %s version of the server", path,
            version > PAS_STORE_VERSION ? "a newer" : "another");
    }
    return BH_OK;
}

/* Written beside its place and renamed: a store that exists is whole. */
enum bh_err
pas_store_create(const char *store_dir, struct bh_diag *diag)
{
    char path[PATH_SIZE], fresh[PATH_SIZE], pragmas[128];
    struct pas_store *store = NULL;
    enum bh_err e;
    int fd;

    if ((e = store_path(store_dir, "state.db", path, diag)) != BH_OK ||
        (e = store_path(store_dir, "state.db.new", fresh, diag)) != BH_OK)
        return e;
    if (mkdir(store_dir, 0700) != 0 && errno != EEXIST)
        return bh_refuse(
            diag, BH_ERR_IO, "store", NULL, NULL, "cannot make %s: %s", store_dir, strerror(errno));
    if (access(path, F_OK) == 0)
        return bh_refuse(diag, BH_ERR_IO, "store", NULL, NULL, "%s is there already", path);
    (void)unlink(fresh);
    if ((fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        return bh_refuse(
            diag, BH_ERR_IO, "store", NULL, NULL, "cannot make %s: %s", fresh, strerror(errno));
    (void)close(fd);
    (void)snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
        PAS_STORE_APPLICATION_ID, PAS_STORE_VERSION);
    if ((e = connect_to(fresh, SQLITE_OPEN_READWRITE, &store, diag)) != BH_OK ||
        (e = execute(store, pragmas, "be made", diag)) != BH_OK ||
        (e = execute(store, pas_sql_schema, "make its tables", diag)) != BH_OK ||
        (e = execute(store, "PRAGMA journal_mode=WAL; PRAGMA wal_checkpoint(TRUNCATE);", "be made",
             diag)) != BH_OK)
        goto out;
    pas_store_close(store);
    store = NULL;
    if (rename(fresh, path) != 0)
        e = bh_refuse(
            diag, BH_ERR_IO, "store", NULL, NULL, "cannot make %s: %s", path, strerror(errno));
out:
    pas_store_close(store);
    if (e != BH_OK)
        (void)unlink(fresh);
    return e;
}

/*
 * The page cache as one block that is there from the start: a process that reads and writes more
 * and more of the store stays as large as it was. Of no effect once SQLite is in use, which then
 * takes the same amount bit by bit.
 */
static void
reserve_cache(void)
{
    static uint8_t *block;
    int head = 0;

    if (block != NULL || sqlite3_config(SQLITE_CONFIG_PCACHE_HDRSZ, &head) != SQLITE_OK)
        return;
    const int slot = PAGE_SIZE + head;
    const int slots = CACHE_KIB * 1024 / PAGE_SIZE;
    const size_t size = (size_t)slot * (size_t)slots;

    if ((block = malloc(size)) == NULL)
        return;
    memset(block, 0, size);
    if (sqlite3_config(SQLITE_CONFIG_PAGECACHE, block, slot, slots) != SQLITE_OK) {
        free(block);
        block = NULL;
    }
}

enum bh_err
pas_store_open(const char *store_dir, struct pas_store **ret_store, struct bh_diag *diag)
{
    char path[PATH_SIZE];
    struct pas_store *store = NULL;
    uint8_t seeded, unused[PAS_STORE_HASH_LEN];
    enum bh_err e;

    if ((e = store_path(store_dir, "state.db", path, diag)) != BH_OK ||
        (e = pas_sql_header(path, diag)) != BH_OK)
        return e;
    reserve_cache();
    if ((e = connect_to(path, SQLITE_OPEN_READWRITE, &store, diag)) != BH_OK)
        return e;
    /* temp_store: nothing but the store's own files may be opened once confined. */
    if ((e = execute(store,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
             "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=OFF;"
             "PRAGMA journal_size_limit=16777216; PRAGMA wal_autocheckpoint=" TEXT(
                 LOG_PAGES) ";"
                            "PRAGMA cache_size=-" TEXT(CACHE_KIB) ";",
             "be opened", diag)) != BH_OK ||
        (e = pas_sql_prepare(store, diag)) != BH_OK ||
        (e = pas_sql_get_meta(store, "forgotten", unused, &store->forgotten, diag)) != BH_OK)
        goto out;
    /* Seeds SQLite's generator from a device that is out of reach once confined. */
    sqlite3_randomness(sizeof(seeded), &seeded);
    *ret_store = store;
    store = NULL;
out:
    pas_store_close(store);
    return e;
}

/* ---- transactions ---- */

enum bh_err
pas_store_begin(struct pas_store *store, struct bh_diag *diag)
{
    enum bh_err e;

    if (store->open_tx)
        return bh_refuse(
            diag, BH_ERR_INTERNAL, "store", NULL, NULL, "a transaction is open already");
    if ((e = pas_sql_run(store, ST_BEGIN, "begin a transaction", diag)) != BH_OK) {
        store->failed = true;
        return e;
    }
    store->open_tx = true;
    store->has_certificate = false;
    bh_diag_clear(&store->why);
    return BH_OK;
}

void
pas_store_rollback(struct pas_store *store)
{
    if (!store->open_tx)
        return;
    store->open_tx = false;
    /* Some failures (a full disk) make SQLite roll back by itself. */
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_step(store->st[ST_ROLLBACK]);
    pas_sql_reset(store, ST_ROLLBACK);
}

enum bh_err
pas_store_commit(struct pas_store *store, struct bh_diag *diag)
{
    enum bh_err e = pas_sql_inside(store, diag);

    if (e == BH_OK)
        e = pas_sql_run(store, ST_COMMIT, "commit", diag);
    /* A commit of next to nothing is no sign that a certificate would find room again. */
    if (e != BH_OK)
        store->failed = true;
    else if (store->has_certificate)
        store->failed = false;
    if (e != BH_OK)
        pas_store_rollback(store);
    store->open_tx = false;
    return e;
}

enum bh_err
pas_store_usable(struct pas_store *store, struct bh_diag *diag)
{
    struct pas_store_stats stats;
    enum bh_err e;

    if (!store->failed || store->open_tx)
        return pas_store_stats(store, &stats, diag);
    if ((e = pas_store_begin(store, diag)) != BH_OK)
        return e;
    pas_sql_bind_text(store->st[ST_PUT_META], 1, bh_span_str("probe"));
    /* As much as an enrolment may need: a disk with room for less is as good as full. */
    (void)sqlite3_bind_zeroblob(store->st[ST_PUT_META], 2, PROBE_LEN);
    (void)sqlite3_bind_int64(store->st[ST_PUT_META], 3, 0);
    if (pas_sql_run(store, ST_PUT_META, "be written", diag) != BH_OK) {
        e = store->why.err;
        pas_store_rollback(store);
        return e;
    }
    if ((e = pas_store_commit(store, diag)) == BH_OK)
        store->failed = false;
    return e;
}
