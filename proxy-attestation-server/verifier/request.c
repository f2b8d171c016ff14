/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of POST /v1/certificates and /v1/appraisals, read strictly. */
#include "verifier.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

static enum bh_err
read_bytes(const char *text, const char *member, uint8_t *out, size_t cap, size_t *ret_len,
    struct bh_diag *diag)
{
    const enum bh_err e = bh_unbase64url(bh_span_str(text), out, cap, ret_len);
    char check[BH_CHECK_MAX], expected[64];

    if (e == BH_OK)
        return BH_OK;
    (void)snprintf(check, sizeof(check), "request.%s", member);
    (void)snprintf(expected, sizeof(expected), "base64url without padding, at most %zu bytes", cap);
    return bh_refuse(diag, e, check, expected, text, "\"%s\" does not decode", member);
}

static enum bh_err
read_challenge(const char *text, struct pas_body *b, struct bh_diag *diag)
{
    /* An empty one must not pass for none. */
    if (bh_unbase64url(bh_span_str(text), b->challenge, sizeof(b->challenge), &b->challenge_len) ==
            BH_OK &&
        b->challenge_len > 0)
        return BH_OK;
    b->challenge_len = 0;
    bh_refuse(diag, BH_ERR_CHALLENGE_INVALID, "challenge.form",
        "the challenge that POST /v1/challenges gave", text[0] != '\0' ? text : "an empty text",
        "the challenge does not decode");
    bh_hint(diag, "ask for a challenge and send it back unchanged");
    return BH_ERR_CHALLENGE_INVALID;
}

static enum bh_err
read_workload(struct pas_body *b, bool optional, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_json_string(b->json, "workload", optional, &b->workload, diag)) != BH_OK)
        return e;
    if (b->workload == NULL || bh_is_workload(bh_span_str(b->workload)))
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_MALFORMED, "request.workload", "[a-z0-9][a-z0-9._-]{0,62}",
        b->workload, "\"workload\" is no workload's name");
    b->workload = NULL;
    return e;
}

static enum bh_err
read_key(struct pas_body *b, bool appraisal, struct bh_diag *diag)
{
    const char *spki = NULL;
    char found[32];
    enum bh_err e;

    if ((e = bh_json_string(b->json, "csr", appraisal, &b->csr, diag)) != BH_OK ||
        (appraisal && (e = bh_json_string(b->json, "spki", true, &spki, diag)) != BH_OK))
        return e;
    if (b->csr != NULL && strlen(b->csr) > BH_CSR_MAX) {
        (void)snprintf(found, sizeof(found), "%zu", strlen(b->csr));
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "request.csr", "at most 8192 bytes", found,
            "the certificate request is too large");
    }
    if (b->csr != NULL && spki != NULL)
        return bh_refuse(diag, BH_ERR_MALFORMED, "request.spki", "one of csr and spki", "both",
            "\"csr\" and \"spki\" say the same thing twice");
    if (spki == NULL)
        return BH_OK;
    return read_bytes(spki, "spki", b->spki, sizeof(b->spki), &b->spki_len, diag);
}

/* The quote that ends the string whose first quote is at @p at; the text's end when there is none.
 */
static size_t
end_of_string(struct bh_span text, size_t at)
{
    const uint8_t *end = text.ptr + text.len, *quote = text.ptr + at;

    for (;;) {
        size_t backslashes = 0;

        if ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1))) == NULL)
            return text.len;
        while (quote[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return (size_t)(quote - text.ptr);
    }
}

static bool
is_key_at(struct bh_span text, size_t at, const char *quoted)
{
    const size_t len = strlen(quoted);

    if (text.len - at <= len || memcmp(text.ptr + at, quoted, len) != 0)
        return false;
    for (at += len; at < text.len && text.ptr[at] != ':'; at++)
        if (text.ptr[at] > ' ')
            return false;
    return true;
}

/*
 * The evidence as it stands in a body that has parsed: the record keeps what was received. Empty
 * when its key is written with escapes.
 */
