/* SPDX-License-Identifier: Apache-2.0 */
/* Files of collateral: what each is by its content, who signed it, and a set that answers lookups.
 */
#include "intel_forge.h"
#include "snp_forge.h"

#include "evidence/collateral.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/mutate.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define CERTS_MAX 64

static struct ev_collateral what;
static struct bh_diag diag;

static void
must_read(struct bh_span bytes, enum ev_collateral_kind kind, const char *name)
{
    bh_diag_clear(&diag);
    cr_assert_eq(
        ev_collateral_read(bytes, &what, &diag), BH_OK, "%s: %s %s", name, diag.detail, diag.found);
    cr_assert_str_eq(ev_collateral_kind_name(what.kind), ev_collateral_kind_name(kind), "%s", name);
    cr_assert_gt(what.keys_len, 0, "%s", name);
    cr_assert_gt(strlen(what.about), 0, "%s", name);
    cr_assert_lt(what.from, what.until, "%s", name);
}

static void
must_not_read(struct bh_span bytes, enum bh_err err, const char *check, const char *name)
{
    bh_diag_clear(&diag);
    cr_assert_eq(ev_collateral_read(bytes, &what, &diag), err, "%s", name);
    cr_assert_str_eq(diag.check, check, "%s", name);
    cr_assert_gt(strlen(diag.hint), 0, "%s", name);
}

/* ---- recorded files ---- */

/* The built-in roots, and the certificates of chains that came with the files. */
struct world {
    struct ev_trust trust;
    X509 *anchors[EV_ANCHORS_MAX];
    size_t others_len;
    X509 *others[CERTS_MAX];
    struct ev_collateral_issuers issuers;
};

static void
world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    cr_assert_eq(ev_trust_add_vendor_roots(&w->trust, NULL), BH_OK);
    for (size_t i = 0; i < w->trust.anchors_len; i++)
        w->anchors[i] = w->trust.anchors[i].cert;
    w->issuers = (struct ev_collateral_issuers){
        .anchors = w->anchors, .anchors_len = w->trust.anchors_len, .others = w->others};
}

static void
world_clear(struct world *w)
{
    for (size_t i = 0; i < w->others_len; i++)
        X509_free(w->others[i]);
    ev_trust_clear(&w->trust);
}

static void
add_chain(struct world *w, const char *file)
{
    size_t len = 0, count = 0;
    uint8_t *pem = bh_vector(file, &len);

    cr_assert_eq(bh_x509_pem(bh_span(pem, len), w->others + w->others_len,
                     CERTS_MAX - w->others_len, &count, NULL),
        BH_OK, "%s", file);
    w->others_len += count;
    w->issuers.others_len = w->others_len;
    free(pem);
}

static enum bh_err
verify(const struct world *w, struct bh_span bytes, int64_t at)
{
    struct ev_collateral_issuers issuers = w->issuers;

    issuers.at = at;
    bh_diag_clear(&diag);
    return ev_collateral_verify(&what, bytes, &issuers, &diag);
}

static void
must_verify(const struct world *w, const char *file, enum ev_collateral_kind kind, const char *key)
{
    uint8_t *bytes, *copy;
    char hex[2 * EV_COLLATERAL_KEY_MAX + 1];
    size_t len = 0;
    int64_t at;

    bytes = bh_vector(file, &len);
    must_read(bh_span(bytes, len), kind, file);
    (void)bh_hex(bh_span(what.keys[0].bytes, what.keys[0].len), hex, sizeof(hex));
    cr_assert_str_eq(hex, key, "%s", file);
    at = what.from + 60;
    cr_assert_eq(
        verify(w, bh_span(bytes, len), at), BH_OK, "%s: %s %s", file, diag.detail, diag.found);
    cr_assert_eq(verify(w, bh_span(bytes, len), what.until + 1), BH_ERR_COLLATERAL_EXPIRED);
    cr_assert_str_eq(diag.check, "collateral.validity");
    cr_assert_eq(verify(w, bh_span(bytes, len), what.from - 1), BH_ERR_COLLATERAL_EXPIRED);
    /* One bit of the signature, which every form has at its end; of text, a digit. */
    copy = malloc(len);
    memcpy(copy, bytes, len);
    copy[kind == EV_COLLATERAL_TCB_INFO || kind == EV_COLLATERAL_QE_IDENTITY ? len - 20
                                                                             : len - 9] ^= 1;
    cr_assert_neq(verify(w, bh_span(copy, len), at), BH_OK, "%s", file);
    free(copy);
    free(bytes);
}

