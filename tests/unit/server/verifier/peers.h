/* SPDX-License-Identifier: Apache-2.0 */
/* A verifier in this process between a frontend and an authority that the test plays. */
#ifndef PAS_TEST_PEERS_H
#define PAS_TEST_PEERS_H

#include "isolate-agent/simulator/device.h"
#include "verifier/verifier.h"

#include <pthread.h>

#define ENDORSED_MAX 8

struct outcome {        /* of one request */
    int status;         /* of an ANSWER; 0: PASSED */
    json_t *body;       /* of an ANSWER */
    uint16_t passed_as; /* PAS_ISSUE or PAS_RESULT, when PASSED */
    bool recorded;      /* a REFUSAL came */
};

struct bench {
    char dir[64]; /* a server's folder, as an administrator fills it */
    struct pas_config config;
    struct pas_verifier *v;
    uint8_t *snapshot;       /* what its collateral borrows from */
    struct bh_ipc *frontend; /* the test's end */
    struct bh_ipc *authority;
    pthread_t thread;
    uint8_t challenge[62];

    /* what the authority says, and what it was told */
    enum bh_err challenge_err;
    bool mute;
    bool ends_after_answer; /* it answers one lookup, and is gone */
    unsigned lookups;
    size_t endorsed_len;
    uint8_t keys[ENDORSED_MAX][32];
    struct ev_endorsement endorsed[ENDORSED_MAX];
    pthread_mutex_t lock;
    uint16_t passed_as;
    struct pas_issue issue; /* spans into issue_bytes */
    uint8_t *issue_bytes;
    struct pas_refusal refusal; /* its diag only */
    bool recorded;
};

/** Make the folder with one device of each platform admitted to "payments". */
void bench_folder(struct bench *b, struct agent_device *devices[3]);
/** The snapshot of the folder as the parent makes it; the caller frees. */
uint8_t *bench_snapshot(const struct bench *b, size_t *ret_len);
/** Read the snapshot and start the authority's thread. */
void bench_start(struct bench *b);
void bench_stop(struct bench *b);
/** Remove the folder. */
void bench_remove(struct bench *b);
/** Send one request to the verifier and let it work until it is done. */
struct outcome bench_ask(struct bench *b, uint16_t type, const char *body);
void outcome_clear(struct outcome *o);

#endif
