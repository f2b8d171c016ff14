/* SPDX-License-Identifier: Apache-2.0 */
#include "core/binding.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static const char *const names[] = {"P-256", "P-384", "P-521", "Ed25519"};

Test(keys, spki_round_trip)
{
    for (size_t i = 0; i < BH_COUNT(names); i++) {
        EVP_PKEY *key, *back;
        uint8_t spki[BH_SPKI_MAX], again[BH_SPKI_MAX];
        size_t len, again_len;

        cr_assert_eq(bh_key_generate(names[i], &key, NULL), BH_OK);
        cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
        cr_assert_eq(bh_spki_decode(bh_span(spki, len), &back, NULL), BH_OK, "%s", names[i]);
        cr_assert_eq(EVP_PKEY_eq(key, back), 1);
        cr_assert_str_eq(bh_key_name(back), names[i]);
        cr_assert_eq(bh_spki_encode(back, again, sizeof(again), &again_len, NULL), BH_OK);
        cr_assert(bh_span_equal(bh_span(spki, len), bh_span(again, again_len)));
        spki[len - 1] ^= 1;
        if (i < 3)
            cr_assert_neq(
                bh_spki_decode(bh_span(spki, len), &key, NULL), BH_OK, "a point off the curve");
        EVP_PKEY_free(key);
        EVP_PKEY_free(back);
    }
}

Test(keys, spki_refuses_other_forms)
{
    EVP_PKEY *key, *out;
    uint8_t spki[BH_SPKI_MAX];
    size_t len;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    spki[len] = 0;
    cr_assert_eq(bh_spki_decode(bh_span(spki, len + 1), &out, NULL), BH_ERR_MALFORMED);
    cr_assert_eq(bh_spki_decode(bh_span(spki, len - 1), &out, NULL), BH_ERR_MALFORMED);
    cr_assert_eq(bh_spki_decode(bh_span_none(), &out, NULL), BH_ERR_MALFORMED);
    /* A compressed point of the same key. */
    cr_assert_eq(EVP_PKEY_set_utf8_string_param(key, "point-format", "compressed"), 1);
    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_decode(bh_span(spki, len), &out, NULL), BH_ERR_MALFORMED);
    EVP_PKEY_free(key);
}

Test(keys, pem_with_and_without_passphrase)
{
    struct bh_diag diag = {0};
    EVP_PKEY *key, *back;
    char *pem;

    cr_assert_eq(bh_key_generate("P-384", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_to_pem(key, "secret", &pem, NULL), BH_OK);
    cr_assert_not_null(strstr(pem, "ENCRYPTED"));
    cr_assert_neq(bh_key_from_pem(bh_span_str(pem), NULL, &back, &diag), BH_OK);
    cr_assert_neq(bh_key_from_pem(bh_span_str(pem), "wrong", &back, NULL), BH_OK);
    cr_assert_eq(bh_key_from_pem(bh_span_str(pem), "secret", &back, NULL), BH_OK);
    cr_assert_eq(EVP_PKEY_eq(key, back), 1);
    EVP_PKEY_free(back);
    free(pem);
    cr_assert_eq(bh_key_to_pem(key, NULL, &pem, NULL), BH_OK);
    cr_assert_eq(bh_key_from_pem(bh_span_str(pem), NULL, &back, NULL), BH_OK);
    EVP_PKEY_free(back);
    EVP_PKEY_free(key);
    free(pem);
}

Test(csr, made_here_is_read_here)
{
    static const char *const good[] = {"P-256", "P-384", "Ed25519"};

    for (size_t i = 0; i < BH_COUNT(good); i++) {
        struct bh_diag diag = {0};
        uint8_t spki[BH_SPKI_MAX];
        struct bh_csr csr;
        EVP_PKEY *key;
        size_t len;
        char *pem;

        cr_assert_eq(bh_key_generate(good[i], &key, NULL), BH_OK);
        cr_assert_eq(bh_csr_make(key, &pem, NULL), BH_OK);
        cr_assert_eq(
            bh_csr_read(bh_span_str(pem), &csr, &diag), BH_OK, "%s: %s", good[i], diag.detail);
        cr_assert_str_eq(csr.key_name, good[i]);
        cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
        cr_assert(bh_span_equal(bh_span(csr.spki, csr.spki_len), bh_span(spki, len)));
        EVP_PKEY_free(key);
        free(pem);
    }
}

static char *
csr_of(EVP_PKEY *key, size_t *ret_len)
{
    X509_REQ *req = X509_REQ_new();
    uint8_t *der = NULL;
    int len;

    X509_REQ_set_pubkey(req, key);
    X509_REQ_sign(req, key, EVP_sha256());
    len = i2d_X509_REQ(req, &der);
    *ret_len = (size_t)len;
    X509_REQ_free(req);
    return (char *)der;
}

Test(csr, refused_keys)
{
    struct bh_diag diag = {0};
    struct bh_csr csr;
    EVP_PKEY *keys[] = {
        EVP_RSA_gen(1024), EVP_RSA_gen(3072), EVP_EC_gen("secp521r1"), EVP_EC_gen("secp256k1")};

    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        size_t len;
        char *der = csr_of(keys[i], &len);

        bh_diag_clear(&diag);
        cr_assert_eq(bh_csr_read(bh_span(der, len), &csr, &diag), BH_ERR_CSR_INVALID);
        cr_assert_str_eq(diag.check, "csr.key");
        OPENSSL_free(der);
        EVP_PKEY_free(keys[i]);
    }
}

