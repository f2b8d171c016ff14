/* SPDX-License-Identifier: Apache-2.0 */
#include "collateral.h"

#include "amd_sev_snp.h"
#include "intel.h"

#include "core/json.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdio.h>

#define SIMULATED_MARK "SIMULATED"
#define TEE_SGX 0x00
#define TEE_TDX 0x81 /* the low byte of the tee_type in quotes */
#define FMSPC_LEN 6

const char *
ev_collateral_kind_name(enum ev_collateral_kind kind)
{
    static const char *const names[EV_COLLATERAL_KINDS] = {"vcek.der", "vlek.der", "crl.der",
        "tcb_info.json", "qe_identity.json", "tcb_signing_chain.pem", "pck_crl.der",
        "pck_crl_chain.pem", "root_crl.der"};

    return kind < EV_COLLATERAL_KINDS ? names[kind] : "";
}

static enum bh_err
unknown(struct bh_diag *diag, const char *found)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_MALFORMED, "collateral.kind",
        "a VCEK or VLEK, a revocation list (DER), TCB info, QE identity (JSON), a chain of Intel's "
        "(PEM)",
        found, "no collateral that is known here");

    bh_hint(diag, "remove the file, or fetch it again as the vendor's service hands it out");
    return e;
}

static enum bh_err
broken(struct bh_diag *diag, enum ev_collateral_kind kind, const struct bh_diag *inner)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_MALFORMED, "collateral.form",
        ev_collateral_kind_name(kind), inner->detail, "this is not well-formed");

    bh_hint(diag, "fetch the file again, and keep it as the vendor's service hands it out");
    return e;
}

static bool
holds(struct bh_span text, const char *word)
{
    const size_t len = strlen(word);

    return text.len >= len && memmem(text.ptr, text.len, word, len) != NULL;
}

static bool
ends_in(struct bh_span text, const char *word)
{
    const size_t len = strlen(word);

    return text.len >= len && memcmp(text.ptr + text.len - len, word, len) == 0;
}

static void
put_key(struct ev_collateral *c, struct bh_span first, struct bh_span second)
{
    uint8_t *at = c->keys[c->keys_len].bytes;

    if (first.len > 0)
        memcpy(at, first.ptr, first.len);
    if (second.len > 0)
        memcpy(at + first.len, second.ptr, second.len);
    c->keys[c->keys_len++].len = first.len + second.len;
}

/* "simulated-STEM-a-b-c.SUFFIX" of what is not NULL, in lower case. */
static void
put_file(struct ev_collateral *c, const char *stem, const char *const parts[3], const char *suffix)
{
    struct bh_writer w;

    bh_writer_init(&w, c->file, sizeof(c->file) - 1);
    bh_writer_printf(&w, "%s%s", c->simulated ? "simulated-" : "", stem);
    for (size_t i = 0; i < 3 && parts[i] != NULL; i++)
        bh_writer_printf(&w, "-%s", parts[i]);
    bh_writer_str(&w, suffix);
    c->file[bh_writer_len(&w)] = '\0';
    for (char *p = c->file; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
}

/* ---- AMD ---- */

static void
describe_endorser(struct ev_collateral *c, const struct ev_snp_endorser *k, const char *tcb)
{
    const char *product = ev_snp_product_name(k->product);
    char id[2 * EV_SNP_CHIP_ID_LEN + 1], digest_text[9];
    uint8_t digest[32] = {0};
    struct bh_writer w;

    bh_writer_init(&w, c->about, sizeof(c->about) - 1);
    bh_writer_printf(&w, "%s, TCB", product);
    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++)
        if (ev_snp_has_spl(k->product, i))
            bh_writer_printf(&w, " %s %u", ev_snp_spl_name(i), k->tcb.spl[i]);
    if (k->vlek) {
        bh_writer_printf(&w, ", %.*s", (int)(k->csp_id.len < 80 ? k->csp_id.len : 80),
            (const char *)k->csp_id.ptr);
        if (bh_sha2(256, k->csp_id, digest) != BH_OK)
            memset(digest, 0, sizeof(digest));
        (void)bh_hex(bh_span(digest, 4), digest_text, sizeof(digest_text));
        put_file(c, "vlek", (const char *const[3]){product, tcb, digest_text}, ".der");
    } else {
        bh_writer_printf(&w, ", chip %s", bh_hex(k->hwid, id, sizeof(id)));
        id[2 * EV_SNP_TURIN_HWID_LEN] = '\0';
        put_file(c, "vcek", (const char *const[3]){product, id, tcb}, ".der");
    }
    c->about[bh_writer_len(&w)] = '\0';
}

