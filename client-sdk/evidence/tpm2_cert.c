/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of attestation keys: the vendors of virtual TPMs vouch for them (Azure, Google), in
 * profiles of their own, so that OpenSSL reads and verifies them. The path that holds is
 * remembered.
 */
#include "tpm2.h"

#include "chain_cache.h"
#include "vendor_roots.h"

#include "core/text.h"
#include "core/x509.h"

#include <openssl/x509v3.h>
#include <stdio.h>

#define PATH_MAX_CERTS (EV_TPM2_CERTS_MAX + 8)
#define EKU_AIK "2.23.133.8.3" /* tcg-kp-AIKCertificate */
#define EKU_EK "2.23.133.8.1"  /* what Google's first virtual TPMs wrote into AK certificates */

void
ev_tpm2_certs_clear(struct ev_tpm2_certs *certs)
{
    for (size_t i = 0; i < certs->len; i++)
        X509_free(certs->certs[i]);
    certs->len = 0;
}

/* One DER value's length with its head; 0 when it is not one that fits. */
static size_t
der_len(struct bh_span in)
{
    struct bh_span whole = bh_span_none();
    struct bh_reader r;

    bh_reader_init(&r, in);
    (void)bh_reader_der(&r, 0x30, &whole);
    return bh_reader_ok(&r) ? whole.len : 0;
}

/* NV indices are read whole: zeros follow the certificate. */
static enum bh_err
read_der(struct bh_span in, struct ev_tpm2_certs *certs, struct bh_diag *diag)
{
    enum bh_err e;

    do {
        const size_t len = der_len(in);

        if (len == 0)
            return bh_fail(diag, BH_ERR_MALFORMED, "bytes that are no certificate");
        if (certs->len == EV_TPM2_CERTS_MAX)
            return bh_fail(diag, BH_ERR_MALFORMED, "more than %d certificates", EV_TPM2_CERTS_MAX);
        if ((e = bh_x509_der(bh_span(in.ptr, len), &certs->certs[certs->len], diag)) != BH_OK)
            return e;
        certs->len++;
        in = bh_span(in.ptr + len, in.len - len);
    } while (!bh_span_is_zero(in));
    return BH_OK;
}

enum bh_err
ev_tpm2_certs_read(struct bh_span bytes, struct ev_tpm2_certs *ret_certs, struct bh_diag *diag)
{
    struct ev_tpm2_certs certs = {0};
    enum bh_err e;

    /* PEM may have text before it, as tools that print certificates write it. */
    if (bytes.len > 0 && bytes.ptr[0] != 0x30)
        e = bh_x509_pem(bytes, certs.certs, EV_TPM2_CERTS_MAX, &certs.len, diag);
    else
        e = read_der(bytes, &certs, diag);
    if (e != BH_OK) {
        ev_tpm2_certs_clear(&certs);
        return e;
    }
    *ret_certs = certs;
    return BH_OK;
}

/* ---- the leaf ---- */

static bool
has_purpose(X509 *cert, const char *oid)
{
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    char text[64];
    bool found = false;

    for (int i = 0; i < sk_ASN1_OBJECT_num(all) && !found; i++)
        found = OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(all, i), 1) > 0 &&
                strcmp(text, oid) == 0;
    EXTENDED_KEY_USAGE_free(all);
    return found;
}

/* An EK's certificate, or a CA's, vouches for no key that signs quotes. */
static const char *
leaf_fault(X509 *leaf)
{
    const uint32_t flags = X509_get_extension_flags(leaf);

    if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
        return "extensions that are invalid, or critical and not known";
    if ((flags & EXFLAG_CA) != 0 || X509_check_ca(leaf) != 0)
        return "the certificate of a CA";
    if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0 ||
        (X509_get_key_usage(leaf) & (KU_KEY_CERT_SIGN | KU_KEY_ENCIPHERMENT)) != 0)
        return "a key usage other than digitalSignature";
    if ((flags & EXFLAG_XKUSAGE) != 0 && !has_purpose(leaf, EKU_AIK) && !has_purpose(leaf, EKU_EK))
        return "an extended key usage other than tcg-kp-AIKCertificate";
    return NULL;
}

