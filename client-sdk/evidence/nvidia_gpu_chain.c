/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a GPU, all of P-384: NVIDIA's root, its CAs of a chip family and of a
 * provisioner, the boot ROM's own CA in the chip, and the key of the firmware that signs reports.
 * They end in the year 9999: only NVIDIA's OCSP responder takes one back.
 */
#include "nvidia_gpu.h"

#include "chain_cache.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOT (EV_NVGPU_CERTS - 1)

enum tag { /* X.690, 8.1 */
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_SEQUENCE = 0x30,
    TAG_FWIDS = 0xa6, /* DiceTcbInfo: [6] IMPLICIT */
};

/* ---- reading ---- */

static enum bh_err
read_der(struct bh_span bytes, struct ev_nvgpu_chain *chain, struct bh_diag *diag)
{
    struct bh_reader in;
    enum bh_err e;

    bh_reader_init(&in, bytes);
    while (bh_reader_left(&in) > 0) {
        struct bh_span whole = bh_span_none();

        (void)bh_reader_der(&in, TAG_SEQUENCE, &whole);
        if (!bh_reader_ok(&in))
            return bh_fail(diag, BH_ERR_MALFORMED, "bytes that are no certificate");
        if (chain->len == EV_NVGPU_CERTS)
            return bh_fail(diag, BH_ERR_MALFORMED, "more than %d certificates", EV_NVGPU_CERTS);
        if ((e = ev_cert_read(whole, &chain->certs[chain->len], diag)) != BH_OK)
            return e;
        chain->len++;
    }
    if (chain->len != EV_NVGPU_CERTS)
        return bh_fail(
            diag, BH_ERR_MALFORMED, "%zu certificates, not %d", chain->len, EV_NVGPU_CERTS);
    return BH_OK;
}

/* The certificates of a PEM text as DER, one behind the other. */
static enum bh_err
to_der(struct bh_span pem, uint8_t **ret_der, size_t *ret_len, struct bh_diag *diag)
{
    X509 *certs[EV_NVGPU_CERTS] = {NULL};
    uint8_t *all = NULL;
    size_t count = 0, len = 0;
    enum bh_err e;

    if ((e = bh_x509_pem(pem, certs, EV_NVGPU_CERTS, &count, diag)) != BH_OK)
        return e;
    /* Each is shorter as DER than its text is. */
    if ((all = malloc(pem.len)) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "certificates");
    for (size_t i = 0; i < count && e == BH_OK; i++) {
        uint8_t *der = NULL;
        size_t der_len = 0;

        if ((e = bh_x509_to_der(certs[i], &der, &der_len)) != BH_OK || der_len > pem.len - len)
            e = bh_fail(diag, BH_ERR_MALFORMED, "a certificate that has no DER");
        else
            memcpy(all + len, der, der_len);
        len += der_len;
        OPENSSL_free(der);
    }
    for (size_t i = 0; i < count; i++)
        X509_free(certs[i]);
    if (e != BH_OK) {
        free(all);
        return e;
    }
    *ret_der = all;
    *ret_len = len;
    return BH_OK;
}

enum bh_err
ev_nvgpu_chain_read(struct bh_span bytes, struct ev_nvgpu_chain *ret_chain, struct bh_diag *diag)
{
    struct ev_nvgpu_chain chain = {0};
    size_t len = 0;
    enum bh_err e;

    if (bytes.len == 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "no bytes");
    if (bytes.ptr[0] == TAG_SEQUENCE) {
        e = read_der(bytes, &chain, diag);
    } else {
        if ((e = to_der(bytes, &chain.storage, &len, diag)) == BH_OK)
            e = read_der(bh_span(chain.storage, len), &chain, diag);
    }
    if (e != BH_OK) {
        ev_nvgpu_chain_clear(&chain);
        return e;
    }
    *ret_chain = chain;
    return BH_OK;
}

void
ev_nvgpu_chain_clear(struct ev_nvgpu_chain *chain)
{
    free(chain->storage);
    *chain = (struct ev_nvgpu_chain){0};
}

/* ---- what the leaf says of its firmware ---- */

/* FWID ::= SEQUENCE { hashAlg OBJECT IDENTIFIER, digest OCTET STRING } */
static struct bh_span
read_fwid(struct bh_reader *in)
{
    static const uint8_t sha384[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};
    struct bh_reader r;
    struct bh_span digest;

    bh_reader_init(&r, bh_reader_der(in, TAG_SEQUENCE, NULL));
    if (!bh_span_equal(bh_reader_der(&r, TAG_OID, NULL), bh_span(sha384, sizeof(sha384))))
        bh_reader_spoil(in);
    digest = bh_reader_der(&r, TAG_OCTETS, NULL);
    if (bh_reader_end(&r) != BH_OK || digest.len != EV_NVGPU_DIGEST_LEN)
        bh_reader_spoil(in);
    return digest;
}

