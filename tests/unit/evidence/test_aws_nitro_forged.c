/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro: documents that are right but for one thing, each refused by its error and check. */
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

TestSuite(nitro_forged, .init = set_up, .fini = tear_down, .timeout = 60);

static enum bh_err
authenticate(const struct forge_chain *c, const struct forge_doc *doc, const struct ev_trust *trust)
{
    struct ev_evidence *ev = NULL;
    size_t len;
    uint8_t *bytes = forge_make(c, doc, &len);
    enum bh_err e;

    ev_report_init(&report, false);
    if ((e = ev_decode_raw(bh_span(bytes, len), &report, &ev)) == BH_OK)
        e = ev_authenticate(ev, trust, &report);
    ev_evidence_free(ev);
    free(bytes);
    return e;
}

static void
refused(const struct forge_chain *c, const struct forge_doc *doc, const struct ev_trust *trust,
    enum bh_err err, const char *check)
{
    const enum bh_err e = authenticate(c, doc, trust);

    cr_assert_eq(e, err, "%s: error %d, %s", check, e, report.diag.detail);
    cr_assert_str_eq(report.diag.check, check);
    cr_assert(report.diag.expected[0] != '\0' && report.diag.found[0] != '\0');
}

static void
malformed(const struct forge_doc *doc, const char *check)
{
    struct ev_trust trust;

    forge_trust(&trust, &chain, false);
    refused(&chain, doc, &trust, BH_ERR_EVIDENCE_MALFORMED, check);
}

Test(nitro_forged, right_ones_in_every_form)
{
    struct ev_trust trust;
    struct forge_doc doc;

    forge_trust(&trust, &chain, false);
    for (unsigned form = 0; form < 8; form++) {
        forge_document(&doc);
        doc.indefinite = (form & 1) != 0;
        doc.tagged = (form & 2) != 0;
        doc.high_s = (form & 4) != 0;
        cr_assert_eq(authenticate(&chain, &doc, &trust), BH_OK, "%s", report.diag.detail);
    }
    /* Fewer and more PCRs than sixteen, and the three optional fields absent or empty. */
    forge_document(&doc);
    doc.pcrs = 17;
    doc.nonce_is = doc.public_key_is = FORGE_ABSENT;
    doc.user_data_is = FORGE_BYTES;
    cr_assert_eq(authenticate(&chain, &doc, &trust), BH_OK, "%s", report.diag.detail);
    doc.pcrs = 1;
    doc.pcr_len = 32;
    cr_assert_eq(authenticate(&chain, &doc, &trust), BH_OK, "%s", report.diag.detail);
}

/* ---- well-formed ---- */

Test(nitro_forged, envelope)
{
    static const uint8_t es256[] = {0xa1, 0x01, 0x26};
    static const uint8_t long_form[] = {0xa1, 0x01, 0x39, 0x00, 0x22};
    static const uint8_t with_kid[] = {0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x6b};
    static const uint8_t no_alg[] = {0xa0};
    struct forge_doc doc;

    forge_document(&doc);
    doc.document_trailing = 1;
    malformed(&doc, "aws-nitro.envelope");
    doc.document_trailing = 20 * 1024;
    malformed(&doc, "aws-nitro.envelope");
    forge_document(&doc);
    doc.payload_trailing = 13 * 1024;
    malformed(&doc, "aws-nitro.payload");
    forge_document(&doc);
    doc.unprotected_kid = true;
    malformed(&doc, "aws-nitro.envelope");
    forge_document(&doc);
    doc.signature_cut = true;
    malformed(&doc, "aws-nitro.envelope");
    forge_document(&doc);
    doc.protected_ = bh_span(es256, sizeof(es256));
    malformed(&doc, "aws-nitro.protected");
    doc.protected_ = bh_span(long_form, sizeof(long_form));
    malformed(&doc, "aws-nitro.protected");
    doc.protected_ = bh_span(with_kid, sizeof(with_kid));
    malformed(&doc, "aws-nitro.protected");
    doc.protected_ = bh_span(no_alg, sizeof(no_alg));
    malformed(&doc, "aws-nitro.protected");
}

