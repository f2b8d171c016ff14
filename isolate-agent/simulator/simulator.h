/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator inside: what a platform's file provides and what they share. A device
 * is its facts (readable JSON), its keys and its certificates; what evidence needs of them is
 * decoded once, by open().
 */
#ifndef AGENT_SIMULATOR_H
#define AGENT_SIMULATOR_H

#include "device.h"

#include "core/writer.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/types.h>

#define AGENT_KEYS_MAX 5
#define AGENT_ID_MAX 33
#define AGENT_RAW_MAX (16 * 1024) /* evidence of any platform here is smaller */
#define AGENT_COMPONENTS_MAX 8

/** A key of the device and the name of its file: "iak" in iak.key. */
struct agent_key_slot {
    const char *name; /* NULL ends the list */
    const char *curve;
    bool endorsed; /* this is the key that an administrator endorses; iak.pub.pem is written too */
};

struct agent_device {
    const struct agent_platform *platform;
    json_t *facts; /* device.json */
    EVP_PKEY *keys[AGENT_KEYS_MAX];
    X509 *root; /* of the vendor's chain; NULL where keys are endorsed */
    void *state;
};

#define AGENT_BESIDE_MAX 5

/** Records that travel with the evidence in a collection. */
struct agent_beside {
    size_t len;
    struct {
        const char *label; /* static */
        uint8_t *bytes;    /* malloc'ed */
        size_t len;
    } items[AGENT_BESIDE_MAX];
};
/** Append a copy of @p bytes. */
BH_MUST_USE enum bh_err agent_beside_add(
    struct agent_beside *beside, const char *label, struct bh_span bytes, struct bh_diag *diag);
void agent_beside_clear(struct agent_beside *beside);

/** What evidence is asked for. */
struct agent_request {
    uint8_t binding[BH_BINDING_LEN];
    struct bh_span spki;
    enum agent_tamper tamper; /* only kinds that the platform's own code carries out */
    int64_t now;
};

struct agent_platform {
    const char *name;
    const char *media_type; /* of the evidence, as the one record or inside its collection */
    const char *collection; /* __cmwc_t of evidence that travels with endorsements; else NULL */
    const char *label;      /* of the evidence in the collection */
    size_t signature_at;    /* offset of a byte of the signature; 0: it is the last byte */
    const struct agent_key_slot *slots;
    bool chain;           /* has a root, root.pem */
    const char *identity; /* member of a policy entry that tells devices apart: "pcrs.4" */
    unsigned tampers;     /* 1 << enum agent_tamper, or-ed */

    /**
     * Make facts and keys (and the root). @p alone: under roots and keys of its own, shared with no
     * other device of the process.
     */
    enum bh_err (*make)(
        struct agent_device *device, uint32_t instance, bool alone, struct bh_diag *diag);
    /** Decode the facts into state. */
    enum bh_err (*open)(struct agent_device *device, struct bh_diag *diag);
    void (*close)(void *state);
    enum bh_err (*evidence)(struct agent_device *device, const struct agent_request *request,
        struct bh_writer *w, struct bh_diag *diag);
    /** What travels beside the evidence just made for the same request; NULL without a collection.
     */
    enum bh_err (*beside)(struct agent_device *device, const struct agent_request *request,
        struct agent_beside *beside, struct bh_diag *diag);
    /** The policy entry. New reference; NULL when out of memory. */
    json_t *(*entry)(const struct agent_device *device);
    /** The endorsement of the device's key; NULL: by the facts "instance_id" and
     * "implementation_id", with the key. New reference; NULL when out of memory. */
    json_t *(*endorsement)(const struct agent_device *device);
};

extern const struct agent_platform agent_aws_nitro;
extern const struct agent_platform agent_arm_cca;
extern const struct agent_platform agent_psa;
extern const struct agent_platform agent_amd_sev_snp;
extern const struct agent_platform agent_intel_sgx;
extern const struct agent_platform agent_intel_tdx;
extern const struct agent_platform agent_tpm2;
extern const struct agent_platform agent_aws_nitrotpm;

