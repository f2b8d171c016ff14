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

/* "0" to "31", written in the one way. */
static bool
read_index(const char *name, size_t *ret_index)
{
    char again[4];

    for (unsigned i = 0; i < EV_NITRO_PCRS; i++) {
        (void)snprintf(again, sizeof(again), "%u", i);
        if (strcmp(again, name) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static enum bh_err
read_pcr(const json_t *pcrs, const char *name, struct refs *refs, struct bh_diag *diag)
{
    struct ev_hexlist *list;
    size_t index;
    enum bh_err e;

    if (!read_index(name, &index))
        return bh_refuse(
            diag, BH_ERR_MALFORMED, name, "0 to 31", name, "there is no PCR of this index");
    list = &refs->pcrs[index];
    if ((e = ev_hexlist_read(pcrs, name, false, 32, 64, list, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < list->len; i++)
        if (list->items[i].len != 32 && list->items[i].len != 48 && list->items[i].len != 64)
            return bh_refuse(diag, BH_ERR_MALFORMED, name, "32, 48 or 64 bytes", "another length",
                "a PCR is a SHA-256, SHA-384 or SHA-512 value");
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
    json_t *pcrs = NULL, *list;
    const char *name;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK ||
        (e = bh_json_member(entry, "pcrs", JSON_OBJECT, false, &pcrs, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    json_object_foreach(pcrs, name, list)
    {
        (void)list;
        if ((e = read_pcr(pcrs, name, refs, diag)) != BH_OK) {
            ev_field_prefix(diag, "pcrs.");
            goto out;
        }
    }
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

enum bh_err
ev_nitro_check_enclave(const struct ev_nitro *n, struct ev_report *report)
{
    if (!n->tpm)
        return BH_OK;
    return ev_refuse(report, BH_ERR_UNSUPPORTED, "AWS Nitro attestation document", "aws-nitro.pcrs",
        "pcrs, of an enclave", "nitrotpm_pcrs, of a NitroTPM",
        "an EC2 instance with a NitroTPM is not an enclave: its PCRs mean something else");
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

static void
fill_hardware_id(const struct ev_nitro *n, struct ev_verdict *verdict)
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
    fill_hardware_id(n, verdict);
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
    if ((e = ev_nitro_check_enclave(n, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_debug(debug, debug_allowed, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_pcrs(n, refs, debug, report, ret_depth)) != BH_OK)
        return e;
    fill_verdict(n, refs, debug, verdict);
    return BH_OK;
}
