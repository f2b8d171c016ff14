/* SPDX-License-Identifier: Apache-2.0 */
/* What the frontend may ask: challenges, and reading. */
#include "authority.h"

#include "core/json.h"
#include "core/text.h"
#include "core/writer.h"

#include <stdio.h>
#include <stdlib.h>

#define PEM_TYPE "application/pem-certificate-chain"
#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Reading is not recorded as a refusal: it asks for no certificate. */
static void
answer_problem(struct pas_authority *a, uint64_t id, const struct bh_diag *diag)
{
    char request_id[17];
    json_t *problem;
    char *text = NULL;

    (void)snprintf(request_id, sizeof(request_id), "%016llx", (unsigned long long)id);
    if ((problem = bh_json_problem(diag, request_id)) != NULL)
        text = bh_json_text(problem, false);
    json_decref(problem);
    pas_answer_send(a, id, (unsigned)bh_err_status(diag->err), "application/problem+json",
        text != NULL ? bh_span_str(text) : bh_span_none());
    free(text);
}

static void
answer_json(struct pas_authority *a, uint64_t id, json_t *json)
{
    char *text = json != NULL ? bh_json_text(json, false) : NULL;
    struct bh_diag diag = {0};

    json_decref(json);
    if (text != NULL) {
        pas_answer_send(a, id, 200, JSON_TYPE, bh_span_str(text));
    } else {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "out of memory");
        answer_problem(a, id, &diag);
    }
    free(text);
}

/* A line each. */
static enum bh_err
mint(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    char text[BH_CHALLENGE_LEN * 4 / 3 + 4], expires[BH_TIME_MAX];
    const uint8_t n = msg->payload.len == 0 ? 1 : msg->payload.ptr[0];
    const int64_t life = a->child.config.challenge_life;
    uint8_t challenge[BH_CHALLENGE_LEN], body[PAS_MINTS_MAX * 192];
    struct bh_diag diag = {0};
    struct bh_span all;
    struct bh_writer w;

    if (msg->payload.len > 1 || n == 0 || n > PAS_MINTS_MAX)
        return BH_ERR_MALFORMED;
    bh_writer_init(&w, body, sizeof(body));
    (void)bh_time_text(a->now + life, expires);
    for (uint8_t i = 0; i < n; i++) {
        if (pas_challenge_mint(&a->challenges, a->now, life, challenge, &diag) != BH_OK) {
            answer_problem(a, msg->id, &diag);
            return BH_OK;
        }
        bh_writer_str(&w, i == 0 ? "{\"challenge\":\"" : "\n{\"challenge\":\"");
        bh_writer_str(&w, bh_base64url(bh_span(challenge, sizeof(challenge)), text, sizeof(text)));
        bh_writer_str(&w, "\",\"expires_at\":\"");
        bh_writer_str(&w, expires);
        bh_writer_str(&w, "\"}");
    }
    if (bh_writer_end(&w, &all) != BH_OK)
        return BH_ERR_INTERNAL;
    a->count.minted += n;
    pas_answer_send(a, msg->id, 201, JSON_TYPE, all);
    return BH_OK;
}

static json_t *
certificate_json(const struct pas_authority *a, const struct pas_cert_record *c)
{
    char serial[2 * PAS_STORE_SERIAL_LEN + 1], begins[BH_TIME_MAX], ends[BH_TIME_MAX],
        issued[BH_TIME_MAX], id[sizeof(a->child.config.trust_domain) + 80];
    const size_t cap = 2 * c->der.len + 128;
    char *pem = malloc(cap);
    struct bh_span text;
    struct bh_writer w;
    json_t *json = NULL;

    if (pem == NULL)
        return NULL;
    (void)snprintf(id, sizeof(id), "spiffe://%s/%.*s", a->child.config.trust_domain,
        (int)c->workload.len, (const char *)c->workload.ptr);
    bh_writer_init(&w, pem, cap);
    pas_pem_put(&w, c->der, "\n");
    if (bh_writer_end(&w, &text) == BH_OK)
        json = json_pack("{s:s, s:s%, s:s%, s:s, s:s, s:s, s:s, s:s, s:b, s:s%}", "serial",
            bh_hex(bh_span(c->serial, sizeof(c->serial)), serial, sizeof(serial)), "workload",
            c->workload.ptr, c->workload.len, "platform", c->platform.ptr, c->platform.len,
            "spiffe_id", id, "not_before", bh_time_text(c->not_before, begins), "not_after",
            bh_time_text(c->not_after, ends), "issued_at", bh_time_text(c->issued_at, issued),
            "status", c->not_after >= a->now ? "valid" : "expired", "simulated", c->simulated,
            "certificate", text.ptr, text.len);
    free(pem);
    return json;
}

