/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"

#include <criterion/criterion.h>

static json_t *
parse(const char *text)
{
    json_t *json = NULL;

    cr_assert_eq(bh_json_parse(bh_span_str(text), 4096, &json, NULL), BH_OK, "%s", text);
    return json;
}

Test(json, strict)
{
    static const char *const bad[] = {"", "{", "{}x", "{\"a\":1,\"a\":2}", "[1,]", "nul",
        "{\"a\":\"\\u0000\"}", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "\"\xff\""};
    json_t *json;

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_diag diag = {0};
        cr_assert_eq(
            bh_json_parse(bh_span_str(bad[i]), 4096, &json, &diag), BH_ERR_MALFORMED, "%s", bad[i]);
        cr_assert_neq(diag.detail[0], '\0');
    }
    cr_assert_eq(bh_json_parse(bh_span_str("[1234]"), 3, &json, NULL), BH_ERR_TOO_LARGE);
}

Test(json, members)
{
    json_t *o = parse("{\"s\":\"x\",\"n\":5,\"b\":false}");
    static const char *const names[] = {"s", "n", NULL};
    struct bh_diag diag = {0};
    const char *text;
    int64_t n = 0;
    bool b = true;

    cr_assert_eq(bh_json_string(o, "s", false, &text, NULL), BH_OK);
    cr_assert_str_eq(text, "x");
    cr_assert_eq(bh_json_string(o, "t", true, &text, NULL), BH_OK);
    cr_assert_null(text);
    cr_assert_eq(bh_json_string(o, "n", false, &text, &diag), BH_ERR_MALFORMED);
    cr_assert_str_eq(diag.check, "n");
    cr_assert_eq(bh_json_int(o, "n", false, 0, 9, &n, NULL), BH_OK);
    cr_assert_eq(n, 5);
    cr_assert_eq(bh_json_int(o, "n", false, 0, 4, &n, NULL), BH_ERR_MALFORMED);
    cr_assert_eq(bh_json_bool(o, "b", false, &b, NULL), BH_OK);
    cr_assert_not(b);
    cr_assert_eq(bh_json_only(o, names, "thing", &diag), BH_ERR_MALFORMED);
    json_decref(o);
}

Test(json, canonical)
{
    /* RFC 8785, 3.2.3: sorted by UTF-16 code units */
    json_t *o =
        parse("{\"\\u20ac\":\"Euro\",\"\\r\":\"CR\",\"\\ufb33\":\"Dalet\",\"1\":[true, null , -5],"
              "\"\\ud83d\\ude00\":\"smile\",\"\\u0080\":\"c\",\"\\u00f6\":\"\\u001f\\b\\\"\"}");
    char *text;

    cr_assert_eq(bh_json_canonical(o, &text, NULL), BH_OK);
    cr_assert_str_eq(text,
        "{\"\\r\":\"CR\",\"1\":[true,null,-5],\"\xc2\x80\":\"c\",\"\xc3\xb6\":\"\\u001f\\b\\\"\","
        "\"\xe2\x82\xac\":\"Euro\",\"\xf0\x9f\x98\x80\":\"smile\",\"\xef\xac\xb3\":\"Dalet\"}");
    free(text);
    json_decref(o);
    o = parse("[1.5]");
    cr_assert_eq(bh_json_canonical(o, &text, NULL), BH_ERR_MALFORMED);
    json_decref(o);
}

Test(json, problem)
{
    struct bh_diag diag = {0};
    json_t *p;

    (void)bh_refuse(&diag, BH_ERR_BINDING, "psa.binding", "aa", "bb", "why");
    p = bh_json_problem(&diag, "0123");
    cr_assert_str_eq(
        json_string_value(json_object_get(p, "type")), "urn:beachhead:error:binding-mismatch");
    cr_assert_eq(json_integer_value(json_object_get(p, "status")), 403);
    cr_assert_str_eq(json_string_value(json_object_get(p, "check")), "psa.binding");
    cr_assert_str_eq(json_string_value(json_object_get(p, "hint")), bh_err_hint(BH_ERR_BINDING));
    json_decref(p);
    bh_hint(&diag, "do this");
    p = bh_json_problem(&diag, "0123");
    cr_assert_str_eq(json_string_value(json_object_get(p, "hint")), "do this");
    json_decref(p);
}

/* Whatever the error, a refusal says what to do. */
Test(json, problems_have_hints)
{
    for (int e = BH_ERR_MALFORMED; e <= BH_ERR_NOMEM; e++)
        cr_assert_gt(strlen(bh_err_hint((enum bh_err)e)), 10);
}

/* What is read without jansson must be what jansson reads, and nothing that it does not. */
static void
same_as_jansson(struct bh_span text)
{
    json_t *expected = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *json = NULL;

    cr_assert_eq(bh_json_parse(text, 4096, &json, NULL) == BH_OK, expected != NULL, "%.*s",
        (int)text.len, (const char *)text.ptr);
    cr_assert(expected == NULL || json_equal(json, expected), "%.*s", (int)text.len,
        (const char *)text.ptr);
    json_decref(expected);
    json_decref(json);
}

Test(json, plain_as_jansson)
{
    static const char *const texts[] = {"{\"challenge\":\"AQ_-z\",\"csr\":\"--\\nM+/"
                                        "=\\r\\t\\\"\\\\\\/\", \"evidence\" : [\"t\",\"v\",12] }",
        "[ ]", "{ }", "[0,10,9223372036854775807,9223372036854775808,123456789012345678]", "[01]",
        "[-1,-0,1.5,1e3,1E-2]", "[true,false,null]", "[truex]", "[true false]", "[nul]", "[1 2]",
        "[\"\\u20ac\\ud83d\\ude00\",\"\\b\\f\"]", "[\"\\x\"]", "[\"a\\\"]", "[\"a\\\\\"]",
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":1}", "{\"\":{}}", "{\"a\" 1}", "{1:1}", "[,]",
        "[1,]", "{\"a\":1,}", "\"text\"", "12", " [1] \n", "[1]]", "[\"\t\"]", "[\"\x7f\"]",
        "[\"\xe2\x82\xac\"]", "[\"\xff\"]", "[12345678901234567890123]"};
    static const uint8_t bytes[] = "\"\\,:[]{}0-eu \n\x01\x7f\xc3";

    for (size_t i = 0; i < BH_COUNT(texts); i++)
        same_as_jansson(bh_span_str(texts[i]));
    /* Each byte of the first ones replaced, and each truncation. */
    for (size_t i = 0; i < 4; i++) {
        char text[128];
        const size_t len = strlen(texts[i]);

        for (size_t at = 0; at < len; at++) {
            same_as_jansson(bh_span(texts[i], at));
            for (size_t k = 0; k < sizeof(bytes); k++) { /* with its NUL */
                memcpy(text, texts[i], len);
                text[at] = (char)bytes[k];
                same_as_jansson(bh_span(text, len));
            }
        }
    }
}
