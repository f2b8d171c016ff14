/* SPDX-License-Identifier: Apache-2.0 */
#include "mints.h"

#include "core/x509.h"

#define LIFE_PART 20 /* kept for a twentieth of its life at most */
#define FRESH_MAX_MS 500
#define GIVEN_UP_MS 1000

void
pas_fe_mints_init(struct pas_fe_mints *mints, int64_t life_s)
{
    const uint64_t part = (uint64_t)life_s * 1000 / LIFE_PART;

    *mints = (struct pas_fe_mints){.fresh_ms = part < FRESH_MAX_MS ? part : FRESH_MAX_MS};
}

void
pas_fe_mints_forget(struct pas_fe_mints *mints)
{
    mints->asked_len = 0;
    mints->kept_len = 0;
}

struct bh_span
pas_fe_mints_take(struct pas_fe_mints *mints, uint64_t now_ms)
{
    while (mints->kept_len > 0) {
        const size_t last = --mints->kept_len;

        if (now_ms - mints->kept[last].since_ms <= mints->fresh_ms)
            return bh_span(mints->kept[last].body, mints->kept[last].len);
    }
    return bh_span_none();
}

size_t
pas_fe_mints_ask(struct pas_fe_mints *mints, uint64_t now_ms)
{
    if (now_ms - mints->wanted_ms > PAS_FE_MINT_BUSY_MS)
        mints->streak = 0;
    else if (mints->streak < PAS_FE_MINTS)
        mints->streak++;
    mints->wanted_ms = now_ms;
    if (mints->asked_len > 0 && now_ms - mints->asked_ms > GIVEN_UP_MS)
        mints->asked_len = 0;
    if (mints->streak < PAS_FE_MINTS || mints->kept_len > PAS_FE_MINTS_LOW ||
        mints->asked_len > 0 || bh_random(mints->asked, sizeof(mints->asked)) != BH_OK)
        return 0;
    mints->asked_len = PAS_FE_MINTS;
    mints->asked_ms = now_ms;
    return PAS_FE_MINTS;
}

bool
pas_fe_mints_answer(
    struct pas_fe_mints *mints, uint64_t id, const struct pas_answer *answer, uint64_t now_ms)
{
    size_t i = 0;

    while (i < mints->asked_len && mints->asked[i] != id)
        i++;
    if (i == mints->asked_len)
        return false;
    mints->asked[i] = mints->asked[--mints->asked_len];
    /* A refusal is of no use: who wants one asks for himself, and is told. */
    if (answer->status == 201 && answer->body.len > 0 && answer->body.len <= PAS_FE_MINT_MAX &&
        mints->kept_len < PAS_FE_MINTS_KEPT) {
        mints->kept[mints->kept_len].since_ms = now_ms;
        mints->kept[mints->kept_len].len = answer->body.len;
        memcpy(mints->kept[mints->kept_len].body, answer->body.ptr, answer->body.len);
        mints->kept_len++;
    }
    return true;
}
