/* SPDX-License-Identifier: Apache-2.0 */
/* TPM 2.0: what a policy entry may say, and what each of its rules refuses. */
#include "tpm2_forge.h"

#include "evidence/policy.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define EIGHT(x) x x x x x x x x
#define H20(x) EIGHT(x) EIGHT(x) x x x x
#define H32(x) EIGHT(x) EIGHT(x) EIGHT(x) EIGHT(x)
#define H48(x) H32(x) EIGHT(x) EIGHT(x)
#define OWNER "\"owner\":\"any\""
/* The plan's PCR 4 of SHA-256. */
#define CODE "\"pcrs\":{\"sha256\":{\"4\":[\"" H32("14") "\"]}}"
#define RIGHT CODE "," OWNER
#define SNP_PART                                                                                   \
    "\"platform\":\"amd-sev-snp\",\"product\":[\"Milan\"],\"vmpl\":[0],"                           \
    "\"tcb_min\":{\"Milan\":{\"bootloader\":1,\"tee\":0,\"snp\":1,\"microcode\":1}}"
#define HARDWARE(members) "\"hardware\":{" SNP_PART "," members "}"
#define TDX_PART                                                                                   \
    "\"platform\":\"intel-tdx\",\"mrtd\":[\"" H48("01") "\"],\"rtmr\":{\"1\":[\"" H48(             \
        "01") "\"],\"2\":[\"" H48("02") "\"]},\"tcb_status\":[\"UpToDate\"]"
#define HW_CODE "\"measurement\":[\"" H48("a1") "\"]"

static struct ev_policy *
parse(const char *members, struct bh_diag *diag)
{
    struct ev_policy *policy = NULL;
    char text[4096];

    (void)snprintf(text, sizeof(text),
        "{\"workload\":\"w\",\"accept\":[{\"platform\":\"tpm2\",%s}]}", members);
    *diag = (struct bh_diag){0};
    if (ev_policy_parse(bh_span_str(text), &policy, diag) != BH_OK)
        return NULL;
    return policy;
}

/* ---- what an entry may say ---- */

static void
entry_refused(const char *members, const char *field)
{
    char check[BH_CHECK_MAX];
    struct bh_diag diag;
    struct ev_policy *policy = parse(members, &diag);

    (void)snprintf(check, sizeof(check), "policy.accept[0].%s", field);
    cr_expect_null(policy, "%s", members);
    cr_expect_str_eq(diag.check, check, "%s: %s", members, diag.detail);
    cr_expect(diag.detail[0] != '\0');
    ev_policy_free(policy);
}

Test(tpm2_policy, entries_that_are_right)
{
    static const char *const right[] = {
        RIGHT,
        CODE ",\"ek\":[\"" H32("e1") "\"]",
        CODE ",\"ak_name\":[\"000b" H32("a1") "\"]",
        "\"pcrs\":{\"sha384\":{\"11\":[\"" H48("01") "\",\"" H48("02") "\"]}}," OWNER,
        "\"pcrs\":{\"sha1\":{\"8\":[\"" H20("01") "\"]}},\"sha1\":\"allowed\"," OWNER,
        "\"boot_loader\":[\"" H32("01") "\",\"" H48("02") "\"],\"secure_boot\":true," OWNER,
        "\"boot_loader\":[\"" H20("01") "\"],\"sha1\":\"allowed\"," OWNER,
        RIGHT ",\"key_class\":[\"tpm\",\"silicon\"],\"event_log\":\"required\",\"reset_count\":9",
        CODE "," HARDWARE(HW_CODE ",\"chip_id\":[\"" H32("77") H32("77") "\"]"),
        RIGHT "," HARDWARE(HW_CODE),
        RIGHT ",\"hardware\":{" TDX_PART "}",
        CODE ",\"hardware\":{" TDX_PART ",\"ppid\":[\"" EIGHT("77") EIGHT("77") "\"]}",
    };

    for (size_t i = 0; i < BH_COUNT(right); i++) {
        struct bh_diag diag;
        struct ev_policy *policy = parse(right[i], &diag);

        cr_expect_not_null(policy, "%s: %s %s", right[i], diag.check, diag.detail);
        ev_policy_free(policy);
    }
}

