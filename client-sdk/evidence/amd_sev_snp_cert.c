/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VCEK and VLEK certificates (AMD 57230, 3): what their extensions say, AMD's RSASSA-PSS
 * signatures, and the built-in certificates above them.
 */
#include "amd_sev_snp.h"

#include "vendor_roots.h"

#include "core/reader.h"
#include "core/x509.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include <pthread.h>
#include <stdio.h>

#define RSA_BITS 4096
#define SALT_LEN 48
#define ASK_MAX 2048

enum tag { /* X.690, 8.1 */
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_NULL = 0x05,
    TAG_OID = 0x06,
    TAG_IA5 = 0x16,
    TAG_SEQUENCE = 0x30,
    TAG_HASH = 0xa0,
    TAG_MASK = 0xa1,
    TAG_SALT = 0xa2,
    TAG_TRAILER = 0xa3,
};

/* ---- extensions under 1.3.6.1.4.1.3704.1 ---- */

/* The content of an OID that ends in one or two of AMD's numbers. */
static struct bh_span
extension(const struct ev_cert *cert, uint8_t a, uint8_t b)
{
    uint8_t oid[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01, a, b};

    return ev_cert_extension(cert, bh_span(oid, b != 0 ? sizeof(oid) : sizeof(oid) - 1));
}

/* The content of the one DER value of @p tag that fills @p value. */
static bool
read_one(struct bh_span value, uint8_t tag, struct bh_span *ret_content)
{
    struct bh_reader r;

    bh_reader_init(&r, value);
    *ret_content = bh_reader_der(&r, tag, NULL);
    return bh_reader_end(&r) == BH_OK;
}

/* An INTEGER from 0 to 255 in its shortest form: 0xDB is 02 02 00 DB. */
static bool
read_octet(struct bh_span value, uint8_t *ret_octet)
{
    struct bh_span n;

    if (!read_one(value, TAG_INTEGER, &n))
        return false;
    if (n.len == 2 && n.ptr[0] == 0 && n.ptr[1] >= 0x80) {
        *ret_octet = n.ptr[1];
        return true;
    }
    if (n.len != 1 || n.ptr[0] >= 0x80)
        return false;
    *ret_octet = n.ptr[0];
    return true;
}

/* "Milan-B0" or "Milan": the product, and perhaps its stepping. */
static enum ev_snp_product
read_product(struct bh_span value)
{
    struct bh_span name;

    if (!read_one(value, TAG_IA5, &name))
        return EV_SNP_NO_PRODUCT;
    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++) {
        const char *product = ev_snp_product_name(p);
        const size_t len = strlen(product);

        if (name.len >= len && memcmp(name.ptr, product, len) == 0 &&
            (name.len == len || name.ptr[len] == '-'))
            return p;
    }
    return EV_SNP_NO_PRODUCT;
}

static enum bh_err
read_tcb(struct ev_snp_endorser *k, struct bh_diag *diag)
{
    static const uint8_t numbers[EV_SNP_SPL_COUNT] = {1, 2, 3, 8, 9};
    uint8_t spare;

    for (uint8_t i = 4; i < 8; i++) {
        const struct bh_span value = extension(&k->cert, 3, i);

        /* Reports have nothing to compare them with. */
        if (value.len > 0 && (!read_octet(value, &spare) || spare != 0))
            return bh_fail(
                diag, BH_ERR_MALFORMED, "extension 3704.1.3.%u (spare) is not INTEGER 0", i);
    }
    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++) {
        const struct bh_span value = extension(&k->cert, 3, numbers[i]);

        if (!ev_snp_has_spl(k->product, i)) {
            if (value.len > 0)
                return bh_fail(diag, BH_ERR_MALFORMED,
                    "extension 3704.1.3.%u, which %s does not have", numbers[i],
                    ev_snp_product_name(k->product));
        } else if (!read_octet(value, &k->tcb.spl[i])) {
            return bh_fail(diag, BH_ERR_MALFORMED,
                "no extension 3704.1.3.%u (%s) that is an INTEGER of 0 to 255", numbers[i],
                ev_snp_spl_name(i));
        }
    }
    return BH_OK;
}

