/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded quote of a TPM 2.0 ("Trusted Platform Module Library", part 2: structures) with what
 * travels beside it, shared by the files of this format alone.
 *
 * Evidence is a collection "tag:beachhead,2026:tpm2". Records: "quote" (TPMS_ATTEST), "signature"
 * (TPMT_SIGNATURE, or the bare PKCS#1 signature that Azure's tools ship), "pcrs" (JSON: {"sha256":
 * {"0": hex, ...}, ...}); optionally "ak" (TPMT_PUBLIC), "ak_cert" and "ek_cert" (DER, several DER
 * one after the other, or PEM; zeros may follow), "event_log" (TCG). A confidential machine of
 * Azure adds "hcl_report" with "vcek" (SEV-SNP), or with "td_quote" and the collateral of
 * intel-dcap by its labels there (TDX). Media types of the records are not looked at.
 *
 * Names of the checks. Well-formed: "tpm2.collection", ".quote", ".signature", ".pcrs", ".ak",
 * ".ak_cert", ".ek_cert", ".event_log", ".hcl_report". Bound: ".binding". Authentic: ".ak",
 * ".ak.attributes", ".ak_cert", ".chain", ".key", ".ek_cert", ".hcl_report", ".signature", ".pcrs",
 * ".pcr_digest", ".event_log", and the hardware's own. Appraised: ".hardware", ".sha1",
 * ".key_class", ".ek", ".ak_name", ".reset_count", ".pcrs.BANK.N", ".event_log", ".secure_boot",
 * ".boot_loader".
 */
#ifndef EV_TPM2_H
#define EV_TPM2_H

#include "platform.h"
#include "tcg_log.h"

#define EV_TPM2_NAME "tpm2"
#define EV_TPM2_COLLECTION "tag:beachhead,2026:tpm2"
#define EV_TPM2_PCRS 24
#define EV_TPM2_NONCE_LEN 32 /* of the binding: what TPMs surely hold in extraData */
#define EV_TPM2_NAME_MAX 66  /* of an object: algorithm and digest */
#define EV_TPM2_CERTS_MAX 4
#define EV_TPM2_EK_LEN 32 /* SHA-256 of the EK's SubjectPublicKeyInfo */

/** The banks whose values are understood, from weak to strong. */
enum ev_tpm2_bank {
    EV_TPM2_SHA1,
    EV_TPM2_SHA256,
    EV_TPM2_SHA384,
    EV_TPM2_SHA512,
    EV_TPM2_BANKS,
};
/** "sha1"; its TPM_ALG_ID; bytes of its digests. */
const char *ev_tpm2_bank_name(enum ev_tpm2_bank bank);
uint16_t ev_tpm2_bank_algorithm(enum ev_tpm2_bank bank);
size_t ev_tpm2_bank_size(enum ev_tpm2_bank bank);
/** EV_TPM2_BANKS when it is none of them. */
enum ev_tpm2_bank ev_tpm2_bank_of(uint16_t algorithm);

/** TPMS_ATTEST of a quote (10.12.8, 10.12.1). Spans borrow. */
struct ev_tpm2_attest {
    struct bh_span raw; /* what is signed */
    struct bh_span qualified_signer, extra_data;
    uint64_t clock, firmware_version;
    uint32_t reset_count, restart_count;
    bool safe;
    size_t selections_len;
    struct {
        enum ev_tpm2_bank bank;
        uint32_t pcrs; /* 1 << index */
    } selections[EV_TPM2_BANKS];
    struct bh_span pcr_digest;
};

enum ev_tpm2_scheme { /* TPM_ALG_ID */
    EV_TPM2_RSASSA = 0x0014,
    EV_TPM2_RSAPSS = 0x0016,
    EV_TPM2_ECDSA = 0x0018,
    EV_TPM2_NULL = 0x0010,
};

/** TPMT_SIGNATURE (11.3.4). Spans borrow. */
struct ev_tpm2_signature {
    enum ev_tpm2_scheme scheme;
    enum ev_tpm2_bank hash;
    bool bare;                 /* PKCS#1 alone: scheme and hash are those of Azure's tools */
    struct bh_span rsa;        /* RSASSA, RSAPSS */
    struct bh_span ec_r, ec_s; /* ECDSA, big-endian, may be short */
};

#define EV_TPM2_FIXED_TPM (UINT32_C(1) << 1) /* TPMA_OBJECT (8.3) */
#define EV_TPM2_FIXED_PARENT (UINT32_C(1) << 4)
#define EV_TPM2_SENSITIVE_DATA_ORIGIN (UINT32_C(1) << 5)
#define EV_TPM2_RESTRICTED (UINT32_C(1) << 16)
#define EV_TPM2_DECRYPT (UINT32_C(1) << 17)
#define EV_TPM2_SIGN (UINT32_C(1) << 18)

