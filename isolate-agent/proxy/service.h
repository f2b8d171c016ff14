/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `beachhead-agent run`: hold a certificate, serve with it, renew it in time.
 *
 * First enrolment: while the server cannot be reached or answers that it cannot now, it is tried
 * again for start_ms; a refusal ends the run. From then on nothing ends it but a signal: a renewal
 * that fails is tried again, the valid certificate is served meanwhile; when it expires the
 * endpoint closes, and opens again with the next certificate. SIGHUP renews now. SIGTERM and SIGINT
 * stop listening and wait drain_ms for connections to end; a second one ends at once.
 *
 * Log events: "ready", "renewed", "renewal-failed", "enrolment-failed", "expired", "serving-again",
 * "draining", "stopped", "out-failed" (tried again), "out-written", "hook".
 */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include "endpoint.h"
#include "enroller.h"
#include "hook.h"

struct agent_service_config { /* all borrowed for the call */
    struct agent_enroller_config enrol;
    struct bh_span roots_pem;
    bool listen;                           /* serve `endpoint` */
    struct agent_endpoint_config endpoint; /* its inner context is the certificate's */
    const char *out;                       /* folder for tls.crt, tls.key, root.crt; NULL: none */
    struct agent_hook *hook;               /* run after each certificate; NULL: none */
    const char *state;                     /* folder for status.json; NULL: none */
    int64_t start_ms;
    int64_t drain_ms;
};

#define AGENT_SERVICE_START_MS 30000
#define AGENT_SERVICE_DRAIN_MS 10000

/** Run until a signal ends it. The error of the first enrolment; BH_OK after a signal. */
BH_MUST_USE enum bh_err agent_service_run(
    const struct agent_service_config *config, struct bh_diag *diag);

/** Whether a first enrolment that failed so is worth another try. */
bool agent_service_may_retry(enum bh_err err);

#endif
