/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "core/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_MAX (4 * 1024 * 1024)

static void
child(const char *program, const char *const *args, const int in[2], const int out[2],
    const int err[2])
{
    const char *argv[64] = {NULL};
    char path[4096];

    (void)snprintf(
        path, sizeof(path), "%s/%s", strcmp(program, "sh") == 0 ? "/bin" : BH_BIN_DIR, program);
    argv[0] = path;
    for (size_t i = 0; args[i] != NULL && i < 62; i++)
        argv[i + 1] = args[i];
    (void)dup2(in[0], 0);
    (void)dup2(out[1], 1);
    (void)dup2(err[1], 2);
    for (int fd = 3; fd < 256; fd++)
        (void)close(fd);
    (void)execv(path, (char *const *)(uintptr_t)argv);
    _exit(126);
}

static bool
take(int fd, char *buf, size_t *len)
{
    const ssize_t n = read(fd, buf + *len, OUT_MAX - *len);

    if (n <= 0)
        return false;
    *len += (size_t)n;
    return true;
}

void
run(struct ran *r, const char *program, struct bh_span input, const char *const *args)
{
    int in[2], out[2], err[2], status = 0;
    size_t out_len = 0, err_len = 0;
    bool out_open = true, err_open = true;

    *r = (struct ran){.out = calloc(1, OUT_MAX + 1), .err = calloc(1, OUT_MAX + 1)};
    cr_assert(r->out != NULL && r->err != NULL);
    cr_assert(pipe(in) == 0 && pipe(out) == 0 && pipe(err) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        child(program, args, in, out, err);
    (void)close(in[0]);
    (void)close(out[1]);
    (void)close(err[1]);
    if (input.len > 0)
        (void)!write(in[1], input.ptr, input.len);
    (void)close(in[1]);
    while (out_open || err_open) {
        struct pollfd p[2] = {{.fd = out_open ? out[0] : -1, .events = POLLIN},
            {.fd = err_open ? err[0] : -1, .events = POLLIN}};
        cr_assert_gt(poll(p, 2, 120000), 0, "%s does not end", program);
        if (p[0].revents != 0)
            out_open = take(out[0], r->out, &out_len);
        if (p[1].revents != 0)
            err_open = take(err[0], r->err, &err_len);
    }
    (void)close(out[0]);
    (void)close(err[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    r->json = json_loads(r->out, JSON_REJECT_DUPLICATES, NULL);
}

void
ran_clear(struct ran *r)
{
    free(r->out);
    free(r->err);
    json_decref(r->json);
    *r = (struct ran){0};
}

static bool
is_clean(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        if ((*p < 0x20 && *p != '\n') || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return false;
    return true;
}

void
expect_run(const struct ran *r, int status, const char *in_err)
{
    cr_expect_eq(r->status, status, "status %d, not %d: %s", r->status, status, r->err);
    cr_expect(is_clean(r->out) && is_clean(r->err), "control characters: %s%s", r->out, r->err);
    if (in_err == NULL)
        cr_expect_str_eq(r->err, "");
    else
        cr_expect_not_null(strstr(r->err, in_err), "'%s' is not in: %s", in_err, r->err);
}

void
expect_json(const struct ran *r, int status)
{
    cr_expect_eq(r->status, status, "status %d, not %d: %s", r->status, status, r->err);
    cr_expect(is_clean(r->out) && is_clean(r->err), "control characters: %s%s", r->out, r->err);
    cr_assert(json_is_object(r->json), "not one document: %s\n%s", r->out, r->err);
    cr_expect_eq(status == 0, strstr(r->err, "check") == NULL, "standard error: %s", r->err);
}

const char *
text_of(const struct ran *r, const char *name)
{
    const char *text = json_string_value(json_object_get(r->json, name));

    return text == NULL ? "" : text;
}

const char *
failed_check(const struct ran *r)
{
    json_t *check;
    size_t i;

    json_array_foreach(json_object_get(r->json, "checks"), i, check)
    {
        if (json_is_false(json_object_get(check, "ok")))
            return json_string_value(json_object_get(check, "check"));
    }
    return "";
}

void
expect_members(const json_t *object, const char *const *names)
{
    size_t n = 0;

    for (; names[n] != NULL; n++)
        cr_expect_not_null(json_object_get(object, names[n]), "%s is missing", names[n]);
    cr_expect_eq(json_object_size(object), n, "%zu members, not %zu", json_object_size(object), n);
}

static char dir[64];

const char *
folder(void)
{
    if (dir[0] == '\0') {
        (void)snprintf(dir, sizeof(dir), "/tmp/bh-cli-XXXXXX");
        cr_assert_not_null(mkdtemp(dir));
    }
    return dir;
}

void
end_folder(void)
{
    const struct dirent *entry;
    char path[512];
    DIR *list;

    if (dir[0] == '\0' || (list = opendir(dir)) == NULL)
        return;
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        (void)remove(path);
    }
    (void)closedir(list);
    (void)rmdir(dir);
    dir[0] = '\0';
}

const char *
put(const char *name, struct bh_span bytes)
{
    static char paths[64][512];
    static size_t next;
    char *path = paths[next++ % 64];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder(), name);
    cr_assert_eq(bh_file_write(path, bytes, 0600, NULL), BH_OK);
    return path;
}
