/* SPDX-License-Identifier: Apache-2.0 */
#include "snp_forge.h"

#include "core/x509.h"

#include <criterion/criterion.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <stdio.h>

void
snp_keys_make(struct snp_keys *keys)
{
    cr_assert_eq(agent_amd_rsa_make(&keys->ark, NULL), BH_OK);
    cr_assert_eq(agent_amd_rsa_make(&keys->ask, NULL), BH_OK);
    cr_assert_eq(agent_amd_rsa_make(&keys->stranger_rsa, NULL), BH_OK);
    cr_assert_eq(bh_key_generate("P-384", &keys->leaf, NULL), BH_OK);
    cr_assert_eq(bh_key_generate("P-384", &keys->stranger_ec, NULL), BH_OK);
}

void
snp_keys_clear(struct snp_keys *keys)
{
    EVP_PKEY_free(keys->ark);
    EVP_PKEY_free(keys->ask);
    EVP_PKEY_free(keys->leaf);
    EVP_PKEY_free(keys->stranger_rsa);
    EVP_PKEY_free(keys->stranger_ec);
}

void
snp_put32(struct snp_plan *plan, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        plan->report[at + i] = (uint8_t)(value >> 8 * i);
}

void
snp_put64(struct snp_plan *plan, size_t at, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        plan->report[at + i] = (uint8_t)(value >> 8 * i);
}

static bool
is_turin(const struct snp_plan *plan)
{
    return strcmp(plan->product, "Turin") == 0;
}

void
snp_tcb(struct snp_plan *plan, size_t at, unsigned fmc, unsigned bootloader, unsigned tee,
    unsigned snp, unsigned microcode)
{
    const uint8_t turin[8] = {
        (uint8_t)fmc, (uint8_t)bootloader, (uint8_t)tee, (uint8_t)snp, 0, 0, 0, (uint8_t)microcode};
    const uint8_t others[8] = {
        (uint8_t)bootloader, (uint8_t)tee, 0, 0, 0, 0, (uint8_t)snp, (uint8_t)microcode};

    memcpy(plan->report + at, is_turin(plan) ? turin : others, 8);
}

static void
plan_report(struct snp_plan *plan, unsigned version)
{
    const uint8_t family = is_turin(plan) ? 0x1a : 0x19;
    const uint8_t model = strcmp(plan->product, "Milan") == 0 ? 0x01 : is_turin(plan) ? 0x02 : 0x11;
    const size_t id_len = is_turin(plan) ? 8 : 64;

    snp_put32(plan, AT_VERSION, version);
    snp_put32(plan, AT_GUEST_SVN, 7);
    snp_put64(plan, AT_POLICY, 0x3001f);
    snp_put32(plan, AT_ALGO, 1);
    snp_put32(plan, AT_FLAGS, plan->vlek ? 1 << 2 : 0);
    snp_put64(plan, AT_PLATFORM_INFO, 0x25);
    memset(plan->report + AT_REPORT_DATA, 0x5a, 64);
    memset(plan->report + AT_MEASUREMENT, 0xa1, 48);
    memset(plan->report + AT_HOST_DATA, 0xb2, 32);
    memset(plan->report + AT_ID_KEY, 0xc3, 48);
    memset(plan->report + AT_AUTHOR_KEY, 0xd4, 48);
    memset(plan->report + AT_FAMILY_ID, 0xe5, 16);
    memset(plan->report + AT_IMAGE_ID, 0xf6, 16);
    snp_tcb(plan, AT_REPORTED_TCB, 1, 4, 2, 22, 213);
    snp_tcb(plan, AT_COMMITTED_TCB, 1, 4, 2, 23, 214);
    snp_tcb(plan, AT_CURRENT_TCB, 1, 5, 2, 24, 215);
    snp_tcb(plan, AT_LAUNCH_TCB, 1, 4, 2, 22, 213);
    if (version >= 3) {
        plan->report[AT_CPUID] = family;
        plan->report[AT_CPUID + 1] = model;
        plan->report[AT_CPUID + 2] = 1;
    }
    if (version >= 5)
        snp_put64(plan, AT_MIT_VECTORS, 0x3f);
    if (!plan->vlek)
        memset(plan->report + AT_CHIP_ID, 0x77, id_len);
}

