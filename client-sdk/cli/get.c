/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead get: a URL of an isolate, over libcurl with the verification inside its handshake. */
#include "commands.h"
#include "peer_options.h"

#include "beachhead/curl.h"
#include "src/internal.h"

#include <stdio.h>

#define COMMAND "beachhead get"

static enum bh_result
transfer(CURL *easy, const char *url, const bh_curl *attached, bh_failure *failure)
{
    char why[CURL_ERROR_SIZE] = "";
    struct bh_diag diag = {0};
    CURLcode rc;
    enum bh_err e;

    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, 15L);
    /* A peer that goes silent ends the transfer; a slow one may take its time. */
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 30L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, stdout);
    rc = curl_easy_perform(easy);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    if (rc == CURLE_OK && fflush(stdout) == 0)
        return BH_RESULT_OK;
    const bh_failure *refused = bh_curl_failure(attached);
    if (refused != NULL)
        return bh_failure_set(failure, &refused->diag, refused->diag.err);
    switch (rc) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        e = BH_ERR_USAGE;
        break;
    case CURLE_HTTP_RETURNED_ERROR:
        e = BH_ERR_NOT_FOUND;
        break;
    case CURLE_OK:
    case CURLE_WRITE_ERROR:
        e = BH_ERR_IO;
        break;
    default:
        e = BH_ERR_NETWORK;
    }
    (void)bh_refuse(&diag, e, "transfer", "the content of the URL",
        why[0] != '\0' ? why : curl_easy_strerror(rc), "%s was not fetched", url);
    return bh_failure_set(failure, &diag, e);
}

static enum bh_result
get(const struct bh_peer_options *o, const char *url, bh_failure *failure)
{
    CURL *easy = curl_easy_init();
    bh_expectation *x = NULL;
    bh_trust *trust = NULL;
    bh_curl *attached = NULL;
    enum bh_result r = BH_RESULT_INTERNAL;

    if (easy != NULL && (r = bh_peer_options_load(o, &trust, &x, failure)) == BH_RESULT_OK &&
        (r = bh_curl_attach(easy, trust, x, &attached, failure)) == BH_RESULT_OK)
        r = transfer(easy, url, attached, failure);
    curl_easy_cleanup(easy);
    bh_curl_free(attached);
    bh_expectation_free(x);
    bh_trust_free(trust);
    return r;
}

int
bh_cmd_get(int argc, char **argv)
{
    struct bh_peer_options o = {0};
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
        {.name = "accept-warning",
            .help = "accept the status \"warning\"",
            .flag = &o.accept_warning},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose =
            "Fetch a URL from an isolate to standard output. Nothing is sent before the isolate is "
            "verified.",
        .example = COMMAND " --root root.crt --workload payments https://10.0.0.7:8443/status",
        .options = options,
        .args = "URL",
        .args_min = 1,
        .args_max = 1,
    };
    bh_failure *failure = bh_failure_new();
    struct bh_cli_list args;
    int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc < 0 && failure != NULL)
        rc = get(&o, args.items[0], failure) == BH_RESULT_OK
                 ? 0
                 : bh_peer_failed(COMMAND, failure, false);
    bh_failure_free(failure);
    return rc < 0 ? 1 : rc;
}
