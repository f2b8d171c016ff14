/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include "job.h"

#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define PAUSE_MS 200
#define EVICT_AFTER_MS 30000
#define RESOLVE_EVERY_MS 60000
#define RESOLVE_DEADLINE_MS 20000
#define LOGS_PER_SECOND 20
#define DESCRIPTORS_BESIDE 64

struct agent_endpoint {
    struct agent_loop *loop;
    struct agent_endpoint_config config;
    struct agent_relays *relays;
    int fd; /* -1 while closed */
    struct agent_watch watch;
    struct agent_timer pause;
    char text[AGENT_ADDRESS_TEXT_MAX];
    struct agent_job *resolving;
    int64_t resolved_at;
    int64_t log_second;
    unsigned logged;
    unsigned long suppressed;
};

/* ---- what is logged ---- */

static const char *
event_name(enum agent_relay_end end)
{
    switch (end) {
    case AGENT_RELAY_HANDSHAKE:
        return "handshake-failed";
    case AGENT_RELAY_CONNECT:
        return "upstream-unreachable";
    case AGENT_RELAY_REFUSED:
        return "peer-refused";
    case AGENT_RELAY_BROKEN:
        return "connection-broken";
    case AGENT_RELAY_IDLE:
        return "connection-idle";
    case AGENT_RELAY_STOPPED:
        return "connection-stopped";
    default:
        return "connection";
    }
}

/* Who connects decides how much there is to log: so many lines a second, and a count of the rest.
 */
static bool
may_log(struct agent_endpoint *e)
{
    const int64_t second = agent_loop_now(e->loop) / 1000;
    char count[24];

    if (second != e->log_second) {
        e->log_second = second;
        e->logged = 0;
        if (e->suppressed > 0) {
            (void)snprintf(count, sizeof(count), "%lu", e->suppressed);
            bh_log(BH_LOG_WARNING, "log-suppressed", "#lines", count, NULL);
            e->suppressed = 0;
        }
    }
    if (e->logged++ < LOGS_PER_SECOND)
        return true;
    e->suppressed++;
    return false;
}

static const char *
or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

static void
on_ended(void *arg, const struct agent_relay_report *r)
{
    struct agent_endpoint *e = arg;
    const enum bh_log_level level = r->end == AGENT_RELAY_DONE ? BH_LOG_DEBUG
                                    : r->end == AGENT_RELAY_CONNECT || r->end == AGENT_RELAY_REFUSED
                                        ? BH_LOG_WARNING
                                        : BH_LOG_INFO;
    char in[24], out[24], ms[24];

    if (level == BH_LOG_DEBUG || !may_log(e))
        return;
    (void)snprintf(in, sizeof(in), "%llu", (unsigned long long)r->bytes_in);
    (void)snprintf(out, sizeof(out), "%llu", (unsigned long long)r->bytes_out);
    (void)snprintf(ms, sizeof(ms), "%lld", (long long)r->ms);
    bh_log(level, event_name(r->end), "peer", r->peer, "check", or_null(r->diag->check), "expected",
        or_null(r->diag->expected), "found", or_null(r->diag->found), "detail",
        or_null(r->diag->detail), "hint", or_null(r->diag->hint), "#bytes_in", in, "#bytes_out",
        out, "#ms", ms, NULL);
}

/* ---- names that move ---- */

static void
resolve_in_child(void *arg, int fd)
{
    struct agent_target target = *(const struct agent_target *)arg;

    if (agent_target_resolve(&target, NULL) == BH_OK)
        (void)agent_job_write(
            fd, bh_span(target.addresses, target.count * sizeof(target.addresses[0])));
}

static void
on_resolved(void *arg, struct bh_span output, bool ended)
{
    struct agent_endpoint *e = arg;
    const size_t count = output.len / sizeof(e->config.target.addresses[0]);

    e->resolving = NULL;
    e->resolved_at = agent_loop_now(e->loop);
    if (!ended || count == 0 || count > AGENT_ADDRESSES_MAX) {
        bh_log(BH_LOG_WARNING, "name-lookup-failed", "name", e->config.target.host, NULL);
        return;
    }
    memcpy(e->config.target.addresses, output.ptr, count * sizeof(e->config.target.addresses[0]));
    e->config.target.count = count;
}

static void
refresh_target(struct agent_endpoint *e)
{
    const int64_t every =
        e->config.resolve_every_ms > 0 ? e->config.resolve_every_ms : RESOLVE_EVERY_MS;

    if (e->config.target.host[0] == '\0' || e->resolving != NULL ||
        agent_loop_now(e->loop) - e->resolved_at < every)
        return;
    if (agent_job_start(e->loop, resolve_in_child, &e->config.target,
            sizeof(e->config.target.addresses), RESOLVE_DEADLINE_MS, on_resolved, e, &e->resolving,
            NULL) != BH_OK)
        e->resolved_at = agent_loop_now(e->loop);
}

