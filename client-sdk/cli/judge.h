/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of evidence.h over one file, as `inspect` and `appraise` take them. */
#ifndef BH_CLI_JUDGE_H
#define BH_CLI_JUDGE_H

#include "evidence/policy.h"
#include "input.h"
#include "trust_inputs.h"

struct bh_judgement {
    struct ev_report report; /* detailed */
    struct ev_evidence *ev;  /* NULL when it did not decode */
    bool enveloped;          /* it came as a CMW */
    bool verified;           /* authentication was asked for */
    bool authentic;
    bool appraised;
    struct ev_verdict verdict; /* only after an appraisal that ended with BH_OK */
    enum bh_err result;        /* BH_OK, or of the first failed check */
};

/** What is asked beyond decoding. */
struct bh_question {
    const struct bh_trust_inputs *trust; /* NULL: do not authenticate */
    const struct ev_policy *policy;      /* NULL: do not appraise */
    bool bound;                          /* compare the nonce with binding */
    uint8_t binding[BH_BINDING_LEN];
    struct bh_span spki;
    struct bh_span context;
};

/** Judge @p input, of kind BH_INPUT_CMW or BH_INPUT_RAW. Later steps are not taken after a failed
 * one. */
void bh_judge(const struct bh_input *input, const struct bh_question *question,
    struct bh_judgement *ret_judgement);
void bh_judgement_clear(struct bh_judgement *judgement);

/** Warnings about published keys: into a document, or on standard error. */
void bh_add_warnings(json_t *document, const struct bh_trust_inputs *trust);
void bh_print_warnings(const struct bh_trust_inputs *trust);

/** {"kind","platform","authentic","checks","claims","warnings"}. */
json_t *bh_judgement_json(
    const struct bh_judgement *judgement, const struct bh_trust_inputs *trust);
/** The same for people: facts on standard output, the refusal and the warnings on standard error.
 */
void bh_judgement_print(
    const struct bh_judgement *judgement, const struct bh_trust_inputs *trust, const char *path);

/** Add "verdict" and "status" of an appraisal to the document. */
void bh_judgement_add_verdict(json_t *document, const struct bh_judgement *judgement);
/** "affirming", ...; "contraindicated" for authentic evidence that policy refused; "none" for other
 * evidence. */
const char *bh_judgement_status(const struct bh_judgement *judgement);

#endif
