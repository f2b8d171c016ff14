/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolments and appraisals of simulated devices, and every way in which they are refused. */
#include "peers.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PSA,
    CCA,
    NITRO
};

static struct bench b;
static struct agent_device *devices[3];
static EVP_PKEY *key;
static char *csr;

static void
set_up(void)
{
    bench_folder(&b, devices);
    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_csr_make(key, &csr, NULL), BH_OK);
    bench_start(&b);
}

static void
tear_down(void)
{
    bench_stop(&b);
    bench_remove(&b);
    for (size_t i = 0; i < 3; i++)
        agent_device_free(devices[i]);
    EVP_PKEY_free(key);
    free(csr);
}

TestSuite(verifier, .init = set_up, .fini = tear_down);

/* The body of a sound request, to be changed by the caller. */
static json_t *
sound_for(int device, enum agent_tamper tamper, struct bh_span context)
{
    uint8_t binding[BH_BINDING_LEN], spki[BH_SPKI_MAX];
    char challenge[128], *evidence = NULL;
    size_t spki_len = 0;
    json_t *cmw, *body;

    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &spki_len, NULL), BH_OK);
    cr_assert_eq(
        bh_binding(bh_span(b.challenge, 62), bh_span(spki, spki_len), context, binding), BH_OK);
    cr_assert_eq(agent_device_evidence(devices[device], binding, bh_span(spki, spki_len), tamper,
                     bh_time_now(), &evidence, NULL),
        BH_OK);
    cr_assert_not_null(cmw = json_loads(evidence, 0, NULL));
    free(evidence);
    body = json_pack("{s:s, s:s, s:s, s:o}", "challenge",
        bh_base64url(bh_span(b.challenge, 62), challenge, sizeof(challenge)), "workload",
        "payments", "csr", csr, "evidence", cmw);
    cr_assert_not_null(body);
    return body;
}

static json_t *
sound(int device)
{
    return sound_for(device, AGENT_TAMPER_NONE, bh_span_none());
}

/* Consumes the body. */
static struct outcome
ask(uint16_t type, json_t *body)
{
    char *text = bh_json_text(body, false);
    struct outcome o = bench_ask(&b, type, text);

    free(text);
    json_decref(body);
    return o;
}

static const char *
member(const struct outcome *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o->body, name));

    return s != NULL ? s : "";
}

static void
is_refused(struct outcome o, int status, const char *code, const char *check)
{
    char type[64];

    (void)snprintf(type, sizeof(type), "urn:beachhead:error:%s", code);
    cr_expect_eq(o.status, status, "%s: status %d", check, o.status);
    cr_expect_str_eq(member(&o, "type"), type);
    cr_expect_str_eq(member(&o, "check"), check);
    cr_expect_str_eq(member(&o, "request_id"), "0123456789abcdef");
    cr_expect(o.recorded, "%s: no record", check);
    cr_expect_eq(o.passed_as, 0);
    cr_expect_str_eq(b.refusal.diag.check, check);
    outcome_clear(&o);
}

/* ---- accepted ---- */

Test(verifier, enrols_every_platform)
{
    static const char *const names[] = {"psa", "arm-cca", "aws-nitro"};
    uint8_t spki[BH_SPKI_MAX], binding[BH_BINDING_LEN];
    size_t len = 0;

    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(
        bh_binding(bh_span(b.challenge, 62), bh_span(spki, len), bh_span_none(), binding), BH_OK);
    for (int d = PSA; d <= NITRO; d++) {
        struct outcome o = ask(PAS_ENROL, sound(d));

        cr_assert_eq(o.status, 0, "%s: %s", names[d], member(&o, "detail"));
        cr_assert_eq(o.passed_as, PAS_ISSUE);
        cr_assert_not(o.recorded);
        cr_assert(bh_span_is(b.issue.workload, "payments"));
        cr_assert(bh_span_equal(b.issue.spki, bh_span(spki, len)));
        cr_assert(bh_span_equal(b.issue.challenge, bh_span(b.challenge, 62)));
        cr_assert_eq(memcmp(b.issue.binding, binding, sizeof(binding)), 0);
        cr_assert_eq(b.issue.generation, 9);
        cr_assert_str_eq(b.issue.verdict.submod.platform, names[d]);
        cr_assert_eq(b.issue.verdict.submod.status, BH_EAR_WARNING);
        cr_assert(b.issue.verdict.simulated && !b.issue.verdict.debug);
        cr_assert_gt(b.issue.evidence.len, 100);
    }
}