/* Hopper: CompositeDeviceID ::= SEQUENCE { version, deviceID SubjectPublicKeyInfo, fwid FWID } */
static bool
read_composite(struct bh_span value, struct bh_span *ret_fwid)
{
    struct bh_reader all, r;
    struct bh_span fwid;

    bh_reader_init(&all, value);
    bh_reader_init(&r, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    (void)bh_reader_der(&r, TAG_INTEGER, NULL);
    (void)bh_reader_der(&r, TAG_SEQUENCE, NULL);
    fwid = read_fwid(&r);
    if (bh_reader_end(&r) != BH_OK || bh_reader_end(&all) != BH_OK)
        return false;
    *ret_fwid = fwid;
    return true;
}

/* Blackwell: DiceTcbInfo, a sequence of optional tagged members; fwids [6] counts, its first. */
static bool
read_tcb_info(struct bh_span value, struct bh_span *ret_fwid)
{
    struct bh_span fwid = bh_span_none();
    struct bh_reader all, r, list;

    bh_reader_init(&all, value);
    bh_reader_init(&r, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    while (bh_reader_left(&r) > 0) {
        const uint8_t tag = r.in.ptr[r.off];
        const struct bh_span member = bh_reader_der(&r, tag, NULL);

        if (tag != TAG_FWIDS)
            continue;
        bh_reader_init(&list, member);
        if (fwid.len > 0)
            bh_reader_spoil(&r);
        fwid = read_fwid(&list);
        if (!bh_reader_ok(&list))
            bh_reader_spoil(&r);
    }
    if (bh_reader_end(&r) != BH_OK || bh_reader_end(&all) != BH_OK || fwid.len == 0)
        return false;
    *ret_fwid = fwid;
    return true;
}

enum bh_err
ev_nvgpu_leaf_fwid(const struct ev_cert *leaf, struct bh_span *ret_fwid, struct bh_diag *diag)
{
    static const uint8_t hopper[] = {0x67, 0x81, 0x05, 0x05, 0x04, 0x01}; /* 2.23.133.5.4.1 */
    static const uint8_t blackwell[] = {0x67, 0x81, 0x05, 0x05, 0x04, 0x01, 0x01}; /* ... .1 */
    const struct bh_span composite = ev_cert_extension(leaf, bh_span(hopper, sizeof(hopper)));
    const struct bh_span tcb_info = ev_cert_extension(leaf, bh_span(blackwell, sizeof(blackwell)));
    struct bh_span fwid = bh_span_none();

    if (composite.len > 0 && tcb_info.len > 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "both 2.23.133.5.4.1 and 2.23.133.5.4.1.1");
    if (composite.len > 0 && !read_composite(composite, &fwid))
        return bh_fail(diag, BH_ERR_MALFORMED, "extension 2.23.133.5.4.1 of another form");
    if (tcb_info.len > 0 && !read_tcb_info(tcb_info, &fwid))
        return bh_fail(diag, BH_ERR_MALFORMED, "extension 2.23.133.5.4.1.1 of another form");
    *ret_fwid = fwid;
    return BH_OK;
}

/* ---- the path ---- */

static bool
is_same_cert(X509 *anchor, struct bh_span der)
{
    uint8_t *own = NULL;
    size_t len = 0;
    bool same;

    if (bh_x509_to_der(anchor, &own, &len) != BH_OK)
        return false;
    same = bh_span_equal(bh_span(own, len), der);
    OPENSSL_free(own);
    return same;
}

/* One of the anchors is the root, byte for byte; simulated if any such one says so. */
static bool
find_anchor(const struct ev_trust *trust, struct bh_span root, bool *ret_simulated)
{
    bool found = false;

    *ret_simulated = false;
    for (size_t i = 0; i < trust->anchors_len; i++) {
        const struct ev_anchor *a = &trust->anchors[i];

        if (a->platform[0] != '\0' && strcmp(a->platform, EV_NVGPU_NAME) != 0)
            continue;
        if (!is_same_cert(a->cert, root))
            continue;
        found = true;
        *ret_simulated = *ret_simulated || a->simulated;
    }
    return found;
}

static bool
is_p384(const struct ev_cert *cert)
{
    struct bh_span point;
    const char *name;

    return bh_spki_point(cert->spki, &name, &point) == BH_OK && strcmp(name, "P-384") == 0;
}

/* Names, constraints, key usages and algorithms (RFC 5280, 6.1); NULL, or what is wrong at *ret_at.
 */
static const char *
path_fault(const struct ev_nvgpu_chain *chain, size_t *ret_at)
{
    for (size_t i = 0; i < chain->len; i++) {
        const struct ev_cert *c = &chain->certs[i];
        const uint8_t usage = i == 0 ? EV_KEY_USAGE_DIGITAL_SIGNATURE : EV_KEY_USAGE_KEY_CERT_SIGN;

        *ret_at = i;
        if (!is_p384(c) || !ev_cert_is_es384(c))
            return "is not of P-384 and ecdsa-with-SHA384";
        if (!bh_span_equal(c->issuer, chain->certs[i < ROOT ? i + 1 : i].subject))
            return "was not issued by the one behind it";
        if (c->ca == (i == 0))
            return i == 0 ? "is a CA, not a device's" : "is not a CA";
        if (!c->has_key_usage || (c->key_usage & usage) == 0)
            return i == 0 ? "lacks key usage digitalSignature" : "lacks key usage keyCertSign";
        /* CA certificates between this one and the device's (4.2.1.9). */
        if (i > 0 && i - 1 > c->path_len)
            return "has a pathLenConstraint that the path exceeds";
    }
    return NULL;
}

static enum bh_err
refuse_path(
    const struct ev_nvgpu_chain *chain, size_t at, const char *fault, struct ev_report *report)
{
    char found[BH_VALUE_MAX];

    (void)snprintf(found, sizeof(found), "certificate %zu of %zu %s", at + 1, chain->len, fault);
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "anchor", EV_NVGPU_NAME ".chain",
        "a path from a pinned root to the device's certificate", found,
        "send the chain as the driver returns it: the device's certificate first");
}

static enum bh_err
check_validity(
    const struct ev_nvgpu_chain *chain, const struct ev_trust *trust, struct ev_report *report)
{
    char from[BH_TIME_MAX], to[BH_TIME_MAX], at[BH_TIME_MAX];
    char expected[BH_VALUE_MAX];

    for (size_t i = 0; i < chain->len; i++) {
        const struct ev_cert *c = &chain->certs[i];

        if (trust->now + trust->skew >= c->not_before && trust->now <= c->not_after)
            continue;
        (void)snprintf(expected, sizeof(expected),
            "%s to %s, the validity of certificate %zu of %zu", bh_time_text(c->not_before, from),
            bh_time_text(c->not_after, to), i + 1, chain->len);
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "clock", EV_NVGPU_NAME ".validity", expected,
            bh_time_text(trust->now, at), "check the clock");
    }
    ev_pass(report, "clock", EV_NVGPU_NAME ".validity", "every certificate of the chain is valid",
        report->detailed ? bh_time_text(trust->now, at) : NULL);
    return BH_OK;
}