Test(collateral, recorded_files_of_amd)
{
    struct world w;

    if (bh_vectors() == NULL)
        return;
    world_init(&w);
    must_verify(&w, "snp/ca/milan_crl.der", EV_COLLATERAL_AMD_CRL, "4d696c616e2f7663656b");
    cr_assert_eq(what.keys_len, 2);
    cr_assert(bh_span_is(bh_span(what.keys[1].bytes, what.keys[1].len), "Milan/vlek"));
    cr_assert_str_eq(what.file, "crl-milan.der");
    cr_assert_not(what.simulated);
    must_verify(&w, "snp/ca/genoa_crl.der", EV_COLLATERAL_AMD_CRL, "47656e6f612f7663656b");
    world_clear(&w);
}

/* Keys are what a report of the same folder asks for: judged with nothing but the set. */
static void
report_and_set(const char *folder, const char *cert, int64_t at)
{
    struct ev_collateral_set *set = ev_collateral_set_new();
    struct ev_trust trust = {.now = at};
    struct ev_report report;
    char path[128];
    uint8_t *bytes[2], *crl;
    size_t len[2] = {0}, crl_len = 0;
    struct snp_parts parts = {0};

    (void)snprintf(path, sizeof(path), "snp/%s/report.bin", folder);
    bytes[0] = bh_vector(path, &len[0]);
    (void)snprintf(path, sizeof(path), "snp/%s/%s", folder, cert);
    bytes[1] = bh_vector(path, &len[1]);
    crl = bh_vector("snp/ca/milan_crl.der", &crl_len);
    parts.report = bh_span(bytes[0], len[0]);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, "amd-sev-snp"), BH_OK);
    trust.collateral = ev_collateral_set_find;
    trust.collateral_arg = set;
    ev_report_init(&report, true);
    cr_assert_eq(snp_judge(&parts, &trust, &report, NULL), BH_ERR_COLLATERAL_MISSING, "%s", folder);
    cr_assert_eq(ev_collateral_set_add(set, bh_span(bytes[1], len[1]), path, NULL, &diag), BH_OK,
        "%s: %s", path, diag.detail);
    cr_assert_eq(ev_collateral_set_add(set, bh_span(crl, crl_len), NULL, NULL, &diag), BH_OK);
    ev_report_init(&report, true);
    cr_assert_eq(
        snp_judge(&parts, &trust, &report, NULL), BH_OK, "%s: %s", folder, report.diag.detail);
    if (strncmp(folder, "milan", 5) == 0)
        cr_assert_str_eq(snp_check(&report, "amd-sev-snp.revocation")->source, "collateral");
    ev_trust_clear(&trust);
    ev_collateral_set_free(set);
    free(bytes[0]);
    free(bytes[1]);
    free(crl);
}

Test(collateral, recorded_reports_find_theirs)
{
    int64_t at;

    if (bh_vectors() == NULL)
        return;
    cr_assert_eq(bh_time_read("2026-03-01T00:00:00Z", &at), BH_OK);
    report_and_set("milan-v3-vcek-aci", "vcek.der", at);
    report_and_set("genoa-v3-vcek-aci", "vcek.der", at);
    report_and_set("turin-v5-vcek-aci", "vcek.der", at);
    cr_assert_eq(bh_time_read("2025-06-01T00:00:00Z", &at), BH_OK);
    report_and_set("milan-v3-vlek-aws", "vlek.der", at);
    report_and_set("milan-v2-vcek", "vcek.der", at);
}

