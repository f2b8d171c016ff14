/* SPDX-License-Identifier: Apache-2.0 */
/* Intel evidence that is wrong in one way each: quotes, certificates, lists, documents. */
#include "intel_forge.h"

#include "core/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Forge by the plan and judge under the test's root. */
static enum bh_err
judge(struct intel_forge *f, struct ev_report *report)
{
    struct intel_pieces p;
    struct ev_trust trust;
    enum bh_err e;

    intel_forge_make(f, &p);
    intel_forge_trust(f, &trust, false);
    e = intel_judge(&p, &trust, report, NULL);
    intel_pieces_clear(&p);
    return e;
}

Test(intel_forged, every_form_holds)
{
    static const struct {
        bool tdx;
        unsigned version, body_type;
    } forms[] = {
        {false, 3, 0}, {false, 4, 0}, {false, 5, 1}, {true, 4, 0}, {true, 5, 2}, {true, 5, 3}};

    for (size_t i = 0; i < BH_COUNT(forms); i++) {
        struct ev_report report = {.detailed = true};
        struct intel_forge f;

        intel_forge_init(&f, forms[i].tdx);
        f.plan.version = forms[i].version;
        f.plan.body_type = forms[i].body_type;
        cr_expect_eq(
            judge(&f, &report), BH_OK, "version %u: %s", f.plan.version, report.diag.detail);
        f.plan.trailing = 100;
        cr_expect_eq(judge(&f, &report), BH_OK);
        f.plan.pem_tail = "\n";
        cr_expect_eq(judge(&f, &report), BH_OK);
        intel_forge_clear(&f);
    }
}

/* ---- one fault each ---- */

typedef void (*fault_fn)(struct intel_plan *p);

struct fault {
    const char *what;
    fault_fn make;
    enum bh_err err;
    const char *check; /* without the platform */
};

#define FAULT(name, body)                                                                          \
    static void name(struct intel_plan *p)                                                         \
    {                                                                                              \
        body;                                                                                      \
    }

