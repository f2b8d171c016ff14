/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: answered at once, recorded in batches that nobody waits for. */
#include "authority.h"

#include "core/json.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>

/* Every error that has a code of its own, in the order of the counters. */
static const enum bh_err counted[] = {BH_ERR_MALFORMED, BH_ERR_TOO_LARGE, BH_ERR_CSR_INVALID,
    BH_ERR_EVIDENCE_MALFORMED, BH_ERR_UNSUPPORTED, BH_ERR_CHALLENGE_INVALID,
    BH_ERR_CHALLENGE_EXPIRED, BH_ERR_CHALLENGE_USED, BH_ERR_NOT_AUTHENTIC, BH_ERR_BINDING,
    BH_ERR_REFERENCE_MISSING, BH_ERR_POLICY, BH_ERR_ENDORSEMENT_UNKNOWN, BH_ERR_SIMULATED,
    BH_ERR_DENIED, BH_ERR_WORKLOAD_UNKNOWN, BH_ERR_UNAUTHORIZED, BH_ERR_FORBIDDEN, BH_ERR_NOT_FOUND,
    BH_ERR_COLLATERAL_MISSING, BH_ERR_COLLATERAL_EXPIRED, BH_ERR_RATE_LIMITED, BH_ERR_OVERLOADED,
    BH_ERR_INTERNAL};

_Static_assert(BH_COUNT(counted) <= PAS_CODES, "one counter for each code");

const char *
pas_refusal_code(size_t i)
{
    return i < BH_COUNT(counted) ? bh_err_code(counted[i]) : NULL;
}

static void
count(struct pas_authority *a, enum bh_err err)
{
    const char *code = bh_err_code(err);

    for (size_t i = 0; i < BH_COUNT(counted); i++)
        if (strcmp(bh_err_code(counted[i]), code) == 0) {
            a->count.refused[i]++;
            return;
        }
}

static void
cut(char *out, size_t size, struct bh_span text)
{
    (void)snprintf(out, size, "%.*s", (int)text.len, text.len > 0 ? (const char *)text.ptr : "");
}

/* A verifier can send more than the disk should take: what is beyond is counted only. */
static bool
may_record(struct pas_authority *a)
{
    if (a->now != a->refusals_second) {
        a->refusals_second = a->now;
        a->refusals_in_second = 0;
    }
    return a->refusals_in_second++ < PAS_REFUSALS_PER_S;
}

void
pas_refusal_queue(struct pas_authority *a, const struct pas_refusal *r)
{
    struct pas_refused *q;

    count(a, r->diag.err);
    if (!may_record(a)) {
        a->count.refusals_dropped++;
        return;
    }
    if (a->refusals_len == PAS_REFUSALS_BATCH)
        pas_refusals_flush(a);
    if (a->refusals_len == PAS_REFUSALS_BATCH) {
        a->count.refusals_dropped++;
        return;
    }
    q = &a->refusals[a->refusals_len++];
    q->at = a->now;
    cut(q->workload, sizeof(q->workload), r->workload);
    cut(q->platform, sizeof(q->platform), r->platform);
    cut(q->peer, sizeof(q->peer), r->peer);
    cut(q->request_id, sizeof(q->request_id), r->request_id);
    q->diag = r->diag;
}

void
pas_refusals_put(struct pas_authority *a)
{
    for (size_t i = 0; i < a->refusals_len; i++) {
        const struct pas_refused *q = &a->refusals[i];
        const struct pas_refusal_record record = {
            .at = q->at,
            .code = bh_span_str(bh_err_code(q->diag.err)),
            .check = bh_span_str(q->diag.check),
            .expected = bh_span_str(q->diag.expected),
            .found = bh_span_str(q->diag.found),
            .detail = bh_span_str(q->diag.detail),
            .workload = bh_span_str(q->workload),
            .platform = bh_span_str(q->platform),
            .peer = bh_span_str(q->peer),
            .request_id = bh_span_str(q->request_id),
        };
        /* A failure spoils the transaction, which its commit reports. */
        if (pas_store_put_refusal(a->store, &record, NULL) != BH_OK)
            break;
    }
    a->refusals_len = 0;
}

void
pas_refusals_flush(struct pas_authority *a)
{
    const size_t len = a->refusals_len;
    struct bh_diag diag = {0};
    enum bh_err e;

    if (len == 0)
        return;
    if ((e = pas_store_begin(a->store, &diag)) == BH_OK) {
        pas_refusals_put(a);
        e = pas_store_commit(a->store, &diag);
    }
    a->refusals_len = 0;
    if (e != BH_OK) {
        bh_log_diag(BH_LOG_WARNING, "refusals-not-recorded", &diag);
        a->count.refusals_dropped += len;
        a->count.store_errors++;
    }
}

void
pas_refuse_request(struct pas_authority *a, uint64_t request, struct bh_span workload,
    const char *platform, const char *peer, const struct bh_diag *diag)
{
    char request_id[17];
    struct pas_refusal r = {
        .workload = workload,
        .platform = bh_span_str(platform),
        .peer = bh_span_str(peer),
        .request_id = bh_span(request_id, 16),
        .diag = *diag,
    };
    json_t *problem;
    char *text = NULL;

    (void)snprintf(request_id, sizeof(request_id), "%016llx", (unsigned long long)request);
    if ((problem = bh_json_problem(diag, request_id)) != NULL)
        text = bh_json_text(problem, false);
    json_decref(problem);
    pas_answer_send(a, request, (unsigned)bh_err_status(diag->err), "application/problem+json",
        text != NULL ? bh_span_str(text) : bh_span_none());
    free(text);
    pas_refusal_queue(a, &r);
}
