/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded quotes of TPMs through the real command: alone, with what belongs to them in a folder.
 */
#include "run.h"

#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Copy a vector into the folder under a name; the path is valid for a while. */
static const char *
give(const char *vector, const char *name)
{
    size_t len;
    uint8_t *bytes = bh_vector(vector, &len);
    const char *path = put(name, bh_span(bytes, len));

    free(bytes);
    return path;
}

static void
authentic(const struct ran *r, bool want)
{
    cr_expect_str_eq(text_of(r, "platform"), "tpm2");
    cr_expect_eq(json_is_true(json_object_get(r->json, "authentic")), want, "%s", r->err);
}

Test(tpm2, certified, .fini = end_folder)
{
    static const char *const banks[] = {"sha1", "sha256", "sha384"};
    char vector[128], name[64];
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    (void)give("tpm/gce-cos85-sev/ak_pub.tpmt", "ak_pub.tpmt");
    (void)give("tpm/gce-cos85-sev/ak_cert.der", "ak_cert.der");
    (void)give("tpm/gce-cos85-sev/pcrs.json", "pcrs.json");
    (void)give("tpm/gce-cos85-sev/eventlog.bin", "eventlog.bin");
    for (size_t i = 0; i < COUNT(banks); i++) {
        (void)snprintf(name, sizeof(name), "quote_%s.sig.tpmt", banks[i]);
        (void)snprintf(vector, sizeof(vector), "tpm/gce-cos85-sev/%s", name);
        (void)give(vector, name);
        (void)snprintf(vector, sizeof(vector), "tpm/gce-cos85-sev/quote_%s.msg", banks[i]);
        const char *quote = give(vector, "quote");
        RUN(&r, "inspect", "--json", "--verify", "--at", "2024-01-01T00:00:00Z", "--collateral",
            folder(), quote);
        expect_json(&r, 0);
        authentic(&r, true);
        RUN(&r, "inspect", "--json", "--verify", quote);
        expect_json(&r, 1);
        cr_expect_str_eq(failed_check(&r), "tpm2.signature");
        RUN(&r, "inspect", "--json", quote);
        expect_json(&r, 0);
    }
    ran_clear(&r);
}

Test(tpm2, a_key_by_hand, .fini = end_folder)
{
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    const char *quote = give("tpm/swtpm-generated/rsapss-sha256.msg", "quote");
    const char *ak = give("tpm/swtpm-generated/rsapss-sha256.ak_pub.tpmt", "the_key");
    const char *other = give("tpm/swtpm-generated/ecc-p256-sha256.ak_pub.tpmt", "another_key");
    (void)give("tpm/swtpm-generated/rsapss-sha256.sig.tpmt", "signature.bin");
    (void)give("tpm/swtpm-generated/pcrs.json", "pcrs.json");
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), "--endorsed-key", ak, quote);
    expect_json(&r, 0);
    authentic(&r, true);
    (void)give("tpm/swtpm-generated/rsapss-sha256.ak_pub.tpmt", "ak_pub.tpmt");
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), "--endorsed-key", ak, quote);
    expect_json(&r, 0);
    /* A key in the folder is only what came with the quote. */
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), quote);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "tpm2.ak");
    RUN(&r, "inspect", "--json", "--verify", "--collateral", folder(), "--endorsed-key", other,
        quote);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "tpm2.ak");
    ran_clear(&r);
}

Test(tpm2, azure, .fini = end_folder)
{
    static const char *const files[] = {"quote.sig", "pcrs.json", "hcl_report.bin", "vcek.der"};
    char vector[128];
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < COUNT(files); i++) {
        (void)snprintf(vector, sizeof(vector), "tpm/azure-snp-vtpm-milan/%s", files[i]);
        (void)give(vector, files[i]);
    }
    const char *quote = give("tpm/azure-snp-vtpm-milan/quote.msg", "quote");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-01-01T00:00:00Z", "--collateral",
        folder(), quote);
    expect_json(&r, 0);
    authentic(&r, true);
    (void)give("tpm/azure-snp-vtpm-milan-userdata/pcrs.json", "pcrs.json");
    RUN(&r, "inspect", "--json", "--verify", "--at", "2026-01-01T00:00:00Z", "--collateral",
        folder(), quote);
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "tpm2.pcr_digest");
    ran_clear(&r);
}
