/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is, found out by its content: evidence, certificate, request, EAR, policy,
 * checkpoint. */
#ifndef BH_CLI_INPUT_H
#define BH_CLI_INPUT_H

#include "core/cmw.h"
#include "core/err.h"

#include <openssl/x509.h>

enum bh_input_kind {
    BH_INPUT_UNKNOWN,
    BH_INPUT_CMW,         /* evidence in its envelope: cmw is filled */
    BH_INPUT_RAW,         /* perhaps evidence as a platform makes it: bytes */
    BH_INPUT_CERTIFICATE, /* certs */
    BH_INPUT_CSR,         /* bytes */
    BH_INPUT_EAR_CWT,     /* ear: a COSE_Sign1 with the EAR profile */
    BH_INPUT_EAR_JWT,     /* bytes: a compact JWS */
    BH_INPUT_POLICY,      /* bytes */
    BH_INPUT_CHECKPOINT,  /* bytes: a transparency log's signed note */
};

#define BH_INPUT_CERTS_MAX 16

struct bh_input {
    enum bh_input_kind kind;
    const char *path;
    uint8_t *storage; /* the file as it is; NUL-terminated beyond len */
    size_t len;
    struct bh_span bytes; /* without surrounding white space where the form is text */
    struct bh_cmw cmw;
    struct bh_span ear;
    size_t certs_len;
    X509 *certs[BH_INPUT_CERTS_MAX];
};

/**
 * Read and recognise a file ("-" is standard input). BH_ERR_USAGE when it cannot be read,
 * BH_ERR_MALFORMED when it is of a kind but broken: then the kind is set where it is known.
 * bh_input_clear() frees, also after a failure.
 */
BH_MUST_USE enum bh_err bh_input_read(
    const char *path, struct bh_input *ret_input, struct bh_diag *diag);
void bh_input_clear(struct bh_input *input);

#endif
