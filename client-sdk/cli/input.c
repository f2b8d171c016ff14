/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "core/cbor.h"
#include "core/cose.h"
#include "core/ear.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <ctype.h>
#include <stdlib.h>

#define INPUT_MAX (4 * 1024 * 1024)
#define EAT_PROFILE 265
/* RFC 9999, 3.4: a content format as a tag */
#define CMW_TAGS_FIRST 0x63740101
#define CMW_TAGS_LAST (CMW_TAGS_FIRST + 0xfeff)

static struct bh_span
trim(struct bh_span s)
{
    while (s.len > 0 && isspace(s.ptr[0]))
        s = bh_span(s.ptr + 1, s.len - 1);
    while (s.len > 0 && isspace(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool
starts_with(struct bh_span s, const char *text)
{
    const size_t len = strlen(text);

    return s.len >= len && memcmp(s.ptr, text, len) == 0;
}

/* A COSE_Sign1 whose claims name the EAR profile: told apart from an attestation token by that
 * alone. */
static bool
is_ear(struct bh_span in)
{
    struct bh_cose m;
    struct bh_cbor c;
    bool found = false;

    if (bh_cose_decode(in, BH_COSE_FORM_TAGGED_SIGN1, &m, NULL) != BH_OK)
        return false;
    bh_cbor_init(&c, m.payload);
    bh_cbor_map(&c);
    while (!found && bh_cbor_more(&c)) {
        if (bh_cbor_peek(&c) != BH_CBOR_UINT || bh_cbor_uint(&c) != EAT_PROFILE ||
            bh_cbor_peek(&c) != BH_CBOR_TSTR)
            bh_cbor_skip(&c);
        else
            found = bh_span_is(bh_cbor_tstr(&c), BH_EAR_PROFILE);
    }
    return found;
}

/* Three parts of base64url characters. */
static bool
is_jws(struct bh_span s)
{
    size_t dots = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.')
            dots++;
        else if (!isalnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
            return false;
    }
    /* '{' and a quotation mark or blank, a line's end, or '}' */
    return dots == 2 && (starts_with(s, "ey") || starts_with(s, "ew") || starts_with(s, "e3"));
}

/* C2SP signed note of a checkpoint: origin, size, hash in base64, empty line, signature lines. */
static bool
is_checkpoint(struct bh_span s)
{
    static const char mark[] = "\n\n\xe2\x80\x94 ";

    return memmem(s.ptr, s.len, mark, sizeof(mark) - 1) != NULL;
}

/* Text that begins like JSON, and CBOR that begins like a record: a CMW, or nothing. */
static enum bh_err
read_cmw(struct bh_input *in, bool json, struct bh_diag *diag)
{
    const enum bh_err e = json ? bh_cmw_from_json(in->bytes, &in->cmw, diag)
                               : bh_cmw_from_cbor(in->bytes, &in->cmw, diag);

    in->kind = BH_INPUT_CMW;
    if (e != BH_OK) {
        bh_name_check(diag, "cmw.form");
        return e;
    }
    if (!in->cmw.collection && is_ear(in->cmw.records[0].value)) {
        in->kind = BH_INPUT_EAR_CWT;
        in->ear = in->cmw.records[0].value;
    }
    return BH_OK;
}

/* What a JSON object is: a policy, or evidence as a collection. */
static enum bh_err
recognise_object(struct bh_input *in, struct bh_diag *diag)
{
    json_t *json = NULL;

    if (bh_json_parse(in->bytes, INPUT_MAX, &json, diag) != BH_OK) {
        bh_name_check(diag, "input");
        return BH_ERR_MALFORMED;
    }
    const bool policy =
        json_object_get(json, "accept") != NULL || json_object_get(json, "workload") != NULL;
    json_decref(json);
    if (!policy)
        return read_cmw(in, true, diag);
    in->kind = BH_INPUT_POLICY;
    return BH_OK;
}

static enum bh_err
recognise_text(struct bh_input *in, struct bh_diag *diag)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const struct bh_span s = in->bytes;

    if (starts_with(s, "["))
        return read_cmw(in, true, diag);
    if (starts_with(s, "{"))
        return recognise_object(in, diag);
    if (starts_with(s, "-----BEGIN CERTIFICATE REQUEST-----") ||
        starts_with(s, "-----BEGIN NEW CERTIFICATE REQUEST-----")) {
        in->kind = BH_INPUT_CSR;
    } else if (is_jws(s)) {
        in->kind = BH_INPUT_EAR_JWT;
    } else if (is_checkpoint(s)) {
        in->kind = BH_INPUT_CHECKPOINT;
    } else if (bh_is_utf8(s) && memmem(s.ptr, s.len, begin, sizeof(begin) - 1) != NULL) {
        /* Tools write the certificate's text in front of it. */
        in->kind = BH_INPUT_CERTIFICATE;
        return bh_x509_pem(s, in->certs, BH_COUNT(in->certs), &in->certs_len, diag);
    }
    return BH_OK;
}

/* Content of a DER SEQUENCE that stands at the start of @p s. */
static struct bh_span
der_sequence(struct bh_span s)
{
    size_t head = 2;

    if (s.len < 2 || s.ptr[0] != 0x30)
        return bh_span_none();
    if (s.ptr[1] >= 0x80)
        head += s.ptr[1] - 0x80u;
    return head > 5 || head > s.len ? bh_span_none() : bh_span(s.ptr + head, s.len - head);
}

/* A request begins with the version 0; a certificate with the tag of its version, or with a serial
 * number. */
static enum bh_err
recognise_der(struct bh_input *in, struct bh_diag *diag)
{
    static const uint8_t version[] = {0x02, 0x01, 0x00, 0x30};
    const struct bh_span inner = der_sequence(der_sequence(in->bytes));

    if (bh_x509_der(in->bytes, &in->certs[0], NULL) == BH_OK) {
        in->kind = BH_INPUT_CERTIFICATE;
        in->certs_len = 1;
        return BH_OK;
    }
    if (inner.len > sizeof(version) && memcmp(inner.ptr, version, sizeof(version)) == 0) {
        in->kind = BH_INPUT_CSR;
        return BH_OK;
    }
    return bh_x509_der(in->bytes, &in->certs[0], diag);
}

/* A record (an array that begins with a media type or content format), its tag, or a map of such
 * records. */
static bool
looks_like_cbor_cmw(struct bh_span s)
{
    struct bh_cbor c;

    bh_cbor_init(&c, s);
    if (bh_cbor_peek(&c) == BH_CBOR_TAG) {
        const uint64_t tag = bh_cbor_tag(&c);
        return tag >= CMW_TAGS_FIRST && tag <= CMW_TAGS_LAST && bh_cbor_ok(&c);
    }
    if (bh_cbor_peek(&c) == BH_CBOR_MAP) {
        bh_cbor_map(&c);
        if (!bh_cbor_more(&c) || bh_cbor_peek(&c) != BH_CBOR_TSTR)
            return false;
        if (bh_span_is(bh_cbor_tstr(&c), "__cmwc_t"))
            return true;
    }
    if (bh_cbor_peek(&c) != BH_CBOR_ARRAY)
        return false;
    bh_cbor_array(&c);
    return bh_cbor_more(&c) &&
           (bh_cbor_peek(&c) == BH_CBOR_TSTR || bh_cbor_peek(&c) == BH_CBOR_UINT);
}

static enum bh_err
recognise(struct bh_input *in, struct bh_diag *diag)
{
    const struct bh_span whole = bh_span(in->storage, in->len);
    const struct bh_span text = trim(whole);
    enum bh_err e;

    in->bytes = text;
    if ((e = recognise_text(in, diag)) != BH_OK || in->kind != BH_INPUT_UNKNOWN)
        return e;
    in->bytes = whole;
    if (whole.ptr[0] == 0x30)
        return recognise_der(in, diag);
    if (is_ear(whole)) {
        in->kind = BH_INPUT_EAR_CWT;
        in->ear = whole;
        return BH_OK;
    }
    if (looks_like_cbor_cmw(whole))
        return read_cmw(in, false, diag);
    in->kind = BH_INPUT_RAW;
    return BH_OK;
}

enum bh_err
bh_input_read(const char *path, struct bh_input *ret_input, struct bh_diag *diag)
{
    enum bh_err e;

    *ret_input = (struct bh_input){.path = path};
    if ((e = bh_file_read(path, INPUT_MAX, &ret_input->storage, &ret_input->len, diag)) != BH_OK) {
        /* An input that cannot be read is wrong usage for a command, whatever the reason. */
        diag->err = BH_ERR_USAGE;
        bh_hint(diag, "give a file that can be read, of at most 4 MiB");
        return BH_ERR_USAGE;
    }
    if (ret_input->len == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "input",
            "evidence, certificate, request, EAR or policy", "an empty file", "%s is empty", path);
    const enum bh_err recognised = recognise(ret_input, diag);
    if (recognised != BH_OK)
        bh_name_check(diag, "input");
    return recognised;
}

void
bh_input_clear(struct bh_input *input)
{
    bh_cmw_clear(&input->cmw);
    for (size_t i = 0; i < input->certs_len; i++)
        X509_free(input->certs[i]);
    free(input->storage);
    *input = (struct bh_input){0};
}
