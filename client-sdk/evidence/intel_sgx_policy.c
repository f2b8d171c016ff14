/* SPDX-License-Identifier: Apache-2.0 */
/* References for SGX enclaves, and the comparison with a report. */
#include "intel_policy.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define PROD_IDS_MAX 64

enum attribute { /* in the order of their names */
    MODE64BIT,
    KSS,
    CET,
    AEX_NOTIFY,
    PROVISION_KEY,
    EINITTOKEN_KEY,
};

static const char *const attribute_names[] = {
    "mode64bit", "kss", "cet", "aex_notify", "provision_key", "einittoken_key", NULL};
static const uint64_t attribute_bits[] = {
    [MODE64BIT] = UINT64_C(1) << 2,
    [KSS] = UINT64_C(1) << 7,
    [CET] = UINT64_C(1) << 6,
    [AEX_NOTIFY] = UINT64_C(1) << 10,
    [PROVISION_KEY] = UINT64_C(1) << 4,
    [EINITTOKEN_KEY] = UINT64_C(1) << 5,
};
#define ATTRIBUTE_INIT UINT64_C(1)
#define ATTRIBUTE_DEBUG (UINT64_C(1) << 1)

struct refs {
    struct ev_intel_refs common;
    struct ev_hexlist mrenclave, mrsigner, config_id, isv_family_id, isv_ext_prod_id, xfrm;
    size_t prod_ids_len;
    int64_t prod_ids[PROD_IDS_MAX];
    int64_t isv_svn_min, config_svn_min; /* -1: not pinned */
    uint32_t attributes;                 /* those that are true, bits of enum attribute */
};

void
ev_sgx_entry_free(void *state)
{
    struct refs *refs = state;

    if (refs == NULL)
        return;
    ev_intel_refs_clear(&refs->common);
    ev_hexlist_clear(&refs->mrenclave);
    ev_hexlist_clear(&refs->mrsigner);
    ev_hexlist_clear(&refs->config_id);
    ev_hexlist_clear(&refs->isv_family_id);
    ev_hexlist_clear(&refs->isv_ext_prod_id);
    ev_hexlist_clear(&refs->xfrm);
    free(refs);
}

/* One number, or a list of alternatives. */
static enum bh_err
read_prod_ids(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    const json_t *member = json_object_get(entry, "isv_prod_id");
    const size_t count = json_is_array(member) ? json_array_size(member) : 1;

    if (member == NULL)
        return BH_OK;
    if (count == 0 || count > PROD_IDS_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "isv_prod_id", "1 to 64 alternatives", NULL,
            "%zu alternatives", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(member) ? json_array_get(member, i) : member;

        if (!json_is_integer(one) || json_integer_value(one) < 0 ||
            json_integer_value(one) > 0xffff)
            return bh_refuse(diag, BH_ERR_MALFORMED, "isv_prod_id", "0 to 65535", NULL,
                "an ISVPRODID is a number of 16 bits");
        refs->prod_ids[i] = json_integer_value(one);
    }
    refs->prod_ids_len = count;
    return BH_OK;
}

static enum bh_err
read_members(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    uint32_t unset = 0;
    enum bh_err e;

    refs->isv_svn_min = refs->config_svn_min = -1;
    if ((e = ev_hexlist_read(entry, "mrenclave", true, 32, 32, &refs->mrenclave, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "mrsigner", true, 32, 32, &refs->mrsigner, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "config_id", true, 64, 64, &refs->config_id, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "isv_family_id", true, 16, 16, &refs->isv_family_id, diag)) !=
            BH_OK ||
        (e = ev_hexlist_read(
             entry, "isv_ext_prod_id", true, 16, 16, &refs->isv_ext_prod_id, diag)) != BH_OK ||
        (e = ev_hexlist_read(entry, "xfrm", true, 8, 8, &refs->xfrm, diag)) != BH_OK ||
        (e = read_prod_ids(entry, refs, diag)) != BH_OK ||
        (e = bh_json_int(entry, "isv_svn_min", true, 0, 0xffff, &refs->isv_svn_min, diag)) !=
            BH_OK ||
        (e = bh_json_int(entry, "config_svn_min", true, 0, 0xffff, &refs->config_svn_min, diag)) !=
            BH_OK)
        return e;
    return ev_intel_flags_read(
        entry, "attributes", attribute_names, &refs->attributes, &unset, diag);
}

