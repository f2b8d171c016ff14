/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "core/json.h"
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 15

int
client_connect(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

bool
client_try(struct client *c, int port, int version, SSL_SESSION *session)
{
    memset(c, 0, sizeof(*c));
    c->fd = client_connect(port);
    c->ctx = SSL_CTX_new(TLS_client_method());
    cr_assert_not_null(c->ctx);
    (void)SSL_CTX_set_max_proto_version(c->ctx, version);
    c->ssl = SSL_new(c->ctx);
    cr_assert_not_null(c->ssl);
    if (session != NULL)
        (void)SSL_set_session(c->ssl, session);
    (void)SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1;
}

void
client_open(struct client *c, int port)
{
    (void)signal(SIGPIPE, SIG_IGN);
    cr_assert(client_try(c, port, TLS1_3_VERSION, NULL), "the handshake failed");
}

void
client_vanish(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
}

void
client_close(struct client *c)
{
    (void)SSL_shutdown(c->ssl);
    client_vanish(c);
}

bool
client_send(struct client *c, const char *bytes, size_t len)
{
    size_t n;

    return len == 0 || SSL_write_ex(c->ssl, bytes, len, &n) == 1;
}

void
client_request(struct client *c, const char *line, const char *headers, const char *body)
{
    char head[2048];
    char length[64] = "";

    if (body != NULL)
        (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
    (void)snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: fleet.example\r\n%s%s\r\n", line,
        headers, length);
    cr_assert(client_send(c, head, strlen(head)));
    if (body != NULL)
        (void)client_send(c, body, strlen(body)); /* refused ones may not be read to the end */
}

/* The buffer has the bytes that came so far; false at the end. */
static bool
more(struct client *c, char *buf, size_t *len, size_t cap)
{
    size_t n = 0;

    if (c->spare_len > 0) {
        n = c->spare_len < cap - *len ? c->spare_len : cap - *len;
        memcpy(buf + *len, c->spare, n);
        memmove(c->spare, c->spare + n, c->spare_len - n);
        c->spare_len -= n;
    } else if (SSL_read_ex(c->ssl, buf + *len, cap - *len, &n) != 1) {
        return false;
    }
    *len += n;
    return true;
}

static void
split(struct client *c, struct reply *r, char *buf, size_t len, size_t head_len)
{
    memcpy(r->head, buf, head_len);
    r->head[head_len] = '\0';
    r->status = (unsigned)strtoul(r->head + strlen("HTTP/1.1 "), NULL, 10);
    r->body_len = len - head_len;
    memcpy(r->body, buf + head_len, r->body_len);
    (void)c;
}

void
client_read(struct client *c, struct reply *r, bool head)
{
    static char buf[8192];
    size_t len = 0, want;
    const char *end, *length;

    memset(r, 0, sizeof(*r));
    do {
        if (len + 1 >= sizeof(r->head) || !more(c, buf, &len, sizeof(r->head) - 1))
            return;
        buf[len] = '\0';
    } while ((end = strstr(buf, "\r\n\r\n")) == NULL);
    split(c, r, buf, len, (size_t)(end - buf) + 4);
    length = reply_header(r, "Content-Length");
    want = head || length == NULL ? 0 : strtoul(length, NULL, 10);
    cr_assert_lt(want, sizeof(r->body));
    while (r->body_len < want)
        if (!more(c, r->body, &r->body_len, want))
            break;
    if (r->body_len > want) {
        cr_assert_lt(r->body_len - want, sizeof(c->spare) - c->spare_len);
        memmove(c->spare + (r->body_len - want), c->spare, c->spare_len);
        memcpy(c->spare, r->body + want, r->body_len - want);
        c->spare_len += r->body_len - want;
        r->body_len = want;
    }
    r->body[r->body_len] = '\0';
}

void
client_ask(
    struct client *c, const char *line, const char *headers, const char *body, struct reply *r)
{
    client_request(c, line, headers, body);
    client_read(c, r, strncmp(line, "HEAD", 4) == 0);
}

bool
client_closed_within(struct client *c, int ms)
{
    const uint64_t until = now_ms() + (uint64_t)ms;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    char buf[4096];

    while (now_ms() < until) {
        if (poll(&p, 1, (int)(until - now_ms())) <= 0)
            continue;
        if (recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
            return true;
    }
    return false;
}

const char *
reply_header(const struct reply *r, const char *name)
{
    static char value[512];
    const char *line = r->head;
    const size_t len = strlen(name);

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, len) != 0 || line[len] != ':')
            continue;
        line += len + 1;
        line += strspn(line, " ");
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return NULL;
}

void
assert_problem(const struct reply *r, unsigned status, const char *code, const char *check)
{
    char type[96], id[64];
    json_t *json = NULL;

    cr_assert_eq(
        r->status, status, "status %u where %u was due: %s%s", r->status, status, r->head, r->body);
    cr_assert_str_eq(reply_header(r, "Content-Type"), "application/problem+json");
    cr_assert_str_eq(reply_header(r, "Cache-Control"), "no-store");
    (void)snprintf(id, sizeof(id), "%s", reply_header(r, "X-Request-Id"));
    cr_assert_eq(strlen(id), 16);
    cr_assert_eq(bh_json_parse(bh_span(r->body, r->body_len), sizeof(r->body), &json, NULL), BH_OK);
    (void)snprintf(type, sizeof(type), "urn:beachhead:error:%s", code);
    cr_assert_str_eq(json_string_value(json_object_get(json, "type")), type);
    cr_assert_eq(json_integer_value(json_object_get(json, "status")), (json_int_t)status);
    cr_assert_str_eq(json_string_value(json_object_get(json, "check")), check);
    cr_assert_str_eq(json_string_value(json_object_get(json, "request_id")), id);
    json_decref(json);
}
