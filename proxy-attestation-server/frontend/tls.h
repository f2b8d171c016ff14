/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's own certificate, its key and the key of session tickets: one identity, which the
 * parent may replace while handshakes with the old one are under way.
 */
#ifndef PAS_FRONTEND_TLS_H
#define PAS_FRONTEND_TLS_H

#include "core/err.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

struct pas_fe_tls;

BH_MUST_USE enum bh_err pas_fe_tls_new(struct pas_fe_tls **ret_tls, struct bh_diag *diag);
void pas_fe_tls_free(struct pas_fe_tls *tls);
/**
 * Take the identity of a PAS_CTL_TLS payload (vec32 PEM chain, vec32 PEM key) into use. The key
 * must be the first certificate's. On failure the one in use stays. Old ones live until
 * pas_fe_tls_sweep().
 */
BH_MUST_USE enum bh_err pas_fe_tls_load(
    struct pas_fe_tls *tls, struct bh_span payload, struct bh_diag *diag);
bool pas_fe_tls_loaded(const struct pas_fe_tls *tls);
/** The identity for a handshake: as gnutls_certificate_retrieve_function2. Borrowed. */
int pas_fe_tls_identity(struct pas_fe_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_len,
    gnutls_privkey_t *ret_key);
/** Let clients of @p session resume it for an hour, or until the identity is replaced. */
void pas_fe_tls_tickets(struct pas_fe_tls *tls, gnutls_session_t session);
/** Free identities that were replaced more than @p older_ms ago. */
void pas_fe_tls_sweep(struct pas_fe_tls *tls, uint64_t older_ms);

/** Priorities: TLS 1.3, and 1.2 with forward secrecy when @p tls12. */
const char *pas_fe_tls_priorities(bool tls12);

#endif
