/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as every program here has it: sub-commands, long options, --help with
 * an example, --version, usage errors that exit 2, failures told to people on standard error.
 *
 *     static int
 *     cmd_get(int argc, char **argv)
 *     {
 *         const char *root = NULL, *url = NULL;
 *         bool json = false;
 *         const struct bh_cli_option options[] = {
 *             {.name = "root", .value = "FILE", .help = "trusted root", .needed = true, .text =
 * &root},
 *             {.name = "json", .help = "print one JSON document", .flag = &json},
 *             {0},
 *         };
 *         const struct bh_cli_usage usage = {
 *             .command = "beachhead get",
 *             .purpose = "Fetch a page from an isolate.",
 *             .example = "beachhead get --root root.crt --workload payments
 * https://10.0.0.7:8443/", .options = options, .args = "URL", .args_min = 1, .args_max = 1,
 *         };
 *         struct bh_cli_list args;
 *         const int done = bh_cli_parse(&usage, argc, argv, &args);
 *
 *         if (done >= 0)
 *             return done;
 *         url = args.items[0];
 *         ...
 *         return err == BH_OK ? 0 : bh_cli_failed("beachhead get", &diag);
 *     }
 */
#ifndef BH_CLI_H
#define BH_CLI_H

#include "err.h"

#include <jansson.h>
#include <stdio.h>

#define BH_CLI_LIST_MAX 64

/** Values of an option that may stand several times, or arguments; borrowed from argv. */
struct bh_cli_list {
    size_t len;
    const char *items[BH_CLI_LIST_MAX];
};

/**
 * One option. Exactly one of flag, text and list is set and says what it is: a switch, a value that
 * stands at most once, or a value that may be repeated. They are written only when the option is
 * there: give them their defaults beforehand. A table ends with {0}.
 */
struct bh_cli_option {
    const char *name;  /* without dashes: "server-dir"; `--name VALUE` and `--name=VALUE` */
    char letter;       /* also `-o VALUE`; 0: none */
    const char *value; /* what help calls the value: "DIR" */
    const char *help;  /* a few words */
    bool needed;       /* its absence is wrong usage */
    bool *flag;
    const char **text;
    struct bh_cli_list *list;
};

struct bh_cli_usage {
    const char *command;                 /* "beachhead get" */
    const char *purpose;                 /* one sentence or a few lines */
    const char *example;                 /* a line that can be typed */
    const struct bh_cli_option *options; /* NULL: none but --help and --version */
    const char *args;                    /* "HOST:PORT"; NULL: none */
    size_t args_min, args_max;
};

/**
 * Read the options and arguments behind argv[0], in any order; `--` ends the options. Returns -1 to
 * go on, else the exit code to return at once: 0 after --help or --version, 2 after a usage error
 * that was told on standard error. @p ret_args may be NULL when usage->args is.
 */
BH_MUST_USE int bh_cli_parse(
    const struct bh_cli_usage *usage, int argc, char **argv, struct bh_cli_list *ret_args);

/** A sub-command; a table ends with {0}. argv[0] of run() is the command's name. */
struct bh_cli_command {
    const char *name;
    const char *purpose; /* a few words for the list */
    int (*run)(int argc, char **argv);
};

/** Run the sub-command that argv[1] names, or --help (the list and @p example) or --version. */
BH_MUST_USE int bh_cli_run(const char *program, const char *purpose, const char *example,
    const struct bh_cli_command *commands, int argc, char **argv);

/** Tell wrong usage on standard error, with the way to --help. Returns 2. */
int bh_cli_usage_error(const char *command, const char *fmt, ...) BH_PRINTF(2, 3);

/**
 * Write a text that somebody else may have made: control characters (C0, DEL, C1), characters that
 * turn the direction of a line, and bytes that are no UTF-8 are shown as \xNN, so that it cannot
 * drive a terminal.
 */
void bh_cli_show(FILE *out, const char *text);

/**
 * Tell a failure on standard error as people read it: what, the check, expected, found, what to do,
 * by bh_cli_show(). Returns the exit code that goes with it, never 0.
 */
int bh_cli_failed(const char *command, const struct bh_diag *diag);

/** Print one JSON document, indented and in ASCII, on standard output. False when it cannot be
 * written. */
bool bh_cli_print_json(const json_t *json);

#endif
