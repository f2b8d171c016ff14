/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "core/reader.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define SERIAL "00112233445566778899aabbccddeeff"

static struct reply r;

Test(routes, health_is_answered_alone)
{
    struct bench b;
    struct client c;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    cr_assert_str_eq(r.body, "{\"status\":\"ok\"}");
    cr_assert_str_eq(reply_header(&r, "X-Content-Type-Options"), "nosniff");
    cr_assert_null(reply_header(&r, "Server"));
    client_ask(&c, "HEAD /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    cr_assert_str_eq(reply_header(&r, "Content-Length"), "15");
    client_close(&c);
    bench_stop(&b);
}

/* Each question reaches the authority as its own message, and the answer comes back whole. */
Test(routes, the_authority_answers)
{
    static const struct {
        const char *line, *body;
        uint16_t type;
        unsigned status;
        const char *cache;
    } cases[] = {
        {"POST /v1/challenges", "", PAS_MINT, 201, "no-store"},
        {"POST /v1/challenges", "{}", PAS_MINT, 201, "no-store"},
        {"POST /v1/challenges", " {\r\n\t} ", PAS_MINT, 201, "no-store"},
        {"GET /v1/certificates/" SERIAL, NULL, PAS_CERTIFICATE, 200, "no-store"},
        {"GET /v1/roots", NULL, PAS_ROOTS_PEM, 200, "max-age=60"},
        {"GET /v1/issuers?x=1", NULL, PAS_ISSUERS_PEM, 200, "max-age=60"},
        {"GET /v1/info", NULL, PAS_INFO, 200, "max-age=60"},
        {"HEAD /v1/info", NULL, PAS_INFO, 200, "max-age=60"},
        {"GET /readyz", NULL, PAS_READY, 200, "no-store"},
    };
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const bool head = strncmp(cases[i].line, "HEAD", 4) == 0;
        char id[32];

        client_request(&c, cases[i].line, "", cases[i].body);
        const struct bh_ipc_msg msg = expect(b.authority, cases[i].type);
        if (cases[i].type == PAS_CERTIFICATE) {
            cr_assert_eq(msg.payload.len, 16);
            cr_assert_eq(msg.payload.ptr[15], 0xff);
        } else {
            cr_assert_eq(msg.payload.len, 0);
        }
        answer(b.authority, msg.id, cases[i].status, "application/json", "{\"answer\":true}");
        client_read(&c, &r, head);
        cr_assert_eq(r.status, cases[i].status);
        cr_assert_str_eq(r.body, head ? "" : "{\"answer\":true}");
        cr_assert_str_eq(reply_header(&r, "Content-Type"), "application/json");
        cr_assert_str_eq(reply_header(&r, "Cache-Control"), cases[i].cache);
        (void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)msg.id);
        cr_assert_str_eq(reply_header(&r, "X-Request-Id"), id);
    }
    client_close(&c);
    bench_stop(&b);
}

static void
assert_forwarded(const struct bh_ipc_msg *msg, const char *body)
{
    struct pas_request request = {0};

    cr_assert_eq(pas_request_decode(msg->payload, &request), BH_OK);
    cr_assert(bh_span_is(request.peer, "127.0.0.1"));
    cr_assert(bh_span_is(request.body, body));
}

Test(routes, an_enrolment_is_passed_on)
{
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "Content-Type: application/json\r\n", "[not read]");
    msg = expect(b.verifiers[0], PAS_ENROL);
    assert_forwarded(&msg, "[not read]");
    passed(b.verifiers[0], msg.id);
    answer(b.authority, msg.id, 201, "application/json", "{\"serial\":\"00\"}");
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 201);
    cr_assert_str_eq(r.body, "{\"serial\":\"00\"}");

    /* The authority may be faster than PASSED. */
    client_request(&c, "POST /v1/appraisals", "Content-Type: application/json; charset=utf-8\r\n",
        "{\"a\":1}");
    msg = expect(b.verifiers[0], PAS_APPRAISE);
    answer(b.authority, msg.id, 200, "application/json", "{}");
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 200);
    passed(b.verifiers[0], msg.id);
    client_close(&c);
    bench_stop(&b);
}

