/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include "core/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BACKLOG 511

/* HOST:PORT or [HOST]:PORT; an IPv6 address without brackets would be ambiguous. */
static enum bh_err
split(const char *text, char *host, size_t host_size, char *port, size_t port_size,
    struct bh_diag *diag)
{
    const char *colon = strrchr(text, ':');
    const char *begin = text;
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    bool good = len > 0;
    long number = -1;
    char *end = NULL;

    if (good && text[0] == '[') {
        good = len > 2 && text[len - 1] == ']';
        begin++;
        len -= good ? 2 : 0;
    } else if (good) {
        good = memchr(text, ':', len) == NULL;
    }
    if (good && colon[1] >= '0' && colon[1] <= '9')
        number = strtol(colon + 1, &end, 10);
    if (!good || len >= host_size || number < 0 || number > 65535 || *end != '\0' ||
        strlen(colon + 1) >= port_size) {
        const enum bh_err e = bh_refuse(
            diag, BH_ERR_USAGE, "address", "HOST:PORT or [ADDR]:PORT", text, "the address is none");
        bh_hint(diag, "for example 127.0.0.1:8443 or [::1]:8443; ports are 0 to 65535");
        return e;
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    (void)snprintf(port, port_size, "%s", colon + 1);
    return BH_OK;
}

static bool
numeric(const char *host, const char *port, struct agent_address *out)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    if (getaddrinfo(host, port, &hints, &list) != 0)
        return false;
    memcpy(&out->sa, list->ai_addr, list->ai_addrlen);
    out->len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

static enum bh_err
vsock(const char *text, struct agent_address *ret_address, struct bh_diag *diag)
{
    struct sockaddr_vm *vm = (struct sockaddr_vm *)&ret_address->sa;
    const char *digits = text + strlen("vsock:");
    char *end = NULL;

    errno = 0;
    const unsigned long port =
        digits[0] >= '0' && digits[0] <= '9' ? strtoul(digits, &end, 10) : ULONG_MAX;
    if (port >= UINT32_MAX || errno != 0 || *end != '\0')
        return bh_refuse(diag, BH_ERR_USAGE, "address", "vsock:PORT, PORT below 4294967295", text,
            "the address is none");
    memset(ret_address, 0, sizeof(*ret_address));
    vm->svm_family = AF_VSOCK;
    vm->svm_cid = VMADDR_CID_ANY;
    vm->svm_port = (unsigned int)port;
    ret_address->len = sizeof(*vm);
    return BH_OK;
}

enum bh_err
agent_listen_parse(const char *text, struct agent_address *ret_address, struct bh_diag *diag)
{
    char host[64], port[8];
    enum bh_err e;

    if (strncmp(text, "vsock:", 6) == 0)
        return vsock(text, ret_address, diag);
    if ((e = split(text, host, sizeof(host), port, sizeof(port), diag)) != BH_OK)
        return e;
    if (!numeric(host, port, ret_address)) {
        e = bh_refuse(diag, BH_ERR_USAGE, "address", "a numeric address of this machine", host,
            "cannot listen on '%.80s'", text);
        bh_hint(diag, "for example 127.0.0.1:8443, or 0.0.0.0:8443 for every interface");
    }
    return e;
}

static enum bh_err
unix_path(const char *path, struct agent_address *out, struct bh_diag *diag)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;

    if (path[0] == '\0' || strlen(path) >= sizeof(un->sun_path))
        return bh_refuse(diag, BH_ERR_USAGE, "address", "unix:PATH of 1 to 107 bytes", path,
            "the path of the socket is none");
    memset(out, 0, sizeof(*out));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path));
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    return BH_OK;
}

