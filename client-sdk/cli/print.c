/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include "core/cli.h"
#include "core/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2
#define NAME_WIDTH 34
#define LONG_VALUE 160 /* certificates; digests and nonces stay whole */
#define SHOWN 48

static void
print_scalar(FILE *out, const json_t *value)
{
    if (json_is_string(value) && json_string_length(value) > LONG_VALUE) {
        char start[SHOWN + 1];
        size_t len = SHOWN;
        (void)snprintf(start, sizeof(start), "%s", json_string_value(value));
        /* Not in the middle of a character. */
        while (len > 0 && !bh_is_utf8(bh_span(start, len)))
            len--;
        start[len] = '\0';
        bh_cli_show(out, start);
        (void)fprintf(out, "... (%zu characters, whole with --json)", json_string_length(value));
    } else if (json_is_string(value)) {
        bh_cli_show(out, json_string_value(value));
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        bh_cli_show(out, text == NULL ? "?" : text);
        free(text);
    }
}

static void print_members(FILE *out, json_t *value, int indent);

/* Depth is bounded: the values are made by our own claim functions, two or three levels deep. */
static void
print_named(FILE *out, const char *name, json_t *value, int indent)
{
    const int pad = NAME_WIDTH - indent - (int)strlen(name);

    (void)fprintf(out, "%*s", indent, "");
    bh_cli_show(out, name);
    if (json_is_object(value) || json_is_array(value)) {
        (void)fputc('\n', out);
        print_members(out, value, indent + INDENT);
    } else {
        (void)fprintf(out, "%*s ", pad > 0 ? pad : 0, "");
        print_scalar(out, value);
        (void)fputc('\n', out);
    }
}

static void
print_members(FILE *out, json_t *value, int indent)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            char number[24];
            (void)snprintf(number, sizeof(number), "%zu", i);
            print_named(out, number, member, indent);
        }
        return;
    }
    json_object_foreach(value, name, member)
    {
        print_named(out, name, member, indent);
    }
}

void
bh_print_claims(FILE *out, json_t *object)
{
    print_members(out, object, INDENT);
}

static void
print_check(FILE *out, const json_t *check, bool failed)
{
    static const struct {
        const char *member;
        const char *label;
    } rows[] = {{"expected", "expected"}, {"found", "found"}, {"source", "by"}};
    const char *found = json_string_value(json_object_get(check, "found"));
    const char *source = json_string_value(json_object_get(check, "source"));

    (void)fprintf(out, "  %s  ", failed ? "FAIL" : "ok  ");
    bh_cli_show(out, json_string_value(json_object_get(check, "check")));
    if (!failed && source != NULL && strcmp(source, "not given") == 0)
        (void)fputs("  (not given)", out);
    else if (!failed && found != NULL && found[0] != '\0') {
        (void)fputs("  ", out);
        bh_cli_show(out, found);
    }
    (void)fputc('\n', out);
    for (size_t i = 0; failed && i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = json_string_value(json_object_get(check, rows[i].member));
        if (text == NULL || text[0] == '\0')
            continue;
        (void)fprintf(out, "        %-9s ", rows[i].label);
        bh_cli_show(out, text);
        (void)fputc('\n', out);
    }
}

void
bh_print_checks(FILE *out, const json_t *checks)
{
    json_t *check;
    size_t i;

    for (int failed = 0; failed < 2; failed++)
        json_array_foreach(checks, i, check)
        {
            if (json_is_true(json_object_get(check, "ok")) == (failed == 0))
                print_check(out, check, failed);
        }
}
