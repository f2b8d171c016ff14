/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the server's processes. README.md beside this file
 * specifies each; a channel refuses every type that its table does not list.
 */
#ifndef PAS_MESSAGES_H
#define PAS_MESSAGES_H

#include "core/ipc.h"
#include "core/reader.h"
#include "core/writer.h"
#include "evidence/evidence.h"

enum pas_role {
    PAS_PARENT = 0,
    PAS_FRONTEND = 1,
    PAS_VERIFIER = 2,
    PAS_AUTHORITY = 3,
    PAS_SIGNER = 4,
    PAS_ROLES,
};

#define PAS_MINTS_MAX 16 /* challenges of one MINT */

enum pas_msg {
    /* parent -> child, on the control channel */
    PAS_CTL_START = 1,  /* directory, configuration; the child opens its files */
    PAS_CTL_LINK = 2,   /* id = role << 16 | index of the peer; one end of a channel rides along. To
                         the   authority, of a verifier: u64 generation by which that one judges */
    PAS_CTL_LISTEN = 3, /* id 1 = HTTPS, 2 = plain HTTP; a listening socket rides along */
    PAS_CTL_SNAPSHOT = 4, /* id = generation; a sealed memfd rides along */
    PAS_CTL_TLS = 5,      /* certificate chain and key of the HTTPS listener, PEM */
    PAS_CTL_CONFINE = 6,  /* all that needs opening was sent: confine, then answer READY */
    PAS_CTL_DRAIN = 8,    /* finish what was begun, take nothing new, exit 0 */
    PAS_CTL_UNLINK = 9,   /* id as LINK: the peer is being replaced */
    /* child -> parent */
    PAS_CTL_READY = 20,   /* id = the generation, or 0 */
    PAS_CTL_REFUSED = 21, /* id = the generation; a diag: the snapshot is not usable */
    PAS_CTL_FAILED = 22,  /* a diag: the child cannot start */
    PAS_CTL_CUT = 23,     /* id as LINK: that peer's channel was closed for what it did */

    /* frontend -> verifier */
    PAS_ENROL = 30,    /* POST /v1/certificates */
    PAS_APPRAISE = 31, /* POST /v1/appraisals */
    /* verifier -> frontend */
    PAS_ANSWER = 40, /* status, content type, body: the request is done */
    PAS_PASSED = 41, /* the authority will answer under the same id */

    /* frontend -> authority; the answer is PAS_ANSWER under the same id */
    PAS_MINT = 50,        /* challenges: nothing, or how many (1 to PAS_MINTS_MAX), one byte */
    PAS_CERTIFICATE = 51, /* by serial */
    PAS_ROOTS_PEM = 52,
    PAS_ISSUERS_PEM = 53,
    PAS_INFO = 54,
    PAS_READY = 55,   /* store reachable, key usable */
    PAS_METRICS = 56, /* the authority's counters, Prometheus text */

    /* verifier -> authority */
    PAS_LOOKUP = 60,  /* answered by PAS_VALUE */
    PAS_ISSUE = 61,   /* answered to the frontend by PAS_ANSWER */
    PAS_RESULT = 62,  /* an appraisal's EAR: answered to the frontend */
    PAS_REFUSAL = 63, /* for the record; no answer */
    /* authority -> verifier */
    PAS_VALUE = 70,

    /* authority -> signer */
    PAS_SIGN_CERTIFICATE = 80, /* EAR claims and certificate fields */
    PAS_SIGN_JWT = 81,         /* an EAR's JWS signing input */
    /* signer -> authority */
    PAS_SIGNED = 90,     /* EAR and certificate, or the raw signature */
    PAS_NOT_SIGNED = 91, /* a diag */
};

/** True when @p from may send @p type to @p to: the one table of permitted messages. */
bool pas_msg_permitted(enum pas_role from, enum pas_role to, uint16_t type);

/* ---- payloads; each _encode writes into @p w, each _decode borrows from @p in ---- */

struct pas_answer {
    uint16_t status;
    struct bh_span content_type;
    struct bh_span body;
};

struct pas_request {     /* ENROL, APPRAISE */
    struct bh_span peer; /* address as text, for the record */
    struct bh_span body;
};

enum pas_lookup_kind {
    PAS_LOOKUP_CHALLENGE = 0, /* only the challenge is checked */
    PAS_LOOKUP_ENDORSEMENT =
        1, /* key: 32 bytes of ev_endorsement_key(); value: ev_endorsement_encode() */
};

struct pas_lookup {
    uint8_t kind;
    bool appraisal; /* an appraisal may lack a challenge */
    struct bh_span challenge;
    struct bh_span platform;
    struct bh_span key;
};

struct pas_value {
    uint16_t err;         /* enum bh_err; BH_OK: value holds it */
    struct bh_span value; /* or a diag when err is not BH_OK */
};

/** A verdict and what it is about: ISSUE and RESULT. */
struct pas_issue {
    struct bh_span challenge;
    struct bh_span workload;
    struct bh_span spki;
    struct bh_span context;
    struct bh_span evidence; /* the CMW as received, for the record */
    struct bh_span peer;
    struct bh_span checks;           /* RESULT only: the list of checks as JSON, for the answer */
    uint8_t binding[BH_BINDING_LEN]; /* as the evidence carried it */
    uint64_t generation;             /* of the snapshot that judged */
    struct ev_verdict verdict;
};

