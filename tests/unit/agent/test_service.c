/* SPDX-License-Identifier: Apache-2.0 */
/* `run` as a whole: the service in a child process, a tiny attestation server in a thread, an
 * attester that says anything. */
#include "rig.h"

#include "isolate-agent/proxy/service.h"

#include "beachhead/tls.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "support/fakeserver.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
    struct bh_test_ca ca;
    struct bh_fake_server server;
    bh_trust *trust;
    struct agent_service_config config;
    bool bad_evidence;
    char dir[64];
    char out[80];
    int upstream_fd;
    pthread_t upstream;
    _Atomic bool stopping;
    pid_t pid;
};

static enum bh_err
fake_evidence(const struct agent_attester *attester, const struct agent_attester_config *config,
    const uint8_t binding[BH_BINDING_LEN], struct bh_span spki, int64_t now, char **ret_cmw,
    struct bh_diag *diag)
{
    (void)attester, (void)binding, (void)spki, (void)now;
    if (config->simulator != NULL)
        return bh_refuse(diag, BH_ERR_UNSUPPORTED, "device", NULL, NULL, "the device is gone");
    *ret_cmw = strdup("[\"application/psa-attestation-token\",\"AAEC\"]");
    return BH_OK;
}

static const struct agent_attester fake_attester = {
    .name = "fake", .platform = "psa", .evidence = fake_evidence};

