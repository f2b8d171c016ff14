/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the store: put, found, cleaned up. */
#include "sqlite.h"

#include "core/text.h"

#include "core/x509.h"

#include <stdlib.h>

#include <openssl/crypto.h>

static const char zero_digest[PAS_STORE_HASH_LEN];

/* ---- certificates ---- */

enum bh_err
pas_store_put_certificate(
    struct pas_store *store, const struct pas_cert_record *c, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_CERTIFICATE];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK)
        return e;
    store->has_certificate = true;
    pas_sql_bind_blob(st, 1, bh_span(c->serial, sizeof(c->serial)));
    pas_sql_bind_text(st, 2, c->workload);
    pas_sql_bind_text(st, 3, c->platform);
    (void)sqlite3_bind_int64(st, 4, c->not_before);
    (void)sqlite3_bind_int64(st, 5, c->not_after);
    (void)sqlite3_bind_int64(st, 6, c->issued_at);
    (void)sqlite3_bind_int(st, 7, c->simulated);
    pas_sql_bind_blob(st, 8, c->der);
    pas_sql_bind_blob(st, 9, bh_span(c->ear_digest, sizeof(c->ear_digest)));
    pas_sql_bind_blob(st, 10, c->evidence);
    pas_sql_bind_blob(st, 11, c->hardware_id);
    pas_sql_bind_blob(st, 12, bh_span(c->policy_digest, sizeof(c->policy_digest)));
    pas_sql_bind_text(st, 13, c->peer);
    return pas_sql_run(store, ST_PUT_CERTIFICATE, "record a certificate", diag);
}

/* Copy column @p at to the end of what was copied before. */
static struct bh_span
keep(sqlite3_stmt *st, int at, uint8_t *storage, size_t *used)
{
    const struct bh_span bytes = pas_sql_column(st, at);
    uint8_t *to = storage + *used;

    if (bytes.len > 0)
        memcpy(to, bytes.ptr, bytes.len);
    *used += bytes.len;
    return bh_span(to, bytes.len);
}

static enum bh_err
copy_certificate(
    sqlite3_stmt *st, struct pas_cert_record *ret_c, void **ret_storage, struct bh_diag *diag)
{
    static const int spans[] = {0, 1, 6, 8, 9, 11};
    const struct bh_span ear = pas_sql_column(st, 7);
    const struct bh_span policy = pas_sql_column(st, 10);
    size_t size = 1, used = 0;
    uint8_t *storage;

    for (size_t i = 0; i < BH_COUNT(spans); i++)
        size += (size_t)sqlite3_column_bytes(st, spans[i]);
    if (ear.len != PAS_STORE_HASH_LEN || policy.len != PAS_STORE_HASH_LEN)
        return bh_refuse(diag, BH_ERR_IO, "store.corrupt", NULL, NULL, "a certificate's digests");
    if ((storage = malloc(size)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate");
    memcpy(ret_c->ear_digest, ear.ptr, ear.len);
    memcpy(ret_c->policy_digest, policy.ptr, policy.len);
    ret_c->workload = keep(st, 0, storage, &used);
    ret_c->platform = keep(st, 1, storage, &used);
    ret_c->not_before = sqlite3_column_int64(st, 2);
    ret_c->not_after = sqlite3_column_int64(st, 3);
    ret_c->issued_at = sqlite3_column_int64(st, 4);
    ret_c->simulated = sqlite3_column_int(st, 5) != 0;
    ret_c->der = keep(st, 6, storage, &used);
    ret_c->evidence = keep(st, 8, storage, &used);
    ret_c->hardware_id = keep(st, 9, storage, &used);
    ret_c->peer = keep(st, 11, storage, &used);
    *ret_storage = storage;
    return BH_OK;
}

enum bh_err
pas_store_certificate(struct pas_store *store, const uint8_t serial[PAS_STORE_SERIAL_LEN],
    struct pas_cert_record *ret_c, void **ret_storage, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_GET_CERTIFICATE];
    char text[2 * PAS_STORE_SERIAL_LEN + 1];
    enum bh_err e;
    bool row;

    pas_sql_bind_blob(st, 1, bh_span(serial, PAS_STORE_SERIAL_LEN));
    if ((e = pas_sql_row(store, ST_GET_CERTIFICATE, &row, "find a certificate", diag)) != BH_OK)
        goto out;
    if (!row) {
        e = bh_refuse(diag, BH_ERR_NOT_FOUND, "certificate.serial", "a certificate of this server",
            bh_hex(bh_span(serial, PAS_STORE_SERIAL_LEN), text, sizeof(text)),
            "no certificate with this serial is recorded here");
        goto out;
    }
    if ((e = copy_certificate(st, ret_c, ret_storage, diag)) == BH_OK)
        memcpy(ret_c->serial, serial, PAS_STORE_SERIAL_LEN);
out:
    pas_sql_reset(store, ST_GET_CERTIFICATE);
    return e;
}

/* ---- spent challenges ---- */

static enum bh_err
used(struct bh_diag *diag)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_CHALLENGE_USED, "challenge.single_use",
        "a challenge that was not used", "a used one", "each challenge is good for one request");

    bh_hint(diag, "ask for a new challenge");
    return e;
}

