/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded ECDSA quote of Intel SGX (versions 3 and 4) or Intel TDX (versions 4 and 5) with the
 * collateral that came beside it, shared by the files of these two formats alone.
 *
 * Sources: "Intel SGX ECDSA QuoteLibReference DCAP API" and "Intel TDX DCAP Quoting Library API"
 * (quotes), "SGX PCK Certificate and Certificate Revocation List Profile Specification" (PCK), and
 * the API of Intel's Provisioning Certification Service, version 4 (TCB info and enclave identity).
 *
 * Names of the checks, each behind "intel-sgx." or "intel-tdx.". Well-formed: quote, header, body,
 * signature_data, certification_data, pck_certificate, collection, event_log. Bound: binding.
 * Authentic: chain, validity, pck_crl, pck_crl_chain, root_crl, qe_report, attestation_key,
 * signature, tcb_signing_chain, tcb_info, qe_identity, tdx_module, tcb_level, event_log. Appraised:
 * debug, revocation, tcb_status, ... and each policy member's own name.
 */
#ifndef EV_INTEL_H
#define EV_INTEL_H

#include "cert.h"
#include "crl.h"
#include "platform.h"
#include "tcg_log.h"

#define EV_INTEL_COLLECTION "tag:beachhead,2026:intel-dcap"
#define EV_INTEL_SVNS 16
#define EV_INTEL_RTMRS 4
#define EV_INTEL_ADVISORIES_MAX 64
#define EV_INTEL_ADVISORY_MAX 32
#define EV_INTEL_PATH_MAX 3 /* leaf, CA, root */

/** Collateral, in the order of its labels in a collection. */
enum ev_intel_kind {
    EV_INTEL_TCB_INFO,
    EV_INTEL_QE_IDENTITY,
    EV_INTEL_TCB_SIGNING_CHAIN,
    EV_INTEL_PCK_CRL,
    EV_INTEL_PCK_CRL_CHAIN,
    EV_INTEL_ROOT_CRL,
    EV_INTEL_KINDS,
};

/** The statuses of the PCS API and of the quote verification library, from good to bad. */
enum ev_intel_status {
    EV_INTEL_UP_TO_DATE,
    EV_INTEL_SW_HARDENING,
    EV_INTEL_CONFIGURATION,
    EV_INTEL_CONFIGURATION_AND_SW_HARDENING,
    EV_INTEL_TD_RELAUNCH,
    EV_INTEL_TD_RELAUNCH_CONFIGURATION,
    EV_INTEL_OUT_OF_DATE,
    EV_INTEL_OUT_OF_DATE_CONFIGURATION,
    EV_INTEL_REVOKED,
    EV_INTEL_STATUSES,
};

/** "UpToDate", ...: EV_INTEL_STATUSES words, as Intel spells them. */
extern const char *const ev_intel_status_words[EV_INTEL_STATUSES];

/** An enclave's report (384 bytes), the quoting enclave's too. Spans borrow. */
struct ev_intel_enclave {
    struct bh_span raw;
    struct bh_span cpu_svn, isv_ext_prod_id, attributes; /* 16 */
    struct bh_span mrenclave, mrsigner;                  /* 32 */
    struct bh_span config_id;                            /* 64 */
    struct bh_span isv_family_id;                        /* 16 */
    struct bh_span report_data;                          /* 64 */
    uint32_t misc_select;
    uint16_t isv_prod_id, isv_svn, config_svn;
};

/** A TD's report: 584 bytes of TDX 1.0, 648 of TDX 1.5. Spans borrow. */
struct ev_intel_td {
    struct bh_span tee_tcb_svn;                              /* 16 */
    struct bh_span mrseam, mrsignerseam;                     /* 48 */
    struct bh_span seam_attributes, td_attributes, xfam;     /* 8 */
    struct bh_span mrtd, mrconfigid, mrowner, mrownerconfig; /* 48 */
    struct bh_span rtmr[EV_INTEL_RTMRS];                     /* 48 */
    struct bh_span report_data;                              /* 64 */
    struct bh_span tee_tcb_svn2, mrservicetd;                /* 16, 48; empty in TDX 1.0 */
};

