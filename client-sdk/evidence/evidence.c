/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of formats, and what is common to all: dispatch by type, the order of the steps, the
 * rules for simulated evidence, the choice of the policy entry, and the status of the result.
 */
#include "platform.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ev_platform *const platforms[] = {&ev_aws_nitro, &ev_arm_cca, &ev_psa,
    &ev_amd_sev_snp, &ev_intel_sgx, &ev_intel_tdx, &ev_tpm2, &ev_aws_nitrotpm, &ev_nvidia_gpu};
static const char *const platform_names[] = {"aws-nitro", "arm-cca", "psa", "amd-sev-snp",
    "intel-sgx", "intel-tdx", "tpm2", "aws-nitrotpm", "nvidia-gpu", NULL};
#define BUILT_IN                                                                                   \
    "aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, tpm2, aws-nitrotpm, nvidia-gpu"

/* Raw bytes are offered to the pickiest first: a CCA platform token has claims of PSA's, and a PSA
 * token whose first claim is a vendor's begins like a Nitro document. */
static const struct ev_platform *const by_form[] = {&ev_nvidia_gpu, &ev_tpm2, &ev_intel_sgx,
    &ev_intel_tdx, &ev_amd_sev_snp, &ev_arm_cca, &ev_psa, &ev_aws_nitrotpm, &ev_aws_nitro};

struct ev_evidence {
    const struct ev_platform *platform;
    void *state;
    bool authentic;
    struct ev_authenticity auth;
};

const char *const *
ev_platforms(void)
{
    return platform_names;
}

bool
ev_platform_enrols(const char *name)
{
    const struct ev_platform *platform = ev_platform_find(name);

    return platform != NULL && platform->appraise != NULL;
}

const struct ev_platform *
ev_platform_find(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(platforms); i++)
        if (strcmp(platforms[i]->name, name) == 0)
            return platforms[i];
    return NULL;
}

const char *
ev_platform(const struct ev_evidence *ev)
{
    return ev->platform->name;
}

/* ---- decode ---- */

/* A collection where @p cmw is given, else one record's bytes. */
static enum bh_err
decode_as(const struct ev_platform *platform, const struct bh_cmw *cmw, struct bh_span raw,
    const char *media_type, struct ev_report *report, struct ev_evidence **ret_ev)
{
    struct ev_evidence *ev = calloc(1, sizeof(*ev));
    enum bh_err e;

    if (ev == NULL)
        return ev_refuse(
            report, BH_ERR_NOMEM, "memory", "evidence.memory", "enough memory", "too little", NULL);
    ev->platform = platform;
    e = platform->decode != NULL ? platform->decode(raw, media_type, report, &ev->state)
                                 : platform->decode_collection(cmw, raw, report, &ev->state);
    if (e != BH_OK) {
        free(ev);
        return e;
    }
    *ret_ev = ev;
    return BH_OK;
}

static enum bh_err
unsupported(struct ev_report *report, const char *type)
{
    char found[BH_VALUE_MAX];
    char hint[BH_TEXT_MAX];

    (void)snprintf(hint, sizeof(hint), "this version verifies evidence of " BUILT_IN);
    (void)snprintf(found, sizeof(found), "type \"%s\"", type);
    return ev_refuse(report, BH_ERR_UNSUPPORTED, "RFC 9999", "evidence.type",
        "evidence of " BUILT_IN, found, hint);
}

enum bh_err
ev_decode(const struct bh_cmw *cmw, struct ev_report *report, struct ev_evidence **ret_ev)
{
    static const struct bh_span none;
    const struct bh_cmw_record *record = &cmw->records[0];

    for (size_t i = 0; i < BH_COUNT(platforms) && cmw->collection; i++)
        if (platforms[i]->takes_collection != NULL && platforms[i]->takes_collection(cmw))
            return decode_as(platforms[i], cmw, none, NULL, report, ret_ev);
    if (cmw->collection)
        return unsupported(
            report, cmw->collection_type[0] != '\0' ? cmw->collection_type : "a collection");
    if (cmw->count != 1)
        return unsupported(report, "nothing");
    for (size_t i = 0; i < BH_COUNT(platforms); i++)
        if (platforms[i]->takes(record->type))
            return decode_as(platforms[i], NULL, record->value, record->type, report, ret_ev);
    return unsupported(report, record->type);
}

enum bh_err
ev_decode_raw(struct bh_span bytes, struct ev_report *report, struct ev_evidence **ret_ev)
{
    for (size_t i = 0; i < BH_COUNT(by_form); i++)
        if (by_form[i]->recognises(bytes))
            return decode_as(by_form[i], NULL, bytes, NULL, report, ret_ev);
    return ev_refuse(report, BH_ERR_UNSUPPORTED, "form of the bytes", "evidence.type",
        "evidence of " BUILT_IN, "bytes of another form",
        "give the evidence as a CMW (RFC 9999) with its media type");
}

