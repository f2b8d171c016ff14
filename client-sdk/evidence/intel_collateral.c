/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's signed documents (PCS API, version 4): TCB info and enclave identity. A body is
 * {"tcbInfo": {...}, "signature": "hex"}, and what is signed are the bytes of the inner object as
 * they were received: they are found by the structure of the text and verified before anything in
 * them is believed.
 */
#include "intel.h"

#include "chain_cache.h"

#include "core/ecdsa.h"
#include "core/json.h"
#include "core/text.h"

#include <stdio.h>

#define SIGNATURE_LEN 64
#define HOST "https://api.trustedservices.intel.com"
#define ROOT_CRL_URL "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

/* ---- where collateral comes from ---- */

static struct bh_span
lookup_key(const struct ev_intel *q, enum ev_intel_kind kind, uint8_t buf[8])
{
    switch (kind) {
    case EV_INTEL_TCB_INFO:
        memcpy(buf, q->pck.fmspc.ptr, 6);
        buf[6] = (uint8_t)q->tee_type;
        return bh_span(buf, 7);
    case EV_INTEL_QE_IDENTITY:
        buf[0] = (uint8_t)q->tee_type;
        return bh_span(buf, 1);
    case EV_INTEL_PCK_CRL:
        return bh_span_str(ev_intel_pck_ca(q));
    default:
        return bh_span_none();
    }
}

enum bh_err
ev_intel_fetch(const struct ev_intel_trial *t, enum ev_intel_kind kind, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    uint8_t key[8];
    enum bh_err e;

    *ret_bytes = t->q->given[kind];
    if (ret_bytes->ptr != NULL || t->trust->collateral == NULL)
        return BH_OK;
    e = t->trust->collateral(t->trust->collateral_arg, ev_intel_file(kind),
        lookup_key(t->q, kind, key), ret_bytes, diag);
    if (e == BH_OK && ret_bytes->len > 0 && ret_bytes->len <= BH_COLLATERAL_MAX)
        return BH_OK;
    *ret_bytes = bh_span_none();
    if (e == BH_ERR_COLLATERAL_MISSING)
        return BH_OK;
    return e != BH_OK ? e : bh_fail(diag, BH_ERR_TOO_LARGE, "another length");
}

enum bh_err
ev_intel_collateral(struct ev_intel_trial *t, enum ev_intel_kind kind, struct bh_span *ret_bytes)
{
    struct bh_diag diag = {0};
    enum bh_err e = ev_intel_fetch(t, kind, ret_bytes, &diag);

    if (e == BH_OK)
        return BH_OK;
    return ev_intel_refuse(t->q, t->report, e, "collateral", ev_intel_label(kind),
        "1 byte to 64 KiB of collateral", diag.detail, NULL);
}

static enum bh_err
missing(struct ev_intel_trial *t, enum ev_intel_kind kind)
{
    const char *tee = t->q->tdx ? "tdx" : "sgx";
    char hint[BH_TEXT_MAX], fmspc[16];

    (void)bh_hex(t->q->pck.fmspc, fmspc, sizeof(fmspc));
    switch (kind) {
    case EV_INTEL_TCB_INFO:
        (void)snprintf(
            hint, sizeof(hint), "fetch " HOST "/%s/certification/v4/tcb?fmspc=%s", tee, fmspc);
        break;
    case EV_INTEL_QE_IDENTITY:
        (void)snprintf(hint, sizeof(hint), "fetch " HOST "/%s/certification/v4/qe/identity", tee);
        break;
    default:
        (void)snprintf(hint, sizeof(hint),
            "it is the header TCB-Info-Issuer-Chain (percent-encoded) of the answer of " HOST
            "/%s/certification/v4/tcb?fmspc=%s",
            tee, fmspc);
        break;
    }
    return ev_intel_refuse(t->q, t->report, BH_ERR_COLLATERAL_MISSING, "collateral",
        ev_intel_label(kind), ev_intel_file(kind), "none with the evidence and none in store",
        hint);
}

