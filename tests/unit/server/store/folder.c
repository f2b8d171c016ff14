/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
folder_make(char out[256])
{
    const char *tmp = getenv("TMPDIR");
    struct bh_diag diag = {0};

    (void)snprintf(out, 256, "%s/beachhead-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(out));
    cr_assert_eq(pas_store_create(folder_store(out), &diag), BH_OK, "%s", diag.detail);
}

void
folder_remove(const char *folder)
{
    DIR *d = opendir(folder_store(folder));
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL)
        (void)unlink(folder_file(folder, entry->d_name));
    if (d != NULL)
        (void)closedir(d);
    (void)rmdir(folder_store(folder));
    (void)rmdir(folder);
}

const char *
folder_store(const char *folder)
{
    static char path[300];

    (void)snprintf(path, sizeof(path), "%s/store", folder);
    return path;
}

const char *
folder_file(const char *folder, const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof(path), "%s/store/%s", folder, name);
    return path;
}

static void
number(uint8_t *out, size_t len, uint32_t n)
{
    memset(out, 0x5a, len);
    for (size_t i = 0; i < 4; i++)
        out[len - 1 - i] = (uint8_t)(n >> (8 * i));
}

const uint8_t *
hash_of(uint32_t n)
{
    static uint8_t hash[PAS_STORE_HASH_LEN];

    number(hash, sizeof(hash), n);
    return hash;
}

struct pas_cert_record
record_of(uint32_t n, int64_t now)
{
    static uint8_t der[900], evidence[700];
    struct pas_cert_record c = {
        .workload = bh_span_str("payments"),
        .platform = bh_span_str("psa"),
        .not_before = now - 60,
        .not_after = now + 3600,
        .issued_at = now,
        .simulated = true,
        .der = bh_span(der, sizeof(der)),
        .evidence = bh_span(evidence, sizeof(evidence)),
        .hardware_id = bh_span_str("instance"),
        .peer = bh_span_str("192.0.2.1"),
    };

    memset(der, 0xd1, sizeof(der));
    memset(evidence, 0xe1, sizeof(evidence));
    number(c.serial, sizeof(c.serial), n);
    memset(c.ear_digest, 0xea, sizeof(c.ear_digest));
    memset(c.policy_digest, 0xb0, sizeof(c.policy_digest));
    return c;
}

enum bh_err
put_one(struct pas_store *store, uint32_t n, int64_t now, struct bh_diag *diag)
{
    const struct pas_cert_record c = record_of(n, now);
    enum bh_err e, put;

    if ((e = pas_store_begin(store, diag)) != BH_OK)
        return e;
    if ((put = pas_store_spend(store, now + 120, hash_of(n), diag)) == BH_OK)
        put = pas_store_put_certificate(store, &c, diag);
    e = pas_store_commit(store, diag);
    return put != BH_OK ? put : e;
}

enum bh_err
try_to_spend(struct pas_store *store, int64_t expires_at, const uint8_t *hash, struct bh_diag *diag)
{
    enum bh_err e = pas_store_begin(store, diag);

    if (e == BH_OK)
        e = pas_store_spend(store, expires_at, hash, diag);
    pas_store_rollback(store);
    return e;
}
