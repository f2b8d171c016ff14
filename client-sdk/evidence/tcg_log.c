/* SPDX-License-Identifier: Apache-2.0 */
#include "tcg_log.h"

#include "core/x509.h"

#include <openssl/evp.h>

#define SHA1_LEN 20
#define DATA_MAX (64 * 1024) /* of one event */
#define SIGNATURE "Spec ID Event03"
#define LOCALITY "StartupLocality"

static enum bh_err
malformed(struct bh_diag *diag, size_t at, const char *what)
{
    return bh_fail(diag, BH_ERR_MALFORMED, "event log, at byte %zu: %s", at, what);
}

static size_t
size_of(uint16_t algorithm)
{
    switch (algorithm) {
    case EV_TCG_SHA1:
        return SHA1_LEN;
    case EV_TCG_SHA256:
        return 32;
    case EV_TCG_SHA384:
        return 48;
    case EV_TCG_SHA512:
        return 64;
    default:
        return 0;
    }
}

static bool
is_all(struct bh_span bytes, uint8_t value)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != value)
            return false;
    return true;
}

/* ---- events ---- */

/* TCG_PCClientPCREvent: one SHA-1 digest. */
static void
read_legacy(struct bh_reader *r, struct ev_tcg_event *event)
{
    event->index = bh_reader_u32le(r);
    event->type = bh_reader_u32le(r);
    event->digests_len = 1;
    event->digests[0].id = EV_TCG_SHA1;
    event->digests[0].digest = bh_reader_take(r, SHA1_LEN);
    const uint32_t len = bh_reader_u32le(r);
    if (len > DATA_MAX)
        bh_reader_spoil(r);
    event->data = bh_reader_take(r, len);
}

/* TCG_PCR_EVENT2: a digest of each algorithm of the header, at most once. */
static void
read_agile(struct bh_reader *r, const struct ev_tcg_log *log, struct ev_tcg_event *event)
{
    uint32_t count;

    event->index = bh_reader_u32le(r);
    event->type = bh_reader_u32le(r);
    count = bh_reader_u32le(r);
    if (count == 0 || count > log->algorithms_len) {
        bh_reader_spoil(r);
        return;
    }
    event->digests_len = count;
    for (size_t i = 0; i < count && bh_reader_ok(r); i++) {
        const uint16_t id = bh_reader_u16le(r);
        size_t k = 0;

        while (k < log->algorithms_len && log->algorithms[k].id != id)
            k++;
        for (size_t j = 0; j < i; j++)
            if (event->digests[j].id == id)
                bh_reader_spoil(r);
        if (k == log->algorithms_len) {
            bh_reader_spoil(r);
            return;
        }
        event->digests[i].id = id;
        event->digests[i].digest = bh_reader_take(r, log->algorithms[k].size);
    }
    const uint32_t len = bh_reader_u32le(r);
    if (len > DATA_MAX)
        bh_reader_spoil(r);
    event->data = bh_reader_take(r, len);
}

static void
read_event(struct bh_reader *r, const struct ev_tcg_log *log, struct ev_tcg_event *event)
{
    if (log->agile)
        read_agile(r, log, event);
    else
        read_legacy(r, event);
}

/* TCG_EfiSpecIdEvent (10.4.5.1): the algorithms and the sizes of their digests. */
static enum bh_err
read_spec_id(struct bh_span data, struct ev_tcg_log *log, struct bh_diag *diag)
{
    struct bh_reader r;
    uint32_t count;

    bh_reader_init(&r, data);
    (void)bh_reader_take(&r, sizeof(SIGNATURE));
    (void)bh_reader_take(&r, 4 + 3); /* platform class, version and errata */
    (void)bh_reader_u8(&r);          /* size of UINTN */
    count = bh_reader_u32le(&r);
    if (count == 0 || count > EV_TCG_ALGORITHMS_MAX)
        return malformed(diag, 0, "a header with no algorithm, or too many");
    for (size_t i = 0; i < count; i++) {
        const uint16_t id = bh_reader_u16le(&r);
        const uint16_t size = bh_reader_u16le(&r);

        if (size == 0 || size > EV_TCG_DIGEST_MAX || (size_of(id) != 0 && size_of(id) != size))
            bh_reader_spoil(&r);
        for (size_t k = 0; k < i; k++)
            if (log->algorithms[k].id == id)
                bh_reader_spoil(&r);
        log->algorithms[i].id = id;
        log->algorithms[i].size = size;
    }
    (void)bh_reader_take(&r, bh_reader_u8(&r)); /* vendor's */
    if (bh_reader_end(&r) != BH_OK)
        return malformed(diag, 0, "a header that is not of its form (10.4.5.1)");
    log->algorithms_len = count;
    log->agile = true;
    return BH_OK;
}

/* The first record is of the legacy form in both kinds of log. */
static enum bh_err
read_header(struct bh_reader *r, struct ev_tcg_log *log, struct bh_diag *diag)
{
    struct ev_tcg_event first = {0};

    read_legacy(r, &first);
    if (!bh_reader_ok(r))
        return malformed(diag, 0, "the first event is cut");
    if (first.type == EV_TCG_NO_ACTION && first.data.len >= sizeof(SIGNATURE) &&
        memcmp(first.data.ptr, SIGNATURE, sizeof(SIGNATURE)) == 0)
        return read_spec_id(first.data, log, diag);
    log->algorithms_len = 1;
    log->algorithms[0].id = EV_TCG_SHA1;
    log->algorithms[0].size = SHA1_LEN;
    log->events = 1;
    return BH_OK;
}

