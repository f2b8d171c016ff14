/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-SNP evidence made to be wrong in one way: a chain of the shape and algorithms of AMD's under
 * an ARK of the test's own, and reports signed by its leaf.
 */
#ifndef SNP_FORGE_H
#define SNP_FORGE_H

#include "snp_judge.h"

#include "isolate-agent/simulator/amd_chain.h"

#define SNP_NOW INT64_C(1800000000)
#define SNP_DAY INT64_C(86400)
#define SNP_REPORT_LEN 1184
#define SNP_CSP "CN=cc-sim-1.example.com"

/* Offsets of AMD 56860, table ATTESTATION_REPORT. */
enum {
    AT_VERSION = 0x00,
    AT_GUEST_SVN = 0x04,
    AT_POLICY = 0x08,
    AT_FAMILY_ID = 0x10,
    AT_IMAGE_ID = 0x20,
    AT_VMPL = 0x30,
    AT_ALGO = 0x34,
    AT_CURRENT_TCB = 0x38,
    AT_PLATFORM_INFO = 0x40,
    AT_FLAGS = 0x48,
    AT_REPORT_DATA = 0x50,
    AT_MEASUREMENT = 0x90,
    AT_HOST_DATA = 0xc0,
    AT_ID_KEY = 0xe0,
    AT_AUTHOR_KEY = 0x110,
    AT_REPORTED_TCB = 0x180,
    AT_CPUID = 0x188,
    AT_CHIP_ID = 0x1a0,
    AT_COMMITTED_TCB = 0x1e0,
    AT_LAUNCH_TCB = 0x1f0,
    AT_MIT_VECTORS = 0x1f8,
    AT_SIGNATURE = 0x2a0,
};

/** Keys, which take a while to make; the ARK and the ASK are made anew for each forgery. */
struct snp_keys {
    EVP_PKEY *ark, *ask, *leaf, *stranger_rsa, *stranger_ec;
};
void snp_keys_make(struct snp_keys *keys);
void snp_keys_clear(struct snp_keys *keys);

/** How one piece of evidence is made; snp_plan() fills in what is right. */
struct snp_plan {
    const char *product; /* "Milan", "Genoa", "Turin" */
    bool vlek;
    uint8_t report[SNP_REPORT_LEN];
    struct agent_amd_request ark, ask, leaf;
    char names[3][32];
    bool leaf_key_is_rsa;
    bool unsigned_report; /* the signature stays zero */
    EVP_PKEY *signs;      /* the report, instead of the leaf's key */
};
void snp_plan(struct snp_plan *plan, const struct snp_keys *keys, const char *product,
    unsigned version, bool vlek);
/** Set the TCB version at an offset by its components; fmc counts for Turin only. */
void snp_tcb(struct snp_plan *plan, size_t at, unsigned fmc, unsigned bootloader, unsigned tee,
    unsigned snp, unsigned microcode);
/** Little-endian. */
void snp_put32(struct snp_plan *plan, size_t at, uint32_t value);
void snp_put64(struct snp_plan *plan, size_t at, uint64_t value);

struct snp_forged {
    X509 *ark, *ask, *leaf;
    uint8_t *leaf_der;
    uint8_t report[SNP_REPORT_LEN];
    uint8_t table[AGENT_AMD_TABLE_MAX];
    struct snp_parts parts; /* report, vcek or vlek, and the table with the ASK */
};
void snp_forge(struct snp_forged *f, const struct snp_keys *keys, const struct snp_plan *plan);
void snp_forged_clear(struct snp_forged *f);

/** A revocation list by @p key in the name of @p issuer, malloc'ed by OpenSSL; @p serial 0: empty.
 */
uint8_t *snp_crl(
    X509 *issuer, EVP_PKEY *key, int64_t from, int64_t to, long serial, size_t *ret_len);

/** A trust with the ARK as the one anchor at SNP_NOW. */
void snp_trust(struct ev_trust *trust, X509 *ark, bool simulated);

/** The forgery is authentic; or it is refused with this error by this check. */
void snp_forge_holds(const struct snp_keys *keys, const struct snp_plan *plan, const char *what);
void snp_forge_refused(const struct snp_keys *keys, const struct snp_plan *plan, enum bh_err err,
    const char *check, const char *what);

#endif
