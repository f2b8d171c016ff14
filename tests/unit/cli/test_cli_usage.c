/* SPDX-License-Identifier: Apache-2.0 */
/* Help, versions, wrong usage, and commands of later versions. */
#include "run.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const commands[] = {"inspect", "appraise", "connect", "get", "verify"};

Test(usage, help_and_version, .fini = end_folder)
{
    struct ran r = {0};

    RUN(&r, "--help");
    expect_run(&r, 0, NULL);
    for (size_t i = 0; i < 5; i++)
        cr_expect_not_null(strstr(r.out, commands[i]));
    RUN(&r, "--version");
    expect_run(&r, 0, NULL);
    cr_expect_str_eq(r.out, "beachhead " BH_VERSION "\n");
    for (size_t i = 0; i < 5; i++) {
        RUN(&r, commands[i], "--help");
        expect_run(&r, 0, NULL);
        cr_expect_not_null(strstr(r.out, "example:"), "%s", commands[i]);
        cr_expect_not_null(strstr(r.out, commands[i]));
        RUN(&r, commands[i], "--version");
        expect_run(&r, 0, NULL);
        cr_expect_str_eq(r.out, "beachhead " BH_VERSION "\n");
        RUN(&r, commands[i]);
        expect_run(&r, 2, "is needed");
        cr_expect_str_eq(r.out, "");
        RUN(&r, commands[i], "--nonsense", "x");
        expect_run(&r, 2, "unknown option --nonsense");
        cr_expect_not_null(strstr(r.err, "--help"));
    }
    ran_clear(&r);
}

Test(usage, wrong)
{
    struct ran r = {0};

    RUN(&r, NULL);
    expect_run(&r, 2, "a command is needed");
    RUN(&r, "frobnicate");
    expect_run(&r, 2, "unknown command frobnicate");
    RUN(&r, "inspect", "a", "b");
    expect_run(&r, 2, "unexpected argument b");
    RUN(&r, "inspect", "--json", "--json", "a");
    expect_run(&r, 2, "--json stands twice");
    RUN(&r, "inspect", "--json=yes", "a");
    expect_run(&r, 2, "takes no value");
    RUN(&r, "inspect", "a", "--at");
    expect_run(&r, 2, "--at needs a value");
    RUN(&r, "appraise", "a");
    expect_run(&r, 2, "--policy FILE is needed");
    RUN(&r, "connect", "--root", "r", "a:1");
    expect_run(&r, 2, "--workload NAME is needed");
    RUN(&r, "get", "--workload", "w", "https://127.0.0.1:1/");
    expect_run(&r, 2, "--root FILE is needed");
    RUN(&r, "verify", "a");
    expect_run(&r, 2, "--root FILE is needed");
    ran_clear(&r);
}

Test(usage, later_versions_are_named)
{
    static const char *const later[] = {"ca", "policy", "cert", "device", "log", "admin"};
    struct ran r = {0};

    for (size_t i = 0; i < 6; i++) {
        RUN(&r, later[i], "list");
        expect_run(&r, 2, "not built yet");
        cr_expect_not_null(strstr(r.err, later[i]));
        cr_expect_str_eq(r.out, "");
    }
    ran_clear(&r);
}

/* A full disk is not a success. */
Test(usage, output_that_is_lost)
{
    static const char *const ways[][4] = {{"--help"}, {"--version"}, {"inspect", "--help"}};
    char line[512];

    for (size_t i = 0; i < 3; i++) {
        struct ran r = {0};
        (void)snprintf(line, sizeof(line), "%s/beachhead %s %s >/dev/full", BH_BIN_DIR, ways[i][0],
            ways[i][1] != NULL ? ways[i][1] : "");
        run(&r, "sh", bh_span_none(), (const char *const[]){"-c", line, NULL});
        cr_expect_eq(r.status, 2, "%s: %d %s", line, r.status, r.err);
        ran_clear(&r);
    }
}