Test(tpm2_policy, entries_that_do_not_pin)
{
    entry_refused(OWNER, "pcrs");
    entry_refused("\"pcrs\":{\"sha256\":{\"7\":[\"" H32("01") "\"]}}," OWNER, "pcrs");
    entry_refused("\"secure_boot\":true," OWNER, "pcrs");
    entry_refused("\"event_log\":\"required\"," OWNER, "pcrs");
    entry_refused(HARDWARE(HW_CODE) "," OWNER, "pcrs");
    entry_refused(CODE, "owner");
    entry_refused(CODE "," HARDWARE(HW_CODE), "owner");
    entry_refused(
        CODE "," OWNER "," HARDWARE("\"host_data\":[\"" H32("01") "\"]"), "hardware.measurement");
}

#define PCRS(text) "\"pcrs\":{" text "}," OWNER

Test(tpm2_policy, entries_that_are_wrong)
{
    entry_refused(RIGHT ",\"pcr\":{}", "pcr");
    entry_refused("\"pcrs\":[]," OWNER, "pcrs");
    entry_refused(PCRS("\"md5\":{}"), "pcrs.md5");
    entry_refused(PCRS("\"sha256\":[]"), "pcrs.sha256");
    entry_refused(PCRS("\"sha256\":{}"), "pcrs.sha256");
    entry_refused(PCRS("\"sha256\":{\"4\":[]}"), "pcrs.sha256.4");
    entry_refused(PCRS("\"sha256\":{\"4\":[\"" H48("01") "\"]}"), "pcrs.sha256.4");
    entry_refused(PCRS("\"sha256\":{\"4\":[\"" H32("00") "\"]}"), "pcrs.sha256.4");
    entry_refused(PCRS("\"sha256\":{\"04\":[\"" H32("01") "\"]}"), "pcrs.sha256.04");
    entry_refused(PCRS("\"sha256\":{\"24\":[\"" H32("01") "\"]}"), "pcrs.sha256.24");
    entry_refused(PCRS("\"sha256\":{\"16\":[\"" H32("01") "\"]}"), "pcrs.sha256.16");
    entry_refused(PCRS("\"sha256\":{\"23\":[\"" H32("01") "\"]}"), "pcrs.sha256.23");
    entry_refused(PCRS("\"sha1\":{\"4\":[\"" H20("01") "\"]}"), "pcrs.sha1");
    entry_refused("\"boot_loader\":[\"" H20("01") "\"]," OWNER, "boot_loader");
    entry_refused("\"boot_loader\":[\"01\"]," OWNER, "boot_loader");
    entry_refused(RIGHT ",\"sha1\":true", "sha1");
    entry_refused(RIGHT ",\"sha1\":\"yes\"", "sha1");
    entry_refused(RIGHT ",\"secure_boot\":false", "secure_boot");
    entry_refused(RIGHT ",\"secure_boot\":\"on\"", "secure_boot");
    entry_refused(RIGHT ",\"event_log\":\"optional\"", "event_log");
    entry_refused(RIGHT ",\"key_class\":[\"hsm\"]", "key_class");
    entry_refused(RIGHT ",\"reset_count\":-1", "reset_count");
    entry_refused(CODE ",\"ek\":[\"" H48("01") "\"]", "ek");
    entry_refused(CODE ",\"ak_name\":[\"" H32("01") "\"]", "ak_name");
    entry_refused(RIGHT ",\"hardware\":{}", "hardware.platform");
    entry_refused(RIGHT ",\"hardware\":{\"platform\":\"psa\"}", "hardware.platform");
    entry_refused(RIGHT "," HARDWARE(HW_CODE ",\"owner\":\"any\""), "hardware.owner");
    entry_refused(RIGHT "," HARDWARE(HW_CODE ",\"simulated\":true"), "hardware.simulated");
    entry_refused(RIGHT "," HARDWARE("\"measurement\":[]"), "hardware.measurement");
}

