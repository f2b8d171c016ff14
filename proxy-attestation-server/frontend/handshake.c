/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS handshakes that wait for their client.
 *
 * The HTTP library (0.9.75) does not notice that a handshake has read all there was, and tries it
 * again and again: a client that sends half a ClientHello takes a whole core, and every other
 * handshake costs the CPU time of its round trips. So a connection whose handshake finds nothing to
 * read is suspended here, and resumed by the main thread once its socket has something.
 */
#include "frontend.h"

#include "core/log.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 64

enum bh_err
pas_fe_handshake_start(struct pas_fe *fe, struct bh_diag *diag)
{
    if ((fe->handshakes = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return bh_fail(diag, BH_ERR_IO, "epoll: %s", strerror(errno));
    return BH_OK;
}

static bool
watch(struct pas_fe *fe, struct pas_fe_connection *client)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = client};
    const int op = client->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    client->watched = true;
    return epoll_ctl(fe->handshakes, op, client->fd, &event) == 0;
}

void
pas_fe_handshake_wait(struct pas_fe *fe, struct pas_fe_connection *client)
{
    (void)pthread_mutex_lock(&fe->parking);
    if (!fe->no_parking) {
        client->parked = true;
        MHD_suspend_connection(client->handle);
        /* Unwatched it would stay for ever: then rather the library's way. */
        if (!watch(fe, client)) {
            client->parked = false;
            MHD_resume_connection(client->handle);
        }
    }
    (void)pthread_mutex_unlock(&fe->parking);
}

/* With the lock held. */
static void
unpark(struct pas_fe_connection *client)
{
    if (!client->parked)
        return;
    client->parked = false;
    if (client->own)
        ((struct pas_fe *)client->owner)->own_due = true;
    MHD_resume_connection(client->handle);
}

void
pas_fe_handshake_resume(struct pas_fe *fe)
{
    struct epoll_event events[EVENTS_MAX];
    const int n = epoll_wait(fe->handshakes, events, EVENTS_MAX, 0);

    (void)pthread_mutex_lock(&fe->parking);
    for (int i = 0; i < n; i++)
        unpark(events[i].data.ptr);
    (void)pthread_mutex_unlock(&fe->parking);
}

void
pas_fe_handshake_stop(struct pas_fe *fe)
{
    (void)pthread_mutex_lock(&fe->parking);
    fe->no_parking = true;
    if (fe->connections != NULL)
        pas_fe_connections_each(fe->connections, unpark);
    (void)pthread_mutex_unlock(&fe->parking);
}
