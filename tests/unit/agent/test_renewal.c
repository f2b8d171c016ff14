/* SPDX-License-Identifier: Apache-2.0 */
#include "isolate-agent/proxy/renewal.h"

#include "core/span.h"

#include <criterion/criterion.h>

#define T0 INT64_C(1800000000000)
#define HOUR (INT64_C(3600) * 1000)

Test(renewal, first)
{
    struct agent_renewal s = {0};

    const struct agent_decision d = agent_renewal_decide(&s, T0);
    cr_expect(d.enrol);
    cr_expect_not(d.serve);
    cr_expect_gt(d.at, T0);
}

/* Between 60% and two thirds of the life that was left, whatever notBefore says. */
Test(renewal, two_thirds_jittered)
{
    static const uint32_t jitters[] = {0, 500, 999, 123456789, UINT32_MAX};

    for (size_t i = 0; i < BH_COUNT(jitters); i++) {
        struct agent_renewal s = {0};
        agent_renewal_succeeded(&s, T0, T0 - 12 * HOUR, T0 + 3 * HOUR, jitters[i]);
        cr_expect(agent_renewal_decide(&s, T0).serve);
        cr_expect_not(agent_renewal_decide(&s, T0).enrol);
        cr_expect_not(agent_renewal_decide(&s, T0 + 3 * HOUR * 6 / 10 - 1).enrol);
        cr_expect(agent_renewal_decide(&s, T0 + 2 * HOUR).enrol);
        cr_expect(agent_renewal_decide(&s, T0 + 2 * HOUR).serve);
    }
    struct agent_renewal a = {0}, b = {0};
    agent_renewal_succeeded(&a, T0, T0, T0 + 3 * HOUR, 0);
    agent_renewal_succeeded(&b, T0, T0, T0 + 3 * HOUR, 900);
    cr_expect_not(agent_renewal_decide(&a, T0 + 2 * HOUR - 60000).enrol);
    cr_expect(agent_renewal_decide(&b, T0 + 2 * HOUR - 60000).enrol, "the jitter does nothing");
}

Test(renewal, failures_do_not_stop_serving)
{
    struct agent_renewal s = {0};
    int64_t now = T0 + 2 * HOUR;
    unsigned tries = 0;

    agent_renewal_succeeded(&s, T0, T0, T0 + 3 * HOUR, 0);
    for (; now < T0 + 3 * HOUR; tries++) {
        const struct agent_decision d = agent_renewal_decide(&s, now);
        cr_assert(d.serve);
        if (d.enrol)
            agent_renewal_failed(&s, now, tries * 77);
        now = agent_renewal_decide(&s, now).at;
    }
    cr_expect_gt(s.failures, 60, "%u tries in an hour", s.failures);
    cr_expect_lt(s.failures, 200, "%u tries in an hour", s.failures);
    cr_expect_not(agent_renewal_decide(&s, T0 + 3 * HOUR).serve);
}

Test(renewal, after_expiry_it_goes_on)
{
    struct agent_renewal s = {0};
    struct agent_decision d;

    agent_renewal_succeeded(&s, T0, T0, T0 + HOUR, 0);
    for (int i = 0; i < 40; i++)
        agent_renewal_failed(&s, T0 + 2 * HOUR, UINT32_MAX);
    d = agent_renewal_decide(&s, T0 + 2 * HOUR + 1);
    cr_expect_not(d.serve);
    cr_expect_not(d.enrol);
    d = agent_renewal_decide(&s, T0 + 2 * HOUR + 60000);
    cr_expect(d.enrol, "a failed agent must try again within a minute, for ever");
    agent_renewal_succeeded(&s, T0 + 3 * HOUR, T0 + 3 * HOUR, T0 + 4 * HOUR, 0);
    cr_expect_eq(s.failures, 0);
    cr_expect(agent_renewal_decide(&s, T0 + 3 * HOUR).serve);
}

Test(renewal, pauses_double)
{
    int64_t before = 0;

    for (unsigned n = 1; n <= 7; n++) {
        struct agent_renewal s = {.failures = n - 1};
        agent_renewal_failed(&s, T0, 999);
        int64_t at = T0;
        while (!agent_renewal_decide(&s, at).enrol)
            at += 10;
        cr_expect_gt(at - T0, before, "failure %u", n);
        cr_expect_leq(at - T0, 60000);
        before = at - T0;
    }
}

/* A certificate of ten seconds gets several tries before it ends. */
Test(renewal, short_lives)
{
    struct agent_renewal s = {0};
    int64_t now = T0;
    unsigned tries = 0;

    agent_renewal_succeeded(&s, T0, T0 - 60000, T0 + 10000, 0);
    while (agent_renewal_decide(&s, now).serve) {
        if (agent_renewal_decide(&s, now).enrol) {
            agent_renewal_failed(&s, now, 500);
            tries++;
        }
        now += 50;
    }
    cr_expect_geq(tries, 3);
}

Test(renewal, forced)
{
    struct agent_renewal s = {0};

    agent_renewal_succeeded(&s, T0, T0, T0 + HOUR, 0);
    s.forced = true;
    cr_expect(agent_renewal_decide(&s, T0 + 1).enrol);
    cr_expect(agent_renewal_decide(&s, T0 + 1).serve);
    agent_renewal_failed(&s, T0 + 1, 0);
    cr_expect_not(s.forced);
    agent_renewal_succeeded(&s, T0 + 2, T0, T0 + HOUR, 0);
    cr_expect_not(agent_renewal_decide(&s, T0 + 3).enrol);
}

/* The clock is set, both ways; the machine sleeps. */
Test(renewal, clocks)
{
    struct agent_renewal s = {0};

    agent_renewal_succeeded(&s, T0, T0 - 60000, T0 + HOUR, 0);
    cr_expect_not(agent_renewal_decide(&s, T0 - 60001).serve);
    cr_expect(agent_renewal_decide(&s, T0 - 60001).enrol);
    cr_expect_not(agent_renewal_decide(&s, T0 + 100 * HOUR).serve);
    cr_expect(agent_renewal_decide(&s, T0 + 100 * HOUR).enrol);
    agent_renewal_failed(&s, T0 + 100 * HOUR, 0);
    cr_expect(agent_renewal_decide(&s, T0 + 50 * HOUR).enrol, "the pause would last 50 hours");
    cr_expect_leq(agent_renewal_decide(&s, T0).at, T0 + 5000);
}
