/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SGX enclave and a TD on a machine of Intel's: quotes of version 3 and 4 as the quoting
 * enclaves make them, under a simulated PCK, with TCB info, QE identity and revocation lists beside
 * them.
 */
#include "cert.h"
#include "intel_device.h"

#include "core/json.h"
#include "core/x509.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CA_FROM 1577836800 /* 2020-01-01 */
#define CA_TO 2524608000   /* 2050-01-01 */
#define PCK_LIFE (7 * 365 * (int64_t)AGENT_INTEL_DAY)
#define SGX_REPORT_LEN 384
#define TD_REPORT_LEN 584
#define HEADER_LEN 48
#define AUTH_LEN 32

static const struct agent_key_slot slots[] = {{"root", "P-256", false}, {"ca", "P-256", false},
    {"pck", "P-256", false}, {"tcb-signing", "P-256", false}, {"attestation", "P-256", false},
    {NULL, NULL, false}};

/* One vendor for all devices that a process makes in memory, as for Nitro. */
static struct {
    pthread_mutex_t lock;
    EVP_PKEY *keys[2]; /* root, CA */
    X509 *root;
} fleet = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- keys and facts ---- */

static enum bh_err
make_root(EVP_PKEY *key, X509 **ret_root, struct bh_diag *diag)
{
    const struct agent_intel_request r = {.level = AGENT_INTEL_ROOT,
        .key = key,
        .issuer_key = key,
        .not_before = CA_FROM,
        .not_after = CA_TO};

    return agent_intel_cert_make(&r, ret_root, diag);
}

static enum bh_err
join_fleet(struct agent_device *device, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    (void)pthread_mutex_lock(&fleet.lock);
    for (size_t i = 0; i < BH_COUNT(fleet.keys) && e == BH_OK; i++)
        if (fleet.keys[i] == NULL)
            e = bh_key_generate("P-256", &fleet.keys[i], diag);
    if (e == BH_OK && fleet.root == NULL)
        e = make_root(fleet.keys[AGENT_INTEL_KEY_ROOT], &fleet.root, diag);
    if (e == BH_OK) {
        for (size_t i = 0; i < BH_COUNT(fleet.keys); i++) {
            (void)EVP_PKEY_up_ref(fleet.keys[i]);
            device->keys[i] = fleet.keys[i];
        }
        (void)X509_up_ref(fleet.root);
        device->root = fleet.root;
    }
    (void)pthread_mutex_unlock(&fleet.lock);
    return e;
}

/* A fact that is the measurement of a text, cut to @p len bytes. */
static enum bh_err
set_measured(json_t *facts, const char *name, const char *what, size_t len)
{
    uint8_t digest[48];
    enum bh_err e;

    if ((e = agent_measure(384, what, digest)) != BH_OK)
        return e;
    return agent_fact_set(facts, name, bh_span(digest, len));
}

static enum bh_err
make_facts(json_t *facts, bool tdx, uint32_t instance)
{
    static const struct {
        const char *name, *what;
        bool tdx;
        size_t len;
    } rows[] = {
        {"mrenclave", "SIMULATED enclave 1.0.0", false, 32},
        {"mrsigner", "SIMULATED signer of enclaves", false, 32},
        {"mrtd", "SIMULATED TD firmware 1.0.0", true, 48},
        {"rtmr0", "SIMULATED TD configuration 1.0.0", true, 48},
        {"rtmr1", "SIMULATED TD kernel 1.0.0", true, 48},
        {"rtmr2", "SIMULATED TD command line and initrd 1.0.0", true, 48},
        {"mrseam", "SIMULATED TDX module 1.5.0", true, 48},
    };
    char text[64];
    enum bh_err e;

    (void)snprintf(text, sizeof(text), "SIMULATED Intel platform %u", (unsigned)instance);
    if ((e = set_measured(facts, "ppid", text, 16)) != BH_OK ||
        (e = set_measured(facts, "fmspc", "SIMULATED Intel platform model", 6)) != BH_OK)
        return e;
    for (size_t i = 0; i < BH_COUNT(rows); i++)
        if (rows[i].tdx == tdx &&
            (e = set_measured(facts, rows[i].name, rows[i].what, rows[i].len)) != BH_OK)
            return e;
    return BH_OK;
}

