/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Arm CCA machine with one realm: draft-ffm-rats-cca-token. The platform token is signed by the
 * CPAK and made once per boot, as firmware does; the realm token is signed by the RAK for each
 * challenge. Two makes of machine: the CMW collection of today (tag 907, realm#2.0.0, RAK as
 * COSE_Key) and RMM 1.0 (tag 399, no realm profile, RAK as a point). device.json says which
 * ("container").
 */
#include "simulator.h"

#include "core/json.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define LIFECYCLE_SECURED 0x3003 /* as the FVP reports it */
#define LIFECYCLE_DEBUG 0x4003   /* non-CCA-platform debug */
#define TOKEN_MAX 4096           /* one granule: the buffer of RMM */
#define REMS 4

enum container {
    CONTAINER_RMM1 = 399,
    CONTAINER_CMW = 907,
};

#define EAT_CWT 263 /* CoAP content format application/eat+cwt */

enum claim {
    CLAIM_CHALLENGE = 10,
    CLAIM_INSTANCE_ID = 256,
    CLAIM_PROFILE = 265,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION_ID = 2396,
    CLAIM_CONFIG = 2401,
    CLAIM_HASH = 2402,
    CLAIM_PLATFORM_TOKEN = 44234,
    CLAIM_PERSONALIZATION = 44235,
    CLAIM_REALM_HASH = 44236,
    CLAIM_RAK = 44237,
    CLAIM_RIM = 44238,
    CLAIM_REM = 44239,
    CLAIM_RAK_HASH = 44240,
    CLAIM_REALM_TOKEN = 44241,
    CLAIM_MEC_POLICY = 44243,
};

enum {
    KEY_CPAK,
    KEY_RAK,
};

static const struct agent_key_slot slots[] = {
    {"cpak", "P-384", true}, {"rak", "P-384", false}, {NULL, NULL, false}};

struct cca {
    enum container container;
    uint8_t instance_id[AGENT_ID_MAX];
    uint8_t implementation_id[32];
    uint8_t realm_id[AGENT_ID_MAX];
    uint8_t rim[32];
    struct agent_software software;
    uint8_t rak[107]; /* the content of claim 44237 */
    size_t rak_len;
    uint8_t platform_token[TOKEN_MAX]; /* of this boot; empty before the first use */
    size_t platform_token_len;
};

static enum bh_err
cca_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    static const char *const software[] = {"BL", "RSE", "TF-A", "RMM", NULL};
    uint8_t id[AGENT_ID_MAX], implementation[32], realm[AGENT_ID_MAX], rim[32];
    json_t *f = device->facts;
    enum bh_err e;

    (void)alone;
    if ((e = agent_keys_make(device, diag)) != BH_OK ||
        (e = agent_instance_id(device->keys[KEY_CPAK], id, diag)) != BH_OK ||
        (e = agent_instance_id(device->keys[KEY_RAK], realm, diag)) != BH_OK)
        return e;
    if ((e = agent_measure(256, "SIMULATED arm-cca implementation", implementation)) != BH_OK ||
        (e = agent_measure(256, "SIMULATED arm-cca realm 1.0.0", rim)) != BH_OK ||
        (e = agent_fact_set(f, "instance_id", bh_span(id, sizeof(id)))) != BH_OK ||
        (e = agent_fact_set(f, "implementation_id", bh_span(implementation, 32))) != BH_OK ||
        (e = agent_fact_set(f, "realm_id", bh_span(realm, sizeof(realm)))) != BH_OK ||
        (e = agent_fact_set(f, "realm_initial_measurement", bh_span(rim, 32))) != BH_OK ||
        (e = agent_software_make(f, "arm-cca", software)) != BH_OK)
        return bh_fail(diag, e, "arm-cca device");
    if (json_object_set_new(
            f, "container", json_integer(instance % 2 == 0 ? CONTAINER_CMW : CONTAINER_RMM1)) != 0)
        return bh_fail(diag, BH_ERR_NOMEM, "arm-cca device");
    return BH_OK;
}

