/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier.h"

#include "core/text.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define WAIT_MS 10000

static enum bh_err
send_lookup(struct pas_verifier *v, uint64_t id, const struct pas_lookup *m)
{
    uint8_t buf[512];
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    if (v->authority == NULL)
        return BH_ERR_OVERLOADED;
    bh_writer_init(&w, buf, sizeof(buf));
    pas_lookup_encode(&w, m);
    if ((e = bh_writer_end(&w, &payload)) != BH_OK)
        return e;
    return bh_ipc_send(v->authority, PAS_LOOKUP, id, payload, -1);
}

enum bh_err
pas_ask_challenge(struct pas_verifier *v, struct pas_slot *slot)
{
    const struct pas_lookup m = {
        .kind = PAS_LOOKUP_CHALLENGE,
        .appraisal = slot->appraisal,
        .challenge = bh_span(slot->body.challenge, slot->body.challenge_len),
    };

    return send_lookup(v, slot->id, &m);
}

/* The authority's refusal, or that it sent something else. */
static enum bh_err
take_refusal(const struct pas_value *value, struct bh_diag *diag)
{
    struct bh_diag said;

    if (pas_diag_decode(value->value, &said) != BH_OK || said.err != (enum bh_err)value->err)
        return BH_ERR_MALFORMED;
    if (diag != NULL && diag->err == BH_OK)
        *diag = said;
    return BH_OK;
}

enum bh_err
pas_value_take(struct pas_verifier *v, const struct bh_ipc_msg *msg)
{
    struct pas_value value;

    if (pas_value_decode(msg->payload, &value) != BH_OK)
        return BH_ERR_MALFORMED;
    for (size_t i = 0; i < PAS_SLOTS; i++) {
        struct pas_slot *slot = &v->slots[i];

        if (!slot->used || slot->answered || slot->id != msg->id)
            continue;
        if (value.err != BH_OK && take_refusal(&value, &slot->diag) != BH_OK)
            return BH_ERR_MALFORMED;
        slot->answered = true;
        return BH_OK;
    }
    return BH_OK; /* of a request that a lost frontend took with it */
}

static enum bh_err
wait_for_authority(struct pas_verifier *v)
{
    struct pollfd p = {.fd = bh_ipc_fd(v->authority), .events = POLLIN};
    bool more = true;
    int n;

    if (bh_ipc_flush(v->authority, &more) != BH_OK)
        return BH_ERR_IO;
    if (more)
        p.events |= POLLOUT;
    do
        n = poll(&p, 1, WAIT_MS);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return BH_ERR_IO;
    bh_ipc_polled(v->authority);
    return BH_OK;
}

/* The VALUE under the judged slot's id; those of other slots are kept for later. */
static enum bh_err
wait_for_value(struct pas_verifier *v, struct pas_value *ret_value)
{
    struct bh_ipc_msg msg;
    bool got;

    v->authority_waited = true;
    for (;;) {
        if (bh_ipc_receive(v->authority, &msg, &got) != BH_OK)
            return BH_ERR_IO;
        if (!got) {
            if (wait_for_authority(v) != BH_OK)
                return BH_ERR_IO;
            continue;
        }
        if (msg.fd >= 0)
            (void)close(msg.fd);
        if (msg.fd >= 0 || msg.type != PAS_VALUE)
            return BH_ERR_MALFORMED;
        if (msg.id == v->judged->id)
            return pas_value_decode(msg.payload, ret_value);
        if (pas_value_take(v, &msg) != BH_OK)
            return BH_ERR_MALFORMED;
    }
}

/* The keys are SHA-256: any of their bytes spread well. */
static size_t
place_of(const uint8_t key[32])
{
    return (((size_t)key[0] << 8) | key[1]) % PAS_CACHED;
}

static enum bh_err
ask(struct pas_verifier *v, const char *platform, const uint8_t key[32],
    struct ev_endorsement *ret_e, struct bh_diag *diag)
{
    const struct pas_lookup m = {
        .kind = PAS_LOOKUP_ENDORSEMENT,
        .appraisal = v->judged->appraisal,
        .challenge = bh_span(v->judged->body.challenge, v->judged->body.challenge_len),
        .platform = bh_span_str(platform),
        .key = bh_span(key, 32),
    };
    struct pas_value value;
    enum bh_err e;

    if ((e = send_lookup(v, v->judged->id, &m)) != BH_OK ||
        (e = wait_for_value(v, &value)) != BH_OK) {
        /* Whether it hangs, ended or talks nonsense: this channel is of no more use. */
        bh_ipc_free(v->authority);
        v->authority = NULL;
        pas_child_lost(&v->child, PAS_AUTHORITY);
        return bh_fail(diag, BH_ERR_INTERNAL, "the authority did not answer");
    }
    if (value.err == BH_OK)
        return ev_endorsement_decode(value.value, ret_e, diag);
    if (take_refusal(&value, diag) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "the authority's refusal does not decode");
    return (enum bh_err)value.err;
}

enum bh_err
pas_lookup_endorsement(void *arg, const char *platform, const uint8_t key[32],
    struct ev_endorsement *ret_e, struct bh_diag *diag)
{
    struct pas_verifier *v = arg;
    const size_t at = place_of(key);
    const int64_t now = v->ground.trust.now;
    enum bh_err e;

    if (v->cached[at].until > now && memcmp(v->cached[at].key, key, 32) == 0) {
        *ret_e = v->cached[at].value;
        return BH_OK;
    }
    if ((e = ask(v, platform, key, ret_e, diag)) != BH_OK)
        return e;
    memcpy(v->cached[at].key, key, 32);
    v->cached[at].value = *ret_e;
    v->cached[at].until = now + PAS_CACHED_S;
    return BH_OK;
}
