/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_ovmf.h"

#include "core/reader.h"

#define RESET_VECTOR 32 /* bytes behind the table */
#define ENTRY_HEAD (2 + 16)
#define METADATA_HEAD 16
#define SECTION_LEN 12
#define FOUR_GIB (UINT64_C(1) << 32)

/* GUIDs as they stand in memory: the first three groups little-endian. */
static const uint8_t guid_footer[16] = {0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea,
    0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d}; /* 96b582de-1fb2-45f7-baea-a366c55a082d */
static const uint8_t guid_hashes[16] = {0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b,
    0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54}; /* 7255371f-3a3b-4b04-927b-1da6efa8d454 */
static const uint8_t guid_reset[16] = {0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e,
    0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e}; /* 00f771de-1a7e-4fcb-890e-68c77e2fb44e */
static const uint8_t guid_metadata[16] = {0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7,
    0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc}; /* dc886566-984a-4798-a75e-5585a7bf67cc */

static enum bh_err
malformed(struct bh_diag *diag, const char *check, const char *expected, const char *found)
{
    (void)bh_refuse(
        diag, BH_ERR_MALFORMED, check, expected, found, "the firmware image cannot be measured");
    bh_hint(diag, "give the file that the hypervisor starts, built for SEV-SNP (OVMF.fd)");
    return BH_ERR_MALFORMED;
}

struct entry {
    struct bh_span guid, data;
};

/* The entry that ends at @p end of @p table. */
static bool
entry_before(struct bh_span table, size_t end, struct entry *ret_entry, size_t *ret_begin)
{
    struct bh_reader r;
    size_t size;

    if (end < ENTRY_HEAD)
        return false;
    bh_reader_init(&r, bh_span(table.ptr + end - ENTRY_HEAD, ENTRY_HEAD));
    size = bh_reader_u16le(&r);
    ret_entry->guid = bh_reader_take(&r, 16);
    if (size < ENTRY_HEAD || size > end)
        return false;
    ret_entry->data = bh_span(table.ptr + end - size, size - ENTRY_HEAD);
    *ret_begin = end - size;
    return true;
}

static bool
is(const struct entry *e, const uint8_t guid[16])
{
    return bh_span_equal(e->guid, bh_span(guid, 16));
}

/* The 32-bit number that begins an entry's data. */
static uint32_t
number(struct bh_span data)
{
    struct bh_reader r;

    bh_reader_init(&r, data);
    return bh_reader_u32le(&r);
}

/* ---- the pages that are added ---- */

static bool
is_known(uint32_t type)
{
    return (type >= BH_OVMF_MEMORY && type <= BH_OVMF_CAA) || type == BH_OVMF_KERNEL_HASHES;
}

static enum bh_err
read_section(struct bh_reader *r, struct bh_ovmf *o, struct bh_diag *diag)
{
    const uint32_t gpa = bh_reader_u32le(r), size = bh_reader_u32le(r), type = bh_reader_u32le(r);
    const bool one_page = type != BH_OVMF_MEMORY && type != BH_OVMF_CAA;

    if (!bh_reader_ok(r) || !is_known(type))
        return malformed(diag, "ovmf.metadata",
            "sections of memory, secrets, CPUID, calling area or kernel hashes", "another type");
    if (gpa % BH_PAGE != 0 || size % BH_PAGE != 0 || size == 0 || size > BH_OVMF_MAX ||
        (one_page && size != BH_PAGE) || (uint64_t)gpa + size > o->gpa)
        return malformed(diag, "ovmf.metadata",
            "whole pages below the image, at most 64 MiB of them",
            "a section of another place or size");
    o->sections[o->sections_len++] =
        (struct bh_ovmf_section){gpa, size, (enum bh_ovmf_section_type)type};
    return BH_OK;
}

static enum bh_err
read_metadata(struct bh_ovmf *o, uint32_t from_end, struct bh_diag *diag)
{
    struct bh_reader r;
    enum bh_err e;

    if (from_end < METADATA_HEAD || from_end > o->bytes.len)
        return malformed(diag, "ovmf.metadata", "a place within the image", "one beyond it");
    bh_reader_init(&r, bh_span(o->bytes.ptr + o->bytes.len - from_end, from_end));
    const struct bh_span mark = bh_reader_take(&r, 4);
    const uint32_t size = bh_reader_u32le(&r), version = bh_reader_u32le(&r);
    const uint32_t count = bh_reader_u32le(&r);
    if (!bh_span_is(mark, "ASEV") || version != 1)
        return malformed(diag, "ovmf.metadata", "the mark ASEV and version 1", "another beginning");
    if (count > BH_OVMF_SECTIONS_MAX || size != METADATA_HEAD + count * SECTION_LEN)
        return malformed(diag, "ovmf.metadata", "at most 32 sections of 12 bytes", "another size");
    for (uint32_t i = 0; i < count; i++)
        if ((e = read_section(&r, o, diag)) != BH_OK)
            return e;
    return BH_OK;
}

/* ---- the table ---- */

static enum bh_err
take_entry(struct bh_ovmf *o, const struct entry *entry, unsigned *seen, struct bh_diag *diag)
{
    const uint8_t *const known[] = {guid_hashes, guid_reset, guid_metadata};

    for (unsigned i = 0; i < BH_COUNT(known); i++) {
        if (!is(entry, known[i]))
            continue;
        if ((*seen >> i & 1) != 0)
            return malformed(diag, "ovmf.table", "each entry once", "one twice");
        if (entry->data.len < 4)
            return malformed(diag, "ovmf.table", "an entry of at least 4 bytes", "a shorter one");
        *seen |= 1U << i;
    }
    if (is(entry, guid_hashes))
        o->hashes_gpa = number(entry->data);
    if (is(entry, guid_reset)) {
        o->reset_eip = number(entry->data);
        o->has_reset = true;
    }
    return is(entry, guid_metadata) ? read_metadata(o, number(entry->data), diag) : BH_OK;
}

static enum bh_err
read_table(struct bh_ovmf *o, struct bh_diag *diag)
{
    const struct bh_span image = bh_span(o->bytes.ptr, o->bytes.len - RESET_VECTOR);
    struct entry entry;
    struct bh_span table;
    unsigned seen = 0;
    size_t begin = 0, end;
    enum bh_err e;

    /* The footer's own size is the whole table's. */
    if (!entry_before(image, image.len, &entry, &begin) || !is(&entry, guid_footer))
        return malformed(diag, "ovmf.table", "a table of GUIDs 32 bytes before the end", "none");
    table = entry.data;
    for (end = table.len; end > 0; end = begin) {
        if (!entry_before(table, end, &entry, &begin))
            return malformed(
                diag, "ovmf.table", "entries that fill the table", "one of another size");
        if ((e = take_entry(o, &entry, &seen, diag)) != BH_OK)
            return e;
    }
    return BH_OK;
}

enum bh_err
bh_ovmf_read(struct bh_span bytes, struct bh_ovmf *ret_ovmf, struct bh_diag *diag)
{
    struct bh_ovmf o = {.bytes = bytes};
    enum bh_err e;

    if (bytes.len == 0 || bytes.len % BH_PAGE != 0 || bytes.len > BH_OVMF_MAX)
        return malformed(
            diag, "ovmf.size", "whole pages of 4096 bytes, at most 64 MiB", "another size");
    o.gpa = FOUR_GIB - bytes.len;
    if ((e = read_table(&o, diag)) != BH_OK)
        return e;
    *ret_ovmf = o;
    return BH_OK;
}
