/* SPDX-License-Identifier: Apache-2.0 */
/* The routes of the HTTP API, what each answers, and its limits. */
#include "refused.h"
#include "shared.h"

#include "core/cose.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct client c;
static struct reply r;

static void
setup(void)
{
    shared_client(&c, "psa");
}

static void
teardown(void)
{
    reply_clear(&r);
    client_close(&c);
}

TestSuite(api, .init = setup, .fini = teardown);

static void
get(const char *path)
{
    reply_clear(&r);
    client_get(&c, path, &r);
}

static void
post(const char *path, const char *body)
{
    reply_clear(&r);
    client_post(&c, path, bh_span_str(body), &r);
}

/* ---- reading ---- */

Test(api, info)
{
    const json_t *platforms;

    get("/v1/info");
    cr_assert_eq(r.status, 200);
    cr_assert_str_eq(r.type, "application/json");
    cr_assert_str_eq(reply_string(&r, "trust_domain"), DOMAIN);
    cr_assert_neq(reply_string(&r, "version")[0], '\0');
    platforms = json_object_get(r.json, "platforms");
    cr_assert_geq(json_array_size(platforms), 3);
    for (size_t i = 0; i < json_array_size(platforms); i++)
        cr_assert_str_neq(json_string_value(json_array_get(platforms, i)), "nvidia-gpu",
            "a platform that no workload can enrol with alone");
}

static size_t
read_certs(X509 *certs[4])
{
    struct bh_diag diag = {0};
    size_t count = 0;

    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_eq(strncmp(r.type, "application/pem-certificate-chain", 33), 0, "%s", r.type);
    cr_assert_eq(
        bh_x509_pem(bh_span_str(r.text), certs, 4, &count, &diag), BH_OK, "%s", diag.detail);
    return count;
}

