/* SPDX-License-Identifier: Apache-2.0 */
/* F of the budgets: public-key operations by the same library, keys already decoded. */
#include "bench.h"

#include "core/x509.h"

#include <stdlib.h>

#define MESSAGE_LEN 700
#define SECONDS_PER_OPERATION 0.25

struct operations {
    const char *platform;
    unsigned p256_verify; /* of evidence */
    unsigned p384_verify;
};

/* What a verifier cannot avoid with warm caches, beside the request's own signature. */
static const struct operations table[] = {
    {"psa", 1, 0},       /* token */
    {"arm-cca", 0, 2},   /* platform and realm token */
    {"aws-nitro", 0, 2}, /* leaf certificate and document */
};

struct pair {
    EVP_PKEY *key;
    const EVP_MD *md;
    uint8_t message[MESSAGE_LEN];
    uint8_t signature[256];
    size_t signature_len;
};

static bool
sign(struct pair *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = sizeof(p->signature);
    const bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, p->md, NULL, p->key) == 1 &&
                    EVP_DigestSign(ctx, p->signature, &len, p->message, sizeof(p->message)) == 1;

    p->signature_len = len;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool
verify(struct pair *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok =
        ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, p->md, NULL, p->key) == 1 &&
        EVP_DigestVerify(ctx, p->signature, p->signature_len, p->message, sizeof(p->message)) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static double
each_us(bool (*operation)(struct pair *), struct pair *p)
{
    const double begin = bench_thread_cpu_us();
    double spent = 0;
    unsigned n = 0;

    while (spent < SECONDS_PER_OPERATION * 1e6) {
        if (!operation(p))
            return -1;
        n++;
        spent = bench_thread_cpu_us() - begin;
    }
    return spent / n;
}

static enum bh_err
measure(
    const char *curve, unsigned bits, double *ret_sign, double *ret_verify, struct bh_diag *diag)
{
    struct pair p = {.md = bh_sha2_md(bits)};
    enum bh_err e;

    if ((e = bh_key_generate(curve, &p.key, diag)) != BH_OK)
        return e;
    *ret_sign = each_us(sign, &p);
    *ret_verify = each_us(verify, &p);
    EVP_PKEY_free(p.key);
    return *ret_sign > 0 && *ret_verify > 0 ? BH_OK : bh_fail(diag, BH_ERR_INTERNAL, "%s", curve);
}

static enum bh_err
floor_us(const char *platform, unsigned signatures, unsigned requests, double *ret_us,
    struct bh_diag *diag)
{
    double sign256, verify256, sign384, verify384;
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(table); i++) {
        if (strcmp(table[i].platform, platform) != 0)
            continue;
        if ((e = measure("P-256", 256, &sign256, &verify256, diag)) != BH_OK ||
            (e = measure("P-384", 384, &sign384, &verify384, diag)) != BH_OK)
            return e;
        *ret_us = signatures * sign256 + (requests + table[i].p256_verify) * verify256 +
                  table[i].p384_verify * verify384;
        return BH_OK;
    }
    return bh_refuse(diag, BH_ERR_USAGE, "platform", "psa, arm-cca or aws-nitro", platform,
        "no such platform here");
}

enum bh_err
bench_crypto_us(const char *platform, double *ret_us, struct bh_diag *diag)
{
    /* certificate and EAR signed, the request's own signature verified */
    return floor_us(platform, 2, 1, ret_us, diag);
}

enum bh_err
bench_crypto_evidence_us(const char *platform, double *ret_us, struct bh_diag *diag)
{
    return floor_us(platform, 0, 0, ret_us, diag);
}
