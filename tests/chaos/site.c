/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include "core/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GONE_MS 5000

/* ---- what is said ---- */

void
chaos_begin(struct chaos *c, const char *name, const char *bin, unsigned seconds)
{
    memset(c, 0, sizeof(*c));
    c->name = name;
    c->bin = bin;
    c->seconds = seconds;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

__attribute__((format(printf, 3, 0))) static void
say(struct chaos *c, const char *kind, const char *fmt, va_list args)
{
    char text[1024];

    (void)vsnprintf(text, sizeof(text), fmt, args);
    (void)pthread_mutex_lock(&c->lock);
    if (c->why[0] == '\0' && kind[0] != '\0')
        (void)snprintf(c->why, sizeof(c->why), "%s", text);
    (void)printf("  %s: %s%s\n", c->name, kind, text);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&c->lock);
}

void
chaos_fail(struct chaos *c, const char *fmt, ...)
{
    va_list args;

    c->failed = true;
    va_start(args, fmt);
    say(c, "FAILED: ", fmt, args);
    va_end(args);
}

void
chaos_skip(struct chaos *c, const char *fmt, ...)
{
    va_list args;

    c->skipped = true;
    va_start(args, fmt);
    say(c, "*** SKIP: ", fmt, args);
    va_end(args);
}

void
chaos_say(struct chaos *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(c, "", fmt, args);
    va_end(args);
}

/* ---- time and chance ---- */

int64_t
chaos_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
chaos_sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (ms > 0 && nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

/* When things happen is left to chance, and says nothing about what must hold. */
unsigned
chaos_random(unsigned n)
{
    static _Thread_local unsigned short state[3];
    static _Thread_local bool seeded;

    if (!seeded) {
        const int64_t now = chaos_now_ms();

        state[0] = (unsigned short)now;
        state[1] = (unsigned short)getpid();
        state[2] = (unsigned short)(now >> 16);
        seeded = true;
    }
    return n > 0 ? (unsigned)((unsigned long)nrand48(state) % n) : 0;
}

/* ---- the server ---- */

/* The same port after a restart, as a server in service has. */
static int
free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&in, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&in, &len) == 0)
        port = ntohs(in.sin_port);
    if (fd >= 0)
        (void)close(fd);
    return port;
}

bool
chaos_site_set(struct chaos *c, struct chaos_site *site, const char *member, json_t *value)
{
    struct bh_diag diag = {0};

    if (bh_test_server_set(&site->server, member, value, &diag) == BH_OK)
        return true;
    chaos_fail(c, "server.json %s: %s", member, diag.detail);
    return false;
}

bool
chaos_site_make(struct chaos *c, struct chaos_site *ret_site)
{
    static const char *const more[] = {"--allow-simulated", NULL};
    struct chaos_site *s = ret_site;
    struct bh_diag diag = {0};
    char listen[64];

    memset(s, 0, sizeof(*s));
    if (bh_test_server_folder(c->bin, &s->server, &diag) != BH_OK ||
        bh_test_server_init(&s->server, CHAOS_DOMAIN, more, &diag) != BH_OK) {
        chaos_fail(c, "no server: %s", diag.detail);
        return false;
    }
    (void)snprintf(s->simulator, sizeof(s->simulator), "%s/sim", s->server.dir);
    const char *const make[] = {"beachhead-simulator", "init", "--dir", s->simulator, NULL};
    const char *const admit[] = {"beachhead-simulator", "admit", "--dir", s->simulator,
        "--server-dir", s->server.home, "--workload", CHAOS_WORKLOAD, NULL};
    if (bh_test_server_run(&s->server, make, NULL) != 0 ||
        bh_test_server_run(&s->server, admit, NULL) != 0) {
        chaos_fail(c, "no simulated devices: see %s", s->server.log);
        return false;
    }
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", free_port());
    return chaos_site_set(c, s, "listen", json_string(listen));
}

bool
chaos_site_start(struct chaos *c, struct chaos_site *site)
{
    struct bh_diag diag = {0};

    if (bh_test_server_start(&site->server, &diag) == BH_OK)
        return true;
    chaos_fail(c, "the server does not start: %s", diag.detail);
    return false;
}

/* A zombie that nobody reaps is as good as gone. */
static bool
is_gone(pid_t pid)
{
    char path[64], line[256] = "";
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if ((f = fopen(path, "re")) == NULL)
        return true;
    const char *end = fgets(line, sizeof(line), f) != NULL ? strrchr(line, ')') : NULL;
    (void)fclose(f);
    return end == NULL || end[1] == '\0' || end[2] == 'Z' || end[2] == 'X';
}

void
chaos_site_kill(struct chaos *c, struct chaos_site *site, bool wait)
{
    struct bh_test_server *s = &site->server;
    const int64_t begin = chaos_now_ms();

    bh_test_server_look(s);
    (void)kill(s->parent, SIGKILL);
    while (waitpid(s->parent, NULL, 0) < 0 && errno == EINTR)
        ;
    s->parent = 0;
    for (size_t i = 0; wait && i < s->len; i++) {
        while (!is_gone(s->processes[i].pid) && chaos_now_ms() - begin < GONE_MS)
            chaos_sleep_ms(2);
        if (!is_gone(s->processes[i].pid))
            chaos_fail(c, "the %s outlives its parent", s->processes[i].role);
    }
}

void
chaos_site_end(struct chaos *c, struct chaos_site *site)
{
    struct bh_test_server *s = &site->server;
    static const char *const reports[] = {"Sanitizer", "runtime error", "child-subverted",
        "peer-subverted", "peer-refused", "http-panic"};
    const bool ran = s->parent > 0;
    const int status = bh_test_server_stop(s);

    if (ran && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        chaos_fail(c, "the server did not end well: status %d", status);
    for (size_t i = 0; i < BH_COUNT(reports); i++)
        if (s->log[0] != '\0' && bh_test_server_logged(s, 0, reports[i], 0))
            chaos_fail(c, "the server's log says: %s", reports[i]);
    if (c->failed && getenv("BH_CHAOS_KEEP") != NULL) {
        chaos_say(c, "kept: %s", s->dir);
        s->dir[0] = '\0';
    }
    bh_test_server_end(s);
}

/* ---- its processes ---- */

size_t
chaos_site_pids(struct chaos_site *site, const char *role, pid_t *pids, size_t max)
{
    struct bh_test_server *s = &site->server;
    size_t n = 0;

    bh_test_server_look(s);
    for (size_t i = 0; i < s->len && n < max; i++)
        if (strcmp(s->processes[i].role, role) == 0)
            pids[n++] = s->processes[i].pid;
    return n;
}

long
chaos_rss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = -1;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if ((f = fopen(path, "re")) == NULL)
        return -1;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    (void)fclose(f);
    return kib;
}

long
chaos_fds(pid_t pid)
{
    char path[64];
    long n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    if ((d = opendir(path)) == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}
