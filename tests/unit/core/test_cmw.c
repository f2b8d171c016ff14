/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cmw.h"

#include <criterion/criterion.h>

Test(cmw, json_record)
{
    struct bh_cmw cmw;

    cr_assert_eq(
        bh_cmw_from_json(bh_span_str("[\"application/eat+cwt\", \"AQID\"]"), &cmw, NULL), BH_OK);
    cr_assert_not(cmw.collection);
    cr_assert_str_eq(cmw.records[0].type, "application/eat+cwt");
    cr_assert(bh_span_equal(cmw.records[0].value, bh_span("\x01\x02\x03", 3)));
    bh_cmw_clear(&cmw);
    cr_assert_eq(bh_cmw_from_json(bh_span_str("[263, \"AQID\", 4]"), &cmw, NULL), BH_OK);
    cr_assert_str_eq(cmw.records[0].type, "263");
    bh_cmw_clear(&cmw);
}

Test(cmw, json_collection_round_trip)
{
    static const char text[] = "{\"__cmwc_t\":\"tag:example,2026:x\",\"quote\":[\"a/"
                               "b\",\"AQ\"],\"cert\":[\"c/d\",\"Ag\"]}";
    struct bh_cmw cmw, again;
    char *out;

    cr_assert_eq(bh_cmw_from_json(bh_span_str(text), &cmw, NULL), BH_OK);
    cr_assert(cmw.collection);
    cr_assert_eq(cmw.count, 2);
    cr_assert_str_eq(cmw.collection_type, "tag:example,2026:x");
    cr_assert_eq(bh_cmw_find(&cmw, "cert")->value.ptr[0], 2);
    cr_assert_null(bh_cmw_find(&cmw, "other"));
    cr_assert_eq(bh_cmw_to_json(&cmw, &out, NULL), BH_OK);
    cr_assert_eq(bh_cmw_from_json(bh_span_str(out), &again, NULL), BH_OK);
    cr_assert_eq(again.count, 2);
    cr_assert_eq(bh_cmw_find(&again, "quote")->value.ptr[0], 1);
    bh_cmw_clear(&cmw);
    bh_cmw_clear(&again);
    free(out);
}

Test(cmw, json_refused)
{
    static const char *const bad[] = {
        "",
        "1",
        "[]",
        "[\"a/b\"]",
        "[\"a/b\",\"AQ==\"]",
        "[\"a/b\",1]",
        "[\"\",\"AQ\"]",
        "[\"a/b\",\"AQ\",0]",
        "[\"a/b\",\"AQ\",1,2]",
        "[70000,\"AQ\"]",
        "[\"a\\nb\",\"AQ\"]",
        "{}",
        "{\"__cmwc_t\":\"x\"}",
        "{\"__cmwc_t\":1,\"a\":[\"a/b\",\"AQ\"]}",
        "{\"a\":{\"b\":[\"a/b\",\"AQ\"]}}",
        "{\"a\":[\"a/b\",\"AQ\"],\"a\":[\"a/b\",\"AQ\"]}",
        "{\"\":[\"a/b\",\"AQ\"]}",
        "[\"a/b\",\"AQ\"] x",
    };

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_diag diag = {0};
        struct bh_cmw cmw;
        cr_assert_neq(bh_cmw_from_json(bh_span_str(bad[i]), &cmw, &diag), BH_OK, "%s", bad[i]);
        cr_assert_neq(diag.detail[0], '\0');
    }
}

