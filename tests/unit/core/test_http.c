/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTPS client: whom it talks to, what it takes, how it says what went wrong. */
#include "core/http.h"
#include "core/limits.h"
#include "support/ca.h"
#include "support/fakeserver.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct rig {
    struct bh_test_ca ca;
    struct bh_fake_server server;
    struct bh_http *http;
    struct bh_diag diag;
};

static void
begin_with(struct rig *r, const struct bh_test_root *root, const char *spiffe_path)
{
    memset(r, 0, sizeof(*r));
    bh_test_ca_make(&r->ca, root);
    r->server.ca = &r->ca;
    r->server.spiffe_path = spiffe_path;
    bh_fake_server_start(&r->server, 0);
    cr_assert_eq(bh_http_new(r->server.url, bh_span_str(r->ca.root_pem), 5000, &r->http, &r->diag),
        BH_OK, "%s", r->diag.detail);
}

static void
begin(struct rig *r)
{
    begin_with(r, &(struct bh_test_root){.domain = "fleet.example"}, NULL);
}

static void
finish(struct rig *r)
{
    bh_http_free(r->http);
    bh_fake_server_stop(&r->server);
    bh_test_ca_clear(&r->ca);
}

static enum bh_err
get(struct rig *r, const char *path, struct bh_http_reply *reply)
{
    bh_diag_clear(&r->diag);
    return bh_http_request(r->http, path, NULL, NULL, reply, &r->diag);
}

Test(http, requests)
{
    const struct bh_span body = bh_span_str("{}");
    struct bh_http_reply reply = {0};
    struct rig r;

    begin(&r);
    cr_assert_eq(get(&r, "/nothing", &reply), BH_OK, "%s", r.diag.detail);
    cr_expect_eq(reply.status, 404);
    cr_expect_str_eq(reply.content_type, "application/problem+json");
    cr_expect_str_eq(reply.body, "{}");
    bh_http_reply_clear(&reply);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(
            bh_http_request(r.http, "/v1/challenges", "application/json", &body, &reply, &r.diag),
            BH_OK);
        cr_expect_eq(reply.status, 201);
        bh_http_reply_clear(&reply);
    }
    const struct bh_span none = bh_span_none();
    cr_assert_eq(
        bh_http_request(r.http, "/v1/challenges", "application/json", &none, &reply, &r.diag),
        BH_OK);
    bh_http_reply_clear(&reply);
    atomic_store(&r.server.reply, "204");
    cr_assert_eq(get(&r, "/", &reply), BH_OK);
    cr_expect_str_eq(reply.body, "");
    bh_http_reply_clear(&reply);
    finish(&r);
}

Test(http, only_the_server_of_these_roots)
{
    struct bh_http_reply reply = {0};
    struct bh_test_ca other;
    struct rig r;

    /* Another name under the right root: a workload, for one. */
    begin_with(&r, &(struct bh_test_root){.domain = "fleet.example"}, "payments");
    cr_expect_eq(get(&r, "/", &reply), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(r.diag.check, "server.identity", "%s", r.diag.check);
    cr_expect_eq(atomic_load(&r.server.requests), 0);
    finish(&r);
    /* Another root. */
    begin(&r);
    bh_http_free(r.http);
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    cr_assert_eq(
        bh_http_new(r.server.url, bh_span_str(other.root_pem), 5000, &r.http, NULL), BH_OK);
    cr_expect_eq(get(&r, "/", &reply), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(r.diag.check, "server.chain");
    cr_expect_str_neq(r.diag.hint, "");
    cr_expect_eq(atomic_load(&r.server.requests), 0);
    bh_test_ca_clear(&other);
    finish(&r);
}

Test(http, a_reply_that_is_too_large)
{
    struct bh_http_reply reply = {0};
    char *large = malloc(9 * 1024 * 1024);
    struct rig r;

    cr_assert_not_null(large);
    memset(large, 'x', 9 * 1024 * 1024 - 1);
    memcpy(large, "200 ", 4);
    large[9 * 1024 * 1024 - 1] = '\0';
    begin(&r);
    atomic_store(&r.server.reply, large);
    cr_expect_eq(get(&r, "/", &reply), BH_ERR_TOO_LARGE, "%s", r.diag.detail);
    cr_expect_null(reply.body);
    finish(&r);
    free(large);
}

Test(http, nobody_there)
{
    struct bh_http_reply reply = {0};
    char path[2000];
    struct rig r;

    begin(&r);
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(get(&r, path, &reply), BH_ERR_USAGE);
    bh_http_free(r.http);
    cr_assert_eq(
        bh_http_new("https://127.0.0.1:1", bh_span_str(r.ca.root_pem), 5000, &r.http, NULL), BH_OK);
    cr_expect_eq(get(&r, "/", &reply), BH_ERR_NETWORK);
    cr_expect_str_neq(r.diag.hint, "");
    finish(&r);
}

Test(http, wrong_usage)
{
    static const char *const urls[] = {
        "", "http://127.0.0.1:1", "https://", "https://h/path", "https://user@h:1", "ftp://h"};
    struct bh_http *http = NULL;
    struct bh_test_ca ca;

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    for (size_t i = 0; i < BH_COUNT(urls); i++) {
        struct bh_diag diag = {0};
        cr_expect_eq(bh_http_new(urls[i], bh_span_str(ca.root_pem), 1, &http, &diag), BH_ERR_USAGE,
            "%s", urls[i]);
        cr_expect_str_neq(diag.detail, "");
    }
    cr_expect_neq(bh_http_new("https://h:1", bh_span_str("no root"), 1, &http, NULL), BH_OK);
    cr_expect_null(http);
    bh_http_free(NULL);
    bh_test_ca_clear(&ca);
}

static enum bh_err
problem(long status, const char *body, struct bh_diag *diag)
{
    char text[512];
    const struct bh_http_reply reply = {.status = status, .body = text, .body_len = strlen(body)};

    (void)snprintf(text, sizeof(text), "%s", body);
    bh_diag_clear(diag);
    return bh_http_problem(&reply, diag);
}

Test(http, problems)
{
    struct bh_diag diag;

    cr_expect_eq(problem(403,
                     "{\"type\":\"urn:beachhead:error:binding-mismatch\",\"check\":\"psa.binding\","
                     "\"expected\":\"a\",\"found\":\"b\",\"detail\":\"c\",\"hint\":\"d\"}",
                     &diag),
        BH_ERR_BINDING);
    cr_expect_str_eq(diag.check, "psa.binding");
    cr_expect_str_eq(diag.expected, "a");
    cr_expect_str_eq(diag.found, "b");
    cr_expect_str_eq(diag.detail, "c");
    cr_expect_str_eq(diag.hint, "d");
    cr_expect_eq(
        problem(403, "{\"type\":\"urn:beachhead:error:new-one\"}", &diag), BH_ERR_INTERNAL);
    cr_expect_eq(problem(403, "{\"type\":\"about:blank\"}", &diag), BH_ERR_INTERNAL);
    cr_expect_eq(problem(403, "{}", &diag), BH_ERR_INTERNAL);
    cr_expect_eq(problem(500, "<html>", &diag), BH_ERR_INTERNAL);
    cr_expect_eq(problem(503, "", &diag), BH_ERR_OVERLOADED);
    cr_expect_eq(problem(502, "[]", &diag), BH_ERR_OVERLOADED);
    cr_expect_not_null(strstr(diag.detail, "502"));
}
