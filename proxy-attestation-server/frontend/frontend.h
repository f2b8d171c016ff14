/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend: TLS and HTTP for everybody, and nothing else. It holds the listening socket and its
 * own TLS key, bounds what clients may use, and passes bodies on unread; it never parses evidence.
 *
 * HTTP runs on libmicrohttpd, a thread per core. One of them is the main thread, which also accepts
 * connections, owns the channels and receives on them: its own connections get their answers
 * without waking another thread, which costs more than all else that is done for a request. The
 * first few connections are its own; those beyond belong to the workers. A request that verifier or
 * authority must answer is sent to them by the thread that read it, and its connection suspended;
 * the main thread receives the answer and resumes the connection.
 *
 * What a client may use:
 * - Every request except /healthz takes a token of its address (rate_per_second, rate_burst): GETs
 * cost the authority about as much as a challenge. Refused: 429 with Retry-After, the connection
 * stays.
 * - connections and connections_per_address: see connections.h. Time: idle_timeout,
 * request_timeout.
 * - A body of BH_BODY_MAX, 64 MiB of bodies in all (the slowest make room), and headers of 16 KiB.
 * - What is not HTTP is refused by the library, in its own words and before there is a request id:
 * 400, 413, 414 or 431 and the end of the connection. Everything behind that is a problem+json of
 * ours.
 * - An answer from inside takes request_timeout at most, and never more than 10 s.
 */
#ifndef PAS_FRONTEND_FRONTEND_H
#define PAS_FRONTEND_FRONTEND_H

#include "connections.h"
#include "hub.h"
#include "metrics.h"
#include "route.h"
#include "tls.h"

#include "config.h"

#include <microhttpd.h>
#include <pthread.h>

#define PAS_FE_BODIES_MAX ((size_t)64 * 1024 * 1024)
#define PAS_FE_DISCARD_MAX ((size_t)1024 * 1024) /* of a body that is refused already */

struct pas_fe {
    struct pas_config config;
    struct pas_fe_metrics metrics;
    struct pas_fe_hub *hub;
    struct pas_fe_connections *connections;
    struct pas_fe_tls *tls;
    struct MHD_Daemon *own;     /* run by the main thread */
    size_t own_len;             /* connections of it: the main thread's to count */
    bool own_due;               /* something in it was resumed: likewise */
    struct MHD_Daemon *workers; /* has threads of its own; NULL where there is one processor */
    int listener;               /* -1 once it is closed */
    int handshakes;             /* epoll: sockets of handshakes that wait */
    pthread_mutex_t parking;
    bool no_parking;          /* the server stops */
    uint64_t accept_after_ms; /* descriptors or places had run out */
    atomic_bool draining;
    atomic_size_t bodies; /* bytes of request bodies held */
    size_t crowd;         /* most connections since memory was last given back */
};

struct pas_fe_request {
    struct pas_fe_call call; /* first: the hub hands it back */
    struct pas_fe *fe;
    struct MHD_Connection *connection;
    struct pas_fe_connection *client;
    const struct pas_fe_route *route;
    char method[12];
    char id[17];
    bool head;
    bool asked;  /* verifier or authority answered, or the hub refused */
    bool last;   /* the connection ends with it */
    bool unread; /* refused for its length alone: answered before its body is read */
    uint8_t serial[PAS_FE_SERIAL_LEN];
    uint8_t *body;
    size_t body_len, body_cap;
    size_t discarded;
    struct bh_diag diag; /* a refusal of the frontend's own */
    unsigned status;     /* of the refusal, when it is not the code's own; then of the answer */
    unsigned retry_after;
    const char *allow;
    int64_t began_us;
    size_t sent_len;
    char code[40], check[BH_CHECK_MAX]; /* of the problem, for the log */
};

/* ---- server.c ---- */

/** Start the HTTP threads. */
BH_MUST_USE enum bh_err pas_fe_server_start(struct pas_fe *fe, struct bh_diag *diag);
/** How long nothing is to be accepted yet. */
uint64_t pas_fe_server_wait_ms(const struct pas_fe *fe);
/** Accept what waits at the listening socket and hand it to the HTTP threads. */
void pas_fe_server_accept(struct pas_fe *fe);
/** The main thread's connections: how long it may sleep, the descriptor to wait for, and their
 * turn.
 * @p readable: the descriptor has something. */
int pas_fe_server_patience_ms(struct pas_fe *fe, int at_most);
int pas_fe_server_fd(const struct pas_fe *fe);
void pas_fe_server_turn(struct pas_fe *fe, bool readable);
/** End the HTTP threads. The hub must be abandoned first. */
void pas_fe_server_stop(struct pas_fe *fe);

/* ---- handshake.c ---- */

BH_MUST_USE enum bh_err pas_fe_handshake_start(struct pas_fe *fe, struct bh_diag *diag);
/** In the HTTP thread of @p client: its handshake found nothing to read. */
void pas_fe_handshake_wait(struct pas_fe *fe, struct pas_fe_connection *client);
/** In the main thread, when fe->handshakes is readable: go on with those that have something to
 * read. */
void pas_fe_handshake_resume(struct pas_fe *fe);
/** Let all go on, and no other wait: before pas_fe_server_stop(). */
void pas_fe_handshake_stop(struct pas_fe *fe);

/* ---- request.c ---- */

/** MHD_AccessHandlerCallback; @p cls is the struct pas_fe. */
enum MHD_Result pas_fe_handle(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
    void **request);
/** MHD_RequestCompletedCallback: the one log line, the metrics, the end. */
void pas_fe_completed(void *cls, struct MHD_Connection *connection, void **request,
    enum MHD_RequestTerminationCode code);
/** The hub's done(): back to the HTTP thread. */
void pas_fe_resume(struct pas_fe_call *call);

/* ---- framing.c ---- */

/** The headers leave no doubt where the request ends: BH_ERR_MALFORMED, check "request.framing". */
BH_MUST_USE enum bh_err pas_fe_framing_check(
    struct MHD_Connection *connection, const char *version, struct bh_diag *diag);

/* ---- reply.c ---- */

/** Queue an answer; @p body is malloc'ed and belongs to the reply from here on, also on failure. */
BH_MUST_USE enum MHD_Result pas_fe_reply(
    struct pas_fe_request *r, unsigned status, const char *content_type, void *body, size_t len);
/** Queue the problem of @p diag (RFC 9457); @p status 0: the code's own. */
BH_MUST_USE enum MHD_Result pas_fe_reply_problem(
    struct pas_fe_request *r, const struct bh_diag *diag, unsigned status);
/** Queue what verifier or authority answered, or why they did not. */
BH_MUST_USE enum MHD_Result pas_fe_reply_answer(struct pas_fe_request *r);

#endif
