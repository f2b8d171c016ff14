/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of ECDSA quotes, little-endian: header, body, signature data. */
#include "intel.h"

#include "core/text.h"

#include <stdio.h>

#define SOURCE "Intel DCAP quote"
#define HEADER_LEN 48
#define SGX_LEN 384
#define TD10_LEN 584
#define TD15_LEN 648
#define QE_REPORT_LEN 384
#define SIGNATURE_LEN 64
#define KEY_LEN 64
#define AUTH_MAX 4096
#define TEE_SGX 0x00
#define TEE_TDX 0x81
#define KEY_P256 2
#define CERT_PEM_CHAIN 5
#define CERT_QE_REPORT 6

enum body { /* of version 5 */
    BODY_SGX = 1,
    BODY_TD10 = 2,
    BODY_TD15 = 3,
};

static const uint8_t intel_vendor[16] = {
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

bool
ev_intel_looks_like(struct bh_span raw, bool *ret_tdx)
{
    struct bh_reader r;

    bh_reader_init(&r, raw);
    const uint16_t version = bh_reader_u16le(&r);
    const uint16_t key_type = bh_reader_u16le(&r);
    const uint32_t tee = bh_reader_u32le(&r);
    if (!bh_reader_ok(&r) || version < 3 || version > 5 || key_type == 0 || key_type > 3)
        return false;
    *ret_tdx = version > 3 && tee == TEE_TDX;
    return true;
}

static enum bh_err
malformed(const struct ev_intel *q, struct ev_report *report, const char *what,
    const char *expected, const char *found)
{
    return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, what, expected, found,
        "send the quote as the quoting library returned it");
}

static struct ev_intel_enclave
read_enclave(struct bh_span raw)
{
    struct ev_intel_enclave e = {.raw = raw};
    struct bh_reader r;

    bh_reader_init(&r, raw);
    e.cpu_svn = bh_reader_take(&r, 16);
    e.misc_select = bh_reader_u32le(&r);
    (void)bh_reader_take(&r, 12);
    e.isv_ext_prod_id = bh_reader_take(&r, 16);
    e.attributes = bh_reader_take(&r, 16);
    e.mrenclave = bh_reader_take(&r, 32);
    (void)bh_reader_take(&r, 32);
    e.mrsigner = bh_reader_take(&r, 32);
    (void)bh_reader_take(&r, 32);
    e.config_id = bh_reader_take(&r, 64);
    e.isv_prod_id = bh_reader_u16le(&r);
    e.isv_svn = bh_reader_u16le(&r);
    e.config_svn = bh_reader_u16le(&r);
    (void)bh_reader_take(&r, 42);
    e.isv_family_id = bh_reader_take(&r, 16);
    e.report_data = bh_reader_take(&r, 64);
    return e;
}

static struct ev_intel_td
read_td(struct bh_span raw)
{
    struct ev_intel_td td;
    struct bh_reader r;

    bh_reader_init(&r, raw);
    td.tee_tcb_svn = bh_reader_take(&r, 16);
    td.mrseam = bh_reader_take(&r, 48);
    td.mrsignerseam = bh_reader_take(&r, 48);
    td.seam_attributes = bh_reader_take(&r, 8);
    td.td_attributes = bh_reader_take(&r, 8);
    td.xfam = bh_reader_take(&r, 8);
    td.mrtd = bh_reader_take(&r, 48);
    td.mrconfigid = bh_reader_take(&r, 48);
    td.mrowner = bh_reader_take(&r, 48);
    td.mrownerconfig = bh_reader_take(&r, 48);
    for (size_t i = 0; i < EV_INTEL_RTMRS; i++)
        td.rtmr[i] = bh_reader_take(&r, 48);
    td.report_data = bh_reader_take(&r, 64);
    td.tee_tcb_svn2 = td.mrservicetd = bh_span_none();
    if (raw.len == TD15_LEN) {
        td.tee_tcb_svn2 = bh_reader_take(&r, 16);
        td.mrservicetd = bh_reader_take(&r, 48);
    }
    return td;
}

