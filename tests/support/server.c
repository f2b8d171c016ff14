/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "core/file.h"
#include "core/json.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TRIES 20000
#define SMALL 65536
#define OUTPUT_MAX (1024 * 1024)
#define ARGS_MAX 32

enum bh_err
bh_test_server_folder(const char *bin, struct bh_test_server *ret_server, struct bh_diag *diag)
{
    const char *tmp = getenv("TMPDIR");
    struct bh_test_server s = {0};

    (void)snprintf(s.bin, sizeof(s.bin), "%.511s", bin);
    (void)snprintf(
        s.dir, sizeof(s.dir), "%.200s/beachhead-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(s.dir) == NULL)
        return bh_fail(diag, BH_ERR_IO, "no temporary folder: %s", strerror(errno));
    (void)snprintf(s.home, sizeof(s.home), "%s/server", s.dir);
    (void)snprintf(s.log, sizeof(s.log), "%s/log", s.dir);
    *ret_server = s;
    return BH_OK;
}

/* Standard output goes to @p out, or to the log when it is negative. */
static pid_t
spawn(const struct bh_test_server *s, const char *const *argv, int out)
{
    char exe[600];
    char *args[ARGS_MAX];
    size_t n = 0;

    if (bh_path_join(exe, sizeof(exe), s->bin, argv[0]) != BH_OK)
        return -1;
    for (; argv[n] != NULL && n < ARGS_MAX - 1; n++)
        args[n] = (char *)(uintptr_t)argv[n];
    args[n] = NULL;
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    const int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)dup2(out >= 0 ? out : fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
    }
    (void)execv(exe, args);
    _exit(127);
}

static int
wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) != pid)
        if (errno != EINTR)
            return -1;
    return status;
}

static char *
read_all(int fd)
{
    char *text = malloc(OUTPUT_MAX + 1);
    size_t len = 0;
    ssize_t n = 0;

    while (text != NULL && len < OUTPUT_MAX) {
        if ((n = read(fd, text + len, OUTPUT_MAX - len)) < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (text != NULL)
        text[len] = '\0';
    return text;
}

int
bh_test_server_run(const struct bh_test_server *server, const char *const *argv, char **ret_output)
{
    int fds[2], status;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    const pid_t pid = spawn(server, argv, fds[1]);
    (void)close(fds[1]);
    char *text = read_all(fds[0]);
    (void)close(fds[0]);
    status = pid > 0 ? wait_for(pid) : -1;
    if (ret_output != NULL)
        *ret_output = text;
    else
        free(text);
    if (status == -1)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum bh_err
bh_test_server_init(struct bh_test_server *server, const char *domain, const char *const *more,
    struct bh_diag *diag)
{
    const char *argv[ARGS_MAX] = {"beachhead-server", "init", "--dir", server->home,
        "--trust-domain", domain, "--listen", "127.0.0.1:0"};
    size_t n = 8;

    while (more != NULL && *more != NULL && n < ARGS_MAX - 1)
        argv[n++] = *more++;
    argv[n] = NULL;
    if (bh_test_server_run(server, argv, NULL) != 0)
        return bh_refuse(diag, BH_ERR_INTERNAL, "init", "beachhead-server init", server->log,
            "the server could not be made: see %s", server->log);
    return bh_test_server_set(server, "rate.per_second", json_integer(0), diag);
}

enum bh_err
bh_test_server_path(const struct bh_test_server *server, const char *name, char *out, size_t size)
{
    return bh_path_join(out, size, server->home, name);
}

static enum bh_err
set_member(json_t *config, const char *member, json_t *value)
{
    char first[64];
    const char *dot = strchr(member, '.');

    if (dot != NULL) {
        (void)snprintf(first, sizeof(first), "%.*s", (int)(dot - member), member);
        config = json_object_get(config, first);
        member = dot + 1;
    }
    return json_object_set(config, member, value) == 0 ? BH_OK : BH_ERR_NOMEM;
}

enum bh_err
bh_test_server_set(
    struct bh_test_server *server, const char *member, json_t *value, struct bh_diag *diag)
{
    char path[400];
    uint8_t *bytes = NULL;
    char *text = NULL;
    json_t *json = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), server->home, "server.json")) != BH_OK ||
        (e = bh_file_read(path, SMALL, &bytes, &len, diag)) != BH_OK ||
        (e = bh_json_parse(bh_span(bytes, len), SMALL, &json, diag)) != BH_OK)
        goto out;
    if ((e = set_member(json, member, value)) != BH_OK || (text = bh_json_text(json, true)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "server.json: %s", member);
    else
        e = bh_file_write(path, bh_span_str(text), 0600, diag);
out:
    json_decref(value);
    json_decref(json);
    free(bytes);
    free(text);
    return e;
}

/* ---- processes ---- */

