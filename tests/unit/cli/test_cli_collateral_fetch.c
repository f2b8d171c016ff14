/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `beachhead collateral fetch` from a service on the loopback that answers in the vendors' formats,
 * throttles, stalls, and lies.
 */
#include "run.h"

#include "core/limits.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD "tdx/v4-20a06f000000/"
#define NEW "tdx/v4-00806f050000-gce-ccel/"
#define AT_OLD "2025-09-10T00:00:00Z"
#define AT_NEW "2025-10-20T00:00:00Z"
#define CRL "https://kdsintf.amd.com/vcek/v1/Milan/crl"
#define ANSWER_MAX (256 * 1024)

enum way {
    RIGHT,
    THROTTLES, /* 429 twice */
    BUSY,      /* 429 always */
    STALLS,
    LIES, /* one bit */
    TOO_MUCH,
    REDIRECTS,
    KNOWS_NOTHING,
};

static struct service {
    int fd;
    pthread_t thread;
    _Atomic enum way way;
    _Atomic unsigned asked;
    char url[64];
} service;

static struct ran r;

/* ---- the service ---- */

static const struct {
    const char *path, *file, *header, *chain;
} routes[] = {
    {"/vcek/v1/Milan/crl", "snp/ca/milan_crl.der", NULL, NULL},
    {"/vlek/v1/Milan/crl", "snp/ca/milan_crl.der", NULL, NULL},
    {"/tdx/certification/v4/tcb?fmspc=20a06f000000", NEW "tcb_info.json", "TCB-Info-Issuer-Chain",
        NEW "tcb_signing_chain.pem"},
    {"/tdx/certification/v4/qe/identity", NEW "qe_identity.json",
        "SGX-Enclave-Identity-Issuer-Chain", NEW "tcb_signing_chain.pem"},
    {"/sgx/certification/v4/pckcrl?ca=platform&encoding=der", NEW "pck_crl.der",
        "SGX-PCK-CRL-Issuer-Chain", OLD "pck_crl_chain.pem"},
};

static void
say(int fd, const void *bytes, size_t len)
{
    (void)send(fd, bytes, len, MSG_NOSIGNAL);
}

static size_t
put_chain(char *out, size_t size, const char *header, const char *file)
{
    size_t len = 0, at = (size_t)snprintf(out, size, "%s: ", header);
    uint8_t *pem = bh_vector(file, &len);

    for (size_t i = 0; i < len; i++)
        at += (size_t)snprintf(
            out + at, size - at, strchr(" \n+/=", pem[i]) != NULL ? "%%%02X" : "%c", pem[i]);
    free(pem);
    return at + (size_t)snprintf(out + at, size - at, "\r\n");
}

static void
answer_file(int fd, size_t route, bool lie)
{
    char *head = malloc(ANSWER_MAX);
    size_t len = 0, at;
    uint8_t *body = bh_vector(routes[route].file, &len);

    if (lie)
        body[len - 20] ^= 1;
    at = (size_t)snprintf(head, ANSWER_MAX,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n"
        "Content-Length: %zu\r\n",
        len);
    if (routes[route].header != NULL)
        at += put_chain(head + at, ANSWER_MAX - at, routes[route].header, routes[route].chain);
    at += (size_t)snprintf(head + at, ANSWER_MAX - at, "\r\n");
    say(fd, head, at);
    say(fd, body, len);
    free(body);
    free(head);
}

static void
answer_big(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    char *body = calloc(1, BH_COLLATERAL_MAX + 1);

    say(fd, head, sizeof(head) - 1);
    say(fd, body, BH_COLLATERAL_MAX + 1);
    free(body);
}

static void
answer(int fd, const char *path)
{
    static const char busy[] = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"
                               "Retry-After: 1\r\nContent-Length: 0\r\n\r\n";
    static const char moved[] = "HTTP/1.1 302 Found\r\nConnection: close\r\n"
                                "Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    static const char none[] =
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const enum way way = service.way;
    const unsigned asked = ++service.asked;

    if (way == BUSY || (way == THROTTLES && asked <= 2)) {
        say(fd, busy, sizeof(busy) - 1);
    } else if (way == STALLS) {
        (void)sleep(3);
    } else if (way == TOO_MUCH) {
        answer_big(fd);
    } else if (way == REDIRECTS) {
        say(fd, moved, sizeof(moved) - 1);
    } else {
        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
            if (way != KNOWS_NOTHING && strcmp(path, routes[i].path) == 0) {
                answer_file(fd, i, way == LIES);
                return;
            }
        say(fd, none, sizeof(none) - 1);
    }
}

static void *
serve(void *arg)
{
    char request[4096], path[512];
    int fd;

    (void)arg;
    while ((fd = accept(service.fd, NULL, NULL)) >= 0) {
        size_t len = 0;
        ssize_t n;

        while (len < sizeof(request) - 1 &&
               (n = read(fd, request + len, sizeof(request) - 1 - len)) > 0) {
            len += (size_t)n;
            request[len] = '\0';
            if (strstr(request, "\r\n\r\n") != NULL)
                break;
        }
        request[len] = '\0';
        if (sscanf(request, "GET %511s HTTP", path) == 1)
            answer(fd, path);
        (void)close(fd);
    }
    return NULL;
}

