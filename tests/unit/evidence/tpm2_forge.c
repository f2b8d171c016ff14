/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm2_forge.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

#define EV_SEPARATOR 0x00000004
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003
#define EV_EFI_ACTION 0x80000007

EVP_PKEY *
tpm2_key(const char *kind)
{
    EVP_PKEY *key = NULL;

    if (strncmp(kind, "RSA-", 4) == 0)
        key = EVP_RSA_gen((unsigned)strtoul(kind + 4, NULL, 10));
    else
        cr_assert_eq(bh_key_generate(kind, &key, NULL), BH_OK);
    cr_assert_not_null(key);
    return key;
}

static bool
is_rsa(EVP_PKEY *key)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
}

static const EVP_MD *
md_of(uint16_t algorithm)
{
    return algorithm == ALG_SHA1     ? EVP_sha1()
           : algorithm == ALG_SHA384 ? EVP_sha384()
           : algorithm == ALG_SHA256 ? EVP_sha256()
                                     : EVP_sha512();
}

void
tpm2_plan(struct tpm2_plan *plan, EVP_PKEY *key)
{
    memset(plan, 0, sizeof(*plan));
    plan->key = key;
    plan->scheme = is_rsa(key) ? EV_TPM2_RSASSA : EV_TPM2_ECDSA;
    plan->hash = strcmp(bh_key_name(key), "P-384") == 0 ? ALG_SHA384 : ALG_SHA256;
    plan->ak_scheme = plan->scheme;
    plan->ak_hash = plan->hash;
    plan->ak_type = is_rsa(key) ? 0x0001 : 0x0023;
    plan->name_alg = ALG_SHA256;
    plan->attributes = TPM2_AK_ATTRIBUTES;
    plan->magic = 0xff544347;
    plan->type = 0x8018;
    plan->safe = 1;
    plan->reset_count = 7;
    plan->extra_len = EV_TPM2_NONCE_LEN;
    memset(plan->extra, 0x5a, sizeof(plan->extra));
    plan->count = 1;
    plan->selections_len = 1;
    plan->selections[0] = (struct tpm2_select){ALG_SHA256, 3, 0x3ff};
    for (size_t b = 0; b < EV_TPM2_BANKS; b++)
        for (size_t i = 0; i < EV_TPM2_PCRS; i++)
            memset(plan->pcrs[b][i], (int)(0x10 * b + i), sizeof(plan->pcrs[b][i]));
}

/* ---- structures ---- */

static void
put_pcr_digest(const struct tpm2_plan *plan, struct bh_writer *w)
{
    const EVP_MD *md = md_of(plan->digest_hash != 0 ? plan->digest_hash : plan->hash);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t digest[64];
    unsigned len = 0;

    cr_assert_eq(EVP_DigestInit_ex(ctx, md, NULL), 1);
    for (size_t s = 0; s < plan->selections_len; s++) {
        const enum ev_tpm2_bank bank = ev_tpm2_bank_of(plan->selections[s].algorithm);

        for (size_t i = 0; i < EV_TPM2_PCRS && bank < EV_TPM2_BANKS; i++)
            if ((plan->selections[s].pcrs >> i & 1) != 0)
                cr_assert_eq(
                    EVP_DigestUpdate(ctx, plan->pcrs[bank][i], ev_tpm2_bank_size(bank)), 1);
    }
    cr_assert_eq(EVP_DigestFinal_ex(ctx, digest, &len), 1);
    EVP_MD_CTX_free(ctx);
    bh_writer_vec16(w, bh_span(digest, len));
}

static struct bh_span
make_quote(const struct tpm2_plan *plan, uint8_t *out, size_t cap)
{
    static const uint8_t signer[34] = {0x00, 0x0b, 0x77};
    struct bh_span written;
    struct bh_writer w;

    bh_writer_init(&w, out, cap);
    bh_writer_u32be(&w, plan->magic);
    bh_writer_u16be(&w, plan->type);
    bh_writer_vec16(&w, bh_span(signer, sizeof(signer)));
    bh_writer_vec16(&w, bh_span(plan->extra, plan->extra_len));
    bh_writer_u64be(&w, 123456);
    bh_writer_u32be(&w, plan->reset_count);
    bh_writer_u32be(&w, 0);
    bh_writer_u8(&w, plan->safe);
    bh_writer_u64be(&w, 1);
    bh_writer_u32be(&w, plan->count);
    for (size_t s = 0; s < plan->selections_len; s++) {
        bh_writer_u16be(&w, plan->selections[s].algorithm);
        bh_writer_u8(&w, plan->selections[s].size);
        for (size_t i = 0; i < plan->selections[s].size; i++)
            bh_writer_u8(&w, (uint8_t)(i < 4 ? plan->selections[s].pcrs >> 8 * i : 0));
    }
    put_pcr_digest(plan, &w);
    for (size_t i = 0; i < plan->trailing; i++)
        bh_writer_u8(&w, 0);
    cr_assert_eq(bh_writer_end(&w, &written), BH_OK);
    return written;
}

