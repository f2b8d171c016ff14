/* SPDX-License-Identifier: Apache-2.0 */
/* One child: its start, its links, its end. */
#include "server.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t
pas_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct pas_proc *
pas_proc_first(struct pas_server *s, enum pas_role role)
{
    for (size_t i = 0; i < s->procs_len; i++)
        if (s->procs[i].role == role)
            return &s->procs[i];
    return NULL;
}

bool
pas_proc_lives(const struct pas_proc *p)
{
    return p->state == PAS_PROC_STARTING || p->state == PAS_PROC_READY;
}

bool
pas_proc_in_force(const struct pas_server *s, const struct pas_proc *p)
{
    return p->role != PAS_VERIFIER || p->index / s->verifiers == s->bank;
}

/* ---- links ---- */

static bool
are_peers(enum pas_role a, enum pas_role b)
{
    static const enum pas_role peers[][2] = {
        {PAS_FRONTEND, PAS_VERIFIER},
        {PAS_FRONTEND, PAS_AUTHORITY},
        {PAS_VERIFIER, PAS_AUTHORITY},
        {PAS_AUTHORITY, PAS_SIGNER},
    };

    for (size_t i = 0; i < BH_COUNT(peers); i++)
        if ((peers[i][0] == a && peers[i][1] == b) || (peers[i][0] == b && peers[i][1] == a))
            return true;
    return false;
}

/* Requests go to verifiers that are at work; while all start at once there is nothing to wait for.
 */
static bool
is_due(const struct pas_server *s, const struct pas_proc *a, const struct pas_proc *b)
{
    const struct pas_proc *v = a->role == PAS_VERIFIER ? a : b;
    const bool traffic = a->role == PAS_FRONTEND || b->role == PAS_FRONTEND;

    if (!are_peers(a->role, b->role))
        return false;
    if (!traffic || v->role != PAS_VERIFIER)
        return true;
    return pas_proc_in_force(s, v) &&
           (s->phase == PAS_PHASE_STARTING || v->state == PAS_PROC_READY);
}

/* The authority must not take a verifier's word for the generation that it judges by: an old one
 * may accept what the one in force refuses. */
static void
tell_link(struct pas_proc *to, const struct pas_proc *of, int fd)
{
    uint8_t buf[8];
    struct bh_span payload = bh_span_none();
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_u64be(&w, of->generation);
    if (to->role == PAS_AUTHORITY && of->role == PAS_VERIFIER &&
        bh_writer_end(&w, &payload) != BH_OK)
        return;
    if (to->control != NULL && bh_ipc_send(to->control, PAS_CTL_LINK,
                                   PAS_LINK_ID(of->role, of->index), payload, fd) != BH_OK)
        bh_log(BH_LOG_DEBUG, "not-told", "role", pas_role_name(to->role), NULL);
}

enum bh_err
pas_proc_link(struct pas_proc *a, struct pas_proc *b, struct bh_diag *diag)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return bh_fail(diag, BH_ERR_IO, "socketpair: %s", strerror(errno));
    tell_link(a, b, fds[0]);
    tell_link(b, a, fds[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return BH_OK;
}

void
pas_proc_unlink(struct pas_server *s, struct pas_proc *p)
{
    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *q = &s->procs[i];

        if (q != p && are_peers(p->role, q->role))
            pas_proc_tell(q, PAS_CTL_UNLINK, PAS_LINK_ID(p->role, p->index), -1);
    }
}

/* ---- start ---- */

/* Between fork and exec: only what is safe there. */
static _Noreturn void
become_child(enum pas_role role, int control)
{
    char name[16], flag[] = "--child", program[] = "beachhead-server";
    char *const argv[] = {program, flag, name, NULL};
    sigset_t none;

    (void)snprintf(name, sizeof(name), "%s", pas_role_name(role));
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* What the server's caller left open is not for those who parse hostile input. */
    if ((control == PAS_CONTROL_FD ? fcntl(control, F_SETFD, 0) == 0
                                   : dup2(control, PAS_CONTROL_FD) == PAS_CONTROL_FD) &&
        close_range(PAS_CONTROL_FD + 1, ~0U, 0) == 0)
        (void)execv("/proc/self/exe", argv);
    bh_log(BH_LOG_ERROR, "exec-failed", "reason", strerror(errno), NULL);
    _exit(1);
}

