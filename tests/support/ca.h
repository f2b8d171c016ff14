/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A throw-away CA for tests: root, issuing CA and leaves with EARs, made by OpenSSL's extension
 * configuration and not by the server's code. Every rule of a leaf can be broken on its own. What
 * fails here aborts the test program.
 */
#ifndef BH_TEST_CA_H
#define BH_TEST_CA_H

#include "core/ear.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct bh_test_ca {
    char domain[128];
    EVP_PKEY *root_key, *issuing_key;
    X509 *root, *issuing;
    char *root_pem;
};

/** How a root may be: NULL stands for the regular text; "" leaves the extension out. */
struct bh_test_root {
    const char *domain;
    bool simulated;
    const char *name_constraints;
    const char *basic_constraints;
};

void bh_test_ca_make(struct bh_test_ca *ca, const struct bh_test_root *root);
void bh_test_ca_clear(struct bh_test_ca *ca);

/** A leaf: bh_test_leaf_init() makes a regular one; change what is to be wrong. */
struct bh_test_leaf {
    EVP_PKEY *key;         /* the leaf's; borrowed */
    const char *san;       /* OpenSSL configuration; NULL: none */
    const char *basic;     /* "critical,CA:FALSE" */
    const char *key_usage; /* NULL: none */
    const char *ext_key_usage;
    int64_t not_before, not_after;
    bool no_ear;
    bool ear_twice;
    const char *ear_type;   /* NULL: the right one */
    struct bh_span ear_raw; /* in place of the signed EAR; empty: not */
    struct bh_span ext_raw; /* in place of the whole extension value; empty: not */
    EVP_PKEY *ear_signer;   /* NULL: the issuing CA */
    struct bh_ear ear;
    char san_text[512]; /* storage of the regular san */
};
void bh_test_leaf_init(const struct bh_test_ca *ca, struct bh_test_leaf *leaf, const char *workload,
    EVP_PKEY *key, int64_t now, int64_t life);
X509 *bh_test_leaf_issue(const struct bh_test_ca *ca, const struct bh_test_leaf *leaf);

/** The server's own certificate for spiffe://<domain>/beachhead/server. */
X509 *bh_test_server_cert(const struct bh_test_ca *ca, EVP_PKEY *key, const char *spiffe_path);
/** A revocation list of the issuing CA, DER (malloc'ed); @p revoked may be NULL. */
uint8_t *bh_test_crl(
    const struct bh_test_ca *ca, const X509 *revoked, int64_t last, int64_t next, size_t *ret_len);

/** Leaf and issuing CA in PEM, malloc'ed. */
char *bh_test_chain_pem(const struct bh_test_ca *ca, X509 *leaf);
/** One certificate in PEM, malloc'ed. */
char *bh_test_pem(X509 *cert);
EVP_PKEY *bh_test_key(const char *name);

#endif
