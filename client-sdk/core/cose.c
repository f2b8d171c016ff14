/* SPDX-License-Identifier: Apache-2.0 */
#include "cose.h"

#include "cbor.h"
#include "writer.h"
#include "x509.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#define POINT_MAX 133

enum header { /* RFC 9052, 3.1; RFC 9360 */
    HEADER_ALG = 1,
    HEADER_CRIT = 2,
    HEADER_CONTENT_TYPE = 3,
    HEADER_KID = 4,
    HEADER_X5CHAIN = 33,
};

static const struct algorithm {
    int64_t alg;
    unsigned bits;   /* of the digest */
    const char *key; /* bh_key_name(); NULL for MACs */
    const char *name;
    size_t half; /* length of r and of s */
} algorithms[] = {
    {BH_COSE_ES256, 256, "P-256", "ES256", 32},
    {BH_COSE_ES384, 384, "P-384", "ES384", 48},
    {BH_COSE_ES512, 512, "P-521", "ES512", 66},
    {BH_COSE_HS256, 256, NULL, "HS256", 32},
    {BH_COSE_HS384, 384, NULL, "HS384", 48},
    {BH_COSE_HS512, 512, NULL, "HS512", 64},
};

static const struct algorithm *
find_alg(int64_t alg, bool mac)
{
    for (size_t i = 0; i < BH_COUNT(algorithms); i++)
        if (algorithms[i].alg == alg && (algorithms[i].key == NULL) == mac)
            return &algorithms[i];
    return NULL;
}

static const struct algorithm *
find_by_name(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(algorithms); i++)
        if (algorithms[i].key != NULL && strcmp(algorithms[i].key, name) == 0)
            return &algorithms[i];
    return NULL;
}

/* Which of the known labels stood in the protected header: none may stand in both (RFC 9052, 3). */
struct seen {
    bool kid, x5chain, content_type;
};

static void
read_header(struct bh_cbor *c, struct bh_cose *m, bool protected_, struct seen *seen)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        int64_t label = 0;

        if (bh_cbor_peek(c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(c);
        else
            label = bh_cbor_int(c);
        if (label == HEADER_CRIT) {
            bh_cbor_spoil(c, "a crit header: no critical extension is understood");
        } else if (label == HEADER_ALG && protected_) {
            m->alg = bh_cbor_int(c);
        } else if (label == HEADER_ALG) {
            /* Not believed, but a second opinion on the algorithm is a sign of trouble. */
            bh_cbor_skip(c);
            if (m->alg != 0)
                bh_cbor_spoil(c, "alg in both headers");
        } else if (label == HEADER_KID) {
            if (seen->kid)
                bh_cbor_spoil(c, "kid in both headers");
            seen->kid = true;
            m->kid = bh_cbor_bstr(c);
        } else if (label == HEADER_X5CHAIN) {
            if (seen->x5chain)
                bh_cbor_spoil(c, "x5chain in both headers");
            seen->x5chain = true;
            m->x5chain = bh_cbor_item(c);
        } else if (label == HEADER_CONTENT_TYPE && protected_) {
            m->content_type = bh_cbor_item(c);
        } else {
            bh_cbor_skip(c);
        }
    }
}

static bool
read_outer_tag(struct bh_cbor *c, unsigned forms, struct bh_cose *m)
{
    uint64_t tag;

    m->kind = BH_COSE_SIGN1;
    if (bh_cbor_peek(c) != BH_CBOR_TAG) {
        if ((forms & BH_COSE_FORM_UNTAGGED_SIGN1) != 0)
            return true;
        m->kind = BH_COSE_MAC0;
        return (forms & BH_COSE_FORM_UNTAGGED_MAC0) != 0;
    }
    m->tagged = true;
    tag = bh_cbor_tag(c);
    if (tag == BH_COSE_MAC0)
        m->kind = BH_COSE_MAC0;
    return (tag == BH_COSE_SIGN1 && (forms & BH_COSE_FORM_TAGGED_SIGN1) != 0) ||
           (tag == BH_COSE_MAC0 && (forms & BH_COSE_FORM_TAGGED_MAC0) != 0);
}

