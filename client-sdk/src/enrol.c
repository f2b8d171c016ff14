/* SPDX-License-Identifier: Apache-2.0 */
#include "beachhead/enrol.h"
#include "src/internal.h"

#include "core/binding.h"
#include "core/http.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS 30000

_Static_assert(BH_ENROL_BINDING_LEN == BH_BINDING_LEN, "the public length is that of the core");

struct bh_enrolment {
    char *pem;
    char *reply;
    struct bh_peer *peer;
};

static enum bh_err
check_request(const struct bh_enrol_request *r, struct bh_diag *diag)
{
    if (r->server == NULL || r->trust == NULL || r->workload == NULL || r->key == NULL ||
        r->evidence == NULL)
        return bh_fail(diag, BH_ERR_USAGE,
            "enrolment: server, trust, workload, key and evidence callback are needed");
    if (!bh_is_workload(bh_span_str(r->workload)))
        return bh_refuse(diag, BH_ERR_USAGE, "workload", "[a-z0-9][a-z0-9._-]{0,62}", r->workload,
            "the name of the workload is none");
    if (r->context_len > BH_CONTEXT_MAX)
        return bh_fail(
            diag, BH_ERR_USAGE, "enrolment: a context of more than %d bytes", BH_CONTEXT_MAX);
    return BH_OK;
}

/* One POST whose success is 201 with a JSON object. */
static enum bh_err
post(struct bh_http *http, const char *path, struct bh_span body, struct bh_http_reply *ret_reply,
    json_t **ret_json, struct bh_diag *diag)
{
    struct bh_http_reply reply = {0};
    enum bh_err e;

    if ((e = bh_http_request(http, path, "application/json", &body, &reply, diag)) != BH_OK)
        return e;
    if (reply.status != 201)
        e = bh_http_problem(&reply, diag);
    else
        e = bh_json_parse(bh_span(reply.body, reply.body_len), BH_BODY_MAX, ret_json, diag);
    if (e == BH_OK)
        *ret_reply = reply;
    else
        bh_http_reply_clear(&reply);
    return e;
}

static enum bh_err
get_challenge(struct bh_http *http, uint8_t *out, size_t cap, size_t *ret_len, char **ret_text,
    struct bh_diag *diag)
{
    struct bh_http_reply reply = {0};
    const char *text = NULL;
    json_t *json = NULL;
    enum bh_err e;

    if ((e = post(http, "/v1/challenges", bh_span("{}", 2), &reply, &json, diag)) != BH_OK)
        return e;
    if ((e = bh_json_string(json, "challenge", false, &text, diag)) != BH_OK ||
        (e = bh_unbase64url(bh_span_str(text), out, cap, ret_len)) != BH_OK) {
        (void)bh_fail(diag, e, "the server's challenge is malformed");
        goto out;
    }
    if ((*ret_text = strdup(text)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "challenge");
out:
    json_decref(json);
    bh_http_reply_clear(&reply);
    return e;
}

static enum bh_err
get_evidence(const struct bh_enrol_request *r, struct bh_span challenge, json_t **ret_cmw,
    struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX], binding[BH_BINDING_LEN];
    size_t spki_len = 0;
    char *text = NULL;
    enum bh_err e;

    if ((e = bh_spki_encode(r->key, spki, sizeof(spki), &spki_len, diag)) != BH_OK)
        return e;
    if ((e = bh_binding(challenge, bh_span(spki, spki_len), bh_span(r->context, r->context_len),
             binding)) != BH_OK)
        return bh_fail(diag, e, "key binding");
    if (r->evidence(r->evidence_arg, binding, spki, spki_len, &text) != 0 || text == NULL) {
        e = bh_refuse(diag, BH_ERR_UNSUPPORTED, "evidence", "evidence over the binding", "none",
            "the evidence callback failed");
        bh_hint(diag, "is this the platform that the attester is for?");
    } else {
        e = bh_json_parse(bh_span_str(text), BH_BODY_MAX, ret_cmw, diag);
    }
    free(text);
    return e;
}

static enum bh_err
make_body(const struct bh_enrol_request *r, const char *challenge, json_t *cmw, char **ret_body,
    struct bh_diag *diag)
{
    char context[88 + 1];
    char *csr = NULL;
    json_t *body = NULL;
    enum bh_err e;

    if ((e = bh_csr_make(r->key, &csr, diag)) != BH_OK)
        return e;
    body = json_pack("{s:s,s:s,s:s,s:O}", "challenge", challenge, "workload", r->workload, "csr",
        csr, "evidence", cmw);
    if (body != NULL && r->context_len > 0)
        (void)json_object_set_new(body, "context",
            json_string(
                bh_base64url(bh_span(r->context, r->context_len), context, sizeof(context))));
    if (body == NULL || (*ret_body = bh_json_text(body, false)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "enrolment");
    json_decref(body);
    free(csr);
    return e;
}

/* The server's word is not enough: what came back must be ours, and what a client will accept. */
static enum bh_err
check_certificate(const struct bh_enrol_request *r, const char *pem, struct bh_peer **ret_peer,
    struct bh_diag *diag)
{
    struct bh_expectation x = {.accept_warning = true};
    X509 *certs[BH_CHAIN_MAX] = {NULL};
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct bh_peer *peer = NULL;
    size_t count = 0;
    enum bh_err e;

