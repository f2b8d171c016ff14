/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead verify: a chain in a file. */
#include "core/text.h"
#include "core/x509.h"
#include "run.h"
#include "support/ca.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct setup {
    struct bh_test_ca ca;
    struct bh_test_leaf leaf;
    EVP_PKEY *key;
    X509 *cert;
    const char *root, *chain;
};

static void
issue(struct setup *s)
{
    X509_free(s->cert);
    s->cert = bh_test_leaf_issue(&s->ca, &s->leaf);
    char *pem = bh_test_chain_pem(&s->ca, s->cert);
    s->chain = put("tls.crt", bh_span_str(pem));
    free(pem);
}

static void
begin(struct setup *s, bool simulated)
{
    memset(s, 0, sizeof(*s));
    bh_test_ca_make(
        &s->ca, &(struct bh_test_root){.domain = "fleet.example", .simulated = simulated});
    s->key = bh_test_key("P-256");
    bh_test_leaf_init(&s->ca, &s->leaf, "payments", s->key, bh_time_now(), 3600);
    s->root = put("root.crt", bh_span_str(s->ca.root_pem));
    issue(s);
}

static void
finish(struct setup *s)
{
    X509_free(s->cert);
    bh_test_ca_clear(&s->ca);
    EVP_PKEY_free(s->key);
    end_folder();
}

#define VERIFY(r, s, ...) RUN(r, "verify", "--json", "--root", (s)->root, __VA_ARGS__)

static void
refused(struct ran *r, const char *check)
{
    expect_json(r, 1);
    cr_expect(json_is_false(json_object_get(r->json, "verified")));
    cr_expect_str_eq(text_of(r, "check"), check, "%s", r->err);
    expect_members(r->json,
        (const char *[]){"verified", "code", "check", "expected", "found", "detail", "hint", NULL});
}

Test(verify, holds)
{
    struct setup s;
    struct ran r = {0};

    begin(&s, false);
    VERIFY(&r, &s, "--workload", "payments", s.chain);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "workload"), "payments");
    VERIFY(&r, &s, s.chain);
    expect_json(&r, 0);
    RUN(&r, "verify", "--root", s.root, s.chain);
    expect_run(&r, 0, NULL);
    cr_expect_not_null(strstr(r.out, "payments"));
    finish(&s);
    ran_clear(&r);
}

Test(verify, refusals)
{
    struct setup s, other;
    struct ran r = {0};

    begin(&s, false);
    VERIFY(&r, &s, "--workload", "receipts", s.chain);
    refused(&r, "workload");
    VERIFY(&r, &s, "--require-log", "--log", "https://log.example", s.chain);
    refused(&r, "log");
    s.leaf.ear.submods[0].status = BH_EAR_WARNING;
    issue(&s);
    VERIFY(&r, &s, s.chain);
    refused(&r, "ear.status");
    VERIFY(&r, &s, "--accept-warning", s.chain);
    expect_json(&r, 0);
    s.leaf.not_after = bh_time_now() - 10;
    s.leaf.not_before = s.leaf.not_after - 60;
    issue(&s);
    VERIFY(&r, &s, s.chain);
    refused(&r, "certificate.validity");
    char *alone = bh_test_pem(s.cert);
    VERIFY(&r, &s, put("alone.crt", bh_span_str(alone)));
    refused(&r, "certificate.chain");
    begin(&other, false);
    RUN(&r, "verify", "--json", "--root", put("r", bh_span_str(s.ca.root_pem)), other.chain);
    refused(&r, "certificate.chain");
    free(alone);
    X509_free(other.cert);
    bh_test_ca_clear(&other.ca);
    EVP_PKEY_free(other.key);
    finish(&s);
    ran_clear(&r);
}

Test(verify, revocation)
{
    const int64_t now = bh_time_now();
    struct setup s;
    struct ran r = {0};
    uint8_t *crl;
    size_t len = 0;

    begin(&s, false);
    crl = bh_test_crl(&s.ca, NULL, now - 60, now + 600, &len);
    VERIFY(&r, &s, "--crl", put("good.crl", bh_span(crl, len)), s.chain);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "revocation"), "good");
    free(crl);
    crl = bh_test_crl(&s.ca, s.cert, now - 60, now + 600, &len);
    VERIFY(&r, &s, "--crl", put("revoked.crl", bh_span(crl, len)), s.chain);
    refused(&r, "certificate.revocation");
    free(crl);
    crl = bh_test_crl(&s.ca, NULL, now - 600, now - 60, &len);
    VERIFY(&r, &s, "--crl", put("old.crl", bh_span(crl, len)), s.chain);
    refused(&r, "certificate.revocation");
    VERIFY(&r, &s, "--crl", put("bad.crl", bh_span(crl, len - 1)), s.chain);
    expect_json(&r, 2);
    free(crl);
    VERIFY(&r, &s, "--crl", "/nonexistent", s.chain);
    expect_json(&r, 2);
    finish(&s);
    ran_clear(&r);
}

Test(verify, files)
{
    struct setup s;
    struct ran r = {0};

    begin(&s, false);
    VERIFY(&r, &s, "/nonexistent");
    expect_json(&r, 2);
    RUN(&r, "verify", "--json", "--root", "/nonexistent", s.chain);
    expect_json(&r, 2);
    RUN(&r, "verify", "--json", "--root", s.chain, s.chain);
    cr_expect_neq(r.status, 0);
    VERIFY(&r, &s, put("junk", bh_span_str("junk")));
    refused(&r, "certificate.form");
    VERIFY(&r, &s, put("empty", bh_span_none()));
    refused(&r, "certificate.form");
    finish(&s);
    ran_clear(&r);
}
