/* SPDX-License-Identifier: Apache-2.0 */
#include "amd_chain.h"
#include "simulator.h"

#include "core/cmw.h"
#include "core/json.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

static const struct agent_platform *const platforms[] = {&agent_aws_nitro, &agent_arm_cca,
    &agent_psa, &agent_amd_sev_snp, &agent_intel_sgx, &agent_intel_tdx, &agent_aws_nitrotpm,
    &agent_tpm2};

const char *const *
agent_simulator_platforms(void)
{
    static const char *const names[] = {"aws-nitro", "arm-cca", "psa", "amd-sev-snp", "intel-sgx",
        "intel-tdx", "aws-nitrotpm", "tpm2", NULL};

    return names;
}

enum bh_err
agent_platform_find(
    const char *name, const struct agent_platform **ret_platform, struct bh_diag *diag)
{
    for (size_t i = 0; i < BH_COUNT(platforms); i++)
        if (strcmp(platforms[i]->name, name) == 0) {
            *ret_platform = platforms[i];
            return BH_OK;
        }
    (void)bh_refuse(diag, BH_ERR_USAGE, "platform",
        "aws-nitro | arm-cca | psa | amd-sev-snp | intel-sgx | intel-tdx | aws-nitrotpm | tpm2",
        name, "there is no simulated device of this platform");
    bh_hint(diag, "use one of: aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, "
                  "aws-nitrotpm, tpm2");
    return BH_ERR_USAGE;
}

enum bh_err
agent_keys_make(struct agent_device *device, struct bh_diag *diag)
{
    const struct agent_key_slot *slots = device->platform->slots;
    enum bh_err e = BH_OK;

    for (size_t i = 0; slots[i].name != NULL && e == BH_OK; i++)
        if (device->keys[i] == NULL)
            e = strcmp(slots[i].curve, AGENT_AMD_RSA) == 0
                    ? agent_amd_rsa_make(&device->keys[i], diag)
                    : bh_key_generate(slots[i].curve, &device->keys[i], diag);
    return e;
}

enum bh_err
agent_beside_add(
    struct agent_beside *beside, const char *label, struct bh_span bytes, struct bh_diag *diag)
{
    uint8_t *copy;

    if (beside->len == AGENT_BESIDE_MAX)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "more records than a collection has here");
    if ((copy = malloc(bytes.len + 1)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "evidence");
    memcpy(copy, bytes.ptr, bytes.len);
    beside->items[beside->len].label = label;
    beside->items[beside->len].bytes = copy;
    beside->items[beside->len++].len = bytes.len;
    return BH_OK;
}

void
agent_beside_clear(struct agent_beside *beside)
{
    for (size_t i = 0; i < beside->len; i++)
        free(beside->items[i].bytes);
    beside->len = 0;
}

enum bh_err
agent_device_build(const struct agent_platform *platform, uint32_t instance, bool alone,
    struct agent_device **ret_device, struct bh_diag *diag)
{
    struct agent_device *device = calloc(1, sizeof(*device));
    enum bh_err e;

    if (device == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "simulated device");
    device->platform = platform;
    device->facts = json_pack("{s:s,s:b,s:I}", "platform", platform->name, "simulated", 1,
        "instance", (json_int_t)instance);
    if (device->facts == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "simulated device");
        goto out;
    }
    if ((e = platform->make(device, instance, alone, diag)) != BH_OK ||
        (e = platform->open(device, diag)) != BH_OK)
        goto out;
    *ret_device = device;
    device = NULL;
out:
    agent_device_free(device);
    return e;
}

enum bh_err
agent_device_make(
    const char *platform, uint32_t instance, struct agent_device **ret_device, struct bh_diag *diag)
{
    const struct agent_platform *p = NULL;
    enum bh_err e;

    if ((e = agent_platform_find(platform, &p, diag)) != BH_OK)
        return e;
    return agent_device_build(p, instance, false, ret_device, diag);
}

void
agent_device_free(struct agent_device *device)
{
    if (device == NULL)
        return;
    if (device->state != NULL)
        device->platform->close(device->state);
    for (size_t i = 0; i < AGENT_KEYS_MAX; i++)
        EVP_PKEY_free(device->keys[i]);
    X509_free(device->root);
    json_decref(device->facts);
    OPENSSL_cleanse(device, sizeof(*device));
    free(device);
}

/* Evidence and, where @p beside is given, what travels with it. */
static enum bh_err
make_evidence(struct agent_device *device, const struct agent_request *request, struct bh_writer *w,
    struct agent_beside *beside, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = device->platform->evidence(device, request, w, diag)) != BH_OK || beside == NULL ||
        device->platform->beside == NULL)
        return e;
    return device->platform->beside(device, request, beside, diag);
}