/* ---- what an entry refuses ---- */

static struct tpm2_plan plan;
static EVP_PKEY *key;

static void
set_up(void)
{
    key = tpm2_key("P-256");
    tpm2_plan(&plan, key);
}

static void
tear_down(void)
{
    EVP_PKEY_free(key);
}

TestSuite(tpm2_appraise, .init = set_up, .fini = tear_down);

/* The plan's evidence, endorsed as @p endorsement says, against an entry. */
static enum bh_err
appraise(const char *endorsement, const char *members, struct ev_verdict *verdict,
    struct ev_report *report)
{
    struct ev_trust trust = {.now = TPM2_NOW};
    struct tpm2_endorsed endorsed;
    struct ev_evidence *ev = NULL;
    struct ev_policy *policy;
    struct tpm2_forged f;
    struct bh_diag diag;
    enum bh_err e;

    cr_assert_not_null(policy = parse(members, &diag), "%s: %s", diag.check, diag.detail);
    tpm2_forge(&f, &plan);
    tpm2_endorse(f.parts.ak, endorsement, &endorsed);
    tpm2_use(&trust, &endorsed);
    ev_report_init(report, true);
    cr_assert_eq(tpm2_judge(&f.parts, &trust, report, &ev), BH_OK, "%s", report->diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), report, verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    tpm2_forged_clear(&f);
    return e;
}

#define TPM "\"class\":\"tpm\""

static void
accepts(const char *endorsement, const char *members, enum bh_ear_status status)
{
    static struct ev_verdict verdict;
    static struct ev_report report;

    cr_expect_eq(appraise(endorsement, members, &verdict, &report), BH_OK, "%s: %s %s", members,
        report.diag.check, report.diag.detail);
    cr_expect_eq(verdict.submod.status, status, "%s: %d", members, verdict.submod.status);
}

static void
refuses(const char *endorsement, const char *members, const char *check)
{
    static struct ev_verdict verdict;
    static struct ev_report report;

    cr_expect_eq(appraise(endorsement, members, &verdict, &report), BH_ERR_POLICY, "%s", members);
    cr_expect_str_eq(report.diag.check, check, "%s: %s", members, report.diag.detail);
}

Test(tpm2_appraise, verdict)
{
    static struct ev_verdict verdict;
    static struct ev_report report;
    uint8_t ek[32];

    memset(ek, 0xe1, sizeof(ek));
    cr_assert_eq(appraise(TPM ",\"ek\":\"" H32("e1") "\"", CODE ",\"ek\":[\"" H32("e1") "\"]",
                     &verdict, &report),
        BH_OK);
    cr_expect_str_eq(verdict.submod.platform, "tpm2");
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING, "a key of a TPM's is none of the silicon");
    cr_expect(verdict.owner_pinned && !verdict.simulated && !verdict.debug);
    cr_expect_eq(verdict.measurement_len, 32);
    cr_expect_arr_eq(verdict.measurement, plan.pcrs[EV_TPM2_SHA256][4], 32);
    cr_expect_eq(verdict.hardware_id_len, 32);
    cr_expect_arr_eq(verdict.hardware_id, ek, 32);
    cr_expect_eq(verdict.submod.claims_len, 1);
    cr_expect_str_eq(verdict.submod.claims[0].name, "pcrs.sha256.4");
    accepts("\"class\":\"file\"", RIGHT, BH_EAR_WARNING);
    accepts("\"class\":\"silicon\"", RIGHT, BH_EAR_AFFIRMING);
}

