/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` says of files that are not evidence. */
#ifndef BH_CLI_INSPECT_OTHER_H
#define BH_CLI_INSPECT_OTHER_H

#include "input.h"
#include "trust_inputs.h"

/**
 * One document {"kind": ..., ...} about a certificate, request, EAR, policy or checkpoint. With @p
 * trust (may be NULL) it is verified too, and the document says "authentic": a certificate up to
 * the given anchors, an EAR by the given keys or certificates, a request by its own signature. @p
 * ret_doc may be set on failure too; NULL when there is nothing to say.
 */
BH_MUST_USE enum bh_err bh_inspect_other(const struct bh_input *input,
    const struct bh_trust_inputs *trust, json_t **ret_doc, struct bh_diag *diag);

#endif
