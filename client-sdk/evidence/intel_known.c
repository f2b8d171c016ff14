/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One machine's certificates and collateral are the same in many quotes. What was concluded from
 * them is remembered under one hash over every byte that went in, so that a verifier that met them
 * before reads and verifies none of them again.
 */
#include "intel.h"

#include "chain_cache.h"

#include "core/x509.h"

/* All that the skipped checks fill in. */
struct known {
    int64_t not_before, not_after;
    bool has_pck_crl, has_root_crl;
    struct ev_intel_tcb tcb;
};
_Static_assert(sizeof(struct known) <= EV_CONCLUSION_MAX, "a conclusion fits the cache");

/* Each with its length in front, so that no two lists of spans are one. */
static bool
add(EVP_MD_CTX *ctx, struct bh_span bytes)
{
    const uint64_t len = bytes.len;

    return EVP_DigestUpdate(ctx, &len, sizeof(len)) == 1 &&
           (bytes.len == 0 || EVP_DigestUpdate(ctx, bytes.ptr, bytes.len) == 1);
}

static bool
add_all(EVP_MD_CTX *ctx, const struct ev_intel_trial *t)
{
    const struct ev_intel *q = t->q;
    const uint8_t kind[] = {
        'd', 'c', 'a', 'p', q->tdx, t->anchor.simulated, q->td.tee_tcb_svn2.len > 0};
    struct bh_span bytes;
    bool good;

    good = add(ctx, bh_span(kind, sizeof(kind))) && add(ctx, t->anchor.cert.der) &&
           add(ctx, q->cert_data) && add(ctx, q->qe_report_and_signature) &&
           add(ctx, q->td.tee_tcb_svn) && add(ctx, q->td.tee_tcb_svn2) &&
           add(ctx, q->td.mrsignerseam) && add(ctx, q->td.seam_attributes);
    for (int i = 0; i < EV_INTEL_KINDS && good; i++) {
        /* The chain of the PCK list is never asked for. */
        bytes = q->given[i];
        if (i != EV_INTEL_PCK_CRL_CHAIN)
            good = ev_intel_fetch(t, (enum ev_intel_kind)i, &bytes, NULL) == BH_OK;
        good = good && add(ctx, bytes);
    }
    return good;
}

bool
ev_intel_recall(struct ev_intel_trial *t, uint8_t ret_path[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned len = 0;
    struct bh_span found = bh_span_none();
    struct known k;
    bool good;

    memset(ret_path, 0, 32);
    good = ctx != NULL && EVP_DigestInit_ex(ctx, bh_sha2_md(256), NULL) == 1 && add_all(ctx, t) &&
           EVP_DigestFinal_ex(ctx, ret_path, &len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!good) {
        memset(ret_path, 0, 32);
        return false;
    }
    found = ev_chain_cache_conclusion(t->trust->cache, ret_path, t->trust->now);
    if (found.len != sizeof(k))
        return false;
    memcpy(&k, found.ptr, sizeof(k));
    /* The cache keeps the end; a clock may have been set back behind the beginning. */
    if (t->trust->now + t->trust->skew < k.not_before)
        return false;
    t->q->not_before = k.not_before;
    t->q->not_after = k.not_after;
    t->q->has_pck_crl = k.has_pck_crl;
    t->q->has_root_crl = k.has_root_crl;
    t->q->tcb = k.tcb;
    return true;
}

void
ev_intel_learn(const struct ev_intel_trial *t, const uint8_t path[32])
{
    const struct ev_intel *q = t->q;
    struct known k;

    if (bh_span_is_zero(bh_span(path, 32)))
        return;
    memset(&k, 0, sizeof(k));
    k.not_before = q->not_before;
    k.not_after = q->not_after;
    k.has_pck_crl = q->has_pck_crl;
    k.has_root_crl = q->has_root_crl;
    k.tcb = q->tcb;
    ev_chain_cache_conclude(t->trust->cache, path, bh_span(&k, sizeof(k)), q->not_after);
}
