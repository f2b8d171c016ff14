/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded evidence through the real command: authentic as its tables say, and nothing else. */
#include "run.h"

#include "support/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *
path_of(const char *name)
{
    static char paths[4][4096];
    static size_t next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", bh_vectors(), name);
    return path;
}

static const char *
member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));

    return text == NULL ? "" : text;
}

/* Kinds that carry a signature that this version verifies. */
static bool
is_judged(const char *kind)
{
    static const char *const kinds[] = {"nitro", "nitrotpm", "cca", "parsec-cca", "psa", "ear-jwt"};

    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

/* A NitroTPM's document is authentic, though no policy takes it for an enclave's. A key that comes
 * with the result vouches for nothing. */
static bool
should_hold(const json_t *row)
{
    const char *expect = member(row, "expect"), *kind = member(row, "kind");

    if (strcmp(kind, "nitro") == 0 || strcmp(kind, "nitrotpm") == 0)
        return strcmp(expect, "genuine") == 0;
    return strcmp(expect, "valid") == 0 && strcmp(member(row, "key"), "embedded-jwk") != 0;
}

static const char *
time_of(const json_t *expected, const char *file)
{
    const json_t *row;
    size_t i;

    json_array_foreach(expected, i, row)
    {
        if (strcmp(member(row, "file"), file) == 0 && member(row, "time")[0] != '\0')
            return member(row, "time");
    }
    return "2026-01-01T00:00:00Z";
}

Test(vectors, authentic_as_the_tables_say, .timeout = 250)
{
    size_t i, held = 0, refused = 0;
    struct ran r = {0};
    const json_t *row;

    if (bh_vectors() == NULL)
        return;
    json_t *manifest = bh_vector_json("manifest-ncp.json");
    json_t *expected = bh_vector_json("expected-ncp.json");
    json_array_foreach(manifest, i, row)
    {
        const char *file = member(row, "file"), *key = member(row, "key");
        const char *at = time_of(expected, file);

        if (!is_judged(member(row, "kind")))
            continue;
        if (strcmp(file, "psa/cmc-p1-certified-iak.cbor") == 0 ||
            strcmp(file, "psa/bad-cmc-p1-altered-claim.cbor") == 0)
            key = "psa/cmc-iak-cert.pem";
        if (key[0] != '\0' && strcmp(key, "embedded-jwk") != 0)
            RUN(&r, "inspect", "--json", "--verify", "--at", at, "--endorsed-key", path_of(key),
                path_of(file));
        else
            RUN(&r, "inspect", "--json", "--verify", "--at", at, path_of(file));
        const bool hold = should_hold(row);
        cr_expect_eq(r.status, hold ? 0 : 1, "%s: status %d: %s", file, r.status, r.err);
        cr_expect_eq(json_is_true(json_object_get(r.json, "authentic")), hold, "%s", file);
        cr_expect_eq(failed_check(&r)[0] == '\0', hold, "%s: %s", file, failed_check(&r));
        hold ? held++ : refused++;
    }
    cr_expect_geq(held, 35, "only %zu", held);
    cr_expect_geq(refused, 20, "only %zu", refused);
    json_decref(manifest);
    json_decref(expected);
    ran_clear(&r);
}

/* Every file of the folders: shown or refused by name, in one document, never with a crash. */
Test(vectors, every_file, .timeout = 250)
{
    struct ran r = {0};
    size_t i;
    const json_t *row;

    if (bh_vectors() == NULL)
        return;
    json_t *manifest = bh_vector_json("manifest-ncp.json");
    json_array_foreach(manifest, i, row)
    {
        const char *file = member(row, "file");

        RUN(&r, "inspect", "--json", path_of(file));
        cr_expect(r.status == 0 || r.status == 1, "%s: %d", file, r.status);
        cr_expect(json_is_object(r.json), "%s: %s", file, r.out);
        cr_expect_eq(r.status == 0, failed_check(&r)[0] == '\0', "%s: %s", file, failed_check(&r));
    }
    json_decref(manifest);
    ran_clear(&r);
}

Test(vectors, published_keys_are_flagged)
{
    static const struct {
        const char *file, *key;
        int status;
    } cases[] = {
        {"cca/tfm-cmw907-realm2.cbor", "cca/cpak-fvp-p384.pub.pem", 0},
        {"psa/rfc9783-sign1.cbor", "psa/iak-tfm-es.pub.pem", 0},
        {"psa/rfc9783-mac0.cbor", "psa/rfc9783-hs256.key.bin", 0},
        {"psa/tfm-p2-sign1.cbor", "psa/iak-tfm-builtin.pub.pem", 0},
        {"ear/veraison-ear-arc-ok.jwt", "ear/veraison-test-signer.pub.pem", 0},
        {"psa/rfc9783-sign1.cbor", "cca/cpak-fvp-p384.pub.pem", 1},
    };
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    for (size_t i = 0; i < COUNT(cases); i++) {
        RUN(&r, "inspect", "--json", "--verify", "--endorsed-key", path_of(cases[i].key),
            path_of(cases[i].file));
        cr_expect_eq(r.status, cases[i].status, "%s: %s", cases[i].file, r.err);
        cr_expect_eq(json_array_size(json_object_get(r.json, "warnings")), 1, "%s", cases[i].file);
        RUN(&r, "inspect", "--verify", "--endorsed-key", path_of(cases[i].key),
            path_of(cases[i].file));
        cr_expect_eq(r.status, cases[i].status);
        cr_expect_not_null(strstr(r.err, "published"), "%s: %s", cases[i].file, r.err);
    }
    ran_clear(&r);
}

/* Only with the anchor that it claims; the vendor's root is not asked then. */
Test(vectors, anchors_replace_the_built_in_ones)
{
    static const char doc[] = "nitro/veracruz-2022-11-09-prod.cbor", at[] = "2022-11-09T22:52:00Z";
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    RUN(&r, "inspect", "--json", "--verify", "--at", at, path_of(doc));
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor",
        path_of("nitro/aws-nitro-root-g1.der"), path_of(doc));
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor",
        path_of("nitro/bad-fortanix-unknown-ca.pem"), path_of(doc));
    expect_json(&r, 1);
    RUN(&r, "inspect", "--json", "--verify", "--at", at, "--trust-anchor",
        path_of("nitro/bad-fortanix-root-tampered.pem"), path_of(doc));
    cr_expect_neq(r.status, 0);
    RUN(&r, "inspect", "--json", "--verify", path_of(doc));
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "aws-nitro.validity");
    ran_clear(&r);
}

/* A GPU's report with its chain beside it; alone it is nobody's word. */
Test(vectors, gpu)
{
    static const char report[] = "nvidia/hopper-570/evidence.bin", folder[] = "nvidia/hopper-570";
    struct ran r = {0};

    if (bh_vectors() == NULL)
        return;
    RUN(&r, "inspect", "--json", "--verify", "--collateral", path_of(folder), path_of(report));
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "kind"), "evidence");
    cr_expect_str_eq(text_of(&r, "platform"), "nvidia-gpu");
    RUN(&r, "inspect", "--json", "--verify", path_of(report));
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "platform"), "nvidia-gpu");
    cr_expect_str_eq(failed_check(&r), "nvidia-gpu.cert_chain");
    RUN(&r, "inspect", "--json", "--verify", "--collateral",
        path_of("nvidia/neg-hopper-bad-signature"),
        path_of("nvidia/neg-hopper-bad-signature/evidence.bin"));
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "nvidia-gpu.signature");
    RUN(&r, "inspect", path_of(report));
    expect_run(&r, 0, "");
    cr_expect(strstr(r.out, "DRIVER_VERSION") != NULL && strstr(r.out, "570.124.03") != NULL);
    ran_clear(&r);
}
