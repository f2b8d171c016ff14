/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a Nitro document authentic? Its chain stands root first in cabundle and ends in certificate;
 * all keys are P-384. The root in the document only selects a pinned anchor with the same bytes.
 * Names, constraints and validity are checked each time; signatures of CA certificates only when
 * the cache does not know the path. Revocation lists that the intermediates name are not fetched.
 */
#include "aws_nitro.h"

#include "chain_cache.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define ANCHOR_MAX 4096
#define SIMULATED_MARK "SIMULATED"

static bool
is_same_cert(X509 *anchor, struct bh_span der)
{
    uint8_t buf[ANCHOR_MAX];
    uint8_t *at = buf;
    const int len = i2d_X509(anchor, NULL);

    return len > 0 && (size_t)len == der.len && der.len <= sizeof(buf) &&
           i2d_X509(anchor, &at) == len && bh_span_equal(bh_span(buf, der.len), der);
}

/* AWS has one root for enclaves and NitroTPMs; an anchor of NitroTPMs alone admits no enclave. */
static bool
anchors(const struct ev_anchor *a, const struct ev_nitro *n)
{
    return a->platform[0] == '\0' || strcmp(a->platform, n->name) == 0 ||
           strcmp(a->platform, ev_aws_nitro.name) == 0;
}

/* One of the anchors is the document's root, byte for byte; simulated if any such one says so. */
static bool
find_anchor(const struct ev_nitro *n, const struct ev_trust *trust, bool *ret_simulated)
{
    bool found = false;

    *ret_simulated = false;
    for (size_t i = 0; i < trust->anchors_len; i++) {
        const struct ev_anchor *a = &trust->anchors[i];

        if (!anchors(a, n))
            continue;
        if (!is_same_cert(a->cert, n->bundle[0].der))
            continue;
        found = true;
        *ret_simulated = *ret_simulated || a->simulated;
    }
    return found;
}

static bool
is_p384(const struct ev_cert *cert)
{
    struct bh_span point;
    const char *name;

    return bh_spki_point(cert->spki, &name, &point) == BH_OK && strcmp(name, "P-384") == 0;
}

/* The i-th certificate of the path, the leaf last. */
static const struct ev_cert *
path_cert(const struct ev_nitro *n, size_t i)
{
    return i < n->bundle_len ? &n->bundle[i] : &n->leaf;
}

/* Names, constraints, key usages and algorithms (RFC 5280, 6.1); NULL, or what is wrong at *ret_at.
 */
static const char *
path_fault(const struct ev_nitro *n, size_t *ret_at)
{
    for (size_t i = 0; i <= n->bundle_len; i++) {
        const struct ev_cert *c = path_cert(n, i);
        const bool leaf = i == n->bundle_len;
        const uint8_t usage = leaf ? EV_KEY_USAGE_DIGITAL_SIGNATURE : EV_KEY_USAGE_KEY_CERT_SIGN;

        *ret_at = i;
        if (!is_p384(c) || !ev_cert_is_es384(c))
            return "is not of P-384 and ecdsa-with-SHA384";
        if (i > 0 && !bh_span_equal(c->issuer, path_cert(n, i - 1)->subject))
            return "was not issued by the one before it";
        if (c->ca == leaf)
            return leaf ? "is a CA, not a leaf" : "is not a CA";
        if (!c->has_key_usage || (c->key_usage & usage) == 0)
            return leaf ? "lacks key usage digitalSignature" : "lacks key usage keyCertSign";
        /* CA certificates that follow this one before the leaf (4.2.1.9). */
        if (!leaf && n->bundle_len - 1 - i > c->path_len)
            return "has a pathLenConstraint that the path exceeds";
    }
    return NULL;
}

static enum bh_err
no_anchor(const struct ev_nitro *n, const struct ev_trust *trust, struct ev_report *report)
{
    const struct bh_span root = n->bundle[0].subject;

    /* Only the name of the refusal depends on what the root calls itself. */
    if (!trust->allow_simulated &&
        memmem(root.ptr, root.len, SIMULATED_MARK, sizeof(SIMULATED_MARK) - 1) != NULL)
        return ev_refuse(report, BH_ERR_SIMULATED, "anchor", "simulated", "genuine evidence",
            "a document under a root that says SIMULATED",
            "simulated devices enrol only on a server that was made with --allow-simulated");
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "anchor", "chain",
        "cabundle[0] is a pinned root", "another root",
        "the AWS Nitro Enclaves root G1 is built in; other roots must be given as trust anchors");
}

