/* SPDX-License-Identifier: Apache-2.0 */
#include "binding.h"

#include "x509.h"

static int
put(EVP_MD_CTX *ctx, struct bh_span field)
{
    const uint8_t len[4] = {(uint8_t)(field.len >> 24), (uint8_t)(field.len >> 16),
        (uint8_t)(field.len >> 8), (uint8_t)field.len};

    return EVP_DigestUpdate(ctx, len, sizeof(len)) == 1 &&
           (field.len == 0 || EVP_DigestUpdate(ctx, field.ptr, field.len) == 1);
}

enum bh_err
bh_binding(struct bh_span challenge, struct bh_span spki, struct bh_span context,
    uint8_t out[BH_BINDING_LEN])
{
    static const char label[] = "beachhead.binding.v1"; /* its NUL is the separator */
    enum bh_err e = BH_ERR_INTERNAL;
    EVP_MD_CTX *ctx;

    if (context.len > BH_CONTEXT_MAX || spki.len > BH_SPKI_MAX || challenge.len > UINT16_MAX)
        return BH_ERR_TOO_LARGE;
    if ((ctx = EVP_MD_CTX_new()) == NULL)
        return BH_ERR_NOMEM;
    if (EVP_DigestInit_ex(ctx, bh_sha2_md(512), NULL) == 1 &&
        EVP_DigestUpdate(ctx, label, sizeof(label)) == 1 && put(ctx, challenge) && put(ctx, spki) &&
        put(ctx, context) && EVP_DigestFinal_ex(ctx, out, NULL) == 1)
        e = BH_OK;
    EVP_MD_CTX_free(ctx);
    return e;
}
