/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --state DIR: status.json, what the agent is doing, for operators and health checks, also across
 * restarts. Nothing in it is secret, and nothing is read back: keys and certificates live in
 * memory, and a restarted agent enrols anew.
 *
 *     {"workload","state":"serving"|"not serving","endpoint","certificates","updated",
 *      "serial","platform","status","simulated","not_before","not_after",
 *      "last_failure":{"time","code","check","detail"}}
 */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "core/err.h"

#include "beachhead/verify.h"

struct agent_status { /* borrows what it points to */
    const char *workload;
    const char *endpoint; /* NULL: none */
    const bh_peer *peer;  /* the certificate that is held; NULL: none */
    bool serving;
    unsigned certificates; /* obtained since the start */
    int64_t failed_at;     /* 0: never */
    struct bh_diag failure;
};

/** Write DIR/status.json (0644) as a whole; the folder is made (0755) when it is missing. */
BH_MUST_USE enum bh_err agent_status_write(
    const struct agent_status *status, const char *dir, int64_t now, struct bh_diag *diag);

#endif
