/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct ev_chain_cache, for the formats that have certificate chains.
 *
 * A path's hash covers every byte of every certificate from the anchor down, so that a hit says:
 * the signatures of exactly this path were verified. Names, constraints and validity of the path
 * are cheap and are checked each time by who asks.
 */
#ifndef EV_CHAIN_CACHE_H
#define EV_CHAIN_CACHE_H

#include "evidence.h"

#define EV_PATH_HASH_LEN 32

/** @p path becomes the hash of the path it stood for, continued by @p cert (DER). Begin with
 * zeros and the anchor. */
BH_MUST_USE enum bh_err ev_chain_path(uint8_t path[EV_PATH_HASH_LEN], struct bh_span cert);

/** The public key of the last certificate of a verified path, as a new reference; NULL when it is
 * not known, or not valid any more at @p now. @p cache may be NULL. */
EVP_PKEY *ev_chain_cache_get(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now);

/** Remember a verified path until @p not_after, the earliest one of its certificates; takes a
 * reference of its own to @p key. @p cache may be NULL. */
void ev_chain_cache_put(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN],
    EVP_PKEY *key, int64_t not_after);

/** For formats that need no key of a path, or remember that a document was signed by its last
 * certificate: whether it was remembered, and remembering it. What is remembered so has no key for
 * ev_chain_cache_get(). @p cache may be NULL. */
bool ev_chain_cache_knows(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now);
void ev_chain_cache_remember(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t not_after);

/** And what was concluded from what a path stands for: up to EV_CONCLUSION_MAX bytes, borrowed
 * until the next call with this cache; empty when there is none. */
#define EV_CONCLUSION_MAX 4096
struct bh_span ev_chain_cache_conclusion(
    struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN], int64_t now);
/** Remember a copy of it. @p cache may be NULL. */
void ev_chain_cache_conclude(struct ev_chain_cache *cache, const uint8_t path[EV_PATH_HASH_LEN],
    struct bh_span conclusion, int64_t not_after);

#endif
