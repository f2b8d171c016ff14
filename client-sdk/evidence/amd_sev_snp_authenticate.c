/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a report authentic? The certificate of the key that signed it comes with the evidence or from
 * the collateral; it must be of the kind, product, chip and TCB that the report names, chain to a
 * pinned ARK, and its key must verify the report.
 */
#include "amd_sev_snp.h"

#include "core/text.h"
#include "core/x509.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include <stdio.h>

#define SIGNED_LEN 0x2a0
#define COMPONENT_LEN 48
#define DER_MAX 120

/* ---- which certificate ---- */

/* Where AMD hands out this VCEK (57230, 4). */
static void
kds_url(const struct ev_snp_report *r, char out[BH_TEXT_MAX])
{
    /* In version 2 only the certificate says the product, and it is what is missing. */
    const enum ev_snp_product product = r->product != EV_SNP_NO_PRODUCT ? r->product : EV_SNP_MILAN;
    const struct ev_snp_tcb tcb = ev_snp_tcb_read(r->reported_tcb, product);
    const size_t id_len = product == EV_SNP_TURIN ? EV_SNP_TURIN_HWID_LEN : EV_SNP_CHIP_ID_LEN;
    char id[2 * EV_SNP_CHIP_ID_LEN + 1], fmc[16] = "";

    if (product == EV_SNP_TURIN)
        (void)snprintf(fmc, sizeof(fmc), "fmcSPL=%02u&", tcb.spl[EV_SNP_SPL_FMC]);
    (void)snprintf(out, BH_TEXT_MAX,
        "fetch https://kdsintf.amd.com/vcek/v1/%s/"
        "%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u",
        ev_snp_product_name(product), bh_hex(bh_span(r->chip_id.ptr, id_len), id, sizeof(id)), fmc,
        tcb.spl[EV_SNP_SPL_BOOTLOADER], tcb.spl[EV_SNP_SPL_TEE], tcb.spl[EV_SNP_SPL_SNP],
        tcb.spl[EV_SNP_SPL_MICROCODE]);
}

/* Chip id (a Turin's 8 bytes) and reported TCB; for a VLEK, which is of no chip, product and TCB.
 */
static struct bh_span
collateral_key(const struct ev_snp_report *r, uint8_t out[EV_SNP_CHIP_ID_LEN + EV_SNP_TCB_LEN])
{
    struct bh_span first = r->chip_id;

    if (r->product == EV_SNP_TURIN)
        first.len = EV_SNP_TURIN_HWID_LEN;
    if (r->signing_key == EV_SNP_KEY_VLEK)
        first = bh_span_str(ev_snp_product_name(r->product));
    memcpy(out, first.ptr, first.len);
    memcpy(out + first.len, r->reported_tcb.ptr, EV_SNP_TCB_LEN);
    return bh_span(out, first.len + EV_SNP_TCB_LEN);
}

static enum bh_err
missing(const struct ev_snp *n, struct ev_report *report)
{
    const bool vlek = n->report.signing_key == EV_SNP_KEY_VLEK;
    char hint[BH_TEXT_MAX];

    if (vlek ? n->has_vcek : n->has_vlek)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "AMD 56860", EV_SNP_NAME ".signing_key",
            vlek ? "a VLEK's certificate, as SIGNING_KEY says"
                 : "a VCEK's certificate, as SIGNING_KEY says",
            vlek ? "a VCEK's" : "a VLEK's", "send the certificate of the key that signed");
    kds_url(&n->report, hint);
    return ev_refuse(report, BH_ERR_COLLATERAL_MISSING, "collateral",
        vlek ? EV_SNP_NAME ".vlek" : EV_SNP_NAME ".vcek",
        "the certificate of the key that signed the report", "none, in evidence and collateral",
        vlek
            ? "send the certificate table (auxblob): the provider's hosts hand their VLEK out in it"
            : hint);
}

