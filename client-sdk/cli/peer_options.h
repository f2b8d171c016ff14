/* SPDX-License-Identifier: Apache-2.0 */
/* What `connect`, `get` and `verify` expect of a peer, from their options; and how they tell who it
 * is. */
#ifndef BH_CLI_PEER_OPTIONS_H
#define BH_CLI_PEER_OPTIONS_H

#include "beachhead/verify.h"
#include "core/cli.h"

struct bh_peer_options {
    const char *root, *workload, *crl, *log;
    struct bh_cli_list platforms, measurements;
    bool accept_warning, require_log, require_revocation;
};

/**
 * Load root and expectation. Without a workload any one is expected: only `verify` allows that. The
 * caller frees both, also after a failure.
 */
BH_MUST_USE enum bh_result bh_peer_options_load(const struct bh_peer_options *options,
    bh_trust **ret_trust, bh_expectation **ret_expectation, bh_failure *failure);

/** Everything that verification knows of a peer. New reference. */
json_t *bh_peer_json(const bh_peer *peer);
/** {"verified": false, "code", "check", ...}. New reference. */
json_t *bh_failure_json(const bh_failure *failure);
/** Tell a failure on standard error, and as JSON on standard output; returns the exit code, never
 * 0.
 */
int bh_peer_failed(const char *command, const bh_failure *failure, bool json);
/** Tell a verified peer; returns the exit code. */
int bh_peer_verified(const bh_peer *peer, bool json);

#endif
