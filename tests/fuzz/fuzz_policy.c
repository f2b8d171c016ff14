/* SPDX-License-Identifier: Apache-2.0 */
/* ev_policy_parse: a policy that parses is named, digested, and parses again from its canonical
 * form. */
#include "fuzz.h"

#include "evidence/policy.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ev_policy *policy = NULL, *again = NULL;
    struct bh_diag diag = {0};
    const enum bh_err e = ev_policy_parse(bh_span(data, size), &policy, &diag);

    must_explain(e, &diag);
    must((e == BH_OK) == (policy != NULL));
    if (policy != NULL) {
        must(ev_policy_workload(policy)[0] != '\0');
        must(ev_policy_parse(bh_span_str(ev_policy_canonical(policy)), &again, NULL) == BH_OK);
        must(memcmp(ev_policy_digest(policy), ev_policy_digest(again), 32) == 0);
    }
    ev_policy_free(policy);
    ev_policy_free(again);
    return 0;
}
