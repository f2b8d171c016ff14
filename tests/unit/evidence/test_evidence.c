/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to all formats: dispatch, order of the steps, simulation, entries, status, report.
 */
#include "nitro_forge.h"

#include "evidence/platform.h"

#include "core/x509.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(evidence, .timeout = 60);

#define HEX_A0                                                                                     \
    "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0" \
    "a0a0"
#define HEX_11                                                                                     \
    "11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111" \
    "1111"
#define HEX_A5                                                                                     \
    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5" \
    "a5a5"
#define ENTRY_RIGHT                                                                                \
    "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"" HEX_A0 "\"]}"

static struct ev_report report;
static struct ev_verdict verdict;

/* ---- dispatch ---- */

static void
record(struct bh_cmw *cmw, const char *type, struct bh_span value)
{
    memset(cmw, 0, sizeof(*cmw));
    cmw->count = 1;
    (void)snprintf(cmw->records[0].type, sizeof(cmw->records[0].type), "%s", type);
    cmw->records[0].value = value;
}

static void
unsupported(const struct bh_cmw *cmw, const char *named)
{
    struct ev_evidence *ev = NULL;

    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(cmw, &report, &ev), BH_ERR_UNSUPPORTED);
    cr_assert_null(ev);
    cr_assert_str_eq(report.diag.check, "evidence.type");
    cr_assert(strstr(report.diag.found, named) != NULL, "%s", report.diag.found);
    cr_assert_eq(report.err, BH_ERR_UNSUPPORTED);
}

Test(evidence, types)
{
    static const char *const collections[][2] = {
        {"tag:example.com,2026:other", "tag:example.com,2026:other"},
        {"", "a collection"},
    };
    static const char *const takes[] = {"application/aws-nitro-document",
        "Application/AWS-Nitro-Document", "application/aws-nitro-document; v=1",
        "application/aws-nitro-document;v=1"};
    static const char *const does_not[] = {"application/aws-nitro-documents",
        "application/aws-nitro", "text/plain", "", "10570", "application/octet-stream"};
    struct forge_chain chain;
    struct forge_doc doc;
    struct ev_evidence *ev = NULL;
    struct bh_span bytes;
    struct bh_cmw cmw;
    uint8_t *buf;

    forge_chain_right(&chain, "Test root");
    forge_document(&doc);
    buf = forge_make(&chain, &doc, &bytes.len);
    bytes.ptr = buf;
    for (size_t i = 0; i < BH_COUNT(takes); i++) {
        record(&cmw, takes[i], bytes);
        ev_report_init(&report, false);
        cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_OK, "%s", takes[i]);
        cr_assert_str_eq(ev_platform(ev), "aws-nitro");
        ev_evidence_free(ev);
        ev = NULL;
    }
    for (size_t i = 0; i < BH_COUNT(does_not); i++) {
        record(&cmw, does_not[i], bytes);
        unsupported(&cmw, does_not[i]);
    }
    for (size_t i = 0; i < BH_COUNT(collections); i++) {
        memset(&cmw, 0, sizeof(cmw));
        cmw.collection = true;
        (void)snprintf(cmw.collection_type, sizeof(cmw.collection_type), "%s", collections[i][0]);
        unsupported(&cmw, collections[i][1]);
    }
    memset(&cmw, 0, sizeof(cmw));
    unsupported(&cmw, "nothing");
    /* The type decides, not the bytes. */
    record(&cmw, "application/psa-attestation-token", bytes);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_ERR_EVIDENCE_MALFORMED);
    cr_assert(strncmp(report.diag.check, "psa.", 4) == 0, "%s", report.diag.check);
    free(buf);
    forge_chain_clear(&chain);
    ev_evidence_free(NULL);
}

Test(evidence, raw_bytes_of_no_format)
{
    static const char *const rows[] = {
        "", "\x84", "hello", "\xd2\x84", "{\"a\":1}", "\xff\xff\xff"};
    struct ev_evidence *ev = NULL;

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        ev_report_init(&report, false);
        cr_assert_neq(ev_decode_raw(bh_span_str(rows[i]), &report, &ev), BH_OK, "row %zu", i);
        cr_assert_null(ev);
        cr_assert_neq(report.err, BH_OK);
    }
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span_str("hello"), &report, &ev), BH_ERR_UNSUPPORTED);
    cr_assert_str_eq(report.diag.check, "evidence.type");
}

