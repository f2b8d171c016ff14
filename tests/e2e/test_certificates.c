/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of a running server: the profile on every one of them, and what an enrolment may
 * not get into one. */
#include "csr.h"
#include "shared.h"

#include "core/cmw.h"
#include "core/ear.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/profile.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define SKEW 60 /* clock_skew of server.json */
#define DAY 86400
#define SLOW 5 /* what a request may take */

static int64_t
seconds(const ASN1_TIME *time)
{
    struct tm tm;

    cr_assert_eq(ASN1_TIME_to_tm(time, &tm), 1);
    return (int64_t)timegm(&tm);
}

static void
serial_of(const X509 *leaf, uint8_t out[16])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
    const int len = ASN1_STRING_length(serial);

    cr_assert_leq(len, 16);
    memset(out, 0, 16);
    memcpy(out + 16 - len, ASN1_STRING_get0_data(serial), (size_t)len);
}

static void
assert_validity(const X509 *leaf, int64_t asked, int64_t lifetime)
{
    const int64_t from = seconds(X509_get0_notBefore(leaf));
    const int64_t to = seconds(X509_get0_notAfter(leaf));

    cr_assert_geq(from, asked - SKEW);
    cr_assert_leq(from, asked + SLOW - SKEW);
    cr_assert_geq(to, asked + lifetime);
    cr_assert_leq(to, asked + lifetime + SLOW);
}

/* Exactly these DNS names, in this order. */
static void
assert_dns(X509 *leaf, const char *const *names)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    size_t found = 0, wanted = 0;

    cr_assert_not_null(all);
    while (names[wanted] != NULL)
        wanted++;
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        if (name->type == GEN_URI)
            continue;
        cr_assert_eq(name->type, GEN_DNS);
        cr_assert_lt(found, wanted);
        cr_assert(bh_span_is(bh_span(ASN1_STRING_get0_data(name->d.dNSName),
                                 (size_t)ASN1_STRING_length(name->d.dNSName)),
            names[found]));
        found++;
    }
    cr_assert_eq(found, wanted, "%zu DNS names, expected %zu", found, wanted);
    GENERAL_NAMES_free(all);
}

/* The profile, the chain to the root, the key, and what the reply says of it. */
static void
assert_certificate(const struct client *c, const struct reply *r, int64_t asked, int64_t lifetime,
    const char *const *dns)
{
    const struct bh_span roots = shared_roots();
    X509 *leaf = NULL, *issuer = NULL, *root[4] = {NULL};
    char text[64], *violations = NULL;
    struct bh_diag diag = {0};
    uint8_t spki[BH_SPKI_MAX], serial[16];
    size_t len = 0, count = 0;
    FILE *out = open_memstream(&violations, &len);

    reply_chain(r, &leaf, &issuer);
    const size_t violated = bh_profile_violations(leaf, issuer, DOMAIN, out);
    (void)fclose(out);
    cr_assert_eq(violated, 0, "%s", violations);
    free(violations);
    cr_assert_eq(bh_x509_pem(roots, root, 4, &count, &diag), BH_OK);
    cr_assert_eq(
        bh_x509_verify(leaf, &issuer, 1, root, count, asked, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_x509_spki(leaf, spki, sizeof(spki), &len, &diag), BH_OK);
    cr_assert(bh_span_equal(bh_span(spki, len), bh_span(c->spki, c->spki_len)));
    assert_validity(leaf, asked, lifetime);
    assert_dns(leaf, dns);
    serial_of(leaf, serial);
    cr_assert_str_eq(
        reply_string(r, "serial"), bh_hex(bh_span(serial, 16), text, sizeof(text)), "%s", r->text);
    cr_assert_str_eq(
        reply_string(r, "not_before"), bh_time_text(seconds(X509_get0_notBefore(leaf)), text));
    cr_assert_str_eq(
        reply_string(r, "not_after"), bh_time_text(seconds(X509_get0_notAfter(leaf)), text));
    X509_free(leaf);
    X509_free(issuer);
    for (size_t i = 0; i < count; i++)
        X509_free(root[i]);
    free((void *)(uintptr_t)roots.ptr);
}

/* ---- the reply, and the EAR in reply and certificate ---- */

static void
read_ear_of(X509 *leaf, X509 *issuer, const char *sent, struct bh_ear *ret_ear)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(BH_OID_PE_CMW, 1);
    const int at = X509_get_ext_by_OBJ(leaf, oid, -1);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(leaf, at));
    struct bh_span json, cbor;
    struct bh_diag diag = {0};
    struct bh_cmw cmw;
    uint8_t cwt[BH_EAR_MAX];
    size_t len = 0;

    cr_assert_eq(
        bh_cmw_ext_decode(bh_span(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)),
            &json, &cbor, &diag),
        BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_cmw_from_cbor(cbor, &cmw, &diag), BH_OK, "%s", diag.detail);
    cr_assert_str_eq(cmw.records[0].type, BH_EAR_CWT_TYPE);
    /* The one of the reply is the one of the certificate. */
    cr_assert_eq(bh_unbase64url(bh_span_str(sent), cwt, sizeof(cwt), &len), BH_OK);
    cr_assert(bh_span_equal(cmw.records[0].value, bh_span(cwt, len)));
    cr_assert_eq(bh_ear_verify(cmw.records[0].value, X509_get0_pubkey(issuer), ret_ear, &diag),
        BH_OK, "%s", diag.detail);
    bh_cmw_clear(&cmw);
    ASN1_OBJECT_free(oid);
}

