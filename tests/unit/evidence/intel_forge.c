/* SPDX-License-Identifier: Apache-2.0 */
#include "intel_forge.h"

#include "core/cose.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define OID_SGX "1.2.840.113741.1.13.1"

static EVP_PKEY *
new_key(const char *curve)
{
    EVP_PKEY *key = NULL;

    cr_assert_eq(bh_key_generate(curve, &key, NULL), BH_OK);
    return key;
}

/* ---- the plan ---- */

static void
plan_certs(struct intel_plan *p)
{
    static const struct intel_cert_plan right[INTEL_CERTS] = {
        [INTEL_ROOT] = {"Test SGX Root CA", 1, 1, "critical,keyCertSign,cRLSign",
            INTEL_NOW - 900 * INTEL_DAY, INTEL_NOW + 9000 * INTEL_DAY, false, false},
        [INTEL_CA] = {"Intel SGX PCK Platform CA", 1, 0, "critical,keyCertSign,cRLSign",
            INTEL_NOW - 800 * INTEL_DAY, INTEL_NOW + 4000 * INTEL_DAY, false, false},
        [INTEL_PCK] = {"Intel SGX PCK Certificate", 0, -1,
            "critical,digitalSignature,nonRepudiation", INTEL_NOW - 100 * INTEL_DAY,
            INTEL_NOW + 2000 * INTEL_DAY, false, false},
        [INTEL_SIGNER] = {"Intel SGX TCB Signing", 0, -1,
            "critical,digitalSignature,nonRepudiation", INTEL_NOW - 200 * INTEL_DAY,
            INTEL_NOW + 2000 * INTEL_DAY, false, false},
    };

    memcpy(p->certs, right, sizeof(right));
}

static void
plan_documents(struct intel_plan *p)
{
    p->info_issued = p->qe_issued = p->crl_this = INTEL_NOW - INTEL_DAY;
    p->info_next = INTEL_NOW + 29 * INTEL_DAY;
    p->qe_next = INTEL_NOW + 28 * INTEL_DAY;
    p->crl_next = INTEL_NOW + 27 * INTEL_DAY;
    p->levels_len = 2;
    memset(p->levels[0].sgx, 5, 8);
    memset(p->levels[0].tdx, 4, 3);
    p->levels[0].tdx[1] = 0;
    p->levels[0].pce_svn = 13;
    p->levels[0].status = "UpToDate";
    p->levels[0].date = "2026-11-01T00:00:00Z";
    p->levels[1] = p->levels[0];
    memset(p->levels[1].sgx, 3, 8);
    p->levels[1].tdx[2] = 2;
    p->levels[1].pce_svn = 11;
    p->levels[1].status = "OutOfDate";
    p->levels[1].date = "2026-01-01T00:00:00Z";
    p->levels[1].advisory = "INTEL-SA-00001";
    p->module_version = 1;
    p->module_levels_len = 2;
    p->module_levels[0] = (struct intel_isv_level){4, "UpToDate", "2026-11-01T00:00:00Z"};
    p->module_levels[1] = (struct intel_isv_level){2, "OutOfDate", "2026-02-01T00:00:00Z"};
    p->qe_levels_len = 2;
    p->qe_levels[0] = (struct intel_isv_level){8, "UpToDate", "2026-11-01T00:00:00Z"};
    p->qe_levels[1] = (struct intel_isv_level){6, "OutOfDate", "2026-03-01T00:00:00Z"};
    p->qe_identity_prod_id = p->tdx ? 2 : 1;
    p->info_evaluation = 20;
    p->qe_evaluation = 19;
}

static void
plan(struct intel_plan *p, bool tdx)
{
    memset(p, 0, sizeof(*p));
    p->tdx = tdx;
    plan_certs(p);
    plan_documents(p);
    p->version = tdx ? 4 : 3;
    memset(p->svn, 7, 8);
    p->pce_svn = 13;
    memcpy(p->fmspc, "\x00\x80\x6f\x05\x00\x00", 6);
    memset(p->ppid, 0x77, sizeof(p->ppid));
    p->attributes[0] = tdx ? 0 : 5;
    p->attributes[3] = tdx ? 0x10 : 0;
    p->attributes[8] = 0xe7;
    p->mrseam_byte = 0x5e;
    memcpy(p->tee_tcb_svn, "\x04\x01\x05", 3);
    memcpy(p->tee_tcb_svn2, "\x04\x01\x05", 3);
    for (int i = 0; i < 3; i++)
        memset(p->rtmr[i], 0xa0 + i, 48);
    p->isv_prod_id = 3;
    p->isv_svn = 4;
    memset(p->report_data, 0xbd, sizeof(p->report_data));
    p->key_type = 2;
    p->tee_type = tdx ? 0x81 : 0;
    p->cert_type = 5;
    p->outer_type = 6;
    p->pem_tail = "";
    p->chain_len = 3;
    p->qe_mrsigner_byte = 0xdc;
    p->qe_attributes = 0x11;
    p->qe_prod_id = tdx ? 2 : 1;
    p->qe_isv_svn = 8;
}

