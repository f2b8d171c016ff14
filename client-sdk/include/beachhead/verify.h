/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is an isolate, by its certificate: whom to trust, what to expect, the
 * verification itself, and its result.
 *
 * A peer is verified when all of this holds: the chain leads to a trusted root
 * (RFC 5280: signatures, validity, basic and name constraints, key usage); the leaf is
 * an X.509-SVID of that root's trust domain with exactly one URI name
 * spiffe://<trust domain>/<workload>; its attestation result (an EAR in the
 * RFC 9999 extension id-pe-cmw) is signed by the leaf's issuer, speaks of the leaf's
 * own key and workload, has not expired, and has an accepted status; and every
 * expectation is met. Host names and IP addresses are not consulted: the
 * workload's SPIFFE ID is the identity.
 */
#ifndef BEACHHEAD_VERIFY_H
#define BEACHHEAD_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- whom to trust ---- */

typedef struct bh_trust bh_trust; /* immutable: any number of threads may use one */

/**
 * The roots of Beachhead deployments from @p pem (@p len bytes, copied): one or more self-signed CA
 * certificates, at most 16, each with a critical name constraint that permits exactly one URI host,
 * its trust domain. bh_trust_free() takes NULL; what was attached to a TLS context keeps its own
 * reference.
 */
BH_CHECKED enum bh_result bh_trust_new(
    const char *pem, size_t len, bh_trust **ret_trust, bh_failure *failure);
/** The same from a file of at most 1 MiB. */
BH_CHECKED enum bh_result bh_trust_load(
    const char *path, bh_trust **ret_trust, bh_failure *failure);
BH_PUBLIC void bh_trust_free(bh_trust *trust);

/* ---- what to expect ---- */

typedef struct bh_expectation bh_expectation;

/**
 * Expect the workload @p workload ([a-z0-9][a-z0-9._-]{0,62}); BH_RESULT_USAGE for another form.
 * Until more is said: any platform, any measurement that the deployment's policy admitted, status
 * affirming. bh_expectation_free() takes NULL. The setters are not for use by two threads at once.
 */
BH_CHECKED enum bh_result bh_expectation_new(
    const char *workload, bh_expectation **ret_expectation, bh_failure *failure);
/**
 * Expect any workload of the trust domain: whoever was admitted under any name passes. For tools
 * that show what a certificate is; a connection needs a workload.
 */
BH_CHECKED enum bh_result bh_expectation_new_insecure_any_workload(
    bh_expectation **ret_expectation, bh_failure *failure);
BH_PUBLIC void bh_expectation_free(bh_expectation *expectation);

/** Allow one more platform ("aws-nitro"); with none named every platform is allowed. At most 16. */
BH_CHECKED enum bh_result bh_expectation_platform(
    bh_expectation *expectation, const char *platform, bh_failure *failure);
/**
 * Allow one more code measurement, 16 to 64 bytes; with none named every one is. It is compared
 * with the platform's code measurements in the attestation result (aws-nitro: PCR0; arm-cca: realm
 * initial measurement; psa: software components). At most 64.
 */
BH_CHECKED enum bh_result bh_expectation_measurement(
    bh_expectation *expectation, const unsigned char *bytes, size_t len, bh_failure *failure);
/**
 * Accept the status "warning" too. Without it a warning passes only where simulation alone caused
 * it and the root's subject says SIMULATED.
 */
BH_PUBLIC void bh_expectation_accept_warning(bh_expectation *expectation);
/**
 * Use a certificate revocation list of the leaf's issuer, PEM or DER (copied): a revoked leaf, a
 * stale list, or one that does not verify is then refused. Nothing is fetched.
 */
BH_CHECKED enum bh_result bh_expectation_crl(
    bh_expectation *expectation, const unsigned char *crl, size_t len, bh_failure *failure);
/** Refuse peers whose revocation state is not known. Without bh_expectation_crl() that is every
 * peer. */
BH_PUBLIC void bh_expectation_require_revocation(bh_expectation *expectation);
/** Refuse peers without proof of inclusion in a transparency log. No log exists yet: refuses every
 * peer. */
BH_PUBLIC void bh_expectation_require_log(bh_expectation *expectation);

/* ---- the verified peer ---- */

typedef struct bh_peer bh_peer; /* only verification makes one */

/** Takes NULL. Only for peers that a call returned to the caller; see there. */
BH_PUBLIC void bh_peer_free(bh_peer *peer);

/** Texts, never NULL, valid as long as the peer. */
BH_PUBLIC const char *bh_peer_workload(const bh_peer *peer);
BH_PUBLIC const char *bh_peer_spiffe_id(const bh_peer *peer);
/** "aws-nitro"; several, of a combined result, are joined by "+". */
BH_PUBLIC const char *bh_peer_platform(const bh_peer *peer);
/** "affirming" or "warning". */
BH_PUBLIC const char *bh_peer_status(const bh_peer *peer);
/** Main code measurement in lower-case hex; "" when the result names none. */
BH_PUBLIC const char *bh_peer_measurement(const bh_peer *peer);
/** Serial number in lower-case hex, as the server prints it. */
BH_PUBLIC const char *bh_peer_serial(const bh_peer *peer);
/** Subject of the issuing CA (RFC 4514). */
BH_PUBLIC const char *bh_peer_issuer(const bh_peer *peer);
/** "pinned": the policy names whose machine it is; "any": it says that it does not matter. */
BH_PUBLIC const char *bh_peer_owner(const bh_peer *peer);
/** "good" or "not checked". */
BH_PUBLIC const char *bh_peer_revocation(const bh_peer *peer);

/** The device is simulated; the isolate runs in debug mode. */
BH_PUBLIC bool bh_peer_simulated(const bh_peer *peer);
BH_PUBLIC bool bh_peer_debug(const bh_peer *peer);
/** Validity of the certificate, Unix seconds. */
BH_PUBLIC int64_t bh_peer_not_before(const bh_peer *peer);
BH_PUBLIC int64_t bh_peer_not_after(const bh_peer *peer);
/** What else the isolate committed to: 0 to 64 bytes, borrowed from the peer. */
BH_PUBLIC const unsigned char *bh_peer_context(const bh_peer *peer, size_t *ret_len);
/**
 * A measured value by its name in the policy ("pcr3", "platform_token.lifecycle"): lower-case hex,
 * or text for values that are text. NULL when the attestation result has none of that name. Valid
 * as long as the peer.
 */
BH_PUBLIC const char *bh_peer_claim(const bh_peer *peer, const char *name);

/**
 * Verify a chain in memory, leaf first, as of @p at (Unix seconds). @p ders and @p lens hold @p
 * count certificates (1 to 16, DER). Demands extended key usage serverAuth. Does not prove that
 * anybody holds the key: only a handshake does. @p ret_peer may be NULL; else bh_peer_free() it.
 * Written on BH_RESULT_OK only.
 */
BH_CHECKED enum bh_result bh_verify_chain(const bh_trust *trust, const bh_expectation *expectation,
    const unsigned char *const *ders, const size_t *lens, size_t count, int64_t at,
    bh_peer **ret_peer, bh_failure *failure);

#ifdef __cplusplus
}
#endif

#endif