static void
assert_ear(
    const struct client *c, const struct reply *r, const char *platform, struct bh_span context)
{
    X509 *leaf = NULL, *issuer = NULL;
    struct bh_ear ear;

    reply_chain(r, &leaf, &issuer);
    read_ear_of(leaf, issuer, reply_string(r, "ear"), &ear);
    cr_assert_eq(ear.submods_len, 1);
    cr_assert_str_eq(ear.submods[0].platform, platform);
    cr_assert_eq(ear.submods[0].status, BH_EAR_WARNING);
    cr_assert_eq(ear.submods[0].trust[BH_TRUST_HARDWARE], 0);
    cr_assert_gt(ear.submods[0].claims_len, 0);
    cr_assert(bh_span_equal(bh_span(ear.spki, ear.spki_len), bh_span(c->spki, c->spki_len)));
    cr_assert_str_eq(ear.workload, "w");
    cr_assert(ear.simulated);
    cr_assert_not(ear.debug);
    cr_assert(bh_span_equal(bh_span(ear.context, ear.context_len), context));
    cr_assert_eq(ear.nonce_len, 0);
    cr_assert_leq(ear.exp, seconds(X509_get0_notAfter(leaf)));
    X509_free(leaf);
    X509_free(issuer);
}

static void
assert_reply(const struct reply *r, const char *platform)
{
    static const char *const members[] = {"certificate", "serial", "not_before", "not_after",
        "workload", "platform", "spiffe_id", "simulated", "status", "ear"};

    cr_assert_eq(r->status, 201, "%s", r->text);
    cr_assert_str_eq(r->type, "application/json");
    cr_assert_eq(json_object_size(r->json), BH_COUNT(members), "%s", r->text);
    for (size_t i = 0; i < BH_COUNT(members); i++)
        cr_assert_not_null(json_object_get(r->json, members[i]), "%s", members[i]);
    cr_assert_eq(strlen(reply_string(r, "serial")), 32);
    cr_assert_str_eq(reply_string(r, "workload"), "w");
    cr_assert_str_eq(reply_string(r, "platform"), platform);
    cr_assert_str_eq(reply_string(r, "spiffe_id"), "spiffe://" DOMAIN "/w");
    cr_assert_str_eq(reply_string(r, "status"), "warning");
    cr_assert(json_is_true(json_object_get(r->json, "simulated")));
}