void
intel_forge_init(struct intel_forge *f, bool tdx)
{
    memset(f, 0, sizeof(*f));
    plan(&f->plan, tdx);
    for (size_t i = 0; i < INTEL_CERTS; i++)
        f->keys[i] = new_key("P-256");
    f->stranger = new_key("P-256");
    f->attestation = new_key("P-256");
}

static void
clear_certs(struct intel_forge *f)
{
    for (size_t i = 0; i < INTEL_CERTS; i++) {
        X509_free(f->certs[i]);
        f->certs[i] = NULL;
    }
}

void
intel_forge_clear(struct intel_forge *f)
{
    clear_certs(f);
    for (size_t i = 0; i < INTEL_CERTS; i++)
        EVP_PKEY_free(f->keys[i]);
    EVP_PKEY_free(f->stranger);
    EVP_PKEY_free(f->attestation);
}

/* ---- certificates ---- */

static void
add_extension(X509 *cert, const char *name, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf(NULL, NULL, name, value);

    cr_assert(ext != NULL, "%s = %s", name, value);
    cr_assert(X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

/* SEQUENCE { OID under the SGX one, value } in the writer. */
static size_t
open_part(struct bh_writer *w, const uint8_t *numbers, size_t len)
{
    static const uint8_t base[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
    const size_t mark = bh_writer_der_open(w, 0x30);
    const size_t oid = bh_writer_der_open(w, 0x06);

    bh_writer_put(w, bh_span(base, sizeof(base)));
    bh_writer_put(w, bh_span(numbers, len));
    bh_writer_der_close(w, oid);
    return mark;
}

static void
put_number(struct bh_writer *w, unsigned n)
{
    uint8_t bytes[3];
    size_t len = 0;

    if (n > 0xff)
        bytes[len++] = (uint8_t)(n >> 8);
    else if (n > 0x7f)
        bytes[len++] = 0;
    bytes[len++] = (uint8_t)n;
    bh_writer_der(w, 0x02, bh_span(bytes, len));
}

static void
put_octets(struct bh_writer *w, uint8_t part, struct bh_span value)
{
    const size_t mark = open_part(w, &part, 1);

    bh_writer_der(w, 0x04, value);
    bh_writer_der_close(w, mark);
}

static void
put_tcb(struct bh_writer *w, const struct intel_plan *p)
{
    const uint8_t two = 2, sixteen[16] = {0};
    const size_t part = open_part(w, &two, 1), list = bh_writer_der_open(w, 0x30);

    for (uint8_t i = 1; i <= 18; i++) {
        const uint8_t numbers[] = {2, i};
        const size_t mark = open_part(w, numbers, 2);

        if (i <= 16)
            put_number(w, p->svn[i - 1]);
        else if (i == 17)
            put_number(w, p->pce_svn);
        else
            bh_writer_der(w, 0x04, bh_span(sixteen, sizeof(sixteen)));
        bh_writer_der_close(w, mark);
    }
    bh_writer_der_close(w, list);
    bh_writer_der_close(w, part);
}

static void
add_sgx_extension(X509 *cert, const struct intel_plan *p)
{
    const uint8_t five = 5, one = 1;
    ASN1_OBJECT *oid = OBJ_txt2obj(OID_SGX, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext;
    struct bh_span der;
    struct bh_writer w;
    uint8_t buf[1024];
    size_t all, type;

    bh_writer_init(&w, buf, sizeof(buf));
    all = bh_writer_der_open(&w, 0x30);
    put_octets(&w, 1, bh_span(p->ppid, 16));
    put_tcb(&w, p);
    put_octets(&w, 3, bh_span(p->pce_id, 2));
    put_octets(&w, 4, bh_span(p->fmspc, 6));
    type = open_part(&w, &five, 1);
    bh_writer_der(&w, 0x0a, bh_span(&one, 1));
    bh_writer_der_close(&w, type);
    bh_writer_der_close(&w, all);
    cr_assert_eq(bh_writer_end(&w, &der), BH_OK);
    if (p->pck_extension.len > 0)
        der = p->pck_extension;
    cr_assert(ASN1_OCTET_STRING_set(value, der.ptr, (int)der.len) == 1);
    ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    cr_assert(X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static void
make_cert(struct intel_forge *f, enum intel_cert which)
{
    const struct intel_cert_plan *plan = &f->plan.certs[which];
    const enum intel_cert issuer = which == INTEL_PCK ? INTEL_CA : INTEL_ROOT;
    EVP_PKEY *p384 = plan->p384 ? new_key("P-384") : NULL;
    X509 *cert = X509_new();
    char value[64];

    cr_assert(X509_set_version(cert, 2) == 1);
    cr_assert(ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)which + 100) == 1);
    cr_assert(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)plan->not_before) != NULL);
    cr_assert(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)plan->not_after) != NULL);
    cr_assert(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                  (const uint8_t *)plan->cn, -1, -1, 0) == 1);
    cr_assert(X509_set_issuer_name(
                  cert, X509_get_subject_name(which == INTEL_ROOT ? cert : f->certs[issuer])) == 1);
    cr_assert(X509_set_pubkey(cert, p384 != NULL ? p384 : f->keys[which]) == 1);
    if (plan->path_len >= 0)
        (void)snprintf(value, sizeof(value), "critical,CA:TRUE,pathlen:%d", plan->path_len);
    else
        (void)snprintf(value, sizeof(value), "critical,CA:%s", plan->ca == 1 ? "TRUE" : "FALSE");
    if (plan->ca >= 0)
        add_extension(cert, "basicConstraints", value);
    if (plan->usage != NULL)
        add_extension(cert, "keyUsage", plan->usage);
    if (which == INTEL_PCK && !f->plan.no_pck_extension)
        add_sgx_extension(cert, &f->plan);
    cr_assert(X509_sign(cert, plan->by_stranger ? f->stranger : f->keys[issuer], EVP_sha256()) > 0);
    EVP_PKEY_free(p384);
    f->certs[which] = cert;
}

