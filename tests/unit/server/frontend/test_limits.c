/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "core/limits.h"
#include "harness.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct reply r;

static char *
long_body(size_t len)
{
    char *body = malloc(len + 1);

    cr_assert_not_null(body);
    memset(body, 'x', len);
    body[len] = '\0';
    return body;
}

Test(limits, the_longest_body_passes)
{
    char *body = long_body(BH_BODY_MAX);
    struct pas_request request = {0};
    struct bh_ipc_msg msg;
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", body);
    msg = expect(b.verifiers[0], PAS_ENROL);
    cr_assert_eq(pas_request_decode(msg.payload, &request), BH_OK);
    cr_assert(bh_span_is(request.body, body));
    answer(b.verifiers[0], msg.id, 400, "application/problem+json", "{}");
    client_read(&c, &r, false);
    cr_assert_eq(r.status, 400);
    client_close(&c);
    free(body);
    bench_stop(&b);
}

Test(limits, a_longer_body_is_refused_before_it_comes)
{
    struct bench b;
    struct client c;
    char head[64];

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    (void)snprintf(
        head, sizeof(head), "Content-Length: %d\r\nExpect: 100-continue\r\n", BH_BODY_MAX + 1);
    client_ask(&c, "POST /v1/certificates", head, NULL, &r);
    assert_problem(&r, 413, "too-large", "request.body");
    cr_assert(client_closed_within(&c, 5000));
    client_vanish(&c);
    client_open(&c, b.port);
    client_ask(&c, "POST /v1/challenges", "Content-Length: 99999999999999\r\n", NULL, &r);
    assert_problem(&r, 413, "too-large", "request.body");
    client_vanish(&c);
    cr_assert(silent(b.verifiers[0], 0));
    bench_stop(&b);
}

/* Who sends at once gets the answer, and no reset, and may go on. */
Test(limits, a_longer_body_that_comes_all_the_same)
{
    char *body = malloc(BH_BODY_MAX + 2);
    struct bench b;
    struct client c;

    cr_assert_not_null(body);
    memset(body, 'x', BH_BODY_MAX + 1);
    body[BH_BODY_MAX + 1] = '\0';
    bench_start(&b, 1, "");
    client_open(&c, b.port);
    for (int i = 0; i < 3; i++) {
        client_ask(&c, "POST /v1/certificates", "", body, &r);
        assert_problem(&r, 413, "too-large", "request.body");
    }
    cr_assert(silent(b.verifiers[0], 0));
    client_close(&c);
    bench_stop(&b);
    free(body);
}

static void
send_chunks(struct client *c, size_t n)
{
    static char chunk[8 + 4096 + 2] = "1000\r\n";

    memset(chunk + 6, 'x', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    for (size_t i = 0; i < n; i++)
        if (!client_send(c, chunk, 6 + 4096 + 2))
            return;
    (void)client_send(c, "0\r\n\r\n", 5);
}

Test(limits, a_longer_body_in_chunks)
{
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "Transfer-Encoding: chunked\r\n", NULL);
    send_chunks(&c, BH_BODY_MAX / 4096 + 1);
    client_read(&c, &r, false);
    assert_problem(&r, 413, "too-large", "request.body");
    /* Within the limit it is as good as any other. */
    client_request(&c, "POST /v1/certificates", "Transfer-Encoding: chunked\r\n", NULL);
    send_chunks(&c, BH_BODY_MAX / 4096);
    (void)expect(b.verifiers[0], PAS_ENROL);
    client_vanish(&c);
    /* What never ends is cut off. */
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "Transfer-Encoding: chunked\r\n", NULL);
    send_chunks(&c, 2000);
    cr_assert(client_closed_within(&c, 5000));
    client_vanish(&c);
    bench_stop(&b);
}

