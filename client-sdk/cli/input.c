/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "core/cbor.h"
#include "core/cose.h"
#include "core/ear.h"
#include "core/file.h"
#include "core/json.h"
#include "core/x509.h"

#include <ctype.h>
#include <stdlib.h>

#define INPUT_MAX (4 * 1024 * 1024)
#define EAT_PROFILE 265

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
    return dots == 2 && starts_with(s, "ey");
}

/* C2SP signed note of a checkpoint: origin, size, hash in base64, empty line, signature lines. */
static bool
is_checkpoint(struct bh_span s)
{
    static const char mark[] = "\n\n\xe2\x80\x94 ";

    return memmem(s.ptr, s.len, mark, sizeof(mark) - 1) != NULL;
}

static enum bh_err
read_cmw(struct bh_input *in, bool json, struct bh_diag *diag)
{
    const enum bh_err e = json ? bh_cmw_from_json(in->bytes, &in->cmw, diag)
                               : bh_cmw_from_cbor(in->bytes, &in->cmw, diag);

    if (e != BH_OK)
        return e;
    in->kind = BH_INPUT_CMW;
    if (!in->cmw.collection && is_ear(in->cmw.records[0].value)) {
        in->kind = BH_INPUT_EAR_CWT;
        in->ear = in->cmw.records[0].value;
    }
    return BH_OK;
}

static enum bh_err
recognise_text(struct bh_input *in, struct bh_diag *diag)
{
    const struct bh_span s = in->bytes;
    json_t *json = NULL;

    if (starts_with(s, "-----BEGIN CERTIFICATE REQUEST-----") ||
        starts_with(s, "-----BEGIN NEW CERTIFICATE REQUEST-----")) {
        in->kind = BH_INPUT_CSR;
    } else if (starts_with(s, "-----BEGIN CERTIFICATE-----")) {
        in->kind = BH_INPUT_CERTIFICATE;
        return bh_x509_pem(s, in->certs, BH_COUNT(in->certs), &in->certs_len, diag);
    } else if (starts_with(s, "[")) {
        return read_cmw(in, true, diag);
    } else if (starts_with(s, "{")) {
        if (bh_json_parse(s, INPUT_MAX, &json, diag) != BH_OK)
            return BH_ERR_MALFORMED;
        const bool policy = json_object_get(json, "accept") != NULL;
        json_decref(json);
        if (!policy)
            return read_cmw(in, true, diag);
        in->kind = BH_INPUT_POLICY;
    } else if (is_jws(s)) {
        in->kind = BH_INPUT_EAR_JWT;
    } else if (is_checkpoint(s)) {
        in->kind = BH_INPUT_CHECKPOINT;
    }
    return BH_OK;
}

/* DER begins with SEQUENCE; the two kinds differ in whether a certificate can be read. */
static enum bh_err
recognise_der(struct bh_input *in, struct bh_diag *diag)
{
    struct bh_csr csr;

    if (bh_csr_read(in->bytes, &csr, NULL) == BH_OK) {
        bh_csr_clear(&csr);
        in->kind = BH_INPUT_CSR;
        return BH_OK;
    }
    const enum bh_err e = bh_x509_der(in->bytes, &in->certs[0], diag);
    if (e == BH_OK) {
        in->kind = BH_INPUT_CERTIFICATE;
        in->certs_len = 1;
    }
    return e;
}

/* An array whose first item is a media type, or a map of such records. */
static bool
looks_like_cbor_cmw(struct bh_span s)
{
    struct bh_cbor c;

    bh_cbor_init(&c, s);
    if (bh_cbor_peek(&c) != BH_CBOR_ARRAY)
        return false;
    bh_cbor_array(&c);
    return bh_cbor_more(&c) && bh_cbor_peek(&c) == BH_CBOR_TSTR;
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
    if (whole.len > 2 && whole.ptr[0] == 0x30 && whole.ptr[1] == 0x82)
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
        if (diag != NULL && e == BH_ERR_IO)
            diag->err = BH_ERR_USAGE;
        return e == BH_ERR_IO ? BH_ERR_USAGE : e;
    }
    if (ret_input->len == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "input",
            "evidence, certificate, request, EAR or policy", "an empty file", "%s is empty", path);
    return recognise(ret_input, diag);
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
