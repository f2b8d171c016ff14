/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead-bench verify: decode, bind, authenticate, appraise; in process, caches warm and cold.
 */
#include "bench.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/evidence.h"
#include "evidence/policy.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead-bench verify"
#define MEASURE_US 1e6
#define FLOOR_SAMPLES 20
#define FILE_CAP (1024 * 1024)

/* Everything that a verifier knows, out of a server's folder. */
struct judge {
    struct ev_trust trust;
    struct ev_policy *policy;
    uint8_t endorsed_key[32];
    struct ev_endorsement endorsed;
    uint8_t binding[BH_BINDING_LEN];
    struct bh_cmw cmw;
    struct ev_report report;
};

static enum bh_err
keep_endorsement(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct judge *j = arg;

    memcpy(j->endorsed_key, key, 32);
    j->endorsed = *e;
    return BH_OK;
}

static enum bh_err
lookup(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    const struct judge *j = arg;

    (void)platform;
    if (memcmp(key, j->endorsed_key, 32) != 0)
        return bh_fail(diag, BH_ERR_ENDORSEMENT_UNKNOWN, "another instance");
    *ret_e = j->endorsed;
    return BH_OK;
}

/* The files of one folder, each handed to @p take. */
static enum bh_err
each_file(struct judge *j, const char *home, const char *folder,
    enum bh_err (*take)(struct judge *, struct bh_span, struct bh_diag *), struct bh_diag *diag)
{
    char dir[400], path[700];
    struct dirent *entry;
    enum bh_err e = BH_OK;
    DIR *d;

    if ((e = bh_path_join(dir, sizeof(dir), home, folder)) != BH_OK)
        return e;
    if ((d = opendir(dir)) == NULL)
        return bh_fail(diag, BH_ERR_IO, "%s cannot be read", dir);
    while (e == BH_OK && (entry = readdir(d)) != NULL) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || (strcmp(dot, ".pem") != 0 && strcmp(dot, ".json") != 0))
            continue;
        if ((e = bh_path_join(path, sizeof(path), dir, entry->d_name)) == BH_OK &&
            (e = bh_file_read(path, FILE_CAP, &bytes, &len, diag)) == BH_OK)
            e = take(j, bh_span(bytes, len), diag);
        free(bytes);
    }
    (void)closedir(d);
    return e;
}

static enum bh_err
take_anchor(struct judge *j, struct bh_span pem, struct bh_diag *diag)
{
    X509 *cert = NULL;
    size_t n = 0;
    const enum bh_err e = bh_x509_pem(pem, &cert, 1, &n, diag);

    if (e == BH_OK)
        j->trust.anchors[j->trust.anchors_len++] =
            (struct ev_anchor){.cert = cert, .simulated = true};
    return e;
}

static enum bh_err
take_endorsed(struct judge *j, struct bh_span json, struct bh_diag *diag)
{
    return ev_endorsement_file(json, keep_endorsement, j, diag);
}

static enum bh_err
take_policy(struct judge *j, struct bh_span json, struct bh_diag *diag)
{
    return ev_policy_parse(json, &j->policy, diag);
}

static enum bh_err
set_up(struct judge *j, const char *platform, struct bh_diag *diag)
{
    struct bh_test_server server = {0};
    struct agent_device *device = NULL;
    char *cmw = NULL;
    enum bh_err e;

    j->trust = (struct ev_trust){.now = bh_time_now(),
        .allow_simulated = true,
        .lookup = lookup,
        .lookup_arg = j,
        .max_age = 300,
        .skew = 60};
    if ((e = bench_server_init(&server, diag)) != BH_OK ||
        (e = agent_device_make(platform, 1, &device, diag)) != BH_OK ||
        (e = agent_device_admit(device, server.home, "bench", "bench.example", diag)) != BH_OK ||
        (e = each_file(j, server.home, "trust/simulated", take_anchor, diag)) != BH_OK ||
        (e = each_file(j, server.home, "endorsed", take_endorsed, diag)) != BH_OK ||
        (e = each_file(j, server.home, "policy", take_policy, diag)) != BH_OK ||
        (e = bh_random(j->binding, sizeof(j->binding))) != BH_OK ||
        (e = agent_device_evidence(device, j->binding, bh_span_none(), AGENT_TAMPER_NONE,
             j->trust.now, &cmw, diag)) != BH_OK)
        goto out;
    e = bh_cmw_from_json(bh_span_str(cmw), &j->cmw, diag);
out:
    free(cmw);
    agent_device_free(device);
    bh_test_server_end(&server);
    return e;
}

