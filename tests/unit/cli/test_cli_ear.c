/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead inspect of attestation results, as CWT and as JWT. */
#include "core/cmw.h"
#include "core/cose.h"
#include "core/ear.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "run.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct issuer {
    struct bh_test_ca ca;
    EVP_PKEY *leaf_key;
    struct bh_ear ear;
    char *pem;
};

static void
begin(struct issuer *s)
{
    struct bh_test_leaf leaf;

    bh_test_ca_make(&s->ca, &(struct bh_test_root){.domain = "fleet.example"});
    s->leaf_key = bh_test_key("P-256");
    bh_test_leaf_init(&s->ca, &leaf, "payments", s->leaf_key, bh_time_now(), 3600);
    s->ear = leaf.ear;
    s->pem = bh_test_pem(s->ca.issuing);
}

static void
finish(struct issuer *s)
{
    bh_test_ca_clear(&s->ca);
    EVP_PKEY_free(s->leaf_key);
    free(s->pem);
    end_folder();
}

static struct bh_span
sign_cwt(struct issuer *s, uint8_t out[BH_EAR_MAX])
{
    uint8_t claims[BH_EAR_MAX];
    size_t claims_len = 0, len = 0;

    cr_assert_eq(bh_ear_encode(&s->ear, claims, sizeof(claims), &claims_len, NULL), BH_OK);
    cr_assert_eq(bh_cose_sign(bh_span(claims, claims_len), s->ca.issuing_key, true, out, BH_EAR_MAX,
                     &len, NULL),
        BH_OK);
    return bh_span(out, len);
}

Test(ear, cwt)
{
    struct issuer s;
    struct ran r = {0};
    uint8_t cwt[BH_EAR_MAX], cmw[BH_EAR_MAX];
    char *json = NULL, text[8192];
    size_t len = 0;

    begin(&s);
    const struct bh_span raw = sign_cwt(&s, cwt);
    cr_assert_eq(bh_cmw_record_cbor(BH_EAR_CWT_TYPE, raw, 0, cmw, sizeof(cmw), &len), BH_OK);
    cr_assert_gt(
        asprintf(&json, "[\"application/eat+cwt\",\"%s\"]", bh_base64url(raw, text, sizeof(text))),
        0);
    const char *forms[] = {
        put("raw", raw), put("cbor", bh_span(cmw, len)), put("json", bh_span_str(json))};
    const char *issuer = put("issuer.pem", bh_span_str(s.pem));
    for (size_t i = 0; i < 3; i++) {
        RUN(&r, "inspect", "--json", forms[i]);
        expect_json(&r, 0);
        cr_expect_str_eq(text_of(&r, "kind"), "ear");
        cr_expect_str_eq(text_of(&r, "form"), "cwt");
        cr_expect_null(json_object_get(r.json, "authentic"));
        cr_expect_not_null(json_object_get(json_object_get(r.json, "claims"), "submods"));
        RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", issuer, forms[i]);
        expect_json(&r, 0);
        cr_expect(json_is_true(json_object_get(r.json, "authentic")));
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", issuer, forms[i]);
        expect_json(&r, 0);
    }
    RUN(&r, "inspect", "--verify", "--trust-anchor", issuer, forms[0]);
    expect_run(&r, 0, NULL);
    free(json);
    ran_clear(&r);
    finish(&s);
}

Test(ear, cwt_refused)
{
    struct issuer s;
    struct ran r = {0};
    uint8_t cwt[BH_EAR_MAX];

    begin(&s);
    struct bh_span raw = sign_cwt(&s, cwt);
    const char *path = put("raw", raw);
    const char *issuer = put("issuer.pem", bh_span_str(s.pem));
    const char *root = put("root.pem", bh_span_str(s.ca.root_pem));
    RUN(&r, "inspect", "--json", "--verify", path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.signature");
    cr_expect_not_null(strstr(r.out, "no key was given"));
    RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", root, "--endorsed-key",
        put("mac", bh_span_str("0123456789abcdef")), path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.signature");
    cr_expect(json_is_false(json_object_get(r.json, "authentic")));
    RUN(&r, "inspect", "--json", "--verify", "--at", "2031-01-01T00:00:00Z", "--trust-anchor",
        issuer, path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.validity");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2021-01-01T00:00:00Z", "--trust-anchor",
        issuer, path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.validity");
    cwt[raw.len - 1] ^= 1;
    RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", issuer, put("bad", raw));
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.signature");
    ran_clear(&r);
    finish(&s);
}

static const char *
put_jwt(const char *name, const char *header, const char *claims, EVP_PKEY *key)
{
    char a[1024], b[16384], text[20000], c[256];
    uint8_t signature[132];
    size_t len = 0;

    (void)bh_base64url(bh_span_str(header), a, sizeof(a));
    (void)bh_base64url(bh_span_str(claims), b, sizeof(b));
    (void)snprintf(text, sizeof(text), "%s.%s", a, b);
    cr_assert_eq(bh_ecdsa_sign(key, bh_span_str(text), signature, &len, NULL), BH_OK);
    (void)snprintf(text, sizeof(text), "%s.%s.%s\n", a, b,
        bh_base64url(bh_span(signature, len), c, sizeof(c)));
    return put(name, bh_span_str(text));
}

#define ES256 "{\"alg\":\"ES256\"}"

Test(ear, jwt)
{
    struct issuer s;
    struct ran r = {0};

    begin(&s);
    const char *issuer = put("issuer.pem", bh_span_str(s.pem));
    json_t *json = bh_ear_json(&s.ear);
    char *claims = bh_json_text(json, false);
    const char *path = put_jwt("jwt", ES256, claims, s.ca.issuing_key);
    RUN(&r, "inspect", "--json", path);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "form"), "jwt");
    cr_expect(json_equal(json_object_get(r.json, "claims"), json));
    RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", issuer, path);
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", issuer, path);
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.signature");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2031-01-01T00:00:00Z", "--trust-anchor",
        issuer, path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "ear.validity");
    /* The header does not choose. */
    static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}",
        "{\"alg\":\"ES384\"}", "{}", "{\"alg\":1}", "{\"alg\":\"ES256\",\"crit\":[\"b64\"]}"};
    for (size_t i = 0; i < BH_COUNT(headers); i++) {
        RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", issuer,
            put_jwt("h", headers[i], claims, s.ca.issuing_key));
        expect_json(&r, 1);
        cr_expect_str_eq(failed_check(&r), "ear.signature", "%s", headers[i]);
    }
    free(claims);
    json_decref(json);
    ran_clear(&r);
    finish(&s);
}

