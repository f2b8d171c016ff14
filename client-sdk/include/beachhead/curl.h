/* SPDX-License-Identifier: Apache-2.0 */
/* Attested TLS for libcurl (built with OpenSSL): the verification of verify.h inside its
 * handshakes. */
#ifndef BEACHHEAD_CURL_H
#define BEACHHEAD_CURL_H

#include <curl/curl.h>

#include "verify.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bh_curl bh_curl; /* what is attached to one easy handle */

/**
 * Make the https transfers of @p easy verify their peer as bh_ssl_ctx_attach() does. Sets
 * VERIFYPEER on, VERIFYHOST off (the SPIFFE ID is the identity), session cache off, TLS 1.3, no
 * proxy, https alone as protocol, CAINFO_BLOB (libcurl then never reuses a connection that was
 * verified for something else), and the SSL context function, of which it needs the only use. Do
 * not set these afterwards.
 *
 * Fails with BH_RESULT_USAGE when libcurl is built with another TLS library. Free @p ret_attached
 * after curl_easy_cleanup(). Takes copies of @p expectation and references to @p trust.
 */
BH_CHECKED enum bh_result bh_curl_attach(CURL *easy, const bh_trust *trust,
    const bh_expectation *expectation, bh_curl **ret_attached, bh_failure *failure);
/** Takes NULL. */
BH_PUBLIC void bh_curl_free(bh_curl *attached);

/** The peer of the latest handshake; borrowed, replaced by the next handshake. NULL when there was
 * none or it was refused. */
BH_PUBLIC const bh_peer *bh_curl_peer(const bh_curl *attached);
/** Why the latest handshake was refused by verification; NULL when it was not. */
BH_PUBLIC const bh_failure *bh_curl_failure(const bh_curl *attached);

#ifdef __cplusplus
}
#endif

#endif
