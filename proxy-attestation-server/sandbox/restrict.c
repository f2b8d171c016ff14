/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, user, capabilities, Landlock: what must come before the threads. */
#include "sandbox/internal.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define CAPS_MAX 64 /* the kernel has 41 */

static enum bh_err
limit(int resource, rlim_t most, const char *name, struct bh_diag *diag)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "limit %s: %s", name, strerror(errno));
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most)
        most = now.rlim_max;
    now.rlim_cur = now.rlim_max = most;
    if (setrlimit((__rlimit_resource_t)resource, &now) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "limit %s: %s", name, strerror(errno));
    return BH_OK;
}

static enum bh_err
set_limits(enum pas_role role, struct bh_diag *diag)
{
    const bool small = role == PAS_VERIFIER || role == PAS_SIGNER;
    enum bh_err e;

    if ((e = limit(RLIMIT_CORE, 0, "core", diag)) != BH_OK)
        return e;
    /* No RLIMIT_FSIZE: it would cut the log off where standard error is a file. */
    if (role == PAS_FRONTEND) /* as many connections as the parent was given */
        return limit(RLIMIT_NOFILE, RLIM_INFINITY, "nofile", diag);
    if ((e = limit(RLIMIT_NOFILE, small ? 64 : 1024, "nofile", diag)) != BH_OK || !small)
        return e;
#ifndef BH_SANITIZED /* their shadow memory counts */
    if ((e = limit(RLIMIT_DATA, (rlim_t)512 << 20, "data", diag)) != BH_OK)
        return e;
#endif
    return limit(RLIMIT_NPROC, 0, "nproc", diag);
}

static enum bh_err
become(uid_t uid, gid_t gid, struct bh_diag *diag)
{
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "become user %u: %s", (unsigned)uid, strerror(errno));
    return BH_OK;
}

static enum bh_err
drop_user(enum pas_role role, const char *store_dir, struct bh_diag *diag)
{
    struct stat st;

    if (geteuid() != 0)
        return BH_OK;
    if (role != PAS_AUTHORITY)
        return become(NOBODY, NOBODY, diag);
    if (store_dir == NULL || stat(store_dir, &st) != 0)
        return bh_fail(diag, BH_ERR_IO, "the store's folder: %s", strerror(errno));
    return become(st.st_uid, st.st_gid, diag);
}

static enum bh_err
drop_capabilities(struct bh_diag *diag)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "capset: %s", strerror(errno));
    return BH_OK;
}

enum bh_err
pas_sandbox_restrict(
    enum pas_role role, const char *store_dir, int *ret_landlock_abi, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = set_limits(role, diag)) != BH_OK)
        return e;
    /* Only root may; for everybody else the set is of no use under no_new_privs. */
    for (unsigned long cap = 0; cap < CAPS_MAX; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if ((e = drop_user(role, store_dir, diag)) != BH_OK || (e = drop_capabilities(diag)) != BH_OK)
        return e;
    /* A change of user clears the first and may set the second. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_fail(diag, BH_ERR_INTERNAL, "prctl: %s", strerror(errno));
    return pas_landlock(role == PAS_AUTHORITY ? store_dir : NULL, ret_landlock_abi, diag);
}
