/* SPDX-License-Identifier: Apache-2.0 */
/* Intel evidence as a collection of files and bytes that tests put together, and its judgement. */
#ifndef INTEL_JUDGE_H
#define INTEL_JUDGE_H

#include "evidence/evidence.h"
#include "evidence/policy.h"

/** A collection whose records are owned. intel_pieces_clear() frees. */
struct intel_pieces {
    struct bh_cmw cmw;
};

/** An empty collection of Intel's type. */
void intel_pieces_init(struct intel_pieces *p);
void intel_pieces_clear(struct intel_pieces *p);
/** Put a copy of the bytes under the label, in place of what stood there. */
void intel_put(struct intel_pieces *p, const char *label, struct bh_span bytes);
/** Take the label away. */
void intel_drop(struct intel_pieces *p, const char *label);
/** The bytes of a label; they may be changed. */
struct bh_span intel_get(const struct intel_pieces *p, const char *label);
uint8_t *intel_bytes(struct intel_pieces *p, const char *label);
/** Every file of a vector's folder that is a piece of a collection: "sgx/v3-...". */
void intel_load(struct intel_pieces *p, const char *folder);
/** One vector file under a label. */
void intel_load_file(struct intel_pieces *p, const char *label, const char *file);

/** Decode and authenticate under @p trust; the evidence in @p ret_ev (may be NULL), to be freed. */
enum bh_err intel_judge(const struct intel_pieces *p, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev);
/** The same under the built-in roots. */
enum bh_err intel_judge_at(const struct intel_pieces *p, int64_t at, struct ev_report *report);
/** It must be refused so. */
void intel_must_refuse(const struct intel_pieces *p, const struct ev_trust *trust, enum bh_err err,
    const char *check, const char *why);
/** Appraise under a policy whose accept holds the one @p entry. */
enum bh_err intel_appraise(const struct intel_pieces *p, const struct ev_trust *trust,
    const char *entry, struct ev_report *report, struct ev_verdict *ret_verdict);

/** "2025-07-01" as Unix seconds. */
int64_t intel_day(const char *day);

#endif
