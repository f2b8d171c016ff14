/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the vectors of this folder anew, with new devices: make-vectors DIR. The private keys are
 * forgotten; what verification needs is written beside the evidence.
 */
#include "unit/agent/tampers.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKLOAD "vector"
#define FILE_MAX (1024 * 1024)

static const struct set {
    const char *name;
    const char *platform;
    uint32_t instance;
    const char *const reject[16];
} sets[] = {
    {"psa", "psa", 1,
        {"signature", "binding", "debug", "duplicate", "no-alg", "mixed", "missing-component",
            "root"}},
    {"arm-cca", "arm-cca", 2,
        {"signature", "chain", "binding", "debug", "profile", "trailing", "root"}},
    {"arm-cca-rmm1", "arm-cca", 1, {"chain", "measurement"}},
    {"aws-nitro", "aws-nitro", 1,
        {"signature", "chain", "expired", "debug", "duplicate", "nitrotpm", "root"}},
};

static void
need(bool good, const char *what, const struct bh_diag *diag)
{
    if (good)
        return;
    fprintf(stderr, "make-vectors: %s: %s\n", what, diag != NULL ? diag->detail : strerror(errno));
    exit(1);
}

static void
folder(const char *dir, const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    need(mkdir(path, 0755) == 0 || errno == EEXIST, path, NULL);
}

static void
write_text(const char *dir, const char *name, const char *text)
{
    struct bh_diag diag = {0};
    char path[4096];
    char *line = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    need(asprintf(&line, "%s\n", text) > 0, path, NULL);
    need(bh_file_write(path, bh_span_str(line), 0644, &diag) == BH_OK, path, &diag);
    free(line);
}

static void
write_json(const char *dir, const char *name, json_t *json)
{
    char *text = bh_json_text(json, true);

    need(text != NULL, name, NULL);
    write_text(dir, name, text);
    free(text);
    json_decref(json);
}

static char *
read_text(const char *dir, const char *name)
{
    struct bh_diag diag = {0};
    char path[4096];
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    need(bh_file_read(path, FILE_MAX, &bytes, &len, &diag) == BH_OK, path, &diag);
    return (char *)bytes;
}

/* Move the one file of a folder of the admission into @p json as text or as JSON. */
static void
absorb(json_t *json, const char *member, const char *dir, const char *from, bool text)
{
    char path[2048], file[4096];
    const struct dirent *entry;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, from);
    if ((d = opendir(path)) == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        json_t *value = NULL;
        char *bytes;

        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "simulated") == 0)
            continue;
        bytes = read_text(path, entry->d_name);
        if (text)
            value = json_string(bytes);
        else
            need(bh_json_parse(bh_span_str(bytes), FILE_MAX, &value, NULL) == BH_OK, path, NULL);
        need(json_object_set_new(json, member, value) == 0, member, NULL);
        free(bytes);
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        need(unlink(file) == 0, file, NULL);
    }
    (void)closedir(d);
    need(rmdir(path) == 0, path, NULL);
}

/* What a server would be given for the device, its policy and its clock. */
static void
write_set(const struct set *set, const char *dir, struct agent_device *device, int64_t now,
    const char *binding)
{
    char temporary[] = "/tmp/bh-vectors-XXXXXX", trust[64], at[BH_TIME_MAX];
    struct bh_diag diag = {0};
    json_t *json = json_pack("{s:s,s:s,s:s}", "platform", set->platform, "at",
        bh_time_text(now, at), "binding", binding);

    need(mkdtemp(temporary) != NULL, temporary, NULL);
    need(agent_device_admit(device, temporary, WORKLOAD, "vectors.example", &diag) == BH_OK,
        set->name, &diag);
    absorb(json, "anchor", temporary, "trust/simulated", true);
    (void)snprintf(trust, sizeof(trust), "%s/trust", temporary);
    need(rmdir(trust) == 0 || errno == ENOENT, trust, NULL);
    absorb(json, "endorsed", temporary, "endorsed", false);
    absorb(json, "policy", temporary, "policy", false);
    need(rmdir(temporary) == 0, temporary, NULL);
    write_json(dir, "set.json", json);
}

static void
write_evidence(const char *dir, const char *name, struct agent_device *device,
    const uint8_t *binding, enum agent_tamper tamper, int64_t now)
{
    struct bh_diag diag = {0};
    char file[128];
    char *cmw = NULL;

    (void)snprintf(file, sizeof(file), "%s.cmw", name);
    need(agent_device_evidence(device, binding, bh_span_none(), tamper, now, &cmw, &diag) == BH_OK,
        name, &diag);
    write_text(dir, file, cmw);
    free(cmw);
}

