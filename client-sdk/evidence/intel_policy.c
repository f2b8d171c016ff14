/* SPDX-License-Identifier: Apache-2.0 */
#include "intel_policy.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>

#define ADVISORIES_MAX 1024
#define EVALUATION_MAX 1000000

void
ev_intel_refs_clear(struct ev_intel_refs *refs)
{
    ev_hexlist_clear(&refs->fmspc);
    ev_hexlist_clear(&refs->ppid);
}

/* ---- the entry ---- */

static enum bh_err
read_advisories(
    const json_t *entry, const char *name, const json_t **ret_list, struct bh_diag *diag)
{
    json_t *list = NULL;
    enum bh_err e;

    if ((e = bh_json_member(entry, name, JSON_ARRAY, true, &list, diag)) != BH_OK)
        return e;
    if (json_array_size(list) > ADVISORIES_MAX)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, name, NULL, NULL, "%zu advisories; at most %d",
            json_array_size(list), ADVISORIES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));

        if (id == NULL || strncmp(id, "INTEL-", 6) != 0 || strlen(id) >= EV_INTEL_ADVISORY_MAX)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "INTEL-SA-00615",
                id != NULL ? id : "another type", "this is no name of an advisory of Intel");
    }
    *ret_list = list;
    return BH_OK;
}

static enum bh_err
read_revocation(const json_t *entry, bool *ret_if_given, struct bh_diag *diag)
{
    const char *word = NULL;
    enum bh_err e;

    if ((e = bh_json_string(entry, "revocation", true, &word, diag)) != BH_OK)
        return e;
    if (word != NULL && strcmp(word, "required") != 0 && strcmp(word, "if-given") != 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "revocation", "required | if-given", word,
            "not one of the words that may stand here");
    *ret_if_given = word != NULL && strcmp(word, "if-given") == 0;
    return BH_OK;
}

static enum bh_err
read_grace(const json_t *entry, int64_t *ret_grace, struct bh_diag *diag)
{
    const char *text = NULL;
    enum bh_err e;

    if ((e = bh_json_string(entry, "out_of_date_grace", true, &text, diag)) != BH_OK)
        return e;
    if (text != NULL && bh_duration_read(text, ret_grace) != BH_OK)
        return bh_refuse(
            diag, BH_ERR_MALFORMED, "out_of_date_grace", "30d", text, "this is no duration");
    return BH_OK;
}

enum bh_err
ev_intel_refs_read(const json_t *entry, struct ev_intel_refs *refs, struct bh_diag *diag)
{
    enum bh_err e;

    if (json_object_get(entry, "tcb_status") == NULL)
        return bh_refuse(diag, BH_ERR_MALFORMED, "tcb_status", "the statuses that are accepted",
            "nothing", "the entry does not pin the platform's state: say [\"UpToDate\"]");
    /* Every status but the last one, Revoked. */
    if ((e = ev_words_read(entry, "tcb_status", false, ev_intel_status_words, EV_INTEL_REVOKED,
             &refs->statuses, diag)) != BH_OK ||
        (e = read_grace(entry, &refs->grace, diag)) != BH_OK ||
        (e = read_advisories(entry, "advisories_allowed", &refs->allowed, diag)) != BH_OK ||
        (e = read_advisories(entry, "advisories_refused", &refs->refused, diag)) != BH_OK ||
        (e = bh_json_int(entry, "tcb_evaluation_data_number_min", true, 1, EVALUATION_MAX,
             &refs->evaluation_min, diag)) != BH_OK ||
        (e = read_revocation(entry, &refs->revocation_if_given, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "fmspc", true, 6, 6, &refs->fmspc, diag)) != BH_OK)
        return e;
    return ev_hexlist_read(entry, "ppid", true, 16, 16, &refs->ppid, diag);
}

enum bh_err
ev_intel_refs_owner(
    const struct ev_intel_refs *refs, bool owner_any, bool *ret_owner_pinned, struct bh_diag *diag)
{
    if (refs->ppid.len == 0 && !owner_any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner",
            "ppid (the machines), or \"owner\": \"any\"", "neither",
            "the entry does not say whose machine it is");
    *ret_owner_pinned = refs->ppid.len > 0;
    return BH_OK;
}

