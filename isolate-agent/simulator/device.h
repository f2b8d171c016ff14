/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software devices under simulated vendor roots: genuine documents in the
 * genuine formats, made by writers of their own (nothing is shared with the
 * readers that judge them). Static library agent_simulator: `beachhead-simulator`, the
 * agent's `sim:` attesters, the bench and the tests use it.
 */
#ifndef AGENT_DEVICE_H
#define AGENT_DEVICE_H

#include "core/err.h"
#include "core/limits.h"

struct agent_device; /* one platform's device, with its keys and chain */

/** What `--tamper` may break; exactly one thing each. */
enum agent_tamper {
    AGENT_TAMPER_NONE,
    AGENT_TAMPER_SIGNATURE,   /* one bit of the signature */
    AGENT_TAMPER_CHAIN,       /* an intermediate, RAK binding or endorsed key that does not fit */
    AGENT_TAMPER_MEASUREMENT, /* other code than the admitted one */
    AGENT_TAMPER_DEBUG,       /* debug enclave; non-secured lifecycle */
    AGENT_TAMPER_BINDING,     /* one bit of the binding */
    AGENT_TAMPER_EXPIRED,     /* a leaf that ended an hour ago (not arm-cca, psa) */
    AGENT_TAMPER_TRAILING,    /* one byte more */
    AGENT_TAMPER_ROOT,        /* the same under another, unknown root or instance */
    AGENT_TAMPER_DUPLICATE,   /* a map key twice */
    AGENT_TAMPER_NITROTPM,    /* nitrotpm_pcrs instead of pcrs (aws-nitro only) */
    AGENT_TAMPER_NO_ALG,      /* no alg in the protected header */
    AGENT_TAMPER_PROFILE,     /* an unknown profile (psa, arm-cca) */
    AGENT_TAMPER_MIXED,       /* claim keys of two profiles (psa) */
    AGENT_TAMPER_MISSING_COMPONENT,
    AGENT_TAMPER_EXTRA_COMPONENT,
    AGENT_TAMPER_TCB,     /* a certificate for other firmware than the report's (amd-sev-snp), or of
                             firmware that is out of date (intel-sgx, intel-tdx) */
    AGENT_TAMPER_CHIP,    /* a certificate of another chip (amd-sev-snp) */
    AGENT_TAMPER_VMPL,    /* another privilege level asked for the report (amd-sev-snp) */
    AGENT_TAMPER_ENCLAVE, /* pcrs instead of nitrotpm_pcrs (aws-nitrotpm only) */
};

/** BH_ERR_USAGE, with the list of the words that exist for the platform, for an unknown one. */
BH_MUST_USE enum bh_err agent_tamper_read(
    const char *word, const char *platform, enum agent_tamper *ret_tamper, struct bh_diag *diag);

/** Make `dir` (0700): simulated vendor roots and one device per platform; refuses a non-empty one.
 */
BH_MUST_USE enum bh_err agent_simulator_init(const char *dir, struct bh_diag *diag);

/** Make the simulated roots and a device in memory, for benches and tests: @p instance tells
 * devices apart. */
BH_MUST_USE enum bh_err agent_device_make(const char *platform, uint32_t instance,
    struct agent_device **ret_device, struct bh_diag *diag);

/** Load the device of @p platform from a simulator folder. agent_device_free() cleanses and frees.
 */
BH_MUST_USE enum bh_err agent_device_load(
    const char *dir, const char *platform, struct agent_device **ret_device, struct bh_diag *diag);
void agent_device_free(struct agent_device *device);

/**
 * Evidence over @p binding as a CMW in JSON (malloc'ed). @p spki: for Nitro's public_key; may be
 * empty. @p now: Unix seconds, for timestamps and certificates.
 */
BH_MUST_USE enum bh_err agent_device_evidence(struct agent_device *device,
    const uint8_t binding[BH_BINDING_LEN], struct bh_span spki, enum agent_tamper tamper,
    int64_t now, char **ret_cmw_json, struct bh_diag *diag);

/** The same, raw: without the CMW around it. malloc'ed. */
BH_MUST_USE enum bh_err agent_device_evidence_raw(struct agent_device *device,
    const uint8_t binding[BH_BINDING_LEN], struct bh_span spki, enum agent_tamper tamper,
    int64_t now, uint8_t **ret_bytes, size_t *ret_len, struct bh_diag *diag);

/** The policy entry (one element of "accept", JSON text, malloc'ed) that admits exactly this
 * device. */
BH_MUST_USE enum bh_err agent_device_policy_entry(
    const struct agent_device *device, char **ret_json, struct bh_diag *diag);

/**
 * Write what an administrator would into a server's folder: anchors to trust/simulated/, endorsed
 * keys to endorsed/, and policy/WORKLOAD.json (made, or extended by this platform). @p trust_domain
 * for the DNS name WORKLOAD.<trust domain>.
 */
BH_MUST_USE enum bh_err agent_device_admit(const struct agent_device *device,
    const char *server_dir, const char *workload, const char *trust_domain, struct bh_diag *diag);

/** NULL-terminated names of the platforms that are simulated. */
const char *const *agent_simulator_platforms(void);

#endif