struct pas_refusal {
    struct bh_span workload; /* as asked for, cut to 63 printable bytes */
    struct bh_span platform;
    struct bh_span peer;
    struct bh_span request_id;
    struct bh_diag diag;
};

/** What the signer is asked to certify; it composes the certificate itself. */
struct pas_certificate {
    uint8_t serial[16];
    int64_t not_before, not_after;
    struct bh_span workload;
    size_t dns_len;
    struct bh_span dns[16];
    struct bh_span spki;
    struct bh_span ear; /* EAR claims-set, unsigned */
};

struct pas_signed {
    struct bh_span ear;         /* COSE_Sign1; or the raw signature for SIGN_JWT */
    struct bh_span certificate; /* DER; empty for SIGN_JWT */
};

void pas_diag_encode(struct bh_writer *w, const struct bh_diag *diag);
BH_MUST_USE enum bh_err pas_diag_decode(struct bh_span in, struct bh_diag *ret_diag);
void pas_answer_encode(struct bh_writer *w, const struct pas_answer *m);
BH_MUST_USE enum bh_err pas_answer_decode(struct bh_span in, struct pas_answer *ret_m);
void pas_request_encode(struct bh_writer *w, const struct pas_request *m);
BH_MUST_USE enum bh_err pas_request_decode(struct bh_span in, struct pas_request *ret_m);
void pas_lookup_encode(struct bh_writer *w, const struct pas_lookup *m);
BH_MUST_USE enum bh_err pas_lookup_decode(struct bh_span in, struct pas_lookup *ret_m);
void pas_value_encode(struct bh_writer *w, const struct pas_value *m);
BH_MUST_USE enum bh_err pas_value_decode(struct bh_span in, struct pas_value *ret_m);
void pas_issue_encode(struct bh_writer *w, const struct pas_issue *m);
BH_MUST_USE enum bh_err pas_issue_decode(struct bh_span in, struct pas_issue *ret_m);
void pas_refusal_encode(struct bh_writer *w, const struct pas_refusal *m);
BH_MUST_USE enum bh_err pas_refusal_decode(struct bh_span in, struct pas_refusal *ret_m);
void pas_certificate_encode(struct bh_writer *w, const struct pas_certificate *m);
BH_MUST_USE enum bh_err pas_certificate_decode(struct bh_span in, struct pas_certificate *ret_m);
void pas_signed_encode(struct bh_writer *w, const struct pas_signed *m);
BH_MUST_USE enum bh_err pas_signed_decode(struct bh_span in, struct pas_signed *ret_m);

#define PAS_DIR_MAX 4096
#define PAS_TLS_MAX (64 * 1024)
#define PAS_SNAPSHOT_FILE_MAX (256u * 1024 * 1024) /* endorsed/ may list a fleet */

struct pas_start { /* CTL_START */
    uint32_t index;
    struct bh_span dir;    /* absolute */
    struct bh_span config; /* server.json */
};

struct pas_tls { /* CTL_TLS: PEM */
    struct bh_span chain;
    struct bh_span key;
};

void pas_start_encode(struct bh_writer *w, const struct pas_start *m);
BH_MUST_USE enum bh_err pas_start_decode(struct bh_span in, struct pas_start *ret_m);
/** Two vec32: chain, key. */
void pas_tls_encode(struct bh_writer *w, const struct pas_tls *m);
BH_MUST_USE enum bh_err pas_tls_decode(struct bh_span in, struct pas_tls *ret_m);

/**
 * A snapshot: what verifiers judge by and the authority imports, raw bytes of files in one sealed
 * memfd. Records in order: kind u8, vec16 file name, vec32 bytes.
 */
enum pas_snapshot_kind {
    PAS_SNAPSHOT_CONFIG = 1,    /* server.json */
    PAS_SNAPSHOT_POLICY = 2,    /* a file of policy/ */
    PAS_SNAPSHOT_ANCHOR = 3,    /* a file of trust/: name says the platform (aws-nitro*.pem) */
    PAS_SNAPSHOT_SIMULATED = 4, /* a file of trust/simulated/ */
    PAS_SNAPSHOT_ENDORSED =
        5, /* a .json file of endorsed/: the authority imports all or none; verifiers skip it */
    PAS_SNAPSHOT_COLLATERAL = 6, /* a file of collateral/: verifiers read it; the authority, which
                                    parses no evidence, skips it */
};
struct pas_snapshot_record {
    uint8_t kind;
    struct bh_span name;
    struct bh_span bytes;
};
void pas_snapshot_put(struct bh_writer *w, const struct pas_snapshot_record *r);
/** The next record of @p r; false at the end or when it is spoiled (see bh_reader_end). */
bool pas_snapshot_next(struct bh_reader *r, struct pas_snapshot_record *ret_record);
/**
 * Map the memfd of a SNAPSHOT for reading; refuses one that is not sealed. Every process holds the
 * same open file, so none may read() it. @p fd stays the caller's.
 */
BH_MUST_USE enum bh_err pas_snapshot_map(int fd, struct bh_span *ret_bytes, struct bh_diag *diag);
void pas_snapshot_unmap(struct bh_span bytes);

#endif
