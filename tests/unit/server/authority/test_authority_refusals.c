/* SPDX-License-Identifier: Apache-2.0 */
/* What the authority refuses by itself, whatever a verifier says. Nothing refused reaches the
 * signer. */
#include "core/text.h"
#include "core/x509.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static struct world w;
static struct pas_issue m;

static void
teardown(void)
{
    world_end(&w);
}

TestSuite(authority_refusals, .fini = teardown, .timeout = 60);

static void
begin(const struct world_options *o)
{
    world_start(&w, o);
    world_mint(&w);
    world_issue(&w, &m);
}

/* Refused as an enrolment and as an appraisal, and no word to the signer. */
static void
refused(unsigned status, const char *code, const char *check)
{
    struct reply reply;

    for (unsigned result = 0; result < 2; result++) {
        const uint64_t id = world_send_issue(&w, &m, result == 1);
        world_answer(&w, id, &reply);
        reply_is_problem(&reply, status, code, check);
    }
    cr_assert(world_signer_is_idle(&w));
}

Test(authority_refusals, challenge)
{
    const uint8_t other_key[PAS_CHALLENGE_KEY_LEN] = {9};
    struct pas_challenges theirs;

    begin(NULL);
    m.challenge.len--;
    refused(403, "challenge-invalid", "challenge.form");
    m.challenge.len++;
    w.challenge[40] ^= 1;
    refused(403, "challenge-invalid", "challenge.mac");
    cr_assert_eq(
        pas_challenge_mint(&w.challenges, bh_time_now() - 121, 120, w.challenge, NULL), BH_OK);
    world_bind(&m);
    refused(403, "challenge-expired", "challenge.expiry");
    cr_assert_eq(pas_challenges_init(&theirs, other_key, NULL), BH_OK);
    cr_assert_eq(pas_challenge_mint(&theirs, bh_time_now(), 120, w.challenge, NULL), BH_OK);
    pas_challenges_clear(&theirs);
    world_bind(&m);
    refused(403, "challenge-invalid", "challenge.mac");
}

Test(authority_refusals, binding)
{
    uint8_t spki[BH_SPKI_MAX];
    EVP_PKEY *key = NULL;
    size_t len = 0;

    begin(NULL);
    m.binding[63] ^= 1;
    refused(403, "binding-mismatch", "psa.binding");
    m.binding[63] ^= 1;
    m.context = bh_span_str("another configuration");
    refused(403, "binding-mismatch", "psa.binding");
    world_issue(&w, &m);
    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    EVP_PKEY_free(key);
    m.spki = bh_span(spki, len);
    refused(403, "binding-mismatch", "psa.binding");
    world_issue(&w, &m);
    world_mint(&w);
    refused(403, "binding-mismatch", "psa.binding");
}

Test(authority_refusals, policy)
{
    begin(NULL);
    m.workload = bh_span_str("payment");
    refused(404, "workload-unknown", "workload");
    m.workload = bh_span_str("payments2");
    refused(404, "workload-unknown", "workload");
    world_issue(&w, &m);
    m.verdict.submod.policy_digest[0] ^= 1;
    refused(403, "policy-refused", "policy.digest");
    world_issue(&w, &m);
    (void)snprintf(m.verdict.submod.platform, sizeof(m.verdict.submod.platform), "arm-cca");
    refused(403, "reference-missing", "policy.platform");
    world_verifier(&w, WORLD_GENERATION + 1);
    world_issue(&w, &m);
    refused(503, "overloaded", "policy.generation");
}

Test(authority_refusals, verdict)
{
    begin(NULL);
    m.verdict.simulated = false;
    refused(403, "simulated-refused", "simulated");
    world_issue(&w, &m);
    m.verdict.submod.status = BH_EAR_AFFIRMING;
    refused(403, "policy-refused", "ear.status");
    m.verdict.submod.status = BH_EAR_CONTRAINDICATED;
    refused(403, "policy-refused", "ear.status");
    m.verdict.submod.status = BH_EAR_NONE;
    refused(403, "policy-refused", "ear.status");
    world_issue(&w, &m);
    m.verdict.not_after = bh_time_now() - 1;
    refused(403, "collateral-expired", "certificate.lifetime");
}

