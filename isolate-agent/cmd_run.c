/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/cli.h"
#include "core/text.h"

#include "isolate-agent/proxy/context.h"
#include "isolate-agent/proxy/service.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead-agent run"

struct options {
    const char *server, *root, *workload, *attester, *simulator, *listen, *upstream, *out,
        *on_renew, *state, *connections, *idle;
    bool print_context;
};

static enum bh_err
check_options(const struct options *o, struct bh_diag *diag)
{
    if (!bh_is_workload(bh_span_str(o->workload)))
        return bh_refuse(diag, BH_ERR_USAGE, "workload", "[a-z0-9][a-z0-9._-]{0,62}", o->workload,
            "the name of the workload is none");
    if ((o->listen == NULL) != (o->upstream == NULL))
        return bh_fail(diag, BH_ERR_USAGE, "--listen and --upstream belong together");
    if (o->listen == NULL && o->out == NULL)
        return bh_fail(diag, BH_ERR_USAGE,
            "nothing to do: give --listen and --upstream, or --out DIR, or both");
    if (o->on_renew != NULL && o->out == NULL)
        return bh_fail(diag, BH_ERR_USAGE, "--on-renew needs --out DIR");
    return BH_OK;
}

static enum bh_err
read_addresses(const struct options *o, struct agent_service_config *config, struct bh_diag *diag)
{
    enum bh_err e;

    config->listen = o->listen != NULL;
    if (o->listen == NULL)
        return BH_OK;
    if ((e = agent_listen_parse(o->listen, &config->endpoint.listen, diag)) != BH_OK ||
        (e = agent_target_parse(o->upstream, true, &config->endpoint.target, diag)) != BH_OK)
        return e;
    return agent_read_limits(o->connections, o->idle, &config->endpoint, diag);
}

static int
print_context(const char *text, const uint8_t digest[AGENT_CONTEXT_LEN])
{
    char hex[2 * AGENT_CONTEXT_LEN + 1];

    (void)printf(
        "%s\ncontext: %s\n", text, bh_hex(bh_span(digest, AGENT_CONTEXT_LEN), hex, sizeof(hex)));
    return 0;
}

/* In the order in which things may be looked at: the hook's helper is forked before a key or a
 * connection exists. */
static enum bh_err
run(const struct options *o, struct bh_diag *diag)
{
    struct agent_service_config config = {.out = o->out,
        .state = o->state,
        .start_ms = AGENT_SERVICE_START_MS,
        .drain_ms = AGENT_SERVICE_DRAIN_MS};
    uint8_t digest[AGENT_CONTEXT_LEN];
    char text[AGENT_CONTEXT_TEXT_MAX];
    bh_trust *trust = NULL;
    char *pem = NULL;
    enum bh_err e;

    if ((e = check_options(o, diag)) != BH_OK || (e = read_addresses(o, &config, diag)) != BH_OK ||
        (e = agent_load_roots(o->root, &trust, &pem, diag)) != BH_OK)
        return e;
    config.roots_pem = bh_span_str(pem);
    if ((e = agent_context(o->workload, o->upstream, o->out != NULL, config.roots_pem, text, digest,
             diag)) != BH_OK)
        goto out;
    if (o->print_context) {
        (void)print_context(text, digest);
        goto out;
    }
    if (o->on_renew != NULL && (e = agent_hook_new(o->on_renew, o->out, AGENT_HOOK_TIMEOUT_MS,
                                    &config.hook, diag)) != BH_OK)
        goto out;
    agent_harden();
    config.enrol = (struct agent_enroller_config){
        .server = o->server,
        .workload = o->workload,
        .trust = trust,
        .context = digest,
        .context_len = sizeof(digest),
        .attester_config = {.simulator = o->simulator},
    };
    if ((e = agent_attester_find(
             o->attester, &config.enrol.attester_config, &config.enrol.attester, diag)) != BH_OK ||
        (e = agent_target_resolve(&config.endpoint.target, diag)) != BH_OK)
        goto out;
    e = agent_service_run(&config, diag);
out:
    agent_hook_free(config.hook);
    bh_trust_free(trust);
    free(pem);
    return e;
}

static int
parse(int argc, char **argv, struct options *o)
{
    const struct bh_cli_option options[] = {
        {.name = "server",
            .value = "URL",
            .help = "the attestation server, https://HOST:PORT",
            .needed = true,
            .text = &o->server},
        {.name = "root",
            .value = "FILE",
            .help = "the deployment's root certificate",
            .needed = true,
            .text = &o->root},
        {.name = "workload",
            .value = "NAME",
            .help = "the name to be certified under",
            .needed = true,
            .text = &o->workload},
        {.name = "attester",
            .value = "NAME",
            .help = "auto, a platform, or sim:PLATFORM",
            .text = &o->attester},
        {.name = "simulator",
            .value = "DIR",
            .help = "folder of the simulated devices",
            .text = &o->simulator},
        {.name = "listen",
            .value = "ADDR:PORT",
            .help = "serve TLS 1.3 there; port 0 takes a free one; vsock:PORT in enclaves",
            .text = &o->listen},
        {.name = "upstream",
            .value = "ADDR:PORT",
            .help = "and pass the plain stream there; also unix:PATH",
            .text = &o->upstream},
        {.name = "out",
            .value = "DIR",
            .help = "write tls.crt, tls.key, root.crt for services that do TLS themselves",
            .text = &o->out},
        {.name = "on-renew",
            .value = "CMD",
            .help = "run after each new certificate in DIR",
            .text = &o->on_renew},
        {.name = "connections",
            .value = "N",
            .help = "at most so many at a time (4096)",
            .text = &o->connections},
        {.name = "idle",
            .value = "DURATION",
            .help = "close connections on which nothing moves for so long (1h)",
            .text = &o->idle},
        {.name = "state",
            .value = "DIR",
            .help = "keep status.json there (nothing secret)",
            .text = &o->state},
        {.name = "print-context",
            .help = "print what the evidence commits to, for a policy's \"context\", and end",
            .flag = &o->print_context},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Enrol, serve TLS 1.3 in front of a plain service, renew in time.\n"
                   "SIGHUP renews now, SIGTERM drains.",
        .example = "beachhead-agent run --server https://attest.example:8443 --root root.crt "
                   "--workload payments --listen 0.0.0.0:443 --upstream 127.0.0.1:8080",
        .options = options,
    };

    return bh_cli_parse(&usage, argc, argv, NULL);
}

int
agent_cmd_run(int argc, char **argv)
{
    struct options o = {.attester = "auto"};
    struct bh_diag diag = {0};
    const int done = parse(argc, argv, &o);

    if (done >= 0)
        return done;
    return run(&o, &diag) == BH_OK ? 0 : bh_cli_failed(COMMAND, &diag);
}
