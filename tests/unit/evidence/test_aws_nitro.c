/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro: genuine recorded documents and what each must yield, and mutants of two of them. */
#include "evidence/evidence.h"
#include "evidence/policy.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char enclave_type[] = "application/aws-nitro-document";
static const char tpm_type[] = "application/aws-nitrotpm-document";
static const char *document_type = enclave_type; /* of the row at hand */

/* Decode as a CMW record would be, and raw; both must agree. */
static enum bh_err
decode(struct bh_span bytes, struct ev_report *report, struct ev_evidence **ret_ev)
{
    struct ev_report raw_report;
    struct ev_evidence *raw_ev = NULL;
    struct bh_cmw cmw = {.count = 1};
    enum bh_err e, raw;

    (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", document_type);
    cmw.records[0].value = bytes;
    e = ev_decode(&cmw, report, ret_ev);
    ev_report_init(&raw_report, false);
    raw = ev_decode_raw(bytes, &raw_report, &raw_ev);
    cr_assert_eq(e, raw, "typed: %s; raw: %s", report->diag.detail, raw_report.diag.detail);
    if (e == BH_OK)
        cr_assert_str_eq(ev_platform(*ret_ev), ev_platform(raw_ev));
    ev_evidence_free(raw_ev);
    return e;
}

static enum bh_err
verify_under(struct bh_span bytes, struct ev_trust *trust, struct ev_report *report)
{
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(report, false);
    if ((e = decode(bytes, report, &ev)) == BH_OK)
        e = ev_authenticate(ev, trust, report);
    ev_evidence_free(ev);
    return e;
}

static enum bh_err
verify_at(struct bh_span bytes, int64_t at, struct ev_report *report)
{
    struct ev_trust trust = {.now = at};
    enum bh_err e;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    e = verify_under(bytes, &trust, report);
    ev_trust_clear(&trust);
    return e;
}

static void
must_refuse(struct bh_span bytes, int64_t at, enum bh_err err, const char *check, const char *file)
{
    struct ev_report report;

    cr_assert_eq(verify_at(bytes, at, &report), err, "%s: %s", file, report.diag.detail);
    cr_assert_str_eq(report.diag.check, check, "%s", file);
    cr_assert_eq(report.err, err);
}

/* A field that is expected as hex, or null. */
static void
same_hex(const json_t *claims, const char *name, const json_t *want, const char *file)
{
    const json_t *have = json_object_get(claims, name);

    cr_assert(have != NULL, "%s: no %s", file, name);
    cr_assert(json_equal(have, want), "%s: %s is %s", file, name, json_string_value(have));
}

static void
check_claims(struct bh_span bytes, const json_t *row, const char *file)
{
    struct ev_report report;
    struct ev_evidence *ev = NULL;
    json_t *claims, *pcrs;

    ev_report_init(&report, false);
    cr_assert_eq(decode(bytes, &report, &ev), BH_OK);
    cr_assert_str_eq(ev_platform(ev), document_type == tpm_type ? "aws-nitrotpm" : "aws-nitro");
    claims = ev_claims(ev);
    pcrs = json_object_get(claims, "pcrs");
    if (pcrs == NULL)
        pcrs = json_object_get(claims, "nitrotpm_pcrs");
    else
        cr_assert(json_equal(json_object_get(claims, "debug"), json_object_get(row, "debug")), "%s",
            file);
    cr_assert(json_equal(pcrs, json_object_get(row, "pcrs")), "%s: PCRs", file);
    same_hex(claims, "nonce", json_object_get(row, "full_nonce"), file);
    same_hex(claims, "user_data", json_object_get(row, "full_user_data"), file);
    same_hex(claims, "public_key", json_object_get(row, "full_public_key"), file);
    same_hex(claims, "module_id", json_object_get(row, "module_id"), file);
    json_decref(claims);
    ev_evidence_free(ev);
}

static X509 *
cert_of(const json_t *text)
{
    const char *base64 = json_string_value(text);
    X509 *cert = NULL;
    uint8_t der[1024];
    size_t len;

    cr_assert_eq(bh_unbase64url(bh_span_str(base64), der, sizeof(der), &len), BH_OK);
    cr_assert_eq(bh_x509_der(bh_span(der, len), &cert, NULL), BH_OK);
    return cert;
}

/* OpenSSL's reader and path validation, which share no code with ours, see the same chain. */
static void
check_against_openssl(struct bh_span bytes, int64_t at, int64_t end, const char *file)
{
    struct ev_trust trust = {.now = at};
    struct ev_report report;
    struct ev_evidence *ev = NULL;
    X509 *leaf, *chain[8];
    json_t *claims, *bundle, *one;
    size_t i;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "aws-nitro"), BH_OK);
    ev_report_init(&report, false);
    cr_assert_eq(decode(bytes, &report, &ev), BH_OK);
    claims = ev_claims(ev);
    bundle = json_object_get(claims, "cabundle");
    leaf = cert_of(json_object_get(claims, "certificate"));
    json_array_foreach(bundle, i, one) chain[i] = cert_of(one);
    /* Without the root that the document brings: only the built-in one counts. */
    cr_assert_eq(bh_x509_verify(leaf, chain + 1, json_array_size(bundle) - 1,
                     &trust.anchors[0].cert, 1, at, NULL),
        BH_OK, "%s", file);
    cr_assert_neq(bh_x509_verify(leaf, chain + 1, json_array_size(bundle) - 1,
                      &trust.anchors[0].cert, 1, end + 1, NULL),
        BH_OK, "%s", file);
    for (i = 0; i < json_array_size(bundle); i++)
        X509_free(chain[i]);
    X509_free(leaf);
    json_decref(claims);
    ev_evidence_free(ev);
    ev_trust_clear(&trust);
}

