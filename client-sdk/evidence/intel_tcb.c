/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCB info (PCS API, version 4; versions 2 and 3 of the document) against a platform: which level
 * it has reached, what of its TDX module, and both together with the quoting enclave.
 */
#include "intel.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>

#define LEVELS_MAX 256
#define EVALUATION_MAX 1000000

const char *const ev_intel_status_words[EV_INTEL_STATUSES] = {
    [EV_INTEL_UP_TO_DATE] = "UpToDate",
    [EV_INTEL_SW_HARDENING] = "SWHardeningNeeded",
    [EV_INTEL_CONFIGURATION] = "ConfigurationNeeded",
    [EV_INTEL_CONFIGURATION_AND_SW_HARDENING] = "ConfigurationAndSWHardeningNeeded",
    [EV_INTEL_TD_RELAUNCH] = "TDRelaunchAdvised",
    [EV_INTEL_TD_RELAUNCH_CONFIGURATION] = "TDRelaunchAdvisedConfigurationNeeded",
    [EV_INTEL_OUT_OF_DATE] = "OutOfDate",
    [EV_INTEL_OUT_OF_DATE_CONFIGURATION] = "OutOfDateConfigurationNeeded",
    [EV_INTEL_REVOKED] = "Revoked",
};

/* ---- levels ---- */

enum bh_err
ev_intel_level_read(const json_t *level, struct ev_intel_level *ret_level, struct bh_diag *diag)
{
    struct ev_intel_level l = {.status = EV_INTEL_UP_TO_DATE};
    json_t *advisories = NULL;
    const char *word;
    enum bh_err e;

    if (!json_is_object(level))
        return bh_fail(diag, BH_ERR_MALFORMED, "a TCB level that is no object");
    if ((e = bh_json_string(level, "tcbStatus", false, &word, diag)) != BH_OK ||
        (e = ev_intel_json_time(level, "tcbDate", &l.date, diag)) != BH_OK ||
        (e = bh_json_member(level, "advisoryIDs", JSON_ARRAY, true, &advisories, diag)) != BH_OK)
        return e;
    while (l.status < EV_INTEL_STATUSES && strcmp(word, ev_intel_status_words[l.status]) != 0)
        l.status++;
    /* What is advised of a TD is concluded here, never written in a document. */
    if (l.status == EV_INTEL_STATUSES || l.status == EV_INTEL_TD_RELAUNCH ||
        l.status == EV_INTEL_TD_RELAUNCH_CONFIGURATION)
        return bh_fail(diag, BH_ERR_MALFORMED, "the status \"%.60s\" is not known", word);
    l.advisories = advisories;
    *ret_level = l;
    return BH_OK;
}

static bool
is_out_of_date(enum ev_intel_status status)
{
    return status == EV_INTEL_OUT_OF_DATE || status == EV_INTEL_OUT_OF_DATE_CONFIGURATION;
}

static bool
needs_configuration(enum ev_intel_status status)
{
    return status == EV_INTEL_CONFIGURATION || status == EV_INTEL_CONFIGURATION_AND_SW_HARDENING ||
           status == EV_INTEL_OUT_OF_DATE_CONFIGURATION;
}

static bool
has_advisory(const struct ev_intel_tcb *tcb, const char *id)
{
    for (size_t i = 0; i < tcb->advisories_len; i++)
        if (strcmp(tcb->advisories[i], id) == 0)
            return true;
    return false;
}

enum bh_err
ev_intel_level_take(
    struct ev_intel_tcb *tcb, const struct ev_intel_level *level, struct bh_diag *diag)
{
    if (is_out_of_date(level->status) && level->date < tcb->oldest)
        tcb->oldest = level->date;
    for (size_t i = 0; i < json_array_size(level->advisories); i++) {
        const char *id = json_string_value(json_array_get(level->advisories, i));

        if (id == NULL || strlen(id) >= EV_INTEL_ADVISORY_MAX)
            return bh_fail(diag, BH_ERR_MALFORMED, "an advisory that is no short string");
        if (has_advisory(tcb, id))
            continue;
        /* Policies refuse advisories: none may be forgotten. */
        if (tcb->advisories_len == EV_INTEL_ADVISORIES_MAX)
            return bh_fail(diag, BH_ERR_MALFORMED, "more advisories than can be listed");
        (void)snprintf(tcb->advisories[tcb->advisories_len++], EV_INTEL_ADVISORY_MAX, "%s", id);
    }
    return BH_OK;
}

