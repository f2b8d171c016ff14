/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP: what comes beside a report, from the host, the store or nobody; and the collection. */
#include "snp_forge.h"

#include "evidence/amd_sev_snp.h"
#include "evidence/chain_cache.h"

#include "core/text.h"
#include "support/mutate.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define SNP(name) "amd-sev-snp." name

static struct snp_keys keys;
static struct snp_plan plan;
static struct snp_forged f;
static struct ev_trust trust;
static struct ev_report report;
static struct snp_collateral collateral;

static void
forge(const char *product, unsigned version, bool vlek)
{
    snp_plan(&plan, &keys, product, version, vlek);
    snp_forge(&f, &keys, &plan);
    snp_trust(&trust, f.ark, true);
    snp_use(&trust, &collateral);
}

static void
setup(void)
{
    snp_keys_make(&keys);
    forge("Milan", 3, false);
}

static void
teardown(void)
{
    snp_forged_clear(&f);
    snp_keys_clear(&keys);
}

TestSuite(snp_collateral, .init = setup, .fini = teardown);

static void
holds(const struct snp_parts *parts, const char *what)
{
    ev_report_init(&report, true);
    cr_assert_eq(
        snp_judge(parts, &trust, &report, NULL), BH_OK, "%s: %s", what, report.diag.detail);
}

static void
refused(const struct snp_parts *parts, enum bh_err err, const char *check, const char *what)
{
    for (int detailed = 1; detailed >= 0; detailed--) {
        ev_report_init(&report, detailed != 0);
        cr_assert_eq(snp_judge(parts, &trust, &report, NULL), err, "%s: %d, %s", what, report.err,
            report.diag.detail);
        cr_assert_str_eq(report.diag.check, check, "%s", what);
    }
}

/* ---- the certificate ---- */

Test(snp_collateral, a_vcek_that_is_missing_is_asked_for)
{
    struct snp_parts parts = f.parts;
    uint8_t want[72];

    parts.vcek = bh_span_none();
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vcek"), "no VCEK");
    cr_assert_str_eq(collateral.kind, "vcek.der");
    memcpy(want, f.report + AT_CHIP_ID, 64);
    memcpy(want + 64, f.report + AT_REPORTED_TCB, 8);
    cr_assert(bh_span_equal(bh_span(collateral.key, collateral.key_len), bh_span(want, 72)));
    cr_assert(strstr(report.diag.hint, "https://kdsintf.amd.com/vcek/v1/Milan/7777") != NULL);
    cr_assert(strstr(report.diag.hint, "7777?blSPL=04&teeSPL=02&snpSPL=22&ucodeSPL=213") != NULL,
        "%s", report.diag.hint);
    trust.collateral = NULL;
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vcek"), "nobody to ask");
    snp_use(&trust, &collateral);
    collateral.vcek = f.parts.vcek;
    holds(&parts, "a VCEK from the store");
    collateral.vcek = bh_span(f.report, 100);
    refused(&parts, BH_ERR_NOT_AUTHENTIC, SNP("vcek"), "no certificate in the store");
    collateral.fails = BH_ERR_IO;
    refused(&parts, BH_ERR_IO, SNP("vcek"), "a store that is away");
    collateral.fails = BH_OK;
    /* What the evidence brings goes first. */
    collateral.vcek = bh_span(f.report, 100);
    holds(&f.parts, "a VCEK with the evidence");
}

Test(snp_collateral, of_a_turin_and_of_a_vlek)
{
    struct snp_parts parts;
    uint8_t want[16];

    snp_forged_clear(&f);
    forge("Turin", 5, false);
    parts = f.parts;
    parts.vcek = bh_span_none();
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vcek"), "no VCEK of a Turin");
    memcpy(want, f.report + AT_CHIP_ID, 8);
    memcpy(want + 8, f.report + AT_REPORTED_TCB, 8);
    cr_assert(bh_span_equal(bh_span(collateral.key, collateral.key_len), bh_span(want, 16)));
    cr_assert(
        strstr(report.diag.hint,
            "Turin/7777777777777777?fmcSPL=01&blSPL=04&teeSPL=02&snpSPL=22&ucodeSPL=213") != NULL,
        "%s", report.diag.hint);
    snp_forged_clear(&f);
    forge("Genoa", 3, true);
    parts = f.parts;
    parts.vlek = bh_span_none();
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vlek"), "no VLEK");
    cr_assert_str_eq(collateral.kind, "vlek.der");
    cr_assert(strstr(report.diag.hint, "auxblob") != NULL);
    memcpy(want, "Genoa", 5);
    memcpy(want + 5, f.report + AT_REPORTED_TCB, 8);
    cr_assert(bh_span_equal(bh_span(collateral.key, collateral.key_len), bh_span(want, 13)));
    collateral.vlek = f.parts.vlek;
    holds(&parts, "a VLEK from the store");
}

