/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA GPUs: reports and chains made to be wrong in one way, under a root of the test's own;
 * binding, collections, and that a GPU alone is never appraised.
 */
#include "nitro_forge.h"
#include "nvidia_judge.h"

#include "evidence/nvidia_gpu.h"
#include "evidence/policy.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define HOPPER "2.23.133.5.4.1"
#define BLACKWELL "2.23.133.5.4.1.1"
#define BLOCKS 3
#define ALG_EC "301006072a8648ce3d020106052b81040022"
#define SHA384_OID "0609608648016503040202"
#define X8(s) s s s s s s s s
#define FWID_HEX X8("a1a2a3a4a5a6")
#define FWID "303d" SHA384_OID "0430" FWID_HEX
/* CompositeDeviceID; TcbInfo with svn and fwids */
#define HOPPER_EXT "DER:3054020101" ALG_EC FWID
#define BLACKWELL_EXT "DER:3044830101a63f" FWID

/* How one report is made; plan() fills in what is right. */
struct plan {
    uint8_t request[37];
    uint8_t head[4], count;
    uint8_t index[BLOCKS];
    uint8_t specification, type;
    uint16_t size, value_size, digest_len;
    size_t record_trailing;
    uint8_t fields[512];
    size_t fields_len;
    int opaque_more; /* added to the length that is said */
    size_t trailing; /* bytes behind the signature */
    size_t cut;      /* bytes off the end */
    bool changed;    /* after it was signed */
    bool zero_r;
};

static void
put_field(struct plan *p, uint16_t type, struct bh_span value)
{
    uint8_t *at = p->fields + p->fields_len;

    cr_assert_leq(p->fields_len + 4 + value.len, sizeof(p->fields));
    at[0] = (uint8_t)type;
    at[1] = (uint8_t)(type >> 8);
    at[2] = (uint8_t)value.len;
    at[3] = (uint8_t)(value.len >> 8);
    memcpy(at + 4, value.ptr, value.len);
    p->fields_len += 4 + value.len;
}

static void
plan(struct plan *p)
{
    uint8_t fwid[48];
    size_t len;

    *p = (struct plan){.request = {0x11, 0xe0, 0x01, 0xff},
        .head = {0x11, 0x60, 0, 0},
        .count = BLOCKS,
        .index = {1, 2, 3},
        .specification = 1,
        .type = 1,
        .size = 51,
        .value_size = 48,
        .digest_len = 48};
    memset(p->request + 4, 0x77, 32);
    cr_assert_eq(bh_unhex(bh_span_str(FWID_HEX), fwid, sizeof(fwid), &len), BH_OK);
    cr_assert_eq(len, 48);
    put_field(p, 3, bh_span("570.1", 6));
    put_field(p, 11, bh_span("\xaa", 1));
    put_field(p, 20, bh_span(fwid, 48));
}

static void
put16(uint8_t **at, size_t value)
{
    *(*at)++ = (uint8_t)value;
    *(*at)++ = (uint8_t)(value >> 8);
}

static size_t
put_record(const struct plan *p, uint8_t *out)
{
    uint8_t *at = out;

    for (size_t i = 0; i < BLOCKS; i++) {
        *at++ = p->index[i];
        *at++ = p->specification;
        put16(&at, p->size);
        *at++ = p->type;
        put16(&at, p->value_size);
        memset(at, 0x30 + (int)i, p->digest_len);
        at += p->digest_len;
    }
    memset(at, 0, p->record_trailing);
    return (size_t)(at - out) + p->record_trailing;
}

static void
sign(EVP_PKEY *key, struct bh_span said, uint8_t out[96])
{
    struct bh_ecdsa_signer *signer = NULL;
    uint8_t der[BH_ECDSA_DER_MAX];
    size_t len;

    cr_assert_eq(bh_ecdsa_signer_new(key, &signer, NULL), BH_OK);
    cr_assert_eq(bh_ecdsa_signer_sign(signer, said, bh_span_none(), der, &len, NULL), BH_OK);
    cr_assert_eq(bh_ecdsa_to_raw(bh_span(der, len), 48, out), BH_OK);
    bh_ecdsa_signer_free(signer);
}

