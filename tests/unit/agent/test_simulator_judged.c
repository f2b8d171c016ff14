/* SPDX-License-Identifier: Apache-2.0 */
/* The devices before the judge that a server has: accepted as they are, refused by name when
 * broken. */
#include "folder.h"
#include "judge.h"
#include "tampers.h"

#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#define NOW 1795500000

static const uint8_t binding[BH_BINDING_LEN] = {1, 2, 3, 4};

static void
open_court(struct court *court, struct agent_device *device)
{
    char dir[256];

    folder_make(dir);
    cr_assert_eq(agent_device_admit(device, dir, "pay", "fleet.example", NULL), BH_OK);
    court_open(court, dir, "pay");
    folder_drop(dir);
}

static enum bh_err
judge(struct court *court, struct agent_device *device, enum agent_tamper tamper,
    struct bh_span spki, struct ev_verdict *verdict, struct bh_diag *diag)
{
    char *cmw = NULL;
    enum bh_err e;

    cr_assert_eq(agent_device_evidence(device, binding, spki, tamper, NOW, &cmw, NULL), BH_OK);
    e = court_judge(court, cmw, binding, spki, NOW, verdict, diag);
    free(cmw);
    return e;
}

static void
accepted(const char *platform, uint32_t instance)
{
    struct agent_device *device = NULL;
    struct ev_verdict verdict = {0};
    struct bh_diag diag = {0};
    struct court court;

    cr_assert_eq(agent_device_make(platform, instance, &device, NULL), BH_OK);
    open_court(&court, device);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(judge(&court, device, AGENT_TAMPER_NONE, bh_span_none(), &verdict, &diag),
            BH_OK, "%s: %s: expected %s, found %s", platform, diag.check, diag.expected,
            diag.found);
    cr_assert(verdict.simulated);
    cr_assert_not(verdict.debug);
    cr_assert(verdict.owner_pinned);
    cr_assert_str_eq(verdict.submod.platform, platform);
    cr_assert_eq(verdict.submod.status, BH_EAR_WARNING, "simulation alone must lower the status");

    court.trust.allow_simulated = false;
    cr_assert_eq(judge(&court, device, AGENT_TAMPER_NONE, bh_span_none(), &verdict, &diag),
        BH_ERR_SIMULATED);
    cr_assert_str_eq(diag.check, "simulated");
    court_close(&court);
    agent_device_free(device);
}

Test(judged, aws_nitro_is_accepted)
{
    accepted("aws-nitro", 1);
}

Test(judged, arm_cca_of_both_makes_is_accepted)
{
    accepted("arm-cca", 0);
    accepted("arm-cca", 1);
}

Test(judged, psa_is_accepted)
{
    accepted("psa", 1);
}

Test(judged, amd_sev_snp_is_accepted)
{
    accepted("amd-sev-snp", 1);
}

Test(judged, intel_sgx_and_tdx_are_accepted)
{
    accepted("intel-sgx", 1);
    accepted("intel-tdx", 1);
}

Test(judged, tpm2_is_accepted)
{
    accepted("tpm2", 1);
}

Test(judged, aws_nitrotpm_is_accepted)
{
    accepted("aws-nitrotpm", 1);
}

static void
refused(const char *platform, uint32_t instance)
{
    struct agent_device *device = NULL;
    struct ev_verdict verdict = {0};
    struct court court;

    cr_assert_eq(agent_device_make(platform, instance, &device, NULL), BH_OK);
    open_court(&court, device);
    for (size_t i = 0; i < BH_COUNT(tamper_cases); i++) {
        const struct tamper_case *t = &tamper_cases[i];
        struct bh_diag diag = {0};
        enum bh_err e;

        if (strcmp(t->platform, platform) != 0)
            continue;
        e = judge(&court, device, t->tamper, bh_span_none(), &verdict, &diag);
        cr_expect_eq(e, t->err, "%s %s: %s, expected %s", platform, t->word, bh_err_code(e),
            bh_err_code(t->err));
        cr_expect_str_eq(diag.check, t->check, "%s %s: check %s (%s), expected %s", platform,
            t->word, diag.check, diag.detail, t->check);
        /* What was broken for one document does not stay broken. */
        cr_expect_eq(judge(&court, device, AGENT_TAMPER_NONE, bh_span_none(), &verdict, &diag),
            BH_OK, "%s after %s", platform, t->word);
    }
    court_close(&court);
    agent_device_free(device);
}

Test(judged, tampered_aws_nitro_is_refused_by_name)
{
    refused("aws-nitro", 1);
}

Test(judged, tampered_tpm2_is_refused_by_name)
{
    refused("tpm2", 1);
}

