/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include "stream.h"

#include "beachhead/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* So much is passed in one go before others get their turn. */
#define ROUNDS_PER_TURN 8
#define SWEEP_MS 500
#define HANDSHAKE_AGE_FACTOR 4

const struct agent_relay_limits agent_relay_default_limits = {
    .handshake_ms = 10000,
    .connect_ms = 10000,
    .idle_ms = INT64_C(3600) * 1000,
    .half_closed_ms = INT64_C(300) * 1000,
};

enum stage {
    STAGE_INNER_HANDSHAKE,
    STAGE_CONNECT,
    STAGE_OUTER_HANDSHAKE,
    STAGE_PASS,
};

struct relay;

/* One side, with what it waits for. */
struct side {
    struct relay *relay;
    struct agent_stream stream;
    struct agent_watch watch;
    uint32_t wants;
};

/* One direction: from one side to the other. */
struct flow {
    uint8_t *buf; /* NULL while empty */
    size_t at, len;
    bool ended;    /* the source sends no more */
    bool finished; /* and its target knows */
    uint64_t total;
};

struct relay {
    struct agent_relays *all;
    struct relay *prev, *next;
    enum stage stage;
    struct side inner, outer;
    struct flow in, out; /* in: from who connected to the target */
    size_t address;      /* the target's address that is being tried */
    int64_t began, moved;
    struct agent_deferred again, gone;
    bool dead;
    char peer[AGENT_ADDRESS_TEXT_MAX];
};

struct agent_relays {
    struct agent_loop *loop;
    struct agent_relay_config config;
    struct relay *first;
    size_t count;
    struct agent_timer sweep;
};

static void advance(struct relay *r);

/* ---- the end of a connection ---- */

static void
free_relay(void *arg)
{
    struct relay *r = arg;

    free(r->in.buf);
    free(r->out.buf);
    free(r);
}

static void
close_side(struct relay *r, struct side *side, bool abort)
{
    agent_loop_unwatch(r->all->loop, &side->watch);
    agent_stream_close(&side->stream, abort);
}

static void
end_relay(struct relay *r, enum agent_relay_end end, const struct bh_diag *diag)
{
    struct agent_relays *all = r->all;
    const struct bh_diag nothing = {0};

    if (r->dead)
        return;
    r->dead = true;
    close_side(r, &r->inner, end != AGENT_RELAY_DONE && end != AGENT_RELAY_HANDSHAKE);
    close_side(r, &r->outer, end != AGENT_RELAY_DONE && end != AGENT_RELAY_REFUSED);
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        all->first = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    all->count--;
    const struct agent_relay_report report = {
        .end = end,
        .peer = r->peer,
        .diag = diag != NULL ? diag : &nothing,
        .bytes_in = r->in.total,
        .bytes_out = r->out.total,
        .ms = agent_loop_now(all->loop) - r->began,
    };
    if (all->config.ended != NULL)
        all->config.ended(all->config.arg, &report);
    agent_loop_defer(all->loop, &r->gone);
}

static void
fail_relay(struct relay *r, enum agent_relay_end end, enum bh_err err, const char *check,
    const char *what, const char *why)
{
    struct bh_diag diag = {0};

    (void)bh_refuse(&diag, err, check, NULL, why, "%s: %s", what, why);
    end_relay(r, end, &diag);
}

/* ---- waiting ---- */

static void
on_ready(void *arg, uint32_t events)
{
    struct side *side = arg;

    (void)events;
    advance(side->relay);
}

static void
wait_for(struct relay *r, struct side *side, uint32_t events)
{
    if (agent_loop_watch(r->all->loop, &side->watch, side->stream.fd, events) != BH_OK)
        fail_relay(r, AGENT_RELAY_STOPPED, BH_ERR_NOMEM, "", "epoll", "out of memory");
}

static void
on_again(void *arg)
{
    struct relay *r = arg;

    if (!r->dead)
        advance(r);
}

/* ---- passing bytes ---- */

