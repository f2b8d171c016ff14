/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro: policies that must not be taken, and documents that a policy refuses. */
#include "nitro_forge.h"

#include "evidence/policy.h"

#include "core/x509.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct forge_chain chain;
static struct ev_report report;

static void
set_up(void)
{
    forge_chain_right(&chain, "Test root");
}

static void
tear_down(void)
{
    forge_chain_clear(&chain);
}

TestSuite(nitro_policy, .init = set_up, .fini = tear_down, .timeout = 60);

static enum bh_err
parse(const char *entry, struct ev_policy **ret_policy, struct bh_diag *diag)
{
    char text[4096];

    (void)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", entry);
    bh_diag_clear(diag);
    return ev_policy_parse(bh_span_str(text), ret_policy, diag);
}

/* "aaaa...": the hex of a PCR of @p len bytes of value @p byte. */
static const char *
pcr(uint8_t byte, size_t len)
{
    static char ring[8][160];
    static unsigned at;
    char *out = ring[at++ % 8];

    for (size_t i = 0; i < len; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", byte);
    return out;
}

static void
policy_refused(const char *entry, const char *check)
{
    struct ev_policy *policy = NULL;
    struct bh_diag diag;

    cr_assert_neq(parse(entry, &policy, &diag), BH_OK, "%s", entry);
    cr_assert_str_eq(diag.check, check, "%s: %s: %s", entry, diag.check, diag.detail);
}

Test(nitro_policy, entries_that_must_not_parse)
{
    static const struct {
        const char *entry, *check; /* %s: a good value */
    } rows[] = {
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\"}", "policy.accept[0].pcrs"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{}}", "policy.accept[0].pcrs"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"1\":[\"%s\"]}}",
            "policy.accept[0].pcrs"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"8\":[\"%s\"],\"1\":[\"%s\"]}}",
            "policy.accept[0].pcrs"},
        {"{\"platform\":\"aws-nitro\",\"pcrs\":{\"0\":[\"%s\"]}}", "policy.accept[0].owner"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"32\":[\"%s\"]}}",
            "policy.accept[0].pcrs.32"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"00\":[\"%s\"]}}",
            "policy.accept[0].pcrs.00"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[]}}",
            "policy.accept[0].pcrs.0"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\",\"%s\"]}}",
            "policy.accept[0].pcrs.0"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"abcd\"]}}",
            "policy.accept[0].pcrs.0"},
        {"{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcr\":{\"0\":[\"%s\"]}}",
            "policy.accept[0].pcr"},
    };
    char entry[1024];

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        const char *good = pcr(0xa0, 48);

        char *at = entry;
        for (const char *c = rows[i].entry; *c != '\0'; c++) {
            if (c[0] == '%' && c[1] == 's') {
                at += snprintf(at, 200, "%s", good);
                c++;
            } else {
                *at++ = *c;
            }
        }
        *at = '\0';
        policy_refused(entry, rows[i].check);
    }
    /* Zeros, and a length that no PCR has. */
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(0, 48));
    policy_refused(entry, "policy.accept[0].pcrs.0");
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(1, 40));
    policy_refused(entry, "policy.accept[0].pcrs.0");
}

static struct ev_verdict verdict;

static enum bh_err
appraise(const struct forge_doc *doc, const char *entry)
{
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct ev_trust trust;
    struct bh_diag diag;
    size_t len;
    uint8_t *bytes = forge_make(&chain, doc, &len);
    enum bh_err e;

    forge_trust(&trust, &chain, false);
    cr_assert_eq(parse(entry, &policy, &diag), BH_OK, "%s: %s", diag.check, diag.detail);
    ev_report_init(&report, true);
    cr_assert_eq(ev_decode_raw(bh_span(bytes, len), &report, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_OK, "%s", report.diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), &report, &verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    free(bytes);
    return e;
}

static void
appraisal_refused(
    const struct forge_doc *doc, const char *entry, enum bh_err err, const char *check)
{
    cr_assert_eq(appraise(doc, entry), err, "%s", report.diag.detail);
    cr_assert_str_eq(report.diag.check, check);
}

Test(nitro_policy, references)
{
    struct forge_doc doc;
    char entry[2048];

    forge_document(&doc);
    /* A list of alternatives, owner pinned by PCR4. */
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"pcrs\":{\"0\":[\"%s\",\"%s\"],\"4\":[\"%s\"]}}", pcr(1, 48),
        pcr(0xa0, 48), pcr(0xa4, 48));
    cr_assert_eq(appraise(&doc, entry), BH_OK, "%s", report.diag.detail);
    cr_assert(verdict.owner_pinned);
    cr_assert_not(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
    cr_assert_eq(verdict.submod.claims_len, 4); /* pcr0 to pcr2, pcr4 */
    cr_assert_str_eq(verdict.submod.claims[3].name, "pcr4");
    cr_assert_eq(verdict.submod.claims[3].value[0], 0xa4);
    cr_assert_eq(verdict.measurement_len, 48);
    cr_assert_eq(verdict.measurement[0], 0xa0);
    cr_assert(bh_span_is(bh_span(verdict.hardware_id, verdict.hardware_id_len), FORGE_MODULE));
    cr_assert_eq(verdict.not_after, 0);
    /* Code by signer. */
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"8\":[\"%s\"],\"1\":[\"%s\"],"
        "\"2\":[\"%s\"]}}",
        pcr(0xa8, 48), pcr(0xa1, 48), pcr(0xa2, 48));
    cr_assert_eq(appraise(&doc, entry), BH_OK, "%s", report.diag.detail);
    cr_assert_not(verdict.owner_pinned);
    /* One value differs, differs in length, or is not there. */
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"pcrs\":{\"0\":[\"%s\"],\"3\":[\"%s\"]}}", pcr(0xa0, 48),
        pcr(1, 48));
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.pcr3");
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(0xa0, 32));
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.pcr0");
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"],\"16\":[\"%s\"]}}",
        pcr(0xa0, 48), pcr(1, 48));
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.pcr16");
    doc.no_pcr0 = true;
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(0xa0, 48));
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.pcr0");
    cr_assert_str_eq(report.diag.found, "nothing");
}

