/* SPDX-License-Identifier: Apache-2.0 */
/* Files as vendors' services hand them out, in the one form that servers read. */
#include "collateral.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

static bool
begins(struct bh_span text, const char *word)
{
    const size_t len = strlen(word);

    return text.len >= len && memcmp(text.ptr, word, len) == 0;
}

static int
digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Intel's service sends chains in headers, percent-encoded. In place; the text only gets shorter.
 */
static size_t
unescape(uint8_t *text, size_t len)
{
    size_t to = 0;

    for (size_t at = 0; at < len; to++) {
        const bool escape =
            text[at] == '%' && at + 2 < len && digit(text[at + 1]) >= 0 && digit(text[at + 2]) >= 0;

        text[to] = escape ? (uint8_t)(digit(text[at + 1]) << 4 | digit(text[at + 2])) : text[at];
        at += escape ? 3 : 1;
    }
    return to;
}

/* One PEM block of the name as DER; false when it is something else. */
static bool
to_der(uint8_t **bytes, size_t *len, const char *want)
{
    BIO *bio = BIO_new_mem_buf(*bytes, (int)*len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    uint8_t *copy = NULL;
    long n = 0;

    if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &n) == 1 &&
        strcmp(name, want) == 0 && n > 0 && (copy = malloc((size_t)n)) != NULL) {
        memcpy(copy, der, (size_t)n);
        free(*bytes);
        *bytes = copy;
        *len = (size_t)n;
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    ERR_clear_error();
    return copy != NULL;
}

/* A single certificate in PEM that is no chain of Intel's may be a VCEK. */
static bool
is_lone_certificate(struct bh_span pem)
{
    static const char begin[] = "-----BEGIN";
    struct ev_collateral what;
    const uint8_t *first = memmem(pem.ptr, pem.len, begin, sizeof(begin) - 1);

    return first != NULL && ev_collateral_read(pem, &what, NULL) != BH_OK &&
           memmem(first + 1, pem.len - (size_t)(first + 1 - pem.ptr), begin, sizeof(begin) - 1) ==
               NULL;
}

enum bh_err
bh_collateral_take(struct bh_collateral_files *files, const char *name, uint8_t *bytes, size_t len,
    struct bh_diag *diag)
{
    enum bh_err e;

    if (bh_is_collateral_bundle(bh_span(bytes, len))) {
        e = bh_collateral_bundle_read(bh_span(bytes, len), files, diag);
        free(bytes);
        return e;
    }
    if (len <= BH_COLLATERAL_MAX) {
        if (begins(bh_span(bytes, len), "-----BEGIN%20"))
            len = unescape(bytes, len);
        if (begins(bh_span(bytes, len), "-----BEGIN X509 CRL-----"))
            (void)to_der(&bytes, &len, "X509 CRL");
        else if (begins(bh_span(bytes, len), "-----BEGIN CERTIFICATE-----") &&
                 is_lone_certificate(bh_span(bytes, len)))
            (void)to_der(&bytes, &len, "CERTIFICATE");
    }
    return bh_collateral_files_add(files, name, bytes, len, diag);
}
