/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)
#define NEEDLE_MAX 256
#define MAPPING_MAX (1ULL << 30)

static FILE *
open_file(pid_t pid, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

bool
bh_proc_status(pid_t pid, const char *name, char *out, size_t size)
{
    const size_t len = strlen(name);
    FILE *f = open_file(pid, "status");
    char line[256];
    bool found = false;

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        const char *value = line + len + 1 + strspn(line + len + 1, " \t");
        (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        found = true;
    }
    if (f != NULL)
        (void)fclose(f);
    return found;
}

bool
bh_proc_lives(pid_t pid)
{
    char state[64] = "";

    return bh_proc_status(pid, "State", state, sizeof(state)) && state[0] != 'Z' && state[0] != 'X';
}

bool
bh_proc_fds(pid_t pid, bh_proc_fd_fn each, void *arg)
{
    char path[96], target[512];
    struct dirent *entry;
    bool good = true;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    if ((dir = opendir(path)) == NULL)
        return false;
    while (good && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
        const ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
            continue; /* closed meanwhile */
        target[n] = '\0';
        good = each(arg, (int)strtol(entry->d_name, NULL, 10), target);
    }
    (void)closedir(dir);
    return good;
}

/* Chunks overlap by the needle's length, so that none lies across a seam. */
static bool
search(int mem, uint64_t from, uint64_t to, struct bh_span needle, uint8_t *buf)
{
    size_t kept = 0;

    while (from < to) {
        const size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
        const ssize_t n = pread(mem, buf + kept, want, (off_t)from);

        if (n <= 0)
            return false; /* a guard page, or gone */
        const size_t len = kept + (size_t)n;
        if (memmem(buf, len, needle.ptr, needle.len) != NULL)
            return true;
        kept = len < needle.len - 1 ? len : needle.len - 1;
        memmove(buf, buf + len - kept, kept);
        from += (uint64_t)n;
    }
    return false;
}

enum bh_proc_memory
bh_proc_memory_has(pid_t pid, struct bh_span needle)
{
    FILE *maps = open_file(pid, "maps");
    uint8_t *buf = malloc(CHUNK + NEEDLE_MAX);
    enum bh_proc_memory result = BH_PROC_UNREADABLE;
    char path[64], line[1024];
    int mem;

    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    mem = open(path, O_RDONLY | O_CLOEXEC);
    if (maps != NULL && mem >= 0 && buf != NULL && needle.len <= NEEDLE_MAX)
        result = BH_PROC_ABSENT;
    while (result == BH_PROC_ABSENT && fgets(line, sizeof(line), maps) != NULL) {
        char *end = NULL;
        const uint64_t from = strtoull(line, &end, 16);
        const uint64_t to = strtoull(end + 1, &end, 16);

        if (end[1] == 'r' && to - from <= MAPPING_MAX && strstr(line, "[v") == NULL &&
            search(mem, from, to, needle, buf))
            result = BH_PROC_FOUND;
    }
    if (maps != NULL)
        (void)fclose(maps);
    if (mem >= 0)
        (void)close(mem);
    if (buf != NULL)
        explicit_bzero(buf, CHUNK + NEEDLE_MAX);
    free(buf);
    return result;
}