static enum agent_io
fill(struct relay *r, struct flow *f, struct side *from)
{
    uint32_t wants = 0;
    size_t n = 0;

    if (f->ended || f->len == AGENT_RELAY_BUFFER)
        return AGENT_IO_AGAIN;
    if (f->buf == NULL && (f->buf = malloc(AGENT_RELAY_BUFFER)) == NULL)
        return AGENT_IO_ERROR;
    if (f->at > 0) {
        memmove(f->buf, f->buf + f->at, f->len);
        f->at = 0;
    }
    const enum agent_io io =
        agent_stream_read(&from->stream, f->buf + f->len, AGENT_RELAY_BUFFER - f->len, &n, &wants);
    from->wants |= wants;
    if (io == AGENT_IO_DONE) {
        f->len += n;
        f->total += n;
        r->moved = agent_loop_now(r->all->loop);
    } else if (io == AGENT_IO_EOF) {
        f->ended = true;
        r->moved = agent_loop_now(r->all->loop);
        return AGENT_IO_DONE;
    }
    return io;
}

static enum agent_io
drain(struct relay *r, struct flow *f, struct side *to)
{
    enum agent_io io = AGENT_IO_AGAIN;
    uint32_t wants = 0;
    size_t n = 0;

    if (f->len > 0) {
        io = agent_stream_write(&to->stream, bh_span(f->buf + f->at, f->len), &n, &wants);
        if (io == AGENT_IO_DONE) {
            f->at += n;
            f->len -= n;
            r->moved = agent_loop_now(r->all->loop);
        }
        if (f->len == 0)
            f->at = 0;
    } else if (f->ended && !f->finished) {
        io = agent_stream_finish(&to->stream, &wants);
        f->finished = io == AGENT_IO_DONE;
    }
    to->wants |= wants;
    return io;
}

/* One direction, as far as it goes: DONE when more may be possible at once. */
static enum agent_io
pass(struct relay *r, struct flow *f, struct side *from, struct side *to)
{
    enum agent_io in = AGENT_IO_DONE, out = AGENT_IO_DONE;
    int rounds = 0;

    do {
        if ((in = fill(r, f, from)) == AGENT_IO_ERROR || (out = drain(r, f, to)) == AGENT_IO_ERROR)
            return AGENT_IO_ERROR;
    } while ((in == AGENT_IO_DONE || out == AGENT_IO_DONE) && ++rounds < ROUNDS_PER_TURN);
    if (f->len == 0) {
        free(f->buf);
        f->buf = NULL;
    }
    return in == AGENT_IO_DONE || out == AGENT_IO_DONE ? AGENT_IO_DONE : AGENT_IO_AGAIN;
}

static void
pass_both(struct relay *r)
{
    char why[BH_VALUE_MAX];

    r->inner.wants = r->outer.wants = 0;
    const enum agent_io in = pass(r, &r->in, &r->inner, &r->outer);
    const enum agent_io out = in == AGENT_IO_ERROR ? in : pass(r, &r->out, &r->outer, &r->inner);
    if (in == AGENT_IO_ERROR || out == AGENT_IO_ERROR) {
        fail_relay(r, AGENT_RELAY_BROKEN, BH_ERR_NETWORK, "", "the connection broke off",
            agent_stream_why(why, sizeof(why)));
        return;
    }
    if (r->in.finished && r->out.finished) {
        end_relay(r, AGENT_RELAY_DONE, NULL);
        return;
    }
    if (in == AGENT_IO_DONE || out == AGENT_IO_DONE)
        agent_loop_defer(r->all->loop, &r->again);
    wait_for(r, &r->inner, r->inner.wants);
    if (!r->dead)
        wait_for(r, &r->outer, r->outer.wants);
}

/* ---- the steps before ---- */

static void
outer_refused(struct relay *r)
{
    const struct bh_failure *failure = bh_ssl_failure(r->outer.stream.ssl);
    struct bh_diag diag = {0};
    char why[BH_VALUE_MAX];

    if (failure == NULL) {
        (void)bh_refuse(&diag, BH_ERR_NETWORK, "tls.handshake", "TLS 1.3",
            agent_stream_why(why, sizeof(why)), "%s: the handshake failed",
            r->all->config.target->text);
        bh_hint(&diag, "is there an attested endpoint at that address?");
    } else {
        (void)bh_refuse(&diag, bh_err_from_code(bh_failure_code(failure)),
            bh_failure_check(failure), bh_failure_expected(failure), bh_failure_found(failure),
            "%s", bh_failure_detail(failure));
        bh_hint(&diag, "%s", bh_failure_hint(failure));
    }
    end_relay(r, AGENT_RELAY_REFUSED, &diag);
}

