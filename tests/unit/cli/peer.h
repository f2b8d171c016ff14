/* SPDX-License-Identifier: Apache-2.0 */
/* A small TLS server of the tests, in a thread, with any certificate and several bad manners. */
#ifndef BH_TEST_CLI_PEER_H
#define BH_TEST_CLI_PEER_H

#include "support/ca.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

enum manner {
    SERVES,
    SILENT, /* accepts and says nothing */
    DRIPS,  /* a byte of a TLS record every half second */
    NO_TLS, /* speaks HTTP in the clear */
    CLOSES, /* closes at once */
};

struct peer {
    enum manner manner;
    bool six; /* listen on ::1 */
    int max_version;
    const char *status; /* "200 OK" */
    /* private */
    SSL_CTX *ctx;
    int fd;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic size_t received; /* bytes of application data */
    char address[64], url[80];
};

/** Serve with @p leaf of @p ca; @p leaf may be NULL for manners without TLS. False when there is no
 * such address here. */
bool peer_start(struct peer *peer, const struct bh_test_ca *ca, const struct bh_test_leaf *leaf);
void peer_stop(struct peer *peer);

#endif
