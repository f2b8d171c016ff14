/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller expects of a peer, the whole verification, and what it found. */
#include "src/internal.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

/* Which claims of a result measure code: names, or beginnings of names that end in '*'. */
static const struct {
    const char *platform;
    const char *name;
} measures[] = {
    {"aws-nitro", "pcr0"},
    {"aws-nitrotpm", "pcr4"},
    {"arm-cca", "realm.initial_measurement"},
    {"psa", "software*"},
    {"amd-sev-snp", "measurement"},
    {"intel-sgx", "mrenclave"},
    {"intel-tdx", "mrtd"},
};

static bool
name_matches(const char *name, const char *pattern)
{
    const size_t len = strlen(pattern);

    if (len > 0 && pattern[len - 1] == '*')
        return strncmp(name, pattern, len - 1) == 0;
    return strcmp(name, pattern) == 0;
}

static bool
is_measurement(const struct bh_ear_submod *submod, const struct bh_ear_claim *claim)
{
    if (claim->text)
        return false;
    for (size_t i = 0; i < BH_COUNT(measures); i++)
        if (strcmp(submod->platform, measures[i].platform) == 0 &&
            name_matches(claim->name, measures[i].name))
            return true;
    return false;
}

/* ---- status ---- */

/*
 * A simulated device alone makes hardware "none" and the status "warning". Whatever
 * else lowered the status shows in the trust vector.
 */
static bool
only_simulated(const struct bh_ear *ear)
{
    if (!ear->simulated || ear->debug)
        return false;
    for (size_t i = 0; i < ear->submods_len; i++) {
        const struct bh_ear_submod *s = &ear->submods[i];
        if (!s->has_vector || s->status != BH_EAR_WARNING || s->trust[BH_TRUST_HARDWARE] != 0)
            return false;
        for (size_t t = 0; t < BH_TRUST_COUNT; t++) {
            const enum bh_ear_status tier = bh_ear_tier(s->trust[t]);
            if (tier != BH_EAR_AFFIRMING && tier != BH_EAR_NONE)
                return false;
        }
    }
    return true;
}

static enum bh_err
check_status(const struct bh_peer *peer, const struct bh_expectation *x, const struct bh_root *root,
    struct bh_diag *diag)
{
    if (peer->status == BH_EAR_AFFIRMING)
        return BH_OK;
    if (peer->status == BH_EAR_WARNING) {
        if (x->accept_warning || (root->simulated && only_simulated(&peer->ear)))
            return BH_OK;
    }
    const enum bh_err e = bh_refuse(diag, BH_ERR_POLICY, "ear.status",
        x->accept_warning ? "affirming or warning" : "affirming", bh_ear_status_name(peer->status),
        "the attestation result of %s is not accepted", peer->spiffe_id);
    if (peer->status == BH_EAR_WARNING)
        bh_hint(diag, "look at the result with `beachhead inspect`; if it is good enough, accept "
                      "warnings (--accept-warning)");
    else
        bh_hint(diag, "do not talk to this isolate");
    return e;
}

/* ---- platform and measurement ---- */

static enum bh_err
check_platform(const struct bh_peer *peer, const struct bh_expectation *x, struct bh_diag *diag)
{
    char expected[BH_VALUE_MAX] = "";
    size_t at = 0;

    for (size_t i = 0; i < x->platforms_len && at < sizeof(expected); i++)
        at += (size_t)snprintf(
            expected + at, sizeof(expected) - at, "%s%s", i == 0 ? "" : ", ", x->platforms[i]);
    for (size_t s = 0; x->platforms_len > 0 && s < peer->ear.submods_len; s++) {
        const char *platform = peer->ear.submods[s].platform;
        bool allowed = false;
        for (size_t i = 0; i < x->platforms_len; i++)
            allowed = allowed || strcmp(platform, x->platforms[i]) == 0;
        if (!allowed) {
            const enum bh_err e = bh_refuse(diag, BH_ERR_POLICY, "platform", expected, platform,
                "%s runs on another platform", peer->spiffe_id);
            bh_hint(diag, "allow the platform, or connect to another endpoint of the workload");
            return e;
        }
    }
    return BH_OK;
}

static bool
expects_measurement(const struct bh_expectation *x, struct bh_span value)
{
    for (size_t i = 0; i < x->measurements_len; i++)
        if (bh_span_equal(value, bh_span(x->measurements[i].bytes, x->measurements[i].len)))
            return true;
    return false;
}

