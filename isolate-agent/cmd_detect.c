/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/cli.h"

#include "isolate-agent/attester/attester.h"

#include <stdio.h>

static json_t *
describe(const struct agent_attester *a)
{
    const bool simulated = a->needs == NULL;

    return json_pack("{s:s,s:s,s:b,s:s?,s:b,s:b,s:b}", "attester", a->name, "platform", a->platform,
        "simulated", simulated, "interface", a->needs, "visible", agent_attester_visible(a),
        "built", a->evidence != NULL, "usable", a->evidence != NULL && agent_attester_visible(a));
}

static int
print_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < agent_attesters_len; i++)
        (void)json_array_append_new(list, describe(&agent_attesters[i]));
    json_t *json = json_pack("{s:o}", "attesters", list);
    const bool printed = json != NULL && bh_cli_print_json(json);
    json_decref(json);
    return printed ? 0 : 1;
}

static void
print_text(void)
{
    size_t seen = 0;

    for (size_t i = 0; i < agent_attesters_len; i++) {
        const struct agent_attester *a = &agent_attesters[i];
        if (a->needs == NULL) {
            (void)printf("%-15s simulated: with --simulator DIR\n", a->name);
            continue;
        }
        const bool visible = agent_attester_visible(a);
        seen += visible ? 1 : 0;
        (void)printf("%-15s %s %s%s\n", a->name, a->needs, visible ? "is here" : "is not here",
            a->evidence == NULL ? "; its attester is not built yet" : "");
    }
    if (seen == 0)
        (void)printf("No hardware that produces evidence shows itself on this machine.\n");
}

int
agent_cmd_detect(int argc, char **argv)
{
    bool json = false;
    const struct bh_cli_option options[] = {
        {.name = "json", .help = "print one JSON document", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = "beachhead-agent detect",
        .purpose = "Say which interfaces to hardware that produces evidence are on this machine, "
                   "and what attesters this version has.",
        .example = "beachhead-agent detect --json",
        .options = options,
    };
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    if (done >= 0)
        return done;
    if (json)
        return print_json();
    print_text();
    return 0;
}
