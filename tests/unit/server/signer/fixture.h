/* SPDX-License-Identifier: Apache-2.0 */
/* A throw-away deployment: its configuration, its CA in memory and in a temporary folder, and
 * requests. */
#ifndef BH_TEST_ISSUING_H
#define BH_TEST_ISSUING_H

#include "setup/ca.h"
#include "signer/issuing.h"

struct fixture {
    struct pas_config config;
    struct pas_ca ca;
    char dir[256];
    int64_t now;
    /* what the request and its EAR are made of */
    EVP_PKEY *key;
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    struct bh_ear ear;
    uint8_t claims[BH_EAR_MAX];
    struct pas_certificate request;
};

/** A deployment of "fleet.example" with ca/ in a new folder, and a request that it grants. */
void fixture_init(struct fixture *f, bool simulated);
void fixture_clear(struct fixture *f);
/** Write f->ear into the request again, after a change. */
void fixture_encode(struct fixture *f);
/** A key of another type for request and EAR. */
void fixture_key(struct fixture *f, const char *type);

#endif
