/* SPDX-License-Identifier: Apache-2.0 */
/* The report of Azure's paravisor: its form, and files that lie beside a quote. */
#include "tpm2_forge.h"

#include "core/text.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define HARDWARE_AT 0x20
#define HEAD_AT 0x4c0
#define DOCUMENT_AT 0x4d4

#define N256                                                                                       \
    "AQ"                                                                                           \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define JWK(kid) "{\"kid\":\"" kid "\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N256 "\"}"
#define DOCUMENT "{\"keys\":[" JWK("HCLAkPub") "," JWK("HCLEkPub") "]}"

struct plan {
    const char *document, *magic;
    uint32_t size, type, hash, len; /* size and len: what is added to the right ones */
    size_t zeros;
    uint8_t last;
    bool vcek, td_quote, tcb_info;
};

static void
put32(uint8_t *at, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

static struct bh_span
make(const struct plan *p, uint8_t out[4096])
{
    const uint32_t len = (uint32_t)strlen(p->document);

    memset(out, 0, 4096);
    memcpy(out, p->magic, 4);
    put32(out + HEAD_AT, 20 + len + p->size);
    put32(out + HEAD_AT + 4, 1);
    put32(out + HEAD_AT + 8, p->type);
    put32(out + HEAD_AT + 12, p->hash);
    put32(out + HEAD_AT + 16, len + p->len);
    memcpy(out + DOCUMENT_AT, p->document, len);
    out[DOCUMENT_AT + len + p->zeros] = p->last;
    return bh_span(out, DOCUMENT_AT + len + p->zeros + (p->last != 0 ? 1 : 0));
}

static void
refused(const struct plan *p, enum bh_err err, const char *check, const char *what)
{
    struct bh_cmw cmw = {.collection = true};
    struct ev_tpm2_hcl hcl = {0};
    struct ev_report report;
    uint8_t bytes[4096];

    if (p->vcek)
        tpm2_add(&cmw, "vcek", bh_span_str("x"));
    if (p->td_quote)
        tpm2_add(&cmw, "td_quote", bh_span_str("x"));
    if (p->tcb_info)
        tpm2_add(&cmw, "tcb_info", bh_span_str("x"));
    ev_report_init(&report, false);
    cr_expect_eq(ev_tpm2_hcl_read(make(p, bytes), &cmw, &hcl, &report), err, "%s", what);
    cr_expect_str_eq(report.diag.check, check, "%s: %s", what, report.diag.found);
    cr_expect_null(hcl.hardware);
}

#define RIGHT .document = DOCUMENT, .magic = "HCLA", .type = 2, .hash = 1
#define REFUSED(what, ...)                                                                         \
    do {                                                                                           \
        const struct plan plan = {__VA_ARGS__};                                                    \
        refused(&plan, BH_ERR_EVIDENCE_MALFORMED, "tpm2.hcl_report", what);                        \
    } while (0)
#define OF(text) .document = text, .magic = "HCLA", .type = 2, .hash = 1

Test(tpm2_hcl, form)
{
    const struct plan right = {RIGHT}, longer = {RIGHT, .zeros = 300},
                      td = {.document = DOCUMENT,
                          .magic = "HCLA",
                          .type = 4,
                          .hash = 1,
                          .td_quote = true};

    /* What is right here goes on to the hardware's own reader, which finds zeros. */
    refused(&right, BH_ERR_UNSUPPORTED, "amd-sev-snp.version", "a report of zeros");
    refused(&longer, BH_ERR_UNSUPPORTED, "amd-sev-snp.version", "zeros behind");
    refused(&td, BH_ERR_EVIDENCE_MALFORMED, "tpm2.hcl_report", "no quote of a TD");
    REFUSED("another magic", .document = DOCUMENT, .magic = "HCLB", .type = 2, .hash = 1);
    REFUSED("a size that is too large", RIGHT, .size = 1);
    REFUSED("a length that is too large", RIGHT, .len = 1);
    REFUSED("a huge length", RIGHT, .len = UINT32_MAX / 2);
    REFUSED("bytes behind", RIGHT, .zeros = 10, .last = 1);
    REFUSED("other hardware", .document = DOCUMENT, .magic = "HCLA", .type = 3, .hash = 1);
    REFUSED("another hash", .document = DOCUMENT, .magic = "HCLA", .type = 2, .hash = 2);
    REFUSED("a TD without its quote", .document = DOCUMENT, .magic = "HCLA", .type = 4, .hash = 1);
}

Test(tpm2_hcl, documents)
{
    REFUSED("no document", OF(""));
    REFUSED("no JSON", OF("{\"keys\":["));
    REFUSED("no object", OF("[]"));
    REFUSED("no keys", OF("{}"));
    REFUSED("no AK", OF("{\"keys\":[" JWK("HCLEkPub") "]}"));
    REFUSED("two AKs", OF("{\"keys\":[" JWK("HCLAkPub") "," JWK("HCLAkPub") "]}"));
    REFUSED("another kind of key", OF("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\"}]}"));
    REFUSED("no modulus", OF("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\"}]}"));
    REFUSED("an empty exponent", OF("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"\","
                                    "\"n\":\"" N256 "\"}]}"));
    REFUSED("no base64url", OF("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"A=\","
                               "\"n\":\"" N256 "\"}]}"));
    const struct plan without_ek = {OF("{\"keys\":[7,{},{\"kid\":7}," JWK("HCLAkPub") "]}")};
    refused(&without_ek, BH_ERR_UNSUPPORTED, "amd-sev-snp.version", "an EK is not needed");
}

Test(tpm2_hcl, records_of_other_hardware)
{
    const struct plan td_quote = {RIGHT, .td_quote = true}, collateral = {RIGHT, .tcb_info = true};
    const struct plan vcek = {.document = DOCUMENT,
        .magic = "HCLA",
        .type = 4,
        .hash = 1,
        .td_quote = true,
        .vcek = true};

    refused(&td_quote, BH_ERR_EVIDENCE_MALFORMED, "tpm2.collection", "a TD's quote beside SNP");
    refused(&collateral, BH_ERR_EVIDENCE_MALFORMED, "tpm2.collection", "TCB info beside SNP");
    refused(&vcek, BH_ERR_EVIDENCE_MALFORMED, "tpm2.collection", "a VCEK beside TDX");
}

/* ---- a quote alone, and files ---- */

struct folder {
    const struct tpm2_forged *f;
    const char *spoilt; /* this file is garbage */
    const char *broken; /* this file cannot be read */
    const char *absent;
};

static enum bh_err
find_file(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    const struct folder *folder = arg;
    const struct tpm2_parts *p = &folder->f->parts;
    const struct {
        const char *kind;
        struct bh_span bytes;
    } files[] = {{"signature.bin", p->signature}, {"pcrs.json", p->pcrs}, {"ak_pub.tpmt", p->ak},
        {"eventlog.bin", p->event_log}};

    cr_assert_eq(key.len, 0);
    if (folder->broken != NULL && strcmp(kind, folder->broken) == 0)
        return bh_fail(diag, BH_ERR_IO, "the disk is away");
    if (folder->spoilt != NULL && strcmp(kind, folder->spoilt) == 0) {
        *ret_bytes = bh_span_str("no such thing");
        return BH_OK;
    }
    for (size_t i = 0; i < BH_COUNT(files); i++)
        if (strcmp(kind, files[i].kind) == 0 && files[i].bytes.len > 0 &&
            (folder->absent == NULL || strcmp(kind, folder->absent) != 0)) {
            *ret_bytes = files[i].bytes;
            return BH_OK;
        }
    return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "no %s", kind);
}