static void
step_outer_handshake(struct relay *r)
{
    uint32_t wants = 0;
    enum agent_io io = AGENT_IO_DONE;

    if (r->all->config.outer != NULL) {
        if (r->outer.stream.ssl == NULL &&
            !agent_stream_tls(&r->outer.stream, r->all->config.outer, false)) {
            fail_relay(r, AGENT_RELAY_STOPPED, BH_ERR_NOMEM, "", "TLS", "out of memory");
            return;
        }
        io = agent_stream_handshake(&r->outer.stream, &wants);
    }
    if (io == AGENT_IO_AGAIN) {
        wait_for(r, &r->outer, wants);
    } else if (io != AGENT_IO_DONE ||
               (r->all->config.outer != NULL && bh_ssl_peer(r->outer.stream.ssl) == NULL)) {
        outer_refused(r);
    } else {
        r->stage = STAGE_PASS;
        r->moved = agent_loop_now(r->all->loop);
        pass_both(r);
    }
}

/* The next address of the target to which a connection can be begun. */
static void
begin_connect(struct relay *r, int why)
{
    const struct agent_target *target = r->all->config.target;

    while (r->address < target->count) {
        const struct agent_address *address = &target->addresses[r->address++];
        if ((why = agent_connect(address, &r->outer.stream.fd)) == 0) {
            r->stage = STAGE_CONNECT;
            wait_for(r, &r->outer, EPOLLOUT);
            return;
        }
    }
    fail_relay(r, AGENT_RELAY_CONNECT, BH_ERR_NETWORK, "upstream", target->text,
        why != 0 ? strerror(why) : "its address is not known");
}

