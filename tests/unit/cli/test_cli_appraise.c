/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead appraise: the project's own vectors by their policies, and bindings of the simulator.
 */
#include "core/binding.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "run.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTORS BH_SOURCE_DIR "/tests/vectors/"

struct given {
    json_t *set;
    const char *at, *flag, *trust, *policy;
};

static void
begin(struct given *g, const char *name)
{
    const char *anchor;
    char path[512];

    (void)snprintf(path, sizeof(path), VECTORS "%s/set.json", name);
    g->set = json_load_file(path, 0, NULL);
    cr_assert_not_null(g->set);
    g->at = json_string_value(json_object_get(g->set, "at"));
    anchor = json_string_value(json_object_get(g->set, "anchor"));
    char *policy = bh_json_text(json_object_get(g->set, "policy"), false);
    char *endorsed = bh_json_text(json_object_get(g->set, "endorsed"), false);
    g->flag = anchor != NULL ? "--trust-anchor" : "--endorsed-key";
    g->trust = put("trust", bh_span_str(anchor != NULL ? anchor : endorsed));
    g->policy = put("policy.json", bh_span_str(policy));
    free(policy);
    free(endorsed);
}

static void
appraise(struct ran *r, const struct given *g, const char *file)
{
    RUN(r, "appraise", "--json", "--at", g->at, "--policy", g->policy, g->flag, g->trust, file);
}

Test(appraise, accepts, .fini = end_folder)
{
    static const char *const sets[] = {"psa", "arm-cca", "arm-cca-rmm1", "aws-nitro"};
    struct ran r = {0};
    char file[512];

    for (size_t i = 0; i < 4; i++) {
        struct given g;

        begin(&g, sets[i]);
        (void)snprintf(file, sizeof(file), VECTORS "%s/accept/genuine.cmw", sets[i]);
        appraise(&r, &g, file);
        expect_json(&r, 0);
        expect_members(r.json, (const char *[]){"kind", "platform", "authentic", "checks", "claims",
                                   "verdict", "status", "binding", NULL});
        cr_expect_str_eq(text_of(&r, "verdict"), "accept");
        cr_expect_str_eq(text_of(&r, "status"), "warning", "simulation is never affirming");
        cr_expect_str_eq(text_of(&r, "binding"), "not given");
        RUN(&r, "appraise", "--at", g.at, "--policy", g.policy, g.flag, g.trust, file);
        expect_run(&r, 0, NULL);
        cr_expect_not_null(strstr(r.out, "verdict: accept\nstatus: warning\n"));
        /* No trust, no verdict. */
        RUN(&r, "appraise", "--json", "--at", g.at, "--policy", g.policy, file);
        expect_json(&r, 1);
        cr_expect_str_eq(text_of(&r, "verdict"), "refuse");
        cr_expect_str_eq(text_of(&r, "status"), "none");
        json_decref(g.set);
    }
    ran_clear(&r);
}

/* What the command is not told: the challenge, and which keys belong to which instance. */
static bool
needs_more(const char *set, const char *name)
{
    return strcmp(name, "binding") == 0 ||
           (strcmp(name, "root") == 0 && strcmp(set, "aws-nitro") != 0);
}

static void
refuses(const struct given *g, const char *set, const char *name)
{
    struct ran r = {0};
    char file[512];

    (void)snprintf(file, sizeof(file), VECTORS "%s/reject/%s.json", set, name);
    json_t *expected = json_load_file(file, 0, NULL);
    const char *check = json_string_value(json_object_get(expected, "check"));
    (void)snprintf(file, sizeof(file), VECTORS "%s/reject/%s.cmw", set, name);
    appraise(&r, g, file);
    if (!needs_more(set, name)) {
        expect_json(&r, 1);
        cr_expect_str_eq(failed_check(&r), check, "%s/%s: %s", set, name, failed_check(&r));
        cr_expect_str_eq(text_of(&r, "verdict"), "refuse");
        cr_expect_str_neq(text_of(&r, "status"), "affirming");
        RUN(&r, "appraise", "--at", g->at, "--policy", g->policy, g->flag, g->trust, file);
        expect_run(&r, 1, check);
        cr_expect_not_null(strstr(r.out, "verdict: refuse"));
    } else if (strcmp(name, "root") == 0) {
        expect_json(&r, 1);
    }
    json_decref(expected);
    ran_clear(&r);
}

