/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of evidence share: nothing that is invented there may be authentic. */
#ifndef BH_FUZZ_JUDGE_H
#define BH_FUZZ_JUDGE_H

#include "fuzz.h"

#include "evidence/evidence.h"

/** The step failed with @p e, and the report names the check. */
void fuzz_must_fail(enum bh_err e, const struct ev_report *report);
/** ev_claims, ev_bind, and ev_authenticate under the vendors' roots at @p now, which must fail. */
void fuzz_judge(struct ev_evidence *ev, int64_t now);
/** ev_decode_raw; judged when it is of @p platform (NULL: whosever it is). */
void fuzz_judge_raw(struct bh_span in, const char *platform, int64_t now);
/** ev_decode of @p cmw, and judged. */
void fuzz_judge_cmw(const struct bh_cmw *cmw, int64_t now);
/** A collection of @p type of those of the @p count values that are not empty, judged. */
void fuzz_judge_parts(const char *type, const char *const *labels, const struct bh_span *values,
    size_t count, int64_t now);
/** The same of values that stand in @p in one after the other, each behind a length of two bytes.
 */
void fuzz_judge_divided(
    const char *type, const char *const *labels, size_t count, struct bh_span in, int64_t now);

#endif
