/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include "notify.h"
#include "renewal.h"
#include "signals.h"
#include "status.h"

#include "core/log.h"
#include "core/text.h"
#include "core/x509.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REOPEN_MS 1000
#define DRAIN_LOOK_MS 50

struct service {
    const struct agent_service_config *config;
    struct agent_loop *loop;
    struct agent_signals signals;
    struct agent_enroller *enroller;
    struct agent_endpoint *endpoint;
    struct agent_identity *identity;
    struct agent_renewal renewal;
    struct agent_timer tick, drain;
    struct agent_status status;
    int64_t started, drain_until;
    bool draining;
    bool serving;
    bool out_pending; /* the folder of --out does not have the certificate yet */
    struct bh_diag *diag;
    enum bh_err result;
};

static int64_t
wall_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint32_t
draw(void)
{
    uint32_t v = 0;

    return bh_random(&v, sizeof(v)) == BH_OK ? v : 0;
}

bool
agent_service_may_retry(enum bh_err err)
{
    switch (err) {
    case BH_ERR_NETWORK:
    case BH_ERR_OVERLOADED:
    case BH_ERR_RATE_LIMITED:
    case BH_ERR_INTERNAL:
    case BH_ERR_NOMEM:
    case BH_ERR_IO:
    case BH_ERR_CHALLENGE_EXPIRED:
    case BH_ERR_CHALLENGE_USED:
    case BH_ERR_CHALLENGE_INVALID:
        return true;
    default:
        return false;
    }
}

static void
stop(struct service *s, enum bh_err e)
{
    s->result = e;
    agent_loop_stop(s->loop);
}

static void
write_status(struct service *s)
{
    struct bh_diag diag = {0};

    s->status.endpoint = s->endpoint != NULL ? agent_endpoint_text(s->endpoint) : NULL;
    s->status.peer = s->identity != NULL ? s->identity->peer : NULL;
    s->status.serving = s->serving;
    if (s->config->state != NULL &&
        agent_status_write(&s->status, s->config->state, bh_time_now(), &diag) != BH_OK)
        bh_log_diag(BH_LOG_WARNING, "state-failed", &diag);
}

/* ---- a new certificate ---- */

static void
log_certificate(const struct service *s, const char *event)
{
    const bh_peer *peer = s->identity->peer;
    char not_after[BH_TIME_MAX];

    bh_log(BH_LOG_INFO, event, "endpoint",
        s->endpoint != NULL ? agent_endpoint_text(s->endpoint) : NULL, "out", s->config->out,
        "workload", bh_peer_workload(peer), "platform", bh_peer_platform(peer), "status",
        bh_peer_status(peer), "#simulated", bh_peer_simulated(peer) ? "true" : "false", "serial",
        bh_peer_serial(peer), "not_after", bh_time_text(bh_peer_not_after(peer), not_after), NULL);
}

static enum bh_err
hand_out(struct service *s, struct bh_diag *diag)
{
    enum bh_err e;

    if (s->config->out != NULL && (e = agent_identity_write(s->identity, s->config->out,
                                       s->config->roots_pem, diag)) != BH_OK)
        return e;
    s->out_pending = false;
    if (s->config->hook != NULL)
        agent_hook_run(s->config->hook);
    return BH_OK;
}

static enum bh_err
serve_identity(struct service *s, struct bh_diag *diag)
{
    struct agent_endpoint_config endpoint = s->config->endpoint;

    if (!s->config->listen)
        return BH_OK;
    if (s->endpoint != NULL) {
        agent_endpoint_swap(s->endpoint, s->identity->ctx);
        return agent_endpoint_open(s->endpoint, diag);
    }
    endpoint.inner = s->identity->ctx;
    return agent_endpoint_new(s->loop, &endpoint, &s->endpoint, diag);
}

/* The first certificate: whatever does not work with it ends the run. */
static void
begin_serving(struct service *s)
{
    enum bh_err e;

    if ((e = hand_out(s, s->diag)) != BH_OK || (e = serve_identity(s, s->diag)) != BH_OK) {
        stop(s, e);
        return;
    }
    s->serving = true;
    log_certificate(s, "ready");
    agent_notify("READY=1");
}

static void
serve_renewed(struct service *s)
{
    struct bh_diag diag = {0};

    log_certificate(s, s->serving ? "renewed" : "serving-again");
    if (serve_identity(s, &diag) != BH_OK)
        bh_log_diag(BH_LOG_ERROR, "listen-failed", &diag);
    s->serving = true;
    bh_diag_clear(&diag);
    if (hand_out(s, &diag) != BH_OK) {
        bh_log_diag(BH_LOG_ERROR, "out-failed", &diag);
        s->out_pending = true;
    }
}

static void
take_identity(struct service *s, struct agent_identity *identity)
{
    const bool first = s->identity == NULL;

    agent_identity_free(s->identity);
    s->identity = identity;
    agent_renewal_succeeded(&s->renewal, wall_ms(), bh_peer_not_before(identity->peer) * 1000,
        bh_peer_not_after(identity->peer) * 1000, draw());
    s->status.certificates++;
    if (first)
        begin_serving(s);
    else
        serve_renewed(s);
}

