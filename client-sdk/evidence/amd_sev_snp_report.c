/* SPDX-License-Identifier: Apache-2.0 */
/* The 1184 bytes of an attestation report (AMD 56860, table ATTESTATION_REPORT), little-endian. */
#include "amd_sev_snp.h"

#include "core/reader.h"
#include "core/text.h"

#include <stdio.h>

#define SOURCE "AMD 56860"
#define VERSION_MIN 2
#define VERSION_MAX 5
#define SIGNATURE_ALGO 1 /* ECDSA P-384 with SHA-384 */
#define ALGO_AT 0x34
#define COMPONENT_LEN 72 /* of the signature: 48 bytes that count, then zeros */

const char *
ev_snp_product_name(enum ev_snp_product product)
{
    static const char *const names[EV_SNP_PRODUCTS] = {"", "Milan", "Genoa", "Turin"};

    return product < EV_SNP_PRODUCTS ? names[product] : "";
}

const char *
ev_snp_spl_name(size_t spl)
{
    static const char *const names[EV_SNP_SPL_COUNT] = {
        "bootloader", "tee", "snp", "microcode", "fmc"};

    return spl < EV_SNP_SPL_COUNT ? names[spl] : "";
}

bool
ev_snp_has_spl(enum ev_snp_product product, size_t spl)
{
    return spl < EV_SNP_SPL_FMC || (spl == EV_SNP_SPL_FMC && product == EV_SNP_TURIN);
}

/* Where each component stands in the 8 bytes; those that are left are reserved. */
static const uint8_t *
tcb_layout(enum ev_snp_product product)
{
    static const uint8_t family_19h[EV_SNP_SPL_COUNT] = {0, 1, 6, 7, UINT8_MAX};
    static const uint8_t family_1ah[EV_SNP_SPL_COUNT] = {1, 2, 3, 7, 0};

    return product == EV_SNP_TURIN ? family_1ah : family_19h;
}

struct ev_snp_tcb
ev_snp_tcb_read(struct bh_span raw, enum ev_snp_product product)
{
    const uint8_t *at = tcb_layout(product);
    struct ev_snp_tcb tcb = {0};

    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++)
        if (ev_snp_has_spl(product, i) && at[i] < raw.len)
            tcb.spl[i] = raw.ptr[at[i]];
    return tcb;
}

void
ev_snp_tcb_write(
    const struct ev_snp_tcb *tcb, enum ev_snp_product product, uint8_t out[EV_SNP_TCB_LEN])
{
    const uint8_t *at = tcb_layout(product);

    memset(out, 0, EV_SNP_TCB_LEN);
    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++)
        if (ev_snp_has_spl(product, i))
            out[at[i]] = tcb->spl[i];
}

static bool
tcb_reserved_is_zero(struct bh_span raw, enum ev_snp_product product)
{
    const uint8_t *at = tcb_layout(product);

    for (size_t i = 0; i < raw.len; i++) {
        bool used = false;

        for (size_t k = 0; k < EV_SNP_SPL_COUNT; k++)
            used = used || at[k] == i;
        if (!used && raw.ptr[i] != 0)
            return false;
    }
    return true;
}

bool
ev_snp_recognises(struct bh_span raw)
{
    /* Above the versions that are known, so that decoding names the fault. */
    return raw.len + 1 >= EV_SNP_REPORT_LEN && raw.len <= EV_SNP_REPORT_LEN + 1 &&
           raw.ptr[0] >= 1 && raw.ptr[0] <= 15 && raw.ptr[1] == 0 && raw.ptr[2] == 0 &&
           raw.ptr[3] == 0 && raw.ptr[ALGO_AT] == SIGNATURE_ALGO && raw.ptr[ALGO_AT + 1] == 0 &&
           raw.ptr[ALGO_AT + 2] == 0 && raw.ptr[ALGO_AT + 3] == 0;
}

static enum bh_err
malformed(struct ev_report *report, const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), EV_SNP_NAME ".%s", field);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, name, expected, found,
        "send the report as the firmware returned it");
}

/* Reserved bytes at an offset; the first that are not zero are kept for the refusal. */
struct reserved {
    size_t at; /* 0: all were zero */
};

