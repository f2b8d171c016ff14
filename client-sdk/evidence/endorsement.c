/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endorsed keys (RFC 9334, 4.2): the keys of devices that an administrator vouches
 * for, as files say them, as they travel between processes, and how they are found.
 */
#include "evidence.h"

#include "tpm2.h"

#include "core/json.h"
#include "core/reader.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define ENDORSEMENT_VERSION 1
#define ENDORSED_FILE_MAX (64 * 1024 * 1024)
#define MAC_KEY_MIN 16
#define MAC_KEY_MAX 128
#define INSTANCE_LEN 33

enum flag {
    FLAG_SIMULATED = 1,
    FLAG_SYMMETRIC = 2,
};

/* ---- bytes ---- */

enum bh_err
ev_endorsement_encode(const struct ev_endorsement *e, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct bh_writer w;
    struct bh_span written;
    enum bh_err err;

    if (e->key_len == 0 || e->key_len > sizeof(e->key))
        return BH_ERR_MALFORMED;
    bh_writer_init(&w, out, cap);
    bh_writer_u8(&w, ENDORSEMENT_VERSION);
    bh_writer_u8(&w, (uint8_t)e->key_class);
    bh_writer_u8(
        &w, (uint8_t)((e->simulated ? FLAG_SIMULATED : 0) | (e->symmetric ? FLAG_SYMMETRIC : 0)));
    bh_writer_put(&w, bh_span(e->implementation_id, sizeof(e->implementation_id)));
    bh_writer_vec16(&w, bh_span(e->key, e->key_len));
    if ((err = bh_writer_end(&w, &written)) != BH_OK)
        return err;
    *ret_len = written.len;
    return BH_OK;
}

enum bh_err
ev_endorsement_decode(struct bh_span in, struct ev_endorsement *ret_e, struct bh_diag *diag)
{
    struct ev_endorsement e = {0};
    struct bh_reader r;
    struct bh_span key;
    uint8_t version, key_class, flags;

    bh_reader_init(&r, in);
    version = bh_reader_u8(&r);
    key_class = bh_reader_u8(&r);
    flags = bh_reader_u8(&r);
    bh_reader_copy(&r, e.implementation_id, sizeof(e.implementation_id));
    key = bh_reader_vec16(&r, 1, BH_SPKI_MAX);
    if (bh_reader_end(&r) != BH_OK)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "endorsement: bad framing at byte %zu", bh_reader_off(&r));
    if (version != ENDORSEMENT_VERSION)
        return bh_fail(diag, BH_ERR_MALFORMED, "endorsement: version %u", version);
    if (key_class < EV_KEY_SILICON || key_class > EV_KEY_FILE)
        return bh_fail(diag, BH_ERR_MALFORMED, "endorsement: key class %u", key_class);
    if ((flags & ~(FLAG_SIMULATED | FLAG_SYMMETRIC)) != 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "endorsement: flags %#x", flags);
    e.key_class = key_class;
    e.simulated = (flags & FLAG_SIMULATED) != 0;
    e.symmetric = (flags & FLAG_SYMMETRIC) != 0;
    memcpy(e.key, key.ptr, key.len);
    e.key_len = key.len;
    *ret_e = e;
    OPENSSL_cleanse(&e, sizeof(e));
    return BH_OK;
}

void
ev_endorsement_key(const char *platform, struct bh_span implementation_id,
    struct bh_span instance_id, uint8_t out[32])
{
    uint8_t buf[32 + 2 * 256];
    struct bh_writer w;
    struct bh_span s;

    memset(out, 0, 32);
    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_str(&w, platform);
    bh_writer_u8(&w, 0);
    bh_writer_u8(&w, (uint8_t)implementation_id.len);
    bh_writer_put(&w, implementation_id);
    bh_writer_u8(&w, (uint8_t)instance_id.len);
    bh_writer_put(&w, instance_id);
    /* Identifiers are at most 33 bytes; longer ones have no key that anything stands under. */
    if (implementation_id.len > UINT8_MAX || instance_id.len > UINT8_MAX ||
        bh_writer_end(&w, &s) != BH_OK || bh_sha2(256, s, out) != BH_OK)
        memset(out, 0, 32);
}

/* ---- keys ---- */

/*
 * Keys are kept in one form, the one that bh_spki_decode() takes: a published key cannot hide
 * behind another encoding of its point.
 */
