/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges: made without a write, checked by any replica that has the key, opaque to everybody
 * else.
 *
 *     version u8 = 1 | key id 5 | expiry u64, Unix seconds | random 16 | HMAC-SHA-256 of all
 * before, 32
 */
#ifndef PAS_CHALLENGE_H
#define PAS_CHALLENGE_H

#include "core/err.h"
#include "core/limits.h"

#include <openssl/evp.h>

#define PAS_CHALLENGE_KEY_LEN 32
#define PAS_CHALLENGE_KEY_ID_LEN 5

struct pas_challenges { /* private; use the functions */
    uint8_t key_id[PAS_CHALLENGE_KEY_ID_LEN];
    EVP_MAC_CTX *mac;
};

/** Take the key that the replicas share; not kept beyond OpenSSL's own copy. pas_challenges_clear()
 * frees. */
BH_MUST_USE enum bh_err pas_challenges_init(
    struct pas_challenges *c, const uint8_t key[PAS_CHALLENGE_KEY_LEN], struct bh_diag *diag);
void pas_challenges_clear(struct pas_challenges *c);

/** A new challenge that expires @p life seconds after @p now. */
BH_MUST_USE enum bh_err pas_challenge_mint(struct pas_challenges *c, int64_t now, int64_t life,
    uint8_t out[BH_CHALLENGE_LEN], struct bh_diag *diag);

/**
 * Check form, MAC and expiry; nothing about single use. BH_ERR_CHALLENGE_INVALID with check
 * "challenge.form" (length, version) or "challenge.mac" (another server's, or altered);
 * BH_ERR_CHALLENGE_EXPIRED, "challenge.expiry".
 */
BH_MUST_USE enum bh_err pas_challenge_check(struct pas_challenges *c, struct bh_span challenge,
    int64_t now, int64_t *ret_expires_at, struct bh_diag *diag);

#endif
