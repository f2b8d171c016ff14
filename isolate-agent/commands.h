/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands of `beachhead-agent`, one file each. */
#ifndef AGENT_COMMANDS_H
#define AGENT_COMMANDS_H

#include "core/err.h"

#include "beachhead/verify.h"

#include "isolate-agent/proxy/endpoint.h"

int agent_cmd_detect(int argc, char **argv);
int agent_cmd_evidence(int argc, char **argv);
int agent_cmd_run(int argc, char **argv);
int agent_cmd_dial(int argc, char **argv);

/** Trust the roots of @p path, whose text is malloc'ed into @p ret_pem. BH_ERR_USAGE, exit 2. */
BH_MUST_USE enum bh_err agent_load_roots(
    const char *path, bh_trust **ret_trust, char **ret_pem, struct bh_diag *diag);
/** --connections N and --idle DURATION (NULL: the defaults) into @p config; raises the limit of
 * descriptors. BH_ERR_USAGE. */
BH_MUST_USE enum bh_err agent_read_limits(const char *connections, const char *idle,
    struct agent_endpoint_config *config, struct bh_diag *diag);
/** No core dumps, no reading of our memory by others of the same user. */
void agent_harden(void);

#endif