static void
add_process(struct bh_test_server *s, pid_t pid, const char *role)
{
    if (s->len == BH_TEST_PIDS_MAX)
        return;
    s->processes[s->len].pid = pid;
    (void)snprintf(s->processes[s->len].role, sizeof(s->processes[0].role), "%.15s", role);
    s->len++;
}

/* `beachhead-server --child ROLE`: the role is the last word of the command line. */
static void
add_child(struct bh_test_server *s, pid_t pid)
{
    char path[64], command[512];
    const char *role = command;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    if ((f = fopen(path, "re")) == NULL)
        return;
    const size_t n = fread(command, 1, sizeof(command) - 1, f);
    (void)fclose(f);
    command[n] = '\0';
    for (const char *p = command; p < command + n; p += strlen(p) + 1)
        if (p[0] != '\0')
            role = p;
    add_process(s, pid, role);
}

void
bh_test_server_look(struct bh_test_server *server)
{
    char path[64], line[2048] = "";
    FILE *f;

    server->len = 0;
    add_process(server, server->parent, "parent");
    (void)snprintf(
        path, sizeof(path), "/proc/%d/task/%d/children", (int)server->parent, (int)server->parent);
    if ((f = fopen(path, "re")) == NULL)
        return;
    if (fgets(line, sizeof(line), f) == NULL)
        line[0] = '\0';
    (void)fclose(f);
    char *rest = line;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest))
        add_child(server, (pid_t)strtol(word, NULL, 10));
}

pid_t
bh_test_server_pid(const struct bh_test_server *server, const char *role)
{
    for (size_t i = 0; i < server->len; i++)
        if (strcmp(server->processes[i].role, role) == 0)
            return server->processes[i].pid;
    return 0;
}

/* ---- life ---- */

static enum bh_err
read_home(struct bh_test_server *s, struct bh_diag *diag)
{
    char path[400];
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), s->home, "run/url")) != BH_OK ||
        (e = bh_file_read(path, sizeof(s->url) - 1, &bytes, &len, diag)) != BH_OK)
        return e;
    (void)snprintf(s->url, sizeof(s->url), "%s", (const char *)bytes);
    s->url[strcspn(s->url, "\n")] = '\0';
    free(bytes);
    if ((e = bh_path_join(path, sizeof(path), s->home, "ca/root.crt")) != BH_OK ||
        (e = bh_file_read(path, SMALL, &bytes, &len, diag)) != BH_OK)
        return e;
    free(s->roots);
    s->roots = (char *)bytes;
    s->roots_len = len;
    return BH_OK;
}

enum bh_err
bh_test_server_start(struct bh_test_server *server, struct bh_diag *diag)
{
    const char *const argv[] = {"beachhead-server", "run", "--dir", server->home, NULL};
    char path[400];
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), server->home, "run/url")) != BH_OK)
        return e;
    (void)unlink(path); /* of a server that was killed */
    if ((server->parent = spawn(server, argv, -1)) < 0) {
        server->parent = 0;
        return bh_fail(diag, BH_ERR_IO, "fork: %s", strerror(errno));
    }
    for (int i = 0; i < READY_TRIES && access(path, R_OK) != 0; i++) {
        if (waitpid(server->parent, NULL, WNOHANG) == server->parent) {
            server->parent = 0;
            return bh_refuse(diag, BH_ERR_INTERNAL, "run", "beachhead-server run", server->log,
                "the server ended: see %s", server->log);
        }
        (void)usleep(1000);
    }
    if ((e = read_home(server, diag)) != BH_OK)
        return e;
    bh_test_server_look(server);
    return BH_OK;
}

int
bh_test_server_stop(struct bh_test_server *server)
{
    int status = -1;

    if (server->parent > 0) {
        (void)kill(server->parent, SIGTERM);
        status = wait_for(server->parent);
    }
    server->parent = 0;
    return status;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
bh_test_server_end(struct bh_test_server *server)
{
    (void)bh_test_server_stop(server);
    if (server->dir[0] != '\0')
        (void)nftw(server->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(server->roots);
    *server = (struct bh_test_server){0};
}

/* ---- log ---- */

size_t
bh_test_server_log_len(const struct bh_test_server *server)
{
    struct stat st;

    return stat(server->log, &st) == 0 ? (size_t)st.st_size : 0;
}

static bool
log_has(const struct bh_test_server *server, size_t from, const char *text)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    bool found = false;

    if (bh_file_read(server->log, (size_t)64 << 20, &bytes, &len, NULL) != BH_OK)
        return false;
    if (from < len)
        found = memmem(bytes + from, len - from, text, strlen(text)) != NULL;
    free(bytes);
    return found;
}

bool
bh_test_server_logged(
    const struct bh_test_server *server, size_t from, const char *text, int timeout_ms)
{
    for (int waited = 0; waited <= timeout_ms; waited += 10) {
        if (log_has(server, from, text))
            return true;
        (void)usleep(10000);
    }
    return false;
}
