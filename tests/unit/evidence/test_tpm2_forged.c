/* SPDX-License-Identifier: Apache-2.0 */
/* TPM 2.0: quotes that are wrong in one way each, and who may vouch for an AK. */
#include "tpm2_forge.h"

#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define REFUSED(what, check, ...)                                                                  \
    do {                                                                                           \
        tpm2_plan(&plan, key);                                                                     \
        __VA_ARGS__;                                                                               \
        tpm2_forge_refused(&plan, BH_ERR_NOT_AUTHENTIC, check, what);                              \
    } while (0)
#define MALFORMED(what, check, ...)                                                                \
    do {                                                                                           \
        tpm2_plan(&plan, key);                                                                     \
        __VA_ARGS__;                                                                               \
        tpm2_forge_refused(&plan, BH_ERR_EVIDENCE_MALFORMED, check, what);                         \
    } while (0)

Test(tpm2_forged, schemes)
{
    static const struct {
        const char *key;
        uint16_t scheme, hash;
    } all[] = {{"P-256", EV_TPM2_ECDSA, ALG_SHA256}, {"P-384", EV_TPM2_ECDSA, ALG_SHA384},
        {"P-521", EV_TPM2_ECDSA, 0x000d}, {"RSA-2048", EV_TPM2_RSASSA, ALG_SHA256},
        {"RSA-2048", EV_TPM2_RSASSA, ALG_SHA384}, {"RSA-2048", EV_TPM2_RSAPSS, ALG_SHA256},
        {"RSA-3072", EV_TPM2_RSAPSS, ALG_SHA384}};
    static struct tpm2_plan plan;

    for (size_t i = 0; i < BH_COUNT(all); i++) {
        EVP_PKEY *key = tpm2_key(all[i].key);

        tpm2_plan(&plan, key);
        plan.scheme = plan.ak_scheme = all[i].scheme;
        plan.hash = plan.ak_hash = all[i].hash;
        tpm2_forge_holds(&plan, all[i].key);
        EVP_PKEY_free(key);
    }
}

Test(tpm2_forged, quotes)
{
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256");

    tpm2_plan(&plan, key);
    tpm2_forge_holds(&plan, "as it should be");
    MALFORMED("another magic", "tpm2.quote", plan.magic = 0xff544348);
    MALFORMED("a certification, not a quote", "tpm2.quote", plan.type = 0x8017);
    MALFORMED("a time attestation", "tpm2.quote", plan.type = 0x8019);
    MALFORMED("a byte after the quote", "tpm2.quote", plan.trailing = 1);
    MALFORMED("no bool", "tpm2.quote", plan.safe = 2);
    MALFORMED("no selection", "tpm2.quote", plan.count = 0; plan.selections_len = 0);
    MALFORMED("a selection less than it says", "tpm2.quote", plan.count = 2);
    MALFORMED("very many selections", "tpm2.quote", plan.count = UINT32_MAX);
    MALFORMED("an empty selection", "tpm2.quote", plan.selections[0].pcrs = 0);
    MALFORMED("a PCR above 23", "tpm2.quote",
        plan.selections[0] = ((struct tpm2_select){ALG_SHA256, 4, 1U << 24 | 1}));
    MALFORMED("no bitmap", "tpm2.quote", plan.selections[0].size = 0);
    MALFORMED("a long bitmap", "tpm2.quote", plan.selections[0].size = 5);
    MALFORMED("an unknown bank", "tpm2.quote", plan.selections[0].algorithm = 0x0012);
    MALFORMED("a bank twice", "tpm2.quote", plan.count = 2; plan.selections_len = 2;
              plan.selections[1] = plan.selections[0]);
    MALFORMED("an empty bank beside", "tpm2.quote", plan.count = 2; plan.selections_len = 2;
              plan.selections[1] = ((struct tpm2_select){ALG_SHA384, 3, 0}));
    REFUSED("a digest by the bank's hash", "tpm2.pcr_digest", plan.digest_hash = ALG_SHA384);
    tpm2_plan(&plan, key);
    plan.safe = 0;
    tpm2_forge_holds(&plan, "a clock that may have gone back is a claim");
    tpm2_plan(&plan, key);
    plan.count = 3;
    plan.selections_len = 3;
    plan.selections[1] = (struct tpm2_select){ALG_SHA384, 3, 0x80};
    plan.selections[2] = (struct tpm2_select){ALG_SHA1, 3, 0x810001};
    tpm2_forge_holds(&plan, "three banks");
    plan.selections[0].size = 2;
    tpm2_forge_holds(&plan, "a short bitmap");
    EVP_PKEY_free(key);
}