void
ev_intel_crl_url(const struct ev_intel *q, char out[BH_TEXT_MAX])
{
    if (q->has_pck_crl)
        (void)snprintf(out, BH_TEXT_MAX, "fetch " ROOT_CRL_URL);
    else
        (void)snprintf(out, BH_TEXT_MAX,
            "fetch " HOST "/sgx/certification/v4/pckcrl?ca=%s&encoding=der", ev_intel_pck_ca(q));
}

static enum bh_err
refuse(struct ev_intel_trial *t, enum ev_intel_kind kind, const char *expected, const char *found)
{
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral",
        ev_intel_label(kind), expected, found,
        "store the answer of Intel's service as it was received");
}

/* ---- the structure of a body ---- */

static void
skip_space(struct bh_span *text)
{
    while (text->len > 0 && memchr(" \t\r\n", text->ptr[0], 4) != NULL) {
        text->ptr++;
        text->len--;
    }
}

static bool
skip_char(struct bh_span *text, char c)
{
    skip_space(text);
    if (text->len == 0 || text->ptr[0] != (uint8_t)c)
        return false;
    text->ptr++;
    text->len--;
    return true;
}

/* A string without escapes. */
static bool
take_string(struct bh_span *text, struct bh_span *ret_string)
{
    const uint8_t *begin;

    if (!skip_char(text, '"'))
        return false;
    begin = text->ptr;
    for (; text->len > 0 && text->ptr[0] != '"'; text->ptr++, text->len--)
        if (text->ptr[0] == '\\' || text->ptr[0] < 0x20)
            return false;
    *ret_string = bh_span(begin, (size_t)(text->ptr - begin));
    return skip_char(text, '"');
}

/* An object to its closing brace; braces in strings do not count. */
static bool
take_object(struct bh_span *text, struct bh_span *ret_object)
{
    bool in_string = false;
    size_t depth = 0, i;

    skip_space(text);
    if (text->len == 0 || text->ptr[0] != '{')
        return false;
    for (i = 0; i < text->len; i++) {
        const uint8_t c = text->ptr[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && c == '{')
            depth++;
        else if (!in_string && c == '}' && --depth == 0)
            break;
    }
    if (i >= text->len)
        return false;
    *ret_object = bh_span(text->ptr, i + 1);
    text->ptr += i + 1;
    text->len -= i + 1;
    return true;
}

/* {"<name>": object, "signature": string} in either order, and nothing else. */
bool
ev_intel_body_split(
    struct bh_span text, const char *name, struct bh_span *ret_object, struct bh_span *ret_hex)
{
    bool object = false, signature = false;
    struct bh_span key;

    if (!skip_char(&text, '{'))
        return false;
    do {
        if (!take_string(&text, &key) || !skip_char(&text, ':'))
            return false;
        if (bh_span_is(key, name) && !object)
            object = take_object(&text, ret_object);
        else if (bh_span_is(key, "signature") && !signature)
            signature = take_string(&text, ret_hex);
        else
            return false;
    } while (skip_char(&text, ','));
    if (!skip_char(&text, '}'))
        return false;
    skip_space(&text);
    return text.len == 0 && object && signature;
}

/* ---- a signed document ---- */

struct document {
    enum ev_intel_kind kind;
    const char *member; /* "tcbInfo" */
    json_t *json;
    int64_t next_update;
};

enum bh_err
ev_intel_json_time(const json_t *object, const char *name, int64_t *ret_time, struct bh_diag *diag)
{
    const char *text;
    enum bh_err e;

    if ((e = bh_json_string(object, name, false, &text, diag)) != BH_OK)
        return e;
    if (bh_time_read(text, ret_time) != BH_OK)
        return bh_fail(diag, BH_ERR_MALFORMED, "\"%s\" is no time", name);
    return BH_OK;
}

