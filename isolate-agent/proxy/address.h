/* SPDX-License-Identifier: Apache-2.0 */
/* Where to listen, where to connect to: addresses as they are written on command lines. */
#ifndef AGENT_ADDRESS_H
#define AGENT_ADDRESS_H

#include "core/err.h"

#include <sys/socket.h>

#define AGENT_ADDRESSES_MAX 8
#define AGENT_ADDRESS_TEXT_MAX 160

struct agent_address {
    struct sockaddr_storage sa;
    socklen_t len;
};

/** "ADDR:PORT", "[ADDR]:PORT" (numeric; port 0 lets the system choose), or "vsock:PORT".
 * BH_ERR_USAGE. */
BH_MUST_USE enum bh_err agent_listen_parse(
    const char *text, struct agent_address *ret_address, struct bh_diag *diag);

/** Something to connect to: a fixed address, or a name whose addresses change. */
struct agent_target {
    char text[AGENT_ADDRESS_TEXT_MAX];
    char host[128]; /* "" when the address is fixed */
    char port[8];
    size_t count;
    struct agent_address addresses[AGENT_ADDRESSES_MAX];
};

/** "HOST:PORT", "[ADDR]:PORT" or, where @p allow_unix, "unix:PATH". Names are not looked up yet.
 * BH_ERR_USAGE. */
BH_MUST_USE enum bh_err agent_target_parse(
    const char *text, bool allow_unix, struct agent_target *ret_target, struct bh_diag *diag);
/** Look the name up, which may take seconds. BH_ERR_NETWORK. Nothing to do for fixed addresses. */
BH_MUST_USE enum bh_err agent_target_resolve(struct agent_target *target, struct bh_diag *diag);

/** A non-blocking listening socket. BH_ERR_IO with the address and the reason. */
BH_MUST_USE enum bh_err agent_listen(
    const struct agent_address *address, int *ret_fd, struct bh_diag *diag);
/** Begin to connect, non-blocking: 0 when it is done or under way, else errno. */
int agent_connect(const struct agent_address *address, int *ret_fd);
/** The address that a socket is bound to. */
BH_MUST_USE enum bh_err agent_bound_address(
    int fd, struct agent_address *ret_address, struct bh_diag *diag);

/** "127.0.0.1:8443", "[::1]:8443", "vsock:8443", "unix:/run/x". Returns @p out. */
char *agent_address_text(const struct agent_address *address, char *out, size_t size);

/** No delay, keep-alive; silently nothing for sockets that are not TCP. */
void agent_socket_tune(int fd);

#endif
