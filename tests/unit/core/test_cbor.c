/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cbor.h"

#include <criterion/criterion.h>

#define IN(text) bh_span(text, sizeof(text) - 1)

/* Step over one item and demand that it fills the input. */
static const char *
whole(struct bh_span in)
{
    struct bh_cbor c;

    bh_cbor_init(&c, in);
    bh_cbor_skip(&c);
    return bh_cbor_end(&c) == BH_OK ? NULL : bh_cbor_why(&c);
}

Test(cbor, reads_a_map)
{
    /* {1: -7, 10: h'0102', "a": [true, null]} */
    static const char in[] = "\xa3\x01\x26\x0a\x42\x01\x02\x61"
                             "a\x82\xf5\xf6";
    struct bh_cbor c;

    bh_cbor_init(&c, IN(in));
    bh_cbor_map(&c);
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_int(&c), 1);
    cr_assert_eq(bh_cbor_int(&c), -7);
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_uint(&c), 10);
    cr_assert(bh_span_equal(bh_cbor_bstr(&c), bh_span("\x01\x02", 2)));
    cr_assert(bh_cbor_more(&c));
    cr_assert(bh_span_is(bh_cbor_tstr(&c), "a"));
    bh_cbor_array(&c);
    cr_assert(bh_cbor_bool(&c));
    bh_cbor_null(&c);
    bh_cbor_leave(&c);
    cr_assert_not(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

Test(cbor, indefinite_containers)
{
    /* {_ 1: [_ 2, 3], 4: {_}} */
    static const char in[] = "\xbf\x01\x9f\x02\x03\xff\x04\xbf\xff\xff";
    struct bh_cbor c;

    cr_assert_null(whole(IN(in)));
    bh_cbor_init(&c, IN(in));
    bh_cbor_map(&c);
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_int(&c), 1);
    bh_cbor_array(&c);
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_int(&c), 2);
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_int(&c), 3);
    cr_assert_not(bh_cbor_more(&c));
    cr_assert(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_int(&c), 4);
    bh_cbor_map(&c);
    cr_assert_not(bh_cbor_more(&c));
    cr_assert_not(bh_cbor_more(&c));
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

Test(cbor, non_shortest_integers_are_taken_and_compare_by_value)
{
    struct bh_cbor c;

    bh_cbor_init(&c, IN("\x1b\x00\x00\x00\x00\x00\x00\x00\x0a"));
    cr_assert_eq(bh_cbor_uint(&c), 10);
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
    /* {10: 1, 10: 2} with the key in two forms */
    bh_cbor_init(&c, IN("\xa2\x0a\x01\x18\x0a\x02"));
    bh_cbor_map(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "a map key that stands twice");
}

Test(cbor, duplicate_keys)
{
    static const struct {
        const char *in;
        size_t len;
    } bad[] = {
        {"\xa2\x01\x02\x01\x03", 5},
        {"\xbf\x01\x02\x01\x03\xff", 6},
        {"\xa2\x61"
         "a\x00\x61"
         "a\x00",
            7},
        {"\xa2\x20\x00\x20\x00", 5},
    };

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_cbor c;
        bh_cbor_init(&c, bh_span(bad[i].in, bad[i].len));
        bh_cbor_map(&c);
        cr_assert_str_eq(bh_cbor_why(&c), "a map key that stands twice", "case %zu", i);
    }
}

