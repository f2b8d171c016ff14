/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reader.h"
#include "core/text.h"
#include "core/writer.h"

#include <criterion/criterion.h>

Test(reader, reads_in_order_and_ends)
{
    const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 0, 2, 9, 9};
    struct bh_reader r;

    bh_reader_init(&r, bh_span(in, sizeof(in)));
    cr_assert_eq(bh_reader_u8(&r), 1);
    cr_assert_eq(bh_reader_u16be(&r), 0x0203);
    cr_assert_eq(bh_reader_u32le(&r), 0x07060504);
    cr_assert(bh_span_equal(bh_reader_vec16(&r, 1, 2), bh_span(in + 9, 2)));
    cr_assert_eq(bh_reader_end(&r), BH_OK);
}

Test(reader, stays_failed)
{
    const uint8_t in[] = {0, 3, 1, 2};
    struct bh_reader r;

    bh_reader_init(&r, bh_span(in, sizeof(in)));
    cr_assert_eq(bh_reader_vec16(&r, 0, 9).len, 0);
    cr_assert_not(bh_reader_ok(&r));
    cr_assert_eq(bh_reader_u8(&r), 0);
    cr_assert_eq(bh_reader_end(&r), BH_ERR_MALFORMED);
}

Test(reader, refuses_leftover)
{
    const uint8_t in[] = {1, 2};
    struct bh_reader r;

    bh_reader_init(&r, bh_span(in, sizeof(in)));
    (void)bh_reader_u8(&r);
    cr_assert_eq(bh_reader_end(&r), BH_ERR_MALFORMED);
}

Test(writer, stays_failed_when_full)
{
    uint8_t buf[3];
    struct bh_writer w;
    struct bh_span out;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_u32be(&w, 1);
    bh_writer_u8(&w, 1);
    cr_assert_eq(bh_writer_end(&w, &out), BH_ERR_TOO_LARGE);
}

Test(writer, der_lengths)
{
    uint8_t buf[400] = {0};
    struct bh_writer w;
    struct bh_span out;
    uint8_t body[300] = {0};

    bh_writer_init(&w, buf, sizeof(buf));
    const size_t seq = bh_writer_der_open(&w, 0x30);
    bh_writer_der(&w, 0x04, bh_span(body, sizeof(body)));
    bh_writer_der_close(&w, seq);
    cr_assert_eq(bh_writer_end(&w, &out), BH_OK);
    cr_assert_eq(out.len, 308);
    cr_assert_arr_eq(out.ptr, "\x30\x82\x01\x30\x04\x82\x01\x2c", 8);
}

Test(text, base64url_round_trip_and_strictness)
{
    uint8_t bytes[7];
    char text[16];
    uint8_t back[7];
    size_t n;

    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(251 - 7 * i);
        bh_base64url(bh_span(bytes, len), text, sizeof(text));
        cr_assert_eq(bh_unbase64url(bh_span_str(text), back, sizeof(back), &n), BH_OK);
        cr_assert(bh_span_equal(bh_span(bytes, len), bh_span(back, n)));
    }
    cr_assert_eq(bh_unbase64url(bh_span_str("AA=="), back, sizeof(back), &n), BH_ERR_MALFORMED);
    cr_assert_eq(bh_unbase64url(bh_span_str("AB"), back, sizeof(back), &n), BH_ERR_MALFORMED);
    cr_assert_eq(bh_unbase64url(bh_span_str("A"), back, sizeof(back), &n), BH_ERR_MALFORMED);
    cr_assert_eq(bh_unbase64url(bh_span_str("AA+A"), back, sizeof(back), &n), BH_ERR_MALFORMED);
}

Test(text, hex_is_cut_visibly)
{
    char out[8];

    cr_assert_str_eq(bh_hex(bh_span("\x01\xff", 2), out, sizeof(out)), "01ff");
    cr_assert_str_eq(bh_hex(bh_span("\x01\xff\x02\x03", 4), out, sizeof(out)), "01ff...");
}

Test(text, times)
{
    int64_t t;
    char out[BH_TIME_MAX];

    cr_assert_eq(bh_time_read("2026-02-28T23:59:59Z", &t), BH_OK);
    cr_assert_str_eq(bh_time_text(t, out), "2026-02-28T23:59:59Z");
    cr_assert_eq(bh_time_read("2026-02-30T00:00:00Z", &t), BH_ERR_MALFORMED);
    cr_assert_eq(bh_time_read("2026-2-3T00:00:00Z", &t), BH_ERR_MALFORMED);
    cr_assert_eq(bh_time_read("2026-02-03T00:00:00Z ", &t), BH_ERR_MALFORMED);
}

Test(text, durations)
{
    int64_t s;

    cr_assert_eq(bh_duration_read("24h", &s), BH_OK);
    cr_assert_eq(s, 86400);
    cr_assert_eq(bh_duration_read("0s", &s), BH_ERR_MALFORMED);
    cr_assert_eq(bh_duration_read("24", &s), BH_ERR_MALFORMED);
    cr_assert_eq(bh_duration_read("h", &s), BH_ERR_MALFORMED);
    cr_assert_eq(bh_duration_read("99999999999999999999d", &s), BH_ERR_MALFORMED);
}

Test(text, names)
{
    cr_assert(bh_is_workload(bh_span_str("payments.v2_a-b")));
    cr_assert_not(bh_is_workload(bh_span_str("-x")));
    cr_assert_not(bh_is_workload(bh_span_str("Payments")));
    cr_assert_not(bh_is_workload(bh_span_str("")));
    cr_assert(bh_is_dns_name(bh_span_str("a.fleet.example")));
    cr_assert_not(bh_is_dns_name(bh_span_str("a..b")));
    cr_assert_not(bh_is_dns_name(bh_span_str("a.")));
    cr_assert_not(bh_is_dns_name(bh_span_str("-a")));
    cr_assert_not(bh_is_dns_name(bh_span_str("a-.b")));
    cr_assert(bh_is_utf8(bh_span_str("gr\xc3\xbc\xc3\x9f")));
    cr_assert_not(bh_is_utf8(bh_span_str("\xc0\xaf")));
    cr_assert_not(bh_is_utf8(bh_span_str("\xed\xa0\x80")));
    cr_assert_not(bh_is_utf8(bh_span_str("\xe2\x82")));
}

Test(err, first_failure_stays)
{
    struct bh_diag d;

    bh_diag_clear(&d);
    cr_assert_eq(bh_fail(&d, BH_ERR_BINDING, "first"), BH_ERR_BINDING);
    cr_assert_eq(bh_fail(&d, BH_ERR_POLICY, "second"), BH_ERR_POLICY);
    cr_assert_eq(d.err, BH_ERR_BINDING);
    cr_assert_str_eq(d.detail, "first");
    cr_assert_str_eq(bh_err_code(d.err), "binding-mismatch");
    cr_assert_eq(bh_err_from_code("challenge-used"), BH_ERR_CHALLENGE_USED);
    cr_assert_eq(bh_err_status(BH_ERR_CHALLENGE_USED), 409);
}
