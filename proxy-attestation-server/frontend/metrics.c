/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <stdio.h>

static const unsigned statuses[PAS_FE_STATUSES] = {
    200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 424, 429, 500, 501, 502, 503, 0 /* others */
};
static const int64_t limits_us[PAS_FE_BUCKETS] = {1000, 2000, 3000, 5000, 10000, 25000, 50000,
    100000, 250000, 500000, 1000000, 5000000, INT64_MAX};
static const char *const limit_names[PAS_FE_BUCKETS] = {"0.001", "0.002", "0.003", "0.005", "0.01",
    "0.025", "0.05", "0.1", "0.25", "0.5", "1", "5", "+Inf"};
static const char *const end_names[PAS_FE_ENDS] = {"idle", "slow", "evicted", "address"};
static const char *const route_names[PAS_FE_ROUTES] = {
    [PAS_FE_CHALLENGES] = "/v1/challenges",
    [PAS_FE_CERTIFICATES] = "/v1/certificates",
    [PAS_FE_APPRAISALS] = "/v1/appraisals",
    [PAS_FE_CERTIFICATE] = "/v1/certificates/SERIAL",
    [PAS_FE_ROOTS] = "/v1/roots",
    [PAS_FE_ISSUERS] = "/v1/issuers",
    [PAS_FE_INFO] = "/v1/info",
    [PAS_FE_HEALTH] = "/healthz",
    [PAS_FE_READY] = "/readyz",
    [PAS_FE_METRICS] = "/metrics",
    [PAS_FE_LATER] = "later",
    [PAS_FE_NONE] = "none",
};

static size_t
status_slot(unsigned status)
{
    size_t i = 0;

    while (i < PAS_FE_STATUSES - 1 && statuses[i] != status)
        i++;
    return i;
}

void
pas_fe_metrics_request(
    struct pas_fe_metrics *m, enum pas_fe_route_id route, unsigned status, int64_t duration_us)
{
    size_t bucket = 0;

    atomic_fetch_add_explicit(&m->requests[route][status_slot(status)], 1, memory_order_relaxed);
    if (route != PAS_FE_CERTIFICATES)
        return;
    while (duration_us > limits_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&m->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->sum_us, (unsigned long long)duration_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

static unsigned long long
get(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
head(struct bh_writer *w, const char *name, const char *type, const char *help)
{
    bh_writer_printf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
single(struct bh_writer *w, const char *name, const char *help, const atomic_ullong *counter)
{
    head(w, name, "counter", help);
    bh_writer_printf(w, "%s %llu\n", name, get(counter));
}

static void
put_requests(const struct pas_fe_metrics *m, struct bh_writer *w)
{
    head(w, "beachhead_http_requests_total", "counter", "Requests answered, by route and status.");
    for (size_t route = 0; route < PAS_FE_ROUTES; route++) {
        for (size_t i = 0; i < PAS_FE_STATUSES; i++) {
            const unsigned long long n = get(&m->requests[route][i]);
            char status[16] = "other";

            if (n == 0)
                continue;
            if (statuses[i] != 0)
                (void)snprintf(status, sizeof(status), "%u", statuses[i]);
            bh_writer_printf(w, "beachhead_http_requests_total{route=\"%s\",status=\"%s\"} %llu\n",
                route_names[route], status, n);
        }
    }
}

static void
put_latency(const struct pas_fe_metrics *m, struct bh_writer *w)
{
    static const char name[] = "beachhead_certificates_seconds";
    unsigned long long below = 0;

    head(w, name, "histogram", "Time from the headers of POST /v1/certificates to its answer.");
    for (size_t i = 0; i < PAS_FE_BUCKETS; i++) {
        below += get(&m->buckets[i]);
        bh_writer_printf(w, "%s_bucket{le=\"%s\"} %llu\n", name, limit_names[i], below);
    }
    bh_writer_printf(w, "%s_sum %.6f\n", name, (double)get(&m->sum_us) / 1e6);
    bh_writer_printf(w, "%s_count %llu\n", name, below);
}

void
pas_fe_metrics_text(const struct pas_fe_metrics *m, struct bh_writer *w)
{
    put_requests(m, w);
    put_latency(m, w);
    head(w, "beachhead_http_in_flight", "gauge", "Requests begun and not yet answered.");
    bh_writer_printf(w, "beachhead_http_in_flight %lld\n",
        (long long)atomic_load_explicit(&m->in_flight, memory_order_relaxed));
    head(w, "beachhead_connections", "gauge", "Open client connections.");
    bh_writer_printf(w, "beachhead_connections %lld\n",
        (long long)atomic_load_explicit(&m->connections, memory_order_relaxed));
    head(w, "beachhead_connections_ended_total", "counter",
        "Connections ended or not taken by the server, by reason.");
    for (size_t i = 0; i < PAS_FE_ENDS; i++)
        bh_writer_printf(w, "beachhead_connections_ended_total{reason=\"%s\"} %llu\n", end_names[i],
            get(&m->ends[i]));
    single(w, "beachhead_rate_limited_total", "Requests refused by the rate of their address.",
        &m->rate_limited);
    single(w, "beachhead_overloaded_total", "Requests refused because too many waited.",
        &m->overloaded);
    single(w, "beachhead_verifiers_ended_total", "Verifiers that ended without being replaced.",
        &m->verifiers_ended);
    single(
        w, "beachhead_late_answers_total", "Answers that came for no request.", &m->late_answers);
}