static enum bh_err
intel_make(struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag)
{
    const bool tdx = device->platform == &agent_intel_tdx;
    enum bh_err e;

    if ((e = make_facts(device->facts, tdx, instance)) != BH_OK)
        return bh_fail(diag, e, "%s device", device->platform->name);
    if (!alone && (e = join_fleet(device, diag)) != BH_OK)
        return e;
    if ((e = agent_keys_make(device, diag)) != BH_OK)
        return e;
    return device->root != NULL
               ? BH_OK
               : make_root(device->keys[AGENT_INTEL_KEY_ROOT], &device->root, diag);
}

static void
intel_close(void *state)
{
    struct agent_intel *n = state;

    X509_free(n->ca);
    X509_free(n->pck);
    X509_free(n->signer);
    for (size_t i = 0; i < AGENT_INTEL_DOCUMENTS; i++)
        free(n->documents[i]);
    free(n);
}

static enum bh_err
read_facts(const json_t *facts, struct agent_intel *n, struct bh_diag *diag)
{
    enum bh_err e;

    memset(n->machine.svn, AGENT_INTEL_SVN_NOW, 8);
    n->machine.pce_svn = AGENT_INTEL_PCE_SVN;
    memset(n->qe_mrsigner, 0x51, sizeof(n->qe_mrsigner));
    if ((e = agent_fact_bytes(facts, "ppid", n->machine.ppid, 16, diag)) != BH_OK ||
        (e = agent_fact_bytes(facts, "fmspc", n->machine.fmspc, 6, diag)) != BH_OK)
        return e;
    if (!n->tdx) {
        if ((e = agent_fact_bytes(facts, "mrenclave", n->mrenclave, 32, diag)) != BH_OK)
            return e;
        return agent_fact_bytes(facts, "mrsigner", n->mrsigner, 32, diag);
    }
    if ((e = agent_fact_bytes(facts, "mrtd", n->mrtd, 48, diag)) != BH_OK ||
        (e = agent_fact_bytes(facts, "rtmr0", n->rtmr[0], 48, diag)) != BH_OK ||
        (e = agent_fact_bytes(facts, "rtmr1", n->rtmr[1], 48, diag)) != BH_OK ||
        (e = agent_fact_bytes(facts, "rtmr2", n->rtmr[2], 48, diag)) != BH_OK)
        return e;
    return agent_fact_bytes(facts, "mrseam", n->mrseam, 48, diag);
}

static enum bh_err
make_authorities(struct agent_device *device, struct agent_intel *n, struct bh_diag *diag)
{
    struct agent_intel_request r = {.level = AGENT_INTEL_CA,
        .key = device->keys[AGENT_INTEL_KEY_CA],
        .issuer = device->root,
        .issuer_key = device->keys[AGENT_INTEL_KEY_ROOT],
        .not_before = CA_FROM,
        .not_after = CA_TO};
    enum bh_err e;

    if ((e = agent_intel_cert_make(&r, &n->ca, diag)) != BH_OK)
        return e;
    r.level = AGENT_INTEL_SIGNER;
    r.key = device->keys[AGENT_INTEL_KEY_SIGNER];
    return agent_intel_cert_make(&r, &n->signer, diag);
}

static enum bh_err
intel_open(struct agent_device *device, struct bh_diag *diag)
{
    struct agent_intel *n = calloc(1, sizeof(*n));
    enum bh_err e;

    if (n == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "%s device", device->platform->name);
    n->tdx = device->platform == &agent_intel_tdx;
    if ((e = read_facts(device->facts, n, diag)) != BH_OK ||
        (e = make_authorities(device, n, diag)) != BH_OK) {
        intel_close(n);
        return e;
    }
    device->state = n;
    return BH_OK;
}

/* ---- the PCK certificate ---- */

static enum bh_err
make_pck(struct agent_device *device, EVP_PKEY *issuer_key, enum agent_tamper tamper, int64_t now,
    X509 **ret_pck, struct bh_diag *diag)
{
    const struct agent_intel *n = device->state;
    struct agent_intel_machine machine = n->machine;
    const struct agent_intel_request r = {.level = AGENT_INTEL_PCK,
        .key = device->keys[AGENT_INTEL_KEY_PCK],
        .issuer = n->ca,
        .issuer_key = issuer_key,
        .not_before = now - 10 * AGENT_INTEL_DAY,
        .not_after = tamper == AGENT_TAMPER_EXPIRED ? now - 3600 : now + PCK_LIFE,
        .machine = &machine};

    if (tamper == AGENT_TAMPER_TCB)
        machine.svn[0] = AGENT_INTEL_SVN_OLD;
    return agent_intel_cert_make(&r, ret_pck, diag);
}

