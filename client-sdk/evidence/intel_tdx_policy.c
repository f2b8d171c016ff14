/* SPDX-License-Identifier: Apache-2.0 */
/* References for TDs, and the comparison with a report. */
#include "intel_policy.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

enum attribute { /* in the order of their names */
    SEPT_VE_DISABLE,
    MIGRATABLE,
    PERFMON,
};

static const char *const attribute_names[] = {"sept_ve_disable", "migratable", "perfmon", NULL};
#define BIT_SEPT_VE_DISABLE (UINT64_C(1) << 28)
#define BIT_MIGRATABLE (UINT64_C(1) << 29)
#define BIT_PERFMON (UINT64_C(1) << 63)
/* Features of the guest alone: LASS, PKS, KL. And the debug group, which has its own check. */
#define BITS_HARMLESS (UINT64_C(1) << 27 | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(0xff))

/* The values that a policy may pin, in the order of the report. */
enum value {
    MRSEAM,
    MRSIGNERSEAM,
    XFAM,
    MRTD,
    MRCONFIGID,
    MROWNER,
    MROWNERCONFIG,
    MRSERVICETD,
    VALUES,
};

static const struct {
    const char *name;
    size_t len;
} values[VALUES] = {
    [MRSEAM] = {"mrseam", 48},
    [MRSIGNERSEAM] = {"mrsignerseam", 48},
    [XFAM] = {"xfam", 8},
    [MRTD] = {"mrtd", 48},
    [MRCONFIGID] = {"mrconfigid", 48},
    [MROWNER] = {"mrowner", 48},
    [MROWNERCONFIG] = {"mrownerconfig", 48},
    [MRSERVICETD] = {"mrservicetd", 48},
};

struct refs {
    struct ev_intel_refs common;
    struct ev_hexlist values[VALUES];
    struct ev_hexlist rtmr[EV_INTEL_RTMRS];
    uint32_t attributes, waived; /* those that are true, and those that are false */
};

void
ev_tdx_entry_free(void *state)
{
    struct refs *refs = state;

    if (refs == NULL)
        return;
    ev_intel_refs_clear(&refs->common);
    for (size_t i = 0; i < VALUES; i++)
        ev_hexlist_clear(&refs->values[i]);
    for (size_t i = 0; i < EV_INTEL_RTMRS; i++)
        ev_hexlist_clear(&refs->rtmr[i]);
    free(refs);
}