enum bh_err
ev_intel_isv_level(const json_t *levels, unsigned svn, struct ev_intel_level *ret_level,
    bool *ret_found, struct bh_diag *diag)
{
    json_t *level, *tcb;
    int64_t isv_svn = 0;
    enum bh_err e;
    size_t i;

    *ret_found = false;
    if (json_array_size(levels) > LEVELS_MAX)
        return bh_fail(diag, BH_ERR_MALFORMED, "more than %d TCB levels", LEVELS_MAX);
    json_array_foreach(levels, i, level)
    {
        if ((e = bh_json_member(level, "tcb", JSON_OBJECT, false, &tcb, diag)) != BH_OK ||
            (e = bh_json_int(tcb, "isvsvn", false, 0, 0xffff, &isv_svn, diag)) != BH_OK)
            return e;
        if (svn < isv_svn)
            continue;
        if ((e = ev_intel_level_read(level, ret_level, diag)) != BH_OK)
            return e;
        if (ret_level->status != EV_INTEL_UP_TO_DATE && ret_level->status != EV_INTEL_OUT_OF_DATE &&
            ret_level->status != EV_INTEL_REVOKED)
            return bh_fail(diag, BH_ERR_MALFORMED, "a status that an isvsvn cannot have: %s",
                ev_intel_status_words[ret_level->status]);
        *ret_found = true;
        return BH_OK;
    }
    return BH_OK;
}

/* The member that names component i in version 2; 1 to 16 with two digits. */
static const char *
component_name(size_t i, char out[24])
{
    (void)snprintf(out, 24, "sgxtcbcomp%02zusvn", i + 1);
    return out;
}

static enum bh_err
read_components(
    const json_t *tcb, const char *name, uint8_t out[EV_INTEL_SVNS], struct bh_diag *diag)
{
    json_t *list = NULL;
    int64_t svn = 0;
    enum bh_err e;

    if ((e = bh_json_member(tcb, name, JSON_ARRAY, false, &list, diag)) != BH_OK)
        return e;
    if (json_array_size(list) != EV_INTEL_SVNS)
        return bh_fail(diag, BH_ERR_MALFORMED, "\"%s\" has not 16 components", name);
    for (size_t i = 0; i < EV_INTEL_SVNS; i++) {
        if ((e = bh_json_int(json_array_get(list, i), "svn", false, 0, 0xff, &svn, diag)) != BH_OK)
            return e;
        out[i] = (uint8_t)svn;
    }
    return BH_OK;
}

/* What a level demands. */
struct demand {
    uint8_t sgx[EV_INTEL_SVNS];
    uint8_t tdx[EV_INTEL_SVNS];
    int64_t pce_svn;
};

static enum bh_err
read_demand(
    const json_t *level, int64_t version, bool tdx, struct demand *ret_demand, struct bh_diag *diag)
{
    struct demand d = {0};
    json_t *tcb = NULL;
    char name[24];
    int64_t svn = 0;
    enum bh_err e;

    if ((e = bh_json_member(level, "tcb", JSON_OBJECT, false, &tcb, diag)) != BH_OK ||
        (e = bh_json_int(tcb, "pcesvn", false, 0, 0xffff, &d.pce_svn, diag)) != BH_OK)
        return e;
    if (version == 3 && (e = read_components(tcb, "sgxtcbcomponents", d.sgx, diag)) != BH_OK)
        return e;
    for (size_t i = 0; version == 2 && i < EV_INTEL_SVNS; i++) {
        if ((e = bh_json_int(tcb, component_name(i, name), false, 0, 0xff, &svn, diag)) != BH_OK)
            return e;
        d.sgx[i] = (uint8_t)svn;
    }
    if (tdx && (e = read_components(tcb, "tdxtcbcomponents", d.tdx, diag)) != BH_OK)
        return e;
    *ret_demand = d;
    return BH_OK;
}

