/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a quote authentic? Somebody must vouch for the AK: hardware evidence that binds it, an
 * endorsement, or a vendor's certificate; its key must verify the quote; the PCR values must be the
 * quoted ones; and an event log must replay to them.
 */
#include "tpm2.h"

#include "core/text.h"
#include "core/x509.h"

#include <openssl/crypto.h>
#include <stdio.h>

static void
take_key(struct ev_tpm2 *t, enum ev_tpm2_source source, struct bh_span spki)
{
    memcpy(t->key_bytes, spki.ptr, spki.len);
    t->key = bh_span(t->key_bytes, spki.len);
    t->source = source;
}

/* ---- the AK's public area ---- */

static enum bh_err
check_attributes(const struct ev_tpm2 *t, struct ev_report *report)
{
    static const char expected[] =
        "fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign, not decrypt";
    const char *fault;

    if (!t->has_ak)
        return BH_OK;
    if ((fault = ev_tpm2_attributes_fault(t->ak.attributes)) != NULL)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "TPM 2.0 part 1",
            EV_TPM2_NAME ".ak.attributes", expected, fault,
            "make an attestation key: a restricted signing key of the TPM's own");
    ev_pass(report, "TPM 2.0 part 1", EV_TPM2_NAME ".ak.attributes", expected, "so they are");
    if (t->ak.scheme != EV_TPM2_NULL &&
        (t->ak.scheme != t->signature.scheme || t->ak.hash != t->signature.hash))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "TPM 2.0 part 1", EV_TPM2_NAME ".ak",
            "a signature of the AK's own scheme", "one of another scheme or hash",
            "send the AK that signed the quote");
    return BH_OK;
}

/* ---- who vouches for it ---- */

static enum bh_err
by_hardware(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *auth)
{
    enum bh_err e;

    if ((e = ev_tpm2_check_hcl(t, report)) != BH_OK)
        return e;
    take_key(t, EV_TPM2_HARDWARE, bh_span(t->hcl.ak, t->hcl.ak_len));
    t->has_ek =
        t->hcl.ek_len > 0 && bh_sha2(256, bh_span(t->hcl.ek, t->hcl.ek_len), t->ek) == BH_OK;
    if ((e = t->hcl.hardware->authenticate(t->hcl.state, trust, report, &t->hcl.auth)) == BH_OK)
        *auth = t->hcl.auth;
    return e;
}

/* The endorsement holds the AK's Name, or its key where somebody gave that by hand. */
static bool
is_of(const struct ev_endorsement *e, const struct ev_tpm2 *t)
{
    const struct bh_span key = bh_span(e->key, e->key_len);

    if (e->symmetric)
        return false;
    if (!t->has_ak)
        return true;
    return bh_span_equal(key, bh_span(t->ak.name, t->ak.name_len)) ||
           bh_span_equal(key, bh_span(t->ak.spki, t->ak.spki_len));
}

/* BH_ERR_ENDORSEMENT_UNKNOWN, without a word in the report, when there is none. */
static enum bh_err
by_endorsement(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *auth)
{
    /* Without a Name only a key that was given by hand, whatever its Name, can be found. */
    const struct bh_span name = bh_span(t->ak.name, t->has_ak ? t->ak.name_len : 0);
    struct ev_endorsement found = {0};
    struct bh_diag diag = {0};
    uint8_t key[32];
    enum bh_err e;

    if (trust->lookup == NULL || (name.len == 0 && t->ak_cert.len > 0))
        return BH_ERR_ENDORSEMENT_UNKNOWN;
    ev_endorsement_key(EV_TPM2_NAME, bh_span_none(), name, key);
    if ((e = trust->lookup(trust->lookup_arg, EV_TPM2_NAME, key, &found, &diag)) != BH_OK) {
        if (e != BH_ERR_ENDORSEMENT_UNKNOWN)
            (void)ev_refuse(report, e, "endorsement", EV_TPM2_NAME ".ak",
                "an answer about the endorsed key", diag.detail, diag.hint);
        return e;
    }
    if (!is_of(&found, t)) {
        e = ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "endorsement", EV_TPM2_NAME ".ak",
            "the key that is endorsed", "another AK", "send the AK that signed the quote");
        goto out;
    }
    take_key(t, EV_TPM2_ENDORSED,
        t->has_ak ? bh_span(t->ak.spki, t->ak.spki_len) : bh_span(found.key, found.key_len));
    t->has_ek = !bh_span_is_zero(bh_span(found.implementation_id, EV_TPM2_EK_LEN));
    memcpy(t->ek, found.implementation_id, EV_TPM2_EK_LEN);
    *auth = (struct ev_authenticity){.simulated = found.simulated, .key_class = found.key_class};
    ev_pass(report, "endorsement", EV_TPM2_NAME ".ak", "an endorsed attestation key", "it is");
