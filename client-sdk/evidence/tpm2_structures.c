/* SPDX-License-Identifier: Apache-2.0 */
/* The structures of a TPM that evidence is made of (TPM 2.0 Library, part 2), read strictly. */
#include "tpm2.h"

#include "core/reader.h"
#include "core/x509.h"

#define MAGIC UINT32_C(0xff544347) /* TPM_GENERATED_VALUE */
#define ST_ATTEST_QUOTE 0x8018
#define DIGEST_MAX 64
#define EXTRA_DATA_MAX 66
#define SELECT_MAX 4 /* bytes of a bitmap */
#define ATTEST_MAX 1024

#define ALG_RSA 0x0001
#define ALG_ECC 0x0023
#define RSA_BYTES_MAX 512
#define EC_BYTES_MAX 66
#define EXPONENT_DEFAULT 65537

static const struct {
    const char *name;
    uint16_t algorithm;
    uint16_t size;
} banks[EV_TPM2_BANKS + 1] = {
    [EV_TPM2_SHA1] = {"sha1", EV_TCG_SHA1, 20},
    [EV_TPM2_SHA256] = {"sha256", EV_TCG_SHA256, 32},
    [EV_TPM2_SHA384] = {"sha384", EV_TCG_SHA384, 48},
    [EV_TPM2_SHA512] = {"sha512", EV_TCG_SHA512, 64},
    [EV_TPM2_BANKS] = {"none", 0, 0},
};

const char *
ev_tpm2_bank_name(enum ev_tpm2_bank bank)
{
    return banks[bank].name;
}

uint16_t
ev_tpm2_bank_algorithm(enum ev_tpm2_bank bank)
{
    return banks[bank].algorithm;
}

size_t
ev_tpm2_bank_size(enum ev_tpm2_bank bank)
{
    return banks[bank].size;
}

enum ev_tpm2_bank
ev_tpm2_bank_of(uint16_t algorithm)
{
    enum ev_tpm2_bank bank = EV_TPM2_SHA1;

    while (bank < EV_TPM2_BANKS && banks[bank].algorithm != algorithm)
        bank++;
    return bank;
}

/* ---- TPMS_ATTEST (10.12.8) ---- */

/* A TPM2B_ATTEST is the same behind its size, which nobody signs. */
static struct bh_span
unwrapped(struct bh_span raw)
{
    if (raw.len > 2 && (size_t)(raw.ptr[0] << 8 | raw.ptr[1]) == raw.len - 2)
        return bh_span(raw.ptr + 2, raw.len - 2);
    return raw;
}

bool
ev_tpm2_recognises(struct bh_span raw)
{
    static const uint8_t head[] = {0xff, 'T', 'C', 'G', ST_ATTEST_QUOTE >> 8};
    const struct bh_span inner = unwrapped(raw);

    return (raw.len > 6 && memcmp(raw.ptr, head, sizeof(head)) == 0) ||
           (inner.len > 6 && memcmp(inner.ptr, head, sizeof(head)) == 0);
}

/* TPMS_PCR_SELECTION (10.6.2): what is wrong with it, or NULL. */
static const char *
read_selection(struct bh_reader *r, struct ev_tpm2_attest *a)
{
    const enum ev_tpm2_bank bank = ev_tpm2_bank_of(bh_reader_u16be(r));
    const uint8_t size = bh_reader_u8(r);
    uint32_t pcrs = 0;

    if (!bh_reader_ok(r) || size == 0 || size > SELECT_MAX)
        return "a selection of PCRs that is cut, or of another size";
    for (unsigned i = 0; i < size; i++)
        pcrs |= (uint32_t)bh_reader_u8(r) << 8 * i;
    if (bank == EV_TPM2_BANKS)
        return "PCRs of a bank other than SHA-1, SHA-256, SHA-384, SHA-512";
    if (pcrs == 0)
        return "a bank of which no PCR is selected";
    if ((pcrs >> EV_TPM2_PCRS) != 0)
        return "a PCR above 23";
    for (size_t i = 0; i < a->selections_len; i++)
        if (a->selections[i].bank == bank)
            return "a bank that is selected twice";
    a->selections[a->selections_len].bank = bank;
    a->selections[a->selections_len++].pcrs = pcrs;
    return NULL;
}

/* TPMS_QUOTE_INFO (10.12.1). */
static const char *
read_quote_info(struct bh_reader *r, struct ev_tpm2_attest *a)
{
    const uint32_t count = bh_reader_u32be(r);
    const char *fault;

    if (!bh_reader_ok(r) || count == 0 || count > EV_TPM2_BANKS)
        return "no selection of PCRs, or more than there are banks";
    for (uint32_t i = 0; i < count; i++)
        if ((fault = read_selection(r, a)) != NULL)
            return fault;
    a->pcr_digest = bh_reader_vec16(r, ev_tpm2_bank_size(EV_TPM2_SHA256), DIGEST_MAX);
    return NULL;
}

