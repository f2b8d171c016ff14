/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate requests that ask for too much or are wrong, made by OpenSSL. */
#ifndef BH_E2E_CSR_H
#define BH_E2E_CSR_H

#include <openssl/evp.h>

/** A request of @p key in PEM, malloc'ed: a subject with CN, SANs, CA:TRUE and keyCertSign, an EKU
 * and an attestation result of its own. */
char *csr_greedy(EVP_PKEY *key);
/** One bit of the signature changed. */
char *csr_badly_signed(EVP_PKEY *key);
/** Claims the key of @p key, signed by another. */
char *csr_of_strange_key(EVP_PKEY *key);
/** Of a new RSA key of @p bits, regular otherwise. */
char *csr_rsa(unsigned bits);

#endif
