/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a folder of collateral, in memory: what each is, and a set that answers lookups. */
#ifndef BH_CLI_COLLATERAL_FILES_H
#define BH_CLI_COLLATERAL_FILES_H

#include "evidence/collateral.h"

struct bh_collateral_file {
    char *name; /* in the folder, or as it was given */
    uint8_t *bytes;
    size_t len;
    bool known; /* it is collateral: what says what; else why says why not */
    struct ev_collateral what;
    struct bh_diag why;
};

/** Empty as {0}. */
struct bh_collateral_files {
    size_t len, cap;
    struct bh_collateral_file *items;
    struct ev_collateral_set *set; /* of the known ones; borrows their bytes */
};

/** The endings of names that a server reads: ".der", ".json", ".pem". */
bool bh_is_collateral_name(const char *name);

/**
 * Every file of @p dir that a server would read, by name; what is no collateral, or too large, is
 * kept as unknown. BH_ERR_IO when the folder cannot be read, BH_ERR_TOO_LARGE over
 * BH_COLLATERAL_FILES_MAX of them. bh_collateral_files_clear() frees, also after a failure.
 */
BH_MUST_USE enum bh_err bh_collateral_files_read(
    const char *dir, struct bh_collateral_files *files, struct bh_diag *diag);
/** Append a file by its bytes, which are taken over (malloc'ed) even on failure. */
BH_MUST_USE enum bh_err bh_collateral_files_add(struct bh_collateral_files *files, const char *name,
    uint8_t *bytes, size_t len, struct bh_diag *diag);
void bh_collateral_files_clear(struct bh_collateral_files *files);

/**
 * A bundle, one file for air-gapped sites:
 * {"beachhead_collateral": 1, "files": [{"name", "data": base64url}]}, of what has not expired at
 * @p now. Text: malloc'ed.
 */
BH_MUST_USE enum bh_err bh_collateral_bundle_make(const struct bh_collateral_files *files,
    int64_t now, char **ret_text, size_t *ret_count, struct bh_diag *diag);
/** The text looks like a bundle. */
bool bh_is_collateral_bundle(struct bh_span text);
/** Append the files of a bundle. BH_ERR_MALFORMED, check "bundle"; BH_ERR_TOO_LARGE. */
BH_MUST_USE enum bh_err bh_collateral_bundle_read(
    struct bh_span text, struct bh_collateral_files *files, struct bh_diag *diag);

#endif
