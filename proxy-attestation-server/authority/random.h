/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes for challenges and serials. */
#ifndef PAS_RANDOM_H
#define PAS_RANDOM_H

#include "core/err.h"

/**
 * @p len bytes (at most 64) of OpenSSL's generator, drawn for many uses at once: one call of it
 * costs as much as a challenge's MAC. No byte is given out twice; those that wait are in the
 * memory of this process alone, which never forks. BH_ERR_INTERNAL.
 */
BH_MUST_USE enum bh_err pas_random(void *out, size_t len);

#endif
