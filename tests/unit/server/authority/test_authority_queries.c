/* SPDX-License-Identifier: Apache-2.0 */
/* What the frontend reads from the authority. */
#include "core/file.h"
#include "core/text.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct world w;

static void
setup(void)
{
    world_start(&w, NULL);
}

static void
teardown(void)
{
    world_end(&w);
}

TestSuite(authority_queries, .init = setup, .fini = teardown, .timeout = 60);

Test(authority_queries, challenge)
{
    struct reply reply;
    int64_t at = 0, expires_at = 0;

    world_ask(&w, PAS_MINT, NULL, 0, &reply);
    cr_assert_eq(reply.status, 201);
    cr_assert_str_eq(reply.type, "application/json");
    cr_assert_eq(json_object_size(reply.json), 2);
    cr_assert_eq(bh_time_read(reply_string(&reply, "expires_at"), &at), BH_OK);
    cr_assert(at > bh_time_now() + 100 && at <= bh_time_now() + 120);
    reply_clear(&reply);
    world_mint(&w);
    cr_assert_eq(pas_challenge_check(&w.challenges, bh_span(w.challenge, sizeof(w.challenge)),
                     bh_time_now(), &expires_at, NULL),
        BH_OK, "any replica with the key can check it");
}

Test(authority_queries, challenges_at_once)
{
    uint8_t n = PAS_MINTS_MAX;
    const char *previous = "";
    char *line, *rest;
    struct reply reply;
    unsigned lines = 0;

    world_ask(&w, PAS_MINT, &n, 1, &reply);
    cr_assert_eq(reply.status, 201);
    for (line = strtok_r(reply.text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *one = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        cr_assert_eq(json_object_size(one), 2);
        cr_assert_str_neq(line, previous);
        previous = line;
        json_decref(one);
        lines++;
    }
    cr_assert_eq(lines, PAS_MINTS_MAX);
    reply_clear(&reply);
}

static void
is_file(uint16_t type, const char *name)
{
    char path[300];
    struct reply reply;
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    cr_assert_eq(bh_file_read(path, 65536, &bytes, &len, NULL), BH_OK);
    world_ask(&w, type, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    cr_assert_str_eq(reply.type, "application/pem-certificate-chain");
    cr_assert_str_eq(reply.text, (const char *)bytes);
    reply_clear(&reply);
    free(bytes);
}

Test(authority_queries, roots_and_issuers)
{
    is_file(PAS_ROOTS_PEM, "ca/root.crt");
    is_file(PAS_ISSUERS_PEM, "ca/issuing.crt");
}

Test(authority_queries, info_and_readiness)
{
    struct reply reply;

    world_ask(&w, PAS_INFO, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    cr_assert_str_eq(reply_string(&reply, "trust_domain"), "fleet.example");
    cr_assert_str_eq(reply_string(&reply, "version"), BH_VERSION);
    cr_assert_geq(json_array_size(json_object_get(reply.json, "platforms")), 3);
    cr_assert(json_is_true(json_object_get(reply.json, "simulated")));
    reply_clear(&reply);
    world_ask(&w, PAS_READY, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    reply_clear(&reply);
}

Test(authority_queries, metrics)
{
    world_mint(&w);
    world_enrol(&w, NULL);
    cr_assert_eq(world_metric(&w, "challenges_minted_total"), 2);
    cr_assert_eq(world_metric(&w, "certificates_issued_total"), 1);
    cr_assert_eq(world_metric(&w, "commit_batches_total"), 1);
    cr_assert_eq(world_metric(&w, "store_errors_total"), 0);
    cr_assert_eq(world_metric(&w, "policies"), 1);
    cr_assert_eq(world_metric(&w, "endorsed_keys"), 0);
    cr_assert_eq(world_metric(&w, "refused_total{code=\"challenge-used\"}"), 0);
}
