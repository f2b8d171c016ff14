/* SPDX-License-Identifier: Apache-2.0 */
/* The EAR claims-set in CBOR, written and read; its signed form. JSON stands in ear_json.c. */
#include "ear.h"

#include "cbor.h"
#include "cose.h"
#include "text.h"
#include "writer.h"
#include "x509.h"

#include <stdio.h>

enum claim {
    CLAIM_EXP = 4,
    CLAIM_IAT = 6,
    CLAIM_CNF = 8,
    CLAIM_NONCE = 10,
    CLAIM_PROFILE = 265,
    CLAIM_SUBMODS = 266,
    CLAIM_STATUS = 1000,
    CLAIM_VECTOR = 1001,
    CLAIM_POLICY_IDS = 1003,
    CLAIM_VERIFIER = 1004,
};

#define POLICY_URN "urn:beachhead:policy:sha256:"
#define POLICY_URN_LEN (sizeof(POLICY_URN) - 1 + 64)

/* RFC 8949, 4.2.1: keys in the order of their encodings, so shorter texts first. */
static bool
sorts_before(const char *a, const char *b)
{
    const size_t la = strlen(a);
    const size_t lb = strlen(b);

    return la != lb ? la < lb : strcmp(a, b) < 0;
}

/* cnf (RFC 8747): a COSE_Key of type EC2 or OKP from the key's DER. */
static void
write_cnf(struct bh_writer *w, struct bh_span spki)
{
    struct bh_span point;
    const char *name;
    size_t half;

    bh_writer_cbor_map(w, 1);
    bh_writer_cbor_uint(w, 1);
    if (bh_spki_point(spki, &name, &point) != BH_OK) {
        bh_writer_spoil(w);
        return;
    }
    if (point.len == 32) {
        bh_writer_cbor_map(w, 3);
        bh_writer_cbor_uint(w, 1);
        bh_writer_cbor_uint(w, 1);
        bh_writer_cbor_int(w, -1);
        bh_writer_cbor_uint(w, 6);
        bh_writer_cbor_int(w, -2);
        bh_writer_cbor_bstr(w, point);
        return;
    }
    half = (point.len - 1) / 2;
    bh_writer_cbor_map(w, 4);
    bh_writer_cbor_uint(w, 1);
    bh_writer_cbor_uint(w, 2);
    bh_writer_cbor_int(w, -1);
    bh_writer_cbor_uint(w, half == 32 ? 1 : half == 48 ? 2 : 3);
    bh_writer_cbor_int(w, -2);
    bh_writer_cbor_bstr(w, bh_span(point.ptr + 1, half));
    bh_writer_cbor_int(w, -3);
    bh_writer_cbor_bstr(w, bh_span(point.ptr + 1 + half, half));
}

