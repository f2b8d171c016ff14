/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be refused, each by its code and the name of its check, over HTTPS by a running server;
 * none leaves a certificate for the key behind.
 */
#include "csr.h"
#include "refused.h"
#include "shared.h"

#include "core/text.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *platform;
    struct enrolment how;
    long status;
    const char *code, *check;
};

static void
must_refuse(const struct row *row)
{
    struct client c;
    struct reply r;

    shared_client(&c, row->platform);
    client_enrol(&c, &row->how, &r);
    assert_refused(&r, row->status, row->code, row->check);
    assert_recorded(&r, row->code, row->check);
    cr_assert_eq(shared_certificates_with(bh_span(c.spki, c.spki_len)), 0);
    reply_clear(&r);
    client_close(&c);
}

#define REFUSED(suite, name, ...)                                                                  \
    Test(suite, name)                                                                              \
    {                                                                                              \
        const struct row row = {__VA_ARGS__};                                                      \
        must_refuse(&row);                                                                         \
    }

/* ---- evidence broken in one place ---- */

#define TAMPERED(kind)                                                                             \
    {                                                                                              \
        .tamper = AGENT_TAMPER_##kind                                                              \
    }
#define FORGED 403, "evidence-not-authentic"
#define POLICY 403, "policy-refused"
#define MALFORMED 400, "evidence-malformed"

REFUSED(refuse_nitro, debug_mode, "aws-nitro", TAMPERED(DEBUG), POLICY, "aws-nitro.debug")
REFUSED(refuse_nitro, broken_chain, "aws-nitro", TAMPERED(CHAIN), FORGED, "aws-nitro.chain")
REFUSED(refuse_nitro, expired_leaf, "aws-nitro", TAMPERED(EXPIRED), FORGED, "aws-nitro.validity")
REFUSED(refuse_nitro, another_root, "aws-nitro", TAMPERED(ROOT), FORGED, "aws-nitro.chain")
REFUSED(
    refuse_nitro, trailing_byte, "aws-nitro", TAMPERED(TRAILING), MALFORMED, "aws-nitro.envelope")
REFUSED(
    refuse_nitro, duplicate_key, "aws-nitro", TAMPERED(DUPLICATE), MALFORMED, "aws-nitro.payload")
REFUSED(refuse_nitro, nitrotpm, "aws-nitro", TAMPERED(NITROTPM), 415, "evidence-unsupported",
    "aws-nitro.pcrs")
REFUSED(refuse_nitro, nitrotpm_for_what_it_is_not, "aws-nitrotpm", TAMPERED(ENCLAVE), 415,
    "evidence-unsupported", "aws-nitrotpm.nitrotpm_pcrs")
REFUSED(refuse_nitro, nitrotpm_measurement, "aws-nitrotpm", TAMPERED(MEASUREMENT), POLICY,
    "aws-nitrotpm.pcr4")
REFUSED(refuse_nitro, nitrotpm_another_root, "aws-nitrotpm", TAMPERED(ROOT), FORGED,
    "aws-nitrotpm.chain")
REFUSED(refuse_nitro, nitrotpm_binding, "aws-nitrotpm", TAMPERED(BINDING), 403, "binding-mismatch",
    "aws-nitrotpm.binding")
REFUSED(refuse_nitro, signature, "aws-nitro", TAMPERED(SIGNATURE), FORGED, "aws-nitro.signature")
REFUSED(refuse_nitro, no_alg, "aws-nitro", TAMPERED(NO_ALG), MALFORMED, "aws-nitro.protected")
REFUSED(refuse_nitro, measurement, "aws-nitro", TAMPERED(MEASUREMENT), POLICY, "aws-nitro.pcr0")
REFUSED(refuse_nitro, binding, "aws-nitro", TAMPERED(BINDING), 403, "binding-mismatch",
    "aws-nitro.binding")

