/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel evidence made to be wrong in one way: certificates, lists, documents and quotes of the real
 * shapes under a root of the test's own. What fails here aborts the test program.
 */
#ifndef INTEL_FORGE_H
#define INTEL_FORGE_H

#include "intel_judge.h"

#define INTEL_NOW INT64_C(1800000000)
#define INTEL_DAY 86400

enum intel_cert {
    INTEL_ROOT,
    INTEL_CA,
    INTEL_PCK,
    INTEL_SIGNER,
    INTEL_CERTS,
};

/** How one certificate is made. */
struct intel_cert_plan {
    const char *cn;
    int ca; /* -1: no basicConstraints */
    int path_len;
    const char *usage;
    int64_t not_before, not_after;
    bool by_stranger; /* signed by a key that is nobody's */
    bool p384;
};

/** A level of TCB info. */
struct intel_level {
    uint8_t sgx[16], tdx[16];
    unsigned pce_svn;
    const char *status, *date, *advisory; /* advisory NULL: none */
};

/** A level of an isvsvn. */
struct intel_isv_level {
    unsigned isv_svn;
    const char *status, *date;
};

/** Everything that can be wrong; intel_plan() fills in what is right. */
struct intel_plan {
    struct intel_cert_plan certs[INTEL_CERTS];
    bool tdx;
    unsigned version, body_type; /* of the quote */
    /* the platform */
    uint8_t svn[16];
    unsigned pce_svn;
    uint8_t fmspc[6], ppid[16], pce_id[2];
    struct bh_span pck_extension; /* in place of the right one */
    bool no_pck_extension;
    /* the report */
    uint8_t attributes[16]; /* SGX: ATTRIBUTES and XFRM; TDX: the first 8, TDATTRIBUTES */
    uint8_t mrseam_byte;
    uint8_t seam_attributes[8], mrsignerseam[48];
    uint8_t tee_tcb_svn[16], tee_tcb_svn2[16];
    uint8_t rtmr[4][48];
    unsigned isv_prod_id, isv_svn;
    uint8_t report_data[64];
    /* the quote's wrapping */
    uint8_t vendor_byte;
    unsigned key_type, tee_type, cert_type, outer_type;
    bool qe_report_of_other_key, qe_report_tail, qe_signed_by_stranger, quote_signed_by_stranger;
    size_t trailing;
    uint8_t trailing_byte;
    const char *pem_tail;
    size_t chain_len; /* certificates of the quote; 3 */
    /* the QE */
    uint8_t qe_mrsigner_byte, qe_misc, qe_attributes;
    unsigned qe_prod_id, qe_isv_svn;
    /* documents; texts in place of numbers where those must be broken */
    int64_t info_issued, info_next, qe_issued, qe_next;
    const char *info_version, *info_id, *info_type, *info_fmspc, *info_pce_id, *info_extra;
    size_t levels_len;
    struct intel_level levels[4];
    const char *module; /* JSON of tdxModuleIdentities; NULL: of module_levels */
    unsigned module_version;
    size_t module_levels_len;
    struct intel_isv_level module_levels[3];
    const char *qe_id, *qe_version, *qe_mrsigner, *qe_misc_mask;
    unsigned qe_identity_prod_id;
    size_t qe_levels_len;
    struct intel_isv_level qe_levels[3];
    unsigned info_evaluation, qe_evaluation;
    bool info_signed_by_stranger, qe_signed_by_stranger_key, info_v2;
    /* revocation lists */
    bool no_crls;
    int64_t crl_this, crl_next;
    bool revoke_pck, revoke_ca, revoke_signer;
    bool pck_crl_by_root, pck_crl_by_stranger;
};

struct intel_forge {
    struct intel_plan plan;
    EVP_PKEY *keys[INTEL_CERTS], *stranger, *attestation;
    X509 *certs[INTEL_CERTS];
};

/** The right plan for an enclave or a TD, and keys. intel_forge_clear() frees. */
void intel_forge_init(struct intel_forge *f, bool tdx);
void intel_forge_clear(struct intel_forge *f);
/** Make all pieces as the plan says. intel_pieces_clear() frees. */
void intel_forge_make(struct intel_forge *f, struct intel_pieces *p);
/** The test's root as the one anchor, now INTEL_NOW; the certificate is the forge's. */
void intel_forge_trust(const struct intel_forge *f, struct ev_trust *trust, bool simulated);
/** Sign a text as Intel signs documents, and wrap it: {"name":text,"signature":"..."}; malloc'ed.
 */
char *intel_forge_document(EVP_PKEY *key, const char *name, const char *text);
/** For the two files of the forge: the quote alone; certificates in PEM and a tail, malloc'ed. */
void intel_forge_quote(struct intel_forge *f, struct intel_pieces *p);
char *intel_forge_pem(X509 *const *certs, size_t len, const char *tail);

#endif