Test(tpm2_appraise, rules)
{
    const char *const endorsed = TPM ",\"ek\":\"" H32("e1") "\"";

    accepts(endorsed, RIGHT, BH_EAR_WARNING);
    refuses(
        endorsed, "\"pcrs\":{\"sha256\":{\"4\":[\"" H32("15") "\"]}}," OWNER, "tpm2.pcrs.sha256.4");
    refuses(endorsed,
        "\"pcrs\":{\"sha256\":{\"4\":[\"" H32("14") "\"],\"7\":[\"" H32("18") "\"]}}," OWNER,
        "tpm2.pcrs.sha256.7");
    /* Their values are right, but the quote does not cover them. */
    refuses(endorsed, "\"pcrs\":{\"sha256\":{\"11\":[\"" H32("1b") "\"]}}," OWNER,
        "tpm2.pcrs.sha256.11");
    refuses(
        endorsed, "\"pcrs\":{\"sha384\":{\"4\":[\"" H48("24") "\"]}}," OWNER, "tpm2.pcrs.sha384.4");
    refuses(endorsed, CODE ",\"ek\":[\"" H32("e2") "\"]", "tpm2.ek");
    refuses(TPM, CODE ",\"ek\":[\"" H32("e1") "\"]", "tpm2.ek");
    refuses(endorsed, CODE ",\"ak_name\":[\"000b" H32("e2") "\"]", "tpm2.ak_name");
    refuses(endorsed, RIGHT ",\"key_class\":[\"silicon\"]", "tpm2.key_class");
    accepts(endorsed, RIGHT ",\"key_class\":[\"tpm\",\"file\"]", BH_EAR_WARNING);
    refuses(endorsed, RIGHT ",\"reset_count\":6", "tpm2.reset_count");
    accepts(endorsed, RIGHT ",\"reset_count\":7", BH_EAR_WARNING);
    refuses(endorsed, RIGHT ",\"event_log\":\"required\"", "tpm2.event_log");
    refuses(endorsed, RIGHT ",\"secure_boot\":true", "tpm2.secure_boot");
    refuses(endorsed, "\"boot_loader\":[\"" H32("01") "\"]," OWNER, "tpm2.boot_loader");
    refuses(endorsed, RIGHT "," HARDWARE(HW_CODE), "tpm2.hardware");
}

Test(tpm2_appraise, the_name_pins_the_owner)
{
    struct ev_tpm2_public ak;
    struct tpm2_forged f;
    char hex[2 * EV_TPM2_NAME_MAX + 1], members[512];

    tpm2_forge(&f, &plan);
    cr_assert_eq(ev_tpm2_public_read(f.parts.ak, &ak, NULL), BH_OK);
    (void)snprintf(members, sizeof(members), CODE ",\"ak_name\":[\"%s\"]",
        bh_hex(bh_span(ak.name, ak.name_len), hex, sizeof(hex)));
    accepts(TPM, members, BH_EAR_WARNING);
    tpm2_forged_clear(&f);
}

Test(tpm2_appraise, sha1)
{
    plan.count = 2;
    plan.selections_len = 2;
    plan.selections[1] = (struct tpm2_select){ALG_SHA1, 3, 0x10};
    refuses(TPM, RIGHT, "tpm2.sha1");
    accepts(TPM, RIGHT ",\"sha1\":\"allowed\"", BH_EAR_WARNING);
    accepts(TPM, "\"sha1\":\"allowed\",\"pcrs\":{\"sha1\":{\"4\":[\"" H20("04") "\"]}}," OWNER,
        BH_EAR_WARNING);
    refuses(TPM, "\"sha1\":\"allowed\",\"pcrs\":{\"sha1\":{\"8\":[\"" H20("08") "\"]}}," OWNER,
        "tpm2.pcrs.sha1.8");
}

/* ---- events ---- */

#define EV_IPL 0x0000000d
#define EV_ACTION 0x80000007
#define EV_CONFIG 0x80000001

/* The digest of a boot loader's code, as a list of one in a policy. */
static const char *
loaders(const char *code, bool more)
{
    static char members[512];
    uint8_t digest[32];
    char hex[65];

    cr_assert_eq(bh_sha2(256, bh_span_str(code), digest), BH_OK);
    (void)snprintf(members, sizeof(members), "\"boot_loader\":[\"%s\"%s]," OWNER,
        bh_hex(bh_span(digest, 32), hex, sizeof(hex)), more ? ",\"" H32("01") "\"" : "");
    return members;
}