/* ---- the certificate table ---- */

static size_t
table(bool vcek, bool vlek, bool ask, uint8_t out[AGENT_AMD_TABLE_MAX])
{
    X509 *const certs[AGENT_AMD_ENTRIES] = {[AGENT_AMD_ENTRY_VCEK] = vcek ? f.leaf : NULL,
        [AGENT_AMD_ENTRY_VLEK] = vlek ? f.leaf : NULL,
        [AGENT_AMD_ENTRY_ASK] = ask ? f.ask : NULL,
        [AGENT_AMD_ENTRY_ARK] = f.ark};
    size_t len = 0;

    cr_assert_eq(agent_amd_table(certs, out, &len, NULL), BH_OK);
    return len;
}

Test(snp_collateral, certificates_in_the_table)
{
    static uint8_t out[AGENT_AMD_TABLE_MAX];
    static const uint8_t zeros[4096];
    struct snp_parts parts = f.parts;

    parts.vcek = bh_span_none();
    parts.auxblob = bh_span(out, table(true, false, true, out));
    holds(&parts, "VCEK and ASK in the table");
    parts.auxblob.len = table(true, false, false, out);
    refused(&parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "an ARK in the table counts for nothing");
    parts.auxblob = bh_span_none();
    parts.vcek = f.parts.vcek;
    refused(&parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "no ASK");
    cr_assert(strstr(report.diag.found, "not known") != NULL);
    /* A table without entries is none. */
    parts.vcek = bh_span_none();
    parts.auxblob = bh_span(zeros, sizeof(zeros));
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vcek"), "zeros");
    parts.auxblob = bh_span(zeros, 0);
    refused(&parts, BH_ERR_COLLATERAL_MISSING, SNP("vcek"), "an empty table");
    /* The kind that did not sign does not help. */
    parts.auxblob = bh_span(out, table(false, true, true, out));
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("vlek"), "a VCEK called VLEK");
    snp_forged_clear(&f);
    forge("Milan", 3, true);
    parts = f.parts;
    parts.vlek = bh_span_none();
    parts.auxblob = bh_span(out, table(false, true, true, out));
    holds(&parts, "VLEK and ASVK in the table");
}

Test(snp_collateral, tables_that_are_not_well_formed)
{
    static uint8_t out[AGENT_AMD_TABLE_MAX], many[24 * 34];
    struct snp_parts parts = f.parts;
    const size_t len = table(true, false, true, out);

    parts.vcek = bh_span_none();
    parts.auxblob = bh_span(out, 24 * 3 + 23);
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "no empty entry at the end");
    parts.auxblob = bh_span(out, len - 1);
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "the last certificate is cut");
    parts.auxblob = bh_span(out, 2000);
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "certificates outside");
    parts.auxblob = bh_span(out, len);
    out[19] = 0x80;
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "an offset far outside");
    out[19] = 0;
    memset(out + 20, 0xff, 4);
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "a length far outside");
    (void)table(true, false, true, out);
    memcpy(out + 24, out, 16);
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "a kind that stands twice");
    (void)table(true, false, true, out);
    out[20] ^= 1;
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("vcek"), "a certificate of another length");
    memset(many, 0, sizeof(many));
    for (size_t i = 0; i < 33; i++)
        many[24 * i] = (uint8_t)(i + 1);
    parts.auxblob = bh_span(many, sizeof(many));
    refused(&parts, BH_ERR_EVIDENCE_MALFORMED, SNP("auxblob"), "33 entries");
}

/* ---- revocation lists ---- */

static uint8_t *
give_crl(int64_t from, int64_t to, long serial)
{
    uint8_t *der = snp_crl(f.ark, keys.ark, from, to, serial, &collateral.crl.len);

    collateral.crl.ptr = der;
    return der;
}

Test(snp_collateral, revocation_lists)
{
    const struct ev_check *check;
    uint8_t *der;

    holds(&f.parts, "no list");
    check = snp_check(&report, SNP("revocation"));
    cr_assert_not_null(check);
    cr_assert_str_eq(check->source, "not given");
    cr_assert_str_eq(collateral.kind, "crl.der");
    cr_assert(bh_span_is(bh_span(collateral.key, collateral.key_len), "SIMULATED Milan/vcek"));
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0);
    holds(&f.parts, "an empty list");
    cr_assert_str_eq(snp_check(&report, SNP("revocation"))->source, "collateral");
    OPENSSL_free(der);
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0x10002);
    holds(&f.parts, "a list of another ASK");
    OPENSSL_free(der);
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0x10001);
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("revocation"), "a revoked ASK");
    OPENSSL_free(der);
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0x10000);
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("revocation"), "a revoked ARK");
    OPENSSL_free(der);
    collateral.fails = BH_ERR_NETWORK;
    refused(&f.parts, BH_ERR_NETWORK, SNP("crl"), "a store that is away");
}

