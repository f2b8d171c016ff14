/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA (FIPS 186-5) with what OpenSSL needs for each operation made once and used again: a
 * verification costs the curve's arithmetic and little more, whosever key it is.
 */
#ifndef BH_ECDSA_H
#define BH_ECDSA_H

#include "err.h"

#include <openssl/evp.h>

#define BH_ECDSA_DER_MAX 150 /* bytes of a signature as DER, up to P-521 */
#define BH_ECDSA_RAW_MAX 132 /* bytes of r || s, up to P-521 */

/**
 * Verify @p der, an ECDSA-Sig-Value (RFC 3279, 2.2.3), over @p first followed by @p second (which
 * may be empty) by the key whose uncompressed @p point is given: 65, 97 or 133 bytes, the length
 * says the curve. @p bits: of the SHA-2 digest. BH_ERR_MALFORMED for a point that is none of its
 * curve, BH_ERR_NOT_AUTHENTIC when it does not verify, BH_ERR_INTERNAL. Thread-safe.
 */
BH_MUST_USE enum bh_err bh_ecdsa_verify_point(struct bh_span point, unsigned bits,
    struct bh_span first, struct bh_span second, struct bh_span der);

/** A private key prepared for many signatures. One thread at a time. */
struct bh_ecdsa_signer;
/** Takes its own reference to @p key (P-256, P-384 or P-521). bh_ecdsa_signer_free() frees. */
BH_MUST_USE enum bh_err bh_ecdsa_signer_new(
    EVP_PKEY *key, struct bh_ecdsa_signer **ret_signer, struct bh_diag *diag);
void bh_ecdsa_signer_free(struct bh_ecdsa_signer *signer);
/** "P-256", "P-384" or "P-521". */
const char *bh_ecdsa_signer_curve(const struct bh_ecdsa_signer *signer);
/**
 * Sign @p first followed by @p second with the SHA-2 of the curve's size: DER into @p out of
 * BH_ECDSA_DER_MAX bytes. BH_ERR_INTERNAL.
 */
BH_MUST_USE enum bh_err bh_ecdsa_signer_sign(struct bh_ecdsa_signer *signer, struct bh_span first,
    struct bh_span second, uint8_t *out, size_t *ret_len, struct bh_diag *diag);

/** r || s, each half of @p raw, as DER into @p out. */
BH_MUST_USE enum bh_err bh_ecdsa_to_der(
    struct bh_span raw, uint8_t out[BH_ECDSA_DER_MAX], struct bh_span *ret_der);
/** And back: @p half bytes each of r and s. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err bh_ecdsa_to_raw(struct bh_span der, size_t half, uint8_t *out);

#endif
