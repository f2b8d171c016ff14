/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's authentic quote against the references of one policy entry. */
#include "tpm2_policy.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define SOURCE "policy"

/* ---- platform state ---- */

/*
 * A report of confidential hardware says only that somebody on such hardware wrote the document
 * with the AK. It is worth nothing without a policy for the code that wrote it.
 */
static enum bh_err
check_hardware(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, bool debug_allowed,
    struct ev_report *report, struct ev_verdict *verdict, size_t *depth)
{
    const char *want = refs->hardware != NULL ? refs->hardware->name : "a TPM alone";
    const char *have = t->hcl.hardware != NULL ? t->hcl.hardware->name : "a TPM alone";
    size_t below = 0;
    enum bh_err e;

    if (refs->hardware != t->hcl.hardware)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".hardware", want, have,
            "say in the entry's \"hardware\" what the confidential machine below the TPM must be");
    (*depth)++;
    if (refs->hardware == NULL)
        return BH_OK;
    e = refs->hardware->appraise(
        t->hcl.state, &t->hcl.auth, refs->hardware_refs, debug_allowed, report, verdict, &below);
    *depth += below;
    return e;
}

static enum bh_err
check_sha1(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    if (refs->sha1 || ev_tpm2_selected(&t->attest, EV_TPM2_SHA1) == 0)
        return BH_OK;
    return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".sha1",
        "PCRs of SHA-256 or better", "PCRs of the SHA-1 bank",
        "quote another bank, or say \"sha1\": \"allowed\" in the policy");
}

static enum bh_err
check_key_class(
    const struct ev_authenticity *auth, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    static const char *const names[] = {"silicon", "tpm", "file"};
    const unsigned found = (unsigned)auth->key_class - EV_KEY_SILICON;
    char expected[32] = "";
    size_t at = 0;

    if (refs->key_classes == 0)
        return BH_OK;
    for (size_t i = 0; i < BH_COUNT(names); i++)
        if ((refs->key_classes >> i & 1) != 0)
            at += (size_t)snprintf(
                expected + at, sizeof(expected) - at, "%s%s", at > 0 ? " | " : "", names[i]);
    if ((refs->key_classes >> found & 1) == 0)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".key_class", expected,
            names[found], "the attestation key is not kept where this workload needs it");
    ev_pass(report, SOURCE, EV_TPM2_NAME ".key_class", expected, names[found]);
    return BH_OK;
}

static enum bh_err
check_owner(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    enum bh_err e;

    if (refs->ek.len > 0) {
        if (!t->has_ek)
            return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".ek",
                "an EK that something ties to the AK",
                t->ek_cert.len > 0 ? "an ek_cert alone, which proves nothing" : "none",
                "endorse the AK with its EK");
        if ((e = ev_check_hex(
                 report, EV_TPM2_NAME ".ek", &refs->ek, bh_span(t->ek, sizeof(t->ek)))) != BH_OK)
            return e;
    }
    if (refs->ak_name.len == 0)
        return BH_OK;
    if (!t->has_ak)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".ak_name",
            "the AK's public area, which has its Name", "none", "send the AK as a TPMT_PUBLIC");
    return ev_check_hex(
        report, EV_TPM2_NAME ".ak_name", &refs->ak_name, bh_span(t->ak.name, t->ak.name_len));
}

static enum bh_err
check_reset_count(
    const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (!refs->has_reset_count)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "at most %lld", (long long)refs->reset_count_max);
    (void)snprintf(found, sizeof(found), "%u", (unsigned)t->attest.reset_count);
    if (t->attest.reset_count > refs->reset_count_max)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".reset_count", expected,
            found, "the machine was started again since the policy was written");
    ev_pass(report, SOURCE, EV_TPM2_NAME ".reset_count", expected, found);
    return BH_OK;
}

/* ---- measurements ---- */