Test(tpm2_forged, keys_and_signatures)
{
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256"), *other = tpm2_key("P-256"), *rsa = tpm2_key("RSA-2048");
    EVP_PKEY *weak = tpm2_key("RSA-1024");

    REFUSED("another key", "tpm2.signature", plan.signs = other);
    REFUSED("not restricted", "tpm2.ak.attributes", plan.attributes &= ~EV_TPM2_RESTRICTED);
    REFUSED("not fixedTPM", "tpm2.ak.attributes", plan.attributes &= ~EV_TPM2_FIXED_TPM);
    REFUSED("not fixedParent", "tpm2.ak.attributes", plan.attributes &= ~EV_TPM2_FIXED_PARENT);
    REFUSED("a key from outside", "tpm2.ak.attributes",
        plan.attributes &= ~EV_TPM2_SENSITIVE_DATA_ORIGIN);
    REFUSED("no signing key", "tpm2.ak.attributes", plan.attributes &= ~EV_TPM2_SIGN);
    REFUSED("a key that decrypts too", "tpm2.ak.attributes", plan.attributes |= EV_TPM2_DECRYPT);
    REFUSED("the scheme of another key", "tpm2.ak", plan.ak_scheme = EV_TPM2_RSASSA);
    REFUSED("the hash of another key", "tpm2.ak", plan.ak_hash = ALG_SHA384);
    MALFORMED("a symmetric key", "tpm2.ak", plan.ak_type = 0x0025);
    MALFORMED("a Name by SHA-1", "tpm2.ak", plan.name_alg = ALG_SHA1);
    MALFORMED("a signature over SHA-1", "tpm2.signature", plan.hash = plan.ak_hash = ALG_SHA1;
              plan.digest_hash = ALG_SHA256);
    MALFORMED("an unknown scheme", "tpm2.signature", plan.scheme = 0x001a);
    EVP_PKEY_free(key);
    key = rsa;
    REFUSED("the other padding", "tpm2.ak", plan.scheme = EV_TPM2_RSAPSS);
    REFUSED("an EC key's signature", "tpm2.ak", plan.scheme = EV_TPM2_ECDSA; plan.signs = other);
    REFUSED("by an RSA key of no scheme", "tpm2.signature", plan.scheme = EV_TPM2_ECDSA;
            plan.ak_scheme = ALG_NULL; plan.signs = other);
    tpm2_plan(&plan, key);
    plan.ak_scheme = ALG_NULL;
    tpm2_forge_holds(&plan, "an AK that leaves its scheme open");
    EVP_PKEY_free(key);
    key = weak;
    REFUSED("an RSA key of 1024 bits", "tpm2.signature", (void)0);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(other);
}

/* ---- records ---- */

static void
without(struct bh_cmw *cmw, const char *label)
{
    for (size_t i = 0; i < cmw->count; i++)
        if (strcmp(cmw->records[i].label, label) == 0) {
            cmw->records[i] = cmw->records[--cmw->count];
            return;
        }
    cr_assert_fail("no %s", label);
}

