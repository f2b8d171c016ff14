/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP library: its threads, its TLS sessions, its connections. */
#include "frontend.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY                                                                          \
    ((size_t)32 * 1024) /* half of it is the read buffer, which bounds headers */
#define THREADS_MAX 64
#define ACCEPT_MAX 64 /* at a time: answers wait meanwhile */
#define ACCEPT_PAUSE_MS 200
#define ROOM_PAUSE_MS 10
#define OWN_MAX 16 /* as many handshakes keep answers of others waiting for 10 ms */

/* In place of recv(): the first byte of a request starts its clock, and a handshake waits
 * elsewhere. */
static ssize_t
pull(gnutls_transport_ptr_t transport, void *buf, size_t len)
{
    struct pas_fe_connection *client = transport;
    const ssize_t n = recv(client->fd, buf, len, 0);

    if (n > 0 && pas_fe_connection_state(client) == PAS_FE_IDLE) {
        pas_fe_connection_mark(client, PAS_FE_READING);
    } else if (n < 0 && errno == EAGAIN && pas_fe_connection_state(client) == PAS_FE_HANDSHAKE) {
        pas_fe_handshake_wait(client->owner, client);
        errno = EAGAIN;
    }
    return n;
}

static int
pull_timeout(gnutls_transport_ptr_t transport, unsigned ms)
{
    struct pollfd p = {.fd = ((struct pas_fe_connection *)transport)->fd, .events = POLLIN};

    return poll(&p, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

static struct pas_fe_connection *
client_of(gnutls_session_t session)
{
    gnutls_transport_ptr_t in, out;

    gnutls_transport_get_ptr2(session, &in, &out);
    return in;
}

/* The client's Finished is the last message of a TLS 1.3 handshake. */
static int
on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
    const gnutls_datum_t *msg)
{
    (void)type;
    (void)when;
    (void)msg;
    if (incoming != 0)
        pas_fe_connection_mark(client_of(session), PAS_FE_IDLE);
    return 0;
}

/* gnutls_certificate_retrieve_function2 has no argument of ours: the session's connection leads to
 * it. */
static int
on_certificate(gnutls_session_t session, const gnutls_datum_t *cas, int cas_len,
    const gnutls_pk_algorithm_t *algorithms, int algorithms_len, gnutls_pcert_st **ret_chain,
    unsigned *ret_len, gnutls_privkey_t *ret_key)
{
    const struct pas_fe *fe = gnutls_session_get_ptr(session);

    (void)cas;
    (void)cas_len;
    (void)algorithms;
    (void)algorithms_len;
    return pas_fe_tls_identity(fe->tls, ret_chain, ret_len, ret_key);
}

static void
on_open(struct pas_fe *fe, struct MHD_Connection *connection, void **context)
{
    const int fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    gnutls_session_t session =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
    struct pas_fe_connection *client = pas_fe_connections_find(fe->connections, fd);

    *context = client;
    gnutls_session_set_ptr(session, fe);
    if (client == NULL) {
        (void)shutdown(fd, SHUT_RDWR);
        return;
    }
    client->handle = connection;
    client->owner = fe;
    client->own =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON)->daemon == fe->own;
    if (client->own)
        fe->own_len++;
    pas_fe_connection_mark(client, PAS_FE_HANDSHAKE);
    gnutls_transport_set_ptr2(session, client, (gnutls_transport_ptr_t)(intptr_t)fd);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    gnutls_handshake_set_hook_function(
        session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, on_finished);
    pas_fe_tls_tickets(fe->tls, session);
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
    struct pas_fe_connection *client = *context;
    struct pas_fe *fe = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        on_open(fe, connection, context);
    } else if (client != NULL) {
        if (client->own)
            fe->own_len--;
        pas_fe_connections_close(client);
        *context = NULL;
    }
}

/* Paths have one spelling: no escapes. */
static size_t
no_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void
on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
    (void)cls;
    (void)file;
    (void)line;
    bh_log(BH_LOG_ERROR, "http-panic", "reason", reason, NULL);
    abort();
}

static unsigned
threads(void)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (cores < 1)
        return 1;
    return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

