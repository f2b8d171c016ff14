/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate reader against OpenSSL's, what it refuses, and the cache of verified paths. */
#include "nitro_forge.h"

#include "evidence/cert.h"
#include "evidence/chain_cache.h"
#include "evidence/vendor_roots.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"

#include <criterion/criterion.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(cert, .timeout = 60);
TestSuite(chain_cache, .timeout = 60);

static struct bh_span
der_of(const struct forge_chain *chain, size_t i)
{
    return bh_span(chain->der[i], chain->der_len[i]);
}

/* Every field that the reader finds is what OpenSSL finds. */
static void
same_as_openssl(const struct ev_cert *c, X509 *x)
{
    uint8_t spki[BH_SPKI_MAX];
    uint8_t *name = NULL;
    struct tm tm;
    size_t len;
    int n;

    cr_assert_eq(bh_x509_spki(x, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert(bh_span_equal(c->spki, bh_span(spki, len)));
    n = i2d_X509_NAME(X509_get_subject_name(x), &name);
    cr_assert(n > 0 && bh_span_equal(c->subject, bh_span(name, (size_t)n)));
    OPENSSL_free(name);
    name = NULL;
    n = i2d_X509_NAME(X509_get_issuer_name(x), &name);
    cr_assert(n > 0 && bh_span_equal(c->issuer, bh_span(name, (size_t)n)));
    OPENSSL_free(name);
    cr_assert(ASN1_TIME_to_tm(X509_get0_notBefore(x), &tm) == 1 && timegm(&tm) == c->not_before);
    cr_assert(ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 && timegm(&tm) == c->not_after);
    cr_assert_eq(c->ca, X509_check_ca(x) == 1);
    cr_assert_eq(X509_get_pathlen(x), c->path_len == EV_CERT_NO_PATH_LEN ? -1 : (long)c->path_len);
    cr_assert_eq(c->has_key_usage, (X509_get_extension_flags(x) & EXFLAG_KUSAGE) != 0);
    if (c->has_key_usage)
        cr_assert_eq(c->key_usage, X509_get_key_usage(x) & 0xff);
}

Test(cert, fields)
{
    struct forge_cert_plan plan[FORGE_CERTS];
    struct forge_chain chain;
    struct ev_cert c;

    forge_plan(plan, "Test root");
    /* UTCTime and GeneralizedTime, and the edge between them. */
    plan[0].not_before = 0;
    plan[0].not_after = INT64_C(2524607999); /* 2049-12-31T23:59:59Z */
    plan[1].not_after = INT64_C(2524608000);
    plan[2].not_after = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */
    plan[3].extra = "subjectKeyIdentifier";
    plan[3].extra_value = "00112233";
    forge_chain_make(&chain, plan);
    for (size_t i = 0; i < FORGE_CERTS; i++) {
        struct bh_diag diag = {0};

        cr_assert_eq(ev_cert_read(der_of(&chain, i), &c, &diag), BH_OK, "%s", diag.detail);
        same_as_openssl(&c, chain.certs[i]);
        cr_assert(bh_span_is(c.common_name, plan[i].cn));
        cr_assert(ev_cert_is_es384(&c));
        cr_assert(ev_cert_verify_es384(&c, chain.keys[i > 0 ? i - 1 : 0]));
        cr_assert_not(ev_cert_verify_es384(&c, chain.keys[(i + 1) % FORGE_CERTS]));
    }
    forge_chain_clear(&chain);
}

static void
unreadable(struct bh_span der, const char *why)
{
    struct bh_diag diag = {0};
    struct ev_cert c;

    cr_assert_eq(ev_cert_read(der, &c, &diag), BH_ERR_MALFORMED);
    cr_assert(strstr(diag.detail, why) != NULL, "%s, expected %s", diag.detail, why);
}

Test(cert, refusals)
{
    struct forge_cert_plan plan[FORGE_CERTS];
    struct forge_chain chain;
    uint8_t longer[1100];

    forge_chain_right(&chain, "Test root");
    memcpy(longer, chain.der[FORGE_LEAF], chain.der_len[FORGE_LEAF]);
    longer[chain.der_len[FORGE_LEAF]] = 0;
    unreadable(bh_span(longer, chain.der_len[FORGE_LEAF] + 1), "fills its bytes");
    unreadable(bh_span(longer, chain.der_len[FORGE_LEAF] - 1), "fills its bytes");
    unreadable(bh_span_none(), "fills its bytes");
    forge_chain_clear(&chain);

    forge_plan(plan, "Test root");
    plan[1].extra = "nameConstraints";
    plan[1].extra_value = "critical,permitted;DNS:example";
    plan[2].extra = "1.2.3.4";
    plan[2].extra_value = "critical,DER:0500";
    plan[3].extra = "1.2.3.4";
    plan[3].extra_value = "DER:0500";
    forge_chain_make(&chain, plan);
    unreadable(der_of(&chain, 1), "critical extension");
    unreadable(der_of(&chain, 2), "critical extension");
    cr_assert_eq(ev_cert_read(der_of(&chain, 3), &(struct ev_cert){0}, NULL), BH_OK);
    forge_chain_clear(&chain);

    forge_plan(plan, "Test root");
    plan[1].extra = "keyUsage"; /* a second one, which allows what the first does not */
    plan[1].extra_value = "nonRepudiation";
    forge_chain_make(&chain, plan);
    unreadable(der_of(&chain, 1), "stands twice");
    forge_chain_clear(&chain);
}

static bool
read_mutant(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    const struct forge_chain *chain = arg;
    struct bh_diag diag = {0};
    struct ev_cert c;

    if (ev_cert_read(mutant, &c, &diag) != BH_OK) {
        cr_assert_eq(diag.err, BH_ERR_MALFORMED, "byte %zu %s", at, how);
        return true;
    }
    cr_assert_not(ev_cert_verify_es384(&c, chain->keys[FORGE_LEAF - 1]), "byte %zu %s", at, how);
    return true;
}

Test(cert, mutants)
{
    struct forge_chain chain;

    forge_chain_right(&chain, "Test root");
    cr_assert_gt(
        bh_mutate(der_of(&chain, FORGE_LEAF), 0, chain.der_len[FORGE_LEAF], 1, read_mutant, &chain),
        1000);
    forge_chain_clear(&chain);
}

/* ---- vendor roots ---- */

Test(cert, vendor_roots_are_those_of_the_table)
{
    struct bh_diag diag = {0};
    uint8_t *readme, *file, *der = NULL;
    size_t len, readme_len, file_len, der_len, count;
    const struct ev_vendor_root *roots = ev_vendor_roots(&len);
    uint8_t digest[32];
    char hex[65], path[512], row[512];

    cr_assert_eq(bh_file_read(BH_SOURCE_DIR "/certs/README.md", 65536, &readme, &readme_len, &diag),
        BH_OK, "%s", diag.detail);
    cr_assert_geq(len, 1);
    for (size_t i = 0; i < len; i++) {
        X509 *cert = NULL;
        const char *line;

        (void)snprintf(path, sizeof(path), BH_SOURCE_DIR "/certs/%s", roots[i].file);
        cr_assert_eq(bh_file_read(path, 65536, &file, &file_len, &diag), BH_OK);
        cr_assert(bh_span_is(bh_span(file, file_len), roots[i].pem));
        free(file);
        cr_assert_eq(bh_x509_pem(bh_span_str(roots[i].pem), &cert, 1, &count, &diag), BH_OK);
        cr_assert_eq(bh_x509_to_der(cert, &der, &der_len), BH_OK);
        cr_assert_eq(bh_sha2(256, bh_span(der, der_len), digest), BH_OK);
        (void)bh_hex(bh_span(digest, sizeof(digest)), hex, sizeof(hex));
        (void)snprintf(row, sizeof(row), "| `%s` |", roots[i].file);
        line = memmem(readme, readme_len, row, strlen(row));
        cr_assert(line != NULL, "%s has no row", roots[i].file);
        cr_assert(memmem(line, strcspn(line, "\n"), hex, 64) != NULL, "%s: %s", roots[i].file, hex);
        OPENSSL_free(der);
        X509_free(cert);
    }
    free(readme);
}

/* ---- the cache ---- */

static void
path_of(uint8_t path[EV_PATH_HASH_LEN], const struct forge_chain *chain, size_t certs)
{
    memset(path, 0, EV_PATH_HASH_LEN);
    for (size_t i = 0; i < certs; i++)
        cr_assert_eq(ev_chain_path(path, der_of(chain, i)), BH_OK);
}

static bool
knows(struct ev_chain_cache *cache, const struct forge_chain *chain, size_t certs, int64_t now)
{
    uint8_t path[EV_PATH_HASH_LEN];
    EVP_PKEY *key;

    path_of(path, chain, certs);
    key = ev_chain_cache_get(cache, path, now);
    EVP_PKEY_free(key);
    return key != NULL;
}

Test(chain_cache, bounds_and_order_of_use)
{
    struct ev_chain_cache *cache = ev_chain_cache_new(3);
    uint8_t path[EV_PATH_HASH_LEN] = {0};
    EVP_PKEY *key = NULL, *got;

    cr_assert(cache != NULL);
    cr_assert_null(ev_chain_cache_new(0));
    cr_assert_eq(bh_key_generate("P-384", &key, NULL), BH_OK);
    /* 0, 1, 2 fill it; 0 is used again; 3 takes the place of 1. */
    for (uint8_t i = 0; i < 3; i++) {
        path[0] = path[9] = i;
        ev_chain_cache_put(cache, path, key, 100);
    }
    path[0] = path[9] = 0;
    got = ev_chain_cache_get(cache, path, 100);
    cr_assert_eq(got, key);
    EVP_PKEY_free(got);
    path[0] = path[9] = 3;
    ev_chain_cache_put(cache, path, key, 100);
    for (uint8_t i = 0; i < 4; i++) {
        path[0] = path[9] = i;
        got = ev_chain_cache_get(cache, path, 100);
        cr_assert_eq(got != NULL, i != 1, "entry %u", i);
        EVP_PKEY_free(got);
    }
    /* Not beyond its time; and one bit elsewhere is another path. */
    cr_assert_null(ev_chain_cache_get(cache, path, 101));
    path[31] ^= 1;
    cr_assert_null(ev_chain_cache_get(cache, path, 100));
    /* Many rounds over the bound stay sound. */
    for (unsigned i = 0; i < 1000; i++) {
        path[0] = (uint8_t)(i * 7);
        path[1] = (uint8_t)(i >> 3);
        ev_chain_cache_put(cache, path, key, 100);
        got = ev_chain_cache_get(cache, path, 50);
        cr_assert_eq(got, key);
        EVP_PKEY_free(got);
    }
    ev_chain_cache_put(NULL, path, key, 100);
    cr_assert_null(ev_chain_cache_get(NULL, path, 50));
    ev_chain_cache_free(cache);
    ev_chain_cache_free(NULL);
    EVP_PKEY_free(key);
}

static struct ev_report report;

static enum bh_err
authenticate(const struct forge_chain *chain, const struct ev_trust *trust)
{
    struct ev_evidence *ev = NULL;
    struct forge_doc doc;
    size_t len;
    uint8_t *bytes;
    enum bh_err e;

    forge_document(&doc);
    bytes = forge_make(chain, &doc, &len);
    ev_report_init(&report, false);
    if ((e = ev_decode_raw(bh_span(bytes, len), &report, &ev)) == BH_OK)
        e = ev_authenticate(ev, trust, &report);
    ev_evidence_free(ev);
    free(bytes);
    return e;
}

Test(chain_cache, a_warm_cache_changes_nothing)
{
    struct ev_chain_cache *cache = ev_chain_cache_new(16);
    struct forge_cert_plan plan[FORGE_CERTS];
    struct forge_chain chain, impostor;
    struct ev_trust trust;

    forge_chain_right(&chain, "Test root");
    forge_trust(&trust, &chain, false);
    trust.cache = cache;
    cr_assert_not(knows(cache, &chain, 4, FORGE_NOW));
    cr_assert_eq(authenticate(&chain, &trust), BH_OK);
    for (size_t certs = 1; certs <= 4; certs++)
        cr_assert(knows(cache, &chain, certs, FORGE_NOW));
    cr_assert_eq(authenticate(&chain, &trust), BH_OK);

    /* The instance's certificate ends in 12 hours, so does what is known of its path. */
    cr_assert(knows(cache, &chain, 4, FORGE_NOW + 12 * 3600));
    cr_assert_not(knows(cache, &chain, 4, FORGE_NOW + 12 * 3600 + 1));
    trust.now += 12 * 3600 + 1;
    cr_assert_eq(authenticate(&chain, &trust), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.validity");
    trust.now = FORGE_NOW;

    /* The same names with other keys, under the very same root certificate: not known, and not
     * signed. */
    forge_plan(plan, "Test root");
    forge_chain_make(&impostor, plan);
    memcpy(impostor.der[0], chain.der[0], chain.der_len[0]);
    impostor.der_len[0] = chain.der_len[0];
    cr_assert_not(knows(cache, &impostor, 2, FORGE_NOW));
    cr_assert_eq(authenticate(&impostor, &trust), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");
    for (size_t certs = 2; certs <= 4; certs++)
        cr_assert_not(knows(cache, &impostor, certs, FORGE_NOW));

    /* Known certificates above one that is not: a leaf of a stranger's key under the known issuer.
     */
    memcpy(impostor.der, chain.der, sizeof(chain.der));
    memcpy(impostor.der_len, chain.der_len, sizeof(chain.der_len));
    impostor.der_len[FORGE_LEAF] = chain.der_len[FORGE_LEAF];
    EVP_PKEY_free(impostor.keys[FORGE_LEAF]);
    impostor.keys[FORGE_LEAF] = NULL;
    cr_assert_eq(bh_key_generate("P-384", &impostor.keys[FORGE_LEAF], NULL), BH_OK);
    cr_assert_eq(authenticate(&impostor, &trust), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.signature");

    /* Without its anchor, a warm cache vouches for nothing. */
    trust.anchors_len = 0;
    cr_assert_eq(authenticate(&chain, &trust), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(report.diag.check, "aws-nitro.chain");

    forge_chain_clear(&impostor);
    forge_chain_clear(&chain);
    ev_chain_cache_free(cache);
}
