/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect_other.h"

#include "core/cose.h"
#include "core/ear.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/policy.h"
#include "src/internal.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 512

static void
set_text(json_t *doc, const char *name, const char *text)
{
    (void)json_object_set_new(doc, name, json_string(text));
}

/* ---- attestation results ---- */

static enum bh_err
ear_claims(struct bh_span cwt, EVP_PKEY *issuer, json_t **ret_claims, struct bh_diag *diag)
{
    struct bh_ear *ear = malloc(sizeof(*ear));
    struct bh_cose m;
    enum bh_err e;

    if (ear == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "EAR");
    if (issuer != NULL)
        e = bh_ear_verify(cwt, issuer, ear, diag);
    else if ((e = bh_cose_decode(cwt, BH_COSE_FORM_TAGGED_SIGN1, &m, diag)) == BH_OK)
        e = bh_ear_decode(m.payload, ear, diag);
    if (e == BH_OK && (*ret_claims = bh_ear_json(ear)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "EAR");
    free(ear);
    return e;
}

/* The first of the keys and certificates given that verifies it. */
static enum bh_err
ear_verify(struct bh_span cwt, const struct bh_trust_inputs *trust, struct bh_diag *diag)
{
    enum bh_err e = BH_ERR_NOT_AUTHENTIC;

    if (trust->anchors_len + trust->keys_len == 0)
        return bh_refuse(diag, BH_ERR_USAGE, "ear.signature",
            "--trust-anchor CERT or --endorsed-key FILE of the issuer", "neither",
            "an EAR is verified with its issuer's key");
    for (size_t i = 0; e != BH_OK && i < trust->anchors_len + trust->keys_len; i++) {
        EVP_PKEY *key = NULL;
        json_t *claims = NULL;

        bh_diag_clear(diag);
        if (i < trust->anchors_len) {
            key = X509_get0_pubkey(trust->anchors[i]);
            (void)EVP_PKEY_up_ref(key);
        } else {
            const struct ev_endorsement *k = &trust->keys[i - trust->anchors_len];
            if ((e = bh_spki_decode(bh_span(k->key, k->key_len), &key, diag)) != BH_OK)
                continue;
        }
        e = ear_claims(cwt, key, &claims, diag);
        json_decref(claims);
        EVP_PKEY_free(key);
    }
    return e;
}

static enum bh_err
inspect_ear(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t **ret_doc,
    struct bh_diag *diag)
{
    json_t *claims = NULL;
    enum bh_err e;

    if ((e = ear_claims(in->ear, NULL, &claims, diag)) != BH_OK)
        return e;
    if (trust != NULL)
        e = ear_verify(in->ear, trust, diag);
    *ret_doc = json_pack("{s:s,s:s,s:o}", "kind", "ear", "form", "cwt", "claims", claims);
    if (trust != NULL)
        (void)json_object_set_new(*ret_doc, "authentic", json_boolean(e == BH_OK));
    return e;
}

/* One part of a compact JWS, as JSON. */
static enum bh_err
jws_part(struct bh_span part, json_t **ret_json, struct bh_diag *diag)
{
    uint8_t *bytes = malloc(part.len + 1);
    size_t len = 0;
    enum bh_err e = BH_ERR_NOMEM;

    if (bytes != NULL && (e = bh_unbase64url(part, bytes, part.len, &len)) == BH_OK)
        e = bh_json_parse(bh_span(bytes, len), part.len + 1, ret_json, diag);
    free(bytes);
    return e == BH_OK ? BH_OK
                      : bh_refuse(diag, BH_ERR_MALFORMED, "ear.form", "a compact JWS (RFC 7515)",
                            "a part that is no base64url of JSON", "the EAR is malformed");
}

static enum bh_err
jwt_verify(struct bh_span jws, const uint8_t *signature, size_t len,
    const struct bh_trust_inputs *trust, struct bh_diag *diag)
{
    enum bh_err e = BH_ERR_NOT_AUTHENTIC;

    for (size_t i = 0; e != BH_OK && i < trust->anchors_len; i++) {
        bh_diag_clear(diag);
        e = bh_ecdsa_verify(
            X509_get0_pubkey(trust->anchors[i]), jws, bh_span(signature, len), diag);
    }
    for (size_t i = 0; e != BH_OK && i < trust->keys_len; i++) {
        EVP_PKEY *key = NULL;
        bh_diag_clear(diag);
        if ((e = bh_spki_decode(bh_span(trust->keys[i].key, trust->keys[i].key_len), &key, diag)) ==
            BH_OK)
            e = bh_ecdsa_verify(key, jws, bh_span(signature, len), diag);
        EVP_PKEY_free(key);
    }
    if (e != BH_OK)
        (void)bh_refuse(diag, e, "ear.signature",
            "a signature of one of the --trust-anchor or --endorsed-key files", "none",
            "the EAR is not verified");
    return e;
}

static enum bh_err
inspect_jwt(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t **ret_doc,
    struct bh_diag *diag)
{
    const uint8_t *first = memchr(in->bytes.ptr, '.', in->bytes.len);
    const uint8_t *last = memrchr(in->bytes.ptr, '.', in->bytes.len);
    const struct bh_span head = bh_span(in->bytes.ptr, (size_t)(first - in->bytes.ptr));
    const struct bh_span body = bh_span(first + 1, (size_t)(last - first) - 1);
    const struct bh_span tail =
        bh_span(last + 1, in->bytes.len - (size_t)(last - in->bytes.ptr) - 1);
    json_t *header = NULL, *claims = NULL;
    uint8_t signature[132];
    size_t len = 0;
    enum bh_err e;

    if ((e = jws_part(head, &header, diag)) != BH_OK ||
        (e = jws_part(body, &claims, diag)) != BH_OK)
        goto out;
    if ((e = bh_unbase64url(tail, signature, sizeof(signature), &len)) != BH_OK) {
        (void)bh_refuse(diag, e, "ear.form", "a base64url signature", NULL, "the EAR is malformed");
        goto out;
    }
    *ret_doc = json_pack(
        "{s:s,s:s,s:O,s:O}", "kind", "ear", "form", "jwt", "header", header, "claims", claims);
    if (trust != NULL) {
        e = jwt_verify(
            bh_span(in->bytes.ptr, (size_t)(last - in->bytes.ptr)), signature, len, trust, diag);
        (void)json_object_set_new(*ret_doc, "authentic", json_boolean(e == BH_OK));
    }
out:
    json_decref(header);
    json_decref(claims);
    return e;
}

/* ---- certificates and requests ---- */

static void
set_name(json_t *doc, const char *name, const X509_NAME *x)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio != NULL && X509_NAME_print_ex(bio, x, 0, XN_FLAG_RFC2253) >= 0) {
        const long len = BIO_get_mem_data(bio, &text);
        (void)json_object_set_new(doc, name, json_stringn(text, (size_t)len));
    }
    BIO_free(bio);
}

