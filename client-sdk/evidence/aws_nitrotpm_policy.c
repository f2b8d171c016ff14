/* SPDX-License-Identifier: Apache-2.0 */
/* References for EC2 instances with a NitroTPM, and the comparison with a document. */
#include "aws_nitrotpm.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define CODE_PCRS (UINT32_C(1) << 4 | UINT32_C(1) << 8 | UINT32_C(1) << 9 | UINT32_C(1) << 11)
#define PCR_BOOT 4
#define PCR_SECURE_BOOT 7
#define PCR_COMMAND_LINE 12
#define PCR_DEBUG 16
#define PCR_APPLICATION 23
#define STATIC_PCRS 16 /* those that begin as zero and are only extended until the next boot */
#define INSTANCES_MAX 4096

struct refs {
    struct ev_hexlist pcrs[EV_NITROTPM_PCRS]; /* len 0: not pinned */
    uint32_t unextended;                      /* 1 << index */
    size_t instances_len;                     /* 0: any instance */
    char (*instances)[EV_NITROTPM_INSTANCE_MAX];
};

void
ev_nitrotpm_entry_free(void *state)
{
    struct refs *refs = state;

    if (refs == NULL)
        return;
    for (size_t i = 0; i < EV_NITROTPM_PCRS; i++)
        ev_hexlist_clear(&refs->pcrs[i]);
    free(refs->instances);
    free(refs);
}

static bool
is_hex(struct bh_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(text.ptr[i] >= '0' && text.ptr[i] <= '9') &&
            !(text.ptr[i] >= 'a' && text.ptr[i] <= 'f'))
            return false;
    return text.len > 0;
}

static bool
is_instance(struct bh_span text)
{
    return text.len >= 2 + 8 && text.len < EV_NITROTPM_INSTANCE_MAX &&
           memcmp(text.ptr, "i-", 2) == 0 && is_hex(bh_span(text.ptr + 2, text.len - 2));
}

struct bh_span
ev_nitrotpm_instance(struct bh_span module_id)
{
    static const char mark[] = "-tpm";
    const size_t mark_len = sizeof(mark) - 1;

    for (size_t i = 0; i + mark_len < module_id.len; i++) {
        const struct bh_span head = bh_span(module_id.ptr, i);
        const struct bh_span tail =
            bh_span(module_id.ptr + i + mark_len, module_id.len - i - mark_len);

        if (memcmp(module_id.ptr + i, mark, mark_len) == 0)
            return is_instance(head) && is_hex(tail) ? head : bh_span_none();
    }
    return bh_span_none();
}

/* ---- the entry ---- */

static enum bh_err
read_unextended(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    json_t *list = NULL;
    enum bh_err e;

    if ((e = bh_json_member(entry, "unextended", JSON_ARRAY, true, &list, diag)) != BH_OK)
        return e;
    if (list != NULL && json_array_size(list) == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "unextended", "at least one PCR", "[]",
            "leave the member out where it does not matter");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_int_t index = json_is_integer(item) ? json_integer_value(item) : -1;

        if (index < 0 || index >= STATIC_PCRS)
            return bh_refuse(diag, BH_ERR_MALFORMED, "unextended", "numbers of PCRs, 0 to 15",
                "another value", "only these begin as zero and are not reset before the next boot");
        if ((refs->unextended >> index & 1) != 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, "unextended", "each PCR once", "one twice",
                "PCR %d stands twice in this list", (int)index);
        if (refs->pcrs[index].len > 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, "unextended", "PCRs that are not in pcrs",
                "one that is", "PCR %d cannot be zero and hold a measurement", (int)index);
        refs->unextended |= UINT32_C(1) << index;
    }
    return BH_OK;
}

