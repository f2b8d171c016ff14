/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-SNP: ev_decode of a report, a certificate, a certificate table, and of a collection that the
 * input divides; ev_bind, ev_authenticate, ev_claims of what decodes. Nothing that is invented here
 * may be authentic.
 */
#include "fuzz.h"

#include "core/reader.h"
#include "evidence/amd_sev_snp.h"
#include "evidence/crl.h"

#include <stdio.h>

/* A report that is well-formed, for inputs that stand beside one. */
static void
make_report(uint8_t out[EV_SNP_REPORT_LEN], bool vlek)
{
    memset(out, 0, EV_SNP_REPORT_LEN);
    out[0x00] = 3;
    out[0x0a] = 0x02;
    out[0x34] = 1;
    out[0x48] = vlek ? 1 << 2 : 0;
    out[0x188] = 0x19;
    out[0x189] = 1;
    out[0x1a0] = 0xc3;
}

static void
must_fail(enum bh_err e, const struct ev_report *report)
{
    must(e != BH_OK && report->err == e && report->diag.check[0] != '\0');
}

static void
judge(struct ev_evidence *ev)
{
    static const uint8_t binding[BH_BINDING_LEN] = {0x5a, 0xa5, 1, 2, 3};
    static struct ev_trust trust;
    static struct ev_report report;

    if (trust.now == 0) {
        trust.now = 1767225600;
        must(ev_trust_add_vendor_roots(&trust, "amd-sev-snp") == BH_OK);
    }
    json_decref(ev_claims(ev));
    ev_report_init(&report, true);
    must((ev_bind(ev, binding, bh_span_none(), &report) == BH_OK) == (report.err == BH_OK));
    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        must_fail(ev_authenticate(ev, &trust, &report), &report);
    }
    json_decref(ev_report_json(&report));
}

struct part {
    const char *label;
    struct bh_span value;
};

static void
judge_parts(const struct part *parts, size_t count)
{
    static struct ev_report report;
    static struct bh_cmw cmw;
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(
        cmw.collection_type, sizeof(cmw.collection_type), "%s", "tag:beachhead,2026:amd-sev-snp");
    for (size_t i = 0; i < count; i++) {
        struct bh_cmw_record *r = &cmw.records[cmw.count];

        if (parts[i].value.len == 0)
            continue;
        (void)snprintf(r->label, sizeof(r->label), "%s", parts[i].label);
        r->type[0] = '\0';
        r->value = parts[i].value;
        cmw.count++;
    }
    ev_report_init(&report, true);
    if ((e = ev_decode(&cmw, &report, &ev)) != BH_OK)
        must_fail(e, &report);
    else
        judge(ev);
    ev_evidence_free(ev);
}

/* Four parts, each behind a length of two bytes. */
static void
judge_divided(struct bh_span in)
{
    static const char *const labels[] = {"report", "vcek", "vlek", "auxblob"};
    struct part parts[BH_COUNT(labels)];
    struct bh_reader r;

    bh_reader_init(&r, in);
    for (size_t i = 0; i < BH_COUNT(labels); i++)
        parts[i] = (struct part){labels[i], bh_reader_vec16(&r, 0, UINT16_MAX)};
    if (bh_reader_ok(&r))
        judge_parts(parts, BH_COUNT(parts));
}

static void
read_readers(struct bh_span in)
{
    struct ev_snp_endorser endorser;
    struct ev_snp_table table;
    struct ev_crl crl;

    for (int vlek = 0; vlek < 2; vlek++) {
        struct bh_diag diag = {0};
        must_explain(ev_snp_endorser_read(in, vlek != 0, &endorser, &diag), &diag);
    }
    struct bh_diag table_diag = {0}, crl_diag = {0};
    must_explain(ev_snp_table_read(in, &table, &table_diag), &table_diag);
    if (ev_crl_read(in, &crl, &crl_diag) == BH_OK)
        (void)ev_crl_revokes(&crl, bh_span(in.ptr, 1));
    else
        must(crl_diag.detail[0] != '\0');
    (void)ev_snp_is_pss384(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ev_report report;
    static uint8_t plain[2][EV_SNP_REPORT_LEN];
    const struct bh_span in = bh_span(data, size);
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(&report, false);
    e = ev_decode_raw(in, &report, &ev);
    must((e == BH_OK) == (ev != NULL));
    if (ev != NULL && strcmp(ev_platform(ev), "amd-sev-snp") == 0)
        judge(ev);
    ev_evidence_free(ev);
    if (size > UINT16_MAX)
        return 0;
    for (int vlek = 0; vlek < 2; vlek++) {
        const struct bh_span beside = bh_span(plain[vlek], EV_SNP_REPORT_LEN);
        const struct part cert[] = {{"report", beside}, {vlek != 0 ? "vlek" : "vcek", in}};
        const struct part table[] = {{"report", beside}, {"auxblob", in}};

        make_report(plain[vlek], vlek != 0);
        judge_parts(cert, BH_COUNT(cert));
        judge_parts(table, BH_COUNT(table));
    }
    judge_divided(in);
    read_readers(in);
    return 0;
}
