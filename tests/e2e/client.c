/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "core/binding.h"
#include "core/cmw.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SKIPPED 77
#define TIMEOUT_MS 30000
#define CHALLENGE_CAP 256
#define REPLY_MAX (1024 * 1024)

const char *
bin_dir(void)
{
    const char *other = getenv("BH_BIN_DIR_OVERRIDE");

    return other != NULL && other[0] != '\0' ? other : BH_BIN_DIR;
}

void
skip_without_programs(void)
{
    char path[600];

    if (bh_path_join(path, sizeof(path), bin_dir(), "beachhead-server") == BH_OK &&
        access(path, X_OK) == 0)
        return;
    (void)fprintf(stderr,
        "\n*** SKIP: %s does not exist: the end-to-end tests of the release build are not run.\n"
        "*** cmake --preset release && cmake --build --preset release\n\n",
        path);
    _exit(SKIPPED);
}

/* ---- devices ---- */

void
client_rekey(struct client *c, const char *key)
{
    struct bh_diag diag = {0};

    EVP_PKEY_free(c->key);
    c->key = NULL;
    free(c->csr);
    c->csr = NULL;
    cr_assert_eq(bh_key_generate(key, &c->key, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_csr_make(c->key, &c->csr, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_spki_encode(c->key, c->spki, sizeof(c->spki), &c->spki_len, &diag), BH_OK);
}

void
client_open(struct client *c, const char *platform, const char *simulator)
{
    struct bh_diag diag = {0};
    enum bh_err e;

    *c = (struct client){.workload = "w"};
    if (simulator != NULL)
        e = agent_device_load(simulator, platform, &c->device, &diag);
    else
        e = agent_device_make(platform, 1, &c->device, &diag);
    cr_assert_eq(e, BH_OK, "%s", diag.detail);
    client_rekey(c, "P-256");
}

void
client_connect(struct client *c, const char *url, struct bh_span roots)
{
    struct bh_diag diag = {0};

    bh_http_free(c->http);
    c->http = NULL;
    cr_assert_eq(bh_http_new(url, roots, TIMEOUT_MS, &c->http, &diag), BH_OK, "%s", diag.detail);
}

void
client_close(struct client *c)
{
    agent_device_free(c->device);
    bh_http_free(c->http);
    EVP_PKEY_free(c->key);
    free(c->csr);
    *c = (struct client){0};
}

/* ---- requests ---- */

void
reply_clear(struct reply *r)
{
    json_decref(r->json);
    free(r->text);
    *r = (struct reply){0};
}

const char *
reply_string(const struct reply *r, const char *member)
{
    const char *text = json_string_value(json_object_get(r->json, member));

    return text != NULL ? text : "";
}

static void
send_request(struct client *c, const char *path, const struct bh_span *body, struct reply *r)
{
    struct bh_http_reply reply = {0};
    struct bh_diag diag = {0};

    *r = (struct reply){0};
    cr_assert_eq(bh_http_request(c->http, path, "application/json", body, &reply, &diag), BH_OK,
        "%s: %s", path, diag.detail);
    r->status = reply.status;
    memcpy(r->type, reply.content_type, sizeof(r->type));
    r->text = reply.body;
    if (strstr(reply.content_type, "json") != NULL)
        cr_assert_eq(bh_json_parse(bh_span(reply.body, reply.body_len), REPLY_MAX, &r->json, &diag),
            BH_OK, "%s: %s", path, reply.body);
}

void
client_get(struct client *c, const char *path, struct reply *r)
{
    send_request(c, path, NULL, r);
}

void
client_post(struct client *c, const char *path, struct bh_span body, struct reply *r)
{
    send_request(c, path, &body, r);
}

void
client_post_json(struct client *c, const char *path, json_t *body, struct reply *r)
{
    char *text = bh_json_text(body, false);

    json_decref(body);
    cr_assert_not_null(text);
    client_post(c, path, bh_span_str(text), r);
    free(text);
}

char *
client_challenge(struct client *c)
{
    struct reply r;
    char *challenge;

    client_post(c, "/v1/challenges", bh_span_str("{}"), &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    challenge = strdup(reply_string(&r, "challenge"));
    cr_assert_not_null(challenge);
    reply_clear(&r);
    return challenge;
}

static void
bind_to(struct client *c, const char *challenge, const struct enrolment *how,
    uint8_t binding[BH_BINDING_LEN])
{
    const char *text = how->bound_challenge != NULL ? how->bound_challenge : challenge;
    const struct bh_span spki =
        how->bound_spki.len > 0 ? how->bound_spki : bh_span(c->spki, c->spki_len);
    const struct bh_span context = how->bound_context.len > 0 ? how->bound_context : how->context;
    uint8_t bytes[CHALLENGE_CAP];
    size_t len = 0;

    /* What does not decode is refused before its binding matters. */
    if (bh_unbase64url(bh_span_str(text), bytes, sizeof(bytes), &len) != BH_OK)
        len = 0;
    cr_assert_eq(bh_binding(bh_span(bytes, len), spki, context, binding), BH_OK);
}

json_t *
client_request(struct client *c, const struct enrolment *how)
{
    const struct bh_span spki =
        how->bound_spki.len > 0 ? how->bound_spki : bh_span(c->spki, c->spki_len);
    const struct bh_span named = how->named_spki.len > 0 ? how->named_spki : spki;
    char *challenge = how->challenge != NULL ? strdup(how->challenge) : client_challenge(c);
    uint8_t binding[BH_BINDING_LEN];
    char context[128], *cmw = NULL;
    struct bh_diag diag = {0};
    json_t *json;

    bind_to(c, challenge, how, binding);
    cr_assert_eq(
        agent_device_evidence(c->device, binding, named, how->tamper, bh_time_now(), &cmw, &diag),
        BH_OK, "%s", diag.detail);
    json = json_pack("{s:s,s:s,s:s,s:o}", "challenge", challenge, "workload",
        how->workload != NULL ? how->workload : c->workload, "csr",
        how->csr != NULL ? how->csr : c->csr, "evidence", json_loads(cmw, 0, NULL));
    cr_assert_not_null(json);
    if (how->context.len > 0)
        (void)json_object_set_new(
            json, "context", json_string(bh_base64url(how->context, context, sizeof(context))));
    free(cmw);
    free(challenge);
    return json;
}

void
client_enrol(struct client *c, const struct enrolment *how, struct reply *r)
{
    client_post_json(c, "/v1/certificates", client_request(c, how), r);
}

json_t *
cmw_of(const char *type, struct bh_span raw)
{
    const size_t size = bh_base64url_len(raw.len) + 1;
    char *text = malloc(size);
    json_t *json;

    cr_assert_not_null(text);
    json = json_pack("[s,s]", type, bh_base64url(raw, text, size));
    free(text);
    cr_assert_not_null(json);
    return json;
}

/* ---- answers ---- */

void
reply_chain(const struct reply *r, X509 **ret_leaf, X509 **ret_issuer)
{
    X509 *certs[4] = {NULL};
    struct bh_diag diag = {0};
    size_t count = 0;

    cr_assert_eq(r->status, 201, "%s", r->text);
    cr_assert_eq(bh_x509_pem(bh_span_str(reply_string(r, "certificate")), certs, 4, &count, &diag),
        BH_OK, "%s", diag.detail);
    cr_assert_eq(count, 2, "%zu certificates", count);
    *ret_leaf = certs[0];
    *ret_issuer = certs[1];
}

/* No PEM, and no base64 of the length of a certificate's DER ("MII...", either alphabet). */
void
assert_no_certificate(const char *text)
{
    size_t run = 0;

    cr_assert_null(strstr(text, "-----BEGIN"), "%s", text);
    cr_assert_null(strstr(text, "\"certificate\""), "%s", text);
    cr_assert_null(strstr(text, "\"ear\""), "%s", text);
    for (const char *p = text; *p != '\0'; p++) {
        const bool in = isalnum((unsigned char)*p) || strchr("+/-_=", *p) != NULL;

        run = in ? run + 1 : 0;
        /* A binding in hex has 128 digits, and DER of a certificate is longer than that. */
        cr_assert_lt(run, 200, "%s", text);
    }
}

double
metric_of(const char *metrics, const char *name)
{
    const size_t len = strlen(name);

    for (const char *line = metrics; line != NULL && *line != '\0';) {
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len + 1, NULL);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}