Test(tpm2_appraise, boot_loaders)
{
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    tpm2_log_loader(&plan, "good loader");
    accepts(TPM, loaders("good loader", false), BH_EAR_WARNING);
    accepts(TPM, loaders("good loader", true), BH_EAR_WARNING);
    refuses(TPM, loaders("another loader", true), "tpm2.boot_loader");
    tpm2_log_loader(&plan, "and what it started");
    refuses(TPM, loaders("good loader", true), "tpm2.boot_loader");
}

/* Who started another loader may write the log anew, and extend what it likes behind. */
Test(tpm2_appraise, boot_loaders_under_another_type)
{
    static const uint32_t types[] = {EV_IPL, EV_ACTION, 0x00000004, 0x80000004, 0x0000000c};

    for (size_t i = 0; i < BH_COUNT(types); i++) {
        tpm2_log_begin(&plan);
        tpm2_log_start(&plan, true);
        tpm2_log_event(&plan, 4, types[i], bh_span_str("bad loader"), bh_span_str("bad loader"));
        tpm2_log_loader(&plan, "good loader");
        refuses(TPM, loaders("good loader", false), "tpm2.boot_loader");
    }
    /* A marker whose digest is of something else is no marker. */
    tpm2_log_begin(&plan);
    tpm2_log_event(&plan, 4, 0x00000004, bh_span("\0\0\0", 4), bh_span_str("bad loader"));
    tpm2_log_loader(&plan, "good loader");
    refuses(TPM, loaders("good loader", false), "tpm2.boot_loader");
    /* The good digest alone, under another type, starts nothing. */
    tpm2_log_begin(&plan);
    tpm2_log_event(&plan, 4, EV_IPL, bh_span_str("good loader"), bh_span_str("good loader"));
    refuses(TPM, loaders("good loader", false), "tpm2.boot_loader");
}

Test(tpm2_appraise, events_of_pcrs_that_are_not_quoted)
{
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    tpm2_log_loader(&plan, "good loader");
    plan.selections[0].pcrs = 0x3ff & ~(1U << 4);
    refuses(TPM, loaders("good loader", false), "tpm2.boot_loader");
    plan.selections[0].pcrs = 0x3ff & ~(1U << 7);
    accepts(TPM, loaders("good loader", false), BH_EAR_WARNING);
    refuses(TPM, RIGHT ",\"secure_boot\":true", "tpm2.pcrs.sha256.4");
}

/* PCR 4 as it stands in the plan, whatever the log made of it. */
static const char *
with_code(const char *members)
{
    static char text[1024];
    char hex[65];

    (void)snprintf(text, sizeof(text), "\"pcrs\":{\"sha256\":{\"4\":[\"%s\"]}}," OWNER ",%s",
        bh_hex(bh_span(plan.pcrs[EV_TPM2_SHA256][4], 32), hex, sizeof(hex)), members);
    return text;
}

Test(tpm2_appraise, secure_boot)
{
    uint8_t on[53];

    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, false);
    refuses(TPM, with_code("\"secure_boot\":true"), "tpm2.secure_boot");
    accepts(TPM, with_code("\"event_log\":\"required\""), BH_EAR_WARNING);
    /* A second word about it, behind the firmware's. */
    tpm2_log_start(&plan, true);
    refuses(TPM, with_code("\"secure_boot\":true"), "tpm2.secure_boot");
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    accepts(TPM, with_code("\"secure_boot\":true"), BH_EAR_WARNING);
    tpm2_log_start(&plan, false);
    refuses(TPM, with_code("\"secure_boot\":true"), "tpm2.secure_boot");
    /* What the firmware measured first, under another name; then the word that is wished for. */
    tpm2_log_begin(&plan);
    tpm2_log_event(&plan, 7, EV_IPL, bh_span_str("off"), bh_span_str("off"));
    tpm2_log_start(&plan, true);
    refuses(TPM, with_code("\"secure_boot\":true"), "tpm2.secure_boot");
    /* Data that says on beside the digest of data that says off. */
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    const uint8_t *at = memmem(plan.log, plan.log_len, "S\0e\0c\0u\0r\0e", 12);
    cr_assert_not_null(at);
    memcpy(on, at - 32, sizeof(on));
    tpm2_log_begin(&plan);
    tpm2_log_event(&plan, 7, EV_CONFIG, bh_span(on, sizeof(on)), bh_span_str("off"));
    tpm2_log_loader(&plan, "good loader");
    refuses(TPM, with_code("\"secure_boot\":true"), "tpm2.secure_boot");
}

