/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AWS Nitro enclave, and an EC2 instance with a NitroTPM: attestation documents as both make
 * them since mid-2025 (untagged COSE_Sign1, ES384, payload an indefinite-length map), under a
 * simulated chain.
 */
#include "nitro_chain.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define PCR_LEN 48
#define PCRS_MAX 24
#define TPM_PCRS 24
#define ENCLAVE_PCRS 16
#define BOOT_MANAGER 4 /* the NitroTPM's PCR of boot code */

struct nitro {
    struct agent_nitro_chain chain;
    bool tpm;
    uint8_t pcrs[PCRS_MAX][PCR_LEN];
};

/* ---- facts ---- */

struct measured {
    const char *index, *what;
};

/* What a PCR holds that was extended once from zero with the digest of @p what. */
static enum bh_err
make_pcr(json_t *pcrs, const char *index, const char *what)
{
    uint8_t both[2 * PCR_LEN] = {0}, pcr[PCR_LEN];
    enum bh_err e;

    if ((e = agent_measure(384, what, both + PCR_LEN)) != BH_OK ||
        (e = bh_sha2(384, bh_span(both, sizeof(both)), pcr)) != BH_OK)
        return e;
    return agent_fact_set(pcrs, index, bh_span(pcr, sizeof(pcr)));
}

static enum bh_err
make_facts(json_t *facts, const char *host, const char *module, const struct measured *measured,
    size_t count)
{
    json_t *pcrs = json_object();
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < count && e == BH_OK; i++)
        e = make_pcr(pcrs, measured[i].index, measured[i].what);
    if (e != BH_OK) {
        json_decref(pcrs);
        return e;
    }
    return json_object_set_new(facts, "pcrs", pcrs) == 0 &&
                   json_object_set_new(facts, "host_id", json_string(host)) == 0 &&
                   json_object_set_new(facts, "module_id", json_string(module)) == 0
               ? BH_OK
               : BH_ERR_NOMEM;
}

static enum bh_err
enclave_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    char host[32], module[64];
    const struct measured measured[] = {
        {"0", "SIMULATED enclave image 1.0.0"},
        {"1", "SIMULATED enclave kernel 1.0.0"},
        {"2", "SIMULATED enclave application 1.0.0"},
        {"3", "arn:aws:iam::000000000000:role/SIMULATED"},
        {"4", host},
    };
    enum bh_err e;

    (void)snprintf(host, sizeof(host), "i-%017x", instance);
    (void)snprintf(module, sizeof(module), "%s-enc%016x", host, instance);
    if ((e = make_facts(device->facts, host, module, measured, BH_COUNT(measured))) != BH_OK)
        return bh_fail(diag, e, "aws-nitro device");
    return agent_nitro_keys_make(device, alone, diag);
}

static enum bh_err
tpm_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    static const struct measured measured[] = {
        {"0", "SIMULATED firmware 1.0.0"},
        {"1", "SIMULATED firmware data"},
        {"2", "SIMULATED option ROMs"},
        {"3", "SIMULATED option ROM data"},
        {"4", "SIMULATED unified kernel image 1.0.0"},
        {"5", "SIMULATED partition table"},
        {"6", "SIMULATED host"},
        {"7", "SIMULATED Secure Boot policy"},
        {"11", "SIMULATED kernel, command line, initrd 1.0.0"},
    };
    char host[32], module[64];
    enum bh_err e;

    (void)snprintf(host, sizeof(host), "i-%017x", instance);
    (void)snprintf(module, sizeof(module), "%s-tpm%016x", host, 0);
    if ((e = make_facts(device->facts, host, module, measured, BH_COUNT(measured))) != BH_OK)
        return bh_fail(diag, e, "aws-nitrotpm device");
    return agent_nitro_keys_make(device, alone, diag);
}

static void
nitro_close(void *state)
{
    struct nitro *n = state;

    agent_nitro_chain_clear(&n->chain);
    free(n);
}

/* What nothing was measured into is zero; PCR 17 to 22 of a TPM are ones until a late launch. */
static enum bh_err
read_pcrs(const json_t *pcrs, struct nitro *n, struct bh_diag *diag)
{
    const unsigned needed = n->tpm ? 1U << 4 | 1U << 7 | 1U << 11 : 0x1f;
    char index[4];
    enum bh_err e;

    for (unsigned i = 0; i < PCRS_MAX; i++) {
        if (n->tpm && i >= 17 && i <= 22)
            memset(n->pcrs[i], 0xff, PCR_LEN);
        (void)snprintf(index, sizeof(index), "%u", i);
        if ((json_object_get(pcrs, index) != NULL || (needed >> i & 1) != 0) &&
            (e = agent_fact_bytes(pcrs, index, n->pcrs[i], PCR_LEN, diag)) != BH_OK)
            return e;
    }
    return BH_OK;
}

