/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include "core/binding.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 20000
#define REPLY_MAX (1024 * 1024)

bool
chaos_client_open(struct chaos *c, const struct chaos_site *site, const char *platform,
    struct chaos_client *ret_client)
{
    struct bh_diag diag = {0};

    *ret_client = (struct chaos_client){.site = site};
    if (agent_device_load(site->simulator, platform, &ret_client->device, &diag) != BH_OK) {
        chaos_fail(c, "no %s device: %s", platform, diag.detail);
        return false;
    }
    return chaos_client_connect(c, ret_client, TIMEOUT_MS);
}

bool
chaos_client_connect(struct chaos *c, struct chaos_client *client, long timeout_ms)
{
    const struct bh_test_server *s = &client->site->server;
    struct bh_diag diag = {0};

    bh_http_free(client->http);
    client->http = NULL;
    if (bh_http_new(s->url, bh_span(s->roots, s->roots_len), timeout_ms, &client->http, &diag) ==
        BH_OK)
        return true;
    chaos_fail(c, "no client: %s", diag.detail);
    return false;
}

void
chaos_client_close(struct chaos_client *client)
{
    agent_device_free(client->device);
    bh_http_free(client->http);
    EVP_PKEY_free(client->key);
    free(client->csr);
    *client = (struct chaos_client){0};
}

void
chaos_attempt_clear(struct chaos_attempt *attempt)
{
    free(attempt->body);
    free(attempt->reply);
    memset(attempt, 0, sizeof(*attempt));
}

/* ---- certificates ---- */

static bool
der_digest(X509 *cert, uint8_t ret_digest[32])
{
    uint8_t *der = NULL;
    const int len = i2d_X509(cert, &der);
    bool ok;

    if (len <= 0)
        return false;
    ok = bh_sha2(256, bh_span(der, (size_t)len), ret_digest) == BH_OK;
    OPENSSL_free(der);
    return ok;
}

bool
chaos_pem_digest(const char *pem, uint8_t ret_digest[32])
{
    X509 *certs[4] = {NULL};
    size_t len = 0;
    bool ok;

    if (bh_x509_pem(bh_span_str(pem), certs, 4, &len, NULL) != BH_OK)
        return false;
    ok = len > 0 && der_digest(certs[0], ret_digest);
    for (size_t i = 0; i < len; i++)
        X509_free(certs[i]);
    return ok;
}

static bool
holds_key(X509 *leaf, const struct chaos_attempt *a)
{
    uint8_t *spki = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &spki);
    const bool same =
        len > 0 && (size_t)len == a->spki_len && memcmp(spki, a->spki, a->spki_len) == 0;

    OPENSSL_free(spki);
    return same;
}

static const char *
chain_is_wrong(
    const struct chaos_site *site, X509 *const *certs, size_t len, const struct chaos_attempt *a)
{
    X509 *roots[4] = {NULL};
    size_t roots_len = 0;
    const char *wrong = NULL;

    if (len != 2)
        return "not two certificates";
    if (bh_x509_pem(bh_span(site->server.roots, site->server.roots_len), roots, 4, &roots_len,
            NULL) != BH_OK ||
        roots_len == 0)
        return "no root";
    if (!holds_key(certs[0], a))
        wrong = "another key";
    else if (X509_verify(certs[0], X509_get0_pubkey(certs[1])) != 1 ||
             X509_verify(certs[1], X509_get0_pubkey(roots[0])) != 1)
        wrong = "the chain does not verify";
    for (size_t i = 0; i < roots_len; i++)
        X509_free(roots[i]);
    return wrong;
}

static void
take_certificate(const struct chaos_site *site, const json_t *json, struct chaos_attempt *a)
{
    const char *pem = json_string_value(json_object_get(json, "certificate"));
    const char *serial = json_string_value(json_object_get(json, "serial"));
    X509 *certs[4] = {NULL};
    size_t len = 0, serial_len = 0;
    const char *wrong = NULL;

    if (pem == NULL || serial == NULL || strlen(serial) != 2 * CHAOS_SERIAL ||
        bh_unhex(bh_span_str(serial), a->serial, CHAOS_SERIAL, &serial_len) != BH_OK ||
        bh_x509_pem(bh_span_str(pem), certs, 4, &len, NULL) != BH_OK)
        wrong = "no certificate, or no serial";
    else if ((wrong = chain_is_wrong(site, certs, len, a)) == NULL &&
             !der_digest(certs[0], a->digest))
        wrong = "no digest";
    for (size_t i = 0; i < len; i++)
        X509_free(certs[i]);
    if (wrong != NULL)
        (void)snprintf(a->wrong, sizeof(a->wrong), "a 201 with a wrong answer: %s", wrong);
}

/* ---- requests ---- */

static void
take_problem(const json_t *json, struct chaos_attempt *a)
{
    const char *check = json_string_value(json_object_get(json, "check"));
    const char *type = json_string_value(json_object_get(json, "type"));

    (void)snprintf(a->check, sizeof(a->check), "%s", check != NULL ? check : "");
    (void)snprintf(a->code, sizeof(a->code), "%s",
        type != NULL && strncmp(type, "urn:beachhead:error:", 20) == 0 ? type + 20 : "");
    if (json_object_get(json, "certificate") != NULL || strstr(a->reply, "-----BEGIN") != NULL)
        (void)snprintf(a->wrong, sizeof(a->wrong), "a refusal holds a certificate");
}