static bool
reaches(const uint8_t *have, const uint8_t *want, size_t from)
{
    for (size_t i = from; i < EV_INTEL_SVNS; i++)
        if (have[i] < want[i])
            return false;
    return true;
}

/* The levels that a platform matched. */
struct match {
    bool has_sgx, has_level;
    struct ev_intel_level sgx;   /* the first that the PCK certificate reaches */
    struct ev_intel_level level; /* and the TD's SVNs, too; of SGX the same one */
    struct demand newest;        /* of the first level listed */
};

static enum bh_err
match_levels(const struct ev_intel *q, const json_t *info, int64_t version, struct match *ret_match,
    struct bh_diag *diag)
{
    const uint8_t *tee = q->tdx ? q->td.tee_tcb_svn.ptr : NULL;
    json_t *levels = NULL, *level;
    struct match m = {0};
    struct demand d;
    enum bh_err e;
    size_t i;

    if ((e = bh_json_member(info, "tcbLevels", JSON_ARRAY, false, &levels, diag)) != BH_OK)
        return e;
    if (json_array_size(levels) == 0 || json_array_size(levels) > LEVELS_MAX)
        return bh_fail(diag, BH_ERR_MALFORMED, "no TCB levels, or more than %d", LEVELS_MAX);
    json_array_foreach(levels, i, level)
    {
        if ((e = read_demand(level, version, q->tdx, &d, diag)) != BH_OK)
            return e;
        if (i == 0)
            m.newest = d;
        if (!reaches(q->pck.svn, d.sgx, 0) || q->pck.pce_svn < d.pce_svn)
            continue;
        if (!m.has_sgx && (e = ev_intel_level_read(level, &m.sgx, diag)) != BH_OK)
            return e;
        m.has_sgx = true;
        /* Components 0 and 1 are the module's, which has levels of its own from version 1 on. */
        if (q->tdx && !reaches(tee, d.tdx, tee[1] > 0 ? 2 : 0))
            continue;
        if ((e = ev_intel_level_read(level, &m.level, diag)) != BH_OK)
            return e;
        m.has_level = true;
        break;
    }
    *ret_match = m;
    return BH_OK;
}

/* ---- the TDX module ---- */

/* Signer and attributes of the SEAM module against tdxModule or an element of tdxModuleIdentities.
 */
static enum bh_err
is_module(const struct ev_intel *q, const json_t *identity, bool *ret_is, struct bh_diag *diag)
{
    uint8_t mrsigner[48], attributes[8], mask[8];
    bool is = true;
    enum bh_err e;

    if ((e = ev_intel_json_hex(identity, "mrsigner", mrsigner, sizeof(mrsigner), diag)) != BH_OK ||
        (e = ev_intel_json_hex(identity, "attributes", attributes, sizeof(attributes), diag)) !=
            BH_OK ||
        (e = ev_intel_json_hex(identity, "attributesMask", mask, sizeof(mask), diag)) != BH_OK)
        return e;
    is = bh_span_equal(q->td.mrsignerseam, bh_span(mrsigner, sizeof(mrsigner)));
    for (size_t i = 0; i < sizeof(mask); i++)
        is = is && (q->td.seam_attributes.ptr[i] & mask[i]) == attributes[i];
    *ret_is = is;
    return BH_OK;
}

/* The identity of a module's major version ("TDX_03"), or NULL. */
static const json_t *
find_module(const json_t *info, uint8_t version)
{
    const json_t *list = json_object_get(info, "tdxModuleIdentities");
    char id[8];

    (void)snprintf(id, sizeof(id), "TDX_%02X", version);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "id"));

        if (name != NULL && strcmp(name, id) == 0)
            return one;
    }
    return NULL;
}