/** The SGX extension of a PCK certificate. Spans borrow; optional ones are empty when absent. */
struct ev_intel_pck {
    struct bh_span ppid;                 /* 16 */
    struct bh_span cpu_svn;              /* 16 */
    struct bh_span pce_id;               /* 2 */
    struct bh_span fmspc;                /* 6 */
    struct bh_span platform_instance_id; /* 16 */
    uint8_t svn[EV_INTEL_SVNS];          /* SGX TCB component SVNs */
    uint16_t pce_svn;
    uint8_t sgx_type; /* 0 standard, 1 scalable, 2 with integrity */
    int8_t dynamic_platform, cached_keys, smt_enabled; /* -1: absent */
};

/** Certificates of a PEM text, leaf first. */
struct ev_intel_chain {
    uint8_t *der; /* storage of the certificates */
    size_t len;
    struct ev_cert certs[EV_INTEL_PATH_MAX];
};

/** What the collateral says of the platform; filled by authentication. */
struct ev_intel_tcb {
    bool evaluated;
    enum ev_intel_status status; /* of platform, TDX module and QE together */
    enum ev_intel_status platform, qe;
    enum ev_intel_status module; /* EV_INTEL_STATUSES: not judged by a level */
    int64_t date;                /* of the platform's level */
    int64_t oldest;     /* of the levels that are out of date, the earliest; else INT64_MAX */
    int64_t evaluation; /* tcbEvaluationDataNumber, the lower one of both documents */
    size_t advisories_len;
    char advisories[EV_INTEL_ADVISORIES_MAX][EV_INTEL_ADVISORY_MAX];
};

struct ev_intel {
    const struct ev_platform *platform;
    bool tdx;
    uint16_t version, key_type, qe_svn, pce_svn;
    uint32_t tee_type;
    struct bh_span vendor_id, user_data; /* 16, 20 */
    uint16_t body_type;                  /* version 5; else 0 */
    struct ev_intel_enclave enclave;     /* of SGX */
    struct ev_intel_td td;               /* of TDX */
    struct bh_span report_data;
    struct bh_span signed_; /* header and body */
    struct bh_span signature, key;
    struct bh_span qe_report_and_signature;
    struct ev_intel_enclave qe;
    struct bh_span qe_signature, qe_auth;
    uint16_t cert_type;
    struct bh_span cert_data;
    struct ev_intel_chain chain; /* leaf, CA, root; len 0 when the quote brings none */
    struct ev_intel_pck pck;
    struct bh_span given[EV_INTEL_KINDS]; /* with the evidence; ptr NULL when not */
    struct bh_span event_log;
    bool has_event_log;
    struct ev_tcg_log log;

    /* Filled by authentication. */
    int64_t now;
    bool has_pck_crl, has_root_crl;
    int64_t not_before; /* the latest beginning of all that was relied on */
    int64_t not_after;  /* the earliest end */
    struct ev_intel_tcb tcb;
};

/* ---- intel_dcap.c ---- */

/** Label in a collection ("tcb_info"); file name in a folder of collateral ("tcb_info.json"). */
const char *ev_intel_label(enum ev_intel_kind kind);
const char *ev_intel_file(enum ev_intel_kind kind);
/** ev_pass() and ev_refuse() with the platform's name in front of @p what. */
void ev_intel_pass(const struct ev_intel *q, struct ev_report *report, const char *source,
    const char *what, const char *expected, const char *found);
enum bh_err ev_intel_refuse(const struct ev_intel *q, struct ev_report *report, enum bh_err err,
    const char *source, const char *what, const char *expected, const char *found,
    const char *hint);
