/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier.h"

#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define CACHED_CHAINS 256

/* ---- policies ---- */

/* Names that would pose as the server. */
static bool
is_reserved(const char *workload, const struct pas_config *config)
{
    if (strncmp(workload, "beachhead", 9) == 0)
        return true;
    for (size_t i = 0; i < config->dns_len; i++)
        if (strcmp(workload, config->dns[i]) == 0)
            return true;
    return false;
}

static enum bh_err
add_policy(struct pas_ground *g, const char *file, struct bh_span bytes,
    const struct pas_config *config, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL, **grown;
    struct bh_diag inner = {0};
    enum bh_err e;

    if ((e = ev_policy_parse(bytes, &policy, &inner)) != BH_OK) {
        char check[BH_CHECK_MAX];

        (void)snprintf(check, sizeof(check), "policy/%.40s: %.30s", file, inner.check);
        bh_refuse(diag, e, check, inner.expected, inner.found, "policy/%s: %s: %s", file,
            inner.check, inner.detail);
        if (inner.hint[0] != '\0')
            bh_hint(diag, "%s", inner.hint);
        return e;
    }
    if (is_reserved(ev_policy_workload(policy), config)) {
        e = bh_refuse(diag, BH_ERR_POLICY, "policy.workload", "a name that is not reserved",
            ev_policy_workload(policy), "policy/%s: the workload's name is reserved", file);
        bh_hint(
            diag, "names that begin with \"beachhead\" and the server's DNS names are reserved");
    } else if ((grown = realloc(g->policies, (g->policies_len + 1) * sizeof(struct ev_policy *))) ==
               NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "policy/%s", file);
    } else {
        g->policies = grown;
        g->policies[g->policies_len++] = policy;
        return BH_OK;
    }
    ev_policy_free(policy);
    return e;
}

static int
by_workload(const void *a, const void *b)
{
    return strcmp(ev_policy_workload(*(struct ev_policy *const *)a),
        ev_policy_workload(*(struct ev_policy *const *)b));
}

static enum bh_err
sort_policies(struct pas_ground *g, struct bh_diag *diag)
{
    if (g->policies_len > 0)
        qsort(g->policies, g->policies_len, sizeof(struct ev_policy *), by_workload);
    for (size_t i = 1; i < g->policies_len; i++)
        if (by_workload(&g->policies[i - 1], &g->policies[i]) == 0)
            return bh_refuse(diag, BH_ERR_POLICY, "policy.workload", "one file per workload",
                ev_policy_workload(g->policies[i]), "policy/: two files for workload %s",
                ev_policy_workload(g->policies[i]));
    return BH_OK;
}

const struct ev_policy *
pas_ground_policy(const struct pas_ground *g, const char *workload)
{
    size_t low = 0, high = g->policies_len;

    while (low < high) {
        const size_t at = low + (high - low) / 2;
        const int order = strcmp(workload, ev_policy_workload(g->policies[at]));

        if (order == 0)
            return g->policies[at];
        if (order < 0)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

/* ---- anchors ---- */

/* The platform whose name the file's begins with; the longer of two that fit. */
static const char *
platform_of(const char *file)
{
    const char *found = NULL;

    for (const char *const *p = ev_platforms(); *p != NULL; p++)
        if (strncmp(file, *p, strlen(*p)) == 0 && (found == NULL || strlen(*p) > strlen(found)))
            found = *p;
    return found;
}

static enum bh_err
check_anchor(X509 *cert, const char *file, bool simulated, struct bh_diag *diag)
{
    uint8_t spki[BH_SPKI_MAX];
    char subject[256] = "";
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_x509_spki(cert, spki, sizeof(spki), &len, diag)) != BH_OK)
        return e;
    if (ev_is_published_key(bh_span(spki, len)))
        return bh_refuse(diag, BH_ERR_NOT_AUTHENTIC, "trust.published_key",
            "a key whose private half is secret", "a published test key",
            "trust/%s: the private key of this anchor is published", file);
    (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, (int)sizeof(subject));
    if (!simulated && strstr(subject, "SIMULATED") != NULL) {
        e = bh_refuse(diag, BH_ERR_SIMULATED, "trust.simulated", "a vendor's root", subject,
            "trust/%s holds a simulated root", file);
        bh_hint(diag, "simulated roots stand in trust/simulated/");
        return e;
    }
    return BH_OK;
}

static enum bh_err
add_anchors(struct pas_ground *g, const char *file, struct bh_span pem, bool simulated,
    struct bh_diag *diag)
{
    const char *platform = platform_of(file), *folder = simulated ? "trust/simulated" : "trust";
    struct bh_diag inner = {0};
    size_t count = 0;
    enum bh_err e;

