/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement of the server's processes: resource limits, user, Landlock, seccomp. Nothing that
 * happens later can widen it.
 */
#ifndef PAS_SANDBOX_H
#define PAS_SANDBOX_H

#include "ipc/messages.h"

/**
 * First half, before threads are started: rlimits (no core, no new processes where the role needs
 * none, descriptors), no_new_privs, capabilities and user dropped (a role that owns no file becomes
 * `nobody` when the server was started by root), and Landlock, where the kernel has it: the
 * authority keeps @p store_dir (may be NULL for other roles), everybody else no file at all. @p
 * ret_landlock_abi: 0 when the kernel has none, for the log.
 */
BH_MUST_USE enum bh_err pas_sandbox_restrict(
    enum pas_role role, const char *store_dir, int *ret_landlock_abi, struct bh_diag *diag);

/**
 * Second half, after the role's threads were started: the seccomp allow-list of the role, on all
 * threads. A system call off the list kills the process, except for those that libraries try and do
 * without (EPERM; the table says which). Mandatory: fails where the kernel cannot do it.
 */
BH_MUST_USE enum bh_err pas_sandbox_seccomp(enum pas_role role, struct bh_diag *diag);

#endif
