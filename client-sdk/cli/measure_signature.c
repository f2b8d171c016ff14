/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_signature.h"

#include "core/cose.h"
#include "core/reader.h"
#include "core/writer.h"
#include "core/x509.h"
#include "measure_eif.h"

#include <stdlib.h>

#define FIELD_MAX (16 * 1024)
#define SIGNATURES_MAX 32
#define CERTS_MAX 8
#define PAYLOAD_MAX 256

enum major {
    MAJOR_UINT = 0,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_ARRAY = 4,
    MAJOR_MAP = 5,
};

/* One field's bytes, gathered. */
struct field {
    uint8_t *bytes; /* of FIELD_MAX */
    size_t len;
};

static enum bh_err
malformed(struct bh_diag *diag, const char *expected, const char *found)
{
    (void)bh_refuse(diag, BH_ERR_MALFORMED, "eif.signature", expected, found,
        "the signature section of the image cannot be read");
    bh_hint(diag, "sign the image anew (nitro-cli build-enclave --private-key)");
    return BH_ERR_MALFORMED;
}

/*
 * The argument of a head of @p major, of definite length and at most @p max. Arrays of numbers are
 * longer here than bh_cbor's readers take arrays, and hold bytes alone.
 */
static size_t
head(struct bh_reader *r, enum major major, size_t max)
{
    const uint8_t first = bh_reader_u8(r);
    const unsigned info = first & 31;
    uint64_t value = info;

    if (info == 24)
        value = bh_reader_u8(r);
    else if (info == 25)
        value = bh_reader_u16be(r);
    else if (info == 26)
        value = bh_reader_u32be(r);
    else if (info > 26)
        bh_reader_spoil(r);
    if (first >> 5 != (unsigned)major || value > max)
        bh_reader_spoil(r);
    return bh_reader_ok(r) ? (size_t)value : 0;
}

static void
read_bytes(struct bh_reader *r, struct field *f)
{
    struct bh_reader ahead = *r;

    f->len = 0;
    if (bh_reader_u8(&ahead) >> 5 == MAJOR_BYTES) {
        f->len = head(r, MAJOR_BYTES, FIELD_MAX);
        bh_reader_copy(r, f->bytes, f->len);
        return;
    }
    const size_t count = head(r, MAJOR_ARRAY, FIELD_MAX);
    while (f->len < count && bh_reader_ok(r))
        f->bytes[f->len++] = (uint8_t)head(r, MAJOR_UINT, UINT8_MAX);
}

/* One map, its fields into @p cert and @p signature. */
static void
read_entry(struct bh_reader *r, struct field *cert, struct field *signature)
{
    bool has_cert = false, has_signature = false;

    for (size_t left = head(r, MAJOR_MAP, 2); left > 0 && bh_reader_ok(r); left--) {
        const struct bh_span key = bh_reader_take(r, head(r, MAJOR_TEXT, 64));

        if (bh_span_is(key, "signing_certificate") && !has_cert) {
            has_cert = true;
            read_bytes(r, cert);
        } else if (bh_span_is(key, "signature") && !has_signature) {
            has_signature = true;
            read_bytes(r, signature);
        } else {
            bh_reader_spoil(r);
        }
    }
    if (!has_cert || !has_signature)
        bh_reader_spoil(r);
}

/* What is signed: {"register_index": 0, "register_value": [numbers of PCR0]}. */
static enum bh_err
expected_payload(const uint8_t *pcr0, uint8_t out[PAYLOAD_MAX], struct bh_span *ret_payload)
{
    struct bh_writer w;

    bh_writer_init(&w, out, PAYLOAD_MAX);
    bh_writer_cbor_map(&w, 2);
    bh_writer_cbor_tstr(&w, "register_index");
    bh_writer_cbor_uint(&w, 0);
    bh_writer_cbor_tstr(&w, "register_value");
    bh_writer_cbor_array(&w, BH_EIF_PCR_LEN);
    for (size_t i = 0; i < BH_EIF_PCR_LEN; i++)
        bh_writer_cbor_uint(&w, pcr0[i]);
    return bh_writer_end(&w, ret_payload);
}

static enum bh_err
check_signature(struct bh_span bytes, X509 *cert, const uint8_t *pcr0, struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX], payload[PAYLOAD_MAX];
    struct bh_diag own = {0};
    struct bh_span want;
    struct bh_cose cose;
    size_t len = 0;
    enum bh_err e;

    if (bh_cose_decode(
            bytes, BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_UNTAGGED_SIGN1, &cose, &own) != BH_OK)
        return malformed(diag, "one COSE_Sign1 (RFC 9052)", own.detail);
    if ((e = bh_x509_spki(cert, spki, sizeof(spki), &len, diag)) != BH_OK ||
        (e = expected_payload(pcr0, payload, &want)) != BH_OK)
        return e;
    if (!bh_span_equal(cose.payload, want))
        return bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "eif.signature",
            "a signature of this image's PCR0", "one of another value",
            "the image was changed after it was signed: it does not start");
    if (bh_cose_verify_spki(&cose, bh_span(spki, len), &own) != BH_OK)
        return bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "eif.signature",
            "a signature by the section's certificate", own.detail,
            "the signature of the image does not verify: it does not start");
    return BH_OK;
}

static enum bh_err
check_entry(const struct field *pem, const struct field *signature, const uint8_t *pcr0,
    uint8_t **ret_der, size_t *ret_len, struct bh_diag *diag)
{
    X509 *certs[CERTS_MAX] = {NULL};
    struct bh_diag own = {0};
    size_t count = 0;
    enum bh_err e;

    if (bh_x509_pem(bh_span(pem->bytes, pem->len), certs, CERTS_MAX, &count, &own) != BH_OK)
        return malformed(diag, "the signing certificate in PEM", own.detail);
    e = check_signature(bh_span(signature->bytes, signature->len), certs[0], pcr0, diag);
    if (e == BH_OK && (e = bh_x509_to_der(certs[0], ret_der, ret_len)) != BH_OK)
        e = bh_fail(diag, e, "signing certificate");
    for (size_t i = 0; i < count; i++)
        X509_free(certs[i]);
    return e;
}

enum bh_err
bh_eif_signer(struct bh_span section, const uint8_t *pcr0, uint8_t **ret_der, size_t *ret_len,
    struct bh_diag *diag)
{
    uint8_t *storage = malloc((size_t)4 * FIELD_MAX);
    struct field first[2], other[2];
    struct bh_reader r;
    enum bh_err e;

    if (storage == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "signature");
    for (size_t i = 0; i < 2; i++) {
        first[i] = (struct field){storage + i * FIELD_MAX, 0};
        other[i] = (struct field){storage + (2 + i) * FIELD_MAX, 0};
    }
    bh_reader_init(&r, section);
    const size_t count = head(&r, MAJOR_ARRAY, SIGNATURES_MAX);
    for (size_t i = 0; i < count && bh_reader_ok(&r); i++)
        read_entry(&r, i == 0 ? &first[0] : &other[0], i == 0 ? &first[1] : &other[1]);
    if (count == 0 || bh_reader_end(&r) != BH_OK)
        e = malformed(diag, "a CBOR array of certificates and signatures", "other bytes");
    else
        e = check_entry(&first[0], &first[1], pcr0, ret_der, ret_len, diag);
    free(storage);
    return e;
}
