/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk.h"

#include "support/fakeserver.h"

#include <stdlib.h>

struct enrolment {
    struct setup s;
    struct bh_fake_server server;
    struct bh_enrol_request request;
    unsigned asked;
    int evidence_result;
    const char *cmw;
};

static int
make_evidence(void *arg, const unsigned char binding[BH_ENROL_BINDING_LEN],
    const unsigned char *spki, size_t spki_len, char **ret_cmw)
{
    struct enrolment *e = arg;

    (void)binding;
    cr_assert(spki != NULL && spki_len > 64);
    e->asked++;
    *ret_cmw = e->cmw != NULL ? strdup(e->cmw) : NULL;
    return e->evidence_result;
}

static void
open_enrolment(struct enrolment *e)
{
    memset(e, 0, sizeof(*e));
    begin(&e->s, NULL);
    e->server.ca = &e->s.ca;
    e->cmw = "[\"application/psa-attestation-token\",\"AAEC\"]";
    e->request = (struct bh_enrol_request){
        .trust = e->s.trust,
        .workload = "payments",
        .key = e->s.key,
        .context = (const unsigned char *)"config",
        .context_len = 6,
        .timeout_ms = 5000,
        .evidence = make_evidence,
        .evidence_arg = e,
    };
}

static enum bh_result
enrol(struct enrolment *e, bh_enrolment **ret)
{
    bh_fake_server_start(&e->server, 0);
    e->request.server = e->server.url;
    const enum bh_result r = bh_enrol(&e->request, ret, e->s.failure);
    bh_fake_server_stop(&e->server);
    return r;
}

static void
not_enrolled(struct enrolment *e, enum bh_result expected, const char *check)
{
    bh_enrolment *enrolment = NULL;
    const enum bh_result r = enrol(e, &enrolment);

    cr_expect_eq(r, expected, "%s: result %d: %s", check, (int)r, bh_failure_detail(e->s.failure));
    cr_expect_str_eq(bh_failure_check(e->s.failure), check, "found %s: %s",
        bh_failure_check(e->s.failure), bh_failure_detail(e->s.failure));
    cr_expect_null(enrolment);
    bh_enrolment_free(enrolment);
    finish(&e->s);
}

Test(enrol, regular)
{
    struct enrolment e;
    bh_enrolment *enrolment = NULL;

    open_enrolment(&e);
    cr_assert_eq(enrol(&e, &enrolment), BH_RESULT_OK, "%s: %s", bh_failure_check(e.s.failure),
        bh_failure_detail(e.s.failure));
    cr_expect_eq(e.asked, 1);
    cr_expect_eq(strncmp(bh_enrolment_pem(enrolment), "-----BEGIN CERTIFICATE-----", 27), 0);
    cr_expect_eq(bh_enrolment_reply(enrolment)[0], '{');
    cr_expect_str_eq(bh_peer_workload(bh_enrolment_peer(enrolment)), "payments");
    bh_enrolment_free(enrolment);
    bh_enrolment_free(NULL);
    finish(&e.s);
}

Test(enrol, answers_that_are_not_ours)
{
    struct enrolment e;

    open_enrolment(&e);
    e.server.other_key = true;
    not_enrolled(&e, BH_RESULT_REFUSED, "certificate.key");
    open_enrolment(&e);
    e.server.other_context = true;
    not_enrolled(&e, BH_RESULT_REFUSED, "ear.context");
    open_enrolment(&e);
    e.request.context_len = 0;
    e.server.other_context = true;
    not_enrolled(&e, BH_RESULT_REFUSED, "ear.context");
    open_enrolment(&e);
    e.server.other_workload = "other";
    not_enrolled(&e, BH_RESULT_REFUSED, "workload");
}

/* As after a request that was sent twice. */
Test(enrol, a_lost_challenge_costs_another_one)
{
    static const char used[] =
        "409 {\"type\":\"urn:beachhead:error:challenge-used\",\"status\":409,"
        "\"detail\":\"used\",\"check\":\"challenge.single_use\"}";
    struct enrolment e;
    bh_enrolment *enrolment = NULL;

    open_enrolment(&e);
    atomic_store(&e.server.reply, used);
    e.server.reply_to = "/v1/certificates";
    e.server.reply_times = 1;
    cr_assert_eq(enrol(&e, &enrolment), BH_RESULT_OK, "%s: %s", bh_failure_check(e.s.failure),
        bh_failure_detail(e.s.failure));
    cr_expect_eq(e.asked, 2, "evidence is made over the new challenge");
    bh_enrolment_free(enrolment);
    finish(&e.s);
    open_enrolment(&e);
    atomic_store(&e.server.reply, used);
    e.server.reply_to = "/v1/certificates";
    not_enrolled(&e, BH_RESULT_REFUSED, "challenge.single_use");
    cr_expect_eq(e.asked, 2, "once, not for ever");
}

