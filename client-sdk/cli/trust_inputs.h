/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` and `appraise` verify against: anchors, endorsed keys, collateral, a time. */
#ifndef BH_CLI_TRUST_INPUTS_H
#define BH_CLI_TRUST_INPUTS_H

#include "collateral_dir.h"

#include "evidence/evidence.h"

#define BH_CLI_KEYS_MAX 16

struct bh_trust_inputs {
    int64_t at;
    size_t anchor_files_len;
    const char *anchor_files[EV_ANCHORS_MAX];
    size_t key_files_len;
    const char *key_files[BH_CLI_KEYS_MAX];
    const char *collateral; /* a folder, or NULL */
    /* filled by bh_trust_inputs_load() */
    size_t anchors_len;
    X509 *anchors[EV_ANCHORS_MAX];
    struct bh_collateral_dir *collateral_dir;
    size_t keys_len;
    struct ev_endorsement keys[BH_CLI_KEYS_MAX];
    size_t warnings_len;
    char warnings[EV_ANCHORS_MAX + BH_CLI_KEYS_MAX][BH_TEXT_MAX];
};

/**
 * Read the files. What is given is taken as given; a key whose private half is published gets a
 * warning. BH_ERR_USAGE for a file that cannot be read or is no key or certificate.
 * bh_trust_inputs_clear() frees, also the collateral that authenticated evidence borrows from.
 */
BH_MUST_USE enum bh_err bh_trust_inputs_load(struct bh_trust_inputs *in, struct bh_diag *diag);
void bh_trust_inputs_clear(struct bh_trust_inputs *in);

/**
 * ev_authenticate() of @p ev by them: against the built-in vendor roots, or only against the
 * anchors given; with each endorsed key in turn until one holds, for whatever instance the evidence
 * names. The checks are appended to
 * @p report. Returns what ev_authenticate() does.
 */
BH_MUST_USE enum bh_err bh_trust_inputs_authenticate(
    const struct bh_trust_inputs *in, struct ev_evidence *ev, struct ev_report *report);

#endif
