/* SPDX-License-Identifier: Apache-2.0 */
/* Killed, and stopped, under load: tests/chaos in short. */
#include "chaos/survive.h"

Test(survive_kill, of_the_whole_server, .timeout = 120)
{
    survive(chaos_kill_all, "kill-all", 1);
}

Test(survive_kill, of_one_process, .timeout = 120)
{
    survive(chaos_kill_one, "kill-one", 1);
}

Test(survive_kill, of_verifiers_again_and_again, .timeout = 120)
{
    survive(chaos_crash_loop, "crash-loop", 2);
}

Test(survive_kill, a_stopped_process, .timeout = 120)
{
    survive(chaos_stall, "stall", 1);
}
