/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 and keys over OpenSSL: what more than one part of the project needs.
 * The caller frees what ret_ parameters return (EVP_PKEY_free, X509_free).
 */
#ifndef BH_X509_H
#define BH_X509_H

#include "err.h"
#include "limits.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/** One certificate from DER that fills @p der exactly. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err bh_x509_der(struct bh_span der, X509 **ret_cert, struct bh_diag *diag);
/** Every certificate of a PEM text, in order; at least one, at most @p cap. Only CERTIFICATE
 * blocks. */
BH_MUST_USE enum bh_err bh_x509_pem(
    struct bh_span pem, X509 **ret_certs, size_t cap, size_t *ret_count, struct bh_diag *diag);
/** DER (malloc'ed, caller frees with OPENSSL_free) of a certificate. */
BH_MUST_USE enum bh_err bh_x509_to_der(const X509 *cert, uint8_t **ret_der, size_t *ret_len);

/**
 * A public key from SubjectPublicKeyInfo DER that fills @p spki exactly, by a fast path for
 * the uncompressed P-256, P-384, P-521 and Ed25519 forms and OpenSSL's decoder for
 * others. Refuses EC points off the curve and curves given by parameters. BH_ERR_MALFORMED.
 */
BH_MUST_USE enum bh_err bh_spki_decode(
    struct bh_span spki, EVP_PKEY **ret_key, struct bh_diag *diag);
/** SubjectPublicKeyInfo DER of a key into @p out of @p cap bytes. */
BH_MUST_USE enum bh_err bh_spki_encode(
    EVP_PKEY *key, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag);
/** SubjectPublicKeyInfo DER of a certificate, as it stands in it. */
BH_MUST_USE enum bh_err bh_x509_spki(
    const X509 *cert, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag);
/**
 * The point (uncompressed, or Ed25519's 32 bytes) inside a SubjectPublicKeyInfo of one of the four
 * common forms, without decoding it; @p ret_name as bh_key_name() says. BH_ERR_MALFORMED for other
 * keys.
 */
BH_MUST_USE enum bh_err bh_spki_point(
    struct bh_span spki, const char **ret_name, struct bh_span *ret_point);
/** The reverse: SubjectPublicKeyInfo of a point of the named curve. */
BH_MUST_USE enum bh_err bh_spki_from_point(
    const char *name, struct bh_span point, uint8_t *out, size_t cap, size_t *ret_len);
/** "P-256", "P-384", "P-521", "Ed25519", "RSA-2048", ...; "unknown", also for NULL, which is what
 * an unreadable key in a certificate comes as. */
const char *bh_key_name(EVP_PKEY *key);
/** An EC public key from an uncompressed point (65, 97 or 133 bytes), checked to be on the curve.
 */
BH_MUST_USE enum bh_err bh_ec_point_decode(
    struct bh_span point, EVP_PKEY **ret_key, struct bh_diag *diag);
/** A new key pair: "P-256", "P-384", "P-521" or "Ed25519". */
BH_MUST_USE enum bh_err bh_key_generate(const char *name, EVP_PKEY **ret_key, struct bh_diag *diag);
/** PEM (PKCS#8) of a private key, encrypted with AES-256-CBC when @p passphrase is not NULL.
 * malloc'ed; the caller cleanses and frees. */
BH_MUST_USE enum bh_err bh_key_to_pem(
    EVP_PKEY *key, const char *passphrase, char **ret_pem, struct bh_diag *diag);
/** A private key from PEM; never prompts. */
BH_MUST_USE enum bh_err bh_key_from_pem(
    struct bh_span pem, const char *passphrase, EVP_PKEY **ret_key, struct bh_diag *diag);

/**
 * A PKCS#10 request (RFC 2986), read by a strict reader of ours and not by d2i_X509_REQ:
 * accepts PEM or DER, checks the self-signature and that nothing trails.
 */
struct bh_csr {
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    const char *key_name; /* static; as bh_key_name() says */
};
/** BH_ERR_CSR_INVALID with check "csr.malformed", "csr.signature" or "csr.key". Key types: P-256,
 * P-384, Ed25519. */
BH_MUST_USE enum bh_err bh_csr_read(
    struct bh_span pem_or_der, struct bh_csr *ret_csr, struct bh_diag *diag);
/** A PKCS#10 request in PEM, with an empty subject, signed by @p key. malloc'ed. */
BH_MUST_USE enum bh_err bh_csr_make(EVP_PKEY *key, char **ret_pem, struct bh_diag *diag);

/** SHA-256, SHA-384 or SHA-512 of @p in by @p bits; @p out holds bits / 8 bytes. */
BH_MUST_USE enum bh_err bh_sha2(unsigned bits, struct bh_span in, uint8_t *out);
/** The digest itself, fetched once; NULL for other bits. Borrowed. */
const EVP_MD *bh_sha2_md(unsigned bits);
/** @p len random bytes from the operating system's generator through OpenSSL. */
BH_MUST_USE enum bh_err bh_random(void *out, size_t len);
/** OpenSSL's last error as text ("no error" when there is none); clears its queue. */
const char *bh_openssl_why(char *out, size_t size);

/**
 * Verify @p leaf up to one of @p anchors at @p at (Unix seconds) over untrusted @p chain.
 * The purpose of the leaf is not checked; basicConstraints, pathLen, keyCertSign, name
 * constraints, validity and signatures are. Not X509_V_FLAG_X509_STRICT: genuine AWS chains
 * carry no key identifiers. BH_ERR_NOT_AUTHENTIC with OpenSSL's reason and the certificate's
 * subject.
 */
BH_MUST_USE enum bh_err bh_x509_verify(X509 *leaf, X509 *const *chain, size_t chain_len,
    X509 *const *anchors, size_t anchors_len, int64_t at, struct bh_diag *diag);

#endif
