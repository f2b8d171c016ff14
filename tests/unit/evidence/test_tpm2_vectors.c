/* SPDX-License-Identifier: Apache-2.0 */
/* TPM 2.0: genuine recorded quotes, certificates and event logs, what each must yield, and mutants
 * of two of them. */
#include "tpm2_judge.h"

#include "evidence/tpm2.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define Y2026_01 INT64_C(1767225600)
#define Y2026_03 INT64_C(1772323200)
#define Y2022 INT64_C(1640995200)
#define TPM_CLASS "\"class\":\"tpm\""

/* Files of the vectors, kept until the end of a test. */
struct files {
    size_t len;
    uint8_t *bytes[24];
};

static struct bh_span
load(struct files *files, const char *folder, const char *name)
{
    char path[128];
    size_t len;

    cr_assert_lt(files->len, BH_COUNT(files->bytes));
    (void)snprintf(path, sizeof(path), "tpm/%s/%s", folder, name);
    files->bytes[files->len] = bh_vector(path, &len);
    return bh_span(files->bytes[files->len++], len);
}

static void
unload(struct files *files)
{
    for (size_t i = 0; i < files->len; i++)
        free(files->bytes[i]);
    files->len = 0;
}

/* ---- quotes whose AK is endorsed ---- */

static const char *const swtpm[] = {
    "ecc-p256-sha256", "ecc-p384-sha384", "rsapss-sha256", "rsassa-sha1bank"};

static void
load_swtpm(struct files *files, const char *name, struct tpm2_parts *parts)
{
    char file[64];

    *parts = (struct tpm2_parts){.pcrs = load(files, "swtpm-generated", "pcrs.json")};
    (void)snprintf(file, sizeof(file), "%s.msg", name);
    parts->quote = load(files, "swtpm-generated", file);
    (void)snprintf(file, sizeof(file), "%s.sig.tpmt", name);
    parts->signature = load(files, "swtpm-generated", file);
    (void)snprintf(file, sizeof(file), "%s.ak_pub.tpmt", name);
    parts->ak = load(files, "swtpm-generated", file);
}

Test(tpm2_vectors, endorsed_keys)
{
    struct files files = {0};
    struct tpm2_parts parts;
    struct tpm2_endorsed endorsed;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(swtpm); i++) {
        load_swtpm(&files, swtpm[i], &parts);
        tpm2_endorse(parts.ak, TPM_CLASS, &endorsed);
        tpm2_must_hold(&parts, &endorsed, Y2026_03, swtpm[i]);
        tpm2_must_refuse(&parts, NULL, Y2026_03, BH_ERR_ENDORSEMENT_UNKNOWN, "tpm2.ak", swtpm[i]);
        parts.ek_cert = load(&files, "swtpm-generated", "ek_cert_rsa2048.der");
        tpm2_must_hold(&parts, &endorsed, Y2026_03, "an EK certificate beside it");
        tpm2_must_refuse(&parts, NULL, Y2026_03, BH_ERR_ENDORSEMENT_UNKNOWN, "tpm2.ak",
            "an EK certificate vouches for no AK");
        unload(&files);
    }
}

