/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An independent judge of issued certificates: OpenSSL's decoder and rules written by hand from RFC
 * 5280, the X.509-SVID specification and architecture.md, "Certificates". It shares no code with
 * the issuer.
 */
#ifndef BH_TEST_PROFILE_H
#define BH_TEST_PROFILE_H

#include <stdio.h>

#include <openssl/x509.h>

/**
 * How many rules the workload certificate @p leaf, issued by @p issuer, violates; each is written
 * to @p out (may be NULL) with its source. 0: it is of the profile.
 */
size_t bh_profile_violations(X509 *leaf, X509 *issuer, const char *trust_domain, FILE *out);

#endif
