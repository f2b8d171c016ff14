/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "harness.h"

#include "frontend/hub.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static struct reply r;

static void
end(struct bh_ipc **ipc)
{
    bh_ipc_free(*ipc);
    *ipc = NULL;
}

Test(peers, a_verifiers_death_costs_what_it_held)
{
    struct bench b;
    struct client held, gone_on, next;
    struct bh_ipc_msg msg;
    uint64_t passed_id;

    bench_start(&b, 1, "");
    client_open(&held, b.port);
    client_open(&gone_on, b.port);
    client_open(&next, b.port);
    client_request(&gone_on, "POST /v1/certificates", "", "{}");
    passed_id = expect(b.verifiers[0], PAS_ENROL).id;
    passed(b.verifiers[0], passed_id);
    client_request(&held, "POST /v1/certificates", "", "{}");
    (void)expect(b.verifiers[0], PAS_ENROL);
    end(&b.verifiers[0]);
    client_read(&held, &r, false);
    assert_problem(&r, 500, "internal", "server.verifier");
    cr_assert(bench_logged(&b, "\"check\":\"server.verifier\""));
    /* What it had passed on is the authority's. */
    answer(b.authority, passed_id, 201, "application/json", "{}");
    client_read(&gone_on, &r, false);
    cr_assert_eq(r.status, 201);
    /* Between two verifiers requests wait. */
    client_request(&next, "POST /v1/certificates", "", "{}");
    (void)poll(NULL, 0, 50);
    b.verifiers[1] = bench_link(&b, PAS_VERIFIER, 0);
    msg = expect(b.verifiers[1], PAS_ENROL);
    answer(b.verifiers[1], msg.id, 403, "application/problem+json", "{}");
    client_read(&next, &r, false);
    cr_assert_eq(r.status, 403);
    client_close(&held);
    client_close(&gone_on);
    client_close(&next);
    bench_stop(&b);
}

