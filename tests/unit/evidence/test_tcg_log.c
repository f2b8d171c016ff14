/* SPDX-License-Identifier: Apache-2.0 */
/* TCG event logs: recorded ones replay to their PCRs, and broken ones are refused. */
#include "evidence/tcg_log.h"

#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- recorded logs ---- */

static void
check_bank(const struct ev_tcg_log *log, const char *bank, const json_t *want, const char *file)
{
    const uint16_t algorithm = strcmp(bank, "sha1") == 0     ? EV_TCG_SHA1
                               : strcmp(bank, "sha256") == 0 ? EV_TCG_SHA256
                                                             : EV_TCG_SHA384;
    struct ev_tcg_registers regs;
    struct bh_diag diag = {0};
    char index[8], hex[2 * 64 + 1];
    size_t compared = 0;

    cr_assert_eq(ev_tcg_replay(log, algorithm, &regs, &diag), BH_OK, "%s: %s", file, diag.detail);
    for (unsigned i = 0; i < 10; i++) {
        const char *value;

        (void)snprintf(index, sizeof(index), "%u", i);
        if ((value = json_string_value(json_object_get(want, index))) == NULL)
            continue;
        cr_expect_str_eq(bh_hex(bh_span(regs.values[i], regs.size), hex, sizeof(hex)), value,
            "%s: %s PCR %u", file, bank, i);
        compared++;
    }
    cr_expect_geq(compared, 8, "%s: %s", file, bank);
}

Test(tcg_log, recorded)
{
    static const struct {
        const char *log, *pcrs;
        bool agile;
    } files[] = {
        {"tpm/eventlogs/ubuntu-2404-amd-sevsnp.bin",
            "tpm/eventlogs/ubuntu-2404-amd-sevsnp.pcrs.json", true},
        {"tpm/eventlogs/rhel8-gce.bin", "tpm/eventlogs/rhel8-gce.pcrs.json", true},
        {"tpm/eventlogs/arch-linux-workstation.bin",
            "tpm/eventlogs/arch-linux-workstation.pcrs.json", true},
        {"tpm/eventlogs/debian-10-legacy-sha1.bin", "tpm/eventlogs/debian-10-legacy-sha1.pcrs.json",
            false},
        {"tpm/gce-cos85-sev/eventlog.bin", "tpm/gce-cos85-sev/pcrs.json", true},
    };

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(files); i++) {
        struct bh_diag diag = {0};
        struct ev_tcg_log log;
        json_t *banks = bh_vector_json(files[i].pcrs), *bank;
        const char *name;
        size_t len;
        uint8_t *bytes = bh_vector(files[i].log, &len);

        cr_assert_eq(ev_tcg_log_read(bh_span(bytes, len), &log, &diag), BH_OK, "%s: %s",
            files[i].log, diag.detail);
        cr_expect_eq(log.agile, files[i].agile, "%s", files[i].log);
        json_object_foreach(banks, name, bank) check_bank(&log, name, bank, files[i].log);
        json_decref(banks);
        free(bytes);
    }
}

/* ---- made by hand ---- */

static void
u16le(struct bh_writer *w, unsigned v)
{
    bh_writer_u8(w, (uint8_t)v);
    bh_writer_u8(w, (uint8_t)(v >> 8));
}

static void
u32le(struct bh_writer *w, size_t v)
{
    u16le(w, (unsigned)(v & 0xffff));
    u16le(w, (unsigned)(v >> 16));
}

static void
fill(struct bh_writer *w, uint8_t byte, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bh_writer_u8(w, byte);
}

/* The header of a log of SHA-256 alone, or of @p count times SHA-256. */
static void
put_header(struct bh_writer *w, size_t count)
{
    u32le(w, 0);
    u32le(w, EV_TCG_NO_ACTION);
    fill(w, 0, 20);
    u32le(w, 16 + 8 + 4 + 4 * count + 1);
    bh_writer_put(w, bh_span("Spec ID Event03", 16));
    fill(w, 0, 7);
    bh_writer_u8(w, 2);
    u32le(w, count);
    for (size_t i = 0; i < count; i++) {
        u16le(w, EV_TCG_SHA256);
        u16le(w, 32);
    }
    bh_writer_u8(w, 0);
}

