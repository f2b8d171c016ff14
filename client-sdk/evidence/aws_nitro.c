/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro attestation documents: recognise, decode, binding, claims. */
#include "aws_nitro.h"

#include "core/cbor.h"
#include "core/reader.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MEDIA_TYPE "application/aws-nitro-document"
#define SOURCE "AWS Nitro attestation document"
#define DOCUMENT_MAX (20 * 1024)
#define PAYLOAD_MAX (16 * 1024)
#define CERTIFICATE_MAX 1024
#define USER_FIELD_MAX 1024
#define SIGNATURE_LEN 96

static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22}; /* {1: -35}, ES384 */

static bool
takes(const char *media_type)
{
    const size_t len = sizeof(MEDIA_TYPE) - 1;

    return strncasecmp(media_type, MEDIA_TYPE, len) == 0 &&
           (media_type[len] == '\0' || media_type[len] == ';' || media_type[len] == ' ');
}

/* Step over a head of @p major, without what it stands before. */
static void
skip_head(struct bh_reader *r, unsigned major)
{
    const uint8_t head = bh_reader_u8(r);
    const unsigned info = head & 31;

    if (head >> 5 != major || (info > 27 && info < 31))
        bh_reader_spoil(r);
    else if (info >= 24 && info <= 27)
        (void)bh_reader_take(r, (size_t)1 << (info - 24));
}

/*
 * A COSE_Sign1 whose payload is a map that begins with a text key: other formats here have integer
 * keys. Also for documents that are cut or have trailing bytes, so that decoding names the fault.
 */
static bool
recognises(struct bh_span raw)
{
    struct bh_cbor c;
    struct bh_reader r;

    bh_cbor_init(&c, raw);
    if (bh_cbor_peek(&c) == BH_CBOR_TAG && bh_cbor_tag(&c) != BH_COSE_SIGN1)
        return false;
    bh_cbor_array(&c);
    (void)bh_cbor_bstr(&c);
    bh_cbor_skip(&c);
    if (!bh_cbor_ok(&c))
        return false;
    bh_reader_init(&r, raw);
    (void)bh_reader_take(&r, bh_cbor_off(&c));
    skip_head(&r, 2); /* bytes */
    skip_head(&r, 5); /* a map */
    skip_head(&r, 3); /* text */
    return bh_reader_ok(&r);
}

static enum bh_err
malformed(struct ev_report *report, const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), "aws-nitro.%s", field);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, name, expected, found,
        "send the document as the Nitro Security Module returned it");
}

/* ---- the payload ---- */

enum field {
    MODULE_ID,
    DIGEST,
    TIMESTAMP,
    PCRS,
    NITROTPM_PCRS,
    CERTIFICATE,
    CABUNDLE,
    PUBLIC_KEY,
    USER_DATA,
    NONCE,
    FIELDS,
};

static const char *const field_names[FIELDS] = {
    [MODULE_ID] = "module_id",
    [DIGEST] = "digest",
    [TIMESTAMP] = "timestamp",
    [PCRS] = "pcrs",
    [NITROTPM_PCRS] = "nitrotpm_pcrs",
    [CERTIFICATE] = "certificate",
    [CABUNDLE] = "cabundle",
    [PUBLIC_KEY] = "public_key",
    [USER_DATA] = "user_data",
    [NONCE] = "nonce",
};

/* What was read of the payload before the certificates are taken apart. */
struct payload {
    bool seen[FIELDS];
    size_t pcrs;
    struct bh_span certificate;
    size_t bundle_len;
    struct bh_span bundle[EV_NITRO_BUNDLE_MAX];
};

static void
read_pcrs(struct bh_cbor *c, struct ev_nitro *n, size_t *count)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        const uint64_t index = bh_cbor_uint(c);
        const struct bh_span value = bh_cbor_bstr(c);

        if (!bh_cbor_ok(c))
            return;
        if (index >= EV_NITRO_PCRS)
            bh_cbor_spoil(c, "a PCR index above 31");
        else if (value.len != 32 && value.len != 48 && value.len != 64)
            bh_cbor_spoil(c, "a PCR that is not 32, 48 or 64 bytes");
        else
            n->pcrs[index] = value;
        (*count)++;
    }
}

