/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call of libbeachhead came to, and why it did not succeed.
 *
 * Every refusal has a name: the check that did not hold, what it expected, what
 * it found and what to do about it. The library never logs and never prints.
 */
#ifndef BEACHHEAD_FAILURE_H
#define BEACHHEAD_FAILURE_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BH_PUBLIC __attribute__((visibility("default")))
#define BH_CHECKED __attribute__((visibility("default"), warn_unused_result))
#else
#define BH_PUBLIC
#define BH_CHECKED
#endif

/** Version of the library, "0.1.0". */
BH_PUBLIC const char *bh_version(void);

/** The outcome of a call. Only BH_RESULT_OK means that everything held. */
enum bh_result {
    BH_RESULT_OK = 0,
    BH_RESULT_REFUSED = 1,     /* something was checked and does not hold, or is malformed */
    BH_RESULT_USAGE = 2,       /* an argument is wrong: nothing was checked */
    BH_RESULT_UNREACHABLE = 3, /* the other side could not be reached */
    BH_RESULT_INTERNAL = 4,    /* out of memory, or a library below failed */
};

typedef struct bh_failure bh_failure;

/**
 * An empty failure to hand to other calls; NULL when out of memory. Each call that takes one
 * empties it first. One thread at a time. bh_failure_free() takes NULL.
 */
BH_PUBLIC bh_failure *bh_failure_new(void);
BH_PUBLIC void bh_failure_free(bh_failure *failure);

/** The outcome that was recorded: BH_RESULT_OK while nothing failed; BH_RESULT_INTERNAL for NULL,
 * so that no failure to look at is not taken for success. */
BH_PUBLIC enum bh_result bh_failure_result(const bh_failure *failure);

/**
 * Texts of a failure: never NULL, "" where there is nothing to say (and for NULL), valid until the
 * failure is used again or freed. The check is a dotted name ("certificate.chain", "ear.status",
 * "workload"); the code is the CODE of the server's HTTP API; the detail is one sentence; the hint
 * says what to do.
 */
BH_PUBLIC const char *bh_failure_check(const bh_failure *failure);
BH_PUBLIC const char *bh_failure_code(const bh_failure *failure);
BH_PUBLIC const char *bh_failure_expected(const bh_failure *failure);
BH_PUBLIC const char *bh_failure_found(const bh_failure *failure);
BH_PUBLIC const char *bh_failure_detail(const bh_failure *failure);
BH_PUBLIC const char *bh_failure_hint(const bh_failure *failure);

#ifdef __cplusplus
}
#endif

#endif
