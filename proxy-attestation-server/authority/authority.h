/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority's insides, shared by its files and by nobody else: one process, one thread, one
 * event loop (main.c).
 *
 *     frames -> peers.c -> query.c (frontend) | lookup.c, issue.c (verifiers) | commit.c (signer)
 *     ISSUE: recheck -> pending -> signer -> batch -> one commit for all that is signed -> answers
 */
#ifndef PAS_AUTHORITY_H
#define PAS_AUTHORITY_H

#include "authority/challenge.h"
#include "core/ear.h"
#include "evidence/evidence.h"
#include "evidence/policy.h"
#include "ipc/child.h"
#include "store/store.h"

#define PAS_LINKS_MAX 600    /* 256 verifiers, as many being replaced, and the others */
#define PAS_PENDING_MAX 4096 /* requests with the signer or in the batch */
#define PAS_PENDING_BUCKETS 1024
#define PAS_BATCH_MAX 256 /* issuances of one transaction */
#define PAS_REFUSALS_BATCH 256
#define PAS_REFUSALS_PER_S 4096 /* recorded; clean-up keeps pace with more than twice as many */
#define PAS_POLICIES_MAX 100000
#define PAS_CODES 32

/* ---- policy generations (generation.c) ---- */

/** What one snapshot said. The current one and the one before are kept: verdicts name theirs. */
struct pas_generation {
    uint64_t number;
    bool used; /* a verdict was accepted under it */
    size_t len;
    struct ev_policy **policies; /* sorted by workload */
};

/* ---- requests under way (pending.c) ---- */

#define PAS_SPENT_KEPT 4096
#define PAS_SPENT_LEN 16 /* more than chance, or a search, finds twice */

struct pas_pending {
    struct pas_pending *next_in_bucket;
    struct pas_pending *next_in_batch;
    uint64_t seq;     /* the id towards the signer */
    uint64_t request; /* the id towards the frontend */
    bool result;      /* RESULT: an EAR for an appraisal, no certificate */
    bool with_signer;
    int64_t sent_us;                  /* to the signer, monotonic */
    uint8_t hash[PAS_STORE_HASH_LEN]; /* SHA-256 of the challenge */
    int64_t challenge_expires_at;
    uint8_t serial[PAS_STORE_SERIAL_LEN];
    int64_t issued_at, not_before, not_after;
    char workload[64];
    char platform[BH_EAR_PLATFORM_MAX];
    char peer[65];
    bool simulated;
    enum bh_ear_status status;
    uint8_t hardware_id[EV_HARDWARE_ID_MAX];
    size_t hardware_id_len;
    uint8_t policy_digest[PAS_STORE_HASH_LEN];
    char *jwt_input;      /* RESULT */
    uint8_t *from_signer; /* EAR, then certificate */
    size_t ear_len, certificate_len;
    size_t record_len; /* evidence of ISSUE, checks of RESULT */
    uint8_t record[];
};

/* ---- everything ---- */

struct pas_link {
    struct bh_ipc *ipc; /* NULL: free */
    uint64_t id;
    uint64_t generation; /* of a verifier: by which it judges, as the parent says */
    bool retired;        /* replaced: what it still sends is served, nothing new goes to it */
    bool more;           /* output waits for room */
    bool dirty;          /* output waits for the flush of this round */
    bool unread; /* a whole frame may wait in the channel's buffer, where poll() sees none */
    bool dead;   /* to be closed when nobody uses it any more */
};

struct pas_counters {
    uint64_t minted, issued, results, refused[PAS_CODES], batches, batched, store_errors,
        signer_errors, refusals_dropped, peers_refused;
};

struct pas_authority {
    struct pas_child child;
    struct pas_store *store;
    char store_dir[4096];
    struct pas_challenges challenges;
    struct pas_generation *current, *previous;
    int64_t now; /* of this round of the loop */

    /* ca/, read at START */
    char *roots_pem, *issuers_pem;
    char *issuing_json; /* the issuing CA's PEM with \n escaped, for replies */
    int64_t issuer_not_before, issuer_not_after;

