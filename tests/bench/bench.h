/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of beachhead-bench: what is measured, and the floor that it is measured against. */
#ifndef BH_BENCH_H
#define BH_BENCH_H

#include "core/err.h"
#include "simulator/device.h"
#include "support/server.h"

#include <sys/types.h>

int bench_issue(int argc, char **argv);
int bench_verify(int argc, char **argv);

/* ---- clocks, in microseconds ---- */

double bench_now_us(void);
/** CPU time of the calling thread. */
double bench_thread_cpu_us(void);

/* ---- process.c: a server of the bench's own ---- */

/** `beachhead-server init --allow-simulated` in a temporary folder, without a rate limit. */
BH_MUST_USE enum bh_err bench_server_init(struct bh_test_server *ret_server, struct bh_diag *diag);
/** CPU time of all its processes and their threads, alive or ended, in microseconds. */
double bench_server_cpu_us(const struct bh_test_server *server);
/** Resident size in KiB of the largest process of @p role. */
long bench_server_rss_kib(const struct bh_test_server *server, const char *role);
/** CPU time of one process. */
double bench_process_cpu_us(pid_t pid);

/* ---- client.c: enrolments over one keep-alive connection, in two parts ---- */

struct bench_client; /* a device, a key, a connection, and prepared requests */

BH_MUST_USE enum bh_err bench_client_new(const struct bh_test_server *server, const char *platform,
    uint32_t instance, const char *workload, struct bench_client **ret_client,
    struct bh_diag *diag);
void bench_client_free(struct bench_client *client);
/** Point it at the running server. Devices are made, and admitted, before the server starts. */
BH_MUST_USE enum bh_err bench_client_connect(
    struct bench_client *client, const struct bh_test_server *server, struct bh_diag *diag);
/** Fetch @p n challenges and build the bodies of as many requests. */
BH_MUST_USE enum bh_err bench_client_prepare(
    struct bench_client *client, size_t n, struct bh_diag *diag);
/** POST them; each latency in microseconds goes to @p latencies (n of them). One after the other,
 * or one every @p interval_us from @p phase_us on; a latency then counts from when it was due. */
BH_MUST_USE enum bh_err bench_client_issue(struct bench_client *client, double phase_us,
    double interval_us, double *latencies, struct bh_diag *diag);
/** Sizes of the last request and answer, for the transport floor. */
void bench_client_sizes(const struct bench_client *client, size_t *ret_request, size_t *ret_reply);

/* ---- the floor ---- */

/** F: the public-key operations that one issuance cannot avoid, keys decoded. */
struct bench_floor;

BH_MUST_USE enum bh_err bench_floor_new(
    const char *platform, struct bench_floor **ret_floor, struct bh_diag *diag);
void bench_floor_free(struct bench_floor *floor);
/** A few operations of each kind, on each processor at once. */
BH_MUST_USE enum bh_err bench_floor_sample(struct bench_floor *floor, struct bh_diag *diag);
/** The mean of what was sampled, in microseconds. */
double bench_floor_us(const struct bench_floor *floor);
/** What of it belongs to the verification of evidence alone. */
double bench_floor_evidence_us(const struct bench_floor *floor);
/** T of the budgets (transport.c), for @p clients at once; sizes in bytes of the larger request and
 * answer. bench_transport_free() ends it. */
struct bench_transport;
BH_MUST_USE enum bh_err bench_transport_new(const struct bh_test_server *server, size_t clients,
    size_t request, size_t reply, struct bench_transport **ret_transport, struct bh_diag *diag);
void bench_transport_free(struct bench_transport *transport);
/** Some pairs of requests at @p rate a second by all clients together. */
BH_MUST_USE enum bh_err bench_transport_sample(
    struct bench_transport *transport, double rate, struct bh_diag *diag);
/** CPU of a pair in all samples. */
double bench_transport_us(const struct bench_transport *transport);
/** CPU of a pair when they come without a pause. */
BH_MUST_USE enum bh_err bench_transport_busy_us(
    struct bench_transport *transport, double *ret_us, struct bh_diag *diag);

#endif