Test(nitro_forged, duplicate_and_unknown_keys)
{
    static const char *const keys[] = {"pcrs", "module_id", "certificate", "nonce"};
    struct forge_doc doc;

    for (unsigned i = 0; i < 2 * BH_COUNT(keys); i++) {
        forge_document(&doc);
        doc.indefinite = i % 2 == 0;
        doc.twice = keys[i / 2];
        malformed(&doc, "aws-nitro.payload");
        cr_assert(strstr(report.diag.found, "twice") != NULL, "%s", report.diag.found);
    }
    forge_document(&doc);
    doc.extra_key = "surprise";
    malformed(&doc, "aws-nitro.payload");
    forge_document(&doc);
    doc.payload_trailing = 1;
    malformed(&doc, "aws-nitro.payload");
}

Test(nitro_forged, missing_fields)
{
    static const char *const keys[] = {
        "module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"};
    struct forge_doc doc;
    char check[64];

    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        forge_document(&doc);
        doc.without = keys[i];
        (void)snprintf(check, sizeof(check), "aws-nitro.%s", keys[i]);
        malformed(&doc, check);
    }
}

Test(nitro_forged, field_rules)
{
    static const uint8_t big[1025] = {1};
    struct forge_doc doc;

    forge_document(&doc);
    doc.module_id = "";
    malformed(&doc, "aws-nitro.module_id");
    forge_document(&doc);
    doc.digest = "SHA256";
    malformed(&doc, "aws-nitro.digest");
    forge_document(&doc);
    doc.timestamp = 0;
    malformed(&doc, "aws-nitro.timestamp");
    doc.timestamp = UINT64_MAX;
    malformed(&doc, "aws-nitro.timestamp");
    forge_document(&doc);
    doc.timestamp_is_text = true;
    malformed(&doc, "aws-nitro.timestamp");
    forge_document(&doc);
    doc.pcrs = 0;
    malformed(&doc, "aws-nitro.pcrs");
    doc.pcrs = 33; /* index 32 */
    malformed(&doc, "aws-nitro.pcrs");
    doc.pcrs = 16;
    doc.pcr_len = 47;
    malformed(&doc, "aws-nitro.pcrs");
    forge_document(&doc);
    doc.tpm_key = true; /* both */
    malformed(&doc, "aws-nitro.pcrs");
    forge_document(&doc);
    doc.no_bundle = true;
    malformed(&doc, "aws-nitro.cabundle");
    doc.no_bundle = false;
    doc.bundle_copies = 5; /* nine in all */
    malformed(&doc, "aws-nitro.cabundle");
    forge_document(&doc);
    doc.leaf_trailing = 1;
    malformed(&doc, "aws-nitro.certificate");
    doc.leaf_trailing = 600; /* more than 1024 in all */
    malformed(&doc, "aws-nitro.certificate");
    forge_document(&doc);
    doc.bundle_trailing = 1;
    malformed(&doc, "aws-nitro.cabundle");
    forge_document(&doc);
    doc.public_key_is = FORGE_BYTES;
    malformed(&doc, "aws-nitro.public_key");
    doc.public_key = bh_span(big, sizeof(big));
    malformed(&doc, "aws-nitro.public_key");
    forge_document(&doc);
    doc.user_data_is = FORGE_BYTES;
    doc.user_data = bh_span(big, sizeof(big));
    malformed(&doc, "aws-nitro.user_data");
    forge_document(&doc);
    doc.chunked_user_data = true;
    malformed(&doc, "aws-nitro.payload");
    forge_document(&doc);
    doc.nonce_is = FORGE_BYTES;
    doc.nonce = bh_span(big, sizeof(big));
    malformed(&doc, "aws-nitro.nonce");
}

/* ---- binding ---- */

static void
bound(const struct forge_doc *doc, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    enum bh_err err, const char *check)
{
    struct ev_evidence *ev = NULL;
    size_t len;
    uint8_t *bytes = forge_make(&chain, doc, &len);

    ev_report_init(&report, true);
    cr_assert_eq(ev_decode_raw(bh_span(bytes, len), &report, &ev), BH_OK);
    cr_assert_eq(ev_bind(ev, binding, spki, &report), err, "%s", report.diag.detail);
    cr_assert_str_eq(report.diag.check, check);
    ev_evidence_free(ev);
    free(bytes);
}