    size_t links_len;
    struct pas_link links[PAS_LINKS_MAX];
    struct pas_link *frontend, *signer; /* into links; NULL when there is none */
    bool signer_refused;                /* the signer's last answer was NOT_SIGNED */

    uint64_t seq;
    size_t pending_len;
    struct pas_pending *slots[PAS_PENDING_MAX];       /* by seq */
    struct pas_pending *buckets[PAS_PENDING_BUCKETS]; /* by challenge */
    struct pas_pending *batch, **batch_end;
    size_t batch_len;
    uint8_t spent[PAS_SPENT_KEPT][PAS_SPENT_LEN]; /* beginnings of hashes, by their first bytes */
    int64_t batch_since_us;                       /* when its first came, monotonic */
    int64_t commit_us;                            /* how long the last commit took */

    size_t refusals_len;
    struct pas_refused {
        int64_t at;
        char workload[64], platform[BH_EAR_PLATFORM_MAX], peer[65], request_id[33];
        struct bh_diag diag;
    } refusals[PAS_REFUSALS_BATCH];
    int64_t refusals_second; /* of the clock, with how many were queued in it */
    unsigned refusals_in_second;
    int64_t refusals_due, clean_due, signer_due; /* milliseconds, monotonic */

    bool draining;
    int64_t drain_until;
    struct pas_counters count;

    /* scratch of one request, too large for the stack */
    struct pas_issue issue;
    struct bh_ear ear;
    uint8_t out[BH_IPC_MAX];
    uint8_t frame[BH_IPC_MAX];
};

/* ---- ca.c ---- */

/** Read ca/root.crt and ca/issuing.crt of the server's folder. */
BH_MUST_USE enum bh_err pas_ca_load(struct pas_authority *a, struct bh_diag *diag);
/** PEM of @p der into @p w, with the line ends written as @p newline. */
void pas_pem_put(struct bh_writer *w, struct bh_span der, const char *newline);

/* ---- generation.c, endorsed.c ---- */

/**
 * Import a snapshot: parse each policy, record it in the store, replace the endorsed keys, make it
 * the current generation. Nothing changes when anything in it is refused; the check then begins
 * with the file: "policy/payments.json: policy.accept[0].pcrs".
 */
BH_MUST_USE enum bh_err pas_generation_import(
    struct pas_authority *a, uint64_t number, struct bh_span snapshot, struct bh_diag *diag);
void pas_generation_free(struct pas_generation *g);
/** The current or the previous one, or NULL. */
struct pas_generation *pas_generation_find(struct pas_authority *a, uint64_t number);
const struct ev_policy *pas_generation_policy(
    const struct pas_generation *g, struct bh_span workload);
/** Import the endorsed files of a snapshot inside the open transaction, unless they are those of
 * the last import. */
BH_MUST_USE enum bh_err pas_endorsed_import(
    struct pas_store *store, struct bh_span snapshot, struct bh_diag *diag);
/** Put "folder/file: " in front of the check that failed. */
void pas_name_file(struct bh_diag *diag, const char *folder, struct bh_span file);

/* ---- pending.c ---- */

/** NULL with a diag when too many are under way, or memory is short. The copy of @p record is the
 * request's. */
struct pas_pending *pas_pending_new(
    struct pas_authority *a, struct bh_span record, struct bh_diag *diag);
/** Make it known by its hash and seq; from then on the challenge is in flight. */
void pas_pending_add(struct pas_authority *a, struct pas_pending *p);
/** Forget it and free it. NULL is fine. */
void pas_pending_drop(struct pas_authority *a, struct pas_pending *p);
struct pas_pending *pas_pending_by_seq(struct pas_authority *a, uint64_t seq);
bool pas_pending_has(const struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN]);
/** A challenge that the store says is spent. */
void pas_spent_remember(struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN]);
/** It is one of those remembered last. A hint that spares the signer and the store most replays;
 * only pas_store_spend() decides. */
bool pas_spent_lately(const struct pas_authority *a, const uint8_t hash[PAS_STORE_HASH_LEN]);

/* ---- issue.c, compose.c ---- */

/** ISSUE and RESULT of the verifier on @p link. An error ends the channel; every refusal was
 * answered. */
