/* SPDX-License-Identifier: Apache-2.0 */
/* What is put comes back; what must be refused is, by name; what is old goes. */
#include "folder.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define NOW 1700000000

static char folder[256];
static struct pas_store *store;
static struct bh_diag diag;

static void
setup(void)
{
    folder_make(folder);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK, "%s", diag.detail);
}

static void
teardown(void)
{
    pas_store_close(store);
    folder_remove(folder);
}

TestSuite(store, .init = setup, .fini = teardown);

#define OK(call)                                                                                   \
    do {                                                                                           \
        bh_diag_clear(&diag);                                                                      \
        cr_assert_eq((call), BH_OK, "%s", diag.detail);                                            \
    } while (0)

#define REFUSED(call, error, name)                                                                 \
    do {                                                                                           \
        bh_diag_clear(&diag);                                                                      \
        cr_assert_eq((call), (error));                                                             \
        cr_assert_eq(diag.err, (error));                                                           \
        cr_assert_str_eq(diag.check, (name));                                                      \
    } while (0)

Test(store, certificate_round_trip)
{
    struct pas_cert_record in = record_of(7, NOW), out;
    void *storage = NULL;

    OK(put_one(store, 7, NOW, &diag));
    OK(pas_store_certificate(store, in.serial, &out, &storage, &diag));
    cr_assert_arr_eq(out.serial, in.serial, sizeof(in.serial));
    cr_assert(bh_span_equal(out.workload, in.workload));
    cr_assert(bh_span_equal(out.platform, in.platform));
    cr_assert(bh_span_equal(out.der, in.der));
    cr_assert(bh_span_equal(out.evidence, in.evidence));
    cr_assert(bh_span_equal(out.hardware_id, in.hardware_id));
    cr_assert(bh_span_equal(out.peer, in.peer));
    cr_assert_eq(out.not_before, in.not_before);
    cr_assert_eq(out.not_after, in.not_after);
    cr_assert_eq(out.issued_at, in.issued_at);
    cr_assert(out.simulated);
    cr_assert_arr_eq(out.ear_digest, in.ear_digest, sizeof(in.ear_digest));
    cr_assert_arr_eq(out.policy_digest, in.policy_digest, sizeof(in.policy_digest));
    free(storage);
    in.serial[3] ^= 1;
    REFUSED(pas_store_certificate(store, in.serial, &out, &storage, &diag), BH_ERR_NOT_FOUND,
        "certificate.serial");
}

Test(store, serial_is_unique)
{
    const struct pas_cert_record c = record_of(1, NOW);

    OK(put_one(store, 1, NOW, &diag));
    OK(pas_store_begin(store, &diag));
    REFUSED(pas_store_put_certificate(store, &c, &diag), BH_ERR_IO, "store");
    /* The failed transaction stays failed, whatever follows. */
    REFUSED(pas_store_spend(store, NOW, hash_of(99), &diag), BH_ERR_IO, "store");
    REFUSED(pas_store_commit(store, &diag), BH_ERR_IO, "store");
    OK(pas_store_usable(store, &diag));
    OK(put_one(store, 2, NOW, &diag));
}

