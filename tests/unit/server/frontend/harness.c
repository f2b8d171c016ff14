/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "core/x509.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000

uint64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

void
bench_control(struct bench *b, uint16_t type, uint64_t id, struct bh_span payload, int fd)
{
    cr_assert_eq(bh_ipc_send(b->control, type, id, payload, fd), BH_OK);
}

struct bh_ipc *
bench_link(struct bench *b, enum pas_role role, unsigned index)
{
    struct bh_ipc *ipc = NULL;
    int fds[2];

    pair(fds);
    bench_control(b, PAS_CTL_LINK, PAS_LINK_ID(role, index), bh_span_none(), fds[1]);
    (void)close(fds[1]);
    cr_assert_eq(bh_ipc_new(fds[0], false, &ipc), BH_OK);
    return ipc;
}

static X509 *
self_signed(EVP_PKEY *key, const char *cn)
{
    X509 *cert = X509_new();
    X509_NAME *name;

    cr_assert_not_null(cert);
    name = X509_get_subject_name(cert);
    (void)X509_set_version(cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    (void)X509_set_issuer_name(cert, name);
    (void)X509_set_pubkey(cert, key);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    return cert;
}

struct bh_span
bench_identity(const char *cn, uint8_t *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *key_pem = NULL, *cert_pem = NULL;
    struct bh_span span;
    struct bh_writer w;
    EVP_PKEY *key = NULL;
    X509 *cert;
    long len;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cert = self_signed(key, cn);
    cr_assert_eq(bh_key_to_pem(key, NULL, &key_pem, NULL), BH_OK);
    cr_assert_eq(PEM_write_bio_X509(bio, cert), 1);
    len = BIO_get_mem_data(bio, &cert_pem);
    bh_writer_init(&w, out, cap);
    pas_tls_encode(&w,
        &(struct pas_tls){.chain = bh_span(cert_pem, (size_t)len), .key = bh_span_str(key_pem)});
    cr_assert_eq(bh_writer_end(&w, &span), BH_OK);
    free(key_pem);
    BIO_free(bio);
    X509_free(cert);
    EVP_PKEY_free(key);
    return span;
}

static int
listener(int *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    cr_assert_eq(listen(fd, 1024), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void
become_child(int control, int log)
{
    const char *other = getenv("BH_FRONTEND_CHILD");

    (void)dup2(log, STDERR_FILENO);
    if (control == PAS_CONTROL_FD)
        (void)fcntl(control, F_SETFD, 0);
    else
        (void)dup2(control, PAS_CONTROL_FD);
    closefrom(PAS_CONTROL_FD + 1);
    if (other != NULL) {
        (void)execl(other, other, (char *)NULL);
        _exit(98);
    }
    _exit(child_end(pas_frontend_main()));
}

static void
send_start(struct bench *b, const char *config)
{
    static uint8_t payload[8192];
    char json[2048];
    struct bh_span span;
    struct bh_writer w;

    (void)snprintf(json, sizeof(json),
        "{\"trust_domain\":\"fleet.example\",\"listen\":\"127.0.0.1:0\"%s}", config);
    bh_writer_init(&w, payload, sizeof(payload));
    pas_start_encode(
        &w, &(struct pas_start){.dir = bh_span_str("/nonexistent"), .config = bh_span_str(json)});
    cr_assert_eq(bh_writer_end(&w, &span), BH_OK);
    bench_control(b, PAS_CTL_START, 0, span, -1);
}

void
bench_start(struct bench *b, size_t verifiers, const char *config)
{
    static uint8_t identity[16384];
    int fds[2], listening;

    memset(b, 0, sizeof(*b));
    pair(fds);
    b->log = memfd_create("log", MFD_CLOEXEC);
    cr_assert_geq(b->log, 0);
    if ((b->pid = fork()) == 0)
        become_child(fds[1], b->log);
    cr_assert_gt(b->pid, 0);
    (void)close(fds[1]);
    cr_assert_eq(bh_ipc_new(fds[0], false, &b->control), BH_OK);
    send_start(b, config);
    b->authority = bench_link(b, PAS_AUTHORITY, 0);
    for (size_t i = 0; i < verifiers; i++)
        b->verifiers[i] = bench_link(b, PAS_VERIFIER, (unsigned)i);
    b->verifiers_len = verifiers;
    listening = listener(&b->port);
    bench_control(b, PAS_CTL_LISTEN, 1, bh_span_none(), listening);
    (void)close(listening);
    bench_control(b, PAS_CTL_TLS, 0, bench_identity("first", identity, sizeof(identity)), -1);
    bench_control(b, PAS_CTL_CONFINE, 0, bh_span_none(), -1);
    (void)expect(b->control, PAS_CTL_READY);
}

char *
bench_log(const struct bench *b)
{
    const off_t size = lseek(b->log, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    ssize_t n;

    cr_assert_not_null(text);
    n = pread(b->log, text, (size_t)size, 0);
    cr_assert_geq(n, 0);
    return text;
}

bool
bench_logged(const struct bench *b, const char *wanted)
{
    const uint64_t until = now_ms() + PATIENCE_MS;
    bool found = false;

    while (!found && now_ms() < until) {
        char *text = bench_log(b);
        found = strstr(text, wanted) != NULL;
        free(text);
        if (!found)
            (void)poll(NULL, 0, 10);
    }
    return found;
}

void
bench_free(struct bench *b)
{
    bh_ipc_free(b->control);
    bh_ipc_free(b->authority);
    for (size_t i = 0; i < VERIFIERS_MAX; i++)
        bh_ipc_free(b->verifiers[i]);
    (void)close(b->log);
}

int
bench_wait(struct bench *b)
{
    const uint64_t until = now_ms() + 3 * PATIENCE_MS;
    int status = 0;
    char *log;

    while (waitpid(b->pid, &status, WNOHANG) == 0) {
        if (now_ms() > until) {
            (void)kill(b->pid, SIGKILL);
            (void)waitpid(b->pid, &status, 0);
            break;
        }
        (void)poll(NULL, 0, 5);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        log = bench_log(b);
        (void)fprintf(stderr, "the frontend ended with status %x:\n%s\n", (unsigned)status, log);
        free(log);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
bench_stop(struct bench *b)
{
    int code;

    bench_control(b, PAS_CTL_DRAIN, 0, bh_span_none(), -1);
    code = bench_wait(b);
    bench_free(b);
    cr_assert_eq(code, 0);
}

static bool
readable(struct bh_ipc *ipc, int ms)
{
    struct pollfd p = {.fd = bh_ipc_fd(ipc), .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

struct bh_ipc_msg
expect(struct bh_ipc *ipc, uint16_t type)
{
    struct bh_ipc_msg msg = {.fd = -1};
    bool got = false;

    /* What is buffered already does not make the socket readable. */
    bh_ipc_set_nonblocking(ipc, true);
    cr_assert_eq(bh_ipc_receive(ipc, &msg, &got), BH_OK);
    while (!got) {
        cr_assert(readable(ipc, PATIENCE_MS), "no message %u came", (unsigned)type);
        cr_assert_eq(bh_ipc_receive(ipc, &msg, &got), BH_OK);
    }
    bh_ipc_set_nonblocking(ipc, false);
    cr_assert_eq(msg.type, type, "message %u where %u was due", (unsigned)msg.type, (unsigned)type);
    return msg;
}

bool
silent(struct bh_ipc *ipc, int ms)
{
    return !readable(ipc, ms);
}

void
answer(struct bh_ipc *ipc, uint64_t id, unsigned status, const char *type, const char *body)
{
    const size_t cap = strlen(body) + 512;
    uint8_t *payload = malloc(cap);
    struct bh_span span;
    struct bh_writer w;

    cr_assert_not_null(payload);
    bh_writer_init(&w, payload, cap);
    pas_answer_encode(&w, &(struct pas_answer){.status = (uint16_t)status,
                              .content_type = bh_span_str(type),
                              .body = bh_span_str(body)});
    cr_assert_eq(bh_writer_end(&w, &span), BH_OK);
    cr_assert_eq(bh_ipc_send(ipc, PAS_ANSWER, id, span, -1), BH_OK);
    free(payload);
}

void
passed(struct bh_ipc *ipc, uint64_t id)
{
    cr_assert_eq(bh_ipc_send(ipc, PAS_PASSED, id, bh_span_none(), -1), BH_OK);
}

void
expect_end(struct bh_ipc *ipc)
{
    struct bh_ipc_msg msg = {.fd = -1};
    bool got = false;

    cr_assert(readable(ipc, PATIENCE_MS), "the channel is still open");
    cr_assert_eq(bh_ipc_receive(ipc, &msg, &got), BH_ERR_IO);
}
