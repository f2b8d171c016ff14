/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded attestation report of an NVIDIA GPU: the request GET_MEASUREMENTS and the response
 * MEASUREMENTS of SPDM 1.1 (DMTF DSP0274, 10.11), shared by the files of this format alone.
 *
 * Evidence is a collection "tag:beachhead,2026:nvidia-gpu": "report" (37 bytes of request, then the
 * response with its signature) and "cert_chain" (five certificates, the device's first and the root
 * last, DER one behind the other, or PEM). Media types of the records are not looked at. Beside a
 * report alone the chain may lie as collateral "device_chain.pem".
 *
 * A GPU does not say which machine it sits in. The nonce of the request, made of the machine's own
 * key binding, is all that ties the two: so a report is read, authenticated and bound here, and
 * never appraised on its own.
 *
 * Names of the checks. Well-formed: "nvidia-gpu.collection", ".ocsp", ".report", ".request",
 * ".response", ".measurements", ".opaque_data", ".cert_chain". Bound: ".binding". Authentic:
 * ".cert_chain", ".chain", ".validity", ".revocation", ".signature", ".fwid".
 */
#ifndef EV_NVIDIA_GPU_H
#define EV_NVIDIA_GPU_H

#include "cert.h"
#include "platform.h"

#define EV_NVGPU_NAME "nvidia-gpu"
#define EV_NVGPU_REQUEST_LEN 37
#define EV_NVGPU_NONCE_LEN 32
#define EV_NVGPU_DIGEST_LEN 48
#define EV_NVGPU_SIGNATURE_LEN 96
#define EV_NVGPU_BLOCKS_MAX 255
#define EV_NVGPU_FIELDS_MAX 64
#define EV_NVGPU_CERTS 5

/** Types of opaque data that are looked at here. */
enum ev_nvgpu_field_type {
    EV_NVGPU_DRIVER_VERSION = 3,
    EV_NVGPU_VBIOS_VERSION = 6,
    EV_NVGPU_NVDEC0_STATUS = 11,
    EV_NVGPU_CHIP_SKU = 15,
    EV_NVGPU_PROJECT = 17,
    EV_NVGPU_PROJECT_SKU = 18,
    EV_NVGPU_FWID = 20,
};

struct ev_nvgpu_block {
    uint8_t index;
    uint8_t type; /* DMTFSpecMeasurementValueType */
    struct bh_span digest;
};

struct ev_nvgpu_field {
    uint16_t type;
    struct bh_span value;
};

/** Spans borrow from the report. */
struct ev_nvgpu_report {
    struct bh_span raw;
    struct bh_span said; /* what is signed: all but the signature */
    struct bh_span signature;
    struct bh_span request_nonce, response_nonce;
    uint8_t slot;
    size_t blocks_len;
    struct ev_nvgpu_block blocks[EV_NVGPU_BLOCKS_MAX]; /* ascending by index */
    size_t fields_len;
    struct ev_nvgpu_field fields[EV_NVGPU_FIELDS_MAX]; /* as they stand; no type twice */
};

/** The device's certificate first, the root last. */
struct ev_nvgpu_chain {
    uint8_t *storage; /* owned, where the certificates came as PEM */
    size_t len;       /* EV_NVGPU_CERTS, or 0 when there is none */
    struct ev_cert certs[EV_NVGPU_CERTS];
};

struct ev_nvgpu {
    struct ev_nvgpu_report report;
    struct ev_nvgpu_chain chain;
};

/** Fail with BH_ERR_EVIDENCE_MALFORMED by the check "nvidia-gpu.<field>". */
enum bh_err ev_nvgpu_malformed(
    struct ev_report *report, const char *field, const char *expected, const char *found);

/* ---- nvidia_gpu_report.c ---- */

/** Begins like a request and a response of SPDM 1.1 one behind the other. */
bool ev_nvgpu_recognises(struct bh_span raw);
/** Read a report that fills @p raw exactly. BH_ERR_EVIDENCE_MALFORMED. */
BH_MUST_USE enum bh_err ev_nvgpu_report_read(
    struct bh_span raw, struct ev_nvgpu_report *ret_report, struct ev_report *report);
/** The value of a field; empty when there is none. */
struct bh_span ev_nvgpu_field(const struct ev_nvgpu_report *r, enum ev_nvgpu_field_type type);

/* ---- nvidia_gpu_chain.c ---- */

/** DER one behind the other, or PEM. @p bytes must outlive the chain; ev_nvgpu_chain_clear() frees
 * what it owns. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_nvgpu_chain_read(
    struct bh_span bytes, struct ev_nvgpu_chain *ret_chain, struct bh_diag *diag);
void ev_nvgpu_chain_clear(struct ev_nvgpu_chain *chain);
/** The digest of the firmware that the device's certificate names (TCG DICE Attestation
 * Architecture, 6.1): 48 bytes, empty when it names none. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_nvgpu_leaf_fwid(
    const struct ev_cert *leaf, struct bh_span *ret_fwid, struct bh_diag *diag);
/** From a pinned root down to the device's certificate: names, constraints, validity, signatures.
 */
BH_MUST_USE enum bh_err ev_nvgpu_check_chain(const struct ev_nvgpu_chain *chain,
    const struct ev_trust *trust, struct ev_report *report, bool *ret_simulated);

/* ---- the functions of struct ev_platform that stand in other files ---- */

enum bh_err ev_nvgpu_authenticate(void *state, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth);
json_t *ev_nvgpu_claims(const void *state);

#endif
