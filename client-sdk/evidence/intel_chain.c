/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of Intel's certificates: PCK certificate or TCB signing certificate, below the SGX root.
 * All keys are P-256. The last certificate of a chain only selects a pinned anchor of the same name
 * and key; names, constraints and validity are checked each time, signatures when the cache does
 * not know the path.
 */
#include "intel.h"

#include "chain_cache.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define SIMULATED_MARK "SIMULATED "

static bool
is_p256(const struct ev_cert *cert, struct bh_span *ret_point)
{
    const char *name;

    return bh_spki_point(cert->spki, &name, ret_point) == BH_OK && strcmp(name, "P-256") == 0;
}

bool
ev_intel_signed_by(const struct ev_cert *signer, struct bh_span tbs, struct bh_span der)
{
    struct bh_span point;

    return is_p256(signer, &point) &&
           bh_ecdsa_verify_point(point, 256, tbs, bh_span_none(), der) == BH_OK;
}

static bool
says_simulated(const struct ev_cert *root)
{
    return memmem(root->subject.ptr, root->subject.len, SIMULATED_MARK,
               sizeof(SIMULATED_MARK) - 1) != NULL;
}

bool
ev_intel_is_named(const struct ev_intel_trial *t, struct bh_span cn, const char *name)
{
    const size_t mark = sizeof(SIMULATED_MARK) - 1;

    if (bh_span_is(cn, name))
        return true;
    return (t->anchor.simulated || says_simulated(&t->anchor.cert)) && cn.len > mark &&
           memcmp(cn.ptr, SIMULATED_MARK, mark) == 0 &&
           bh_span_is(bh_span(cn.ptr + mark, cn.len - mark), name);
}

const char *
ev_intel_pck_ca(const struct ev_intel *q)
{
    static const char processor[] = "Processor CA";
    const struct bh_span cn = q->chain.certs[1].common_name;
    const size_t len = sizeof(processor) - 1;

    return cn.len >= len && memcmp(cn.ptr + cn.len - len, processor, len) == 0 ? "processor"
                                                                               : "platform";
}

/* ---- the anchor ---- */

static bool
read_anchor(X509 *cert, struct ev_intel_anchor *anchor)
{
    uint8_t *at = anchor->der;
    const int len = i2d_X509(cert, NULL);

    return len > 0 && (size_t)len <= sizeof(anchor->der) && i2d_X509(cert, &at) == len &&
           ev_cert_read(bh_span(anchor->der, (size_t)len), &anchor->cert, NULL) == BH_OK;
}

static bool
is_for_intel(const struct ev_anchor *a)
{
    return a->platform[0] == '\0' || strcmp(a->platform, ev_intel_sgx.name) == 0 ||
           strcmp(a->platform, ev_intel_tdx.name) == 0;
}

static bool
is_same_root(const struct ev_cert *a, const struct ev_cert *b)
{
    return bh_span_equal(a->subject, b->subject) && bh_span_equal(a->spki, b->spki);
}

static enum bh_err
no_anchor(const struct ev_intel_trial *t, const struct ev_cert *root)
{
    /* Only the name of the refusal depends on what the root calls itself. */
    if (!t->trust->allow_simulated && says_simulated(root))
        return ev_refuse(t->report, BH_ERR_SIMULATED, "anchor", "simulated", "genuine evidence",
            "a quote under a root that says SIMULATED",
            "simulated devices enrol only on a server that was made with --allow-simulated");
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "anchor", "chain",
        "a chain that ends in a pinned root", "another root",
        "the Intel SGX Root CA is built in; other roots must be given as trust anchors");
}

enum bh_err
ev_intel_find_anchor(struct ev_intel_trial *t)
{
    const struct ev_intel_chain *chain = &t->q->chain;
    const struct ev_cert *root = &chain->certs[chain->len - 1];
    struct ev_intel_anchor *found = &t->anchor;
    bool any = false, simulated = false;

    /* Of anchors with one name and key, one that is simulated makes all so; the first one counts.
     */
    for (size_t i = 0; i < t->trust->anchors_len; i++) {
        const struct ev_anchor *a = &t->trust->anchors[i];
        struct ev_intel_anchor other;
        struct ev_intel_anchor *one = any ? &other : found;

        if (!is_for_intel(a) || !read_anchor(a->cert, one) || !is_same_root(&one->cert, root))
            continue;
        simulated = simulated || a->simulated;
        any = true;
    }
    if (!any)
        return no_anchor(t, root);
    found->simulated = simulated;
    return BH_OK;
}

/* ---- a path ---- */

/* The i-th certificate from the leaf; the last one is the pinned one. */
static const struct ev_cert *
path_cert(const struct ev_intel_trial *t, const struct ev_intel_chain *chain, size_t i)
{
    return i + 1 == chain->len ? &t->anchor.cert : &chain->certs[i];
}

