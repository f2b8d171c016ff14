/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro attestation documents, of enclaves and of NitroTPMs: recognise, decode, binding,
 * claims; and the row of the enclaves. */
#include "aws_nitro.h"

#include "core/cbor.h"
#include "core/reader.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SOURCE "AWS Nitro attestation document"
#define DOCUMENT_MAX (20 * 1024)
#define PAYLOAD_MAX (16 * 1024)
#define CERTIFICATE_MAX 1024
#define USER_FIELD_MAX 1024
#define SIGNATURE_LEN 96

static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22}; /* {1: -35}, ES384 */

bool
ev_nitro_is_type(const char *media_type, const char *type)
{
    const size_t len = strlen(type);

    return strncasecmp(media_type, type, len) == 0 &&
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

/* Up to where it can be read, the payload's map has the key. */
static bool
has_key(struct bh_span payload, const char *name)
{
    struct bh_cbor c;

    bh_cbor_init(&c, payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        if (bh_span_is(bh_cbor_tstr(&c), name))
            return bh_cbor_ok(&c);
        bh_cbor_skip(&c);
    }
    return false;
}

bool
ev_nitro_recognises(struct bh_span raw, bool *ret_tpm)
{
    struct bh_span payload;
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
    if (!bh_reader_ok(&r))
        return false;
    payload = bh_span(raw.ptr + bh_reader_off(&r), raw.len - bh_reader_off(&r));
    skip_head(&r, 5); /* a map */
    skip_head(&r, 3); /* text */
    *ret_tpm = bh_reader_ok(&r) && has_key(payload, "nitrotpm_pcrs") && !has_key(payload, "pcrs");
    return bh_reader_ok(&r);
}

/* ---- reports ---- */

static const char *
check_name(const struct ev_nitro *n, const char *field, char out[BH_CHECK_MAX])
{
    (void)snprintf(out, BH_CHECK_MAX, "%s.%s", n->name, field);
    return out;
}

void
ev_nitro_pass(const struct ev_nitro *n, struct ev_report *report, const char *source,
    const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    if (report->detailed)
        ev_pass(report, source, check_name(n, field, name), expected, found);
}

enum bh_err
ev_nitro_refuse(const struct ev_nitro *n, struct ev_report *report, enum bh_err err,
    const char *source, const char *field, const char *expected, const char *found,
    const char *hint)
{
    char name[BH_CHECK_MAX];

    return ev_refuse(report, err, source, check_name(n, field, name), expected, found, hint);
}

static enum bh_err
malformed(const struct ev_nitro *n, struct ev_report *report, const char *field,
    const char *expected, const char *found)
{
    return ev_nitro_refuse(n, report, BH_ERR_EVIDENCE_MALFORMED, SOURCE, field, expected, found,
        "send the document as the Nitro Security Module or the NitroTPM returned it");
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
read_pcrs(struct bh_cbor *c, struct ev_nitro *n, bool tpm, size_t *count)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        const uint64_t index = bh_cbor_uint(c);
        const struct bh_span value = bh_cbor_bstr(c);

        if (!bh_cbor_ok(c))
            return;
        if (index >= (tpm ? EV_NITROTPM_PCRS : EV_NITRO_PCRS))
            bh_cbor_spoil(c, tpm ? "a PCR index above 23" : "a PCR index above 31");
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
        read_pcrs(c, n, field == NITROTPM_PCRS, &p->pcrs);
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
    return malformed(n, report, at, "a map of the document's fields, each of its type", found);
}

/* The rules of the fields that the types do not say. */
static enum bh_err
check_fields(struct ev_nitro *n, const struct payload *p, struct ev_report *report)
{
    static const enum field mandatory[] = {MODULE_ID, DIGEST, TIMESTAMP, CERTIFICATE, CABUNDLE};

    for (size_t i = 0; i < BH_COUNT(mandatory); i++)
        if (!p->seen[mandatory[i]])
            return malformed(n, report, field_names[mandatory[i]], "the field", "nothing");
    if (n->module_id.len == 0)
        return malformed(n, report, "module_id", "a name", "an empty one");
    if (!bh_span_is(n->digest, "SHA384"))
        return malformed(n, report, "digest", "SHA384", "another digest");
    if (n->timestamp == 0 || n->timestamp > INT64_MAX)
        return malformed(n, report, "timestamp", "milliseconds since 1970, above 0",
            "0, or no time of this world");
    if (p->seen[PCRS] == p->seen[NITROTPM_PCRS])
        return malformed(
            n, report, "pcrs", "either pcrs or nitrotpm_pcrs", p->seen[PCRS] ? "both" : "neither");
    if (p->pcrs == 0)
        return malformed(n, report, "pcrs", "1 to 32 PCRs", "none");
    if (n->public_key.is == EV_NITRO_BYTES && n->public_key.bytes.len == 0)
        return malformed(n, report, "public_key", "1 to 1024 bytes, or null", "an empty one");
    return BH_OK;
}

/* The type that the document came with says which of the two it must be. */
static enum bh_err
check_kind(const struct ev_nitro *n, const struct payload *p, struct ev_report *report)
{
    if (p->seen[NITROTPM_PCRS] == n->tpm)
        return BH_OK;
    if (n->tpm)
        return ev_nitro_refuse(n, report, BH_ERR_UNSUPPORTED, SOURCE, "nitrotpm_pcrs",
            "nitrotpm_pcrs, of a NitroTPM", "pcrs, of an enclave",
            "an enclave's document has the type application/aws-nitro-document");
    return ev_nitro_refuse(n, report, BH_ERR_UNSUPPORTED, SOURCE, "pcrs", "pcrs, of an enclave",
        "nitrotpm_pcrs, of a NitroTPM",
        "an EC2 instance with a NitroTPM is not an enclave: its PCRs mean something else");
}

static enum bh_err
read_certificate(const struct ev_nitro *n, struct bh_span der, const char *field,
    struct ev_cert *ret_cert, struct ev_report *report)
{
    struct bh_diag diag = {0};

    if (der.len == 0 || der.len > CERTIFICATE_MAX)
        return malformed(n, report, field, "certificates of 1 to 1024 bytes", "another length");
    if (ev_cert_read(der, ret_cert, &diag) != BH_OK)
        return malformed(
            n, report, field, "one X.509 certificate in DER and nothing behind it", diag.detail);
    return BH_OK;
}

static enum bh_err
read_certificates(struct ev_nitro *n, const struct payload *p, struct ev_report *report)
{
    enum bh_err e;

    if ((e = read_certificate(n, p->certificate, "certificate", &n->leaf, report)) != BH_OK)
        return e;
    if (p->bundle_len == 0)
        return malformed(n, report, "cabundle", "at least one certificate, root first", "none");
    for (size_t i = 0; i < p->bundle_len; i++)
        if ((e = read_certificate(n, p->bundle[i], "cabundle", &n->bundle[i], report)) != BH_OK)
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
        return malformed(n, report, "envelope", "at most 20 KiB", "more");
    if (bh_cose_decode(
            raw, BH_COSE_FORM_TAGGED_SIGN1 | BH_COSE_FORM_UNTAGGED_SIGN1, &n->cose, &diag) != BH_OK)
        return malformed(
            n, report, "envelope", "one COSE_Sign1 (RFC 9052) and nothing behind it", diag.detail);
    if (!bh_span_equal(n->cose.protected_, bh_span(protected_header, sizeof(protected_header))))
        return malformed(n, report, "protected", "a1013822, which is {1: -35}, ES384",
            n->cose.protected_.len > 0 ? bh_hex(n->cose.protected_, found, sizeof(found))
                                       : "an empty header");
    if (n->cose.protected_.ptr[n->cose.protected_.len] != 0xa0)
        return malformed(n, report, "envelope", "an empty unprotected header", "another one");
    if (n->cose.signature.len != SIGNATURE_LEN)
        return malformed(n, report, "envelope", "a signature of 96 bytes", "another length");
    if (n->cose.payload.len == 0 || n->cose.payload.len > PAYLOAD_MAX)
        return malformed(n, report, "payload", "1 to 16384 bytes", "another length");
    return BH_OK;
}

enum bh_err
ev_nitro_decode(
    struct bh_span raw, const char *name, bool tpm, struct ev_report *report, void **ret_state)
{
    struct payload p = {0};
    struct ev_nitro *n;
    enum bh_err e;

    if ((n = calloc(1, sizeof(*n))) == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, SOURCE, "evidence.memory", NULL, NULL, NULL);
    n->name = name;
    n->tpm = tpm;
    if ((e = read_envelope(raw, n, report)) != BH_OK ||
        (e = read_payload(n, &p, report)) != BH_OK || (e = check_fields(n, &p, report)) != BH_OK ||
        (e = check_kind(n, &p, report)) != BH_OK ||
        (e = read_certificates(n, &p, report)) != BH_OK) {
        free(n);
        return e;
    }
    ev_nitro_pass(n, report, SOURCE, "envelope", "a well-formed attestation document",
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

enum bh_err
ev_nitro_bind(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_nitro *n = state;
    const struct bh_span want = bh_span(binding, BH_BINDING_LEN);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (n->nonce.is != EV_NITRO_BYTES || !bh_span_equal(n->nonce.bytes, want))
        return ev_nitro_refuse(n, report, BH_ERR_BINDING, "key binding", "binding",
            bh_hex(want, expected, sizeof(expected)), optional_text(&n->nonce, found),
            "ask for a document whose nonce is the binding of this challenge, key and context");
    if (report->detailed)
        ev_nitro_pass(n, report, "key binding", "binding", bh_hex(want, expected, sizeof(expected)),
            expected);
    if (n->public_key.is != EV_NITRO_BYTES)
        return BH_OK;
    if (!bh_span_equal(n->public_key.bytes, spki))
        return ev_nitro_refuse(n, report, BH_ERR_BINDING, "key binding", "public_key",
            bh_hex(spki, expected, sizeof(expected)), optional_text(&n->public_key, found),
            "the document's public_key is null or the SubjectPublicKeyInfo of the enrolled key");
    ev_nitro_pass(n, report, "key binding", "public_key", "the enrolled key", "the same key");
    return BH_OK;
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

json_t *
ev_nitro_claims(const void *state)
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

/* ---- enclaves ---- */

static bool
takes(const char *media_type)
{
    return ev_nitro_is_type(media_type, "application/aws-nitro-document");
}

static bool
recognises(struct bh_span raw)
{
    bool tpm = false;

    return ev_nitro_recognises(raw, &tpm) && !tpm;
}

static enum bh_err
decode(struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state)
{
    (void)media_type;
    return ev_nitro_decode(raw, ev_aws_nitro.name, false, report, ret_state);
}

const struct ev_platform ev_aws_nitro = {
    .name = "aws-nitro",
    .takes = takes,
    .recognises = recognises,
    .decode = decode,
    .free = free,
    .bind = ev_nitro_bind,
    .authenticate = ev_nitro_authenticate,
    .entry_parse = ev_nitro_entry_parse,
    .entry_free = ev_nitro_entry_free,
    .appraise = ev_nitro_appraise,
    .claims = ev_nitro_claims,
};
