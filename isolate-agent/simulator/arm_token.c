/* SPDX-License-Identifier: Apache-2.0 */
/* What the tokens of PSA (RFC 9783) and CCA (draft-ffm-rats-cca-token) have in common. */
#include "simulator.h"

#include "core/cose.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION "1.0.0"

enum component_key { /* RFC 9783, 4.4.1 */
    COMPONENT_TYPE = 1,
    COMPONENT_MEASUREMENT = 2,
    COMPONENT_VERSION = 4,
    COMPONENT_SIGNER = 5,
    COMPONENT_HASH = 6,
};

#define CLAIM_SOFTWARE 2399

static json_t *
make_component(const char *platform, const char *name)
{
    uint8_t measurement[32], signer[32];
    char what[120], m[65], s[65];

    (void)snprintf(what, sizeof(what), "SIMULATED %s %s %s", platform, name, VERSION);
    if (agent_measure(256, what, measurement) != BH_OK)
        return NULL;
    (void)snprintf(what, sizeof(what), "SIMULATED %s signer", platform);
    if (agent_measure(256, what, signer) != BH_OK)
        return NULL;
    return json_pack("{s:s,s:s,s:s,s:s}", "type", name, "version", VERSION, "measurement",
        bh_hex(bh_span(measurement, 32), m, sizeof(m)), "signer",
        bh_hex(bh_span(signer, 32), s, sizeof(s)));
}

enum bh_err
agent_software_make(json_t *facts, const char *platform, const char *const *names)
{
    json_t *list = json_array();

    for (size_t i = 0; names[i] != NULL; i++)
        if (json_array_append_new(list, make_component(platform, names[i])) != 0) {
            json_decref(list);
            return BH_ERR_NOMEM;
        }
    return json_object_set_new(facts, "software", list) == 0 ? BH_OK : BH_ERR_NOMEM;
}

static enum bh_err
read_component(const json_t *from, struct agent_component *c, struct bh_diag *diag)
{
    const char *type = NULL, *version = NULL;
    enum bh_err e;

    if ((e = bh_json_string(from, "type", false, &type, diag)) != BH_OK ||
        (e = bh_json_string(from, "version", false, &version, diag)) != BH_OK ||
        (e = agent_fact_bytes(from, "measurement", c->measurement, 32, diag)) != BH_OK ||
        (e = agent_fact_bytes(from, "signer", c->signer, 32, diag)) != BH_OK)
        return e;
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
    (void)snprintf(c->version, sizeof(c->version), "%s", version);
    return BH_OK;
}

enum bh_err
agent_software_read(const json_t *facts, struct agent_software *ret_software, struct bh_diag *diag)
{
    struct agent_software software = {0};
    json_t *list = NULL;
    enum bh_err e;

    if ((e = bh_json_member(facts, "software", JSON_ARRAY, false, &list, diag)) != BH_OK)
        return e;
    /* One place stays free for the component that tampering adds. */
    if (json_array_size(list) == 0 || json_array_size(list) >= AGENT_COMPONENTS_MAX)
        return bh_fail(diag, BH_ERR_MALFORMED, "device.json: software: expected 1 to %d components",
            AGENT_COMPONENTS_MAX - 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        if ((e = read_component(json_array_get(list, i), &software.items[software.len++], diag)) !=
            BH_OK)
            return e;
    *ret_software = software;
    return BH_OK;
}

static void
write_component(struct bh_writer *w, const struct agent_component *c)
{
    bh_writer_cbor_map(w, 5);
    bh_writer_cbor_int(w, COMPONENT_TYPE);
    bh_writer_cbor_tstr(w, c->type);
    bh_writer_cbor_int(w, COMPONENT_SIGNER);
    bh_writer_cbor_bstr(w, bh_span(c->signer, sizeof(c->signer)));
    bh_writer_cbor_int(w, COMPONENT_VERSION);
    bh_writer_cbor_tstr(w, c->version);
    bh_writer_cbor_int(w, COMPONENT_MEASUREMENT);
    bh_writer_cbor_bstr(w, bh_span(c->measurement, sizeof(c->measurement)));
    bh_writer_cbor_int(w, COMPONENT_HASH);
    bh_writer_cbor_tstr(w, "sha-256");
}

void
agent_software_claim(struct bh_writer *w, const struct agent_software *software,
    enum agent_tamper tamper, bool measured)
{
    struct agent_software s = *software;

    if (tamper == AGENT_TAMPER_MISSING_COMPONENT)
        s.len--;
    if (tamper == AGENT_TAMPER_EXTRA_COMPONENT) {
        s.items[s.len] = s.items[0];
        (void)snprintf(s.items[s.len].type, sizeof(s.items[s.len].type), "EXTRA");
        s.items[s.len].measurement[0] ^= 0xff;
        s.len++;
    }
    if (tamper == AGENT_TAMPER_MEASUREMENT && measured)
        s.items[0].measurement[0] ^= 0xff;
    bh_writer_cbor_int(w, CLAIM_SOFTWARE);
    bh_writer_cbor_array(w, s.len);
    for (size_t i = 0; i < s.len; i++)
        write_component(w, &s.items[i]);
}

json_t *
agent_software_policy(const struct agent_software *software)
{
    json_t *list = json_array();

    for (size_t i = 0; i < software->len; i++) {
        const struct agent_component *c = &software->items[i];

        if (json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "type", c->type, "measurement",
                                            agent_hex_list(bh_span(c->measurement, 32)), "signer",
                                            agent_hex_list(bh_span(c->signer, 32)))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum bh_err
agent_point(EVP_PKEY *key, uint8_t out[97], size_t *ret_len, struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX];
    const char *name = NULL;
    struct bh_span point;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_spki_encode(key, spki, sizeof(spki), &len, diag)) != BH_OK ||
        (e = bh_spki_point(bh_span(spki, len), &name, &point)) != BH_OK)
        return bh_fail(diag, e, "the device's key has no uncompressed point");
    if (point.len > 97)
        return bh_fail(diag, BH_ERR_INTERNAL, "the device's key is too long");
    memcpy(out, point.ptr, point.len);
    *ret_len = point.len;
    return BH_OK;
}

