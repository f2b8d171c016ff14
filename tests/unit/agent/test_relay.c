/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LARGE (3 * 1024 * 1024 + 17)

/* The inner side speaks TLS with a certificate of a throw-away CA. */
struct inner_tls {
    struct bh_test_ca ca;
    EVP_PKEY *key;
    struct agent_identity *identity;
};

static void
use_tls(struct rig *rig, struct inner_tls *t)
{
    bh_test_ca_make(&t->ca, &(struct bh_test_root){.domain = "fleet.example"});
    t->key = bh_test_key("P-256");
    t->identity = rig_identity(&t->ca, "payments", t->key, 3600);
    rig->config.inner = t->identity->ctx;
    rig->client_ctx = rig_client_ctx();
}

static void
drop_tls(struct inner_tls *t)
{
    agent_identity_free(t->identity);
    EVP_PKEY_free(t->key);
    bh_test_ca_clear(&t->ca);
}

/* ---- who takes part ---- */

struct sender {
    int fd;
    SSL *ssl;
    size_t amount;
};

static void *
send_main(void *arg)
{
    struct sender *s = arg;

    (void)rig_send(s->fd, NULL, s->amount);
    (void)shutdown(s->fd, SHUT_WR);
    return NULL;
}

/* Sends and receives at the same time, which blocking TLS cannot: plain only. */
static size_t
exchange(int fd, size_t amount, bool *ret_good, int *ret_error)
{
    struct sender s = {.fd = fd, .amount = amount};
    pthread_t thread;

    (void)pthread_create(&thread, NULL, send_main, &s);
    const size_t got = rig_receive(fd, NULL, ret_good, ret_error);
    (void)pthread_join(thread, NULL);
    return got;
}

static void
client_exchanges(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    atomic_store(&rig->client_got, exchange(fd, rig->amount, &good, &error));
    atomic_store(&rig->client_good, good);
    atomic_store(&rig->client_error, error);
    close(fd);
}

static void
upstream_exchanges(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    atomic_store(&rig->upstream_got, exchange(fd, rig->amount, &good, &error));
    atomic_store(&rig->upstream_good, good);
    atomic_store(&rig->upstream_error, error);
    close(fd);
}

/* Receives all, then sends as much: what follows a half close still arrives. */
static void
upstream_answers(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    atomic_store(&rig->upstream_got, rig_receive(fd, NULL, &good, &error));
    atomic_store(&rig->upstream_good, good);
    atomic_store(&rig->upstream_error, error);
    (void)rig_send(fd, NULL, rig->amount);
    close(fd);
}

static void
tls_client_asks(struct rig *rig, int fd)
{
    SSL *ssl = rig_tls(rig->client_ctx, fd, false);
    bool good = false;
    int error = 0;

    if (ssl != NULL && rig_send(fd, ssl, rig->amount)) {
        (void)SSL_shutdown(ssl);
        atomic_store(&rig->client_got, rig_receive(fd, ssl, &good, &error));
        atomic_store(&rig->client_good, good);
        atomic_store(&rig->client_error, error);
    }
    SSL_free(ssl);
    close(fd);
}

static void
expect_all(struct rig *rig)
{
    cr_expect_eq(rig->end, AGENT_RELAY_DONE, "%s", rig->diag.detail);
    cr_expect_eq(rig->reports, 1);
    cr_expect_eq(atomic_load(&rig->client_got), rig->amount);
    cr_expect_eq(atomic_load(&rig->upstream_got), rig->amount);
    cr_expect(atomic_load(&rig->client_good) && atomic_load(&rig->upstream_good));
    cr_expect_eq(atomic_load(&rig->client_error), -1);
    cr_expect_eq(atomic_load(&rig->upstream_error), -1);
    cr_expect_eq(rig->bytes_in, rig->amount);
    cr_expect_eq(rig->bytes_out, rig->amount);
}

/* ---- bytes ---- */

Test(relay, large_both_ways)
{
    struct rig rig;

    rig_open(&rig);
    rig.amount = LARGE;
    rig_run(&rig, client_exchanges, upstream_exchanges);
    expect_all(&rig);
    rig_close(&rig);
}

Test(relay, nothing_at_all)
{
    struct rig rig;

    rig_open(&rig);
    rig_run(&rig, client_exchanges, upstream_exchanges);
    expect_all(&rig);
    rig_close(&rig);
}

Test(relay, tls_half_close)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig.amount = LARGE;
    rig_run(&rig, tls_client_asks, upstream_answers);
    expect_all(&rig);
    rig_close(&rig);
    drop_tls(&t);
}

