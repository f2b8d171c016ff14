/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of another process: status, descriptors, memory. */
#ifndef BH_TEST_PROC_H
#define BH_TEST_PROC_H

#include "core/span.h"

#include <sys/types.h>

/** The value of a line of /proc/PID/status ("Seccomp") in @p out; false when there is none. */
bool bh_proc_status(pid_t pid, const char *name, char *out, size_t size);
/** The process is there and not a zombie. */
bool bh_proc_lives(pid_t pid);

/** Told of every open descriptor and what it leads to. Return false to stop. */
typedef bool (*bh_proc_fd_fn)(void *arg, int fd, const char *target);
/** False when the list cannot be read, or was stopped. */
bool bh_proc_fds(pid_t pid, bh_proc_fd_fn each, void *arg);

enum bh_proc_memory {
    BH_PROC_ABSENT,
    BH_PROC_FOUND,
    BH_PROC_UNREADABLE, /* the kernel does not let us look: run as root */
};
/**
 * Whether @p needle stands anywhere in the readable memory of the process. Mappings of more than a
 * gibibyte (the shadows of sanitizers) are left out.
 */
enum bh_proc_memory bh_proc_memory_has(pid_t pid, struct bh_span needle);

#endif