enum bh_err
bh_cose_decode(struct bh_span in, unsigned forms, struct bh_cose *ret_cose, struct bh_diag *diag)
{
    struct bh_cose m = {0};
    struct seen seen = {0};
    struct bh_cbor c, p;

    bh_cbor_init(&c, in);
    if (!read_outer_tag(&c, forms, &m))
        return bh_fail(diag, BH_ERR_MALFORMED, "COSE (RFC 9052, 2): %s",
            bh_cbor_why(&c) != NULL ? bh_cbor_why(&c)
            : m.tagged              ? "a tag that is not allowed here"
                                    : "the COSE tag is missing");
    bh_cbor_array(&c);
    m.protected_ = bh_cbor_bstr(&c);
    if (m.protected_.len > 0) {
        bh_cbor_init(&p, m.protected_);
        read_header(&p, &m, true, &seen);
        if (bh_cbor_end(&p) != BH_OK)
            return bh_fail(diag, BH_ERR_MALFORMED,
                "COSE protected header (RFC 9052, 3), byte %zu: %s", bh_cbor_off(&p),
                bh_cbor_why(&p));
    }
    read_header(&c, &m, false, &seen);
    m.payload = bh_cbor_bstr(&c);
    m.signature = bh_cbor_bstr(&c);
    bh_cbor_leave(&c);
    if (bh_cbor_end(&c) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "COSE message (RFC 9052, 4.2), byte %zu: %s",
            bh_cbor_off(&c), bh_cbor_why(&c));
    *ret_cose = m;
    return BH_OK;
}

/* What stands before the payload in Sig_structure or MAC_structure (RFC 9052, 4.4 and 6.3). */
#define PREFIX_MAX 320
static enum bh_err
structure_prefix(const struct bh_cose *m, uint8_t out[PREFIX_MAX], size_t *ret_len)
{
    uint8_t head[9];
    struct bh_writer w, h;
    struct bh_span s;

    bh_writer_init(&w, out, PREFIX_MAX);
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_tstr(&w, m->kind == BH_COSE_MAC0 ? "MAC0" : "Signature1");
    bh_writer_cbor_bstr(&w, m->protected_);
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_init(&h, head, sizeof(head));
    /* The head of the payload's bstr has the form of an unsigned number with another major type. */
    bh_writer_cbor_uint(&h, m->payload.len);
    head[0] |= 2 << 5;
    if (bh_writer_end(&h, &s) == BH_OK)
        bh_writer_put(&w, s);
    if (bh_writer_end(&w, &s) != BH_OK)
        return BH_ERR_TOO_LARGE;
    *ret_len = s.len;
    return BH_OK;
}

/* By the point of a key: uncompressed, of the algorithm's curve. */
static enum bh_err
verify_parts(struct bh_span point, const struct algorithm *a, struct bh_span first,
    struct bh_span second, struct bh_span raw, struct bh_diag *diag)
{
    uint8_t buf[BH_ECDSA_DER_MAX];
    struct bh_span der;
    enum bh_err e;

    if (raw.len != a->half * 2)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "signature: %zu bytes, %s has %zu", raw.len,
            a->name, a->half * 2);
    if (bh_ecdsa_to_der(raw, buf, &der) != BH_OK)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "signature: not a pair of integers");
    if ((e = bh_ecdsa_verify_point(point, a->bits, first, second, der)) == BH_OK)
        return BH_OK;
    if (e == BH_ERR_INTERNAL)
        return bh_fail(diag, e, "OpenSSL cannot verify a signature");
    return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "the %s signature does not verify", a->name);
}

/* The uncompressed point of an EC key. */
static enum bh_err
point_of(EVP_PKEY *key, uint8_t out[POINT_MAX], struct bh_span *ret_point, struct bh_diag *diag)
{
    size_t len;

    if (EVP_PKEY_get_octet_string_param(
            key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out, POINT_MAX, &len) != 1) {
        ERR_clear_error();
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "a key whose point cannot be read");
    }
    *ret_point = bh_span(out, len);
    return BH_OK;
}

