/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

bool
agent_stream_tls(struct agent_stream *s, SSL_CTX *ctx, bool server)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl == NULL || SSL_set_fd(ssl, s->fd) != 1) {
        SSL_free(ssl);
        return false;
    }
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    s->ssl = ssl;
    return true;
}

/* What the return value of an OpenSSL call means; 0 and below are no success. */
static enum agent_io
tls_outcome(const SSL *ssl, int rc, uint32_t *ret_wants)
{
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_NONE:
        return AGENT_IO_DONE;
    case SSL_ERROR_WANT_READ:
        *ret_wants = EPOLLIN;
        return AGENT_IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *ret_wants = EPOLLOUT;
        return AGENT_IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return AGENT_IO_EOF;
    default:
        return AGENT_IO_ERROR;
    }
}

static enum agent_io
plain_outcome(ssize_t n, uint32_t wants, uint32_t *ret_wants)
{
    if (n >= 0)
        return AGENT_IO_DONE;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return AGENT_IO_ERROR;
    *ret_wants = wants;
    return AGENT_IO_AGAIN;
}

enum agent_io
agent_stream_handshake(struct agent_stream *s, uint32_t *ret_wants)
{
    ERR_clear_error();
    errno = 0;
    return tls_outcome(s->ssl, SSL_do_handshake(s->ssl), ret_wants);
}

enum agent_io
agent_stream_read(
    struct agent_stream *s, uint8_t *out, size_t cap, size_t *ret_len, uint32_t *ret_wants)
{
    enum agent_io io;
    size_t len = 0;

    errno = 0;
    if (s->ssl != NULL) {
        ERR_clear_error();
        io = tls_outcome(s->ssl, SSL_read_ex(s->ssl, out, cap, &len), ret_wants);
    } else {
        const ssize_t n = recv(s->fd, out, cap, 0);
        io = n == 0 ? AGENT_IO_EOF : plain_outcome(n, EPOLLIN, ret_wants);
        len = n > 0 ? (size_t)n : 0;
    }
    if (io == AGENT_IO_DONE)
        *ret_len = len;
    return io;
}

enum agent_io
agent_stream_write(
    struct agent_stream *s, struct bh_span bytes, size_t *ret_len, uint32_t *ret_wants)
{
    enum agent_io io;
    size_t len = 0;

    errno = 0;
    if (s->ssl != NULL) {
        ERR_clear_error();
        io = tls_outcome(s->ssl, SSL_write_ex(s->ssl, bytes.ptr, bytes.len, &len), ret_wants);
        if (io == AGENT_IO_EOF)
            io = AGENT_IO_ERROR;
    } else {
        const ssize_t n = send(s->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        io = plain_outcome(n, EPOLLOUT, ret_wants);
        len = n > 0 ? (size_t)n : 0;
    }
    if (io == AGENT_IO_DONE)
        *ret_len = len;
    return io;
}

enum agent_io
agent_stream_finish(struct agent_stream *s, uint32_t *ret_wants)
{
    errno = 0;
    if (s->ssl == NULL)
        return shutdown(s->fd, SHUT_WR) == 0 ? AGENT_IO_DONE : AGENT_IO_ERROR;
    ERR_clear_error();
    const int rc = SSL_shutdown(s->ssl);
    /* 0: ours is sent, the peer's has not come; it comes by reading. */
    return rc >= 0 ? AGENT_IO_DONE : tls_outcome(s->ssl, rc, ret_wants);
}

bool
agent_stream_pending(const struct agent_stream *s)
{
    return s->ssl != NULL && SSL_pending(s->ssl) > 0;
}

void
agent_stream_close(struct agent_stream *s, bool abort)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    SSL_free(s->ssl);
    s->ssl = NULL;
    if (s->fd < 0)
        return;
    if (abort)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(s->fd);
    s->fd = -1;
}

char *
agent_stream_why(char *out, size_t size)
{
    const int system = errno;
    const unsigned long e = ERR_peek_last_error();
    const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

    if (reason != NULL)
        (void)snprintf(out, size, "%s", reason);
    else if (system != 0)
        (void)snprintf(out, size, "%s", strerror(system));
    else
        (void)snprintf(out, size, "the connection was closed");
    ERR_clear_error();
    return out;
}

bool
agent_tls_defaults(SSL_CTX *ctx)
{
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 0) != 1)
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    return true;
}
