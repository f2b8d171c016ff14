/* SPDX-License-Identifier: Apache-2.0 */
/* A simulator's folder: who may read it, and what is refused in it. */
#include "sim.h"

#include "core/text.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

static void
check_mode(const char *dir, const char *name, mode_t mode)
{
    char path[512];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    cr_assert_eq(st.st_mode & 0777, mode, "%s is %o", name, st.st_mode & 0777);
}

Test(folder, is_closed_to_others)
{
    const char *const keys[] = {"aws-nitro/root.key", "aws-nitro/region.key", "aws-nitro/zone.key",
        "aws-nitro/instance.key", "arm-cca/cpak.key", "arm-cca/rak.key", "psa/iak.key"};
    char parent[256], dir[300];

    folder_make(parent);
    (void)snprintf(dir, sizeof(dir), "%s/sim", parent);
    cr_assert_eq(agent_simulator_init(dir, NULL), BH_OK);
    check_mode(parent, "sim", 0700);
    check_mode(dir, "aws-nitro", 0700);
    for (size_t i = 0; i < BH_COUNT(keys); i++)
        check_mode(dir, keys[i], 0600);
    folder_drop(parent);
}

Test(folder, init_refuses_what_is_not_empty_and_changes_nothing)
{
    struct bh_diag diag = {0};
    struct sim sim;
    char *before, *after;

    agent_device_free(open_sim(&sim, "psa"));
    before = sim_file(&sim, "psa/device.json");
    cr_assert_eq(agent_simulator_init(sim.dir, &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "simulator.dir");
    cr_assert_str_neq(diag.hint, "");
    after = sim_file(&sim, "psa/device.json");
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
    folder_drop(sim.dir);
    bh_diag_clear(&diag);
    cr_assert_eq(agent_simulator_init("/proc/none/sim", &diag), BH_ERR_IO);
}

Test(folder, a_loaded_device_is_the_one_that_was_made)
{
    const char *const *platforms = agent_simulator_platforms();
    struct sim sim;

    agent_device_free(open_sim(&sim, "psa"));
    for (size_t p = 0; platforms[p] != NULL; p++) {
        struct agent_device *one = NULL, *two = NULL;
        char *a = NULL, *b = NULL;

        cr_assert_eq(agent_device_load(sim.dir, platforms[p], &one, NULL), BH_OK);
        cr_assert_eq(agent_device_load(sim.dir, platforms[p], &two, NULL), BH_OK);
        cr_assert_eq(agent_device_policy_entry(one, &a, NULL), BH_OK);
        cr_assert_eq(agent_device_policy_entry(two, &b, NULL), BH_OK);
        cr_assert_str_eq(a, b);
        free(a);
        free(b);
        agent_device_free(one);
        agent_device_free(two);
    }
    folder_drop(sim.dir);
}

Test(folder, broken_ones_are_refused_by_name)
{
    struct agent_device *device = NULL;
    struct bh_diag diag = {0};
    char from[512], to[512];
    struct sim sim;

    agent_device_free(open_sim(&sim, "psa"));
    cr_assert_eq(agent_device_load("/nonexistent", "psa", &device, &diag), BH_ERR_IO);
    cr_assert_not_null(strstr(diag.hint, "init"));
    bh_diag_clear(&diag);
    cr_assert_eq(agent_device_load(sim.dir, "nvidia-gpu", &device, &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "platform");
    bh_diag_clear(&diag);
    (void)snprintf(from, sizeof(from), "%s/arm-cca/rak.key", sim.dir);
    (void)snprintf(to, sizeof(to), "%s/psa/iak.key", sim.dir);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(agent_device_load(sim.dir, "psa", &device, &diag), BH_ERR_MALFORMED);
    cr_assert_str_eq(diag.check, "device.key");
    cr_assert_str_eq(diag.expected, "P-256");
    bh_diag_clear(&diag);
    (void)snprintf(from, sizeof(from), "%s/arm-cca/device.json", sim.dir);
    (void)snprintf(to, sizeof(to), "%s/psa/device.json", sim.dir);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(agent_device_load(sim.dir, "psa", &device, &diag), BH_ERR_MALFORMED);
    cr_assert_str_eq(diag.check, "device.platform");
    bh_diag_clear(&diag);
    cr_assert_eq(bh_file_write(to, bh_span_str("{\"platform\":\"psa\"}"), 0600, NULL), BH_OK);
    (void)snprintf(from, sizeof(from), "%s/psa/iak.key", sim.dir);
    cr_assert_eq(unlink(from), 0);
    cr_assert_eq(agent_device_load(sim.dir, "psa", &device, &diag), BH_ERR_IO);
    cr_assert_null(device);
    folder_drop(sim.dir);
}