Test(collateral, recorded_files_of_intel)
{
    static const struct {
        const char *file;
        enum ev_collateral_kind kind;
        const char *key;
    } files[] = {
        {"sgx/v3-processor-00a067110000/tcb_info.json", EV_COLLATERAL_TCB_INFO, "00a06711000000"},
        {"sgx/v3-processor-00906ed50000-debug/tcb_info.json", EV_COLLATERAL_TCB_INFO,
            "00906ed5000000"},
        {"tdx/v4-20a06f000000/tcb_info.json", EV_COLLATERAL_TCB_INFO, "20a06f00000081"},
        {"sgx/v3-processor-00a067110000/qe_identity.json", EV_COLLATERAL_QE_IDENTITY, "00"},
        {"tdx/v4-20a06f000000/qe_identity.json", EV_COLLATERAL_QE_IDENTITY, "81"},
        {"tdx/v4-20a06f000000/tcb_signing_chain.pem", EV_COLLATERAL_TCB_SIGNING_CHAIN, ""},
        {"tdx/v4-20a06f000000/pck_crl.der", EV_COLLATERAL_PCK_CRL, "706c6174666f726d"},
        {"sgx/v3-processor-00a067110000/pck_crl.der", EV_COLLATERAL_PCK_CRL, "70726f636573736f72"},
        {"tdx/v4-20a06f000000/pck_crl_chain.pem", EV_COLLATERAL_PCK_CRL_CHAIN, ""},
        {"tdx/v4-20a06f000000/root_crl.der", EV_COLLATERAL_ROOT_CRL, ""},
    };
    struct world w;

    if (bh_vectors() == NULL)
        return;
    world_init(&w);
    add_chain(&w, "tdx/v4-20a06f000000/tcb_signing_chain.pem");
    add_chain(&w, "sgx/v3-processor-00906ed50000-debug/tcb_signing_chain.pem"); /* the one before */
    add_chain(&w, "tdx/v4-20a06f000000/pck_crl_chain.pem");
    add_chain(&w, "sgx/v3-processor-00a067110000/pck_crl_chain.pem");
    for (size_t i = 0; i < BH_COUNT(files); i++)
        must_verify(&w, files[i].file, files[i].kind, files[i].key);
    world_clear(&w);
}

/* Whose issuer is not known, or leads to no anchor. */
Test(collateral, issuers_of_others)
{
    static const char *const lost[] = {"tdx/v4-20a06f000000/tcb_info.json",
        "tdx/v4-20a06f000000/qe_identity.json", "tdx/v4-20a06f000000/pck_crl.der"};
    static const char dir[] = "sgx/neg-intel-qvl-sample-testroot/";
    static const char *const foreign[] = {"tcb_info.json", "qe_identity.json",
        "tcb_signing_chain.pem", "pck_crl.der", "pck_crl_chain.pem", "root_crl.der"};
    struct world w;
    char path[128];
    uint8_t *bytes;
    size_t len = 0;

    if (bh_vectors() == NULL)
        return;
    world_init(&w);
    for (size_t i = 0; i < BH_COUNT(lost); i++) {
        bytes = bh_vector(lost[i], &len);
        cr_assert_eq(ev_collateral_read(bh_span(bytes, len), &what, NULL), BH_OK);
        cr_assert_eq(verify(&w, bh_span(bytes, len), what.from), BH_ERR_COLLATERAL_MISSING);
        cr_assert_str_eq(diag.check, "collateral.issuer");
        cr_assert_gt(strlen(diag.hint), 20);
        free(bytes);
    }
    (void)snprintf(path, sizeof(path), "%stcb_signing_chain.pem", dir);
    add_chain(&w, path);
    (void)snprintf(path, sizeof(path), "%spck_crl_chain.pem", dir);
    add_chain(&w, path);
    for (size_t i = 0; i < BH_COUNT(foreign); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", dir, foreign[i]);
        bytes = bh_vector(path, &len);
        cr_assert_eq(ev_collateral_read(bh_span(bytes, len), &what, NULL), BH_OK, "%s", path);
        cr_assert_eq(
            verify(&w, bh_span(bytes, len), what.from + 1), BH_ERR_NOT_AUTHENTIC, "%s", path);
        cr_assert_str_eq(diag.check, "collateral.signature", "%s", path);
        free(bytes);
    }
    world_clear(&w);
}