enum bh_err
ev_intel_flags_read(const json_t *entry, const char *member, const char *const *names,
    uint32_t *ret_true, uint32_t *ret_false, struct bh_diag *diag)
{
    uint32_t yes = 0, no = 0;
    json_t *object = NULL;
    enum bh_err e;

    if ((e = bh_json_member(entry, member, JSON_OBJECT, true, &object, diag)) != BH_OK)
        return e;
    if (object != NULL && (e = ev_members_only(object, names, diag)) != BH_OK) {
        ev_field_prefix(diag, "%s.", member);
        return e;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        bool value = false;

        if (json_object_get(object, names[i]) == NULL)
            continue;
        if ((e = bh_json_bool(object, names[i], false, &value, diag)) != BH_OK) {
            ev_field_prefix(diag, "%s.", member);
            return e;
        }
        if (value)
            yes |= UINT32_C(1) << i;
        else
            no |= UINT32_C(1) << i;
    }
    *ret_true = yes;
    *ret_false = no;
    return BH_OK;
}

/* ---- appraisal ---- */

static enum bh_err
check_debug(const struct ev_intel *q, bool allowed, struct ev_report *report)
{
    const bool debug = ev_intel_debug(q);
    const char *what = q->tdx ? "a debug TD" : "a debug enclave";

    if (debug && !allowed)
        return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", "debug", "no debug mode", what,
            "launch it without debug, or say \"debug\": true in the policy entry");
    ev_intel_pass(q, report, "policy", "debug", allowed ? "debug allowed" : "no debug mode",
        debug ? what : "no debug mode");
    return BH_OK;
}

static enum bh_err
check_revocation(
    const struct ev_intel *q, const struct ev_intel_refs *refs, struct ev_report *report)
{
    char hint[BH_TEXT_MAX];

    if (refs->revocation_if_given || (q->has_pck_crl && q->has_root_crl))
        return BH_OK;
    ev_intel_crl_url(q, hint);
    return ev_intel_refuse(q, report, BH_ERR_COLLATERAL_MISSING, "policy",
        ev_intel_label(q->has_pck_crl ? EV_INTEL_ROOT_CRL : EV_INTEL_PCK_CRL),
        "the revocation lists of the PCK CA and of the root", "none was given", hint);
}

static enum bh_err
check_evaluation(
    const struct ev_intel *q, const struct ev_intel_refs *refs, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    (void)snprintf(expected, sizeof(expected), "at least %lld", (long long)refs->evaluation_min);
    (void)snprintf(found, sizeof(found), "%lld", (long long)q->tcb.evaluation);
    if (q->tcb.evaluation < refs->evaluation_min)
        return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", "tcb_evaluation_data_number",
            expected, found, "fetch TCB info and QE identity of a later evaluation");
    if (refs->evaluation_min > 0)
        ev_intel_pass(q, report, "policy", "tcb_evaluation_data_number", expected, found);
    return BH_OK;
}

/* The status as the entry counts it: out of date within the days of grace counts as not so. */
static enum ev_intel_status
counted_status(const struct ev_intel *q, const struct ev_intel_refs *refs)
{
    const enum ev_intel_status status = q->tcb.status;

    /* The date is of a document; a grace is at most ten years. */
    if (refs->grace == 0 || q->tcb.oldest == INT64_MAX || q->now - refs->grace > q->tcb.oldest)
        return status;
    if (status == EV_INTEL_OUT_OF_DATE)
        return EV_INTEL_UP_TO_DATE;
    return status == EV_INTEL_OUT_OF_DATE_CONFIGURATION ? EV_INTEL_CONFIGURATION : status;
}

static void
statuses_text(uint32_t mask, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < EV_INTEL_STATUSES; i++)
        if ((mask & UINT32_C(1) << i) != 0 && at < size)
            at += (size_t)snprintf(
                out + at, size - at, "%s%s", at > 0 ? " | " : "", ev_intel_status_words[i]);
}

static enum bh_err
check_status(const struct ev_intel *q, const struct ev_intel_refs *refs, struct ev_report *report)
{
    const enum ev_intel_status counted = counted_status(q, refs);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX], date[BH_TIME_MAX];

    statuses_text(refs->statuses, expected, sizeof(expected));
    (void)snprintf(found, sizeof(found), "%s, level of %s", ev_intel_status_words[q->tcb.status],
        bh_time_text(q->tcb.date, date));
    /* What is listed is accepted as it is; grace may only help. */
    if ((refs->statuses & (UINT32_C(1) << q->tcb.status | UINT32_C(1) << counted)) == 0)
        return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", "tcb_status", expected, found,
            "update the platform's firmware and microcode, or accept this status in the policy");
    ev_intel_pass(q, report, "policy", "tcb_status", expected, found);
    return BH_OK;
}

