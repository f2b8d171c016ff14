/* SPDX-License-Identifier: Apache-2.0 */
/* A simulator's folder for the length of a test. */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include "folder.h"

#include "core/file.h"
#include "isolate-agent/simulator/device.h"

struct sim {
    char dir[256];
};

/** Make one and load a device of it; folder_drop(sim->dir) removes it. */
static inline struct agent_device *
open_sim(struct sim *sim, const char *platform)
{
    struct agent_device *device = NULL;

    folder_make(sim->dir);
    cr_assert_eq(agent_simulator_init(sim->dir, NULL), BH_OK);
    cr_assert_eq(agent_device_load(sim->dir, platform, &device, NULL), BH_OK);
    return device;
}

/** A file of the simulator's folder as text, malloc'ed. */
static inline char *
sim_file(const struct sim *sim, const char *name)
{
    char path[512];
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", sim->dir, name);
    cr_assert_eq(bh_file_read(path, 65536, &bytes, &len, NULL), BH_OK);
    return (char *)bytes;
}

#endif
