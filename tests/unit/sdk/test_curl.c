/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk.h"

#include "beachhead/curl.h"
#include "support/fakeserver.h"

/* The fake server serves with a workload's certificate here. */
struct web {
    struct setup s;
    struct bh_fake_server server;
    CURL *easy;
    bh_curl *attached;
};

static size_t
swallow(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    *(size_t *)arg += size * n;
    return size * n;
}

static CURLcode
get(struct web *w, size_t *ret_bytes)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "%s/", w->server.url);
    *ret_bytes = 0;
    cr_assert_eq(curl_easy_setopt(w->easy, CURLOPT_URL, url), CURLE_OK);
    cr_assert_eq(curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, swallow), CURLE_OK);
    cr_assert_eq(curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, ret_bytes), CURLE_OK);
    cr_assert_eq(curl_easy_setopt(w->easy, CURLOPT_TIMEOUT, 10L), CURLE_OK);
    return curl_easy_perform(w->easy);
}

static void
open_web(struct web *w, const char *expected)
{
    memset(w, 0, sizeof(*w));
    begin(&w->s, NULL);
    bh_expectation_free(w->s.expectation);
    cr_assert_eq(bh_expectation_new(expected, &w->s.expectation, w->s.failure), BH_RESULT_OK);
    w->server.ca = &w->s.ca;
    w->server.workload = "payments";
    bh_fake_server_start(&w->server, 0);
    w->easy = curl_easy_init();
    cr_assert_not_null(w->easy);
    cr_assert_eq(bh_curl_attach(w->easy, w->s.trust, w->s.expectation, &w->attached, w->s.failure),
        BH_RESULT_OK, "%s", bh_failure_detail(w->s.failure));
}

static void
close_web(struct web *w)
{
    curl_easy_cleanup(w->easy);
    bh_curl_free(w->attached);
    bh_curl_free(NULL);
    bh_fake_server_stop(&w->server);
    finish(&w->s);
}

Test(curl, verified)
{
    struct web w;
    size_t bytes;

    open_web(&w, "payments");
    cr_expect_null(bh_curl_peer(w.attached));
    cr_assert_eq(get(&w, &bytes), CURLE_OK);
    cr_assert_not_null(bh_curl_peer(w.attached));
    cr_expect_str_eq(bh_peer_workload(bh_curl_peer(w.attached)), "payments");
    cr_expect_str_eq(bh_peer_claim(bh_curl_peer(w.attached), "module_id"), "i-01");
    cr_expect_null(bh_curl_failure(w.attached));
    cr_expect_gt(bytes, 0);
    close_web(&w);
}

Test(curl, refused)
{
    struct web w;
    size_t bytes;

    open_web(&w, "other");
    cr_expect_eq(get(&w, &bytes), CURLE_PEER_FAILED_VERIFICATION);
    cr_expect_eq(bytes, 0);
    cr_expect_eq(atomic_load(&w.server.requests), 0);
    cr_expect_null(bh_curl_peer(w.attached));
    cr_assert_not_null(bh_curl_failure(w.attached));
    cr_expect_str_eq(bh_failure_check(bh_curl_failure(w.attached)), "workload");
    close_web(&w);
}

/* A plain http URL is no way around it. */
Test(curl, https_only)
{
    struct web w;
    size_t bytes;

    open_web(&w, "payments");
    memmove(w.server.url + 4, w.server.url + 5, strlen(w.server.url + 5) + 1);
    cr_expect_eq(get(&w, &bytes), CURLE_UNSUPPORTED_PROTOCOL);
    close_web(&w);
}
