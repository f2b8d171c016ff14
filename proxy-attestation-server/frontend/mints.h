/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges asked for ahead. Under load a challenge costs more in messages and wake-ups than in
 * work, so while many are wanted the next ones are asked for in one go and handed out as they are
 * wanted. Each is handed out once, and soon: it keeps nearly all of its life.
 *
 * All of it under the hub's lock.
 */
#ifndef PAS_FRONTEND_MINTS_H
#define PAS_FRONTEND_MINTS_H

#include "ipc/messages.h"

#define PAS_FE_MINTS 8     /* asked for at once */
#define PAS_FE_MINTS_LOW 4 /* asked for when no more than so many are left */
#define PAS_FE_MINTS_KEPT (PAS_FE_MINTS + PAS_FE_MINTS_LOW)
#define PAS_FE_MINT_MAX 256    /* bytes of an answer */
#define PAS_FE_MINT_BUSY_MS 10 /* load: one after the other is wanted within this */

struct pas_fe_mints {
    uint64_t fresh_ms;  /* how long one may be kept */
    uint64_t wanted_ms; /* when one was wanted last */
    unsigned streak;    /* how many were wanted in quick succession */
    size_t asked_len;
    uint64_t asked[PAS_FE_MINTS];
    uint64_t asked_ms;
    size_t kept_len;
    struct {
        uint64_t since_ms;
        size_t len;
        uint8_t body[PAS_FE_MINT_MAX];
    } kept[PAS_FE_MINTS_KEPT];
};

/** @p life_s: a challenge's life. */
void pas_fe_mints_init(struct pas_fe_mints *mints, int64_t life_s);
/** Whoever minted them is gone: forget all. */
void pas_fe_mints_forget(struct pas_fe_mints *mints);
/** Returns one that is fresh at @p now_ms, borrowed until the next call, or an empty span. */
struct bh_span pas_fe_mints_take(struct pas_fe_mints *mints, uint64_t now_ms);
/**
 * One was wanted at @p now_ms. How many to ask for now: 0, or PAS_FE_MINTS, whose ids are then
 * mints->asked. What was asked for and did not come within a second is given up.
 */
size_t pas_fe_mints_ask(struct pas_fe_mints *mints, uint64_t now_ms);
/** An ANSWER under @p id. False when it is for none that was asked for ahead. */
bool pas_fe_mints_answer(
    struct pas_fe_mints *mints, uint64_t id, const struct pas_answer *answer, uint64_t now_ms);

#endif
