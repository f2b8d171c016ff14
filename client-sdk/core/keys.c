/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys. The common public keys are read by comparing their fixed DER prefix
 * (RFC 5480, RFC 8410), which costs a sixth of OpenSSL 3.0's general decoder.
 */
#include "x509.h"

#include "writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static const struct curve {
    const char *name;
    const char *group;
    uint8_t prefix[27]; /* SubjectPublicKeyInfo up to the point */
    uint8_t prefix_len;
    uint8_t point_len;
} curves[] = {
    {"P-256", "prime256v1",
        {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
            0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00},
        26, 65},
    {"P-384", "secp384r1",
        {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
            0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00},
        23, 97},
    {"P-521", "secp521r1",
        {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00},
        25, 133},
    {"Ed25519", NULL, {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, 12,
        32},
};

static enum bh_err
bad_key(struct bh_diag *diag, const char *what)
{
    char why[160];

    return bh_fail(diag, BH_ERR_MALFORMED, "%s: %s", what, bh_openssl_why(why, sizeof(why)));
}

/*
 * Keys that hold the parameters of a curve and no point. Copying one is four times as fast as
 * making the group anew for each key. Made once, never changed, kept for the life of the process.
 */
static EVP_PKEY *templates[BH_COUNT(curves)];
static pthread_once_t templates_made = PTHREAD_ONCE_INIT;

static EVP_PKEY *
make_template(const char *curve)
{
    char group[16];
    OSSL_PARAM params[2];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    /* OSSL_PARAM wants writable memory. */
    (void)snprintf(group, sizeof(group), "%s", curve);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_end();
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEY_PARAMETERS, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void
make_templates(void)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++)
        if (curves[i].group != NULL)
            templates[i] = make_template(curves[i].group);
}

/* OpenSSL checks that the point is on the curve when it takes it. */
static enum bh_err
import_point(size_t curve, struct bh_span point, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    EVP_PKEY *key;

    (void)pthread_once(&templates_made, make_templates);
    if (templates[curve] == NULL || (key = EVP_PKEY_dup(templates[curve])) == NULL)
        return bad_key(diag, "EC point");
    if (EVP_PKEY_set1_encoded_public_key(key, point.ptr, point.len) != 1) {
        EVP_PKEY_free(key);
        return bad_key(diag, "EC point");
    }
    *ret_key = key;
    return BH_OK;
}

enum bh_err
bh_ec_point_decode(struct bh_span point, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++)
        if (curves[i].group != NULL && point.len == curves[i].point_len && point.ptr[0] == 4)
            return import_point(i, point, ret_key, diag);
    return bh_fail(diag, BH_ERR_MALFORMED,
        "EC point: expected 65, 97 or 133 bytes that begin with 04, found %zu", point.len);
}

/* RSA and what else OpenSSL knows; EC in any form but the ones above is refused. */
static enum bh_err
decode_other(struct bh_span spki, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    const uint8_t *at = spki.ptr;
    EVP_PKEY *key;

    if (spki.len == 0 || spki.len > LONG_MAX ||
        (key = d2i_PUBKEY(NULL, &at, (long)spki.len)) == NULL)
        return bad_key(diag, "SubjectPublicKeyInfo");
    if (at != spki.ptr + spki.len || EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        EVP_PKEY_free(key);
        return bh_fail(diag, BH_ERR_MALFORMED,
            "SubjectPublicKeyInfo: trailing bytes, or an EC key that is not an uncompressed point "
            "of a named curve");
    }
    *ret_key = key;
    return BH_OK;
}

enum bh_err
bh_spki_decode(struct bh_span spki, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    struct bh_span point;
    const char *name;
    EVP_PKEY *key;

    if (bh_spki_point(spki, &name, &point) != BH_OK)
        return decode_other(spki, ret_key, diag);
    if (point.len != 32)
        return bh_ec_point_decode(point, ret_key, diag);
    if ((key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point.ptr, 32)) == NULL)
        return bad_key(diag, "Ed25519 key");
    *ret_key = key;
    return BH_OK;
}

enum bh_err
bh_spki_point(struct bh_span spki, const char **ret_name, struct bh_span *ret_point)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++) {
        const struct curve *c = &curves[i];

        if (spki.len != (size_t)c->prefix_len + c->point_len ||
            !bh_span_equal(bh_span(spki.ptr, c->prefix_len), bh_span(c->prefix, c->prefix_len)))
            continue;
        *ret_name = c->name;
        *ret_point = bh_span(spki.ptr + c->prefix_len, c->point_len);
        return BH_OK;
    }
    return BH_ERR_MALFORMED;
}

