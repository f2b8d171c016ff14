/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated device that talks to a server over HTTPS, step by step, so that every step of an
 * enrolment can be wrong on its own. What fails here fails the running test.
 */
#ifndef BH_E2E_CLIENT_H
#define BH_E2E_CLIENT_H

#include "core/http.h"
#include "simulator/device.h"
#include "support/server.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define DOMAIN "fleet.example"

/** BH_BIN_DIR_OVERRIDE of the environment, else the programs of this build. */
const char *bin_dir(void);
/** For a PRE_ALL hook: ends the test program as skipped, loudly, when there are no programs. */
void skip_without_programs(void);

struct client {
    struct agent_device *device;
    struct bh_http *http;
    EVP_PKEY *key;
    char *csr;
    const char *workload;
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
};

/** With a device of @p platform out of the simulator's folder, or made anew when that is NULL. */
void client_open(struct client *c, const char *platform, const char *simulator);
/** To the server, with these roots. */
void client_connect(struct client *c, const char *url, struct bh_span roots);
void client_close(struct client *c);
/** Another key pair of the named type, and a request for it. */
void client_rekey(struct client *c, const char *key);

struct reply {
    long status;
    char type[96]; /* content type */
    json_t *json;  /* NULL when the body is none */
    char *text;
};

void reply_clear(struct reply *r);
/** A string member; "" when there is none. Borrowed. */
const char *reply_string(const struct reply *r, const char *member);
void client_get(struct client *c, const char *path, struct reply *r);
void client_post(struct client *c, const char *path, struct bh_span body, struct reply *r);
/** Takes over @p body. */
void client_post_json(struct client *c, const char *path, json_t *body, struct reply *r);

/** A fresh challenge, malloc'ed. */
char *client_challenge(struct client *c);

/** What an enrolment sends, and what its evidence is over. Zero stands for what is right. */
struct enrolment {
    const char *workload;
    enum agent_tamper tamper;
    const char *challenge;       /* sent */
    const char *csr;             /* sent */
    struct bh_span context;      /* sent */
    const char *bound_challenge; /* what the evidence is over, where it differs */
    struct bh_span bound_spki;
    struct bh_span bound_context;
    struct bh_span named_spki; /* in evidence that carries a key; empty: the bound one */
};

/** The body of POST /v1/certificates; without a challenge a fresh one is fetched. New reference. */
json_t *client_request(struct client *c, const struct enrolment *how);
/** client_request() and POST /v1/certificates. */
void client_enrol(struct client *c, const struct enrolment *how, struct reply *r);
/** The evidence of a raw token, as a CMW of @p type. New reference. */
json_t *cmw_of(const char *type, struct bh_span raw);

/** Leaf and issuing CA of a 201 reply; X509_free() both. */
void reply_chain(const struct reply *r, X509 **ret_leaf, X509 **ret_issuer);
/** Fails unless @p text is free of anything that could serve as a certificate. */
void assert_no_certificate(const char *text);

/** The value of a metric by its whole name, labels included; -1 when it is not there. */
double metric_of(const char *metrics, const char *name);

#endif