static void
begin(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    service.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(service.fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(service.fd, 8), 0);
    cr_assert_eq(getsockname(service.fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(service.url, sizeof(service.url), "http://127.0.0.1:%u", ntohs(at.sin_port));
    cr_assert_eq(pthread_create(&service.thread, NULL, serve, NULL), 0);
}

static void
end(void)
{
    (void)shutdown(service.fd, SHUT_RDWR);
    (void)pthread_join(service.thread, NULL);
    (void)close(service.fd);
    ran_clear(&r);
    end_folder();
}

TestSuite(fetch, .init = begin, .fini = end);

/* ---- what is asked ---- */

static const char *
server(void)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/server", folder());
    (void)mkdir(path, 0700);
    return path;
}

static const char *
vector(const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", bh_vectors(), name);
    return path;
}

static bool
holds(const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/collateral/%s", server(), name);
    return access(path, R_OK) == 0;
}

static const char *
result_of(const char *file)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(r.json, "files"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "file")), file) == 0)
            return json_string_value(json_object_get(one, "result"));
    }
    return "";
}

#define FETCH(...)                                                                                 \
    RUN(&r, "collateral", "fetch", "--dir", server(), "--mirror", service.url, "--timeout", "1s",  \
        __VA_ARGS__)

Test(fetch, by_the_url_that_a_refusal_names)
{
    if (bh_vectors() == NULL)
        return;
    FETCH("--at", "2026-03-01T00:00:00Z", CRL);
    expect_run(&r, 0, "");
    cr_expect_not_null(strstr(r.out, "SIGHUP"));
    cr_expect(holds("crl-milan-vcek.der"));
    FETCH("--json", "--at", "2026-03-01T00:00:00Z", "https://kdsintf.amd.com/vlek/v1/Milan/crl");
    expect_json(&r, 0);
    cr_expect_str_eq(result_of("crl-milan-vlek.der"), "imported");
    cr_expect_eq(service.asked, 2);
}

Test(fetch, what_expires_is_renewed)
{
    if (bh_vectors() == NULL)
        return;
    RUN(&r, "collateral", "import", "--dir", server(), "--at", AT_OLD, vector(OLD "tcb_info.json"),
        vector(OLD "qe_identity.json"), vector(OLD "tcb_signing_chain.pem"),
        vector(OLD "pck_crl.der"), vector(OLD "pck_crl_chain.pem"), vector(OLD "root_crl.der"));
    expect_run(&r, 0, "");
    FETCH("--at", AT_OLD, "--within", "1d");
    expect_run(&r, 0, "");
    cr_expect_not_null(strstr(r.out, "nothing"), "%s", r.out);
    cr_expect_eq(service.asked, 0);
    FETCH("--json", "--at", AT_NEW);
    expect_json(&r, 0);
    cr_expect_str_eq(result_of("qe_identity-tdx.json"), "imported");
    cr_expect_str_eq(result_of("pck_crl-platform.der"), "imported");
    cr_expect_str_eq(result_of("tcb_info-tdx-00806f050000.json"), "imported");
    cr_expect_str_eq(result_of("root_crl.der"), "", "good for longer, so not asked for");
    cr_expect_eq(service.asked, 3);
}

Test(fetch, a_service_that_throttles)
{
    if (bh_vectors() == NULL)
        return;
    service.way = THROTTLES;
    FETCH("--at", "2026-03-01T00:00:00Z", CRL);
    expect_run(&r, 0, "");
    cr_expect_eq(service.asked, 3);
    cr_expect(holds("crl-milan-vcek.der"));
    service.way = BUSY;
    FETCH("--at", "2026-03-01T00:00:00Z", CRL);
    expect_run(&r, 3, "fetch.status");
    cr_expect_eq(service.asked, 6);
}

Test(fetch, a_service_that_is_no_good)
{
    static const struct {
        enum way way;
        int status;
        const char *check;
    } cases[] = {{LIES, 1, "collateral.signature"}, {TOO_MUCH, 1, "collateral.size"},
        {REDIRECTS, 1, "fetch.status"}, {KNOWS_NOTHING, 1, "fetch.status"},
        {STALLS, 3, "fetch.connection"}};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        service.way = cases[i].way;
        FETCH("--at", "2026-03-01T00:00:00Z", CRL);
        expect_run(&r, cases[i].status, cases[i].check);
        cr_expect_not(holds("crl-milan-vcek.der"), "%s", cases[i].check);
    }
}

/* One that fails keeps the others from nothing. */
Test(fetch, each_for_itself)
{
    if (bh_vectors() == NULL)
        return;
    FETCH("--at", "2026-03-01T00:00:00Z", "https://kdsintf.amd.com/vcek/v1/Rome/crl", CRL);
    expect_run(&r, 1, "fetch.status");
    cr_expect(holds("crl-milan-vcek.der"));
}

Test(fetch, usage)
{
    FETCH("http://kdsintf.amd.com/vcek/v1/Milan/crl");
    expect_run(&r, 2, "fetch.url");
    FETCH("https://kdsintf.amd.com");
    expect_run(&r, 2, "fetch.url");
    RUN(&r, "collateral", "fetch", "--dir", server(), "--mirror", "ftp://x", CRL);
    expect_run(&r, 2, "--mirror");
    RUN(&r, "collateral", "fetch", "--dir", server(), "--within", "soon");
    expect_run(&r, 2, "--within");
    RUN(&r, "collateral", "fetch", "--dir", server(), "--at", "soon");
    expect_run(&r, 2, "--at");
    /* Nothing listens there. */
    RUN(&r, "collateral", "fetch", "--dir", server(), "--mirror", "http://127.0.0.1:1", CRL);
    expect_run(&r, 3, "fetch.connection");
    cr_expect_eq(service.asked, 0);
}