Test(evidence, names)
{
    const char *const *names = ev_platforms();
    size_t count = 0;

    for (; names[count] != NULL; count++) {
        cr_assert(ev_platform_find(names[count]) != NULL, "%s", names[count]);
        cr_assert_str_eq(ev_platform_find(names[count])->name, names[count]);
    }
    cr_assert_geq(count, 4);
    cr_assert_null(ev_platform_find("abacus"));
}

/* ---- appraisal ---- */

struct setup {
    struct forge_chain chain;
    struct ev_trust trust;
    struct ev_evidence *ev;
    uint8_t *bytes;
};

static void
set_up(struct setup *s, bool simulated, bool debug)
{
    struct forge_doc doc;
    size_t len;

    forge_chain_right(&s->chain, simulated ? "SIMULATED root" : "Test root");
    forge_trust(&s->trust, &s->chain, simulated);
    forge_document(&doc);
    if (debug)
        memset(doc.pcr, 0, 3);
    s->bytes = forge_make(&s->chain, &doc, &len);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span(s->bytes, len), &report, &s->ev), BH_OK);
}

static void
tear_down(struct setup *s)
{
    ev_evidence_free(s->ev);
    free(s->bytes);
    forge_chain_clear(&s->chain);
}

static enum bh_err
appraise(struct setup *s, const char *entries, struct bh_span context, bool detailed)
{
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};
    char text[4096];
    enum bh_err e;

    (void)snprintf(text, sizeof(text),
        "{\"workload\":\"w\",\"certificate\":{\"lifetime\":\"2h\"},\"accept\":[%s]}", entries);
    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s: %s", diag.check,
        diag.detail);
    ev_report_init(&report, detailed);
    cr_assert_eq(ev_authenticate(s->ev, &s->trust, &report), BH_OK, "%s", report.diag.detail);
    memset(&verdict, 0x55, sizeof(verdict));
    e = ev_appraise(s->ev, policy, context, &report, &verdict);
    if (e == BH_OK)
        cr_assert_arr_eq(verdict.submod.policy_digest, ev_policy_digest(policy), 32);
    else
        cr_assert_eq(verdict.lifetime, INT64_C(0x5555555555555555));
    ev_policy_free(policy);
    return e;
}

static void
refused(struct setup *s, const char *entries, struct bh_span context, enum bh_err err,
    const char *check)
{
    cr_assert_eq(appraise(s, entries, context, false), err, "%s", report.diag.detail);
    cr_assert_str_eq(report.diag.check, check);
    cr_assert_eq(report.err, err);
}

