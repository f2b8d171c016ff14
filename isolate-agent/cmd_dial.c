/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/cli.h"

#include "isolate-agent/proxy/dial.h"
#include "isolate-agent/proxy/identity.h"

#include <stdlib.h>

#define COMMAND "beachhead-agent dial"
#define DRAIN_MS 10000

struct options {
    const char *listen, *to, *root, *workload, *connections, *idle;
    bool accept_warning;
};

static enum bh_err
expect(const struct options *o, bh_expectation **ret_expectation, struct bh_diag *diag)
{
    bh_failure *failure = bh_failure_new();
    enum bh_err e = BH_OK;

    if (failure == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "expectation");
    if (bh_expectation_new(o->workload, ret_expectation, failure) != BH_RESULT_OK)
        e = agent_diag_of(failure, diag);
    else if (o->accept_warning)
        bh_expectation_accept_warning(*ret_expectation);
    bh_failure_free(failure);
    return e;
}

static enum bh_err
dial(const struct options *o, struct bh_diag *diag)
{
    struct agent_dial_config config = {.drain_ms = DRAIN_MS};
    bh_expectation *expectation = NULL;
    bh_trust *trust = NULL;
    char *pem = NULL;
    enum bh_err e;

    if ((e = agent_read_limits(o->connections, o->idle, &config.endpoint, diag)) != BH_OK ||
        (e = agent_listen_parse(o->listen, &config.endpoint.listen, diag)) != BH_OK ||
        (e = agent_target_parse(o->to, false, &config.endpoint.target, diag)) != BH_OK ||
        (e = agent_load_roots(o->root, &trust, &pem, diag)) != BH_OK ||
        (e = expect(o, &expectation, diag)) != BH_OK ||
        (e = agent_target_resolve(&config.endpoint.target, diag)) != BH_OK)
        goto out;
    config.trust = trust;
    config.expectation = expectation;
    e = agent_dial_run(&config, diag);
out:
    bh_expectation_free(expectation);
    bh_trust_free(trust);
    free(pem);
    return e;
}

int
agent_cmd_dial(int argc, char **argv)
{
    struct options o = {0};
    const struct bh_cli_option options[] = {
        {.name = "listen",
            .value = "ADDR:PORT",
            .help = "where plain programs connect; port 0 takes a free one",
            .needed = true,
            .text = &o.listen},
        {.name = "to",
            .value = "HOST:PORT",
            .help = "the attested endpoint",
            .needed = true,
            .text = &o.to},
        {.name = "root", .value = "FILE", .help = "trusted root", .needed = true, .text = &o.root},
        {.name = "workload",
            .value = "NAME",
            .help = "who must answer there",
            .needed = true,
            .text = &o.workload},
        {.name = "connections",
            .value = "N",
            .help = "at most so many at a time (4096)",
            .text = &o.connections},
        {.name = "idle",
            .value = "DURATION",
            .help = "close connections on which nothing moves for so long (1h)",
            .text = &o.idle},
        {.name = "accept-warning",
            .help = "accept the attestation status \"warning\"",
            .flag = &o.accept_warning},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Listen on a plain local port and carry each connection to an isolate over TLS "
                   "whose peer is verified in the handshake.",
        .example = "beachhead-agent dial --listen 127.0.0.1:5432 --to 10.0.0.7:8443 --root "
                   "root.crt --workload payments",
        .options = options,
    };
    struct bh_diag diag = {0};
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    if (done >= 0)
        return done;
    agent_harden();
    return dial(&o, &diag) == BH_OK ? 0 : bh_cli_failed(COMMAND, &diag);
}
