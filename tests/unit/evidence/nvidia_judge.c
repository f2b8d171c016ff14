/* SPDX-License-Identifier: Apache-2.0 */
#include "nvidia_judge.h"

#include <criterion/criterion.h>

#include <stdio.h>

void
nvidia_add(struct bh_cmw *cmw, const char *label, struct bh_span value)
{
    struct bh_cmw_record *r = &cmw->records[cmw->count++];

    (void)snprintf(r->label, sizeof(r->label), "%s", label);
    (void)snprintf(r->type, sizeof(r->type), "application/octet-stream");
    r->value = value;
}

void
nvidia_cmw(const struct nvidia_parts *parts, struct bh_cmw *cmw)
{
    *cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(cmw->collection_type, sizeof(cmw->collection_type), "%s", NVIDIA_TYPE);
    if (parts->report.ptr != NULL)
        nvidia_add(cmw, "report", parts->report);
    if (parts->cert_chain.ptr != NULL)
        nvidia_add(cmw, "cert_chain", parts->cert_chain);
}

enum bh_err
nvidia_judge(const struct nvidia_parts *parts, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev)
{
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw;
    enum bh_err e;

    nvidia_cmw(parts, &cmw);
    if ((e = ev_decode(&cmw, report, &ev)) == BH_OK) {
        cr_assert_str_eq(ev_platform(ev), "nvidia-gpu");
        e = ev_authenticate(ev, trust, report);
    }
    cr_assert_eq(e, report->err, "%s", report->diag.detail);
    if (ret_ev != NULL)
        *ret_ev = ev;
    else
        ev_evidence_free(ev);
    return e;
}

void
nvidia_must_hold(const struct nvidia_parts *parts, const struct ev_trust *trust, const char *what)
{
    static struct ev_report report;

    ev_report_init(&report, true);
    cr_assert_eq(nvidia_judge(parts, trust, &report, NULL), BH_OK, "%s: %s: %s", what,
        report.diag.check, report.diag.found);
    for (size_t i = 0; i < report.len; i++)
        cr_assert(report.checks[i].ok, "%s: %s", what, report.checks[i].name);
    cr_assert_not_null(nvidia_check(&report, "nvidia-gpu.revocation"));
    cr_assert_str_eq(nvidia_check(&report, "nvidia-gpu.revocation")->source, "not given");
}

void
nvidia_must_refuse(const struct nvidia_parts *parts, const struct ev_trust *trust, enum bh_err err,
    const char *check, const char *what)
{
    static struct ev_report report;

    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        cr_assert_eq(nvidia_judge(parts, trust, &report, NULL), err, "%s: %d %s: %s", what,
            report.err, report.diag.check, report.diag.detail);
        cr_assert_str_eq(report.diag.check, check, "%s: %s", what, report.diag.detail);
        cr_assert_str_neq(report.diag.found, "", "%s", what);
        cr_assert_str_neq(report.diag.hint, "", "%s", what);
    }
}

const struct ev_check *
nvidia_check(const struct ev_report *report, const char *name)
{
    for (size_t i = 0; i < report->len; i++)
        if (strcmp(report->checks[i].name, name) == 0)
            return &report->checks[i];
    return NULL;
}