enum bh_err
ev_tpm2_attest_read(struct bh_span raw, struct ev_tpm2_attest *ret_attest, struct bh_diag *diag)
{
    struct ev_tpm2_attest a = {.raw = unwrapped(raw)};
    const char *fault;
    struct bh_reader r;
    uint8_t safe;

    if (a.raw.len > ATTEST_MAX)
        return bh_fail(diag, BH_ERR_MALFORMED, "%zu bytes", raw.len);
    bh_reader_init(&r, a.raw);
    if (bh_reader_u32be(&r) != MAGIC)
        return bh_fail(diag, BH_ERR_MALFORMED, "another magic: not made by a TPM");
    const uint16_t type = bh_reader_u16be(&r);
    if (type != ST_ATTEST_QUOTE)
        return bh_fail(diag, BH_ERR_MALFORMED, "an attestation of type %04x", type);
    a.qualified_signer = bh_reader_vec16(&r, 0, EV_TPM2_NAME_MAX);
    a.extra_data = bh_reader_vec16(&r, 0, EXTRA_DATA_MAX);
    a.clock = bh_reader_u64be(&r);
    a.reset_count = bh_reader_u32be(&r);
    a.restart_count = bh_reader_u32be(&r);
    safe = bh_reader_u8(&r);
    a.firmware_version = bh_reader_u64be(&r);
    if (!bh_reader_ok(&r) || safe > 1)
        return bh_fail(diag, BH_ERR_MALFORMED, "a head that is cut, or a \"safe\" that is no bool");
    a.safe = safe == 1;
    if ((fault = read_quote_info(&r, &a)) != NULL)
        return bh_fail(diag, BH_ERR_MALFORMED, "%s", fault);
    if (bh_reader_end(&r) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "a digest that is cut, or bytes after it");
    *ret_attest = a;
    return BH_OK;
}

/* ---- TPMT_SIGNATURE (11.3.4) ---- */

static bool
read_tpmt_signature(struct bh_span raw, struct ev_tpm2_signature *s)
{
    struct bh_reader r;

    bh_reader_init(&r, raw);
    s->scheme = bh_reader_u16be(&r);
    s->hash = ev_tpm2_bank_of(bh_reader_u16be(&r));
    if (s->scheme == EV_TPM2_RSASSA || s->scheme == EV_TPM2_RSAPSS) {
        s->rsa = bh_reader_vec16(&r, 1, RSA_BYTES_MAX);
    } else if (s->scheme == EV_TPM2_ECDSA) {
        s->ec_r = bh_reader_vec16(&r, 1, EC_BYTES_MAX);
        s->ec_s = bh_reader_vec16(&r, 1, EC_BYTES_MAX);
    } else {
        return false;
    }
    return bh_reader_end(&r) == BH_OK;
}

enum bh_err
ev_tpm2_signature_read(
    struct bh_span raw, struct ev_tpm2_signature *ret_signature, struct bh_diag *diag)
{
    struct ev_tpm2_signature s = {0};

    if (!read_tpmt_signature(raw, &s)) {
        /* A structure of these lengths would hold a signature that no key makes. */
        if (raw.len != 256 && raw.len != 384 && raw.len != 512)
            return bh_fail(
                diag, BH_ERR_MALFORMED, "%zu bytes that are no RSASSA, RSAPSS or ECDSA", raw.len);
        s = (struct ev_tpm2_signature){
            .scheme = EV_TPM2_RSASSA, .hash = EV_TPM2_SHA256, .bare = true, .rsa = raw};
    }
    if (s.hash == EV_TPM2_BANKS || s.hash == EV_TPM2_SHA1)
        return bh_fail(diag, BH_ERR_MALFORMED, "a hash other than SHA-256, SHA-384, SHA-512");
    *ret_signature = s;
    return BH_OK;
}

/* ---- TPMT_PUBLIC (12.2.4) ---- */

static void
read_scheme(struct bh_reader *r, struct ev_tpm2_public *p)
{
    p->hash = EV_TPM2_BANKS;
    if ((p->scheme = bh_reader_u16be(r)) != EV_TPM2_NULL)
        p->hash = ev_tpm2_bank_of(bh_reader_u16be(r));
}

/* TPMT_SYM_DEF_OBJECT, of keys that protect others. */
static void
skip_symmetric(struct bh_reader *r)
{
    if (bh_reader_u16be(r) != EV_TPM2_NULL)
        (void)bh_reader_take(r, 4); /* bits and mode */
}

static const char *
read_rsa(struct bh_reader *r, struct ev_tpm2_public *p)
{
    uint8_t exponent[4];

    skip_symmetric(r);
    read_scheme(r, p);
    const uint16_t bits = bh_reader_u16be(r);
    uint32_t e = bh_reader_u32be(r);
    const struct bh_span n = bh_reader_vec16(r, 1, RSA_BYTES_MAX);
    if (bh_reader_end(r) != BH_OK)
        return "a public area that is cut, or bytes after it";
    if (n.len * 8 != bits || (n.ptr[0] & 0x80) == 0)
        return "a modulus of another size than it says";
    e = e == 0 ? EXPONENT_DEFAULT : e;
    for (size_t i = 0; i < sizeof(exponent); i++)
        exponent[i] = (uint8_t)(e >> (24 - 8 * i));
    if (ev_tpm2_rsa_spki(n, bh_span(exponent, sizeof(exponent)), p->spki, sizeof(p->spki),
            &p->spki_len) != BH_OK)
        return "an RSA key that cannot be written";
    return NULL;
}

