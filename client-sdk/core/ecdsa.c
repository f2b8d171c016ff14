/* SPDX-License-Identifier: Apache-2.0 */
#include "ecdsa.h"

#include "reader.h"
#include "writer.h"
#include "x509.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/err.h>

#define IDLE_MAX 8 /* benches of one curve that wait for the next verification */

static const struct curve {
    const char *name;
    size_t point_len;
    unsigned bits; /* of the digest that belongs to it (RFC 9053, 2.1) */
} curves[] = {
    {"P-256", 65, 256},
    {"P-384", 97, 384},
    {"P-521", 133, 512},
};

/* ---- verification ---- */

/*
 * A key whose point is replaced for each verification, and a context of it. Making both anew costs
 * a fifth of a P-256 verification (OpenSSL 3.0). The context is initialised again after each
 * change of the point: nothing rests on what OpenSSL keeps of the key before.
 */
struct bench {
    struct bench *next;
    EVP_PKEY *key;
    EVP_PKEY_CTX *ctx;
    EVP_MD_CTX *md;
};

/* Kept for the life of the process: OpenSSL's own clean-up at its end comes before any of ours. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct bench *first;
    size_t len;
} idle[BH_COUNT(curves)];

static void
bench_free(struct bench *b)
{
    if (b == NULL)
        return;
    EVP_PKEY_CTX_free(b->ctx);
    EVP_PKEY_free(b->key);
    EVP_MD_CTX_free(b->md);
    free(b);
}

/* With @p point for the beginning. */
static enum bh_err
bench_new(struct bh_span point, struct bench **ret_bench)
{
    struct bench *b = calloc(1, sizeof(*b));
    enum bh_err e = BH_ERR_INTERNAL;

    if (b == NULL)
        return e;
    if ((e = bh_ec_point_decode(point, &b->key, NULL)) == BH_OK &&
        ((b->md = EVP_MD_CTX_new()) == NULL ||
            (b->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, b->key, NULL)) == NULL))
        e = BH_ERR_INTERNAL;
    if (e != BH_OK) {
        bench_free(b);
        return e;
    }
    *ret_bench = b;
    return BH_OK;
}

/* One that is idle, or NULL. */
static struct bench *
bench_take(size_t curve)
{
    struct bench *b;

    (void)pthread_mutex_lock(&lock);
    if ((b = idle[curve].first) != NULL) {
        idle[curve].first = b->next;
        idle[curve].len--;
    }
    (void)pthread_mutex_unlock(&lock);
    return b;
}

static void
bench_give(size_t curve, struct bench *b)
{
    (void)pthread_mutex_lock(&lock);
    if (idle[curve].len < IDLE_MAX) {
        b->next = idle[curve].first;
        idle[curve].first = b;
        idle[curve].len++;
        b = NULL;
    }
    (void)pthread_mutex_unlock(&lock);
    bench_free(b);
}

