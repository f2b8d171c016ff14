/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one evidence format provides: a row of the const table in evidence.c, filled by the format's
 * own file. Inside libbh_evidence; the reports at its end also serve `beachhead inspect`.
 *
 * The functions of a row get what the steps of evidence.h need; ev_decode() and the
 * others in evidence.c do what is common: dispatch, order of the steps, choice of the policy entry.
 */
#ifndef EV_PLATFORM_H
#define EV_PLATFORM_H

#include "evidence.h"
#include "policy.h"

/** What authentication established, for the appraisal. */
struct ev_authenticity {
    bool simulated;              /* the anchor or endorsed key is a simulated one */
    enum ev_key_class key_class; /* of the endorsed key; EV_KEY_SILICON for chains */
};

struct ev_platform {
    const char *name; /* "psa" */

    /** The media type (with or without parameters) is one of this platform's. */
    bool (*takes)(const char *media_type);
    /** The raw bytes look like this platform's: cheap, by their outer form. */
    bool (*recognises)(struct bh_span raw);
    /**
     * Decode and check that the evidence is well-formed for its declared profile:
     * BH_ERR_EVIDENCE_MALFORMED, check
     * "<platform>.<what>". @p media_type is NULL for raw bytes. The state borrows from @p raw.
     * NULL where there is decode_collection.
     */
    enum bh_err (*decode)(
        struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state);
    /**
     * For evidence that travels with its endorsements in a collection; both NULL where there is no
     * such form. The collection is this platform's: by its type, and where platforms share one, by
     * the outer form of its records. Then as decode; labels that the platform does not know are
     * refused. @p cmw is NULL for @p raw, the report or quote alone. The state borrows from both.
     */
    bool (*takes_collection)(const struct bh_cmw *cmw);
    enum bh_err (*decode_collection)(
        const struct bh_cmw *cmw, struct bh_span raw, struct ev_report *report, void **ret_state);
    void (*free)(void *state);

    /** See ev_bind(); checks "<platform>.binding", "<platform>.public_key". */
    enum bh_err (*bind)(const void *state, const uint8_t binding[BH_BINDING_LEN],
        struct bh_span spki, struct ev_report *report);
    /** See ev_authenticate(). */
    enum bh_err (*authenticate)(void *state, const struct ev_trust *trust, struct ev_report *report,
        struct ev_authenticity *ret_auth);

    /* These three are NULL for a device that is appraised beside a CPU only: no policy speaks of it
     * alone. */

    /**
     * Compile one element of a policy's "accept" whose "platform" is this one. The members
     * "platform", "simulated", "debug", "owner" and "context" are checked and kept by policy.c;
     * this function checks all other members (unknown ones are errors) and that the entry pins
     * code, platform state and owner: @p owner_any says whether the entry holds "owner": "any".
     * Returns whether the entry's own claims pin the owner in
     * @p ret_owner_pinned. Failures name the member relative to the entry ("pcrs.0"); policy.c
     * puts "policy.accept[N]." in front.
     */
    enum bh_err (*entry_parse)(const json_t *entry, bool owner_any, void **ret_refs,
        bool *ret_owner_pinned, struct bh_diag *diag);
    void (*entry_free)(void *refs);

    /**
     * Compare the authenticated evidence with the references of one entry: debug state first, then
     * platform state, then claims in the order of the specification. Fills of @p verdict:
     * submod.trust, submod.claims, debug, hardware_id, measurement, not_after. evidence.c fills the
     * rest and derives the status.
     * @p ret_depth counts the checks that held, so that the entry that came furthest explains the
     * refusal.
     */
    enum bh_err (*appraise)(const void *state, const struct ev_authenticity *auth, const void *refs,
        bool debug_allowed, struct ev_report *report, struct ev_verdict *verdict,
        size_t *ret_depth);

    /** See ev_claims(). */
    json_t *(*claims)(const void *state);
};

extern const struct ev_platform ev_aws_nitro;
extern const struct ev_platform ev_arm_cca;
extern const struct ev_platform ev_psa;
extern const struct ev_platform ev_intel_sgx;
extern const struct ev_platform ev_intel_tdx;
extern const struct ev_platform ev_amd_sev_snp;
extern const struct ev_platform ev_tpm2;
extern const struct ev_platform ev_aws_nitrotpm;
extern const struct ev_platform ev_nvidia_gpu;

/** The row of a platform's name; NULL when there is none. */
const struct ev_platform *ev_platform_find(const char *name);

/* ---- what policy.c offers evidence.c ---- */

struct ev_entry {
    const struct ev_platform *platform;
    bool simulated;
    bool debug;
    bool owner_pinned;
    size_t contexts_len; /* 0: any context */
    struct {
        uint8_t bytes[BH_CONTEXT_MAX];
        size_t len;
    } * contexts;
    void *refs;
};
size_t ev_policy_entries(const struct ev_policy *policy);
const struct ev_entry *ev_policy_entry(const struct ev_policy *policy, size_t index);

/* ---- lists of alternatives, shared by the formats ---- */

/** A JSON list of hex strings, compiled: sorted bytes, duplicates refused, all-zero ones refused.
 */
struct ev_hexlist {
    size_t len;
    struct ev_hexitem {
        uint8_t bytes[64];
        size_t len;
    } * items;
};
/**
 * Read member @p name of @p object; each item must be @p min to @p max bytes. Absent and @p
 * optional: len 0. An empty list is an error. ev_hexlist_clear() frees.
 */
enum bh_err ev_hexlist_read(const json_t *object, const char *name, bool optional, size_t min,
    size_t max, struct ev_hexlist *ret_list, struct bh_diag *diag);
void ev_hexlist_clear(struct ev_hexlist *list);
bool ev_hexlist_has(const struct ev_hexlist *list, struct bh_span bytes);
/** Hex of the first alternatives joined by " | ", for reports; cut at the size of @p out. */
char *ev_hexlist_text(const struct ev_hexlist *list, char *out, size_t size);

/**
 * Read member @p name of @p object, a list of some of the @p count words, into a mask of their
 * indices. Refuses an empty list, duplicates and other words. Absent and @p optional: 0.
 */
enum bh_err ev_words_read(const json_t *object, const char *name, bool optional,
    const char *const *words, size_t count, uint32_t *ret_mask, struct bh_diag *diag);
/** Fails, with the key as the check, when @p object has a member not in the NULL-terminated @p
 * names. */
enum bh_err ev_members_only(const json_t *object, const char *const *names, struct bh_diag *diag);
/** Put text in front of diag->check, so that callers complete the field's name: "pcrs." makes "0"
 * "pcrs.0". Nothing when @p diag is NULL or names no check. */
void ev_field_prefix(struct bh_diag *diag, const char *fmt, ...) BH_PRINTF(2, 3);

/** ev_pass() or ev_refuse() for one claim against its list; BH_ERR_POLICY when it does not match.
 */
enum bh_err ev_check_hex(struct ev_report *report, const char *name, const struct ev_hexlist *list,
    struct bh_span found);

/** Append a measured value to the verdict's submodule; silently full at BH_EAR_CLAIMS_MAX. */
void ev_claim_bytes(struct ev_verdict *verdict, const char *name, struct bh_span value);
void ev_claim_text(struct ev_verdict *verdict, const char *name, const char *value);

#endif