char *
intel_forge_pem(X509 *const *certs, size_t len, const char *tail)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text;
    long n;

    for (size_t i = 0; i < len; i++)
        cr_assert(PEM_write_bio_X509(bio, certs[i]) == 1);
    n = BIO_get_mem_data(bio, &data);
    text = calloc(1, (size_t)n + strlen(tail) + 1);
    memcpy(text, data, (size_t)n);
    memcpy(text + n, tail, strlen(tail));
    BIO_free(bio);
    return text;
}

/* ---- revocation lists ---- */

static void
revoke(X509_CRL *crl, const X509 *cert)
{
    X509_REVOKED *one = X509_REVOKED_new();

    cr_assert(X509_REVOKED_set_serialNumber(
                  one, (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(cert)) == 1);
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)(INTEL_NOW - INTEL_DAY));
    cr_assert(X509_REVOKED_set_revocationDate(one, when) == 1);
    ASN1_TIME_free(when);
    cr_assert(X509_CRL_add0_revoked(crl, one) == 1);
}

static void
put_crl(struct intel_forge *f, struct intel_pieces *p, const char *label, enum intel_cert issuer,
    EVP_PKEY *signer, const X509 *const *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)f->plan.crl_this);
    ASN1_TIME *to = ASN1_TIME_set(NULL, (time_t)f->plan.crl_next);
    uint8_t *der = NULL;
    int len;

    cr_assert(X509_CRL_set_version(crl, 1) == 1);
    cr_assert(X509_CRL_set_issuer_name(crl, X509_get_subject_name(f->certs[issuer])) == 1);
    cr_assert(X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, to) == 1);
    for (size_t i = 0; i < 2; i++)
        if (revoked[i] != NULL)
            revoke(crl, revoked[i]);
    cr_assert(X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, signer, EVP_sha256()) > 0);
    len = i2d_X509_CRL(crl, &der);
    cr_assert_gt(len, 0);
    intel_put(p, label, bh_span(der, (size_t)len));
    OPENSSL_free(der);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(crl);
}

static void
make_crls(struct intel_forge *f, struct intel_pieces *p)
{
    const struct intel_plan *plan = &f->plan;
    const enum intel_cert issuer = plan->pck_crl_by_root ? INTEL_ROOT : INTEL_CA;
    const X509 *pck[2] = {plan->revoke_pck ? f->certs[INTEL_PCK] : NULL, NULL};
    const X509 *root[2] = {plan->revoke_ca ? f->certs[INTEL_CA] : NULL,
        plan->revoke_signer ? f->certs[INTEL_SIGNER] : NULL};

    if (plan->no_crls)
        return;
    put_crl(
        f, p, "pck_crl", issuer, plan->pck_crl_by_stranger ? f->stranger : f->keys[issuer], pck);
    put_crl(f, p, "root_crl", INTEL_ROOT, f->keys[INTEL_ROOT], root);
}

