/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_options.h"

#include "core/text.h"

enum bh_err
bh_evidence_options_load(const struct bh_evidence_options *options,
    struct bh_trust_inputs *ret_inputs, struct bh_diag *diag)
{
    *ret_inputs = (struct bh_trust_inputs){.at = bh_time_now(), .collateral = options->collateral};
    if (options->at != NULL && bh_time_read(options->at, &ret_inputs->at) != BH_OK)
        return bh_refuse(diag, BH_ERR_USAGE, "at", "a time like 2026-11-23T18:06:00Z", options->at,
            "the time is not RFC 3339 in UTC");
    if (options->anchors.len > BH_COUNT(ret_inputs->anchor_files) ||
        options->keys.len > BH_COUNT(ret_inputs->key_files))
        return bh_refuse(diag, BH_ERR_USAGE, "trust_anchor", "at most 32 anchors and 16 keys",
            "more", "too many files to trust");
    for (size_t i = 0; i < options->anchors.len; i++)
        ret_inputs->anchor_files[ret_inputs->anchor_files_len++] = options->anchors.items[i];
    for (size_t i = 0; i < options->keys.len; i++)
        ret_inputs->key_files[ret_inputs->key_files_len++] = options->keys.items[i];
    return bh_trust_inputs_load(ret_inputs, diag);
}
