/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and endorsed keys come in whole generations; a refused one changes nothing. */
#include "core/text.h"
#include "core/x509.h"
#include "world.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct world w;

static void
teardown(void)
{
    world_end(&w);
}

TestSuite(authority_snapshot, .fini = teardown, .timeout = 60);

static void
send_files(
    uint64_t generation, const char *a_name, const char *a, const char *b_name, const char *b)
{
    world_snapshot(&w, generation, (const char *const[]){a_name, a, b_name, b, NULL});
}

static void
accepted(uint64_t generation, const char *a_name, const char *a, const char *b_name, const char *b)
{
    struct bh_diag diag = {0};
    uint64_t id = 0;

    send_files(generation, a_name, a, b_name, b);
    cr_assert_eq(world_control(&w, &id, &diag), PAS_CTL_READY, "%s: %s", diag.check, diag.detail);
    cr_assert_eq(id, generation);
}

static void
refused(uint64_t generation, const char *check, const char *a_name, const char *a,
    const char *b_name, const char *b)
{
    struct bh_diag diag = {0};
    uint64_t id = 0;

    send_files(generation, a_name, a, b_name, b);
    cr_assert_eq(world_control(&w, &id, &diag), PAS_CTL_REFUSED);
    cr_assert_eq(id, generation);
    cr_assert_str_eq(diag.check, check);
    cr_assert_str_neq(diag.detail, "");
}

static void
issued_under(uint64_t generation, const uint8_t digest[32])
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_verifier(&w, generation);
    world_mint(&w);
    world_issue(&w, &m);
    memcpy(m.verdict.submod.policy_digest, digest, 32);
    id = world_send_issue(&w, &m, false);
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "%s", reply.text);
    reply_clear(&reply);
}

static void
outdated(uint64_t generation, const uint8_t digest[32])
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_verifier(&w, generation);
    world_mint(&w);
    world_issue(&w, &m);
    memcpy(m.verdict.submod.policy_digest, digest, 32);
    id = world_send_issue(&w, &m, false);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 503, "overloaded", "policy.generation");
}

/* The policy of w with another lifetime, so that its digest differs. */
static char *
other_policy(const char *lifetime, uint8_t digest[32])
{
    const char *rest = strchr(w.policy, ',');
    char *text = malloc(sizeof(w.policy) + 100);

    cr_assert_not_null(text);
    (void)snprintf(text, sizeof(w.policy) + 100,
        "{\"workload\":\"payments\",\"certificate\":{\"lifetime\":\"%s\"}%s", lifetime, rest);
    world_policy_digest(text, digest);
    return text;
}

Test(authority_snapshot, current_and_previous_generation)
{
    uint8_t second[32], third[32];
    char *b, *c;

    world_start(&w, NULL);
    b = other_policy("1h", second);
    c = other_policy("2h", third);
    issued_under(1, w.policy_digest);
    accepted(2, "payments.json", b, NULL, NULL);
    issued_under(1, w.policy_digest);
    issued_under(2, second);
    accepted(3, "payments.json", c, NULL, NULL);
    issued_under(3, third);
    issued_under(2, second);
    outdated(1, w.policy_digest);
    free(b);
    free(c);
}

/* Verifiers may refuse a generation that the authority took; the one in use must outlive that. */
Test(authority_snapshot, unused_generation_does_not_push_out_the_one_in_use)
{
    uint8_t second[32], third[32];
    char *b, *c;

    world_start(&w, NULL);
    b = other_policy("1h", second);
    c = other_policy("2h", third);
    issued_under(1, w.policy_digest);
    accepted(2, "payments.json", b, NULL, NULL);
    accepted(3, "payments.json", c, NULL, NULL);
    issued_under(1, w.policy_digest);
    issued_under(3, third);
    outdated(2, second);
    free(b);
    free(c);
}