/** The evidence is of a debug enclave or TD. */
bool ev_intel_debug(const struct ev_intel *q);

/* ---- intel_quote.c ---- */

/** The tee_type of bytes that look like a quote; false when they do not. */
bool ev_intel_looks_like(struct bh_span raw, bool *ret_tdx);
/** Read a quote and its certification data into @p q, whose platform is set. */
enum bh_err ev_intel_read_quote(struct bh_span raw, struct ev_intel *q, struct ev_report *report);

/* ---- intel_pck.c ---- */

/** Certificates of a PEM text, nothing but white space and one NUL around them. BH_ERR_MALFORMED.
 * ev_intel_chain_clear() frees. */
BH_MUST_USE enum bh_err ev_intel_chain_read(
    struct bh_span pem, struct ev_intel_chain *ret_chain, struct bh_diag *diag);
void ev_intel_chain_clear(struct ev_intel_chain *chain);
/** The SGX extension of a PCK certificate. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_intel_pck_read(
    const struct ev_cert *cert, struct ev_intel_pck *ret_pck, struct bh_diag *diag);

/* ---- intel_chain.c ---- */

#define EV_INTEL_ANCHOR_MAX 4096

/** The pinned root that the evidence's chain ends in. */
struct ev_intel_anchor {
    bool simulated;
    struct ev_cert cert; /* borrows from der */
    uint8_t der[EV_INTEL_ANCHOR_MAX];
};

/** What one step of authentication needs. */
struct ev_intel_trial {
    struct ev_intel *q;
    const struct ev_trust *trust;
    struct ev_report *report;
    struct ev_intel_anchor anchor;
    uint8_t pck_path[32];   /* of the verified path to the PCK certificate */
    struct ev_crl root_crl; /* der.ptr NULL when there is none */
};

/** Find the anchor of a chain's last certificate; checks "chain". */
enum bh_err ev_intel_find_anchor(struct ev_intel_trial *t);
/**
 * Names, constraints and signatures of a path from the anchor to chain->certs[0]; NULL and the
 * path's hash, or what is wrong. The certificate's place in the chain stands in @p ret_at.
 */
const char *ev_intel_path_fault(const struct ev_intel_trial *t, const struct ev_intel_chain *chain,
    uint8_t ret_path[32], size_t *ret_at);
/** The certificate that is outside its validity, or NULL. Narrows q->not_before and not_after. */
const struct ev_cert *ev_intel_invalid_now(
    struct ev_intel_trial *t, const struct ev_intel_chain *chain);
enum bh_err ev_intel_check_pck_chain(struct ev_intel_trial *t);
enum bh_err ev_intel_check_pck_validity(struct ev_intel_trial *t);
/** @p cn is Intel's @p name, or has "SIMULATED " in front where the anchor is or says so. */
bool ev_intel_is_named(const struct ev_intel_trial *t, struct bh_span cn, const char *name);
/** "platform" or "processor", by the name of the CA that issued the PCK certificate. */
const char *ev_intel_pck_ca(const struct ev_intel *q);
/** ECDSA P-256 with SHA-256 by the key of a certificate; @p der is an ECDSA-Sig-Value. */
bool ev_intel_signed_by(const struct ev_cert *signer, struct bh_span tbs, struct bh_span der);

/* ---- intel_revocation.c ---- */

/** The two revocation lists as far as they are there, and that they do not name a certificate of
 * the chain. */
enum bh_err ev_intel_check_crls(struct ev_intel_trial *t);
/** The root's list, as far as it is there, does not name the TCB signing certificate. */
enum bh_err ev_intel_check_signer_revocation(
    struct ev_intel_trial *t, const struct ev_cert *signer);

/* ---- intel_collateral.c ---- */

/** The same without a word in the report; ptr NULL with BH_OK when there is none. */
enum bh_err ev_intel_fetch(const struct ev_intel_trial *t, enum ev_intel_kind kind,
    struct bh_span *ret_bytes, struct bh_diag *diag);