    (void)snprintf(x.workload, sizeof(x.workload), "%s", r->workload);
    if (chain == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "certificate");
        goto out;
    }
    if ((e = bh_x509_pem(bh_span_str(pem), certs, BH_COUNT(certs), &count, diag)) != BH_OK)
        goto out;
    for (size_t i = 1; i < count; i++)
        if (sk_X509_push(chain, certs[i]) < 1) {
            e = bh_fail(diag, BH_ERR_NOMEM, "certificate");
            goto out;
        }
    if ((e = bh_peer_verify(
             r->trust, &x, certs[0], chain, BH_SIDE_SERVER, bh_time_now(), &peer, diag)) != BH_OK)
        goto out;
    if (EVP_PKEY_eq(X509_get0_pubkey(certs[0]), r->key) != 1) {
        e = bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "certificate.key", "the key of the request",
            "another key", "the server answered with somebody else's certificate");
        goto out;
    }
    if (!bh_span_equal(bh_span(peer->ear.context, peer->ear.context_len),
            bh_span(r->context, r->context_len))) {
        e = bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "ear.context", "the context of the request",
            "another context", "the certificate does not say what this isolate committed to");
        goto out;
    }
    *ret_peer = peer;
    peer = NULL;
out:
    bh_peer_free(peer);
    for (size_t i = 0; i < count; i++)
        X509_free(certs[i]);
    sk_X509_free(chain);
    return e;
}

static enum bh_err
get_certificate(const struct bh_enrol_request *r, struct bh_http *http, const char *body,
    struct bh_enrolment *enrolment, struct bh_diag *diag)
{
    struct bh_http_reply reply = {0};
    const char *pem = NULL;
    json_t *json = NULL;
    enum bh_err e;

    if ((e = post(http, "/v1/certificates", bh_span_str(body), &reply, &json, diag)) != BH_OK)
        return e;
    if ((e = bh_json_string(json, "certificate", false, &pem, diag)) != BH_OK ||
        (e = check_certificate(r, pem, &enrolment->peer, diag)) != BH_OK)
        goto out;
    if ((enrolment->pem = strdup(pem)) == NULL || (enrolment->reply = strdup(reply.body)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "enrolment");
out:
    json_decref(json);
    bh_http_reply_clear(&reply);
    return e;
}

/* One challenge, and what comes of it. */
static enum bh_err
attempt(const struct bh_enrol_request *r, struct bh_http *http, struct bh_enrolment *enrolment,
    struct bh_diag *diag)
{
    uint8_t challenge[256];
    size_t challenge_len = 0;
    char *challenge_text = NULL, *body = NULL;
    json_t *cmw = NULL;
    enum bh_err e;

    if ((e = get_challenge(
             http, challenge, sizeof(challenge), &challenge_len, &challenge_text, diag)) == BH_OK &&
        (e = get_evidence(r, bh_span(challenge, challenge_len), &cmw, diag)) == BH_OK &&
        (e = make_body(r, challenge_text, cmw, &body, diag)) == BH_OK)
        e = get_certificate(r, http, body, enrolment, diag);
    free(challenge_text);
    free(body);
    json_decref(cmw);
    return e;
}

/*
 * A challenge that nobody else had is used when a request was sent twice: libcurl does so when a
 * kept connection ends under it, and the answer to the first is lost. One that expired was held up
 * by slow evidence. Both are cured by another challenge, once.
 */
static bool
is_worth_another(enum bh_err e)
{
    return e == BH_ERR_CHALLENGE_USED || e == BH_ERR_CHALLENGE_EXPIRED;
}

static enum bh_err
enrol(const struct bh_enrol_request *r, struct bh_enrolment **ret_enrolment, struct bh_diag *diag)
{
    struct bh_enrolment *enrolment = calloc(1, sizeof(*enrolment));
    struct bh_http *http = NULL;
    enum bh_err e;

    if (enrolment == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "enrolment");
    if ((e = check_request(r, diag)) == BH_OK &&
        (e = bh_http_new(r->server, bh_span(r->trust->pem, r->trust->pem_len),
             r->timeout_ms > 0 ? r->timeout_ms : DEFAULT_TIMEOUT_MS, &http, diag)) == BH_OK)
        e = attempt(r, http, enrolment, diag);
    if (is_worth_another(e)) {
        bh_diag_clear(diag);
        e = attempt(r, http, enrolment, diag);
    }
    if (e == BH_OK) {
        *ret_enrolment = enrolment;
        enrolment = NULL;
    }
    bh_enrolment_free(enrolment);
    bh_http_free(http);
    return e;
}

enum bh_result
bh_enrol(const struct bh_enrol_request *request, struct bh_enrolment **ret_enrolment,
    struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    const enum bh_err e = enrol(request, ret_enrolment, &diag);

    return bh_failure_set(failure, &diag, e);
}

void
bh_enrolment_free(struct bh_enrolment *enrolment)
{
    if (enrolment == NULL)
        return;
    free(enrolment->pem);
    free(enrolment->reply);
    bh_peer_free(enrolment->peer);
    free(enrolment);
}

const char *
bh_enrolment_pem(const struct bh_enrolment *enrolment)
{
    return enrolment->pem;
}

const char *
bh_enrolment_reply(const struct bh_enrolment *enrolment)
{
    return enrolment->reply;
}

const struct bh_peer *
bh_enrolment_peer(const struct bh_enrolment *enrolment)
{
    return enrolment->peer;
}