static bool
put_coordinate(uint8_t *out, size_t size, struct bh_span from)
{
    if (from.len > size)
        return false;
    memset(out, 0, size - from.len);
    memcpy(out + size - from.len, from.ptr, from.len);
    return true;
}

static const char *
read_ecc(struct bh_reader *r, struct ev_tpm2_public *p)
{
    static const struct {
        uint16_t id;
        const char *name;
        size_t size;
    } curves[] = {{0x0003, "P-256", 32}, {0x0004, "P-384", 48}, {0x0005, "P-521", 66}};
    uint8_t point[1 + 2 * EC_BYTES_MAX] = {0x04};
    size_t i = 0;

    skip_symmetric(r);
    read_scheme(r, p);
    const uint16_t curve = bh_reader_u16be(r);
    if (bh_reader_u16be(r) != EV_TPM2_NULL)
        (void)bh_reader_u16be(r); /* hash of the key derivation */
    const struct bh_span x = bh_reader_vec16(r, 1, EC_BYTES_MAX);
    const struct bh_span y = bh_reader_vec16(r, 1, EC_BYTES_MAX);
    if (bh_reader_end(r) != BH_OK)
        return "a public area that is cut, or bytes after it";
    while (i < BH_COUNT(curves) && curves[i].id != curve)
        i++;
    if (i == BH_COUNT(curves))
        return "a curve other than P-256, P-384, P-521";
    if (!put_coordinate(point + 1, curves[i].size, x) ||
        !put_coordinate(point + 1 + curves[i].size, curves[i].size, y) ||
        bh_spki_from_point(curves[i].name, bh_span(point, 1 + 2 * curves[i].size), p->spki,
            sizeof(p->spki), &p->spki_len) != BH_OK)
        return "coordinates longer than the curve's";
    return NULL;
}

/* The Name (part 1, 16): the name algorithm and its digest of the public area. */
static bool
make_name(struct bh_span raw, struct ev_tpm2_public *p)
{
    const size_t size = ev_tpm2_bank_size(p->name_alg);
    const uint16_t algorithm = ev_tpm2_bank_algorithm(p->name_alg);

    p->name[0] = (uint8_t)(algorithm >> 8);
    p->name[1] = (uint8_t)algorithm;
    p->name_len = 2 + size;
    return bh_sha2((unsigned)size * 8, raw, p->name + 2) == BH_OK;
}

enum bh_err
ev_tpm2_public_read(struct bh_span raw, struct ev_tpm2_public *ret_public, struct bh_diag *diag)
{
    struct ev_tpm2_public p = {0};
    const char *fault = "a key that is neither RSA nor ECC";
    struct bh_reader r;

    bh_reader_init(&r, raw);
    const uint16_t type = bh_reader_u16be(&r);
    p.name_alg = ev_tpm2_bank_of(bh_reader_u16be(&r));
    p.attributes = bh_reader_u32be(&r);
    (void)bh_reader_vec16(&r, 0, DIGEST_MAX); /* authPolicy */
    if (type == ALG_RSA)
        fault = read_rsa(&r, &p);
    else if (type == ALG_ECC)
        fault = read_ecc(&r, &p);
    if (fault == NULL && (p.name_alg == EV_TPM2_BANKS || p.name_alg == EV_TPM2_SHA1))
        fault = "a name algorithm other than SHA-256, SHA-384, SHA-512";
    if (fault != NULL)
        return bh_fail(diag, BH_ERR_MALFORMED, "%s", fault);
    if (!make_name(raw, &p))
        return bh_fail(diag, BH_ERR_INTERNAL, "the Name of a public area");
    *ret_public = p;
    return BH_OK;
}

const char *
ev_tpm2_attributes_fault(uint32_t attributes)
{
    /* Without any one of these, others than the TPM could have made what the key signs. */
    static const struct {
        uint32_t mask;
        const char *fault;
    } needed[] = {
        {EV_TPM2_FIXED_TPM, "not fixedTPM: the key may live in another TPM too"},
        {EV_TPM2_FIXED_PARENT, "not fixedParent: the key may be moved"},
        {EV_TPM2_SENSITIVE_DATA_ORIGIN,
            "not sensitiveDataOrigin: the key was made outside of the TPM"},
        {EV_TPM2_RESTRICTED, "not restricted: the key signs what anybody wrote"},
        {EV_TPM2_SIGN, "not sign: no key for signatures"},
    };

    for (size_t i = 0; i < BH_COUNT(needed); i++)
        if ((attributes & needed[i].mask) == 0)
            return needed[i].fault;
    return (attributes & EV_TPM2_DECRYPT) != 0 ? "decrypt: no key for signatures alone" : NULL;
}
