/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS#10 (RFC 2986), read by a small DER reader: OpenSSL's own costs more than
 * the verification, and of a request only the key and its self-signature count.
 */
#include "ecdsa.h"
#include "reader.h"
#include "writer.h"
#include "x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#define TAG_INTEGER 0x02
#define TAG_BITS 0x03
#define TAG_SEQUENCE 0x30
#define TAG_ATTRIBUTES 0xa0

static enum bh_err
malformed(struct bh_diag *diag, const char *what)
{
    return bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.malformed", "a PKCS#10 request (RFC 2986)",
        what, "the certificate request is not well-formed: %s", what);
}

/* Signature algorithms by their whole AlgorithmIdentifier. */
static const struct {
    uint8_t der[12];
    uint8_t len;
    unsigned bits; /* 0: Ed25519 */
} algorithms[] = {
    {{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}, 12, 256},
    {{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03}, 12, 384},
    {{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04}, 12, 512},
    {{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}, 7, 0},
};

struct parts {
    struct bh_span info; /* certificationRequestInfo, whole: what is signed */
    struct bh_span spki;
    struct bh_span algorithm; /* AlgorithmIdentifier, whole */
    struct bh_span signature;
};

static enum bh_err
take_apart(struct bh_span der, struct parts *p, struct bh_diag *diag)
{
    struct bh_reader all, request, info, bits;
    struct bh_span version;

    bh_reader_init(&all, der);
    bh_reader_init(&request, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    if (bh_reader_end(&all) != BH_OK)
        return malformed(diag, "the outer sequence does not fill the input");
    bh_reader_init(&info, bh_reader_der(&request, TAG_SEQUENCE, &p->info));
    (void)bh_reader_der(&request, TAG_SEQUENCE, &p->algorithm);
    bh_reader_init(&bits, bh_reader_der(&request, TAG_BITS, NULL));
    if (bh_reader_end(&request) != BH_OK)
        return malformed(diag, "expected info, algorithm and signature");
    if (bh_reader_u8(&bits) != 0)
        bh_reader_spoil(&bits);
    p->signature = bh_reader_take(&bits, bh_reader_left(&bits));
    version = bh_reader_der(&info, TAG_INTEGER, NULL);
    (void)bh_reader_der(&info, TAG_SEQUENCE, NULL);
    (void)bh_reader_der(&info, TAG_SEQUENCE, &p->spki);
    (void)bh_reader_der(&info, TAG_ATTRIBUTES, NULL);
    if (bh_reader_end(&info) != BH_OK || bh_reader_end(&bits) != BH_OK || version.len != 1 ||
        version.ptr[0] != 0)
        return malformed(diag, "expected version 0, subject, key and attributes");
    return BH_OK;
}

/* Ed25519 signs the message itself. */
static bool
verify_ed25519(struct bh_span spki, struct bh_span message, struct bh_span signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = NULL;
    const bool good =
        ctx != NULL && bh_spki_decode(spki, &key, NULL) == BH_OK &&
        EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(ctx, signature.ptr, signature.len, message.ptr, message.len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}

static enum bh_err
unusable_key(struct bh_diag *diag)
{
    return bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.key", "P-256, P-384 or Ed25519",
        "a key that does not decode", "the request's public key is not usable");
}

static enum bh_err
check_signature(const struct parts *p, struct bh_span point, bool ed25519, struct bh_diag *diag)
{
    enum bh_err e = BH_ERR_NOT_AUTHENTIC;
    unsigned bits = 0;
    bool known = false;

    for (size_t i = 0; i < BH_COUNT(algorithms); i++) {
        if (!bh_span_equal(p->algorithm, bh_span(algorithms[i].der, algorithms[i].len)))
            continue;
        known = (algorithms[i].bits == 0) == ed25519;
        bits = algorithms[i].bits;
    }
    if (!known)
        return bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.signature",
            "ecdsa-with-SHA256, -SHA384, -SHA512 or Ed25519, as the key is", "another algorithm",
            "the request's signature algorithm is not one of these");
    if (!ed25519)
        e = bh_ecdsa_verify_point(point, bits, p->info, bh_span_none(), p->signature);
    else if (verify_ed25519(p->spki, p->info, p->signature))
        e = BH_OK;
    if (e == BH_ERR_MALFORMED)
        return unusable_key(diag);
    if (e == BH_ERR_INTERNAL)
        return bh_fail(diag, e, "certificate request: OpenSSL cannot verify a signature");
    if (e != BH_OK)
        return bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.signature",
            "a signature by the request's own key", "one that does not verify",
            "the request does not prove possession of its key");
    return BH_OK;
}

