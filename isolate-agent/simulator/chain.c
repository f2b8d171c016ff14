/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include "cert.h"

#include "core/x509.h"

#include <openssl/x509v3.h>

static const struct {
    const char *basic_constraints;
    const char *key_usage;
    bool identifiers; /* SKI and AKI: genuine leaves have none */
} shapes[] = {
    [AGENT_LEVEL_ROOT] = {"critical,CA:TRUE", "critical,digitalSignature,keyCertSign,cRLSign",
        true},
    [AGENT_LEVEL_REGION] = {"critical,CA:TRUE,pathlen:2",
        "critical,digitalSignature,keyCertSign,cRLSign", true},
    [AGENT_LEVEL_ZONE] = {"critical,CA:TRUE,pathlen:1",
        "critical,digitalSignature,keyCertSign,cRLSign", true},
    [AGENT_LEVEL_INSTANCE] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign", true},
    [AGENT_LEVEL_LEAF] = {"critical,CA:FALSE", "digitalSignature,nonRepudiation", false},
};

static bool
add_name(X509 *cert, const char *cn)
{
    const char *const parts[][2] = {
        {"C", "US"}, {"O", "Beachhead SIMULATED"}, {"OU", "SIMULATED"}, {"CN", cn}};

    return agent_cert_name(cert, parts, BH_COUNT(parts));
}

static bool
add_extensions(X509 *cert, X509 *issuer, enum agent_level level)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    return agent_cert_extension(
               cert, &ctx, NID_basic_constraints, shapes[level].basic_constraints) &&
           (!shapes[level].identifiers ||
               agent_cert_extension(cert, &ctx, NID_subject_key_identifier, "hash")) &&
           (!shapes[level].identifiers || level == AGENT_LEVEL_ROOT ||
               agent_cert_extension(cert, &ctx, NID_authority_key_identifier, "keyid:always")) &&
           agent_cert_extension(cert, &ctx, NID_key_usage, shapes[level].key_usage);
}

enum bh_err
agent_cert_make(const struct agent_cert_request *r, X509 **ret_cert, struct bh_diag *diag)
{
    X509 *cert = X509_new();
    X509 *issuer = r->issuer != NULL ? r->issuer : cert;
    char why[160];

    if (cert == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "certificate");
    if (X509_set_version(cert, 2) != 1 || !agent_cert_serial(cert, 16) || !add_name(cert, r->cn) ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)r->not_before) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)r->not_after) == NULL ||
        X509_set_pubkey(cert, r->key) != 1 || !add_extensions(cert, issuer, r->level) ||
        X509_sign(cert, r->issuer_key, EVP_sha384()) == 0) {
        X509_free(cert);
        return bh_fail(diag, BH_ERR_INTERNAL, "cannot make the certificate of %s: %s", r->cn,
            bh_openssl_why(why, sizeof(why)));
    }
    *ret_cert = cert;
    return BH_OK;
}