/* The certificate that is kept, made anew when it does not cover @p now, or a broken one. */
static enum bh_err
pck_for(struct agent_device *device, const struct agent_request *r, X509 **ret_pck,
    struct bh_diag *diag)
{
    struct agent_intel *n = device->state;
    EVP_PKEY *stranger = NULL;
    X509 *made = NULL;
    enum bh_err e;

    if (r->tamper == AGENT_TAMPER_CHAIN) {
        if ((e = bh_key_generate("P-256", &stranger, diag)) == BH_OK)
            e = make_pck(device, stranger, r->tamper, r->now, ret_pck, diag);
        EVP_PKEY_free(stranger);
        return e;
    }
    if (r->tamper == AGENT_TAMPER_EXPIRED || r->tamper == AGENT_TAMPER_TCB)
        return make_pck(device, device->keys[AGENT_INTEL_KEY_CA], r->tamper, r->now, ret_pck, diag);
    if (!agent_cert_covers(n->pck, r->now, r->now)) {
        if ((e = make_pck(device, device->keys[AGENT_INTEL_KEY_CA], AGENT_TAMPER_NONE, r->now,
                 &made, diag)) != BH_OK)
            return e;
        X509_free(n->pck);
        n->pck = made;
    }
    (void)X509_up_ref(n->pck);
    *ret_pck = n->pck;
    return BH_OK;
}

/* ---- the quote, little-endian ---- */

static void
u16le(struct bh_writer *w, size_t v)
{
    bh_writer_u8(w, (uint8_t)v);
    bh_writer_u8(w, (uint8_t)(v >> 8));
}

static void
u32le(struct bh_writer *w, size_t v)
{
    u16le(w, v & 0xffff);
    u16le(w, v >> 16);
}

static void
fill(struct bh_writer *w, uint8_t byte, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bh_writer_u8(w, byte);
}

static void
put_header(struct bh_writer *w, bool tdx)
{
    static const uint8_t vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a,
        0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

    u16le(w, tdx ? 4 : 3);
    u16le(w, 2); /* ECDSA over P-256 */
    u32le(w, tdx ? 0x81 : 0);
    u16le(w, tdx ? 0 : AGENT_INTEL_QE_SVN);
    u16le(w, tdx ? 0 : AGENT_INTEL_PCE_SVN);
    bh_writer_put(w, bh_span(vendor, sizeof(vendor)));
    fill(w, 0, 20);
}

/* An enclave's report of @p attributes flags. */
static void
put_enclave(struct bh_writer *w, uint8_t flags, uint8_t features, const uint8_t mrenclave[32],
    const uint8_t mrsigner[32], unsigned prod_id, unsigned svn, struct bh_span report_data)
{
    fill(w, AGENT_INTEL_SVN_NOW, 8);
    fill(w, 0, 8 + 4 + 12 + 16); /* CPUSVN, MISCSELECT, reserved, ISVEXTPRODID */
    bh_writer_u8(w, flags);
    fill(w, 0, 7);
    bh_writer_u8(w, features); /* XFRM */
    fill(w, 0, 7);
    bh_writer_put(w, bh_span(mrenclave, 32));
    fill(w, 0, 32);
    bh_writer_put(w, bh_span(mrsigner, 32));
    fill(w, 0, 32 + 64);
    u16le(w, prod_id);
    u16le(w, svn);
    fill(w, 0, 2 + 42 + 16);
    bh_writer_put(w, report_data);
    fill(w, 0, 64 - report_data.len);
}