static enum bh_err
check_pcr(const struct ev_tpm2 *t, const struct ev_hexlist *list, enum ev_tpm2_bank bank,
    unsigned index, struct ev_report *report)
{
    char name[BH_CHECK_MAX], expected[BH_VALUE_MAX];

    (void)snprintf(name, sizeof(name), EV_TPM2_NAME ".pcrs.%s.%u", ev_tpm2_bank_name(bank), index);
    if ((ev_tpm2_selected(&t->attest, bank) >> index & 1) == 0)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, name,
            ev_hexlist_text(list, expected, sizeof(expected)), "a quote that does not cover it",
            "quote this PCR too: a value that is not quoted is anybody's");
    return ev_check_hex(report, name, list, ev_tpm2_pcr(&t->pcrs, bank, index));
}

static enum bh_err
check_pcrs(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report,
    size_t *depth)
{
    enum bh_err e;

    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++)
        for (unsigned i = 0; i < EV_TPM2_PCRS; i++) {
            if (refs->pcrs[b][i].len == 0)
                continue;
            if ((e = check_pcr(t, &refs->pcrs[b][i], b, i, report)) != BH_OK)
                return e;
            (*depth)++;
        }
    return BH_OK;
}

static enum bh_err
check_secure_boot(
    const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    int said;

    if (!refs->secure_boot)
        return BH_OK;
    said = ev_tpm2_secure_boot(t, refs->sha1);
    if (said == 1) {
        ev_pass(report, SOURCE, EV_TPM2_NAME ".secure_boot", "on", "on");
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".secure_boot", "on",
        said == 0 ? "off" : "no event of PCR 7 that the quote confirms",
        said == 0 ? "turn Secure Boot on in the machine's firmware"
                  : "quote PCR 7 and send the event log");
}

/* The strongest bank for which the policy has digests. */
static enum ev_tpm2_bank
boot_loader_bank(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs)
{
    for (size_t k = EV_TPM2_BANKS; k > 0; k--) {
        const enum ev_tpm2_bank bank = (enum ev_tpm2_bank)(k - 1);

        for (size_t i = 0; i < refs->boot_loader.len; i++)
            if (t->replayed[bank] != 0 &&
                refs->boot_loader.items[i].len == ev_tpm2_bank_size(bank) &&
                (bank != EV_TPM2_SHA1 || refs->sha1))
                return bank;
    }
    return EV_TPM2_BANKS;
}

static enum bh_err
check_boot_loader(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs,
    struct ev_report *report, struct bh_span *ret_digest)
{
    static const char check[] = EV_TPM2_NAME ".boot_loader";
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    const char *fault = NULL;
    enum ev_tpm2_bank bank;

    if (refs->boot_loader.len == 0)
        return BH_OK;
    (void)ev_hexlist_text(&refs->boot_loader, expected, sizeof(expected));
    if ((bank = boot_loader_bank(t, refs)) == EV_TPM2_BANKS)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, check, expected,
            "no event log that the quote confirms in a bank of these digests",
            "quote PCR 4 and send the event log");
    if (ev_tpm2_boot_loaders(t, bank, &refs->boot_loader, ret_digest, &fault) != BH_OK)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, check, expected,
            fault != NULL ? fault : bh_hex(*ret_digest, found, sizeof(found)),
            "the machine started something else than the boot loaders that the policy names");
    ev_pass(report, SOURCE, check, expected, bh_hex(*ret_digest, found, sizeof(found)));
    return BH_OK;
}

static enum bh_err
check_log_there(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_report *report)
{
    bool any = false;

    if (!refs->event_log)
        return BH_OK;
    for (enum ev_tpm2_bank b = refs->sha1 ? EV_TPM2_SHA1 : EV_TPM2_SHA256; b < EV_TPM2_BANKS; b++)
        any = any || t->replayed[b] != 0;
    if (!any)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_TPM2_NAME ".event_log",
            "an event log that the quote confirms", t->has_log ? "one of other PCRs" : "none",
            "send the event log, and quote the PCRs that it speaks of");
    ev_pass(report, SOURCE, EV_TPM2_NAME ".event_log", "an event log that the quote confirms",
        "one that replays");
    return BH_OK;
}

/* ---- the verdict ---- */

