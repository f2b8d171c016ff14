/* SPDX-License-Identifier: Apache-2.0 */
#include "amd_chain.h"

#include "cert.h"

#include "core/writer.h"
#include "core/x509.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>

#define RSA_BITS 4096
#define RSA_PRIMES 4
#define SALT_LEN 48
#define OID_BASE "1.3.6.1.4.1.3704.1"

static bool
add_name(X509 *cert, const char *cn)
{
    const char *const parts[][2] = {{"OU", "SIMULATED"}, {"C", "US"}, {"L", "Nowhere"},
        {"O", "Beachhead SIMULATED"}, {"CN", cn}};

    return agent_cert_name(cert, parts, BH_COUNT(parts));
}

/* An extension of AMD's whose value is @p value as it is. */
static bool
add_raw(X509 *cert, const char *number, struct bh_span value)
{
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = NULL;
    X509_EXTENSION *x = NULL;
    char text[64];
    bool good;

    (void)snprintf(text, sizeof(text), OID_BASE ".%s", number);
    good = octets != NULL && (oid = OBJ_txt2obj(text, 1)) != NULL &&
           ASN1_OCTET_STRING_set(octets, value.ptr, (int)value.len) == 1 &&
           (x = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, octets)) != NULL &&
           X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(octets);
    return good;
}

static bool
add_value(X509 *cert, const char *number, uint8_t tag, struct bh_span content)
{
    uint8_t buf[256];
    struct bh_writer w;
    struct bh_span value;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_der(&w, tag, content);
    return bh_writer_end(&w, &value) == BH_OK && add_raw(cert, number, value);
}

static bool
add_spl(X509 *cert, const char *number, int spl)
{
    const uint8_t two[2] = {0, (uint8_t)spl};

    /* INTEGER is signed: a zero stands before 128 and above. */
    return spl < 0x80 ? add_value(cert, number, V_ASN1_INTEGER, bh_span(two + 1, 1))
                      : add_value(cert, number, V_ASN1_INTEGER, bh_span(two, 2));
}

static bool
add_leaf(X509 *cert, const struct agent_amd_leaf *leaf)
{
    static const int order[] = {9, 1, 2, 4, 5, 6, 7, 3, 8};
    char number[8];

    if (!add_spl(cert, "1", 0) || (leaf->product != NULL && !add_value(cert, "2", V_ASN1_IA5STRING,
                                                                bh_span_str(leaf->product))))
        return false;
    for (size_t i = 0; i < BH_COUNT(order); i++) {
        (void)snprintf(number, sizeof(number), "3.%d", order[i]);
        if (leaf->spl[order[i]] != AGENT_AMD_NO_SPL && !add_spl(cert, number, leaf->spl[order[i]]))
            return false;
    }
    if (leaf->hwid.len > 0 && !leaf->hwid_wrapped && !add_raw(cert, "4", leaf->hwid))
        return false;
    if (leaf->hwid.len > 0 && leaf->hwid_wrapped &&
        !add_value(cert, "4", V_ASN1_OCTET_STRING, leaf->hwid))
        return false;
    return leaf->csp_id == NULL ||
           add_value(cert, "5", V_ASN1_IA5STRING, bh_span_str(leaf->csp_id));
}

static bool
add_extensions(X509 *cert, X509 *issuer, const struct agent_amd_request *r)
{
    static const struct {
        const char *basic_constraints, *key_usage;
    } shapes[] = {
        [AGENT_AMD_ARK] = {"critical,CA:TRUE", "critical,keyCertSign,cRLSign"},
        [AGENT_AMD_ASK] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign"},
        [AGENT_AMD_VCEK] = {NULL, NULL},
        [AGENT_AMD_VLEK] = {NULL, NULL},
    };
    const char *constraints = r->basic_constraints, *usage = r->key_usage;
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    if (constraints == NULL)
        constraints = shapes[r->level].basic_constraints;
    if (usage == NULL)
        usage = shapes[r->level].key_usage;
    if (r->level <= AGENT_AMD_ASK &&
        !agent_cert_extension(cert, &ctx, NID_subject_key_identifier, "hash"))
        return false;
    return agent_cert_extension(cert, &ctx, NID_basic_constraints, constraints) &&
           agent_cert_extension(cert, &ctx, NID_key_usage, usage) &&
           (r->level <= AGENT_AMD_ASK || add_leaf(cert, &r->leaf));
}