static enum bh_err
read_endorser(struct bh_span der, bool vlek, struct ev_collateral *c, struct bh_diag *diag)
{
    struct bh_diag inner = {0};
    struct ev_snp_endorser k;
    uint8_t tcb[EV_SNP_TCB_LEN];
    char tcb_text[2 * EV_SNP_TCB_LEN + 1];

    c->kind = vlek ? EV_COLLATERAL_VLEK : EV_COLLATERAL_VCEK;
    if (ev_snp_endorser_read(der, vlek, &k, &inner) != BH_OK)
        return broken(diag, c->kind, &inner);
    c->from = k.cert.not_before;
    c->until = k.cert.not_after;
    c->simulated = holds(k.cert.issuer, SIMULATED_MARK);
    ev_snp_tcb_write(&k.tcb, k.product, tcb);
    describe_endorser(c, &k, bh_hex(bh_span(tcb, sizeof(tcb)), tcb_text, sizeof(tcb_text)));
    put_key(
        c, vlek ? bh_span_str(ev_snp_product_name(k.product)) : k.hwid, bh_span(tcb, sizeof(tcb)));
    /* A report of version 2 does not say its product. */
    if (vlek && k.product != EV_SNP_TURIN)
        put_key(c, bh_span_none(), bh_span(tcb, sizeof(tcb)));
    return BH_OK;
}

static enum bh_err
read_certificate(const struct ev_cert *cert, struct ev_collateral *c, struct bh_diag *diag)
{
    char found[BH_VALUE_MAX];

    if (bh_span_is(cert->common_name, "SEV-VCEK") || bh_span_is(cert->common_name, "SEV-VLEK"))
        return read_endorser(cert->der, bh_span_is(cert->common_name, "SEV-VLEK"), c, diag);
    (void)snprintf(found, sizeof(found), "a certificate of \"%.*s\"",
        (int)(cert->common_name.len < 100 ? cert->common_name.len : 100),
        cert->common_name.len > 0 ? (const char *)cert->common_name.ptr : "");
    return unknown(diag, found);
}

/* ---- revocation lists ---- */

static bool
read_amd_list(struct bh_span cn, struct ev_collateral *c)
{
    static const char ark[] = "ARK-";
    const size_t len = sizeof(ark) - 1;

    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++) {
        const char *product = ev_snp_product_name(p);
        char key[32];

        if (cn.len < len || memcmp(cn.ptr, ark, len) != 0 ||
            !bh_span_is(bh_span(cn.ptr + len, cn.len - len), product))
            continue;
        c->kind = EV_COLLATERAL_AMD_CRL;
        for (size_t i = 0; i < 2; i++) {
            (void)snprintf(key, sizeof(key), "%s%s/%s", c->simulated ? SIMULATED_MARK " " : "",
                product, i == 0 ? "vcek" : "vlek");
            put_key(c, bh_span_str(key), bh_span_none());
        }
        (void)snprintf(c->about, sizeof(c->about), "list of ARK-%s", product);
        put_file(c, "crl", (const char *const[3]){product}, ".der");
        return true;
    }
    return false;
}

static bool
read_intel_list(struct bh_span cn, struct ev_collateral *c)
{
    const char *ca = NULL;

    if (ends_in(cn, "Intel SGX Root CA")) {
        c->kind = EV_COLLATERAL_ROOT_CRL;
        put_key(c, bh_span_none(), bh_span_none());
        (void)snprintf(c->about, sizeof(c->about), "list of the Intel SGX Root CA");
        put_file(c, "root_crl", (const char *const[3]){NULL}, ".der");
        return true;
    }
    if (ends_in(cn, "Intel SGX PCK Platform CA"))
        ca = "platform";
    else if (ends_in(cn, "Intel SGX PCK Processor CA"))
        ca = "processor";
    if (ca == NULL)
        return false;
    c->kind = EV_COLLATERAL_PCK_CRL;
    put_key(c, bh_span_str(ca), bh_span_none());
    (void)snprintf(c->about, sizeof(c->about), "list of the Intel SGX PCK CA, %s", ca);
    put_file(c, "pck_crl", (const char *const[3]){ca}, ".der");
    return true;
}

