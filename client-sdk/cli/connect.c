/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead connect: one attested TLS handshake, and who is there. */
#include "commands.h"
#include "dial.h"
#include "peer_options.h"

#include "beachhead/tls.h"
#include "src/internal.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define COMMAND "beachhead connect"
#define TIMEOUT_MS 15000

/* The handshake failed: by our verification, by the peer, or by the network. */
static enum bh_result
explain(const SSL *ssl, bool in_time, const char *address, bh_failure *failure)
{
    const bh_failure *refused = bh_ssl_failure(ssl);
    struct bh_diag diag = {0};
    const unsigned long code = ERR_peek_error();
    const char *why = code == 0 ? NULL : ERR_reason_error_string(code);
    enum bh_err e = BH_ERR_NOT_AUTHENTIC;

    if (refused != NULL)
        return bh_failure_set(failure, &refused->diag, refused->diag.err);
    if (!in_time) {
        e = bh_refuse(&diag, BH_ERR_NETWORK, "tls", "a TLS 1.3 handshake", "no answer in time",
            "%s accepted the connection and did not go on", address);
        bh_hint(&diag, "look whether the agent is overloaded, or something else listens there");
        return bh_failure_set(failure, &diag, e);
    }
    (void)bh_refuse(&diag, e, "tls", "a TLS 1.3 handshake",
        why != NULL ? why : "the other side ended the connection", "the handshake with %s failed",
        address);
    bh_hint(&diag, "look whether an attested endpoint listens there, and its own log");
    return bh_failure_set(failure, &diag, e);
}

static enum bh_result
handshake(SSL_CTX *ctx, const char *address, const bh_trust *trust, const bh_expectation *x,
    bool json, int *ret_code, bh_failure *failure)
{
    const int64_t deadline = bh_dial_clock() + TIMEOUT_MS;
    struct bh_diag diag = {0};
    SSL *ssl = NULL;
    int fd = -1, done;
    enum bh_result r;
    enum bh_err e;

    if ((r = bh_ssl_ctx_attach(ctx, trust, x, failure)) != BH_RESULT_OK)
        return r;
    if ((e = bh_dial(address, deadline, &fd, &diag)) != BH_OK)
        return bh_failure_set(failure, &diag, e);
    ERR_clear_error();
    if ((ssl = SSL_new(ctx)) == NULL || SSL_set_fd(ssl, fd) != 1) {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "TLS");
        r = bh_failure_set(failure, &diag, BH_ERR_NOMEM);
    } else if ((done = bh_dial_handshake(ssl, fd, deadline)) != 1) {
        r = explain(ssl, done == 0, address, failure);
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
        (void)fputs(COMMAND ": out of memory\n", stderr);
        rc = 2;
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
