/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges: each way in which one can be wrong has its name. */
#include "authority/challenge.h"

#include <criterion/criterion.h>

#define NOW 1700000000

static struct pas_challenges ours;
static uint8_t challenge[BH_CHALLENGE_LEN];

static void
setup(void)
{
    const uint8_t key[PAS_CHALLENGE_KEY_LEN] = {1};

    cr_assert_eq(pas_challenges_init(&ours, key, NULL), BH_OK);
    cr_assert_eq(pas_challenge_mint(&ours, NOW, 120, challenge, NULL), BH_OK);
}

static void
teardown(void)
{
    pas_challenges_clear(&ours);
}

TestSuite(challenge, .init = setup, .fini = teardown);

static void
refused(struct bh_span c, int64_t now, enum bh_err err, const char *check)
{
    struct bh_diag diag = {0};
    int64_t expires_at = -7;

    cr_assert_eq(pas_challenge_check(&ours, c, now, &expires_at, &diag), err);
    cr_assert_eq(diag.err, err);
    cr_assert_str_eq(diag.check, check);
    cr_assert_str_neq(diag.hint, "");
    cr_assert_eq(expires_at, -7);
}

Test(challenge, good_until_it_expires)
{
    int64_t expires_at = 0;

    for (int64_t now = NOW; now < NOW + 120; now += 17) {
        cr_assert_eq(pas_challenge_check(
                         &ours, bh_span(challenge, sizeof(challenge)), now, &expires_at, NULL),
            BH_OK);
        cr_assert_eq(expires_at, NOW + 120);
    }
    refused(bh_span(challenge, sizeof(challenge)), NOW + 120, BH_ERR_CHALLENGE_EXPIRED,
        "challenge.expiry");
    refused(bh_span(challenge, sizeof(challenge)), NOW + 1000000, BH_ERR_CHALLENGE_EXPIRED,
        "challenge.expiry");
}

Test(challenge, every_byte_counts)
{
    for (size_t i = 0; i < sizeof(challenge); i++) {
        challenge[i] ^= 0x80;
        refused(bh_span(challenge, sizeof(challenge)), NOW, BH_ERR_CHALLENGE_INVALID,
            i == 0 ? "challenge.form" : "challenge.mac");
        challenge[i] ^= 0x80;
    }
}

Test(challenge, every_length_but_one_is_wrong)
{
    uint8_t longer[BH_CHALLENGE_LEN + 1] = {0};

    for (size_t len = 0; len < sizeof(challenge); len++)
        refused(bh_span(challenge, len), NOW, BH_ERR_CHALLENGE_INVALID, "challenge.form");
    memcpy(longer, challenge, sizeof(challenge));
    refused(bh_span(longer, sizeof(longer)), NOW, BH_ERR_CHALLENGE_INVALID, "challenge.form");
}

Test(challenge, of_another_server)
{
    const uint8_t key[PAS_CHALLENGE_KEY_LEN] = {2};
    struct pas_challenges theirs;

    cr_assert_eq(pas_challenges_init(&theirs, key, NULL), BH_OK);
    cr_assert_eq(pas_challenge_mint(&theirs, NOW, 120, challenge, NULL), BH_OK);
    pas_challenges_clear(&theirs);
    refused(bh_span(challenge, sizeof(challenge)), NOW, BH_ERR_CHALLENGE_INVALID, "challenge.mac");
}

Test(challenge, of_a_replica)
{
    const uint8_t key[PAS_CHALLENGE_KEY_LEN] = {1};
    struct pas_challenges replica;
    int64_t expires_at;

    cr_assert_eq(pas_challenges_init(&replica, key, NULL), BH_OK);
    cr_assert_eq(pas_challenge_check(
                     &replica, bh_span(challenge, sizeof(challenge)), NOW, &expires_at, NULL),
        BH_OK);
    pas_challenges_clear(&replica);
}

Test(challenge, never_twice)
{
    uint8_t other[BH_CHALLENGE_LEN];

    cr_assert_eq(pas_challenge_mint(&ours, NOW, 120, other, NULL), BH_OK);
    cr_assert_arr_neq(challenge, other, sizeof(other));
}
