/* SPDX-License-Identifier: Apache-2.0 */
#include "refused.h"

#include <criterion/criterion.h>

#include <string.h>

static void
assert_text(const struct reply *r, const char *member)
{
    cr_assert_gt(strlen(reply_string(r, member)), 0, "\"%s\" says nothing: %s", member, r->text);
}

void
assert_refused(const struct reply *r, long status, const char *code, const char *check)
{
    char type[96];

    (void)snprintf(type, sizeof(type), "urn:beachhead:error:%s", code);
    cr_assert_eq(r->status, status, "expected %ld %s %s, got %ld: %s", status, code, check,
        r->status, r->text);
    cr_assert_str_eq(r->type, "application/problem+json");
    cr_assert_str_eq(reply_string(r, "type"), type, "%s", r->text);
    cr_assert_str_eq(reply_string(r, "check"), check, "%s", r->text);
    cr_assert_eq(json_integer_value(json_object_get(r->json, "status")), status, "%s", r->text);
    cr_assert_eq(strlen(reply_string(r, "request_id")), 16, "%s", r->text);
    cr_assert_eq(strspn(reply_string(r, "request_id"), "0123456789abcdef"), 16, "%s", r->text);
    assert_text(r, "title");
    assert_text(r, "detail");
    assert_text(r, "expected");
    assert_text(r, "found");
    assert_text(r, "hint");
    cr_assert_str_neq(reply_string(r, "expected"), reply_string(r, "found"), "%s", r->text);
    cr_assert_eq(json_object_size(r->json), 9, "%s", r->text);
    assert_no_certificate(r->text);
}
