/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum bh_err
read_address(
    const char *listen_text, union address *ret_a, socklen_t *ret_len, struct bh_diag *diag)
{
    char host[PAS_CONFIG_HOST_MAX];
    uint16_t port;
    enum bh_err e;

    memset(ret_a, 0, sizeof(*ret_a));
    if ((e = pas_config_listen(listen_text, host, &port, diag)) != BH_OK)
        return e;
    if (inet_pton(AF_INET, host, &ret_a->v4.sin_addr) == 1) {
        ret_a->v4.sin_family = AF_INET;
        ret_a->v4.sin_port = htons(port);
        *ret_len = sizeof(ret_a->v4);
    } else if (inet_pton(AF_INET6, host, &ret_a->v6.sin6_addr) == 1) {
        ret_a->v6.sin6_family = AF_INET6;
        ret_a->v6.sin6_port = htons(port);
        *ret_len = sizeof(ret_a->v6);
    } else {
        return bh_refuse(diag, BH_ERR_USAGE, "server.json.listen", "a numeric address", host,
            "%s is no address", host);
    }
    return BH_OK;
}

/* Where a program on this machine reaches the server: loopback when it listens everywhere. */
static void
name_url(union address *a, char *url, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "127.0.0.1";

    if (a->any.sa_family == AF_INET) {
        if (a->v4.sin_addr.s_addr != htonl(INADDR_ANY))
            (void)inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
        (void)snprintf(url, size, "https://%s:%u", host, ntohs(a->v4.sin_port));
    } else if (IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr)) {
        (void)snprintf(url, size, "https://%s:%u", host, ntohs(a->v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
        (void)snprintf(url, size, "https://[%s]:%u", host, ntohs(a->v6.sin6_port));
    }
}

enum bh_err
pas_listen(struct pas_server *s, struct bh_diag *diag)
{
    const int on = 1, off = 0;
    union address a;
    socklen_t len;
    enum bh_err e;
    int fd;

    if ((e = read_address(s->config.listen, &a, &len, diag)) != BH_OK)
        return e;
    fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bh_fail(diag, BH_ERR_IO, "socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a.any.sa_family == AF_INET6) /* [::] also takes IPv4, so that loopback reaches it */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, &a.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &a.any, &len) != 0) {
        e = bh_refuse(diag, BH_ERR_IO, "server.json.listen", "an address to listen on",
            s->config.listen, "listen on %s: %s", s->config.listen, strerror(errno));
        (void)close(fd);
        return e;
    }
    name_url(&a, s->url, sizeof(s->url));
    s->listen_fd = fd;
    return BH_OK;
}
