/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report that Azure's paravisor (HCL) keeps in the virtual TPM of a confidential machine: the
 * hardware's own evidence, whose REPORT_DATA is the digest of a JSON document, which holds the
 * public halves of AK and EK. It makes the TPM as good as the hardware, where a policy says which
 * paravisor may have written the document.
 *
 * Layout (little-endian): head of 32 bytes that begins with "HCLA"; SNP report or TDREPORT in 1184
 * bytes; size, version, type (2 SNP, 4 TDX), hash (1 SHA-256), length; the document; zeros.
 */
#include "tpm2.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define HEAD_LEN 32
#define HARDWARE_LEN 1184
#define RUNTIME_HEAD_LEN 20
#define HASH_SHA256 1
#define DOCUMENT_MAX 8192
#define RSA_BYTES_MAX 512

static const char *const dcap_labels[] = {
    "tcb_info", "qe_identity", "tcb_signing_chain", "pck_crl", "pck_crl_chain", "root_crl"};

bool
ev_tpm2_hcl_label(const char *label)
{
    for (size_t i = 0; i < BH_COUNT(dcap_labels); i++)
        if (strcmp(label, dcap_labels[i]) == 0)
            return true;
    return strcmp(label, "vcek") == 0 || strcmp(label, "td_quote") == 0;
}

void
ev_tpm2_hcl_clear(struct ev_tpm2_hcl *hcl)
{
    if (hcl->hardware != NULL && hcl->state != NULL)
        hcl->hardware->free(hcl->state);
    *hcl = (struct ev_tpm2_hcl){0};
}

/* ---- the document ---- */

static enum bh_err
read_number(const json_t *jwk, const char *name, uint8_t *out, size_t *ret_len)
{
    const char *text;
    enum bh_err e;

    if ((e = bh_json_string(jwk, name, false, &text, NULL)) != BH_OK)
        return e;
    return bh_unbase64url(bh_span_str(text), out, RSA_BYTES_MAX, ret_len);
}

/* One key of the set (RFC 7517), by its kid, as SubjectPublicKeyInfo. */
static enum bh_err
read_jwk(const json_t *keys, const char *kid, uint8_t out[BH_SPKI_MAX], size_t *ret_len)
{
    uint8_t n[RSA_BYTES_MAX], exponent[RSA_BYTES_MAX];
    const json_t *found = NULL;
    size_t n_len, e_len;

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *jwk = json_array_get(keys, i);
        const char *id = json_string_value(json_object_get(jwk, "kid"));

        if (id == NULL || strcmp(id, kid) != 0)
            continue;
        if (found != NULL)
            return BH_ERR_MALFORMED;
        found = jwk;
    }
    const char *kty = json_string_value(json_object_get(found, "kty"));
    if (kty == NULL || strcmp(kty, "RSA") != 0 || read_number(found, "n", n, &n_len) != BH_OK ||
        read_number(found, "e", exponent, &e_len) != BH_OK || n_len == 0 || e_len == 0)
        return BH_ERR_MALFORMED;
    return ev_tpm2_rsa_spki(bh_span(n, n_len), bh_span(exponent, e_len), out, BH_SPKI_MAX, ret_len);
}

static const char *
read_document(struct ev_tpm2_hcl *hcl)
{
    const char *fault = NULL;
    json_t *root, *keys;

    if (bh_json_parse(hcl->document, DOCUMENT_MAX, &root, NULL) != BH_OK)
        return "a document that is no JSON";
    keys = json_object_get(root, "keys");
    if (read_jwk(keys, "HCLAkPub", hcl->ak, &hcl->ak_len) != BH_OK)
        fault = "a document without one RSA key HCLAkPub";
    if (fault == NULL && read_jwk(keys, "HCLEkPub", hcl->ek, &hcl->ek_len) != BH_OK)
        hcl->ek_len = 0;
    hcl->secure_boot =
        json_is_true(json_object_get(json_object_get(root, "vm-configuration"), "secure-boot"));
    json_decref(root);
    return fault;
}

/* ---- the report ---- */

static void
add(struct bh_cmw *cmw, const char *label, struct bh_span value)
{
    struct bh_cmw_record *r = &cmw->records[cmw->count++];

    (void)snprintf(r->label, sizeof(r->label), "%s", label);
    r->value = value;
}

/* The hardware's evidence as the collection that its own platform reads. */
static enum bh_err
read_hardware(struct bh_span hardware, const struct bh_cmw *from, struct ev_tpm2_hcl *hcl,
    struct ev_report *report)
{
    const bool tdx = hcl->hardware == &ev_intel_tdx;
    const struct bh_cmw_record *quote = bh_cmw_find(from, "td_quote");
    const struct bh_cmw_record *vcek = bh_cmw_find(from, "vcek");
    static const struct bh_cmw empty = {.collection = true};
    struct bh_cmw cmw = empty;

