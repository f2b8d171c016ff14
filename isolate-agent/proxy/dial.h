/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-agent dial`: a plain local port whose connections go out as attested TLS 1.3. */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include "endpoint.h"

#include "beachhead/verify.h"

struct agent_dial_config {
    struct agent_endpoint_config endpoint; /* its outer context is made here */
    const bh_trust *trust;
    const bh_expectation *expectation;
    int64_t drain_ms;
};

/** Serve until SIGTERM or SIGINT. Log events: "ready" with "endpoint", "peer-refused" with the
 * check. */
BH_MUST_USE enum bh_err agent_dial_run(
    const struct agent_dial_config *config, struct bh_diag *diag);

/** The client context of an attested connection. */
BH_MUST_USE enum bh_err agent_dial_context(const bh_trust *trust, const bh_expectation *expectation,
    SSL_CTX **ret_ctx, struct bh_diag *diag);

#endif