static void
put_signature(const struct tpm2_plan *plan, struct bh_span message, struct bh_writer *w)
{
    EVP_PKEY *key = plan->signs != NULL ? plan->signs : plan->key;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    uint8_t out[512], raw[132];
    size_t len = sizeof(out);

    cr_assert_eq(EVP_DigestSignInit(ctx, &key_ctx, md_of(plan->hash), NULL, key), 1);
    if (plan->scheme == EV_TPM2_RSAPSS)
        cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING), 1);
    cr_assert_eq(EVP_DigestSign(ctx, out, &len, message.ptr, message.len), 1);
    EVP_MD_CTX_free(ctx);
    if (is_rsa(key)) {
        bh_writer_vec16(w, bh_span(out, len));
        return;
    }
    const size_t half = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
    cr_assert_eq(bh_ecdsa_to_raw(bh_span(out, len), half, raw), BH_OK);
    bh_writer_vec16(w, bh_span(raw, half));
    bh_writer_vec16(w, bh_span(raw + half, half));
}

static struct bh_span
make_signature(const struct tpm2_plan *plan, struct bh_span message, uint8_t *out, size_t cap)
{
    struct bh_span written;
    struct bh_writer w;

    bh_writer_init(&w, out, cap);
    bh_writer_u16be(&w, plan->scheme);
    bh_writer_u16be(&w, plan->hash);
    put_signature(plan, message, &w);
    cr_assert_eq(bh_writer_end(&w, &written), BH_OK);
    return written;
}

static void
put_scheme(const struct tpm2_plan *plan, struct bh_writer *w)
{
    bh_writer_u16be(w, ALG_NULL); /* symmetric */
    bh_writer_u16be(w, plan->ak_scheme);
    if (plan->ak_scheme != ALG_NULL)
        bh_writer_u16be(w, plan->ak_hash);
}

static void
put_rsa(const struct tpm2_plan *plan, struct bh_writer *w)
{
    uint8_t n[512];
    BIGNUM *bn = NULL;

    cr_assert_eq(EVP_PKEY_get_bn_param(plan->key, OSSL_PKEY_PARAM_RSA_N, &bn), 1);
    put_scheme(plan, w);
    bh_writer_u16be(w, (uint16_t)EVP_PKEY_get_bits(plan->key));
    bh_writer_u32be(w, 0);
    bh_writer_vec16(w, bh_span(n, (size_t)BN_bn2bin(bn, n)));
    BN_free(bn);
}

static void
put_ecc(const struct tpm2_plan *plan, struct bh_writer *w)
{
    const int bits = EVP_PKEY_get_bits(plan->key);
    const size_t half = ((size_t)bits + 7) / 8;
    uint8_t point[133];
    size_t len = 0;

    cr_assert_eq(EVP_PKEY_get_octet_string_param(
                     plan->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof(point), &len),
        1);
    cr_assert_eq(len, 1 + 2 * half);
    put_scheme(plan, w);
    bh_writer_u16be(w, (uint16_t)(bits == 256 ? 3 : bits == 384 ? 4 : 5));
    bh_writer_u16be(w, ALG_NULL);
    bh_writer_vec16(w, bh_span(point + 1, half));
    bh_writer_vec16(w, bh_span(point + 1 + half, half));
}

static struct bh_span
make_ak(const struct tpm2_plan *plan, uint8_t *out, size_t cap)
{
    struct bh_span written;
    struct bh_writer w;

    bh_writer_init(&w, out, cap);
    bh_writer_u16be(&w, plan->ak_type);
    bh_writer_u16be(&w, plan->name_alg);
    bh_writer_u32be(&w, plan->attributes);
    bh_writer_u16be(&w, 0); /* no policy */
    if (is_rsa(plan->key))
        put_rsa(plan, &w);
    else
        put_ecc(plan, &w);
    cr_assert_eq(bh_writer_end(&w, &written), BH_OK);
    return written;
}