static enum bh_err
certificate(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    struct pas_cert_record c;
    struct bh_diag diag = {0};
    void *storage = NULL;

    if (msg->payload.len != PAS_STORE_SERIAL_LEN)
        return BH_ERR_MALFORMED;
    if (pas_store_certificate(a->store, msg->payload.ptr, &c, &storage, &diag) != BH_OK) {
        answer_problem(a, msg->id, &diag);
        return BH_OK;
    }
    answer_json(a, msg->id, certificate_json(a, &c));
    free(storage);
    return BH_OK;
}

static enum bh_err
info(struct pas_authority *a, uint64_t id)
{
    json_t *platforms = json_array();

    for (const char *const *p = ev_platforms(); *p != NULL; p++)
        if (ev_platform_enrols(*p))
            (void)json_array_append_new(platforms, json_string(*p));
    answer_json(a, id,
        json_pack("{s:s, s:s, s:o, s:b}", "version", BH_VERSION, "trust_domain",
            a->child.config.trust_domain, "platforms", platforms, "simulated",
            a->child.config.allow_simulated));
    return BH_OK;
}

static enum bh_err
ready(struct pas_authority *a, uint64_t id)
{
    struct bh_diag why = {0}, diag = {0};

    /* Not ready is 503, whatever the reason. */
    if (pas_store_usable(a->store, &why) != BH_OK)
        (void)bh_refuse(&diag, BH_ERR_OVERLOADED, "server.store", NULL, NULL, "%s", why.detail);
    else if (a->signer == NULL)
        (void)bh_refuse(
            &diag, BH_ERR_OVERLOADED, "server.signer", NULL, NULL, "no signer is there");
    else if (a->signer_refused)
        (void)bh_refuse(&diag, BH_ERR_OVERLOADED, "server.signer", NULL, NULL,
            "the signer refused the last request; its log says why");
    if (diag.err != BH_OK)
        answer_problem(a, id, &diag);
    else
        answer_json(a, id, json_pack("{s:b}", "ready", 1));
    return BH_OK;
}

static enum bh_err
metrics(struct pas_authority *a, uint64_t id)
{
    struct bh_span text;
    struct bh_writer w;

    bh_writer_init(&w, a->out, sizeof(a->out) / 2);
    pas_metrics_put(a, &w);
    if (bh_writer_end(&w, &text) == BH_OK)
        pas_answer_send(a, id, 200, METRICS_TYPE, text);
    return BH_OK;
}

enum bh_err
pas_query_handle(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    if (msg->type == PAS_CERTIFICATE)
        return certificate(a, msg);
    if (msg->type == PAS_MINT)
        return mint(a, msg);
    if (msg->payload.len != 0)
        return BH_ERR_MALFORMED;
    switch (msg->type) {
    case PAS_ROOTS_PEM:
        pas_answer_send(a, msg->id, 200, PEM_TYPE, bh_span_str(a->roots_pem));
        return BH_OK;
    case PAS_ISSUERS_PEM:
        pas_answer_send(a, msg->id, 200, PEM_TYPE, bh_span_str(a->issuers_pem));
        return BH_OK;
    case PAS_INFO:
        return info(a, msg->id);
    case PAS_READY:
        return ready(a, msg->id);
    case PAS_METRICS:
        return metrics(a, msg->id);
    default:
        return BH_ERR_MALFORMED;
    }
}
