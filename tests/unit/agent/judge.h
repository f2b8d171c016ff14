/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence judged as a server does it: decode, bind, authenticate, appraise. */
#ifndef TEST_JUDGE_H
#define TEST_JUDGE_H

#include "evidence/evidence.h"
#include "evidence/policy.h"

#define ENDORSED_MAX 8

struct court {
    struct ev_policy *policy;
    struct ev_trust trust;
    size_t endorsed_len;
    struct {
        uint8_t key[32];
        struct ev_endorsement e;
    } endorsed[ENDORSED_MAX];
};

/** Add every certificate of a PEM text as a simulated anchor of @p platform. */
void court_anchor(struct court *court, const char *pem, const char *platform);
/** Add what an endorsement file says; aborts the test when it does not parse. */
void court_endorse(struct court *court, struct bh_span json);
/** Take a policy; aborts the test when it does not parse. */
void court_policy(struct court *court, struct bh_span json);
/** All of that from a server's folder. */
void court_open(struct court *court, const char *dir, const char *workload);
void court_close(struct court *court);

/** The four steps over a CMW in JSON. The diag of the first failure; verdict on success. */
enum bh_err court_judge(struct court *court, const char *cmw_json,
    const uint8_t binding[BH_BINDING_LEN], struct bh_span spki, int64_t now,
    struct ev_verdict *ret_verdict, struct bh_diag *diag);

#endif