REFUSED(refuse_tpm2, signature, "tpm2", TAMPERED(SIGNATURE), FORGED, "tpm2.signature")
REFUSED(refuse_tpm2, another_key, "tpm2", TAMPERED(CHAIN), FORGED, "tpm2.signature")
REFUSED(refuse_tpm2, unknown_key, "tpm2", TAMPERED(ROOT), 403, "endorsement-unknown", "tpm2.ak")
REFUSED(refuse_tpm2, measurement, "tpm2", TAMPERED(MEASUREMENT), POLICY, "tpm2.pcrs.sha256.4")
REFUSED(refuse_tpm2, secure_boot_off, "tpm2", TAMPERED(DEBUG), POLICY, "tpm2.secure_boot")
REFUSED(refuse_tpm2, trailing_byte, "tpm2", TAMPERED(TRAILING), MALFORMED, "tpm2.quote")
REFUSED(refuse_tpm2, binding, "tpm2", TAMPERED(BINDING), 403, "binding-mismatch", "tpm2.binding")

REFUSED(refuse_cca, unbound_realm_key, "arm-cca", TAMPERED(CHAIN), FORGED, "arm-cca.rak_binding")
REFUSED(
    refuse_cca, not_secured, "arm-cca", TAMPERED(DEBUG), POLICY, "arm-cca.platform_token.lifecycle")
REFUSED(refuse_cca, unknown_platform_key, "arm-cca", TAMPERED(ROOT), 403, "endorsement-unknown",
    "arm-cca.instance")
REFUSED(refuse_cca, signature, "arm-cca", TAMPERED(SIGNATURE), FORGED, "arm-cca.realm.signature")
REFUSED(refuse_cca, trailing_byte, "arm-cca", TAMPERED(TRAILING), MALFORMED, "arm-cca.encoding")
REFUSED(
    refuse_cca, duplicate_key, "arm-cca", TAMPERED(DUPLICATE), MALFORMED, "arm-cca.realm.claims")
REFUSED(refuse_cca, no_alg, "arm-cca", TAMPERED(NO_ALG), FORGED, "arm-cca.platform.alg")
REFUSED(refuse_cca, unknown_profile, "arm-cca", TAMPERED(PROFILE), MALFORMED,
    "arm-cca.platform_token.profile")
REFUSED(refuse_cca, measurement, "arm-cca", TAMPERED(MEASUREMENT), POLICY,
    "arm-cca.realm.initial_measurement")
REFUSED(refuse_cca, missing_component, "arm-cca", TAMPERED(MISSING_COMPONENT), POLICY,
    "arm-cca.platform_token.software")
REFUSED(refuse_cca, extra_component, "arm-cca", TAMPERED(EXTRA_COMPONENT), POLICY,
    "arm-cca.platform_token.software")
REFUSED(
    refuse_cca, binding, "arm-cca", TAMPERED(BINDING), 403, "binding-mismatch", "arm-cca.binding")

REFUSED(
    refuse_psa, unknown_instance, "psa", TAMPERED(ROOT), 403, "endorsement-unknown", "psa.instance")
REFUSED(refuse_psa, unknown_profile, "psa", TAMPERED(PROFILE), MALFORMED, "psa.profile")
REFUSED(refuse_psa, mixed_profile, "psa", TAMPERED(MIXED), MALFORMED, "psa.profile")
REFUSED(refuse_psa, no_alg, "psa", TAMPERED(NO_ALG), FORGED, "psa.alg")
REFUSED(refuse_psa, missing_component, "psa", TAMPERED(MISSING_COMPONENT), POLICY, "psa.software")
REFUSED(refuse_psa, extra_component, "psa", TAMPERED(EXTRA_COMPONENT), POLICY, "psa.software")
REFUSED(refuse_psa, signature, "psa", TAMPERED(SIGNATURE), FORGED, "psa.signature")
REFUSED(refuse_psa, another_key, "psa", TAMPERED(CHAIN), FORGED, "psa.signature")
REFUSED(refuse_psa, not_secured, "psa", TAMPERED(DEBUG), POLICY, "psa.lifecycle")
REFUSED(refuse_psa, measurement, "psa", TAMPERED(MEASUREMENT), POLICY, "psa.software")
REFUSED(refuse_psa, trailing_byte, "psa", TAMPERED(TRAILING), MALFORMED, "psa.encoding")
REFUSED(refuse_psa, duplicate_key, "psa", TAMPERED(DUPLICATE), MALFORMED, "psa.claims")
REFUSED(refuse_psa, binding, "psa", TAMPERED(BINDING), 403, "binding-mismatch", "psa.binding")

