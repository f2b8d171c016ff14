/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new generation without a dropped request: new verifiers read the new snapshot; when all took it
 * the authority imports it; when that is done the traffic moves and the old verifiers finish. A
 * refusal at any point leaves the old generation in force.
 */
#include "server.h"

#include "core/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define OLD_ONES_MS 10000

static void
notify_reloading(void)
{
    struct timespec ts;
    char text[96];

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
        (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
    pas_notify(text);
}

static void
end_reload(struct pas_server *s)
{
    s->reload = PAS_RELOAD_NONE;
    if (s->new_snapshot_fd >= 0)
        (void)close(s->new_snapshot_fd);
    s->new_snapshot_fd = -1;
    if (s->reload_again) {
        s->reload_again = false;
        pas_reload_begin(s);
    }
}

/* The old generation stays; what was prepared goes. */
static void
abandon(struct pas_server *s, const struct bh_diag *diag)
{
    bh_log_diag(BH_LOG_ERROR, "reload-refused", diag);
    for (size_t i = 0; i < s->procs_len; i++)
        if (!pas_proc_in_force(s, &s->procs[i])) {
            s->procs[i].state = s->procs[i].pid > 0 ? PAS_PROC_DRAINING : PAS_PROC_NONE;
            s->procs[i].wanted = false;
            pas_proc_kill(&s->procs[i]);
        }
    pas_notify("READY=1");
    s->phase_ends = pas_now_ms() + OLD_ONES_MS;
    s->reload = PAS_RELOAD_OLD_ONES;
    pas_reload_ended(s);
}

static enum bh_err
prepare(struct pas_server *s, struct bh_diag *diag)
{
    struct pas_proc *frontend = pas_proc_first(s, PAS_FRONTEND);
    enum bh_err e;

    if ((e = pas_snapshot_make(s, &s->new_snapshot_fd, diag)) != BH_OK ||
        (e = pas_tls_read(s, diag)) != BH_OK)
        return e;
    /* The frontend judges by itself whether it takes the certificate, and says so. */
    if (pas_proc_lives(frontend) && (e = pas_tls_send(s, frontend, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < s->procs_len; i++)
        if (!pas_proc_in_force(s, &s->procs[i])) {
            s->procs[i].failures = 0;
            if ((e = pas_proc_start(s, &s->procs[i], diag)) != BH_OK)
                return e;
        }
    return BH_OK;
}

void
pas_reload_begin(struct pas_server *s)
{
    struct bh_diag diag = {0};

    if (s->phase != PAS_PHASE_SERVING)
        return;
    if (s->reload != PAS_RELOAD_NONE) {
        s->reload_again = true;
        return;
    }
    bh_log(BH_LOG_INFO, "reloading", NULL);
    notify_reloading();
    s->reload = PAS_RELOAD_VERIFIERS;
    s->new_generation++;
    if (prepare(s, &diag) != BH_OK)
        abandon(s, &diag);
}

static void
move_traffic(struct pas_server *s)
{
    struct pas_proc *frontend = pas_proc_first(s, PAS_FRONTEND);
    struct bh_diag diag = {0};
    char generation[24];

    s->bank = 1 - s->bank;
    (void)close(s->snapshot_fd);
    s->snapshot_fd = s->new_snapshot_fd;
    s->new_snapshot_fd = -1;
    s->generation = s->new_generation;
    s->phase_ends = pas_now_ms() + OLD_ONES_MS;
    s->reload = PAS_RELOAD_OLD_ONES;
    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *p = &s->procs[i];

        if (p->role != PAS_VERIFIER || !pas_proc_in_force(s, p))
            continue;
        p->wanted = true;
        if (p->state == PAS_PROC_READY && pas_proc_lives(frontend) &&
            pas_proc_link(frontend, p, &diag) != BH_OK)
            bh_log_diag(BH_LOG_ERROR, "link-failed", &diag);
    }
    for (size_t i = 0; i < s->procs_len; i++) {
        struct pas_proc *p = &s->procs[i];

        if (pas_proc_in_force(s, p))
            continue;
        pas_proc_tell(frontend, PAS_CTL_UNLINK, PAS_LINK_ID(p->role, p->index), -1);
        p->wanted = false;
        if (p->state == PAS_PROC_READY)
            pas_proc_drain(p);
        else
            pas_proc_kill(p);
    }
    (void)snprintf(generation, sizeof(generation), "%llu", (unsigned long long)s->generation);
    bh_log(BH_LOG_INFO, "reloaded", "#generation", generation, NULL);
    pas_notify("READY=1");
}

static void
ask_authority(struct pas_server *s)
{
    struct pas_proc *authority = pas_proc_first(s, PAS_AUTHORITY);
    struct bh_diag diag = {0};

    s->reload = PAS_RELOAD_AUTHORITY;
    if (authority->state == PAS_PROC_READY &&
        bh_ipc_send(authority->control, PAS_CTL_SNAPSHOT, s->new_generation, bh_span_none(),
            s->new_snapshot_fd) == BH_OK)
        return;
    (void)bh_fail(&diag, BH_ERR_INTERNAL, "the authority is not there: send SIGHUP again");
    abandon(s, &diag);
}

void
pas_reload_ready(struct pas_server *s, struct pas_proc *p, uint64_t generation)
{
    if (s->reload == PAS_RELOAD_AUTHORITY && p->role == PAS_AUTHORITY &&
        generation == s->new_generation) {
        move_traffic(s);
        pas_reload_ended(s);
        return;
    }
    if (s->reload != PAS_RELOAD_VERIFIERS)
        return;
    for (size_t i = 0; i < s->procs_len; i++)
        if (!pas_proc_in_force(s, &s->procs[i]) && s->procs[i].state != PAS_PROC_READY)
            return;
    ask_authority(s);
}

void
pas_reload_refused(struct pas_server *s, struct pas_proc *p, const struct bh_diag *diag)
{
    const bool prepared = s->reload == PAS_RELOAD_VERIFIERS && !pas_proc_in_force(s, p);

    if (prepared || (s->reload == PAS_RELOAD_AUTHORITY && p->role == PAS_AUTHORITY))
        abandon(s, diag);
    else if (pas_proc_in_force(s, p)) /* the others of an abandoned bank say the same again */
        bh_log_diag(BH_LOG_ERROR, "child-refused", diag);
}

/* A process is gone: the prepared ones and the authority are needed while a reload goes on. */
void
pas_reload_ended(struct pas_server *s)
{
    struct bh_diag diag = {0};
    bool some = false, missing = false;

    for (size_t i = 0; i < s->procs_len; i++) {
        const struct pas_proc *p = &s->procs[i];

        if (!pas_proc_in_force(s, p)) {
            some = some || p->pid > 0;
            missing = missing || p->pid == 0;
        }
    }
    if (s->reload == PAS_RELOAD_OLD_ONES && !some) {
        end_reload(s);
    } else if ((s->reload == PAS_RELOAD_VERIFIERS && missing) ||
               (s->reload == PAS_RELOAD_AUTHORITY &&
                   (missing || pas_proc_first(s, PAS_AUTHORITY)->pid == 0))) {
        (void)bh_fail(&diag, BH_ERR_INTERNAL, "a process ended during the reload");
        abandon(s, &diag);
    }
}