static char *
make_pcrs(const struct tpm2_plan *plan)
{
    json_t *all = json_object();
    char name[8], hex[2 * 64 + 1], *text;

    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b <= EV_TPM2_SHA384; b++) {
        json_t *bank = json_object();

        for (size_t i = 0; i < EV_TPM2_PCRS; i++) {
            (void)snprintf(name, sizeof(name), "%zu", i);
            (void)json_object_set_new(bank, name,
                json_string(
                    bh_hex(bh_span(plan->pcrs[b][i], ev_tpm2_bank_size(b)), hex, sizeof(hex))));
        }
        (void)json_object_set_new(all, ev_tpm2_bank_name(b), bank);
    }
    cr_assert_not_null(text = json_dumps(all, JSON_COMPACT));
    json_decref(all);
    return text;
}

void
tpm2_forge(struct tpm2_forged *f, const struct tpm2_plan *plan)
{
    memset(f, 0, sizeof(*f));
    f->parts.quote = make_quote(plan, f->quote, sizeof(f->quote));
    f->parts.signature = make_signature(plan, f->parts.quote, f->signature, sizeof(f->signature));
    f->parts.ak = make_ak(plan, f->ak, sizeof(f->ak));
    f->pcrs = make_pcrs(plan);
    f->parts.pcrs = bh_span_str(f->pcrs);
    if (plan->log_len > 0)
        f->parts.event_log = bh_span(plan->log, plan->log_len);
}

void
tpm2_forged_clear(struct tpm2_forged *f)
{
    free(f->pcrs);
    f->pcrs = NULL;
}

/* ---- the event log ---- */

static void
put32(struct tpm2_plan *plan, uint32_t v)
{
    cr_assert_leq(plan->log_len + 4, sizeof(plan->log));
    for (size_t i = 0; i < 4; i++)
        plan->log[plan->log_len++] = (uint8_t)(v >> 8 * i);
}

static void
put_bytes(struct tpm2_plan *plan, const void *bytes, size_t len)
{
    cr_assert_leq(plan->log_len + len, sizeof(plan->log));
    memcpy(plan->log + plan->log_len, bytes, len);
    plan->log_len += len;
}

void
tpm2_log_begin(struct tpm2_plan *plan)
{
    static const uint8_t spec[] = {'S', 'p', 'e', 'c', ' ', 'I', 'D', ' ', 'E', 'v', 'e', 'n', 't',
        '0', '3', 0, 0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 0x0b, 0, 32, 0, 0x0c, 0, 48, 0, 0};
    static const uint8_t zero[20];

    plan->log_len = 0;
    put32(plan, 0);
    put32(plan, 3);
    put_bytes(plan, zero, sizeof(zero));
    put32(plan, sizeof(spec));
    put_bytes(plan, spec, sizeof(spec));
    for (size_t b = EV_TPM2_SHA256; b <= EV_TPM2_SHA384; b++)
        for (size_t i = 0; i < 10; i++)
            memset(plan->pcrs[b][i], 0, sizeof(plan->pcrs[b][i]));
}

static void
extend(uint8_t *pcr, const EVP_MD *md, const uint8_t *digest, size_t size)
{
    uint8_t both[128];
    unsigned len = 0;

    memcpy(both, pcr, size);
    memcpy(both + size, digest, size);
    cr_assert_eq(EVP_Digest(both, 2 * size, pcr, &len, md, NULL), 1);
}

void
tpm2_log_event(struct tpm2_plan *plan, uint32_t pcr, uint32_t type, struct bh_span data,
    struct bh_span measured)
{
    static const uint16_t algorithms[] = {ALG_SHA256, ALG_SHA384};

