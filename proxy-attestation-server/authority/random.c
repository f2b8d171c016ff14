/* SPDX-License-Identifier: Apache-2.0 */
#include "authority/random.h"

#include "core/x509.h"

#include <openssl/crypto.h>

#define POOL_LEN 1024
#define DRAW_MAX 64

static uint8_t pool[POOL_LEN];
static size_t left;

enum bh_err
pas_random(void *out, size_t len)
{
    enum bh_err e;

    if (len > DRAW_MAX)
        return BH_ERR_INTERNAL;
    if (left < len) {
        left = 0;
        if ((e = bh_random(pool, sizeof(pool))) != BH_OK)
            return e;
        left = sizeof(pool);
    }
    left -= len;
    memcpy(out, pool + left, len);
    OPENSSL_cleanse(pool + left, len);
    return BH_OK;
}