/* The raw id, or inside an OCTET STRING as some certificates have it. */
static enum bh_err
read_hwid(struct ev_snp_endorser *k, struct bh_diag *diag)
{
    const size_t len = k->product == EV_SNP_TURIN ? EV_SNP_TURIN_HWID_LEN : EV_SNP_CHIP_ID_LEN;
    struct bh_span id = extension(&k->cert, 4, 0);

    if (id.len == len + 2)
        (void)read_one(id, TAG_OCTETS, &id);
    if (id.len != len)
        return bh_fail(diag, BH_ERR_MALFORMED, "no extension 3704.1.4 (hwid) of %zu bytes", len);
    k->hwid = id;
    return BH_OK;
}

static enum bh_err
read_owner(struct ev_snp_endorser *k, struct bh_diag *diag)
{
    if (!k->vlek) {
        if (extension(&k->cert, 5, 0).len > 0)
            return bh_fail(diag, BH_ERR_MALFORMED, "a VCEK with extension 3704.1.5 (csp_id)");
        return read_hwid(k, diag);
    }
    if (extension(&k->cert, 4, 0).len > 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "a VLEK with extension 3704.1.4 (hwid)");
    if (!read_one(extension(&k->cert, 5, 0), TAG_IA5, &k->csp_id) || k->csp_id.len == 0)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "no extension 3704.1.5 (csp_id) that is an IA5String");
    return BH_OK;
}

enum bh_err
ev_snp_endorser_read(
    struct bh_span der, bool vlek, struct ev_snp_endorser *ret_endorser, struct bh_diag *diag)
{
    struct ev_snp_endorser k = {.vlek = vlek};
    uint8_t version;
    enum bh_err e;

    if ((e = ev_cert_read(der, &k.cert, diag)) != BH_OK)
        return e;
    if (!bh_span_is(k.cert.common_name, vlek ? "SEV-VLEK" : "SEV-VCEK"))
        return bh_fail(diag, BH_ERR_MALFORMED, "a certificate whose common name is not %s",
            vlek ? "SEV-VLEK" : "SEV-VCEK");
    if (!read_octet(extension(&k.cert, 1, 0), &version) || version > 1)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "no extension 3704.1.1 (structure version) of 0 or 1");
    if ((k.product = read_product(extension(&k.cert, 2, 0))) == EV_SNP_NO_PRODUCT)
        return bh_fail(diag, BH_ERR_MALFORMED,
            "no extension 3704.1.2 (product name) of Milan, Genoa or Turin");
    if ((e = read_tcb(&k, diag)) != BH_OK || (e = read_owner(&k, diag)) != BH_OK)
        return e;
    *ret_endorser = k;
    return BH_OK;
}

/* ---- signatures ---- */

static bool
is_oid(struct bh_reader *r, const char *oid, size_t len)
{
    return bh_span_equal(bh_reader_der(r, TAG_OID, NULL), bh_span(oid, len));
}

/* AlgorithmIdentifier of SHA-384, its parameters NULL or absent. */
static bool
read_sha384(struct bh_reader *from)
{
    static const char sha384[] = "\x60\x86\x48\x01\x65\x03\x04\x02\x02";
    struct bh_reader r;
    bool good;

    bh_reader_init(&r, bh_reader_der(from, TAG_SEQUENCE, NULL));
    good = is_oid(&r, sha384, sizeof(sha384) - 1);
    if (bh_reader_der_is(&r, TAG_NULL) && bh_reader_der(&r, TAG_NULL, NULL).len != 0)
        return false;
    return good && bh_reader_end(&r) == BH_OK;
}

