/* SPDX-License-Identifier: Apache-2.0 */
/* AMD SEV-SNP evidence: recognise, decode a collection and its certificate table, binding. */
#include "amd_sev_snp.h"

#include "core/reader.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define COLLECTION_TYPE "tag:beachhead,2026:amd-sev-snp"
#define GUID_LEN 16
#define TABLE_MAX 32 /* entries */

/* There is no media type for a report alone. */
static bool
takes(const char *media_type)
{
    (void)media_type;
    return false;
}

static bool
takes_collection(const struct bh_cmw *cmw)
{
    return strcasecmp(cmw->collection_type, COLLECTION_TYPE) == 0;
}

/* ---- the certificate table (AMD 56421, 4.1.8) ---- */

static struct bh_span *
table_slot(struct ev_snp_table *table, struct bh_span guid)
{
    /* In the order of their text. */
    static const uint8_t vcek[GUID_LEN] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad,
        0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
    static const uint8_t vlek[GUID_LEN] = {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa,
        0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1};
    static const uint8_t ask[GUID_LEN] = {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0,
        0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82};

    if (bh_span_equal(guid, bh_span(vcek, GUID_LEN)))
        return &table->vcek;
    if (bh_span_equal(guid, bh_span(vlek, GUID_LEN)))
        return &table->vlek;
    if (bh_span_equal(guid, bh_span(ask, GUID_LEN)))
        return &table->ask;
    return NULL;
}

enum bh_err
ev_snp_table_read(struct bh_span blob, struct ev_snp_table *ret_table, struct bh_diag *diag)
{
    struct ev_snp_table table = {0};
    struct bh_reader r;

    bh_reader_init(&r, blob);
    for (size_t i = 0; blob.len > 0; i++) {
        const struct bh_span guid = bh_reader_take(&r, GUID_LEN);
        const uint32_t offset = bh_reader_u32le(&r);
        const uint32_t len = bh_reader_u32le(&r);
        struct bh_span *slot;

        if (!bh_reader_ok(&r))
            return bh_fail(diag, BH_ERR_MALFORMED, "a table that ends without an empty entry");
        if (bh_span_is_zero(guid))
            break;
        if (i == TABLE_MAX)
            return bh_fail(diag, BH_ERR_MALFORMED, "more than %d entries", TABLE_MAX);
        if (offset > blob.len || len > blob.len - offset)
            return bh_fail(diag, BH_ERR_MALFORMED, "entry %zu lies outside of the table", i + 1);
        if ((slot = table_slot(&table, guid)) == NULL)
            continue;
        if (slot->len > 0)
            return bh_fail(diag, BH_ERR_MALFORMED, "entry %zu stands twice", i + 1);
        *slot = bh_span(blob.ptr + offset, len);
    }
    *ret_table = table;
    return BH_OK;
}

/* ---- decode ---- */

static enum bh_err
malformed(struct ev_report *report, const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), EV_SNP_NAME ".%s", field);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, "interface of this platform", name,
        expected, found, "send the collection that the agent makes of report and certificates");
}

static enum bh_err
read_endorser(struct bh_span der, bool vlek, bool *ret_has, struct ev_snp_endorser *ret_endorser,
    struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (ev_snp_endorser_read(der, vlek, ret_endorser, &diag) != BH_OK)
        return malformed(report, vlek ? "vlek" : "vcek",
            vlek ? "the DER of one VLEK certificate" : "the DER of one VCEK certificate",
            diag.detail);
    *ret_has = true;
    return BH_OK;
}

/* The host puts the table together: what the guest sent beside it goes first. */
static enum bh_err
read_table(struct ev_snp *n, struct bh_span blob, struct ev_report *report)
{
    struct ev_snp_table table;
    struct bh_diag diag = {0};
    enum bh_err e;

    if (ev_snp_table_read(blob, &table, &diag) != BH_OK)
        return malformed(
            report, "auxblob", "a certificate table (GHCB specification)", diag.detail);
    if (table.vcek.len > 0 && !n->has_vcek &&
        (e = read_endorser(table.vcek, false, &n->has_vcek, &n->vcek, report)) != BH_OK)
        return e;
    if (table.vlek.len > 0 && !n->has_vlek &&
        (e = read_endorser(table.vlek, true, &n->has_vlek, &n->vlek, report)) != BH_OK)
        return e;
    /* Hosts also write it as PEM: then the built-in one has to do. */
    n->has_ask = table.ask.len > 0 && ev_cert_read(table.ask, &n->ask, NULL) == BH_OK;
    return BH_OK;
}

