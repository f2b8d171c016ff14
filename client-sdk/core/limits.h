/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cap on what comes from outside, in one place. Bytes unless said otherwise.
 */
#ifndef BH_LIMITS_H
#define BH_LIMITS_H

#define BH_BODY_MAX (256 * 1024)             /* an HTTP request body */
#define BH_EVIDENCE_MAX (128 * 1024)         /* evidence, decoded */
#define BH_CSR_MAX (8 * 1024)                /* a certificate request, PEM or DER */
#define BH_CONTEXT_MAX 64                    /* context of the key binding */
#define BH_SPKI_MAX 1024                     /* a SubjectPublicKeyInfo, DER */
#define BH_CERT_MAX (16 * 1024)              /* one certificate, DER */
#define BH_CMW_RECORDS_MAX 16                /* records of a CMW collection */
#define BH_JSON_DEPTH_MAX 16                 /* nesting of a JSON text */
#define BH_CBOR_DEPTH_MAX 12                 /* nesting of a CBOR item */
#define BH_CBOR_PAIRS_MAX 64                 /* pairs of one CBOR map */
#define BH_CBOR_ITEMS_MAX 1024               /* items of one CBOR array */
#define BH_POLICY_MAX (1024 * 1024)          /* one policy file */
#define BH_EAR_MAX 4096                      /* an EAR, signed */
#define BH_IPC_MAX (BH_BODY_MAX + 64 * 1024) /* payload of one IPC message */
#define BH_LOOKUP_KEY_MAX 64                 /* key of a lookup */
#define BH_LOOKUP_VALUE_MAX (64 * 1024)
#define BH_COLLATERAL_MAX BH_LOOKUP_VALUE_MAX /* one file of collateral */
#define BH_COLLATERAL_FILES_MAX 4096          /* files of collateral of one server */
#define BH_COLLATERAL_TOTAL_MAX (64 * 1024 * 1024)

#define BH_CHALLENGE_LEN 62 /* see challenge.h of the authority: opaque to everybody else */
#define BH_BINDING_LEN 64

#endif
