/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent: starts the processes, links them, restarts what ends, reloads, drains. It parses
 * server.json and nothing else that comes from outside; bytes of other files it passes on.
 */
#ifndef PAS_SERVER_H
#define PAS_SERVER_H

#include "config.h"
#include "ipc/child.h"

#include <sys/types.h>

#define PAS_VERIFIERS_MAX 256

enum pas_proc_state {
    PAS_PROC_NONE,     /* not running; restart_at says when it will be */
    PAS_PROC_STARTING, /* CONFINE was sent, READY is awaited */
    PAS_PROC_READY,
    PAS_PROC_DRAINING,
};

struct pas_proc {
    enum pas_role role;
    unsigned index;
    enum pas_proc_state state;
    bool wanted;         /* is started again when it ends */
    uint64_t generation; /* of the snapshot it judges by */
    pid_t pid;           /* 0: none */
    struct bh_ipc *control;
    int64_t started; /* milliseconds of the monotonic clock */
    int64_t kill_at; /* 0, or when it must have ended: it closed its channel */
    int64_t restart_at;
    unsigned failures; /* ends in a row, none of which ran long */
};

enum pas_phase {
    PAS_PHASE_STARTING,
    PAS_PHASE_SERVING,
    PAS_PHASE_DRAINING, /* frontend first, signer last */
    PAS_PHASE_FAILED,   /* everything is being ended */
};

enum pas_reload {
    PAS_RELOAD_NONE,
    PAS_RELOAD_VERIFIERS, /* new verifiers read the new snapshot */
    PAS_RELOAD_AUTHORITY, /* they took it: the authority imports it */
    PAS_RELOAD_OLD_ONES,  /* traffic has moved; the old verifiers finish */
};

/*
 * Two banks of verifiers: one is in force, the other is empty, being prepared, or draining. Their
 * indexes differ, so that a link always names one process.
 */
struct pas_server {
    char dir[PAS_DIR_MAX];
    uint8_t *config_text;
    size_t config_len;
    struct pas_config config;
    int lock_fd;
    int listen_fd;
    int signal_fd;
    char url[96];
    uint8_t *tls_chain, *tls_key;
    size_t tls_chain_len, tls_key_len;

    enum pas_phase phase;
    int64_t phase_ends; /* when what still runs is killed */
    int exit_code;
    int snapshot_fd; /* in force */
    uint64_t generation;
    enum pas_reload reload;
    bool reload_again; /* another SIGHUP came meanwhile */
    int new_snapshot_fd;
    uint64_t new_generation;

    size_t bank;      /* which one is in force: 0 or 1 */
    size_t verifiers; /* in each bank */
    size_t procs_len;
    struct pas_proc procs[3 + 2 * PAS_VERIFIERS_MAX]; /* frontend, authority, signer, banks */
};

/* ---- procs.c: one process ---- */

int64_t pas_now_ms(void);
struct pas_proc *pas_proc_first(struct pas_server *s, enum pas_role role);
bool pas_proc_lives(const struct pas_proc *p);
/** The verifier belongs to the bank in force; true for every other role. */
bool pas_proc_in_force(const struct pas_server *s, const struct pas_proc *p);
/** Fork and re-execute, then START, links, descriptors, CONFINE. */
BH_MUST_USE enum bh_err pas_proc_start(
    struct pas_server *s, struct pas_proc *p, struct bh_diag *diag);
/** A new channel between two running processes. A peer that is just ending is no error. */
BH_MUST_USE enum bh_err pas_proc_link(struct pas_proc *a, struct pas_proc *b, struct bh_diag *diag);
/** Tell everybody who is linked to @p p that it goes. */
void pas_proc_unlink(struct pas_server *s, struct pas_proc *p);
/** Send a message without payload; a peer that cannot be told is about to be reaped. */
void pas_proc_tell(struct pas_proc *p, uint16_t type, uint64_t id, int fd);
void pas_proc_drain(struct pas_proc *p);
/** SIGKILL; whether it is started again is the caller's to say. */
void pas_proc_kill(struct pas_proc *p);

/* ---- supervise.c: all of them ---- */

/** Start every process at once; READY messages are awaited by the loop, which also ends what was
 * started before a failure. */
BH_MUST_USE enum bh_err pas_start_all(struct pas_server *s, struct bh_diag *diag);
/** Serve until the end; returns the exit code. */
int pas_supervise(struct pas_server *s);

/* ---- reload.c ---- */

/** SIGHUP. */
void pas_reload_begin(struct pas_server *s);
/** A process said READY, REFUSED or ended; moves the reload on. */
void pas_reload_ready(struct pas_server *s, struct pas_proc *p, uint64_t generation);
void pas_reload_refused(struct pas_server *s, struct pas_proc *p, const struct bh_diag *diag);
void pas_reload_ended(struct pas_server *s);

/* ---- snapshot.c, listen.c, notify.c ---- */

/** server.json as it was read at start, policy/, trust/, endorsed/, collateral/ in a sealed memfd.
 * Failures name the file. */
BH_MUST_USE enum bh_err pas_snapshot_make(
    const struct pas_server *s, int *ret_fd, struct bh_diag *diag);
/** Read tls/server.crt and tls/server.key. */
BH_MUST_USE enum bh_err pas_tls_read(struct pas_server *s, struct bh_diag *diag);
/** Send them to the frontend. */
BH_MUST_USE enum bh_err pas_tls_send(
    const struct pas_server *s, struct pas_proc *frontend, struct bh_diag *diag);

/** Bind config.listen and listen; fills listen_fd and url. */
BH_MUST_USE enum bh_err pas_listen(struct pas_server *s, struct bh_diag *diag);

/** One datagram to the service manager ("READY=1"); nothing when there is none. */
void pas_notify(const char *state);
/** Remember NOTIFY_SOCKET and hide it from the children. */
void pas_notify_init(void);

#endif
