/* SPDX-License-Identifier: Apache-2.0 */
#include "nitro_forge.h"

#include "core/cose.h"
#include "core/writer.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR 3600

void
forge_plan(struct forge_cert_plan plan[FORGE_CERTS], const char *root_cn)
{
    static const struct forge_cert_plan right[FORGE_CERTS] = {
        {.curve = "P-384",
            .ca = 1,
            .path_len = -1,
            .usage = "critical,keyCertSign,cRLSign",
            .not_before = FORGE_NOW - 100000 * HOUR,
            .not_after = FORGE_NOW + 100000 * HOUR},
        {.curve = "P-384",
            .cn = "region.us-east-1.aws.nitro-enclaves",
            .ca = 1,
            .path_len = 2,
            .usage = "critical,digitalSignature,keyCertSign,cRLSign",
            .not_before = FORGE_NOW - 240 * HOUR,
            .not_after = FORGE_NOW + 240 * HOUR},
        {.curve = "P-384",
            .cn = "zone.zonal.us-east-1.aws.nitro-enclaves",
            .ca = 1,
            .path_len = 1,
            .usage = "critical,digitalSignature,keyCertSign,cRLSign",
            .not_before = FORGE_NOW - 60 * HOUR,
            .not_after = FORGE_NOW + 60 * HOUR},
        {.curve = "P-384",
            .cn = "i-0123456789abcdef0.us-east-1.aws.nitro-enclaves",
            .ca = 1,
            .path_len = 0,
            .usage = "critical,keyCertSign",
            .not_before = FORGE_NOW - 12 * HOUR,
            .not_after = FORGE_NOW + 12 * HOUR},
        {.curve = "P-384",
            .cn = FORGE_MODULE ".us-east-1.aws",
            .ca = 0,
            .path_len = -1,
            .usage = "digitalSignature,nonRepudiation",
            .not_before = FORGE_NOW - HOUR,
            .not_after = FORGE_NOW + 2 * HOUR},
    };

    memcpy(plan, right, sizeof(right));
    plan[0].cn = root_cn;
}

static void
add_extension(X509 *cert, const char *name, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf(NULL, NULL, name, value);

    cr_assert(ext != NULL, "%s = %s", name, value);
    cr_assert(X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

static void
set_name(X509_NAME *name, const char *cn)
{
    cr_assert(X509_NAME_add_entry_by_txt(
                  name, "O", MBSTRING_ASC, (const uint8_t *)"Test", -1, -1, 0) == 1);
    cr_assert(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) == 1);
}

static void
make_cert(struct forge_chain *chain, const struct forge_cert_plan *plan, size_t i)
{
    EVP_PKEY *stranger = NULL;
    EVP_PKEY *issuer = i == 0 ? chain->keys[0] : chain->keys[i - 1];
    uint8_t *der = NULL;
    char value[64];
    X509 *cert = X509_new();

    cr_assert(X509_set_version(cert, 2) == 1);
    cr_assert(ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)i + 7) == 1);
    cr_assert(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)plan->not_before) != NULL);
    cr_assert(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)plan->not_after) != NULL);
    set_name(X509_get_subject_name(cert), plan->cn);
    if (plan->issuer_cn != NULL)
        set_name(X509_get_issuer_name(cert), plan->issuer_cn);
    else
        cr_assert(X509_set_issuer_name(
                      cert, X509_get_subject_name(i == 0 ? cert : chain->certs[i - 1])) == 1);
    cr_assert(X509_set_pubkey(cert, chain->keys[i]) == 1);
    if (plan->path_len >= 0)
        (void)snprintf(value, sizeof(value), "critical,CA:TRUE,pathlen:%d", plan->path_len);
    else
        (void)snprintf(value, sizeof(value), "critical,CA:%s", plan->ca == 1 ? "TRUE" : "FALSE");
    if (plan->ca >= 0)
        add_extension(cert, "basicConstraints", value);
    if (plan->usage != NULL)
        add_extension(cert, "keyUsage", plan->usage);
    if (plan->extra != NULL)
        add_extension(cert, plan->extra, plan->extra_value);
    if (plan->self_issued_by_stranger)
        cr_assert(bh_key_generate("P-384", &stranger, NULL) == BH_OK);
    cr_assert(X509_sign(cert, stranger != NULL ? stranger : issuer, EVP_sha384()) > 0);
    EVP_PKEY_free(stranger);
    chain->certs[i] = cert;
    cr_assert(bh_x509_to_der(cert, &der, &chain->der_len[i]) == BH_OK);
    cr_assert(chain->der_len[i] <= sizeof(chain->der[i]));
    memcpy(chain->der[i], der, chain->der_len[i]);
    OPENSSL_free(der);
}

