/* SPDX-License-Identifier: Apache-2.0 */
/* The process: its start, its loop, its end. */
#include "verifier.h"

#include "core/log.h"
#include "core/x509.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUIET_MS 250 /* after which a drained frontend sends nothing more */

/* ---- links ---- */

static enum bh_err
take_link(struct pas_verifier *v, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    struct bh_ipc **end = NULL;
    enum bh_err e;

    if (PAS_LINK_ROLE(msg->id) == PAS_FRONTEND)
        end = &v->frontend;
    else if (PAS_LINK_ROLE(msg->id) == PAS_AUTHORITY)
        end = &v->authority;
    if (end == NULL || msg->fd < 0) {
        if (msg->fd >= 0)
            (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "LINK of a peer that a verifier does not have");
    }
    bh_ipc_free(*end);
    *end = NULL;
    if ((e = bh_ipc_new(msg->fd, true, end)) != BH_OK) {
        (void)close(msg->fd);
        return bh_fail(diag, e, "link");
    }
    return BH_OK;
}

/* What waits on the authority will get no answer. */
static void
fail_waiting(struct pas_verifier *v)
{
    for (size_t i = 0; i < PAS_SLOTS; i++) {
        struct bh_diag diag = {0};

        if (!v->slots[i].used || v->slots[i].answered)
            continue;
        (void)bh_fail(&diag, BH_ERR_INTERNAL, "the authority ended before it answered");
        pas_refuse(v, &v->slots[i], &diag);
    }
}

static void
drop_authority(struct pas_verifier *v)
{
    bh_ipc_free(v->authority);
    v->authority = NULL;
    pas_child_lost(&v->child, PAS_AUTHORITY);
    fail_waiting(v);
}

static void
drop_frontend(struct pas_verifier *v)
{
    bh_ipc_free(v->frontend);
    v->frontend = NULL;
    pas_child_lost(&v->child, PAS_FRONTEND);
    for (size_t i = 0; i < PAS_SLOTS; i++)
        if (v->slots[i].used)
            pas_slot_free(&v->slots[i]);
}

/* ---- requests ---- */

static struct pas_slot *
free_slot(struct pas_verifier *v)
{
    for (size_t i = 0; i < PAS_SLOTS; i++)
        if (!v->slots[i].used)
            return &v->slots[i];
    return NULL;
}

enum bh_err
pas_request_take(struct pas_verifier *v, const struct bh_ipc_msg *msg)
{
    struct pas_slot *slot = free_slot(v);
    struct pas_request request;
    struct bh_diag diag = {0};
    enum bh_err e;

    if (slot == NULL || msg->fd >= 0 || !pas_msg_permitted(PAS_FRONTEND, PAS_VERIFIER, msg->type) ||
        pas_request_decode(msg->payload, &request) != BH_OK)
        return BH_ERR_MALFORMED;
    slot->used = true;
    slot->id = msg->id;
    slot->appraisal = msg->type == PAS_APPRAISE;
    if (request.peer.len < sizeof(slot->peer))
        memcpy(slot->peer, request.peer.ptr, request.peer.len);
    if ((e = pas_body_read(request.body, slot->appraisal, &slot->body, &diag)) != BH_OK) {
        pas_refuse(v, slot, &diag);
        return BH_OK;
    }
    if (slot->body.challenge_len == 0) {
        slot->answered = true; /* an appraisal without: nothing to ask */
        return BH_OK;
    }
    if ((e = pas_ask_challenge(v, slot)) != BH_OK) {
        (void)bh_fail(&diag, BH_ERR_OVERLOADED, "the authority is being restarted");
        pas_refuse(v, slot, &diag);
        drop_authority(v);
    }
    return BH_OK;
}

void
pas_judge_due(struct pas_verifier *v)
{
    for (size_t i = 0; i < PAS_SLOTS; i++) {
        struct pas_slot *slot = &v->slots[i];

        if (!slot->used || !slot->answered)
            continue;
        if (slot->diag.err != BH_OK) {
            const struct bh_diag diag = slot->diag;
            pas_refuse(v, slot, &diag);
        } else {
            pas_judge(v, slot);
        }
        /* A lookup may have found the authority gone, which the others wait for, too. */
        if (v->authority == NULL)
            fail_waiting(v);
    }
}

/* ---- start ---- */

