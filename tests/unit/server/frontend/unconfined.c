/* SPDX-License-Identifier: Apache-2.0 */
/* No sandbox, and a look for leaks at the child's end. */
#include "sandbox/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
int __lsan_do_recoverable_leak_check(void);
#endif

enum bh_err
pas_sandbox_restrict(
    enum pas_role role, const char *store_dir, int *ret_landlock_abi, struct bh_diag *diag)
{
    (void)role;
    (void)store_dir;
    (void)diag;
    *ret_landlock_abi = 0;
    return BH_OK;
}

enum bh_err
pas_sandbox_seccomp(enum pas_role role, struct bh_diag *diag)
{
    (void)role;
    (void)diag;
    return BH_OK;
}

int child_end(int code); /* harness.h, which needs Criterion */

int
child_end(int code)
{
#if defined(__SANITIZE_ADDRESS__)
    if (__lsan_do_recoverable_leak_check() != 0)
        return 99;
#endif
    return code;
}