/* When the clock goes back, a challenge may be valid again whose record was dropped while it was
 * ahead: what is not newer than the last dropped one may have been used. */
static bool
is_forgotten(const struct pas_store *store, int64_t expires_at)
{
    return expires_at <= store->forgotten;
}

enum bh_err
pas_store_spend(struct pas_store *store, int64_t expires_at, const uint8_t hash[PAS_STORE_HASH_LEN],
    struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_SPEND];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK)
        return e;
    if (is_forgotten(store, expires_at))
        return used(diag);
    (void)sqlite3_bind_int64(st, 1, expires_at);
    pas_sql_bind_blob(st, 2, bh_span(hash, PAS_STORE_HASH_LEN));
    if ((e = pas_sql_run(store, ST_SPEND, "record a spent challenge", diag)) != BH_OK)
        return e;
    return sqlite3_changes(store->db) == 1 ? BH_OK : used(diag);
}

/* ---- refusals ---- */

enum bh_err
pas_store_put_refusal(
    struct pas_store *store, const struct pas_refusal_record *r, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_REFUSAL];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK)
        return e;
    (void)sqlite3_bind_int64(st, 1, r->at);
    pas_sql_bind_text(st, 2, r->code);
    pas_sql_bind_text(st, 3, r->check);
    pas_sql_bind_text(st, 4, r->expected);
    pas_sql_bind_text(st, 5, r->found);
    pas_sql_bind_text(st, 6, r->detail);
    pas_sql_bind_text(st, 7, r->workload);
    pas_sql_bind_text(st, 8, r->platform);
    pas_sql_bind_text(st, 9, r->peer);
    pas_sql_bind_text(st, 10, r->request_id);
    return pas_sql_run(store, ST_PUT_REFUSAL, "record a refusal", diag);
}

/* ---- endorsed keys ---- */

enum bh_err
pas_store_endorsement(struct pas_store *store, const uint8_t key[PAS_STORE_HASH_LEN], uint8_t *out,
    size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_GET_ENDORSED];
    struct bh_span value;
    enum bh_err e;
    bool row;

    pas_sql_bind_blob(st, 1, bh_span(key, PAS_STORE_HASH_LEN));
    if ((e = pas_sql_row(store, ST_GET_ENDORSED, &row, "find an endorsed key", diag)) != BH_OK)
        goto out;
    if (!row) {
        e = bh_refuse(diag, BH_ERR_ENDORSEMENT_UNKNOWN, "endorsement", "an endorsed instance",
            "an unknown one", "no key of this device is endorsed");
        bh_hint(diag, "endorse the device's key in the server's endorsed/ folder and reload");
        goto out;
    }
    value = pas_sql_column(st, 0);
    if (value.len > cap) {
        e = bh_refuse(diag, BH_ERR_IO, "store.corrupt", NULL, NULL, "an endorsement is too long");
        goto out;
    }
    if (value.len > 0)
        memcpy(out, value.ptr, value.len);
    *ret_len = value.len;
out:
    pas_sql_reset(store, ST_GET_ENDORSED);
    return e;
}

enum bh_err
pas_sql_get_meta(struct pas_store *store, const char *name, uint8_t ret_digest[PAS_STORE_HASH_LEN],
    int64_t *ret_number, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_GET_META];
    enum bh_err e;
    bool row;

    pas_sql_bind_text(st, 1, bh_span_str(name));
    if ((e = pas_sql_row(store, ST_GET_META, &row, "be read", diag)) == BH_OK) {
        const struct bh_span value = row ? pas_sql_column(st, 0) : bh_span_none();
        memcpy(ret_digest, value.len == PAS_STORE_HASH_LEN ? (const char *)value.ptr : zero_digest,
            PAS_STORE_HASH_LEN);
        *ret_number = row ? sqlite3_column_int64(st, 1) : 0;
    }
    pas_sql_reset(store, ST_GET_META);
    return e;
}