Test(api, roots_are_self_signed_and_issuers_are_not)
{
    const struct bh_span file = shared_roots();
    X509 *roots[4] = {NULL}, *issuers[4] = {NULL}, *own[4] = {NULL};
    struct bh_diag diag = {0};
    size_t n, m, k = 0;

    get("/v1/roots");
    n = read_certs(roots);
    get("/v1/issuers");
    m = read_certs(issuers);
    cr_assert_eq(bh_x509_pem(file, own, 4, &k, &diag), BH_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(X509_cmp(roots[0], own[0]), 0);
    cr_assert_eq(X509_self_signed(roots[0], 1), 1);
    cr_assert_eq(m, 1);
    cr_assert_eq(X509_self_signed(issuers[0], 1), 0);
    cr_assert_eq(X509_verify(issuers[0], X509_get0_pubkey(roots[0])), 1);
    X509_free(roots[0]);
    X509_free(issuers[0]);
    X509_free(own[0]);
    free((void *)(uintptr_t)file.ptr);
}

Test(api, certificate_by_its_serial)
{
    static const char *const members[] = {
        "serial", "workload", "platform", "spiffe_id", "not_before", "not_after", "simulated"};
    const struct enrolment how = {0};
    struct reply issued;
    char path[80];

    client_enrol(&c, &how, &issued);
    cr_assert_eq(issued.status, 201);
    (void)snprintf(path, sizeof(path), "/v1/certificates/%s", reply_string(&issued, "serial"));
    get(path);
    cr_assert_eq(r.status, 200, "%s", r.text);
    for (size_t i = 0; i < BH_COUNT(members); i++)
        cr_assert(json_equal(json_object_get(r.json, members[i]),
                      json_object_get(issued.json, members[i])),
            "%s", members[i]);
    cr_assert_str_eq(reply_string(&r, "status"), "valid");
    /* The leaf is what the reply began with. */
    const char *leaf = reply_string(&r, "certificate");
    cr_assert_gt(strlen(leaf), 100);
    cr_assert_eq(strncmp(reply_string(&issued, "certificate"), leaf, strlen(leaf)), 0);
    reply_clear(&issued);
}

Test(api, unknown_serials)
{
    get("/v1/certificates/00000000000000000000000000000017");
    assert_refused(&r, 404, "not-found", "certificate.serial");
    get("/v1/certificates/17");
    assert_refused(&r, 400, "malformed", "request.serial");
    get("/v1/certificates/ABCDEF00000000000000000000000017");
    assert_refused(&r, 400, "malformed", "request.serial");
}

Test(api, health)
{
    get("/healthz");
    cr_assert_eq(r.status, 200);
    get("/readyz");
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert(json_is_true(json_object_get(r.json, "ready")));
}

/* ---- metrics ---- */

static const char *
skip_name(const char *p)
{
    cr_assert(isalpha((unsigned char)*p) || *p == '_', "%.60s", p);
    while (isalnum((unsigned char)*p) || *p == '_' || *p == ':')
        p++;
    return p;
}

/* One line of the text format 0.0.4: a comment, or name, labels, value. */
static void
assert_metric_line(const char *line, const char *end)
{
    char *after = NULL;

    if (*line == '#') {
        cr_assert(strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0);
        return;
    }
    line = skip_name(line);
    if (*line == '{') {
        for (line++; *line != '}';) {
            line = skip_name(line);
            cr_assert_eq(strncmp(line, "=\"", 2), 0, "%.60s", line);
            line += 2 + strcspn(line + 2, "\"\n\\");
            cr_assert_eq(*line, '"', "%.60s", line);
            line += line[1] == ',' ? 2 : 1;
        }
        line++;
    }
    cr_assert_eq(*line, ' ', "%.60s", line);
    (void)strtod(line + 1, &after);
    cr_assert_eq(after, end, "%.60s", line);
}

Test(api, metrics)
{
    const struct enrolment broken = {.tamper = AGENT_TAMPER_NO_ALG};
    double refused, issued;
    size_t lines = 0;

    get("/metrics");
    cr_assert_eq(r.status, 200);
    cr_assert_eq(strncmp(r.type, "text/plain; version=0.0.4", 25), 0, "%s", r.type);
    for (const char *line = r.text, *end; *line != '\0'; line = end + 1, lines++) {
        cr_assert_not_null(end = strchr(line, '\n'));
        assert_metric_line(line, end);
    }
    cr_assert_gt(lines, 20);
    refused = metric_of(r.text, "beachhead_refused_total{code=\"evidence-not-authentic\"}");
    issued = metric_of(r.text, "beachhead_certificates_issued_total");
    cr_assert_geq(refused, 0);
    cr_assert_geq(issued, 0);
    reply_clear(&r);
    client_enrol(&c, &broken, &r);
    cr_assert_eq(r.status, 403);
    /* Refusals are counted behind the answer. */
    for (int i = 0; i < 200; i++) {
        get("/metrics");
        if (metric_of(r.text, "beachhead_refused_total{code=\"evidence-not-authentic\"}") > refused)
            return;
        (void)usleep(10000);
    }
    cr_assert_fail("the refusal was not counted");
}

/* ---- challenges ---- */

Test(api, challenges)
{
    uint8_t bytes[BH_CHALLENGE_LEN];
    int64_t expires = 0;
    size_t len = 0;

    for (int i = 0; i < 3; i++) {
        static const char *const bodies[] = {"", "{}", " { } "};
        const int64_t now = bh_time_now();

        post("/v1/challenges", bodies[i]);
        cr_assert_eq(r.status, 201, "%s", r.text);
        cr_assert_eq(json_object_size(r.json), 2);
        cr_assert_eq(
            bh_unbase64url(bh_span_str(reply_string(&r, "challenge")), bytes, sizeof(bytes), &len),
            BH_OK);
        cr_assert_eq(len, BH_CHALLENGE_LEN);
        cr_assert_eq(bh_time_read(reply_string(&r, "expires_at"), &expires), BH_OK);
        cr_assert(expires >= now + 119 && expires <= now + 125);
    }
    post("/v1/challenges", "{\"a\":1}");
    assert_refused(&r, 400, "malformed", "request.body");
    post("/v1/challenges", "[]");
    assert_refused(&r, 400, "malformed", "request.body");
}

/* ---- what a body may be ---- */

static void
refuse_body(const char *body, const char *check)
{
    post("/v1/certificates", body);
    assert_refused(&r, 400, "malformed", check);
    post("/v1/appraisals", body);
    assert_refused(&r, 400, "malformed", check);
}

Test(api, malformed_bodies)
{
    refuse_body("", "request.body");
    refuse_body("{", "request");
    refuse_body("[]", "request");
    refuse_body("7", "request");
    refuse_body("{} {}", "request");
    refuse_body("{\"workload\":\"w\",\"workload\":\"w\"}", "request");
    refuse_body("{\"workload\":\"w\",\"surplus\":1}", "request");
    refuse_body("{\"workload\":7}", "workload");
    refuse_body("{\"workload\":\"../w\"}", "request.workload");
    refuse_body("{\"workload\":\"w\\u0000\"}", "request");
    refuse_body("[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]", "request");
    refuse_body("\xff\xfe", "request");
}

/* Each member in turn left out, and of another type. */
Test(api, members_of_an_enrolment)
{
    static const char *const members[] = {"challenge", "workload", "csr", "evidence"};
    const struct enrolment how = {0};

    for (size_t i = 0; i < BH_COUNT(members); i++)
        for (int kind = 0; kind < 2; kind++) {
            json_t *body = client_request(&c, &how);

            if (kind == 0)
                (void)json_object_del(body, members[i]);
            else
                (void)json_object_set_new(body, members[i], json_integer(5));
            reply_clear(&r);
            client_post_json(&c, "/v1/certificates", body, &r);
            assert_refused(&r, 400, "malformed", reply_string(&r, "check"));
            cr_assert_not_null(strstr(reply_string(&r, "check"), members[i]), "%s", r.text);
        }
}

static json_t *
long_text(size_t len)
{
    char *text = malloc(len + 1);

    cr_assert_not_null(text);
    memset(text, 'A', len);
    text[len] = '\0';
    json_t *json = json_string(text);
    free(text);
    return json;
}

static void
refuse_large(const char *member, json_t *value, long status, const char *code)
{
    const struct enrolment how = {0};
    json_t *body = client_request(&c, &how);

    (void)json_object_set_new(body, member, value);
    reply_clear(&r);
    client_post_json(&c, "/v1/certificates", body, &r);
    assert_refused(&r, status, code, reply_string(&r, "check"));
    cr_assert_neq(reply_string(&r, "check")[0], '\0');
}

Test(api, limits)
{
    refuse_large("csr", long_text(BH_CSR_MAX + 1), 413, "too-large");
    refuse_large("context", long_text(128), 413, "too-large");
    refuse_large("challenge", long_text(4096), 403, "challenge-invalid");
    refuse_large("evidence",
        json_pack("[s,o]", "application/aws-nitro-document",
            long_text((size_t)BH_EVIDENCE_MAX * 4 / 3 + 8)),
        413, "too-large");
    refuse_large("csr", long_text(BH_BODY_MAX), 413, "too-large");
    /* The server is none the worse for it. */
    get("/healthz");
    cr_assert_eq(r.status, 200);
}

/* ---- paths ---- */

Test(api, what_is_not_there)
{
    static const char *const later[] = {"/v1/crl/00.crl", "/v1/ocsp", "/.well-known/est/cacerts",
        "/v1/log/00/checkpoint", "/v1/admin/policies"};

    for (size_t i = 0; i < BH_COUNT(later); i++) {
        get(later[i]);
        assert_refused(&r, 404, "not-found", "request.path");
        cr_assert_not_null(strstr(reply_string(&r, "detail"), "no such part yet"), "%s", r.text);
    }
    get("/v1/nothing");
    assert_refused(&r, 404, "not-found", "request.path");
    get("/");
    assert_refused(&r, 404, "not-found", "request.path");
    get("/v1/../server.json");
    assert_refused(&r, 404, "not-found", "request.path");
}

Test(api, methods)
{
    get("/v1/challenges");
    assert_refused(&r, 405, "malformed", "request.method");
    get("/v1/certificates");
    assert_refused(&r, 405, "malformed", "request.method");
    post("/v1/roots", "{}");
    assert_refused(&r, 405, "malformed", "request.method");
    post("/healthz", "{}");
    assert_refused(&r, 405, "malformed", "request.method");
}

/* ---- appraisals ---- */

static json_t *
find_check(const char *name)
{
    json_t *check;
    size_t i;

    json_array_foreach(json_object_get(r.json, "checks"), i, check)
    {
        cr_assert(json_is_boolean(json_object_get(check, "ok")));
        if (strcmp(json_string_value(json_object_get(check, "check")), name) == 0)
            return check;
    }
    return NULL;
}

static void
appraise(json_t *body)
{
    reply_clear(&r);
    client_post_json(&c, "/v1/appraisals", body, &r);
}

Test(api, appraisal_without_a_challenge)
{
    const struct enrolment good = {0}, bad = {.tamper = AGENT_TAMPER_MEASUREMENT};
    json_t *body = client_request(&c, &good);

    (void)json_object_del(body, "challenge");
    appraise(body);
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "verdict"), "accept");
    cr_assert_str_eq(reply_string(&r, "status"), "warning");
    cr_assert_null(json_object_get(r.json, "ear"));
    cr_assert(json_is_true(json_object_get(find_check("psa.signature"), "ok")));

    body = client_request(&c, &bad);
    (void)json_object_del(body, "challenge");
    appraise(body);
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "verdict"), "refuse");
    cr_assert(json_is_true(json_object_get(r.json, "authentic")));
    cr_assert(json_is_false(json_object_get(find_check("psa.software"), "ok")));
    assert_no_certificate(r.text);
}

