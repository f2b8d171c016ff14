/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AWS Nitro enclave: attestation documents as the Nitro security module makes them since
 * mid-2025 (untagged COSE_Sign1, ES384, payload an indefinite-length map), under a simulated chain.
 */
#include "chain.h"
#include "simulator.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PCR_LEN 48
#define PCRS 16
#define LEAF_REUSE 300       /* a leaf signs documents for this long */
#define ROOT_FROM 1577836800 /* 2020-01-01 */
#define ROOT_TO 2524608000   /* 2050-01-01 */
#define DAY 86400
#define CHAIN_LEN 4 /* root to instance */

enum {
    KEY_ROOT,
    KEY_REGION,
    KEY_ZONE,
    KEY_INSTANCE,
};

static const struct agent_key_slot slots[] = {{"root", "P-384", false}, {"region", "P-384", false},
    {"zone", "P-384", false}, {"instance", "P-384", false}, {NULL, NULL, false}};

struct nitro {
    char module_id[64];
    char host_id[32]; /* the parent instance */
    uint8_t pcrs[5][PCR_LEN];
    X509 *chain[CHAIN_LEN];
    X509 *leaf;
    EVP_PKEY *leaf_key;
    int64_t leaf_from; /* when it was made; it is used for LEAF_REUSE seconds */
};

/*
 * One vendor and one zone for all devices that a process makes in memory: a server
 * then needs one anchor for any number of them.
 */
static struct {
    pthread_mutex_t lock;
    EVP_PKEY *keys[3]; /* root, region, zone */
    X509 *root, *region, *zone;
} fleet = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum bh_err
make_root(EVP_PKEY *key, X509 **ret_root, struct bh_diag *diag)
{
    const struct agent_cert_request r = {
        AGENT_LEVEL_ROOT, "simulated.aws.nitro-enclaves", key, NULL, key, ROOT_FROM, ROOT_TO};

    return agent_cert_make(&r, ret_root, diag);
}

static enum bh_err
make_region(EVP_PKEY *const *keys, X509 *root, int64_t now, X509 **ret_cert, struct bh_diag *diag)
{
    const struct agent_cert_request r = {AGENT_LEVEL_REGION,
        "region." AGENT_NITRO_REGION ".aws.nitro-enclaves", keys[KEY_REGION], root, keys[KEY_ROOT],
        now - 2 * DAY, now + 18 * DAY};

    return agent_cert_make(&r, ret_cert, diag);
}

static enum bh_err
make_zone(EVP_PKEY *const *keys, X509 *region, int64_t now, X509 **ret_cert, struct bh_diag *diag)
{
    const struct agent_cert_request r = {AGENT_LEVEL_ZONE,
        "zone.zonal." AGENT_NITRO_REGION ".aws.nitro-enclaves", keys[KEY_ZONE], region,
        keys[KEY_REGION], now - DAY, now - DAY + 5 * DAY + DAY * 7 / 10};

    return agent_cert_make(&r, ret_cert, diag);
}

static enum bh_err
make_instance(
    struct agent_device *device, X509 *zone, int64_t now, X509 **ret_cert, struct bh_diag *diag)
{
    const struct nitro *n = device->state;
    char cn[65];
    struct agent_cert_request r = {AGENT_LEVEL_INSTANCE, cn, device->keys[KEY_INSTANCE], zone,
        device->keys[KEY_ZONE], now - 6 * 3600, now + 18 * 3600};

    (void)snprintf(cn, sizeof(cn), "%s.%s.aws.nitro-enclaves", n->host_id, AGENT_NITRO_REGION);
    return agent_cert_make(&r, ret_cert, diag);
}

static enum bh_err
make_fleet(struct bh_diag *diag)
{
    const int64_t now = bh_time_now();
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < BH_COUNT(fleet.keys) && e == BH_OK; i++)
        if (fleet.keys[i] == NULL)
            e = bh_key_generate("P-384", &fleet.keys[i], diag);
    if (e == BH_OK && fleet.root == NULL)
        e = make_root(fleet.keys[KEY_ROOT], &fleet.root, diag);
    if (e == BH_OK && fleet.region == NULL)
        e = make_region(fleet.keys, fleet.root, now, &fleet.region, diag);
    if (e == BH_OK && fleet.zone == NULL)
        e = make_zone(fleet.keys, fleet.region, now, &fleet.zone, diag);
    return e;
}

static enum bh_err
join_fleet(struct agent_device *device, struct bh_diag *diag)
{
    enum bh_err e;

    (void)pthread_mutex_lock(&fleet.lock);
    if ((e = make_fleet(diag)) == BH_OK) {
        for (size_t i = 0; i < BH_COUNT(fleet.keys); i++) {
            (void)EVP_PKEY_up_ref(fleet.keys[i]);
            device->keys[i] = fleet.keys[i];
        }
        (void)X509_up_ref(fleet.root);
        device->root = fleet.root;
    }
    (void)pthread_mutex_unlock(&fleet.lock);
    return e;
}

