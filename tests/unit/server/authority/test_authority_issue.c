/* SPDX-License-Identifier: Apache-2.0 */
/* From a verdict to a certificate that is recorded before it leaves. */
#include "core/ear.h"
#include "core/text.h"
#include "world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static struct world w;

static void
teardown(void)
{
    world_end(&w);
}

TestSuite(authority_issue, .fini = teardown, .timeout = 60);

static void
check_request(struct bh_span payload, struct pas_certificate *ret_request)
{
    struct pas_certificate r;
    static struct bh_ear ear;
    const int64_t now = bh_time_now();

    cr_assert_eq(pas_certificate_decode(payload, &r), BH_OK);
    cr_assert(bh_span_is(r.workload, "payments"));
    cr_assert(bh_span_equal(r.spki, bh_span(w.spki, w.spki_len)));
    cr_assert_lt(r.serial[0], 0x80);
    cr_assert_neq(r.serial[0], 0);
    cr_assert_leq(r.not_before, now - w.config.clock_skew);
    cr_assert_geq(r.not_before, now - w.config.clock_skew - 10);
    cr_assert_eq(bh_ear_decode(r.ear, &ear, NULL), BH_OK);
    cr_assert_str_eq(ear.workload, "payments");
    cr_assert_str_eq(ear.owner, "pinned");
    cr_assert(ear.simulated);
    cr_assert_eq(ear.exp, r.not_after);
    cr_assert(bh_span_is(bh_span(ear.context, ear.context_len), "agent configuration"));
    cr_assert(bh_span_equal(bh_span(ear.spki, ear.spki_len), r.spki));
    cr_assert_eq(ear.nonce_len, 0);
    cr_assert_eq(ear.submods_len, 1);
    cr_assert_str_eq(ear.submods[0].platform, "psa");
    cr_assert_eq(ear.submods[0].status, BH_EAR_WARNING);
    cr_assert_arr_eq(ear.submods[0].policy_digest, w.policy_digest, 32);
    *ret_request = r;
}

Test(authority_issue, certificate)
{
    const struct world_options o = {
        .profile = "{\"lifetime\":\"2h\",\"dns\":[\"payments.fleet.example\"]}"};
    struct pas_certificate request;
    struct pas_cert_record record;
    struct pas_store *store = NULL;
    struct pas_issue m;
    struct bh_span payload;
    struct reply reply;
    char serial[33], path[300], *second;
    uint8_t raw[16];
    void *storage = NULL;
    uint64_t id, seq;
    size_t len = 0;

    world_start(&w, &o);
    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, &payload);
    check_request(payload, &request);
    cr_assert_eq(request.dns_len, 1);
    cr_assert(bh_span_is(request.dns[0], "payments.fleet.example"));
    cr_assert_eq(request.not_after - request.not_before, 7200 + w.config.clock_skew);
    (void)bh_hex(bh_span(request.serial, 16), serial, sizeof(serial));
    world_signer_answer(&w, seq, 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "%s", reply.text);
    cr_assert_str_eq(reply.type, "application/json");
    cr_assert_str_eq(reply_string(&reply, "serial"), serial);
    cr_assert_str_eq(reply_string(&reply, "workload"), "payments");
    cr_assert_str_eq(reply_string(&reply, "platform"), "psa");
    cr_assert_str_eq(reply_string(&reply, "spiffe_id"), "spiffe://fleet.example/payments");
    cr_assert_str_eq(reply_string(&reply, "status"), "warning");
    cr_assert(json_is_true(json_object_get(reply.json, "simulated")));
    cr_assert_str_eq(reply_string(&reply, "ear"), "0oQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    second = strstr(reply_string(&reply, "certificate") + 1, "-----BEGIN CERTIFICATE-----\n");
    cr_assert_not_null(second, "the issuing CA's certificate follows the leaf");
    reply_clear(&reply);

    cr_assert_eq(bh_unhex(bh_span_str(serial), raw, sizeof(raw), &len), BH_OK);
    world_ask(&w, PAS_CERTIFICATE, raw, sizeof(raw), &reply);
    cr_assert_eq(reply.status, 200);
    cr_assert_str_eq(reply_string(&reply, "status"), "valid");
    cr_assert_str_eq(reply_string(&reply, "serial"), serial);
    cr_assert_str_eq(reply_string(&reply, "spiffe_id"), "spiffe://fleet.example/payments");
    reply_clear(&reply);
    raw[5] ^= 1;
    world_ask(&w, PAS_CERTIFICATE, raw, sizeof(raw), &reply);
    reply_is_problem(&reply, 404, "not-found", "certificate.serial");

    world_drain(&w);
    raw[5] ^= 1;
    (void)snprintf(path, sizeof(path), "%s/store", w.dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    cr_assert_eq(pas_store_certificate(store, raw, &record, &storage, NULL), BH_OK);
    cr_assert_eq(record.der.len, 700);
    cr_assert(bh_span_equal(record.evidence, m.evidence));
    cr_assert(bh_span_is(record.hardware_id, "instance"));
    cr_assert(bh_span_is(record.peer, "192.0.2.7"));
    cr_assert_arr_eq(record.policy_digest, w.policy_digest, 32);
    free(storage);
    pas_store_close(store);
}

Test(authority_issue, appraisal_result)
{
    struct pas_issue m;
    struct bh_span payload;
    struct reply reply;
    char input[16384];
    uint64_t id, seq;

    world_start(&w, NULL);
    world_mint(&w);
    world_issue(&w, &m);
    m.checks = bh_span_str("[{\"check\":\"psa.signature\",\"ok\":true}]");
    id = world_send_issue(&w, &m, true);
    seq = world_signer_next(&w, PAS_SIGN_JWT, &payload);
    cr_assert_lt(payload.len, sizeof(input));
    (void)snprintf(input, sizeof(input), "%.*s", (int)payload.len, (const char *)payload.ptr);
    world_signer_answer(&w, seq, 0);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 200, "%s", reply.text);
    cr_assert_eq(json_array_size(json_object_get(reply.json, "checks")), 1);
    cr_assert_str_eq(reply_string(&reply, "verdict"), "accept");
    cr_assert_eq(strncmp(reply_string(&reply, "ear"), input, strlen(input)), 0);
    cr_assert_eq(reply_string(&reply, "ear")[strlen(input)], '.');
    reply_clear(&reply);
    /* The challenge is spent, for enrolments too. */
    id = world_send_issue(&w, &m, false);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 409, "challenge-used", "challenge.single_use");
}

