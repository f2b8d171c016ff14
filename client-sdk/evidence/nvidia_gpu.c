/* SPDX-License-Identifier: Apache-2.0 */
/* NVIDIA GPU evidence: decode a collection, binding, authentication. */
#include "nvidia_gpu.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define COLLECTION_TYPE "tag:beachhead,2026:nvidia-gpu"
#define CHAIN_FILE "device_chain.pem"
#define NONCE_DOMAIN "beachhead.gpu.v1" /* with its NUL in front of the binding */

/* There is no media type for a report alone. */
static bool
takes(const char *media_type)
{
    (void)media_type;
    return false;
}

static bool
takes_collection(const struct bh_cmw *cmw)
{
    return strcasecmp(cmw->collection_type, COLLECTION_TYPE) == 0;
}

enum bh_err
ev_nvgpu_malformed(
    struct ev_report *report, const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), EV_NVGPU_NAME ".%s", field);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, "DMTF DSP0274", name, expected, found,
        "send the report and the certificates as the GPU's driver returns them");
}

/* ---- decode ---- */

static void
free_state(void *state)
{
    struct ev_nvgpu *g = state;

    if (g == NULL)
        return;
    ev_nvgpu_chain_clear(&g->chain);
    free(g);
}

static enum bh_err
read_chain(struct bh_span bytes, struct ev_nvgpu *g, struct ev_report *report)
{
    struct bh_diag diag = {0};

    return ev_nvgpu_chain_read(bytes, &g->chain, &diag) == BH_OK
               ? BH_OK
               : ev_nvgpu_malformed(report, "cert_chain",
                     "five certificates, the device's first and the root last, DER or PEM",
                     diag.detail);
}

static enum bh_err
read_records(const struct bh_cmw *cmw, struct ev_nvgpu *g, struct ev_report *report)
{
    const struct bh_cmw_record *raw = bh_cmw_find(cmw, "report");
    const struct bh_cmw_record *chain = bh_cmw_find(cmw, "cert_chain");
    enum bh_err e;

    /* What would be ignored must not look as if it counted. */
    if (bh_cmw_find(cmw, "ocsp") != NULL)
        return ev_refuse(report, BH_ERR_UNSUPPORTED, "interface of this platform",
            EV_NVGPU_NAME ".ocsp", "no record \"ocsp\"", "one",
            "this version does not read OCSP answers: send report and cert_chain");
    for (size_t i = 0; i < cmw->count; i++) {
        const struct bh_cmw_record *r = &cmw->records[i];

        if (r != raw && r != chain)
            return ev_nvgpu_malformed(report, "collection", "report, cert_chain", r->label);
    }
    if (raw == NULL)
        return ev_nvgpu_malformed(report, "report", "a record \"report\"", "none");
    if ((e = ev_nvgpu_report_read(raw->value, &g->report, report)) != BH_OK)
        return e;
    return chain != NULL ? read_chain(chain->value, g, report) : BH_OK;
}

