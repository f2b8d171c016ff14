/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the signer has signed is recorded, many at a time, and only then handed out. While one
 * transaction is being flushed the next ones arrive; they share the transaction after it, with what
 * the signer is about to return (pas_batch_wait_us()).
 */
#include "authority.h"

#include "core/log.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdlib.h>

#define COARSE_US INT64_C(10000)
#define SIGNER_PATIENCE_US INT64_C(5000000) /* clients wait for ten seconds at most */

static void
refuse(struct pas_authority *a, const struct pas_pending *p, const struct bh_diag *diag)
{
    pas_refuse_request(a, p->request, bh_span_str(p->workload), p->platform, p->peer, diag);
}

static enum bh_err
keep(struct pas_pending *p, const struct pas_signed *m)
{
    if ((p->from_signer = malloc(m->ear.len + m->certificate.len + 1)) == NULL)
        return BH_ERR_NOMEM;
    memcpy(p->from_signer, m->ear.ptr, m->ear.len);
    if (m->certificate.len > 0)
        memcpy(p->from_signer + m->ear.len, m->certificate.ptr, m->certificate.len);
    p->ear_len = m->ear.len;
    p->certificate_len = m->certificate.len;
    return BH_OK;
}

static void
fail_one(struct pas_authority *a, struct pas_pending *p, enum bh_err err, const char *check,
    const char *detail)
{
    struct bh_diag diag = {0};

    (void)bh_refuse(&diag, err, check, NULL, NULL, "%s", detail);
    refuse(a, p, &diag);
    pas_pending_drop(a, p);
}

static enum bh_err
not_signed(struct pas_authority *a, struct pas_pending *p, struct bh_span payload)
{
    struct bh_diag why;

    if (pas_diag_decode(payload, &why) != BH_OK)
        return BH_ERR_MALFORMED;
    bh_log_diag(BH_LOG_ERROR, "not-signed", &why);
    a->count.signer_errors++;
    /* A request against its rules says nothing about its key. */
    a->signer_refused = why.err >= BH_ERR_INTERNAL;
    fail_one(a, p, BH_ERR_INTERNAL, "server.signer", "the signer did not sign; its log says why");
    return BH_OK;
}

enum bh_err
pas_signed_handle(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    struct pas_pending *p = pas_pending_by_seq(a, msg->id);
    struct pas_signed m;

    if (p == NULL)
        return BH_ERR_MALFORMED;
    if (msg->type == PAS_NOT_SIGNED)
        return not_signed(a, p, msg->payload);
    if (pas_signed_decode(msg->payload, &m) != BH_OK || m.ear.len == 0 ||
        (m.certificate.len == 0) != p->result)
        return BH_ERR_MALFORMED;
    a->signer_refused = false;
    p->with_signer = false;
    if (keep(p, &m) != BH_OK) {
        fail_one(a, p, BH_ERR_NOMEM, "server.memory", "out of memory");
        return BH_OK;
    }
    p->next_in_batch = NULL;
    if (a->batch == NULL) {
        a->batch_end = &a->batch;
        a->batch_since_us = pas_clock_us();
    }
    *a->batch_end = p;
    a->batch_end = &p->next_in_batch;
    if (++a->batch_len >= PAS_BATCH_MAX)
        pas_batch_commit(a);
    return BH_OK;
}

void
pas_signer_lost(struct pas_authority *a)
{
    for (size_t i = 0; a->pending_len > 0 && i < PAS_PENDING_MAX; i++)
        if (a->slots[i] != NULL && a->slots[i]->with_signer)
            fail_one(a, a->slots[i], BH_ERR_INTERNAL, "server.signer",
                "the signer went away before it signed");
}

void
pas_signer_check(struct pas_authority *a)
{
    const int64_t before = pas_clock_us() - SIGNER_PATIENCE_US;
    struct bh_diag diag = {0};
    bool hangs = false;

    if (a->signer == NULL || a->signer->unread || a->signer->dead)
        return;
    for (size_t i = 0; a->pending_len > 0 && i < PAS_PENDING_MAX && !hangs; i++)
        hangs = a->slots[i] != NULL && a->slots[i]->with_signer && a->slots[i]->sent_us < before;
    if (!hangs)
        return;
    (void)bh_refuse(&diag, BH_ERR_INTERNAL, "server.signer", "an answer within 5 s", "none",
        "the signer does not answer; it is replaced");
    bh_log_diag(BH_LOG_ERROR, "signer-hangs", &diag);
    pas_peer_give_up(a, a->signer);
}

