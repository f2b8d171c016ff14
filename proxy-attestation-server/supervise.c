/* SPDX-License-Identifier: Apache-2.0 */
/* All children: the loop that hears them, restarts them and ends them. */
#include "server.h"

#include "core/file.h"
#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_MS 10000
#define CLOSED_MS 1000
#define LONG_RUN_MS 60000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 5000

/* ---- start ---- */

static void
fail_all(struct pas_server *s)
{
    s->phase = PAS_PHASE_FAILED;
    s->exit_code = 1;
    for (size_t i = 0; i < s->procs_len; i++) {
        s->procs[i].wanted = false;
        pas_proc_kill(&s->procs[i]);
    }
}

enum bh_err
pas_start_all(struct pas_server *s, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < s->procs_len && e == BH_OK; i++) {
        s->procs[i].wanted = pas_proc_in_force(s, &s->procs[i]);
        if (s->procs[i].wanted)
            e = pas_proc_start(s, &s->procs[i], diag);
    }
    if (e != BH_OK) {
        fail_all(s);
        return bh_fail(diag, e, "start the processes");
    }
    for (size_t i = 0; i < s->procs_len; i++)
        pas_proc_tell(&s->procs[i], PAS_CTL_CONFINE, 0, -1);
    return BH_OK;
}

static void
announce(struct pas_server *s)
{
    char path[PAS_DIR_MAX], text[128], pid[24];
    struct bh_diag diag = {0};

    (void)snprintf(text, sizeof(text), "%s\n", s->url);
    if (bh_path_join(path, sizeof(path), s->dir, "run/url") != BH_OK ||
        bh_file_write(path, bh_span_str(text), 0644, &diag) != BH_OK)
        bh_log_diag(BH_LOG_WARNING, "url-not-written", &diag);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    bh_log(BH_LOG_INFO, "ready", "url", s->url, "#pid", pid, "version", BH_VERSION, NULL);
    pas_notify("READY=1");
}

/* ---- the end of all ---- */

static bool
all_ended(const struct pas_server *s)
{
    for (size_t i = 0; i < s->procs_len; i++)
        if (s->procs[i].pid > 0)
            return false;
    return true;
}

/* Who is told to finish when: nobody loses the process it still needs. */
static void
drain_next(struct pas_server *s)
{
    static const enum pas_role order[] = {PAS_FRONTEND, PAS_VERIFIER, PAS_AUTHORITY, PAS_SIGNER};

    for (size_t r = 0; r < BH_COUNT(order); r++) {
        bool some = false;

        for (size_t i = 0; i < s->procs_len; i++) {
            struct pas_proc *p = &s->procs[i];

            if (p->role != order[r] || p->pid == 0)
                continue;
            some = true;
            if (p->state == PAS_PROC_READY)
                pas_proc_drain(p);
            else if (p->state == PAS_PROC_STARTING)
                pas_proc_kill(p);
        }
        if (some)
            return;
    }
}

static void
begin_drain(struct pas_server *s)
{
    if (s->phase == PAS_PHASE_STARTING) {
        fail_all(s);
        s->exit_code = 0;
        return;
    }
    if (s->phase != PAS_PHASE_SERVING)
        return;
    bh_log(BH_LOG_INFO, "draining", NULL);
    pas_notify("STOPPING=1");
    s->phase = PAS_PHASE_DRAINING;
    s->phase_ends = pas_now_ms() + DRAIN_MS;
    for (size_t i = 0; i < s->procs_len; i++)
        s->procs[i].wanted = false;
    drain_next(s);
}

/* ---- what children say ---- */

static void
is_ready(struct pas_server *s, struct pas_proc *p, uint64_t generation)
{
    struct bh_diag diag = {0};

    if (p->state == PAS_PROC_STARTING)
        p->state = PAS_PROC_READY;
    if (s->phase == PAS_PHASE_STARTING) {
        for (size_t i = 0; i < s->procs_len; i++)
            if (s->procs[i].wanted && s->procs[i].state != PAS_PROC_READY)
                return;
        s->phase = PAS_PHASE_SERVING;
        announce(s);
        return;
    }
    if (p->role == PAS_VERIFIER && s->phase == PAS_PHASE_SERVING && pas_proc_in_force(s, p) &&
        pas_proc_lives(pas_proc_first(s, PAS_FRONTEND)) &&
        pas_proc_link(pas_proc_first(s, PAS_FRONTEND), p, &diag) != BH_OK)
        bh_log_diag(BH_LOG_ERROR, "link-failed", &diag);
    pas_reload_ready(s, p, generation);
}