/* The RAK as claim 44237 carries it: a COSE_Key (RFC 9053, 7.1.1) or the bare point. */
static enum bh_err
encode_rak(struct agent_device *device, struct cca *c, struct bh_diag *diag)
{
    uint8_t point[97];
    struct bh_writer w;
    struct bh_span s;
    size_t len = 0;
    enum bh_err e;

    if ((e = agent_point(device->keys[KEY_RAK], point, &len, diag)) != BH_OK)
        return e;
    bh_writer_init(&w, c->rak, sizeof(c->rak));
    if (c->container == CONTAINER_RMM1) {
        bh_writer_put(&w, bh_span(point, len));
    } else {
        bh_writer_cbor_map(&w, 4);
        bh_writer_cbor_int(&w, 1); /* kty: EC2 */
        bh_writer_cbor_int(&w, 2);
        bh_writer_cbor_int(&w, -1); /* crv: P-384 */
        bh_writer_cbor_int(&w, 2);
        bh_writer_cbor_int(&w, -2);
        bh_writer_cbor_bstr(&w, bh_span(point + 1, 48));
        bh_writer_cbor_int(&w, -3);
        bh_writer_cbor_bstr(&w, bh_span(point + 1 + 48, 48));
    }
    if (len != sizeof(point) || (e = bh_writer_end(&w, &s)) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "the RAK is no P-384 key");
    c->rak_len = s.len;
    return BH_OK;
}

static enum bh_err
cca_open(struct agent_device *device, struct bh_diag *diag)
{
    struct cca *c = calloc(1, sizeof(*c));
    const json_t *f = device->facts;
    int64_t container = 0;
    enum bh_err e;

    if (c == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "arm-cca device");
    if ((e = bh_json_int(f, "container", false, CONTAINER_RMM1, CONTAINER_CMW, &container, diag)) !=
            BH_OK ||
        (e = agent_fact_bytes(f, "instance_id", c->instance_id, AGENT_ID_MAX, diag)) != BH_OK ||
        (e = agent_fact_bytes(f, "implementation_id", c->implementation_id, 32, diag)) != BH_OK ||
        (e = agent_fact_bytes(f, "realm_id", c->realm_id, AGENT_ID_MAX, diag)) != BH_OK ||
        (e = agent_fact_bytes(f, "realm_initial_measurement", c->rim, 32, diag)) != BH_OK ||
        (e = agent_software_read(f, &c->software, diag)) != BH_OK)
        goto out;
    if (container != CONTAINER_RMM1 && container != CONTAINER_CMW) {
        e = bh_fail(diag, BH_ERR_MALFORMED, "device.json: container: expected 399 or 907");
        goto out;
    }
    c->container = (enum container)container;
    if ((e = encode_rak(device, c, diag)) != BH_OK)
        goto out;
    device->state = c;
    c = NULL;
out:
    free(c);
    return e;
}

static enum bh_err
platform_claims(struct bh_writer *w, const struct cca *c, enum agent_tamper tamper)
{
    uint8_t challenge[32];
    enum bh_err e;

    if ((e = bh_sha2(256, bh_span(c->rak, c->rak_len), challenge)) != BH_OK)
        return e;
    if (tamper == AGENT_TAMPER_CHAIN)
        challenge[0] ^= 0xff; /* of some other RAK */
    bh_writer_cbor_map(w, 8);
    bh_writer_cbor_int(w, CLAIM_PROFILE);
    bh_writer_cbor_tstr(w, tamper == AGENT_TAMPER_PROFILE ? "http://example.com"
                           : c->container == CONTAINER_RMM1
                               ? "http://arm.com/CCA-SSD/1.0.0"
                               : "tag:arm.com,2023:cca_platform#1.0.0");
    bh_writer_cbor_int(w, CLAIM_CHALLENGE);
    bh_writer_cbor_bstr(w, bh_span(challenge, sizeof(challenge)));
    bh_writer_cbor_int(w, CLAIM_IMPLEMENTATION_ID);
    bh_writer_cbor_bstr(w, bh_span(c->implementation_id, sizeof(c->implementation_id)));
    bh_writer_cbor_int(w, CLAIM_INSTANCE_ID);
    bh_writer_cbor_bstr(w, bh_span(c->instance_id, sizeof(c->instance_id)));
    bh_writer_cbor_int(w, CLAIM_CONFIG);
    bh_writer_cbor_bstr(w, bh_span("\x00\x00\x00\x01", 4));
    bh_writer_cbor_int(w, CLAIM_LIFECYCLE);
    bh_writer_cbor_int(w, tamper == AGENT_TAMPER_DEBUG ? LIFECYCLE_DEBUG : LIFECYCLE_SECURED);
    bh_writer_cbor_int(w, CLAIM_HASH);
    bh_writer_cbor_tstr(w, "sha-256");
    agent_software_claim(w, &c->software, tamper, false);
    return BH_OK;
}

