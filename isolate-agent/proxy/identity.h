/* SPDX-License-Identifier: Apache-2.0 */
/* A key pair and the certificate that attests it, ready to serve with. */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include "core/err.h"

#include "beachhead/verify.h"

#include <openssl/ssl.h>

struct agent_identity {
    SSL_CTX *ctx; /* for new connections */
    char *pem;    /* leaf and issuing CA */
    EVP_PKEY *key;
    bh_peer *peer; /* what the certificate says, as verified */
};

/**
 * Verify the chain in @p pem against @p trust as of @p now, for @p workload and @p key
 * (referenced), and make a TLS 1.3 server context of it. A warning is accepted here: it is the
 * clients who judge.
 */
BH_MUST_USE enum bh_err agent_identity_make(const bh_trust *trust, const char *workload,
    EVP_PKEY *key, const char *pem, int64_t now, struct agent_identity **ret_identity,
    struct bh_diag *diag);
/** Takes NULL. */
void agent_identity_free(struct agent_identity *identity);

/**
 * Write tls.crt (leaf and issuing CA), tls.key (PKCS#8, mode 0600) and root.crt into @p dir, which
 * is made (0700) when it is missing. Each file is replaced as a whole. The key stands before the
 * certificate that belongs to it is seen.
 */
BH_MUST_USE enum bh_err agent_identity_write(const struct agent_identity *identity, const char *dir,
    struct bh_span roots_pem, struct bh_diag *diag);

/** Put a public failure of the library into @p diag. */
enum bh_err agent_diag_of(const bh_failure *failure, struct bh_diag *diag);

#endif