static enum bh_err
from_collateral(struct ev_snp *n, const struct ev_trust *trust, struct ev_report *report)
{
    const bool vlek = n->report.signing_key == EV_SNP_KEY_VLEK;
    const char *name = vlek ? EV_SNP_NAME ".vlek" : EV_SNP_NAME ".vcek";
    uint8_t key[EV_SNP_CHIP_ID_LEN + EV_SNP_TCB_LEN];
    struct bh_span der = bh_span_none();
    struct bh_diag diag = {0};
    enum bh_err e = BH_ERR_COLLATERAL_MISSING;

    if (trust->collateral != NULL)
        e = trust->collateral(trust->collateral_arg, vlek ? "vlek.der" : "vcek.der",
            collateral_key(&n->report, key), &der, &diag);
    if (e == BH_ERR_COLLATERAL_MISSING)
        return missing(n, report);
    if (e != BH_OK)
        return ev_refuse(report, e, "collateral", name, "an answer about the certificate",
            diag.detail, diag.hint);
    if (ev_snp_endorser_read(der, vlek, &n->endorser, &diag) != BH_OK)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "collateral", name,
            "the DER of one certificate of its kind", diag.detail, "fetch the certificate again");
    return BH_OK;
}

static enum bh_err
choose_endorser(struct ev_snp *n, const struct ev_trust *trust, struct ev_report *report)
{
    const bool vlek = n->report.signing_key == EV_SNP_KEY_VLEK;

    if (n->report.signing_key == EV_SNP_KEY_NONE)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "AMD 56860", EV_SNP_NAME ".signing_key",
            "a report signed by a VCEK or VLEK", "7: nobody signed it",
            "the host masks the chip's key: have it load a VLEK, or unmask the key");
    if (!vlek && bh_span_is_zero(n->report.chip_id))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "AMD 56860", EV_SNP_NAME ".chip_id",
            "the id of the chip whose VCEK signed", "all zero: masked",
            "have the host unmask the chip id, or load a VLEK");
    if (vlek ? n->has_vlek : n->has_vcek) {
        n->endorser = vlek ? n->vlek : n->vcek;
        return BH_OK;
    }
    return from_collateral(n, trust, report);
}

/* ---- the certificate's extensions against the report ---- */

static enum bh_err
check_product(const struct ev_snp *n, struct ev_report *report)
{
    const char *want = ev_snp_product_name(n->report.product);
    const char *have = ev_snp_product_name(n->endorser.product);

    /* Version 2 does not say its product, and was not made by Turin. */
    if (n->report.product == EV_SNP_NO_PRODUCT) {
        if (n->endorser.product != EV_SNP_TURIN)
            return BH_OK;
        want = "Milan or Genoa, as version 2 comes from";
    } else if (n->report.product == n->endorser.product) {
        ev_pass(report, "signature", EV_SNP_NAME ".product", want, have);
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_SNP_NAME ".product", want, have,
        "the certificate is of another product than the report");
}

static enum bh_err
check_chip(const struct ev_snp *n, struct ev_report *report)
{
    const struct bh_span id = n->report.chip_id, hwid = n->endorser.hwid;
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (n->endorser.vlek)
        return BH_OK;
    /* Turin's id is short, and zeros follow. */
    if (hwid.len <= id.len && memcmp(hwid.ptr, id.ptr, hwid.len) == 0 &&
        bh_span_is_zero(bh_span(id.ptr + hwid.len, id.len - hwid.len))) {
        if (report->detailed)
            ev_pass(report, "signature", EV_SNP_NAME ".chip_id",
                bh_hex(id, expected, sizeof(expected)), bh_hex(hwid, found, sizeof(found)));
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_SNP_NAME ".chip_id",
        bh_hex(id, expected, sizeof(expected)), bh_hex(hwid, found, sizeof(found)),
        "the certificate is of another chip than the report");
}

