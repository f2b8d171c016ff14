/* SPDX-License-Identifier: Apache-2.0 */
/* NVIDIA GPUs: genuine recorded reports and what each must yield, and mutants of two of them. */
#include "nvidia_judge.h"

#include "evidence/nvidia_gpu.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define Y2026 INT64_C(1767225600)
#define H590 "hopper-590-g520"
#define SWITCH "switch-ls10-961055"

/* A folder of the vectors, loaded. */
struct vector {
    uint8_t *report, *chain;
    struct nvidia_parts parts;
    struct ev_trust trust;
};

static void
load(struct vector *v, const char *folder)
{
    char name[128];
    size_t len;

    *v = (struct vector){.trust = {.now = Y2026}};
    (void)snprintf(name, sizeof(name), "nvidia/%s/evidence.bin", folder);
    v->report = bh_vector(name, &len);
    v->parts.report = bh_span(v->report, len);
    (void)snprintf(name, sizeof(name), "nvidia/%s/device_chain.pem", folder);
    v->chain = bh_vector(name, &len);
    v->parts.cert_chain = bh_span(v->chain, len);
    cr_assert_eq(ev_trust_add_vendor_roots(&v->trust, NULL), BH_OK);
}

static void
unload(struct vector *v)
{
    ev_trust_clear(&v->trust);
    free(v->report);
    free(v->chain);
}

static const struct {
    const char *folder, *device, *driver, *vbios, *project, *sku, *chip, *nvdec0;
    size_t measurements;
    bool fwid;
} genuine[] = {
    {"hopper-535-vbios-96005e0001", "GH100 A01 GSP FMC LF", "535.86.09", "96.00.5E.00.01", "1010",
        "0200", "882", "DISABLED", 64, false},
    {"hopper-550-trustee", "GH100 A01 GSP FMC LF", "550.90.07", "96.00.9F.00.01", "1010", "0200",
        "882", "DISABLED", 64, true},
    {"hopper-570", "GH100 A01 GSP FMC LF", "570.124.03", "96.00.5E.00.04", "1010", "0205", "862",
        "DISABLED", 64, true},
    /* Only NVIDIA's responder says that this one is on hold. */
    {"hopper-570-cert-on-hold", "GH100 A01 GSP FMC LF", "570.86.10", "96.00.AF.00.01", "1010",
        "0200", "882", "DISABLED", 64, true},
    {H590, "GH100 A01 GSP FMC LF", "590.12", "96.00.A5.00.01", "G520", "0200", "885", "DISABLED",
        64, true},
    {SWITCH, "LS_10 A01 FSP FMC LF", NULL, "96.10.55.00.01", NULL, NULL, NULL, NULL, 31, false},
};

Test(nvidia_vectors, genuine_reports)
{
    static struct ev_report report;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(genuine); i++) {
        const struct ev_check *fwid;
        struct vector v;

        load(&v, genuine[i].folder);
        nvidia_must_hold(&v.parts, &v.trust, genuine[i].folder);
        ev_report_init(&report, true);
        cr_assert_eq(nvidia_judge(&v.parts, &v.trust, &report, NULL), BH_OK);
        cr_assert_not_null(fwid = nvidia_check(&report, "nvidia-gpu.fwid"));
        cr_expect_str_eq(
            fwid->source, genuine[i].fwid ? "certificate" : "not given", "%s", genuine[i].folder);
        unload(&v);
    }
}

static void
claim_is(const json_t *claims, const char *name, const char *want, const char *what)
{
    const json_t *value = json_object_get(claims, name);

    if (want == NULL) {
        cr_expect_null(value, "%s: %s", what, name);
        return;
    }
    cr_assert_not_null(json_string_value(value), "%s: %s", what, name);
    cr_expect_str_eq(json_string_value(value), want, "%s: %s", what, name);
}

