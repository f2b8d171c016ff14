/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded SGX and TDX quotes with their collateral: what each must yield, and mutants of two. */
#include "intel_judge.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct row {
    const char *folder;
    const char *collateral; /* of another folder; NULL: its own */
    const char *at, *platform, *status, *date;
    bool debug;
    const char *claim, *value; /* of one more claim, how it begins */
};

static const struct row rows[] = {
    {"sgx/v3-processor-00a067110000", NULL, "2025-07-01", "intel-sgx",
        "ConfigurationAndSWHardeningNeeded", "2024-03-13T00:00:00Z", false, "mrenclave",
        "33d8736d"},
    {"sgx/v3-platform-00606a000000-2025", NULL, "2025-08-20", "intel-sgx", "SWHardeningNeeded",
        "2024-03-13T00:00:00Z", false, "reportdata", "0000"},
    {"sgx/v3-platform-00606a000000-occlum-debug", "sgx/v3-platform-00606a000000-2025", "2025-08-20",
        "intel-sgx", "OutOfDate", "2021-11-10T00:00:00Z", true, "reportdata", "74657374"},
    {"sgx/v3-processor-00906ed50000-debug", NULL, "2022-05-10", "intel-sgx", "SWHardeningNeeded",
        "2021-11-10T00:00:00Z", true, "reportdata", "e3b0c442"},
    {"tdx/v4-20a06f000000", NULL, "2025-09-15", "intel-tdx", "UpToDate", NULL, false, "mrtd", ""},
    {"tdx/v4-00a06d080000-2025", NULL, "2025-11-10", "intel-tdx", "OutOfDate",
        "2018-01-04T00:00:00Z", false, "tee_tcb_svn", "0503"},
    {"tdx/v4-00806f050000-gce-ccel", NULL, "2025-10-25", "intel-tdx", "UpToDate", NULL, false,
        "rtmr3", "0000"},
    {"tdx/v5-90c06f000000-2026", NULL, "2026-02-25", "intel-tdx", "UpToDate",
        "2024-11-13T00:00:00Z", false, "mrtd", "7348651a"},
    {"tdx/v5-90c06f000000-td-relaunch", NULL, "2025-03-10", "intel-tdx", "TDRelaunchAdvised", NULL,
        false, "tee_tcb_svn2", "0701"},
    {"tdx/v5-00806f050000-outofdate-eval21", NULL, "2026-06-20", "intel-tdx", "OutOfDate",
        "2023-08-09T00:00:00Z", false, "mrtd", ""},
};

static void
load_row(struct intel_pieces *p, const struct row *row)
{
    struct intel_pieces quote;

    intel_load(p, row->collateral != NULL ? row->collateral : row->folder);
    if (row->collateral == NULL)
        return;
    intel_load(&quote, row->folder);
    intel_put(p, "quote", intel_get(&quote, "quote"));
    intel_pieces_clear(&quote);
}

static const char *
text_of(const json_t *claims, const char *name)
{
    const char *text = json_string_value(json_object_get(claims, name));

    return text != NULL ? text : "(nothing)";
}

static void
check_claims(const struct row *row, const json_t *claims)
{
    cr_expect_str_eq(text_of(claims, "tcbStatus"), row->status, "%s", row->folder);
    cr_expect_eq(json_is_true(json_object_get(claims, "debug")), row->debug, "%s", row->folder);
    if (row->date != NULL)
        cr_expect_str_eq(text_of(claims, "tcbDate"), row->date, "%s", row->folder);
    cr_expect_eq(strncmp(text_of(claims, row->claim), row->value, strlen(row->value)), 0, "%s: %s",
        row->folder, text_of(claims, row->claim));
    cr_expect_eq(strlen(text_of(json_object_get(claims, "pck"), "ppid")), 32);
}

