/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub: the channels to verifiers and authority, and the requests that wait for an answer from
 * them (ipc/README.md, "An enrolment").
 *
 * Threads: pas_fe_hub_submit() from the HTTP threads, which send by themselves; everything else
 * from the one thread that owns the channels and receives on them.
 */
#ifndef PAS_FRONTEND_HUB_H
#define PAS_FRONTEND_HUB_H

#include "ipc/messages.h"
#include "metrics.h"

#include <sys/queue.h>

#define PAS_FE_TYPE_MAX 96     /* a content type */
#define PAS_FE_HELD_MAX 2      /* requests under way at one verifier */
#define PAS_FE_WAITING_MAX 256 /* requests that wait for a verifier */
#define PAS_FE_CALLS_MAX 8192  /* requests under way in all */
#define PAS_FE_ANSWER_MS 10000 /* how long an answer may take, at most */

enum pas_fe_where {
    PAS_FE_NOWHERE,   /* not with the hub */
    PAS_FE_QUEUED,    /* for a verifier */
    PAS_FE_VERIFIER,  /* with one */
    PAS_FE_AUTHORITY, /* asked by us, or passed on by a verifier */
};

struct pas_fe_peer; /* private */

/** One question and its answer, part of a request. The hub borrows it from submit to done. */
struct pas_fe_call {
    uint64_t id;
    uint16_t type; /* PAS_ENROL, PAS_MINT, ... */
    bool to_verifier;
    int fd;           /* the client's socket, to see whether it is still there */
    uint8_t *payload; /* malloc'ed; the hub frees it once it is sent */
    size_t payload_len;

    struct bh_diag diag; /* err is not BH_OK: nobody answered, this is why */
    uint16_t status;
    char content_type[PAS_FE_TYPE_MAX];
    uint8_t *body; /* malloc'ed, the owner's */
    size_t body_len;

    enum pas_fe_where where; /* private from here on */
    bool passed;
    struct pas_fe_peer *peer;
    uint64_t since_ms;
    LIST_ENTRY(pas_fe_call) in_bucket;
    TAILQ_ENTRY(pas_fe_call) in_order;
    TAILQ_ENTRY(pas_fe_call) in_queue;
};

/** Called once for each submitted call, from either thread, with the hub's lock held. */
typedef void pas_fe_done(struct pas_fe_call *call);

struct pas_fe_hub;

BH_MUST_USE enum bh_err pas_fe_hub_new(struct pas_fe_metrics *metrics, pas_fe_done *done,
    uint64_t answer_ms, int64_t challenge_life, struct pas_fe_hub **ret_hub, struct bh_diag *diag);
void pas_fe_hub_free(struct pas_fe_hub *hub);

/** Hand @p call over: it is sent, queued, or refused, and done() is called for it sooner or later.
 */
void pas_fe_hub_submit(struct pas_fe_hub *hub, struct pas_fe_call *call);
/**
 * A challenge that was asked for ahead becomes the answer of @p call, a PAS_MINT. False when there
 * is none: submit.
 */
bool pas_fe_hub_mint(struct pas_fe_hub *hub, struct pas_fe_call *call);
/** Whether a verifier (at least one) and the authority are linked. */
bool pas_fe_hub_has(struct pas_fe_hub *hub, enum pas_role role);

/**
 * LINK: @p fd becomes the channel to the peer @p id (PAS_LINK_ID). A channel of the same id that is
 * there finishes what it holds and gets nothing new.
 */
BH_MUST_USE enum bh_err pas_fe_hub_link(
    struct pas_fe_hub *hub, uint64_t id, int fd, struct bh_diag *diag);
/** Whether the authority's channel ended without UNLINK before or a LINK or UNLINK since. */
bool pas_fe_hub_lost_authority(struct pas_fe_hub *hub);
/** UNLINK: nothing new for @p id. */
void pas_fe_hub_unlink(struct pas_fe_hub *hub, uint64_t id);

#define PAS_FE_OTHERS 4
/**
 * Wait up to @p timeout_ms for messages and handle them. @p others (-1: none) are waited for too;
 * @p ret_readable says which of them have something.
 */
BH_MUST_USE enum bh_err pas_fe_hub_step(struct pas_fe_hub *hub, const int others[PAS_FE_OTHERS],
    int timeout_ms, bool ret_readable[PAS_FE_OTHERS]);
/** The next peer whose channel was closed because of what it sent, or because it hangs: its process
 * is of no more use. False when there is none. Called between steps. */
bool pas_fe_hub_cut(struct pas_fe_hub *hub, uint64_t *ret_id);
/** Refuse what waits for too long; give up verifiers that hold a request for far too long. */
void pas_fe_hub_expire(struct pas_fe_hub *hub);
/** Refuse all that waits: the server stops. */
void pas_fe_hub_abandon(struct pas_fe_hub *hub);
size_t pas_fe_hub_len(struct pas_fe_hub *hub);

#endif
