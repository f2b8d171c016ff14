/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2
#define NAME_WIDTH 34
#define LONG_VALUE 160 /* certificates; digests and nonces stay whole */
#define SHOWN 48

/* What stands in evidence was written by somebody else: it must not steer a terminal. */
static void
print_text(FILE *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            (void)fprintf(out, "\\x%02x", *p);
        else
            (void)fputc(*p, out);
    }
}

static void
print_scalar(FILE *out, const json_t *value)
{
    if (json_is_string(value) && json_string_length(value) > LONG_VALUE) {
        char start[SHOWN + 1];
        (void)snprintf(start, sizeof(start), "%s", json_string_value(value));
        print_text(out, start);
        (void)fprintf(out, "... (%zu characters, whole with --json)", json_string_length(value));
    } else if (json_is_string(value)) {
        print_text(out, json_string_value(value));
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        print_text(out, text == NULL ? "?" : text);
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
    print_text(out, name);
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
    print_text(out, json_string_value(json_object_get(check, "check")));
    if (!failed && source != NULL && strcmp(source, "not given") == 0)
        (void)fputs("  (not given)", out);
    else if (!failed && found != NULL && found[0] != '\0') {
        (void)fputs("  ", out);
        print_text(out, found);
    }
    (void)fputc('\n', out);
    for (size_t i = 0; failed && i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = json_string_value(json_object_get(check, rows[i].member));
        if (text == NULL || text[0] == '\0')
            continue;
        (void)fprintf(out, "        %-9s ", rows[i].label);
        print_text(out, text);
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
