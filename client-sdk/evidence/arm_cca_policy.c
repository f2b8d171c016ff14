/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of CCA tokens, the comparison of one token with it, and the claims' names. */
#include "arm_cca.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME "arm-cca"
#define PLATFORM NAME ".platform_token"
#define REALM NAME ".realm"

static const char *const hash_names[] = {"sha-256", "sha-384", "sha-512"};

struct refs {
    uint32_t lifecycles;
    struct ev_hexlist implementation;
    struct ev_hexlist config;
    struct ev_arm_software software;
    struct ev_hexlist initial;
    struct ev_hexlist extensible[EV_CCA_REMS];
    struct ev_hexlist personalization;
    uint32_t hashes; /* of hash_names; 0: any */
};

/* ---- policy ---- */

void
ev_cca_entry_free(void *state)
{
    struct refs *refs = state;

    if (refs == NULL)
        return;
    ev_hexlist_clear(&refs->implementation);
    ev_hexlist_clear(&refs->config);
    ev_arm_software_clear(&refs->software);
    ev_hexlist_clear(&refs->initial);
    for (size_t i = 0; i < EV_CCA_REMS; i++)
        ev_hexlist_clear(&refs->extensible[i]);
    ev_hexlist_clear(&refs->personalization);
    free(refs);
}

static enum bh_err
read_extensible(const json_t *realm, struct refs *refs, struct bh_diag *diag)
{
    static const char *const members[EV_CCA_REMS + 1] = {"0", "1", "2", "3", NULL};
    json_t *object;
    enum bh_err e;

    if ((e = bh_json_member(realm, "extensible_measurements", JSON_OBJECT, true, &object, diag)) !=
            BH_OK ||
        object == NULL)
        return e;
    if (json_object_size(object) == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "extensible_measurements", "at least one register",
            "{}", "an empty object pins nothing");
    e = ev_members_only(object, members, diag);
    for (size_t i = 0; e == BH_OK && i < EV_CCA_REMS; i++)
        e = ev_arm_hashlist_read(object, members[i], true, &refs->extensible[i], diag);
    if (e != BH_OK)
        ev_field_prefix(diag, "extensible_measurements.");
    return e;
}

static enum bh_err
read_realm(const json_t *realm, struct refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {"initial_measurement", "extensible_measurements",
        "personalization", "hash_algorithm", NULL};
    enum bh_err e;

    if ((e = ev_members_only(realm, members, diag)) != BH_OK ||
        (e = ev_arm_hashlist_read(realm, "initial_measurement", false, &refs->initial, diag)) !=
            BH_OK ||
        (e = read_extensible(realm, refs, diag)) != BH_OK ||
        (e = ev_hexlist_read(
             realm, "personalization", true, 64, 64, &refs->personalization, diag)) != BH_OK)
        return e;
    return ev_words_read(
        realm, "hash_algorithm", true, hash_names, BH_COUNT(hash_names), &refs->hashes, diag);
}

static enum bh_err
read_platform(const json_t *platform, bool debug, struct refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {
        "lifecycle", "implementation_id", "software", "config", NULL};
    enum bh_err e;

    if ((e = ev_members_only(platform, members, diag)) != BH_OK ||
        (e = ev_arm_lifecycle_read(platform, true, debug, &refs->lifecycles, diag)) != BH_OK ||
        (e = ev_hexlist_read(platform, "implementation_id", false, EV_ARM_IMPLEMENTATION_LEN,
             EV_ARM_IMPLEMENTATION_LEN, &refs->implementation, diag)) != BH_OK ||
        (e = ev_hexlist_read(platform, "config", true, 1, 64, &refs->config, diag)) != BH_OK)
        return e;
    return ev_arm_software_read(platform, true, false, &refs->software, diag);
}

static enum bh_err
read_refs(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {
        "platform", "simulated", "debug", "owner", "context", "realm", "platform_token", NULL};
    json_t *realm, *platform;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK ||
        (e = bh_json_member(entry, "realm", JSON_OBJECT, false, &realm, diag)) != BH_OK ||
        (e = bh_json_member(entry, "platform_token", JSON_OBJECT, false, &platform, diag)) != BH_OK)
        return e;
    if ((e = read_realm(realm, refs, diag)) != BH_OK) {
        ev_field_prefix(diag, "realm.");
        return e;
    }
    if ((e = read_platform(platform, json_is_true(json_object_get(entry, "debug")), refs, diag)) !=
        BH_OK)
        ev_field_prefix(diag, "platform_token.");
    return e;
}

enum bh_err
ev_cca_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    struct refs *refs = calloc(1, sizeof(*refs));
    enum bh_err e;

    if (refs == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    if ((e = read_refs(entry, refs, diag)) != BH_OK) {
        ev_cca_entry_free(refs);
        return e;
    }
    /* Only endorsed instances pass, so the owner is pinned unless the entry says that it does not
     * matter. */
    *ret_owner_pinned = !owner_any;
    *ret_refs = refs;
    return BH_OK;
}

