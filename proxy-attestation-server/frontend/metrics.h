/* SPDX-License-Identifier: Apache-2.0 */
/* The frontend's counters: atomics, written by every thread, of a number that no client can raise.
 */
#ifndef PAS_FRONTEND_METRICS_H
#define PAS_FRONTEND_METRICS_H

#include "core/writer.h"
#include "route.h"

#include <stdatomic.h>

#define PAS_FE_STATUSES 17
#define PAS_FE_BUCKETS 13
#define PAS_FE_METRICS_TEXT_MAX (24 * 1024)

/** Why a connection was ended, or not taken, by the frontend. */
enum pas_fe_end {
    PAS_FE_END_IDLE,    /* idle for too long */
    PAS_FE_END_SLOW,    /* a handshake or request was not whole in time */
    PAS_FE_END_EVICTED, /* the oldest had to make room */
    PAS_FE_END_ADDRESS, /* its address has too many already: not taken */
    PAS_FE_ENDS,
};

struct pas_fe_metrics {
    atomic_ullong requests[PAS_FE_ROUTES][PAS_FE_STATUSES];
    atomic_ullong buckets[PAS_FE_BUCKETS]; /* of /v1/certificates; not cumulative */
    atomic_ullong sum_us, count;
    atomic_ullong ends[PAS_FE_ENDS];
    atomic_ullong rate_limited;
    atomic_ullong overloaded;
    atomic_ullong verifiers_ended;
    atomic_ullong late_answers; /* answers for a request that is over or was never made */
    atomic_llong in_flight;
    atomic_llong connections;
};

/** Count one finished request. */
void pas_fe_metrics_request(
    struct pas_fe_metrics *m, enum pas_fe_route_id route, unsigned status, int64_t duration_us);
/** Prometheus text (exposition format 0.0.4) of everything that is not zero. */
void pas_fe_metrics_text(const struct pas_fe_metrics *m, struct bh_writer *w);

#endif