static enum bh_err
open_as(struct agent_device *device, bool tpm, struct bh_diag *diag)
{
    struct nitro *n = calloc(1, sizeof(*n));
    const char *module = NULL, *host = NULL;
    json_t *pcrs = NULL;
    enum bh_err e;

    if (n == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "%s device", device->platform->name);
    n->tpm = tpm;
    if ((e = bh_json_string(device->facts, "module_id", false, &module, diag)) != BH_OK ||
        (e = bh_json_string(device->facts, "host_id", false, &host, diag)) != BH_OK ||
        (e = bh_json_member(device->facts, "pcrs", JSON_OBJECT, false, &pcrs, diag)) != BH_OK ||
        (e = read_pcrs(pcrs, n, diag)) != BH_OK)
        goto out;
    (void)snprintf(n->chain.module_id, sizeof(n->chain.module_id), "%s", module);
    (void)snprintf(n->chain.host_id, sizeof(n->chain.host_id), "%s", host);
    device->state = n;
    n = NULL;
out:
    if (n != NULL)
        nitro_close(n);
    return e;
}

static enum bh_err
enclave_open(struct agent_device *device, struct bh_diag *diag)
{
    return open_as(device, false, diag);
}

static enum bh_err
tpm_open(struct agent_device *device, struct bh_diag *diag)
{
    return open_as(device, true, diag);
}

/* ---- documents ---- */

static void
write_cert(struct bh_writer *w, const X509 *cert)
{
    uint8_t *der = NULL;
    size_t len = 0;

    if (bh_x509_to_der(cert, &der, &len) != BH_OK) {
        bh_writer_spoil(w);
        return;
    }
    bh_writer_cbor_bstr(w, bh_span(der, len));
    OPENSSL_free(der);
}

static void
write_pcrs(struct bh_writer *w, const struct nitro *n, enum agent_tamper tamper)
{
    const bool other = tamper == AGENT_TAMPER_NITROTPM || tamper == AGENT_TAMPER_ENCLAVE;
    const size_t count = n->tpm ? TPM_PCRS : ENCLAVE_PCRS, code = n->tpm ? BOOT_MANAGER : 0;
    uint8_t pcr[PCR_LEN];

    bh_writer_cbor_tstr(w, n->tpm != other ? "nitrotpm_pcrs" : "pcrs");
    bh_writer_cbor_map(w, count);
    for (size_t i = 0; i < count; i++) {
        memcpy(pcr, n->pcrs[i], sizeof(pcr));
        if (tamper == AGENT_TAMPER_DEBUG && i <= 2)
            memset(pcr, 0, sizeof(pcr));
        if (tamper == AGENT_TAMPER_MEASUREMENT && i == code)
            pcr[0] ^= 0xff;
        bh_writer_cbor_uint(w, i);
        bh_writer_cbor_bstr(w, bh_span(pcr, sizeof(pcr)));
    }
}

static void
write_document(struct bh_writer *w, const struct nitro *n, X509 *const *chain, const X509 *leaf,
    const struct agent_request *r)
{
    bh_writer_u8(w, 0xbf); /* a map of indefinite length (RFC 8949, 3.2.2) */
    bh_writer_cbor_tstr(w, "module_id");
    bh_writer_cbor_tstr(w, n->chain.module_id);
    bh_writer_cbor_tstr(w, "digest");
    bh_writer_cbor_tstr(w, "SHA384");
    bh_writer_cbor_tstr(w, "timestamp");
    bh_writer_cbor_uint(w, (uint64_t)r->now * 1000);
    write_pcrs(w, n, r->tamper);
    if (r->tamper == AGENT_TAMPER_DUPLICATE)
        write_pcrs(w, n, r->tamper);
    bh_writer_cbor_tstr(w, "certificate");
    write_cert(w, leaf);
    bh_writer_cbor_tstr(w, "cabundle");
    bh_writer_cbor_array(w, AGENT_NITRO_CHAIN);
    for (size_t i = 0; i < AGENT_NITRO_CHAIN; i++)
        write_cert(w, chain[i]);
    bh_writer_cbor_tstr(w, "public_key");
    if (r->spki.len > 0)
        bh_writer_cbor_bstr(w, r->spki);
    else
        bh_writer_cbor_null(w);
    bh_writer_cbor_tstr(w, "user_data");
    bh_writer_cbor_null(w);
    bh_writer_cbor_tstr(w, "nonce");
    bh_writer_cbor_bstr(w, bh_span(r->binding, sizeof(r->binding)));
    bh_writer_u8(w, 0xff);
}