/* The same with a warm cache, and the quote alone with its collateral from elsewhere. */
static enum bh_err
from_pieces(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    const struct intel_pieces *p = arg;
    char label[BH_CMW_LABEL_MAX] = {0};
    const struct bh_cmw_record *record;

    memcpy(label, kind, strcspn(kind, "."));
    if (strcmp(label, "tcb_info") == 0)
        cr_expect_eq(key.len, 7);
    else if (strcmp(label, "qe_identity") == 0)
        cr_expect(key.len == 1 && (key.ptr[0] == 0 || key.ptr[0] == 0x81));
    else if (strcmp(label, "pck_crl") == 0)
        cr_expect(bh_span_is(key, "platform") || bh_span_is(key, "processor"));
    else
        cr_expect_eq(key.len, 0);
    if ((record = bh_cmw_find(&p->cmw, label)) == NULL)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "none");
    *ret_bytes = record->value;
    return BH_OK;
}

static void
check_elsewhere(const struct intel_pieces *p, struct ev_trust *trust, const struct row *row)
{
    struct ev_report report = {0};
    struct ev_evidence *ev = NULL;

    trust->collateral = from_pieces;
    trust->collateral_arg = (void *)(uintptr_t)p;
    cr_assert_eq(ev_decode_raw(intel_get(p, "quote"), &report, &ev), BH_OK);
    cr_expect_str_eq(ev_platform(ev), row->platform);
    cr_expect_eq(
        ev_authenticate(ev, trust, &report), BH_OK, "%s: %s", row->folder, report.diag.detail);
    trust->collateral = NULL;
    ev_report_init(&report, false);
    cr_expect_eq(ev_authenticate(ev, trust, &report), BH_ERR_COLLATERAL_MISSING);
    cr_expect(strstr(report.diag.check, ".tcb_info") != NULL, "%s", report.diag.check);
    cr_expect(strstr(report.diag.hint, "/certification/v4/tcb?fmspc=") != NULL);
    ev_evidence_free(ev);
}

static void
check_row(const struct row *row)
{
    struct ev_trust trust = {.now = intel_day(row->at), .cache = ev_chain_cache_new(32)};
    struct ev_report report = {.detailed = true};
    struct ev_evidence *ev = NULL;
    struct intel_pieces p;
    json_t *claims;

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, row->platform), BH_OK);
    load_row(&p, row);
    for (int warm = 0; warm < 2; warm++) {
        cr_assert_eq(intel_judge(&p, &trust, &report, &ev), BH_OK, "%s: %s", row->folder,
            report.diag.detail);
        cr_expect_str_eq(ev_platform(ev), row->platform);
        claims = ev_claims(ev);
        check_claims(row, claims);
        json_decref(claims);
        ev_evidence_free(ev);
    }
    check_elsewhere(&p, &trust, row);
    intel_pieces_clear(&p);
    ev_trust_clear(&trust);
    ev_chain_cache_free(trust.cache);
}

Test(intel_vectors, each_yields_its_row)
{
    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(rows); i++)
        check_row(&rows[i]);
}

static struct ev_trust
vendor_trust(const char *at)
{
    struct ev_trust trust = {.now = intel_day(at)};

    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    return trust;
}