enum bh_err
ev_intel_json_hex(
    const json_t *object, const char *name, uint8_t *out, size_t len, struct bh_diag *diag)
{
    const char *text;
    size_t got = 0;
    enum bh_err e;

    if ((e = bh_json_string(object, name, false, &text, diag)) != BH_OK)
        return e;
    if (bh_unhex(bh_span_str(text), out, len, &got) != BH_OK || got != len)
        return bh_fail(diag, BH_ERR_MALFORMED, "\"%s\" is not hex of %zu bytes", name, len);
    return BH_OK;
}

static enum bh_err
check_dates(struct ev_intel_trial *t, struct document *d)
{
    const int64_t now = t->trust->now;
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX], expected[BH_VALUE_MAX];
    struct bh_diag diag = {0};
    int64_t issued;

    if (ev_intel_json_time(d->json, "issueDate", &issued, &diag) != BH_OK ||
        ev_intel_json_time(d->json, "nextUpdate", &d->next_update, &diag) != BH_OK)
        return refuse(t, d->kind, "issueDate and nextUpdate", diag.detail);
    if (now + t->trust->skew < issued || now > d->next_update) {
        (void)snprintf(expected, sizeof(expected), "a document of %s to %s around now",
            bh_time_text(issued, from), bh_time_text(d->next_update, to));
        return ev_intel_refuse(t->q, t->report, BH_ERR_COLLATERAL_EXPIRED, "clock",
            ev_intel_label(d->kind), expected, bh_time_text(now, at),
            "fetch the current document from Intel's service, and check the clock");
    }
    if (issued > t->q->not_before)
        t->q->not_before = issued;
    if (d->next_update < t->q->not_after)
        t->q->not_after = d->next_update;
    return BH_OK;
}

/* Signature and dates; @p path is that of the verified path to the signer. */
static enum bh_err
read_document(struct ev_intel_trial *t, struct document *d, struct bh_span body,
    const struct ev_cert *signer, const uint8_t signer_path[EV_PATH_HASH_LEN])
{
    uint8_t path[EV_PATH_HASH_LEN], raw[SIGNATURE_LEN], der_buf[BH_ECDSA_DER_MAX];
    struct bh_span object, hex, der;
    struct bh_diag diag = {0};
    size_t len = 0;
    enum bh_err e;

    if (!ev_intel_body_split(body, d->member, &object, &hex) ||
        bh_unhex(hex, raw, sizeof(raw), &len) != BH_OK || len != sizeof(raw))
        return refuse(t, d->kind, "one object and its signature of 64 bytes in hex, in JSON",
            "something else");
    memcpy(path, signer_path, sizeof(path));
    if (ev_chain_path(path, bh_span_str(d->member)) != BH_OK || ev_chain_path(path, body) != BH_OK)
        return refuse(t, d->kind, "a digest", "none");
    const bool known = ev_chain_cache_knows(t->trust->cache, path, t->trust->now);
    if (!known && (bh_ecdsa_to_der(bh_span(raw, len), der_buf, &der) != BH_OK ||
                      !ev_intel_signed_by(signer, object, der)))
        return refuse(t, d->kind, "bytes as the TCB signing certificate signed them",
            "the signature does not verify");
    if (bh_json_parse(object, BH_COLLATERAL_MAX, &d->json, &diag) != BH_OK)
        return refuse(t, d->kind, "JSON", diag.detail);
    if ((e = check_dates(t, d)) != BH_OK)
        return e;
    if (!known)
        ev_chain_cache_remember(t->trust->cache, path,
            signer->not_after < d->next_update ? signer->not_after : d->next_update);
    ev_intel_pass(t->q, t->report, "collateral", ev_intel_label(d->kind),
        "signed by Intel and current", "signature and dates hold");
    return BH_OK;
}

/* ---- the signer ---- */