static bool
touches_platform(enum agent_tamper tamper)
{
    return tamper == AGENT_TAMPER_CHAIN || tamper == AGENT_TAMPER_DEBUG ||
           tamper == AGENT_TAMPER_PROFILE || tamper == AGENT_TAMPER_NO_ALG ||
           tamper == AGENT_TAMPER_MISSING_COMPONENT || tamper == AGENT_TAMPER_EXTRA_COMPONENT;
}

static enum bh_err
sign_platform(struct agent_device *device, enum agent_tamper tamper, uint8_t out[TOKEN_MAX],
    size_t *ret_len, struct bh_diag *diag)
{
    uint8_t buf[TOKEN_MAX];
    struct bh_writer w, signed_;
    struct bh_span claims, s;
    enum bh_err e;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_init(&signed_, out, TOKEN_MAX);
    if ((e = platform_claims(&w, device->state, tamper)) != BH_OK ||
        (e = bh_writer_end(&w, &claims)) != BH_OK)
        return bh_fail(diag, e, "platform claims");
    if ((e = agent_sign1(&signed_, claims, device->keys[KEY_CPAK], true,
             tamper != AGENT_TAMPER_NO_ALG, diag)) != BH_OK)
        return e;
    if ((e = bh_writer_end(&signed_, &s)) != BH_OK)
        return bh_fail(diag, e, "platform token");
    *ret_len = s.len;
    return BH_OK;
}

static void
realm_claims(struct bh_writer *w, const struct cca *c, const struct agent_request *r)
{
    const bool duplicate = r->tamper == AGENT_TAMPER_DUPLICATE;
    const bool cmw = c->container == CONTAINER_CMW;
    static const uint8_t zero[64];
    uint8_t rim[sizeof(c->rim)];

    memcpy(rim, c->rim, sizeof(rim));
    if (r->tamper == AGENT_TAMPER_MEASUREMENT)
        rim[0] ^= 0xff;
    bh_writer_cbor_map(w, 7 + (cmw ? 3U : 0U) + (duplicate ? 1U : 0U));
    if (cmw) {
        bh_writer_cbor_int(w, CLAIM_PROFILE);
        bh_writer_cbor_tstr(w, "tag:arm.com,2024:realm#2.0.0");
    }
    for (int i = 0; i < (duplicate ? 2 : 1); i++) {
        bh_writer_cbor_int(w, CLAIM_CHALLENGE);
        bh_writer_cbor_bstr(w, bh_span(r->binding, sizeof(r->binding)));
    }
    if (cmw) {
        bh_writer_cbor_int(w, CLAIM_INSTANCE_ID);
        bh_writer_cbor_bstr(w, bh_span(c->realm_id, sizeof(c->realm_id)));
    }
    bh_writer_cbor_int(w, CLAIM_REALM_HASH);
    bh_writer_cbor_tstr(w, "sha-256");
    bh_writer_cbor_int(w, CLAIM_RAK_HASH);
    bh_writer_cbor_tstr(w, "sha-256");
    bh_writer_cbor_int(w, CLAIM_PERSONALIZATION);
    bh_writer_cbor_bstr(w, bh_span(zero, sizeof(zero)));
    bh_writer_cbor_int(w, CLAIM_RAK);
    bh_writer_cbor_bstr(w, bh_span(c->rak, c->rak_len));
    bh_writer_cbor_int(w, CLAIM_RIM);
    bh_writer_cbor_bstr(w, bh_span(rim, sizeof(rim)));
    if (cmw) {
        bh_writer_cbor_int(w, CLAIM_MEC_POLICY);
        bh_writer_cbor_int(w, 1);
    }
    bh_writer_cbor_int(w, CLAIM_REM);
    bh_writer_cbor_array(w, REMS);
    for (int i = 0; i < REMS; i++)
        bh_writer_cbor_bstr(w, bh_span(zero, 32));
}

