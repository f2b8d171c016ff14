/* SPDX-License-Identifier: Apache-2.0 */
/* References for Nitro enclaves: lists of PCR values; and the comparison with a document. */
#include "aws_nitro.h"

#include "core/json.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

struct refs {
    struct ev_hexlist pcrs[EV_NITRO_PCRS]; /* len 0: not pinned */
};

void
ev_nitro_entry_free(void *state)
{
    struct refs *refs = state;

    for (size_t i = 0; refs != NULL && i < EV_NITRO_PCRS; i++)
        ev_hexlist_clear(&refs->pcrs[i]);
    free(refs);
}

/* A number below @p pcrs, written in the one way. */
static bool
read_index(const char *name, size_t pcrs, size_t *ret_index)
{
    char again[4];

    for (unsigned i = 0; i < pcrs; i++) {
        (void)snprintf(again, sizeof(again), "%u", i);
        if (strcmp(again, name) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static enum bh_err
read_pcr(const json_t *object, const char *name, size_t pcrs, struct ev_hexlist *lists,
    struct bh_diag *diag)
{
    struct ev_hexlist *list;
    char expected[16];
    size_t index;
    enum bh_err e;

    (void)snprintf(expected, sizeof(expected), "0 to %zu", pcrs - 1);
    if (!read_index(name, pcrs, &index))
        return bh_refuse(
            diag, BH_ERR_MALFORMED, name, expected, name, "there is no PCR of this index");
    list = &lists[index];
    if ((e = ev_hexlist_read(object, name, false, 32, 64, list, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < list->len; i++)
        if (list->items[i].len != 32 && list->items[i].len != 48 && list->items[i].len != 64)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "32, 48 or 64 bytes", "another length",
                "a PCR is a SHA-256, SHA-384 or SHA-512 value");
    return BH_OK;
}

enum bh_err
ev_nitro_pcrs_read(const json_t *entry, size_t pcrs, struct ev_hexlist *lists, struct bh_diag *diag)
{
    json_t *object = NULL, *list;
    const char *name;
    enum bh_err e;

    if ((e = bh_json_member(entry, "pcrs", JSON_OBJECT, false, &object, diag)) != BH_OK)
        return e;
    json_object_foreach(object, name, list)
    {
        (void)list;
        if ((e = read_pcr(object, name, pcrs, lists, diag)) != BH_OK) {
            ev_field_prefix(diag, "pcrs.");
            return e;
        }
    }
    return BH_OK;
}

static enum bh_err
check_pins(const struct refs *refs, bool owner_any, bool *ret_owner_pinned, struct bh_diag *diag)
{
    const struct ev_hexlist *pcrs = refs->pcrs;
    const bool owner = pcrs[3].len > 0 || pcrs[4].len > 0;

    if (pcrs[0].len == 0 && (pcrs[8].len == 0 || pcrs[1].len == 0 || pcrs[2].len == 0))
        return bh_refuse(diag, BH_ERR_MALFORMED, "pcrs", "PCR 0, or PCR 8 with PCRs 1 and 2",
            "neither", "the entry does not pin the code: any enclave would match");
    if (!owner && !owner_any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner",
            "PCR 3 (IAM role) or PCR 4 (parent instance), or \"owner\": \"any\"", "neither",
            "the entry does not say whose enclave it is");
    *ret_owner_pinned = owner;
    return BH_OK;
}

enum bh_err
ev_nitro_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    static const char *const members[] = {
        "platform", "simulated", "debug", "owner", "context", "pcrs", NULL};
    struct refs *refs = NULL;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    if ((e = ev_nitro_pcrs_read(entry, EV_NITRO_PCRS, refs->pcrs, diag)) != BH_OK)
        goto out;
    if ((e = check_pins(refs, owner_any, ret_owner_pinned, diag)) != BH_OK)
        goto out;
    *ret_refs = refs;
    refs = NULL;
out:
    ev_nitro_entry_free(refs);
    return e;
}

/* ---- appraisal ---- */

bool
ev_nitro_debug(const struct ev_nitro *n)
{
    for (size_t i = 0; i < 3; i++)
        if (!bh_span_is_zero(n->pcrs[i]))
            return false;
    return true;
}

static enum bh_err
check_debug(bool debug, bool allowed, struct ev_report *report)
{
    if (debug && !allowed)
        return ev_refuse(report, BH_ERR_POLICY, "policy", "aws-nitro.debug",
            "an enclave that is not in debug mode", "PCR0 to PCR2 are zero: debug mode",
            "start the enclave without --debug-mode, or say \"debug\": true in the policy entry");
    ev_pass(report, "policy", "aws-nitro.debug", allowed ? "debug allowed" : "no debug mode",
        debug ? "debug mode" : "no debug mode");
    return BH_OK;
}

static enum bh_err
check_pcrs(const struct ev_nitro *n, const struct refs *refs, bool debug, struct ev_report *report,
    size_t *depth)
{
    char name[BH_CHECK_MAX];
    enum bh_err e;

    for (unsigned i = 0; i < EV_NITRO_PCRS; i++) {
        if (refs->pcrs[i].len == 0)
            continue;
        (void)snprintf(name, sizeof(name), "aws-nitro.pcr%u", i);
        if (debug && i < 3) {
            /* Debug mode measures nothing into these; the entry allows it, and the result says so.
             */
            ev_pass(report, "policy", name, "not compared: debug mode", "zero");
            continue;
        }
        if ((e = ev_check_hex(report, name, &refs->pcrs[i], n->pcrs[i])) != BH_OK)
            return e;
        (*depth)++;
    }
    return BH_OK;
}

void
ev_nitro_hardware_id(const struct ev_nitro *n, struct ev_verdict *verdict)
{
    verdict->hardware_id_len = EV_HARDWARE_ID_MAX;
    if (n->module_id.len <= EV_HARDWARE_ID_MAX) {
        verdict->hardware_id_len = n->module_id.len;
        memcpy(verdict->hardware_id, n->module_id.ptr, n->module_id.len);
    } else if (bh_sha2(512, n->module_id, verdict->hardware_id) != BH_OK) {
        verdict->hardware_id_len = 0;
    }
}

static void
fill_verdict(
    const struct ev_nitro *n, const struct refs *refs, bool debug, struct ev_verdict *verdict)
{
    char name[BH_EAR_CLAIM_NAME_MAX];

    for (unsigned i = 0; i < EV_NITRO_PCRS; i++) {
        if (n->pcrs[i].len == 0 || (i > 2 && refs->pcrs[i].len == 0))
            continue;
        (void)snprintf(name, sizeof(name), "pcr%u", i);
        ev_claim_bytes(verdict, name, n->pcrs[i]);
    }
    verdict->debug = debug;
    verdict->submod.trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    verdict->submod.trust[BH_TRUST_CONFIGURATION] = 2;
    /* 33: a runtime that is not recognised; nothing measured it. */
    verdict->submod.trust[BH_TRUST_EXECUTABLES] = debug ? 33 : 2;
    verdict->submod.trust[BH_TRUST_HARDWARE] = 2;
    ev_nitro_hardware_id(n, verdict);
    verdict->measurement_len = n->pcrs[0].len;
    if (n->pcrs[0].len > 0)
        memcpy(verdict->measurement, n->pcrs[0].ptr, n->pcrs[0].len);
    /* The three-hour leaf signs the document and is no collateral: it bounds nothing. */
    verdict->not_after = 0;
}

enum bh_err
ev_nitro_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_nitro *n = state;
    const bool debug = ev_nitro_debug(n);
    enum bh_err e;

    (void)auth;
    *ret_depth = 0;
    if ((e = check_debug(debug, debug_allowed, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_pcrs(n, refs, debug, report, ret_depth)) != BH_OK)
        return e;
    fill_verdict(n, refs, debug, verdict);
    return BH_OK;
}