static void
must_be_zero(struct bh_reader *r, struct reserved *reserved, size_t len)
{
    const size_t at = bh_reader_off(r);

    if (!bh_span_is_zero(bh_reader_take(r, len)) && reserved->at == 0)
        reserved->at = at;
}

static struct ev_snp_version
read_version(struct bh_reader *r, struct reserved *reserved)
{
    struct ev_snp_version v;

    v.build = bh_reader_u8(r);
    v.minor = bh_reader_u8(r);
    v.major = bh_reader_u8(r);
    must_be_zero(r, reserved, 1);
    return v;
}

/* AUTHOR_KEY_EN, MASK_CHIP_KEY, SIGNING_KEY, and reserved bits above. */
static void
read_flags(struct bh_reader *r, struct ev_snp_report *p, struct reserved *reserved)
{
    const size_t at = bh_reader_off(r);
    const uint32_t flags = bh_reader_u32le(r);

    p->author_key_en = (flags & 1) != 0;
    p->mask_chip_key = (flags & 2) != 0;
    p->signing_key = (enum ev_snp_signing_key)(flags >> 2 & 7);
    if (flags >> 5 != 0 && reserved->at == 0)
        reserved->at = at;
}

/* From 180h: what versions 3 and 5 put into space that was reserved before. */
static void
read_second_half(struct bh_reader *r, struct ev_snp_report *p, struct reserved *reserved)
{
    p->reported_tcb = bh_reader_take(r, EV_SNP_TCB_LEN);
    if (p->version >= 3) {
        p->cpu_family = bh_reader_u8(r);
        p->cpu_model = bh_reader_u8(r);
        p->cpu_stepping = bh_reader_u8(r);
        must_be_zero(r, reserved, 21);
    } else {
        must_be_zero(r, reserved, 24);
    }
    p->chip_id = bh_reader_take(r, EV_SNP_CHIP_ID_LEN);
    p->committed_tcb = bh_reader_take(r, EV_SNP_TCB_LEN);
    p->current = read_version(r, reserved);
    p->committed = read_version(r, reserved);
    p->launch_tcb = bh_reader_take(r, EV_SNP_TCB_LEN);
    if (p->version >= 5) {
        p->launch_mit_vector = bh_reader_u64le(r);
        p->current_mit_vector = bh_reader_u64le(r);
    } else {
        must_be_zero(r, reserved, 16);
    }
    must_be_zero(r, reserved, 152);
    p->r = bh_reader_take(r, COMPONENT_LEN);
    p->s = bh_reader_take(r, COMPONENT_LEN);
    must_be_zero(r, reserved, 368);
}

static void
read_fields(struct bh_reader *r, struct ev_snp_report *p, struct reserved *reserved)
{
    p->version = bh_reader_u32le(r);
    p->guest_svn = bh_reader_u32le(r);
    p->policy = bh_reader_u64le(r);
    p->family_id = bh_reader_take(r, 16);
    p->image_id = bh_reader_take(r, 16);
    p->vmpl = bh_reader_u32le(r);
    p->signature_algo = bh_reader_u32le(r);
    p->current_tcb = bh_reader_take(r, EV_SNP_TCB_LEN);
    p->platform_info = bh_reader_u64le(r);
    read_flags(r, p, reserved);
    must_be_zero(r, reserved, 4);
    p->report_data = bh_reader_take(r, BH_BINDING_LEN);
    p->measurement = bh_reader_take(r, 48);
    p->host_data = bh_reader_take(r, 32);
    p->id_key_digest = bh_reader_take(r, 48);
    p->author_key_digest = bh_reader_take(r, 48);
    p->report_id = bh_reader_take(r, 32);
    p->report_id_ma = bh_reader_take(r, 32);
    read_second_half(r, p, reserved);
}

/* The product by family and model as CPUID has them, extended parts added. */
static enum ev_snp_product
product_of(uint8_t family, uint8_t model)
{
    if (family == 0x19 && model <= 0x0f)
        return EV_SNP_MILAN;
    if (family == 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)))
        return EV_SNP_GENOA;
    if (family == 0x1a && model <= 0x11)
        return EV_SNP_TURIN;
    return EV_SNP_NO_PRODUCT;
}

