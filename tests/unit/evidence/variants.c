/* SPDX-License-Identifier: Apache-2.0 */
#include "variants.h"

#include "core/x509.h"

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>

void
chance_init(struct chance *c, uint64_t seed)
{
    *c = (struct chance){.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
}

unsigned
chance_of(struct chance *c, unsigned n)
{
    c->state ^= c->state << 13;
    c->state ^= c->state >> 7;
    c->state ^= c->state << 17;
    return (unsigned)((c->state >> 32) % n);
}

bool
chance_half(struct chance *c)
{
    return chance_of(c, 2) == 0;
}

size_t
chance_hash(struct chance *c)
{
    return 32 + 16 * (size_t)chance_of(c, 3);
}

struct bh_span
item_span(const struct item *item)
{
    return bh_span(item->buf, item->len);
}

static void
item_take(const struct bh_writer *w, struct item *ret_item)
{
    struct bh_span s;

    cr_assert_eq(bh_writer_end(w, &s), BH_OK);
    cr_assert_leq(s.len, sizeof(ret_item->buf));
    memmove(ret_item->buf, s.ptr, s.len);
    ret_item->len = s.len;
}

/* ---- items ---- */

void
put_head(struct bh_writer *w, struct chance *c, unsigned major, uint64_t value)
{
    unsigned width = value < 24 ? 0 : value <= 0xff ? 1 : value <= 0xffff ? 2 : 3;

    if (value > 0xffffffff)
        width = 4;
    if (c->wide && chance_of(c, 3) == 0)
        width += chance_of(c, 5 - width);
    bh_writer_u8(w, (uint8_t)(major << 5 | (width == 0 ? value : 23 + width)));
    for (unsigned i = width == 0 ? 0 : 1u << (width - 1); i > 0; i--)
        bh_writer_u8(w, (uint8_t)(value >> 8 * (i - 1)));
}

void
put_int(struct bh_writer *w, struct chance *c, int64_t value)
{
    put_head(w, c, value < 0 ? 1 : 0, value < 0 ? (uint64_t)(-1 - value) : (uint64_t)value);
}

void
put_bytes(struct bh_writer *w, struct chance *c, const void *bytes, size_t len)
{
    put_head(w, c, 2, len);
    bh_writer_put(w, bh_span(bytes, len));
}

void
put_random(struct bh_writer *w, struct chance *c, int first, size_t len)
{
    put_head(w, c, 2, len);
    for (size_t i = 0; i < len; i++)
        bh_writer_u8(w, (uint8_t)(i == 0 && first >= 0 ? (unsigned)first : chance_of(c, 256)));
}

void
put_text(struct bh_writer *w, struct chance *c, const char *text)
{
    put_head(w, c, 3, strlen(text));
    bh_writer_str(w, text);
}

void
put_anything(struct bh_writer *w, struct chance *c)
{
    static const char *const encoded[] = {"\xf5", "\xf6", "\xf7",
        "\xfb\x40\x09\x21\xfb\x54\x44\x2d", "\xf9\x3c\x01", "\xc1\x1a\x65\x4f\x01\x02",
        "\xa2\x01\x82\x02\x03\x61\x78\xa1\x41\x01\xf4", "\x83\x01\x62\xc3\xa4\x41\xff",
        "\xd9\xd9\xf7\x80"};
    const unsigned i = chance_of(c, BH_COUNT(encoded) + 2);

    if (i >= BH_COUNT(encoded))
        put_int(w, c, (int64_t)chance_of(c, 100000) - 50000);
    else
        bh_writer_str(w, encoded[i]);
    if (i == 3) /* the last byte of the float */
        bh_writer_u8(w, 0x18);
}

/* ---- maps ---- */

void
map_init(struct map *m, struct chance *c)
{
    m->c = c;
    m->len = 0;
}

static void
map_close_pair(struct map *m)
{
    if (m->len == 0)
        return;
    cr_assert(bh_writer_ok(&m->w));
    m->lens[m->len - 1] = bh_writer_len(&m->w);
}

static struct bh_writer *
map_next(struct map *m)
{
    map_close_pair(m);
    cr_assert_lt(m->len, (size_t)PAIRS_MAX);
    bh_writer_init(&m->w, m->bufs[m->len++], PAIR_MAX);
    return &m->w;
}

struct bh_writer *
map_key(struct map *m, int64_t key)
{
    struct bh_writer *w = map_next(m);

    put_int(w, m->c, key);
    return w;
}

struct bh_writer *
map_text_key(struct map *m, const char *key)
{
    struct bh_writer *w = map_next(m);

    put_text(w, m->c, key);
    return w;
}

void
map_end(struct map *m, bool indefinite, struct item *ret_item)
{
    size_t order[PAIRS_MAX];
    struct bh_writer w;

    map_close_pair(m);
    for (size_t i = 0; i < m->len; i++) {
        const size_t k = chance_of(m->c, (unsigned)i + 1);

        order[i] = order[k];
        order[k] = i;
    }
    bh_writer_init(&w, ret_item->buf, sizeof(ret_item->buf));
    if (indefinite)
        bh_writer_u8(&w, 0xbf);
    else
        put_head(&w, m->c, 5, m->len);
    for (size_t i = 0; i < m->len; i++)
        bh_writer_put(&w, bh_span(m->bufs[order[i]], m->lens[order[i]]));
    if (indefinite)
        bh_writer_u8(&w, 0xff);
    item_take(&w, ret_item);
}

/* ---- what PSA and CCA tokens have ---- */

static void
put_component(struct bh_writer *w, struct chance *c, enum software_fault fault)
{
    static struct item one;
    static struct map m;

    map_init(&m, c);
    if (fault == SOFTWARE_TYPE_IS_BYTES)
        put_random(map_key(&m, 1), c, -1, 4);
    else if (chance_half(c))
        put_text(map_key(&m, 1), c, chance_half(c) ? "BL" : "");
    if (fault != SOFTWARE_NO_MEASUREMENT)
        put_random(map_key(&m, 2), c, -1, fault == SOFTWARE_MEASUREMENT_33 ? 33 : chance_hash(c));
    if (fault == SOFTWARE_TWICE)
        put_random(map_key(&m, 2), c, -1, 32);
    if (fault == SOFTWARE_VERSION_IS_INT)
        put_int(map_key(&m, 4), c, 1);
    else if (chance_half(c))
        put_text(map_key(&m, 4), c, chance_half(c) ? "1.2.3+4" : "");
    if (fault != SOFTWARE_NO_SIGNER)
        put_random(map_key(&m, 5), c, -1, fault == SOFTWARE_SIGNER_31 ? 31 : chance_hash(c));
    if (chance_half(c))
        put_text(map_key(&m, 6), c, "sha-256");
    if (chance_half(c)) /* RMM 2.0: live activation, and who signed too */
        put_anything(map_key(&m, 7), c);
    if (chance_half(c))
        put_anything(map_text_key(&m, "vendor"), c);
    map_end(&m, fault == SOFTWARE_INDEFINITE, &one);
    bh_writer_put(w, item_span(&one));
}

void
put_software(struct bh_writer *w, struct chance *c, enum software_fault fault)
{
    const unsigned n = fault == SOFTWARE_EMPTY ? 0 : 1 + chance_of(c, 6);
    const unsigned at = n > 0 ? chance_of(c, n) : 0;

    put_head(w, c, 4, n);
    for (unsigned i = 0; i < n; i++)
        if (i == at && fault == SOFTWARE_NOT_MAPS)
            put_int(w, c, 1);
        else
            put_component(w, c, i == at ? fault : SOFTWARE_RIGHT);
}

int64_t
any_lifecycle(struct chance *c)
{
    return (int64_t)chance_of(c, 7) * 0x1000 + chance_of(c, 0x100);
}

/* ---- COSE ---- */

void
cose_right(struct cose_plan *plan, struct chance *c)
{
    *plan = (struct cose_plan){
        .tagged = true, .headers = chance_half(c), .other_signature = chance_half(c)};
}

static int64_t
alg_of(EVP_PKEY *key)
{
    const char *name = bh_key_name(key);

    return strcmp(name, "P-256") == 0   ? BH_COSE_ES256
           : strcmp(name, "P-384") == 0 ? BH_COSE_ES384
                                        : BH_COSE_ES512;
}

static void
make_headers(const struct cose_plan *plan, struct chance *c, int64_t alg, struct item *protected_,
    struct item *unprotected)
{
    static struct map p, u;

    map_init(&p, c);
    map_init(&u, c);
    if (!plan->no_alg && !plan->alg_outside)
        put_int(map_key(&p, 1), c, plan->alg != 0 ? plan->alg : alg);
    if (plan->alg_outside)
        put_int(map_key(&u, 1), c, alg);
    if (plan->headers) {
        put_random(map_key(chance_half(c) ? &p : &u, 4), c, -1, chance_of(c, 33));
        put_text(map_key(&p, 16), c, "application/eat+cwt");
        put_int(map_key(&p, 3), c, 263);
        put_random(map_key(&u, 33), c, -1, 20);
        put_anything(map_key(&u, -70001), c);
        put_anything(map_text_key(&p, "vendor"), c);
    }
    map_end(&p, false, protected_);
    if (p.len == 0)
        protected_->len = 0;
    map_end(&u, false, unprotected);
}

static void
order_of(EVP_PKEY *key, size_t half, uint8_t *out)
{
    char group[32];
    size_t len;

    cr_assert_eq(EVP_PKEY_get_group_name(key, group, sizeof(group), &len), 1);
    EC_GROUP *g = EC_GROUP_new_by_curve_name(OBJ_sn2nid(group));
    cr_assert_neq(g, NULL);
    cr_assert_eq(BN_bn2binpad(EC_GROUP_get0_order(g), out, (int)half), (int)half);
    EC_GROUP_free(g);
}

static void
replace_half(uint8_t *half, const char *by, const uint8_t *order, size_t len)
{
    if (by == NULL)
        return;
    memset(half, 0, len);
    if (strcmp(by, "n") == 0)
        memcpy(half, order, len);
}

static size_t
make_signature(const struct cose_plan *plan, EVP_PKEY *key, struct bh_span tbs, uint8_t out[132])
{
    uint8_t order[66];
    size_t len, half;

    cr_assert_eq(bh_ecdsa_sign(key, tbs, out, &len, NULL), BH_OK);
    half = len / 2;
    order_of(key, half, order);
    if (plan->other_signature) {
        BIGNUM *s = BN_bin2bn(out + half, (int)half, NULL), *n = BN_bin2bn(order, (int)half, NULL);

        cr_assert(BN_sub(s, n, s) == 1 && BN_bn2binpad(s, out + half, (int)half) == (int)half);
        BN_free(s);
        BN_free(n);
    }
    replace_half(out, plan->r, order, half);
    replace_half(out + half, plan->s, order, half);
    return len;
}

static size_t
make_mac(const struct cose_plan *plan, struct bh_span tbs, uint8_t out[132])
{
    const char *digest = plan->mac_alg == BH_COSE_HS256   ? "SHA256"
                         : plan->mac_alg == BH_COSE_HS384 ? "SHA384"
                                                          : "SHA512";
    size_t len = 0;

    cr_assert_neq(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, plan->mac.ptr, plan->mac.len, tbs.ptr,
                      tbs.len, out, 132, &len),
        NULL);
    return len;
}

