/* SPDX-License-Identifier: Apache-2.0 */
/* The enclave identity of Intel's quoting enclaves (PCS API, version 4) against a QE's report. */
#include "intel.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>

#define MISC_OFFSET 16
#define EVALUATION_MAX 1000000

static enum bh_err
refuse(struct ev_intel_trial *t, const char *expected, const char *found)
{
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "qe_identity",
        expected, found, "the quote was not made by Intel's quoting enclave");
}

/* Each byte under its mask, as it stands in the report. */
static bool
is_masked(const uint8_t *have, const uint8_t *want, const uint8_t *mask, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((have[i] & mask[i]) != want[i])
            return false;
    return true;
}

static enum bh_err
check_masks(struct ev_intel_trial *t, const json_t *identity)
{
    const struct ev_intel_enclave *qe = &t->q->qe;
    uint8_t misc[4], misc_mask[4], attributes[16], attributes_mask[16], mrsigner[32];
    struct bh_diag diag = {0};
    char want[2 * sizeof(mrsigner) + 1], have[2 * sizeof(mrsigner) + 1];
    int64_t prod_id = 0;

    if (ev_intel_json_hex(identity, "miscselect", misc, sizeof(misc), &diag) != BH_OK ||
        ev_intel_json_hex(identity, "miscselectMask", misc_mask, sizeof(misc_mask), &diag) !=
            BH_OK ||
        ev_intel_json_hex(identity, "attributes", attributes, sizeof(attributes), &diag) != BH_OK ||
        ev_intel_json_hex(
            identity, "attributesMask", attributes_mask, sizeof(attributes_mask), &diag) != BH_OK ||
        ev_intel_json_hex(identity, "mrsigner", mrsigner, sizeof(mrsigner), &diag) != BH_OK ||
        bh_json_int(identity, "isvprodid", false, 0, 0xffff, &prod_id, &diag) != BH_OK)
        return refuse(t, "an enclave identity of version 2", diag.detail);
    if (!bh_span_equal(qe->mrsigner, bh_span(mrsigner, sizeof(mrsigner))))
        return refuse(t, bh_hex(bh_span(mrsigner, sizeof(mrsigner)), want, sizeof(want)),
            bh_hex(qe->mrsigner, have, sizeof(have)));
    if (qe->isv_prod_id != prod_id)
        return refuse(t, "the ISVPRODID of the identity", "another one");
    if (!is_masked(qe->raw.ptr + MISC_OFFSET, misc, misc_mask, sizeof(misc)))
        return refuse(t, "the MISCSELECT of the identity", "another one");
    if (!is_masked(qe->attributes.ptr, attributes, attributes_mask, sizeof(attributes)))
        return refuse(t, "the ATTRIBUTES of the identity", "other ones");
    return BH_OK;
}

enum bh_err
ev_intel_judge_qe(struct ev_intel_trial *t, const json_t *identity)
{
    struct ev_intel_tcb *tcb = &t->q->tcb;
    const char *id = NULL, *want = t->q->tdx ? "TD_QE" : "QE";
    int64_t version = 0, evaluation = 0;
    struct ev_intel_level level;
    json_t *levels = NULL;
    struct bh_diag diag = {0};
    bool found = false;
    enum bh_err e;

    if (bh_json_int(identity, "version", false, 2, 2, &version, &diag) != BH_OK ||
        bh_json_string(identity, "id", false, &id, &diag) != BH_OK ||
        bh_json_int(identity, "tcbEvaluationDataNumber", false, 0, EVALUATION_MAX, &evaluation,
            &diag) != BH_OK ||
        bh_json_member(identity, "tcbLevels", JSON_ARRAY, false, &levels, &diag) != BH_OK)
        return refuse(t, "an enclave identity of version 2", diag.detail);
    if (strcmp(id, want) != 0)
        return refuse(t, want, "an identity of another enclave");
    if ((e = check_masks(t, identity)) != BH_OK)
        return e;
    if (ev_intel_isv_level(levels, t->q->qe.isv_svn, &level, &found, &diag) != BH_OK ||
        (found && ev_intel_level_take(tcb, &level, &diag) != BH_OK))
        return refuse(t, "an enclave identity of version 2", diag.detail);
    if (!found)
        return refuse(t, "a TCB level of the QE's ISVSVN", "none: NotSupported");
    tcb->qe = level.status;
    tcb->evaluation = evaluation;
    ev_intel_pass(
        t->q, t->report, "collateral", "qe_identity", want, ev_intel_status_words[level.status]);
    return BH_OK;
}
