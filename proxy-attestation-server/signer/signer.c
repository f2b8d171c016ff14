/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's process: the only holder of the issuing key. It talks to the parent and to the
 * authority, one request at a time; answers leave when no further request waits.
 */
#include "ipc/child.h"
#include "sandbox/sandbox.h"
#include "signer/requests.h"

#include "core/cose.h"
#include "core/log.h"
#include "core/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINKS_MAX 4
#define DRAIN_MS 2000
#define BATCH_MAX 64 /* requests of one link before the others get their turn */

struct link {
    uint64_t id;
    struct bh_ipc *ipc; /* NULL: free */
    bool more;          /* output waits for room */
    bool unread; /* a whole request may wait in the channel's buffer, where poll() sees none */
};

struct signer {
    struct pas_child child;
    struct pas_issuing *issuing;
    struct pas_signing signing;
    struct link links[LINKS_MAX];
    bool draining;
};

static void
unlink_peer(struct signer *s, uint64_t id)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (s->links[i].ipc == NULL || s->links[i].id != id)
            continue;
        bh_ipc_free(s->links[i].ipc);
        s->links[i] = (struct link){0};
    }
}

static enum bh_err
link_peer(struct signer *s, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    enum bh_err e;

    if (msg->fd < 0 || PAS_LINK_ROLE(msg->id) != PAS_AUTHORITY) {
        if (msg->fd >= 0)
            (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "ipc: a LINK without a channel of the authority");
    }
    unlink_peer(s, msg->id);
    pas_child_told(&s->child, PAS_AUTHORITY);
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (s->links[i].ipc != NULL)
            continue;
        if ((e = bh_ipc_new(msg->fd, true, &s->links[i].ipc)) != BH_OK) {
            (void)close(msg->fd);
            return bh_fail(diag, e, "link");
        }
        s->links[i].id = msg->id;
        return BH_OK;
    }
    (void)close(msg->fd);
    return bh_fail(diag, BH_ERR_OVERLOADED, "ipc: more than %d links", LINKS_MAX);
}

static enum bh_err
take_control(struct signer *s, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    if (msg->type == PAS_CTL_LINK)
        return link_peer(s, msg, diag);
    if (msg->fd >= 0)
        (void)close(msg->fd);
    if (msg->type == PAS_CTL_UNLINK) {
        unlink_peer(s, msg->id);
        pas_child_told(&s->child, PAS_AUTHORITY);
        return BH_OK;
    }
    if (msg->type == PAS_CTL_DRAIN) {
        s->draining = true;
        return BH_OK;
    }
    return bh_fail(diag, BH_ERR_MALFORMED, "ipc: control message %u", msg->type);
}

/* ---- start ---- */

static enum bh_err
confine(struct bh_diag *diag)
{
    int abi = 0;
    enum bh_err e;

    if ((e = pas_sandbox_restrict(PAS_SIGNER, NULL, &abi, diag)) != BH_OK)
        return e;
    return pas_sandbox_seccomp(PAS_SIGNER, diag);
}

/* The first signature fetches algorithms and seeds the generator: before files are out of reach. */
static enum bh_err
warm_up(struct signer *s, struct bh_diag *diag)
{
    uint8_t signature[PAS_SIGNATURE_MAX], raw[132];
    size_t len = 0;
    enum bh_err e;

    if ((e = pas_issuing_sign(s->issuing, bh_span_str("x"), signature, &len)) != BH_OK)
        return bh_fail(diag, e, "OpenSSL does not sign with the issuing key");
    e = bh_ecdsa_sign(s->issuing->key, bh_span_str("x"), raw, &len, diag);
    (void)bh_time_now();
    return e;
}

static enum bh_err
start(struct signer *s, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    enum bh_err e;

    if ((e = pas_child_start(PAS_SIGNER, &s->child, diag)) != BH_OK ||
        (e = pas_issuing_load(s->child.dir, &s->child.config, bh_time_now(), &s->issuing, diag)) !=
            BH_OK ||
        (e = warm_up(s, diag)) != BH_OK)
        return e;
    s->signing.issuing = s->issuing;
    for (;;) {
        if ((e = pas_child_next(&s->child, &msg)) != BH_OK)
            return bh_fail(diag, e, "ipc: the parent's channel ended before CONFINE");
        if (msg.type == PAS_CTL_CONFINE)
            break;
        if ((e = take_control(s, &msg, diag)) != BH_OK)
            return e;
    }
    if (msg.fd >= 0)
        (void)close(msg.fd);
    if ((e = confine(diag)) != BH_OK)
        return e;
    if ((e = pas_child_ready(&s->child, 0)) != BH_OK)
        return bh_fail(diag, e, "ipc: READY");
    return BH_OK;
}

/* ---- work ---- */

