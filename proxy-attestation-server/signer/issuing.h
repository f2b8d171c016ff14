/* SPDX-License-Identifier: Apache-2.0 */
/* The issuing key and its certificates in a server's ca/ folder. */
#ifndef PAS_ISSUING_H
#define PAS_ISSUING_H

#include "signer/leaf.h"

#include <openssl/evp.h>

#define PAS_PEM_MAX (64 * 1024)
#define PAS_CHAIN_MAX 4

struct pas_issuing {
    EVP_PKEY *key;
    struct bh_ecdsa_signer *signer; /* of the key */
    X509 *cert;
    X509 *root;
    struct pas_issuer facts;
};

/**
 * Read DIR/ca/issuing.key, issuing.crt and root.crt and check that they fit each other and @p
 * config: key file readable by its owner only ("issuing.key.mode"), a P-256 key
 * ("issuing.key.type") of the certificate
 * ("issuing.key"), the certificate issued by the root and valid at @p now ("issuing.chain"), and
 * what pas_issuer_read() says. pas_issuing_free() frees.
 */
BH_MUST_USE enum bh_err pas_issuing_load(const char *dir, const struct pas_config *config,
    int64_t now, struct pas_issuing **ret_issuing, struct bh_diag *diag);
void pas_issuing_free(struct pas_issuing *issuing);

/** A pas_sign_fn; @p arg is a struct pas_issuing. Not for two threads at once. */
BH_MUST_USE enum bh_err pas_issuing_sign(
    void *arg, struct bh_span message, uint8_t *out, size_t *ret_len);

/**
 * A private key from a PEM file that nobody but its owner may read: mode 0600 or less, else
 * BH_ERR_USAGE with check "@p what.mode". Unencrypted only.
 */
BH_MUST_USE enum bh_err pas_key_file_load(
    const char *path, const char *what, EVP_PKEY **ret_key, struct bh_diag *diag);
/** The certificates of a PEM file, at least one, at most @p cap. The caller frees each. */
BH_MUST_USE enum bh_err pas_cert_file_load(
    const char *path, X509 **ret_certs, size_t cap, size_t *ret_len, struct bh_diag *diag);
/** The certificate is of the key: check "@p what" otherwise. */
BH_MUST_USE enum bh_err pas_key_fits(
    X509 *cert, EVP_PKEY *key, const char *what, struct bh_diag *diag);

#endif
