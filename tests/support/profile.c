/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#define CMW_OID "1.3.6.1.5.5.7.1.35"
#define EAR_TYPE "application/eat+cwt; eat_profile=\"tag:ietf.org,2026:rats/ear#04\""

struct subject {
    X509 *leaf, *issuer;
    const char *domain;
    GENERAL_NAMES *names;
    const char *uri; /* NUL-terminated copy in text; NULL unless there is exactly one */
    char text[2049];
};

/* ---- helpers ---- */

static int
count_extension(const struct subject *s, const char *oid, int *ret_critical)
{
    ASN1_OBJECT *wanted = OBJ_txt2obj(oid, 1);
    int n = 0;

    for (int at = -1; (at = X509_get_ext_by_OBJ(s->leaf, wanted, at)) >= 0; n++)
        *ret_critical = X509_EXTENSION_get_critical(X509_get_ext(s->leaf, at));
    ASN1_OBJECT_free(wanted);
    return n;
}

static bool
once(const struct subject *s, const char *oid, int critical)
{
    int found = -1;

    return count_extension(s, oid, &found) == 1 && found == critical;
}

static int
count_names(const struct subject *s, int type)
{
    int n = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(s->names); i++)
        n += sk_GENERAL_NAME_value(s->names, i)->type == type;
    return n;
}

static void
find_uri(struct subject *s)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(s->names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(s->names, i);
        const int len = name->type == GEN_URI ? ASN1_STRING_length(name->d.ia5) : -1;

        if (len < 0 || len >= (int)sizeof(s->text))
            continue;
        memcpy(s->text, ASN1_STRING_get0_data(name->d.ia5), (size_t)len);
        s->text[len] = '\0';
        if (count_names(s, GEN_URI) == 1 && strlen(s->text) == (size_t)len)
            s->uri = s->text;
    }
}

/* The path of spiffe://<domain>/<path>, or NULL. */
static const char *
path_of(const struct subject *s)
{
    static const char scheme[] = "spiffe://";
    const size_t at = sizeof(scheme) - 1, len = strlen(s->domain);

    if (s->uri == NULL || strncmp(s->uri, scheme, at) != 0 ||
        strncmp(s->uri + at, s->domain, len) != 0 || s->uri[at + len] != '/')
        return NULL;
    return s->uri + at + len + 1;
}

static bool
name_has(X509_NAME *name, int nid, const char *text)
{
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        if (ASN1_STRING_length(value) == (int)strlen(text) &&
            memcmp(ASN1_STRING_get0_data(value), text, strlen(text)) == 0)
            return true;
    }
    return false;
}

static bool
is_dns_name(const ASN1_IA5STRING *name)
{
    const unsigned char *at = ASN1_STRING_get0_data(name);
    const int len = ASN1_STRING_length(name);
    int label = 0;

    for (int i = 0; i < len; i++) {
        if (at[i] == '.' && label == 0)
            return false;
        if (at[i] != '.' && !islower(at[i]) && !isdigit(at[i]) && at[i] != '-')
            return false;
        label = at[i] == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return len > 0 && len <= 253 && label > 0;
}

static time_t
seconds(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : (time_t)-1;
}

/* ---- rules of RFC 5280 ---- */

static bool
version_3(const struct subject *s)
{
    return X509_get_version(s->leaf) == X509_VERSION_3;
}

static bool
serial_positive(const struct subject *s)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(s->leaf);
    const int len = i2d_ASN1_INTEGER(serial, NULL) - 2;

    return ASN1_STRING_type(serial) == V_ASN1_INTEGER && ASN1_INTEGER_get(serial) != 0 && len <= 20;
}

static bool
serial_random(const struct subject *s)
{
    /* 128 random bits are shorter than 8 bytes once in 2^64. */
    return ASN1_STRING_length(X509_get0_serialNumber(s->leaf)) >= 8;
}

static bool
algorithms_agree(const struct subject *s)
{
    const X509_ALGOR *outer = NULL;

    X509_get0_signature(NULL, &outer, s->leaf);
    return X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(s->leaf)) == 0;
}

