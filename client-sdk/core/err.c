/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/crypto.h>

static const struct {
    enum bh_err err;
    int status;
    const char *code;
    const char *title;
} errors[] = {
    {BH_ERR_MALFORMED, 400, "malformed", "Malformed request"},
    {BH_ERR_USAGE, 400, "malformed", "Wrong usage or configuration"},
    {BH_ERR_TOO_LARGE, 413, "too-large", "Too large"},
    {BH_ERR_CSR_INVALID, 400, "csr-invalid", "Certificate request invalid"},
    {BH_ERR_EVIDENCE_MALFORMED, 400, "evidence-malformed", "Evidence malformed"},
    {BH_ERR_UNSUPPORTED, 415, "evidence-unsupported", "Evidence unsupported"},
    {BH_ERR_CHALLENGE_INVALID, 403, "challenge-invalid", "Challenge invalid"},
    {BH_ERR_CHALLENGE_EXPIRED, 403, "challenge-expired", "Challenge expired"},
    {BH_ERR_CHALLENGE_USED, 409, "challenge-used", "Challenge already used"},
    {BH_ERR_NOT_AUTHENTIC, 403, "evidence-not-authentic", "Evidence not authentic"},
    {BH_ERR_BINDING, 403, "binding-mismatch", "Binding mismatch"},
    {BH_ERR_REFERENCE_MISSING, 403, "reference-missing", "No reference value"},
    {BH_ERR_POLICY, 403, "policy-refused", "Refused by policy"},
    {BH_ERR_ENDORSEMENT_UNKNOWN, 403, "endorsement-unknown", "Endorsement unknown"},
    {BH_ERR_SIMULATED, 403, "simulated-refused", "Simulated evidence refused"},
    {BH_ERR_DENIED, 403, "denied", "Denied"},
    {BH_ERR_WORKLOAD_UNKNOWN, 404, "workload-unknown", "Workload unknown"},
    {BH_ERR_UNAUTHORIZED, 401, "unauthorized", "Unauthorized"},
    {BH_ERR_FORBIDDEN, 403, "forbidden", "Forbidden"},
    {BH_ERR_NOT_FOUND, 404, "not-found", "Not found"},
    {BH_ERR_COLLATERAL_MISSING, 424, "collateral-missing", "Collateral missing"},
    {BH_ERR_COLLATERAL_EXPIRED, 403, "collateral-expired", "Collateral expired"},
    {BH_ERR_RATE_LIMITED, 429, "rate-limited", "Rate limited"},
    {BH_ERR_OVERLOADED, 503, "overloaded", "Overloaded"},
    {BH_ERR_NETWORK, 503, "overloaded", "Not reachable"},
    {BH_ERR_INTERNAL, 500, "internal", "Internal error"},
    {BH_ERR_IO, 500, "internal", "Input or output failed"},
    {BH_ERR_NOMEM, 500, "internal", "Out of memory"},
};

void
bh_diag_clear(struct bh_diag *diag)
{
    if (diag != NULL)
        memset(diag, 0, sizeof(*diag));
}

static void
copy_text(char *to, size_t size, const char *from)
{
    if (from != NULL)
        (void)snprintf(to, size, "%s", from);
}

enum bh_err
bh_fail(struct bh_diag *diag, enum bh_err err, const char *fmt, ...)
{
    va_list ap;

    if (diag == NULL || diag->err != BH_OK)
        return err;
    diag->err = err;
    va_start(ap, fmt);
    (void)vsnprintf(diag->detail, sizeof(diag->detail), fmt, ap);
    va_end(ap);
    return err;
}

enum bh_err
bh_refuse(struct bh_diag *diag, enum bh_err err, const char *check, const char *expected,
    const char *found, const char *fmt, ...)
{
    va_list ap;

    if (diag == NULL || diag->err != BH_OK)
        return err;
    diag->err = err;
    copy_text(diag->check, sizeof(diag->check), check);
    copy_text(diag->expected, sizeof(diag->expected), expected);
    copy_text(diag->found, sizeof(diag->found), found);
    va_start(ap, fmt);
    (void)vsnprintf(diag->detail, sizeof(diag->detail), fmt, ap);
    va_end(ap);
    return err;
}

