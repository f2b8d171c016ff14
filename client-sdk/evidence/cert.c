/* SPDX-License-Identifier: Apache-2.0 */
#include "cert.h"

#include "core/reader.h"
#include "core/x509.h"

#include <openssl/err.h>

#include <time.h>

enum tag { /* X.690, 8.1 */
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BITS = 0x03,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,
    TAG_EXTENSIONS = 0xa3,
};

#define EXTENSIONS_MAX 16

static const uint8_t oid_common_name[] = {0x55, 0x04, 0x03};
static const uint8_t oid_key_usage[] = {0x55, 0x1d, 0x0f};
static const uint8_t oid_basic_constraints[] = {0x55, 0x1d, 0x13};
static const uint8_t ecdsa_with_sha384[] = {
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};

static const uint8_t ecdsa_with_sha256[] = {
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};

static bool
is_oid(struct bh_span oid, const uint8_t *want, size_t len)
{
    return bh_span_equal(oid, bh_span(want, len));
}

static enum bh_err
malformed(struct bh_diag *diag, const char *what)
{
    return bh_fail(diag, BH_ERR_MALFORMED, "certificate (RFC 5280, 4.1): %s", what);
}

static unsigned
two_digits(struct bh_reader *r)
{
    const uint8_t tens = bh_reader_u8(r);
    const uint8_t ones = bh_reader_u8(r);

    if (tens < '0' || tens > '9' || ones < '0' || ones > '9') {
        bh_reader_spoil(r);
        return 0;
    }
    return (unsigned)(tens - '0') * 10 + (unsigned)(ones - '0');
}

int64_t
ev_cert_time(struct bh_reader *from)
{
    const bool utc = bh_reader_der_is(from, TAG_UTC_TIME);
    struct bh_reader r;
    struct tm tm = {0};
    unsigned year;
    int64_t at;

    bh_reader_init(&r, bh_reader_der(from, utc ? TAG_UTC_TIME : TAG_GENERALIZED_TIME, NULL));
    year = two_digits(&r);
    if (utc)
        year += year < 50 ? 2000 : 1900;
    else
        year = year * 100 + two_digits(&r);
    tm.tm_year = (int)year - 1900;
    tm.tm_mon = (int)two_digits(&r) - 1;
    tm.tm_mday = (int)two_digits(&r);
    tm.tm_hour = (int)two_digits(&r);
    tm.tm_min = (int)two_digits(&r);
    tm.tm_sec = (int)two_digits(&r);
    const struct tm asked = tm;
    if (bh_reader_u8(&r) != 'Z' || bh_reader_end(&r) != BH_OK) {
        bh_reader_spoil(from);
        return 0;
    }
    at = timegm(&tm);
    /* timegm() normalises: a changed field was out of range. */
    if (tm.tm_mon != asked.tm_mon || tm.tm_mday != asked.tm_mday || tm.tm_hour != asked.tm_hour ||
        tm.tm_min != asked.tm_min || tm.tm_sec != asked.tm_sec)
        bh_reader_spoil(from);
    return at;
}

/* BOOLEAN DEFAULT FALSE: absent, or one octet. */
static bool
read_flag(struct bh_reader *r)
{
    struct bh_span v;

    if (!bh_reader_der_is(r, TAG_BOOLEAN))
        return false;
    v = bh_reader_der(r, TAG_BOOLEAN, NULL);
    if (v.len != 1 || (v.ptr[0] != 0x00 && v.ptr[0] != 0xff)) {
        bh_reader_spoil(r);
        return false;
    }
    return v.ptr[0] == 0xff;
}

