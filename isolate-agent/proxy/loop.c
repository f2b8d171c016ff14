/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 128
#define WAIT_MAX_MS 60000

struct agent_loop {
    int epoll_fd;
    int64_t now;
    bool stopped;
    struct agent_timer *timers;
    struct agent_deferred *deferred;
    struct agent_deferred **deferred_end;
};

static int64_t
monotonic_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum bh_err
agent_loop_new(struct agent_loop **ret_loop, struct bh_diag *diag)
{
    struct agent_loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "event loop");
    if ((loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        free(loop);
        return bh_fail(diag, BH_ERR_INTERNAL, "epoll: %s", strerror(errno));
    }
    loop->deferred_end = &loop->deferred;
    loop->now = monotonic_ms();
    *ret_loop = loop;
    return BH_OK;
}

static void
run_deferred(struct agent_loop *loop)
{
    struct agent_deferred *work = loop->deferred;

    /* What is put off by this work waits for the next round, so that nobody keeps the loop. */
    loop->deferred = NULL;
    loop->deferred_end = &loop->deferred;
    while (work != NULL) {
        struct agent_deferred *next = work->next;
        work->queued = false;
        work->fn(work->arg);
        work = next;
    }
}

void
agent_loop_free(struct agent_loop *loop)
{
    if (loop == NULL)
        return;
    while (loop->deferred != NULL)
        run_deferred(loop);
    (void)close(loop->epoll_fd);
    free(loop);
}

enum bh_err
agent_loop_watch(struct agent_loop *loop, struct agent_watch *watch, int fd, uint32_t events)
{
    const bool watched = watch->fd >= 0;
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (events == 0) {
        agent_loop_unwatch(loop, watch);
        return BH_OK;
    }
    if (watched && watch->fd == fd && watch->events == events)
        return BH_OK;
    if (watched && watch->fd != fd)
        agent_loop_unwatch(loop, watch);
    if (epoll_ctl(loop->epoll_fd, watch->fd >= 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        return errno == ENOMEM || errno == ENOSPC ? BH_ERR_NOMEM : BH_ERR_INTERNAL;
    watch->fd = fd;
    watch->events = events;
    return BH_OK;
}

void
agent_loop_unwatch(struct agent_loop *loop, struct agent_watch *watch)
{
    if (watch->fd >= 0)
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    watch->events = 0;
}

void
agent_loop_timer(struct agent_loop *loop, struct agent_timer *timer, int64_t after_ms)
{
    timer->at = monotonic_ms() + (after_ms > 0 ? after_ms : 0);
    if (timer->armed)
        return;
    timer->armed = true;
    timer->next = loop->timers;
    loop->timers = timer;
}

void
agent_loop_timer_off(struct agent_loop *loop, struct agent_timer *timer)
{
    struct agent_timer **at = &loop->timers;

    if (!timer->armed)
        return;
    while (*at != NULL && *at != timer)
        at = &(*at)->next;
    if (*at != NULL)
        *at = timer->next;
    timer->armed = false;
    timer->next = NULL;
}

void
agent_loop_defer(struct agent_loop *loop, struct agent_deferred *work)
{
    if (work->queued)
        return;
    work->queued = true;
    work->next = NULL;
    *loop->deferred_end = work;
    loop->deferred_end = &work->next;
}

int64_t
agent_loop_now(const struct agent_loop *loop)
{
    return loop->now;
}

static int64_t
next_wait(const struct agent_loop *loop, int64_t wait_ms)
{
    if (loop->deferred != NULL)
        return 0;
    for (const struct agent_timer *t = loop->timers; t != NULL; t = t->next)
        if (t->at - loop->now < wait_ms)
            wait_ms = t->at - loop->now;
    return wait_ms > 0 ? wait_ms : 0;
}

/* A timer's callback may arm or take off any timer: begin again after each. */
static void
run_timers(struct agent_loop *loop)
{
    struct agent_timer *t = loop->timers;

    while (t != NULL) {
        if (t->at > loop->now) {
            t = t->next;
            continue;
        }
        agent_loop_timer_off(loop, t);
        t->fn(t->arg);
        t = loop->timers;
    }
}

enum bh_err
agent_loop_turn(struct agent_loop *loop, int64_t wait_ms, struct bh_diag *diag)
{
    struct epoll_event events[EVENTS_PER_TURN];

    loop->now = monotonic_ms();
    const int n =
        epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, (int)next_wait(loop, wait_ms));
    if (n < 0 && errno != EINTR)
        return bh_fail(diag, BH_ERR_INTERNAL, "epoll: %s", strerror(errno));
    loop->now = monotonic_ms();
    for (int i = 0; i < n; i++) {
        struct agent_watch *watch = events[i].data.ptr;
        if (watch->fd >= 0)
            watch->fn(watch->arg, events[i].events);
    }
    run_timers(loop);
    run_deferred(loop);
    return BH_OK;
}

enum bh_err
agent_loop_run(struct agent_loop *loop, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    loop->stopped = false;
    while (!loop->stopped && e == BH_OK)
        e = agent_loop_turn(loop, WAIT_MAX_MS, diag);
    return e;
}

void
agent_loop_stop(struct agent_loop *loop)
{
    loop->stopped = true;
}