/** The platform of a name; BH_ERR_USAGE with the list of those that exist. */
BH_MUST_USE enum bh_err agent_platform_find(
    const char *name, const struct agent_platform **ret_platform, struct bh_diag *diag);

/** BH_ERR_USAGE, with the list of the words, for a kind that the platform does not have. */
BH_MUST_USE enum bh_err agent_tamper_allowed(
    const struct agent_platform *platform, enum agent_tamper tamper, struct bh_diag *diag);

/** make() and open() under one roof; @p alone as there. */
BH_MUST_USE enum bh_err agent_device_build(const struct agent_platform *platform, uint32_t instance,
    bool alone, struct agent_device **ret_device, struct bh_diag *diag);

/** Generate the keys of every slot that is still empty. */
BH_MUST_USE enum bh_err agent_keys_make(struct agent_device *device, struct bh_diag *diag);

/* ---- facts ---- */

/** Exactly @p len bytes of hex at @p name. */
BH_MUST_USE enum bh_err agent_fact_bytes(
    const json_t *facts, const char *name, uint8_t *out, size_t len, struct bh_diag *diag);
/** Set a fact to the hex of @p bytes. */
BH_MUST_USE enum bh_err agent_fact_set(json_t *facts, const char *name, struct bh_span bytes);
/** Digest of a text: the "measurement" of software that does not exist. */
BH_MUST_USE enum bh_err agent_measure(unsigned bits, const char *what, uint8_t *out);
/** New reference to a one-element list of the hex of @p bytes; NULL when out of memory. */
json_t *agent_hex_list(struct bh_span bytes);

/** Write @p json, indented, as a whole file. */
BH_MUST_USE enum bh_err agent_json_write(
    const char *path, const json_t *json, mode_t mode, struct bh_diag *diag);

/* ---- Arm tokens: what PSA and CCA have in common ---- */

struct agent_component {
    char type[24];
    char version[16];
    uint8_t measurement[32];
    uint8_t signer[32];
};

struct agent_software {
    size_t len;
    struct agent_component items[AGENT_COMPONENTS_MAX];
};

/** The facts' "software" list of @p names (NULL-terminated), measured by their names. */
BH_MUST_USE enum bh_err agent_software_make(
    json_t *facts, const char *platform, const char *const *names);
BH_MUST_USE enum bh_err agent_software_read(
    const json_t *facts, struct agent_software *ret_software, struct bh_diag *diag);
/** The claim 2399 of @p software as @p request wants it, MEASUREMENT included when @p measured. */
void agent_software_claim(struct bh_writer *w, const struct agent_software *software,
    enum agent_tamper tamper, bool measured);
/** The policy's "software" list. New reference. */
json_t *agent_software_policy(const struct agent_software *software);
/** Instance id: 01 and the SHA-256 of the key's uncompressed point. */
BH_MUST_USE enum bh_err agent_instance_id(
    EVP_PKEY *key, uint8_t out[AGENT_ID_MAX], struct bh_diag *diag);
/** The uncompressed point of @p key; @p out holds 97 bytes. */
BH_MUST_USE enum bh_err agent_point(
    EVP_PKEY *key, uint8_t out[97], size_t *ret_len, struct bh_diag *diag);

/**
 * Append COSE_Sign1 over @p payload; without @p alg the protected header is the empty string, and
 * the signature holds for whoever assumes the algorithm of the key.
 */
BH_MUST_USE enum bh_err agent_sign1(struct bh_writer *w, struct bh_span payload, EVP_PKEY *key,
    bool tagged, bool alg, struct bh_diag *diag);

/** PEM of a public key; malloc'ed. */
BH_MUST_USE enum bh_err agent_public_pem(EVP_PKEY *key, char **ret_pem, struct bh_diag *diag);
/** PEM of a certificate; malloc'ed. */
BH_MUST_USE enum bh_err agent_cert_pem(X509 *cert, char **ret_pem, struct bh_diag *diag);

#endif
