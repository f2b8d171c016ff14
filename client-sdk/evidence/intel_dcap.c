/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two platforms of Intel's quotes: recognise, decode a quote alone or in its collection,
 * binding. They share one collection and are told apart by version and TEE type of the quote.
 */
#include "intel.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SOURCE "Intel DCAP quote"

static const struct {
    const char *label;
    const char *file;
} kinds[EV_INTEL_KINDS] = {
    [EV_INTEL_TCB_INFO] = {"tcb_info", "tcb_info.json"},
    [EV_INTEL_QE_IDENTITY] = {"qe_identity", "qe_identity.json"},
    [EV_INTEL_TCB_SIGNING_CHAIN] = {"tcb_signing_chain", "tcb_signing_chain.pem"},
    [EV_INTEL_PCK_CRL] = {"pck_crl", "pck_crl.der"},
    [EV_INTEL_PCK_CRL_CHAIN] = {"pck_crl_chain", "pck_crl_chain.pem"},
    [EV_INTEL_ROOT_CRL] = {"root_crl", "root_crl.der"},
};

const char *
ev_intel_label(enum ev_intel_kind kind)
{
    return kinds[kind].label;
}

const char *
ev_intel_file(enum ev_intel_kind kind)
{
    return kinds[kind].file;
}

void
ev_intel_pass(const struct ev_intel *q, struct ev_report *report, const char *source,
    const char *what, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    if (!report->detailed)
        return;
    (void)snprintf(name, sizeof(name), "%s.%s", q->platform->name, what);
    ev_pass(report, source, name, expected, found);
}

enum bh_err
ev_intel_refuse(const struct ev_intel *q, struct ev_report *report, enum bh_err err,
    const char *source, const char *what, const char *expected, const char *found, const char *hint)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), "%s.%s", q->platform->name, what);
    return ev_refuse(report, err, source, name, expected, found, hint);
}

/* ---- decode ---- */

static bool
takes(const char *media_type)
{
    /* A quote travels in a collection. */
    (void)media_type;
    return false;
}

static bool
recognises_sgx(struct bh_span raw)
{
    bool tdx;

    return ev_intel_looks_like(raw, &tdx) && !tdx;
}

static bool
recognises_tdx(struct bh_span raw)
{
    bool tdx;

    return ev_intel_looks_like(raw, &tdx) && tdx;
}

static void
free_state(void *state)
{
    struct ev_intel *q = state;

    if (q == NULL)
        return;
    ev_intel_chain_clear(&q->chain);
    free(q);
}

/* ---- the collection ---- */

static bool
is_tdx_collection(const struct bh_cmw *cmw)
{
    const struct bh_cmw_record *quote = bh_cmw_find(cmw, "quote");
    bool tdx = false;

    return quote != NULL && ev_intel_looks_like(quote->value, &tdx) && tdx;
}

/* A collection whose quote is missing or looks like none is refused by the one of SGX. */
static bool
takes_sgx_collection(const struct bh_cmw *cmw)
{
    return strcasecmp(cmw->collection_type, EV_INTEL_COLLECTION) == 0 && !is_tdx_collection(cmw);
}

static bool
takes_tdx_collection(const struct bh_cmw *cmw)
{
    return strcasecmp(cmw->collection_type, EV_INTEL_COLLECTION) == 0 && is_tdx_collection(cmw);
}

static enum bh_err
take_event_log(struct ev_intel *q, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (!q->tdx)
        return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, "event_log",
            "no event log beside an enclave's quote", "one", NULL);
    if (ev_tcg_log_read(bytes, &q->log, &diag) != BH_OK)
        return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, "TCG PFP 10", "event_log",
            "an event log (CCEL), whole", diag.detail,
            "send /sys/firmware/acpi/tables/data/CCEL as it is");
    q->event_log = bytes;
    q->has_event_log = true;
    return BH_OK;
}

static enum bh_err
take_record(struct ev_intel *q, const struct bh_cmw_record *record, struct ev_report *report)
{
    char found[BH_VALUE_MAX];

    if (strcmp(record->label, "quote") == 0)
        return BH_OK;
    if (strcmp(record->label, "event_log") == 0)
        return take_event_log(q, record->value, report);
    for (size_t i = 0; i < EV_INTEL_KINDS; i++) {
        if (strcmp(record->label, kinds[i].label) != 0)
            continue;
        if (record->value.len == 0 || record->value.len > BH_COLLATERAL_MAX)
            return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, kinds[i].label,
                "1 byte to 64 KiB", "another length", NULL);
        q->given[i] = record->value;
        return BH_OK;
    }
    (void)snprintf(found, sizeof(found), "\"%s\"", record->label);
    return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, "RFC 9999", "collection",
        "quote, tcb_info, qe_identity, tcb_signing_chain, pck_crl, pck_crl_chain, root_crl, "
        "event_log",
        found, NULL);
}