/* ---- documents ---- */

char *
intel_forge_document(EVP_PKEY *key, const char *name, const char *text)
{
    uint8_t sig[BH_ECDSA_RAW_MAX];
    char hex[2 * 64 + 1], *all;
    size_t len = 0;

    cr_assert_eq(bh_ecdsa_sign(key, bh_span_str(text), sig, &len, NULL), BH_OK);
    cr_assert_eq(len, 64);
    all = calloc(1, strlen(text) + 512);
    (void)snprintf(all, strlen(text) + 512, "{\"%s\":%s,\"signature\":\"%s\"}", name, text,
        bh_hex(bh_span(sig, len), hex, sizeof(hex)));
    return all;
}

static void
put_components(struct bh_writer *w, const char *name, const uint8_t svn[16])
{
    bh_writer_printf(w, ",\"%s\":[", name);
    for (int i = 0; i < 16; i++)
        bh_writer_printf(w, "%s{\"svn\":%u}", i > 0 ? "," : "", svn[i]);
    bh_writer_str(w, "]");
}

static void
put_level(struct bh_writer *w, const struct intel_plan *p, const struct intel_level *l)
{
    bh_writer_printf(w, "{\"tcb\":{\"pcesvn\":%u", l->pce_svn);
    for (int i = 0; p->info_v2 && i < 16; i++)
        bh_writer_printf(w, ",\"sgxtcbcomp%02dsvn\":%u", i + 1, l->sgx[i]);
    if (!p->info_v2)
        put_components(w, "sgxtcbcomponents", l->sgx);
    if (p->tdx)
        put_components(w, "tdxtcbcomponents", l->tdx);
    bh_writer_printf(w, "},\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"", l->date, l->status);
    if (l->advisory != NULL)
        bh_writer_printf(w, ",\"advisoryIDs\":[\"%s\"]", l->advisory);
    bh_writer_str(w, "}");
}

static void
put_isv_levels(struct bh_writer *w, const struct intel_isv_level *levels, size_t len)
{
    bh_writer_str(w, "\"tcbLevels\":[");
    for (size_t i = 0; i < len; i++)
        bh_writer_printf(w, "%s{\"tcb\":{\"isvsvn\":%u},\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"}",
            i > 0 ? "," : "", levels[i].isv_svn, levels[i].date, levels[i].status);
    bh_writer_str(w, "]");
}

#define MODULE_OF_INTEL                                                                            \
    "\"mrsigner\":\"00000000000000000000000000000000000000000000000000000000000000000000000000"    \
    "0000000000000000000000\",\"attributes\":\"0000000000000000\",\"attributesMask\":"             \
    "\"FFFFFFFFFFFFFFFF\""

static void
put_modules(struct bh_writer *w, const struct intel_plan *p)
{
    bh_writer_str(w, ",\"tdxModule\":{" MODULE_OF_INTEL "}");
    if (p->module != NULL) {
        bh_writer_printf(w, ",\"tdxModuleIdentities\":%s", p->module);
        return;
    }
    bh_writer_printf(w, ",\"tdxModuleIdentities\":[{\"id\":\"TDX_%02X\"," MODULE_OF_INTEL ",",
        p->module_version);
    put_isv_levels(w, p->module_levels, p->module_levels_len);
    bh_writer_str(w, "}]");
}

static void
put_text(struct intel_pieces *p, const char *label, char *text)
{
    intel_put(p, label, bh_span_str(text));
    free(text);
}

