/* SPDX-License-Identifier: Apache-2.0 */
/* The shared command line, and beachhead-simulator as people call it: what it prints and its exit
 * codes. */
#include "folder.h"
#include "support/fakeserver.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/json.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

#define BINDING                                                                                    \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"                             \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct bh_cli_option *
table(bool *flag, const char **text, struct bh_cli_list *list)
{
    static struct bh_cli_option options[4];

    options[0] = (struct bh_cli_option){.name = "flag", .help = "a switch", .flag = flag};
    options[1] = (struct bh_cli_option){
        .name = "text", .letter = 't', .value = "T", .help = "once", .needed = true, .text = text};
    options[2] =
        (struct bh_cli_option){.name = "list", .value = "L", .help = "often", .list = list};
    options[3] = (struct bh_cli_option){0};
    return options;
}

struct parsed {
    bool flag;
    const char *text;
    struct bh_cli_list list, args;
    int done;
};

static struct parsed
parse(char **argv)
{
    struct parsed p = {0};
    const struct bh_cli_usage usage = {.command = "beachhead test",
        .purpose = "Test.",
        .example = "beachhead test --text x FILE",
        .options = table(&p.flag, &p.text, &p.list),
        .args = "FILE",
        .args_min = 1,
        .args_max = 2};
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    p.done = bh_cli_parse(&usage, argc, argv, &p.args);
    return p;
}

#define PARSE(...) parse((char *[]){"test", __VA_ARGS__, NULL})

Test(cli, options_and_arguments_in_any_order)
{
    struct parsed p = PARSE("a", "--list=1", "--flag", "-t", "x", "--list", "2", "--", "--b");

    cr_assert_eq(p.done, -1);
    cr_assert(p.flag);
    cr_assert_str_eq(p.text, "x");
    cr_assert_eq(p.list.len, 2);
    cr_assert_str_eq(p.list.items[1], "2");
    cr_assert_eq(p.args.len, 2);
    cr_assert_str_eq(p.args.items[1], "--b");
}

Test(cli, wrong_usage_exits_2, .init = cr_redirect_stderr)
{
    cr_assert_eq(PARSE("a").done, 2, "a needed option is missing");
    cr_assert_eq(PARSE("--text", "x").done, 2, "a needed argument is missing");
    cr_assert_eq(PARSE("--text", "x", "--text", "y", "a").done, 2, "twice");
    cr_assert_eq(PARSE("a", "--text").done, 2, "no value");
    cr_assert_eq(PARSE("a", "--text", "x", "--flag=1").done, 2, "a switch with a value");
    cr_assert_eq(PARSE("a", "--text", "x", "--tex", "y").done, 2, "unknown");
    cr_assert_eq(PARSE("a", "--text", "x", "-x").done, 2, "unknown letter");
    cr_assert_eq(PARSE("a", "b", "c", "--text", "x").done, 2, "too many arguments");
    cr_assert_eq(bh_cli_usage_error("x", "%s", "y"), 2);
}

Test(cli, help_exits_0, .init = cr_redirect_stdout)
{
    cr_assert_eq(PARSE("--help").done, 0);
    cr_assert_eq(PARSE("--version").done, 0);
    fflush(stdout);
}

Test(cli, failures_cannot_drive_a_terminal, .init = cr_redirect_stderr)
{
    struct bh_diag diag = {0};

    (void)bh_refuse(&diag, BH_ERR_BINDING, "psa.binding", "a", "\033[2Jb", "detail");
    bh_hint(&diag, "do this");
    cr_assert_eq(bh_cli_failed("test", &diag), 1);
    fflush(stderr);
    cr_assert_stderr_eq_str("test: Binding mismatch (binding-mismatch)\n"
                            "  what      detail\n"
                            "  check     psa.binding\n"
                            "  expected  a\n"
                            "  found     \\x1b[2Jb\n"
                            "  to do     do this\n");
}

/* ---- the program ---- */

struct run {
    int status;
    char out[16384], err[4096];
};