static void
step_connect(struct relay *r)
{
    int why = 0;
    socklen_t len = sizeof(why);

    if (getsockopt(r->outer.stream.fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
        why = errno;
    if (why != 0) {
        close_side(r, &r->outer, false);
        begin_connect(r, why);
        return;
    }
    r->stage = STAGE_OUTER_HANDSHAKE;
    step_outer_handshake(r);
}

static void
step_inner_handshake(struct relay *r)
{
    char why[BH_VALUE_MAX];
    uint32_t wants = 0;

    const enum agent_io io = agent_stream_handshake(&r->inner.stream, &wants);
    if (io == AGENT_IO_AGAIN) {
        wait_for(r, &r->inner, wants);
    } else if (io != AGENT_IO_DONE) {
        fail_relay(r, AGENT_RELAY_HANDSHAKE, BH_ERR_NETWORK, "tls.handshake",
            "who connected did not complete a TLS 1.3 handshake",
            agent_stream_why(why, sizeof(why)));
    } else {
        agent_loop_unwatch(r->all->loop, &r->inner.watch);
        r->moved = agent_loop_now(r->all->loop);
        begin_connect(r, 0);
    }
}

static void
advance(struct relay *r)
{
    switch (r->stage) {
    case STAGE_INNER_HANDSHAKE:
        step_inner_handshake(r);
        break;
    case STAGE_CONNECT:
        /* An event of the other side that was taken off in this round says nothing here. */
        step_connect(r);
        break;
    case STAGE_OUTER_HANDSHAKE:
        step_outer_handshake(r);
        break;
    case STAGE_PASS:
        pass_both(r);
        break;
    }
}

/* ---- limits ---- */

static int64_t
limit_of(const struct relay *r)
{
    const struct agent_relay_limits *l = &r->all->config.limits;

    switch (r->stage) {
    case STAGE_INNER_HANDSHAKE:
        return l->handshake_ms;
    case STAGE_CONNECT:
        return l->connect_ms;
    case STAGE_OUTER_HANDSHAKE:
        return l->connect_ms + l->handshake_ms;
    default:
        return r->in.ended || r->out.ended ? l->half_closed_ms : l->idle_ms;
    }
}

static void
end_overdue(struct relay *r)
{
    switch (r->stage) {
    case STAGE_INNER_HANDSHAKE:
        fail_relay(r, AGENT_RELAY_HANDSHAKE, BH_ERR_NETWORK, "tls.handshake",
            "who connected did not complete a TLS 1.3 handshake", "too slow");
        break;
    case STAGE_CONNECT:
        close_side(r, &r->outer, false);
        r->moved = agent_loop_now(r->all->loop);
        begin_connect(r, ETIMEDOUT);
        break;
    case STAGE_OUTER_HANDSHAKE:
        fail_relay(r, AGENT_RELAY_REFUSED, BH_ERR_NETWORK, "tls.handshake",
            r->all->config.target->text, "too slow");
        break;
    case STAGE_PASS:
        fail_relay(r, AGENT_RELAY_IDLE, BH_ERR_NETWORK, "", "nothing moved", "idle for too long");
        break;
    }
}

static void
on_sweep(void *arg)
{
    struct agent_relays *all = arg;
    struct relay *r = all->first;

    while (r != NULL) {
        struct relay *next = r->next;
        if (agent_loop_now(all->loop) - r->moved > limit_of(r))
            end_overdue(r);
        r = next;
    }
    if (all->first != NULL)
        agent_loop_timer(all->loop, &all->sweep, SWEEP_MS);
}

bool
agent_relays_evict(struct agent_relays *all, int64_t at_least_ms)
{
    struct relay *oldest = NULL;
    int64_t most = at_least_ms;

    for (struct relay *r = all->first; r != NULL; r = r->next) {
        int64_t age = agent_loop_now(all->loop) - r->moved;
        if (r->stage == STAGE_INNER_HANDSHAKE)
            age *= HANDSHAKE_AGE_FACTOR;
        if (age >= most) {
            most = age;
            oldest = r;
        }
    }
    if (oldest == NULL)
        return false;
    fail_relay(oldest, AGENT_RELAY_IDLE, BH_ERR_OVERLOADED, "connections", "evicted",
        "the table of connections is full and this one was idle for longest");
    return true;
}

/* ---- the set ---- */

enum bh_err
agent_relays_new(struct agent_loop *loop, const struct agent_relay_config *config,
    struct agent_relays **ret_relays, struct bh_diag *diag)
{
    struct agent_relays *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "relay");
    all->loop = loop;
    all->config = *config;
    all->sweep.fn = on_sweep;
    all->sweep.arg = all;
    if (all->config.inner != NULL)
        (void)SSL_CTX_up_ref(all->config.inner);
    if (all->config.outer != NULL)
        (void)SSL_CTX_up_ref(all->config.outer);
    *ret_relays = all;
    return BH_OK;
}

void
agent_relays_free(struct agent_relays *all)
{
    if (all == NULL)
        return;
    agent_relays_stop(all);
    agent_loop_timer_off(all->loop, &all->sweep);
    SSL_CTX_free(all->config.inner);
    SSL_CTX_free(all->config.outer);
    free(all);
}

static void
init_side(struct relay *r, struct side *side, int fd)
{
    side->relay = r;
    side->stream.fd = fd;
    side->watch = (struct agent_watch){.fn = on_ready, .arg = side, .fd = -1};
}

enum bh_err
agent_relays_add(struct agent_relays *all, int fd, const char *peer, struct bh_diag *diag)
{
    struct relay *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        (void)close(fd);
        return bh_fail(diag, BH_ERR_NOMEM, "connection");
    }
    r->all = all;
    r->again = (struct agent_deferred){.fn = on_again, .arg = r};
    r->gone = (struct agent_deferred){.fn = free_relay, .arg = r};
    init_side(r, &r->inner, fd);
    init_side(r, &r->outer, -1);
    (void)snprintf(r->peer, sizeof(r->peer), "%s", peer);
    r->began = r->moved = agent_loop_now(all->loop);
    if (all->config.inner != NULL && !agent_stream_tls(&r->inner.stream, all->config.inner, true)) {
        agent_stream_close(&r->inner.stream, true);
        free_relay(r);
        return bh_fail(diag, BH_ERR_NOMEM, "TLS connection");
    }
    r->next = all->first;
    if (all->first != NULL)
        all->first->prev = r;
    all->first = r;
    all->count++;
    if (!all->sweep.armed)
        agent_loop_timer(all->loop, &all->sweep, SWEEP_MS);
    if (all->config.inner != NULL)
        step_inner_handshake(r);
    else
        begin_connect(r, 0);
    return BH_OK;
}

void
agent_relays_swap(struct agent_relays *all, SSL_CTX *inner)
{
    (void)SSL_CTX_up_ref(inner);
    SSL_CTX_free(all->config.inner);
    all->config.inner = inner;
}

size_t
agent_relays_count(const struct agent_relays *all)
{
    return all->count;
}

void
agent_relays_stop(struct agent_relays *all)
{
    while (all->first != NULL)
        fail_relay(all->first, AGENT_RELAY_STOPPED, BH_ERR_NETWORK, "", "closed", "the agent ends");
}