static void
enrol_on(const char *platform, const char *key)
{
    static const char *const dns[] = {"w." DOMAIN, NULL};
    const struct enrolment plain = {0};
    const struct enrolment committed = {.context = {(const uint8_t *)"configuration", 13}};
    const int64_t now = bh_time_now();
    struct client c;
    struct reply r;

    shared_client(&c, platform);
    client_rekey(&c, key);
    client_enrol(&c, &plain, &r);
    assert_reply(&r, platform);
    assert_certificate(&c, &r, now, DAY, dns);
    assert_ear(&c, &r, platform, bh_span_none());
    reply_clear(&r);
    client_enrol(&c, &committed, &r);
    assert_reply(&r, platform);
    assert_ear(&c, &r, platform, committed.context);
    reply_clear(&r);
    client_close(&c);
}

Test(certificate, nitro)
{
    enrol_on("aws-nitro", "P-256");
    enrol_on("aws-nitro", "P-384");
    enrol_on("aws-nitro", "Ed25519");
}

Test(certificate, nitrotpm)
{
    enrol_on("aws-nitrotpm", "P-256");
}

Test(certificate, tpm2)
{
    enrol_on("tpm2", "P-256");
}

Test(certificate, cca)
{
    enrol_on("arm-cca", "P-256");
    enrol_on("arm-cca", "Ed25519");
}

Test(certificate, psa)
{
    enrol_on("psa", "P-256");
    enrol_on("psa", "P-384");
}

/* ---- policy decides, the request does not ---- */

Test(certificate, lifetime_and_names_are_the_policys)
{
    static const char *const dns[] = {"p384." DOMAIN, "also.p384." DOMAIN, NULL};
    const struct enrolment how = {.workload = W_P384};
    const int64_t now = bh_time_now();
    struct client c;
    struct reply r;

    shared_client(&c, "psa");
    client_rekey(&c, "P-384");
    client_enrol(&c, &how, &r);
    assert_certificate(&c, &r, now, INT64_C(15) * 60, dns);
    cr_assert_str_eq(reply_string(&r, "spiffe_id"), "spiffe://" DOMAIN "/" W_P384);
    reply_clear(&r);
    client_close(&c);
}

Test(certificate, pinned_context)
{
    const struct enrolment how = {.workload = W_CONTEXT,
        .context = {(const uint8_t *)PINNED_CONTEXT, sizeof(PINNED_CONTEXT) - 1}};
    struct client c;
    struct reply r;

    shared_client(&c, "psa");
    client_enrol(&c, &how, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
    client_close(&c);
}

/* Mistake 3: subject, names and extensions of the request in the certificate. */
Test(certificate, nothing_is_copied_from_the_request)
{
    static const char *const dns[] = {"w." DOMAIN, NULL};
    static const char *const greed[] = {"greedy", "\x0a\x00\x00\x07", "beachhead/server"};
    struct enrolment how = {0};
    const int64_t now = bh_time_now();
    X509 *leaf = NULL, *issuer = NULL;
    struct bh_span der = bh_span_none();
    uint8_t *bytes = NULL;
    struct client c;
    struct reply r;
    char *csr;

    shared_client(&c, "psa");
    csr = csr_greedy(c.key);
    how.csr = csr;
    client_enrol(&c, &how, &r);
    assert_certificate(&c, &r, now, DAY, dns);
    reply_chain(&r, &leaf, &issuer);
    cr_assert_eq(bh_x509_to_der(leaf, &bytes, &der.len), BH_OK);
    for (size_t i = 0; i < BH_COUNT(greed); i++)
        cr_assert_null(memmem(bytes, der.len, greed[i], i == 1 ? 4 : strlen(greed[i])));
    cr_assert_eq(X509_get_extension_flags(leaf) & EXFLAG_CA, 0);
    cr_assert_eq(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    OPENSSL_free(bytes);
    X509_free(leaf);
    X509_free(issuer);
    reply_clear(&r);
    free(csr);
    client_close(&c);
}

/* ---- the CA's own certificates ---- */

static X509 *
read_ca(const char *name)
{
    char path[400];
    FILE *f;

    cr_assert_eq(bh_path_join(path, sizeof(path), shared_home(), name), BH_OK);
    cr_assert_not_null(f = fopen(path, "re"));
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    cr_assert_not_null(cert);
    return cert;
}

static void
assert_constrained(X509 *cert)
{
    int critical = 0;
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(cert, NID_name_constraints, &critical, NULL);

    cr_assert_not_null(nc);
    cr_assert_eq(critical, 1);
    cr_assert_eq(sk_GENERAL_SUBTREE_num(nc->excludedSubtrees), -1);
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(nc->permittedSubtrees); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base;

        cr_assert(base->type == GEN_URI || base->type == GEN_DNS);
    }
    NAME_CONSTRAINTS_free(nc);
}

static void
assert_ca(X509 *cert, const char *key, long path_len)
{
    int critical = 0;
    BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(cert, NID_basic_constraints, &critical, NULL);

    cr_assert(bc != NULL && bc->ca != 0 && critical == 1);
    cr_assert_eq(bc->pathlen != NULL ? ASN1_INTEGER_get(bc->pathlen) : -1, path_len);
    BASIC_CONSTRAINTS_free(bc);
    cr_assert_str_eq(bh_key_name(X509_get0_pubkey(cert)), key);
    cr_assert_eq(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN, KU_KEY_CERT_SIGN);
    cr_assert_eq(X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1), -1);
    assert_constrained(cert);
}

