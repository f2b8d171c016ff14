/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a relayed connection: a non-blocking socket, plain or under TLS 1.3 (RFC 8446).
 *
 * Each operation either does something, says that it would block (and which readiness it waits
 * for), or ends the direction. The end of a TLS peer's data is its close_notify: a TCP FIN without
 * one is a truncation, hence an error (RFC 8446, 6.1).
 */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include "core/err.h"

#include <openssl/ssl.h>

enum agent_io {
    AGENT_IO_DONE,
    AGENT_IO_AGAIN, /* wait for the events in `wants` */
    AGENT_IO_EOF,   /* reading: the peer sends no more */
    AGENT_IO_ERROR,
};

struct agent_stream {
    int fd;   /* -1 while there is none */
    SSL *ssl; /* NULL: plain */
};

/** Begin a TLS handshake over the socket: as server when @p server. False when out of memory. */
BH_MUST_USE bool agent_stream_tls(struct agent_stream *s, SSL_CTX *ctx, bool server);
/** Go on with the handshake. @p ret_wants is written with AGENT_IO_AGAIN only, here and below. */
enum agent_io agent_stream_handshake(struct agent_stream *s, uint32_t *ret_wants);

/** Up to @p cap bytes; @p ret_len is at least 1 with AGENT_IO_DONE. */
enum agent_io agent_stream_read(
    struct agent_stream *s, uint8_t *out, size_t cap, size_t *ret_len, uint32_t *ret_wants);
/** Part of @p bytes or all; after AGENT_IO_AGAIN call again with the same bytes first. */
enum agent_io agent_stream_write(
    struct agent_stream *s, struct bh_span bytes, size_t *ret_len, uint32_t *ret_wants);
/** Say that no more is sent (close_notify; shutdown), and go on reading. Call once it is DONE no
 * more. */
enum agent_io agent_stream_finish(struct agent_stream *s, uint32_t *ret_wants);
/** Bytes that were received and can be read without the socket being readable. */
bool agent_stream_pending(const struct agent_stream *s);

/** Close; @p abort: by a reset, so that the peer does not take it for a regular end. */
void agent_stream_close(struct agent_stream *s, bool abort);

/** What OpenSSL or the system says about the last error. Returns @p out. */
char *agent_stream_why(char *out, size_t size);

/** What both sides of the proxy set on their contexts: TLS 1.3 alone, no resumption, modes. */
BH_MUST_USE bool agent_tls_defaults(SSL_CTX *ctx);

#endif