static enum bh_err
read_instances(const json_t *entry, struct refs *refs, struct bh_diag *diag)
{
    json_t *list = NULL;
    size_t count;
    enum bh_err e;

    if ((e = bh_json_member(entry, "instance_id", JSON_ARRAY, true, &list, diag)) != BH_OK ||
        list == NULL)
        return e;
    if ((count = json_array_size(list)) == 0 || count > INSTANCES_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "instance_id", "1 to 4096 instance ids",
            "another number of them", "a list of the instances that may be this workload");
    if ((refs->instances = calloc(count, sizeof(*refs->instances))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text == NULL || strlen(text) != json_string_length(json_array_get(list, i)) ||
            !is_instance(bh_span_str(text)))
            return bh_refuse(diag, BH_ERR_MALFORMED, "instance_id", "i-0123456789abcdef0",
                text != NULL ? text : "another type", "this is no EC2 instance id");
        for (size_t k = 0; k < i; k++)
            if (strcmp(refs->instances[k], text) == 0)
                return bh_refuse(diag, BH_ERR_MALFORMED, "instance_id", "each instance once", text,
                    "the same instance stands twice in this list");
        memcpy(refs->instances[i], text, strlen(text) + 1);
        refs->instances_len = i + 1;
    }
    return BH_OK;
}

static enum bh_err
check_pins(const struct refs *refs, bool owner_any, bool *ret_owner_pinned, struct bh_diag *diag)
{
    static const unsigned resettable[] = {PCR_DEBUG, PCR_APPLICATION};
    const bool owner = refs->instances_len > 0;
    bool code = false;
    char name[BH_CHECK_MAX];

    for (size_t i = 0; i < BH_COUNT(resettable); i++) {
        if (refs->pcrs[resettable[i]].len == 0)
            continue;
        (void)snprintf(name, sizeof(name), "pcrs.%u", resettable[i]);
        return bh_refuse(diag, BH_ERR_MALFORMED, name, "a PCR that is not reset at will", name + 5,
            "any program may reset PCR 16 and 23 and extend them anew: they identify nothing");
    }
    for (unsigned i = 0; i < EV_NITROTPM_PCRS; i++)
        code = code || ((CODE_PCRS >> i & 1) != 0 && refs->pcrs[i].len > 0);
    if (!code)
        return bh_refuse(diag, BH_ERR_MALFORMED, "pcrs", "one of PCR 4, 8, 9, 11", "none",
            "the entry does not pin the code: PCR 7 says who may sign, PCR 12 what the command "
            "line is, and neither which system runs");
    if (!owner && !owner_any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner", "instance_id, or \"owner\": \"any\"",
            "neither", "the entry does not say whose instance it is");
    *ret_owner_pinned = owner;
    return BH_OK;
}

enum bh_err
ev_nitrotpm_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag)
{
    static const char *const members[] = {
        "platform", "simulated", "owner", "context", "pcrs", "unextended", "instance_id", NULL};
    struct refs *refs = NULL;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    if ((e = ev_nitro_pcrs_read(entry, EV_NITROTPM_PCRS, refs->pcrs, diag)) != BH_OK ||
        (e = read_unextended(entry, refs, diag)) != BH_OK ||
        (e = read_instances(entry, refs, diag)) != BH_OK ||
        (e = check_pins(refs, owner_any, ret_owner_pinned, diag)) != BH_OK)
        goto out;
    *ret_refs = refs;
    refs = NULL;
out:
    ev_nitrotpm_entry_free(refs);
    return e;
}

/* ---- appraisal ---- */

static enum bh_err
check_unextended(const struct ev_nitro *n, unsigned index, struct ev_report *report)
{
    char field[BH_CHECK_MAX], found[BH_VALUE_MAX];

    (void)snprintf(field, sizeof(field), "pcr%u", index);
    if (n->pcrs[index].len > 0 && bh_span_is_zero(n->pcrs[index])) {
        ev_nitro_pass(n, report, "policy", field, "zero: nothing was measured into it", "zero");
        return BH_OK;
    }
    return ev_nitro_refuse(n, report, BH_ERR_POLICY, "policy", field,
        "zero: nothing was measured into it",
        n->pcrs[index].len > 0 ? bh_hex(n->pcrs[index], found, sizeof(found)) : "nothing",
        index == PCR_COMMAND_LINE
            ? "the instance was started with a command line beside its image"
            : "the instance measured something into a PCR that the policy wants unused");
}

