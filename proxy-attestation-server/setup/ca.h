/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates of a new deployment: root, issuing CA, the server's own. */
#ifndef PAS_CA_H
#define PAS_CA_H

#include "config.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define PAS_ROOT_DAYS 3650
#define PAS_ISSUING_DAYS 365
/** Backdating of CA certificates: more than the largest clock skew that server.json takes. */
#define PAS_CA_BACKDATE 7200

struct pas_ca {
    EVP_PKEY *root_key;    /* P-384 */
    EVP_PKEY *issuing_key; /* P-256 */
    EVP_PKEY *server_key;  /* P-256 */
    X509 *root;
    X509 *issuing; /* under the root, pathLen 0 */
    X509 *server;  /* under the issuing CA, as long as it lives */
};

/**
 * Make all of it for the trust domain, DNS names, listening address and simulation of @p config.
 * @p issuing_key: a P-256 key to use (reference taken), or NULL to make one; other types are
 * BH_ERR_USAGE, check "init.issuing_key". pas_ca_clear() frees.
 */
BH_MUST_USE enum bh_err pas_ca_make(const struct pas_config *config, EVP_PKEY *issuing_key,
    int64_t now, struct pas_ca *ret_ca, struct bh_diag *diag);
void pas_ca_clear(struct pas_ca *ca);

#endif