/* The first value of a list in the policy entry, at a path of up to three steps. */
static json_t *
reference(const json_t *entry, const char *a, const char *b)
{
    const json_t *list = json_object_get(entry, a);

    if (b != NULL)
        list = json_object_get(list, b);
    return json_incref(json_array_get(list, 0));
}

static json_t *
expected_claims(const struct set *set, const json_t *entry)
{
    if (strcmp(set->platform, "psa") == 0)
        return json_pack("{s:o,s:o}", "implementation_id",
            reference(entry, "implementation_id", NULL), "lifecycle",
            reference(entry, "lifecycle", NULL));
    if (strcmp(set->platform, "arm-cca") == 0)
        return json_pack("{s:o,s:o}", "realm.initial_measurement",
            reference(entry, "realm", "initial_measurement"), "platform_token.lifecycle",
            reference(entry, "platform_token", "lifecycle"));
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "pcr0", reference(entry, "pcrs", "0"), "pcr1",
        reference(entry, "pcrs", "1"), "pcr2", reference(entry, "pcrs", "2"), "pcr3",
        reference(entry, "pcrs", "3"), "pcr4", reference(entry, "pcrs", "4"));
}

static void
write_accepted(const struct set *set, const char *dir, struct agent_device *device,
    const uint8_t *binding, int64_t now)
{
    char *text = NULL;
    json_t *entry = NULL;

    need(agent_device_policy_entry(device, &text, NULL) == BH_OK &&
             bh_json_parse(bh_span_str(text), FILE_MAX, &entry, NULL) == BH_OK,
        set->name, NULL);
    write_evidence(dir, "genuine", device, binding, AGENT_TAMPER_NONE, now);
    write_json(dir, "genuine.json",
        json_pack("{s:s,s:s,s:o}", "verdict", "accept", "status", "warning", "claims",
            expected_claims(set, entry)));
    json_decref(entry);
    free(text);
}

static void
write_refused(const struct set *set, const char *word, const char *dir, struct agent_device *device,
    const uint8_t *binding, int64_t now)
{
    char file[128];

    for (size_t i = 0; i < BH_COUNT(tamper_cases); i++) {
        const struct tamper_case *t = &tamper_cases[i];

        if (strcmp(t->platform, set->platform) != 0 || strcmp(t->word, word) != 0)
            continue;
        write_evidence(dir, word, device, binding, t->tamper, now);
        (void)snprintf(file, sizeof(file), "%s.json", word);
        write_json(dir, file,
            json_pack("{s:s,s:s,s:s}", "verdict", "refuse", "code", bh_err_code(t->err), "check",
                t->check));
        return;
    }
    need(false, word, NULL);
}

static void
make_set(const struct set *set, const char *parent, int64_t now)
{
    char dir[1024], accept[1100], reject[1100], hex[2 * BH_BINDING_LEN + 1];
    struct agent_device *device = NULL;
    uint8_t binding[BH_BINDING_LEN];
    struct bh_diag diag = {0};

    (void)snprintf(dir, sizeof(dir), "%s/%s", parent, set->name);
    (void)snprintf(accept, sizeof(accept), "%s/accept", dir);
    (void)snprintf(reject, sizeof(reject), "%s/reject", dir);
    folder(parent, set->name);
    folder(dir, "accept");
    folder(dir, "reject");
    need(bh_sha2(512, bh_span_str(set->name), binding) == BH_OK, "SHA-512", NULL);
    need(
        agent_device_make(set->platform, set->instance, &device, &diag) == BH_OK, set->name, &diag);
    write_set(set, dir, device, now, bh_hex(bh_span(binding, sizeof(binding)), hex, sizeof(hex)));
    write_accepted(set, accept, device, binding, now);
    for (size_t i = 0; set->reject[i] != NULL; i++)
        write_refused(set, set->reject[i], reject, device, binding, now);
    agent_device_free(device);
}

int
main(int argc, char **argv)
{
    const struct bh_cli_usage usage = {
        .command = "make-vectors",
        .purpose = "Make the project's own evidence vectors, with new simulated devices.",
        .example = "make-vectors tests/vectors",
        .args = "DIR",
        .args_min = 1,
        .args_max = 1,
    };
    const int64_t now = bh_time_now();
    struct bh_cli_list args;
    const int done = bh_cli_parse(&usage, argc, argv, &args);

    if (done >= 0)
        return done;
    for (size_t i = 0; i < BH_COUNT(sets); i++)
        make_set(&sets[i], args.items[0], now);
    return 0;
}
