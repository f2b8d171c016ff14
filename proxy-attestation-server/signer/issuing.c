/* SPDX-License-Identifier: Apache-2.0 */
#include "issuing.h"

#include "core/file.h"
#include "core/x509.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#define PATH_SIZE 4352

static enum bh_err
check_mode(const char *path, const char *what, struct bh_diag *diag)
{
    char check[BH_CHECK_MAX], found[16];
    struct stat st;

    if (lstat(path, &st) != 0)
        return bh_fail(diag, BH_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && (st.st_mode & 077) == 0)
        return BH_OK;
    (void)snprintf(check, sizeof(check), "%s.mode", what);
    (void)snprintf(found, sizeof(found), "%04o", (unsigned)(st.st_mode & 07777));
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, check, "a regular file of mode 0600", found,
        "%s: a private key that others can read", path);
    bh_hint(diag, "chmod 0600 %s, and replace the key if anybody could have read it", path);
    return e;
}

enum bh_err
pas_key_file_load(const char *path, const char *what, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = check_mode(path, what, diag)) != BH_OK ||
        (e = bh_file_read(path, PAS_PEM_MAX, &pem, &len, diag)) != BH_OK)
        return e;
    e = bh_key_from_pem(bh_span(pem, len), NULL, ret_key, diag);
    if (e != BH_OK) {
        bh_name_check(diag, "%s", what);
        bh_hint(diag, "%s holds no unencrypted private key in PEM", path);
    }
    OPENSSL_cleanse(pem, len);
    free(pem);
    return e;
}

enum bh_err
pas_cert_file_load(
    const char *path, X509 **ret_certs, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, PAS_PEM_MAX, &pem, &len, diag)) != BH_OK)
        return e;
    e = bh_x509_pem(bh_span(pem, len), ret_certs, cap, ret_len, diag);
    if (e != BH_OK)
        bh_hint(diag, "%s must hold certificates in PEM", path);
    free(pem);
    return e;
}

enum bh_err
pas_key_fits(X509 *cert, EVP_PKEY *key, const char *what, struct bh_diag *diag)
{
    EVP_PKEY *of_cert = X509_get0_pubkey(cert);

    if (of_cert != NULL && EVP_PKEY_eq(of_cert, key) == 1)
        return BH_OK;
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, what, "the key of its certificate",
        "another key", "key and certificate do not belong together");
    bh_hint(diag, "restore both files from the same backup");
    return e;
}

/* ---- the issuing CA ---- */

static enum bh_err
load_certs(const char *dir, struct pas_issuing *out, struct bh_diag *diag)
{
    char path[PATH_SIZE];
    size_t len;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), dir, "ca/issuing.crt")) != BH_OK)
        return bh_fail(diag, e, "the folder's path is too long");
    if ((e = pas_cert_file_load(path, &out->cert, 1, &len, diag)) != BH_OK)
        return e;
    if ((e = bh_path_join(path, sizeof(path), dir, "ca/root.crt")) != BH_OK)
        return bh_fail(diag, e, "the folder's path is too long");
    return pas_cert_file_load(path, &out->root, 1, &len, diag);
}

static enum bh_err
check_key(const struct pas_issuing *i, struct bh_diag *diag)
{
    const char *type = bh_key_name(i->key);

    if (strcmp(type, "P-256") == 0)
        return pas_key_fits(i->cert, i->key, "issuing.key", diag);
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, "issuing.key.type", "P-256", type,
        "the issuing CA signs with ECDSA P-256");
    bh_hint(diag, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    return e;
}

static enum bh_err
check_chain(const struct pas_issuing *i, int64_t now, struct bh_diag *diag)
{
    const enum bh_err e = bh_x509_verify(i->cert, NULL, 0, &i->root, 1, now, diag);

    if (e == BH_OK)
        return BH_OK;
    bh_name_check(diag, "issuing.chain");
    bh_hint(diag, "ca/issuing.crt must be issued by ca/root.crt and be valid now");
    return BH_ERR_USAGE;
}

enum bh_err
pas_issuing_load(const char *dir, const struct pas_config *config, int64_t now,
    struct pas_issuing **ret_issuing, struct bh_diag *diag)
{
    struct pas_issuing *i = calloc(1, sizeof(*i));
    char path[PATH_SIZE];
    enum bh_err e;

    if (i == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "issuing CA");
    if ((e = bh_path_join(path, sizeof(path), dir, "ca/issuing.key")) != BH_OK) {
        (void)bh_fail(diag, e, "the folder's path is too long");
        goto out;
    }
    if ((e = pas_key_file_load(path, "issuing.key", &i->key, diag)) != BH_OK ||
        (e = load_certs(dir, i, diag)) != BH_OK || (e = check_key(i, diag)) != BH_OK ||
        (e = check_chain(i, now, diag)) != BH_OK ||
        (e = pas_issuer_read(i->cert, config, &i->facts, diag)) != BH_OK)
        goto out;
    /* Once: what a signature costs beyond the curve's arithmetic is mostly this. */
    if ((e = bh_ecdsa_signer_new(i->key, &i->signer, diag)) != BH_OK)
        goto out;
    *ret_issuing = i;
    i = NULL;
out:
    pas_issuing_free(i);
    return e;
}

void
pas_issuing_free(struct pas_issuing *issuing)
{
    if (issuing == NULL)
        return;
    bh_ecdsa_signer_free(issuing->signer);
    EVP_PKEY_free(issuing->key);
    X509_free(issuing->cert);
    X509_free(issuing->root);
    free(issuing);
}

enum bh_err
pas_issuing_sign(void *arg, struct bh_span message, uint8_t *out, size_t *ret_len)
{
    const struct pas_issuing *i = arg;

    return bh_ecdsa_signer_sign(i->signer, message, bh_span_none(), out, ret_len, NULL);
}
