/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges asked for ahead. Under load a challenge costs far more in messages and wake-ups than
 * in work, so while many are wanted several come in one answer and are handed out as they are
 * wanted. Each is handed out once, and soon: it keeps nearly all of its life.
 *
 * All of it under the hub's lock.
 */
#ifndef PAS_FRONTEND_MINTS_H
#define PAS_FRONTEND_MINTS_H

#include "ipc/messages.h"

#define PAS_FE_MINT_MAX 256    /* bytes of one as it is handed out */
#define PAS_FE_MINT_BUSY_MS 10 /* load: one after the other is wanted within this */

struct pas_fe_mints {
    uint64_t fresh_ms;  /* how long they may be kept */
    uint64_t since_ms;  /* when those that are kept came */
    uint64_t wanted_ms; /* when one was wanted last */
    unsigned streak;    /* how many were wanted in quick succession */
    size_t len;
    struct {
        size_t len;
        uint8_t body[PAS_FE_MINT_MAX];
    } kept[PAS_MINTS_MAX];
};

/** @p life_s: a challenge's life. */
void pas_fe_mints_init(struct pas_fe_mints *mints, int64_t life_s);
/** Whoever minted them is gone: forget all. */
void pas_fe_mints_forget(struct pas_fe_mints *mints);
/** One is wanted at @p now_ms: a kept one, borrowed until the next call, or an empty span. */
struct bh_span pas_fe_mints_take(struct pas_fe_mints *mints, uint64_t now_ms);
/** None was kept: how many to ask for, 1 or PAS_MINTS_MAX. */
uint8_t pas_fe_mints_ask(const struct pas_fe_mints *mints);
/** Those that came at @p now_ms, a line each: returns the first and keeps the others. */
struct bh_span pas_fe_mints_keep(struct pas_fe_mints *mints, struct bh_span lines, uint64_t now_ms);

#endif
