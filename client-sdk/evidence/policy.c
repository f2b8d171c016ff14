/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include "platform.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdlib.h>

#define ENTRIES_MAX 1024
#define CONTEXTS_MAX 256
#define RESERVED "beachhead"
#define PLATFORMS                                                                                  \
    "aws-nitro | arm-cca | psa | amd-sev-snp | intel-sgx | intel-tdx | tpm2 | aws-nitrotpm"

struct ev_policy {
    json_t *json; /* the strings of profile and workload are borrowed from it */
    char *canonical;
    uint8_t digest[32];
    const char *workload;
    struct ev_profile profile;
    bool simulated;
    size_t entries_len;
    struct ev_entry *entries;
};

static void
entry_clear(struct ev_entry *entry)
{
    if (entry->platform != NULL && entry->refs != NULL)
        entry->platform->entry_free(entry->refs);
    free(entry->contexts);
}

void
ev_policy_free(struct ev_policy *policy)
{
    if (policy == NULL)
        return;
    for (size_t i = 0; i < policy->entries_len; i++)
        entry_clear(&policy->entries[i]);
    free(policy->entries);
    free(policy->canonical);
    json_decref(policy->json);
    free(policy);
}

static enum bh_err
read_workload(const json_t *root, struct ev_policy *p, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = bh_json_string(root, "workload", false, &p->workload, diag)) != BH_OK)
        return e;
    if (!bh_is_workload(bh_span_str(p->workload)))
        return bh_refuse(diag, BH_ERR_MALFORMED, "workload", "[a-z0-9][a-z0-9._-]{0,62}",
            p->workload, "this is no workload name");
    if (strncmp(p->workload, RESERVED, sizeof(RESERVED) - 1) == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "workload", "a name of your own", p->workload,
            "names that begin with \"" RESERVED "\" are reserved");
    return BH_OK;
}

static enum bh_err
read_dns(const json_t *certificate, struct ev_profile *profile, struct bh_diag *diag)
{
    json_t *list;
    enum bh_err e;

    if ((e = bh_json_member(certificate, "dns", JSON_ARRAY, true, &list, diag)) != BH_OK)
        return e;
    if (json_array_size(list) > EV_POLICY_DNS_MAX)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "dns", NULL, NULL, "%zu names; at most %d",
            json_array_size(list), EV_POLICY_DNS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL || !bh_is_dns_name(bh_span_str(name)))
            return bh_refuse(diag, BH_ERR_MALFORMED, "dns", "lower-case DNS names",
                name != NULL ? name : "another type", "this is no DNS name");
        for (size_t k = 0; k < i; k++)
            if (strcmp(profile->dns[k], name) == 0)
                return bh_refuse(diag, BH_ERR_MALFORMED, "dns", "each name once", name,
                    "the same name stands twice in this list");
        profile->dns[profile->dns_len++] = name;
    }
    return BH_OK;
}

static enum bh_err
read_certificate(const json_t *certificate, struct ev_profile *profile, struct bh_diag *diag)
{
    static const char *const members[] = {"lifetime", "dns", "keys", NULL};
    static const char *const keys[] = {"P-256", "P-384", "Ed25519"};
    const char *lifetime;
    uint32_t mask = 0;
    enum bh_err e;

    if ((e = ev_members_only(certificate, members, diag)) != BH_OK ||
        (e = bh_json_string(certificate, "lifetime", true, &lifetime, diag)) != BH_OK)
        return e;
    if (lifetime != NULL && bh_duration_read(lifetime, &profile->lifetime) != BH_OK)
        return bh_refuse(diag, BH_ERR_MALFORMED, "lifetime", "90s, 15m, 24h, 30d", lifetime,
            "this is no duration");
    if ((e = read_dns(certificate, profile, diag)) != BH_OK ||
        (e = ev_words_read(certificate, "keys", true, keys, BH_COUNT(keys), &mask, diag)) != BH_OK)
        return e;
    if (mask == 0)
        return BH_OK;
    profile->key_p256 = (mask & 1) != 0;
    profile->key_p384 = (mask & 2) != 0;
    profile->key_ed25519 = (mask & 4) != 0;
    return BH_OK;
}

static enum bh_err
read_contexts(const json_t *object, struct ev_entry *entry, struct bh_diag *diag)
{
    struct ev_hexlist list = {0};
    json_t *array;
    enum bh_err e;

    if ((e = bh_json_member(object, "context", JSON_ARRAY, true, &array, diag)) != BH_OK)
        return e;
    if (json_array_size(array) > CONTEXTS_MAX)
        return bh_refuse(diag, BH_ERR_TOO_LARGE, "context", NULL, NULL,
            "%zu alternatives; at most %d", json_array_size(array), CONTEXTS_MAX);
    if ((e = ev_hexlist_read(object, "context", true, 1, BH_CONTEXT_MAX, &list, diag)) != BH_OK ||
        list.len == 0)
        return e;
    if ((entry->contexts = calloc(list.len, sizeof(*entry->contexts))) == NULL) {
        ev_hexlist_clear(&list);
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    }
    for (size_t i = 0; i < list.len; i++) {
        memcpy(entry->contexts[i].bytes, list.items[i].bytes, list.items[i].len);
        entry->contexts[i].len = list.items[i].len;
    }
    entry->contexts_len = list.len;
    ev_hexlist_clear(&list);
    return BH_OK;
}