void
chaos_post(struct chaos_client *client, const char *body, struct chaos_attempt *a)
{
    const struct bh_span bytes = bh_span_str(body);
    struct bh_http_reply reply = {0};
    const int64_t begin = chaos_now_ms();
    json_t *json = NULL;

    a->sent = true;
    if (bh_http_request(
            client->http, "/v1/certificates", "application/json", &bytes, &reply, NULL) == BH_OK) {
        a->status = reply.status;
        a->reply = reply.body;
    }
    a->took_ms = (long)(chaos_now_ms() - begin);
    if (a->reply == NULL)
        return;
    if (bh_json_parse(bh_span(reply.body, reply.body_len), REPLY_MAX, &json, NULL) != BH_OK)
        (void)snprintf(a->wrong, sizeof(a->wrong), "the answer is no JSON: %.100s", reply.body);
    else if (reply.status == 201)
        take_certificate(client->site, json, a);
    else
        take_problem(json, a);
    json_decref(json);
}

static bool
fresh_key(struct chaos_client *c, struct chaos_attempt *a)
{
    EVP_PKEY_free(c->key);
    c->key = NULL;
    free(c->csr);
    c->csr = NULL;
    if (bh_key_generate("P-256", &c->key, NULL) != BH_OK ||
        bh_csr_make(c->key, &c->csr, NULL) != BH_OK ||
        bh_spki_encode(c->key, c->spki, sizeof(c->spki), &c->spki_len, NULL) != BH_OK)
        return false;
    memcpy(a->spki, c->spki, c->spki_len);
    a->spki_len = c->spki_len;
    return true;
}

static bool
challenge(struct chaos_client *c, struct chaos_attempt *a, char out[CHAOS_CHALLENGE_MAX])
{
    const struct bh_span body = bh_span("{}", 2);
    const int64_t begin = chaos_now_ms();
    struct bh_http_reply reply = {0};
    json_t *json = NULL;
    const char *text = NULL;

    out[0] = '\0';
    if (bh_http_request(c->http, "/v1/challenges", "application/json", &body, &reply, NULL) ==
        BH_OK)
        a->status = reply.status;
    a->asked_ms = (long)(chaos_now_ms() - begin);
    if (a->status == 201 &&
        bh_json_parse(bh_span(reply.body, reply.body_len), 4096, &json, NULL) == BH_OK &&
        (text = json_string_value(json_object_get(json, "challenge"))) != NULL)
        (void)snprintf(out, CHAOS_CHALLENGE_MAX, "%s", text);
    else if (a->status == 201)
        (void)snprintf(a->wrong, sizeof(a->wrong), "a 201 without a challenge");
    json_decref(json);
    if (out[0] == '\0')
        a->reply = reply.body;
    else
        bh_http_reply_clear(&reply);
    return out[0] != '\0';
}

static char *
make_body(struct chaos_client *c, const char *text, enum agent_tamper tamper)
{
    uint8_t bytes[CHAOS_CHALLENGE_MAX], binding[BH_BINDING_LEN];
    const struct bh_span spki = bh_span(c->spki, c->spki_len);
    char *cmw = NULL, *body = NULL;
    size_t len = 0;
    json_t *json;

    if (bh_unbase64url(bh_span_str(text), bytes, sizeof(bytes), &len) != BH_OK ||
        bh_binding(bh_span(bytes, len), spki, bh_span_none(), binding) != BH_OK ||
        agent_device_evidence(c->device, binding, spki, tamper, bh_time_now(), &cmw, NULL) != BH_OK)
        return NULL;
    json = json_pack("{s:s,s:s,s:s,s:o}", "challenge", text, "workload", CHAOS_WORKLOAD, "csr",
        c->csr, "evidence", json_loads(cmw, 0, NULL));
    if (json != NULL)
        body = bh_json_text(json, false);
    json_decref(json);
    free(cmw);
    return body;
}

void
chaos_enrol(struct chaos_client *c, enum agent_tamper tamper, struct chaos_attempt *a)
{
    char text[CHAOS_CHALLENGE_MAX];

    memset(a, 0, sizeof(*a));
    if (!fresh_key(c, a)) {
        (void)snprintf(a->wrong, sizeof(a->wrong), "no key");
        return;
    }
    if (!challenge(c, a, text))
        return;
    a->status = 0;
    if ((a->body = make_body(c, text, tamper)) == NULL)
        (void)snprintf(a->wrong, sizeof(a->wrong), "no evidence");
    else
        chaos_post(c, a->body, a);
}

long
chaos_get(struct chaos_client *client, const char *path, char **ret_body, long *ret_ms)
{
    const int64_t begin = chaos_now_ms();
    struct bh_http_reply reply = {0};
    long status = 0;

    if (bh_http_request(client->http, path, NULL, NULL, &reply, NULL) == BH_OK)
        status = reply.status;
    if (ret_ms != NULL)
        *ret_ms = (long)(chaos_now_ms() - begin);
    if (ret_body != NULL) {
        *ret_body = reply.body;
    } else {
        bh_http_reply_clear(&reply);
    }
    return status;
}