/* ---- forged files ---- */

Test(collateral, what_is_none)
{
    static const char *const texts[] = {"", " \n", "{", "{}", "[]", "hello", "\x30",
        "-----BEGIN CERTIFICATE-----\n", "{\"tcbInfo\":{},\"signature\":\"00\",\"more\":1}",
        "{\"tcbInfo\":{}}"};
    struct intel_forge forge;
    struct intel_pieces pieces;

    for (size_t i = 0; i < BH_COUNT(texts); i++)
        must_not_read(bh_span_str(texts[i]), BH_ERR_MALFORMED, "collateral.kind", texts[i]);
    must_not_read(bh_span_str("{\"tcbInfo\":{\"id\":\"SGX\"},\"signature\":\"00\"}"),
        BH_ERR_MALFORMED, "collateral.form", "no dates");
    intel_forge_init(&forge, false);
    intel_forge_make(&forge, &pieces);
    must_not_read(intel_get(&pieces, "quote"), BH_ERR_MALFORMED, "collateral.kind", "a quote");
    intel_pieces_clear(&pieces);
    intel_forge_clear(&forge);
}

Test(collateral, documents_that_are_broken)
{
    static const char dates[] =
        "\"issueDate\":\"2026-01-01T00:00:00Z\",\"nextUpdate\":\"2026-02-01T00:00:00Z\"";
    static const char *const bodies[] = {"\"version\":3,\"id\":\"SGX\",\"fmspc\":\"00\"",
        "\"version\":3,\"id\":\"QE\",\"fmspc\":\"000000000000\"",
        "\"version\":3,\"fmspc\":\"000000000000\"",
        "\"version\":4,\"id\":\"SGX\",\"fmspc\":\"000000000000\"",
        "\"version\":3,\"id\":\"SGX\",\"fmspc\":\"000000000000\",\"id\":\"SGX\""};
    char text[512];

    for (size_t i = 0; i < BH_COUNT(bodies); i++) {
        (void)snprintf(
            text, sizeof(text), "{\"tcbInfo\":{%s,%s},\"signature\":\"00\"}", bodies[i], dates);
        must_not_read(bh_span_str(text), BH_ERR_MALFORMED, "collateral.form", bodies[i]);
    }
    (void)snprintf(text, sizeof(text),
        "{\"enclaveIdentity\":{\"id\":\"QVE\",%s},\"signature\":\"00\"}", dates);
    must_not_read(bh_span_str(text), BH_ERR_MALFORMED, "collateral.form", "QVE");
}

static struct snp_keys keys;

static void
make_keys(void)
{
    snp_keys_make(&keys);
}

static void
clear_keys(void)
{
    snp_keys_clear(&keys);
}

TestSuite(collateral_set, .init = make_keys, .fini = clear_keys);

static struct bh_span
find(struct ev_collateral_set *set, const char *kind, const char *key)
{
    struct bh_span bytes = bh_span_none();

    bh_diag_clear(&diag);
    if (ev_collateral_set_find(set, kind, bh_span_str(key), &bytes, &diag) != BH_OK) {
        cr_assert_eq(diag.err, BH_ERR_COLLATERAL_MISSING);
        return bh_span_none();
    }
    return bytes;
}

