/* SPDX-License-Identifier: Apache-2.0 */
/* libbeachhead: verify isolates by one root. Everything but <beachhead/curl.h>, which needs
 * libcurl's headers. */
#ifndef BEACHHEAD_BEACHHEAD_H
#define BEACHHEAD_BEACHHEAD_H

#include "enrol.h"
#include "failure.h"
#include "tls.h"
#include "verify.h"

#endif
