/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsed keys: their bytes, their files, key files, and keys whose private halves are public. */
#include "arm_tokens.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <stdio.h>
#include <stdlib.h>

#define X16(byte) byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte
#define X32(byte) X16(byte) X16(byte)
#define INSTANCE "01" X32("22")
#define IMPLEMENTATION X32("11")

/* PEM of a public key with its line ends escaped for JSON. */
static void
pem_of(EVP_PKEY *key, bool json, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    size_t at = 0;

    cr_assert_eq(PEM_write_bio_PUBKEY(bio, key), 1);
    const long len = BIO_get_mem_data(bio, &text);
    for (long i = 0; i < len; i++) {
        cr_assert_lt(at + 3, size);
        if (json && text[i] == '\n') {
            out[at++] = '\\';
            out[at++] = 'n';
        } else {
            out[at++] = text[i];
        }
    }
    out[at] = '\0';
    BIO_free(bio);
}

struct kept {
    size_t count;
    uint8_t keys[4][32];
    struct ev_endorsement e[4];
};

static enum bh_err
keep(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct kept *kept = arg;

    memcpy(kept->keys[kept->count], key, 32);
    kept->e[kept->count++] = *e;
    return BH_OK;
}

static enum bh_err
fail_each(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    (void)arg;
    (void)key;
    (void)e;
    return BH_ERR_IO;
}

static void
file_refused(const char *json, const char *check)
{
    struct bh_diag diag = {0};
    struct kept kept = {0};
    const enum bh_err e = ev_endorsement_file(bh_span_str(json), keep, &kept, &diag);

    cr_expect_neq(e, BH_OK, "accepted: %s", json);
    cr_expect_str_eq(diag.check, check, "%s: check %s (%s)", json, diag.check, diag.detail);
    cr_expect_eq(kept.count, 0, "part of a refused file was taken: %s", json);
}

/* ---- bytes ---- */

Test(endorsement, bytes_there_and_back)
{
    struct ev_endorsement e = {.key_class = EV_KEY_TPM, .simulated = true, .key_len = 91}, back;
    uint8_t out[EV_ENDORSEMENT_MAX];
    size_t len;

    memset(e.key, 0x5a, e.key_len);
    memset(e.implementation_id, 0x11, 32);
    cr_assert_eq(ev_endorsement_encode(&e, out, sizeof(out), &len), BH_OK);
    cr_assert_eq(ev_endorsement_decode(bh_span(out, len), &back, NULL), BH_OK);
    cr_expect_eq(back.key_class, EV_KEY_TPM);
    cr_expect(back.simulated && !back.symmetric);
    cr_expect_eq(back.key_len, 91);
    cr_expect_arr_eq(back.key, e.key, 91);
    cr_expect_arr_eq(back.implementation_id, e.implementation_id, 32);
    e.key_len = sizeof(e.key);
    cr_expect_eq(ev_endorsement_encode(&e, out, sizeof(out), &len), BH_OK);
    cr_expect_leq(len, EV_ENDORSEMENT_MAX);
    cr_expect_eq(ev_endorsement_encode(&e, out, 64, &len), BH_ERR_TOO_LARGE);
    e.key_len = 0;
    cr_expect_neq(ev_endorsement_encode(&e, out, sizeof(out), &len), BH_OK);
}

static bool
truncation_refused(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    struct ev_endorsement e;

    (void)arg;
    if (strcmp(how, "truncated") == 0)
        cr_expect_neq(ev_endorsement_decode(mutant, &e, NULL), BH_OK, "%s at %zu", how, at);
    else if (at < 3) /* version, class and flags: every changed value is unknown, but for these */
        cr_expect(ev_endorsement_decode(mutant, &e, NULL) != BH_OK || at > 0, "%s at %zu", how, at);
    else
        (void)!ev_endorsement_decode(mutant, &e, NULL);
    return true;
}

