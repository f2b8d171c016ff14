/* SPDX-License-Identifier: Apache-2.0 */
/* GPU evidence put together from its parts, and taken through decode and authenticate. */
#ifndef NVIDIA_JUDGE_H
#define NVIDIA_JUDGE_H

#include "evidence/evidence.h"

#define NVIDIA_TYPE "tag:beachhead,2026:nvidia-gpu"

/** Parts of one collection, borrowed; those without bytes are left out. */
struct nvidia_parts {
    struct bh_span report, cert_chain;
};

/** A collection of the parts. */
void nvidia_cmw(const struct nvidia_parts *parts, struct bh_cmw *cmw);
/** Append a record. */
void nvidia_add(struct bh_cmw *cmw, const char *label, struct bh_span value);

/** Decode and authenticate; *ret_ev, where wanted, is kept. */
enum bh_err nvidia_judge(const struct nvidia_parts *parts, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev);
/** It holds; or it is refused with this error and by this check's name. */
void nvidia_must_hold(
    const struct nvidia_parts *parts, const struct ev_trust *trust, const char *what);
void nvidia_must_refuse(const struct nvidia_parts *parts, const struct ev_trust *trust,
    enum bh_err err, const char *check, const char *what);

/** The check of this name in a report; NULL when there is none. */
const struct ev_check *nvidia_check(const struct ev_report *report, const char *name);

#endif