enum bh_err
bh_spki_from_point(
    const char *name, struct bh_span point, uint8_t *out, size_t cap, size_t *ret_len)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++) {
        const struct curve *c = &curves[i];

        if (strcmp(c->name, name) != 0 || point.len != c->point_len)
            continue;
        if ((size_t)c->prefix_len + c->point_len > cap)
            return BH_ERR_TOO_LARGE;
        memcpy(out, c->prefix, c->prefix_len);
        memcpy(out + c->prefix_len, point.ptr, point.len);
        *ret_len = (size_t)c->prefix_len + c->point_len;
        return BH_OK;
    }
    return BH_ERR_MALFORMED;
}

enum bh_err
bh_spki_encode(EVP_PKEY *key, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    uint8_t *at = out;
    const int len = i2d_PUBKEY(key, NULL);

    if (len <= 0)
        return bad_key(diag, "SubjectPublicKeyInfo");
    if ((size_t)len > cap)
        return bh_fail(
            diag, BH_ERR_TOO_LARGE, "a public key of %d bytes, at most %zu fit", len, cap);
    if (i2d_PUBKEY(key, &at) != len)
        return bad_key(diag, "SubjectPublicKeyInfo");
    *ret_len = (size_t)len;
    return BH_OK;
}

const char *
bh_key_name(EVP_PKEY *key)
{
    char group[32];
    size_t len;

    if (key == NULL)
        return "unknown";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
        return "Ed25519";
    case EVP_PKEY_ED448:
        return "Ed448";
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        switch (EVP_PKEY_get_bits(key)) {
        case 1024:
            return "RSA-1024";
        case 2048:
            return "RSA-2048";
        case 3072:
            return "RSA-3072";
        case 4096:
            return "RSA-4096";
        default:
            return "RSA";
        }
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
            return "EC";
        for (size_t i = 0; i < BH_COUNT(curves); i++)
            if (curves[i].group != NULL && strcmp(curves[i].group, group) == 0)
                return curves[i].name;
        return "EC";
    default:
        return "unknown";
    }
}

enum bh_err
bh_key_generate(const char *name, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    EVP_PKEY *key = NULL;

    if (strcmp(name, "Ed25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (size_t i = 0; i < BH_COUNT(curves); i++)
        if (curves[i].group != NULL && strcmp(name, curves[i].name) == 0)
            key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i].group);
    if (key == NULL) {
        (void)bad_key(diag, name);
        return BH_ERR_INTERNAL;
    }
    *ret_key = key;
    return BH_OK;
}

enum bh_err
bh_key_to_pem(EVP_PKEY *key, const char *passphrase, char **ret_pem, struct bh_diag *diag)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_256_cbc() : NULL;
    const size_t pass_len = passphrase != NULL ? strlen(passphrase) : 0;
    enum bh_err e = BH_OK;
    char *text = NULL;
    char *pem = NULL;
    long len;

    if (bio == NULL || pass_len > 1024 ||
        PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, passphrase, (int)pass_len, NULL, NULL) !=
            1 ||
        (len = BIO_get_mem_data(bio, &text)) <= 0 || (pem = malloc((size_t)len + 1)) == NULL) {
        (void)bad_key(diag, "private key");
        e = BH_ERR_INTERNAL;
        goto out;
    }
    memcpy(pem, text, (size_t)len);
    pem[len] = '\0';
    *ret_pem = pem;
out:
    BIO_free(bio);
    return e;
}

/* Never asks: without a passphrase an encrypted key does not load. */
static int
give_passphrase(char *buf, int size, int writing, void *arg)
{
    const char *passphrase = arg;
    size_t len;

    (void)writing;
    if (passphrase == NULL || (len = strlen(passphrase)) > (size_t)size)
        return -1;
    memcpy(buf, passphrase, len);
    return (int)len;
}

enum bh_err
bh_key_from_pem(
    struct bh_span pem, const char *passphrase, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    /* The callback takes void *, and only reads. */
    union {
        const char *in;
        void *out;
    } arg = {.in = passphrase};
    EVP_PKEY *key = NULL;
    BIO *bio;

    if (pem.len > INT32_MAX || (bio = BIO_new_mem_buf(pem.ptr, (int)pem.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "private key");
    key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, arg.out);
    BIO_free(bio);
    if (key == NULL)
        return bad_key(diag, "private key in PEM");
    *ret_key = key;
    return BH_OK;
}