static enum bh_err
check_measurement(const struct bh_peer *peer, const struct bh_expectation *x, struct bh_diag *diag)
{
    char expected[BH_VALUE_MAX];

    if (x->measurements_len == 0)
        return BH_OK;
    for (size_t s = 0; s < peer->ear.submods_len; s++) {
        const struct bh_ear_submod *submod = &peer->ear.submods[s];
        for (size_t i = 0; i < submod->claims_len; i++) {
            const struct bh_ear_claim *claim = &submod->claims[i];
            if (is_measurement(submod, claim) &&
                expects_measurement(x, bh_span(claim->value, claim->len)))
                return BH_OK;
        }
    }
    bh_hex(bh_span(x->measurements[0].bytes, x->measurements[0].len), expected, sizeof(expected));
    const enum bh_err e = bh_refuse(diag, BH_ERR_POLICY, "measurement", expected,
        peer->measurement[0] != '\0' ? peer->measurement : "none",
        "%s runs other code than expected", peer->spiffe_id);
    bh_hint(diag, "is the expected measurement that of the release that runs there?");
    return e;
}

enum bh_err
bh_peer_meets(const struct bh_peer *peer, const struct bh_expectation *x,
    const struct bh_root *root, struct bh_diag *diag)
{
    enum bh_err e;

    if (!x->any_workload && strcmp(peer->workload, x->workload) != 0) {
        e = bh_refuse(diag, BH_ERR_POLICY, "workload", x->workload, peer->workload,
            "somebody else answers: %s", peer->spiffe_id);
        bh_hint(diag, "is the address that of the workload that you expect?");
        return e;
    }
    if ((e = check_status(peer, x, root, diag)) != BH_OK ||
        (e = check_platform(peer, x, diag)) != BH_OK ||
        (e = check_measurement(peer, x, diag)) != BH_OK)
        return e;
    if (x->require_revocation && !peer->revocation_good) {
        e = bh_refuse(diag, BH_ERR_COLLATERAL_MISSING, "revocation", "good", "not checked",
            "there is no revocation source yet: this version fetches no CRL and asks no OCSP "
            "responder");
        bh_hint(diag, "give the issuing CA's revocation list, or do not require revocation");
        return e;
    }
    if (x->require_log) {
        e = bh_refuse(diag, BH_ERR_COLLATERAL_MISSING, "log", "proof of inclusion", "none",
            "there is no transparency log yet");
        bh_hint(diag, "do not require the log with this version");
        return e;
    }
    return BH_OK;
}

/* ---- the whole ---- */

static void
claim_text(const struct bh_ear_claim *claim, char *out, size_t size)
{
    if (claim->text)
        (void)snprintf(out, size, "%.*s", (int)claim->len, (const char *)claim->value);
    else
        bh_hex(bh_span(claim->value, claim->len), out, size);
}

static size_t
claims_count(const struct bh_ear *ear)
{
    size_t count = 0;

    for (size_t s = 0; s < ear->submods_len; s++)
        count += ear->submods[s].claims_len;
    return count;
}

static enum bh_err
write_claims(struct bh_peer *peer, struct bh_diag *diag)
{
    size_t at = 0;

    peer->claims = calloc(claims_count(&peer->ear) + 1, sizeof(*peer->claims));
    if (peer->claims == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "peer");
    for (size_t s = 0; s < peer->ear.submods_len; s++) {
        const struct bh_ear_submod *submod = &peer->ear.submods[s];
        for (size_t i = 0; i < submod->claims_len; i++, at++) {
            claim_text(&submod->claims[i], peer->claims[at], sizeof(peer->claims[at]));
            if (peer->measurement[0] == '\0' && is_measurement(submod, &submod->claims[i]))
                memcpy(peer->measurement, peer->claims[at], sizeof(peer->measurement));
        }
    }
    return BH_OK;
}

enum bh_err
bh_peer_verify(const struct bh_trust *trust, const struct bh_expectation *expectation, X509 *leaf,
    STACK_OF(X509) * untrusted, enum bh_side side, int64_t at, struct bh_peer **ret_peer,
    struct bh_diag *diag)
{
    struct bh_peer *peer = calloc(1, sizeof(*peer));
    struct bh_chain chain = {0};
    X509_STORE_CTX *ctx = NULL;
    enum bh_err e;

    if (peer == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "peer");
    if ((e = bh_chain_verify(trust, expectation, leaf, untrusted, side, at, &ctx, &chain, diag)) !=
        BH_OK)
        goto out;
    peer->revocation_good = expectation->crl != NULL;
    if ((e = bh_leaf_check(&chain, side, peer, diag)) != BH_OK ||
        (e = bh_leaf_ear(&chain, at, peer, diag)) != BH_OK ||
        (e = write_claims(peer, diag)) != BH_OK ||
        (e = bh_peer_meets(peer, expectation, chain.root, diag)) != BH_OK)
        goto out;
    *ret_peer = peer;
    peer = NULL;
out:
    bh_peer_free(peer);
    X509_STORE_CTX_free(ctx);
    return e;
}