/** TPMT_PUBLIC (12.2.4) of an RSA or ECC key. */
struct ev_tpm2_public {
    uint32_t attributes;
    enum ev_tpm2_bank name_alg;
    uint16_t scheme;        /* enum ev_tpm2_scheme, EV_TPM2_NULL, or another */
    enum ev_tpm2_bank hash; /* of the scheme; EV_TPM2_BANKS without one */
    uint8_t name[EV_TPM2_NAME_MAX];
    size_t name_len;
    uint8_t spki[BH_SPKI_MAX]; /* SubjectPublicKeyInfo of the key */
    size_t spki_len;
};

struct ev_tpm2_pcrs {
    uint32_t given[EV_TPM2_BANKS]; /* 1 << index */
    uint8_t values[EV_TPM2_BANKS][EV_TPM2_PCRS][EV_TCG_DIGEST_MAX];
};

/** Certificates, leaf first. ev_tpm2_certs_clear() frees. */
struct ev_tpm2_certs {
    size_t len;
    X509 *certs[EV_TPM2_CERTS_MAX];
};

/** Azure's report of the paravisor: hardware evidence about a document that holds the AK. */
struct ev_tpm2_hcl {
    const struct ev_platform *hardware; /* NULL: there is no such report */
    void *state;                        /* of the hardware's platform */
    struct bh_span document;            /* JSON, as it stands in the report */
    uint8_t ak[BH_SPKI_MAX], ek[BH_SPKI_MAX];
    size_t ak_len, ek_len; /* ek_len 0: the document names none */
    bool secure_boot;      /* as the document says; only a claim of the paravisor's */
    struct ev_authenticity auth;
};

enum ev_tpm2_source { /* who vouches for the AK */
    EV_TPM2_NOBODY,
    EV_TPM2_ENDORSED,
    EV_TPM2_CERTIFIED,
    EV_TPM2_HARDWARE,
};

struct ev_tpm2 {
    bool raw; /* a quote alone: what belongs to it lies beside it, in the collateral */
    struct ev_tpm2_attest attest;
    bool has_signature;
    struct ev_tpm2_signature signature;
    bool has_pcrs;
    struct ev_tpm2_pcrs pcrs;
    bool has_ak;
    struct ev_tpm2_public ak;
    struct ev_tpm2_certs ak_cert, ek_cert;
    bool has_log;
    struct ev_tcg_log log;
    struct ev_tpm2_hcl hcl;
    /* filled by ev_tpm2_authenticate() */
    enum ev_tpm2_source source;
    struct bh_span key; /* the AK's SubjectPublicKeyInfo, borrowed from key_bytes */
    uint8_t key_bytes[BH_SPKI_MAX];
    bool has_ek; /* an EK that something ties to the AK */
    uint8_t ek[EV_TPM2_EK_LEN];
    uint32_t replayed[EV_TPM2_BANKS]; /* PCRs whose events the quote confirms */
    int64_t not_after;                /* of what vouches for the AK; 0: no bound */
};

/* ---- tpm2.c ---- */

/** Refuse evidence that is not well-formed; the check is "tpm2.<field>". */
enum bh_err ev_tpm2_malformed(
    struct ev_report *report, const char *field, const char *expected, const char *found);
/** The PCRs of @p bank that the quote covers, as 1 << index. */
uint32_t ev_tpm2_selected(const struct ev_tpm2_attest *attest, enum ev_tpm2_bank bank);

/* ---- tpm2_records.c: one record each, of a collection or beside a quote ---- */

