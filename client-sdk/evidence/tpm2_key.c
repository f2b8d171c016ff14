/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation keys of a TPM as OpenSSL knows them, and their signatures. */
#include "tpm2.h"

#include "core/ecdsa.h"
#include "core/writer.h"
#include "core/x509.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

static void
put_integer(struct bh_writer *w, struct bh_span big_endian)
{
    const size_t mark = bh_writer_der_open(w, 0x02);

    while (big_endian.len > 1 && big_endian.ptr[0] == 0)
        big_endian = bh_span(big_endian.ptr + 1, big_endian.len - 1);
    if (big_endian.len == 0 || (big_endian.ptr[0] & 0x80) != 0)
        bh_writer_u8(w, 0);
    bh_writer_put(w, big_endian);
    bh_writer_der_close(w, mark);
}

enum bh_err
ev_tpm2_rsa_spki(
    struct bh_span modulus, struct bh_span exponent, uint8_t *out, size_t cap, size_t *ret_len)
{
    /* rsaEncryption with its NULL (RFC 3279, 2.3.1) */
    static const uint8_t algorithm[] = {
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    struct bh_span written;
    struct bh_writer w;
    enum bh_err e;

    bh_writer_init(&w, out, cap);
    const size_t outer = bh_writer_der_open(&w, 0x30);
    bh_writer_put(&w, bh_span(algorithm, sizeof(algorithm)));
    const size_t bits = bh_writer_der_open(&w, 0x03);
    bh_writer_u8(&w, 0);
    const size_t key = bh_writer_der_open(&w, 0x30);
    put_integer(&w, modulus);
    put_integer(&w, exponent);
    bh_writer_der_close(&w, key);
    bh_writer_der_close(&w, bits);
    bh_writer_der_close(&w, outer);
    if ((e = bh_writer_end(&w, &written)) != BH_OK)
        return e;
    *ret_len = written.len;
    return BH_OK;
}

static bool
rsa_verifies(const struct ev_tpm2_signature *s, EVP_PKEY *key, struct bh_span message)
{
    const bool pss = s->scheme == EV_TPM2_RSAPSS;
    const EVP_MD *md = bh_sha2_md((unsigned)ev_tpm2_bank_size(s->hash) * 8);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    bool good;

    /* The salt's length is the TPM's affair (part 1, B.7). */
    good = ctx != NULL && md != NULL && EVP_DigestVerifyInit(ctx, &key_ctx, md, NULL, key) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(key_ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) ==
               1 &&
           (!pss || (EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_AUTO) == 1 &&
                        EVP_PKEY_CTX_set_rsa_mgf1_md(key_ctx, md) == 1)) &&
           EVP_DigestVerify(ctx, s->rsa.ptr, s->rsa.len, message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

static const char *
rsa_fault(const struct ev_tpm2_signature *s, struct bh_span spki, struct bh_span message)
{
    const char *fault = NULL;
    EVP_PKEY *key = NULL;

    if (bh_spki_decode(spki, &key, NULL) != BH_OK)
        return "a key that cannot be read";
    const int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        fault = "a signature of RSA by a key that is none";
    else if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        fault = "an RSA key of less than 2048 bits, or of more than 4096";
    else if (!rsa_verifies(s, key, message))
        fault = "a signature that does not verify";
    EVP_PKEY_free(key);
    return fault;
}

static const char *
ec_fault(const struct ev_tpm2_signature *s, struct bh_span spki, struct bh_span message)
{
    uint8_t raw[BH_ECDSA_RAW_MAX] = {0}, buf[BH_ECDSA_DER_MAX];
    struct bh_span point, der;
    const char *curve;

    if (bh_spki_point(spki, &curve, &point) != BH_OK || point.ptr[0] != 0x04 || point.len < 65)
        return "a signature of ECDSA by a key that is none";
    const size_t half = (point.len - 1) / 2;
    if (s->ec_r.len > half || s->ec_s.len > half)
        return "a signature longer than the curve's";
    memcpy(raw + half - s->ec_r.len, s->ec_r.ptr, s->ec_r.len);
    memcpy(raw + 2 * half - s->ec_s.len, s->ec_s.ptr, s->ec_s.len);
    if (bh_ecdsa_to_der(bh_span(raw, 2 * half), buf, &der) != BH_OK ||
        bh_ecdsa_verify_point(
            point, (unsigned)ev_tpm2_bank_size(s->hash) * 8, message, bh_span_none(), der) != BH_OK)
        return "a signature that does not verify";
    return NULL;
}

const char *
ev_tpm2_signature_fault(
    const struct ev_tpm2_signature *signature, struct bh_span spki, struct bh_span message)
{
    return signature->scheme == EV_TPM2_ECDSA ? ec_fault(signature, spki, message)
                                              : rsa_fault(signature, spki, message);
}
