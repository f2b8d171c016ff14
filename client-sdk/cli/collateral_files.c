/* SPDX-License-Identifier: Apache-2.0 */
#include "collateral_files.h"

#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_SIZE 4608

bool
bh_is_collateral_name(const char *name)
{
    static const char *const endings[] = {".der", ".json", ".pem"};
    const size_t len = strlen(name);

    if (name[0] == '.')
        return false;
    for (size_t i = 0; i < BH_COUNT(endings); i++) {
        const size_t one = strlen(endings[i]);

        if (len > one && strcmp(name + len - one, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Room for one more, and a set. */
static bool
grow(struct bh_collateral_files *files)
{
    const size_t cap = files->cap == 0 ? 16 : 2 * files->cap;
    struct bh_collateral_file *grown;

    if (files->set == NULL && (files->set = ev_collateral_set_new()) == NULL)
        return false;
    if (files->len < files->cap)
        return true;
    if ((grown = realloc(files->items, cap * sizeof(*grown))) == NULL)
        return false;
    files->items = grown;
    files->cap = cap;
    return true;
}

enum bh_err
bh_collateral_files_add(struct bh_collateral_files *files, const char *name, uint8_t *bytes,
    size_t len, struct bh_diag *diag)
{
    struct bh_collateral_file *f;
    char *copy = strdup(name);

    if (copy == NULL || !grow(files)) {
        free(copy);
        free(bytes);
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    }
    f = &files->items[files->len++];
    *f = (struct bh_collateral_file){.name = copy, .bytes = bytes, .len = len};
    f->known =
        ev_collateral_set_add(files->set, bh_span(bytes, len), name, &f->what, &f->why) == BH_OK;
    return BH_OK;
}

static int
is_read(const struct dirent *entry)
{
    return bh_is_collateral_name(entry->d_name);
}

static enum bh_err
add_file(struct bh_collateral_files *files, const char *dir, const char *name, struct bh_diag *diag)
{
    char path[PATH_SIZE];
    struct bh_diag why = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct stat st;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), dir, name)) != BH_OK)
        return bh_fail(diag, e, "%s/%s: the path is too long", dir, name);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return BH_OK;
    if (bh_file_read(path, BH_COLLATERAL_MAX, &bytes, &len, &why) == BH_OK)
        return bh_collateral_files_add(files, name, bytes, len, diag);
    if ((e = bh_collateral_files_add(files, name, NULL, 0, diag)) == BH_OK)
        files->items[files->len - 1].why = why;
    return e;
}

enum bh_err
bh_collateral_files_read(const char *dir, struct bh_collateral_files *files, struct bh_diag *diag)
{
    struct dirent **entries = NULL;
    const int n = scandir(dir, &entries, is_read, alphasort);
    enum bh_err e = BH_OK;

    if (n < 0)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", dir, strerror(errno));
    if (n > BH_COLLATERAL_FILES_MAX)
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.files", "at most 4096 files", NULL,
            "%s holds %d files", dir, n);
    for (int i = 0; i < n; i++) {
        if (e == BH_OK)
            e = add_file(files, dir, entries[i]->d_name, diag);
        free(entries[i]);
    }
    free(entries);
    return e;
}

void
bh_collateral_files_clear(struct bh_collateral_files *files)
{
    ev_collateral_set_free(files->set);
    for (size_t i = 0; i < files->len; i++) {
        free(files->items[i].name);
        free(files->items[i].bytes);
    }
    free(files->items);
    *files = (struct bh_collateral_files){0};
}
