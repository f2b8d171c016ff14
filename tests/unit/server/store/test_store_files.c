/* SPDX-License-Identifier: Apache-2.0 */
/* What is not our store, or not whole, is refused by name and left as it is. */
#include "core/file.h"
#include "folder.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];
static struct bh_diag diag;

static void
setup(void)
{
    folder_make(folder);
    bh_diag_clear(&diag);
}

static void
teardown(void)
{
    folder_remove(folder);
}

TestSuite(store_files, .init = setup, .fini = teardown);

static void
read_all(uint8_t **bytes, size_t *len)
{
    cr_assert_eq(bh_file_read(folder_file(folder, "state.db"), 1 << 26, bytes, len, NULL), BH_OK);
}

static unsigned
files_in_store(void)
{
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm", "state.db.new"};
    unsigned n = 0;

    for (size_t i = 0; i < BH_COUNT(names); i++)
        n += access(folder_file(folder, names[i]), F_OK) == 0;
    return n;
}

/* Both ways in refuse by @p check, and no byte of the file changes. */
static void
refused(const char *check)
{
    struct pas_store *store = NULL;
    uint8_t *before = NULL, *after = NULL;
    size_t before_len = 0, after_len = 0;

    read_all(&before, &before_len);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, check);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, check);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_create(folder_store(folder), &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, "store");
    read_all(&after, &after_len);
    cr_assert(bh_span_equal(bh_span(before, before_len), bh_span(after, after_len)));
    free(before);
    free(after);
}

static void
overwrite(long at, const void *bytes, size_t len)
{
    FILE *f = fopen(folder_file(folder, "state.db"), "r+b");

    cr_assert_not_null(f);
    cr_assert_eq(fseek(f, at, SEEK_SET), 0);
    cr_assert_eq(fwrite(bytes, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
}

Test(store_files, new_store_is_sound_and_private)
{
    struct stat st;

    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(files_in_store(), 1, "creation and check leave nothing beside the store");
    cr_assert_eq(stat(folder_file(folder, "state.db"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat(folder_store(folder), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
}

Test(store_files, check_beside_a_running_server)
{
    struct pas_store *store = NULL;

    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK);
    cr_assert_eq(put_one(store, 1, 1700000000, &diag), BH_OK);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(put_one(store, 2, 1700000000, &diag), BH_OK);
    pas_store_close(store);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_OK, "%s", diag.detail);
}

Test(store_files, missing)
{
    struct pas_store *store = NULL;

    cr_assert_eq(unlink(folder_file(folder, "state.db")), 0);
    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, "store.missing");
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, "store.missing");
    cr_assert_eq(files_in_store(), 0);
}

Test(store_files, no_database)
{
    static const char text[] =
        "this is somebody's letter, and longer than one hundred bytes, so that "
        "its length alone does not give it away.";

    cr_assert_eq(
        bh_file_write(folder_file(folder, "state.db"), bh_span_str(text), 0600, NULL), BH_OK);
    refused("store.foreign");
}

Test(store_files, empty_file)
{
    cr_assert_eq(truncate(folder_file(folder, "state.db"), 0), 0);
    refused("store.foreign");
}

Test(store_files, database_of_another_program)
{
    sqlite3 *db = NULL;

    cr_assert_eq(unlink(folder_file(folder, "state.db")), 0);
    cr_assert_eq(sqlite3_open(folder_file(folder, "state.db"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    refused("store.foreign");
}

Test(store_files, newer_version)
{
    overwrite(60, "\0\0\0\2", 4);
    refused("store.version");
    cr_assert_str_eq(diag.expected, "");
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.expected, "1");
    cr_assert_str_eq(diag.found, "2");
}

Test(store_files, torn_first_page)
{
    uint8_t garbage[3900];

    memset(garbage, 0xa5, sizeof(garbage));
    overwrite(100, garbage, sizeof(garbage));
    refused("store.corrupt");
}

Test(store_files, other_tables)
{
    sqlite3 *db = NULL;

    cr_assert_eq(sqlite3_open(folder_file(folder, "state.db"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "DROP TABLE secret", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    refused("store");
}

/* Damage behind the first pages: opening does not read there, the examination does. */
Test(store_files, damaged_page)
{
    uint8_t garbage[4096];
    struct pas_store *store = NULL;

    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK);
    for (uint32_t i = 0; i < 200; i++)
        cr_assert_eq(put_one(store, i, 1700000000, &diag), BH_OK);
    pas_store_close(store);
    memset(garbage, 0xa5, sizeof(garbage));
    overwrite(30 * 4096, garbage, sizeof(garbage));
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, "store.corrupt");
    cr_assert_str_neq(diag.hint, "");
}