    put32(plan, pcr);
    put32(plan, type);
    put32(plan, BH_COUNT(algorithms));
    for (size_t i = 0; i < BH_COUNT(algorithms); i++) {
        const enum ev_tpm2_bank bank = ev_tpm2_bank_of(algorithms[i]);
        const EVP_MD *md = md_of(algorithms[i]);
        const uint8_t id[2] = {(uint8_t)algorithms[i], 0};
        uint8_t digest[64];
        unsigned len = 0;

        cr_assert_eq(EVP_Digest(measured.ptr, measured.len, digest, &len, md, NULL), 1);
        put_bytes(plan, id, sizeof(id));
        put_bytes(plan, digest, len);
        if (type != 3)
            extend(plan->pcrs[bank][pcr], md, digest, len);
    }
    put32(plan, (uint32_t)data.len);
    put_bytes(plan, data.ptr, data.len);
}

void
tpm2_log_start(struct tpm2_plan *plan, bool secure_boot)
{
    static const uint8_t head[] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00,
        0xe0, 0x98, 0x03, 0x2b, 0x8c, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'S', 0, 'e',
        0, 'c', 0, 'u', 0, 'r', 0, 'e', 0, 'B', 0, 'o', 0, 'o', 0, 't', 0};
    static const char action[] = "Calling EFI Application from Boot Option";
    uint8_t variable[sizeof(head) + 1] = {0};
    const struct bh_span data = bh_span(variable, sizeof(variable));
    const struct bh_span separator = bh_span("\0\0\0", 4);

    memcpy(variable, head, sizeof(head));
    variable[sizeof(head)] = secure_boot ? 1 : 0;
    tpm2_log_event(plan, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, data, data);
    tpm2_log_event(plan, 7, EV_SEPARATOR, separator, separator);
    tpm2_log_event(plan, 4, EV_EFI_ACTION, bh_span_str(action), bh_span_str(action));
    tpm2_log_event(plan, 4, EV_SEPARATOR, separator, separator);
}

void
tpm2_log_loader(struct tpm2_plan *plan, const char *code)
{
    tpm2_log_event(plan, 4, EV_EFI_BOOT_SERVICES_APPLICATION,
        bh_span_str("where it lay, and its path"), bh_span_str(code));
}

/* ---- certificates ---- */

X509 *
tpm2_cert(EVP_PKEY *key, const char *cn, X509 *issuer, EVP_PKEY *issuer_key,
    const char *const *extensions, int64_t from, int64_t to)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509V3_CTX ctx;

    cr_assert_eq(X509_set_version(cert, 2), 1);
    cr_assert_eq(ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711), 1);
    cr_assert_eq(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0),
        1);
    cr_assert_eq(
        X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : name), 1);
    cr_assert_not_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from));
    cr_assert_not_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to));
    cr_assert_eq(X509_set_pubkey(cert, key), 1);
    X509V3_set_ctx(&ctx, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    for (; extensions[0] != NULL; extensions += 2) {
        X509_EXTENSION *ext = X509V3_EXT_conf(NULL, &ctx, extensions[0], extensions[1]);

        cr_assert_not_null(ext, "%s", extensions[0]);
        cr_assert_eq(X509_add_ext(cert, ext, -1), 1);
        X509_EXTENSION_free(ext);
    }
    cr_assert_gt(X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256()), 0);
    return cert;
}

/* ---- judgements ---- */

static void
judge(const struct tpm2_plan *plan, enum bh_err err, const char *check, const char *what)
{
    struct tpm2_endorsed endorsed = {.fails = BH_OK};
    struct tpm2_forged f;
    struct ev_tpm2_public ak;

    tpm2_forge(&f, plan);
    /* Endorsed as it is: what an endorsement file would refuse is for the evidence to refuse. */
    if (ev_tpm2_public_read(f.parts.ak, &ak, NULL) == BH_OK) {
        endorsed.e.key_class = EV_KEY_TPM;
        endorsed.e.key_len = ak.name_len;
        memcpy(endorsed.e.key, ak.name, ak.name_len);
        ev_endorsement_key("tpm2", bh_span_none(), bh_span(ak.name, ak.name_len), endorsed.key);
    }
    if (err == BH_OK)
        tpm2_must_hold(&f.parts, &endorsed, TPM2_NOW, what);
    else
        tpm2_must_refuse(&f.parts, &endorsed, TPM2_NOW, err, check, what);
    tpm2_forged_clear(&f);
}

void
tpm2_forge_holds(const struct tpm2_plan *plan, const char *what)
{
    judge(plan, BH_OK, NULL, what);
}

void
tpm2_forge_refused(
    const struct tpm2_plan *plan, enum bh_err err, const char *check, const char *what)
{
    judge(plan, err, check, what);
}
