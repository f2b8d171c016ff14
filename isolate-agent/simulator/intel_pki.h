/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands above a simulated Intel quote, of the shape of Intel's: SGX root, PCK CA, PCK and TCB
 * signing certificates of P-256, revocation lists, and signed documents (PCS API, version 4). All
 * names begin with SIMULATED.
 */
#ifndef AGENT_INTEL_PKI_H
#define AGENT_INTEL_PKI_H

#include "core/err.h"

#include <openssl/x509.h>

enum agent_intel_level {
    AGENT_INTEL_ROOT,
    AGENT_INTEL_CA,
    AGENT_INTEL_PCK,
    AGENT_INTEL_SIGNER,
};

#define AGENT_INTEL_SVNS 16

/** What a PCK certificate says of its platform. */
struct agent_intel_machine {
    uint8_t ppid[16];
    uint8_t fmspc[6];
    uint8_t svn[AGENT_INTEL_SVNS];
    unsigned pce_svn;
};

struct agent_intel_request {
    enum agent_intel_level level;
    EVP_PKEY *key; /* certified */
    X509 *issuer;  /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    int64_t not_before, not_after;
    const struct agent_intel_machine *machine; /* of a PCK certificate */
};

/** Make one certificate. X509_free() it. */
BH_MUST_USE enum bh_err agent_intel_cert_make(
    const struct agent_intel_request *request, X509 **ret_cert, struct bh_diag *diag);

/** An empty revocation list in DER; OPENSSL_free() it. */
BH_MUST_USE enum bh_err agent_intel_crl_make(X509 *issuer, EVP_PKEY *key, int64_t from, int64_t to,
    uint8_t **ret_der, size_t *ret_len, struct bh_diag *diag);

/** Certificates in PEM, one behind the other; malloc'ed. */
BH_MUST_USE enum bh_err agent_intel_pem(
    X509 *const *certs, size_t len, char **ret_pem, struct bh_diag *diag);

/** {"@p member": @p text, "signature": "..."} with the signature over the text; malloc'ed. */
BH_MUST_USE enum bh_err agent_intel_document(
    EVP_PKEY *key, const char *member, const char *text, char **ret_body, struct bh_diag *diag);

/** The raw signature r || s over @p message by a key of P-256. */
BH_MUST_USE enum bh_err agent_intel_sign(
    EVP_PKEY *key, struct bh_span message, uint8_t out[64], struct bh_diag *diag);

#endif