/* What a PCR holds that was extended once from zero with the digest of @p what. */
static enum bh_err
make_pcr(json_t *pcrs, const char *index, const char *what)
{
    uint8_t both[2 * PCR_LEN] = {0}, pcr[PCR_LEN];
    enum bh_err e;

    if ((e = agent_measure(384, what, both + PCR_LEN)) != BH_OK ||
        (e = bh_sha2(384, bh_span(both, sizeof(both)), pcr)) != BH_OK)
        return e;
    return agent_fact_set(pcrs, index, bh_span(pcr, sizeof(pcr)));
}

static enum bh_err
make_facts(json_t *facts, uint32_t instance)
{
    json_t *pcrs = json_object();
    char host[32], module[64];
    enum bh_err e;

    (void)snprintf(host, sizeof(host), "i-%017x", instance);
    (void)snprintf(module, sizeof(module), "%s-enc%016x", host, instance);
    if ((e = make_pcr(pcrs, "0", "SIMULATED enclave image 1.0.0")) != BH_OK ||
        (e = make_pcr(pcrs, "1", "SIMULATED enclave kernel 1.0.0")) != BH_OK ||
        (e = make_pcr(pcrs, "2", "SIMULATED enclave application 1.0.0")) != BH_OK ||
        (e = make_pcr(pcrs, "3", "arn:aws:iam::000000000000:role/SIMULATED")) != BH_OK ||
        (e = make_pcr(pcrs, "4", host)) != BH_OK) {
        json_decref(pcrs);
        return e;
    }
    return json_object_set_new(facts, "pcrs", pcrs) == 0 &&
                   json_object_set_new(facts, "host_id", json_string(host)) == 0 &&
                   json_object_set_new(facts, "module_id", json_string(module)) == 0
               ? BH_OK
               : BH_ERR_NOMEM;
}

static enum bh_err
nitro_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = make_facts(device->facts, instance)) != BH_OK)
        return bh_fail(diag, e, "aws-nitro device");
    if (!alone && (e = join_fleet(device, diag)) != BH_OK)
        return e;
    if ((e = agent_keys_make(device, diag)) != BH_OK)
        return e;
    return device->root != NULL ? BH_OK : make_root(device->keys[KEY_ROOT], &device->root, diag);
}

static void
nitro_close(void *state)
{
    struct nitro *n = state;

    for (size_t i = 0; i < CHAIN_LEN; i++)
        X509_free(n->chain[i]);
    X509_free(n->leaf);
    EVP_PKEY_free(n->leaf_key);
    free(n);
}

static enum bh_err
nitro_open(struct agent_device *device, struct bh_diag *diag)
{
    struct nitro *n = calloc(1, sizeof(*n));
    const char *module = NULL, *host = NULL;
    json_t *pcrs = NULL;
    char index[] = "0";
    enum bh_err e;

    if (n == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "aws-nitro device");
    if ((e = bh_json_string(device->facts, "module_id", false, &module, diag)) != BH_OK ||
        (e = bh_json_string(device->facts, "host_id", false, &host, diag)) != BH_OK ||
        (e = bh_json_member(device->facts, "pcrs", JSON_OBJECT, false, &pcrs, diag)) != BH_OK)
        goto out;
    for (; index[0] < '5'; index[0]++)
        if ((e = agent_fact_bytes(pcrs, index, n->pcrs[index[0] - '0'], PCR_LEN, diag)) != BH_OK)
            goto out;
    (void)snprintf(n->module_id, sizeof(n->module_id), "%s", module);
    (void)snprintf(n->host_id, sizeof(n->host_id), "%s", host);
    device->state = n;
    n = NULL;
out:
    if (n != NULL)
        nitro_close(n);
    return e;
}

static void
replace(X509 **slot, X509 *cert)
{
    X509_free(*slot);
    *slot = cert;
}

/* A device of the process's fleet takes the common certificates while they last. */
static void
take_common(struct agent_device *device, int64_t now)
{
    struct nitro *n = device->state;

    if (device->root != fleet.root || fleet.region == NULL || fleet.zone == NULL ||
        n->chain[KEY_REGION] != NULL)
        return;
    if (!agent_cert_covers(fleet.region, now, now + AGENT_NITRO_LEAF_LIFE) ||
        !agent_cert_covers(fleet.zone, now, now + AGENT_NITRO_LEAF_LIFE))
        return;
    (void)X509_up_ref(fleet.region);
    (void)X509_up_ref(fleet.zone);
    replace(&n->chain[KEY_REGION], fleet.region);
    replace(&n->chain[KEY_ZONE], fleet.zone);
}

