/* SPDX-License-Identifier: Apache-2.0 */
/* A server of the bench's own, and what its processes cost. */
#include "bench.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The programs stand in one folder. */
static enum bh_err
own_folder(char *out, size_t size, struct bh_diag *diag)
{
    const ssize_t n = readlink("/proc/self/exe", out, size - 1);

    if (n <= 0)
        return bh_fail(diag, BH_ERR_IO, "/proc/self/exe cannot be read");
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
    return BH_OK;
}

enum bh_err
bench_server_init(struct bh_test_server *ret_server, struct bh_diag *diag)
{
    const char *const more[] = {"--allow-simulated", NULL};
    char bin[512];
    enum bh_err e;

    if ((e = own_folder(bin, sizeof(bin), diag)) != BH_OK ||
        (e = bh_test_server_folder(bin, ret_server, diag)) != BH_OK)
        return e;
    return bh_test_server_init(ret_server, "bench.example", more, diag);
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
bench_server_cpu_us(const struct bh_test_server *server)
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
bench_server_rss_kib(const struct bh_test_server *server, const char *role)
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
