/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>

static void
need(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "fixture: %s\n", what);
        abort();
    }
}

static void
write_cert(const struct fixture *f, const char *name, X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char path[512], *text;
    long len;

    need(bio != NULL && PEM_write_bio_X509(bio, cert) == 1, name);
    len = BIO_get_mem_data(bio, &text);
    (void)snprintf(path, sizeof(path), "%s/ca/%s", f->dir, name);
    need(bh_file_write(path, bh_span(text, (size_t)len), 0644, NULL) == BH_OK, path);
    BIO_free(bio);
}

static void
write_folder(struct fixture *f)
{
    const char *tmp = getenv("TMPDIR");
    char path[512], *pem = NULL;

    (void)snprintf(f->dir, sizeof(f->dir), "%.200s/bh-signer-XXXXXX", tmp != NULL ? tmp : "/tmp");
    need(mkdtemp(f->dir) != NULL, "mkdtemp");
    (void)snprintf(path, sizeof(path), "%s/ca", f->dir);
    need(mkdir(path, 0700) == 0, path);
    write_cert(f, "root.crt", f->ca.root);
    write_cert(f, "issuing.crt", f->ca.issuing);
    need(bh_key_to_pem(f->ca.issuing_key, NULL, &pem, NULL) == BH_OK, "key");
    (void)snprintf(path, sizeof(path), "%s/ca/issuing.key", f->dir);
    need(bh_file_write(path, bh_span_str(pem), 0600, NULL) == BH_OK, path);
    OPENSSL_cleanse(pem, strlen(pem));
    free(pem);
}

void
fixture_encode(struct fixture *f)
{
    struct bh_diag diag = {0};
    size_t len = 0;

    need(bh_ear_encode(&f->ear, f->claims, sizeof(f->claims), &len, &diag) == BH_OK, diag.detail);
    f->request.ear = bh_span(f->claims, len);
}

void
fixture_key(struct fixture *f, const char *type)
{
    EVP_PKEY_free(f->key);
    need(bh_key_generate(type, &f->key, NULL) == BH_OK &&
             bh_spki_encode(f->key, f->spki, sizeof(f->spki), &f->spki_len, NULL) == BH_OK,
        type);
    f->request.spki = bh_span(f->spki, f->spki_len);
    memcpy(f->ear.spki, f->spki, f->spki_len);
    f->ear.spki_len = f->spki_len;
}

static void
fill_ear(struct fixture *f, bool simulated)
{
    struct bh_ear_submod *s = &f->ear.submods[0];

    f->ear.iat = f->now;
    f->ear.exp = f->request.not_after;
    f->ear.simulated = simulated;
    (void)snprintf(f->ear.workload, sizeof(f->ear.workload), "payments");
    (void)snprintf(f->ear.owner, sizeof(f->ear.owner), "any");
    f->ear.submods_len = 1;
    (void)snprintf(s->platform, sizeof(s->platform), "psa");
    s->status = simulated ? BH_EAR_WARNING : BH_EAR_AFFIRMING;
    s->has_vector = true;
    s->trust[BH_TRUST_EXECUTABLES] = 2;
    s->trust[BH_TRUST_HARDWARE] = simulated ? 0 : 2;
    s->policy_digest[0] = 7;
}

void
fixture_init(struct fixture *f, bool simulated)
{
    struct bh_diag diag = {0};

    memset(f, 0, sizeof(*f));
    f->now = bh_time_now();
    pas_config_defaults(&f->config);
    (void)snprintf(f->config.trust_domain, sizeof(f->config.trust_domain), "fleet.example");
    f->config.dns_len = 2;
    (void)snprintf(f->config.dns[0], sizeof(f->config.dns[0]), "attest.fleet.example");
    (void)snprintf(f->config.dns[1], sizeof(f->config.dns[1]), "svc.other.example");
    f->config.allow_simulated = simulated;
    need(pas_ca_make(&f->config, NULL, f->now, &f->ca, &diag) == BH_OK, diag.detail);
    write_folder(f);

    memset(f->request.serial, 0xa5, sizeof(f->request.serial));
    f->request.not_before = f->now - 60;
    f->request.not_after = f->now + 3600;
    f->request.workload = bh_span_str("payments");
    f->request.dns_len = 1;
    f->request.dns[0] = bh_span_str("payments.fleet.example");
    fixture_key(f, "P-256");
    fill_ear(f, simulated);
    fixture_encode(f);
}

void
fixture_clear(struct fixture *f)
{
    static const char *const names[] = {
        "ca/root.crt", "ca/issuing.crt", "ca/issuing.key", "ca", ""};
    char path[512];

    for (size_t i = 0; i < BH_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
        (void)remove(path);
    }
    EVP_PKEY_free(f->key);
    pas_ca_clear(&f->ca);
}
