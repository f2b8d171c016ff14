/* SPDX-License-Identifier: Apache-2.0 */
#include "trust_inputs.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX (1024 * 1024)

static enum bh_err
read_input(const char *path, uint8_t **ret_bytes, size_t *ret_len, struct bh_diag *diag)
{
    if (bh_file_read(path, FILE_MAX, ret_bytes, ret_len, diag) == BH_OK)
        return BH_OK;
    diag->err = BH_ERR_USAGE;
    return BH_ERR_USAGE;
}

static void
warn_published(struct bh_trust_inputs *in, const char *path, struct bh_span key)
{
    if (ev_is_published_key(key))
        (void)snprintf(in->warnings[in->warnings_len++], BH_TEXT_MAX,
            "%s: the private half of this key is published: anybody can sign with it", path);
}

static enum bh_err
load_anchors(struct bh_trust_inputs *in, const char *path, struct bh_diag *diag)
{
    const size_t room = BH_COUNT(in->anchors) - in->anchors_len;
    uint8_t spki[BH_SPKI_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0, n = 0, spki_len;
    enum bh_err e;

    if ((e = read_input(path, &bytes, &len, diag)) != BH_OK)
        return e;
    if (room == 0) {
        e = bh_fail(diag, BH_ERR_TOO_LARGE, "more than %d trust anchors", EV_ANCHORS_MAX);
    } else if (len > 0 && bytes[0] == 0x30) {
        if ((e = bh_x509_der(bh_span(bytes, len), &in->anchors[in->anchors_len], diag)) == BH_OK)
            n = 1;
    } else {
        e = bh_x509_pem(bh_span(bytes, len), in->anchors + in->anchors_len, room, &n, diag);
    }
    free(bytes);
    if (e != BH_OK) {
        bh_name_check(diag, "trust_anchor");
        bh_hint(diag, "%s: give certificates in PEM, or one in DER", path);
        diag->err = BH_ERR_USAGE;
        return BH_ERR_USAGE;
    }
    for (size_t i = in->anchors_len; i < in->anchors_len + n; i++)
        if (bh_x509_spki(in->anchors[i], spki, sizeof(spki), &spki_len, NULL) == BH_OK)
            warn_published(in, path, bh_span(spki, spki_len));
    in->anchors_len += n;
    return BH_OK;
}

/* The one entry of an endorsement file, as a server has it: class and simulation included. */
static enum bh_err
keep_endorsement(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct bh_trust_inputs *in = arg;

    (void)key;
    if (in->keys_len == BH_CLI_KEYS_MAX)
        return BH_ERR_TOO_LARGE;
    in->keys[in->keys_len++] = *e;
    return BH_OK;
}

static enum bh_err
load_key(struct bh_trust_inputs *in, const char *path, struct bh_diag *diag)
{
    struct ev_endorsement *key = &in->keys[in->keys_len];
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = read_input(path, &bytes, &len, diag)) != BH_OK)
        return e;
    if (in->keys_len == BH_CLI_KEYS_MAX) {
        e = bh_fail(diag, BH_ERR_TOO_LARGE, "more than %d endorsed keys", BH_CLI_KEYS_MAX);
    } else if (len > 0 && (bytes[0] == '{' || bytes[0] == '[')) {
        e = ev_endorsement_file(bh_span(bytes, len), keep_endorsement, in, diag);
    } else if ((e = ev_endorsement_from_key(bh_span(bytes, len), key, diag)) == BH_OK) {
        in->keys_len++;
        warn_published(in, path, bh_span(key->key, key->key_len));
    }
    OPENSSL_cleanse(bytes, len);
    free(bytes);
    if (e == BH_OK)
        return BH_OK;
    bh_name_check(diag, "endorsed_key");
    bh_hint(diag,
        "%s: give a public key or certificate in PEM or DER, a raw symmetric key, or an "
        "endorsement file",
        path);
    diag->err = BH_ERR_USAGE;
    return BH_ERR_USAGE;
}

enum bh_err
bh_trust_inputs_load(struct bh_trust_inputs *in, struct bh_diag *diag)
{
    enum bh_err e;

    for (size_t i = 0; i < in->anchor_files_len; i++)
        if ((e = load_anchors(in, in->anchor_files[i], diag)) != BH_OK)
            return e;
    for (size_t i = 0; i < in->key_files_len; i++)
        if ((e = load_key(in, in->key_files[i], diag)) != BH_OK)
            return e;
    if (in->collateral == NULL)
        return BH_OK;
    return bh_collateral_dir_open(in->collateral, &in->collateral_dir, diag);
}

void
bh_trust_inputs_clear(struct bh_trust_inputs *in)
{
    for (size_t i = 0; i < in->anchors_len; i++)
        X509_free(in->anchors[i]);
    in->anchors_len = 0;
    bh_collateral_dir_free(in->collateral_dir);
    in->collateral_dir = NULL;
    OPENSSL_cleanse(in->keys, sizeof(in->keys));
}

static bool
is_simulated(X509 *anchor)
{
    char text[64];
    const int n = X509_NAME_get_text_by_NID(
        X509_get_subject_name(anchor), NID_organizationalUnitName, text, (int)sizeof(text));

    return n > 0 && strcmp(text, "SIMULATED") == 0;
}

static enum bh_err
lookup(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    const struct ev_endorsement *endorsed = arg;

    (void)platform;
    (void)key;
    (void)diag;
    *ret_e = *endorsed;
    return BH_OK;
}

enum bh_err
bh_trust_inputs_authenticate(
    const struct bh_trust_inputs *in, struct ev_evidence *ev, struct ev_report *report)
{
    struct ev_trust trust = {.now = in->at, .allow_simulated = true};
    struct ev_report *before = malloc(sizeof(*before));
    enum bh_err e = BH_OK;

    if (before == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", "trust", NULL, NULL, NULL);
    *before = *report;
    if (in->collateral_dir != NULL) {
        trust.collateral = bh_collateral_dir_find;
        trust.collateral_arg = in->collateral_dir;
    }
    if (in->anchor_files_len == 0)
        e = ev_trust_add_vendor_roots(&trust, NULL);
    for (size_t i = 0; i < in->anchors_len; i++)
        trust.anchors[trust.anchors_len++] =
            (struct ev_anchor){.cert = in->anchors[i], .simulated = is_simulated(in->anchors[i])};
    for (size_t i = 0; e == BH_OK && (i == 0 || i < in->keys_len); i++) {
        struct ev_endorsement key;

        *report = *before;
        if (in->keys_len > 0) {
            key = in->keys[i];
            trust.lookup = lookup;
            trust.lookup_arg = &key;
        }
        if ((e = ev_authenticate(ev, &trust, report)) == BH_OK)
            break;
        if (i + 1 < in->keys_len)
            e = BH_OK;
    }
    if (in->anchor_files_len == 0)
        ev_trust_clear(&trust);
    free(before);
    return e;
}