Test(verifier, a_context_is_part_of_the_binding)
{
    const struct bh_span context = bh_span_str("configuration digest");
    char text[64];
    json_t *body = sound_for(PSA, AGENT_TAMPER_NONE, context);

    (void)bh_base64url(context, text, sizeof(text));
    (void)json_object_set_new(body, "context", json_string(text));
    struct outcome o = ask(PAS_ENROL, body);
    cr_assert_eq(o.passed_as, PAS_ISSUE);
    cr_assert(bh_span_equal(b.issue.context, context));
    is_refused(ask(PAS_ENROL, sound_for(PSA, AGENT_TAMPER_NONE, context)), 403, "binding-mismatch",
        "psa.binding");
}

Test(verifier, endorsements_are_remembered)
{
    for (int i = 0; i < 3; i++) {
        struct outcome o = ask(PAS_ENROL, sound(PSA));
        cr_assert_eq(o.passed_as, PAS_ISSUE);
    }
    cr_assert_eq(b.lookups, 4, "%u", b.lookups); /* three challenges, one key */
}

/* ---- refused: the request ---- */

static json_t *
with(const char *name, json_t *value)
{
    json_t *body = sound(PSA);

    (void)json_object_set_new(body, name, value);
    return body;
}

static json_t *
without(const char *name)
{
    json_t *body = sound(PSA);

    (void)json_object_del(body, name);
    return body;
}

static json_t *
repeated(size_t n)
{
    char *s = malloc(n + 1);
    json_t *json;

    memset(s, 'A', n);
    s[n] = '\0';
    json = json_string(s);
    free(s);
    return json;
}

Test(verifier, refuses_malformed_bodies)
{
    static const char *const bodies[] = {"", "{", "[]x", "null", "{\"a\":1}", "{} {}",
        "{\"workload\":\"a\",\"workload\":\"b\"}", "\xff"};

    for (size_t i = 0; i < BH_COUNT(bodies); i++) {
        struct outcome o = bench_ask(&b, PAS_ENROL, bodies[i]);

        cr_expect_eq(o.status, 400, "%s", bodies[i]);
        cr_expect_str_eq(member(&o, "type"), "urn:beachhead:error:malformed", "%s", bodies[i]);
        cr_expect_neq(member(&o, "check")[0], '\0', "%s", bodies[i]);
        outcome_clear(&o);
    }
    is_refused(bench_ask(&b, PAS_ENROL, "[]"), 400, "malformed", "request");
    is_refused(ask(PAS_ENROL, with("extra", json_true())), 400, "malformed", "request");
    is_refused(ask(PAS_ENROL, with("spki", json_string("AAAA"))), 400, "malformed", "request");
    is_refused(ask(PAS_ENROL, with("workload", json_string("Bad Name"))), 400, "malformed",
        "request.workload");
    is_refused(
        ask(PAS_ENROL, with("evidence", json_string("x"))), 400, "malformed", "request.evidence");
    is_refused(
        ask(PAS_ENROL, with("context", json_string("!"))), 400, "malformed", "request.context");
    is_refused(ask(PAS_ENROL, with("context", repeated(100))), 413, "too-large", "request.context");
    is_refused(
        ask(PAS_ENROL, with("csr", repeated(BH_CSR_MAX + 1))), 413, "too-large", "request.csr");
}

Test(verifier, refuses_what_is_missing)
{
    static const char *const members[] = {"challenge", "workload", "csr", "evidence"};

    for (size_t i = 0; i < BH_COUNT(members); i++) {
        struct outcome o = ask(PAS_ENROL, without(members[i]));

        cr_expect_eq(o.status, 400, "%s", members[i]);
        cr_expect_not_null(strstr(member(&o, "detail"), members[i]), "%s", member(&o, "detail"));
        outcome_clear(&o);
    }
}

