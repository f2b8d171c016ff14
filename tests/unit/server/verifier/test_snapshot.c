/* SPDX-License-Identifier: Apache-2.0 */
/* What a verifier judges by: read whole, or refused by file and reason. */
#include "peers.h"

#include "core/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct bench b;
static struct agent_device *devices[3];

static void
set_up(void)
{
    bench_folder(&b, devices);
}

static void
tear_down(void)
{
    bench_remove(&b);
    for (size_t i = 0; i < 3; i++)
        agent_device_free(devices[i]);
}

TestSuite(snapshot, .init = set_up, .fini = tear_down);

static void
put(const char *name, struct bh_span bytes)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", b.dir, name);
    cr_assert_eq(bh_file_write(path, bytes, 0600, NULL), BH_OK);
}

static uint8_t *
get(const char *name, size_t *ret_len)
{
    char path[256];
    uint8_t *bytes = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", b.dir, name);
    cr_assert_eq(bh_file_read(path, BH_POLICY_MAX, &bytes, ret_len, NULL), BH_OK);
    return bytes;
}

/* The policy of the folder under another workload's name. */
static void
put_policy(const char *name, const char *workload)
{
    size_t len;
    uint8_t *bytes = get("policy/payments.json", &len);
    json_t *json = json_loadb((const char *)bytes, len, 0, NULL);
    char *text;

    cr_assert_not_null(json);
    (void)json_object_set_new(json, "workload", json_string(workload));
    text = json_dumps(json, 0);
    put(name, bh_span_str(text));
    free(text);
    free(bytes);
    json_decref(json);
}

static enum bh_err
read_all(struct pas_ground *g, struct bh_diag *diag)
{
    size_t len;
    uint8_t *bytes = bench_snapshot(&b, &len);
    const enum bh_err e = pas_ground_read(bh_span(bytes, len), &b.config, g, diag);

    free(bytes);
    return e;
}

static void
is_refused(enum bh_err err, const char *check, const char *file)
{
    struct bh_diag diag = {0};
    struct pas_ground g;

    cr_expect_eq(read_all(&g, &diag), err, "%s: %s", check, diag.detail);
    cr_expect_eq(strncmp(diag.check, check, strlen(check)), 0, "%s, not %s", diag.check, check);
    cr_expect_not_null(strstr(diag.detail, file), "%s", diag.detail);
    pas_ground_clear(&g);
}