static size_t
forge(const struct plan *p, EVP_PKEY *key, uint8_t out[2048])
{
    uint8_t *at = out + sizeof(p->request);

    memset(out, 0, 2048);
    memcpy(out, p->request, sizeof(p->request));
    memcpy(at, p->head, sizeof(p->head));
    at += sizeof(p->head);
    *at++ = p->count;
    const size_t record = put_record(p, at + 3);
    put16(&at, record);
    *at++ = 0;
    at += record;
    memset(at, 0x99, 32);
    at += 32;
    put16(&at, (size_t)((int)p->fields_len + p->opaque_more));
    memcpy(at, p->fields, p->fields_len);
    at += p->fields_len;
    sign(key, bh_span(out, (size_t)(at - out)), at);
    if (p->zero_r)
        memset(at, 0, 48);
    if (p->changed)
        out[60] ^= 1;
    return (size_t)(at - out) + 96 + p->trailing - p->cut;
}

/* ---- chains ---- */

static void
plan_chain(struct forge_cert_plan certs[FORGE_CERTS])
{
    forge_plan(certs, "Test GPU root");
    certs[FORGE_LEAF].cn = "GX100 FMC";
    certs[FORGE_LEAF].extra = HOPPER;
    certs[FORGE_LEAF].extra_value = HOPPER_EXT;
}

struct made {
    struct forge_chain chain;
    uint8_t der[FORGE_CERTS * 1024];
    uint8_t report[2048];
    struct nvidia_parts parts;
    struct ev_trust trust;
};

/* The device's certificate first, as a driver returns them. */
static void
make(struct made *m, const struct forge_cert_plan certs[FORGE_CERTS], const struct plan *p)
{
    size_t len = 0;

    forge_chain_make(&m->chain, certs);
    for (size_t i = FORGE_CERTS; i-- > 0;) {
        memcpy(m->der + len, m->chain.der[i], m->chain.der_len[i]);
        len += m->chain.der_len[i];
    }
    m->parts.cert_chain = bh_span(m->der, len);
    m->parts.report = bh_span(m->report, forge(p, m->chain.keys[FORGE_LEAF], m->report));
    forge_trust(&m->trust, &m->chain, false);
    (void)snprintf(
        m->trust.anchors[0].platform, sizeof(m->trust.anchors[0].platform), "nvidia-gpu");
}

static void
clear(struct made *m)
{
    forge_chain_clear(&m->chain);
}

static struct made made;

static void
make_right(void)
{
    struct forge_cert_plan certs[FORGE_CERTS];
    struct plan p;

    plan(&p);
    plan_chain(certs);
    make(&made, certs, &p);
}

static void
report_refused(const struct plan *p, enum bh_err err, const char *check, const char *what)
{
    const size_t len = forge(p, made.chain.keys[FORGE_LEAF], made.report);

    made.parts.report = bh_span(made.report, len);
    nvidia_must_refuse(&made.parts, &made.trust, err, check, what);
}

/* ---- reports ---- */

Test(nvidia_forged, right_ones)
{
    struct forge_cert_plan certs[FORGE_CERTS];
    struct plan p;

    make_right();
    nvidia_must_hold(&made.parts, &made.trust, "right");
    clear(&made);
    plan(&p);
    plan_chain(certs);
    certs[FORGE_LEAF].extra = BLACKWELL;
    certs[FORGE_LEAF].extra_value = BLACKWELL_EXT;
    make(&made, certs, &p);
    nvidia_must_hold(&made.parts, &made.trust, "Blackwell");
    /* Indices may leave gaps, and firmware may say no digest. */
    p.index[1] = 7;
    p.index[2] = 255;
    p.fields_len = 0;
    made.parts.report = bh_span(made.report, forge(&p, made.chain.keys[FORGE_LEAF], made.report));
    nvidia_must_hold(&made.parts, &made.trust, "gaps");
    clear(&made);
}