static enum bh_err
keep_public(EVP_PKEY *key, struct ev_endorsement *e, struct bh_diag *diag)
{
    const char *name = bh_key_name(key);
    struct bh_span point;

    if (strcmp(name, "P-256") != 0 && strcmp(name, "P-384") != 0 && strcmp(name, "P-521") != 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "key", "P-256 | P-384 | P-521", name,
            "PSA and CCA tokens are signed with ECDSA");
    e->symmetric = false;
    if (bh_spki_encode(key, e->key, sizeof(e->key), &e->key_len, diag) != BH_OK ||
        bh_spki_point(bh_span(e->key, e->key_len), &name, &point) != BH_OK)
        return bh_refuse(diag, BH_ERR_MALFORMED, "key", "an uncompressed point on a named curve",
            "another form", "the key cannot be written in its common form");
    return BH_OK;
}

/*
 * A key that somebody holds against one piece of evidence may be of any kind: that it does not sign
 * tokens is for the signature's check to say.
 */
static enum bh_err
keep_given(EVP_PKEY *key, struct ev_endorsement *e, struct bh_diag *diag)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return keep_public(key, e, diag);
    e->symmetric = false;
    return bh_spki_encode(key, e->key, sizeof(e->key), &e->key_len, diag);
}

static enum bh_err
public_from_der(struct bh_span der, bool given, bool certificate, struct ev_endorsement *e,
    struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX];
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    enum bh_err err;

    if (certificate) {
        size_t len = 0;

        if ((err = bh_x509_der(der, &cert, diag)) != BH_OK)
            return err;
        err = bh_x509_spki(cert, spki, sizeof(spki), &len, diag);
        X509_free(cert);
        if (err != BH_OK)
            return err;
        der = bh_span(spki, len);
    }
    if ((err = bh_spki_decode(der, &key, diag)) == BH_OK)
        err = given ? keep_given(key, e, diag) : keep_public(key, e, diag);
    EVP_PKEY_free(key);
    return err;
}

static bool
only_white_space(BIO *bio)
{
    char *rest = NULL;
    const long len = BIO_get_mem_data(bio, &rest);

    for (long i = 0; i < len; i++)
        if (strchr(" \t\r\n", rest[i]) == NULL)
            return false;
    return true;
}

/* One PEM block, PUBLIC KEY or (of a given file) CERTIFICATE, and nothing after it. */
static enum bh_err
public_from_pem(struct bh_span pem, bool given, struct ev_endorsement *e, struct bh_diag *diag)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    enum bh_err err = BH_OK;
    long len = 0;
    BIO *bio;

    if (pem.len > BH_CERT_MAX * 2)
        return bh_refuse(
            diag, BH_ERR_TOO_LARGE, "key", NULL, NULL, "a PEM text of %zu bytes", pem.len);
    if ((bio = BIO_new_mem_buf(pem.ptr, (int)pem.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "PEM");
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1)
        err = bh_refuse(diag, BH_ERR_MALFORMED, "key", "a PEM block", "none", "this is not PEM");
    else if (!only_white_space(bio))
        err = bh_refuse(
            diag, BH_ERR_MALFORMED, "key", "one PEM block", "more after it", "a key stands alone");
    else if (strcmp(name, "PUBLIC KEY") == 0)
        err = public_from_der(bh_span(der, (size_t)len), given, false, e, diag);
    else if (given && strcmp(name, "CERTIFICATE") == 0)
        err = public_from_der(bh_span(der, (size_t)len), true, true, e, diag);
    else
        err = bh_refuse(diag, BH_ERR_MALFORMED, "key",
            given ? "PUBLIC KEY | CERTIFICATE" : "PUBLIC KEY", name, "a PEM block of another kind");
    ERR_clear_error();
    /* It may have been a private key. */
    if (der != NULL)
        OPENSSL_cleanse(der, (size_t)len);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return err;
}

static enum bh_err
keep_symmetric(struct bh_span key, struct ev_endorsement *e, struct bh_diag *diag)
{
    if (key.len < MAC_KEY_MIN || key.len > MAC_KEY_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "symmetric_key", NULL, NULL,
            "a symmetric key of %zu bytes; expected %d to %d", key.len, MAC_KEY_MIN, MAC_KEY_MAX);
    memcpy(e->key, key.ptr, key.len);
    e->key_len = key.len;
    e->symmetric = true;
    return BH_OK;
}