static enum bh_err
check_signer(struct ev_intel_trial *t, const struct ev_intel_chain *chain, uint8_t ret_path[32])
{
    const enum ev_intel_kind kind = EV_INTEL_TCB_SIGNING_CHAIN;
    char found[BH_VALUE_MAX], at_text[BH_TIME_MAX];
    const struct ev_cert *c;
    const char *fault;
    size_t at = 0;

    if (chain->len != 2)
        return refuse(t, kind, "the TCB signing certificate and the root", "another number");
    if (!ev_intel_is_named(t, chain->certs[0].common_name, "Intel SGX TCB Signing")) {
        const struct bh_span cn = chain->certs[0].common_name;

        (void)snprintf(found, sizeof(found), "\"%.*s\"", (int)(cn.len < 100 ? cn.len : 100),
            cn.len > 0 ? (const char *)cn.ptr : "");
        return refuse(t, kind, "\"Intel SGX TCB Signing\"", found);
    }
    if ((fault = ev_intel_path_fault(t, chain, ret_path, &at)) != NULL) {
        (void)snprintf(found, sizeof(found), "certificate %zu of 2 %s", at + 1, fault);
        return refuse(
            t, kind, "a path from the root of the quote to the TCB signing certificate", found);
    }
    if ((c = ev_intel_invalid_now(t, chain)) != NULL)
        return ev_intel_refuse(t->q, t->report, BH_ERR_COLLATERAL_EXPIRED, "clock",
            ev_intel_label(kind), "certificates that are valid now",
            bh_time_text(t->trust->now, at_text),
            "fetch TCB info anew, with the chain that came with it, and check the clock");
    ev_intel_pass(t->q, t->report, "collateral", ev_intel_label(kind),
        "a path from the root of the quote to the TCB signing certificate",
        "signatures, names and constraints hold");
    return ev_intel_check_signer_revocation(t, &chain->certs[0]);
}

static enum bh_err
judge(struct ev_intel_trial *t, const struct bh_span bytes[EV_INTEL_KINDS],
    const struct ev_intel_chain *chain)
{
    struct document info = {.kind = EV_INTEL_TCB_INFO, .member = "tcbInfo"};
    struct document qe = {.kind = EV_INTEL_QE_IDENTITY, .member = "enclaveIdentity"};
    uint8_t path[EV_PATH_HASH_LEN];
    enum bh_err e;

    if ((e = check_signer(t, chain, path)) == BH_OK &&
        (e = read_document(t, &info, bytes[EV_INTEL_TCB_INFO], &chain->certs[0], path)) == BH_OK &&
        (e = read_document(t, &qe, bytes[EV_INTEL_QE_IDENTITY], &chain->certs[0], path)) == BH_OK &&
        (e = ev_intel_judge_qe(t, qe.json)) == BH_OK)
        e = ev_intel_judge_tcb(t, info.json);
    json_decref(info.json);
    json_decref(qe.json);
    return e;
}

enum bh_err
ev_intel_check_collateral(struct ev_intel_trial *t)
{
    static const enum ev_intel_kind needed[] = {
        EV_INTEL_TCB_INFO, EV_INTEL_QE_IDENTITY, EV_INTEL_TCB_SIGNING_CHAIN};
    struct bh_span bytes[EV_INTEL_KINDS] = {{0}};
    struct ev_intel_chain chain;
    struct bh_diag diag = {0};
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(needed); i++) {
        if ((e = ev_intel_collateral(t, needed[i], &bytes[needed[i]])) != BH_OK)
            return e;
        if (bytes[needed[i]].ptr == NULL)
            return missing(t, needed[i]);
    }
    if (ev_intel_chain_read(bytes[EV_INTEL_TCB_SIGNING_CHAIN], &chain, &diag) != BH_OK)
        return refuse(t, EV_INTEL_TCB_SIGNING_CHAIN, "certificates in PEM", diag.detail);
    e = judge(t, bytes, &chain);
    ev_intel_chain_clear(&chain);
    return e;
}
