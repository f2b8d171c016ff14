/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection and a TLS handshake that end in bounded time, whatever the other side does. */
#ifndef BH_CLI_DIAL_H
#define BH_CLI_DIAL_H

#include "core/err.h"

#include <openssl/ssl.h>

/** Milliseconds of a clock that only goes forward. */
int64_t bh_dial_clock(void);
/**
 * Connect to "HOST:PORT" or "[ADDRESS]:PORT" before @p deadline (of bh_dial_clock()); the socket
 * does not block. BH_ERR_USAGE for another form, BH_ERR_NETWORK when nobody is reached. The caller
 * closes it.
 */
BH_MUST_USE enum bh_err bh_dial(
    const char *address, int64_t deadline, int *ret_fd, struct bh_diag *diag);
/** SSL_connect() on such a socket. 1 when it is done, 0 when it failed, -1 when time ran out. */
int bh_dial_handshake(SSL *ssl, int fd, int64_t deadline);

#endif