static bool
algorithm_ecdsa(const struct subject *s)
{
    const X509_ALGOR *outer = NULL;
    const ASN1_OBJECT *oid = NULL;
    int type = 0;

    X509_get0_signature(NULL, &outer, s->leaf);
    X509_ALGOR_get0(&oid, &type, NULL, outer);
    return OBJ_obj2nid(oid) == NID_ecdsa_with_SHA256 && type == V_ASN1_UNDEF;
}

static bool
signature_verifies(const struct subject *s)
{
    EVP_PKEY *key = X509_get0_pubkey(s->issuer);

    return key != NULL && X509_verify(s->leaf, key) == 1;
}

static bool
issuer_chains(const struct subject *s)
{
    const uint8_t *a = NULL, *b = NULL;
    size_t a_len = 0, b_len = 0;

    return X509_NAME_get0_der(X509_get_issuer_name(s->leaf), &a, &a_len) == 1 &&
           X509_NAME_get0_der(X509_get_subject_name(s->issuer), &b, &b_len) == 1 && a_len > 2 &&
           a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool
time_encoded(const ASN1_TIME *time)
{
    const bool utc = ASN1_STRING_type(time) == V_ASN1_UTCTIME;
    const int len = ASN1_STRING_length(time);
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1 || ASN1_STRING_get0_data(time)[len - 1] != 'Z')
        return false;
    return tm.tm_year < 150 ? utc && len == 13 : !utc && len == 15;
}

static bool
times_encoded(const struct subject *s)
{
    return time_encoded(X509_get0_notBefore(s->leaf)) && time_encoded(X509_get0_notAfter(s->leaf));
}

static bool
validity_nested(const struct subject *s)
{
    const time_t from = seconds(X509_get0_notBefore(s->leaf));
    const time_t to = seconds(X509_get0_notAfter(s->leaf));

    return from > 0 && from < to && from >= seconds(X509_get0_notBefore(s->issuer)) &&
           to <= seconds(X509_get0_notAfter(s->issuer));
}

static bool
no_unique_ids(const struct subject *s)
{
    const ASN1_BIT_STRING *issuer = NULL, *subject = NULL;

    X509_get0_uids(s->leaf, &issuer, &subject);
    return issuer == NULL && subject == NULL;
}

static bool
extensions_distinct(const struct subject *s)
{
    for (int i = 0; i < X509_get_ext_count(s->leaf); i++)
        for (int j = 0; j < i; j++)
            if (OBJ_cmp(X509_EXTENSION_get_object(X509_get_ext(s->leaf, i)),
                    X509_EXTENSION_get_object(X509_get_ext(s->leaf, j))) == 0)
                return false;
    return true;
}

static bool
extensions_known(const struct subject *s)
{
    static const char *const known[] = {"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19",
        "2.5.29.31", "2.5.29.35", "2.5.29.37", "1.3.6.1.5.5.7.1.1", CMW_OID};
    char oid[80];

    for (int i = 0; i < X509_get_ext_count(s->leaf); i++) {
        bool found = false;

        (void)OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(X509_get_ext(s->leaf, i)), 1);
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            found = found || strcmp(oid, known[k]) == 0;
        if (!found)
            return false;
    }
    return true;
}

static bool
der_canonical(const struct subject *s)
{
    X509 *copy = X509_dup(s->leaf);
    uint8_t *as_is = NULL, *again = NULL;
    const int a = i2d_X509(s->leaf, &as_is);
    const int b = copy != NULL ? i2d_re_X509_tbs(copy, &again) : -1;
    /* The TBS is the first element of the certificate: behind a head of four bytes. */
    const bool good =
        a > 4 && b > 0 && b < a - 4 && as_is[1] == 0x82 && memcmp(as_is + 4, again, (size_t)b) == 0;

    OPENSSL_free(as_is);
    OPENSSL_free(again);
    X509_free(copy);
    return good;
}

static bool
subject_key_id(const struct subject *s)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(s->leaf);
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(s->leaf);
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (id == NULL || !once(s, "2.5.29.14", 0) || ASN1_STRING_length(id) != 20)
        return false;
    (void)SHA256(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key), digest);
    return memcmp(ASN1_STRING_get0_data(id), digest, 20) == 0;
}

