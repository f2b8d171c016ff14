/* SPDX-License-Identifier: Apache-2.0 */
#include "challenge.h"

#include "authority/random.h"

#include "core/reader.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#define VERSION 1
#define RANDOM_LEN 16
#define MAC_LEN 32
#define MACED_LEN (BH_CHALLENGE_LEN - MAC_LEN)

enum bh_err
pas_challenges_init(
    struct pas_challenges *c, const uint8_t key[PAS_CHALLENGE_KEY_LEN], struct bh_diag *diag)
{
    char digest_name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    uint8_t id[32];
    enum bh_err e = BH_OK;

    memset(c, 0, sizeof(*c));
    /* The id tells a foreign challenge from a forged one; a hash of the key gives nothing of it
     * away. */
    if (hmac == NULL || (c->mac = EVP_MAC_CTX_new(hmac)) == NULL ||
        EVP_MAC_init(c->mac, key, PAS_CHALLENGE_KEY_LEN, params) != 1 ||
        bh_sha2(256, bh_span(key, PAS_CHALLENGE_KEY_LEN), id) != BH_OK) {
        pas_challenges_clear(c);
        e = bh_fail(diag, BH_ERR_INTERNAL, "the challenge key cannot be used");
    } else {
        memcpy(c->key_id, id, sizeof(c->key_id));
    }
    EVP_MAC_free(hmac);
    return e;
}

void
pas_challenges_clear(struct pas_challenges *c)
{
    EVP_MAC_CTX_free(c->mac);
    memset(c, 0, sizeof(*c));
}

static bool
compute(struct pas_challenges *c, const uint8_t *bytes, uint8_t out[MAC_LEN])
{
    size_t len = 0;

    /* Without a key, init begins again with the one that is set. */
    return EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 &&
           EVP_MAC_update(c->mac, bytes, MACED_LEN) == 1 &&
           EVP_MAC_final(c->mac, out, &len, MAC_LEN) == 1 && len == MAC_LEN;
}

enum bh_err
pas_challenge_mint(struct pas_challenges *c, int64_t now, int64_t life,
    uint8_t out[BH_CHALLENGE_LEN], struct bh_diag *diag)
{
    uint8_t bytes[BH_CHALLENGE_LEN], nonce[RANDOM_LEN];
    struct bh_span all;
    struct bh_writer w;
    enum bh_err e;

    if ((e = pas_random(nonce, sizeof(nonce))) != BH_OK)
        return bh_fail(diag, e, "no randomness for a challenge");
    bh_writer_init(&w, bytes, sizeof(bytes));
    bh_writer_u8(&w, VERSION);
    bh_writer_put(&w, bh_span(c->key_id, sizeof(c->key_id)));
    bh_writer_u64be(&w, (uint64_t)(now + life));
    bh_writer_put(&w, bh_span(nonce, sizeof(nonce)));
    if ((e = bh_writer_end(&w, &all)) != BH_OK || all.len != MACED_LEN ||
        !compute(c, bytes, bytes + MACED_LEN))
        return bh_fail(diag, BH_ERR_INTERNAL, "a challenge cannot be made");
    memcpy(out, bytes, sizeof(bytes));
    return BH_OK;
}

static enum bh_err
invalid(struct bh_diag *diag, const char *check, const char *expected, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_CHALLENGE_INVALID, check, expected, found,
        "the challenge was not made by this server, or was altered");

    bh_hint(
        diag, "ask this server for a challenge (POST /v1/challenges) and send it back as it is");
    return e;
}

enum bh_err
pas_challenge_check(struct pas_challenges *c, struct bh_span challenge, int64_t now,
    int64_t *ret_expires_at, struct bh_diag *diag)
{
    char expected[BH_TIME_MAX + 16], found[BH_TIME_MAX];
    uint8_t mac[MAC_LEN];
    struct bh_reader r;
    enum bh_err e;

    if (challenge.len != BH_CHALLENGE_LEN) {
        (void)snprintf(found, sizeof(found), "%zu bytes", challenge.len);
        return invalid(diag, "challenge.form", "62 bytes", found);
    }
    bh_reader_init(&r, bh_span(challenge.ptr, MACED_LEN));
    const uint8_t version = bh_reader_u8(&r);
    const struct bh_span key_id = bh_reader_take(&r, PAS_CHALLENGE_KEY_ID_LEN);
    const uint64_t expires_at = bh_reader_u64be(&r);

    if (version != VERSION)
        return invalid(diag, "challenge.form", "version 1", "another version");
    if (!bh_span_equal(key_id, bh_span(c->key_id, sizeof(c->key_id))))
        return invalid(diag, "challenge.mac", "a challenge of this server", "another server's");
    if (!compute(c, challenge.ptr, mac))
        return bh_fail(diag, BH_ERR_INTERNAL, "a challenge cannot be checked");
    if (!bh_span_equal_ct(bh_span(mac, MAC_LEN), bh_span(challenge.ptr + MACED_LEN, MAC_LEN)))
        return invalid(diag, "challenge.mac", "the bytes that the server made", "altered bytes");
    if (expires_at > INT64_MAX || (int64_t)expires_at <= now) {
        (void)snprintf(expected, sizeof(expected), "used before %s",
            bh_time_text(expires_at > INT64_MAX ? 0 : (int64_t)expires_at, found));
        e = bh_refuse(diag, BH_ERR_CHALLENGE_EXPIRED, "challenge.expiry", expected,
            bh_time_text(now, found), "the challenge has expired");
        bh_hint(diag, "ask for a new challenge and use it within its life (challenge_life)");
        return e;
    }
    *ret_expires_at = (int64_t)expires_at;
    return BH_OK;
}
