/* SPDX-License-Identifier: Apache-2.0 */
#include "leaf.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define SEQUENCE 0x30
#define SET 0x31
#define INTEGER 0x02
#define BIT_STRING 0x03
#define OCTET_STRING 0x04
#define OID 0x06
#define UTF8_STRING 0x0c
#define UTC_TIME 0x17
#define GENERALIZED_TIME 0x18
#define CONTEXT(n) (0x80 | (n))
#define CONSTRUCTED(n) (0xa0 | (n))

#define CMW_RESULTS 8 /* RFC 9999: bit 3 of the indicator, attestation results */

static const uint8_t ecdsa_sha256[] = {
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t oid_organization[] = {0x55, 0x04, 0x0a};
static const uint8_t oid_unit[] = {0x55, 0x04, 0x0b};
static const uint8_t oid_ski[] = {0x55, 0x1d, 0x0e};
static const uint8_t oid_key_usage[] = {0x55, 0x1d, 0x0f};
static const uint8_t oid_alt_name[] = {0x55, 0x1d, 0x11};
static const uint8_t oid_constraints[] = {0x55, 0x1d, 0x13};
static const uint8_t oid_aki[] = {0x55, 0x1d, 0x23};
static const uint8_t oid_ext_usage[] = {0x55, 0x1d, 0x25};
static const uint8_t oid_cmw[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x23};

/* Contents of extensions that are the same in every leaf. */
static const uint8_t not_a_ca[] = {0x30, 0x00};
static const uint8_t digital_signature[] = {0x03, 0x02, 0x07, 0x80};
static const uint8_t server_and_client[] = {0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05,
    0x07, 0x03, 0x01, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};

/* ---- rules ---- */

static enum bh_err
refuse(struct bh_diag *diag, const char *check, const char *expected, const char *found,
    const char *rule)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_FORBIDDEN, check, expected, found,
        "the signer does not certify this: %s", rule);

    bh_hint(diag, "the signer's rules are those of the issuing CA and of server.json; nothing that "
                  "asks it can widen them");
    return e;
}

bool
pas_dns_within(struct bh_span name, const char *base)
{
    const size_t len = strlen(base);

    if (name.len < len || memcmp(name.ptr + name.len - len, base, len) != 0)
        return false;
    return name.len == len || name.ptr[name.len - len - 1] == '.';
}

/* Text from a request, cut to what a refusal shows. */
static const char *
shown(struct bh_span text, char out[BH_VALUE_MAX])
{
    (void)snprintf(out, BH_VALUE_MAX, "%.*s", (int)(text.len < 190 ? text.len : 190),
        text.ptr != NULL ? (const char *)text.ptr : "");
    return out;
}

static enum bh_err
check_workload(struct bh_span workload, struct bh_diag *diag)
{
    char found[BH_VALUE_MAX];

    if (!bh_is_workload(workload))
        return refuse(diag, "certificate.workload", "[a-z0-9][a-z0-9._-]{0,62}",
            shown(workload, found), "it is no workload name");
    if (workload.len >= 9 && memcmp(workload.ptr, "beachhead", 9) == 0)
        return refuse(diag, "certificate.workload", "a name that does not begin with beachhead",
            shown(workload, found), "such names are reserved for Beachhead's own services");
    return BH_OK;
}

static enum bh_err
check_dns_name(const struct pas_issuer *issuer, struct bh_span name, struct bh_diag *diag)
{
    char found[BH_VALUE_MAX];
    bool within = false;

    if (!bh_is_dns_name(name))
        return refuse(diag, "certificate.dns", "a DNS name in lower case", shown(name, found),
            "it is no DNS name");
    for (size_t i = 0; i < issuer->permitted_len; i++)
        within = within || pas_dns_within(name, issuer->permitted[i]);
    if (!within)
        return refuse(diag, "certificate.dns", "a name within the issuing CA's name constraints",
            shown(name, found), "the name is outside (RFC 5280, 4.2.1.10)");
    for (size_t i = 0; i < issuer->reserved_len; i++)
        if (bh_span_is(name, issuer->reserved[i]))
            return refuse(diag, "certificate.dns", "no DNS name of the server itself",
                shown(name, found), "the server's own names are reserved");
    return BH_OK;
}

static enum bh_err
check_dns(const struct pas_issuer *issuer, const struct pas_certificate *r, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    if (r->dns_len > PAS_LEAF_DNS_MAX)
        return refuse(diag, "certificate.dns", "at most 16 names", "more", "too many DNS names");
    for (size_t i = 0; e == BH_OK && i < r->dns_len; i++)
        e = check_dns_name(issuer, r->dns[i], diag);
    return e;
}