void
bh_peer_free(struct bh_peer *peer)
{
    if (peer == NULL)
        return;
    free(peer->claims);
    free(peer);
}

struct bh_peer *
bh_peer_copy(const struct bh_peer *peer)
{
    struct bh_peer *copy = malloc(sizeof(*copy));
    struct bh_diag diag = {0};

    if (copy == NULL)
        return NULL;
    *copy = *peer;
    copy->claims = NULL;
    if (write_claims(copy, &diag) != BH_OK) {
        free(copy);
        return NULL;
    }
    return copy;
}

static enum bh_err
verify_ders(const struct bh_trust *trust, const struct bh_expectation *expectation,
    const unsigned char *const *ders, const size_t *lens, size_t count, int64_t at,
    struct bh_peer **ret_peer, struct bh_diag *diag)
{
    STACK_OF(X509) *certs = NULL;
    enum bh_err e = BH_OK;

    if (count < 1 || count > BH_CHAIN_MAX)
        return bh_refuse(diag, BH_ERR_USAGE, "certificate.chain", "1 to 16 certificates", NULL,
            "a chain of %zu certificates", count);
    if ((certs = sk_X509_new_null()) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate chain");
    for (size_t i = 0; i < count && e == BH_OK; i++) {
        X509 *cert = NULL;
        e = bh_x509_der(bh_span(ders[i], lens[i]), &cert, diag);
        if (e == BH_OK && sk_X509_push(certs, cert) < 1) {
            X509_free(cert);
            e = bh_fail(diag, BH_ERR_NOMEM, "certificate chain");
        }
    }
    if (e == BH_OK)
        e = bh_peer_verify(
            trust, expectation, sk_X509_value(certs, 0), certs, BH_SIDE_SERVER, at, ret_peer, diag);
    else
        bh_name_check(diag, "certificate.malformed");
    sk_X509_pop_free(certs, X509_free);
    return e;
}

enum bh_result
bh_verify_chain(const struct bh_trust *trust, const struct bh_expectation *expectation,
    const unsigned char *const *ders, const size_t *lens, size_t count, int64_t at,
    struct bh_peer **ret_peer, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    struct bh_peer *peer = NULL;
    const enum bh_err e = verify_ders(trust, expectation, ders, lens, count, at, &peer, &diag);

    if (e == BH_OK && ret_peer != NULL)
        *ret_peer = peer;
    else
        bh_peer_free(peer);
    return bh_failure_set(failure, &diag, e);
}

/* ---- getters ---- */

const char *
bh_peer_workload(const struct bh_peer *peer)
{
    return peer->workload;
}

const char *
bh_peer_spiffe_id(const struct bh_peer *peer)
{
    return peer->spiffe_id;
}

const char *
bh_peer_platform(const struct bh_peer *peer)
{
    return peer->platform;
}

const char *
bh_peer_status(const struct bh_peer *peer)
{
    return bh_ear_status_name(peer->status);
}

const char *
bh_peer_measurement(const struct bh_peer *peer)
{
    return peer->measurement;
}

const char *
bh_peer_serial(const struct bh_peer *peer)
{
    return peer->serial;
}

const char *
bh_peer_issuer(const struct bh_peer *peer)
{
    return peer->issuer;
}

const char *
bh_peer_owner(const struct bh_peer *peer)
{
    return peer->ear.owner;
}

const char *
bh_peer_revocation(const struct bh_peer *peer)
{
    return peer->revocation_good ? "good" : "not checked";
}

bool
bh_peer_simulated(const struct bh_peer *peer)
{
    return peer->ear.simulated;
}

bool
bh_peer_debug(const struct bh_peer *peer)
{
    return peer->ear.debug;
}

int64_t
bh_peer_not_before(const struct bh_peer *peer)
{
    return peer->not_before;
}

int64_t
bh_peer_not_after(const struct bh_peer *peer)
{
    return peer->not_after;
}

const unsigned char *
bh_peer_context(const struct bh_peer *peer, size_t *ret_len)
{
    *ret_len = peer->ear.context_len;
    return peer->ear.context;
}

const char *
bh_peer_claim(const struct bh_peer *peer, const char *name)
{
    size_t at = 0;

    for (size_t s = 0; s < peer->ear.submods_len; s++)
        for (size_t i = 0; i < peer->ear.submods[s].claims_len; i++, at++)
            if (strcmp(peer->ear.submods[s].claims[i].name, name) == 0)
                return peer->claims[at];
    return NULL;
}
