/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "core/file.h"
#include "core/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TRIES 2000
#define SMALL 65536

/* The programs stand in one folder. */
static enum bh_err
program(const char *name, char *out, size_t size, struct bh_diag *diag)
{
    char self[512];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        return bh_fail(diag, BH_ERR_IO, "/proc/self/exe cannot be read");
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    return bh_path_join(out, size, self, name);
}

static pid_t
spawn(char *const argv[], const char *log)
{
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
    }
    (void)execv(argv[0], argv);
    _exit(127);
}

/* No rate limit, and as many connections from one address as the bench has clients. */
static enum bh_err
unlimited(const char *home, struct bh_diag *diag)
{
    char path[400];
    uint8_t *bytes = NULL;
    char *text = NULL;
    json_t *json = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), home, "server.json")) != BH_OK ||
        (e = bh_file_read(path, SMALL, &bytes, &len, diag)) != BH_OK ||
        (e = bh_json_parse(bh_span(bytes, len), SMALL, &json, diag)) != BH_OK)
        goto out;
    (void)json_object_set_new(json_object_get(json, "rate"), "per_second", json_integer(0));
    if ((text = bh_json_text(json, true)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "server.json");
    else
        e = bh_file_write(path, bh_span_str(text), 0600, diag);
out:
    json_decref(json);
    free(bytes);
    free(text);
    return e;
}

enum bh_err
bench_server_init(struct bench_server *ret_server, struct bh_diag *diag)
{
    const char *tmp = getenv("TMPDIR");
    char exe[600], log[300], domain[] = "bench.example", listen[] = "127.0.0.1:0";
    struct bench_server s = {0};
    int status = 0;
    enum bh_err e;

    (void)snprintf(
        s.dir, sizeof(s.dir), "%.200s/beachhead-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(s.dir) == NULL)
        return bh_fail(diag, BH_ERR_IO, "no temporary folder: %s", strerror(errno));
    (void)snprintf(s.home, sizeof(s.home), "%s/server", s.dir);
    (void)snprintf(log, sizeof(log), "%s/log", s.dir);
    *ret_server = s;
    if ((e = program("beachhead-server", exe, sizeof(exe), diag)) != BH_OK)
        return e;
    char *const argv[] = {exe, "init", "--dir", s.home, "--trust-domain", domain, "--listen",
        listen, "--allow-simulated", NULL};
    const pid_t pid = spawn(argv, log);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
        return bh_refuse(diag, BH_ERR_INTERNAL, "init", "beachhead-server init", log,
            "the bench's server could not be made");
    return unlimited(s.home, diag);
}

static void
add_process(struct bench_server *s, pid_t pid, const char *role)
{
    if (s->len == BENCH_PIDS_MAX)
        return;
    s->processes[s->len].pid = pid;
    (void)snprintf(s->processes[s->len].role, sizeof(s->processes[0].role), "%s", role);
    s->len++;
}

/* `beachhead-server --child ROLE`: the role is the last word of the command line. */
static void
add_children(struct bench_server *s)
{
    char path[64], line[2048] = "", command[512];
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->parent, (int)s->parent);
    if ((f = fopen(path, "r")) == NULL)
        return;
    (void)fgets(line, sizeof(line), f);
    (void)fclose(f);
    char *rest = line;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        const long pid = strtol(word, NULL, 10);
        (void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
        if ((f = fopen(path, "r")) == NULL)
            continue;
        const size_t n = fread(command, 1, sizeof(command) - 1, f);
        (void)fclose(f);
        command[n] = '\0';
        const char *role = command;
        for (const char *p = command; p < command + n; p += strlen(p) + 1)
            if (p[0] != '\0')
                role = p;
        add_process(s, (pid_t)pid, role);
    }
}

enum bh_err
bench_server_start(struct bench_server *server, struct bh_diag *diag)
{
    char exe[600], log[300], path[400];
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = program("beachhead-server", exe, sizeof(exe), diag)) != BH_OK)
        return e;
    (void)snprintf(log, sizeof(log), "%s/log", server->dir);
    char *const argv[] = {exe, "run", "--dir", server->home, NULL};
    if ((server->parent = spawn(argv, log)) < 0)
        return bh_fail(diag, BH_ERR_IO, "fork: %s", strerror(errno));
    (void)snprintf(path, sizeof(path), "%s/run/url", server->home);
    for (int i = 0; i < READY_TRIES && access(path, R_OK) != 0; i++) {
        if (waitpid(server->parent, NULL, WNOHANG) == server->parent) {
            server->parent = 0;
            return bh_refuse(diag, BH_ERR_INTERNAL, "run", "beachhead-server run", log,
                "the bench's server ended");
        }
        (void)usleep(1000);
    }
    if ((e = bh_file_read(path, sizeof(server->url) - 1, &bytes, &len, diag)) != BH_OK)
        return e;
    (void)snprintf(server->url, sizeof(server->url), "%s", (const char *)bytes);
    server->url[strcspn(server->url, "\n")] = '\0';
    free(bytes);
    (void)snprintf(path, sizeof(path), "%s/ca/root.crt", server->home);
    if ((e = bh_file_read(path, SMALL, &bytes, &server->roots_len, diag)) != BH_OK)
        return e;
    server->roots = (char *)bytes;
    add_process(server, server->parent, "parent");
    add_children(server);
    return BH_OK;
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
bench_server_end(struct bench_server *server)
{
    if (server->parent > 0) {
        (void)kill(server->parent, SIGTERM);
        (void)waitpid(server->parent, NULL, 0);
    }
    if (server->dir[0] != '\0')
        (void)nftw(server->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(server->roots);
    *server = (struct bench_server){0};
}

/* schedstat counts nanoseconds where stat counts ticks; it is per thread. */
double
bench_process_cpu_us(pid_t pid)
{
    char path[128];
    struct dirent *entry;
    double sum = 0;
    DIR *tasks;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    if ((tasks = opendir(path)) == NULL)
        return 0;
    while ((entry = readdir(tasks)) != NULL) {
        char line[128] = "";
        (void)snprintf(
            path, sizeof(path), "/proc/%d/task/%.16s/schedstat", (int)pid, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f == NULL)
            continue;
        if (fgets(line, sizeof(line), f) != NULL)
            sum += strtod(line, NULL) / 1e3;
        (void)fclose(f);
    }
    (void)closedir(tasks);
    return sum;
}

double
bench_server_cpu_us(const struct bench_server *server)
{
    double sum = 0;

    for (size_t i = 0; i < server->len; i++)
        sum += bench_process_cpu_us(server->processes[i].pid);
    return sum;
}

static long
rss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if ((f = fopen(path, "r")) == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    (void)fclose(f);
    return kib;
}

long
bench_server_rss_kib(const struct bench_server *server, const char *role)
{
    long most = 0;

    for (size_t i = 0; i < server->len; i++) {
        if (strcmp(server->processes[i].role, role) != 0)
            continue;
        const long kib = rss_kib(server->processes[i].pid);
        if (kib > most)
            most = kib;
    }
    return most;
}