static bool
sign(X509 *cert, const struct agent_amd_request *r)
{
    const int salt_len = r->salt_len != 0 ? r->salt_len : SALT_LEN;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL;
    bool good;

    good = ctx != NULL &&
           EVP_DigestSignInit(ctx, &params, EVP_sha384(), NULL, r->issuer_key) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(params, salt_len) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(params, EVP_sha384()) == 1 && X509_sign_ctx(cert, ctx) > 0;
    EVP_MD_CTX_free(ctx);
    return good;
}

enum bh_err
agent_amd_cert_make(const struct agent_amd_request *r, X509 **ret_cert, struct bh_diag *diag)
{
    X509 *cert = X509_new();
    X509 *issuer = r->issuer != NULL ? r->issuer : cert;
    char why[160];

    if (cert == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate");
    if (X509_set_version(cert, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(cert), r->serial) != 1 || !add_name(cert, r->cn) ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)r->not_before) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)r->not_after) == NULL ||
        X509_set_pubkey(cert, r->key) != 1 || !add_extensions(cert, issuer, r) || !sign(cert, r)) {
        X509_free(cert);
        return bh_fail(diag, BH_ERR_INTERNAL, "cannot make the certificate of %s: %s", r->cn,
            bh_openssl_why(why, sizeof(why)));
    }
    *ret_cert = cert;
    return BH_OK;
}

enum bh_err
agent_amd_rsa_make(EVP_PKEY **ret_key, struct bh_diag *diag)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    enum bh_err e = BH_OK;
    char why[160];

    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, RSA_BITS) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, RSA_PRIMES) != 1 ||
        EVP_PKEY_generate(ctx, &key) != 1)
        e = bh_fail(
            diag, BH_ERR_INTERNAL, "cannot make an RSA key: %s", bh_openssl_why(why, sizeof(why)));
    else
        *ret_key = key;
    EVP_PKEY_CTX_free(ctx);
    return e;
}

/* ---- the certificate table ---- */

static void
put_u32le(struct bh_writer *w, size_t v)
{
    for (unsigned i = 0; i < 4; i++)
        bh_writer_u8(w, (uint8_t)(v >> 8 * i));
}

enum bh_err
agent_amd_table(
    X509 *const certs[AGENT_AMD_ENTRIES], uint8_t *out, size_t *ret_len, struct bh_diag *diag)
{
    static const char *const guids[AGENT_AMD_ENTRIES] = {
        [AGENT_AMD_ENTRY_VCEK] = "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd",
        [AGENT_AMD_ENTRY_VLEK] = "\xa8\x07\x4b\xc2\xa2\x5a\x48\x3e\xaa\xe6\x39\xc0\x45\xa0\xb8\xa1",
        [AGENT_AMD_ENTRY_ASK] = "\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82",
        [AGENT_AMD_ENTRY_ARK] = "\xc0\xb4\x06\xa4\xa8\x03\x49\x52\x97\x43\x3f\xb6\x01\x4c\xd0\xae",
    };
    static const uint8_t end[24];
    uint8_t *der[AGENT_AMD_ENTRIES] = {NULL};
    size_t len[AGENT_AMD_ENTRIES] = {0}, at = sizeof(end);
    struct bh_writer w;
    struct bh_span all;
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < AGENT_AMD_ENTRIES && e == BH_OK; i++) {
        if (certs[i] == NULL)
            continue;
        e = bh_x509_to_der(certs[i], &der[i], &len[i]);
        at += sizeof(end);
    }
    bh_writer_init(&w, out, AGENT_AMD_TABLE_MAX);
    for (size_t i = 0; i < AGENT_AMD_ENTRIES; i++) {
        if (der[i] == NULL)
            continue;
        bh_writer_put(&w, bh_span(guids[i], 16));
        put_u32le(&w, at);
        put_u32le(&w, len[i]);
        at += len[i];
    }
    bh_writer_put(&w, bh_span(end, sizeof(end)));
    for (size_t i = 0; i < AGENT_AMD_ENTRIES; i++) {
        bh_writer_put(&w, bh_span(der[i], len[i]));
        OPENSSL_free(der[i]);
    }
    if (e == BH_OK)
        e = bh_writer_end(&w, &all);
    if (e != BH_OK)
        return bh_fail(diag, e, "certificate table");
    *ret_len = all.len;
    return BH_OK;
}