static void
set_time(json_t *doc, const char *name, const ASN1_TIME *t)
{
    char text[BH_TIME_MAX];
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) == 1)
        set_text(doc, name, bh_time_text((int64_t)timegm(&tm), text));
}

static void
set_names(json_t *doc, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    json_t *list = json_array();

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        if (bio != NULL && GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i)) == 1) {
            const long len = BIO_get_mem_data(bio, &text);
            (void)json_array_append_new(list, json_stringn(text, (size_t)len));
        }
        BIO_free(bio);
    }
    (void)json_object_set_new(doc, "subject_alternative_names", list);
    GENERAL_NAMES_free(names);
}

static void
set_ear(json_t *doc, const X509 *cert)
{
    uint8_t *cwt = NULL;
    json_t *claims = NULL;
    size_t len = 0;

    if (bh_ear_from_cert(cert, &cwt, &len, NULL) == BH_OK &&
        ear_claims(bh_span(cwt, len), NULL, &claims, NULL) == BH_OK)
        (void)json_object_set_new(doc, "ear", claims);
    free(cwt);
}

static json_t *
certificate_json(X509 *cert)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    json_t *doc = json_object();
    char hex[2 * 64 + 1];

    set_name(doc, "subject", X509_get_subject_name(cert));
    set_name(doc, "issuer", X509_get_issuer_name(cert));
    set_text(doc, "serial",
        bh_hex(bh_span(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)), hex,
            sizeof(hex)));
    set_time(doc, "not_before", X509_get0_notBefore(cert));
    set_time(doc, "not_after", X509_get0_notAfter(cert));
    set_text(doc, "key", bh_key_name(X509_get0_pubkey(cert)));
    (void)json_object_set_new(doc, "ca", json_boolean(X509_check_ca(cert) == 1));
    set_names(doc, cert);
    set_ear(doc, cert);
    return doc;
}