static enum bh_err
check_pins(const struct refs *refs, struct bh_diag *diag)
{
    if (refs->mrenclave.len > 0)
        return BH_OK;
    if (refs->mrsigner.len > 0 && refs->prod_ids_len > 0 && refs->isv_svn_min >= 0)
        return BH_OK;
    return bh_refuse(diag, BH_ERR_MALFORMED, refs->mrsigner.len > 0 ? "mrsigner" : "mrenclave",
        "mrenclave, or mrsigner with isv_prod_id and isv_svn_min",
        refs->mrsigner.len == 0   ? "neither"
        : refs->prod_ids_len == 0 ? "mrsigner without isv_prod_id"
                                  : "mrsigner without isv_svn_min",
        "the entry does not pin the code: other enclaves would match");
}

enum bh_err
ev_sgx_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    static const char *const members[] = {EV_INTEL_COMMON_MEMBERS, "mrenclave", "mrsigner",
        "isv_prod_id", "isv_svn_min", "config_id", "config_svn_min", "isv_family_id",
        "isv_ext_prod_id", "xfrm", "attributes", NULL};
    struct refs *refs;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    if ((e = read_members(entry, refs, diag)) == BH_OK && (e = check_pins(refs, diag)) == BH_OK &&
        (e = ev_intel_refs_read(entry, &refs->common, diag)) == BH_OK &&
        (e = ev_intel_refs_owner(&refs->common, owner_any, ret_owner_pinned, diag)) == BH_OK) {
        *ret_refs = refs;
        return BH_OK;
    }
    ev_sgx_entry_free(refs);
    return e;
}

/* ---- appraisal ---- */

static uint64_t
flags_of(const struct ev_intel_enclave *e)
{
    struct bh_reader r;

    bh_reader_init(&r, e->attributes);
    return bh_reader_u64le(&r);
}

static enum bh_err
refuse_attribute(const struct ev_intel *q, struct ev_report *report, const char *name,
    const char *expected, const char *found)
{
    char what[BH_CHECK_MAX];

    (void)snprintf(what, sizeof(what), "attributes.%s", name);
    return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", what, expected, found, NULL);
}

static enum bh_err
check_attributes(const struct ev_intel *q, const struct refs *refs, struct ev_report *report)
{
    const uint64_t flags = flags_of(&q->enclave);
    uint64_t known = ATTRIBUTE_INIT | ATTRIBUTE_DEBUG;

    if ((flags & ATTRIBUTE_INIT) == 0)
        return refuse_attribute(q, report, "init", "an initialised enclave", "one that is not");
    for (size_t i = 0; attribute_names[i] != NULL; i++) {
        const bool named = (refs->attributes & UINT32_C(1) << i) != 0;
        const bool set = (flags & attribute_bits[i]) != 0;

        known |= attribute_bits[i];
        if (i < PROVISION_KEY && named && !set)
            return refuse_attribute(q, report, attribute_names[i], "set", "not set");
        if (i >= PROVISION_KEY && set && !named)
            return refuse_attribute(q, report, attribute_names[i], "not set", "set");
    }
    if ((flags & ~known) != 0)
        return refuse_attribute(q, report, "reserved", "no bit that has no meaning", "one is set");
    ev_intel_pass(
        q, report, "policy", "attributes", "attributes that the entry permits", "they are");
    return BH_OK;
}

static enum bh_err
check_minimum(const struct ev_intel *q, struct ev_report *report, const char *what, int64_t min,
    unsigned have, size_t *depth)
{
    char expected[32], found[32];

    if (min < 0)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "at least %lld", (long long)min);
    (void)snprintf(found, sizeof(found), "%u", have);
    if (have < (uint64_t)min)
        return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", what, expected, found,
            "run a newer version of the enclave");
    ev_intel_pass(q, report, "policy", what, expected, found);
    (*depth)++;
    return BH_OK;
}

