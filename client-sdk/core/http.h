/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTPS client over libcurl for requests to a Beachhead server: trusts
 * exactly the given roots, demands the server's SPIFFE identity
 * (spiffe://<trust domain of the root>/beachhead/server) inside the handshake,
 * bounded time and size, no redirects, no proxies, TLS 1.3.
 */
#ifndef BH_HTTP_H
#define BH_HTTP_H

#include "err.h"

#include <openssl/x509.h>

struct bh_http; /* one connection, reused while it lasts; not for two threads at once */

struct bh_http_reply {
    long status;
    char content_type[96];
    long retry_after; /* seconds; 0 when the header is absent */
    char *body;       /* malloc'ed, NUL-terminated */
    size_t body_len;
};

/**
 * @p url: "https://host:port", no path. @p roots_pem: the trusted roots, copied.
 * @p timeout_ms bounds each request as a whole.
 */
BH_MUST_USE enum bh_err bh_http_new(const char *url, struct bh_span roots_pem, long timeout_ms,
    struct bh_http **ret_http, struct bh_diag *diag);
void bh_http_free(struct bh_http *http);

/**
 * Send one request; @p body NULL makes a GET, else a POST of @p content_type. BH_ERR_NETWORK when
 * the server could not be reached, BH_ERR_NOT_AUTHENTIC when it is not the server of these
 * roots. Any HTTP status is BH_OK. bh_http_reply_clear() frees.
 */
BH_MUST_USE enum bh_err bh_http_request(struct bh_http *http, const char *path,
    const char *content_type, const struct bh_span *body, struct bh_http_reply *ret_reply,
    struct bh_diag *diag);
void bh_http_reply_clear(struct bh_http_reply *reply);

/** Turn a problem+json reply into @p diag and its error; BH_ERR_INTERNAL for a body that is none.
 */
BH_MUST_USE enum bh_err bh_http_problem(const struct bh_http_reply *reply, struct bh_diag *diag);

#endif
