/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from a pinned ARK over ASK or ASVK to the endorser's certificate, and the ARK's
 * revocation list. The ASK is built in, or comes in the certificate table; it counts only by its
 * signature. Names, constraints and validity are checked each time, signatures when the cache does
 * not know the path.
 */
#include "amd_sev_snp.h"

#include "chain_cache.h"
#include "crl.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define SIMULATED_MARK "SIMULATED"
#define KEY_USAGE_CRL_SIGN 0x02
#define CHAIN "anchor"

/* Another name than "<before><product>"; NULL when it fits. */
static bool
is_named(const struct ev_cert *cert, const char *before, enum ev_snp_product product)
{
    char name[BH_VALUE_MAX];

    (void)snprintf(name, sizeof(name), "%s%s", before, ev_snp_product_name(product));
    return bh_span_is(cert->common_name, name);
}

static const char *
ca_fault(const struct ev_cert *c, uint32_t below)
{
    if (!ev_snp_is_pss384(c->algorithm))
        return "is not signed by RSASSA-PSS with SHA-384";
    if (!c->ca)
        return "is not a CA";
    if (!c->has_key_usage || (c->key_usage & EV_KEY_USAGE_KEY_CERT_SIGN) == 0)
        return "lacks key usage keyCertSign";
    return below > c->path_len ? "has a pathLenConstraint that the path exceeds" : NULL;
}

/* Names, constraints and key usages (RFC 5280, 6.1) of a path whose names chain. */
static const char *
path_fault(const struct ev_snp *n, const struct ev_snp_path *path, const char **ret_which)
{
    const struct ev_snp_endorser *k = &n->endorser;
    const char *fault, *curve;
    struct bh_span point;

    *ret_which = "the ARK";
    if (!is_named(&path->ark, "ARK-", k->product))
        return "is of another product";
    if ((fault = ca_fault(&path->ark, 1)) != NULL)
        return fault;
    *ret_which = k->vlek ? "the ASVK" : "the ASK";
    if (!is_named(&path->ask, k->vlek ? "SEV-VLEK-" : "SEV-", k->product))
        return "is of another kind or product";
    if ((fault = ca_fault(&path->ask, 0)) != NULL)
        return fault;
    *ret_which = k->vlek ? "the VLEK" : "the VCEK";
    if (k->cert.ca)
        return "is a CA";
    if (k->cert.has_key_usage && (k->cert.key_usage & EV_KEY_USAGE_DIGITAL_SIGNATURE) == 0)
        return "lacks key usage digitalSignature";
    if (!ev_snp_is_pss384(k->cert.algorithm))
        return "is not signed by RSASSA-PSS with SHA-384";
    if (bh_spki_point(k->cert.spki, &curve, &point) != BH_OK || strcmp(curve, "P-384") != 0)
        return "has no P-384 key";
    return NULL;
}

static int64_t
path_end(const struct ev_snp *n, const struct ev_snp_path *path)
{
    int64_t end = n->endorser.cert.not_after;

    if (path->ask.not_after < end)
        end = path->ask.not_after;
    return path->ark.not_after < end ? path->ark.not_after : end;
}

static bool
verified_by(const struct ev_cert *cert, EVP_PKEY *issuer)
{
    return ev_snp_verify_pss384(cert->tbs, cert->algorithm, cert->signature, issuer);
}

/* @p cert's own key when @p issuer's key, which is consumed, signed it. */
static EVP_PKEY *
key_signed_by(const struct ev_cert *cert, EVP_PKEY *issuer)
{
    EVP_PKEY *key = NULL;

    if (issuer != NULL &&
        (!verified_by(cert, issuer) || bh_spki_decode(cert->spki, &key, NULL) != BH_OK))
        key = NULL;
    EVP_PKEY_free(issuer);
    return key;
}