    if (tdx && quote == NULL)
        return ev_tpm2_malformed(
            report, "hcl_report", "a record \"td_quote\" beside the report of a TD", "none");
    if (tdx ? vcek != NULL : quote != NULL)
        return ev_tpm2_malformed(
            report, "collection", "the records of the hardware of hcl_report", "others");
    (void)snprintf(cmw.collection_type, sizeof(cmw.collection_type), "tag:beachhead,2026:%s",
        tdx ? "intel-dcap" : "amd-sev-snp");
    if (tdx)
        add(&cmw, "quote", quote->value);
    else
        add(&cmw, "report", hardware);
    if (vcek != NULL)
        add(&cmw, "vcek", vcek->value);
    for (size_t i = 0; i < BH_COUNT(dcap_labels); i++) {
        const struct bh_cmw_record *r = bh_cmw_find(from, dcap_labels[i]);

        if (r != NULL && !tdx)
            return ev_tpm2_malformed(
                report, "collection", "the records of the hardware of hcl_report", r->label);
        if (r != NULL)
            add(&cmw, r->label, r->value);
    }
    if (!hcl->hardware->takes_collection(&cmw))
        return ev_tpm2_malformed(report, "hcl_report", "a quote of a TD", "another quote");
    return hcl->hardware->decode_collection(&cmw, bh_span_none(), report, &hcl->state);
}

enum bh_err
ev_tpm2_hcl_read(struct bh_span bytes, const struct bh_cmw *cmw, struct ev_tpm2_hcl *ret_hcl,
    struct ev_report *report)
{
    struct ev_tpm2_hcl hcl = {0};
    const char *fault = NULL;
    struct bh_reader r;
    enum bh_err e;

    bh_reader_init(&r, bytes);
    const struct bh_span head = bh_reader_take(&r, HEAD_LEN);
    const struct bh_span hardware = bh_reader_take(&r, HARDWARE_LEN);
    const uint32_t size = bh_reader_u32le(&r);
    (void)bh_reader_u32le(&r); /* version */
    const uint32_t type = bh_reader_u32le(&r);
    const uint32_t hash = bh_reader_u32le(&r);
    const uint32_t len = bh_reader_u32le(&r);
    hcl.document = bh_reader_take(&r, len <= DOCUMENT_MAX ? len : SIZE_MAX);
    const struct bh_span rest = bh_reader_take(&r, bh_reader_left(&r));
    if (!bh_reader_ok(&r) || memcmp(head.ptr, "HCLA", 4) != 0 || len == 0)
        fault = "bytes that do not begin with HCLA and a whole document";
    else if (size != RUNTIME_HEAD_LEN + len || !bh_span_is_zero(rest))
        fault = "another size than it says, or bytes after it";
    else if (type != 2 && type != 4)
        fault = "a report of hardware that is neither SNP nor TDX";
    else if (hash != HASH_SHA256)
        fault = "a document that is bound by another hash than SHA-256";
    else
        fault = read_document(&hcl);
    if (fault != NULL)
        return ev_tpm2_malformed(report, "hcl_report", "a report of Azure's paravisor", fault);
    hcl.hardware = type == 4 ? &ev_intel_tdx : &ev_amd_sev_snp;
    if ((e = read_hardware(hardware, cmw, &hcl, report)) != BH_OK)
        return e;
    *ret_hcl = hcl;
    return BH_OK;
}

enum bh_err
ev_tpm2_check_hcl(const struct ev_tpm2 *t, struct ev_report *report)
{
    const struct ev_tpm2_hcl *hcl = &t->hcl;
    uint8_t data[BH_BINDING_LEN] = {0};
    struct ev_report own;
    enum bh_err e;

    if ((e = bh_sha2(256, hcl->document, data)) != BH_OK)
        return ev_refuse(report, e, "signature", EV_TPM2_NAME ".hcl_report", NULL, NULL, NULL);
    ev_report_init(&own, false);
    if (hcl->hardware->bind(hcl->state, data, bh_span_none(), &own) != BH_OK)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_TPM2_NAME ".hcl_report",
            own.diag.expected, own.diag.found,
            "the hardware's report is not about the document that names the AK");
    ev_pass(report, "signature", EV_TPM2_NAME ".hcl_report",
        "REPORT_DATA is the digest of the document that names the AK", "it is");
    return BH_OK;
}
