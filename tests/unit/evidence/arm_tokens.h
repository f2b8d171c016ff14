/* SPDX-License-Identifier: Apache-2.0 */
/* Forged and genuine PSA and CCA tokens, made here by writers of the tests' own, and their judging.
 */
#ifndef ARM_TOKENS_H
#define ARM_TOKENS_H

#include "core/cose.h"
#include "core/writer.h"
#include "evidence/platform.h"

/* ---- judging ---- */

/** One key for every instance, or none. */
struct endorser {
    bool unknown;
    struct ev_endorsement endorsement;
};

/** Trust in @p endorser alone. */
struct ev_trust trust_in(struct endorser *endorser);
/** The endorser of a key file of the recorded evidence; aborts when there is none. */
struct endorser endorser_of(const char *vector);
/** The endorser of a test's key. */
struct endorser endorser_of_key(EVP_PKEY *key);

/** Decode (as @p type, or by its form when NULL) and authenticate; the report says what failed. */
enum bh_err judge(struct bh_span raw, const char *type, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev);
/** judge() must fail with @p err and @p check. */
void must_refuse(struct bh_span raw, const char *type, const struct ev_trust *trust,
    enum bh_err err, const char *check, const char *what);
/** judge() must succeed. */
void must_hold(
    struct bh_span raw, const char *type, const struct ev_trust *trust, const char *what);
/** Like must_hold(), then appraise against a policy of the one entry @p entry. */
enum bh_err appraise(struct bh_span raw, const char *type, const struct ev_trust *trust,
    const char *entry, struct ev_report *report, struct ev_verdict *ret_verdict);

/* ---- making ---- */

#define TOKEN_MAX 8192
struct bytes {
    uint8_t buf[TOKEN_MAX];
    size_t len;
};
struct bh_span span_of(const struct bytes *b);

/** A map of claims in the making. */
struct claims {
    struct bh_writer w;
    uint8_t buf[TOKEN_MAX];
    size_t pairs;
};
void claims_init(struct claims *c);
void claim_bytes(struct claims *c, int64_t key, const void *bytes, size_t len);
/** @p len times the byte @p fill, the first one @p first. */
void claim_fill(struct claims *c, int64_t key, uint8_t first, uint8_t fill, size_t len);
void claim_text(struct claims *c, int64_t key, const char *text);
void claim_int(struct claims *c, int64_t key, int64_t value);
/** A value that is @p encoded already. */
void claim_raw(struct claims *c, int64_t key, struct bh_span encoded);
/** The whole map. */
struct bytes claims_end(const struct claims *c);

/** COSE_Sign1, tagged. */
struct bytes sign(struct bh_span payload, EVP_PKEY *key);
/** The same without alg in the protected header; the signature holds if ES256 is assumed. */
struct bytes sign_without_alg(struct bh_span payload, EVP_PKEY *key);
/** Decode hex. */
struct bytes unhex(const char *hex);

/** What a PSA token says; psa_shape() gives a good one of RFC 9783. */
struct psa_shape {
    int family;          /* 0: PSA_IOT_PROFILE_1, 1: http://arm.com/psa/2.0.0, 2: RFC 9783 */
    const char *profile; /* NULL: that of the family; "": no claim */
    uint8_t binding[64];
    size_t binding_len;
    int64_t client, lifecycle;
    size_t instance_len;
    uint8_t instance_first;
    size_t components; /* 0: the no-measurements claim of family 0; no claim at all of the others */
    bool no_signer;
    bool both_software; /* family 0: components and no-measurements claim */
    int64_t mixed_key;  /* a claim of another family beside; 0: none */
    int64_t drop;       /* leave this claim out; 0: none */
};
struct psa_shape psa_shape(void);
struct bytes psa_payload(const struct psa_shape *shape);

/** What a CCA token says; cca_shape() gives a good one. */
struct cca_shape {
    int container; /* 399 or 907 */
    uint64_t record_type;
    const char *platform_profile; /* "": no claim */
    const char *realm_profile;    /* NULL: no claim, RAK a raw point */
    bool odd_rak;                 /* the other encoding than the profile's */
    bool unbound;                 /* platform challenge not the hash of the RAK */
    const char *rak_hash;
    uint8_t binding[64];
    size_t binding_len;
    int64_t lifecycle;
    size_t components;
    int64_t platform_drop, realm_drop;
    size_t rems;
    bool platform_without_alg, realm_without_alg;
    EVP_PKEY *cpak, *rak, *realm_signer; /* realm_signer NULL: rak */
};
struct cca_shape cca_shape(EVP_PKEY *cpak, EVP_PKEY *rak);
struct bytes cca_token(const struct cca_shape *shape);

/** A new key; aborts when there is none. */
EVP_PKEY *make_key(const char *curve);

#endif
