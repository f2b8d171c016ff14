/* SPDX-License-Identifier: Apache-2.0 */
#include "hub_private.h"

#include "connections.h"
#include "ipc/child.h"

#include <poll.h>
#include <stdlib.h>

static struct pas_fe_bucket *
bucket_of(struct pas_fe_hub *hub, uint64_t id)
{
    return &hub->buckets[id & (CALL_BUCKETS - 1)]; /* ids are random */
}

struct pas_fe_call *
pas_fe_hub_find(struct pas_fe_hub *hub, uint64_t id)
{
    struct pas_fe_call *call;

    LIST_FOREACH(call, bucket_of(hub, id), in_bucket)
    if (call->id == id)
        return call;
    return NULL;
}

static void
enter(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    call->since_ms = pas_fe_now_ms();
    LIST_INSERT_HEAD(bucket_of(hub, call->id), call, in_bucket);
    TAILQ_INSERT_TAIL(&hub->calls, call, in_order);
    hub->calls_len++;
}

static void
drop_payload(struct pas_fe_call *call)
{
    free(call->payload);
    call->payload = NULL;
}

void
pas_fe_hub_finish(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    if (call->where == PAS_FE_QUEUED) {
        TAILQ_REMOVE(&hub->queue, call, in_queue);
        hub->queue_len--;
    }
    if (call->where != PAS_FE_NOWHERE) {
        LIST_REMOVE(call, in_bucket);
        TAILQ_REMOVE(&hub->calls, call, in_order);
        hub->calls_len--;
    }
    call->where = PAS_FE_NOWHERE;
    drop_payload(call);
    hub->done(call); /* the call may be gone from here on */
}

void
pas_fe_hub_refuse(struct pas_fe_hub *hub, struct pas_fe_call *call, enum bh_err err,
    const char *check, const char *detail)
{
    (void)bh_refuse(&call->diag, err, check, NULL, NULL, "%s", detail);
    bh_hint(&call->diag, "send the request again");
    if (err == BH_ERR_OVERLOADED)
        atomic_fetch_add_explicit(&hub->metrics->overloaded, 1, memory_order_relaxed);
    pas_fe_hub_finish(hub, call);
}

bool
pas_fe_hub_release(struct pas_fe_peer *peer, uint64_t id)
{
    for (unsigned i = 0; i < peer->held_len; i++) {
        if (peer->held[i].id != id)
            continue;
        peer->held[i] = peer->held[--peer->held_len];
        return true;
    }
    return false;
}

/* The verifier with the fewest requests under way that takes another one. */
static struct pas_fe_peer *
pick_verifier(struct pas_fe_hub *hub)
{
    struct pas_fe_peer *best = NULL;

    for (size_t i = 0; i < hub->peers_top; i++) {
        struct pas_fe_peer *peer = &hub->peers[i];

        if (peer->ipc == NULL || PAS_LINK_ROLE(peer->id) != PAS_VERIFIER || peer->draining ||
            peer->broken || peer->held_len == PAS_FE_HELD_MAX)
            continue;
        if (best == NULL || peer->held_len < best->held_len)
            best = peer;
        if (best->held_len == 0)
            break;
    }
    return best;
}

static bool
give(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    struct pas_fe_peer *peer;

    /* A verifier that cannot be sent to is marked as broken, so this ends. */
    while ((peer = pick_verifier(hub)) != NULL) {
        if (!pas_fe_hub_send(hub, peer, call))
            continue;
        peer->held[peer->held_len].id = call->id;
        peer->held[peer->held_len++].since_ms = pas_fe_now_ms();
        call->where = PAS_FE_VERIFIER;
        call->peer = peer;
        drop_payload(call);
        return true;
    }
    return false;
}

/* Nobody needs an answer that would go to a closed connection. */
static bool
client_is_gone(const struct pas_fe_call *call)
{
    struct pollfd p = {.fd = call->fd, .events = POLLRDHUP};

    return call->fd >= 0 && poll(&p, 1, 0) > 0 && p.revents != 0;
}

