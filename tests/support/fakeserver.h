/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny attestation server for tests, in a thread: TLS 1.3 with a throw-away CA's server
 * certificate, the two calls of an enrolment, and no verification at all. What it answers can be
 * set.
 */
#ifndef BH_TEST_FAKESERVER_H
#define BH_TEST_FAKESERVER_H

#include "ca.h"

#include <pthread.h>
#include <stdatomic.h>

struct bh_fake_server {
    const struct bh_test_ca *ca;
    const char *spiffe_path;     /* of its own certificate; NULL: "beachhead/server" */
    const char *workload;        /* serve with a regular workload certificate instead */
    _Atomic int64_t life;        /* of the certificates that it issues, seconds; 0: 3600 */
    _Atomic(const char *) reply; /* status and body in place of the regular answer: "403 {...}" */
    const char *reply_to;        /* only for this path; NULL: for all */
    unsigned reply_times;        /* so often, then regularly; 0: always */
    bool other_key;              /* certify another key than the request's */
    bool other_context;          /* with another context than the request's */
    const char *other_workload;  /* under another name */
    _Atomic unsigned issued, requests;
    /* private */
    EVP_PKEY *key;
    X509 *cert;
    int listen_fd;
    bool listening;
    pthread_t thread;
    _Atomic bool stopping;
    char url[64];
};

/** Listen on 127.0.0.1, port @p port (0: a free one); the url is in server->url. */
void bh_fake_server_listen(struct bh_fake_server *server, uint16_t port);
/** Begin to answer; listens first when that was not done: who forks does it before there are
 * threads. */
void bh_fake_server_start(struct bh_fake_server *server, uint16_t port);
void bh_fake_server_stop(struct bh_fake_server *server);

#endif