static enum bh_err
read_header(struct bh_reader *r, struct ev_intel *q, struct ev_report *report)
{
    char found[BH_VALUE_MAX];

    q->version = bh_reader_u16le(r);
    q->key_type = bh_reader_u16le(r);
    q->tee_type = bh_reader_u32le(r);
    q->qe_svn = bh_reader_u16le(r);
    q->pce_svn = bh_reader_u16le(r);
    q->vendor_id = bh_reader_take(r, 16);
    q->user_data = bh_reader_take(r, 20);
    if (!bh_reader_ok(r))
        return malformed(q, report, "header", "48 bytes", "fewer");
    if (q->version < (q->tdx ? 4 : 3) || q->version > 5) {
        (void)snprintf(found, sizeof(found), "version %u", q->version);
        return ev_intel_refuse(q, report, BH_ERR_UNSUPPORTED, SOURCE, "header",
            q->tdx ? "version 4 or 5" : "version 3, 4 or 5", found, NULL);
    }
    if (q->tee_type != (q->tdx ? TEE_TDX : TEE_SGX)) {
        (void)snprintf(found, sizeof(found), "%08x", (unsigned)q->tee_type);
        return malformed(
            q, report, "header", q->tdx ? "TEE type 00000081" : "TEE type 00000000", found);
    }
    if (q->key_type != KEY_P256) {
        (void)snprintf(found, sizeof(found), "key type %u", q->key_type);
        return ev_intel_refuse(q, report, BH_ERR_UNSUPPORTED, SOURCE, "header",
            "key type 2, ECDSA over P-256 with SHA-256", found, NULL);
    }
    if (!bh_span_equal(q->vendor_id, bh_span(intel_vendor, sizeof(intel_vendor))))
        return malformed(q, report, "header", "939a7233f79c4ca9940a0db3957f0607, Intel's QE",
            bh_hex(q->vendor_id, found, sizeof(found)));
    return BH_OK;
}

/* The length of the body: by version and TEE, or as version 5 says itself. 0: refused. */
static size_t
body_len(struct bh_reader *r, struct ev_intel *q)
{
    uint32_t size;

    if (q->version < 5)
        return q->tdx ? TD10_LEN : SGX_LEN;
    q->body_type = bh_reader_u16le(r);
    size = bh_reader_u32le(r);
    if (!bh_reader_ok(r))
        return 0;
    if (!q->tdx && q->body_type == BODY_SGX && size == SGX_LEN)
        return size;
    if (q->tdx && q->body_type == BODY_TD10 && size == TD10_LEN)
        return size;
    if (q->tdx && q->body_type == BODY_TD15 && size == TD15_LEN)
        return size;
    return 0;
}

static enum bh_err
read_body(struct bh_reader *r, struct ev_intel *q, struct ev_report *report)
{
    const size_t len = body_len(r, q);
    struct bh_span body;

    if (len == 0)
        return malformed(
            q, report, "body", "a body of a type and size of this TEE", "another type or size");
    body = bh_reader_take(r, len);
    if (!bh_reader_ok(r))
        return malformed(q, report, "body", "a whole report", "a part of one");
    if (q->tdx) {
        q->td = read_td(body);
        q->report_data = q->td.report_data;
    } else {
        q->enclave = read_enclave(body);
        q->report_data = q->enclave.report_data;
    }
    return BH_OK;
}

/* What certifies the attestation key: the QE's report, its signature, and the PCK's certificates.
 */
static void
read_certification(struct bh_reader *r, struct ev_intel *q)
{
    q->qe_report_and_signature = bh_reader_take(r, QE_REPORT_LEN + SIGNATURE_LEN);
    if (bh_reader_ok(r)) {
        q->qe = read_enclave(bh_span(q->qe_report_and_signature.ptr, QE_REPORT_LEN));
        q->qe_signature = bh_span(q->qe_report_and_signature.ptr + QE_REPORT_LEN, SIGNATURE_LEN);
    }
    const uint16_t auth_len = bh_reader_u16le(r);
    if (auth_len > AUTH_MAX)
        bh_reader_spoil(r);
    q->qe_auth = bh_reader_take(r, auth_len);
    q->cert_type = bh_reader_u16le(r);
    q->cert_data = bh_reader_take(r, bh_reader_u32le(r));
}

