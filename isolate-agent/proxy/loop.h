/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop over epoll: descriptors, timers, and work put off to the end of a round.
 *
 * Watches and timers are members of their owner's structure. A watch may be taken off at any time,
 * also from within a callback; memory that holds one is given back by agent_loop_defer(), because
 * an event for it may stand in the round that is being worked off.
 */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include "core/err.h"

struct agent_loop;

/** A descriptor's readiness: @p events as epoll reports them. */
typedef void (*agent_watch_fn)(void *arg, uint32_t events);

struct agent_watch { /* private but for fn and arg, set by who owns it */
    agent_watch_fn fn;
    void *arg;
    int fd; /* -1 while it is not watched */
    uint32_t events;
};

struct agent_timer { /* private but for fn and arg */
    void (*fn)(void *arg);
    void *arg;
    int64_t at; /* milliseconds of agent_loop_now() */
    bool armed;
    struct agent_timer *next;
};

struct agent_deferred { /* private but for fn and arg */
    void (*fn)(void *arg);
    void *arg;
    bool queued;
    struct agent_deferred *next;
};

BH_MUST_USE enum bh_err agent_loop_new(struct agent_loop **ret_loop, struct bh_diag *diag);
/** Runs what was put off, then frees. Takes NULL. Watches and timers belong to their owners. */
void agent_loop_free(struct agent_loop *loop);

/**
 * Watch @p fd for @p events (EPOLLIN, EPOLLOUT), level-triggered; 0 takes it off, so that not even
 * a hang-up is reported. Cheap when nothing changes. The descriptor stays the caller's, who takes
 * it off before closing it.
 */
BH_MUST_USE enum bh_err agent_loop_watch(
    struct agent_loop *loop, struct agent_watch *watch, int fd, uint32_t events);
void agent_loop_unwatch(struct agent_loop *loop, struct agent_watch *watch);

/** Call the timer once, @p after_ms from now; arms it anew when it is armed already. */
void agent_loop_timer(struct agent_loop *loop, struct agent_timer *timer, int64_t after_ms);
void agent_loop_timer_off(struct agent_loop *loop, struct agent_timer *timer);

/** Call @p work at the end of this round, in the order in which work was put off. */
void agent_loop_defer(struct agent_loop *loop, struct agent_deferred *work);

/** Milliseconds of the monotonic clock at the beginning of the round. */
int64_t agent_loop_now(const struct agent_loop *loop);

/** Work off events until agent_loop_stop(). BH_ERR_INTERNAL when epoll fails. */
BH_MUST_USE enum bh_err agent_loop_run(struct agent_loop *loop, struct bh_diag *diag);
/** One round that waits @p wait_ms at most. */
BH_MUST_USE enum bh_err agent_loop_turn(
    struct agent_loop *loop, int64_t wait_ms, struct bh_diag *diag);
void agent_loop_stop(struct agent_loop *loop);

#endif
