/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a simulated Nitro machine: root, region, zone, instance and leaf, all P-384
 * with SHA-384, of the shape and life spans of the real ones, under names that say SIMULATED.
 */
#ifndef AGENT_CHAIN_H
#define AGENT_CHAIN_H

#include "core/err.h"

#include <openssl/x509.h>

#define AGENT_NITRO_REGION "sim-east-1"
#define AGENT_NITRO_LEAF_LIFE (3 * 3600)

enum agent_level {
    AGENT_LEVEL_ROOT,
    AGENT_LEVEL_REGION,
    AGENT_LEVEL_ZONE,
    AGENT_LEVEL_INSTANCE,
    AGENT_LEVEL_LEAF,
};

struct agent_cert_request {
    enum agent_level level;
    const char *cn;
    EVP_PKEY *key; /* certified */
    X509 *issuer;  /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    int64_t not_before, not_after;
};

/** Make one certificate. X509_free() it. */
BH_MUST_USE enum bh_err agent_cert_make(
    const struct agent_cert_request *request, X509 **ret_cert, struct bh_diag *diag);

#endif
