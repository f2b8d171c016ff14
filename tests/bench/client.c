/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "core/binding.h"
#include "core/http.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdlib.h>
#include <time.h>

#define TIMEOUT_MS 30000
#define CHALLENGE_CAP 256

struct bench_client {
    struct agent_device *device;
    struct bh_http *http;
    EVP_PKEY *key;
    char *csr;
    char workload[64];
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    size_t bodies_len;
    char **bodies;
    size_t request_len, reply_len;
};

static enum bh_err
admit(const struct bh_test_server *server, struct agent_device *device, const char *workload,
    struct bh_diag *diag)
{
    return agent_device_admit(device, server->home, workload, "bench.example", diag);
}

/* Devices are admitted before the server starts; the connection is made with the first request. */
enum bh_err
bench_client_new(const struct bh_test_server *server, const char *platform, uint32_t instance,
    const char *workload, struct bench_client **ret_client, struct bh_diag *diag)
{
    struct bench_client *c = calloc(1, sizeof(*c));
    enum bh_err e;

    if (c == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "client");
    for (size_t i = 0; workload[i] != '\0' && i < sizeof(c->workload) - 1; i++)
        c->workload[i] = workload[i];
    if ((e = agent_device_make(platform, instance, &c->device, diag)) != BH_OK ||
        (e = admit(server, c->device, workload, diag)) != BH_OK ||
        (e = bh_key_generate("P-256", &c->key, diag)) != BH_OK ||
        (e = bh_csr_make(c->key, &c->csr, diag)) != BH_OK ||
        (e = bh_spki_encode(c->key, c->spki, sizeof(c->spki), &c->spki_len, diag)) != BH_OK)
        goto out;
    *ret_client = c;
    c = NULL;
out:
    bench_client_free(c);
    return e;
}

static void
drop_bodies(struct bench_client *c)
{
    for (size_t i = 0; i < c->bodies_len; i++)
        free(c->bodies[i]);
    free(c->bodies);
    c->bodies = NULL;
    c->bodies_len = 0;
}

void
bench_client_free(struct bench_client *client)
{
    if (client == NULL)
        return;
    drop_bodies(client);
    agent_device_free(client->device);
    bh_http_free(client->http);
    EVP_PKEY_free(client->key);
    free(client->csr);
    free(client);
}

enum bh_err
bench_client_connect(
    struct bench_client *client, const struct bh_test_server *server, struct bh_diag *diag)
{
    return bh_http_new(
        server->url, bh_span(server->roots, server->roots_len), TIMEOUT_MS, &client->http, diag);
}

static enum bh_err
fetch_challenge(struct bench_client *c, char text[CHALLENGE_CAP], struct bh_diag *diag)
{
    const struct bh_span body = bh_span("{}", 2);
    struct bh_http_reply reply = {0};
    const char *challenge = NULL;
    json_t *json = NULL;
    enum bh_err e;

    if ((e = bh_http_request(c->http, "/v1/challenges", "application/json", &body, &reply, diag)) !=
        BH_OK)
        return e;
    if (reply.status != 201)
        e = bh_http_problem(&reply, diag);
    else if ((e = bh_json_parse(bh_span(reply.body, reply.body_len), 4096, &json, diag)) == BH_OK)
        e = bh_json_string(json, "challenge", false, &challenge, diag);
    if (e == BH_OK && strlen(challenge) >= CHALLENGE_CAP)
        e = bh_fail(diag, BH_ERR_TOO_LARGE, "challenge");
    if (e == BH_OK)
        memcpy(text, challenge, strlen(challenge) + 1);
    json_decref(json);
    bh_http_reply_clear(&reply);
    return e;
}

static enum bh_err
build_body(struct bench_client *c, const char *challenge, char **ret_body, struct bh_diag *diag)
{
    uint8_t bytes[CHALLENGE_CAP], binding[BH_BINDING_LEN];
    const struct bh_span spki = bh_span(c->spki, c->spki_len);
    char *cmw = NULL, *body = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_unbase64url(bh_span_str(challenge), bytes, sizeof(bytes), &len)) != BH_OK ||
        (e = bh_binding(bh_span(bytes, len), spki, bh_span_none(), binding)) != BH_OK)
        return bh_fail(diag, e, "binding");
    if ((e = agent_device_evidence(
             c->device, binding, spki, AGENT_TAMPER_NONE, bh_time_now(), &cmw, diag)) != BH_OK)
        return e;
    json_t *evidence = json_loads(cmw, 0, NULL);
    json_t *json = json_pack("{s:s,s:s,s:s,s:o}", "challenge", challenge, "workload", c->workload,
        "csr", c->csr, "evidence", evidence);
    if (json == NULL || (body = bh_json_text(json, false)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "request");
    json_decref(json);
    free(cmw);
    if (e == BH_OK)
        *ret_body = body;
    return e;
}

enum bh_err
bench_client_prepare(struct bench_client *client, size_t n, struct bh_diag *diag)
{
    char challenge[CHALLENGE_CAP];
    enum bh_err e = BH_OK;

    drop_bodies(client);
    if ((client->bodies = calloc(n, sizeof(*client->bodies))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "requests");
    for (size_t i = 0; i < n && e == BH_OK; i++) {
        if ((e = fetch_challenge(client, challenge, diag)) == BH_OK &&
            (e = build_body(client, challenge, &client->bodies[i], diag)) == BH_OK)
            client->bodies_len = i + 1;
    }
    return e;
}

static enum bh_err
issue_one(struct bench_client *c, const char *text, struct bh_diag *diag)
{
    const struct bh_span body = bh_span_str(text);
    struct bh_http_reply reply = {0};
    enum bh_err e =
        bh_http_request(c->http, "/v1/certificates", "application/json", &body, &reply, diag);

    if (e == BH_OK && reply.status != 201)
        e = bh_http_problem(&reply, diag);
    c->request_len = body.len;
    c->reply_len = reply.body_len;
    bh_http_reply_clear(&reply);
    return e;
}

static void
sleep_until(double due_us)
{
    const double us = due_us - bench_now_us();
    const struct timespec t = {.tv_sec = (time_t)(us / 1e6),
        .tv_nsec = (long)(us - (double)(time_t)(us / 1e6) * 1e6) * 1000};

    if (us > 0)
        (void)nanosleep(&t, NULL);
}

enum bh_err
bench_client_issue(struct bench_client *client, double phase_us, double interval_us,
    double *latencies, struct bh_diag *diag)
{
    const double start = bench_now_us() + phase_us;
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < client->bodies_len && e == BH_OK; i++) {
        /* A request that is sent late because the one before was slow has waited as well. */
        const double due = interval_us > 0 ? start + (double)i * interval_us : bench_now_us();

        sleep_until(due);
        e = issue_one(client, client->bodies[i], diag);
        latencies[i] = bench_now_us() - due;
    }
    return e;
}

void
bench_client_sizes(const struct bench_client *client, size_t *ret_request, size_t *ret_reply)
{
    *ret_request = client->request_len;
    *ret_reply = client->reply_len;
}
