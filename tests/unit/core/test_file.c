/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file.h"
#include "core/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

Test(file, write_then_read)
{
    char dir[] = "/tmp/bh-file-XXXXXX";
    char path[64];
    uint8_t big[20000], *back;
    struct stat st;
    size_t len;

    cr_assert_not_null(mkdtemp(dir));
    memset(big, 'x', sizeof(big));
    cr_assert_eq(bh_path_join(path, sizeof(path), dir, "f"), BH_OK);
    cr_assert_eq(bh_file_write(path, bh_span("old", 3), 0644, NULL), BH_OK);
    cr_assert_eq(bh_file_write(path, bh_span(big, sizeof(big)), 0600, NULL), BH_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(bh_file_read(path, sizeof(big), &back, &len, NULL), BH_OK);
    cr_assert_eq(len, sizeof(big));
    cr_assert_eq(back[len], '\0');
    free(back);
    cr_assert_eq(bh_file_read(path, sizeof(big) - 1, &back, &len, NULL), BH_ERR_TOO_LARGE);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(bh_file_read(path, 10, &back, &len, NULL), BH_ERR_IO);
    cr_assert_eq(rmdir(dir), 0);
    cr_assert_eq(bh_file_write(path, bh_span("x", 1), 0600, NULL), BH_ERR_IO);
}

Test(log, one_json_line_whatever_the_values)
{
    char line[4096], file[] = "/tmp/bh-log-XXXXXX";
    char *values = calloc(1, 600);
    json_error_t error;
    json_t *json;
    ssize_t n;
    int fd = mkstemp(file);

    cr_assert_geq(fd, 0);
    cr_assert_geq(dup2(fd, 2), 0);
    memset(values, 'v', 599);
    bh_log_init("test", BH_LOG_INFO);
    bh_log(BH_LOG_DEBUG, "not-written", NULL);
    bh_log(BH_LOG_INFO, "event", "a", "quote\" back\\ line\n bad\xff", "#n", "5", "none", NULL,
        "long", values, NULL);
    n = pread(fd, line, sizeof(line) - 1, 0);
    unlink(file);
    cr_assert_gt(n, 0);
    cr_assert_eq(line[n - 1], '\n');
    json = json_loadb(line, (size_t)n - 1, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json);
    cr_assert_eq(json_integer_value(json_object_get(json, "n")), 5);
    cr_assert_str_eq(json_string_value(json_object_get(json, "process")), "test");
    cr_assert_null(json_object_get(json, "none"));
    cr_assert_eq(json_string_length(json_object_get(json, "long")), 512);
    json_decref(json);
    free(values);
    (void)close(fd);
}

Test(file, paths_that_cannot_be)
{
    char path[8192], out[16];

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(bh_file_write(path, bh_span("x", 1), 0600, NULL), BH_ERR_IO);
    cr_expect_eq(bh_path_join(out, sizeof(out), "/tmp", "a-name-that-is-long"), BH_ERR_TOO_LARGE);
    cr_expect_eq(bh_path_join(out, sizeof(out), "/tmp", "a"), BH_OK);
    cr_expect_str_eq(out, "/tmp/a");
}

/* What is in the way stays, and nothing temporary is left beside it. */
Test(file, a_folder_in_the_way)
{
    char dir[] = "/tmp/bh-file-XXXXXX", path[64];
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(bh_path_join(path, sizeof(path), dir, "f"), BH_OK);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_eq(bh_file_write(path, bh_span("x", 1), 0600, &diag), BH_ERR_IO);
    cr_expect_not_null(strstr(diag.detail, path));
    cr_expect_eq(bh_file_read(path, 10, &bytes, &len, &diag), BH_ERR_IO);
    cr_expect_null(bytes);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(rmdir(dir), 0, "something is left in it");
}

Test(file, in_this_folder)
{
    char dir[] = "/tmp/bh-file-XXXXXX";
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    cr_expect_eq(bh_file_write("here", bh_span("x", 1), 0600, NULL), BH_OK);
    cr_expect_eq(bh_file_read("here", 1, &bytes, &len, NULL), BH_OK);
    cr_expect_eq(len, 1);
    free(bytes);
    cr_assert_eq(unlink("here"), 0);
    cr_assert_eq(rmdir(dir), 0);
}

/* A disk that is full is told; the file that stood there stays. */
Test(file, nothing_fits)
{
    const struct rlimit none = {.rlim_cur = 4, .rlim_max = RLIM_INFINITY};
    const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    char dir[] = "/tmp/bh-file-XXXXXX", path[64];
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(bh_path_join(path, sizeof(path), dir, "f"), BH_OK);
    cr_assert_eq(bh_file_write(path, bh_span("old", 3), 0600, NULL), BH_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    const enum bh_err e = bh_file_write(path, bh_span("newer", 5), 0600, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    cr_expect_eq(e, BH_ERR_IO);
    cr_assert_eq(bh_file_read(path, 10, &bytes, &len, NULL), BH_OK);
    cr_expect_eq(len, 3);
    free(bytes);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(dir), 0, "something is left in it");
}