/* The type of a key that is not certified, for the refusal. */
static enum bh_err
other_key(struct bh_span spki, const char *name, struct bh_diag *diag)
{
    EVP_PKEY *key = NULL;
    enum bh_err e;

    if (name == NULL && (spki.len > BH_SPKI_MAX || bh_spki_decode(spki, &key, NULL) != BH_OK))
        return unusable_key(diag);
    e = bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.key", "P-256, P-384 or Ed25519",
        name != NULL ? name : bh_key_name(key),
        "the request's key is of a type that is not certified");
    EVP_PKEY_free(key);
    return e;
}

static enum bh_err
read_der(struct bh_span der, struct bh_csr *ret_csr, struct bh_diag *diag)
{
    const char *name = NULL;
    struct bh_span point;
    struct parts p;
    enum bh_err e;

    if ((e = take_apart(der, &p, diag)) != BH_OK)
        return e;
    if (bh_spki_point(p.spki, &name, &point) != BH_OK || strcmp(name, "P-521") == 0)
        return other_key(p.spki, name, diag);
    if ((e = check_signature(&p, point, strcmp(name, "Ed25519") == 0, diag)) != BH_OK)
        return e;
    memcpy(ret_csr->spki, p.spki.ptr, p.spki.len);
    ret_csr->spki_len = p.spki.len;
    ret_csr->key_name = name;
    return BH_OK;
}

static int
base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool
is_space(uint8_t c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* The base64 body between the lines: digits and line ends, padding at the end only. */
static bool
pem_body(struct bh_span body, uint8_t *out, size_t cap, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t digits = 0, padding = 0, at = 0;

    for (size_t i = 0; i < body.len; i++) {
        const int d = base64_digit(body.ptr[i]);

        if (is_space(body.ptr[i]))
            continue;
        if (body.ptr[i] == '=') {
            padding++;
            continue;
        }
        if (d < 0 || padding > 0)
            return false;
        digits++;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (at == cap)
                return false;
            out[at++] = (uint8_t)(bits >> have);
        }
    }
    *ret_len = at;
    return (digits + padding) % 4 == 0 && padding <= 2 && (bits & ((1u << have) - 1)) == 0;
}

/* One block, and nothing around it but white space. False when it is no such PEM. */
static bool
pem_to_der(struct bh_span pem, uint8_t *out, size_t cap, size_t *ret_len)
{
    static const char begin[] = "-----BEGIN CERTIFICATE REQUEST-----";
    static const char end[] = "-----END CERTIFICATE REQUEST-----";
    const size_t begin_len = sizeof(begin) - 1;
    const size_t end_len = sizeof(end) - 1;
    size_t from = 0;
    size_t to = pem.len;

    while (from < to && is_space(pem.ptr[from]))
        from++;
    while (to > from && is_space(pem.ptr[to - 1]))
        to--;
    if (to - from < begin_len + end_len ||
        !bh_span_equal(bh_span(pem.ptr + from, begin_len), bh_span(begin, begin_len)) ||
        !bh_span_equal(bh_span(pem.ptr + to - end_len, end_len), bh_span(end, end_len)))
        return false;
    return pem_body(
        bh_span(pem.ptr + from + begin_len, to - from - begin_len - end_len), out, cap, ret_len);
}

enum bh_err
bh_csr_read(struct bh_span pem_or_der, struct bh_csr *ret_csr, struct bh_diag *diag)
{
    uint8_t der[BH_CSR_MAX];
    size_t len;

    if (pem_or_der.len == 0 || pem_or_der.len > BH_CSR_MAX)
        return malformed(diag, "its size is not 1 to 8192 bytes");
    if (pem_or_der.ptr[0] == TAG_SEQUENCE)
        return read_der(pem_or_der, ret_csr, diag);
    if (!pem_to_der(pem_or_der, der, sizeof(der), &len))
        return malformed(diag, "neither DER nor one PEM block CERTIFICATE REQUEST alone");
    return read_der(bh_span(der, len), ret_csr, diag);
}

enum bh_err
bh_csr_make(EVP_PKEY *key, char **ret_pem, struct bh_diag *diag)
{
    const bool ed25519 = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
    const EVP_MD *md =
        ed25519 ? NULL : bh_sha2_md(strcmp(bh_key_name(key), "P-384") == 0 ? 384 : 256);
    X509_REQ *req = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    enum bh_err e = BH_OK;
    char why[160];
    char *text;
    long len;

    if (req == NULL || bio == NULL || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(req, key) != 1 || X509_REQ_sign(req, key, md) <= 0 ||
        PEM_write_bio_X509_REQ(bio, req) != 1 || (len = BIO_get_mem_data(bio, &text)) <= 0 ||
        (*ret_pem = strndup(text, (size_t)len)) == NULL)
        e = bh_fail(
            diag, BH_ERR_INTERNAL, "certificate request: %s", bh_openssl_why(why, sizeof(why)));
    BIO_free(bio);
    X509_REQ_free(req);
    return e;
}