static void
slurp(int fd, char *to, size_t size)
{
    const ssize_t n = pread(fd, to, size - 1, 0);

    to[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

static int
scratch(const char *dir, const char *name)
{
    char path[300];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

static struct run
run(const char *dir, char **argv)
{
    const int out = scratch(dir, ".out"), err = scratch(dir, ".err");
    posix_spawn_file_actions_t actions;
    struct run r = {0};
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    cr_assert_eq(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0, "%s", argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    r.status = WEXITSTATUS(status);
    slurp(out, r.out, sizeof(r.out));
    slurp(err, r.err, sizeof(r.err));
    return r;
}

#define SIMULATOR(dir, ...)                                                                        \
    run(dir, (char *[]){BH_BIN_DIR "/beachhead-simulator", __VA_ARGS__, NULL})

struct place {
    char dir[256], sim[300], server[300];
};

static struct place
make_place(const char *server_json)
{
    struct place p;
    char path[400];
    struct run r;

    folder_make(p.dir);
    (void)snprintf(p.sim, sizeof(p.sim), "%s/sim", p.dir);
    (void)snprintf(p.server, sizeof(p.server), "%s", p.dir);
    (void)snprintf(path, sizeof(path), "%s/server.json", p.dir);
    cr_assert_eq(bh_file_write(path, bh_span_str(server_json), 0600, NULL), BH_OK);
    r = SIMULATOR(p.dir, "init", "--dir", p.sim);
    cr_assert_eq(r.status, 0, "%s", r.err);
    return p;
}

Test(simulator, help_version_and_usage)
{
    const char *const commands[] = {"init", "admit", "evidence", "enrol"};
    struct run r;
    char dir[256];

    folder_make(dir);
    r = SIMULATOR(dir, "--help");
    cr_assert_eq(r.status, 0);
    for (size_t i = 0; i < BH_COUNT(commands); i++) {
        cr_assert_not_null(strstr(r.out, commands[i]));
        struct run each = SIMULATOR(dir, (char *)(uintptr_t)commands[i], "--help");

        cr_assert_eq(each.status, 0);
        cr_assert_not_null(strstr(each.out, "example:\n  beachhead-simulator "));
        each = SIMULATOR(dir, (char *)(uintptr_t)commands[i]);
        cr_assert_eq(each.status, 2);
        cr_assert_not_null(strstr(each.err, "is needed"));
    }
    r = SIMULATOR(dir, "--version");
    cr_assert_eq(r.status, 0);
    cr_assert_str_eq(r.out, "beachhead-simulator " BH_VERSION "\n");
    cr_assert_eq(SIMULATOR(dir, "bogus").status, 2);
    folder_drop(dir);
}

Test(simulator, admit_warns_of_a_server_that_will_refuse)
{
    struct place p = make_place("{\"trust_domain\":\"fleet.example\",\"allow_simulated\":false}");
    struct run r =
        SIMULATOR(p.dir, "admit", "--dir", p.sim, "--server-dir", p.server, "--workload", "pay");

    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_assert_not_null(strstr(r.err, "warning"));
    cr_assert_not_null(strstr(r.err, "--allow-simulated"));
    cr_assert_not_null(strstr(r.out, "SIGHUP"));
    cr_assert_eq(SIMULATOR(p.dir, "init", "--dir", p.sim).status, 2, "made again");
    folder_drop(p.dir);
}

Test(simulator, admit_takes_the_trust_domain_and_platforms)
{
    struct place p = make_place("{\"trust_domain\":\"fleet.example\",\"allow_simulated\":true}");
    struct run r = SIMULATOR(p.dir, "admit", "--dir", p.sim, "--server-dir", p.server, "--workload",
        "pay", "--platform", "psa", "--platform", "arm-cca");
    char path[400];
    uint8_t *bytes = NULL;
    size_t len;

    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_assert_str_eq(r.err, "");
    (void)snprintf(path, sizeof(path), "%s/policy/pay.json", p.server);
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK);
    cr_assert_not_null(strstr((const char *)bytes, "pay.fleet.example"));
    cr_assert_null(strstr((const char *)bytes, "aws-nitro"));
    free(bytes);
    r = SIMULATOR(
        p.dir, "admit", "--dir", p.sim, "--server-dir", "/nonexistent", "--workload", "pay");
    cr_assert_eq(r.status, 2);
    cr_assert_not_null(strstr(r.err, "beachhead-server init"));
    folder_drop(p.dir);
}

Test(simulator, evidence_is_a_cmw)
{
    struct place p = make_place("{}");
    char *binding = BINDING;
    json_t *cmw = NULL;
    struct run r = SIMULATOR(
        p.dir, "evidence", "--dir", p.sim, "--platform", "psa", "--binding", binding, "-o", "-");

    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_assert_eq(bh_json_parse(bh_span_str(r.out), sizeof(r.out), &cmw, NULL), BH_OK);
    cr_assert_eq(json_array_size(cmw), 2);
    json_decref(cmw);
    r = SIMULATOR(
        p.dir, "evidence", "--dir", p.sim, "--platform", "psa", "--binding", "0011", "-o", "-");
    cr_assert_eq(r.status, 2);
    cr_assert_not_null(strstr(r.err, "64 bytes"));
    r = SIMULATOR(p.dir, "evidence", "--dir", p.sim, "--platform", "psa", "--binding", binding,
        "--tamper", "expired", "-o", "-");
    cr_assert_eq(r.status, 2);
    cr_assert_not_null(strstr(r.err, "missing-component"));
    cr_assert_str_eq(r.out, "");
    folder_drop(p.dir);
}

struct deployment {
    struct place place;
    struct bh_test_ca ca;
    struct bh_fake_server server;
    char root[400];
};

static void
open_deployment(struct deployment *d)
{
    memset(d, 0, sizeof(*d));
    d->place = make_place("{}");
    bh_test_ca_make(&d->ca, &(struct bh_test_root){.domain = "fleet.example", .simulated = true});
    d->server.ca = &d->ca;
    (void)snprintf(d->root, sizeof(d->root), "%s/root.crt", d->place.dir);
    cr_assert_eq(bh_file_write(d->root, bh_span_str(d->ca.root_pem), 0644, NULL), BH_OK);
}

static void
close_deployment(struct deployment *d)
{
    bh_test_ca_clear(&d->ca);
    folder_drop(d->place.dir);
}

static struct run
enrol(struct deployment *d, const char *url, char *more, char *value)
{
    return SIMULATOR(d->place.dir, "enrol", "--dir", d->place.sim, "--platform", "psa", "--server",
        (char *)(uintptr_t)url, "--root", d->root, "--workload", "pay", more, value);
}

Test(simulator, enrol_prints_what_came_back)
{
    struct deployment d;
    json_t *reply = NULL;
    struct run r;

    open_deployment(&d);
    bh_fake_server_start(&d.server, 0);
    r = enrol(&d, d.server.url, NULL, NULL);
    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_assert_not_null(strstr(r.out, "spiffe://fleet.example/pay"));
    r = enrol(&d, d.server.url, "--json", NULL);
    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_assert_eq(bh_json_parse(bh_span_str(r.out), sizeof(r.out), &reply, NULL), BH_OK);
    cr_assert_not_null(json_object_get(reply, "certificate"));
    json_decref(reply);
    bh_fake_server_stop(&d.server);
    close_deployment(&d);
}

/* Tampered evidence reaches the server, whose refusal is told in full. */
Test(simulator, enrol_tells_a_refusal_by_name)
{
    const char *const texts[] = {
        "binding-mismatch", "psa.binding", "what-was-meant", "what-was-there", "what-to-do"};
    struct deployment d;
    json_t *problem = NULL;
    struct run r;

    open_deployment(&d);
    atomic_store(&d.server.reply,
        "403 {\"type\":\"urn:beachhead:error:binding-mismatch\",\"title\":\"x\",\"status\":403,"
        "\"detail\":\"no\",\"check\":\"psa.binding\",\"expected\":\"what-was-meant\","
        "\"found\":\"what-was-there\",\"hint\":\"what-to-do\",\"request_id\":\"1\"}");
    d.server.reply_to = "/v1/certificates";
    bh_fake_server_start(&d.server, 0);
    r = enrol(&d, d.server.url, "--tamper", "binding");
    cr_assert_eq(r.status, 1, "%s", r.err);
    for (size_t i = 0; i < BH_COUNT(texts); i++)
        cr_assert_not_null(strstr(r.err, texts[i]), "%s in %s", texts[i], r.err);
    cr_assert_str_eq(r.out, "");
    r = enrol(&d, d.server.url, "--json", NULL);
    cr_assert_eq(r.status, 1, "%s", r.err);
    cr_assert_eq(bh_json_parse(bh_span_str(r.out), sizeof(r.out), &problem, NULL), BH_OK);
    cr_assert_str_eq(json_string_value(json_object_get(problem, "check")), "psa.binding");
    cr_assert_str_eq(json_string_value(json_object_get(problem, "type")),
        "urn:beachhead:error:binding-mismatch");
    json_decref(problem);
    cr_assert_eq(atomic_load(&d.server.requests), 4, "two requests for each");
    bh_fake_server_stop(&d.server);
    close_deployment(&d);
}

Test(simulator, enrol_without_a_server_or_root)
{
    struct deployment d;
    json_t *problem = NULL;
    struct run r;

    open_deployment(&d);
    bh_fake_server_start(&d.server, 0);
    bh_fake_server_stop(&d.server); /* its port is free now */
    r = enrol(&d, d.server.url, "--json", NULL);
    cr_assert_eq(r.status, 3, "%d: %s%s", r.status, r.out, r.err);
    cr_assert_eq(bh_json_parse(bh_span_str(r.out), sizeof(r.out), &problem, NULL), BH_OK);
    cr_assert_not_null(json_object_get(problem, "detail"));
    json_decref(problem);
    cr_assert_eq(unlink(d.root), 0);
    r = enrol(&d, d.server.url, NULL, NULL);
    cr_assert_eq(r.status, 2, "%d: %s", r.status, r.err);
    cr_assert_not_null(strstr(r.err, d.root));
    r = enrol(&d, d.server.url, "--tamper", "nitrotpm");
    cr_assert_eq(r.status, 2);
    close_deployment(&d);
}
