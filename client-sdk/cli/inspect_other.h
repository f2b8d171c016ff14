/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` says of files that are not evidence. */
#ifndef BH_CLI_INSPECT_OTHER_H
#define BH_CLI_INSPECT_OTHER_H

#include "input.h"
#include "trust_inputs.h"

#include "core/ear.h"

/** "certificate", "ear", ...; "evidence"; "unknown". */
const char *bh_inspect_kind(const struct bh_input *input);

/**
 * Add to @p doc what a certificate, request, EAR, policy or checkpoint says, and to @p report what
 * was checked. With @p trust (may be NULL) it is verified too: a certificate up to the given
 * anchors or the built-in vendor roots, an EAR by the given keys or certificates, a request by its
 * own signature; a policy and a checkpoint never are.
 */
BH_MUST_USE enum bh_err bh_inspect_other(const struct bh_input *input,
    const struct bh_trust_inputs *trust, json_t *doc, struct ev_report *report);

/** Its parts for attestation results. */
BH_MUST_USE enum bh_err bh_inspect_ear(const struct bh_input *in,
    const struct bh_trust_inputs *trust, json_t *doc, struct ev_report *report);
BH_MUST_USE enum bh_err bh_inspect_jwt(const struct bh_input *in,
    const struct bh_trust_inputs *trust, json_t *doc, struct ev_report *report);
/** Decode the claims of a CWT, verified where @p issuer is not NULL. */
BH_MUST_USE enum bh_err bh_ear_claims(
    struct bh_span cwt, EVP_PKEY *issuer, struct bh_ear *ear, struct bh_diag *diag);

/** Put the failure @p diag into @p report; @p check and @p expected stand where it names none. */
enum bh_err bh_inspect_refused(struct ev_report *report, const struct bh_diag *diag,
    const char *source, const char *check, const char *expected);

#endif