/* ---- evidence over something else ---- */

#define OTHER_CONTEXT                                                                              \
    {                                                                                              \
        .context = {(const uint8_t *)"sent", 4}, .bound_context = {(const uint8_t *)"bound", 5},   \
    }
#define MISMATCH 403, "binding-mismatch"

REFUSED(refuse_binding, nitro_context, "aws-nitro", OTHER_CONTEXT, MISMATCH, "aws-nitro.binding")
REFUSED(refuse_binding, cca_context, "arm-cca", OTHER_CONTEXT, MISMATCH, "arm-cca.binding")
REFUSED(refuse_binding, psa_context, "psa", OTHER_CONTEXT, MISMATCH, "psa.binding")

static void
refuse_other_challenge(const char *platform, const char *check)
{
    struct enrolment how = {0};
    struct client c;
    struct reply r;
    char *other;

    shared_client(&c, platform);
    other = client_challenge(&c);
    how.bound_challenge = other;
    client_enrol(&c, &how, &r);
    assert_refused(&r, 403, "binding-mismatch", check);
    assert_recorded(&r, "binding-mismatch", check);
    cr_assert_eq(shared_certificates_with(bh_span(c.spki, c.spki_len)), 0);
    reply_clear(&r);
    free(other);
    client_close(&c);
}

Test(refuse_binding, another_challenge)
{
    refuse_other_challenge("aws-nitro", "aws-nitro.binding");
    refuse_other_challenge("arm-cca", "arm-cca.binding");
    refuse_other_challenge("psa", "psa.binding");
}

/* The request's key is not the one that the evidence is over: signing it anyway is mistake 1. */
static void
refuse_other_key(const char *platform, const char *check)
{
    struct enrolment how = {0};
    struct client c, thief;
    struct reply r;

    shared_client(&c, platform);
    shared_client(&thief, platform);
    how.bound_spki = bh_span(c.spki, c.spki_len);
    client_enrol(&thief, &how, &r);
    assert_refused(&r, 403, "binding-mismatch", check);
    assert_recorded(&r, "binding-mismatch", check);
    cr_assert_eq(shared_certificates_with(bh_span(thief.spki, thief.spki_len)), 0);
    reply_clear(&r);
    client_close(&thief);
    client_close(&c);
}

Test(refuse_binding, another_key)
{
    refuse_other_key("aws-nitro", "aws-nitro.binding");
    refuse_other_key("arm-cca", "arm-cca.binding");
    refuse_other_key("psa", "psa.binding");
}

/* A document that carries a key at all carries this one. */
Test(refuse_binding, nitro_public_key)
{
    struct row row = {"aws-nitro", {0}, 403, "binding-mismatch", "aws-nitro.public_key"};
    struct client other;

    client_open(&other, "aws-nitro", NULL);
    row.how.named_spki = bh_span(other.spki, other.spki_len);
    must_refuse(&row);
    client_close(&other);
}

/* ---- challenges ---- */

