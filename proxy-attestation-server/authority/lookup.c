/* SPDX-License-Identifier: Apache-2.0 */
/* LOOKUP: a challenge's soundness, and endorsed keys. */
#include "authority.h"

#include "core/writer.h"

static enum bh_err
look_up(struct pas_authority *a, const struct pas_lookup *m, uint8_t *value, size_t *ret_len,
    struct bh_diag *diag)
{
    int64_t expires_at;
    enum bh_err e;

    /* Only an appraisal may come without: an enrolment must not cost a lookup before its challenge
     * is known to be ours. */
    if (!(m->appraisal && m->challenge.len == 0) &&
        (e = pas_challenge_check(&a->challenges, m->challenge, a->now, &expires_at, diag)) != BH_OK)
        return e;
    if (m->kind == PAS_LOOKUP_CHALLENGE)
        return BH_OK;
    e = pas_store_endorsement(a->store, m->key.ptr, value, EV_ENDORSEMENT_MAX, ret_len, diag);
    if (e == BH_ERR_IO)
        a->count.store_errors++;
    return e;
}

enum bh_err
pas_lookup_handle(struct pas_authority *a, struct pas_link *link, const struct bh_ipc_msg *msg)
{
    uint8_t value[EV_ENDORSEMENT_MAX], refusal[sizeof(struct bh_diag) + 64];
    uint8_t frame[sizeof(value) + sizeof(refusal) + 64];
    struct pas_value answer = {.err = BH_OK};
    struct bh_diag diag = {0};
    struct pas_lookup m;
    struct bh_span payload;
    struct bh_writer w;
    size_t len = 0;

    if (pas_lookup_decode(msg->payload, &m) != BH_OK ||
        (m.kind == PAS_LOOKUP_ENDORSEMENT && m.key.len != PAS_STORE_HASH_LEN))
        return BH_ERR_MALFORMED;
    answer.err = (uint16_t)look_up(a, &m, value, &len, &diag);
    answer.value = bh_span(value, len);
    if (answer.err != BH_OK) {
        bh_writer_init(&w, refusal, sizeof(refusal));
        pas_diag_encode(&w, &diag);
        if (bh_writer_end(&w, &answer.value) != BH_OK)
            return BH_ERR_INTERNAL;
    }
    bh_writer_init(&w, frame, sizeof(frame));
    pas_value_encode(&w, &answer);
    if (bh_writer_end(&w, &payload) != BH_OK)
        return BH_ERR_INTERNAL;
    pas_peer_send(a, link, PAS_VALUE, msg->id, payload);
    return BH_OK;
}
