/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded attestation document of an AWS Nitro Enclave or of a NitroTPM ("AWS Nitro
 * Enclaves: attestation process", user guide and aws-nitro-enclaves-nsm-api), shared by the files
 * of this format alone.
 *
 * Names of the checks. Well-formed: "aws-nitro.envelope", ".protected", ".payload", and a field's
 * own name (".module_id", ".digest", ".timestamp", ".pcrs", ".certificate", ".cabundle",
 * ".public_key",
 * ".user_data", ".nonce"). Bound: ".binding", ".public_key". Authentic: ".chain", ".validity",
 * ".signature",
 * ".module_id", ".timestamp". Appraised: ".pcrs" (a NitroTPM), ".debug", ".pcr0" to ".pcr31".
 */
#ifndef EV_AWS_NITRO_H
#define EV_AWS_NITRO_H

#include "cert.h"
#include "platform.h"

#include "core/cose.h"

#define EV_NITRO_PCRS 32
#define EV_NITRO_BUNDLE_MAX 8

/** null, absent and empty are three different things. */
struct ev_nitro_optional {
    enum {
        EV_NITRO_ABSENT,
        EV_NITRO_NULL,
        EV_NITRO_BYTES,
    } is;
    struct bh_span bytes;
};

/** Spans borrow from the document. */
struct ev_nitro {
    struct bh_cose cose;
    bool tpm; /* the document has nitrotpm_pcrs: an EC2 instance, not an enclave */
    struct bh_span module_id;
    struct bh_span digest;
    uint64_t timestamp;                 /* milliseconds since 1970 */
    struct bh_span pcrs[EV_NITRO_PCRS]; /* length 0: absent */
    struct ev_cert leaf;
    size_t bundle_len;
    struct ev_cert bundle[EV_NITRO_BUNDLE_MAX]; /* root first */
    struct ev_nitro_optional public_key, user_data, nonce;
};

/** PCR0 to PCR2 hold no measurement: zero, or not there. */
bool ev_nitro_debug(const struct ev_nitro *nitro);

/** The functions of struct ev_platform that stand in other files. */
enum bh_err ev_nitro_authenticate(void *state, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth);
enum bh_err ev_nitro_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_nitro_entry_free(void *refs);
enum bh_err ev_nitro_appraise(const void *state, const struct ev_authenticity *auth,
    const void *refs, bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict,
    size_t *ret_depth);
/** Refuses a NitroTPM's document where an enclave's is expected. */
enum bh_err ev_nitro_check_enclave(const struct ev_nitro *nitro, struct ev_report *report);

#endif