enum bh_err
agent_target_parse(
    const char *text, bool allow_unix, struct agent_target *ret_target, struct bh_diag *diag)
{
    struct agent_target target = {0};
    enum bh_err e;

    (void)snprintf(target.text, sizeof(target.text), "%s", text);
    if (allow_unix && strncmp(text, "unix:", 5) == 0) {
        if ((e = unix_path(text + 5, &target.addresses[0], diag)) != BH_OK)
            return e;
        target.count = 1;
        *ret_target = target;
        return BH_OK;
    }
    if ((e = split(text, target.host, sizeof(target.host), target.port, sizeof(target.port),
             diag)) != BH_OK)
        return e;
    if (strcmp(target.port, "0") == 0)
        return bh_refuse(diag, BH_ERR_USAGE, "address", "a port from 1 to 65535", text,
            "nobody listens on port 0");
    if (numeric(target.host, target.port, &target.addresses[0])) {
        target.count = 1;
        target.host[0] = '\0';
    }
    *ret_target = target;
    return BH_OK;
}

enum bh_err
agent_target_resolve(struct agent_target *target, struct bh_diag *diag)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    size_t count = 0;

    if (target->host[0] == '\0')
        return BH_OK;
    const int rc = getaddrinfo(target->host, target->port, &hints, &list);
    if (rc != 0) {
        const enum bh_err e = bh_refuse(diag, BH_ERR_NETWORK, "address", "a name that resolves",
            gai_strerror(rc), "cannot find the address of '%s'", target->host);
        bh_hint(diag, "is the name right, and does this machine reach a name server?");
        return e;
    }
    for (const struct addrinfo *at = list; at != NULL && count < AGENT_ADDRESSES_MAX;
         at = at->ai_next) {
        memcpy(&target->addresses[count].sa, at->ai_addr, at->ai_addrlen);
        target->addresses[count++].len = at->ai_addrlen;
    }
    target->count = count;
    freeaddrinfo(list);
    return BH_OK;
}

enum bh_err
agent_listen(const struct agent_address *address, int *ret_fd, struct bh_diag *diag)
{
    char text[AGENT_ADDRESS_TEXT_MAX];
    const int on = 1;
    const int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address->sa, address->len) != 0 ||
        listen(fd, BACKLOG) != 0) {
        const enum bh_err e = bh_fail(diag, BH_ERR_IO, "cannot listen on %s: %s",
            agent_address_text(address, text, sizeof(text)), strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return e;
    }
    *ret_fd = fd;
    return BH_OK;
}

int
agent_connect(const struct agent_address *address, int *ret_fd)
{
    const int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    agent_socket_tune(fd);
    if (connect(fd, (const struct sockaddr *)&address->sa, address->len) != 0 &&
        errno != EINPROGRESS) {
        const int why = errno;
        (void)close(fd);
        return why;
    }
    *ret_fd = fd;
    return 0;
}

enum bh_err
agent_bound_address(int fd, struct agent_address *ret_address, struct bh_diag *diag)
{
    struct agent_address address = {.len = sizeof(address.sa)};

    if (getsockname(fd, (struct sockaddr *)&address.sa, &address.len) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "getsockname: %s", strerror(errno));
    *ret_address = address;
    return BH_OK;
}

char *
agent_address_text(const struct agent_address *address, char *out, size_t size)
{
    const struct sockaddr *sa = (const struct sockaddr *)&address->sa;
    char host[INET6_ADDRSTRLEN + 20], port[8];

    if (sa->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;
        (void)snprintf(out, size, "unix:%.107s",
            address->len > offsetof(struct sockaddr_un, sun_path) ? un->sun_path : "");
    } else if (sa->sa_family == AF_VSOCK) {
        const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->sa;
        (void)snprintf(out, size, "vsock:%u", vm->svm_port);
    } else if (getnameinfo(sa, address->len, host, sizeof(host), port, sizeof(port),
                   NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(out, size, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    } else {
        (void)snprintf(out, size, "unknown");
    }
    return out;
}

void
agent_socket_tune(int fd)
{
    const int on = 1, idle = 60, every = 20;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
}
