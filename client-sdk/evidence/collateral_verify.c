/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signed a file of collateral: for who puts it into a folder and wants to know then, not at the
 * first enrolment. OpenSSL's path verification serves here, as the verifiers' own checks come later
 * in any case.
 */
#include "collateral.h"

#include "amd_sev_snp.h"
#include "intel.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/x509.h"

#include <openssl/err.h>

#include <stdio.h>
#include <stdlib.h>

#define OTHERS_MAX 128
#define SIGNATURE_LEN 64

struct trial {
    const struct ev_collateral *what;
    struct bh_span bytes;
    const struct ev_collateral_issuers *issuers;
    struct bh_diag *diag;
    size_t others_len;
    X509 *others[OTHERS_MAX]; /* each with a reference of its own */
};

static enum bh_err
refuse(struct trial *t, enum bh_err err, const char *check, const char *expected, const char *found,
    const char *hint)
{
    const enum bh_err e = bh_refuse(t->diag, err, check, expected, found, "%s, %s: %s",
        ev_collateral_kind_name(t->what->kind), t->what->about, "not verified");

    bh_hint(t->diag, "%s", hint);
    return e;
}

static enum bh_err
unsigned_by(struct trial *t, const char *expected, const char *found)
{
    return refuse(t, BH_ERR_NOT_AUTHENTIC, "collateral.signature", expected, found,
        "fetch the file again from the vendor's service");
}

/* ---- certificates above it ---- */

static void
keep_built_in(struct trial *t)
{
    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++)
        for (size_t vlek = 0; vlek < 2 && t->others_len < OTHERS_MAX; vlek++)
            if (bh_x509_der(ev_snp_built_in_ask(p, vlek != 0), &t->others[t->others_len], NULL) ==
                BH_OK)
                t->others_len++;
}

static void
keep_others(struct trial *t)
{
    for (size_t i = 0; i < t->issuers->others_len && t->others_len < OTHERS_MAX; i++)
        if (X509_up_ref(t->issuers->others[i]) == 1)
            t->others[t->others_len++] = t->issuers->others[i];
}

static bool
has_subject(X509 *cert, struct bh_span name)
{
    const unsigned char *der;
    size_t len;

    return X509_NAME_get0_der(X509_get_subject_name(cert), &der, &len) == 1 &&
           bh_span_equal(bh_span(der, len), name);
}

static bool
leads_to_anchor(const struct trial *t, X509 *cert)
{
    return bh_x509_verify(cert, t->others, t->others_len, t->issuers->anchors,
               t->issuers->anchors_len, t->issuers->at, NULL) == BH_OK;
}

/* ---- each form ---- */

static enum bh_err
verify_certificate(struct trial *t)
{
    struct bh_diag diag = {0};
    X509 *cert = NULL;
    enum bh_err e = BH_OK;

    if (bh_x509_der(t->bytes, &cert, &diag) != BH_OK)
        return unsigned_by(t, "a certificate", diag.detail);
    if (bh_x509_verify(cert, t->others, t->others_len, t->issuers->anchors, t->issuers->anchors_len,
            t->issuers->at, &diag) != BH_OK)
        e = refuse(t, BH_ERR_NOT_AUTHENTIC, "collateral.signature",
            "a path of signatures to a trust anchor", diag.detail,
            "give the root and the intermediate certificate (ASK) by --trust-anchor");
    X509_free(cert);
    return e;
}

/* Signed by a certificate of the issuer's name that leads to an anchor. */
static bool
is_signed_list(X509_CRL *list, X509 *issuer, const struct trial *t)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    const bool good = key != NULL && X509_CRL_verify(list, key) == 1 && leads_to_anchor(t, issuer);

    ERR_clear_error();
    return good;
}

static enum bh_err
no_issuer(struct trial *t)
{
    const bool pck = t->what->kind == EV_COLLATERAL_PCK_CRL;

    return refuse(t, BH_ERR_COLLATERAL_MISSING, "collateral.issuer",
        "the certificate of the issuer", "none of that name",
        pck ? "give its chain beside it (pck_crl_chain.pem): the header SGX-PCK-CRL-Issuer-Chain "
              "of the answer that brought the list, percent-decoded"
            : "give the issuer's certificate by --trust-anchor");
}

static enum bh_err
verify_list(struct trial *t)
{
    const uint8_t *at = t->bytes.ptr;
    bool named = false, good = false;
    struct ev_crl crl;
    X509_CRL *list;

    if (ev_crl_read(t->bytes, &crl, t->diag) != BH_OK ||
        (list = d2i_X509_CRL(NULL, &at, (long)t->bytes.len)) == NULL) {
        ERR_clear_error();
        return unsigned_by(t, "a revocation list", "something else");
    }
    for (size_t i = 0; i < t->issuers->anchors_len + t->others_len && !good; i++) {
        const bool anchor = i < t->issuers->anchors_len;
        X509 *issuer = anchor ? t->issuers->anchors[i] : t->others[i - t->issuers->anchors_len];

        if (!has_subject(issuer, crl.issuer))
            continue;
        named = true;
        good = is_signed_list(list, issuer, t);
    }
    X509_CRL_free(list);
    if (!named)
        return no_issuer(t);
    return good ? BH_OK
                : unsigned_by(t, "a list that its issuer signed, under a trust anchor",
                      "no such signature");
}

