/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on an AMD SEV-SNP machine of product Milan: reports of version 3 as its firmware makes
 * them (AMD 56860), signed by a VCEK under a simulated ARK and ASK. The VCEK travels beside the
 * report, the ASK in the host's certificate table.
 */
#include "amd_chain.h"
#include "cert.h"
#include "simulator.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PRODUCT "Milan"
#define REPORT_LEN 1184
#define SIGNED_LEN 0x2a0
#define POLICY 0x3001f /* ABI 0.31, SMT permitted; bit 17 is always set */
#define POLICY_DEBUG (UINT64_C(1) << 19)
#define PLATFORM_INFO 0x25 /* SMT, ECC, ALIAS_CHECK_COMPLETE */
#define CHIP_ID_LEN 64
#define MEASUREMENT_LEN 48
#define HOST_DATA_LEN 32
#define DAY 86400
#define CA_FROM 1577836800 /* 2020-01-01 */
#define CA_TO 2524608000   /* 2050-01-01 */
#define VCEK_LIFE (7 * 365 * (int64_t)DAY)

enum {
    KEY_ARK,
    KEY_ASK,
    KEY_VCEK,
};

static const struct agent_key_slot slots[] = {{"ark", AGENT_AMD_RSA, false},
    {"ask", AGENT_AMD_RSA, false}, {"vcek", "P-384", false}, {NULL, NULL, false}};

/* Components of the TCB version, for which the VCEK is. */
enum {
    SPL_BOOTLOADER,
    SPL_TEE,
    SPL_SNP,
    SPL_MICROCODE,
    SPLS,
};
static const char *const spl_names[SPLS] = {"bootloader", "tee", "snp", "microcode"};

struct snp {
    uint8_t chip_id[CHIP_ID_LEN];
    uint8_t measurement[MEASUREMENT_LEN];
    uint8_t host_data[HOST_DATA_LEN];
    uint8_t spl[SPLS];
    X509 *ask, *vcek;
};

/* One vendor for all devices that a process makes in memory, as for Nitro; RSA keys take a while.
 */
static struct {
    pthread_mutex_t lock;
    EVP_PKEY *keys[2]; /* ARK, ASK */
    X509 *ark;
} fleet = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum bh_err
make_ark(EVP_PKEY *key, X509 **ret_ark, struct bh_diag *diag)
{
    const struct agent_amd_request r = {.level = AGENT_AMD_ARK,
        .cn = "ARK-" PRODUCT,
        .serial = 0x10000,
        .key = key,
        .issuer_key = key,
        .not_before = CA_FROM,
        .not_after = CA_TO};

    return agent_amd_cert_make(&r, ret_ark, diag);
}

static enum bh_err
make_ask(struct agent_device *device, X509 **ret_ask, struct bh_diag *diag)
{
    const struct agent_amd_request r = {.level = AGENT_AMD_ASK,
        .cn = "SEV-" PRODUCT,
        .serial = 0x10001,
        .key = device->keys[KEY_ASK],
        .issuer = device->root,
        .issuer_key = device->keys[KEY_ARK],
        .not_before = CA_FROM,
        .not_after = CA_TO};

    return agent_amd_cert_make(&r, ret_ask, diag);
}

/* The VCEK's certificate at @p now, broken as asked. */
static enum bh_err
make_vcek(struct agent_device *device, EVP_PKEY *issuer_key, enum agent_tamper tamper, int64_t now,
    X509 **ret_vcek, struct bh_diag *diag)
{
    const struct snp *n = device->state;
    uint8_t hwid[CHIP_ID_LEN];
    struct agent_amd_request r = {.level = AGENT_AMD_VCEK,
        .cn = "SEV-VCEK",
        .key = device->keys[KEY_VCEK],
        .issuer = n->ask,
        .issuer_key = issuer_key,
        .not_before = now - 10 * DAY,
        .not_after = now + VCEK_LIFE};

    memcpy(hwid, n->chip_id, sizeof(hwid));
    if (tamper == AGENT_TAMPER_CHIP)
        hwid[0] ^= 0xff;
    if (tamper == AGENT_TAMPER_EXPIRED)
        r.not_after = now - 3600;
    r.leaf = (struct agent_amd_leaf){.product = PRODUCT "-B0",
        .spl = {AGENT_AMD_NO_SPL, n->spl[SPL_BOOTLOADER], n->spl[SPL_TEE], n->spl[SPL_SNP], 0, 0, 0,
            0, n->spl[SPL_MICROCODE], AGENT_AMD_NO_SPL},
        .hwid = bh_span(hwid, sizeof(hwid))};
    if (tamper == AGENT_TAMPER_TCB)
        r.leaf.spl[8] ^= 1;
    return agent_amd_cert_make(&r, ret_vcek, diag);
}

