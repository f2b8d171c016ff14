/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What PSA tokens (RFC 9783) and CCA tokens (draft-ffm-rats-cca-token) share: claims of
 * integer keys that a table describes, software components, and the security lifecycle.
 */
#ifndef EV_ARM_H
#define EV_ARM_H

#include "platform.h"

#define EV_ARM_COMPONENTS_MAX 64
#define EV_ARM_INSTANCE_LEN 33
#define EV_ARM_IMPLEMENTATION_LEN 32

/* ---- claims ---- */

enum ev_arm_type {
    EV_ARM_BYTES,    /* min to max bytes */
    EV_ARM_HASH,     /* 32, 48 or 64 bytes */
    EV_ARM_INSTANCE, /* 33 bytes, the first one 01: a UEID of type RAND */
    EV_ARM_TEXT,     /* min to max bytes of UTF-8 */
    EV_ARM_INT,      /* min to max */
    EV_ARM_ARRAY,    /* kept as an encoded item */
};

/** One claim of a profile. */
struct ev_arm_rule {
    int64_t key;
    const char *name; /* the check's last part: "nonce" */
    enum ev_arm_type type;
    int64_t min, max;
    bool optional;
};

/** A claim's value; spans borrow from the payload. */
struct ev_arm_value {
    bool present;
    struct bh_span bytes; /* content of bstr or tstr; the encoded item of an array */
    int64_t number;
};

/**
 * Read the claims-set @p payload by @p count @p rules into @p ret_values, one for each rule, in
 * their order. Claims without a rule are ignored. BH_ERR_EVIDENCE_MALFORMED with check
 * "<prefix>.<name>", or
 * "<prefix>.claims" when the map itself cannot be read.
 */
enum bh_err ev_arm_claims(struct bh_span payload, const struct ev_arm_rule *rules, size_t count,
    const char *prefix, const char *source, struct ev_report *report,
    struct ev_arm_value *ret_values);

/** Refuse the claim "<prefix>.<name>" with BH_ERR_EVIDENCE_MALFORMED. */
enum bh_err ev_arm_malformed(struct ev_report *report, const char *source, const char *prefix,
    const char *name, const char *expected, const char *found);

/** A text of a token's for a report: cut at the size of @p out, other than printable ASCII as '?'.
 */
char *ev_arm_printable(struct bh_span text, char *out, size_t size);

/* ---- software components ---- */

struct ev_arm_component {
    struct bh_span type;    /* text; ptr NULL when absent */
    struct bh_span version; /* text; ptr NULL when absent */
    struct bh_span description;
    struct bh_span measurement;
    struct bh_span signer;
};

struct ev_arm_components {
    size_t len;
    struct ev_arm_component items[EV_ARM_COMPONENTS_MAX];
};

/** Read an encoded array of components; at least one. Check "<prefix>.<name>". */
enum bh_err ev_arm_components(struct bh_span array, const char *prefix, const char *name,
    const char *source, struct ev_report *report, struct ev_arm_components *ret_components);

/** They by their names in the specification. New reference. */
json_t *ev_arm_components_json(const struct ev_arm_components *components);

/** Claims "<prefix>.<type>" of the measurements, or "<prefix>.<index>" where the type is absent,
 * repeated or odd. */
void ev_arm_components_claim(
    const struct ev_arm_components *components, const char *prefix, struct ev_verdict *verdict);

/** The policy's side: `"software"`. */
struct ev_arm_software {
    bool given;
    bool none; /* "none": the token must claim that nothing is measured */
    size_t len;
    struct ev_arm_item {
        char *type; /* NULL: not compared */
        char *version;
        struct ev_hexlist measurement;
        struct ev_hexlist signer; /* len 0: not compared */
    } * items;
};

/** ev_hexlist_read() of hashes: 32, 48 or 64 bytes. */
enum bh_err ev_arm_hashlist_read(const json_t *object, const char *name, bool optional,
    struct ev_hexlist *ret_list, struct bh_diag *diag);

/** Read member "software" of @p object; "none" only where @p none_allowed. */
enum bh_err ev_arm_software_read(const json_t *object, bool optional, bool none_allowed,
    struct ev_arm_software *ret_software, struct bh_diag *diag);
void ev_arm_software_clear(struct ev_arm_software *software);

/** Each component matches exactly one item and each item is matched once: check @p name. */
enum bh_err ev_arm_software_match(const struct ev_arm_software *software,
    const struct ev_arm_components *components, const char *name, struct ev_report *report);

/* ---- lifecycle ---- */

enum ev_arm_lifecycle {
    EV_ARM_UNKNOWN,
    EV_ARM_ASSEMBLY,
    EV_ARM_PROVISIONING,
    EV_ARM_SECURED,
    EV_ARM_DEBUG,
    EV_ARM_RECOVERABLE_DEBUG,
    EV_ARM_DECOMMISSIONED,
    EV_ARM_LIFECYCLES,
};

/** The state of a lifecycle claim; false for a value that the specifications do not define. */
bool ev_arm_lifecycle(int64_t value, enum ev_arm_lifecycle *ret_state);
/** "secured", "non-psa-rot-debug" or, with @p cca, "non-cca-platform-rot-debug". */
const char *ev_arm_lifecycle_name(enum ev_arm_lifecycle state, bool cca);

/**
 * Read member "lifecycle" of @p object, a mask of 1 << state. Only states in which a token can be
 * believed may stand there, those with debug access only in an entry that says "debug": true.
 */
enum bh_err ev_arm_lifecycle_read(
    const json_t *object, bool cca, bool debug, uint32_t *ret_mask, struct bh_diag *diag);
/** Compare with the mask; a debug state also needs @p debug_allowed. */
enum bh_err ev_arm_lifecycle_match(int64_t value, uint32_t mask, bool cca, bool debug_allowed,
    const char *name, struct ev_report *report, struct ev_verdict *verdict);

/* ---- keys ---- */

/** Trust claims of a token under an endorsed key: the key's class and debug access lower them. */
void ev_arm_trust(const struct ev_authenticity *auth, bool software, struct ev_verdict *verdict);

/**
 * Find the endorsed key of an instance. BH_ERR_ENDORSEMENT_UNKNOWN with check @p name;
 * BH_ERR_SIMULATED, check "simulated", for a simulated one where trust does not allow it;
 * BH_ERR_NOT_AUTHENTIC with check @p implementation_name when the key is endorsed for another
 * implementation.
 */
enum bh_err ev_arm_endorsement(const struct ev_trust *trust, const char *platform,
    struct bh_span implementation, struct bh_span instance, const char *name,
    const char *implementation_name, struct ev_report *report, struct ev_endorsement *ret_e);

/** `takes` of a platform: the media type without parameters equals @p type, ignoring case. */
bool ev_media_type_is(const char *media_type, const char *type);
/** Value of the parameter "eat_profile" or "profile", without quotes; false when there is none. */
bool ev_media_type_profile(const char *media_type, char *out, size_t size);

#endif
