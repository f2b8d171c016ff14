/* SPDX-License-Identifier: Apache-2.0 */
#include "cert.h"

#include "core/x509.h"

#include <openssl/bn.h>

bool
agent_cert_name(X509 *cert, const char *const parts[][2], size_t len)
{
    X509_NAME *name = X509_get_subject_name(cert);

    for (size_t i = 0; i < len; i++)
        if (X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_ASC,
                (const unsigned char *)parts[i][1], -1, -1, 0) != 1)
            return false;
    return true;
}

bool
agent_cert_serial(X509 *cert, size_t len)
{
    uint8_t bytes[20];
    BIGNUM *n;
    bool good;

    if (len > sizeof(bytes) || bh_random(bytes, len) != BH_OK)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    n = BN_bin2bn(bytes, (int)len, NULL);
    good = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return good;
}

bool
agent_cert_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *x;
    bool good;

    if (value == NULL || value[0] == '\0')
        return true;
    x = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    good = x != NULL && X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    return good;
}

bool
agent_cert_covers(const X509 *cert, int64_t from, int64_t to)
{
    time_t a = (time_t)from, b = (time_t)to;

    return cert != NULL && X509_cmp_time(X509_get0_notBefore(cert), &a) < 0 &&
           X509_cmp_time(X509_get0_notAfter(cert), &b) > 0;
}