static enum bh_err
read_rtmrs(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    static const char *const names[] = {"0", "1", "2", "3", NULL};
    json_t *object = NULL;
    enum bh_err e;

    if ((e = bh_json_member(entry, "rtmr", JSON_OBJECT, true, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    if ((e = ev_members_only(object, names, diag)) != BH_OK)
        goto out;
    for (size_t i = 0; i < EV_INTEL_RTMRS; i++)
        if ((e = ev_hexlist_read(object, names[i], true, 48, 48, &refs->rtmr[i], diag)) != BH_OK)
            goto out;
out:
    if (e != BH_OK)
        ev_field_prefix(diag, "rtmr.");
    return e;
}

static enum bh_err
read_members(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    enum bh_err e;

    for (size_t i = 0; i < VALUES; i++)
        if ((e = ev_hexlist_read(entry, values[i].name, true, values[i].len, values[i].len,
                 &refs->values[i], diag)) != BH_OK)
            return e;
    if ((e = read_rtmrs(entry, refs, diag)) != BH_OK)
        return e;
    return ev_intel_flags_read(
        entry, "td_attributes", attribute_names, &refs->attributes, &refs->waived, diag);
}

static enum bh_err
check_pins(const struct refs *refs, struct bh_diag *diag)
{
    if (refs->values[MRTD].len == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "mrtd", "mrtd with rtmr 1 and 2", "no mrtd",
            "the entry does not pin the code: any TD would match");
    for (size_t i = 1; i <= 2; i++)
        if (refs->rtmr[i].len == 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, i == 1 ? "rtmr.1" : "rtmr.2",
                "mrtd with rtmr 1 and 2", "mrtd alone, or with one of them",
                "mrtd measures the firmware only: rtmr 1 and 2 measure kernel, command line and "
                "initrd");
    return BH_OK;
}

enum bh_err
ev_tdx_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    static const char *const members[] = {EV_INTEL_COMMON_MEMBERS, "mrseam", "mrsignerseam", "xfam",
        "mrtd", "mrconfigid", "mrowner", "mrownerconfig", "mrservicetd", "rtmr", "td_attributes",
        NULL};
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
    ev_tdx_entry_free(refs);
    return e;
}

/* ---- appraisal ---- */

static enum bh_err
refuse_attribute(const struct ev_intel *q, struct ev_report *report, const char *what,
    const char *expected, const char *found, const char *hint)
{
    return ev_intel_refuse(q, report, BH_ERR_POLICY, "policy", what, expected, found, hint);
}

static enum bh_err
check_attributes(const struct ev_intel *q, const struct refs *refs, struct ev_report *report)
{
    struct bh_reader r;
    uint64_t bits;

    bh_reader_init(&r, q->td.td_attributes);
    bits = bh_reader_u64le(&r);
    if ((bits & BIT_SEPT_VE_DISABLE) == 0 && (refs->waived & UINT32_C(1) << SEPT_VE_DISABLE) == 0)
        return refuse_attribute(q, report, "td_attributes.sept_ve_disable", "set", "not set",
            "the host could inject #VE by taking pages away: set it, or waive it in the policy");
    if ((bits & BIT_MIGRATABLE) != 0 && (refs->attributes & UINT32_C(1) << MIGRATABLE) == 0)
        return refuse_attribute(q, report, "td_attributes.migratable", "not set", "set",
            "a migratable TD trusts its migration TD: permit it in the policy, and pin "
            "mrservicetd");
    if ((bits & BIT_PERFMON) != 0 && (refs->attributes & UINT32_C(1) << PERFMON) == 0)
        return refuse_attribute(
            q, report, "td_attributes.perfmon", "not set", "set", "permit it in the policy");
    if ((bits & ~(BIT_SEPT_VE_DISABLE | BIT_MIGRATABLE | BIT_PERFMON | BITS_HARMLESS)) != 0)
        return refuse_attribute(
            q, report, "td_attributes.reserved", "no bit that is not known", "one is set", NULL);
    ev_intel_pass(
        q, report, "policy", "td_attributes", "attributes that the entry permits", "they are");
    return BH_OK;
}

static struct bh_span
value_of(const struct ev_intel_td *td, enum value v)
{
    switch (v) {
    case MRSEAM:
        return td->mrseam;
    case MRSIGNERSEAM:
        return td->mrsignerseam;
    case XFAM:
        return td->xfam;
    case MRTD:
        return td->mrtd;
    case MRCONFIGID:
        return td->mrconfigid;
    case MROWNER:
        return td->mrowner;
    case MROWNERCONFIG:
        return td->mrownerconfig;
    case MRSERVICETD:
        return td->mrservicetd;
    case VALUES:
        break;
    }
    return bh_span_none();
}

static void
fill_claims(const struct ev_intel *q, const struct refs *refs, struct ev_verdict *verdict)
{
    char name[8];

    ev_claim_bytes(verdict, "mrtd", q->td.mrtd);
    for (unsigned i = 0; i < EV_INTEL_RTMRS; i++) {
        (void)snprintf(name, sizeof(name), "rtmr%u", i);
        ev_claim_bytes(verdict, name, q->td.rtmr[i]);
    }
    for (size_t i = 0; i < VALUES; i++)
        if (i != MRTD && refs->values[i].len > 0)
            ev_claim_bytes(verdict, values[i].name, value_of(&q->td, (enum value)i));
    ev_claim_bytes(verdict, "tdattributes", q->td.td_attributes);
    ev_intel_fill_verdict(q, verdict);
    memcpy(verdict->measurement, q->td.mrtd.ptr, q->td.mrtd.len);
    verdict->measurement_len = q->td.mrtd.len;
}

enum bh_err
ev_tdx_appraise(const void *state, const struct ev_authenticity *auth, const void *references,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_intel *q = state;
    const struct refs *refs = references;
    char name[8];
    enum bh_err e;

    (void)auth;
    *ret_depth = 0;
    if ((e = ev_intel_appraise_platform(q, &refs->common, debug_allowed, report, ret_depth)) !=
        BH_OK)
        return e;
    if ((e = check_attributes(q, refs, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    for (size_t i = 0; i < VALUES; i++)
        if ((e = ev_intel_check_hex(q, report, values[i].name, &refs->values[i],
                 value_of(&q->td, (enum value)i), ret_depth)) != BH_OK)
            return e;
    for (unsigned i = 0; i < EV_INTEL_RTMRS; i++) {
        (void)snprintf(name, sizeof(name), "rtmr%u", i);
        if ((e = ev_intel_check_hex(q, report, name, &refs->rtmr[i], q->td.rtmr[i], ret_depth)) !=
            BH_OK)
            return e;
    }
    fill_claims(q, refs, verdict);
    return BH_OK;
}
