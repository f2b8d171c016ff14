/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of Intel's certificates, their SGX extension and PEM, and of revocation lists. */
#include "intel_forge.h"

#include "core/writer.h"
#include "core/x509.h"
#include "evidence/intel.h"
#include "support/mutate.h"

#include <criterion/criterion.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the SGX extension ---- */

/* How an extension is written; numbers of parts are the last of their OID. */
struct extension {
    unsigned svn[18];           /* 1 to 16 and PCESVN as 17; more than 255 need two bytes */
    size_t ppid_len, fmspc_len; /* 16, 6 */
    unsigned without;           /* this part is left out */
    unsigned twice;             /* this part stands twice */
    bool configuration, instance;
    uint8_t flag;                          /* of the configuration's booleans */
    unsigned extra, extra_tcb, extra_flag; /* a part of this number more */
};

static size_t
open_part(struct bh_writer *w, const uint8_t *numbers, size_t len)
{
    static const uint8_t base[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
    const size_t mark = bh_writer_der_open(w, 0x30), oid = bh_writer_der_open(w, 0x06);

    bh_writer_put(w, bh_span(base, sizeof(base)));
    bh_writer_put(w, bh_span(numbers, len));
    bh_writer_der_close(w, oid);
    return mark;
}

static void
put_value(struct bh_writer *w, uint8_t part, uint8_t under, uint8_t tag, struct bh_span value)
{
    const uint8_t numbers[] = {part, under};
    const size_t mark = open_part(w, numbers, under != 0 ? 2 : 1);

    bh_writer_der(w, tag, value);
    bh_writer_der_close(w, mark);
}

static void
put_svn(struct bh_writer *w, uint8_t number, unsigned v)
{
    const uint8_t bytes[] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    size_t from = v > 0x7fff ? 0 : v > 0x7f ? 1 : 2;

    put_value(w, 2, number, 0x02, bh_span(bytes + from, sizeof(bytes) - from));
}

static void
put_part(struct bh_writer *w, unsigned part, const struct extension *x)
{
    static const uint8_t zeros[32] = {0}, one = 1;
    const uint8_t numbers[] = {(uint8_t)part};
    const size_t mark = part == 2 || part == 7 ? open_part(w, numbers, 1) : 0;
    const size_t list = part == 2 || part == 7 ? bh_writer_der_open(w, 0x30) : 0;

    switch (part) {
    case 1:
        put_value(w, 1, 0, 0x04, bh_span(zeros, x->ppid_len));
        return;
    case 2:
        for (uint8_t i = 1; i <= 17; i++)
            put_svn(w, i, x->svn[i]);
        put_value(w, 2, 18, 0x04, bh_span(zeros, 16));
        if (x->extra_tcb != 0)
            put_svn(w, (uint8_t)x->extra_tcb, 0);
        break;
    case 3:
        put_value(w, 3, 0, 0x04, bh_span(zeros, 2));
        return;
    case 4:
        put_value(w, 4, 0, 0x04, bh_span(zeros, x->fmspc_len));
        return;
    case 5:
        put_value(w, 5, 0, 0x0a, bh_span(&one, 1));
        return;
    case 6:
        put_value(w, 6, 0, 0x04, bh_span(zeros, 16));
        return;
    case 7:
        for (uint8_t i = 1; i <= 3; i++)
            put_value(w, 7, i, 0x01, bh_span(&x->flag, 1));
        if (x->extra_flag != 0)
            put_value(w, 7, (uint8_t)x->extra_flag, 0x01, bh_span(&x->flag, 1));
        break;
    default:
        put_value(w, (uint8_t)part, 0, 0x04, bh_span(zeros, 1));
        return;
    }
    bh_writer_der_close(w, list);
    bh_writer_der_close(w, mark);
}

/* A PCK certificate with this extension, read. */
static enum bh_err
read_pck(const struct extension *x, struct ev_intel_pck *pck, struct bh_diag *diag)
{
    struct ev_cert cert = {0};
    uint8_t buf[2048], ext[2048];
    struct bh_writer w, list;
    struct bh_span value;
    static const uint8_t oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
    size_t all, one;

    bh_writer_init(&w, ext, sizeof(ext));
    all = bh_writer_der_open(&w, 0x30);
    for (unsigned part = 1; part <= 7; part++) {
        if (part == x->without || (part == 6 && !x->instance) || (part == 7 && !x->configuration))
            continue;
        put_part(&w, part, x);
        if (part == x->twice)
            put_part(&w, part, x);
    }
    if (x->extra != 0)
        put_part(&w, x->extra, x);
    bh_writer_der_close(&w, all);
    cr_assert_eq(bh_writer_end(&w, &value), BH_OK);
    bh_writer_init(&list, buf, sizeof(buf));
    one = bh_writer_der_open(&list, 0x30);
    bh_writer_der(&list, 0x06, bh_span(oid, sizeof(oid)));
    bh_writer_der(&list, 0x04, value);
    bh_writer_der_close(&list, one);
    cr_assert_eq(bh_writer_end(&list, &cert.extensions), BH_OK);
    bh_diag_clear(diag);
    return ev_intel_pck_read(&cert, pck, diag);
}

static struct extension
right(void)
{
    struct extension x = {.ppid_len = 16, .fmspc_len = 6, .flag = 0xff};

    for (unsigned i = 1; i <= 17; i++)
        x.svn[i] = i;
    return x;
}

Test(intel_pki, sgx_extension)
{
    struct extension x = right();
    struct ev_intel_pck pck;
    struct bh_diag diag;

    x.svn[5] = 255;
    x.svn[17] = 40000;
    cr_assert_eq(read_pck(&x, &pck, &diag), BH_OK, "%s", diag.detail);
    cr_expect_eq(pck.svn[0], 1);
    cr_expect_eq(pck.svn[4], 255);
    cr_expect_eq(pck.svn[15], 16);
    cr_expect_eq(pck.pce_svn, 40000);
    cr_expect_eq(pck.sgx_type, 1);
    cr_expect_eq(pck.dynamic_platform, -1);
    x.configuration = x.instance = true;
    cr_assert_eq(read_pck(&x, &pck, &diag), BH_OK, "%s", diag.detail);
    cr_expect(pck.dynamic_platform == 1 && pck.cached_keys == 1 && pck.smt_enabled == 1);
    cr_expect_eq(pck.platform_instance_id.len, 16);
    x.flag = 0;
    cr_assert_eq(read_pck(&x, &pck, &diag), BH_OK);
    cr_expect_eq(pck.smt_enabled, 0);
}

Test(intel_pki, sgx_extension_refused)
{
    struct ev_intel_pck pck;
    struct bh_diag diag;
    struct extension x;

    for (unsigned part = 1; part <= 5; part++) {
        x = right();
        x.without = part;
        cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "without %u", part);
        x = right();
        x.twice = part;
        cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "%u twice", part);
        cr_expect_neq(diag.detail[0], '\0');
    }
    x = right();
    x.svn[3] = 256;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a component of two bytes");
    x = right();
    x.svn[17] = 65536;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a PCESVN of three bytes");
    x = right();
    x.ppid_len = 15;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a short PPID");
    x = right();
    x.fmspc_len = 7;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a long FMSPC");
    x = right();
    x.extra = 8;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a part 8");
    x.extra = 40;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a part 40");
    x = right();
    x.extra_tcb = 19;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a component 19");
    x.extra_tcb = 4;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a component twice");
    x = right();
    x.configuration = true;
    x.extra_flag = 4;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a flag 4");
    x.extra_flag = 0;
    x.flag = 1;
    cr_expect_eq(read_pck(&x, &pck, &diag), BH_ERR_MALFORMED, "a boolean that is no DER");
}

