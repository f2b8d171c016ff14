/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include "core/file.h"
#include "core/x509.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>

static enum bh_err
refuse_used(struct bh_diag *diag, const char *check, const char *dir, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, check, "an empty folder, or none", found,
        "%s: nothing is written over what is there", dir);

    bh_hint(diag, "choose another folder, or move this one away yourself");
    return e;
}

static enum bh_err
demand_empty(const char *dir, const char *check, struct bh_diag *diag)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    bool empty = true;

    if (d == NULL && errno == ENOTDIR)
        return refuse_used(diag, check, dir, "something that is no folder");
    if (d == NULL)
        return bh_fail(diag, BH_ERR_IO, "cannot open %s: %s", dir, strerror(errno));
    while (empty && (entry = readdir(d)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(d);
    return empty ? BH_OK : refuse_used(diag, check, dir, "a folder that is not empty");
}

enum bh_err
pas_tree_begin(const char *dir, const char *check, struct pas_tree *ret_tree, struct bh_diag *diag)
{
    struct pas_tree tree = {.made = mkdir(dir, 0700) == 0};
    enum bh_err e;
    char *path;

    if (!tree.made && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s: %s", dir, strerror(errno));
    if (!tree.made && (e = demand_empty(dir, check, diag)) != BH_OK)
        return e;
    if (!tree.made && chmod(dir, 0700) != 0)
        return bh_fail(diag, BH_ERR_IO, "cannot set the mode of %s: %s", dir, strerror(errno));
    path = realpath(dir, NULL);
    if (path == NULL || strlen(path) > sizeof(tree.dir) - 256) {
        free(path);
        if (tree.made)
            (void)rmdir(dir);
        return bh_fail(diag, BH_ERR_IO, "%s: the path is too long or gone", dir);
    }
    (void)snprintf(tree.dir, sizeof(tree.dir), "%s", path);
    free(path);
    *ret_tree = tree;
    return BH_OK;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    if (at->level > 0)
        (void)remove(path);
    return 0;
}

void
pas_tree_remove(const struct pas_tree *tree)
{
    (void)nftw(tree->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (tree->made)
        (void)rmdir(tree->dir);
}

enum bh_err
pas_tree_mkdir(const struct pas_tree *tree, const char *name, struct bh_diag *diag)
{
    char path[PAS_PATH_MAX + 256];

    if (bh_path_join(path, sizeof(path), tree->dir, name) != BH_OK || mkdir(path, 0700) != 0)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s/%s: %s", tree->dir, name, strerror(errno));
    return BH_OK;
}

enum bh_err
pas_tree_write(const struct pas_tree *tree, const char *name, struct bh_span bytes, unsigned mode,
    struct bh_diag *diag)
{
    char path[PAS_PATH_MAX + 256];

    if (bh_path_join(path, sizeof(path), tree->dir, name) != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "%s/%s: the path is too long", tree->dir, name);
    return bh_file_write(path, bytes, (mode_t)mode, diag);
}

enum bh_err
pas_tree_write_certs(const struct pas_tree *tree, const char *name, const X509 *first,
    const X509 *second, struct bh_diag *diag)
{
    BIO *bio = BIO_new(BIO_s_mem());
    enum bh_err e;
    char *text;
    long len;

    if (bio == NULL || PEM_write_bio_X509(bio, first) != 1 ||
        (second != NULL && PEM_write_bio_X509(bio, second) != 1) ||
        (len = BIO_get_mem_data(bio, &text)) <= 0)
        e = bh_fail(diag, BH_ERR_NOMEM, "certificate");
    else
        e = pas_tree_write(tree, name, bh_span(text, (size_t)len), 0644, diag);
    BIO_free(bio);
    return e;
}

enum bh_err
pas_tree_write_key(const struct pas_tree *tree, const char *name, EVP_PKEY *key,
    const char *passphrase, struct bh_diag *diag)
{
    char *pem = NULL;
    enum bh_err e;

    if ((e = bh_key_to_pem(key, passphrase, &pem, diag)) != BH_OK)
        return e;
    e = pas_tree_write(tree, name, bh_span_str(pem), 0600, diag);
    OPENSSL_cleanse(pem, strlen(pem));
    free(pem);
    return e;
}