static enum bh_err
check_prod_id(
    const struct ev_intel *q, const struct refs *refs, struct ev_report *report, size_t *depth)
{
    char expected[32], found[32];

    if (refs->prod_ids_len == 0)
        return BH_OK;
    (void)snprintf(found, sizeof(found), "%u", q->enclave.isv_prod_id);
    (void)snprintf(expected, sizeof(expected), refs->prod_ids_len > 1 ? "%lld | ..." : "%lld",
        (long long)refs->prod_ids[0]);
    for (size_t i = 0; i < refs->prod_ids_len; i++)
        if (refs->prod_ids[i] == q->enclave.isv_prod_id) {
            ev_intel_pass(q, report, "policy", "isv_prod_id", expected, found);
            (*depth)++;
            return BH_OK;
        }
    return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", "isv_prod_id", expected, found,
        "this signer's enclave is another product");
}

static enum bh_err
check_claims(
    const struct ev_intel *q, const struct refs *refs, struct ev_report *report, size_t *depth)
{
    const struct ev_intel_enclave *e = &q->enclave;
    enum bh_err err;

    if ((err = ev_intel_check_hex(q, report, "mrenclave", &refs->mrenclave, e->mrenclave, depth)) !=
            BH_OK ||
        (err = ev_intel_check_hex(q, report, "mrsigner", &refs->mrsigner, e->mrsigner, depth)) !=
            BH_OK ||
        (err = check_prod_id(q, refs, report, depth)) != BH_OK ||
        (err = check_minimum(q, report, "isv_svn", refs->isv_svn_min, e->isv_svn, depth)) !=
            BH_OK ||
        (err = ev_intel_check_hex(q, report, "config_id", &refs->config_id, e->config_id, depth)) !=
            BH_OK ||
        (err = check_minimum(
             q, report, "config_svn", refs->config_svn_min, e->config_svn, depth)) != BH_OK ||
        (err = ev_intel_check_hex(
             q, report, "isv_family_id", &refs->isv_family_id, e->isv_family_id, depth)) != BH_OK)
        return err;
    return ev_intel_check_hex(
        q, report, "isv_ext_prod_id", &refs->isv_ext_prod_id, e->isv_ext_prod_id, depth);
}

static void
fill_claims(const struct ev_intel *q, struct ev_verdict *verdict)
{
    const struct ev_intel_enclave *e = &q->enclave;
    char text[16];

    ev_claim_bytes(verdict, "mrenclave", e->mrenclave);
    ev_claim_bytes(verdict, "mrsigner", e->mrsigner);
    (void)snprintf(text, sizeof(text), "%u", e->isv_prod_id);
    ev_claim_text(verdict, "isvprodid", text);
    (void)snprintf(text, sizeof(text), "%u", e->isv_svn);
    ev_claim_text(verdict, "isvsvn", text);
    ev_claim_bytes(verdict, "attributes", e->attributes);
    if (!bh_span_is_zero(e->config_id))
        ev_claim_bytes(verdict, "configid", e->config_id);
    ev_intel_fill_verdict(q, verdict);
    memcpy(verdict->measurement, e->mrenclave.ptr, e->mrenclave.len);
    verdict->measurement_len = e->mrenclave.len;
}

enum bh_err
ev_sgx_appraise(const void *state, const struct ev_authenticity *auth, const void *references,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_intel *q = state;
    const struct refs *refs = references;
    const struct bh_span xfrm = bh_span(q->enclave.attributes.ptr + 8, 8);
    enum bh_err e;

    (void)auth;
    *ret_depth = 0;
    if ((e = ev_intel_appraise_platform(q, &refs->common, debug_allowed, report, ret_depth)) !=
        BH_OK)
        return e;
    if ((e = check_attributes(q, refs, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = ev_intel_check_hex(q, report, "xfrm", &refs->xfrm, xfrm, ret_depth)) != BH_OK ||
        (e = check_claims(q, refs, report, ret_depth)) != BH_OK)
        return e;
    fill_claims(q, verdict);
    return BH_OK;
}