Test(routes, a_refusal_is_passed_back_and_logged)
{
    static const char problem[] =
        "{\"type\":\"urn:beachhead:error:binding-mismatch\",\"status\":403,"
        "\"check\":\"psa.binding\",\"secret\":\"s3cr3t\"}";
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;
    char *log;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{\"body\":\"b0dy\"}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    answer(b.verifiers[0], msg.id, 403, "application/problem+json", problem);
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 403);
    cr_assert_str_eq(r.body, problem);
    cr_assert_str_eq(reply_header(&r, "Cache-Control"), "no-store");
    cr_assert(bench_logged(&b, "\"code\":\"binding-mismatch\",\"check\":\"psa.binding\""));
    log = bench_log(&b);
    cr_assert_not_null(strstr(log, "\"route\":\"/v1/certificates\",\"status\":403"));
    cr_assert_not_null(strstr(log, "\"peer\":\"127.0.0.1\""));
    cr_assert_null(strstr(log, "b0dy"));
    cr_assert_null(strstr(log, "s3cr3t"));
    free(log);
    client_close(&c);
    bench_stop(&b);
}

Test(routes, refusals_of_the_frontend)
{
    static const struct {
        const char *line, *headers, *body;
        unsigned status;
        const char *code, *check;
    } cases[] = {
        {"POST /v1/challenges", "", "{\"a\":1}", 400, "malformed", "request.body"},
        {"POST /v1/challenges", "", "{}{}", 400, "malformed", "request.body"},
        {"POST /v1/challenges", "Content-Type: text/plain\r\n", "{}", 400, "malformed",
            "request.content_type"},
        {"POST /v1/challenges", "Content-Type: application/jsonx\r\n", "{}", 400, "malformed",
            "request.content_type"},
        {"POST /v1/certificates", "", "", 400, "malformed", "request.body"},
        {"POST /v1/appraisals", "", "", 400, "malformed", "request.body"},
        {"GET /v1/certificates/00", "", NULL, 400, "malformed", "request.serial"},
        {"GET /v1/certificates/00112233445566778899AABBCCDDEEFF", "", NULL, 400, "malformed",
            "request.serial"},
        {"GET /v1/certificates/" SERIAL "0", "", NULL, 400, "malformed", "request.serial"},
        {"GET /v1/certificates/", "", NULL, 400, "malformed", "request.serial"},
        {"GET /", "", NULL, 404, "not-found", "request.path"},
        {"GET /v1/roots/", "", NULL, 404, "not-found", "request.path"},
        {"GET /v1/%72oots", "", NULL, 404, "not-found", "request.path"},
        {"GET /v1/crl/00.crl", "", NULL, 404, "not-found", "request.path"},
        {"POST /v1/ocsp", "", "x", 404, "not-found", "request.path"},
        {"GET /v1/ocsp/abc", "", NULL, 404, "not-found", "request.path"},
        {"POST /.well-known/est/simpleenroll", "", "x", 404, "not-found", "request.path"},
        {"GET /v1/log/00/checkpoint", "", NULL, 404, "not-found", "request.path"},
        {"PUT /v1/admin/policy", "", "x", 404, "not-found", "request.path"},
    };
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        client_ask(&c, cases[i].line, cases[i].headers, cases[i].body, &r);
        assert_problem(&r, cases[i].status, cases[i].code, cases[i].check);
    }
    client_ask(&c, "GET /v1/admin/policy", "", NULL, &r);
    cr_assert_not_null(strstr(r.body, "no such part yet"));
    cr_assert(silent(b.verifiers[0], 0));
    cr_assert(silent(b.authority, 0));
    client_close(&c);
    bench_stop(&b);
}

