/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a report authentic? The certificate of the key that signed it comes with the evidence or from
 * the collateral; it must be of the kind, product, chip and TCB that the report names, chain to a
 * pinned ARK, and its key must verify the report.
 */
#include "amd_sev_snp.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define SIGNED_LEN 0x2a0
#define COMPONENT_LEN 48

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

static void
reverse(const uint8_t *little, uint8_t *big)
{
    for (size_t i = 0; i < COMPONENT_LEN; i++)
        big[i] = little[COMPONENT_LEN - 1 - i];
}

static bool
verifies(const struct ev_snp *n)
{
    const struct ev_snp_report *r = &n->report;
    uint8_t raw[2 * COMPONENT_LEN], buf[BH_ECDSA_DER_MAX];
    struct bh_span point, der;
    const char *curve;

    /* The curve was checked with the chain; a whole report comes here without that, too. */
    if (bh_spki_point(n->endorser.cert.spki, &curve, &point) != BH_OK ||
        strcmp(curve, "P-384") != 0)
        return false;
    reverse(r->r.ptr, raw);
    reverse(r->s.ptr, raw + COMPONENT_LEN);
    return bh_ecdsa_to_der(bh_span(raw, sizeof(raw)), buf, &der) == BH_OK &&
           bh_ecdsa_verify_point(
               point, 384, bh_span(r->raw.ptr, SIGNED_LEN), bh_span_none(), der) == BH_OK;
}

static enum bh_err
check_signature(const struct ev_snp *n, struct ev_report *report)
{
    const char *expected = n->endorser.vlek ? "ECDSA P-384 with SHA-384 by the VLEK"
                                            : "ECDSA P-384 with SHA-384 by the VCEK";

    if (verifies(n)) {
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
        e = first(e, ev_snp_check_chain(n, trust, report, &auth.simulated));
    if (e == BH_OK || report->detailed)
        e = first(e, check_signature(n, report));
    if (e == BH_OK) {
        n->product = n->endorser.product;
        *ret_auth = auth;
    }
    return e;
}
