/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement, cheapest first: the challenge was checked; then CSR, evidence well-formed,
 * binding, authenticity, policy. Nothing is passed on to the authority unless every step returned
 * BH_OK.
 */
#include "verifier.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

/* One request's work, freed at its end. */
struct work {
    struct bh_csr csr;
    struct bh_cmw cmw;
    bool has_cmw;
    struct ev_evidence *evidence;
    bool authentic;
    const struct ev_policy *policy;
    uint8_t binding[BH_BINDING_LEN];
    struct ev_verdict verdict;
};

static void
work_clear(struct work *w)
{
    ev_evidence_free(w->evidence);
    if (w->has_cmw)
        bh_cmw_clear(&w->cmw);
}

static enum bh_err
find_policy(
    struct pas_verifier *v, const struct pas_slot *slot, struct work *w, struct bh_diag *diag)
{
    enum bh_err e;

    if (slot->body.workload == NULL ||
        (w->policy = pas_ground_policy(&v->ground, slot->body.workload)) != NULL)
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_WORKLOAD_UNKNOWN, "workload", "a workload with a policy",
        slot->body.workload, "there is no policy for this workload");
    bh_hint(diag, "put policy/%s.json into the server's folder and send it SIGHUP",
        slot->body.workload);
    return e;
}

static enum bh_err
check_key_type(const char *name, const struct ev_profile *profile, struct bh_diag *diag)
{
    char expected[64];

    if ((profile->key_p256 && strcmp(name, "P-256") == 0) ||
        (profile->key_p384 && strcmp(name, "P-384") == 0) ||
        (profile->key_ed25519 && strcmp(name, "Ed25519") == 0))
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "%s%s%s", profile->key_p256 ? "P-256 " : "",
        profile->key_p384 ? "P-384 " : "", profile->key_ed25519 ? "Ed25519" : "");
    return bh_refuse(diag, BH_ERR_CSR_INVALID, "csr.key", expected, name,
        "the workload's policy does not permit this type of key");
}

static enum bh_err
read_key(struct pas_slot *slot, struct work *w, struct bh_diag *diag)
{
    struct pas_body *b = &slot->body;
    const char *name = NULL;
    EVP_PKEY *key = NULL;
    enum bh_err e;

    if (b->csr != NULL) {
        if ((e = bh_csr_read(bh_span_str(b->csr), &w->csr, diag)) != BH_OK)
            return e;
        memcpy(b->spki, w->csr.spki, w->csr.spki_len);
        b->spki_len = w->csr.spki_len;
        name = w->csr.key_name;
    } else if (b->spki_len > 0) {
        if ((e = bh_spki_decode(bh_span(b->spki, b->spki_len), &key, diag)) != BH_OK) {
            bh_name_check(diag, "request.spki");
            return e;
        }
        name = bh_key_name(key);
        EVP_PKEY_free(key);
    } else {
        return BH_OK;
    }
    return w->policy != NULL ? check_key_type(name, ev_policy_profile(w->policy), diag) : BH_OK;
}

static enum bh_err
decode(struct pas_verifier *v, struct pas_slot *slot, struct work *w, struct bh_diag *diag)
{
    struct bh_diag inner = {0};
    enum bh_err e;

    e = bh_cmw_from_value(
        json_object_get(slot->body.json, "evidence"), strlen(slot->body.evidence), &w->cmw, &inner);
    if (e != BH_OK)
        return bh_refuse(diag, e, "request.evidence", "a CMW in JSON (RFC 9999)", inner.detail,
            "%s", inner.detail);
    w->has_cmw = true;
    if ((e = ev_decode(&w->cmw, &v->report, &w->evidence)) != BH_OK) {
        *diag = v->report.diag;
        return e;
    }
    (void)snprintf(slot->platform, sizeof(slot->platform), "%s", ev_platform(w->evidence));
    return BH_OK;
}