/* header.payload.signature of ES256, by the issuing CA's key. */
static json_t *
verify_jwt(const char *jwt)
{
    const char *dot = strchr(jwt, '.'), *second = dot != NULL ? strchr(dot + 1, '.') : NULL;
    uint8_t signature[80], bytes[BH_EAR_MAX];
    struct bh_diag diag = {0};
    X509 *issuers[4] = {NULL};
    json_t *header = NULL, *payload = NULL;
    size_t len = 0;

    cr_assert_not_null(second, "%s", jwt);
    get("/v1/issuers");
    cr_assert_eq(read_certs(issuers), 1);
    cr_assert_eq(
        bh_unbase64url(bh_span_str(second + 1), signature, sizeof(signature), &len), BH_OK);
    cr_assert_eq(bh_ecdsa_verify(X509_get0_pubkey(issuers[0]), bh_span(jwt, (size_t)(second - jwt)),
                     bh_span(signature, len), &diag),
        BH_OK, "%s", diag.detail);
    X509_free(issuers[0]);
    cr_assert_eq(
        bh_unbase64url(bh_span(jwt, (size_t)(dot - jwt)), bytes, sizeof(bytes), &len), BH_OK);
    cr_assert_eq(bh_json_parse(bh_span(bytes, len), sizeof(bytes), &header, &diag), BH_OK);
    cr_assert_str_eq(json_string_value(json_object_get(header, "alg")), "ES256");
    json_decref(header);
    cr_assert_eq(
        bh_unbase64url(bh_span(dot + 1, (size_t)(second - dot - 1)), bytes, sizeof(bytes), &len),
        BH_OK);
    cr_assert_eq(bh_json_parse(bh_span(bytes, len), sizeof(bytes), &payload, &diag), BH_OK);
    return payload;
}

