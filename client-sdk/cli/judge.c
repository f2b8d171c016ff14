/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "core/cli.h"
#include "core/json.h"
#include "evidence/platform.h"
#include "print.h"

#include <stdio.h>

static enum bh_err
take_steps(const struct bh_input *input, const struct bh_question *q, struct bh_judgement *j)
{
    struct ev_report *report = &j->report;
    enum bh_err e;

    e = input->kind == BH_INPUT_CMW ? ev_decode(&input->cmw, report, &j->ev)
                                    : ev_decode_raw(input->bytes, report, &j->ev);
    if (e != BH_OK)
        return e;
    if (q->bound && (e = ev_bind(j->ev, q->binding, q->spki, report)) != BH_OK)
        return e;
    if (q->trust == NULL)
        return BH_OK;
    if ((e = bh_trust_inputs_authenticate(q->trust, j->ev, report)) != BH_OK)
        return e;
    j->authentic = true;
    if (q->policy == NULL)
        return BH_OK;
    if ((e = ev_appraise(j->ev, q->policy, q->context, report, &j->verdict)) == BH_OK)
        j->appraised = true;
    return e;
}

void
bh_judge(const struct bh_input *input, const struct bh_question *question,
    struct bh_judgement *ret_judgement)
{
    *ret_judgement = (struct bh_judgement){
        .verified = question->trust != NULL, .enveloped = input->kind == BH_INPUT_CMW};
    ev_report_init(&ret_judgement->report, true);
    ret_judgement->result = take_steps(input, question, ret_judgement);
}

void
bh_judgement_clear(struct bh_judgement *judgement)
{
    ev_evidence_free(judgement->ev);
    judgement->ev = NULL;
}

const char *
bh_judgement_status(const struct bh_judgement *j)
{
    if (j->appraised)
        return bh_ear_status_name(j->verdict.submod.status);
    return j->authentic ? bh_ear_status_name(BH_EAR_CONTRAINDICATED)
                        : bh_ear_status_name(BH_EAR_NONE);
}

void
bh_add_warnings(json_t *doc, const struct bh_trust_inputs *trust)
{
    json_t *warnings;

    if (trust == NULL || trust->warnings_len == 0 || (warnings = json_array()) == NULL)
        return;
    for (size_t i = 0; i < trust->warnings_len; i++)
        (void)json_array_append_new(warnings, bh_json_lossy(trust->warnings[i]));
    (void)json_object_set_new(doc, "warnings", warnings);
}

void
bh_print_warnings(const struct bh_trust_inputs *trust)
{
    for (size_t i = 0; trust != NULL && i < trust->warnings_len; i++) {
        (void)fputs("warning: ", stderr);
        bh_cli_show(stderr, trust->warnings[i]);
        (void)fputc('\n', stderr);
    }
}

/* Evidence that is recognised and then malformed: the failed check says whose form it broke. */
static const char *
platform_of_check(const char *check)
{
    for (const char *const *p = ev_platforms(); *p != NULL; p++) {
        const size_t len = strlen(*p);
        if (strncmp(check, *p, len) == 0 && check[len] == '.')
            return *p;
    }
    return NULL;
}

static const char *
platform_of(const struct bh_judgement *j)
{
    if (j->ev != NULL)
        return ev_platform(j->ev);
    return platform_of_check(j->report.diag.check);
}

json_t *
bh_judgement_json(const struct bh_judgement *j, const struct bh_trust_inputs *trust)
{
    const char *platform = platform_of(j);
    const bool unknown = platform == NULL && j->result == BH_ERR_UNSUPPORTED && !j->enveloped;
    json_t *doc =
        json_pack("{s:s,s:s?}", "kind", unknown ? "unknown" : "evidence", "platform", platform);

    if (doc == NULL)
        return NULL;
    if (j->verified)
        (void)json_object_set_new(doc, "authentic", json_boolean(j->authentic));
    (void)json_object_set_new(doc, "checks", ev_report_json(&j->report));
    (void)json_object_set_new(doc, "claims", j->ev == NULL ? json_object() : ev_claims(j->ev));
    bh_add_warnings(doc, trust);
    return doc;
}

void
bh_judgement_print(
    const struct bh_judgement *j, const struct bh_trust_inputs *trust, const char *path)
{
    json_t *claims = j->ev == NULL ? NULL : ev_claims(j->ev);
    json_t *checks = ev_report_json(&j->report);

    if (j->ev != NULL) {
        bh_cli_show(stdout, path);
        (void)printf(": evidence of platform %s\n", ev_platform(j->ev));
    }
    if (claims != NULL)
        bh_print_claims(stdout, claims);
    if (j->verified || j->result != BH_OK) {
        (void)printf("checks\n");
        bh_print_checks(stdout, checks);
    }
    if (j->verified)
        (void)printf("authentic: %s\n", j->authentic ? "yes" : "no");
    bh_print_warnings(trust);
    json_decref(claims);
    json_decref(checks);
}

void
bh_judgement_add_verdict(json_t *doc, const struct bh_judgement *j)
{
    (void)json_object_set_new(
        doc, "verdict", json_string(j->result == BH_OK && j->appraised ? "accept" : "refuse"));
    (void)json_object_set_new(doc, "status", json_string(bh_judgement_status(j)));
}