static enum bh_err
judge_alone(struct folder *folder, struct tpm2_endorsed *endorsed, char check[BH_CHECK_MAX])
{
    struct ev_trust trust = {.now = TPM2_NOW, .collateral = find_file, .collateral_arg = folder};
    struct ev_evidence *ev = NULL;
    struct ev_report report;
    enum bh_err e;

    tpm2_use(&trust, endorsed);
    ev_report_init(&report, false);
    cr_assert_eq(ev_decode_raw(folder->f->parts.quote, &report, &ev), BH_OK);
    e = ev_authenticate(ev, &trust, &report);
    (void)snprintf(check, BH_CHECK_MAX, "%s", report.diag.check);
    json_decref(ev_claims(ev));
    ev_evidence_free(ev);
    return e;
}

Test(tpm2_hcl, files_beside_a_quote)
{
    static const struct {
        const char *kind, *check;
    } files[] = {{"signature.bin", "tpm2.signature"}, {"quote.sig", "tpm2.signature"},
        {"pcrs.json", "tpm2.pcrs"}, {"ak_pub.tpmt", "tpm2.ak"}, {"ak_cert.der", "tpm2.ak_cert"},
        {"ek_cert.der", "tpm2.ek_cert"}, {"eventlog.bin", "tpm2.event_log"},
        {"hcl_report.bin", "tpm2.hcl_report"}};
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256");
    char check[BH_CHECK_MAX], broken[BH_CHECK_MAX];
    struct tpm2_endorsed endorsed;
    struct tpm2_forged f;
    struct folder folder = {.f = &f};

    tpm2_plan(&plan, key);
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    tpm2_forge(&f, &plan);
    tpm2_endorse(f.parts.ak, "\"class\":\"tpm\"", &endorsed);
    cr_assert_eq(judge_alone(&folder, &endorsed, check), BH_OK, "%s", check);
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        folder = (struct folder){.f = &f, .spoilt = files[i].kind};
        if (i == 1) /* only where there is no signature.bin */
            folder.absent = "signature.bin";
        cr_expect_eq(
            judge_alone(&folder, &endorsed, check), BH_ERR_EVIDENCE_MALFORMED, "%s", files[i].kind);
        cr_expect_str_eq(check, files[i].check);
        folder.spoilt = NULL;
        folder.broken = files[i].kind;
        (void)snprintf(broken, sizeof(broken), "tpm2.%s", files[i].kind);
        cr_expect_eq(judge_alone(&folder, &endorsed, check), BH_ERR_IO, "%s", files[i].kind);
        cr_expect_str_eq(check, broken);
    }
    folder = (struct folder){.f = &f, .absent = "signature.bin"};
    cr_expect_eq(judge_alone(&folder, &endorsed, check), BH_ERR_COLLATERAL_MISSING);
    cr_expect_str_eq(check, "tpm2.signature");
    folder.absent = "pcrs.json";
    cr_expect_eq(judge_alone(&folder, &endorsed, check), BH_ERR_COLLATERAL_MISSING);
    cr_expect_str_eq(check, "tpm2.pcrs");
    tpm2_forged_clear(&f);
    EVP_PKEY_free(key);
}
