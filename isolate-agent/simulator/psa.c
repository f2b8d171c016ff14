/* SPDX-License-Identifier: Apache-2.0 */
/* A PSA device: tokens of RFC 9783, profile tag:psacertified.org,2023:psa#tfm, signed ES256 by an
 * IAK. */
#include "simulator.h"

#include "core/json.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define PROFILE "tag:psacertified.org,2023:psa#tfm"
#define CERTIFICATION "0000000000000-00000" /* EAN-13 and five digits: nobody's product */
#define LIFECYCLE_SECURED 0x3000
#define LIFECYCLE_DEBUG 0x4000 /* non-PSA-RoT debug */
#define CLIENT_ID 1            /* a secure partition */

enum claim { /* RFC 9783, table 1 */
    CLAIM_NONCE = 10,
    CLAIM_INSTANCE_ID = 256,
    CLAIM_PROFILE = 265,
    CLAIM_BOOT_SEED = 268,
    CLAIM_CLIENT_ID = 2394,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION_ID = 2396,
    CLAIM_CERTIFICATION = 2398,
    CLAIM_P1_NONCE = -75008, /* of PSA_IOT_PROFILE_1 */
};

enum {
    KEY_IAK,
};

static const struct agent_key_slot slots[] = {{"iak", "P-256", true}, {NULL, NULL, false}};

struct psa {
    uint8_t instance_id[AGENT_ID_MAX];
    uint8_t implementation_id[32];
    uint8_t boot_seed[32];
    struct agent_software software;
};

static enum bh_err
psa_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    static const char *const software[] = {"BL", "PRoT", "ARoT", NULL};
    uint8_t id[AGENT_ID_MAX], implementation[32], seed[32];
    enum bh_err e;

    (void)instance;
    (void)alone;
    if ((e = agent_keys_make(device, diag)) != BH_OK ||
        (e = agent_instance_id(device->keys[KEY_IAK], id, diag)) != BH_OK)
        return e;
    if ((e = agent_measure(256, "SIMULATED psa implementation", implementation)) != BH_OK ||
        (e = bh_random(seed, sizeof(seed))) != BH_OK ||
        (e = agent_fact_set(device->facts, "instance_id", bh_span(id, sizeof(id)))) != BH_OK ||
        (e = agent_fact_set(device->facts, "implementation_id", bh_span(implementation, 32))) !=
            BH_OK ||
        (e = agent_fact_set(device->facts, "boot_seed", bh_span(seed, 32))) != BH_OK ||
        (e = agent_software_make(device->facts, "psa", software)) != BH_OK)
        return bh_fail(diag, e, "psa device");
    return BH_OK;
}

static enum bh_err
psa_open(struct agent_device *device, struct bh_diag *diag)
{
    struct psa *p = calloc(1, sizeof(*p));
    enum bh_err e;

    if (p == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "psa device");
    if ((e = agent_fact_bytes(device->facts, "instance_id", p->instance_id, sizeof(p->instance_id),
             diag)) != BH_OK ||
        (e = agent_fact_bytes(
             device->facts, "implementation_id", p->implementation_id, 32, diag)) != BH_OK ||
        (e = agent_fact_bytes(device->facts, "boot_seed", p->boot_seed, 32, diag)) != BH_OK ||
        (e = agent_software_read(device->facts, &p->software, diag)) != BH_OK) {
        free(p);
        return e;
    }
    device->state = p;
    return BH_OK;
}

