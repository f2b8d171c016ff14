/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COSE_Sign1 and COSE_Mac0 (RFC 9052): decode, verify, and sign.
 *
 * Decoding reads everything before any cryptography. The algorithm is taken
 * from the protected header only and must match the key; `crit` is refused; the
 * bytes signed are the bytes received. No low-S rule (genuine documents have
 * high S), so never key a cache on a signature.
 */
#ifndef BH_COSE_H
#define BH_COSE_H

#include "ecdsa.h"
#include "err.h"

#include <openssl/evp.h>

enum bh_cose_alg { /* IANA COSE algorithms */
    BH_COSE_ES256 = -7,
    BH_COSE_ES384 = -35,
    BH_COSE_ES512 = -36,
    BH_COSE_HS256 = 5,
    BH_COSE_HS384 = 6,
    BH_COSE_HS512 = 7,
};

enum bh_cose_kind {
    BH_COSE_SIGN1 = 18,
    BH_COSE_MAC0 = 17,
};

/** A decoded message. Spans borrow from the input of bh_cose_decode(). */
struct bh_cose {
    enum bh_cose_kind kind;
    bool tagged;
    int64_t alg;               /* 0 when the protected header has none */
    struct bh_span protected_; /* content of the protected bstr */
    struct bh_span payload;    /* content of the payload bstr, never detached */
    struct bh_span signature;  /* or MAC tag */
    struct bh_span kid;        /* from either header; empty when absent; a hint only */
    struct bh_span x5chain;    /* encoded CBOR item of header 33; empty when absent; a hint only */
    struct bh_span content_type; /* encoded CBOR item of protected header 3; empty when absent */
};

/** Which outer forms bh_cose_decode() takes. An untagged message counts as COSE_Sign1. */
enum bh_cose_form {
    BH_COSE_FORM_TAGGED_SIGN1 = 1,
    BH_COSE_FORM_UNTAGGED_SIGN1 = 2,
    BH_COSE_FORM_TAGGED_MAC0 = 4,
    BH_COSE_FORM_UNTAGGED_MAC0 = 8,
};

/**
 * Read one COSE message that fills @p in exactly. @p forms: enum bh_cose_form, or-ed.
 * Fails with BH_ERR_MALFORMED; does not fail on a missing alg (verify does).
 */
BH_MUST_USE enum bh_err bh_cose_decode(
    struct bh_span in, unsigned forms, struct bh_cose *ret_cose, struct bh_diag *diag);

/**
 * Verify a COSE_Sign1 with @p key (EC P-256, P-384 or P-521). BH_ERR_NOT_AUTHENTIC when
 * the alg is missing from the protected header, does not match the key's curve, the
 * signature's length is not the algorithm's, or it does not verify.
 */
BH_MUST_USE enum bh_err bh_cose_verify(
    const struct bh_cose *cose, EVP_PKEY *key, struct bh_diag *diag);

/** The same with a key's SubjectPublicKeyInfo, of the four common forms without decoding it. */
BH_MUST_USE enum bh_err bh_cose_verify_spki(
    const struct bh_cose *cose, struct bh_span spki, struct bh_diag *diag);

/** Verify a COSE_Mac0 with a symmetric key of 16 to 128 bytes. Full-length tags only. */
BH_MUST_USE enum bh_err bh_cose_verify_mac(
    const struct bh_cose *cose, struct bh_span key, struct bh_diag *diag);

/**
 * Sign @p payload as COSE_Sign1 with the algorithm of @p key's curve; the protected header
 * holds alg alone, the unprotected one is empty. Writes to @p out of @p cap bytes.
 */
BH_MUST_USE enum bh_err bh_cose_sign(struct bh_span payload, EVP_PKEY *key, bool tagged,
    uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag);

/** The same by a prepared key. */
BH_MUST_USE enum bh_err bh_cose_sign_by(struct bh_span payload, struct bh_ecdsa_signer *signer,
    bool tagged, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag);

/** COSE_Mac0 likewise, with @p alg one of HS256, HS384, HS512. */
BH_MUST_USE enum bh_err bh_cose_mac(struct bh_span payload, struct bh_span key,
    enum bh_cose_alg alg, bool tagged, uint8_t *out, size_t cap, size_t *ret_len,
    struct bh_diag *diag);

/**
 * Verify a raw r||s ECDSA signature over @p message, digest by the key's curve
 * (P-256 SHA-256, P-384 SHA-384, P-521 SHA-512). BH_ERR_NOT_AUTHENTIC.
 */
BH_MUST_USE enum bh_err bh_ecdsa_verify(
    EVP_PKEY *key, struct bh_span message, struct bh_span raw, struct bh_diag *diag);
/** Make one. */
BH_MUST_USE enum bh_err bh_ecdsa_sign(EVP_PKEY *key, struct bh_span message,
    uint8_t out[BH_ECDSA_RAW_MAX], size_t *ret_len, struct bh_diag *diag);

/**
 * A public key from a COSE_Key of type EC2 (RFC 9053, 7.1.1). Refuses private members,
 * points off the curve, unknown curves. The caller frees.
 */
BH_MUST_USE enum bh_err bh_cose_key_decode(
    struct bh_span in, EVP_PKEY **ret_key, struct bh_diag *diag);

#endif
