/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock by its system calls: the C library has no functions for it, and the kernel headers of
 * Debian 12 know ABI 2 only, so the numbers of later ABIs stand here
 * (Documentation/userspace-api/landlock).
 */
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on every architecture that has them. */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_REG (1ULL << 8)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define FS_ABI_1 ((1ULL << 13) - 1)
#define NET_TCP 3u   /* bind, connect */
#define SCOPE_ALL 3u /* abstract unix sockets, signals */

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

/* What the kernel of this ABI can forbid. The struct's tail is zero for older ones, which they
 * accept. */
static struct ruleset_attr
all_of(int abi)
{
    struct ruleset_attr attr = {.handled_access_fs = FS_ABI_1};

    if (abi >= 2)
        attr.handled_access_fs |= FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 4)
        attr.handled_access_net = NET_TCP;
    if (abi >= 5)
        attr.handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = SCOPE_ALL;
    return attr;
}

static enum bh_err
allow_below(int ruleset, const char *dir, uint64_t access, struct bh_diag *diag)
{
    struct path_beneath_attr rule = {.allowed_access = access};
    enum bh_err e = BH_OK;

    if ((rule.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", dir, strerror(errno));
    if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        e = bh_fail(diag, BH_ERR_INTERNAL, "landlock rule for %s: %s", dir, strerror(errno));
    (void)close(rule.parent_fd);
    return e;
}

enum bh_err
pas_landlock(const char *writable, int *ret_abi, struct bh_diag *diag)
{
    const long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    struct ruleset_attr attr;
    enum bh_err e = BH_OK;
    int ruleset;

    if (abi <= 0) {
        *ret_abi = 0;
        return BH_OK;
    }
    attr = all_of((int)abi);
    if ((ruleset = (int)syscall(NR_CREATE_RULESET, &attr, sizeof(attr), 0)) < 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "landlock ruleset: %s", strerror(errno));
    if (writable != NULL)
        e = allow_below(ruleset, writable,
            (FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_REMOVE_FILE | FS_MAKE_REG |
                FS_TRUNCATE) &
                attr.handled_access_fs,
            diag);
    if (e == BH_OK && syscall(NR_RESTRICT_SELF, ruleset, 0) != 0)
        e = bh_fail(diag, BH_ERR_INTERNAL, "landlock: %s", strerror(errno));
    (void)close(ruleset);
    if (e == BH_OK)
        *ret_abi = (int)abi;
    return e;
}