/* Names, constraints, key usages and algorithms (RFC 5280, 6.1). */
static const char *
form_fault(const struct ev_intel_trial *t, const struct ev_intel_chain *chain, size_t *ret_at)
{
    for (size_t i = chain->len; i-- > 0;) {
        const struct ev_cert *c = path_cert(t, chain, i);
        const bool leaf = i == 0;
        const uint8_t usage = leaf ? EV_KEY_USAGE_DIGITAL_SIGNATURE : EV_KEY_USAGE_KEY_CERT_SIGN;
        struct bh_span point;

        *ret_at = i;
        if (!is_p256(c, &point) || !ev_cert_is_es256(c))
            return "is not of P-256 and ecdsa-with-SHA256";
        if (i + 1 < chain->len && !bh_span_equal(c->issuer, path_cert(t, chain, i + 1)->subject))
            return "was not issued by the next one";
        if (c->ca == leaf)
            return leaf ? "is a CA, not a leaf" : "is not a CA";
        if (!c->has_key_usage || (c->key_usage & usage) == 0)
            return leaf ? "lacks key usage digitalSignature" : "lacks key usage keyCertSign";
        /* CA certificates between this one and the leaf (4.2.1.9). */
        if (!leaf && i - 1 > c->path_len)
            return "has a pathLenConstraint that the path exceeds";
    }
    return NULL;
}

const char *
ev_intel_path_fault(const struct ev_intel_trial *t, const struct ev_intel_chain *chain,
    uint8_t ret_path[32], size_t *ret_at)
{
    uint8_t path[EV_PATH_HASH_LEN] = {0};
    int64_t not_after = INT64_MAX;
    const char *fault;

    *ret_at = chain->len - 1;
    if (!is_same_root(&t->anchor.cert, &chain->certs[chain->len - 1]))
        return "is another root than the quote's";
    if ((fault = form_fault(t, chain, ret_at)) != NULL)
        return fault;
    for (size_t i = chain->len; i-- > 0;) {
        const struct ev_cert *c = path_cert(t, chain, i);

        *ret_at = i;
        if (c->not_after < not_after)
            not_after = c->not_after;
        if (ev_chain_path(path, c->der) != BH_OK)
            return "has no digest";
        /* The anchor itself is believed because it is pinned. */
        if (i + 1 == chain->len || ev_chain_cache_knows(t->trust->cache, path, t->trust->now))
            continue;
        if (!ev_intel_signed_by(path_cert(t, chain, i + 1), c->tbs, c->signature))
            return "has a signature that does not verify";
        ev_chain_cache_remember(t->trust->cache, path, not_after);
    }
    memcpy(ret_path, path, sizeof(path));
    return NULL;
}

const struct ev_cert *
ev_intel_invalid_now(struct ev_intel_trial *t, const struct ev_intel_chain *chain)
{
    const int64_t now = t->trust->now;

    for (size_t i = 0; i < chain->len; i++) {
        const struct ev_cert *c = path_cert(t, chain, i);

        if (now + t->trust->skew < c->not_before || now > c->not_after)
            return c;
        if (c->not_before > t->q->not_before)
            t->q->not_before = c->not_before;
        if (c->not_after < t->q->not_after)
            t->q->not_after = c->not_after;
    }
    return NULL;
}

/* ---- the quote's own ---- */

static const char *
pck_name_fault(const struct ev_intel_trial *t, size_t *ret_at)
{
    const struct ev_cert *certs = t->q->chain.certs;

    *ret_at = 0;
    if (!ev_intel_is_named(t, certs[0].common_name, "Intel SGX PCK Certificate"))
        return "is not named \"Intel SGX PCK Certificate\"";
    *ret_at = 1;
    if (!ev_intel_is_named(t, certs[1].common_name, "Intel SGX PCK Platform CA") &&
        !ev_intel_is_named(t, certs[1].common_name, "Intel SGX PCK Processor CA"))
        return "is not named \"Intel SGX PCK Platform CA\" or \"... Processor CA\"";
    return NULL;
}

enum bh_err
ev_intel_check_pck_chain(struct ev_intel_trial *t)
{
    char found[BH_VALUE_MAX];
    const char *fault;
    size_t at;

    if ((fault = pck_name_fault(t, &at)) == NULL)
        fault = ev_intel_path_fault(t, &t->q->chain, t->pck_path, &at);
    if (fault != NULL) {
        (void)snprintf(
            found, sizeof(found), "certificate %zu of %zu %s", at + 1, t->q->chain.len, fault);
        return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "anchor", "chain",
            "a path from the pinned root to the PCK certificate", found, NULL);
    }
    ev_intel_pass(t->q, t->report, "anchor", "chain",
        "a path from the pinned root to the PCK certificate",
        "signatures, names and constraints hold");
    return BH_OK;
}

enum bh_err
ev_intel_check_pck_validity(struct ev_intel_trial *t)
{
    const struct ev_cert *c = ev_intel_invalid_now(t, &t->q->chain);
    char from[BH_TIME_MAX], to[BH_TIME_MAX], now[BH_TIME_MAX];
    char expected[BH_VALUE_MAX];

    (void)bh_time_text(t->trust->now, now);
    if (c == NULL) {
        ev_intel_pass(
            t->q, t->report, "clock", "validity", "every certificate of the chain is valid", now);
        return BH_OK;
    }
    (void)snprintf(expected, sizeof(expected), "%s to %s, the validity of \"%.*s\"",
        bh_time_text(c->not_before, from), bh_time_text(c->not_after, to),
        (int)(c->common_name.len < 60 ? c->common_name.len : 60),
        c->common_name.len > 0 ? (const char *)c->common_name.ptr : "");
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "clock", "validity", expected,
        now, "fetch the platform's new PCK certificate, and check the clock");
}