void
cose_make(const struct cose_plan *plan, struct chance *c, EVP_PKEY *key, struct bh_span payload,
    struct item *ret_item)
{
    static struct item protected_, unprotected, tbs;
    const bool mac = plan->mac.len > 0;
    uint8_t signature[132];
    struct bh_writer w;
    size_t len;

    make_headers(plan, c, mac ? plan->mac_alg : alg_of(key), &protected_, &unprotected);
    bh_writer_init(&w, tbs.buf, sizeof(tbs.buf));
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_tstr(&w, mac ? "MAC0" : "Signature1");
    bh_writer_cbor_bstr(&w, item_span(&protected_));
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_bstr(&w, payload);
    item_take(&w, &tbs);
    len = mac ? make_mac(plan, item_span(&tbs), signature)
              : make_signature(plan, key, item_span(&tbs), signature);
    if (plan->flip)
        signature[chance_of(c, (unsigned)len)] ^= (uint8_t)(1u << chance_of(c, 8));
    bh_writer_init(&w, ret_item->buf, sizeof(ret_item->buf));
    if (plan->tagged)
        put_head(&w, c, 6, mac ? 17 : 18);
    put_head(&w, c, 4, 4);
    put_bytes(&w, c, protected_.buf, protected_.len);
    bh_writer_put(&w, item_span(&unprotected));
    put_bytes(&w, c, payload.ptr, payload.len);
    put_bytes(&w, c, signature, len - (plan->cut ? 1 : 0));
    for (size_t i = 0; i < plan->trailing; i++)
        bh_writer_u8(&w, 0);
    item_take(&w, ret_item);
}