/* All signatures of the path hold, or are known to; else who is at fault. */
static bool
is_verified(const struct ev_snp *n, const struct ev_snp_path *path, const struct ev_trust *trust,
    const char **ret_which)
{
    uint8_t to_ask[EV_PATH_HASH_LEN] = {0}, to_leaf[EV_PATH_HASH_LEN];
    const int64_t end = path_end(n, path);
    EVP_PKEY *key = NULL;
    bool good;

    *ret_which = n->endorser.vlek ? "the ASVK" : "the ASK";
    if (ev_chain_path(to_ask, path->ark.der) != BH_OK ||
        ev_chain_path(to_ask, path->ask.der) != BH_OK)
        return false;
    memcpy(to_leaf, to_ask, sizeof(to_leaf));
    if (ev_chain_path(to_leaf, n->endorser.cert.der) != BH_OK)
        return false;
    if (ev_chain_cache_knows(trust->cache, to_leaf, trust->now))
        return true;
    if ((key = ev_chain_cache_get(trust->cache, to_ask, trust->now)) == NULL) {
        if (bh_spki_decode(path->ark.spki, &key, NULL) != BH_OK ||
            (key = key_signed_by(&path->ask, key)) == NULL)
            return false;
        ev_chain_cache_put(trust->cache, to_ask, key, end);
    }
    *ret_which = n->endorser.vlek ? "the VLEK" : "the VCEK";
    if ((good = verified_by(&n->endorser.cert, key)))
        ev_chain_cache_remember(trust->cache, to_leaf, end);
    EVP_PKEY_free(key);
    return good;
}

/* ---- finding the path ---- */

struct search {
    const struct ev_snp *snp;
    const struct ev_trust *trust;
    struct ev_snp_path *path;
    bool found;
    const char *which; /* of the last path that was tried: who was at fault, and why */
    const char *fault;
};

static bool
is_ours(const struct ev_anchor *a)
{
    return a->platform[0] == '\0' || strcmp(a->platform, EV_SNP_NAME) == 0;
}

static bool
has_subject(X509 *cert, struct bh_span name)
{
    const unsigned char *der;
    size_t len;

    return X509_NAME_get0_der(X509_get_subject_name(cert), &der, &len) == 1 &&
           bh_span_equal(bh_span(der, len), name);
}

/* Simulated if any anchor of the same bytes says so. */
static bool
is_simulated(const struct ev_trust *trust, X509 *anchor)
{
    for (size_t i = 0; i < trust->anchors_len; i++)
        if (is_ours(&trust->anchors[i]) && trust->anchors[i].simulated &&
            X509_cmp(trust->anchors[i].cert, anchor) == 0)
            return true;
    return false;
}

static void
try_anchor(struct search *s, X509 *anchor)
{
    uint8_t *at = s->path->ark_der;
    const int len = i2d_X509(anchor, NULL);

    s->which = "the ARK";
    s->fault = "cannot be read";
    if (len <= 0 || (size_t)len > sizeof(s->path->ark_der) || i2d_X509(anchor, &at) != len ||
        ev_cert_read(bh_span(s->path->ark_der, (size_t)len), &s->path->ark, NULL) != BH_OK)
        return;
    if ((s->fault = path_fault(s->snp, s->path, &s->which)) != NULL)
        return;
    s->path->simulated = is_simulated(s->trust, anchor);
    s->fault = "has a signature that does not verify";
    s->found = is_verified(s->snp, s->path, s->trust, &s->which);
}

/* Every anchor of the name that issued this ASK. */
static void
try_ask(struct search *s, const struct ev_cert *ask)
{
    if (!bh_span_equal(ask->subject, s->snp->endorser.cert.issuer))
        return;
    s->path->ask = *ask;
    for (size_t i = 0; i < s->trust->anchors_len && !s->found; i++)
        if (is_ours(&s->trust->anchors[i]) && has_subject(s->trust->anchors[i].cert, ask->issuer))
            try_anchor(s, s->trust->anchors[i].cert);
}

static bool
says_simulated(struct bh_span name)
{
    return memmem(name.ptr, name.len, SIMULATED_MARK, sizeof(SIMULATED_MARK) - 1) != NULL;
}

