/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of TPMs: members of one entry, compiled. */
#include "tpm2_policy.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

#define PCR_DEBUG 16
#define PCR_APPLICATION 23

void
ev_tpm2_entry_free(void *state)
{
    struct ev_tpm2_refs *refs = state;

    if (refs == NULL)
        return;
    for (size_t b = 0; b < EV_TPM2_BANKS; b++)
        for (size_t i = 0; i < EV_TPM2_PCRS; i++)
            ev_hexlist_clear(&refs->pcrs[b][i]);
    ev_hexlist_clear(&refs->boot_loader);
    ev_hexlist_clear(&refs->ek);
    ev_hexlist_clear(&refs->ak_name);
    if (refs->hardware != NULL && refs->hardware_refs != NULL)
        refs->hardware->entry_free(refs->hardware_refs);
    free(refs);
}

/* ---- PCRs ---- */

static enum bh_err
read_bank(
    const json_t *object, enum ev_tpm2_bank bank, struct ev_tpm2_refs *refs, struct bh_diag *diag)
{
    const size_t size = ev_tpm2_bank_size(bank);
    const char *name;
    json_t *value;
    enum bh_err e;

    if (json_object_size(object) == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, ev_tpm2_bank_name(bank), "at least one PCR", "{}",
            "an empty bank says nothing");
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const int index = ev_tpm2_pcr_index(name);

        if (index < 0)
            return bh_refuse(
                diag, BH_ERR_MALFORMED, name, "a PCR from 0 to 22", name, "there is no such PCR");
        if (index == PCR_DEBUG || index == PCR_APPLICATION)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "a PCR that is not reset at will", name,
                "any program may reset PCR 16 and 23 and extend them anew: they identify nothing");
        if ((e = ev_hexlist_read(
                 object, name, false, size, size, &refs->pcrs[bank][index], diag)) != BH_OK)
            return e;
    }
    return BH_OK;
}

/* Failures of @p own name the field relative to the object that was read. */
static enum bh_err
fail_below(const char *prefix, struct bh_diag *own, struct bh_diag *diag)
{
    ev_field_prefix(own, "%s.", prefix);
    if (diag != NULL && diag->err == BH_OK)
        *diag = *own;
    return own->err;
}

static enum bh_err
read_pcrs(const json_t *entry, struct ev_tpm2_refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {"sha1", "sha256", "sha384", "sha512", NULL};
    struct bh_diag own = {0};
    json_t *object, *bank;
    enum bh_err e;

    if ((e = bh_json_member(entry, "pcrs", JSON_OBJECT, true, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    if (ev_members_only(object, members, &own) != BH_OK)
        return fail_below("pcrs", &own, diag);
    if (json_object_get(object, "sha1") != NULL && !refs->sha1)
        return bh_refuse(diag, BH_ERR_MALFORMED, "pcrs.sha1", "a bank of SHA-256 or better", "sha1",
            "SHA-1 is broken: say \"sha1\": \"allowed\" if there is no other bank");
    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++) {
        const char *name = ev_tpm2_bank_name(b);
        char prefix[16];

        if (bh_json_member(object, name, JSON_OBJECT, true, &bank, &own) != BH_OK)
            return fail_below("pcrs", &own, diag);
        if (bank == NULL || read_bank(bank, b, refs, &own) == BH_OK)
            continue;
        (void)snprintf(
            prefix, sizeof(prefix), strcmp(own.check, name) == 0 ? "pcrs" : "pcrs.%s", name);
        return fail_below(prefix, &own, diag);
    }
    return BH_OK;
}

/* ---- words, numbers and lists ---- */

/* A member that may hold one word alone. */
static enum bh_err
read_word(
    const json_t *entry, const char *name, const char *word, bool *ret_said, struct bh_diag *diag)
{
    const char *text;
    enum bh_err e;

    if ((e = bh_json_string(entry, name, true, &text, diag)) != BH_OK || text == NULL)
        return e;
    if (strcmp(text, word) != 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, word, text, "the only word here");
    *ret_said = true;
    return BH_OK;
}

static enum bh_err
read_true(const json_t *entry, const char *name, bool *ret_said, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_json_bool(entry, name, true, ret_said, diag)) != BH_OK)
        return e;
    if (json_object_get(entry, name) != NULL && !*ret_said)
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "true", "false",
            "leave the member out where it does not matter");
    return BH_OK;
}

