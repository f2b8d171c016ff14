/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead measure pcr, beachhead measure tdx: an event log replayed, as a policy entry. */
#include "measure.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "evidence/tcg_log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead measure pcr"
#define COMMAND_TDX "beachhead measure tdx"
#define LOG_MAX (4 * 1024 * 1024)
#define PCR_DEBUG 16
#define PCR_APPLICATION 23
#define RTMRS                                                                                      \
    4 /* RTMR n is register n + 1 of a CCEL; register 0 is MRTD, which no event extends            \
       */

static const struct bank {
    const char *name;
    uint16_t algorithm;
} banks[] = {
    {"sha1", EV_TCG_SHA1},
    {"sha256", EV_TCG_SHA256},
    {"sha384", EV_TCG_SHA384},
    {"sha512", EV_TCG_SHA512},
};

/* Which PCRs to print: all of those that can identify anything when none is named. */
static enum bh_err
read_selection(const struct bh_cli_list *names, uint32_t *ret_mask, struct bh_diag *diag)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < names->len; i++) {
        char again[4];
        unsigned index = 0;

        for (; index < EV_TCG_REGISTERS; index++) {
            (void)snprintf(again, sizeof(again), "%u", index);
            if (strcmp(again, names->items[i]) == 0)
                break;
        }
        if (index == EV_TCG_REGISTERS || index == PCR_DEBUG || index == PCR_APPLICATION)
            return bh_refuse(diag, BH_ERR_USAGE, "pcr", "0 to 15, or 17 to 22", names->items[i],
                "no such PCR, or one that any program may reset");
        mask |= UINT32_C(1) << index;
    }
    *ret_mask =
        names->len > 0 ? mask : ~(UINT32_C(1) << PCR_DEBUG | UINT32_C(1) << PCR_APPLICATION);
    return BH_OK;
}

static bool
has_algorithm(const struct ev_tcg_log *log, uint16_t algorithm)
{
    if (!log->agile)
        return algorithm == EV_TCG_SHA1;
    for (size_t i = 0; i < log->algorithms_len; i++)
        if (log->algorithms[i].id == algorithm)
            return true;
    return false;
}

static json_t *
bank_json(const struct ev_tcg_registers *registers, uint32_t mask)
{
    json_t *bank = json_object();
    char index[4], hex[2 * EV_TCG_DIGEST_MAX + 1];

    for (unsigned i = 0; i < EV_TCG_REGISTERS; i++) {
        if ((mask >> i & 1) == 0 || !registers->extended[i])
            continue;
        (void)snprintf(index, sizeof(index), "%u", i);
        (void)bh_hex(bh_span(registers->values[i], registers->size), hex, sizeof(hex));
        (void)json_object_set_new(bank, index, json_pack("[s]", hex));
    }
    return bank;
}

/* All banks of the log; the SHA-1 bank only where it was asked for. */
static enum bh_err
replay(const struct ev_tcg_log *log, uint32_t mask, bool sha1, json_t *pcrs, struct bh_diag *diag)
{
    struct ev_tcg_registers registers;
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(banks); i++) {
        json_t *bank;

        if (!has_algorithm(log, banks[i].algorithm) || (banks[i].algorithm == EV_TCG_SHA1 && !sha1))
            continue;
        if ((e = ev_tcg_replay(log, banks[i].algorithm, &registers, diag)) != BH_OK)
            return e;
        bank = bank_json(&registers, mask);
        if (json_object_size(bank) > 0)
            (void)json_object_set(pcrs, banks[i].name, bank);
        json_decref(bank);
    }
    if (json_object_size(pcrs) > 0)
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_MALFORMED, "pcrs", "a PCR that the log extends", "none",
        "the log says nothing of these PCRs in these banks");
    bh_hint(diag, "%s",
        !sha1 && has_algorithm(log, EV_TCG_SHA1)
            ? "the log has a SHA-1 bank: --sha1 shows it; a policy that uses it must say "
              "\"sha1\": \"allowed\""
            : "leave out --pcr to see all of them");
    return e;
}

/* Either replay of a file. */
static enum bh_err
read_log(const char *path, struct ev_tcg_log *ret_log, uint8_t **ret_bytes, struct bh_diag *diag)
{
    size_t len = 0;

    if (bh_file_read(path, LOG_MAX, ret_bytes, &len, diag) != BH_OK) {
        diag->err = BH_ERR_USAGE;
        return BH_ERR_USAGE;
    }
    return ev_tcg_log_read(bh_span(*ret_bytes, len), ret_log, diag);
}