void
forge_chain_make(struct forge_chain *chain, const struct forge_cert_plan plan[FORGE_CERTS])
{
    memset(chain, 0, sizeof(*chain));
    for (size_t i = 0; i < FORGE_CERTS; i++)
        cr_assert(bh_key_generate(plan[i].curve, &chain->keys[i], NULL) == BH_OK);
    for (size_t i = 0; i < FORGE_CERTS; i++)
        make_cert(chain, &plan[i], i);
}

void
forge_chain_right(struct forge_chain *chain, const char *root_cn)
{
    struct forge_cert_plan plan[FORGE_CERTS];

    forge_plan(plan, root_cn);
    forge_chain_make(chain, plan);
}

void
forge_chain_clear(struct forge_chain *chain)
{
    for (size_t i = 0; i < FORGE_CERTS; i++) {
        EVP_PKEY_free(chain->keys[i]);
        X509_free(chain->certs[i]);
    }
    memset(chain, 0, sizeof(*chain));
}

void
forge_document(struct forge_doc *doc)
{
    memset(doc, 0, sizeof(*doc));
    doc->module_id = FORGE_MODULE;
    doc->digest = "SHA384";
    doc->timestamp = (uint64_t)FORGE_NOW * 1000;
    doc->indefinite = true;
    doc->pcrs = 16;
    doc->pcr_len = 48;
    for (unsigned i = 0; i < sizeof(doc->pcr); i++)
        doc->pcr[i] = (uint8_t)(0xa0 + i);
    doc->pcrs_key = true;
    doc->nonce_is = doc->public_key_is = doc->user_data_is = FORGE_NULL;
}

static void
put_optional(struct bh_writer *w, enum forge_field is, struct bh_span bytes)
{
    if (is == FORGE_NULL)
        bh_writer_cbor_null(w);
    else
        bh_writer_cbor_bstr(w, bytes);
}

static void
put_padded(struct bh_writer *w, const uint8_t *der, size_t len, size_t trailing)
{
    uint8_t buf[2048] = {0};

    memcpy(buf, der, len);
    bh_writer_cbor_bstr(w, bh_span(buf, len + trailing));
}

static void
put_pcrs(struct bh_writer *w, const struct forge_doc *doc)
{
    uint8_t value[80];

    bh_writer_cbor_map(w, doc->pcrs - (doc->no_pcr0 ? 1 : 0));
    for (unsigned i = doc->no_pcr0 ? 1 : 0; i < doc->pcrs; i++) {
        memset(value, doc->pcr[i % 32], sizeof(value));
        bh_writer_cbor_uint(w, i);
        bh_writer_cbor_bstr(w, bh_span(value, doc->pcr_len));
    }
}