out:
    OPENSSL_cleanse(&found, sizeof(found));
    return e;
}

static enum bh_err
by_certificate(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *auth)
{
    uint8_t spki[BH_SPKI_MAX];
    bool simulated = false;
    size_t len;
    enum bh_err e;

    if ((e = ev_tpm2_check_cert(t, trust, report, &simulated)) != BH_OK)
        return e;
    if (bh_x509_spki(t->ak_cert.certs[0], spki, sizeof(spki), &len, NULL) != BH_OK)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "certificate", EV_TPM2_NAME ".ak_cert",
            "a certificate with a key", "none that can be read", NULL);
    take_key(t, EV_TPM2_CERTIFIED, bh_span(spki, len));
    *auth = (struct ev_authenticity){.simulated = simulated, .key_class = EV_KEY_TPM};
    return BH_OK;
}

static enum bh_err
unknown(const struct ev_tpm2 *t, struct ev_report *report)
{
    char found[BH_VALUE_MAX] = "neither: only PCRs and a signature by somebody";
    char name[2 * EV_TPM2_NAME_MAX + 1];

    if (t->has_ak)
        (void)snprintf(found, sizeof(found), "an AK that nobody vouches for, of Name %s",
            bh_hex(bh_span(t->ak.name, t->ak.name_len), name, sizeof(name)));
    return ev_refuse(report, BH_ERR_ENDORSEMENT_UNKNOWN, "endorsement", EV_TPM2_NAME ".ak",
        "an AK that is endorsed, or has a vendor's certificate", found,
        "endorse the AK by its Name, or send its certificate as ak_cert");
}

static enum bh_err
find_source(struct ev_tpm2 *t, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *auth)
{
    enum bh_err e;

    if (t->hcl.hardware != NULL)
        return by_hardware(t, trust, report, auth);
    if ((e = by_endorsement(t, trust, report, auth)) != BH_ERR_ENDORSEMENT_UNKNOWN)
        return e;
    return t->ak_cert.len > 0 ? by_certificate(t, trust, report, auth) : unknown(t, report);
}

/* Whatever else is said of the AK, it must be the same key. */
static enum bh_err
check_same_key(const struct ev_tpm2 *t, struct ev_report *report)
{
    static const char hint[] = "ak, ak_cert and hcl_report must all be of the key that quotes";
    uint8_t spki[BH_SPKI_MAX];
    size_t len;

    if (t->has_ak && !bh_span_equal(t->key, bh_span(t->ak.spki, t->ak.spki_len)))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_TPM2_NAME ".key",
            "the AK that is vouched for", "another key in ak", hint);
    if (t->ak_cert.len > 0 &&
        (bh_x509_spki(t->ak_cert.certs[0], spki, sizeof(spki), &len, NULL) != BH_OK ||
            !bh_span_equal(t->key, bh_span(spki, len))))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_TPM2_NAME ".key",
            "the AK that is vouched for", "another key in ak_cert", hint);
    return BH_OK;
}