/* The Name is what the TPM says of itself in qualifiedSigner: QN(EK, AK). */
Test(tpm2_vectors, names)
{
    struct files files = {0};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(swtpm); i++) {
        uint8_t both[4 + 2 * EV_TPM2_NAME_MAX] = {0x40, 0x00, 0x00, 0x0b}, qn[34] = {0x00, 0x0b};
        struct ev_tpm2_public ak, ek;
        struct ev_tpm2_attest attest;
        struct tpm2_parts parts;
        char file[64];

        load_swtpm(&files, swtpm[i], &parts);
        (void)snprintf(file, sizeof(file), "%s.ek_pub.tpmt", swtpm[i]);
        cr_assert_eq(ev_tpm2_public_read(load(&files, "swtpm-generated", file), &ek, NULL), BH_OK);
        cr_assert_eq(ev_tpm2_public_read(parts.ak, &ak, NULL), BH_OK);
        cr_assert_eq(ev_tpm2_attest_read(parts.quote, &attest, NULL), BH_OK);
        cr_assert_not_null(ev_tpm2_attributes_fault(ek.attributes), "an EK attests nothing");
        cr_assert_null(ev_tpm2_attributes_fault(ak.attributes));
        /* QN(EK) = H(handle of the endorsement hierarchy || Name(EK)) */
        const uint8_t hierarchy[4] = {0x40, 0x00, 0x00, 0x0b};
        memcpy(both, hierarchy, sizeof(hierarchy));
        memcpy(both + 4, ek.name, ek.name_len);
        cr_assert_eq(bh_sha2(256, bh_span(both, 4 + ek.name_len), qn + 2), BH_OK);
        memcpy(both, qn, sizeof(qn));
        memcpy(both + sizeof(qn), ak.name, ak.name_len);
        cr_assert_eq(bh_sha2(256, bh_span(both, sizeof(qn) + ak.name_len), qn + 2), BH_OK);
        cr_assert(bh_span_equal(attest.qualified_signer, bh_span(qn, sizeof(qn))), "%s", swtpm[i]);
        unload(&files);
    }
}

/* ---- Google's ---- */

static void
load_gce(struct files *files, const char *bank, struct tpm2_parts *parts)
{
    char file[64];

    *parts = (struct tpm2_parts){.pcrs = load(files, "gce-cos85-sev", "pcrs.json"),
        .ak = load(files, "gce-cos85-sev", "ak_pub.tpmt"),
        .ak_cert = load(files, "gce-cos85-sev", "ak_cert.der"),
        .event_log = load(files, "gce-cos85-sev", "eventlog.bin")};
    (void)snprintf(file, sizeof(file), "quote_%s.msg", bank);
    parts->quote = load(files, "gce-cos85-sev", file);
    (void)snprintf(file, sizeof(file), "quote_%s.sig.tpmt", bank);
    parts->signature = load(files, "gce-cos85-sev", file);
}

Test(tpm2_vectors, google)
{
    static const char *const banks[] = {"sha1", "sha256", "sha384"};
    struct files files = {0};
    struct tpm2_parts parts;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(banks); i++) {
        load_gce(&files, banks[i], &parts);
        tpm2_must_hold(&parts, NULL, Y2022, banks[i]);
        tpm2_must_refuse(&parts, NULL, Y2022 - 365 * INT64_C(86400), BH_ERR_NOT_AUTHENTIC,
            "tpm2.chain", "before the certificate");
        parts.ak = bh_span_none();
        parts.event_log = bh_span_none();
        tpm2_must_hold(&parts, NULL, Y2022, "without public area and log");
        unload(&files);
    }
}

static json_t *
claims_of(const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at)
{
    struct ev_trust trust = {.now = at};
    struct ev_evidence *ev = NULL;
    struct ev_report report;
    json_t *claims;

    ev_report_init(&report, false);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    if (endorsed != NULL)
        tpm2_use(&trust, endorsed);
    cr_assert_eq(tpm2_judge(parts, &trust, &report, &ev), BH_OK, "%s", report.diag.detail);
    claims = ev_claims(ev);
    ev_evidence_free(ev);
    ev_trust_clear(&trust);
    return claims;
}

static const char *
text_at(const json_t *claims, const char *outer, const char *inner)
{
    const json_t *at = json_object_get(claims, outer);

    return json_string_value(inner != NULL ? json_object_get(at, inner) : at);
}

