/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead verify: a certificate chain in a file, without a connection. */
#include "commands.h"
#include "peer_options.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "src/internal.h"

#include <stdlib.h>

#define COMMAND "beachhead verify"

static enum bh_err
load_chain(const char *path, X509 *certs[BH_CHAIN_MAX], size_t *ret_len, struct bh_diag *diag)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if (bh_file_read(path, BH_POLICY_MAX, &bytes, &len, diag) != BH_OK) {
        bh_name_check(diag, "certificate");
        bh_hint(diag, "give a file that can be read");
        diag->err = BH_ERR_USAGE;
        return BH_ERR_USAGE;
    }
    e = bh_x509_pem(bh_span(bytes, len), certs, BH_CHAIN_MAX, ret_len, diag);
    free(bytes);
    return e;
}

static enum bh_result
verify(const struct bh_peer_options *o, const char *path, bh_peer **ret_peer, bh_failure *failure)
{
    X509 *certs[BH_CHAIN_MAX] = {NULL};
    uint8_t *ders[BH_CHAIN_MAX] = {NULL};
    size_t lens[BH_CHAIN_MAX] = {0}, count = 0;
    bh_expectation *x = NULL;
    bh_trust *trust = NULL;
    struct bh_diag diag = {0};
    enum bh_result r;
    enum bh_err e;

    if ((r = bh_peer_options_load(o, &trust, &x, failure)) != BH_RESULT_OK)
        goto out;
    e = load_chain(path, certs, &count, &diag);
    for (size_t i = 0; e == BH_OK && i < count; i++)
        e = bh_x509_to_der(certs[i], &ders[i], &lens[i]);
    if (e != BH_OK) {
        (void)bh_fail(&diag, e, "%s cannot be read", path);
        bh_name_check(&diag, "certificate.form");
        bh_hint(&diag, "give the chain in PEM, the isolate's certificate first");
        r = bh_failure_set(failure, &diag, e);
        goto out;
    }
    r = bh_verify_chain(trust, x, (const unsigned char *const *)ders, lens, count, bh_time_now(),
        ret_peer, failure);
out:
    for (size_t i = 0; i < count; i++) {
        X509_free(certs[i]);
        OPENSSL_free(ders[i]);
    }
    bh_expectation_free(x);
    bh_trust_free(trust);
    return r;
}

int
bh_cmd_verify(int argc, char **argv)
{
    struct bh_peer_options o = {0};
    bool json = false;
    const struct bh_cli_option options[] = {
        {.name = "root",
            .value = "FILE",
            .help = "the deployment's root",
            .needed = true,
            .text = &o.root},
        {.name = "workload", .value = "NAME", .help = "who it must be", .text = &o.workload},
        {.name = "crl",
            .value = "FILE",
            .help = "revocation list of the issuing CA",
            .text = &o.crl},
        {.name = "accept-warning",
            .help = "accept the status \"warning\"",
            .flag = &o.accept_warning},
        {.name = "require-log",
            .help = "demand proof of inclusion in the log",
            .flag = &o.require_log},
        {.name = "log", .value = "URL", .help = "where the log is", .text = &o.log},
        {.name = "json", .help = "print one JSON document", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Verify the certificate chain of an isolate. That the file's owner holds the "
                   "key is proved\n"
                   "only by a connection: see `beachhead connect`.",
        .example = COMMAND " --root root.crt --workload payments tls.crt",
        .options = options,
        .args = "CERT.pem",
        .args_min = 1,
        .args_max = 1,
    };
    bh_failure *failure = bh_failure_new();
    struct bh_cli_list args;
    bh_peer *peer = NULL;
    int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc < 0 && failure != NULL) {
        if (verify(&o, args.items[0], &peer, failure) == BH_RESULT_OK)
            rc = bh_peer_verified(peer, json);
        else
            rc = bh_peer_failed(COMMAND, failure, json);
    }
    bh_peer_free(peer);
    bh_failure_free(failure);
    return rc < 0 ? 1 : rc;
}