static enum bh_err
verify_chain(struct trial *t)
{
    X509 *certs[EV_INTEL_PATH_MAX] = {NULL};
    struct bh_diag diag = {0};
    size_t len = 0;
    enum bh_err e;

    if (bh_x509_pem(t->bytes, certs, BH_COUNT(certs), &len, &diag) != BH_OK)
        return unsigned_by(t, "certificates in PEM", diag.detail);
    e = bh_x509_verify(certs[0], certs + 1, len - 1, t->issuers->anchors, t->issuers->anchors_len,
        t->issuers->at, &diag);
    if (e != BH_OK)
        e = unsigned_by(t, "a path of signatures to a trust anchor", diag.detail);
    for (size_t i = 0; i < len; i++)
        X509_free(certs[i]);
    return e;
}

/* The TCB signing certificate that signed a document, if it did. */
static bool
is_signed_document(X509 *signer, struct bh_span object, struct bh_span signature)
{
    uint8_t spki[BH_SPKI_MAX];
    struct bh_span point;
    const char *curve;
    size_t len = 0;

    return bh_x509_spki(signer, spki, sizeof(spki), &len, NULL) == BH_OK &&
           bh_spki_point(bh_span(spki, len), &curve, &point) == BH_OK &&
           strcmp(curve, "P-256") == 0 &&
           bh_ecdsa_verify_point(point, 256, object, bh_span_none(), signature) == BH_OK;
}

static bool
is_tcb_signer(X509 *cert)
{
    const unsigned char *der;
    size_t len;
    struct bh_span cn;
    static const char name[] = "Intel SGX TCB Signing";

    if (X509_NAME_get0_der(X509_get_subject_name(cert), &der, &len) != 1)
        return false;
    cn = ev_cert_common_name(bh_span(der, len));
    return cn.len >= sizeof(name) - 1 &&
           memcmp(cn.ptr + cn.len - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
}

static enum bh_err
verify_document(struct trial *t)
{
    const char *member = t->what->kind == EV_COLLATERAL_TCB_INFO ? "tcbInfo" : "enclaveIdentity";
    uint8_t raw[SIGNATURE_LEN], der_buf[BH_ECDSA_DER_MAX];
    struct bh_span object, hex, der;
    bool named = false, good = false;
    size_t len = 0;

    if (!ev_intel_body_split(t->bytes, member, &object, &hex) ||
        bh_unhex(hex, raw, sizeof(raw), &len) != BH_OK || len != sizeof(raw) ||
        bh_ecdsa_to_der(bh_span(raw, len), der_buf, &der) != BH_OK)
        return unsigned_by(t, "a signature of 64 bytes in hex", "something else");
    for (size_t i = 0; i < t->others_len && !good; i++) {
        if (!is_tcb_signer(t->others[i]))
            continue;
        named = true;
        good = is_signed_document(t->others[i], object, der) && leads_to_anchor(t, t->others[i]);
    }
    if (!named)
        return refuse(t, BH_ERR_COLLATERAL_MISSING, "collateral.issuer",
            "the TCB signing certificate", "none",
            "give its chain beside it (tcb_signing_chain.pem): the header TCB-Info-Issuer-Chain of "
            "the answer that brought it, percent-decoded");
    return good
               ? BH_OK
               : unsigned_by(t, "bytes that a TCB signing certificate signed, under a trust anchor",
                     "no such signature");
}

static enum bh_err
check_validity(struct trial *t)
{
    const struct ev_collateral *c = t->what;
    const int64_t now = t->issuers->at;
    char expected[BH_VALUE_MAX], from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX];

    if (now >= c->from && now <= c->until)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "%s to %s", bh_time_text(c->from, from),
        bh_time_text(c->until, to));
    return refuse(t, BH_ERR_COLLATERAL_EXPIRED, "collateral.validity", expected,
        bh_time_text(now, at), "fetch the current file, and check the clock");
}

enum bh_err
ev_collateral_verify(const struct ev_collateral *what, struct bh_span bytes,
    const struct ev_collateral_issuers *issuers, struct bh_diag *diag)
{
    struct trial *t = calloc(1, sizeof(*t));
    enum bh_err e;

    if (t == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    *t = (struct trial){.what = what, .bytes = bytes, .issuers = issuers, .diag = diag};
    keep_built_in(t);
    keep_others(t);
    if ((e = check_validity(t)) == BH_OK) {
        switch (what->kind) {
        case EV_COLLATERAL_VCEK:
        case EV_COLLATERAL_VLEK:
            e = verify_certificate(t);
            break;
        case EV_COLLATERAL_AMD_CRL:
        case EV_COLLATERAL_PCK_CRL:
        case EV_COLLATERAL_ROOT_CRL:
            e = verify_list(t);
            break;
        case EV_COLLATERAL_TCB_INFO:
        case EV_COLLATERAL_QE_IDENTITY:
            e = verify_document(t);
            break;
        default:
            e = verify_chain(t);
            break;
        }
    }
    for (size_t i = 0; i < t->others_len; i++)
        X509_free(t->others[i]);
    free(t);
    return e;
}