Test(appraise, refuses_every_tampering, .fini = end_folder, .timeout = 250)
{
    static const char *const sets[] = {"psa", "arm-cca", "arm-cca-rmm1", "aws-nitro"};
    const struct dirent *entry;
    char path[512], name[64];
    size_t count = 0;

    for (size_t i = 0; i < 4; i++) {
        struct given g;

        begin(&g, sets[i]);
        (void)snprintf(path, sizeof(path), VECTORS "%s/reject", sets[i]);
        DIR *list = opendir(path);
        cr_assert_not_null(list);
        while ((entry = readdir(list)) != NULL) {
            const char *dot = strstr(entry->d_name, ".cmw");
            if (dot == NULL)
                continue;
            (void)snprintf(name, sizeof(name), "%.*s", (int)(dot - entry->d_name), entry->d_name);
            refuses(&g, sets[i], name);
            count++;
        }
        (void)closedir(list);
        json_decref(g.set);
    }
    cr_expect_geq(count, 20);
}

/* A device of the simulator, its policy as `admit` writes it, and evidence over our binding. */
struct device {
    EVP_PKEY *key, *other;
    char sim[128], server[128], policy[256], evidence[256], spki[128], wrong[128], challenge[64];
    char trust[256], flag[32];
};

static void sh(const char *fmt, ...) BH_PRINTF(1, 2);

static void
sh(const char *fmt, ...)
{
    struct ran r = {0};
    char line[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    run(&r, "sh", bh_span_none(), (const char *const[]){"-c", line, NULL});
    cr_assert_eq(r.status, 0, "%s: %s%s", line, r.out, r.err);
    ran_clear(&r);
}

static void
make_evidence(struct device *d, const char *platform, const char *context)
{
    static const uint8_t challenge[] = "a challenge of a server";
    char hex[2 * BH_BINDING_LEN + 1];
    uint8_t spki[BH_SPKI_MAX], binding[BH_BINDING_LEN];
    size_t len = 0;

    cr_assert_eq(bh_spki_encode(d->key, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_binding(bh_span(challenge, sizeof(challenge)), bh_span(spki, len),
                     bh_span_str(context), binding),
        BH_OK);
    (void)bh_base64url(bh_span(challenge, sizeof(challenge)), d->challenge, sizeof(d->challenge));
    (void)snprintf(d->spki, sizeof(d->spki), "%s", put("spki.der", bh_span(spki, len)));
    cr_assert_eq(bh_spki_encode(d->other, spki, sizeof(spki), &len, NULL), BH_OK);
    (void)snprintf(d->wrong, sizeof(d->wrong), "%s", put("wrong.der", bh_span(spki, len)));
    (void)snprintf(d->evidence, sizeof(d->evidence), "%s/evidence.cmw", folder());
    sh(BH_BIN_DIR
        "/beachhead-simulator evidence --dir %s --platform %s --binding %s --spki %s -o %s",
        d->sim, platform, bh_hex(bh_span(binding, sizeof(binding)), hex, sizeof(hex)), d->spki,
        d->evidence);
}

#define BOUND(d)                                                                                   \
    "--challenge", (d)->challenge, "--spki", (d)->spki, "--policy", (d)->policy, (d)->flag,        \
        (d)->trust

static void
check_binding(struct device *d, const char *platform)
{
    struct ran r = {0};
    char check[64];

    (void)snprintf(check, sizeof(check), "%s.binding", platform);
    make_evidence(d, platform, "");
    RUN(&r, "appraise", "--json", BOUND(d), d->evidence);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "binding"), "checked");
    RUN(&r, "appraise", "--json", "--challenge", d->challenge, "--spki", d->wrong, "--policy",
        d->policy, d->flag, d->trust, d->evidence);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), check);
    RUN(&r, "appraise", "--json", "--challenge", "AAAA", "--spki", d->spki, "--policy", d->policy,
        d->flag, d->trust, d->evidence);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), check);
    RUN(&r, "appraise", "--json", BOUND(d), "--context", "61", d->evidence);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), check);
    make_evidence(d, platform, "a");
    RUN(&r, "appraise", "--json", BOUND(d), "--context", "61", d->evidence);
    expect_json(&r, 0);
    RUN(&r, "appraise", "--json", BOUND(d), d->evidence);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), check);
    ran_clear(&r);
}