Test(tpm2_vectors, claims)
{
    struct files files = {0};
    struct tpm2_parts parts;
    json_t *claims, *log;

    if (bh_vectors() == NULL)
        return;
    load_gce(&files, "sha256", &parts);
    claims = claims_of(&parts, NULL, Y2022);
    cr_expect_str_eq(text_at(claims, "extraData", NULL), "9009");
    cr_expect_str_eq(text_at(claims, "type", NULL), "TPM_ST_ATTEST_QUOTE");
    cr_expect_str_eq(text_at(claims, "firmwareVersion", NULL), "0x2016051100162800");
    cr_expect_str_eq(text_at(claims, "signature", "sigAlg"), "RSASSA");
    cr_expect_str_eq(text_at(claims, "ak_vouched_by", NULL), "certificate");
    cr_expect_eq(
        json_integer_value(json_object_get(json_object_get(claims, "clockInfo"), "resetCount")),
        10);
    cr_expect_eq(json_object_size(json_object_get(claims, "pcrs")), 1, "only what is quoted");
    cr_expect_eq(json_object_size(json_object_get(json_object_get(claims, "pcrs"), "sha256")), 24);
    log = json_object_get(claims, "event_log");
    cr_expect_eq(json_array_size(json_object_get(json_object_get(log, "replayed"), "sha256")), 10);
    cr_expect_str_eq(text_at(claims, "event_log", "secure_boot"), "on");
    json_decref(claims);
    unload(&files);
}

/* ---- AK certificates without a quote at hand ---- */

static enum bh_err
check_cert(struct bh_span leaf, struct bh_span above, int64_t at, const char *platform,
    struct ev_report *report)
{
    struct ev_trust trust = {.now = at};
    struct ev_tpm2 t = {0};
    struct ev_tpm2_certs upper;
    bool simulated;
    enum bh_err e;

    cr_assert_eq(ev_tpm2_certs_read(leaf, &t.ak_cert, NULL), BH_OK);
    if (above.ptr != NULL) {
        cr_assert_eq(ev_tpm2_certs_read(above, &upper, NULL), BH_OK);
        t.ak_cert.certs[t.ak_cert.len++] = upper.certs[0];
    }
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, platform), BH_OK);
    ev_report_init(report, false);
    e = ev_tpm2_check_cert(&t, &trust, report, &simulated);
    if (e == BH_OK)
        cr_assert(t.not_after > at);
    ev_tpm2_certs_clear(&t.ak_cert);
    ev_trust_clear(&trust);
    return e;
}

Test(tpm2_vectors, ak_certificates)
{
    static const struct {
        const char *folder, *file;
    } all[] = {{"azure-ak-cert", "ak_01.der"}, {"azure-ak-cert", "ak_03.der"},
        {"azure-ak-cert", "ak_03.nvread.bin"}, {"gce-ak-cert", "ak.der"},
        {"gce-cos85-sev", "ak_cert.der"}};
    struct files files = {0};
    struct ev_report report;
    struct bh_span leaf;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        leaf = load(&files, all[i].folder, all[i].file);
        cr_assert_eq(check_cert(leaf, bh_span_none(), Y2026_03, "tpm2", &report), BH_OK, "%s: %s",
            all[i].file, report.diag.found);
        cr_assert_eq(check_cert(leaf, bh_span_none(), Y2026_03, "amd-sev-snp", &report),
            BH_ERR_NOT_AUTHENTIC, "another platform's roots");
        cr_assert_str_eq(report.diag.check, "tpm2.chain");
    }
    leaf = load(&files, "gce-ak-cert", "ak.der");
    cr_assert_eq(check_cert(leaf, load(&files, "gce-ak-cert", "intermediate.der"), Y2026_03, "tpm2",
                     &report),
        BH_OK);
    leaf = load(&files, "azure-ak-cert", "ak_03.der");
    cr_assert_eq(check_cert(leaf, load(&files, "ca", "azure_global_vtpm_ca_01.pem"), Y2026_03,
                     "tpm2", &report),
        BH_OK, "the wrong intermediate beside it does not hide the right one");
    cr_assert_eq(check_cert(leaf, bh_span_none(), Y2026_03 + 365 * INT64_C(86400), "tpm2", &report),
        BH_ERR_NOT_AUTHENTIC, "it has ended");
    leaf = load(&files, "swtpm-generated", "ek_cert_rsa2048.der");
    cr_assert_eq(check_cert(leaf, bh_span_none(), Y2026_03, "tpm2", &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "tpm2.ak_cert", "an EK's certificate");
    leaf = load(&files, "ca", "azure_global_vtpm_ca_03.pem");
    cr_assert_eq(check_cert(leaf, bh_span_none(), Y2026_03, "tpm2", &report), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "tpm2.ak_cert", "a CA's certificate");
    unload(&files);
}

