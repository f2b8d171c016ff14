/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates above a simulated SEV-SNP report, of the shape of AMD's: ARK and ASK (or ASVK)
 * of RSA-4096, VCEK (or VLEK) of P-384, all signed with RSASSA-PSS of SHA-384, under names that say
 * SIMULATED. Genuine leaves say in extensions of their own which chip, firmware or provider they
 * are for (AMD 57230, 3).
 */
#ifndef AGENT_AMD_CHAIN_H
#define AGENT_AMD_CHAIN_H

#include "core/err.h"

#include <openssl/x509.h>

enum agent_amd_level {
    AGENT_AMD_ARK,
    AGENT_AMD_ASK, /* and ASVK */
    AGENT_AMD_VCEK,
    AGENT_AMD_VLEK,
};

#define AGENT_AMD_SPLS 10 /* by the last number of their extension, 1 to 9 */
#define AGENT_AMD_NO_SPL (-1)

/** What the extensions of a leaf say. */
struct agent_amd_leaf {
    const char *product;     /* "Milan-B0"; NULL leaves it out */
    int spl[AGENT_AMD_SPLS]; /* AGENT_AMD_NO_SPL leaves one out */
    struct bh_span hwid;     /* empty: left out */
    bool hwid_wrapped;       /* in an OCTET STRING */
    const char *csp_id;      /* NULL: left out */
};

struct agent_amd_request {
    enum agent_amd_level level;
    const char *cn; /* "ARK-Milan", "SEV-Milan", "SEV-VLEK-Milan", "SEV-VCEK", "SEV-VLEK" */
    long serial;
    EVP_PKEY *key; /* certified */
    X509 *issuer;  /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    int64_t not_before, not_after;
    struct agent_amd_leaf leaf;
    /* Faults: how the certificate differs from a genuine one. */
    const char *basic_constraints, *key_usage; /* instead of the level's; "" leaves it out */
    int salt_len;                              /* 0: 48 */
};

/** Make one certificate. X509_free() it. */
BH_MUST_USE enum bh_err agent_amd_cert_make(
    const struct agent_amd_request *request, X509 **ret_cert, struct bh_diag *diag);

#define AGENT_AMD_RSA "RSA-4096" /* the curve, so to speak, of a key slot */
/** An RSA-4096 key of four primes: ten times sooner made than one of two, and verified alike. */
BH_MUST_USE enum bh_err agent_amd_rsa_make(EVP_PKEY **ret_key, struct bh_diag *diag);

#define AGENT_AMD_TABLE_MAX (16 * 1024)
enum agent_amd_entry {
    AGENT_AMD_ENTRY_VCEK,
    AGENT_AMD_ENTRY_VLEK,
    AGENT_AMD_ENTRY_ASK,
    AGENT_AMD_ENTRY_ARK,
    AGENT_AMD_ENTRIES,
};
/** The GHCB certificate table (AMD 56421) of the certificates that are not NULL, by kind, into
 * @p out of AGENT_AMD_TABLE_MAX bytes. */
BH_MUST_USE enum bh_err agent_amd_table(
    X509 *const certs[AGENT_AMD_ENTRIES], uint8_t *out, size_t *ret_len, struct bh_diag *diag);

#endif