static bool
authority_key_id(const struct subject *s)
{
    const ASN1_OCTET_STRING *theirs = X509_get0_subject_key_id(s->issuer);
    const ASN1_OCTET_STRING *ours = X509_get0_authority_key_id(s->leaf);

    return theirs != NULL && ours != NULL && ASN1_OCTET_STRING_cmp(theirs, ours) == 0 &&
           once(s, "2.5.29.35", 0) && X509_get0_authority_serial(s->leaf) == NULL;
}

static bool
basic_constraints(const struct subject *s)
{
    BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(s->leaf, NID_basic_constraints, NULL, NULL);
    const bool good = bc != NULL && bc->ca == 0 && bc->pathlen == NULL && once(s, "2.5.29.19", 1);

    BASIC_CONSTRAINTS_free(bc);
    return good;
}

static bool
key_usage(const struct subject *s)
{
    ASN1_BIT_STRING *bits = X509_get_ext_d2i(s->leaf, NID_key_usage, NULL, NULL);
    const bool good = bits != NULL && ASN1_STRING_length(bits) == 1 &&
                      ASN1_STRING_get0_data(bits)[0] == 0x80 && once(s, "2.5.29.15", 1);

    ASN1_BIT_STRING_free(bits);
    return good;
}

static bool
extended_key_usage(const struct subject *s)
{
    EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(s->leaf, NID_ext_key_usage, NULL, NULL);
    bool server = false, client = false;
    const int n = sk_ASN1_OBJECT_num(usage);

    for (int i = 0; i < n; i++) {
        server = server || OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i)) == NID_server_auth;
        client = client || OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i)) == NID_client_auth;
    }
    EXTENDED_KEY_USAGE_free(usage);
    return n == 2 && server && client && once(s, "2.5.29.37", 0);
}

static bool
names_constrained(const struct subject *s)
{
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(s->issuer, NID_name_constraints, NULL, NULL);
    const bool good = nc != NULL && NAME_CONSTRAINTS_check(s->leaf, nc) == X509_V_OK;

    NAME_CONSTRAINTS_free(nc);
    return good;
}

/* ---- rules of X.509-SVID ---- */

static bool
one_uri(const struct subject *s)
{
    return s->uri != NULL && once(s, "2.5.29.17", 0);
}

static bool
spiffe_id(const struct subject *s)
{
    const char *path = path_of(s);

    if (path == NULL || path[0] == '\0' || strlen(s->uri) > 2048)
        return false;
    for (const char *c = path; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-/", *c) == NULL)
            return false;
    return strstr(path, "//") == NULL && path[strlen(path) - 1] != '/' && strcmp(path, ".") != 0 &&
           strcmp(path, "..") != 0;
}

/* ---- rules of this profile ---- */

static bool
workload_name(const struct subject *s)
{
    const char *path = path_of(s);

    if (path == NULL || strlen(path) > 63 || strncmp(path, "beachhead", 9) == 0 ||
        (!islower((unsigned char)path[0]) && !isdigit((unsigned char)path[0])))
        return false;
    for (const char *c = path; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && strchr("._-", *c) == NULL)
            return false;
    return true;
}

static bool
only_dns_beside(const struct subject *s)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(s->names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(s->names, i);
        if (name->type != GEN_URI && (name->type != GEN_DNS || !is_dns_name(name->d.ia5)))
            return false;
    }
    return true;
}

static bool
subject_name(const struct subject *s)
{
    X509_NAME *name = X509_get_subject_name(s->leaf);
    const bool simulated =
        name_has(X509_get_subject_name(s->issuer), NID_organizationalUnitName, "SIMULATED");

    return name_has(name, NID_organizationName, s->domain) &&
           name_has(name, NID_organizationalUnitName, "SIMULATED") == simulated &&
           X509_NAME_entry_count(name) == (simulated ? 2 : 1);
}