static void
write_claims(struct bh_writer *w, const struct bh_ear_submod *s)
{
    uint8_t order[BH_EAR_CLAIMS_MAX];

    for (size_t i = 0; i < s->claims_len; i++) {
        size_t at = i;
        for (; at > 0 && sorts_before(s->claims[i].name, s->claims[order[at - 1]].name); at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
    bh_writer_cbor_map(w, s->claims_len);
    for (size_t i = 0; i < s->claims_len; i++) {
        const struct bh_ear_claim *c = &s->claims[order[i]];
        bh_writer_cbor_tstr(w, c->name);
        if (c->text)
            bh_writer_cbor_tspan(w, bh_span(c->value, c->len));
        else
            bh_writer_cbor_bstr(w, bh_span(c->value, c->len));
    }
}

static void
write_submod(struct bh_writer *w, const struct bh_ear_submod *s)
{
    char hex[65];

    bh_writer_cbor_tstr(w, s->platform);
    bh_writer_cbor_map(w, s->has_vector ? 4 : 3);
    bh_writer_cbor_uint(w, CLAIM_STATUS);
    bh_writer_cbor_uint(w, s->status);
    if (s->has_vector) {
        bh_writer_cbor_uint(w, CLAIM_VECTOR);
        bh_writer_cbor_map(w, BH_TRUST_COUNT);
        for (size_t i = 0; i < BH_TRUST_COUNT; i++) {
            bh_writer_cbor_uint(w, i);
            bh_writer_cbor_int(w, s->trust[i]);
        }
    }
    bh_writer_cbor_uint(w, CLAIM_POLICY_IDS);
    bh_writer_cbor_array(w, 1);
    bh_writer_u8(w, 0x78);
    bh_writer_u8(w, POLICY_URN_LEN);
    bh_writer_str(w, POLICY_URN);
    bh_writer_str(w, bh_hex(bh_span(s->policy_digest, 32), hex, sizeof(hex)));
    bh_writer_cbor_int(w, BH_EAR_KEY_ATTESTER_CLAIMS);
    write_claims(w, s);
}

static void
write_submods(struct bh_writer *w, const struct bh_ear *ear)
{
    bool done[BH_EAR_SUBMODS_MAX] = {false};

    bh_writer_cbor_uint(w, CLAIM_SUBMODS);
    bh_writer_cbor_map(w, ear->submods_len);
    for (size_t n = 0; n < ear->submods_len; n++) {
        size_t first = BH_EAR_SUBMODS_MAX;
        for (size_t i = 0; i < ear->submods_len; i++)
            if (!done[i] && (first == BH_EAR_SUBMODS_MAX || sorts_before(ear->submods[i].platform,
                                                                ear->submods[first].platform)))
                first = i;
        done[first] = true;
        write_submod(w, &ear->submods[first]);
    }
}

static void
write_subject(struct bh_writer *w, const struct bh_ear *ear)
{
    bh_writer_cbor_int(w, BH_EAR_KEY_SUBJECT);
    bh_writer_cbor_map(w, 5);
    bh_writer_cbor_tstr(w, "debug");
    bh_writer_cbor_bool(w, ear->debug);
    bh_writer_cbor_tstr(w, "owner");
    bh_writer_cbor_tstr(w, ear->owner);
    bh_writer_cbor_tstr(w, "context");
    bh_writer_cbor_bstr(w, bh_span(ear->context, ear->context_len));
    bh_writer_cbor_tstr(w, "workload");
    bh_writer_cbor_tstr(w, ear->workload);
    bh_writer_cbor_tstr(w, "simulated");
    bh_writer_cbor_bool(w, ear->simulated);
}

enum bh_err
bh_ear_encode(
    const struct bh_ear *ear, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    struct bh_writer w;
    struct bh_span all;

    if (ear->submods_len == 0 || ear->submods_len > BH_EAR_SUBMODS_MAX)
        return bh_fail(diag, BH_ERR_INTERNAL, "an EAR of %zu submodules", ear->submods_len);
    bh_writer_init(&w, out, cap);
    bh_writer_cbor_map(&w, ear->nonce_len > 0 ? 8 : 7);
    bh_writer_cbor_uint(&w, CLAIM_EXP);
    bh_writer_cbor_int(&w, ear->exp);
    bh_writer_cbor_uint(&w, CLAIM_IAT);
    bh_writer_cbor_int(&w, ear->iat);
    bh_writer_cbor_uint(&w, CLAIM_CNF);
    write_cnf(&w, bh_span(ear->spki, ear->spki_len));
    if (ear->nonce_len > 0) {
        bh_writer_cbor_uint(&w, CLAIM_NONCE);
        bh_writer_cbor_bstr(&w, bh_span(ear->nonce, ear->nonce_len));
    }
    bh_writer_cbor_uint(&w, CLAIM_PROFILE);
    bh_writer_cbor_tstr(&w, BH_EAR_PROFILE);
    write_submods(&w, ear);
    bh_writer_cbor_uint(&w, CLAIM_VERIFIER);
    bh_writer_cbor_map(&w, 2);
    bh_writer_cbor_uint(&w, 0);
    bh_writer_cbor_tstr(&w, "beachhead");
    bh_writer_cbor_uint(&w, 1);
    bh_writer_cbor_tstr(&w, BH_VERSION);
    write_subject(&w, ear);
    if (bh_writer_end(&w, &all) != BH_OK)
        return bh_fail(diag, BH_ERR_TOO_LARGE,
            "the EAR does not fit %zu bytes, or its key is of another type", cap);
    *ret_len = all.len;
    return BH_OK;
}

/* ---- reading ---- */

static bool
copy_text(struct bh_cbor *c, struct bh_span text, char *out, size_t size)
{
    if (!bh_cbor_ok(c))
        return false;
    if (text.len >= size || memchr(text.ptr, 0, text.len) != NULL) {
        bh_cbor_spoil(c, "a text that is too long");
        return false;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static void
copy_bytes(struct bh_cbor *c, struct bh_span bytes, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (bytes.len > cap) {
        bh_cbor_spoil(c, "a byte string that is too long");
        return;
    }
    if (bytes.len > 0)
        memcpy(out, bytes.ptr, bytes.len);
    *ret_len = bytes.len;
}

static void
read_key(struct bh_cbor *c, struct bh_ear *ear)
{
    int64_t kty = 0, crv = 0;
    struct bh_span x = {0}, y = {0};
    uint8_t point[133] = {4};
    const char *name = "";
    size_t len = 0;

    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        switch (bh_cbor_int(c)) {
        case 1:
            kty = bh_cbor_int(c);
            break;
        case -1:
            crv = bh_cbor_int(c);
            break;
        case -2:
            x = bh_cbor_bstr(c);
            break;
        case -3:
            y = bh_cbor_bstr(c);
            break;
        default:
            bh_cbor_spoil(c, "an unknown member of the confirmation key");
        }
    }
    if (!bh_cbor_ok(c))
        return;
    if (kty == 1 && crv == 6 && x.len == 32 && y.len == 0) {
        name = "Ed25519";
        memcpy(point, x.ptr, 32);
        len = 32;
    } else if (kty == 2 && x.len == y.len &&
               ((crv == 1 && x.len == 32) || (crv == 2 && x.len == 48))) {
        name = crv == 1 ? "P-256" : "P-384";
        memcpy(point + 1, x.ptr, x.len);
        memcpy(point + 1 + x.len, y.ptr, y.len);
        len = 1 + 2 * x.len;
    }
    if (bh_spki_from_point(
            name, bh_span(point, len), ear->spki, sizeof(ear->spki), &ear->spki_len) != BH_OK)
        bh_cbor_spoil(c, "a confirmation key that is none of P-256, P-384 and Ed25519");
}

static void
read_cnf(struct bh_cbor *c, struct bh_ear *ear)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        if (bh_cbor_int(c) == 1)
            read_key(c, ear);
        else
            bh_cbor_skip(c);
    }
}

static bool
is_status(uint64_t v)
{
    return v == BH_EAR_NONE || v == BH_EAR_AFFIRMING || v == BH_EAR_WARNING ||
           v == BH_EAR_CONTRAINDICATED;
}

static void
read_vector(struct bh_cbor *c, struct bh_ear_submod *s)
{
    s->has_vector = true;
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        const int64_t key = bh_cbor_int(c);
        const int64_t value = bh_cbor_int(c);

        if (key < 0 || key >= BH_TRUST_COUNT || value < INT8_MIN || value > INT8_MAX) {
            bh_cbor_spoil(c, "a trustworthiness claim out of range");
            return;
        }
        s->trust[key] = (int8_t)value;
    }
}

