/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the HTTP API (design of interfaces: HTTP API) and who answers each. */
#ifndef PAS_FRONTEND_ROUTE_H
#define PAS_FRONTEND_ROUTE_H

#include "core/span.h"

#define PAS_FE_SERIAL_LEN 16

enum pas_fe_route_id {
    PAS_FE_CHALLENGES,
    PAS_FE_CERTIFICATES,
    PAS_FE_APPRAISALS,
    PAS_FE_CERTIFICATE,
    PAS_FE_ROOTS,
    PAS_FE_ISSUERS,
    PAS_FE_INFO,
    PAS_FE_HEALTH,
    PAS_FE_READY,
    PAS_FE_METRICS,
    PAS_FE_LATER, /* a part of the API that this server does not have yet */
    PAS_FE_NONE,
    PAS_FE_ROUTES,
};

struct pas_fe_route {
    enum pas_fe_route_id id;
    const char *name;  /* of bounded cardinality: for logs and metrics */
    const char *path;  /* the whole path; a prefix for those that end in '/' */
    bool post;         /* POST only; otherwise GET and HEAD */
    bool verifier;     /* a verifier answers; otherwise the authority, or nobody when ask is 0 */
    uint16_t ask;      /* enum pas_msg */
    const char *cache; /* Cache-Control of a good answer */
};

/** The route of @p path, never NULL: PAS_FE_LATER and PAS_FE_NONE stand for what is not served. */
const struct pas_fe_route *pas_fe_route_find(const char *path);
/** The serial number behind /v1/certificates/: exactly 32 lower-case hex digits. */
BH_MUST_USE bool pas_fe_route_serial(const char *path, uint8_t ret_serial[PAS_FE_SERIAL_LEN]);
/** True for an empty body and for `{}` with white space around and inside: all that a request for a
 * challenge may say. */
bool pas_fe_body_is_empty(struct bh_span body);

#endif
