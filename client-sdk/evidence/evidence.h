/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal of evidence (RFC 9334): decode, bind, authenticate, appraise. Each
 * platform is one file and one row of a const table. Nothing here opens files,
 * sockets or looks at the clock: time, anchors and endorsed keys are handed in.
 *
 * The order of a server: ev_decode, ev_bind, ev_authenticate, ev_appraise. Each step
 * reports its checks; the first that fails decides the error.
 */
#ifndef EV_EVIDENCE_H
#define EV_EVIDENCE_H

#include "core/binding.h"
#include "core/cmw.h"
#include "core/ear.h"
#include "core/err.h"

#include <jansson.h>
#include <openssl/x509.h>

#define EV_CHECKS_MAX 96
#define EV_ANCHORS_MAX 32
#define EV_HARDWARE_ID_MAX 64

/* ---- the report ---- */

/** One check: what was demanded, what was there, and where the demand comes from. */
struct ev_check {
    char name[BH_CHECK_MAX]; /* "aws-nitro.pcr0" */
    bool ok;
    char expected[BH_VALUE_MAX];
    char found[BH_VALUE_MAX];
    const char *source; /* static: "signature", "policy", "endorsement", "anchor", "clock", "not
                           given", a spec section */
};

struct ev_report {
    bool detailed;       /* set by the caller: also record the checks that passed */
    enum bh_err err;     /* of the first failed check; BH_OK while none failed */
    struct bh_diag diag; /* the first failed check, said in full */
    size_t len;
    struct ev_check checks[EV_CHECKS_MAX];
};

/** Make a report empty. */
void ev_report_init(struct ev_report *report, bool detailed);
/** Record a check that passed; nothing is formatted unless the report is detailed. */
void ev_pass(struct ev_report *report, const char *source, const char *name, const char *expected,
    const char *found);
/** Record a failed check; returns @p err. The first failure fills report->diag. @p hint may be
 * NULL. */
enum bh_err ev_refuse(struct ev_report *report, enum bh_err err, const char *source,
    const char *name, const char *expected, const char *found, const char *hint);
/** The checks as [{"check","ok","expected","found","source"}]. New reference. */
json_t *ev_report_json(const struct ev_report *report);

/* ---- trust inputs ---- */

enum ev_key_class {
    EV_KEY_SILICON = 1,
    EV_KEY_TPM = 2,
    EV_KEY_FILE = 3,
};

/** An endorsed key, as ev_trust.lookup answers it and as it travels between processes. */
struct ev_endorsement {
    enum ev_key_class key_class;
    bool simulated;
    bool symmetric; /* key is a COSE_Mac0 key, else SubjectPublicKeyInfo DER, or a TPM AK's Name */
    uint8_t key[BH_SPKI_MAX];
    size_t key_len;
    /** All zero: not pinned by the endorsement. Of a TPM: SHA-256 of its EK's SubjectPublicKeyInfo.
     */
    uint8_t implementation_id[32];
};

/** Bytes of an endorsement for store and IPC, and back. At most EV_ENDORSEMENT_MAX bytes. */
#define EV_ENDORSEMENT_MAX (BH_SPKI_MAX + 64)
BH_MUST_USE enum bh_err ev_endorsement_encode(
    const struct ev_endorsement *e, uint8_t *out, size_t cap, size_t *ret_len);
BH_MUST_USE enum bh_err ev_endorsement_decode(
    struct bh_span in, struct ev_endorsement *ret_e, struct bh_diag *diag);

/**
 * Read an endorsement file (a server's `endorsed/` folder): one JSON object or an array of
 * {"platform":"psa"|"arm-cca", "instance_id":hex, "implementation_id":hex (arm-cca: mandatory),
 *  "class":"silicon"|"tpm"|"file", "simulated":bool, "key": PEM SPKI | "symmetric_key": base64url},
 * or {"platform":"tpm2", "name": hex of the AK's Name | "ak": base64url of its TPMT_PUBLIC,
 *  "ek": hex of the SHA-256 of the EK's SubjectPublicKeyInfo (optional), "class", "simulated"}.
 * Calls @p each for every entry with its lookup key. Refuses a key whose private half is
 * published (ev_is_published_key).
 */
