/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead appraise: evidence judged by a policy, as a server would. */
#include "commands.h"
#include "evidence_options.h"
#include "inspect_other.h"
#include "judge.h"

#include "core/binding.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead appraise"
#define CHALLENGE_MAX 1024

struct options {
    struct bh_evidence_options evidence;
    const char *policy, *challenge, *spki, *context;
    bool json;
};

static enum bh_err
load_policy(const char *path, struct ev_policy **ret_policy, struct bh_diag *diag)
{
    uint8_t *text = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, BH_POLICY_MAX, &text, &len, diag)) == BH_OK)
        e = ev_policy_parse(bh_span(text, len), ret_policy, diag);
    free(text);
    if (e == BH_OK)
        return BH_OK;
    /* Nothing was judged: not the same as a refusal. */
    bh_hint(diag, "correct %s and try again", path);
    diag->err = BH_ERR_USAGE;
    return BH_ERR_USAGE;
}

/* PEM or DER of a public key, or of a certificate: its SubjectPublicKeyInfo. */
static enum bh_err
load_spki(const char *path, uint8_t out[BH_SPKI_MAX], size_t *ret_len, struct bh_diag *diag)
{
    struct ev_endorsement key;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if (bh_file_read(path, BH_POLICY_MAX, &bytes, &len, diag) != BH_OK)
        return BH_ERR_USAGE;
    e = ev_endorsement_from_key(bh_span(bytes, len), &key, diag);
    free(bytes);
    if (e != BH_OK || key.symmetric) {
        bh_diag_clear(diag);
        return bh_refuse(diag, BH_ERR_USAGE, "spki", "a public key, PEM or DER", path,
            "the key that the evidence is bound to cannot be read");
    }
    memcpy(out, key.key, key.key_len);
    *ret_len = key.key_len;
    return BH_OK;
}

struct bound {
    uint8_t challenge[CHALLENGE_MAX], spki[BH_SPKI_MAX], context[BH_CONTEXT_MAX];
    size_t challenge_len, spki_len, context_len;
};

static enum bh_err
load_binding(
    const struct options *o, struct bound *b, struct bh_question *question, struct bh_diag *diag)
{
    enum bh_err e;

    if ((o->challenge == NULL) != (o->spki == NULL))
        return bh_refuse(diag, BH_ERR_USAGE, "challenge", "--challenge and --spki together",
            o->challenge != NULL ? "--challenge alone" : "--spki alone",
            "a binding needs both challenge and key");
    if (o->context != NULL && o->challenge == NULL)
        return bh_refuse(diag, BH_ERR_USAGE, "context", "--challenge and --spki with it",
            "--context alone", "without a binding nothing proves the context");
    if (o->context != NULL &&
        bh_unhex(bh_span_str(o->context), b->context, sizeof(b->context), &b->context_len) != BH_OK)
        return bh_refuse(diag, BH_ERR_USAGE, "context", "hex of at most 64 bytes", o->context,
            "the context cannot be read");
    question->context = bh_span(b->context, b->context_len);
    if (o->challenge == NULL)
        return BH_OK;
    if (bh_unbase64url(bh_span_str(o->challenge), b->challenge, sizeof(b->challenge),
            &b->challenge_len) != BH_OK)
        return bh_refuse(diag, BH_ERR_USAGE, "challenge", "base64url without padding", o->challenge,
            "the challenge cannot be read");
    if ((e = load_spki(o->spki, b->spki, &b->spki_len, diag)) != BH_OK)
        return e;
    question->spki = bh_span(b->spki, b->spki_len);
    question->bound = true;
    return bh_binding(bh_span(b->challenge, b->challenge_len), question->spki, question->context,
        question->binding);
}

static int
tell(const struct options *o, const char *path, const struct bh_judgement *j,
    const struct bh_trust_inputs *trust, bool bound)
{
    if (o->json) {
        json_t *doc = bh_judgement_json(j, trust);
        bh_judgement_add_verdict(doc, j);
        (void)json_object_set_new(doc, "binding", json_string(bound ? "checked" : "not given"));
        const bool written = bh_cli_print_json(doc);
        json_decref(doc);
        if (!written)
            return 2;
    } else if (j->result != BH_ERR_USAGE) {
        bh_judgement_print(j, trust, path);
        if (!bound)
            (void)printf("binding: not checked (give --challenge and --spki)\n");
        (void)printf("verdict: %s\nstatus: %s\n", j->appraised ? "accept" : "refuse",
            bh_judgement_status(j));
    }
    if (j->result != BH_OK || !j->appraised)
        return bh_cli_failed(COMMAND, &j->report.diag);
    return fflush(stdout) == 0 ? 0 : 2;
}

/* Read everything that the judgement needs. */
static enum bh_err
prepare(const struct options *o, const char *path, struct bh_trust_inputs *trust,
    struct ev_policy **ret_policy, struct bound *bound, struct bh_question *question,
    struct bh_input *input, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_evidence_options_load(&o->evidence, trust, diag)) != BH_OK ||
        (e = load_policy(o->policy, ret_policy, diag)) != BH_OK ||
        (e = load_binding(o, bound, question, diag)) != BH_OK ||
        (e = bh_input_read(path, input, diag)) != BH_OK)
        return e;
    if (input->kind != BH_INPUT_CMW && input->kind != BH_INPUT_RAW)
        return bh_refuse(diag, BH_ERR_MALFORMED, "input", "evidence", bh_inspect_kind(input),
            "only evidence can be appraised; `beachhead inspect` shows other files");
    question->policy = *ret_policy;
    return BH_OK;
}

int
bh_cmd_appraise(int argc, char **argv)
{
    struct options o = {0};
    const struct bh_cli_option options[] = {
        {.name = "policy",
            .value = "FILE",
            .help = "the workload's policy",
            .needed = true,
            .text = &o.policy},
        BH_EVIDENCE_OPTIONS(o.evidence),
        {.name = "challenge",
            .value = "B64",
            .help = "the challenge that the evidence answers",
            .text = &o.challenge},
        {.name = "spki", .value = "FILE", .help = "the key that it is bound to", .text = &o.spki},
        {.name = "context", .value = "HEX", .help = "what else it is bound to", .text = &o.context},
        {.name = "json", .help = "print one JSON document", .flag = &o.json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose =
            "Judge evidence by a policy: authenticity first, then every claim of the policy.",
        .example = COMMAND " --policy payments.json --endorsed-key device.pem token.cbor",
        .options = options,
        .args = "FILE",
        .args_min = 1,
        .args_max = 1,
    };
    struct bh_trust_inputs trust = {0};
    struct bh_question question = {.trust = &trust};
    struct bh_judgement *judgement = calloc(1, sizeof(*judgement));
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};
    struct bh_input input = {0};
    struct bound bound = {0};
    struct bh_cli_list args;
    int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        goto out;
    if (judgement == NULL) {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "appraisal");
        rc = bh_cli_failed(COMMAND, &diag);
        goto out;
    }
    if (prepare(&o, args.items[0], &trust, &policy, &bound, &question, &input, &diag) == BH_OK) {
        bh_judge(&input, &question, judgement);
    } else {
        judgement->verified = true;
        ev_report_init(&judgement->report, true);
        judgement->result =
            bh_inspect_refused(&judgement->report, &diag, "form", "input", "evidence and a policy");
    }
    rc = tell(&o, args.items[0], judgement, &trust, question.bound);
    bh_judgement_clear(judgement);
out:
    bh_input_clear(&input);
    bh_trust_inputs_clear(&trust);
    ev_policy_free(policy);
    free(judgement);
    return rc;
}
