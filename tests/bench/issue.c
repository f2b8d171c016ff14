/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead-bench issue: rounds of prepared enrolments by one client a thread. */
#include "bench.h"

#include "core/cli.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead-bench issue"
#define WORKLOAD "bench"
#define CLIENTS_MAX 256
#define ROUND 50 /* requests that each client prepares at once */

static const char *const roles[] = {"frontend", "verifier", "authority", "signer"};

struct options {
    const char *platform, *store, *clients, *seconds, *issuances, *rate;
    bool json;
};

struct worker {
    struct bench_client *client;
    double latencies[ROUND];
    size_t n;
    double phase_us, interval_us; /* 0: as fast as it goes */
    struct bh_diag diag;
    enum bh_err e;
    enum bh_err (*step)(struct worker *);
};

struct figures {
    size_t issuances;
    double timed_us;
    double start_ms;
    double server_cpu_us, crypto_us, transport_us, transport_busy_us;
    struct bench_floor *floor;
    struct bench_transport *transport;
    double role_cpu_us[BH_COUNT(roles)];
    long rss_begin[BH_COUNT(roles)], rss_end[BH_COUNT(roles)];
    size_t latencies_len, latencies_cap;
    double *latencies;
};

static enum bh_err
prepare(struct worker *w)
{
    return bench_client_prepare(w->client, w->n, &w->diag);
}

static enum bh_err
issue(struct worker *w)
{
    return bench_client_issue(w->client, w->phase_us, w->interval_us, w->latencies, &w->diag);
}

static void *
thread_main(void *arg)
{
    struct worker *w = arg;

    w->e = w->step(w);
    return NULL;
}

/* One step of every client side by side; the slowest decides. */
static enum bh_err
together(
    struct worker *workers, size_t n, enum bh_err (*step)(struct worker *), struct bh_diag *diag)
{
    pthread_t threads[CLIENTS_MAX];
    enum bh_err e = BH_OK;
    size_t started = 0;

    for (; started < n; started++) {
        workers[started].step = step;
        if (pthread_create(&threads[started], NULL, thread_main, &workers[started]) != 0)
            break;
    }
    if (started < n)
        e = bh_fail(diag, BH_ERR_IO, "no thread for a client");
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
        if (e == BH_OK && workers[i].e != BH_OK) {
            e = workers[i].e;
            *diag = workers[i].diag;
        }
    }
    return e;
}

static bool
keep_latencies(struct figures *f, const struct worker *workers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (f->latencies_len + workers[i].n > f->latencies_cap) {
            const size_t cap = f->latencies_cap * 2 + (size_t)CLIENTS_MAX * ROUND;
            double *more = realloc(f->latencies, cap * sizeof(*more));
            if (more == NULL)
                return false;
            f->latencies = more;
            f->latencies_cap = cap;
        }
        memcpy(
            f->latencies + f->latencies_len, workers[i].latencies, workers[i].n * sizeof(double));
        f->latencies_len += workers[i].n;
        f->issuances += workers[i].n;
    }
    return true;
}

/* Processes of one role, verifiers above all, are summed. */
static void
add_role_cpu(const struct bh_test_server *server, double sign, double out[BH_COUNT(roles)])
{
    for (size_t i = 0; i < BH_COUNT(roles); i++)
        for (size_t k = 0; k < server->len; k++)
            if (strcmp(server->processes[k].role, roles[i]) == 0)
                out[i] += sign * bench_process_cpu_us(server->processes[k].pid);
}

static void
measure_rss(const struct bh_test_server *server, long out[BH_COUNT(roles)])
{
    for (size_t i = 0; i < BH_COUNT(roles); i++)
        out[i] = bench_server_rss_kib(server, roles[i]);
}

/* Rounds until the timed parts sum up to the seconds, or the issuances are done. */
static enum bh_err
rounds(const struct bh_test_server *server, struct worker *workers, size_t clients, double seconds,
    size_t issuances, struct figures *f, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    measure_rss(server, f->rss_begin);
    add_role_cpu(server, -1, f->role_cpu_us);
    const double cpu = bench_server_cpu_us(server);
    while (e == BH_OK && (issuances > 0 ? f->issuances < issuances : f->timed_us < seconds * 1e6)) {
        for (size_t i = 0; i < clients; i++)
            workers[i].n = ROUND;
        if ((e = together(workers, clients, prepare, diag)) != BH_OK)
            break;
        const double begin = bench_now_us();
        e = together(workers, clients, issue, diag);
        const double took = bench_now_us() - begin;
        f->timed_us += took;
        if (e == BH_OK && !keep_latencies(f, workers, clients))
            e = bh_fail(diag, BH_ERR_NOMEM, "latencies");
        if (e == BH_OK)
            e = bench_floor_sample(f->floor, diag);
        if (e == BH_OK)
            e = bench_transport_sample(f->transport, 1e6 * (double)(ROUND * clients) / took, diag);
    }
    if (e == BH_OK)
        f->server_cpu_us = (bench_server_cpu_us(server) - cpu) / (double)f->issuances;
    add_role_cpu(server, 1, f->role_cpu_us);
    measure_rss(server, f->rss_end);
    return e;
}

