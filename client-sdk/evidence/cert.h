/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of X.509 certificates (RFC 5280) inside evidence.
 *
 * OpenSSL's decoder costs a fifth of a P-384 verification, and a verifier with a warm chain
 * cache needs of a chain only names, validity and constraints, and of the leaf its key. This
 * reader takes what evidence chains are made of and refuses all else: version 3, DER
 * without trailing bytes, no unique identifiers, no critical extension but basicConstraints and
 * keyUsage. It verifies nothing.
 */
#ifndef EV_CERT_H
#define EV_CERT_H

#include "core/err.h"
#include "core/reader.h"

#include <openssl/evp.h>

#define EV_CERT_NO_PATH_LEN UINT32_MAX

enum ev_key_usage { /* RFC 5280, 4.2.1.3: the bits as they stand in the first octet */
    EV_KEY_USAGE_DIGITAL_SIGNATURE = 0x80,
    EV_KEY_USAGE_KEY_CERT_SIGN = 0x04,
};

/** Spans borrow from the DER. */
struct ev_cert {
    struct bh_span der;
    struct bh_span tbs;       /* what is signed, with its head */
    struct bh_span algorithm; /* AlgorithmIdentifier of the signature, with its head */
    struct bh_span signature;
    struct bh_span serial;          /* content of the INTEGER */
    struct bh_span issuer, subject; /* Names, with their heads */
    struct bh_span common_name;     /* the last one of the subject; empty when absent */
    struct bh_span spki;            /* with its head */
    struct bh_span extensions;      /* content of the sequence of all of them */
    int64_t not_before, not_after;
    bool ca;
    uint32_t path_len; /* EV_CERT_NO_PATH_LEN when absent */
    bool has_key_usage;
    uint8_t key_usage; /* first octet */
};

/** Read one certificate that fills @p der exactly. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err ev_cert_read(
    struct bh_span der, struct ev_cert *ret_cert, struct bh_diag *diag);

/** The value of the extension whose OID has this content; empty when the certificate has none. */
struct bh_span ev_cert_extension(const struct ev_cert *cert, struct bh_span oid);

/** The last commonName of a Name (with its head); empty when it has none or is not well-formed. */
struct bh_span ev_cert_common_name(struct bh_span name);

/** A UTCTime or GeneralizedTime in the one form each that RFC 5280, 4.1.2.5 allows; spoils @p from
 * when it is another. */
int64_t ev_cert_time(struct bh_reader *from);

/** The signature algorithm is ecdsa-with-SHA256 (RFC 5758, 3.2). */
bool ev_cert_is_es256(const struct ev_cert *cert);

/** The signature algorithm is ecdsa-with-SHA384 (RFC 5758, 3.2). */
bool ev_cert_is_es384(const struct ev_cert *cert);

/** Verify the certificate's ecdsa-with-SHA384 signature with its issuer's key. */
bool ev_cert_verify_es384(const struct ev_cert *cert, EVP_PKEY *issuer);

#endif
