/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's two requests, from payload to payload. */
#include "fixture.h"

#include "signer/requests.h"

#include "core/cose.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct fixture f;
static struct pas_issuing *issuing;
static struct pas_signing *signing;
static uint8_t payload[32768];

static void
setup(void)
{
    fixture_init(&f, false);
    cr_assert_eq(pas_issuing_load(f.dir, &f.config, f.now, &issuing, NULL), BH_OK);
    signing = calloc(1, sizeof(*signing));
    signing->issuing = issuing;
    signing->now = f.now;
}

static void
teardown(void)
{
    free(signing);
    pas_issuing_free(issuing);
    fixture_clear(&f);
}

static struct bh_span
encoded(void)
{
    struct bh_writer w;
    struct bh_span all;

    bh_writer_init(&w, payload, sizeof(payload));
    pas_certificate_encode(&w, &f.request);
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    return all;
}

TestSuite(requests, .init = setup, .fini = teardown);

Test(requests, certificate)
{
    struct bh_diag diag = {0};
    struct pas_signed answer;
    struct bh_span reply;
    struct bh_ear *ear = calloc(1, sizeof(*ear));

    cr_assert_eq(pas_signing_serve(signing, PAS_SIGN_CERTIFICATE, encoded(), &reply, &diag), BH_OK,
        "%s: %s", diag.check, diag.detail);
    cr_assert_eq(pas_signed_decode(reply, &answer), BH_OK);
    cr_assert_eq(bh_ear_verify(answer.ear, f.ca.issuing_key, ear, &diag), BH_OK, "%s", diag.detail);
    cr_assert_str_eq(ear->workload, "payments");
    cr_assert_gt(answer.certificate.len, 500);
    free(ear);
}

static void
not_signed(uint16_t type, struct bh_span in, enum bh_err err, const char *check)
{
    struct bh_diag diag = {0};
    struct bh_span reply;

    cr_assert_eq(pas_signing_serve(signing, type, in, &reply, &diag), err, "%s", check);
    cr_assert_str_eq(diag.check, check);
}

Test(requests, certificate_refused)
{
    const struct bh_span good = encoded();

    not_signed(
        PAS_SIGN_CERTIFICATE, bh_span(good.ptr, good.len - 1), BH_ERR_MALFORMED, "signer.request");
    not_signed(PAS_SIGN_CERTIFICATE, bh_span_none(), BH_ERR_MALFORMED, "signer.request");
    not_signed(PAS_ISSUE, good, BH_ERR_MALFORMED, "signer.request");
    f.claims[0] ^= 0xff;
    not_signed(PAS_SIGN_CERTIFICATE, encoded(), BH_ERR_FORBIDDEN, "ear.malformed");
    f.claims[0] ^= 0xff;
    f.request.workload = bh_span_str("beachhead");
    not_signed(PAS_SIGN_CERTIFICATE, encoded(), BH_ERR_FORBIDDEN, "certificate.workload");
}

Test(requests, jwt)
{
    struct bh_diag diag = {0};
    struct pas_signed answer;
    struct bh_span reply;
    char *input = NULL;

    memset(f.ear.nonce, 7, sizeof(f.ear.nonce));
    f.ear.nonce_len = sizeof(f.ear.nonce);
    cr_assert_eq(bh_ear_jwt_input(&f.ear, &input, NULL), BH_OK);
    cr_assert_eq(pas_signing_serve(signing, PAS_SIGN_JWT, bh_span_str(input), &reply, &diag), BH_OK,
        "%s", diag.found);
    cr_assert_eq(pas_signed_decode(reply, &answer), BH_OK);
    cr_assert_eq(answer.certificate.len, 0);
    cr_assert_eq(bh_ecdsa_verify(f.ca.issuing_key, bh_span_str(input), answer.ear, NULL), BH_OK);
    free(input);
}

static void
jwt_refused(const char *header, const char *claims, const char *found)
{
    struct bh_diag diag = {0};
    struct bh_span reply;
    char text[1024], part[512];

    (void)snprintf(
        text, sizeof(text), "%s.", bh_base64url(bh_span_str(header), part, sizeof(part)));
    (void)strncat(text, bh_base64url(bh_span_str(claims), part, sizeof(part)), 512);
    cr_assert_eq(pas_signing_serve(signing, PAS_SIGN_JWT, bh_span_str(text), &reply, &diag),
        BH_ERR_FORBIDDEN, "%s", found);
    cr_assert_str_eq(diag.check, "jwt.input");
    cr_assert_str_eq(diag.found, found);
}

Test(requests, jwt_refused)
{
    static const char head[] = "{\"alg\":\"ES256\",\"typ\":\"eat+jwt\"}";
    static const char profile[] = "\"eat_profile\":\"tag:ietf.org,2026:rats/ear#04\"";
    char *input = NULL, text[512];

    jwt_refused("{\"alg\":\"none\"}", "{}", "another header");
    jwt_refused(head, "x", "claims that are no JSON");
    jwt_refused(head, "{}", "another profile");
    (void)snprintf(text, sizeof(text), "{%s,\"cnf\":{},\"submods\":{}}", profile);
    jwt_refused(head, text, "no eat_nonce");
    (void)snprintf(text, sizeof(text), "{%s,\"eat_nonce\":\"x\",\"submods\":{}}", profile);
    jwt_refused(head, text, "no cnf, or no submods");
    /* The EAR of a certificate has no nonce. */
    cr_assert_eq(bh_ear_jwt_input(&f.ear, &input, NULL), BH_OK);
    not_signed(PAS_SIGN_JWT, bh_span_str(input), BH_ERR_FORBIDDEN, "jwt.input");
    /* Nor is anything else signed: a certificate's bytes, a COSE structure. */
    not_signed(PAS_SIGN_JWT, encoded(), BH_ERR_FORBIDDEN, "jwt.input");
    not_signed(PAS_SIGN_JWT, bh_span_none(), BH_ERR_FORBIDDEN, "jwt.input");
    free(input);
}

static void
result_refused(const char *found)
{
    struct bh_diag diag = {0};
    struct bh_span reply;
    char *input = NULL;

    cr_assert_eq(bh_ear_jwt_input(&f.ear, &input, NULL), BH_OK);
    cr_assert_eq(pas_signing_serve(signing, PAS_SIGN_JWT, bh_span_str(input), &reply, &diag),
        BH_ERR_FORBIDDEN, "%s", found);
    cr_assert_str_eq(diag.check, "jwt.input");
    cr_assert_str_eq(diag.found, found);
    free(input);
}

/* What no certificate may say, no result says either. */
Test(requests, jwt_beyond_the_bounds)
{
    const struct bh_ear good = f.ear;

    f.ear.nonce_len = sizeof(f.ear.nonce);
    f.ear.simulated = true;
    result_refused("a simulated device, where none is allowed");
    f.ear = good;
    f.ear.nonce_len = sizeof(f.ear.nonce);
    (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "beachhead-x");
    result_refused("a workload that is none, or reserved");
    (void)snprintf(f.ear.workload, sizeof(f.ear.workload), "payments");
    f.ear.exp = f.ear.iat + f.config.certificate_lifetime_max + f.config.clock_skew + 1;
    result_refused("another time, or too long a life");
    f.ear.iat = f.now + f.config.clock_skew + 1;
    f.ear.exp = f.ear.iat + 60;
    result_refused("another time, or too long a life");
    f.ear.iat = f.now - 60;
    f.ear.exp = f.now;
    result_refused("another time, or too long a life");
}