/* ---- the path ---- */

struct path {
    X509 *anchors[EV_ANCHORS_MAX];
    size_t anchors_len;
    X509 *chain[PATH_MAX_CERTS];
    size_t chain_len;
    size_t built_in; /* from here on, of our own */
};

static bool
is_ours(const struct ev_anchor *a)
{
    return a->platform[0] == '\0' || strcmp(a->platform, EV_TPM2_NAME) == 0;
}

/* Simulated if any anchor of the same bytes says so. */
static bool
is_simulated(const struct ev_trust *trust, const struct ev_anchor *anchor)
{
    for (size_t i = 0; i < trust->anchors_len; i++)
        if (is_ours(&trust->anchors[i]) && trust->anchors[i].simulated &&
            X509_cmp(trust->anchors[i].cert, anchor->cert) == 0)
            return true;
    return false;
}

static void
collect_anchors(const struct ev_trust *trust, bool simulated, struct path *path)
{
    for (size_t i = 0; i < trust->anchors_len; i++)
        if (is_ours(&trust->anchors[i]) && is_simulated(trust, &trust->anchors[i]) == simulated)
            path->anchors[path->anchors_len++] = trust->anchors[i].cert;
}

/* What the evidence brings, and the vendors' intermediates, which it need not. */
static void
collect_chain(const struct ev_tpm2 *t, struct path *path)
{
    const struct ev_vendor_root *rows;
    size_t len, count;

    for (size_t i = 1; i < t->ak_cert.len; i++)
        path->chain[path->chain_len++] = t->ak_cert.certs[i];
    path->built_in = path->chain_len;
    rows = ev_vendor_intermediates(&len);
    for (size_t i = 0; i < len && path->chain_len < PATH_MAX_CERTS; i++)
        if (strcmp(rows[i].platform, EV_TPM2_NAME) == 0 &&
            bh_x509_pem(bh_span_str(rows[i].pem), &path->chain[path->chain_len], 1, &count, NULL) ==
                BH_OK)
            path->chain_len++;
}

static void
path_clear(struct path *path)
{
    for (size_t i = path->built_in; i < path->chain_len; i++)
        X509_free(path->chain[i]);
}

/* The earlier one of @p so_far and the end of the certificate. */
static int64_t
end_of(const X509 *cert, int64_t so_far)
{
    struct tm tm = {0};
    int64_t end;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1 &&
        (end = (int64_t)timegm(&tm)) < so_far)
        return end;
    return so_far;
}

/* The first of those that may have issued @p at, all of which shorten @p end. */
static X509 *
issuer_of(X509 *at, X509 *const *certs, size_t len, int64_t *end)
{
    X509 *found = NULL;

    for (size_t i = 0; i < len; i++) {
        if (certs[i] == at || X509_check_issued(certs[i], at) != X509_V_OK)
            continue;
        *end = end_of(certs[i], *end);
        found = found != NULL ? found : certs[i];
    }
    return found;
}

/* No certificate of the path that was verified ends before this moment. */
static int64_t
path_end(const struct ev_tpm2 *t, const struct path *path)
{
    X509 *at = t->ak_cert.certs[0];
    int64_t end = end_of(at, INT64_MAX);

    for (size_t steps = 0; at != NULL && steps < PATH_MAX_CERTS; steps++) {
        (void)issuer_of(at, path->anchors, path->anchors_len, &end);
        at = issuer_of(at, path->chain, path->chain_len, &end);
    }
    return end;
}

/* What a remembered verification rested on: the leaf, what came with it, and all anchors. */
static bool
path_hash(const struct ev_tpm2 *t, const struct path *path, uint8_t hash[EV_PATH_HASH_LEN])
{
    bool good;

    memset(hash, 0, EV_PATH_HASH_LEN);
    good = ev_chain_path(hash, bh_span_str(EV_TPM2_NAME)) == BH_OK;
    for (size_t i = 0; i < t->ak_cert.len + path->anchors_len && good; i++) {
        X509 *cert = i < t->ak_cert.len ? t->ak_cert.certs[i] : path->anchors[i - t->ak_cert.len];
        uint8_t *der = NULL;
        size_t len = 0;

        good = bh_x509_to_der(cert, &der, &len) == BH_OK &&
               ev_chain_path(hash, bh_span(der, len)) == BH_OK;
        OPENSSL_free(der);
    }
    return good;
}

