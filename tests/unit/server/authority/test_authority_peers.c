/* SPDX-License-Identifier: Apache-2.0 */
/* What peers may not send ends their channel and nothing else; peers that go away are survived. */
#include "core/text.h"
#include "world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world w;

static void
setup(void)
{
    world_start(&w, NULL);
}

static void
teardown(void)
{
    world_end(&w);
}

TestSuite(authority_peers, .init = setup, .fini = teardown, .timeout = 60);

static struct bh_span
issue_payload(void)
{
    static uint8_t buf[65536];
    struct pas_issue m;
    struct bh_span payload;
    struct bh_writer out;

    world_mint(&w);
    world_issue(&w, &m);
    bh_writer_init(&out, buf, sizeof(buf));
    pas_issue_encode(&out, &m);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    return payload;
}

/* Whatever a frontend sends, it gets no certificate: not even a whole and true ISSUE. */
Test(authority_peers, frontend_cannot_issue)
{
    static const uint16_t forbidden[] = {
        PAS_ISSUE, PAS_RESULT, PAS_LOOKUP, PAS_REFUSAL, PAS_SIGNED, PAS_CTL_DRAIN, PAS_ANSWER, 999};

    for (size_t i = 0; i < BH_COUNT(forbidden); i++) {
        const struct bh_span payload = issue_payload();
        world_send(&w, w.frontend, forbidden[i], 1, payload.ptr, payload.len);
        world_expect_closed(w.frontend);
        world_expect_cut(&w, PAS_LINK_ID(PAS_FRONTEND, 0));
        world_link(&w, PAS_FRONTEND, 0, &w.frontend);
        cr_assert(world_signer_is_idle(&w));
    }
    cr_assert_eq(world_metric(&w, "peers_refused_total"), (long)BH_COUNT(forbidden));
    world_enrol(&w, NULL);
}

Test(authority_peers, verifier_keeps_to_its_messages)
{
    static const uint16_t forbidden[] = {
        PAS_MINT, PAS_CERTIFICATE, PAS_SIGNED, PAS_NOT_SIGNED, PAS_SIGN_CERTIFICATE, PAS_VALUE};

    for (size_t i = 0; i < BH_COUNT(forbidden); i++) {
        world_send(&w, w.verifier, forbidden[i], 1, NULL, 0);
        world_expect_closed(w.verifier);
        world_link(&w, PAS_VERIFIER, 0, &w.verifier);
    }
    world_enrol(&w, NULL);
}

Test(authority_peers, signer_keeps_to_its_messages)
{
    static const uint16_t forbidden[] = {PAS_MINT, PAS_ISSUE, PAS_LOOKUP, PAS_SIGN_JWT};

    for (size_t i = 0; i < BH_COUNT(forbidden); i++) {
        const struct bh_span payload = issue_payload();
        world_send(&w, w.signer, forbidden[i], 1, payload.ptr, payload.len);
        world_expect_closed(w.signer);
        world_link(&w, PAS_SIGNER, 0, &w.signer);
    }
    /* A signature nobody asked for. */
    world_signer_answer(&w, 12345, 700);
    world_expect_closed(w.signer);
    world_link(&w, PAS_SIGNER, 0, &w.signer);
    world_enrol(&w, NULL);
}

Test(authority_peers, payloads_that_do_not_decode)
{
    struct bh_span payload = issue_payload();
    struct {
        uint16_t type;
    } verifier[] = {{PAS_ISSUE}, {PAS_RESULT}, {PAS_LOOKUP}, {PAS_REFUSAL}};

    for (size_t i = 0; i < BH_COUNT(verifier); i++) {
        world_send(&w, w.verifier, verifier[i].type, 1, payload.ptr, payload.len - 1);
        world_expect_closed(w.verifier);
        world_link(&w, PAS_VERIFIER, 0, &w.verifier);
    }
    world_send(&w, w.frontend, PAS_MINT, 1, "x", 1);
    world_expect_closed(w.frontend);
    world_link(&w, PAS_FRONTEND, 0, &w.frontend);
    world_send(&w, w.frontend, PAS_CERTIFICATE, 1, "0123456789abcde", 15);
    world_expect_closed(w.frontend);
    world_link(&w, PAS_FRONTEND, 0, &w.frontend);
    world_enrol(&w, NULL);
}

