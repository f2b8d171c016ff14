/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "core/reader.h"

#include <stdio.h>

void
fuzz_must_fail(enum bh_err e, const struct ev_report *report)
{
    must(e != BH_OK && report->err == e && report->diag.check[0] != '\0');
}

void
fuzz_judge(struct ev_evidence *ev, int64_t now)
{
    static const uint8_t binding[BH_BINDING_LEN] = {0x5a, 0xa5, 1, 2, 3};
    static struct ev_trust trust;
    static struct ev_report report;

    if (trust.now == 0)
        must(ev_trust_add_vendor_roots(&trust, NULL) == BH_OK);
    trust.now = now;
    json_decref(ev_claims(ev));
    ev_report_init(&report, true);
    /* A fuzzer that watches comparisons finds the binding: it is no secret, and proves nothing
     * alone. */
    must((ev_bind(ev, binding, bh_span_none(), &report) == BH_OK) == (report.err == BH_OK));
    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        fuzz_must_fail(ev_authenticate(ev, &trust, &report), &report);
    }
    json_decref(ev_report_json(&report));
    json_decref(ev_claims(ev));
}

void
fuzz_judge_raw(struct bh_span in, const char *platform, int64_t now)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(&report, false);
    if ((e = ev_decode_raw(in, &report, &ev)) != BH_OK)
        fuzz_must_fail(e, &report);
    must((e == BH_OK) == (ev != NULL));
    if (ev != NULL && (platform == NULL || strcmp(ev_platform(ev), platform) == 0))
        fuzz_judge(ev, now);
    ev_evidence_free(ev);
}

void
fuzz_judge_cmw(const struct bh_cmw *cmw, int64_t now)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(&report, true);
    if ((e = ev_decode(cmw, &report, &ev)) != BH_OK)
        fuzz_must_fail(e, &report);
    else
        fuzz_judge(ev, now);
    ev_evidence_free(ev);
}

void
fuzz_judge_parts(const char *type, const char *const *labels, const struct bh_span *values,
    size_t count, int64_t now)
{
    static struct bh_cmw cmw;

    cmw = (struct bh_cmw){.collection = true};
    (void)snprintf(cmw.collection_type, sizeof(cmw.collection_type), "%s", type);
    for (size_t i = 0; i < count; i++) {
        if (values[i].len == 0)
            continue;
        (void)snprintf(cmw.records[cmw.count].label, BH_CMW_LABEL_MAX, "%s", labels[i]);
        cmw.records[cmw.count++].value = values[i];
    }
    fuzz_judge_cmw(&cmw, now);
}

void
fuzz_judge_divided(
    const char *type, const char *const *labels, size_t count, struct bh_span in, int64_t now)
{
    struct bh_span values[BH_CMW_RECORDS_MAX] = {{0}};
    struct bh_reader r;

    must(count <= BH_COUNT(values));
    bh_reader_init(&r, in);
    for (size_t i = 0; i < count; i++)
        values[i] = bh_reader_vec16(&r, 0, UINT16_MAX);
    if (bh_reader_ok(&r))
        fuzz_judge_parts(type, labels, values, count, now);
}
