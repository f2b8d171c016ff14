/* SPDX-License-Identifier: Apache-2.0 */
#include "x509.h"

#include "text.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

enum bh_err
bh_x509_der(struct bh_span der, X509 **ret_cert, struct bh_diag *diag)
{
    const uint8_t *at = der.ptr;
    char why[160];
    X509 *cert;

    if (der.len == 0 || der.len > BH_CERT_MAX)
        return bh_fail(diag, BH_ERR_MALFORMED, "a certificate of %zu bytes; expected 1 to %d",
            der.len, BH_CERT_MAX);
    if ((cert = d2i_X509(NULL, &at, (long)der.len)) == NULL)
        return bh_fail(diag, BH_ERR_MALFORMED, "certificate: %s", bh_openssl_why(why, sizeof(why)));
    if (at != der.ptr + der.len) {
        X509_free(cert);
        return bh_fail(diag, BH_ERR_MALFORMED, "certificate: %zu trailing bytes",
            (size_t)(der.ptr + der.len - at));
    }
    *ret_cert = cert;
    return BH_OK;
}

enum bh_err
bh_x509_pem(
    struct bh_span pem, X509 **ret_certs, size_t cap, size_t *ret_count, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;
    size_t n = 0;
    BIO *bio;

    if (pem.len > INT32_MAX || (bio = BIO_new_mem_buf(pem.ptr, (int)pem.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "PEM");
    while (e == BH_OK) {
        uint8_t *der = NULL;
        char *name = NULL;
        char *header = NULL;
        long len = 0;

        if (PEM_read_bio(bio, &name, &header, &der, &len) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                e = bh_fail(diag, BH_ERR_MALFORMED, "PEM: block %zu is damaged", n + 1);
            ERR_clear_error();
            break;
        }
        if (strcmp(name, PEM_STRING_X509) != 0)
            e = bh_fail(diag, BH_ERR_MALFORMED, "PEM: expected CERTIFICATE, found %s", name);
        else if (n == cap)
            e = bh_fail(diag, BH_ERR_TOO_LARGE, "PEM: more than %zu certificates", cap);
        else if ((e = bh_x509_der(bh_span(der, (size_t)len), &ret_certs[n], diag)) == BH_OK)
            n++;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    if (e == BH_OK && n == 0)
        e = bh_fail(diag, BH_ERR_MALFORMED, "PEM: no certificate found");
    if (e != BH_OK) {
        while (n > 0) {
            X509_free(ret_certs[--n]);
            ret_certs[n] = NULL;
        }
        return e;
    }
    *ret_count = n;
    return BH_OK;
}

enum bh_err
bh_x509_to_der(const X509 *cert, uint8_t **ret_der, size_t *ret_len)
{
    uint8_t *der = NULL;
    const int len = i2d_X509(cert, &der);

    if (len <= 0)
        return BH_ERR_NOMEM;
    *ret_der = der;
    *ret_len = (size_t)len;
    return BH_OK;
}

enum bh_err
bh_x509_spki(const X509 *cert, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
    uint8_t *at = out;
    const int len = i2d_X509_PUBKEY(key, NULL);

    if (len <= 0 || (size_t)len > cap)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "certificate: a public key of %d bytes", len);
    (void)i2d_X509_PUBKEY(key, &at);
    *ret_len = (size_t)len;
    return BH_OK;
}

static enum bh_err
explain(X509_STORE_CTX *ctx, int64_t at, struct bh_diag *diag)
{
    const int error = X509_STORE_CTX_get_error(ctx);
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    char subject[160] = "the leaf";
    char now[BH_TIME_MAX];
    enum bh_err e;

    if (cert != NULL)
        (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
    e = bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "certificate %d of the chain (%s): %s, at %s",
        X509_STORE_CTX_get_error_depth(ctx), subject, X509_verify_cert_error_string(error),
        bh_time_text(at, now));
    if (error == X509_V_ERR_CERT_NOT_YET_VALID || error == X509_V_ERR_CERT_HAS_EXPIRED)
        bh_hint(diag, "compare the clocks of both sides; short-lived certificates need them right");
    return e;
}

enum bh_err
bh_x509_verify(X509 *leaf, X509 *const *chain, size_t chain_len, X509 *const *anchors,
    size_t anchors_len, int64_t at, struct bh_diag *diag)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    X509_VERIFY_PARAM *param;
    enum bh_err e = BH_OK;

    if (store == NULL || ctx == NULL || untrusted == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "chain verification");
        goto out;
    }
    for (size_t i = 0; i < anchors_len; i++)
        if (X509_STORE_add_cert(store, anchors[i]) != 1)
            e = BH_ERR_NOMEM;
    for (size_t i = 0; i < chain_len; i++)
        if (sk_X509_push(untrusted, chain[i]) <= 0)
            e = BH_ERR_NOMEM;
    if (e != BH_OK || X509_STORE_CTX_init(ctx, store, leaf, untrusted) != 1) {
        e = bh_fail(diag, BH_ERR_NOMEM, "chain verification");
        goto out;
    }
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)at);
    /* Anchors are trusted because they were given, self-signed or not. */
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    (void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
    if (X509_verify_cert(ctx) != 1)
        e = explain(ctx, at, diag);
out:
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return e;
}