enum bh_err
pas_sql_put_meta(struct pas_store *store, const char *name,
    const uint8_t digest[PAS_STORE_HASH_LEN], int64_t number, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_META];

    pas_sql_bind_text(st, 1, bh_span_str(name));
    pas_sql_bind_blob(st, 2, bh_span(digest, PAS_STORE_HASH_LEN));
    (void)sqlite3_bind_int64(st, 3, number);
    return pas_sql_run(store, ST_PUT_META, "be written", diag);
}

enum bh_err
pas_store_endorse_start(struct pas_store *store, struct bh_diag *diag)
{
    uint8_t unused[PAS_STORE_HASH_LEN];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK ||
        (e = pas_sql_get_meta(store, "import", unused, &store->import, diag)) != BH_OK)
        return e;
    store->import++;
    return BH_OK;
}

enum bh_err
pas_store_endorse(struct pas_store *store, const uint8_t key[PAS_STORE_HASH_LEN],
    struct bh_span value, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_ENDORSED];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK)
        return e;
    pas_sql_bind_blob(st, 1, bh_span(key, PAS_STORE_HASH_LEN));
    pas_sql_bind_blob(st, 2, value);
    (void)sqlite3_bind_int64(st, 3, store->import);
    if ((e = pas_sql_run(store, ST_PUT_ENDORSED, "record an endorsed key", diag)) != BH_OK)
        return e;
    if (sqlite3_changes(store->db) != 0)
        return BH_OK;
    (void)bh_refuse(&store->why, BH_ERR_USAGE, "endorsed.duplicate", "one endorsement per device",
        "two that differ", "the same device is endorsed twice, and differently");
    return pas_sql_inside(store, diag);
}

enum bh_err
pas_store_endorse_finish(
    struct pas_store *store, const uint8_t source[PAS_STORE_HASH_LEN], struct bh_diag *diag)
{
    const uint8_t *none = (const uint8_t *)zero_digest;
    int64_t count = 0;
    enum bh_err e = pas_sql_inside(store, diag);
    bool row;

    if (e != BH_OK)
        return e;
    (void)sqlite3_bind_int64(store->st[ST_DROP_ENDORSED], 1, store->import);
    if ((e = pas_sql_run(store, ST_DROP_ENDORSED, "drop endorsed keys", diag)) != BH_OK)
        return e;
    e = pas_sql_row(store, ST_COUNT_ENDORSED, &row, "count endorsed keys", diag);
    if (e == BH_OK)
        count = sqlite3_column_int64(store->st[ST_COUNT_ENDORSED], 0);
    pas_sql_reset(store, ST_COUNT_ENDORSED);
    if (e != BH_OK || (e = pas_sql_put_meta(store, "import", none, store->import, diag)) != BH_OK)
        return e;
    return pas_sql_put_meta(store, "endorsed", source, count, diag);
}

enum bh_err
pas_store_endorsed(struct pas_store *store, uint8_t ret_source[PAS_STORE_HASH_LEN],
    int64_t *ret_count, struct bh_diag *diag)
{
    return pas_sql_get_meta(store, "endorsed", ret_source, ret_count, diag);
}

/* ---- policies ---- */

enum bh_err
pas_store_put_policy(struct pas_store *store, const uint8_t digest[PAS_STORE_HASH_LEN],
    const char *workload, const char *canonical, int64_t now, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_POLICY];
    enum bh_err e = pas_sql_inside(store, diag);

    if (e != BH_OK)
        return e;
    pas_sql_bind_blob(st, 1, bh_span(digest, PAS_STORE_HASH_LEN));
    pas_sql_bind_text(st, 2, bh_span_str(workload));
    pas_sql_bind_text(st, 3, bh_span_str(canonical));
    (void)sqlite3_bind_int64(st, 4, now);
    return pas_sql_run(store, ST_PUT_POLICY, "record a policy", diag);
}