Test(snp_collateral, revocation_lists_that_do_not_count)
{
    struct snp_forged other;
    struct snp_plan second;
    uint8_t *der;

    der = give_crl(SNP_NOW - 9 * SNP_DAY, SNP_NOW - 1, 0);
    refused(&f.parts, BH_ERR_COLLATERAL_EXPIRED, SNP("crl"), "a stale list");
    cr_assert_str_eq(report.diag.hint, "fetch https://kdsintf.amd.com/vcek/v1/Milan/crl");
    OPENSSL_free(der);
    der = give_crl(SNP_NOW + 1, SNP_NOW + SNP_DAY, 0);
    refused(&f.parts, BH_ERR_COLLATERAL_EXPIRED, SNP("crl"), "a list to come");
    OPENSSL_free(der);
    der = snp_crl(f.ark, keys.stranger_rsa, SNP_NOW - 1, SNP_NOW + 1, 0, &collateral.crl.len);
    collateral.crl.ptr = der;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("crl"), "signed by a stranger");
    OPENSSL_free(der);
    der = snp_crl(f.ask, keys.ask, SNP_NOW - 1, SNP_NOW + 1, 0, &collateral.crl.len);
    collateral.crl.ptr = der;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("crl"), "the ASK's own list");
    OPENSSL_free(der);
    der = give_crl(SNP_NOW - 1, SNP_NOW + 1, 0);
    collateral.crl.len--;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("crl"), "a list that is cut");
    OPENSSL_free(der);
    snp_plan(&second, &keys, "Milan", 3, false);
    second.ark.key_usage = "critical,keyCertSign";
    snp_forge(&other, &keys, &second);
    snp_trust(&trust, other.ark, true);
    snp_use(&trust, &collateral);
    der = give_crl(SNP_NOW - 1, SNP_NOW + 1, 0);
    refused(&other.parts, BH_ERR_NOT_AUTHENTIC, SNP("crl"), "an ARK without cRLSign");
    OPENSSL_free(der);
    snp_forged_clear(&other);
}

/* ---- anchors and the cache ---- */

Test(snp_collateral, anchors)
{
    holds(&f.parts, "simulated, allowed");
    trust.allow_simulated = false;
    refused(&f.parts, BH_ERR_SIMULATED, "simulated", "simulated, not allowed");
    trust.anchors_len = 0;
    refused(&f.parts, BH_ERR_SIMULATED, "simulated", "no anchor, and a name that says SIMULATED");
    trust.allow_simulated = true;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "no anchor");
    snp_trust(&trust, f.ark, true);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "psa");
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "another platform's anchor");
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "amd-sev-snp");
    holds(&f.parts, "this platform's anchor");
    trust.anchors[0].cert = f.ask;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "the ASK is no anchor of itself");
    /* Of two anchors of the name, the one whose key it is. */
    struct snp_forged other;
    struct snp_plan second;
    snp_plan(&second, &keys, "Milan", 3, false);
    second.ark.key = second.ark.issuer_key = second.ask.issuer_key = keys.stranger_rsa;
    snp_forge(&other, &keys, &second);
    trust.anchors[0].cert = other.ark;
    trust.anchors[1] = (struct ev_anchor){.cert = f.ark};
    trust.anchors_len = 2;
    holds(&f.parts, "the second of two");
    trust.allow_simulated = false;
    holds(&f.parts, "and only it says whether it is simulated");
    trust.anchors[2] = (struct ev_anchor){.cert = f.ark, .simulated = true};
    trust.anchors_len = 3;
    refused(&f.parts, BH_ERR_SIMULATED, "simulated", "the same twice, once as simulated");
    snp_forged_clear(&other);
}

Test(snp_collateral, with_a_cache)
{
    struct snp_parts parts = f.parts;
    struct snp_forged again;
    uint8_t *der;

    trust.cache = ev_chain_cache_new(16);
    for (int i = 0; i < 3; i++)
        holds(&f.parts, "cold, then warm");
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0);
    for (int i = 0; i < 2; i++)
        holds(&f.parts, "with a list, cold and warm");
    OPENSSL_free(der);
    /* A warm cache changes no refusal. */
    der = give_crl(SNP_NOW - SNP_DAY, SNP_NOW + SNP_DAY, 0x10001);
    for (int i = 0; i < 2; i++)
        refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("revocation"), "revoked");
    OPENSSL_free(der);
    collateral.crl = bh_span_none();
    trust.now = SNP_NOW + 301 * SNP_DAY;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("validity"), "ended");
    trust.now = SNP_NOW;
    plan.leaf.issuer_key = keys.stranger_rsa;
    snp_forge(&again, &keys, &plan);
    parts.vcek = again.parts.vcek;
    for (int i = 0; i < 2; i++)
        refused(&parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "a stranger's VCEK");
    f.report[AT_REPORT_DATA] ^= 1;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("signature"), "changed");
    f.report[AT_REPORT_DATA] ^= 1;
    trust.anchors_len = 0;
    refused(&f.parts, BH_ERR_NOT_AUTHENTIC, SNP("chain"), "no anchor any more");
    snp_forged_clear(&again);
    ev_chain_cache_free(trust.cache);
}