BH_MUST_USE enum bh_err ev_endorsement_file(struct bh_span json,
    enum bh_err (*each)(void *arg, const uint8_t key[32], const struct ev_endorsement *e),
    void *arg, struct bh_diag *diag);

/** Lookup key: SHA-256(platform || 0 || len8 implementation_id || it || len8 instance_id || it);
 * the implementation id is empty for psa and tpm2, whose instance id is the AK's Name. */
void ev_endorsement_key(const char *platform, struct bh_span implementation_id,
    struct bh_span instance_id, uint8_t out[32]);

/** True for a public key (SPKI DER), or symmetric key, whose private half is published. */
bool ev_is_published_key(struct bh_span key);
/** Where it is published, in a few words; NULL when it is not. */
const char *ev_published_key_where(struct bh_span key);

/**
 * An endorsement of class `silicon` from a key file: PEM (with or without text before it) or DER, a
 * SubjectPublicKeyInfo, a certificate (its key alone counts), an uncompressed point or a TPM's
 * TPMT_PUBLIC; else 16 to 128 raw bytes of a COSE_Mac0 key. What looks like PEM, DER or a point but
 * cannot be read is an error, never a symmetric key. It is taken as given: a published key is not
 * refused here, nor one of a kind that signs no token. BH_ERR_MALFORMED.
 */
BH_MUST_USE enum bh_err ev_endorsement_from_key(
    struct bh_span file, struct ev_endorsement *ret_e, struct bh_diag *diag);

struct ev_anchor {
    X509 *cert; /* borrowed */
    bool simulated;
    bool built_in;                      /* private: owned by ev_trust_add_vendor_roots() */
    char platform[BH_EAR_PLATFORM_MAX]; /* whose evidence it may anchor; "": any platform's */
};

struct ev_trust {
    int64_t now;          /* Unix seconds */
    int64_t max_age;      /* seconds a timestamp in evidence may be old; 0: not checked (inspect) */
    int64_t skew;         /* seconds a timestamp, or a certificate's beginning, may lie ahead */
    bool allow_simulated; /* false: evidence under a simulated anchor or endorsement is
                             BH_ERR_SIMULATED, check "simulated" */
    size_t anchors_len;
    struct ev_anchor anchors[EV_ANCHORS_MAX];
    /**
     * Find an endorsed key. BH_OK and ret filled, BH_ERR_ENDORSEMENT_UNKNOWN, or another
     * error. NULL: nothing is endorsed.
     */
    enum bh_err (*lookup)(void *arg, const char *platform, const uint8_t key[32],
        struct ev_endorsement *ret_e, struct bh_diag *diag);
    void *lookup_arg;
    /**
     * Find collateral that did not come with the evidence: @p kind by its file name in a folder of
     * collateral ("vcek.der", "tcb_info.json"), @p key by what identifies it among its kind (chip
     * id and TCB, FMSPC, the issuing CA). BH_OK and at most BH_COLLATERAL_MAX bytes that stay valid
     * until the appraisal ends; BH_ERR_COLLATERAL_MISSING, or another error. What it returns is
     * verified like what the evidence brought. NULL: there is none.
     */
    enum bh_err (*collateral)(void *arg, const char *kind, struct bh_span key,
        struct bh_span *ret_bytes, struct bh_diag *diag);
    void *collateral_arg;
    struct ev_chain_cache *cache; /* verified intermediate certificates; NULL: none */
};

/** The vendors' roots that are built in (certs/): adds them for @p platform, or for all when NULL.
 */