Test(appraise, bindings, .fini = end_folder, .timeout = 250)
{
    static const char *const platforms[] = {"psa", "arm-cca", "aws-nitro"};
    struct device d = {.key = bh_test_key("P-256"), .other = bh_test_key("P-256")};

    (void)snprintf(d.sim, sizeof(d.sim), "%s/sim", folder());
    (void)snprintf(d.server, sizeof(d.server), "%s/server", folder());
    (void)snprintf(d.policy, sizeof(d.policy), "%s/policy/payments.json", d.server);
    sh(BH_BIN_DIR "/beachhead-simulator init --dir %s", d.sim);
    sh("mkdir -p %s && cd %s && mkdir -p policy trust endorsed collateral && "
       "echo '{\"trust_domain\":\"fleet.example\"}' >server.json",
        d.server, d.server);
    sh(BH_BIN_DIR "/beachhead-simulator admit --dir %s --server-dir %s --workload payments", d.sim,
        d.server);
    sh("cd %s && cat endorsed/*psa*.json >psa.json && cat endorsed/*cca*.json >arm-cca.json && "
       "cat trust/simulated/*nitro* >aws-nitro.json",
        d.server);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(d.trust, sizeof(d.trust), "%s/%s.json", d.server, platforms[i]);
        (void)snprintf(d.flag, sizeof(d.flag), "%s", i == 2 ? "--trust-anchor" : "--endorsed-key");
        check_binding(&d, platforms[i]);
    }
    sh("rm -rf %s %s", d.sim, d.server);
    EVP_PKEY_free(d.key);
    EVP_PKEY_free(d.other);
}

/* Wrong usage is told apart from refused evidence. */
Test(appraise, wrong_usage, .fini = end_folder)
{
    struct given g;
    struct ran r = {0};

    begin(&g, "psa");
#define FILES "--policy", g.policy, "--endorsed-key", g.trust
#define GENUINE VECTORS "psa/accept/genuine.cmw"
    RUN(&r, "appraise", FILES, "--challenge", "AAAA", GENUINE);
    expect_run(&r, 2, "--challenge and --spki together");
    RUN(&r, "appraise", FILES, "--spki", g.trust, GENUINE);
    expect_run(&r, 2, "--challenge and --spki together");
    RUN(&r, "appraise", FILES, "--context", "00", GENUINE);
    expect_run(&r, 2, "--challenge and --spki with it");
    RUN(&r, "appraise", FILES, "--challenge", "!", "--spki", g.trust, GENUINE);
    expect_run(&r, 2, "base64url");
    RUN(&r, "appraise", FILES, "--challenge", "AAAA", "--spki", "/nonexistent", GENUINE);
    expect_run(&r, 2, "/nonexistent");
    RUN(&r, "appraise", FILES, "--challenge", "AAAA", "--spki",
        put("mac", bh_span_str("0123456789abcdef")), GENUINE);
    expect_run(&r, 2, "a public key, PEM or DER");
    RUN(&r, "appraise", FILES, "--challenge", "AAAA", "--spki", g.trust, "--context", "zz",
        GENUINE);
    expect_run(&r, 2, "hex of at most 64 bytes");
    RUN(&r, "appraise", "--json", "--policy", "/nonexistent", GENUINE);
    expect_json(&r, 2);
    cr_expect_str_eq(text_of(&r, "verdict"), "refuse");
    cr_expect_str_eq(text_of(&r, "status"), "none");
    RUN(&r, "appraise", "--json", "--policy", put("bad.json", bh_span_str("{\"workload\":1}")),
        GENUINE);
    expect_json(&r, 2);
    cr_expect_not_null(strstr(r.err, "bad.json"));
    RUN(&r, "appraise", FILES, "/nonexistent");
    expect_run(&r, 2, "/nonexistent");
    cr_expect_str_eq(r.out, "");
    RUN(&r, "appraise", "--json", FILES, g.policy);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "input");
    RUN(&r, "appraise", "--json", FILES, put("junk", bh_span_str("junk")));
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "verdict"), "refuse");
    json_decref(g.set);
    ran_clear(&r);
}
