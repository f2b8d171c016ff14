/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect_other.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/platform.h"
#include "evidence/policy.h"
#include "evidence/vendor_roots.h"
#include "src/internal.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 512
#define INTERMEDIATES_MAX 16
#define CHECKPOINT "C2SP tlog-checkpoint"

static void
set_text(json_t *doc, const char *name, const char *text)
{
    (void)json_object_set_new(doc, name, bh_json_lossy(text));
}

enum bh_err
bh_inspect_refused(struct ev_report *report, const struct bh_diag *diag, const char *source,
    const char *check, const char *expected)
{
    struct bh_diag named = *diag;
    enum bh_err e;

    bh_name_check(&named, "%s", check);
    e = ev_refuse(report, named.err, source, named.check,
        named.expected[0] != '\0' ? named.expected : expected,
        named.found[0] != '\0' ? named.found : named.detail, NULL);
    report->diag = named;
    return e;
}

/* ---- certificates and requests ---- */

static void
set_name(json_t *doc, const char *name, const X509_NAME *x)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio != NULL && X509_NAME_print_ex(bio, x, 0, XN_FLAG_RFC2253) >= 0) {
        const long len = BIO_get_mem_data(bio, &text);
        (void)json_object_set_new(doc, name, json_stringn(text, (size_t)len));
    }
    BIO_free(bio);
}

static void
set_time(json_t *doc, const char *name, const ASN1_TIME *t)
{
    char text[BH_TIME_MAX];
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) == 1)
        set_text(doc, name, bh_time_text((int64_t)timegm(&tm), text));
}

static void
set_names(json_t *doc, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    json_t *list = json_array();

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        if (bio != NULL && GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i)) == 1) {
            const long len = BIO_get_mem_data(bio, &text);
            (void)json_array_append_new(list, json_stringn(text, (size_t)len));
        }
        BIO_free(bio);
    }
    (void)json_object_set_new(doc, "subject_alternative_names", list);
    GENERAL_NAMES_free(names);
}

static void
set_ear(json_t *doc, const X509 *cert)
{
    struct bh_ear *ear = malloc(sizeof(*ear));
    uint8_t *cwt = NULL;
    size_t len = 0;

    if (ear != NULL && bh_ear_from_cert(cert, &cwt, &len, NULL) == BH_OK &&
        bh_ear_claims(bh_span(cwt, len), NULL, ear, NULL) == BH_OK)
        (void)json_object_set_new(doc, "ear", bh_ear_json(ear));
    free(cwt);
    free(ear);
}

static json_t *
certificate_json(X509 *cert)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    json_t *doc = json_object();
    char hex[2 * 64 + 1];

    set_name(doc, "subject", X509_get_subject_name(cert));
    set_name(doc, "issuer", X509_get_issuer_name(cert));
    set_text(doc, "serial",
        bh_hex(bh_span(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)), hex,
            sizeof(hex)));
    set_time(doc, "not_before", X509_get0_notBefore(cert));
    set_time(doc, "not_after", X509_get0_notAfter(cert));
    set_text(doc, "key", bh_key_name(X509_get0_pubkey(cert)));
    (void)json_object_set_new(doc, "ca", json_boolean(X509_check_ca(cert) == 1));
    set_names(doc, cert);
    set_ear(doc, cert);
    return doc;
}

/* What the file holds below its leaf, and the vendors' public intermediates, which it need not. */
struct chain {
    size_t len, own;
    X509 *certs[BH_INPUT_CERTS_MAX + INTERMEDIATES_MAX];
};

static enum bh_err
collect_chain(const struct bh_input *in, struct chain *chain)
{
    size_t len, count;
    const struct ev_vendor_root *all = ev_vendor_intermediates(&len);
    enum bh_err e = BH_OK;

    for (size_t i = 1; i < in->certs_len; i++)
        chain->certs[chain->len++] = in->certs[i];
    chain->own = chain->len;
    for (size_t i = 0; e == BH_OK && i < len && i < INTERMEDIATES_MAX; i++)
        if ((e = bh_x509_pem(
                 bh_span_str(all[i].pem), &chain->certs[chain->len], 1, &count, NULL)) == BH_OK)
            chain->len++;
    return e;
}

static void
clear_chain(struct chain *chain)
{
    while (chain->len > chain->own)
        X509_free(chain->certs[--chain->len]);
}

static enum bh_err
verify_chain(
    const struct bh_input *in, const struct bh_trust_inputs *trust, struct ev_report *report)
{
    static const char expected[] = "a chain up to a trust anchor, valid at that time";
    struct ev_trust built_in = {0};
    struct chain chain = {0};
    X509 *anchors[EV_ANCHORS_MAX];
    struct bh_diag diag = {0};
    size_t n = 0;
    enum bh_err e = BH_OK;

    if (trust->anchor_files_len == 0)
        e = ev_trust_add_vendor_roots(&built_in, NULL);
    for (size_t i = 0; e == BH_OK && i < built_in.anchors_len; i++)
        anchors[n++] = built_in.anchors[i].cert;
    for (size_t i = 0; e == BH_OK && i < trust->anchors_len; i++)
        anchors[n++] = trust->anchors[i];
    if (e == BH_OK && (e = collect_chain(in, &chain)) == BH_OK)
        e = bh_x509_verify(in->certs[0], chain.certs, chain.len, anchors, n, trust->at, &diag);
    clear_chain(&chain);
    ev_trust_clear(&built_in);
    if (e == BH_OK) {
        ev_pass(report, "RFC 5280", "certificate.chain", expected, "one");
        return BH_OK;
    }
    diag.err = e;
    if (trust->anchor_files_len == 0)
        bh_hint(&diag, "it was compared with the built-in vendor roots only: give the root that "
                       "it should lead to with --trust-anchor");
    return bh_inspect_refused(report, &diag, "RFC 5280", "certificate.chain", expected);
}

