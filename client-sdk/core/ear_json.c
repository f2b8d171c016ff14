/* SPDX-License-Identifier: Apache-2.0 */
/* The EAR as JSON: for people, and as the payload of a JWT. */
#include "ear.h"

#include "json.h"
#include "text.h"
#include "x509.h"

#include <stdlib.h>

static json_t *
base64url_json(struct bh_span bytes)
{
    char text[BH_SPKI_MAX * 4 / 3 + 4];

    return json_string(bh_base64url(bytes, text, sizeof(text)));
}

/* cnf (RFC 7800) with a JWK (RFC 7517). */
static json_t *
cnf_json(struct bh_span spki)
{
    struct bh_span point;
    const char *name;
    size_t half;

    if (bh_spki_point(spki, &name, &point) != BH_OK)
        return NULL;
    if (point.len == 32)
        return json_pack("{s:{s:s, s:s, s:o}}", "jwk", "kty", "OKP", "crv", "Ed25519", "x",
            base64url_json(point));
    half = (point.len - 1) / 2;
    return json_pack("{s:{s:s, s:s, s:o, s:o}}", "jwk", "kty", "EC", "crv", name, "x",
        base64url_json(bh_span(point.ptr + 1, half)), "y",
        base64url_json(bh_span(point.ptr + 1 + half, half)));
}

static json_t *
submod_json(const struct bh_ear_submod *s)
{
    json_t *vector = json_object();
    json_t *claims = json_object();
    char text[BH_EAR_CLAIM_VALUE_MAX * 2 + 1];
    char hex[65];

    for (size_t i = 0; s->has_vector && i < BH_TRUST_COUNT; i++)
        (void)json_object_set_new(
            vector, bh_ear_trust_name((enum bh_ear_trust)i), json_integer(s->trust[i]));
    for (size_t i = 0; i < s->claims_len; i++) {
        const struct bh_ear_claim *c = &s->claims[i];
        (void)json_object_set_new(claims, c->name,
            c->text ? json_stringn((const char *)c->value, c->len)
                    : json_string(bh_hex(bh_span(c->value, c->len), text, sizeof(text))));
    }
    return json_pack("{s:s, s:o, s:[s+], s:o}", "ear_status", bh_ear_status_name(s->status),
        "ear_trustworthiness_vector", vector, "ear_appraisal_policy_ids",
        "urn:beachhead:policy:sha256:", bh_hex(bh_span(s->policy_digest, 32), hex, sizeof(hex)),
        "ear_attester_claims", claims);
}

json_t *
bh_ear_json(const struct bh_ear *ear)
{
    char context[BH_CONTEXT_MAX * 2 + 1];
    json_t *submods = json_object();
    json_t *json;

    for (size_t i = 0; i < ear->submods_len; i++)
        (void)json_object_set_new(submods, ear->submods[i].platform, submod_json(&ear->submods[i]));
    json = json_pack("{s:s, s:I, s:I, s:{s:s, s:s}, s:o*, s:o, s:{s:s, s:s, s:b, s:b, s:s}}",
        "eat_profile", BH_EAR_PROFILE, "iat", (json_int_t)ear->iat, "exp", (json_int_t)ear->exp,
        "ear_verifier_id", "developer", "beachhead", "build", BH_VERSION, "cnf",
        cnf_json(bh_span(ear->spki, ear->spki_len)), "submods", submods, "beachhead", "workload",
        ear->workload, "owner", ear->owner, "simulated", ear->simulated, "debug", ear->debug,
        "context", bh_hex(bh_span(ear->context, ear->context_len), context, sizeof(context)));
    if (json != NULL && ear->nonce_len > 0)
        (void)json_object_set_new(
            json, "eat_nonce", base64url_json(bh_span(ear->nonce, ear->nonce_len)));
    return json;
}

enum bh_err
bh_ear_jwt_input(const struct bh_ear *ear, char **ret_input, struct bh_diag *diag)
{
    static const char header[] = "{\"alg\":\"ES256\",\"typ\":\"eat+jwt\"}";
    json_t *json = bh_ear_json(ear);
    char *claims = json != NULL ? bh_json_text(json, false) : NULL;
    const size_t claims_len = claims != NULL ? strlen(claims) : 0;
    const size_t head_len = bh_base64url_len(sizeof(header) - 1);
    const size_t size = head_len + 1 + bh_base64url_len(claims_len) + 1;
    char *text = NULL;

    json_decref(json);
    if (claims != NULL && (text = malloc(size)) != NULL) {
        (void)bh_base64url(bh_span_str(header), text, size);
        text[head_len] = '.';
        (void)bh_base64url(bh_span(claims, claims_len), text + head_len + 1, size - head_len - 1);
    }
    free(claims);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "EAR as JWT");
    *ret_input = text;
    return BH_OK;
}
