/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead inspect: what a file is, what is checked, what is said when it cannot be. */
#include "core/cmw.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "run.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VECTORS BH_SOURCE_DIR "/tests/vectors/"
#define PSA VECTORS "psa/accept/genuine.cmw"
#define NITRO VECTORS "aws-nitro/accept/genuine.cmw"
#define CCA VECTORS "arm-cca/accept/genuine.cmw"

static const char *const sets[] = {"psa", "arm-cca", "arm-cca-rmm1", "aws-nitro"};

static void
read_cmw(const char *path, struct bh_cmw *cmw)
{
    uint8_t *text = NULL;
    size_t len = 0;

    cr_assert_eq(bh_file_read(path, 1 << 20, &text, &len, NULL), BH_OK);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    cr_assert_eq(bh_cmw_from_json(bh_span(text, len), cmw, NULL), BH_OK);
    free(text);
}

static json_t *
read_set(const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), VECTORS "%s/set.json", name);
    return json_load_file(path, 0, NULL);
}

/* The set's anchor or endorsed key in a file of the temporary folder. */
static const char *
put_trust(json_t *set, const char **ret_flag)
{
    const char *anchor = json_string_value(json_object_get(set, "anchor"));
    const char *key = json_string_value(json_object_get(json_object_get(set, "endorsed"), "key"));

    *ret_flag = anchor != NULL ? "--trust-anchor" : "--endorsed-key";
    return put("trust.pem", bh_span_str(anchor != NULL ? anchor : key));
}

/* Each platform as CMW in JSON, CMW in CBOR, and raw. */
Test(inspect, evidence_in_every_form, .fini = end_folder)
{
    struct ran r = {0};
    char path[512];
    uint8_t cbor[16384];

    for (size_t i = 0; i < BH_COUNT(sets); i++) {
        json_t *set = read_set(sets[i]);
        const char *platform = json_string_value(json_object_get(set, "platform"));
        struct bh_cmw cmw = {0};
        size_t len = 0;

        (void)snprintf(path, sizeof(path), VECTORS "%s/accept/genuine.cmw", sets[i]);
        read_cmw(path, &cmw);
        cr_assert_eq(bh_cmw_record_cbor(
                         cmw.records[0].type, cmw.records[0].value, 0, cbor, sizeof(cbor), &len),
            BH_OK);
        const char *forms[] = {
            path, put("cbor", bh_span(cbor, len)), put("raw", cmw.records[0].value)};
        for (size_t k = 0; k < 3; k++) {
            RUN(&r, "inspect", "--json", forms[k]);
            expect_json(&r, 0);
            expect_members(r.json, (const char *[]){"kind", "platform", "checks", "claims", NULL});
            cr_expect_str_eq(text_of(&r, "kind"), "evidence");
            cr_expect_str_eq(text_of(&r, "platform"), platform);
            cr_expect_gt(json_object_size(json_object_get(r.json, "claims")), 0);
            RUN(&r, "inspect", forms[k]);
            expect_run(&r, 0, NULL);
            cr_expect_not_null(strstr(r.out, platform));
        }
        bh_cmw_clear(&cmw);
        json_decref(set);
    }
    ran_clear(&r);
}

