/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the four child processes share: their start by the parent, their links, their end. README.md
 * beside this file says in which order the control messages come.
 */
#ifndef PAS_CHILD_H
#define PAS_CHILD_H

#include "config.h"
#include "messages.h"

#define PAS_CONTROL_FD 3
#define PAS_LINK_ID(role, index) (((uint64_t)(role) << 16) | (uint64_t)(index))
#define PAS_LINK_ROLE(id) ((enum pas_role)((id) >> 16))
#define PAS_LINK_INDEX(id) ((unsigned)((id)&0xffff))

struct pas_child {
    enum pas_role role;
    unsigned index;
    struct bh_ipc *control;
    char dir[4096]; /* the server's folder, absolute */
    struct pas_config config;
    int64_t cut_off[PAS_ROLES]; /* pas_child_lost(): monotonic milliseconds, or 0 */
};

/** "parent", "frontend", "verifier", "authority", "signer". */
const char *pas_role_name(enum pas_role role);

/**
 * Wrap descriptor 3, set the process's log name, PR_SET_PDEATHSIG and PR_SET_DUMPABLE 0, wait for
 * START. The control channel is blocking until pas_child_ready() and non-blocking afterwards.
 * START's payload: struct pas_start.
 */
BH_MUST_USE enum bh_err pas_child_start(
    enum pas_role role, struct pas_child *child, struct bh_diag *diag);
/** The next control message while starting (blocking); the parent's end is BH_ERR_IO. Types that
 * the parent may not send are BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err pas_child_next(struct pas_child *child, struct bh_ipc_msg *ret_msg);
/** READY: confined and at work. Makes the control channel non-blocking. */
BH_MUST_USE enum bh_err pas_child_ready(struct pas_child *child, uint64_t generation);
/** REFUSED: the snapshot is not usable. */
BH_MUST_USE enum bh_err pas_child_refused(
    struct pas_child *child, uint64_t generation, const struct bh_diag *diag);
/** CUT: the channel @p link_id was closed for what the peer did; the parent replaces the peer. */
void pas_child_cut(struct pas_child *child, uint64_t link_id);
/** FAILED: says why to the parent and the log; returns the process's exit code, 1. */
int pas_child_failed(struct pas_child *child, const struct bh_diag *diag);

/**
 * The channel to a peer ended. Unless the parent says within 2 s that the peer is gone (UNLINK) or
 * gives a new channel (LINK), it is the peer that has cut this process off, and it must end to be
 * replaced: pas_child_is_cut_off(), which also logs it. pas_child_told() notes the parent's word;
 * pas_child_patience() bounds a poll() timeout (-1: none) by what is due.
 */
void pas_child_lost(struct pas_child *child, enum pas_role peer);
void pas_child_told(struct pas_child *child, enum pas_role peer);
BH_MUST_USE bool pas_child_is_cut_off(const struct pas_child *child);
int pas_child_patience(const struct pas_child *child, int timeout_ms);

/** The roles' main functions: return the exit code. Each calls pas_child_start() itself. */
int pas_frontend_main(void);
int pas_verifier_main(void);
int pas_authority_main(void);
int pas_signer_main(void);

#endif
