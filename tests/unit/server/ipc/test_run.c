/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-server run` as a whole: its lock, its restarts, its reload, its end. */
#include "core/file.h"
#include "core/http.h"
#include "support/server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000

static struct bh_test_server server;

static void
set_up(void)
{
    static const char *const more[] = {"--allow-simulated", NULL};
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_folder(BH_BIN_DIR, &server, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(
        bh_test_server_init(&server, "fleet.example", more, &diag), BH_OK, "%s", diag.detail);
}

static void
tear_down(void)
{
    bh_test_server_end(&server);
}

TestSuite(run, .init = set_up, .fini = tear_down, .timeout = 120);

static void
start(void)
{
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_start(&server, &diag), BH_OK, "%s", diag.detail);
}

/* Run the program to its end, its output into the log. */
static int
run_again(const char *dir)
{
    char program[600];
    int status;
    pid_t pid;

    (void)snprintf(program, sizeof(program), "%s/beachhead-server", BH_BIN_DIR);
    if ((pid = fork()) == 0) {
        FILE *log = freopen(server.log, "a", stderr);

        if (log != NULL)
            (void)execl(program, program, "run", "--dir", dir, (char *)NULL);
        _exit(99);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void
put(const char *name, const char *text)
{
    char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s", server.home, name);
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, NULL), BH_OK);
}

Test(run, drains_on_sigterm)
{
    char path[400];
    int status;

    start();
    status = bh_test_server_stop(&server);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    (void)snprintf(path, sizeof(path), "%s/run/url", server.home);
    cr_assert_neq(access(path, F_OK), 0, "run/url was left behind");
}

Test(run, one_server_per_folder)
{
    size_t from;

    start();
    from = bh_test_server_log_len(&server);
    cr_assert_eq(run_again(server.home), 1);
    cr_assert(bh_test_server_logged(&server, from, "run.lock", 1000));
}

Test(run, a_folder_that_is_none_is_a_wrong_argument)
{
    cr_assert_eq(run_again("/nonexistent"), 2);
    cr_assert_eq(run_again(server.dir), 2);
    cr_assert(bh_test_server_logged(&server, 0, "beachhead-server init", 1000));
    put("server.json", "{\"nonsense\": 1}");
    cr_assert_eq(run_again(server.home), 2);
    cr_assert(bh_test_server_logged(&server, 0, "server.json.nonsense", 1000));
}

Test(run, does_not_start_with_a_broken_policy)
{
    put("policy/broken.json", "{\"workload\":\"x\"}");
    cr_assert_eq(run_again(server.home), 1);
    cr_assert(bh_test_server_logged(&server, 0, "start-refused", 1000));
    cr_assert(bh_test_server_logged(&server, 0, "policy/broken.json", 1000));
}

/* Started without standard descriptors: none of them may become a socket or the database, which
 * would get the log. */
Test(run, closed_standard_descriptors)
{
    char program[600], url[400];

    (void)snprintf(program, sizeof(program), "%s/beachhead-server", BH_BIN_DIR);
    (void)snprintf(url, sizeof(url), "%s/run/url", server.home);
    if ((server.parent = fork()) == 0) {
        for (int fd = 0; fd < 3; fd++)
            (void)close(fd);
        (void)execl(program, program, "run", "--dir", server.home, (char *)NULL);
        _exit(99);
    }
    for (int turn = 0; turn < 500 && access(url, R_OK) != 0; turn++)
        (void)usleep(20000);
    bh_test_server_look(&server);
    cr_assert_geq(server.len, 5);
    for (size_t i = 0; i < server.len; i++) {
        for (int fd = 0; fd < 3; fd++) {
            char path[64], target[128] = "";

            (void)snprintf(
                path, sizeof(path), "/proc/%ld/fd/%d", (long)server.processes[i].pid, fd);
            if (readlink(path, target, sizeof(target) - 1) < 0 && errno == EACCES)
                continue; /* not for us to see */
            cr_expect_str_eq(target, "/dev/null", "%s: %d", server.processes[i].role, fd);
        }
    }
}

/* The parent keeps the TLS key for frontends that it starts again. */
Test(run, no_process_leaves_a_core)
{
    start();
    for (size_t i = 0; i < server.len; i++) {
        char path[64], line[128], most[32] = "";
        FILE *limits;

        (void)snprintf(path, sizeof(path), "/proc/%ld/limits", (long)server.processes[i].pid);
        cr_assert_not_null(limits = fopen(path, "re"));
        while (fgets(line, sizeof(line), limits) != NULL)
            (void)sscanf(line, "Max core file size %*s %31s", most);
        (void)fclose(limits);
        cr_expect_str_eq(most, "0", "%s", server.processes[i].role);
    }
}

Test(run, what_is_killed_is_started_again)
{
    static const char *const roles[] = {"verifier", "frontend", "signer", "authority"};

    start();
    for (size_t i = 0; i < BH_COUNT(roles); i++) {
        const size_t from = bh_test_server_log_len(&server);
        pid_t before, now = 0;

        bh_test_server_look(&server);
        cr_assert_gt(before = bh_test_server_pid(&server, roles[i]), 0, "%s", roles[i]);
        cr_assert_eq(kill(before, SIGKILL), 0);
        cr_assert(bh_test_server_logged(&server, from, "child-restarted", WAIT_MS), "%s", roles[i]);
        for (int n = 0; n < 200 && (now == 0 || now == before); n++) {
            (void)usleep(20000);
            bh_test_server_look(&server);
            now = bh_test_server_pid(&server, roles[i]);
        }
        cr_assert(now > 0 && now != before, "%s", roles[i]);
    }
}

static long
post_enrolment(void)
{
    const struct bh_span body = bh_span_str("{}");
    struct bh_http_reply reply = {0};
    struct bh_http *http = NULL;
    struct bh_diag diag = {0};
    long status;

    cr_assert_eq(
        bh_http_new(server.url, bh_span(server.roots, server.roots_len), 20000, &http, &diag),
        BH_OK, "%s", diag.detail);
    cr_assert_eq(
        bh_http_request(http, "/v1/certificates", "application/json", &body, &reply, &diag), BH_OK,
        "%s", diag.detail);
    status = reply.status;
    bh_http_reply_clear(&reply);
    bh_http_free(http);
    return status;
}

/* The frontend gives a verifier up that does not answer; the process must go with the channel, or
 * nobody would judge from then on. */
Test(run, a_verifier_that_hangs_is_replaced)
{
    struct bh_diag diag = {0};
    size_t from;
    pid_t verifier;

    cr_assert_eq(bh_test_server_set(&server, "verifiers", json_integer(1), &diag), BH_OK);
    cr_assert_eq(bh_test_server_set(&server, "request_timeout", json_string("1s"), &diag), BH_OK);
    start();
    cr_assert_eq(post_enrolment(), 400);
    bh_test_server_look(&server);
    verifier = bh_test_server_pid(&server, "verifier");
    from = bh_test_server_log_len(&server);
    cr_assert_eq(kill(verifier, SIGSTOP), 0);
    cr_assert_eq(post_enrolment(), 500);
    cr_assert(bh_test_server_logged(&server, from, "it does not answer", WAIT_MS));
    cr_assert(bh_test_server_logged(&server, from, "child-restarted", WAIT_MS));
    for (int turn = 0; turn < 20 && post_enrolment() != 400; turn++)
        (void)usleep(200000);
    cr_assert_eq(post_enrolment(), 400, "nobody judges any more");
    bh_test_server_look(&server);
    cr_assert_neq(bh_test_server_pid(&server, "verifier"), verifier);
}

Test(run, a_refused_reload_changes_nothing)
{
    pid_t verifier;
    size_t from;

    start();
    bh_test_server_look(&server);
    verifier = bh_test_server_pid(&server, "verifier");
    from = bh_test_server_log_len(&server);
    put("policy/broken.json", "{\"workload\":\"x\"}");
    cr_assert_eq(kill(server.parent, SIGHUP), 0);
    cr_assert(bh_test_server_logged(&server, from, "reload-refused", WAIT_MS));
    cr_assert(bh_test_server_logged(&server, from, "policy/broken.json", 1000));
    cr_assert_eq(kill(verifier, 0), 0, "the old verifier is gone");
    /* Mended, the next one is taken. */
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/policy/broken.json", server.home);
    cr_assert_eq(unlink(path), 0);
    from = bh_test_server_log_len(&server);
    cr_assert_eq(kill(server.parent, SIGHUP), 0);
    cr_assert(bh_test_server_logged(&server, from, "\"reloaded\"", WAIT_MS));
}

Test(run, nobody_outlives_the_parent)
{
    pid_t children[BH_TEST_PIDS_MAX];
    size_t n = 0;
    int status;

    start();
    bh_test_server_look(&server);
    for (size_t i = 0; i < server.len; i++)
        if (server.processes[i].pid != server.parent)
            children[n++] = server.processes[i].pid;
    cr_assert_geq(n, 4);
    cr_assert_eq(kill(server.parent, SIGKILL), 0);
    cr_assert_eq(waitpid(server.parent, &status, 0), server.parent);
    server.parent = 0;
    for (size_t i = 0; i < n; i++) {
        char path[64], state = 'R';

        for (int turn = 0; turn < 200 && state != 'Z'; turn++) {
            (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)children[i]);
            FILE *f = fopen(path, "r");
            if (f == NULL)
                break;
            if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
                state = 'R';
            (void)fclose(f);
            if (state != 'Z')
                (void)usleep(20000);
            if (turn == 199)
                cr_expect_eq(state, 'Z', "%ld lives", (long)children[i]);
        }
    }
}