Test(tpm2_appraise, a_log_that_does_not_replay)
{
    tpm2_log_begin(&plan);
    tpm2_log_start(&plan, true);
    tpm2_forge_holds(&plan, "as it should be");
    plan.pcrs[EV_TPM2_SHA256][7][0] ^= 1;
    tpm2_forge_refused(&plan, BH_ERR_NOT_AUTHENTIC, "tpm2.event_log", "another PCR 7");
    plan.pcrs[EV_TPM2_SHA256][7][0] ^= 1;
    plan.log[plan.log_len - 68] ^= 1; /* SHA-256 of the last event */
    tpm2_forge_refused(&plan, BH_ERR_NOT_AUTHENTIC, "tpm2.event_log", "another digest");
}

/* ---- a certified key ---- */

/* What a certificate does not say, it does not pin; and its end is the result's. */
Test(tpm2_appraise, certified)
{
    static const char *const ca[] = {"basicConstraints", "critical,CA:TRUE", "keyUsage",
        "critical,keyCertSign", "subjectKeyIdentifier", "hash", NULL};
    static const char *const leaf[] = {
        "keyUsage", "critical,digitalSignature", "extendedKeyUsage", "2.23.133.8.3", NULL};
    static const char *const entries[] = {
        RIGHT, CODE ",\"ak_name\":[\"000b" H32("a1") "\"]", CODE ",\"ek\":[\"" H32("a1") "\"]"};
    static const char *const checks[] = {"", "tpm2.ak_name", "tpm2.ek"};
    EVP_PKEY *root_key = tpm2_key("P-256");
    const int64_t from = TPM2_NOW - TPM2_DAY, to = TPM2_NOW + TPM2_DAY;
    X509 *root = tpm2_cert(root_key, "A vendor", NULL, NULL, ca, from, to + TPM2_DAY);
    X509 *cert = tpm2_cert(key, "an AK", root, root_key, leaf, from, to);
    struct ev_trust trust = {.now = TPM2_NOW, .anchors_len = 1, .anchors = {{.cert = root}}};
    static struct ev_verdict verdict;
    static struct ev_report report;
    struct tpm2_forged f;
    uint8_t *der = NULL;
    size_t len;

    tpm2_forge(&f, &plan);
    cr_assert_eq(bh_x509_to_der(cert, &der, &len), BH_OK);
    f.parts.ak_cert = bh_span(der, len);
    f.parts.ak = bh_span_none();
    for (size_t i = 0; i < BH_COUNT(entries); i++) {
        struct ev_evidence *ev = NULL;
        struct bh_diag diag;
        struct ev_policy *policy = parse(entries[i], &diag);

        cr_assert_not_null(policy, "%s", diag.detail);
        ev_report_init(&report, true);
        cr_assert_eq(tpm2_judge(&f.parts, &trust, &report, &ev), BH_OK);
        cr_expect_eq(ev_appraise(ev, policy, bh_span_none(), &report, &verdict),
            i == 0 ? BH_OK : BH_ERR_POLICY);
        cr_expect_str_eq(report.diag.check, checks[i]);
        ev_evidence_free(ev);
        ev_policy_free(policy);
    }
    cr_expect_eq(verdict.not_after, to);
    cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
    OPENSSL_free(der);
    X509_free(cert);
    X509_free(root);
    EVP_PKEY_free(root_key);
    tpm2_forged_clear(&f);
}

/* ---- Azure's composite ---- */

struct azure {
    uint8_t *bytes[6];
    struct tpm2_parts parts;
};