static void
put_event(struct bh_writer *w, unsigned index, unsigned type, uint8_t digest, const char *data,
    size_t len)
{
    u32le(w, index);
    u32le(w, type);
    u32le(w, 1);
    u16le(w, EV_TCG_SHA256);
    fill(w, digest, 32);
    u32le(w, len);
    bh_writer_put(w, bh_span(data, len));
}

static enum bh_err
replay(const struct bh_writer *w, uint16_t algorithm, struct ev_tcg_registers *regs,
    struct bh_diag *diag)
{
    struct ev_tcg_log log;
    struct bh_span all;
    enum bh_err e;

    bh_diag_clear(diag);
    cr_assert_eq(bh_writer_end(w, &all), BH_OK);
    if ((e = ev_tcg_log_read(all, &log, diag)) != BH_OK)
        return e;
    return ev_tcg_replay(&log, algorithm, regs, diag);
}

Test(tcg_log, startup_locality)
{
    struct ev_tcg_registers regs;
    struct bh_diag diag;
    uint8_t buf[1024], want[64] = {0};
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 1);
    put_event(&w, 0, EV_TCG_NO_ACTION, 0, "StartupLocality\0\3", 17);
    put_event(&w, 0, 8, 0x11, "x", 1);
    cr_assert_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_OK, "%s", diag.detail);
    want[31] = 3;
    memset(want + 32, 0x11, 32);
    cr_assert_eq(bh_sha2(256, bh_span(want, 64), want), BH_OK);
    cr_expect_eq(memcmp(regs.values[0], want, 32), 0);
    cr_expect(regs.extended[0] && !regs.extended[1]);
    /* Behind an extension it would change what was measured. */
    put_event(&w, 0, EV_TCG_NO_ACTION, 0, "StartupLocality\0\3", 17);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED);
    cr_expect(strstr(diag.detail, "StartupLocality") != NULL);
}

Test(tcg_log, refusals)
{
    struct ev_tcg_registers regs;
    struct ev_tcg_log log;
    struct bh_diag diag;
    uint8_t buf[1024];
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 1);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "no event");
    put_event(&w, 24, 8, 1, "x", 1);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "register 24");
    cr_expect_eq(replay(&w, EV_TCG_SHA384, &regs, &diag), BH_ERR_UNSUPPORTED, "no such bank");
    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 2);
    put_event(&w, 1, 8, 1, "x", 1);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "SHA-256 twice");
    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 0);
    put_event(&w, 1, 8, 1, "x", 1);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "no algorithm");
    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 9);
    cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "nine algorithms");
    cr_expect_eq(ev_tcg_log_read(bh_span_none(), &log, &diag), BH_ERR_MALFORMED, "nothing");
}

Test(tcg_log, padding)
{
    struct ev_tcg_registers regs;
    struct bh_diag diag;
    uint8_t buf[1024];
    struct bh_writer w;

    for (unsigned byte = 0; byte < 256; byte += 0x55) {
        bh_writer_init(&w, buf, sizeof(buf));
        put_header(&w, 1);
        put_event(&w, 1, 8, 1, "x", 1);
        fill(&w, (uint8_t)byte, 100);
        if (byte == 0 || byte == 0xff) {
            cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_OK, "%u", byte);
            buf[bh_writer_len(&w) - 1] ^= 1;
        }
        cr_expect_eq(replay(&w, EV_TCG_SHA256, &regs, &diag), BH_ERR_MALFORMED, "%u", byte);
    }
}

static bool
read_mutant(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct ev_tcg_registers regs;
    struct ev_tcg_log log;
    struct bh_diag diag = {0};

    (void)arg;
    if (ev_tcg_log_read(mutant, &log, &diag) != BH_OK ||
        ev_tcg_replay(&log, EV_TCG_SHA256, &regs, &diag) != BH_OK)
        cr_expect_neq(diag.detail[0], '\0', "%s at %zu", how, at);
    return true;
}

Test(tcg_log, mutants)
{
    uint8_t buf[1024];
    struct bh_writer w;
    struct bh_span all;

    bh_writer_init(&w, buf, sizeof(buf));
    put_header(&w, 1);
    put_event(&w, 0, EV_TCG_NO_ACTION, 0, "StartupLocality\0\3", 17);
    put_event(&w, 1, 8, 1, "some data", 9);
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    cr_expect_gt(bh_mutate(all, 0, all.len, 1, read_mutant, NULL), 500);
}
