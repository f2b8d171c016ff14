/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated vendors' certificates have in common. */
#ifndef AGENT_CERT_H
#define AGENT_CERT_H

#include "core/err.h"

#include <openssl/x509v3.h>

/** Write the subject: @p len pairs of type and value ("CN", "..."). False: OpenSSL cannot. */
BH_MUST_USE bool agent_cert_name(X509 *cert, const char *const parts[][2], size_t len);
/** A random serial of @p len (at most 20) bytes, positive and of that length. */
BH_MUST_USE bool agent_cert_serial(X509 *cert, size_t len);
/** Add an extension in OpenSSL's notation; none for a @p value that is NULL or empty. */
BH_MUST_USE bool agent_cert_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value);
/** The certificate is there, and valid at both times. */
bool agent_cert_covers(const X509 *cert, int64_t from, int64_t to);

#endif
