/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T of the budgets: the same requests and answers over TLS, and nothing behind them.
 *
 * Measured as the server is: by as many clients side by side, each on a connection of its own that
 * stays open, against as many HTTP threads as the frontend has; in small samples between the rounds
 * and at the rate that each round had. A handler that is asked without a pause never sleeps and
 * finds its caches warm, which costs less than what any server pays at a lower rate; that figure is
 * taken, too, at the end, and printed beside the other.
 */
#include "bench.h"

#include "core/file.h"
#include "core/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS 8000          /* of requests without a pause, by all clients together */
#define WARM_PAIRS 50       /* of each client, before */
#define SAMPLE 10           /* pairs of each client between two rounds */
#define CHALLENGE_REPLY 140 /* bytes of {"challenge","expires_at"} */
#define PEM_MAX 65536

struct nothing {
    char *reply;
    size_t reply_len;
};

static enum MHD_Result
answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_len, void **state)
{
    static int seen;
    struct nothing *n = arg;
    struct MHD_Response *response;
    enum MHD_Result queued;

    (void)method;
    (void)version;
    (void)upload;
    if (*state == NULL || *upload_len > 0) {
        *state = &seen;
        *upload_len = 0;
        return MHD_YES;
    }
    const size_t len = strcmp(url, "/v1/challenges") == 0 ? CHALLENGE_REPLY : n->reply_len;
    response = MHD_create_response_from_buffer(len, n->reply, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    queued = MHD_queue_response(connection, 201, response);
    MHD_destroy_response(response);
    return queued;
}

/* The child: says its port on @p fd and serves until it is killed. Options as the frontend's. */
static void
serve(int fd, const char *cert, const char *key, struct nothing *n)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_TURBO, 0, NULL, NULL,
            answer, n, MHD_OPTION_THREAD_POOL_SIZE, cores > 1 ? (unsigned)cores : 0,
            MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_HTTPS_MEM_KEY, key,
            MHD_OPTION_HTTPS_PRIORITIES, "NORMAL:-VERS-ALL:+VERS-TLS1.3", MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        d == NULL ? NULL : MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
    const uint16_t port = info == NULL ? 0 : info->port;

    (void)!write(fd, &port, sizeof(port));
    for (;;)
        (void)pause();
}

struct client {
    pthread_t thread;
    struct bh_http *http;
    struct bh_span body;
    size_t pairs;
    double phase_us, interval_us; /* 0: without a pause */
    struct bh_diag diag;
    enum bh_err e;
};

struct bench_transport {
    pid_t pid; /* the handler's process; -1: none */
    uint8_t *body;
    size_t clients_len;
    struct client *clients;
    double spent_us;
    size_t pairs;
};

static enum bh_err
exchange(struct bh_http *http, struct bh_span body, struct bh_diag *diag)
{
    static const struct bh_span empty = {(const uint8_t *)"{}", 2};
    const struct bh_span *bodies[] = {&empty, &body};
    static const char *const paths[] = {"/v1/challenges", "/v1/certificates"};
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < 2 && e == BH_OK; i++) {
        struct bh_http_reply reply = {0};
        e = bh_http_request(http, paths[i], "application/json", bodies[i], &reply, diag);
        bh_http_reply_clear(&reply);
    }
    return e;
}

static void
sleep_until(double at_us)
{
    const double left = at_us - bench_now_us();
    const struct timespec t = {
        .tv_sec = (time_t)(left / 1e6), .tv_nsec = (long)(left * 1e3) % 1000000000};

    if (left > 0)
        (void)nanosleep(&t, NULL);
}

static void *
client_main(void *arg)
{
    struct client *c = arg;
    const double begin = bench_now_us() + c->phase_us;

    c->e = BH_OK;
    for (size_t i = 0; i < c->pairs && c->e == BH_OK; i++) {
        if (c->interval_us > 0)
            sleep_until(begin + (double)i * c->interval_us);
        c->e = exchange(c->http, c->body, &c->diag);
    }
    return NULL;
}

/* @p pairs of each client, at @p interval_us; what they cost the handler in @p ret_us. */
static enum bh_err
exchange_all(struct bench_transport *t, size_t pairs, double interval_us, double *ret_us,
    struct bh_diag *diag)
{
    const double before = bench_process_cpu_us(t->pid);
    enum bh_err e = BH_OK;
    size_t started = 0;