static void
has_complaint(struct pas_server *s, struct pas_proc *p, const struct bh_ipc_msg *msg)
{
    struct bh_diag diag = {0};

    if (pas_diag_decode(msg->payload, &diag) != BH_OK)
        (void)bh_fail(
            &diag, BH_ERR_MALFORMED, "the %s's reason does not decode", pas_role_name(p->role));
    if (s->phase == PAS_PHASE_STARTING) {
        bh_log_diag(
            BH_LOG_ERROR, msg->type == PAS_CTL_REFUSED ? "start-refused" : "start-failed", &diag);
        fail_all(s);
    } else if (msg->type == PAS_CTL_REFUSED) {
        pas_reload_refused(s, p, &diag);
    } else {
        bh_log_diag(BH_LOG_ERROR, "child-failed", &diag);
    }
}

/* Who may have whom replaced: nobody a process that it does not judge by itself. */
static bool
may_cut(enum pas_role by, enum pas_role peer)
{
    return by == PAS_AUTHORITY ? peer != PAS_AUTHORITY : by == PAS_FRONTEND && peer == PAS_VERIFIER;
}

/* A process without a channel that it needs would live on, and be of no use. */
static void
has_cut(struct pas_server *s, const struct pas_proc *by, uint64_t link_id)
{
    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *p = &s->procs[i];

        if (PAS_LINK_ID(p->role, p->index) != link_id || !may_cut(by->role, p->role) ||
            (p->state != PAS_PROC_READY && p->state != PAS_PROC_DRAINING))
            continue;
        bh_log(BH_LOG_ERROR, "child-cut-off", "role", pas_role_name(p->role), "by",
            pas_role_name(by->role), NULL);
        pas_proc_kill(p);
    }
}

static void
hear(struct pas_server *s, struct pas_proc *p)
{
    struct bh_ipc_msg msg;
    bool got = true;

    while (p->control != NULL && got) {
        if (bh_ipc_receive(p->control, &msg, &got) != BH_OK) {
            /* It is ending, or of no more use. */
            p->kill_at = pas_now_ms() + CLOSED_MS;
            bh_ipc_free(p->control);
            p->control = NULL;
            return;
        }
        if (!got)
            return;
        if (msg.fd >= 0)
            (void)close(msg.fd);
        if (!pas_msg_permitted(p->role, PAS_PARENT, msg.type)) {
            bh_log(BH_LOG_ERROR, "child-subverted", "role", pas_role_name(p->role), NULL);
            pas_proc_kill(p);
            return;
        }
        if (msg.type == PAS_CTL_READY)
            is_ready(s, p, msg.id);
        else if (msg.type == PAS_CTL_CUT)
            has_cut(s, p, msg.id);
        else
            has_complaint(s, p, &msg);
    }
}

/* ---- ends and restarts ---- */

static void
log_end(const struct pas_server *s, const struct pas_proc *p, pid_t ended, int status)
{
    char pid[24], number[24];
    const bool killed = WIFSIGNALED(status);
    const bool told = p->state == PAS_PROC_DRAINING || s->phase == PAS_PHASE_FAILED;

    (void)snprintf(pid, sizeof(pid), "%ld", (long)ended);
    (void)snprintf(number, sizeof(number), "%d", killed ? WTERMSIG(status) : WEXITSTATUS(status));
    bh_log(told ? BH_LOG_INFO : BH_LOG_ERROR, "child-ended", "role", pas_role_name(p->role), "#pid",
        pid, killed ? "#signal" : "#exit", number, NULL);
}

/*
 * The first restart is at once; then ever later, until one runs long. What was at work before it
 * ended may have met hostile input, which must not keep the service down: it is not kept waiting.
 */
static void
plan_restart(struct pas_proc *p, bool worked)
{
    const int64_t now = pas_now_ms();
    int64_t wait = 0;

    if (now - p->started > LONG_RUN_MS)
        p->failures = 0;
    if (p->failures > 0)
        wait = p->failures > 6 ? BACKOFF_MOST_MS : BACKOFF_FIRST_MS << (p->failures - 1);
    if (worked && wait > BACKOFF_FIRST_MS)
        wait = BACKOFF_FIRST_MS;
    p->failures++;
    p->restart_at = now + (wait < BACKOFF_MOST_MS ? wait : BACKOFF_MOST_MS);
}

