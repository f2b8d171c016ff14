/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with a TPM 2.0: quotes over PCR 0 to 9 and 11 of SHA-256 by an attestation key that an
 * administrator endorses by its Name, with the event log of a start under Secure Boot (TPM 2.0
 * Library, part 2; TCG PC Client Platform Firmware Profile).
 */
#include "simulator.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include <stdio.h>
#include <stdlib.h>

#define HASH_LEN 32
#define NAME_LEN (2 + HASH_LEN)
#define PCRS 24
#define QUOTED UINT32_C(0xbff) /* PCR 0 to 9 and 11 */
#define LOG_MAX 4096
#define NONCE_LEN 32
#define SIGNED_NAME_AT 10 /* a byte of the quote that the signature alone protects */

#define ALG_ECC 0x0023
#define ALG_ECDSA 0x0018
#define ALG_NULL 0x0010
#define ALG_SHA256 0x000b
#define CURVE_P256 0x0003
/* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign */
#define AK_ATTRIBUTES 0x00050072
#define PUBLIC_MAX 128

/* Event types (PC Client Platform Firmware Profile, 10.4.1) */
#define EV_NO_ACTION 0x00000003
#define EV_SEPARATOR 0x00000004
#define EV_S_CRTM_VERSION 0x00000008
#define EV_IPL 0x0000000d
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003
#define EV_EFI_ACTION 0x80000007

enum {
    KEY_AK,
    KEY_EK,
};

static const struct agent_key_slot slots[] = {
    {"ak", "P-256", true}, {"ek", "P-256", false}, {NULL, NULL, false}};

struct tpm2 {
    uint8_t ek[HASH_LEN];          /* of its SubjectPublicKeyInfo */
    uint8_t boot_loader[HASH_LEN]; /* its digest as a PE image */
    uint8_t kernel[HASH_LEN];
    uint8_t public[PUBLIC_MAX]; /* TPMT_PUBLIC of the AK */
    size_t public_len;
    uint8_t name[NAME_LEN];
};

/* What one start leaves in the TPM and in the log. */
struct start {
    uint8_t pcrs[PCRS][HASH_LEN];
    uint8_t log[LOG_MAX];
    size_t log_len;
    bool failed;
};

/* ---- device ---- */

static enum bh_err
tpm2_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX], ek[HASH_LEN], boot_loader[HASH_LEN], kernel[HASH_LEN];
    size_t len = 0;
    enum bh_err e;

    (void)instance;
    (void)alone;
    if ((e = agent_keys_make(device, diag)) != BH_OK ||
        (e = bh_spki_encode(device->keys[KEY_EK], spki, sizeof(spki), &len, diag)) != BH_OK)
        return e;
    if ((e = bh_sha2(256, bh_span(spki, len), ek)) != BH_OK ||
        (e = agent_measure(256, "SIMULATED boot loader 1.0.0", boot_loader)) != BH_OK ||
        (e = agent_measure(256, "SIMULATED kernel image 1.0.0", kernel)) != BH_OK ||
        (e = agent_fact_set(device->facts, "ek", bh_span(ek, HASH_LEN))) != BH_OK ||
        (e = agent_fact_set(device->facts, "boot_loader", bh_span(boot_loader, HASH_LEN))) !=
            BH_OK ||
        (e = agent_fact_set(device->facts, "kernel", bh_span(kernel, HASH_LEN))) != BH_OK)
        return bh_fail(diag, e, "tpm2 device");
    return BH_OK;
}

/* TPMT_PUBLIC of the AK, and its Name. */
static enum bh_err
describe_ak(EVP_PKEY *ak, struct tpm2 *t, struct bh_diag *diag)
{
    uint8_t point[97];
    struct bh_span written;
    struct bh_writer w;
    size_t len = 0;
    enum bh_err e;

    if ((e = agent_point(ak, point, &len, diag)) != BH_OK)
        return e;
    bh_writer_init(&w, t->public, sizeof(t->public));
    bh_writer_u16be(&w, ALG_ECC);
    bh_writer_u16be(&w, ALG_SHA256);
    bh_writer_u32be(&w, AK_ATTRIBUTES);
    bh_writer_u16be(&w, 0); /* authPolicy */
    bh_writer_u16be(&w, ALG_NULL);
    bh_writer_u16be(&w, ALG_ECDSA);
    bh_writer_u16be(&w, ALG_SHA256);
    bh_writer_u16be(&w, CURVE_P256);
    bh_writer_u16be(&w, ALG_NULL);
    bh_writer_vec16(&w, bh_span(point + 1, HASH_LEN));
    bh_writer_vec16(&w, bh_span(point + 1 + HASH_LEN, HASH_LEN));
    t->name[0] = ALG_SHA256 >> 8;
    t->name[1] = ALG_SHA256 & 0xff;
    if ((e = bh_writer_end(&w, &written)) != BH_OK ||
        (e = bh_sha2(256, written, t->name + 2)) != BH_OK)
        return bh_fail(diag, e, "public area of the attestation key");
    t->public_len = written.len;
    return BH_OK;
}