static void
read_bundle(struct bh_cbor *c, struct payload *p)
{
    bh_cbor_array(c);
    while (bh_cbor_more(c)) {
        if (p->bundle_len == EV_NITRO_BUNDLE_MAX) {
            bh_cbor_spoil(c, "more than 8 certificates");
            return;
        }
        p->bundle[p->bundle_len++] = bh_cbor_bstr(c);
    }
}

static void
read_optional(struct bh_cbor *c, struct ev_nitro_optional *o)
{
    if (bh_cbor_peek(c) == BH_CBOR_NULL) {
        bh_cbor_null(c);
        o->is = EV_NITRO_NULL;
        return;
    }
    o->bytes = bh_cbor_bstr(c);
    o->is = EV_NITRO_BYTES;
    if (o->bytes.len > USER_FIELD_MAX)
        bh_cbor_spoil(c, "more than 1024 bytes");
}

static void
read_field(struct bh_cbor *c, enum field field, struct ev_nitro *n, struct payload *p)
{
    p->seen[field] = true;
    switch (field) {
    case MODULE_ID:
        n->module_id = bh_cbor_tstr(c);
        break;
    case DIGEST:
        n->digest = bh_cbor_tstr(c);
        break;
    case TIMESTAMP:
        n->timestamp = bh_cbor_uint(c);
        break;
    case PCRS:
    case NITROTPM_PCRS:
        read_pcrs(c, n, &p->pcrs);
        break;
    case CERTIFICATE:
        p->certificate = bh_cbor_bstr(c);
        break;
    case CABUNDLE:
        read_bundle(c, p);
        break;
    case PUBLIC_KEY:
        read_optional(c, &n->public_key);
        break;
    case USER_DATA:
        read_optional(c, &n->user_data);
        break;
    case NONCE:
        read_optional(c, &n->nonce);
        break;
    case FIELDS:
        break;
    }
}

static enum bh_err
read_payload(struct ev_nitro *n, struct payload *p, struct ev_report *report)
{
    const char *at = "payload";
    char found[BH_VALUE_MAX];
    struct bh_cbor c;

    bh_cbor_init(&c, n->cose.payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const struct bh_span key = bh_cbor_tstr(&c);
        enum field field = MODULE_ID;

        at = "payload";
        if (!bh_cbor_ok(&c))
            break;
        while (field < FIELDS && !bh_span_is(key, field_names[field]))
            field++;
        if (field == FIELDS) {
            bh_cbor_spoil(&c, "a key that the specification does not have");
            break;
        }
        at = field == NITROTPM_PCRS ? field_names[PCRS] : field_names[field];
        read_field(&c, field, n, p);
        if (!bh_cbor_ok(&c))
            break;
        at = "payload";
    }
    if (bh_cbor_end(&c) == BH_OK)
        return BH_OK;
    (void)snprintf(
        found, sizeof(found), "%s, at byte %zu of the payload", bh_cbor_why(&c), bh_cbor_off(&c));
    return malformed(report, at, "a map of the document's fields, each of its type", found);
}

/* The rules of the fields that the types do not say. */
static enum bh_err
check_fields(struct ev_nitro *n, const struct payload *p, struct ev_report *report)
{
    static const enum field mandatory[] = {MODULE_ID, DIGEST, TIMESTAMP, CERTIFICATE, CABUNDLE};

    for (size_t i = 0; i < BH_COUNT(mandatory); i++)
        if (!p->seen[mandatory[i]])
            return malformed(report, field_names[mandatory[i]], "the field", "nothing");
    if (n->module_id.len == 0)
        return malformed(report, "module_id", "a name", "an empty one");
    if (!bh_span_is(n->digest, "SHA384"))
        return malformed(report, "digest", "SHA384", "another digest");
    if (n->timestamp == 0 || n->timestamp > INT64_MAX)
        return malformed(
            report, "timestamp", "milliseconds since 1970, above 0", "0, or no time of this world");
    if (p->seen[PCRS] == p->seen[NITROTPM_PCRS])
        return malformed(
            report, "pcrs", "either pcrs or nitrotpm_pcrs", p->seen[PCRS] ? "both" : "neither");
    if (p->pcrs == 0)
        return malformed(report, "pcrs", "1 to 32 PCRs", "none");
    if (n->public_key.is == EV_NITRO_BYTES && n->public_key.bytes.len == 0)
        return malformed(report, "public_key", "1 to 1024 bytes, or null", "an empty one");
    n->tpm = p->seen[NITROTPM_PCRS];
    return BH_OK;
}

