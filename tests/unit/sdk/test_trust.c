/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A root text must be refused as wrong usage by @p check ("": by none) . */
static void
root_refused(const char *pem, size_t len, const char *check)
{
    bh_failure *failure = bh_failure_new();
    bh_trust *trust = NULL;

    cr_expect_eq(bh_trust_new(pem, len, &trust, failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(failure), check, "%s", bh_failure_detail(failure));
    cr_expect_str_neq(bh_failure_hint(failure), "");
    cr_expect_null(trust);
    bh_failure_free(failure);
}

static void
made_root_refused(const struct bh_test_root *root, const char *check)
{
    struct bh_test_ca ca;

    bh_test_ca_make(&ca, root);
    root_refused(ca.root_pem, strlen(ca.root_pem), check);
    bh_test_ca_clear(&ca);
}

Test(trust, roots_that_are_none)
{
    struct bh_test_ca ca;

    root_refused("", 0, "");
    root_refused("hello", 5, "");
    made_root_refused(&(struct bh_test_root){.domain = "fleet.example", .name_constraints = ""},
        "root.name_constraints");
    made_root_refused(&(struct bh_test_root){.domain = "fleet.example",
                          .name_constraints = "permitted;URI:fleet.example"},
        "root.name_constraints");
    made_root_refused(
        &(struct bh_test_root){.domain = "fleet.example",
            .name_constraints = "critical,permitted;URI:a.example,permitted;URI:b.example"},
        "root.name_constraints");
    made_root_refused(&(struct bh_test_root){.domain = "fleet.example",
                          .name_constraints = "critical,permitted;DNS:fleet.example"},
        "root.name_constraints");
    made_root_refused(&(struct bh_test_root){.domain = "fleet.example",
                          .name_constraints = "critical,permitted;URI:.Fleet.example"},
        "root.name_constraints");
    made_root_refused(
        &(struct bh_test_root){.domain = "fleet.example", .basic_constraints = "critical,CA:FALSE"},
        "root.self_signed");

    bh_test_ca_make(&ca, &(struct bh_test_root){.domain = "fleet.example"});
    char *issuing = bh_test_pem(ca.issuing);
    root_refused(issuing, strlen(issuing), "root.self_signed");
    free(issuing);
    bh_test_ca_clear(&ca);
}

Test(trust, too_much_text)
{
    bh_failure *failure = bh_failure_new();
    const size_t len = 1024 * 1024 + 1;
    char *text = calloc(1, len);
    bh_trust *trust = NULL;

    cr_expect_eq(bh_trust_new(text, len, &trust, failure), BH_RESULT_USAGE);
    free(text);
    bh_failure_free(failure);
}

Test(trust, two_roots_and_files)
{
    struct bh_test_ca a, b;
    bh_failure *failure = bh_failure_new();
    bh_trust *trust = NULL;
    char path[] = "/tmp/bh-trust-XXXXXX";
    const int fd = mkstemp(path);

    bh_test_ca_make(&a, &(struct bh_test_root){.domain = "a.example"});
    bh_test_ca_make(&b, &(struct bh_test_root){.domain = "b.example", .simulated = true});
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, a.root_pem, strlen(a.root_pem)), (ssize_t)strlen(a.root_pem));
    cr_assert_eq(write(fd, b.root_pem, strlen(b.root_pem)), (ssize_t)strlen(b.root_pem));
    close(fd);
    cr_assert_eq(
        bh_trust_load(path, &trust, failure), BH_RESULT_OK, "%s", bh_failure_detail(failure));
    cr_assert_eq(bh_failure_result(failure), BH_RESULT_OK);
    cr_assert_str_eq(bh_failure_code(failure), "");
    bh_trust_free(trust);
    unlink(path);
    trust = NULL;
    cr_expect_eq(bh_trust_load(path, &trust, failure), BH_RESULT_USAGE);
    cr_expect_null(trust);
    bh_trust_free(NULL);
    bh_failure_free(failure);
    bh_test_ca_clear(&a);
    bh_test_ca_clear(&b);
}

Test(expectation, names_and_numbers)
{
    bh_failure *failure = bh_failure_new();
    bh_expectation *x = NULL;
    unsigned char bytes[65] = {1};

    cr_expect_eq(bh_expectation_new(NULL, &x, failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(failure), "workload");
    cr_expect_eq(bh_expectation_new("No Workload", &x, failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(failure), "workload");
    cr_expect_null(x);
    cr_assert_eq(bh_expectation_new("payments", &x, failure), BH_RESULT_OK);
    cr_expect_eq(bh_expectation_platform(x, "", failure), BH_RESULT_USAGE);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(bh_expectation_platform(x, "psa", failure), BH_RESULT_OK);
    cr_expect_eq(bh_expectation_platform(x, "psa", failure), BH_RESULT_USAGE);
    cr_expect_eq(bh_expectation_measurement(x, bytes, 15, failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(failure), "measurement");
    cr_expect_eq(bh_expectation_measurement(x, bytes, 65, failure), BH_RESULT_USAGE);
    for (int i = 0; i < 64; i++)
        cr_expect_eq(bh_expectation_measurement(x, bytes, 32, failure), BH_RESULT_OK);
    cr_expect_eq(bh_expectation_measurement(x, bytes, 32, failure), BH_RESULT_USAGE);
    memset(bytes, 0, sizeof(bytes));
    cr_expect_eq(bh_expectation_measurement(x, bytes, 32, failure), BH_RESULT_USAGE);
    cr_expect_eq(bh_expectation_crl(x, bytes, sizeof(bytes), failure), BH_RESULT_USAGE);
    cr_expect_str_eq(bh_failure_check(failure), "crl");
    cr_expect_eq(bh_expectation_crl(x, bytes, 0, failure), BH_RESULT_USAGE);
    bh_expectation_free(x);
    bh_expectation_free(NULL);
    bh_failure_free(failure);
    bh_failure_free(NULL);
}