Test(verifier, refuses_challenges)
{
    is_refused(ask(PAS_ENROL, with("challenge", json_string(""))), 403, "challenge-invalid",
        "challenge.form");
    is_refused(ask(PAS_ENROL, with("challenge", json_string("a+b/"))), 403, "challenge-invalid",
        "challenge.form");
    is_refused(ask(PAS_ENROL, with("challenge", repeated(400))), 403, "challenge-invalid",
        "challenge.form");
    b.challenge_err = BH_ERR_CHALLENGE_EXPIRED;
    is_refused(ask(PAS_ENROL, sound(PSA)), 403, "challenge-expired", "challenge.expiry");
}

Test(verifier, refuses_unknown_and_reserved_workloads)
{
    is_refused(ask(PAS_ENROL, with("workload", json_string("nobody"))), 404, "workload-unknown",
        "workload");
    is_refused(ask(PAS_ENROL, with("workload", json_string("beachhead"))), 404, "workload-unknown",
        "workload");
}

/* ---- refused: the key ---- */

Test(verifier, refuses_certificate_requests)
{
    char *other = strdup(csr);
    EVP_PKEY *p521 = NULL, *wrong = NULL;
    char *text = NULL;

    is_refused(ask(PAS_ENROL, with("csr", json_string("x"))), 400, "csr-invalid", "csr.malformed");
    /* One bit of the signature, which stands at the end. */
    char *at = strstr(other, "\n-----END");
    at[-6] = at[-6] == 'A' ? 'B' : 'A';
    struct outcome o = ask(PAS_ENROL, with("csr", json_string(other)));
    cr_expect_eq(o.status, 400);
    cr_expect_str_eq(member(&o, "type"), "urn:beachhead:error:csr-invalid");
    outcome_clear(&o);
    free(other);
    cr_assert_eq(bh_key_generate("P-521", &p521, NULL), BH_OK);
    if (bh_csr_make(p521, &text, NULL) == BH_OK)
        is_refused(ask(PAS_ENROL, with("csr", json_string(text))), 400, "csr-invalid", "csr.key");
    free(text);
    /* A sound request for a key that is not the bound one. */
    cr_assert_eq(bh_key_generate("P-256", &wrong, NULL), BH_OK);
    cr_assert_eq(bh_csr_make(wrong, &text, NULL), BH_OK);
    is_refused(
        ask(PAS_ENROL, with("csr", json_string(text))), 403, "binding-mismatch", "psa.binding");
    free(text);
    EVP_PKEY_free(p521);
    EVP_PKEY_free(wrong);
}

/* ---- refused: the evidence ---- */

Test(verifier, refuses_tampered_evidence_by_name)
{
    static const struct {
        int device;
        enum agent_tamper tamper;
        int status;
        const char *code, *check;
    } cases[] = {
        {PSA, AGENT_TAMPER_SIGNATURE, 403, "evidence-not-authentic", "psa.signature"},
        {PSA, AGENT_TAMPER_BINDING, 403, "binding-mismatch", "psa.binding"},
        {CCA, AGENT_TAMPER_BINDING, 403, "binding-mismatch", "arm-cca.binding"},
        {NITRO, AGENT_TAMPER_BINDING, 403, "binding-mismatch", "aws-nitro.binding"},
        {NITRO, AGENT_TAMPER_SIGNATURE, 403, "evidence-not-authentic", "aws-nitro.signature"},
        {NITRO, AGENT_TAMPER_CHAIN, 403, "evidence-not-authentic", "aws-nitro.chain"},
        {NITRO, AGENT_TAMPER_MEASUREMENT, 403, "policy-refused", "aws-nitro.pcr0"},
        {PSA, AGENT_TAMPER_DEBUG, 403, "policy-refused", "psa.lifecycle"},
    };

    for (size_t i = 0; i < BH_COUNT(cases); i++)
        is_refused(ask(PAS_ENROL, sound_for(cases[i].device, cases[i].tamper, bh_span_none())),
            cases[i].status, cases[i].code, cases[i].check);
}

