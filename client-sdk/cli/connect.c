/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead connect: one attested TLS handshake, and who is there. */
#include "commands.h"
#include "peer_options.h"

#include "beachhead/tls.h"
#include "src/internal.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define COMMAND "beachhead connect"
#define TIMEOUT_SECONDS 15

/* "HOST:PORT" or "[ADDRESS]:PORT". */
static enum bh_err
split_address(const char *text, char host[256], char port[8], struct bh_diag *diag)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    const char *from = text;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        from = text + 1;
        len -= 2;
    }
    if (len == 0 || len >= 256 || strlen(colon + 1) == 0 || strlen(colon + 1) >= 8)
        return bh_refuse(
            diag, BH_ERR_USAGE, "address", "HOST:PORT", text, "the address cannot be read");
    memcpy(host, from, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return BH_OK;
}

static enum bh_err
dial(const char *address, int *ret_fd, struct bh_diag *diag)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    struct addrinfo *found = NULL;
    char host[256], port[8];
    int fd = -1;
    enum bh_err e;

    if ((e = split_address(address, host, port, diag)) != BH_OK)
        return e;
    const int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return bh_refuse(diag, BH_ERR_NETWORK, "address", "a host that can be found",
            gai_strerror(rc), "%s was not reached", address);
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            const int why = errno;
            (void)close(fd);
            errno = why;
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        return bh_refuse(diag, BH_ERR_NETWORK, "address", "a listening isolate", strerror(errno),
            "%s was not reached", address);
    *ret_fd = fd;
    return BH_OK;
}

/* The handshake failed: by our verification, by the peer, or by the network. */
static enum bh_result
explain(const SSL *ssl, const char *address, bh_failure *failure)
{
    const bh_failure *refused = bh_ssl_failure(ssl);
    struct bh_diag diag = {0};
    const unsigned long code = ERR_peek_error();

    if (refused != NULL)
        return bh_failure_set(failure, &refused->diag, refused->diag.err);
    if (code == 0) {
        (void)bh_refuse(&diag, BH_ERR_NETWORK, "tls", "a TLS 1.3 handshake", "the connection ended",
            "%s ended the handshake, or did not answer in time", address);
        return bh_failure_set(failure, &diag, BH_ERR_NETWORK);
    }
    (void)bh_refuse(&diag, BH_ERR_NOT_AUTHENTIC, "tls", "a TLS 1.3 handshake",
        ERR_reason_error_string(code), "the handshake with %s failed", address);
    return bh_failure_set(failure, &diag, BH_ERR_NOT_AUTHENTIC);
}

static enum bh_result
handshake(SSL_CTX *ctx, const char *address, const bh_trust *trust, const bh_expectation *x,
    bool json, int *ret_code, bh_failure *failure)
{
    struct bh_diag diag = {0};
    SSL *ssl = NULL;
    int fd = -1;
    enum bh_result r;
    enum bh_err e;

    if ((r = bh_ssl_ctx_attach(ctx, trust, x, failure)) != BH_RESULT_OK)
        return r;
    if ((e = dial(address, &fd, &diag)) != BH_OK)
        return bh_failure_set(failure, &diag, e);
    ERR_clear_error();
    if ((ssl = SSL_new(ctx)) == NULL || SSL_set_fd(ssl, fd) != 1) {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "TLS");
        r = bh_failure_set(failure, &diag, BH_ERR_NOMEM);
    } else if (SSL_connect(ssl) != 1) {
        r = explain(ssl, address, failure);
    } else {
        *ret_code = bh_peer_verified(bh_ssl_peer(ssl), json);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    (void)close(fd);
    return r;
}

int
bh_cmd_connect(int argc, char **argv)
{
    struct bh_peer_options o = {0};
    bool json = false;
    const struct bh_cli_option options[] = {
        {.name = "root",
            .value = "FILE",
            .help = "the deployment's root",
            .needed = true,
            .text = &o.root},
        {.name = "workload",
            .value = "NAME",
            .help = "who must be there",
            .needed = true,
            .text = &o.workload},
        {.name = "platform",
            .value = "P",
            .help = "accept this platform (repeat for more)",
            .list = &o.platforms},
        {.name = "measurement",
            .value = "HEX",
            .help = "accept this code (repeat for more)",
            .list = &o.measurements},
        {.name = "accept-warning",
            .help = "accept the status \"warning\"",
            .flag = &o.accept_warning},
        {.name = "require-log",
            .help = "demand proof of inclusion in the log",
            .flag = &o.require_log},
        {.name = "log", .value = "URL", .help = "where the log is", .text = &o.log},
        {.name = "require-revocation",
            .help = "refuse when the revocation state is not known",
            .flag = &o.require_revocation},
        {.name = "json", .help = "print one JSON document", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Make an attested TLS connection and print who is there. The workload's SPIFFE "
                   "ID is the\n"
                   "identity: host names are not consulted. No application data is exchanged.",
        .example = COMMAND " --root root.crt --workload payments 10.0.0.7:8443",
        .options = options,
        .args = "HOST:PORT",
        .args_min = 1,
        .args_max = 1,
    };
    bh_failure *failure = bh_failure_new();
    bh_expectation *x = NULL;
    bh_trust *trust = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct bh_cli_list args;
    int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        goto out;
    if (failure == NULL || ctx == NULL) {
        rc = 1;
        goto out;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (bh_peer_options_load(&o, &trust, &x, failure) != BH_RESULT_OK ||
        handshake(ctx, args.items[0], trust, x, json, &rc, failure) != BH_RESULT_OK)
        rc = bh_peer_failed(COMMAND, failure, json);
out:
    SSL_CTX_free(ctx);
    bh_expectation_free(x);
    bh_trust_free(trust);
    bh_failure_free(failure);
    return rc;
}
