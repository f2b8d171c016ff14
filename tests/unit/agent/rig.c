/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "core/text.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>

#define LONGEST_MS 30000

uint8_t
rig_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 11));
}

static void
on_ended(void *arg, const struct agent_relay_report *report)
{
    struct rig *rig = arg;

    rig->reports++;
    rig->end = report->end;
    rig->diag = *report->diag;
    rig->bytes_in = report->bytes_in;
    rig->bytes_out = report->bytes_out;
}

static int
listen_here(char *text, size_t size)
{
    struct agent_address address;
    int fd = -1;

    cr_assert_eq(agent_listen_parse("127.0.0.1:0", &address, NULL), BH_OK);
    cr_assert_eq(agent_listen(&address, &fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(fd, &address, NULL), BH_OK);
    (void)agent_address_text(&address, text, size);
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

void
rig_open(struct rig *rig)
{
    char text[AGENT_ADDRESS_TEXT_MAX];

    memset(rig, 0, sizeof(*rig));
    cr_assert_eq(agent_loop_new(&rig->loop, NULL), BH_OK);
    rig->upstream_fd = listen_here(text, sizeof(text));
    cr_assert_eq(agent_target_parse(text, false, &rig->target, NULL), BH_OK);
    rig->config = (struct agent_relay_config){
        .target = &rig->target,
        .limits = {.handshake_ms = 5000,
            .connect_ms = 5000,
            .idle_ms = 20000,
            .half_closed_ms = 20000},
        .ended = on_ended,
        .arg = rig,
    };
    rig->client_fd = -1;
}

void
rig_close(struct rig *rig)
{
    agent_relays_free(rig->relays);
    agent_loop_free(rig->loop);
    SSL_CTX_free(rig->client_ctx);
    SSL_CTX_free(rig->upstream_ctx);
    if (rig->upstream_fd >= 0)
        close(rig->upstream_fd);
}

int
rig_connect(const char *endpoint)
{
    const struct timeval limit = {.tv_sec = 20};
    struct agent_address address;
    int fd = -1;

    if (agent_listen_parse(endpoint, &address, NULL) != BH_OK)
        return -1;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address.sa, address.len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *
client_main(void *arg)
{
    struct rig *rig = arg;

    rig->client(rig, rig->client_fd);
    atomic_fetch_sub(&rig->running, 1);
    return NULL;
}

static void *
upstream_main(void *arg)
{
    const struct timeval limit = {.tv_sec = 20};
    struct rig *rig = arg;
    const int fd = accept(rig->upstream_fd, NULL, NULL);

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        rig->upstream(rig, fd);
    }
    atomic_fetch_sub(&rig->running, 1);
    return NULL;
}

void
rig_run(struct rig *rig, rig_fn client, rig_fn upstream)
{
    char text[AGENT_ADDRESS_TEXT_MAX];
    const int listener = listen_here(text, sizeof(text));
    pthread_t a, b;

    rig->client = client;
    rig->upstream = upstream;
    rig->client_fd = rig_connect(text);
    cr_assert_geq(rig->client_fd, 0);
    const int inner = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    cr_assert_geq(inner, 0);
    close(listener);
    if (rig->relays == NULL)
        cr_assert_eq(agent_relays_new(rig->loop, &rig->config, &rig->relays, NULL), BH_OK);
    atomic_store(&rig->running, upstream != NULL ? 2 : 1);
    if (upstream != NULL)
        cr_assert_eq(pthread_create(&b, NULL, upstream_main, rig), 0);
    cr_assert_eq(agent_relays_add(rig->relays, inner, "client", NULL), BH_OK);
    cr_assert_eq(pthread_create(&a, NULL, client_main, rig), 0);
    const int64_t end = agent_loop_now(rig->loop) + LONGEST_MS;
    while ((atomic_load(&rig->running) > 0 || agent_relays_count(rig->relays) > 0) &&
           agent_loop_now(rig->loop) < end)
        cr_assert_eq(agent_loop_turn(rig->loop, 20, NULL), BH_OK);
    cr_assert_eq(agent_relays_count(rig->relays), 0, "the connection did not end");
    cr_assert_eq(atomic_load(&rig->running), 0, "a thread did not end");
    pthread_join(a, NULL);
    if (upstream != NULL)
        pthread_join(b, NULL);
}

/* ---- what the threads use ---- */

bool
rig_send(int fd, SSL *ssl, size_t amount)
{
    uint8_t buf[10000];

    for (size_t done = 0; done < amount;) {
        size_t n = amount - done < sizeof(buf) ? amount - done : sizeof(buf), sent = 0;
        for (size_t i = 0; i < n; i++)
            buf[i] = rig_byte(done + i);
        if (ssl != NULL) {
            if (SSL_write_ex(ssl, buf, n, &sent) != 1)
                return false;
        } else {
            const ssize_t w = send(fd, buf, n, MSG_NOSIGNAL);
            if (w <= 0)
                return false;
            sent = (size_t)w;
        }
        done += sent;
    }
    return true;
}

size_t
rig_receive(int fd, SSL *ssl, bool *ret_good, int *ret_error)
{
    uint8_t buf[7000];
    size_t got = 0;

    *ret_good = true;
    for (;;) {
        size_t n = 0;
        errno = 0;
        if (ssl != NULL) {
            ERR_clear_error();
            const int rc = SSL_read_ex(ssl, buf, sizeof(buf), &n);
            if (rc != 1) {
                *ret_error = SSL_get_error(ssl, rc) == SSL_ERROR_ZERO_RETURN ? -1 : EPROTO;
                return got;
            }
        } else {
            const ssize_t r = recv(fd, buf, sizeof(buf), 0);
            if (r <= 0) {
                *ret_error = r == 0 ? -1 : errno;
                return got;
            }
            n = (size_t)r;
        }
        for (size_t i = 0; i < n; i++)
            *ret_good = *ret_good && buf[i] == rig_byte(got + i);
        got += n;
    }
}

SSL *
rig_tls(SSL_CTX *ctx, int fd, bool server)
{
    SSL *ssl = SSL_new(ctx);

    (void)SSL_set_fd(ssl, fd);
    if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

SSL_CTX *
rig_client_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    cr_assert_not_null(ctx);
    return ctx;
}

struct agent_identity *
rig_identity(const struct bh_test_ca *ca, const char *workload, EVP_PKEY *key, int64_t life)
{
    struct agent_identity *identity = NULL;
    struct bh_test_leaf leaf;
    struct bh_diag diag = {0};
    bh_failure *failure = bh_failure_new();
    bh_trust *trust = NULL;

    cr_assert_eq(bh_trust_new(ca->root_pem, strlen(ca->root_pem), &trust, failure), BH_RESULT_OK);
    bh_test_leaf_init(ca, &leaf, workload, key, bh_time_now(), life);
    X509 *cert = bh_test_leaf_issue(ca, &leaf);
    char *pem = bh_test_chain_pem(ca, cert);
    cr_assert_eq(agent_identity_make(trust, workload, key, pem, bh_time_now(), &identity, &diag),
        BH_OK, "%s", diag.detail);
    free(pem);
    X509_free(cert);
    bh_trust_free(trust);
    bh_failure_free(failure);
    return identity;
}
