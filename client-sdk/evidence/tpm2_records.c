/* SPDX-License-Identifier: Apache-2.0 */
/* The records of TPM evidence, one by one: in a collection, or as files beside a quote. */
#include "tpm2.h"

#include <stdio.h>

enum bh_err
ev_tpm2_read_signature(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (ev_tpm2_signature_read(bytes, &t->signature, &diag) != BH_OK)
        return ev_tpm2_malformed(report, "signature",
            "a TPMT_SIGNATURE of RSASSA, RSAPSS or ECDSA with SHA-256, SHA-384 or SHA-512",
            diag.detail);
    t->has_signature = true;
    return BH_OK;
}

enum bh_err
ev_tpm2_read_pcrs(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (ev_tpm2_pcrs_read(bytes, &t->pcrs, &diag) != BH_OK)
        return ev_tpm2_malformed(
            report, "pcrs", "{\"sha256\": {\"0\": hex, ...}, ...}", diag.detail);
    t->has_pcrs = true;
    return BH_OK;
}

enum bh_err
ev_tpm2_read_ak(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (ev_tpm2_public_read(bytes, &t->ak, &diag) != BH_OK)
        return ev_tpm2_malformed(
            report, "ak", "the TPMT_PUBLIC of the attestation key", diag.detail);
    t->has_ak = true;
    return BH_OK;
}

enum bh_err
ev_tpm2_read_ak_cert(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    return ev_tpm2_certs_read(bytes, &t->ak_cert, &diag) == BH_OK
               ? BH_OK
               : ev_tpm2_malformed(report, "ak_cert",
                     "the AK's certificate and those above it, DER or PEM", diag.detail);
}

enum bh_err
ev_tpm2_read_ek_cert(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    return ev_tpm2_certs_read(bytes, &t->ek_cert, &diag) == BH_OK
               ? BH_OK
               : ev_tpm2_malformed(report, "ek_cert",
                     "the EK's certificate and those above it, DER or PEM", diag.detail);
}

enum bh_err
ev_tpm2_read_log(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (ev_tcg_log_read(bytes, &t->log, &diag) != BH_OK)
        return ev_tpm2_malformed(report, "event_log", "a TCG event log", diag.detail);
    t->has_log = true;
    return BH_OK;
}

/* What is not there leaves @p ret_bytes empty. */
static enum bh_err
ask(const struct ev_trust *trust, const char *kind, struct bh_span *ret_bytes,
    struct ev_report *report)
{
    struct bh_diag diag = {0};
    char name[BH_CHECK_MAX];
    enum bh_err e;

    *ret_bytes = bh_span_none();
    e = trust->collateral(trust->collateral_arg, kind, bh_span_none(), ret_bytes, &diag);
    if (e == BH_OK || e == BH_ERR_COLLATERAL_MISSING)
        return BH_OK;
    (void)snprintf(name, sizeof(name), EV_TPM2_NAME ".%s", kind);
    return ev_refuse(report, e, "collateral", name, "an answer about the file beside the quote",
        diag.detail, diag.hint);
}

/* Files that may lie beside a quote, as far as they are not there yet. */
static enum bh_err
read_files(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report)
{
    static const struct {
        const char *kind;
        enum bh_err (*read)(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
    } files[] = {
        {"pcrs.json", ev_tpm2_read_pcrs},
        {"ak_pub.tpmt", ev_tpm2_read_ak},
        {"ak_cert.der", ev_tpm2_read_ak_cert},
        {"ek_cert.der", ev_tpm2_read_ek_cert},
        {"eventlog.bin", ev_tpm2_read_log},
    };
    const bool there[BH_COUNT(files)] = {
        t->has_pcrs, t->has_ak, t->ak_cert.len > 0, t->ek_cert.len > 0, t->has_log};
    struct bh_span bytes;
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(files); i++) {
        if (there[i])
            continue;
        if ((e = ask(trust, files[i].kind, &bytes, report)) != BH_OK)
            return e;
        if (bytes.len > 0 && (e = files[i].read(t, bytes, report)) != BH_OK)
            return e;
    }
    return BH_OK;
}

static enum bh_err
read_signature_file(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report)
{
    char by_bank[32];
    const char *const names[] = {"signature.bin", "quote.sig.tpmt", "quote.sig", by_bank};
    struct bh_span bytes;
    enum bh_err e;

    (void)snprintf(by_bank, sizeof(by_bank), "quote_%s.sig.tpmt",
        ev_tpm2_bank_name(t->attest.selections[0].bank));
    for (size_t i = 0; i < BH_COUNT(names) && !t->has_signature; i++) {
        if ((e = ask(trust, names[i], &bytes, report)) != BH_OK)
            return e;
        if (bytes.len > 0 && (e = ev_tpm2_read_signature(t, bytes, report)) != BH_OK)
            return e;
    }
    return BH_OK;
}

/* Azure's report and its TD's quote, by the reader of a collection. */
static enum bh_err
read_hcl_files(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report)
{
    struct bh_span hcl, td = bh_span_none();
    struct bh_cmw cmw = {.collection = true};
    enum bh_err e;

    if ((e = ask(trust, "hcl_report.bin", &hcl, report)) != BH_OK || hcl.len == 0)
        return e;
    if ((e = ask(trust, "td_quote.bin", &td, report)) != BH_OK)
        return e;
    if (td.len > 0) {
        (void)snprintf(cmw.records[0].label, sizeof(cmw.records[0].label), "td_quote");
        cmw.records[0].value = td;
        cmw.count = 1;
    }
    return ev_tpm2_hcl_read(hcl, &cmw, &t->hcl, report);
}

enum bh_err
ev_tpm2_read_beside(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report)
{
    enum bh_err e;

    if (trust->collateral == NULL)
        return BH_OK;
    if ((e = read_signature_file(t, trust, report)) != BH_OK ||
        (e = read_files(t, trust, report)) != BH_OK)
        return e;
    return t->hcl.hardware == NULL ? read_hcl_files(t, trust, report) : BH_OK;
}