/* A DER SEQUENCE whose length is that of the whole file. */
static bool
is_sequence(struct bh_span in)
{
    size_t len = 0;
    struct bh_reader r;

    bh_reader_init(&r, in);
    if (bh_reader_u8(&r) != 0x30)
        return false;
    const uint8_t first = bh_reader_u8(&r);
    if (first < 0x80)
        len = first;
    else if (first <= 0x82)
        for (uint8_t i = 0x80; i < first; i++)
            len = len << 8 | bh_reader_u8(&r);
    else
        return false;
    return bh_reader_ok(&r) && bh_reader_left(&r) == len;
}

enum bh_err
ev_endorsement_from_key(struct bh_span file, struct ev_endorsement *ret_e, struct bh_diag *diag)
{
    static const char begin[] = "-----BEGIN";
    struct ev_endorsement e = {.key_class = EV_KEY_SILICON};
    struct ev_tpm2_public ak;
    EVP_PKEY *key = NULL;
    enum bh_err err = BH_OK;

    /* PEM may have text before it, as tools that print certificates write it. */
    if (file.len > 0 && memmem(file.ptr, file.len, begin, sizeof(begin) - 1) != NULL) {
        err = public_from_pem(file, true, &e, diag);
    } else if (is_sequence(file)) {
        if ((err = public_from_der(file, true, false, &e, NULL)) != BH_OK)
            err = public_from_der(file, true, true, &e, diag);
    } else if (file.len > 0 && file.ptr[0] == 0x04 &&
               (file.len == 65 || file.len == 97 || file.len == 133)) {
        if ((err = bh_ec_point_decode(file, &key, diag)) == BH_OK)
            err = keep_public(key, &e, diag);
        EVP_PKEY_free(key);
    } else if (ev_tpm2_public_read(file, &ak, NULL) == BH_OK) {
        memcpy(e.key, ak.spki, ak.spki_len);
        e.key_len = ak.spki_len;
    } else {
        err = keep_symmetric(file, &e, diag);
    }
    if (err == BH_OK)
        *ret_e = e;
    OPENSSL_cleanse(&e, sizeof(e));
    return err;
}

/* ---- files ---- */

static enum bh_err
read_id(const json_t *entry, const char *name, uint8_t *out, size_t len, struct bh_diag *diag)
{
    const char *text;
    size_t got = 0;
    enum bh_err e;

    if ((e = bh_json_string(entry, name, false, &text, diag)) != BH_OK)
        return e;
    if (bh_unhex(bh_span_str(text), out, len, &got) != BH_OK || got != len)
        return bh_refuse(
            diag, BH_ERR_MALFORMED, name, NULL, text, "expected %zu bytes in hex", len);
    return BH_OK;
}

static enum bh_err
read_symmetric(const char *text, struct ev_endorsement *e, struct bh_diag *diag)
{
    uint8_t key[MAC_KEY_MAX];
    enum bh_err err;
    size_t len = 0;

    if (bh_unbase64url(bh_span_str(text), key, sizeof(key), &len) != BH_OK)
        err = bh_refuse(diag, BH_ERR_MALFORMED, "symmetric_key", "base64url without padding", NULL,
            "not base64url of at most %d bytes", MAC_KEY_MAX);
    else
        err = keep_symmetric(bh_span(key, len), e, diag);
    OPENSSL_cleanse(key, sizeof(key));
    return err;
}

static enum bh_err
read_key(const json_t *entry, bool psa, struct ev_endorsement *e, struct bh_diag *diag)
{
    const char *pem = NULL, *symmetric = NULL, *where;
    enum bh_err err;

    if ((err = bh_json_string(entry, "key", true, &pem, diag)) != BH_OK ||
        (err = bh_json_string(entry, "symmetric_key", true, &symmetric, diag)) != BH_OK)
        return err;
    if ((pem == NULL) == (symmetric == NULL))
        return bh_refuse(diag, BH_ERR_MALFORMED, "key", "one of key and symmetric_key",
            pem == NULL ? "neither" : "both", "an endorsement holds exactly one key");
    if (symmetric != NULL && !psa)
        return bh_refuse(diag, BH_ERR_MALFORMED, "symmetric_key", "key", "symmetric_key",
            "CCA platform tokens are signed, never MACed");
    err = pem != NULL ? public_from_pem(bh_span_str(pem), false, e, diag)
                      : read_symmetric(symmetric, e, diag);
    if (err != BH_OK) {
        bh_name_check(diag, "key");
        return err;
    }
    if ((where = ev_published_key_where(bh_span(e->key, e->key_len))) != NULL) {
        err = bh_refuse(diag, BH_ERR_MALFORMED, "published_key", "a key that only the device holds",
            where, "the private half of this key is published: anybody can make evidence with it");
        bh_hint(diag, "remove this endorsement; endorse the key that the device made itself");
        return err;
    }
    return BH_OK;
}

