/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a temporary folder, and records to put into it. */
#ifndef TEST_STORE_FOLDER_H
#define TEST_STORE_FOLDER_H

#include "store/store.h"

/** Make a temporary folder with a new store in its "store". Aborts the test on failure. */
void folder_make(char out[256]);
/** Remove it with all that is in it. */
void folder_remove(const char *folder);
/** "FOLDER/store" and "FOLDER/store/NAME". */
const char *folder_store(const char *folder);
const char *folder_file(const char *folder, const char *name);
/** A certificate record whose serial ends in @p n. Its spans are static. */
struct pas_cert_record record_of(uint32_t n, int64_t now);
/** Put one certificate with its spent challenge in a transaction of its own. */
enum bh_err put_one(struct pas_store *store, uint32_t n, int64_t now, struct bh_diag *diag);
/** SHA-256 stand-in: 32 bytes that end in @p n. */
const uint8_t *hash_of(uint32_t n);
/** What pas_store_spend() says, in a transaction that is undone. */
enum bh_err try_to_spend(
    struct pas_store *store, int64_t expires_at, const uint8_t *hash, struct bh_diag *diag);

#endif
