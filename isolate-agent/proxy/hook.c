/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct agent_hook {
    pid_t pid;
    int fd;
    struct agent_loop *loop;
    struct agent_watch watch;
    void (*done)(void *arg, int status);
    void *arg;
};

/* ---- in the helper ---- */

static pid_t
start_command(const char *command, const char *dir)
{
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setenv("BEACHHEAD_OUT", dir, 1) == 0)
        (void)execve("/bin/sh", argv, environ);
    _exit(127);
}

/* True when the agent has closed its end. */
static bool
wait_for_end(int pid_fd, int agent_fd, int64_t timeout_ms)
{
    struct pollfd fds[2] = {{.fd = pid_fd, .events = POLLIN}, {.fd = agent_fd, .events = 0}};
    int n;

    do {
        n = poll(fds, 2, (int)timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0 && fds[0].revents == 0;
}

static int
run_command(const char *command, const char *dir, int agent_fd, int64_t timeout_ms)
{
    const pid_t pid = start_command(command, dir);
    int status = 0;

    if (pid < 0)
        return -1;
    (void)setpgid(pid, pid);
    const int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return -1;
    }
    const bool agent_gone = wait_for_end(pid_fd, agent_fd, timeout_ms);
    siginfo_t info = {0};
    /* The group's number is the child's, which is not given away before the child is reaped. */
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        (void)kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(pid_fd);
    if (agent_gone)
        _exit(0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
serve(int fd, const char *command, const char *dir, int64_t timeout_ms)
{
    char requests[64];

    (void)prctl(PR_SET_NAME, "agent-hook");
    for (;;) {
        /* All that was asked for since the last run is one run. */
        const ssize_t n = read(fd, requests, sizeof(requests));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0);
        const int status = run_command(command, dir, fd, timeout_ms);
        if (send(fd, &status, sizeof(status), MSG_NOSIGNAL) != sizeof(status))
            _exit(0);
    }
}

/* ---- in the agent ---- */

static void
on_outcome(void *arg, uint32_t events)
{
    struct agent_hook *hook = arg;
    char text[16];
    int status;

    (void)events;
    const ssize_t n = recv(hook->fd, &status, sizeof(status), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != sizeof(status)) {
        bh_log(
            BH_LOG_ERROR, "hook-gone", "detail", "the helper that runs --on-renew has ended", NULL);
        agent_loop_unwatch(hook->loop, &hook->watch);
        return;
    }
    (void)snprintf(text, sizeof(text), "%d", status);
    bh_log(status == 0 ? BH_LOG_INFO : BH_LOG_WARNING, "hook", "#status", text, NULL);
    if (hook->done != NULL)
        hook->done(hook->arg, status);
}

enum bh_err
agent_hook_new(const char *command, const char *dir, int64_t timeout_ms,
    struct agent_hook **ret_hook, struct bh_diag *diag)
{
    struct agent_hook *hook = calloc(1, sizeof(*hook));
    int fds[2] = {-1, -1};

    if (hook == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        free(hook);
        return bh_fail(diag, BH_ERR_NOMEM, "hook: no socket pair");
    }
    if ((hook->pid = fork()) == 0) {
        (void)close(fds[0]);
        serve(fds[1], command, dir, timeout_ms);
    }
    const int why = errno;
    (void)close(fds[1]);
    if (hook->pid < 0) {
        (void)close(fds[0]);
        free(hook);
        return bh_fail(diag, BH_ERR_NOMEM, "hook: %s", strerror(why));
    }
    hook->fd = fds[0];
    (void)fcntl(hook->fd, F_SETFL, O_NONBLOCK);
    hook->watch = (struct agent_watch){.fn = on_outcome, .arg = hook, .fd = -1};
    *ret_hook = hook;
    return BH_OK;
}

enum bh_err
agent_hook_attach(struct agent_hook *hook, struct agent_loop *loop,
    void (*done)(void *arg, int status), void *arg, struct bh_diag *diag)
{
    hook->loop = loop;
    hook->done = done;
    hook->arg = arg;
    if (agent_loop_watch(loop, &hook->watch, hook->fd, EPOLLIN) != BH_OK)
        return bh_fail(diag, BH_ERR_NOMEM, "hook");
    return BH_OK;
}

void
agent_hook_run(struct agent_hook *hook)
{
    /* A full socket holds requests enough. */
    if (send(hook->fd, "r", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        bh_log(
            BH_LOG_ERROR, "hook-gone", "detail", "the helper that runs --on-renew has ended", NULL);
}

void
agent_hook_free(struct agent_hook *hook)
{
    if (hook == NULL)
        return;
    if (hook->loop != NULL)
        agent_loop_unwatch(hook->loop, &hook->watch);
    (void)close(hook->fd);
    while (waitpid(hook->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(hook);
}