static void
read_policy_ids(struct bh_cbor *c, struct bh_ear_submod *s)
{
    struct bh_span id;
    size_t len;

    bh_cbor_array(c);
    id = bh_cbor_tstr(c);
    bh_cbor_leave(c);
    if (!bh_cbor_ok(c))
        return;
    if (id.len != POLICY_URN_LEN || memcmp(id.ptr, POLICY_URN, sizeof(POLICY_URN) - 1) != 0 ||
        bh_unhex(bh_span(id.ptr + sizeof(POLICY_URN) - 1, 64), s->policy_digest, 32, &len) != BH_OK)
        bh_cbor_spoil(c, "an appraisal policy id of another form");
}

static void
read_claims(struct bh_cbor *c, struct bh_ear_submod *s)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        struct bh_ear_claim *claim = &s->claims[s->claims_len];
        struct bh_span name = bh_cbor_tstr(c);
        size_t len = 0;

        if (s->claims_len == BH_EAR_CLAIMS_MAX) {
            bh_cbor_spoil(c, "too many attester claims");
            return;
        }
        if (!copy_text(c, name, claim->name, sizeof(claim->name)))
            return;
        claim->text = bh_cbor_peek(c) == BH_CBOR_TSTR;
        copy_bytes(c, claim->text ? bh_cbor_tstr(c) : bh_cbor_bstr(c), claim->value,
            sizeof(claim->value), &len);
        claim->len = (uint8_t)len;
        s->claims_len++;
    }
}