static enum bh_err
read_signature_data(struct bh_span data, struct ev_intel *q, struct ev_report *report)
{
    struct bh_reader r, inner;
    char found[BH_VALUE_MAX];

    bh_reader_init(&r, data);
    q->signature = bh_reader_take(&r, SIGNATURE_LEN);
    q->key = bh_reader_take(&r, KEY_LEN);
    if (q->version == 3) {
        read_certification(&r, q);
    } else {
        const uint16_t type = bh_reader_u16le(&r);

        if (bh_reader_ok(&r) && type != CERT_QE_REPORT) {
            (void)snprintf(found, sizeof(found), "type %u", type);
            return ev_intel_refuse(q, report, BH_ERR_UNSUPPORTED, SOURCE, "certification_data",
                "type 6, a QE report with its certification", found, NULL);
        }
        bh_reader_init(&inner, bh_reader_take(&r, bh_reader_u32le(&r)));
        read_certification(&inner, q);
        if (bh_reader_end(&inner) != BH_OK)
            bh_reader_spoil(&r);
    }
    if (bh_reader_end(&r) != BH_OK)
        return malformed(q, report, "signature_data",
            "signature, key, QE report, its signature, authentication and certification data",
            "fewer bytes, or more");
    return BH_OK;
}

/* Types 1 to 4 and 7 are Intel's and bring no chain: authentication refuses them by name. */
static enum bh_err
read_certificates(struct ev_intel *q, struct ev_report *report)
{
    struct bh_diag diag = {0};
    char found[BH_VALUE_MAX];

    if (q->cert_type == 0 || q->cert_type > 7 || q->cert_type == CERT_QE_REPORT) {
        (void)snprintf(found, sizeof(found), "type %u", q->cert_type);
        return ev_intel_refuse(q, report, BH_ERR_UNSUPPORTED, SOURCE, "certification_data",
            "type 5, the PCK certificate's chain in PEM", found, NULL);
    }
    if (q->cert_type != CERT_PEM_CHAIN)
        return BH_OK;
    if (ev_intel_chain_read(q->cert_data, &q->chain, &diag) != BH_OK)
        return malformed(q, report, "certification_data",
            "PCK certificate, its CA and the root in PEM, and nothing else", diag.detail);
    if (q->chain.len != EV_INTEL_PATH_MAX) {
        (void)snprintf(found, sizeof(found), "%zu certificates", q->chain.len);
        return malformed(
            q, report, "certification_data", "PCK certificate, its CA and the root in PEM", found);
    }
    if (ev_intel_pck_read(&q->chain.certs[0], &q->pck, &diag) != BH_OK)
        return malformed(
            q, report, "pck_certificate", "an SGX extension of Intel's PCK profile", diag.detail);
    return BH_OK;
}

enum bh_err
ev_intel_read_quote(struct bh_span raw, struct ev_intel *q, struct ev_report *report)
{
    struct bh_reader r;
    struct bh_span data;
    enum bh_err e;

    if (raw.len > BH_EVIDENCE_MAX)
        return malformed(q, report, "quote", "at most 128 KiB", "more");
    bh_reader_init(&r, raw);
    if ((e = read_header(&r, q, report)) != BH_OK || (e = read_body(&r, q, report)) != BH_OK)
        return e;
    q->signed_ = bh_span(raw.ptr, bh_reader_off(&r));
    data = bh_reader_take(&r, bh_reader_u32le(&r));
    if (!bh_reader_ok(&r))
        return malformed(q, report, "signature_data", "as many bytes as its length says", "fewer");
    /* Buffers are longer than what stands in them. */
    if (!bh_span_is_zero(bh_reader_take(&r, bh_reader_left(&r))))
        return malformed(
            q, report, "quote", "the quote, and zeros at most behind it", "other bytes behind it");
    if ((e = read_signature_data(data, q, report)) != BH_OK)
        return e;
    return read_certificates(q, report);
}