static enum bh_err
judge_once(struct judge *j)
{
    struct ev_evidence *ev = NULL;
    struct ev_verdict verdict;
    enum bh_err e;

    ev_report_init(&j->report, false);
    if ((e = ev_decode(&j->cmw, &j->report, &ev)) == BH_OK &&
        (e = ev_bind(ev, j->binding, bh_span_none(), &j->report)) == BH_OK &&
        (e = ev_authenticate(ev, &j->trust, &j->report)) == BH_OK)
        e = ev_appraise(ev, j->policy, bh_span_none(), &j->report, &verdict);
    ev_evidence_free(ev);
    return e;
}

static enum bh_err
measure(struct judge *j, bool warm, struct bench_floor *floor, double *ret_us, struct bh_diag *diag)
{
    double begin, spent = 0;
    unsigned n = 0;
    enum bh_err e = BH_OK;

    j->trust.cache = ev_chain_cache_new(64);
    if (warm)
        e = judge_once(j);
    begin = bench_thread_cpu_us();
    while (e == BH_OK && spent < MEASURE_US) {
        if (!warm) {
            ev_chain_cache_free(j->trust.cache);
            j->trust.cache = ev_chain_cache_new(64);
        }
        e = judge_once(j);
        n++;
        spent = bench_thread_cpu_us() - begin;
    }
    for (size_t i = 0; i < FLOOR_SAMPLES && e == BH_OK; i++)
        e = bench_floor_sample(floor, diag);
    ev_chain_cache_free(j->trust.cache);
    j->trust.cache = NULL;
    if (e != BH_OK) {
        *diag = j->report.diag;
        return e;
    }
    *ret_us = spent / n;
    return BH_OK;
}

static enum bh_err
one_platform(const char *platform, bool json, struct bh_diag *diag)
{
    struct judge *j = calloc(1, sizeof(*j));
    double warm = 0, cold = 0, crypto = 0;
    struct bench_floor *floor = NULL;
    enum bh_err e;

    if (j == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "bench");
    if ((e = bench_floor_new(platform, &floor, diag)) == BH_OK &&
        (e = set_up(j, platform, diag)) == BH_OK &&
        (e = measure(j, true, floor, &warm, diag)) == BH_OK &&
        (e = measure(j, false, floor, &cold, diag)) == BH_OK) {
        crypto = bench_floor_evidence_us(floor);
        printf(json ? "{\"platform\":\"%s\",\"warm_us\":%.1f,\"cold_us\":%.1f,\"crypto_us\":%.1f,"
                      "\"ratio\":%.3f}\n"
                    : "%s: warm %.0f us, cold %.0f us; floor of the warm one %.0f us; ratio %.2f\n",
            platform, warm, cold, crypto, warm / crypto);
    }
    bench_floor_free(floor);
    for (size_t i = 0; i < j->trust.anchors_len; i++)
        X509_free(j->trust.anchors[i].cert);
    ev_policy_free(j->policy);
    bh_cmw_clear(&j->cmw);
    free(j);
    return e;
}

int
bench_verify(int argc, char **argv)
{
    const char *platform = NULL;
    bool json = false;
    const struct bh_cli_option options[] = {
        {.name = "platform",
            .value = "P",
            .help = "one platform (default: each of them)",
            .text = &platform},
        {.name = "json", .help = "print one line of JSON a platform", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose =
            "Measure the verification of evidence alone: decode, bind, authenticate, appraise.",
        .example = COMMAND " --platform aws-nitro --json",
        .options = options,
    };
    struct bh_diag diag = {0};
    enum bh_err e = BH_OK;
    const int rc = bh_cli_parse(&usage, argc, argv, NULL);

    if (rc >= 0)
        return rc;
    for (const char *const *p = agent_simulator_platforms(); *p != NULL && e == BH_OK; p++)
        if (platform == NULL || strcmp(platform, *p) == 0)
            e = one_platform(*p, json, &diag);
    return e == BH_OK ? 0 : bh_cli_failed(COMMAND, &diag);
}
