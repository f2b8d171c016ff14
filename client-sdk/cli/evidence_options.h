/* SPDX-License-Identifier: Apache-2.0 */
/* The options that `inspect` and `appraise` share. */
#ifndef BH_CLI_EVIDENCE_OPTIONS_H
#define BH_CLI_EVIDENCE_OPTIONS_H

#include "core/cli.h"
#include "trust_inputs.h"

struct bh_evidence_options {
    const char *at;
    struct bh_cli_list anchors;
    struct bh_cli_list keys;
    const char *collateral;
};

#define BH_EVIDENCE_OPTIONS(o)                                                                     \
    {.name = "at",                                                                                 \
        .value = "TIME",                                                                           \
        .help = "verify as of this time (RFC 3339 UTC; default now)",                              \
        .text = &(o).at},                                                                          \
        {.name = "trust-anchor",                                                                   \
            .value = "FILE",                                                                       \
            .help = "trust these roots instead of the built-in vendor roots",                      \
            .list = &(o).anchors},                                                                 \
        {.name = "endorsed-key",                                                                   \
            .value = "FILE",                                                                       \
            .help = "a device's key: SPKI or certificate (PEM, DER), or a raw symmetric key",      \
            .list = &(o).keys},                                                                    \
    {                                                                                              \
        .name = "collateral", .value = "DIR", .help = "a folder of vendor collateral",             \
        .text = &(o).collateral                                                                    \
    }

/** Read what the options name. BH_ERR_USAGE. bh_trust_inputs_clear() frees, also after a failure.
 */
BH_MUST_USE enum bh_err bh_evidence_options_load(const struct bh_evidence_options *options,
    struct bh_trust_inputs *ret_inputs, struct bh_diag *diag);

#endif
