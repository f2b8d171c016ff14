/* SPDX-License-Identifier: Apache-2.0 */
/* What hub.c (channels) and dispatch.c (calls) share. All of it under hub->lock. */
#ifndef PAS_FRONTEND_HUB_PRIVATE_H
#define PAS_FRONTEND_HUB_PRIVATE_H

#include "hub.h"
#include "mints.h"

#include <pthread.h>

#define PEERS_MAX 520 /* 256 verifiers, their successors, and the authority */
#define CALL_BUCKETS 4096

struct pas_fe_peer {
    struct bh_ipc *ipc; /* NULL: a free place. Received on without the lock: see hub.c */
    uint64_t id;
    bool draining;    /* gets nothing new */
    bool broken;      /* sending failed: its end will be seen by the receiver */
    bool hangs;       /* broken, because it holds a request for far too long */
    bool unread;      /* a whole frame may wait in the channel's buffer, where poll() sees none */
    bool more;        /* output waits for the socket */
    uint32_t watched; /* for which events; 0: not yet */
    unsigned held_len;
    struct {
        uint64_t id;
        uint64_t since_ms;
    } held[PAS_FE_HELD_MAX]; /* verifiers only; a late answer still frees its place */
};

LIST_HEAD(pas_fe_bucket, pas_fe_call);
TAILQ_HEAD(pas_fe_calls, pas_fe_call);

struct pas_fe_hub {
    pthread_mutex_t lock;
    struct pas_fe_metrics *metrics;
    pas_fe_done *done;
    uint64_t answer_ms;
    int epoll;                 /* of the one thread that steps */
    int others[PAS_FE_OTHERS]; /* in it */
    int wake;                  /* eventfd: output waits, or a peer is broken */
    size_t peers_top;          /* no peer at or above it */
    struct pas_fe_peer peers[PEERS_MAX];
    struct pas_fe_mints mints;
    size_t cut_len;
    uint64_t cut[PEERS_MAX];   /* whose channel was closed for what they did; for the parent */
    struct pas_fe_calls calls; /* oldest first */
    struct pas_fe_calls queue; /* for a verifier, oldest first */
    size_t calls_len, queue_len;
    bool abandoned;
    bool authority_lost; /* its channel ended, and the parent has not said why */
    struct pas_fe_bucket buckets[CALL_BUCKETS];
};

/* dispatch.c */
struct pas_fe_call *pas_fe_hub_find(struct pas_fe_hub *hub, uint64_t id);
/* Take the call out and say that it is done; call->diag or the answer is set. */
void pas_fe_hub_finish(struct pas_fe_hub *hub, struct pas_fe_call *call);
/* Refuse with a check under "server.". */
void pas_fe_hub_refuse(struct pas_fe_hub *hub, struct pas_fe_call *call, enum bh_err err,
    const char *check, const char *detail);
/* Give verifiers with room what waits for them. */
void pas_fe_hub_feed(struct pas_fe_hub *hub);
/* The verifier no longer holds @p id: false when it did not. */
bool pas_fe_hub_release(struct pas_fe_peer *peer, uint64_t id);

/* hub.c */
bool pas_fe_hub_send(
    struct pas_fe_hub *hub, struct pas_fe_peer *peer, const struct pas_fe_call *call);
/* The authority that is asked, or NULL. */
struct pas_fe_peer *pas_fe_hub_authority(struct pas_fe_hub *hub);

#endif