static bool
digest(EVP_MD_CTX *ctx, unsigned bits, struct bh_span first, struct bh_span second, uint8_t out[64])
{
    return EVP_DigestInit_ex2(ctx, bh_sha2_md(bits), NULL) == 1 &&
           EVP_DigestUpdate(ctx, first.ptr, first.len) == 1 &&
           (second.len == 0 || EVP_DigestUpdate(ctx, second.ptr, second.len) == 1) &&
           EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

enum bh_err
bh_ecdsa_verify_point(struct bh_span point, unsigned bits, struct bh_span first,
    struct bh_span second, struct bh_span der)
{
    uint8_t hash[64];
    enum bh_err e;
    struct bench *b;
    size_t curve;

    for (curve = 0; curve < BH_COUNT(curves); curve++)
        if (curves[curve].point_len == point.len && point.ptr[0] == 4)
            break;
    if (curve == BH_COUNT(curves))
        return BH_ERR_MALFORMED;
    if ((b = bench_take(curve)) == NULL && (e = bench_new(point, &b)) != BH_OK)
        return e;
    if (!digest(b->md, bits, first, second, hash)) {
        bench_free(b);
        return BH_ERR_INTERNAL;
    }
    e = BH_ERR_NOT_AUTHENTIC;
    /* OpenSSL checks that the point is on the curve when it takes it. */
    if (EVP_PKEY_set1_encoded_public_key(b->key, point.ptr, point.len) != 1)
        e = BH_ERR_MALFORMED;
    else if (EVP_PKEY_verify_init(b->ctx) != 1)
        e = BH_ERR_INTERNAL;
    else if (EVP_PKEY_verify(b->ctx, der.ptr, der.len, hash, bits / 8) == 1)
        e = BH_OK;
    /* After a failure nothing is known about its state. */
    if (e == BH_OK) {
        bench_give(curve, b);
    } else {
        ERR_clear_error();
        bench_free(b);
    }
    return e;
}

/* ---- signing ---- */

struct bh_ecdsa_signer {
    EVP_PKEY_CTX *ctx;
    EVP_MD_CTX *md;
    const struct curve *curve;
};

enum bh_err
bh_ecdsa_signer_new(EVP_PKEY *key, struct bh_ecdsa_signer **ret_signer, struct bh_diag *diag)
{
    struct bh_ecdsa_signer *s = calloc(1, sizeof(*s));
    const char *name = bh_key_name(key);

    if (s == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "signer");
    for (size_t i = 0; i < BH_COUNT(curves); i++)
        if (strcmp(curves[i].name, name) == 0)
            s->curve = &curves[i];
    if (s->curve == NULL) {
        free(s);
        return bh_fail(diag, BH_ERR_INTERNAL, "a %s key makes no ECDSA signature here", name);
    }
    s->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    s->md = EVP_MD_CTX_new();
    if (s->ctx == NULL || s->md == NULL || EVP_PKEY_sign_init(s->ctx) != 1) {
        bh_ecdsa_signer_free(s);
        return bh_fail(diag, BH_ERR_INTERNAL, "OpenSSL does not sign with this key");
    }
    *ret_signer = s;
    return BH_OK;
}

void
bh_ecdsa_signer_free(struct bh_ecdsa_signer *signer)
{
    if (signer == NULL)
        return;
    EVP_PKEY_CTX_free(signer->ctx);
    EVP_MD_CTX_free(signer->md);
    free(signer);
}

const char *
bh_ecdsa_signer_curve(const struct bh_ecdsa_signer *signer)
{
    return signer->curve->name;
}

enum bh_err
bh_ecdsa_signer_sign(struct bh_ecdsa_signer *signer, struct bh_span first, struct bh_span second,
    uint8_t *out, size_t *ret_len, struct bh_diag *diag)
{
    const unsigned bits = signer->curve->bits;
    size_t len = BH_ECDSA_DER_MAX;
    uint8_t hash[64];
    char why[160];

    if (!digest(signer->md, bits, first, second, hash) ||
        EVP_PKEY_sign(signer->ctx, out, &len, hash, bits / 8) != 1)
        return bh_fail(diag, BH_ERR_INTERNAL, "cannot sign: %s", bh_openssl_why(why, sizeof(why)));
    *ret_len = len;
    return BH_OK;
}

/* ---- forms of a signature ---- */

/* r and s as DER INTEGERs: no leading zeros, one where the sign bit is set. */
static void
der_integer(struct bh_writer *w, const uint8_t *v, size_t len)
{
    const size_t mark = bh_writer_der_open(w, 0x02);

    while (len > 1 && *v == 0) {
        v++;
        len--;
    }
    if (*v & 0x80)
        bh_writer_u8(w, 0);
    bh_writer_put(w, bh_span(v, len));
    bh_writer_der_close(w, mark);
}

enum bh_err
bh_ecdsa_to_der(struct bh_span raw, uint8_t out[BH_ECDSA_DER_MAX], struct bh_span *ret_der)
{
    struct bh_writer w;
    size_t mark;

    if (raw.len < 2 || raw.len % 2 != 0)
        return BH_ERR_MALFORMED;
    bh_writer_init(&w, out, BH_ECDSA_DER_MAX);
    mark = bh_writer_der_open(&w, 0x30);
    der_integer(&w, raw.ptr, raw.len / 2);
    der_integer(&w, raw.ptr + raw.len / 2, raw.len / 2);
    bh_writer_der_close(&w, mark);
    return bh_writer_end(&w, ret_der);
}

/* One DER INTEGER of a signature into @p len bytes, big-endian. */
static bool
raw_integer(struct bh_reader *r, uint8_t *out, size_t len)
{
    struct bh_span v;

    if (bh_reader_u8(r) != 0x02)
        return false;
    v = bh_reader_take(r, bh_reader_u8(r));
    while (v.len > 0 && *v.ptr == 0)
        v = bh_span(v.ptr + 1, v.len - 1);
    if (!bh_reader_ok(r) || v.len > len)
        return false;
    memset(out, 0, len - v.len);
    if (v.len > 0)
        memcpy(out + len - v.len, v.ptr, v.len);
    return true;
}

enum bh_err
bh_ecdsa_to_raw(struct bh_span der, size_t half, uint8_t *out)
{
    struct bh_reader r;
    size_t len;

    bh_reader_init(&r, der);
    if (bh_reader_u8(&r) != 0x30)
        return BH_ERR_MALFORMED;
    if ((len = bh_reader_u8(&r)) == 0x81)
        len = bh_reader_u8(&r);
    if (bh_reader_left(&r) != len || !raw_integer(&r, out, half) ||
        !raw_integer(&r, out + half, half) || bh_reader_end(&r) != BH_OK)
        return BH_ERR_MALFORMED;
    return BH_OK;
}
