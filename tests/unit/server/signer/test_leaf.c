/* SPDX-License-Identifier: Apache-2.0 */
/* The leaf certificate: what it looks like to independent readers, and what is not certified. */
#include "fixture.h"
#include "support/profile.h"

#include "beachhead/failure.h"
#include "beachhead/verify.h"
#include "core/cose.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* The whole way of a granted request, as the signer goes it. */
static size_t
make(struct fixture *f, uint8_t *out)
{
    struct pas_issuing *issuing = NULL;
    struct bh_diag diag = {0};
    uint8_t cwt[BH_EAR_MAX];
    size_t cwt_len = 0, len = 0;

    cr_assert_eq(pas_issuing_load(f->dir, &f->config, f->now, &issuing, &diag), BH_OK, "%s: %s",
        diag.check, diag.detail);
    cr_assert_eq(pas_leaf_check(&issuing->facts, &f->request, &f->ear, f->now, &diag), BH_OK,
        "%s: %s", diag.check, diag.detail);
    cr_assert_eq(
        bh_cose_sign(f->request.ear, issuing->key, true, cwt, sizeof(cwt), &cwt_len, NULL), BH_OK);
    cr_assert_eq(pas_leaf_make(&issuing->facts, &f->request, bh_span(cwt, cwt_len),
                     pas_issuing_sign, issuing, out, &len, &diag),
        BH_OK, "%s", diag.detail);
    pas_issuing_free(issuing);
    return len;
}

static X509 *
make_cert(struct fixture *f)
{
    static uint8_t der[PAS_LEAF_MAX];
    struct bh_diag diag = {0};
    X509 *cert = NULL;
    const size_t len = make(f, der);

    cr_assert_eq(bh_x509_der(bh_span(der, len), &cert, &diag), BH_OK, "%s", diag.detail);
    return cert;
}

Test(leaf, profile_holds_for_every_key_type)
{
    static const char *const types[] = {"P-256", "P-384", "Ed25519"};

    for (size_t i = 0; i < BH_COUNT(types); i++) {
        for (int simulated = 0; simulated < 2; simulated++) {
            struct fixture f;
            X509 *cert;

            fixture_init(&f, simulated == 1);
            fixture_key(&f, types[i]);
            fixture_encode(&f);
            cert = make_cert(&f);
            cr_assert_eq(bh_profile_violations(cert, f.ca.issuing, "fleet.example", stderr), 0,
                "%s", types[i]);
            X509_free(cert);
            fixture_clear(&f);
        }
    }
}

/* The judge itself: what it must notice. */
Test(leaf, judge_notices_other_certificates)
{
    struct fixture f, other;
    X509 *cert;

    fixture_init(&f, false);
    fixture_init(&other, false);
    cert = make_cert(&f);
    cr_assert_gt(bh_profile_violations(cert, f.ca.issuing, "other.example", NULL), 0);
    cr_assert_gt(bh_profile_violations(cert, other.ca.issuing, "fleet.example", NULL), 0);
    cr_assert_gt(bh_profile_violations(f.ca.server, f.ca.issuing, "fleet.example", NULL), 3);
    cr_assert_gt(bh_profile_violations(f.ca.issuing, f.ca.root, "fleet.example", NULL), 5);
    X509_free(cert);
    fixture_clear(&other);
    fixture_clear(&f);
}

Test(leaf, serial_and_time_edges)
{
    static const uint8_t serials[][16] = {
        {0, 0, 0, 0, 0, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8},
        {0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6},
        {0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6},
    };
    struct fixture f;

    fixture_init(&f, false);
    for (size_t i = 0; i < BH_COUNT(serials); i++) {
        BIGNUM *number;
        uint8_t back[16];
        X509 *cert;

        memcpy(f.request.serial, serials[i], 16);
        cert = make_cert(&f);
        number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
        cr_assert_eq(BN_bn2binpad(number, back, 16), 16);
        cr_assert_eq(memcmp(back, serials[i], 16), 0);
        cr_assert_eq(bh_profile_violations(cert, f.ca.issuing, "fleet.example", stderr), 0);
        BN_free(number);
        X509_free(cert);
    }
    fixture_clear(&f);
}

static enum bh_err
no_signature(void *arg, struct bh_span message, uint8_t *out, size_t *ret_len)
{
    (void)arg;
    (void)message;
    memcpy(out, "\x30\x06\x02\x01\x01\x02\x01\x01", 8);
    *ret_len = 8;
    return BH_OK;
}