static void
put_value(struct bh_writer *w, const char *key, const struct forge_chain *chain,
    const struct forge_doc *doc)
{
    if (strcmp(key, "module_id") == 0) {
        bh_writer_cbor_tstr(w, doc->module_id);
    } else if (strcmp(key, "digest") == 0) {
        bh_writer_cbor_tstr(w, doc->digest);
    } else if (strcmp(key, "timestamp") == 0 && doc->timestamp_is_text) {
        bh_writer_cbor_tstr(w, "now");
    } else if (strcmp(key, "timestamp") == 0) {
        bh_writer_cbor_uint(w, doc->timestamp);
    } else if (strcmp(key, "pcrs") == 0 || strcmp(key, "nitrotpm_pcrs") == 0) {
        put_pcrs(w, doc);
    } else if (strcmp(key, "certificate") == 0) {
        put_padded(w, chain->der[FORGE_LEAF], chain->der_len[FORGE_LEAF], doc->leaf_trailing);
    } else if (strcmp(key, "cabundle") == 0) {
        bh_writer_cbor_array(w, doc->no_bundle ? 0 : FORGE_LEAF + doc->bundle_copies);
        for (size_t i = 0; !doc->no_bundle && i < FORGE_LEAF; i++)
            put_padded(w, chain->der[i], chain->der_len[i], i == 1 ? doc->bundle_trailing : 0);
        for (size_t i = 0; i < doc->bundle_copies; i++)
            put_padded(w, chain->der[0], chain->der_len[0], 0);
    } else if (strcmp(key, "public_key") == 0) {
        put_optional(w, doc->public_key_is, doc->public_key);
    } else if (strcmp(key, "user_data") == 0 && doc->chunked_user_data) {
        bh_writer_u8(w, 0x5f); /* an indefinite string of one chunk */
        bh_writer_cbor_bstr(w, bh_span("x", 1));
        bh_writer_u8(w, 0xff);
    } else if (strcmp(key, "user_data") == 0) {
        put_optional(w, doc->user_data_is, doc->user_data);
    } else if (strcmp(key, "nonce") == 0) {
        put_optional(w, doc->nonce_is, doc->nonce);
    } else {
        bh_writer_cbor_uint(w, 1);
    }
}

static bool
is_in(const char *key, const struct forge_doc *doc)
{
    if (doc->without != NULL && strcmp(doc->without, key) == 0)
        return false;
    if (strcmp(key, "pcrs") == 0)
        return doc->pcrs_key;
    if (strcmp(key, "nitrotpm_pcrs") == 0)
        return doc->tpm_key;
    if (strcmp(key, "public_key") == 0)
        return doc->public_key_is != FORGE_ABSENT;
    if (strcmp(key, "user_data") == 0)
        return doc->user_data_is != FORGE_ABSENT;
    return strcmp(key, "nonce") != 0 || doc->nonce_is != FORGE_ABSENT;
}

static struct bh_span
make_payload(const struct forge_chain *chain, const struct forge_doc *doc, uint8_t *out, size_t cap)
{
    static const char *const keys[] = {"module_id", "digest", "timestamp", "pcrs", "nitrotpm_pcrs",
        "certificate", "cabundle", "public_key", "user_data", "nonce"};
    size_t pairs = (doc->twice != NULL ? 1u : 0u) + (doc->extra_key != NULL ? 1u : 0u);
    struct bh_writer w;
    struct bh_span all = {0};

    for (size_t i = 0; i < BH_COUNT(keys); i++)
        pairs += is_in(keys[i], doc) ? 1 : 0;
    bh_writer_init(&w, out, cap);
    if (doc->indefinite)
        bh_writer_u8(&w, 0xbf);
    else
        bh_writer_cbor_map(&w, pairs);
    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        if (!is_in(keys[i], doc))
            continue;
        bh_writer_cbor_tstr(&w, keys[i]);
        put_value(&w, keys[i], chain, doc);
    }
    if (doc->twice != NULL) {
        bh_writer_cbor_tstr(&w, doc->twice);
        put_value(&w, doc->twice, chain, doc);
    }
    if (doc->extra_key != NULL) {
        bh_writer_cbor_tstr(&w, doc->extra_key);
        bh_writer_cbor_uint(&w, 1);
    }
    if (doc->indefinite)
        bh_writer_u8(&w, 0xff);
    for (size_t i = 0; i < doc->payload_trailing; i++)
        bh_writer_u8(&w, 0);
    cr_assert(bh_writer_end(&w, &all) == BH_OK);
    return all;
}

