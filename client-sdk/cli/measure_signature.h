/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature section of an enclave image: a CBOR array of maps {"signing_certificate": PEM,
 * "signature": COSE_Sign1}, both as arrays of bytes' numbers, of which the first signs PCR0.
 */
#ifndef BH_CLI_MEASURE_SIGNATURE_H
#define BH_CLI_MEASURE_SIGNATURE_H

#include "core/err.h"

/**
 * The certificate (DER, OPENSSL_free() it) that signed @p pcr0 of 48 bytes. BH_ERR_MALFORMED, and
 * BH_ERR_NOT_AUTHENTIC when the signature is over another value or does not verify; check
 * "eif.signature".
 */
BH_MUST_USE enum bh_err bh_eif_signer(struct bh_span section, const uint8_t *pcr0,
    uint8_t **ret_der, size_t *ret_len, struct bh_diag *diag);

#endif
