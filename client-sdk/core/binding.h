/* SPDX-License-Identifier: Apache-2.0 */
/* The key binding: one hash that ties evidence to a challenge, a key and a context. */
#ifndef BH_BINDING_H
#define BH_BINDING_H

#include "err.h"
#include "limits.h"

/**
 * SHA-512("beachhead.binding.v1" || 0 || len32 challenge || len32 spki || len32 context).
 * @p context is 0 to BH_CONTEXT_MAX bytes; longer is BH_ERR_TOO_LARGE.
 */
BH_MUST_USE enum bh_err bh_binding(struct bh_span challenge, struct bh_span spki,
    struct bh_span context, uint8_t out[BH_BINDING_LEN]);

#endif