/* Appraised under a policy that pins the document's own PCR0 (or zeros' stand-in for debug ones).
 */
static void
check_appraisal(struct bh_span bytes, const json_t *row, int64_t at, bool tpm, const char *file)
{
    const bool debug = json_is_true(json_object_get(row, "debug"));
    const char *pcr0 = json_string_value(json_object_get(row, "pcr0"));
    struct ev_trust trust = {.now = at};
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct ev_report report;
    struct ev_verdict verdict;
    char text[512];
    enum bh_err e;

    (void)snprintf(text, sizeof(text),
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"aws-nitro\",\"owner\":\"any\","
        "\"pcrs\":{\"0\":[\"%.95s%c\"]}}]}",
        pcr0, debug ? '1' : pcr0[95]);
    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &report.diag), BH_OK, "%s", text);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "aws-nitro"), BH_OK);
    ev_report_init(&report, false);
    cr_assert_eq(decode(bytes, &report, &ev), BH_OK);
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_OK);
    e = ev_appraise(ev, policy, bh_span_none(), &report, &verdict);
    if (tpm) {
        cr_assert_eq(e, BH_ERR_REFERENCE_MISSING, "%s", file);
        cr_assert_str_eq(report.diag.check, "policy.platform");
    } else if (debug) {
        cr_assert_eq(e, BH_ERR_POLICY, "%s", file);
        cr_assert_str_eq(report.diag.check, "aws-nitro.debug");
    } else {
        cr_assert_eq(e, BH_OK, "%s: %s", file, report.diag.detail);
        cr_assert_eq(verdict.submod.status, BH_EAR_AFFIRMING);
        cr_assert_not(verdict.simulated);
        cr_assert_not(verdict.owner_pinned);
        cr_assert_eq(verdict.measurement_len, 48);
    }
    ev_evidence_free(ev);
    ev_policy_free(policy);
    ev_trust_clear(&trust);
}

/* The other kind's media type: refused by what the document is. */
static void
check_kind(struct bh_span bytes, bool tpm, const char *file)
{
    struct ev_evidence *ev = NULL;
    struct ev_report report;
    struct bh_cmw cmw = {.count = 1};

    (void)snprintf(
        cmw.records[0].type, sizeof(cmw.records[0].type), "%s", tpm ? enclave_type : tpm_type);
    cmw.records[0].value = bytes;
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_ERR_UNSUPPORTED, "%s", file);
    cr_assert_str_eq(
        report.diag.check, tpm ? "aws-nitro.pcrs" : "aws-nitrotpm.nitrotpm_pcrs", "%s", file);
    cr_assert_null(ev);
}

