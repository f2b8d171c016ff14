/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded CCA token, between the file that reads it (arm_cca.c) and the one that appraises it
 * (arm_cca_policy.c). */
#ifndef EV_ARM_CCA_H
#define EV_ARM_CCA_H

#include "arm.h"

#include "core/cose.h"

#define EV_CCA_SOURCE "draft-ffm-rats-cca-token"
#define EV_CCA_REMS 4

enum ev_cca_platform_claim {
    EV_CCA_P_PROFILE,
    EV_CCA_P_CHALLENGE,
    EV_CCA_P_IMPLEMENTATION,
    EV_CCA_P_INSTANCE,
    EV_CCA_P_CONFIG,
    EV_CCA_P_LIFECYCLE,
    EV_CCA_P_SOFTWARE,
    EV_CCA_P_VERIFICATION,
    EV_CCA_P_HASH,
    EV_CCA_P_CLIENT, /* tag:arm.com,2024:cca_platform#2.0.0 only */
    EV_CCA_P_CLAIMS,
};

enum ev_cca_realm_claim {
    EV_CCA_R_PROFILE,
    EV_CCA_R_CHALLENGE,
    EV_CCA_R_PERSONALIZATION,
    EV_CCA_R_INITIAL,
    EV_CCA_R_EXTENSIBLE,
    EV_CCA_R_HASH,
    EV_CCA_R_KEY,
    EV_CCA_R_KEY_HASH,
    EV_CCA_R_INSTANCE, /* tag:arm.com,2024:realm#2.0.0 only, as is the next */
    EV_CCA_R_MEC,
    EV_CCA_R_CLAIMS,
};

#define EV_CCA_CONFIG_MAX 4096

struct ev_cca_token {
    bool lone_platform; /* a platform token without a realm token: never bound, never appraised */
    struct bh_span
        key_attestation; /* PARSEC: an encoded item whose hash the challenge is; else empty */
    struct bh_cose platform_cose;
    struct ev_arm_value platform[EV_CCA_P_CLAIMS];
    struct ev_arm_components software;
    struct bh_cose realm_cose;
    struct ev_arm_value realm[EV_CCA_R_CLAIMS];
    struct bh_span extensible[EV_CCA_REMS];
    EVP_PKEY *rak;
    unsigned rak_hash_bits;
};

/** See struct ev_platform. */
enum bh_err ev_cca_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_cca_entry_free(void *refs);
enum bh_err ev_cca_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth);
/** Every claim by its specification's name. New reference. */
json_t *ev_cca_claims(const void *state);

#endif
