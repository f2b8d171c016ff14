/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded attestation report of AMD SEV-SNP ("SEV Secure Nested Paging Firmware ABI
 * Specification", AMD 56860, table ATTESTATION_REPORT) with the certificate of the key that signed
 * it ("Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification", AMD
 * 57230), shared by the files of this format alone.
 *
 * Evidence is a collection "tag:beachhead,2026:amd-sev-snp": "report" (1184 bytes), optionally
 * "vcek" or "vlek" (DER), optionally "auxblob" (the certificate table of the GHCB specification,
 * AMD 56421, 4.1.8). Media types of the records are not looked at.
 *
 * Names of the checks. Well-formed: "amd-sev-snp.collection", ".report", ".version", ".reserved",
 * ".product", ".policy", ".signing_key", ".signature_algo", ".signature", ".vcek", ".vlek",
 * ".auxblob".
 * Bound: ".binding". Authentic: ".signing_key", ".vcek", ".vlek", ".product", ".chip_id",
 * ".tcb.bootloader", ".tcb.tee", ".tcb.snp", ".tcb.microcode", ".tcb.fmc", ".chain", ".validity",
 * ".crl", ".revocation", ".signature".
 * Appraised: ".debug", ".vmpl", ".product", ".tcb.order", ".tcb.*", ".committed_tcb.*",
 * ".current_tcb.*", ".launch_tcb.*", ".policy.*", ".platform_info.*", and the claims' own names.
 */
#ifndef EV_AMD_SEV_SNP_H
#define EV_AMD_SEV_SNP_H

#include "cert.h"
#include "platform.h"

#define EV_SNP_NAME "amd-sev-snp"
#define EV_SNP_REPORT_LEN 1184
#define EV_SNP_TCB_LEN 8
#define EV_SNP_CHIP_ID_LEN 64
#define EV_SNP_TURIN_HWID_LEN 8
#define EV_SNP_SPL_COUNT 5

enum ev_snp_product {
    EV_SNP_NO_PRODUCT,
    EV_SNP_MILAN,
    EV_SNP_GENOA,
    EV_SNP_TURIN,
    EV_SNP_PRODUCTS,
};
/** "Milan"; "" for EV_SNP_NO_PRODUCT. */
const char *ev_snp_product_name(enum ev_snp_product product);

/** Components of a TCB version, in the order in which they are compared and named. */
enum ev_snp_spl {
    EV_SNP_SPL_BOOTLOADER,
    EV_SNP_SPL_TEE,
    EV_SNP_SPL_SNP,
    EV_SNP_SPL_MICROCODE,
    EV_SNP_SPL_FMC, /* Turin only */
};
/** "bootloader", "tee", "snp", "microcode", "fmc". */
const char *ev_snp_spl_name(size_t spl);
/** The product's TCB has this component. */
bool ev_snp_has_spl(enum ev_snp_product product, size_t spl);

struct ev_snp_tcb {
    uint8_t spl[EV_SNP_SPL_COUNT]; /* 0 where the product has none */
};
/** Take 8 bytes of a report apart by the product's layout; without a product, by Milan's. */
struct ev_snp_tcb ev_snp_tcb_read(struct bh_span raw, enum ev_snp_product product);
/** The reverse. */
void ev_snp_tcb_write(
    const struct ev_snp_tcb *tcb, enum ev_snp_product product, uint8_t out[EV_SNP_TCB_LEN]);

/* Bits of POLICY (56860, table GUEST_POLICY). */
#define EV_SNP_POLICY_SMT (UINT64_C(1) << 16)
#define EV_SNP_POLICY_RESERVED_ONE (UINT64_C(1) << 17)
#define EV_SNP_POLICY_MIGRATE_MA (UINT64_C(1) << 18)
#define EV_SNP_POLICY_DEBUG (UINT64_C(1) << 19)
#define EV_SNP_POLICY_SINGLE_SOCKET (UINT64_C(1) << 20)
#define EV_SNP_POLICY_CXL_ALLOW (UINT64_C(1) << 21)
#define EV_SNP_POLICY_AES_256_XTS (UINT64_C(1) << 22)
#define EV_SNP_POLICY_RAPL_DIS (UINT64_C(1) << 23)
#define EV_SNP_POLICY_CIPHERTEXT_HIDING (UINT64_C(1) << 24)
#define EV_SNP_POLICY_PAGE_SWAP_DISABLE (UINT64_C(1) << 25)
#define EV_SNP_POLICY_KNOWN UINT64_C(0x03ffffff) /* with the ABI version in bits 0 to 15 */

enum ev_snp_signing_key {
    EV_SNP_KEY_VCEK = 0,
    EV_SNP_KEY_VLEK = 1,
    EV_SNP_KEY_NONE = 7,
};

struct ev_snp_version {
    uint8_t build, minor, major;
};

/** Spans borrow from the report. */
struct ev_snp_report {
    struct bh_span raw;
    uint32_t version, guest_svn, vmpl, signature_algo;
    uint64_t policy, platform_info;
    struct bh_span family_id, image_id;
    bool author_key_en, mask_chip_key;
    enum ev_snp_signing_key signing_key;
    struct bh_span report_data, measurement, host_data;
    struct bh_span id_key_digest, author_key_digest, report_id, report_id_ma;
    struct bh_span current_tcb, reported_tcb, committed_tcb, launch_tcb;
    uint8_t cpu_family, cpu_model, cpu_stepping; /* 0 in version 2 */
    struct bh_span chip_id;
    struct ev_snp_version current, committed;
    uint64_t launch_mit_vector, current_mit_vector; /* version 5 */
    struct bh_span r, s;                            /* 72 bytes each, little-endian */
    enum ev_snp_product product;                    /* by the CPUID; none in version 2 */
};

/** The certificate of the key that signs reports. Spans borrow from its DER. */
struct ev_snp_endorser {
    struct ev_cert cert;
    bool vlek;
    enum ev_snp_product product;
    struct ev_snp_tcb tcb;
    struct bh_span hwid;   /* VCEK */
    struct bh_span csp_id; /* VLEK */
};

struct ev_snp {
    struct ev_snp_report report;
    bool has_vcek, has_vlek; /* came with the evidence */
    struct ev_snp_endorser vcek, vlek;
    bool has_ask; /* in the certificate table; also an ASVK */
    struct ev_cert ask;
    /* filled by ev_snp_authenticate() */
    enum ev_snp_product product;
    struct ev_snp_endorser endorser;
    int64_t not_after; /* of the chain and of the revocation list that was used */
};

/* ---- decoding ---- */

/** Read one report of exactly 1184 bytes. BH_ERR_EVIDENCE_MALFORMED, or BH_ERR_UNSUPPORTED for a
 * version or product that is not known here. */
BH_MUST_USE enum bh_err ev_snp_report_read(
    struct bh_span raw, struct ev_snp_report *ret_report, struct ev_report *report);
/** The form of a report, or of one with a byte too few or too many. */
bool ev_snp_recognises(struct bh_span raw);

/** A VCEK's or VLEK's certificate with its extensions (57230, 3). BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_snp_endorser_read(
    struct bh_span der, bool vlek, struct ev_snp_endorser *ret_endorser, struct bh_diag *diag);

/** The entries of a GHCB certificate table that count here; empty ones are absent. */
struct ev_snp_table {
    struct bh_span vcek, vlek, ask;
};
/** BH_ERR_MALFORMED. An empty table, or one of zeros only, is none. */
BH_MUST_USE enum bh_err ev_snp_table_read(
    struct bh_span blob, struct ev_snp_table *ret_table, struct bh_diag *diag);

/* ---- authentication ---- */

/** rsassaPss with SHA-384, MGF1 of SHA-384 and a salt of 48 bytes (RFC 4055, 3.1). */
bool ev_snp_is_pss384(struct bh_span algorithm);
/** Verify such a signature over @p tbs; @p key must be RSA-4096. */
bool ev_snp_verify_pss384(
    struct bh_span tbs, struct bh_span algorithm, struct bh_span signature, EVP_PKEY *key);
/** The DER of the built-in ASK or ASVK of a product; empty when there is none. */
struct bh_span ev_snp_built_in_ask(enum ev_snp_product product, bool vlek);

/** One way from an anchor to the endorser. */
struct ev_snp_path {
    struct ev_cert ark, ask;
    uint8_t ark_der[2048]; /* what ark borrows from */
    bool simulated;
};
/**
 * Find and verify the path of snp->endorser, with the validity of its certificates and, where one
 * is at hand, the revocation list. Fills snp->not_after.
 */
BH_MUST_USE enum bh_err ev_snp_check_chain(struct ev_snp *snp, const struct ev_trust *trust,
    struct ev_report *report, bool *ret_simulated);
/** The revocation list of @p path, from trust->collateral; lowers @p not_after. */
BH_MUST_USE enum bh_err ev_snp_check_crl(const struct ev_snp *snp, const struct ev_snp_path *path,
    const struct ev_trust *trust, struct ev_report *report, int64_t *not_after);

/** The functions of struct ev_platform that stand in other files. */
enum bh_err ev_snp_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth);
enum bh_err ev_snp_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_snp_entry_free(void *refs);
enum bh_err ev_snp_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth);
json_t *ev_snp_claims(const void *state);

#endif