Test(inspect, verified, .fini = end_folder)
{
    struct ran r = {0};
    char path[512];

    for (size_t i = 0; i < BH_COUNT(sets); i++) {
        json_t *set = read_set(sets[i]);
        const char *at = json_string_value(json_object_get(set, "at"));
        const char *flag;
        const char *trust = put_trust(set, &flag);
        json_t *check;
        size_t n;

        (void)snprintf(path, sizeof(path), VECTORS "%s/accept/genuine.cmw", sets[i]);
        RUN(&r, "inspect", "--json", "--verify", "--at", at, flag, trust, path);
        expect_json(&r, 0);
        expect_members(
            r.json, (const char *[]){"kind", "platform", "authentic", "checks", "claims", NULL});
        cr_expect(json_is_true(json_object_get(r.json, "authentic")));
        cr_expect_str_eq(failed_check(&r), "");
        json_array_foreach(json_object_get(r.json, "checks"), n, check)
        {
            expect_members(
                check, (const char *[]){"check", "ok", "expected", "found", "source", NULL});
        }
        RUN(&r, "inspect", "--verify", "--at", at, flag, trust, path);
        expect_run(&r, 0, NULL);
        cr_expect_not_null(strstr(r.out, "authentic: yes"));
        /* Neither the vendors' roots nor an unknown device's key vouch for it. */
        RUN(&r, "inspect", "--json", "--verify", "--at", at, path);
        expect_json(&r, 1);
        cr_expect(json_is_false(json_object_get(r.json, "authentic")));
        cr_expect_str_neq(failed_check(&r), "");
        RUN(&r, "inspect", "--verify", "--at", at, path);
        expect_run(&r, 1, "expected");
        cr_expect_not_null(strstr(r.err, "found"));
        cr_expect_not_null(strstr(r.err, "to do"));
        cr_expect_not_null(strstr(r.out, "authentic: no"));
        json_decref(set);
    }
    ran_clear(&r);
}

Test(inspect, time, .fini = end_folder)
{
    json_t *set = read_set("aws-nitro");
    const char *flag;
    const char *trust = put_trust(set, &flag);
    struct ran r = {0};

    RUN(&r, "inspect", "--json", "--verify", "--at", "2019-01-01T00:00:00Z", flag, trust, NITRO);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "aws-nitro.validity");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2039-01-01T00:00:00Z", flag, trust, NITRO);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "aws-nitro.validity");
    static const char *const bad[] = {
        "", "now", "2026-02-30T00:00:00Z", "2026-11-24T00:00:00+01:00", "1700000000"};
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        RUN(&r, "inspect", "--verify", "--at", bad[i], NITRO);
        expect_run(&r, 2, "a time like 2026-11-23T18:06:00Z");
        RUN(&r, "inspect", "--json", "--verify", "--at", bad[i], NITRO);
        expect_json(&r, 2);
        cr_expect_str_eq(failed_check(&r), "at");
    }
    json_decref(set);
    ran_clear(&r);
}

Test(inspect, anchors, .fini = end_folder)
{
    struct bh_test_ca ca;
    json_t *set = read_set("aws-nitro");
    const char *at = json_string_value(json_object_get(set, "at"));
    const char *pem = json_string_value(json_object_get(set, "anchor"));
    char *other, two[8192], *many = calloc(1, 200000);
    struct ran r = {0};
    X509 *cert = NULL;
    uint8_t *der = NULL;
    size_t n = 0, len = 0;

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    cr_assert_eq(bh_x509_pem(bh_span_str(pem), &cert, 1, &n, NULL), BH_OK);
    cr_assert_eq(bh_x509_to_der(cert, &der, &len), BH_OK);
    (void)snprintf(two, sizeof(two), "%s%s", ca.root_pem, pem);
    other = bh_test_pem(ca.root);
    const char *good[] = {put("a.pem", bh_span_str(pem)), put("a.der", bh_span(der, len)),
        put("two.pem", bh_span_str(two))};
    const char *wrong = put("other.pem", bh_span_str(other));
    for (size_t i = 0; i < 3; i++) {
        RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor", wrong,
            "--trust-anchor", good[i], NITRO);
        expect_json(&r, 0);
    }
    RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor", wrong, NITRO);
    expect_json(&r, 1);
    /* The table of anchors is full: nothing more, of either form. */
    for (size_t i = 0; i < 32; i++)
        strncat(many, other, 199999 - strlen(many));
    const char *full = put("full.pem", bh_span_str(many));
    RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor", full, NITRO);
    expect_json(&r, 1);
    for (size_t i = 0; i < 3; i++) {
        RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", full, "--trust-anchor", good[i],
            NITRO);
        expect_json(&r, 2);
        cr_expect_str_eq(failed_check(&r), "trust_anchor");
    }
    static const char *const bad[] = {"", "no certificate", "0\x82\xff\xff"};
    for (size_t i = 0; i < 3; i++) {
        RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", put("bad", bh_span_str(bad[i])),
            NITRO);
        expect_json(&r, 2);
        cr_expect_str_eq(failed_check(&r), "trust_anchor");
    }
    RUN(&r, "inspect", "--trust-anchor", "/nonexistent", NITRO);
    expect_run(&r, 2, "/nonexistent");
    free(many);
    free(other);
    OPENSSL_free(der);
    X509_free(cert);
    bh_test_ca_clear(&ca);
    json_decref(set);
    ran_clear(&r);
}