    for (; started < t->clients_len; started++) {
        struct client *c = &t->clients[started];

        c->pairs = pairs;
        c->interval_us = interval_us;
        c->phase_us = interval_us * (double)started / (double)t->clients_len;
        if (pthread_create(&c->thread, NULL, client_main, c) != 0)
            break;
    }
    if (started < t->clients_len)
        e = bh_fail(diag, BH_ERR_IO, "no thread for a client");
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(t->clients[i].thread, NULL);
        if (e == BH_OK && t->clients[i].e != BH_OK) {
            e = t->clients[i].e;
            *diag = t->clients[i].diag;
        }
    }
    if (e == BH_OK)
        *ret_us = bench_process_cpu_us(t->pid) - before;
    return e;
}

/* The handler as a process of its own; its port. */
static enum bh_err
start_handler(const struct bh_test_server *server, size_t reply, pid_t *ret_pid, uint16_t *ret_port,
    struct bh_diag *diag)
{
    struct nothing n = {.reply = malloc(reply + CHALLENGE_REPLY), .reply_len = reply};
    uint8_t *cert = NULL, *key = NULL;
    char path[400];
    int fds[2] = {-1, -1};
    pid_t pid = -1;
    size_t len;
    enum bh_err e;

    (void)snprintf(path, sizeof(path), "%s/tls/server.crt", server->home);
    if ((e = bh_file_read(path, PEM_MAX, &cert, &len, diag)) != BH_OK)
        goto out;
    (void)snprintf(path, sizeof(path), "%s/tls/server.key", server->home);
    if ((e = bh_file_read(path, PEM_MAX, &key, &len, diag)) != BH_OK)
        goto out;
    if (n.reply == NULL || pipe(fds) != 0 || (pid = fork()) < 0) {
        e = bh_fail(diag, BH_ERR_IO, "transport floor");
        goto out;
    }
    memset(n.reply, 'x', reply + CHALLENGE_REPLY);
    if (pid == 0)
        serve(fds[1], (const char *)cert, (const char *)key, &n);
    *ret_pid = pid;
    if (read(fds[0], ret_port, sizeof(*ret_port)) != sizeof(*ret_port) || *ret_port == 0)
        e = bh_fail(diag, BH_ERR_INTERNAL, "the floor's server did not start");
out:
    if (fds[0] >= 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
    }
    free(n.reply);
    free(cert);
    free(key);
    return e;
}

enum bh_err
bench_transport_new(const struct bh_test_server *server, size_t clients, size_t request,
    size_t reply, struct bench_transport **ret_transport, struct bh_diag *diag)
{
    struct bench_transport *t = calloc(1, sizeof(*t));
    uint16_t port = 0;
    char url[64];
    double unused;
    enum bh_err e;

    if (t == NULL || (t->clients = calloc(clients, sizeof(*t->clients))) == NULL ||
        (t->body = calloc(1, request + 1)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "transport");
        goto out;
    }
    t->pid = -1;
    t->clients_len = clients;
    memset(t->body, 'x', request);
    if ((e = start_handler(server, reply, &t->pid, &port, diag)) != BH_OK)
        goto out;
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
    for (size_t i = 0; i < clients && e == BH_OK; i++) {
        t->clients[i].body = bh_span(t->body, request);
        e = bh_http_new(
            url, bh_span(server->roots, server->roots_len), 10000, &t->clients[i].http, diag);
    }
    if (e == BH_OK && (e = exchange_all(t, WARM_PAIRS, 0, &unused, diag)) == BH_OK) {
        *ret_transport = t;
        t = NULL;
    }
out:
    bench_transport_free(t);
    return e;
}

void
bench_transport_free(struct bench_transport *transport)
{
    if (transport == NULL)
        return;
    for (size_t i = 0; i < transport->clients_len; i++)
        bh_http_free(transport->clients[i].http);
    if (transport->pid > 0) {
        (void)kill(transport->pid, SIGKILL);
        (void)waitpid(transport->pid, NULL, 0);
    }
    free(transport->clients);
    free(transport->body);
    free(transport);
}

enum bh_err
bench_transport_sample(struct bench_transport *transport, double rate, struct bh_diag *diag)
{
    double us = 0;
    enum bh_err e;

    if ((e = exchange_all(
             transport, SAMPLE, 1e6 * (double)transport->clients_len / rate, &us, diag)) != BH_OK)
        return e;
    transport->spent_us += us;
    transport->pairs += SAMPLE * transport->clients_len;
    return BH_OK;
}

double
bench_transport_us(const struct bench_transport *transport)
{
    return transport->pairs == 0 ? 0 : transport->spent_us / (double)transport->pairs;
}

enum bh_err
bench_transport_busy_us(struct bench_transport *transport, double *ret_us, struct bh_diag *diag)
{
    const size_t pairs = PAIRS / transport->clients_len;
    double us = 0;
    enum bh_err e;

    if ((e = exchange_all(transport, pairs, 0, &us, diag)) == BH_OK)
        *ret_us = us / (double)(pairs * transport->clients_len);
    return e;
}
