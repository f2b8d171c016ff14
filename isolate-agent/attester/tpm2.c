/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm2: quotes of this machine's TPM 2.0, by the TCG's software stack (tpm2-tss, ESAPI).
 *
 * The attestation key is a primary key of the endorsement hierarchy by a fixed template: the TPM
 * derives the same key each time, until it is cleared, and nothing of it is stored. So its Name, by
 * which an administrator endorses it, stays. $BEACHHEAD_TCTI names another TPM than the kernel's,
 * in the stack's own words ("swtpm:path=/run/tpm").
 */
#include "attester.h"

#include "core/cmw.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include <stdio.h>
#include <stdlib.h>

#define DEVICE "device:/dev/tpmrm0"
#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define EVENT_LOG_MAX (96 * 1024)
#define NONCE_LEN 32
#define PCRS 24
#define HASH_LEN 32
#define TRIES 8
#define READS 64 /* calls for all values; one returns eight */
/* Firmware, boot loader and what they measure; not 10, which a running system extends all the time,
 * nor those that anybody may reset. */
#define QUOTED UINT32_C(0x7bff)

struct session {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR ak;
    TPM2B_PUBLIC *public;
    bool of_kernel; /* the TPM that measured this machine's start */
};

/* One quote with the values that it is over. */
struct quote {
    TPM2B_ATTEST *attest;
    TPMT_SIGNATURE *signature;
    uint8_t pcrs[PCRS][HASH_LEN];
};

static enum bh_err
failed(const char *what, TSS2_RC rc, struct bh_diag *diag)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_IO, "attester", "a TPM 2.0 that answers", NULL,
        "tpm2: %s: error 0x%08x of the TPM or its stack", what, (unsigned)rc);

    bh_hint(diag,
        "see that this user may open /dev/tpmrm0 (group tss), or name the TPM by BEACHHEAD_TCTI");
    return e;
}

/* ---- session ---- */

static void
session_close(struct session *s)
{
    if (s->esys != NULL && s->ak != ESYS_TR_NONE)
        (void)Esys_FlushContext(s->esys, s->ak);
    Esys_Free(s->public);
    Esys_Finalize(&s->esys);
    Tss2_TctiLdr_Finalize(&s->tcti);
}

static TSS2_RC
make_ak(struct session *s)
{
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION creation = {0};
    const TPM2B_PUBLIC template = {
        .publicArea = {.type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.eccDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                .scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                .curveID = TPM2_ECC_NIST_P256,
                .kdf.scheme = TPM2_ALG_NULL}}};

    return Esys_CreatePrimary(s->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
        ESYS_TR_NONE, &sensitive, &template, &outside, &creation, &s->ak, &s->public, NULL, NULL,
        NULL);
}

static enum bh_err
session_open(struct session *s, struct bh_diag *diag)
{
    const char *named = getenv("BEACHHEAD_TCTI");
    TSS2_RC rc;

    *s = (struct session){.ak = ESYS_TR_NONE, .of_kernel = named == NULL};
    /* The stack would write to standard error on its own. */
    (void)setenv("TSS2_LOG", "all+none", 0);
    if ((rc = Tss2_TctiLdr_Initialize(named != NULL ? named : DEVICE, &s->tcti)) != 0)
        return failed("the TPM cannot be opened", rc, diag);
    if ((rc = Esys_Initialize(&s->esys, s->tcti, NULL)) != 0)
        return failed("the TPM does not answer", rc, diag);
    if ((rc = make_ak(s)) != 0)
        return failed("no attestation key can be made", rc, diag);
    return BH_OK;
}

/* ---- quote ---- */

static void
select_pcrs(uint32_t pcrs, TPML_PCR_SELECTION *selection)
{
    *selection = (TPML_PCR_SELECTION){.count = 1};
    selection->pcrSelections[0].hash = TPM2_ALG_SHA256;
    selection->pcrSelections[0].sizeofSelect = 3;
    for (size_t i = 0; i < 3; i++)
        selection->pcrSelections[0].pcrSelect[i] = (BYTE)(pcrs >> 8 * i);
}