/* A COSE_Sign1 by a key of the named type: its algorithm, from the protected header. */
static enum bh_err
signed_with(const struct bh_cose *cose, const char *key_name, const struct algorithm **ret_a,
    struct bh_diag *diag)
{
    const struct algorithm *a = find_alg(cose->alg, false);

    if (cose->kind != BH_COSE_SIGN1)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "expected a COSE_Sign1, found a COSE_Mac0");
    if (cose->alg == 0)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC,
            "COSE_Sign1 without alg in the protected header (RFC 9052, 3.1)");
    if (a == NULL)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC,
            "COSE algorithm %lld: expected ES256, ES384 or ES512", (long long)cose->alg);
    if (strcmp(a->key, key_name) != 0)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "COSE algorithm %s needs a %s key, this is %s",
            a->name, a->key, key_name);
    *ret_a = a;
    return BH_OK;
}

static enum bh_err
verify_sign1(const struct bh_cose *cose, const struct algorithm *a, struct bh_span point,
    struct bh_diag *diag)
{
    uint8_t prefix[PREFIX_MAX];
    size_t len;

    if (structure_prefix(cose, prefix, &len) != BH_OK)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "COSE protected header too large");
    return verify_parts(point, a, bh_span(prefix, len), cose->payload, cose->signature, diag);
}

enum bh_err
bh_cose_verify(const struct bh_cose *cose, EVP_PKEY *key, struct bh_diag *diag)
{
    const struct algorithm *a;
    uint8_t buf[POINT_MAX];
    struct bh_span point;
    enum bh_err e;

    if ((e = signed_with(cose, bh_key_name(key), &a, diag)) != BH_OK ||
        (e = point_of(key, buf, &point, diag)) != BH_OK)
        return e;
    return verify_sign1(cose, a, point, diag);
}

enum bh_err
bh_cose_verify_spki(const struct bh_cose *cose, struct bh_span spki, struct bh_diag *diag)
{
    const struct algorithm *a;
    struct bh_span point;
    EVP_PKEY *key = NULL;
    const char *name;
    enum bh_err e;

    if (bh_spki_point(spki, &name, &point) == BH_OK) {
        if ((e = signed_with(cose, name, &a, diag)) != BH_OK)
            return e;
        return verify_sign1(cose, a, point, diag);
    }
    /* For the reason: no other key signs a COSE message here. */
    if ((e = bh_spki_decode(spki, &key, diag)) == BH_OK)
        e = bh_cose_verify(cose, key, diag);
    EVP_PKEY_free(key);
    return e;
}

static enum bh_err
compute_mac(const struct algorithm *a, struct bh_span key, const struct bh_cose *m, uint8_t out[64])
{
    char digest[8];
    OSSL_PARAM params[2];
    uint8_t prefix[PREFIX_MAX];
    EVP_MAC *mac = NULL;
    EVP_MAC_CTX *ctx = NULL;
    enum bh_err e = BH_ERR_INTERNAL;
    size_t prefix_len, len;

    if ((e = structure_prefix(m, prefix, &prefix_len)) != BH_OK)
        return e;
    e = BH_ERR_INTERNAL;
    (void)memcpy(digest, a->bits == 256 ? "SHA256" : a->bits == 384 ? "SHA384" : "SHA512", 7);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    if ((mac = EVP_MAC_fetch(NULL, "HMAC", NULL)) != NULL && (ctx = EVP_MAC_CTX_new(mac)) != NULL &&
        EVP_MAC_init(ctx, key.ptr, key.len, params) == 1 &&
        EVP_MAC_update(ctx, prefix, prefix_len) == 1 &&
        (m->payload.len == 0 || EVP_MAC_update(ctx, m->payload.ptr, m->payload.len) == 1) &&
        EVP_MAC_final(ctx, out, &len, 64) == 1 && len == a->half)
        e = BH_OK;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return e;
}

