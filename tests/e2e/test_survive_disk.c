/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk under the store: tests/chaos in short. */
#include "chaos/survive.h"

Test(survive_disk, that_is_full, .timeout = 120)
{
    survive(chaos_full_disk, "full-disk", 1);
}