Test(certificate, of_the_ca_and_the_server)
{
    X509 *root = read_ca("ca/root.crt"), *issuing = read_ca("ca/issuing.crt");
    X509 *server = read_ca("tls/server.crt");

    assert_ca(root, "P-384", -1);
    assert_ca(issuing, "P-256", 0);
    cr_assert_eq(
        X509_get_key_usage(issuing), KU_KEY_CERT_SIGN | KU_CRL_SIGN | KU_DIGITAL_SIGNATURE);
    cr_assert_eq(X509_get_extension_flags(server) & EXFLAG_CA, 0);
    cr_assert_eq(X509_check_host(server, "attest." DOMAIN, 0, 0, NULL), 1);
    cr_assert_eq(X509_check_ip_asc(server, "127.0.0.1", 0), 1);
    cr_assert_eq(X509_check_ip_asc(server, "::1", 0), 1);
    X509_free(root);
    X509_free(issuing);
    X509_free(server);
}

/* ---- many ---- */

#define MANY 200

static int
by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* Serials of 128 random bits: none twice, and no bit that hardly ever changes. */
static void
assert_random(uint8_t serials[MANY][16])
{
    for (size_t bit = 0; bit < 128; bit++) {
        int ones = 0;

        for (size_t i = 0; i < MANY; i++)
            ones += serials[i][bit / 8] >> (bit % 8) & 1;
        /* The top bit may be kept clear, as in DER of a positive number of 16 octets. */
        if (bit != 7)
            cr_assert(ones > MANY / 5 && ones < MANY * 4 / 5, "bit %zu: %d of %d", bit, ones, MANY);
    }
    qsort(serials, MANY, 16, by_bytes);
    for (size_t i = 1; i < MANY; i++)
        cr_assert_neq(memcmp(serials[i - 1], serials[i], 16), 0, "a serial twice");
}

Test(certificate, many)
{
    static const char *const dns[] = {"w." DOMAIN, NULL};
    static const char *const platforms[] = {"psa", "aws-nitro", "arm-cca"};
    const struct enrolment how = {0};
    uint8_t serials[MANY][16];
    X509 *leaf, *issuer;
    struct client c;
    struct reply r;

    for (size_t p = 0, i = 0; p < BH_COUNT(platforms); p++) {
        shared_client(&c, platforms[p]);
        for (; i < MANY * (p + 1) / BH_COUNT(platforms); i++) {
            client_enrol(&c, &how, &r);
            assert_certificate(&c, &r, bh_time_now() - 1, DAY, dns);
            reply_chain(&r, &leaf, &issuer);
            serial_of(leaf, serials[i]);
            X509_free(leaf);
            X509_free(issuer);
            reply_clear(&r);
        }
        client_close(&c);
    }
    assert_random(serials);
}