enum bh_err
bh_cose_verify_mac(const struct bh_cose *cose, struct bh_span key, struct bh_diag *diag)
{
    const struct algorithm *a = find_alg(cose->alg, true);
    uint8_t mac[64];
    bool good;

    if (cose->kind != BH_COSE_MAC0)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "expected a COSE_Mac0, found a COSE_Sign1");
    if (a == NULL)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC,
            "COSE algorithm %lld: expected HS256, HS384 or HS512", (long long)cose->alg);
    if (key.len < 16 || key.len > 128)
        return bh_fail(
            diag, BH_ERR_NOT_AUTHENTIC, "a MAC key of %zu bytes: expected 16 to 128", key.len);
    if (compute_mac(a, key, cose, mac) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "HMAC");
    good = bh_span_equal_ct(cose->signature, bh_span(mac, a->half));
    OPENSSL_cleanse(mac, sizeof(mac));
    if (!good)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "the %s tag does not verify", a->name);
    return BH_OK;
}

enum bh_err
bh_ecdsa_verify(EVP_PKEY *key, struct bh_span message, struct bh_span raw, struct bh_diag *diag)
{
    const struct algorithm *a = find_by_name(bh_key_name(key));
    uint8_t buf[POINT_MAX];
    struct bh_span point;
    enum bh_err e;

    if (a == NULL)
        return bh_fail(
            diag, BH_ERR_NOT_AUTHENTIC, "a %s key makes no ECDSA signature here", bh_key_name(key));
    if ((e = point_of(key, buf, &point, diag)) != BH_OK)
        return e;
    return verify_parts(point, a, message, bh_span_none(), raw, diag);
}

static enum bh_err
sign_parts(struct bh_ecdsa_signer *signer, const struct algorithm *a, struct bh_span first,
    struct bh_span second, uint8_t out[BH_ECDSA_RAW_MAX], struct bh_diag *diag)
{
    uint8_t der[BH_ECDSA_DER_MAX];
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_ecdsa_signer_sign(signer, first, second, der, &len, diag)) != BH_OK)
        return e;
    if (bh_ecdsa_to_raw(bh_span(der, len), a->half, out) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "OpenSSL made a signature of another form");
    return BH_OK;
}

enum bh_err
bh_ecdsa_sign(EVP_PKEY *key, struct bh_span message, uint8_t out[BH_ECDSA_RAW_MAX], size_t *ret_len,
    struct bh_diag *diag)
{
    struct bh_ecdsa_signer *signer = NULL;
    const struct algorithm *a;
    enum bh_err e;

    if ((e = bh_ecdsa_signer_new(key, &signer, diag)) != BH_OK)
        return e;
    a = find_by_name(bh_ecdsa_signer_curve(signer));
    if ((e = sign_parts(signer, a, message, bh_span_none(), out, diag)) == BH_OK)
        *ret_len = a->half * 2;
    bh_ecdsa_signer_free(signer);
    return e;
}

/* Headers and payload of a message of ours, up to the signature. */
static void
write_message(struct bh_writer *w, const struct bh_cose *m)
{
    if (m->tagged)
        bh_writer_cbor_tag(w, m->kind);
    bh_writer_cbor_array(w, 4);
    bh_writer_cbor_bstr(w, m->protected_);
    bh_writer_cbor_map(w, 0);
    bh_writer_cbor_bstr(w, m->payload);
}

static void
write_protected(int64_t alg, uint8_t *out, size_t cap, struct bh_cose *m)
{
    struct bh_writer w;

    bh_writer_init(&w, out, cap);
    bh_writer_cbor_map(&w, 1);
    bh_writer_cbor_int(&w, HEADER_ALG);
    bh_writer_cbor_int(&w, alg);
    /* At most four bytes: it fits. */
    m->protected_ = bh_span(out, bh_writer_len(&w));
}

static enum bh_err
finish(struct bh_writer *w, struct bh_span signature, size_t *ret_len, struct bh_diag *diag)
{
    struct bh_span all;

    bh_writer_cbor_bstr(w, signature);
    if (bh_writer_end(w, &all) != BH_OK)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "COSE message: the buffer is too small");
    *ret_len = all.len;
    return BH_OK;
}