Test(authority_snapshot, broken_policy_is_refused_and_the_old_one_stays)
{
    char foreign_dns[3000], own_dns[3000];
    const char *rest;

    world_start(&w, NULL);
    rest = strchr(w.policy, ',');
    (void)snprintf(foreign_dns, sizeof(foreign_dns),
        "{\"workload\":\"payments\",\"certificate\":{\"dns\":[\"payments.elsewhere.example\"]}%s",
        rest);
    (void)snprintf(own_dns, sizeof(own_dns),
        "{\"workload\":\"payments\",\"certificate\":{\"dns\":[\"attest.other.example\"]}%s", rest);
    refused(2, "policy/payments.json: certificate.dns", "payments.json", foreign_dns, NULL, NULL);
    refused(2, "policy/payments.json: certificate.dns", "payments.json", own_dns, NULL, NULL);
    refused(2, "policy: workload", "a.json", w.policy, "b.json", w.policy);
    {
        struct bh_diag diag = {0};
        uint64_t id;
        send_files(2, "payments.json", w.policy, "broken.json", "{\"workload\":\"broken\"}");
        cr_assert_eq(world_control(&w, &id, &diag), PAS_CTL_REFUSED);
        cr_assert_eq(strncmp(diag.check, "policy/broken.json", 18), 0, "%s", diag.check);
    }
    issued_under(1, w.policy_digest);
    accepted(3, "payments.json", w.policy, NULL, NULL);
    issued_under(3, w.policy_digest);
}

Test(authority_snapshot, workload_without_policy_any_more)
{
    struct reply reply;
    struct pas_issue m;
    uint64_t id;

    world_start(&w, NULL);
    issued_under(1, w.policy_digest);
    accepted(2, NULL, NULL, NULL, NULL);
    world_verifier(&w, 2);
    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 404, "workload-unknown", "workload");
}

Test(authority_snapshot, versions_are_recorded)
{
    struct pas_store *store = NULL;
    char path[300], *text = NULL;

    world_start(&w, NULL);
    world_drain(&w);
    (void)snprintf(path, sizeof(path), "%s/store", w.dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    cr_assert_eq(pas_store_policy(store, w.policy_digest, &text, NULL), BH_OK);
    cr_assert_eq(strncmp(text, "{\"accept\":[", 11), 0, "canonical: %s", text);
    free(text);
    pas_store_close(store);
}

/* ---- endorsed keys and lookups ---- */

static char *
endorsed_file(EVP_PKEY *key, const char *instance)
{
    BIO *bio = BIO_new(BIO_s_mem());
    json_t *json;
    char *pem, *text;
    long len;

    cr_assert(PEM_write_bio_PUBKEY(bio, key));
    len = BIO_get_mem_data(bio, &pem);
    json = json_pack("{s:s, s:s, s:s, s:b, s:s%}", "platform", "psa", "instance_id", instance,
        "class", "silicon", "simulated", 1, "key", pem, (size_t)len);
    text = json_dumps(json, 0);
    json_decref(json);
    BIO_free(bio);
    return text;
}

static enum bh_err
look_up(bool appraisal, struct bh_span challenge, const uint8_t *key, struct bh_diag *diag,
    struct ev_endorsement *found)
{
    const struct pas_lookup m = {
        .kind = key != NULL ? PAS_LOOKUP_ENDORSEMENT : PAS_LOOKUP_CHALLENGE,
        .appraisal = appraisal,
        .challenge = challenge,
        .platform = bh_span_str("psa"),
        .key = key != NULL ? bh_span(key, 32) : bh_span_none()};
    const uint64_t id = w.next_id++;
    uint8_t buf[512];
    struct bh_ipc_msg msg;
    struct pas_value value;
    struct bh_span payload;
    struct bh_writer out;
    bool got = false;

    bh_writer_init(&out, buf, sizeof(buf));
    pas_lookup_encode(&out, &m);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    world_send(&w, w.verifier, PAS_LOOKUP, id, payload.ptr, payload.len);
    cr_assert_eq(bh_ipc_receive(w.verifier, &msg, &got), BH_OK);
    cr_assert_eq(msg.type, PAS_VALUE);
    cr_assert_eq(msg.id, id);
    cr_assert_eq(pas_value_decode(msg.payload, &value), BH_OK);
    bh_diag_clear(diag);
    if (value.err != BH_OK)
        cr_assert_eq(pas_diag_decode(value.value, diag), BH_OK);
    else if (key != NULL)
        cr_assert_eq(ev_endorsement_decode(value.value, found, NULL), BH_OK);
    return (enum bh_err)value.err;
}

#define ONE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TWO "01bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void
key_of(const char *instance, uint8_t out[32])
{
    uint8_t id[64];
    size_t len = 0;

    cr_assert_eq(bh_unhex(bh_span_str(instance), id, sizeof(id), &len), BH_OK);
    ev_endorsement_key("psa", bh_span_none(), bh_span(id, len), out);
}

Test(authority_snapshot, endorsed_keys)
{
    struct ev_endorsement found;
    struct bh_diag diag;
    EVP_PKEY *key = NULL, *other = NULL;
    uint8_t one[32], two[32];
    char *a, *b, *again;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_generate("P-256", &other, NULL), BH_OK);
    a = endorsed_file(key, ONE);
    b = endorsed_file(key, TWO);
    again = endorsed_file(other, ONE);
    key_of(ONE, one);
    key_of(TWO, two);
    world_start(&w, &(const struct world_options){.endorsed = a});
    world_mint(&w);
    const struct bh_span c = bh_span(w.challenge, sizeof(w.challenge));

    cr_assert_eq(look_up(false, c, one, &diag, &found), BH_OK, "%s", diag.detail);
    cr_assert(found.simulated);
    cr_assert_eq(found.key_class, EV_KEY_SILICON);
    cr_assert_eq(look_up(false, c, two, &diag, &found), BH_ERR_ENDORSEMENT_UNKNOWN);
    cr_assert_str_eq(diag.check, "endorsement");
    cr_assert_eq(world_metric(&w, "endorsed_keys"), 1);

    refused(2, "endorsed/y.json: duplicate", "!x.json", a, "!y.json", again);
    refused(2, "endorsed/y.json", "!x.json", b, "!y.json", "[");
    cr_assert_eq(look_up(false, c, one, &diag, &found), BH_OK, "the old keys stay");
    cr_assert_eq(look_up(false, c, two, &diag, &found), BH_ERR_ENDORSEMENT_UNKNOWN);

    accepted(3, "!y.json", b, NULL, NULL);
    cr_assert_eq(look_up(false, c, one, &diag, &found), BH_ERR_ENDORSEMENT_UNKNOWN);
    cr_assert_eq(look_up(false, c, two, &diag, &found), BH_OK);
    accepted(4, NULL, NULL, NULL, NULL);
    cr_assert_eq(look_up(false, c, two, &diag, &found), BH_ERR_ENDORSEMENT_UNKNOWN);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    free(a);
    free(b);
    free(again);
}

