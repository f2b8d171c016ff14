/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the event log of a machine's start says, as far as the quote confirms it.
 *
 * A replay confirms the order of digests in a register, and nothing else: types and data of events
 * are written by whoever sends the log, who may also have extended digests of its own after the
 * start. So an event is believed by its place (the first one of PCR 7 was measured by the firmware
 * before any code that it did not choose), or because every other reading of the log was excluded
 * (PCR 4 holds only digests that the policy names, and digests of data that is no code).
 */
#include "tpm2.h"

#include "core/text.h"
#include "core/x509.h"

#include <openssl/evp.h>
#include <stdio.h>

/* PC Client Platform Firmware Profile, 10.4.1 */
#define EV_SEPARATOR UINT32_C(0x00000004)
#define EV_EFI_VARIABLE_DRIVER_CONFIG UINT32_C(0x80000001)
#define EV_EFI_BOOT_SERVICES_APPLICATION UINT32_C(0x80000003)
#define EV_EFI_ACTION UINT32_C(0x80000007)
#define PCR_BOOT_LOADER 4
#define PCR_SECURE_BOOT 7

/* ---- replay ---- */

static enum bh_err
bad_replay(enum ev_tpm2_bank bank, unsigned index, struct bh_span quoted, struct bh_span replayed,
    struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    size_t at;

    at = (size_t)snprintf(
        expected, sizeof(expected), "PCR %u of %s: ", index, ev_tpm2_bank_name(bank));
    (void)bh_hex(quoted, expected + at, sizeof(expected) - at);
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "event log", EV_TPM2_NAME ".event_log", expected,
        bh_hex(replayed, found, sizeof(found)),
        "the event log is not the one of this machine's start");
}

static enum bh_err
replay_bank(struct ev_tpm2 *t, enum ev_tpm2_bank bank, struct ev_report *report)
{
    const uint32_t selected = ev_tpm2_selected(&t->attest, bank);
    struct ev_tcg_registers regs;
    struct bh_diag diag = {0};
    enum bh_err e;

    if (selected == 0)
        return BH_OK;
    e = ev_tcg_replay(&t->log, ev_tpm2_bank_algorithm(bank), &regs, &diag);
    if (e == BH_ERR_UNSUPPORTED)
        return BH_OK; /* the log says nothing of this bank */
    if (e != BH_OK)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "event log", EV_TPM2_NAME ".event_log",
            "a log that can be replayed", diag.detail, NULL);
    for (unsigned i = 0; i < EV_TPM2_PCRS; i++) {
        const struct bh_span value = bh_span(regs.values[i], regs.size);
        const struct bh_span quoted = ev_tpm2_pcr(&t->pcrs, bank, i);

        if (!regs.extended[i] || (selected >> i & 1) == 0)
            continue;
        if (!bh_span_equal(value, quoted))
            return bad_replay(bank, i, quoted, value, report);
        t->replayed[bank] |= UINT32_C(1) << i;
    }
    return BH_OK;
}

enum bh_err
ev_tpm2_check_log(struct ev_tpm2 *t, struct ev_report *report)
{
    bool any = false;
    enum bh_err e;

    memset(t->replayed, 0, sizeof(t->replayed));
    if (!t->has_log)
        return BH_OK;
    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++) {
        if ((e = replay_bank(t, b, report)) != BH_OK)
            return e;
        any = any || t->replayed[b] != 0;
    }
    ev_pass(report, "event log", EV_TPM2_NAME ".event_log", "a log that replays to the quoted PCRs",
        any ? "it does" : "no quoted PCR has events");
    return BH_OK;
}

/* ---- events ---- */

/* The event's digest is that of its data: then the data is authentic too. */
static bool
is_digest_of_data(const struct ev_tcg_event *event, enum ev_tpm2_bank bank)
{
    const struct bh_span digest = ev_tcg_event_digest(event, ev_tpm2_bank_algorithm(bank));
    uint8_t own[EV_TCG_DIGEST_MAX];
    unsigned len = 0;
    bool good;

    if (bank == EV_TPM2_SHA1)
        good = EVP_Digest(event->data.ptr, event->data.len, own, &len, EVP_sha1(), NULL) == 1;
    else
        good = bh_sha2((unsigned)ev_tpm2_bank_size(bank) * 8, event->data, own) == BH_OK;
    return good && bh_span_equal(digest, bh_span(own, ev_tpm2_bank_size(bank)));
}