/*
 * After a reload a verifier must not certify by the policies that were in force before, though the
 * authority still knows them for verifiers that finish what they began.
 */
Test(authority_peers, verifier_keeps_to_its_generation)
{
    struct bh_diag diag = {0};
    struct pas_issue m;
    uint64_t id = 0;

    world_enrol(&w, NULL);
    world_snapshot(&w, 2, (const char *const[]){NULL, NULL, NULL});
    cr_assert_eq(world_control(&w, &id, &diag), PAS_CTL_READY);
    world_verifier(&w, 2);
    for (int result = 0; result < 2; result++) {
        world_mint(&w);
        world_issue(&w, &m);
        m.generation = WORLD_GENERATION;
        (void)world_send_issue(&w, &m, result == 1);
        world_expect_closed(w.verifier);
        world_expect_cut(&w, PAS_LINK_ID(PAS_VERIFIER, 0));
        cr_assert(world_signer_is_idle(&w));
        world_verifier(&w, 2);
    }
}

/* A LINK that does not say by which generation a verifier judges is not to be guessed at. */
Test(authority_peers, verifier_of_no_generation)
{
    int fds[2], status = -1;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    cr_assert_eq(
        bh_ipc_send(w.control, PAS_CTL_LINK, PAS_LINK_ID(PAS_VERIFIER, 1), bh_span_none(), fds[0]),
        BH_OK);
    cr_assert_eq(waitpid(w.pid, &status, 0), w.pid);
    w.pid = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* A certificate where a JWT's signature is due, or none where one is due. */
Test(authority_peers, signer_answers_another_question)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 0);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 500, "internal", "server.signer");
    world_expect_closed(w.signer);
}

Test(authority_peers, signer_death)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    (void)world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    bh_ipc_free(w.signer);
    w.signer = NULL;
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 500, "internal", "server.signer");
    id = world_send_issue(&w, &m, false);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 500, "internal", "server.signer");
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    reply_is_problem(&reply, 503, "overloaded", "server.signer");

    world_link(&w, PAS_SIGNER, 0, &w.signer);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    reply_clear(&reply);
    id = world_send_issue(&w, &m, false);
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "nothing was spent on the dead signer");
    reply_clear(&reply);
}

/* One that lives and does not answer is of no more use than a dead one. */
Test(authority_peers, signer_hangs)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    (void)world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    world_answer(&w, id, &reply);
    reply_is_problem(&reply, 500, "internal", "server.signer");
    world_expect_cut(&w, PAS_LINK_ID(PAS_SIGNER, 0));
    world_expect_closed(w.signer);
    world_link(&w, PAS_SIGNER, 0, &w.signer);
    id = world_send_issue(&w, &m, false);
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "nothing was spent on it");
    reply_clear(&reply);
}

static void
not_signed(enum bh_err err)
{
    struct bh_diag diag = {0};
    uint8_t buf[2048];
    struct pas_issue m;
    struct reply reply;
    struct bh_span payload;
    struct bh_writer out;
    uint64_t id, seq;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    (void)bh_refuse(&diag, err, "certificate.dns", "a", "b", "a secret of the signer's");
    bh_writer_init(&out, buf, sizeof(buf));
    pas_diag_encode(&out, &diag);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    world_send(&w, w.signer, PAS_NOT_SIGNED, seq, payload.ptr, payload.len);
    world_answer(&w, id, &reply);
    cr_assert_null(strstr(reply.text, "a secret of the signer's"));
    reply_is_problem(&reply, 500, "internal", "server.signer");
    cr_assert_eq(world_metric(&w, "certificates_stored"), 0);
}

Test(authority_peers, signer_refuses)
{
    struct reply reply;

    not_signed(BH_ERR_FORBIDDEN);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200, "one request against the rules says nothing about the key");
    reply_clear(&reply);
    not_signed(BH_ERR_INTERNAL);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    reply_is_problem(&reply, 503, "overloaded", "server.signer");
    world_enrol(&w, NULL);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    reply_clear(&reply);
}

