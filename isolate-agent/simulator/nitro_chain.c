/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated chain of AWS Nitro: root, region, zone, instance, leaf. The upper ones are one
 * vendor's and one zone's for all devices that a process makes in memory: a server then needs one
 * anchor for any number of them.
 */
#include "nitro_chain.h"

#include "cert.h"

#include "core/text.h"
#include "core/x509.h"

#include <pthread.h>
#include <stdio.h>

#define LEAF_REUSE 300       /* a leaf signs documents for this long */
#define ROOT_FROM 1577836800 /* 2020-01-01 */
#define ROOT_TO 2524608000   /* 2050-01-01 */
#define DAY 86400

enum {
    KEY_ROOT,
    KEY_REGION,
    KEY_ZONE = AGENT_NITRO_ZONE,
    KEY_INSTANCE,
};

const struct agent_key_slot agent_nitro_slots[] = {{"root", "P-384", false},
    {"region", "P-384", false}, {"zone", "P-384", false}, {"instance", "P-384", false},
    {NULL, NULL, false}};

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
make_instance(struct agent_device *device, const struct agent_nitro_chain *n, X509 *zone,
    int64_t now, X509 **ret_cert, struct bh_diag *diag)
{
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

enum bh_err
agent_nitro_keys_make(struct agent_device *device, bool alone, struct bh_diag *diag)
{
    enum bh_err e;

    if (!alone && (e = join_fleet(device, diag)) != BH_OK)
        return e;
    if ((e = agent_keys_make(device, diag)) != BH_OK)
        return e;
    return device->root != NULL ? BH_OK : make_root(device->keys[KEY_ROOT], &device->root, diag);
}

void
agent_nitro_chain_clear(struct agent_nitro_chain *n)
{
    for (size_t i = 0; i < AGENT_NITRO_CHAIN; i++)
        X509_free(n->certs[i]);
    X509_free(n->leaf);
    EVP_PKEY_free(n->leaf_key);
}

static void
replace(X509 **slot, X509 *cert)
{
    X509_free(*slot);
    *slot = cert;
}

/* A device of the process's fleet takes the common certificates while they last. */
static void
take_common(struct agent_device *device, struct agent_nitro_chain *n, int64_t now)
{
    if (device->root != fleet.root || fleet.region == NULL || fleet.zone == NULL ||
        n->certs[KEY_REGION] != NULL)
        return;
    if (!agent_cert_covers(fleet.region, now, now + AGENT_NITRO_LEAF_LIFE) ||
        !agent_cert_covers(fleet.zone, now, now + AGENT_NITRO_LEAF_LIFE))
        return;
    (void)X509_up_ref(fleet.region);
    (void)X509_up_ref(fleet.zone);
    replace(&n->certs[KEY_REGION], fleet.region);
    replace(&n->certs[KEY_ZONE], fleet.zone);
}

/* Certificates that cover now and a leaf's life from now: kept, or made anew with all below them.
 */
static enum bh_err
renew_certs(
    struct agent_device *device, struct agent_nitro_chain *n, int64_t now, struct bh_diag *diag)
{
    X509 *cert = NULL;
    bool fresh = false;
    enum bh_err e;

    (void)pthread_mutex_lock(&fleet.lock);
    take_common(device, n, now);
    (void)pthread_mutex_unlock(&fleet.lock);
    if (n->certs[KEY_ROOT] == NULL) {
        (void)X509_up_ref(device->root);
        n->certs[KEY_ROOT] = device->root;
    }
    for (size_t i = KEY_REGION; i < AGENT_NITRO_CHAIN; i++) {
        X509 *above = n->certs[i - 1];

        if (!fresh && n->certs[i] != NULL &&
            agent_cert_covers(n->certs[i], now, now + AGENT_NITRO_LEAF_LIFE + 60))
            continue;
        fresh = true;
        e = i == KEY_REGION ? make_region(device->keys, above, now, &cert, diag)
            : i == KEY_ZONE ? make_zone(device->keys, above, now, &cert, diag)
                            : make_instance(device, n, above, now, &cert, diag);
        if (e != BH_OK)
            return e;
        replace(&n->certs[i], cert);
    }
    if (fresh)
        replace(&n->leaf, NULL);
    return BH_OK;
}

enum bh_err
agent_nitro_leaf_make(struct agent_device *device, struct agent_nitro_chain *n, int64_t from,
    int64_t to, X509 **ret_leaf, struct bh_diag *diag)
{
    char cn[65];
    struct agent_cert_request r = {
        AGENT_LEVEL_LEAF, cn, NULL, n->certs[KEY_INSTANCE], device->keys[KEY_INSTANCE], from, to};
    enum bh_err e;

    if (n->leaf_key == NULL && (e = bh_key_generate("P-384", &n->leaf_key, diag)) != BH_OK)
        return e;
    r.key = n->leaf_key;
    (void)snprintf(cn, sizeof(cn), "%.48s.%s.aws", n->module_id, AGENT_NITRO_REGION);
    return agent_cert_make(&r, ret_leaf, diag);
}

static enum bh_err
renew_leaf(
    struct agent_device *device, struct agent_nitro_chain *n, int64_t now, struct bh_diag *diag)
{
    X509 *leaf = NULL;
    enum bh_err e;

    if (n->leaf != NULL && now >= n->leaf_from && now < n->leaf_from + LEAF_REUSE)
        return BH_OK;
    EVP_PKEY_free(n->leaf_key);
    n->leaf_key = NULL;
    if ((e = agent_nitro_leaf_make(device, n, now - 3, now + AGENT_NITRO_LEAF_LIFE, &leaf, diag)) !=
        BH_OK)
        return e;
    replace(&n->leaf, leaf);
    n->leaf_from = now;
    return BH_OK;
}

enum bh_err
agent_nitro_chain_renew(
    struct agent_device *device, struct agent_nitro_chain *n, int64_t now, struct bh_diag *diag)
{
    const enum bh_err e = renew_certs(device, n, now, diag);

    return e != BH_OK ? e : renew_leaf(device, n, now, diag);
}

enum bh_err
agent_nitro_zone_misfit(struct agent_device *device, const struct agent_nitro_chain *n, int64_t now,
    X509 **ret_zone, struct bh_diag *diag)
{
    EVP_PKEY *keys[] = {NULL, NULL, device->keys[KEY_ZONE]};
    enum bh_err e;

    if ((e = bh_key_generate("P-384", &keys[KEY_REGION], diag)) != BH_OK)
        return e;
    e = make_zone(keys, n->certs[KEY_REGION], now, ret_zone, diag);
    EVP_PKEY_free(keys[KEY_REGION]);
    return e;
}