FAULT(other_vendor, p->vendor_byte = 1)
FAULT(p384_key, p->key_type = 3)
FAULT(other_tee, p->tee_type = p->tdx ? 0x80000081 : 0x80)
FAULT(cert_type_9, p->cert_type = 9)
FAULT(cert_type_6, p->cert_type = 6)
FAULT(cert_type_0, p->cert_type = 0)
FAULT(cert_type_3, p->cert_type = 3)
FAULT(trailing_byte, (p->trailing = 40, p->trailing_byte = 1))
FAULT(pem_junk, p->pem_tail = "junk")
FAULT(two_certificates, p->chain_len = 2)
FAULT(no_extension, p->no_pck_extension = true)
FAULT(empty_extension, p->pck_extension = bh_span("\x30\x00", 2))
FAULT(extension_trails, p->pck_extension = bh_span("\x30\x00\x00", 3))
FAULT(other_key, p->qe_report_of_other_key = true)
FAULT(report_data_tail, p->qe_report_tail = true)
FAULT(qe_by_stranger, p->qe_signed_by_stranger = true)
FAULT(quote_by_stranger, p->quote_signed_by_stranger = true)
FAULT(pck_by_stranger, p->certs[INTEL_PCK].by_stranger = true)
FAULT(ca_by_stranger, p->certs[INTEL_CA].by_stranger = true)
FAULT(pck_is_ca, p->certs[INTEL_PCK].ca = 1)
FAULT(ca_is_none, (p->certs[INTEL_CA].ca = 0, p->certs[INTEL_CA].path_len = -1))
FAULT(ca_cannot_sign, p->certs[INTEL_CA].usage = "critical,digitalSignature")
FAULT(pck_cannot_sign, p->certs[INTEL_PCK].usage = "critical,keyAgreement")
FAULT(pck_without_usage, p->certs[INTEL_PCK].usage = NULL)
FAULT(root_path_len, p->certs[INTEL_ROOT].path_len = 0)
FAULT(ca_p384, p->certs[INTEL_CA].p384 = true)
FAULT(pck_other_name, p->certs[INTEL_PCK].cn = "Intel SGX TCB Signing")
FAULT(ca_other_name, p->certs[INTEL_CA].cn = "Intel SGX PCK CA")
FAULT(pck_simulated, p->certs[INTEL_PCK].cn = "SIMULATED Intel SGX PCK Certificate")
FAULT(pck_expired, p->certs[INTEL_PCK].not_after = INTEL_NOW - 1)
FAULT(pck_not_yet, p->certs[INTEL_PCK].not_before = INTEL_NOW + 61)
FAULT(ca_expired, p->certs[INTEL_CA].not_after = INTEL_NOW - 1)
FAULT(revoked_pck, p->revoke_pck = true)
FAULT(revoked_ca, p->revoke_ca = true)
FAULT(revoked_signer, p->revoke_signer = true)
FAULT(old_crl, p->crl_next = INTEL_NOW - 1)
FAULT(crl_of_tomorrow, p->crl_this = INTEL_NOW + 61)
FAULT(crl_of_root, p->pck_crl_by_root = true)
FAULT(crl_by_stranger, p->pck_crl_by_stranger = true)
FAULT(signer_other_name, p->certs[INTEL_SIGNER].cn = "Intel SGX PCK Platform CA")
FAULT(signer_by_stranger, p->certs[INTEL_SIGNER].by_stranger = true)
FAULT(signer_expired, p->certs[INTEL_SIGNER].not_after = INTEL_NOW - 1)
FAULT(signer_is_ca, p->certs[INTEL_SIGNER].ca = 1)
FAULT(info_by_stranger, p->info_signed_by_stranger = true)
FAULT(info_expired, p->info_next = INTEL_NOW - 1)
FAULT(info_of_tomorrow, p->info_issued = INTEL_NOW + 61)
FAULT(info_other_fmspc, p->info_fmspc = "00806f050001")
FAULT(info_short_fmspc, p->info_fmspc = "00806f0500")
FAULT(info_other_pce, p->info_pce_id = "0001")
FAULT(info_other_tee, p->info_id = p->tdx ? "SGX" : "TDX")
FAULT(info_version_4, p->info_version = "4")
FAULT(info_type_1, p->info_type = "1")
FAULT(info_twice, p->info_extra = ",\"fmspc\":\"00806f050000\"")
FAULT(info_no_levels, p->levels_len = 0)
FAULT(info_unknown_status, p->levels[0].status = "Splendid")
FAULT(info_relaunch_status, p->levels[0].status = "TDRelaunchAdvised")
FAULT(info_bad_date, p->levels[0].date = "2026-11-01")
FAULT(identity_by_stranger, p->qe_signed_by_stranger_key = true)
FAULT(identity_expired, p->qe_next = INTEL_NOW - 1)
FAULT(identity_of_tomorrow, p->qe_issued = INTEL_NOW + 61)
FAULT(identity_of_other, p->qe_id = p->tdx ? "QE" : "TD_QE")
FAULT(identity_of_qve, p->qe_id = "QVE")
FAULT(identity_version, p->qe_version = "3")
FAULT(qe_other_signer, p->qe_mrsigner_byte = 0xdd)
FAULT(qe_other_product, p->qe_prod_id = 7)
FAULT(qe_other_misc, p->qe_misc = 1)
FAULT(qe_debug, p->qe_attributes = 0x13)
FAULT(qe_too_old, p->qe_isv_svn = 5)
FAULT(identity_status, p->qe_levels[0].status = "SWHardeningNeeded")
FAULT(too_low, memset(p->svn, 2, 8))
FAULT(pce_too_low, p->pce_svn = 10)