/* ---- the transaction ---- */

static enum bh_err
put(struct pas_authority *a, const struct pas_pending *p, struct bh_diag *diag)
{
    struct pas_cert_record c;
    enum bh_err e;

    if ((e = pas_store_spend(a->store, p->challenge_expires_at, p->hash, diag)) != BH_OK ||
        p->result)
        return e;
    memcpy(c.serial, p->serial, sizeof(c.serial));
    c.workload = bh_span_str(p->workload);
    c.platform = bh_span_str(p->platform);
    c.not_before = p->not_before;
    c.not_after = p->not_after;
    c.issued_at = p->issued_at;
    c.simulated = p->simulated;
    c.der = bh_span(p->from_signer + p->ear_len, p->certificate_len);
    if (bh_sha2(256, bh_span(p->from_signer, p->ear_len), c.ear_digest) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "SHA-256");
    c.evidence = bh_span(p->record, p->record_len);
    c.hardware_id = bh_span(p->hardware_id, p->hardware_id_len);
    memcpy(c.policy_digest, p->policy_digest, sizeof(c.policy_digest));
    c.peer = bh_span_str(p->peer);
    return pas_store_put_certificate(a->store, &c, diag);
}

static void
hand_out(struct pas_authority *a, struct pas_pending *p)
{
    struct bh_span body;
    struct bh_writer w;

    bh_writer_init(&w, a->out, sizeof(a->out) - 256);
    pas_reply_put(a, p, &w);
    if (bh_writer_end(&w, &body) != BH_OK) {
        fail_one(a, p, BH_ERR_INTERNAL, "server.reply", "the answer does not fit");
        return;
    }
    if (p->result)
        a->count.results++;
    else
        a->count.issued++;
    pas_answer_send(a, p->request, p->result ? 200 : 201, "application/json", body);
    pas_pending_drop(a, p);
}

/* Records of the batch into one transaction. A challenge that another replica spent leaves the
 * batch, refused. */
static enum bh_err
put_all(struct pas_authority *a, struct bh_diag *diag)
{
    struct pas_pending **at = &a->batch;
    enum bh_err e;

    if ((e = pas_store_begin(a->store, diag)) != BH_OK)
        return e;
    while (*at != NULL) {
        struct pas_pending *p = *at;
        struct bh_diag own = {0};

        if ((e = put(a, p, &own)) == BH_OK) {
            at = &p->next_in_batch;
        } else if (e == BH_ERR_CHALLENGE_USED) {
            *at = p->next_in_batch;
            pas_spent_remember(a, p->hash);
            refuse(a, p, &own);
            pas_pending_drop(a, p);
        } else {
            pas_store_rollback(a->store);
            *diag = own;
            return e;
        }
    }
    pas_refusals_put(a);
    return pas_store_commit(a->store, diag);
}

/*
 * What the signer has now would need a commit of its own right after this one: it is waited for,
 * but no longer than the last commit took, so that waiting at worst doubles what the disk costs.
 * Under load something comes all the time and asks this again; a timer of microseconds for each
 * commit would cost more than it spares, and without load one that is coarse is not noticed.
 */
int64_t
pas_batch_wait_us(const struct pas_authority *a)
{
    const int64_t waited = pas_clock_us() - a->batch_since_us;

    if (a->batch == NULL)
        return -1;
    if (a->pending_len <= a->batch_len || a->draining || waited >= a->commit_us)
        return 0;
    return COARSE_US;
}

void
pas_batch_commit(struct pas_authority *a)
{
    struct bh_diag diag = {0};
    struct pas_pending *p, *next;
    const int64_t begin = pas_clock_us();
    enum bh_err e;

    if (a->batch == NULL)
        return;
    e = put_all(a, &diag);
    a->commit_us = pas_clock_us() - begin;
    if (e != BH_OK) {
        bh_log_diag(BH_LOG_ERROR, "not-recorded", &diag);
        a->count.store_errors++;
    } else {
        a->count.batches++;
        a->count.batched += a->batch_len;
    }
    p = a->batch;
    a->batch = NULL;
    a->batch_len = 0;
    for (; p != NULL; p = next) {
        next = p->next_in_batch;
        if (e == BH_OK) {
            pas_spent_remember(a, p->hash);
            hand_out(a, p);
        } else {
            fail_one(a, p, BH_ERR_IO, "server.store",
                "the certificate could not be recorded, so it is not handed out");
        }
    }
}
