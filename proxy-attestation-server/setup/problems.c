/* SPDX-License-Identifier: Apache-2.0 */
#include "problems.h"

#include "core/cli.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

bool
pas_problems_init(struct pas_problems *p)
{
    *p = (struct pas_problems){.list = json_array(), .collateral = json_array()};
    return p->list != NULL && p->collateral != NULL;
}

void
pas_problems_clear(struct pas_problems *p)
{
    json_decref(p->list);
    json_decref(p->collateral);
    p->list = p->collateral = NULL;
}

/* Names of files and parts of their contents come from outside: no byte may drive a terminal. */
static void
make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (!isprint((unsigned char)*text))
            *text = '?';
}

static void
add(struct pas_problems *p, bool error, const char *file, const char *field, const char *hint,
    char *detail)
{
    char where[256], what[BH_CHECK_MAX];
    json_t *one;

    (void)snprintf(where, sizeof(where), "%s", file);
    (void)snprintf(what, sizeof(what), "%s", field != NULL ? field : "");
    make_printable(where);
    make_printable(what);
    make_printable(detail);
    one = json_pack("{s:s, s:s, s:s, s:s, s:s}", "file", where, "field", what, "severity",
        error ? "error" : "warning", "detail", detail, "hint", hint != NULL ? hint : "");
    if (one == NULL || json_array_append_new(p->list, one) != 0)
        p->failed = true;
    if (error)
        p->errors++;
    else
        p->warnings++;
}

void
pas_problem(struct pas_problems *p, bool error, const char *file, const char *field,
    const char *hint, const char *fmt, ...)
{
    char detail[BH_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    add(p, error, file, field, hint, detail);
}

void
pas_problem_diag(
    struct pas_problems *p, const char *file, const char *prefix, const struct bh_diag *diag)
{
    const size_t skip = prefix != NULL ? strlen(prefix) : 0;
    const char *field = diag->check;
    char detail[BH_TEXT_MAX + 2 * BH_VALUE_MAX + 32];

    if (skip > 0 && strncmp(field, prefix, skip) == 0)
        field += skip;
    (void)snprintf(detail, sizeof(detail), "%s%s%s%s%s", diag->detail,
        diag->expected[0] != '\0' ? "; expected " : "", diag->expected,
        diag->found[0] != '\0' ? ", found " : "", diag->found);
    add(p, true, file, field, diag->hint, detail);
}

static void
print_lines(const struct pas_problems *p)
{
    const json_t *one;
    size_t i;

    json_array_foreach(p->list, i, one)
    {
        const char *field = json_string_value(json_object_get(one, "field"));
        const char *hint = json_string_value(json_object_get(one, "hint"));

        (void)fprintf(stderr, "%s: %s: %s%s%s\n",
            json_string_value(json_object_get(one, "severity")),
            json_string_value(json_object_get(one, "file")), field, field[0] != '\0' ? ": " : "",
            json_string_value(json_object_get(one, "detail")));
        if (hint[0] != '\0')
            (void)fprintf(stderr, "    to do: %s\n", hint);
    }
}

static void
print_collateral(const struct pas_problems *p)
{
    static const char *const members[] = {"file", "kind", "about", "until"};
    const json_t *one;
    size_t i;

    json_array_foreach(p->collateral, i, one)
    {
        for (size_t m = 0; m < BH_COUNT(members); m++) {
            (void)fputs(m == 0 ? "" : m == 3 ? ", until " : ": ", stdout);
            bh_cli_show(stdout, json_string_value(json_object_get(one, members[m])));
        }
        (void)fputc('\n', stdout);
    }
}

bool
pas_problems_print(const struct pas_problems *p, const char *dir, bool json)
{
    json_t *all;
    bool good;

    if (!json) {
        print_collateral(p);
        print_lines(p);
        good = printf("%s: %s, %zu error%s, %zu warning%s\n", dir,
                   p->errors == 0 ? "ready to run" : "not ready to run", p->errors,
                   p->errors == 1 ? "" : "s", p->warnings, p->warnings == 1 ? "" : "s") > 0;
        return good && fflush(stdout) == 0;
    }
    all = json_pack(
        "{s:b, s:O, s:O}", "ok", p->errors == 0, "problems", p->list, "collateral", p->collateral);
    good = all != NULL && bh_cli_print_json(all);
    json_decref(all);
    return good;
}
