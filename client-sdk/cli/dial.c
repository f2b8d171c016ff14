/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t
bh_dial_clock(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for one of @p events; false when time ran out. */
static bool
wait_for(int fd, short events, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        const int64_t left = deadline - bh_dial_clock();
        const int n = left <= 0 ? 0 : poll(&p, 1, (int)left);

        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

static bool
is_port(const char *text)
{
    const size_t len = strlen(text);

    return len >= 1 && len <= 5 && strspn(text, "0123456789") == len &&
           strtol(text, NULL, 10) <= 65535 && strtol(text, NULL, 10) > 0;
}

/* "HOST:PORT" or "[ADDRESS]:PORT". */
static enum bh_err
split_address(const char *text, char host[256], char port[8], struct bh_diag *diag)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    const bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (bracketed) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= 256 || !is_port(colon + 1) ||
        (!bracketed && strcspn(text, ":[]") < len)) {
        (void)bh_refuse(diag, BH_ERR_USAGE, "address", "HOST:PORT or [IPV6]:PORT", text,
            "the address cannot be read");
        bh_hint(diag, "for example 10.0.0.7:8443 or [fd00::7]:8443");
        return BH_ERR_USAGE;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return BH_OK;
}

/* One address; on failure -1 and errno. */
static int
dial_one(const struct addrinfo *a, int64_t deadline)
{
    const int fd =
        socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    socklen_t len = sizeof(int);
    int why = 0;

    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    if (errno != EINPROGRESS)
        why = errno;
    else if (!wait_for(fd, POLLOUT, deadline))
        why = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
        why = errno;
    if (why == 0)
        return fd;
    (void)close(fd);
    errno = why;
    return -1;
}

enum bh_err
bh_dial(const char *address, int64_t deadline, int *ret_fd, struct bh_diag *diag)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256], port[8];
    int fd = -1, why = 0;
    enum bh_err e;

    if ((e = split_address(address, host, port, diag)) != BH_OK)
        return e;
    const int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return bh_refuse(diag, BH_ERR_NETWORK, "address", "a host that can be found",
            gai_strerror(rc), "%s was not reached", address);
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = dial_one(a, deadline);
        why = errno;
    }
    freeaddrinfo(found);
    if (fd < 0) {
        e = bh_refuse(diag, BH_ERR_NETWORK, "address", "a listening isolate", strerror(why),
            "%s was not reached", address);
        bh_hint(diag, "look whether the agent runs, and whether a firewall stands between");
        return e;
    }
    *ret_fd = fd;
    return BH_OK;
}

int
bh_dial_handshake(SSL *ssl, int fd, int64_t deadline)
{
    for (;;) {
        const int rc = SSL_connect(ssl);
        const int want = SSL_get_error(ssl, rc);

        if (rc == 1)
            return 1;
        if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE)
            return 0;
        if (!wait_for(fd, want == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline))
            return -1;
    }
}
