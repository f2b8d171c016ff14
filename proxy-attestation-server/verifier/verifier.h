/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verifier: judges evidence against one snapshot. It holds no key and no file; what it
 * does not have in memory it asks the authority for.
 */
#ifndef PAS_VERIFIER_H
#define PAS_VERIFIER_H

#include "evidence/collateral.h"
#include "evidence/policy.h"
#include "ipc/child.h"

#include <openssl/x509.h>

#define PAS_SLOTS 4     /* requests under way; the frontend sends at most two at a time */
#define PAS_CACHED 256  /* endorsements remembered, a power of two */
#define PAS_CACHED_S 10 /* for how long: a withdrawn key is refused after that at the latest */
#define PAS_CHALLENGE_MAX 128

/* ---- snapshot.c ---- */

/** What a snapshot says: policies sorted by workload, anchors, collateral. Immutable once read. */
struct pas_ground {
    uint64_t generation;
    struct bh_span mapped; /* the snapshot itself, where collateral borrows from it */
    struct ev_collateral_set *collateral;
    size_t policies_len;
    struct ev_policy **policies;
    size_t certs_len;
    X509 *certs[EV_ANCHORS_MAX]; /* what the anchors borrow */
    struct ev_trust trust;
};
/**
 * Read a snapshot's bytes. Refuses, with the file in diag->check: a policy that does not parse, two
 * policies for one workload, a reserved workload, an anchor of no platform, a published key, a
 * simulated root that does not stand under trust/simulated/, a file of collateral that is none, or
 * too much of it. @p bytes must outlive the ground where pas_ground_borrows() says so.
 * pas_ground_clear() frees, also after a failure.
 */
BH_MUST_USE enum bh_err pas_ground_read(struct bh_span bytes, const struct pas_config *config,
    struct pas_ground *ret_ground, struct bh_diag *diag);
void pas_ground_clear(struct pas_ground *ground);
bool pas_ground_borrows(const struct pas_ground *ground);
/** The policy of a workload; NULL when there is none. */
const struct ev_policy *pas_ground_policy(const struct pas_ground *ground, const char *workload);

/* ---- request.c ---- */

/** The body of a request, its members decoded. Strings are borrowed from json. */
struct pas_body {
    json_t *json;
    const char *workload; /* NULL: an appraisal without */
    const char *csr;      /* NULL: an appraisal without */
    uint8_t challenge[PAS_CHALLENGE_MAX];
    size_t challenge_len; /* 0: an appraisal without */
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len; /* an appraisal's, or the CSR's once it was read */
    uint8_t context[BH_CONTEXT_MAX];
    size_t context_len;
    char *evidence; /* CMW as JSON text */
};
/** Strict; the caller clears in any case. BH_ERR_MALFORMED, BH_ERR_TOO_LARGE,
 * BH_ERR_CHALLENGE_INVALID. */
BH_MUST_USE enum bh_err pas_body_read(
    struct bh_span text, bool appraisal, struct pas_body *body, struct bh_diag *diag);
void pas_body_clear(struct pas_body *body);

/* ---- the process ---- */

struct pas_slot {
    bool used;
    bool answered; /* the authority's word on the challenge is in diag */
    bool appraisal;
    uint64_t id;
    char peer[64];
    char platform[BH_EAR_PLATFORM_MAX]; /* once it is known, for the record */
    struct pas_body body;
    struct bh_diag diag;
};

struct pas_verifier {
    struct pas_child child;
    struct bh_ipc *frontend;  /* NULL: none now */
    struct bh_ipc *authority; /* NULL: none now */
    bool draining;
    bool authority_waited; /* a lookup read from its channel: frames may lie in the buffer */
    bool frontend_waits;   /* requests may lie in the buffer, all slots being taken */
    struct pas_ground ground;
    struct pas_slot slots[PAS_SLOTS];
    struct pas_slot *judged; /* the one that lookups are made for */
    struct ev_report report;
    struct {
        uint8_t key[32];
        int64_t until;
        struct ev_endorsement value;
    } cached[PAS_CACHED];
};

/* ---- lookup.c: what is asked of the authority ---- */

/** Ask whether the slot's challenge holds; the answer arrives by pas_value_take(). */
BH_MUST_USE enum bh_err pas_ask_challenge(struct pas_verifier *v, struct pas_slot *slot);
/** A VALUE from the authority for a slot that waits; for an unknown id it is dropped.
 * BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err pas_value_take(struct pas_verifier *v, const struct bh_ipc_msg *msg);
/** ev_trust.lookup: from the cache, or asked and waited for. @p arg is the verifier. */
enum bh_err pas_lookup_endorsement(void *arg, const char *platform, const uint8_t key[32],
    struct ev_endorsement *ret_e, struct bh_diag *diag);

/* ---- judge.c ---- */

/** The slot's challenge holds: judge, and answer, or pass on to the authority. Frees the slot. */
void pas_judge(struct pas_verifier *v, struct pas_slot *slot);

/* ---- answer.c ---- */

/** ANSWER with a problem, and a REFUSAL for the record. Frees the slot. */
void pas_refuse(struct pas_verifier *v, struct pas_slot *slot, const struct bh_diag *diag);
/** ANSWER with a JSON document. */
void pas_answer_json(struct pas_verifier *v, const struct pas_slot *slot, json_t *json);
/** REFUSAL alone. */
void pas_record(struct pas_verifier *v, const struct pas_slot *slot, const struct bh_diag *diag);
/** ISSUE or RESULT to the authority, then PASSED to the frontend. */
BH_MUST_USE enum bh_err pas_pass_on(struct pas_verifier *v, struct pas_slot *slot,
    const struct pas_issue *issue, struct bh_diag *diag);
void pas_slot_free(struct pas_slot *slot);

/* ---- main.c, for tests too ---- */

/** One frame of the frontend: ENROL or APPRAISE. BH_ERR_MALFORMED ends the channel. */
BH_MUST_USE enum bh_err pas_request_take(struct pas_verifier *v, const struct bh_ipc_msg *msg);
/** Judge every slot whose challenge was answered. */
void pas_judge_due(struct pas_verifier *v);

#endif