Test(inspect, endorsed_keys, .fini = end_folder)
{
    json_t *set = read_set("psa");
    json_t *endorsed = json_object_get(set, "endorsed");
    const char *pem = json_string_value(json_object_get(endorsed, "key"));
    char *json = bh_json_text(endorsed, false);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    EVP_PKEY *other = bh_test_key("P-256");
    uint8_t der[BH_SPKI_MAX], strange[BH_SPKI_MAX];
    size_t len = 0, strange_len = 0;
    const char *name;
    struct bh_span point;
    struct ran r = {0};

    cr_assert_eq(bh_spki_encode(key, der, sizeof(der), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(other, strange, sizeof(strange), &strange_len, NULL), BH_OK);
    cr_assert_eq(bh_spki_point(bh_span(der, len), &name, &point), BH_OK);
    const char *good[] = {put("k.pem", bh_span_str(pem)), put("k.der", bh_span(der, len)),
        put("k.point", point), put("k.json", bh_span_str(json))};
    const char *wrong = put("wrong.der", bh_span(strange, strange_len));
    for (size_t i = 0; i < 4; i++) {
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", wrong, "--endorsed-key", good[i],
            PSA);
        expect_json(&r, 0);
        cr_expect_null(json_object_get(r.json, "warnings"));
    }
    RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", wrong, PSA);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "psa.signature");
    /* A symmetric key is no key of a signature. */
    RUN(&r, "inspect", "--json", "--verify", "--endorsed-key",
        put("mac", bh_span_str("0123456789abcdef0123456789abcdef")), PSA);
    expect_json(&r, 1);
    static const char *const bad[] = {
        "", "short", "-----BEGIN PUBLIC KEY-----\nMFk", "{\"platform\":\"psa\"}", "[1,2]", "{"};
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", put("bad", bh_span_str(bad[i])),
            PSA);
        expect_json(&r, 2);
        cr_expect_str_neq(failed_check(&r), "");
    }
    RUN(&r, "inspect", "--verify", "--endorsed-key", "/nonexistent", PSA);
    expect_run(&r, 2, "/nonexistent");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    BIO_free(bio);
    free(json);
    json_decref(set);
    ran_clear(&r);
}

Test(inspect, collateral, .fini = end_folder)
{
    struct ran r = {0};

    RUN(&r, "inspect", "--collateral", folder(), PSA);
    expect_run(&r, 0, NULL);
    RUN(&r, "inspect", "--collateral", "/nonexistent", PSA);
    expect_run(&r, 2, "collateral");
    RUN(&r, "inspect", "--json", "--collateral", PSA, PSA);
    expect_json(&r, 2);
    cr_expect_str_eq(failed_check(&r), "collateral");
    ran_clear(&r);
}

static void
certificate_is(struct ran *r, const char *path, size_t n)
{
    RUN(r, "inspect", "--json", path);
    expect_json(r, 0);
    cr_expect_str_eq(text_of(r, "kind"), "certificate");
    expect_members(r->json, (const char *[]){"kind", "certificates", "checks", NULL});
    cr_expect_eq(json_array_size(json_object_get(r->json, "certificates")), n);
}