Test(endorsement, broken_bytes)
{
    struct ev_endorsement e = {.key_class = EV_KEY_FILE, .key_len = 16};
    uint8_t out[EV_ENDORSEMENT_MAX + 1] = {0};
    size_t len;

    cr_assert_eq(ev_endorsement_encode(&e, out, sizeof(out), &len), BH_OK);
    bh_mutate(bh_span(out, len), 0, len, 1, truncation_refused, NULL);
    cr_expect_eq(ev_endorsement_decode(bh_span(out, len + 1), &e, NULL), BH_ERR_MALFORMED);
    out[1] = 4;
    cr_expect_eq(ev_endorsement_decode(bh_span(out, len), &e, NULL), BH_ERR_MALFORMED);
    out[1] = 0;
    cr_expect_eq(ev_endorsement_decode(bh_span(out, len), &e, NULL), BH_ERR_MALFORMED);
    out[1] = 1;
    out[2] = 4;
    cr_expect_eq(ev_endorsement_decode(bh_span(out, len), &e, NULL), BH_ERR_MALFORMED);
}

Test(endorsement, lookup_keys_differ)
{
    const struct bh_span ab = bh_span_str("ab"), c = bh_span_str("c"), a = bh_span_str("a"),
                         bc = bh_span_str("bc");
    uint8_t x[32], y[32];

    ev_endorsement_key("arm-cca", ab, c, x);
    ev_endorsement_key("arm-cca", a, bc, y);
    cr_expect_arr_neq(x, y, 32);
    ev_endorsement_key("psa", ab, c, y);
    cr_expect_arr_neq(x, y, 32);
    ev_endorsement_key("psa", bh_span_none(), c, x);
    cr_expect_arr_neq(x, y, 32);
}

/* ---- files ---- */

