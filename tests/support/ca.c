/* SPDX-License-Identifier: Apache-2.0 */
#include "ca.h"

#include "core/cmw.h"
#include "core/cose.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void
demand(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "throw-away CA: %s\n", what);
    abort();
}

EVP_PKEY *
bh_test_key(const char *name)
{
    EVP_PKEY *key = NULL;

    demand(bh_key_generate(name, &key, NULL) == BH_OK, "key");
    return key;
}

static void
add_name(X509_NAME *name, const char *field, const char *value)
{
    demand(X509_NAME_add_entry_by_txt(
               name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1,
        "name");
}

static void
add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    if (value == NULL || value[0] == '\0')
        return;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    demand(ext != NULL && X509_add_ext(cert, ext, -1) == 1, value);
    X509_EXTENSION_free(ext);
}

static X509 *
begin_cert(EVP_PKEY *key, int64_t not_before, int64_t not_after)
{
    X509 *cert = X509_new();
    uint8_t serial[16];
    BIGNUM *bn;

    demand(cert != NULL && bh_random(serial, sizeof(serial)) == BH_OK, "certificate");
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    bn = BN_bin2bn(serial, sizeof(serial), NULL);
    demand(bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL, "serial");
    BN_free(bn);
    demand(X509_set_version(cert, X509_VERSION_3) == 1 && X509_set_pubkey(cert, key) == 1 &&
               ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)not_before) != NULL &&
               ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)not_after) != NULL,
        "certificate");
    return cert;
}

static void
sign_cert(X509 *cert, EVP_PKEY *key)
{
    demand(X509_sign(cert, key, EVP_sha256()) > 0, "signature");
}