static enum bh_err
join_fleet(struct agent_device *device, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    (void)pthread_mutex_lock(&fleet.lock);
    for (size_t i = 0; i < BH_COUNT(fleet.keys) && e == BH_OK; i++)
        if (fleet.keys[i] == NULL)
            e = agent_amd_rsa_make(&fleet.keys[i], diag);
    if (e == BH_OK && fleet.ark == NULL)
        e = make_ark(fleet.keys[KEY_ARK], &fleet.ark, diag);
    if (e == BH_OK) {
        for (size_t i = 0; i < BH_COUNT(fleet.keys); i++) {
            (void)EVP_PKEY_up_ref(fleet.keys[i]);
            device->keys[i] = fleet.keys[i];
        }
        (void)X509_up_ref(fleet.ark);
        device->root = fleet.ark;
    }
    (void)pthread_mutex_unlock(&fleet.lock);
    return e;
}

static enum bh_err
make_facts(json_t *facts, uint32_t instance)
{
    static const uint8_t spl[SPLS] = {4, 0, 24, 219};
    uint8_t chip[CHIP_ID_LEN], measurement[MEASUREMENT_LEN], host[HOST_DATA_LEN];
    json_t *tcb = json_object();
    char text[64];
    enum bh_err e;

    for (size_t i = 0; i < SPLS; i++)
        (void)json_object_set_new(tcb, spl_names[i], json_integer(spl[i]));
    (void)snprintf(text, sizeof(text), "SIMULATED chip %u", (unsigned)instance);
    if (json_object_set_new(facts, "tcb", tcb) != 0)
        return BH_ERR_NOMEM;
    if ((e = agent_measure(512, text, chip)) != BH_OK ||
        (e = agent_measure(384, "SIMULATED guest firmware, kernel and command line 1.0.0",
             measurement)) != BH_OK ||
        (e = agent_measure(256, "SIMULATED host data", host)) != BH_OK ||
        (e = agent_fact_set(facts, "chip_id", bh_span(chip, sizeof(chip)))) != BH_OK ||
        (e = agent_fact_set(facts, "measurement", bh_span(measurement, sizeof(measurement)))) !=
            BH_OK)
        return e;
    return agent_fact_set(facts, "host_data", bh_span(host, sizeof(host)));
}

static enum bh_err
snp_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = make_facts(device->facts, instance)) != BH_OK)
        return bh_fail(diag, e, "amd-sev-snp device");
    if (!alone && (e = join_fleet(device, diag)) != BH_OK)
        return e;
    if ((e = agent_keys_make(device, diag)) != BH_OK)
        return e;
    return device->root != NULL ? BH_OK : make_ark(device->keys[KEY_ARK], &device->root, diag);
}

static void
snp_close(void *state)
{
    struct snp *n = state;

    X509_free(n->ask);
    X509_free(n->vcek);
    free(n);
}

