/* SPDX-License-Identifier: Apache-2.0 */
/* A new folder that is either whole or gone. */
#ifndef PAS_TREE_H
#define PAS_TREE_H

#include "core/err.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define PAS_PATH_MAX 4096

struct pas_tree {
    char dir[PAS_PATH_MAX]; /* absolute */
    bool made;              /* the folder itself is new */
};

/**
 * Make @p dir (0700), or take an empty folder of that name. BH_ERR_USAGE, check "@p check", when it
 * is not empty, or no folder; BH_ERR_IO when it cannot be made.
 */
BH_MUST_USE enum bh_err pas_tree_begin(
    const char *dir, const char *check, struct pas_tree *ret_tree, struct bh_diag *diag);
/** Remove everything in it, and the folder itself when it is new. */
void pas_tree_remove(const struct pas_tree *tree);

/** Write into the tree: folders (0700), bytes, certificates in PEM (0644), private keys (0600). */
BH_MUST_USE enum bh_err pas_tree_mkdir(
    const struct pas_tree *tree, const char *name, struct bh_diag *diag);
BH_MUST_USE enum bh_err pas_tree_write(const struct pas_tree *tree, const char *name,
    struct bh_span bytes, unsigned mode, struct bh_diag *diag);
/** @p second may be NULL. */
BH_MUST_USE enum bh_err pas_tree_write_certs(const struct pas_tree *tree, const char *name,
    const X509 *first, const X509 *second, struct bh_diag *diag);
/** PKCS#8, encrypted when @p passphrase is not NULL. */
BH_MUST_USE enum bh_err pas_tree_write_key(const struct pas_tree *tree, const char *name,
    EVP_PKEY *key, const char *passphrase, struct bh_diag *diag);

#endif
