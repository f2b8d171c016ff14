/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead measure: what a policy pins, computed from what is to be started. */
#include "measure.h"

#include "commands.h"

#include "core/cli.h"

int
bh_cmd_measure(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"nitro", "PCRs 0, 1, 2 and 8 of an enclave image (EIF)", bh_measure_nitro},
        {"snp", "launch digest of an SEV-SNP guest", bh_measure_snp},
        {"tdx", "RTMRs that a TD holds after its event log (CCEL)", bh_measure_tdx},
        {"pcr", "PCRs that a TPM holds after a TCG event log", bh_measure_pcr},
        {0},
    };

    return bh_cli_run("beachhead measure", "Reference values for a policy, out of images and logs.",
        "beachhead measure nitro enclave.eif", commands, argc, argv);
}
