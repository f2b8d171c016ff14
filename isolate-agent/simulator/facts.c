/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

enum bh_err
agent_fact_bytes(
    const json_t *facts, const char *name, uint8_t *out, size_t len, struct bh_diag *diag)
{
    const char *text = NULL;
    size_t got = 0;
    enum bh_err e;

    if ((e = bh_json_string(facts, name, false, &text, diag)) != BH_OK)
        return e;
    if (bh_unhex(bh_span_str(text), out, len, &got) != BH_OK || got != len)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "device.json: %s: expected %zu bytes in hex", name, len);
    return BH_OK;
}

enum bh_err
agent_fact_set(json_t *facts, const char *name, struct bh_span bytes)
{
    char hex[2 * 64 + 1];

    if (bytes.len > 64)
        return BH_ERR_INTERNAL;
    return json_object_set_new(facts, name, json_string(bh_hex(bytes, hex, sizeof(hex)))) == 0
               ? BH_OK
               : BH_ERR_NOMEM;
}

enum bh_err
agent_measure(unsigned bits, const char *what, uint8_t *out)
{
    return bh_sha2(bits, bh_span_str(what), out);
}

json_t *
agent_hex_list(struct bh_span bytes)
{
    char hex[2 * 64 + 1];

    return json_pack("[s]", bh_hex(bytes, hex, sizeof(hex)));
}

/* malloc'ed text out of a memory BIO, which is freed. */
static enum bh_err
take_text(BIO *bio, bool written, char **ret_text, struct bh_diag *diag)
{
    char why[160], *bytes = NULL, *text = NULL;
    const long len = written ? BIO_get_mem_data(bio, &bytes) : 0;

    if (len > 0)
        text = strndup(bytes, (size_t)len);
    BIO_free(bio);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_INTERNAL, "PEM: %s", bh_openssl_why(why, sizeof(why)));
    *ret_text = text;
    return BH_OK;
}

enum bh_err
agent_public_pem(EVP_PKEY *key, char **ret_pem, struct bh_diag *diag)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_text(bio, bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1, ret_pem, diag);
}

enum bh_err
agent_cert_pem(X509 *cert, char **ret_pem, struct bh_diag *diag)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_text(bio, bio != NULL && PEM_write_bio_X509(bio, cert) == 1, ret_pem, diag);
}

enum bh_err
agent_json_write(const char *path, const json_t *json, mode_t mode, struct bh_diag *diag)
{
    char *text = bh_json_text(json, true), *line = NULL;
    enum bh_err e;

    if (text == NULL || asprintf(&line, "%s\n", text) < 0) {
        free(text);
        return bh_fail(diag, BH_ERR_NOMEM, "%s", path);
    }
    e = bh_file_write(path, bh_span_str(line), mode, diag);
    free(line);
    free(text);
    return e;
}