static void
plan_leaf(struct snp_plan *plan)
{
    struct agent_amd_leaf *leaf = &plan->leaf.leaf;
    static const uint8_t hwid[] =
        "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";

    leaf->product = plan->product;
    for (size_t i = 0; i < AGENT_AMD_SPLS; i++)
        leaf->spl[i] = i == 0 || i == 9 || (i == 4 && is_turin(plan)) ? AGENT_AMD_NO_SPL : 0;
    leaf->spl[1] = 4;
    leaf->spl[2] = 2;
    leaf->spl[3] = 22;
    leaf->spl[8] = 213;
    if (is_turin(plan))
        leaf->spl[9] = 1;
    if (plan->vlek)
        leaf->csp_id = SNP_CSP;
    else
        leaf->hwid = bh_span(hwid, is_turin(plan) ? 8 : 64);
}

void
snp_plan(struct snp_plan *plan, const struct snp_keys *keys, const char *product, unsigned version,
    bool vlek)
{
    *plan = (struct snp_plan){.product = product, .vlek = vlek};
    plan_report(plan, version);
    (void)snprintf(plan->names[0], sizeof(plan->names[0]), "ARK-%s", product);
    (void)snprintf(
        plan->names[1], sizeof(plan->names[1]), "SEV-%s%s", vlek ? "VLEK-" : "", product);
    (void)snprintf(plan->names[2], sizeof(plan->names[2]), "SEV-%s", vlek ? "VLEK" : "VCEK");
    plan->ark = (struct agent_amd_request){.level = AGENT_AMD_ARK,
        .serial = 0x10000,
        .key = keys->ark,
        .issuer_key = keys->ark,
        .not_before = SNP_NOW - 1000 * SNP_DAY,
        .not_after = SNP_NOW + 8000 * SNP_DAY};
    plan->ask = plan->ark;
    plan->ask.level = AGENT_AMD_ASK;
    plan->ask.serial = 0x10001;
    plan->ask.key = keys->ask;
    plan->leaf = (struct agent_amd_request){.level = vlek ? AGENT_AMD_VLEK : AGENT_AMD_VCEK,
        .key = keys->leaf,
        .issuer_key = keys->ask,
        .not_before = SNP_NOW - 10 * SNP_DAY,
        .not_after = SNP_NOW + 300 * SNP_DAY};
    plan_leaf(plan);
}

static void
put_number(uint8_t out[72], const BIGNUM *n)
{
    uint8_t little[48];

    cr_assert_eq(BN_bn2lebinpad(n, little, sizeof(little)), (int)sizeof(little));
    memset(out, 0, 72);
    memcpy(out, little, sizeof(little));
}

static void
sign_report(uint8_t *report, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[200];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    ECDSA_SIG *sig;

    cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), 1);
    cr_assert_eq(EVP_DigestSign(ctx, der, &len, report, AT_SIGNATURE), 1);
    cr_assert_not_null(sig = d2i_ECDSA_SIG(NULL, &at, (long)len));
    put_number(report + AT_SIGNATURE, ECDSA_SIG_get0_r(sig));
    put_number(report + AT_SIGNATURE + 72, ECDSA_SIG_get0_s(sig));
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
}

static X509 *
make_cert(const struct agent_amd_request *planned, const char *name, X509 *issuer)
{
    struct agent_amd_request r = *planned;
    struct bh_diag diag = {0};
    X509 *cert = NULL;

    if (r.cn == NULL)
        r.cn = name;
    if (r.issuer == NULL)
        r.issuer = issuer;
    cr_assert_eq(agent_amd_cert_make(&r, &cert, &diag), BH_OK, "%s", diag.detail);
    return cert;
}