static enum bh_err
tpm2_open(struct agent_device *device, struct bh_diag *diag)
{
    struct tpm2 *t = calloc(1, sizeof(*t));
    enum bh_err e;

    if (t == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "tpm2 device");
    if ((e = agent_fact_bytes(device->facts, "ek", t->ek, HASH_LEN, diag)) != BH_OK ||
        (e = agent_fact_bytes(device->facts, "boot_loader", t->boot_loader, HASH_LEN, diag)) !=
            BH_OK ||
        (e = agent_fact_bytes(device->facts, "kernel", t->kernel, HASH_LEN, diag)) != BH_OK ||
        (e = describe_ak(device->keys[KEY_AK], t, diag)) != BH_OK) {
        free(t);
        return e;
    }
    device->state = t;
    return BH_OK;
}

/* ---- a start, measured ---- */

static void
put_le32(struct start *s, uint32_t value)
{
    for (size_t i = 0; i < 4 && s->log_len < LOG_MAX; i++)
        s->log[s->log_len++] = (uint8_t)(value >> 8 * i);
}

static void
put(struct start *s, struct bh_span bytes)
{
    if (bytes.len > LOG_MAX - s->log_len) {
        s->failed = true;
        return;
    }
    if (bytes.len > 0)
        memcpy(s->log + s->log_len, bytes.ptr, bytes.len);
    s->log_len += bytes.len;
}

/* The head of a crypto-agile log: one record of the older form. */
static void
begin(struct start *s)
{
    static const uint8_t digest[20];
    static const uint8_t head[] = {'S', 'p', 'e', 'c', ' ', 'I', 'D', ' ', 'E', 'v', 'e', 'n', 't',
        '0', '3', 0, 0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, ALG_SHA256, 0, HASH_LEN, 0, 0};

    memset(s, 0, sizeof(*s));
    put_le32(s, 0);
    put_le32(s, EV_NO_ACTION);
    put(s, bh_span(digest, sizeof(digest)));
    put_le32(s, sizeof(head));
    put(s, bh_span(head, sizeof(head)));
}

/* An event of a digest that is known. */
static void
measure_digest(
    struct start *s, uint32_t pcr, uint32_t type, struct bh_span digest, struct bh_span data)
{
    static const uint8_t algorithm[] = {ALG_SHA256, 0};
    uint8_t both[2 * HASH_LEN];

    put_le32(s, pcr);
    put_le32(s, type);
    put_le32(s, 1);
    put(s, bh_span(algorithm, sizeof(algorithm)));
    put(s, digest);
    put_le32(s, (uint32_t)data.len);
    put(s, data);
    memcpy(both, s->pcrs[pcr], HASH_LEN);
    memcpy(both + HASH_LEN, digest.ptr, HASH_LEN);
    s->failed = s->failed || bh_sha2(256, bh_span(both, sizeof(both)), s->pcrs[pcr]) != BH_OK;
}

/* An event of which the data is what was measured. */
static void
measure(struct start *s, uint32_t pcr, uint32_t type, struct bh_span data)
{
    uint8_t digest[HASH_LEN];

    s->failed = s->failed || bh_sha2(256, data, digest) != BH_OK;
    if (!s->failed)
        measure_digest(s, pcr, type, bh_span(digest, HASH_LEN), data);
}

