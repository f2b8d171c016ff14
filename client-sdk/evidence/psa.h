/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded PSA token, between the file that reads it (psa.c) and the one that appraises it
 * (psa_policy.c). */
#ifndef EV_PSA_H
#define EV_PSA_H

#include "arm.h"

#include "core/cose.h"

#define EV_PSA_SOURCE "RFC 9783"

enum ev_psa_claim {
    EV_PSA_NONCE,
    EV_PSA_INSTANCE,
    EV_PSA_PROFILE,
    EV_PSA_CLIENT,
    EV_PSA_LIFECYCLE,
    EV_PSA_IMPLEMENTATION,
    EV_PSA_BOOT_SEED,
    EV_PSA_CERTIFICATION,
    EV_PSA_SOFTWARE,
    EV_PSA_VERIFICATION,
    EV_PSA_NO_SOFTWARE, /* PSA_IOT_PROFILE_1 only */
    EV_PSA_CLAIMS,
};

struct ev_psa_profile {
    const char *name;
    const struct ev_arm_rule *rules;
    size_t rules_len;
    bool p1;
};

struct ev_psa_token {
    struct bh_cose cose;
    const struct ev_psa_profile *profile;
    struct ev_arm_value claims[EV_PSA_CLAIMS];
    struct ev_arm_components software; /* none when EV_PSA_NO_SOFTWARE is claimed */
};

/** See struct ev_platform. */
enum bh_err ev_psa_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_psa_entry_free(void *refs);
enum bh_err ev_psa_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth);

#endif