static enum bh_err
read_facts(const json_t *facts, struct snp *n, struct bh_diag *diag)
{
    json_t *tcb = NULL;
    enum bh_err e;

    if ((e = agent_fact_bytes(facts, "chip_id", n->chip_id, CHIP_ID_LEN, diag)) != BH_OK ||
        (e = agent_fact_bytes(facts, "measurement", n->measurement, MEASUREMENT_LEN, diag)) !=
            BH_OK ||
        (e = agent_fact_bytes(facts, "host_data", n->host_data, HOST_DATA_LEN, diag)) != BH_OK ||
        (e = bh_json_member(facts, "tcb", JSON_OBJECT, false, &tcb, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < SPLS; i++) {
        int64_t value = 0;

        if ((e = bh_json_int(tcb, spl_names[i], false, 0, UINT8_MAX, &value, diag)) != BH_OK)
            return e;
        n->spl[i] = (uint8_t)value;
    }
    return BH_OK;
}

static enum bh_err
snp_open(struct agent_device *device, struct bh_diag *diag)
{
    struct snp *n = calloc(1, sizeof(*n));
    enum bh_err e;

    if (n == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "amd-sev-snp device");
    if ((e = read_facts(device->facts, n, diag)) != BH_OK ||
        (e = make_ask(device, &n->ask, diag)) != BH_OK) {
        snp_close(n);
        return e;
    }
    device->state = n;
    return BH_OK;
}

/* ---- the report ---- */

static void
put_le(uint8_t *at, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void
put_tcb(uint8_t *at, const struct snp *n)
{
    at[0] = n->spl[SPL_BOOTLOADER];
    at[1] = n->spl[SPL_TEE];
    at[6] = n->spl[SPL_SNP];
    at[7] = n->spl[SPL_MICROCODE];
}

static void
fill_report(uint8_t report[REPORT_LEN], const struct snp *n, const struct agent_request *r)
{
    static const uint8_t firmware[] = {29, 55, 1};
    static const size_t tcbs[] = {0x38, 0x180, 0x1e0, 0x1f0};

    memset(report, 0, REPORT_LEN);
    put_le(report, 3, 4);
    put_le(report + 0x08, POLICY | (r->tamper == AGENT_TAMPER_DEBUG ? POLICY_DEBUG : 0), 8);
    put_le(report + 0x30, r->tamper == AGENT_TAMPER_VMPL ? 3 : 0, 4);
    put_le(report + 0x34, 1, 4); /* ECDSA P-384 with SHA-384 */
    put_le(report + 0x40, PLATFORM_INFO, 8);
    memcpy(report + 0x50, r->binding, BH_BINDING_LEN);
    memcpy(report + 0x90, n->measurement, MEASUREMENT_LEN);
    if (r->tamper == AGENT_TAMPER_MEASUREMENT)
        report[0x90] ^= 0xff;
    memcpy(report + 0xc0, n->host_data, HOST_DATA_LEN);
    memset(report + 0x160, 0xff, 32); /* no migration agent */
    report[0x188] = 0x19;
    report[0x189] = 0x01;
    report[0x18a] = 0x01;
    memcpy(report + 0x1a0, n->chip_id, CHIP_ID_LEN);
    memcpy(report + 0x1e8, firmware, sizeof(firmware));
    memcpy(report + 0x1ec, firmware, sizeof(firmware));
    for (size_t i = 0; i < BH_COUNT(tcbs); i++)
        put_tcb(report + tcbs[i], n);
}

/* R and S, 72 bytes each, little-endian. */
static bool
sign_report(uint8_t report[REPORT_LEN], EVP_PKEY *key)
{
    uint8_t der[128];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = NULL;
    bool good;

    good = ctx != NULL && EVP_DigestSignInit(ctx, NULL, bh_sha2_md(384), NULL, key) == 1 &&
           EVP_DigestSign(ctx, der, &len, report, SIGNED_LEN) == 1 &&
           (sig = d2i_ECDSA_SIG(NULL, &at, (long)len)) != NULL &&
           BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), report + SIGNED_LEN, 72) == 72 &&
           BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), report + SIGNED_LEN + 72, 72) == 72;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return good;
}

static enum bh_err
snp_evidence(struct agent_device *device, const struct agent_request *request, struct bh_writer *w,
    struct bh_diag *diag)
{
    uint8_t report[REPORT_LEN];

    fill_report(report, device->state, request);
    if (!sign_report(report, device->keys[KEY_VCEK]))
        return bh_fail(diag, BH_ERR_INTERNAL, "the report cannot be signed");
    bh_writer_put(w, bh_span(report, sizeof(report)));
    return BH_OK;
}

/* ---- what travels beside it ---- */

/* The VCEK that is kept, made anew when it does not cover @p now, or a broken one of this time. */
static enum bh_err
vcek_for(struct agent_device *device, const struct agent_request *r, X509 **ret_vcek,
    struct bh_diag *diag)
{
    struct snp *n = device->state;
    EVP_PKEY *stranger = NULL;
    X509 *made = NULL;
    enum bh_err e;