static void
put_td(struct bh_writer *w, const struct agent_intel *n, const struct agent_request *r)
{
    static const uint8_t svn[3] = {AGENT_INTEL_MODULE_SVN, 1, AGENT_INTEL_SVN_NOW};
    uint8_t mrtd[48];

    memcpy(mrtd, n->mrtd, sizeof(mrtd));
    if (r->tamper == AGENT_TAMPER_MEASUREMENT)
        mrtd[0] ^= 0xff;
    bh_writer_put(w, bh_span(svn, sizeof(svn)));
    fill(w, 0, 13);
    bh_writer_put(w, bh_span(n->mrseam, 48));
    fill(w, 0, 48 + 8);
    bh_writer_u8(w, r->tamper == AGENT_TAMPER_DEBUG ? 1 : 0);
    fill(w, 0, 2);
    bh_writer_u8(w, 0x10); /* SEPT_VE_DISABLE */
    fill(w, 0, 4);
    bh_writer_u8(w, 0xe7); /* XFAM */
    fill(w, 0, 7);
    bh_writer_put(w, bh_span(mrtd, sizeof(mrtd)));
    fill(w, 0, 3 * 48);
    for (size_t i = 0; i < 3; i++)
        bh_writer_put(w, bh_span(n->rtmr[i], 48));
    fill(w, 0, 48);
    bh_writer_put(w, bh_span(r->binding, sizeof(r->binding)));
}

static void
put_body(struct bh_writer *w, const struct agent_intel *n, const struct agent_request *r)
{
    uint8_t mrenclave[32];

    if (n->tdx) {
        put_td(w, n, r);
        return;
    }
    memcpy(mrenclave, n->mrenclave, sizeof(mrenclave));
    if (r->tamper == AGENT_TAMPER_MEASUREMENT)
        mrenclave[0] ^= 0xff;
    put_enclave(w, r->tamper == AGENT_TAMPER_DEBUG ? 7 : 5, 0xe7, mrenclave, n->mrsigner, 1, 1,
        bh_span(r->binding, sizeof(r->binding)));
}

static enum bh_err
put_signature(struct bh_writer *w, EVP_PKEY *key, struct bh_span message, struct bh_diag *diag)
{
    uint8_t sig[64];
    enum bh_err e;

    if ((e = agent_intel_sign(key, message, sig, diag)) == BH_OK)
        bh_writer_put(w, bh_span(sig, sizeof(sig)));
    return e;
}

/* The quoting enclave's report about the attestation key, and the certificates of its signer. */
static enum bh_err
put_certification(struct agent_device *device, const struct agent_request *r, const uint8_t key[64],
    struct bh_writer *w, struct bh_diag *diag)
{
    static const uint8_t auth[AUTH_LEN] = {0, 1, 2, 3, 4, 5, 6, 7}, qe_mrenclave[32] = {0x9e};
    const struct agent_intel *n = device->state;
    uint8_t both[64 + AUTH_LEN], digest[32], report[SGX_REPORT_LEN];
    X509 *chain[] = {NULL, n->ca, device->root};
    struct bh_writer rw;
    struct bh_span span;
    char *pem = NULL;
    enum bh_err e;

    memcpy(both, key, 64);
    memcpy(both + 64, auth, sizeof(auth));
    bh_writer_init(&rw, report, sizeof(report));
    if ((e = bh_sha2(256, bh_span(both, sizeof(both)), digest)) != BH_OK)
        return bh_fail(diag, e, "digest of the attestation key");
    put_enclave(&rw, 0x11, 0xe7, qe_mrenclave, n->qe_mrsigner, n->tdx ? 2 : 1, AGENT_INTEL_QE_SVN,
        bh_span(digest, sizeof(digest)));
    if ((e = bh_writer_end(&rw, &span)) != BH_OK || span.len != SGX_REPORT_LEN)
        return bh_fail(diag, BH_ERR_INTERNAL, "report of the quoting enclave");
    bh_writer_put(w, span);
    if ((e = put_signature(w, device->keys[AGENT_INTEL_KEY_PCK], span, diag)) != BH_OK ||
        (e = pck_for(device, r, &chain[0], diag)) != BH_OK)
        return e;
    if ((e = agent_intel_pem(chain, BH_COUNT(chain), &pem, diag)) == BH_OK) {
        u16le(w, sizeof(auth));
        bh_writer_put(w, bh_span(auth, sizeof(auth)));
        u16le(w, 5); /* certificates in PEM */
        u32le(w, strlen(pem) + 1);
        bh_writer_put(w, bh_span(pem, strlen(pem) + 1));
    }
    X509_free(chain[0]);
    free(pem);
    return e;
}