Test(nitro_forged, binding)
{
    static const uint8_t binding[BH_BINDING_LEN] = {1, 2, 3};
    static const uint8_t other[BH_BINDING_LEN] = {1, 2, 4};
    static const uint8_t key[91] = {0x30};
    const struct bh_span spki = bh_span(key, sizeof(key));
    struct forge_doc doc;

    forge_document(&doc); /* a null nonce is no nonce */
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.binding");
    cr_assert_str_eq(report.diag.found, "null");
    doc.nonce_is = FORGE_ABSENT;
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.binding");
    doc.nonce_is = FORGE_BYTES; /* nor is an empty one */
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.binding");
    doc.nonce = bh_span(binding, 32); /* nor its first half */
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.binding");
    doc.nonce = bh_span(other, sizeof(other));
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.binding");
    doc.nonce = bh_span(binding, sizeof(binding));
    bound(&doc, binding, spki, BH_OK, "");
    doc.public_key_is = FORGE_BYTES;
    doc.public_key = bh_span(key, sizeof(key) - 1);
    bound(&doc, binding, spki, BH_ERR_BINDING, "aws-nitro.public_key");
    doc.public_key = spki;
    bound(&doc, binding, spki, BH_OK, "");
}

/* ---- chain ---- */

static void
chain_refused(const struct forge_cert_plan plan[FORGE_CERTS], const char *check, const char *why)
{
    struct forge_chain broken;
    struct ev_trust trust;
    struct forge_doc doc;

    forge_chain_make(&broken, plan);
    forge_trust(&trust, &broken, false);
    forge_document(&doc);
    refused(&broken, &doc, &trust, BH_ERR_NOT_AUTHENTIC, check);
    cr_assert(strstr(report.diag.found, why) != NULL, "%s", report.diag.found);
    forge_chain_clear(&broken);
}

Test(nitro_forged, chain_signatures)
{
    struct forge_cert_plan plan[FORGE_CERTS];

    for (size_t i = 1; i < FORGE_CERTS; i++) {
        forge_plan(plan, "Test root");
        plan[i].self_issued_by_stranger = true;
        chain_refused(plan, "aws-nitro.chain", "signature");
    }
}

Test(nitro_forged, chain_names_and_constraints)
{
    struct forge_cert_plan plan[FORGE_CERTS];

    for (size_t i = 1; i < FORGE_CERTS; i++) {
        forge_plan(plan, "Test root");
        plan[i].issuer_cn = "somebody else";
        chain_refused(plan, "aws-nitro.chain", "was not issued by");
    }
    for (size_t i = 0; i < FORGE_LEAF; i++) {
        forge_plan(plan, "Test root");
        plan[i].ca = 0;
        plan[i].path_len = -1;
        chain_refused(plan, "aws-nitro.chain", "is not a CA");
        plan[i].ca = -1;
        chain_refused(plan, "aws-nitro.chain", "is not a CA");
        forge_plan(plan, "Test root");
        plan[i].usage = "critical,digitalSignature,cRLSign";
        chain_refused(plan, "aws-nitro.chain", "keyCertSign");
        plan[i].usage = NULL;
        chain_refused(plan, "aws-nitro.chain", "keyCertSign");
    }
    forge_plan(plan, "Test root");
    plan[1].path_len = 1;
    chain_refused(plan, "aws-nitro.chain", "pathLen");
    forge_plan(plan, "Test root");
    plan[0].path_len = 2;
    chain_refused(plan, "aws-nitro.chain", "pathLen");
    forge_plan(plan, "Test root");
    plan[FORGE_LEAF].ca = 1;
    chain_refused(plan, "aws-nitro.chain", "is a CA");
    forge_plan(plan, "Test root");
    plan[FORGE_LEAF].usage = "keyCertSign";
    chain_refused(plan, "aws-nitro.chain", "digitalSignature");
    for (size_t i = 0; i < FORGE_CERTS; i++) {
        forge_plan(plan, "Test root");
        plan[i].curve = i == FORGE_LEAF ? "P-521" : "P-256";
        if (i == FORGE_LEAF)
            continue; /* its signature would not be 96 bytes: malformed before */
        chain_refused(plan, "aws-nitro.chain", "P-384");
    }
}

