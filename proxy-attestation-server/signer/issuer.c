/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of the issuing CA, read from its certificate with OpenSSL: once, at the start. */
#include "leaf.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#include <openssl/x509v3.h>

static enum bh_err
refuse(struct bh_diag *diag, const char *check, const char *expected, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, check, expected, found,
        "ca/issuing.crt is not an issuing CA of this deployment");

    bh_hint(diag, "restore the ca/ that `beachhead-server init` made for this server.json");
    return e;
}

static bool
says_simulated(X509_NAME *name)
{
    for (int at = -1;
         (at = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, at)) >= 0;) {
        const ASN1_STRING *ou = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        if (bh_span_is(
                bh_span(ASN1_STRING_get0_data(ou), (size_t)ASN1_STRING_length(ou)), "SIMULATED"))
            return true;
    }
    return false;
}

static bool
unix_time(const ASN1_TIME *time, int64_t *ret)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ret = timegm(&tm);
    return true;
}

static enum bh_err
read_names(
    X509 *issuing, const struct pas_config *config, struct pas_issuer *out, struct bh_diag *diag)
{
    int critical = 0;
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(issuing, NID_name_constraints, &critical, NULL);
    bool host = false, other = false;

    for (int i = 0; nc != NULL && i < sk_GENERAL_SUBTREE_num(nc->permittedSubtrees); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base;
        struct bh_span text;

        if (base->type != GEN_URI && base->type != GEN_DNS)
            continue;
        text = bh_span(ASN1_STRING_get0_data(base->d.ia5), (size_t)ASN1_STRING_length(base->d.ia5));
        if (base->type == GEN_URI && bh_span_is(text, config->trust_domain))
            host = true;
        else if (base->type == GEN_URI || !bh_is_dns_name(text) ||
                 out->permitted_len == BH_COUNT(out->permitted))
            other = true;
        else
            (void)snprintf(out->permitted[out->permitted_len++], sizeof(out->permitted[0]), "%.*s",
                (int)text.len, (const char *)text.ptr);
    }
    NAME_CONSTRAINTS_free(nc);
    if (critical != 1 || !host || other || out->permitted_len == 0)
        return refuse(diag, "issuing.name_constraints",
            "critical, permitting the trust domain as URI host, and DNS names", "others");
    return BH_OK;
}

static enum bh_err
read_profile(
    X509 *issuing, const struct pas_config *config, struct pas_issuer *out, struct bh_diag *diag)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuing);
    const uint32_t usage = X509_get_key_usage(issuing);

    if (X509_check_ca(issuing) != 1 || X509_get_pathlen(issuing) != 0)
        return refuse(diag, "issuing.basic_constraints", "CA true, pathLen 0", "others");
    if (usage == UINT32_MAX || (usage & KU_KEY_CERT_SIGN) == 0 ||
        (usage & KU_DIGITAL_SIGNATURE) == 0)
        return refuse(diag, "issuing.key_usage", "keyCertSign and digitalSignature", "others");
    if (id == NULL || ASN1_STRING_length(id) < 1 ||
        (size_t)ASN1_STRING_length(id) > sizeof(out->key_id))
        return refuse(diag, "issuing.key_id", "a subject key identifier", "none");
    out->key_id_len = (size_t)ASN1_STRING_length(id);
    memcpy(out->key_id, ASN1_STRING_get0_data(id), out->key_id_len);
    if (says_simulated(X509_get_subject_name(issuing)) != config->allow_simulated)
        return refuse(diag, "issuing.simulated",
            config->allow_simulated ? "OU=SIMULATED in the subject" : "no OU=SIMULATED",
            config->allow_simulated ? "none; simulation is allowed at init only" : "OU=SIMULATED");
    return BH_OK;
}

enum bh_err
pas_issuer_read(X509 *issuing, const struct pas_config *config, struct pas_issuer *ret_issuer,
    struct bh_diag *diag)
{
    X509_NAME *name = X509_get_subject_name(issuing);
    struct pas_issuer out = {.simulated = config->allow_simulated,
        .lifetime_max = config->certificate_lifetime_max + config->clock_skew,
        .clock_skew = config->clock_skew};
    const uint8_t *der = NULL;
    size_t len = 0;
    enum bh_err e;

    if (X509_NAME_get0_der(name, &der, &len) != 1 || len > sizeof(out.subject))
        return refuse(diag, "issuing.subject", "a name of at most 512 bytes", "a longer one");
    memcpy(out.subject, der, len);
    out.subject_len = len;
    if (!unix_time(X509_get0_notBefore(issuing), &out.not_before) ||
        !unix_time(X509_get0_notAfter(issuing), &out.not_after))
        return refuse(diag, "issuing.validity", "times", "something else");
    if ((e = read_profile(issuing, config, &out, diag)) != BH_OK ||
        (e = read_names(issuing, config, &out, diag)) != BH_OK)
        return e;
    (void)snprintf(out.trust_domain, sizeof(out.trust_domain), "%s", config->trust_domain);
    out.reserved_len = config->dns_len;
    memcpy(out.reserved, config->dns, sizeof(out.reserved));
    *ret_issuer = out;
    return BH_OK;
}