/* UEFI_VARIABLE_DATA: the namespace's GUID, lengths, the name in UCS-2, the value. */
static void
measure_secure_boot(struct start *s, bool on)
{
    static const uint8_t namespace[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa,
        0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    static const char name[] = "SecureBoot";
    uint8_t variable[sizeof(namespace) + 8 + 8 + 2 * (sizeof(name) - 1) + 1] = {0};
    size_t at = sizeof(namespace);

    memcpy(variable, namespace, sizeof(namespace));
    variable[at] = sizeof(name) - 1;
    variable[at + 8] = 1;
    at += 16;
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        variable[at + 2 * i] = (uint8_t)name[i];
    variable[sizeof(variable) - 1] = on ? 1 : 0;
    measure(s, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, bh_span(variable, sizeof(variable)));
}

static bool
start_up(const struct tpm2 *t, enum agent_tamper tamper, struct start *s)
{
    static const char action[] = "Calling EFI Application from Boot Option";
    const struct bh_span separator = bh_span("\0\0\0", 4);
    uint8_t loader[HASH_LEN];

    memcpy(loader, t->boot_loader, HASH_LEN);
    if (tamper == AGENT_TAMPER_MEASUREMENT)
        loader[0] ^= 0xff;
    begin(s);
    measure(s, 0, EV_S_CRTM_VERSION, bh_span_str("SIMULATED firmware 1.0.0"));
    measure_secure_boot(s, tamper != AGENT_TAMPER_DEBUG);
    measure(s, 4, EV_EFI_ACTION, bh_span_str(action));
    for (uint32_t pcr = 0; pcr < 8; pcr++)
        measure(s, pcr, EV_SEPARATOR, separator);
    measure_digest(s, 4, EV_EFI_BOOT_SERVICES_APPLICATION, bh_span(loader, HASH_LEN),
        bh_span_str("\\EFI\\BOOT\\BOOTX64.EFI"));
    measure_digest(s, 11, EV_IPL, bh_span(t->kernel, HASH_LEN), bh_span_str(".linux"));
    return !s->failed;
}

/* ---- quote ---- */

static enum bh_err
put_pcr_digest(const struct start *s, struct bh_writer *w)
{
    uint8_t all[PCRS * HASH_LEN], digest[HASH_LEN];
    size_t len = 0;
    enum bh_err e;

    for (size_t i = 0; i < PCRS; i++) {
        if ((QUOTED >> i & 1) == 0)
            continue;
        memcpy(all + len, s->pcrs[i], HASH_LEN);
        len += HASH_LEN;
    }
    if ((e = bh_sha2(256, bh_span(all, len), digest)) == BH_OK)
        bh_writer_vec16(w, bh_span(digest, HASH_LEN));
    return e;
}

static enum bh_err
tpm2_evidence(struct agent_device *device, const struct agent_request *request, struct bh_writer *w,
    struct bh_diag *diag)
{
    const struct tpm2 *t = device->state;
    uint8_t nonce[NONCE_LEN];
    struct start s;
    enum bh_err e;

    memcpy(nonce, request->binding, NONCE_LEN);
    if (request->tamper == AGENT_TAMPER_BINDING)
        nonce[0] ^= 0x01;
    if (!start_up(t, request->tamper, &s))
        return bh_fail(diag, BH_ERR_INTERNAL, "an event log of more than %d bytes", LOG_MAX);
    bh_writer_u32be(w, 0xff544347);
    bh_writer_u16be(w, 0x8018);
    bh_writer_vec16(w, bh_span(t->name, NAME_LEN)); /* of a key without parents */
    bh_writer_vec16(w, bh_span(nonce, NONCE_LEN));
    bh_writer_u64be(w, (uint64_t)request->now * 1000);
    bh_writer_u32be(w, 1); /* starts since it was cleared */
    bh_writer_u32be(w, 0);
    bh_writer_u8(w, 1);
    bh_writer_u64be(w, 0x0001000000000000);
    bh_writer_u32be(w, 1);
    bh_writer_u16be(w, ALG_SHA256);
    bh_writer_u8(w, 3);
    for (size_t i = 0; i < 3; i++)
        bh_writer_u8(w, (uint8_t)(QUOTED >> 8 * i));
    if ((e = put_pcr_digest(&s, w)) != BH_OK)
        return bh_fail(diag, e, "digest of the PCRs");
    return BH_OK;
}

/* ---- what travels beside it ---- */

/* TPMT_SIGNATURE over the quote. */
static enum bh_err
add_signature(
    EVP_PKEY *key, struct bh_span quote, struct agent_beside *beside, struct bh_diag *diag)
{
    uint8_t der[80], raw[2 * HASH_LEN], out[80];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const uint8_t *at = der;
    size_t len = sizeof(der);
    ECDSA_SIG *sig = NULL;
    struct bh_span written;
    struct bh_writer w;
    bool good;

    good = ctx != NULL && EVP_DigestSignInit(ctx, NULL, bh_sha2_md(256), NULL, key) == 1 &&
           EVP_DigestSign(ctx, der, &len, quote.ptr, quote.len) == 1 &&
           (sig = d2i_ECDSA_SIG(NULL, &at, (long)len)) != NULL &&
           BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HASH_LEN) == HASH_LEN &&
           BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HASH_LEN, HASH_LEN) == HASH_LEN;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    bh_writer_init(&w, out, sizeof(out));
    bh_writer_u16be(&w, ALG_ECDSA);
    bh_writer_u16be(&w, ALG_SHA256);
    bh_writer_vec16(&w, bh_span(raw, HASH_LEN));
    bh_writer_vec16(&w, bh_span(raw + HASH_LEN, HASH_LEN));
    if (!good || bh_writer_end(&w, &written) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "the quote cannot be signed");
    return agent_beside_add(beside, "signature", written, diag);
}

