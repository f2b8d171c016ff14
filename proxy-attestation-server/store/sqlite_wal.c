/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite writes a transaction into its log in pieces, head and page of each frame apart: two
 * system calls a page. Here the pieces that follow each other are gathered and leave as one, before
 * the log is synced, read or asked for its size. A commit is synced before SQLite believes it
 * (synchronous=FULL), so nothing is later on the disk than it would be.
 *
 * Only files that SQLite opens as a log come here; all else goes to the VFS below.
 */
#include "sqlite.h"

#include <pthread.h>
#include <stdlib.h>

#define NAME "beachhead"
#define GATHER_MAX (128 * 1024)

struct log {
    sqlite3_file base;
    sqlite3_file *file; /* of the VFS below; it lies behind this struct */
    uint8_t *bytes;     /* GATHER_MAX */
    sqlite3_int64 at;   /* where in the file they belong */
    int len;
};

static struct log *
log_of(sqlite3_file *file)
{
    return (struct log *)file;
}

/* What did not reach the file is gone: SQLite undoes the transaction and writes the place again. */
static int
leave_together(struct log *l)
{
    const int len = l->len;

    l->len = 0;
    return len == 0 ? SQLITE_OK : l->file->pMethods->xWrite(l->file, l->bytes, len, l->at);
}

static int
log_close(sqlite3_file *file)
{
    struct log *l = log_of(file);
    const int rc = leave_together(l);
    const int closed = l->file->pMethods->xClose(l->file);

    free(l->bytes);
    l->bytes = NULL;
    return rc != SQLITE_OK ? rc : closed;
}

static int
log_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    struct log *l = log_of(file);
    const int rc = leave_together(l);

    return rc != SQLITE_OK ? rc : l->file->pMethods->xRead(l->file, out, len, at);
}

static int
log_write(sqlite3_file *file, const void *in, int len, sqlite3_int64 at)
{
    struct log *l = log_of(file);
    int rc;

    if (l->len > 0 && (at != l->at + l->len || len > GATHER_MAX - l->len) &&
        (rc = leave_together(l)) != SQLITE_OK)
        return rc;
    if (len > GATHER_MAX)
        return l->file->pMethods->xWrite(l->file, in, len, at);
    if (l->len == 0)
        l->at = at;
    memcpy(l->bytes + l->len, in, (size_t)len);
    l->len += len;
    return SQLITE_OK;
}

static int
log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log *l = log_of(file);
    const int rc = leave_together(l);

    return rc != SQLITE_OK ? rc : l->file->pMethods->xTruncate(l->file, size);
}

static int
log_sync(sqlite3_file *file, int flags)
{
    struct log *l = log_of(file);
    const int rc = leave_together(l);

    return rc != SQLITE_OK ? rc : l->file->pMethods->xSync(l->file, flags);
}

static int
log_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    struct log *l = log_of(file);
    const int rc = leave_together(l);

    return rc != SQLITE_OK ? rc : l->file->pMethods->xFileSize(l->file, ret_size);
}

static int
log_lock(sqlite3_file *file, int level)
{
    return log_of(file)->file->pMethods->xLock(log_of(file)->file, level);
}

static int
log_unlock(sqlite3_file *file, int level)
{
    return log_of(file)->file->pMethods->xUnlock(log_of(file)->file, level);
}

static int
log_is_reserved(sqlite3_file *file, int *ret_reserved)
{
    return log_of(file)->file->pMethods->xCheckReservedLock(log_of(file)->file, ret_reserved);
}

static int
log_control(sqlite3_file *file, int op, void *arg)
{
    return log_of(file)->file->pMethods->xFileControl(log_of(file)->file, op, arg);
}

static int
log_sector_size(sqlite3_file *file)
{
    return log_of(file)->file->pMethods->xSectorSize(log_of(file)->file);
}

static int
log_characteristics(sqlite3_file *file)
{
    return log_of(file)->file->pMethods->xDeviceCharacteristics(log_of(file)->file);
}

/* A log is neither mapped nor shared memory: version 1 is all there is to it. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_is_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static sqlite3_vfs *below;
static sqlite3_vfs ours;

static int
open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct log *l = log_of(file);
    int rc;

    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) == 0)
        return below->xOpen(below, name, file, flags, ret_flags);
    *l = (struct log){.file = (sqlite3_file *)(l + 1)};
    if ((l->bytes = malloc(GATHER_MAX)) == NULL)
        return SQLITE_NOMEM;
    /* There from the start, so that the first large transaction does not look like growth. */
    memset(l->bytes, 0, GATHER_MAX);
    if ((rc = below->xOpen(below, name, l->file, flags, ret_flags)) != SQLITE_OK) {
        if (l->file->pMethods != NULL)
            (void)l->file->pMethods->xClose(l->file);
        free(l->bytes);
        return rc;
    }
    l->base.pMethods = &methods;
    return SQLITE_OK;
}

static void
make_vfs(void)
{
    if ((below = sqlite3_vfs_find(NULL)) == NULL)
        return;
    ours = *below;
    ours.zName = NAME;
    ours.szOsFile = (int)sizeof(struct log) + below->szOsFile;
    ours.xOpen = open_file;
    if (sqlite3_vfs_register(&ours, 0) != SQLITE_OK)
        below = NULL;
}

const char *
pas_sql_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_vfs);
    return below != NULL ? NAME : NULL;
}