static enum bh_err
take_snapshot(struct pas_verifier *v, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    struct bh_span bytes = bh_span_none();
    enum bh_err e;

    if (msg->fd < 0 || v->ground.generation != 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "SNAPSHOT without a descriptor, or a second one");
    if ((e = pas_snapshot_map(msg->fd, &bytes, diag)) == BH_OK)
        e = pas_ground_read(bytes, &v->child.config, &v->ground, diag);
    if (pas_ground_borrows(&v->ground))
        v->ground.mapped = bytes; /* shared by all who judge by it: no copy of their own */
    else
        pas_snapshot_unmap(bytes);
    v->ground.generation = msg->id;
    v->ground.trust.lookup = pas_lookup_endorsement;
    v->ground.trust.lookup_arg = v;
    return e;
}

/* The parent's messages up to CONFINE. @p ret_refused: the snapshot is what failed. */
static enum bh_err
collect(struct pas_verifier *v, bool *ret_refused, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    enum bh_err e;

    for (;;) {
        if ((e = pas_child_next(&v->child, &msg)) != BH_OK)
            return bh_fail(diag, e, "the parent's channel ended before CONFINE");
        if (msg.type == PAS_CTL_LINK) {
            if ((e = take_link(v, &msg, diag)) != BH_OK)
                return e;
            continue;
        }
        if (msg.type == PAS_CTL_SNAPSHOT) {
            e = take_snapshot(v, &msg, diag);
            *ret_refused = e != BH_OK;
        }
        if (msg.fd >= 0)
            (void)close(msg.fd);
        if (e != BH_OK)
            return e;
        if (msg.type == PAS_CTL_CONFINE)
            break;
    }
    if (v->ground.generation == 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "CONFINE came before SNAPSHOT");
    return BH_OK;
}

/* Algorithms are fetched and the generator seeded before files are out of reach. */
static enum bh_err
warm_up(struct bh_diag *diag)
{
    uint8_t digest[64];
    uint8_t random[16];
    enum bh_err e;

    if ((e = bh_random(random, sizeof(random))) != BH_OK ||
        (e = bh_sha2(256, bh_span(random, sizeof(random)), digest)) != BH_OK ||
        (e = bh_sha2(384, bh_span(random, sizeof(random)), digest)) != BH_OK ||
        (e = bh_sha2(512, bh_span(random, sizeof(random)), digest)) != BH_OK)
        return bh_fail(diag, e, "OpenSSL does not work");
    return BH_OK;
}

static enum bh_err
start(struct pas_verifier *v, bool *ret_refused, struct bh_diag *diag)
{
    enum bh_err e;
    int abi = 0;

    if ((e = pas_child_start(PAS_VERIFIER, &v->child, diag)) != BH_OK ||
        (e = warm_up(diag)) != BH_OK || (e = collect(v, ret_refused, diag)) != BH_OK ||
        (e = pas_sandbox_restrict(PAS_VERIFIER, NULL, &abi, diag)) != BH_OK ||
        (e = pas_sandbox_seccomp(PAS_VERIFIER, diag)) != BH_OK)
        return e;
    return pas_child_ready(&v->child, v->ground.generation);
}

/* ---- work ---- */

/* The parent says that it is gone. */
static void
replace_peer(struct pas_verifier *v, enum pas_role role)
{
    if (role == PAS_AUTHORITY)
        drop_authority(v);
    else if (role == PAS_FRONTEND)
        drop_frontend(v);
    else
        return;
    pas_child_told(&v->child, role);
}

/* False: this process ends. */
static bool
hear_parent(struct pas_verifier *v)
{
    struct bh_diag diag = {0};
    struct bh_ipc_msg msg;
    bool got = true;

    while (got) {
        if (bh_ipc_receive(v->child.control, &msg, &got) != BH_OK)
            return false;
        if (!got)
            return true;
        if (msg.type == PAS_CTL_LINK || msg.type == PAS_CTL_UNLINK)
            replace_peer(v, PAS_LINK_ROLE(msg.id));
        if (msg.type == PAS_CTL_LINK) {
            if (take_link(v, &msg, &diag) != BH_OK)
                return false;
        } else if (msg.type == PAS_CTL_DRAIN) {
            v->draining = true;
        } else if (msg.fd >= 0) {
            (void)close(msg.fd);
        }
    }
    return true;
}

