/* SPDX-License-Identifier: Apache-2.0 */
/* The channels to frontend, verifiers and signer: linked, served, cut off. */
#include "authority.h"

#include "core/log.h"
#include "core/writer.h"

#include <stdio.h>
#include <unistd.h>

#define FRAMES_PER_ROUND 256 /* of one peer, before the others get their turn */

void
pas_peer_send(struct pas_authority *a, struct pas_link *link, uint16_t type, uint64_t id,
    struct bh_span payload)
{
    if (link == NULL || link->dead)
        return;
    link->dirty = true;
    /* It does not read. */
    if (bh_ipc_queue(link->ipc, type, id, payload) != BH_OK)
        pas_peer_give_up(a, link);
}

void
pas_peer_give_up(struct pas_authority *a, struct pas_link *link)
{
    link->dead = true;
    pas_child_cut(&a->child, link->id);
}

void
pas_answer_send(struct pas_authority *a, uint64_t request, unsigned status,
    const char *content_type, struct bh_span body)
{
    const struct pas_answer answer = {
        .status = (uint16_t)status,
        .content_type = bh_span_str(content_type),
        .body = body,
    };
    struct bh_span payload;
    struct bh_writer w;

    bh_writer_init(&w, a->frame, sizeof(a->frame));
    pas_answer_encode(&w, &answer);
    if (bh_writer_end(&w, &payload) == BH_OK)
        pas_peer_send(a, a->frontend, PAS_ANSWER, request, payload);
}

void
pas_peer_close(struct pas_authority *a, struct pas_link *link)
{
    const bool was_signer = link == a->signer;

    if (link == a->frontend)
        a->frontend = NULL;
    if (was_signer)
        a->signer = NULL;
    bh_ipc_free(link->ipc);
    *link = (struct pas_link){0};
    while (a->links_len > 0 && a->links[a->links_len - 1].ipc == NULL)
        a->links_len--;
    if (was_signer)
        pas_signer_lost(a);
}

static struct pas_link *
find(struct pas_authority *a, uint64_t id)
{
    for (size_t i = 0; i < a->links_len; i++)
        if (a->links[i].ipc != NULL && a->links[i].id == id && !a->links[i].retired)
            return &a->links[i];
    return NULL;
}

/* A verifier that is replaced may still finish what it has begun; of the others there is only one
 * at a time. */
void
pas_peer_unlink(struct pas_authority *a, uint64_t id)
{
    struct pas_link *link = find(a, id);

    if (link == NULL)
        return;
    if (PAS_LINK_ROLE(id) == PAS_VERIFIER)
        link->retired = true;
    else
        link->dead = true;
}

/* What the parent says of the new peer: a verifier's generation. */
static bool
read_link(const struct bh_ipc_msg *msg, uint64_t *ret_generation)
{
    const enum pas_role role = PAS_LINK_ROLE(msg->id);
    uint64_t generation = 0;
    struct bh_reader r;

    bh_reader_init(&r, msg->payload);
    if (role == PAS_VERIFIER)
        generation = bh_reader_u64be(&r);
    if (msg->fd < 0 || bh_reader_end(&r) != BH_OK ||
        (role != PAS_FRONTEND && role != PAS_VERIFIER && role != PAS_SIGNER))
        return false;
    *ret_generation = generation;
    return true;
}

enum bh_err
pas_peer_link(struct pas_authority *a, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    const enum pas_role role = PAS_LINK_ROLE(msg->id);
    struct pas_link *link = NULL;
    uint64_t generation;
    enum bh_err e;

    if (!read_link(msg, &generation)) {
        if (msg->fd >= 0)
            (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "ipc: LINK without a channel, or to no peer");
    }
    pas_peer_unlink(a, msg->id);
    if (role == PAS_SIGNER && a->signer != NULL)
        pas_peer_close(a, a->signer);
    for (size_t i = 0; i < PAS_LINKS_MAX && link == NULL; i++)
        if (a->links[i].ipc == NULL)
            link = &a->links[i];
    if (link == NULL || (e = bh_ipc_new(msg->fd, true, &link->ipc)) != BH_OK) {
        (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_OVERLOADED, "ipc: more than %d links", PAS_LINKS_MAX);
    }
    link->id = msg->id;
    link->generation = generation;
    if ((size_t)(link - a->links) >= a->links_len)
        a->links_len = (size_t)(link - a->links) + 1;
    if (role == PAS_FRONTEND)
        a->frontend = link;
    if (role == PAS_SIGNER) {
        a->signer = link;
        a->signer_refused = false;
    }
    return BH_OK;
}

static enum bh_err
refusal(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    struct pas_refusal r;

    if (pas_refusal_decode(msg->payload, &r) != BH_OK)
        return BH_ERR_MALFORMED;
    pas_refusal_queue(a, &r);
    return BH_OK;
}

static enum bh_err
dispatch(struct pas_authority *a, struct pas_link *link, const struct bh_ipc_msg *msg)
{
    const enum pas_role role = PAS_LINK_ROLE(link->id);

    if (msg->fd >= 0) {
        (void)close(msg->fd);
        return BH_ERR_MALFORMED;
    }
    if (!pas_msg_permitted(role, PAS_AUTHORITY, msg->type))
        return BH_ERR_FORBIDDEN;
    switch (msg->type) {
    case PAS_LOOKUP:
        return pas_lookup_handle(a, link, msg);
    case PAS_ISSUE:
    case PAS_RESULT:
        return pas_issue_handle(a, link, msg);
    case PAS_REFUSAL:
        return refusal(a, msg);
    case PAS_SIGNED:
    case PAS_NOT_SIGNED:
        return pas_signed_handle(a, msg);
    default:
        return pas_query_handle(a, msg);
    }
}

/* The peer counts as subverted; the parent is told, and replaces it. */
static void
cut_off(struct pas_authority *a, struct pas_link *link, enum bh_err err, unsigned type)
{
    struct bh_diag diag = {0};
    char check[BH_CHECK_MAX], found[32];

    (void)snprintf(check, sizeof(check), "ipc.%s", pas_role_name(PAS_LINK_ROLE(link->id)));
    (void)snprintf(found, sizeof(found), "message %u", type);
    (void)bh_refuse(&diag, err, check,
        err == BH_ERR_FORBIDDEN ? "a message that this peer may send" : "a sound message", found,
        "the channel of the peer is closed");
    bh_log_diag(BH_LOG_ERROR, "peer-refused", &diag);
    a->count.peers_refused++;
    pas_peer_give_up(a, link);
}

void
pas_peer_serve(struct pas_authority *a, struct pas_link *link)
{
    struct bh_ipc_msg msg;
    bool got = true;
    enum bh_err e;

    link->unread = false;
    for (unsigned n = 0; n < FRAMES_PER_ROUND && !link->dead; n++) {
        msg.type = 0;
        if ((e = bh_ipc_receive(link->ipc, &msg, &got)) == BH_ERR_IO) {
            link->dead = true;
            return;
        }
        if (e == BH_OK && !got)
            return;
        if (e == BH_OK)
            e = dispatch(a, link, &msg);
        if (e != BH_OK)
            cut_off(a, link, e, msg.type);
    }
    link->unread = true;
}

void
pas_peers_flush(struct pas_authority *a)
{
    for (size_t i = 0; i < a->links_len; i++) {
        struct pas_link *link = &a->links[i];

        if (link->ipc == NULL)
            continue;
        if (link->dirty && !link->dead) {
            link->dirty = false;
            link->dead = bh_ipc_flush(link->ipc, &link->more) != BH_OK;
        }
        if (link->dead)
            pas_peer_close(a, link);
    }
}
