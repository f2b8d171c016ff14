/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include "core/json.h"
#include "core/text.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_MS 10 /* of a client that got no answer */
#define LOST_MAX 4096

/* ---- one client ---- */

static void
keep(struct chaos_tried *t, struct chaos_attempt *a)
{
    free(t->body);
    t->body = a->body;
    a->body = NULL;
    memcpy(t->spki, a->spki, a->spki_len);
    t->spki_len = a->spki_len;
}

static void
note_got(struct chaos_worker *w, struct chaos_attempt *a)
{
    if (w->got_len == w->got_cap) {
        const size_t cap = w->got_cap > 0 ? 2 * w->got_cap : 256;
        struct chaos_got *grown = reallocarray(w->got, cap, sizeof(*grown));

        if (grown == NULL) {
            chaos_fail(w->load->chaos, "out of memory");
            return;
        }
        w->got = grown;
        w->got_cap = cap;
    }
    memcpy(w->got[w->got_len].serial, a->serial, CHAOS_SERIAL);
    memcpy(w->got[w->got_len++].digest, a->digest, sizeof(a->digest));
    keep(&w->kept[w->got_len % CHAOS_KEPT], a);
    atomic_fetch_add(&w->load->issued, 1);
}

void
chaos_load_note(struct chaos_load *load, struct chaos_attempt *a)
{
    note_got(&load->workers[0], a);
}

static void
note_lost(struct chaos_worker *w, struct chaos_attempt *a)
{
    struct chaos_tried *grown;

    if (a->body == NULL || w->lost_len == LOST_MAX)
        return;
    if ((grown = reallocarray(w->lost, w->lost_len + 1, sizeof(*grown))) == NULL) {
        chaos_fail(w->load->chaos, "out of memory");
        return;
    }
    w->lost = grown;
    w->lost[w->lost_len] = (struct chaos_tried){0};
    keep(&w->lost[w->lost_len++], a);
}

/*
 * libcurl sends a request again by itself when a kept connection ends before the first byte of an
 * answer, so 409 may stand for an answer that was lost; the audit tells.
 */
bool
chaos_is_lost(const struct chaos_attempt *a)
{
    return a->status == 0 || a->status >= 500 ||
           (a->status == 409 && strcmp(a->code, "challenge-used") == 0);
}

static void
take_note(struct chaos_worker *w, struct chaos_attempt *a)
{
    struct chaos *c = w->load->chaos;
    const bool right = w->load->refuse
                           ? a->status == 403 && strcmp(a->code, "endorsement-unknown") == 0
                           : a->status == 201;

    if (a->asked_ms > w->slowest_ms)
        w->slowest_ms = a->asked_ms;
    if (a->took_ms > w->slowest_ms)
        w->slowest_ms = a->took_ms;
    if (a->wrong[0] != '\0')
        chaos_fail(c, "%s", a->wrong);
    else if (right && a->status == 201)
        note_got(w, a);
    else if (chaos_is_lost(a)) {
        w->broken += a->status < 500;
        w->failed += a->status >= 500;
        note_lost(w, a);
        chaos_sleep_ms(PAUSE_MS);
    } else if (!right)
        chaos_fail(c, "a sound request was answered %ld %s (%s): %.300s", a->status, a->code,
            a->check, a->reply != NULL ? a->reply : "");
}

static void *
enrol_on(void *arg)
{
    struct chaos_worker *w = arg;
    struct chaos_attempt a;

    while (!atomic_load(&w->load->stop)) {
        chaos_enrol(&w->client, w->load->refuse ? AGENT_TAMPER_ROOT : AGENT_TAMPER_NONE, &a);
        take_note(w, &a);
        chaos_attempt_clear(&a);
    }
    OPENSSL_thread_stop();
    return NULL;
}

/* ---- all of them ---- */

bool
chaos_load_start(struct chaos *c, struct chaos_site *site, size_t threads, struct chaos_load *load)
{
    if (load->len == 0) {
        load->chaos = c;
        load->site = site;
        for (size_t i = 0; i < threads && i < CHAOS_WORKERS_MAX; i++) {
            load->workers[i].load = load;
            if (!chaos_client_open(c, site, "psa", &load->workers[i].client))
                return false;
            load->len++;
        }
    }
    atomic_store(&load->stop, false);
    for (size_t i = 0; i < load->len; i++)
        if (pthread_create(&load->workers[i].thread, NULL, enrol_on, &load->workers[i]) != 0) {
            chaos_fail(c, "no thread");
            abort(); /* the others use what the caller would free */
        }
    return true;
}

void
chaos_load_stop(struct chaos_load *load, long most_ms)
{
    atomic_store(&load->stop, true);
    for (size_t i = 0; i < load->len; i++) {
        struct chaos_worker *w = &load->workers[i];

        (void)pthread_join(w->thread, NULL);
        if (w->slowest_ms > most_ms)
            chaos_fail(load->chaos, "an answer, or its absence, took %ld ms", w->slowest_ms);
        w->slowest_ms = 0;
    }
}

void
chaos_load_free(struct chaos_load *load)
{
    for (size_t i = 0; i < load->len; i++) {
        struct chaos_worker *w = &load->workers[i];

        for (size_t k = 0; k < CHAOS_KEPT; k++)
            free(w->kept[k].body);
        for (size_t k = 0; k < w->lost_len; k++)
            free(w->lost[k].body);
        free(w->lost);
        free(w->got);
        chaos_client_close(&w->client);
    }
    load->len = 0;
}

/* ---- the audit ---- */