static struct bh_span
raw_evidence(struct bh_span text)
{
    size_t depth = 0, start = 0;
    bool found = false;

    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];

        if (c == '"') {
            found = found || (depth == 1 && is_key_at(text, i, "\"evidence\""));
            i = end_of_string(text, i);
        } else if (c == '[' || c == '{') {
            if (found && depth == 1)
                start = i;
            depth++;
        } else if (c == ']' || c == '}') {
            depth--;
            if (start > 0 && depth == 1)
                return bh_span(text.ptr + start, i + 1 - start);
        }
    }
    return bh_span_none();
}

static enum bh_err
read_evidence(struct bh_span text, struct pas_body *b, struct bh_diag *diag)
{
    const struct bh_span raw = raw_evidence(text);
    const json_t *evidence = json_object_get(b->json, "evidence");

    if (evidence == NULL || (!json_is_array(evidence) && !json_is_object(evidence)))
        return bh_refuse(diag, BH_ERR_MALFORMED, "request.evidence",
            "a CMW: [\"type\", \"value\"] or a collection",
            evidence == NULL ? "nothing" : "another", "\"evidence\" is no CMW (RFC 9999)");
    b->evidence =
        raw.len > 0 ? strndup((const char *)raw.ptr, raw.len) : bh_json_text(evidence, false);
    if (b->evidence == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "evidence");
    return BH_OK;
}

/* An EAR speaks of a key and a workload: a challenge is not to be spent without. */
static enum bh_err
check_appraisal(const struct pas_body *b, struct bh_diag *diag)
{
    if (b->challenge_len == 0 || (b->workload != NULL && (b->csr != NULL || b->spki_len > 0)))
        return BH_OK;
    return bh_refuse(diag, BH_ERR_MALFORMED, "request.challenge",
        "with a challenge: workload, and csr or spki", "one of them is missing",
        "an attestation result needs a workload and a key");
}

enum bh_err
pas_body_read(struct bh_span text, bool appraisal, struct pas_body *b, struct bh_diag *diag)
{
    static const char *const enrol_members[] = {
        "challenge", "workload", "csr", "evidence", "context", NULL};
    static const char *const appraise_members[] = {
        "challenge", "workload", "csr", "spki", "evidence", "context", NULL};
    const char *challenge = NULL, *context = NULL;
    struct bh_diag inner = {0};
    enum bh_err e;

    memset(b, 0, sizeof(*b));
    if ((e = bh_json_parse(text, BH_BODY_MAX, &b->json, &inner)) != BH_OK) {
        e = bh_refuse(diag, e, "request", "one JSON object", inner.detail, "%s", inner.detail);
        goto out;
    }
    if (!json_is_object(b->json)) {
        e = bh_refuse(diag, BH_ERR_MALFORMED, "request", "a JSON object", "another JSON value",
            "the body is no JSON object");
        goto out;
    }
    if ((e = bh_json_only(
             b->json, appraisal ? appraise_members : enrol_members, "request", diag)) != BH_OK ||
        (e = read_workload(b, appraisal, diag)) != BH_OK ||
        (e = bh_json_string(b->json, "challenge", appraisal, &challenge, diag)) != BH_OK ||
        (challenge != NULL && (e = read_challenge(challenge, b, diag)) != BH_OK) ||
        (e = read_key(b, appraisal, diag)) != BH_OK ||
        (e = bh_json_string(b->json, "context", true, &context, diag)) != BH_OK ||
        (context != NULL && (e = read_bytes(context, "context", b->context, sizeof(b->context),
                                 &b->context_len, diag)) != BH_OK) ||
        (e = read_evidence(text, b, diag)) != BH_OK)
        goto out;
    if (appraisal)
        e = check_appraisal(b, diag);
out:
    if (e != BH_OK)
        bh_name_check(diag, "request");
    return e;
}

void
pas_body_clear(struct pas_body *b)
{
    json_decref(b->json);
    free(b->evidence);
    memset(b, 0, sizeof(*b));
}