static enum bh_err
add_pcrs(const struct start *s, struct agent_beside *beside, struct bh_diag *diag)
{
    json_t *bank = json_object(), *all = json_pack("{s:o}", "sha256", bank);
    char name[8], *text = NULL;
    enum bh_err e = BH_ERR_NOMEM;

    for (size_t i = 0; i < PCRS && all != NULL; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        if ((QUOTED >> i & 1) != 0 &&
            agent_fact_set(bank, name, bh_span(s->pcrs[i], HASH_LEN)) != BH_OK)
            goto out;
    }
    if (all != NULL && (text = bh_json_text(all, false)) != NULL)
        e = agent_beside_add(beside, "pcrs", bh_span_str(text), diag);
out:
    free(text);
    json_decref(all);
    return e == BH_ERR_NOMEM ? bh_fail(diag, e, "PCR values") : e;
}

static enum bh_err
tpm2_beside(struct agent_device *device, const struct agent_request *request,
    struct agent_beside *beside, struct bh_diag *diag)
{
    const struct tpm2 *t = device->state;
    EVP_PKEY *stranger = NULL;
    uint8_t quote[256];
    struct bh_span written;
    struct bh_writer w;
    struct start s;
    enum bh_err e;

    /* The same quote again: nothing in it but the request. */
    bh_writer_init(&w, quote, sizeof(quote));
    if ((e = tpm2_evidence(device, request, &w, diag)) != BH_OK)
        return e;
    if ((e = bh_writer_end(&w, &written)) != BH_OK || !start_up(t, request->tamper, &s))
        return bh_fail(diag, BH_ERR_INTERNAL, "a quote of more than %zu bytes", sizeof(quote));
    if (request->tamper == AGENT_TAMPER_CHAIN &&
        (e = bh_key_generate("P-256", &stranger, diag)) != BH_OK)
        return e;
    e = add_signature(stranger != NULL ? stranger : device->keys[KEY_AK], written, beside, diag);
    EVP_PKEY_free(stranger);
    if (e != BH_OK || (e = add_pcrs(&s, beside, diag)) != BH_OK ||
        (e = agent_beside_add(beside, "ak", bh_span(t->public, t->public_len), diag)) != BH_OK)
        return e;
    return agent_beside_add(beside, "event_log", bh_span(s.log, s.log_len), diag);
}

static json_t *
tpm2_entry(const struct agent_device *device)
{
    const struct tpm2 *t = device->state;
    struct start s;

    if (!start_up(t, AGENT_TAMPER_NONE, &s))
        return NULL;
    return json_pack("{s:s,s:b,s:o,s:{s:{s:o,s:o}},s:o,s:b}", "platform", "tpm2", "simulated", 1,
        "ek", agent_hex_list(bh_span(t->ek, HASH_LEN)), "pcrs", "sha256", "4",
        agent_hex_list(bh_span(s.pcrs[4], HASH_LEN)), "11",
        agent_hex_list(bh_span(s.pcrs[11], HASH_LEN)), "boot_loader",
        agent_hex_list(bh_span(t->boot_loader, HASH_LEN)), "secure_boot", 1);
}

static json_t *
tpm2_endorsement(const struct agent_device *device)
{
    const struct tpm2 *t = device->state;
    char name[2 * NAME_LEN + 1], ek[2 * HASH_LEN + 1];

    return json_pack("{s:s,s:s,s:s,s:s,s:b}", "platform", "tpm2", "name",
        bh_hex(bh_span(t->name, NAME_LEN), name, sizeof(name)), "ek",
        bh_hex(bh_span(t->ek, HASH_LEN), ek, sizeof(ek)), "class", "silicon", "simulated", 1);
}

const struct agent_platform agent_tpm2 = {
    .name = "tpm2",
    .media_type = "application/octet-stream",
    .collection = "tag:beachhead,2026:tpm2",
    .label = "quote",
    .signature_at = SIGNED_NAME_AT,
    .slots = slots,
    .identity = "ek",
    .tampers = 1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN |
               1U << AGENT_TAMPER_MEASUREMENT | 1U << AGENT_TAMPER_DEBUG |
               1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT,
    .make = tpm2_make,
    .open = tpm2_open,
    .close = free,
    .evidence = tpm2_evidence,
    .beside = tpm2_beside,
    .entry = tpm2_entry,
    .endorsement = tpm2_endorsement,
};