static void
read_submod(struct bh_cbor *c, struct bh_ear_submod *s)
{
    bool has_status = false, has_policy = false;

    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        switch (bh_cbor_int(c)) {
        case CLAIM_STATUS: {
            const uint64_t v = bh_cbor_uint(c);
            if (!is_status(v)) {
                bh_cbor_spoil(c, "an unknown status");
                return;
            }
            s->status = (enum bh_ear_status)v;
            has_status = true;
            break;
        }
        case CLAIM_VECTOR:
            read_vector(c, s);
            break;
        case CLAIM_POLICY_IDS:
            read_policy_ids(c, s);
            has_policy = true;
            break;
        case BH_EAR_KEY_ATTESTER_CLAIMS:
            read_claims(c, s);
            break;
        default:
            bh_cbor_skip(c);
        }
    }
    if (bh_cbor_ok(c) && (!has_status || !has_policy)) {
        bh_cbor_spoil(c, "a submodule without status or appraisal policy");
        return;
    }
    for (size_t i = 0; bh_cbor_ok(c) && i < BH_TRUST_COUNT; i++) {
        const enum bh_ear_status tier = bh_ear_tier(s->trust[i]);
        if (s->has_vector && tier != BH_EAR_NONE && bh_ear_worse(tier, s->status) != s->status)
            bh_cbor_spoil(c, "a status that is better than its worst trustworthiness claim");
    }
}

static void
read_submods(struct bh_cbor *c, struct bh_ear *ear)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        struct bh_ear_submod *s = &ear->submods[ear->submods_len];
        struct bh_span name = bh_cbor_tstr(c);

        if (ear->submods_len == BH_EAR_SUBMODS_MAX) {
            bh_cbor_spoil(c, "too many submodules");
            return;
        }
        if (!copy_text(c, name, s->platform, sizeof(s->platform)))
            return;
        read_submod(c, s);
        ear->submods_len++;
    }
}

static void
read_subject(struct bh_cbor *c, struct bh_ear *ear)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        const struct bh_span key = bh_cbor_tstr(c);

        if (bh_span_is(key, "workload"))
            (void)copy_text(c, bh_cbor_tstr(c), ear->workload, sizeof(ear->workload));
        else if (bh_span_is(key, "owner"))
            (void)copy_text(c, bh_cbor_tstr(c), ear->owner, sizeof(ear->owner));
        else if (bh_span_is(key, "simulated"))
            ear->simulated = bh_cbor_bool(c);
        else if (bh_span_is(key, "debug"))
            ear->debug = bh_cbor_bool(c);
        else if (bh_span_is(key, "context"))
            copy_bytes(c, bh_cbor_bstr(c), ear->context, sizeof(ear->context), &ear->context_len);
        else
            bh_cbor_skip(c);
    }
}

