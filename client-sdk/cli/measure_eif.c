/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_eif.h"

#include "core/reader.h"
#include "core/x509.h"
#include "measure_signature.h"

#include <stdlib.h>

#define SECTIONS_MAX 32
#define HEADER_LEN 548
#define SECTION_HEADER_LEN 12
#define VERSION_MIN 2 /* the first with a CRC */
#define VERSION_MAX 4
#define SIGNATURE_MAX (64 * 1024)
#define TEXT_MAX (1024 * 1024) /* command line, metadata */
#define PIECE (64 * 1024)

enum section_type {
    SECTION_KERNEL = 1,
    SECTION_CMDLINE,
    SECTION_RAMDISK,
    SECTION_SIGNATURE,
    SECTION_METADATA,
};

struct eif {
    FILE *in;
    struct bh_diag *diag;
    uint32_t crc; /* of what was read, as it runs */
    uint64_t at;  /* bytes read */
    unsigned sections;
    uint64_t offsets[SECTIONS_MAX], sizes[SECTIONS_MAX];
    uint32_t want_crc;
    unsigned seen[SECTION_METADATA + 1];
    EVP_MD_CTX *image, *boot, *rest;
    uint8_t *signature;
    size_t signature_len;
};

static enum bh_err
malformed(struct eif *x, const char *check, const char *expected, const char *found)
{
    (void)bh_refuse(x->diag, BH_ERR_MALFORMED, check, expected, found,
        "this is no whole enclave image: %s: expected %s, found %s", check, expected, found);
    bh_hint(x->diag, "build the image anew (nitro-cli build-enclave, eif_build), or fetch it anew");
    return BH_ERR_MALFORMED;
}

/* CRC-32 as of IEEE 802.3, bit by bit from a table of sixteen. */
static uint32_t
crc32_more(uint32_t crc, const uint8_t *bytes, size_t len)
{
    static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
        0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return crc;
}

static enum bh_err
take(struct eif *x, uint8_t *out, size_t len)
{
    char found[64];

    if (fread(out, 1, len, x->in) == len) {
        x->at += len;
        return BH_OK;
    }
    if (ferror(x->in) != 0)
        return bh_fail(x->diag, BH_ERR_IO, "the image cannot be read");
    (void)snprintf(found, sizeof(found), "an end within %zu bytes behind byte %llu", len,
        (unsigned long long)x->at);
    return malformed(x, "eif.size", "the sections that the header promises", found);
}

static enum bh_err
take_counted(struct eif *x, uint8_t *out, size_t len)
{
    const enum bh_err e = take(x, out, len);

    if (e == BH_OK)
        x->crc = crc32_more(x->crc, out, len);
    return e;
}

/* ---- the header ---- */

static enum bh_err
check_table(struct eif *x)
{
    uint64_t next = HEADER_LEN;

    for (unsigned i = 0; i < SECTIONS_MAX; i++) {
        if (i >= x->sections) {
            if (x->offsets[i] != 0 || x->sizes[i] != 0)
                return malformed(x, "eif.sections", "zeros behind the last section of the table",
                    "a section that is not counted");
            continue;
        }
        if (x->offsets[i] != next)
            return malformed(x, "eif.sections", "sections one behind the other, in order",
                "a section that begins elsewhere");
        if (x->sizes[i] > INT64_MAX - SECTION_HEADER_LEN - next)
            return malformed(x, "eif.sections", "sizes of this world", "a size beyond any file");
        next += SECTION_HEADER_LEN + x->sizes[i];
    }
    return BH_OK;
}