static enum bh_err
read_rest(const json_t *entry, struct ev_tpm2_refs *refs, struct bh_diag *diag)
{
    static const char *const classes[] = {"silicon", "tpm", "file"};
    enum bh_err e;

    if ((e = read_word(entry, "sha1", "allowed", &refs->sha1, diag)) != BH_OK ||
        (e = read_word(entry, "event_log", "required", &refs->event_log, diag)) != BH_OK ||
        (e = read_true(entry, "secure_boot", &refs->secure_boot, diag)) != BH_OK ||
        (e = ev_words_read(entry, "key_class", true, classes, BH_COUNT(classes), &refs->key_classes,
             diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "boot_loader", true, 20, 64, &refs->boot_loader, diag)) !=
            BH_OK ||
        (e = ev_hexlist_read(entry, "ek", true, EV_TPM2_EK_LEN, EV_TPM2_EK_LEN, &refs->ek, diag)) !=
            BH_OK ||
        (e = ev_hexlist_read(entry, "ak_name", true, 34, 64, &refs->ak_name, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < refs->boot_loader.len; i++)
        if (refs->boot_loader.items[i].len == ev_tpm2_bank_size(EV_TPM2_SHA1) && !refs->sha1)
            return bh_refuse(diag, BH_ERR_MALFORMED, "boot_loader", "digests of 32, 48 or 64 bytes",
                "20 bytes", "SHA-1 is broken: say \"sha1\": \"allowed\" if there is no other bank");
    if (json_object_get(entry, "reset_count") == NULL)
        return BH_OK;
    refs->has_reset_count = true;
    return bh_json_int(entry, "reset_count", false, 0, UINT32_MAX, &refs->reset_count_max, diag);
}

/* ---- the hardware below a virtual TPM ---- */

static enum bh_err
read_hardware(
    const json_t *entry, struct ev_tpm2_refs *refs, bool *ret_pinned, struct bh_diag *diag)
{
    static const char *const outer[] = {"simulated", "debug", "owner", "context"};
    struct bh_diag own = {0};
    const char *platform;
    json_t *object;
    enum bh_err e;

    *ret_pinned = false;
    if ((e = bh_json_member(entry, "hardware", JSON_OBJECT, true, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    for (size_t i = 0; i < BH_COUNT(outer); i++)
        if (json_object_get(object, outer[i]) != NULL) {
            (void)bh_refuse(&own, BH_ERR_MALFORMED, outer[i], "a member of the whole entry",
                outer[i], "this is said once, beside \"hardware\"");
            return fail_below("hardware", &own, diag);
        }
    if (bh_json_string(object, "platform", false, &platform, &own) != BH_OK)
        return fail_below("hardware", &own, diag);
    if (strcmp(platform, ev_amd_sev_snp.name) == 0) {
        refs->hardware = &ev_amd_sev_snp;
    } else if (strcmp(platform, ev_intel_tdx.name) == 0) {
        refs->hardware = &ev_intel_tdx;
    } else {
        (void)bh_refuse(&own, BH_ERR_MALFORMED, "platform", "amd-sev-snp | intel-tdx", platform,
            "no report of this hardware binds an AK");
        return fail_below("hardware", &own, diag);
    }
    /* The owner may stand beside: whether anybody is named is checked with the whole entry. */
    if (refs->hardware->entry_parse(object, true, &refs->hardware_refs, ret_pinned, &own) != BH_OK)
        return fail_below("hardware", &own, diag);
    *ret_pinned = *ret_pinned && (json_object_get(object, "chip_id") != NULL ||
                                     json_object_get(object, "csp_id") != NULL ||
                                     json_object_get(object, "ppid") != NULL);
    return BH_OK;
}

static enum bh_err
check_pins(const struct ev_tpm2_refs *refs, bool hardware_pinned, bool owner_any,
    bool *ret_owner_pinned, struct bh_diag *diag)
{
    const bool owner = refs->ek.len > 0 || refs->ak_name.len > 0 || hardware_pinned;
    bool code = refs->boot_loader.len > 0;

    for (size_t b = 0; b < EV_TPM2_BANKS; b++)
        for (size_t i = 0; i < EV_TPM2_PCRS; i++)
            code = code || ((EV_TPM2_CODE_PCRS >> i & 1) != 0 && refs->pcrs[b][i].len > 0);
    if (!code)
        return bh_refuse(diag, BH_ERR_MALFORMED, "pcrs",
            "one of PCR 4, 8, 9, 11, or boot_loader with the event log", "none",
            "the entry does not pin the code: whatever the machine started would match");
    if (!owner && !owner_any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner", "ek or ak_name, or \"owner\": \"any\"",
            "neither", "the entry does not say whose machine it is");
    *ret_owner_pinned = owner;
    return BH_OK;
}

enum bh_err
ev_tpm2_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    static const char *const members[] = {"platform", "simulated", "debug", "owner", "context",
        "pcrs", "boot_loader", "secure_boot", "event_log", "ek", "ak_name", "key_class", "sha1",
        "reset_count", "hardware", NULL};
    struct ev_tpm2_refs *refs;
    bool hardware_pinned = false;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    if ((e = read_rest(entry, refs, diag)) != BH_OK ||
        (e = read_pcrs(entry, refs, diag)) != BH_OK ||
        (e = read_hardware(entry, refs, &hardware_pinned, diag)) != BH_OK ||
        (e = check_pins(refs, hardware_pinned, owner_any, ret_owner_pinned, diag)) != BH_OK)
        goto out;
    *ret_refs = refs;
    refs = NULL;
out:
    ev_tpm2_entry_free(refs);
    return e;
}