Test(nvidia_forged, request_and_response)
{
    static const struct {
        size_t at;
        uint8_t value;
        bool response;
    } rows[] = {{0, 0x10, false}, {0, 0x12, false}, {1, 0xe1, false}, {2, 0x00, false},
        {2, 0x03, false}, {3, 0x01, false}, {3, 0x00, false}, {36, 8, false}, {0, 0x12, true},
        {1, 0x61, true}, {2, 1, true}, {3, 1, true}, {3, 0x10, true}};

    make_right();
    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct plan p;
        char what[64];

        plan(&p);
        (rows[i].response ? p.head : p.request)[rows[i].at] = rows[i].value;
        (void)snprintf(what, sizeof(what), "row %zu", i);
        report_refused(&p, BH_ERR_EVIDENCE_MALFORMED,
            rows[i].response ? "nvidia-gpu.response" : "nvidia-gpu.request", what);
    }
    /* A slot that both name is one of eight. */
    struct plan p;
    plan(&p);
    p.request[36] = p.head[3] = 7;
    made.parts.report = bh_span(made.report, forge(&p, made.chain.keys[FORGE_LEAF], made.report));
    nvidia_must_hold(&made.parts, &made.trust, "slot 7");
    clear(&made);
}

#define MALFORMED(check, what, ...)                                                                \
    do {                                                                                           \
        struct plan p;                                                                             \
        plan(&p);                                                                                  \
        __VA_ARGS__;                                                                               \
        report_refused(&p, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu." check, what);                  \
    } while (0)

Test(nvidia_forged, measurements)
{
    make_right();
    MALFORMED("measurements", "index 0", p.index[0] = 0);
    MALFORMED("measurements", "an index twice", p.index[2] = 2);
    MALFORMED("measurements", "indices that descend", p.index[1] = 9);
    MALFORMED("measurements", "another specification", p.specification = 2);
    MALFORMED("measurements", "a raw bit stream", p.type = 0x81);
    MALFORMED("measurements", "another size", p.size = 50);
    MALFORMED("measurements", "another size of the value", p.value_size = 47);
    MALFORMED("measurements", "digests of SHA-256", p.size = 35; p.value_size = 32;
              p.digest_len = 32);
    MALFORMED("measurements", "fewer blocks than there are", p.count = 2);
    MALFORMED("measurements", "more blocks than there are", p.count = 4);
    MALFORMED("measurements", "no blocks", p.count = 0);
    MALFORMED("measurements", "bytes behind the blocks", p.record_trailing = 1);
    clear(&made);
}

Test(nvidia_forged, opaque_data)
{
    uint8_t fwid[49] = {0};

    make_right();
    MALFORMED("opaque_data", "a type twice", put_field(&p, 3, bh_span("1", 1)));
    MALFORMED("opaque_data", "a head that is cut off", p.fields_len += 3);
    MALFORMED("opaque_data", "a field that is cut off", put_field(&p, 40, bh_span("12", 2));
              p.fields_len--);
    MALFORMED("opaque_data", "a short FWID", p.fields_len = 0;
              put_field(&p, 20, bh_span(fwid, 47)));
    MALFORMED("opaque_data", "a long FWID", p.fields_len = 0; put_field(&p, 20, bh_span(fwid, 49)));
    MALFORMED("opaque_data", "a status of two bytes", p.fields_len = 0;
              put_field(&p, 11, bh_span(fwid, 2)));
    MALFORMED("opaque_data", "65 fields", p.fields_len = 0;
              for (uint16_t i = 0; i < 65; i++) put_field(&p, (uint16_t)(100 + i), bh_span("", 0)));
    clear(&made);
}

Test(nvidia_forged, lengths)
{
    make_right();
    MALFORMED("report", "a byte behind", p.trailing = 1);
    MALFORMED("report", "a byte too few", p.cut = 1);
    MALFORMED("report", "a longer opaque length", p.opaque_more = 1);
    MALFORMED("report", "a shorter opaque length", p.opaque_more = -1);
    for (size_t len = 0; len < 60; len++) {
        made.parts.report = bh_span(made.report, len);
        nvidia_must_refuse(
            &made.parts, &made.trust, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.report", "truncated");
    }
    clear(&made);
}

Test(nvidia_forged, signature)
{
    EVP_PKEY *stranger = NULL;
    struct plan p;

    make_right();
    plan(&p);
    p.changed = true;
    report_refused(&p, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.signature", "changed");
    plan(&p);
    p.zero_r = true;
    report_refused(&p, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.signature", "r is 0");
    plan(&p);
    cr_assert_eq(bh_key_generate("P-384", &stranger, NULL), BH_OK);
    made.parts.report = bh_span(made.report, forge(&p, stranger, made.report));
    nvidia_must_refuse(
        &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.signature", "a stranger's");
    EVP_PKEY_free(stranger);
    clear(&made);
}

Test(nvidia_forged, fwid)
{
    static const struct {
        const char *oid, *value, *what;
    } rows[] = {
        {HOPPER, "DER:3054020101" ALG_EC "303d" SHA384_OID "0430" X8("a1a2a3a4a5a7"), "another"},
        {BLACKWELL, "DER:3044830101a63f303d" SHA384_OID "0430" X8("a1a2a3a4a5a7"), "another"},
        {NULL, NULL, "none"},
        {HOPPER, "DER:3055020101" ALG_EC FWID "00", "bytes behind"},
        {HOPPER,
            "DER:3054020101" ALG_EC "303d0609608648016503040201"
            "0430" FWID_HEX,
            "SHA-256"},
        {HOPPER, "DER:0500", "no sequence"},
        {BLACKWELL, "DER:3003830101", "no fwids"},
        {BLACKWELL, "DER:308182a63f" FWID "a63f" FWID, "fwids twice"},
        {BLACKWELL, "DER:3002a600", "no fwid"},
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct forge_cert_plan certs[FORGE_CERTS];
        struct plan p;

        plan(&p);
        plan_chain(certs);
        certs[FORGE_LEAF].extra = rows[i].oid;
        certs[FORGE_LEAF].extra_value = rows[i].value;
        make(&made, certs, &p);
        nvidia_must_refuse(
            &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.fwid", rows[i].what);
        clear(&made);
    }
}

/* ---- chains ---- */

static void
chain_refused(const struct forge_cert_plan certs[FORGE_CERTS], enum bh_err err, const char *check,
    const char *what)
{
    struct plan p;

    plan(&p);
    make(&made, certs, &p);
    nvidia_must_refuse(&made.parts, &made.trust, err, check, what);
    clear(&made);
}

#define BROKEN(check, what, ...)                                                                   \
    do {                                                                                           \
        struct forge_cert_plan certs[FORGE_CERTS];                                                 \
        plan_chain(certs);                                                                         \
        __VA_ARGS__;                                                                               \
        chain_refused(certs, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu." check, what);                     \
    } while (0)

Test(nvidia_forged, chain)
{
    BROKEN(
        "chain", "a leaf that a stranger signed", certs[FORGE_LEAF].self_issued_by_stranger = true);
    BROKEN("chain", "a CA that a stranger signed", certs[2].self_issued_by_stranger = true);
    BROKEN("chain", "another issuer", certs[FORGE_LEAF].issuer_cn = "Other");
    BROKEN("chain", "no CA", certs[2].ca = 0; certs[2].path_len = -1);
    BROKEN("chain", "a leaf that is a CA", certs[FORGE_LEAF].ca = 1);
    BROKEN("chain", "a CA that may not sign certificates", certs[3].usage = "critical,cRLSign");
    BROKEN("chain", "a leaf that may not sign", certs[FORGE_LEAF].usage = "critical,keyAgreement");
    BROKEN("chain", "a leaf without key usage", certs[FORGE_LEAF].usage = NULL);
    BROKEN("chain", "a path that is too long", certs[1].path_len = 1);
    BROKEN("chain", "a CA of P-256", certs[2].curve = "P-256");
    BROKEN("validity", "a leaf that ended", certs[FORGE_LEAF].not_after = FORGE_NOW - 1);
    BROKEN("validity", "a CA that ended", certs[1].not_after = FORGE_NOW - 1);
    BROKEN("validity", "a leaf of tomorrow", certs[FORGE_LEAF].not_before = FORGE_NOW + 86400;
           certs[FORGE_LEAF].not_after = FORGE_NOW + 2 * 86400);
}

Test(nvidia_forged, anchors)
{
    make_right();
    /* Of another platform, or pretended. */
    (void)snprintf(
        made.trust.anchors[0].platform, sizeof(made.trust.anchors[0].platform), "aws-nitro");
    nvidia_must_refuse(
        &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.chain", "another platform's");
    made.trust.anchors[0].platform[0] = '\0';
    nvidia_must_hold(&made.parts, &made.trust, "any platform's");
    made.trust.anchors[0].simulated = true;
    nvidia_must_refuse(&made.parts, &made.trust, BH_ERR_SIMULATED, "simulated", "simulated");
    made.trust.allow_simulated = true;
    nvidia_must_hold(&made.parts, &made.trust, "simulated, allowed");
    clear(&made);
    /* The right names under a root that nobody pinned. */
    make_right();
    ev_trust_clear(&made.trust);
    made.trust.anchors_len = 0;
    cr_assert_eq(ev_trust_add_vendor_roots(&made.trust, NULL), BH_OK);
    nvidia_must_refuse(
        &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.chain", "not pinned");
    ev_trust_clear(&made.trust);
    clear(&made);
}

Test(nvidia_forged, remembered_paths)
{
    uint8_t *last;

    make_right();
    made.trust.cache = ev_chain_cache_new(8);
    nvidia_must_hold(&made.parts, &made.trust, "first");
    nvidia_must_hold(&made.parts, &made.trust, "second");
    /* The leaf's own signature is verified each time. */
    last = made.der + made.chain.der_len[FORGE_LEAF] - 1;
    *last ^= 1;
    nvidia_must_refuse(
        &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.chain", "changed leaf");
    *last ^= 1;
    made.der[made.chain.der_len[FORGE_LEAF] + made.chain.der_len[3] - 1] ^= 1;
    nvidia_must_refuse(
        &made.parts, &made.trust, BH_ERR_NOT_AUTHENTIC, "nvidia-gpu.chain", "changed CA");
    ev_chain_cache_free(made.trust.cache);
    clear(&made);
}

/* ---- collections ---- */

static void
collection_refused(const struct bh_cmw *cmw, enum bh_err err, const char *check)
{
    static struct ev_report report;
    struct ev_evidence *ev = NULL;

    ev_report_init(&report, false);
    cr_assert_eq(ev_decode(cmw, &report, &ev), err, "%s", report.diag.detail);
    cr_assert_null(ev);
    cr_assert_str_eq(report.diag.check, check);
    cr_assert_str_neq(report.diag.hint, "");
}

Test(nvidia_forged, collections)
{
    struct nvidia_parts parts;
    struct bh_cmw cmw;
    uint8_t six[2 * sizeof(made.der)];
    size_t len;

    make_right();
    nvidia_cmw(&made.parts, &cmw);
    nvidia_add(&cmw, "vcek", bh_span("x", 1));
    collection_refused(&cmw, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.collection");
    nvidia_cmw(&made.parts, &cmw);
    nvidia_add(&cmw, "ocsp", bh_span("x", 1));
    collection_refused(&cmw, BH_ERR_UNSUPPORTED, "nvidia-gpu.ocsp");
    parts = (struct nvidia_parts){.cert_chain = made.parts.cert_chain};
    nvidia_cmw(&parts, &cmw);
    collection_refused(&cmw, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.report");
    parts = (struct nvidia_parts){.report = made.parts.report};
    nvidia_must_refuse(
        &parts, &made.trust, BH_ERR_COLLATERAL_MISSING, "nvidia-gpu.cert_chain", "no chain");
    const struct bh_span chains[] = {bh_span("", 0), bh_span("x", 1),
        bh_span(made.der, made.parts.cert_chain.len - 1),
        bh_span(made.der, made.parts.cert_chain.len - made.chain.der_len[0]),
        bh_span(made.der + made.chain.der_len[FORGE_LEAF],
            made.parts.cert_chain.len - made.chain.der_len[FORGE_LEAF])};
    for (size_t i = 0; i < BH_COUNT(chains); i++) {
        parts = (struct nvidia_parts){made.parts.report, chains[i]};
        nvidia_must_refuse(&parts, &made.trust, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.cert_chain",
            "chain of another length");
    }
    len = made.parts.cert_chain.len;
    memcpy(six, made.der, len);
    memcpy(six + len, made.chain.der[0], made.chain.der_len[0]);
    parts.cert_chain = bh_span(six, len + made.chain.der_len[0]);
    nvidia_must_refuse(
        &parts, &made.trust, BH_ERR_EVIDENCE_MALFORMED, "nvidia-gpu.cert_chain", "six");
    clear(&made);
}

/* ---- binding and appraisal ---- */

static void
nonce_of(const uint8_t binding[BH_BINDING_LEN], uint8_t out[32])
{
    uint8_t input[17 + BH_BINDING_LEN] = "beachhead.gpu.v1";

    memcpy(input + 17, binding, BH_BINDING_LEN);
    cr_assert_eq(bh_sha2(256, bh_span(input, sizeof(input)), out), BH_OK);
}

Test(nvidia_forged, binding)
{
    static struct ev_report report;
    uint8_t binding[BH_BINDING_LEN];
    struct ev_evidence *ev = NULL;
    struct forge_cert_plan certs[FORGE_CERTS];
    struct plan p;

    for (size_t i = 0; i < sizeof(binding); i++)
        binding[i] = (uint8_t)(i * 3 + 1);
    plan(&p);
    plan_chain(certs);
    nonce_of(binding, p.request + 4);
    make(&made, certs, &p);
    ev_report_init(&report, true);
    cr_assert_eq(nvidia_judge(&made.parts, &made.trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_OK);
    cr_expect_not_null(nvidia_check(&report, "nvidia-gpu.binding"));
    for (size_t i = 0; i < sizeof(binding); i++) {
        binding[i] ^= 1;
        ev_report_init(&report, false);
        cr_expect_eq(ev_bind(ev, binding, bh_span_none(), &report), BH_ERR_BINDING, "byte %zu", i);
        cr_expect_str_eq(report.diag.check, "nvidia-gpu.binding");
        binding[i] ^= 1;
    }
    ev_evidence_free(ev);
    clear(&made);
}

Test(nvidia_forged, never_appraised_alone)
{
    static const char text[] =
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"psa\",\"implementation_id\":["
        "\"" X8("11223344") "\"],\"software\":[{\"measurement\":[\"" X8(
            "11223344") "\"]}],\"lifecycle\":[\"secured\"],\"key_class\":[\"silicon\"],"
                        "\"owner\":\"any\"}]}";
    static struct ev_report report;
    struct ev_policy *policy = NULL;
    struct ev_verdict verdict = {0};
    struct ev_evidence *ev = NULL;
    struct bh_diag diag = {0};

    make_right();
    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s: %s", diag.check,
        diag.detail);
    ev_report_init(&report, false);
    cr_assert_eq(nvidia_judge(&made.parts, &made.trust, &report, &ev), BH_OK);
    cr_expect_eq(ev_appraise(ev, policy, bh_span_none(), &report, &verdict), BH_ERR_UNSUPPORTED);
    cr_expect_str_eq(report.diag.check, "nvidia-gpu.alone");
    cr_expect(strstr(report.diag.hint, "beside a CPU's evidence only") != NULL);
    cr_expect_eq(verdict.submod.platform[0], '\0');
    ev_evidence_free(ev);
    ev_policy_free(policy);
    clear(&made);
}
