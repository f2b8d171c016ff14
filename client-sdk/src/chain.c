/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate chain of a peer (RFC 5280) and the profile of its leaf (X.509-SVID,
 * architecture.md). */
#include "src/internal.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

#define SPIFFE_SCHEME "spiffe://"

static const char *
check_of(int x509_error)
{
    switch (x509_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "certificate.validity";
    case X509_V_ERR_CERT_REVOKED:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
        return "certificate.revocation";
    default:
        return "certificate.chain";
    }
}

static const char *
hint_of(int x509_error)
{
    switch (x509_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the peer has to renew; compare the clocks of both sides";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "compare the clocks of both sides";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "the chain does not lead to the trusted root: is it the root of this deployment?";
    case X509_V_ERR_CERT_REVOKED:
        return "do not talk to this isolate; ask who runs it to enrol again";
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return "fetch the issuing CA's current revocation list";
    default:
        return "take the chain apart with: beachhead inspect FILE";
    }
}

static enum bh_err
refuse_chain(X509_STORE_CTX *ctx, int64_t at, struct bh_diag *diag)
{
    const int err = X509_STORE_CTX_get_error(ctx);
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    char subject[128] = "the leaf", when[BH_TIME_MAX], expected[BH_VALUE_MAX];

    if (err == X509_V_ERR_OUT_OF_MEM)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate chain");
    if (cert != NULL)
        (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, (int)sizeof(subject));
    (void)snprintf(expected, sizeof(expected), "a chain to the trusted root, valid at %s",
        bh_time_text(at, when));
    const enum bh_err e = bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, check_of(err), expected,
        err == X509_V_ERR_CERT_REVOKED ? "revoked" : X509_verify_cert_error_string(err),
        "certificate %d of the chain, %s (RFC 5280, 6)", X509_STORE_CTX_get_error_depth(ctx),
        subject);
    bh_hint(diag, "%s", hint_of(err));
    return e;
}

/* The demands beyond the defaults; the names of servers are none of them. */
static bool
set_demands(X509_STORE_CTX *ctx, enum bh_side side, int64_t at)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    const int purpose = side == BH_SIDE_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;

    X509_VERIFY_PARAM_set_time(param, (time_t)at);
    X509_VERIFY_PARAM_set_depth(param, 4);
    X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: no RSA-1024, no SHA-1 */
    return X509_VERIFY_PARAM_set_purpose(param, purpose) == 1 &&
           X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT) == 1;
}

static bool
set_crl(X509_STORE_CTX *ctx, X509_CRL *crl, STACK_OF(X509_CRL) * list)
{
    if (crl == NULL)
        return true;
    if (list == NULL || sk_X509_CRL_push(list, crl) < 1)
        return false;
    X509_STORE_CTX_set0_crls(ctx, list);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK);
    return true;
}

static const struct bh_root *
find_root(const struct bh_trust *trust, const X509 *cert)
{
    for (size_t i = 0; i < trust->len; i++)
        if (X509_cmp(trust->roots[i].cert, cert) == 0)
            return &trust->roots[i];
    return NULL;
}

static enum bh_err
read_chain(const struct bh_trust *trust, X509_STORE_CTX *ctx, struct bh_chain *ret_chain,
    struct bh_diag *diag)
{
    STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(ctx);
    const int count = sk_X509_num(built);
    const struct bh_root *root = find_root(trust, sk_X509_value(built, count - 1));

    if (count < 2 || root == NULL) {
        const enum bh_err e = bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "certificate.chain",
            "a leaf below a trusted root", "the root itself", "nobody serves with a root");
        bh_hint(diag, "the peer serves the wrong certificate");
        return e;
    }
    ret_chain->leaf = sk_X509_value(built, 0);
    ret_chain->issuer = sk_X509_value(built, 1);
    ret_chain->root = root;
    return BH_OK;
}

enum bh_err
bh_chain_verify(const struct bh_trust *trust, const struct bh_expectation *expectation, X509 *leaf,
    STACK_OF(X509) * untrusted, enum bh_side side, int64_t at, X509_STORE_CTX **ret_ctx,
    struct bh_chain *ret_chain, struct bh_diag *diag)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
    enum bh_err e;

    if (ctx == NULL || X509_STORE_CTX_init(ctx, trust->store, leaf, untrusted) != 1 ||
        !set_demands(ctx, side, at) || !set_crl(ctx, expectation->crl, crls)) {
        e = bh_fail(diag, BH_ERR_NOMEM, "certificate chain");
        goto out;
    }
    if (X509_verify_cert(ctx) != 1) {
        e = refuse_chain(ctx, at, diag);
        goto out;
    }
    if ((e = read_chain(trust, ctx, ret_chain, diag)) != BH_OK)
        goto out;
    *ret_ctx = ctx;
    ctx = NULL;
out:
    /* The list is not used any more once X509_verify_cert() is through. */
    X509_STORE_CTX_free(ctx);
    sk_X509_CRL_free(crls);
    return e;
}

/* ---- the leaf ---- */