static enum bh_err
check_pcrs(
    const struct ev_nitro *n, const struct refs *refs, struct ev_report *report, size_t *depth)
{
    char name[BH_CHECK_MAX];
    enum bh_err e;

    for (unsigned i = 0; i < EV_NITROTPM_PCRS; i++) {
        const bool unextended = (refs->unextended >> i & 1) != 0;

        if (refs->pcrs[i].len == 0 && !unextended)
            continue;
        (void)snprintf(name, sizeof(name), "%s.pcr%u", n->name, i);
        e = unextended ? check_unextended(n, i, report)
                       : ev_check_hex(report, name, &refs->pcrs[i], n->pcrs[i]);
        if (e != BH_OK)
            return e;
        (*depth)++;
    }
    return BH_OK;
}

static enum bh_err
check_instance(
    const struct ev_nitro *n, const struct refs *refs, struct ev_report *report, size_t *depth)
{
    const struct bh_span instance = ev_nitrotpm_instance(n->module_id);
    char found[BH_VALUE_MAX];

    if (refs->instances_len == 0)
        return BH_OK;
    (void)snprintf(found, sizeof(found), "%.*s", (int)instance.len,
        instance.len > 0 ? (const char *)instance.ptr : "");
    for (size_t i = 0; instance.len > 0 && i < refs->instances_len; i++)
        if (bh_span_is(instance, refs->instances[i])) {
            ev_nitro_pass(n, report, "policy", "instance_id", found, found);
            (*depth)++;
            return BH_OK;
        }
    return ev_nitro_refuse(n, report, BH_ERR_POLICY, "policy", "instance_id", refs->instances[0],
        instance.len > 0 ? found : "a module id that names no instance",
        "if this is the instance you mean to admit, add its id to the policy");
}

static void
fill_verdict(const struct ev_nitro *n, const struct refs *refs, struct ev_verdict *verdict)
{
    const bool configured = refs->pcrs[PCR_SECURE_BOOT].len > 0 ||
                            refs->pcrs[PCR_COMMAND_LINE].len > 0 ||
                            (refs->unextended >> PCR_COMMAND_LINE & 1) != 0;
    char name[BH_EAR_CLAIM_NAME_MAX];

    for (unsigned i = 0; i < EV_NITROTPM_PCRS; i++) {
        const bool always = i == PCR_BOOT || i == PCR_SECURE_BOOT;

        if (n->pcrs[i].len == 0 || (!always && refs->pcrs[i].len == 0))
            continue;
        (void)snprintf(name, sizeof(name), "pcr%u", i);
        ev_claim_bytes(verdict, name, n->pcrs[i]);
    }
    verdict->submod.trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    verdict->submod.trust[BH_TRUST_CONFIGURATION] = configured ? 2 : 0;
    verdict->submod.trust[BH_TRUST_EXECUTABLES] = 2;
    verdict->submod.trust[BH_TRUST_HARDWARE] = 2;
    ev_nitro_hardware_id(n, verdict);
    verdict->measurement_len = n->pcrs[PCR_BOOT].len;
    if (n->pcrs[PCR_BOOT].len > 0)
        memcpy(verdict->measurement, n->pcrs[PCR_BOOT].ptr, n->pcrs[PCR_BOOT].len);
    /* The three-hour leaf signs the document and is no collateral: it bounds nothing. */
    verdict->not_after = 0;
}

enum bh_err
ev_nitrotpm_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_nitro *n = state;
    enum bh_err e;

    (void)auth;
    (void)debug_allowed;
    *ret_depth = 0;
    if ((e = check_pcrs(n, refs, report, ret_depth)) != BH_OK ||
        (e = check_instance(n, refs, report, ret_depth)) != BH_OK)
        return e;
    fill_verdict(n, refs, verdict);
    return BH_OK;
}
