/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

#define PROBLEM_TYPE "application/problem+json"

static bool
add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool
add_headers(const struct pas_fe_request *r, struct MHD_Response *response, unsigned status,
    const char *content_type)
{
    char seconds[16];
    unsigned after = r->retry_after;

    if (after == 0 && (status == 503 || status == 429))
        after = 1;
    (void)snprintf(seconds, sizeof(seconds), "%u", after);
    return add(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) &&
           add(response, "X-Request-Id", r->id) &&
           add(response, "X-Content-Type-Options", "nosniff") &&
           add(response, MHD_HTTP_HEADER_CACHE_CONTROL,
               status < 400 ? r->route->cache : "no-store") &&
           (after == 0 || add(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds)) &&
           (r->allow == NULL || add(response, MHD_HTTP_HEADER_ALLOW, r->allow)) &&
           ((!r->last && !atomic_load_explicit(&r->fe->draining, memory_order_relaxed)) ||
               add(response, MHD_HTTP_HEADER_CONNECTION, "close"));
}

enum MHD_Result
pas_fe_reply(
    struct pas_fe_request *r, unsigned status, const char *content_type, void *body, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result queued = MHD_NO;

    if (response == NULL) {
        free(body);
        return MHD_NO;
    }
    if (add_headers(r, response, status, content_type)) {
        pas_fe_connection_mark(r->client, PAS_FE_WRITING);
        queued = MHD_queue_response(r->connection, status, response);
    }
    MHD_destroy_response(response);
    r->status = status;
    r->sent_len = r->head ? 0 : len;
    return queued;
}

enum MHD_Result
pas_fe_reply_problem(struct pas_fe_request *r, const struct bh_diag *diag, unsigned status)
{
    json_t *problem = bh_json_problem(diag, r->id);
    char *text;

    (void)snprintf(r->code, sizeof(r->code), "%s", bh_err_code(diag->err));
    (void)snprintf(r->check, sizeof(r->check), "%s", diag->check);
    if (status == 0)
        status = (unsigned)bh_err_status(diag->err);
    else if (problem != NULL)
        (void)json_object_set_new(problem, "status", json_integer((json_int_t)status));
    text = problem != NULL ? bh_json_text(problem, false) : NULL;
    json_decref(problem);
    if (text == NULL)
        return MHD_NO;
    return pas_fe_reply(r, status, PROBLEM_TYPE, text, strlen(text));
}

/*
 * The value of a member of a problem that was written inside, for the log: found by its name, since
 * nothing here depends on it. Ends at what a code or check cannot hold.
 */
static void
find_value(const struct pas_fe_call *call, const char *name, char *out, size_t size)
{
    const uint8_t *end = call->body + call->body_len;
    const uint8_t *at = memmem(call->body, call->body_len, name, strlen(name));
    size_t n = 0;

    if (at == NULL)
        return;
    at += strlen(name);
    while (at < end && (*at == ':' || *at == ' ' || *at == '"'))
        at++;
    while (at + n < end && at[n] != '"' && at[n] > 0x20 && at[n] < 0x7f && n + 1 < size)
        n++;
    memcpy(out, at, n);
    out[n] = '\0';
}

static void
note_problem(struct pas_fe_request *r)
{
    static const char urn[] = "urn:beachhead:error:";
    char type[80] = "";

    if (r->call.body_len == 0)
        return;
    find_value(&r->call, "\"type\"", type, sizeof(type));
    if (strncmp(type, urn, sizeof(urn) - 1) == 0)
        (void)snprintf(r->code, sizeof(r->code), "%.39s", type + sizeof(urn) - 1);
    find_value(&r->call, "\"check\"", r->check, sizeof(r->check));
}

static enum MHD_Result
reply_metrics(struct pas_fe_request *r)
{
    const struct pas_fe_call *call = &r->call;
    const bool up = call->diag.err == BH_OK && call->status == 200;
    const size_t cap = PAS_FE_METRICS_TEXT_MAX + (up ? call->body_len : 0);
    uint8_t *text = malloc(cap);
    struct bh_span out;
    struct bh_writer w;

    if (text == NULL)
        return MHD_NO;
    bh_writer_init(&w, text, cap);
    pas_fe_metrics_text(&r->fe->metrics, &w);
    bh_writer_printf(&w,
        "# HELP beachhead_authority_up Whether the authority answers.\n"
        "# TYPE beachhead_authority_up gauge\nbeachhead_authority_up %d\n",
        up ? 1 : 0);
    if (up)
        bh_writer_put(&w, bh_span(call->body, call->body_len));
    if (bh_writer_end(&w, &out) != BH_OK) {
        free(text);
        return MHD_NO;
    }
    return pas_fe_reply(r, 200, "text/plain; version=0.0.4", text, out.len);
}

enum MHD_Result
pas_fe_reply_answer(struct pas_fe_request *r)
{
    struct pas_fe_call *call = &r->call;
    uint8_t *body;

    if (r->route->id == PAS_FE_METRICS)
        return reply_metrics(r);
    if (call->diag.err != BH_OK)
        /* Not ready is 503, whatever kept the authority from saying so itself. */
        return pas_fe_reply_problem(r, &call->diag, r->route->id == PAS_FE_READY ? 503 : 0);
    if (call->status >= 400)
        note_problem(r);
    body = call->body;
    call->body = NULL;
    return pas_fe_reply(r, call->status, call->content_type, body, call->body_len);
}