static int64_t
lifetime_of(struct pas_issue *m)
{
    struct pas_certificate r;
    struct bh_span payload;
    struct reply reply;
    const uint64_t id = world_send_issue(&w, m, false);
    const uint64_t seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, &payload);

    cr_assert_eq(pas_certificate_decode(payload, &r), BH_OK);
    world_signer_answer(&w, seq, 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201);
    reply_clear(&reply);
    return r.not_after - r.not_before - w.config.clock_skew;
}

Test(authority_issue, lifetime_is_the_least_of_all_bounds)
{
    const struct world_options o = {.profile = "{\"lifetime\":\"30d\"}", .lifetime_max = 7200};
    struct pas_issue m;
    int64_t life;

    world_start(&w, &o);
    world_mint(&w);
    world_issue(&w, &m);
    cr_assert_eq(lifetime_of(&m), 7200, "the server's cap");
    world_mint(&w);
    world_issue(&w, &m);
    m.verdict.not_after = bh_time_now() + 600;
    m.verdict.lifetime = 86400;
    life = lifetime_of(&m);
    cr_assert(life <= 600 && life > 590, "what the verdict rests on");
}

Test(authority_issue, lifetime_within_the_issuing_ca)
{
    const struct world_options o = {
        .profile = "{\"lifetime\":\"30d\"}", .lifetime_max = 30 * 86400, .issuer_days = 1};
    struct pas_issue m;
    int64_t life;

    world_start(&w, &o);
    world_mint(&w);
    world_issue(&w, &m);
    life = lifetime_of(&m);
    cr_assert(life <= 86400 && life > 86300);
}

/* Many requests that are signed at once share transactions, and none gets another's answer. */
Test(authority_issue, group_commit)
{
    enum {
        N = 60 /* answers that a socket's buffer holds */
    };
    static uint64_t ids[N], seqs[N];
    bool seen[N] = {false};
    struct pas_issue m;

    world_start(&w, NULL);
    for (size_t i = 0; i < N; i++) {
        world_mint(&w);
        world_issue(&w, &m);
        ids[i] = world_send_issue(&w, &m, false);
        seqs[i] = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    }
    cr_assert_eq(world_metric(&w, "pending"), N);
    /* While it sleeps, all of them arrive. */
    cr_assert_eq(kill(w.pid, SIGSTOP), 0);
    for (size_t i = 0; i < N; i++)
        world_signer_answer(&w, seqs[N - 1 - i], 700);
    cr_assert_eq(kill(w.pid, SIGCONT), 0);
    for (size_t i = 0; i < N; i++) {
        struct bh_ipc_msg msg;
        struct pas_answer answer;
        bool got;
        cr_assert_eq(bh_ipc_receive(w.frontend, &msg, &got), BH_OK);
        cr_assert_eq(pas_answer_decode(msg.payload, &answer), BH_OK);
        cr_assert_eq(answer.status, 201);
        for (size_t j = 0; j < N; j++)
            if (ids[j] == msg.id) {
                cr_assert(!seen[j]);
                seen[j] = true;
            }
    }
    for (size_t i = 0; i < N; i++)
        cr_assert(seen[i]);
    cr_assert_eq(world_metric(&w, "certificates_issued_total"), N);
    cr_assert_eq(world_metric(&w, "commit_batched_total"), N);
    cr_assert_leq(world_metric(&w, "commit_batches_total"), 3);
    cr_assert_eq(world_metric(&w, "pending"), 0);
    cr_assert_eq(world_metric(&w, "certificates_stored"), N);
}

