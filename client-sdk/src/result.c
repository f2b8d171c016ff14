/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation result in a leaf: an EAR (draft-ietf-rats-ear-04) in the extension id-pe-cmw (RFC
 * 9999). */
#include "src/internal.h"

#include "core/cmw.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

static enum bh_err
refuse_ear(struct bh_diag *diag, const char *check, const char *expected, const char *found,
    const char *what)
{
    const enum bh_err e = bh_refuse(
        diag, BH_ERR_NOT_AUTHENTIC, check, expected, found, "attestation result: %s", what);
    bh_hint(diag, "the certificate was not issued by beachhead-server for this key and workload");
    return e;
}

/* The value of the one id-pe-cmw extension; borrowed from the certificate. */
static struct bh_span
cmw_extension(const X509 *cert)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(BH_OID_PE_CMW, 1);
    struct bh_span value = bh_span_none();

    const int at = oid == NULL ? -1 : X509_get_ext_by_OBJ(cert, oid, -1);
    if (at >= 0 && X509_get_ext_by_OBJ(cert, oid, at) < 0) {
        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(X509_get_ext(cert, at));
        value = bh_span(ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
    }
    ASN1_OBJECT_free(oid);
    return value;
}

enum bh_err
bh_ear_from_cert(const X509 *cert, uint8_t **ret_cwt, size_t *ret_len, struct bh_diag *diag)
{
    struct bh_cmw cmw = {0};
    struct bh_span json, cbor;
    enum bh_err e;

    const struct bh_span ext = cmw_extension(cert);
    if (ext.len == 0)
        return refuse_ear(diag, "ear.missing", "one extension " BH_OID_PE_CMW, "none, or several",
            "the certificate carries none");
    if ((e = bh_cmw_ext_decode(ext, &json, &cbor, diag)) == BH_OK)
        e = json.len > 0 ? bh_cmw_from_json(json, &cmw, diag) : bh_cmw_from_cbor(cbor, &cmw, diag);
    if (e != BH_OK) {
        bh_name_check(diag, "ear.malformed");
        return e;
    }
    if (cmw.collection || cmw.count != 1 || strcmp(cmw.records[0].type, BH_EAR_CWT_TYPE) != 0 ||
        cmw.records[0].value.len == 0 || cmw.records[0].value.len > BH_EAR_MAX) {
        e = refuse_ear(diag, "ear.type", BH_EAR_CWT_TYPE, cmw.records[0].type,
            "of another kind than this program knows");
        goto out;
    }
    if ((*ret_cwt = malloc(cmw.records[0].value.len)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "attestation result");
        goto out;
    }
    memcpy(*ret_cwt, cmw.records[0].value.ptr, cmw.records[0].value.len);
    *ret_len = cmw.records[0].value.len;
out:
    bh_cmw_clear(&cmw);
    return e;
}

static enum bh_err
check_key(const X509 *leaf, const struct bh_ear *ear, struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX];
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_x509_spki(leaf, spki, sizeof(spki), &len, diag)) != BH_OK)
        return e;
    if (!bh_span_equal(bh_span(spki, len), bh_span(ear->spki, ear->spki_len)))
        return refuse_ear(diag, "ear.key", "the certificate's own key", "another key",
            "it speaks of another key (cnf, RFC 8747)");
    return BH_OK;
}

static enum bh_err
check_times(const struct bh_peer *peer, int64_t at, struct bh_diag *diag)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX], a[BH_TIME_MAX], b[BH_TIME_MAX];

    if (peer->ear.exp > at && peer->ear.iat >= peer->not_before && peer->ear.iat <= peer->not_after)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "issued with the certificate, not expired at %s",
        bh_time_text(at, a));
    (void)snprintf(found, sizeof(found), "issued %s, expires %s", bh_time_text(peer->ear.iat, a),
        bh_time_text(peer->ear.exp, b));
    return refuse_ear(diag, "ear.validity", expected, found, "not valid at this time");
}

static void
join_platforms(struct bh_peer *peer)
{
    const struct bh_ear *ear = &peer->ear;
    size_t at = 0;

    peer->status = BH_EAR_AFFIRMING;
    for (size_t i = 0; i < ear->submods_len; i++) {
        const int n = snprintf(peer->platform + at, sizeof(peer->platform) - at, "%s%s",
            i == 0 ? "" : "+", ear->submods[i].platform);
        at += (size_t)n;
        peer->status = bh_ear_worse(peer->status, ear->submods[i].status);
    }
}

enum bh_err
bh_leaf_ear(const struct bh_chain *chain, int64_t at, struct bh_peer *peer, struct bh_diag *diag)
{
    EVP_PKEY *issuer = X509_get0_pubkey(chain->issuer);
    struct bh_diag why = {0};
    uint8_t *cwt = NULL;
    size_t len = 0;
    enum bh_err e;

    if (issuer == NULL)
        return bh_fail(diag, BH_ERR_NOT_AUTHENTIC, "the issuing CA's key is unreadable");
    if ((e = bh_ear_from_cert(chain->leaf, &cwt, &len, diag)) != BH_OK)
        return e;
    if ((e = bh_ear_verify(bh_span(cwt, len), issuer, &peer->ear, &why)) != BH_OK) {
        const bool forged = e == BH_ERR_NOT_AUTHENTIC;
        (void)bh_refuse(diag, e, forged ? "ear.signature" : "ear.malformed",
            forged ? "a signature by the CA that issued the certificate" : BH_EAR_PROFILE,
            why.detail, "the attestation result in the certificate does not hold");
        bh_hint(diag, "an attestation result must be signed by the CA that issued the certificate");
        goto out;
    }
    if (peer->ear.submods_len == 0) {
        e = refuse_ear(diag, "ear.submods", "one platform or more", "none", "it says nothing");
        goto out;
    }
    if ((e = check_key(chain->leaf, &peer->ear, diag)) != BH_OK)
        goto out;
    if (strcmp(peer->ear.workload, peer->workload) != 0) {
        e = refuse_ear(diag, "ear.workload", peer->workload, peer->ear.workload,
            "it is of another workload than the certificate");
        goto out;
    }
    if ((e = check_times(peer, at, diag)) == BH_OK)
        join_platforms(peer);
out:
    free(cwt);
    return e;
}
