/* SPDX-License-Identifier: Apache-2.0 */
/* What the core does when memory runs out: an error that is named, no crash, no leak. */
#include "core/cmw.h"
#include "core/cose.h"
#include "core/ear.h"
#include "core/file.h"
#include "core/http.h"
#include "core/ipc.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/ca.h"
#include "support/starve.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 300
#define CODE (BH_STARVE_CODE | BH_STARVE_JSON)

static const char cmw_json[] =
    "{\"__cmwc_t\":\"tag:x\",\"a\":[\"text/plain\",\"AAAA\"],\"b\":[\"text/plain\",\"AAAA\"]}";

static enum bh_err
cmw_from_json(void *arg, struct bh_diag *diag)
{
    struct bh_cmw cmw = {0};
    const enum bh_err e = bh_cmw_from_json(bh_span_str(cmw_json), &cmw, diag);

    (void)arg;
    bh_cmw_clear(&cmw);
    return e;
}

static enum bh_err
cmw_from_cbor(void *arg, struct bh_diag *diag)
{
    static const uint8_t record[] = {0x82, 0x63, 'a', '/', 'b', 0x41, 0};
    struct bh_cmw cmw = {0};
    const enum bh_err e = bh_cmw_from_cbor(bh_span(record, sizeof(record)), &cmw, diag);

    (void)arg;
    bh_cmw_clear(&cmw);
    return e;
}

static enum bh_err
canonical(void *arg, struct bh_diag *diag)
{
    static const char text[] = "{\"b\":[1,true,null,\"x\\u00e4\\n\"],\"a\":{\"c\":-5}}";
    json_t *json = NULL;
    char *out = NULL;
    enum bh_err e;

    (void)arg;
    if ((e = bh_json_parse(bh_span_str(text), 4096, &json, diag)) == BH_OK)
        e = bh_json_canonical(json, &out, diag);
    free(out);
    json_decref(json);
    return e;
}

static enum bh_err
read_file(void *arg, struct bh_diag *diag)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    const enum bh_err e = bh_file_read(arg, 1 << 20, &bytes, &len, diag);

    free(bytes);
    return e;
}

/* Channels have no diag: their errors go to the process's loop. */
static enum bh_err
channel(void *arg, struct bh_diag *diag)
{
    struct bh_ipc *a = NULL, *b = NULL;
    struct bh_ipc_msg msg;
    int pair[2];
    bool got = false;
    enum bh_err e;

    (void)arg;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if ((e = bh_ipc_new(pair[0], false, &a)) != BH_OK)
        (void)close(pair[0]);
    if (e == BH_OK && (e = bh_ipc_new(pair[1], false, &b)) != BH_OK)
        (void)close(pair[1]);
    else if (a == NULL)
        (void)close(pair[1]);
    if (e == BH_OK && (e = bh_ipc_send(a, 1, 2, bh_span_str("hello"), -1)) == BH_OK)
        e = bh_ipc_receive(b, &msg, &got);
    cr_expect(e != BH_OK || got);
    bh_ipc_free(a);
    bh_ipc_free(b);
    return e == BH_OK ? e : bh_fail(diag, e, "channel");
}

Test(memory, formats)
{
    char path[] = "/tmp/bh-memory-XXXXXX";
    uint8_t large[20000] = {0};
    const int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, large, sizeof(large)), (ssize_t)sizeof(large));
    (void)close(fd);
    cr_expect_gt(bh_starve(CODE, MOST, cmw_from_json, NULL), 5);
    cr_expect_gt(bh_starve(CODE, MOST, cmw_from_cbor, NULL), 2);
    cr_expect_gt(bh_starve(CODE, MOST, canonical, NULL), 5);
    cr_expect_gt(bh_starve(CODE, MOST, read_file, path), 2);
    cr_expect_gt(bh_starve(CODE, MOST, channel, NULL), 3);
    (void)unlink(path);
}

struct world {
    struct bh_test_ca ca;
    EVP_PKEY *key, *ca_key;
    X509 *leaf;
    char *chain, *csr;
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    struct bh_ear ear;
    char *pem;
};