static void
on_enrolled(void *arg, struct agent_identity *identity, const struct bh_diag *diag)
{
    struct service *s = arg;

    if (s->draining) {
        agent_identity_free(identity);
        return;
    }
    if (identity != NULL) {
        take_identity(s, identity);
    } else {
        agent_renewal_failed(&s->renewal, wall_ms(), draw());
        s->status.failed_at = bh_time_now();
        s->status.failure = *diag;
        bh_log_diag(
            BH_LOG_WARNING, s->identity != NULL ? "renewal-failed" : "enrolment-failed", diag);
        if (s->identity == NULL && (!agent_service_may_retry(diag->err) ||
                                       wall_ms() - s->started >= s->config->start_ms)) {
            *s->diag = *diag;
            stop(s, diag->err);
        }
    }
    write_status(s);
    agent_loop_timer(s->loop, &s->tick, 0);
}

/* ---- time ---- */

static void
expire(struct service *s)
{
    s->serving = false;
    if (s->endpoint != NULL)
        agent_endpoint_close(s->endpoint);
    bh_log(BH_LOG_ERROR, "expired", "serial", bh_peer_serial(s->identity->peer), "detail",
        "the certificate is not valid now: no new connections until the next one", NULL);
    write_status(s);
}

static void
on_tick(void *arg)
{
    struct service *s = arg;
    const int64_t now = wall_ms();
    const struct agent_decision d = agent_renewal_decide(&s->renewal, now);
    int64_t wait = d.at - now;
    struct bh_diag diag = {0};

    if (s->draining)
        return;
    if (s->serving && !d.serve)
        expire(s);
    if (s->out_pending && hand_out(s, NULL) == BH_OK)
        bh_log(BH_LOG_INFO, "out-written", "out", s->config->out, NULL);
    /* The address may have been taken meanwhile. */
    if (s->serving && s->endpoint != NULL && agent_endpoint_open(s->endpoint, &diag) != BH_OK)
        wait = wait < REOPEN_MS ? wait : REOPEN_MS;
    agent_loop_timer(s->loop, &s->tick, wait);
    if (d.enrol && !agent_enroller_busy(s->enroller))
        agent_enroller_start(s->enroller);
}

static void
on_drain(void *arg)
{
    struct service *s = arg;

    if (s->endpoint == NULL || agent_endpoint_connections(s->endpoint) == 0 ||
        wall_ms() >= s->drain_until)
        agent_loop_stop(s->loop);
    else
        agent_loop_timer(s->loop, &s->drain, DRAIN_LOOK_MS);
}

static void
on_signal(void *arg, int signal)
{
    struct service *s = arg;

    if (signal == SIGHUP) {
        s->renewal.forced = true;
        s->renewal.failures = 0;
        agent_loop_timer(s->loop, &s->tick, 0);
        return;
    }
    if (s->draining) {
        agent_loop_stop(s->loop);
        return;
    }
    s->draining = true;
    s->drain_until = wall_ms() + s->config->drain_ms;
    agent_notify("STOPPING=1");
    bh_log(BH_LOG_INFO, "draining", NULL);
    if (s->endpoint != NULL)
        agent_endpoint_close(s->endpoint);
    on_drain(s);
}

static enum bh_err
set_up(struct service *s, struct bh_diag *diag)
{
    enum bh_err e;

    s->started = wall_ms();
    s->tick = (struct agent_timer){.fn = on_tick, .arg = s};
    s->drain = (struct agent_timer){.fn = on_drain, .arg = s};
    s->status.workload = s->config->enrol.workload;
    if ((e = agent_signals_open(&s->signals, s->loop, on_signal, s, diag)) != BH_OK)
        return e;
    if ((e = agent_enroller_new(s->loop, &s->config->enrol, on_enrolled, s, &s->enroller, diag)) ==
            BH_OK &&
        s->config->hook != NULL)
        e = agent_hook_attach(s->config->hook, s->loop, NULL, NULL, diag);
    if (e == BH_OK && s->config->state != NULL)
        e = agent_status_write(&s->status, s->config->state, bh_time_now(), diag);
    if (e != BH_OK)
        agent_signals_close(&s->signals, s->loop);
    return e;
}

enum bh_err
agent_service_run(const struct agent_service_config *config, struct bh_diag *diag)
{
    struct service s = {.config = config, .diag = diag};
    enum bh_err e;

    if ((e = agent_loop_new(&s.loop, diag)) != BH_OK)
        return e;
    if ((e = set_up(&s, diag)) == BH_OK) {
        on_tick(&s);
        e = agent_loop_run(s.loop, diag);
        if (e == BH_OK)
            e = s.result;
        s.serving = false;
        write_status(&s);
        bh_log(BH_LOG_INFO, "stopped", NULL);
        agent_signals_close(&s.signals, s.loop);
    }
    agent_enroller_free(s.enroller);
    agent_endpoint_free(s.endpoint);
    agent_identity_free(s.identity);
    agent_loop_timer_off(s.loop, &s.tick);
    agent_loop_timer_off(s.loop, &s.drain);
    agent_loop_free(s.loop);
    return e;
}
