/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` says of attestation results: a CWT of our profile, or a JWT. */
#include "inspect_other.h"

#include "core/cose.h"
#include "core/ear.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/platform.h"

#include <stdio.h>
#include <stdlib.h>

#define FORM_CWT "EAR (draft-ietf-rats-ear)"
#define FORM_JWT "RFC 7515, 7519"
/* The profile of Veraison's results, whose form is the draft's of 2023. */
#define VERAISON_PROFILE "tag:github.com,2023:veraison/ear"
#define SKEW 300 /* seconds that an issuer's clock may be ahead */

enum bh_err
bh_ear_claims(struct bh_span cwt, EVP_PKEY *issuer, struct bh_ear *ear, struct bh_diag *diag)
{
    struct bh_cose m;
    enum bh_err e;

    if (issuer != NULL)
        return bh_ear_verify(cwt, issuer, ear, diag);
    if ((e = bh_cose_decode(cwt, BH_COSE_FORM_TAGGED_SIGN1, &m, diag)) != BH_OK)
        return e;
    return bh_ear_decode(m.payload, ear, diag);
}

/* The public key of the anchor or endorsed key number @p i; NULL when there is none in it. */
static EVP_PKEY *
given_key(const struct bh_trust_inputs *trust, size_t i)
{
    EVP_PKEY *key = NULL;

    if (i < trust->anchors_len) {
        key = X509_get0_pubkey(trust->anchors[i]);
        return key != NULL && EVP_PKEY_up_ref(key) == 1 ? key : NULL;
    }
    const struct ev_endorsement *k = &trust->keys[i - trust->anchors_len];
    if (k->symmetric || bh_spki_decode(bh_span(k->key, k->key_len), &key, NULL) != BH_OK)
        return NULL;
    return key;
}

static enum bh_err
tell_signature(
    bool held, const struct bh_trust_inputs *trust, const char *source, struct ev_report *report)
{
    static const char expected[] = "a signature by one of the keys given";

    if (held) {
        ev_pass(report, source, "ear.signature", expected, "it verifies");
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, source, "ear.signature", expected,
        trust->anchors_len + trust->keys_len == 0 ? "no key was given" : "none of them verifies it",
        "give the issuer's certificate with --trust-anchor or its key with --endorsed-key; a key "
        "that the result itself carries proves nothing");
}

static enum bh_err
tell_validity(int64_t from, int64_t to, int64_t at, const char *source, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX], a[BH_TIME_MAX], b[BH_TIME_MAX];

    (void)snprintf(expected, sizeof(expected), "valid at %s", bh_time_text(at, a));
    if (to == INT64_MAX)
        (void)snprintf(found, sizeof(found), "from %s, without an end", bh_time_text(from, a));
    else
        (void)snprintf(
            found, sizeof(found), "from %s until %s", bh_time_text(from, a), bh_time_text(to, b));
    if (from <= at + SKEW && at < to) {
        ev_pass(report, source, "ear.validity", expected, found);
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, source, "ear.validity", expected, found,
        "give the time of interest with --at");
}

static enum bh_err
cwt_verify(struct bh_span cwt, struct bh_ear *ear, const struct bh_trust_inputs *trust,
    struct ev_report *report)
{
    bool held = false;
    enum bh_err e;

    for (size_t i = 0; !held && i < trust->anchors_len + trust->keys_len; i++) {
        EVP_PKEY *key = given_key(trust, i);

        held = key != NULL && bh_ear_claims(cwt, key, ear, NULL) == BH_OK;
        EVP_PKEY_free(key);
    }
    if ((e = tell_signature(held, trust, FORM_CWT, report)) != BH_OK)
        return e;
    return tell_validity(ear->iat, ear->exp, trust->at, FORM_CWT, report);
}

enum bh_err
bh_inspect_ear(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    struct bh_ear *ear = malloc(sizeof(*ear));
    struct bh_diag diag = {0};
    enum bh_err e;

    (void)json_object_set_new(doc, "form", json_string("cwt"));
    if (ear == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, FORM_CWT, "memory", "an EAR", NULL, NULL);
    if ((e = bh_ear_claims(in->ear, NULL, ear, &diag)) != BH_OK) {
        e = bh_inspect_refused(report, &diag, FORM_CWT, "ear.form", "an EAR of " BH_EAR_PROFILE);
    } else {
        ev_pass(report, FORM_CWT, "ear.form", "an EAR of " BH_EAR_PROFILE, "one");
        (void)json_object_set_new(doc, "claims", bh_ear_json(ear));
        if (trust != NULL)
            e = cwt_verify(in->ear, ear, trust, report);
    }
    free(ear);
    return e;
}

/* ---- JWT ---- */

struct jws {
    struct bh_span input; /* what is signed */
    json_t *header, *claims;
    uint8_t signature[132];
    size_t signature_len;
};

/* One part of a compact JWS, as a JSON object. */
static enum bh_err
jws_part(struct bh_span part, const char *name, json_t **ret_json, struct ev_report *report)
{
    uint8_t *bytes = malloc(part.len + 1);
    struct bh_diag diag = {0};
    size_t len = 0;
    enum bh_err e = BH_ERR_NOMEM;

    if (bytes != NULL && (e = bh_unbase64url(part, bytes, part.len, &len)) == BH_OK)
        e = bh_json_parse(bh_span(bytes, len), part.len + 1, ret_json, &diag);
    free(bytes);
    if (e == BH_OK && json_is_object(*ret_json))
        return BH_OK;
    return ev_refuse(report, e == BH_ERR_NOMEM ? e : BH_ERR_MALFORMED, FORM_JWT, "ear.form",
        "a compact JWS whose header and claims are JSON objects", name, NULL);
}

static enum bh_err
jws_read(struct bh_span in, struct jws *ret_jws, struct ev_report *report)
{
    const uint8_t *first = memchr(in.ptr, '.', in.len);
    const uint8_t *last = memrchr(in.ptr, '.', in.len);
    const struct bh_span tail = bh_span(last + 1, in.len - (size_t)(last - in.ptr) - 1);
    enum bh_err e;

    ret_jws->input = bh_span(in.ptr, (size_t)(last - in.ptr));
    if ((e = jws_part(bh_span(in.ptr, (size_t)(first - in.ptr)), "a header of another form",
             &ret_jws->header, report)) != BH_OK ||
        (e = jws_part(bh_span(first + 1, (size_t)(last - first) - 1), "claims of another form",
             &ret_jws->claims, report)) != BH_OK)
        return e;
    if (bh_unbase64url(
            tail, ret_jws->signature, sizeof(ret_jws->signature), &ret_jws->signature_len) != BH_OK)
        return ev_refuse(report, BH_ERR_MALFORMED, FORM_JWT, "ear.form",
            "a base64url signature of at most 132 bytes", "another form", NULL);
    ev_pass(report, FORM_JWT, "ear.form", "a compact JWS", "one");
    return BH_OK;
}

static bool
is_status(const json_t *status)
{
    static const enum bh_ear_status tiers[] = {
        BH_EAR_NONE, BH_EAR_AFFIRMING, BH_EAR_WARNING, BH_EAR_CONTRAINDICATED};

    for (size_t i = 0; i < BH_COUNT(tiers); i++)
        if ((json_is_string(status) &&
                strcmp(json_string_value(status), bh_ear_status_name(tiers[i])) == 0) ||
            (json_is_integer(status) && json_integer_value(status) == (json_int_t)tiers[i]))
            return true;
    return false;
}

/* Well-formed for the profile that it declares: of profiles that are known here. */
static enum bh_err
jwt_profile(const json_t *claims, struct ev_report *report)
{
    static const char known[] = BH_EAR_PROFILE " or " VERAISON_PROFILE;
    const char *profile = json_string_value(json_object_get(claims, "eat_profile"));
    const bool ours = profile != NULL && strcmp(profile, BH_EAR_PROFILE) == 0;
    json_t *submods = json_object_get(claims, "submods"), *submod;
    const char *name;

    if (profile == NULL || (!ours && strcmp(profile, VERAISON_PROFILE) != 0))
        return ev_refuse(report, BH_ERR_UNSUPPORTED, "EAR", "ear.profile", known,
            profile == NULL ? "none" : profile, "its form cannot be judged here");
    ev_pass(report, "EAR", "ear.profile", known, profile);
    if (!json_is_number(json_object_get(claims, "iat")) ||
        (ours && !json_is_integer(json_object_get(claims, "exp"))) ||
        json_object_size(submods) == 0)
        return ev_refuse(report, BH_ERR_MALFORMED, "EAR", "ear.claims",
            ours ? "iat, exp and at least one submodule" : "iat and at least one submodule",
            "one is missing or of another type", NULL);
    json_object_foreach(submods, name, submod)
    {
        if (!is_status(json_object_get(submod, ours ? "ear_status" : "ear.status")))
            return ev_refuse(report, BH_ERR_MALFORMED, "EAR", "ear.status",
                "none, affirming, warning or contraindicated in every submodule", name, NULL);
    }
    ev_pass(report, "EAR", "ear.claims", "the profile's claims", "all");
    return BH_OK;
}

/* The algorithm is the key's, and the header must say the same; never the other way round. */
static bool
jws_verifies(const struct jws *jws, EVP_PKEY *key)
{
    static const char *const algs[][2] = {
        {"P-256", "ES256"}, {"P-384", "ES384"}, {"P-521", "ES512"}};
    const char *alg = json_string_value(json_object_get(jws->header, "alg"));
    const char *name = bh_key_name(key);

    if (alg == NULL || json_object_get(jws->header, "crit") != NULL)
        return false;
    for (size_t i = 0; i < BH_COUNT(algs); i++)
        if (strcmp(name, algs[i][0]) == 0)
            return strcmp(alg, algs[i][1]) == 0 &&
                   bh_ecdsa_verify(
                       key, jws->input, bh_span(jws->signature, jws->signature_len), NULL) == BH_OK;
    return false;
}

/* A NumericDate; @p absent where there is none. */
static int64_t
date_of(const json_t *claims, const char *name, int64_t absent)
{
    const json_t *date = json_object_get(claims, name);
    const double value = json_number_value(date);

    if (!json_is_number(date))
        return absent;
    if (value < 0 || value > 253402300799.0)
        return value < 0 ? 0 : INT64_C(253402300799);
    return (int64_t)value;
}

static enum bh_err
jwt_verify(const struct jws *jws, const struct bh_trust_inputs *trust, struct ev_report *report)
{
    const int64_t iat = date_of(jws->claims, "iat", 0);
    const int64_t nbf = date_of(jws->claims, "nbf", iat);
    bool held = false;
    enum bh_err e;

    for (size_t i = 0; !held && i < trust->anchors_len + trust->keys_len; i++) {
        EVP_PKEY *key = given_key(trust, i);

        held = key != NULL && jws_verifies(jws, key);
        EVP_PKEY_free(key);
    }
    if ((e = tell_signature(held, trust, FORM_JWT, report)) != BH_OK ||
        (e = jwt_profile(jws->claims, report)) != BH_OK)
        return e;
    return tell_validity(
        nbf > iat ? nbf : iat, date_of(jws->claims, "exp", INT64_MAX), trust->at, FORM_JWT, report);
}

enum bh_err
bh_inspect_jwt(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    struct jws jws = {0};
    enum bh_err e;

    (void)json_object_set_new(doc, "form", json_string("jwt"));
    if ((e = jws_read(in->bytes, &jws, report)) == BH_OK) {
        (void)json_object_set(doc, "header", jws.header);
        (void)json_object_set(doc, "claims", jws.claims);
        if (trust != NULL)
            e = jwt_verify(&jws, trust, report);
    }
    json_decref(jws.header);
    json_decref(jws.claims);
    return e;
}
