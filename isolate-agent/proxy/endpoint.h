/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening address in front of relayed connections: accepts up to a cap, looks the target's name
 * up again from time to time, logs what ended badly.
 */
#ifndef AGENT_ENDPOINT_H
#define AGENT_ENDPOINT_H

#include "relay.h"

#define AGENT_CONNECTIONS_DEFAULT 4096

struct agent_endpoint_config {
    struct agent_address listen;
    struct agent_target target; /* copied; a name must have been looked up once */
    SSL_CTX *inner, *outer;     /* as in struct agent_relay_config */
    struct agent_relay_limits limits;
    size_t connections;       /* the cap */
    int64_t resolve_every_ms; /* look a name up again when it is older; 0: a minute */
};

struct agent_endpoint;

/** Bind and serve. BH_ERR_IO when the address is not to be had. */
BH_MUST_USE enum bh_err agent_endpoint_new(struct agent_loop *loop,
    const struct agent_endpoint_config *config, struct agent_endpoint **ret_endpoint,
    struct bh_diag *diag);
/** Ends its connections. Takes NULL. */
void agent_endpoint_free(struct agent_endpoint *endpoint);

/** Where it listens ("127.0.0.1:34567"), also while it is closed: the port stays the same. */
const char *agent_endpoint_text(const struct agent_endpoint *endpoint);
/** New connections are served with @p inner from now on. */
void agent_endpoint_swap(struct agent_endpoint *endpoint, SSL_CTX *inner);
/** Stop listening; connections go on. */
void agent_endpoint_close(struct agent_endpoint *endpoint);
/** Listen again where it did; nothing to do when it listens. */
BH_MUST_USE enum bh_err agent_endpoint_open(struct agent_endpoint *endpoint, struct bh_diag *diag);
size_t agent_endpoint_connections(const struct agent_endpoint *endpoint);

/** Let the process have the descriptors that @p connections need, as far as its hard limit goes.
 * Returns how many connections those are good for. */
size_t agent_endpoint_raise_limit(size_t connections);

#endif
