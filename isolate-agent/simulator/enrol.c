/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "beachhead/enrol.h"
#include "core/cli.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "src/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char command[] = "beachhead-simulator enrol";

struct enrol_options {
    const char *sim, *platform, *server, *root, *workload, *tamper;
    bool json;
};

struct maker {
    struct agent_device *device;
    enum agent_tamper tamper;
    struct bh_diag diag; /* why there is no evidence */
};

static int
make_evidence(void *arg, const unsigned char binding[BH_ENROL_BINDING_LEN],
    const unsigned char *spki, size_t spki_len, char **ret_cmw)
{
    struct maker *m = arg;

    return agent_device_evidence(m->device, binding, bh_span(spki, spki_len), m->tamper,
               bh_time_now(), ret_cmw, &m->diag) == BH_OK
               ? 0
               : -1;
}

static int
tell_failure(const struct bh_diag *diag, bool json)
{
    json_t *problem;

    if (!json)
        return bh_cli_failed(command, diag);
    if ((problem = bh_json_problem(diag, NULL)) != NULL)
        (void)bh_cli_print_json(problem);
    json_decref(problem);
    return bh_err_exit(diag->err);
}

static void
print_line(const char *name, const char *value)
{
    printf("%-12s %s\n", name, value);
}

static void
tell_facts(const bh_enrolment *enrolment)
{
    const bh_peer *peer = bh_enrolment_peer(enrolment);
    char from[BH_TIME_MAX], to[BH_TIME_MAX];

    print_line("workload", bh_peer_workload(peer));
    print_line("platform", bh_peer_platform(peer));
    print_line("spiffe id", bh_peer_spiffe_id(peer));
    print_line("status", bh_peer_status(peer));
    print_line("simulated", bh_peer_simulated(peer) ? "yes" : "no");
    print_line("measurement", bh_peer_measurement(peer));
    print_line("serial", bh_peer_serial(peer));
    print_line("issuer", bh_peer_issuer(peer));
    print_line("valid from", bh_time_text(bh_peer_not_before(peer), from));
    print_line("valid to", bh_time_text(bh_peer_not_after(peer), to));
}

static int
tell_success(const bh_enrolment *enrolment, bool json)
{
    const char *reply = bh_enrolment_reply(enrolment);
    struct bh_diag diag = {0};
    json_t *document = NULL;
    bool good;

    if (!json) {
        tell_facts(enrolment);
        return fflush(stdout) == 0 ? 0 : 2;
    }
    if (bh_json_parse(bh_span_str(reply), BH_BODY_MAX, &document, &diag) != BH_OK)
        return tell_failure(&diag, json);
    good = bh_cli_print_json(document);
    json_decref(document);
    return good ? 0 : 2;
}

/* The SDK says that the callback failed; the device knows why. */
static const struct bh_diag *
reason(const struct maker *maker, const bh_failure *failure)
{
    return maker->diag.err != BH_OK ? &maker->diag : &failure->diag;
}

static int
enrol(const struct enrol_options *o, struct maker *maker, EVP_PKEY *key)
{
    struct bh_enrol_request request = {.server = o->server,
        .workload = o->workload,
        .key = key,
        .evidence = make_evidence,
        .evidence_arg = maker};
    bh_enrolment *enrolment = NULL;
    bh_trust *trust = NULL;
    bh_failure failure = {0};
    int status;

    if (bh_trust_load(o->root, &trust, &failure) != BH_RESULT_OK)
        return tell_failure(&failure.diag, o->json);
    request.trust = trust;
    if (bh_enrol(&request, &enrolment, &failure) == BH_RESULT_OK)
        status = tell_success(enrolment, o->json);
    else
        status = tell_failure(reason(maker, &failure), o->json);
    bh_enrolment_free(enrolment);
    bh_trust_free(trust);
    return status;
}

static int
run(const struct enrol_options *o)
{
    struct maker maker = {0};
    struct bh_diag diag = {0};
    EVP_PKEY *key = NULL;
    int status;

    if ((o->tamper != NULL &&
            agent_tamper_read(o->tamper, o->platform, &maker.tamper, &diag) != BH_OK) ||
        agent_device_load(o->sim, o->platform, &maker.device, &diag) != BH_OK ||
        bh_key_generate("P-256", &key, &diag) != BH_OK)
        status = tell_failure(&diag, o->json);
    else
        status = enrol(o, &maker, key);
    EVP_PKEY_free(key);
    agent_device_free(maker.device);
    return status;
}

int
agent_cmd_enrol(int argc, char **argv)
{
    struct enrol_options o = {0};
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "SIM",
            .help = "the simulator's folder",
            .needed = true,
            .text = &o.sim},
        {.name = "platform",
            .value = "P",
            .help =
                "aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, aws-nitrotpm or tpm2",
            .needed = true,
            .text = &o.platform},
        {.name = "server",
            .value = "URL",
            .help = "https://HOST:PORT",
            .needed = true,
            .text = &o.server},
        {.name = "root",
            .value = "FILE",
            .help = "the server's root certificate, PEM",
            .needed = true,
            .text = &o.root},
        {.name = "workload",
            .value = "NAME",
            .help = "the name to be certified under",
            .needed = true,
            .text = &o.workload},
        {.name = "tamper", .value = "KIND", .help = AGENT_TAMPER_HELP, .text = &o.tamper},
        {.name = "json",
            .help = "print the server's answer, or the problem, as one document",
            .flag = &o.json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = command,
        .purpose = "Enrol a simulated device with a server and print what came back.",
        .example = "beachhead-simulator enrol --dir sim --platform psa --server "
                   "https://127.0.0.1:8443 --root ca/root.crt --workload payments",
        .options = options,
    };
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    return done >= 0 ? done : run(&o);
}
