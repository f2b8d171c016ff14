/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in PEM, and the SGX extension of PCK certificates (PCK profile, 1.3.5). */
#include "intel.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define PEM_MAX (32 * 1024)
#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

enum tag {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_ENUMERATED = 0x0a,
    TAG_SEQUENCE = 0x30,
};

/* 1.2.840.113741.1.13.1; its parts have one or two numbers more. */
static const uint8_t oid_sgx[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

void
ev_intel_chain_clear(struct ev_intel_chain *chain)
{
    free(chain->der);
    *chain = (struct ev_intel_chain){0};
}

/* ---- PEM ---- */

static void
skip_space(struct bh_span *text)
{
    while (text->len > 0 && memchr(" \t\r\n", text->ptr[0], 4) != NULL) {
        text->ptr++;
        text->len--;
    }
}

static bool
skip_word(struct bh_span *text, const char *word)
{
    const size_t len = strlen(word);

    if (text->len < len || memcmp(text->ptr, word, len) != 0)
        return false;
    text->ptr += len;
    text->len -= len;
    return true;
}

/* The lines of a block packed without their ends; its base64 ends with @p ret_pad times '='. 0 when
 * it is none. */
static size_t
pack_lines(struct bh_span *text, uint8_t *packed, size_t *ret_pad)
{
    size_t len = 0, pad = 0;

    while (text->len > 0 && text->ptr[0] != '-') {
        const uint8_t *end = memchr(text->ptr, '\n', text->len);
        const size_t line = end != NULL ? (size_t)(end - text->ptr) : text->len;
        const size_t taken = line > 0 && text->ptr[line - 1] == '\r' ? line - 1 : line;

        /* Nothing follows the padding. */
        if (len > 0 && packed[len - 1] == '=' && taken > 0)
            return 0;
        memcpy(packed + len, text->ptr, taken);
        len += taken;
        text->ptr += end != NULL ? line + 1 : line;
        text->len -= end != NULL ? line + 1 : line;
    }
    while (pad < len && packed[len - 1 - pad] == '=')
        pad++;
    *ret_pad = pad;
    return len;
}

/* One block's base64 to DER at @p out; 0 when it is none. Both buffers have as many bytes as the
 * text. */
static size_t
decode_block(struct bh_span *text, uint8_t *packed, uint8_t *out)
{
    size_t pad = 0;
    const size_t len = pack_lines(text, packed, &pad);
    int decoded;

    if (len == 0 || len % 4 != 0 || pad > 2 || memchr(packed, '=', len - pad) != NULL ||
        !skip_word(text, END))
        return 0;
    decoded = EVP_DecodeBlock(out, packed, (int)len);
    return decoded > (int)pad ? (size_t)decoded - pad : 0;
}

enum bh_err
ev_intel_chain_read(struct bh_span pem, struct ev_intel_chain *ret_chain, struct bh_diag *diag)
{
    struct ev_intel_chain chain = {0};
    uint8_t *packed;
    size_t at = 0;
    enum bh_err e = BH_OK;

    if (pem.len > 0 && pem.ptr[pem.len - 1] == '\0')
        pem.len--;
    if (pem.len == 0 || pem.len > PEM_MAX)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "PEM of %zu bytes; expected 1 to %d", pem.len, PEM_MAX);
    if ((chain.der = malloc(2 * pem.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificates");
    packed = chain.der + pem.len;
    for (skip_space(&pem); pem.len > 0; skip_space(&pem)) {
        size_t len;

        if (chain.len == EV_INTEL_PATH_MAX) {
            e = bh_fail(diag, BH_ERR_MALFORMED, "more than %d certificates", EV_INTEL_PATH_MAX);
            goto out;
        }
        if (!skip_word(&pem, BEGIN) || (len = decode_block(&pem, packed, chain.der + at)) == 0) {
            e = bh_fail(diag, BH_ERR_MALFORMED, "something that is no CERTIFICATE in PEM");
            goto out;
        }
        if ((e = ev_cert_read(bh_span(chain.der + at, len), &chain.certs[chain.len], diag)) !=
            BH_OK)
            goto out;
        at += len;
        chain.len++;
    }
    if (chain.len == 0) {
        e = bh_fail(diag, BH_ERR_MALFORMED, "no certificate in PEM");
        goto out;
    }
    *ret_chain = chain;
    chain.der = NULL;
out:
    free(chain.der);
    return e;
}

/* ---- the SGX extension ---- */

/* The number behind the extension's OID; 0 when the OID is another one. */
static unsigned
part_of(struct bh_span oid, size_t depth)
{
    const size_t len = sizeof(oid_sgx) + depth;

    if (oid.len != len || memcmp(oid.ptr, oid_sgx, sizeof(oid_sgx)) != 0)
        return 0;
    return oid.ptr[len - 1] < 0x80 ? oid.ptr[len - 1] : 0;
}

/* A non-negative INTEGER in its shortest form. */
static uint32_t
read_number(struct bh_reader *r, uint32_t max)
{
    const struct bh_span v = bh_reader_der(r, TAG_INTEGER, NULL);
    uint32_t n = 0;

    if (v.len == 0 || v.len > 4 || v.ptr[0] > 0x7f ||
        (v.len > 1 && v.ptr[0] == 0 && v.ptr[1] < 0x80)) {
        bh_reader_spoil(r);
        return 0;
    }
    for (size_t i = 0; i < v.len; i++)
        n = n << 8 | v.ptr[i];
    if (n > max)
        bh_reader_spoil(r);
    return n;
}

static struct bh_span
read_octets(struct bh_reader *r, size_t len)
{
    const struct bh_span v = bh_reader_der(r, TAG_OCTETS, NULL);

    if (v.len != len)
        bh_reader_spoil(r);
    return v;
}

static int8_t
read_bool(struct bh_reader *r)
{
    const struct bh_span v = bh_reader_der(r, TAG_BOOLEAN, NULL);

    if (v.len != 1 || (v.ptr[0] != 0 && v.ptr[0] != 0xff)) {
        bh_reader_spoil(r);
        return -1;
    }
    return v.ptr[0] != 0;
}

/* SEQUENCE OF SEQUENCE { OID, value }: the next one's number, each at most once, and its reader. */
static unsigned
next_part(struct bh_reader *list, size_t depth, uint32_t *seen, struct bh_reader *ret_value)
{
    unsigned part;

    bh_reader_init(ret_value, bh_reader_der(list, TAG_SEQUENCE, NULL));
    part = part_of(bh_reader_der(ret_value, TAG_OID, NULL), depth);
    if (part == 0 || part > 31 || (*seen & UINT32_C(1) << part) != 0) {
        bh_reader_spoil(list);
        return 0;
    }
    *seen |= UINT32_C(1) << part;
    return part;
}

static bool
read_tcb(struct bh_span content, struct ev_intel_pck *pck)
{
    struct bh_reader list, value;
    uint32_t seen = 0;

    bh_reader_init(&list, content);
    while (bh_reader_left(&list) > 0) {
        const unsigned part = next_part(&list, 2, &seen, &value);

        if (part >= 1 && part <= EV_INTEL_SVNS)
            pck->svn[part - 1] = (uint8_t)read_number(&value, 0xff);
        else if (part == 17)
            pck->pce_svn = (uint16_t)read_number(&value, 0xffff);
        else if (part == 18)
            pck->cpu_svn = read_octets(&value, 16);
        if (part > 18 || bh_reader_end(&value) != BH_OK)
            bh_reader_spoil(&list);
    }
    return bh_reader_end(&list) == BH_OK && seen == 0x7fffe; /* bits 1 to 18 */
}

static bool
read_configuration(struct bh_span content, struct ev_intel_pck *pck)
{
    int8_t *const flags[] = {&pck->dynamic_platform, &pck->cached_keys, &pck->smt_enabled};
    struct bh_reader list, value;
    uint32_t seen = 0;

    bh_reader_init(&list, content);
    while (bh_reader_left(&list) > 0) {
        const unsigned part = next_part(&list, 2, &seen, &value);

        if (part >= 1 && part <= BH_COUNT(flags))
            *flags[part - 1] = read_bool(&value);
        if (part > BH_COUNT(flags) || bh_reader_end(&value) != BH_OK)
            bh_reader_spoil(&list);
    }
    return bh_reader_end(&list) == BH_OK;
}

static bool
read_part(unsigned part, struct bh_reader *value, struct ev_intel_pck *pck)
{
    struct bh_span type;

    switch (part) {
    case 1:
        pck->ppid = read_octets(value, 16);
        break;
    case 2:
        if (!read_tcb(bh_reader_der(value, TAG_SEQUENCE, NULL), pck))
            return false;
        break;
    case 3:
        pck->pce_id = read_octets(value, 2);
        break;
    case 4:
        pck->fmspc = read_octets(value, 6);
        break;
    case 5:
        type = bh_reader_der(value, TAG_ENUMERATED, NULL);
        if (type.len != 1)
            return false;
        pck->sgx_type = type.ptr[0];
        break;
    case 6:
        pck->platform_instance_id = read_octets(value, 16);
        break;
    case 7:
        if (!read_configuration(bh_reader_der(value, TAG_SEQUENCE, NULL), pck))
            return false;
        break;
    default:
        return false;
    }
    return bh_reader_end(value) == BH_OK;
}

enum bh_err
ev_intel_pck_read(const struct ev_cert *cert, struct ev_intel_pck *ret_pck, struct bh_diag *diag)
{
    struct ev_intel_pck pck = {.dynamic_platform = -1, .cached_keys = -1, .smt_enabled = -1};
    const struct bh_span ext = ev_cert_extension(cert, bh_span(oid_sgx, sizeof(oid_sgx)));
    struct bh_reader all, list, value;
    uint32_t seen = 0;

    bh_reader_init(&all, ext);
    bh_reader_init(&list, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    if (bh_reader_end(&all) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "no SGX extension, or one that is no sequence");
    while (bh_reader_left(&list) > 0) {
        const unsigned part = next_part(&list, 1, &seen, &value);

        if (part == 0 || !read_part(part, &value, &pck))
            return bh_fail(
                diag, BH_ERR_MALFORMED, "part %u of the SGX extension is not of its form", part);
    }
    /* 1 to 5 are mandatory. */
    if (bh_reader_end(&list) != BH_OK || (seen & 0x3e) != 0x3e)
        return bh_fail(diag, BH_ERR_MALFORMED, "the SGX extension lacks a part of 1 to 5");
    *ret_pck = pck;
    return BH_OK;
}
