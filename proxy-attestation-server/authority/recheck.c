/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the authority checks by itself before it certifies. A verifier has parsed hostile input: its
 * word counts for what the evidence says, and for nothing that can be known without the evidence.
 */
#include "authority.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

static enum bh_err
check_challenge(struct pas_authority *a, struct pas_terms *terms, struct bh_diag *diag)
{
    const struct pas_issue *m = &a->issue;
    enum bh_err e;

    if ((e = pas_challenge_check(
             &a->challenges, m->challenge, a->now, &terms->challenge_expires_at, diag)) != BH_OK)
        return e;
    if (bh_sha2(256, m->challenge, terms->hash) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "SHA-256");
    const bool used = pas_spent_lately(a, terms->hash);
    if (!used && !pas_pending_has(a, terms->hash))
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_CHALLENGE_USED, "challenge.single_use",
        "a challenge that was not used", used ? "a used one" : "one that is being used",
        "each challenge is good for one request");
    bh_hint(diag, "ask for a new challenge");
    return e;
}

static enum bh_err
check_binding(const struct pas_issue *m, struct bh_diag *diag)
{
    uint8_t binding[BH_BINDING_LEN];
    char check[BH_CHECK_MAX], expected[2 * BH_BINDING_LEN + 1], found[2 * BH_BINDING_LEN + 1];
    enum bh_err e;

    if ((e = bh_binding(m->challenge, m->spki, m->context, binding)) != BH_OK)
        return bh_fail(diag, e, "the binding cannot be computed");
    if (memcmp(binding, m->binding, sizeof(binding)) == 0)
        return BH_OK;
    (void)snprintf(check, sizeof(check), "%s.binding", m->verdict.submod.platform);
    return bh_refuse(diag, BH_ERR_BINDING, check,
        bh_hex(bh_span(binding, sizeof(binding)), expected, sizeof(expected)),
        bh_hex(bh_span(m->binding, sizeof(m->binding)), found, sizeof(found)),
        "the evidence is not about this challenge, key and context");
}

static enum bh_err
check_policy(struct pas_authority *a, struct pas_terms *terms, struct bh_diag *diag)
{
    const struct pas_issue *m = &a->issue;
    const struct ev_verdict *v = &m->verdict;
    struct pas_generation *g = pas_generation_find(a, m->generation);
    char expected[65], found[65];
    enum bh_err e;

    if (g == NULL) {
        e = bh_refuse(diag, BH_ERR_OVERLOADED, "policy.generation", "the policy in force",
            "one that was replaced", "the policy changed while the evidence was judged");
        bh_hint(diag, "try again with a new challenge");
        return e;
    }
    g->used = true;
    if ((terms->policy = pas_generation_policy(g, m->workload)) == NULL) {
        e = bh_refuse(diag, BH_ERR_WORKLOAD_UNKNOWN, "workload", NULL, NULL,
            "there is no policy for the workload %.*s", (int)m->workload.len,
            (const char *)m->workload.ptr);
        bh_hint(diag, "the administrator adds a policy file for it and reloads the server");
        return e;
    }
    if (memcmp(ev_policy_digest(terms->policy), v->submod.policy_digest, 32) != 0)
        return bh_refuse(diag, BH_ERR_POLICY, "policy.digest",
            bh_hex(bh_span(ev_policy_digest(terms->policy), 32), expected, sizeof(expected)),
            bh_hex(bh_span(v->submod.policy_digest, 32), found, sizeof(found)),
            "the verdict was reached by another policy");
    if (!ev_policy_has_platform(terms->policy, v->submod.platform))
        return bh_refuse(diag, BH_ERR_REFERENCE_MISSING, "policy.platform",
            "an entry for the platform", v->submod.platform,
            "the policy has no entry for this platform");
    return BH_OK;
}