static enum bh_err
inspect_certificates(const struct bh_input *in, const struct bh_trust_inputs *trust,
    json_t **ret_doc, struct bh_diag *diag)
{
    json_t *list = json_array();
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < in->certs_len; i++)
        (void)json_array_append_new(list, certificate_json(in->certs[i]));
    *ret_doc = json_pack("{s:s,s:o}", "kind", "certificate", "certificates", list);
    if (trust == NULL)
        return BH_OK;
    if (trust->anchors_len == 0)
        e = bh_refuse(diag, BH_ERR_USAGE, "certificate.chain", "--trust-anchor FILE", "none given",
            "a certificate is verified up to the anchors that are given");
    else
        e = bh_x509_verify(in->certs[0], in->certs + 1, in->certs_len - 1, trust->anchors,
            trust->anchors_len, trust->at, diag);
    (void)json_object_set_new(*ret_doc, "authentic", json_boolean(e == BH_OK));
    return e;
}

static enum bh_err
inspect_csr(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t **ret_doc,
    struct bh_diag *diag)
{
    char hex[2 * BH_SPKI_MAX + 1];
    struct bh_csr csr;
    enum bh_err e;

    if ((e = bh_csr_read(in->bytes, &csr, diag)) != BH_OK)
        return e;
    *ret_doc = json_pack("{s:s,s:s,s:s}", "kind", "certificate-request", "key",
        bh_key_name(csr.key), "spki", bh_hex(bh_span(csr.spki, csr.spki_len), hex, sizeof(hex)));
    if (trust != NULL)
        (void)json_object_set_new(*ret_doc, "authentic", json_true());
    bh_csr_clear(&csr);
    return BH_OK;
}

/* ---- texts ---- */

static enum bh_err
inspect_policy(const struct bh_input *in, json_t **ret_doc, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL;
    json_t *form = NULL;
    char hex[65];
    enum bh_err e;

    if ((e = ev_policy_parse(in->bytes, &policy, diag)) != BH_OK)
        return e;
    if ((e = bh_json_parse(in->bytes, BH_POLICY_MAX, &form, diag)) == BH_OK)
        *ret_doc = json_pack("{s:s,s:s,s:s,s:b,s:o}", "kind", "policy", "workload",
            ev_policy_workload(policy), "digest",
            bh_hex(bh_span(ev_policy_digest(policy), 32), hex, sizeof(hex)), "simulated",
            ev_policy_simulated(policy), "policy", form);
    ev_policy_free(policy);
    return e;
}

/* C2SP tlog-checkpoint: origin, tree size, root hash; then the signatures. */
static enum bh_err
inspect_checkpoint(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t **ret_doc,
    struct bh_diag *diag)
{
    char lines[3][TEXT_MAX] = {{0}};
    struct bh_span rest = in->bytes;

    for (size_t i = 0; i < BH_COUNT(lines); i++) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        const size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        if (end == NULL || len == 0 || len >= sizeof(lines[i]))
            return bh_refuse(diag, BH_ERR_MALFORMED, "checkpoint.form",
                "three lines: origin, size, root hash (C2SP tlog-checkpoint)", NULL,
                "the checkpoint is malformed");
        memcpy(lines[i], rest.ptr, len);
        rest = bh_span(end + 1, rest.len - len - 1);
    }
    *ret_doc = json_pack("{s:s,s:s,s:s,s:s}", "kind", "log-checkpoint", "origin", lines[0], "size",
        lines[1], "root_hash", lines[2]);
    if (*ret_doc == NULL)
        return bh_refuse(diag, BH_ERR_MALFORMED, "checkpoint.form", "UTF-8", NULL,
            "the checkpoint is malformed");
    if (trust == NULL)
        return BH_OK;
    (void)json_object_set_new(*ret_doc, "authentic", json_false());
    return bh_refuse(diag, BH_ERR_UNSUPPORTED, "checkpoint.signature", "a log of this deployment",
        "this version keeps none", "checkpoints cannot be verified yet");
}

enum bh_err
bh_inspect_other(const struct bh_input *input, const struct bh_trust_inputs *trust,
    json_t **ret_doc, struct bh_diag *diag)
{
    switch (input->kind) {
    case BH_INPUT_CERTIFICATE:
        return inspect_certificates(input, trust, ret_doc, diag);
    case BH_INPUT_CSR:
        return inspect_csr(input, trust, ret_doc, diag);
    case BH_INPUT_EAR_CWT:
        return inspect_ear(input, trust, ret_doc, diag);
    case BH_INPUT_EAR_JWT:
        return inspect_jwt(input, trust, ret_doc, diag);
    case BH_INPUT_POLICY:
        return inspect_policy(input, ret_doc, diag);
    case BH_INPUT_CHECKPOINT:
        return inspect_checkpoint(input, trust, ret_doc, diag);
    default:
        return bh_refuse(diag, BH_ERR_MALFORMED, "input",
            "evidence, certificate, request, EAR, policy or checkpoint", "none of them",
            "%s is of no kind that is known here", input->path);
    }
}
