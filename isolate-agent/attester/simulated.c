/* SPDX-License-Identifier: Apache-2.0 */
/* sim:PLATFORM: a software device under simulated vendor roots, out of a simulator's folder. */
#include "attester.h"

#include "isolate-agent/simulator/device.h"

/* The device is loaded for each use: between renewals its keys are in no memory of ours. */
static enum bh_err
load(const struct agent_attester *attester, const struct agent_attester_config *config,
    struct agent_device **ret_device, struct bh_diag *diag)
{
    if (config->simulator == NULL) {
        const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, "attester", "--simulator DIR", "none",
            "%s needs the folder of its device", attester->name);
        bh_hint(diag, "make one with: beachhead-simulator init --dir SIM");
        return e;
    }
    return agent_device_load(config->simulator, attester->platform, ret_device, diag);
}

enum bh_err
agent_simulated_check(const struct agent_attester *attester,
    const struct agent_attester_config *config, struct bh_diag *diag)
{
    struct agent_device *device = NULL;
    const enum bh_err e = load(attester, config, &device, diag);

    if (e == BH_OK)
        agent_device_free(device);
    return e;
}

enum bh_err
agent_simulated_evidence(const struct agent_attester *attester,
    const struct agent_attester_config *config, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, int64_t now, char **ret_cmw, struct bh_diag *diag)
{
    struct agent_device *device = NULL;
    enum bh_err e;

    if ((e = load(attester, config, &device, diag)) != BH_OK)
        return e;
    e = agent_device_evidence(device, binding, spki, AGENT_TAMPER_NONE, now, ret_cmw, diag);
    agent_device_free(device);
    return e;
}