enum bh_err
ev_tcg_log_read(struct bh_span bytes, struct ev_tcg_log *ret_log, struct bh_diag *diag)
{
    struct ev_tcg_log log = {0};
    struct ev_tcg_event event = {0};
    struct bh_reader r;
    enum bh_err e;

    bh_reader_init(&r, bytes);
    if ((e = read_header(&r, &log, diag)) != BH_OK)
        return e;
    for (;;) {
        const size_t at = bh_reader_off(&r);
        const struct bh_span rest = bh_span(bytes.ptr + at, bytes.len - at);

        if (is_all(bh_span(rest.ptr, rest.len < 8 ? rest.len : 8), 0) ||
            is_all(bh_span(rest.ptr, rest.len < 8 ? rest.len : 8), 0xff)) {
            if (is_all(rest, 0) || is_all(rest, 0xff)) {
                log.bytes = bh_span(bytes.ptr, at);
                break;
            }
        }
        read_event(&r, &log, &event);
        if (!bh_reader_ok(&r))
            return malformed(diag, at, "an event that is cut, or of other algorithms");
        if (++log.events > EV_TCG_EVENTS_MAX)
            return malformed(diag, at, "too many events");
    }
    if (log.events == 0)
        return malformed(diag, bh_reader_off(&r), "no event");
    *ret_log = log;
    return BH_OK;
}

void
ev_tcg_walk_init(struct ev_tcg_walk *walk, const struct ev_tcg_log *log)
{
    struct ev_tcg_event header = {0};

    walk->log = log;
    bh_reader_init(&walk->r, log->bytes);
    if (log->agile)
        read_legacy(&walk->r, &header);
}

bool
ev_tcg_walk_next(struct ev_tcg_walk *walk, struct ev_tcg_event *ret_event)
{
    struct ev_tcg_event event = {0};

    if (bh_reader_left(&walk->r) == 0)
        return false;
    read_event(&walk->r, walk->log, &event);
    if (!bh_reader_ok(&walk->r))
        return false;
    *ret_event = event;
    return true;
}

struct bh_span
ev_tcg_event_digest(const struct ev_tcg_event *event, uint16_t algorithm)
{
    for (size_t i = 0; i < event->digests_len; i++)
        if (event->digests[i].id == algorithm)
            return event->digests[i].digest;
    return bh_span_none();
}

/* ---- replay ---- */

static bool
extend(uint8_t *value, size_t size, uint16_t algorithm, struct bh_span digest)
{
    uint8_t both[2 * EV_TCG_DIGEST_MAX];
    unsigned len = 0;

    memcpy(both, value, size);
    memcpy(both + size, digest.ptr, size);
    if (algorithm == EV_TCG_SHA1)
        return EVP_Digest(both, 2 * size, value, &len, EVP_sha1(), NULL) == 1;
    return bh_sha2((unsigned)size * 8, bh_span(both, 2 * size), value) == BH_OK;
}

/* TCG_EfiStartupLocalityEvent (10.4.5.3): the locality that started the TPM is register 0's start.
 */
static bool
is_locality(const struct ev_tcg_event *event)
{
    return event->type == EV_TCG_NO_ACTION && event->data.len == sizeof(LOCALITY) + 1 &&
           memcmp(event->data.ptr, LOCALITY, sizeof(LOCALITY)) == 0;
}

static enum bh_err
replay_event(const struct ev_tcg_event *event, struct ev_tcg_registers *regs, struct bh_diag *diag)
{
    const struct bh_span digest = ev_tcg_event_digest(event, regs->algorithm);

    if (is_locality(event)) {
        if (event->index != 0 || regs->extended[0] || regs->values[0][regs->size - 1] != 0)
            return bh_fail(
                diag, BH_ERR_MALFORMED, "event log: StartupLocality behind other events");
        regs->values[0][regs->size - 1] = event->data.ptr[sizeof(LOCALITY)];
        return BH_OK;
    }
    if (event->type == EV_TCG_NO_ACTION)
        return BH_OK;
    if (event->index >= EV_TCG_REGISTERS)
        return bh_fail(diag, BH_ERR_MALFORMED, "event log: register %u", (unsigned)event->index);
    if (digest.len != regs->size)
        return bh_fail(
            diag, BH_ERR_UNSUPPORTED, "event log: an event without a digest of the bank");
    regs->extended[event->index] = true;
    return extend(regs->values[event->index], regs->size, regs->algorithm, digest)
               ? BH_OK
               : bh_fail(diag, BH_ERR_INTERNAL, "event log: digest");
}

enum bh_err
ev_tcg_replay(const struct ev_tcg_log *log, uint16_t algorithm,
    struct ev_tcg_registers *ret_registers, struct bh_diag *diag)
{
    struct ev_tcg_registers regs = {.algorithm = algorithm, .size = size_of(algorithm)};
    struct ev_tcg_event event;
    struct ev_tcg_walk walk;
    bool known = false;
    enum bh_err e;

    for (size_t i = 0; i < log->algorithms_len; i++)
        known = known || log->algorithms[i].id == algorithm;
    if (!known || regs.size == 0)
        return bh_fail(
            diag, BH_ERR_UNSUPPORTED, "event log: no digests of algorithm %04x", algorithm);
    ev_tcg_walk_init(&walk, log);
    while (ev_tcg_walk_next(&walk, &event))
        if ((e = replay_event(&event, &regs, diag)) != BH_OK)
            return e;
    *ret_registers = regs;
    return BH_OK;
}