static enum bh_err
check_verdict(const struct pas_authority *a, const struct pas_terms *terms, struct bh_diag *diag)
{
    const struct ev_verdict *v = &a->issue.verdict;
    enum bh_err e;

    if (v->simulated && !a->child.config.allow_simulated) {
        e = bh_refuse(diag, BH_ERR_SIMULATED, "simulated", "evidence of hardware",
            "a simulated device", "this server does not accept simulated devices");
        bh_hint(diag, "only `beachhead-server init --allow-simulated` makes a server that does");
        return e;
    }
    if (v->simulated != ev_policy_simulated(terms->policy))
        return bh_refuse(diag, BH_ERR_SIMULATED, "simulated",
            v->simulated ? "evidence of hardware" : "a simulated device",
            v->simulated ? "a simulated device" : "evidence of hardware",
            "the workload's policy has no entry of this kind");
    if (v->submod.status != BH_EAR_WARNING &&
        (v->submod.status != BH_EAR_AFFIRMING || v->simulated))
        return bh_refuse(diag, BH_ERR_POLICY, "ear.status",
            v->simulated ? "warning" : "affirming or warning", bh_ear_status_name(v->submod.status),
            "nothing is issued on a verdict of this status");
    return BH_OK;
}

static enum bh_err
check_key(const struct pas_issue *m, const struct ev_profile *profile, struct bh_diag *diag)
{
    struct bh_span point;
    const char *name = "another key";
    enum bh_err e;

    if (bh_spki_point(m->spki, &name, &point) == BH_OK &&
        ((profile->key_p256 && strcmp(name, "P-256") == 0) ||
            (profile->key_p384 && strcmp(name, "P-384") == 0) ||
            (profile->key_ed25519 && strcmp(name, "Ed25519") == 0)))
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_POLICY, "csr.key", "a key type that the policy allows", name,
        "the policy does not allow keys of this type");
    bh_hint(diag, "certificate.keys of the policy lists what it allows");
    return e;
}

/* The shortest of all bounds; the beginning lies back by the clock skew, within the CA's own life.
 */
static enum bh_err
set_validity(const struct pas_authority *a, struct pas_terms *terms, struct bh_diag *diag)
{
    const struct pas_config *config = &a->child.config;
    const struct ev_verdict *v = &a->issue.verdict;
    const struct ev_profile *profile = ev_policy_profile(terms->policy);
    char expected[BH_TIME_MAX + 8], found[BH_TIME_MAX];
    int64_t lifetime = profile->lifetime > 0 ? profile->lifetime : config->certificate_lifetime;
    int64_t end;

    if (lifetime > config->certificate_lifetime_max)
        lifetime = config->certificate_lifetime_max;
    end = a->now + lifetime;
    if (v->not_after > 0 && v->not_after < end)
        end = v->not_after;
    if (a->issuer_not_after < end)
        end = a->issuer_not_after;
    if (end <= a->now) {
        (void)snprintf(expected, sizeof(expected), "after %s", bh_time_text(a->now, found));
        if (a->issuer_not_after <= a->now)
            return bh_refuse(diag, BH_ERR_INTERNAL, "ca/issuing.crt", expected,
                bh_time_text(end, found), "the issuing CA's certificate has expired");
        return bh_refuse(diag, BH_ERR_COLLATERAL_EXPIRED, "certificate.lifetime", expected,
            bh_time_text(end, found), "what the verdict rests on has expired");
    }
    terms->not_after = end;
    terms->not_before = a->now - config->clock_skew;
    if (terms->not_before < a->issuer_not_before)
        terms->not_before = a->issuer_not_before;
    return BH_OK;
}

enum bh_err
pas_issue_recheck(struct pas_authority *a, struct pas_terms *ret_terms, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = check_challenge(a, ret_terms, diag)) != BH_OK ||
        (e = check_binding(&a->issue, diag)) != BH_OK ||
        (e = check_policy(a, ret_terms, diag)) != BH_OK ||
        (e = check_verdict(a, ret_terms, diag)) != BH_OK ||
        (e = check_key(&a->issue, ev_policy_profile(ret_terms->policy), diag)) != BH_OK)
        return e;
    return set_validity(a, ret_terms, diag);
}
