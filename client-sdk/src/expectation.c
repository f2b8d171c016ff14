/* SPDX-License-Identifier: Apache-2.0 */
#include "src/internal.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

static enum bh_err
expectation_make(
    const char *workload, struct bh_expectation **ret_expectation, struct bh_diag *diag)
{
    struct bh_expectation *x;

    if (workload != NULL && !bh_is_workload(bh_span_str(workload)))
        return bh_refuse(diag, BH_ERR_USAGE, "workload", "[a-z0-9][a-z0-9._-]{0,62}", workload,
            "the name of the expected workload is none");
    if ((x = calloc(1, sizeof(*x))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "expectation");
    x->any_workload = workload == NULL;
    (void)snprintf(x->workload, sizeof(x->workload), "%s", workload == NULL ? "" : workload);
    *ret_expectation = x;
    return BH_OK;
}

enum bh_result
bh_expectation_new(
    const char *workload, struct bh_expectation **ret_expectation, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    enum bh_err e;

    if (workload == NULL)
        e = bh_refuse(&diag, BH_ERR_USAGE, "workload", "a workload's name", "none",
            "a connection needs to know whom it expects");
    else
        e = expectation_make(workload, ret_expectation, &diag);
    return bh_failure_set(failure, &diag, e);
}

enum bh_result
bh_expectation_new_insecure_any_workload(
    struct bh_expectation **ret_expectation, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    const enum bh_err e = expectation_make(NULL, ret_expectation, &diag);

    return bh_failure_set(failure, &diag, e);
}

struct bh_expectation *
bh_expectation_copy(const struct bh_expectation *expectation)
{
    struct bh_expectation *x = malloc(sizeof(*x));

    if (x == NULL)
        return NULL;
    *x = *expectation;
    if (x->crl != NULL && X509_CRL_up_ref(x->crl) != 1) {
        free(x);
        return NULL;
    }
    return x;
}

void
bh_expectation_free(struct bh_expectation *expectation)
{
    if (expectation == NULL)
        return;
    X509_CRL_free(expectation->crl);
    free(expectation);
}

enum bh_result
bh_expectation_platform(
    struct bh_expectation *expectation, const char *platform, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    enum bh_err e = BH_OK;

    if (platform == NULL || platform[0] == '\0' || strlen(platform) >= BH_EAR_PLATFORM_MAX)
        e = bh_refuse(&diag, BH_ERR_USAGE, "platform", "a platform's name",
            platform == NULL ? "none" : platform, "the name of the expected platform is none");
    else if (expectation->platforms_len == BH_PLATFORMS_MAX)
        e = bh_fail(&diag, BH_ERR_USAGE, "more than %d expected platforms", BH_PLATFORMS_MAX);
    else
        (void)snprintf(expectation->platforms[expectation->platforms_len++], BH_EAR_PLATFORM_MAX,
            "%s", platform);
    return bh_failure_set(failure, &diag, e);
}

enum bh_result
bh_expectation_measurement(struct bh_expectation *expectation, const unsigned char *bytes,
    size_t len, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    enum bh_err e = BH_OK;

    if (len < 16 || len > 64 || bh_span_is_zero(bh_span(bytes, len))) {
        e = bh_refuse(&diag, BH_ERR_USAGE, "measurement", "16 to 64 bytes, not all zero", NULL,
            "the expected measurement of %zu bytes is none", len);
    } else if (expectation->measurements_len == BH_MEASUREMENTS_MAX) {
        e = bh_fail(&diag, BH_ERR_USAGE, "more than %d expected measurements", BH_MEASUREMENTS_MAX);
    } else {
        memcpy(expectation->measurements[expectation->measurements_len].bytes, bytes, len);
        expectation->measurements[expectation->measurements_len++].len = len;
    }
    return bh_failure_set(failure, &diag, e);
}

void
bh_expectation_accept_warning(struct bh_expectation *expectation)
{
    expectation->accept_warning = true;
}

static X509_CRL *
read_crl(struct bh_span in)
{
    const uint8_t *at = in.ptr;
    X509_CRL *crl = NULL;

    if (in.len == 0 || in.len > BH_ROOTS_PEM_MAX)
        return NULL;
    if (in.ptr[0] == 0x30) {
        crl = d2i_X509_CRL(NULL, &at, (long)in.len);
        if (crl != NULL && at != in.ptr + in.len) {
            X509_CRL_free(crl);
            crl = NULL;
        }
        return crl;
    }
    BIO *bio = BIO_new_mem_buf(in.ptr, (int)in.len);
    if (bio != NULL)
        crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return crl;
}

enum bh_result
bh_expectation_crl(struct bh_expectation *expectation, const unsigned char *crl, size_t len,
    struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    enum bh_err e = BH_OK;
    X509_CRL *list = read_crl(bh_span(crl, len));

    if (list == NULL) {
        e = bh_refuse(&diag, BH_ERR_USAGE, "crl", "one CRL in PEM or DER", "something else",
            "the revocation list is malformed (RFC 5280, 5)");
    } else {
        X509_CRL_free(expectation->crl);
        expectation->crl = list;
    }
    return bh_failure_set(failure, &diag, e);
}

void
bh_expectation_require_revocation(struct bh_expectation *expectation)
{
    expectation->require_revocation = true;
}

void
bh_expectation_require_log(struct bh_expectation *expectation)
{
    expectation->require_log = true;
}