Test(inspect, certificates, .fini = end_folder)
{
    EVP_PKEY *key = bh_test_key("P-256");
    struct bh_test_leaf spec;
    struct bh_test_ca ca;
    struct ran r = {0};
    char *chain, *text = NULL;
    uint8_t *der = NULL;
    size_t len = 0;

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    bh_test_leaf_init(&ca, &spec, "payments", key, bh_time_now(), 3600);
    X509 *leaf = bh_test_leaf_issue(&ca, &spec);
    chain = bh_test_chain_pem(&ca, leaf);
    cr_assert_eq(bh_x509_to_der(leaf, &der, &len), BH_OK);
    cr_assert_gt(asprintf(&text, "Certificate:\n    Data: as a tool prints it\n%s", chain), 0);
    const char *path = put("chain.pem", bh_span_str(chain));
    const char *root = put("root.pem", bh_span_str(ca.root_pem));
    certificate_is(&r, put("leaf.der", bh_span(der, len)), 1);
    certificate_is(&r, put("text.pem", bh_span_str(text)), 2);
    certificate_is(&r, path, 2);
    const json_t *one = json_array_get(json_object_get(r.json, "certificates"), 0);
    const json_t *submods = json_object_get(json_object_get(one, "ear"), "submods");
    cr_expect_not_null(json_object_get(submods, "aws-nitro"));
    cr_expect_eq(json_array_size(json_object_get(one, "subject_alternative_names")), 2);
    RUN(&r, "inspect", path);
    expect_run(&r, 0, NULL);
    cr_expect_not_null(strstr(r.out, "spiffe://fleet.example/payments"));

    RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", root, path);
    expect_json(&r, 0);
    cr_expect(json_is_true(json_object_get(r.json, "authentic")));
    RUN(&r, "inspect", "--json", "--verify", path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "certificate.chain");
    cr_expect_not_null(strstr(r.err, "--trust-anchor"));
    RUN(&r, "inspect", "--json", "--verify", "--at", "2031-01-01T00:00:00Z", "--trust-anchor", root,
        path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "certificate.chain");
    /* The vendors' roots are built in. */
    RUN(&r, "inspect", "--json", "--verify", BH_SOURCE_DIR "/certs/aws-nitro-root-g1.pem");
    expect_json(&r, 0);
    /* Broken ones. */
    der[len - 1] ^= 1;
    RUN(&r, "inspect", "--json", "--verify", "--trust-anchor", root,
        put("bad.der", bh_span(der, len)));
    expect_json(&r, 1);
    RUN(&r, "inspect", "--json", put("cut.der", bh_span(der, len - 1)));
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "kind"), "unknown");
    RUN(&r, "inspect", "--json", put("cut.pem", bh_span(chain, strlen(chain) / 3)));
    expect_json(&r, 1);
    X509_free(leaf);
    EVP_PKEY_free(key);
    OPENSSL_free(der);
    free(chain);
    free(text);
    bh_test_ca_clear(&ca);
    ran_clear(&r);
}

Test(inspect, requests, .fini = end_folder)
{
    static const char *const names[] = {"Ed25519", "P-256", "P-384"};
    struct ran r = {0};

    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = bh_test_key(names[i]);
        char *pem = NULL, *name = NULL, *header = NULL;
        uint8_t *der = NULL;
        long len = 0;

        cr_assert_eq(bh_csr_make(key, &pem, NULL), BH_OK);
        BIO *bio = BIO_new_mem_buf(pem, -1);
        cr_assert_eq(PEM_read_bio(bio, &name, &header, &der, &len), 1);
        const char *forms[] = {
            put("r.pem", bh_span_str(pem)), put("r.der", bh_span(der, (size_t)len))};
        for (size_t k = 0; k < 2; k++) {
            RUN(&r, "inspect", "--json", "--verify", forms[k]);
            expect_json(&r, 0);
            cr_expect_str_eq(text_of(&r, "kind"), "certificate-request");
            cr_expect_str_eq(text_of(&r, "key"), names[i]);
        }
        der[len - 1] ^= 1;
        RUN(&r, "inspect", "--json", put("bad.der", bh_span(der, (size_t)len)));
        expect_json(&r, 1);
        cr_expect_str_eq(text_of(&r, "kind"), "certificate-request");
        cr_expect_str_eq(failed_check(&r), "csr.signature");
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        BIO_free(bio);
        free(pem);
        EVP_PKEY_free(key);
    }
    RUN(&r, "inspect", put("cut", bh_span_str("-----BEGIN CERTIFICATE REQUEST-----\nMIIB")));
    expect_run(&r, 1, "csr.malformed");
    ran_clear(&r);
}

