/* SPDX-License-Identifier: Apache-2.0 */
/* The vendors' certificates of certs/, built into the library as PEM. */
#ifndef EV_VENDOR_ROOTS_H
#define EV_VENDOR_ROOTS_H

#include <stddef.h>

struct ev_vendor_root {
    const char *file;     /* its name in certs/ and in a server's trust/: "aws-nitro-root-g1.pem" */
    const char *platform; /* whose evidence it anchors: "aws-nitro" */
    const char *pem;
};

/** The table of all built-in vendor roots; static, @p ret_len entries. */
const struct ev_vendor_root *ev_vendor_roots(size_t *ret_len);

/** The same for CA certificates that the vendors' roots signed: public constants too, but no
 * anchors. They are believed only under a root that is. */
const struct ev_vendor_root *ev_vendor_intermediates(size_t *ret_len);

#endif