Test(collateral_set, the_list_that_lives_longest_answers)
{
    struct ev_collateral_set *set = ev_collateral_set_new();
    struct ev_collateral first, last;
    struct bh_span lists[3];
    struct snp_forged f;
    struct snp_plan plan;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_forge(&f, &keys, &plan);
    for (int i = 0; i < 3; i++)
        lists[i].ptr = snp_crl(
            f.ark, keys.ark, SNP_NOW, SNP_NOW + SNP_DAY * (i == 1 ? 9 : 1 + i), 0, &lists[i].len);
    cr_assert_eq(ev_collateral_set_add(set, lists[0], "crl.der", &first, &diag), BH_OK);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Milan/vcek").ptr, lists[0].ptr);
    cr_assert_eq(ev_collateral_set_add(set, lists[1], "crl-new.der", &last, &diag), BH_OK);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Milan/vcek").ptr, lists[1].ptr);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Milan/vlek").ptr, lists[1].ptr);
    /* Named for one kind of keys, it answers for those, though it is shorter-lived, and alone. */
    cr_assert_eq(ev_collateral_set_add(set, lists[2], "milan-vlek.der", NULL, &diag), BH_OK);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Milan/vlek").ptr, lists[2].ptr);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Milan/vcek").ptr, lists[1].ptr);
    cr_assert(ev_collateral_set_shadows(set, &first, lists[0]));
    cr_assert_not(ev_collateral_set_shadows(set, &last, lists[1]));
    cr_assert_eq(ev_collateral_set_len(set), 3);
    cr_assert_null(find(set, "crl.der", "SIMULATED Genoa/vcek").ptr);
    cr_assert_null(find(set, "crl.der", "Milan/vcek").ptr);
    cr_assert_null(find(set, "crl.der", "").ptr);
    cr_assert_null(find(set, "vcek.der", "Milan/vcek").ptr);
    cr_assert_null(find(set, "nothing.der", "").ptr);
    ev_collateral_set_free(set);
    ev_collateral_set_free(NULL);
    for (int i = 0; i < 3; i++)
        OPENSSL_free((void *)(uintptr_t)lists[i].ptr);
    snp_forged_clear(&f);
}

Test(collateral_set, a_list_named_for_vleks_says_nothing_of_vceks)
{
    struct ev_collateral_set *set = ev_collateral_set_new();
    struct snp_forged f;
    struct snp_plan plan;
    struct bh_span list;

    snp_plan(&plan, &keys, "Genoa", 3, false);
    snp_forge(&f, &keys, &plan);
    list.ptr = snp_crl(f.ark, keys.ark, SNP_NOW, SNP_NOW + 1, 0, &list.len);
    cr_assert_eq(ev_collateral_set_add(set, list, "crl-genoa-vlek.der", NULL, &diag), BH_OK);
    cr_assert_null(find(set, "crl.der", "SIMULATED Genoa/vcek").ptr);
    cr_assert_eq(find(set, "crl.der", "SIMULATED Genoa/vlek").ptr, list.ptr);
    ev_collateral_set_free(set);
    OPENSSL_free((void *)(uintptr_t)list.ptr);
    snp_forged_clear(&f);
}

Test(collateral_set, leaves_by_product_and_firmware)
{
    static const char *const products[] = {"Milan", "Genoa", "Turin"};
    struct snp_parts parts;
    struct ev_report report;
    struct ev_trust trust;
    struct snp_plan plan;
    struct snp_forged f;

    for (size_t i = 0; i < BH_COUNT(products); i++)
        for (int vlek = 0; vlek < 2; vlek++) {
            struct ev_collateral_set *set = ev_collateral_set_new();

            snp_plan(&plan, &keys, products[i], i == 2 ? 5 : 3, vlek != 0);
            snp_forge(&f, &keys, &plan);
            snp_trust(&trust, f.ark, true);
            trust.collateral = ev_collateral_set_find;
            trust.collateral_arg = set;
            parts = f.parts;
            cr_assert_eq(
                ev_collateral_set_add(set, vlek ? parts.vlek : parts.vcek, NULL, &what, &diag),
                BH_OK, "%s", diag.detail);
            must_read(vlek ? parts.vlek : parts.vcek,
                vlek ? EV_COLLATERAL_VLEK : EV_COLLATERAL_VCEK, products[i]);
            parts.vcek = parts.vlek = bh_span_none();
            ev_report_init(&report, true);
            cr_assert_eq(snp_judge(&parts, &trust, &report, NULL), BH_OK, "%s: %s", products[i],
                report.diag.detail);
            ev_collateral_set_free(set);
            snp_forged_clear(&f);
        }
}