static void
begin(struct world *w)
{
    struct bh_test_leaf leaf;

    bh_test_ca_make(&w->ca, &(struct bh_test_root){.domain = "fleet.example"});
    w->key = bh_test_key("P-256");
    bh_test_leaf_init(&w->ca, &leaf, "payments", w->key, bh_time_now(), 3600);
    w->leaf = bh_test_leaf_issue(&w->ca, &leaf);
    w->chain = bh_test_chain_pem(&w->ca, w->leaf);
    w->ear = leaf.ear;
    cr_assert_eq(bh_csr_make(w->key, &w->csr, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(w->key, w->spki, sizeof(w->spki), &w->spki_len, NULL), BH_OK);
    cr_assert_eq(bh_key_to_pem(w->key, "secret", &w->pem, NULL), BH_OK);
}

static void
finish(struct world *w)
{
    bh_test_ca_clear(&w->ca);
    EVP_PKEY_free(w->key);
    X509_free(w->leaf);
    free(w->chain);
    free(w->csr);
    free(w->pem);
}

static enum bh_err
certificates(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    X509 *certs[4] = {NULL};
    uint8_t *der = NULL;
    size_t n = 0, len = 0;
    enum bh_err e;

    if ((e = bh_x509_pem(bh_span_str(w->chain), certs, 4, &n, diag)) == BH_OK &&
        (e = bh_x509_to_der(certs[0], &der, &len)) != BH_OK)
        (void)bh_fail(diag, e, "DER");
    OPENSSL_free(der);
    for (size_t i = 0; i < n; i++)
        X509_free(certs[i]);
    return e;
}

static enum bh_err
chain(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;

    return bh_x509_verify(w->leaf, &w->ca.issuing, 1, &w->ca.root, 1, bh_time_now(), diag);
}

static enum bh_err
keys(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    uint8_t spki[BH_SPKI_MAX];
    EVP_PKEY *key = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_spki_decode(bh_span(w->spki, w->spki_len), &key, diag)) == BH_OK)
        e = bh_spki_encode(key, spki, sizeof(spki), &len, diag);
    EVP_PKEY_free(key);
    return e;
}

static enum bh_err
request(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    struct bh_csr csr;

    return bh_csr_read(bh_span_str(w->csr), &csr, diag);
}

static enum bh_err
make_request(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    char *pem = NULL;
    const enum bh_err e = bh_csr_make(w->key, &pem, diag);

    free(pem);
    return e;
}

static enum bh_err
private_key(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    EVP_PKEY *key = NULL;
    char *pem = NULL;
    enum bh_err e;

    if ((e = bh_key_from_pem(bh_span_str(w->pem), "secret", &key, diag)) == BH_OK)
        e = bh_key_to_pem(key, NULL, &pem, diag);
    EVP_PKEY_free(key);
    free(pem);
    return e;
}

static enum bh_err
cose(void *arg, struct bh_diag *diag)
{
    static const uint8_t secret[32] = {1};
    const struct world *w = arg;
    uint8_t out[512];
    struct bh_cose c;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_cose_sign(bh_span_str("x"), w->key, true, out, sizeof(out), &len, diag)) != BH_OK ||
        (e = bh_cose_decode(bh_span(out, len), BH_COSE_FORM_TAGGED_SIGN1, &c, diag)) != BH_OK ||
        (e = bh_cose_verify(&c, w->key, diag)) != BH_OK ||
        (e = bh_cose_mac(bh_span_str("x"), bh_span(secret, 32), BH_COSE_HS256, true, out,
             sizeof(out), &len, diag)) != BH_OK ||
        (e = bh_cose_decode(bh_span(out, len), BH_COSE_FORM_TAGGED_MAC0, &c, diag)) != BH_OK)
        return e;
    return bh_cose_verify_mac(&c, bh_span(secret, 32), diag);
}

static enum bh_err
ear_text(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    char *text = NULL;
    const enum bh_err e = bh_ear_jwt_input(&w->ear, &text, diag);

    free(text);
    return e;
}

static enum bh_err
client(void *arg, struct bh_diag *diag)
{
    const struct world *w = arg;
    struct bh_http *http = NULL;
    const enum bh_err e =
        bh_http_new("https://127.0.0.1:1", bh_span_str(w->ca.root_pem), 1000, &http, diag);

    bh_http_free(http);
    return e;
}

Test(memory, cryptography, .timeout = 120)
{
    struct world w = {0};

    begin(&w);
    cr_expect_gt(bh_starve(BH_STARVE_OPENSSL, MOST, certificates, &w), 20);
    cr_expect_gt(bh_starve(BH_STARVE_OPENSSL, MOST, chain, &w), 10);
    cr_expect_gt(bh_starve(BH_STARVE_OPENSSL, MOST, keys, &w), 5);
    cr_expect_gt(bh_starve(BH_STARVE_OPENSSL, MOST, request, &w), 5);
    cr_expect_gt(bh_starve(BH_STARVE_CODE | BH_STARVE_OPENSSL, MOST, make_request, &w), 1);
    cr_expect_gt(bh_starve(BH_STARVE_CODE | BH_STARVE_OPENSSL, MOST, private_key, &w), 1);
    cr_expect_gt(bh_starve(BH_STARVE_OPENSSL, MOST, cose, &w), 5);
    cr_expect_gt(bh_starve(CODE, MOST, ear_text, &w), 5);
    cr_expect_gt(bh_starve(BH_STARVE_CODE, MOST, client, &w), 1);
    finish(&w);
}
