/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm2_judge.h"

#include "core/text.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

void
tpm2_add(struct bh_cmw *cmw, const char *label, struct bh_span value)
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
tpm2_cmw(const struct tpm2_parts *parts, struct bh_cmw *cmw)
{
    *cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(
        cmw->collection_type, sizeof(cmw->collection_type), "%s", "tag:beachhead,2026:tpm2");
    tpm2_add(cmw, "quote", parts->quote);
    tpm2_add(cmw, "signature", parts->signature);
    tpm2_add(cmw, "pcrs", parts->pcrs);
    tpm2_add(cmw, "ak", parts->ak);
    tpm2_add(cmw, "ak_cert", parts->ak_cert);
    tpm2_add(cmw, "ek_cert", parts->ek_cert);
    tpm2_add(cmw, "event_log", parts->event_log);
    tpm2_add(cmw, "hcl_report", parts->hcl_report);
    tpm2_add(cmw, "vcek", parts->vcek);
    tpm2_add(cmw, "td_quote", parts->td_quote);
}

static enum bh_err
answer(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    const struct tpm2_endorsed *endorsed = arg;

    cr_assert_str_eq(platform, "tpm2");
    if (endorsed->fails != BH_OK)
        return bh_fail(diag, endorsed->fails, "the store is away");
    if (memcmp(key, endorsed->key, sizeof(endorsed->key)) != 0)
        return bh_fail(diag, BH_ERR_ENDORSEMENT_UNKNOWN, "no such key");
    *ret_e = endorsed->e;
    return BH_OK;
}

void
tpm2_use(struct ev_trust *trust, struct tpm2_endorsed *endorsed)
{
    trust->lookup = answer;
    trust->lookup_arg = endorsed;
}

static enum bh_err
keep(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct tpm2_endorsed *endorsed = arg;

    memcpy(endorsed->key, key, 32);
    endorsed->e = *e;
    return BH_OK;
}

void
tpm2_endorse(struct bh_span ak, const char *members, struct tpm2_endorsed *ret_endorsed)
{
    char text[2048], json[4096];
    struct bh_diag diag = {0};

    *ret_endorsed = (struct tpm2_endorsed){.fails = BH_OK};
    (void)snprintf(json, sizeof(json), "{\"platform\":\"tpm2\",\"ak\":\"%s\",%s}",
        bh_base64url(ak, text, sizeof(text)), members);
    cr_assert_eq(ev_endorsement_file(bh_span_str(json), keep, ret_endorsed, &diag), BH_OK, "%s: %s",
        diag.check, diag.detail);
}

enum bh_err
tpm2_judge(const struct tpm2_parts *parts, const struct ev_trust *trust, struct ev_report *report,
    struct ev_evidence **ret_ev)
{
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw;
    enum bh_err e;

    tpm2_cmw(parts, &cmw);
    if ((e = ev_decode(&cmw, report, &ev)) == BH_OK) {
        cr_assert_str_eq(ev_platform(ev), "tpm2");
        e = ev_authenticate(ev, trust, report);
    }
    cr_assert_eq(e, report->err, "%s", report->diag.detail);
    if (ret_ev != NULL)
        *ret_ev = ev;
    else
        ev_evidence_free(ev);
    return e;
}

static enum bh_err
judge_at(const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at,
    struct ev_report *report)
{
    struct ev_trust trust = {.now = at};
    enum bh_err e;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    if (endorsed != NULL)
        tpm2_use(&trust, endorsed);
    e = tpm2_judge(parts, &trust, report, NULL);
    ev_trust_clear(&trust);
    return e;
}

void
tpm2_must_hold(
    const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at, const char *what)
{
    for (int detailed = 0; detailed < 2; detailed++) {
        struct ev_report report;

        ev_report_init(&report, detailed != 0);
        cr_assert_eq(judge_at(parts, endorsed, at, &report), BH_OK, "%s: %s: %s", what,
            report.diag.check, report.diag.detail);
        for (size_t i = 0; i < report.len; i++)
            cr_assert(report.checks[i].ok, "%s: %s", what, report.checks[i].name);
    }
}

void
tpm2_must_refuse(const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at,
    enum bh_err err, const char *check, const char *what)
{
    for (int detailed = 0; detailed < 2; detailed++) {
        struct ev_report report;

        ev_report_init(&report, detailed != 0);
        cr_assert_eq(judge_at(parts, endorsed, at, &report), err, "%s: %d %s: %s", what, report.err,
            report.diag.check, report.diag.detail);
        cr_assert_str_eq(report.diag.check, check, "%s: %s", what, report.diag.detail);
    }
}

void
tpm2_malformed(const struct bh_cmw *cmw, const char *check, const char *what)
{
    struct ev_evidence *ev = NULL;
    struct ev_report report;

    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(cmw, &report, &ev), BH_ERR_EVIDENCE_MALFORMED, "%s: %d %s", what,
        report.err, report.diag.check);
    cr_assert_null(ev);
    cr_assert_str_eq(report.diag.check, check, "%s: %s", what, report.diag.detail);
}
