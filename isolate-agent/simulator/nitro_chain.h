/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated certificate chain that signs documents of Nitro enclaves and of NitroTPMs. */
#ifndef AGENT_NITRO_CHAIN_H
#define AGENT_NITRO_CHAIN_H

#include "chain.h"
#include "simulator.h"

#define AGENT_NITRO_CHAIN 4 /* root, region, zone, instance */
#define AGENT_NITRO_ZONE 2  /* index of the zone */

/** The certificates of one device, made when they are needed and kept while they last. */
struct agent_nitro_chain {
    char module_id[64];
    char host_id[32]; /* the instance, for an enclave its parent */
    X509 *certs[AGENT_NITRO_CHAIN];
    X509 *leaf;
    EVP_PKEY *leaf_key;
    int64_t leaf_from; /* when it was made; it is used for some minutes */
};

/** The keys of the chain. */
extern const struct agent_key_slot agent_nitro_slots[];

/** Keys and root of a device; @p alone as struct agent_platform.make says. */
BH_MUST_USE enum bh_err agent_nitro_keys_make(
    struct agent_device *device, bool alone, struct bh_diag *diag);
/** Certificates that cover @p now and a leaf's life from then on. */
BH_MUST_USE enum bh_err agent_nitro_chain_renew(struct agent_device *device,
    struct agent_nitro_chain *chain, int64_t now, struct bh_diag *diag);
/** Another leaf of the same key. The caller frees it. */
BH_MUST_USE enum bh_err agent_nitro_leaf_make(struct agent_device *device,
    struct agent_nitro_chain *chain, int64_t from, int64_t to, X509 **ret_leaf,
    struct bh_diag *diag);
/** The zone certified by a key that is not the region's, though it says so. The caller frees it. */
BH_MUST_USE enum bh_err agent_nitro_zone_misfit(struct agent_device *device,
    const struct agent_nitro_chain *chain, int64_t now, X509 **ret_zone, struct bh_diag *diag);
void agent_nitro_chain_clear(struct agent_nitro_chain *chain);

#endif
