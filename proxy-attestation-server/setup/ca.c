/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of a deployment over OpenSSL's X509 calls: made once, so clarity counts. Subjects
 * have no CN: under DNS name constraints GnuTLS takes a CN that looks like a name for one.
 */
#include "ca.h"

#include "core/x509.h"
#include "signer/leaf.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

/* The trust domain and each DNS name, with their words, fit. */
#define CONSTRAINTS_MAX ((PAS_CONFIG_DNS_MAX + 2) * 300)

static enum bh_err
openssl_failed(struct bh_diag *diag, const char *what)
{
    char why[160];

    return bh_fail(diag, BH_ERR_INTERNAL, "%s: %s", what, bh_openssl_why(why, sizeof(why)));
}

static bool
add_name_part(X509_NAME *name, const char *field, const char *text)
{
    return X509_NAME_add_entry_by_txt(
               name, field, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool
set_subject(X509 *cert, const struct pas_config *config, const char *unit)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return add_name_part(name, "O", config->trust_domain) &&
           (unit == NULL || add_name_part(name, "OU", unit)) &&
           (!config->allow_simulated || add_name_part(name, "OU", "SIMULATED"));
}

static bool
set_serial(X509 *cert)
{
    uint8_t serial[16];
    BIGNUM *number;
    bool good;

    if (bh_random(serial, sizeof(serial)) != BH_OK)
        return false;
    serial[0] |= 1; /* never zero, whatever the other bytes are */
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool
set_key(X509 *cert, EVP_PKEY *key)
{
    uint8_t spki[BH_SPKI_MAX], id[PAS_KEY_ID_LEN];
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    size_t len = 0;
    bool good;

    good = value != NULL && bh_spki_encode(key, spki, sizeof(spki), &len, NULL) == BH_OK &&
           pas_key_id(bh_span(spki, len), id) == BH_OK &&
           ASN1_OCTET_STRING_set(value, id, sizeof(id)) == 1 && X509_set_pubkey(cert, key) == 1 &&
           X509_add1_ext_i2d(cert, NID_subject_key_identifier, value, 0, 0) == 1;
    ASN1_OCTET_STRING_free(value);
    return good;
}

static bool
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX ctx;
    bool good;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    good = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* The names are checked DNS names: nothing in them means something in OpenSSL's notation. */
static bool
add_constraints(X509 *cert, const struct pas_config *config)
{
    char *text = malloc(CONSTRAINTS_MAX);
    struct bh_writer w;
    bool good;

    if (text == NULL)
        return false;
    bh_writer_init(&w, text, CONSTRAINTS_MAX);
    bh_writer_printf(&w, "critical,permitted;URI:%s,permitted;DNS:%s", config->trust_domain,
        config->trust_domain);
    for (size_t i = 0; i < config->dns_len; i++)
        if (strcmp(config->dns[i], config->trust_domain) != 0)
            bh_writer_printf(&w, ",permitted;DNS:%s", config->dns[i]);
    bh_writer_u8(&w, 0);
    good = bh_writer_ok(&w) && add_extension(cert, NULL, NID_name_constraints, text);
    free(text);
    return good;
}

/* Version, serial, validity, subject, key; issuer and signature follow. */
static X509 *
begin(const struct pas_config *config, const char *unit, EVP_PKEY *key, int64_t from, int64_t to)
{
    X509 *cert = X509_new();

    if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to) != NULL &&
        set_subject(cert, config, unit) && set_key(cert, key))
        return cert;
    X509_free(cert);
    return NULL;
}

static bool
seal(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key, unsigned bits)
{
    return X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           X509_sign(cert, issuer_key, bh_sha2_md(bits)) > 0;
}