static void
read_claims_set(struct bh_cbor *c, struct bh_ear *ear)
{
    bool profile = false, iat = false, exp = false, subject = false;

    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        switch (bh_cbor_int(c)) {
        case CLAIM_EXP:
            ear->exp = bh_cbor_int(c);
            exp = true;
            break;
        case CLAIM_IAT:
            ear->iat = bh_cbor_int(c);
            iat = true;
            break;
        case CLAIM_CNF:
            read_cnf(c, ear);
            break;
        case CLAIM_NONCE:
            copy_bytes(c, bh_cbor_bstr(c), ear->nonce, sizeof(ear->nonce), &ear->nonce_len);
            break;
        case CLAIM_PROFILE:
            if (!bh_span_is(bh_cbor_tstr(c), BH_EAR_PROFILE)) {
                bh_cbor_spoil(c, "another profile than " BH_EAR_PROFILE);
                return;
            }
            profile = true;
            break;
        case CLAIM_SUBMODS:
            read_submods(c, ear);
            break;
        case BH_EAR_KEY_SUBJECT:
            read_subject(c, ear);
            subject = true;
            break;
        default:
            bh_cbor_skip(c);
        }
    }
    if (bh_cbor_ok(c) &&
        (!profile || !iat || !exp || !subject || ear->submods_len == 0 || ear->spki_len == 0 ||
            ear->workload[0] == '\0' || ear->owner[0] == '\0'))
        bh_cbor_spoil(c, "profile, iat, exp, cnf, submods or the subject is missing");
}

enum bh_err
bh_ear_decode(struct bh_span claims, struct bh_ear *ret_ear, struct bh_diag *diag)
{
    struct bh_cbor c;

    /* Large: the callers' own storage is written, and cleared on failure. */
    memset(ret_ear, 0, sizeof(*ret_ear));
    if (claims.len > BH_EAR_MAX)
        return bh_fail(
            diag, BH_ERR_TOO_LARGE, "an EAR of %zu bytes; at most %d", claims.len, BH_EAR_MAX);
    bh_cbor_init(&c, claims);
    read_claims_set(&c, ret_ear);
    if (bh_cbor_end(&c) == BH_OK)
        return BH_OK;
    memset(ret_ear, 0, sizeof(*ret_ear));
    return bh_fail(diag, BH_ERR_MALFORMED, "EAR (draft-ietf-rats-ear-04), byte %zu: %s",
        bh_cbor_off(&c), bh_cbor_why(&c));
}

enum bh_err
bh_ear_verify(struct bh_span cwt, EVP_PKEY *issuer, struct bh_ear *ret_ear, struct bh_diag *diag)
{
    struct bh_cose cose;
    enum bh_err e;

    if ((e = bh_cose_decode(cwt, BH_COSE_FORM_TAGGED_SIGN1, &cose, diag)) != BH_OK ||
        (e = bh_cose_verify(&cose, issuer, diag)) != BH_OK)
        return e;
    return bh_ear_decode(cose.payload, ret_ear, diag);
}

/* ---- AR4SI ---- */

const char *
bh_ear_status_name(enum bh_ear_status status)
{
    switch (status) {
    case BH_EAR_AFFIRMING:
        return "affirming";
    case BH_EAR_WARNING:
        return "warning";
    case BH_EAR_CONTRAINDICATED:
        return "contraindicated";
    default:
        return "none";
    }
}

enum bh_ear_status
bh_ear_tier(int8_t value)
{
    if (value >= -1 && value <= 1)
        return BH_EAR_NONE;
    if (value >= -32 && value <= 31)
        return BH_EAR_AFFIRMING;
    if (value >= -96 && value <= 95)
        return BH_EAR_WARNING;
    return BH_EAR_CONTRAINDICATED;
}

static int
badness(enum bh_ear_status status)
{
    return status == BH_EAR_AFFIRMING ? 0
           : status == BH_EAR_NONE    ? 1
           : status == BH_EAR_WARNING ? 2
                                      : 3;
}

enum bh_ear_status
bh_ear_worse(enum bh_ear_status a, enum bh_ear_status b)
{
    return badness(a) > badness(b) ? a : b;
}

const char *
bh_ear_trust_name(enum bh_ear_trust claim)
{
    static const char *const names[] = {"instance-identity", "configuration", "executables",
        "file-system", "hardware", "runtime-opaque", "storage-opaque", "sourced-data"};

    return claim < BH_TRUST_COUNT ? names[claim] : "unknown";
}
