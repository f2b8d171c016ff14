/* SPDX-License-Identifier: Apache-2.0 */
/* One request from its headers to its log line. */
#include "frontend.h"

#include "core/limits.h"
#include "core/log.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define BODY_FIRST 8192
#define IDS 64

static int64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Drawn in lots: asking the generator costs more than the id is worth. */
static bool
random_id(uint64_t *ret_id)
{
    static _Thread_local uint64_t ids[IDS];
    static _Thread_local size_t left;

    if (left == 0) {
        if (bh_random(ids, sizeof(ids)) != BH_OK)
            return false;
        left = IDS;
    }
    *ret_id = ids[--left];
    return true;
}

static struct pas_fe_connection *
client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static const char *
header(const struct pas_fe_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static void
drop_body(struct pas_fe_request *r)
{
    free(r->body);
    atomic_fetch_sub_explicit(&r->fe->bodies, r->body_cap, memory_order_relaxed);
    r->body = NULL;
    r->body_len = r->body_cap = 0;
}

static void
refuse_too_large(struct pas_fe_request *r, const char *found)
{
    char expected[48];

    (void)snprintf(expected, sizeof(expected), "at most %d bytes", BH_BODY_MAX);
    (void)bh_refuse(&r->diag, BH_ERR_TOO_LARGE, "request.body", expected, found,
        "the body of the request is too large");
}

static bool
is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof(json) - 1;

    return strncasecmp(type, json, len) == 0 && strchr(" \t;", type[len]) != NULL;
}

/* What a POST says about its body before it comes. */
static void
check_headers(struct pas_fe_request *r)
{
    const char *length = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *type = header(r, MHD_HTTP_HEADER_CONTENT_TYPE);

    if (length != NULL && (strlen(length) > 9 || strtol(length, NULL, 10) > BH_BODY_MAX)) {
        refuse_too_large(r, length);
        /* A client that sends at once would lose the answer to a reset if nobody read on. */
        r->unread = header(r, MHD_HTTP_HEADER_EXPECT) != NULL || strlen(length) > 9 ||
                    strtoul(length, NULL, 10) > PAS_FE_DISCARD_MAX;
    } else if (type != NULL && !is_json(type)) {
        (void)bh_refuse(&r->diag, BH_ERR_MALFORMED, "request.content_type", "application/json",
            type, "the body of a request is JSON");
    }
}

static void
check_route(struct pas_fe_request *r, const char *url)
{
    const struct pas_fe_route *route = r->route;

    r->head = strcmp(r->method, "HEAD") == 0;
    if (route->id == PAS_FE_LATER) {
        (void)bh_refuse(&r->diag, BH_ERR_NOT_FOUND, "request.path",
            "a part of the API that is built", url, "this server has no such part yet: %s",
            route->path);
    } else if (route->id == PAS_FE_NONE) {
        (void)bh_refuse(
            &r->diag, BH_ERR_NOT_FOUND, "request.path", "a path of the API", url, "no such path");
        bh_hint(&r->diag, "the API is under /v1/");
    } else if (strcmp(r->method, "POST") != 0 && (route->post || strcmp(r->method, "GET") != 0) &&
               (route->post || !r->head)) {
        r->allow = route->post ? "POST" : "GET, HEAD";
    } else if (!route->post && strcmp(r->method, "POST") == 0) {
        r->allow = "GET, HEAD";
    } else if (route->id == PAS_FE_CERTIFICATE && !pas_fe_route_serial(url, r->serial)) {
        (void)bh_refuse(&r->diag, BH_ERR_MALFORMED, "request.serial", "32 lower-case hex digits",
            url + strlen(route->path), "the path does not end in a serial number");
    }
    if (r->allow == NULL)
        return;
    r->status = MHD_HTTP_METHOD_NOT_ALLOWED;
    (void)bh_refuse(&r->diag, BH_ERR_MALFORMED, "request.method", r->allow, r->method,
        "%s does not take this method", route->name);
}

static void
admit(struct pas_fe_request *r, const char *url)
{
    char rate[48];

    if (r->route->id != PAS_FE_HEALTH && !pas_fe_connection_token(r->client, &r->retry_after)) {
        (void)snprintf(rate, sizeof(rate), "%lld per second, burst %lld",
            (long long)r->fe->config.rate_per_second, (long long)r->fe->config.rate_burst);
        (void)bh_refuse(&r->diag, BH_ERR_RATE_LIMITED, "request.rate", rate, NULL,
            "too many requests from %s", r->client->peer);
        bh_hint(&r->diag, "come again in %u s", r->retry_after);
        atomic_fetch_add_explicit(&r->fe->metrics.rate_limited, 1, memory_order_relaxed);
        return;
    }
    check_route(r, url);
    if (r->diag.err == BH_OK && r->route->post)
        check_headers(r);
}

