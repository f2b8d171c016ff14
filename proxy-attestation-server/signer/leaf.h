/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaf certificate (RFC 5280, X.509-SVID): the rules of what is certified, and its composition
 * in DER by a writer of our own, without OpenSSL's X509 objects. No files, no clock, no keys.
 */
#ifndef PAS_LEAF_H
#define PAS_LEAF_H

#include "config.h"
#include "ipc/messages.h"

#include "core/ear.h"
#include "core/ecdsa.h"

#include <openssl/x509.h>

#define PAS_NAME_MAX 512 /* a distinguished name, DER */
#define PAS_LEAF_DNS_MAX 16
#define PAS_LEAF_MAX (BH_EAR_MAX + 8192)   /* a leaf certificate, DER */
#define PAS_SIGNATURE_MAX BH_ECDSA_DER_MAX /* an ECDSA signature of P-256, DER */

/** What of the issuing CA and the configuration bounds a leaf. Read once. */
struct pas_issuer {
    uint8_t subject[PAS_NAME_MAX]; /* Name, DER */
    size_t subject_len;
    uint8_t key_id[32]; /* its subject key identifier */
    size_t key_id_len;
    int64_t not_before, not_after;
    int64_t lifetime_max;
    int64_t clock_skew;
    char trust_domain[254];
    bool simulated;       /* the deployment allows simulated devices: the subject says so */
    size_t permitted_len; /* DNS names of the CA's name constraints */
    char permitted[1 + 2 * PAS_CONFIG_DNS_MAX][254];
    size_t reserved_len; /* the server's own DNS names */
    char reserved[PAS_CONFIG_DNS_MAX][254];
};

/**
 * Read the facts of @p issuing. BH_ERR_USAGE, check "issuing.*", when it is not an issuing CA of @p
 * config's deployment: no CA or longer pathLen, other key usage, no key identifier, name
 * constraints that are not critical or permit another URI host than the trust domain, a subject
 * that (does not) say SIMULATED.
 */
BH_MUST_USE enum bh_err pas_issuer_read(X509 *issuing, const struct pas_config *config,
    struct pas_issuer *ret_issuer, struct bh_diag *diag);

/**
 * All rules of a certificate: names, key, serial, validity, and that @p ear (decoded from the
 * request's claims) speaks of the same key and workload. One that begins after @p now is refused,
 * so that nobody lays in certificates for later. BH_ERR_FORBIDDEN with check "certificate.*" or
 * "ear.*" naming the rule. Nothing is checked of the evidence.
 */
BH_MUST_USE enum bh_err pas_leaf_check(const struct pas_issuer *issuer,
    const struct pas_certificate *request, const struct bh_ear *ear, int64_t now,
    struct bh_diag *diag);

/** Signs @p message as ECDSA P-256 with SHA-256: a DER signature of at most PAS_SIGNATURE_MAX
 * bytes. */
typedef enum bh_err (*pas_sign_fn)(
    void *arg, struct bh_span message, uint8_t *out, size_t *ret_len);

/**
 * Compose the certificate of a request that pas_leaf_check() passed, around the signed EAR @p cwt,
 * and have
 * @p sign sign it. @p out holds PAS_LEAF_MAX bytes. BH_ERR_TOO_LARGE, or what @p sign returned.
 */
BH_MUST_USE enum bh_err pas_leaf_make(const struct pas_issuer *issuer,
    const struct pas_certificate *request, struct bh_span cwt, pas_sign_fn sign, void *sign_arg,
    uint8_t *out, size_t *ret_len, struct bh_diag *diag);

/** The key identifier of a public key (RFC 7093, 2, method 1): SHA-256 of the point, cut to 160
 * bits. */
#define PAS_KEY_ID_LEN 20
BH_MUST_USE enum bh_err pas_key_id(struct bh_span spki, uint8_t out[PAS_KEY_ID_LEN]);

/** @p name is @p base or below it (RFC 5280, 4.2.1.10). */
bool pas_dns_within(struct bh_span name, const char *base);

#endif