/* False when the peer is gone or sent what no authority sends. */
static bool
answer(struct signer *s, struct link *link, const struct bh_ipc_msg *msg)
{
    uint8_t refusal[sizeof(struct bh_diag) + 64];
    struct bh_diag diag = {0};
    struct bh_span reply = bh_span_none();
    struct bh_writer w;
    enum bh_err e;

    if (msg->fd >= 0) {
        (void)close(msg->fd);
        return false;
    }
    if (!pas_msg_permitted(PAS_AUTHORITY, PAS_SIGNER, msg->type)) {
        (void)bh_fail(&diag, BH_ERR_MALFORMED, "ipc: message %u of the authority", msg->type);
        bh_log_diag(BH_LOG_ERROR, "peer-refused", &diag);
        return false;
    }
    s->signing.now = bh_time_now();
    e = pas_signing_serve(&s->signing, msg->type, msg->payload, &reply, &diag);
    if (e == BH_OK)
        return bh_ipc_queue(link->ipc, PAS_SIGNED, msg->id, reply) == BH_OK;
    bh_log_diag(BH_LOG_WARNING, "not-signed", &diag);
    if (e == BH_ERR_MALFORMED)
        return false;
    bh_writer_init(&w, refusal, sizeof(refusal));
    pas_diag_encode(&w, &diag);
    return bh_writer_end(&w, &reply) == BH_OK &&
           bh_ipc_queue(link->ipc, PAS_NOT_SIGNED, msg->id, reply) == BH_OK;
}

static void
serve_link(struct signer *s, struct link *link)
{
    struct bh_ipc_msg msg;
    bool got = true, good = true;

    for (size_t n = 0; good && got && n < BATCH_MAX; n++) {
        good = bh_ipc_receive(link->ipc, &msg, &got) == BH_OK;
        if (good && got)
            good = answer(s, link, &msg);
    }
    link->unread = got;
    if (good)
        good = bh_ipc_flush(link->ipc, &link->more) == BH_OK;
    if (good)
        return;
    unlink_peer(s, link->id);
    pas_child_lost(&s->child, PAS_AUTHORITY);
}

/* BH_ERR_IO: the parent is gone. */
static enum bh_err
serve_control(struct signer *s, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    bool got = true;
    enum bh_err e;

    for (;;) {
        if ((e = bh_ipc_receive(s->child.control, &msg, &got)) != BH_OK)
            return bh_fail(diag, e, "ipc: the parent's channel ended");
        if (!got)
            return BH_OK;
        if ((e = take_control(s, &msg, diag)) != BH_OK)
            return e;
    }
}

static enum bh_err
wait_and_serve(struct signer *s, struct bh_diag *diag)
{
    struct pollfd p[1 + LINKS_MAX];
    bool unread = false;

    p[0] = (struct pollfd){.fd = bh_ipc_fd(s->child.control), .events = POLLIN};
    for (size_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = &s->links[i];
        p[1 + i] = (struct pollfd){.fd = link->ipc != NULL ? bh_ipc_fd(link->ipc) : -1,
            .events = (short)(POLLIN | (link->more ? POLLOUT : 0))};
        unread = unread || link->unread;
    }
    if (poll(p, BH_COUNT(p), unread ? 0 : pas_child_patience(&s->child, -1)) < 0)
        return errno == EINTR ? BH_OK : bh_fail(diag, BH_ERR_INTERNAL, "poll");
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (s->links[i].ipc != NULL && (p[1 + i].revents != 0 || s->links[i].unread)) {
            if (p[1 + i].revents != 0)
                bh_ipc_polled(s->links[i].ipc);
            serve_link(s, &s->links[i]);
        }
    return p[0].revents != 0 ? serve_control(s, diag) : BH_OK;
}

/* After DRAIN: what has arrived is answered, and the answers leave. */
static void
finish(struct signer *s)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &s->links[i];

        while (link->ipc != NULL) {
            struct pollfd p = {.fd = bh_ipc_fd(link->ipc), .events = POLLOUT};

            bh_ipc_polled(link->ipc);
            serve_link(s, link);
            if (link->ipc == NULL || (!link->unread && !link->more))
                break;
            if (link->more && poll(&p, 1, DRAIN_MS) <= 0)
                break;
        }
    }
}

int
pas_signer_main(void)
{
    struct signer *s = calloc(1, sizeof(*s));
    struct bh_diag diag = {0};
    int code = 0;

    if (s == NULL)
        return 1;
    if (start(s, &diag) != BH_OK) {
        code = pas_child_failed(&s->child, &diag);
        goto out;
    }
    while (!s->draining) {
        if (pas_child_is_cut_off(&s->child)) {
            code = 1;
            break;
        }
        if (wait_and_serve(s, &diag) != BH_OK) {
            bh_log_diag(BH_LOG_ERROR, "stopped", &diag);
            code = 1;
            break;
        }
    }
    if (s->draining)
        finish(s);
out:
    for (size_t i = 0; i < LINKS_MAX; i++)
        bh_ipc_free(s->links[i].ipc);
    pas_issuing_free(s->issuing);
    bh_ipc_free(s->child.control);
    free(s);
    return code;
}
