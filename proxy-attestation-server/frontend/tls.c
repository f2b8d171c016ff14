/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include "connections.h"
#include "ipc/messages.h"

#include <pthread.h>
#include <stdlib.h>

#define CHAIN_MAX 8
#define TICKET_LIFE 3600

struct identity {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_len;
    gnutls_privkey_t key;
    gnutls_datum_t ticket_key;
    uint64_t retired_ms;
    struct identity *next;
};

struct pas_fe_tls {
    pthread_mutex_t lock;
    struct identity *current;
    struct identity *retired;
};

static void
identity_free(struct identity *id)
{
    if (id == NULL)
        return;
    for (unsigned i = 0; i < id->chain_len; i++)
        gnutls_pcert_deinit(&id->chain[i]);
    if (id->key != NULL)
        gnutls_privkey_deinit(id->key);
    if (id->ticket_key.data != NULL)
        gnutls_memset(id->ticket_key.data, 0, id->ticket_key.size);
    gnutls_free(id->ticket_key.data);
    free(id);
}

enum bh_err
pas_fe_tls_new(struct pas_fe_tls **ret_tls, struct bh_diag *diag)
{
    struct pas_fe_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "TLS identity");
    (void)pthread_mutex_init(&tls->lock, NULL);
    *ret_tls = tls;
    return BH_OK;
}

void
pas_fe_tls_free(struct pas_fe_tls *tls)
{
    if (tls == NULL)
        return;
    identity_free(tls->current);
    while (tls->retired != NULL) {
        struct identity *next = tls->retired->next;
        identity_free(tls->retired);
        tls->retired = next;
    }
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* GnuTLS does not compare them by itself when they come from a callback. */
static bool
belongs(gnutls_privkey_t key, const gnutls_pcert_st *leaf)
{
    uint8_t ids[2][64];
    size_t lens[2] = {sizeof(ids[0]), sizeof(ids[1])};
    gnutls_pubkey_t public_key = NULL;
    bool same = false;

    if (gnutls_pubkey_init(&public_key) < 0)
        return false;
    if (gnutls_pubkey_import_privkey(public_key, key, 0, 0) >= 0 &&
        gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256, ids[0], &lens[0]) >= 0 &&
        gnutls_pubkey_get_key_id(leaf->pubkey, GNUTLS_KEYID_USE_SHA256, ids[1], &lens[1]) >= 0)
        same = bh_span_equal(bh_span(ids[0], lens[0]), bh_span(ids[1], lens[1]));
    gnutls_pubkey_deinit(public_key);
    return same;
}

static enum bh_err
refuse(struct bh_diag *diag, const char *what, int rc)
{
    return bh_refuse(diag, BH_ERR_USAGE, "server.tls", what, rc < 0 ? gnutls_strerror(rc) : NULL,
        "the server's TLS certificate or key cannot be used: %s", what);
}

/* GnuTLS takes unsigned char *, and only reads. */
static gnutls_datum_t
datum(struct bh_span span)
{
    return (gnutls_datum_t){
        .data = (unsigned char *)(uintptr_t)span.ptr, .size = (unsigned)span.len};
}

static enum bh_err
read_identity(struct bh_span payload, struct identity *id, struct bh_diag *diag)
{
    struct pas_tls pem = {0};
    gnutls_datum_t d;
    unsigned len = CHAIN_MAX;
    int rc;

    if (pas_tls_decode(payload, &pem) != BH_OK)
        return refuse(diag, "a chain and a key in one message", 0);
    d = datum(pem.chain);
    if ((rc = gnutls_pcert_list_import_x509_raw(
             id->chain, &len, &d, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED)) < 0)
        return refuse(diag, "PEM certificates, the server's first", rc);
    id->chain_len = len;
    d = datum(pem.key);
    if ((rc = gnutls_privkey_init(&id->key)) < 0 ||
        (rc = gnutls_privkey_import_x509_raw(id->key, &d, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0)
        return refuse(diag, "an unencrypted PEM private key", rc);
    if (!belongs(id->key, &id->chain[0]))
        return refuse(diag, "the private key of the first certificate", 0);
    if ((rc = gnutls_session_ticket_key_generate(&id->ticket_key)) < 0)
        return refuse(diag, "a key for session tickets", rc);
    return BH_OK;
}

enum bh_err
pas_fe_tls_load(struct pas_fe_tls *tls, struct bh_span payload, struct bh_diag *diag)
{
    struct identity *id = calloc(1, sizeof(*id));
    enum bh_err e;

    if (id == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "TLS identity");
    if ((e = read_identity(payload, id, diag)) != BH_OK) {
        identity_free(id);
        return e;
    }
    (void)pthread_mutex_lock(&tls->lock);
    if (tls->current != NULL) {
        tls->current->retired_ms = pas_fe_now_ms();
        tls->current->next = tls->retired;
        tls->retired = tls->current;
    }
    tls->current = id;
    (void)pthread_mutex_unlock(&tls->lock);
    return BH_OK;
}

bool
pas_fe_tls_loaded(const struct pas_fe_tls *tls)
{
    return tls->current != NULL;
}

int
pas_fe_tls_identity(struct pas_fe_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_len,
    gnutls_privkey_t *ret_key)
{
    (void)pthread_mutex_lock(&tls->lock);
    *ret_chain = tls->current->chain;
    *ret_len = tls->current->chain_len;
    *ret_key = tls->current->key;
    (void)pthread_mutex_unlock(&tls->lock);
    return 0;
}

void
pas_fe_tls_tickets(struct pas_fe_tls *tls, gnutls_session_t session)
{
    gnutls_db_set_cache_expiration(session, TICKET_LIFE);
    (void)pthread_mutex_lock(&tls->lock);
    /* Without tickets every handshake is a whole one: dearer, and nothing else. */
    (void)gnutls_session_ticket_enable_server(session, &tls->current->ticket_key);
    (void)pthread_mutex_unlock(&tls->lock);
}

void
pas_fe_tls_sweep(struct pas_fe_tls *tls, uint64_t older_ms)
{
    const uint64_t now = pas_fe_now_ms();

    (void)pthread_mutex_lock(&tls->lock);
    for (struct identity **at = &tls->retired; *at != NULL;) {
        struct identity *id = *at;
        if (now - id->retired_ms < older_ms) {
            at = &id->next;
            continue;
        }
        *at = id->next;
        identity_free(id);
    }
    (void)pthread_mutex_unlock(&tls->lock);
}

const char *
pas_fe_tls_priorities(bool tls12)
{
    return tls12 ? "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:"
                   "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"
                 : "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
                   "+CHACHA20-POLY1305:%SERVER_PRECEDENCE";
}