/* ---- PEM ---- */

static enum bh_err
read_pem(const char *text, size_t *ret_len)
{
    struct ev_intel_chain chain = {0};
    struct bh_diag diag = {0};
    const enum bh_err e = ev_intel_chain_read(bh_span_str(text), &chain, &diag);

    *ret_len = chain.len;
    cr_expect(e == BH_OK || diag.detail[0] != '\0');
    ev_intel_chain_clear(&chain);
    return e;
}

Test(intel_pki, pem)
{
    static char text[64 * 1024];
    struct intel_forge f;
    struct intel_pieces p;
    char *one;
    size_t len = 0, n = 0;

    intel_forge_init(&f, false);
    intel_forge_make(&f, &p);
    one = intel_forge_pem(f.certs, 1, "");
    cr_expect_eq(read_pem(one, &len), BH_OK);
    cr_expect_eq(len, 1);
    (void)snprintf(text, sizeof(text), " \r\n\t%s\n\n%s%s", one, one, one);
    cr_expect_eq(read_pem(text, &len), BH_OK);
    cr_expect_eq(len, 3);
    (void)snprintf(text, sizeof(text), "%s%s%s%s", one, one, one, one);
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "four");
    for (const char *c = one; *c != '\0'; c++) { /* lines that end in CR LF */
        if (*c == '\n')
            text[n++] = '\r';
        text[n++] = *c;
    }
    text[n] = '\0';
    cr_expect_eq(read_pem(text, &len), BH_OK);
    (void)snprintf(text, sizeof(text), "junk%s", one);
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "in front");
    (void)snprintf(text, sizeof(text), "%s", one);
    text[strlen(text) - 10] = 'x';
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "another end");
    (void)snprintf(text, sizeof(text), "%s", one);
    text[60] = '=';
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "padding inside");
    text[60] = '*';
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "no base64");
    cr_expect_eq(read_pem("", &len), BH_ERR_MALFORMED, "nothing");
    cr_expect_eq(read_pem(" \n", &len), BH_ERR_MALFORMED, "white space");
    cr_expect_eq(read_pem("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", &len),
        BH_ERR_MALFORMED, "an empty block");
    cr_expect_eq(
        read_pem("-----BEGIN CERTIFICATE-----\nAAA=\nAAAA\n-----END CERTIFICATE-----\n", &len),
        BH_ERR_MALFORMED, "lines behind padding");
    memset(text, 'A', sizeof(text) - 1);
    cr_expect_eq(read_pem(text, &len), BH_ERR_MALFORMED, "too long");
    free(one);
    intel_pieces_clear(&p);
    intel_forge_clear(&f);
}