static enum bh_err
spawn(struct pas_proc *p, struct bh_diag *diag)
{
    enum bh_err e;
    int fds[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return bh_fail(diag, BH_ERR_IO, "socketpair: %s", strerror(errno));
    if ((e = bh_ipc_new(fds[0], true, &p->control)) != BH_OK) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return bh_fail(diag, e, "control channel");
    }
    if ((pid = fork()) == 0)
        become_child(p->role, fds[1]);
    (void)close(fds[1]);
    if (pid < 0) {
        e = bh_fail(diag, BH_ERR_IO, "fork: %s", strerror(errno));
        bh_ipc_free(p->control);
        p->control = NULL;
        return e;
    }
    p->pid = pid;
    p->started = pas_now_ms();
    p->kill_at = 0;
    p->state = PAS_PROC_STARTING;
    return BH_OK;
}

static enum bh_err
send_start(const struct pas_server *s, struct pas_proc *p, struct bh_diag *diag)
{
    const struct pas_start start = {
        .index = p->index,
        .dir = bh_span_str(s->dir),
        .config = bh_span(s->config_text, s->config_len),
    };
    const size_t cap = start.dir.len + start.config.len + 16;
    uint8_t *buf = malloc(cap);
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    if (buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "START");
    bh_writer_init(&w, buf, cap);
    pas_start_encode(&w, &start);
    if ((e = bh_writer_end(&w, &payload)) == BH_OK)
        e = bh_ipc_send(p->control, PAS_CTL_START, 0, payload, -1);
    free(buf);
    return e == BH_OK ? BH_OK : bh_fail(diag, e, "START to the %s", pas_role_name(p->role));
}

/* What the role needs besides its links. */
static enum bh_err
send_things(struct pas_server *s, struct pas_proc *p, struct bh_diag *diag)
{
    const bool is_new = p->role == PAS_VERIFIER && !pas_proc_in_force(s, p);
    enum bh_err e = BH_OK;

    switch (p->role) {
    case PAS_FRONTEND:
        e = bh_ipc_send(p->control, PAS_CTL_LISTEN, 1, bh_span_none(), s->listen_fd);
        return e == BH_OK ? pas_tls_send(s, p, diag) : bh_fail(diag, e, "LISTEN");
    case PAS_VERIFIER:
    case PAS_AUTHORITY:
        e = bh_ipc_send(p->control, PAS_CTL_SNAPSHOT, p->generation, bh_span_none(),
            is_new ? s->new_snapshot_fd : s->snapshot_fd);
        return e == BH_OK ? BH_OK : bh_fail(diag, e, "SNAPSHOT");
    default:
        return BH_OK;
    }
}

enum bh_err
pas_proc_start(struct pas_server *s, struct pas_proc *p, struct bh_diag *diag)
{
    enum bh_err e;

    /* A child that dies in the middle is reaped by the loop like any other. */
    if ((e = spawn(p, diag)) != BH_OK || (e = send_start(s, p, diag)) != BH_OK)
        return e;
    p->generation = pas_proc_in_force(s, p) ? s->generation : s->new_generation;
    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *q = &s->procs[i];

        if (q != p && pas_proc_lives(q) && is_due(s, p, q) &&
            (e = pas_proc_link(p, q, diag)) != BH_OK)
            return e;
    }
    if ((e = send_things(s, p, diag)) != BH_OK)
        return e;
    /* While all start at once the last links come when the last process is there. */
    if (s->phase != PAS_PHASE_STARTING)
        pas_proc_tell(p, PAS_CTL_CONFINE, 0, -1);
    return BH_OK;
}

void
pas_proc_tell(struct pas_proc *p, uint16_t type, uint64_t id, int fd)
{
    if (p->control != NULL && bh_ipc_send(p->control, type, id, bh_span_none(), fd) != BH_OK)
        bh_log(BH_LOG_DEBUG, "not-told", "role", pas_role_name(p->role), NULL);
}

void
pas_proc_drain(struct pas_proc *p)
{
    p->wanted = false;
    p->state = PAS_PROC_DRAINING;
    pas_proc_tell(p, PAS_CTL_DRAIN, 0, -1);
}

void
pas_proc_kill(struct pas_proc *p)
{
    if (p->pid > 0)
        (void)kill(p->pid, SIGKILL);
}