static enum bh_err
no_path(const struct search *s, struct ev_report *report)
{
    const struct bh_span issuer = s->snp->endorser.cert.issuer;
    char found[BH_VALUE_MAX];

    /* Only the name of the refusal depends on what the certificate says of its issuer. */
    if (s->fault == NULL && !s->trust->allow_simulated && says_simulated(issuer))
        return ev_refuse(report, BH_ERR_SIMULATED, CHAIN, "simulated", "genuine evidence",
            "a certificate of an issuer that says SIMULATED",
            "simulated devices enrol only on a server that was made with --allow-simulated");
    if (s->fault == NULL)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, CHAIN, EV_SNP_NAME ".chain",
            "a path from a pinned ARK over its ASK or ASVK", "an issuer that is not known",
            "AMD's ARKs, ASKs and ASVKs are built in; another ARK must be a trust anchor, and its "
            "ASK come in the certificate table");
    (void)snprintf(found, sizeof(found), "%s %s", s->which, s->fault);
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, CHAIN, EV_SNP_NAME ".chain",
        "certificates signed by the one above them, up to a pinned ARK", found,
        "the certificate is not one that AMD issued, or was changed");
}

static enum bh_err
find_path(const struct ev_snp *n, const struct ev_trust *trust, struct ev_report *report,
    struct ev_snp_path *path)
{
    struct search s = {.snp = n, .trust = trust, .path = path};
    const struct bh_span built_in = ev_snp_built_in_ask(n->endorser.product, n->endorser.vlek);
    struct ev_cert ask;

    if (ev_cert_read(built_in, &ask, NULL) == BH_OK)
        try_ask(&s, &ask);
    if (!s.found && n->has_ask)
        try_ask(&s, &n->ask);
    if (!s.found)
        return no_path(&s, report);
    ev_pass(report, CHAIN, EV_SNP_NAME ".chain", "a path from a pinned ARK to the certificate",
        "signatures, names and constraints hold");
    return BH_OK;
}

static enum bh_err
check_validity(const struct ev_snp *n, const struct ev_snp_path *path, const struct ev_trust *trust,
    struct ev_report *report)
{
    const struct ev_cert *certs[] = {&path->ark, &path->ask, &n->endorser.cert};
    const char *names[] = {
        "ARK", n->endorser.vlek ? "ASVK" : "ASK", n->endorser.vlek ? "VLEK" : "VCEK"};
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX];
    char expected[BH_VALUE_MAX];

    for (size_t i = 0; i < BH_COUNT(certs); i++) {
        if (trust->now + trust->skew >= certs[i]->not_before && trust->now <= certs[i]->not_after)
            continue;
        (void)snprintf(expected, sizeof(expected), "%s to %s, the validity of the %s",
            bh_time_text(certs[i]->not_before, from), bh_time_text(certs[i]->not_after, to),
            names[i]);
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "clock", EV_SNP_NAME ".validity", expected,
            bh_time_text(trust->now, at), "fetch the current certificate, and check the clock");
    }
    ev_pass(report, "clock", EV_SNP_NAME ".validity", "every certificate of the chain is valid",
        report->detailed ? bh_time_text(trust->now, at) : NULL);
    return BH_OK;
}

/* ---- the revocation list ---- */

/* Where AMD hands out the list (AMD 57230, 4). */
static const char *
crl_hint(const struct ev_snp *n, char out[BH_TEXT_MAX])
{
    (void)snprintf(out, BH_TEXT_MAX, "fetch https://kdsintf.amd.com/%s/v1/%s/crl",
        n->endorser.vlek ? "vlek" : "vcek", ev_snp_product_name(n->endorser.product));
    return out;
}

static enum bh_err
bad_crl(const struct ev_snp *n, struct ev_report *report, const char *expected, const char *found)
{
    char hint[BH_TEXT_MAX];

    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "collateral", EV_SNP_NAME ".crl", expected,
        found, crl_hint(n, hint));
}

static bool
crl_verifies(const struct ev_crl *crl, const struct ev_snp_path *path, const struct ev_trust *trust)
{
    uint8_t hash[EV_PATH_HASH_LEN] = {0};
    EVP_PKEY *key = NULL;
    bool good;

    if (ev_chain_path(hash, path->ark.der) != BH_OK || ev_chain_path(hash, crl->der) != BH_OK)
        return false;
    if (ev_chain_cache_knows(trust->cache, hash, trust->now))
        return true;
    if (bh_spki_decode(path->ark.spki, &key, NULL) != BH_OK)
        return false;
    if ((good = ev_snp_verify_pss384(crl->tbs, crl->algorithm, crl->signature, key)))
        ev_chain_cache_remember(trust->cache, hash, crl->next_update);
    EVP_PKEY_free(key);
    return good;
}