/* s becomes n - s: another signature that verifies as well. */
static void
negate_s(uint8_t raw[96])
{
    BIGNUM *s = BN_bin2bn(raw + 48, 48, NULL);
    BIGNUM *n = NULL;

    cr_assert(BN_hex2bn(&n, "ffffffffffffffffffffffffffffffffffffffffffffffff"
                            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973") == 96);
    cr_assert(BN_sub(s, n, s) == 1 && BN_bn2binpad(s, raw + 48, 48) == 48);
    BN_free(s);
    BN_free(n);
}

static void
sign(const struct forge_chain *chain, struct bh_span header, struct bh_span payload,
    uint8_t signature[132], size_t *ret_len)
{
    uint8_t tbs[FORGE_DOCUMENT_MAX];
    struct bh_writer w;
    struct bh_span all = {0};

    bh_writer_init(&w, tbs, sizeof(tbs));
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_tstr(&w, "Signature1");
    bh_writer_cbor_bstr(&w, header);
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_bstr(&w, payload);
    cr_assert(bh_writer_end(&w, &all) == BH_OK);
    cr_assert(bh_ecdsa_sign(chain->keys[FORGE_LEAF], all, signature, ret_len, NULL) == BH_OK);
}

uint8_t *
forge_make(const struct forge_chain *chain, const struct forge_doc *doc, size_t *ret_len)
{
    static const uint8_t es384[] = {0xa1, 0x01, 0x38, 0x22};
    const struct bh_span header =
        doc->protected_.len > 0 ? doc->protected_ : bh_span(es384, sizeof(es384));
    uint8_t *payload_buf = malloc(FORGE_DOCUMENT_MAX), *out = malloc(FORGE_DOCUMENT_MAX);
    struct bh_span payload, all = {0};
    uint8_t signature[132];
    size_t signature_len;
    struct bh_writer w;

    cr_assert(payload_buf != NULL && out != NULL);
    payload = make_payload(chain, doc, payload_buf, FORGE_DOCUMENT_MAX);
    sign(chain, header, payload, signature, &signature_len);
    if (doc->high_s)
        negate_s(signature);
    bh_writer_init(&w, out, FORGE_DOCUMENT_MAX);
    if (doc->tagged)
        bh_writer_cbor_tag(&w, 18);
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_bstr(&w, header);
    bh_writer_cbor_map(&w, doc->unprotected_kid ? 1 : 0);
    if (doc->unprotected_kid) {
        bh_writer_cbor_uint(&w, 4);
        bh_writer_cbor_bstr(&w, bh_span("k", 1));
    }
    bh_writer_cbor_bstr(&w, payload);
    bh_writer_cbor_bstr(&w, bh_span(signature, signature_len - (doc->signature_cut ? 1 : 0)));
    for (size_t i = 0; i < doc->document_trailing; i++)
        bh_writer_u8(&w, 0);
    cr_assert(bh_writer_end(&w, &all) == BH_OK);
    free(payload_buf);
    *ret_len = all.len;
    return out;
}

void
forge_trust(struct ev_trust *trust, const struct forge_chain *chain, bool simulated)
{
    memset(trust, 0, sizeof(*trust));
    trust->now = FORGE_NOW;
    trust->max_age = 300;
    trust->skew = 60;
    trust->allow_simulated = simulated;
    trust->anchors_len = 1;
    trust->anchors[0].cert = chain->certs[0];
    trust->anchors[0].simulated = simulated;
    (void)snprintf(
        trust->anchors[0].platform, sizeof(trust->anchors[0].platform), "%s", "aws-nitro");
}
