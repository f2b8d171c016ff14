/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of each role. A call that no list names kills the process. The lists hold
 * calls of every architecture; those that one does not have are left out there.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* What every process does: its channels, its memory, its clock, its end. */
static const int common_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(pread64),
    SCMP_SYS(fstat),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(membarrier),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrusage),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Accepted connections: no call that makes a socket or gives one an address. */
static const int frontend_calls[] = {
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(eventfd2),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
};

/* SQLite. Which files is Landlock's part. */
static const int authority_calls[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(pwrite64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchown),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fadvise64),
    SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
};

/* Libraries try these and do without: EPERM. */
static const int refused_calls[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),

    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(ioctl),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(mlock),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fchown),
    SCMP_SYS(setsockopt),
};

#ifdef BH_SANITIZED
/* What the sanitizers' runtimes do beside that, in every role. */
static const int sanitizer_calls[] = {
    SCMP_SYS(pipe2),
    SCMP_SYS(mincore),
    SCMP_SYS(getcpu),
    SCMP_SYS(sched_getattr),
    SCMP_SYS(timer_create),
    SCMP_SYS(setitimer),
    SCMP_SYS(dup),
};
#endif

/* ---- calls whose arguments matter ---- */

#define WHOLE UINT64_MAX

struct filtered { /* allowed when (argument & mask) == value */
    int nr;
    unsigned arg;
    uint64_t mask;
    uint64_t value;
};

static const struct filtered common_filtered[] = {
    /* Never memory that can be executed. */
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    /* fstat() of newer C libraries. */
    {SCMP_SYS(newfstatat), 3, WHOLE, AT_EMPTY_PATH},
    {SCMP_SYS(fcntl), 1, WHOLE, F_GETFD},
    {SCMP_SYS(fcntl), 1, WHOLE, F_SETFD},
    {SCMP_SYS(fcntl), 1, WHOLE, F_GETFL},
    {SCMP_SYS(fcntl), 1, WHOLE, F_SETFL},
    {SCMP_SYS(fcntl), 1, WHOLE, F_DUPFD_CLOEXEC},
    {SCMP_SYS(fcntl), 1, WHOLE, F_GET_SEALS},
    {SCMP_SYS(prctl), 0, WHOLE, PR_SET_NAME},
};

static const struct filtered frontend_filtered[] = {
    {SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
};

static const struct filtered authority_filtered[] = {
    {SCMP_SYS(fcntl), 1, WHOLE, F_GETLK},
    {SCMP_SYS(fcntl), 1, WHOLE, F_SETLK},
    {SCMP_SYS(fcntl), 1, WHOLE, F_SETLKW},
    {SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
};

/* ---- loading ---- */

static bool
is_in(const int *calls, size_t len, int nr)
{
    for (size_t i = 0; i < len; i++)
        if (calls[i] == nr)
            return true;
    return false;
}

/* Negative numbers are calls that this architecture does not have. */
static int
add_list(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t len, const int *but,
    size_t but_len)
{
    int rc = 0;

    for (size_t i = 0; i < len && rc == 0; i++)
        if (calls[i] >= 0 && !is_in(but, but_len, calls[i]))
            rc = seccomp_rule_add_exact(ctx, action, calls[i], 0);
    return rc;
}

static int
add_filtered(
    scmp_filter_ctx ctx, const struct filtered *f, size_t len, const int *own, size_t own_len)
{
    int rc = 0;

    for (size_t i = 0; i < len && rc == 0; i++) {
        struct scmp_arg_cmp when = {f[i].arg, SCMP_CMP_EQ, f[i].value, 0};

        if (f[i].mask != WHOLE)
            when = (struct scmp_arg_cmp){f[i].arg, SCMP_CMP_MASKED_EQ, f[i].mask, f[i].value};
        if (f[i].nr >= 0 && !is_in(own, own_len, f[i].nr))
            rc = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, f[i].nr, 1, &when);
    }
    return rc;
}

/* EPERM for what the role's own list does not allow. */
static int
add_refused(scmp_filter_ctx ctx, const int *own, size_t own_len)
{
    static const struct filtered besides[] = {
        {SCMP_SYS(newfstatat), 3, WHOLE, AT_EMPTY_PATH},
        {SCMP_SYS(prctl), 0, WHOLE, PR_SET_NAME},
    };
    int rc =
        add_list(ctx, SCMP_ACT_ERRNO(EPERM), refused_calls, BH_COUNT(refused_calls), own, own_len);

    for (size_t i = 0; i < BH_COUNT(besides) && rc == 0; i++) {
        const struct scmp_arg_cmp when = {besides[i].arg, SCMP_CMP_NE, besides[i].value, 0};

        if (besides[i].nr >= 0 && !is_in(own, own_len, besides[i].nr))
            rc = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ERRNO(EPERM), besides[i].nr, 1, &when);
    }
    return rc;
}

static int
add_role(scmp_filter_ctx ctx, enum pas_role role)
{
    const struct filtered *filtered = NULL;
    const int *own = NULL;
    size_t own_len = 0, filtered_len = 0;
    int rc;

    if (role == PAS_FRONTEND) {
        own = frontend_calls;
        own_len = BH_COUNT(frontend_calls);
        filtered = frontend_filtered;
        filtered_len = BH_COUNT(frontend_filtered);
    } else if (role == PAS_AUTHORITY) {
        own = authority_calls;
        own_len = BH_COUNT(authority_calls);
        filtered = authority_filtered;
        filtered_len = BH_COUNT(authority_filtered);
    }
    if ((rc = add_list(ctx, SCMP_ACT_ALLOW, common_calls, BH_COUNT(common_calls), NULL, 0)) != 0 ||
        (rc = add_list(ctx, SCMP_ACT_ALLOW, own, own_len, NULL, 0)) != 0 ||
        (rc = add_filtered(ctx, common_filtered, BH_COUNT(common_filtered), own, own_len)) != 0 ||
        (rc = add_filtered(ctx, filtered, filtered_len, own, own_len)) != 0 ||
        (rc = add_refused(ctx, own, own_len)) != 0)
        return rc;
    /* The C library falls back to clone, whose flags can be seen. */
    if ((rc = seccomp_rule_add_exact(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0)) != 0)
        return rc;
    /* abort() of this process, nobody else's. */
    return seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
        &(struct scmp_arg_cmp){0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0});
}

enum bh_err
pas_sandbox_seccomp(enum pas_role role, struct bh_diag *diag)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc;

    if (ctx == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "seccomp filter");
    if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) == 0 &&
        (rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)) == 0 &&
        /* A tree of comparisons in place of a list. */
        (rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) == 0 &&
        (rc = add_role(ctx, role)) == 0) {
#ifdef BH_SANITIZED
        rc = add_list(ctx, SCMP_ACT_ALLOW, sanitizer_calls, BH_COUNT(sanitizer_calls), NULL, 0);
#endif
    }
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    if (rc == 0)
        return BH_OK;
    bh_fail(diag, BH_ERR_INTERNAL, "seccomp: %s", strerror(-rc));
    bh_hint(diag, "the kernel must support seccomp filters (CONFIG_SECCOMP_FILTER)");
    return BH_ERR_INTERNAL;
}