/* Certificates that cover now and a leaf's life from now: kept, or made anew with all below them.
 */
static enum bh_err
renew_chain(struct agent_device *device, int64_t now, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    X509 *cert = NULL;
    bool fresh = false;
    enum bh_err e;

    (void)pthread_mutex_lock(&fleet.lock);
    take_common(device, now);
    (void)pthread_mutex_unlock(&fleet.lock);
    if (n->chain[KEY_ROOT] == NULL) {
        (void)X509_up_ref(device->root);
        n->chain[KEY_ROOT] = device->root;
    }
    for (size_t i = KEY_REGION; i < CHAIN_LEN; i++) {
        X509 *above = n->chain[i - 1];

        if (!fresh && n->chain[i] != NULL &&
            agent_cert_covers(n->chain[i], now, now + AGENT_NITRO_LEAF_LIFE + 60))
            continue;
        fresh = true;
        e = i == KEY_REGION ? make_region(device->keys, above, now, &cert, diag)
            : i == KEY_ZONE ? make_zone(device->keys, above, now, &cert, diag)
                            : make_instance(device, above, now, &cert, diag);
        if (e != BH_OK)
            return e;
        replace(&n->chain[i], cert);
    }
    if (fresh)
        replace(&n->leaf, NULL);
    return BH_OK;
}

static enum bh_err
make_leaf(
    struct agent_device *device, int64_t from, int64_t to, X509 **ret_leaf, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    char cn[65];
    struct agent_cert_request r = {
        AGENT_LEVEL_LEAF, cn, NULL, n->chain[KEY_INSTANCE], device->keys[KEY_INSTANCE], from, to};
    enum bh_err e;

    if (n->leaf_key == NULL && (e = bh_key_generate("P-384", &n->leaf_key, diag)) != BH_OK)
        return e;
    r.key = n->leaf_key;
    (void)snprintf(cn, sizeof(cn), "%.48s.%s.aws", n->module_id, AGENT_NITRO_REGION);
    return agent_cert_make(&r, ret_leaf, diag);
}

static enum bh_err
renew_leaf(struct agent_device *device, int64_t now, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    X509 *leaf = NULL;
    enum bh_err e;

    if (n->leaf != NULL && now >= n->leaf_from && now < n->leaf_from + LEAF_REUSE)
        return BH_OK;
    EVP_PKEY_free(n->leaf_key);
    n->leaf_key = NULL;
    if ((e = make_leaf(device, now - 3, now + AGENT_NITRO_LEAF_LIFE, &leaf, diag)) != BH_OK)
        return e;
    replace(&n->leaf, leaf);
    n->leaf_from = now;
    return BH_OK;
}

/* The zone certified by a key that is not the region's, though it says so. */
static enum bh_err
misfit_zone(struct agent_device *device, int64_t now, X509 **ret_zone, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    EVP_PKEY *keys[] = {NULL, NULL, device->keys[KEY_ZONE]};
    enum bh_err e;

    if ((e = bh_key_generate("P-384", &keys[KEY_REGION], diag)) != BH_OK)
        return e;
    e = make_zone(keys, n->chain[KEY_REGION], now, ret_zone, diag);
    EVP_PKEY_free(keys[KEY_REGION]);
    return e;
}

static void
write_cert(struct bh_writer *w, const X509 *cert)
{
    uint8_t *der = NULL;
    size_t len = 0;

    if (bh_x509_to_der(cert, &der, &len) != BH_OK) {
        bh_writer_spoil(w);
        return;
    }
    bh_writer_cbor_bstr(w, bh_span(der, len));
    OPENSSL_free(der);
}

static void
write_pcrs(struct bh_writer *w, const struct nitro *n, enum agent_tamper tamper)
{
    uint8_t pcr[PCR_LEN];

    bh_writer_cbor_tstr(w, tamper == AGENT_TAMPER_NITROTPM ? "nitrotpm_pcrs" : "pcrs");
    bh_writer_cbor_map(w, PCRS);
    for (size_t i = 0; i < PCRS; i++) {
        memset(pcr, 0, sizeof(pcr));
        if (i < BH_COUNT(n->pcrs) && !(tamper == AGENT_TAMPER_DEBUG && i <= 2))
            memcpy(pcr, n->pcrs[i], sizeof(pcr));
        if (tamper == AGENT_TAMPER_MEASUREMENT && i == 0)
            pcr[0] ^= 0xff;
        bh_writer_cbor_uint(w, i);
        bh_writer_cbor_bstr(w, bh_span(pcr, sizeof(pcr)));
    }
}