static enum bh_err
refuse_validity(
    struct bh_diag *diag, const struct pas_certificate *r, const char *expected, const char *why)
{
    char from[BH_TIME_MAX], to[BH_TIME_MAX], found[BH_VALUE_MAX];

    (void)snprintf(found, sizeof(found), "%s to %s", bh_time_text(r->not_before, from),
        bh_time_text(r->not_after, to));
    return refuse(diag, "certificate.validity", expected, found, why);
}

static enum bh_err
check_validity(const struct pas_issuer *issuer, const struct pas_certificate *r, int64_t now,
    struct bh_diag *diag)
{
    char a[BH_TIME_MAX], b[BH_TIME_MAX], expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    if (r->not_before >= r->not_after)
        return refuse_validity(diag, r, "an end after the beginning", "it is never valid");
    if (r->not_before < issuer->not_before || r->not_after > issuer->not_after) {
        (void)snprintf(expected, sizeof(expected), "within %s to %s",
            bh_time_text(issuer->not_before, a), bh_time_text(issuer->not_after, b));
        return refuse_validity(diag, r, expected, "it would outlive its issuing CA");
    }
    if (r->not_before > now + issuer->clock_skew || r->not_after <= now) {
        (void)snprintf(expected, sizeof(expected), "valid now, which is %s", bh_time_text(now, a));
        return refuse_validity(
            diag, r, expected, "certificates are made for the present, not for another time");
    }
    if (r->not_after - r->not_before > issuer->lifetime_max) {
        (void)snprintf(
            expected, sizeof(expected), "at most %lld s", (long long)issuer->lifetime_max);
        (void)snprintf(found, sizeof(found), "%lld s", (long long)(r->not_after - r->not_before));
        return refuse(diag, "certificate.lifetime", expected, found,
            "it is longer than certificate_lifetime_max and the clock skew");
    }
    return BH_OK;
}

static enum bh_err
check_key(struct bh_span spki, struct bh_diag *diag)
{
    struct bh_span point;
    const char *name = "another key";

    if (spki.len > BH_SPKI_MAX || bh_spki_point(spki, &name, &point) != BH_OK ||
        strcmp(name, "P-521") == 0)
        return refuse(diag, "certificate.key", "P-256, P-384 or Ed25519", name,
            "keys of this type are not certified");
    return BH_OK;
}

static enum bh_err
check_ear(const struct pas_issuer *issuer, const struct pas_certificate *r,
    const struct bh_ear *ear, struct bh_diag *diag)
{
    char expected[80];

    if (!bh_span_equal(bh_span(ear->spki, ear->spki_len), r->spki))
        return refuse(diag, "ear.key", "the certificate's key", "another key",
            "the attestation result speaks of another key (cnf)");
    if (!bh_span_is(r->workload, ear->workload)) {
        (void)snprintf(expected, sizeof(expected), "%.*s", (int)r->workload.len,
            (const char *)r->workload.ptr);
        return refuse(diag, "ear.workload", expected, ear->workload,
            "the attestation result speaks of another workload");
    }
    if (ear->iat < r->not_before || ear->iat > r->not_after || ear->exp <= ear->iat ||
        ear->exp > r->not_after)
        return refuse(diag, "ear.validity", "issued and expiring within the certificate's life",
            "other times", "the attestation result is of another time than the certificate");
    if (ear->simulated && !issuer->simulated)
        return refuse(diag, "ear.simulated", "hardware", "a simulated device",
            "the deployment was not made with --allow-simulated");
    for (size_t i = 0; i < ear->submods_len; i++)
        if (ear->submods[i].status == BH_EAR_CONTRAINDICATED)
            return refuse(diag, "ear.status", "any other status", "contraindicated",
                "the attestation result speaks against the isolate");
    return BH_OK;
}

enum bh_err
pas_leaf_check(const struct pas_issuer *issuer, const struct pas_certificate *request,
    const struct bh_ear *ear, int64_t now, struct bh_diag *diag)
{
    enum bh_err e;

    if (bh_span_is_zero(bh_span(request->serial, sizeof(request->serial))))
        return refuse(diag, "certificate.serial", "a positive number", "zero",
            "serial numbers are positive (RFC 5280, 4.1.2.2)");
    if ((e = check_workload(request->workload, diag)) != BH_OK ||
        (e = check_dns(issuer, request, diag)) != BH_OK ||
        (e = check_validity(issuer, request, now, diag)) != BH_OK ||
        (e = check_key(request->spki, diag)) != BH_OK)
        return e;
    return check_ear(issuer, request, ear, diag);
}

/* ---- composition ---- */

