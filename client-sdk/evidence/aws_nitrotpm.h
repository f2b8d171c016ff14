/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC2 instance attestation: a NitroTPM's document (aws_nitro.h) before a policy.
 *
 * Its 24 PCRs are those of a PC's TPM. PCR 0 to 3 are AWS's firmware (0 and 1 are constants). Code
 * is identified by what the boot chain measured: 4 (each EFI binary that was started: a unified
 * kernel image is the whole system), 8 and 9 (GRUB: commands, and the files it read), 11
 * (by systemd: the parts of a unified kernel image). An entry pins at least one of these. PCR 7
 * is the policy of Secure Boot: it names who may sign, any of whose programs would match; PCR 12 is
 * the command line that came beside the image. Both belong beside the code and are no code. PCR 16
 * and 23 can be reset by any program: an entry that names them is refused.
 *
 * Members of an entry: "pcrs" (index: list of hex), "unextended" (indices of 0 to 15 that must
 * still be zero, as 12 is when no command line was passed: zero is no measurement and cannot stand
 * in "pcrs"), "instance_id" (owner: list of EC2 instance ids, which the module id begins with and
 * the leaf certificate repeats). There is no debug mode, and no "debug".
 */
#ifndef EV_AWS_NITROTPM_H
#define EV_AWS_NITROTPM_H

#include "aws_nitro.h"

/** "i-" and 8 to 17 hex digits. */
#define EV_NITROTPM_INSTANCE_MAX 20

/** The instance id of a module id "i-0123456789abcdef0-tpm0000000000000000"; empty when it has
 * another form. */
struct bh_span ev_nitrotpm_instance(struct bh_span module_id);

/** Functions of struct ev_platform. */
enum bh_err ev_nitrotpm_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_nitrotpm_entry_free(void *refs);
enum bh_err ev_nitrotpm_appraise(const void *state, const struct ev_authenticity *auth,
    const void *refs, bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict,
    size_t *ret_depth);

#endif