Test(authority_issue, same_challenge_twice_at_the_same_time)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t first, second, seq;

    world_start(&w, NULL);
    world_mint(&w);
    world_issue(&w, &m);
    first = world_send_issue(&w, &m, false);
    second = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    world_answer(&w, second, &reply);
    reply_is_problem(&reply, 409, "challenge-used", "challenge.single_use");
    cr_assert(world_signer_is_idle(&w), "the second is never signed");
    world_signer_answer(&w, seq, 700);
    world_answer(&w, first, &reply);
    cr_assert_eq(reply.status, 201);
    reply_clear(&reply);
    first = world_send_issue(&w, &m, false);
    world_answer(&w, first, &reply);
    reply_is_problem(&reply, 409, "challenge-used", "challenge.single_use");
}

/* Another replica spends the challenge after the first look: the transaction decides. */
Test(authority_issue, challenge_spent_by_a_replica_meanwhile)
{
    struct pas_store *replica = NULL;
    struct pas_issue m;
    struct reply reply;
    char path[300], serial[33];
    uint8_t hash[32];
    uint64_t id, seq;
    int64_t expires_at;

    world_start(&w, NULL);
    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    (void)snprintf(path, sizeof(path), "%s/store", w.dir);
    cr_assert_eq(pas_store_open(path, &replica, NULL), BH_OK);
    cr_assert_eq(
        pas_challenge_check(&w.challenges, m.challenge, bh_time_now(), &expires_at, NULL), BH_OK);
    cr_assert_eq(EVP_Digest(m.challenge.ptr, m.challenge.len, hash, NULL, EVP_sha256(), NULL), 1);
    cr_assert_eq(pas_store_begin(replica, NULL), BH_OK);
    cr_assert_eq(pas_store_spend(replica, expires_at, hash, NULL), BH_OK);
    cr_assert_eq(pas_store_commit(replica, NULL), BH_OK);
    pas_store_close(replica);
    world_signer_answer(&w, seq, 700);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 409, "challenge-used", "challenge.single_use");
    cr_assert_eq(world_metric(&w, "certificates_stored"), 0);
    world_enrol(&w, serial);
}

/* A full disk: internal, nothing handed out, the challenge unspent; recovery without a restart. */
Test(authority_issue, full_disk)
{
    struct rlimit small = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY}, before;
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_start(&w, NULL);
    world_enrol(&w, NULL);
    world_mint(&w);
    world_issue(&w, &m);
    cr_assert_eq(prlimit(w.pid, RLIMIT_FSIZE, NULL, &before), 0);
    small.rlim_max = before.rlim_max;
    cr_assert_eq(prlimit(w.pid, RLIMIT_FSIZE, &small, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        id = world_send_issue(&w, &m, false);
        world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
        world_answer(&w, id, &reply);
        reply_is_problem(&reply, 500, "internal", "server.store");
    }
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    reply_is_problem(&reply, 503, "overloaded", "server.store");
    cr_assert_eq(prlimit(w.pid, RLIMIT_FSIZE, &before, NULL), 0);
    id = world_send_issue(&w, &m, false);
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "the challenge was not spent: %s", reply.text);
    reply_clear(&reply);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    reply_clear(&reply);
    cr_assert_eq(world_metric(&w, "certificates_stored"), 2);
}

/* Nothing is known of the challenges that the clock makes valid again: they end with their key, and
 * the service goes on with another. */
Test(authority_issue, clock_went_back)
{
    const struct world_options o = {.clock_went_back = true};
    struct reply reply;
    struct pas_issue m;
    uint64_t id;

    world_start(&w, &o);
    world_enrol(&w, NULL);
    cr_assert_eq(pas_challenge_mint(&w.challenges, bh_time_now(), 60, w.challenge, NULL), BH_OK);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 403, "challenge-invalid", "challenge.mac");
}
