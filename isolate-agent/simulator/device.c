/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

const char *const *
agent_simulator_platforms(void)
{
    static const char *const names[] = {"aws-nitro", "arm-cca", "psa", NULL};

    return names;
}
