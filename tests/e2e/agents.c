/* SPDX-License-Identifier: Apache-2.0 */
#include "agents.h"

#include "client.h"

#include "core/file.h"
#include "core/json.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_MS 10

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    skip_without_programs();
}

/* ---- the upstream ---- */

static void *
echo_one(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    close(fd);
    return NULL;
}

static void *
echo_main(void *arg)
{
    struct world *w = arg;

    while (!atomic_load(&w->stopping)) {
        struct pollfd p = {.fd = w->upstream_fd, .events = POLLIN};
        pthread_t thread;
        if (poll(&p, 1, 20) <= 0)
            continue;
        const int fd = accept4(w->upstream_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd) != 0)
            continue;
        pthread_detach(thread);
        atomic_fetch_add(&w->upstream_connections, 1);
    }
    return NULL;
}

static void
start_upstream(struct world *w)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);

    w->upstream_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(w->upstream_fd, (struct sockaddr *)&in, sizeof(in)), 0);
    cr_assert_eq(listen(w->upstream_fd, 64), 0);
    cr_assert_eq(getsockname(w->upstream_fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(w->upstream, sizeof(w->upstream), "127.0.0.1:%u", ntohs(in.sin_port));
    cr_assert_eq(pthread_create(&w->thread, NULL, echo_main, w), 0);
}

/* ---- the world ---- */

void
world_open(struct world *w, const char *lifetime)
{
    static const char *const more[] = {"--allow-simulated", NULL};
    struct bh_diag diag = {0};

    memset(w, 0, sizeof(*w));
    cr_assert_eq(bh_test_server_folder(bin_dir(), &w->server, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_test_server_init(&w->server, DOMAIN, more, &diag), BH_OK, "%s", diag.detail);
    if (lifetime != NULL)
        cr_assert_eq(
            bh_test_server_set(&w->server, "certificate_lifetime", json_string(lifetime), &diag),
            BH_OK, "%s", diag.detail);
    (void)snprintf(w->sim, sizeof(w->sim), "%s/sim", w->server.dir);
    const char *const init[] = {"beachhead-simulator", "init", "--dir", w->sim, NULL};
    const char *const admit[] = {"beachhead-simulator", "admit", "--dir", w->sim, "--server-dir",
        w->server.home, "--workload", "w", NULL};
    cr_assert_eq(bh_test_server_run(&w->server, init, NULL), 0);
    cr_assert_eq(bh_test_server_run(&w->server, admit, NULL), 0);
    cr_assert_eq(bh_test_server_start(&w->server, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_test_server_path(&w->server, "ca/root.crt", w->root, sizeof(w->root)), BH_OK);
    bh_failure *failure = bh_failure_new();
    cr_assert_eq(bh_trust_load(w->root, &w->trust, failure), BH_RESULT_OK);
    bh_failure_free(failure);
    start_upstream(w);
}

void
world_fix_port(struct world *w)
{
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_set(
                     &w->server, "listen", json_string(w->server.url + strlen("https://")), &diag),
        BH_OK, "%s", diag.detail);
}

void
world_close(struct world *w)
{
    atomic_store(&w->stopping, true);
    pthread_join(w->thread, NULL);
    close(w->upstream_fd);
    bh_trust_free(w->trust);
    bh_test_server_end(&w->server);
}

/* ---- agents ---- */

static void
spawn(struct agent *a, const char *const *argv)
{
    char program[600];

    (void)snprintf(program, sizeof(program), "%s/beachhead-agent", bin_dir());
    const int log = open(a->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(log, 0);
    a->pid = fork();
    cr_assert_geq(a->pid, 0);
    if (a->pid == 0) {
        (void)dup2(log, STDERR_FILENO);
        (void)execv(program, (char *const *)(uintptr_t)argv);
        _exit(126);
    }
    close(log);
}

void
agent_start(struct world *w, struct agent *a, const char *name, const char *platform,
    const char *sim, const char *workload, const char *root)
{
    char attester[40];

    (void)snprintf(a->state, sizeof(a->state), "%s/agent-%s", w->server.dir, name);
    (void)snprintf(a->log, sizeof(a->log), "%s.log", a->state);
    (void)snprintf(attester, sizeof(attester), "sim:%s", platform);
    const char *const argv[] = {"beachhead-agent", "run", "--server", w->server.url, "--root", root,
        "--workload", workload, "--attester", attester, "--simulator", sim, "--listen",
        "127.0.0.1:0", "--upstream", w->upstream, "--state", a->state, NULL};
    spawn(a, argv);
}

void
agent_dial(struct world *w, struct agent *a, const char *name, const char *to, const char *workload)
{
    (void)snprintf(a->state, sizeof(a->state), "%s/dial-%s", w->server.dir, name);
    (void)snprintf(a->log, sizeof(a->log), "%s.log", a->state);
    const char *const argv[] = {"beachhead-agent", "dial", "--listen", "127.0.0.1:0", "--to", to,
        "--root", w->root, "--workload", workload, NULL};
    spawn(a, argv);
}

char *
agent_status_text(const struct agent *a, const char *member, char *out, size_t size)
{
    char path[440];
    uint8_t *text = NULL;
    size_t len = 0;
    json_t *json = NULL;

    out[0] = '\0';
    (void)snprintf(path, sizeof(path), "%s/status.json", a->state);
    if (bh_file_read(path, 65536, &text, &len, NULL) != BH_OK)
        return out;
    if (bh_json_parse(bh_span(text, len), 65536, &json, NULL) == BH_OK) {
        const json_t *value = json_object_get(json, member);
        if (json_is_string(value))
            (void)snprintf(out, size, "%s", json_string_value(value));
        else if (json_is_integer(value))
            (void)snprintf(out, size, "%d", (int)json_integer_value(value));
    }
    json_decref(json);
    free(text);
    return out;
}

bool
agent_wait(const struct agent *a, const char *member, const char *value, int ms)
{
    char out[200];

    for (int waited = 0; waited < ms; waited += TURN_MS) {
        if (strcmp(agent_status_text(a, member, out, sizeof(out)), value) == 0)
            return true;
        (void)poll(NULL, 0, TURN_MS);
    }
    return false;
}

static char *
read_log(const struct agent *a)
{
    uint8_t *text = NULL;
    size_t len = 0;

    return bh_file_read(a->log, 1 << 20, &text, &len, NULL) == BH_OK ? (char *)text : NULL;
}

bool
agent_logged(const struct agent *a, const char *text, int ms)
{
    bool found = false;

    for (int waited = 0; waited < ms && !found; waited += TURN_MS) {
        char *log = read_log(a);
        found = log != NULL && strstr(log, text) != NULL;
        free(log);
        if (!found)
            (void)poll(NULL, 0, TURN_MS);
    }
    return found;
}

char *
agent_log_member(
    const struct agent *a, const char *event, const char *member, char *out, size_t size)
{
    char key[80], *log = read_log(a), *at;

    out[0] = '\0';
    (void)snprintf(key, sizeof(key), "\"event\":\"%s\"", event);
    at = log != NULL ? strstr(log, key) : NULL;
    (void)snprintf(key, sizeof(key), "\"%s\":\"", member);
    at = at != NULL ? strstr(at, key) : NULL;
    if (at != NULL) {
        at += strlen(key);
        (void)snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
    }
    free(log);
    return out;
}

int
agent_wait_end(struct agent *a)
{
    int status = 0;

    for (int waited = 0; waited < 40000; waited += TURN_MS) {
        if (waitpid(a->pid, &status, WNOHANG) == a->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        (void)poll(NULL, 0, TURN_MS);
    }
    (void)kill(a->pid, SIGKILL);
    (void)waitpid(a->pid, &status, 0);
    return -1;
}

int
agent_stop(struct agent *a)
{
    (void)kill(a->pid, SIGTERM);
    return agent_wait_end(a);
}

/* ---- visitors ---- */

int
connect_plain(const char *endpoint)
{
    const struct timeval limit = {.tv_sec = 10};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(endpoint, ':');

    if (colon == NULL)
        return -1;
    in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
        return fd;
    close(fd);
    return -1;
}

bool
visitor_open(struct world *w, struct visitor *v, const char *endpoint, const char *workload)
{
    bh_expectation *expectation = NULL;

    memset(v, 0, sizeof(*v));
    v->failure = bh_failure_new();
    if ((v->fd = connect_plain(endpoint)) < 0)
        return false;
    cr_assert_eq(bh_expectation_new(workload, &expectation, v->failure), BH_RESULT_OK);
    v->ctx = SSL_CTX_new(TLS_client_method());
    cr_assert_eq(bh_ssl_ctx_attach(v->ctx, w->trust, expectation, v->failure), BH_RESULT_OK);
    bh_expectation_free(expectation);
    v->ssl = SSL_new(v->ctx);
    (void)SSL_set_fd(v->ssl, v->fd);
    return SSL_connect(v->ssl) == 1;
}

const bh_peer *
visitor_peer(const struct visitor *v)
{
    return bh_ssl_peer(v->ssl);
}

const char *
visitor_why(const struct visitor *v)
{
    const bh_failure *failure = v->ssl != NULL ? bh_ssl_failure(v->ssl) : NULL;

    return failure != NULL ? bh_failure_check(failure) : "";
}

bool
visitor_echo(struct visitor *v)
{
    static const char line[] = "is anybody there?\n";
    char back[sizeof(line)] = "";
    size_t n = 0, got = 0;

    if (SSL_write_ex(v->ssl, line, sizeof(line), &n) != 1)
        return false;
    while (got < sizeof(line) && SSL_read_ex(v->ssl, back + got, sizeof(line) - got, &n) == 1)
        got += n;
    return got == sizeof(line) && memcmp(line, back, sizeof(line)) == 0;
}

void
visitor_close(struct visitor *v)
{
    if (v->ssl != NULL)
        (void)SSL_shutdown(v->ssl);
    SSL_free(v->ssl);
    SSL_CTX_free(v->ctx);
    bh_failure_free(v->failure);
    if (v->fd >= 0)
        close(v->fd);
}
