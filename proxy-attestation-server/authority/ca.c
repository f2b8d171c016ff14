/* SPDX-License-Identifier: Apache-2.0 */
/* The CA certificates that the authority hands out; no key is read here. */
#include "authority.h"

#include "core/file.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdlib.h>

#define PEM_MAX (256 * 1024)
#define CHAIN_MAX 8
#define LINE 48 /* bytes of a line of 64 characters */

static enum bh_err
load(struct pas_authority *a, const char *name, char **ret_pem, size_t *ret_len,
    struct bh_diag *diag)
{
    char path[sizeof(a->child.dir) + 32];
    uint8_t *bytes = NULL;
    enum bh_err e;

    if (bh_path_join(path, sizeof(path), a->child.dir, name) != BH_OK)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "%s: the path is too long", name);
    if ((e = bh_file_read(path, PEM_MAX, &bytes, ret_len, diag)) != BH_OK) {
        bh_name_check(diag, "%s", name);
        return e;
    }
    *ret_pem = (char *)bytes;
    return BH_OK;
}

void
pas_pem_put(struct bh_writer *w, struct bh_span der, const char *newline)
{
    unsigned char line[LINE * 4 / 3 + 1];

    bh_writer_str(w, "-----BEGIN CERTIFICATE-----");
    bh_writer_str(w, newline);
    for (size_t at = 0; at < der.len; at += LINE) {
        const size_t len = der.len - at < LINE ? der.len - at : LINE;
        const int n = EVP_EncodeBlock(line, der.ptr + at, (int)len);
        bh_writer_put(w, bh_span(line, (size_t)n));
        bh_writer_str(w, newline);
    }
    bh_writer_str(w, "-----END CERTIFICATE-----");
    bh_writer_str(w, newline);
}

static bool
unix_time(const ASN1_TIME *t, int64_t *ret_at)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return false;
    *ret_at = (int64_t)timegm(&tm);
    return true;
}

static enum bh_err
keep_issuing(struct pas_authority *a, X509 *cert, struct bh_diag *diag)
{
    uint8_t *der = NULL;
    size_t len = 0, cap;
    struct bh_writer w;
    struct bh_span text;
    enum bh_err e;

    if (!unix_time(X509_get0_notBefore(cert), &a->issuer_not_before) ||
        !unix_time(X509_get0_notAfter(cert), &a->issuer_not_after))
        return bh_refuse(
            diag, BH_ERR_USAGE, "ca/issuing.crt", NULL, NULL, "its validity is unreadable");
    if ((e = bh_x509_to_der(cert, &der, &len)) != BH_OK)
        return bh_fail(diag, e, "ca/issuing.crt");
    cap = 2 * len + 256;
    if ((a->issuing_json = malloc(cap)) == NULL) {
        OPENSSL_free(der);
        return bh_fail(diag, BH_ERR_NOMEM, "ca/issuing.crt");
    }
    bh_writer_init(&w, a->issuing_json, cap);
    pas_pem_put(&w, bh_span(der, len), "\\n");
    bh_writer_u8(&w, 0);
    OPENSSL_free(der);
    return bh_writer_end(&w, &text);
}

enum bh_err
pas_ca_load(struct pas_authority *a, struct bh_diag *diag)
{
    X509 *certs[CHAIN_MAX];
    size_t roots_len = 0, issuers_len = 0, n = 0;
    enum bh_err e;

    if ((e = load(a, "ca/root.crt", &a->roots_pem, &roots_len, diag)) != BH_OK ||
        (e = load(a, "ca/issuing.crt", &a->issuers_pem, &issuers_len, diag)) != BH_OK)
        return e;
    if ((e = bh_x509_pem(bh_span(a->roots_pem, roots_len), certs, CHAIN_MAX, &n, diag)) != BH_OK) {
        bh_name_check(diag, "ca/root.crt");
        return e;
    }
    for (size_t i = 0; i < n; i++)
        X509_free(certs[i]);
    if ((e = bh_x509_pem(bh_span(a->issuers_pem, issuers_len), certs, CHAIN_MAX, &n, diag)) !=
        BH_OK) {
        bh_name_check(diag, "ca/issuing.crt");
        return e;
    }
    e = keep_issuing(a, certs[0], diag);
    for (size_t i = 0; i < n; i++)
        X509_free(certs[i]);
    return e;
}