static enum bh_err
find_platform(const char *name, const struct ev_platform **ret_platform, struct bh_diag *diag)
{
    const struct ev_platform *platform = ev_platform_find(name);

    if (platform == NULL)
        return bh_refuse(
            diag, BH_ERR_MALFORMED, "platform", PLATFORMS, name, "there is no such platform");
    if (platform->entry_parse == NULL) {
        bh_refuse(diag, BH_ERR_UNSUPPORTED, "platform", PLATFORMS, name,
            "%s is appraised beside a CPU's evidence only, which this version cannot do", name);
        bh_hint(diag, "remove the entry, or use a version that has this");
        return BH_ERR_UNSUPPORTED;
    }
    *ret_platform = platform;
    return BH_OK;
}

static enum bh_err
read_entry(const json_t *object, struct ev_entry *entry, struct bh_diag *diag)
{
    const char *platform, *owner;
    enum bh_err e;

    if (!json_is_object(object))
        return bh_refuse(
            diag, BH_ERR_MALFORMED, "platform", "an object", NULL, "an entry is an object");
    if ((e = bh_json_string(object, "platform", false, &platform, diag)) != BH_OK ||
        (e = find_platform(platform, &entry->platform, diag)) != BH_OK ||
        (e = bh_json_bool(object, "simulated", true, &entry->simulated, diag)) != BH_OK ||
        (e = bh_json_bool(object, "debug", true, &entry->debug, diag)) != BH_OK ||
        (e = bh_json_string(object, "owner", true, &owner, diag)) != BH_OK)
        return e;
    if (owner != NULL && strcmp(owner, "any") != 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner", "any", owner,
            "an owner is pinned by its platform's own members, or is \"any\"");
    if ((e = read_contexts(object, entry, diag)) != BH_OK)
        return e;
    return entry->platform->entry_parse(
        object, owner != NULL, &entry->refs, &entry->owner_pinned, diag);
}

static enum bh_err
read_accept(const json_t *root, struct ev_policy *p, struct bh_diag *diag)
{
    json_t *list;
    enum bh_err e;

    if ((e = bh_json_member(root, "accept", JSON_ARRAY, false, &list, diag)) != BH_OK)
        return e;
    const size_t count = json_array_size(list);
    if (count == 0 || count > ENTRIES_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "accept", NULL, NULL,
            "%zu entries; expected 1 to %d", count, ENTRIES_MAX);
    if ((p->entries = calloc(count, sizeof(*p->entries))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    for (size_t i = 0; i < count; i++) {
        p->entries_len = i + 1;
        if ((e = read_entry(json_array_get(list, i), &p->entries[i], diag)) != BH_OK) {
            ev_field_prefix(diag, "accept[%zu].", i);
            bh_name_check(diag, "accept[%zu]", i);
            return e;
        }
        if (p->entries[i].simulated != p->entries[0].simulated) {
            e = bh_refuse(diag, BH_ERR_MALFORMED, "simulated", NULL, NULL,
                "a workload has either simulated or genuine entries, never both");
            ev_field_prefix(diag, "accept[%zu].", i);
            return e;
        }
    }
    p->simulated = p->entries[0].simulated;
    return BH_OK;
}

static enum bh_err
read_policy(const json_t *root, struct ev_policy *p, struct bh_diag *diag)
{
    static const char *const members[] = {"workload", "certificate", "accept", NULL};
    json_t *certificate;
    enum bh_err e;

    if (!json_is_object(root))
        return bh_fail(diag, BH_ERR_MALFORMED, "a policy is a JSON object");
    p->profile.key_p256 = p->profile.key_p384 = p->profile.key_ed25519 = true;
    if ((e = ev_members_only(root, members, diag)) != BH_OK ||
        (e = read_workload(root, p, diag)) != BH_OK ||
        (e = bh_json_member(root, "certificate", JSON_OBJECT, true, &certificate, diag)) != BH_OK)
        return e;
    if (certificate != NULL && (e = read_certificate(certificate, &p->profile, diag)) != BH_OK) {
        ev_field_prefix(diag, "certificate.");
        return e;
    }
    if ((e = read_accept(root, p, diag)) != BH_OK)
        return e;
    if ((e = bh_json_canonical(root, &p->canonical, diag)) != BH_OK)
        return e;
    if (bh_sha2(256, bh_span_str(p->canonical), p->digest) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "SHA-256 of the policy");
    return BH_OK;
}

enum bh_err
ev_policy_parse(struct bh_span json, struct ev_policy **ret_policy, struct bh_diag *diag)
{
    struct ev_policy *p = calloc(1, sizeof(*p));
    enum bh_err e;

    if (p == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    if ((e = bh_json_parse(json, BH_POLICY_MAX, &p->json, diag)) == BH_OK)
        e = read_policy(p->json, p, diag);
    if (e != BH_OK) {
        ev_field_prefix(diag, "policy.");
        bh_name_check(diag, "policy");
        ev_policy_free(p);
        return e;
    }
    *ret_policy = p;
    return BH_OK;
}

const char *
ev_policy_workload(const struct ev_policy *policy)
{
    return policy->workload;
}

const struct ev_profile *
ev_policy_profile(const struct ev_policy *policy)
{
    return &policy->profile;
}

bool
ev_policy_simulated(const struct ev_policy *policy)
{
    return policy->simulated;
}

bool
ev_policy_has_platform(const struct ev_policy *policy, const char *platform)
{
    for (size_t i = 0; i < policy->entries_len; i++)
        if (strcmp(policy->entries[i].platform->name, platform) == 0)
            return true;
    return false;
}

const char *
ev_policy_canonical(const struct ev_policy *policy)
{
    return policy->canonical;
}

const uint8_t *
ev_policy_digest(const struct ev_policy *policy)
{
    return policy->digest;
}

size_t
ev_policy_entries(const struct ev_policy *policy)
{
    return policy->entries_len;
}

const struct ev_entry *
ev_policy_entry(const struct ev_policy *policy, size_t index)
{
    return index < policy->entries_len ? &policy->entries[index] : NULL;
}
