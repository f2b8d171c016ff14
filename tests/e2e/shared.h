/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One server and one set of simulated devices for all tests of a program: Criterion runs each test
 * in a process of its own, which finds them by the environment.
 */
#ifndef BH_E2E_SHARED_H
#define BH_E2E_SHARED_H

#include "client.h"

/** Workloads of the shared server besides "w", which admits the three simulated devices. */
#define W_PSA_ONLY "psa-only"   /* no entry for another platform */
#define W_GENUINE "genuine"     /* the same reference values, for genuine devices */
#define W_CONTEXT "context"     /* pins the context to PINNED_CONTEXT */
#define W_TRUNCATED "truncated" /* PCR0 and RIM like the devices', but for their last byte */
#define W_P384 "p384"           /* keys of P-384 only, 15 minutes, two DNS names */
#define PINNED_CONTEXT "the pinned context"

/** The folders and the URL. */
const char *shared_home(void);
const char *shared_simulator(void);
const char *shared_url(void);
/** The root, read from the server's folder; the caller frees. */
struct bh_span shared_roots(void);

/** A client of the shared server with the device of @p platform; client_close() it. */
void shared_client(struct client *c, const char *platform);

/** One refusal of the store, by its request id, as soon as it is written; fails after 5 s. */
struct refusal_row {
    char code[64], check[96], workload[80], platform[32], peer[64];
};
void shared_refusal(const char *request_id, struct refusal_row *ret_row);
/** The refusal stands in the store under its request id, with this code and check. */
void assert_recorded(const struct reply *r, const char *code, const char *check);
/** How many certificates of the store contain these bytes. */
int shared_certificates_with(struct bh_span bytes);

#endif