static enum bh_err
read_certificate(
    struct bh_span der, const char *field, struct ev_cert *ret_cert, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (der.len == 0 || der.len > CERTIFICATE_MAX)
        return malformed(report, field, "certificates of 1 to 1024 bytes", "another length");
    if (ev_cert_read(der, ret_cert, &diag) != BH_OK)
        return malformed(
            report, field, "one X.509 certificate in DER and nothing behind it", diag.detail);
    return BH_OK;
}

static enum bh_err
read_certificates(struct ev_nitro *n, const struct payload *p, struct ev_report *report)
{
    enum bh_err e;

    if ((e = read_certificate(p->certificate, "certificate", &n->leaf, report)) != BH_OK)
        return e;
    if (p->bundle_len == 0)
        return malformed(report, "cabundle", "at least one certificate, root first", "none");
    for (size_t i = 0; i < p->bundle_len; i++)
        if ((e = read_certificate(p->bundle[i], "cabundle", &n->bundle[i], report)) != BH_OK)
            return e;
    n->bundle_len = p->bundle_len;
    return BH_OK;
}

/* ---- the envelope ---- */

static enum bh_err
read_envelope(struct bh_span raw, struct ev_nitro *n, struct ev_report *report)
{
    struct bh_diag diag = {0};
    char found[BH_VALUE_MAX];

    if (raw.len > DOCUMENT_MAX)
        return malformed(report, "envelope", "at most 20 KiB", "more");
    if (bh_cose_decode(
            raw, BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_UNTAGGED_SIGN1, &n->cose, &diag) != BH_OK)
        return malformed(
            report, "envelope", "one COSE_Sign1 (RFC 9052) and nothing behind it", diag.detail);
    if (!bh_span_equal(n->cose.protected_, bh_span(protected_header, sizeof(protected_header))))
        return malformed(report, "protected", "a1013822, which is {1: -35}, ES384",
            n->cose.protected_.len > 0 ? bh_hex(n->cose.protected_, found, sizeof(found))
                                       : "an empty header");
    if (n->cose.protected_.ptr[n->cose.protected_.len] != 0xa0)
        return malformed(report, "envelope", "an empty unprotected header", "another one");
    if (n->cose.signature.len != SIGNATURE_LEN)
        return malformed(report, "envelope", "a signature of 96 bytes", "another length");
    if (n->cose.payload.len == 0 || n->cose.payload.len > PAYLOAD_MAX)
        return malformed(report, "payload", "1 to 16384 bytes", "another length");
    return BH_OK;
}

static enum bh_err
decode(struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state)
{
    struct payload p = {0};
    struct ev_nitro *n;
    enum bh_err e;

    (void)media_type;
    if ((n = calloc(1, sizeof(*n))) == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, SOURCE, "aws-nitro.envelope", NULL, NULL, NULL);
    if ((e = read_envelope(raw, n, report)) != BH_OK ||
        (e = read_payload(n, &p, report)) != BH_OK || (e = check_fields(n, &p, report)) != BH_OK ||
        (e = read_certificates(n, &p, report)) != BH_OK) {
        free(n);
        return e;
    }
    ev_pass(report, SOURCE, "aws-nitro.envelope", "a well-formed attestation document",
        n->tpm ? "one of a NitroTPM" : "one of an enclave");
    *ret_state = n;
    return BH_OK;
}

/* ---- binding ---- */

static const char *
optional_text(const struct ev_nitro_optional *o, char out[BH_VALUE_MAX])
{
    if (o->is != EV_NITRO_BYTES)
        return o->is == EV_NITRO_NULL ? "null" : "nothing";
    return o->bytes.len == 0 ? "empty" : bh_hex(o->bytes, out, BH_VALUE_MAX);
}

