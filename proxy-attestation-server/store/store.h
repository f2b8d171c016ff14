/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way to durable state: issued certificates, spent challenges, refusals, endorsed keys,
 * policy versions and the secrets that replicas share. Nothing here names a database; SQLite stands
 * behind it (sqlite.c).
 *
 * Group commit: pas_store_begin(), any number of puts, pas_store_commit(). What was put is durable
 * when commit returns BH_OK and gone otherwise. After a failure (a full disk: BH_ERR_IO) the store
 * goes on working as soon as the cause is gone. The cost of a put or a lookup does not depend on
 * how much is stored.
 *
 * Single-threaded. Failures fill the diag with check "store" unless a function says otherwise.
 */
#ifndef PAS_STORE_H
#define PAS_STORE_H

#include "core/err.h"
#include "core/limits.h"

#define PAS_STORE_SERIAL_LEN 16
#define PAS_STORE_HASH_LEN 32
#define PAS_STORE_REFUSALS_MAX 100000 /* refusals kept; the oldest make room */
#define PAS_STORE_SPENT_KEEP 3600     /* seconds that a spent challenge is kept past its expiry */

struct pas_store;

/* ---- the store as a whole ---- */

/**
 * Make @p store_dir (0700, when it is missing) and an empty state.db (0600) in it. BH_ERR_IO, check
 * "store", when there is one already, whatever it holds.
 */
BH_MUST_USE enum bh_err pas_store_create(const char *store_dir, struct bh_diag *diag);
/**
 * Examine the store without changing it: present, ours, of this version, sound. Works beside a
 * running server. The check is "store.missing", "store.foreign", "store.version", "store.corrupt"
 * or "store".
 */
BH_MUST_USE enum bh_err pas_store_check(const char *store_dir, struct bh_diag *diag);
/** Open what pas_store_create() made; never makes or converts. Refuses with the checks of
 * pas_store_check(), but does not read the whole store to find corruption. pas_store_close()
 * closes. */
BH_MUST_USE enum bh_err pas_store_open(
    const char *store_dir, struct pas_store **ret_store, struct bh_diag *diag);
void pas_store_close(struct pas_store *store);
/** Readiness: the store can be read, and no transaction has failed since one with a certificate was
 * committed. After a failed one, tries to write as much as a large record. */
BH_MUST_USE enum bh_err pas_store_usable(struct pas_store *store, struct bh_diag *diag);

/* ---- transactions ---- */

/** Start a transaction; there is one at a time. */
BH_MUST_USE enum bh_err pas_store_begin(struct pas_store *store, struct bh_diag *diag);
/** Make everything that was put durable. When anything failed since begin, undoes all of it and
 * returns that failure. */
BH_MUST_USE enum bh_err pas_store_commit(struct pas_store *store, struct bh_diag *diag);
/** Undo everything since begin; without a transaction, nothing. */
void pas_store_rollback(struct pas_store *store);

/* ---- certificates ---- */

/** One issued certificate. Spans are borrowed from whoever fills it. */
struct pas_cert_record {
    uint8_t serial[PAS_STORE_SERIAL_LEN];
    struct bh_span workload;
    struct bh_span platform;
    int64_t not_before, not_after, issued_at;
    bool simulated;
    struct bh_span der;
    uint8_t ear_digest[PAS_STORE_HASH_LEN]; /* SHA-256 of the signed EAR */
    struct bh_span evidence;                /* the CMW as it came */
    struct bh_span hardware_id;
    uint8_t policy_digest[PAS_STORE_HASH_LEN];
    struct bh_span peer;
};

/** Put a certificate; a serial that is stored already fails the transaction. */
BH_MUST_USE enum bh_err pas_store_put_certificate(
    struct pas_store *store, const struct pas_cert_record *c, struct bh_diag *diag);
/**
 * Find one by serial. BH_ERR_NOT_FOUND, check "certificate.serial". The spans point into @p
 * ret_storage, which the caller frees.
 */
BH_MUST_USE enum bh_err pas_store_certificate(struct pas_store *store,
    const uint8_t serial[PAS_STORE_SERIAL_LEN], struct pas_cert_record *ret_c, void **ret_storage,
    struct bh_diag *diag);

/* ---- spent challenges ---- */

/**
 * Spend a challenge, once for all replicas: @p hash is its SHA-256, @p expires_at the expiry that
 * its MAC covers. BH_ERR_CHALLENGE_USED, check "challenge.single_use", when it is spent already;
 * the transaction stays good then.
 */
BH_MUST_USE enum bh_err pas_store_spend(struct pas_store *store, int64_t expires_at,
    const uint8_t hash[PAS_STORE_HASH_LEN], struct bh_diag *diag);

