/* SPDX-License-Identifier: Apache-2.0 */
/* The collateral of a simulated platform, as Intel's service answers it (PCS API, version 4). */
#include "intel_device.h"

#include "core/text.h"

#include <stdlib.h>

#define DOCUMENTS_LIFE (30 * (int64_t)AGENT_INTEL_DAY)
#define TCB_DATE "2025-11-01T00:00:00Z"
#define OLD_DATE "2024-11-01T00:00:00Z"

static void
put_components(struct bh_writer *w, const char *name, const uint8_t *svn, size_t len)
{
    bh_writer_printf(w, "\"%s\":[", name);
    for (size_t i = 0; i < AGENT_INTEL_SVNS; i++)
        bh_writer_printf(w, "%s{\"svn\":%u}", i > 0 ? "," : "", i < len ? svn[i] : 0);
    bh_writer_str(w, "]");
}

static void
put_level(struct bh_writer *w, bool tdx, uint8_t svn, const char *date, const char *status)
{
    static const uint8_t module[3] = {0, 0, AGENT_INTEL_SVN_NOW};
    uint8_t svns[8];

    memset(svns, svn, sizeof(svns));
    bh_writer_str(w, "{\"tcb\":{");
    put_components(w, "sgxtcbcomponents", svns, sizeof(svns));
    if (tdx) {
        bh_writer_str(w, ",");
        put_components(w, "tdxtcbcomponents", module, sizeof(module));
    }
    bh_writer_printf(w, ",\"pcesvn\":%d},\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"}",
        AGENT_INTEL_PCE_SVN, date, status);
}

static void
put_modules(struct bh_writer *w)
{
    static const char identity[] =
        "\"mrsigner\":\"00000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000\",\"attributes\":\"0000000000000000\",\"attributesMask\":"
        "\"FFFFFFFFFFFFFFFF\"";

    bh_writer_printf(w,
        "\"tdxModule\":{%s},\"tdxModuleIdentities\":[{\"id\":\"TDX_01\",%s,\"tcbLevels\":["
        "{\"tcb\":{\"isvsvn\":%d},\"tcbDate\":\"" TCB_DATE "\",\"tcbStatus\":\"UpToDate\"}]}],",
        identity, identity, AGENT_INTEL_MODULE_SVN);
}

static void
write_tcb_info(struct bh_writer *w, const struct agent_intel *n, const char *from, const char *to)
{
    char fmspc[16];

    bh_writer_printf(w,
        "{\"id\":\"%s\",\"version\":3,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"fmspc\":\"%s\","
        "\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":1,",
        n->tdx ? "TDX" : "SGX", from, to,
        bh_hex(bh_span(n->machine.fmspc, sizeof(n->machine.fmspc)), fmspc, sizeof(fmspc)));
    if (n->tdx)
        put_modules(w);
    bh_writer_str(w, "\"tcbLevels\":[");
    put_level(w, n->tdx, AGENT_INTEL_SVN_NOW, TCB_DATE, "UpToDate");
    bh_writer_str(w, ",");
    put_level(w, n->tdx, AGENT_INTEL_SVN_OLD, OLD_DATE, "OutOfDate");
    bh_writer_str(w, "]}");
}

static void
write_identity(struct bh_writer *w, const struct agent_intel *n, const char *from, const char *to)
{
    char mrsigner[65];

    bh_writer_printf(w,
        "{\"id\":\"%s\",\"version\":2,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
        "\"tcbEvaluationDataNumber\":1,\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
        "\"attributes\":\"11000000000000000000000000000000\",\"attributesMask\":"
        "\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\"%s\",\"isvprodid\":%d,\"tcbLevels\":["
        "{\"tcb\":{\"isvsvn\":%d},\"tcbDate\":\"" TCB_DATE "\",\"tcbStatus\":\"UpToDate\"}]}",
        n->tdx ? "TD_QE" : "QE", from, to,
        bh_hex(bh_span(n->qe_mrsigner, sizeof(n->qe_mrsigner)), mrsigner, sizeof(mrsigner)),
        n->tdx ? 2 : 1, AGENT_INTEL_QE_SVN);
}

