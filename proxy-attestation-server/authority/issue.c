/* SPDX-License-Identifier: Apache-2.0 */
/* ISSUE and RESULT: a verdict becomes a request to the signer. */
#include "authority.h"

#include "authority/random.h"

#include "core/text.h"
#include "core/writer.h"

#include <stdio.h>
#include <stdlib.h>

static void
copy_text(char *out, size_t size, struct bh_span text)
{
    const size_t len = text.len < size ? text.len : size - 1;

    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* 127 random bits; the first byte is not zero, so that 16 bytes are also the shortest DER. */
static enum bh_err
draw_serial(uint8_t out[PAS_STORE_SERIAL_LEN])
{
    enum bh_err e;

    do {
        if ((e = pas_random(out, PAS_STORE_SERIAL_LEN)) != BH_OK)
            return e;
        out[0] &= 0x7f;
    } while (out[0] == 0);
    return BH_OK;
}

static enum bh_err
fill(struct pas_authority *a, struct pas_pending *p, const struct pas_terms *terms,
    struct bh_diag *diag)
{
    const struct pas_issue *m = &a->issue;
    const struct ev_verdict *v = &m->verdict;

    memcpy(p->hash, terms->hash, sizeof(p->hash));
    p->challenge_expires_at = terms->challenge_expires_at;
    p->issued_at = a->now;
    p->not_before = terms->not_before;
    p->not_after = terms->not_after;
    copy_text(p->workload, sizeof(p->workload), m->workload);
    copy_text(p->platform, sizeof(p->platform), bh_span_str(v->submod.platform));
    copy_text(p->peer, sizeof(p->peer), m->peer);
    p->simulated = v->simulated;
    p->status = v->submod.status;
    memcpy(p->hardware_id, v->hardware_id, sizeof(p->hardware_id));
    p->hardware_id_len = v->hardware_id_len;
    memcpy(p->policy_digest, v->submod.policy_digest, sizeof(p->policy_digest));
    if (draw_serial(p->serial) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "no randomness for a serial number");
    return BH_OK;
}

/* The attestation result of a->issue, in a->ear: only fields in use are written, it is large. */
static void
compose_ear(struct pas_authority *a, const struct pas_pending *p)
{
    const struct pas_issue *m = &a->issue;
    struct bh_ear *ear = &a->ear;

    ear->iat = p->issued_at;
    ear->exp = p->not_after;
    memcpy(ear->workload, p->workload, sizeof(ear->workload));
    copy_text(
        ear->owner, sizeof(ear->owner), bh_span_str(m->verdict.owner_pinned ? "pinned" : "any"));
    ear->simulated = m->verdict.simulated;
    ear->debug = m->verdict.debug;
    ear->context_len = m->context.len;
    if (m->context.len > 0)
        memcpy(ear->context, m->context.ptr, m->context.len);
    ear->spki_len = m->spki.len;
    memcpy(ear->spki, m->spki.ptr, m->spki.len);
    ear->nonce_len = 0;
    ear->submods_len = 1;
    ear->submods[0] = m->verdict.submod;
    if (p->result) {
        ear->nonce_len = m->challenge.len;
        memcpy(ear->nonce, m->challenge.ptr, m->challenge.len);
    }
}

static enum bh_err
ask_certificate(struct pas_authority *a, struct pas_pending *p, const struct ev_profile *profile,
    struct bh_diag *diag)
{
    struct pas_certificate request;
    uint8_t claims[BH_EAR_MAX];
    size_t claims_len = 0;
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    if ((e = bh_ear_encode(&a->ear, claims, sizeof(claims), &claims_len, diag)) != BH_OK)
        return e;
    memcpy(request.serial, p->serial, sizeof(request.serial));
    request.not_before = p->not_before;
    request.not_after = p->not_after;
    request.workload = bh_span_str(p->workload);
    request.dns_len = profile->dns_len;
    for (size_t i = 0; i < profile->dns_len; i++)
        request.dns[i] = bh_span_str(profile->dns[i]);
    request.spki = a->issue.spki;
    request.ear = bh_span(claims, claims_len);
    bh_writer_init(&w, a->out, sizeof(a->out));
    pas_certificate_encode(&w, &request);
    if ((e = bh_writer_end(&w, &payload)) != BH_OK)
        return bh_fail(diag, e, "the request to the signer does not fit");
    pas_pending_add(a, p);
    pas_peer_send(a, a->signer, PAS_SIGN_CERTIFICATE, p->seq, payload);
    return BH_OK;
}

static enum bh_err
ask_jwt(struct pas_authority *a, struct pas_pending *p, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_ear_jwt_input(&a->ear, &p->jwt_input, diag)) != BH_OK)
        return e;
    pas_pending_add(a, p);
    pas_peer_send(a, a->signer, PAS_SIGN_JWT, p->seq, bh_span_str(p->jwt_input));
    return BH_OK;
}

static enum bh_err
take_up(struct pas_authority *a, bool result, uint64_t request, struct bh_diag *diag)
{
    const struct pas_issue *m = &a->issue;
    struct pas_terms terms = {0};
    struct pas_pending *p = NULL;
    enum bh_err e;

    if ((e = pas_issue_recheck(a, &terms, diag)) != BH_OK)
        return e;
    if (a->signer == NULL)
        return bh_refuse(diag, BH_ERR_INTERNAL, "server.signer", NULL, NULL, "no signer is there");
    if ((p = pas_pending_new(a, result ? m->checks : m->evidence, diag)) == NULL)
        return diag->err;
    p->request = request;
    p->result = result;
    if ((e = fill(a, p, &terms, diag)) != BH_OK)
        goto out;
    compose_ear(a, p);
    e = result ? ask_jwt(a, p, diag) : ask_certificate(a, p, ev_policy_profile(terms.policy), diag);
    if (e == BH_OK)
        p = NULL;
out:
    pas_pending_drop(a, p);
    return e;
}

enum bh_err
pas_issue_handle(struct pas_authority *a, const struct pas_link *link, const struct bh_ipc_msg *msg)
{
    struct bh_diag diag = {0};
    char peer[65];

    if (pas_issue_decode(msg->payload, &a->issue) != BH_OK)
        return BH_ERR_MALFORMED;
    if (a->issue.generation != link->generation)
        return BH_ERR_FORBIDDEN;
    if (take_up(a, msg->type == PAS_RESULT, msg->id, &diag) != BH_OK) {
        copy_text(peer, sizeof(peer), a->issue.peer);
        pas_refuse_request(
            a, msg->id, a->issue.workload, a->issue.verdict.submod.platform, peer, &diag);
    }
    return BH_OK;
}