/** The bytes of a piece of collateral, from the evidence or the trust inputs; BH_OK with ptr NULL
 * when there is none. Failures of the store itself are reported as check @p kind's label. */
enum bh_err ev_intel_collateral(
    struct ev_intel_trial *t, enum ev_intel_kind kind, struct bh_span *ret_bytes);
/** TCB info and QE identity: signatures, dates, identities; then the evaluation. */
enum bh_err ev_intel_check_collateral(struct ev_intel_trial *t);
/**
 * Find in a body of the PCS API, {"<name>": {...}, "signature": "hex"}, the bytes of the object as
 * they were signed, and the characters of the signature; false for anything else.
 */
bool ev_intel_body_split(
    struct bh_span body, const char *name, struct bh_span *ret_object, struct bh_span *ret_hex);
/** What to do about a missing revocation list: the URL to fetch. */
void ev_intel_crl_url(const struct ev_intel *q, char out[BH_TEXT_MAX]);
/** An RFC 3339 time or a hex member of exactly @p len bytes of a document. */
BH_MUST_USE enum bh_err ev_intel_json_time(
    const json_t *object, const char *name, int64_t *ret_time, struct bh_diag *diag);
BH_MUST_USE enum bh_err ev_intel_json_hex(
    const json_t *object, const char *name, uint8_t *out, size_t len, struct bh_diag *diag);

/* ---- intel_known.c ---- */

/**
 * What the trust's cache knows of this quote's certificates, collateral and TCB, all the bytes that
 * chain, QE report, lists and evaluation rest on being the same: fills q's results. @p ret_path is
 * for ev_intel_learn().
 */
bool ev_intel_recall(struct ev_intel_trial *t, uint8_t ret_path[32]);
/** Remember them, after every check held. */
void ev_intel_learn(const struct ev_intel_trial *t, const uint8_t path[32]);

/* ---- intel_tcb.c ---- */

/** One level of any of the documents. */
struct ev_intel_level {
    enum ev_intel_status status;
    int64_t date;
    const json_t *advisories; /* may be NULL; borrowed */
};

/** Status, date and advisories of one element of tcbLevels. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_intel_level_read(
    const json_t *level, struct ev_intel_level *ret_level, struct bh_diag *diag);
/** Add a matched level to the result: its advisories, and its date when it is out of date. */
BH_MUST_USE enum bh_err ev_intel_level_take(
    struct ev_intel_tcb *tcb, const struct ev_intel_level *level, struct bh_diag *diag);
/** The first level whose isvsvn is at most @p svn; false in *ret_found when there is none. */
BH_MUST_USE enum bh_err ev_intel_isv_level(const json_t *levels, unsigned svn,
    struct ev_intel_level *ret_level, bool *ret_found, struct bh_diag *diag);

/** Judge platform and TDX module by TCB info, whose signature and dates hold, together with the
 * QE's status in q->tcb.qe; fills q->tcb. Checks "tdx_module", "tcb_level", "tcb_info". */
enum bh_err ev_intel_judge_tcb(struct ev_intel_trial *t, const json_t *tcb_info);

/* ---- intel_qe.c ---- */

/** Judge the quoting enclave's report by its identity, whose signature and dates hold. Check
 * "qe_identity". */
enum bh_err ev_intel_judge_qe(struct ev_intel_trial *t, const json_t *identity);

/* ---- the functions of struct ev_platform that stand in other files ---- */

enum bh_err ev_intel_authenticate(void *state, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth);
json_t *ev_intel_claims(const void *state);
enum bh_err ev_sgx_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_sgx_entry_free(void *refs);
enum bh_err ev_sgx_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth);
enum bh_err ev_tdx_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_tdx_entry_free(void *refs);
enum bh_err ev_tdx_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth);

#endif
