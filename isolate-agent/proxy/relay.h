/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relayed connections: an accepted socket on one side, a connection of ours on the other, TLS on
 * either, bytes passed both ways until both sides have ended.
 *
 * A connection goes: handshake with who connected (where that side is TLS), connect, handshake
 * with whom we connect to (where that side is TLS), pass. No byte is read from either side before
 * all of that is done. Each direction holds one buffer of AGENT_RELAY_BUFFER bytes at most, and
 * none while nothing is under way; a slow reader stops its writer. An end of data is passed on as
 * an end of data, a broken connection as a broken connection.
 */
#ifndef AGENT_RELAY_H
#define AGENT_RELAY_H

#include "address.h"
#include "loop.h"

#include <openssl/ssl.h>

#define AGENT_RELAY_BUFFER (16 * 1024)

/** How a connection ended. */
enum agent_relay_end {
    AGENT_RELAY_DONE,      /* both sides ended in order */
    AGENT_RELAY_HANDSHAKE, /* who connected did not complete its handshake */
    AGENT_RELAY_CONNECT,   /* the other side could not be reached */
    AGENT_RELAY_REFUSED,   /* the other side could not be verified: nothing was passed */
    AGENT_RELAY_BROKEN,    /* a side broke off */
    AGENT_RELAY_IDLE,      /* nothing moved for too long */
    AGENT_RELAY_STOPPED,   /* closed by us */
};

/** What is reported of a connection that has ended; borrowed for the call. */
struct agent_relay_report {
    enum agent_relay_end end;
    const char *peer;           /* who connected */
    const struct bh_diag *diag; /* why, unless DONE */
    uint64_t bytes_in;          /* from who connected */
    uint64_t bytes_out;         /* to who connected */
    int64_t ms;
};

/** Milliseconds that each step may take; @p idle counts since the last byte moved. */
struct agent_relay_limits {
    int64_t handshake_ms;
    int64_t connect_ms;
    int64_t idle_ms;
    int64_t half_closed_ms; /* in place of idle once one direction has ended */
};

struct agent_relay_config {
    /* Where to connect: tried in order. Read at each connection; owned by the caller. */
    const struct agent_target *target;
    SSL_CTX *inner; /* NULL: plain to who connects; else its server context, referenced */
    SSL_CTX *outer; /* NULL: plain to the target; else the client context, referenced */
    struct agent_relay_limits limits;
    void (*ended)(void *arg, const struct agent_relay_report *report); /* may be NULL */
    void *arg;
};

struct agent_relays; /* all connections of one endpoint */

/** The limits that the programs use. */
extern const struct agent_relay_limits agent_relay_default_limits;

BH_MUST_USE enum bh_err agent_relays_new(struct agent_loop *loop,
    const struct agent_relay_config *config, struct agent_relays **ret_relays,
    struct bh_diag *diag);
/** Ends what is left, AGENT_RELAY_STOPPED. Takes NULL. */
void agent_relays_free(struct agent_relays *relays);

/** Take over an accepted, non-blocking @p fd of @p peer; it is closed when that fails. */
BH_MUST_USE enum bh_err agent_relays_add(
    struct agent_relays *relays, int fd, const char *peer, struct bh_diag *diag);
/** New connections handshake with @p inner from now on; those under way go on. */
void agent_relays_swap(struct agent_relays *relays, SSL_CTX *inner);

size_t agent_relays_count(const struct agent_relays *relays);
/** End the connection that has not moved for longest, if that is @p at_least_ms: true when one was
 * ended. One still in its handshake counts four times as old. */
bool agent_relays_evict(struct agent_relays *relays, int64_t at_least_ms);
/** End every connection now. */
void agent_relays_stop(struct agent_relays *relays);

#endif