Test(authority_refusals, simulated_device_on_a_server_for_hardware)
{
    const struct world_options o = {.hardware_only = true};

    begin(&o);
    m.verdict.simulated = true;
    m.verdict.submod.status = BH_EAR_WARNING;
    refused(403, "simulated-refused", "simulated");
    world_enrol(&w, NULL);
}

Test(authority_refusals, key_type)
{
    static const char *const names[] = {"P-256", "P-521", "Ed25519"};
    const struct world_options o = {.profile = "{\"keys\":[\"P-384\"]}"};
    const uint8_t rsa[300] = {0x30, 0x82};

    begin(&o);
    for (size_t i = 0; i < BH_COUNT(names); i++) {
        EVP_PKEY *key = NULL;
        cr_assert_eq(bh_key_generate(names[i], &key, NULL), BH_OK);
        cr_assert_eq(bh_spki_encode(key, w.spki, sizeof(w.spki), &w.spki_len, NULL), BH_OK);
        EVP_PKEY_free(key);
        world_issue(&w, &m);
        refused(403, "policy-refused", "csr.key");
    }
    m.spki = bh_span(rsa, sizeof(rsa));
    world_bind(&m);
    refused(403, "policy-refused", "csr.key");
}

Test(authority_refusals, expired_issuing_ca)
{
    const struct world_options o = {.issuer_days = -1};

    begin(&o);
    refused(500, "internal", "ca/issuing.crt");
}

/* What a verifier refused, and what the authority refused, are in the store after a drain. */
Test(authority_refusals, recorded)
{
    struct pas_refusal r = {.workload = bh_span_str("payments"),
        .platform = bh_span_str("psa"),
        .peer = bh_span_str("192.0.2.9"),
        .request_id = bh_span_str("0123456789abcdef")};
    struct pas_store_stats stats;
    struct pas_store *store = NULL;
    uint8_t buf[4096];
    char path[300];
    struct bh_span payload;
    struct bh_writer out;

    begin(NULL);
    (void)bh_refuse(&r.diag, BH_ERR_NOT_AUTHENTIC, "psa.signature", "a", "b", "no");
    bh_writer_init(&out, buf, sizeof(buf));
    pas_refusal_encode(&out, &r);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    for (unsigned i = 0; i < 300; i++)
        world_send(&w, w.verifier, PAS_REFUSAL, i, payload.ptr, payload.len);
    m.binding[0] ^= 1;
    refused(403, "binding-mismatch", "psa.binding");
    cr_assert_eq(world_metric(&w, "refused_total{code=\"evidence-not-authentic\"}"), 300);
    cr_assert_eq(world_metric(&w, "refused_total{code=\"binding-mismatch\"}"), 2);
    cr_assert_eq(world_metric(&w, "refusals_dropped_total"), 0);
    world_drain(&w);
    (void)snprintf(path, sizeof(path), "%s/store", w.dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    cr_assert_eq(pas_store_stats(store, &stats, NULL), BH_OK);
    cr_assert_eq(stats.refusals, 302);
    pas_store_close(store);
}

/* A verifier that floods the record is counted, and the disk does not pay for it. */
Test(authority_refusals, flood)
{
    static const long sent = 40000;
    struct pas_refusal r = {.request_id = bh_span_str("0123456789abcdef")};
    const int64_t began = bh_time_now();
    struct bh_span payload;
    struct bh_writer out;
    uint8_t buf[4096];

    begin(NULL);
    (void)bh_refuse(&r.diag, BH_ERR_NOT_AUTHENTIC, "psa.signature", "a", "b", "no");
    bh_writer_init(&out, buf, sizeof(buf));
    pas_refusal_encode(&out, &r);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    for (long i = 0; i < sent; i++)
        world_send(&w, w.verifier, PAS_REFUSAL, (uint64_t)i, payload.ptr, payload.len);
    while (world_metric(&w, "refused_total{code=\"evidence-not-authentic\"}") < sent)
        (void)usleep(10000);
    const long dropped = world_metric(&w, "refusals_dropped_total");
    const long seconds = (long)(bh_time_now() - began) + 1;

    cr_assert_geq(dropped, sent - 4096 * seconds, "%ld dropped in %ld s", dropped, seconds);
    cr_assert_lt(dropped, sent);
    world_enrol(&w, NULL);
}
