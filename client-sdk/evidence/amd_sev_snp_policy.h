/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References of one policy entry for SEV-SNP, compiled. Members of the entry:
 *
 *   product            list of "Milan", "Genoa", "Turin"; mandatory
 *   tcb_min            {product: {"bootloader","tee","snp","microcode", and "fmc" for Turin}}, for
 *                      each product of the list; mandatory. REPORTED_TCB and COMMITTED_TCB must
 *                      both reach it in every component.
 *   tcb_current_min, launch_tcb_min
 *                      the same for CURRENT_TCB and LAUNCH_TCB; products may be left out
 *   vmpl               list of 0 to 3; mandatory
 *   measurement        list of hex; or id_key_digest with guest_svn_min: one must pin the code
 *   id_key_digest, author_key_digest, host_data, family_id, image_id
 *                      lists of hex
 *   guest_svn_min      number
 *   chip_id, csp_id    the owner: list of hex (a Turin's 8 bytes, or 64), list of text
 *   guest_policy       {"smt","migrate_ma","cxl": true permits what is forbidden unlisted;
 *                      "single_socket","aes_256_xts","rapl_dis","ciphertext_hiding",
 *                      "page_swap_disable": true demands what only makes a guest safer}
 *   platform_info      {"smt","tsme","ecc","rapl_dis","ciphertext_hiding","alias_check_complete",
 *                      "tio"}: true must be set, false must be clear
 */
#ifndef EV_AMD_SEV_SNP_POLICY_H
#define EV_AMD_SEV_SNP_POLICY_H

#include "amd_sev_snp.h"

#define EV_SNP_CSP_ID_MAX 128
#define EV_SNP_CSP_IDS_MAX 64

/** A named bit of POLICY or PLATFORM_INFO. */
struct ev_snp_bit {
    const char *name;
    uint64_t mask;
};
/** Bits that a guest policy permits, ended by a NULL name: unlisted they are forbidden. */
extern const struct ev_snp_bit ev_snp_permissions[];
/** Bits that a guest policy demands of the platform. */
extern const struct ev_snp_bit ev_snp_demands[];
extern const struct ev_snp_bit ev_snp_platform_bits[];

struct ev_snp_tcb_min {
    bool given[EV_SNP_PRODUCTS];
    struct ev_snp_tcb min[EV_SNP_PRODUCTS];
};

struct ev_snp_csp_id {
    char text[EV_SNP_CSP_ID_MAX + 1];
};

struct ev_snp_refs {
    uint32_t products; /* 1 << enum ev_snp_product */
    struct ev_snp_tcb_min tcb, current_tcb, launch_tcb;
    uint32_t vmpls; /* 1 << VMPL */
    struct ev_hexlist measurement, id_key_digest, author_key_digest;
    struct ev_hexlist host_data, family_id, image_id, chip_id;
    bool has_guest_svn;
    int64_t guest_svn_min;
    size_t csp_ids_len;
    struct ev_snp_csp_id *csp_ids;
    uint64_t policy_permitted, policy_demanded;
    uint64_t platform_set, platform_clear;
};

#endif