static enum bh_err
check_tcb(const struct ev_snp *n, struct ev_report *report)
{
    const enum ev_snp_product product = n->endorser.product;
    const struct ev_snp_tcb want = ev_snp_tcb_read(n->report.reported_tcb, product);
    const struct ev_snp_tcb *have = &n->endorser.tcb;
    char name[BH_CHECK_MAX], expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++) {
        const bool fits = want.spl[i] == have->spl[i];

        if (!ev_snp_has_spl(product, i) || (fits && !report->detailed))
            continue;
        (void)snprintf(name, sizeof(name), EV_SNP_NAME ".tcb.%s", ev_snp_spl_name(i));
        (void)snprintf(expected, sizeof(expected), "%u, reported", want.spl[i]);
        (void)snprintf(found, sizeof(found), "%u, certified", have->spl[i]);
        if (fits)
            ev_pass(report, "signature", name, expected, found);
        else
            e = ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", name, expected, found,
                "the certificate is for another TCB than REPORTED_TCB: fetch the one that fits");
        if (e != BH_OK)
            break;
    }
    return e;
}

/* ---- the report's signature ---- */

/* R and S, little-endian, as a DER ECDSA-Sig-Value; 0 when they make none. */
static size_t
signature_der(const struct ev_snp_report *r, uint8_t out[DER_MAX])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *a = BN_lebin2bn(r->r.ptr, COMPONENT_LEN, NULL);
    BIGNUM *b = BN_lebin2bn(r->s.ptr, COMPONENT_LEN, NULL);
    uint8_t *at = out;
    int len = 0;

    if (sig != NULL && a != NULL && b != NULL && ECDSA_SIG_set0(sig, a, b) == 1) {
        a = b = NULL;
        if ((len = i2d_ECDSA_SIG(sig, NULL)) > 0 && len <= DER_MAX)
            len = i2d_ECDSA_SIG(sig, &at);
        else
            len = 0;
    }
    BN_free(a);
    BN_free(b);
    ECDSA_SIG_free(sig);
    return len > 0 ? (size_t)len : 0;
}

static bool
verifies(const struct ev_snp_report *r, EVP_PKEY *key)
{
    uint8_t der[DER_MAX];
    const size_t len = signature_der(r, der);
    EVP_MD_CTX *ctx;
    bool good;

    if (len == 0 || key == NULL || (ctx = EVP_MD_CTX_new()) == NULL)
        return false;
    good = EVP_DigestVerifyInit(ctx, NULL, bh_sha2_md(384), NULL, key) == 1 &&
           EVP_DigestVerify(ctx, der, len, r->raw.ptr, SIGNED_LEN) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* @p key is NULL when the chain did not hold: a whole report still says who signed. */
static enum bh_err
check_signature(const struct ev_snp *n, EVP_PKEY *key, struct ev_report *report)
{
    const char *expected = n->endorser.vlek ? "ECDSA P-384 with SHA-384 by the VLEK"
                                            : "ECDSA P-384 with SHA-384 by the VCEK";
    EVP_PKEY *own = NULL;
    bool good;

    if (key == NULL && bh_spki_decode(n->endorser.cert.spki, &own, NULL) != BH_OK)
        own = NULL;
    good = verifies(&n->report, key != NULL ? key : own);
    EVP_PKEY_free(own);
    if (good) {
        ev_pass(report, "signature", EV_SNP_NAME ".signature", expected, "it verifies");
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_SNP_NAME ".signature", expected,
        "a signature that does not verify", "the report was changed after it was signed");
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

enum bh_err
ev_snp_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    struct ev_authenticity auth = {.key_class = EV_KEY_SILICON};
    struct ev_snp *n = state;
    EVP_PKEY *key = NULL;
    enum bh_err e;

    if ((e = choose_endorser(n, trust, report)) != BH_OK)
        return e;
    /* What costs nothing first; a report that is to be whole goes on after a failure. */
    e = check_product(n, report);
    if (e == BH_OK || report->detailed)
        e = first(e, check_chip(n, report));
    if (e == BH_OK || report->detailed)
        e = first(e, check_tcb(n, report));
    if (e == BH_OK || report->detailed)
        e = first(e, ev_snp_check_chain(n, trust, report, &auth.simulated, &key));
    if (e == BH_OK || report->detailed)
        e = first(e, check_signature(n, key, report));
    EVP_PKEY_free(key);
    if (e == BH_OK) {
        n->product = n->endorser.product;
        *ret_auth = auth;
    }
    return e;
}
