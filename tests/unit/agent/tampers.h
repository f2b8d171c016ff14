/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of tampering must be refused with: the error and the name of the check. */
#ifndef TEST_TAMPERS_H
#define TEST_TAMPERS_H

#include "core/err.h"
#include "isolate-agent/simulator/device.h"

struct tamper_case {
    const char *platform;
    const char *word;
    enum agent_tamper tamper;
    enum bh_err err;
    const char *check;
};

static const struct tamper_case tamper_cases[] = {
    {"aws-nitro", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC, "aws-nitro.signature"},
    {"aws-nitro", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain"},
    {"aws-nitro", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "aws-nitro.pcr0"},
    {"aws-nitro", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "aws-nitro.debug"},
    {"aws-nitro", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "aws-nitro.binding"},
    {"aws-nitro", "expired", AGENT_TAMPER_EXPIRED, BH_ERR_NOT_AUTHENTIC, "aws-nitro.validity"},
    {"aws-nitro", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitro.envelope"},
    {"aws-nitro", "root", AGENT_TAMPER_ROOT, BH_ERR_NOT_AUTHENTIC, "aws-nitro.chain"},
    {"aws-nitro", "duplicate", AGENT_TAMPER_DUPLICATE, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitro.payload"},
    {"aws-nitro", "nitrotpm", AGENT_TAMPER_NITROTPM, BH_ERR_UNSUPPORTED, "aws-nitro.pcrs"},
    {"aws-nitro", "no-alg", AGENT_TAMPER_NO_ALG, BH_ERR_EVIDENCE_MALFORMED, "aws-nitro.protected"},

    {"aws-nitrotpm", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC,
        "aws-nitrotpm.signature"},
    {"aws-nitrotpm", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "aws-nitrotpm.chain"},
    {"aws-nitrotpm", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "aws-nitrotpm.pcr4"},
    {"aws-nitrotpm", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "aws-nitrotpm.binding"},
    {"aws-nitrotpm", "expired", AGENT_TAMPER_EXPIRED, BH_ERR_NOT_AUTHENTIC,
        "aws-nitrotpm.validity"},
    {"aws-nitrotpm", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitrotpm.envelope"},
    {"aws-nitrotpm", "root", AGENT_TAMPER_ROOT, BH_ERR_NOT_AUTHENTIC, "aws-nitrotpm.chain"},
    {"aws-nitrotpm", "duplicate", AGENT_TAMPER_DUPLICATE, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitrotpm.payload"},
    {"aws-nitrotpm", "enclave", AGENT_TAMPER_ENCLAVE, BH_ERR_UNSUPPORTED,
        "aws-nitrotpm.nitrotpm_pcrs"},
    {"aws-nitrotpm", "no-alg", AGENT_TAMPER_NO_ALG, BH_ERR_EVIDENCE_MALFORMED,
        "aws-nitrotpm.protected"},

    {"arm-cca", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC,
        "arm-cca.realm.signature"},
    {"arm-cca", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "arm-cca.rak_binding"},
    {"arm-cca", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY,
        "arm-cca.realm.initial_measurement"},
    {"arm-cca", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "arm-cca.platform_token.lifecycle"},
    {"arm-cca", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "arm-cca.binding"},
    {"arm-cca", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED, "arm-cca.encoding"},
    {"arm-cca", "root", AGENT_TAMPER_ROOT, BH_ERR_ENDORSEMENT_UNKNOWN, "arm-cca.instance"},
    {"arm-cca", "duplicate", AGENT_TAMPER_DUPLICATE, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.realm.claims"},
    {"arm-cca", "no-alg", AGENT_TAMPER_NO_ALG, BH_ERR_NOT_AUTHENTIC, "arm-cca.platform.alg"},
    {"arm-cca", "profile", AGENT_TAMPER_PROFILE, BH_ERR_EVIDENCE_MALFORMED,
        "arm-cca.platform_token.profile"},
    {"arm-cca", "missing-component", AGENT_TAMPER_MISSING_COMPONENT, BH_ERR_POLICY,
        "arm-cca.platform_token.software"},
    {"arm-cca", "extra-component", AGENT_TAMPER_EXTRA_COMPONENT, BH_ERR_POLICY,
        "arm-cca.platform_token.software"},

    {"psa", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC, "psa.signature"},
    {"psa", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "psa.signature"},
    {"psa", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "psa.software"},
    {"psa", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "psa.lifecycle"},
    {"psa", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "psa.binding"},
    {"psa", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED, "psa.encoding"},
    {"psa", "root", AGENT_TAMPER_ROOT, BH_ERR_ENDORSEMENT_UNKNOWN, "psa.instance"},
    {"psa", "duplicate", AGENT_TAMPER_DUPLICATE, BH_ERR_EVIDENCE_MALFORMED, "psa.claims"},
    {"psa", "no-alg", AGENT_TAMPER_NO_ALG, BH_ERR_NOT_AUTHENTIC, "psa.alg"},
    {"psa", "profile", AGENT_TAMPER_PROFILE, BH_ERR_EVIDENCE_MALFORMED, "psa.profile"},
    {"psa", "mixed", AGENT_TAMPER_MIXED, BH_ERR_EVIDENCE_MALFORMED, "psa.profile"},
    {"psa", "missing-component", AGENT_TAMPER_MISSING_COMPONENT, BH_ERR_POLICY, "psa.software"},
    {"psa", "extra-component", AGENT_TAMPER_EXTRA_COMPONENT, BH_ERR_POLICY, "psa.software"},

    {"amd-sev-snp", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC,
        "amd-sev-snp.signature"},
    {"amd-sev-snp", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.chain"},
    {"amd-sev-snp", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY,
        "amd-sev-snp.measurement"},
    {"amd-sev-snp", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "amd-sev-snp.debug"},
    {"amd-sev-snp", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "amd-sev-snp.binding"},
    {"amd-sev-snp", "expired", AGENT_TAMPER_EXPIRED, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.validity"},
    {"amd-sev-snp", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED,
        "amd-sev-snp.report"},
    {"amd-sev-snp", "root", AGENT_TAMPER_ROOT, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.chain"},
    {"amd-sev-snp", "tcb", AGENT_TAMPER_TCB, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.tcb.microcode"},
    {"amd-sev-snp", "chip", AGENT_TAMPER_CHIP, BH_ERR_NOT_AUTHENTIC, "amd-sev-snp.chip_id"},
    {"amd-sev-snp", "vmpl", AGENT_TAMPER_VMPL, BH_ERR_POLICY, "amd-sev-snp.vmpl"},

    {"intel-sgx", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC, "intel-sgx.signature"},
    {"intel-sgx", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "intel-sgx.chain"},
    {"intel-sgx", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "intel-sgx.mrenclave"},
    {"intel-sgx", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "intel-sgx.debug"},
    {"intel-sgx", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "intel-sgx.binding"},
    {"intel-sgx", "expired", AGENT_TAMPER_EXPIRED, BH_ERR_NOT_AUTHENTIC, "intel-sgx.validity"},
    {"intel-sgx", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.quote"},
    {"intel-sgx", "root", AGENT_TAMPER_ROOT, BH_ERR_NOT_AUTHENTIC, "intel-sgx.chain"},
    {"intel-sgx", "tcb", AGENT_TAMPER_TCB, BH_ERR_POLICY, "intel-sgx.tcb_status"},

    {"tpm2", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC, "tpm2.signature"},
    {"tpm2", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "tpm2.signature"},
    {"tpm2", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "tpm2.pcrs.sha256.4"},
    {"tpm2", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "tpm2.secure_boot"},
    {"tpm2", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "tpm2.binding"},
    {"tpm2", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED, "tpm2.quote"},
    {"tpm2", "root", AGENT_TAMPER_ROOT, BH_ERR_ENDORSEMENT_UNKNOWN, "tpm2.ak"},

    {"intel-tdx", "signature", AGENT_TAMPER_SIGNATURE, BH_ERR_NOT_AUTHENTIC, "intel-tdx.signature"},
    {"intel-tdx", "chain", AGENT_TAMPER_CHAIN, BH_ERR_NOT_AUTHENTIC, "intel-tdx.chain"},
    {"intel-tdx", "measurement", AGENT_TAMPER_MEASUREMENT, BH_ERR_POLICY, "intel-tdx.mrtd"},
    {"intel-tdx", "debug", AGENT_TAMPER_DEBUG, BH_ERR_POLICY, "intel-tdx.debug"},
    {"intel-tdx", "binding", AGENT_TAMPER_BINDING, BH_ERR_BINDING, "intel-tdx.binding"},
    {"intel-tdx", "expired", AGENT_TAMPER_EXPIRED, BH_ERR_NOT_AUTHENTIC, "intel-tdx.validity"},
    {"intel-tdx", "trailing", AGENT_TAMPER_TRAILING, BH_ERR_EVIDENCE_MALFORMED, "intel-tdx.quote"},
    {"intel-tdx", "root", AGENT_TAMPER_ROOT, BH_ERR_NOT_AUTHENTIC, "intel-tdx.chain"},
    {"intel-tdx", "tcb", AGENT_TAMPER_TCB, BH_ERR_POLICY, "intel-tdx.tcb_status"},
};

#endif
