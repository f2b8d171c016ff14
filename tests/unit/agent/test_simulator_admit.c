/* SPDX-License-Identifier: Apache-2.0 */
/* What admit writes into a server's folder, again and with other devices. */
#include "folder.h"

#include "core/file.h"
#include "core/json.h"
#include "isolate-agent/simulator/device.h"

#include <criterion/criterion.h>
#include <dirent.h>

static json_t *
read_json(const char *dir, const char *name)
{
    char path[512];
    uint8_t *bytes = NULL;
    json_t *json = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK, "%s", path);
    cr_assert_eq(bh_json_parse(bh_span(bytes, len), 1 << 20, &json, NULL), BH_OK);
    free(bytes);
    return json;
}

static void
admit(const char *dir, const char *platform, uint32_t instance)
{
    struct agent_device *device = NULL;
    struct bh_diag diag = {0};

    cr_assert_eq(agent_device_make(platform, instance, &device, NULL), BH_OK);
    cr_assert_eq(
        agent_device_admit(device, dir, "pay", "fleet.example", &diag), BH_OK, "%s", diag.detail);
    agent_device_free(device);
}

static size_t
accepts(const char *dir)
{
    json_t *policy = read_json(dir, "policy/pay.json");
    const size_t n = json_array_size(json_object_get(policy, "accept"));

    json_decref(policy);
    return n;
}

