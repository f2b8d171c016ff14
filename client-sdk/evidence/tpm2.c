/* SPDX-License-Identifier: Apache-2.0 */
/* TPM 2.0 evidence: recognise, decode a collection, binding. */
#include "tpm2.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* There is no media type for a quote alone. */
static bool
takes(const char *media_type)
{
    (void)media_type;
    return false;
}

static bool
takes_collection(const struct bh_cmw *cmw)
{
    return strcasecmp(cmw->collection_type, EV_TPM2_COLLECTION) == 0;
}

enum bh_err
ev_tpm2_malformed(
    struct ev_report *report, const char *field, const char *expected, const char *found)
{
    char name[BH_CHECK_MAX];

    (void)snprintf(name, sizeof(name), EV_TPM2_NAME ".%s", field);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, "TPM 2.0 part 2", name, expected, found,
        "send the collection that the agent makes of quote, signature and PCR values");
}

uint32_t
ev_tpm2_selected(const struct ev_tpm2_attest *attest, enum ev_tpm2_bank bank)
{
    for (size_t i = 0; i < attest->selections_len; i++)
        if (attest->selections[i].bank == bank)
            return attest->selections[i].pcrs;
    return 0;
}

/* ---- decode ---- */

static const struct {
    const char *label;
    bool mandatory;
    enum bh_err (*read)(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report);
} records[] = {
    {"signature", true, ev_tpm2_read_signature},
    {"pcrs", true, ev_tpm2_read_pcrs},
    {"ak", false, ev_tpm2_read_ak},
    {"ak_cert", false, ev_tpm2_read_ak_cert},
    {"ek_cert", false, ev_tpm2_read_ek_cert},
    {"event_log", false, ev_tpm2_read_log},
};

static enum bh_err
read_quote(struct ev_tpm2 *t, struct bh_span bytes, struct ev_report *report)
{
    struct bh_diag diag = {0};

    return ev_tpm2_attest_read(bytes, &t->attest, &diag) == BH_OK
               ? BH_OK
               : ev_tpm2_malformed(report, "quote",
                     "a TPMS_ATTEST of a quote over at least one PCR", diag.detail);
}

static enum bh_err
check_labels(const struct bh_cmw *cmw, struct ev_report *report)
{
    const bool hcl = bh_cmw_find(cmw, "hcl_report") != NULL;

    for (size_t i = 0; i < cmw->count; i++) {
        const char *label = cmw->records[i].label;
        bool known = strcmp(label, "quote") == 0 || strcmp(label, "hcl_report") == 0 ||
                     (hcl && ev_tpm2_hcl_label(label));

        for (size_t k = 0; k < BH_COUNT(records); k++)
            known = known || strcmp(label, records[k].label) == 0;
        if (!known)
            return ev_tpm2_malformed(report, "collection",
                "quote, signature, pcrs, ak, ak_cert, ek_cert, event_log, hcl_report", label);
    }
    return BH_OK;
}

static enum bh_err
read_records(const struct bh_cmw *cmw, struct ev_tpm2 *t, struct ev_report *report)
{
    const struct bh_cmw_record *quote = bh_cmw_find(cmw, "quote");
    const struct bh_cmw_record *hcl = bh_cmw_find(cmw, "hcl_report");
    char expected[BH_VALUE_MAX];
    enum bh_err e;

    if ((e = check_labels(cmw, report)) != BH_OK)
        return e;
    if (quote == NULL)
        return ev_tpm2_malformed(report, "quote", "a record \"quote\"", "none");
    if ((e = read_quote(t, quote->value, report)) != BH_OK)
        return e;
    for (size_t i = 0; i < BH_COUNT(records); i++) {
        const struct bh_cmw_record *r = bh_cmw_find(cmw, records[i].label);

        (void)snprintf(expected, sizeof(expected), "a record \"%s\"", records[i].label);
        if (r == NULL && records[i].mandatory)
            return ev_tpm2_malformed(report, records[i].label, expected, "none");
        if (r != NULL && (e = records[i].read(t, r->value, report)) != BH_OK)
            return e;
    }
    return hcl != NULL ? ev_tpm2_hcl_read(hcl->value, cmw, &t->hcl, report) : BH_OK;
}

static void
free_state(void *state)
{
    struct ev_tpm2 *t = state;

    if (t == NULL)
        return;
    ev_tpm2_certs_clear(&t->ak_cert);
    ev_tpm2_certs_clear(&t->ek_cert);
    ev_tpm2_hcl_clear(&t->hcl);
    free(t);
}

/* A collection where @p cmw is given, else a quote alone. */
static enum bh_err
decode(const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state)
{
    struct ev_tpm2 *t = calloc(1, sizeof(*t));
    enum bh_err e;

    if (t == NULL)
        return ev_refuse(report, BH_ERR_NOMEM, "memory", EV_TPM2_NAME ".quote", NULL, NULL, NULL);
    t->raw = cmw == NULL;
    if ((e = cmw != NULL ? read_records(cmw, t, report) : read_quote(t, raw, report)) != BH_OK) {
        free_state(t);
        return e;
    }
    ev_pass(report, "TPM 2.0 part 2", EV_TPM2_NAME ".quote", "a well-formed quote", "it is");
    *ret_state = t;
    return BH_OK;
}

/* ---- binding ---- */

static enum bh_err
bind_to(const void *state, const uint8_t binding[BH_BINDING_LEN], struct bh_span spki,
    struct ev_report *report)
{
    const struct ev_tpm2 *t = state;
    const struct bh_span want = bh_span(binding, EV_TPM2_NONCE_LEN);
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    (void)spki; /* a quote carries no key: the binding alone speaks of it */
    (void)bh_hex(want, expected, sizeof(expected));
    (void)bh_hex(t->attest.extra_data, found, sizeof(found));
    if (!bh_span_equal(t->attest.extra_data, want))
        return ev_refuse(report, BH_ERR_BINDING, "key binding", EV_TPM2_NAME ".binding", expected,
            t->attest.extra_data.len > 0 ? found : "no qualifyingData",
            "ask the TPM for a quote whose qualifyingData is the first 32 bytes of the binding of "
            "this challenge, key and context");
    ev_pass(report, "key binding", EV_TPM2_NAME ".binding", expected, found);
    return BH_OK;
}

const struct ev_platform ev_tpm2 = {
    .name = EV_TPM2_NAME,
    .takes = takes,
    .recognises = ev_tpm2_recognises,
    .takes_collection = takes_collection,
    .decode_collection = decode,
    .free = free_state,
    .bind = bind_to,
    .authenticate = ev_tpm2_authenticate,
    .entry_parse = ev_tpm2_entry_parse,
    .entry_free = ev_tpm2_entry_free,
    .appraise = ev_tpm2_appraise,
    .claims = ev_tpm2_claims,
};