Test(leaf, years_from_2050_are_generalized_times)
{
    struct pas_issuing *issuing = NULL;
    uint8_t out[PAS_LEAF_MAX];
    struct fixture f;
    X509 *cert = NULL;
    size_t len;
    struct tm tm;

    fixture_init(&f, false);
    cr_assert_eq(pas_issuing_load(f.dir, &f.config, f.now, &issuing, NULL), BH_OK);
    cr_assert_eq(bh_time_read("2049-12-31T23:59:59Z", &f.request.not_before), BH_OK);
    cr_assert_eq(bh_time_read("2050-01-01T00:00:00Z", &f.request.not_after), BH_OK);
    cr_assert_eq(pas_leaf_make(&issuing->facts, &f.request, bh_span_str("x"), no_signature, NULL,
                     out, &len, NULL),
        BH_OK);
    cr_assert_eq(bh_x509_der(bh_span(out, len), &cert, NULL), BH_OK);
    cr_assert_eq(ASN1_STRING_type(X509_get0_notBefore(cert)), V_ASN1_UTCTIME);
    cr_assert_eq(ASN1_STRING_type(X509_get0_notAfter(cert)), V_ASN1_GENERALIZEDTIME);
    cr_assert_eq(ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm), 1);
    cr_assert_eq(timegm(&tm), f.request.not_after);
    X509_free(cert);
    pas_issuing_free(issuing);
    fixture_clear(&f);
}

/* ---- what others say ---- */