/* ---- the collection, raw reports, binding ---- */

static void
decode_refused(const struct bh_cmw *cmw, const char *check, const char *what)
{
    struct ev_evidence *ev = NULL;

    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(cmw, &report, &ev), BH_ERR_EVIDENCE_MALFORMED, "%s", what);
    cr_assert_null(ev);
    cr_assert_str_eq(report.diag.check, check, "%s", what);
}

Test(snp_collateral, collections)
{
    struct bh_cmw cmw;
    struct snp_parts parts = f.parts;

    parts.report = bh_span_none();
    snp_cmw(&parts, &cmw);
    decode_refused(&cmw, SNP("report"), "no report");
    parts = f.parts;
    parts.vlek = parts.vcek;
    snp_cmw(&parts, &cmw);
    decode_refused(&cmw, SNP("collection"), "vcek and vlek");
    snp_cmw(&f.parts, &cmw);
    (void)snprintf(cmw.records[2].label, sizeof(cmw.records[2].label), "crl");
    decode_refused(&cmw, SNP("collection"), "a label that is not known");
    (void)snprintf(cmw.records[2].label, sizeof(cmw.records[2].label), "report");
    decode_refused(&cmw, SNP("collection"), "a label twice");
    parts = f.parts;
    parts.vcek.len--;
    snp_cmw(&parts, &cmw);
    decode_refused(&cmw, SNP("vcek"), "a VCEK that is cut");
    parts = f.parts;
    parts.vcek.len = 0;
    snp_cmw(&parts, &cmw);
    decode_refused(&cmw, SNP("vcek"), "an empty VCEK");
    for (size_t len = 0; len < 1186; len += len < 1182 ? 197 : 1) {
        static uint8_t longer[1200];

        if (len == 1184)
            continue;
        memcpy(longer, f.report, 1184);
        parts = f.parts;
        parts.report = bh_span(longer, len);
        snp_cmw(&parts, &cmw);
        decode_refused(&cmw, SNP("report"), "another length");
    }
}

Test(snp_collateral, raw_reports_and_binding)
{
    static uint8_t longer[1186];
    uint8_t binding[64];
    struct ev_evidence *ev = NULL;

    memset(binding, 0x5a, sizeof(binding));
    ev_report_init(&report, true);
    cr_assert_eq(ev_decode_raw(f.parts.report, &report, &ev), BH_OK);
    cr_assert_str_eq(ev_platform(ev), "amd-sev-snp");
    cr_assert_eq(ev_bind(ev, binding, bh_span_str("any key"), &report), BH_OK);
    for (size_t i = 0; i < 64; i += 21) {
        ev_report_init(&report, false);
        binding[i] ^= 1;
        cr_assert_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
        cr_assert_str_eq(report.diag.check, SNP("binding"));
        binding[i] ^= 1;
    }
    ev_evidence_free(ev);
    memcpy(longer, f.report, 1184);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span(longer, 1183), &report, &ev), BH_ERR_EVIDENCE_MALFORMED);
    cr_assert_str_eq(report.diag.check, SNP("report"));
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span(longer, 1185), &report, &ev), BH_ERR_EVIDENCE_MALFORMED);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span(longer, 1186), &report, &ev), BH_ERR_UNSUPPORTED);
    longer[0] = 9;
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(bh_span(longer, 1184), &report, &ev), BH_ERR_UNSUPPORTED);
    cr_assert_str_eq(report.diag.check, SNP("version"));
}

/* ---- the signature algorithm ---- */

static bool
is_no_pss384(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    (void)arg;
    cr_expect_not(ev_snp_is_pss384(mutant), "%s at byte %zu", how, at);
    return true;
}

/* RSASSA-PSS of SHA-384, MGF1 of SHA-384, salt of 48: nothing else, to the byte. */
Test(snp_collateral, signature_algorithms)
{
    static const uint8_t longest[] = {0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
        0x01, 0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
        0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86,
        0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
        0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30, 0xa3, 0x03, 0x02,
        0x01, 0x01};
    const struct bh_span whole = bh_span(longest, sizeof(longest));

    cr_assert(ev_snp_is_pss384(whole));
    cr_assert_gt(bh_mutate(whole, 0, whole.len, 1, is_no_pss384, NULL), 200);
}