/* From the root down; the path of a CA that the cache knows is not verified again. */
static bool
verify_signatures(const struct ev_nvgpu_chain *chain, const struct ev_trust *trust, size_t *ret_at)
{
    uint8_t path[EV_PATH_HASH_LEN] = {0};
    EVP_PKEY *key = NULL, *next;
    int64_t not_after = INT64_MAX;
    bool good = true;

    for (size_t i = ROOT; i > 0 && good; i--) {
        const struct ev_cert *c = &chain->certs[i];

        *ret_at = i;
        next = NULL;
        if (c->not_after < not_after)
            not_after = c->not_after;
        good = ev_chain_path(path, c->der) == BH_OK;
        if (good && (next = ev_chain_cache_get(trust->cache, path, trust->now)) == NULL) {
            /* The anchor itself is believed because it is pinned. */
            good = (i == ROOT || ev_cert_verify_es384(c, key)) &&
                   bh_spki_decode(c->spki, &next, NULL) == BH_OK;
            if (good)
                ev_chain_cache_put(trust->cache, path, next, not_after);
        }
        EVP_PKEY_free(key);
        key = next;
    }
    if (good) {
        *ret_at = 0;
        good = ev_cert_verify_es384(&chain->certs[0], key);
    }
    EVP_PKEY_free(key);
    return good;
}

enum bh_err
ev_nvgpu_check_chain(const struct ev_nvgpu_chain *chain, const struct ev_trust *trust,
    struct ev_report *report, bool *ret_simulated)
{
    const char *fault;
    size_t at = 0;
    enum bh_err e;

    if (!find_anchor(trust, chain->certs[ROOT].der, ret_simulated))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "anchor", EV_NVGPU_NAME ".chain",
            "a chain that ends in a pinned root", "another root",
            "the NVIDIA Device Identity CA is built in; other roots must be given as trust "
            "anchors");
    if ((fault = path_fault(chain, &at)) != NULL)
        return refuse_path(chain, at, fault, report);
    if ((e = check_validity(chain, trust, report)) != BH_OK)
        return e;
    if (!verify_signatures(chain, trust, &at))
        return refuse_path(chain, at, "has a signature that does not verify", report);
    ev_pass(report, "anchor", EV_NVGPU_NAME ".chain",
        "a path from a pinned root to the device's certificate",
        "signatures, names and constraints hold");
    ev_pass(report, "not given", EV_NVGPU_NAME ".revocation",
        "an answer of NVIDIA's OCSP responder", "not looked at");
    return BH_OK;
}
