/* SPDX-License-Identifier: Apache-2.0 */
/* SIGTERM, SIGINT and SIGHUP as events of the loop; SIGPIPE ignored. */
#ifndef AGENT_SIGNALS_H
#define AGENT_SIGNALS_H

#include "loop.h"

struct agent_signals {
    int fd;
    struct agent_watch watch;
    void (*fn)(void *arg, int signal);
    void *arg;
};

/** Block them for this process and hear of them in @p loop from now on. */
BH_MUST_USE enum bh_err agent_signals_open(struct agent_signals *signals, struct agent_loop *loop,
    void (*fn)(void *arg, int signal), void *arg, struct bh_diag *diag);
/** They stay blocked. */
void agent_signals_close(struct agent_signals *signals, struct agent_loop *loop);

#endif