/* UEFI_VARIABLE_DATA (10.2.6) of the variable SecureBoot: its value; -1 for anything else. */
static int
secure_boot_value(struct bh_span data)
{
    static const uint8_t global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
        0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    static const char name[] = "SecureBoot";
    struct bh_reader r;
    bool same = true;

    bh_reader_init(&r, data);
    const struct bh_span guid = bh_reader_take(&r, sizeof(global));
    const uint64_t name_len = bh_reader_u64le(&r);
    const uint64_t data_len = bh_reader_u64le(&r);
    if (!bh_reader_ok(&r) || !bh_span_equal(guid, bh_span(global, sizeof(global))) ||
        name_len != sizeof(name) - 1)
        return -1;
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        same = bh_reader_u16le(&r) == (uint16_t)name[i] && same;
    const struct bh_span value = bh_reader_take(&r, data_len <= data.len ? data_len : SIZE_MAX);
    if (bh_reader_end(&r) != BH_OK || !same)
        return -1;
    return value.len == 1 && value.ptr[0] == 1 ? 1 : 0;
}

static int
secure_boot_in(const struct ev_tpm2 *t, enum ev_tpm2_bank bank)
{
    struct ev_tcg_event event;
    struct ev_tcg_walk walk;
    int value = -1;

    if ((t->replayed[bank] >> PCR_SECURE_BOOT & 1) == 0)
        return -1;
    ev_tcg_walk_init(&walk, &t->log);
    while (value != 0 && ev_tcg_walk_next(&walk, &event)) {
        const bool config = event.type == EV_EFI_VARIABLE_DRIVER_CONFIG;
        const int said = config ? secure_boot_value(event.data) : -1;

        if (event.index != PCR_SECURE_BOOT || event.type == EV_TCG_NO_ACTION)
            continue;
        /* Nothing may come before it: what does is not the firmware's word. */
        if (value < 0 && (said < 0 || !is_digest_of_data(&event, bank)))
            return -1;
        if (value < 0 || said >= 0)
            value = said;
    }
    return value;
}

int
ev_tpm2_secure_boot(const struct ev_tpm2 *t, bool sha1)
{
    int value = -1;

    for (enum ev_tpm2_bank b = sha1 ? EV_TPM2_SHA1 : EV_TPM2_SHA256; b < EV_TPM2_BANKS; b++) {
        const int said = secure_boot_in(t, b);

        if (said >= 0 && value != 0)
            value = said;
    }
    return value;
}

/* Data that firmware measures into PCR 4 and that no processor could run. */
static bool
is_marker(const struct ev_tcg_event *event)
{
    static const char *const actions[] = {"Calling EFI Application from Boot Option",
        "Returning from EFI Application from Boot Option"};

    if (event->type == EV_SEPARATOR)
        return event->data.len == 4;
    if (event->type != EV_EFI_ACTION)
        return false;
    for (size_t i = 0; i < BH_COUNT(actions); i++)
        if (bh_span_is(event->data, actions[i]))
            return true;
    return false;
}

enum bh_err
ev_tpm2_boot_loaders(const struct ev_tpm2 *t, enum ev_tpm2_bank bank, const struct ev_hexlist *list,
    struct bh_span *ret_digest, const char **ret_fault)
{
    struct bh_span first = bh_span_none();
    struct ev_tcg_event event;
    struct ev_tcg_walk walk;

    *ret_fault = NULL;
    *ret_digest = bh_span_none();
    if ((t->replayed[bank] >> PCR_BOOT_LOADER & 1) == 0) {
        *ret_fault = "no event of PCR 4 that the quote confirms";
        return BH_ERR_POLICY;
    }
    ev_tcg_walk_init(&walk, &t->log);
    while (ev_tcg_walk_next(&walk, &event)) {
        const struct bh_span digest = ev_tcg_event_digest(&event, ev_tpm2_bank_algorithm(bank));

        if (event.index != PCR_BOOT_LOADER || event.type == EV_TCG_NO_ACTION ||
            (is_marker(&event) && is_digest_of_data(&event, bank)))
            continue;
        if (!ev_hexlist_has(list, digest)) {
            *ret_digest = digest;
            return BH_ERR_POLICY;
        }
        /* Named by the policy, whatever type the log gives it. */
        if (first.len == 0 && event.type == EV_EFI_BOOT_SERVICES_APPLICATION)
            first = digest;
    }
    if (first.len == 0) {
        *ret_fault = "no boot loader that was started";
        return BH_ERR_POLICY;
    }
    *ret_digest = first;
    return BH_OK;
}