static void
open_run(struct run *r)
{
    char text[AGENT_ADDRESS_TEXT_MAX];
    bh_failure *failure = bh_failure_new();
    struct agent_address address;

    memset(r, 0, sizeof(*r));
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/bh-run-XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    (void)snprintf(r->out, sizeof(r->out), "%s/out", r->dir);
    bh_test_ca_make(&r->ca, &(struct bh_test_root){.domain = "fleet.example"});
    cr_assert_eq(
        bh_trust_new(r->ca.root_pem, strlen(r->ca.root_pem), &r->trust, failure), BH_RESULT_OK);
    bh_failure_free(failure);
    r->server.ca = &r->ca;
    bh_fake_server_listen(&r->server, 0);
    cr_assert_eq(agent_listen_parse("127.0.0.1:0", &address, NULL), BH_OK);
    r->config = (struct agent_service_config){
        .enrol = {.server = r->server.url,
            .workload = "payments",
            .trust = r->trust,
            .context = (const uint8_t *)"context",
            .context_len = 7,
            .attester = &fake_attester},
        .roots_pem = bh_span_str(r->ca.root_pem),
        .listen = true,
        .endpoint = {.listen = address, .limits = agent_relay_default_limits, .connections = 100},
        .state = r->dir,
        .start_ms = 3000,
        .drain_ms = 2000,
    };
    cr_assert_eq(agent_listen(&address, &r->upstream_fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(r->upstream_fd, &address, NULL), BH_OK);
    cr_assert_eq(agent_target_parse(agent_address_text(&address, text, sizeof(text)), false,
                     &r->config.endpoint.target, NULL),
        BH_OK);
    cr_assert_eq(fcntl(r->upstream_fd, F_SETFL, 0), 0);
}

static void *
echo_one(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    char buf[512];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        (void)send(fd, buf, (size_t)n, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void *
echo_main(void *arg)
{
    struct run *r = arg;

    while (!atomic_load(&r->stopping)) {
        struct pollfd p = {.fd = r->upstream_fd, .events = POLLIN};
        pthread_t thread;
        if (poll(&p, 1, 20) <= 0)
            continue;
        const int fd = accept4(r->upstream_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

/* The service first, threads afterwards: its children are forks of a process with one thread. */
static void
start_run(struct run *r, bool with_server)
{
    r->pid = fork();
    cr_assert_geq(r->pid, 0);
    if (r->pid == 0) {
        struct bh_diag diag = {0};
        close(r->server.listen_fd);
        const enum bh_err e = agent_service_run(&r->config, &diag);
        fprintf(stderr, "service: %s %s\n", diag.check, diag.detail);
        _exit(bh_err_exit(e));
    }
    cr_assert_eq(pthread_create(&r->upstream, NULL, echo_main, r), 0);
    if (with_server)
        bh_fake_server_start(&r->server, 0);
}

static int
wait_run(struct run *r)
{
    int status = 0;

    for (int i = 0; i < 2000; i++) {
        const pid_t pid = waitpid(r->pid, &status, WNOHANG);
        if (pid == r->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        (void)poll(NULL, 0, 10);
    }
    (void)kill(r->pid, SIGKILL);
    (void)waitpid(r->pid, &status, 0);
    return -1;
}

static void
remove_in(const char *dir, const char *const *names)
{
    char path[256];

    for (; *names != NULL; names++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, *names);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void
close_run(struct run *r)
{
    static const char *const out[] = {"tls.crt", "tls.key", "root.crt", NULL};
    static const char *const state[] = {"status.json", "ran", NULL};

    atomic_store(&r->stopping, true);
    pthread_join(r->upstream, NULL);
    close(r->upstream_fd);
    remove_in(r->out, out);
    remove_in(r->dir, state);
    bh_trust_free(r->trust);
    bh_test_ca_clear(&r->ca);
}

/* A member of status.json; "" when there is none. */
static const char *
status_of(struct run *r, const char *name, char *out, size_t size)
{
    char path[128];
    uint8_t *text = NULL;
    size_t len = 0;
    json_t *json = NULL;

    out[0] = '\0';
    (void)snprintf(path, sizeof(path), "%s/status.json", r->dir);
    if (bh_file_read(path, 65536, &text, &len, NULL) != BH_OK)
        return out;
    if (bh_json_parse(bh_span(text, len), 65536, &json, NULL) == BH_OK) {
        const json_t *value = json_object_get(json, name);
        if (json_is_string(value))
            (void)snprintf(out, size, "%s", json_string_value(value));
        if (json_is_integer(value))
            (void)snprintf(out, size, "%d", (int)json_integer_value(value));
    }
    json_decref(json);
    free(text);
    return out;
}

static bool
wait_status(struct run *r, const char *name, const char *value, int ms)
{
    char out[160];

    for (int i = 0; i < ms / 10; i++) {
        if (strcmp(status_of(r, name, out, sizeof(out)), value) == 0)
            return true;
        (void)poll(NULL, 0, 10);
    }
    return false;
}

/* ---- an attested client ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static bool
open_client(struct run *r, struct client *c)
{
    char endpoint[160];
    bh_failure *failure = bh_failure_new();
    bh_expectation *expectation = NULL;

    memset(c, 0, sizeof(*c));
    c->fd = rig_connect(status_of(r, "endpoint", endpoint, sizeof(endpoint)));
    if (c->fd >= 0) {
        c->ctx = SSL_CTX_new(TLS_client_method());
        cr_assert_eq(bh_expectation_new("payments", &expectation, failure), BH_RESULT_OK);
        cr_assert_eq(bh_ssl_ctx_attach(c->ctx, r->trust, expectation, failure), BH_RESULT_OK);
        c->ssl = rig_tls(c->ctx, c->fd, false);
    }
    bh_expectation_free(expectation);
    bh_failure_free(failure);
    return c->ssl != NULL;
}

static bool
ask(struct client *c)
{
    char buf[6] = "";
    size_t n = 0, got = 0;

    if (SSL_write_ex(c->ssl, "hello", 5, &n) != 1)
        return false;
    while (got < 5 && SSL_read_ex(c->ssl, buf + got, 5 - got, &n) == 1)
        got += n;
    return strcmp(buf, "hello") == 0;
}

static void
close_client(struct client *c)
{
    if (c->ssl != NULL)
        (void)SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0)
        close(c->fd);
}

Test(service, serves_and_drains)
{
    struct client c, d;
    struct run r;

    open_run(&r);
    start_run(&r, true);
    cr_assert(wait_status(&r, "state", "serving", 5000));
    cr_assert(open_client(&r, &c));
    cr_expect(ask(&c));
    cr_expect_str_eq(bh_peer_workload(bh_ssl_peer(c.ssl)), "payments");
    size_t len = 0;
    cr_expect_eq(memcmp(bh_peer_context(bh_ssl_peer(c.ssl), &len), "context", 7), 0);
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    (void)poll(NULL, 0, 200);
    cr_expect(ask(&c), "a connection ends with the drain, not before");
    cr_expect_not(open_client(&r, &d));
    close_client(&d);
    close_client(&c);
    cr_expect_eq(wait_run(&r), 0);
    char state[32];
    cr_expect_str_eq(status_of(&r, "state", state, sizeof(state)), "not serving");
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

/* Short lives: connections outlive the certificate they were made with, new ones get the next. */
Test(service, renews_under_open_connections)
{
    struct client old, c;
    struct run r;
    char first[80], serial[80], endpoint[80], again[80];

    open_run(&r);
    atomic_store(&r.server.life, 6);
    start_run(&r, true);
    cr_assert(wait_status(&r, "certificates", "1", 5000));
    (void)status_of(&r, "endpoint", endpoint, sizeof(endpoint));
    cr_assert(open_client(&r, &old));
    (void)snprintf(first, sizeof(first), "%s", bh_peer_serial(bh_ssl_peer(old.ssl)));
    cr_assert(wait_status(&r, "certificates", "3", 15000));
    cr_expect(ask(&old));
    cr_assert(open_client(&r, &c));
    cr_expect(ask(&c));
    (void)snprintf(serial, sizeof(serial), "%s", bh_peer_serial(bh_ssl_peer(c.ssl)));
    cr_expect_str_neq(first, serial);
    cr_expect_neq(EVP_PKEY_eq(X509_get0_pubkey(SSL_get0_peer_certificate(old.ssl)),
                      X509_get0_pubkey(SSL_get0_peer_certificate(c.ssl))),
        1, "each renewal makes a new key");
    cr_expect_str_eq(status_of(&r, "endpoint", again, sizeof(again)), endpoint);
    close_client(&c);
    close_client(&old);
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

/* The server goes: the agent serves until the certificate ends, then closes, and recovers by
 * itself on the same address when the server is back. */
Test(service, survives_the_server)
{
    struct client old, c;
    struct run r;
    uint16_t port;
    char endpoint[80], again[80];

    open_run(&r);
    atomic_store(&r.server.life, 4);
    port = (uint16_t)strtoul(strrchr(r.server.url, ':') + 1, NULL, 10);
    start_run(&r, true);
    cr_assert(wait_status(&r, "state", "serving", 5000));
    (void)status_of(&r, "endpoint", endpoint, sizeof(endpoint));
    bh_fake_server_stop(&r.server);
    cr_assert(open_client(&r, &old));
    cr_assert(wait_status(&r, "state", "not serving", 10000));
    cr_expect(ask(&old), "open connections go on");
    cr_expect_not(open_client(&r, &c));
    cr_expect_lt(c.fd, 0, "the address must not answer");
    close_client(&c);
    bh_fake_server_start(&r.server, port);
    cr_assert(wait_status(&r, "state", "serving", 15000));
    cr_expect_str_eq(status_of(&r, "endpoint", again, sizeof(again)), endpoint);
    cr_assert(open_client(&r, &c));
    cr_expect(ask(&c));
    close_client(&c);
    close_client(&old);
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, hangup_renews_now)
{
    struct run r;

    open_run(&r);
    start_run(&r, true);
    cr_assert(wait_status(&r, "certificates", "1", 5000));
    cr_expect_eq(kill(r.pid, SIGHUP), 0);
    cr_expect(wait_status(&r, "certificates", "2", 5000));
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, files_and_hook_without_an_endpoint)
{
    struct run r;
    struct stat st;
    char path[128];
    struct agent_hook *hook = NULL;

    open_run(&r);
    r.config.listen = false;
    r.config.out = r.out;
    cr_assert_eq(
        agent_hook_new("echo x >> \"$BEACHHEAD_OUT/../ran\"", r.out, 5000, &hook, NULL), BH_OK);
    r.config.hook = hook;
    start_run(&r, true);
    cr_assert(wait_status(&r, "certificates", "1", 5000));
    cr_expect_eq(kill(r.pid, SIGHUP), 0);
    cr_assert(wait_status(&r, "certificates", "2", 5000));
    (void)snprintf(path, sizeof(path), "%s/tls.key", r.out);
    cr_expect_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
    (void)snprintf(path, sizeof(path), "%s/ran", r.dir);
    for (int i = 0; i < 300 && (stat(path, &st) != 0 || st.st_size < 4); i++)
        (void)poll(NULL, 0, 10);
    cr_expect_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_size, 4, "the hook runs once for each certificate");
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    agent_hook_free(hook);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

/* ---- the first enrolment ---- */

Test(service, refused_at_first)
{
    struct run r;

    open_run(&r);
    atomic_store(&r.server.reply,
        "403 {\"type\":\"urn:beachhead:error:policy-refused\",\"title\":\"x\",\"status\":403,"
        "\"detail\":\"no\",\"check\":\"psa.lifecycle\"}");
    start_run(&r, true);
    cr_expect_eq(wait_run(&r), 1);
    cr_expect(wait_status(&r, "state", "not serving", 100));
    cr_expect_eq(atomic_load(&r.server.requests), 1, "a refusal is not tried again");
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, never_reached)
{
    struct run r;

    open_run(&r);
    r.config.start_ms = 1500;
    close(r.server.listen_fd); /* nobody listens there */
    start_run(&r, false);
    cr_expect_eq(wait_run(&r), 3);
    r.server.listening = false;
    EVP_PKEY_free(r.server.key);
    X509_free(r.server.cert);
    close_run(&r);
}

Test(service, reached_late)
{
    struct run r;
    uint16_t port;

    open_run(&r);
    port = (uint16_t)strtoul(strrchr(r.server.url, ':') + 1, NULL, 10);
    r.config.start_ms = 15000;
    bh_fake_server_start(&r.server, 0);
    bh_fake_server_stop(&r.server);
    start_run(&r, false);
    (void)poll(NULL, 0, 300);
    bh_fake_server_start(&r.server, port);
    cr_expect(wait_status(&r, "state", "serving", 10000));
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, overloaded_is_tried_again)
{
    struct run r;

    open_run(&r);
    atomic_store(&r.server.reply, "503 {\"type\":\"urn:beachhead:error:overloaded\"}");
    start_run(&r, true);
    for (int i = 0; i < 500 && atomic_load(&r.server.requests) < 2; i++)
        (void)poll(NULL, 0, 10);
    atomic_store(&r.server.reply, NULL);
    cr_expect(wait_status(&r, "state", "serving", 10000));
    cr_expect_eq(kill(r.pid, SIGTERM), 0);
    cr_expect_eq(wait_run(&r), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, attester_fails)
{
    struct run r;
    uint8_t *text = NULL;
    size_t len = 0;
    char path[128];

    open_run(&r);
    r.config.enrol.attester_config.simulator = "broken";
    start_run(&r, true);
    cr_expect_eq(wait_run(&r), 1);
    (void)snprintf(path, sizeof(path), "%s/status.json", r.dir);
    cr_assert_eq(bh_file_read(path, 65536, &text, &len, NULL), BH_OK);
    cr_expect_neq(strstr((char *)text, "the device is gone"), NULL);
    free(text);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, somebody_elses_certificate)
{
    struct run r;

    open_run(&r);
    r.server.other_workload = "other";
    start_run(&r, true);
    cr_expect_eq(wait_run(&r), 1);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}

Test(service, what_is_worth_another_try)
{
    cr_expect(agent_service_may_retry(BH_ERR_NETWORK));
    cr_expect(agent_service_may_retry(BH_ERR_CHALLENGE_USED));
    cr_expect_not(agent_service_may_retry(BH_ERR_POLICY));
    cr_expect_not(agent_service_may_retry(BH_ERR_NOT_AUTHENTIC));
    cr_expect_not(agent_service_may_retry(BH_ERR_USAGE));
}

/* A folder that cannot be made is told before anything else is done. */
Test(service, no_state_folder)
{
    struct run r;

    open_run(&r);
    r.config.state = "/proc/no/such";
    start_run(&r, true);
    cr_expect_eq(wait_run(&r), bh_err_exit(BH_ERR_IO));
    cr_expect_eq(atomic_load(&r.server.requests), 0);
    bh_fake_server_stop(&r.server);
    close_run(&r);
}