Test(judged, tampered_aws_nitrotpm_is_refused_by_name)
{
    refused("aws-nitrotpm", 1);
}

Test(judged, tampered_arm_cca_of_both_makes_is_refused_by_name)
{
    refused("arm-cca", 0);
    refused("arm-cca", 1);
}

Test(judged, tampered_psa_is_refused_by_name)
{
    refused("psa", 1);
}

Test(judged, tampered_amd_sev_snp_is_refused_by_name)
{
    refused("amd-sev-snp", 1);
}

Test(judged, tampered_intel_sgx_and_tdx_are_refused_by_name)
{
    refused("intel-sgx", 1);
    refused("intel-tdx", 1);
}

/* The tampering must be seen by the server whose chain cache is warm, too. */
Test(judged, a_warm_chain_cache_hides_nothing)
{
    struct agent_device *device = NULL;
    struct ev_verdict verdict = {0};
    struct bh_diag diag = {0};
    struct court court;

    cr_assert_eq(agent_device_make("aws-nitro", 1, &device, NULL), BH_OK);
    open_court(&court, device);
    court.trust.cache = ev_chain_cache_new(16);
    cr_assert_not_null(court.trust.cache);
    cr_assert_eq(judge(&court, device, AGENT_TAMPER_NONE, bh_span_none(), &verdict, &diag), BH_OK);
    cr_assert_eq(judge(&court, device, AGENT_TAMPER_CHAIN, bh_span_none(), &verdict, &diag),
        BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(diag.check, "aws-nitro.chain");
    cr_assert_eq(judge(&court, device, AGENT_TAMPER_ROOT, bh_span_none(), &verdict, &diag),
        BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(diag.check, "aws-nitro.chain");
    cr_assert_eq(judge(&court, device, AGENT_TAMPER_EXPIRED, bh_span_none(), &verdict, &diag),
        BH_ERR_NOT_AUTHENTIC);
    cr_assert_str_eq(diag.check, "aws-nitro.validity");
    ev_chain_cache_free(court.trust.cache);
    court_close(&court);
    agent_device_free(device);
}

Test(judged, the_key_in_a_nitro_document_must_be_the_bound_one)
{
    struct agent_device *device = NULL;
    struct ev_verdict verdict = {0};
    struct bh_diag diag = {0};
    EVP_PKEY *key = NULL, *other = NULL;
    uint8_t spki[BH_SPKI_MAX], wrong[BH_SPKI_MAX];
    size_t len = 0, wrong_len = 0;
    struct court court;
    char *cmw = NULL;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_generate("P-256", &other, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(other, wrong, sizeof(wrong), &wrong_len, NULL), BH_OK);
    cr_assert_eq(agent_device_make("aws-nitro", 1, &device, NULL), BH_OK);
    open_court(&court, device);
    cr_assert_eq(
        judge(&court, device, AGENT_TAMPER_NONE, bh_span(spki, len), &verdict, &diag), BH_OK);
    cr_assert_eq(agent_device_evidence(
                     device, binding, bh_span(spki, len), AGENT_TAMPER_NONE, NOW, &cmw, NULL),
        BH_OK);
    cr_assert_eq(court_judge(&court, cmw, binding, bh_span(wrong, wrong_len), NOW, &verdict, &diag),
        BH_ERR_BINDING);
    cr_assert_str_eq(diag.check, "aws-nitro.public_key");
    free(cmw);
    court_close(&court);
    agent_device_free(device);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* One device's admission does not admit another. */
Test(judged, another_device_is_refused)
{
    const char *const checks[] = {"aws-nitro.pcr4", "arm-cca.instance", "psa.instance",
        "amd-sev-snp.chip_id", "intel-sgx.ppid", "intel-tdx.ppid", "aws-nitrotpm.instance_id",
        "tpm2.ak"};

    for (size_t i = 0; i < BH_COUNT(checks); i++) {
        struct agent_device *one = NULL, *two = NULL;
        struct ev_verdict verdict = {0};
        struct bh_diag diag = {0};
        struct court court;

        cr_assert_eq(agent_device_make(agent_simulator_platforms()[i], 2, &one, NULL), BH_OK);
        cr_assert_eq(agent_device_make(agent_simulator_platforms()[i], 4, &two, NULL), BH_OK);
        open_court(&court, one);
        cr_expect_neq(
            judge(&court, two, AGENT_TAMPER_NONE, bh_span_none(), &verdict, &diag), BH_OK);
        cr_expect_str_eq(diag.check, checks[i], "%s", diag.check);
        court_close(&court);
        agent_device_free(one);
        agent_device_free(two);
    }
}
