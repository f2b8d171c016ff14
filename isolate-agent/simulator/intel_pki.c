/* SPDX-License-Identifier: Apache-2.0 */
#include "intel_pki.h"

#include "cert.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

#define OID_SGX "1.2.840.113741.1.13.1"

static const struct {
    const char *cn, *basic_constraints, *key_usage;
} shapes[] = {
    [AGENT_INTEL_ROOT] = {"SIMULATED Intel SGX Root CA", "critical,CA:TRUE,pathlen:1",
        "critical,keyCertSign,cRLSign"},
    [AGENT_INTEL_CA] = {"SIMULATED Intel SGX PCK Platform CA", "critical,CA:TRUE,pathlen:0",
        "critical,keyCertSign,cRLSign"},
    [AGENT_INTEL_PCK] = {"SIMULATED Intel SGX PCK Certificate", "critical,CA:FALSE",
        "critical,digitalSignature,nonRepudiation"},
    [AGENT_INTEL_SIGNER] = {"SIMULATED Intel SGX TCB Signing", "critical,CA:FALSE",
        "critical,digitalSignature,nonRepudiation"},
};

static enum bh_err
openssl_failed(struct bh_diag *diag, const char *what)
{
    char why[160];

    return bh_fail(
        diag, BH_ERR_INTERNAL, "cannot make %s: %s", what, bh_openssl_why(why, sizeof(why)));
}

static bool
add_name(X509 *cert, const char *cn)
{
    const char *const parts[][2] = {
        {"CN", cn}, {"O", "Beachhead SIMULATED"}, {"L", "Nowhere"}, {"ST", "CA"}, {"C", "US"}};

    return agent_cert_name(cert, parts, BH_COUNT(parts));
}

/* ---- the SGX extension (PCK profile, 1.3.5) ---- */

/* SEQUENCE { OID of the extension with more numbers, ... }; close the mark behind the value. */
static size_t
open_part(struct bh_writer *w, const uint8_t *numbers, size_t len)
{
    static const uint8_t base[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
    const size_t mark = bh_writer_der_open(w, 0x30), oid = bh_writer_der_open(w, 0x06);

    bh_writer_put(w, bh_span(base, sizeof(base)));
    bh_writer_put(w, bh_span(numbers, len));
    bh_writer_der_close(w, oid);
    return mark;
}

static void
put_octets(struct bh_writer *w, uint8_t part, struct bh_span value)
{
    const size_t mark = open_part(w, &part, 1);

    bh_writer_der(w, 0x04, value);
    bh_writer_der_close(w, mark);
}

static void
put_svn(struct bh_writer *w, uint8_t number, unsigned svn)
{
    const uint8_t numbers[] = {2, number}, value[] = {0, (uint8_t)svn};
    const size_t mark = open_part(w, numbers, sizeof(numbers));

    /* INTEGER is signed: a zero stands before 128 and above. */
    bh_writer_der(w, 0x02, svn < 0x80 ? bh_span(value + 1, 1) : bh_span(value, 2));
    bh_writer_der_close(w, mark);
}

static void
put_tcb(struct bh_writer *w, const struct agent_intel_machine *m)
{
    const uint8_t two = 2, cpu[] = {2, 18};
    const size_t part = open_part(w, &two, 1), list = bh_writer_der_open(w, 0x30);
    size_t mark;

    for (uint8_t i = 0; i < AGENT_INTEL_SVNS; i++)
        put_svn(w, (uint8_t)(i + 1), m->svn[i]);
    put_svn(w, 17, m->pce_svn);
    mark = open_part(w, cpu, sizeof(cpu));
    bh_writer_der(w, 0x04, bh_span(m->svn, AGENT_INTEL_SVNS));
    bh_writer_der_close(w, mark);
    bh_writer_der_close(w, list);
    bh_writer_der_close(w, part);
}

static bool
add_machine(X509 *cert, const struct agent_intel_machine *m)
{
    static const uint8_t pce_id[2], five = 5, scalable = 1;
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = OBJ_txt2obj(OID_SGX, 1);
    X509_EXTENSION *x = NULL;
    uint8_t buf[1024];
    struct bh_writer w;
    struct bh_span value;
    size_t all, type;
    bool good;

    bh_writer_init(&w, buf, sizeof(buf));
    all = bh_writer_der_open(&w, 0x30);
    put_octets(&w, 1, bh_span(m->ppid, sizeof(m->ppid)));
    put_tcb(&w, m);
    put_octets(&w, 3, bh_span(pce_id, sizeof(pce_id)));
    put_octets(&w, 4, bh_span(m->fmspc, sizeof(m->fmspc)));
    type = open_part(&w, &five, 1);
    bh_writer_der(&w, 0x0a, bh_span(&scalable, 1));
    bh_writer_der_close(&w, type);
    bh_writer_der_close(&w, all);
    good = bh_writer_end(&w, &value) == BH_OK && octets != NULL && oid != NULL &&
           ASN1_OCTET_STRING_set(octets, value.ptr, (int)value.len) == 1 &&
           (x = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, octets)) != NULL &&
           X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(octets);
    return good;
}