enum bh_err ev_tpm2_read_signature(
    struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
enum bh_err ev_tpm2_read_pcrs(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
enum bh_err ev_tpm2_read_ak(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
enum bh_err ev_tpm2_read_ak_cert(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
enum bh_err ev_tpm2_read_ek_cert(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
enum bh_err ev_tpm2_read_log(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
/** What is not there yet and lies as a file beside a quote: ak_pub.tpmt, ak_cert.der, ek_cert.der,
 * eventlog.bin, pcrs.json, hcl_report.bin, td_quote.bin; the signature as signature.bin, quote.sig,
 * quote.sig.tpmt or quote_BANK.sig.tpmt. */
enum bh_err ev_tpm2_read_beside(
    struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report);

/* ---- tpm2_structures.c ---- */

/** Read a TPMS_ATTEST of type quote that fills @p raw, or a TPM2B_ATTEST around one.
 * BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_tpm2_attest_read(
    struct bh_span raw, struct ev_tpm2_attest *ret_attest, struct bh_diag *diag);
/** The bytes begin like an attestation of a TPM. */
bool ev_tpm2_recognises(struct bh_span raw);
/** Read a TPMT_SIGNATURE, or a bare PKCS#1 signature of 2048, 3072 or 4096 bits.
 * BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_tpm2_signature_read(
    struct bh_span raw, struct ev_tpm2_signature *ret_signature, struct bh_diag *diag);
/** Read a TPMT_PUBLIC that fills @p raw; its key need not be one that signs. That the point is on
 * the curve is for its user to see. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_tpm2_public_read(
    struct bh_span raw, struct ev_tpm2_public *ret_public, struct bh_diag *diag);
/** What the attributes of an attestation key lack, in words; NULL when they are as they must be. */
const char *ev_tpm2_attributes_fault(uint32_t attributes);

/* ---- tpm2_key.c ---- */

/** SubjectPublicKeyInfo of an RSA key; @p modulus and @p exponent big-endian. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_tpm2_rsa_spki(
    struct bh_span modulus, struct bh_span exponent, uint8_t *out, size_t cap, size_t *ret_len);
/** Verify; NULL, or what is wrong in a few words. */
const char *ev_tpm2_signature_fault(
    const struct ev_tpm2_signature *signature, struct bh_span spki, struct bh_span message);

/* ---- tpm2_pcrs.c ---- */

/** Read the JSON of PCR values strictly. BH_ERR_MALFORMED, BH_ERR_TOO_LARGE. */
BH_MUST_USE enum bh_err ev_tpm2_pcrs_read(
    struct bh_span json, struct ev_tpm2_pcrs *ret_pcrs, struct bh_diag *diag);
/** A PCR's number in plain decimal; -1 for anything else. */
int ev_tpm2_pcr_index(const char *text);
/** A value of the PCRs; empty when it was not given. */
struct bh_span ev_tpm2_pcr(const struct ev_tpm2_pcrs *pcrs, enum ev_tpm2_bank bank, unsigned index);
/** Every PCR that the quote covers has a value, and their digest is the quoted one. */
enum bh_err ev_tpm2_check_pcrs(const struct ev_tpm2 *t, struct ev_report *report);

/* ---- tpm2_cert.c ---- */

/** Certificates in one of the forms of the collection. BH_ERR_MALFORMED, BH_ERR_TOO_LARGE. */
BH_MUST_USE enum bh_err ev_tpm2_certs_read(
    struct bh_span bytes, struct ev_tpm2_certs *ret_certs, struct bh_diag *diag);
void ev_tpm2_certs_clear(struct ev_tpm2_certs *certs);
/** The AK certificate's path to an anchor, and that it is of a key that signs. Fills
 * t->not_after. */
enum bh_err ev_tpm2_check_cert(
    struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report, bool *ret_simulated);

/* ---- tpm2_hcl.c ---- */

/** Read Azure's report and the evidence in it; @p cmw has the hardware's own records. */
enum bh_err ev_tpm2_hcl_read(struct bh_span bytes, const struct bh_cmw *cmw,
    struct ev_tpm2_hcl *ret_hcl, struct ev_report *report);
void ev_tpm2_hcl_clear(struct ev_tpm2_hcl *hcl);
/** The label of a collection belongs to the hardware's evidence. */
bool ev_tpm2_hcl_label(const char *label);
/** The hardware's evidence, authentic or not, speaks of the document. */
enum bh_err ev_tpm2_check_hcl(const struct ev_tpm2 *t, struct ev_report *report);

/* ---- tpm2_events.c ---- */

/** Replay the log, where there is one, to the quoted PCRs; fills t->replayed. */
enum bh_err ev_tpm2_check_log(struct ev_tpm2 *t, struct ev_report *report);
/** What the events say of Secure Boot: 1 on, 0 off, -1 when no confirmed event says it. @p sha1:
 * events of a SHA-1 bank count too. */
int ev_tpm2_secure_boot(const struct ev_tpm2 *t, bool sha1);
/**
 * Every boot loader that PCR 4 of @p bank says was started stands in @p list. BH_OK; BH_ERR_POLICY
 * and the digest in @p ret_digest, or what else is wrong in @p ret_fault.
 */
BH_MUST_USE enum bh_err ev_tpm2_boot_loaders(const struct ev_tpm2 *t, enum ev_tpm2_bank bank,
    const struct ev_hexlist *list, struct bh_span *ret_digest, const char **ret_fault);

/* ---- the functions of struct ev_platform that stand in other files ---- */

enum bh_err ev_tpm2_authenticate(void *state, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth);
enum bh_err ev_tpm2_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_tpm2_entry_free(void *refs);
enum bh_err ev_tpm2_appraise(const void *state, const struct ev_authenticity *auth,
    const void *refs, bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict,
    size_t *ret_depth);
json_t *ev_tpm2_claims(const void *state);

#endif