static size_t
files(const char *dir, const char *folder)
{
    const struct dirent *entry;
    char path[512];
    size_t n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, folder);
    cr_assert_not_null(d = opendir(path));
    while ((entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(d);
    return n;
}

Test(admit, writes_policy_names_and_entries)
{
    json_t *policy, *accept;
    char dir[256];

    folder_make(dir);
    admit(dir, "aws-nitro", 1);
    admit(dir, "psa", 1);
    admit(dir, "arm-cca", 1);
    policy = read_json(dir, "policy/pay.json");
    cr_assert_str_eq(json_string_value(json_object_get(policy, "workload")), "pay");
    cr_assert_str_eq(json_string_value(json_array_get(
                         json_object_get(json_object_get(policy, "certificate"), "dns"), 0)),
        "pay.fleet.example");
    accept = json_object_get(policy, "accept");
    cr_assert_eq(json_array_size(accept), 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert(json_is_true(json_object_get(json_array_get(accept, i), "simulated")));
    json_decref(policy);
    cr_assert_eq(files(dir, "trust/simulated"), 1);
    cr_assert_eq(files(dir, "endorsed"), 2);
    folder_drop(dir);
}

Test(admit, endorsements_say_simulated_silicon)
{
    struct agent_device *device = NULL;
    const struct dirent *entry;
    json_t *json = NULL;
    char dir[256], path[300];
    DIR *d;

    folder_make(dir);
    cr_assert_eq(agent_device_make("psa", 1, &device, NULL), BH_OK);
    cr_assert_eq(agent_device_admit(device, dir, "pay", "fleet.example", NULL), BH_OK);
    (void)snprintf(path, sizeof(path), "%s/endorsed", dir);
    cr_assert_not_null(d = opendir(path));
    while ((entry = readdir(d)) != NULL)
        if (strncmp(entry->d_name, "simulated-psa-", 14) == 0)
            json = read_json(path, entry->d_name);
    (void)closedir(d);
    cr_assert_not_null(json);
    cr_assert_str_eq(json_string_value(json_object_get(json, "platform")), "psa");
    cr_assert_str_eq(json_string_value(json_object_get(json, "class")), "silicon");
    cr_assert(json_is_true(json_object_get(json, "simulated")));
    cr_assert_eq(strlen(json_string_value(json_object_get(json, "instance_id"))), 66);
    cr_assert_eq(
        strncmp(json_string_value(json_object_get(json, "key")), "-----BEGIN PUBLIC KEY-----", 26),
        0);
    json_decref(json);
    agent_device_free(device);
    folder_drop(dir);
}

Test(admit, again_replaces_and_another_device_is_added)
{
    char dir[256];

    folder_make(dir);
    admit(dir, "aws-nitro", 1);
    admit(dir, "aws-nitro", 1);
    cr_assert_eq(accepts(dir), 1);
    admit(dir, "aws-nitro", 2);
    cr_assert_eq(accepts(dir), 2);
    admit(dir, "aws-nitro", 1);
    cr_assert_eq(accepts(dir), 2);
    cr_assert_eq(files(dir, "trust/simulated"), 1);
    /* Devices of one implementation share an entry: what tells them apart is the endorsed key. */
    admit(dir, "psa", 1);
    admit(dir, "psa", 2);
    cr_assert_eq(accepts(dir), 3);
    cr_assert_eq(files(dir, "endorsed"), 2);
    folder_drop(dir);
}

/* Two simulators, two roots: the anchors of both stand in the file. */
Test(admit, another_root_is_added)
{
    char server[256], sims[2][256], path[512];
    uint8_t *bytes = NULL;
    size_t len = 0, roots = 0;

    folder_make(server);
    for (int i = 0; i < 3; i++) {
        struct agent_device *device = NULL;
        char *sim = sims[i % 2];

        if (i < 2) {
            folder_make(sim);
            cr_assert_eq(agent_simulator_init(sim, NULL), BH_OK);
        }
        cr_assert_eq(agent_device_load(sim, "aws-nitro", &device, NULL), BH_OK);
        cr_assert_eq(agent_device_admit(device, server, "pay", "fleet.example", NULL), BH_OK);
        agent_device_free(device);
    }
    (void)snprintf(path, sizeof(path), "%s/trust/simulated/aws-nitro-simulated.pem", server);
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK);
    for (const char *at = (const char *)bytes; (at = strstr(at, "BEGIN CERTIFICATE")) != NULL; at++)
        roots++;
    cr_assert_eq(roots, 2);
    cr_assert_eq(accepts(server), 2);
    free(bytes);
    folder_drop(server);
    folder_drop(sims[0]);
    folder_drop(sims[1]);
}

static void
refuses(const char *policy, enum bh_err err, const char *check)
{
    struct agent_device *device = NULL;
    struct bh_diag diag = {0};
    char dir[256], path[300];
    uint8_t *bytes = NULL;
    size_t len = 0;

    folder_make(dir);
    admit(dir, "psa", 1);
    (void)snprintf(path, sizeof(path), "%s/policy/pay.json", dir);
    cr_assert_eq(bh_file_write(path, bh_span_str(policy), 0644, NULL), BH_OK);
    cr_assert_eq(agent_device_make("psa", 1, &device, NULL), BH_OK);
    cr_assert_eq(agent_device_admit(device, dir, "pay", "fleet.example", &diag), err);
    cr_assert_str_eq(diag.check, check);
    cr_assert_str_neq(diag.hint, "");
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK);
    cr_assert_str_eq((const char *)bytes, policy, "the policy must stay as it was");
    free(bytes);
    agent_device_free(device);
    folder_drop(dir);
}

Test(admit, leaves_a_policy_for_hardware_alone)
{
    refuses("{\"workload\":\"pay\",\"accept\":[{\"platform\":\"psa\"}]}", BH_ERR_POLICY,
        "policy.accept");
}

Test(admit, leaves_a_broken_policy_alone)
{
    refuses("{\"workload\":", BH_ERR_MALFORMED, "policy");
    refuses("{\"workload\":\"pay\"}", BH_ERR_MALFORMED, "accept");
}

Test(admit, bad_names_are_refused)
{
    struct agent_device *device = NULL;
    struct bh_diag diag = {0};
    char dir[256];

    folder_make(dir);
    cr_assert_eq(agent_device_make("psa", 1, &device, NULL), BH_OK);
    cr_assert_eq(agent_device_admit(device, dir, "../pay", "fleet.example", &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "workload");
    bh_diag_clear(&diag);
    cr_assert_eq(agent_device_admit(device, dir, "pay", "no domain", &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "trust_domain");
    bh_diag_clear(&diag);
    cr_assert_eq(
        agent_device_admit(device, "/proc/none", "pay", "fleet.example", &diag), BH_ERR_IO);
    agent_device_free(device);
    folder_drop(dir);
}