static struct MHD_Daemon *
start_daemon(struct pas_fe *fe, unsigned flags, unsigned pool)
{
    const unsigned limit = (unsigned)pas_fe_connections_max(fe->connections);

    /* The library splits its limit evenly among threads, and connections do not: ours is the limit.
     */
    return MHD_start_daemon(
        flags | MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, pas_fe_handle, fe, MHD_OPTION_THREAD_POOL_SIZE, pool > 1 ? pool : 0,
        MHD_OPTION_CONNECTION_LIMIT, limit * (pool > 1 ? pool : 1),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_HTTPS_CERT_CALLBACK, on_certificate, MHD_OPTION_HTTPS_PRIORITIES,
        pas_fe_tls_priorities(fe->config.tls12), MHD_OPTION_NOTIFY_CONNECTION, on_connection, fe,
        MHD_OPTION_NOTIFY_COMPLETED, pas_fe_completed, fe, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

enum bh_err
pas_fe_server_start(struct pas_fe *fe, struct bh_diag *diag)
{
    const unsigned n = threads();
    const int flags = fcntl(fe->listener, F_GETFL);

    if (flags < 0 || fcntl(fe->listener, F_SETFL, flags | O_NONBLOCK) < 0)
        return bh_fail(diag, BH_ERR_IO, "listening socket: %s", strerror(errno));
    MHD_set_panic_func(on_panic, NULL);
    fe->own = start_daemon(fe, 0, 0);
    if (n > 1)
        fe->workers = start_daemon(fe, MHD_USE_INTERNAL_POLLING_THREAD, n - 1);
    if (fe->own == NULL || (n > 1 && fe->workers == NULL))
        return bh_fail(
            diag, BH_ERR_INTERNAL, "the HTTP library does not start: %s", strerror(errno));
    return BH_OK;
}

int
pas_fe_server_patience_ms(struct pas_fe *fe, int at_most)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(fe->own, &ms) == MHD_YES && ms < (MHD_UNSIGNED_LONG_LONG)at_most)
        return (int)ms;
    return at_most;
}

int
pas_fe_server_fd(const struct pas_fe *fe)
{
    return MHD_get_daemon_info(fe->own, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void
pas_fe_server_turn(struct pas_fe *fe, bool readable)
{
    if (!readable && !fe->own_due && pas_fe_server_patience_ms(fe, 1) != 0)
        return;
    fe->own_due = false;
    (void)MHD_run(fe->own);
}

uint64_t
pas_fe_server_wait_ms(const struct pas_fe *fe)
{
    const uint64_t now = pas_fe_now_ms();

    return now < fe->accept_after_ms ? fe->accept_after_ms - now : 0;
}

static void
take_in(struct pas_fe *fe, int fd, const struct sockaddr *address, socklen_t len)
{
    if (!pas_fe_connections_admit(fe->connections, address) ||
        !pas_fe_connections_open(fe->connections, fd, address)) {
        (void)close(fd);
        return;
    }
    /* On failure the library has closed the descriptor: see pas_fe_connections_open(). */
    (void)MHD_add_connection(
        fe->workers == NULL || fe->own_len < OWN_MAX ? fe->own : fe->workers, fd, address, len);
}

/*
 * Here and not in the library: its threads would share the work unevenly, and taking the socket
 * back from them (MHD_quiesce_daemon) can end the process when a thread sees it at the same moment.
 */
void
pas_fe_server_accept(struct pas_fe *fe)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd;

        if (!pas_fe_connections_room(fe->connections)) {
            fe->accept_after_ms = pas_fe_now_ms() + ROOM_PAUSE_MS;
            return;
        }
        fd = accept4(fe->listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_in(fe, fd, (struct sockaddr *)&from, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            bh_log(BH_LOG_WARNING, "accept", "reason", strerror(errno), NULL);
            fe->accept_after_ms = pas_fe_now_ms() + ACCEPT_PAUSE_MS;
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void
pas_fe_server_stop(struct pas_fe *fe)
{
    if (fe->workers != NULL)
        MHD_stop_daemon(fe->workers);
    if (fe->own != NULL)
        MHD_stop_daemon(fe->own);
    fe->workers = fe->own = NULL;
}