Test(verifier, refuses_an_unknown_instance)
{
    b.endorsed_len = 0;
    struct outcome o = ask(PAS_ENROL, sound(PSA));

    cr_expect_eq(o.status, 403);
    cr_expect_str_eq(member(&o, "type"), "urn:beachhead:error:endorsement-unknown");
    cr_expect(o.recorded);
    outcome_clear(&o);
}

Test(verifier, refuses_evidence_of_no_platform)
{
    json_t *cmw = json_pack("[s,s]", "application/x-other", "AAAA");
    struct outcome o = ask(PAS_ENROL, with("evidence", cmw));

    cr_expect_eq(o.status, 415);
    cr_expect_str_eq(member(&o, "type"), "urn:beachhead:error:evidence-unsupported");
    outcome_clear(&o);
}

Test(verifier, refuses_simulated_devices_where_they_are_not_allowed)
{
    b.v->ground.trust.allow_simulated = false;
    for (int d = PSA; d <= NITRO; d++)
        is_refused(ask(PAS_ENROL, sound(d)), 403, "simulated-refused", "simulated");
}

/* ---- appraisals ---- */

static json_t *
appraisal(int device, enum agent_tamper tamper, bool challenge)
{
    json_t *body = sound_for(device, tamper, bh_span_none());

    if (!challenge)
        (void)json_object_del(body, "challenge");
    return body;
}

Test(verifier, appraises_without_a_challenge)
{
    struct outcome o = ask(PAS_APPRAISE, appraisal(NITRO, AGENT_TAMPER_NONE, false));

    cr_assert_eq(o.status, 200);
    cr_assert_str_eq(member(&o, "verdict"), "accept");
    cr_assert_str_eq(member(&o, "platform"), "aws-nitro");
    cr_assert_str_eq(member(&o, "status"), "warning");
    cr_assert(json_is_true(json_object_get(o.body, "authentic")));
    cr_assert_gt(json_array_size(json_object_get(o.body, "checks")), 5);
    cr_assert_null(json_object_get(o.body, "ear"));
    cr_assert_eq(o.passed_as, 0);
    outcome_clear(&o);
}

Test(verifier, an_appraisal_that_fails_lists_its_checks)
{
    struct outcome o = ask(PAS_APPRAISE, appraisal(NITRO, AGENT_TAMPER_MEASUREMENT, false));

    cr_assert_eq(o.status, 200);
    cr_assert_str_eq(member(&o, "verdict"), "refuse");
    cr_assert_str_eq(member(&o, "status"), "none");
    cr_assert(json_is_true(json_object_get(o.body, "authentic")));
    outcome_clear(&o);
    o = ask(PAS_APPRAISE, appraisal(PSA, AGENT_TAMPER_SIGNATURE, true));
    cr_assert_eq(o.status, 200);
    cr_assert_str_eq(member(&o, "verdict"), "refuse");
    cr_assert(json_is_false(json_object_get(o.body, "authentic")));
    cr_assert_eq(o.passed_as, 0);
    outcome_clear(&o);
}

Test(verifier, appraises_without_a_workload)
{
    json_t *body = appraisal(PSA, AGENT_TAMPER_NONE, false);

    (void)json_object_del(body, "workload");
    (void)json_object_del(body, "csr");
    struct outcome o = ask(PAS_APPRAISE, body);
    cr_assert_eq(o.status, 200);
    cr_assert_str_eq(member(&o, "verdict"), "none");
    cr_assert(json_is_true(json_object_get(o.body, "authentic")));
    outcome_clear(&o);
}

Test(verifier, an_appraisal_with_a_challenge_becomes_a_result)
{
    struct outcome o = ask(PAS_APPRAISE, appraisal(PSA, AGENT_TAMPER_NONE, true));

    cr_assert_eq(o.passed_as, PAS_RESULT);
    json_t *checks = json_loadb((const char *)b.issue.checks.ptr, b.issue.checks.len, 0, NULL);
    cr_assert(json_is_array(checks) && json_array_size(checks) > 5);
    json_decref(checks);
}