/* The first certificate of the fresh server, and a warm connection for every client. */
static enum bh_err
warm_up(struct bh_test_server *server, struct worker *workers, size_t clients, struct figures *f,
    struct bh_diag *diag)
{
    const double begin = bench_now_us();
    enum bh_err e;

    if ((e = bh_test_server_start(server, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < clients; i++) {
        workers[i].n = 1;
        if ((e = bench_client_connect(workers[i].client, server, diag)) != BH_OK)
            return e;
        if (i == 0) {
            if ((e = prepare(&workers[0])) != BH_OK || (e = issue(&workers[0])) != BH_OK) {
                *diag = workers[0].diag;
                return e;
            }
            f->start_ms = (bench_now_us() - begin) / 1e3;
        }
    }
    if ((e = together(workers, clients, prepare, diag)) != BH_OK)
        return e;
    return together(workers, clients, issue, diag);
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double
percentile_ms(const struct figures *f, double p)
{
    const size_t at = (size_t)((double)f->latencies_len * p);

    return f->latencies_len == 0
               ? 0
               : f->latencies[at < f->latencies_len ? at : f->latencies_len - 1] / 1e3;
}

static void
print(const struct options *o, size_t clients, struct figures *f)
{
    const double ratio = f->server_cpu_us / (f->crypto_us + f->transport_us);

    qsort(f->latencies, f->latencies_len, sizeof(double), by_value);
    if (!o->json) {
        printf("%s, %zu clients: %zu certificates, %.0f a second, p50 %.2f ms, p99 %.2f ms\n"
               "server CPU %.0f us each; floor: crypto %.0f us + transport %.0f us; ratio %.2f\n"
               "(the transport without a pause: %.0f us, to which the ratio would be %.2f)\n"
               "start to first certificate: %.0f ms\n",
            o->platform, clients, f->issuances, (double)f->issuances / (f->timed_us / 1e6),
            percentile_ms(f, 0.5), percentile_ms(f, 0.99), f->server_cpu_us, f->crypto_us,
            f->transport_us, ratio, f->transport_busy_us,
            f->server_cpu_us / (f->crypto_us + f->transport_busy_us), f->start_ms);
        for (size_t i = 0; i < BH_COUNT(roles); i++)
            printf("%-10s %.0f us each; %ld KiB, grew by %ld KiB\n", roles[i],
                f->role_cpu_us[i] / (double)f->issuances, f->rss_end[i],
                f->rss_end[i] - f->rss_begin[i]);
        return;
    }
    printf("{\"platform\":\"%s\",\"clients\":%zu,\"issuances\":%zu,\"per_second\":%.1f,\"p50_ms\":%"
           ".3f,"
           "\"p99_ms\":%.3f,\"server_cpu_us\":%.1f,\"crypto_us\":%.1f,\"transport_us\":%.1f,"
           "\"transport_busy_us\":%.1f,"
           "\"ratio\":%.3f,"
           "\"start_ms\":%.1f,\"rss_kib\":{",
        o->platform, clients, f->issuances, (double)f->issuances / (f->timed_us / 1e6),
        percentile_ms(f, 0.5), percentile_ms(f, 0.99), f->server_cpu_us, f->crypto_us,
        f->transport_us, f->transport_busy_us, ratio, f->start_ms);
    for (size_t i = 0; i < BH_COUNT(roles); i++)
        printf("%s\"%s\":%ld", i == 0 ? "" : ",", roles[i], f->rss_end[i]);
    printf("},\"role_cpu_us\":{");
    for (size_t i = 0; i < BH_COUNT(roles); i++)
        printf(
            "%s\"%s\":%.1f", i == 0 ? "" : ",", roles[i], f->role_cpu_us[i] / (double)f->issuances);
    printf("},\"rss_growth_kib\":{");
    for (size_t i = 0; i < BH_COUNT(roles); i++)
        printf("%s\"%s\":%ld", i == 0 ? "" : ",", roles[i], f->rss_end[i] - f->rss_begin[i]);
    printf("}}\n");
}

static enum bh_err
run(const struct options *o, size_t clients, double seconds, size_t issuances, double rate,
    struct figures *f, struct bh_diag *diag)
{
    struct worker *workers = calloc(clients, sizeof(*workers));
    struct bh_test_server server = {0};
    size_t request = 0, reply = 0;
    enum bh_err e;

    if (workers == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "clients");
    if ((e = bench_floor_new(o->platform, &f->floor, diag)) == BH_OK)
        e = bench_server_init(&server, diag);
    for (size_t i = 0; i < clients && e == BH_OK; i++)
        e = bench_client_new(
            &server, o->platform, (uint32_t)i + 1, WORKLOAD, &workers[i].client, diag);
    if (e == BH_OK)
        e = warm_up(&server, workers, clients, f, diag);
    for (size_t i = 0; rate > 0 && i < clients; i++) {
        workers[i].interval_us = 1e6 * (double)clients / rate;
        workers[i].phase_us = 1e6 * (double)i / rate;
    }
    if (e == BH_OK) {
        bench_client_sizes(workers[0].client, &request, &reply);
        e = bench_transport_new(&server, clients, request, reply, &f->transport, diag);
    }
    if (e == BH_OK &&
        (e = rounds(&server, workers, clients, seconds, issuances, f, diag)) == BH_OK) {
        f->crypto_us = bench_floor_us(f->floor);
        f->transport_us = bench_transport_us(f->transport);
        e = bench_transport_busy_us(f->transport, &f->transport_busy_us, diag);
    }
    for (size_t i = 0; i < clients; i++)
        bench_client_free(workers[i].client);
    bench_transport_free(f->transport);
    bh_test_server_end(&server);
    bench_floor_free(f->floor);
    free(workers);
    return e;
}

static bool
read_number(const char *text, double min, double max, double *ret_value)
{
    char *end = NULL;
    const double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= min && v <= max))
        return false;
    *ret_value = v;
    return true;
}

int
bench_issue(int argc, char **argv)
{
    struct options o = {.platform = "psa",
        .store = "sqlite",
        .clients = "8",
        .seconds = "5",
        .issuances = "0",
        .rate = "0"};
    const struct bh_cli_option options[] = {
        {.name = "platform",
            .value = "P",
            .help = "psa (default), arm-cca or aws-nitro",
            .text = &o.platform},
        {.name = "store", .value = "URL", .help = "sqlite (default)", .text = &o.store},
        {.name = "clients",
            .value = "N",
            .help = "connections and devices (default 8)",
            .text = &o.clients},
        {.name = "seconds",
            .value = "S",
            .help = "sum of the timed parts (default 5)",
            .text = &o.seconds},
        {.name = "issuances",
            .value = "N",
            .help = "stop after so many instead",
            .text = &o.issuances},
        {.name = "rate",
            .value = "N",
            .help = "so many a second by all clients together (default: as fast as it goes)",
            .text = &o.rate},
        {.name = "json", .help = "print one line of JSON", .flag = &o.json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Start a server of its own with one device per client; challenges and evidence "
                   "are made\n"
                   "outside the timed part.",
        .example = COMMAND " --platform psa --clients 8 --seconds 10 --json",
        .options = options,
    };
    double clients = 0, seconds = 0, issuances = 0, rate = 0;
    struct figures f = {0};
    struct bh_diag diag = {0};
    int rc = bh_cli_parse(&usage, argc, argv, NULL);

    if (rc >= 0)
        return rc;
    if (strcmp(o.store, "sqlite") != 0)
        return bh_cli_usage_error(COMMAND, "--store %s: only sqlite is built yet", o.store);
    if (!read_number(o.clients, 1, CLIENTS_MAX, &clients) ||
        !read_number(o.seconds, 0.1, 86400, &seconds) ||
        !read_number(o.issuances, 0, 1e9, &issuances) || !read_number(o.rate, 0, 1e6, &rate))
        return bh_cli_usage_error(
            COMMAND, "--clients is 1 to 256, --seconds 0.1 to 86400, --rate 0 to 1000000");
    if (run(&o, (size_t)clients, seconds, (size_t)issuances, rate, &f, &diag) == BH_OK) {
        print(&o, (size_t)clients, &f);
        rc = 0;
    } else {
        rc = bh_cli_failed(COMMAND, &diag);
    }
    free(f.latencies);
    return rc;
}