static enum bh_err
refuse_module(struct ev_intel_trial *t, const char *expected, const char *found)
{
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tdx_module",
        expected, found, "Intel's TCB info does not speak of this TDX module");
}

static enum bh_err
malformed(struct ev_intel_trial *t, const struct bh_diag *diag)
{
    return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tcb_info",
        "TCB info of version 2 or 3", diag->detail, NULL);
}

/* Before version 1 a module has no levels: tdxModule alone describes it. */
static enum bh_err
judge_module(struct ev_intel_trial *t, const json_t *info)
{
    const struct ev_intel *q = t->q;
    const uint8_t *tee = q->td.tee_tcb_svn.ptr;
    const json_t *identity =
        tee[1] == 0 ? json_object_get(info, "tdxModule") : find_module(info, tee[1]);
    struct ev_intel_level level;
    struct bh_diag diag = {0};
    char version[16];
    bool is = false;

    (void)snprintf(version, sizeof(version), "TDX_%02X, SVN %u", tee[1], tee[0]);
    if (identity == NULL)
        return refuse_module(t, "a module that TCB info identifies", version);
    if (is_module(q, identity, &is, &diag) != BH_OK)
        return malformed(t, &diag);
    if (!is)
        return refuse_module(
            t, "signer and attributes of Intel's module", "another signer, or other attributes");
    if (tee[1] == 0)
        return BH_OK;
    is = false;
    if (ev_intel_isv_level(json_object_get(identity, "tcbLevels"), tee[0], &level, &is, &diag) !=
            BH_OK ||
        (is && ev_intel_level_take(&t->q->tcb, &level, &diag) != BH_OK))
        return malformed(t, &diag);
    if (!is)
        return refuse_module(t, "a TCB level of the module", version);
    t->q->tcb.module = level.status;
    ev_intel_pass(
        q, t->report, "collateral", "tdx_module", version, ev_intel_status_words[level.status]);
    return BH_OK;
}

/* ---- all together ---- */

/* The status of a level once a part beside it (module, QE) has a status of its own. */
static enum ev_intel_status
converge(enum ev_intel_status level, enum ev_intel_status part)
{
    if (level == EV_INTEL_REVOKED || part == EV_INTEL_REVOKED)
        return EV_INTEL_REVOKED;
    if (part != EV_INTEL_OUT_OF_DATE)
        return level;
    if (needs_configuration(level) || level == EV_INTEL_TD_RELAUNCH_CONFIGURATION)
        return EV_INTEL_OUT_OF_DATE_CONFIGURATION;
    return EV_INTEL_OUT_OF_DATE;
}

/* The SVNs after an update under the running TD are the newest ones that Intel lists. */
static bool
is_updated_alive(const struct ev_intel *q, const json_t *info, const struct match *m)
{
    const uint8_t *svn2 = q->td.tee_tcb_svn2.ptr;
    const json_t *identity, *newest;
    json_t *tcb = NULL;
    int64_t isv_svn = 0;

    if (svn2[2] < m->newest.tdx[2])
        return false;
    if (svn2[1] == 0)
        return svn2[0] >= m->newest.tdx[0];
    identity = find_module(info, svn2[1]);
    newest = json_array_get(json_object_get(identity, "tcbLevels"), 0);
    if (newest == NULL || bh_json_member(newest, "tcb", JSON_OBJECT, false, &tcb, NULL) != BH_OK ||
        bh_json_int(tcb, "isvsvn", false, 0, 0xffff, &isv_svn, NULL) != BH_OK)
        return false;
    return svn2[0] >= isv_svn;
}

/* A TD whose module is out of date only because the TD is older than the update (TDX 1.5). */
static enum ev_intel_status
consider_relaunch(const struct ev_intel *q, const json_t *info, const struct match *m,
    enum ev_intel_status status)
{
    const struct ev_intel_tcb *tcb = &q->tcb;