static void
has_ended(struct pas_server *s, struct pas_proc *p, int status)
{
    const pid_t ended = p->pid;
    const bool worked = p->state == PAS_PROC_READY;

    p->pid = 0; /* may be somebody else's from here on */
    /* What it said last may still lie in the channel: the reason. */
    hear(s, p);
    log_end(s, p, ended, status);
    bh_ipc_free(p->control);
    p->control = NULL;
    if (s->phase == PAS_PHASE_STARTING) {
        bh_log(BH_LOG_ERROR, "start-failed", "role", pas_role_name(p->role), "detail",
            "the process ended before it was ready", NULL);
        fail_all(s);
    }
    p->state = PAS_PROC_NONE;
    pas_proc_unlink(s, p);
    if (p->wanted)
        plan_restart(p, worked);
    if (s->phase == PAS_PHASE_DRAINING)
        drain_next(s);
    else if (s->phase == PAS_PHASE_SERVING)
        pas_reload_ended(s);
}

static void
reap(struct pas_server *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < s->procs_len; i++)
            if (s->procs[i].pid == pid)
                has_ended(s, &s->procs[i], status);
}

static void
restart_due(struct pas_server *s)
{
    const int64_t now = pas_now_ms();

    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *p = &s->procs[i];
        struct bh_diag diag = {0};

        if (!p->wanted || p->state != PAS_PROC_NONE || p->restart_at > now)
            continue;
        bh_log(BH_LOG_WARNING, "child-restarted", "role", pas_role_name(p->role), NULL);
        if (pas_proc_start(s, p, &diag) == BH_OK)
            continue;
        bh_log_diag(BH_LOG_ERROR, "restart-failed", &diag);
        if (p->pid > 0)
            pas_proc_kill(p);
        else
            plan_restart(p, false);
    }
}

/* ---- the loop ---- */

static void
take_signals(struct pas_server *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo == SIGHUP)
            pas_reload_begin(s);
        else
            begin_drain(s);
    }
}

static int
wait_ms(const struct pas_server *s)
{
    const int64_t now = pas_now_ms();
    int64_t until = s->phase == PAS_PHASE_DRAINING || s->reload == PAS_RELOAD_OLD_ONES
                        ? s->phase_ends
                        : INT64_MAX;

    for (size_t i = 0; i < s->procs_len; i++)
        if (s->procs[i].wanted && s->procs[i].state == PAS_PROC_NONE &&
            s->procs[i].restart_at < until)
            until = s->procs[i].restart_at;
    for (size_t i = 0; i < s->procs_len; i++)
        if (s->procs[i].pid > 0 && s->procs[i].kill_at > 0 && s->procs[i].kill_at < until)
            until = s->procs[i].kill_at;
    if (until == INT64_MAX)
        return -1;
    return until <= now ? 0 : (int)(until - now);
}

/* What was told to finish, or closed its channel, and did not end. */
static void
kill_late(struct pas_server *s)
{
    for (size_t i = 0; i < s->procs_len; i++)
        if (s->procs[i].kill_at > 0 && s->procs[i].kill_at <= pas_now_ms()) {
            s->procs[i].kill_at = 0;
            pas_proc_kill(&s->procs[i]);
        }
    if ((s->phase != PAS_PHASE_DRAINING && s->reload != PAS_RELOAD_OLD_ONES) ||
        pas_now_ms() < s->phase_ends)
        return;
    for (size_t i = 0; i < s->procs_len; i++)
        if (s->phase == PAS_PHASE_DRAINING || s->procs[i].state == PAS_PROC_DRAINING)
            pas_proc_kill(&s->procs[i]);
    s->phase_ends = pas_now_ms() + DRAIN_MS;
}

static enum bh_err
turn(struct pas_server *s, struct pollfd *fds, struct pas_proc **owners)
{
    nfds_t n = 1;

    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < s->procs_len; i++) {
        if (s->procs[i].control == NULL)
            continue;
        owners[n] = &s->procs[i];
        fds[n++] = (struct pollfd){.fd = bh_ipc_fd(s->procs[i].control), .events = POLLIN};
    }
    if (poll(fds, n, wait_ms(s)) < 0 && errno != EINTR)
        return BH_ERR_IO;
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents != 0 && owners[i]->control != NULL &&
            bh_ipc_fd(owners[i]->control) == fds[i].fd)
            hear(s, owners[i]);
    if (fds[0].revents != 0)
        take_signals(s);
    if (s->phase == PAS_PHASE_SERVING)
        restart_due(s);
    kill_late(s);
    return BH_OK;
}

int
pas_supervise(struct pas_server *s)
{
    struct pollfd *fds = calloc(s->procs_len + 1, sizeof(*fds));
    struct pas_proc **owners = calloc(s->procs_len + 1, sizeof(struct pas_proc *));

    if (fds == NULL || owners == NULL)
        fail_all(s);
    while (!all_ended(s) || s->phase == PAS_PHASE_SERVING) {
        if (fds == NULL || owners == NULL || turn(s, fds, owners) != BH_OK) {
            fail_all(s);
            break;
        }
    }
    free(fds);
    free(owners);
    return s->exit_code;
}
