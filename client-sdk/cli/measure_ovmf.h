/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a firmware image says of its own launch under SEV-SNP (OVMF: OvmfPkg/ResetVector). A table
 * of GUIDed entries stands 32 bytes before the end and is read backwards; it names the reset
 * address of the other vCPUs, the place of the table of kernel hashes, and a list of pages that the
 * hypervisor adds to the image.
 *
 * Names of the checks: "ovmf.size", "ovmf.table", "ovmf.reset", "ovmf.hashes", "ovmf.metadata".
 */
#ifndef BH_CLI_MEASURE_OVMF_H
#define BH_CLI_MEASURE_OVMF_H

#include "core/err.h"

#define BH_PAGE 4096
#define BH_OVMF_MAX (64 * 1024 * 1024)
#define BH_OVMF_SECTIONS_MAX 32

enum bh_ovmf_section_type {
    BH_OVMF_MEMORY = 1,
    BH_OVMF_SECRETS = 2,
    BH_OVMF_CPUID = 3,
    BH_OVMF_CAA = 4, /* calling area of a service module */
    BH_OVMF_KERNEL_HASHES = 0x10,
};

struct bh_ovmf {
    struct bh_span bytes;
    uint64_t gpa;        /* the image ends at 4 GiB */
    bool has_reset;      /* reset_eip was there */
    uint32_t reset_eip;  /* where vCPUs but the first begin */
    uint32_t hashes_gpa; /* of the table of kernel hashes; 0: there is none */
    size_t sections_len;
    struct bh_ovmf_section {
        uint32_t gpa;
        uint32_t size; /* whole pages */
        enum bh_ovmf_section_type type;
    } sections[BH_OVMF_SECTIONS_MAX];
};

/** Read the image, which is borrowed. BH_ERR_MALFORMED, BH_ERR_TOO_LARGE. */
BH_MUST_USE enum bh_err bh_ovmf_read(
    struct bh_span bytes, struct bh_ovmf *ret_ovmf, struct bh_diag *diag);

#endif