/* A lookup costs a good challenge; only an appraisal may come without. */
Test(authority_snapshot, lookup_needs_a_challenge)
{
    struct ev_endorsement found;
    struct bh_diag diag;
    uint8_t key[32] = {0};

    world_start(&w, NULL);
    world_mint(&w);
    cr_assert_eq(look_up(false, bh_span(w.challenge, 62), NULL, &diag, &found), BH_OK);
    cr_assert_eq(look_up(true, bh_span(w.challenge, 62), NULL, &diag, &found), BH_OK);
    cr_assert_eq(look_up(true, bh_span_none(), NULL, &diag, &found), BH_OK);
    cr_assert_eq(look_up(true, bh_span_none(), key, &diag, &found), BH_ERR_ENDORSEMENT_UNKNOWN);
    cr_assert_eq(look_up(false, bh_span_none(), key, &diag, &found), BH_ERR_CHALLENGE_INVALID);
    cr_assert_str_eq(diag.check, "challenge.form");
    w.challenge[61] ^= 1;
    for (unsigned appraisal = 0; appraisal < 2; appraisal++) {
        cr_assert_eq(look_up(appraisal == 1, bh_span(w.challenge, 62), key, &diag, &found),
            BH_ERR_CHALLENGE_INVALID);
        cr_assert_str_eq(diag.check, "challenge.mac");
    }
    cr_assert_eq(
        pas_challenge_mint(&w.challenges, bh_time_now() - 200, 120, w.challenge, NULL), BH_OK);
    cr_assert_eq(
        look_up(false, bh_span(w.challenge, 62), NULL, &diag, &found), BH_ERR_CHALLENGE_EXPIRED);
    cr_assert_str_eq(diag.check, "challenge.expiry");
}
