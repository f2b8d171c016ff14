/* SPDX-License-Identifier: Apache-2.0 */
/* EC2 instances with a NitroTPM: documents of the test's own, and a recorded one, before policies.
 */
#include "nitro_forge.h"

#include "core/text.h"
#include "evidence/policy.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MODULE "i-0123456789abcdef0-tpm0000000000000000"
#define TYPE "application/aws-nitrotpm-document"

static struct forge_chain chain;
static struct ev_report report;
static struct ev_verdict verdict;

static void
set_up(void)
{
    struct forge_cert_plan plan[FORGE_CERTS];

    forge_plan(plan, "Test root");
    plan[FORGE_LEAF].cn = MODULE ".us-east-1.aws";
    forge_chain_make(&chain, plan);
}

static void
tear_down(void)
{
    forge_chain_clear(&chain);
}

TestSuite(nitrotpm, .init = set_up, .fini = tear_down, .timeout = 120);

/* 24 PCRs of bytes a0, a1, ...; PCR 12 is zero, as where no command line was passed. */
static void
right(struct forge_doc *doc)
{
    forge_document(doc);
    doc->module_id = MODULE;
    doc->pcrs = 24;
    doc->pcrs_key = false;
    doc->tpm_key = true;
    doc->pcr[12] = 0;
}

