/* SPDX-License-Identifier: Apache-2.0 */
/* What every refusal owes to who gets it. */
#ifndef BH_E2E_REFUSED_H
#define BH_E2E_REFUSED_H

#include "client.h"

/** Problem details with this status, code and check, each member of use, nothing that could serve
 * as a certificate. */
void assert_refused(const struct reply *r, long status, const char *code, const char *check);

#endif