Test(nvidia_vectors, claims)
{
    static struct ev_report report;

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(genuine); i++) {
        const char *what = genuine[i].folder;
        struct ev_evidence *ev = NULL;
        struct bh_cmw cmw;
        struct vector v;
        json_t *claims, *opaque, *measurements;
        char first[97];

        load(&v, what);
        nvidia_cmw(&v.parts, &cmw);
        ev_report_init(&report, false);
        cr_assert_eq(ev_decode(&cmw, &report, &ev), BH_OK, "%s", report.diag.detail);
        cr_assert_not_null(claims = ev_claims(ev));
        opaque = json_object_get(claims, "opaque_data");
        measurements = json_object_get(claims, "measurements");
        cr_expect_eq(json_object_size(measurements), genuine[i].measurements, "%s", what);
        (void)bh_hex(bh_span(v.report + 37 + 8 + 7, 48), first, sizeof(first));
        claim_is(measurements, "1", first, what);
        claim_is(claims, "device", genuine[i].device, what);
        claim_is(opaque, "DRIVER_VERSION", genuine[i].driver, what);
        claim_is(opaque, "VBIOS_VERSION", genuine[i].vbios, what);
        claim_is(opaque, "PROJECT", genuine[i].project, what);
        claim_is(opaque, "PROJECT_SKU", genuine[i].sku, what);
        claim_is(opaque, "CHIP_SKU", genuine[i].chip, what);
        claim_is(opaque, "NVDEC0_STATUS", genuine[i].nvdec0, what);
        cr_expect_eq(json_object_get(opaque, "FWID") != NULL, genuine[i].fwid, "%s", what);
        json_decref(claims);
        ev_evidence_free(ev);
        unload(&v);
    }
}

