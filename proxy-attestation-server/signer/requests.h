/* SPDX-License-Identifier: Apache-2.0 */
/* The two typed requests that the signer serves; what they do not fit, it does not sign. */
#ifndef PAS_REQUESTS_H
#define PAS_REQUESTS_H

#include "signer/issuing.h"

/** Room for one answer, reused from request to request. */
struct pas_signing {
    const struct pas_issuing *issuing; /* borrowed */
    int64_t now;                       /* set before each request */
    struct bh_ear ear;
    uint8_t cwt[BH_EAR_MAX + 256];
    uint8_t certificate[PAS_LEAF_MAX];
    uint8_t reply[BH_EAR_MAX + PAS_LEAF_MAX + 1024];
};

/**
 * Serve one request of @p type (PAS_SIGN_CERTIFICATE, PAS_SIGN_JWT): the payload of PAS_SIGNED in
 * @p ret_reply (borrowed from @p s), or the error and its diag for PAS_NOT_SIGNED. BH_ERR_MALFORMED
 * with check "signer.request" when the payload does not decode: the peer is not to be trusted any
 * more.
 */
BH_MUST_USE enum bh_err pas_signing_serve(struct pas_signing *s, uint16_t type,
    struct bh_span payload, struct bh_span *ret_reply, struct bh_diag *diag);

#endif
