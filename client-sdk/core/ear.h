/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EAT Attestation Results (draft-ietf-rats-ear-04) with AR4SI trust vectors, as
 * CWT (COSE_Sign1) and JWT. One profile, written and read: BH_EAR_PROFILE.
 */
#ifndef BH_EAR_H
#define BH_EAR_H

#include "err.h"
#include "limits.h"

#include <jansson.h>
#include <openssl/evp.h>

#define BH_EAR_PROFILE "tag:ietf.org,2026:rats/ear#04"
#define BH_EAR_CWT_TYPE "application/eat+cwt; eat_profile=\"tag:ietf.org,2026:rats/ear#04\""
/*
 * Keys of our own, from the private range of CWT claims (RFC 8392, 9.1): the measured values of a
 * submodule (ear_attester_claims has no number in the draft), and a map
 * {"workload","owner","simulated","debug","context"} of what the result speaks of ("beachhead" in
 * JSON).
 */
#define BH_EAR_KEY_ATTESTER_CLAIMS (-70010)
#define BH_EAR_KEY_SUBJECT (-70020)
#define BH_EAR_SUBMODS_MAX 8
#define BH_EAR_CLAIMS_MAX 24
#define BH_EAR_PLATFORM_MAX 24
#define BH_EAR_CLAIM_NAME_MAX 64
#define BH_EAR_CLAIM_VALUE_MAX 132

enum bh_ear_status { /* the tiers' values in CBOR */
    BH_EAR_NONE = 0,
    BH_EAR_AFFIRMING = 2,
    BH_EAR_WARNING = 32,
    BH_EAR_CONTRAINDICATED = 96,
};

/** AR4SI trustworthiness claims, in the order of their keys 0 to 7. */
enum bh_ear_trust {
    BH_TRUST_INSTANCE_IDENTITY,
    BH_TRUST_CONFIGURATION,
    BH_TRUST_EXECUTABLES,
    BH_TRUST_FILE_SYSTEM,
    BH_TRUST_HARDWARE,
    BH_TRUST_RUNTIME_OPAQUE,
    BH_TRUST_STORAGE_OPAQUE,
    BH_TRUST_SOURCED_DATA,
    BH_TRUST_COUNT,
};

/** A measured value under its policy name: "pcr0", "realm.initial_measurement". Bytes, or text when
 * @p text. */
struct bh_ear_claim {
    char name[BH_EAR_CLAIM_NAME_MAX];
    bool text;
    uint8_t value[BH_EAR_CLAIM_VALUE_MAX]; /* no NUL */
    uint8_t len;
};

struct bh_ear_submod {
    char platform[BH_EAR_PLATFORM_MAX]; /* the submodule's name: "aws-nitro" */
    enum bh_ear_status status;
    bool has_vector;
    int8_t trust[BH_TRUST_COUNT];
    uint8_t policy_digest[32]; /* ear_appraisal_policy_ids: one, as
                                  "urn:beachhead:policy:sha256:<hex>" */
    size_t claims_len;
    struct bh_ear_claim claims[BH_EAR_CLAIMS_MAX];
};

struct bh_ear {
    int64_t iat;
    int64_t exp;
    char workload[64];
    char owner[16]; /* "any" or "pinned" */
    bool simulated;
    bool debug;
    uint8_t context[BH_CONTEXT_MAX];
    size_t context_len;
    uint8_t spki[BH_SPKI_MAX]; /* cnf: the key the result speaks of, as SubjectPublicKeyInfo DER */
    size_t spki_len;
    uint8_t nonce[BH_BINDING_LEN]; /* eat_nonce; JWT of appraisals only */
    size_t nonce_len;
    size_t submods_len;
    struct bh_ear_submod submods[BH_EAR_SUBMODS_MAX];
};

/** The claims-set in deterministic CBOR, unsigned. cnf is a COSE_Key (RFC 8747) of EC2 or OKP. */
BH_MUST_USE enum bh_err bh_ear_encode(
    const struct bh_ear *ear, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag);
/** Read a claims-set strictly: this profile, known critical content, status no better than the
 * worst trust claim of its vector. Unknown claims are ignored. BH_ERR_MALFORMED. */
BH_MUST_USE enum bh_err bh_ear_decode(
    struct bh_span claims, struct bh_ear *ret_ear, struct bh_diag *diag);
/** Verify a CWT (tagged COSE_Sign1) with the issuer's public key, then decode it. */
BH_MUST_USE enum bh_err bh_ear_verify(
    struct bh_span cwt, EVP_PKEY *issuer, struct bh_ear *ret_ear, struct bh_diag *diag);
/** The claims-set as JSON (names with underscores). New reference; NULL when out of memory. */
json_t *bh_ear_json(const struct bh_ear *ear);
/** A compact JWS signing input's parts are made here and signed by the caller's function: ES256. */
BH_MUST_USE enum bh_err bh_ear_jwt_input(
    const struct bh_ear *ear, char **ret_input, struct bh_diag *diag);

/** "none", "affirming", "warning", "contraindicated". */
const char *bh_ear_status_name(enum bh_ear_status status);
/** The AR4SI tier of one trust claim's value (the negative edges are shifted by one). */
enum bh_ear_status bh_ear_tier(int8_t value);
/** The worse of the two; none counts as worse than affirming and better than warning. */
enum bh_ear_status bh_ear_worse(enum bh_ear_status a, enum bh_ear_status b);
/** Name of a trust claim with hyphens, as AR4SI has it: "instance-identity". */
const char *bh_ear_trust_name(enum bh_ear_trust claim);

#endif