BH_MUST_USE enum bh_err pas_issue_handle(
    struct pas_authority *a, const struct pas_link *link, const struct bh_ipc_msg *msg);
/** The authority's own checks of a->issue: everything that needs no evidence. Fills the first
 * fields of @p ret. */
struct pas_terms {
    const struct ev_policy *policy;
    int64_t challenge_expires_at;
    uint8_t hash[PAS_STORE_HASH_LEN];
    int64_t not_before, not_after;
};
BH_MUST_USE enum bh_err pas_issue_recheck(
    struct pas_authority *a, struct pas_terms *ret_terms, struct bh_diag *diag);

/* ---- commit.c ---- */

/** SIGNED and NOT_SIGNED. BH_ERR_MALFORMED ends the channel. */
BH_MUST_USE enum bh_err pas_signed_handle(struct pas_authority *a, const struct bh_ipc_msg *msg);
/** How long the batch should wait for more: 0 when it is due, negative when it is empty. */
int64_t pas_batch_wait_us(const struct pas_authority *a);
/** Commit what is signed, then answer; anything waiting for the record goes along. */
void pas_batch_commit(struct pas_authority *a);
/** 500 to everything that waits for the signer. */
void pas_signer_lost(struct pas_authority *a);
/** Give up a signer that has not answered a request for too long; called once everything that it
 * sent was read. */
void pas_signer_check(struct pas_authority *a);
/** Microseconds of the monotonic clock. */
int64_t pas_clock_us(void);

/* ---- refusals.c ---- */

/** Answer a request with a problem, count it, and queue it for the record. */
void pas_refuse_request(struct pas_authority *a, uint64_t request, struct bh_span workload,
    const char *platform, const char *peer, const struct bh_diag *diag);
/** The code of counter @p i of refused[], or NULL behind the last. */
const char *pas_refusal_code(size_t i);
/** Queue a refusal for the record; @p r borrows. */
void pas_refusal_queue(struct pas_authority *a, const struct pas_refusal *r);
/** Put the queue into the open transaction; pas_refusals_flush() makes one of its own. */
void pas_refusals_put(struct pas_authority *a);
void pas_refusals_flush(struct pas_authority *a);

/* ---- query.c, metrics.c, reply.c ---- */

/** The frontend's messages. BH_ERR_MALFORMED ends the channel. */
BH_MUST_USE enum bh_err pas_query_handle(struct pas_authority *a, const struct bh_ipc_msg *msg);
void pas_metrics_put(struct pas_authority *a, struct bh_writer *w);
/** The answer to an enrolment or an appraisal. */
void pas_reply_put(const struct pas_authority *a, const struct pas_pending *p, struct bh_writer *w);
/** LOOKUP of the verifier on @p link. BH_ERR_MALFORMED ends the channel. */
BH_MUST_USE enum bh_err pas_lookup_handle(
    struct pas_authority *a, struct pas_link *link, const struct bh_ipc_msg *msg);

/* ---- peers.c ---- */

/** Queue a message; it leaves at the end of the round. */
void pas_peer_send(struct pas_authority *a, struct pas_link *link, uint16_t type, uint64_t id,
    struct bh_span payload);
/** ANSWER to the frontend; dropped when there is none. */
void pas_answer_send(struct pas_authority *a, uint64_t request, unsigned status,
    const char *content_type, struct bh_span body);
/** LINK: its descriptor is taken over in any case. */
BH_MUST_USE enum bh_err pas_peer_link(
    struct pas_authority *a, const struct bh_ipc_msg *msg, struct bh_diag *diag);
/** The peer is being replaced. */
void pas_peer_unlink(struct pas_authority *a, uint64_t id);
void pas_peer_close(struct pas_authority *a, struct pas_link *link);
/** Close the channel with the next flush, and have the parent replace the peer. */
void pas_peer_give_up(struct pas_authority *a, struct pas_link *link);
/** Read and handle everything that the peer has sent. */
void pas_peer_serve(struct pas_authority *a, struct pas_link *link);
void pas_peers_flush(struct pas_authority *a);

#endif