static void
check_genuine(struct bh_span bytes, const json_t *row, int64_t at, bool tpm, const char *file)
{
    const char *valid = json_string_value(json_object_get(row, "valid"));
    struct ev_report report;
    uint8_t *longer;
    int64_t end, begin;
    char from[BH_TIME_MAX];
    const char *validity = tpm ? "aws-nitrotpm.validity" : "aws-nitro.validity";

    cr_assert_eq(verify_at(bytes, at, &report), BH_OK, "%s: %s", file, report.diag.detail);
    check_claims(bytes, row, file);
    check_appraisal(bytes, row, at, tpm, file);
    check_kind(bytes, tpm, file);
    (void)snprintf(from, sizeof(from), "%.20s", valid);
    cr_assert_eq(bh_time_read(from, &begin), BH_OK);
    cr_assert_eq(bh_time_read(valid + 24, &end), BH_OK, "%s", valid);
    cr_assert_eq(verify_at(bytes, end, &report), BH_OK, "%s: %s", file, report.diag.detail);
    must_refuse(bytes, end + 1, BH_ERR_NOT_AUTHENTIC, validity, file);
    must_refuse(bytes, begin - 1, BH_ERR_NOT_AUTHENTIC, validity, file);
    check_against_openssl(bytes, at, end, file);
    /* The same document in the tagged form, and with one byte too many. */
    longer = malloc(bytes.len + 1);
    longer[0] = 0xd2;
    memcpy(longer + 1, bytes.ptr, bytes.len);
    cr_assert_eq(verify_at(bh_span(longer, bytes.len + 1), at, &report), BH_OK, "%s", file);
    memcpy(longer, bytes.ptr, bytes.len);
    longer[bytes.len] = 0;
    must_refuse(bh_span(longer, bytes.len + 1), at, BH_ERR_EVIDENCE_MALFORMED,
        tpm ? "aws-nitrotpm.envelope" : "aws-nitro.envelope", file);
    free(longer);
}