static struct pas_fe_request *
begin(struct pas_fe *fe, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version)
{
    struct pas_fe_connection *client = client_of(connection);
    struct pas_fe_request *r;

    if (client == NULL || (r = calloc(1, sizeof(*r))) == NULL)
        return NULL;
    r->fe = fe;
    r->connection = connection;
    r->client = client;
    r->route = pas_fe_route_find(url);
    r->began_us = now_us();
    if (!random_id(&r->call.id)) {
        free(r);
        return NULL;
    }
    (void)snprintf(r->id, sizeof(r->id), "%016llx", (unsigned long long)r->call.id);
    (void)snprintf(r->method, sizeof(r->method), "%.*s", (int)sizeof(r->method) - 1, method);
    atomic_fetch_add_explicit(&fe->metrics.in_flight, 1, memory_order_relaxed);
    r->last = pas_fe_framing_check(connection, version, &r->diag) != BH_OK;
    if (!r->last)
        admit(r, url);
    return r;
}

static bool
grow(struct pas_fe_request *r, size_t need)
{
    size_t cap = r->body_cap != 0 ? r->body_cap : BODY_FIRST, held;
    uint8_t *grown;

    if (need <= r->body_cap)
        return true;
    while (cap < need)
        cap *= 2;
    held = atomic_fetch_add_explicit(&r->fe->bodies, cap - r->body_cap, memory_order_relaxed) +
           cap - r->body_cap;
    /* Before it is short: slow senders of large bodies would keep everybody else out. */
    if (held > PAS_FE_BODIES_MAX / 4 * 3)
        pas_fe_connections_press(r->fe->connections);
    if (held > PAS_FE_BODIES_MAX || (grown = realloc(r->body, cap)) == NULL) {
        atomic_fetch_sub_explicit(&r->fe->bodies, cap - r->body_cap, memory_order_relaxed);
        return false;
    }
    r->body = grown;
    r->body_cap = cap;
    return true;
}

/* A refused body is read to its end, so that the answer arrives and the connection stays. */
static enum MHD_Result
gather(struct pas_fe_request *r, const char *bytes, size_t len)
{
    if (r->diag.err == BH_OK && r->body_len + len > BH_BODY_MAX) {
        refuse_too_large(r, "more, in chunks");
    } else if (r->diag.err == BH_OK && !grow(r, r->body_len + len)) {
        (void)bh_refuse(&r->diag, BH_ERR_OVERLOADED, "server.memory", NULL, NULL,
            "too many bodies are being received");
        atomic_fetch_add_explicit(&r->fe->metrics.overloaded, 1, memory_order_relaxed);
    }
    if (r->diag.err != BH_OK) {
        drop_body(r);
        r->discarded += len;
        return r->discarded <= PAS_FE_DISCARD_MAX ? MHD_YES : MHD_NO;
    }
    memcpy(r->body + r->body_len, bytes, len);
    r->body_len += len;
    return MHD_YES;
}

void
pas_fe_resume(struct pas_fe_call *call)
{
    /* The call is the first member of its request. */
    struct pas_fe_request *r = (struct pas_fe_request *)(void *)call;

    if (r->client->own)
        r->fe->own_due = true;
    MHD_resume_connection(r->connection);
}

static bool
encode(struct pas_fe_request *r)
{
    const struct pas_request request = {
        .peer = bh_span_str(r->client->peer),
        .body = bh_span(r->body, r->body_len),
    };
    const size_t cap = r->body_len + sizeof(r->client->peer) + 64;
    struct bh_span out;
    struct bh_writer w;

    if (!r->route->verifier && r->route->id != PAS_FE_CERTIFICATE)
        return true;
    if ((r->call.payload = malloc(cap)) == NULL)
        return false;
    bh_writer_init(&w, r->call.payload, cap);
    if (r->route->verifier)
        pas_request_encode(&w, &request);
    else
        bh_writer_put(&w, bh_span(r->serial, sizeof(r->serial)));
    if (bh_writer_end(&w, &out) != BH_OK)
        return false; /* the completion frees the payload */
    r->call.payload_len = out.len;
    return true;
}

static enum MHD_Result
ask(struct pas_fe_request *r)
{
    if (!encode(r)) {
        (void)bh_refuse(
            &r->diag, BH_ERR_NOMEM, "server.memory", NULL, NULL, "out of memory for the request");
        return pas_fe_reply_problem(r, &r->diag, 0);
    }
    drop_body(r);
    r->call.type = r->route->ask;
    r->call.to_verifier = r->route->verifier;
    r->call.fd = r->client->fd;
    r->asked = true;
    if (r->route->id == PAS_FE_CHALLENGES && pas_fe_hub_mint(r->fe->hub, &r->call))
        return pas_fe_reply_answer(r);
    pas_fe_connection_mark(r->client, PAS_FE_WAITING);
    /* In this order: the answer may be there before submit returns. */
    MHD_suspend_connection(r->connection);
    pas_fe_hub_submit(r->fe->hub, &r->call);
    return MHD_YES;
}

