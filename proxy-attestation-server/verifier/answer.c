/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

static void
lose_frontend(struct pas_verifier *v)
{
    bh_ipc_free(v->frontend);
    v->frontend = NULL;
    pas_child_lost(&v->child, PAS_FRONTEND);
}

static void
lose_authority(struct pas_verifier *v)
{
    bh_ipc_free(v->authority);
    v->authority = NULL;
    pas_child_lost(&v->child, PAS_AUTHORITY);
}

static void
send_answer(struct pas_verifier *v, uint64_t id, int status, const char *type, const char *body)
{
    const struct pas_answer m = {
        .status = (uint16_t)status,
        .content_type = bh_span_str(type),
        .body = bh_span_str(body),
    };
    const size_t cap = m.body.len + m.content_type.len + 16;
    uint8_t *buf;
    struct bh_span payload;
    struct bh_writer w;

    if (v->frontend == NULL)
        return;
    if ((buf = malloc(cap)) == NULL) {
        lose_frontend(v); /* which fails the request there */
        return;
    }
    bh_writer_init(&w, buf, cap);
    pas_answer_encode(&w, &m);
    if (bh_writer_end(&w, &payload) != BH_OK ||
        bh_ipc_send(v->frontend, PAS_ANSWER, id, payload, -1) != BH_OK)
        lose_frontend(v);
    free(buf);
}

static void
request_id(const struct pas_slot *slot, char out[17])
{
    (void)snprintf(out, 17, "%016llx", (unsigned long long)slot->id);
}

void
pas_answer_json(struct pas_verifier *v, const struct pas_slot *slot, json_t *json)
{
    char *text = json != NULL ? bh_json_text(json, false) : NULL;

    if (text != NULL)
        send_answer(v, slot->id, 200, "application/json", text);
    else
        lose_frontend(v);
    free(text);
    json_decref(json);
}

/* What a client asked for, as far as it can stand in a record. */
static struct bh_span
printable(const char *text, size_t max)
{
    size_t n = 0;

    while (text != NULL && n < max && text[n] >= 0x20 && text[n] <= 0x7e)
        n++;
    return bh_span(n > 0 ? text : NULL, n);
}

void
pas_record(struct pas_verifier *v, const struct pas_slot *slot, const struct bh_diag *diag)
{
    uint8_t buf[sizeof(struct pas_refusal) + 512];
    struct pas_refusal m = {
        .workload = printable(slot->body.workload, 63),
        .platform = bh_span_str(slot->platform),
        .peer = bh_span_str(slot->peer),
        .diag = *diag,
    };
    struct bh_span payload;
    struct bh_writer w;
    char id[17];

    if (v->authority == NULL)
        return;
    request_id(slot, id);
    m.request_id = bh_span_str(id);
    bh_writer_init(&w, buf, sizeof(buf));
    pas_refusal_encode(&w, &m);
    if (bh_writer_end(&w, &payload) != BH_OK ||
        bh_ipc_send(v->authority, PAS_REFUSAL, slot->id, payload, -1) != BH_OK)
        lose_authority(v);
}

/* What is to be fetched, the platform says; where it goes, the server. */
static void
say_where(struct bh_diag *diag)
{
    const size_t len = strlen(diag->hint);

    if (diag->err == BH_ERR_COLLATERAL_MISSING && len > 0)
        (void)snprintf(diag->hint + len, sizeof(diag->hint) - len,
            "; the server's collateral/ takes it: `beachhead collateral import`, then SIGHUP");
}

void
pas_refuse(struct pas_verifier *v, struct pas_slot *slot, const struct bh_diag *diag)
{
    struct bh_diag told = *diag;
    char id[17], *text = NULL;
    json_t *problem;

    say_where(&told);
    request_id(slot, id);
    if ((problem = bh_json_problem(&told, id)) != NULL)
        text = bh_json_text(problem, false);
    if (text != NULL)
        send_answer(v, slot->id, bh_err_status(diag->err), "application/problem+json", text);
    else
        lose_frontend(v);
    free(text);
    json_decref(problem);
    pas_record(v, slot, diag);
    pas_slot_free(slot);
}

enum bh_err
pas_pass_on(struct pas_verifier *v, struct pas_slot *slot, const struct pas_issue *issue,
    struct bh_diag *diag)
{
    const size_t cap =
        sizeof(*issue) + issue->evidence.len + issue->checks.len + issue->spki.len + 1024;
    uint8_t *buf = malloc(cap);
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    if (buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "verdict");
    if (v->authority == NULL) {
        free(buf);
        return bh_fail(diag, BH_ERR_OVERLOADED, "the authority is being restarted");
    }
    bh_writer_init(&w, buf, cap);
    pas_issue_encode(&w, issue);
    if ((e = bh_writer_end(&w, &payload)) != BH_OK) {
        free(buf);
        return bh_fail(diag, BH_ERR_INTERNAL, "the verdict does not encode");
    }
    e = bh_ipc_send(v->authority, slot->appraisal ? PAS_RESULT : PAS_ISSUE, slot->id, payload, -1);
    free(buf);
    if (e != BH_OK) {
        lose_authority(v);
        return bh_fail(diag, BH_ERR_OVERLOADED, "the authority is being restarted");
    }
    /* Only now: a verifier killed between the two would leave the frontend waiting for an answer to
     * what the authority never heard of. That its answer may come first, the frontend knows. It
     * leaves with what is said next, at the latest when this process has nothing left to do. */
    if (v->frontend != NULL &&
        bh_ipc_queue(v->frontend, PAS_PASSED, slot->id, bh_span_none()) != BH_OK)
        lose_frontend(v);
    return BH_OK;
}

void
pas_slot_free(struct pas_slot *slot)
{
    pas_body_clear(&slot->body);
    memset(slot, 0, sizeof(*slot));
}