void
snp_forge(struct snp_forged *f, const struct snp_keys *keys, const struct snp_plan *plan)
{
    X509 *in_table[AGENT_AMD_ENTRIES] = {NULL};
    size_t len = 0;

    *f = (struct snp_forged){0};
    f->ark = make_cert(&plan->ark, plan->names[0], NULL);
    f->ask = make_cert(&plan->ask, plan->names[1], f->ark);
    f->leaf = make_cert(&plan->leaf, plan->names[2], f->ask);
    memcpy(f->report, plan->report, sizeof(f->report));
    if (!plan->unsigned_report)
        sign_report(f->report, plan->signs != NULL ? plan->signs : keys->leaf);
    f->parts.report = bh_span(f->report, sizeof(f->report));
    cr_assert_eq(bh_x509_to_der(f->leaf, &f->leaf_der, &len), BH_OK);
    *(plan->vlek ? &f->parts.vlek : &f->parts.vcek) = bh_span(f->leaf_der, len);
    in_table[AGENT_AMD_ENTRY_ASK] = f->ask;
    cr_assert_eq(agent_amd_table(in_table, f->table, &len, NULL), BH_OK);
    f->parts.auxblob = bh_span(f->table, len);
}

void
snp_forged_clear(struct snp_forged *f)
{
    OPENSSL_free(f->leaf_der);
    X509_free(f->ark);
    X509_free(f->ask);
    X509_free(f->leaf);
}

uint8_t *
snp_crl(X509 *issuer, EVP_PKEY *key, int64_t from, int64_t to, long serial, size_t *ret_len)
{
    X509_CRL *crl = X509_CRL_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL;
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)from);
    uint8_t *der = NULL;
    int len;

    cr_assert_eq(X509_CRL_set_version(crl, 1), 1);
    cr_assert_eq(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    cr_assert_eq(X509_CRL_set1_lastUpdate(crl, t), 1);
    if (serial != 0) {
        X509_REVOKED *one = X509_REVOKED_new();
        ASN1_INTEGER *n = ASN1_INTEGER_new();

        cr_assert_eq(ASN1_INTEGER_set(n, serial), 1);
        cr_assert_eq(X509_REVOKED_set_serialNumber(one, n), 1);
        cr_assert_eq(X509_REVOKED_set_revocationDate(one, t), 1);
        cr_assert_eq(X509_CRL_add0_revoked(crl, one), 1);
        ASN1_INTEGER_free(n);
    }
    cr_assert_not_null(ASN1_TIME_set(t, (time_t)to));
    cr_assert_eq(X509_CRL_set1_nextUpdate(crl, t), 1);
    cr_assert_eq(EVP_DigestSignInit(ctx, &params, EVP_sha384(), NULL, key), 1);
    cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING), 1);
    cr_assert_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(params, 48), 1);
    cr_assert_gt(X509_CRL_sign_ctx(crl, ctx), 0);
    cr_assert_gt(len = i2d_X509_CRL(crl, &der), 0);
    *ret_len = (size_t)len;
    ASN1_TIME_free(t);
    EVP_MD_CTX_free(ctx);
    X509_CRL_free(crl);
    return der;
}

void
snp_trust(struct ev_trust *trust, X509 *ark, bool simulated)
{
    *trust = (struct ev_trust){.now = SNP_NOW, .allow_simulated = simulated};
    trust->anchors[trust->anchors_len++] = (struct ev_anchor){.cert = ark, .simulated = simulated};
}

static enum bh_err
judge_forged(const struct snp_keys *keys, const struct snp_plan *plan, struct ev_report *report)
{
    struct snp_forged f;
    struct ev_trust trust;
    enum bh_err e;

    snp_forge(&f, keys, plan);
    snp_trust(&trust, f.ark, true);
    e = snp_judge(&f.parts, &trust, report, NULL);
    snp_forged_clear(&f);
    return e;
}

void
snp_forge_holds(const struct snp_keys *keys, const struct snp_plan *plan, const char *what)
{
    struct ev_report report;

    ev_report_init(&report, true);
    cr_assert_eq(judge_forged(keys, plan, &report), BH_OK, "%s: %s", what, report.diag.detail);
}

void
snp_forge_refused(const struct snp_keys *keys, const struct snp_plan *plan, enum bh_err err,
    const char *check, const char *what)
{
    struct ev_report report;

    /* The short report and the whole one name the same first failure. */
    for (int detailed = 0; detailed < 2; detailed++) {
        ev_report_init(&report, detailed != 0);
        cr_assert_eq(judge_forged(keys, plan, &report), err, "%s: %d, %s: %s", what, report.err,
            report.diag.check, report.diag.detail);
        cr_assert_str_eq(report.diag.check, check, "%s: %s", what, report.diag.detail);
    }
}
