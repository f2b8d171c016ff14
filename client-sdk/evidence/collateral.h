/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of vendor collateral: what each is, recognised by its content whatever its name, and what
 * it is looked up by (ev_trust.collateral). A set holds the files of a folder and answers lookups
 * from memory.
 *
 *   kind                     content                                       key of the lookup
 *   vcek.der                 VCEK certificate (AMD 57230, 3)               chip id, TCB (8 bytes)
 *   vlek.der                 VLEK certificate                              product, TCB
 *   crl.der                  revocation list of an ARK                     "Milan/vcek",
 * "Milan/vlek" tcb_info.json            TCB info of the PCS API, with its signature   FMSPC, TEE (1
 * byte) qe_identity.json         identity of a QE or TD QE, with its signature TEE
 *   tcb_signing_chain.pem    TCB signing certificate and root              none
 *   pck_crl.der              revocation list of a PCK CA                   "platform", "processor"
 *   pck_crl_chain.pem        PCK CA and root                               none
 *   root_crl.der             revocation list of the SGX root               none
 *
 * Reading believes nothing: an answer is verified like what came with the evidence.
 */
#ifndef EV_COLLATERAL_H
#define EV_COLLATERAL_H

#include "core/err.h"
#include "core/limits.h"

#include <openssl/x509.h>

#define EV_COLLATERAL_KEY_MAX 72 /* chip id and TCB */
#define EV_COLLATERAL_KEYS_MAX 2

enum ev_collateral_kind {
    EV_COLLATERAL_VCEK,
    EV_COLLATERAL_VLEK,
    EV_COLLATERAL_AMD_CRL,
    EV_COLLATERAL_TCB_INFO,
    EV_COLLATERAL_QE_IDENTITY,
    EV_COLLATERAL_TCB_SIGNING_CHAIN,
    EV_COLLATERAL_PCK_CRL,
    EV_COLLATERAL_PCK_CRL_CHAIN,
    EV_COLLATERAL_ROOT_CRL,
    EV_COLLATERAL_KINDS,
};

/** What ev_trust.collateral calls it: "vcek.der". */
const char *ev_collateral_kind_name(enum ev_collateral_kind kind);

/** What one file says it is. */
struct ev_collateral {
    enum ev_collateral_kind kind;
    bool simulated;          /* its issuer says so; documents of Intel's form cannot say */
    int64_t from, until;     /* of the certificate, list or document */
    char about[BH_TEXT_MAX]; /* for people: "Milan, TCB 4/0/24/219, chip 0a1b..." */
    char file[80];           /* a name of its own among other collateral */
    size_t keys_len;
    struct {
        uint8_t bytes[EV_COLLATERAL_KEY_MAX];
        size_t len;
    } keys[EV_COLLATERAL_KEYS_MAX];
};

/**
 * Read one file. BH_ERR_MALFORMED with check "collateral.kind" for what is none of the kinds,
 * "collateral.form" for what is of a kind but broken; BH_ERR_TOO_LARGE, "collateral.size", over
 * BH_COLLATERAL_MAX.
 */
BH_MUST_USE enum bh_err ev_collateral_read(
    struct bh_span bytes, struct ev_collateral *ret_collateral, struct bh_diag *diag);

/** Who may have signed collateral; all borrowed. */
struct ev_collateral_issuers {
    int64_t at; /* Unix seconds */
    X509 *const *anchors;
    size_t anchors_len;
    X509 *const *others; /* believed only under an anchor: chains that came with the files */
    size_t others_len;
};
/**
 * Signatures of @p bytes, which ev_collateral_read() read as @p what, up to an anchor, and that all
 * of them are valid at issuers->at. The built-in ASKs and ASVKs count as others.
 * BH_ERR_NOT_AUTHENTIC with check "collateral.signature", BH_ERR_COLLATERAL_EXPIRED,
 * "collateral.validity", or BH_ERR_COLLATERAL_MISSING, "collateral.issuer", when nobody of the
 * issuer's name is known.
 */
BH_MUST_USE enum bh_err ev_collateral_verify(const struct ev_collateral *what, struct bh_span bytes,
    const struct ev_collateral_issuers *issuers, struct bh_diag *diag);

/* ---- sets ---- */

struct ev_collateral_set;

/** An empty set; NULL when out of memory. */
struct ev_collateral_set *ev_collateral_set_new(void);
void ev_collateral_set_free(struct ev_collateral_set *set);
/**
 * Read a file into the set; @p bytes must outlive it. At most BH_COLLATERAL_FILES_MAX files of
 * BH_COLLATERAL_TOTAL_MAX bytes: BH_ERR_TOO_LARGE, checks "collateral.files", "collateral.total".
 * @p narrow (may be NULL) is text, say the file's name, that may hold "vcek" or "vlek": the vendor
 * hands out two lists of one issuer, which nothing in them tells apart. @p ret_what may be NULL.
 */
BH_MUST_USE enum bh_err ev_collateral_set_add(struct ev_collateral_set *set, struct bh_span bytes,
    const char *narrow, struct ev_collateral *ret_what, struct bh_diag *diag);
/** 0 for NULL. */
size_t ev_collateral_set_len(const struct ev_collateral_set *set);
/**
 * ev_trust.collateral, with the set as @p arg. Of several files for one key the genuine come before
 * the simulated, a list named for the kind of keys before one that is not, and then the one that is
 * good for longest. BH_ERR_COLLATERAL_MISSING. Not
 * thread-safe.
 */
enum bh_err ev_collateral_set_find(void *arg, const char *kind, struct bh_span key,
    struct bh_span *ret_bytes, struct bh_diag *diag);
/** Whether lookups get other bytes than these for every key of @p what. */
bool ev_collateral_set_shadows(
    struct ev_collateral_set *set, const struct ev_collateral *what, struct bh_span bytes);

#endif