static enum bh_err
decode(struct bh_span bytes, const char *type, struct ev_evidence **ret_ev)
{
    struct bh_cmw cmw = {.count = 1};

    ev_report_init(&report, true);
    if (type == NULL)
        return ev_decode_raw(bytes, &report, ret_ev);
    (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", type);
    cmw.records[0].value = bytes;
    return ev_decode(&cmw, &report, ret_ev);
}

static enum bh_err
authenticate(const struct forge_doc *doc, const char *type, const struct ev_trust *trust)
{
    struct ev_evidence *ev = NULL;
    size_t len;
    uint8_t *bytes = forge_make(&chain, doc, &len);
    enum bh_err e;

    if ((e = decode(bh_span(bytes, len), type, &ev)) == BH_OK) {
        cr_assert_str_eq(ev_platform(ev), "aws-nitrotpm");
        e = ev_authenticate(ev, trust, &report);
    }
    ev_evidence_free(ev);
    free(bytes);
    return e;
}

static void
refused(const struct forge_doc *doc, enum bh_err err, const char *check)
{
    struct ev_trust trust;

    forge_trust(&trust, &chain, false);
    cr_assert_eq(authenticate(doc, TYPE, &trust), err, "%s: %s", check, report.diag.detail);
    cr_assert_str_eq(report.diag.check, check);
    cr_assert(report.diag.expected[0] != '\0' && report.diag.found[0] != '\0');
}

/* ---- the document ---- */

Test(nitrotpm, authentic_by_type_and_by_form)
{
    static const char *const types[] = {NULL, TYPE, "Application/AWS-NitroTPM-document; v=1"};
    struct ev_trust trust;
    struct forge_doc doc;

    right(&doc);
    forge_trust(&trust, &chain, false);
    for (size_t i = 0; i < BH_COUNT(types); i++)
        cr_assert_eq(authenticate(&doc, types[i], &trust), BH_OK, "%s", report.diag.detail);
}

Test(nitrotpm, malformed_or_false)
{
    struct forge_doc doc;

    right(&doc);
    doc.pcrs = 25; /* index 24 */
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.pcrs");
    doc.pcrs = 0;
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.pcrs");
    right(&doc);
    doc.pcrs_key = true; /* both */
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.pcrs");
    doc.pcrs_key = doc.tpm_key = false;
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.pcrs");
    right(&doc);
    doc.twice = "nitrotpm_pcrs";
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.payload");
    right(&doc);
    doc.document_trailing = 1;
    refused(&doc, BH_ERR_EVIDENCE_MALFORMED, "aws-nitrotpm.envelope");
    right(&doc);
    doc.module_id = "i-0123456789abcdef1-tpm0000000000000000";
    refused(&doc, BH_ERR_NOT_AUTHENTIC, "aws-nitrotpm.module_id");
    right(&doc);
    doc.timestamp = (uint64_t)(FORGE_NOW - 86400) * 1000;
    refused(&doc, BH_ERR_NOT_AUTHENTIC, "aws-nitrotpm.timestamp");
}

/* Neither kind of document passes for the other. */
Test(nitrotpm, neither_kind_is_the_other)
{
    struct ev_evidence *ev = NULL;
    struct forge_doc doc;
    uint8_t *bytes;
    size_t len;

    right(&doc);
    bytes = forge_make(&chain, &doc, &len);
    cr_assert_eq(
        decode(bh_span(bytes, len), "application/aws-nitro-document", &ev), BH_ERR_UNSUPPORTED);
    cr_assert_str_eq(report.diag.check, "aws-nitro.pcrs");
    free(bytes);
    doc.pcrs_key = true;
    doc.tpm_key = false;
    bytes = forge_make(&chain, &doc, &len);
    cr_assert_eq(decode(bh_span(bytes, len), TYPE, &ev), BH_ERR_UNSUPPORTED);
    cr_assert_str_eq(report.diag.check, "aws-nitrotpm.nitrotpm_pcrs");
    /* The words in user_data do not make it one. */
    doc.user_data_is = FORGE_BYTES;
    doc.user_data = bh_span_str("\x6dnitrotpm_pcrs");
    free(bytes);
    bytes = forge_make(&chain, &doc, &len);
    cr_assert_eq(decode(bh_span(bytes, len), NULL, &ev), BH_OK);
    cr_assert_str_eq(ev_platform(ev), "aws-nitro");
    ev_evidence_free(ev);
    free(bytes);
}

/* An anchor of enclaves is AWS's for both; one of NitroTPMs alone admits no enclave. */
Test(nitrotpm, anchors)
{
    struct ev_evidence *ev = NULL;
    struct ev_trust trust;
    struct forge_doc doc;
    uint8_t *bytes;
    size_t len;

    right(&doc);
    forge_trust(&trust, &chain, false);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "aws-nitro");
    cr_assert_eq(authenticate(&doc, TYPE, &trust), BH_OK, "%s", report.diag.detail);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "aws-nitrotpm");
    cr_assert_eq(authenticate(&doc, TYPE, &trust), BH_OK, "%s", report.diag.detail);
    doc.pcrs_key = true;
    doc.tpm_key = false;
    bytes = forge_make(&chain, &doc, &len);
    cr_assert_eq(decode(bh_span(bytes, len), NULL, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    ev_evidence_free(ev);
    free(bytes);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "psa");
    right(&doc);
    cr_assert_eq(authenticate(&doc, TYPE, &trust), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitrotpm.chain");
}

Test(nitrotpm, binding)
{
    static const uint8_t binding[BH_BINDING_LEN] = {1, 2, 3}, other[BH_BINDING_LEN] = {1, 2, 4};
    static const uint8_t key[91] = {0x30};
    const struct bh_span spki = bh_span(key, sizeof(key));
    const struct {
        struct bh_span nonce, public_key;
        enum bh_err err;
        const char *check;
    } rows[] = {
        {bh_span(binding, sizeof(binding)), spki, BH_OK, ""},
        {bh_span(binding, 32), spki, BH_ERR_BINDING, "aws-nitrotpm.binding"},
        {bh_span(other, sizeof(other)), spki, BH_ERR_BINDING, "aws-nitrotpm.binding"},
        {bh_span(binding, sizeof(binding)), bh_span(key, 90), BH_ERR_BINDING,
            "aws-nitrotpm.public_key"},
    };
    struct forge_doc doc;

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct ev_evidence *ev = NULL;
        uint8_t *bytes;
        size_t len;

        right(&doc);
        doc.nonce_is = doc.public_key_is = FORGE_BYTES;
        doc.nonce = rows[i].nonce;
        doc.public_key = rows[i].public_key;
        bytes = forge_make(&chain, &doc, &len);
        cr_assert_eq(decode(bh_span(bytes, len), TYPE, &ev), BH_OK);
        cr_assert_eq(ev_bind(ev, binding, spki, &report), rows[i].err, "row %zu", i);
        cr_assert_str_eq(report.diag.check, rows[i].check);
        ev_evidence_free(ev);
        free(bytes);
    }
}

/* ---- policy ---- */