static void
make_info(struct intel_forge *f, struct intel_pieces *p)
{
    static char buf[32 * 1024];
    const struct intel_plan *plan = &f->plan;
    char fmspc[16], pce_id[8], from[BH_TIME_MAX], to[BH_TIME_MAX];
    struct bh_writer w;

    (void)bh_hex(bh_span(plan->fmspc, 6), fmspc, sizeof(fmspc));
    (void)bh_hex(bh_span(plan->pce_id, 2), pce_id, sizeof(pce_id));
    memset(buf, 0, sizeof(buf));
    bh_writer_init(&w, buf, sizeof(buf) - 1);
    bh_writer_str(&w, "{");
    if (!plan->info_v2)
        bh_writer_printf(&w, "\"id\":\"%s\",",
            plan->info_id != NULL ? plan->info_id : (plan->tdx ? "TDX" : "SGX"));
    bh_writer_printf(&w,
        "\"version\":%s,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"fmspc\":\"%s\","
        "\"pceId\":\"%s\",\"tcbType\":%s,\"tcbEvaluationDataNumber\":%u",
        plan->info_version != NULL ? plan->info_version : (plan->info_v2 ? "2" : "3"),
        bh_time_text(plan->info_issued, from), bh_time_text(plan->info_next, to),
        plan->info_fmspc != NULL ? plan->info_fmspc : fmspc,
        plan->info_pce_id != NULL ? plan->info_pce_id : pce_id,
        plan->info_type != NULL ? plan->info_type : "0", plan->info_evaluation);
    if (plan->tdx)
        put_modules(&w, plan);
    if (plan->info_extra != NULL)
        bh_writer_str(&w, plan->info_extra);
    bh_writer_str(&w, ",\"tcbLevels\":[");
    for (size_t i = 0; i < plan->levels_len; i++) {
        bh_writer_str(&w, i > 0 ? "," : "");
        put_level(&w, plan, &plan->levels[i]);
    }
    bh_writer_str(&w, "]}");
    cr_assert(bh_writer_ok(&w));
    put_text(p, "tcb_info",
        intel_forge_document(
            plan->info_signed_by_stranger ? f->stranger : f->keys[INTEL_SIGNER], "tcbInfo", buf));
}

static void
make_identity(struct intel_forge *f, struct intel_pieces *p)
{
    static char buf[8 * 1024];
    const struct intel_plan *plan = &f->plan;
    char mrsigner[65], from[BH_TIME_MAX], to[BH_TIME_MAX];
    struct bh_writer w;
    uint8_t signer[32];

    memset(signer, 0xdc, sizeof(signer));
    (void)bh_hex(bh_span(signer, sizeof(signer)), mrsigner, sizeof(mrsigner));
    memset(buf, 0, sizeof(buf));
    bh_writer_init(&w, buf, sizeof(buf) - 1);
    bh_writer_printf(&w,
        "{\"id\":\"%s\",\"version\":%s,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
        "\"tcbEvaluationDataNumber\":%u,\"miscselect\":\"00000000\",\"miscselectMask\":\"%s\","
        "\"attributes\":\"11000000000000000000000000000000\","
        "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\"%s\","
        "\"isvprodid\":%u,",
        plan->qe_id != NULL ? plan->qe_id : (plan->tdx ? "TD_QE" : "QE"),
        plan->qe_version != NULL ? plan->qe_version : "2", bh_time_text(plan->qe_issued, from),
        bh_time_text(plan->qe_next, to), plan->qe_evaluation,
        plan->qe_misc_mask != NULL ? plan->qe_misc_mask : "FFFFFFFF",
        plan->qe_mrsigner != NULL ? plan->qe_mrsigner : mrsigner, plan->qe_identity_prod_id);
    put_isv_levels(&w, plan->qe_levels, plan->qe_levels_len);
    bh_writer_str(&w, "}");
    cr_assert(bh_writer_ok(&w));
    put_text(p, "qe_identity",
        intel_forge_document(plan->qe_signed_by_stranger_key ? f->stranger : f->keys[INTEL_SIGNER],
            "enclaveIdentity", buf));
}

void
intel_forge_make(struct intel_forge *f, struct intel_pieces *p)
{
    X509 *signing[2];
    char *pem;

    clear_certs(f);
    for (int i = 0; i < INTEL_CERTS; i++)
        make_cert(f, (enum intel_cert)i);
    intel_pieces_init(p);
    intel_forge_quote(f, p);
    make_info(f, p);
    make_identity(f, p);
    signing[0] = f->certs[INTEL_SIGNER];
    signing[1] = f->certs[INTEL_ROOT];
    pem = intel_forge_pem(signing, 2, "");
    put_text(p, "tcb_signing_chain", pem);
    make_crls(f, p);
}

void
intel_forge_trust(const struct intel_forge *f, struct ev_trust *trust, bool simulated)
{
    memset(trust, 0, sizeof(*trust));
    trust->now = INTEL_NOW;
    trust->skew = 60;
    trust->allow_simulated = simulated;
    trust->anchors_len = 1;
    trust->anchors[0] = (struct ev_anchor){.cert = f->certs[INTEL_ROOT], .simulated = simulated};
}
