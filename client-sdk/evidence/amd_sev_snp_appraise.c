/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison of an authenticated report with the references of one policy entry. */
#include "amd_sev_snp_policy.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define SOURCE "policy"

static void
check_name(char out[BH_CHECK_MAX], const char *group, const char *member)
{
    (void)snprintf(out, BH_CHECK_MAX, EV_SNP_NAME ".%s.%s", group, member);
}

/* ---- platform state ---- */

static enum bh_err
check_debug(bool debug, bool allowed, struct ev_report *report)
{
    if (debug && !allowed)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_SNP_NAME ".debug",
            "a guest policy that forbids debugging", "POLICY.DEBUG is set: the host reads memory",
            "start the guest without debugging, or say \"debug\": true in the policy entry");
    ev_pass(report, SOURCE, EV_SNP_NAME ".debug", allowed ? "debug allowed" : "no debugging",
        debug ? "debugging allowed" : "no debugging");
    return BH_OK;
}

static enum bh_err
check_vmpl(uint32_t vmpl, const struct ev_snp_refs *refs, struct ev_report *report)
{
    const bool held = vmpl < 32 && (refs->vmpls >> vmpl & 1) != 0;
    char expected[BH_VALUE_MAX] = "", found[BH_VALUE_MAX];

    if (held && !report->detailed)
        return BH_OK;
    for (unsigned i = 0; i < 4; i++) {
        const size_t at = strlen(expected);

        if ((refs->vmpls >> i & 1) != 0)
            (void)snprintf(expected + at, sizeof(expected) - at, "%s%u", at > 0 ? " | " : "", i);
    }
    (void)snprintf(found, sizeof(found), "%u", (unsigned)vmpl);
    if (held) {
        ev_pass(report, SOURCE, EV_SNP_NAME ".vmpl", expected, found);
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_SNP_NAME ".vmpl", expected, found,
        vmpl > 3 ? "the host asked for this report, not the guest"
                 : "another privilege level than the policy admits asked for this report");
}

static enum bh_err
check_product(enum ev_snp_product product, const struct ev_snp_refs *refs, struct ev_report *report)
{
    char expected[BH_VALUE_MAX] = "";

    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++) {
        const size_t at = strlen(expected);

        if ((refs->products >> p & 1) != 0)
            (void)snprintf(expected + at, sizeof(expected) - at, "%s%s", at > 0 ? " | " : "",
                ev_snp_product_name(p));
    }
    if ((refs->products >> product & 1) != 0) {
        ev_pass(report, SOURCE, EV_SNP_NAME ".product", expected, ev_snp_product_name(product));
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_SNP_NAME ".product", expected,
        ev_snp_product_name(product), "the policy does not admit this product");
}

/* The first component of @p low that lies above that of @p high; EV_SNP_SPL_COUNT if none. */
static size_t
first_above(
    const struct ev_snp_tcb *low, const struct ev_snp_tcb *high, enum ev_snp_product product)
{
    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++)
        if (ev_snp_has_spl(product, i) && low->spl[i] > high->spl[i])
            return i;
    return EV_SNP_SPL_COUNT;
}

/* REPORTED <= COMMITTED <= CURRENT, component by component. */
static enum bh_err
check_tcb_order(const struct ev_snp *n, struct ev_report *report)
{
    const struct ev_snp_report *r = &n->report;
    const struct ev_snp_tcb reported = ev_snp_tcb_read(r->reported_tcb, n->product);
    const struct ev_snp_tcb committed = ev_snp_tcb_read(r->committed_tcb, n->product);
    const struct ev_snp_tcb current = ev_snp_tcb_read(r->current_tcb, n->product);
    const size_t a = first_above(&reported, &committed, n->product);
    const size_t b = first_above(&committed, &current, n->product);
    char found[BH_VALUE_MAX];

    if (a == EV_SNP_SPL_COUNT && b == EV_SNP_SPL_COUNT) {
        ev_pass(report, "AMD 56860", EV_SNP_NAME ".tcb.order", "reported <= committed <= current",
            "in this order");
        return BH_OK;
    }
    (void)snprintf(found, sizeof(found), "%s above %s in %s",
        a < EV_SNP_SPL_COUNT ? "reported" : "committed",
        a < EV_SNP_SPL_COUNT ? "committed" : "current",
        ev_snp_spl_name(a < EV_SNP_SPL_COUNT ? a : b));
    return ev_refuse(report, BH_ERR_POLICY, "AMD 56860", EV_SNP_NAME ".tcb.order",
        "reported <= committed <= current", found,
        "firmware that can be rolled back below what it reports proves nothing");
}