/* ---- refusals ---- */

struct pas_refusal_record {
    int64_t at;
    struct bh_span code; /* "binding-mismatch" */
    struct bh_span check, expected, found, detail;
    struct bh_span workload, platform, peer, request_id;
};

BH_MUST_USE enum bh_err pas_store_put_refusal(
    struct pas_store *store, const struct pas_refusal_record *r, struct bh_diag *diag);

/* ---- endorsed keys ---- */

/** Copy the endorsement stored under @p key to @p out. BH_ERR_ENDORSEMENT_UNKNOWN, check
 * "endorsement". */
BH_MUST_USE enum bh_err pas_store_endorsement(struct pas_store *store,
    const uint8_t key[PAS_STORE_HASH_LEN], uint8_t *out, size_t cap, size_t *ret_len,
    struct bh_diag *diag);
/**
 * Replace all endorsements, inside a transaction: start, put each, finish. What was not put again
 * is gone after the commit. The same key twice with different values is BH_ERR_USAGE, check
 * "endorsed.duplicate", and fails the transaction.
 */
BH_MUST_USE enum bh_err pas_store_endorse_start(struct pas_store *store, struct bh_diag *diag);
BH_MUST_USE enum bh_err pas_store_endorse(struct pas_store *store,
    const uint8_t key[PAS_STORE_HASH_LEN], struct bh_span value, struct bh_diag *diag);
/** @p source: a digest of what was imported, for pas_store_endorsed(). */
BH_MUST_USE enum bh_err pas_store_endorse_finish(
    struct pas_store *store, const uint8_t source[PAS_STORE_HASH_LEN], struct bh_diag *diag);
/** The digest of the last import (all zero before the first), so that an unchanged folder need not
 * be imported again, and the number of its keys. */
BH_MUST_USE enum bh_err pas_store_endorsed(struct pas_store *store,
    uint8_t ret_source[PAS_STORE_HASH_LEN], int64_t *ret_count, struct bh_diag *diag);

/* ---- policies ---- */

/** Record a version of a policy, unless it is recorded. @p canonical: RFC 8785 text. */
BH_MUST_USE enum bh_err pas_store_put_policy(struct pas_store *store,
    const uint8_t digest[PAS_STORE_HASH_LEN], const char *workload, const char *canonical,
    int64_t now, struct bh_diag *diag);
/** The text of a version, malloc'ed. BH_ERR_NOT_FOUND, check "policy.digest". */
BH_MUST_USE enum bh_err pas_store_policy(struct pas_store *store,
    const uint8_t digest[PAS_STORE_HASH_LEN], char **ret_canonical, struct bh_diag *diag);

/* ---- secrets ---- */

/** A secret of @p len bytes that is made by random at the first call and the same for every replica
 * ever after. Outside a transaction. A stored one of another length is BH_ERR_IO. */
BH_MUST_USE enum bh_err pas_store_secret(
    struct pas_store *store, const char *name, uint8_t *out, size_t len, struct bh_diag *diag);
/** The latest expiry among spent challenges whose records were dropped: nothing is known of those
 * that expire no later. It lies ahead of the clock only when that went back. */
int64_t pas_store_forgotten(const struct pas_store *store);
/** Replace the secret that makes challenges: those of before are worth nothing, so that nothing has
 * to be known of them. */
BH_MUST_USE enum bh_err pas_store_secret_renew(
    struct pas_store *store, const char *name, uint8_t *out, size_t len, struct bh_diag *diag);

/* ---- upkeep ---- */

struct pas_store_stats {
    int64_t certificates; /* an upper bound, from the ends of the table */
    int64_t refusals;     /* likewise */
    int64_t endorsed;
};
BH_MUST_USE enum bh_err pas_store_stats(
    struct pas_store *store, struct pas_store_stats *ret_stats, struct bh_diag *diag);

/**
 * One bounded step of clean-up in a transaction of its own, for a timer: at most about @p rows of
 * each of certificates and refusals that ended more than @p retention seconds ago, the oldest first
 * (a certificate may stay as long as older ones live), challenges that
 * expired more than PAS_STORE_SPENT_KEEP ago (a challenge that expires no later than one of those
 * counts as spent from then on, whatever the clock does), and refusals beyond
 * PAS_STORE_REFUSALS_MAX. @p ret_more: call again soon.
 */
BH_MUST_USE enum bh_err pas_store_clean(struct pas_store *store, int64_t now, int64_t retention,
    unsigned rows, bool *ret_more, struct bh_diag *diag);

#endif
