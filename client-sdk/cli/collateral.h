/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead collateral`: the parts of the command. */
#ifndef BH_CLI_COLLATERAL_H
#define BH_CLI_COLLATERAL_H

#include "collateral_files.h"

#include <jansson.h>

#define BH_COLLATERAL_PATH 4608

int bh_collateral_import(int argc, char **argv);

/** DIR/collateral. */
BH_MUST_USE enum bh_err bh_collateral_folder(
    const char *dir, char path[BH_COLLATERAL_PATH], struct bh_diag *diag);
/** Take @p bytes (malloc'ed, taken over) as it was fetched: bundles are unpacked, PEM of a
 * certificate or list of AMD's becomes DER, a percent-encoded chain PEM. */
BH_MUST_USE enum bh_err bh_collateral_take(struct bh_collateral_files *files, const char *name,
    uint8_t *bytes, size_t len, struct bh_diag *diag);
/** {"file", "kind", "about", "from", "until", "simulated", "result"}. New reference. */
json_t *bh_collateral_json(const char *file, const struct ev_collateral *what, const char *result);
/** The same as a line. */
void bh_collateral_print(const char *file, const struct ev_collateral *what, const char *result);

#endif
