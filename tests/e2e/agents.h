/* SPDX-License-Identifier: Apache-2.0 */
/* Real agents in front of an echoing upstream, and attested clients of theirs. */
#ifndef BH_E2E_AGENTS_H
#define BH_E2E_AGENTS_H

#include "beachhead/beachhead.h"
#include "support/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <openssl/ssl.h>

/** A server with simulated devices, all admitted to the workload "w", and an upstream that echoes.
 */
struct world {
    struct bh_test_server server;
    char sim[320];
    char root[400]; /* the root's file */
    bh_trust *trust;
    int upstream_fd;
    char upstream[32];
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic unsigned upstream_connections;
};

/** @p lifetime of certificates as server.json takes it; NULL: the default. Asserts. */
void world_open(struct world *w, const char *lifetime);
/** The server listens on the same port from now on, when it is started again. */
void world_fix_port(struct world *w);
void world_close(struct world *w);

struct agent {
    pid_t pid;
    char state[400]; /* folder of status.json */
    char log[440];   /* its standard error */
};

/** `beachhead-agent run` of @p workload with the device of @p platform in @p sim; NULL-terminated
 * @p more. */
void agent_start(struct world *w, struct agent *a, const char *name, const char *platform,
    const char *sim, const char *workload, const char *root);
/** `beachhead-agent dial`; its endpoint is read from its log. */
void agent_dial(
    struct world *w, struct agent *a, const char *name, const char *to, const char *workload);
/** Wait until a member of status.json is @p value. */
bool agent_wait(const struct agent *a, const char *member, const char *value, int ms);
/** A member of status.json into @p out. Returns @p out. */
char *agent_status_text(const struct agent *a, const char *member, char *out, size_t size);
/** Wait until @p text stands in its log. */
bool agent_logged(const struct agent *a, const char *text, int ms);
/** The value of a string member behind @p event in the log. Returns @p out. */
char *agent_log_member(
    const struct agent *a, const char *event, const char *member, char *out, size_t size);
/** Wait for its end; the exit code, -1 after 40 s. */
int agent_wait_end(struct agent *a);
/** SIGTERM, wait; the exit code. */
int agent_stop(struct agent *a);

struct visitor {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    bh_failure *failure;
};

/** Connect attested, expecting @p workload; false when refused: visitor_why() says the check. */
bool visitor_open(struct world *w, struct visitor *v, const char *endpoint, const char *workload);
const bh_peer *visitor_peer(const struct visitor *v);
const char *visitor_why(const struct visitor *v);
/** Send a line and have it come back. */
bool visitor_echo(struct visitor *v);
void visitor_close(struct visitor *v);
/** A plain connection; -1 when there is nobody. */
int connect_plain(const char *endpoint);

#endif