Test(tpm2_forged, collections)
{
    static const char *const mandatory[][2] = {
        {"quote", "tpm2.quote"}, {"signature", "tpm2.signature"}, {"pcrs", "tpm2.pcrs"}};
    static const char *const garbage[] = {
        "quote", "signature", "pcrs", "ak", "ak_cert", "ek_cert", "event_log", "hcl_report"};
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256");
    struct tpm2_forged f;
    struct bh_cmw cmw;
    char check[64];

    tpm2_plan(&plan, key);
    tpm2_forge(&f, &plan);
    for (size_t i = 0; i < BH_COUNT(mandatory); i++) {
        tpm2_cmw(&f.parts, &cmw);
        without(&cmw, mandatory[i][0]);
        tpm2_malformed(&cmw, mandatory[i][1], mandatory[i][0]);
    }
    for (size_t i = 0; i < BH_COUNT(garbage); i++) {
        tpm2_cmw(&f.parts, &cmw);
        if (i < 4)
            without(&cmw, garbage[i]);
        tpm2_add(&cmw, garbage[i], bh_span_str("\x30\x03garbage"));
        (void)snprintf(check, sizeof(check), "tpm2.%s", garbage[i]);
        tpm2_malformed(&cmw, check, garbage[i]);
    }
    tpm2_cmw(&f.parts, &cmw);
    tpm2_add(&cmw, "note", bh_span_str("x"));
    tpm2_malformed(&cmw, "tpm2.collection", "an unknown label");
    tpm2_cmw(&f.parts, &cmw);
    tpm2_add(&cmw, "vcek", bh_span_str("x"));
    tpm2_malformed(&cmw, "tpm2.collection", "a VCEK without the report that it is of");
    tpm2_forged_clear(&f);
    EVP_PKEY_free(key);
}

Test(tpm2_forged, pcr_texts)
{
    static const char *const wrong[] = {"", "[]", "7", "{\"md5\":{}}", "{\"sha256\":[]}",
        "{\"sha256\":{\"24\":\"00\"}}", "{\"sha256\":{\"00\":\"00\"}}",
        "{\"sha256\":{\"x\":\"00\"}}", "{\"sha256\":{\"-1\":\"00\"}}",
        "{\"sha256\":{\"100\":\"00\"}}", "{\"sha256\":{\"0\":7}}", "{\"sha256\":{\"0\":\"0011\"}}",
        "{\"sha256\":{},\"sha256\":{}}", "{\"sha256\":{}} x"};
    struct ev_tpm2_pcrs pcrs;

    for (size_t i = 0; i < BH_COUNT(wrong); i++) {
        struct bh_diag diag = {0};

        cr_expect_eq(ev_tpm2_pcrs_read(bh_span_str(wrong[i]), &pcrs, &diag), BH_ERR_MALFORMED, "%s",
            wrong[i]);
        cr_expect(diag.detail[0] != '\0', "%s", wrong[i]);
    }
    cr_expect_eq(ev_tpm2_pcrs_read(bh_span_str("{}"), &pcrs, NULL), BH_OK);
}

/* ---- binding ---- */

Test(tpm2_forged, binding)
{
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256");
    uint8_t binding[BH_BINDING_LEN];

    memset(binding, 0x5a, sizeof(binding));
    binding[40] = 0x77; /* beyond what a quote carries */
    for (size_t len = 0; len <= 64; len += 16) {
        struct ev_evidence *ev = NULL;
        struct ev_report report;
        struct tpm2_forged f;
        struct bh_cmw cmw;

        tpm2_plan(&plan, key);
        plan.extra_len = len;
        tpm2_forge(&f, &plan);
        tpm2_cmw(&f.parts, &cmw);
        ev_report_init(&report, true);
        cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_OK);
        cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report),
            len == 32 ? BH_OK : BH_ERR_BINDING, "%zu bytes", len);
        if (len != 32)
            cr_expect_str_eq(report.diag.check, "tpm2.binding");
        binding[31] ^= 1;
        ev_report_init(&report, false);
        cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
        binding[31] ^= 1;
        ev_evidence_free(ev);
        tpm2_forged_clear(&f);
    }
    EVP_PKEY_free(key);
}