Test(evidence, appraisal_needs_authentication)
{
    struct ev_policy *policy = NULL;
    struct setup s = {0};

    set_up(&s, false, false);
    cr_assert_eq(ev_policy_parse(bh_span_str("{\"workload\":\"w\",\"accept\":[" ENTRY_RIGHT "}]}"),
                     &policy, NULL),
        BH_OK);
    ev_report_init(&report, false);
    cr_assert_eq(ev_appraise(s.ev, policy, bh_span_none(), &report, &verdict), BH_ERR_INTERNAL);
    /* A failed authentication takes an earlier success back. */
    cr_assert_eq(ev_authenticate(s.ev, &s.trust, &report), BH_OK);
    s.trust.anchors_len = 0;
    ev_report_init(&report, false);
    cr_assert_eq(ev_authenticate(s.ev, &s.trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_eq(ev_appraise(s.ev, policy, bh_span_none(), &report, &verdict), BH_ERR_INTERNAL);
    ev_policy_free(policy);
    tear_down(&s);
}

Test(evidence, genuine_device)
{
    struct setup s = {0};

    set_up(&s, false, false);
    cr_assert_eq(appraise(&s, ENTRY_RIGHT "}", bh_span_none(), false), BH_OK);
    cr_assert_str_eq(verdict.submod.platform, "aws-nitro");
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_assert(verdict.submod.has_vector);
    cr_assert_eq(verdict.submod.trust[BH_TRUST_HARDWARE], 2);
    cr_assert_not(verdict.simulated);
    cr_assert_not(verdict.owner_pinned);
    cr_assert_eq(verdict.lifetime, 7200);
    cr_assert_eq(report.len, 0); /* nothing is recorded of what held */
    /* Other platforms' entries, and entries for simulated devices, do not count. */
    refused(&s,
        "{\"platform\":\"aws-nitro\",\"simulated\":true"
        ","
        "\"owner\":\"any\",\"pcrs\":"
        "{\"0\":[\"" HEX_A0 "\"]}}",
        bh_span_none(), BH_ERR_REFERENCE_MISSING, "policy.platform");
    refused(&s,
        "{\"platform\":\"psa\",\"key_class\":[\"silicon\"],\"implementation_id\":[\""
        "1111111111111111111111111111111111111111111111111111111111111111"
        "\"],\"lifecycle\":[\"secured\"],\"software\":\"none\"}",
        bh_span_none(), BH_ERR_REFERENCE_MISSING, "policy.platform");
    tear_down(&s);
}

Test(evidence, simulated_device)
{
    struct setup s = {0};

    set_up(&s, true, false);
    refused(&s, ENTRY_RIGHT "}", bh_span_none(), BH_ERR_SIMULATED, "simulated");
    cr_assert_eq(appraise(&s, ENTRY_RIGHT ",\"simulated\":true}", bh_span_none(), false), BH_OK);
    cr_assert(verdict.simulated);
    cr_assert_eq(verdict.submod.status, BH_EAR_WARNING);
    cr_assert_eq(verdict.submod.trust[BH_TRUST_HARDWARE], 0);
    /* Simulation alone lowers the status: no claim of the vector is worse than affirming. */
    for (size_t i = 0; i < BH_TRUST_COUNT; i++)
        cr_assert(bh_ear_tier(verdict.submod.trust[i]) == BH_EAR_AFFIRMING ||
                  bh_ear_tier(verdict.submod.trust[i]) == BH_EAR_NONE);
    s.trust.allow_simulated = false;
    ev_report_init(&report, false);
    cr_assert_eq(ev_authenticate(s.ev, &s.trust, &report), BH_ERR_SIMULATED);
    cr_assert_str_eq(report.diag.check, "simulated");
    tear_down(&s);
}

Test(evidence, simulated_and_debug)
{
    struct setup s = {0};

    set_up(&s, true, true);
    refused(
        &s, ENTRY_RIGHT ",\"simulated\":true}", bh_span_none(), BH_ERR_POLICY, "aws-nitro.debug");
    cr_assert_eq(
        appraise(&s, ENTRY_RIGHT ",\"simulated\":true,\"debug\":true}", bh_span_none(), false),
        BH_OK);
    cr_assert(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_WARNING);
    cr_assert_eq(bh_ear_tier(verdict.submod.trust[BH_TRUST_CONFIGURATION]), BH_EAR_WARNING);
    tear_down(&s);
}

Test(evidence, context)
{
    struct setup s = {0};

    set_up(&s, false, false);
    cr_assert_eq(
        appraise(&s, ENTRY_RIGHT ",\"context\":[\"0102\",\"0103\"]}", bh_span("\1\3", 2), true),
        BH_OK);
    cr_assert_str_eq(report.checks[report.len - 1].name, "policy.context");
    refused(&s, ENTRY_RIGHT ",\"context\":[\"0102\"]}", bh_span("\1\3", 2), BH_ERR_POLICY,
        "policy.context");
    refused(&s, ENTRY_RIGHT ",\"context\":[\"0102\"]}", bh_span_none(), BH_ERR_POLICY,
        "policy.context");
    refused(&s, ENTRY_RIGHT ",\"context\":[\"0102\"]}", bh_span("\1\2\0", 3), BH_ERR_POLICY,
        "policy.context");
    /* Where nothing is pinned, any context will do. */
    cr_assert_eq(appraise(&s, ENTRY_RIGHT "}", bh_span("\1\3", 2), false), BH_OK);
    tear_down(&s);
}

/* Of several entries that do not match, the one that came furthest explains. */
Test(evidence, several_entries)
{
    static const char wrong_pcr0[] =
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"" HEX_11 "\"]}}";
    static const char wrong_pcr5[] =
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"" HEX_A0
        "\"],\"5\":[\"" HEX_11 "\"]}}";
    static const char wrong_pcr6[] =
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"" HEX_A0
        "\"],\"5\":[\"" HEX_A5 "\"],\"6\":[\"" HEX_11 "\"]}}";
    static const char wrong_context[] = ENTRY_RIGHT ",\"context\":[\"ff\"]}";
    struct setup s = {0};
    char entries[3000];
    size_t failed = 0;

    set_up(&s, false, false);
    (void)snprintf(entries, sizeof(entries), "%s,%s,%s", wrong_pcr0, wrong_pcr5, wrong_pcr0);
    refused(&s, entries, bh_span_none(), BH_ERR_POLICY, "aws-nitro.pcr5");
    (void)snprintf(entries, sizeof(entries), "%s,%s,%s", wrong_pcr6, wrong_pcr5, wrong_pcr0);
    refused(&s, entries, bh_span_none(), BH_ERR_POLICY, "aws-nitro.pcr6");
    (void)snprintf(entries, sizeof(entries), "%s,%s", wrong_pcr0, wrong_context);
    refused(&s, entries, bh_span_none(), BH_ERR_POLICY, "policy.context");
    (void)snprintf(entries, sizeof(entries), "%s,%s,%s}", wrong_pcr6, wrong_pcr0, ENTRY_RIGHT);
    cr_assert_eq(appraise(&s, entries, bh_span_none(), true), BH_OK, "%s", report.diag.detail);
    for (size_t i = 0; i < report.len; i++)
        failed += !report.checks[i].ok;
    cr_assert_eq(failed, 0); /* the entries that were passed over leave no trace */
    cr_assert_eq(report.err, BH_OK);
    tear_down(&s);
}

/* ---- the report ---- */

Test(evidence, report)
{
    json_t *list, *row;

    ev_report_init(&report, false);
    ev_pass(&report, "signature", "a.b", "x", "x");
    cr_assert_eq(report.len, 0);
    cr_assert_eq(
        ev_refuse(&report, BH_ERR_POLICY, "policy", "a.c", "1", "2", "do this"), BH_ERR_POLICY);
    cr_assert_eq(
        ev_refuse(&report, BH_ERR_BINDING, "policy", "a.d", "1", NULL, NULL), BH_ERR_BINDING);
    cr_assert_eq(report.err, BH_ERR_POLICY);
    cr_assert_str_eq(report.diag.check, "a.c");
    cr_assert_str_eq(report.diag.expected, "1");
    cr_assert_str_eq(report.diag.found, "2");
    cr_assert_str_eq(report.diag.hint, "do this");
    list = ev_report_json(&report);
    cr_assert_eq(json_array_size(list), 2);
    row = json_array_get(list, 1);
    cr_assert_str_eq(json_string_value(json_object_get(row, "check")), "a.d");
    cr_assert(json_is_false(json_object_get(row, "ok")));
    cr_assert_str_eq(json_string_value(json_object_get(row, "source")), "policy");
    json_decref(list);

    /* A full report still says what failed. */
    ev_report_init(&report, true);
    for (size_t i = 0; i < EV_CHECKS_MAX + 5; i++)
        ev_pass(&report, "signature", "a.b", "x", "x");
    cr_assert_eq(report.len, EV_CHECKS_MAX);
    cr_assert_eq(ev_refuse(&report, BH_ERR_POLICY, "policy", "a.c", "1", "2", NULL), BH_ERR_POLICY);
    cr_assert_eq(report.len, EV_CHECKS_MAX);
    cr_assert_str_eq(report.checks[EV_CHECKS_MAX - 1].name, "a.c");
    cr_assert_str_eq(report.diag.check, "a.c");
}

Test(evidence, claims_of_a_verdict)
{
    static const uint8_t big[BH_EAR_CLAIM_VALUE_MAX + 1] = {1};

    memset(&verdict, 0, sizeof(verdict));
    ev_claim_bytes(&verdict, "a", bh_span("\1\2", 2));
    ev_claim_text(&verdict, "b", "text");
    ev_claim_bytes(&verdict, "c", bh_span(big, sizeof(big))); /* does not fit: left out */
    cr_assert_eq(verdict.submod.claims_len, 2);
    cr_assert_not(verdict.submod.claims[0].text);
    cr_assert(verdict.submod.claims[1].text);
    cr_assert_eq(verdict.submod.claims[1].len, 4);
    for (size_t i = 0; i < BH_EAR_CLAIMS_MAX + 3; i++)
        ev_claim_bytes(&verdict, "d", bh_span_none());
    cr_assert_eq(verdict.submod.claims_len, BH_EAR_CLAIMS_MAX);
}

Test(evidence, vendor_roots_of_one_platform)
{
    struct ev_trust trust = {0};

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "psa"), BH_OK);
    cr_assert_eq(trust.anchors_len, 0);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "aws-nitro"), BH_OK);
    cr_assert_eq(trust.anchors_len, 1);
    cr_assert_str_eq(trust.anchors[0].platform, "aws-nitro");
    cr_assert_not(trust.anchors[0].simulated);
    /* Only what was added is dropped, wherever it stands. */
    trust.anchors[1] = (struct ev_anchor){.platform = "arm-cca", .simulated = true};
    trust.anchors_len = 2;
    ev_trust_clear(&trust);
    cr_assert_eq(trust.anchors_len, 1);
    cr_assert_str_eq(trust.anchors[0].platform, "arm-cca");
    trust.anchors_len = EV_ANCHORS_MAX;
    cr_assert_neq(ev_trust_add_vendor_roots(&trust, "aws-nitro"), BH_OK);
}
