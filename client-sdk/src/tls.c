/* SPDX-License-Identifier: Apache-2.0 */
/* The verification as OpenSSL's certificate verify callback: inside the handshake, before Finished
 * is sent. */
#include "src/internal.h"

#include "beachhead/tls.h"
#include "core/text.h"

#include <pthread.h>
#include <stdlib.h>

/* What hangs on an SSL_CTX. */
struct attached {
    struct bh_trust *trust;
    struct bh_expectation *expectation;
    bh_verified_fn done;
    void *done_arg;
};

/* What hangs on an SSL after its peer's certificate was seen: one of the two. */
struct outcome {
    struct bh_peer *peer;
    struct bh_failure failure;
};

static pthread_once_t indexes_once = PTHREAD_ONCE_INIT;
static int ctx_index = -1;
static int ssl_index = -1;

static void
attached_free(struct attached *a)
{
    if (a == NULL)
        return;
    bh_trust_free(a->trust);
    bh_expectation_free(a->expectation);
    free(a);
}

static void
outcome_free(struct outcome *o)
{
    if (o == NULL)
        return;
    bh_peer_free(o->peer);
    free(o);
}

static void
free_attached_data(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    attached_free(ptr);
}

static void
free_outcome_data(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    outcome_free(ptr);
}

/* SSL_dup() must not make two owners: the copy has verified nothing yet. */
static int
drop_outcome_data(
    CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **from_d, int idx, long argl, void *argp)
{
    (void)to, (void)from, (void)idx, (void)argl, (void)argp;
    *from_d = NULL;
    return 1;
}

static void
make_indexes(void)
{
    ctx_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_attached_data);
    ssl_index = SSL_get_ex_new_index(0, NULL, NULL, drop_outcome_data, free_outcome_data);
}

static bool
store_outcome(SSL *ssl, struct outcome *o)
{
    outcome_free(SSL_get_ex_data(ssl, ssl_index));
    if (SSL_set_ex_data(ssl, ssl_index, o) == 1)
        return true;
    (void)SSL_set_ex_data(ssl, ssl_index, NULL);
    return false;
}

static int
alert_of(const struct bh_diag *diag)
{
    if (strcmp(diag->check, "certificate.validity") == 0)
        return X509_V_ERR_CERT_HAS_EXPIRED;
    if (strcmp(diag->check, "certificate.chain") == 0)
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    return X509_V_ERR_APPLICATION_VERIFICATION;
}

static int
verify_peer(X509_STORE_CTX *store_ctx, void *arg)
{
    const struct attached *a = arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct outcome *o = calloc(1, sizeof(*o));
    struct bh_diag *diag;

    X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    if (o == NULL || ssl == NULL) {
        free(o);
        return 0;
    }
    diag = &o->failure.diag;
    const enum bh_err e = bh_peer_verify(a->trust, a->expectation,
        X509_STORE_CTX_get0_cert(store_ctx), X509_STORE_CTX_get0_untrusted(store_ctx),
        SSL_is_server(ssl) ? BH_SIDE_CLIENT : BH_SIDE_SERVER, bh_time_now(), &o->peer, diag);
    diag->err = e;
    if (a->done != NULL)
        a->done(a->done_arg, e == BH_OK ? o->peer : NULL, diag);
    X509_STORE_CTX_set_error(store_ctx, e == BH_OK ? X509_V_OK : alert_of(diag));
    if (!store_outcome(ssl, o)) {
        outcome_free(o);
        X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    return e == BH_OK ? 1 : 0;
}

enum bh_err
bh_tls_attach(SSL_CTX *ctx, const struct bh_trust *trust, const struct bh_expectation *expectation,
    bh_verified_fn done, void *done_arg, struct bh_diag *diag)
{
    struct attached *a = calloc(1, sizeof(*a));

    if (a == NULL || pthread_once(&indexes_once, make_indexes) != 0 || ctx_index < 0 ||
        ssl_index < 0 || (a->expectation = bh_expectation_copy(expectation)) == NULL) {
        free(a);
        return bh_fail(diag, BH_ERR_NOMEM, "TLS context");
    }
    a->trust = bh_trust_ref(trust);
    a->done = done;
    a->done_arg = done_arg;
    struct attached *old = SSL_CTX_get_ex_data(ctx, ctx_index);
    if (SSL_CTX_set_ex_data(ctx, ctx_index, a) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1) {
        if (SSL_CTX_get_ex_data(ctx, ctx_index) == a)
            (void)SSL_CTX_set_ex_data(ctx, ctx_index, old);
        attached_free(a);
        return bh_fail(diag, BH_ERR_INTERNAL, "TLS context: TLS 1.3 is not to be had");
    }
    attached_free(old);
    SSL_CTX_set_cert_verify_callback(ctx, verify_peer, a);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    return BH_OK;
}

enum bh_result
bh_ssl_ctx_attach(SSL_CTX *ctx, const struct bh_trust *trust,
    const struct bh_expectation *expectation, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    const enum bh_err e = bh_tls_attach(ctx, trust, expectation, NULL, NULL, &diag);

    return bh_failure_set(failure, &diag, e);
}

static const struct outcome *
outcome_of(const SSL *ssl)
{
    return ssl_index < 0 ? NULL : SSL_get_ex_data(ssl, ssl_index);
}

const struct bh_peer *
bh_ssl_peer(const SSL *ssl)
{
    const struct outcome *o = outcome_of(ssl);

    return o == NULL ? NULL : o->peer;
}

const struct bh_failure *
bh_ssl_failure(const SSL *ssl)
{
    const struct outcome *o = outcome_of(ssl);

    return o == NULL || o->peer != NULL ? NULL : &o->failure;
}