static enum bh_err
refuse_leaf(struct bh_diag *diag, const char *check, const char *expected, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, check, expected, found,
        "the leaf is not of the profile of Beachhead's certificates (X.509-SVID, 3 to 5)");
    bh_hint(diag, "the peer serves a certificate of another kind than beachhead-server issues");
    return e;
}

static enum bh_err
check_usage(X509 *leaf, enum bh_side side, struct bh_diag *diag)
{
    const uint32_t usage = X509_get_key_usage(leaf); /* all bits where absent */
    const uint32_t extended = X509_get_extended_key_usage(leaf);
    const uint32_t wanted = side == BH_SIDE_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;

    if (X509_check_ca(leaf) != 0)
        return refuse_leaf(diag, "certificate.ca", "no CA certificate", "a CA certificate");
    if (usage == UINT32_MAX || usage != KU_DIGITAL_SIGNATURE)
        return refuse_leaf(diag, "certificate.key_usage", "digitalSignature alone",
            usage == UINT32_MAX ? "none" : "other usages");
    if (extended == UINT32_MAX || (extended & wanted) == 0)
        return refuse_leaf(diag, "certificate.extended_key_usage",
            side == BH_SIDE_SERVER ? "serverAuth" : "clientAuth",
            extended == UINT32_MAX ? "none" : "other usages");
    return BH_OK;
}

/* The one URI name, or an empty span when there is none or more than one. */
static struct bh_span
one_uri(const GENERAL_NAMES *names)
{
    struct bh_span uri = bh_span_none();
    size_t uris = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        uri = bh_span(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
            (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
        uris++;
    }
    return uris == 1 ? uri : bh_span_none();
}

static enum bh_err
read_spiffe_id(struct bh_span uri, const char *domain, struct bh_peer *peer, struct bh_diag *diag)
{
    char prefix[sizeof(SPIFFE_SCHEME) + BH_TRUST_DOMAIN_MAX + 1], expected[BH_VALUE_MAX];
    char found[BH_VALUE_MAX];

    const int n = snprintf(prefix, sizeof(prefix), SPIFFE_SCHEME "%s/", domain);
    const size_t len = (size_t)n;
    (void)snprintf(expected, sizeof(expected), "exactly one URI name, %.120s<workload>", prefix);
    if (uri.len == 0)
        return refuse_leaf(diag, "certificate.spiffe_id", expected, "none, or several");
    (void)snprintf(
        found, sizeof(found), "%.*s", (int)(uri.len < 190 ? uri.len : 190), (const char *)uri.ptr);
    if (uri.len <= len || memcmp(uri.ptr, prefix, len) != 0 ||
        !bh_is_workload(bh_span(uri.ptr + len, uri.len - len)))
        return refuse_leaf(diag, "certificate.spiffe_id", expected, found);
    memcpy(peer->workload, uri.ptr + len, uri.len - len);
    memcpy(peer->spiffe_id, uri.ptr, uri.len);
    return BH_OK;
}

static enum bh_err
describe(const struct bh_chain *chain, struct bh_peer *peer, struct bh_diag *diag)
{
    struct tm tm;
    BIO *bio = BIO_new(BIO_s_mem());
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(chain->leaf), NULL);
    uint8_t bytes[32];
    enum bh_err e = BH_OK;

    if (bio == NULL || serial == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "certificate");
        goto out;
    }
    /* 32 digits, as the server prints it; RFC 5280 permits 20 bytes. */
    const int need = BN_num_bytes(serial) <= 16 ? 16 : BN_num_bytes(serial);
    if (need > (int)sizeof(bytes) || BN_bn2binpad(serial, bytes, need) != need ||
        ASN1_TIME_to_tm(X509_get0_notBefore(chain->leaf), &tm) != 1) {
        e = refuse_leaf(diag, "certificate.serial", "at most 20 bytes", "more");
        goto out;
    }
    bh_hex(bh_span(bytes, (size_t)need), peer->serial, sizeof(peer->serial));
    peer->not_before = timegm(&tm);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(chain->leaf), &tm) != 1) {
        e = refuse_leaf(diag, "certificate.validity", "a time", "something else");
        goto out;
    }
    peer->not_after = timegm(&tm);
    (void)X509_NAME_print_ex(bio, X509_get_subject_name(chain->issuer), 0, XN_FLAG_RFC2253);
    const int n = BIO_read(bio, peer->issuer, (int)sizeof(peer->issuer) - 1);
    peer->issuer[n > 0 ? n : 0] = '\0';
out:
    BN_free(serial);
    BIO_free(bio);
    return e;
}

enum bh_err
bh_leaf_check(
    const struct bh_chain *chain, enum bh_side side, struct bh_peer *peer, struct bh_diag *diag)
{
    GENERAL_NAMES *names = NULL;
    enum bh_err e;

    if ((e = check_usage(chain->leaf, side, diag)) != BH_OK)
        return e;
    names = X509_get_ext_d2i(chain->leaf, NID_subject_alt_name, NULL, NULL);
    e = read_spiffe_id(
        names == NULL ? bh_span_none() : one_uri(names), chain->root->domain, peer, diag);
    GENERAL_NAMES_free(names);
    return e == BH_OK ? describe(chain, peer, diag) : e;
}