static bool
begins_after(X509 *cert, int64_t now)
{
    time_t at = (time_t)now;

    return X509_cmp_time(X509_get0_notBefore(cert), &at) > 0;
}

/* The end of a path that was verified before; 0 when it is not known. */
static int64_t
recall(const struct ev_trust *trust, const uint8_t hash[EV_PATH_HASH_LEN])
{
    const struct bh_span known = ev_chain_cache_conclusion(trust->cache, hash, trust->now);
    int64_t end = 0;

    if (known.len == sizeof(end))
        memcpy(&end, known.ptr, sizeof(end));
    return end;
}

/* A path under the genuine anchors, or under the simulated ones. */
static enum bh_err
verify_under(struct ev_tpm2 *t, const struct ev_trust *trust, bool simulated, struct bh_diag *diag)
{
    struct path path = {0};
    uint8_t hash[EV_PATH_HASH_LEN];
    int64_t end;
    enum bh_err e;

    collect_anchors(trust, simulated, &path);
    if (path.anchors_len == 0)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "no trust anchor for TPMs");
    const bool hashed = trust->cache != NULL && path_hash(t, &path, hash);
    if (hashed && (end = recall(trust, hash)) != 0) {
        t->not_after = end;
        return BH_OK;
    }
    collect_chain(t, &path);
    end = path_end(t, &path);
    /* A clock that is a little slow must not refuse a certificate that was just made. */
    const bool young = begins_after(t->ak_cert.certs[0], trust->now);
    e = bh_x509_verify(t->ak_cert.certs[0], path.chain, path.chain_len, path.anchors,
        path.anchors_len, trust->now + (young ? trust->skew : 0), diag);
    if (e == BH_OK) {
        t->not_after = end;
        if (hashed && !young)
            ev_chain_cache_conclude(trust->cache, hash, bh_span(&end, sizeof(end)), end);
    }
    path_clear(&path);
    return e;
}

static bool
says_simulated(const struct ev_tpm2 *t)
{
    char name[256];

    return X509_NAME_oneline(X509_get_issuer_name(t->ak_cert.certs[0]), name, (int)sizeof(name)) !=
               NULL &&
           strstr(name, "SIMULATED") != NULL;
}

enum bh_err
ev_tpm2_check_cert(
    struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report, bool *ret_simulated)
{
    const char *fault = leaf_fault(t->ak_cert.certs[0]);
    struct bh_diag diag = {0};
    bool simulated = false;

    if (fault != NULL)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "certificate", EV_TPM2_NAME ".ak_cert",
            "the certificate of a key that signs quotes", fault,
            "send the AK's certificate, not the EK's");
    if (verify_under(t, trust, false, &diag) != BH_OK) {
        if (verify_under(t, trust, true, NULL) != BH_OK) {
            if (!trust->allow_simulated && says_simulated(t))
                return ev_refuse(report, BH_ERR_SIMULATED, "anchor", "simulated",
                    "genuine evidence", "a certificate of an issuer that says SIMULATED",
                    "simulated devices enrol only on a server that was made with "
                    "--allow-simulated");
            return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "anchor", EV_TPM2_NAME ".chain",
                "a path from a trust anchor to the AK's certificate", diag.detail,
                "the roots of Azure's and Google's virtual TPMs are built in: send the "
                "intermediate certificates behind the AK's, or make its root a trust anchor");
        }
        simulated = true;
    }
    ev_pass(report, "anchor", EV_TPM2_NAME ".chain",
        "a path from a trust anchor to the AK's certificate",
        "signatures, names, constraints and validity hold");
    *ret_simulated = simulated;
    return BH_OK;
}
