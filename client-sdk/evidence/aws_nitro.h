/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded attestation document of an AWS Nitro Enclave or of a NitroTPM ("AWS Nitro
 * Enclaves: attestation process", user guide and aws-nitro-enclaves-nsm-api; "NitroTPM Attestation
 * Document contents", EC2 user guide): one envelope, one root, one chain, and PCRs that mean
 * different things. Shared by the files of this format alone.
 *
 * An enclave's document has `pcrs` and comes as application/aws-nitro-document, a NitroTPM's has
 * `nitrotpm_pcrs` and comes as application/aws-nitrotpm-document; either under the other's type is
 * BH_ERR_UNSUPPORTED, and no policy entry of the one matches the other.
 *
 * Names of the checks, behind "aws-nitro" or "aws-nitrotpm". Well-formed: ".envelope",
 * ".protected", ".payload", and a field's own name (".module_id", ".digest", ".timestamp", ".pcrs",
 * ".certificate", ".cabundle", ".public_key", ".user_data", ".nonce"). Of the other kind:
 * "aws-nitro.pcrs", "aws-nitrotpm.nitrotpm_pcrs". Bound: ".binding", ".public_key". Authentic:
 * ".chain", ".validity", ".signature", ".module_id", ".timestamp". Appraised: "aws-nitro.debug",
 * ".pcr0" to ".pcr31"; "aws-nitrotpm.instance_id".
 */
#ifndef EV_AWS_NITRO_H
#define EV_AWS_NITRO_H

#include "cert.h"
#include "platform.h"

#include "core/cose.h"

#define EV_NITRO_PCRS 32
#define EV_NITROTPM_PCRS 24
#define EV_NITRO_BUNDLE_MAX 8

/** null, absent and empty are three different things. */
struct ev_nitro_optional {
    enum {
        EV_NITRO_ABSENT,
        EV_NITRO_NULL,
        EV_NITRO_BYTES,
    } is;
    struct bh_span bytes;
};

/** Spans borrow from the document. */
struct ev_nitro {
    const char *name; /* of the platform: static */
    bool tpm;         /* the document has nitrotpm_pcrs: an EC2 instance, not an enclave */
    struct bh_cose cose;
    struct bh_span module_id;
    struct bh_span digest;
    uint64_t timestamp;                 /* milliseconds since 1970 */
    struct bh_span pcrs[EV_NITRO_PCRS]; /* length 0: absent */
    struct ev_cert leaf;
    size_t bundle_len;
    struct ev_cert bundle[EV_NITRO_BUNDLE_MAX]; /* root first */
    struct ev_nitro_optional public_key, user_data, nonce;
};

/** @p media_type is @p type, with or without parameters. */
bool ev_nitro_is_type(const char *media_type, const char *type);
/**
 * A COSE_Sign1 whose payload is a map that begins with a text key: other formats here have integer
 * keys. Also for documents that are cut or have trailing bytes, so that decoding names the fault.
 * @p ret_tpm: the key nitrotpm_pcrs could be read in it, and not pcrs.
 */
bool ev_nitro_recognises(struct bh_span raw, bool *ret_tpm);
/** Decode for the platform of this (static) name; the other kind of document is
 * BH_ERR_UNSUPPORTED. The state is freed by free(). */
enum bh_err ev_nitro_decode(
    struct bh_span raw, const char *name, bool tpm, struct ev_report *report, void **ret_state);

/** ev_pass() and ev_refuse() with the platform's name in front of @p field. */
void ev_nitro_pass(const struct ev_nitro *n, struct ev_report *report, const char *source,
    const char *field, const char *expected, const char *found);
enum bh_err ev_nitro_refuse(const struct ev_nitro *n, struct ev_report *report, enum bh_err err,
    const char *source, const char *field, const char *expected, const char *found,
    const char *hint);

/** PCR0 to PCR2 hold no measurement: zero, or not there. Of an enclave's document only. */
bool ev_nitro_debug(const struct ev_nitro *nitro);

/** Member "pcrs" of a policy entry: lists of values by index, into @p lists of @p pcrs, which the
 * caller clears also after a failure. */
enum bh_err ev_nitro_pcrs_read(
    const json_t *entry, size_t pcrs, struct ev_hexlist *lists, struct bh_diag *diag);
/** The module id, or its digest where it is too long. */
void ev_nitro_hardware_id(const struct ev_nitro *nitro, struct ev_verdict *verdict);

/** Functions of struct ev_platform, those of both kinds first. */
enum bh_err ev_nitro_bind(const void *state, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, struct ev_report *report);
enum bh_err ev_nitro_authenticate(void *state, const struct ev_trust *trust,
    struct ev_report *report, struct ev_authenticity *ret_auth);
json_t *ev_nitro_claims(const void *state);
enum bh_err ev_nitro_entry_parse(const json_t *entry, bool owner_any, void **ret_refs,
    bool *ret_owner_pinned, struct bh_diag *diag);
void ev_nitro_entry_free(void *refs);
enum bh_err ev_nitro_appraise(const void *state, const struct ev_authenticity *auth,
    const void *refs, bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict,
    size_t *ret_depth);

#endif
