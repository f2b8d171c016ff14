/* SPDX-License-Identifier: Apache-2.0 */
/* The frontend's life: start as ipc/README.md says, the loop over the channels, reload, drain, end.
 */
#include "frontend.h"

#include "core/log.h"
#include "ipc/child.h"
#include "sandbox/sandbox.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define TICK_MS 250
#define DRAIN_TICK_MS 20
#define LISTEN_HTTPS 1
#define CROWD 256     /* connections whose memory is worth giving back */
#define OTHER_FDS 512 /* everything but client connections */

enum ending {
    GOES_ON,
    DRAINS,
    ENDS_WELL,
    ENDS_BADLY,
};

/* A TLS message holds a private key, and lies in the channel's own buffer, which is not const. */
static void
forget(struct bh_span payload)
{
    OPENSSL_cleanse((void *)(uintptr_t)payload.ptr, payload.len);
}

/* Descriptors are what connections are made of; the limit is lowered rather than run into. */
static void
raise_descriptors(struct pas_config *config)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)config->connections + OTHER_FDS;
    char found[24];

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return;
    config->connections = limit.rlim_cur > 2 * OTHER_FDS ? (int64_t)(limit.rlim_cur - OTHER_FDS)
                                                         : (int64_t)(limit.rlim_cur / 2);
    (void)snprintf(found, sizeof(found), "%lld", (long long)config->connections);
    bh_log(BH_LOG_WARNING, "connections-lowered", "reason", "RLIMIT_NOFILE", "#connections", found,
        NULL);
}

static uint64_t
answer_ms(const struct pas_config *config)
{
    const uint64_t ms = (uint64_t)config->request_timeout * 1000;

    return ms < PAS_FE_ANSWER_MS ? ms : PAS_FE_ANSWER_MS;
}

static enum bh_err
set_up(struct pas_fe *fe, struct pas_child *child, struct bh_diag *diag)
{
    enum bh_err e;

    raise_descriptors(&child->config);
    fe->config = child->config;
    if ((e = pas_fe_handshake_start(fe, diag)) != BH_OK ||
        (e = pas_fe_tls_new(&fe->tls, diag)) != BH_OK)
        return e;
    if ((e = pas_fe_connections_new(&fe->config, &fe->metrics, &fe->connections, diag)) != BH_OK)
        return e;
    return pas_fe_hub_new(&fe->metrics, pas_fe_resume, answer_ms(&fe->config),
        fe->config.challenge_life, &fe->hub, diag);
}

static enum bh_err
take_listener(struct pas_fe *fe, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    if (msg->fd < 0 || msg->id != LISTEN_HTTPS || fe->listener >= 0) {
        if (msg->fd >= 0)
            (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "LISTEN: expected one HTTPS socket");
    }
    fe->listener = msg->fd;
    return BH_OK;
}

/* All that needs opening, up to CONFINE. */
static enum bh_err
collect(struct pas_fe *fe, struct pas_child *child, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    enum bh_err e;

    for (;;) {
        msg = (struct bh_ipc_msg){.fd = -1};
        if ((e = pas_child_next(child, &msg)) != BH_OK)
            return bh_fail(diag, e, "the control channel ended before CONFINE");
        if (msg.type == PAS_CTL_CONFINE)
            break;
        if (msg.type == PAS_CTL_LINK)
            e = pas_fe_hub_link(fe->hub, msg.id, msg.fd, diag);
        else if (msg.type == PAS_CTL_LISTEN)
            e = take_listener(fe, &msg, diag);
        else if (msg.type == PAS_CTL_TLS)
            e = pas_fe_tls_load(fe->tls, msg.payload, diag);
        else
            e = bh_fail(diag, BH_ERR_MALFORMED, "control message %u is not for the frontend",
                (unsigned)msg.type);
        if (msg.type == PAS_CTL_TLS)
            forget(msg.payload);
        if (e != BH_OK)
            return e;
    }
    if (fe->listener < 0 || !pas_fe_tls_loaded(fe->tls))
        return bh_fail(diag, BH_ERR_MALFORMED, "CONFINE came before LISTEN and TLS");
    return BH_OK;
}

static enum bh_err
confine(struct pas_fe *fe, struct pas_child *child, struct bh_diag *diag)
{
    char abi_text[16];
    enum bh_err e;
    int abi = 0;

    if ((e = pas_sandbox_restrict(PAS_FRONTEND, NULL, &abi, diag)) != BH_OK)
        return e;
    if ((e = pas_fe_server_start(fe, diag)) != BH_OK)
        return e;
    if ((e = pas_sandbox_seccomp(PAS_FRONTEND, diag)) != BH_OK)
        return e;
    (void)snprintf(abi_text, sizeof(abi_text), "%d", abi);
    bh_log(BH_LOG_INFO, "confined", "#landlock_abi", abi_text, NULL);
    return pas_child_ready(child, 0);
}

static void
reload_tls(struct pas_fe *fe, struct bh_span payload)
{
    struct bh_diag diag = {0};

    if (pas_fe_tls_load(fe->tls, payload, &diag) == BH_OK)
        bh_log(BH_LOG_INFO, "tls-reloaded", NULL);
    else
        bh_log_diag(BH_LOG_ERROR, "tls-refused", &diag);
    forget(payload);
}

static enum ending
begin_drain(struct pas_fe *fe)
{
    bh_log(BH_LOG_INFO, "draining", NULL);
    atomic_store(&fe->draining, true);
    (void)close(fe->listener);
    fe->listener = -1;
    return DRAINS;
}

