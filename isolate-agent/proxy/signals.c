/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void
on_signal(void *arg, uint32_t events)
{
    struct agent_signals *signals = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(signals->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        signals->fn(signals->arg, (int)info.ssi_signo);
}

enum bh_err
agent_signals_open(struct agent_signals *signals, struct agent_loop *loop,
    void (*fn)(void *arg, int signal), void *arg, struct bh_diag *diag)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    signals->fn = fn;
    signals->arg = arg;
    signals->watch = (struct agent_watch){.fn = on_signal, .arg = signals, .fd = -1};
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "signals: %s", strerror(errno));
    if (agent_loop_watch(loop, &signals->watch, signals->fd, EPOLLIN) != BH_OK) {
        (void)close(signals->fd);
        return bh_fail(diag, BH_ERR_INTERNAL, "signals: epoll");
    }
    return BH_OK;
}

void
agent_signals_close(struct agent_signals *signals, struct agent_loop *loop)
{
    agent_loop_unwatch(loop, &signals->watch);
    (void)close(signals->fd);
}