static enum bh_err
read_records(const struct bh_cmw *cmw, struct ev_snp *n, struct ev_report *report)
{
    const struct bh_cmw_record *vcek = bh_cmw_find(cmw, "vcek");
    const struct bh_cmw_record *vlek = bh_cmw_find(cmw, "vlek");
    const struct bh_cmw_record *aux = bh_cmw_find(cmw, "auxblob");
    const struct bh_cmw_record *raw = bh_cmw_find(cmw, "report");
    enum bh_err e;

    for (size_t i = 0; i < cmw->count; i++) {
        const struct bh_cmw_record *r = &cmw->records[i];

        if (r != vcek && r != vlek && r != aux && r != raw)
            return malformed(report, "collection", "report, vcek or vlek, auxblob", r->label);
    }
    if (raw == NULL)
        return malformed(report, "report", "a record \"report\"", "none");
    if (vcek != NULL && vlek != NULL)
        return malformed(report, "collection", "either vcek or vlek", "both");
    if ((e = ev_snp_report_read(raw->value, &n->report, report)) != BH_OK)
        return e;
    if (vcek != NULL &&
        (e = read_endorser(vcek->value, false, &n->has_vcek, &n->vcek, report)) != BH_OK)
        return e;
    if (vlek != NULL &&
        (e = read_endorser(vlek->value, true, &n->has_vlek, &n->vlek, report)) != BH_OK)
        return e;
    return aux != NULL ? read_table(n, aux->value, report) : BH_OK;
}

/* A collection where @p cmw is given, else a report alone. */
static enum bh_err
decode(const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state)
{
    struct ev_snp *n = calloc(1, sizeof(*n));
    char found[BH_VALUE_MAX];
    enum bh_err e;

    if (n == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", EV_SNP_NAME ".report", NULL, NULL, NULL);
    e = cmw != NULL ? read_records(cmw, n, report) : ev_snp_report_read(raw, &n->report, report);
    if (e != BH_OK) {
        free(n);
        return e;
    }
    if (report->detailed) {
        (void)snprintf(found, sizeof(found), "version %u", (unsigned)n->report.version);
        ev_pass(
            report, "AMD 56860", EV_SNP_NAME ".report", "a well-formed attestation report", found);
    }
    *ret_state = n;
    return BH_OK;
}

/* ---- binding ---- */

static enum bh_err
bind_to(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_snp *n = state;
    const struct bh_span want = bh_span(binding, BH_BINDING_LEN);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    (void)spki; /* a report carries no key: the binding alone speaks of it */
    if (!bh_span_equal(n->report.report_data, want))
        return ev_refuse(report, BH_ERR_BINDING, "key binding", EV_SNP_NAME ".binding",
            bh_hex(want, expected, sizeof(expected)),
            bh_hex(n->report.report_data, found, sizeof(found)),
            "ask the firmware for a report whose REPORT_DATA is the binding of this challenge, key "
            "and context");
    if (report->detailed)
        ev_pass(report, "key binding", EV_SNP_NAME ".binding",
            bh_hex(want, expected, sizeof(expected)), expected);
    return BH_OK;
}

const struct ev_platform ev_amd_sev_snp = {
    .name = EV_SNP_NAME,
    .takes = takes,
    .recognises = ev_snp_recognises,
    .takes_collection = takes_collection,
    .decode_collection = decode,
    .free = free,
    .bind = bind_to,
    .authenticate = ev_snp_authenticate,
    .entry_parse = ev_snp_entry_parse,
    .entry_free = ev_snp_entry_free,
    .appraise = ev_snp_appraise,
    .claims = ev_snp_claims,
};
