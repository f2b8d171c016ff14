/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated enclave or TD inside: shared by the two files of this platform alone. */
#ifndef AGENT_INTEL_DEVICE_H
#define AGENT_INTEL_DEVICE_H

#include "intel_pki.h"
#include "simulator.h"

#define AGENT_INTEL_DAY 86400
#define AGENT_INTEL_SVN_NOW 7 /* of the SGX components that have one */
#define AGENT_INTEL_SVN_OLD 5
#define AGENT_INTEL_PCE_SVN 13
#define AGENT_INTEL_QE_SVN 8
#define AGENT_INTEL_MODULE_SVN 4

enum { /* slots of keys */
    AGENT_INTEL_KEY_ROOT,
    AGENT_INTEL_KEY_CA,
    AGENT_INTEL_KEY_PCK,
    AGENT_INTEL_KEY_SIGNER,
    AGENT_INTEL_KEY_ATTESTATION,
};

enum agent_intel_document_kind {
    AGENT_INTEL_TCB_INFO,
    AGENT_INTEL_QE_IDENTITY,
    AGENT_INTEL_DOCUMENTS,
};

struct agent_intel {
    bool tdx;
    struct agent_intel_machine machine;
    uint8_t mrenclave[32], mrsigner[32]; /* SGX */
    uint8_t mrtd[48], rtmr[3][48];       /* TDX */
    uint8_t qe_mrsigner[32], mrseam[48];
    X509 *ca, *pck, *signer;
    int64_t made; /* when the documents were made; 0: not yet */
    char *documents[AGENT_INTEL_DOCUMENTS];
};

/** TCB info, QE identity, their signer's chain and the revocation lists for the request's time. */
enum bh_err agent_intel_beside(struct agent_device *device, const struct agent_request *request,
    struct agent_beside *beside, struct bh_diag *diag);

#endif
