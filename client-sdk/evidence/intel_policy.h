/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy entries of `intel-sgx` and `intel-tdx` have in common: the state of the platform and
 * its owner.
 *
 * Members of both:
 *  - "tcb_status" (mandatory): the statuses that are accepted, as Intel spells them; "Revoked" is
 *    none of them.
 *  - "out_of_date_grace": a duration. For as long as now is no later than that after the tcbDate of
 *    the levels that are out of date (of platform, TDX module and QE the earliest), "OutOfDate"
 *    counts as "UpToDate" and "OutOfDateConfigurationNeeded" as "ConfigurationNeeded". The result
 *    says what it is, and its status is a warning.
 *  - "advisories_allowed": advisories other than these are refused; "advisories_refused": these
 * are.
 *  - "tcb_evaluation_data_number_min": of TCB info and QE identity both.
 *  - "revocation": "required" (the default: the lists of the PCK CA and the root must be there) or
 *    "if-given".
 *  - "fmspc": platform models; "ppid": machines, the owner's pin.
 *
 * Members of `intel-sgx`: "mrenclave", or "mrsigner" with "isv_prod_id" and "isv_svn_min";
 * "config_id", "config_svn_min", "isv_family_id", "isv_ext_prod_id", "xfrm", and "attributes":
 * booleans of which "provision_key" and "einittoken_key" permit what is forbidden else, and
 * "mode64bit", "kss", "cet", "aex_notify" require.
 *
 * Members of `intel-tdx`: "mrtd" with "rtmr" "1" and "2" ("0" and "3" optional), "mrseam",
 * "mrsignerseam", "mrconfigid", "mrowner", "mrownerconfig", "mrservicetd", "xfam", and
 * "td_attributes": booleans of which "migratable" and "perfmon" permit what is forbidden else, and
 * "sept_ve_disable": false waives what is required else.
 */
#ifndef EV_INTEL_POLICY_H
#define EV_INTEL_POLICY_H

#include "intel.h"

/** Members that every entry may have, for lists of known members. */
#define EV_INTEL_COMMON_MEMBERS                                                                    \
    "platform", "simulated", "debug", "owner", "context", "tcb_status", "out_of_date_grace",       \
        "advisories_allowed", "advisories_refused", "tcb_evaluation_data_number_min",              \
        "revocation", "fmspc", "ppid"

struct ev_intel_refs {
    uint32_t statuses;               /* bits of enum ev_intel_status */
    int64_t grace;                   /* seconds; 0: none */
    const json_t *allowed, *refused; /* advisories; NULL: not pinned; of the policy's JSON */
    int64_t evaluation_min;
    bool revocation_if_given;
    struct ev_hexlist fmspc, ppid;
};

/** Read the common members. ev_intel_refs_clear() frees, also after a failure. */
BH_MUST_USE enum bh_err ev_intel_refs_read(
    const json_t *entry, struct ev_intel_refs *refs, struct bh_diag *diag);
void ev_intel_refs_clear(struct ev_intel_refs *refs);
/** Refuse an entry that does not say whose machine it is. */
BH_MUST_USE enum bh_err ev_intel_refs_owner(
    const struct ev_intel_refs *refs, bool owner_any, bool *ret_owner_pinned, struct bh_diag *diag);
/** Read an optional object of booleans by the NULL-terminated @p names into masks of those that are
 * true and those that are false. */
BH_MUST_USE enum bh_err ev_intel_flags_read(const json_t *entry, const char *member,
    const char *const *names, uint32_t *ret_true, uint32_t *ret_false, struct bh_diag *diag);

/** Debug, revocation, TCB and owner; *depth grows by each check that held. */
enum bh_err ev_intel_appraise_platform(const struct ev_intel *q, const struct ev_intel_refs *refs,
    bool debug_allowed, struct ev_report *report, size_t *depth);
/** One value against its list, nothing where the list is empty; *depth grows. */
enum bh_err ev_intel_check_hex(const struct ev_intel *q, struct ev_report *report, const char *what,
    const struct ev_hexlist *list, struct bh_span found, size_t *depth);
/** Trust claims, TCB claims, hardware id, debug and end of the verdict. */
void ev_intel_fill_verdict(const struct ev_intel *q, struct ev_verdict *verdict);

#endif