Test(enrol, server_says_no)
{
    struct enrolment e;

    open_enrolment(&e);
    atomic_store(&e.server.reply,
        "403 {\"type\":\"urn:beachhead:error:binding-mismatch\",\"title\":\"x\",\"status\":403,"
        "\"detail\":\"no\",\"check\":\"psa.binding\",\"expected\":\"a\",\"found\":\"b\","
        "\"hint\":\"c\",\"request_id\":\"1\"}");
    e.server.reply_to = "/v1/certificates";
    not_enrolled(&e, BH_RESULT_REFUSED, "psa.binding");
    open_enrolment(&e);
    atomic_store(&e.server.reply, "503 {\"type\":\"urn:beachhead:error:overloaded\","
                                  "\"title\":\"x\",\"status\":503,\"detail\":\"busy\"}");
    not_enrolled(&e, BH_RESULT_UNREACHABLE, "");
}

Test(enrol, malformed_answers)
{
    static const char *const replies[] = {
        "201 {}", "201 [", "201 {\"challenge\":\"***\"}", "201 {\"challenge\":7}"};

    for (size_t i = 0; i < BH_COUNT(replies); i++) {
        struct enrolment e;
        bh_enrolment *enrolment = NULL;
        open_enrolment(&e);
        atomic_store(&e.server.reply, replies[i]);
        cr_expect_eq(enrol(&e, &enrolment), BH_RESULT_REFUSED, "%s", replies[i]);
        cr_expect_eq(e.asked, 0);
        cr_expect_null(enrolment);
        finish(&e.s);
    }
    for (size_t i = 0; i < 2; i++) {
        struct enrolment e;
        bh_enrolment *enrolment = NULL;
        open_enrolment(&e);
        e.server.reply_to = "/v1/certificates";
        atomic_store(&e.server.reply, i == 0 ? "201 {\"certificate\":\"none\"}" : "201 {}");
        cr_expect_eq(enrol(&e, &enrolment), BH_RESULT_REFUSED);
        cr_expect_null(enrolment);
        finish(&e.s);
    }
}

Test(enrol, not_the_server)
{
    struct enrolment e;
    struct bh_test_ca other;

    open_enrolment(&e);
    e.server.spiffe_path = "payments";
    not_enrolled(&e, BH_RESULT_REFUSED, "server.identity");
    open_enrolment(&e);
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    e.server.ca = &other;
    not_enrolled(&e, BH_RESULT_REFUSED, "server.chain");
    bh_test_ca_clear(&other);
}

Test(enrol, nobody_there)
{
    struct enrolment e;
    bh_enrolment *enrolment = NULL;

    open_enrolment(&e);
    bh_fake_server_start(&e.server, 0);
    bh_fake_server_stop(&e.server);
    e.request.server = e.server.url;
    cr_expect_eq(bh_enrol(&e.request, &enrolment, e.s.failure), BH_RESULT_UNREACHABLE);
    cr_expect_str_neq(bh_failure_hint(e.s.failure), "");
    finish(&e.s);
}

Test(enrol, no_evidence)
{
    struct enrolment e;

    open_enrolment(&e);
    e.evidence_result = 1;
    not_enrolled(&e, BH_RESULT_REFUSED, "evidence");
    open_enrolment(&e);
    e.cmw = NULL;
    not_enrolled(&e, BH_RESULT_REFUSED, "evidence");
    open_enrolment(&e);
    e.cmw = "no JSON";
    not_enrolled(&e, BH_RESULT_REFUSED, "");
}

Test(enrol, wrong_usage)
{
    struct enrolment e;
    bh_enrolment *enrolment = NULL;

    open_enrolment(&e);
    e.request.server = "https://127.0.0.1:1";
    e.request.workload = "No";
    cr_expect_eq(bh_enrol(&e.request, &enrolment, e.s.failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(e.s.failure), "workload");
    e.request.workload = "payments";
    e.request.context_len = 65;
    cr_expect_eq(bh_enrol(&e.request, &enrolment, e.s.failure), BH_RESULT_USAGE);
    e.request.context_len = 0;
    e.request.server = "http://127.0.0.1:1";
    cr_expect_eq(bh_enrol(&e.request, &enrolment, e.s.failure), BH_RESULT_USAGE);
    e.request.server = NULL;
    cr_expect_eq(bh_enrol(&e.request, &enrolment, e.s.failure), BH_RESULT_USAGE);
    cr_expect_null(enrolment);
    finish(&e.s);
}
