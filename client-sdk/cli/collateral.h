/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead collateral`: the parts of the command. */
#ifndef BH_CLI_COLLATERAL_H
#define BH_CLI_COLLATERAL_H

#include "collateral_files.h"

#include "core/cli.h"
#include "evidence/evidence.h"

#include <jansson.h>

#define BH_COLLATERAL_PATH 4608

int bh_collateral_import(int argc, char **argv);
int bh_collateral_fetch(int argc, char **argv);

/* ---- collateral_intake.c ---- */

#define BH_INTAKE_OTHERS_MAX 128

/** How files come into a server's folder. The caller fills in the first members, zero the rest. */
struct bh_intake {
    const char *command;
    const char *dir;
    struct bh_cli_list anchor_files; /* none: those of DIR/trust, else the built-in ones */
    int64_t at;
    bool json;
    struct bh_collateral_files given; /* what waits to be admitted */
    /* private but for readers */
    char folder[BH_COLLATERAL_PATH];
    struct bh_collateral_files there; /* what stood there at first */
    struct ev_trust vendors;
    size_t anchors_len;
    X509 *anchors[EV_ANCHORS_MAX];
    size_t others_len;
    X509 *others[BH_INTAKE_OTHERS_MAX];
    json_t *done;
};
/** Read the folder and the anchors. bh_intake_clear() frees, also after a failure. */
BH_MUST_USE enum bh_err bh_intake_open(struct bh_intake *intake, struct bh_diag *diag);
/** Verify all that was given and write it, or nothing of it; empties given. Failures are told on
 * standard error. */
BH_MUST_USE enum bh_err bh_intake_admit(struct bh_intake *intake);
/** Tell what was done; the exit code, by @p e where that is a failure. */
int bh_intake_finish(struct bh_intake *intake, enum bh_err e);
void bh_intake_clear(struct bh_intake *intake);

/* ---- the parts ---- */

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