static enum bh_err
read_list(const struct ev_crl *crl, struct ev_collateral *c, struct bh_diag *diag)
{
    const struct bh_span cn = ev_cert_common_name(crl->issuer);
    char found[BH_VALUE_MAX];

    c->from = crl->this_update;
    c->until = crl->next_update;
    c->simulated = holds(crl->issuer, SIMULATED_MARK);
    if (read_amd_list(cn, c) || read_intel_list(cn, c))
        return BH_OK;
    (void)snprintf(found, sizeof(found), "a revocation list of \"%.*s\"",
        (int)(cn.len < 100 ? cn.len : 100), cn.len > 0 ? (const char *)cn.ptr : "");
    return unknown(diag, found);
}

static enum bh_err
read_der(struct bh_span der, struct ev_collateral *c, struct bh_diag *diag)
{
    struct bh_diag inner = {0};
    struct ev_cert cert;
    struct ev_crl crl;

    if (ev_cert_read(der, &cert, NULL) == BH_OK)
        return read_certificate(&cert, c, diag);
    if (ev_crl_read(der, &crl, &inner) == BH_OK)
        return read_list(&crl, c, diag);
    return unknown(diag, "DER of another form");
}

/* ---- Intel's chains ---- */

static enum bh_err
read_chain(struct bh_span pem, struct ev_collateral *c, struct bh_diag *diag)
{
    const char *about = NULL, *part = NULL;
    struct bh_diag inner = {0};
    struct ev_intel_chain chain;
    struct bh_span cn;
    enum bh_err e = BH_OK;

    if (ev_intel_chain_read(pem, &chain, &inner) != BH_OK)
        return unknown(diag, inner.detail);
    cn = chain.certs[0].common_name;
    c->from = chain.certs[0].not_before;
    c->until = chain.certs[0].not_after;
    for (size_t i = 1; i < chain.len; i++) {
        c->from = chain.certs[i].not_before > c->from ? chain.certs[i].not_before : c->from;
        c->until = chain.certs[i].not_after < c->until ? chain.certs[i].not_after : c->until;
    }
    c->simulated = holds(chain.certs[0].issuer, SIMULATED_MARK);
    c->kind = EV_COLLATERAL_PCK_CRL_CHAIN;
    if (ends_in(cn, "Intel SGX TCB Signing")) {
        c->kind = EV_COLLATERAL_TCB_SIGNING_CHAIN;
        about = "Intel SGX TCB Signing";
    } else if (ends_in(cn, "Intel SGX PCK Platform CA")) {
        about = "Intel SGX PCK Platform CA";
        part = "platform";
    } else if (ends_in(cn, "Intel SGX PCK Processor CA")) {
        about = "Intel SGX PCK Processor CA";
        part = "processor";
    } else {
        e = unknown(diag, "certificates of others than Intel's CAs");
    }
    if (e == BH_OK) {
        put_key(c, bh_span_none(), bh_span_none());
        (void)snprintf(c->about, sizeof(c->about), "chain of the %s", about);
        put_file(c, part == NULL ? "tcb_signing_chain" : "pck_crl_chain",
            (const char *const[3]){part}, ".pem");
    }
    ev_intel_chain_clear(&chain);
    return e;
}

/* ---- Intel's documents ---- */

static enum bh_err
read_tee(const json_t *json, const char *sgx, const char *tdx, bool optional, uint8_t *ret_tee,
    struct bh_diag *diag)
{
    const char *id = NULL;
    enum bh_err e;

    if ((e = bh_json_string(json, "id", optional, &id, diag)) != BH_OK)
        return e;
    if (id == NULL || strcmp(id, sgx) == 0)
        *ret_tee = TEE_SGX;
    else if (strcmp(id, tdx) == 0)
        *ret_tee = TEE_TDX;
    else
        return bh_fail(diag, BH_ERR_MALFORMED, "\"id\" is neither %s nor %s", sgx, tdx);
    return BH_OK;
}