static bool
read_basic_constraints(struct bh_span value, struct ev_cert *cert)
{
    struct bh_reader all, r;

    bh_reader_init(&all, value);
    bh_reader_init(&r, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    cert->ca = read_flag(&r);
    if (bh_reader_der_is(&r, TAG_INTEGER)) {
        const struct bh_span n = bh_reader_der(&r, TAG_INTEGER, NULL);

        if (!cert->ca || n.len != 1 || n.ptr[0] > 0x7f)
            return false;
        cert->path_len = n.ptr[0];
    }
    return bh_reader_end(&r) == BH_OK && bh_reader_end(&all) == BH_OK;
}

static bool
read_key_usage(struct bh_span value, struct ev_cert *cert)
{
    struct bh_reader all;
    struct bh_span bits;

    bh_reader_init(&all, value);
    bits = bh_reader_der(&all, TAG_BITS, NULL);
    if (bh_reader_end(&all) != BH_OK || bits.len < 2 || bits.len > 3 || bits.ptr[0] > 7)
        return false;
    cert->has_key_usage = true;
    cert->key_usage = bits.ptr[1];
    return true;
}

static enum bh_err
read_extension(
    struct bh_reader *list, struct ev_cert *cert, struct bh_span *ret_oid, struct bh_diag *diag)
{
    struct bh_span value;
    struct bh_reader r;
    bool critical;

    bh_reader_init(&r, bh_reader_der(list, TAG_SEQUENCE, NULL));
    *ret_oid = bh_reader_der(&r, TAG_OID, NULL);
    critical = read_flag(&r);
    value = bh_reader_der(&r, TAG_OCTETS, NULL);
    if (bh_reader_end(&r) != BH_OK)
        return malformed(diag, "an extension that is not well-formed");
    if (is_oid(*ret_oid, oid_basic_constraints, sizeof(oid_basic_constraints)))
        return read_basic_constraints(value, cert) ? BH_OK
                                                   : malformed(diag, "basicConstraints (4.2.1.9)");
    if (is_oid(*ret_oid, oid_key_usage, sizeof(oid_key_usage)))
        return read_key_usage(value, cert) ? BH_OK : malformed(diag, "keyUsage (4.2.1.3)");
    return critical ? malformed(diag, "a critical extension that is not understood (4.2)") : BH_OK;
}

static enum bh_err
read_extensions(struct bh_span all, struct ev_cert *cert, struct bh_diag *diag)
{
    struct bh_span seen[EXTENSIONS_MAX];
    struct bh_reader outer, list;
    enum bh_err e;

    bh_reader_init(&outer, all);
    cert->extensions = bh_reader_der(&outer, TAG_SEQUENCE, NULL);
    bh_reader_init(&list, cert->extensions);
    if (bh_reader_end(&outer) != BH_OK)
        return malformed(diag, "the extensions are not a sequence");
    for (size_t n = 0; bh_reader_left(&list) > 0; n++) {
        if (n == EXTENSIONS_MAX)
            return malformed(diag, "too many extensions");
        if ((e = read_extension(&list, cert, &seen[n], diag)) != BH_OK)
            return e;
        for (size_t i = 0; i < n; i++)
            if (bh_span_equal(seen[i], seen[n]))
                return malformed(diag, "an extension that stands twice (4.2)");
    }
    return bh_reader_end(&list) == BH_OK ? BH_OK : malformed(diag, "the extensions end early");
}

/* Walk a Name (4.1.2.4) and remember its last commonName. */
static bool
read_name(struct bh_span content, struct bh_span *ret_common_name)
{
    struct bh_reader names, set, pair;

    bh_reader_init(&names, content);
    while (bh_reader_left(&names) > 0) {
        bh_reader_init(&set, bh_reader_der(&names, TAG_SET, NULL));
        do {
            struct bh_span oid, value;

            bh_reader_init(&pair, bh_reader_der(&set, TAG_SEQUENCE, NULL));
            oid = bh_reader_der(&pair, TAG_OID, NULL);
            if (bh_reader_left(&pair) == 0)
                return false;
            /* DirectoryString: whichever string type. */
            value = bh_reader_der(&pair, pair.in.ptr[pair.off], NULL);
            if (bh_reader_end(&pair) != BH_OK)
                return false;
            if (is_oid(oid, oid_common_name, sizeof(oid_common_name)))
                *ret_common_name = value;
        } while (bh_reader_left(&set) > 0);
        if (bh_reader_end(&set) != BH_OK)
            return false;
    }
    return bh_reader_end(&names) == BH_OK;
}

struct bh_span
ev_cert_common_name(struct bh_span name)
{
    struct bh_span cn = bh_span_none(), content;
    struct bh_reader r;

    bh_reader_init(&r, name);
    content = bh_reader_der(&r, TAG_SEQUENCE, NULL);
    return bh_reader_end(&r) == BH_OK && read_name(content, &cn) ? cn : bh_span_none();
}

static bool
read_version(struct bh_reader *tbs)
{
    const struct bh_span v = bh_reader_der(tbs, TAG_VERSION, NULL);
    struct bh_reader r;
    struct bh_span n;

    bh_reader_init(&r, v);
    n = bh_reader_der(&r, TAG_INTEGER, NULL);
    return bh_reader_end(&r) == BH_OK && n.len == 1 && n.ptr[0] == 2;
}

static enum bh_err
read_tbs(struct bh_span content, struct ev_cert *cert, struct bh_diag *diag)
{
    struct bh_span algorithm, subject, ignored = bh_span_none(), extensions;
    struct bh_reader tbs, validity;
    struct bh_span issuer;

    bh_reader_init(&tbs, content);
    if (!read_version(&tbs))
        return malformed(diag, "expected version 3");
    cert->serial = bh_reader_der(&tbs, TAG_INTEGER, NULL);
    (void)bh_reader_der(&tbs, TAG_SEQUENCE, &algorithm);
    issuer = bh_reader_der(&tbs, TAG_SEQUENCE, &cert->issuer);
    bh_reader_init(&validity, bh_reader_der(&tbs, TAG_SEQUENCE, NULL));
    cert->not_before = ev_cert_time(&validity);
    cert->not_after = ev_cert_time(&validity);
    if (bh_reader_end(&validity) != BH_OK)
        return malformed(diag, "the validity is not two times (4.1.2.5)");
    subject = bh_reader_der(&tbs, TAG_SEQUENCE, &cert->subject);
    (void)bh_reader_der(&tbs, TAG_SEQUENCE, &cert->spki);
    /* Only the tag of the extensions is accepted here: unique identifiers (4.1.2.8) are refused. */
    extensions = bh_reader_der(&tbs, TAG_EXTENSIONS, NULL);
    if (bh_reader_end(&tbs) != BH_OK || cert->serial.len == 0 || cert->serial.len > 21)
        return malformed(diag, "the certificate's fields are not those of version 3");
    if (!bh_span_equal(algorithm, cert->algorithm))
        return malformed(diag, "two different signature algorithms (4.1.1.2)");
    if (!read_name(issuer, &ignored) || !read_name(subject, &cert->common_name))
        return malformed(diag, "a name that is not well-formed (4.1.2.4)");
    return read_extensions(extensions, cert, diag);
}

enum bh_err
ev_cert_read(struct bh_span der, struct ev_cert *ret_cert, struct bh_diag *diag)
{
    struct ev_cert cert = {.der = der, .path_len = EV_CERT_NO_PATH_LEN};
    struct bh_reader all, outer, bits;
    struct bh_span tbs;
    enum bh_err e;

    bh_reader_init(&all, der);
    bh_reader_init(&outer, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    if (bh_reader_end(&all) != BH_OK)
        return malformed(diag, "no DER sequence that fills its bytes exactly");
    tbs = bh_reader_der(&outer, TAG_SEQUENCE, &cert.tbs);
    (void)bh_reader_der(&outer, TAG_SEQUENCE, &cert.algorithm);
    bh_reader_init(&bits, bh_reader_der(&outer, TAG_BITS, NULL));
    if (bh_reader_u8(&bits) != 0)
        bh_reader_spoil(&bits);
    cert.signature = bh_reader_take(&bits, bh_reader_left(&bits));
    if (bh_reader_end(&outer) != BH_OK || bh_reader_end(&bits) != BH_OK)
        return malformed(diag, "expected content, algorithm and signature");
    if ((e = read_tbs(tbs, &cert, diag)) != BH_OK)
        return e;
    *ret_cert = cert;
    return BH_OK;
}

struct bh_span
ev_cert_extension(const struct ev_cert *cert, struct bh_span oid)
{
    struct bh_reader list, r;

    bh_reader_init(&list, cert->extensions);
    while (bh_reader_left(&list) > 0) {
        bh_reader_init(&r, bh_reader_der(&list, TAG_SEQUENCE, NULL));
        if (!bh_span_equal(bh_reader_der(&r, TAG_OID, NULL), oid))
            continue;
        (void)read_flag(&r);
        return bh_reader_der(&r, TAG_OCTETS, NULL);
    }
    return bh_span_none();
}

bool
ev_cert_is_es256(const struct ev_cert *cert)
{
    return bh_span_equal(cert->algorithm, bh_span(ecdsa_with_sha256, sizeof(ecdsa_with_sha256)));
}

bool
ev_cert_is_es384(const struct ev_cert *cert)
{
    return bh_span_equal(cert->algorithm, bh_span(ecdsa_with_sha384, sizeof(ecdsa_with_sha384)));
}

bool
ev_cert_verify_es384(const struct ev_cert *cert, EVP_PKEY *issuer)
{
    EVP_MD_CTX *ctx;
    bool good;

    if (!ev_cert_is_es384(cert) || (ctx = EVP_MD_CTX_new()) == NULL)
        return false;
    good = EVP_DigestVerifyInit(ctx, NULL, bh_sha2_md(384), NULL, issuer) == 1 &&
           EVP_DigestVerify(
               ctx, cert->signature.ptr, cert->signature.len, cert->tbs.ptr, cert->tbs.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}
