/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of certificate revocation lists (RFC 5280, 5) that come with evidence: version 2,
 * DER without trailing bytes, with a nextUpdate, no critical extension, so neither delta nor
 * indirect lists. It verifies nothing; who verifies the signature takes tbs, algorithm and
 * signature.
 */
#ifndef EV_CRL_H
#define EV_CRL_H

#include "core/err.h"

/** Spans borrow from the DER. */
struct ev_crl {
    struct bh_span der;
    struct bh_span tbs;       /* what is signed, with its head */
    struct bh_span algorithm; /* AlgorithmIdentifier of the signature, with its head */
    struct bh_span signature;
    struct bh_span issuer;  /* Name, with its head */
    struct bh_span revoked; /* content of revokedCertificates; empty when there are none */
    int64_t this_update, next_update;
};

/** Read one list that fills @p der exactly, each of its entries included. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_crl_read(
    struct bh_span der, struct ev_crl *ret_crl, struct bh_diag *diag);

/** The list revokes the certificate of this serial (the content of its INTEGER). */
bool ev_crl_revokes(const struct ev_crl *crl, struct bh_span serial);

#endif