static enum bh_err
make_root(const struct pas_config *config, int64_t now, struct pas_ca *ca, struct bh_diag *diag)
{
    const int64_t from = now - PAS_CA_BACKDATE;

    ca->root =
        begin(config, "Beachhead Root", ca->root_key, from, now + INT64_C(86400) * PAS_ROOT_DAYS);
    if (ca->root == NULL ||
        !add_extension(ca->root, ca->root, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(ca->root, ca->root, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_constraints(ca->root, config) || !seal(ca->root, ca->root, ca->root_key, 384))
        return openssl_failed(diag, "the root certificate");
    return BH_OK;
}

static enum bh_err
make_issuing(const struct pas_config *config, int64_t now, struct pas_ca *ca, struct bh_diag *diag)
{
    const int64_t from = now - PAS_CA_BACKDATE;

    ca->issuing = begin(config, "Beachhead Issuing CA", ca->issuing_key, from,
        now + INT64_C(86400) * PAS_ISSUING_DAYS);
    if (ca->issuing == NULL ||
        !add_extension(
            ca->issuing, ca->root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca->issuing, ca->root, NID_key_usage,
            "critical,digitalSignature,keyCertSign,cRLSign") ||
        !add_extension(ca->issuing, ca->root, NID_authority_key_identifier, "keyid:always") ||
        !add_constraints(ca->issuing, config) || !seal(ca->issuing, ca->root, ca->root_key, 384))
        return openssl_failed(diag, "the issuing CA's certificate");
    return BH_OK;
}

/* ---- the server's own ---- */

static bool
add_server_names(X509 *cert, const struct pas_config *config)
{
    char host[PAS_CONFIG_HOST_MAX] = "";
    char *text = malloc(CONSTRAINTS_MAX);
    struct bh_writer w;
    uint16_t port;
    bool good;

    if (text == NULL)
        return false;
    bh_writer_init(&w, text, CONSTRAINTS_MAX);
    bh_writer_printf(&w, "URI:spiffe://%s/beachhead/server", config->trust_domain);
    for (size_t i = 0; i < config->dns_len; i++)
        bh_writer_printf(&w, ",DNS:%s", config->dns[i]);
    bh_writer_str(&w, ",IP:127.0.0.1,IP:::1");
    if (pas_config_listen(config->listen, host, &port, NULL) == BH_OK &&
        strcmp(host, "127.0.0.1") != 0 && strcmp(host, "::1") != 0 &&
        strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0)
        bh_writer_printf(&w, ",IP:%s", host);
    bh_writer_u8(&w, 0);
    good = bh_writer_ok(&w) && add_extension(cert, NULL, NID_subject_alt_name, text);
    free(text);
    return good;
}

static enum bh_err
make_server(const struct pas_config *config, int64_t now, struct pas_ca *ca, struct bh_diag *diag)
{
    const int64_t from = now - PAS_CA_BACKDATE;

    ca->server = begin(config, NULL, ca->server_key, from, now + INT64_C(86400) * PAS_ISSUING_DAYS);
    if (ca->server == NULL ||
        !add_extension(ca->server, ca->issuing, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(ca->server, ca->issuing, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(ca->server, ca->issuing, NID_ext_key_usage, "serverAuth") ||
        !add_extension(ca->server, ca->issuing, NID_authority_key_identifier, "keyid:always") ||
        !add_server_names(ca->server, config) ||
        !seal(ca->server, ca->issuing, ca->issuing_key, 256))
        return openssl_failed(diag, "the server's certificate");
    return BH_OK;
}

static enum bh_err
take_keys(EVP_PKEY *given, struct pas_ca *ca, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_key_generate("P-384", &ca->root_key, diag)) != BH_OK ||
        (e = bh_key_generate("P-256", &ca->server_key, diag)) != BH_OK)
        return e;
    if (given == NULL)
        return bh_key_generate("P-256", &ca->issuing_key, diag);
    if (strcmp(bh_key_name(given), "P-256") != 0) {
        e = bh_refuse(diag, BH_ERR_USAGE, "init.issuing_key", "P-256", bh_key_name(given),
            "the issuing CA signs with ECDSA P-256");
        bh_hint(diag, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
        return e;
    }
    if (EVP_PKEY_up_ref(given) != 1)
        return bh_fail(diag, BH_ERR_INTERNAL, "issuing key");
    ca->issuing_key = given;
    return BH_OK;
}

enum bh_err
pas_ca_make(const struct pas_config *config, EVP_PKEY *issuing_key, int64_t now,
    struct pas_ca *ret_ca, struct bh_diag *diag)
{
    struct pas_ca ca = {0};
    enum bh_err e;

    if ((e = take_keys(issuing_key, &ca, diag)) != BH_OK ||
        (e = make_root(config, now, &ca, diag)) != BH_OK ||
        (e = make_issuing(config, now, &ca, diag)) != BH_OK ||
        (e = make_server(config, now, &ca, diag)) != BH_OK) {
        pas_ca_clear(&ca);
        return e;
    }
    *ret_ca = ca;
    return BH_OK;
}

void
pas_ca_clear(struct pas_ca *ca)
{
    EVP_PKEY_free(ca->root_key);
    EVP_PKEY_free(ca->issuing_key);
    EVP_PKEY_free(ca->server_key);
    X509_free(ca->root);
    X509_free(ca->issuing);
    X509_free(ca->server);
    memset(ca, 0, sizeof(*ca));
}