static enum MHD_Result
reply_health(struct pas_fe_request *r)
{
    char *text = strdup("{\"status\":\"ok\"}");

    return text != NULL ? pas_fe_reply(r, 200, "application/json", text, strlen(text)) : MHD_NO;
}

/* The request is whole. */
static enum MHD_Result
answer(struct pas_fe_request *r)
{
    const struct bh_span body = bh_span(r->body, r->body_len);

    if (r->asked)
        return pas_fe_reply_answer(r);
    if (r->diag.err == BH_OK && r->route->id == PAS_FE_CHALLENGES && !pas_fe_body_is_empty(body))
        (void)bh_refuse(&r->diag, BH_ERR_MALFORMED, "request.body", "an empty body or {}",
            "another body", "a request for a challenge says nothing");
    else if (r->diag.err == BH_OK && r->route->verifier && body.len == 0)
        (void)bh_refuse(&r->diag, BH_ERR_MALFORMED, "request.body", "a JSON object", "nothing",
            "the request has no body");
    else if (r->diag.err == BH_OK && r->route->id == PAS_FE_READY &&
             !pas_fe_hub_has(r->fe->hub, PAS_VERIFIER))
        (void)bh_refuse(
            &r->diag, BH_ERR_OVERLOADED, "server.verifier", NULL, NULL, "no verifier is there");
    if (r->diag.err != BH_OK)
        return pas_fe_reply_problem(r, &r->diag, r->status);
    if (r->route->id == PAS_FE_HEALTH)
        return reply_health(r);
    return ask(r);
}

enum MHD_Result
pas_fe_handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload_data, size_t *upload_data_size, void **request)
{
    struct pas_fe_request *r = *request;

    if (r == NULL) {
        if ((r = begin(cls, connection, url, method, version)) == NULL)
            return MHD_NO;
        *request = r;
        /* Answered before the body is read, which closes the connection. */
        return r->last || r->unread ? pas_fe_reply_problem(r, &r->diag, 0) : MHD_YES;
    }
    if (*upload_data_size != 0) {
        const size_t len = *upload_data_size;

        *upload_data_size = 0;
        return gather(r, upload_data, len);
    }
    return answer(r);
}

static const char *
text_or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

static void
log_request(const struct pas_fe_request *r, int64_t duration_us, const char *end)
{
    const struct bh_diag *lost = r->call.diag.err != BH_OK ? &r->call.diag : &r->diag;
    /* A challenge that was handed out says nothing yet: one line an enrolment, and each refusal. */
    const bool quiet = r->route->id == PAS_FE_CHALLENGES && r->status == 201 && end == NULL;
    const char *code = r->code, *check = r->check;
    char status[16], duration[24], bytes[24];

    if (r->status == 0 && lost->err != BH_OK) { /* the client did not wait for the answer */
        code = bh_err_code(lost->err);
        check = lost->check;
    }
    (void)snprintf(status, sizeof(status), "%u", r->status);
    (void)snprintf(duration, sizeof(duration), "%lld", (long long)duration_us);
    (void)snprintf(bytes, sizeof(bytes), "%zu", r->sent_len);
    bh_log(quiet ? BH_LOG_DEBUG : BH_LOG_INFO, "request", "request_id", r->id, "peer",
        r->client->peer, "method", r->method, "route", r->route->name, "#status", status, "code",
        text_or_null(code), "check", text_or_null(check), "#duration_us", duration, "#bytes", bytes,
        "end", end, NULL);
}

void
pas_fe_completed(void *cls, struct MHD_Connection *connection, void **request,
    enum MHD_RequestTerminationCode code)
{
    struct pas_fe_request *r = *request;
    int64_t duration_us;

    (void)cls;
    (void)connection;
    if (r == NULL)
        return;
    duration_us = now_us() - r->began_us;
    pas_fe_connection_mark(r->client, PAS_FE_IDLE);
    pas_fe_metrics_request(&r->fe->metrics, r->route->id, r->status, duration_us);
    log_request(
        r, duration_us, code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? NULL : "connection lost");
    atomic_fetch_sub_explicit(&r->fe->metrics.in_flight, 1, memory_order_relaxed);
    drop_body(r);
    free(r->call.payload);
    free(r->call.body);
    free(r);
    *request = NULL;
}
