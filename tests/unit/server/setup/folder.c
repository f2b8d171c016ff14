/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "core/file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void
folder_init(struct folder *f)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(f->base, sizeof(f->base), "%.200s/bh-setup-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(f->base));
    (void)snprintf(f->dir, sizeof(f->dir), "%s/server", f->base);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

void
folder_clear(struct folder *f)
{
    (void)nftw(f->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
redirect(int fd, int saved[2])
{
    (void)fflush(NULL);
    saved[0] = dup(STDOUT_FILENO);
    saved[1] = dup(STDERR_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
}

static void
restore(int saved[2])
{
    (void)fflush(NULL);
    (void)dup2(saved[0], STDOUT_FILENO);
    (void)dup2(saved[1], STDERR_FILENO);
    (void)close(saved[0]);
    (void)close(saved[1]);
}

int
folder_run(struct folder *f, int (*command)(int argc, char **argv), ...)
{
    char *argv[32] = {(char *)(uintptr_t) "command"};
    const mode_t mask = umask(0);
    char path[300];
    size_t len = 0;
    uint8_t *text = NULL;
    int argc = 1, code, fd, saved[2];
    va_list ap;

    (void)umask(mask);
    va_start(ap, command);
    while (argc < 31 && (argv[argc] = va_arg(ap, char *)) != NULL)
        argc++;
    va_end(ap);
    (void)snprintf(path, sizeof(path), "%s/output", f->base);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    redirect(fd, saved);
    code = command(argc, argv);
    restore(saved);
    (void)close(fd);
    (void)umask(mask);
    cr_assert_eq(bh_file_read(path, sizeof(f->out) - 1, &text, &len, NULL), BH_OK);
    memcpy(f->out, text, len + 1);
    free(text);
    (void)unlink(path);
    return code;
}

static const char *
join(const char *dir, const char *name)
{
    static char paths[8][600];
    static unsigned at;
    char *path = paths[at++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

const char *
folder_path(const struct folder *f, const char *name)
{
    return join(f->base, name);
}

const char *
server_path(const struct folder *f, const char *name)
{
    return join(f->dir, name);
}

int
folder_mode(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

void
folder_write(const char *path, const char *text)
{
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, NULL), BH_OK, "%s", path);
}

char *
folder_read(const char *path)
{
    uint8_t *text = NULL;
    size_t len = 0;

    cr_assert_eq(bh_file_read(path, 1024 * 1024, &text, &len, NULL), BH_OK, "%s", path);
    return (char *)text;
}
