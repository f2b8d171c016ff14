/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What produces evidence: one file per attester behind one const table.
 *
 * An attester turns a key binding into native evidence, as a CMW in JSON (RFC 9999). Of real
 * hardware only the TPM's is built; the table knows the others by name and by the interface that
 * shows their hardware, and refuses them by name. The simulated ones ("sim:psa") play a device in
 * software, out of a folder made by `beachhead-simulator init`.
 */
#ifndef AGENT_ATTESTER_H
#define AGENT_ATTESTER_H

#include "core/err.h"
#include "core/limits.h"

/** What an attester is told. */
struct agent_attester_config {
    const char *simulator; /* --simulator DIR; NULL when it was not given */
};

struct agent_attester {
    const char *name;     /* as --attester takes it */
    const char *platform; /* the platform of its evidence */
    const char *needs;    /* the path that shows its hardware; NULL for simulated ones */
    /* Its folder or device is usable. NULL with `evidence`: not built yet. */
    enum bh_err (*check)(const struct agent_attester *attester,
        const struct agent_attester_config *config, struct bh_diag *diag);
    /* @p spki: for platforms whose evidence carries a key. @p ret_cmw is malloc'ed. */
    enum bh_err (*evidence)(const struct agent_attester *attester,
        const struct agent_attester_config *config, const uint8_t binding[BH_BINDING_LEN],
        struct bh_span spki, int64_t now, char **ret_cmw, struct bh_diag *diag);
};

extern const struct agent_attester agent_attesters[];
extern const size_t agent_attesters_len;

/** Whether its hardware shows itself on this machine; false for simulated ones. */
bool agent_attester_visible(const struct agent_attester *attester);

/**
 * The attester of @p name, ready: "auto" takes the hardware's own. Refused with check "attester":
 * one that is not built yet and "auto" where there is none (BH_ERR_UNSUPPORTED), an unknown name or
 * a simulated one without a folder (BH_ERR_USAGE).
 */
BH_MUST_USE enum bh_err agent_attester_find(const char *name,
    const struct agent_attester_config *config, const struct agent_attester **ret_attester,
    struct bh_diag *diag);

/** tpm2.c, where the TPM's software stack was there when this was built. */
enum bh_err agent_tpm2_check(const struct agent_attester *attester,
    const struct agent_attester_config *config, struct bh_diag *diag);
enum bh_err agent_tpm2_evidence(const struct agent_attester *attester,
    const struct agent_attester_config *config, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, int64_t now, char **ret_cmw, struct bh_diag *diag);

/** simulated.c */
enum bh_err agent_simulated_check(const struct agent_attester *attester,
    const struct agent_attester_config *config, struct bh_diag *diag);
enum bh_err agent_simulated_evidence(const struct agent_attester *attester,
    const struct agent_attester_config *config, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, int64_t now, char **ret_cmw, struct bh_diag *diag);

#endif