/* ---- who vouches for an AK ---- */

Test(tpm2_forged, endorsements)
{
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256"), *other = tpm2_key("P-256");
    struct tpm2_endorsed endorsed;
    struct tpm2_forged f;
    size_t len;

    tpm2_plan(&plan, key);
    tpm2_forge(&f, &plan);
    tpm2_endorse(f.parts.ak, "\"class\":\"tpm\"", &endorsed);
    tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, "endorsed");
    /* Without the public area there is no Name to ask for. */
    const struct bh_span ak = f.parts.ak;
    f.parts.ak = bh_span_none();
    tpm2_must_refuse(&f.parts, &endorsed, TPM2_NOW, BH_ERR_ENDORSEMENT_UNKNOWN, "tpm2.ak", "no ak");
    f.parts.ak = ak;
    endorsed.e.key[5] ^= 1;
    tpm2_must_refuse(
        &f.parts, &endorsed, TPM2_NOW, BH_ERR_NOT_AUTHENTIC, "tpm2.ak", "of another key");
    cr_assert_eq(bh_spki_encode(key, endorsed.e.key, sizeof(endorsed.e.key), &len, NULL), BH_OK);
    endorsed.e.key_len = len;
    tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, "endorsed by its key");
    cr_assert_eq(bh_spki_encode(other, endorsed.e.key, sizeof(endorsed.e.key), &len, NULL), BH_OK);
    tpm2_must_refuse(
        &f.parts, &endorsed, TPM2_NOW, BH_ERR_NOT_AUTHENTIC, "tpm2.ak", "another key by hand");
    endorsed.e.symmetric = true;
    tpm2_must_refuse(
        &f.parts, &endorsed, TPM2_NOW, BH_ERR_NOT_AUTHENTIC, "tpm2.ak", "a symmetric key");
    endorsed.fails = BH_ERR_IO;
    tpm2_must_refuse(&f.parts, &endorsed, TPM2_NOW, BH_ERR_IO, "tpm2.ak", "the store is away");
    tpm2_forged_clear(&f);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

Test(tpm2_forged, another_ek)
{
    static const char *const extensions[] = {"keyUsage", "critical,keyAgreement", NULL};
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256"), *ek = tpm2_key("P-384");
    X509 *cert = tpm2_cert(ek, "an EK", NULL, NULL, extensions, TPM2_NOW - 1, TPM2_NOW + 1);
    uint8_t spki[BH_SPKI_MAX], *der = NULL;
    struct tpm2_endorsed endorsed;
    struct tpm2_forged f;
    size_t len;

    tpm2_plan(&plan, key);
    tpm2_forge(&f, &plan);
    tpm2_endorse(f.parts.ak, "\"class\":\"tpm\"", &endorsed);
    cr_assert_eq(bh_x509_to_der(cert, &der, &len), BH_OK);
    f.parts.ek_cert = bh_span(der, len);
    tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, "the endorsement names no EK");
    cr_assert_eq(bh_spki_encode(ek, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_sha2(256, bh_span(spki, len), endorsed.e.implementation_id), BH_OK);
    tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, "it names this EK");
    endorsed.e.implementation_id[0] ^= 1;
    tpm2_must_refuse(
        &f.parts, &endorsed, TPM2_NOW, BH_ERR_NOT_AUTHENTIC, "tpm2.ek_cert", "it names another EK");
    OPENSSL_free(der);
    X509_free(cert);
    tpm2_forged_clear(&f);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ek);
}