Test(store, challenge_is_spent_once)
{
    OK(try_to_spend(store, NOW + 120, hash_of(5), &diag));
    OK(put_one(store, 5, NOW, &diag));
    REFUSED(try_to_spend(store, NOW + 120, hash_of(5), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
    OK(pas_store_begin(store, &diag));
    OK(pas_store_spend(store, NOW + 120, hash_of(6), &diag));
    REFUSED(pas_store_spend(store, NOW + 120, hash_of(6), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
    REFUSED(pas_store_spend(store, NOW + 120, hash_of(5), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
    OK(pas_store_spend(store, NOW + 120, hash_of(8), &diag));
    OK(pas_store_commit(store, &diag));
    REFUSED(try_to_spend(store, NOW + 120, hash_of(8), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
}

Test(store, rollback_undoes)
{
    OK(pas_store_begin(store, &diag));
    OK(pas_store_spend(store, NOW, hash_of(1), &diag));
    pas_store_rollback(store);
    OK(try_to_spend(store, NOW, hash_of(1), &diag));
    REFUSED(pas_store_spend(store, NOW, hash_of(1), &diag), BH_ERR_INTERNAL, "store");
    OK(pas_store_begin(store, &diag));
    REFUSED(pas_store_begin(store, &diag), BH_ERR_INTERNAL, "store");
    OK(pas_store_commit(store, &diag));
}

static void
endorse(const uint32_t *keys, size_t n, const char *value, uint8_t source)
{
    uint8_t digest[PAS_STORE_HASH_LEN] = {source};

    OK(pas_store_begin(store, &diag));
    OK(pas_store_endorse_start(store, &diag));
    for (size_t i = 0; i < n; i++)
        OK(pas_store_endorse(store, hash_of(keys[i]), bh_span_str(value), &diag));
    OK(pas_store_endorse_finish(store, digest, &diag));
    OK(pas_store_commit(store, &diag));
}

Test(store, endorsements_are_replaced_as_a_whole)
{
    uint8_t value[16], source[PAS_STORE_HASH_LEN];
    size_t len = 0;
    int64_t count = -1;

    OK(pas_store_endorsed(store, source, &count, &diag));
    cr_assert_eq(count, 0);
    cr_assert(bh_span_is_zero(bh_span(source, sizeof(source))));
    endorse((const uint32_t[]){1, 2, 2}, 3, "old", 1);
    endorse((const uint32_t[]){2, 3}, 2, "new", 2);
    OK(pas_store_endorsed(store, source, &count, &diag));
    cr_assert_eq(count, 2);
    cr_assert_eq(source[0], 2);
    REFUSED(pas_store_endorsement(store, hash_of(1), value, sizeof(value), &len, &diag),
        BH_ERR_ENDORSEMENT_UNKNOWN, "endorsement");
    OK(pas_store_endorsement(store, hash_of(2), value, sizeof(value), &len, &diag));
    cr_assert(bh_span_is(bh_span(value, len), "new"));
    REFUSED(pas_store_endorsement(store, hash_of(2), value, 2, &len, &diag), BH_ERR_IO,
        "store.corrupt");
}

Test(store, device_endorsed_differently_is_refused)
{
    uint8_t value[16];
    size_t len = 0;

    endorse((const uint32_t[]){1}, 1, "old", 1);
    OK(pas_store_begin(store, &diag));
    OK(pas_store_endorse_start(store, &diag));
    OK(pas_store_endorse(store, hash_of(1), bh_span_str("a"), &diag));
    REFUSED(pas_store_endorse(store, hash_of(1), bh_span_str("b"), &diag), BH_ERR_USAGE,
        "endorsed.duplicate");
    REFUSED(pas_store_commit(store, &diag), BH_ERR_USAGE, "endorsed.duplicate");
    OK(pas_store_endorsement(store, hash_of(1), value, sizeof(value), &len, &diag));
    cr_assert(bh_span_is(bh_span(value, len), "old"));
}

Test(store, policy_versions)
{
    char *text = NULL;

    OK(pas_store_begin(store, &diag));
    OK(pas_store_put_policy(store, hash_of(1), "payments", "{}", NOW, &diag));
    OK(pas_store_put_policy(store, hash_of(1), "payments", "{}", NOW + 1, &diag));
    OK(pas_store_commit(store, &diag));
    OK(pas_store_policy(store, hash_of(1), &text, &diag));
    cr_assert_str_eq(text, "{}");
    free(text);
    REFUSED(pas_store_policy(store, hash_of(2), &text, &diag), BH_ERR_NOT_FOUND, "policy.digest");
}

Test(store, secret_is_made_once)
{
    struct pas_store *replica = NULL;
    uint8_t a[32] = {0}, b[32] = {1};

    OK(pas_store_secret(store, "challenge", a, sizeof(a), &diag));
    cr_assert(!bh_span_is_zero(bh_span(a, sizeof(a))));
    OK(pas_store_open(folder_store(folder), &replica, &diag));
    OK(pas_store_secret(replica, "challenge", b, sizeof(b), &diag));
    pas_store_close(replica);
    cr_assert_arr_eq(a, b, sizeof(a));
    OK(pas_store_secret(store, "other", b, sizeof(b), &diag));
    cr_assert_arr_neq(a, b, sizeof(a));
    REFUSED(pas_store_secret(store, "other", b, 16, &diag), BH_ERR_IO, "store.corrupt");
}

static void
put_refusals(unsigned n, int64_t at)
{
    const struct pas_refusal_record r = {.at = at,
        .code = bh_span_str("binding-mismatch"),
        .check = bh_span_str("psa.binding"),
        .peer = bh_span_str("192.0.2.1")};

    OK(pas_store_begin(store, &diag));
    for (unsigned i = 0; i < n; i++)
        OK(pas_store_put_refusal(store, &r, &diag));
    OK(pas_store_commit(store, &diag));
}

/* Clean until nothing is left to do; the number of steps. */
static unsigned
clean(int64_t now, int64_t retention, unsigned rows)
{
    bool more = true;
    unsigned steps = 0;

    for (; more && steps < 10000; steps++)
        OK(pas_store_clean(store, now, retention, rows, &more, &diag));
    return steps;
}

Test(store, retention)
{
    struct pas_store_stats stats;
    struct pas_cert_record out;
    void *storage = NULL;

    for (uint32_t i = 0; i < 25; i++)
        OK(put_one(store, i, NOW, &diag));
    OK(put_one(store, 100, NOW + 100000, &diag));
    put_refusals(25, NOW);
    put_refusals(1, NOW + 100000);

    /* Neither the challenges' hour nor the certificates' day is over. */
    cr_assert_eq(clean(NOW + 3600, 86400, 10), 1);
    REFUSED(try_to_spend(store, NOW + 120, hash_of(3), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
    OK(pas_store_stats(store, &stats, &diag));
    cr_assert_eq(stats.certificates, 26);
    cr_assert_eq(stats.refusals, 26);

    cr_assert_eq(clean(NOW + 3600 + 121, 86400, 10), 3, "25 challenges, 10 a step");
    OK(try_to_spend(store, NOW + 121, hash_of(3), &diag));
    OK(pas_store_certificate(store, record_of(3, NOW).serial, &out, &storage, &diag));
    free(storage);

    cr_assert_eq(clean(NOW + 3600 + 86401, 86400, 10), 3);
    REFUSED(pas_store_certificate(store, record_of(3, NOW).serial, &out, &storage, &diag),
        BH_ERR_NOT_FOUND, "certificate.serial");
    OK(pas_store_certificate(store, record_of(100, NOW).serial, &out, &storage, &diag));
    free(storage);
    REFUSED(try_to_spend(store, NOW + 100120, hash_of(100), &diag), BH_ERR_CHALLENGE_USED,
        "challenge.single_use");
    OK(pas_store_stats(store, &stats, &diag));
    cr_assert_eq(stats.certificates, 1);
    cr_assert_eq(stats.refusals, 1);
}

/* Certificates that live longer than younger ones are passed over; if nothing else is in sight, the
 * younger ones wait for their end. */
Test(store, long_lives_hold_up_few)
{
    const int64_t day = 86400;
    struct pas_cert_record out;
    void *storage = NULL;

    for (uint32_t i = 0; i < 13; i++) {
        if (i == 3)
            for (uint32_t k = 100; k < 125; k++)
                OK(put_one(store, k, NOW, &diag));
        OK(put_one(store, i, NOW + 100 * day, &diag));
    }
    for (uint32_t k = 200; k < 205; k++)
        OK(put_one(store, k, NOW, &diag));
    (void)clean(NOW + 3600 + day + 1, day, 10);
    for (uint32_t k = 100; k < 125; k++)
        REFUSED(pas_store_certificate(store, record_of(k, NOW).serial, &out, &storage, &diag),
            BH_ERR_NOT_FOUND, "certificate.serial");
    OK(pas_store_certificate(store, record_of(200, NOW).serial, &out, &storage, &diag));
    free(storage);
    for (uint32_t i = 0; i < 13; i++) {
        OK(pas_store_certificate(store, record_of(i, NOW).serial, &out, &storage, &diag));
        free(storage);
    }
    (void)clean(NOW + 102 * day, day, 10);
    REFUSED(pas_store_certificate(store, record_of(200, NOW).serial, &out, &storage, &diag),
        BH_ERR_NOT_FOUND, "certificate.serial");
}

/* The clock leaps ahead, the clean-up drops a spent challenge, the clock comes back: its MAC and
 * expiry are good again, but it was used. Also after a restart. */
Test(store, clocks_that_go_back_do_not_unspend)
{
    OK(put_one(store, 5, NOW, &diag));
    cr_assert_eq(clean(NOW + 30 * 86400, 365 * 86400, 10), 1);
    for (int turn = 0; turn < 2; turn++) {
        REFUSED(try_to_spend(store, NOW + 120, hash_of(5), &diag), BH_ERR_CHALLENGE_USED,
            "challenge.single_use");
        OK(pas_store_begin(store, &diag));
        REFUSED(pas_store_spend(store, NOW + 120, hash_of(5), &diag), BH_ERR_CHALLENGE_USED,
            "challenge.single_use");
        /* Younger ones are not concerned. */
        OK(pas_store_spend(store, NOW + 121, hash_of(6), &diag));
        pas_store_rollback(store);
        pas_store_close(store);
        OK(pas_store_open(folder_store(folder), &store, &diag));
        cr_assert_eq(pas_store_forgotten(store), NOW + 120);
    }
}

/* With the key that made them, the challenges of before are void, and need no record. */
Test(store, a_renewed_secret_begins_anew)
{
    uint8_t before[32], renewed[32], after[32];

    OK(pas_store_secret(store, "challenge", before, sizeof(before), &diag));
    OK(put_one(store, 5, NOW, &diag));
    cr_assert_eq(clean(NOW + 30 * 86400, 365 * 86400, 10), 1);
    OK(pas_store_secret_renew(store, "challenge", renewed, sizeof(renewed), &diag));
    cr_assert_arr_neq(renewed, before, sizeof(before));
    for (int turn = 0; turn < 2; turn++) {
        OK(pas_store_secret(store, "challenge", after, sizeof(after), &diag));
        cr_assert_arr_eq(after, renewed, sizeof(after));
        cr_assert_eq(pas_store_forgotten(store), 0);
        OK(try_to_spend(store, NOW + 120, hash_of(6), &diag));
        pas_store_close(store);
        OK(pas_store_open(folder_store(folder), &store, &diag));
    }
}

Test(store, refusals_are_bounded)
{
    struct pas_store_stats stats;

    put_refusals(PAS_STORE_REFUSALS_MAX + 700, NOW);
    cr_assert_gt(clean(NOW, 86400, 256), 1);
    OK(pas_store_stats(store, &stats, &diag));
    cr_assert_eq(stats.refusals, PAS_STORE_REFUSALS_MAX);
}
