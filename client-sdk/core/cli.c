/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static size_t
count_options(const struct bh_cli_option *options)
{
    size_t n = 0;

    while (options != NULL && options[n].name != NULL)
        n++;
    return n;
}

static void
print_option(const struct bh_cli_option *o)
{
    char left[80];
    const char letter[] = {'-', o->letter, ',', ' ', '\0'};

    (void)snprintf(left, sizeof(left), "%s--%s%s%s%s", o->letter != '\0' ? letter : "", o->name,
        o->value != NULL ? " " : "", o->value != NULL ? o->value : "",
        o->list != NULL ? "..." : "");
    printf("  %-28s %s%s\n", left, o->help, o->needed ? " (needed)" : "");
}

static int
print_help(const struct bh_cli_usage *u)
{
    const size_t n = count_options(u->options);

    printf("usage: %s", u->command);
    for (size_t i = 0; i < n; i++) {
        const struct bh_cli_option *o = &u->options[i];

        if (o->needed)
            printf(" --%s%s%s", o->name, o->value != NULL ? " " : "",
                o->value != NULL ? o->value : "");
    }
    printf(" [options]%s%s\n\n%s\n\n", u->args != NULL ? " " : "", u->args != NULL ? u->args : "",
        u->purpose);
    for (size_t i = 0; i < n; i++)
        print_option(&u->options[i]);
    printf("  %-28s %s\n  %-28s %s\n\nexample:\n  %s\n", "--help", "this text", "--version",
        "the version", u->example);
    return fflush(stdout) == 0 ? 0 : 2;
}

static int
print_version(const char *command)
{
    /* The program, without the sub-command. */
    printf("%.*s %s\n", (int)strcspn(command, " "), command, BH_VERSION);
    return fflush(stdout) == 0 ? 0 : 2;
}

int
bh_cli_usage_error(const char *command, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", command);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\ntry: %s --help\n", command);
    return 2;
}

/* Finds "--name", "--name=value" or "-o"; the value that is joined to it goes to ret_joined. */
static const struct bh_cli_option *
find_option(const struct bh_cli_usage *u, const char *word, const char **ret_joined)
{
    const size_t n = count_options(u->options);

    *ret_joined = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct bh_cli_option *o = &u->options[i];
        const size_t len = strlen(o->name);

        if (o->letter != '\0' && word[0] == '-' && word[1] == o->letter && word[2] == '\0')
            return o;
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, o->name, len) != 0)
            continue;
        if (word[2 + len] == '=')
            *ret_joined = word + 2 + len + 1;
        if (word[2 + len] == '=' || word[2 + len] == '\0')
            return o;
    }
    return NULL;
}

/* -1 to go on, else the exit code. */
static int
take_option(const struct bh_cli_usage *u, const struct bh_cli_option *o, const char *value)
{
    if (o->flag != NULL) {
        *o->flag = true;
        return -1;
    }
    if (o->text != NULL) {
        *o->text = value;
        return -1;
    }
    if (o->list->len == BH_CLI_LIST_MAX)
        return bh_cli_usage_error(
            u->command, "--%s stands more than %d times", o->name, BH_CLI_LIST_MAX);
    o->list->items[o->list->len++] = value;
    return -1;
}

static int
check_whole(const struct bh_cli_usage *u, uint64_t seen, size_t args)
{
    const size_t n = count_options(u->options);

    for (size_t i = 0; i < n; i++)
        if (u->options[i].needed && (seen & UINT64_C(1) << i) == 0)
            return bh_cli_usage_error(u->command, "--%s%s%s is needed: %s", u->options[i].name,
                u->options[i].value != NULL ? " " : "",
                u->options[i].value != NULL ? u->options[i].value : "", u->options[i].help);
    if (args < u->args_min)
        return bh_cli_usage_error(u->command, "%s is needed", u->args);
    return -1;
}