static void
assert_cnf(const json_t *claims)
{
    const json_t *jwk = json_object_get(json_object_get(claims, "cnf"), "jwk");
    const char *name = NULL;
    struct bh_span point;
    char x[64];

    cr_assert_eq(bh_spki_point(bh_span(c.spki, c.spki_len), &name, &point), BH_OK);
    cr_assert_str_eq(json_string_value(json_object_get(jwk, "x")),
        bh_base64url(bh_span(point.ptr + 1, 32), x, sizeof(x)));
}

Test(api, appraisal_with_a_challenge)
{
    const struct enrolment how = {0};
    json_t *body = client_request(&c, &how), *again = json_deep_copy(body), *claims;
    char nonce[128], *jwt;

    (void)snprintf(
        nonce, sizeof(nonce), "%s", json_string_value(json_object_get(body, "challenge")));
    appraise(body);
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "verdict"), "accept");
    cr_assert_not_null(find_check("psa.binding"));
    jwt = strdup(reply_string(&r, "ear"));
    claims = verify_jwt(jwt);
    /* The verifier of the result knows its challenge; the binding it can compute. */
    cr_assert_str_eq(json_string_value(json_object_get(claims, "eat_nonce")), nonce);
    cr_assert_str_eq(
        json_string_value(json_object_get(claims, "eat_profile")), "tag:ietf.org,2026:rats/ear#04");
    assert_cnf(claims);
    cr_assert_not_null(json_object_get(json_object_get(claims, "submods"), "psa"));
    json_decref(claims);
    free(jwt);
    /* It is spent: for another appraisal, and for a certificate. */
    appraise(json_deep_copy(again));
    assert_refused(&r, 409, "challenge-used", "challenge.single_use");
    reply_clear(&r);
    client_post_json(&c, "/v1/certificates", again, &r);
    assert_refused(&r, 409, "challenge-used", "challenge.single_use");
}

/* No result is signed of evidence that is refused, and its challenge is none the better for it. */
Test(api, appraisal_refused_with_a_challenge)
{
    const struct enrolment how = {.tamper = AGENT_TAMPER_MEASUREMENT};

    appraise(client_request(&c, &how));
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "verdict"), "refuse");
    cr_assert_null(json_object_get(r.json, "ear"));
    assert_no_certificate(r.text);
}
