/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels. A bh_ipc keeps what it sends and what it received apart: the HTTP threads send
 * under the lock while this thread receives without it. Only this thread opens, closes and
 * receives.
 */
#include "hub_private.h"

#include "connections.h"
#include "core/log.h"
#include "ipc/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What an event is about: a peer's place below. */
#define WAKE PEERS_MAX
#define OTHERS (WAKE + 1)
#define EVENTS_MAX 64       /* the others are told with the next step */
#define FRAMES_PER_STEP 256 /* of one peer, before the others and the clients get their turn */

static bool
watch(struct pas_fe_hub *hub, int op, int fd, uint32_t events, uint32_t what)
{
    struct epoll_event event = {.events = events, .data.u32 = what};

    return epoll_ctl(hub->epoll, op, fd, &event) == 0;
}

enum bh_err
pas_fe_hub_new(struct pas_fe_metrics *metrics, pas_fe_done *done, uint64_t answer_ms,
    int64_t challenge_life, struct pas_fe_hub **ret_hub, struct bh_diag *diag)
{
    struct pas_fe_hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "hub");
    hub->epoll = epoll_create1(EPOLL_CLOEXEC);
    hub->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&hub->lock, NULL);
    for (size_t i = 0; i < PAS_FE_OTHERS; i++)
        hub->others[i] = -1;
    if (hub->epoll < 0 || hub->wake < 0 || !watch(hub, EPOLL_CTL_ADD, hub->wake, EPOLLIN, WAKE)) {
        (void)bh_fail(diag, BH_ERR_IO, "epoll: %s", strerror(errno));
        pas_fe_hub_free(hub);
        return BH_ERR_IO;
    }
    hub->metrics = metrics;
    hub->done = done;
    hub->answer_ms = answer_ms;
    pas_fe_mints_init(&hub->mints, challenge_life);
    TAILQ_INIT(&hub->calls);
    TAILQ_INIT(&hub->queue);
    *ret_hub = hub;
    return BH_OK;
}

