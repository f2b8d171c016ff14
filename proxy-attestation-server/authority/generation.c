/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot of the policies becomes a generation: parsed, recorded, and only then in force. */
#include "authority.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

void
pas_name_file(struct bh_diag *diag, const char *folder, struct bh_span file)
{
    char old[BH_CHECK_MAX];
    const size_t folder_len = strlen(folder);
    const char *check = old;

    memcpy(old, diag->check, sizeof(old));
    /* "policy.accept[0]" of policy/x.json is said as "policy/x.json: accept[0]". */
    if (strcmp(old, folder) == 0)
        check += folder_len;
    else if (strncmp(old, folder, folder_len) == 0 && old[folder_len] == '.')
        check += folder_len + 1;
    (void)snprintf(diag->check, sizeof(diag->check), "%s/%.*s%s%.40s", folder,
        (int)(file.len < 32 ? file.len : 32), (const char *)file.ptr, *check != '\0' ? ": " : "",
        check);
}

void
pas_generation_free(struct pas_generation *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->len; i++)
        ev_policy_free(g->policies[i]);
    free(g->policies);
    free(g);
}

static bool
within(const char *name, const char *base)
{
    const size_t name_len = strlen(name), base_len = strlen(base);

    if (name_len < base_len || strcmp(name + name_len - base_len, base) != 0)
        return false;
    return name_len == base_len || name[name_len - base_len - 1] == '.';
}

/* DNS names that the issuing CA may certify and that are not the server's own. */
static enum bh_err
check_names(const struct pas_config *config, const struct ev_policy *policy, struct bh_diag *diag)
{
    const struct ev_profile *profile = ev_policy_profile(policy);
    enum bh_err e;

    for (size_t i = 0; i < profile->dns_len; i++) {
        const char *name = profile->dns[i];
        bool permitted = within(name, config->trust_domain), reserved = false;

        for (size_t j = 0; j < config->dns_len; j++) {
            permitted = permitted || within(name, config->dns[j]);
            reserved = reserved || strcmp(name, config->dns[j]) == 0;
        }
        if (permitted && !reserved)
            continue;
        e = bh_refuse(diag, BH_ERR_MALFORMED, "policy.certificate.dns",
            reserved ? "no DNS name of the server itself" : config->trust_domain, name,
            reserved ? "the server's own names are reserved"
                     : "the issuing CA's name constraints do not permit this name");
        bh_hint(diag, "use a name under the trust domain, or under a --dns name given to init");
        return e;
    }
    return BH_OK;
}

static enum bh_err
add_policy(struct pas_authority *a, struct pas_generation *g,
    const struct pas_snapshot_record *record, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL;
    struct ev_policy **grown;
    enum bh_err e;

    if (g->len >= PAS_POLICIES_MAX)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "more than %d policies", PAS_POLICIES_MAX);
    if ((e = ev_policy_parse(record->bytes, &policy, diag)) != BH_OK ||
        (e = check_names(&a->child.config, policy, diag)) != BH_OK)
        goto out;
    if ((g->len & (g->len + 1)) == 0) {
        /* Room doubles whenever len + 1 is a power of two. */
        if ((grown = realloc(g->policies, 2 * (g->len + 1) * sizeof(struct ev_policy *))) == NULL) {
            e = bh_fail(diag, BH_ERR_NOMEM, "policies");
            goto out;
        }
        g->policies = grown;
    }
    g->policies[g->len++] = policy;
    policy = NULL;
out:
    ev_policy_free(policy);
    if (e != BH_OK)
        pas_name_file(diag, "policy", record->name);
    return e;
}

static int
by_workload(const void *a, const void *b)
{
    struct ev_policy *const *pa = a;
    struct ev_policy *const *pb = b;

    return strcmp(ev_policy_workload(*pa), ev_policy_workload(*pb));
}

static enum bh_err
parse(struct pas_authority *a, struct pas_generation *g, struct bh_span snapshot,
    struct bh_diag *diag)
{
    struct pas_snapshot_record record;
    struct bh_reader r;
    enum bh_err e;

    bh_reader_init(&r, snapshot);
    while (pas_snapshot_next(&r, &record))
        if (record.kind == PAS_SNAPSHOT_POLICY && (e = add_policy(a, g, &record, diag)) != BH_OK)
            return e;
    if ((e = bh_reader_end(&r)) != BH_OK)
        return bh_fail(diag, e, "ipc: the snapshot breaks off at byte %zu", bh_reader_off(&r));
    if (g->len > 1)
        qsort(g->policies, g->len, sizeof(g->policies[0]), by_workload);
    for (size_t i = 1; i < g->len; i++)
        if (by_workload(&g->policies[i - 1], &g->policies[i]) == 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, "policy: workload", "one file per workload",
                ev_policy_workload(g->policies[i]), "two files of policy/ name this workload");
    return BH_OK;
}

static enum bh_err
record_all(struct pas_authority *a, const struct pas_generation *g, struct bh_span snapshot,
    struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = pas_store_begin(a->store, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < g->len; i++) {
        const struct ev_policy *p = g->policies[i];
        if ((e = pas_store_put_policy(a->store, ev_policy_digest(p), ev_policy_workload(p),
                 ev_policy_canonical(p), a->now, diag)) != BH_OK)
            goto out;
    }
    if ((e = pas_endorsed_import(a->store, snapshot, diag)) == BH_OK)
        return pas_store_commit(a->store, diag);
out:
    pas_store_rollback(a->store);
    return e;
}

enum bh_err
pas_generation_import(
    struct pas_authority *a, uint64_t number, struct bh_span snapshot, struct bh_diag *diag)
{
    struct pas_generation *g = calloc(1, sizeof(*g));
    enum bh_err e;

    if (g == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policies");
    g->number = number;
    if ((e = parse(a, g, snapshot, diag)) != BH_OK ||
        (e = record_all(a, g, snapshot, diag)) != BH_OK) {
        pas_generation_free(g);
        return e;
    }
    /* A generation that no verifier ever judged by (they refused it) must not push out the one in
     * use. */
    if (a->current != NULL && (a->current->used || a->previous == NULL) &&
        a->current->number != number) {
        pas_generation_free(a->previous);
        a->previous = a->current;
    } else {
        pas_generation_free(a->current);
    }
    a->current = g;
    return BH_OK;
}

struct pas_generation *
pas_generation_find(struct pas_authority *a, uint64_t number)
{
    if (a->current != NULL && a->current->number == number)
        return a->current;
    return a->previous != NULL && a->previous->number == number ? a->previous : NULL;
}

const struct ev_policy *
pas_generation_policy(const struct pas_generation *g, struct bh_span workload)
{
    size_t low = 0, high = g->len;

    while (low < high) {
        const size_t at = low + (high - low) / 2;
        const char *name = ev_policy_workload(g->policies[at]);
        const int order = strncmp(name, (const char *)workload.ptr, workload.len);

        if (order == 0 && name[workload.len] == '\0')
            return g->policies[at];
        if (order < 0)
            low = at + 1;
        else
            high = at;
    }
    return NULL;
}