static uint32_t
selected(const TPML_PCR_SELECTION *selection)
{
    uint32_t pcrs = 0;

    if (selection->count != 1 || selection->pcrSelections[0].hash != TPM2_ALG_SHA256)
        return 0;
    for (size_t i = 0; i < 3 && i < selection->pcrSelections[0].sizeofSelect; i++)
        pcrs |= (uint32_t)selection->pcrSelections[0].pcrSelect[i] << 8 * i;
    return pcrs;
}

/* A TPM returns a few of the values that it was asked for; false for an answer that is none. */
static bool
take_values(const TPML_PCR_SELECTION *got, const TPML_DIGEST *values, uint32_t *left,
    uint8_t pcrs[PCRS][HASH_LEN])
{
    const uint32_t read = selected(got) & *left;
    size_t next = 0;

    for (size_t i = 0; i < PCRS; i++) {
        if ((read >> i & 1) == 0)
            continue;
        if (next >= values->count || values->digests[next].size != HASH_LEN)
            return false;
        memcpy(pcrs[i], values->digests[next++].buffer, HASH_LEN);
    }
    *left &= ~read;
    return read != 0;
}

static TSS2_RC
read_pcrs(struct session *s, uint8_t pcrs[PCRS][HASH_LEN], UINT32 *ret_counter)
{
    UINT32 counter = 0, first = 0;
    uint32_t left = QUOTED;
    bool begun = false;

    for (int i = 0; i < READS && left != 0; i++) {
        TPML_PCR_SELECTION wanted, *got = NULL;
        TPML_DIGEST *values = NULL;
        TSS2_RC rc;
        bool good;

        select_pcrs(left, &wanted);
        if ((rc = Esys_PCR_Read(s->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted,
                 &counter, &got, &values)) != 0)
            return rc;
        good = take_values(got, values, &left, pcrs);
        Esys_Free(got);
        Esys_Free(values);
        if (!good)
            return TSS2_ESYS_RC_MALFORMED_RESPONSE;
        if (!begun)
            first = counter;
        begun = counter == first;
        if (!begun) /* one moved meanwhile: all anew */
            left = QUOTED;
    }
    *ret_counter = first;
    return left == 0 ? 0 : TSS2_ESYS_RC_TRY_AGAIN;
}

static void
quote_clear(struct quote *q)
{
    Esys_Free(q->attest);
    Esys_Free(q->signature);
    q->attest = NULL;
    q->signature = NULL;
}

/* Values and quote of one moment: the counter of changes is the same before and after. */
static enum bh_err
make_quote(
    struct session *s, const uint8_t binding[BH_BINDING_LEN], struct quote *q, struct bh_diag *diag)
{
    const TPMT_SIG_SCHEME own = {.scheme = TPM2_ALG_NULL};
    TPM2B_DATA nonce = {.size = NONCE_LEN};
    TPML_PCR_SELECTION selection;
    uint8_t again[PCRS][HASH_LEN];
    UINT32 before = 0, after = 0;
    TSS2_RC rc;

    memcpy(nonce.buffer, binding, NONCE_LEN);
    select_pcrs(QUOTED, &selection);
    for (int i = 0; i < TRIES; i++) {
        if ((rc = read_pcrs(s, q->pcrs, &before)) != 0)
            return failed("PCR_Read", rc, diag);
        if ((rc = Esys_Quote(s->esys, s->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nonce,
                 &own, &selection, &q->attest, &q->signature)) != 0)
            return failed("Quote", rc, diag);
        if ((rc = read_pcrs(s, again, &after)) != 0)
            return failed("PCR_Read", rc, diag);
        if (before == after || memcmp(again, q->pcrs, sizeof(again)) == 0)
            return BH_OK;
        quote_clear(q);
    }
    return bh_refuse(diag, BH_ERR_IO, "attester", "PCRs that stand still for a quote", NULL,
        "tpm2: the PCRs changed during each of %d quotes", TRIES);
}