static enum bh_err
intel_evidence(struct agent_device *device, const struct agent_request *request,
    struct bh_writer *w, struct bh_diag *diag)
{
    const struct agent_intel *n = device->state;
    uint8_t head[HEADER_LEN + TD_REPORT_LEN], point[97], *inner_buf = malloc(AGENT_RAW_MAX);
    struct bh_span signed_, inner;
    struct bh_writer hw, iw;
    size_t len = 0;
    enum bh_err e;

    if (inner_buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "quote");
    bh_writer_init(&hw, head, sizeof(head));
    put_header(&hw, n->tdx);
    put_body(&hw, n, request);
    bh_writer_init(&iw, inner_buf, AGENT_RAW_MAX);
    if ((e = agent_point(device->keys[AGENT_INTEL_KEY_ATTESTATION], point, &len, diag)) != BH_OK ||
        (e = put_certification(device, request, point + 1, &iw, diag)) != BH_OK)
        goto out;
    if ((e = bh_writer_end(&hw, &signed_)) != BH_OK || (e = bh_writer_end(&iw, &inner)) != BH_OK) {
        (void)bh_fail(diag, e, "quote of more than %d bytes", AGENT_RAW_MAX);
        goto out;
    }
    bh_writer_put(w, signed_);
    u32le(w, 128 + inner.len + (n->tdx ? 6 : 0));
    if ((e = put_signature(w, device->keys[AGENT_INTEL_KEY_ATTESTATION], signed_, diag)) != BH_OK)
        goto out;
    bh_writer_put(w, bh_span(point + 1, 64));
    if (n->tdx) {
        u16le(w, 6); /* a QE report with its certification */
        u32le(w, inner.len);
    }
    bh_writer_put(w, inner);
out:
    free(inner_buf);
    return e;
}

/* ---- the policy entry ---- */

static json_t *
intel_entry(const struct agent_device *device)
{
    const struct agent_intel *n = device->state;
    json_t *ppid = agent_hex_list(bh_span(n->machine.ppid, sizeof(n->machine.ppid)));

    if (!n->tdx)
        return json_pack("{s:s,s:b,s:o,s:o,s:[s]}", "platform", "intel-sgx", "simulated", 1,
            "mrenclave", agent_hex_list(bh_span(n->mrenclave, 32)), "ppid", ppid, "tcb_status",
            "UpToDate");
    return json_pack("{s:s,s:b,s:o,s:{s:o,s:o},s:o,s:[s]}", "platform", "intel-tdx", "simulated", 1,
        "mrtd", agent_hex_list(bh_span(n->mrtd, 48)), "rtmr", "1",
        agent_hex_list(bh_span(n->rtmr[1], 48)), "2", agent_hex_list(bh_span(n->rtmr[2], 48)),
        "ppid", ppid, "tcb_status", "UpToDate");
}

#define TAMPERS                                                                                    \
    (1U << AGENT_TAMPER_SIGNATURE | 1U << AGENT_TAMPER_CHAIN | 1U << AGENT_TAMPER_MEASUREMENT |    \
        1U << AGENT_TAMPER_DEBUG | 1U << AGENT_TAMPER_BINDING | 1U << AGENT_TAMPER_EXPIRED |       \
        1U << AGENT_TAMPER_TRAILING | 1U << AGENT_TAMPER_ROOT | 1U << AGENT_TAMPER_TCB)

const struct agent_platform agent_intel_sgx = {
    .name = "intel-sgx",
    .media_type = "application/octet-stream",
    .collection = "tag:beachhead,2026:intel-dcap",
    .label = "quote",
    .signature_at = HEADER_LEN + SGX_REPORT_LEN + 4,
    .slots = slots,
    .chain = true,
    .identity = "ppid",
    .tampers = TAMPERS,
    .make = intel_make,
    .open = intel_open,
    .close = intel_close,
    .evidence = intel_evidence,
    .beside = agent_intel_beside,
    .entry = intel_entry,
};

const struct agent_platform agent_intel_tdx = {
    .name = "intel-tdx",
    .media_type = "application/octet-stream",
    .collection = "tag:beachhead,2026:intel-dcap",
    .label = "quote",
    .signature_at = HEADER_LEN + TD_REPORT_LEN + 4,
    .slots = slots,
    .chain = true,
    .identity = "ppid",
    .tampers = TAMPERS,
    .make = intel_make,
    .open = intel_open,
    .close = intel_close,
    .evidence = intel_evidence,
    .beside = agent_intel_beside,
    .entry = intel_entry,
};