Test(endorsement, file)
{
    static const char *const classes[] = {"silicon", "tpm", "file"};
    EVP_PKEY *key = make_key("P-256");
    struct kept kept = {0};
    struct bh_diag diag = {0};
    char pem[1024], json[8192];
    uint8_t expected[32];
    const struct bytes instance = unhex(INSTANCE), implementation = unhex(IMPLEMENTATION);

    pem_of(key, true, pem, sizeof(pem));
    for (size_t i = 0; i < BH_COUNT(classes); i++) {
        kept.count = 0;
        (void)snprintf(json, sizeof(json),
            "{\"platform\":\"psa\",\"instance_id\":\"" INSTANCE
            "\",\"class\":\"%s\",\"key\":\"%s\"}",
            classes[i], pem);
        cr_assert_eq(
            ev_endorsement_file(bh_span_str(json), keep, &kept, &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(kept.count, 1);
        cr_expect_eq((size_t)kept.e[0].key_class, i + 1);
        cr_expect_not(kept.e[0].simulated || kept.e[0].symmetric);
    }
    ev_endorsement_key("psa", bh_span_none(), span_of(&instance), expected);
    cr_expect_arr_eq(kept.keys[0], expected, 32);
    kept.count = 0;
    (void)snprintf(json, sizeof(json),
        "[{\"platform\":\"arm-cca\",\"instance_id\":\"" INSTANCE
        "\",\"implementation_id\":\"" IMPLEMENTATION
        "\",\"class\":\"silicon\",\"simulated\":true,\"key\":\"%s\"},"
        "{\"platform\":\"psa\",\"instance_id\":\"" INSTANCE
        "\",\"class\":\"file\",\"symmetric_key\":\"AAECAwQFBgcICQoLDA0ODw\"}]",
        pem);
    cr_assert_eq(
        ev_endorsement_file(bh_span_str(json), keep, &kept, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(kept.count, 2);
    cr_expect(kept.e[0].simulated);
    cr_expect_arr_eq(kept.e[0].implementation_id, implementation.buf, 32);
    ev_endorsement_key("arm-cca", span_of(&implementation), span_of(&instance), expected);
    cr_expect_arr_eq(kept.keys[0], expected, 32);
    cr_expect(kept.e[1].symmetric);
    cr_expect_eq(kept.e[1].key_len, 16);
    cr_expect_eq(ev_endorsement_file(bh_span_str(json), fail_each, NULL, NULL), BH_ERR_IO);
    EVP_PKEY_free(key);
}

/* ---- TPMs ---- */

#define TPM_NAME "000b" X32("ab")
/* A restricted P-256 key of a TPM's; one that is not restricted. */
#define TPM_AK(attributes)                                                                         \
    "0023000b" attributes "000000100018000b000300100020"                                           \
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"                             \
    "0020"                                                                                         \
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

static const char *
tpm_entry(const char *ak_hex, const char *members)
{
    static char json[1024];
    uint8_t raw[256];
    char text[512];
    size_t len;

    cr_assert_eq(bh_unhex(bh_span_str(ak_hex), raw, sizeof(raw), &len), BH_OK);
    (void)snprintf(json, sizeof(json), "{\"platform\":\"tpm2\",\"ak\":\"%s\"%s}",
        bh_base64url(bh_span(raw, len), text, sizeof(text)), members);
    return json;
}

#define TPM_OF(members) "{\"platform\":\"tpm2\",\"class\":\"tpm\"" members "}"

Test(endorsement, keys_of_tpms)
{
    uint8_t name[34] = {0x00, 0x0b}, ek[32], key[32];
    struct bh_diag diag = {0};
    struct kept kept = {0};

    memset(name + 2, 0xab, 32);
    memset(ek, 0xe1, sizeof(ek));
    cr_assert_eq(ev_endorsement_file(
                     bh_span_str(TPM_OF(",\"name\":\"" TPM_NAME "\",\"ek\":\"" X32("e1") "\"")),
                     keep, &kept, &diag),
        BH_OK, "%s", diag.detail);
    ev_endorsement_key("tpm2", bh_span_none(), bh_span(name, sizeof(name)), key);
    cr_expect_arr_eq(kept.keys[0], key, 32);
    cr_expect_eq(kept.e[0].key_class, EV_KEY_TPM);
    cr_expect_eq(kept.e[0].key_len, 34);
    cr_expect_arr_eq(kept.e[0].implementation_id, ek, 32);
    cr_assert_eq(
        ev_endorsement_file(
            bh_span_str(tpm_entry(TPM_AK("00050072"), ",\"class\":\"file\"")), keep, &kept, &diag),
        BH_OK, "%s: %s", diag.check, diag.detail);
    cr_expect_eq(kept.e[1].key_len, 34);
    cr_expect_eq(kept.e[1].key_class, EV_KEY_FILE);
    file_refused(TPM_OF(""), "endorsed.name");
    file_refused(TPM_OF(",\"name\":\"" TPM_NAME "\",\"ak\":\"AA\""), "endorsed.name");
    file_refused(TPM_OF(",\"name\":\"" X32("ab") "\""), "endorsed.name");
    file_refused(TPM_OF(",\"name\":\"0004" X16("ab") "abababab\""), "endorsed.name");
    file_refused(TPM_OF(",\"name\":\"x\""), "endorsed.name");
    file_refused(TPM_OF(",\"ak\":\"AA==\""), "endorsed.ak");
    file_refused(TPM_OF(",\"ak\":\"AAAA\""), "endorsed.ak");
    file_refused(tpm_entry(TPM_AK("00040072"), ",\"class\":\"tpm\""), "endorsed.ak");
    file_refused(tpm_entry(TPM_AK("00050070"), ",\"class\":\"tpm\""), "endorsed.ak");
    file_refused(TPM_OF(",\"name\":\"" TPM_NAME "\",\"ek\":\"e1\""), "endorsed.ek");
    file_refused(
        TPM_OF(",\"name\":\"" TPM_NAME "\",\"instance_id\":\"01\""), "endorsed.instance_id");
    file_refused("{\"platform\":\"tpm2\",\"name\":\"" TPM_NAME "\"}", "endorsed.class");
}

Test(endorsement, file_rules)
{
#define MAC "\"symmetric_key\":\"AAECAwQFBgcICQoLDA0ODw\""
#define PSA "\"platform\":\"psa\",\"instance_id\":\"" INSTANCE "\",\"class\":\"file\""
    file_refused("", "endorsed");
    file_refused("7", "endorsed");
    file_refused("{}", "endorsed.platform");
    file_refused("[{" PSA "," MAC "},{}]", "endorsed[1].platform");
    file_refused("[{" PSA "," MAC "},7]", "endorsed");
    file_refused("{" PSA "," MAC ",\"note\":\"x\"}", "endorsed.note");
    file_refused("{\"platform\":\"tpm\"}", "endorsed.platform");
    file_refused("{\"platform\":\"psa\"}", "endorsed.instance_id");
    file_refused("{\"platform\":\"psa\",\"instance_id\":\"0122\"}", "endorsed.instance_id");
    file_refused(
        "{\"platform\":\"psa\",\"instance_id\":\"02" X32("22") "\"}", "endorsed.instance_id");
    file_refused("{\"platform\":\"psa\",\"instance_id\":\"" INSTANCE "\"}", "endorsed.class");
    file_refused("{\"platform\":\"psa\",\"instance_id\":\"" INSTANCE "\",\"class\":\"hsm\"}",
        "endorsed.class");
    file_refused("{" PSA ",\"simulated\":1," MAC "}", "endorsed.simulated");
    file_refused("{" PSA "}", "endorsed.key");
    file_refused("{" PSA ",\"key\":\"x\"," MAC "}", "endorsed.key");
    file_refused("{" PSA ",\"key\":\"x\"}", "endorsed.key");
    file_refused("{" PSA ",\"symmetric_key\":\"AAEC\"}", "endorsed.symmetric_key");
    file_refused(
        "{" PSA ",\"symmetric_key\":\"AAECAwQFBgcICQoLDA0ODw==\"}", "endorsed.symmetric_key");
    file_refused("{" PSA ",\"implementation_id\":\"11\"," MAC "}", "endorsed.implementation_id");
    file_refused("{\"platform\":\"arm-cca\",\"instance_id\":\"" INSTANCE
                 "\",\"class\":\"file\"," MAC "}",
        "endorsed.implementation_id");
    file_refused("{\"platform\":\"arm-cca\",\"instance_id\":\"" INSTANCE
                 "\",\"implementation_id\":\"" IMPLEMENTATION "\",\"class\":\"file\"," MAC "}",
        "endorsed.symmetric_key");
}

Test(endorsement, file_takes_ec_keys_only)
{
    EVP_PKEY *key = make_key("Ed25519");
    char pem[1024], json[4096];

    pem_of(key, true, pem, sizeof(pem));
    (void)snprintf(json, sizeof(json), "{" PSA ",\"key\":\"%s\"}", pem);
    file_refused(json, "endorsed.key");
    EVP_PKEY_free(key);
}

/* ---- published keys ---- */

static const struct {
    const char *vector;
    bool symmetric;
} published[] = {
    {"cca/cpak-fvp-p384.pub.pem", false},
    {"cca/cpak-veraison-acme-p256.pub.pem", false},
    {"psa/iak-tfm-es.pub.pem", false},
    {"psa/iak-tfm-builtin.pub.pem", false},
    {"ear/veraison-test-signer.pub.pem", false},
    {"ear/corim-signer.pub.pem", false},
    {"cca/cover-corim-signer.pub.pem", false},
    {"psa/rfc9783-hs256.key.bin", true},
    {"psa/tfm-tools-hs256.key.bin", true},
};

/* The file that endorses a key: what a server would be given. */
static void
endorsing_file(const struct ev_endorsement *e, bool compressed, char *json, size_t size)
{
    char text[2048];
    EVP_PKEY *key = NULL;

    if (e->symmetric) {
        (void)snprintf(json, size, "{" PSA ",\"symmetric_key\":\"%s\"}",
            bh_base64url(bh_span(e->key, e->key_len), text, sizeof(text)));
        return;
    }
    cr_assert_eq(bh_spki_decode(bh_span(e->key, e->key_len), &key, NULL), BH_OK);
    if (compressed)
        cr_assert_eq(EVP_PKEY_set_utf8_string_param(
                         key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
            1);
    pem_of(key, true, text, sizeof(text));
    (void)snprintf(json, size, "{" PSA ",\"key\":\"%s\"}", text);
    EVP_PKEY_free(key);
}

Test(endorsement, published_keys_are_refused)
{
    char json[4096];

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < BH_COUNT(published); i++) {
        struct endorser endorser = endorser_of(published[i].vector);
        struct ev_endorsement *e = &endorser.endorsement;

        cr_expect_eq(e->symmetric, published[i].symmetric);
        cr_expect(ev_is_published_key(bh_span(e->key, e->key_len)), "%s", published[i].vector);
        cr_expect_not_null(ev_published_key_where(bh_span(e->key, e->key_len)));
        endorsing_file(e, false, json, sizeof(json));
        file_refused(json, "endorsed.published_key");
        /* The same point in another encoding is no way round. */
        endorsing_file(e, true, json, sizeof(json));
        file_refused(json, e->symmetric ? "endorsed.published_key" : "endorsed.key");
        /* HMAC pads with zeros: the padded key makes the same tags. */
        if (!e->symmetric)
            continue;
        e->key[e->key_len] = 0;
        e->key_len++;
        endorsing_file(e, false, json, sizeof(json));
        file_refused(json, "endorsed.published_key");
    }
}

Test(endorsement, published_key_has_a_hint)
{
    struct bh_diag diag = {0};
    struct kept kept = {0};
    char json[4096];

    if (bh_vectors() == NULL)
        return;
    struct endorser endorser = endorser_of("psa/iak-tfm-es.pub.pem");
    endorsing_file(&endorser.endorsement, false, json, sizeof(json));
    cr_expect_neq(ev_endorsement_file(bh_span_str(json), keep, &kept, &diag), BH_OK);
    cr_expect_neq(diag.hint[0], '\0');
    cr_expect_not_null(strstr(diag.found, "RFC 9783"));
}

Test(endorsement, own_keys_are_not_published)
{
    EVP_PKEY *key = make_key("P-256");
    struct endorser endorser = endorser_of_key(key);
    const struct bh_span spki = bh_span(endorser.endorsement.key, endorser.endorsement.key_len);

    cr_expect_not(ev_is_published_key(spki));
    cr_expect_not(ev_is_published_key(bh_span_none()));
    if (bh_vectors() != NULL) {
        endorser = endorser_of("cca/cpak-islet-p384.pub.pem");
        cr_expect_not(
            ev_is_published_key(bh_span(endorser.endorsement.key, endorser.endorsement.key_len)));
    }
    EVP_PKEY_free(key);
}

/* ---- key files ---- */

Test(endorsement, key_files)
{
    EVP_PKEY *key = make_key("P-384");
    struct endorser expected = endorser_of_key(key);
    const struct bh_span spki = bh_span(expected.endorsement.key, expected.endorsement.key_len);
    struct ev_endorsement e;
    struct bh_span point;
    const char *name;
    char pem[2048];

    pem_of(key, false, pem, sizeof(pem));
    cr_assert_eq(ev_endorsement_from_key(bh_span_str(pem), &e, NULL), BH_OK);
    cr_expect(bh_span_equal(bh_span(e.key, e.key_len), spki));
    cr_expect_eq(e.key_class, EV_KEY_SILICON);
    cr_assert_eq(ev_endorsement_from_key(spki, &e, NULL), BH_OK);
    cr_expect(bh_span_equal(bh_span(e.key, e.key_len), spki));
    cr_assert_eq(bh_spki_point(spki, &name, &point), BH_OK);
    cr_assert_eq(ev_endorsement_from_key(point, &e, NULL), BH_OK);
    cr_expect(bh_span_equal(bh_span(e.key, e.key_len), spki));
    cr_expect_not(e.symmetric, "a public point must never serve as a MAC key");
    cr_assert_eq(ev_endorsement_from_key(bh_span(point.ptr + 1, 32), &e, NULL), BH_OK);
    cr_expect(e.symmetric);
    cr_expect_eq(e.key_len, 32);
    EVP_PKEY_free(key);
}

Test(endorsement, key_files_refused)
{
    EVP_PKEY *key = make_key("P-256");
    struct endorser good = endorser_of_key(key);
    const size_t len = good.endorsement.key_len;
    struct ev_endorsement e;
    uint8_t buf[256];
    char pem[2048], *private_pem = NULL;

    cr_expect_eq(ev_endorsement_from_key(bh_span_none(), &e, NULL), BH_ERR_MALFORMED);
    memset(buf, 0x77, sizeof(buf));
    cr_expect_eq(ev_endorsement_from_key(bh_span(buf, 15), &e, NULL), BH_ERR_MALFORMED);
    cr_expect_eq(ev_endorsement_from_key(bh_span(buf, 129), &e, NULL), BH_ERR_MALFORMED);
    memcpy(buf, good.endorsement.key, len);
    buf[15] ^= 1; /* the curve: broken DER of a key is no symmetric key */
    cr_expect_eq(ev_endorsement_from_key(bh_span(buf, len), &e, NULL), BH_ERR_MALFORMED);
    memcpy(buf, good.endorsement.key, len);
    buf[len - 1] ^= 1; /* off the curve */
    cr_expect_eq(ev_endorsement_from_key(bh_span(buf, len), &e, NULL), BH_ERR_MALFORMED);
    cr_expect_eq(ev_endorsement_from_key(bh_span(buf + 26, 65), &e, NULL), BH_ERR_MALFORMED);
    pem_of(key, false, pem, sizeof(pem));
    pem[strlen(pem) - 30] ^= 1;
    cr_expect_eq(ev_endorsement_from_key(bh_span_str(pem), &e, NULL), BH_ERR_MALFORMED);
    pem_of(key, false, pem, sizeof(pem));
    (void)snprintf(pem + strlen(pem), 8, "more\n");
    cr_expect_eq(ev_endorsement_from_key(bh_span_str(pem), &e, NULL), BH_ERR_MALFORMED);
    cr_assert_eq(bh_key_to_pem(key, NULL, &private_pem, NULL), BH_OK);
    cr_expect_eq(ev_endorsement_from_key(bh_span_str(private_pem), &e, NULL), BH_ERR_MALFORMED);
    free(private_pem);
    EVP_PKEY_free(key);
}

/* A given key of another kind is no wrong usage: no token verifies with it, and that is said. */
Test(endorsement, key_files_of_other_kinds)
{
    EVP_PKEY *signer = make_key("P-256"), *other = make_key("Ed25519");
    const struct psa_shape shape = psa_shape();
    const struct bytes payload = psa_payload(&shape);
    const struct bytes token = sign(span_of(&payload), signer);
    struct endorser endorser = {0};
    struct bh_diag diag = {0};
    char pem[2048];

    pem_of(other, false, pem, sizeof(pem));
    cr_assert_eq(ev_endorsement_from_key(bh_span_str(pem), &endorser.endorsement, &diag), BH_OK);
    cr_expect_not(endorser.endorsement.symmetric);
    const struct ev_trust trust = trust_in(&endorser);
    must_refuse(span_of(&token), NULL, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature", "Ed25519");
    EVP_PKEY_free(signer);
    EVP_PKEY_free(other);
}

/* Tools print a certificate's or key's content before its PEM. */
Test(endorsement, key_files_with_text_before)
{
    EVP_PKEY *key = make_key("P-256");
    const struct endorser expected = endorser_of_key(key);
    char pem[2048], text[4096];
    struct ev_endorsement e;

    pem_of(key, false, pem, sizeof(pem));
    (void)snprintf(text, sizeof(text), "\nPublic-Key: (256 bit)\n%s\n", pem);
    cr_assert_eq(ev_endorsement_from_key(bh_span_str(text), &e, NULL), BH_OK);
    cr_expect(bh_span_equal(bh_span(e.key, e.key_len),
        bh_span(expected.endorsement.key, expected.endorsement.key_len)));
    EVP_PKEY_free(key);
}

Test(endorsement, recorded_key_files)
{
    if (bh_vectors() == NULL)
        return;
    const struct endorser point = endorser_of("cca/cpak-islet-p384.sec1.bin");
    const struct endorser spki = endorser_of("cca/cpak-islet-p384.pub.pem");
    cr_expect(bh_span_equal(bh_span(point.endorsement.key, point.endorsement.key_len),
        bh_span(spki.endorsement.key, spki.endorsement.key_len)));
    const struct endorser cert = endorser_of("psa/cmc-iak-cert.pem");
    const struct endorser builtin = endorser_of("psa/iak-tfm-builtin.pub.pem");
    cr_expect(bh_span_equal(bh_span(cert.endorsement.key, cert.endorsement.key_len),
        bh_span(builtin.endorsement.key, builtin.endorsement.key_len)));
    /* An RSA key, which signs no token. */
    struct endorser other = endorser_of("psa/cmc-other-device-cert.pem");
    const struct ev_trust trust = trust_in(&other);
    size_t len;
    uint8_t *token = bh_vector("psa/cmc-p1-certified-iak.cbor", &len);
    must_refuse(
        bh_span(token, len), NULL, &trust, BH_ERR_NOT_AUTHENTIC, "psa.signature", "RSA key");
    free(token);
}