static const struct fault faults[] = {
    {"another QE vendor", other_vendor, BH_ERR_EVIDENCE_MALFORMED, "header"},
    {"an attestation key of P-384", p384_key, BH_ERR_UNSUPPORTED, "header"},
    {"certification data of an unknown type", cert_type_9, BH_ERR_UNSUPPORTED,
        "certification_data"},
    {"a QE report inside", cert_type_6, BH_ERR_UNSUPPORTED, "certification_data"},
    {"certification data of type 0", cert_type_0, BH_ERR_UNSUPPORTED, "certification_data"},
    {"an encrypted PPID", cert_type_3, BH_ERR_UNSUPPORTED, "certification_data"},
    {"trailing bytes", trailing_byte, BH_ERR_EVIDENCE_MALFORMED, "quote"},
    {"bytes behind the PEM", pem_junk, BH_ERR_EVIDENCE_MALFORMED, "certification_data"},
    {"two certificates", two_certificates, BH_ERR_EVIDENCE_MALFORMED, "certification_data"},
    {"no SGX extension", no_extension, BH_ERR_EVIDENCE_MALFORMED, "pck_certificate"},
    {"an empty SGX extension", empty_extension, BH_ERR_EVIDENCE_MALFORMED, "pck_certificate"},
    {"a byte behind it", extension_trails, BH_ERR_EVIDENCE_MALFORMED, "pck_certificate"},
    {"a QE report about another key", other_key, BH_ERR_NOT_AUTHENTIC, "attestation_key"},
    {"bytes behind the digest", report_data_tail, BH_ERR_NOT_AUTHENTIC, "attestation_key"},
    {"a QE report by another key", qe_by_stranger, BH_ERR_NOT_AUTHENTIC, "qe_report"},
    {"a quote by another key", quote_by_stranger, BH_ERR_NOT_AUTHENTIC, "signature"},
    {"a PCK certificate by another key", pck_by_stranger, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a CA by another key", ca_by_stranger, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a PCK certificate that is a CA", pck_is_ca, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a CA that is none", ca_is_none, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a CA without keyCertSign", ca_cannot_sign, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a PCK without digitalSignature", pck_cannot_sign, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a PCK without key usage", pck_without_usage, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a path longer than the root allows", root_path_len, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a CA of P-384", ca_p384, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a TCB signer as PCK", pck_other_name, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a CA of another name", ca_other_name, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a simulated name under a genuine root", pck_simulated, BH_ERR_NOT_AUTHENTIC, "chain"},
    {"a PCK certificate that ended", pck_expired, BH_ERR_NOT_AUTHENTIC, "validity"},
    {"one of tomorrow", pck_not_yet, BH_ERR_NOT_AUTHENTIC, "validity"},
    {"a CA that ended", ca_expired, BH_ERR_NOT_AUTHENTIC, "validity"},
    {"a revoked PCK certificate", revoked_pck, BH_ERR_NOT_AUTHENTIC, "pck_crl"},
    {"a revoked CA", revoked_ca, BH_ERR_NOT_AUTHENTIC, "root_crl"},
    {"a revoked TCB signer", revoked_signer, BH_ERR_NOT_AUTHENTIC, "root_crl"},
    {"an old list", old_crl, BH_ERR_COLLATERAL_EXPIRED, "pck_crl"},
    {"a list of tomorrow", crl_of_tomorrow, BH_ERR_COLLATERAL_EXPIRED, "pck_crl"},
    {"the root's list as the CA's", crl_of_root, BH_ERR_NOT_AUTHENTIC, "pck_crl"},
    {"a list by another key", crl_by_stranger, BH_ERR_NOT_AUTHENTIC, "pck_crl"},
    {"a signer of another name", signer_other_name, BH_ERR_NOT_AUTHENTIC, "tcb_signing_chain"},
    {"a signer by another key", signer_by_stranger, BH_ERR_NOT_AUTHENTIC, "tcb_signing_chain"},
    {"a signer that ended", signer_expired, BH_ERR_COLLATERAL_EXPIRED, "tcb_signing_chain"},
    {"a signer that is a CA", signer_is_ca, BH_ERR_NOT_AUTHENTIC, "tcb_signing_chain"},
    {"TCB info by another key", info_by_stranger, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"old TCB info", info_expired, BH_ERR_COLLATERAL_EXPIRED, "tcb_info"},
    {"TCB info of tomorrow", info_of_tomorrow, BH_ERR_COLLATERAL_EXPIRED, "tcb_info"},
    {"another FMSPC", info_other_fmspc, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"a short FMSPC", info_short_fmspc, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"another PCE", info_other_pce, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"TCB info of the other TEE", info_other_tee, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"TCB info of version 4", info_version_4, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"an unknown tcbType", info_type_1, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"a member twice", info_twice, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"no levels", info_no_levels, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"an unknown status", info_unknown_status, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"a status that is concluded only", info_relaunch_status, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"a date without time", info_bad_date, BH_ERR_NOT_AUTHENTIC, "tcb_info"},
    {"an identity by another key", identity_by_stranger, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"an old identity", identity_expired, BH_ERR_COLLATERAL_EXPIRED, "qe_identity"},
    {"an identity of tomorrow", identity_of_tomorrow, BH_ERR_COLLATERAL_EXPIRED, "qe_identity"},
    {"the other TEE's QE", identity_of_other, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"the identity of a QVE", identity_of_qve, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"an identity of version 3", identity_version, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a QE of another signer", qe_other_signer, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a QE of another product", qe_other_product, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a QE of another MISCSELECT", qe_other_misc, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a QE in debug mode", qe_debug, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a QE older than all levels", qe_too_old, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a status that a QE cannot have", identity_status, BH_ERR_NOT_AUTHENTIC, "qe_identity"},
    {"a platform below all levels", too_low, BH_ERR_NOT_AUTHENTIC, "tcb_level"},
    {"a PCE below all levels", pce_too_low, BH_ERR_NOT_AUTHENTIC, "tcb_level"},
};

static void
try_fault(const struct fault *fault, bool tdx)
{
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;
    char check[BH_CHECK_MAX];

    intel_forge_init(&f, tdx);
    fault->make(&f.plan);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    (void)snprintf(check, sizeof(check), "%s.%s", tdx ? "intel-tdx" : "intel-sgx", fault->check);
    intel_must_refuse(&p, &trust, fault->err, check, fault->what);
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

Test(intel_forged, one_fault_each, .timeout = 120)
{
    for (size_t i = 0; i < BH_COUNT(faults); i++) {
        try_fault(&faults[i], false);
        try_fault(&faults[i], true);
    }
}

Test(intel_forged, header)
{
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, false);
    other_tee(&f.plan);
    f.plan.version = 4;
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.header", "TEE type");
    intel_bytes(&p, "quote")[0] = 6;
    intel_must_refuse(&p, &trust, BH_ERR_UNSUPPORTED, "intel-sgx.header", "version 6");
    intel_bytes(&p, "quote")[0] = 2;
    intel_must_refuse(&p, &trust, BH_ERR_UNSUPPORTED, "intel-sgx.header", "version 2");
    intel_put(&p, "quote", bh_span("", 0));
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.header", "empty");
    intel_drop(&p, "quote");
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.collection", "no quote");
    intel_pieces_clear(&p);
    /* Version 3 has no TEE type: the four bytes are reserved, and zero. */
    f.plan.version = 3;
    intel_forge_make(&f, &p);
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.header", "reserved");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

Test(intel_forged, body_of_version_5)
{
    static const struct {
        bool tdx;
        unsigned type;
    } wrong[] = {{false, 2}, {false, 3}, {true, 1}, {true, 0}};

    for (size_t i = 0; i < BH_COUNT(wrong); i++) {
        struct intel_forge f;
        struct intel_pieces p;
        struct ev_trust trust;

        intel_forge_init(&f, wrong[i].tdx);
        f.plan.version = 5;
        f.plan.body_type = wrong[i].type;
        intel_forge_make(&f, &p);
        intel_forge_trust(&f, &trust, false);
        intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED,
            wrong[i].tdx ? "intel-tdx.body" : "intel-sgx.body", "type");
        intel_put(&p, "quote", bh_span(intel_get(&p, "quote").ptr, 50));
        intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED,
            wrong[i].tdx ? "intel-tdx.body" : "intel-sgx.body", "cut");
        intel_pieces_clear(&p);
        intel_forge_clear(&f);
    }
}