Test(peers, the_authoritys_death_costs_what_waits_on_it)
{
    struct bench b;
    struct client mint, issue;
    struct bh_ipc_msg msg;

    bench_start(&b, 1, "");
    client_open(&mint, b.port);
    client_open(&issue, b.port);
    client_request(&mint, "POST /v1/challenges", "", "");
    (void)expect(b.authority, PAS_MINT);
    client_request(&issue, "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    passed(b.verifiers[0], msg.id);
    /* PASSED must be read before the end is seen: another request goes the same way behind it. */
    client_request(&mint, "GET /v1/info", "", NULL);
    (void)poll(NULL, 0, 200);
    end(&b.authority);
    client_read(&mint, &r, false);
    assert_problem(&r, 500, "internal", "server.authority");
    client_read(&issue, &r, false);
    assert_problem(&r, 500, "internal", "server.authority");
    client_read(&mint, &r, false); /* the pipelined one: nobody is there */
    assert_problem(&r, 503, "overloaded", "server.authority");
    cr_assert_str_eq(reply_header(&r, "Retry-After"), "1");
    b.authority = bench_link(&b, PAS_AUTHORITY, 0);
    (void)poll(NULL, 0, 50);
    client_request(&mint, "POST /v1/challenges", "", "");
    msg = expect(b.authority, PAS_MINT);
    answer(b.authority, msg.id, 201, "application/json", "{}");
    client_read(&mint, &r, false);
    cr_assert_eq(r.status, 201);
    client_close(&mint);
    client_close(&issue);
    bench_stop(&b);
}

Test(peers, late_and_unknown_answers_are_dropped)
{
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;
    uint64_t late;

    bench_start(&b, 1, ",\"request_timeout\":\"1s\"");
    client_open(&c, b.port);
    answer(b.authority, 42, 200, "application/json", "{}");
    answer(b.verifiers[0], 43, 200, "application/json", "{}");
    client_request(&c, "POST /v1/certificates", "", "{}");
    late = expect(b.verifiers[0], PAS_ENROL).id;
    client_read(&c, &r, false);
    assert_problem(&r, 500, "internal", "server.deadline");
    answer(b.verifiers[0], late, 201, "application/json", "{\"late\":true}");
    answer(b.authority, late, 201, "application/json", "{\"late\":true}");
    /* The place at the verifier is free again. */
    for (int i = 0; i < 3; i++) {
        client_request(&c, "POST /v1/certificates", "", "{}");
        msg = expect(b.verifiers[0], PAS_ENROL);
        answer(b.verifiers[0], msg.id, 403, "application/problem+json", "{}");
        client_read(&c, &r, false);
        cr_assert_eq(r.status, 403);
    }
    client_request(&c, "GET /metrics", "", NULL);
    msg = expect(b.authority, PAS_METRICS);
    answer(b.authority, msg.id, 200, "text/plain", "");
    client_read(&c, &r, false);
    cr_assert_not_null(strstr(r.body, "beachhead_late_answers_total 4\n"));
    client_close(&c);
    bench_stop(&b);
}

/* A verifier answers for its own requests only. */
Test(peers, a_verifier_cannot_answer_for_others)
{
    struct bench b;
    struct client mint, enrol;
    struct bh_ipc_msg msg;
    uint64_t id;

    bench_start(&b, 2, "");
    client_open(&mint, b.port);
    client_open(&enrol, b.port);
    client_request(&mint, "POST /v1/challenges", "", "");
    id = expect(b.authority, PAS_MINT).id;
    answer(b.verifiers[0], id, 201, "application/json", "{\"forged\":true}");
    passed(b.verifiers[0], id);
    client_request(&enrol, "POST /v1/certificates", "", "{}");
    const size_t holder = silent(b.verifiers[0], 200) ? 1 : 0;
    msg = expect(b.verifiers[holder], PAS_ENROL);
    answer(b.verifiers[1 - holder], msg.id, 201, "application/json", "{\"forged\":true}");
    (void)poll(NULL, 0, 100);
    answer(b.verifiers[holder], msg.id, 403, "application/problem+json", "{}");
    client_read(&enrol, &r, false);
    cr_assert_eq(r.status, 403);
    answer(b.authority, id, 201, "application/json", "{}");
    client_read(&mint, &r, false);
    cr_assert_str_eq(r.body, "{}");
    client_close(&mint);
    client_close(&enrol);
    bench_stop(&b);
}

Test(peers, what_is_not_permitted_ends_the_channel)
{
    static const struct {
        bool authority;
        uint16_t type;
        const char *payload;
    } cases[] = {
        {false, PAS_ISSUE, ""},
        {false, PAS_MINT, ""},
        {false, PAS_CTL_DRAIN, ""},
        {false, 0x7fff, ""},
        {false, PAS_ANSWER, "no answer"},
        {false, PAS_ANSWER, ""},
        {false, PAS_PASSED, "something"},
        {true, PAS_PASSED, ""},
        {true, PAS_VALUE, ""},
    };
    struct bench b;
    struct bh_ipc *ipc;

    bench_start(&b, 0, "");
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        ipc = bench_link(&b, cases[i].authority ? PAS_AUTHORITY : PAS_VERIFIER, 7);
        cr_assert_eq(bh_ipc_send(ipc, cases[i].type, 1, bh_span_str(cases[i].payload), -1), BH_OK);
        expect_end(ipc);
        bh_ipc_free(ipc);
    }
    cr_assert(bench_logged(&b, "a message that it may not send"));
    bench_stop(&b);
}

/* A status or content type that HTTP cannot carry is not an answer either. */
Test(peers, unsound_answers_end_the_channel)
{
    static const struct {
        unsigned status;
        const char *type;
    } cases[] = {
        {99, "text/plain"},
        {101, "text/plain"},
        {600, "text/plain"},
        {200, ""},
        {200, "text/plain\r\nX-Injected: 1"},
    };
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;
    struct bh_ipc *ipc;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        ipc = bench_link(&b, PAS_VERIFIER, 0);
        client_request(&c, "POST /v1/certificates", "", "{}");
        msg = expect(ipc, PAS_ENROL);
        answer(ipc, msg.id, cases[i].status, cases[i].type, "{}");
        expect_end(ipc);
        client_read(&c, &r, false);
        assert_problem(&r, 500, "internal", "server.verifier");
        bh_ipc_free(ipc);
    }
    client_close(&c);
    bench_stop(&b);
}