/* A forged leaf under an ARK that is no anchor of ours. */
Test(collateral_set, a_leaf_of_a_stranger)
{
    struct snp_plan plan;
    struct snp_forged f;
    struct world w;

    world_init(&w);
    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_forge(&f, &keys, &plan);
    must_read(f.parts.vcek, EV_COLLATERAL_VCEK, "vcek");
    cr_assert_eq(verify(&w, f.parts.vcek, SNP_NOW), BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(diag.check, "collateral.signature");
    w.anchors[w.issuers.anchors_len++] = f.ark;
    cr_assert_eq(verify(&w, f.parts.vcek, SNP_NOW), BH_ERR_NOT_AUTHENTIC, "without its ASK");
    w.anchors[w.issuers.anchors_len++] = f.ask;
    cr_assert_eq(verify(&w, f.parts.vcek, SNP_NOW), BH_OK, "%s", diag.found);
    w.issuers.anchors_len -= 2;
    snp_forged_clear(&f);
    world_clear(&w);
}

/* ---- mutants: read, or refused with a check's name ---- */

static bool
keeps_contract(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    enum bh_err e;

    bh_diag_clear(&diag);
    e = ev_collateral_read(mutant, &what, &diag);
    if (e == BH_OK)
        cr_assert(
            what.keys_len > 0 && what.file[0] != '\0', "%s: byte %zu %s", (char *)arg, at, how);
    else
        cr_assert_eq(strncmp(diag.check, "collateral.", 11), 0, "%s: byte %zu %s: %s", (char *)arg,
            at, how, diag.check);
    return true;
}

Test(collateral_set, mutants)
{
    struct intel_pieces pieces;
    struct intel_forge forge;
    struct snp_plan plan;
    struct snp_forged f;
    char vcek[] = "vcek", info[] = "tcb_info", list[] = "pck_crl";
    struct bh_span in;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_forge(&f, &keys, &plan);
    intel_forge_init(&forge, true);
    intel_forge_make(&forge, &pieces);
    cr_assert_gt(bh_mutate(f.parts.vcek, 0, f.parts.vcek.len, 1, keeps_contract, vcek), 1000);
    in = intel_get(&pieces, info);
    cr_assert_gt(bh_mutate(in, 0, in.len, 3, keeps_contract, info), 500);
    in = intel_get(&pieces, list);
    cr_assert_gt(bh_mutate(in, 0, in.len, 1, keeps_contract, list), 500);
    intel_pieces_clear(&pieces);
    intel_forge_clear(&forge);
    snp_forged_clear(&f);
}

Test(collateral_set, bounds)
{
    struct ev_collateral_set *set = ev_collateral_set_new();
    const size_t big = BH_COLLATERAL_MAX;
    char *text = malloc(big + 2);
    struct snp_plan plan;
    struct snp_forged f;
    enum bh_err e = BH_OK;
    size_t n;

    snp_plan(&plan, &keys, "Milan", 3, false);
    snp_forge(&f, &keys, &plan);
    for (n = 0; e == BH_OK; n++)
        e = ev_collateral_set_add(set, f.parts.vcek, NULL, NULL, &diag);
    cr_assert_eq(n, BH_COLLATERAL_FILES_MAX + 1);
    cr_assert_eq(e, BH_ERR_TOO_LARGE);
    cr_assert_str_eq(diag.check, "collateral.files");
    ev_collateral_set_free(set);
    snp_forged_clear(&f);

    set = ev_collateral_set_new();
    memset(text, ' ', big + 1);
    text[big + 1] = '\0';
    static const char body[] =
        "{\"enclaveIdentity\":{\"id\":\"QE\",\"issueDate\":\"2026-01-01T00:00:00Z\","
        "\"nextUpdate\":\"2026-02-01T00:00:00Z\"},\"signature\":\"00\"}";
    memcpy(text, body, sizeof(body) - 1);
    bh_diag_clear(&diag);
    for (n = 0, e = BH_OK; e == BH_OK; n++)
        e = ev_collateral_set_add(set, bh_span(text, big), NULL, NULL, &diag);
    cr_assert_eq(n, BH_COLLATERAL_TOTAL_MAX / BH_COLLATERAL_MAX + 1);
    cr_assert_eq(e, BH_ERR_TOO_LARGE);
    cr_assert_str_eq(diag.check, "collateral.total");
    must_not_read(bh_span(text, big + 1), BH_ERR_TOO_LARGE, "collateral.size", "a byte too many");
    ev_collateral_set_free(set);
    free(text);
}