Test(intel_forged, signature_data)
{
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, true);
    f.plan.outer_type = 5;
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    intel_must_refuse(
        &p, &trust, BH_ERR_UNSUPPORTED, "intel-tdx.certification_data", "outer type 5");
    intel_pieces_clear(&p);
    f.plan.outer_type = 6;
    intel_forge_make(&f, &p);
    intel_bytes(&p, "quote")[632] ^= 1; /* the signature data's length */
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED,
        intel_get(&p, "quote").ptr[632] % 2 != 0 ? "intel-tdx.signature_data" : "intel-tdx.quote",
        "one byte more, or less");
    intel_bytes(&p, "quote")[632] ^= 1;
    intel_bytes(&p, "quote")[636 + 130] ^= 1; /* of the certification data */
    intel_must_refuse(
        &p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-tdx.signature_data", "inner length");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

/* ---- the collection ---- */

Test(intel_forged, collection)
{
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, false);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    intel_put(&p, "surprise", bh_span("x", 1));
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.collection", "label");
    intel_drop(&p, "surprise");
    intel_put(&p, "event_log", bh_span("x", 1));
    intel_must_refuse(
        &p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.event_log", "of an enclave");
    intel_drop(&p, "event_log");
    intel_put(&p, "pck_crl_chain", bh_span("", 0));
    intel_must_refuse(&p, &trust, BH_ERR_EVIDENCE_MALFORMED, "intel-sgx.pck_crl_chain", "empty");
    intel_put(&p, "pck_crl_chain", intel_get(&p, "tcb_signing_chain"));
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-sgx.pck_crl_chain", "another CA");
    intel_put(&p, "pck_crl_chain", bh_span_str("junk"));
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-sgx.pck_crl_chain", "no PEM");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

Test(intel_forged, missing_collateral)
{
    static const char *const needed[] = {"tcb_info", "qe_identity", "tcb_signing_chain"};

    for (size_t i = 0; i < BH_COUNT(needed); i++)
        for (int tdx = 0; tdx < 2; tdx++) {
            struct ev_report report = {0};
            struct intel_forge f;
            struct intel_pieces p;
            struct ev_trust trust;

            intel_forge_init(&f, tdx == 1);
            intel_forge_make(&f, &p);
            intel_forge_trust(&f, &trust, false);
            intel_drop(&p, needed[i]);
            cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_ERR_COLLATERAL_MISSING);
            cr_expect(strstr(report.diag.check, needed[i]) != NULL, "%s", report.diag.check);
            cr_expect(
                strstr(report.diag.hint, tdx == 1 ? "intel.com/tdx/certification/v4/"
                                                  : "intel.com/sgx/certification/v4/") != NULL,
                "%s", report.diag.hint);
            intel_pieces_clear(&p);
            intel_forge_clear(&f);
        }
}

static enum bh_err
broken_store(void *arg, const char *kind, struct bh_span key, struct bh_span *ret_bytes,
    struct bh_diag *diag)
{
    (void)kind;
    (void)key;
    *ret_bytes = bh_span_none();
    return arg != NULL ? BH_OK : bh_fail(diag, BH_ERR_IO, "the store is gone");
}

Test(intel_forged, store_that_fails)
{
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, false);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    intel_drop(&p, "tcb_info");
    trust.collateral = broken_store;
    intel_must_refuse(&p, &trust, BH_ERR_IO, "intel-sgx.tcb_info", "an error of the store");
    trust.collateral_arg = &trust;
    intel_must_refuse(&p, &trust, BH_ERR_TOO_LARGE, "intel-sgx.tcb_info", "nothing as something");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

/* ---- the bytes of documents ---- */

Test(intel_forged, bodies_of_documents)
{
    static const struct {
        const char *form; /* of the inner object, then the signature in hex */
        bool good;
    } forms[] = {
        {"{\"tcbInfo\":%s,\"signature\":\"%s\"}", true},
        {" {\n\"tcbInfo\" : %s ,\t\"signature\" : \"%s\" } \n", true},
        {"{\"tcbInfo\":%s,\"signature\":\"%s\"}x", false},
        {"{\"tcbInfo\":%s,\"signature\":\"%s\",\"more\":1}", false},
        {"{\"tcbInfo\":%s,\"signature\":\"%s00\"}", false},
        {"{\"tcbInfo\":%s,\"tcbinfo\":\"%s\"}", false},
        {"{\"tcbInf\\u006f\":%s,\"signature\":\"%s\"}", false},
        {"[\"tcbInfo\",%s,\"signature\",\"%s\"]", false},
        {"{\"tcbInfo\":{},\"tcbInfo\":%s,\"signature\":\"%s\"}", false},
        {"{\"tcbInfo\":{\"tcbInfo\":%s},\"signature\":\"%s\"}", false},
    };
    static char text[40 * 1024], inner[32 * 1024], hex[200];
    struct ev_report report = {0};
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, true);
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, false);
    const struct bh_span all = intel_get(&p, "tcb_info");
    /* {"tcbInfo":INNER,"signature":"128 digits"} */
    memcpy(inner, all.ptr + 11, all.len - 11 - 15 - 128 - 1);
    memcpy(hex, all.ptr + all.len - 130, 128);
    cr_assert_eq(inner[strlen(inner) - 1], '}');
    for (size_t i = 0; i < BH_COUNT(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof(text), forms[i].form, inner, hex);
#pragma GCC diagnostic pop
        intel_put(&p, "tcb_info", bh_span_str(text));
        if (forms[i].good)
            cr_expect_eq(
                intel_judge(&p, &trust, &report, NULL), BH_OK, "%zu: %s", i, report.diag.detail);
        else
            intel_must_refuse(
                &p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_info", forms[i].form);
    }
    /* The same values with two members exchanged are not the bytes that were signed. */
    char *version = strstr(inner, "\"version\":3,");
    cr_assert(version != NULL && version == inner + 12);
    memcpy(inner, "{\"version\":3,\"id\":\"TDX\",", 24);
    (void)snprintf(text, sizeof(text), "{\"tcbInfo\":%s,\"signature\":\"%s\"}", inner, hex);
    intel_put(&p, "tcb_info", bh_span_str(text));
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_info", "reordered");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

/* ---- anchors ---- */

Test(intel_forged, anchors)
{
    struct ev_report report = {0};
    struct intel_forge f, other;
    struct intel_pieces p, q;
    struct ev_trust trust;

    intel_forge_init(&f, true);
    intel_forge_make(&f, &p);
    intel_forge_init(&other, true);
    intel_forge_make(&other, &q);
    intel_forge_trust(&other, &trust, false);
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.chain", "another root");
    intel_forge_trust(&f, &trust, false);
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "aws-nitro");
    intel_must_refuse(&p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.chain", "a root of Nitro");
    (void)snprintf(trust.anchors[0].platform, sizeof(trust.anchors[0].platform), "intel-sgx");
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK);
    /* Collateral of another root, though that one is pinned too. */
    trust.anchors[1] = (struct ev_anchor){.cert = other.certs[INTEL_ROOT]};
    trust.anchors_len = 2;
    intel_put(&p, "tcb_signing_chain", intel_get(&q, "tcb_signing_chain"));
    intel_put(&p, "tcb_info", intel_get(&q, "tcb_info"));
    intel_put(&p, "qe_identity", intel_get(&q, "qe_identity"));
    intel_must_refuse(
        &p, &trust, BH_ERR_NOT_AUTHENTIC, "intel-tdx.tcb_signing_chain", "another root's");
    intel_pieces_clear(&p);
    intel_pieces_clear(&q);
    intel_forge_clear(&f);
    intel_forge_clear(&other);
}