static enum bh_err
inspect_certificates(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; i < in->certs_len; i++)
        (void)json_array_append_new(list, certificate_json(in->certs[i]));
    (void)json_object_set_new(doc, "certificates", list);
    return trust == NULL ? BH_OK : verify_chain(in, trust, report);
}

static enum bh_err
inspect_csr(const struct bh_input *in, json_t *doc, struct ev_report *report)
{
    static const char expected[] = "PKCS#10, signed by its own key";
    char hex[2 * BH_SPKI_MAX + 1];
    struct bh_diag diag = {0};
    struct bh_csr csr;
    enum bh_err e;

    if ((e = bh_csr_read(in->bytes, &csr, &diag)) != BH_OK)
        return bh_inspect_refused(report, &diag, "RFC 2986", "csr.malformed", expected);
    ev_pass(report, "RFC 2986", "csr.signature", expected, "it is");
    set_text(doc, "key", csr.key_name);
    set_text(doc, "spki", bh_hex(bh_span(csr.spki, csr.spki_len), hex, sizeof(hex)));
    return BH_OK;
}

/* ---- texts ---- */

static enum bh_err
inspect_policy(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};
    json_t *form = NULL;
    char hex[65];
    enum bh_err e;

    if ((e = ev_policy_parse(in->bytes, &policy, &diag)) != BH_OK)
        return bh_inspect_refused(report, &diag, "policy", "policy.form", "a policy");
    if (bh_json_parse(in->bytes, BH_POLICY_MAX, &form, NULL) == BH_OK)
        (void)json_object_set_new(doc, "policy", form);
    set_text(doc, "workload", ev_policy_workload(policy));
    set_text(doc, "digest", bh_hex(bh_span(ev_policy_digest(policy), 32), hex, sizeof(hex)));
    (void)json_object_set_new(doc, "simulated", json_boolean(ev_policy_simulated(policy)));
    ev_policy_free(policy);
    if (trust == NULL)
        return BH_OK;
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "policy", "policy.signature", "a signature",
        "a policy file carries none", "leave out --verify: a policy can only be well-formed");
}

/* Decimal digits without leading zeros; 43 digits of base64 and '='. */
static bool
is_tree(const char *size, const char *hash)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strspn(size, "0123456789") == strlen(size) && strlen(size) <= 20 &&
           (size[0] != '0' || size[1] == '\0') && strlen(hash) == 44 &&
           strspn(hash, base64) == 43 && hash[43] == '=';
}

/* Origin, tree size, root hash; then the signatures. */
static enum bh_err
inspect_checkpoint(const struct bh_input *in, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    char lines[3][TEXT_MAX] = {{0}};
    struct bh_span rest = in->bytes;
    bool good = true;

    for (size_t i = 0; good && i < BH_COUNT(lines); i++) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        const size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        good = end != NULL && len > 0 && len < sizeof(lines[i]) &&
               memchr(rest.ptr, '\0', len) == NULL && bh_is_utf8(bh_span(rest.ptr, len));
        if (good) {
            memcpy(lines[i], rest.ptr, len);
            rest = bh_span(end + 1, rest.len - len - 1);
        }
    }
    if (!good || !is_tree(lines[1], lines[2]))
        return ev_refuse(report, BH_ERR_MALFORMED, CHECKPOINT, "checkpoint.form",
            "three lines: origin, size, root hash", "another form", NULL);
    ev_pass(report, CHECKPOINT, "checkpoint.form", "origin, size, root hash", "they are there");
    set_text(doc, "origin", lines[0]);
    set_text(doc, "size", lines[1]);
    set_text(doc, "root_hash", lines[2]);
    if (trust == NULL)
        return BH_OK;
    return ev_refuse(report, BH_ERR_UNSUPPORTED, CHECKPOINT, "checkpoint.signature",
        "a signature by a key that is trusted", "not built yet in version " BH_VERSION,
        "leave out --verify: this version shows checkpoints and verifies none");
}

const char *
bh_inspect_kind(const struct bh_input *input)
{
    switch (input->kind) {
    case BH_INPUT_CERTIFICATE:
        return "certificate";
    case BH_INPUT_CSR:
        return "certificate-request";
    case BH_INPUT_EAR_CWT:
    case BH_INPUT_EAR_JWT:
        return "ear";
    case BH_INPUT_POLICY:
        return "policy";
    case BH_INPUT_CHECKPOINT:
        return "log-checkpoint";
    case BH_INPUT_CMW:
    case BH_INPUT_RAW:
        return "evidence";
    default:
        return "unknown";
    }
}

enum bh_err
bh_inspect_other(const struct bh_input *input, const struct bh_trust_inputs *trust, json_t *doc,
    struct ev_report *report)
{
    switch (input->kind) {
    case BH_INPUT_CERTIFICATE:
        return inspect_certificates(input, trust, doc, report);
    case BH_INPUT_CSR:
        return inspect_csr(input, doc, report);
    case BH_INPUT_EAR_CWT:
        return bh_inspect_ear(input, trust, doc, report);
    case BH_INPUT_EAR_JWT:
        return bh_inspect_jwt(input, trust, doc, report);
    case BH_INPUT_POLICY:
        return inspect_policy(input, trust, doc, report);
    default:
        return inspect_checkpoint(input, trust, doc, report);
    }
}