/* ---- certificates and lists ---- */

static bool
add_extensions(X509 *cert, X509 *issuer, const struct agent_intel_request *r)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    return agent_cert_extension(cert, &ctx, NID_subject_key_identifier, "hash") &&
           (r->level == AGENT_INTEL_ROOT ||
               agent_cert_extension(cert, &ctx, NID_authority_key_identifier, "keyid:always")) &&
           agent_cert_extension(cert, &ctx, NID_key_usage, shapes[r->level].key_usage) &&
           agent_cert_extension(
               cert, &ctx, NID_basic_constraints, shapes[r->level].basic_constraints) &&
           (r->machine == NULL || add_machine(cert, r->machine));
}

enum bh_err
agent_intel_cert_make(const struct agent_intel_request *r, X509 **ret_cert, struct bh_diag *diag)
{
    X509 *cert = X509_new();
    X509 *issuer = r->issuer != NULL ? r->issuer : cert;

    if (cert == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate");
    if (X509_set_version(cert, 2) != 1 || !agent_cert_serial(cert, 20) ||
        !add_name(cert, shapes[r->level].cn) ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)r->not_before) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)r->not_after) == NULL ||
        X509_set_pubkey(cert, r->key) != 1 || !add_extensions(cert, issuer, r) ||
        X509_sign(cert, r->issuer_key, EVP_sha256()) == 0) {
        X509_free(cert);
        return openssl_failed(diag, shapes[r->level].cn);
    }
    *ret_cert = cert;
    return BH_OK;
}

enum bh_err
agent_intel_crl_make(X509 *issuer, EVP_PKEY *key, int64_t from, int64_t to, uint8_t **ret_der,
    size_t *ret_len, struct bh_diag *diag)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *first = ASN1_TIME_set(NULL, (time_t)from);
    ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)to);
    uint8_t *der = NULL;
    int len = 0;

    if (crl != NULL && first != NULL && next != NULL && X509_CRL_set_version(crl, 1) == 1 &&
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
        X509_CRL_set1_lastUpdate(crl, first) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1 &&
        X509_CRL_sign(crl, key, EVP_sha256()) > 0)
        len = i2d_X509_CRL(crl, &der);
    ASN1_TIME_free(first);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    if (len <= 0)
        return openssl_failed(diag, "a revocation list");
    *ret_der = der;
    *ret_len = (size_t)len;
    return BH_OK;
}

enum bh_err
agent_intel_pem(X509 *const *certs, size_t len, char **ret_pem, struct bh_diag *diag)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL, *text = NULL;
    bool good = bio != NULL;
    long n;

    for (size_t i = 0; i < len && good; i++)
        good = PEM_write_bio_X509(bio, certs[i]) == 1;
    n = good ? BIO_get_mem_data(bio, &bytes) : 0;
    if (n > 0)
        text = strndup(bytes, (size_t)n);
    BIO_free(bio);
    if (text == NULL)
        return openssl_failed(diag, "PEM");
    *ret_pem = text;
    return BH_OK;
}

/* ---- signatures ---- */

enum bh_err
agent_intel_sign(EVP_PKEY *key, struct bh_span message, uint8_t out[64], struct bh_diag *diag)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[BH_ECDSA_DER_MAX];
    size_t len = sizeof(der);
    bool good;

    good = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestSign(ctx, der, &len, message.ptr, message.len) == 1 &&
           bh_ecdsa_to_raw(bh_span(der, len), 32, out) == BH_OK;
    EVP_MD_CTX_free(ctx);
    return good ? BH_OK : openssl_failed(diag, "a signature");
}

enum bh_err
agent_intel_document(
    EVP_PKEY *key, const char *member, const char *text, char **ret_body, struct bh_diag *diag)
{
    char hex[2 * 64 + 1];
    uint8_t sig[64];
    enum bh_err e;

    if ((e = agent_intel_sign(key, bh_span_str(text), sig, diag)) != BH_OK)
        return e;
    if (asprintf(ret_body, "{\"%s\":%s,\"signature\":\"%s\"}", member, text,
            bh_hex(bh_span(sig, sizeof(sig)), hex, sizeof(hex))) < 0) {
        *ret_body = NULL;
        return bh_fail(diag, BH_ERR_NOMEM, "document");
    }
    return BH_OK;
}
