/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ecdsa.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include <openssl/core_names.h>

static const char *const curves[] = {"P-256", "P-384", "P-521"};
static const unsigned bits[] = {256, 384, 512};

/* A key and what it signed. */
struct signer {
    EVP_PKEY *key;
    uint8_t point[133];
    size_t point_len;
    uint8_t der[BH_ECDSA_DER_MAX];
    size_t der_len;
};

static const struct bh_span message = {(const uint8_t *)"a message", 9};

static void
make(struct signer *s, size_t curve)
{
    struct bh_ecdsa_signer *signer;

    cr_assert_eq(bh_key_generate(curves[curve], &s->key, NULL), BH_OK);
    cr_assert_eq(EVP_PKEY_get_octet_string_param(s->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                     s->point, sizeof(s->point), &s->point_len),
        1);
    cr_assert_eq(bh_ecdsa_signer_new(s->key, &signer, NULL), BH_OK);
    cr_assert_str_eq(bh_ecdsa_signer_curve(signer), curves[curve]);
    cr_assert_eq(
        bh_ecdsa_signer_sign(signer, message, bh_span_none(), s->der, &s->der_len, NULL), BH_OK);
    bh_ecdsa_signer_free(signer);
}

static enum bh_err
verify(const struct signer *point, const struct signer *signature, size_t curve)
{
    return bh_ecdsa_verify_point(bh_span(point->point, point->point_len), bits[curve], message,
        bh_span_none(), bh_span(signature->der, signature->der_len));
}

/* What is kept between verifications must not carry a key over: neither after one that held, nor
 * after one that did not. */
Test(ecdsa, no_key_outlives_its_verification)
{
    for (size_t c = 0; c < BH_COUNT(curves); c++) {
        struct signer a, b;

        make(&a, c);
        make(&b, c);
        for (int turn = 0; turn < 20; turn++) {
            cr_assert_eq(verify(&a, &a, c), BH_OK);
            cr_assert_eq(verify(&b, &a, c), BH_ERR_NOT_AUTHENTIC, "a's signature is not b's");
            cr_assert_eq(verify(&a, &b, c), BH_ERR_NOT_AUTHENTIC);
            cr_assert_eq(verify(&b, &b, c), BH_OK);
        }
        EVP_PKEY_free(a.key);
        EVP_PKEY_free(b.key);
    }
}

Test(ecdsa, points_that_are_none)
{
    for (size_t c = 0; c < BH_COUNT(curves); c++) {
        struct signer a, bad;

        make(&a, c);
        bad = a;
        bad.point[bad.point_len - 1] ^= 1;
        cr_assert_eq(verify(&bad, &a, c), BH_ERR_MALFORMED, "off the curve");
        cr_assert_eq(verify(&a, &a, c), BH_OK, "and nothing stays of it");
        bad = a;
        bad.point[0] = 2;
        cr_assert_eq(verify(&bad, &a, c), BH_ERR_MALFORMED, "compressed");
        bad = a;
        memset(bad.point + 1, 0, bad.point_len - 1);
        cr_assert_eq(verify(&bad, &a, c), BH_ERR_MALFORMED, "no point");
        bad = a;
        bad.point_len--;
        cr_assert_eq(verify(&bad, &a, c), BH_ERR_MALFORMED, "short");
        bad.point_len = 0;
        cr_assert_eq(verify(&bad, &a, c), BH_ERR_MALFORMED, "empty");
        EVP_PKEY_free(a.key);
    }
}

Test(ecdsa, signatures_that_are_none)
{
    struct signer a, bad;

    make(&a, 0);
    for (size_t i = 0; i < a.der_len; i++) {
        bad = a;
        bad.der[i] ^= 0x20;
        cr_assert_neq(verify(&a, &bad, 0), BH_OK, "byte %zu", i);
    }
    bad = a;
    bad.der_len = 0;
    cr_assert_eq(verify(&a, &bad, 0), BH_ERR_NOT_AUTHENTIC);
    bad = a;
    bad.der[bad.der_len++] = 0;
    cr_assert_eq(verify(&a, &bad, 0), BH_ERR_NOT_AUTHENTIC, "a byte behind it");
    cr_assert_eq(bh_ecdsa_verify_point(bh_span(a.point, a.point_len), 257, message, bh_span_none(),
                     bh_span(a.der, a.der_len)),
        BH_ERR_INTERNAL, "no such digest");
    cr_assert_eq(bh_ecdsa_verify_point(bh_span(a.point, a.point_len), 256, bh_span(message.ptr, 4),
                     bh_span(message.ptr + 4, 5), bh_span(a.der, a.der_len)),
        BH_OK, "the same message in two parts");
    EVP_PKEY_free(a.key);
}

Test(ecdsa, other_keys_do_not_sign)
{
    struct bh_ecdsa_signer *signer = NULL;
    struct bh_diag diag = {0};
    EVP_PKEY *key;

    cr_assert_eq(bh_key_generate("Ed25519", &key, NULL), BH_OK);
    cr_assert_eq(bh_ecdsa_signer_new(key, &signer, &diag), BH_ERR_INTERNAL);
    cr_assert_null(signer);
    EVP_PKEY_free(key);
}

static void *
verify_often(void *arg)
{
    struct signer *s = arg;
    size_t wrong = 0;

    for (int i = 0; i < 200; i++) {
        wrong += verify(&s[0], &s[0], 0) != BH_OK;
        wrong += verify(&s[1], &s[0], 0) != BH_ERR_NOT_AUTHENTIC;
    }
    s->der_len = wrong; /* read when the thread has ended */
    return NULL;
}

Test(ecdsa, many_threads)
{
    struct signer pairs[12][2]; /* more than wait for the next verification */
    pthread_t threads[BH_COUNT(pairs)];

    for (size_t i = 0; i < BH_COUNT(pairs); i++) {
        make(&pairs[i][0], 0);
        make(&pairs[i][1], 0);
        cr_assert_eq(pthread_create(&threads[i], NULL, verify_often, pairs[i]), 0);
    }
    for (size_t i = 0; i < BH_COUNT(pairs); i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(pairs[i][0].der_len, 0, "%zu wrong verdicts", pairs[i][0].der_len);
        EVP_PKEY_free(pairs[i][0].key);
        EVP_PKEY_free(pairs[i][1].key);
    }
}