/* Whatever could be read as another request is not: one answer, and the end of the connection. */
Test(limits, framing_is_unambiguous)
{
    static const char smuggled[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char *const heads[] = {
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "GET /v1/info HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: "
        "40\r\n\r\n{}",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: "
        "2\r\n\r\n{}",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length : 40\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 40\r\n\r\n",
        "POST /v1/challenges HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
    };
    struct bench b;

    bench_start(&b, 1, "");
    for (size_t i = 0; i < BH_COUNT(heads); i++) {
        struct client c;

        client_open(&c, b.port);
        cr_assert(client_send(&c, heads[i], strlen(heads[i])));
        (void)client_send(&c, smuggled, strlen(smuggled));
        client_read(&c, &r, false);
        cr_assert_eq(r.status, 400, "%zu: %u", i, r.status);
        client_read(&c, &r, false);
        cr_assert_eq(r.status, 0, "%zu: a second answer, %u", i, r.status);
        client_vanish(&c);
    }
    cr_assert(silent(b.authority, 100));
    bench_stop(&b);
}

Test(limits, framing_is_refused_by_name)
{
    struct bench b;
    struct client c;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(
        &c, "POST /v1/certificates", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", NULL);
    (void)client_send(&c, "3\r\nabc\r\n0\r\n\r\n", 13);
    client_read(&c, &r, false);
    assert_problem(&r, 400, "malformed", "request.framing");
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    cr_assert(silent(b.verifiers[0], 100));
    client_vanish(&c);
    bench_stop(&b);
}

Test(limits, headers_are_bounded)
{
    char *header = long_body(64 * 1024);
    struct bench b;
    struct client c;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    cr_assert(client_send(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", 37 - 2));
    (void)client_send(&c, header, 64 * 1024);
    client_read(&c, &r, false);
    cr_assert(r.status == 431 || r.status == 413 || r.status == 0, "%u", r.status);
    client_vanish(&c);
    client_open(&c, b.port);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_close(&c);
    free(header);
    bench_stop(&b);
}

Test(limits, malformed_http)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nnocolon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n", /* no Host */
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
        "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
    };
    struct bench b;
    struct client c;

    bench_start(&b, 1, ",\"request_timeout\":\"1s\",\"idle_timeout\":\"1s\"");
    for (size_t i = 0; i < BH_COUNT(texts); i++) {
        client_open(&c, b.port);
        cr_assert(client_send(&c, texts[i], strlen(texts[i])));
        client_read(&c, &r, false);
        cr_assert(r.status == 0 || r.status >= 400, "text %zu: %u", i, r.status);
        client_vanish(&c);
    }
    cr_assert(silent(b.authority, 0));
    client_open(&c, b.port);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_close(&c);
    bench_stop(&b);
}

Test(limits, rate)
{
    struct bench b;
    struct client c;
    unsigned good = 0;
    long after;

    bench_start(&b, 1, ",\"rate\":{\"per_second\":1,\"burst\":3}");
    client_open(&c, b.port);
    do {
        client_ask(&c, "POST /v1/certificates", "", "", &r);
        good += r.status == 400;
    } while (r.status == 400 && good < 10);
    cr_assert(good == 3 || good == 4, "%u", good);
    assert_problem(&r, 429, "rate-limited", "request.rate");
    after = strtol(reply_header(&r, "Retry-After"), NULL, 10);
    cr_assert(after == 1);
    /* The connection stays, liveness is free, and time heals. */
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    (void)poll(NULL, 0, 1100);
    client_ask(&c, "POST /v1/certificates", "", "", &r);
    cr_assert_eq(r.status, 400);
    client_close(&c);
    bench_stop(&b);
}

Test(limits, connections_per_address)
{
    struct bench b;
    struct client c[3];

    bench_start(&b, 0, ",\"connections_per_address\":2");
    client_open(&c[0], b.port);
    client_open(&c[1], b.port);
    cr_assert(!client_try(&c[2], b.port, TLS1_3_VERSION, NULL));
    client_vanish(&c[2]);
    client_ask(&c[1], "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_close(&c[0]);
    for (int i = 0; i < 100; i++) { /* the server must see the end first */
        if (client_try(&c[2], b.port, TLS1_3_VERSION, NULL))
            break;
        client_vanish(&c[2]);
        (void)poll(NULL, 0, 20);
    }
    client_ask(&c[2], "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_close(&c[1]);
    client_close(&c[2]);
    bench_stop(&b);
}

/* At the limit the longest idle one makes room, not the newcomer, and not one that is being served.
 */
Test(limits, the_oldest_idle_connection_makes_room)
{
    struct bench b;
    struct client c[4];
    struct bh_ipc_msg msg;

    bench_start(&b, 1, ",\"connections\":3");
    client_open(&c[0], b.port);
    client_request(&c[0], "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    client_open(&c[1], b.port);
    (void)poll(NULL, 0, 50);
    client_open(&c[2], b.port);
    (void)poll(NULL, 0, 50);
    client_open(&c[3], b.port);
    cr_assert(client_closed_within(&c[1], 5000));
    answer(b.verifiers[0], msg.id, 400, "application/problem+json", "{}");
    client_read(&c[0], &r, false);
    cr_assert_eq(r.status, 400);
    client_ask(&c[2], "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_ask(&c[3], "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    for (size_t i = 0; i < 4; i++)
        client_vanish(&c[i]);
    bench_stop(&b);
}

Test(limits, idle_and_slow_clients_are_cut_off)
{
    struct bench b;
    struct client idle, slow, other;
    uint64_t began;
    int silent_tcp;
    struct client handshake = {0};

    bench_start(&b, 0, ",\"idle_timeout\":\"3s\",\"request_timeout\":\"1s\"");
    silent_tcp = client_connect(b.port);
    handshake.fd = silent_tcp;
    client_open(&idle, b.port);
    client_open(&slow, b.port);
    client_open(&other, b.port);
    began = now_ms();
    /* A byte every 100 ms keeps nothing alive, and does not stop others. */
    while (client_send(&slow, "G", 1) && now_ms() - began < 5000) {
        client_ask(&other, "GET /healthz", "", NULL, &r);
        cr_assert_eq(r.status, 200);
        if (client_closed_within(&slow, 100))
            break;
    }
    cr_assert(now_ms() - began >= 900);
    cr_assert_lt(now_ms() - began, 2500);
    cr_assert(client_closed_within(&handshake, 1500));
    cr_assert(!client_closed_within(&idle, 200));
    cr_assert(client_closed_within(&idle, 4000));
    cr_assert_geq(now_ms() - began, 2500);
    (void)close(silent_tcp);
    client_vanish(&idle);
    client_vanish(&slow);
    client_close(&other);
    bench_stop(&b);
}

/* The body counts as well: a whole head and then a drop at a time. */
Test(limits, a_slow_body_is_cut_off)
{
    struct bench b;
    struct client c;
    const uint64_t began = now_ms();

    bench_start(&b, 1, ",\"request_timeout\":\"1s\"");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "Content-Length: 1000\r\n", NULL);
    while (client_send(&c, "x", 1) && now_ms() - began < 5000)
        if (client_closed_within(&c, 100))
            break;
    cr_assert_lt(now_ms() - began, 3000);
    cr_assert(bench_logged(&b, "connection lost"));
    cr_assert(silent(b.verifiers[0], 0));
    client_vanish(&c);
    bench_stop(&b);
}

Test(limits, a_thousand_idle_connections_starve_nobody)
{
    enum {
        MANY = 1000
    };
    static int idle[MANY];
    struct rlimit files;
    struct bench b;
    struct client c;
    uint64_t began;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    bench_start(&b, 0, ",\"connections\":500");
    for (size_t i = 0; i < MANY; i++)
        idle[i] = client_connect(b.port);
    began = now_ms();
    client_open(&c, b.port);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    cr_assert_lt(now_ms() - began, 5000);
    client_close(&c);
    for (size_t i = 0; i < MANY; i++)
        (void)close(idle[i]);
    bench_stop(&b);
}

static double
cpu_seconds(pid_t pid)
{
    unsigned long user = 0, system = 0;
    char path[64], text[1024] = "";
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    cr_assert_not_null(f = fopen(path, "r"));
    cr_assert_gt(fread(text, 1, sizeof(text) - 1, f), 0);
    (void)fclose(f);
    cr_assert_eq(sscanf(strrchr(text, ')') + 1,
                     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
        2);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Whatever a client leaves half done, waiting for the rest is free. */
Test(limits, waiting_costs_no_cpu_time)
{
    struct bench b;
    struct client c;
    double before;
    int fds[3];

    bench_start(&b, 0, "");
    for (size_t i = 0; i < 3; i++)
        fds[i] = client_connect(b.port);
    cr_assert_eq(write(fds[1], "\x16", 1), 1);
    cr_assert_eq(write(fds[2], "\x16\x03\x01\x02\x00\x01", 6), 6);
    client_open(&c, b.port);
    cr_assert(client_send(&c, "GET /hea", 8));
    (void)poll(NULL, 0, 200);
    before = cpu_seconds(b.pid);
    (void)poll(NULL, 0, 1000);
    cr_assert_lt(cpu_seconds(b.pid) - before, 0.25);
    client_vanish(&c);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
    bench_stop(&b);
}

/* A handshake that comes in pieces is still a handshake, and its end is seen. */
Test(limits, handshakes_in_pieces)
{
    struct bench b;
    struct client c;
    BIO *network = NULL, *inside = NULL;
    char buf[8192];
    int n, done = 0;

    bench_start(&b, 0, "");
    memset(&c, 0, sizeof(c));
    c.fd = client_connect(b.port);
    c.ctx = SSL_CTX_new(TLS_client_method());
    c.ssl = SSL_new(c.ctx);
    cr_assert_eq(BIO_new_bio_pair(&inside, sizeof(buf), &network, sizeof(buf)), 1);
    SSL_set_bio(c.ssl, inside, inside);
    while ((done = SSL_connect(c.ssl)) != 1 || BIO_pending(network) > 0) {
        while ((n = BIO_read(network, buf, 50)) > 0) {
            cr_assert_eq(write(c.fd, buf, (size_t)n), n);
            (void)poll(NULL, 0, 5);
        }
        if (done == 1)
            break;
        cr_assert_gt(n = (int)recv(c.fd, buf, sizeof(buf), 0), 0);
        cr_assert_eq(BIO_write(network, buf, n), n);
    }
    (void)SSL_set_fd(c.ssl, c.fd);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    BIO_free(network);
    client_close(&c);
    bench_stop(&b);
}