static void
write_document(struct bh_writer *w, const struct nitro *n, X509 *const *chain, const X509 *leaf,
    const struct agent_request *r)
{
    bh_writer_u8(w, 0xbf); /* a map of indefinite length (RFC 8949, 3.2.2) */
    bh_writer_cbor_tstr(w, "module_id");
    bh_writer_cbor_tstr(w, n->module_id);
    bh_writer_cbor_tstr(w, "digest");
    bh_writer_cbor_tstr(w, "SHA384");
    bh_writer_cbor_tstr(w, "timestamp");
    bh_writer_cbor_uint(w, (uint64_t)r->now * 1000);
    write_pcrs(w, n, r->tamper);
    if (r->tamper == AGENT_TAMPER_DUPLICATE)
        write_pcrs(w, n, r->tamper);
    bh_writer_cbor_tstr(w, "certificate");
    write_cert(w, leaf);
    bh_writer_cbor_tstr(w, "cabundle");
    bh_writer_cbor_array(w, CHAIN_LEN);
    for (size_t i = 0; i < CHAIN_LEN; i++)
        write_cert(w, chain[i]);
    bh_writer_cbor_tstr(w, "public_key");
    if (r->spki.len > 0)
        bh_writer_cbor_bstr(w, r->spki);
    else
        bh_writer_cbor_null(w);
    bh_writer_cbor_tstr(w, "user_data");
    bh_writer_cbor_null(w);
    bh_writer_cbor_tstr(w, "nonce");
    bh_writer_cbor_bstr(w, bh_span(r->binding, sizeof(r->binding)));
    bh_writer_u8(w, 0xff);
}

static enum bh_err
nitro_evidence(struct agent_device *device, const struct agent_request *request,
    struct bh_writer *w, struct bh_diag *diag)
{
    struct nitro *n = device->state;
    X509 *chain[CHAIN_LEN], *misfit = NULL, *expired = NULL;
    uint8_t *buf = NULL;
    struct bh_writer document;
    struct bh_span payload;
    enum bh_err e;

    if ((e = renew_chain(device, request->now, diag)) != BH_OK ||
        (e = renew_leaf(device, request->now, diag)) != BH_OK)
        return e;
    memcpy(chain, n->chain, sizeof(chain));
    if (request->tamper == AGENT_TAMPER_CHAIN) {
        if ((e = misfit_zone(device, request->now, &misfit, diag)) != BH_OK)
            return e;
        chain[KEY_ZONE] = misfit;
    }
    if (request->tamper == AGENT_TAMPER_EXPIRED &&
        (e = make_leaf(device, request->now - 4 * 3600, request->now - 3600, &expired, diag)) !=
            BH_OK)
        return e;
    if ((buf = malloc(AGENT_RAW_MAX)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "document");
        goto out;
    }
    bh_writer_init(&document, buf, AGENT_RAW_MAX);
    write_document(&document, n, chain, expired != NULL ? expired : n->leaf, request);
    if ((e = bh_writer_end(&document, &payload)) != BH_OK) {
        (void)bh_fail(diag, e, "document of more than %d bytes", AGENT_RAW_MAX);
        goto out;
    }
    e = agent_sign1(w, payload, n->leaf_key, false, request->tamper != AGENT_TAMPER_NO_ALG, diag);
out:
    free(buf);
    X509_free(misfit);
    X509_free(expired);
    return e;
}

static json_t *
nitro_entry(const struct agent_device *device)
{
    const struct nitro *n = device->state;
    json_t *pcrs = json_object();
    char index[] = "0";

    for (; index[0] < '5'; index[0]++)
        if (json_object_set_new(
                pcrs, index, agent_hex_list(bh_span(n->pcrs[index[0] - '0'], PCR_LEN))) != 0) {
            json_decref(pcrs);
            return NULL;
        }
    return json_pack("{s:s,s:b,s:o}", "platform", "aws-nitro", "simulated", 1, "pcrs", pcrs);
}

const struct agent_platform agent_aws_nitro = {
    .name = "aws-nitro",
    .media_type = "application/aws-nitro-document",
    .slots = slots,
    .chain = true,
    .identity = "pcrs.4",
    .tampers =
        1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN | 1U << AGENT_TAMPER_MEASUREMENT |
        1U << AGENT_TAMPER_DEBUG | 1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_EXPIRED |
        1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT | 1U << AGENT_TAMPER_DUPLICATE |
        1U << AGENT_TAMPER_NITROTPM | 1U << AGENT_TAMPER_NO_ALG,
    .make = nitro_make,
    .open = nitro_open,
    .close = nitro_close,
    .evidence = nitro_evidence,
    .entry = nitro_entry,
};
