/* SPDX-License-Identifier: Apache-2.0 */
/* The outer side: nothing passes before the peer is verified. */
#include "rig.h"

#include "isolate-agent/proxy/dial.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct outer {
    struct bh_test_ca ca;
    EVP_PKEY *key;
    struct agent_identity *identity;
    bh_trust *trust;
    bh_expectation *expectation;
    bh_failure *failure;
};

static void
open_outer(struct rig *rig, struct outer *o, const char *expected)
{
    rig_open(rig);
    memset(o, 0, sizeof(*o));
    bh_test_ca_make(&o->ca, &(struct bh_test_root){.domain = "fleet.example"});
    o->key = bh_test_key("P-256");
    o->identity = rig_identity(&o->ca, "payments", o->key, 3600);
    o->failure = bh_failure_new();
    cr_assert_eq(
        bh_trust_new(o->ca.root_pem, strlen(o->ca.root_pem), &o->trust, o->failure), BH_RESULT_OK);
    cr_assert_eq(bh_expectation_new(expected, &o->expectation, o->failure), BH_RESULT_OK);
    cr_assert_eq(agent_dial_context(o->trust, o->expectation, &rig->config.outer, NULL), BH_OK);
    (void)SSL_CTX_up_ref(o->identity->ctx);
    rig->upstream_ctx = o->identity->ctx;
}

static void
close_outer(struct rig *rig, struct outer *o)
{
    SSL_CTX_free(rig->config.outer);
    rig_close(rig);
    agent_identity_free(o->identity);
    EVP_PKEY_free(o->key);
    bh_trust_free(o->trust);
    bh_expectation_free(o->expectation);
    bh_failure_free(o->failure);
    bh_test_ca_clear(&o->ca);
}

static void
client_asks(struct rig *rig, int fd)
{
    bool good = false;
    int error = 0;

    /* At once: these bytes must wait for the verification. */
    (void)rig_send(fd, NULL, rig->amount);
    (void)shutdown(fd, SHUT_WR);
    atomic_store(&rig->client_got, rig_receive(fd, NULL, &good, &error));
    atomic_store(&rig->client_good, good);
    atomic_store(&rig->client_error, error);
    close(fd);
}

static void
tls_upstream(struct rig *rig, int fd)
{
    SSL *ssl = rig_tls(rig->upstream_ctx, fd, true);
    bool good = false;
    int error = 0;

    if (ssl != NULL) {
        atomic_store(&rig->upstream_got, rig_receive(fd, ssl, &good, &error));
        atomic_store(&rig->upstream_good, good);
        atomic_store(&rig->upstream_error, error);
        if (error == -1 && rig_send(fd, ssl, rig->amount))
            (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

Test(dial, verified)
{
    struct outer o;
    struct rig rig;

    open_outer(&rig, &o, "payments");
    rig.amount = 1024 * 1024 + 1;
    rig_run(&rig, client_asks, tls_upstream);
    cr_expect_eq(rig.end, AGENT_RELAY_DONE, "%s", rig.diag.detail);
    cr_expect_eq(atomic_load(&rig.upstream_got), rig.amount);
    cr_expect_eq(atomic_load(&rig.client_got), rig.amount);
    cr_expect(atomic_load(&rig.client_good) && atomic_load(&rig.upstream_good));
    close_outer(&rig, &o);
}

Test(dial, somebody_else)
{
    struct outer o;
    struct rig rig;

    open_outer(&rig, &o, "other");
    rig.amount = 1000;
    rig_run(&rig, client_asks, tls_upstream);
    cr_expect_eq(rig.end, AGENT_RELAY_REFUSED);
    cr_expect_eq(rig.diag.err, BH_ERR_POLICY);
    cr_expect_str_eq(rig.diag.check, "workload");
    cr_expect_str_eq(rig.diag.expected, "other");
    cr_expect_str_eq(rig.diag.found, "payments");
    cr_expect_eq(rig.bytes_in, 0, "bytes were read before the verification");
    cr_expect_eq(atomic_load(&rig.upstream_got), 0);
    cr_expect_eq(atomic_load(&rig.client_error), ECONNRESET);
    close_outer(&rig, &o);
}

/* Another root: the whole chain of it is as it should be. */
Test(dial, another_root)
{
    struct outer o;
    struct rig rig;
    struct bh_test_ca other;

    open_outer(&rig, &o, "payments");
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    SSL_CTX_free(rig.upstream_ctx);
    struct agent_identity *theirs = rig_identity(&other, "payments", o.key, 3600);
    (void)SSL_CTX_up_ref(theirs->ctx);
    rig.upstream_ctx = theirs->ctx;
    rig.amount = 10;
    rig_run(&rig, client_asks, tls_upstream);
    cr_expect_eq(rig.end, AGENT_RELAY_REFUSED);
    cr_expect_str_eq(rig.diag.check, "certificate.chain");
    agent_identity_free(theirs);
    bh_test_ca_clear(&other);
    close_outer(&rig, &o);
}

static void
no_tls_upstream(struct rig *rig, int fd)
{
    (void)rig;
    (void)send(fd, "220 hello\r\n", 11, MSG_NOSIGNAL);
    close(fd);
}

Test(dial, no_tls_there)
{
    struct outer o;
    struct rig rig;

    open_outer(&rig, &o, "payments");
    rig_run(&rig, client_asks, no_tls_upstream);
    cr_expect_eq(rig.end, AGENT_RELAY_REFUSED);
    cr_expect_str_eq(rig.diag.check, "tls.handshake");
    cr_expect_str_neq(rig.diag.hint, "");
    close_outer(&rig, &o);
}

/* An outer context that verifies nothing of ours is refused too. */
Test(dial, without_the_library)
{
    struct outer o;
    struct rig rig;

    open_outer(&rig, &o, "payments");
    SSL_CTX_free(rig.config.outer);
    rig.config.outer = rig_client_ctx();
    rig.amount = 10;
    rig_run(&rig, client_asks, tls_upstream);
    cr_expect_eq(rig.end, AGENT_RELAY_REFUSED);
    cr_expect_eq(atomic_load(&rig.upstream_got), 0);
    close_outer(&rig, &o);
}
