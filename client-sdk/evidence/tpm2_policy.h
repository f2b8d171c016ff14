/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References of one policy entry for TPMs, compiled. Members of the entry:
 *
 *   pcrs         {bank: {PCR: list of hex}}, banks "sha256", "sha384", "sha512" and, where "sha1"
 * is "allowed", "sha1". A PCR counts only where the quote covers it. 16 and 23 can be reset by
 * anybody and are refused here. boot_loader  list of hex: PE digests; every boot loader that was
 * started, by PCR 4 and the event log, must be one of them secure_boot  true: Secure Boot was on,
 * by PCR 7 and the event log event_log    "required": a log that the quoted PCRs confirm must be
 * there ek           the owner: list of hex, SHA-256 of the EK's SubjectPublicKeyInfo, as the AK's
 *                endorsement or Azure's report names it (an ek_cert alone ties nothing to the AK)
 *   ak_name      the owner too: list of hex, Names of AKs
 *   key_class    list of "silicon", "tpm", "file": who keeps the AK
 *   sha1         "allowed": a quote over the SHA-1 bank is not refused
 *   reset_count  number: the highest resetCount
 *   hardware     one entry of amd-sev-snp or intel-tdx, without owner, debug, simulated and
 * context: the evidence must be of a confidential machine of Azure, whose report binds the AK
 *
 * One of PCR 4, 8, 9, 11 or boot_loader must pin the code; ek, ak_name, or the owner in hardware
 * must pin the owner, or the entry says "owner": "any".
 */
#ifndef EV_TPM2_POLICY_H
#define EV_TPM2_POLICY_H

#include "tpm2.h"

struct ev_tpm2_refs {
    struct ev_hexlist pcrs[EV_TPM2_BANKS][EV_TPM2_PCRS];
    struct ev_hexlist boot_loader, ek, ak_name;
    bool secure_boot, event_log, sha1;
    bool has_reset_count;
    int64_t reset_count_max;
    uint32_t key_classes; /* 1 << (class - 1); 0: any */
    const struct ev_platform *hardware;
    void *hardware_refs;
};

/** PCRs that say which code runs, as 1 << index; the first of them in the order 11, 4, 9, 8 names
 * the machine's main measurement. */
#define EV_TPM2_CODE_PCRS                                                                          \
    (UINT32_C(1) << 4 | UINT32_C(1) << 8 | UINT32_C(1) << 9 | UINT32_C(1) << 11)

#endif
