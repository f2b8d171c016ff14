/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of client connections and of their addresses: what keeps idle, slow and greedy clients
 * from starving the others.
 *
 * Every connection is in one of the states below since a moment; the reaper ends those that are
 * overdue. At the limit the connection that has waited longest without a request under way makes
 * room for a newcomer. An address (a /64 for IPv6) has a number of connections and a token bucket.
 *
 * Threads: all functions may be called from any. A connection's socket is shut down only under the
 * table's lock and while it is in the table, so never after it was closed.
 */
#ifndef PAS_FRONTEND_CONNECTIONS_H
#define PAS_FRONTEND_CONNECTIONS_H

#include "config.h"
#include "metrics.h"

#include <sys/socket.h>

enum pas_fe_state {
    PAS_FE_HANDSHAKE, /* from accept() to the end of the TLS handshake: request_timeout */
    PAS_FE_IDLE,      /* no byte of a request there: idle_timeout */
    PAS_FE_READING,   /* from the first byte of a request to its last: request_timeout */
    PAS_FE_WAITING,   /* somebody of ours works on it */
    PAS_FE_WRITING,   /* from the answer's first byte to its last: request_timeout */
    PAS_FE_CLOSING,   /* shut down by the reaper */
    PAS_FE_ARRIVING,  /* accepted, on its way to its HTTP thread */
};

struct pas_fe_address; /* private */

struct pas_fe_connection {
    atomic_ullong mark; /* milliseconds << 3 | state */
    int fd;             /* the HTTP library's; -1 while the slot is free */
    char peer[48];      /* the address as text */
    void *owner;        /* the struct pas_fe */
    void *handle;       /* the HTTP library's; with the next two: handshake.c */
    bool parked, watched;
    bool own; /* the main thread serves it */
    struct pas_fe_address *address;
    struct pas_fe_connections *table;
    struct pas_fe_connection *next_free;
};

struct pas_fe_connections;

/** A table for config->connections and some that are on their way out. @p metrics must outlive it.
 */
BH_MUST_USE enum bh_err pas_fe_connections_new(const struct pas_config *config,
    struct pas_fe_metrics *metrics, struct pas_fe_connections **ret_table, struct bh_diag *diag);
void pas_fe_connections_free(struct pas_fe_connections *table);
/** How many descriptors a full table needs. */
size_t pas_fe_connections_max(const struct pas_fe_connections *table);
size_t pas_fe_connections_len(struct pas_fe_connections *table);

/** Whether there is a place for one more; otherwise it should wait in the kernel's queue for a
 * moment. */
bool pas_fe_connections_room(struct pas_fe_connections *table);
/** Whether one more connection of @p address is taken; beyond the limit an older one makes room. */
bool pas_fe_connections_admit(struct pas_fe_connections *table, const struct sockaddr *address);
/** Enter a connection that was accepted, in PAS_FE_ARRIVING; false when there is no room. */
BH_MUST_USE bool pas_fe_connections_open(
    struct pas_fe_connections *table, int fd, const struct sockaddr *address);
/** The connection that was entered under @p fd and is still open; NULL when there is none. */
struct pas_fe_connection *pas_fe_connections_find(struct pas_fe_connections *table, int fd);
/** To be called before the descriptor is closed. */
void pas_fe_connections_close(struct pas_fe_connection *connection);

/** Call @p visit for every connection that was handed to its HTTP thread. */
void pas_fe_connections_each(
    struct pas_fe_connections *table, void (*visit)(struct pas_fe_connection *connection));

/** The connection is in @p state from now on. */
void pas_fe_connection_mark(struct pas_fe_connection *connection, enum pas_fe_state state);
enum pas_fe_state pas_fe_connection_state(const struct pas_fe_connection *connection);

/** Take a token of the connection's address; otherwise false and when to come again, in seconds. */
BH_MUST_USE bool pas_fe_connection_token(
    struct pas_fe_connection *connection, unsigned *ret_retry_after);

/** Memory for bodies runs short: end the request that has been arriving for longest, if for more
 * than a second. */
void pas_fe_connections_press(struct pas_fe_connections *table);

/** End what is overdue; with @p drain also what is idle. To be called a few times per second. */
void pas_fe_connections_reap(struct pas_fe_connections *table, bool drain);

/** Milliseconds of the monotonic clock, to about 4 ms. */
uint64_t pas_fe_now_ms(void);

#endif