/* TPM2B_ATTEST: the same behind a size that nobody signs. */
Test(tpm2_forged, sized_quotes)
{
    static struct tpm2_plan plan;
    EVP_PKEY *key = tpm2_key("P-256");
    struct tpm2_endorsed endorsed;
    struct tpm2_forged f;
    uint8_t sized[1024];

    tpm2_plan(&plan, key);
    tpm2_forge(&f, &plan);
    tpm2_endorse(f.parts.ak, "\"class\":\"tpm\"", &endorsed);
    sized[0] = (uint8_t)(f.parts.quote.len >> 8);
    sized[1] = (uint8_t)f.parts.quote.len;
    memcpy(sized + 2, f.parts.quote.ptr, f.parts.quote.len);
    f.parts.quote = bh_span(sized, f.parts.quote.len + 2);
    tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, "a quote behind its size");
    sized[1]++;
    tpm2_must_refuse(&f.parts, &endorsed, TPM2_NOW, BH_ERR_EVIDENCE_MALFORMED, "tpm2.quote",
        "behind another size");
    tpm2_forged_clear(&f);
    EVP_PKEY_free(key);
}

/* A vendor of virtual TPMs of the test's own. */
struct vendor {
    EVP_PKEY *key;
    X509 *root;
    struct ev_trust trust;
};

static void
vendor_make(struct vendor *v, const char *cn, bool simulated)
{
    static const char *const extensions[] = {"basicConstraints", "critical,CA:TRUE", "keyUsage",
        "critical,keyCertSign", "subjectKeyIdentifier", "hash", NULL};

    *v = (struct vendor){.key = tpm2_key("P-256")};
    v->root = tpm2_cert(
        v->key, cn, NULL, NULL, extensions, TPM2_NOW - TPM2_DAY, TPM2_NOW + 900 * TPM2_DAY);
    v->trust.now = TPM2_NOW;
    v->trust.skew = 60;
    v->trust.anchors_len = 1;
    v->trust.anchors[0] = (struct ev_anchor){.cert = v->root, .simulated = simulated};
    v->trust.cache = ev_chain_cache_new(8);
}

static void
vendor_clear(struct vendor *v)
{
    X509_free(v->root);
    EVP_PKEY_free(v->key);
    ev_chain_cache_free(v->trust.cache);
}

#define AK_USAGE "keyUsage", "critical,digitalSignature"
static const char *const ak_extensions[] = {
    AK_USAGE, "extendedKeyUsage", "2.23.133.8.3", "basicConstraints", "critical,CA:FALSE", NULL};

/* Evidence with a certificate for @p certified, under this vendor; the error, with the check's name
 * in @p check. */
static enum bh_err
judge_certified(struct vendor *v, EVP_PKEY *key, EVP_PKEY *certified, const char *const *extensions,
    int64_t from, int64_t to, char check[BH_CHECK_MAX])
{
    static struct tpm2_plan plan;
    X509 *cert = tpm2_cert(certified, "an AK", v->root, v->key, extensions, from, to);
    struct ev_report report;
    struct tpm2_forged f;
    uint8_t *der = NULL;
    size_t len;
    enum bh_err e;

    tpm2_plan(&plan, key);
    tpm2_forge(&f, &plan);
    cr_assert_eq(bh_x509_to_der(cert, &der, &len), BH_OK);
    f.parts.ak_cert = bh_span(der, len);
    for (int turn = 0; turn < 2; turn++) { /* the second one meets a warm cache */
        ev_report_init(&report, false);
        e = tpm2_judge(&f.parts, &v->trust, &report, NULL);
    }
    (void)snprintf(check, BH_CHECK_MAX, "%s", report.diag.check);
    OPENSSL_free(der);
    X509_free(cert);
    tpm2_forged_clear(&f);
    return e;
}