#define VERAISON "\"eat_profile\":\"tag:github.com,2023:veraison/ear\""
#define GOOD "\"submods\":{\"a\":{\"ear.status\":\"affirming\"}}"

Test(ear, jwt_of_other_profiles)
{
    static const struct {
        const char *claims, *check;
    } cases[] = {
        {"{" VERAISON ",\"iat\":1666091373," GOOD "}", ""},
        {"{" VERAISON ",\"iat\":1666091373.0," GOOD "}", ""},
        {"{" VERAISON ",\"iat\":1666091373,\"submods\":{\"a\":{\"ear.status\":32}}}", ""},
        {"{\"iat\":1," GOOD "}", "ear.profile"},
        {"{\"eat_profile\":\"tag:example.com,2026:x\",\"iat\":1," GOOD "}", "ear.profile"},
        {"{\"eat_profile\":7,\"iat\":1," GOOD "}", "ear.profile"},
        {"{" VERAISON "," GOOD "}", "ear.claims"},
        {"{" VERAISON ",\"iat\":\"x\"," GOOD "}", "ear.claims"},
        {"{" VERAISON ",\"iat\":1,\"submods\":{}}", "ear.claims"},
        {"{" VERAISON ",\"iat\":1,\"submods\":[1]}", "ear.claims"},
        {"{" VERAISON ",\"iat\":1,\"submods\":{\"a\":{}}}", "ear.status"},
        {"{" VERAISON ",\"iat\":1,\"submods\":{\"a\":{\"ear.status\":\"fine\"}}}", "ear.status"},
        {"{" VERAISON ",\"iat\":1,\"submods\":{\"a\":{\"ear.status\":3}}}", "ear.status"},
        {"{\"eat_profile\":\"" BH_EAR_PROFILE "\",\"iat\":1," GOOD "}", "ear.claims"},
        {"{" VERAISON ",\"iat\":1,\"exp\":2," GOOD "}", "ear.validity"},
        {"{" VERAISON ",\"iat\":1,\"nbf\":9e99," GOOD "}", "ear.validity"},
        {"{" VERAISON ",\"iat\":1,\"exp\":-1e99," GOOD "}", "ear.validity"},
        {"{" VERAISON ",\"iat\":99999999999," GOOD "}", "ear.validity"},
    };
    struct issuer s;
    struct ran r = {0};

    begin(&s);
    const char *issuer = put("issuer.pem", bh_span_str(s.pem));
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *path = put_jwt("jwt", ES256, cases[i].claims, s.ca.issuing_key);

        RUN(&r, "inspect", "--json", path);
        expect_json(&r, 0);
        RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", issuer, path);
        expect_json(&r, cases[i].check[0] == '\0' ? 0 : 1);
        cr_expect_str_eq(failed_check(&r), cases[i].check, "%s: %s", cases[i].claims, r.err);
    }
    ran_clear(&r);
    finish(&s);
}

/* ECDSA of each curve; a key of another curve verifies nothing. */
Test(ear, jwt_algorithms)
{
    static const char *const algs[][2] = {{"P-256", "{\"alg\":\"ES256\"}"},
        {"P-384", "{\"alg\":\"ES384\"}"}, {"P-521", "{\"alg\":\"ES512\"}"}};
    static const char claims[] = "{" VERAISON ",\"iat\":1," GOOD "}";
    struct ran r = {0};
    uint8_t spki[BH_SPKI_MAX];
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = bh_test_key(algs[i][0]), *other = bh_test_key(algs[(i + 1) % 3][0]);
        const char *path = put_jwt("jwt", algs[i][1], claims, key);

        cr_assert_eq(bh_spki_encode(other, spki, sizeof(spki), &len, NULL), BH_OK);
        const char *wrong = put("other", bh_span(spki, len));
        cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
        const char *right = put("right", bh_span(spki, len));
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", wrong, path);
        expect_json(&r, 1);
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", wrong, "--endorsed-key", right,
            path);
        expect_json(&r, 0);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
    }
    ran_clear(&r);
    end_folder();
}