static bool
read_certificate(struct chaos_client *client, const uint8_t *serial, uint8_t digest[32])
{
    char path[96], hex[2 * CHAOS_SERIAL + 1], *body = NULL;
    json_t *json = NULL;
    const char *pem = NULL;
    bool ok = false;

    (void)snprintf(path, sizeof(path), "/v1/certificates/%s",
        bh_hex(bh_span(serial, CHAOS_SERIAL), hex, sizeof(hex)));
    if (chaos_get(client, path, &body, NULL) == 200 &&
        bh_json_parse(bh_span_str(body), strlen(body), &json, NULL) == BH_OK &&
        (pem = json_string_value(json_object_get(json, "certificate"))) != NULL)
        ok = chaos_pem_digest(pem, digest);
    json_decref(json);
    free(body);
    return ok;
}

static void
audit_received(struct chaos_worker *w, struct chaos_serials *serials)
{
    struct chaos *c = w->load->chaos;
    uint8_t digest[32];

    for (size_t i = 0; i < w->got_len; i++) {
        char hex[2 * CHAOS_SERIAL + 1];

        if (!read_certificate(&w->client, w->got[i].serial, digest) ||
            memcmp(digest, w->got[i].digest, sizeof(digest)) != 0)
            chaos_fail(c, "the certificate %s was received and is not in the store",
                bh_hex(bh_span(w->got[i].serial, CHAOS_SERIAL), hex, sizeof(hex)));
    }
    if (serials->len + w->got_len > serials->cap) {
        const size_t cap = 2 * (serials->len + w->got_len);
        void *grown = reallocarray(serials->all, cap, CHAOS_SERIAL);

        if (grown == NULL) {
            chaos_fail(c, "out of memory");
            return;
        }
        serials->all = grown;
        serials->cap = cap;
    }
    for (size_t i = 0; i < w->got_len; i++)
        memcpy(serials->all[serials->len++], w->got[i].serial, CHAOS_SERIAL);
    w->got_len = 0;
}

/* Post it once more: @p right is the only answer that may come. */
static void
replay(struct chaos_worker *w, const struct chaos_tried *t, long right, const char *what)
{
    struct chaos_attempt a = {.spki_len = t->spki_len};

    memcpy(a.spki, t->spki, t->spki_len);
    chaos_post(&w->client, t->body, &a);
    if (a.wrong[0] != '\0' || a.status != right ||
        (right == 409 && strcmp(a.code, "challenge-used") != 0))
        chaos_fail(
            w->load->chaos, "%s: %ld %s %s, expected %ld", what, a.status, a.code, a.wrong, right);
    else if (right == 201)
        note_got(w, &a);
    chaos_attempt_clear(&a);
}

static void
audit_lost(struct chaos_worker *w, struct chaos_tried *t)
{
    const struct bh_span spki = bh_span(t->spki, t->spki_len);
    const long before = chaos_store_count(w->load->site, spki);

    if (before < 0 || before > 1)
        chaos_fail(w->load->chaos, "%ld certificates for one request without an answer", before);
    if (before == 0)
        replay(w, t, 201, "a request without an answer, not recorded, sent again");
    replay(w, t, 409, "a request that was recorded, sent again");
    if (chaos_store_count(w->load->site, spki) != 1)
        chaos_fail(w->load->chaos, "a request without an answer became more than one certificate");
}

void
chaos_load_audit(struct chaos_load *load, struct chaos_serials *serials)
{
    for (size_t i = 0; i < load->len; i++) {
        struct chaos_worker *w = &load->workers[i];

        for (size_t k = 0; k < CHAOS_KEPT; k++) {
            if (w->kept[k].body != NULL)
                replay(w, &w->kept[k], 409, "an accepted request sent again");
            free(w->kept[k].body);
            w->kept[k] = (struct chaos_tried){0};
        }
        for (size_t k = 0; k < w->lost_len; k++) {
            if (!load->refuse)
                audit_lost(w, &w->lost[k]);
            free(w->lost[k].body);
        }
        w->lost_len = 0;
        audit_received(w, serials);
    }
}

/* ---- the store, seen from outside ---- */

long
chaos_store_count(const struct chaos_site *site, struct bh_span bytes)
{
    const char *sql = bytes.len > 0 ? "SELECT count(*) FROM certificate WHERE instr(der, ?) > 0"
                                    : "SELECT count(*) FROM certificate";
    char path[400];
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;
    long n = -1;

    if (bh_test_server_path(&site->server, "store/state.db", path, sizeof(path)) == BH_OK &&
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, 5000) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
        if (bytes.len > 0)
            (void)sqlite3_bind_blob(st, 1, bytes.ptr, (int)bytes.len, SQLITE_STATIC);
        if (sqlite3_step(st) == SQLITE_ROW)
            n = (long)sqlite3_column_int64(st, 0);
    }
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return n;
}

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, CHAOS_SERIAL);
}

void
chaos_serials_check(struct chaos *c, const struct chaos_site *site, struct chaos_serials *serials)
{
    const long stored = chaos_store_count(site, bh_span_none());

    if (serials->len > 0)
        qsort(serials->all, serials->len, CHAOS_SERIAL, compare);
    for (size_t i = 1; i < serials->len; i++)
        if (compare(serials->all[i - 1], serials->all[i]) == 0)
            chaos_fail(c, "a serial was issued twice");
    if (stored < 0 || (size_t)stored < serials->len)
        chaos_fail(c, "%ld certificates in the store, %zu were received", stored, serials->len);
    chaos_say(c, "%zu certificates received, %ld in the store", serials->len, stored);
    free(serials->all);
    *serials = (struct chaos_serials){0};
}