static enum bh_err
check_tcb_min(enum ev_snp_product product, struct bh_span raw, const struct ev_snp_tcb_min *min,
    const char *group, struct ev_report *report, size_t *depth)
{
    const struct ev_snp_tcb have = ev_snp_tcb_read(raw, product);
    const struct ev_snp_tcb *want = &min->min[product];
    char name[BH_CHECK_MAX], expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    for (size_t i = 0; min->given[product] && i < EV_SNP_SPL_COUNT; i++) {
        const bool held = have.spl[i] >= want->spl[i];

        if (!ev_snp_has_spl(product, i))
            continue;
        if (!held || report->detailed) {
            check_name(name, group, ev_snp_spl_name(i));
            (void)snprintf(expected, sizeof(expected), "at least %u", want->spl[i]);
            (void)snprintf(found, sizeof(found), "%u", have.spl[i]);
        }
        if (!held)
            return ev_refuse(report, BH_ERR_POLICY, SOURCE, name, expected, found,
                "update the machine's firmware, or lower the policy's minimum");
        if (report->detailed)
            ev_pass(report, SOURCE, name, expected, found);
        (*depth)++;
    }
    return BH_OK;
}

static enum bh_err
check_tcbs(
    const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report, size_t *depth)
{
    const struct {
        struct bh_span raw;
        const struct ev_snp_tcb_min *min;
        const char *group;
    } all[] = {
        {n->report.reported_tcb, &refs->tcb, "tcb"},
        {n->report.committed_tcb, &refs->tcb, "committed_tcb"},
        {n->report.current_tcb, &refs->current_tcb, "current_tcb"},
        {n->report.launch_tcb, &refs->launch_tcb, "launch_tcb"},
    };
    enum bh_err e;

    if ((e = check_tcb_order(n, report)) != BH_OK)
        return e;
    (*depth)++;
    for (size_t i = 0; i < BH_COUNT(all); i++)
        if ((e = check_tcb_min(n->product, all[i].raw, all[i].min, all[i].group, report, depth)) !=
            BH_OK)
            return e;
    return BH_OK;
}

/* One named bit: it must be set, or clear. */
static enum bh_err
check_bit(uint64_t value, const struct ev_snp_bit *bit, bool want, const char *group,
    const char *hint, struct ev_report *report)
{
    const bool have = (value & bit->mask) != 0;
    char name[BH_CHECK_MAX];

    if (have == want && !report->detailed)
        return BH_OK;
    check_name(name, group, bit->name);
    if (have != want)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, name, want ? "set" : "clear",
            have ? "set" : "clear", hint);
    ev_pass(report, SOURCE, name, want ? "set" : "clear", have ? "set" : "clear");
    return BH_OK;
}

static enum bh_err
check_guest_policy(
    uint64_t policy, const struct ev_snp_refs *refs, struct ev_report *report, size_t *depth)
{
    const struct ev_snp_bit unknown = {"reserved", ~EV_SNP_POLICY_KNOWN};
    enum bh_err e;

    for (const struct ev_snp_bit *b = ev_snp_permissions; b->name != NULL; b++) {
        if ((refs->policy_permitted & b->mask) == 0 &&
            (e = check_bit(policy, b, false, "policy",
                 "start the guest with a stricter policy, or permit this in \"guest_policy\"",
                 report)) != BH_OK)
            return e;
        (*depth)++;
    }
    for (const struct ev_snp_bit *b = ev_snp_demands; b->name != NULL; b++) {
        if ((refs->policy_demanded & b->mask) != 0 &&
            (e = check_bit(policy, b, true, "policy",
                 "start the guest with a policy that demands this", report)) != BH_OK)
            return e;
        (*depth)++;
    }
    return check_bit(policy, &unknown, false, "policy",
        "this version does not know what these bits permit", report);
}

