/* SPDX-License-Identifier: Apache-2.0 */
/* The vendors' built-in roots as trust anchors. */
#include "evidence.h"
#include "vendor_roots.h"

#include "core/x509.h"

#include <stdio.h>

static enum bh_err
add_root(struct ev_trust *trust, const struct ev_vendor_root *root)
{
    struct ev_anchor *anchor;
    X509 *cert;
    size_t count;
    enum bh_err e;

    if (trust->anchors_len == EV_ANCHORS_MAX)
        return BH_ERR_TOO_LARGE;
    if ((e = bh_x509_pem(bh_span_str(root->pem), &cert, 1, &count, NULL)) != BH_OK)
        return e;
    anchor = &trust->anchors[trust->anchors_len++];
    *anchor = (struct ev_anchor){.cert = cert, .built_in = true};
    (void)snprintf(anchor->platform, sizeof(anchor->platform), "%s", root->platform);
    return BH_OK;
}

/* One root of Intel's anchors the quotes of enclaves and of TDs, one of AWS's the documents of
 * enclaves and of NitroTPMs. */
static bool
is_root_of(const struct ev_vendor_root *root, const char *platform)
{
    return platform == NULL || strcmp(platform, root->platform) == 0 ||
           (strcmp(platform, "intel-tdx") == 0 && strcmp(root->platform, "intel-sgx") == 0) ||
           (strcmp(platform, "aws-nitrotpm") == 0 && strcmp(root->platform, "aws-nitro") == 0);
}

enum bh_err
ev_trust_add_vendor_roots(struct ev_trust *trust, const char *platform)
{
    size_t len;
    const struct ev_vendor_root *roots = ev_vendor_roots(&len);
    enum bh_err e = BH_OK;

    for (size_t i = 0; e == BH_OK && i < len; i++)
        if (is_root_of(&roots[i], platform))
            e = add_root(trust, &roots[i]);
    return e;
}

void
ev_trust_clear(struct ev_trust *trust)
{
    size_t kept = 0;

    for (size_t i = 0; i < trust->anchors_len; i++) {
        if (trust->anchors[i].built_in)
            X509_free(trust->anchors[i].cert);
        else
            trust->anchors[kept++] = trust->anchors[i];
    }
    trust->anchors_len = kept;
}
