/* SPDX-License-Identifier: Apache-2.0 */
/* The report itself (DMTF DSP0274, 10.11; NVIDIA's opaque data): strict, every length exact. */
#include "nvidia_gpu.h"

#include <stdio.h>

#define SPDM_1_1 0x11
#define GET_MEASUREMENTS 0xe0
#define MEASUREMENTS 0x60
#define SIGNATURE_REQUESTED 0x01
#define ALL_MEASUREMENTS 0xff
#define DMTF_SPECIFICATION 0x01
#define DMTF_HEAD_LEN 3
#define RAW_BIT_STREAM 0x80

static enum bh_err
short_of(struct ev_report *report, const char *what)
{
    return ev_nvgpu_malformed(
        report, "report", "a request of 37 bytes and a whole response with its signature", what);
}

bool
ev_nvgpu_recognises(struct bh_span raw)
{
    static const uint8_t request[] = {SPDM_1_1, GET_MEASUREMENTS};
    static const uint8_t response[] = {SPDM_1_1, MEASUREMENTS};

    return raw.len > EV_NVGPU_REQUEST_LEN + sizeof(response) &&
           memcmp(raw.ptr, request, sizeof(request)) == 0 &&
           memcmp(raw.ptr + EV_NVGPU_REQUEST_LEN, response, sizeof(response)) == 0;
}

struct bh_span
ev_nvgpu_field(const struct ev_nvgpu_report *r, enum ev_nvgpu_field_type type)
{
    for (size_t i = 0; i < r->fields_len; i++)
        if (r->fields[i].type == (uint16_t)type)
            return r->fields[i].value;
    return bh_span_none();
}

/* A request for all measurements, signed. */
static enum bh_err
read_request(struct bh_reader *in, struct ev_nvgpu_report *r, struct ev_report *report)
{
    char found[BH_VALUE_MAX];
    const uint8_t version = bh_reader_u8(in);
    const uint8_t code = bh_reader_u8(in);
    const uint8_t attributes = bh_reader_u8(in);
    const uint8_t operation = bh_reader_u8(in);

    r->request_nonce = bh_reader_take(in, EV_NVGPU_NONCE_LEN);
    r->slot = bh_reader_u8(in);
    if (!bh_reader_ok(in))
        return short_of(report, "less than the request");
    (void)snprintf(found, sizeof(found),
        "version %02x, code %02x, param1 %02x, param2 %02x, slot %u", version, code, attributes,
        operation, r->slot);
    if (version != SPDM_1_1 || code != GET_MEASUREMENTS || attributes != SIGNATURE_REQUESTED ||
        operation != ALL_MEASUREMENTS || r->slot > 7)
        return ev_nvgpu_malformed(report, "request",
            "GET_MEASUREMENTS of SPDM 1.1 for all measurements with a signature, of slot 0 to 7",
            found);
    return BH_OK;
}

static enum bh_err
read_response_head(struct bh_reader *in, const struct ev_nvgpu_report *r, uint8_t *ret_blocks,
    struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    const uint8_t version = bh_reader_u8(in);
    const uint8_t code = bh_reader_u8(in);
    const uint8_t param1 = bh_reader_u8(in);
    const uint8_t slot = bh_reader_u8(in);

    *ret_blocks = bh_reader_u8(in);
    if (!bh_reader_ok(in))
        return short_of(report, "less than the response's head");
    (void)snprintf(found, sizeof(found), "version %02x, code %02x, param1 %02x, param2 %02x",
        version, code, param1, slot);
    (void)snprintf(
        expected, sizeof(expected), "MEASUREMENTS of SPDM 1.1, param1 0, of slot %u", r->slot);
    if (version != SPDM_1_1 || code != MEASUREMENTS || param1 != 0 || slot != r->slot)
        return ev_nvgpu_malformed(report, "response", expected, found);
    return BH_OK;
}

/* DSP0274, 10.11.1: index, specification, size, and within it type, size and digest. */
static bool
read_block(struct bh_reader *in, struct ev_nvgpu_block *block)
{
    block->index = bh_reader_u8(in);
    const uint8_t specification = bh_reader_u8(in);
    const uint16_t size = bh_reader_u16le(in);
    block->type = bh_reader_u8(in);
    const uint16_t value_size = bh_reader_u16le(in);
    block->digest = bh_reader_take(in, EV_NVGPU_DIGEST_LEN);
    return bh_reader_ok(in) && specification == DMTF_SPECIFICATION &&
           size == DMTF_HEAD_LEN + EV_NVGPU_DIGEST_LEN && value_size == EV_NVGPU_DIGEST_LEN &&
           (block->type & RAW_BIT_STREAM) == 0;
}

