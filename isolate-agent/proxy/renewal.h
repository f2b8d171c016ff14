/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to enrol again: a pure function of what happened and of the time.
 *
 * A certificate is renewed at a jittered two thirds of the life that it had left when it was
 * obtained (its notBefore is backdated, so it does not count). A failure is tried again after a
 * doubling, jittered pause. A certificate is served until it expires, whatever becomes of renewals.
 */
#ifndef AGENT_RENEWAL_H
#define AGENT_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

/** What happened so far; all zero before the first enrolment. Times are Unix milliseconds. */
struct agent_renewal {
    int64_t obtained;   /* when the certificate that is held came */
    int64_t not_before; /* its validity; not_after 0: none is held */
    int64_t not_after;
    bool forced;       /* somebody asked for a renewal now */
    unsigned failures; /* in a row, since the last success */
    int64_t failed_at; /* when the last of them happened */
    uint32_t jitter;   /* random; drawn anew after each success and failure */
};

struct agent_decision {
    bool serve; /* the certificate that is held is valid */
    bool enrol; /* begin to enrol now */
    int64_t at; /* when to ask again at the latest */
};

/** What to do at @p now. */
struct agent_decision agent_renewal_decide(const struct agent_renewal *state, int64_t now);

/** Record an outcome: the new certificate's validity, or a failure. */
void agent_renewal_succeeded(struct agent_renewal *state, int64_t now, int64_t not_before,
    int64_t not_after, uint32_t random);
void agent_renewal_failed(struct agent_renewal *state, int64_t now, uint32_t random);

#endif
