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
        return 2;
    bh_judge(input, &question, j);
    if (json) {
        json_t *doc = bh_judgement_json(j, trust);
        rc = bh_cli_print_json(doc) ? 0 : 2;
        json_decref(doc);
    } else {
        bh_judgement_print(j, trust, input->path);
        rc = fflush(stdout) == 0 ? 0 : 2;
    }
    if (j->result != BH_OK)
        rc = bh_cli_failed(COMMAND, &j->report.diag);
    bh_judgement_clear(j);
    free(j);
    return rc;
}

static void
show_text(const struct bh_input *input, json_t *doc, const json_t *checks)
{
    bh_cli_show(stdout, input->path);
    (void)printf(": %s\n", bh_inspect_kind(input));
    (void)json_object_del(doc, "kind");
    bh_print_claims(stdout, doc);
    (void)printf("checks\n");
    bh_print_checks(stdout, checks);
}

/*
 * A document about what is not evidence: {"kind", facts, "authentic", "checks"}. Every command with
 * --json ends with a document, also when there was nothing to read.
 */
static int
tell(const struct bh_input *input, const struct bh_trust_inputs *trust, struct ev_report *report,
    json_t *doc, enum bh_err e, bool json)
{
    json_t *checks = ev_report_json(report);
    bool written = checks != NULL;

    if (trust != NULL)
        (void)json_object_set_new(doc, "authentic", json_boolean(e == BH_OK));
    if (json && written) {
        (void)json_object_set(doc, "checks", checks);
        if (json_object_get(doc, "claims") == NULL && e != BH_OK)
            (void)json_object_set_new(doc, "claims", json_object());
        bh_add_warnings(doc, trust);
        written = bh_cli_print_json(doc);
    } else if (written) {
        if (e != BH_ERR_USAGE)
            show_text(input, doc, checks);
        written = fflush(stdout) == 0;
    }
    json_decref(checks);
    if (e != BH_OK)
        return bh_cli_failed(COMMAND, &report->diag);
    return written ? 0 : 2;
}

static int
tell_other(const struct bh_input *input, const struct bh_trust_inputs *trust,
    const struct bh_diag *failed, bool json)
{
    struct ev_report *report = malloc(sizeof(*report));
    json_t *doc = json_pack("{s:s}", "kind", bh_inspect_kind(input));
    int rc = 2;
    enum bh_err e;

    if (report != NULL && doc != NULL) {
        ev_report_init(report, true);
        if (failed->err != BH_OK)
            e = bh_inspect_refused(report, failed, "form", "input",
                "evidence, certificate, request, EAR, policy or checkpoint");
        else
            e = bh_inspect_other(input, trust, doc, report);
        if (!json)
            bh_print_warnings(trust);
        rc = tell(input, trust, report, doc, e, json);
    }
    json_decref(doc);
    free(report);
    return rc;
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
        rc = tell_other(&input, NULL, &diag, json);
        goto out;
    }
    if (verify)
        by = &trust;
    if (bh_input_read(args.items[0], &input, &diag) == BH_OK &&
        (input.kind == BH_INPUT_CMW || input.kind == BH_INPUT_RAW))
        rc = tell_evidence(&input, by, json);
    else
        rc = tell_other(&input, by, &diag, json);
out:
    bh_input_clear(&input);
    bh_trust_inputs_clear(&trust);
    return rc;
}