static enum bh_err
nitro_evidence(struct agent_device *device, const struct agent_request *request,
    struct bh_writer *w, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    X509 *chain[AGENT_NITRO_CHAIN], *misfit = NULL, *expired = NULL;
    uint8_t *buf = NULL;
    struct bh_writer document;
    struct bh_span payload;
    enum bh_err e;

    if ((e = agent_nitro_chain_renew(device, &n->chain, request->now, diag)) != BH_OK)
        return e;
    memcpy(chain, n->chain.certs, sizeof(chain));
    if (request->tamper == AGENT_TAMPER_CHAIN) {
        if ((e = agent_nitro_zone_misfit(device, &n->chain, request->now, &misfit, diag)) != BH_OK)
            return e;
        chain[AGENT_NITRO_ZONE] = misfit;
    }
    if (request->tamper == AGENT_TAMPER_EXPIRED &&
        (e = agent_nitro_leaf_make(device, &n->chain, request->now - 4 * 3600, request->now - 3600,
             &expired, diag)) != BH_OK)
        return e;
    if ((buf = malloc(AGENT_RAW_MAX)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "document");
        goto out;
    }
    bh_writer_init(&document, buf, AGENT_RAW_MAX);
    write_document(&document, n, chain, expired != NULL ? expired : n->chain.leaf, request);
    if ((e = bh_writer_end(&document, &payload)) != BH_OK) {
        (void)bh_fail(diag, e, "document of more than %d bytes", AGENT_RAW_MAX);
        goto out;
    }
    e = agent_sign1(
        w, payload, n->chain.leaf_key, false, request->tamper != AGENT_TAMPER_NO_ALG, diag);
out:
    free(buf);
    X509_free(misfit);
    X509_free(expired);
    return e;
}

/* ---- policy entries ---- */

static json_t *
pcr_lists(const struct nitro *n, const unsigned *which, size_t count)
{
    json_t *pcrs = json_object();
    char index[4];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(index, sizeof(index), "%u", which[i]);
        if (json_object_set_new(pcrs, index, agent_hex_list(bh_span(n->pcrs[which[i]], PCR_LEN))) !=
            0) {
            json_decref(pcrs);
            return NULL;
        }
    }
    return pcrs;
}

static json_t *
enclave_entry(const struct agent_device *device)
{
    static const unsigned which[] = {0, 1, 2, 3, 4};
    json_t *pcrs = pcr_lists(device->state, which, BH_COUNT(which));

    return pcrs == NULL
               ? NULL
               : json_pack("{s:s,s:b,s:o}", "platform", "aws-nitro", "simulated", 1, "pcrs", pcrs);
}

static json_t *
tpm_entry(const struct agent_device *device)
{
    static const unsigned which[] = {4, 7, 11};
    const struct nitro *n = device->state;
    json_t *pcrs = pcr_lists(n, which, BH_COUNT(which));

    return pcrs == NULL
               ? NULL
               : json_pack("{s:s,s:b,s:[s],s:o,s:[i]}", "platform", "aws-nitrotpm", "simulated", 1,
                     "instance_id", n->chain.host_id, "pcrs", pcrs, "unextended", 12);
}

#define TAMPERS                                                                                    \
    (1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN | 1U << AGENT_TAMPER_MEASUREMENT |    \
        1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_EXPIRED | 1U << AGENT_TAMPER_TRAILING |    \
        1U << AGENT_TAMPER_ROOT | 1U << AGENT_TAMPER_DUPLICATE | 1U << AGENT_TAMPER_NO_ALG)

const struct agent_platform agent_aws_nitro = {
    .name = "aws-nitro",
    .media_type = "application/aws-nitro-document",
    .slots = agent_nitro_slots,
    .chain = true,
    .identity = "pcrs.4",
    .tampers = TAMPERS | 1U << AGENT_TAMPER_DEBUG | 1U << AGENT_TAMPER_NITROTPM,
    .make = enclave_make,
    .open = enclave_open,
    .close = nitro_close,
    .evidence = nitro_evidence,
    .entry = enclave_entry,
};

const struct agent_platform agent_aws_nitrotpm = {
    .name = "aws-nitrotpm",
    .media_type = "application/aws-nitrotpm-document",
    .slots = agent_nitro_slots,
    .chain = true,
    .identity = "instance_id",
    .tampers = TAMPERS | 1U << AGENT_TAMPER_ENCLAVE,
    .make = tpm_make,
    .open = tpm_open,
    .close = nitro_close,
    .evidence = nitro_evidence,
    .entry = tpm_entry,
};
