/* SPDX-License-Identifier: Apache-2.0 */
/* Ten thousand idle connections, against the release programs where there are any. */
#include "chaos/survive.h"

Test(survive_idle, crowd, .timeout = 280)
{
    survive_release(chaos_idle_crowd, "idle-crowd", 2);
}