Test(nitro_policy, long_module_id)
{
    static const char id[] = "i-0123456789abcdef0-enc0123456789abcdef-and-what-does-not-fit-in-64";
    struct forge_cert_plan plan[FORGE_CERTS];
    struct forge_doc doc;
    uint8_t hash[64];
    char entry[512];

    /* A leaf that is not named as AWS names them is of no module. */
    forge_chain_clear(&chain);
    forge_plan(plan, "Test root");
    plan[FORGE_LEAF].cn = "leaf";
    forge_chain_make(&chain, plan);
    forge_document(&doc);
    doc.module_id = id;
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(0xa0, 48));
    cr_assert_eq(appraise(&doc, entry), BH_OK, "%s", report.diag.detail);
    cr_assert_eq(bh_sha2(512, bh_span_str(id), hash), BH_OK);
    cr_assert_eq(verdict.hardware_id_len, 64);
    cr_assert_arr_eq(verdict.hardware_id, hash, 64);
}

Test(nitro_policy, debug)
{
    struct forge_doc doc;
    char entry[2048], allowed[2100];

    forge_document(&doc);
    memset(doc.pcr, 0, 3); /* PCR3 and PCR4 stay, as in real documents */
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"],\"4\":[\"%s\"]}}",
        pcr(0xa0, 48), pcr(0xa4, 48));
    (void)snprintf(allowed, sizeof(allowed), "{\"debug\":true,%s", entry + 1);
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.debug");
    cr_assert_eq(appraise(&doc, allowed), BH_OK, "%s", report.diag.detail);
    cr_assert(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_WARNING);
    cr_assert_eq(verdict.submod.trust[BH_TRUST_CONFIGURATION], 32);
    /* Debug lifts only what debug zeroes. */
    memset(doc.pcr + 4, 0x77, 1);
    appraisal_refused(&doc, allowed, BH_ERR_POLICY, "aws-nitro.pcr4");
    /* PCR0 to PCR2 that are not there measure nothing either. */
    forge_document(&doc);
    memset(doc.pcr, 0, 3);
    doc.no_pcr0 = true;
    appraisal_refused(&doc, entry, BH_ERR_POLICY, "aws-nitro.debug");
    /* The entry may allow debug without the enclave being in it. */
    forge_document(&doc);
    cr_assert_eq(appraise(&doc, allowed), BH_OK, "%s", report.diag.detail);
    cr_assert_not(verdict.debug);
    cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
}

/* A NitroTPM's document says what it is, and matches no entry of an enclave. */
Test(nitro_policy, nitro_tpm)
{
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw = {.count = 1};
    struct forge_doc doc;
    char entry[512];
    uint8_t *bytes;
    size_t len;

    forge_document(&doc);
    doc.pcrs_key = false;
    doc.tpm_key = true;
    doc.pcrs = 24;
    (void)snprintf(entry, sizeof(entry),
        "{\"platform\":\"aws-nitro\",\"owner\":\"any\",\"pcrs\":{\"0\":[\"%s\"]}}", pcr(0xa0, 48));
    appraisal_refused(&doc, entry, BH_ERR_REFERENCE_MISSING, "policy.platform");
    bytes = forge_make(&chain, &doc, &len);
    (void)snprintf(
        cmw.records[0].type, sizeof(cmw.records[0].type), "%s", "application/aws-nitro-document");
    cmw.records[0].value = bh_span(bytes, len);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_ERR_UNSUPPORTED);
    cr_assert_str_eq(report.diag.check, "aws-nitro.pcrs");
    cr_assert_null(ev);
    free(bytes);
}
