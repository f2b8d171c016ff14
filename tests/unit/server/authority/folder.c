/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "core/file.h"
#include "core/x509.h"
#include "store/store.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
in(const char *dir, const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void
make_cert(const char *path, int days)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();
    EVP_PKEY *key = NULL;
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert(X509_NAME_add_entry_by_txt(
        name, "O", MBSTRING_UTF8, (const unsigned char *)"fleet.example", -1, -1, 0));
    cr_assert(X509_set_version(cert, 2) && X509_set_subject_name(cert, name) &&
              X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
              X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days) != NULL &&
              ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
              X509_sign(cert, key, EVP_sha256()) > 0 && PEM_write_X509(f, cert));
    cr_assert_eq(fclose(f), 0);
    X509_NAME_free(name);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void
folder_make(char out[256], int issuer_days)
{
    const char *tmp = getenv("TMPDIR");
    struct bh_diag diag = {0};

    (void)snprintf(out, 256, "%s/beachhead-authority-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(out));
    cr_assert_eq(pas_store_create(in(out, "store"), &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(mkdir(in(out, "ca"), 0700), 0);
    make_cert(in(out, "ca/root.crt"), 3650);
    make_cert(in(out, "ca/issuing.crt"), issuer_days);
}

void
folder_remove(const char *dir)
{
    static const char *const files[] = {"store/state.db", "store/state.db-wal",
        "store/state.db-shm", "ca/root.crt", "ca/issuing.crt"};

    for (size_t i = 0; i < BH_COUNT(files); i++)
        (void)unlink(in(dir, files[i]));
    (void)rmdir(in(dir, "store"));
    (void)rmdir(in(dir, "ca"));
    (void)rmdir(dir);
}
