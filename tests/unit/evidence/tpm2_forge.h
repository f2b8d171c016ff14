/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM evidence made to be wrong in one way: quotes signed by keys of OpenSSL's, with PCR values and
 * an event log that fit, and certificates of AKs.
 */
#ifndef TPM2_FORGE_H
#define TPM2_FORGE_H

#include "tpm2_judge.h"

#include "evidence/tpm2.h"

#define TPM2_NOW INT64_C(1800000000)
#define TPM2_DAY INT64_C(86400)
#define TPM2_AK_ATTRIBUTES 0x00050072

#define ALG_SHA1 0x0004
#define ALG_SHA256 0x000b
#define ALG_SHA384 0x000c
#define ALG_NULL 0x0010

struct tpm2_select {
    uint16_t algorithm;
    uint8_t size;
    uint32_t pcrs;
};

/** How one piece of evidence is made; tpm2_plan() fills in what is right: PCR 0 to 9 of SHA-256. */
struct tpm2_plan {
    EVP_PKEY *key;
    uint16_t scheme, hash; /* of the signature */
    uint16_t ak_scheme, ak_hash, ak_type, name_alg;
    uint32_t attributes;
    uint32_t magic;
    uint16_t type;
    uint8_t safe;
    uint32_t reset_count;
    uint8_t extra[66];
    size_t extra_len;
    uint32_t count; /* of selections, as the quote says it */
    size_t selections_len;
    struct tpm2_select selections[5];
    uint8_t pcrs[EV_TPM2_BANKS][EV_TPM2_PCRS][64];
    uint16_t digest_hash; /* of the PCRs, instead of the signature's */
    size_t trailing;      /* bytes after the quote, signed with it */
    EVP_PKEY *signs;      /* instead of the key */
    uint8_t log[8192];
    size_t log_len;
};

/** @p curve: "P-256", "P-384", "P-521", or "RSA-2048", "RSA-1024". */
EVP_PKEY *tpm2_key(const char *kind);
void tpm2_plan(struct tpm2_plan *plan, EVP_PKEY *key);

struct tpm2_forged {
    uint8_t quote[2048], signature[1024], ak[1024];
    char *pcrs;
    struct tpm2_parts parts; /* quote, signature, pcrs, ak, and the log where there is one */
};
void tpm2_forge(struct tpm2_forged *f, const struct tpm2_plan *plan);
void tpm2_forged_clear(struct tpm2_forged *f);

/** A crypto-agile log of SHA-256 and SHA-384; each event is extended into the plan's PCRs. */
void tpm2_log_begin(struct tpm2_plan *plan);
/** An event whose digests are those of @p measured; @p data stands beside. */
void tpm2_log_event(struct tpm2_plan *plan, uint32_t pcr, uint32_t type, struct bh_span data,
    struct bh_span measured);
/** What firmware measures: SecureBoot into PCR 7, then PCR 4 until its separator. */
void tpm2_log_start(struct tpm2_plan *plan, bool secure_boot);
/** A boot loader that firmware starts; its digest is SHA-256 of @p code. */
void tpm2_log_loader(struct tpm2_plan *plan, const char *code);

/** A certificate of @p key for @p cn; self-signed where @p issuer is NULL. Extensions in OpenSSL's
 * configuration form, NULL-terminated pairs; @p from and @p to are Unix seconds. */
X509 *tpm2_cert(EVP_PKEY *key, const char *cn, X509 *issuer, EVP_PKEY *issuer_key,
    const char *const *extensions, int64_t from, int64_t to);

/** The forgery is authentic under its endorsement; or refused with this error by this check. */
void tpm2_forge_holds(const struct tpm2_plan *plan, const char *what);
void tpm2_forge_refused(
    const struct tpm2_plan *plan, enum bh_err err, const char *check, const char *what);

#endif
