/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relayed connection under test: the loop runs in the test's thread; who connects and the
 * upstream are threads with blocking sockets. They record what they saw; the test judges
 * afterwards.
 */
#ifndef AGENT_TEST_RIG_H
#define AGENT_TEST_RIG_H

#include "isolate-agent/proxy/endpoint.h"
#include "isolate-agent/proxy/identity.h"
#include "support/ca.h"

#include <pthread.h>
#include <stdatomic.h>

struct rig;
typedef void (*rig_fn)(struct rig *rig, int fd);

struct rig {
    struct agent_loop *loop;
    struct agent_relays *relays;
    struct agent_relay_config config;
    struct agent_target target;
    int upstream_fd; /* listening */
    /* the latest report */
    unsigned reports;
    enum agent_relay_end end;
    struct bh_diag diag;
    uint64_t bytes_in, bytes_out;
    /* what the threads saw */
    atomic_int running;
    rig_fn client, upstream;
    int client_fd;
    SSL_CTX *client_ctx; /* the client thread speaks TLS when set */
    SSL_CTX *upstream_ctx;
    size_t amount;
    atomic_size_t client_got, upstream_got;
    atomic_bool client_good, upstream_good;
    atomic_int client_error, upstream_error; /* errno, or -1 for a clean end */
    atomic_bool go;                          /* for tests that hold somebody back */
};

/** Listen as upstream, make loop and target. Set config's contexts and limits, then rig_run(). */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/** Connect, relay, run both threads until they and the connection have ended, 30 s at most. */
void rig_run(struct rig *rig, rig_fn client, rig_fn upstream);

/** The byte at @p i of the test's data. */
uint8_t rig_byte(size_t i);
bool rig_send(int fd, SSL *ssl, size_t amount);
/** Receive and compare until the end; returns how much came. @p ret_error: -1 a clean end, else
 * errno (EPROTO for TLS without close_notify). */
size_t rig_receive(int fd, SSL *ssl, bool *ret_good, int *ret_error);
/** A blocking TLS client or server over @p fd; NULL when its handshake fails. */
SSL *rig_tls(SSL_CTX *ctx, int fd, bool server);
/** A client context that accepts any certificate: the tests of the inner side. */
SSL_CTX *rig_client_ctx(void);
/** An identity of the CA for @p workload. */
struct agent_identity *rig_identity(
    const struct bh_test_ca *ca, const char *workload, EVP_PKEY *key, int64_t life);
/** A blocking connection to 127.0.0.1. */
int rig_connect(const char *endpoint);

#endif
