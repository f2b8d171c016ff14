/* SPDX-License-Identifier: Apache-2.0 */
#include "snp_judge.h"

#include <criterion/criterion.h>

#include <stdio.h>

static void
add(struct bh_cmw *cmw, const char *label, struct bh_span value)
{
    struct bh_cmw_record *r = &cmw->records[cmw->count];

    if (value.ptr == NULL)
        return;
    cmw->count++;
    (void)snprintf(r->label, sizeof(r->label), "%s", label);
    (void)snprintf(r->type, sizeof(r->type), "application/octet-stream");
    r->value = value;
}

void
snp_cmw(const struct snp_parts *parts, struct bh_cmw *cmw)
{
    *cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(cmw->collection_type, sizeof(cmw->collection_type), "%s", SNP_TYPE);
    add(cmw, "report", parts->report);
    add(cmw, "vcek", parts->vcek);
    add(cmw, "vlek", parts->vlek);
    add(cmw, "auxblob", parts->auxblob);
}

static enum bh_err
answer(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    struct snp_collateral *c = arg;
    struct bh_span found = bh_span_none();

    c->asked++;
    (void)snprintf(c->kind, sizeof(c->kind), "%s", kind);
    cr_assert_leq(key.len, sizeof(c->key));
    memcpy(c->key, key.ptr, key.len);
    c->key_len = key.len;
    if (c->fails != BH_OK)
        return bh_fail(diag, c->fails, "the store is away");
    if (strcmp(kind, "vcek.der") == 0)
        found = c->vcek;
    else if (strcmp(kind, "vlek.der") == 0)
        found = c->vlek;
    else if (strcmp(kind, "crl.der") == 0)
        found = c->crl;
    else
        cr_assert_fail("asked for %s", kind);
    if (found.len == 0)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "no %s", kind);
    *ret_bytes = found;
    return BH_OK;
}

void
snp_use(struct ev_trust *trust, struct snp_collateral *c)
{
    trust->collateral = answer;
    trust->collateral_arg = c;
}

enum bh_err
snp_judge(const struct snp_parts *parts, const struct ev_trust *trust, struct ev_report *report,
    struct ev_evidence **ret_ev)
{
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw;
    enum bh_err e;

    snp_cmw(parts, &cmw);
    if ((e = ev_decode(&cmw, report, &ev)) == BH_OK) {
        cr_assert_str_eq(ev_platform(ev), "amd-sev-snp");
        e = ev_authenticate(ev, trust, report);
    }
    cr_assert_eq(e, report->err, "%s", report->diag.detail);
    if (ret_ev != NULL)
        *ret_ev = ev;
    else
        ev_evidence_free(ev);
    return e;
}

enum bh_err
snp_judge_at(
    const struct snp_parts *parts, int64_t at, struct snp_collateral *c, struct ev_report *report)
{
    struct ev_trust trust = {.now = at};
    enum bh_err e;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    if (c != NULL)
        snp_use(&trust, c);
    e = snp_judge(parts, &trust, report, NULL);
    ev_trust_clear(&trust);
    return e;
}

void
snp_must_hold(const struct snp_parts *parts, int64_t at, const char *what)
{
    struct ev_report report;

    ev_report_init(&report, true);
    cr_assert_eq(snp_judge_at(parts, at, NULL, &report), BH_OK, "%s: %s", what, report.diag.detail);
    for (size_t i = 0; i < report.len; i++)
        cr_assert(report.checks[i].ok, "%s: %s", what, report.checks[i].name);
}

void
snp_must_refuse(
    const struct snp_parts *parts, int64_t at, enum bh_err err, const char *check, const char *what)
{
    struct ev_report report;

    ev_report_init(&report, false);
    cr_assert_eq(snp_judge_at(parts, at, NULL, &report), err, "%s: %d %s: %s", what, report.err,
        report.diag.check, report.diag.detail);
    cr_assert_str_eq(report.diag.check, check, "%s: %s", what, report.diag.detail);
}

const struct ev_check *
snp_check(const struct ev_report *report, const char *name)
{
    for (size_t i = 0; i < report->len; i++)
        if (strcmp(report->checks[i].name, name) == 0)
            return &report->checks[i];
    return NULL;
}
