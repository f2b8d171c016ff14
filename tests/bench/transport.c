/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T of the budgets: the same requests and answers over TLS, and nothing behind them.
 *
 * Measured as the server is: by as many clients side by side, each on a connection of its own that
 * stays open, against as many HTTP threads as the frontend has. One client alone would find warm
 * caches and threads that sleep at the right moment, which no server under load has.
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

#define PAIRS 8000          /* of requests, measured, by all clients together */
#define WARM_PAIRS 50       /* of each client, before */
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
    struct bh_diag diag;
    enum bh_err e;
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

static void *
client_main(void *arg)
{
    struct client *c = arg;

    c->e = BH_OK;
    for (size_t i = 0; i < c->pairs && c->e == BH_OK; i++)
        c->e = exchange(c->http, c->body, &c->diag);
    return NULL;
}

static enum bh_err
exchange_all(struct client *clients, size_t n, size_t pairs, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;
    size_t started = 0;

    for (; started < n; started++) {
        clients[started].pairs = pairs;
        if (pthread_create(&clients[started].thread, NULL, client_main, &clients[started]) != 0)
            break;
    }
    if (started < n)
        e = bh_fail(diag, BH_ERR_IO, "no thread for a client");
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(clients[i].thread, NULL);
        if (e == BH_OK && clients[i].e != BH_OK) {
            e = clients[i].e;
            *diag = clients[i].diag;
        }
    }
    return e;
}

static enum bh_err
measure(const struct bh_test_server *server, pid_t pid, uint16_t port, size_t n, size_t request,
    double *ret_us, struct bh_diag *diag)
{
    const size_t pairs = PAIRS / n;
    struct client *clients = calloc(n, sizeof(*clients));
    uint8_t *body = calloc(1, request + 1);
    char url[64];
    enum bh_err e = BH_OK;

    if (clients == NULL || body == NULL) {
        free(clients);
        free(body);
        return bh_fail(diag, BH_ERR_NOMEM, "transport");
    }
    memset(body, 'x', request);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
    for (size_t i = 0; i < n && e == BH_OK; i++) {
        clients[i].body = bh_span(body, request);
        e = bh_http_new(
            url, bh_span(server->roots, server->roots_len), 10000, &clients[i].http, diag);
    }
    if (e == BH_OK && (e = exchange_all(clients, n, WARM_PAIRS, diag)) == BH_OK) {
        const double before = bench_process_cpu_us(pid);
        if ((e = exchange_all(clients, n, pairs, diag)) == BH_OK)
            *ret_us = (bench_process_cpu_us(pid) - before) / (double)(pairs * n);
    }
    for (size_t i = 0; i < n; i++)
        bh_http_free(clients[i].http);
    free(clients);
    free(body);
    return e;
}

enum bh_err
bench_transport_us(const struct bh_test_server *server, size_t clients, size_t request,
    size_t reply, double *ret_us, struct bh_diag *diag)
{
    struct nothing n = {.reply = malloc(reply + CHALLENGE_REPLY), .reply_len = reply};
    uint8_t *cert = NULL, *key = NULL;
    char path[400];
    int fds[2] = {-1, -1};
    uint16_t port = 0;
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
    if (read(fds[0], &port, sizeof(port)) != sizeof(port) || port == 0)
        e = bh_fail(diag, BH_ERR_INTERNAL, "the floor's server did not start");
    else
        e = measure(server, pid, port, clients, request, ret_us, diag);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
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