static void
put_name_part(struct bh_writer *w, const uint8_t oid[3], struct bh_span text)
{
    const size_t set = bh_writer_der_open(w, SET);
    const size_t sequence = bh_writer_der_open(w, SEQUENCE);

    bh_writer_der(w, OID, bh_span(oid, 3));
    bh_writer_der(w, UTF8_STRING, text);
    bh_writer_der_close(w, sequence);
    bh_writer_der_close(w, set);
}

static void
put_subject(struct bh_writer *w, const struct pas_issuer *issuer)
{
    const size_t name = bh_writer_der_open(w, SEQUENCE);

    put_name_part(w, oid_organization, bh_span_str(issuer->trust_domain));
    if (issuer->simulated)
        put_name_part(w, oid_unit, bh_span_str("SIMULATED"));
    bh_writer_der_close(w, name);
}

/* UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). */
static void
put_time(struct bh_writer *w, int64_t at)
{
    const time_t t = (time_t)at;
    char text[32];
    struct tm tm;
    bool general;
    size_t n = 0;

    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 50 || tm.tm_year > 9999 - 1900) {
        bh_writer_spoil(w);
        return;
    }
    general = tm.tm_year >= 150;
    n = strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
    bh_writer_der(w, general ? GENERALIZED_TIME : UTC_TIME,
        general ? bh_span(text, n) : bh_span(text + 2, n - 2));
}

/* DER: no leading zero bytes, but one where the first bit would make it negative. */
static void
put_serial(struct bh_writer *w, const uint8_t serial[16])
{
    const size_t mark = bh_writer_der_open(w, INTEGER);
    size_t at = 0;

    while (at < 15 && serial[at] == 0)
        at++;
    if ((serial[at] & 0x80) != 0)
        bh_writer_u8(w, 0);
    bh_writer_put(w, bh_span(serial + at, 16 - at));
    bh_writer_der_close(w, mark);
}

static size_t
open_extension(struct bh_writer *w, struct bh_span oid, bool critical, size_t *ret_value)
{
    static const uint8_t yes[] = {0x01, 0x01, 0xff};
    const size_t extension = bh_writer_der_open(w, SEQUENCE);

    bh_writer_der(w, OID, oid);
    if (critical)
        bh_writer_put(w, bh_span(yes, sizeof(yes)));
    *ret_value = bh_writer_der_open(w, OCTET_STRING);
    return extension;
}

static void
put_extension(struct bh_writer *w, struct bh_span oid, bool critical, struct bh_span content)
{
    size_t value;
    const size_t extension = open_extension(w, oid, critical, &value);

    bh_writer_put(w, content);
    bh_writer_der_close(w, value);
    bh_writer_der_close(w, extension);
}

static void
put_alt_name(struct bh_writer *w, const struct pas_issuer *issuer, const struct pas_certificate *r)
{
    size_t value, names, uri;
    const size_t extension =
        open_extension(w, bh_span(oid_alt_name, sizeof(oid_alt_name)), false, &value);

    names = bh_writer_der_open(w, SEQUENCE);
    uri = bh_writer_der_open(w, CONTEXT(6));
    bh_writer_str(w, "spiffe://");
    bh_writer_str(w, issuer->trust_domain);
    bh_writer_str(w, "/");
    bh_writer_put(w, r->workload);
    bh_writer_der_close(w, uri);
    for (size_t i = 0; i < r->dns_len; i++)
        bh_writer_der(w, CONTEXT(2), r->dns[i]);
    bh_writer_der_close(w, names);
    bh_writer_der_close(w, value);
    bh_writer_der_close(w, extension);
}

static void
put_key_ids(struct bh_writer *w, const struct pas_issuer *issuer, struct bh_span spki)
{
    uint8_t id[PAS_KEY_ID_LEN];
    size_t value, extension, aki;

    if (pas_key_id(spki, id) != BH_OK) {
        bh_writer_spoil(w);
        return;
    }
    extension = open_extension(w, bh_span(oid_ski, sizeof(oid_ski)), false, &value);
    bh_writer_der(w, OCTET_STRING, bh_span(id, sizeof(id)));
    bh_writer_der_close(w, value);
    bh_writer_der_close(w, extension);

    extension = open_extension(w, bh_span(oid_aki, sizeof(oid_aki)), false, &value);
    aki = bh_writer_der_open(w, SEQUENCE);
    bh_writer_der(w, CONTEXT(0), bh_span(issuer->key_id, issuer->key_id_len));
    bh_writer_der_close(w, aki);
    bh_writer_der_close(w, value);
    bh_writer_der_close(w, extension);
}