Test(tpm2_forged, certificates)
{
    static const char *const encrypts[] = {"keyUsage", "critical,keyEncipherment", NULL};
    static const char *const none[] = {NULL};
    static const char *const ca[] = {"keyUsage", "critical,digitalSignature,keyCertSign",
        "basicConstraints", "critical,CA:TRUE", NULL};
    static const char *const server[] = {AK_USAGE, "extendedKeyUsage", "serverAuth", NULL};
    const struct {
        const char *const *extensions;
        int64_t from, to;
        bool other_key;
        enum bh_err err;
        const char *check;
    } all[] = {
        {ak_extensions, -TPM2_DAY, TPM2_DAY, false, BH_OK, ""},
        {ak_extensions, 30, TPM2_DAY, false, BH_OK, ""},
        {ak_extensions, 90, TPM2_DAY, false, BH_ERR_NOT_AUTHENTIC, "tpm2.chain"},
        {ak_extensions, -TPM2_DAY, -1, false, BH_ERR_NOT_AUTHENTIC, "tpm2.chain"},
        {ak_extensions, -TPM2_DAY, TPM2_DAY, true, BH_ERR_NOT_AUTHENTIC, "tpm2.key"},
        {encrypts, -TPM2_DAY, TPM2_DAY, false, BH_ERR_NOT_AUTHENTIC, "tpm2.ak_cert"},
        {none, -TPM2_DAY, TPM2_DAY, false, BH_ERR_NOT_AUTHENTIC, "tpm2.ak_cert"},
        {ca, -TPM2_DAY, TPM2_DAY, false, BH_ERR_NOT_AUTHENTIC, "tpm2.ak_cert"},
        {server, -TPM2_DAY, TPM2_DAY, false, BH_ERR_NOT_AUTHENTIC, "tpm2.ak_cert"},
    };
    EVP_PKEY *key = tpm2_key("P-256"), *other = tpm2_key("P-256");
    char check[BH_CHECK_MAX];
    struct vendor v;

    vendor_make(&v, "A vendor", false);
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        cr_expect_eq(judge_certified(&v, key, all[i].other_key ? other : key, all[i].extensions,
                         TPM2_NOW + all[i].from, TPM2_NOW + all[i].to, check),
            all[i].err, "%zu: %s", i, check);
        cr_expect_str_eq(check, all[i].check, "%zu", i);
    }
    (void)snprintf(v.trust.anchors[0].platform, sizeof(v.trust.anchors[0].platform), "psa");
    cr_expect_eq(judge_certified(
                     &v, key, key, ak_extensions, TPM2_NOW - TPM2_DAY, TPM2_NOW + TPM2_DAY, check),
        BH_ERR_NOT_AUTHENTIC, "an anchor of another platform");
    cr_expect_str_eq(check, "tpm2.chain");
    vendor_clear(&v);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

Test(tpm2_forged, simulated_vendors)
{
    EVP_PKEY *key = tpm2_key("P-256");
    const int64_t from = TPM2_NOW - TPM2_DAY, to = TPM2_NOW + TPM2_DAY;
    char check[BH_CHECK_MAX];
    struct vendor v;

    vendor_make(&v, "SIMULATED vendor", true);
    cr_expect_eq(judge_certified(&v, key, key, ak_extensions, from, to, check), BH_ERR_SIMULATED);
    cr_expect_str_eq(check, "simulated");
    v.trust.allow_simulated = true;
    cr_expect_eq(judge_certified(&v, key, key, ak_extensions, from, to, check), BH_OK);
    v.trust.allow_simulated = false;
    v.trust.anchors_len = 0;
    cr_expect_eq(judge_certified(&v, key, key, ak_extensions, from, to, check), BH_ERR_SIMULATED);
    /* The same bytes as a genuine anchor do not make it genuine. */
    v.trust.anchors_len = 2;
    v.trust.anchors[1] = v.trust.anchors[0];
    v.trust.anchors[1].simulated = false;
    cr_expect_eq(judge_certified(&v, key, key, ak_extensions, from, to, check), BH_ERR_SIMULATED);
    vendor_clear(&v);
    EVP_PKEY_free(key);
}
