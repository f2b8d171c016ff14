/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every field of a quote by Intel's name in lower case, what its PCK certificate says of the
 * platform, and, once authenticated, what the collateral says, by the names of the PCS API.
 */
#include "intel.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define HEX_MAX 4096

static void
set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static void
set_hex(json_t *object, const char *name, struct bh_span bytes)
{
    char text[2 * HEX_MAX + 1];

    if (bytes.len > 0)
        set(object, name, json_string(bh_hex(bytes, text, sizeof(text))));
}

static void
set_number(json_t *object, const char *name, int64_t number)
{
    set(object, name, json_integer(number));
}

static void
set_enclave(json_t *object, const struct ev_intel_enclave *e)
{
    char misc[9];

    (void)snprintf(misc, sizeof(misc), "%08x", (unsigned)e->misc_select);
    set_hex(object, "cpusvn", e->cpu_svn);
    set(object, "miscselect", json_string(misc));
    set_hex(object, "isvextprodid", e->isv_ext_prod_id);
    set_hex(object, "attributes", e->attributes);
    set_hex(object, "mrenclave", e->mrenclave);
    set_hex(object, "mrsigner", e->mrsigner);
    set_hex(object, "configid", e->config_id);
    set_number(object, "isvprodid", e->isv_prod_id);
    set_number(object, "isvsvn", e->isv_svn);
    set_number(object, "configsvn", e->config_svn);
    set_hex(object, "isvfamilyid", e->isv_family_id);
    set_hex(object, "reportdata", e->report_data);
}

static void
set_td(json_t *object, const struct ev_intel_td *td)
{
    char name[8];

    set_hex(object, "tee_tcb_svn", td->tee_tcb_svn);
    set_hex(object, "mrseam", td->mrseam);
    set_hex(object, "mrsignerseam", td->mrsignerseam);
    set_hex(object, "seamattributes", td->seam_attributes);
    set_hex(object, "tdattributes", td->td_attributes);
    set_hex(object, "xfam", td->xfam);
    set_hex(object, "mrtd", td->mrtd);
    set_hex(object, "mrconfigid", td->mrconfigid);
    set_hex(object, "mrowner", td->mrowner);
    set_hex(object, "mrownerconfig", td->mrownerconfig);
    for (unsigned i = 0; i < EV_INTEL_RTMRS; i++) {
        (void)snprintf(name, sizeof(name), "rtmr%u", i);
        set_hex(object, name, td->rtmr[i]);
    }
    set_hex(object, "reportdata", td->report_data);
    set_hex(object, "tee_tcb_svn2", td->tee_tcb_svn2);
    set_hex(object, "mrservicetd", td->mrservicetd);
}

static json_t *
header_json(const struct ev_intel *q)
{
    json_t *header = json_object();
    char tee[9];

    (void)snprintf(tee, sizeof(tee), "%08x", (unsigned)q->tee_type);
    set_number(header, "version", q->version);
    set_number(header, "att_key_type", q->key_type);
    set(header, "tee_type", json_string(tee));
    set_number(header, "qe_svn", q->qe_svn);
    set_number(header, "pce_svn", q->pce_svn);
    set_hex(header, "qe_vendor_id", q->vendor_id);
    set_hex(header, "user_data", q->user_data);
    if (q->version == 5)
        set_number(header, "body_type", q->body_type);
    return header;
}

static void
set_flag(json_t *object, const char *name, int8_t flag)
{
    if (flag >= 0)
        set(object, name, json_boolean(flag));
}

static json_t *
pck_json(const struct ev_intel *q)
{
    static const char *const types[] = {"Standard", "Scalable", "ScalableWithIntegrity"};
    const struct ev_intel_pck *p = &q->pck;
    const struct ev_cert *cert = &q->chain.certs[0];
    json_t *pck = json_object(), *svns = json_array();
    char time[BH_TIME_MAX];

    for (size_t i = 0; i < EV_INTEL_SVNS; i++)
        (void)json_array_append_new(svns, json_integer(p->svn[i]));
    set_hex(pck, "ppid", p->ppid);
    set(pck, "sgxtcbcomponents", svns);
    set_number(pck, "pcesvn", p->pce_svn);
    set_hex(pck, "cpusvn", p->cpu_svn);
    set_hex(pck, "pceid", p->pce_id);
    set_hex(pck, "fmspc", p->fmspc);
    set(pck, "sgxtype",
        p->sgx_type < BH_COUNT(types) ? json_string(types[p->sgx_type])
                                      : json_integer(p->sgx_type));
    set_hex(pck, "platforminstanceid", p->platform_instance_id);
    set_flag(pck, "dynamicplatform", p->dynamic_platform);
    set_flag(pck, "cachedkeys", p->cached_keys);
    set_flag(pck, "smtenabled", p->smt_enabled);
    set(pck, "ca", json_string(ev_intel_pck_ca(q)));
    set_hex(pck, "serial", cert->serial);
    set(pck, "not_before", json_string(bh_time_text(cert->not_before, time)));
    set(pck, "not_after", json_string(bh_time_text(cert->not_after, time)));
    return pck;
}

static void
set_tcb(json_t *object, const struct ev_intel_tcb *tcb)
{
    json_t *advisories = json_array();
    char time[BH_TIME_MAX];

    for (size_t i = 0; i < tcb->advisories_len; i++)
        (void)json_array_append_new(advisories, json_string(tcb->advisories[i]));
    set(object, "tcbStatus", json_string(ev_intel_status_words[tcb->status]));
    set(object, "tcbDate", json_string(bh_time_text(tcb->date, time)));
    set_number(object, "tcbEvaluationDataNumber", tcb->evaluation);
    set(object, "advisoryIDs", advisories);
    set(object, "platformTcbStatus", json_string(ev_intel_status_words[tcb->platform]));
    set(object, "qeTcbStatus", json_string(ev_intel_status_words[tcb->qe]));
    if (tcb->module != EV_INTEL_STATUSES)
        set(object, "tdxModuleTcbStatus", json_string(ev_intel_status_words[tcb->module]));
}

json_t *
ev_intel_claims(const void *state)
{
    const struct ev_intel *q = state;
    json_t *all = json_object(), *qe = json_object();

    set(all, "header", header_json(q));
    if (q->tdx)
        set_td(all, &q->td);
    else
        set_enclave(all, &q->enclave);
    set(all, "debug", json_boolean(ev_intel_debug(q)));
    set_enclave(qe, &q->qe);
    set_hex(qe, "auth_data", q->qe_auth);
    set(all, "qe_report", qe);
    set_number(all, "certification_data_type", q->cert_type);
    if (q->chain.len > 0)
        set(all, "pck", pck_json(q));
    if (q->has_event_log)
        set_number(all, "event_log_events", (int64_t)q->log.events);
    if (q->tcb.evaluated)
        set_tcb(all, &q->tcb);
    return all;
}