void
ev_evidence_free(struct ev_evidence *ev)
{
    if (ev == NULL)
        return;
    ev->platform->free(ev->state);
    free(ev);
}

/* ---- bind and authenticate ---- */

enum bh_err
ev_bind(const struct ev_evidence *ev, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    return ev->platform->bind(ev->state, binding, spki, report);
}

static enum bh_err
refuse_simulated(struct ev_report *report, const char *source, const char *hint)
{
    return ev_refuse(report, BH_ERR_SIMULATED, source, "simulated", "genuine evidence",
        "evidence of a simulated device", hint);
}

enum bh_err
ev_authenticate(struct ev_evidence *ev, const struct ev_trust *trust, struct ev_report *report)
{
    struct ev_authenticity auth = {0};
    enum bh_err e;

    ev->authentic = false;
    if ((e = ev->platform->authenticate(ev->state, trust, report, &auth)) != BH_OK)
        return e;
    if (auth.simulated && !trust->allow_simulated)
        return refuse_simulated(report, "anchor",
            "simulated devices enrol only on a server that was made with --allow-simulated");
    ev->auth = auth;
    ev->authentic = true;
    return BH_OK;
}

/* ---- appraise ---- */

/* One entry's trial: several may be tried, and the one that came furthest explains the refusal. */
struct trial {
    struct ev_report report;
    struct ev_verdict verdict;
    size_t depth;
    enum bh_err err;
};

static enum bh_err
check_context(const struct ev_entry *entry, struct bh_span context, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (entry->contexts_len == 0)
        return BH_OK;
    (void)bh_hex(context, found, sizeof(found));
    for (size_t i = 0; i < entry->contexts_len; i++) {
        const struct bh_span one = bh_span(entry->contexts[i].bytes, entry->contexts[i].len);

        if (bh_span_equal(one, context)) {
            ev_pass(report, "policy", "policy.context", found, found);
            return BH_OK;
        }
    }
    (void)bh_hex(
        bh_span(entry->contexts[0].bytes, entry->contexts[0].len), expected, sizeof(expected));
    return ev_refuse(report, BH_ERR_POLICY, "policy", "policy.context", expected,
        context.len > 0 ? found : "no context",
        "the isolate committed to another configuration than the policy pins");
}

static void
try_entry(const struct ev_evidence *ev, const struct ev_entry *entry, struct bh_span context,
    bool detailed, struct trial *trial)
{
    ev_report_init(&trial->report, detailed);
    memset(&trial->verdict, 0, sizeof(trial->verdict));
    trial->depth = 0;
    trial->err = ev->platform->appraise(ev->state, &ev->auth, entry->refs, entry->debug,
        &trial->report, &trial->verdict, &trial->depth);
    if (trial->err != BH_OK)
        return;
    trial->depth++;
    trial->err = check_context(entry, context, &trial->report);
    trial->verdict.owner_pinned = entry->owner_pinned;
}

/* Add what the chosen trial recorded to the report of the whole. */
static void
adopt(struct ev_report *report, const struct ev_report *trial)
{
    for (size_t i = 0; i < trial->len; i++) {
        /* The place of a failed check is kept free by dropping the last one that held. */
        if (report->len == EV_CHECKS_MAX && trial->checks[i].ok)
            continue;
        if (report->len == EV_CHECKS_MAX)
            report->len--;
        report->checks[report->len++] = trial->checks[i];
    }
    if (trial->err != BH_OK && report->err == BH_OK) {
        report->err = trial->err;
        report->diag = trial->diag;
    }
}

static int8_t
worse_claim(int8_t a, int8_t b)
{
    const enum bh_ear_status tier_a = bh_ear_tier(a), tier_b = bh_ear_tier(b);

    return tier_b != tier_a && bh_ear_worse(tier_a, tier_b) == tier_b ? b : a;
}

/*
 * The status is the worst tier of the claims that are made (AR4SI). What lowers it must show in
 * the vector: a key that is not in the silicon makes hardware 32 ("unsafe"), debug makes
 * configuration 32: a warning, which a client must ask for; without that, admitting a debug
 * build by policy would serve nobody. Simulation claims no hardware at all and is a warning.
 */