static bool
must_not_read(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct bh_csr csr;

    (void)arg;
    cr_assert_neq(bh_csr_read(mutant, &csr, NULL), BH_OK, "byte %zu %s", at, how);
    return true;
}

Test(csr, no_mutant_survives)
{
    EVP_PKEY *key;
    size_t len;
    char *der;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    der = csr_of(key, &len);
    cr_assert_gt(bh_mutate(bh_span(der, len), 0, len, 1, must_not_read, NULL), 400);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

Test(csr, bad_self_signature_has_its_name)
{
    struct bh_diag diag = {0};
    struct bh_csr csr;
    EVP_PKEY *key;
    size_t len;
    char *der;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    der = csr_of(key, &len);
    der[len - 1] ^= 1;
    cr_assert_eq(bh_csr_read(bh_span(der, len), &csr, &diag), BH_ERR_CSR_INVALID);
    cr_assert_str_eq(diag.check, "csr.signature");
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

Test(csr, pem_is_strict)
{
    struct bh_csr csr;
    EVP_PKEY *key;
    char *pem, *more;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_csr_make(key, &pem, NULL), BH_OK);
    cr_assert_gt(asprintf(&more, "%sx", pem), 0);
    cr_assert_neq(bh_csr_read(bh_span_str(more), &csr, NULL), BH_OK);
    free(more);
    cr_assert_gt(asprintf(&more, "%s%s", pem, pem), 0);
    cr_assert_neq(bh_csr_read(bh_span_str(more), &csr, NULL), BH_OK);
    free(more);
    cr_assert_gt(asprintf(&more, "\n%s\n", pem), 0);
    cr_assert_eq(bh_csr_read(bh_span_str(more), &csr, NULL), BH_OK);
    free(more);
    free(pem);
    EVP_PKEY_free(key);
}

Test(binding, published_vectors)
{
    /* design vector: a challenge of 42 bytes, a P-256 key, without and with a context */
    static const char spki_hex[] =
        "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f27703"
        "7d812"
        "deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    static const char context_hex[] =
        "823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812";
    static const char *const bindings[] = {"3e3ff4f5d96c31fbc494baeafc31c4b37acbc839c579da95f3791b6"
                                           "225526193938733aa569b39d772976d3b33593b43"
                                           "dda8e708cd150aeb9af8b7766cbeb4de",
        "9fcae1d82b4b519243fe20dcec96e6c2c55f6cbe8be5d9544cf6d9aac9a13c5e59dbed914e5ddddede6e647322"
        "91c5fc"
        "638d66b0b860029d6428d74ec4be3aef"};
    uint8_t challenge[42], spki[128], context[32], out[64];
    size_t spki_len, context_len;
    char hex[129];

    for (size_t i = 0; i < sizeof(challenge); i++)
        challenge[i] = (uint8_t)i;
    cr_assert_eq(bh_unhex(bh_span_str(spki_hex), spki, sizeof(spki), &spki_len), BH_OK);
    cr_assert_eq(bh_unhex(bh_span_str(context_hex), context, 32, &context_len), BH_OK);
    cr_assert_eq(
        bh_binding(bh_span(challenge, 42), bh_span(spki, spki_len), bh_span_none(), out), BH_OK);
    cr_assert_str_eq(bh_hex(bh_span(out, 64), hex, sizeof(hex)), bindings[0]);
    cr_assert_eq(
        bh_binding(bh_span(challenge, 42), bh_span(spki, spki_len), bh_span(context, 32), out),
        BH_OK);
    cr_assert_str_eq(bh_hex(bh_span(out, 64), hex, sizeof(hex)), bindings[1]);
}

Test(binding, context_is_bounded)
{
    uint8_t context[65] = {0}, out[64];

    cr_assert_eq(
        bh_binding(bh_span_none(), bh_span_none(), bh_span(context, 65), out), BH_ERR_TOO_LARGE);
    cr_assert_eq(bh_binding(bh_span_none(), bh_span_none(), bh_span(context, 64), out), BH_OK);
}

/* An unreadable key in a certificate comes as NULL. */
Test(keys, name_of_none)
{
    cr_expect_str_eq(bh_key_name(NULL), "unknown");
}

Test(keys, names_of_other_kinds)
{
    static const struct {
        const char *type;
        int bits;
        const char *name;
    } kinds[] = {{"RSA", 1024, "RSA-1024"}, {"RSA", 2048, "RSA-2048"}, {"RSA", 1536, "RSA"},
        {"ED448", 0, "Ed448"}, {"EC", 0, "EC"}, {"X25519", 0, "unknown"}};

    for (size_t i = 0; i < BH_COUNT(kinds); i++) {
        EVP_PKEY *key =
            kinds[i].bits > 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type, (size_t)kinds[i].bits)
            : strcmp(kinds[i].type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1")
                                               : EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type);
        cr_assert_not_null(key, "%s", kinds[i].type);
        cr_expect_str_eq(bh_key_name(key), kinds[i].name);
        EVP_PKEY_free(key);
    }
}

