/* SPDX-License-Identifier: Apache-2.0 */
/* Crowds of clients that behave badly, in processes of their own. */
#ifndef BH_CHAOS_CROWD_H
#define BH_CHAOS_CROWD_H

#include "chaos.h"

#define CROWD_PROCESSES_MAX 16

enum crowd_kind {
    CROWD_IDLE,   /* a completed handshake, and nothing more */
    CROWD_MUTE,   /* a connection and half a ClientHello */
    CROWD_SLOW,   /* a byte of a request's head every second */
    CROWD_GREEDY, /* most of a large body at once, then a byte every second; again when closed */
    CROWD_RESET,  /* connect, send a little, reset; over and over */
    CROWD_HALF,   /* half a body, then nothing: to be killed in the middle */
    CROWD_LARGE,  /* bodies of the largest size, over and over */
};

/* Shared with the clients. */
struct crowd_counts {
    atomic_uint opened, failed, closed, answered;
    atomic_uint slowest_ms; /* from a connection's first byte to its close by the server */
    atomic_uint bad_status; /* an answer that is neither 4xx nor 503 */
};

struct crowd {
    enum crowd_kind kind;
    size_t len;
    pid_t pids[CROWD_PROCESSES_MAX];
    struct crowd_counts *counts;
};

/** @p total clients in @p processes; returns at once. */
BH_MUST_USE bool crowd_start(struct chaos *c, const struct chaos_site *site, enum crowd_kind kind,
    unsigned total, unsigned processes, struct crowd *ret_crowd);
/** SIGKILL, whatever they do. */
void crowd_end(struct crowd *crowd);

/* crowd_clients.c: the life of one process. */
_Noreturn void crowd_live(enum crowd_kind kind, const char *url, unsigned clients, unsigned index,
    struct crowd_counts *counts);

#endif