static void
derive_status(const struct ev_authenticity *auth, struct ev_verdict *verdict)
{
    struct bh_ear_submod *submod = &verdict->submod;
    int8_t *trust = submod->trust;
    bool claimed = false;

    if (auth->simulated)
        trust[BH_TRUST_HARDWARE] = 0;
    if (auth->key_class != EV_KEY_SILICON)
        trust[BH_TRUST_HARDWARE] = 32;
    if (verdict->debug)
        trust[BH_TRUST_CONFIGURATION] = worse_claim(trust[BH_TRUST_CONFIGURATION], 32);
    submod->has_vector = true;
    submod->status = BH_EAR_AFFIRMING;
    for (size_t i = 0; i < BH_TRUST_COUNT; i++) {
        const enum bh_ear_status tier = bh_ear_tier(trust[i]);

        if (tier == BH_EAR_NONE)
            continue;
        claimed = true;
        submod->status = bh_ear_worse(submod->status, tier);
    }
    if (!claimed)
        submod->status = BH_EAR_NONE;
    if (auth->simulated)
        submod->status = bh_ear_worse(submod->status, BH_EAR_WARNING);
}

static void
complete(const struct ev_evidence *ev, const struct ev_policy *policy, struct ev_verdict *verdict)
{
    (void)snprintf(
        verdict->submod.platform, sizeof(verdict->submod.platform), "%s", ev->platform->name);
    memcpy(verdict->submod.policy_digest, ev_policy_digest(policy),
        sizeof(verdict->submod.policy_digest));
    verdict->simulated = ev->auth.simulated;
    verdict->lifetime = ev_policy_profile(policy)->lifetime;
    derive_status(&ev->auth, verdict);
}

/* No entry was even tried: either the platform has none, or only ones of the other kind. */
static enum bh_err
no_entry(const struct ev_evidence *ev, const struct ev_policy *policy, struct ev_report *report)
{
    char expected[BH_VALUE_MAX];

    if (!ev_policy_has_platform(policy, ev->platform->name)) {
        (void)snprintf(expected, sizeof(expected), "an entry for %s", ev->platform->name);
        return ev_refuse(report, BH_ERR_REFERENCE_MISSING, "policy", "policy.platform", expected,
            "none", "add an entry for the platform to the workload's policy");
    }
    if (ev->auth.simulated)
        return refuse_simulated(report, "policy",
            "only a workload whose entries say \"simulated\": true admits simulated devices");
    return ev_refuse(report, BH_ERR_REFERENCE_MISSING, "policy", "policy.platform",
        "an entry for genuine devices", "entries for simulated devices only",
        "a workload of simulated devices has no other kind: use another workload");
}

/* Whatever the policy says: such a device does not say which machine it sits in. */
static enum bh_err
beside_a_cpu_only(const struct ev_evidence *ev, struct ev_report *report)
{
    char name[BH_CHECK_MAX], hint[BH_TEXT_MAX];

    (void)snprintf(name, sizeof(name), "%s.alone", ev->platform->name);
    (void)snprintf(hint, sizeof(hint),
        "%s is appraised beside a CPU's evidence only, which this version cannot do",
        ev->platform->name);
    return ev_refuse(report, BH_ERR_UNSUPPORTED, "interface of this platform", name,
        "evidence of a CPU", "evidence of a device alone", hint);
}

enum bh_err
ev_appraise(const struct ev_evidence *ev, const struct ev_policy *policy, struct bh_span context,
    struct ev_report *report, struct ev_verdict *ret_verdict)
{
    struct trial *trials;
    struct trial *best = NULL, *next;
    enum bh_err e;

    if (!ev->authentic)
        return ev_refuse(report, BH_ERR_INTERNAL, "order of the steps", "evidence.authentic",
            "evidence that was authenticated", "evidence that was not", NULL);
    if (ev->platform->appraise == NULL)
        return beside_a_cpu_only(ev, report);
    if ((trials = malloc(2 * sizeof(*trials))) == NULL)
        return ev_refuse(
            report, BH_ERR_NOMEM, "memory", "evidence.memory", "enough memory", "too little", NULL);
    next = &trials[0];
    for (size_t i = 0; i < ev_policy_entries(policy); i++) {
        const struct ev_entry *entry = ev_policy_entry(policy, i);

        if (entry->platform != ev->platform || entry->simulated != ev->auth.simulated)
            continue;
        try_entry(ev, entry, context, report->detailed, next);
        if (best == NULL || next->err == BH_OK || next->depth > best->depth) {
            best = next;
            next = best == &trials[0] ? &trials[1] : &trials[0];
        }
        if (best->err == BH_OK)
            break;
    }
    if (best == NULL) {
        e = no_entry(ev, policy, report);
    } else {
        adopt(report, &best->report);
        e = best->err;
    }
    if (e == BH_OK) {
        complete(ev, policy, &best->verdict);
        *ret_verdict = best->verdict;
    }
    free(trials);
    return e;
}

json_t *
ev_claims(const struct ev_evidence *ev)
{
    return ev->platform->claims(ev->state);
}