static enum bh_err
read_class(const json_t *entry, struct ev_endorsement *e, struct bh_diag *diag)
{
    static const char *const names[] = {"silicon", "tpm", "file"};
    const char *text;
    enum bh_err err;

    if ((err = bh_json_string(entry, "class", false, &text, diag)) != BH_OK)
        return err;
    for (size_t i = 0; i < BH_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            e->key_class = (enum ev_key_class)(EV_KEY_SILICON + i);
            return BH_OK;
        }
    return bh_refuse(diag, BH_ERR_MALFORMED, "class", "silicon | tpm | file", text,
        "where the device keeps the key");
}

static enum bh_err
read_arm_entry(const json_t *entry, const char *platform, uint8_t key[32], struct ev_endorsement *e,
    struct bh_diag *diag)
{
    static const char *const members[] = {"platform", "instance_id", "implementation_id", "class",
        "simulated", "key", "symmetric_key", NULL};
    const bool psa = strcmp(platform, "psa") == 0;
    uint8_t instance[INSTANCE_LEN];
    enum bh_err err;

    if ((err = ev_members_only(entry, members, diag)) != BH_OK ||
        (err = read_id(entry, "instance_id", instance, sizeof(instance), diag)) != BH_OK)
        return err;
    if (instance[0] != 0x01)
        return bh_refuse(diag, BH_ERR_MALFORMED, "instance_id", "first byte 01", NULL,
            "an instance id is a UEID of type RAND (RFC 9783, 4.2.1)");
    if ((!psa || json_object_get(entry, "implementation_id") != NULL) &&
        (err = read_id(entry, "implementation_id", e->implementation_id,
             sizeof(e->implementation_id), diag)) != BH_OK)
        return err;
    if ((err = read_class(entry, e, diag)) != BH_OK ||
        (err = bh_json_bool(entry, "simulated", true, &e->simulated, diag)) != BH_OK ||
        (err = read_key(entry, psa, e, diag)) != BH_OK)
        return err;
    ev_endorsement_key(platform,
        psa ? bh_span_none() : bh_span(e->implementation_id, sizeof(e->implementation_id)),
        bh_span(instance, sizeof(instance)), key);
    return BH_OK;
}

/* ---- TPMs ---- */

/* A public area tells whether the key may attest at all, and has the Name. */
static enum bh_err
read_ak(const char *text, struct ev_endorsement *e, struct bh_diag *diag)
{
    uint8_t raw[BH_SPKI_MAX];
    struct ev_tpm2_public ak;
    struct bh_diag why = {0};
    EVP_PKEY *key = NULL;
    const char *fault, *where;
    size_t len = 0;
    enum bh_err err;

    if (bh_unbase64url(bh_span_str(text), raw, sizeof(raw), &len) != BH_OK)
        return bh_refuse(diag, BH_ERR_MALFORMED, "ak", "base64url without padding", NULL,
            "not base64url of at most %zu bytes", sizeof(raw));
    if (ev_tpm2_public_read(bh_span(raw, len), &ak, &why) != BH_OK ||
        bh_spki_decode(bh_span(ak.spki, ak.spki_len), &key, &why) != BH_OK)
        return bh_refuse(
            diag, BH_ERR_MALFORMED, "ak", "a TPMT_PUBLIC", why.detail, "%s", why.detail);
    EVP_PKEY_free(key);
    if ((fault = ev_tpm2_attributes_fault(ak.attributes)) != NULL)
        return bh_refuse(diag, BH_ERR_MALFORMED, "ak", "a restricted signing key of the TPM's own",
            fault, "this key cannot attest");
    if ((where = ev_published_key_where(bh_span(ak.spki, ak.spki_len))) != NULL) {
        err = bh_refuse(diag, BH_ERR_MALFORMED, "published_key", "a key that only the TPM holds",
            where, "the private half of this key is published: anybody can make quotes with it");
        bh_hint(diag, "remove this endorsement; endorse the key that the TPM made itself");
        return err;
    }
    memcpy(e->key, ak.name, ak.name_len);
    e->key_len = ak.name_len;
    return BH_OK;
}