Test(intel_vectors, tdx_1_0_without_a_level)
{
    struct ev_trust trust = vendor_trust("2023-06-25");
    struct intel_pieces p;

    if (bh_vectors() != NULL) {
        intel_load(&p, "tdx/v4-50806f000000-2023");
        intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-tdx.quote", "trailing");
        intel_put(&p, "quote", bh_span(intel_get(&p, "quote").ptr, 4974 - 39));
        intel_must_refuse(
            &p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_level", "no level matches");
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

Test(intel_vectors, encrypted_ppid_is_no_certificate)
{
    struct ev_trust trust = vendor_trust("2025-08-20");
    struct intel_pieces p;

    if (bh_vectors() != NULL) {
        intel_load(&p, "sgx/neg-cert-type3-ppid");
        intel_must_refuse(&p, &trust, BH_ERR_UNSUPPORTED, "intel-sgx.certification_data", "type 3");
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

Test(intel_vectors, pck_ca_chain_is_no_tcb_signing_chain)
{
    struct ev_trust trust = vendor_trust("2022-05-10");
    struct intel_pieces p;

    if (bh_vectors() != NULL) {
        intel_load(&p, "sgx/v3-processor-00906ed50000-debug");
        intel_load_file(
            &p, "tcb_signing_chain", "sgx/neg-tcb-signing-chain-bad/tcb_signing_chain.pem");
        intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-sgx.tcb_signing_chain",
            "a PCK CA in place of the TCB signer");
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

/* Intel's sample brings its PCK certificate beside the quote: put it in, as a quote of type 5. */
static void
embed_chain(struct intel_pieces *p, const char *folder, size_t before_cert_type)
{
    const struct bh_span quote = intel_get(p, "quote");
    uint8_t *leaf, *ca, *all, *at;
    size_t leaf_len, ca_len, start, len;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/pck_cert.pem", folder);
    leaf = bh_vector(path, &leaf_len);
    (void)snprintf(path, sizeof(path), "%s/pck_crl_chain.pem", folder);
    ca = bh_vector(path, &ca_len);
    start = before_cert_type;
    len = leaf_len + ca_len;
    all = malloc(start + 6 + len + 1);
    memcpy(all, quote.ptr, start);
    at = all + start;
    *at++ = 5;
    *at++ = 0;
    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)(len >> (8 * i));
    memcpy(at, leaf, leaf_len);
    memcpy(at + leaf_len, ca, ca_len);
    /* sig_len of version 3, right behind the body */
    for (int i = 0; i < 4; i++)
        all[432 + i] = (uint8_t)((start - 436 + 6 + len) >> (8 * i));
    intel_put(p, "quote", bh_span(all, start + 6 + len));
    free(all);
    free(leaf);
    free(ca);
}

Test(intel_vectors, intels_sample_under_its_own_root)
{
    struct ev_trust trust = vendor_trust("2021-05-10");
    struct ev_trust own = {.now = intel_day("2021-05-10")};
    struct ev_report report = {0};
    struct intel_pieces p;
    size_t len, count;
    uint8_t *pem;

    if (bh_vectors() != NULL) {
        intel_load(&p, "sgx/neg-intel-qvl-sample-testroot");
        pem = bh_vector("sgx/neg-intel-qvl-sample-testroot/root_ca.pem", &len);
        cr_assert_eq(bh_x509_pem(bh_span(pem, len), &own.anchors[0].cert, 1, &count, NULL), BH_OK);
        own.anchors_len = 1;
        intel_must_refuse(&p, &own, BH_ERR_UNSUPPORTED, "intel-sgx.certification_data", "type 1");
        embed_chain(&p, "sgx/neg-intel-qvl-sample-testroot", 1054 - 34 - 6);
        intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-sgx.chain", "Intel's root");
        intel_drop(&p, "pck_crl_chain");
        cr_expect_eq(intel_judge(&p, &own, &report, NULL), BH_OK, "%s", report.diag.detail);
        X509_free(own.anchors[0].cert);
        free(pem);
        intel_pieces_clear(&p);
        intel_load(&p, "tdx/neg-intel-qvl-sample-testroot");
        intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-tdx.certification_data",
            "certificates in DER");
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

/* ---- time, swaps and changes ---- */

Test(intel_vectors, collateral_has_its_time)
{
    struct ev_report report = {0};
    struct intel_pieces p;

    if (bh_vectors() == NULL)
        return;
    intel_load(&p, "sgx/v3-processor-00a067110000");
    cr_expect_eq(intel_judge_at(&p, intel_day("2025-08-01"), &report), BH_ERR_COLLATERAL_EXPIRED);
    cr_expect_str_eq(report.diag.check, "intel-sgx.pck_crl");
    intel_drop(&p, "pck_crl");
    intel_drop(&p, "root_crl");
    cr_expect_eq(intel_judge_at(&p, intel_day("2025-08-01"), &report), BH_ERR_COLLATERAL_EXPIRED);
    cr_expect_str_eq(report.diag.check, "intel-sgx.tcb_info");
    cr_expect_eq(intel_judge_at(&p, intel_day("2025-06-01"), &report), BH_ERR_COLLATERAL_EXPIRED);
    cr_expect_str_eq(report.diag.check, "intel-sgx.tcb_info");
    cr_expect_eq(intel_judge_at(&p, intel_day("2035-06-01"), &report), BH_ERR_NOT_AUTHENTIC);
    cr_expect_str_eq(report.diag.check, "intel-sgx.validity");
    cr_expect_eq(intel_judge_at(&p, intel_day("2025-07-01"), &report), BH_OK);
    intel_pieces_clear(&p);
}

Test(intel_vectors, collateral_of_another_platform)
{
    struct ev_trust trust = vendor_trust("2025-09-15");
    struct intel_pieces p, other;

    if (bh_vectors() != NULL) {
        intel_load(&p, "tdx/v4-20a06f000000");
        intel_drop(&p, "pck_crl");
        intel_drop(&p, "root_crl");
        intel_load(&other, "tdx/v5-90c06f000000-2026");
        intel_put(&p, "tcb_info", intel_get(&other, "tcb_info"));
        trust.now = intel_day("2026-02-25");
        intel_put(&p, "qe_identity", intel_get(&other, "qe_identity"));
        intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_info", "another FMSPC");
        intel_pieces_clear(&other);
        intel_pieces_clear(&p);
        intel_load(&p, "tdx/v4-20a06f000000");
        intel_load(&other, "sgx/v3-platform-00606a000000-2025");
        trust.now = intel_day("2025-08-20");
        intel_drop(&p, "pck_crl");
        intel_drop(&p, "pck_crl_chain");
        intel_put(&p, "pck_crl", intel_get(&other, "pck_crl"));
        intel_put(&p, "tcb_info", intel_get(&other, "tcb_info"));
        intel_put(&p, "qe_identity", intel_get(&other, "qe_identity"));
        intel_must_refuse(
            &p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.qe_identity", "the QE of SGX");
        intel_pieces_clear(&other);
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

Test(intel_vectors, event_log_that_does_not_replay)
{
    struct ev_trust trust = vendor_trust("2025-10-25");
    struct intel_pieces p;

    if (bh_vectors() != NULL) {
        intel_load(&p, "tdx/v4-00806f050000-gce-ccel");
        /* a digest of the first event behind the header */
        intel_bytes(&p, "event_log")[65 + 12 + 2] ^= 1;
        intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.event_log", "a digest");
        intel_bytes(&p, "event_log")[65 + 12 + 2] ^= 1;
        intel_put(&p, "event_log", bh_span(intel_get(&p, "event_log").ptr, 18000));
        intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-tdx.event_log", "cut");
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}

struct mutants {
    struct ev_trust trust;
    struct intel_pieces pieces;
    size_t signed_to; /* bytes before are all covered by a signature or a length */
};

static bool
judge_mutant(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct mutants *m = arg;
    struct ev_report report = {0};

    intel_put(&m->pieces, "quote", mutant);
    cr_expect_neq(intel_judge(&m->pieces, &m->trust, &report, NULL), BH_OK, "%s at %zu", how, at);
    cr_expect_neq(report.diag.check[0], '\0', "%s at %zu", how, at);
    return true;
}

/* All before the certificates in PEM; their white space and spare bits are nobody's. */
static void
walk(const char *folder, const char *at, size_t pem_from)
{
    struct mutants m = {.trust = vendor_trust(at)};
    struct intel_pieces original;

    m.trust.cache = ev_chain_cache_new(64);
    intel_load(&original, folder);
    intel_load(&m.pieces, folder);
    cr_expect_gt(
        bh_mutate(intel_get(&original, "quote"), 0, pem_from, 1, judge_mutant, &m), 3 * pem_from);
    intel_pieces_clear(&original);
    intel_pieces_clear(&m.pieces);
    ev_chain_cache_free(m.trust.cache);
    ev_trust_clear(&m.trust);
}

Test(intel_vectors, mutants_of_an_sgx_quote, .timeout = 240)
{
    if (bh_vectors() != NULL)
        walk("sgx/v3-processor-00a067110000", "2025-07-01", 1052);
}

Test(intel_vectors, mutants_of_a_tdx_quote, .timeout = 240)
{
    if (bh_vectors() != NULL)
        walk("tdx/v5-90c06f000000-2026", "2026-02-25", 1328);
}

static bool
judge_collateral(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct mutants *m = arg;
    struct ev_report report = {0};

    intel_put(&m->pieces, "tcb_info", mutant);
    cr_expect_neq(intel_judge(&m->pieces, &m->trust, &report, NULL), BH_OK, "%s at %zu", how, at);
    cr_expect_str_eq(report.diag.check, "intel-tdx.tcb_info", "%s at %zu", how, at);
    return true;
}

Test(intel_vectors, mutants_of_tcb_info, .timeout = 240)
{
    struct mutants m = {.trust = vendor_trust("2026-02-25")};
    struct intel_pieces original;
    size_t len;

    if (bh_vectors() != NULL) {
        m.trust.cache = ev_chain_cache_new(64);
        intel_load(&original, "tdx/v5-90c06f000000-2026");
        intel_load(&m.pieces, "tdx/v5-90c06f000000-2026");
        len = intel_get(&original, "tcb_info").len;
        /* To the last quotation mark: hex digits are the same in either case, so not behind it. */
        bh_mutate(intel_get(&original, "tcb_info"), 0, len - 140, 3, judge_collateral, &m);
        intel_pieces_clear(&original);
        intel_pieces_clear(&m.pieces);
        ev_chain_cache_free(m.trust.cache);
    }
    ev_trust_clear(&m.trust);
}

/* ---- appraisal ---- */

Test(intel_vectors, appraised)
{
    struct ev_trust trust = vendor_trust("2026-02-25");
    struct ev_report report = {.detailed = true};
    struct ev_evidence *ev = NULL;
    struct ev_verdict verdict;
    struct intel_pieces p;
    char entry[2048];
    json_t *claims;

    if (bh_vectors() != NULL) {
        intel_load(&p, "tdx/v5-90c06f000000-2026");
        cr_assert_eq(intel_judge(&p, &trust, &report, &ev), BH_OK);
        claims = ev_claims(ev);
        (void)snprintf(entry, sizeof(entry),
            "{\"platform\":\"intel-tdx\",\"mrtd\":[\"%s\"],\"rtmr\":{\"1\":[\"%s\"],"
            "\"2\":[\"%s\"]},\"ppid\":[\"%s\"],\"tcb_status\":[\"UpToDate\"]}",
            text_of(claims, "mrtd"), text_of(claims, "rtmr1"), text_of(claims, "rtmr2"),
            text_of(json_object_get(claims, "pck"), "ppid"));
        cr_expect_eq(
            intel_appraise(&p, &trust, entry, &report, &verdict), BH_OK, "%s", report.diag.detail);
        cr_expect_eq(verdict.submod.status, BH_EAR_AFFIRMING);
        cr_expect(verdict.owner_pinned);
        cr_expect_not(verdict.debug);
        cr_expect_eq(verdict.measurement_len, 48);
        cr_expect_eq(verdict.hardware_id_len, 16);
        cr_expect(verdict.not_after > trust.now && verdict.not_after < trust.now + 40 * 86400);
        json_decref(claims);
        ev_evidence_free(ev);
        intel_pieces_clear(&p);
    }
    ev_trust_clear(&trust);
}
