/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority as a process of its own, and all that it talks to played by the test: parent,
 * frontend, one verifier, signer. Every receive ends after ten seconds, so that no test hangs.
 */
#ifndef TEST_AUTHORITY_WORLD_H
#define TEST_AUTHORITY_WORLD_H

#include "authority/challenge.h"
#include "evidence/policy.h"
#include "ipc/child.h"
#include "store/store.h"

#include <jansson.h>
#include <sys/types.h>

#define WORLD_GENERATION 1

struct world {
    char dir[256];
    pid_t pid;
    struct bh_ipc *control, *frontend, *verifier, *signer;
    struct pas_config config;
    struct pas_challenges challenges; /* with the authority's key, for challenges of any age */
    uint64_t next_id;
    uint64_t generation; /* by which the verifier judges */
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    uint8_t challenge[BH_CHALLENGE_LEN];
    uint8_t policy_digest[32];
    char policy[2048];
};

/** What may differ from the usual; zero means usual. */
struct world_options {
    bool hardware_only;     /* allow_simulated off, and the policy for hardware */
    int issuer_days;        /* 365 */
    int64_t lifetime_max;   /* 7 days */
    const char *profile;    /* "certificate" of the policy */
    const char *endorsed;   /* the file endorsed/devices.json */
    bool unconfined_policy; /* send no snapshot */
    bool clock_went_back;   /* a challenge of tomorrow was spent, and is not on record any more */
};

struct reply { /* an ANSWER */
    unsigned status;
    char type[64];
    char *text;
    json_t *json; /* NULL when the body is none */
};

void world_start(struct world *w, const struct world_options *options);
/** DRAIN; the authority must exit 0. Leaves the folder for a look into the store. */
void world_drain(struct world *w);
/** End it in whatever state, and remove the folder. */
void world_end(struct world *w);

/** Send a snapshot of policy/NAME.json files (NULL-terminated name, text pairs; a name that begins
 * with '!' is one of endorsed/). */
void world_snapshot(struct world *w, uint64_t generation, const char *const *files);
/** The authority's next control message; a diag for REFUSED. */
uint16_t world_control(struct world *w, uint64_t *id, struct bh_diag *diag);
/** Replace a channel: "frontend", "verifier" or "signer" by role. */
void world_link(struct world *w, enum pas_role role, unsigned index, struct bh_ipc **channel);
/** Another verifier in its place, one that judges by @p generation. */
void world_verifier(struct world *w, uint64_t generation);
/** The authority asks the parent to replace the peer @p id. */
void world_expect_cut(struct world *w, uint64_t id);
/** The channel's other end is closed by the authority. */
void world_expect_closed(struct bh_ipc *channel);

/** Mint over the frontend's channel into w->challenge. */
void world_mint(struct world *w);
/** A verdict over w->challenge that must be certified. Borrows from @p w. */
void world_issue(const struct world *w, struct pas_issue *m);
/** Recompute its binding. */
void world_bind(struct pas_issue *m);
/** Send on the verifier's channel; the request's id. */
uint64_t world_send_issue(struct world *w, const struct pas_issue *m, bool result);
void world_send(struct world *w, struct bh_ipc *channel, uint16_t type, uint64_t id,
    const void *payload, size_t len);

/** The signer's next request. The spans are valid until the next call. */
uint64_t world_signer_next(struct world *w, uint16_t type, struct bh_span *payload);
/** Answer it with @p certificate_len bytes of certificate (0 for SIGN_JWT). */
void world_signer_answer(struct world *w, uint64_t id, size_t certificate_len);
/** True when the signer's channel holds no request after a round of the authority. */
bool world_signer_is_idle(struct world *w);

/** The frontend's next answer, which must be to @p id. reply_clear() frees. */
void world_answer(struct world *w, uint64_t id, struct reply *reply);
/** Ask as the frontend and wait for the answer. */
void world_ask(
    struct world *w, uint16_t type, const void *payload, size_t len, struct reply *reply);
void reply_clear(struct reply *reply);
const char *reply_string(const struct reply *reply, const char *name);
/** The answer is a problem of this code, check and status. Frees. */
void reply_is_problem(struct reply *reply, unsigned status, const char *code, const char *check);

/** The whole way with an answer of 201; the serial to @p serial. */
void world_enrol(struct world *w, char serial[33]);
/** A counter of /metrics. */
long world_metric(struct world *w, const char *name);

/** SHA-256 of the policy's canonical form. */
void world_policy_digest(const char *text, uint8_t out[32]);

#endif
