/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#define MANY 300

/* An upstream that echoes, in a thread, for as many connections as come. */
struct echo {
    int fd;
    char text[AGENT_ADDRESS_TEXT_MAX];
    pthread_t thread;
    _Atomic bool stopping;
};

static void *
echo_main(void *arg)
{
    struct echo *e = arg;
    static struct pollfd fds[MANY + 1];
    nfds_t count = 1;
    char buf[4096];

    fds[0] = (struct pollfd){.fd = e->fd, .events = POLLIN};
    while (!atomic_load(&e->stopping)) {
        if (poll(fds, count, 20) <= 0)
            continue;
        for (nfds_t i = 1; i < count; i++) {
            if (fds[i].revents == 0)
                continue;
            const ssize_t n = recv(fds[i].fd, buf, sizeof(buf), 0);
            if (n > 0 && send(fds[i].fd, buf, (size_t)n, MSG_NOSIGNAL) == n)
                continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
            fds[i].revents = 0;
        }
        if (fds[0].revents != 0 && count <= MANY) {
            const int fd = accept4(e->fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    while (count > 1)
        close(fds[--count].fd);
    return NULL;
}

static void
start_echo(struct echo *e, const struct agent_address *where)
{
    struct agent_address address = *where;

    memset(e, 0, sizeof(*e));
    cr_assert_eq(agent_listen(&address, &e->fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(e->fd, &address, NULL), BH_OK);
    (void)agent_address_text(&address, e->text, sizeof(e->text));
    cr_assert_eq(pthread_create(&e->thread, NULL, echo_main, e), 0);
}

static void
stop_echo(struct echo *e)
{
    atomic_store(&e->stopping, true);
    pthread_join(e->thread, NULL);
    close(e->fd);
}

static void
configure(struct agent_endpoint_config *config, const struct echo *e, size_t connections)
{
    memset(config, 0, sizeof(*config));
    cr_assert_eq(agent_listen_parse("127.0.0.1:0", &config->listen, NULL), BH_OK);
    cr_assert_eq(agent_target_parse(e->text, true, &config->target, NULL), BH_OK);
    cr_assert_eq(agent_target_resolve(&config->target, NULL), BH_OK);
    config->limits = agent_relay_default_limits;
    config->connections = connections;
}

static void
turn(struct agent_loop *loop, int ms)
{
    const int64_t end = agent_loop_now(loop) + ms;

    do {
        cr_assert_eq(agent_loop_turn(loop, 5, NULL), BH_OK);
    } while (agent_loop_now(loop) < end);
}

/* Sends five bytes and waits for them to come back. */
static bool
echoed(struct agent_loop *loop, int fd, int ms)
{
    char buf[8];
    const int64_t end = agent_loop_now(loop) + ms;

    if (send(fd, "hello", 5, MSG_NOSIGNAL) != 5)
        return false;
    do {
        cr_assert_eq(agent_loop_turn(loop, 5, NULL), BH_OK);
        if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 5)
            return true;
    } while (agent_loop_now(loop) < end);
    return false;
}

static const struct agent_address *
loopback(void)
{
    static struct agent_address address;

    cr_assert_eq(agent_listen_parse("127.0.0.1:0", &address, NULL), BH_OK);
    return &address;
}

Test(endpoint, many_connections)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct echo e;
    int fds[MANY];

    start_echo(&e, loopback());
    configure(&config, &e, agent_endpoint_raise_limit(MANY));
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    for (size_t i = 0; i < MANY; i++) {
        fds[i] = rig_connect(agent_endpoint_text(endpoint));
        cr_assert_geq(fds[i], 0);
        if (i % 50 == 0)
            turn(loop, 5);
    }
    for (size_t i = 0; i < MANY; i++)
        cr_assert(echoed(loop, fds[i], 5000), "connection %zu", i);
    cr_expect_eq(agent_endpoint_connections(endpoint), MANY);
    for (size_t i = 0; i < MANY; i++)
        close(fds[i]);
    for (int i = 0; i < 100 && agent_endpoint_connections(endpoint) > 0; i++)
        turn(loop, 20);
    cr_expect_eq(agent_endpoint_connections(endpoint), 0);
    agent_endpoint_free(endpoint);
    agent_endpoint_free(NULL);
    agent_loop_free(loop);
    stop_echo(&e);
}

Test(endpoint, cap)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct echo e;

    start_echo(&e, loopback());
    configure(&config, &e, 2);
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    const int a = rig_connect(agent_endpoint_text(endpoint));
    const int b = rig_connect(agent_endpoint_text(endpoint));
    cr_assert(echoed(loop, a, 3000) && echoed(loop, b, 3000));
    const int c = rig_connect(agent_endpoint_text(endpoint));
    cr_expect_not(echoed(loop, c, 500), "the third must wait");
    cr_expect_eq(agent_endpoint_connections(endpoint), 2);
    cr_expect(echoed(loop, a, 3000), "and disturbs nobody");
    close(a);
    char buf[8];
    bool got = false;
    for (int i = 0; i < 100 && !got; i++) {
        turn(loop, 10);
        got = recv(c, buf, sizeof(buf), MSG_DONTWAIT) == 5;
    }
    cr_expect(got, "a place that is free goes to who waits");
    close(b);
    close(c);
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
}

Test(endpoint, closes_and_opens_again)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct bh_diag diag = {0};
    struct echo e;
    char before[AGENT_ADDRESS_TEXT_MAX];

    start_echo(&e, loopback());
    configure(&config, &e, 10);
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    (void)snprintf(before, sizeof(before), "%s", agent_endpoint_text(endpoint));
    const int a = rig_connect(before);
    cr_assert(echoed(loop, a, 3000));
    agent_endpoint_close(endpoint);
    agent_endpoint_close(endpoint);
    cr_expect_lt(rig_connect(before), 0);
    cr_expect(echoed(loop, a, 3000), "connections go on");
    cr_assert_eq(agent_endpoint_open(endpoint, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(agent_endpoint_open(endpoint, &diag), BH_OK);
    cr_expect_str_eq(agent_endpoint_text(endpoint), before);
    const int b = rig_connect(before);
    cr_expect(echoed(loop, b, 3000));
    close(a);
    close(b);
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
}

Test(endpoint, unix_upstream)
{
    char dir[] = "/tmp/bh-unix-XXXXXX", target[64];
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct agent_target where;
    struct echo e;

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(target, sizeof(target), "unix:%s/s", dir);
    cr_assert_eq(agent_target_parse(target, true, &where, NULL), BH_OK);
    start_echo(&e, &where.addresses[0]);
    configure(&config, &e, 10);
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    const int a = rig_connect(agent_endpoint_text(endpoint));
    cr_expect(echoed(loop, a, 3000));
    close(a);
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
    unlink(target + 5);
    rmdir(dir);
}

Test(endpoint, named_upstream)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct echo e;

    start_echo(&e, loopback());
    memmove(e.text + 9, strrchr(e.text, ':'), strlen(strrchr(e.text, ':')) + 1);
    memcpy(e.text, "localhost", 9);
    configure(&config, &e, 10);
    config.resolve_every_ms = 1;
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    const int a = rig_connect(agent_endpoint_text(endpoint));
    cr_expect(echoed(loop, a, 3000));
    close(a);
    /* The name is looked up again while connections are served. */
    turn(loop, 20);
    for (int i = 0; i < 20; i++) {
        const int b = rig_connect(agent_endpoint_text(endpoint));
        cr_expect(echoed(loop, b, 3000));
        close(b);
    }
    turn(loop, 200);
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
}

/* New connections get the new certificate; those under way keep theirs. */
static void *
handshake_main(void *arg)
{
    struct rig *rig = arg;
    SSL *ssl = rig_tls(rig->client_ctx, rig->client_fd, false);

    if (ssl != NULL) {
        X509 *cert = SSL_get0_peer_certificate(ssl);
        atomic_store(&rig->client_got, (size_t)ASN1_INTEGER_get(X509_get_serialNumber(cert)));
        rig->amount = X509_issuer_and_serial_hash(cert);
        atomic_store(&rig->client_good, true);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(rig->client_fd);
    atomic_fetch_sub(&rig->running, 1);
    return NULL;
}

static size_t
served_with(struct agent_loop *loop, struct agent_endpoint *endpoint, SSL_CTX *ctx)
{
    struct rig rig = {.client_ctx = ctx, .running = 1};
    pthread_t thread;

    rig.client_fd = rig_connect(agent_endpoint_text(endpoint));
    cr_assert_eq(pthread_create(&thread, NULL, handshake_main, &rig), 0);
    while (atomic_load(&rig.running) > 0)
        turn(loop, 5);
    pthread_join(thread, NULL);
    cr_assert(atomic_load(&rig.client_good));
    return rig.amount;
}

Test(endpoint, swap)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct bh_test_ca ca;
    struct echo e;

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    EVP_PKEY *key = bh_test_key("P-256");
    struct agent_identity *one = rig_identity(&ca, "payments", key, 3600);
    struct agent_identity *two = rig_identity(&ca, "payments", key, 3600);
    SSL_CTX *client = rig_client_ctx();
    start_echo(&e, loopback());
    configure(&config, &e, 10);
    config.inner = one->ctx;
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    const size_t first = served_with(loop, endpoint, client);
    agent_endpoint_swap(endpoint, two->ctx);
    agent_identity_free(one); /* the endpoint does not need it any more */
    const size_t second = served_with(loop, endpoint, client);
    cr_expect_neq(first, second);
    cr_expect_eq(second, served_with(loop, endpoint, client));
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
    SSL_CTX_free(client);
    agent_identity_free(two);
    EVP_PKEY_free(key);
    bh_test_ca_clear(&ca);
}

Test(endpoint, address_taken)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL, *other = NULL;
    struct agent_loop *loop = NULL;
    struct bh_diag diag = {0};
    struct echo e;

    start_echo(&e, loopback());
    configure(&config, &e, 10);
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    cr_assert_eq(agent_listen_parse(agent_endpoint_text(endpoint), &config.listen, NULL), BH_OK);
    cr_expect_eq(agent_endpoint_new(loop, &config, &other, &diag), BH_ERR_IO);
    cr_expect_null(other);
    cr_expect_neq(strstr(diag.detail, agent_endpoint_text(endpoint)), NULL);
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
}

Test(endpoint, as_many_as_the_limit_allows)
{
    const struct rlimit limit = {.rlim_cur = 100, .rlim_max = 264};

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_eq(agent_endpoint_raise_limit(50), 50);
    cr_expect_eq(agent_endpoint_raise_limit(4096), 100);
}

/* A look-up that fails leaves the addresses as they were. */
Test(endpoint, name_that_goes)
{
    struct agent_endpoint_config config;
    struct agent_endpoint *endpoint = NULL;
    struct agent_loop *loop = NULL;
    struct echo e;

    start_echo(&e, loopback());
    configure(&config, &e, 10);
    (void)snprintf(config.target.host, sizeof(config.target.host), "%s", "no-such-host.invalid");
    config.resolve_every_ms = 1;
    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_endpoint_new(loop, &config, &endpoint, NULL), BH_OK);
    turn(loop, 20);
    for (int i = 0; i < 10; i++) {
        const int a = rig_connect(agent_endpoint_text(endpoint));
        cr_expect(echoed(loop, a, 3000));
        close(a);
        turn(loop, 20);
    }
    agent_endpoint_free(endpoint);
    agent_loop_free(loop);
    stop_echo(&e);
}