/* ---- Azure's composite ---- */

static void
load_azure(struct files *files, const char *folder, struct tpm2_parts *parts)
{
    *parts = (struct tpm2_parts){.quote = load(files, folder, "quote.msg"),
        .signature = load(files, folder, "quote.sig"),
        .pcrs = load(files, folder, "pcrs.json"),
        .hcl_report = load(files, folder, "hcl_report.bin")};
    if (strstr(folder, "snp") != NULL)
        parts->vcek = load(files, folder, "vcek.der");
    else
        parts->td_quote = load(files, folder, "td_quote.bin");
}

static const char *const azure[] = {
    "azure-snp-vtpm-milan", "azure-snp-vtpm-milan-userdata", "azure-tdx-vtpm"};

static void
azure_claims(const struct tpm2_parts *parts, const char *nonce, const char *hardware)
{
    struct ev_evidence *ev = NULL;
    struct ev_report report;
    struct bh_cmw cmw;
    json_t *claims;

    tpm2_cmw(parts, &cmw);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_OK);
    claims = ev_claims(ev);
    cr_expect_eq(strncmp(text_at(claims, "extraData", NULL), nonce, strlen(nonce)), 0);
    cr_expect_str_eq(text_at(claims, "hcl_report", "hardware"), hardware);
    cr_expect_gt(
        json_object_size(json_object_get(json_object_get(claims, "hcl_report"), "claims")), 8);
    json_decref(claims);
    ev_evidence_free(ev);
}

Test(tpm2_vectors, azure)
{
    struct files files = {0};
    struct tpm2_parts parts;
    json_t *claims;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < 2; i++) {
        load_azure(&files, azure[i], &parts);
        tpm2_must_hold(&parts, NULL, Y2026_01, azure[i]);
        azure_claims(&parts, i == 0 ? "6368616c6c656e6765" : "982f5c6e", "amd-sev-snp");
        claims = claims_of(&parts, NULL, Y2026_01);
        cr_expect_str_eq(text_at(claims, "ak_vouched_by", NULL), "hardware report");
        cr_expect_not_null(text_at(claims, "ek", NULL));
        json_decref(claims);
        unload(&files);
    }
}

/* There is no collateral for the TD beside it: that alone is missing. */
Test(tpm2_vectors, azure_td)
{
    struct files files = {0};
    struct ev_trust trust = {.now = Y2026_01};
    struct tpm2_parts parts;
    struct ev_report report;

    if (bh_vectors() == NULL)
        return;
    load_azure(&files, azure[2], &parts);
    azure_claims(&parts, "6368616c6c656e6765", "intel-tdx");
    tpm2_must_refuse(&parts, NULL, Y2026_01, BH_ERR_COLLATERAL_MISSING, "intel-tdx.tcb_info", "TD");
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    ev_report_init(&report, true);
    cr_assert_eq(tpm2_judge(&parts, &trust, &report, NULL), BH_ERR_COLLATERAL_MISSING);
    for (size_t i = 0; i < report.len; i++)
        cr_expect(report.checks[i].ok || strcmp(report.checks[i].name, "intel-tdx.tcb_info") == 0 ||
                      strcmp(report.checks[i].name, "intel-tdx.qe_identity") == 0,
            "%s", report.checks[i].name);
    ev_trust_clear(&trust);
    unload(&files);
}

