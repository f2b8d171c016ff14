/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS_MAX 1000000

enum bh_err
agent_read_limits(const char *connections, const char *idle, struct agent_endpoint_config *config,
    struct bh_diag *diag)
{
    unsigned long wanted = AGENT_CONNECTIONS_DEFAULT;
    int64_t seconds = 0;
    char *end = NULL;

    config->limits = agent_relay_default_limits;
    if (connections != NULL) {
        errno = 0;
        wanted =
            connections[0] >= '1' && connections[0] <= '9' ? strtoul(connections, &end, 10) : 0;
        if (wanted == 0 || errno != 0 || *end != '\0' || wanted > CONNECTIONS_MAX)
            return bh_refuse(diag, BH_ERR_USAGE, "connections", "1 to 1000000", connections,
                "--connections is none");
    }
    if (idle != NULL) {
        if (bh_duration_read(idle, &seconds) != BH_OK)
            return bh_refuse(
                diag, BH_ERR_USAGE, "idle", "90s, 15m, 24h, 30d", idle, "--idle is no duration");
        config->limits.idle_ms = seconds * 1000;
        if (config->limits.half_closed_ms > config->limits.idle_ms)
            config->limits.half_closed_ms = config->limits.idle_ms;
    }
    config->connections = agent_endpoint_raise_limit(wanted);
    return BH_OK;
}