#define E "{\"platform\":\"aws-nitrotpm\","
#define ANY E "\"owner\":\"any\","

static enum bh_err
parse(const char *entry, struct ev_policy **ret_policy, struct bh_diag *diag)
{
    char text[4096];
    char *at = text;

    /* An 'A' within quotes stands for 48 bytes a4, a 'Z' for 48 zero bytes. */
    at += snprintf(at, sizeof(text), "{\"workload\":\"w\",\"accept\":[");
    for (const char *c = entry; *c != '\0'; c++) {
        if (strncmp(c, "\"A\"", 3) == 0 || strncmp(c, "\"Z\"", 3) == 0) {
            *at++ = '"';
            for (int i = 0; i < 48; i++)
                at += snprintf(at, 3, "%02x", c[1] == 'A' ? 0xa4 : 0);
            *at++ = '"';
            c += 2;
        } else {
            *at++ = *c;
        }
    }
    (void)snprintf(at, 3, "]}");
    bh_diag_clear(diag);
    return ev_policy_parse(bh_span_str(text), ret_policy, diag);
}

Test(nitrotpm, entries_that_must_not_parse)
{
    static const struct {
        const char *entry, *check;
    } rows[] = {
        {E "\"owner\":\"any\"}", "pcrs"},
        {ANY "\"pcrs\":{}}", "pcrs"},
        /* Who may sign, and what the command line is: no code. */
        {ANY "\"pcrs\":{\"7\":[\"A\"]}}", "pcrs"},
        {ANY "\"pcrs\":{\"12\":[\"A\"]}}", "pcrs"},
        {ANY "\"pcrs\":{\"0\":[\"A\"],\"1\":[\"A\"],\"2\":[\"A\"]}}", "pcrs"},
        {ANY "\"pcrs\":{\"7\":[\"A\"]},\"unextended\":[12]}", "pcrs"},
        {E "\"pcrs\":{\"4\":[\"A\"]}}", "owner"},
        {ANY "\"pcrs\":{\"24\":[\"A\"]}}", "pcrs.24"},
        {ANY "\"pcrs\":{\"04\":[\"A\"]}}", "pcrs.04"},
        {ANY "\"pcrs\":{\"4\":[\"Z\"]}}", "pcrs.4"},
        {ANY "\"pcrs\":{\"4\":[\"aabb\"]}}", "pcrs.4"},
        {ANY "\"pcrs\":{\"4\":[\"A\"],\"16\":[\"A\"]}}", "pcrs.16"},
        {ANY "\"pcrs\":{\"4\":[\"A\"],\"23\":[\"A\"]}}", "pcrs.23"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"debug\":true}", "debug"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"account\":\"1\"}", "account"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[]}", "unextended"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[4]}", "unextended"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[16]}", "unextended"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[-1]}", "unextended"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[12,12]}", "unextended"},
        {ANY "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[\"12\"]}", "unextended"},
        {E "\"instance_id\":[],\"pcrs\":{\"4\":[\"A\"]}}", "instance_id"},
        {E "\"instance_id\":[1],\"pcrs\":{\"4\":[\"A\"]}}", "instance_id"},
        {E "\"instance_id\":[\"i-0\"],\"pcrs\":{\"4\":[\"A\"]}}", "instance_id"},
        {E "\"instance_id\":[\"i-0123456789abcdef01\"],\"pcrs\":{\"4\":[\"A\"]}}", "instance_id"},
        {E "\"instance_id\":[\"i-0123456789ABCDEF0\"],\"pcrs\":{\"4\":[\"A\"]}}", "instance_id"},
        {E "\"instance_id\":[\"i-01234567\",\"i-01234567\"],\"pcrs\":{\"4\":[\"A\"]}}",
            "instance_id"},
    };
    char check[96];

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct ev_policy *policy = NULL;
        struct bh_diag diag;

        (void)snprintf(check, sizeof(check), "policy.accept[0].%s", rows[i].check);
        cr_assert_neq(parse(rows[i].entry, &policy, &diag), BH_OK, "%s", rows[i].entry);
        cr_assert_str_eq(diag.check, check, "%s: %s: %s", rows[i].entry, diag.check, diag.detail);
        cr_assert_null(policy);
    }
}

