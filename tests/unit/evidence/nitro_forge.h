/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nitro documents made to be wrong in one way: a chain of the shape and algorithms of the real
 * one under a root of the test's own, and documents signed by its leaf.
 */
#ifndef NITRO_FORGE_H
#define NITRO_FORGE_H

#include "evidence/evidence.h"

#define FORGE_CERTS 5 /* root, region, zone, instance, leaf */
#define FORGE_LEAF (FORGE_CERTS - 1)
#define FORGE_NOW INT64_C(1800000000)
#define FORGE_MODULE "i-0123456789abcdef0-enc0123456789abcdef"
#define FORGE_DOCUMENT_MAX (32 * 1024)

/** How one certificate is made; forge_plan() fills in what is right. */
struct forge_cert_plan {
    const char *curve;
    const char *cn;
    int64_t not_before, not_after;
    int ca;            /* -1: no basicConstraints */
    int path_len;      /* -1: none */
    const char *usage; /* NULL: none */
    const char
        *extra; /* another extension, as OpenSSL's configuration writes it: "OID" and value */
    const char *extra_value;
    bool self_issued_by_stranger; /* signed by a key that is nobody's */
    const char *issuer_cn;        /* NULL: the subject before it */
};

struct forge_chain {
    EVP_PKEY *keys[FORGE_CERTS];
    X509 *certs[FORGE_CERTS];
    uint8_t der[FORGE_CERTS][1024];
    size_t der_len[FORGE_CERTS];
};

void forge_plan(struct forge_cert_plan plan[FORGE_CERTS], const char *root_cn);
void forge_chain_make(struct forge_chain *chain, const struct forge_cert_plan plan[FORGE_CERTS]);
void forge_chain_clear(struct forge_chain *chain);
/** The right chain in one call, under a root of this name. */
void forge_chain_right(struct forge_chain *chain, const char *root_cn);

enum forge_field {
    FORGE_ABSENT,
    FORGE_NULL,
    FORGE_BYTES,
};

/** How one document is made; forge_document() fills in what is right. */
struct forge_doc {
    const char *module_id;
    const char *digest;
    uint64_t timestamp;
    bool indefinite, tagged;
    unsigned pcrs;   /* how many, from 0 */
    uint8_t pcr[32]; /* the byte that each PCR is filled with */
    size_t pcr_len;
    bool no_pcr0; /* PCR0 left out */
    bool pcrs_key, tpm_key;
    enum forge_field nonce_is, public_key_is, user_data_is;
    struct bh_span nonce, public_key, user_data;
    /* Faults. */
    const char *without;                   /* this key is left out */
    const char *twice;                     /* this key stands twice */
    const char *extra_key;                 /* a key that does not exist */
    size_t leaf_trailing, bundle_trailing; /* zero bytes behind the leaf, behind cabundle[1] */
    size_t payload_trailing, document_trailing;
    bool no_bundle;
    size_t bundle_copies; /* of the root, behind the others */
    bool chunked_user_data;
    struct bh_span protected_; /* empty: a1013822 */
    bool unprotected_kid;
    bool timestamp_is_text;
    bool signature_cut;
    bool high_s; /* n - s, whether or not it is the higher one */
};

void forge_document(struct forge_doc *doc);
/** The bytes, malloc'ed. */
uint8_t *forge_make(const struct forge_chain *chain, const struct forge_doc *doc, size_t *ret_len);

/** A trust with the chain's root as the one anchor, at FORGE_NOW, age and skew of a server. */
void forge_trust(struct ev_trust *trust, const struct forge_chain *chain, bool simulated);

#endif
