/* SPDX-License-Identifier: Apache-2.0 */
#include "renewal.h"

#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000
/* Clocks are set and machines sleep: look at the time at least so often. */
#define LOOK_EVERY_MS 5000

static int64_t
lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Between nine tenths of two thirds of the life, and two thirds. */
static int64_t
renew_at(const struct agent_renewal *s)
{
    const int64_t two_thirds = (s->not_after - s->obtained) * 2 / 3;

    return s->obtained + two_thirds - two_thirds / 10 * (s->jitter % 1000) / 1000;
}

/* Doubling from a second to a minute, never more than an eighth of the life that is left, so that a
 * short-lived certificate gets its tries too; from half of that to the whole. */
static int64_t
pause_after(const struct agent_renewal *s)
{
    int64_t pause = LONGEST_PAUSE_MS;

    if (s->failures <= 6)
        pause = lesser(pause, (int64_t)FIRST_PAUSE_MS << (s->failures - 1));
    if (s->not_after > s->failed_at)
        pause = lesser(pause, (s->not_after - s->failed_at) / 8);
    if (pause < FIRST_PAUSE_MS)
        pause = FIRST_PAUSE_MS;
    return pause / 2 + pause / 2 * (s->jitter % 1000) / 1000;
}

struct agent_decision
agent_renewal_decide(const struct agent_renewal *s, int64_t now)
{
    const bool held = s->not_after != 0;
    struct agent_decision d = {.serve = held && now >= s->not_before && now < s->not_after};
    int64_t due = held ? renew_at(s) : now;

    /* The clock was set back to before the certificate: another one is needed. */
    if (s->forced || !d.serve)
        due = now;
    if (s->failures > 0 && due < s->failed_at + pause_after(s))
        due = s->failed_at + pause_after(s);
    /* It was set back to before the failure: its pause would last for ever. */
    if (s->failures > 0 && now < s->failed_at)
        due = now;
    d.enrol = now >= due;
    d.at = d.enrol ? now + LOOK_EVERY_MS : lesser(due, now + LOOK_EVERY_MS);
    if (d.serve)
        d.at = lesser(d.at, s->not_after);
    return d;
}

void
agent_renewal_succeeded(
    struct agent_renewal *s, int64_t now, int64_t not_before, int64_t not_after, uint32_t random)
{
    *s = (struct agent_renewal){
        .obtained = now, .not_before = not_before, .not_after = not_after, .jitter = random};
}

void
agent_renewal_failed(struct agent_renewal *s, int64_t now, uint32_t random)
{
    s->failures++;
    s->failed_at = now;
    s->jitter = random;
    s->forced = false;
}