Test(inspect, policies, .fini = end_folder)
{
    json_t *set = read_set("psa");
    char *text = bh_json_text(json_object_get(set, "policy"), true);
    const char *path = put("policy.json", bh_span_str(text));
    struct ran r = {0};

    RUN(&r, "inspect", "--json", path);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "kind"), "policy");
    cr_expect_str_eq(text_of(&r, "workload"), "vector");
    cr_expect_eq(strlen(text_of(&r, "digest")), 64);
    cr_expect(json_is_true(json_object_get(r.json, "simulated")));
    /* Exit 0 with --verify is only for what is authentic. */
    RUN(&r, "inspect", "--json", "--verify", path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "policy.signature");
    RUN(&r, "inspect", "--json", put("bad", bh_span_str("{\"workload\":\"w\",\"accept\":[]}")));
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "kind"), "policy");
    cr_expect_str_neq(failed_check(&r), "");
    RUN(&r, "inspect", put("bad", bh_span_str("{\"workload\":\"w\",\"accept\":")));
    expect_run(&r, 1, "line 1");
    free(text);
    json_decref(set);
    ran_clear(&r);
}

#define HASH "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define SIGNED "\n\n\xe2\x80\x94 log.example x/abc=\n"

Test(inspect, checkpoints, .fini = end_folder)
{
    const char *path = put("checkpoint", bh_span_str("log.example\n42\n" HASH SIGNED));
    struct ran r = {0};

    RUN(&r, "inspect", "--json", path);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "kind"), "log-checkpoint");
    cr_expect_str_eq(text_of(&r, "origin"), "log.example");
    cr_expect_str_eq(text_of(&r, "size"), "42");
    cr_expect_str_eq(text_of(&r, "root_hash"), HASH);
    RUN(&r, "inspect", "--json", "--verify", path);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "checkpoint.signature");
    cr_expect_not_null(strstr(r.out, "not built yet"));
    static const char *const bad[] = {"a\n042\n" HASH SIGNED, "a\n-1\n" HASH SIGNED,
        "a\n1\nshort" SIGNED, "a\n1" SIGNED, "\xff\n1\n" HASH SIGNED};
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        RUN(&r, "inspect", "--json", put("bad", bh_span_str(bad[i])));
        expect_json(&r, 1);
        cr_expect_str_eq(failed_check(&r), "checkpoint.form", "%zu", i);
    }
    ran_clear(&r);
}