/* A measured value that the policy named is what the result speaks of. */
static void
claim_pcrs(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct ev_verdict *verdict)
{
    char name[BH_EAR_CLAIM_NAME_MAX];

    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++)
        for (unsigned i = 0; i < EV_TPM2_PCRS; i++) {
            if (refs->pcrs[b][i].len == 0)
                continue;
            (void)snprintf(name, sizeof(name), "pcrs.%s.%u", ev_tpm2_bank_name(b), i);
            ev_claim_bytes(verdict, name, ev_tpm2_pcr(&t->pcrs, b, i));
        }
}

static struct bh_span
main_measurement(
    const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct bh_span boot_loader)
{
    static const unsigned order[] = {11, 4, 9, 8};

    for (size_t i = 0; i < BH_COUNT(order); i++)
        for (size_t k = EV_TPM2_BANKS; k > 0; k--)
            if (refs->pcrs[k - 1][order[i]].len > 0)
                return ev_tpm2_pcr(&t->pcrs, (enum ev_tpm2_bank)(k - 1), order[i]);
    return boot_loader;
}

static bool
pins_configuration(const struct ev_tpm2_refs *refs)
{
    bool pinned = refs->secure_boot;

    for (size_t b = 0; b < EV_TPM2_BANKS; b++)
        pinned = pinned || refs->pcrs[b][7].len > 0 || refs->pcrs[b][1].len > 0;
    return pinned;
}

static enum bh_err
fill_verdict(const struct ev_tpm2 *t, const struct ev_tpm2_refs *refs, struct bh_span boot_loader,
    struct ev_verdict *verdict)
{
    const struct bh_span measured = main_measurement(t, refs, boot_loader);
    enum bh_err e;

    claim_pcrs(t, refs, verdict);
    if (boot_loader.len > 0)
        ev_claim_bytes(verdict, "boot_loader", boot_loader);
    if (refs->secure_boot)
        ev_claim_text(verdict, "secure_boot", "on");
    if (t->hcl.hardware != NULL)
        ev_claim_text(verdict, "hardware", t->hcl.hardware->name);
    verdict->submod.trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    verdict->submod.trust[BH_TRUST_CONFIGURATION] = pins_configuration(refs) ? 2 : 0;
    verdict->submod.trust[BH_TRUST_EXECUTABLES] = 2;
    verdict->submod.trust[BH_TRUST_HARDWARE] = 2;
    verdict->measurement_len = measured.len;
    memcpy(verdict->measurement, measured.ptr, measured.len);
    /* What stays the same for one TPM, whatever AK it makes; else the AK itself. */
    verdict->hardware_id_len = EV_TPM2_EK_LEN;
    memcpy(verdict->hardware_id, t->ek, EV_TPM2_EK_LEN);
    if (!t->has_ek && (e = bh_sha2(256, t->key, verdict->hardware_id)) != BH_OK)
        return e;
    if (t->not_after != 0 && (verdict->not_after == 0 || t->not_after < verdict->not_after))
        verdict->not_after = t->not_after;
    return BH_OK;
}

enum bh_err
ev_tpm2_appraise(const void *state, const struct ev_authenticity *auth, const void *compiled,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_tpm2_refs *refs = compiled;
    const struct ev_tpm2 *t = state;
    struct bh_span boot_loader = bh_span_none();
    enum bh_err e;

    *ret_depth = 0;
    if ((e = check_hardware(t, refs, debug_allowed, report, verdict, ret_depth)) != BH_OK ||
        (e = check_sha1(t, refs, report)) != BH_OK ||
        (e = check_key_class(auth, refs, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_owner(t, refs, report)) != BH_OK ||
        (e = check_reset_count(t, refs, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_pcrs(t, refs, report, ret_depth)) != BH_OK ||
        (e = check_log_there(t, refs, report)) != BH_OK ||
        (e = check_secure_boot(t, refs, report)) != BH_OK ||
        (e = check_boot_loader(t, refs, report, &boot_loader)) != BH_OK)
        return e;
    if ((e = fill_verdict(t, refs, boot_loader, verdict)) != BH_OK)
        return ev_refuse(
            report, e, "signature", EV_TPM2_NAME ".ak", "a digest of the AK", "none", NULL);
    return BH_OK;
}
