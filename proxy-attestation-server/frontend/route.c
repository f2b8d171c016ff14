/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include "core/text.h"
#include "ipc/messages.h"

#define NO_STORE "no-store"
#define A_MINUTE "max-age=60"

static const struct pas_fe_route routes[] = {
    {PAS_FE_CERTIFICATES, "/v1/certificates", "/v1/certificates", true, true, PAS_ENROL, NO_STORE},
    {PAS_FE_CHALLENGES, "/v1/challenges", "/v1/challenges", true, false, PAS_MINT, NO_STORE},
    {PAS_FE_APPRAISALS, "/v1/appraisals", "/v1/appraisals", true, true, PAS_APPRAISE, NO_STORE},
    {PAS_FE_CERTIFICATE, "/v1/certificates/SERIAL", "/v1/certificates/", false, false,
        PAS_CERTIFICATE, NO_STORE},
    {PAS_FE_ROOTS, "/v1/roots", "/v1/roots", false, false, PAS_ROOTS_PEM, A_MINUTE},
    {PAS_FE_ISSUERS, "/v1/issuers", "/v1/issuers", false, false, PAS_ISSUERS_PEM, A_MINUTE},
    {PAS_FE_INFO, "/v1/info", "/v1/info", false, false, PAS_INFO, A_MINUTE},
    {PAS_FE_HEALTH, "/healthz", "/healthz", false, false, 0, NO_STORE},
    {PAS_FE_READY, "/readyz", "/readyz", false, false, PAS_READY, NO_STORE},
    {PAS_FE_METRICS, "/metrics", "/metrics", false, false, PAS_METRICS, NO_STORE},
    {PAS_FE_LATER, "later", "/v1/crl/", false, false, 0, NO_STORE},
    {PAS_FE_LATER, "later", "/v1/ocsp", false, false, 0, NO_STORE},
    {PAS_FE_LATER, "later", "/v1/ocsp/", false, false, 0, NO_STORE},
    {PAS_FE_LATER, "later", "/.well-known/est/", false, false, 0, NO_STORE},
    {PAS_FE_LATER, "later", "/v1/log/", false, false, 0, NO_STORE},
    {PAS_FE_LATER, "later", "/v1/admin/", false, false, 0, NO_STORE},
};

static const struct pas_fe_route none = {PAS_FE_NONE, "none", "", false, false, 0, NO_STORE};

static bool
matches(const struct pas_fe_route *route, const char *path)
{
    const size_t len = strlen(route->path);

    if (route->path[len - 1] == '/')
        return strncmp(path, route->path, len) == 0;
    return strcmp(path, route->path) == 0;
}

const struct pas_fe_route *
pas_fe_route_find(const char *path)
{
    for (size_t i = 0; i < BH_COUNT(routes); i++)
        if (matches(&routes[i], path))
            return &routes[i];
    return &none;
}

bool
pas_fe_route_serial(const char *path, uint8_t ret_serial[PAS_FE_SERIAL_LEN])
{
    const char *hex = path + strlen("/v1/certificates/");
    uint8_t serial[PAS_FE_SERIAL_LEN];
    size_t len = 0;

    if (strspn(hex, "0123456789abcdef") != sizeof(serial) * 2 || strlen(hex) != sizeof(serial) * 2)
        return false;
    if (bh_unhex(bh_span_str(hex), serial, sizeof(serial), &len) != BH_OK)
        return false;
    memcpy(ret_serial, serial, sizeof(serial));
    return true;
}

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
pas_fe_body_is_empty(struct bh_span body)
{
    char squeezed[3];
    size_t len = 0;

    for (size_t i = 0; i < body.len; i++) {
        if (is_space(body.ptr[i]))
            continue;
        if (len == sizeof(squeezed) - 1)
            return false;
        squeezed[len++] = (char)body.ptr[i];
    }
    squeezed[len] = '\0';
    return len == 0 || strcmp(squeezed, "{}") == 0;
}