static void
hear_authority(struct pas_verifier *v)
{
    struct bh_ipc_msg msg;
    bool got = true;

    while (v->authority != NULL && got) {
        if (bh_ipc_receive(v->authority, &msg, &got) != BH_OK) {
            drop_authority(v);
            return;
        }
        if (!got)
            return;
        if (msg.fd >= 0)
            (void)close(msg.fd);
        if (msg.fd >= 0 || !pas_msg_permitted(PAS_AUTHORITY, PAS_VERIFIER, msg.type) ||
            pas_value_take(v, &msg) != BH_OK) {
            bh_log(BH_LOG_ERROR, "peer-subverted", "peer", "authority", NULL);
            drop_authority(v);
        }
    }
}

static void
hear_frontend(struct pas_verifier *v)
{
    struct bh_ipc_msg msg;
    bool got = true;

    v->frontend_waits = false;
    while (v->frontend != NULL) {
        if (free_slot(v) == NULL) {
            v->frontend_waits = true;
            return;
        }
        if (bh_ipc_receive(v->frontend, &msg, &got) != BH_OK) {
            drop_frontend(v);
            return;
        }
        if (!got)
            return;
        if (pas_request_take(v, &msg) != BH_OK) {
            if (msg.fd >= 0)
                (void)close(msg.fd);
            bh_log(BH_LOG_ERROR, "peer-subverted", "peer", "frontend", NULL);
            drop_frontend(v);
        }
    }
}

/* @p later: what waits to be sent is not sent now. */
static struct pollfd
want(struct bh_ipc *ipc, bool reads, bool later)
{
    struct pollfd p = {.fd = -1};
    bool more = false;

    if (ipc == NULL)
        return p;
    p.fd = bh_ipc_fd(ipc);
    p.events = reads ? POLLIN : 0;
    /* A failure shows as the end of the channel in the next read. */
    if (!later && bh_ipc_flush(ipc, &more) == BH_OK && more)
        p.events |= POLLOUT;
    return p;
}

static bool
is_idle(const struct pas_verifier *v)
{
    for (size_t i = 0; i < PAS_SLOTS; i++)
        if (v->slots[i].used)
            return false;
    return true;
}

static bool
is_due(const struct pas_verifier *v)
{
    for (size_t i = 0; i < PAS_SLOTS; i++)
        if (v->slots[i].used && v->slots[i].answered)
            return true;
    return false;
}

static int
work(struct pas_verifier *v)
{
    bool late = false; /* something is there to do that poll() does not see */

    for (;;) {
        struct pollfd p[3] = {want(v->child.control, true, false), want(v->authority, true, false),
            want(v->frontend, free_slot(v) != NULL, !is_idle(v))};
        const int patience = v->draining ? QUIET_MS : pas_child_patience(&v->child, -1);
        const int n = poll(p, 3, late ? 0 : patience);

        if (n < 0 && errno != EINTR)
            return 1;
        if (v->draining && !late && is_idle(v) && (n == 0 || v->frontend == NULL))
            return 0;
        if (p[0].revents != 0 && !hear_parent(v))
            return 1;
        /* Frames may also lie in a buffer: behind the one that a lookup waited for, or behind a
         * full set of slots. */
        if (p[1].revents != 0 && v->authority != NULL)
            bh_ipc_polled(v->authority);
        if (p[1].revents != 0 || v->authority_waited)
            hear_authority(v);
        v->authority_waited = false;
        if (p[2].revents != 0 && v->frontend != NULL)
            bh_ipc_polled(v->frontend);
        if (p[2].revents != 0 || v->frontend_waits)
            hear_frontend(v);
        pas_judge_due(v);
        if (v->frontend_waits)
            hear_frontend(v);
        if (!v->draining && pas_child_is_cut_off(&v->child))
            return 1;
        late = v->authority_waited || (v->frontend_waits && free_slot(v) != NULL) || is_due(v);
    }
}

int
pas_verifier_main(void)
{
    struct pas_verifier *v = calloc(1, sizeof(*v));
    struct bh_diag diag = {0};
    bool refused = false;
    int code;

    if (v == NULL)
        return 1;
    if (start(v, &refused, &diag) == BH_OK) {
        code = work(v);
    } else if (refused && pas_child_refused(&v->child, v->ground.generation, &diag) == BH_OK) {
        code = 1;
    } else {
        code = pas_child_failed(&v->child, &diag);
    }
    for (size_t i = 0; i < PAS_SLOTS; i++)
        pas_slot_free(&v->slots[i]);
    pas_ground_clear(&v->ground);
    bh_ipc_free(v->frontend);
    bh_ipc_free(v->authority);
    bh_ipc_free(v->child.control);
    free(v);
    return code;
}