enum bh_err
pas_store_policy(struct pas_store *store, const uint8_t digest[PAS_STORE_HASH_LEN],
    char **ret_canonical, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_GET_POLICY];
    struct bh_span text;
    char *copy;
    enum bh_err e;
    bool row;

    pas_sql_bind_blob(st, 1, bh_span(digest, PAS_STORE_HASH_LEN));
    if ((e = pas_sql_row(store, ST_GET_POLICY, &row, "find a policy", diag)) != BH_OK)
        goto out;
    if (!row) {
        e = bh_refuse(diag, BH_ERR_NOT_FOUND, "policy.digest", NULL, NULL,
            "no policy with this digest is recorded here");
        goto out;
    }
    text = pas_sql_column(st, 0);
    if ((copy = malloc(text.len + 1)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "policy");
        goto out;
    }
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_canonical = copy;
out:
    pas_sql_reset(store, ST_GET_POLICY);
    return e;
}

/* ---- secrets ---- */

static enum bh_err
get_secret(struct pas_store *store, const char *name, uint8_t *out, size_t len, bool *ret_found,
    struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_GET_SECRET];
    enum bh_err e;
    bool row;

    pas_sql_bind_text(st, 1, bh_span_str(name));
    if ((e = pas_sql_row(store, ST_GET_SECRET, &row, "read a secret", diag)) == BH_OK && row) {
        const struct bh_span value = pas_sql_column(st, 0);
        if (value.len == len)
            memcpy(out, value.ptr, len);
        else
            e = bh_refuse(diag, BH_ERR_IO, "store.corrupt", NULL, NULL,
                "the secret %s has a wrong length", name);
    }
    pas_sql_reset(store, ST_GET_SECRET);
    if (e == BH_OK)
        *ret_found = row;
    return e;
}

enum bh_err
pas_store_secret(
    struct pas_store *store, const char *name, uint8_t *out, size_t len, struct bh_diag *diag)
{
    sqlite3_stmt *st = store->st[ST_PUT_SECRET];
    uint8_t fresh[64];
    enum bh_err e;
    bool found;

    if (len > sizeof(fresh))
        return bh_fail(diag, BH_ERR_INTERNAL, "a secret of %zu bytes", len);
    if ((e = get_secret(store, name, out, len, &found, diag)) != BH_OK || found)
        return e;
    if ((e = bh_random(fresh, len)) != BH_OK)
        return bh_fail(diag, e, "no randomness for the secret %s", name);
    if ((e = pas_store_begin(store, diag)) != BH_OK)
        goto out;
    pas_sql_bind_text(st, 1, bh_span_str(name));
    pas_sql_bind_blob(st, 2, bh_span(fresh, len));
    if ((e = pas_sql_run(store, ST_PUT_SECRET, "keep a secret", diag)) != BH_OK) {
        pas_store_rollback(store);
        goto out;
    }
    if ((e = pas_store_commit(store, diag)) != BH_OK)
        goto out;
    /* Another replica may have been first: what is stored counts. */
    if ((e = get_secret(store, name, out, len, &found, diag)) == BH_OK && !found)
        e = bh_refuse(diag, BH_ERR_IO, "store", NULL, NULL, "the secret %s was not kept", name);
out:
    OPENSSL_cleanse(fresh, sizeof(fresh));
    return e;
}

int64_t
pas_store_forgotten(const struct pas_store *store)
{
    return store->forgotten;
}

enum bh_err
pas_store_secret_renew(
    struct pas_store *store, const char *name, uint8_t *out, size_t len, struct bh_diag *diag)
{
    const uint8_t *none = (const uint8_t *)zero_digest;
    sqlite3_stmt *st = store->st[ST_RENEW_SECRET];
    enum bh_err e;

    if ((e = bh_random(out, len)) != BH_OK)
        return bh_fail(diag, e, "no randomness for the secret %s", name);
    if ((e = pas_store_begin(store, diag)) != BH_OK)
        return e;
    pas_sql_bind_text(st, 1, bh_span_str(name));
    pas_sql_bind_blob(st, 2, bh_span(out, len));
    if ((e = pas_sql_run(store, ST_RENEW_SECRET, "keep a secret", diag)) != BH_OK ||
        (e = pas_sql_put_meta(store, "forgotten", none, 0, diag)) != BH_OK) {
        pas_store_rollback(store);
        return e;
    }
    if ((e = pas_store_commit(store, diag)) == BH_OK)
        store->forgotten = 0;
    return e;
}
