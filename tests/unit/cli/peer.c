/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void
serve(struct peer *p, int fd)
{
    SSL *ssl = SSL_new(p->ctx);
    char buf[2048], reply[256];
    int n;

    cr_assert(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    if (SSL_accept(ssl) == 1 && (n = SSL_read(ssl, buf, sizeof(buf))) > 0) {
        atomic_fetch_add(&p->received, (size_t)n);
        n = snprintf(reply, sizeof(reply),
            "HTTP/1.1 %s\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n",
            p->status != NULL ? p->status : "200 OK");
        (void)SSL_write(ssl, reply, n);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

static void
misbehave(struct peer *p, int fd)
{
    static const char head[] = {0x16, 0x03, 0x03, 0x40, 0x00, 0x02};
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    if (p->manner == NO_TLS)
        (void)!write(fd, http, sizeof(http) - 1);
    for (size_t i = 0; !atomic_load(&p->stopping) && (p->manner == SILENT || p->manner == DRIPS);
         i++) {
        struct pollfd gone = {.fd = fd, .events = POLLRDHUP};

        if (p->manner == DRIPS)
            (void)send(fd, head + (i < sizeof(head) ? i : sizeof(head) - 1), 1, MSG_NOSIGNAL);
        if (poll(&gone, 1, 500) > 0)
            break;
    }
}

static void *
loop(void *arg)
{
    struct peer *p = arg;

    while (!atomic_load(&p->stopping)) {
        struct pollfd ready = {.fd = p->fd, .events = POLLIN};
        int fd;

        if (poll(&ready, 1, 50) <= 0 || (fd = accept(p->fd, NULL, NULL)) < 0)
            continue;
        if (p->manner == SERVES)
            serve(p, fd);
        else
            misbehave(p, fd);
        (void)close(fd);
    }
    return NULL;
}

static bool
listen_on(struct peer *p)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = p->six ? sizeof(six) : sizeof(four);
    struct sockaddr *at = p->six ? (struct sockaddr *)&six : (struct sockaddr *)&four;

    p->fd = socket(p->six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, at, len) != 0 || listen(p->fd, 8) != 0 ||
        getsockname(p->fd, at, &len) != 0)
        return false;
    (void)snprintf(p->address, sizeof(p->address), "%s:%u", p->six ? "[::1]" : "127.0.0.1",
        (unsigned)ntohs(p->six ? six.sin6_port : four.sin_port));
    (void)snprintf(p->url, sizeof(p->url), "https://%s/", p->address);
    return true;
}

bool
peer_start(struct peer *p, const struct bh_test_ca *ca, const struct bh_test_leaf *leaf)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (leaf != NULL) {
        X509 *cert = bh_test_leaf_issue(ca, leaf);

        p->ctx = SSL_CTX_new(TLS_server_method());
        cr_assert_eq(SSL_CTX_use_certificate(p->ctx, cert), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey(p->ctx, leaf->key), 1);
        cr_assert_eq(SSL_CTX_add1_chain_cert(p->ctx, ca->issuing), 1);
        if (p->max_version != 0)
            cr_assert_eq(SSL_CTX_set_max_proto_version(p->ctx, p->max_version), 1);
        X509_free(cert);
    }
    if (!listen_on(p)) {
        if (p->fd >= 0)
            (void)close(p->fd);
        SSL_CTX_free(p->ctx);
        p->ctx = NULL;
        return false;
    }
    cr_assert_eq(pthread_create(&p->thread, NULL, loop, p), 0);
    return true;
}

void
peer_stop(struct peer *p)
{
    atomic_store(&p->stopping, true);
    cr_assert_eq(pthread_join(p->thread, NULL), 0);
    (void)close(p->fd);
    SSL_CTX_free(p->ctx);
}
