/* SPDX-License-Identifier: Apache-2.0 */
/* pas_body_read: the bodies of POST /v1/certificates and /v1/appraisals; and what stands in them.
 */
#include "fuzz.h"

#include "core/x509.h"
#include "verifier/verifier.h"

static void
read_body(struct bh_span in, bool appraisal)
{
    struct bh_diag diag = {0};
    struct pas_body body = {0};
    struct bh_cmw cmw;
    const enum bh_err e = pas_body_read(in, appraisal, &body, &diag);

    must_explain(e, &diag);
    if (e == BH_OK) {
        must(body.evidence != NULL);
        if (!appraisal)
            must(body.workload != NULL && body.csr != NULL && body.challenge_len > 0);
        if (bh_cmw_from_json(bh_span_str(body.evidence), &cmw, NULL) == BH_OK)
            bh_cmw_clear(&cmw);
    }
    pas_body_clear(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_body(bh_span(data, size), false);
    read_body(bh_span(data, size), true);
    return 0;
}