void
pas_fe_hub_free(struct pas_fe_hub *hub)
{
    if (hub == NULL)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        bh_ipc_free(hub->peers[i].ipc);
    if (hub->wake >= 0)
        (void)close(hub->wake);
    if (hub->epoll >= 0)
        (void)close(hub->epoll);
    (void)pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void
wake(struct pas_fe_hub *hub)
{
    const uint64_t one = 1;

    /* A full counter wakes as well. */
    if (write(hub->wake, &one, sizeof(one)) < 0)
        return;
}

bool
pas_fe_hub_send(struct pas_fe_hub *hub, struct pas_fe_peer *peer, const struct pas_fe_call *call)
{
    const bool waited = peer->more;

    if (peer->broken ||
        bh_ipc_queue(peer->ipc, call->type, call->id, bh_span(call->payload, call->payload_len)) !=
            BH_OK ||
        bh_ipc_flush(peer->ipc, &peer->more) != BH_OK) {
        peer->broken = true;
        wake(hub);
        return false;
    }
    if (peer->more && !waited)
        wake(hub);
    return true;
}

struct pas_fe_peer *
pas_fe_hub_authority(struct pas_fe_hub *hub)
{
    for (size_t i = 0; i < hub->peers_top; i++) {
        struct pas_fe_peer *peer = &hub->peers[i];
        if (peer->ipc != NULL && PAS_LINK_ROLE(peer->id) == PAS_AUTHORITY && !peer->draining &&
            !peer->broken)
            return peer;
    }
    return NULL;
}

bool
pas_fe_hub_has(struct pas_fe_hub *hub, enum pas_role role)
{
    bool has = false;

    (void)pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->peers_top; i++) {
        const struct pas_fe_peer *peer = &hub->peers[i];
        has = has || (peer->ipc != NULL && PAS_LINK_ROLE(peer->id) == role && !peer->draining &&
                         !peer->broken);
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return has;
}

bool
pas_fe_hub_lost_authority(struct pas_fe_hub *hub)
{
    bool lost;

    (void)pthread_mutex_lock(&hub->lock);
    lost = hub->authority_lost;
    (void)pthread_mutex_unlock(&hub->lock);
    return lost;
}

static void
drain_peer(struct pas_fe_hub *hub, uint64_t id)
{
    if (PAS_LINK_ROLE(id) == PAS_AUTHORITY) {
        hub->authority_lost = false;
        pas_fe_mints_forget(&hub->mints);
    }
    for (size_t i = 0; i < hub->peers_top; i++)
        if (hub->peers[i].ipc != NULL && hub->peers[i].id == id)
            hub->peers[i].draining = true;
}

void
pas_fe_hub_unlink(struct pas_fe_hub *hub, uint64_t id)
{
    (void)pthread_mutex_lock(&hub->lock);
    drain_peer(hub, id);
    (void)pthread_mutex_unlock(&hub->lock);
}

enum bh_err
pas_fe_hub_link(struct pas_fe_hub *hub, uint64_t id, int fd, struct bh_diag *diag)
{
    const enum pas_role role = PAS_LINK_ROLE(id);
    struct pas_fe_peer *peer = NULL;
    struct bh_ipc *ipc = NULL;

    if (fd < 0 || (role != PAS_VERIFIER && role != PAS_AUTHORITY)) {
        if (fd >= 0)
            (void)close(fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "LINK of a peer that the frontend does not have");
    }
    if (bh_ipc_new(fd, true, &ipc) != BH_OK) {
        (void)close(fd);
        return bh_fail(diag, BH_ERR_NOMEM, "channel");
    }
    (void)pthread_mutex_lock(&hub->lock);
    drain_peer(hub, id);
    for (size_t i = 0; i < PEERS_MAX && peer == NULL; i++)
        if (hub->peers[i].ipc == NULL)
            peer = &hub->peers[i];
    if (peer != NULL) {
        *peer = (struct pas_fe_peer){.ipc = ipc, .id = id};
        if ((size_t)(peer - hub->peers) >= hub->peers_top)
            hub->peers_top = (size_t)(peer - hub->peers) + 1;
        pas_fe_hub_feed(hub);
    }
    (void)pthread_mutex_unlock(&hub->lock);
    if (peer == NULL) {
        bh_ipc_free(ipc);
        return bh_fail(diag, BH_ERR_OVERLOADED, "more than %d channels", PEERS_MAX);
    }
    return BH_OK;
}

/* Everything that this peer's end leaves without an answer is refused. */
static void
fail_calls_of(struct pas_fe_hub *hub, struct pas_fe_peer *peer, bool authority)
{
    struct pas_fe_call *call = TAILQ_FIRST(&hub->calls);

    while (call != NULL) {
        struct pas_fe_call *next = TAILQ_NEXT(call, in_order);

        if (authority && call->where == PAS_FE_AUTHORITY && (call->passed || call->peer == peer))
            pas_fe_hub_refuse(hub, call, BH_ERR_INTERNAL, "server.authority",
                "the authority ended before it answered");
        else if (!authority && call->where == PAS_FE_VERIFIER && call->peer == peer)
            pas_fe_hub_refuse(hub, call, BH_ERR_INTERNAL, "server.verifier",
                "the verifier ended before it answered");
        call = next;
    }
}

bool
pas_fe_hub_cut(struct pas_fe_hub *hub, uint64_t *ret_id)
{
    if (hub->cut_len == 0)
        return false;
    *ret_id = hub->cut[--hub->cut_len];
    return true;
}

static void
end_peer(struct pas_fe_hub *hub, struct pas_fe_peer *peer, const char *why, bool at_fault)
{
    const bool authority = PAS_LINK_ROLE(peer->id) == PAS_AUTHORITY;
    char index[16];

    (void)snprintf(index, sizeof(index), "%u", PAS_LINK_INDEX(peer->id));
    bh_log(peer->draining ? BH_LOG_INFO : BH_LOG_WARNING, "peer-ended", "peer",
        authority ? "authority" : "verifier", "#index", index, "reason", why, NULL);
    (void)pthread_mutex_lock(&hub->lock);
    if (at_fault && hub->cut_len < PEERS_MAX)
        hub->cut[hub->cut_len++] = peer->id;
    if (!authority && !peer->draining)
        atomic_fetch_add_explicit(&hub->metrics->verifiers_ended, 1, memory_order_relaxed);
    if (authority && !peer->draining)
        hub->authority_lost = true;
    fail_calls_of(hub, peer, authority);
    if (authority)
        pas_fe_mints_forget(&hub->mints);
    if (peer->watched != 0)
        (void)epoll_ctl(hub->epoll, EPOLL_CTL_DEL, bh_ipc_fd(peer->ipc), NULL);
    bh_ipc_free(peer->ipc);
    *peer = (struct pas_fe_peer){0};
    while (hub->peers_top > 0 && hub->peers[hub->peers_top - 1].ipc == NULL)
        hub->peers_top--;
    (void)pthread_mutex_unlock(&hub->lock);
}

/* What goes into a header line must not end it; what HTTP cannot say is not an answer. */
static bool
answer_is_sound(const struct pas_answer *a)
{
    if (a->status < 200 || a->status > 599 || a->content_type.len == 0 ||
        a->content_type.len >= PAS_FE_TYPE_MAX)
        return false;
    for (size_t i = 0; i < a->content_type.len; i++)
        if (a->content_type.ptr[i] < 0x20 || a->content_type.ptr[i] > 0x7e)
            return false;
    return true;
}

/* False: out of memory. */
static bool
fill_in(struct pas_fe_call *call, uint16_t status, struct bh_span type, struct bh_span body)
{
    if (body.len > 0 && (call->body = malloc(body.len)) == NULL)
        return false;
    if (body.len > 0)
        memcpy(call->body, body.ptr, body.len);
    call->body_len = body.len;
    call->status = status;
    memcpy(call->content_type, type.ptr, type.len);
    call->content_type[type.len] = '\0';
    return true;
}

static void
take_answer(struct pas_fe_hub *hub, struct pas_fe_call *call, const struct pas_answer *a)
{
    struct bh_span body = a->body;

    if (call->type == PAS_MINT && a->status == 201)
        body = pas_fe_mints_keep(&hub->mints, body, pas_fe_now_ms());
    if (fill_in(call, a->status, a->content_type, body))
        pas_fe_hub_finish(hub, call);
    else
        pas_fe_hub_refuse(hub, call, BH_ERR_NOMEM, "server.memory", "out of memory");
}

bool
pas_fe_hub_mint(struct pas_fe_hub *hub, struct pas_fe_call *call)
{
    struct bh_span body;
    bool got;

    (void)pthread_mutex_lock(&hub->lock);
    body = pas_fe_mints_take(&hub->mints, pas_fe_now_ms());
    got = body.len > 0 && fill_in(call, 201, bh_span_str("application/json"), body);
    if (!got && pas_fe_mints_ask(&hub->mints) > 1 && (call->payload = malloc(1)) != NULL) {
        call->payload[0] = pas_fe_mints_ask(&hub->mints);
        call->payload_len = 1;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return got;
}

static void
on_answer(struct pas_fe_hub *hub, struct pas_fe_peer *peer, uint64_t id, const struct pas_answer *a)
{
    const bool authority = PAS_LINK_ROLE(peer->id) == PAS_AUTHORITY;
    struct pas_fe_call *call = pas_fe_hub_find(hub, id);
    bool expected;

    if (call == NULL)
        expected = false;
    else if (authority) /* it may be faster than the verifier's PASSED */
        expected = call->where == PAS_FE_VERIFIER || call->passed || call->peer == peer;
    else
        expected = call->where == PAS_FE_VERIFIER && call->peer == peer;
    /* Its verifier is done with it, too. */
    if (expected && authority && call->where == PAS_FE_VERIFIER &&
        pas_fe_hub_release(call->peer, id))
        pas_fe_hub_feed(hub);
    if (expected)
        take_answer(hub, call, a);
    else
        atomic_fetch_add_explicit(&hub->metrics->late_answers, 1, memory_order_relaxed);
    if (!authority && pas_fe_hub_release(peer, id))
        pas_fe_hub_feed(hub);
}

static void
on_passed(struct pas_fe_hub *hub, struct pas_fe_peer *peer, uint64_t id)
{
    struct pas_fe_call *call = pas_fe_hub_find(hub, id);

    if (call != NULL && call->where == PAS_FE_VERIFIER && call->peer == peer) {
        call->where = PAS_FE_AUTHORITY;
        call->passed = true;
        call->peer = NULL;
        /* To one that has ended since: nobody else would say so. */
        if (pas_fe_hub_authority(hub) == NULL)
            pas_fe_hub_refuse(hub, call, BH_ERR_INTERNAL, "server.authority",
                "the authority ended before it answered");
    }
    if (pas_fe_hub_release(peer, id))
        pas_fe_hub_feed(hub);
}

static bool
handle(struct pas_fe_hub *hub, struct pas_fe_peer *peer, const struct bh_ipc_msg *msg)
{
    struct pas_answer answer = {0};

    if (msg->fd >= 0) {
        (void)close(msg->fd); /* no peer has a descriptor for us */
        return false;
    }
    if (!pas_msg_permitted(PAS_LINK_ROLE(peer->id), PAS_FRONTEND, msg->type))
        return false;
    if (msg->type == PAS_ANSWER) {
        if (pas_answer_decode(msg->payload, &answer) != BH_OK || !answer_is_sound(&answer))
            return false;
    } else if (msg->type != PAS_PASSED || msg->payload.len != 0) {
        return false;
    }
    (void)pthread_mutex_lock(&hub->lock);
    if (msg->type == PAS_ANSWER)
        on_answer(hub, peer, msg->id, &answer);
    else
        on_passed(hub, peer, msg->id);
    (void)pthread_mutex_unlock(&hub->lock);
    return true;
}

static void
receive(struct pas_fe_hub *hub, struct pas_fe_peer *peer)
{
    struct bh_ipc_msg msg = {.fd = -1};
    enum bh_err e;
    bool got = true;

    peer->unread = false;
    for (unsigned n = 0; n < FRAMES_PER_STEP; n++) {
        if ((e = bh_ipc_receive(peer->ipc, &msg, &got)) != BH_OK) {
            end_peer(hub, peer, e == BH_ERR_IO ? "channel closed" : "bad framing",
                e == BH_ERR_MALFORMED);
            return;
        }
        if (!got)
            return;
        if (!handle(hub, peer, &msg)) {
            end_peer(hub, peer, "a message that it may not send", true);
            return;
        }
    }
    peer->unread = true;
}

static void
flush(struct pas_fe_hub *hub, struct pas_fe_peer *peer)
{
    (void)pthread_mutex_lock(&hub->lock);
    if (bh_ipc_flush(peer->ipc, &peer->more) != BH_OK)
        peer->broken = true;
    (void)pthread_mutex_unlock(&hub->lock);
}

/* What is waited for follows what there is to send and whom to hear. False: it cannot. */
static bool
watch_all(struct pas_fe_hub *hub, const int others[PAS_FE_OTHERS], bool *ret_unread)
{
    bool good = true;

    (void)pthread_mutex_lock(&hub->lock);
    for (uint32_t i = 0; i < hub->peers_top; i++) {
        struct pas_fe_peer *peer = &hub->peers[i];
        const uint32_t events = EPOLLIN | (peer->more ? EPOLLOUT : 0);

        if (peer->ipc == NULL)
            continue;
        *ret_unread = *ret_unread || peer->unread;
        if (peer->watched == events)
            continue;
        good = good && watch(hub, peer->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                           bh_ipc_fd(peer->ipc), events, i);
        peer->watched = events;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    for (uint32_t i = 0; i < PAS_FE_OTHERS; i++) {
        if (hub->others[i] == others[i])
            continue;
        if (hub->others[i] >= 0)
            (void)epoll_ctl(hub->epoll, EPOLL_CTL_DEL, hub->others[i], NULL);
        hub->others[i] = others[i];
        good = good && (others[i] < 0 || watch(hub, EPOLL_CTL_ADD, others[i], EPOLLIN, OTHERS + i));
    }
    return good;
}

static bool
is_broken(struct pas_fe_hub *hub, const struct pas_fe_peer *peer)
{
    bool broken;

    (void)pthread_mutex_lock(&hub->lock);
    broken = peer->broken;
    (void)pthread_mutex_unlock(&hub->lock);
    return broken;
}

/* Something came for, or room is there at, the peer. */
static void
serve(struct pas_fe_hub *hub, struct pas_fe_peer *peer, uint32_t events)
{
    if (peer->ipc == NULL) /* ended since */
        return;
    if ((events & EPOLLOUT) != 0)
        flush(hub, peer);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        bh_ipc_polled(peer->ipc);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 || peer->unread)
        receive(hub, peer);
}

enum bh_err
pas_fe_hub_step(struct pas_fe_hub *hub, const int others[PAS_FE_OTHERS], int timeout_ms,
    bool ret_readable[PAS_FE_OTHERS])
{
    struct epoll_event events[EVENTS_MAX];
    bool unread = false;
    uint64_t count;
    int n;

    for (size_t i = 0; i < PAS_FE_OTHERS; i++)
        ret_readable[i] = false;
    if (!watch_all(hub, others, &unread))
        return BH_ERR_IO;
    if ((n = epoll_wait(hub->epoll, events, EVENTS_MAX, unread ? 0 : timeout_ms)) < 0)
        return errno == EINTR ? BH_OK : BH_ERR_IO;
    for (int i = 0; i < n; i++) {
        const uint32_t what = events[i].data.u32;

        if (what >= OTHERS)
            ret_readable[what - OTHERS] = true;
        else if (what < WAKE)
            serve(hub, &hub->peers[what], events[i].events);
        else if (read(hub->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
            return BH_ERR_IO;
    }
    for (size_t i = 0; i < hub->peers_top; i++) {
        struct pas_fe_peer *peer = &hub->peers[i];

        if (unread && peer->unread)
            serve(hub, peer, 0);
        if (peer->ipc != NULL && is_broken(hub, peer))
            end_peer(hub, peer, "it does not answer", peer->hangs);
    }
    return BH_OK;
}
