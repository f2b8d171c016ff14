/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment: evidence over a server's challenge in, certificate out. */
#ifndef BEACHHEAD_ENROL_H
#define BEACHHEAD_ENROL_H

#include <openssl/evp.h>

#include "verify.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BH_ENROL_BINDING_LEN 64

/**
 * Produce native evidence whose nonce is @p binding, as a CMW in JSON (RFC 9999), malloc'ed into @p
 * ret_cmw: the library frees it. @p spki is the SubjectPublicKeyInfo of the key (DER), for
 * platforms whose evidence carries a key. Return 0; anything else ends the enrolment.
 */
typedef int (*bh_evidence_fn)(void *arg, const unsigned char binding[BH_ENROL_BINDING_LEN],
    const unsigned char *spki, size_t spki_len, char **ret_cmw);

/** What an enrolment needs; everything is borrowed for the call. Zero it, then fill it. */
struct bh_enrol_request {
    const char *server;           /* "https://HOST:PORT" */
    const bh_trust *trust;        /* its roots must have issued the server's certificate */
    const char *workload;         /* the name to be certified under */
    EVP_PKEY *key;                /* P-256, P-384 or Ed25519 key pair; never leaves the caller */
    const unsigned char *context; /* 0 to 64 bytes that this isolate commits to */
    size_t context_len;
    long timeout_ms; /* bound of each of the two requests; 0: 30 s */
    bh_evidence_fn evidence;
    void *evidence_arg;
};

typedef struct bh_enrolment bh_enrolment;

/**
 * Challenge, evidence, certificate. The certificate that comes back is verified against the trusted
 * roots (as bh_verify_chain() does, status warning accepted), and must be for this key, workload
 * and context. A refusal of the server is BH_RESULT_REFUSED with the check that it named.
 * bh_enrolment_free() the result.
 */
BH_CHECKED enum bh_result bh_enrol(
    const struct bh_enrol_request *request, bh_enrolment **ret_enrolment, bh_failure *failure);
/** Takes NULL. */
BH_PUBLIC void bh_enrolment_free(bh_enrolment *enrolment);

/** Leaf and issuing CA in PEM; valid as long as the enrolment. */
BH_PUBLIC const char *bh_enrolment_pem(const bh_enrolment *enrolment);
/** The server's answer, JSON text. */
BH_PUBLIC const char *bh_enrolment_reply(const bh_enrolment *enrolment);
/** Who the certificate says we are, as verified; borrowed. */
BH_PUBLIC const bh_peer *bh_enrolment_peer(const bh_enrolment *enrolment);

#ifdef __cplusplus
}
#endif

#endif
