/* SPDX-License-Identifier: Apache-2.0 */
#include "collateral_dir.h"

#include "collateral_files.h"

#include "core/file.h"
#include "core/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN 64

struct file {
    struct file *next;
    char name[NAME_MAX_LEN];
    uint8_t *bytes;
    size_t len;
};

struct bh_collateral_dir {
    const char *path;
    struct file *files;               /* those that were read by their names */
    bool looked;                      /* keyed was filled, as far as that went */
    struct bh_collateral_files keyed; /* all of them, by their content */
};

enum bh_err
bh_collateral_dir_open(const char *path, struct bh_collateral_dir **ret_dir, struct bh_diag *diag)
{
    struct bh_collateral_dir *dir;
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return bh_refuse(diag, BH_ERR_USAGE, "collateral", "a folder", path,
            "the collateral folder cannot be read");
    if ((dir = calloc(1, sizeof(*dir))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral folder");
    dir->path = path;
    *ret_dir = dir;
    return BH_OK;
}

void
bh_collateral_dir_free(struct bh_collateral_dir *dir)
{
    struct file *f, *next;

    if (dir == NULL)
        return;
    bh_collateral_files_clear(&dir->keyed);
    for (f = dir->files; f != NULL; f = next) {
        next = f->next;
        free(f->bytes);
        free(f);
    }
    free(dir);
}

static enum bh_err
read_file(
    struct bh_collateral_dir *dir, const char *kind, struct file **ret_file, struct bh_diag *diag)
{
    char path[4096];
    struct file *f;
    enum bh_err e;

    if (strlen(kind) >= NAME_MAX_LEN || strchr(kind, '/') != NULL)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "no file is named %s", kind);
    if ((e = bh_path_join(path, sizeof(path), dir->path, kind)) != BH_OK)
        return bh_fail(diag, e, "%s/%s: the path is too long", dir->path, kind);
    if (access(path, F_OK) != 0)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "%s: there is no such file", path);
    if ((f = calloc(1, sizeof(*f))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    if ((e = bh_file_read(path, BH_COLLATERAL_MAX, &f->bytes, &f->len, diag)) != BH_OK) {
        free(f);
        return e;
    }
    (void)snprintf(f->name, sizeof(f->name), "%s", kind);
    f->next = dir->files;
    dir->files = f;
    *ret_file = f;
    return BH_OK;
}

/* As a server does it: files may have any name, and be of many devices. */
static bool
find_by_content(
    struct bh_collateral_dir *dir, const char *kind, struct bh_span key, struct bh_span *ret_bytes)
{
    if (!dir->looked) {
        dir->looked = true;
        if (bh_collateral_files_read(dir->path, &dir->keyed, NULL) != BH_OK)
            bh_collateral_files_clear(&dir->keyed);
    }
    return dir->keyed.set != NULL &&
           ev_collateral_set_find(dir->keyed.set, kind, key, ret_bytes, NULL) == BH_OK;
}

enum bh_err
bh_collateral_dir_find(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    struct bh_collateral_dir *dir = arg;
    struct file *f = dir->files;
    enum bh_err e;

    if (find_by_content(dir, kind, key, ret_bytes))
        return BH_OK;
    while (f != NULL && strcmp(f->name, kind) != 0)
        f = f->next;
    if (f == NULL && (e = read_file(dir, kind, &f, diag)) != BH_OK)
        return e;
    *ret_bytes = bh_span(f->bytes, f->len);
    return BH_OK;
}