/* ---- appraise ---- */

static enum bh_err
match_hash(const struct refs *refs, const struct ev_cca_token *t, struct ev_report *report)
{
    const struct bh_span name = t->realm[EV_CCA_R_HASH].bytes;
    char expected[48] = "", found[72];
    bool listed = false;
    size_t at = 0;

    for (size_t i = 0; i < BH_COUNT(hash_names); i++) {
        if ((refs->hashes & (UINT32_C(1) << i)) == 0)
            continue;
        at += (size_t)snprintf(
            expected + at, sizeof(expected) - at, "%s%s", at > 0 ? " | " : "", hash_names[i]);
        listed |= bh_span_is(name, hash_names[i]);
    }
    (void)ev_arm_printable(name, found, sizeof(found));
    if (!listed)
        return ev_refuse(report, BH_ERR_POLICY, "policy", REALM ".hash_algorithm", expected, found,
            "the realm was measured with another hash");
    ev_pass(report, "policy", REALM ".hash_algorithm", expected, found);
    return BH_OK;
}

static enum bh_err
match_platform(const struct refs *refs, const struct ev_cca_token *t, bool debug_allowed,
    struct ev_report *report, struct ev_verdict *verdict, size_t *depth)
{
    enum bh_err e;

    if ((e = ev_arm_lifecycle_match(t->platform[EV_CCA_P_LIFECYCLE].number, refs->lifecycles, true,
             debug_allowed, PLATFORM ".lifecycle", report, verdict)) != BH_OK)
        return e;
    ++*depth;
    if ((e = ev_check_hex(report, PLATFORM ".implementation_id", &refs->implementation,
             t->platform[EV_CCA_P_IMPLEMENTATION].bytes)) != BH_OK)
        return e;
    ++*depth;
    if (refs->config.len > 0 && (e = ev_check_hex(report, PLATFORM ".config", &refs->config,
                                     t->platform[EV_CCA_P_CONFIG].bytes)) != BH_OK)
        return e;
    ++*depth;
    if (refs->software.given && (e = ev_arm_software_match(&refs->software, &t->software,
                                     PLATFORM ".software", report)) != BH_OK)
        return e;
    ++*depth;
    return BH_OK;
}

static enum bh_err
match_realm(
    const struct refs *refs, const struct ev_cca_token *t, struct ev_report *report, size_t *depth)
{
    char name[BH_CHECK_MAX];
    enum bh_err e;

    if ((e = ev_check_hex(report, REALM ".initial_measurement", &refs->initial,
             t->realm[EV_CCA_R_INITIAL].bytes)) != BH_OK)
        return e;
    ++*depth;
    if (refs->hashes != 0 && (e = match_hash(refs, t, report)) != BH_OK)
        return e;
    ++*depth;
    for (size_t i = 0; i < EV_CCA_REMS; i++) {
        (void)snprintf(name, sizeof(name), REALM ".extensible_measurements.%zu", i);
        if (refs->extensible[i].len > 0 &&
            (e = ev_check_hex(report, name, &refs->extensible[i], t->extensible[i])) != BH_OK)
            return e;
        ++*depth;
    }
    if (refs->personalization.len > 0 &&
        (e = ev_check_hex(report, REALM ".personalization", &refs->personalization,
             t->realm[EV_CCA_R_PERSONALIZATION].bytes)) != BH_OK)
        return e;
    ++*depth;
    return BH_OK;
}

static void
fill_verdict(
    const struct ev_cca_token *t, const struct ev_authenticity *auth, struct ev_verdict *verdict)
{
    const struct bh_span instance = t->platform[EV_CCA_P_INSTANCE].bytes;
    const struct bh_span initial = t->realm[EV_CCA_R_INITIAL].bytes;
    enum ev_arm_lifecycle state = EV_ARM_UNKNOWN;
    char name[BH_EAR_CLAIM_NAME_MAX];

    memcpy(verdict->hardware_id, instance.ptr, instance.len);
    verdict->hardware_id_len = instance.len;
    memcpy(verdict->measurement, initial.ptr, initial.len);
    verdict->measurement_len = initial.len;
    (void)ev_arm_lifecycle(t->platform[EV_CCA_P_LIFECYCLE].number, &state);
    ev_claim_bytes(verdict, "realm.initial_measurement", initial);
    for (size_t i = 0; i < EV_CCA_REMS; i++) {
        (void)snprintf(name, sizeof(name), "realm.extensible_measurements.%zu", i);
        ev_claim_bytes(verdict, name, t->extensible[i]);
    }
    ev_claim_bytes(verdict, "realm.personalization", t->realm[EV_CCA_R_PERSONALIZATION].bytes);
    ev_claim_text(verdict, "platform_token.lifecycle", ev_arm_lifecycle_name(state, true));
    ev_claim_bytes(
        verdict, "platform_token.implementation_id", t->platform[EV_CCA_P_IMPLEMENTATION].bytes);
    ev_arm_components_claim(&t->software, "platform_token.software", verdict);
    ev_arm_trust(auth, true, verdict);
}