Test(intel_forged, simulated)
{
    struct ev_report report = {0};
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, true);
    f.plan.certs[INTEL_ROOT].cn = "SIMULATED Intel SGX Root CA";
    f.plan.certs[INTEL_CA].cn = "SIMULATED Intel SGX PCK Platform CA";
    f.plan.certs[INTEL_PCK].cn = "SIMULATED Intel SGX PCK Certificate";
    f.plan.certs[INTEL_SIGNER].cn = "SIMULATED Intel SGX TCB Signing";
    intel_forge_make(&f, &p);
    intel_forge_trust(&f, &trust, true);
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", report.diag.detail);
    trust.allow_simulated = false;
    intel_must_refuse(&p, &trust, BH_ERR_SIMULATED, "simulated", "simulated anchor");
    /* An anchor that is taken as given, and says itself what it is. */
    trust.anchors[0].simulated = false;
    cr_expect_eq(intel_judge(&p, &trust, &report, NULL), BH_OK, "%s", report.diag.detail);
    trust.anchors_len = 0;
    intel_must_refuse(&p, &trust, BH_ERR_SIMULATED, "simulated", "no anchor");
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

/* ---- binding ---- */

Test(intel_forged, binding)
{
    struct ev_report report = {0};
    struct ev_evidence *ev = NULL;
    uint8_t binding[BH_BINDING_LEN];
    struct intel_forge f;
    struct intel_pieces p;

    for (int tdx = 0; tdx < 2; tdx++) {
        intel_forge_init(&f, tdx == 1);
        intel_forge_make(&f, &p);
        ev_report_init(&report, false);
        cr_assert_eq(ev_decode(&p.cmw, &report, &ev), BH_OK, "%s", report.diag.detail);
        memset(binding, 0xbd, sizeof(binding));
        cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_OK);
        for (size_t i = 0; i < sizeof(binding); i++) {
            binding[i] ^= 1;
            ev_report_init(&report, false);
            cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING);
            cr_expect_str_eq(
                report.diag.check, tdx == 1 ? "intel-tdx.binding" : "intel-sgx.binding");
            binding[i] ^= 1;
        }
        ev_evidence_free(ev);
        intel_pieces_clear(&p);
        intel_forge_clear(&f);
    }
}

