/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "stream.h"

#include "core/file.h"
#include "core/x509.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#define CHAIN_MAX 8

enum bh_err
agent_diag_of(const bh_failure *failure, struct bh_diag *diag)
{
    enum bh_err e = bh_err_from_code(bh_failure_code(failure));

    /* One CODE stands for several errors: the outcome tells those apart that exits depend on. */
    switch (bh_failure_result(failure)) {
    case BH_RESULT_OK:
        return BH_OK;
    case BH_RESULT_USAGE:
        e = BH_ERR_USAGE;
        break;
    case BH_RESULT_UNREACHABLE:
        if (e != BH_ERR_RATE_LIMITED)
            e = BH_ERR_NETWORK;
        break;
    default:
        break;
    }
    e = bh_refuse(diag, e, bh_failure_check(failure), bh_failure_expected(failure),
        bh_failure_found(failure), "%s", bh_failure_detail(failure));
    if (bh_failure_hint(failure)[0] != '\0')
        bh_hint(diag, "%s", bh_failure_hint(failure));
    return e;
}

/* ---- the certificate ---- */

static enum bh_err
verify(const bh_trust *trust, const char *workload, X509 *const *certs, size_t count, int64_t now,
    bh_peer **ret_peer, struct bh_diag *diag)
{
    unsigned char *ders[CHAIN_MAX] = {NULL};
    size_t lens[CHAIN_MAX] = {0};
    bh_failure *failure = bh_failure_new();
    bh_expectation *expectation = NULL;
    enum bh_err e = failure != NULL ? BH_OK : bh_fail(diag, BH_ERR_NOMEM, "certificate");

    for (size_t i = 0; i < count && e == BH_OK; i++)
        e = bh_x509_to_der(certs[i], &ders[i], &lens[i]);
    if (e != BH_OK)
        goto out;
    if (bh_expectation_new(workload, &expectation, failure) != BH_RESULT_OK) {
        e = agent_diag_of(failure, diag);
        goto out;
    }
    bh_expectation_accept_warning(expectation);
    if (bh_verify_chain(trust, expectation, (const unsigned char *const *)ders, lens, count, now,
            ret_peer, failure) != BH_RESULT_OK)
        e = agent_diag_of(failure, diag);
out:
    for (size_t i = 0; i < count; i++)
        OPENSSL_free(ders[i]);
    bh_expectation_free(expectation);
    bh_failure_free(failure);
    return e;
}

static enum bh_err
make_ctx(X509 *const *certs, size_t count, EVP_PKEY *key, SSL_CTX **ret_ctx, struct bh_diag *diag)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char why[160];
    bool good = ctx != NULL && agent_tls_defaults(ctx) &&
                SSL_CTX_use_certificate(ctx, certs[0]) == 1 &&
                SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

    for (size_t i = 1; i < count && good; i++)
        good = SSL_CTX_add1_chain_cert(ctx, certs[i]) == 1;
    if (!good) {
        SSL_CTX_free(ctx);
        return bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "certificate.key", "the key of the request",
            NULL, "cannot serve with the certificate: %s", bh_openssl_why(why, sizeof(why)));
    }
    *ret_ctx = ctx;
    return BH_OK;
}

enum bh_err
agent_identity_make(const bh_trust *trust, const char *workload, EVP_PKEY *key, const char *pem,
    int64_t now, struct agent_identity **ret_identity, struct bh_diag *diag)
{
    struct agent_identity *identity = calloc(1, sizeof(*identity));
    X509 *certs[CHAIN_MAX] = {NULL};
    size_t count = 0;
    enum bh_err e;

    if (identity == NULL || (identity->pem = strdup(pem)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "certificate");
        goto out;
    }
    if ((e = bh_x509_pem(bh_span_str(pem), certs, CHAIN_MAX, &count, diag)) != BH_OK ||
        (e = verify(trust, workload, certs, count, now, &identity->peer, diag)) != BH_OK ||
        (e = make_ctx(certs, count, key, &identity->ctx, diag)) != BH_OK)
        goto out;
    (void)EVP_PKEY_up_ref(key);
    identity->key = key;
    *ret_identity = identity;
    identity = NULL;
out:
    for (size_t i = 0; i < count; i++)
        X509_free(certs[i]);
    agent_identity_free(identity);
    return e;
}

void
agent_identity_free(struct agent_identity *identity)
{
    if (identity == NULL)
        return;
    SSL_CTX_free(identity->ctx);
    EVP_PKEY_free(identity->key);
    bh_peer_free(identity->peer);
    free(identity->pem);
    free(identity);
}

/* ---- --out ---- */

static enum bh_err
write_file(
    const char *dir, const char *name, struct bh_span bytes, mode_t mode, struct bh_diag *diag)
{
    char path[4096];

    if (bh_path_join(path, sizeof(path), dir, name) != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "the path %.80s... is too long", dir);
    return bh_file_write(path, bytes, mode, diag);
}

enum bh_err
agent_identity_write(const struct agent_identity *identity, const char *dir,
    struct bh_span roots_pem, struct bh_diag *diag)
{
    char *key = NULL;
    enum bh_err e;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s: %s", dir, strerror(errno));
    if ((e = bh_key_to_pem(identity->key, NULL, &key, diag)) != BH_OK)
        return e;
    if ((e = write_file(dir, "root.crt", roots_pem, 0644, diag)) == BH_OK &&
        (e = write_file(dir, "tls.key", bh_span_str(key), 0600, diag)) == BH_OK)
        e = write_file(dir, "tls.crt", bh_span_str(identity->pem), 0644, diag);
    OPENSSL_cleanse(key, strlen(key));
    free(key);
    return e;
}