static void
put_cmw(struct bh_writer *w, struct bh_span cwt)
{
    uint8_t record[BH_EAR_MAX + 128], choice[BH_EAR_MAX + 160];
    size_t record_len = 0, choice_len = 0;

    if (bh_cmw_record_cbor(
            BH_EAR_CWT_TYPE, cwt, CMW_RESULTS, record, sizeof(record), &record_len) != BH_OK ||
        bh_cmw_ext_encode(bh_span(record, record_len), choice, sizeof(choice), &choice_len) !=
            BH_OK)
        bh_writer_spoil(w);
    put_extension(w, bh_span(oid_cmw, sizeof(oid_cmw)), false, bh_span(choice, choice_len));
}

static void
put_extensions(struct bh_writer *w, const struct pas_issuer *issuer,
    const struct pas_certificate *r, struct bh_span cwt)
{
    const size_t tagged = bh_writer_der_open(w, CONSTRUCTED(3));
    const size_t list = bh_writer_der_open(w, SEQUENCE);

    put_extension(w, bh_span(oid_constraints, sizeof(oid_constraints)), true,
        bh_span(not_a_ca, sizeof(not_a_ca)));
    put_extension(w, bh_span(oid_key_usage, sizeof(oid_key_usage)), true,
        bh_span(digital_signature, sizeof(digital_signature)));
    put_extension(w, bh_span(oid_ext_usage, sizeof(oid_ext_usage)), false,
        bh_span(server_and_client, sizeof(server_and_client)));
    put_key_ids(w, issuer, r->spki);
    put_alt_name(w, issuer, r);
    put_cmw(w, cwt);
    bh_writer_der_close(w, list);
    bh_writer_der_close(w, tagged);
}

static void
put_tbs(struct bh_writer *w, const struct pas_issuer *issuer, const struct pas_certificate *r,
    struct bh_span cwt)
{
    static const uint8_t version3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
    const size_t tbs = bh_writer_der_open(w, SEQUENCE);
    size_t validity;

    bh_writer_put(w, bh_span(version3, sizeof(version3)));
    put_serial(w, r->serial);
    bh_writer_put(w, bh_span(ecdsa_sha256, sizeof(ecdsa_sha256)));
    bh_writer_put(w, bh_span(issuer->subject, issuer->subject_len));
    validity = bh_writer_der_open(w, SEQUENCE);
    put_time(w, r->not_before);
    put_time(w, r->not_after);
    bh_writer_der_close(w, validity);
    put_subject(w, issuer);
    bh_writer_put(w, r->spki);
    put_extensions(w, issuer, r, cwt);
    bh_writer_der_close(w, tbs);
}

enum bh_err
pas_leaf_make(const struct pas_issuer *issuer, const struct pas_certificate *request,
    struct bh_span cwt, pas_sign_fn sign, void *sign_arg, uint8_t *out, size_t *ret_len,
    struct bh_diag *diag)
{
    uint8_t tbs[PAS_LEAF_MAX], signature[PAS_SIGNATURE_MAX];
    struct bh_writer w;
    struct bh_span all;
    size_t signature_len = 0, certificate, bits;
    enum bh_err e;

    /* Apart from the certificate: its signature needs the finished bytes. */
    bh_writer_init(&w, tbs, sizeof(tbs));
    put_tbs(&w, issuer, request, cwt);
    if (bh_writer_end(&w, &all) != BH_OK)
        return bh_fail(
            diag, BH_ERR_TOO_LARGE, "the certificate does not fit %d bytes", PAS_LEAF_MAX);
    if ((e = sign(sign_arg, all, signature, &signature_len)) != BH_OK)
        return bh_fail(diag, e, "the issuing key does not sign");

    bh_writer_init(&w, out, PAS_LEAF_MAX);
    certificate = bh_writer_der_open(&w, SEQUENCE);
    bh_writer_put(&w, all);
    bh_writer_put(&w, bh_span(ecdsa_sha256, sizeof(ecdsa_sha256)));
    bits = bh_writer_der_open(&w, BIT_STRING);
    bh_writer_u8(&w, 0);
    bh_writer_put(&w, bh_span(signature, signature_len));
    bh_writer_der_close(&w, bits);
    bh_writer_der_close(&w, certificate);
    if (bh_writer_end(&w, &all) != BH_OK)
        return bh_fail(
            diag, BH_ERR_TOO_LARGE, "the certificate does not fit %d bytes", PAS_LEAF_MAX);
    *ret_len = all.len;
    return BH_OK;
}

enum bh_err
pas_key_id(struct bh_span spki, uint8_t out[PAS_KEY_ID_LEN])
{
    uint8_t digest[32];
    struct bh_span point;
    const char *name;
    enum bh_err e;

    if ((e = bh_spki_point(spki, &name, &point)) != BH_OK ||
        (e = bh_sha2(256, point, digest)) != BH_OK)
        return e;
    memcpy(out, digest, PAS_KEY_ID_LEN);
    return BH_OK;
}
