/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cose.h"
#include "core/writer.h"
#include "core/x509.h"
#include "support/mutate.h"

#include <criterion/criterion.h>

#define ANY (BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_UNTAGGED_SIGN1 | BH_COSE_FORM_TAGGED_MAC0)

static const char *const curves[] = {"P-256", "P-384", "P-521"};

Test(cose, sign_and_verify)
{
    for (size_t i = 0; i < BH_COUNT(curves); i++) {
        struct bh_diag diag = {0};
        struct bh_cose m;
        EVP_PKEY *key, *other;
        uint8_t out[512];
        size_t len;

        cr_assert_eq(bh_key_generate(curves[i], &key, NULL), BH_OK);
        cr_assert_eq(bh_key_generate(curves[i], &other, NULL), BH_OK);
        cr_assert_eq(
            bh_cose_sign(bh_span("hello", 5), key, i != 1, out, sizeof(out), &len, &diag), BH_OK);
        cr_assert_eq(bh_cose_decode(bh_span(out, len), ANY, &m, &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(m.tagged, i != 1);
        cr_assert(bh_span_is(m.payload, "hello"));
        cr_assert_eq(bh_cose_verify(&m, key, &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(bh_cose_verify(&m, other, NULL), BH_ERR_NOT_AUTHENTIC);
        EVP_PKEY_free(other);
        cr_assert_eq(bh_key_generate(curves[(i + 1) % 3], &other, NULL), BH_OK);
        cr_assert_eq(bh_cose_verify(&m, other, NULL), BH_ERR_NOT_AUTHENTIC);
        EVP_PKEY_free(other);
        EVP_PKEY_free(key);
    }
}

Test(cose, mac)
{
    static const enum bh_cose_alg algs[] = {BH_COSE_HS256, BH_COSE_HS384, BH_COSE_HS512};
    uint8_t key[32] = {1};
    uint8_t other[32] = {2};

    for (size_t i = 0; i < BH_COUNT(algs); i++) {
        struct bh_cose m;
        uint8_t out[256];
        size_t len;

        cr_assert_eq(bh_cose_mac(bh_span("x", 1), bh_span(key, 32), algs[i], true, out, sizeof(out),
                         &len, NULL),
            BH_OK);
        cr_assert_eq(bh_cose_decode(bh_span(out, len), ANY, &m, NULL), BH_OK);
        cr_assert_eq(m.kind, BH_COSE_MAC0);
        cr_assert_eq(bh_cose_verify_mac(&m, bh_span(key, 32), NULL), BH_OK);
        cr_assert_eq(bh_cose_verify_mac(&m, bh_span(other, 32), NULL), BH_ERR_NOT_AUTHENTIC);
        cr_assert_eq(bh_cose_verify_mac(&m, bh_span(key, 8), NULL), BH_ERR_NOT_AUTHENTIC);
        m.signature.len--;
        cr_assert_eq(bh_cose_verify_mac(&m, bh_span(key, 32), NULL), BH_ERR_NOT_AUTHENTIC);
    }
}

/* A COSE_Sign1 with any headers, over payload "p", really signed by @p key. */
static size_t
forge(
    struct bh_span protected_, struct bh_span unprotected, EVP_PKEY *key, uint8_t *out, size_t cap)
{
    uint8_t tbs[256], raw[132];
    struct bh_span s;
    struct bh_writer w;
    size_t raw_len;

    bh_writer_init(&w, tbs, sizeof(tbs));
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_tstr(&w, "Signature1");
    bh_writer_cbor_bstr(&w, protected_);
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_bstr(&w, bh_span("p", 1));
    cr_assert_eq(bh_writer_end(&w, &s), BH_OK);
    cr_assert_eq(bh_ecdsa_sign(key, s, raw, &raw_len, NULL), BH_OK);
    bh_writer_init(&w, out, cap);
    bh_writer_cbor_tag(&w, 18);
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_bstr(&w, protected_);
    bh_writer_put(&w, unprotected);
    bh_writer_cbor_bstr(&w, bh_span("p", 1));
    bh_writer_cbor_bstr(&w, bh_span(raw, raw_len));
    cr_assert_eq(bh_writer_end(&w, &s), BH_OK);
    return s.len;
}

Test(cose, headers_that_must_not_pass)
{
    static const struct {
        const char *protected_, *unprotected;
        size_t plen, ulen;
        bool decodes;
    } cases[] = {
        {"\xa1\x01\x26", "\xa0", 3, 1, true},              /* fine: ES256 */
        {"", "\xa0", 0, 1, true},                          /* no alg */
        {"\xa0", "\xa0", 1, 1, true},                      /* no alg in the map */
        {"", "\xa1\x01\x26", 0, 3, true},                  /* alg in the unprotected header only */
        {"\xa1\x01\x38\x22", "\xa0", 4, 1, true},          /* ES384 with a P-256 key */
        {"\xa1\x01\x05", "\xa0", 3, 1, true},              /* HS256 on a signature */
        {"\xa1\x01\x27", "\xa0", 3, 1, true},              /* EdDSA: not on the list */
        {"\xa2\x01\x26\x02\x81\x04", "\xa0", 6, 1, false}, /* crit */
        {"\xa1\x01\x26", "\xa1\x02\x81\x04", 3, 4, false}, /* crit outside */
        {"\xa1\x01\x26", "\xa1\x01\x26", 3, 3, false},     /* alg twice */
        {"\xa1\x01\x65"
         "ES256",
            "\xa0", 8, 1, false},                                      /* alg as text */
        {"\xa2\x01\x26\x01\x26", "\xa0", 5, 1, false},                 /* a header twice */
        {"\xa1\x01\x26\x00", "\xa0", 4, 1, false},                     /* bytes behind the map */
        {"\xa2\x01\x26\x04\x41\x01", "\xa1\x04\x41\x01", 6, 4, false}, /* kid in both */
    };
    EVP_PKEY *key;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_cose m;
        uint8_t out[256];
        const size_t len = forge(bh_span(cases[i].protected_, cases[i].plen),
            bh_span(cases[i].unprotected, cases[i].ulen), key, out, sizeof(out));
        const bool decodes = bh_cose_decode(bh_span(out, len), ANY, &m, NULL) == BH_OK;

        cr_assert_eq(decodes, cases[i].decodes, "case %zu", i);
        if (decodes)
            cr_assert_eq(bh_cose_verify(&m, key, NULL) == BH_OK, i == 0, "case %zu", i);
    }
    EVP_PKEY_free(key);
}

Test(cose, forms)
{
    struct bh_cose m;
    EVP_PKEY *key;
    uint8_t out[256];
    size_t len;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_cose_sign(bh_span("x", 1), key, true, out, sizeof(out), &len, NULL), BH_OK);
    cr_assert_neq(bh_cose_decode(bh_span(out, len), BH_COSE_FORM_UNTAGGED_SIGN1, &m, NULL), BH_OK);
    cr_assert_neq(bh_cose_decode(bh_span(out, len), BH_COSE_FORM_TAGGED_MAC0, &m, NULL), BH_OK);
    cr_assert_neq(
        bh_cose_decode(bh_span(out + 1, len - 1), BH_COSE_FORM_TAGGED_SIGN1, &m, NULL), BH_OK);
    out[len] = 0;
    cr_assert_neq(bh_cose_decode(bh_span(out, len + 1), ANY, &m, NULL), BH_OK);
    out[0] = 0xd1; /* the same as a MAC */
    cr_assert_eq(bh_cose_decode(bh_span(out, len), ANY, &m, NULL), BH_OK);
    cr_assert_eq(bh_cose_verify(&m, key, NULL), BH_ERR_NOT_AUTHENTIC);
    EVP_PKEY_free(key);
}

struct target {
    EVP_PKEY *key;
};

static bool
must_not_verify(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct target *t = arg;
    struct bh_cose m;

    if (bh_cose_decode(mutant, BH_COSE_FORM_TAGGED_SIGN1, &m, NULL) == BH_OK)
        cr_assert_neq(bh_cose_verify(&m, t->key, NULL), BH_OK, "byte %zu %s", at, how);
    return true;
}

Test(cose, no_mutant_verifies)
{
    struct target t;
    uint8_t out[256];
    size_t len;

    cr_assert_eq(bh_key_generate("P-256", &t.key, NULL), BH_OK);
    cr_assert_eq(
        bh_cose_sign(bh_span("some payload", 12), t.key, true, out, sizeof(out), &len, NULL),
        BH_OK);
    cr_assert_gt(bh_mutate(bh_span(out, len), 0, len, 1, must_not_verify, &t), 300);
    EVP_PKEY_free(t.key);
}

Test(cose, keys)
{
    uint8_t out[256], spki[BH_SPKI_MAX];
    struct bh_span point, s;
    struct bh_writer w;
    EVP_PKEY *key, *back;
    const char *name;
    size_t len;

    cr_assert_eq(bh_key_generate("P-384", &key, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_point(bh_span(spki, len), &name, &point), BH_OK);
    static const struct {
        bool private_too;
        int64_t alg; /* 0: none */
        bool good;
    } cases[] = {
        {false, 0, true}, {true, 0, false}, {false, BH_COSE_ES384, true},
        {false, BH_COSE_ES256, false}, /* a key for another algorithm (RFC 9052, 7.1) */
    };

    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        bh_writer_init(&w, out, sizeof(out));
        bh_writer_cbor_map(
            &w, 4 + (cases[i].private_too ? 1u : 0u) + (cases[i].alg != 0 ? 1u : 0u));
        bh_writer_cbor_int(&w, 1);
        bh_writer_cbor_int(&w, 2);
        bh_writer_cbor_int(&w, -1);
        bh_writer_cbor_int(&w, 2);
        bh_writer_cbor_int(&w, -2);
        bh_writer_cbor_bstr(&w, bh_span(point.ptr + 1, 48));
        bh_writer_cbor_int(&w, -3);
        bh_writer_cbor_bstr(&w, bh_span(point.ptr + 49, 48));
        if (cases[i].private_too) {
            bh_writer_cbor_int(&w, -4);
            bh_writer_cbor_bstr(&w, bh_span("d", 1));
        }
        if (cases[i].alg != 0) {
            bh_writer_cbor_int(&w, 3);
            bh_writer_cbor_int(&w, cases[i].alg);
        }
        cr_assert_eq(bh_writer_end(&w, &s), BH_OK);
        cr_assert_eq(bh_cose_key_decode(s, &back, NULL), cases[i].good ? BH_OK : BH_ERR_MALFORMED);
        if (cases[i].good) {
            cr_assert_eq(EVP_PKEY_eq(key, back), 1);
            EVP_PKEY_free(back);
        }
    }
    EVP_PKEY_free(key);
}
