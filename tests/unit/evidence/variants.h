/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence in all the forms that its specification allows, made by chance from a seed, and in one
 * that it does not: maps in any order, heads of any width, headers and claims that nobody knows.
 */
#ifndef VARIANTS_H
#define VARIANTS_H

#include "core/cose.h"
#include "core/writer.h"

/** A small generator of numbers; the same seed gives the same evidence. */
struct chance {
    uint64_t state;
    bool wide; /* heads are written wider than needed, now and then */
};
void chance_init(struct chance *c, uint64_t seed);
/** 0 to @p n - 1. */
unsigned chance_of(struct chance *c, unsigned n);
bool chance_half(struct chance *c);
/** One of 32, 48, 64. */
size_t chance_hash(struct chance *c);

#define ITEM_MAX 16384
/** One encoded item. */
struct item {
    uint8_t buf[ITEM_MAX];
    size_t len;
};
struct bh_span item_span(const struct item *item);

/** Writers of one item each, in a random form. */
void put_head(struct bh_writer *w, struct chance *c, unsigned major, uint64_t value);
void put_int(struct bh_writer *w, struct chance *c, int64_t value);
void put_bytes(struct bh_writer *w, struct chance *c, const void *bytes, size_t len);
/** @p len random bytes, the first one @p first unless that is negative. */
void put_random(struct bh_writer *w, struct chance *c, int first, size_t len);
void put_text(struct bh_writer *w, struct chance *c, const char *text);
/** An item of any kind, for keys that nobody knows. */
void put_anything(struct bh_writer *w, struct chance *c);

#define PAIRS_MAX 24
#define PAIR_MAX 5120
/** A map in the making; map_end() writes its pairs in random order. */
struct map {
    struct chance *c;
    struct bh_writer w; /* of the pair in the making */
    size_t len;
    size_t lens[PAIRS_MAX];
    uint8_t bufs[PAIRS_MAX][PAIR_MAX];
};
void map_init(struct map *m, struct chance *c);
/** Begin a pair; its value is then written to the result. */
struct bh_writer *map_key(struct map *m, int64_t key);
struct bh_writer *map_text_key(struct map *m, const char *key);
void map_end(struct map *m, bool indefinite, struct item *ret_item);

/** What is wrong with one of the software components of a token. */
enum software_fault {
    SOFTWARE_RIGHT,
    SOFTWARE_EMPTY,
    SOFTWARE_NO_SIGNER,
    SOFTWARE_NO_MEASUREMENT,
    SOFTWARE_MEASUREMENT_33,
    SOFTWARE_SIGNER_31,
    SOFTWARE_TYPE_IS_BYTES,
    SOFTWARE_VERSION_IS_INT,
    SOFTWARE_NOT_MAPS,
    SOFTWARE_INDEFINITE,
    SOFTWARE_TWICE,
    SOFTWARE_FAULTS,
};
/** The claim's array: 1 to 6 components, one of them with @p fault. */
void put_software(struct bh_writer *w, struct chance *c, enum software_fault fault);
/** A defined state in any of its values. */
int64_t any_lifecycle(struct chance *c);

/** What a COSE message is made of; cose_right() gives a good one. */
struct cose_plan {
    bool tagged;
    bool headers;         /* kid, x5chain, typ and ones that nobody knows, in both maps */
    bool other_signature; /* n - s instead of s */
    struct bh_span mac;   /* a COSE_Mac0 by this key, HS256, HS384 or HS512 by @p mac_alg */
    int64_t mac_alg;
    /* Faults. */
    bool no_alg, alg_outside;
    int64_t alg;       /* not that of the key; 0: that of the key */
    const char *r, *s; /* instead of the signature's halves: "0", "n", or NULL */
    bool cut, flip;
    size_t trailing;
};
void cose_right(struct cose_plan *plan, struct chance *c);
void cose_make(const struct cose_plan *plan, struct chance *c, EVP_PKEY *key,
    struct bh_span payload, struct item *ret_item);

#endif
