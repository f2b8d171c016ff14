/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/child.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define CUT_OFF_MS 2000

static const char *const role_names[PAS_ROLES] = {
    [PAS_PARENT] = "parent",
    [PAS_FRONTEND] = "frontend",
    [PAS_VERIFIER] = "verifier",
    [PAS_AUTHORITY] = "authority",
    [PAS_SIGNER] = "signer",
};

const char *
pas_role_name(enum pas_role role)
{
    return (unsigned)role < PAS_ROLES ? role_names[role] : "unknown";
}

static enum bh_err
take_start(struct pas_child *child, struct bh_diag *diag)
{
    struct pas_start start;
    struct bh_ipc_msg msg;
    enum bh_err e;

    if ((e = pas_child_next(child, &msg)) != BH_OK)
        return bh_fail(diag, e, "ipc: no START from the parent");
    if (msg.fd >= 0)
        (void)close(msg.fd);
    if (msg.type != PAS_CTL_START || pas_start_decode(msg.payload, &start) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "ipc: message %u where START was due", msg.type);
    child->index = start.index;
    memcpy(child->dir, start.dir.ptr, start.dir.len);
    return pas_config_parse(start.config, &child->config, diag);
}

enum bh_err
pas_child_start(enum pas_role role, struct pas_child *child, struct bh_diag *diag)
{
    char name[16];
    enum bh_err e;

    memset(child, 0, sizeof(*child));
    child->role = role;
    bh_log_init(pas_role_name(role), BH_LOG_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Ctrl-C and service managers signal the whole group; the parent says when a child ends. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    if (fcntl(PAS_CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0)
        return bh_fail(diag, BH_ERR_USAGE,
            "descriptor %d is no control channel: the %s is started "
            "by `beachhead-server run`",
            PAS_CONTROL_FD, pas_role_name(role));
    /* After the execution of /proc/self/exe it would be "exe". */
    (void)snprintf(name, sizeof(name), "bh-%s", pas_role_name(role));
    (void)prctl(PR_SET_NAME, name);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "prctl: %s", strerror(errno));
    if ((e = bh_ipc_new(PAS_CONTROL_FD, false, &child->control)) != BH_OK)
        return bh_fail(diag, e, "control channel");
    return take_start(child, diag);
}

enum bh_err
pas_child_next(struct pas_child *child, struct bh_ipc_msg *ret_msg)
{
    bool got = false;
    enum bh_err e;

    while (!got)
        if ((e = bh_ipc_receive(child->control, ret_msg, &got)) != BH_OK)
            return e;
    if (pas_msg_permitted(PAS_PARENT, child->role, ret_msg->type))
        return BH_OK;
    if (ret_msg->fd >= 0)
        (void)close(ret_msg->fd);
    return BH_ERR_MALFORMED;
}

enum bh_err
pas_child_ready(struct pas_child *child, uint64_t generation)
{
    enum bh_err e;

    if ((e = bh_ipc_send(child->control, PAS_CTL_READY, generation, bh_span_none(), -1)) != BH_OK)
        return e;
    bh_ipc_set_nonblocking(child->control, true);
    return BH_OK;
}

static enum bh_err
send_diag(struct pas_child *child, uint16_t type, uint64_t generation, const struct bh_diag *diag)
{
    uint8_t buf[sizeof(*diag) + 16];
    struct bh_diag none = {.err = BH_ERR_INTERNAL};
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    bh_writer_init(&w, buf, sizeof(buf));
    pas_diag_encode(&w, diag->err != BH_OK ? diag : &none);
    if ((e = bh_writer_end(&w, &payload)) != BH_OK)
        return e;
    return bh_ipc_send(child->control, type, generation, payload, -1);
}

enum bh_err
pas_child_refused(struct pas_child *child, uint64_t generation, const struct bh_diag *diag)
{
    return send_diag(child, PAS_CTL_REFUSED, generation, diag);
}

void
pas_child_cut(struct pas_child *child, uint64_t link_id)
{
    if (bh_ipc_send(child->control, PAS_CTL_CUT, link_id, bh_span_none(), -1) != BH_OK)
        bh_log(BH_LOG_ERROR, "not-told", "role", "parent", NULL);
}

int
pas_child_failed(struct pas_child *child, const struct bh_diag *diag)
{
    /* The parent logs what it was told; only a child without a channel speaks for itself. */
    if (child->control == NULL || send_diag(child, PAS_CTL_FAILED, 0, diag) != BH_OK)
        bh_log_diag(BH_LOG_ERROR, "failed", diag);
    return 1;
}

static int64_t
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
pas_child_lost(struct pas_child *child, enum pas_role peer)
{
    if (child->cut_off[peer] == 0)
        child->cut_off[peer] = now_ms() + CUT_OFF_MS;
}

void
pas_child_told(struct pas_child *child, enum pas_role peer)
{
    child->cut_off[peer] = 0;
}

bool
pas_child_is_cut_off(const struct pas_child *child)
{
    for (size_t i = 0; i < PAS_ROLES; i++) {
        if (child->cut_off[i] == 0 || now_ms() < child->cut_off[i])
            continue;
        bh_log(BH_LOG_ERROR, "cut-off", "peer", pas_role_name((enum pas_role)i), NULL);
        return true;
    }
    return false;
}

int
pas_child_patience(const struct pas_child *child, int timeout_ms)
{
    for (size_t i = 0; i < PAS_ROLES; i++) {
        int64_t left;

        if (child->cut_off[i] == 0)
            continue;
        left = child->cut_off[i] - now_ms();
        if (left <= 0)
            return 0;
        if (timeout_ms < 0 || left < timeout_ms)
            timeout_ms = (int)left;
    }
    return timeout_ms;
}