/* The request's nonce is what was asked for, and no binding of ours. */
Test(nvidia_vectors, nonce)
{
    static const uint8_t binding[BH_BINDING_LEN] = {1};
    static struct ev_report report;
    struct ev_evidence *ev = NULL;
    uint8_t *asked;
    struct vector v;
    char nonce[65];
    size_t len;

    if (bh_vectors() == NULL)
        return;
    load(&v, H590);
    asked = bh_vector("nvidia/" H590 "/nonce.hex", &len);
    cr_assert_geq(len, 64);
    (void)bh_hex(bh_span(v.report + 4, 32), nonce, sizeof(nonce));
    cr_expect_eq(memcmp(nonce, asked, 64), 0);
    ev_report_init(&report, false);
    cr_assert_eq(nvidia_judge(&v.parts, &v.trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
    cr_expect_str_eq(report.diag.check, "nvidia-gpu.binding");
    cr_expect_str_eq(report.diag.found, nonce);
    ev_evidence_free(ev);
    free(asked);
    unload(&v);
}

Test(nvidia_vectors, refused)
{
    static const char *const chains[] = {"chain_case2", "chain_case3", "chain_case4"};
    struct vector v, other;

    if (bh_vectors() == NULL)
        return;
    load(&v, "neg-hopper-bad-signature");
    nvidia_must_refuse(&v.parts, &v.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.signature", "altered");
    unload(&v);
    for (size_t i = 0; i < BH_COUNT(chains); i++) {
        char name[64];
        uint8_t *pem;
        size_t len;

        load(&v, "hopper-550-trustee");
        (void)snprintf(name, sizeof(name), "nvidia/neg-chain-cases/%s.pem", chains[i]);
        pem = bh_vector(name, &len);
        v.parts.cert_chain = bh_span(pem, len);
        nvidia_must_refuse(
            &v.parts, &v.trust, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.cert_chain", chains[i]);
        free(pem);
        unload(&v);
    }
    load(&v, "hopper-570");
    load(&other, H590);
    v.parts.cert_chain = other.parts.cert_chain;
    nvidia_must_refuse(
        &v.parts, &v.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.signature", "another GPU's chain");
    unload(&other);
    v.parts.cert_chain = bh_span(v.chain, strlen((char *)v.chain));
    v.trust.now = INT64_C(1600000000);
    nvidia_must_refuse(&v.parts, &v.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.validity", "2020-09");
    v.trust.now = Y2026;
    ev_trust_clear(&v.trust);
    nvidia_must_refuse(&v.parts, &v.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.chain", "no anchor");
    unload(&v);
}

/* ---- a report alone ---- */

static enum bh_err
beside(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    const struct bh_span *chain = arg;

    cr_assert_str_eq(kind, "device_chain.pem");
    cr_assert_eq(key.len, 0);
    if (chain->len == 0)
        return bh_fail(diag, BH_ERR_COLLATERAL_MISSING, "no such file");
    *ret_bytes = *chain;
    return BH_OK;
}

static enum bh_err
raw(struct vector *v, struct bh_span *chain, struct ev_report *report)
{
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    v->trust.collateral = chain != NULL ? beside : NULL;
    v->trust.collateral_arg = chain;
    ev_report_init(report, true);
    cr_assert_eq(ev_decode_raw(v->parts.report, report, &ev), BH_OK);
    cr_assert_str_eq(ev_platform(ev), "nvidia-gpu");
    e = ev_authenticate(ev, &v->trust, report);
    ev_evidence_free(ev);
    return e;
}

Test(nvidia_vectors, a_report_alone)
{
    static struct ev_report report;
    struct bh_span none = bh_span_none(), text = bh_span_str("no certificates");
    struct vector v;

    if (bh_vectors() == NULL)
        return;
    load(&v, "hopper-570");
    cr_expect_eq(raw(&v, &v.parts.cert_chain, &report), BH_OK, "%s", report.diag.detail);
    cr_expect_eq(raw(&v, NULL, &report), BH_ERR_COLLATERAL_MISSING);
    cr_expect_str_eq(report.diag.check, "nvidia-gpu.cert_chain");
    cr_expect_eq(raw(&v, &none, &report), BH_ERR_COLLATERAL_MISSING);
    cr_expect_str_eq(report.diag.check, "nvidia-gpu.cert_chain");
    cr_expect_eq(raw(&v, &text, &report), BH_ERR_EVIDENCE_MALFORMED);
    cr_expect_str_eq(report.diag.check, "nvidia-gpu.cert_chain");
    unload(&v);
}

/* ---- mutants ---- */

struct walk {
    struct vector v;
    bool chain;
    size_t survived;
};

static bool
must_fail(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct ev_report report;
    struct walk *walk = arg;
    struct nvidia_parts parts = walk->v.parts;

    if (walk->chain)
        parts.cert_chain = mutant;
    else
        parts.report = mutant;
    ev_report_init(&report, false);
    if (nvidia_judge(&parts, &walk->v.trust, &report, NULL) == BH_OK) {
        walk->survived++;
        cr_expect_fail("%s at byte %zu survives", how, at);
    } else {
        cr_expect(report.err != BH_ERR_INTERNAL && report.diag.check[0] != '\0' &&
                      report.diag.found[0] != '\0',
            "%s at byte %zu: %s", how, at, report.diag.check);
    }
    return walk->survived < 5;
}

/* The certificates as DER, one behind the other. */
static uint8_t *
der_chain(const struct vector *v, size_t *ret_len)
{
    struct ev_nvgpu_chain chain;
    struct bh_diag diag = {0};
    uint8_t *der;
    size_t len = 0;

    cr_assert_eq(ev_nvgpu_chain_read(v->parts.cert_chain, &chain, &diag), BH_OK, "%s", diag.detail);
    for (size_t i = 0; i < chain.len; i++)
        len += chain.certs[i].der.len;
    cr_assert_not_null(der = malloc(len));
    memcpy(der, chain.storage, len);
    ev_nvgpu_chain_clear(&chain);
    *ret_len = len;
    return der;
}

static void
walk_vector(const char *folder, bool chain, size_t stride)
{
    struct walk walk = {.chain = chain};
    struct bh_span input;
    uint8_t *der;
    size_t len;

    if (bh_vectors() == NULL)
        return;
    load(&walk.v, folder);
    der = der_chain(&walk.v, &len);
    walk.v.parts.cert_chain = bh_span(der, len);
    nvidia_must_hold(&walk.v.parts, &walk.v.trust, folder);
    /* What does not change need not be verified again each time. */
    walk.v.trust.cache = ev_chain_cache_new(16);
    input = chain ? walk.v.parts.cert_chain : walk.v.parts.report;
    cr_expect_gt(bh_mutate(input, 0, input.len, stride, must_fail, &walk), input.len / stride);
    cr_expect_eq(walk.survived, 0, "%s", folder);
    ev_chain_cache_free(walk.v.trust.cache);
    free(der);
    unload(&walk.v);
}

Test(nvidia_mutants, hopper_report, .timeout = 120)
{
    walk_vector("hopper-570", false, 3);
}

Test(nvidia_mutants, switch_report, .timeout = 120)
{
    walk_vector(SWITCH, false, 2);
}

Test(nvidia_mutants, hopper_chain, .timeout = 120)
{
    walk_vector(H590, true, 5);
}
