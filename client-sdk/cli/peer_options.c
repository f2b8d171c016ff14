/* SPDX-License-Identifier: Apache-2.0 */
#include "peer_options.h"

#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/text.h"
#include "print.h"
#include "src/internal.h"

#include <stdio.h>
#include <stdlib.h>

static enum bh_result
load_crl(const char *path, bh_expectation *x, bh_failure *failure)
{
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_result r;

    if (bh_file_read(path, BH_POLICY_MAX, &bytes, &len, &diag) != BH_OK) {
        bh_name_check(&diag, "crl");
        bh_hint(&diag, "give a revocation list that can be read");
        return bh_failure_set(failure, &diag, BH_ERR_USAGE);
    }
    r = bh_expectation_crl(x, bytes, len, failure);
    free(bytes);
    return r;
}

static enum bh_result
add_measurements(const struct bh_cli_list *list, bh_expectation *x, bh_failure *failure)
{
    struct bh_diag diag = {0};
    uint8_t bytes[64];
    enum bh_result r = BH_RESULT_OK;
    size_t len;

    for (size_t i = 0; i < list->len && r == BH_RESULT_OK; i++) {
        if (bh_unhex(bh_span_str(list->items[i]), bytes, sizeof(bytes), &len) != BH_OK) {
            (void)bh_refuse(&diag, BH_ERR_USAGE, "measurement", "hex of 16 to 64 bytes",
                list->items[i], "a measurement cannot be read");
            return bh_failure_set(failure, &diag, BH_ERR_USAGE);
        }
        r = bh_expectation_measurement(x, bytes, len, failure);
    }
    return r;
}

enum bh_result
bh_peer_options_load(const struct bh_peer_options *options, bh_trust **ret_trust,
    bh_expectation **ret_expectation, bh_failure *failure)
{
    bh_expectation *x = NULL;
    enum bh_result r;

    if ((r = bh_trust_load(options->root, ret_trust, failure)) != BH_RESULT_OK) {
        bh_name_check(&failure->diag, "root");
        bh_hint(&failure->diag, "give the deployment's root: %s was tried", options->root);
        return r;
    }
    r = options->workload != NULL
            ? bh_expectation_new(options->workload, ret_expectation, failure)
            : bh_expectation_new_insecure_any_workload(ret_expectation, failure);
    if (r != BH_RESULT_OK)
        return r;
    x = *ret_expectation;
    for (size_t i = 0; i < options->platforms.len && r == BH_RESULT_OK; i++)
        r = bh_expectation_platform(x, options->platforms.items[i], failure);
    if (r == BH_RESULT_OK)
        r = add_measurements(&options->measurements, x, failure);
    if (r == BH_RESULT_OK && options->crl != NULL)
        r = load_crl(options->crl, x, failure);
    if (options->accept_warning)
        bh_expectation_accept_warning(x);
    if (options->require_log)
        bh_expectation_require_log(x);
    if (options->require_revocation)
        bh_expectation_require_revocation(x);
    return r;
}

json_t *
bh_peer_json(const bh_peer *peer)
{
    char from[BH_TIME_MAX], to[BH_TIME_MAX];

    return json_pack("{s:b,s:s,s:s,s:s,s:b,s:b,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "verified", 1,
        "workload", bh_peer_workload(peer), "spiffe_id", bh_peer_spiffe_id(peer), "platform",
        bh_peer_platform(peer), "simulated", bh_peer_simulated(peer), "debug", bh_peer_debug(peer),
        "status", bh_peer_status(peer), "measurement", bh_peer_measurement(peer), "serial",
        bh_peer_serial(peer), "not_before", bh_time_text(bh_peer_not_before(peer), from),
        "not_after", bh_time_text(bh_peer_not_after(peer), to), "issuer", bh_peer_issuer(peer),
        "owner", bh_peer_owner(peer), "revocation", bh_peer_revocation(peer), "log", "not checked");
}

json_t *
bh_failure_json(const bh_failure *failure)
{
    return json_pack("{s:b,s:s,s:o,s:o,s:o,s:o,s:o}", "verified", 0, "code",
        bh_failure_code(failure), "check", bh_json_lossy(bh_failure_check(failure)), "expected",
        bh_json_lossy(bh_failure_expected(failure)), "found",
        bh_json_lossy(bh_failure_found(failure)), "detail",
        bh_json_lossy(bh_failure_detail(failure)), "hint", bh_json_lossy(bh_failure_hint(failure)));
}

/* Never 0: a failure that nobody filled in is one too. */
static int
exit_code(const bh_failure *failure)
{
    switch (bh_failure_result(failure)) {
    case BH_RESULT_USAGE:
        return 2;
    case BH_RESULT_UNREACHABLE:
        return 3;
    default:
        return 1;
    }
}

int
bh_peer_failed(const char *command, const bh_failure *failure, bool json)
{
    if (json) {
        json_t *doc = bh_failure_json(failure);
        (void)bh_cli_print_json(doc);
        json_decref(doc);
    }
    (void)bh_cli_failed(command, &failure->diag);
    return exit_code(failure);
}

int
bh_peer_verified(const bh_peer *peer, bool json)
{
    json_t *doc = bh_peer_json(peer);
    bool written = doc != NULL;

    if (json) {
        written = written && bh_cli_print_json(doc);
    } else if (written) {
        bh_print_claims(stdout, doc);
        written = fflush(stdout) == 0;
    }
    json_decref(doc);
    return written ? 0 : 2;
}