/* The result ends with what it rests on, whichever ends first. */
Test(intel_forged, not_after)
{
    static const char entry[] =
        "{\"platform\":\"intel-sgx\",\"mrenclave\":["
        "\"e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"
        "e1e1e1e1e1e1e1e1e1\"],\"owner\":\"any\",\"tcb_status\":[\"UpToDate\"]}";
    struct ev_report report = {0};
    struct ev_verdict verdict;
    struct intel_forge f;
    struct intel_pieces p;
    struct ev_trust trust;

    intel_forge_init(&f, false);
    for (int i = 0; i < 6; i++) {
        int64_t *const ends[] = {&f.plan.crl_next, &f.plan.qe_next, &f.plan.info_next,
            &f.plan.certs[INTEL_SIGNER].not_after, &f.plan.certs[INTEL_CA].not_after,
            &f.plan.certs[INTEL_PCK].not_after};

        *ends[i] = INTEL_NOW + 1000 - i;
        intel_forge_make(&f, &p);
        intel_forge_trust(&f, &trust, false);
        cr_assert_eq(
            intel_appraise(&p, &trust, entry, &report, &verdict), BH_OK, "%s", report.diag.detail);
        cr_expect_eq(verdict.not_after, INTEL_NOW + 1000 - i, "%d", i);
        intel_pieces_clear(&p);
    }
    intel_forge_clear(&f);
}