Test(refuse_challenge, reused_after_a_certificate)
{
    struct enrolment how = {0};
    struct client c;
    struct reply r;
    char *challenge;

    shared_client(&c, "psa");
    challenge = client_challenge(&c);
    how.challenge = challenge;
    client_enrol(&c, &how, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
    client_enrol(&c, &how, &r);
    assert_refused(&r, 409, "challenge-used", "challenge.single_use");
    assert_recorded(&r, "challenge-used", "challenge.single_use");
    reply_clear(&r);
    /* Nor for another key, whatever the evidence says. */
    client_rekey(&c, "P-256");
    client_enrol(&c, &how, &r);
    assert_refused(&r, 409, "challenge-used", "challenge.single_use");
    reply_clear(&r);
    cr_assert_eq(shared_certificates_with(bh_span(c.spki, c.spki_len)), 0);
    free(challenge);
    client_close(&c);
}

#define RACERS 8

struct racer {
    struct client client;
    const char *body;
    long status;
};

static void *
race(void *arg)
{
    struct racer *racer = arg;
    const struct bh_span body = bh_span_str(racer->body);
    struct bh_http_reply reply = {0};

    if (bh_http_request(racer->client.http, "/v1/certificates", "application/json", &body, &reply,
            NULL) == BH_OK)
        racer->status = reply.status;
    bh_http_reply_clear(&reply);
    return NULL;
}

/* All at once, before the first of them is recorded. */
Test(refuse_challenge, reused_at_the_same_time)
{
    struct racer racers[RACERS] = {0};
    const struct enrolment how = {0};
    pthread_t threads[RACERS];
    unsigned won = 0;
    struct client c;

    shared_client(&c, "psa");
    json_t *json = client_request(&c, &how);
    char *body = json_dumps(json, 0);
    for (size_t i = 0; i < RACERS; i++) {
        shared_client(&racers[i].client, "psa");
        racers[i].body = body;
    }
    for (size_t i = 0; i < RACERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        (void)pthread_join(threads[i], NULL);
        cr_assert(racers[i].status == 201 || racers[i].status == 409, "%ld", racers[i].status);
        won += racers[i].status == 201;
        client_close(&racers[i].client);
    }
    cr_assert_eq(won, 1, "%u certificates for one challenge", won);
    cr_assert_eq(shared_certificates_with(bh_span(c.spki, c.spki_len)), 1);
    free(body);
    json_decref(json);
    client_close(&c);
}

static void
refuse_challenge(const char *challenge, const char *check)
{
    const struct enrolment how = {.challenge = challenge};
    struct client c;
    struct reply r;

    shared_client(&c, "psa");
    client_enrol(&c, &how, &r);
    assert_refused(&r, 403, "challenge-invalid", check);
    assert_recorded(&r, "challenge-invalid", check);
    cr_assert_eq(shared_certificates_with(bh_span(c.spki, c.spki_len)), 0);
    reply_clear(&r);
    client_close(&c);
}

static void
refuse_altered(size_t at)
{
    uint8_t bytes[BH_CHALLENGE_LEN];
    char text[128];
    struct client c;
    size_t len = 0;

    shared_client(&c, "psa");
    char *challenge = client_challenge(&c);
    cr_assert_eq(bh_unbase64url(bh_span_str(challenge), bytes, sizeof(bytes), &len), BH_OK);
    cr_assert_eq(len, sizeof(bytes));
    bytes[at] ^= 0x01;
    refuse_challenge(bh_base64url(bh_span(bytes, len), text, sizeof(text)), "challenge.mac");
    free(challenge);
    client_close(&c);
}

#define ALTERED(name, at)                                                                          \
    Test(refuse_challenge, name)                                                                   \
    {                                                                                              \
        refuse_altered(at);                                                                        \
    }

ALTERED(altered_key_id, 3)
ALTERED(altered_expiry, 12)
ALTERED(altered_nonce, 20)
ALTERED(altered_tag, 61)

Test(refuse_challenge, not_one)
{
    refuse_challenge("", "challenge.form");
    refuse_challenge("AAAA", "challenge.form");
    refuse_challenge("!", "challenge.form");
}

/* ---- requests ---- */

static void
refuse_csr(char *csr, const char *check)
{
    const struct row row = {"psa", {.csr = csr}, 400, "csr-invalid", check};

    must_refuse(&row);
    free(csr);
}

Test(refuse_csr, bad_signature)
{
    struct client c;

    client_open(&c, "psa", NULL);
    refuse_csr(csr_badly_signed(c.key), "csr.signature");
    refuse_csr(csr_of_strange_key(c.key), "csr.signature");
    client_close(&c);
}

Test(refuse_csr, rsa)
{
    refuse_csr(csr_rsa(1024), "csr.key");
    refuse_csr(csr_rsa(2048), "csr.key");
}

Test(refuse_csr, malformed)
{
    refuse_csr(strdup("nothing"), "csr.malformed");
    refuse_csr(strdup("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                      "-----END CERTIFICATE REQUEST-----\n"),
        "csr.malformed");
}

Test(refuse_csr, key_that_the_policy_does_not_permit)
{
    const struct row row = {"psa", {.workload = W_P384}, 400, "csr-invalid", "csr.key"};

    must_refuse(&row);
}

/* ---- policies ---- */

REFUSED(refuse_policy, no_entry_for_nitro, "aws-nitro", {.workload = W_PSA_ONLY}, 403,
    "reference-missing", "policy.platform")
REFUSED(refuse_policy, no_entry_for_cca, "arm-cca", {.workload = W_PSA_ONLY}, 403,
    "reference-missing", "policy.platform")
REFUSED(refuse_policy, unknown_workload, "psa", {.workload = "nobody"}, 404, "workload-unknown",
    "workload")
REFUSED(refuse_policy, simulated_nitro_for_genuine, "aws-nitro", {.workload = W_GENUINE}, 403,
    "simulated-refused", "simulated")
REFUSED(refuse_policy, simulated_cca_for_genuine, "arm-cca", {.workload = W_GENUINE}, 403,
    "simulated-refused", "simulated")
REFUSED(refuse_policy, simulated_psa_for_genuine, "psa", {.workload = W_GENUINE}, 403,
    "simulated-refused", "simulated")
REFUSED(refuse_policy, unpinned_context, "psa", {.workload = W_CONTEXT}, POLICY, "policy.context")
REFUSED(refuse_policy, other_context, "aws-nitro",
    {.workload = W_CONTEXT, .context = {(const uint8_t *)"other", 5}}, POLICY, "policy.context")

/* Only the last digit differs: a comparison of the first 32 bytes would be mistake 2. */
REFUSED(refuse_policy, nitro_truncated, "aws-nitro", {.workload = W_TRUNCATED}, POLICY,
    "aws-nitro.pcr0")
REFUSED(refuse_policy, cca_truncated, "arm-cca", {.workload = W_TRUNCATED}, POLICY,
    "arm-cca.realm.initial_measurement")
REFUSED(
    refuse_policy, psa_truncated, "psa", {.workload = W_TRUNCATED}, POLICY, "psa.implementation_id")

/* ---- evidence under another name ---- */

static void
refuse_evidence(json_t *evidence, long status, const char *code, const char *check)
{
    const struct enrolment how = {0};
    struct client c;
    struct reply r;
    json_t *body;

    shared_client(&c, "psa");
    body = client_request(&c, &how);
    (void)json_object_set_new(body, "evidence", evidence);
    client_post_json(&c, "/v1/certificates", body, &r);
    assert_refused(&r, status, code, check);
    assert_recorded(&r, code, check);
    reply_clear(&r);
    client_close(&c);
}

#define EVIDENCE(name, json, ...)                                                                  \
    Test(refuse_evidence, name)                                                                    \
    {                                                                                              \
        refuse_evidence(json, __VA_ARGS__);                                                        \
    }

EVIDENCE(of_no_platform, json_pack("[s,s]", "text/plain", "AAAA"), 415, "evidence-unsupported",
    "evidence.type")
EVIDENCE(of_an_unknown_collection,
    json_pack("{s:s,s:[s,s]}", "__cmwc_t", "tag:beachhead,2026:abacus", "evidence",
        "application/octet-stream", "AAAA"),
    415, "evidence-unsupported", "evidence.type")
EVIDENCE(of_a_gpu_alone,
    json_pack("{s:s,s:[s,s]}", "__cmwc_t", "tag:beachhead,2026:nvidia-gpu", "report",
        "application/octet-stream", "AAAA"),
    MALFORMED, "nvidia-gpu.report")
EVIDENCE(empty, json_pack("[s,s]", "application/aws-nitro-document", ""), MALFORMED,
    "aws-nitro.envelope")
EVIDENCE(no_token, json_pack("[s,s]", "application/psa-attestation-token", "AAAA"), MALFORMED,
    "psa.encoding")
EVIDENCE(no_collection, json_pack("[s,s]", "application/eat-collection", "AAAA"), MALFORMED,
    "arm-cca.encoding")
EVIDENCE(no_cmw, json_string("AAAA"), 400, "malformed", "request.evidence")
EVIDENCE(no_text, json_pack("[s,i]", "a/b", 5), 400, "malformed", "request.evidence")
