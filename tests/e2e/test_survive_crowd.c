/* SPDX-License-Identifier: Apache-2.0 */
/* Crowds of idle, slow and rude clients, and of refused ones: tests/chaos in short. */
#include "chaos/survive.h"

Test(survive_crowd, that_is_slow, .timeout = 120)
{
    survive(chaos_slow_crowd, "slow-crowd", 2);
}

Test(survive_crowd, that_is_rude, .timeout = 120)
{
    survive(chaos_rude_crowd, "rude-crowd", 1);
}

Test(survive_crowd, beyond_the_limit, .timeout = 120)
{
    survive(chaos_evict, "evict", 2);
}

Test(survive_crowd, that_is_refused, .timeout = 120)
{
    survive(chaos_refusals, "refusals", 3);
}