/* One option at argv[at]; *ret_next is where to go on. */
static int
read_option(
    const struct bh_cli_usage *u, int argc, char **argv, int at, uint64_t *seen, int *ret_next)
{
    const char *value;
    const struct bh_cli_option *o = find_option(u, argv[at], &value);
    uint64_t bit;

    *ret_next = at + 1;
    if (o == NULL)
        return bh_cli_usage_error(u->command, "unknown option %s", argv[at]);
    bit = UINT64_C(1) << (o - u->options);
    if (o->flag != NULL && value != NULL)
        return bh_cli_usage_error(u->command, "--%s takes no value", o->name);
    if (o->flag == NULL && value == NULL) {
        if (at + 1 >= argc)
            return bh_cli_usage_error(u->command, "--%s needs a value: %s", o->name, o->value);
        value = argv[at + 1];
        *ret_next = at + 2;
    }
    if (o->list == NULL && (*seen & bit) != 0)
        return bh_cli_usage_error(u->command, "--%s stands twice", o->name);
    *seen |= bit;
    return take_option(u, o, value);
}

int
bh_cli_parse(const struct bh_cli_usage *u, int argc, char **argv, struct bh_cli_list *ret_args)
{
    struct bh_cli_list args = {0};
    uint64_t seen = 0;
    bool options = true;
    int done = -1;

    for (int at = 1; at < argc && done < 0;) {
        const char *word = argv[at];

        if (options && strcmp(word, "--help") == 0)
            return print_help(u);
        if (options && strcmp(word, "--version") == 0)
            return print_version(u->command);
        if (options && strcmp(word, "--") == 0) {
            options = false;
            at++;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            done = read_option(u, argc, argv, at, &seen, &at);
        } else if (args.len >= u->args_max || args.len == BH_CLI_LIST_MAX) {
            done = bh_cli_usage_error(u->command, "unexpected argument %s", word);
        } else {
            args.items[args.len++] = word;
            at++;
        }
    }
    if (done < 0)
        done = check_whole(u, seen, args.len);
    if (done < 0 && ret_args != NULL)
        *ret_args = args;
    return done;
}

int
bh_cli_run(const char *program, const char *purpose, const char *example,
    const struct bh_cli_command *commands, int argc, char **argv)
{
    if (argc < 2)
        return bh_cli_usage_error(program, "a command is needed");
    if (strcmp(argv[1], "--version") == 0)
        return print_version(program);
    if (strcmp(argv[1], "--help") == 0) {
        printf("usage: %s COMMAND [options]\n\n%s\n\ncommands:\n", program, purpose);
        for (size_t i = 0; commands[i].name != NULL; i++)
            printf("  %-12s %s\n", commands[i].name, commands[i].purpose);
        printf("\n%s COMMAND --help says more.\n\nexample:\n  %s\n", program, example);
        return fflush(stdout) == 0 ? 0 : 2;
    }
    for (size_t i = 0; commands[i].name != NULL; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return bh_cli_usage_error(program, "unknown command %s", argv[1]);
}

/* Bytes of the character at @p s that may be shown as it is; 0: not even its first byte. */
static size_t
harmless(const unsigned char *s)
{
    const size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = s[0];

    for (size_t i = 1; i < len; i++)
        if (s[i] == '\0')
            return 0;
    if (!bh_is_utf8(bh_span(s, len)))
        return 0;
    for (size_t i = 1; i < len; i++)
        c = (i == 1 ? c & (0x7fu >> len) : c) << 6 | (s[i] & 0x3fu);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
        (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
        return 0;
    return len;
}

void
bh_cli_show(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        const size_t len = harmless(at);

        if (len == 0)
            (void)fprintf(out, "\\x%02x", *at++);
        else
            at += fwrite(at, 1, len, out) == len ? len : strlen((const char *)at);
    }
}

static void
print_line(const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    fprintf(stderr, "  %-10s", label);
    bh_cli_show(stderr, text);
    (void)fputc('\n', stderr);
}

int
bh_cli_failed(const char *command, const struct bh_diag *diag)
{
    const int code = bh_err_exit(diag->err);

    fprintf(stderr, "%s: %s (%s)\n", command, bh_err_title(diag->err), bh_err_code(diag->err));
    print_line("what", diag->detail);
    print_line("check", diag->check);
    print_line("expected", diag->expected);
    print_line("found", diag->found);
    print_line("to do", diag->hint);
    return code == 0 ? 1 : code;
}

bool
bh_cli_print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_INDENT(2));
    bool good = text != NULL;

    /* DEL is the one control character that JSON leaves alone. */
    for (const char *at = text; good && *at != '\0'; at++)
        good = *at == 0x7f ? fputs("\\u007f", stdout) >= 0 : putchar(*at) != EOF;
    good = good && putchar('\n') != EOF && fflush(stdout) == 0;
    free(text);
    return good;
}