static enum bh_err
appraise_bytes(struct bh_span bytes, const char *entry, const struct ev_trust *trust)
{
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct bh_diag diag;
    enum bh_err e;

    cr_assert_eq(parse(entry, &policy, &diag), BH_OK, "%s: %s", diag.check, diag.detail);
    cr_assert_eq(decode(bytes, TYPE, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, trust, &report), BH_OK, "%s", report.diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), &report, &verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    return e;
}

static enum bh_err
appraise(const struct forge_doc *doc, const char *entry)
{
    struct ev_trust trust;
    size_t len;
    uint8_t *bytes = forge_make(&chain, doc, &len);
    enum bh_err e;

    forge_trust(&trust, &chain, false);
    e = appraise_bytes(bh_span(bytes, len), entry, &trust);
    free(bytes);
    return e;
}

static void
appraisal_refused(const struct forge_doc *doc, const char *entry, const char *check)
{
    cr_assert_eq(appraise(doc, entry), BH_ERR_POLICY, "%s", report.diag.detail);
    cr_assert_str_eq(report.diag.check, check, "%s", report.diag.check);
}

Test(nitrotpm, references)
{
    static const char mine[] = E "\"instance_id\":[\"i-01234567\",\"i-0123456789abcdef0\"],"
                                 "\"pcrs\":{\"4\":[\"A\"]},\"unextended\":[12]}";
    struct forge_doc doc;

    right(&doc);
    cr_assert_eq(appraise(&doc, mine), BH_OK, "%s", report.diag.detail);
    cr_assert(verdict.owner_pinned);
    cr_assert_not(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_assert_str_eq(verdict.submod.platform, "aws-nitrotpm");
    cr_assert_eq(verdict.submod.trust[BH_TRUST_HARDWARE], 2);
    cr_assert_eq(verdict.submod.trust[BH_TRUST_CONFIGURATION], 2);
    cr_assert_eq(verdict.submod.claims_len, 2); /* pcr4, pcr7 */
    cr_assert_str_eq(verdict.submod.claims[0].name, "pcr4");
    cr_assert_eq(verdict.measurement_len, 48);
    cr_assert_eq(verdict.measurement[0], 0xa4);
    cr_assert(bh_span_is(bh_span(verdict.hardware_id, verdict.hardware_id_len), MODULE));
    /* An entry that says nothing of the configuration claims nothing of it. */
    cr_assert_eq(appraise(&doc, ANY "\"pcrs\":{\"4\":[\"A\"]}}"), BH_OK);
    cr_assert_not(verdict.owner_pinned);
    cr_assert_eq(verdict.submod.trust[BH_TRUST_CONFIGURATION], 0);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);

    doc.pcr[12] = 0xac;
    appraisal_refused(&doc, mine, "aws-nitrotpm.pcr12");
    doc.pcrs = 12; /* a PCR that is not there is not zero */
    appraisal_refused(&doc, mine, "aws-nitrotpm.pcr12");
    right(&doc);
    doc.pcr[4] = 0xb4;
    appraisal_refused(&doc, mine, "aws-nitrotpm.pcr4");
    right(&doc);
    appraisal_refused(&doc, ANY "\"pcrs\":{\"4\":[\"A\"],\"7\":[\"A\"]}}", "aws-nitrotpm.pcr7");
    appraisal_refused(&doc, E "\"instance_id\":[\"i-0123456789abcdef1\"],\"pcrs\":{\"4\":[\"A\"]}}",
        "aws-nitrotpm.instance_id");
    /* An entry of an enclave with the same value is no entry for it. */
    cr_assert_eq(
        appraise(&doc, "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"A\"]}}"),
        BH_ERR_REFERENCE_MISSING);
    cr_assert_str_eq(report.diag.check, "policy.platform");
}

