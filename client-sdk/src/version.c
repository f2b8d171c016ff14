/* SPDX-License-Identifier: Apache-2.0 */
#include "beachhead/failure.h"

const char *
bh_version(void)
{
    return BH_VERSION;
}