static enum bh_err
check_path(const struct ev_nitro *n, const struct ev_trust *trust, struct ev_report *report,
    bool *ret_simulated)
{
    char found[BH_VALUE_MAX];
    const char *fault;
    size_t at;

    if (!find_anchor(n, trust, ret_simulated))
        return no_anchor(n, trust, report);
    if ((fault = path_fault(n, &at)) == NULL)
        return BH_OK;
    (void)snprintf(
        found, sizeof(found), "certificate %zu of %zu %s", at + 1, n->bundle_len + 1, fault);
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "anchor", "chain",
        "a path from the pinned root to the leaf", found, NULL);
}

static enum bh_err
check_validity(const struct ev_nitro *n, const struct ev_trust *trust, struct ev_report *report)
{
    const int64_t now = trust->now;
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX];
    char expected[BH_VALUE_MAX];

    for (size_t i = 0; i <= n->bundle_len; i++) {
        const struct ev_cert *c = path_cert(n, i);

        /* A clock that may see the document's stamp ahead sees its certificate ahead, too. */
        if (now + trust->skew >= c->not_before && now <= c->not_after)
            continue;
        (void)snprintf(expected, sizeof(expected),
            "%s to %s, the validity of certificate %zu of %zu", bh_time_text(c->not_before, from),
            bh_time_text(c->not_after, to), i + 1, n->bundle_len + 1);
        return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "clock", "validity", expected,
            bh_time_text(now, at),
            "a Nitro certificate lives three hours: fetch a new document, and check both clocks");
    }
    ev_nitro_pass(n, report, "clock", "validity", "every certificate of the chain is valid",
        report->detailed ? bh_time_text(now, at) : NULL);
    return BH_OK;
}

static enum bh_err
check_timestamp(const struct ev_nitro *n, const struct ev_trust *trust, struct ev_report *report)
{
    const int64_t made = (int64_t)(n->timestamp / 1000);
    char expected[BH_VALUE_MAX], found[BH_TIME_MAX], now[BH_TIME_MAX];

    if (trust->max_age == 0)
        return BH_OK;
    if (made >= trust->now - trust->max_age && made <= trust->now + trust->skew) {
        ev_nitro_pass(n, report, "clock", "timestamp", "a fresh document",
            report->detailed ? bh_time_text(made, found) : NULL);
        return BH_OK;
    }
    (void)snprintf(expected, sizeof(expected), "at most %lld s before and %lld s after %s",
        (long long)trust->max_age, (long long)trust->skew, bh_time_text(trust->now, now));
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "clock", "timestamp", expected,
        bh_time_text(made, found), "fetch a new document, and check both clocks");
}

/*
 * The key of the path's last CA, all signatures down to it verified: from the cache as far as it
 * knows the path, and by verification from there on. NULL and *ret_at when one does not verify.
 */
static EVP_PKEY *
verified_issuer(const struct ev_nitro *n, const struct ev_trust *trust, size_t *ret_at)
{
    uint8_t paths[EV_NITRO_BUNDLE_MAX][EV_PATH_HASH_LEN] = {{0}};
    EVP_PKEY *key = NULL, *next = NULL;
    int64_t not_after = INT64_MAX;
    size_t known;

    for (size_t i = 0; i < n->bundle_len; i++) {
        if (i > 0)
            memcpy(paths[i], paths[i - 1], EV_PATH_HASH_LEN);
        if (ev_chain_path(paths[i], n->bundle[i].der) != BH_OK)
            return NULL;
    }
    for (known = n->bundle_len; known > 0; known--)
        if ((key = ev_chain_cache_get(trust->cache, paths[known - 1], trust->now)) != NULL)
            break;
    for (size_t i = 0; i < n->bundle_len; i++) {
        const struct ev_cert *c = &n->bundle[i];

        if (c->not_after < not_after)
            not_after = c->not_after;
        if (i < known)
            continue;
        *ret_at = i;
        /* The anchor itself is believed because it is pinned. */
        if ((i > 0 && !ev_cert_verify_es384(c, key)) ||
            bh_spki_decode(c->spki, &next, NULL) != BH_OK) {
            EVP_PKEY_free(key);
            return NULL;
        }
        EVP_PKEY_free(key);
        key = next;
        ev_chain_cache_put(trust->cache, paths[i], key, not_after);
    }
    return key;
}