static enum bh_err
read_tcb_info(const json_t *json, struct ev_collateral *c, struct bh_diag *diag)
{
    char text[2 * FMSPC_LEN + 1];
    uint8_t fmspc[FMSPC_LEN], tee;
    int64_t version = 0;
    const char *name;
    enum bh_err e;

    /* Version 2 is of SGX alone, and does not say so. */
    if ((e = bh_json_int(json, "version", false, 2, 3, &version, diag)) != BH_OK ||
        (e = read_tee(json, "SGX", "TDX", version == 2, &tee, diag)) != BH_OK ||
        (e = ev_intel_json_hex(json, "fmspc", fmspc, sizeof(fmspc), diag)) != BH_OK)
        return e;
    name = tee == TEE_TDX ? "tdx" : "sgx";
    put_key(c, bh_span(fmspc, sizeof(fmspc)), bh_span(&tee, 1));
    (void)bh_hex(bh_span(fmspc, sizeof(fmspc)), text, sizeof(text));
    (void)snprintf(
        c->about, sizeof(c->about), "%s, FMSPC %s", tee == TEE_TDX ? "TDX" : "SGX", text);
    put_file(c, "tcb_info", (const char *const[3]){name, text}, ".json");
    return BH_OK;
}

static enum bh_err
read_identity(const json_t *json, struct ev_collateral *c, struct bh_diag *diag)
{
    uint8_t tee;
    enum bh_err e;

    if ((e = read_tee(json, "QE", "TD_QE", false, &tee, diag)) != BH_OK)
        return e;
    put_key(c, bh_span(&tee, 1), bh_span_none());
    (void)snprintf(
        c->about, sizeof(c->about), "quoting enclave of %s", tee == TEE_TDX ? "TDX" : "SGX");
    put_file(c, "qe_identity", (const char *const[3]){tee == TEE_TDX ? "tdx" : "sgx"}, ".json");
    return BH_OK;
}

static enum bh_err
read_document(struct bh_span text, struct ev_collateral *c, struct bh_diag *diag)
{
    struct bh_diag inner = {0};
    struct bh_span object, hex;
    json_t *json = NULL;
    enum bh_err e;

    if (ev_intel_body_split(text, "tcbInfo", &object, &hex))
        c->kind = EV_COLLATERAL_TCB_INFO;
    else if (ev_intel_body_split(text, "enclaveIdentity", &object, &hex))
        c->kind = EV_COLLATERAL_QE_IDENTITY;
    else
        return unknown(diag, "JSON of another form");
    if ((e = bh_json_parse(object, BH_COLLATERAL_MAX, &json, &inner)) == BH_OK &&
        (e = ev_intel_json_time(json, "issueDate", &c->from, &inner)) == BH_OK &&
        (e = ev_intel_json_time(json, "nextUpdate", &c->until, &inner)) == BH_OK)
        e = c->kind == EV_COLLATERAL_TCB_INFO ? read_tcb_info(json, c, &inner)
                                              : read_identity(json, c, &inner);
    json_decref(json);
    return e == BH_OK ? BH_OK : broken(diag, c->kind, &inner);
}

enum bh_err
ev_collateral_read(struct bh_span bytes, struct ev_collateral *ret_collateral, struct bh_diag *diag)
{
    struct ev_collateral c = {0};
    size_t at = 0;
    enum bh_err e;

    if (bytes.len > BH_COLLATERAL_MAX) {
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.size", "at most 64 KiB", NULL,
            "a file of %zu bytes", bytes.len);
        bh_hint(diag, "this is no file of a vendor's service: remove it");
        return e;
    }
    while (at < bytes.len && memchr(" \t\r\n", bytes.ptr[at], 4) != NULL)
        at++;
    if (at == bytes.len)
        return unknown(diag, "an empty file");
    if (bytes.ptr[0] == 0x30)
        e = read_der(bytes, &c, diag);
    else if (bytes.ptr[at] == '{')
        e = read_document(bytes, &c, diag);
    else if (bytes.ptr[at] == '-')
        e = read_chain(bytes, &c, diag);
    else
        e = unknown(diag, "bytes of another form");
    if (e == BH_OK)
        *ret_collateral = c;
    return e;
}
