/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this folder. */
#ifndef PAS_SANDBOX_INTERNAL_H
#define PAS_SANDBOX_INTERNAL_H

#include "sandbox/sandbox.h"

/**
 * Confine the calling thread, and those it starts from here on, by Landlock: no file except below
 * @p writable (may be NULL), no TCP bind or connect, no device ioctl, no signal or abstract socket
 * to processes outside. What the kernel does not know yet is left out; @p ret_abi says how far it
 * knows, 0 for not at all. BH_ERR_INTERNAL when a rule that the kernel should know fails.
 */
BH_MUST_USE enum bh_err pas_landlock(const char *writable, int *ret_abi, struct bh_diag *diag);

#endif