/* ---- accepting ---- */

static void
pause_accepting(struct agent_endpoint *e)
{
    agent_loop_unwatch(e->loop, &e->watch);
    agent_loop_timer(e->loop, &e->pause, PAUSE_MS);
}

static void
on_pause_over(void *arg)
{
    struct agent_endpoint *e = arg;

    if (e->fd >= 0 && agent_loop_watch(e->loop, &e->watch, e->fd, EPOLLIN) != BH_OK)
        agent_loop_timer(e->loop, &e->pause, PAUSE_MS);
}

static bool
has_room(struct agent_endpoint *e)
{
    return agent_relays_count(e->relays) < e->config.connections ||
           agent_relays_evict(e->relays, EVICT_AFTER_MS);
}

static void
on_connection(void *arg, uint32_t events)
{
    struct agent_endpoint *e = arg;
    char peer[AGENT_ADDRESS_TEXT_MAX];

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct agent_address from = {.len = sizeof(from.sa)};
        if (!has_room(e)) {
            pause_accepting(e);
            return;
        }
        const int fd =
            accept4(e->fd, (struct sockaddr *)&from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            /* Out of descriptors or memory: the connection stays queued; try again later. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(e);
            return;
        }
        agent_socket_tune(fd);
        refresh_target(e);
        if (agent_relays_add(e->relays, fd, agent_address_text(&from, peer, sizeof(peer)), NULL) !=
                BH_OK &&
            may_log(e))
            bh_log(BH_LOG_WARNING, "connection-stopped", "detail", "out of memory", NULL);
    }
}

/* ---- the endpoint ---- */

enum bh_err
agent_endpoint_open(struct agent_endpoint *e, struct bh_diag *diag)
{
    enum bh_err err;
    int fd = -1;

    if (e->fd >= 0)
        return BH_OK;
    if ((err = agent_listen(&e->config.listen, &fd, diag)) != BH_OK)
        return err;
    /* With port 0 the system chose one: it stays ours from here on. */
    if ((err = agent_bound_address(fd, &e->config.listen, diag)) == BH_OK)
        err = agent_loop_watch(e->loop, &e->watch, fd, EPOLLIN);
    if (err != BH_OK) {
        (void)close(fd);
        return bh_fail(diag, err, "endpoint");
    }
    e->fd = fd;
    (void)agent_address_text(&e->config.listen, e->text, sizeof(e->text));
    return BH_OK;
}

enum bh_err
agent_endpoint_new(struct agent_loop *loop, const struct agent_endpoint_config *config,
    struct agent_endpoint **ret_endpoint, struct bh_diag *diag)
{
    struct agent_endpoint *e = calloc(1, sizeof(*e));
    enum bh_err err;

    if (e == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "endpoint");
    e->loop = loop;
    e->config = *config;
    e->fd = -1;
    e->watch = (struct agent_watch){.fn = on_connection, .arg = e, .fd = -1};
    e->pause.fn = on_pause_over;
    e->pause.arg = e;
    e->resolved_at = agent_loop_now(loop);
    const struct agent_relay_config relay = {
        .target = &e->config.target,
        .inner = config->inner,
        .outer = config->outer,
        .limits = config->limits,
        .ended = on_ended,
        .arg = e,
    };
    if ((err = agent_relays_new(loop, &relay, &e->relays, diag)) != BH_OK ||
        (err = agent_endpoint_open(e, diag)) != BH_OK) {
        agent_endpoint_free(e);
        return err;
    }
    *ret_endpoint = e;
    return BH_OK;
}

void
agent_endpoint_free(struct agent_endpoint *e)
{
    if (e == NULL)
        return;
    agent_endpoint_close(e);
    agent_job_cancel(e->resolving);
    agent_relays_free(e->relays);
    free(e);
}

const char *
agent_endpoint_text(const struct agent_endpoint *e)
{
    return e->text;
}

void
agent_endpoint_swap(struct agent_endpoint *e, SSL_CTX *inner)
{
    agent_relays_swap(e->relays, inner);
}

void
agent_endpoint_close(struct agent_endpoint *e)
{
    agent_loop_timer_off(e->loop, &e->pause);
    agent_loop_unwatch(e->loop, &e->watch);
    if (e->fd >= 0)
        (void)close(e->fd);
    e->fd = -1;
}

size_t
agent_endpoint_connections(const struct agent_endpoint *e)
{
    return agent_relays_count(e->relays);
}

size_t
agent_endpoint_raise_limit(size_t connections)
{
    const rlim_t wanted = (rlim_t)connections * 2 + DESCRIPTORS_BESIDE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted)
        return connections;
    return limit.rlim_cur > DESCRIPTORS_BESIDE + 2
               ? (size_t)(limit.rlim_cur - DESCRIPTORS_BESIDE) / 2
               : 1;
}