static enum bh_err
read_header(struct eif *x)
{
    uint8_t bytes[HEADER_LEN];
    char found[32];
    struct bh_reader r;
    enum bh_err e;

    if ((e = take(x, bytes, sizeof(bytes))) != BH_OK)
        return e;
    x->crc = crc32_more(UINT32_MAX, bytes, sizeof(bytes) - 4);
    bh_reader_init(&r, bh_span(bytes, sizeof(bytes)));
    if (!bh_span_is(bh_reader_take(&r, 4), ".eif"))
        return malformed(x, "eif.header", "the mark .eif", "another beginning");
    const unsigned version = bh_reader_u16be(&r);
    const unsigned flags = bh_reader_u16be(&r);
    (void)bh_reader_take(&r, 8 + 8); /* default memory and CPUs, which are not measured */
    const unsigned reserved = bh_reader_u16be(&r);
    x->sections = bh_reader_u16be(&r);
    for (unsigned i = 0; i < SECTIONS_MAX; i++)
        x->offsets[i] = bh_reader_u64be(&r);
    for (unsigned i = 0; i < SECTIONS_MAX; i++)
        x->sizes[i] = bh_reader_u64be(&r);
    const uint32_t unused = bh_reader_u32be(&r);
    x->want_crc = bh_reader_u32be(&r);
    if ((e = bh_reader_end(&r)) != BH_OK)
        return bh_fail(x->diag, e, "enclave image header");
    (void)snprintf(found, sizeof(found), "version %u", version);
    if (version < VERSION_MIN || version > VERSION_MAX)
        return malformed(x, "eif.version", "version 2, 3 or 4", found);
    if ((flags & ~1U) != 0 || reserved != 0 || unused != 0)
        return malformed(x, "eif.header",
            "no flags but the architecture's, and zeros where nothing "
            "is defined",
            "other bits");
    if (x->sections < 3 || x->sections > SECTIONS_MAX)
        return malformed(x, "eif.sections", "3 to 32 sections: kernel, command line, ramdisk",
            "another number of them");
    return check_table(x);
}

/* ---- sections ---- */

static bool
is_limited(unsigned type, uint64_t size)
{
    if (type == SECTION_SIGNATURE)
        return size <= SIGNATURE_MAX;
    return (type != SECTION_CMDLINE && type != SECTION_METADATA) || size <= TEXT_MAX;
}

static enum bh_err
read_section_header(struct eif *x, unsigned index, unsigned *ret_type)
{
    uint8_t bytes[SECTION_HEADER_LEN];
    struct bh_reader r;
    enum bh_err e;

    if ((e = take_counted(x, bytes, sizeof(bytes))) != BH_OK)
        return e;
    bh_reader_init(&r, bh_span(bytes, sizeof(bytes)));
    const unsigned type = bh_reader_u16be(&r);
    const unsigned flags = bh_reader_u16be(&r);
    const uint64_t size = bh_reader_u64be(&r);
    if (type < SECTION_KERNEL || type > SECTION_METADATA)
        return malformed(x, "eif.sections", "kernel, command line, ramdisk, signature or metadata",
            "a section of another type");
    if (flags != 0 || size != x->sizes[index])
        return malformed(x, "eif.sections", "a section as the header's table has it",
            flags != 0 ? "a section with flags" : "one of another size");
    if (!is_limited(type, size))
        return malformed(x, "eif.sections", "64 KiB of signature, 1 MiB of text at most", "more");
    if (type != SECTION_RAMDISK && x->seen[type] > 0)
        return malformed(
            x, "eif.sections", "one section of each type but ramdisks", "a second one");
    x->seen[type]++;
    *ret_type = type;
    return BH_OK;
}

static bool
measure(struct eif *x, unsigned type, const uint8_t *bytes, size_t len)
{
    EVP_MD_CTX *second = type == SECTION_RAMDISK && x->seen[type] > 1 ? x->rest : x->boot;

    if (type == SECTION_SIGNATURE || type == SECTION_METADATA)
        return true;
    return EVP_DigestUpdate(x->image, bytes, len) == 1 && EVP_DigestUpdate(second, bytes, len) == 1;
}

static enum bh_err
read_section(struct eif *x, unsigned index)
{
    uint64_t left = x->sizes[index];
    unsigned type = 0;
    uint8_t piece[PIECE];
    enum bh_err e;

    if ((e = read_section_header(x, index, &type)) != BH_OK)
        return e;
    if (type == SECTION_SIGNATURE) {
        if ((x->signature = malloc((size_t)left + 1)) == NULL)
            return bh_fail(x->diag, BH_ERR_NOMEM, "signature");
        x->signature_len = (size_t)left;
        return take_counted(x, x->signature, x->signature_len);
    }
    while (left > 0) {
        const size_t len = left < sizeof(piece) ? (size_t)left : sizeof(piece);

        if ((e = take_counted(x, piece, len)) != BH_OK)
            return e;
        if (!measure(x, type, piece, len))
            return bh_fail(x->diag, BH_ERR_INTERNAL, "SHA-384");
        left -= len;
    }
    return BH_OK;
}