Test(snapshot, is_read)
{
    struct bh_diag diag = {0};
    struct pas_ground g;

    put_policy("policy/a.json", "a");
    put_policy("policy/z.json", "zz");
    cr_assert_eq(read_all(&g, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(g.policies_len, 3);
    cr_assert_str_eq(ev_policy_workload(pas_ground_policy(&g, "a")), "a");
    cr_assert_str_eq(ev_policy_workload(pas_ground_policy(&g, "payments")), "payments");
    cr_assert_str_eq(ev_policy_workload(pas_ground_policy(&g, "zz")), "zz");
    cr_assert_null(pas_ground_policy(&g, "z"));
    cr_assert_null(pas_ground_policy(&g, ""));
    cr_assert_gt(g.trust.anchors_len, 0);
    cr_assert(g.trust.anchors[0].simulated);
    cr_assert_str_eq(g.trust.anchors[0].platform, "aws-nitro");
    cr_assert(g.trust.allow_simulated);
    pas_ground_clear(&g);
}

Test(snapshot, refuses_a_broken_policy)
{
    put("policy/broken.json", bh_span_str("{\"workload\":\"x\"}"));
    is_refused(BH_ERR_MALFORMED, "policy/broken.json", "policy/broken.json");
}

Test(snapshot, refuses_two_policies_for_one_workload)
{
    put_policy("policy/again.json", "payments");
    is_refused(BH_ERR_POLICY, "policy.workload", "payments");
}

Test(snapshot, refuses_reserved_workloads)
{
    put_policy("policy/pose.json", "beachhead-server");
    is_refused(BH_ERR_MALFORMED, "policy/pose.json", "policy/pose.json");
    put_policy("policy/pose.json", "attest.fleet.example");
    is_refused(BH_ERR_POLICY, "policy.workload", "policy/pose.json");
}

Test(snapshot, refuses_an_anchor_of_no_platform)
{
    put("trust/other.pem", bh_span_str("x"));
    is_refused(BH_ERR_USAGE, "trust.name", "trust/other.pem");
}

Test(snapshot, refuses_an_anchor_that_is_no_certificate)
{
    put("trust/aws-nitro-x.pem", bh_span_str("not PEM"));
    is_refused(BH_ERR_MALFORMED, "trust.pem", "trust/aws-nitro-x.pem");
}

Test(snapshot, refuses_a_simulated_root_among_the_vendors)
{
    size_t len;
    uint8_t *pem = get("trust/simulated/aws-nitro-simulated.pem", &len);

    put("trust/aws-nitro-simulated.pem", bh_span(pem, len));
    free(pem);
    is_refused(BH_ERR_SIMULATED, "trust.simulated", "trust/aws-nitro-simulated.pem");
}

/* One platform's name begins with another's: the file is of the longer one. */
Test(snapshot, an_anchor_is_of_the_platform_that_its_name_says)
{
    struct bh_diag diag = {0};
    struct pas_ground g;
    size_t len, of_tpm = 0, of_enclaves = 0;
    uint8_t *pem = get("trust/simulated/aws-nitro-simulated.pem", &len);

    put("trust/simulated/aws-nitrotpm-simulated.pem", bh_span(pem, len));
    free(pem);
    cr_assert_eq(read_all(&g, &diag), BH_OK, "%s", diag.detail);
    for (size_t i = 0; i < g.trust.anchors_len; i++) {
        of_tpm += strcmp(g.trust.anchors[i].platform, "aws-nitrotpm") == 0;
        of_enclaves += strcmp(g.trust.anchors[i].platform, "aws-nitro") == 0;
    }
    cr_expect_eq(of_tpm, 1);
    cr_expect_eq(of_enclaves, 1);
    pas_ground_clear(&g);
}

/* ---- collateral ---- */

#define IDENTITY(id)                                                                               \
    "{\"enclaveIdentity\":{\"id\":\"" id "\",\"issueDate\":\"2026-01-01T00:00:00Z\","              \
    "\"nextUpdate\":\"2026-02-01T00:00:00Z\"},\"signature\":\"00\"}"

static bool
answers(struct pas_ground *g, const char *kind, struct bh_span key, const char *text)
{
    struct bh_span bytes = bh_span_none();

    return g->trust.collateral(g->trust.collateral_arg, kind, key, &bytes, NULL) == BH_OK &&
           bh_span_is(bytes, text);
}

Test(snapshot, collateral_answers_by_its_content)
{
    const uint8_t sgx = 0, tdx = 0x81;
    struct bh_diag diag = {0};
    struct pas_ground g;
    uint8_t *bytes;
    size_t len;

    put("collateral/one.json", bh_span_str(IDENTITY("QE")));
    put("collateral/another.json", bh_span_str(IDENTITY("TD_QE")));
    bytes = bench_snapshot(&b, &len);
    cr_assert_eq(
        pas_ground_read(bh_span(bytes, len), &b.config, &g, &diag), BH_OK, "%s", diag.detail);
    cr_assert(pas_ground_borrows(&g));
    cr_assert(answers(&g, "qe_identity.json", bh_span(&sgx, 1), IDENTITY("QE")));
    cr_assert(answers(&g, "qe_identity.json", bh_span(&tdx, 1), IDENTITY("TD_QE")));
    cr_assert_not(answers(&g, "tcb_info.json", bh_span(&sgx, 1), IDENTITY("QE")));
    pas_ground_clear(&g);
    free(bytes);
}

Test(snapshot, without_collateral_nothing_is_borrowed)
{
    struct bh_diag diag = {0};
    struct pas_ground g;

    cr_assert_eq(read_all(&g, &diag), BH_OK, "%s", diag.detail);
    cr_assert_not(pas_ground_borrows(&g));
    cr_assert_not(answers(&g, "crl.der", bh_span_str("Milan/vcek"), ""));
    pas_ground_clear(&g);
}

Test(snapshot, refuses_collateral_that_is_none)
{
    put("collateral/notes.json", bh_span_str("{\"hello\":1}"));
    is_refused(BH_ERR_MALFORMED, "collateral.kind", "collateral/notes.json");
    put("collateral/notes.json", bh_span_str(IDENTITY("QVE")));
    is_refused(BH_ERR_MALFORMED, "collateral.form", "collateral/notes.json");
}

Test(snapshot, refuses_spoiled_bytes)
{
    struct bh_diag diag = {0};
    struct pas_ground g;
    size_t len;
    uint8_t *bytes = bench_snapshot(&b, &len);

    cr_assert_eq(pas_ground_read(bh_span(bytes, len - 1), &b.config, &g, &diag), BH_ERR_MALFORMED);
    pas_ground_clear(&g);
    free(bytes);
}