static enum bh_err
sign_realm(struct agent_device *device, const struct agent_request *request, uint8_t out[TOKEN_MAX],
    size_t *ret_len, struct bh_diag *diag)
{
    uint8_t buf[TOKEN_MAX];
    struct bh_writer w, signed_;
    struct bh_span claims, s;
    enum bh_err e;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_init(&signed_, out, TOKEN_MAX);
    realm_claims(&w, device->state, request);
    if ((e = bh_writer_end(&w, &claims)) != BH_OK)
        return bh_fail(diag, e, "realm claims");
    if ((e = agent_sign1(&signed_, claims, device->keys[KEY_RAK], true, true, diag)) != BH_OK)
        return e;
    if ((e = bh_writer_end(&signed_, &s)) != BH_OK)
        return bh_fail(diag, e, "realm token");
    *ret_len = s.len;
    return BH_OK;
}

static void
write_member(struct bh_writer *w, enum container container, enum claim key, struct bh_span token)
{
    bh_writer_cbor_int(w, key);
    if (container == CONTAINER_CMW) {
        bh_writer_cbor_array(w, 2);
        bh_writer_cbor_uint(w, EAT_CWT);
    }
    bh_writer_cbor_bstr(w, token);
}

static enum bh_err
cca_evidence(struct agent_device *device, const struct agent_request *request, struct bh_writer *w,
    struct bh_diag *diag)
{
    uint8_t tampered[TOKEN_MAX], realm[TOKEN_MAX];
    struct cca *c = device->state;
    struct bh_span platform;
    size_t len = 0;
    enum bh_err e;

    if (touches_platform(request->tamper)) {
        if ((e = sign_platform(device, request->tamper, tampered, &len, diag)) != BH_OK)
            return e;
        platform = bh_span(tampered, len);
    } else {
        if (c->platform_token_len == 0 &&
            (e = sign_platform(device, AGENT_TAMPER_NONE, c->platform_token, &c->platform_token_len,
                 diag)) != BH_OK)
            return e;
        platform = bh_span(c->platform_token, c->platform_token_len);
    }
    if ((e = sign_realm(device, request, realm, &len, diag)) != BH_OK)
        return e;
    bh_writer_cbor_tag(w, c->container);
    bh_writer_cbor_map(w, 2);
    write_member(w, c->container, CLAIM_PLATFORM_TOKEN, platform);
    write_member(w, c->container, CLAIM_REALM_TOKEN, bh_span(realm, len));
    return BH_OK;
}

static json_t *
cca_entry(const struct agent_device *device)
{
    const struct cca *c = device->state;

    return json_pack("{s:s,s:b,s:{s:o},s:{s:[s],s:o,s:o}}", "platform", "arm-cca", "simulated", 1,
        "realm", "initial_measurement", agent_hex_list(bh_span(c->rim, sizeof(c->rim))),
        "platform_token", "lifecycle", "secured", "implementation_id",
        agent_hex_list(bh_span(c->implementation_id, 32)), "software",
        agent_software_policy(&c->software));
}

const struct agent_platform agent_arm_cca = {
    .name = "arm-cca",
    .media_type = "application/eat-collection; profile=\"http://arm.com/CCA-SSD/1.0.0\"",
    .slots = slots,
    .identity = "platform_token.implementation_id",
    .tampers = 1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN |
               1U << AGENT_TAMPER_MEASUREMENT | 1U << AGENT_TAMPER_DEBUG |
               1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT |
               1U << AGENT_TAMPER_DUPLICATE | 1U << AGENT_TAMPER_NO_ALG |
               1U << AGENT_TAMPER_PROFILE | 1U << AGENT_TAMPER_MISSING_COMPONENT |
               1U << AGENT_TAMPER_EXTRA_COMPONENT,
    .make = cca_make,
    .open = cca_open,
    .close = free,
    .evidence = cca_evidence,
    .entry = cca_entry,
};