Test(tpm2_vectors, azure_parts_that_do_not_belong_together)
{
    struct files files = {0};
    struct tpm2_parts parts, other;
    uint8_t report[4096];
    struct bh_cmw cmw;

    if (bh_vectors() == NULL)
        return;
    load_azure(&files, azure[0], &parts);
    load_azure(&files, azure[1], &other);
    parts.hcl_report = other.hcl_report;
    parts.vcek = other.vcek;
    tpm2_must_refuse(&parts, NULL, Y2026_01, BH_ERR_NOT_AUTHENTIC, "tpm2.signature",
        "another machine's hardware report");
    load_azure(&files, azure[0], &parts);
    parts.vcek = other.vcek;
    tpm2_must_refuse(
        &parts, NULL, Y2026_01, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.chip_id", "another chip's VCEK");
    /* A letter of the document: the report is not about it any more. */
    load_azure(&files, azure[0], &parts);
    memcpy(report, parts.hcl_report.ptr, parts.hcl_report.len);
    uint8_t *at = memmem(report, parts.hcl_report.len, "26F8BC30", 8);
    cr_assert_not_null(at);
    *at = '3';
    parts.hcl_report = bh_span(report, parts.hcl_report.len);
    tpm2_must_refuse(&parts, NULL, Y2026_01, BH_ERR_NOT_AUTHENTIC, "tpm2.hcl_report",
        "a document that was changed");
    unload(&files);
    load_azure(&files, azure[2], &parts);
    parts.td_quote = bh_span_none();
    tpm2_cmw(&parts, &cmw);
    tpm2_malformed(&cmw, "tpm2.hcl_report", "a TD without its quote");
    load_azure(&files, azure[2], &parts);
    tpm2_cmw(&parts, &cmw);
    tpm2_add(&cmw, "vcek", parts.quote);
    tpm2_malformed(&cmw, "tpm2.collection", "a VCEK beside a TD");
    unload(&files);
}

/* ---- mutants ---- */

struct walk {
    struct tpm2_parts parts;
    struct bh_span *part; /* the one that is mutated */
    struct ev_trust trust;
    size_t survived;
};

static bool
refused(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct walk *w = arg;
    struct ev_report report;

    *w->part = mutant;
    ev_report_init(&report, false);
    cr_expect_neq(tpm2_judge(&w->parts, &w->trust, &report, NULL), BH_OK, "%s at %zu", how, at);
    cr_expect_neq(report.diag.check[0], '\0', "%s at %zu", how, at);
    return true;
}

static void
walk_part(struct walk *w, struct bh_span *part, size_t stride)
{
    const struct bh_span whole = *part;

    w->part = part;
    (void)bh_mutate(whole, 0, whole.len, stride, refused, w);
    *part = whole;
}

Test(tpm2_vectors, every_byte_of_quote_and_signature_counts)
{
    struct files files = {0};
    struct tpm2_endorsed endorsed;
    struct walk w = {.trust = {.now = Y2022}};

    if (bh_vectors() == NULL)
        return;
    cr_assert_eq(ev_trust_add_vendor_roots(&w.trust, "tpm2"), BH_OK);
    load_gce(&files, "sha256", &w.parts);
    w.trust.cache = ev_chain_cache_new(8);
    walk_part(&w, &w.parts.quote, 1);
    walk_part(&w, &w.parts.signature, 1);
    ev_chain_cache_free(w.trust.cache);
    w.trust.cache = NULL;
    unload(&files);
    load_swtpm(&files, "ecc-p384-sha384", &w.parts);
    tpm2_endorse(w.parts.ak, TPM_CLASS, &endorsed);
    tpm2_use(&w.trust, &endorsed);
    walk_part(&w, &w.parts.quote, 1);
    walk_part(&w, &w.parts.signature, 1);
    walk_part(&w, &w.parts.ak, 1);
    unload(&files);
    ev_trust_clear(&w.trust);
}

/* A value of a PCR that is quoted, or of one that is not. */
Test(tpm2_vectors, pcr_values)
{
    struct files files = {0};
    struct tpm2_parts parts;
    struct tpm2_endorsed endorsed;
    json_t *pcrs, *bank;
    char *text;

    if (bh_vectors() == NULL)
        return;
    load_swtpm(&files, "ecc-p256-sha256", &parts); /* selects 0 to 9 and 15 */
    tpm2_endorse(parts.ak, TPM_CLASS, &endorsed);
    pcrs = bh_vector_json("tpm/swtpm-generated/pcrs.json");
    bank = json_object_get(pcrs, "sha256");
#define WITH(action, err, check, what)                                                             \
    do {                                                                                           \
        action;                                                                                    \
        text = json_dumps(pcrs, 0);                                                                \
        parts.pcrs = bh_span_str(text);                                                            \
        if ((err) == BH_OK)                                                                        \
            tpm2_must_hold(&parts, &endorsed, Y2026_03, what);                                     \
        else                                                                                       \
            tpm2_must_refuse(&parts, &endorsed, Y2026_03, err, check, what);                       \
        free(text);                                                                                \
    } while (0)
    WITH(json_object_set_new(bank, "16",
             json_string("1111111111111111111111111111111111111111111111111111111111111111")),
        BH_OK, "", "a PCR that is not quoted says nothing");
    WITH(json_object_del(bank, "16"), BH_OK, "", "it need not be there");
    WITH(json_object_set_new(bank, "4",
             json_string("1111111111111111111111111111111111111111111111111111111111111111")),
        BH_ERR_NOT_AUTHENTIC, "tpm2.pcr_digest", "another value");
    WITH(json_object_del(bank, "4"), BH_ERR_NOT_AUTHENTIC, "tpm2.pcrs", "a value that is missing");
    WITH(json_object_set_new(bank, "4", json_string("11")), BH_ERR_EVIDENCE_MALFORMED, "tpm2.pcrs",
        "a short value");
#undef WITH
    json_decref(pcrs);
    unload(&files);
}

/* ---- event logs ---- */

static enum ev_tpm2_bank
bank_named(const char *name)
{
    enum ev_tpm2_bank bank = EV_TPM2_SHA1;

    while (bank < EV_TPM2_BANKS && strcmp(ev_tpm2_bank_name(bank), name) != 0)
        bank++;
    return bank;
}

Test(tpm2_vectors, event_logs_replay)
{
    static const struct {
        const char *name;
        int secure_boot;
    } all[] = {{"arch-linux-workstation", 0}, {"debian-10-legacy-sha1", 1}, {"rhel8-gce", 1},
        {"ubuntu-2404-amd-sevsnp", 0}};
    struct files files = {0};
    char file[64];

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        static struct ev_tpm2 t;
        struct ev_report report;
        const char *name;
        json_t *pcrs, *bank;

        memset(&t, 0, sizeof(t));
        (void)snprintf(file, sizeof(file), "%s.bin", all[i].name);
        cr_assert_eq(
            ev_tcg_log_read(load(&files, "eventlogs", file), &t.log, NULL), BH_OK, "%s", file);
        t.has_log = true;
        (void)snprintf(file, sizeof(file), "tpm/eventlogs/%s.pcrs.json", all[i].name);
        pcrs = bh_vector_json(file);
        json_object_foreach(pcrs, name, bank)
        {
            char *text = json_dumps(pcrs, 0);
            const enum ev_tpm2_bank b = bank_named(name);

            cr_assert_eq(ev_tpm2_pcrs_read(bh_span_str(text), &t.pcrs, NULL), BH_OK);
            t.attest.selections_len = 1;
            t.attest.selections[0].bank = b;
            t.attest.selections[0].pcrs = t.pcrs.given[b];
            ev_report_init(&report, true);
            cr_assert_eq(ev_tpm2_check_log(&t, &report), BH_OK, "%s %s: %s", all[i].name, name,
                report.diag.expected);
            cr_assert((t.replayed[b] >> 7 & 1) == 1 && (t.replayed[b] >> 4 & 1) == 1);
            cr_assert_eq(ev_tpm2_secure_boot(&t, true), all[i].secure_boot, "%s", all[i].name);
            t.pcrs.values[b][4][0] ^= 1;
            ev_report_init(&report, true);
            cr_assert_eq(ev_tpm2_check_log(&t, &report), BH_ERR_NOT_AUTHENTIC);
            cr_assert_str_eq(report.diag.check, "tpm2.event_log");
            free(text);
        }
        json_decref(pcrs);
        unload(&files);
    }
}
