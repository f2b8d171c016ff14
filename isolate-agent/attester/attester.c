/* SPDX-License-Identifier: Apache-2.0 */
#include "attester.h"

#include <stdio.h>
#include <unistd.h>

#define TSM "/sys/kernel/config/tsm/report"

const struct agent_attester agent_attesters[] = {
    {.name = "aws-nitro", .platform = "aws-nitro", .needs = "/dev/nsm"},
    {.name = "arm-cca", .platform = "arm-cca", .needs = TSM},
    {.name = "psa", .platform = "psa", .needs = "/dev/psa"},
    {.name = "amd-sev-snp", .platform = "amd-sev-snp", .needs = TSM},
    {.name = "intel-tdx", .platform = "intel-tdx", .needs = TSM},
    {.name = "intel-sgx", .platform = "intel-sgx", .needs = "/dev/attestation"},
    {.name = "tpm2",
        .platform = "tpm2",
        .needs = "/dev/tpmrm0",
#ifdef AGENT_TPM2
        .check = agent_tpm2_check,
        .evidence = agent_tpm2_evidence
#endif
    },
    {.name = "aws-nitrotpm", .platform = "aws-nitrotpm", .needs = "/dev/tpmrm0"},
    {.name = "sim:aws-nitro",
        .platform = "aws-nitro",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:arm-cca",
        .platform = "arm-cca",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:psa",
        .platform = "psa",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:amd-sev-snp",
        .platform = "amd-sev-snp",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:intel-sgx",
        .platform = "intel-sgx",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:intel-tdx",
        .platform = "intel-tdx",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:aws-nitrotpm",
        .platform = "aws-nitrotpm",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
    {.name = "sim:tpm2",
        .platform = "tpm2",
        .check = agent_simulated_check,
        .evidence = agent_simulated_evidence},
};
const size_t agent_attesters_len = BH_COUNT(agent_attesters);

static const char hint_simulated[] =
    "simulated devices: `beachhead-simulator init --dir SIM`, then --attester sim:psa --simulator "
    "SIM, against a server made with --allow-simulated";

bool
agent_attester_visible(const struct agent_attester *attester)
{
    return attester->needs != NULL && access(attester->needs, F_OK) == 0;
}

static enum bh_err
not_built(const struct agent_attester *attester, struct bh_diag *diag)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_UNSUPPORTED, "attester",
        "an attester of this version", attester->name, "the attester %s (%s) is not built yet",
        attester->name, attester->needs);
    bh_hint(diag, "%s", hint_simulated);
    return e;
}

static enum bh_err
find_auto(const struct agent_attester **ret_attester, struct bh_diag *diag)
{
    const struct agent_attester *seen = NULL;
    enum bh_err e;

    for (size_t i = 0; i < agent_attesters_len; i++) {
        const struct agent_attester *a = &agent_attesters[i];
        if (!agent_attester_visible(a))
            continue;
        if (a->evidence != NULL) {
            *ret_attester = a;
            return BH_OK;
        }
        seen = seen == NULL ? a : seen;
    }
    if (seen != NULL)
        return not_built(seen, diag);
    e = bh_refuse(diag, BH_ERR_UNSUPPORTED, "attester", "hardware that produces evidence", "none",
        "nothing on this machine attests it");
    bh_hint(diag, "%s", hint_simulated);
    return e;
}

static enum bh_err
unknown(const char *name, struct bh_diag *diag)
{
    char names[BH_VALUE_MAX] = "auto";
    size_t at = strlen(names);

    for (size_t i = 0; i < agent_attesters_len && at < sizeof(names); i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, ", %s", agent_attesters[i].name);
    return bh_refuse(
        diag, BH_ERR_USAGE, "attester", names, name, "there is no attester of that name");
}

enum bh_err
agent_attester_find(const char *name, const struct agent_attester_config *config,
    const struct agent_attester **ret_attester, struct bh_diag *diag)
{
    const struct agent_attester *found = NULL;
    enum bh_err e;

    if (strcmp(name, "auto") == 0) {
        if ((e = find_auto(&found, diag)) != BH_OK)
            return e;
    }
    for (size_t i = 0; i < agent_attesters_len && found == NULL; i++)
        if (strcmp(agent_attesters[i].name, name) == 0)
            found = &agent_attesters[i];
    if (found == NULL)
        return unknown(name, diag);
    if (found->evidence == NULL)
        return not_built(found, diag);
    if ((e = found->check(found, config, diag)) != BH_OK)
        return e;
    *ret_attester = found;
    return BH_OK;
}