Test(peers, two_each_fewest_first_then_the_queue)
{
    enum {
        CLIENTS = 5
    };
    struct bench b;
    struct client c[CLIENTS];
    uint64_t first, second;
    struct bh_ipc_msg msg;

    bench_start(&b, 2, "");
    for (size_t i = 0; i < CLIENTS; i++) {
        client_open(&c[i], b.port);
        client_request(&c[i], "POST /v1/certificates", "", "{}");
        (void)poll(NULL, 0, 50);
    }
    first = expect(b.verifiers[0], PAS_ENROL).id;
    second = expect(b.verifiers[0], PAS_ENROL).id;
    (void)expect(b.verifiers[1], PAS_ENROL);
    (void)expect(b.verifiers[1], PAS_ENROL);
    cr_assert(silent(b.verifiers[0], 100));
    cr_assert(silent(b.verifiers[1], 0));
    answer(b.verifiers[0], first, 403, "application/problem+json", "{}");
    client_read(&c[0], &r, false);
    cr_assert_eq(r.status, 403);
    msg = expect(b.verifiers[0], PAS_ENROL);
    answer(b.verifiers[0], msg.id, 404, "application/problem+json", "{}");
    client_read(&c[4], &r, false);
    cr_assert_eq(r.status, 404);
    answer(b.verifiers[0], second, 403, "application/problem+json", "{}");
    client_read(&c[2], &r, false);
    cr_assert_eq(r.status, 403);
    /* Both of the other one's clients get their 500 when it ends. */
    end(&b.verifiers[1]);
    client_read(&c[1], &r, false);
    assert_problem(&r, 500, "internal", "server.verifier");
    client_read(&c[3], &r, false);
    assert_problem(&r, 500, "internal", "server.verifier");
    for (size_t i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    bench_stop(&b);
}

/* Two at the verifier, 256 in the queue: one of these is refused, and only one. */
Test(peers, the_queue_is_bounded)
{
    enum {
        CLIENTS = PAS_FE_HELD_MAX + PAS_FE_WAITING_MAX + 1
    };
    static struct client c[CLIENTS];
    static struct pollfd polled[CLIENTS];
    struct bench b;
    size_t refused = 0;

    bench_start(&b, 1, "");
    for (size_t i = 0; i < CLIENTS; i++) {
        client_open(&c[i], b.port);
        client_ask(&c[i], "GET /healthz", "", NULL, &r); /* the tickets are read with it */
        polled[i] = (struct pollfd){.fd = c[i].fd, .events = POLLIN};
    }
    for (size_t i = 0; i < CLIENTS; i++)
        client_request(&c[i], "POST /v1/certificates", "", "{}");
    cr_assert_gt(poll(polled, CLIENTS, 10000), 0);
    while (polled[refused].revents == 0)
        refused++;
    client_read(&c[refused], &r, false);
    assert_problem(&r, 503, "overloaded", "server.queue");
    cr_assert_str_eq(reply_header(&r, "Retry-After"), "1");
    for (size_t i = 0; i + 1 < CLIENTS; i++)
        answer(b.verifiers[0], expect(b.verifiers[0], PAS_ENROL).id, 403,
            "application/problem+json", "{}");
    for (size_t i = 0; i < CLIENTS; i++) {
        if (i != refused) {
            client_read(&c[i], &r, false);
            cr_assert_eq(r.status, 403);
        }
        client_vanish(&c[i]);
    }
    bench_stop(&b);
}

Test(peers, a_client_that_is_gone)
{
    struct bench b;
    struct client c, others[2];
    struct bh_ipc_msg msg;
    uint64_t ids[2];

    bench_start(&b, 1, "");
    /* While a verifier works on it: the answer finds nobody, and nothing else happens. */
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    client_vanish(&c);
    (void)poll(NULL, 0, 50);
    answer(b.verifiers[0], msg.id, 201, "application/json", "{}");
    cr_assert(bench_logged(&b, "\"route\":\"/v1/certificates\""));
    /* While it waits for a verifier: it is not even sent. */
    for (size_t i = 0; i < 2; i++) {
        client_open(&others[i], b.port);
        client_request(&others[i], "POST /v1/certificates", "", "{}");
        ids[i] = expect(b.verifiers[0], PAS_ENROL).id;
    }
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{}");
    (void)poll(NULL, 0, 50);
    client_vanish(&c);
    (void)poll(NULL, 0, 50);
    for (size_t i = 0; i < 2; i++) {
        answer(b.verifiers[0], ids[i], 403, "application/problem+json", "{}");
        client_read(&others[i], &r, false);
        cr_assert_eq(r.status, 403);
        client_close(&others[i]);
    }
    cr_assert(silent(b.verifiers[0], 200));
    cr_assert(bench_logged(&b, "\"check\":\"server.client\""));
    bench_stop(&b);
}

/* Reload: the new one gets what comes, the old one finishes what it has. */
Test(peers, a_replaced_verifier_finishes)
{
    struct bench b;
    struct client c[2];
    struct bh_ipc *old;
    struct bh_ipc_msg msg;
    uint64_t id;

    bench_start(&b, 1, "");
    client_open(&c[0], b.port);
    client_open(&c[1], b.port);
    client_request(&c[0], "POST /v1/certificates", "", "{}");
    id = expect(b.verifiers[0], PAS_ENROL).id;
    old = b.verifiers[0];
    b.verifiers[0] = bench_link(&b, PAS_VERIFIER, 0);
    bench_control(&b, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_VERIFIER, 5), bh_span_none(), -1);
    (void)poll(NULL, 0, 100);
    client_request(&c[1], "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    answer(old, id, 403, "application/problem+json", "{}");
    client_read(&c[0], &r, false);
    cr_assert_eq(r.status, 403);
    bh_ipc_free(old);
    answer(b.verifiers[0], msg.id, 404, "application/problem+json", "{}");
    client_read(&c[1], &r, false);
    cr_assert_eq(r.status, 404);
    client_close(&c[0]);
    client_close(&c[1]);
    bench_stop(&b);
}

Test(peers, an_unlinked_verifier_gets_nothing_new)
{
    struct bench b;
    struct client c;

    bench_start(&b, 1, ",\"request_timeout\":\"1s\"");
    bench_control(&b, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_VERIFIER, 0), bh_span_none(), -1);
    (void)poll(NULL, 0, 100);
    client_open(&c, b.port);
    client_ask(&c, "POST /v1/certificates", "", "{}", &r);
    assert_problem(&r, 503, "overloaded", "server.queue");
    cr_assert(silent(b.verifiers[0], 0));
    client_close(&c);
    bench_stop(&b);
}