/* A certificate of an EK ties nothing to the AK; but where something else does, it is of that EK.
 */
static enum bh_err
check_same_ek(const struct ev_tpm2 *t, struct ev_report *report)
{
    uint8_t spki[BH_SPKI_MAX], digest[EV_TPM2_EK_LEN];
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX] = "none that can be read";
    size_t len;

    if (t->ek_cert.len == 0 || !t->has_ek)
        return BH_OK;
    if (bh_x509_spki(t->ek_cert.certs[0], spki, sizeof(spki), &len, NULL) == BH_OK &&
        bh_sha2(256, bh_span(spki, len), digest) == BH_OK) {
        if (memcmp(digest, t->ek, sizeof(digest)) == 0)
            return BH_OK;
        (void)bh_hex(bh_span(digest, sizeof(digest)), found, sizeof(found));
    }
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "endorsement", EV_TPM2_NAME ".ek_cert",
        bh_hex(bh_span(t->ek, sizeof(t->ek)), expected, sizeof(expected)), found,
        "send the certificate of the EK that the AK is endorsed with");
}

/* ---- the quote ---- */

static enum bh_err
check_signature(const struct ev_tpm2 *t, struct ev_report *report)
{
    const char *expected = t->signature.scheme == EV_TPM2_RSASSA   ? "RSASSA by the AK"
                           : t->signature.scheme == EV_TPM2_RSAPSS ? "RSAPSS by the AK"
                                                                   : "ECDSA by the AK";
    const char *fault = ev_tpm2_signature_fault(&t->signature, t->key, t->attest.raw);

    if (fault != NULL)
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_TPM2_NAME ".signature",
            expected, fault, "the quote was changed after it was signed, or another key signed it");
    ev_pass(report, "signature", EV_TPM2_NAME ".signature", expected, "it verifies");
    return BH_OK;
}

static enum bh_err
check_complete(const struct ev_tpm2 *t, struct ev_report *report)
{
    const char *hint = "put it beside the quote: signature.bin and pcrs.json in the folder of "
                       "--collateral, or send a collection";

    if (!t->has_signature)
        return ev_refuse(report, BH_ERR_COLLATERAL_MISSING, "collateral", EV_TPM2_NAME ".signature",
            "the signature over the quote", "none", hint);
    if (!t->has_pcrs)
        return ev_refuse(report, BH_ERR_COLLATERAL_MISSING, "collateral", EV_TPM2_NAME ".pcrs",
            "the values of the quoted PCRs", "none", hint);
    return BH_OK;
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

enum bh_err
ev_tpm2_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    struct ev_authenticity auth = {0};
    struct ev_tpm2 *t = state;
    const bool whole = report->detailed;
    enum bh_err e;

    t->source = EV_TPM2_NOBODY;
    t->has_ek = false;
    t->not_after = 0;
    if (t->raw && !t->has_signature && (e = ev_tpm2_read_beside(t, trust, report)) != BH_OK)
        return e;
    if ((e = check_complete(t, report)) != BH_OK)
        return e;
    /* What costs nothing first; a report that is to be whole goes on after a failure. */
    e = check_attributes(t, report);
    if (e == BH_OK || whole)
        e = first(e, ev_tpm2_check_pcrs(t, report));
    if (e != BH_OK && !whole)
        return e;
    e = first(e, find_source(t, trust, report, &auth));
    if (t->source != EV_TPM2_NOBODY && (e == BH_OK || whole))
        e = first(e, check_same_key(t, report));
    if (t->source != EV_TPM2_NOBODY && (e == BH_OK || whole))
        e = first(e, check_same_ek(t, report));
    if (t->source != EV_TPM2_NOBODY && (e == BH_OK || whole))
        e = first(e, check_signature(t, report));
    if (e == BH_OK)
        e = ev_tpm2_check_log(t, report);
    if (e == BH_OK)
        *ret_auth = auth;
    return e;
}
