/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One enrolment at a time, in a child process (job.h): a new key pair, evidence, certificate. The
 * answer is verified again here, so that what the child read from the network decides nothing.
 */
#ifndef AGENT_ENROLLER_H
#define AGENT_ENROLLER_H

#include "identity.h"
#include "loop.h"

#include "isolate-agent/attester/attester.h"

struct agent_enroller_config { /* all borrowed for the life of the enroller */
    const char *server;
    const char *workload;
    const bh_trust *trust;
    const uint8_t *context;
    size_t context_len;
    const struct agent_attester *attester;
    struct agent_attester_config attester_config;
};

/** The outcome: an identity that is the callee's, or NULL and the failure. */
typedef void (*agent_enrolled_fn)(
    void *arg, struct agent_identity *identity, const struct bh_diag *diag);

struct agent_enroller;

BH_MUST_USE enum bh_err agent_enroller_new(struct agent_loop *loop,
    const struct agent_enroller_config *config, agent_enrolled_fn done, void *arg,
    struct agent_enroller **ret_enroller, struct bh_diag *diag);
/** Cancels. Takes NULL. */
void agent_enroller_free(struct agent_enroller *enroller);

/** Begin; @p done is called from the loop. Nothing to do while one is under way. */
void agent_enroller_start(struct agent_enroller *enroller);
bool agent_enroller_busy(const struct agent_enroller *enroller);

#endif
