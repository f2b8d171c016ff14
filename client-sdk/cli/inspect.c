/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead inspect: what a file is and says, and with --verify whether it is authentic. */
#include "commands.h"
#include "evidence_options.h"
#include "inspect_other.h"
#include "judge.h"
#include "print.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead inspect"

static int
tell_evidence(const struct bh_input *input, const struct bh_trust_inputs *trust, bool json)
{
    struct bh_judgement *j = calloc(1, sizeof(*j));
    const struct bh_question question = {.trust = trust};
    int rc = 0;

    if (j == NULL)
        return bh_err_exit(BH_ERR_NOMEM);
    bh_judge(input, &question, j);
    if (json) {
        json_t *doc = bh_judgement_json(j, trust);
        rc = bh_cli_print_json(doc) ? 0 : 2;
        json_decref(doc);
    } else {
        bh_judgement_print(j, trust, input->path);
        if (j->result != BH_OK)
            (void)bh_cli_failed(COMMAND, &j->report.diag);
    }
    if (rc == 0)
        rc = bh_err_exit(j->result);
    bh_judgement_clear(j);
    free(j);
    return rc;
}

static int
tell_other(const struct bh_input *input, const struct bh_trust_inputs *trust, bool json)
{
    struct bh_diag diag = {0};
    json_t *doc = NULL;
    enum bh_err e = bh_inspect_other(input, trust, &doc, &diag);
    int rc = bh_err_exit(e);

    if (doc != NULL && json) {
        if (!bh_cli_print_json(doc))
            rc = 2;
    } else if (doc != NULL) {
        (void)printf("%s\n", input->path);
        bh_print_claims(stdout, doc);
    }
    if (e != BH_OK && !(json && doc != NULL))
        (void)bh_cli_failed(COMMAND, &diag);
    json_decref(doc);
    return rc;
}

/* A file of no kind, or broken: said in the same form as a failed check of evidence. */
static int
tell_unreadable(const struct bh_diag *diag, bool json)
{
    if (json && diag->err != BH_ERR_USAGE) {
        json_t *doc = json_pack("{s:s,s:b,s:[{s:s,s:b,s:s,s:s,s:s}],s:{}}", "kind", "unknown",
            "authentic", 0, "checks", "check", diag->check[0] != '\0' ? diag->check : "input", "ok",
            0, "expected", diag->expected, "found",
            diag->found[0] != '\0' ? diag->found : diag->detail, "source", "form", "claims");
        const bool written = bh_cli_print_json(doc);
        json_decref(doc);
        return written ? bh_err_exit(diag->err) : 2;
    }
    return bh_cli_failed(COMMAND, diag);
}

int
bh_cmd_inspect(int argc, char **argv)
{
    struct bh_evidence_options o = {0};
    bool verify = false, json = false;
    const struct bh_cli_option options[] = {
        {.name = "verify", .help = "check signatures, chain and validity", .flag = &verify},
        BH_EVIDENCE_OPTIONS(o),
        {.name = "json", .help = "print one JSON document", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose =
            "Show what a file is and every claim in it: evidence (raw, or a CMW), certificates, "
            "requests,\nEARs, policies. Without --verify, exit 0 means well-formed; with it, "
            "authentic.",
        .example = COMMAND " --verify --at 2022-11-09T22:52:00Z nitro-document.cbor",
        .options = options,
        .args = "FILE",
        .args_min = 1,
        .args_max = 1,
    };
    struct bh_trust_inputs trust = {0};
    const struct bh_trust_inputs *by = NULL;
    struct bh_input input = {0};
    struct bh_diag diag = {0};
    struct bh_cli_list args;
    int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        return rc;
    if (bh_evidence_options_load(&o, &trust, &diag) != BH_OK) {
        rc = bh_cli_failed(COMMAND, &diag);
        goto out;
    }
    if (verify)
        by = &trust;
    if (bh_input_read(args.items[0], &input, &diag) != BH_OK)
        rc = tell_unreadable(&diag, json);
    else if (input.kind == BH_INPUT_CMW || input.kind == BH_INPUT_RAW)
        rc = tell_evidence(&input, by, json);
    else
        rc = tell_other(&input, by, json);
out:
    bh_input_clear(&input);
    bh_trust_inputs_clear(&trust);
    return rc;
}