static bool
key_type(const struct subject *s)
{
    EVP_PKEY *key = X509_get0_pubkey(s->leaf);
    char group[32] = "";

    if (key == NULL)
        return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return true;
    return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

/* OCTET STRING around the CBOR array [type, bstr, 8]; the bytes inside are the SDK's to judge. */
static bool
attestation_result(const struct subject *s)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(CMW_OID, 1);
    const int at = X509_get_ext_by_OBJ(s->leaf, oid, -1);
    const size_t type_len = sizeof(EAR_TYPE) - 1;
    const uint8_t *cbor = NULL;
    ASN1_OCTET_STRING *choice = NULL;
    bool good = false;
    long len = 0;

    ASN1_OBJECT_free(oid);
    if (at < 0 || !once(s, CMW_OID, 0))
        return false;
    cbor = ASN1_STRING_get0_data(X509_EXTENSION_get_data(X509_get_ext(s->leaf, at)));
    len = ASN1_STRING_length(X509_EXTENSION_get_data(X509_get_ext(s->leaf, at)));
    if ((choice = d2i_ASN1_OCTET_STRING(NULL, &cbor, len)) == NULL)
        return false;
    cbor = ASN1_STRING_get0_data(choice);
    len = ASN1_STRING_length(choice);
    good = len > (long)type_len + 8 && cbor[0] == 0x83 && cbor[1] == 0x78 && cbor[2] == type_len &&
           memcmp(cbor + 3, EAR_TYPE, type_len) == 0 && cbor[len - 1] == 8;
    ASN1_OCTET_STRING_free(choice);
    return good;
}

static const struct {
    const char *rule;
    const char *source;
    bool (*holds)(const struct subject *s);
} rules[] = {
    {"version 3", "RFC 5280, 4.1.2.1", version_3},
    {"serial positive, at most 20 octets", "RFC 5280, 4.1.2.2", serial_positive},
    {"serial random, 128 bits", "profile", serial_random},
    {"inner and outer algorithm agree", "RFC 5280, 4.1.1.2", algorithms_agree},
    {"ecdsa-with-SHA256 without parameters", "RFC 5758, 3.2", algorithm_ecdsa},
    {"signed by the issuer", "RFC 5280, 6.1.3", signature_verifies},
    {"issuer is the issuing CA's subject", "RFC 5280, 4.1.2.4", issuer_chains},
    {"times in their one encoding", "RFC 5280, 4.1.2.5", times_encoded},
    {"validity inside the issuer's", "profile", validity_nested},
    {"no unique identifiers", "RFC 5280, 4.1.2.8", no_unique_ids},
    {"no extension twice", "RFC 5280, 4.2", extensions_distinct},
    {"no other extensions", "profile", extensions_known},
    {"encoded in DER", "X.690, 10 and 11", der_canonical},
    {"subject key identifier", "RFC 5280, 4.2.1.2; RFC 7093, 2", subject_key_id},
    {"authority key identifier", "RFC 5280, 4.2.1.1", authority_key_id},
    {"basicConstraints critical, no CA", "RFC 5280, 4.2.1.9; X.509-SVID, 4.1", basic_constraints},
    {"keyUsage critical, digitalSignature alone", "X.509-SVID, 4.3", key_usage},
    {"extKeyUsage serverAuth and clientAuth", "X.509-SVID, 4.4", extended_key_usage},
    {"names inside the name constraints", "RFC 5280, 4.2.1.10", names_constrained},
    {"exactly one URI name, not critical", "X.509-SVID, 2; RFC 5280, 4.2.1.6", one_uri},
    {"a SPIFFE ID of the trust domain", "SPIFFE-ID, 2", spiffe_id},
    {"a workload name", "profile", workload_name},
    {"otherwise DNS names only", "profile", only_dns_beside},
    {"subject O=<trust domain>, no CN", "profile", subject_name},
    {"key P-256, P-384 or Ed25519", "profile", key_type},
    {"attestation result in id-pe-cmw, not critical", "RFC 9999; profile", attestation_result},
};

size_t
bh_profile_violations(X509 *leaf, X509 *issuer, const char *trust_domain, FILE *out)
{
    struct subject s = {.leaf = leaf, .issuer = issuer, .domain = trust_domain};
    size_t violations = 0;

    s.names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    find_uri(&s);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].holds(&s))
            continue;
        violations++;
        if (out != NULL)
            (void)fprintf(out, "certificate violates: %s (%s)\n", rules[i].rule, rules[i].source);
    }
    GENERAL_NAMES_free(s.names);
    return violations;
}