static enum bh_err
read_sections(struct eif *x)
{
    char expected[16], found[16];
    enum bh_err e;

    for (unsigned i = 0; i < x->sections; i++)
        if ((e = read_section(x, i)) != BH_OK)
            return e;
    if (getc(x->in) != EOF)
        return malformed(x, "eif.size", "an end behind the last section", "more bytes");
    if (ferror(x->in) != 0)
        return bh_fail(x->diag, BH_ERR_IO, "the image cannot be read");
    for (unsigned type = SECTION_KERNEL; type <= SECTION_RAMDISK; type++)
        if (x->seen[type] == 0)
            return malformed(
                x, "eif.sections", "a kernel, a command line and a ramdisk", "not all of them");
    (void)snprintf(expected, sizeof(expected), "%08x", x->want_crc);
    (void)snprintf(found, sizeof(found), "%08x", ~x->crc);
    if (~x->crc != x->want_crc)
        return malformed(x, "eif.crc", expected, found);
    return BH_OK;
}

/* ---- PCRs ---- */

/* A PCR that was extended once from zero with @p digest. */
static enum bh_err
extend_once(const uint8_t digest[BH_EIF_PCR_LEN], uint8_t out[BH_EIF_PCR_LEN])
{
    uint8_t both[2 * BH_EIF_PCR_LEN] = {0};

    memcpy(both + BH_EIF_PCR_LEN, digest, BH_EIF_PCR_LEN);
    return bh_sha2(384, bh_span(both, sizeof(both)), out);
}

static enum bh_err
finish(EVP_MD_CTX *ctx, uint8_t out[BH_EIF_PCR_LEN])
{
    uint8_t digest[BH_EIF_PCR_LEN];

    return EVP_DigestFinal_ex(ctx, digest, NULL) == 1 ? extend_once(digest, out) : BH_ERR_INTERNAL;
}

static enum bh_err
finish_all(struct eif *x, struct bh_eif_pcrs *ret_pcrs)
{
    struct bh_eif_pcrs pcrs = {.is_signed = x->signature != NULL};
    uint8_t *der = NULL, digest[BH_EIF_PCR_LEN];
    size_t der_len = 0;
    enum bh_err e;

    if (finish(x->image, pcrs.pcr0) != BH_OK || finish(x->boot, pcrs.pcr1) != BH_OK ||
        finish(x->rest, pcrs.pcr2) != BH_OK)
        return bh_fail(x->diag, BH_ERR_INTERNAL, "SHA-384");
    if (pcrs.is_signed) {
        if ((e = bh_eif_signer(bh_span(x->signature, x->signature_len), pcrs.pcr0, &der, &der_len,
                 x->diag)) != BH_OK)
            return e;
        e = bh_sha2(384, bh_span(der, der_len), digest);
        OPENSSL_free(der);
        if (e != BH_OK || extend_once(digest, pcrs.pcr8) != BH_OK)
            return bh_fail(x->diag, BH_ERR_INTERNAL, "SHA-384");
    }
    *ret_pcrs = pcrs;
    return BH_OK;
}

static EVP_MD_CTX *
begin(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx != NULL && EVP_DigestInit_ex(ctx, bh_sha2_md(384), NULL) == 1)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

enum bh_err
bh_eif_measure(FILE *in, struct bh_eif_pcrs *ret_pcrs, struct bh_diag *diag)
{
    struct eif x = {.in = in, .diag = diag, .image = begin(), .boot = begin(), .rest = begin()};
    enum bh_err e;

    if (x.image == NULL || x.boot == NULL || x.rest == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "SHA-384");
    else if ((e = read_header(&x)) == BH_OK && (e = read_sections(&x)) == BH_OK)
        e = finish_all(&x, ret_pcrs);
    EVP_MD_CTX_free(x.image);
    EVP_MD_CTX_free(x.boot);
    EVP_MD_CTX_free(x.rest);
    free(x.signature);
    return e;
}
