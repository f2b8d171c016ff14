/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F of the budgets: public-key operations by the same library, keys already decoded.
 *
 * Taken in small samples between the rounds of what is compared with it, on every processor at
 * once: both then meet the same clock rate and the same neighbours.
 */
#include "bench.h"

#include "core/x509.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_LEN 700
#define SAMPLE 10 /* operations of each kind that each thread does at once */
#define THREADS_MAX 64

struct operations {
    const char *platform;
    unsigned p256_verify; /* of evidence */
    unsigned p384_verify;
};

/* What a verifier cannot avoid with warm caches, beside the request's own signature. */
static const struct operations table[] = {
    {"psa", 1, 0},          /* token */
    {"arm-cca", 0, 2},      /* platform and realm token */
    {"aws-nitro", 0, 2},    /* leaf certificate and document */
    {"amd-sev-snp", 0, 1},  /* report; a chip's certificate is long-lived, and cached */
    {"intel-sgx", 1, 0},    /* quote; what certifies its key is long-lived, and cached */
    {"intel-tdx", 1, 0},    /* the same */
    {"tpm2", 1, 0},         /* quote; its key is endorsed */
    {"aws-nitrotpm", 0, 2}, /* as aws-nitro */
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

enum kind {
    SIGN,
    VERIFY_256,
    VERIFY_384,
    KINDS,
};

struct bench_floor {
    const struct operations *operations;
    struct pair p256, p384;
    double spent_us[KINDS];
    size_t done;
    bool failed;
};

enum bh_err
bench_floor_new(const char *platform, struct bench_floor **ret_floor, struct bh_diag *diag)
{
    struct bench_floor *f = calloc(1, sizeof(*f));
    enum bh_err e;

    if (f == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "floor");
    f->p256.md = bh_sha2_md(256);
    f->p384.md = bh_sha2_md(384);
    for (size_t i = 0; i < BH_COUNT(table); i++)
        if (strcmp(table[i].platform, platform) == 0)
            f->operations = &table[i];
    if (f->operations == NULL)
        e = bh_refuse(diag, BH_ERR_USAGE, "platform",
            "psa, arm-cca, aws-nitro, amd-sev-snp, intel-sgx, intel-tdx, tpm2 or aws-nitrotpm",
            platform, "no such platform here");
    else if ((e = bh_key_generate("P-256", &f->p256.key, diag)) == BH_OK &&
             (e = bh_key_generate("P-384", &f->p384.key, diag)) == BH_OK &&
             (!sign(&f->p256) || !sign(&f->p384)))
        e = bh_fail(diag, BH_ERR_INTERNAL, "OpenSSL does not sign");
    if (e != BH_OK) {
        bench_floor_free(f);
        return e;
    }
    *ret_floor = f;
    return BH_OK;
}

void
bench_floor_free(struct bench_floor *floor)
{
    if (floor == NULL)
        return;
    EVP_PKEY_free(floor->p256.key);
    EVP_PKEY_free(floor->p384.key);
    free(floor);
}

struct sampler {
    pthread_t thread;
    struct bench_floor f; /* keys are shared, results its own */
};

static void
repeat(struct bench_floor *f, enum kind kind, bool (*operation)(struct pair *), struct pair *p)
{
    const double begin = bench_thread_cpu_us();

    for (size_t i = 0; i < SAMPLE; i++)
        f->failed = !operation(p) || f->failed;
    f->spent_us[kind] += bench_thread_cpu_us() - begin;
}

static void *
sample_main(void *arg)
{
    struct bench_floor *f = &((struct sampler *)arg)->f;

    memset(f->spent_us, 0, sizeof(f->spent_us));
    repeat(f, VERIFY_256, verify, &f->p256);
    if (f->operations->p384_verify > 0)
        repeat(f, VERIFY_384, verify, &f->p384);
    repeat(f, SIGN, sign, &f->p256);
    return NULL;
}

enum bh_err
bench_floor_sample(struct bench_floor *floor, struct bh_diag *diag)
{
    static struct sampler samplers[THREADS_MAX];
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores;
    size_t started = 0;

    for (; started < n; started++) {
        samplers[started].f = *floor;
        if (pthread_create(&samplers[started].thread, NULL, sample_main, &samplers[started]) != 0)
            break;
    }
    for (size_t i = 0; i < started; i++) {
        const struct bench_floor *f = &samplers[i].f;

        (void)pthread_join(samplers[i].thread, NULL);
        for (size_t k = 0; k < KINDS; k++)
            floor->spent_us[k] += f->spent_us[k];
        floor->done += SAMPLE;
        floor->failed = floor->failed || f->failed;
    }
    return started == n && !floor->failed ? BH_OK : bh_fail(diag, BH_ERR_INTERNAL, "floor");
}

static double
floor_us(const struct bench_floor *f, unsigned signatures, unsigned requests)
{
    const struct operations *o = f->operations;

    if (f->done == 0)
        return 0;
    return (signatures * f->spent_us[SIGN] + (requests + o->p256_verify) * f->spent_us[VERIFY_256] +
               o->p384_verify * f->spent_us[VERIFY_384]) /
           (double)f->done;
}

double
bench_floor_us(const struct bench_floor *floor)
{
    /* certificate and EAR signed, the request's own signature verified */
    return floor_us(floor, 2, 1);
}

double
bench_floor_evidence_us(const struct bench_floor *floor)
{
    return floor_us(floor, 0, 0);
}