/* Files of no kind, and what cannot be read. */
Test(inspect, what_is_nothing, .fini = end_folder)
{
    static const char deep[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
    static const struct {
        struct bh_span bytes;
        const char *check;
    } files[] = {
        {{(const uint8_t *)"", 0}, "input"},
        {{(const uint8_t *)"   \n", 4}, "evidence.type"},
        {{(const uint8_t *)"hello, world\n", 13}, "evidence.type"},
        {{(const uint8_t *)"{}", 2}, "cmw.form"},
        {{(const uint8_t *)"{\"a\":1,\"a\":2}", 13}, "input"},
        {{(const uint8_t *)deep, sizeof(deep) - 1}, "cmw.form"},
        {{(const uint8_t *)"0", 1}, "input"},
        {{(const uint8_t *)"0\x80", 2}, "input"},
        {{(const uint8_t *)"\x00\x00\x00", 3}, "evidence.type"},
        {{(const uint8_t *)"\x82\x61x", 3}, "cmw.form"},
        {{(const uint8_t *)"\xda\x63\x74\x01\x01\x40", 6}, "evidence.type"},
        {{(const uint8_t *)"\xd2\x84\x40\xa0\x40\x40", 6}, "evidence.type"},
        {{(const uint8_t *)"eyJ.eyJ.x", 9}, "ear.form"},
        {{(const uint8_t *)"eyJhIjoxfQ.WzFd.AA", 18}, "ear.form"},
    };
    struct ran r = {0};

    for (size_t i = 0; i < BH_COUNT(files); i++) {
        RUN(&r, "inspect", "--json", put("file", files[i].bytes));
        expect_json(&r, 1);
        cr_expect_str_eq(
            failed_check(&r), files[i].check, "%zu: %s: %s", i, failed_check(&r), r.err);
        RUN(&r, "inspect", put("file", files[i].bytes));
        expect_run(&r, 1, files[i].check);
    }
    RUN(&r, "inspect", "--json", "/nonexistent");
    expect_json(&r, 2);
    cr_expect_str_eq(text_of(&r, "kind"), "unknown");
    RUN(&r, "inspect", "/nonexistent");
    expect_run(&r, 2, "No such file");
    RUN(&r, "inspect", folder());
    expect_run(&r, 2, "directory");
    RUN(&r, "inspect", "/dev/zero");
    expect_run(&r, 2, "larger than");
    ran_clear(&r);
    if (geteuid() != 0) {
        const char *closed = put("closed", bh_span_str("x"));
        (void)chmod(closed, 0);
        RUN(&r, "inspect", closed);
        expect_run(&r, 2, "Permission denied");
        ran_clear(&r);
    }
}

Test(inspect, standard_input)
{
    struct ran r = {0};
    uint8_t *text = NULL;
    size_t len = 0;

    cr_assert_eq(bh_file_read(PSA, 1 << 20, &text, &len, NULL), BH_OK);
    run(&r, "beachhead", bh_span(text, len), (const char *const[]){"inspect", "--json", "-", NULL});
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "platform"), "psa");
    ran_clear(&r);
    run(&r, "beachhead", bh_span_none(), (const char *const[]){"inspect", "-", NULL});
    expect_run(&r, 1, "empty");
    ran_clear(&r);
    free(text);
}

/* Names of files and texts of documents are somebody else's. */
Test(inspect, nothing_drives_the_terminal, .fini = end_folder)
{
    static const char note[] = "\x1b[2J\xc2\x9b\x7f\xe2\x80\xae\n1\n" HASH SIGNED;
    struct ran r = {0};
    char wide[256] = "", json[300], claims[512], jws[600];

    RUN(&r, "inspect", put("bell\a\x1b]0;x\xff.note", bh_span_str(note)));
    expect_run(&r, 0, NULL);
    cr_expect_not_null(strstr(r.out, "\\x1b[2J\\xc2\\x9b\\x7f\\xe2\\x80\\xae"));
    RUN(&r, "inspect", "--json", put("note", bh_span_str(note)));
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "origin"), "\x1b[2J\xc2\x9b\x7f\xe2\x80\xae");
    /* A long value of wide characters is cut between two of them. */
    for (size_t i = 0; i < 60; i++)
        (void)snprintf(wide + strlen(wide), sizeof(wide) - strlen(wide), "\xe2\x82\xac");
    (void)snprintf(json, sizeof(json), "{\"x\":\"x%s\"}", wide);
    (void)bh_base64url(bh_span_str(json), claims, sizeof(claims));
    (void)snprintf(jws, sizeof(jws), "eyJhbGciOiJFUzI1NiJ9.%s.AA", claims);
    RUN(&r, "inspect", put("long", bh_span_str(jws)));
    expect_run(&r, 0, NULL);
    cr_expect_not_null(strstr(r.out, "\xe2\x82\xac..."), "%s", r.out);
    cr_expect_null(strstr(r.out, "\\x"), "%s", r.out);
    RUN(&r, "inspect", "/nonexistent/\x1b[31m\xc2\x9b");
    expect_run(&r, 2, "\\x1b[31m");
    RUN(&r, "inspect", "--json", "/nonexistent/\xff\xfe");
    expect_json(&r, 2);
    ran_clear(&r);
}