void
pas_fe_hub_feed(struct pas_fe_hub *hub)
{
    struct pas_fe_call *call;

    while ((call = TAILQ_FIRST(&hub->queue)) != NULL && pick_verifier(hub) != NULL) {
        if (client_is_gone(call)) {
            pas_fe_hub_refuse(
                hub, call, BH_ERR_OVERLOADED, "server.client", "the client did not wait");
            continue;
        }
        if (!give(hub, call))
            return;
        TAILQ_REMOVE(&hub->queue, call, in_queue);
        hub->queue_len--;
    }
}

static void
submit_to_verifier(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    if (hub->queue_len == 0 && give(hub, call))
        return;
    if (hub->queue_len >= PAS_FE_WAITING_MAX) {
        pas_fe_hub_refuse(
            hub, call, BH_ERR_OVERLOADED, "server.queue", "too many requests wait for a verifier");
        return;
    }
    call->where = PAS_FE_QUEUED;
    TAILQ_INSERT_TAIL(&hub->queue, call, in_queue);
    hub->queue_len++;
}

static void
submit_to_authority(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    struct pas_fe_peer *peer = pas_fe_hub_authority(hub);

    if (peer == NULL || !pas_fe_hub_send(hub, peer, call)) {
        pas_fe_hub_refuse(hub, call, BH_ERR_OVERLOADED, "server.authority",
            "the authority is not there; it is being started again");
        return;
    }
    call->peer = peer;
    drop_payload(call);
}

void
pas_fe_hub_submit(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    (void)pthread_mutex_lock(&hub->lock);
    if (hub->abandoned || hub->calls_len >= PAS_FE_CALLS_MAX) {
        pas_fe_hub_refuse(hub, call, BH_ERR_OVERLOADED,
            hub->abandoned ? "server.stopping" : "server.requests",
            hub->abandoned ? "the server stops" : "too many requests are under way");
    } else {
        call->where = call->to_verifier ? PAS_FE_VERIFIER : PAS_FE_AUTHORITY;
        enter(hub, call);
        if (call->to_verifier)
            submit_to_verifier(hub, call);
        else
            submit_to_authority(hub, call);
    }
    (void)pthread_mutex_unlock(&hub->lock);
}

void
pas_fe_hub_expire(struct pas_fe_hub *hub)
{
    const uint64_t now = pas_fe_now_ms();
    struct pas_fe_call *call;

    (void)pthread_mutex_lock(&hub->lock);
    while ((call = TAILQ_FIRST(&hub->calls)) != NULL && now - call->since_ms >= hub->answer_ms) {
        if (call->where == PAS_FE_QUEUED)
            pas_fe_hub_refuse(
                hub, call, BH_ERR_OVERLOADED, "server.queue", "no verifier was free in time");
        else
            pas_fe_hub_refuse(
                hub, call, BH_ERR_INTERNAL, "server.deadline", "the answer did not come in time");
    }
    for (size_t i = 0; i < hub->peers_top; i++) {
        struct pas_fe_peer *peer = &hub->peers[i];

        for (unsigned k = 0; peer->ipc != NULL && k < peer->held_len; k++)
            if (now - peer->held[k].since_ms >= 3 * hub->answer_ms)
                peer->broken = peer->hangs = true;
    }
    (void)pthread_mutex_unlock(&hub->lock);
}

void
pas_fe_hub_abandon(struct pas_fe_hub *hub)
{
    struct pas_fe_call *call;

    (void)pthread_mutex_lock(&hub->lock);
    hub->abandoned = true;
    while ((call = TAILQ_FIRST(&hub->calls)) != NULL)
        pas_fe_hub_refuse(hub, call, BH_ERR_INTERNAL, "server.stopping", "the server stops");
    (void)pthread_mutex_unlock(&hub->lock);
}

size_t
pas_fe_hub_len(struct pas_fe_hub *hub)
{
    size_t len;

    (void)pthread_mutex_lock(&hub->lock);
    len = hub->calls_len;
    (void)pthread_mutex_unlock(&hub->lock);
    return len;
}