static struct bh_span
load(struct azure *a, size_t i, const char *name)
{
    char path[96];
    size_t len;

    (void)snprintf(path, sizeof(path), "tpm/azure-snp-vtpm-milan/%s", name);
    a->bytes[i] = bh_vector(path, &len);
    return bh_span(a->bytes[i], len);
}

static enum bh_err
appraise_azure(const struct azure *a, const char *members, struct ev_verdict *verdict,
    struct ev_report *report)
{
    struct ev_trust trust = {.now = INT64_C(1767225600)};
    struct ev_evidence *ev = NULL;
    struct ev_policy *policy;
    struct bh_diag diag;
    enum bh_err e;

    cr_assert_not_null(policy = parse(members, &diag), "%s: %s", diag.check, diag.detail);
    cr_assert_eq(ev_trust_add_vendor_roots(&trust, NULL), BH_OK);
    ev_report_init(report, true);
    cr_assert_eq(tpm2_judge(&a->parts, &trust, report, &ev), BH_OK, "%s", report->diag.detail);
    e = ev_appraise(ev, policy, bh_span_none(), report, verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    ev_trust_clear(&trust);
    return e;
}

Test(tpm2_policy, azure)
{
    static struct ev_verdict verdict;
    static struct ev_report report;
    struct azure a = {0};
    json_t *pcrs;
    char pcr[65], code[128], hardware[1024], members[2048], hex[97];
#define MILAN                                                                                      \
    "\"platform\":\"amd-sev-snp\",\"product\":[\"Milan\"],\"vmpl\":[%d],"                          \
    "\"guest_policy\":{\"smt\":true},\"tcb_min\":{\"Milan\":{\"bootloader\":1,"                    \
    "\"tee\":0,\"snp\":1,\"microcode\":1}},\"measurement\":[\"%s\"]"

    if (bh_vectors() == NULL)
        return;
    a.parts.quote = load(&a, 0, "quote.msg");
    a.parts.signature = load(&a, 1, "quote.sig");
    a.parts.pcrs = load(&a, 2, "pcrs.json");
    a.parts.hcl_report = load(&a, 3, "hcl_report.bin");
    a.parts.vcek = load(&a, 4, "vcek.der");
    pcrs = bh_vector_json("tpm/azure-snp-vtpm-milan/pcrs.json");
    (void)snprintf(pcr, sizeof(pcr), "%s",
        json_string_value(json_object_get(json_object_get(pcrs, "sha256"), "4")));
    (void)snprintf(code, sizeof(code), "\"pcrs\":{\"sha256\":{\"4\":[\"%s\"]}}", pcr);
    (void)snprintf(hardware, sizeof(hardware), MILAN, 0,
        bh_hex(bh_span(a.parts.hcl_report.ptr + 0x20 + 0x90, 48), hex, sizeof(hex)));
    (void)snprintf(members, sizeof(members), "%s," OWNER ",\"hardware\":{%s}", code, hardware);
    cr_assert_eq(appraise_azure(&a, members, &verdict, &report), BH_OK, "%s %s", report.diag.check,
        report.diag.detail);
    cr_expect_eq(verdict.submod.status, BH_EAR_AFFIRMING, "the hardware vouches for the key");
    cr_expect(!verdict.owner_pinned);
    /* Without a word about the hardware the document with the AK could be anybody's. */
    (void)snprintf(members, sizeof(members), "%s," OWNER, code);
    cr_expect_eq(appraise_azure(&a, members, &verdict, &report), BH_ERR_POLICY);
    cr_expect_str_eq(report.diag.check, "tpm2.hardware");
    (void)snprintf(hardware, sizeof(hardware), MILAN, 0, H48("a1"));
    (void)snprintf(members, sizeof(members), "%s," OWNER ",\"hardware\":{%s}", code, hardware);
    cr_expect_eq(appraise_azure(&a, members, &verdict, &report), BH_ERR_POLICY);
    cr_expect_str_eq(report.diag.check, "amd-sev-snp.measurement", "another paravisor");
    json_decref(pcrs);
    for (size_t i = 0; i < BH_COUNT(a.bytes); i++)
        free(a.bytes[i]);
}