    if (r->tamper == AGENT_TAMPER_CHAIN) {
        if ((e = agent_amd_rsa_make(&stranger, diag)) == BH_OK)
            e = make_vcek(device, stranger, r->tamper, r->now, ret_vcek, diag);
        EVP_PKEY_free(stranger);
        return e;
    }
    if (r->tamper == AGENT_TAMPER_CHIP || r->tamper == AGENT_TAMPER_TCB ||
        r->tamper == AGENT_TAMPER_EXPIRED)
        return make_vcek(device, device->keys[KEY_ASK], r->tamper, r->now, ret_vcek, diag);
    if (!agent_cert_covers(n->vcek, r->now, r->now)) {
        if ((e = make_vcek(
                 device, device->keys[KEY_ASK], AGENT_TAMPER_NONE, r->now, &made, diag)) != BH_OK)
            return e;
        X509_free(n->vcek);
        n->vcek = made;
    }
    (void)X509_up_ref(n->vcek);
    *ret_vcek = n->vcek;
    return BH_OK;
}

static enum bh_err
snp_beside(struct agent_device *device, const struct agent_request *request,
    struct agent_beside *beside, struct bh_diag *diag)
{
    const struct snp *n = device->state;
    X509 *const table[AGENT_AMD_ENTRIES] = {
        [AGENT_AMD_ENTRY_ASK] = n->ask, [AGENT_AMD_ENTRY_ARK] = device->root};
    uint8_t *blob = malloc(AGENT_AMD_TABLE_MAX), *der = NULL;
    X509 *vcek = NULL;
    size_t len = 0;
    enum bh_err e;

    if (blob == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate table");
    if ((e = vcek_for(device, request, &vcek, diag)) != BH_OK)
        goto out;
    if ((e = bh_x509_to_der(vcek, &der, &len)) != BH_OK) {
        (void)bh_fail(diag, e, "the VCEK cannot be written");
        goto out;
    }
    if ((e = agent_beside_add(beside, "vcek", bh_span(der, len), diag)) != BH_OK ||
        (e = agent_amd_table(table, blob, &len, diag)) != BH_OK)
        goto out;
    e = agent_beside_add(beside, "auxblob", bh_span(blob, len), diag);
out:
    X509_free(vcek);
    OPENSSL_free(der);
    free(blob);
    return e;
}

static json_t *
snp_entry(const struct agent_device *device)
{
    const struct snp *n = device->state;
    json_t *tcb = json_object();

    for (size_t i = 0; i < SPLS; i++)
        (void)json_object_set_new(tcb, spl_names[i], json_integer(n->spl[i]));
    return json_pack("{s:s,s:b,s:[s],s:o,s:o,s:o,s:[i],s:{s:o},s:{s:b},s:{s:b}}", "platform",
        "amd-sev-snp", "simulated", 1, "product", PRODUCT, "chip_id",
        agent_hex_list(bh_span(n->chip_id, sizeof(n->chip_id))), "measurement",
        agent_hex_list(bh_span(n->measurement, sizeof(n->measurement))), "host_data",
        agent_hex_list(bh_span(n->host_data, sizeof(n->host_data))), "vmpl", 0, "tcb_min", PRODUCT,
        tcb, "guest_policy", "smt", 1, "platform_info", "alias_check_complete", 1);
}

const struct agent_platform agent_amd_sev_snp = {
    .name = "amd-sev-snp",
    .media_type = "application/octet-stream",
    .collection = "tag:beachhead,2026:amd-sev-snp",
    .label = "report",
    .signature_at = SIGNED_LEN,
    .slots = slots,
    .chain = true,
    .identity = "chip_id",
    .tampers = 1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN |
               1U << AGENT_TAMPER_MEASUREMENT | 1U << AGENT_TAMPER_DEBUG |
               1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_EXPIRED |
               1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT | 1U << AGENT_TAMPER_TCB |
               1U << AGENT_TAMPER_CHIP | 1U << AGENT_TAMPER_VMPL,
    .make = snp_make,
    .open = snp_open,
    .close = snp_close,
    .evidence = snp_evidence,
    .beside = snp_beside,
    .entry = snp_entry,
};