static enum ending
handle_control(struct pas_fe *fe, const struct bh_ipc_msg *msg, enum ending now)
{
    struct bh_diag diag = {0};

    switch (msg->type) {
    case PAS_CTL_LINK:
        if (pas_fe_hub_link(fe->hub, msg->id, msg->fd, &diag) != BH_OK)
            bh_log_diag(BH_LOG_ERROR, "link-refused", &diag);
        return now;
    case PAS_CTL_UNLINK:
        pas_fe_hub_unlink(fe->hub, msg->id);
        return now;
    case PAS_CTL_TLS:
        reload_tls(fe, msg->payload);
        return now;
    case PAS_CTL_DRAIN:
        return now == GOES_ON ? begin_drain(fe) : now;
    default:
        if (msg->fd >= 0)
            (void)close(msg->fd);
        bh_log(BH_LOG_ERROR, "control-refused", "reason", "not a message for the frontend", NULL);
        return ENDS_BADLY;
    }
}

static enum ending
read_control(struct pas_fe *fe, struct pas_child *child, enum ending now)
{
    struct bh_ipc_msg msg;
    bool got = true;

    while (now == GOES_ON || now == DRAINS) {
        msg = (struct bh_ipc_msg){.fd = -1};
        if (bh_ipc_receive(child->control, &msg, &got) != BH_OK) {
            bh_log(BH_LOG_ERROR, "parent-gone", NULL);
            return ENDS_BADLY;
        }
        if (!got)
            return now;
        now = handle_control(fe, &msg, now);
    }
    return now;
}

/* The C library keeps what was freed, which after a crowd of connections is nearly all of it. */
static void
give_back(struct pas_fe *fe)
{
    const size_t len = pas_fe_connections_len(fe->connections);

    if (len > fe->crowd)
        fe->crowd = len;
    if (fe->crowd < CROWD || len > fe->crowd / 2)
        return;
    fe->crowd = len;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

static void
tick(struct pas_fe *fe, struct pas_child *child, enum ending now)
{
    if (pas_fe_hub_lost_authority(fe->hub))
        pas_child_lost(child, PAS_AUTHORITY);
    else
        pas_child_told(child, PAS_AUTHORITY);
    pas_fe_hub_expire(fe->hub);
    pas_fe_connections_reap(fe->connections, now == DRAINS);
    give_back(fe);
    /* No handshake that began with an old identity lasts longer than this. */
    pas_fe_tls_sweep(fe->tls, (uint64_t)fe->config.request_timeout * 2000 + 10000);
}

/* Verifiers are replaced at the parent's hands; the authority is not this process's to judge. */
static void
report_cuts(struct pas_fe *fe, struct pas_child *child)
{
    uint64_t id;

    while (pas_fe_hub_cut(fe->hub, &id))
        if (PAS_LINK_ROLE(id) == PAS_VERIFIER)
            pas_child_cut(child, id);
}

static enum ending
loop(struct pas_fe *fe, struct pas_child *child)
{
    uint64_t ticked = 0;
    enum ending now = GOES_ON;
    bool readable[PAS_FE_OTHERS];

    while (now == GOES_ON || now == DRAINS) {
        const uint64_t wait_ms = pas_fe_server_wait_ms(fe);
        const int others[PAS_FE_OTHERS] = {bh_ipc_fd(child->control),
            wait_ms > 0 ? -1 : fe->listener, fe->handshakes, pas_fe_server_fd(fe)};

        if (pas_fe_hub_step(fe->hub, others,
                pas_fe_server_patience_ms(fe, now == DRAINS                      ? DRAIN_TICK_MS
                                              : wait_ms > 0 && wait_ms < TICK_MS ? (int)wait_ms
                                                                                 : TICK_MS),
                readable) != BH_OK)
            return ENDS_BADLY;
        report_cuts(fe, child);
        if (readable[1])
            pas_fe_server_accept(fe);
        if (readable[2])
            pas_fe_handshake_resume(fe);
        pas_fe_server_turn(fe, readable[3]);
        if (readable[0])
            now = read_control(fe, child, now);
        if (pas_fe_now_ms() - ticked >= TICK_MS || now == DRAINS) {
            ticked = pas_fe_now_ms();
            tick(fe, child, now);
        }
        if (now == GOES_ON && pas_child_is_cut_off(child))
            return ENDS_BADLY;
        if (now == DRAINS && pas_fe_connections_len(fe->connections) == 0)
            now = ENDS_WELL;
    }
    return now;
}

static void
tear_down(struct pas_fe *fe)
{
    if (fe->hub != NULL)
        pas_fe_hub_abandon(fe->hub);
    pas_fe_handshake_stop(fe);
    pas_fe_server_stop(fe);
    if (fe->listener >= 0)
        (void)close(fe->listener);
    if (fe->handshakes >= 0)
        (void)close(fe->handshakes);
    (void)pthread_mutex_destroy(&fe->parking);
    pas_fe_hub_free(fe->hub);
    pas_fe_connections_free(fe->connections);
    pas_fe_tls_free(fe->tls);
    free(fe);
}

int
pas_frontend_main(void)
{
    struct pas_child child = {0};
    struct bh_diag diag = {0};
    struct pas_fe *fe = calloc(1, sizeof(*fe));
    int code;

    if (fe == NULL)
        return 1;
    fe->listener = fe->handshakes = -1;
    (void)pthread_mutex_init(&fe->parking, NULL);
    if (pas_child_start(PAS_FRONTEND, &child, &diag) != BH_OK ||
        set_up(fe, &child, &diag) != BH_OK || collect(fe, &child, &diag) != BH_OK ||
        confine(fe, &child, &diag) != BH_OK) {
        code = pas_child_failed(&child, &diag);
    } else {
        code = loop(fe, &child) == ENDS_WELL ? 0 : 1;
        bh_log(BH_LOG_INFO, "stopped", NULL);
    }
    tear_down(fe);
    bh_ipc_free(child.control);
    return code;
}