Test(keys, what_does_not_fit_or_exist)
{
    char long_passphrase[1100], *pem = NULL;
    struct bh_diag diag = {0};
    uint8_t out[40], point[65] = {4};
    EVP_PKEY *key = NULL, *none = NULL;
    size_t len = 0;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_expect_eq(bh_spki_encode(key, out, sizeof(out), &len, &diag), BH_ERR_TOO_LARGE);
    cr_expect_neq(bh_spki_from_point("P-256", bh_span(point, 65), out, sizeof(out), &len), BH_OK);
    cr_expect_neq(bh_spki_from_point("P-256", bh_span(point, 64), out, sizeof(out), &len), BH_OK);
    cr_expect_neq(bh_spki_from_point("P-257", bh_span(point, 65), out, sizeof(out), &len), BH_OK);
    bh_diag_clear(&diag);
    cr_expect_eq(bh_key_generate("P-257", &none, &diag), BH_ERR_INTERNAL);
    cr_expect_str_neq(diag.detail, "");
    /* Zero is no point of the curve. */
    cr_expect_neq(bh_ec_point_decode(bh_span(point, 65), &none, NULL), BH_OK);
    cr_expect_neq(bh_ec_point_decode(bh_span(point, 64), &none, NULL), BH_OK);
    cr_expect_null(none);
    memset(long_passphrase, 'x', sizeof(long_passphrase) - 1);
    long_passphrase[sizeof(long_passphrase) - 1] = '\0';
    bh_diag_clear(&diag);
    cr_expect_eq(bh_key_to_pem(key, long_passphrase, &pem, &diag), BH_ERR_INTERNAL);
    cr_expect_null(pem);
    EVP_PKEY_free(key);
}

Test(keys, certificates_that_do_not_read)
{
    static uint8_t large[BH_CERT_MAX + 1];
    struct bh_diag diag = {0};
    X509 *cert = NULL;
    size_t n = 0;

    cr_expect_eq(bh_x509_der(bh_span(large, sizeof(large)), &cert, &diag), BH_ERR_MALFORMED);
    cr_expect_eq(bh_x509_der(bh_span_none(), &cert, NULL), BH_ERR_MALFORMED);
    cr_expect_eq(bh_x509_der(bh_span(large, 10), &cert, NULL), BH_ERR_MALFORMED);
    cr_expect_eq(bh_x509_pem(bh_span_str("-----BEGIN CERTIFICATE-----\n!"), &cert, 1, &n, NULL),
        BH_ERR_MALFORMED);
    cr_expect_eq(
        bh_x509_pem(bh_span_str("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), &cert,
            1, &n, NULL),
        BH_ERR_MALFORMED);
    cr_expect_null(cert);
}
