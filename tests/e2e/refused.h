/* SPDX-License-Identifier: Apache-2.0 */
/* What every refusal owes to who gets it, and to the record. */
#ifndef BH_E2E_REFUSED_H
#define BH_E2E_REFUSED_H

#include "shared.h"

/** Problem details with this status, code and check, each member of use, nothing that could serve
 * as a certificate. */
void assert_refused(const struct reply *r, long status, const char *code, const char *check);
/** And it stands in the store of the shared server, under its request id. */
void assert_recorded(const struct reply *r, const char *code, const char *check);

#endif