static void
write_claims(struct bh_writer *w, const struct psa *p, const struct agent_request *r)
{
    const bool duplicate = r->tamper == AGENT_TAMPER_DUPLICATE;
    const bool mixed = r->tamper == AGENT_TAMPER_MIXED;

    bh_writer_cbor_map(w, 9 + (duplicate ? 1U : 0U) + (mixed ? 1U : 0U));
    bh_writer_cbor_int(w, CLAIM_PROFILE);
    bh_writer_cbor_tstr(w, r->tamper == AGENT_TAMPER_PROFILE ? "http://example.com" : PROFILE);
    for (int i = 0; i < (duplicate ? 2 : 1); i++) {
        bh_writer_cbor_int(w, CLAIM_NONCE);
        bh_writer_cbor_bstr(w, bh_span(r->binding, sizeof(r->binding)));
    }
    if (mixed) {
        bh_writer_cbor_int(w, CLAIM_P1_NONCE);
        bh_writer_cbor_bstr(w, bh_span(r->binding, sizeof(r->binding)));
    }
    bh_writer_cbor_int(w, CLAIM_INSTANCE_ID);
    bh_writer_cbor_bstr(w, bh_span(p->instance_id, sizeof(p->instance_id)));
    bh_writer_cbor_int(w, CLAIM_IMPLEMENTATION_ID);
    bh_writer_cbor_bstr(w, bh_span(p->implementation_id, sizeof(p->implementation_id)));
    bh_writer_cbor_int(w, CLAIM_CLIENT_ID);
    bh_writer_cbor_int(w, CLIENT_ID);
    bh_writer_cbor_int(w, CLAIM_LIFECYCLE);
    bh_writer_cbor_int(w, r->tamper == AGENT_TAMPER_DEBUG ? LIFECYCLE_DEBUG : LIFECYCLE_SECURED);
    bh_writer_cbor_int(w, CLAIM_BOOT_SEED);
    bh_writer_cbor_bstr(w, bh_span(p->boot_seed, sizeof(p->boot_seed)));
    bh_writer_cbor_int(w, CLAIM_CERTIFICATION);
    bh_writer_cbor_tstr(w, CERTIFICATION);
    agent_software_claim(w, &p->software, r->tamper, true);
}

static enum bh_err
psa_evidence(struct agent_device *device, const struct agent_request *request, struct bh_writer *w,
    struct bh_diag *diag)
{
    uint8_t buf[2048];
    EVP_PKEY *other = NULL;
    struct bh_writer claims;
    struct bh_span payload;
    enum bh_err e;

    bh_writer_init(&claims, buf, sizeof(buf));
    write_claims(&claims, device->state, request);
    if ((e = bh_writer_end(&claims, &payload)) != BH_OK)
        return bh_fail(diag, e, "psa claims of more than %zu bytes", sizeof(buf));
    if (request->tamper == AGENT_TAMPER_CHAIN &&
        (e = bh_key_generate("P-256", &other, diag)) != BH_OK)
        return e;
    e = agent_sign1(w, payload, other != NULL ? other : device->keys[KEY_IAK], true,
        request->tamper != AGENT_TAMPER_NO_ALG, diag);
    EVP_PKEY_free(other);
    return e;
}

static json_t *
psa_entry(const struct agent_device *device)
{
    const struct psa *p = device->state;

    return json_pack("{s:s,s:b,s:[s],s:o,s:[s],s:o}", "platform", "psa", "simulated", 1,
        "key_class", "silicon", "implementation_id",
        agent_hex_list(bh_span(p->implementation_id, 32)), "lifecycle", "secured", "software",
        agent_software_policy(&p->software));
}

const struct agent_platform agent_psa = {
    .name = "psa",
    .media_type = "application/psa-attestation-token",
    .slots = slots,
    .identity = "implementation_id",
    .tampers = 1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN |
               1U << AGENT_TAMPER_MEASUREMENT | 1U << AGENT_TAMPER_DEBUG |
               1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT |
               1U << AGENT_TAMPER_DUPLICATE | 1U << AGENT_TAMPER_NO_ALG |
               1U << AGENT_TAMPER_PROFILE | 1U << AGENT_TAMPER_MIXED |
               1U << AGENT_TAMPER_MISSING_COMPONENT | 1U << AGENT_TAMPER_EXTRA_COMPONENT,
    .make = psa_make,
    .open = psa_open,
    .close = free,
    .evidence = psa_evidence,
    .entry = psa_entry,
};
