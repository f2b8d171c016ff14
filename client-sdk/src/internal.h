/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbeachhead inside: the opaque types, and the verification that the public
 * calls, the TLS callback and the programs of this project share.
 */
#ifndef BH_SDK_INTERNAL_H
#define BH_SDK_INTERNAL_H

#include <stdatomic.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "beachhead/verify.h"
#include "core/ear.h"
#include "core/err.h"
#include "core/limits.h"

#define BH_ROOTS_MAX 16
#define BH_ROOTS_PEM_MAX (1024 * 1024)
#define BH_CHAIN_MAX 16
#define BH_TRUST_DOMAIN_MAX 256
#define BH_MEASUREMENTS_MAX 64
#define BH_PLATFORMS_MAX 16

struct bh_failure {
    struct bh_diag diag;
};

struct bh_root {
    X509 *cert;
    char domain[BH_TRUST_DOMAIN_MAX]; /* its one permitted URI host */
    bool simulated;                   /* OU=SIMULATED in its subject */
};

struct bh_trust {
    atomic_uint refs;
    X509_STORE *store;
    char *pem; /* NUL-terminated */
    size_t pem_len;
    size_t len;
    struct bh_root roots[BH_ROOTS_MAX];
};

struct bh_expectation {
    bool any_workload;
    char workload[64];
    size_t platforms_len;
    char platforms[BH_PLATFORMS_MAX][BH_EAR_PLATFORM_MAX];
    size_t measurements_len;
    struct {
        uint8_t bytes[64];
        size_t len;
    } measurements[BH_MEASUREMENTS_MAX];
    bool accept_warning;
    bool require_revocation;
    bool require_log;
    X509_CRL *crl;
};

struct bh_peer {
    struct bh_ear ear;
    enum bh_ear_status status; /* the worst of the submodules */
    char spiffe_id[BH_TRUST_DOMAIN_MAX + 80];
    char workload[64];
    char platform[BH_EAR_SUBMODS_MAX * BH_EAR_PLATFORM_MAX];
    char measurement[2 * BH_EAR_CLAIM_VALUE_MAX + 1];
    char serial[72];
    char issuer[256];
    int64_t not_before;
    int64_t not_after;
    bool revocation_good;
    char (
        *claims)[2 * BH_EAR_CLAIM_VALUE_MAX + 1]; /* texts in the order of the submodules' claims */
};

/** What the leaf must be good for. */
enum bh_side {
    BH_SIDE_SERVER,
    BH_SIDE_CLIENT,
};

/** The chain that X509_verify_cert() built: borrowed from its context. */
struct bh_chain {
    X509 *leaf;
    X509 *issuer;
    const struct bh_root *root;
};

struct bh_trust *bh_trust_ref(const struct bh_trust *trust);
/** A deep copy; NULL when out of memory. */
struct bh_expectation *bh_expectation_copy(const struct bh_expectation *expectation);

/** Hand @p diag over to a caller's failure (may be NULL) and return its public result. */
enum bh_result bh_failure_set(
    struct bh_failure *failure, const struct bh_diag *diag, enum bh_err err);

/**
 * RFC 5280 part: build and verify the chain of @p leaf over @p untrusted (may be NULL) at @p at,
 * with revocation when the expectation holds a CRL. Checks `certificate.chain`,
 * `certificate.validity`, `certificate.revocation`. On success
 * @p ret_ctx owns what @p ret_chain points to.
 */
BH_MUST_USE enum bh_err bh_chain_verify(const struct bh_trust *trust,
    const struct bh_expectation *expectation, X509 *leaf, STACK_OF(X509) * untrusted,
    enum bh_side side, int64_t at, X509_STORE_CTX **ret_ctx, struct bh_chain *ret_chain,
    struct bh_diag *diag);

/**
 * Profile of the leaf (X.509-SVID and ours): `certificate.ca`, `certificate.key_usage`,
 * `certificate.extended_key_usage`, `certificate.spiffe_id`. Fills the peer's names.
 */
BH_MUST_USE enum bh_err bh_leaf_check(
    const struct bh_chain *chain, enum bh_side side, struct bh_peer *peer, struct bh_diag *diag);

/**
 * The leaf's EAR, verified with the issuer's key and compared with the leaf: `ear.missing`,
 * `ear.malformed`, `ear.signature`, `ear.key`, `ear.workload`, `ear.validity`.
 */
BH_MUST_USE enum bh_err bh_leaf_ear(
    const struct bh_chain *chain, int64_t at, struct bh_peer *peer, struct bh_diag *diag);

/** What the caller expects: `workload`, `ear.status`, `platform`, `measurement`, `revocation`,
 * `log`. */
BH_MUST_USE enum bh_err bh_peer_meets(const struct bh_peer *peer,
    const struct bh_expectation *expectation, const struct bh_root *root, struct bh_diag *diag);

/** All of it, in that order. */
BH_MUST_USE enum bh_err bh_peer_verify(const struct bh_trust *trust,
    const struct bh_expectation *expectation, X509 *leaf, STACK_OF(X509) * untrusted,
    enum bh_side side, int64_t at, struct bh_peer **ret_peer, struct bh_diag *diag);

/** The CBOR claims or JSON of an EAR's envelope: its CWT out of the extension's value. malloc'ed.
 */
BH_MUST_USE enum bh_err bh_ear_from_cert(
    const X509 *cert, uint8_t **ret_cwt, size_t *ret_len, struct bh_diag *diag);

/**
 * As bh_ssl_ctx_attach(); each verification also reports to @p done (may be NULL): the peer,
 * borrowed for the call, or NULL and the reason.
 */
typedef void (*bh_verified_fn)(void *arg, const struct bh_peer *peer, const struct bh_diag *diag);
BH_MUST_USE enum bh_err bh_tls_attach(SSL_CTX *ctx, const struct bh_trust *trust,
    const struct bh_expectation *expectation, bh_verified_fn done, void *done_arg,
    struct bh_diag *diag);

/** A copy of a peer; NULL when out of memory. */
struct bh_peer *bh_peer_copy(const struct bh_peer *peer);

#endif