static enum bh_err
check_crl_times(const struct ev_snp *n, const struct ev_crl *crl, const struct ev_trust *trust,
    struct ev_report *report)
{
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX];
    char expected[BH_VALUE_MAX], hint[BH_TEXT_MAX];

    if (trust->now + trust->skew >= crl->this_update && trust->now <= crl->next_update)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "%s to %s, the life of the revocation list",
        bh_time_text(crl->this_update, from), bh_time_text(crl->next_update, to));
    return ev_refuse(report, BH_ERR_COLLATERAL_EXPIRED, "clock", EV_SNP_NAME ".crl", expected,
        bh_time_text(trust->now, at), crl_hint(n, hint));
}

static enum bh_err
use_crl(const struct ev_snp *n, const struct ev_snp_path *path, struct bh_span der,
    const struct ev_trust *trust, struct ev_report *report, int64_t *not_after)
{
    struct bh_diag diag = {0};
    char found[BH_VALUE_MAX];
    struct ev_crl crl;
    enum bh_err e;

    if (ev_crl_read(der, &crl, &diag) != BH_OK)
        return bad_crl(n, report, "a revocation list in DER", diag.detail);
    if (!bh_span_equal(crl.issuer, path->ark.subject))
        return bad_crl(
            n, report, "a list of the ARK that the chain ends in", "one of another issuer");
    if ((path->ark.key_usage & KEY_USAGE_CRL_SIGN) == 0)
        return bad_crl(n, report, "an ARK with key usage cRLSign", "one without");
    if ((e = check_crl_times(n, &crl, trust, report)) != BH_OK)
        return e;
    if (!crl_verifies(&crl, path, trust))
        return bad_crl(n, report, "a list that the ARK signed", "a signature that does not verify");
    if (ev_crl_revokes(&crl, path->ask.serial) || ev_crl_revokes(&crl, path->ark.serial)) {
        (void)bh_hex(path->ask.serial, found, sizeof(found));
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "collateral", EV_SNP_NAME ".revocation",
            "an ASK or ASVK that is not revoked", found, "AMD revoked the certificate");
    }
    ev_pass(report, "collateral", EV_SNP_NAME ".revocation", "not on the ARK's revocation list",
        "not revoked");
    if (crl.next_update < *not_after)
        *not_after = crl.next_update;
    return BH_OK;
}

enum bh_err
ev_snp_check_crl(const struct ev_snp *n, const struct ev_snp_path *path,
    const struct ev_trust *trust, struct ev_report *report, int64_t *not_after)
{
    struct bh_span der = bh_span_none();
    struct bh_diag diag = {0};
    char key[32];
    enum bh_err e = BH_ERR_COLLATERAL_MISSING;

    /* Lists of a genuine ARK and of a simulated one may lie side by side. */
    (void)snprintf(key, sizeof(key), "%s%s/%s",
        says_simulated(path->ark.subject) ? "SIMULATED " : "",
        ev_snp_product_name(n->endorser.product), n->endorser.vlek ? "vlek" : "vcek");
    if (trust->collateral != NULL)
        e = trust->collateral(trust->collateral_arg, "crl.der", bh_span_str(key), &der, &diag);
    if (e == BH_OK)
        return use_crl(n, path, der, trust, report, not_after);
    if (e != BH_ERR_COLLATERAL_MISSING)
        return ev_refuse(report, e, "collateral", EV_SNP_NAME ".crl",
            "an answer about the revocation list", diag.detail, diag.hint);
    ev_pass(report, "not given", EV_SNP_NAME ".revocation", "the ARK's revocation list",
        "not looked at");
    return BH_OK;
}

enum bh_err
ev_snp_check_chain(
    struct ev_snp *n, const struct ev_trust *trust, struct ev_report *report, bool *ret_simulated)
{
    struct ev_snp_path path;
    int64_t not_after;
    enum bh_err e, crl;

    if ((e = find_path(n, trust, report, &path)) != BH_OK)
        return e;
    not_after = path_end(n, &path);
    e = check_validity(n, &path, trust, report);
    if (e == BH_OK || report->detailed) {
        crl = ev_snp_check_crl(n, &path, trust, report, &not_after);
        e = e != BH_OK ? e : crl;
    }
    if (e != BH_OK)
        return e;
    n->not_after = not_after;
    *ret_simulated = path.simulated;
    return BH_OK;
}