static enum bh_err
check_platform_info(
    uint64_t info, const struct ev_snp_refs *refs, struct ev_report *report, size_t *depth)
{
    enum bh_err e;

    for (const struct ev_snp_bit *b = ev_snp_platform_bits; b->name != NULL; b++) {
        const bool set = (refs->platform_set & b->mask) != 0;

        if (!set && (refs->platform_clear & b->mask) == 0)
            continue;
        if ((e = check_bit(info, b, set, "platform_info",
                 "the machine is not set up as the policy demands", report)) != BH_OK)
            return e;
        (*depth)++;
    }
    return BH_OK;
}

static enum bh_err
check_platform(
    const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report, size_t *depth)
{
    enum bh_err e;

    if ((e = check_vmpl(n->report.vmpl, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_product(n->product, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    if ((e = check_tcbs(n, refs, report, depth)) != BH_OK ||
        (e = check_guest_policy(n->report.policy, refs, report, depth)) != BH_OK)
        return e;
    return check_platform_info(n->report.platform_info, refs, report, depth);
}

/* ---- claims ---- */

/* The chip's id by its own length: 8 bytes of a Turin; empty where the host masks it. */
static struct bh_span
chip_id(const struct ev_snp *n)
{
    struct bh_span id = n->report.chip_id;

    if (n->product == EV_SNP_TURIN)
        id.len = EV_SNP_TURIN_HWID_LEN;
    return bh_span_is_zero(id) ? bh_span_none() : id;
}

static enum bh_err
check_chip_id(const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report)
{
    const struct bh_span id = chip_id(n);

    /* A Turin's chip may stand in the policy by its 8 bytes, or as the report has it. */
    return ev_check_hex(report, EV_SNP_NAME ".chip_id", &refs->chip_id,
        id.len == 0 || ev_hexlist_has(&refs->chip_id, id) ? id : n->report.chip_id);
}

static enum bh_err
check_csp_id(const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report)
{
    const struct bh_span id = n->endorser.csp_id;
    char found[BH_VALUE_MAX] = "nothing: a VCEK names no provider";

    if (id.len > 0)
        (void)snprintf(
            found, sizeof(found), "%.*s", (int)(id.len < 150 ? id.len : 150), (const char *)id.ptr);
    for (size_t i = 0; i < refs->csp_ids_len; i++) {
        if (id.len == 0 || !bh_span_is(id, refs->csp_ids[i].text))
            continue;
        ev_pass(report, SOURCE, EV_SNP_NAME ".csp_id", refs->csp_ids[i].text, found);
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_SNP_NAME ".csp_id", refs->csp_ids[0].text,
        found, "if this is the provider you mean to admit, add it to the policy");
}

static enum bh_err
check_owner(const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report)
{
    enum bh_err e;

    if (refs->chip_id.len > 0 && (e = check_chip_id(n, refs, report)) != BH_OK)
        return e;
    return refs->csp_ids_len > 0 ? check_csp_id(n, refs, report) : BH_OK;
}

static enum bh_err
check_guest_svn(const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report)
{
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (!refs->has_guest_svn)
        return BH_OK;
    (void)snprintf(expected, sizeof(expected), "at least %lld", (long long)refs->guest_svn_min);
    (void)snprintf(found, sizeof(found), "%u", (unsigned)n->report.guest_svn);
    if (n->report.guest_svn < refs->guest_svn_min)
        return ev_refuse(report, BH_ERR_POLICY, SOURCE, EV_SNP_NAME ".guest_svn", expected, found,
            "start the newer version of the guest");
    ev_pass(report, SOURCE, EV_SNP_NAME ".guest_svn", expected, found);
    return BH_OK;
}

static enum bh_err
check_claims(
    const struct ev_snp *n, const struct ev_snp_refs *refs, struct ev_report *report, size_t *depth)
{
    const struct ev_snp_report *r = &n->report;
    const struct {
        const char *name;
        const struct ev_hexlist *list;
        struct bh_span found;
    } all[] = {
        {EV_SNP_NAME ".measurement", &refs->measurement, r->measurement},
        {EV_SNP_NAME ".id_key_digest", &refs->id_key_digest, r->id_key_digest},
        {EV_SNP_NAME ".author_key_digest", &refs->author_key_digest, r->author_key_digest},
        {EV_SNP_NAME ".host_data", &refs->host_data, r->host_data},
        {EV_SNP_NAME ".family_id", &refs->family_id, r->family_id},
        {EV_SNP_NAME ".image_id", &refs->image_id, r->image_id},
    };
    enum bh_err e;

    if ((e = check_owner(n, refs, report)) != BH_OK)
        return e;
    (*depth)++;
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        if (all[i].list->len == 0)
            continue;
        if ((e = ev_check_hex(report, all[i].name, all[i].list, all[i].found)) != BH_OK)
            return e;
        (*depth)++;
    }
    return check_guest_svn(n, refs, report);
}

/* ---- the verdict ---- */

static void
claim_number(struct ev_verdict *verdict, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    ev_claim_text(verdict, name, text);
}

/* A field that is all zero when it says nothing. */
static void
claim_set(struct ev_verdict *verdict, const char *name, struct bh_span value)
{
    if (!bh_span_is_zero(value))
        ev_claim_bytes(verdict, name, value);
}

static void
fill_claims(const struct ev_snp *n, struct ev_verdict *verdict)
{
    const struct ev_snp_report *r = &n->report;
    char csp_id[EV_SNP_CSP_ID_MAX + 1];

    ev_claim_text(verdict, "product", ev_snp_product_name(n->product));
    ev_claim_bytes(verdict, "measurement", r->measurement);
    claim_set(verdict, "host_data", r->host_data);
    claim_set(verdict, "id_key_digest", r->id_key_digest);
    claim_set(verdict, "author_key_digest", r->author_key_digest);
    claim_set(verdict, "family_id", r->family_id);
    claim_set(verdict, "image_id", r->image_id);
    claim_number(verdict, "guest_svn", r->guest_svn);
    claim_number(verdict, "vmpl", r->vmpl);
    claim_number(verdict, "policy", r->policy);
    claim_number(verdict, "platform_info", r->platform_info);
    ev_claim_bytes(verdict, "reported_tcb", r->reported_tcb);
    ev_claim_bytes(verdict, "committed_tcb", r->committed_tcb);
    ev_claim_bytes(verdict, "launch_tcb", r->launch_tcb);
    if (n->endorser.csp_id.len > 0 && n->endorser.csp_id.len < sizeof(csp_id) &&
        bh_is_utf8(n->endorser.csp_id)) {
        (void)snprintf(csp_id, sizeof(csp_id), "%.*s", (int)n->endorser.csp_id.len,
            (const char *)n->endorser.csp_id.ptr);
        ev_claim_text(verdict, "csp_id", csp_id);
    }
}

static void
fill_verdict(const struct ev_snp *n, bool debug, struct ev_verdict *verdict)
{
    const struct bh_span id = chip_id(n);

    fill_claims(n, verdict);
    verdict->debug = debug;
    verdict->submod.trust[BH_TRUST_INSTANCE_IDENTITY] = 2;
    verdict->submod.trust[BH_TRUST_CONFIGURATION] = 2;
    verdict->submod.trust[BH_TRUST_EXECUTABLES] = 2;
    verdict->submod.trust[BH_TRUST_HARDWARE] = 2;
    verdict->hardware_id_len = id.len;
    if (id.len > 0)
        memcpy(verdict->hardware_id, id.ptr, id.len);
    verdict->measurement_len = n->report.measurement.len;
    memcpy(verdict->measurement, n->report.measurement.ptr, n->report.measurement.len);
    verdict->not_after = n->not_after;
}

enum bh_err
ev_snp_appraise(const void *state, const struct ev_authenticity *auth, const void *refs,
    bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict, size_t *ret_depth)
{
    const struct ev_snp *n = state;
    const bool debug = (n->report.policy & EV_SNP_POLICY_DEBUG) != 0;
    enum bh_err e;

    (void)auth;
    *ret_depth = 0;
    if ((e = check_debug(debug, debug_allowed, report)) != BH_OK)
        return e;
    (*ret_depth)++;
    if ((e = check_platform(n, refs, report, ret_depth)) != BH_OK ||
        (e = check_claims(n, refs, report, ret_depth)) != BH_OK)
        return e;
    fill_verdict(n, debug, verdict);
    return BH_OK;
}
