/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocation: the list of the CA that issued the PCK certificate, and the list of the root, which
 * covers that CA and the TCB signing certificate. A list that is not given is said so here and
 * judged by policy; one that is given must be whole, genuine and current.
 */
#include "intel.h"

#include "chain_cache.h"

#include "core/text.h"

#include <stdio.h>

static enum bh_err
refuse(struct ev_intel_trial *t, enum ev_intel_kind kind, const char *expected, const char *found)
{
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral",
        ev_intel_label(kind), expected, found, NULL);
}

static bool
is_signed(struct ev_intel_trial *t, const struct ev_crl *crl, const struct ev_cert *issuer)
{
    uint8_t path[EV_PATH_HASH_LEN] = {0};

    if (ev_chain_path(path, bh_span_str("crl")) != BH_OK ||
        ev_chain_path(path, issuer->der) != BH_OK || ev_chain_path(path, crl->der) != BH_OK)
        return false;
    if (ev_chain_cache_knows(t->trust->cache, path, t->trust->now))
        return true;
    if (!bh_span_equal(crl->algorithm, issuer->algorithm) ||
        !ev_intel_signed_by(issuer, crl->tbs, crl->signature))
        return false;
    ev_chain_cache_remember(t->trust->cache, path, crl->next_update);
    return true;
}

static enum bh_err
check_dates(struct ev_intel_trial *t, enum ev_intel_kind kind, const struct ev_crl *crl)
{
    const int64_t now = t->trust->now;
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX], expected[BH_VALUE_MAX];

    if (now + t->trust->skew < crl->this_update || now > crl->next_update) {
        (void)snprintf(expected, sizeof(expected), "a list of %s to %s around now",
            bh_time_text(crl->this_update, from), bh_time_text(crl->next_update, to));
        return ev_intel_refuse(t->q, t->report, BH_ERR_COLLATERAL_EXPIRED, "clock",
            ev_intel_label(kind), expected, bh_time_text(now, at),
            "fetch the current list, and check the clock");
    }
    if (crl->this_update > t->q->not_before)
        t->q->not_before = crl->this_update;
    if (crl->next_update < t->q->not_after)
        t->q->not_after = crl->next_update;
    return BH_OK;
}

/* One list, if there is one: *ret_crl has der.ptr NULL else. */
static enum bh_err
read_list(struct ev_intel_trial *t, enum ev_intel_kind kind, const struct ev_cert *issuer,
    struct ev_crl *ret_crl)
{
    struct bh_diag diag = {0};
    struct bh_span bytes;
    struct ev_crl crl;
    enum bh_err e;

    if ((e = ev_intel_collateral(t, kind, &bytes)) != BH_OK)
        return e;
    if (bytes.ptr == NULL) {
        ev_intel_pass(t->q, t->report, "not given", ev_intel_label(kind),
            "a revocation list of the certificate's issuer", "none was given");
        *ret_crl = (struct ev_crl){0};
        return BH_OK;
    }
    if (ev_crl_read(bytes, &crl, &diag) != BH_OK)
        return refuse(t, kind, "a revocation list in DER", diag.detail);
    if (!bh_span_equal(crl.issuer, issuer->subject))
        return refuse(t, kind, "a list of the certificate's own issuer", "another issuer's");
    if (!is_signed(t, &crl, issuer))
        return refuse(t, kind, "a list signed by its issuer", "its signature does not verify");
    if ((e = check_dates(t, kind, &crl)) != BH_OK)
        return e;
    *ret_crl = crl;
    return BH_OK;
}

static enum bh_err
check_serial(struct ev_intel_trial *t, enum ev_intel_kind kind, const struct ev_crl *crl,
    const struct ev_cert *cert, const char *what)
{
    char found[BH_VALUE_MAX], serial[64];

    if (ev_crl_revokes(crl, cert->serial)) {
        (void)snprintf(found, sizeof(found), "%s, serial %s, is revoked", what,
            bh_hex(cert->serial, serial, sizeof(serial)));
        return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral",
            ev_intel_label(kind), "a certificate that is not revoked", found,
            "Intel no longer vouches for this platform");
    }
    ev_intel_pass(t->q, t->report, "collateral", ev_intel_label(kind),
        "a certificate that is not revoked", what);
    return BH_OK;
}

/* Who sends the chain of the PCK list's issuer must send that of the PCK certificate's. */
static enum bh_err
check_crl_chain(struct ev_intel_trial *t)
{
    const struct bh_span pem = t->q->given[EV_INTEL_PCK_CRL_CHAIN];
    const struct ev_cert *ca = &t->q->chain.certs[1];
    struct ev_intel_chain chain;
    struct bh_diag diag = {0};
    bool same;

    if (pem.ptr == NULL)
        return BH_OK;
    if (ev_intel_chain_read(pem, &chain, &diag) != BH_OK)
        return refuse(t, EV_INTEL_PCK_CRL_CHAIN, "certificates in PEM", diag.detail);
    same = bh_span_equal(chain.certs[0].subject, ca->subject) &&
           bh_span_equal(chain.certs[0].spki, ca->spki);
    ev_intel_chain_clear(&chain);
    if (!same)
        return refuse(t, EV_INTEL_PCK_CRL_CHAIN, "the CA that issued the PCK certificate first",
            "another certificate first");
    return BH_OK;
}

enum bh_err
ev_intel_check_crls(struct ev_intel_trial *t)
{
    const struct ev_cert *certs = t->q->chain.certs;
    struct ev_crl crl;
    enum bh_err e;

    if ((e = check_crl_chain(t)) != BH_OK ||
        (e = read_list(t, EV_INTEL_PCK_CRL, &certs[1], &crl)) != BH_OK)
        return e;
    t->q->has_pck_crl = crl.der.ptr != NULL;
    if (t->q->has_pck_crl &&
        (e = check_serial(t, EV_INTEL_PCK_CRL, &crl, &certs[0], "the PCK certificate")) != BH_OK)
        return e;
    if ((e = read_list(t, EV_INTEL_ROOT_CRL, &t->anchor.cert, &t->root_crl)) != BH_OK)
        return e;
    t->q->has_root_crl = t->root_crl.der.ptr != NULL;
    if (!t->q->has_root_crl)
        return BH_OK;
    return check_serial(t, EV_INTEL_ROOT_CRL, &t->root_crl, &certs[1], "the PCK CA");
}

enum bh_err
ev_intel_check_signer_revocation(struct ev_intel_trial *t, const struct ev_cert *signer)
{
    if (!t->q->has_root_crl)
        return BH_OK;
    return check_serial(t, EV_INTEL_ROOT_CRL, &t->root_crl, signer, "the TCB signing certificate");
}
