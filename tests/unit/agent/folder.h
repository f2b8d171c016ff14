/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary folders of the agent's tests. */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Make a folder; @p out holds 256 bytes. */
static inline void
folder_make(char out[256])
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(out, 256, "%s/bh-agent-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(out));
}

static inline int
folder_drop_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/** Remove it with all that is in it. */
static inline void
folder_drop(const char *path)
{
    cr_assert_eq(nftw(path, folder_drop_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