Test(peers, a_hung_verifier_is_given_up)
{
    struct bench b;
    struct client c;

    bench_start(&b, 1, ",\"request_timeout\":\"1s\"");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{}");
    (void)expect(b.verifiers[0], PAS_ENROL);
    client_read(&c, &r, false);
    assert_problem(&r, 500, "internal", "server.deadline");
    expect_end(b.verifiers[0]);
    client_close(&c);
    bench_stop(&b);
}

Test(peers, what_is_passed_on_to_an_authority_that_has_ended)
{
    struct bench b;
    struct client c;
    uint64_t began, id;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{}");
    id = expect(b.verifiers[0], PAS_ENROL).id;
    end(&b.authority);
    cr_assert(bench_logged(&b, "peer-ended"));
    /* The verifier had not seen the end yet. */
    began = now_ms();
    passed(b.verifiers[0], id);
    client_read(&c, &r, false);
    assert_problem(&r, 500, "internal", "server.authority");
    cr_assert_lt(now_ms() - began, 2000);
    b.authority = bench_link(&b, PAS_AUTHORITY, 0);
    client_close(&c);
    bench_stop(&b);
}

/* The parent says nothing of an end: so it was the authority that closed the channel. */
Test(peers, cut_off_by_the_authority_it_ends)
{
    struct bench b;

    bench_start(&b, 1, "");
    end(&b.authority);
    cr_assert_eq(bench_wait(&b), 1);
    cr_assert(bench_logged(&b, "\"event\":\"cut-off\""));
    bench_free(&b);
}

Test(peers, an_authority_that_is_gone_is_waited_for)
{
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    bench_control(&b, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_AUTHORITY, 0), bh_span_none(), -1);
    end(&b.authority);
    (void)poll(NULL, 0, 3000);
    client_open(&c, b.port);
    client_request(&c, "GET /healthz", "", NULL);
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 200);
    b.authority = bench_link(&b, PAS_AUTHORITY, 0);
    client_close(&c);
    bench_stop(&b);
}
