/* SPDX-License-Identifier: Apache-2.0 */
/* The examination of a store for `beachhead-server check`: reads, and changes nothing. */
#include "sqlite.h"

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_SIZE 4096

static bool
has_bytes(const char *path, const char *suffix)
{
    char name[PATH_SIZE + 8];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &st) == 0 && st.st_size > 0;
}

/*
 * The path as SQLite's URI. Without a write-ahead log nobody has the store open or left it
 * unfinished, and "immutable" keeps SQLite from making one; with one, its index is read and not
 * rebuilt in place.
 */
static enum bh_err
read_only_uri(const char *path, char *out, size_t size, struct bh_diag *diag)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *how = !has_bytes(path, "-wal")  ? "?immutable=1"
                      : has_bytes(path, "-shm") ? "?mode=ro&readonly_shm=1"
                                                : "?mode=ro";
    size_t len = 0;

    len += (size_t)snprintf(out, size, "file:");
    for (; *path != '\0' && len + 4 < size; path++) {
        const unsigned char c = (unsigned char)*path;
        if (c == '%' || c == '?' || c == '#') {
            out[len++] = '%';
            out[len++] = hex[c >> 4];
            out[len++] = hex[c & 15];
        } else {
            out[len++] = (char)c;
        }
    }
    if (*path != '\0' || len + strlen(how) >= size)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "store", NULL, NULL, "the path is too long");
    memcpy(out + len, how, strlen(how) + 1);
    return BH_OK;
}

static enum bh_err
sound(struct pas_store *store, const char *path, struct bh_diag *diag)
{
    sqlite3_stmt *st = NULL;
    enum bh_err e = BH_OK;

    if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW)
        e = pas_sql_fail(store, "be examined", diag);
    else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        e = bh_refuse(diag, BH_ERR_IO, "store.corrupt", "ok",
            (const char *)sqlite3_column_text(st, 0), "%s is damaged", path);
    (void)sqlite3_finalize(st);
    if (e != BH_OK)
        bh_hint(diag, "stop the server and restore state.db from a backup");
    return e;
}

enum bh_err
pas_store_check(const char *store_dir, struct bh_diag *diag)
{
    char path[PATH_SIZE], uri[3 * PATH_SIZE];
    struct pas_store *store = NULL;
    enum bh_err e;

    if (bh_path_join(path, sizeof(path), store_dir, "state.db") != BH_OK)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "store", NULL, NULL, "the path is too long");
    if ((e = pas_sql_header(path, diag)) != BH_OK ||
        (e = read_only_uri(path, uri, sizeof(uri), diag)) != BH_OK)
        return e;
    if ((store = calloc(1, sizeof(*store))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "store");
    if (sqlite3_open_v2(uri, &store->db,
            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        e = store->db != NULL ? pas_sql_fail(store, "be opened", diag)
                              : bh_fail(diag, BH_ERR_NOMEM, "store");
        goto out;
    }
    (void)sqlite3_busy_timeout(store->db, 2000);
    if ((e = pas_sql_prepare(store, diag)) != BH_OK)
        goto out;
    e = sound(store, path, diag);
out:
    pas_store_close(store);
    return e;
}