Test(cmw, cbor_forms)
{
    uint8_t out[64];
    struct bh_cmw cmw;
    size_t len;

    cr_assert_eq(bh_cmw_record_cbor("a/b", bh_span("xyz", 3), 4, out, sizeof(out), &len), BH_OK);
    cr_assert_eq(bh_cmw_from_cbor(bh_span(out, len), &cmw, NULL), BH_OK);
    cr_assert_str_eq(cmw.records[0].type, "a/b");
    cr_assert(bh_span_is(cmw.records[0].value, "xyz"));
    bh_cmw_clear(&cmw);
    /* TN(263): 0x63740101 + 263 with one gap = 0x63740209 */
    cr_assert_eq(bh_cmw_from_cbor(bh_span("\xda\x63\x74\x02\x09\x41\x07", 7), &cmw, NULL), BH_OK);
    cr_assert_str_eq(cmw.records[0].type, "263");
    bh_cmw_clear(&cmw);
    cr_assert_neq(bh_cmw_from_cbor(bh_span("\xda\x63\x74\x02\x00\x41\x07", 7), &cmw, NULL), BH_OK);
    cr_assert_neq(bh_cmw_from_cbor(bh_span("\xd2\x41\x07", 3), &cmw, NULL), BH_OK);
    /* {"q": ["a/b", h'07']} */
    cr_assert_eq(bh_cmw_from_cbor(bh_span("\xa1\x61q\x82\x63"
                                          "a/b\x41\x07",
                                      10),
                     &cmw, NULL),
        BH_OK);
    cr_assert_eq(bh_cmw_find(&cmw, "q")->value.ptr[0], 7);
    bh_cmw_clear(&cmw);
    /* nested */
    cr_assert_neq(bh_cmw_from_cbor(bh_span("\xa1\x61q\xa1\x61r\x82\x63"
                                           "a/b\x41\x07",
                                       13),
                      &cmw, NULL),
        BH_OK);
}

Test(cmw, labels_cannot_be_confused)
{
    struct bh_diag diag = {0};
    struct bh_cmw cmw;

    /* {"a\\0b": ["a/b", h'07']}: a label that C strings would cut */
    cr_assert_eq(bh_cmw_from_cbor(bh_span("\xa1\x63"
                                          "a\0b\x82\x63"
                                          "a/b\x41\x07",
                                      12),
                     &cmw, &diag),
        BH_ERR_MALFORMED);
    cr_assert_not_null(strstr(diag.detail, "labels"), "%s", diag.detail);
    /* {1: ["a/b", h'07'], "1": ["a/b", h'08']} */
    bh_diag_clear(&diag);
    cr_assert_eq(bh_cmw_from_cbor(bh_span("\xa2\x01\x82\x63"
                                          "a/b\x41\x07\x61"
                                          "1\x82\x63"
                                          "a/b\x41\x08",
                                      18),
                     &cmw, &diag),
        BH_ERR_MALFORMED);
    cr_assert_not_null(strstr(diag.detail, "labels"), "%s", diag.detail);
}

Test(cmw, extension)
{
    uint8_t body[300] = {7}, out[400];
    struct bh_span json, cbor;
    size_t len;

    for (size_t n = 1; n <= sizeof(body); n += 7) {
        cr_assert_eq(bh_cmw_ext_encode(bh_span(body, n), out, sizeof(out), &len), BH_OK);
        cr_assert_eq(bh_cmw_ext_decode(bh_span(out, len), &json, &cbor, NULL), BH_OK);
        cr_assert_eq(json.len, 0);
        cr_assert(bh_span_equal(cbor, bh_span(body, n)));
        cr_assert_neq(bh_cmw_ext_decode(bh_span(out, len - 1), &json, &cbor, NULL), BH_OK);
    }
    cr_assert_eq(bh_cmw_ext_decode(bh_span("\x0c\x02[]", 4), &json, &cbor, NULL), BH_OK);
    cr_assert(bh_span_is(json, "[]"));
    cr_assert_neq(bh_cmw_ext_decode(bh_span("\x30\x02[]", 4), &json, &cbor, NULL), BH_OK);
    cr_assert_neq(bh_cmw_ext_decode(bh_span("\x04\x81\x01x", 4), &json, &cbor, NULL), BH_OK);
    cr_assert_neq(bh_cmw_ext_decode(bh_span("\x04", 1), &json, &cbor, NULL), BH_OK);
}