/* One row of the table; false when it is no document. */
static bool
check_row(const json_t *row, const char *kind)
{
    const char *file = json_string_value(json_object_get(row, "file"));
    const char *result = json_string_value(json_object_get(row, "result"));
    const char *time = json_string_value(json_object_get(row, "time"));
    struct bh_span bytes;
    int64_t at;
    uint8_t *buf;

    if (strcmp(kind, "nitro") != 0 && strcmp(kind, "nitrotpm") != 0)
        return false;
    buf = bh_vector(file, &bytes.len);
    bytes.ptr = buf;
    cr_assert_eq(bh_time_read(time, &at), BH_OK);
    document_type = strcmp(kind, "nitrotpm") == 0 ? tpm_type : enclave_type;
    if (strcmp(result, "genuine") == 0)
        check_genuine(bytes, row, at, strcmp(kind, "nitrotpm") == 0, file);
    else if (strcmp(result, "bad-signature") == 0)
        must_refuse(bytes, at, BH_ERR_NOT_AUTHENTIC, "aws-nitro.signature", file);
    else if (strcmp(result, "bad-leaf-der") == 0)
        must_refuse(bytes, at, BH_ERR_EVIDENCE_MALFORMED, "aws-nitro.certificate", file);
    else if (strcmp(result, "foreign-root") == 0)
        must_refuse(bytes, at, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain", file);
    else
        cr_assert_fail("%s: an unknown result %s", file, result);
    free(buf);
    return true;
}

Test(aws_nitro, every_recorded_document, .timeout = 120)
{
    json_t *expected, *manifest, *row;
    size_t i, documents = 0;

    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    expected = bh_vector_json("expected-ncp.json");
    manifest = bh_vector_json("manifest-ncp.json");
    json_array_foreach(expected, i, row)
    {
        const json_t *about = json_array_get(manifest, i);
        const char *file = json_string_value(json_object_get(row, "file"));

        cr_assert_str_eq(file, json_string_value(json_object_get(about, "file")));
        if (strncmp(file, "nitro/", 6) == 0)
            documents += check_row(row, json_string_value(json_object_get(about, "kind")));
    }
    cr_assert_geq(documents, 17);
    json_decref(expected);
    json_decref(manifest);
}

/* The anchors that are given are the ones that count: no others, and whatever they are. */
Test(aws_nitro, given_anchors)
{
    struct ev_trust trust = {.now = INT64_C(1734080745)};
    struct ev_report report;
    struct ev_evidence *ev = NULL;
    struct bh_span doc, genuine;
    uint8_t *buf, *genuine_buf, *pem, *der;
    size_t pem_len, der_len, count;
    X509 *anchor = NULL;
    json_t *claims;

    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    buf = bh_vector("nitro/foreign-root-oyster.cbor", &doc.len);
    doc.ptr = buf;
    genuine_buf = bh_vector("nitro/veracruz-2022-11-09-prod.cbor", &genuine.len);
    genuine.ptr = genuine_buf;

    /* The foreign root as the one anchor: its document is authentic, the genuine one is not. */
    ev_report_init(&report, false);
    cr_assert_eq(decode(doc, &report, &ev), BH_OK);
    claims = ev_claims(ev);
    der = malloc(2048);
    cr_assert_eq(bh_unbase64url(bh_span_str(json_string_value(
                                    json_array_get(json_object_get(claims, "cabundle"), 0))),
                     der, 2048, &der_len),
        BH_OK);
    cr_assert_eq(bh_x509_der(bh_span(der, der_len), &anchor, NULL), BH_OK);
    trust.anchors[0].cert = anchor;
    trust.anchors_len = 1;
    cr_assert_eq(ev_authenticate(ev, &trust, &report), BH_OK, "%s", report.diag.detail);
    trust.now = INT64_C(1668034320); /* 2022-11-09T22:52:00Z */
    cr_assert_eq(verify_under(genuine, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    X509_free(anchor);

    /* A real but unrelated CA. */
    pem = bh_vector("nitro/bad-fortanix-unknown-ca.pem", &pem_len);
    cr_assert_eq(bh_x509_pem(bh_span(pem, pem_len), &anchor, 1, &count, NULL), BH_OK);
    trust.anchors[0].cert = anchor;
    cr_assert_eq(verify_under(genuine, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    X509_free(anchor);
    free(pem);

    /* The AWS root with changed bytes is no certificate at all. */
    pem = bh_vector("nitro/bad-fortanix-root-tampered.pem", &pem_len);
    cr_assert_neq(bh_x509_pem(bh_span(pem, pem_len), &anchor, 1, &count, NULL), BH_OK);
    free(pem);

    /* An anchor of another platform anchors nothing here. */
    memset(&trust.anchors[0], 0, sizeof(trust.anchors[0]));
    trust.anchors_len = 0;
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "aws-nitro"), BH_OK);
    cr_assert_eq(verify_under(genuine, &trust, &report), BH_OK);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "amd-sev-snp");
    cr_assert_eq(verify_under(genuine, &trust, &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    ev_trust_clear(&trust);
    cr_assert_eq(trust.anchors_len, 0);

    json_decref(claims);
    ev_evidence_free(ev);
    free(der);
    free(buf);
    free(genuine_buf);
}

/* ---- mutants ---- */

struct mutants {
    struct ev_trust trust;
    struct ev_report report;
    size_t survivors;
};

static bool
show(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct mutants *m = arg;
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(&m->report, false);
    if ((e = ev_decode_raw(mutant, &m->report, &ev)) == BH_OK)
        e = ev_authenticate(ev, &m->trust, &m->report);
    ev_evidence_free(ev);
    if (e == BH_OK) {
        (void)fprintf(stderr, "byte %zu %s survived\n", at, how);
        m->survivors++;
    } else {
        cr_assert(m->report.err == e && m->report.diag.check[0] != '\0', "byte %zu %s", at, how);
        cr_assert(e != BH_ERR_INTERNAL);
    }
    return true;
}

static void
walk(const char *file, const char *time, size_t stride)
{
    struct mutants *m = calloc(1, sizeof(*m));
    struct bh_span bytes;
    uint8_t *buf;

    buf = bh_vector(file, &bytes.len);
    bytes.ptr = buf;
    cr_assert_eq(bh_time_read(time, &m->trust.now), BH_OK);
    cr_assert_eq(ev_trust_add_vendor_roots(&m->trust, NULL), BH_OK);
    m->trust.cache = ev_chain_cache_new(64);
    cr_assert_eq(verify_under(bytes, &m->trust, &m->report), BH_OK);
    cr_assert_gt(bh_mutate(bytes, 0, bytes.len, stride, show, m), bytes.len / stride * 3);
    cr_assert_eq(m->survivors, 0);
    ev_chain_cache_free(m->trust.cache);
    ev_trust_clear(&m->trust);
    free(buf);
    free(m);
}

Test(aws_nitro, mutants_of_a_definite_document, .timeout = 200)
{
    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    walk("nitro/veracruz-2022-11-09-prod.cbor", "2022-11-09T22:52:00Z", 1);
}

Test(aws_nitro, mutants_of_an_indefinite_document, .timeout = 200)
{
    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    walk("nitro/dstack-2025-12-25-prod-a.cbor", "2025-12-25T16:04:19Z", 1);
}
