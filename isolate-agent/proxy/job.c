/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct agent_job {
    struct agent_loop *loop;
    pid_t pid;
    int fd;
    struct agent_watch watch;
    struct agent_timer deadline;
    struct agent_deferred gone;
    uint8_t *out;
    size_t len, max;
    agent_job_done_fn done;
    void *done_arg;
};

static void
free_job(void *arg)
{
    struct agent_job *job = arg;

    free(job->out);
    free(job);
}

/* Stop watching, and reap the child: it has ended, or is made to. */
static bool
end_job(struct agent_job *job, bool force)
{
    int status = -1;

    agent_loop_unwatch(job->loop, &job->watch);
    agent_loop_timer_off(job->loop, &job->deadline);
    (void)close(job->fd);
    if (force)
        (void)kill(job->pid, SIGKILL);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
finish_job(struct agent_job *job, bool force)
{
    const bool ended = end_job(job, force) && !force;

    job->done(job->done_arg, bh_span(job->out, job->len), ended);
    agent_loop_defer(job->loop, &job->gone);
}

static void
on_output(void *arg, uint32_t events)
{
    struct agent_job *job = arg;

    (void)events;
    const ssize_t n = read(job->fd, job->out + job->len, job->max + 1 - job->len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0)
        job->len += (size_t)n;
    if (n <= 0 || job->len > job->max)
        finish_job(job, n < 0 || job->len > job->max);
}

static void
on_deadline(void *arg)
{
    finish_job(arg, true);
}

static void
run_child(agent_job_fn work, void *arg, int fd)
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent's connections must not stay open because of us. */
    if (fd != STDERR_FILENO + 1) {
        if (dup2(fd, STDERR_FILENO + 1) < 0)
            _exit(1);
        fd = STDERR_FILENO + 1;
    }
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    work(arg, fd);
    _exit(0);
}

static bool
watch_job(struct agent_job *job, int64_t deadline_ms)
{
    job->watch = (struct agent_watch){.fn = on_output, .arg = job, .fd = -1};
    job->deadline.fn = on_deadline;
    job->deadline.arg = job;
    job->gone.fn = free_job;
    job->gone.arg = job;
    if (agent_loop_watch(job->loop, &job->watch, job->fd, EPOLLIN) != BH_OK)
        return false;
    agent_loop_timer(job->loop, &job->deadline, deadline_ms);
    return true;
}

enum bh_err
agent_job_start(struct agent_loop *loop, agent_job_fn work, void *work_arg, size_t max,
    int64_t deadline_ms, agent_job_done_fn done, void *done_arg, struct agent_job **ret_job,
    struct bh_diag *diag)
{
    struct agent_job *job = calloc(1, sizeof(*job));
    int fds[2] = {-1, -1};

    if (job == NULL || (job->out = malloc(max + 1)) == NULL || pipe2(fds, O_CLOEXEC) != 0) {
        if (job != NULL)
            free_job(job);
        return bh_fail(diag, BH_ERR_NOMEM, "child process: no pipe");
    }
    job->loop = loop;
    job->max = max;
    job->done = done;
    job->done_arg = done_arg;
    job->fd = fds[0];
    if ((job->pid = fork()) == 0)
        run_child(work, work_arg, fds[1]);
    const int why = errno;
    (void)close(fds[1]);
    if (job->pid < 0) {
        (void)close(fds[0]);
        free_job(job);
        return bh_fail(diag, BH_ERR_NOMEM, "child process: %s", strerror(why));
    }
    (void)fcntl(job->fd, F_SETFL, O_NONBLOCK);
    if (!watch_job(job, deadline_ms)) {
        (void)end_job(job, true);
        free_job(job);
        return bh_fail(diag, BH_ERR_NOMEM, "child process: epoll");
    }
    *ret_job = job;
    return BH_OK;
}

void
agent_job_cancel(struct agent_job *job)
{
    if (job == NULL)
        return;
    (void)end_job(job, true);
    agent_loop_defer(job->loop, &job->gone);
}

bool
agent_job_write(int fd, struct bh_span bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = bh_span(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}
