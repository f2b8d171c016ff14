/* SPDX-License-Identifier: Apache-2.0 */
/* A writer killed at any moment, and a disk without space: nothing acknowledged is lost. */
#include "folder.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW 1700000000
#define ROUNDS 12

static char folder[256];

static void
setup(void)
{
    folder_make(folder);
}

static void
teardown(void)
{
    folder_remove(folder);
}

TestSuite(store_survival, .init = setup, .fini = teardown);

/* Groups of three; a number is acknowledged on the pipe when its group is durable. */
static void
write_for_ever(uint32_t from, int ack)
{
    struct pas_store *store = NULL;

    if (pas_store_open(folder_store(folder), &store, NULL) != BH_OK)
        _exit(1);
    for (uint32_t n = from;; n += 3) {
        if (pas_store_begin(store, NULL) != BH_OK)
            _exit(2);
        for (uint32_t i = n; i < n + 3; i++) {
            const struct pas_cert_record c = record_of(i, NOW);
            if (pas_store_spend(store, NOW + 120, hash_of(i), NULL) != BH_OK ||
                pas_store_put_certificate(store, &c, NULL) != BH_OK)
                _exit(3);
        }
        if (pas_store_commit(store, NULL) != BH_OK)
            _exit(4);
        for (uint32_t i = n; i < n + 3; i++)
            if (write(ack, &i, sizeof(i)) != sizeof(i))
                _exit(5);
    }
}

/* All up to @p last are there, each once, challenge and certificate together. */
static uint32_t
count_and_check(struct pas_store *store, uint32_t last)
{
    struct pas_cert_record c;
    void *storage = NULL;
    uint32_t n = 0;

    for (;; n++) {
        const enum bh_err e =
            pas_store_certificate(store, record_of(n, NOW).serial, &c, &storage, NULL);
        const enum bh_err spent = try_to_spend(store, NOW + 120, hash_of(n), NULL);
        if (e == BH_ERR_NOT_FOUND) {
            cr_assert_eq(spent, BH_OK, "a challenge is spent without its certificate");
            break;
        }
        cr_assert_eq(e, BH_OK);
        cr_assert_eq(spent, BH_ERR_CHALLENGE_USED);
        free(storage);
    }
    cr_assert_geq(n, last, "acknowledged up to %u, found up to %u", last, n);
    return n;
}

Test(store_survival, killed_writer)
{
    uint32_t next = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pas_store *store = NULL;
        struct bh_diag diag = {0};
        uint32_t seen = next, got;
        int ack[2];

        cr_assert_eq(pipe(ack), 0);
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            (void)close(ack[0]);
            write_for_ever(next, ack[1]);
        }
        (void)close(ack[1]);
        for (unsigned i = 0; i < 20 && read(ack[0], &got, sizeof(got)) == sizeof(got); i++)
            seen = got + 1;
        (void)usleep(1000 * (round * 7 % 23));
        cr_assert_eq(kill(pid, SIGKILL), 0);
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        while (read(ack[0], &got, sizeof(got)) == sizeof(got))
            seen = got + 1;
        (void)close(ack[0]);
        cr_assert_gt(seen, next, "the writer got nowhere");

        cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK, "%s", diag.detail);
        next = count_and_check(store, seen);
        cr_assert_eq(put_one(store, next - 1, NOW, NULL), BH_ERR_CHALLENGE_USED);
        pas_store_close(store);
        cr_assert_eq(next % 3, 0, "a group is whole or not there");
    }
}

Test(store_survival, full_disk)
{
    struct pas_store *store = NULL;
    struct bh_diag diag = {0};
    struct rlimit limit, small;
    uint32_t n = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 192 * 1024;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (n < 10000 && put_one(store, n, NOW, &diag) == BH_OK)
        n++;
    cr_assert_lt(n, 10000, "the disk never got full");
    cr_assert_gt(n, 0);
    cr_assert_eq(diag.err, BH_ERR_IO);
    cr_assert_str_eq(diag.check, "store");
    cr_assert_str_neq(diag.hint, "");
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(put_one(store, n, NOW, NULL), BH_ERR_IO, "still full");
        cr_assert_eq(try_to_spend(store, NOW + 120, hash_of(n), NULL), BH_OK,
            "what was not committed is not spent");
        cr_assert_eq(try_to_spend(store, NOW + 120, hash_of(0), NULL), BH_ERR_CHALLENGE_USED,
            "reading goes on");
    }
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_usable(store, &diag), BH_OK, "%s", diag.detail);
    for (uint32_t i = n; i < n + 20; i++)
        cr_assert_eq(put_one(store, i, NOW, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(count_and_check(store, n + 20), n + 20);
    pas_store_close(store);
    bh_diag_clear(&diag);
    cr_assert_eq(pas_store_check(folder_store(folder), &diag), BH_OK, "%s", diag.detail);
}

Test(store_survival, readiness_tells_of_a_full_disk)
{
    struct pas_store *store = NULL;
    struct bh_diag diag = {0};
    struct rlimit limit, small;
    bool more;

    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(pas_store_open(folder_store(folder), &store, &diag), BH_OK);
    cr_assert_eq(pas_store_usable(store, &diag), BH_OK);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_assert_eq(put_one(store, 1, NOW, &diag), BH_ERR_IO);
    cr_assert_eq(pas_store_usable(store, NULL), BH_ERR_IO);
    /* That nothing could be cleaned away is no sign of room. */
    cr_assert_eq(pas_store_clean(store, NOW, 1000, 10, &more, &diag), BH_OK);
    cr_assert_eq(pas_store_usable(store, NULL), BH_ERR_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(pas_store_usable(store, NULL), BH_OK);
    pas_store_close(store);
}