static enum bh_err
check_product(struct ev_snp_report *p, struct ev_report *report)
{
    char found[BH_VALUE_MAX];

    if (p->version < 3)
        return BH_OK;
    p->product = product_of(p->cpu_family, p->cpu_model);
    if (p->product != EV_SNP_NO_PRODUCT)
        return BH_OK;
    (void)snprintf(found, sizeof(found), "family %02xh, model %02xh", p->cpu_family, p->cpu_model);
    return ev_refuse(report, BH_ERR_UNSUPPORTED, SOURCE, EV_SNP_NAME ".product",
        "Milan, Genoa or Turin", found, "this version knows no other product");
}

static enum bh_err
check_tcbs(const struct ev_snp_report *p, struct ev_report *report)
{
    const struct bh_span all[] = {p->current_tcb, p->reported_tcb, p->committed_tcb, p->launch_tcb};
    char found[BH_VALUE_MAX];

    for (size_t i = 0; i < BH_COUNT(all); i++)
        if (!tcb_reserved_is_zero(all[i], p->product))
            return malformed(report, "reserved", "zero in the reserved bytes of a TCB version",
                bh_hex(all[i], found, sizeof(found)));
    return BH_OK;
}

static enum bh_err
check_fields(struct ev_snp_report *p, const struct reserved *reserved, struct ev_report *report)
{
    const uint8_t *r_rest = p->r.ptr + 48, *s_rest = p->s.ptr + 48;
    char found[BH_VALUE_MAX];
    enum bh_err e;

    if (p->signature_algo != SIGNATURE_ALGO) {
        (void)snprintf(found, sizeof(found), "%u", (unsigned)p->signature_algo);
        return malformed(report, "signature_algo", "1, ECDSA P-384 with SHA-384", found);
    }
    if (reserved->at != 0) {
        (void)snprintf(found, sizeof(found), "another value at %zxh", reserved->at);
        return malformed(report, "reserved", "zero in every reserved field", found);
    }
    if (p->signing_key != EV_SNP_KEY_VCEK && p->signing_key != EV_SNP_KEY_VLEK &&
        p->signing_key != EV_SNP_KEY_NONE) {
        (void)snprintf(found, sizeof(found), "%u", (unsigned)p->signing_key);
        return malformed(report, "signing_key", "0 (VCEK), 1 (VLEK) or 7 (none)", found);
    }
    if ((p->policy & EV_SNP_POLICY_RESERVED_ONE) == 0)
        return malformed(report, "policy", "bit 17 set, as in every guest policy", "bit 17 clear");
    if (!bh_span_is_zero(bh_span(r_rest, COMPONENT_LEN - 48)) ||
        !bh_span_is_zero(bh_span(s_rest, COMPONENT_LEN - 48)))
        return malformed(report, "signature", "R and S of at most 48 bytes", "longer ones");
    if ((e = check_product(p, report)) != BH_OK)
        return e;
    return check_tcbs(p, report);
}

enum bh_err
ev_snp_report_read(struct bh_span raw, struct ev_snp_report *ret_report, struct ev_report *report)
{
    struct ev_snp_report p = {.raw = raw};
    struct reserved reserved = {0};
    struct bh_reader r;
    char found[BH_VALUE_MAX];
    enum bh_err e;

    if (raw.len != EV_SNP_REPORT_LEN) {
        (void)snprintf(found, sizeof(found), "%zu bytes", raw.len);
        return malformed(report, "report", "1184 bytes", found);
    }
    bh_reader_init(&r, raw);
    p.version = bh_reader_u32le(&r);
    if (p.version < VERSION_MIN || p.version > VERSION_MAX) {
        (void)snprintf(found, sizeof(found), "version %u", (unsigned)p.version);
        return ev_refuse(report, BH_ERR_UNSUPPORTED, SOURCE, EV_SNP_NAME ".version",
            "a report of version 2, 3, 4 or 5", found, "this version reads no other reports");
    }
    bh_reader_init(&r, raw);
    read_fields(&r, &p, &reserved);
    if (bh_reader_end(&r) != BH_OK)
        return malformed(report, "report", "1184 bytes", "another length");
    if ((e = check_fields(&p, &reserved, report)) != BH_OK)
        return e;
    *ret_report = p;
    return BH_OK;
}