Test(verifier, an_appraisal_takes_a_bare_key)
{
    uint8_t spki[BH_SPKI_MAX];
    char text[256];
    size_t len = 0;
    json_t *body = appraisal(PSA, AGENT_TAMPER_NONE, true);

    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    (void)json_object_del(body, "csr");
    (void)json_object_set_new(
        body, "spki", json_string(bh_base64url(bh_span(spki, len), text, sizeof(text))));
    struct outcome o = ask(PAS_APPRAISE, body);
    cr_assert_eq(o.passed_as, PAS_RESULT);
    body = appraisal(PSA, AGENT_TAMPER_NONE, true);
    (void)json_object_set_new(body, "spki", json_string("AAAA"));
    is_refused(ask(PAS_APPRAISE, body), 400, "malformed", "request.spki");
    body = appraisal(PSA, AGENT_TAMPER_NONE, true);
    (void)json_object_del(body, "csr");
    is_refused(ask(PAS_APPRAISE, body), 400, "malformed", "request.challenge");
}

/* ---- the channels ---- */

Test(verifier, the_frontend_may_send_nothing_else)
{
    static const uint16_t types[] = {PAS_ISSUE, PAS_MINT, PAS_LOOKUP, PAS_CTL_DRAIN, 0};
    struct bh_ipc_msg msg = {.payload = bh_span("\0\0\0\0\0\0", 6), .fd = -1};

    for (size_t i = 0; i < BH_COUNT(types); i++) {
        msg.type = types[i];
        cr_expect_eq(pas_request_take(b.v, &msg), BH_ERR_MALFORMED);
    }
    msg.type = PAS_ENROL;
    msg.payload = bh_span("\0\1", 2);
    cr_expect_eq(pas_request_take(b.v, &msg), BH_ERR_MALFORMED);
}

Test(verifier, an_authority_that_ends_fails_the_request_only)
{
    struct outcome o;

    b.mute = true;
    /* The challenge is taken as sound; then the key is asked for and nobody answers. */
    json_t *body = appraisal(PSA, AGENT_TAMPER_NONE, false);
    o = ask(PAS_APPRAISE, body);
    cr_expect_eq(o.status, 200);
    cr_expect_str_eq(member(&o, "verdict"), "refuse");
    outcome_clear(&o);
    cr_expect_null(b.v->authority);
    o = ask(PAS_ENROL, sound(NITRO));
    cr_expect_eq(o.status, 503);
    cr_expect_str_eq(member(&o, "type"), "urn:beachhead:error:overloaded");
    outcome_clear(&o);
}

/* PASSED says that the authority has the request: never before it was sent there. */
Test(verifier, a_verdict_that_does_not_leave_is_not_passed)
{
    struct outcome o;

    b.ends_after_answer = true;
    o = ask(PAS_ENROL, sound(NITRO));
    cr_expect_eq(o.status, 503);
    cr_expect_eq(o.passed_as, 0);
    outcome_clear(&o);
}

static bool
survives(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    char *text = malloc(mutant.len + 1);
    struct outcome o;

    (void)arg;
    memcpy(text, mutant.ptr, mutant.len);
    text[mutant.len] = '\0';
    o = bench_ask(&b, PAS_ENROL, text);
    /* Between the values of base64 and in white space a change may mean the same. */
    cr_expect(o.status >= 400 || o.passed_as == PAS_ISSUE, "%s at %zu: %d", how, at, o.status);
    cr_expect_neq(o.status, 500, "%s at %zu", how, at);
    outcome_clear(&o);
    free(text);
    return true;
}

Test(verifier, survives_mutated_requests, .timeout = 240)
{
    json_t *body = sound(PSA);
    char *text = bh_json_text(body, false);

    cr_assert_gt(bh_mutate(bh_span_str(text), 0, strlen(text), 29, survives, NULL), 100);
    free(text);
    json_decref(body);
}