/* An enrolment stops at the first failure; an appraisal's report goes on where that is safe. */
static enum bh_err
appraise(struct pas_verifier *v, struct pas_slot *slot, struct work *w)
{
    const struct pas_body *b = &slot->body;
    const struct bh_span spki = bh_span(b->spki, b->spki_len);
    const struct bh_span context = bh_span(b->context, b->context_len);
    enum bh_err bound = BH_OK, e;

    if (b->challenge_len > 0) {
        if ((e = bh_binding(bh_span(b->challenge, b->challenge_len), spki, context, w->binding)) !=
            BH_OK)
            return e;
        bound = ev_bind(w->evidence, w->binding, spki, &v->report);
        if (bound != BH_OK && !slot->appraisal)
            return bound;
    }
    if ((e = ev_authenticate(w->evidence, &v->ground.trust, &v->report)) != BH_OK)
        return bound != BH_OK ? bound : e;
    w->authentic = true;
    if (w->policy != NULL &&
        (e = ev_appraise(w->evidence, w->policy, context, &v->report, &w->verdict)) != BH_OK)
        return bound != BH_OK ? bound : e;
    return bound;
}

static struct pas_issue
verdict_of(const struct pas_verifier *v, const struct pas_slot *slot, const struct work *w)
{
    const struct pas_body *b = &slot->body;
    struct pas_issue issue = {
        .challenge = bh_span(b->challenge, b->challenge_len),
        .workload = bh_span_str(b->workload),
        .spki = bh_span(b->spki, b->spki_len),
        .context = bh_span(b->context, b->context_len),
        .evidence = bh_span_str(b->evidence),
        .peer = bh_span_str(slot->peer),
        .generation = v->ground.generation,
        .verdict = w->verdict,
    };

    memcpy(issue.binding, w->binding, sizeof(issue.binding));
    return issue;
}

static enum bh_err
pass_on(struct pas_verifier *v, struct pas_slot *slot, const struct work *w, struct bh_diag *diag)
{
    struct pas_issue issue = verdict_of(v, slot, w);
    json_t *checks = NULL;
    char *text = NULL;
    enum bh_err e;

    if (slot->appraisal) {
        if ((checks = ev_report_json(&v->report)) == NULL ||
            (text = bh_json_text(checks, false)) == NULL) {
            json_decref(checks);
            return bh_fail(diag, BH_ERR_NOMEM, "list of checks");
        }
        issue.checks = bh_span_str(text);
    }
    e = pas_pass_on(v, slot, &issue, diag);
    free(text);
    json_decref(checks);
    return e;
}

/* The list of checks, when no attestation result goes with it. */
static void
answer_checks(struct pas_verifier *v, const struct pas_slot *slot, const struct work *w)
{
    const bool judged = w->policy != NULL;
    const char *verdict = v->report.err != BH_OK ? "refuse" : judged ? "accept" : "none";
    const char *status =
        v->report.err == BH_OK && judged ? bh_ear_status_name(w->verdict.submod.status) : "none";

    pas_answer_json(v, slot,
        json_pack("{s:s, s:s, s:b, s:s, s:o}", "verdict", verdict, "platform", slot->platform,
            "authentic", w->authentic ? 1 : 0, "status", status, "checks",
            ev_report_json(&v->report)));
}

/* BH_OK: answered or passed on. Else the problem is in @p diag. */
static enum bh_err
judge(struct pas_verifier *v, struct pas_slot *slot, struct work *w, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = find_policy(v, slot, w, diag)) != BH_OK || (e = read_key(slot, w, diag)) != BH_OK ||
        (e = decode(v, slot, w, diag)) != BH_OK)
        return e;
    e = appraise(v, slot, w);
    if (e == BH_OK && slot->body.challenge_len > 0)
        return pass_on(v, slot, w, diag);
    if (!slot->appraisal || (e != BH_OK && v->report.err == BH_OK)) {
        *diag = v->report.diag;
        return e;
    }
    answer_checks(v, slot, w);
    if (e != BH_OK)
        pas_record(v, slot, &v->report.diag);
    return BH_OK;
}

void
pas_judge(struct pas_verifier *v, struct pas_slot *slot)
{
    struct bh_diag diag = {0};
    struct work w;
    enum bh_err e;

    memset(&w, 0, sizeof(w));
    v->judged = slot;
    v->ground.trust.now = bh_time_now();
    ev_report_init(&v->report, slot->appraisal);
    if ((e = judge(v, slot, &w, &diag)) == BH_OK) {
        pas_slot_free(slot);
    } else {
        (void)bh_fail(&diag, e, "the request could not be judged");
        pas_refuse(v, slot, &diag);
    }
    work_clear(&w);
    v->judged = NULL;
}