    if (platform == NULL) {
        e = bh_refuse(diag, BH_ERR_USAGE, "trust.name", "a name that begins with a platform's",
            file, "%s/%s: of which platform?", folder, file);
        bh_hint(diag, "name it like aws-nitro-root.pem");
        return e;
    }
    e = bh_x509_pem(pem, g->certs + g->certs_len, EV_ANCHORS_MAX - g->certs_len, &count, &inner);
    if (e != BH_OK)
        return bh_refuse(diag, e, "trust.pem", "certificates in PEM", inner.found, "%s/%s: %s",
            folder, file, inner.detail);
    for (size_t i = 0; i < count; i++) {
        struct ev_anchor *a = &g->trust.anchors[g->trust.anchors_len];
        X509 *cert = g->certs[g->certs_len++];

        if ((e = check_anchor(cert, file, simulated, diag)) != BH_OK) {
            g->certs_len += count - i - 1; /* what was read is freed */
            return e;
        }
        a->cert = cert;
        a->simulated = simulated;
        (void)snprintf(a->platform, sizeof(a->platform), "%s", platform);
        g->trust.anchors_len++;
    }
    return BH_OK;
}

/* ---- collateral ---- */

static enum bh_err
add_collateral(struct pas_ground *g, const char *file, struct bh_span bytes, struct bh_diag *diag)
{
    struct bh_diag inner = {0};
    enum bh_err e;

    if ((e = ev_collateral_set_add(g->collateral, bytes, file, NULL, &inner)) == BH_OK)
        return BH_OK;
    (void)bh_refuse(
        diag, e, inner.check, inner.expected, inner.found, "collateral/%s: %s", file, inner.detail);
    if (inner.hint[0] != '\0')
        bh_hint(diag, "%s", inner.hint);
    return e;
}

bool
pas_ground_borrows(const struct pas_ground *g)
{
    return g->collateral != NULL && ev_collateral_set_len(g->collateral) > 0;
}

/* ---- all of it ---- */

static enum bh_err
add_record(struct pas_ground *g, const struct pas_snapshot_record *record,
    const struct pas_config *config, struct bh_diag *diag)
{
    char file[256];

    (void)snprintf(
        file, sizeof(file), "%.*s", (int)record->name.len, (const char *)record->name.ptr);
    switch (record->kind) {
    case PAS_SNAPSHOT_POLICY:
        return add_policy(g, file, record->bytes, config, diag);
    case PAS_SNAPSHOT_ANCHOR:
    case PAS_SNAPSHOT_SIMULATED:
        return add_anchors(g, file, record->bytes, record->kind == PAS_SNAPSHOT_SIMULATED, diag);
    case PAS_SNAPSHOT_COLLATERAL:
        return add_collateral(g, file, record->bytes, diag);
    default:
        return BH_OK;
    }
}

enum bh_err
pas_ground_read(struct bh_span bytes, const struct pas_config *config, struct pas_ground *g,
    struct bh_diag *diag)
{
    struct pas_snapshot_record record;
    struct bh_reader r;
    enum bh_err e;

    memset(g, 0, sizeof(*g));
    if ((g->collateral = ev_collateral_set_new()) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    bh_reader_init(&r, bytes);
    while (pas_snapshot_next(&r, &record))
        if ((e = add_record(g, &record, config, diag)) != BH_OK)
            return e;
    if ((e = bh_reader_end(&r)) != BH_OK)
        return bh_fail(diag, e, "the snapshot does not decode");
    if ((e = sort_policies(g, diag)) != BH_OK)
        return e;
    g->trust.max_age = config->evidence_max_age;
    g->trust.skew = config->clock_skew;
    g->trust.allow_simulated = config->allow_simulated;
    g->trust.collateral = ev_collateral_set_find;
    g->trust.collateral_arg = g->collateral;
    if ((g->trust.cache = ev_chain_cache_new(CACHED_CHAINS)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "chain cache");
    return BH_OK;
}

void
pas_ground_clear(struct pas_ground *g)
{
    for (size_t i = 0; i < g->policies_len; i++)
        ev_policy_free(g->policies[i]);
    free(g->policies);
    for (size_t i = 0; i < g->certs_len; i++)
        X509_free(g->certs[i]);
    ev_chain_cache_free(g->trust.cache);
    ev_collateral_set_free(g->collateral);
    pas_snapshot_unmap(g->mapped);
    memset(g, 0, sizeof(*g));
}