/* ---- the collection ---- */

static void
add(struct bh_cmw *cmw, const char *label, struct bh_span value)
{
    struct bh_cmw_record *r = &cmw->records[cmw->count++];

    (void)snprintf(r->label, sizeof(r->label), "%s", label);
    (void)snprintf(r->type, sizeof(r->type), "application/octet-stream");
    r->value = value;
}

/* {"sha256": {"0": hex, ...}}; malloc'ed, NULL when out of memory. */
static char *
pcrs_text(uint8_t pcrs[PCRS][HASH_LEN])
{
    json_t *bank = json_object(), *all = json_pack("{s:o}", "sha256", bank);
    char name[8], hex[2 * HASH_LEN + 1], *text;

    for (size_t i = 0; i < PCRS && all != NULL; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        if ((QUOTED >> i & 1) != 0)
            (void)json_object_set_new(
                bank, name, json_string(bh_hex(bh_span(pcrs[i], HASH_LEN), hex, sizeof(hex))));
    }
    text = all != NULL ? bh_json_text(all, false) : NULL;
    json_decref(all);
    return text;
}

static enum bh_err
wrap(struct session *s, struct quote *q, char **ret_cmw, struct bh_diag *diag)
{
    uint8_t public[sizeof(TPMT_PUBLIC)], signature[sizeof(TPMT_SIGNATURE)], *log = NULL;
    size_t public_len = 0, signature_len = 0, log_len = 0;
    struct bh_cmw cmw = {.collection = true};
    char *pcrs = pcrs_text(q->pcrs);
    enum bh_err e;
    TSS2_RC rc;

    if (pcrs == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "tpm2");
    if ((rc = Tss2_MU_TPMT_PUBLIC_Marshal(
             &s->public->publicArea, public, sizeof(public), &public_len)) != 0 ||
        (rc = Tss2_MU_TPMT_SIGNATURE_Marshal(
             q->signature, signature, sizeof(signature), &signature_len)) != 0) {
        e = failed("marshalling", rc, diag);
        goto out;
    }
    (void)snprintf(
        cmw.collection_type, sizeof(cmw.collection_type), "%s", "tag:beachhead,2026:tpm2");
    add(&cmw, "quote", bh_span(q->attest->attestationData, q->attest->size));
    add(&cmw, "signature", bh_span(signature, signature_len));
    add(&cmw, "pcrs", bh_span_str(pcrs));
    add(&cmw, "ak", bh_span(public, public_len));
    /* Not every kernel shows it, nor to every user; the policy says whether it is needed. */
    if (s->of_kernel && bh_file_read(EVENT_LOG, EVENT_LOG_MAX, &log, &log_len, NULL) == BH_OK &&
        log_len > 0)
        add(&cmw, "event_log", bh_span(log, log_len));
    e = bh_cmw_to_json(&cmw, ret_cmw, diag);
out:
    free(log);
    free(pcrs);
    return e;
}

/* ---- attester ---- */

enum bh_err
agent_tpm2_check(const struct agent_attester *attester, const struct agent_attester_config *config,
    struct bh_diag *diag)
{
    struct session s;
    const enum bh_err e = session_open(&s, diag);

    (void)attester;
    (void)config;
    session_close(&s);
    return e;
}

enum bh_err
agent_tpm2_evidence(const struct agent_attester *attester,
    const struct agent_attester_config *config, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, int64_t now, char **ret_cmw, struct bh_diag *diag)
{
    struct quote q = {0};
    struct session s;
    enum bh_err e;

    (void)attester;
    (void)config;
    (void)spki;
    (void)now;
    if ((e = session_open(&s, diag)) == BH_OK && (e = make_quote(&s, binding, &q, diag)) == BH_OK)
        e = wrap(&s, &q, ret_cmw, diag);
    quote_clear(&q);
    session_close(&s);
    return e;
}
