/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCG event logs (PC Client Platform Firmware Profile, 10): the crypto-agile form, the legacy
 * SHA-1 form, and the CCEL of confidential machines, which is the first with measurement registers
 * in place of PCRs. A log is only a claim: nothing in it may be believed before its replay equals
 * register values that hardware signed, and event data only where its digest recomputes.
 */
#ifndef EV_TCG_LOG_H
#define EV_TCG_LOG_H

#include "core/err.h"
#include "core/reader.h"

#define EV_TCG_ALGORITHMS_MAX 8
#define EV_TCG_EVENTS_MAX 4096
#define EV_TCG_REGISTERS 24
#define EV_TCG_DIGEST_MAX 64

enum ev_tcg_algorithm { /* TPM_ALG_ID */
    EV_TCG_SHA1 = 0x0004,
    EV_TCG_SHA256 = 0x000b,
    EV_TCG_SHA384 = 0x000c,
    EV_TCG_SHA512 = 0x000d,
};

#define EV_TCG_NO_ACTION UINT32_C(3) /* an event that is never extended */

/** A log whose form was checked to its end. Spans borrow from it. */
struct ev_tcg_log {
    struct bh_span bytes; /* without the padding */
    bool agile;
    size_t events; /* without the header of the crypto-agile form */
    size_t algorithms_len;
    struct {
        uint16_t id;
        uint16_t size;
    } algorithms[EV_TCG_ALGORITHMS_MAX];
};

/** One event. */
struct ev_tcg_event {
    uint32_t index; /* PCR, or measurement register */
    uint32_t type;
    size_t digests_len;
    struct {
        uint16_t id;
        struct bh_span digest;
    } digests[EV_TCG_ALGORITHMS_MAX];
    struct bh_span data;
};

/**
 * Read a log to its end: at least one event, each whole and with the algorithms that the header
 * lists, then nothing, or padding of zeros alone or of FF alone. BH_ERR_MALFORMED.
 */
BH_MUST_USE enum bh_err ev_tcg_log_read(
    struct bh_span bytes, struct ev_tcg_log *ret_log, struct bh_diag *diag);

/** A walk over the events of a log that was read. */
struct ev_tcg_walk {
    const struct ev_tcg_log *log;
    struct bh_reader r;
};
void ev_tcg_walk_init(struct ev_tcg_walk *walk, const struct ev_tcg_log *log);
/** The next event; false at the end. */
bool ev_tcg_walk_next(struct ev_tcg_walk *walk, struct ev_tcg_event *ret_event);
/** The event's digest of one algorithm; empty when it has none. */
struct bh_span ev_tcg_event_digest(const struct ev_tcg_event *event, uint16_t algorithm);

/** Registers after a replay. */
struct ev_tcg_registers {
    uint16_t algorithm;
    size_t size;                                         /* bytes of a digest */
    bool extended[EV_TCG_REGISTERS];                     /* any event was extended into it */
    uint8_t values[EV_TCG_REGISTERS][EV_TCG_DIGEST_MAX]; /* zeros, or as StartupLocality says */
};

/**
 * Replay the log for one algorithm. Registers begin as zeros; a StartupLocality event makes the
 * last byte of register 0 the locality. BH_ERR_UNSUPPORTED when the log has no digests of the
 * algorithm, BH_ERR_MALFORMED for an index beyond the registers or a misplaced StartupLocality.
 */
BH_MUST_USE enum bh_err ev_tcg_replay(const struct ev_tcg_log *log, uint16_t algorithm,
    struct ev_tcg_registers *ret_registers, struct bh_diag *diag);

#endif
