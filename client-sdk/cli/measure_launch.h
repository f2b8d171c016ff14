/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch digest of an SEV-SNP guest (SEV Secure Nested Paging Firmware ABI, 8.17.2): one
 * SHA-384 over the digest so far and each page that the hypervisor gives the guest, in its order:
 * firmware, pages of the firmware's list, one page of registers (VMSA; AMD64 manual, volume 2,
 * appendix B) for each vCPU. Order and registers are the hypervisor's, known for QEMU, EC2 and GCE.
 */
#ifndef BH_CLI_MEASURE_LAUNCH_H
#define BH_CLI_MEASURE_LAUNCH_H

#include "measure_ovmf.h"

#define BH_LAUNCH_LEN 48
#define BH_VCPUS_MAX 4096

enum bh_vmm {
    BH_VMM_QEMU,
    BH_VMM_EC2,
    BH_VMM_GCE,
};

struct bh_launch {
    const struct bh_ovmf *ovmf;
    enum bh_vmm vmm;
    unsigned vcpus;
    uint32_t vcpu_signature; /* CPUID 1, EAX: what the first register page holds in RDX (QEMU) */
    uint64_t guest_features; /* SEV_FEATURES */
    bool direct;             /* a kernel is started directly: its hashes are measured */
    uint8_t kernel[32], initrd[32], cmdline[32]; /* SHA-256 */
};

/** BH_ERR_MALFORMED with check "ovmf.hashes" when a kernel is given to a firmware that does not
 * measure it, "ovmf.reset" when several vCPUs are and it does not say where they begin. */
BH_MUST_USE enum bh_err bh_launch_measure(
    const struct bh_launch *launch, uint8_t ret_digest[BH_LAUNCH_LEN], struct bh_diag *diag);

#endif