static enum bh_err
measure_log(const char *path, const struct bh_cli_list *names, bool sha1, json_t *pcrs,
    struct bh_diag *diag)
{
    struct ev_tcg_log log;
    uint8_t *bytes = NULL;
    uint32_t mask = 0;
    enum bh_err e;

    if ((e = read_selection(names, &mask, diag)) != BH_OK)
        return e;
    if ((e = read_log(path, &log, &bytes, diag)) == BH_OK)
        e = replay(&log, mask, sha1, pcrs, diag);
    free(bytes);
    return e;
}

/* Prints the entry, which it takes. */
static int
print(json_t *entry)
{
    const bool written = bh_cli_print_json(entry);

    json_decref(entry);
    return written ? 0 : 2;
}

int
bh_measure_pcr(int argc, char **argv)
{
    struct bh_cli_list names = {0};
    bool sha1 = false;
    const struct bh_cli_option options[] = {
        {.name = "pcr", .value = "N", .help = "only this PCR; may be repeated", .list = &names},
        {.name = "sha1", .help = "also the bank of SHA-1", .flag = &sha1},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Replay a TCG event log and print the PCRs that a TPM holds after it, as an "
                   "entry of a\npolicy's \"accept\". A log is a claim: pin what you know to be "
                   "yours (PCR 4, 7, 9, 11, ...), and\nadd the owner.",
        .example = COMMAND " --pcr 4 --pcr 7 /sys/kernel/security/tpm0/binary_bios_measurements",
        .options = options,
        .args = "EVENTLOG",
        .args_min = 1,
        .args_max = 1,
    };
    struct bh_diag diag = {0};
    struct bh_cli_list args;
    json_t *pcrs;
    const int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        return rc;
    pcrs = json_object();
    if (measure_log(args.items[0], &names, sha1, pcrs, &diag) != BH_OK) {
        json_decref(pcrs);
        return bh_cli_failed(COMMAND, &diag);
    }
    return print(json_pack("{s:s, s:o}", "platform", "tpm2", "pcrs", pcrs));
}

/* ---- a TD's log ---- */

static enum bh_err
measure_ccel(const char *path, json_t *rtmrs, struct bh_diag *diag)
{
    struct ev_tcg_registers registers;
    char index[4], hex[2 * EV_TCG_DIGEST_MAX + 1];
    struct ev_tcg_log log;
    uint8_t *bytes = NULL;
    enum bh_err e;

    if ((e = read_log(path, &log, &bytes, diag)) != BH_OK ||
        (e = ev_tcg_replay(&log, EV_TCG_SHA384, &registers, diag)) != BH_OK)
        goto out;
    for (unsigned i = 0; i < EV_TCG_REGISTERS; i++) {
        if (!registers.extended[i])
            continue;
        if (i == 0 || i > RTMRS) {
            e = bh_refuse(diag, BH_ERR_MALFORMED, "register", "registers 1 to 4, of RTMR 0 to 3",
                "another register", "register %u is extended: this is no TD's log", i);
            goto out;
        }
        (void)snprintf(index, sizeof(index), "%u", i - 1);
        (void)bh_hex(bh_span(registers.values[i], registers.size), hex, sizeof(hex));
        (void)json_object_set_new(rtmrs, index, json_pack("[s]", hex));
    }
    if (json_object_size(rtmrs) == 0)
        e = bh_refuse(diag, BH_ERR_MALFORMED, "register", "an RTMR that the log extends", "none",
            "the log extends nothing");
out:
    free(bytes);
    return e;
}

int
bh_measure_tdx(int argc, char **argv)
{
    const struct bh_cli_usage usage = {
        .command = COMMAND_TDX,
        .purpose =
            "Replay the event log of a TD (the data of its CCEL table) and print the RTMRs "
            "that it holds\nafter it, as an entry of a policy's \"accept\". A log is a claim: "
            "take it from a TD that is yours.\nAdd mrtd, tcb_status and the owner.",
        .example = COMMAND_TDX " /sys/firmware/acpi/tables/data/CCEL",
        .args = "CCEL",
        .args_min = 1,
        .args_max = 1,
    };
    struct bh_diag diag = {0};
    struct bh_cli_list args;
    json_t *rtmrs;
    const int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        return rc;
    rtmrs = json_object();
    if (measure_ccel(args.items[0], rtmrs, &diag) != BH_OK) {
        json_decref(rtmrs);
        return bh_cli_failed(COMMAND_TDX, &diag);
    }
    return print(json_pack("{s:s, s:o}", "platform", "intel-tdx", "rtmr", rtmrs));
}