BH_MUST_USE enum bh_err ev_trust_add_vendor_roots(struct ev_trust *trust, const char *platform);
/** Drop what ev_trust_add_vendor_roots() added. */
void ev_trust_clear(struct ev_trust *trust);

/**
 * A bounded cache of verified CA certificates (the least recently used one goes), by a SHA-256 over
 * the DER of the anchor and of every certificate of the path, valid until the path's earliest
 * notAfter. At most
 * @p entries, each some 3 KiB. NULL when out of memory. Single-threaded.
 */
struct ev_chain_cache *ev_chain_cache_new(size_t entries);
void ev_chain_cache_free(struct ev_chain_cache *cache);

/* ---- evidence ---- */

struct ev_evidence; /* one decoded piece of evidence; borrows from the bytes it was decoded from */
struct ev_policy;

/** What an appraisal found, in fixed fields: what the authority is told and puts into the EAR. */
struct ev_verdict {
    struct bh_ear_submod submod; /* platform, status, trust vector, policy digest, claims */
    bool simulated;
    bool debug;
    bool owner_pinned; /* false: the entry says "owner": "any" */
    uint8_t
        hardware_id[EV_HARDWARE_ID_MAX]; /* instance id, module id, chip id; not in certificates */
    size_t hardware_id_len;
    uint8_t measurement[64]; /* the platform's main code measurement */
    size_t measurement_len;
    int64_t not_after; /* the result must not outlive this; 0: no bound */
    int64_t lifetime;  /* seconds, from the policy */
};

/**
 * Decode the evidence of a CMW by its type and check that it is well-formed for its declared
 * profile. BH_ERR_UNSUPPORTED for a type of no platform here, BH_ERR_EVIDENCE_MALFORMED
 * otherwise. @p cmw must outlive the result. ev_evidence_free() frees.
 */
BH_MUST_USE enum bh_err ev_decode(
    const struct bh_cmw *cmw, struct ev_report *report, struct ev_evidence **ret_ev);
/** The same for raw bytes whose platform is recognised by their form. */
BH_MUST_USE enum bh_err ev_decode_raw(
    struct bh_span bytes, struct ev_report *report, struct ev_evidence **ret_ev);
void ev_evidence_free(struct ev_evidence *ev);
/** "aws-nitro", "arm-cca", "psa". */
const char *ev_platform(const struct ev_evidence *ev);

/** The evidence's nonce field equals @p binding (all 64 bytes), and carries @p spki where it
 * carries a key. BH_ERR_BINDING. */
BH_MUST_USE enum bh_err ev_bind(const struct ev_evidence *ev, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, struct ev_report *report);

/**
 * Chain, signatures and validity at trust->now up to an anchor or endorsed key. Goes on after a
 * failed check where that is safe, so that a detailed report is whole. BH_ERR_NOT_AUTHENTIC,
 * BH_ERR_ENDORSEMENT_UNKNOWN. It is not policy.
 */
BH_MUST_USE enum bh_err ev_authenticate(
    struct ev_evidence *ev, const struct ev_trust *trust, struct ev_report *report);

/**
 * Platform state and claims against the entries of @p policy. Only after ev_authenticate() returned
 * BH_OK for @p ev: otherwise BH_ERR_INTERNAL. The verdict is written on success only. With
 * several entries for the platform, the refusal is that of the entry that came furthest.
 * @p context: what the enrolment committed to; matched where an entry pins it.
 */
BH_MUST_USE enum bh_err ev_appraise(const struct ev_evidence *ev, const struct ev_policy *policy,
    struct bh_span context, struct ev_report *report, struct ev_verdict *ret_verdict);

/** Every claim by its specification's name, for people and `--json`. New reference. */
json_t *ev_claims(const struct ev_evidence *ev);

/** Names of the platforms that are built in; NULL-terminated. */
const char *const *ev_platforms(void);
/** Whether a policy can accept evidence of the platform alone. */
bool ev_platform_enrols(const char *name);

#endif