Test(nitrotpm, a_module_id_of_another_form_names_no_instance)
{
    static const char *const others[] = {"i-0123456789abcdef0", "i-0123456789abcdef0-tpm",
        "-tpm0000000000000000", "i-0123456789abcdef0-tpmxyz", "j-0123456789abcdef0-tpm00"};
    static const char mine[] =
        E "\"instance_id\":[\"i-0123456789abcdef0\"],\"pcrs\":{\"4\":[\"A\"]}}";

    for (size_t i = 0; i < BH_COUNT(others); i++) {
        struct forge_cert_plan plan[FORGE_CERTS];
        struct forge_doc doc;
        char cn[96];

        forge_chain_clear(&chain);
        forge_plan(plan, "Test root");
        (void)snprintf(cn, sizeof(cn), "%s.us-east-1.aws", others[i]);
        plan[FORGE_LEAF].cn = cn;
        forge_chain_make(&chain, plan);
        right(&doc);
        doc.module_id = others[i];
        appraisal_refused(&doc, mine, "aws-nitrotpm.instance_id");
        cr_assert_str_eq(report.diag.found, "a module id that names no instance");
    }
}

/* ---- recorded ---- */

#define RECORDED_AT INT64_C(1770113522) /* 2026-02-03T10:12:02Z */

static uint8_t *
recorded(struct bh_span *ret_bytes)
{
    size_t len;
    uint8_t *bytes = bh_vector("nitro/nitrotpm-2026-02-03.cbor", &len);

    *ret_bytes = bh_span(bytes, len);
    return bytes;
}

Test(nitrotpm, recorded_document_before_policies)
{
    struct ev_trust trust = {.now = RECORDED_AT};
    json_t *all, *row, *pcrs = NULL;
    struct bh_span bytes;
    char entry[1024];
    uint8_t *buf;
    size_t i;

    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    buf = recorded(&bytes);
    all = bh_vector_json("expected-ncp.json");
    json_array_foreach(all, i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));

        if (strcmp(file, "nitro/nitrotpm-2026-02-03.cbor") == 0)
            pcrs = json_object_get(row, "pcrs");
    }
    cr_assert_eq(json_object_size(pcrs), 24);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "aws-nitrotpm"), BH_OK);
    cr_assert_eq(trust.anchors_len, 1);
    (void)snprintf(entry, sizeof(entry),
        E "\"instance_id\":[\"i-01cfb383223e42522\"],\"pcrs\":{\"4\":[\"%s\"],\"7\":[\"%s\"]}}",
        json_string_value(json_object_get(pcrs, "4")),
        json_string_value(json_object_get(pcrs, "7")));
    cr_assert_eq(appraise_bytes(bytes, entry, &trust), BH_OK, "%s", report.diag.detail);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_assert(verdict.owner_pinned);
    (void)snprintf(entry, sizeof(entry), ANY "\"pcrs\":{\"4\":[\"%s\"]}}",
        json_string_value(json_object_get(pcrs, "7")));
    cr_assert_eq(appraise_bytes(bytes, entry, &trust), BH_ERR_POLICY);
    cr_assert_str_eq(report.diag.check, "aws-nitrotpm.pcr4");
    ev_trust_clear(&trust);
    json_decref(all);
    free(buf);
}

struct mutants {
    struct ev_trust trust;
    size_t survivors;
};

static bool
show(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct mutants *m = arg;
    struct ev_evidence *ev = NULL;

    if (decode(mutant, TYPE, &ev) == BH_OK && ev_authenticate(ev, &m->trust, &report) == BH_OK) {
        m->survivors++;
        cr_log_error("byte %zu, %s: still authentic", at, how);
    } else {
        cr_assert(report.err != BH_OK && report.diag.check[0] != '\0', "byte %zu, %s", at, how);
    }
    ev_evidence_free(ev);
    ev = NULL;
    if (decode(mutant, NULL, &ev) == BH_OK)
        ev_evidence_free(ev);
    return true;
}

Test(nitrotpm, mutants_of_the_recorded_document)
{
    struct mutants m = {.trust = {.now = RECORDED_AT}};
    struct bh_span bytes;
    uint8_t *buf;

    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    buf = recorded(&bytes);
    m.trust.cache = ev_chain_cache_new(64);
    cr_assert_eq(ev_trust_add_vendor_roots(&m.trust, "aws-nitrotpm"), BH_OK);
    cr_assert_gt(bh_mutate(bytes, 0, bytes.len, 3, show, &m), bytes.len);
    cr_assert_eq(m.survivors, 0);
    ev_chain_cache_free(m.trust.cache);
    ev_trust_clear(&m.trust);
    free(buf);
}