static void
verify_with_openssl(const struct fixture *f, X509 *leaf, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509_VERIFY_PARAM *param;

    sk_X509_push(chain, f->ca.issuing);
    X509_STORE_add_cert(store, f->ca.root);
    cr_assert_eq(X509_STORE_CTX_init(ctx, store, leaf, chain), 1);
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    cr_assert_eq(X509_verify_cert(ctx), 1, "%s",
        X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_free(chain);
}

Test(leaf, openssl_accepts_strictly)
{
    struct fixture f;
    X509 *cert;

    fixture_init(&f, true);
    cert = make_cert(&f);
    verify_with_openssl(&f, cert, X509_PURPOSE_SSL_SERVER);
    verify_with_openssl(&f, cert, X509_PURPOSE_SSL_CLIENT);
    verify_with_openssl(&f, f.ca.server, X509_PURPOSE_SSL_SERVER);
    cr_assert_eq(X509_check_ip_asc(f.ca.server, "127.0.0.1", 0), 1);
    cr_assert_eq(X509_check_ip_asc(f.ca.server, "::1", 0), 1);
    cr_assert_eq(X509_check_host(f.ca.server, "attest.fleet.example", 0, 0, NULL), 1);
    cr_assert_eq(X509_check_host(cert, "payments.fleet.example", 0, 0, NULL), 1);
    X509_free(cert);
    fixture_clear(&f);
}

static void
verify_with_sdk(struct fixture *f, bool simulated)
{
    static uint8_t der[PAS_LEAF_MAX];
    const unsigned char *ders[2] = {der};
    size_t lens[2] = {make(f, der)};
    uint8_t *issuing = NULL;
    bh_failure *failure = bh_failure_new();
    bh_trust *trust = NULL;
    bh_expectation *expectation = NULL;
    bh_peer *peer = NULL;
    char path[512];

    cr_assert_eq(bh_x509_to_der(f->ca.issuing, &issuing, &lens[1]), BH_OK);
    ders[1] = issuing;
    (void)snprintf(path, sizeof(path), "%s/ca/root.crt", f->dir);
    cr_assert_eq(bh_trust_load(path, &trust, failure), BH_RESULT_OK);
    cr_assert_eq(bh_expectation_new("payments", &expectation, failure), BH_RESULT_OK);
    cr_assert_eq(bh_verify_chain(trust, expectation, ders, lens, 2, f->now, &peer, failure),
        BH_RESULT_OK, "%s", bh_failure_detail(failure));
    cr_assert_eq(bh_peer_simulated(peer), simulated);
    cr_assert_str_eq(bh_peer_claim(peer, "none") == NULL ? "" : "x", "");
    bh_peer_free(peer);
    bh_expectation_free(expectation);
    bh_trust_free(trust);
    bh_failure_free(failure);
    OPENSSL_free(issuing);
}

Test(leaf, the_sdk_accepts)
{
    struct fixture f;

    fixture_init(&f, false);
    verify_with_sdk(&f, false);
    fixture_clear(&f);
    fixture_init(&f, true);
    verify_with_sdk(&f, true);
    fixture_clear(&f);
}

/* ---- what is not certified ---- */

static void
refused(struct fixture *f, const char *check)
{
    struct pas_issuing *issuing = NULL;
    struct bh_diag diag = {0};

    cr_assert_eq(pas_issuing_load(f->dir, &f->config, f->now, &issuing, NULL), BH_OK);
    cr_assert_eq(pas_leaf_check(&issuing->facts, &f->request, &f->ear, f->now, &diag),
        BH_ERR_FORBIDDEN, "%s was not refused", check);
    cr_assert_str_eq(diag.check, check);
    cr_assert_neq(diag.detail[0], '\0');
    cr_assert_neq(diag.hint[0], '\0');
    pas_issuing_free(issuing);
}

Test(leaf, names_that_are_not_certified)
{
    static const char *const workloads[] = {
        "beachhead", "beachhead/server", "beachhead-x", "Payments", "", "a/b", "..", "pay ments"};
    static const char *const dns[] = {"payments.fleet.example.org", "evilfleet.example", "example",
        "*.fleet.example", "attest.fleet.example", "Payments.fleet.example", "10.0.0.7", ""};
    struct fixture f;

    fixture_init(&f, false);
    for (size_t i = 0; i < BH_COUNT(workloads); i++) {
        f.request.workload = bh_span_str(workloads[i]);
        (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "%s", workloads[i]);
        refused(&f, "certificate.workload");
    }
    f.request.workload = bh_span_str("payments");
    (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "payments");
    for (size_t i = 0; i < BH_COUNT(dns); i++) {
        f.request.dns[0] = bh_span_str(dns[i]);
        refused(&f, "certificate.dns");
    }
    f.request.dns[0] = bh_span_str("fleet.example");
    f.request.dns_len = PAS_LEAF_DNS_MAX + 1;
    refused(&f, "certificate.dns");
    fixture_clear(&f);
}

Test(leaf, lifetimes_that_are_not_certified)
{
    struct fixture f;

    fixture_init(&f, false);
    f.request.not_after = f.request.not_before;
    refused(&f, "certificate.validity");
    f.request.not_after =
        f.request.not_before + f.config.certificate_lifetime_max + f.config.clock_skew + 1;
    refused(&f, "certificate.lifetime");
    f.request.not_before = f.now - 2 * PAS_CA_BACKDATE;
    f.request.not_after = f.now + 60;
    refused(&f, "certificate.validity");
    /* Not yet, or not any more: a certificate is made for the present. */
    f.request.not_before = f.now + f.config.clock_skew + 1;
    f.request.not_after = f.request.not_before + 3600;
    refused(&f, "certificate.validity");
    f.request.not_before = f.now - 60;
    f.request.not_after = f.now;
    refused(&f, "certificate.validity");
    f.request.not_before = f.now + INT64_C(86400) * PAS_ISSUING_DAYS - 60;
    f.request.not_after = f.request.not_before + 61;
    refused(&f, "certificate.validity");
    fixture_clear(&f);
}

Test(leaf, keys_and_serials_that_are_not_certified)
{
    struct fixture f;
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    uint8_t spki[BH_SPKI_MAX];
    size_t len;

    fixture_init(&f, false);
    cr_assert_eq(bh_spki_encode(rsa, spki, sizeof(spki), &len, NULL), BH_OK);
    f.request.spki = bh_span(spki, len);
    refused(&f, "certificate.key");
    fixture_key(&f, "P-521");
    refused(&f, "certificate.key");
    fixture_key(&f, "P-256");
    memset(f.request.serial, 0, sizeof(f.request.serial));
    refused(&f, "certificate.serial");
    EVP_PKEY_free(rsa);
    fixture_clear(&f);
}

Test(leaf, results_of_something_else)
{
    struct fixture f;

    fixture_init(&f, false);
    f.ear.spki[f.ear.spki_len - 1] ^= 1;
    refused(&f, "ear.key");
    f.ear.spki[f.ear.spki_len - 1] ^= 1;
    (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "payment");
    refused(&f, "ear.workload");
    (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "payments");
    f.ear.exp = f.request.not_after + 1;
    refused(&f, "ear.validity");
    f.ear.exp = f.request.not_after;
    f.ear.iat = f.request.not_before - 1;
    refused(&f, "ear.validity");
    f.ear.iat = f.now;
    f.ear.simulated = true;
    refused(&f, "ear.simulated");
    f.ear.simulated = false;
    f.ear.submods[0].status = BH_EAR_CONTRAINDICATED;
    refused(&f, "ear.status");
    fixture_clear(&f);
}