Test(nitro_forged, validity)
{
    struct forge_cert_plan plan[FORGE_CERTS];
    struct ev_trust trust;
    struct forge_doc doc;

    for (size_t i = 0; i < FORGE_CERTS; i++) {
        forge_plan(plan, "Test root");
        plan[i].not_after = FORGE_NOW - 1;
        chain_refused(plan, "aws-nitro.validity", "");
        forge_plan(plan, "Test root");
        plan[i].not_before = FORGE_NOW + 61;
        chain_refused(plan, "aws-nitro.validity", "");
    }
    /* A leaf is made when the first document is: a server whose clock is behind by less than it
     * tolerates in the document's stamp must not refuse the certificate of the same moment. */
    forge_plan(plan, "Test root");
    plan[FORGE_LEAF].not_before = FORGE_NOW + 60;
    struct forge_chain fresh;
    forge_chain_make(&fresh, plan);
    forge_trust(&trust, &fresh, false);
    forge_document(&doc);
    doc.timestamp = (uint64_t)(FORGE_NOW + 60) * 1000;
    cr_expect_eq(authenticate(&fresh, &doc, &trust), BH_OK);
    trust.skew = 0;
    trust.max_age = 0;
    refused(&fresh, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.validity");
    forge_chain_clear(&fresh);
    /* The document's stamp: old, or ahead, or not looked at. */
    forge_trust(&trust, &chain, false);
    forge_document(&doc);
    doc.timestamp = (uint64_t)(FORGE_NOW - 301) * 1000;
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.timestamp");
    doc.timestamp = (uint64_t)(FORGE_NOW - 300) * 1000;
    cr_assert_eq(authenticate(&chain, &doc, &trust), BH_OK);
    doc.timestamp = (uint64_t)(FORGE_NOW + 61) * 1000;
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.timestamp");
    doc.timestamp = (uint64_t)INT64_MAX;
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.timestamp");
    trust.max_age = 0;
    cr_assert_eq(authenticate(&chain, &doc, &trust), BH_OK);
}

Test(nitro_forged, roots)
{
    struct forge_chain other;
    struct ev_trust trust;
    struct forge_doc doc;

    /* Another root, of the same name and with the same serial number. */
    forge_chain_right(&other, "Test root");
    forge_trust(&trust, &other, false);
    forge_document(&doc);
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain");
    /* The document's root is the right one, and what hangs under it is not. */
    memcpy(chain.der[0], other.der[0], other.der_len[0]);
    chain.der_len[0] = other.der_len[0];
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain");
    forge_chain_clear(&other);
    /* No anchors at all. */
    trust.anchors_len = 0;
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain");
    /* A server without simulation says so of a root that calls itself simulated. */
    forge_chain_right(&other, "SIMULATED AWS Nitro root");
    refused(&other, &doc, &trust, BH_ERR_SIMULATED, "simulated");
    trust.allow_simulated = true;
    refused(&other, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain");
    /* A simulated anchor counts only where simulation is allowed. */
    forge_trust(&trust, &other, true);
    cr_assert_eq(authenticate(&other, &doc, &trust), BH_OK, "%s", report.diag.detail);
    trust.allow_simulated = false;
    refused(&other, &doc, &trust, BH_ERR_SIMULATED, "simulated");
    /* Also where the same root is given as a genuine one too. */
    trust.anchors[1] = trust.anchors[0];
    trust.anchors[1].simulated = false;
    trust.anchors_len = 2;
    refused(&other, &doc, &trust, BH_ERR_SIMULATED, "simulated");
    forge_chain_clear(&other);
}

Test(nitro_forged, module_and_signature)
{
    struct ev_trust trust;
    struct forge_doc doc;
    struct ev_evidence *ev = NULL;
    size_t len, failed = 0;
    uint8_t *bytes;

    forge_trust(&trust, &chain, false);
    forge_document(&doc);
    doc.module_id = "i-0123456789abcdef0-enc0123456789abcde";
    refused(&chain, &doc, &trust, BH_ERR_NOT_AUTHENTIC, "aws-nitro.module_id");
    forge_document(&doc);
    bytes = forge_make(&chain, &doc, &len);
    bytes[len - 1] ^= 1;
    ev_report_init(&report, true);
    cr_assert_eq(ev_decode_raw(bh_span(bytes, len), &report, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.signature");
    ev_evidence_free(ev);
    free(bytes);
    /* A whole report goes on after a failure, and the first one decides. */
    trust.anchors_len = 0;
    trust.now += 24 * 3600;
    bytes = forge_make(&chain, &doc, &len);
    ev_report_init(&report, true);
    cr_assert_eq(ev_decode_raw(bh_span(bytes, len), &report, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    for (size_t i = 0; i < report.len; i++)
        failed += !report.checks[i].ok;
    cr_assert_eq(failed, 3); /* chain, validity, timestamp; the signature holds */
    ev_evidence_free(ev);
    free(bytes);
}