/* ---- revocation lists ---- */

struct list {
    long version;
    bool no_next;
    const char *extension; /* of the list */
    const char *value;
    bool critical_entry;
};

static enum bh_err
read_list(const struct list *l, struct bh_span *ret_der, uint8_t **ret_buf, struct bh_diag *diag)
{
    EVP_PKEY *key = NULL;
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *one = X509_REVOKED_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)INTEL_NOW);
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    struct ev_crl read;
    uint8_t *der = NULL;
    enum bh_err e;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert(ASN1_INTEGER_set(serial, 77) == 1 && X509_REVOKED_set_serialNumber(one, serial) == 1);
    cr_assert(X509_REVOKED_set_revocationDate(one, from) == 1);
    if (l->critical_entry) {
        X509_EXTENSION *x = X509V3_EXT_conf(NULL, NULL, "2.5.29.21", "critical,DER:0a0101");
        cr_assert(x != NULL && X509_REVOKED_add_ext(one, x, -1) == 1);
        X509_EXTENSION_free(x);
    }
    cr_assert(X509_CRL_set_version(crl, l->version) == 1 && X509_CRL_add0_revoked(crl, one) == 1);
    cr_assert(X509_CRL_set1_lastUpdate(crl, from) == 1);
    if (!l->no_next)
        cr_assert(X509_CRL_set1_nextUpdate(crl, from) == 1);
    if (l->extension != NULL) {
        X509_EXTENSION *x = X509V3_EXT_conf(NULL, NULL, l->extension, l->value);
        cr_assert(x != NULL && X509_CRL_add_ext(crl, x, -1) == 1);
        X509_EXTENSION_free(x);
    }
    cr_assert(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    ret_der->len = (size_t)i2d_X509_CRL(crl, &der);
    ret_der->ptr = *ret_buf = der;
    bh_diag_clear(diag);
    e = ev_crl_read(*ret_der, &read, diag);
    if (e == BH_OK) {
        cr_expect(ev_crl_revokes(&read, bh_span("\x4d", 1)));
        cr_expect_not(ev_crl_revokes(&read, bh_span("\x4e", 1)));
        cr_expect_eq(read.this_update, INTEL_NOW);
        cr_expect_eq(read.next_update, INTEL_NOW);
    }
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(from);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    return e;
}

static bool
read_mutant(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    const struct bh_span *original = arg;
    struct ev_crl read;
    struct bh_diag diag = {0};

    if (ev_crl_read(mutant, &read, &diag) == BH_OK) {
        (void)ev_crl_revokes(&read, bh_span("\x4d", 1));
        cr_expect_eq(mutant.len, original->len, "%s at %zu: a cut list was read", how, at);
    } else {
        cr_expect_neq(diag.detail[0], '\0', "%s at %zu", how, at);
    }
    return true;
}

Test(intel_pki, revocation_lists)
{
    static const struct {
        const char *what;
        struct list list;
        bool good;
    } rows[] = {
        {"right", {.version = 1}, true},
        {"with a number", {.version = 1, .extension = "2.5.29.20", .value = "DER:020107"}, true},
        {"version 1", {.version = 0}, false},
        {"without nextUpdate", {.version = 1, .no_next = true}, false},
        {"a delta list", {.version = 1, .extension = "2.5.29.27", .value = "critical,DER:020105"},
            false},
        {"an entry with a critical extension", {.version = 1, .critical_entry = true}, false},
    };

    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        struct bh_diag diag = {0};
        struct bh_span der;
        uint8_t *buf = NULL;

        cr_expect_eq(read_list(&rows[i].list, &der, &buf, &diag),
            rows[i].good ? BH_OK : BH_ERR_MALFORMED, "%s: %s", rows[i].what, diag.detail);
        cr_expect(rows[i].good || strstr(diag.detail, "5.1") != NULL, "%s", diag.detail);
        if (i == 0)
            cr_expect_gt(bh_mutate(der, 0, der.len, 1, read_mutant, &der), 500);
        OPENSSL_free(buf);
    }
}