/* New traffic keys in the middle (RFC 8446, 4.6.3): the relay has to write while it reads. */
static void
tls_client_updates_keys(struct rig *rig, int fd)
{
    SSL *ssl = rig_tls(rig->client_ctx, fd, false);
    bool good = ssl != NULL;
    char back[64];
    size_t n = 0;

    for (int i = 0; i < 20 && good; i++) {
        good = SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
               SSL_write_ex(ssl, "hello", 5, &n) == 1 && SSL_read_ex(ssl, back, 5, &n) == 1;
        atomic_fetch_add(&rig->client_got, good ? n : 0);
    }
    atomic_store(&rig->client_good, good);
    if (ssl != NULL)
        (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void
upstream_echoes(struct rig *rig, int fd)
{
    char buf[64];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
        atomic_fetch_add(&rig->upstream_got, (size_t)n);
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    }
    close(fd);
}

Test(relay, tls_key_updates)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig_run(&rig, tls_client_updates_keys, upstream_echoes);
    cr_expect(atomic_load(&rig.client_good));
    cr_expect_eq(atomic_load(&rig.client_got), 100);
    cr_expect_eq(atomic_load(&rig.upstream_got), 100);
    rig_close(&rig);
    drop_tls(&t);
}

/* ---- ends that are none ---- */

/* A TCP end without close_notify may be an attacker's cut: the upstream must not take it for an
 * end. */
static void
tls_client_cuts(struct rig *rig, int fd)
{
    SSL *ssl = rig_tls(rig->client_ctx, fd, false);

    if (ssl != NULL)
        (void)rig_send(fd, ssl, 1000);
    while (atomic_load(&rig->upstream_got) < 1000)
        (void)poll(NULL, 0, 5);
    (void)shutdown(fd, SHUT_WR);
    SSL_free(ssl);
    close(fd);
}

static void
upstream_listens(struct rig *rig, int fd)
{
    uint8_t buf[2000];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        atomic_fetch_add(&rig->upstream_got, (size_t)n);
    atomic_store(&rig->upstream_error, n == 0 ? -1 : errno);
    close(fd);
}

Test(relay, truncation_is_no_end)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig_run(&rig, tls_client_cuts, upstream_listens);
    cr_expect_eq(rig.end, AGENT_RELAY_BROKEN);
    cr_expect_eq(atomic_load(&rig.upstream_error), ECONNRESET);
    cr_expect_neq(strstr(rig.diag.found, "eof"), NULL, "%s", rig.diag.found);
    rig_close(&rig);
    drop_tls(&t);
}

static void
upstream_resets(struct rig *rig, int fd)
{
    const struct linger reset = {.l_onoff = 1};
    char byte;

    (void)rig;
    (void)recv(fd, &byte, 1, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
}

static void
client_listens(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    (void)rig_send(fd, NULL, 1);
    atomic_store(&rig->client_got, rig_receive(fd, NULL, &good, &error));
    atomic_store(&rig->client_error, error);
    close(fd);
}

Test(relay, reset_is_passed_on)
{
    struct rig rig;

    rig_open(&rig);
    rig_run(&rig, client_listens, upstream_resets);
    cr_expect_eq(rig.end, AGENT_RELAY_BROKEN);
    cr_expect_eq(atomic_load(&rig.client_error), ECONNRESET);
    rig_close(&rig);
}

/* ---- slow ones ---- */

/* Writes until nobody takes more for a while, then lets the upstream read. */
static void
client_floods(struct rig *rig, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    uint8_t buf[4096];
    size_t done = 0;

    while (done < rig->amount && poll(&p, 1, 300) > 0) {
        for (size_t i = 0; i < sizeof(buf); i++)
            buf[i] = rig_byte(done + i);
        const ssize_t n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
        done += n > 0 ? (size_t)n : 0;
    }
    atomic_store(&rig->client_got, done);
    atomic_store(&rig->go, true);
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        continue;
    close(fd);
}

static void
upstream_waits(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    while (!atomic_load(&rig->go))
        (void)poll(NULL, 0, 5);
    atomic_store(&rig->upstream_got, rig_receive(fd, NULL, &good, &error));
    atomic_store(&rig->upstream_good, good);
    close(fd);
}

Test(relay, a_slow_reader_stops_its_writer)
{
    struct rig rig;

    rig_open(&rig);
    rig.amount = (size_t)256 * 1024 * 1024;
    rig_run(&rig, client_floods, upstream_waits);
    cr_expect_lt(atomic_load(&rig.client_got), (size_t)64 * 1024 * 1024, "nothing stopped it");
    cr_expect_eq(atomic_load(&rig.upstream_got), atomic_load(&rig.client_got));
    cr_expect(atomic_load(&rig.upstream_good));
    cr_expect_eq(rig.end, AGENT_RELAY_DONE);
    rig_close(&rig);
}

static void
client_waits_for_the_end(struct rig *rig, int fd)
{
    char byte;

    const ssize_t n = recv(fd, &byte, 1, 0);
    atomic_store(&rig->client_error, n == 0 ? -1 : errno);
    close(fd);
}

Test(relay, silent_handshake)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig.config.limits.handshake_ms = 100;
    rig_run(&rig, client_waits_for_the_end, NULL);
    cr_expect_eq(rig.end, AGENT_RELAY_HANDSHAKE);
    cr_expect_str_eq(rig.diag.check, "tls.handshake");
    cr_expect_str_eq(rig.diag.found, "too slow");
    rig_close(&rig);
    drop_tls(&t);
}

