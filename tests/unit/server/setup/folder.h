/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary folder, the commands run as a user runs them, and what they printed. */
#ifndef BH_TEST_FOLDER_H
#define BH_TEST_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_OUT_MAX 65536

struct folder {
    char base[256];           /* made and removed by the test */
    char dir[300];            /* base/server */
    char out[FOLDER_OUT_MAX]; /* standard output and error of the last command, one after the other
                               */
};

void folder_init(struct folder *f);
void folder_clear(struct folder *f);

/** Run a command in this process, so that what it leaks is found; the exit code. Arguments up to
 * NULL. */
int folder_run(struct folder *f, int (*command)(int argc, char **argv), ...);

/** base/NAME or dir/NAME; static storage for the last few. */
const char *folder_path(const struct folder *f, const char *name);
const char *server_path(const struct folder *f, const char *name);
/** Permission bits; -1 when there is no such file. */
int folder_mode(const char *path);
void folder_write(const char *path, const char *text);
/** malloc'ed */
char *folder_read(const char *path);

#endif
