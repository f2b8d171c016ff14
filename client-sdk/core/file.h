/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files in, whole files out. */
#ifndef BH_FILE_H
#define BH_FILE_H

#include "err.h"

#include <sys/types.h>

/** Read a file of at most @p max bytes; "-" is standard input. malloc'ed, NUL-terminated beyond
 * ret_len. BH_ERR_IO, BH_ERR_TOO_LARGE. */
BH_MUST_USE enum bh_err bh_file_read(
    const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len, struct bh_diag *diag);
/** Write by a temporary file beside it, fsync and rename, so that a reader sees the old or the new.
 */
BH_MUST_USE enum bh_err bh_file_write(
    const char *path, struct bh_span bytes, mode_t mode, struct bh_diag *diag);
/** "dir/name" in @p out; BH_ERR_TOO_LARGE when it does not fit. */
BH_MUST_USE enum bh_err bh_path_join(char *out, size_t size, const char *dir, const char *name);

#endif