enum bh_err
ev_cca_appraise(const void *state, const struct ev_authenticity *auth, const void *entry,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_cca_token *t = state;
    const struct refs *refs = entry;
    enum bh_err e;

    *ret_depth = 0;
    if (t->lone_platform)
        return ev_refuse(report, BH_ERR_POLICY, EV_CCA_SOURCE, REALM, "a realm token", "none",
            "a platform token alone says nothing of the code that runs in a realm");
    if ((e = match_platform(refs, t, debug_allowed, report, verdict, ret_depth)) != BH_OK ||
        (e = match_realm(refs, t, report, ret_depth)) != BH_OK)
        return e;
    fill_verdict(t, auth, verdict);
    return BH_OK;
}

/* ---- claims ---- */

static void
set(json_t *object, const char *name, bool text, const struct ev_arm_value *v)
{
    char hex[2 * EV_CCA_CONFIG_MAX + 1]; /* no other claim is longer */
    json_t *value;

    if (!v->present)
        return;
    value = text ? json_stringn((const char *)v->bytes.ptr, v->bytes.len)
                 : json_string(bh_hex(v->bytes, hex, sizeof(hex)));
    (void)json_object_set_new(object, name, value);
}

static json_t *
platform_json(const struct ev_cca_token *t)
{
    enum ev_arm_lifecycle state = EV_ARM_UNKNOWN;
    const struct ev_arm_value *v = t->platform;
    json_t *o = json_object();

    set(o, "cca-platform-profile", true, &v[EV_CCA_P_PROFILE]);
    set(o, "cca-platform-challenge", false, &v[EV_CCA_P_CHALLENGE]);
    set(o, "cca-platform-implementation-id", false, &v[EV_CCA_P_IMPLEMENTATION]);
    set(o, "cca-platform-instance-id", false, &v[EV_CCA_P_INSTANCE]);
    set(o, "cca-platform-config", false, &v[EV_CCA_P_CONFIG]);
    (void)ev_arm_lifecycle(v[EV_CCA_P_LIFECYCLE].number, &state);
    (void)json_object_set_new(
        o, "cca-platform-lifecycle", json_integer(v[EV_CCA_P_LIFECYCLE].number));
    (void)json_object_set_new(
        o, "cca-platform-lifecycle-state", json_string(ev_arm_lifecycle_name(state, true)));
    (void)json_object_set_new(
        o, "cca-platform-sw-components", ev_arm_components_json(&t->software));
    set(o, "cca-platform-service-indicator", true, &v[EV_CCA_P_VERIFICATION]);
    set(o, "cca-platform-hash-algo-id", true, &v[EV_CCA_P_HASH]);
    if (v[EV_CCA_P_CLIENT].present)
        (void)json_object_set_new(
            o, "cca-platform-client-id", json_integer(v[EV_CCA_P_CLIENT].number));
    return o;
}

static json_t *
realm_json(const struct ev_cca_token *t)
{
    const struct ev_arm_value *v = t->realm;
    json_t *o = json_object();
    json_t *list = json_array();
    char hex[2 * 64 + 1];

    set(o, "cca-realm-profile", true, &v[EV_CCA_R_PROFILE]);
    set(o, "cca-realm-challenge", false, &v[EV_CCA_R_CHALLENGE]);
    set(o, "cca-realm-personalization-value", false, &v[EV_CCA_R_PERSONALIZATION]);
    set(o, "cca-realm-initial-measurement", false, &v[EV_CCA_R_INITIAL]);
    for (size_t i = 0; i < EV_CCA_REMS; i++)
        (void)json_array_append_new(list, json_string(bh_hex(t->extensible[i], hex, sizeof(hex))));
    (void)json_object_set_new(o, "cca-realm-extensible-measurements", list);
    set(o, "cca-realm-hash-algo-id", true, &v[EV_CCA_R_HASH]);
    set(o, "cca-realm-public-key", false, &v[EV_CCA_R_KEY]);
    set(o, "cca-realm-public-key-hash-algo-id", true, &v[EV_CCA_R_KEY_HASH]);
    set(o, "cca-realm-instance-id", false, &v[EV_CCA_R_INSTANCE]);
    if (v[EV_CCA_R_MEC].present)
        (void)json_object_set_new(o, "cca-realm-mec-policy", json_integer(v[EV_CCA_R_MEC].number));
    return o;
}

json_t *
ev_cca_claims(const void *state)
{
    const struct ev_cca_token *t = state;
    json_t *o = json_object();

    (void)json_object_set_new(o, "cca-platform-token", platform_json(t));
    if (!t->lone_platform)
        (void)json_object_set_new(o, "cca-realm-delegated-token", realm_json(t));
    return o;
}