static bool
read_mgf1(struct bh_reader *from)
{
    static const char mgf1[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    struct bh_reader r;

    bh_reader_init(&r, bh_reader_der(from, TAG_SEQUENCE, NULL));
    return is_oid(&r, mgf1, sizeof(mgf1) - 1) && read_sha384(&r) && bh_reader_end(&r) == BH_OK;
}

static bool
read_number(struct bh_span wrapped, uint8_t want)
{
    uint8_t n;

    return read_octet(wrapped, &n) && n == want;
}

bool
ev_snp_is_pss384(struct bh_span algorithm)
{
    static const char pss[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    struct bh_reader all, outer, params, r;

    bh_reader_init(&all, algorithm);
    bh_reader_init(&outer, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    if (!is_oid(&outer, pss, sizeof(pss) - 1))
        return false;
    bh_reader_init(&params, bh_reader_der(&outer, TAG_SEQUENCE, NULL));
    bh_reader_init(&r, bh_reader_der(&params, TAG_HASH, NULL));
    if (!read_sha384(&r) || bh_reader_end(&r) != BH_OK)
        return false;
    bh_reader_init(&r, bh_reader_der(&params, TAG_MASK, NULL));
    if (!read_mgf1(&r) || bh_reader_end(&r) != BH_OK)
        return false;
    if (!read_number(bh_reader_der(&params, TAG_SALT, NULL), SALT_LEN))
        return false;
    /* trailerField 1 is the default, which AMD also writes out. */
    if (bh_reader_der_is(&params, TAG_TRAILER) &&
        !read_number(bh_reader_der(&params, TAG_TRAILER, NULL), 1))
        return false;
    return bh_reader_end(&params) == BH_OK && bh_reader_end(&outer) == BH_OK &&
           bh_reader_end(&all) == BH_OK;
}

bool
ev_snp_verify_pss384(
    struct bh_span tbs, struct bh_span algorithm, struct bh_span signature, EVP_PKEY *key)
{
    EVP_PKEY_CTX *params = NULL;
    EVP_MD_CTX *ctx;
    bool good;

    if (!ev_snp_is_pss384(algorithm) || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bits(key) != RSA_BITS || (ctx = EVP_MD_CTX_new()) == NULL)
        return false;
    good = EVP_DigestVerifyInit(ctx, &params, bh_sha2_md(384), NULL, key) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(params, SALT_LEN) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(params, bh_sha2_md(384)) == 1 &&
           EVP_DigestVerify(ctx, signature.ptr, signature.len, tbs.ptr, tbs.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* ---- built-in ASKs and ASVKs ---- */

static struct {
    uint8_t der[ASK_MAX];
    size_t len;
} built_in[EV_SNP_PRODUCTS][2];
static pthread_once_t built_in_once = PTHREAD_ONCE_INIT;

static void
load_one(const char *pem, uint8_t out[ASK_MAX], size_t *ret_len)
{
    uint8_t *der = NULL;
    X509 *cert = NULL;
    size_t count, len;

    if (bh_x509_pem(bh_span_str(pem), &cert, 1, &count, NULL) == BH_OK &&
        bh_x509_to_der(cert, &der, &len) == BH_OK && len <= ASK_MAX) {
        memcpy(out, der, len);
        *ret_len = len;
    }
    OPENSSL_free(der);
    X509_free(cert);
}

static void
load_built_in(void)
{
    static const char *const names[EV_SNP_PRODUCTS][2] = {
        [EV_SNP_MILAN] = {"amd-sev-snp-ask-milan.pem", "amd-sev-snp-asvk-milan.pem"},
        [EV_SNP_GENOA] = {"amd-sev-snp-ask-genoa.pem", "amd-sev-snp-asvk-genoa.pem"},
        [EV_SNP_TURIN] = {"amd-sev-snp-ask-turin.pem", "amd-sev-snp-asvk-turin.pem"},
    };
    size_t len;
    const struct ev_vendor_root *all = ev_vendor_intermediates(&len);

    for (size_t i = 0; i < len; i++)
        for (size_t p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++)
            for (size_t k = 0; k < 2; k++)
                if (strcmp(all[i].file, names[p][k]) == 0)
                    load_one(all[i].pem, built_in[p][k].der, &built_in[p][k].len);
}

struct bh_span
ev_snp_built_in_ask(enum ev_snp_product product, bool vlek)
{
    if (product >= EV_SNP_PRODUCTS || pthread_once(&built_in_once, load_built_in) != 0)
        return bh_span_none();
    return bh_span(built_in[product][vlek].der, built_in[product][vlek].len);
}
