/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own keys and certificates: ca/ and tls/. */
#include "examine.h"

#include "core/file.h"
#include "core/x509.h"
#include "signer/issuing.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

#define PATH_SIZE 4608

struct files {
    EVP_PKEY *key;
    X509 *certs[PAS_CHAIN_MAX];
    size_t len;
};

static bool
path_of(const struct pas_examination *x, const char *file, char path[PATH_SIZE])
{
    return bh_path_join(path, PATH_SIZE, x->dir, file) == BH_OK;
}

static void
load_key(struct pas_examination *x, const char *file, const char *what, struct files *f)
{
    char path[PATH_SIZE];
    struct bh_diag diag = {0};

    if (path_of(x, file, path) && pas_key_file_load(path, what, &f->key, &diag) != BH_OK)
        pas_problem_diag(&x->problems, file, NULL, &diag);
}

static void
load_certs(struct pas_examination *x, const char *file, size_t cap, struct files *f)
{
    char path[PATH_SIZE];
    struct bh_diag diag = {0};

    if (path_of(x, file, path) && pas_cert_file_load(path, f->certs, cap, &f->len, &diag) != BH_OK)
        pas_problem_diag(&x->problems, file, NULL, &diag);
}

static void
clear(struct files *f)
{
    EVP_PKEY_free(f->key);
    for (size_t i = 0; i < f->len; i++)
        X509_free(f->certs[i]);
}

/* Expiry itself is told by the chain's verification. */
static void
warn_of_expiry(struct pas_examination *x, const char *file, X509 *cert)
{
    time_t now = (time_t)x->now, soon = (time_t)(x->now + PAS_EXPIRY_WARNING);

    if (X509_cmp_time(X509_get0_notAfter(cert), &now) > 0 &&
        X509_cmp_time(X509_get0_notAfter(cert), &soon) <= 0)
        pas_problem(&x->problems, false, file, "notAfter", "renew it before then",
            "the certificate expires within 30 days");
}

static void
examine_pair(struct pas_examination *x, const char *file, const char *what, const struct files *f)
{
    struct bh_diag diag = {0};

    if (f->key != NULL && f->len > 0 && pas_key_fits(f->certs[0], f->key, what, &diag) != BH_OK)
        pas_problem_diag(&x->problems, file, NULL, &diag);
}

/* ---- ca/ ---- */

static void
examine_root(struct pas_examination *x, const struct files *root)
{
    char path[PATH_SIZE];
    struct bh_diag diag = {0};
    EVP_PKEY *key = NULL;
    uint8_t *pem = NULL;
    size_t len = 0;

    if (root->len > 0 &&
        bh_x509_verify(root->certs[0], NULL, 0, root->certs, 1, x->now, &diag) != BH_OK) {
        bh_name_check(&diag, "root.chain");
        pas_problem_diag(&x->problems, "ca/root.crt", NULL, &diag);
    }
    if (root->len > 0)
        warn_of_expiry(x, "ca/root.crt", root->certs[0]);
    if (!x->config_good || x->config.allow_simulated || !path_of(x, "ca/root.key", path) ||
        bh_file_read(path, PAS_PEM_MAX, &pem, &len, NULL) != BH_OK)
        return;
    if (bh_key_from_pem(bh_span(pem, len), NULL, &key, NULL) == BH_OK)
        pas_problem(&x->problems, true, "ca/root.key", "root.key",
            "move it offline, or encrypt it: openssl pkcs8 -topk8",
            "the root's private key lies readable beside the server");
    EVP_PKEY_free(key);
    OPENSSL_cleanse(pem, len);
    free(pem);
}

static void
examine_issuing(struct pas_examination *x, const struct files *issuing, const struct files *root)
{
    struct pas_issuer *facts = calloc(1, sizeof(*facts));
    struct bh_diag chain = {0}, profile = {0};

    if (facts == NULL)
        x->problems.failed = true;
    if (facts == NULL || issuing->len == 0)
        goto out;
    if (root->len > 0 &&
        bh_x509_verify(issuing->certs[0], NULL, 0, root->certs, 1, x->now, &chain) != BH_OK) {
        bh_name_check(&chain, "issuing.chain");
        bh_hint(&chain, "ca/issuing.crt must be issued by ca/root.crt and be valid now");
        pas_problem_diag(&x->problems, "ca/issuing.crt", NULL, &chain);
    }
    warn_of_expiry(x, "ca/issuing.crt", issuing->certs[0]);
    if (x->config_good && pas_issuer_read(issuing->certs[0], &x->config, facts, &profile) != BH_OK)
        pas_problem_diag(&x->problems, "ca/issuing.crt", NULL, &profile);
out:
    free(facts);
}