/* A collection where @p cmw is given, else a report alone. */
static enum bh_err
decode(const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state)
{
    struct ev_nvgpu *g = calloc(1, sizeof(*g));
    char found[BH_VALUE_MAX];
    enum bh_err e;

    if (g == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", EV_NVGPU_NAME ".report", NULL, NULL, NULL);
    e = cmw != NULL ? read_records(cmw, g, report) : ev_nvgpu_report_read(raw, &g->report, report);
    if (e != BH_OK) {
        free_state(g);
        return e;
    }
    if (report->detailed) {
        (void)snprintf(found, sizeof(found), "%zu measurements, %zu fields of opaque data",
            g->report.blocks_len, g->report.fields_len);
        ev_pass(report, "DMTF DSP0274", EV_NVGPU_NAME ".report",
            "a well-formed request and response of SPDM 1.1", found);
    }
    *ret_state = g;
    return BH_OK;
}

/* ---- binding ---- */

static enum bh_err
bind_to(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_nvgpu *g = state;
    uint8_t input[sizeof(NONCE_DOMAIN) + BH_BINDING_LEN];
    uint8_t nonce[EV_NVGPU_NONCE_LEN] = {0};
    const struct bh_span want = bh_span(nonce, sizeof(nonce));
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    (void)spki; /* a report carries no key: the binding alone speaks of it */
    memcpy(input, NONCE_DOMAIN, sizeof(NONCE_DOMAIN));
    memcpy(input + sizeof(NONCE_DOMAIN), binding, BH_BINDING_LEN);
    if (bh_sha2(256, bh_span(input, sizeof(input)), nonce) != BH_OK)
        return ev_refuse(report, BH_ERR_INTERNAL, "key binding", EV_NVGPU_NAME ".binding",
            "a SHA-256", "none", NULL);
    if (!bh_span_equal(g->report.request_nonce, want))
        return ev_refuse(report, BH_ERR_BINDING, "key binding", EV_NVGPU_NAME ".binding",
            bh_hex(want, expected, sizeof(expected)),
            bh_hex(g->report.request_nonce, found, sizeof(found)),
            "ask the GPU for a report with the nonce SHA-256(\"beachhead.gpu.v1\" || 00 || "
            "binding) "
            "of this challenge, key and context");
    if (report->detailed)
        ev_pass(report, "key binding", EV_NVGPU_NAME ".binding",
            bh_hex(want, expected, sizeof(expected)), expected);
    return BH_OK;
}

/* ---- authentication ---- */

/* Only where the evidence brought none. */
static enum bh_err
find_chain(struct ev_nvgpu *g, const struct ev_trust *trust, struct ev_report *report)
{
    struct bh_span bytes = bh_span_none();
    struct bh_diag diag = {0};
    enum bh_err e = BH_ERR_COLLATERAL_MISSING;

    if (g->chain.len > 0)
        return BH_OK;
    if (trust->collateral != NULL)
        e = trust->collateral(trust->collateral_arg, CHAIN_FILE, bh_span_none(), &bytes, &diag);
    if (e == BH_OK)
        return read_chain(bytes, g, report);
    return ev_refuse(report, e, "collateral", EV_NVGPU_NAME ".cert_chain",
        "the certificates of the GPU, with the report or as " CHAIN_FILE,
        diag.detail[0] != '\0' ? diag.detail : "none",
        "send a record \"cert_chain\": the report alone says nothing of who signed it");
}

static enum bh_err
check_signature(const struct ev_nvgpu *g, struct ev_report *report)
{
    static const char expected[] = "ECDSA P-384 with SHA-384 over request and response, by the "
                                   "device's key";
    uint8_t buf[BH_ECDSA_DER_MAX];
    struct bh_span der, point;
    const char *curve;

    if (bh_spki_point(g->chain.certs[0].spki, &curve, &point) == BH_OK &&
        strcmp(curve, "P-384") == 0 && bh_ecdsa_to_der(g->report.signature, buf, &der) == BH_OK &&
        bh_ecdsa_verify_point(point, 384, g->report.said, bh_span_none(), der) == BH_OK) {
        ev_pass(report, "signature", EV_NVGPU_NAME ".signature", expected, "it verifies");
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_NVGPU_NAME ".signature",
        expected, "it does not verify",
        "the report was changed, or is of another device than the chain");
}

/* The firmware that the report says runs is the one that the key was made for. Firmware before
 * driver 550, and of switches, says none. */
static enum bh_err
check_fwid(const struct ev_nvgpu *g, struct ev_report *report)
{
    const struct bh_span said = ev_nvgpu_field(&g->report, EV_NVGPU_FWID);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    struct bh_span certified = bh_span_none();
    struct bh_diag diag = {0};

    if (ev_nvgpu_leaf_fwid(&g->chain.certs[0], &certified, &diag) != BH_OK)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "certificate", EV_NVGPU_NAME ".fwid",
            "a digest of SHA-384 in the device's certificate", diag.detail,
            "the certificate is of a form that this version does not know");
    if (said.len == 0) {
        ev_pass(report, "not given", EV_NVGPU_NAME ".fwid",
            "opaque data with the firmware's digest", "none");
        return BH_OK;
    }
    if (!bh_span_equal(said, certified))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "certificate", EV_NVGPU_NAME ".fwid",
            certified.len > 0 ? bh_hex(certified, expected, sizeof(expected))
                              : "a digest in the device's certificate",
            bh_hex(said, found, sizeof(found)),
            "the report speaks of other firmware than the device's certificate");
    if (report->detailed)
        ev_pass(report, "certificate", EV_NVGPU_NAME ".fwid",
            bh_hex(certified, expected, sizeof(expected)), expected);
    return BH_OK;
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

enum bh_err
ev_nvgpu_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    struct ev_nvgpu *g = state;
    struct ev_authenticity auth = {.key_class = EV_KEY_SILICON};
    enum bh_err e;

    if ((e = find_chain(g, trust, report)) != BH_OK)
        return e;
    e = ev_nvgpu_check_chain(&g->chain, trust, report, &auth.simulated);
    if (e == BH_OK || report->detailed)
        e = first(e, check_signature(g, report));
    if (e == BH_OK || report->detailed)
        e = first(e, check_fwid(g, report));
    if (e == BH_OK)
        *ret_auth = auth;
    return e;
}

/* A GPU alone is no isolate: no policy speaks of it, and it is not appraised. */
const struct ev_platform ev_nvidia_gpu = {
    .name = EV_NVGPU_NAME,
    .takes = takes,
    .recognises = ev_nvgpu_recognises,
    .takes_collection = takes_collection,
    .decode_collection = decode,
    .free = free_state,
    .bind = bind_to,
    .authenticate = ev_nvgpu_authenticate,
    .claims = ev_nvgpu_claims,
};
