/* SPDX-License-Identifier: Apache-2.0 */
#include "intel_judge.h"

#include "core/text.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
intel_pieces_init(struct intel_pieces *p)
{
    memset(p, 0, sizeof(*p));
    p->cmw.collection = true;
    (void)snprintf(
        p->cmw.collection_type, sizeof(p->cmw.collection_type), "tag:beachhead,2026:intel-dcap");
}

static void
free_value(struct bh_cmw_record *record)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } v = {.in = record->value.ptr};

    free(v.out);
    record->value = bh_span_none();
}

void
intel_pieces_clear(struct intel_pieces *p)
{
    for (size_t i = 0; i < p->cmw.count; i++)
        free_value(&p->cmw.records[i]);
    p->cmw.count = 0;
}

static struct bh_cmw_record *
find(struct intel_pieces *p, const char *label)
{
    for (size_t i = 0; i < p->cmw.count; i++)
        if (strcmp(p->cmw.records[i].label, label) == 0)
            return &p->cmw.records[i];
    return NULL;
}

void
intel_put(struct intel_pieces *p, const char *label, struct bh_span bytes)
{
    struct bh_cmw_record *record = find(p, label);
    uint8_t *copy = malloc(bytes.len + 1);

    memcpy(copy, bytes.ptr, bytes.len);
    if (record == NULL) {
        cr_assert_lt(p->cmw.count, BH_CMW_RECORDS_MAX);
        record = &p->cmw.records[p->cmw.count++];
        memset(record, 0, sizeof(*record));
        (void)snprintf(record->label, sizeof(record->label), "%s", label);
        (void)snprintf(record->type, sizeof(record->type), "application/octet-stream");
    } else {
        free_value(record);
    }
    record->value = bh_span(copy, bytes.len);
}

void
intel_drop(struct intel_pieces *p, const char *label)
{
    struct bh_cmw_record *record = find(p, label);

    cr_assert(record != NULL, "no %s", label);
    free_value(record);
    *record = p->cmw.records[--p->cmw.count];
}

struct bh_span
intel_get(const struct intel_pieces *p, const char *label)
{
    const struct bh_cmw_record *record = bh_cmw_find(&p->cmw, label);

    cr_assert(record != NULL, "no %s", label);
    return record->value;
}

uint8_t *
intel_bytes(struct intel_pieces *p, const char *label)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } v = {.in = intel_get(p, label).ptr};

    return v.out;
}

void
intel_load_file(struct intel_pieces *p, const char *label, const char *file)
{
    size_t len;
    uint8_t *bytes = bh_vector(file, &len);

    intel_put(p, label, bh_span(bytes, len));
    free(bytes);
}

void
intel_load(struct intel_pieces *p, const char *folder)
{
    static const char *const files[][2] = {{"quote", "quote.bin"}, {"tcb_info", "tcb_info.json"},
        {"qe_identity", "qe_identity.json"}, {"tcb_signing_chain", "tcb_signing_chain.pem"},
        {"pck_crl", "pck_crl.der"}, {"pck_crl_chain", "pck_crl_chain.pem"},
        {"root_crl", "root_crl.der"}, {"event_log", "ccel_data.bin"}};
    char path[512];

    intel_pieces_init(p);
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s/%s", bh_vectors(), folder, files[i][1]);
        if (access(path, R_OK) != 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i][1]);
        intel_load_file(p, files[i][0], path);
    }
}

enum bh_err
intel_judge(const struct intel_pieces *p, const struct ev_trust *trust, struct ev_report *report,
    struct ev_evidence **ret_ev)
{
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(report, report->detailed);
    if ((e = ev_decode(&p->cmw, report, &ev)) == BH_OK)
        e = ev_authenticate(ev, trust, report);
    cr_assert_eq(e == BH_OK, report->err == BH_OK, "%s", report->diag.detail);
    if (ret_ev != NULL)
        *ret_ev = ev;
    else
        ev_evidence_free(ev);
    return e;
}

enum bh_err
intel_judge_at(const struct intel_pieces *p, int64_t at, struct ev_report *report)
{
    struct ev_trust trust = {.now = at};
    enum bh_err e;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    e = intel_judge(p, &trust, report, NULL);
    ev_trust_clear(&trust);
    return e;
}

void
intel_must_refuse(const struct intel_pieces *p, const struct ev_trust *trust, enum bh_err err,
    const char *check, const char *why)
{
    struct ev_report report = {0};

    cr_expect_eq(intel_judge(p, trust, &report, NULL), err, "%s: %s", why, report.diag.detail);
    cr_expect_str_eq(report.diag.check, check, "%s: %s", why, report.diag.detail);
    cr_expect_eq(report.err, err, "%s", why);
    /* A report that is to be whole names the same check, and leaks and crashes as little. */
    report.detailed = true;
    cr_expect_neq(intel_judge(p, trust, &report, NULL), BH_OK, "%s", why);
    report.detailed = false;
}

enum bh_err
intel_appraise(const struct intel_pieces *p, const struct ev_trust *trust, const char *entry,
    struct ev_report *report, struct ev_verdict *ret_verdict)
{
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct bh_diag diag = {0};
    char text[4096];
    enum bh_err e;

    cr_assert_lt(
        (size_t)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", entry),
        sizeof(text));
    cr_assert_eq(
        ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s: %s", entry, diag.detail);
    cr_assert_eq(intel_judge(p, trust, report, &ev), BH_OK, "%s", report->diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), report, ret_verdict);
    cr_assert_eq(e == BH_OK, report->err == BH_OK);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    return e;
}

int64_t
intel_day(const char *day)
{
    char text[BH_TIME_MAX];
    int64_t at = 0;

    (void)snprintf(text, sizeof(text), "%sT00:00:00Z", day);
    cr_assert_eq(bh_time_read(text, &at), BH_OK, "%s", text);
    return at;
}