static bool
lists(const json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), id) == 0)
            return true;
    return false;
}

static enum bh_err
check_advisories(
    const struct ev_intel *q, const struct ev_intel_refs *refs, struct ev_report *report)
{
    for (size_t i = 0; i < q->tcb.advisories_len; i++) {
        const char *id = q->tcb.advisories[i];

        if ((refs->allowed == NULL || lists(refs->allowed, id)) && !lists(refs->refused, id))
            continue;
        return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", "advisories",
            "no advisory but those that the entry allows", id,
            "update the platform, or allow the advisory in the policy");
    }
    if (refs->allowed != NULL || refs->refused != NULL)
        ev_intel_pass(q, report, "policy", "advisories",
            "no advisory but those that the entry allows", "none");
    return BH_OK;
}

enum bh_err
ev_intel_check_hex(const struct ev_intel *q, struct ev_report *report, const char *what,
    const struct ev_hexlist *list, struct bh_span found, size_t *depth)
{
    char name[BH_CHECK_MAX];
    enum bh_err e;

    if (list->len == 0)
        return BH_OK;
    (void)snprintf(name, sizeof(name), "%s.%s", q->platform->name, what);
    if ((e = ev_check_hex(report, name, list, found)) == BH_OK)
        (*depth)++;
    return e;
}

enum bh_err
ev_intel_appraise_platform(const struct ev_intel *q, const struct ev_intel_refs *refs,
    bool debug_allowed, struct ev_report *report, size_t *depth)
{
    enum bh_err e;

    if ((e = check_debug(q, debug_allowed, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_revocation(q, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_evaluation(q, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_status(q, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_advisories(q, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = ev_intel_check_hex(q, report, "fmspc", &refs->fmspc, q->pck.fmspc, depth)) != BH_OK)
        return e;
    return ev_intel_check_hex(q, report, "ppid", &refs->ppid, q->pck.ppid, depth);
}

/* ---- the verdict ---- */

/* AR4SI: 2 is as it should be, 32 a warning: genuine, with weaknesses that are known. */
static void
fill_trust(const struct ev_intel *q, int8_t *trust)
{
    trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    trust[BH_TRUST_CONFIGURATION] = 2;
    trust[BH_TRUST_EXECUTABLES] = 2;
    trust[BH_TRUST_HARDWARE] = 2;
    switch (q->tcb.status) {
    case EV_INTEL_CONFIGURATION:
    case EV_INTEL_CONFIGURATION_AND_SW_HARDENING:
        trust[BH_TRUST_CONFIGURATION] = 32;
        break;
    case EV_INTEL_TD_RELAUNCH_CONFIGURATION:
    case EV_INTEL_OUT_OF_DATE_CONFIGURATION:
        trust[BH_TRUST_CONFIGURATION] = 32;
        trust[BH_TRUST_HARDWARE] = 32;
        break;
    case EV_INTEL_TD_RELAUNCH:
    case EV_INTEL_OUT_OF_DATE:
        trust[BH_TRUST_HARDWARE] = 32;
        break;
    default:
        break;
    }
}

void
ev_intel_fill_verdict(const struct ev_intel *q, struct ev_verdict *verdict)
{
    char text[BH_EAR_CLAIM_VALUE_MAX];
    size_t at = 0;

    fill_trust(q, verdict->submod.trust);
    verdict->debug = ev_intel_debug(q);
    verdict->not_after = q->not_after;
    memcpy(verdict->hardware_id, q->pck.ppid.ptr, q->pck.ppid.len);
    verdict->hardware_id_len = q->pck.ppid.len;
    ev_claim_text(verdict, "tcbStatus", ev_intel_status_words[q->tcb.status]);
    ev_claim_text(verdict, "tcbDate", bh_time_text(q->tcb.date, text));
    (void)snprintf(text, sizeof(text), "%lld", (long long)q->tcb.evaluation);
    ev_claim_text(verdict, "tcbEvaluationDataNumber", text);
    /* As many as the claim holds; the store has the evidence. */
    text[0] = '\0';
    for (size_t i = 0; i < q->tcb.advisories_len; i++) {
        const char *id = q->tcb.advisories[i];

        if (at + strlen(id) + 2 > sizeof(text))
            break;
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", at > 0 ? " " : "", id);
    }
    if (at > 0)
        ev_claim_text(verdict, "advisoryIDs", text);
}