enum bh_err
bh_cose_sign_by(struct bh_span payload, struct bh_ecdsa_signer *signer, bool tagged, uint8_t *out,
    size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    struct bh_cose m = {.kind = BH_COSE_SIGN1, .tagged = tagged, .payload = payload};
    const struct algorithm *a = find_by_name(bh_ecdsa_signer_curve(signer));
    uint8_t header[8], prefix[PREFIX_MAX], raw[BH_ECDSA_RAW_MAX];
    struct bh_writer w;
    size_t prefix_len;
    enum bh_err e;

    write_protected(a->alg, header, sizeof(header), &m);
    if ((e = structure_prefix(&m, prefix, &prefix_len)) != BH_OK ||
        (e = sign_parts(signer, a, bh_span(prefix, prefix_len), payload, raw, diag)) != BH_OK)
        return e;
    bh_writer_init(&w, out, cap);
    write_message(&w, &m);
    return finish(&w, bh_span(raw, a->half * 2), ret_len, diag);
}

enum bh_err
bh_cose_sign(struct bh_span payload, EVP_PKEY *key, bool tagged, uint8_t *out, size_t cap,
    size_t *ret_len, struct bh_diag *diag)
{
    struct bh_ecdsa_signer *signer = NULL;
    enum bh_err e;

    if ((e = bh_ecdsa_signer_new(key, &signer, diag)) == BH_OK)
        e = bh_cose_sign_by(payload, signer, tagged, out, cap, ret_len, diag);
    bh_ecdsa_signer_free(signer);
    return e;
}

enum bh_err
bh_cose_mac(struct bh_span payload, struct bh_span key, enum bh_cose_alg alg, bool tagged,
    uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    struct bh_cose m = {.kind = BH_COSE_MAC0, .tagged = tagged, .payload = payload};
    const struct algorithm *a = find_alg(alg, true);
    uint8_t header[8], mac[64];
    struct bh_writer w;

    if (a == NULL)
        return bh_fail(diag, BH_ERR_INTERNAL, "COSE algorithm %d is no MAC", (int)alg);
    write_protected(alg, header, sizeof(header), &m);
    if (compute_mac(a, key, &m, mac) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "HMAC");
    bh_writer_init(&w, out, cap);
    write_message(&w, &m);
    return finish(&w, bh_span(mac, a->half), ret_len, diag);
}

enum bh_err
bh_cose_key_decode(struct bh_span in, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    int64_t kty = 0, crv = 0, alg = 0;
    struct bh_span x = {0}, y = {0};
    uint8_t point[133];
    struct bh_cbor c;
    size_t half;

    bh_cbor_init(&c, in);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const bool text = bh_cbor_peek(&c) == BH_CBOR_TSTR;
        const int64_t label = text ? 0 : bh_cbor_int(&c);

        if (text)
            (void)bh_cbor_tstr(&c);
        if (label == 1 && !text)
            kty = bh_cbor_int(&c);
        else if (label == 3 && !text)
            alg = bh_cbor_int(&c);
        else if (label == -1)
            crv = bh_cbor_int(&c);
        else if (label == -2)
            x = bh_cbor_bstr(&c);
        else if (label == -3)
            y = bh_cbor_bstr(&c);
        else if (label == -4)
            bh_cbor_spoil(&c, "a private member in a public key");
        else
            bh_cbor_skip(&c);
    }
    if (bh_cbor_end(&c) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "COSE_Key (RFC 9053, 7.1.1), byte %zu: %s",
            bh_cbor_off(&c), bh_cbor_why(&c));
    half = crv == 1 ? 32 : crv == 2 ? 48 : crv == 3 ? 66 : 0;
    if (kty != 2 || half == 0 || x.len != half || y.len != half)
        return bh_fail(diag, BH_ERR_MALFORMED,
            "COSE_Key: expected kty EC2 on P-256, P-384 or P-521 with both coordinates in full");
    /* RFC 9052, 7.1: a key that names its algorithm is for no other. */
    if (alg != 0 && alg != (crv == 1 ? BH_COSE_ES256 : crv == 2 ? BH_COSE_ES384 : BH_COSE_ES512))
        return bh_fail(
            diag, BH_ERR_MALFORMED, "COSE_Key: algorithm %lld on another's curve", (long long)alg);
    point[0] = 4;
    memcpy(point + 1, x.ptr, half);
    memcpy(point + 1 + half, y.ptr, half);
    return bh_ec_point_decode(bh_span(point, 1 + 2 * half), ret_key, diag);
}