static enum bh_err
check_chain_signatures(
    const struct ev_nitro *n, const struct ev_trust *trust, struct ev_report *report)
{
    size_t at = 0;
    EVP_PKEY *issuer = verified_issuer(n, trust, &at);
    char found[BH_VALUE_MAX];
    bool good = issuer != NULL;

    if (good && !ev_cert_verify_es384(&n->leaf, issuer)) {
        good = false;
        at = n->bundle_len;
    }
    EVP_PKEY_free(issuer);
    if (good) {
        ev_nitro_pass(n, report, "anchor", "chain", "a path from the pinned root to the leaf",
            "signatures, names and constraints hold");
        ev_nitro_pass(
            n, report, "not given", "revocation", "the CRLs that the chain names", "not looked at");
        return BH_OK;
    }
    (void)snprintf(found, sizeof(found),
        "certificate %zu of %zu has a signature that does not verify", at + 1, n->bundle_len + 1);
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "anchor", "chain",
        "certificates signed by the one before them", found, NULL);
}

static enum bh_err
check_document_signature(const struct ev_nitro *n, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (bh_cose_verify_spki(&n->cose, n->leaf.spki, &diag) == BH_OK) {
        ev_nitro_pass(n, report, "signature", "signature", "ES384 by the leaf certificate's key",
            "it verifies");
        return BH_OK;
    }
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "signature", "signature",
        "ES384 by the leaf certificate's key", diag.detail,
        "the document was changed after it was signed");
}

/*
 * AWS names a leaf "<module_id>.<region>.aws". One that is named so is for this module; one that is
 * not (of a root that is not AWS's) says nothing about modules.
 */
static enum bh_err
check_module(const struct ev_nitro *n, struct ev_report *report)
{
    const struct bh_span cn = n->leaf.common_name;
    const struct bh_span id = n->module_id;
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (cn.len < 4 || memcmp(cn.ptr + cn.len - 4, ".aws", 4) != 0)
        return BH_OK;
    (void)snprintf(
        found, sizeof(found), "%.*s", (int)(cn.len < 150 ? cn.len : 150), (const char *)cn.ptr);
    (void)snprintf(expected, sizeof(expected), "%.*s.<region>.aws",
        (int)(id.len < 150 ? id.len : 150), (const char *)id.ptr);
    if (cn.len > id.len && memcmp(cn.ptr, id.ptr, id.len) == 0 && cn.ptr[id.len] == '.') {
        ev_nitro_pass(n, report, "signature", "module_id", expected, found);
        return BH_OK;
    }
    return ev_nitro_refuse(n, report, BH_ERR_NOT_AUTHENTIC, "signature", "module_id", expected,
        found, "the leaf certificate is of another module than the document");
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

enum bh_err
ev_nitro_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    const struct ev_nitro *n = state;
    struct ev_authenticity auth = {.key_class = EV_KEY_SILICON};
    enum bh_err path, e;

    /* What costs nothing first; a report that is to be whole goes on after a failure. */
    path = e = check_path(n, trust, report, &auth.simulated);
    if (e == BH_OK || report->detailed)
        e = first(e, check_validity(n, trust, report));
    if (e == BH_OK || report->detailed)
        e = first(e, check_module(n, report));
    if (e == BH_OK || report->detailed)
        e = first(e, check_timestamp(n, trust, report));
    if (path == BH_OK && (e == BH_OK || report->detailed))
        e = first(e, check_chain_signatures(n, trust, report));
    if (e == BH_OK || report->detailed)
        e = first(e, check_document_signature(n, report));
    if (e == BH_OK)
        *ret_auth = auth;
    return e;
}
