/* SPDX-License-Identifier: Apache-2.0 */
#include "mints.h"

#define LIFE_PART 20 /* kept for a twentieth of its life at most */
#define FRESH_MAX_MS 500

void
pas_fe_mints_init(struct pas_fe_mints *mints, int64_t life_s)
{
    const uint64_t part = (uint64_t)life_s * 1000 / LIFE_PART;

    *mints = (struct pas_fe_mints){.fresh_ms = part < FRESH_MAX_MS ? part : FRESH_MAX_MS};
}

void
pas_fe_mints_forget(struct pas_fe_mints *mints)
{
    mints->len = 0;
}

struct bh_span
pas_fe_mints_take(struct pas_fe_mints *mints, uint64_t now_ms)
{
    if (now_ms - mints->wanted_ms > PAS_FE_MINT_BUSY_MS)
        mints->streak = 0;
    else if (mints->streak < PAS_MINTS_MAX)
        mints->streak++;
    mints->wanted_ms = now_ms;
    if (now_ms - mints->since_ms > mints->fresh_ms)
        mints->len = 0;
    if (mints->len == 0)
        return bh_span_none();
    mints->len--;
    return bh_span(mints->kept[mints->len].body, mints->kept[mints->len].len);
}

uint8_t
pas_fe_mints_ask(const struct pas_fe_mints *mints)
{
    return mints->streak == PAS_MINTS_MAX ? PAS_MINTS_MAX : 1;
}

static struct bh_span
next_line(struct bh_span *lines)
{
    const uint8_t *end = lines->len > 0 ? memchr(lines->ptr, '\n', lines->len) : NULL;
    const struct bh_span all = *lines;

    if (end == NULL) {
        *lines = bh_span_none();
        return all;
    }
    const size_t len = (size_t)(end - all.ptr);
    *lines = bh_span(end + 1, all.len - len - 1);
    return bh_span(all.ptr, len);
}

struct bh_span
pas_fe_mints_keep(struct pas_fe_mints *mints, struct bh_span lines, uint64_t now_ms)
{
    const struct bh_span first = next_line(&lines);

    /* When answers cross, the first one says for all how long they are kept. */
    if (lines.len > 0 && mints->len == 0)
        mints->since_ms = now_ms;
    while (lines.len > 0 && mints->len < PAS_MINTS_MAX) {
        const struct bh_span one = next_line(&lines);

        if (one.len == 0 || one.len > PAS_FE_MINT_MAX)
            break;
        memcpy(mints->kept[mints->len].body, one.ptr, one.len);
        mints->kept[mints->len].len = one.len;
        mints->len++;
    }
    return first;
}