void
bh_test_ca_make(struct bh_test_ca *ca, const struct bh_test_root *r)
{
    const int64_t now = bh_time_now(), year = INT64_C(365) * 86400;
    char constraints[512];

    memset(ca, 0, sizeof(*ca));
    (void)snprintf(ca->domain, sizeof(ca->domain), "%s", r->domain);
    (void)snprintf(constraints, sizeof(constraints), "critical,permitted;URI:%s,permitted;DNS:%s",
        r->domain, r->domain);
    ca->root_key = bh_test_key("P-384");
    ca->root = begin_cert(ca->root_key, now - year, now + year);
    add_name(X509_get_subject_name(ca->root), "O", r->domain);
    if (r->simulated)
        add_name(X509_get_subject_name(ca->root), "OU", "SIMULATED");
    demand(X509_set_issuer_name(ca->root, X509_get_subject_name(ca->root)) == 1, "issuer");
    add_ext(ca->root, ca->root, NID_subject_key_identifier, "hash");
    add_ext(ca->root, ca->root, NID_basic_constraints,
        r->basic_constraints != NULL ? r->basic_constraints : "critical,CA:TRUE");
    add_ext(ca->root, ca->root, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_ext(ca->root, ca->root, NID_name_constraints,
        r->name_constraints != NULL ? r->name_constraints : constraints);
    sign_cert(ca->root, ca->root_key);
    ca->root_pem = bh_test_pem(ca->root);

    ca->issuing_key = bh_test_key("P-256");
    ca->issuing = begin_cert(ca->issuing_key, now - year, now + year);
    add_name(X509_get_subject_name(ca->issuing), "O", r->domain);
    add_name(X509_get_subject_name(ca->issuing), "OU", "issuing");
    demand(X509_set_issuer_name(ca->issuing, X509_get_subject_name(ca->root)) == 1, "issuer");
    add_ext(ca->issuing, ca->root, NID_subject_key_identifier, "hash");
    add_ext(ca->issuing, ca->root, NID_authority_key_identifier, "keyid:always");
    add_ext(ca->issuing, ca->root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_ext(ca->issuing, ca->root, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
    add_ext(ca->issuing, ca->root, NID_name_constraints, constraints);
    sign_cert(ca->issuing, ca->root_key);
}

void
bh_test_ca_clear(struct bh_test_ca *ca)
{
    EVP_PKEY_free(ca->root_key);
    EVP_PKEY_free(ca->issuing_key);
    X509_free(ca->root);
    X509_free(ca->issuing);
    free(ca->root_pem);
    memset(ca, 0, sizeof(*ca));
}

/* ---- leaves ---- */

static void
fill_ear(struct bh_ear *ear, const char *workload, EVP_PKEY *key, int64_t iat, int64_t exp)
{
    struct bh_ear_submod *s = &ear->submods[0];

    memset(ear, 0, sizeof(*ear));
    ear->iat = iat;
    ear->exp = exp;
    (void)snprintf(ear->workload, sizeof(ear->workload), "%s", workload);
    (void)snprintf(ear->owner, sizeof(ear->owner), "pinned");
    demand(bh_spki_encode(key, ear->spki, sizeof(ear->spki), &ear->spki_len, NULL) == BH_OK,
        "public key");
    ear->submods_len = 1;
    (void)snprintf(s->platform, sizeof(s->platform), "aws-nitro");
    s->status = BH_EAR_AFFIRMING;
    s->has_vector = true;
    s->trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    s->trust[BH_TRUST_EXECUTABLES] = 2;
    s->trust[BH_TRUST_HARDWARE] = 2;
    s->policy_digest[0] = 1;
    s->claims_len = 2;
    (void)snprintf(s->claims[0].name, sizeof(s->claims[0].name), "pcr0");
    s->claims[0].len = 48;
    memset(s->claims[0].value, 0xab, 48);
    (void)snprintf(s->claims[1].name, sizeof(s->claims[1].name), "module_id");
    s->claims[1].text = true;
    s->claims[1].len = 4;
    memcpy(s->claims[1].value, "i-01", 4);
}

void
bh_test_leaf_init(const struct bh_test_ca *ca, struct bh_test_leaf *leaf, const char *workload,
    EVP_PKEY *key, int64_t now, int64_t life)
{
    memset(leaf, 0, sizeof(*leaf));
    leaf->key = key;
    (void)snprintf(leaf->san_text, sizeof(leaf->san_text), "URI:spiffe://%s/%s,DNS:%s.%s",
        ca->domain, workload, workload, ca->domain);
    leaf->san = leaf->san_text;
    leaf->basic = "critical,CA:FALSE";
    leaf->key_usage = "critical,digitalSignature";
    leaf->ext_key_usage = "serverAuth,clientAuth";
    leaf->not_before = now - 60;
    leaf->not_after = now + life;
    fill_ear(&leaf->ear, workload, key, now, now + life);
}

static size_t
sign_ear(const struct bh_test_ca *ca, const struct bh_test_leaf *leaf, uint8_t *out, size_t cap)
{
    uint8_t claims[BH_EAR_MAX];
    size_t claims_len = 0, len = 0;

    demand(bh_ear_encode(&leaf->ear, claims, sizeof(claims), &claims_len, NULL) == BH_OK &&
               bh_cose_sign(bh_span(claims, claims_len),
                   leaf->ear_signer != NULL ? leaf->ear_signer : ca->issuing_key, true, out, cap,
                   &len, NULL) == BH_OK,
        "attestation result");
    return len;
}

static void
add_cmw(X509 *cert, struct bh_span value)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(BH_OID_PE_CMW, 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

    demand(oid != NULL && octets != NULL &&
               ASN1_OCTET_STRING_set(octets, value.ptr, (int)value.len) == 1,
        "extension");
    X509_EXTENSION *ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, octets);
    demand(ext != NULL && X509_add_ext(cert, ext, -1) == 1, "extension");
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(oid);
}

static void
add_ear(const struct bh_test_ca *ca, const struct bh_test_leaf *leaf, X509 *cert)
{
    uint8_t cwt[BH_EAR_MAX * 2], cmw[BH_EAR_MAX * 3], ext[BH_EAR_MAX * 3];
    size_t cmw_len = 0, ext_len = 0;
    struct bh_span value = leaf->ext_raw;

    if (value.len == 0) {
        struct bh_span ear = leaf->ear_raw;
        if (ear.len == 0)
            ear = bh_span(cwt, sign_ear(ca, leaf, cwt, sizeof(cwt)));
        demand(bh_cmw_record_cbor(leaf->ear_type != NULL ? leaf->ear_type : BH_EAR_CWT_TYPE, ear, 0,
                   cmw, sizeof(cmw), &cmw_len) == BH_OK &&
                   bh_cmw_ext_encode(bh_span(cmw, cmw_len), ext, sizeof(ext), &ext_len) == BH_OK,
            "CMW");
        value = bh_span(ext, ext_len);
    }
    add_cmw(cert, value);
    if (leaf->ear_twice)
        add_cmw(cert, value);
}

X509 *
bh_test_leaf_issue(const struct bh_test_ca *ca, const struct bh_test_leaf *leaf)
{
    X509 *cert = begin_cert(leaf->key, leaf->not_before, leaf->not_after);

    add_name(X509_get_subject_name(cert), "O", ca->domain);
    demand(X509_set_issuer_name(cert, X509_get_subject_name(ca->issuing)) == 1, "issuer");
    add_ext(cert, ca->issuing, NID_subject_key_identifier, "hash");
    add_ext(cert, ca->issuing, NID_authority_key_identifier, "keyid:always");
    add_ext(cert, ca->issuing, NID_basic_constraints, leaf->basic);
    add_ext(cert, ca->issuing, NID_key_usage, leaf->key_usage);
    add_ext(cert, ca->issuing, NID_ext_key_usage, leaf->ext_key_usage);
    add_ext(cert, ca->issuing, NID_subject_alt_name, leaf->san);
    if (!leaf->no_ear)
        add_ear(ca, leaf, cert);
    sign_cert(cert, ca->issuing_key);
    return cert;
}

X509 *
bh_test_server_cert(const struct bh_test_ca *ca, EVP_PKEY *key, const char *spiffe_path)
{
    struct bh_test_leaf leaf;
    char san[512];

    bh_test_leaf_init(ca, &leaf, "server", key, bh_time_now(), 3600);
    (void)snprintf(
        san, sizeof(san), "URI:spiffe://%s/%s,DNS:%s", ca->domain, spiffe_path, ca->domain);
    leaf.san = san;
    leaf.no_ear = true;
    return bh_test_leaf_issue(ca, &leaf);
}

uint8_t *
bh_test_crl(
    const struct bh_test_ca *ca, const X509 *revoked, int64_t last, int64_t next, size_t *ret_len)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *a = ASN1_TIME_set(NULL, (time_t)last), *b = ASN1_TIME_set(NULL, (time_t)next);
    unsigned char *der = NULL;
    X509V3_CTX ctx;

    demand(crl != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
               X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->issuing)) == 1 &&
               X509_CRL_set1_lastUpdate(crl, a) == 1 && X509_CRL_set1_nextUpdate(crl, b) == 1,
        "CRL");
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        demand(X509_REVOKED_set_serialNumber(
                   entry, (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(revoked)) == 1 &&
                   X509_REVOKED_set_revocationDate(entry, a) == 1 &&
                   X509_CRL_add0_revoked(crl, entry) == 1,
            "CRL entry");
    }
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, ca->issuing, NULL, NULL, crl, 0);
    X509_EXTENSION *aki =
        X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    demand(aki != NULL && ASN1_INTEGER_set(number, 1) == 1 && X509_CRL_add_ext(crl, aki, -1) == 1 &&
               X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1 &&
               X509_CRL_sign(crl, ca->issuing_key, EVP_sha256()) > 0,
        "CRL");
    const int len = i2d_X509_CRL(crl, &der);
    uint8_t *copy = len > 0 ? malloc((size_t)len) : NULL;
    demand(copy != NULL, "CRL");
    memcpy(copy, der, (size_t)len);
    *ret_len = (size_t)len;
    OPENSSL_free(der);
    X509_EXTENSION_free(aki);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(a);
    ASN1_TIME_free(b);
    X509_CRL_free(crl);
    return copy;
}

/* ---- texts ---- */

static char *
pem_of(X509 *const *certs, size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL, *copy;

    for (size_t i = 0; i < count; i++)
        demand(bio != NULL && PEM_write_bio_X509(bio, certs[i]) == 1, "PEM");
    const long len = BIO_get_mem_data(bio, &bytes);
    copy = strndup(bytes, (size_t)len);
    demand(copy != NULL, "PEM");
    BIO_free(bio);
    return copy;
}

char *
bh_test_pem(X509 *cert)
{
    return pem_of(&cert, 1);
}

char *
bh_test_chain_pem(const struct bh_test_ca *ca, X509 *leaf)
{
    X509 *const certs[] = {leaf, ca->issuing};

    return pem_of(certs, 2);
}