void
bh_hint(struct bh_diag *diag, const char *fmt, ...)
{
    va_list ap;

    if (diag == NULL || diag->hint[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(diag->hint, sizeof(diag->hint), fmt, ap);
    va_end(ap);
}

void
bh_name_check(struct bh_diag *diag, const char *fmt, ...)
{
    va_list ap;

    if (diag == NULL || diag->check[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(diag->check, sizeof(diag->check), fmt, ap);
    va_end(ap);
}

const char *
bh_err_code(enum bh_err err)
{
    for (size_t i = 0; i < BH_COUNT(errors); i++)
        if (errors[i].err == err)
            return errors[i].code;
    return "internal";
}

enum bh_err
bh_err_from_code(const char *code)
{
    for (size_t i = 0; i < BH_COUNT(errors); i++)
        if (strcmp(errors[i].code, code) == 0)
            return errors[i].err;
    return BH_ERR_INTERNAL;
}

int
bh_err_status(enum bh_err err)
{
    for (size_t i = 0; i < BH_COUNT(errors); i++)
        if (errors[i].err == err)
            return errors[i].status;
    return 500;
}

const char *
bh_err_title(enum bh_err err)
{
    for (size_t i = 0; i < BH_COUNT(errors); i++)
        if (errors[i].err == err)
            return errors[i].title;
    return "Internal error";
}

int
bh_err_exit(enum bh_err err)
{
    switch (err) {
    case BH_OK:
        return 0;
    case BH_ERR_USAGE:
    case BH_ERR_IO:
    case BH_ERR_NOMEM:
        return 2;
    case BH_ERR_NETWORK:
    case BH_ERR_OVERLOADED:
        return 3;
    default:
        return 1;
    }
}

const char *
bh_err_hint(enum bh_err err)
{
    switch (err) {
    case BH_ERR_MALFORMED:
    case BH_ERR_USAGE:
        return "mend what is named here, and send the request again";
    case BH_ERR_TOO_LARGE:
        return "send less: the limit is under expected";
    case BH_ERR_CSR_INVALID:
        return "send a PKCS#10 request for a P-256, P-384 or Ed25519 key, signed by that key";
    case BH_ERR_EVIDENCE_MALFORMED:
        return "send the document as the platform made it, whole and with nothing behind it";
    case BH_ERR_UNSUPPORTED:
        return "see GET /v1/info for the platforms of this server";
    case BH_ERR_CHALLENGE_INVALID:
    case BH_ERR_CHALLENGE_EXPIRED:
    case BH_ERR_CHALLENGE_USED:
        return "ask this server for a new challenge (POST /v1/challenges)";
    case BH_ERR_NOT_AUTHENTIC:
        return "take fresh evidence; if it fails again, it was altered or is not of this platform";
    case BH_ERR_BINDING:
        return "take evidence over this very challenge, key and context";
    case BH_ERR_REFERENCE_MISSING:
    case BH_ERR_POLICY:
        return "compare what is expected and found: another version runs, or the policy is old";
    case BH_ERR_ENDORSEMENT_UNKNOWN:
        return "the administrator endorses the device's key, or the device is a stranger";
    case BH_ERR_SIMULATED:
        return "simulated devices belong to a server and a workload made for them";
    case BH_ERR_NOT_FOUND:
    case BH_ERR_WORKLOAD_UNKNOWN:
        return "compare the name with what the administrator set up";
    case BH_ERR_COLLATERAL_MISSING:
    case BH_ERR_COLLATERAL_EXPIRED:
        return "send current collateral with the evidence, or ask the administrator to refresh it";
    case BH_ERR_RATE_LIMITED:
    case BH_ERR_OVERLOADED:
    case BH_ERR_NETWORK:
        return "try again a little later";
    default:
        return "ask the administrator; the server's log has this request's id";
    }
}

bool
bh_span_equal_ct(struct bh_span a, struct bh_span b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
bh_span_is_zero(struct bh_span a)
{
    uint8_t any = 0;

    for (size_t i = 0; i < a.len; i++)
        any |= a.ptr[i];
    return any == 0;
}
