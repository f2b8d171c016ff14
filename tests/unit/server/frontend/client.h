/* SPDX-License-Identifier: Apache-2.0 */
/* A client that says exactly what it is told to, and reads whole answers. */
#ifndef TEST_FRONTEND_CLIENT_H
#define TEST_FRONTEND_CLIENT_H

#include "core/span.h"

#include <openssl/ssl.h>

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    char spare[8192]; /* read beyond the last answer: pipelining */
    size_t spare_len;
};

struct reply {
    unsigned status;
    char head[4096];
    char body[128 * 1024];
    size_t body_len;
};

/** A TCP connection alone. */
int client_connect(int port);
/** TCP and a handshake with @p version at most; false when the handshake fails. */
bool client_try(struct client *c, int port, int version, SSL_SESSION *session);
/** As client_try() with TLS 1.3, which must succeed. */
void client_open(struct client *c, int port);
void client_close(struct client *c);
/** End the connection without a word. */
void client_vanish(struct client *c);

bool client_send(struct client *c, const char *bytes, size_t len);
/** A request line, Host, @p headers (each with CRLF) and for a body its Content-Length. */
void client_request(struct client *c, const char *line, const char *headers, const char *body);
/** One whole answer within 15 s; status 0 when the connection ended instead. @p head: HEAD was
 * asked. */
void client_read(struct client *c, struct reply *r, bool head);
/** client_request() and client_read(). */
void client_ask(
    struct client *c, const char *line, const char *headers, const char *body, struct reply *r);
/** True when the server closes within @p ms, whatever it says before. */
bool client_closed_within(struct client *c, int ms);
/** The value of a header in the last answer, or NULL; until the next call. */
const char *reply_header(const struct reply *r, const char *name);
/** The answer is a problem of this status, code and check, under the request id of its header. */
void assert_problem(const struct reply *r, unsigned status, const char *code, const char *check);

#endif