/* The Name of a TPM's object (part 1, 16): an algorithm and its digest. */
static enum bh_err
read_name(const char *text, struct ev_endorsement *e, struct bh_diag *diag)
{
    enum ev_tpm2_bank bank = EV_TPM2_BANKS;

    if (bh_unhex(bh_span_str(text), e->key, EV_TPM2_NAME_MAX, &e->key_len) == BH_OK &&
        e->key_len > 2)
        bank = ev_tpm2_bank_of((uint16_t)(e->key[0] << 8 | e->key[1]));
    if (bank == EV_TPM2_BANKS || bank == EV_TPM2_SHA1 || e->key_len != 2 + ev_tpm2_bank_size(bank))
        return bh_refuse(diag, BH_ERR_MALFORMED, "name",
            "an algorithm and its digest in hex: 000b and 32 bytes for SHA-256", text,
            "this is no Name of a TPM's key");
    return BH_OK;
}

static enum bh_err
read_tpm2_entry(
    const json_t *entry, uint8_t key[32], struct ev_endorsement *e, struct bh_diag *diag)
{
    static const char *const members[] = {
        "platform", "name", "ak", "ek", "class", "simulated", NULL};
    const char *name, *ak;
    enum bh_err err;

    if ((err = ev_members_only(entry, members, diag)) != BH_OK ||
        (err = bh_json_string(entry, "name", true, &name, diag)) != BH_OK ||
        (err = bh_json_string(entry, "ak", true, &ak, diag)) != BH_OK)
        return err;
    if ((name == NULL) == (ak == NULL))
        return bh_refuse(diag, BH_ERR_MALFORMED, "name", "one of name and ak",
            name == NULL ? "neither" : "both", "an endorsement names exactly one key");
    if ((err = name != NULL ? read_name(name, e, diag) : read_ak(ak, e, diag)) != BH_OK ||
        (err = read_class(entry, e, diag)) != BH_OK ||
        (err = bh_json_bool(entry, "simulated", true, &e->simulated, diag)) != BH_OK)
        return err;
    if (json_object_get(entry, "ek") != NULL &&
        (err = read_id(entry, "ek", e->implementation_id, EV_TPM2_EK_LEN, diag)) != BH_OK)
        return err;
    ev_endorsement_key(EV_TPM2_NAME, bh_span_none(), bh_span(e->key, e->key_len), key);
    return BH_OK;
}

static enum bh_err
read_entry(const json_t *entry, uint8_t key[32], struct ev_endorsement *e, struct bh_diag *diag)
{
    const char *platform;
    enum bh_err err;

    if (!json_is_object(entry))
        return bh_fail(diag, BH_ERR_MALFORMED, "an endorsement is a JSON object");
    if ((err = bh_json_string(entry, "platform", false, &platform, diag)) != BH_OK)
        return err;
    if (strcmp(platform, EV_TPM2_NAME) == 0)
        return read_tpm2_entry(entry, key, e, diag);
    if (strcmp(platform, "psa") != 0 && strcmp(platform, "arm-cca") != 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "platform", "psa | arm-cca | tpm2", platform,
            "keys are endorsed for these platforms only");
    return read_arm_entry(entry, platform, key, e, diag);
}

/* A failure's field with the entry's place in the file; "endorsed.published_key" is a check of its
 * own. */
static void
name_field(struct bh_diag *diag, bool list, size_t index)
{
    if (list && diag != NULL && strcmp(diag->check, "published_key") != 0)
        ev_field_prefix(diag, "endorsed[%zu].", index);
    else
        ev_field_prefix(diag, "endorsed.");
    bh_name_check(diag, "endorsed");
}

enum bh_err
ev_endorsement_file(struct bh_span json,
    enum bh_err (*each)(void *arg, const uint8_t key[32], const struct ev_endorsement *e),
    void *arg, struct bh_diag *diag)
{
    struct ev_endorsement e;
    enum bh_err err;
    uint8_t key[32];
    json_t *root;

    if ((err = bh_json_parse(json, ENDORSED_FILE_MAX, &root, diag)) != BH_OK) {
        bh_name_check(diag, "endorsed");
        return err;
    }
    const bool list = json_is_array(root);
    const size_t count = list ? json_array_size(root) : 1;
    /* All of a file or nothing of it: the first pass only reads. */
    for (int pass = 0; pass < 2 && err == BH_OK; pass++) {
        for (size_t i = 0; i < count && err == BH_OK; i++) {
            e = (struct ev_endorsement){0};
            if ((err = read_entry(list ? json_array_get(root, i) : root, key, &e, diag)) != BH_OK)
                name_field(diag, list, i);
            else if (pass == 1)
                err = each(arg, key, &e);
        }
    }
    OPENSSL_cleanse(&e, sizeof(e));
    json_decref(root);
    return err;
}