static enum bh_err
read_blocks(
    struct bh_span record, uint8_t count, struct ev_nvgpu_report *r, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    struct bh_reader in;
    uint8_t before = 0;

    bh_reader_init(&in, record);
    (void)snprintf(expected, sizeof(expected),
        "%u blocks of SHA-384 digests, ascending by index from 1 on, that fill the record", count);
    for (size_t i = 0; i < count; i++) {
        struct ev_nvgpu_block *block = &r->blocks[i];

        if (!read_block(&in, block)) {
            (void)snprintf(found, sizeof(found), "block %zu is another", i + 1);
            return ev_nvgpu_malformed(report, "measurements", expected, found);
        }
        if (block->index <= before) {
            (void)snprintf(found, sizeof(found), "index %u behind index %u", block->index, before);
            return ev_nvgpu_malformed(report, "measurements", expected, found);
        }
        before = block->index;
    }
    if (count == 0 || bh_reader_end(&in) != BH_OK) {
        (void)snprintf(found, sizeof(found), "%u blocks and %zu bytes behind them", count,
            bh_reader_left(&in));
        return ev_nvgpu_malformed(report, "measurements", expected, found);
    }
    r->blocks_len = count;
    return BH_OK;
}

/* Lengths of what is compared later are those of its type. */
static bool
is_field_len(uint16_t type, size_t len)
{
    switch (type) {
    case EV_NVGPU_FWID:
        return len == EV_NVGPU_DIGEST_LEN;
    case EV_NVGPU_NVDEC0_STATUS:
        return len == 1;
    default:
        return true;
    }
}

static enum bh_err
read_fields(struct bh_span opaque, struct ev_nvgpu_report *r, struct ev_report *report)
{
    static const char expected[] = "fields of type, length and value, each type once";
    char found[BH_VALUE_MAX];
    struct bh_reader in;

    bh_reader_init(&in, opaque);
    while (bh_reader_left(&in) > 0) {
        const uint16_t type = bh_reader_u16le(&in);
        const uint16_t len = bh_reader_u16le(&in);
        const struct bh_span value = bh_reader_take(&in, len);

        if (!bh_reader_ok(&in))
            break;
        (void)snprintf(found, sizeof(found), "type %u of %u bytes", type, len);
        if (!is_field_len(type, len))
            return ev_nvgpu_malformed(
                report, "opaque_data", "a FWID of 48 bytes, a status of one", found);
        for (size_t i = 0; i < r->fields_len; i++)
            if (r->fields[i].type == type) {
                (void)snprintf(found, sizeof(found), "type %u twice", type);
                return ev_nvgpu_malformed(report, "opaque_data", expected, found);
            }
        if (r->fields_len == EV_NVGPU_FIELDS_MAX)
            return ev_nvgpu_malformed(report, "opaque_data", "at most 64 fields", "more");
        r->fields[r->fields_len++] = (struct ev_nvgpu_field){.type = type, .value = value};
    }
    if (bh_reader_end(&in) != BH_OK)
        return ev_nvgpu_malformed(report, "opaque_data", expected, "a field that is cut off");
    return BH_OK;
}

enum bh_err
ev_nvgpu_report_read(
    struct bh_span raw, struct ev_nvgpu_report *ret_report, struct ev_report *report)
{
    struct ev_nvgpu_report r = {.raw = raw};
    struct bh_reader in;
    struct bh_span record, opaque;
    char found[BH_VALUE_MAX];
    uint8_t blocks;
    enum bh_err e;

    bh_reader_init(&in, raw);
    if ((e = read_request(&in, &r, report)) != BH_OK ||
        (e = read_response_head(&in, &r, &blocks, report)) != BH_OK)
        return e;
    const uint32_t record_low = bh_reader_u16le(&in);
    const uint32_t record_len = record_low | (uint32_t)bh_reader_u8(&in) << 16;
    record = bh_reader_take(&in, record_len);
    r.response_nonce = bh_reader_take(&in, EV_NVGPU_NONCE_LEN);
    const uint16_t opaque_len = bh_reader_u16le(&in);
    opaque = bh_reader_take(&in, opaque_len);
    if (!bh_reader_ok(&in) || bh_reader_left(&in) != EV_NVGPU_SIGNATURE_LEN) {
        (void)snprintf(
            found, sizeof(found), "%zu bytes, which its own lengths do not add up to", raw.len);
        return short_of(report, found);
    }
    r.said = bh_span(raw.ptr, bh_reader_off(&in));
    r.signature = bh_reader_take(&in, EV_NVGPU_SIGNATURE_LEN);
    if ((e = read_blocks(record, blocks, &r, report)) != BH_OK ||
        (e = read_fields(opaque, &r, report)) != BH_OK)
        return e;
    *ret_report = r;
    return BH_OK;
}
