/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead collateral import`: files that were fetched by whatever means, and bundles. */
#include "collateral.h"

#include "core/file.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead collateral import"
#define GIVEN_MAX ((size_t)96 * 1024 * 1024) /* a bundle */

static enum bh_err
read_given(struct bh_intake *m, const struct bh_cli_list *paths, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < paths->len && e == BH_OK; i++) {
        const char *path = paths->items[i], *slash = strrchr(path, '/');
        uint8_t *bytes = NULL;
        size_t len = 0;

        if (bh_file_read(path, GIVEN_MAX, &bytes, &len, diag) != BH_OK) {
            diag->err = BH_ERR_USAGE;
            return BH_ERR_USAGE;
        }
        e = bh_collateral_take(&m->given, slash != NULL ? slash + 1 : path, bytes, len, diag);
    }
    return e;
}

static int
run(struct bh_intake *m, const struct bh_cli_list *paths)
{
    struct bh_diag diag = {0};
    enum bh_err e;

    if (bh_intake_open(m, &diag) != BH_OK || read_given(m, paths, &diag) != BH_OK)
        return bh_cli_failed(COMMAND, &diag);
    if ((e = bh_intake_admit(m)) != BH_OK)
        return bh_err_exit(e);
    return bh_intake_finish(m, BH_OK);
}

int
bh_collateral_import(int argc, char **argv)
{
    struct bh_intake *m = calloc(1, sizeof(*m));
    const char *at = NULL;
    struct bh_cli_list paths = {0};
    int code;

    if (m == NULL)
        return 2;
    m->command = COMMAND;
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "DIR",
            .help = "the server's folder",
            .needed = true,
            .text = &m->dir},
        {.name = "trust-anchor",
            .value = "FILE",
            .help = "believe these certificates instead of DIR/trust or the built-in roots",
            .list = &m->anchor_files},
        {.name = "at",
            .value = "TIME",
            .help = "verify as of this time (RFC 3339 UTC; default now)",
            .text = &at},
        {.name = "json", .help = "print one JSON document", .flag = &m->json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Recognise files of vendor collateral (and bundles), verify them, and put them "
                   "into DIR/collateral.",
        .example = COMMAND " --dir /srv/beachhead vcek.der milan_crl.der",
        .options = options,
        .args = "FILE...",
        .args_min = 1,
        .args_max = BH_CLI_LIST_MAX,
    };

    m->at = bh_time_now();
    if ((code = bh_cli_parse(&usage, argc, argv, &paths)) < 0) {
        if (at != NULL && bh_time_read(at, &m->at) != BH_OK)
            code = bh_cli_usage_error(COMMAND, "--at %s: a time like 2026-11-23T18:06:00Z", at);
        else
            code = run(m, &paths);
    }
    bh_intake_clear(m);
    free(m);
    return code;
}