static void
client_talks_nonsense(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    (void)send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
    (void)rig_receive(fd, NULL, &good, &error);
    atomic_store(&rig->client_error, error);
    close(fd);
}

Test(relay, no_tls_at_all)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig_run(&rig, client_talks_nonsense, NULL);
    cr_expect_eq(rig.end, AGENT_RELAY_HANDSHAKE);
    cr_expect_eq(rig.bytes_in, 0);
    rig_close(&rig);
    drop_tls(&t);
}

static void
tls12_client(struct rig *rig, int fd)
{
    SSL *ssl;

    (void)SSL_CTX_set_max_proto_version(rig->client_ctx, TLS1_2_VERSION);
    ssl = rig_tls(rig->client_ctx, fd, false);
    atomic_store(&rig->client_good, ssl == NULL);
    SSL_free(ssl);
    close(fd);
}

Test(relay, no_older_tls)
{
    struct inner_tls t;
    struct rig rig;

    rig_open(&rig);
    use_tls(&rig, &t);
    rig_run(&rig, tls12_client, NULL);
    cr_expect_eq(rig.end, AGENT_RELAY_HANDSHAKE);
    cr_expect(atomic_load(&rig.client_good));
    rig_close(&rig);
    drop_tls(&t);
}

Test(relay, idle)
{
    struct rig rig;

    rig_open(&rig);
    rig.config.limits.idle_ms = 100;
    rig_run(&rig, client_waits_for_the_end, upstream_listens);
    cr_expect_eq(rig.end, AGENT_RELAY_IDLE);
    cr_expect_eq(atomic_load(&rig.client_error), ECONNRESET);
    cr_expect_eq(atomic_load(&rig.upstream_error), ECONNRESET);
    rig_close(&rig);
}

/* ---- the target ---- */

static int
unused_port(struct agent_address *ret_address)
{
    int fd = -1;

    cr_assert_eq(agent_listen_parse("127.0.0.1:0", ret_address, NULL), BH_OK);
    cr_assert_eq(agent_listen(ret_address, &fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(fd, ret_address, NULL), BH_OK);
    return fd;
}

Test(relay, nobody_upstream)
{
    struct agent_address address;
    struct rig rig;

    rig_open(&rig);
    close(unused_port(&address));
    rig.target.addresses[0] = address;
    rig_run(&rig, client_waits_for_the_end, NULL);
    cr_expect_eq(rig.end, AGENT_RELAY_CONNECT);
    cr_expect_str_eq(rig.diag.check, "upstream");
    cr_expect_neq(strstr(rig.diag.detail, "refused"), NULL, "%s", rig.diag.detail);
    rig_close(&rig);
}

Test(relay, the_next_address)
{
    struct agent_address address;
    struct rig rig;

    rig_open(&rig);
    close(unused_port(&address));
    rig.target.addresses[1] = rig.target.addresses[0];
    rig.target.addresses[0] = address;
    rig.target.count = 2;
    rig.amount = 1000;
    rig_run(&rig, client_exchanges, upstream_exchanges);
    expect_all(&rig);
    rig_close(&rig);
}

Test(relay, no_address)
{
    struct rig rig;

    rig_open(&rig);
    rig.target.count = 0;
    rig_run(&rig, client_waits_for_the_end, NULL);
    cr_expect_eq(rig.end, AGENT_RELAY_CONNECT);
    rig_close(&rig);
}

/* ---- stopping ---- */

Test(relay, stop_and_evict)
{
    struct agent_address address;
    struct rig rig;
    const int listener = unused_port(&address);
    char text[AGENT_ADDRESS_TEXT_MAX];

    rig_open(&rig);
    cr_assert_eq(agent_relays_new(rig.loop, &rig.config, &rig.relays, NULL), BH_OK);
    (void)agent_address_text(&address, text, sizeof(text));
    int clients[3];
    for (size_t i = 0; i < 3; i++) {
        clients[i] = rig_connect(text);
        cr_assert_eq(agent_relays_add(rig.relays,
                         accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), "x", NULL),
            BH_OK);
        cr_assert_eq(agent_loop_turn(rig.loop, 20, NULL), BH_OK);
    }
    cr_expect_eq(agent_relays_count(rig.relays), 3);
    cr_expect_not(agent_relays_evict(rig.relays, 60000));
    cr_expect(agent_relays_evict(rig.relays, 0));
    cr_expect_eq(rig.end, AGENT_RELAY_IDLE);
    cr_expect_str_eq(rig.diag.check, "connections");
    agent_relays_stop(rig.relays);
    cr_expect_eq(agent_relays_count(rig.relays), 0);
    cr_expect_eq(rig.end, AGENT_RELAY_STOPPED);
    cr_expect_eq(rig.reports, 3);
    for (size_t i = 0; i < 3; i++)
        close(clients[i]);
    close(listener);
    rig_close(&rig);
}
