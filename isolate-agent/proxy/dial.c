/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include "identity.h"
#include "notify.h"
#include "signals.h"
#include "stream.h"

#include "beachhead/tls.h"
#include "core/log.h"

#include <signal.h>

#define DRAIN_LOOK_MS 50

struct dial {
    const struct agent_dial_config *config;
    struct agent_loop *loop;
    struct agent_signals signals;
    struct agent_endpoint *endpoint;
    struct agent_timer drain;
    bool draining;
    int64_t drain_until;
};

enum bh_err
agent_dial_context(const bh_trust *trust, const bh_expectation *expectation, SSL_CTX **ret_ctx,
    struct bh_diag *diag)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bh_failure *failure = bh_failure_new();
    enum bh_err e = BH_OK;

    if (ctx == NULL || failure == NULL || !agent_tls_defaults(ctx))
        e = bh_fail(diag, BH_ERR_NOMEM, "TLS context");
    else if (bh_ssl_ctx_attach(ctx, trust, expectation, failure) != BH_RESULT_OK)
        e = agent_diag_of(failure, diag);
    if (e == BH_OK)
        *ret_ctx = ctx;
    else
        SSL_CTX_free(ctx);
    bh_failure_free(failure);
    return e;
}

static void
on_drain(void *arg)
{
    struct dial *d = arg;

    if (agent_endpoint_connections(d->endpoint) == 0 || agent_loop_now(d->loop) >= d->drain_until)
        agent_loop_stop(d->loop);
    else
        agent_loop_timer(d->loop, &d->drain, DRAIN_LOOK_MS);
}

static void
on_signal(void *arg, int signal)
{
    struct dial *d = arg;

    if (signal == SIGHUP)
        return;
    if (d->draining) {
        agent_loop_stop(d->loop);
        return;
    }
    d->draining = true;
    d->drain_until = agent_loop_now(d->loop) + d->config->drain_ms;
    agent_notify("STOPPING=1");
    bh_log(BH_LOG_INFO, "draining", NULL);
    agent_endpoint_close(d->endpoint);
    on_drain(d);
}

static enum bh_err
serve(struct dial *d, SSL_CTX *ctx, struct bh_diag *diag)
{
    struct agent_endpoint_config endpoint = d->config->endpoint;
    enum bh_err e;

    endpoint.inner = NULL;
    endpoint.outer = ctx;
    d->drain = (struct agent_timer){.fn = on_drain, .arg = d};
    if ((e = agent_endpoint_new(d->loop, &endpoint, &d->endpoint, diag)) != BH_OK)
        return e;
    if ((e = agent_signals_open(&d->signals, d->loop, on_signal, d, diag)) == BH_OK) {
        bh_log(BH_LOG_INFO, "ready", "endpoint", agent_endpoint_text(d->endpoint), "to",
            endpoint.target.text, NULL);
        agent_notify("READY=1");
        e = agent_loop_run(d->loop, diag);
        agent_signals_close(&d->signals, d->loop);
    }
    agent_loop_timer_off(d->loop, &d->drain);
    agent_endpoint_free(d->endpoint);
    return e;
}

enum bh_err
agent_dial_run(const struct agent_dial_config *config, struct bh_diag *diag)
{
    struct dial d = {.config = config};
    SSL_CTX *ctx = NULL;
    enum bh_err e;

    if ((e = agent_dial_context(config->trust, config->expectation, &ctx, diag)) != BH_OK)
        return e;
    if ((e = agent_loop_new(&d.loop, diag)) == BH_OK) {
        e = serve(&d, ctx, diag);
        agent_loop_free(d.loop);
    }
    SSL_CTX_free(ctx);
    return e;
}
