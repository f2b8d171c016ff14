/* SPDX-License-Identifier: Apache-2.0 */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#define BODY 262144
#define GREEDY_FIRST 150000
#define TICK_MS 1000
#define PATIENCE_S 30 /* of one send or receive */

struct guest {
    int fd; /* -1: not there */
    SSL *ssl;
    int64_t since_ms;
    size_t sent;
};

struct crowd_process {
    enum crowd_kind kind;
    struct sockaddr_in to, from;
    SSL_CTX *ctx;
    struct crowd_counts *counts;
    struct guest *guests;
    struct pollfd *polled;
    unsigned len;
    char *body;
};

static const char head[] = "POST /v1/certificates HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           "Content-Type: application/json\r\nContent-Length: 262144\r\n\r\n";

/* ---- one connection ---- */

static int
dial(const struct crowd_process *p)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    const struct timeval patience = {.tv_sec = PATIENCE_S};

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&p->from, sizeof(p->from)) == 0 &&
        connect(fd, (const struct sockaddr *)&p->to, sizeof(p->to)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void
leave(struct guest *g)
{
    SSL_free(g->ssl);
    if (g->fd >= 0)
        (void)close(g->fd);
    *g = (struct guest){.fd = -1};
}

static bool
enter(struct crowd_process *p, struct guest *g)
{
    static const uint8_t hello[] = {22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3, 1, 2, 3, 4, 5, 6, 7};

    g->since_ms = chaos_now_ms();
    if ((g->fd = dial(p)) < 0)
        return false;
    if (p->kind == CROWD_MUTE || p->kind == CROWD_RESET)
        return send(g->fd, hello, sizeof(hello), MSG_NOSIGNAL) == (ssize_t)sizeof(hello);
    if ((g->ssl = SSL_new(p->ctx)) == NULL || SSL_set_fd(g->ssl, g->fd) != 1 ||
        SSL_connect(g->ssl) != 1)
        return false;
    g->since_ms = chaos_now_ms();
    return true;
}

static bool
put(struct guest *g, const void *bytes, size_t len)
{
    size_t written = 0;

    while (len > 0) {
        if (SSL_write_ex(g->ssl, bytes, len, &written) != 1)
            return false;
        bytes = (const char *)bytes + written;
        len -= written;
        g->sent += written;
    }
    return true;
}

/* What a client of this kind does before it slows down. */
static bool
begin(struct crowd_process *p, struct guest *g)
{
    if (!enter(p, g))
        return false;
    if (p->kind == CROWD_GREEDY)
        return put(g, head, sizeof(head) - 1) && put(g, p->body, GREEDY_FIRST);
    if (p->kind == CROWD_HALF)
        return put(g, head, sizeof(head) - 1) && put(g, p->body, BODY / 2);
    return true;
}

static void
open_guest(struct crowd_process *p, struct guest *g)
{
    *g = (struct guest){.fd = -1};
    if (begin(p, g)) {
        atomic_fetch_add(&p->counts->opened, 1);
        (void)fcntl(g->fd, F_SETFL, fcntl(g->fd, F_GETFL) | O_NONBLOCK);
    } else {
        atomic_fetch_add(&p->counts->failed, 1);
        leave(g);
    }
}

/* ---- those that stay ---- */

static void
was_closed(struct crowd_process *p, struct guest *g)
{
    const unsigned ms = (unsigned)(chaos_now_ms() - g->since_ms);
    unsigned seen = atomic_load(&p->counts->slowest_ms);

    while (ms > seen && !atomic_compare_exchange_weak(&p->counts->slowest_ms, &seen, ms))
        ;
    atomic_fetch_add(&p->counts->closed, 1);
    leave(g);
    if (p->kind == CROWD_GREEDY)
        open_guest(p, g);
}

/* Session tickets and answers are read and forgotten. */
static bool
still_there(const struct guest *g)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(g->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        ;
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void
trickle(struct crowd_process *p, struct guest *g)
{
    const char *byte = p->kind == CROWD_GREEDY ? p->body : &head[g->sent % (sizeof(head) - 8)];
    size_t written = 0;

    if (g->fd < 0 || (p->kind != CROWD_SLOW && p->kind != CROWD_GREEDY))
        return;
    if (g->sent == 0)
        g->since_ms = chaos_now_ms();
    if (SSL_write_ex(g->ssl, byte, 1, &written) == 1)
        g->sent++;
    else if (SSL_get_error(g->ssl, 0) != SSL_ERROR_WANT_WRITE)
        was_closed(p, g);
}

static void
stay(struct crowd_process *p)
{
    int64_t next = chaos_now_ms();

    for (unsigned i = 0; i < p->len; i++)
        open_guest(p, &p->guests[i]);
    for (;;) {
        for (unsigned i = 0; i < p->len; i++)
            p->polled[i] = (struct pollfd){.fd = p->guests[i].fd, .events = POLLIN};
        (void)poll(p->polled, p->len, 100);
        for (unsigned i = 0; i < p->len; i++)
            if (p->polled[i].fd >= 0 && p->polled[i].revents != 0 && !still_there(&p->guests[i]))
                was_closed(p, &p->guests[i]);
        if (chaos_now_ms() < next)
            continue;
        next = chaos_now_ms() + TICK_MS;
        for (unsigned i = 0; i < p->len; i++)
            trickle(p, &p->guests[i]);
    }
}

/* ---- those that come again and again ---- */

static void
reset_for_ever(struct crowd_process *p)
{
    const struct linger now = {.l_onoff = 1};
    struct guest g;

    for (;;) {
        g = (struct guest){.fd = -1};
        atomic_fetch_add(enter(p, &g) ? &p->counts->opened : &p->counts->failed, 1);
        if (g.fd >= 0)
            (void)setsockopt(g.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        leave(&g);
        chaos_sleep_ms(1);
    }
}

static void
read_answer(struct crowd_process *p, struct guest *g)
{
    char answer[4096];
    size_t n = 0;
    long status;

    if (SSL_read_ex(g->ssl, answer, sizeof(answer) - 1, &n) != 1) {
        atomic_fetch_add(&p->counts->closed, 1);
        return;
    }
    answer[n] = '\0';
    status = n > 12 ? strtol(answer + 9, NULL, 10) : 0;
    atomic_fetch_add(&p->counts->answered, 1);
    if ((status < 400 || status > 499) && status != 503)
        atomic_fetch_add(&p->counts->bad_status, 1);
}

static void
large_for_ever(struct crowd_process *p)
{
    for (;;) {
        for (unsigned i = 0; i < p->len; i++) {
            p->guests[i] = (struct guest){.fd = -1};
            atomic_fetch_add(enter(p, &p->guests[i]) ? &p->counts->opened : &p->counts->failed, 1);
        }
        for (unsigned i = 0; i < p->len; i++)
            if (p->guests[i].ssl != NULL && put(&p->guests[i], head, sizeof(head) - 1))
                (void)put(&p->guests[i], p->body, BODY);
        for (unsigned i = 0; i < p->len; i++) {
            if (p->guests[i].ssl != NULL)
                read_answer(p, &p->guests[i]);
            leave(&p->guests[i]);
        }
    }
}

/* ---- the process ---- */

static bool
address(const char *url, struct sockaddr_in *to)
{
    const char *colon = strrchr(url, ':');

    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (colon == NULL)
        return false;
    to->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    return true;
}

void
crowd_live(enum crowd_kind kind, const char *url, unsigned clients, unsigned index,
    struct crowd_counts *counts)
{
    struct crowd_process p = {.kind = kind, .len = clients, .counts = counts};
    struct rlimit files;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    p.guests = calloc(clients, sizeof(*p.guests));
    p.polled = calloc(clients, sizeof(*p.polled));
    p.body = malloc(BODY);
    p.ctx = SSL_CTX_new(TLS_client_method());
    if (p.guests == NULL || p.polled == NULL || p.body == NULL || p.ctx == NULL ||
        !address(url, &p.to))
        _exit(1);
    memset(p.body, '[', BODY);
    (void)SSL_CTX_set_min_proto_version(p.ctx, TLS1_3_VERSION);
    (void)SSL_CTX_set_mode(p.ctx, SSL_MODE_RELEASE_BUFFERS);
    /* Each from an address of its own, 127.0.0.2 and following. */
    p.from = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index)};
    if (kind == CROWD_RESET)
        reset_for_ever(&p);
    else if (kind == CROWD_LARGE)
        large_for_ever(&p);
    else
        stay(&p);
    _exit(0);
}
