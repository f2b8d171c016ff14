/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appraisal policy of one workload: JSON in, compiled reference values out.
 * Strict: unknown keys, duplicate keys, all-zero values and entries that do not pin
 * code, platform state and owner are errors with file, field and reason.
 */
#ifndef EV_POLICY_H
#define EV_POLICY_H

#include "core/err.h"

#define EV_POLICY_DNS_MAX 16

struct ev_policy; /* immutable once parsed */

/** Certificate profile of a workload. Strings borrowed from the policy. */
struct ev_profile {
    int64_t lifetime; /* seconds; 0: the server's default */
    size_t dns_len;
    const char *dns[EV_POLICY_DNS_MAX];
    bool key_p256, key_p384, key_ed25519; /* allowed key types */
};

/**
 * Parse and check one policy. Failures name the field ("accept[1].pcrs.0") in diag->check
 * with a `policy.` prefix. ev_policy_free() frees.
 */
BH_MUST_USE enum bh_err ev_policy_parse(
    struct bh_span json, struct ev_policy **ret_policy, struct bh_diag *diag);
void ev_policy_free(struct ev_policy *policy);

const char *ev_policy_workload(const struct ev_policy *policy);
const struct ev_profile *ev_policy_profile(const struct ev_policy *policy);
/** Every entry is for simulated devices (mixed policies do not parse). */
bool ev_policy_simulated(const struct ev_policy *policy);
/** The policy has an entry for the platform. */
bool ev_policy_has_platform(const struct ev_policy *policy, const char *platform);
/** RFC 8785 form (borrowed, NUL-terminated) and its SHA-256, the policy digest. */
const char *ev_policy_canonical(const struct ev_policy *policy);
const uint8_t *ev_policy_digest(const struct ev_policy *policy);

#endif
