/* SPDX-License-Identifier: Apache-2.0 */
#include "fakeserver.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define REQUEST_MAX (512 * 1024)

static void
demand(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    abort();
}

/* ---- one request ---- */

/* Header and body, NUL-terminated; false at the end of the connection. */
static bool
read_request(SSL *ssl, char *buf, char **ret_body)
{
    size_t len = 0, need = 0, n = 0;

    *ret_body = NULL;
    while (len < REQUEST_MAX - 1 && SSL_read_ex(ssl, buf + len, REQUEST_MAX - 1 - len, &n) == 1) {
        len += n;
        buf[len] = '\0';
        char *end = strstr(buf, "\r\n\r\n");
        if (end == NULL)
            continue;
        const char *length = strcasestr(buf, "content-length:");
        need = length == NULL || length > end ? 0 : strtoul(length + 15, NULL, 10);
        *ret_body = end + 4;
        if (len >= (size_t)(*ret_body - buf) + need)
            return true;
    }
    return false;
}

static void
answer(SSL *ssl, int status, const char *body)
{
    char head[256];
    size_t n = 0;

    const int len = snprintf(head, sizeof(head),
        "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status,
        status < 300 ? "application/json" : "application/problem+json", strlen(body));
    if (SSL_write_ex(ssl, head, (size_t)len, &n) == 1 && body[0] != '\0')
        (void)SSL_write_ex(ssl, body, strlen(body), &n);
}

static void
set_context(struct bh_fake_server *s, const json_t *request, struct bh_ear *ear)
{
    const char *text = json_string_value(json_object_get(request, "context"));

    if (text != NULL)
        demand(bh_unbase64url(bh_span_str(text), ear->context, sizeof(ear->context),
                   &ear->context_len) == BH_OK,
            "context");
    if (s->other_context) {
        ear->context_len = 4;
        memcpy(ear->context, "else", 4);
    }
}

static void
issue(struct bh_fake_server *s, SSL *ssl, const char *body)
{
    struct bh_csr csr = {0};
    struct bh_test_leaf leaf;
    EVP_PKEY *key = NULL;
    json_t *request = NULL;

    demand(bh_json_parse(bh_span_str(body), REQUEST_MAX, &request, NULL) == BH_OK, "request");
    const char *pem = json_string_value(json_object_get(request, "csr"));
    const char *workload = json_string_value(json_object_get(request, "workload"));
    demand(json_object_get(request, "challenge") != NULL &&
               json_is_array(json_object_get(request, "evidence")),
        "challenge and evidence");
    demand(pem != NULL && bh_csr_read(bh_span_str(pem), &csr, NULL) == BH_OK &&
               bh_spki_decode(bh_span(csr.spki, csr.spki_len), &key, NULL) == BH_OK,
        "CSR");
    const int64_t life = atomic_load(&s->life) != 0 ? atomic_load(&s->life) : 3600;
    bh_test_leaf_init(s->ca, &leaf, s->other_workload != NULL ? s->other_workload : workload,
        s->other_key ? s->key : key, bh_time_now(), life);
    set_context(s, request, &leaf.ear);
    X509 *cert = bh_test_leaf_issue(s->ca, &leaf);
    char *chain = bh_test_chain_pem(s->ca, cert);
    json_t *reply = json_pack("{s:s}", "certificate", chain);
    char *text = bh_json_text(reply, false);
    atomic_fetch_add(&s->issued, 1);
    answer(ssl, 201, text);
    free(text);
    free(chain);
    json_decref(reply);
    json_decref(request);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void
handle(struct bh_fake_server *s, SSL *ssl, const char *head, const char *body)
{
    const char *reply = atomic_load(&s->reply);

    atomic_fetch_add(&s->requests, 1);
    const bool replies =
        reply != NULL && (s->reply_to == NULL || strstr(head, s->reply_to) != NULL);

    if (replies && s->reply_times > 0 && --s->reply_times == 0)
        atomic_store(&s->reply, NULL);
    if (replies)
        answer(ssl, (int)strtol(reply, NULL, 10), strlen(reply) > 4 ? reply + 4 : "");
    else if (strncmp(head, "POST /v1/challenges ", 20) == 0)
        answer(ssl, 201, "{\"challenge\":\"AAECAwQFBgc\",\"expires_at\":\"2030-01-01T00:00:00Z\"}");
    else if (strncmp(head, "POST /v1/certificates ", 22) == 0)
        issue(s, ssl, body);
    else
        answer(ssl, 404, "{}");
}

/* ---- connections ---- */

static SSL_CTX *
make_ctx(struct bh_fake_server *s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    demand(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
               SSL_CTX_use_certificate(ctx, s->cert) == 1 &&
               SSL_CTX_use_PrivateKey(ctx, s->key) == 1 &&
               SSL_CTX_add1_chain_cert(ctx, s->ca->issuing) == 1,
        "TLS context");
    return ctx;
}

static void
serve(struct bh_fake_server *s, SSL_CTX *ctx, int fd)
{
    const struct timeval limit = {.tv_sec = 5};
    char *buf = malloc(REQUEST_MAX), *body = NULL;
    SSL *ssl = SSL_new(ctx);

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    demand(buf != NULL && ssl != NULL && SSL_set_fd(ssl, fd) == 1, "connection");
    if (SSL_accept(ssl) == 1)
        while (!atomic_load(&s->stopping) && read_request(ssl, buf, &body))
            handle(s, ssl, buf, body);
    SSL_free(ssl);
    free(buf);
    (void)close(fd);
}

static void *
run(void *arg)
{
    struct bh_fake_server *s = arg;
    SSL_CTX *ctx = make_ctx(s);

    while (!atomic_load(&s->stopping)) {
        struct pollfd p = {.fd = s->listen_fd, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0)
            continue;
        const int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(s, ctx, fd);
    }
    SSL_CTX_free(ctx);
    return NULL;
}

void
bh_fake_server_listen(struct bh_fake_server *s, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    socklen_t len = sizeof(in);
    const int on = 1;
    struct bh_test_leaf leaf;

    s->key = bh_test_key("P-256");
    if (s->workload != NULL) {
        bh_test_leaf_init(s->ca, &leaf, s->workload, s->key, bh_time_now(), 3600);
        s->cert = bh_test_leaf_issue(s->ca, &leaf);
    } else {
        s->cert = bh_test_server_cert(
            s->ca, s->key, s->spiffe_path != NULL ? s->spiffe_path : "beachhead/server");
    }
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    demand(bind(s->listen_fd, (struct sockaddr *)&in, sizeof(in)) == 0 &&
               listen(s->listen_fd, 64) == 0 &&
               getsockname(s->listen_fd, (struct sockaddr *)&in, &len) == 0,
        "listen");
    (void)snprintf(s->url, sizeof(s->url), "https://127.0.0.1:%u", ntohs(in.sin_port));
    s->listening = true;
}

void
bh_fake_server_start(struct bh_fake_server *s, uint16_t port)
{
    if (!s->listening)
        bh_fake_server_listen(s, port);
    atomic_store(&s->stopping, false);
    demand(pthread_create(&s->thread, NULL, run, s) == 0, "thread");
}

void
bh_fake_server_stop(struct bh_fake_server *s)
{
    atomic_store(&s->stopping, true);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listen_fd);
    s->listening = false;
    EVP_PKEY_free(s->key);
    X509_free(s->cert);
}