static enum bh_err
bind_key(const struct ev_nitro *n, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct bh_span want = bh_span(binding, BH_BINDING_LEN);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (n->nonce.is != EV_NITRO_BYTES || !bh_span_equal(n->nonce.bytes, want))
        return ev_refuse(report, BH_ERR_BINDING, "key binding", "aws-nitro.binding",
            bh_hex(want, expected, sizeof(expected)), optional_text(&n->nonce, found),
            "ask the enclave for a document whose nonce is the binding of this challenge, key and "
            "context");
    if (report->detailed)
        ev_pass(report, "key binding", "aws-nitro.binding",
            bh_hex(want, expected, sizeof(expected)), expected);
    if (n->public_key.is != EV_NITRO_BYTES)
        return BH_OK;
    if (!bh_span_equal(n->public_key.bytes, spki))
        return ev_refuse(report, BH_ERR_BINDING, "key binding", "aws-nitro.public_key",
            bh_hex(spki, expected, sizeof(expected)), optional_text(&n->public_key, found),
            "the document's public_key is null or the SubjectPublicKeyInfo of the enrolled key");
    ev_pass(report, "key binding", "aws-nitro.public_key", "the enrolled key", "the same key");
    return BH_OK;
}

static enum bh_err
bind_to(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_nitro *n = state;
    enum bh_err e;

    if ((e = ev_nitro_check_enclave(n, report)) != BH_OK)
        return e;
    return bind_key(n, binding, spki, report);
}

/* ---- claims ---- */

static json_t *
hex_json(struct bh_span bytes)
{
    char text[2 * USER_FIELD_MAX + 1];

    return json_string(bh_hex(bytes, text, sizeof(text)));
}

static json_t *
der_json(const struct ev_cert *cert)
{
    char text[CERTIFICATE_MAX / 3 * 4 + 8];

    return json_string(bh_base64url(cert->der, text, sizeof(text)));
}

static void
set_optional(json_t *claims, const char *name, const struct ev_nitro_optional *o)
{
    if (o->is == EV_NITRO_ABSENT)
        return;
    (void)json_object_set_new(
        claims, name, o->is == EV_NITRO_NULL ? json_null() : hex_json(o->bytes));
}

static json_t *
claims(const void *state)
{
    const struct ev_nitro *n = state;
    json_t *all = json_object(), *pcrs = json_object(), *bundle = json_array();
    char index[4];

    for (unsigned i = 0; i < EV_NITRO_PCRS; i++) {
        if (n->pcrs[i].len == 0)
            continue;
        (void)snprintf(index, sizeof(index), "%u", i);
        (void)json_object_set_new(pcrs, index, hex_json(n->pcrs[i]));
    }
    for (size_t i = 0; i < n->bundle_len; i++)
        (void)json_array_append_new(bundle, der_json(&n->bundle[i]));
    (void)json_object_set_new(
        all, "module_id", json_stringn((const char *)n->module_id.ptr, n->module_id.len));
    (void)json_object_set_new(
        all, "digest", json_stringn((const char *)n->digest.ptr, n->digest.len));
    (void)json_object_set_new(all, "timestamp", json_integer((json_int_t)n->timestamp));
    (void)json_object_set_new(all, n->tpm ? "nitrotpm_pcrs" : "pcrs", pcrs);
    (void)json_object_set_new(all, "certificate", der_json(&n->leaf));
    (void)json_object_set_new(all, "cabundle", bundle);
    set_optional(all, "public_key", &n->public_key);
    set_optional(all, "user_data", &n->user_data);
    set_optional(all, "nonce", &n->nonce);
    /* Not a field of the document, but what its PCRs say. */
    if (!n->tpm)
        (void)json_object_set_new(all, "debug", json_boolean(ev_nitro_debug(n)));
    return all;
}

const struct ev_platform ev_aws_nitro = {
    .name = "aws-nitro",
    .takes = takes,
    .recognises = recognises,
    .decode = decode,
    .free = free,
    .bind = bind_to,
    .authenticate = ev_nitro_authenticate,
    .entry_parse = ev_nitro_entry_parse,
    .entry_free = ev_nitro_entry_free,
    .appraise = ev_nitro_appraise,
    .claims = claims,
};