static enum bh_err
make_document(struct agent_device *device, enum agent_intel_document_kind which, int64_t now,
    struct bh_diag *diag)
{
    static const char *const members[AGENT_INTEL_DOCUMENTS] = {
        [AGENT_INTEL_TCB_INFO] = "tcbInfo", [AGENT_INTEL_QE_IDENTITY] = "enclaveIdentity"};
    struct agent_intel *n = device->state;
    char from[BH_TIME_MAX], to[BH_TIME_MAX], *body = NULL, *buf = calloc(1, AGENT_RAW_MAX);
    struct bh_writer w;
    enum bh_err e;

    if (buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    (void)bh_time_text(now - AGENT_INTEL_DAY, from);
    (void)bh_time_text(now - AGENT_INTEL_DAY + DOCUMENTS_LIFE, to);
    /* One byte stays for the NUL. */
    bh_writer_init(&w, buf, AGENT_RAW_MAX - 1);
    if (which == AGENT_INTEL_TCB_INFO)
        write_tcb_info(&w, n, from, to);
    else
        write_identity(&w, n, from, to);
    e = bh_writer_ok(&w) ? agent_intel_document(device->keys[AGENT_INTEL_KEY_SIGNER],
                               members[which], buf, &body, diag)
                         : bh_fail(diag, BH_ERR_INTERNAL, "collateral is too long");
    free(buf);
    if (e != BH_OK)
        return e;
    free(n->documents[which]);
    n->documents[which] = body;
    return BH_OK;
}

/* Documents of this day, kept so that a verifier meets the same ones again. */
static enum bh_err
renew_documents(struct agent_device *device, int64_t now, struct bh_diag *diag)
{
    struct agent_intel *n = device->state;
    enum bh_err e;

    if (n->made != 0 && now >= n->made && now < n->made + AGENT_INTEL_DAY)
        return BH_OK;
    n->made = 0;
    for (int i = 0; i < AGENT_INTEL_DOCUMENTS; i++)
        if ((e = make_document(device, (enum agent_intel_document_kind)i, now, diag)) != BH_OK)
            return e;
    n->made = now;
    return BH_OK;
}

static enum bh_err
add_crl(struct agent_device *device, const char *label, X509 *issuer, EVP_PKEY *key,
    struct agent_beside *beside, struct bh_diag *diag)
{
    const struct agent_intel *n = device->state;
    uint8_t *der = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = agent_intel_crl_make(issuer, key, n->made - AGENT_INTEL_DAY,
             n->made - AGENT_INTEL_DAY + DOCUMENTS_LIFE, &der, &len, diag)) != BH_OK)
        return e;
    e = agent_beside_add(beside, label, bh_span(der, len), diag);
    OPENSSL_free(der);
    return e;
}

enum bh_err
agent_intel_beside(struct agent_device *device, const struct agent_request *request,
    struct agent_beside *beside, struct bh_diag *diag)
{
    const struct agent_intel *n = device->state;
    X509 *const signing[] = {n->signer, device->root};
    char *pem = NULL;
    enum bh_err e;

    if ((e = renew_documents(device, request->now, diag)) != BH_OK ||
        (e = agent_beside_add(
             beside, "tcb_info", bh_span_str(n->documents[AGENT_INTEL_TCB_INFO]), diag)) != BH_OK ||
        (e = agent_beside_add(beside, "qe_identity",
             bh_span_str(n->documents[AGENT_INTEL_QE_IDENTITY]), diag)) != BH_OK ||
        (e = agent_intel_pem(signing, BH_COUNT(signing), &pem, diag)) != BH_OK)
        return e;
    e = agent_beside_add(beside, "tcb_signing_chain", bh_span_str(pem), diag);
    free(pem);
    if (e != BH_OK || (e = add_crl(device, "pck_crl", n->ca, device->keys[AGENT_INTEL_KEY_CA],
                           beside, diag)) != BH_OK)
        return e;
    return add_crl(
        device, "root_crl", device->root, device->keys[AGENT_INTEL_KEY_ROOT], beside, diag);
}