void
pas_examine_ca(struct pas_examination *x)
{
    struct files root = {0}, issuing = {0};

    load_certs(x, "ca/root.crt", 1, &root);
    load_certs(x, "ca/issuing.crt", 1, &issuing);
    load_key(x, "ca/issuing.key", "issuing.key", &issuing);
    examine_root(x, &root);
    examine_issuing(x, &issuing, &root);
    examine_pair(x, "ca/issuing.key", "issuing.key", &issuing);
    if (issuing.key != NULL && strcmp(bh_key_name(issuing.key), "P-256") != 0)
        pas_problem(&x->problems, true, "ca/issuing.key", "issuing.key.type",
            "make the issuing CA with a P-256 key", "expected P-256, found %s",
            bh_key_name(issuing.key));
    clear(&root);
    clear(&issuing);
}

/* ---- tls/ ---- */

static bool
has_identity(X509 *cert, const char *domain)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char wanted[320];
    bool found = false;

    (void)snprintf(wanted, sizeof(wanted), "spiffe://%s/beachhead/server", domain);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI)
            found = found || bh_span_is(bh_span(ASN1_STRING_get0_data(name->d.ia5),
                                            (size_t)ASN1_STRING_length(name->d.ia5)),
                                 wanted);
    }
    GENERAL_NAMES_free(names);
    return found;
}

static void
examine_server_names(struct pas_examination *x, X509 *cert)
{
    char host[PAS_CONFIG_HOST_MAX] = "";
    uint16_t port;

    if (!has_identity(cert, x->config.trust_domain))
        pas_problem(&x->problems, true, "tls/server.crt", "subjectAltName",
            "agents accept no other server: restore the certificate that init made",
            "the certificate is not of spiffe://%s/beachhead/server", x->config.trust_domain);
    for (size_t i = 0; i < x->config.dns_len; i++)
        if (X509_check_host(cert, x->config.dns[i], 0, 0, NULL) != 1)
            pas_problem(&x->problems, false, "tls/server.crt", "subjectAltName",
                "clients that check host names will refuse it",
                "the DNS name %s of server.json is not in it", x->config.dns[i]);
    if (pas_config_listen(x->config.listen, host, &port, NULL) == BH_OK &&
        strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0 &&
        X509_check_ip_asc(cert, host, 0) != 1)
        pas_problem(&x->problems, false, "tls/server.crt", "subjectAltName",
            "clients that check addresses will refuse it",
            "the address %s of server.json is not in it", host);
}

void
pas_examine_tls(struct pas_examination *x)
{
    struct files server = {0}, root = {0};
    struct bh_diag diag = {0};
    char path[PATH_SIZE];

    load_certs(x, "tls/server.crt", PAS_CHAIN_MAX, &server);
    load_key(x, "tls/server.key", "tls.key", &server);
    examine_pair(x, "tls/server.key", "tls.key", &server);
    /* A root that cannot be read was told about with ca/. */
    if (path_of(x, "ca/root.crt", path) &&
        pas_cert_file_load(path, root.certs, 1, &root.len, NULL) == BH_OK && server.len > 0 &&
        bh_x509_verify(server.certs[0], server.certs + 1, server.len - 1, root.certs, 1, x->now,
            &diag) != BH_OK) {
        bh_name_check(&diag, "tls.chain");
        bh_hint(&diag, "tls/server.crt holds the server's certificate and then the issuing CA's");
        pas_problem_diag(&x->problems, "tls/server.crt", NULL, &diag);
    }
    if (server.len > 0) {
        warn_of_expiry(x, "tls/server.crt", server.certs[0]);
        if (x->config_good)
            examine_server_names(x, server.certs[0]);
    }
    clear(&server);
    clear(&root);
}
