/* SPDX-License-Identifier: Apache-2.0 */
/* TPM evidence put together from its parts, and taken through decode and authenticate. */
#ifndef TPM2_JUDGE_H
#define TPM2_JUDGE_H

#include "evidence/evidence.h"

/** Parts of one collection, borrowed; those without bytes are left out. */
struct tpm2_parts {
    struct bh_span quote, signature, pcrs, ak, ak_cert, ek_cert, event_log;
    struct bh_span hcl_report, vcek, td_quote;
};

/** What a caller's lookup answers: this endorsement, under this key. */
struct tpm2_endorsed {
    uint8_t key[32];
    struct ev_endorsement e;
    enum bh_err fails; /* answers this for everything, where not BH_OK */
};

/** A collection of the parts. */
void tpm2_cmw(const struct tpm2_parts *parts, struct bh_cmw *cmw);
/** Append a record. */
void tpm2_add(struct bh_cmw *cmw, const char *label, struct bh_span value);
/** trust->lookup and its argument answer from @p endorsed. */
void tpm2_use(struct ev_trust *trust, struct tpm2_endorsed *endorsed);
/** Endorse the AK of a TPMT_PUBLIC, by an endorsement file with its bytes. */
void tpm2_endorse(struct bh_span ak, const char *members, struct tpm2_endorsed *ret_endorsed);

/** Decode and authenticate; *ret_ev, where wanted, is kept. */
enum bh_err tpm2_judge(const struct tpm2_parts *parts, const struct ev_trust *trust,
    struct ev_report *report, struct ev_evidence **ret_ev);
/** It holds at @p at under the built-in roots and @p endorsed (may be NULL); or it is refused with
 * this error and by this check's name. */
void tpm2_must_hold(
    const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at, const char *what);
void tpm2_must_refuse(const struct tpm2_parts *parts, struct tpm2_endorsed *endorsed, int64_t at,
    enum bh_err err, const char *check, const char *what);
/** A collection is refused when it is decoded, by this check. */
void tpm2_malformed(const struct bh_cmw *cmw, const char *check, const char *what);

#endif
