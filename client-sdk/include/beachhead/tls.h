/* SPDX-License-Identifier: Apache-2.0 */
/* Attested TLS over OpenSSL: the verification of verify.h inside the handshake. */
#ifndef BEACHHEAD_TLS_H
#define BEACHHEAD_TLS_H

#include <openssl/ssl.h>

#include "verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make every handshake of @p ctx verify its peer; one whose peer does not meet @p expectation fails
 * before any byte of application data. On clients the leaf must be good for serverAuth, on servers
 * (which then demand a client certificate) for clientAuth.
 *
 * Sets: TLS 1.3 as least version, SSL_VERIFY_PEER with FAIL_IF_NO_PEER_CERT, the certificate verify
 * callback, session cache and tickets off (a resumed session would skip verification). Undoing one
 * of these afterwards, or setting a session by hand, undoes the verification: bh_ssl_peer() is NULL
 * then. Copies @p expectation and keeps a reference to @p trust: both may be freed at once.
 */
BH_CHECKED enum bh_result bh_ssl_ctx_attach(
    SSL_CTX *ctx, const bh_trust *trust, const bh_expectation *expectation, bh_failure *failure);

/**
 * The verified peer of @p ssl, borrowed from it and gone with it. NULL before the peer's
 * certificate was verified, after a refusal, and where bh_ssl_ctx_attach() was not used.
 */
BH_PUBLIC const bh_peer *bh_ssl_peer(const SSL *ssl);
/** Why the peer of @p ssl was refused, borrowed from it; NULL when it was not. */
BH_PUBLIC const bh_failure *bh_ssl_failure(const SSL *ssl);

#ifdef __cplusplus
}
#endif

#endif
