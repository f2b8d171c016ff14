/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP evidence put together from its parts, and taken through decode and authenticate. */
#ifndef SNP_JUDGE_H
#define SNP_JUDGE_H

#include "evidence/evidence.h"

#define SNP_TYPE "tag:beachhead,2026:amd-sev-snp"

/** Parts of one collection, borrowed; empty ones are left out. */
struct snp_parts {
    struct bh_span report, vcek, vlek, auxblob;
};

/** What a caller's collateral function answers; empty ones are missing. */
struct snp_collateral {
    struct bh_span vcek, vlek, crl;
    enum bh_err fails; /* answers this for everything, where not BH_OK */
    size_t asked;
    char kind[32]; /* of the last question */
    uint8_t key[96];
    size_t key_len;
};

/** A collection of the parts. */
void snp_cmw(const struct snp_parts *parts, struct bh_cmw *cmw);
/** trust->collateral and its argument answer from @p c. */
void snp_use(struct ev_trust *trust, struct snp_collateral *c);

/** Decode and authenticate; *ret_ev, where wanted, is kept. */
enum bh_err snp_judge(const struct snp_parts *parts, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev);
/** The same under AMD's built-in roots at @p at. */
enum bh_err snp_judge_at(
    const struct snp_parts *parts, int64_t at, struct snp_collateral *c, struct ev_report *report);
/** It holds; or it is refused with this error and by this check's name. */
void snp_must_hold(const struct snp_parts *parts, int64_t at, const char *what);
void snp_must_refuse(const struct snp_parts *parts, int64_t at, enum bh_err err, const char *check,
    const char *what);

/** The check of this name in a report; NULL when there is none. */
const struct ev_check *snp_check(const struct ev_report *report, const char *name);

#endif