    if (q->td.tee_tcb_svn2.len == 0 || tcb->qe != EV_INTEL_UP_TO_DATE ||
        tcb->module != EV_INTEL_OUT_OF_DATE || !is_out_of_date(status) ||
        is_out_of_date(m->sgx.status) || m->sgx.status == EV_INTEL_REVOKED ||
        !is_updated_alive(q, info, m))
        return status;
    return needs_configuration(m->sgx.status) || needs_configuration(status)
               ? EV_INTEL_TD_RELAUNCH_CONFIGURATION
               : EV_INTEL_TD_RELAUNCH;
}

/* Version, kind of TEE, FMSPC and PCE are the platform's. */
static enum bh_err
check_info(struct ev_intel_trial *t, const json_t *info, int64_t *ret_version)
{
    const struct ev_intel *q = t->q;
    const char *id = NULL, *want = q->tdx ? "TDX" : "SGX";
    char expected[16], found[16];
    uint8_t fmspc[6], pce_id[2];
    struct bh_diag diag = {0};
    int64_t type = 0, evaluation = 0;

    if (bh_json_int(info, "version", false, q->tdx ? 3 : 2, 3, ret_version, &diag) != BH_OK ||
        (*ret_version == 3 && bh_json_string(info, "id", false, &id, &diag) != BH_OK) ||
        ev_intel_json_hex(info, "fmspc", fmspc, sizeof(fmspc), &diag) != BH_OK ||
        ev_intel_json_hex(info, "pceId", pce_id, sizeof(pce_id), &diag) != BH_OK ||
        bh_json_int(info, "tcbType", false, 0, 0, &type, &diag) != BH_OK ||
        bh_json_int(
            info, "tcbEvaluationDataNumber", false, 0, EVALUATION_MAX, &evaluation, &diag) != BH_OK)
        return malformed(t, &diag);
    if (id != NULL && strcmp(id, want) != 0)
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tcb_info", want,
            "TCB info of another TEE", NULL);
    if (!bh_span_equal(q->pck.fmspc, bh_span(fmspc, sizeof(fmspc))))
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tcb_info",
            bh_hex(q->pck.fmspc, expected, sizeof(expected)),
            bh_hex(bh_span(fmspc, sizeof(fmspc)), found, sizeof(found)),
            "this TCB info is of another platform's FMSPC");
    if (!bh_span_equal(q->pck.pce_id, bh_span(pce_id, sizeof(pce_id))))
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tcb_info",
            "the PCE's id of the PCK certificate", "another one", NULL);
    if (evaluation < t->q->tcb.evaluation)
        t->q->tcb.evaluation = evaluation;
    return BH_OK;
}

enum bh_err
ev_intel_judge_tcb(struct ev_intel_trial *t, const json_t *info)
{
    struct ev_intel_tcb *tcb = &t->q->tcb;
    struct bh_diag diag = {0};
    enum ev_intel_status status;
    int64_t version = 0;
    struct match m;
    enum bh_err e;

    tcb->module = EV_INTEL_STATUSES;
    if ((e = check_info(t, info, &version)) != BH_OK)
        return e;
    if (match_levels(t->q, info, version, &m, &diag) != BH_OK)
        return malformed(t, &diag);
    if (!m.has_level)
        return ev_intel_refuse(t->q, t->report, BH_ERR_NOT_AUTHENTIC, "collateral", "tcb_level",
            "a TCB level that the platform reaches", "none: NotSupported",
            "Intel's TCB info lists no level as low as this platform's");
    if (ev_intel_level_take(tcb, &m.level, &diag) != BH_OK)
        return malformed(t, &diag);
    if (t->q->tdx && (e = judge_module(t, info)) != BH_OK)
        return e;
    tcb->platform = m.level.status;
    tcb->date = m.level.date;
    status = converge(m.level.status, tcb->module);
    if (t->q->tdx)
        status = consider_relaunch(t->q, info, &m, status);
    tcb->status = converge(status, tcb->qe);
    tcb->evaluated = true;
    ev_intel_pass(t->q, t->report, "collateral", "tcb_level",
        "a TCB level that the platform reaches", ev_intel_status_words[tcb->status]);
    return BH_OK;
}