/* Whoever stands in for this device under roots and keys that nobody admitted. */
static enum bh_err
foreign_evidence(struct agent_device *device, const struct agent_request *request,
    struct bh_writer *w, struct agent_beside *beside, struct bh_diag *diag)
{
    const json_int_t instance = json_integer_value(json_object_get(device->facts, "instance"));
    struct agent_device *foreign = NULL;
    enum bh_err e;

    if ((e = agent_device_build(device->platform, (uint32_t)instance, true, &foreign, diag)) !=
        BH_OK)
        return e;
    e = make_evidence(foreign, request, w, beside, diag);
    agent_device_free(foreign);
    return e;
}

/* The evidence as one run of bytes, broken as asked; *ret_bytes is malloc'ed. */
static enum bh_err
broken_evidence(struct agent_device *device, struct agent_request *request,
    struct agent_beside *beside, uint8_t **ret_bytes, size_t *ret_len, struct bh_diag *diag)
{
    const enum agent_tamper tamper = request->tamper;
    const size_t signature_at = device->platform->signature_at;
    struct bh_writer w;
    struct bh_span s;
    uint8_t *buf;
    enum bh_err e;

    if ((e = agent_tamper_allowed(device->platform, tamper, diag)) != BH_OK)
        return e;
    if ((buf = malloc(AGENT_RAW_MAX)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "evidence");
    if (tamper == AGENT_TAMPER_BINDING)
        request->binding[BH_BINDING_LEN - 1] ^= 0x01;
    bh_writer_init(&w, buf, AGENT_RAW_MAX);
    if (tamper == AGENT_TAMPER_ROOT)
        e = foreign_evidence(device, request, &w, beside, diag);
    else
        e = make_evidence(device, request, &w, beside, diag);
    /* Not a zero: buffers of quotes are padded with those. */
    if (tamper == AGENT_TAMPER_TRAILING)
        bh_writer_u8(&w, 1);
    if (e != BH_OK)
        goto out;
    if ((e = bh_writer_end(&w, &s)) != BH_OK) {
        (void)bh_fail(diag, e, "evidence of more than %d bytes", AGENT_RAW_MAX);
        goto out;
    }
    if (tamper == AGENT_TAMPER_SIGNATURE)
        buf[signature_at != 0 ? signature_at : s.len - 1] ^= 0x01;
    *ret_bytes = buf;
    *ret_len = s.len;
    buf = NULL;
out:
    free(buf);
    return e;
}

enum bh_err
agent_device_evidence_raw(struct agent_device *device, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, enum agent_tamper tamper, int64_t now, uint8_t **ret_bytes,
    size_t *ret_len, struct bh_diag *diag)
{
    struct agent_request request = {.spki = spki, .tamper = tamper, .now = now};

    memcpy(request.binding, binding, BH_BINDING_LEN);
    return broken_evidence(device, &request, NULL, ret_bytes, ret_len, diag);
}

static void
set_record(struct bh_cmw *cmw, const char *label, const char *type, struct bh_span value)
{
    struct bh_cmw_record *r = &cmw->records[cmw->count++];

    (void)snprintf(r->label, sizeof(r->label), "%s", label);
    (void)snprintf(r->type, sizeof(r->type), "%s", type);
    r->value = value;
}

enum bh_err
agent_device_evidence(struct agent_device *device, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, enum agent_tamper tamper, int64_t now, char **ret_cmw_json,
    struct bh_diag *diag)
{
    const struct agent_platform *platform = device->platform;
    struct agent_request request = {.spki = spki, .tamper = tamper, .now = now};
    struct agent_beside beside = {0};
    struct bh_cmw cmw = {.collection = platform->collection != NULL};
    uint8_t *raw = NULL;
    size_t len = 0;
    enum bh_err e;

    memcpy(request.binding, binding, BH_BINDING_LEN);
    if ((e = broken_evidence(device, &request, &beside, &raw, &len, diag)) != BH_OK)
        goto out;
    if (cmw.collection)
        (void)snprintf(
            cmw.collection_type, sizeof(cmw.collection_type), "%s", platform->collection);
    set_record(
        &cmw, cmw.collection ? platform->label : "", platform->media_type, bh_span(raw, len));
    for (size_t i = 0; i < beside.len; i++)
        set_record(&cmw, beside.items[i].label, "application/octet-stream",
            bh_span(beside.items[i].bytes, beside.items[i].len));
    e = bh_cmw_to_json(&cmw, ret_cmw_json, diag);
out:
    agent_beside_clear(&beside);
    free(raw);
    return e;
}

enum bh_err
agent_device_policy_entry(const struct agent_device *device, char **ret_json, struct bh_diag *diag)
{
    json_t *entry = device->platform->entry(device);
    char *text = entry != NULL ? bh_json_text(entry, true) : NULL;

    json_decref(entry);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    *ret_json = text;
    return BH_OK;
}
