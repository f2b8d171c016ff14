/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include "core/cose.h"
#include "core/json.h"
#include "core/text.h"

#include <stdlib.h>

#define JWT_MAX (32 * 1024)

static enum bh_err
reply_with(struct pas_signing *s, struct bh_span ear, struct bh_span certificate,
    struct bh_span *ret_reply, struct bh_diag *diag)
{
    const struct pas_signed m = {.ear = ear, .certificate = certificate};
    struct bh_writer w;

    bh_writer_init(&w, s->reply, sizeof(s->reply));
    pas_signed_encode(&w, &m);
    if (bh_writer_end(&w, ret_reply) != BH_OK)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "the signer's answer does not fit");
    return BH_OK;
}

static enum bh_err
sign_certificate(
    struct pas_signing *s, struct bh_span payload, struct bh_span *ret_reply, struct bh_diag *diag)
{
    struct pas_certificate request;
    size_t cwt_len = 0, len = 0;
    enum bh_err e;

    if (pas_certificate_decode(payload, &request) != BH_OK)
        return bh_refuse(diag, BH_ERR_MALFORMED, "signer.request", "SIGN_CERTIFICATE", NULL,
            "ipc: the payload does not decode");
    if ((e = bh_ear_decode(request.ear, &s->ear, diag)) != BH_OK) {
        bh_name_check(diag, "ear.malformed");
        return BH_ERR_FORBIDDEN;
    }
    if ((e = pas_leaf_check(&s->issuing->facts, &request, &s->ear, s->now, diag)) != BH_OK ||
        (e = bh_cose_sign_by(
             request.ear, s->issuing->signer, true, s->cwt, BH_EAR_MAX, &cwt_len, diag)) != BH_OK ||
        (e = pas_leaf_make(&s->issuing->facts, &request, bh_span(s->cwt, cwt_len), pas_issuing_sign,
             (void *)(uintptr_t)s->issuing, s->certificate, &len, diag)) != BH_OK)
        return e;
    return reply_with(s, bh_span(s->cwt, cwt_len), bh_span(s->certificate, len), ret_reply, diag);
}

static enum bh_err
refuse_jwt(struct bh_diag *diag, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_FORBIDDEN, "jwt.input",
        "an EAR of " BH_EAR_PROFILE " under ES256, with eat_nonce and cnf", found,
        "the signer signs attestation results and nothing else");

    bh_hint(diag, "only the JWT of an appraisal is signed beside certificates");
    return e;
}

/* The bounds of a certificate's result hold for a result alone. */
static enum bh_err
check_bounds(const struct pas_signing *s, const json_t *claims, struct bh_diag *diag)
{
    const struct pas_issuer *issuer = &s->issuing->facts;
    const json_t *own = json_object_get(claims, "beachhead");
    const json_t *simulated = json_object_get(own, "simulated");
    const char *workload = json_string_value(json_object_get(own, "workload"));
    const json_t *iat = json_object_get(claims, "iat"), *exp = json_object_get(claims, "exp");
    const int64_t from = json_integer_value(iat), to = json_integer_value(exp);

    if (workload == NULL || !bh_is_workload(bh_span_str(workload)) ||
        strncmp(workload, "beachhead", 9) == 0)
        return refuse_jwt(diag, "a workload that is none, or reserved");
    if (!json_is_boolean(simulated) || (json_is_true(simulated) && !issuer->simulated))
        return refuse_jwt(diag, "a simulated device, where none is allowed");
    if (!json_is_integer(iat) || !json_is_integer(exp) || from < 0 || to <= s->now ||
        from > s->now + issuer->clock_skew || to - from > issuer->lifetime_max)
        return refuse_jwt(diag, "another time, or too long a life");
    return BH_OK;
}

/* Claims that were sent to be signed: they must be an attestation result of an appraisal. */
static enum bh_err
check_claims(const struct pas_signing *s, struct bh_span text, struct bh_diag *diag)
{
    json_t *json = NULL;
    const char *profile;
    enum bh_err e = BH_OK;

    if (bh_json_parse(text, JWT_MAX, &json, NULL) != BH_OK)
        return refuse_jwt(diag, "claims that are no JSON");
    profile = json_string_value(json_object_get(json, "eat_profile"));
    if (profile == NULL || strcmp(profile, BH_EAR_PROFILE) != 0)
        e = refuse_jwt(diag, "another profile");
    else if (!json_is_string(json_object_get(json, "eat_nonce")))
        e = refuse_jwt(diag, "no eat_nonce");
    else if (!json_is_object(json_object_get(json, "cnf")) ||
             !json_is_object(json_object_get(json, "submods")))
        e = refuse_jwt(diag, "no cnf, or no submods");
    else
        e = check_bounds(s, json, diag);
    json_decref(json);
    return e;
}

static enum bh_err
check_jwt(const struct pas_signing *s, struct bh_span input, struct bh_diag *diag)
{
    /* base64url of {"alg":"ES256","typ":"eat+jwt"} */
    static const char head[] = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImVhdCtqd3QifQ.";
    const size_t head_len = sizeof(head) - 1;
    uint8_t *claims = NULL;
    size_t len = 0;
    enum bh_err e;

    if (input.len > JWT_MAX || input.len <= head_len || memcmp(input.ptr, head, head_len) != 0)
        return refuse_jwt(diag, "another header");
    if ((claims = malloc(input.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "JWT");
    if (bh_unbase64url(
            bh_span(input.ptr + head_len, input.len - head_len), claims, input.len, &len) != BH_OK)
        e = refuse_jwt(diag, "claims that are no base64url");
    else
        e = check_claims(s, bh_span(claims, len), diag);
    free(claims);
    return e;
}

static enum bh_err
sign_jwt(
    struct pas_signing *s, struct bh_span input, struct bh_span *ret_reply, struct bh_diag *diag)
{
    uint8_t raw[132];
    size_t len = 0;
    enum bh_err e;

    if ((e = check_jwt(s, input, diag)) != BH_OK ||
        (e = bh_ecdsa_sign(s->issuing->key, input, raw, &len, diag)) != BH_OK)
        return e;
    return reply_with(s, bh_span(raw, len), bh_span_none(), ret_reply, diag);
}

enum bh_err
pas_signing_serve(struct pas_signing *s, uint16_t type, struct bh_span payload,
    struct bh_span *ret_reply, struct bh_diag *diag)
{
    switch (type) {
    case PAS_SIGN_CERTIFICATE:
        return sign_certificate(s, payload, ret_reply, diag);
    case PAS_SIGN_JWT:
        return sign_jwt(s, payload, ret_reply, diag);
    default:
        return bh_refuse(diag, BH_ERR_MALFORMED, "signer.request", "SIGN_CERTIFICATE or SIGN_JWT",
            NULL, "ipc: message %u", type);
    }
}