enum bh_err
agent_instance_id(EVP_PKEY *key, uint8_t out[AGENT_ID_MAX], struct bh_diag *diag)
{
    uint8_t point[97];
    size_t len = 0;
    enum bh_err e;

    if ((e = agent_point(key, point, &len, diag)) != BH_OK)
        return e;
    out[0] = 0x01;
    if ((e = bh_sha2(256, bh_span(point, len), out + 1)) != BH_OK)
        return bh_fail(diag, e, "SHA-256");
    return BH_OK;
}

/* Sig_structure (RFC 9052, 4.4) with an empty protected header; never what a real device makes. */
static enum bh_err
sign_without_alg(
    struct bh_writer *w, struct bh_span payload, EVP_PKEY *key, bool tagged, struct bh_diag *diag)
{
    uint8_t signature[132];
    uint8_t *buf = malloc(AGENT_RAW_MAX);
    struct bh_writer tbs;
    struct bh_span s;
    size_t len = 0;
    enum bh_err e;

    if (buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "signature");
    bh_writer_init(&tbs, buf, AGENT_RAW_MAX);
    bh_writer_cbor_array(&tbs, 4);
    bh_writer_cbor_tstr(&tbs, "Signature1");
    bh_writer_cbor_bstr(&tbs, bh_span_none());
    bh_writer_cbor_bstr(&tbs, bh_span_none());
    bh_writer_cbor_bstr(&tbs, payload);
    if ((e = bh_writer_end(&tbs, &s)) == BH_OK)
        e = bh_ecdsa_sign(key, s, signature, &len, diag);
    free(buf);
    if (e != BH_OK)
        return bh_fail(diag, e, "signature");
    if (tagged)
        bh_writer_cbor_tag(w, BH_COSE_SIGN1);
    bh_writer_cbor_array(w, 4);
    bh_writer_cbor_bstr(w, bh_span_none());
    bh_writer_cbor_map(w, 0);
    bh_writer_cbor_bstr(w, payload);
    bh_writer_cbor_bstr(w, bh_span(signature, len));
    return BH_OK;
}

enum bh_err
agent_sign1(struct bh_writer *w, struct bh_span payload, EVP_PKEY *key, bool tagged, bool alg,
    struct bh_diag *diag)
{
    uint8_t *out;
    size_t len = 0;
    enum bh_err e;

    if (!alg)
        return sign_without_alg(w, payload, key, tagged, diag);
    if ((out = malloc(AGENT_RAW_MAX)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "signature");
    e = bh_cose_sign(payload, key, tagged, out, AGENT_RAW_MAX, &len, diag);
    if (e == BH_OK)
        bh_writer_put(w, bh_span(out, len));
    free(out);
    return e;
}