Test(cbor, not_well_formed)
{
    /* RFC 8949, appendix F, and neighbours. */
    static const struct {
        const char *in;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\x18", 1},
        {"\x19\x01", 2},
        {"\x1a\x01\x02\x03", 4},
        {"\x1b\x01\x02\x03\x04\x05\x06\x07", 8},
        {"\x1c", 1},
        {"\x1d", 1},
        {"\x1e", 1},
        {"\x1f", 1},
        {"\x3f", 1},
        {"\x41", 1},
        {"\x5a\xff\xff\xff\xff\x00", 6},
        {"\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {"\x5f\x41\x00\xff", 4},
        {"\x7f\x61"
         "a\xff",
            4},
        {"\x61\xff", 2},
        {"\x81", 1},
        {"\x82\x00", 2},
        {"\x81\x81\x81", 3},
        {"\x9f", 1},
        {"\x9f\x01", 2},
        {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\xa1\x01", 2},
        {"\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x00", 10},
        {"\xbf\x01\xff", 3},
        {"\xbf\x01\x02\x03\xff", 5},
        {"\xc0", 1},
        {"\x81\xc0", 2},
        {"\x9f\xc0\xff", 3},
        {"\xdf\x00", 2},
        {"\xe0", 1},
        {"\xf3", 1},
        {"\xf8\x00", 2},
        {"\xf8\x18", 2},
        {"\xf8\xff", 2},
        {"\xfc", 1},
        {"\xff", 1},
        {"\x81\xff", 2},
        {"\x00\x00", 2},
    };

    for (size_t i = 0; i < BH_COUNT(bad); i++)
        cr_assert_not_null(whole(bh_span(bad[i].in, bad[i].len)), "case %zu", i);
}

Test(cbor, well_formed)
{
    static const struct {
        const char *in;
        size_t len;
    } good[] = {
        {"\x00", 1},
        {"\x40", 1},
        {"\x60", 1},
        {"\x80", 1},
        {"\xa0", 1},
        {"\x9f\xff", 2},
        {"\xbf\xff", 2},
        {"\xc1\x1a\x51\x4b\x67\xb0", 6},
        {"\xc0\xc1\x00", 3},
        {"\x82\xc0\x00\x01", 4},
        {"\xf9\x3c\x00", 3},
        {"\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9},
        {"\xf7", 1},
        {"\xa1\x01\xd2\x80", 4},
    };

    for (size_t i = 0; i < BH_COUNT(good); i++)
        cr_assert_null(whole(bh_span(good[i].in, good[i].len)), "case %zu: %s", i,
            whole(bh_span(good[i].in, good[i].len)));
}

Test(cbor, depth_is_bounded)
{
    uint8_t in[BH_CBOR_DEPTH_MAX + 2];
    struct bh_cbor c;

    memset(in, 0x81, sizeof(in));
    in[BH_CBOR_DEPTH_MAX] = 0;
    cr_assert_null(whole(bh_span(in, BH_CBOR_DEPTH_MAX + 1)));
    in[BH_CBOR_DEPTH_MAX] = 0x81;
    in[BH_CBOR_DEPTH_MAX + 1] = 0;
    cr_assert_str_eq(whole(bh_span(in, sizeof(in))), "nested too deeply");
    bh_cbor_init(&c, bh_span(in, sizeof(in)));
    for (int i = 0; i <= BH_CBOR_DEPTH_MAX; i++)
        bh_cbor_array(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "nested too deeply");
}

Test(cbor, wrong_types_and_leftovers_fail)
{
    struct bh_cbor c;

    bh_cbor_init(&c, IN("\x82\x01\x02"));
    bh_cbor_array(&c);
    (void)bh_cbor_tstr(&c);
    cr_assert_not(bh_cbor_ok(&c));
    bh_cbor_init(&c, IN("\x82\x01\x02"));
    bh_cbor_array(&c);
    (void)bh_cbor_int(&c);
    bh_cbor_leave(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "more items than expected");
    bh_cbor_init(&c, IN("\x81\x01"));
    bh_cbor_array(&c);
    (void)bh_cbor_int(&c);
    (void)bh_cbor_int(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "an item is missing");
    bh_cbor_init(&c, IN("\x81\x01"));
    bh_cbor_array(&c);
    cr_assert_eq(bh_cbor_end(&c), BH_ERR_MALFORMED);
    bh_cbor_init(&c, IN("\x3b\xff\xff\xff\xff\xff\xff\xff\xff"));
    (void)bh_cbor_int(&c);
    cr_assert_not(bh_cbor_ok(&c));
    bh_cbor_init(&c, IN("\xa1\x80\x01"));
    bh_cbor_map(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "a map key that is neither integer nor string");
}

Test(cbor, tags_count_with_their_item)
{
    struct bh_cbor c;

    bh_cbor_init(&c, IN("\x82\xd2\x01\x02"));
    bh_cbor_array(&c);
    cr_assert_eq(bh_cbor_peek(&c), BH_CBOR_TAG);
    cr_assert_eq(bh_cbor_tag(&c), 18);
    cr_assert_eq(bh_cbor_uint(&c), 1);
    cr_assert_eq(bh_cbor_uint(&c), 2);
    bh_cbor_leave(&c);
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

Test(cbor, floats)
{
    struct bh_cbor c;

    bh_cbor_init(&c,
        IN("\x84\xf9\x3c\x00\xf9\x00\x01\xfa\x40\x20\x00\x00\xfb\xbf\xf0\x00\x00\x00\x00\x00\x00"));
    bh_cbor_array(&c);
    cr_assert_eq(bh_cbor_float(&c), 1.0);
    cr_assert_eq(bh_cbor_float(&c), 5.960464477539063e-8);
    cr_assert_eq(bh_cbor_float(&c), 2.5);
    cr_assert_eq(bh_cbor_float(&c), -1.0);
    bh_cbor_leave(&c);
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

Test(cbor, too_many_pairs)
{
    uint8_t in[3 + 3 * (BH_CBOR_PAIRS_MAX + 1)] = {0xbf};
    struct bh_cbor c;
    size_t n = 1;

    for (int i = 0; i <= BH_CBOR_PAIRS_MAX; i++) {
        in[n++] = 0x18;
        in[n++] = (uint8_t)(24 + i);
        in[n++] = 0;
    }
    in[n++] = 0xff;
    bh_cbor_init(&c, bh_span(in, n));
    bh_cbor_map(&c);
    cr_assert_str_eq(bh_cbor_why(&c), "a map of too many pairs");
}

Test(cbor, definite_all_the_way_down)
{
    static const struct {
        const char *in;
        size_t len;
        bool definite;
    } cases[] = {
        {"\xa1\x01\x82\x02\x41\xff", 6, true}, /* the content of a string is no head */
        {"\xa1\x01\x63\x9f\xbf\xff", 6, true},
        {"\xa1\x01\xfb\xff\xff\xff\xff\xff\xff\xff\xff", 11, true}, /* nor are a float's bytes */
        {"\xa1\x01\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 11, true},
        {"\xbf\xff", 2, false},
        {"\xa1\x01\x9f\xff", 4, false},
        {"\xa1\x01\xc1\xa1\x01\xbf\xff", 7, false},
        {"\x5f\x41\x01\xff", 4, false},
        {"\x42\x01", 2, false}, /* not well-formed */
        {"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9, false},
    };

    for (size_t i = 0; i < BH_COUNT(cases); i++)
        cr_expect_eq(bh_cbor_is_definite(bh_span(cases[i].in, cases[i].len)), cases[i].definite,
            "case %zu", i);
}
