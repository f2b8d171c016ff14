/* SPDX-License-Identifier: Apache-2.0 */
/* TLS, its exchange while running, keep-alive, drain and end. */
#include "client.h"
#include "harness.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static struct reply r;

static bool
server_is(const struct client *c, const char *cn)
{
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    char name[64] = "";

    cr_assert_not_null(cert);
    (void)X509_NAME_get_text_by_NID(
        X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    X509_free(cert);
    return strcmp(name, cn) == 0;
}

Test(life, only_tls_1_3)
{
    struct bench b;
    struct client c;

    bench_start(&b, 0, "");
    cr_assert(!client_try(&c, b.port, TLS1_2_VERSION, NULL));
    client_vanish(&c);
    client_open(&c, b.port);
    cr_assert_eq(SSL_version(c.ssl), TLS1_3_VERSION);
    client_close(&c);
    bench_stop(&b);
}

Test(life, tls_1_2_when_configured)
{
    struct bench b;
    struct client c;

    bench_start(&b, 0, ",\"tls12\":true");
    cr_assert(client_try(&c, b.port, TLS1_2_VERSION, NULL));
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    client_close(&c);
    cr_assert(!client_try(&c, b.port, TLS1_1_VERSION, NULL));
    client_vanish(&c);
    bench_stop(&b);
}

Test(life, sessions_resume_until_the_certificate_changes)
{
    static uint8_t identity[16384];
    struct bench b;
    struct client c;
    SSL_SESSION *session;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    client_ask(&c, "GET /healthz", "", NULL, &r); /* tickets come behind the handshake */
    session = SSL_get1_session(c.ssl);
    client_close(&c);
    cr_assert(client_try(&c, b.port, TLS1_3_VERSION, session));
    cr_assert_eq(SSL_session_reused(c.ssl), 1);
    client_ask(&c, "GET /healthz", "", NULL, &r);
    cr_assert_eq(r.status, 200);
    SSL_SESSION_free(session);
    session = SSL_get1_session(c.ssl);
    client_close(&c);
    bench_control(&b, PAS_CTL_TLS, 0, bench_identity("second", identity, sizeof(identity)), -1);
    cr_assert(bench_logged(&b, "tls-reloaded"));
    cr_assert(client_try(&c, b.port, TLS1_3_VERSION, session));
    cr_assert_eq(SSL_session_reused(c.ssl), 0);
    cr_assert(server_is(&c, "second"));
    SSL_SESSION_free(session);
    client_close(&c);
    bench_stop(&b);
}

Test(life, a_new_certificate_drops_nothing)
{
    static uint8_t identity[16384];
    struct bench b;
    struct client before, after;
    struct bh_ipc_msg msg;

    bench_start(&b, 1, "");
    client_open(&before, b.port);
    cr_assert(server_is(&before, "first"));
    client_request(&before, "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    bench_control(&b, PAS_CTL_TLS, 0, bench_identity("second", identity, sizeof(identity)), -1);
    cr_assert(bench_logged(&b, "tls-reloaded"));
    client_open(&after, b.port);
    cr_assert(server_is(&after, "second"));
    answer(b.verifiers[0], msg.id, 403, "application/problem+json", "{}");
    client_read(&before, &r, false);
    cr_assert_eq(r.status, 403);
    client_close(&before);
    client_close(&after);
    bench_stop(&b);
}

Test(life, a_broken_certificate_changes_nothing)
{
    static uint8_t one[16384], two[16384], mixed[16384];
    struct pas_tls first = {0}, second = {0};
    struct bench b;
    struct client c;
    struct bh_span span;
    struct bh_writer w;

    bench_start(&b, 0, "");
    bench_control(&b, PAS_CTL_TLS, 0, bh_span_str("nothing of the kind"), -1);
    cr_assert(bench_logged(&b, "\"tls-refused\",\"code\":\"malformed\",\"check\":\"server.tls\""));
    cr_assert_eq(pas_tls_decode(bench_identity("a", one, sizeof(one)), &first), BH_OK);
    cr_assert_eq(pas_tls_decode(bench_identity("b", two, sizeof(two)), &second), BH_OK);
    bh_writer_init(&w, mixed, sizeof(mixed));
    pas_tls_encode(&w, &(struct pas_tls){.chain = first.chain, .key = second.key});
    cr_assert_eq(bh_writer_end(&w, &span), BH_OK);
    bench_control(&b, PAS_CTL_TLS, 0, span, -1);
    cr_assert(bench_logged(&b, "the private key of the first certificate"));
    bh_writer_init(&w, mixed, sizeof(mixed));
    pas_tls_encode(&w, &(struct pas_tls){.chain = first.key, .key = first.key});
    cr_assert_eq(bh_writer_end(&w, &span), BH_OK);
    bench_control(&b, PAS_CTL_TLS, 0, span, -1);
    cr_assert(bench_logged(&b, "PEM certificates, the server's first"));
    client_open(&c, b.port);
    cr_assert(server_is(&c, "first"));
    client_close(&c);
    bench_stop(&b);
}

Test(life, keep_alive_and_pipelining)
{
    struct bench b;
    struct client c;
    struct bh_ipc_msg msg;

    bench_start(&b, 0, "");
    client_open(&c, b.port);
    for (int i = 0; i < 100; i++) {
        client_ask(&c, "GET /healthz", "", NULL, &r);
        cr_assert_eq(r.status, 200);
    }
    client_request(&c, "POST /v1/challenges", "", "{}");
    client_request(&c, "GET /v1/info", "", NULL);
    client_request(&c, "GET /healthz", "", NULL);
    msg = expect(b.authority, PAS_MINT);
    cr_assert(silent(b.authority, 100));
    answer(b.authority, msg.id, 201, "application/json", "{\"n\":1}");
    msg = expect(b.authority, PAS_INFO);
    answer(b.authority, msg.id, 200, "application/json", "{\"n\":2}");
    client_read(&c, &r, false);
    cr_assert_str_eq(r.body, "{\"n\":1}");
    client_read(&c, &r, false);
    cr_assert_str_eq(r.body, "{\"n\":2}");
    client_read(&c, &r, false);
    cr_assert_str_eq(r.body, "{\"status\":\"ok\"}");
    client_ask(&c, "GET /healthz", "Connection: close\r\n", NULL, &r);
    cr_assert_eq(r.status, 200);
    cr_assert(client_closed_within(&c, 3000));
    client_vanish(&c);
    bench_stop(&b);
}

Test(life, drain_finishes_what_was_begun)
{
    struct bench b;
    struct client idle, busy, half;
    struct bh_ipc_msg msg;

    bench_start(&b, 1, "");
    client_open(&idle, b.port);
    client_open(&busy, b.port);
    client_open(&half, b.port);
    client_request(&busy, "POST /v1/certificates", "", "{}");
    msg = expect(b.verifiers[0], PAS_ENROL);
    client_request(&half, "POST /v1/challenges", "Content-Length: 2\r\n", NULL);
    (void)poll(NULL, 0, 100);
    bench_control(&b, PAS_CTL_DRAIN, 0, bh_span_none(), -1);
    cr_assert(client_closed_within(&idle, 3000));
    answer(b.verifiers[0], msg.id, 403, "application/problem+json", "{}");
    client_read(&busy, &r, false);
    cr_assert_eq(r.status, 403);
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    cr_assert(client_closed_within(&busy, 3000));
    cr_assert(client_send(&half, "{}", 2));
    msg = expect(b.authority, PAS_MINT);
    answer(b.authority, msg.id, 201, "application/json", "{}");
    client_read(&half, &r, false);
    cr_assert_eq(r.status, 201);
    cr_assert_eq(bench_wait(&b), 0);
    client_vanish(&idle);
    client_vanish(&busy);
    client_vanish(&half);
    bench_free(&b);
}

Test(life, the_parents_end_is_its_own)
{
    struct bench b;
    struct client c;
    int half;

    bench_start(&b, 1, "");
    client_open(&c, b.port);
    client_request(&c, "POST /v1/certificates", "", "{}");
    (void)expect(b.verifiers[0], PAS_ENROL);
    half = client_connect(b.port); /* and one within its handshake */
    cr_assert_eq(write(half, "\x16\x03", 2), 2);
    (void)poll(NULL, 0, 100);
    bh_ipc_free(b.control);
    b.control = NULL;
    cr_assert_eq(bench_wait(&b), 1);
    client_vanish(&c);
    (void)close(half);
    bench_free(&b);
}

Test(life, a_control_message_for_others_ends_it)
{
    struct bench b;

    bench_start(&b, 0, "");
    bench_control(&b, PAS_CTL_SNAPSHOT, 1, bh_span_none(), -1);
    cr_assert_eq(bench_wait(&b), 1);
    bench_free(&b);
}
