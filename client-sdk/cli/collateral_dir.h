/* SPDX-License-Identifier: Apache-2.0 */
/* The files of `--collateral DIR`, handed to the verifiers by the names that they ask for. */
#ifndef BH_CLI_COLLATERAL_DIR_H
#define BH_CLI_COLLATERAL_DIR_H

#include "core/err.h"

struct bh_collateral_dir;

/** Look into @p path, which is borrowed. BH_ERR_USAGE when it is no folder.
 * bh_collateral_dir_free() frees. */
BH_MUST_USE enum bh_err bh_collateral_dir_open(
    const char *path, struct bh_collateral_dir **ret_dir, struct bh_diag *diag);
void bh_collateral_dir_free(struct bh_collateral_dir *dir);

/**
 * ev_trust.collateral, with the folder as @p arg: the file whose content is of @p kind and @p key,
 * whatever its name, as in a server's collateral/; else the file named @p kind, whatever @p key
 * says, for the folder of one device. The bytes stay until the folder is freed.
 * BH_ERR_COLLATERAL_MISSING when there is no such file, BH_ERR_TOO_LARGE or BH_ERR_IO when it
 * cannot be read.
 */
enum bh_err bh_collateral_dir_find(void *arg, const char *kind, struct bh_span key,
    struct bh_span *ret_bytes, struct bh_diag *diag);

#endif
