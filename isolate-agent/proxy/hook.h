/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --on-renew: a command run after each new certificate, by a helper process that was forked before
 * the agent read anything from a network. It hears one word, "run", and holds no key.
 */
#ifndef AGENT_HOOK_H
#define AGENT_HOOK_H

#include "loop.h"

struct agent_hook;

#define AGENT_HOOK_TIMEOUT_MS (INT64_C(300) * 1000)

/**
 * Fork the helper. It runs `/bin/sh -c COMMAND` with the environment that it inherits and
 * BEACHHEAD_OUT=@p dir; a run longer than @p timeout_ms is killed with all of its process group.
 * Call this early: before keys are made, connections opened, privileges dropped.
 */
BH_MUST_USE enum bh_err agent_hook_new(const char *command, const char *dir, int64_t timeout_ms,
    struct agent_hook **ret_hook, struct bh_diag *diag);
/** Hear of outcomes in @p loop: each is logged ("hook") and told to @p done (may be NULL): the exit
 * status, 128 + N for signal N, -1 when it could not be started. */
BH_MUST_USE enum bh_err agent_hook_attach(struct agent_hook *hook, struct agent_loop *loop,
    void (*done)(void *arg, int status), void *arg, struct bh_diag *diag);
/** Run the command once more; while one runs, all further requests together make one run. */
void agent_hook_run(struct agent_hook *hook);
/** The helper ends, and kills what it runs. Takes NULL. */
void agent_hook_free(struct agent_hook *hook);

#endif