Test(authority_peers, verifier_death)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    bh_ipc_free(w.verifier);
    w.verifier = NULL;
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201, "what it had passed on is finished");
    reply_clear(&reply);
    world_link(&w, PAS_VERIFIER, 0, &w.verifier);
    world_enrol(&w, NULL);
}

/* A replaced verifier finishes what it has begun. */
Test(authority_peers, replaced_verifier)
{
    struct bh_ipc *old = w.verifier;
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    w.verifier = NULL;
    world_link(&w, PAS_VERIFIER, 1, &w.verifier);
    world_send(&w, w.control, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_VERIFIER, 0), NULL, 0);
    world_enrol(&w, NULL);
    world_mint(&w);
    world_issue(&w, &m);
    {
        struct bh_ipc *fresh = w.verifier;
        w.verifier = old;
        id = world_send_issue(&w, &m, false);
        w.verifier = fresh;
    }
    world_signer_answer(&w, world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201);
    reply_clear(&reply);
    bh_ipc_free(old);
}

Test(authority_peers, frontend_replaced_under_way)
{
    struct pas_issue m;
    struct reply reply;
    char serial[33];
    uint64_t id, seq;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    world_link(&w, PAS_FRONTEND, 0, &w.frontend);
    world_ask(&w, PAS_INFO, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    reply_clear(&reply);
    world_signer_answer(&w, seq, 700);
    /* To the new one, which does not know the request and drops it. */
    world_answer(&w, id, &reply);
    reply_clear(&reply);
    world_enrol(&w, serial);
    cr_assert_eq(world_metric(&w, "certificates_stored"), 2);
}

/* The authority does not outlive its parent's channel. */
Test(authority_peers, parent_gone)
{
    int status = -1;

    bh_ipc_free(w.control);
    w.control = NULL;
    cr_assert_eq(waitpid(w.pid, &status, 0), w.pid);
    w.pid = 0;
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 1);
}

/* DRAIN lets what is with the signer come to its end. */
Test(authority_peers, drain_finishes)
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id, seq;
    int status = -1;

    world_mint(&w);
    world_issue(&w, &m);
    id = world_send_issue(&w, &m, false);
    seq = world_signer_next(&w, PAS_SIGN_CERTIFICATE, NULL);
    world_send(&w, w.control, PAS_CTL_DRAIN, 0, NULL, 0);
    bh_ipc_free(w.verifier);
    w.verifier = NULL;
    (void)usleep(50000);
    cr_assert_eq(waitpid(w.pid, &status, WNOHANG), 0, "it waits");
    world_signer_answer(&w, seq, 700);
    world_answer(&w, id, &reply);
    cr_assert_eq(reply.status, 201);
    reply_clear(&reply);
    bh_ipc_free(w.frontend);
    w.frontend = NULL;
    cr_assert_eq(waitpid(w.pid, &status, 0), w.pid);
    w.pid = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* kill -9 at a random moment: what was answered is there, and stays spent. */
Test(authority_peers, kill_nine)
{
    struct pas_cert_record record;
    struct pas_store *store = NULL;
    void *storage = NULL;
    char serials[20][33], path[300];
    uint8_t raw[16];
    size_t len = 0;

    for (size_t i = 0; i < BH_COUNT(serials); i++)
        world_enrol(&w, serials[i]);
    cr_assert_eq(kill(w.pid, SIGKILL), 0);
    cr_assert_eq(waitpid(w.pid, NULL, 0), w.pid);
    w.pid = 0;
    (void)snprintf(path, sizeof(path), "%s/store", w.dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    for (size_t i = 0; i < BH_COUNT(serials); i++) {
        cr_assert_eq(bh_unhex(bh_span_str(serials[i]), raw, sizeof(raw), &len), BH_OK);
        cr_assert_eq(pas_store_certificate(store, raw, &record, &storage, NULL), BH_OK);
        free(storage);
    }
    pas_store_close(store);
}
