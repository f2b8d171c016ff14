/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of PSA tokens, and the comparison of one token with it. */
#include "psa.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

#define PREFIX "psa"

/* ---- policy ---- */

#define CLIENTS_MAX 64

struct refs {
    uint32_t key_classes; /* 1 << (class - 1) */
    uint32_t lifecycles;
    struct ev_hexlist implementation;
    struct ev_arm_software software;
    size_t clients_len; /* 0: any */
    int32_t clients[CLIENTS_MAX];
};

void
ev_psa_entry_free(void *state)
{
    struct refs *refs = state;

    if (refs == NULL)
        return;
    ev_hexlist_clear(&refs->implementation);
    ev_arm_software_clear(&refs->software);
    free(refs);
}

static enum bh_err
read_clients(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    const json_t *list = json_object_get(entry, "client_id");

    if (list == NULL)
        return BH_OK;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > CLIENTS_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "client_id", "a list of 1 to 64 numbers", NULL,
            "client ids that may ask for the token");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_int_t id = json_integer_value(item);

        if (!json_is_integer(item) || id == 0 || id < INT32_MIN || id > INT32_MAX)
            return bh_refuse(diag, BH_ERR_MALFORMED, "client_id", "32-bit numbers other than 0",
                NULL, "a client id that no token can carry");
        for (size_t k = 0; k < i; k++)
            if (refs->clients[k] == id)
                return bh_refuse(diag, BH_ERR_MALFORMED, "client_id", "each number once", NULL,
                    "the same alternative stands twice in this list");
        refs->clients[refs->clients_len++] = (int32_t)id;
    }
    return BH_OK;
}

static enum bh_err
read_refs(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {"platform", "simulated", "debug", "owner", "context",
        "key_class", "implementation_id", "lifecycle", "software", "client_id", NULL};
    static const char *const classes[] = {"silicon", "tpm", "file"};
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK ||
        (e = ev_words_read(entry, "key_class", false, classes, BH_COUNT(classes),
             &refs->key_classes, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "implementation_id", false, EV_ARM_IMPLEMENTATION_LEN,
             EV_ARM_IMPLEMENTATION_LEN, &refs->implementation, diag)) != BH_OK ||
        (e = ev_arm_lifecycle_read(entry, false, json_is_true(json_object_get(entry, "debug")),
             &refs->lifecycles, diag)) != BH_OK ||
        (e = ev_arm_software_read(entry, false, true, &refs->software, diag)) != BH_OK)
        return e;
    return read_clients(entry, refs, diag);
}

enum bh_err
ev_psa_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    struct refs *refs = calloc(1, sizeof(*refs));
    enum bh_err e;

    if (refs == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    if ((e = read_refs(entry, refs, diag)) != BH_OK) {
        ev_psa_entry_free(refs);
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
match_key_class(
    const struct refs *refs, const struct ev_authenticity *auth, struct ev_report *report)
{
    static const char *const names[] = {"silicon", "tpm", "file"};
    char expected[32] = "";
    size_t at = 0;

    for (size_t i = 0; i < BH_COUNT(names); i++)
        if ((refs->key_classes & (UINT32_C(1) << i)) != 0)
            at += (size_t)snprintf(
                expected + at, sizeof(expected) - at, "%s%s", at > 0 ? " | " : "", names[i]);
    const char *found = names[auth->key_class - EV_KEY_SILICON];
    if ((refs->key_classes & (UINT32_C(1) << (auth->key_class - EV_KEY_SILICON))) == 0)
        return ev_refuse(report, BH_ERR_POLICY, "policy", PREFIX ".key_class", expected, found,
            "the device's key is not kept where this workload needs it");
    ev_pass(report, "policy", PREFIX ".key_class", expected, found);
    return BH_OK;
}

static enum bh_err
match_client(const struct refs *refs, const struct ev_psa_token *t, struct ev_report *report)
{
    char found[24];

    (void)snprintf(found, sizeof(found), "%lld", (long long)t->claims[EV_PSA_CLIENT].number);
    for (size_t i = 0; i < refs->clients_len; i++)
        if (refs->clients[i] == t->claims[EV_PSA_CLIENT].number) {
            ev_pass(report, "policy", PREFIX ".client_id", "a client id of the policy", found);
            return BH_OK;
        }
    return ev_refuse(report, BH_ERR_POLICY, "policy", PREFIX ".client_id",
        "a client id of the policy", found,
        "the token was asked for by another client of the secure side");
}

static enum bh_err
match_software(const struct refs *refs, const struct ev_psa_token *t, struct ev_report *report)
{
    const bool none = t->software.len == 0;

    if (refs->software.none != none)
        return ev_refuse(report, BH_ERR_POLICY, "policy", PREFIX ".software",
            refs->software.none ? "the no-measurements claim" : "software components",
            none ? "the no-measurements claim" : "software components", NULL);
    if (none) {
        ev_pass(report, "policy", PREFIX ".software", "the no-measurements claim",
            "the no-measurements claim");
        return BH_OK;
    }
    return ev_arm_software_match(&refs->software, &t->software, PREFIX ".software", report);
}

static void
fill_verdict(
    const struct ev_psa_token *t, const struct ev_authenticity *auth, struct ev_verdict *verdict)
{
    const struct bh_span instance = t->claims[EV_PSA_INSTANCE].bytes;
    enum ev_arm_lifecycle state = EV_ARM_UNKNOWN;

    memcpy(verdict->hardware_id, instance.ptr, instance.len);
    verdict->hardware_id_len = instance.len;
    verdict->measurement_len = 0;
    if (t->software.len > 0) {
        const struct bh_span first = t->software.items[0].measurement;

        memcpy(verdict->measurement, first.ptr, first.len);
        verdict->measurement_len = first.len;
    }
    (void)ev_arm_lifecycle(t->claims[EV_PSA_LIFECYCLE].number, &state);
    ev_claim_bytes(verdict, "implementation_id", t->claims[EV_PSA_IMPLEMENTATION].bytes);
    ev_claim_text(verdict, "lifecycle", ev_arm_lifecycle_name(state, false));
    if (t->software.len == 0)
        ev_claim_text(verdict, "software", "none");
    ev_arm_components_claim(&t->software, "software", verdict);
    ev_arm_trust(auth, t->software.len > 0, verdict);
}

enum bh_err
ev_psa_appraise(const void *state, const struct ev_authenticity *auth, const void *entry,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_psa_token *t = state;
    const struct refs *refs = entry;
    enum bh_err e;

    *ret_depth = 0;
    if ((e = ev_arm_lifecycle_match(t->claims[EV_PSA_LIFECYCLE].number, refs->lifecycles, false,
             debug_allowed, PREFIX ".lifecycle", report, verdict)) != BH_OK)
        return e;
    *ret_depth = 1;
    if ((e = match_key_class(refs, auth, report)) != BH_OK)
        return e;
    *ret_depth = 2;
    if ((e = ev_check_hex(report, PREFIX ".implementation_id", &refs->implementation,
             t->claims[EV_PSA_IMPLEMENTATION].bytes)) != BH_OK)
        return e;
    *ret_depth = 3;
    if (refs->clients_len > 0 && (e = match_client(refs, t, report)) != BH_OK)
        return e;
    *ret_depth = 4;
    if ((e = match_software(refs, t, report)) != BH_OK)
        return e;
    *ret_depth = 5;
    fill_verdict(t, auth, verdict);
    return BH_OK;
}