static enum bh_err
read_collection(const struct bh_cmw *cmw, struct ev_intel *q, struct ev_report *report)
{
    const struct bh_cmw_record *quote = bh_cmw_find(cmw, "quote");
    enum bh_err e;

    if (quote == NULL)
        return ev_intel_refuse(q, report, BH_ERR_EVIDENCE_MALFORMED, "RFC 9999", "collection",
            "a record \"quote\"", "none", NULL);
    for (size_t i = 0; i < cmw->count; i++)
        if ((e = take_record(q, &cmw->records[i], report)) != BH_OK)
            return e;
    return ev_intel_read_quote(quote->value, q, report);
}

static enum bh_err
decode_as(const struct ev_platform *platform, const struct bh_cmw *cmw, struct bh_span raw,
    struct ev_report *report, void **ret_state)
{
    struct ev_intel *q = calloc(1, sizeof(*q));
    enum bh_err e;

    if (q == NULL)
        return ev_refuse(
            report, BH_ERR_NOMEM, "memory", "evidence.memory", "enough memory", "too little", NULL);
    q->platform = platform;
    q->tdx = platform == &ev_intel_tdx;
    e = cmw != NULL ? read_collection(cmw, q, report) : ev_intel_read_quote(raw, q, report);
    if (e != BH_OK) {
        free_state(q);
        return e;
    }
    ev_intel_pass(q, report, SOURCE, "quote", "a well-formed quote",
        q->tdx ? "one of a TD" : "one of an enclave");
    *ret_state = q;
    return BH_OK;
}

static enum bh_err
decode_sgx(const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state)
{
    return decode_as(&ev_intel_sgx, cmw, raw, report, ret_state);
}

static enum bh_err
decode_tdx(const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state)
{
    return decode_as(&ev_intel_tdx, cmw, raw, report, ret_state);
}

/* ---- binding ---- */

static enum bh_err
bind_to(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct bh_span want = bh_span(binding, BH_BINDING_LEN);
    const struct ev_intel *q = state;
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    (void)spki;
    (void)bh_hex(want, expected, sizeof(expected));
    (void)bh_hex(q->report_data, found, sizeof(found));
    if (!bh_span_equal(q->report_data, want))
        return ev_intel_refuse(q, report, BH_ERR_BINDING, "key binding", "binding", expected, found,
            "ask for a quote whose REPORTDATA is the binding of this challenge, key and context");
    ev_intel_pass(q, report, "key binding", "binding", expected, found);
    return BH_OK;
}

bool
ev_intel_debug(const struct ev_intel *q)
{
    /* SGX: bit 1 of ATTRIBUTES. TDX: any bit of the group TUD, its reserved ones too. */
    return q->tdx ? q->td.td_attributes.ptr[0] != 0 : (q->enclave.attributes.ptr[0] & 2) != 0;
}

const struct ev_platform ev_intel_sgx = {
    .name = "intel-sgx",
    .takes = takes,
    .recognises = recognises_sgx,
    .takes_collection = takes_sgx_collection,
    .decode_collection = decode_sgx,
    .free = free_state,
    .bind = bind_to,
    .authenticate = ev_intel_authenticate,
    .entry_parse = ev_sgx_entry_parse,
    .entry_free = ev_sgx_entry_free,
    .appraise = ev_sgx_appraise,
    .claims = ev_intel_claims,
};

const struct ev_platform ev_intel_tdx = {
    .name = "intel-tdx",
    .takes = takes,
    .recognises = recognises_tdx,
    .takes_collection = takes_tdx_collection,
    .decode_collection = decode_tdx,
    .free = free_state,
    .bind = bind_to,
    .authenticate = ev_intel_authenticate,
    .entry_parse = ev_tdx_entry_parse,
    .entry_free = ev_tdx_entry_free,
    .appraise = ev_tdx_appraise,
    .claims = ev_intel_claims,
};