Test(routes, methods)
{
    static const struct {
        const char *line, *body, *allow;
    } cases[] = {
        {"GET /v1/challenges", NULL, "POST"},
        {"HEAD /v1/certificates", NULL, "POST"},
        {"PUT /v1/certificates", "{}", "POST"},
        {"DELETE /v1/certificates/" SERIAL, NULL, "GET, HEAD"},
        {"POST /v1/roots", "{}", "GET, HEAD"},
        {"OPTIONS /healthz", NULL, "GET, HEAD"},
        {"VERYLONGMETHODNAME /healthz", NULL, "GET, HEAD"},
        {"get /healthz", NULL, "GET, HEAD"},
    };
    struct bench b;
    struct client c;

    bench_start(&b, 0, "");
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        client_open(&c, b.port);
        client_request(&c, cases[i].line, "", cases[i].body);
        client_read(&c, &r, strncmp(cases[i].line, "HEAD", 4) == 0);
        cr_assert_eq(r.status, 405, "%s: %u", cases[i].line, r.status);
        cr_assert_str_eq(reply_header(&r, "Allow"), cases[i].allow);
        if (strncmp(cases[i].line, "HEAD", 4) != 0)
            assert_problem(&r, 405, "malformed", "request.method");
        client_close(&c);
    }
    bench_stop(&b);
}

Test(routes, readiness_says_why_not)
{
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    client_ask(&c, "GET /readyz", "", NULL, &r);
    assert_problem(&r, 503, "overloaded", "server.verifier");
    cr_assert_not_null(reply_header(&r, "Retry-After"));
    b.verifiers[0] = bench_link(&b, PAS_VERIFIER, 0);
    do { /* the link may still be on its way */
        client_request(&c, "GET /readyz", "", NULL);
        if (!silent(b.authority, 500))
            break;
        client_read(&c, &r, false);
    } while (r.status == 503);
    msg = expect(b.authority, PAS_READY);
    answer(b.authority, msg.id, 503, "application/problem+json", "{\"check\":\"store\"}");
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 503);
    cr_assert_str_eq(r.body, "{\"check\":\"store\"}");
    client_request(&c, "GET /readyz", "", NULL);
    (void)expect(b.authority, PAS_READY);
    bh_ipc_free(b.authority);
    b.authority = NULL;
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 503);
    client_close(&c);
    bench_stop(&b);
}

Test(routes, metrics_of_both)
{
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_ask(&c, "GET /nowhere", "", NULL, &r);
    client_request(&c, "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    answer(b.verifiers[0], msg.id, 400, "application/problem+json", "{}");
    client_read(&c, &r, false);
    client_request(&c, "GET /metrics", "", NULL);
    msg = expect(b.authority, PAS_METRICS);
    answer(b.authority, msg.id, 200, "text/plain", "beachhead_issued_total 7\n");
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "text/plain; version=0.0.4");
    cr_assert_not_null(strstr(r.body, "requests_total{route=\"none\",status=\"404\"} 1\n"));
    cr_assert_not_null(
        strstr(r.body, "requests_total{route=\"/v1/certificates\",status=\"400\"} 1\n"));
    cr_assert_not_null(strstr(r.body, "beachhead_certificates_seconds_bucket{le=\"+Inf\"} 1\n"));
    cr_assert_not_null(strstr(r.body, "beachhead_http_in_flight 1\n"));
    cr_assert_not_null(strstr(r.body, "beachhead_connections 1\n"));
    cr_assert_not_null(strstr(r.body, "beachhead_authority_up 1\n"));
    cr_assert_not_null(strstr(r.body, "beachhead_issued_total 7\n"));
    bh_ipc_free(b.authority);
    b.authority = NULL;
    cr_assert(bench_logged(&b, "\"peer-ended\",\"peer\":\"authority\""));
    client_ask(&c, "GET /metrics", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    cr_assert_not_null(strstr(r.body, "beachhead_authority_up 0\n"));
    client_close(&c);
    bench_stop(&b);
}
